//! The pure crates have no clock, no files, no sockets, no threads and no chance of their own.
//!
//! Read from their syntax, not by a lint of the compiler: a lint has to name every function of the standard library
//! that does harm, this names the places where such functions live. Code that exists only in tests is free.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const PURE_CRATES: &[&str] = &["consult", "fhir", "signal", "waveforms"];

/// Parts of the standard library that reach outside the program.
const STD: &[&str] = &["fs", "net", "env", "process", "thread", "os"];

/// Crates that do.
const CRATES: &[&str] =
    &["rand", "rand_core", "getrandom", "tokio", "libc", "mio", "socket2", "rustix", "nix", "fastrand"];

/// Types of whose functions those that read a clock or take chances are forbidden.
const CLOCKS: &[&str] = &["Instant", "SystemTime", "OffsetDateTime", "UtcDateTime", "Utc", "Local", "UtcOffset"];

/// Functions that read a clock or take chances, whatever they belong to.
const CALLS: &[&str] = &["now_utc", "now_local", "new_v4", "now_v7", "current_local_offset"];

/// Methods that read a clock.
const METHODS: &[&str] = &["elapsed"];

/// Names that are sources of chance.
const CHANCE: &[&str] = &["OsRng", "ThreadRng", "RandomState", "thread_rng"];

/// Macros that write to the outside.
const MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

struct Reader {
    file: PathBuf,
    breaches: Vec<String>,
    modules: Vec<(String, Option<String>)>,
}

impl Reader {
    fn breach(&mut self, span: Span, what: &str) {
        self.breaches.push(format!("{}:{}: {what}", self.file.display(), span.start().line));
    }

    fn check(&mut self, names: &[String], span: Span) {
        let name = |at: usize| names.get(at).map(String::as_str).unwrap_or_default();
        let whole = names.join("::");
        let outside = match name(0) {
            "std" | "core" | "alloc" => {
                STD.contains(&name(1))
                    || (name(1) == "io" && ["stdin", "stdout", "stderr"].contains(&name(2)))
                    || names.len() == 1
            }
            first => CRATES.contains(&first),
        };
        let clock = names.windows(2).any(|pair| CLOCKS.contains(&pair[0].as_str()) && pair[1].starts_with("now"));
        let named = names.iter().any(|name| CALLS.contains(&name.as_str()) || CHANCE.contains(&name.as_str()));
        if outside || clock || named {
            self.breach(span, &whole);
        }
    }

    fn uses(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.uses(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) if name.ident == "self" => self.check(before, name.span()),
            syn::UseTree::Name(name) => self.check(&with(&name.ident), name.span()),
            syn::UseTree::Rename(rename) => {
                let names = with(&rename.ident);
                self.check(&names, rename.span());
                // Under another name its calls could not be told.
                if CLOCKS.contains(&rename.ident.to_string().as_str()) && rename.rename != "_" {
                    self.breach(rename.span(), &format!("{} under another name", names.join("::")));
                }
            }
            syn::UseTree::Glob(glob) => self.check(&[before, &["*".to_owned()]].concat(), glob.span()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.uses(tree, before)),
        }
    }

    /// A macro's arguments are not syntax yet: paths are put together from the tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut at = Span::call_site();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 && !names.is_empty() {
                        let before = std::mem::take(&mut names);
                        self.check_tokens(&before, at);
                    }
                    at = ident.span();
                    names.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.check_tokens(&std::mem::take(&mut names), at);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.check_tokens(&names, at);
    }

    fn check_tokens(&mut self, names: &[String], span: Span) {
        match names {
            [] => {}
            [only] if METHODS.contains(&only.as_str()) || MACROS.contains(&only.as_str()) => self.breach(span, only),
            // One word alone may be a variable: `std` and the crates' names mean something only before `::`.
            [only] if CHANCE.contains(&only.as_str()) || CALLS.contains(&only.as_str()) => self.breach(span, only),
            [_] => {}
            names => self.check(names, span),
        }
    }
}

fn only_in_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let means_test =
            |tokens: &str| tokens.replace(' ', "") == "test" || tokens.replace(' ', "").starts_with("all(test,");
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| means_test(&list.tokens.to_string())))
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if only_in_tests(&module.attrs) {
            return;
        }
        if module.content.is_none() {
            let path = module.attrs.iter().find(|attribute| attribute.path().is_ident("path"));
            let path = path.and_then(|attribute| match &attribute.meta.require_name_value().ok()?.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
                _ => None,
            });
            self.modules.push((module.ident.to_string(), path));
        }
        visit::visit_item_mod(self, module);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !only_in_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        if !only_in_tests(&block.attrs) {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !only_in_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !only_in_tests(&item.attrs) {
            self.uses(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 || CHANCE.contains(&names[0].as_str()) {
            self.check(&names, path.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        if METHODS.contains(&name.as_str()) || CALLS.contains(&name.as_str()) {
            self.breach(call.span(), &format!(".{name}()"));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|name| MACROS.contains(&name.ident.to_string().as_str())) {
            self.breach(call.span(), "it prints");
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {
        // What an attribute says is not run.
    }
}

fn read_source(file: &Path, source: &str) -> Result<Reader> {
    let syntax = syn::parse_file(source).with_context(|| file.display().to_string())?;
    let mut reader = Reader { file: file.to_path_buf(), breaches: Vec::new(), modules: Vec::new() };
    reader.visit_file(&syntax);
    Ok(reader)
}

/// Reads a crate from its root and follows its modules, so that only what is compiled counts.
fn breaches_of(root: &Path) -> Result<(usize, Vec<String>)> {
    let mut waiting = vec![(root.to_path_buf(), true)];
    let (mut read, mut breaches) = (0, Vec::new());
    while let Some((file, is_root)) = waiting.pop() {
        let source = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let reader = read_source(&file, &source)?;
        read += 1;
        breaches.extend(reader.breaches);
        let folder = file.parent().context("a file lies in a folder")?;
        let own = match file.file_name() {
            Some(name) if is_root || name == "mod.rs" => folder.to_path_buf(),
            _ => file.with_extension(""),
        };
        for (name, path) in reader.modules {
            let places = match path {
                Some(path) => vec![folder.join(path)],
                None => vec![own.join(format!("{name}.rs")), own.join(&name).join("mod.rs")],
            };
            let place = places.into_iter().find(|place| place.is_file());
            waiting.push((place.with_context(|| format!("module {name} of {}", file.display()))?, false));
        }
    }
    Ok((read, breaches))
}

#[test]
fn the_pure_crates_have_no_clock_no_files_no_sockets_and_no_chance() -> Result<()> {
    for name in PURE_CRATES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src").join(name).join("lib.rs");
        let (read, breaches) = breaches_of(&root)?;
        assert!(breaches.is_empty(), "{name} is to stay pure:\n{}", breaches.join("\n"));
        assert!(read > 0);
    }
    Ok(())
}

#[test]
fn impure_code_is_noticed_however_it_is_written() -> Result<()> {
    let impure = [
        "fn f() { let _ = std::time::Instant::now(); }",
        "use std::time::SystemTime; fn f() { let _ = SystemTime::now(); }",
        "use std::time::Instant as Clock; fn f() { let _ = Clock::now(); }",
        "fn f(t: std::time::Instant) -> std::time::Duration { t.elapsed() }",
        "fn f(t: T) -> String { format!(\"{:?}\", t.elapsed()) }",
        "use std::fs;",
        "use std::{collections::BTreeMap, net::{IpAddr, TcpStream}};",
        "use std::io::{self, Read}; fn f() { let _ = std::io::stdin(); }",
        "fn f() -> Option<String> { std::env::var(\"HOME\").ok() }",
        "fn f() { ::std::thread::yield_now(); }",
        "use std as s;",
        "use rand::Rng;",
        "fn f() { let key = make(&mut OsRng); }",
        "fn f() -> uuid::Uuid { uuid::Uuid::new_v4() }",
        "fn f() { let _ = time::OffsetDateTime::now_utc(); }",
        "fn f() { println!(\"x\"); }",
        "fn f() { assert!(std::fs::read(\"x\").is_ok()); }",
        "mod inner { pub fn f() { let _ = std::process::id(); } }",
        "impl X { fn f() { let m = std::collections::hash_map::RandomState::new(); } }",
    ];
    for source in impure {
        let reader = read_source(Path::new("snippet.rs"), source)?;
        assert!(!reader.breaches.is_empty(), "not noticed: {source}");
    }
    Ok(())
}

#[test]
fn pure_code_and_its_tests_are_left_alone() -> Result<()> {
    let pure = [
        "pub fn f(now: std::time::Instant) -> std::time::Instant { now + std::time::Duration::from_secs(1) }",
        "use std::collections::BTreeMap; use std::{fmt, io::{self, Write}};",
        "#[cfg(test)] mod tests { use std::fs; fn f() { println!(\"{:?}\", std::time::Instant::now()); } }",
        "#[cfg(test)] mod elsewhere;",
        "fn f(fs: u8, env: u8) -> u8 { let thread = fs; thread + env }",
        "/// Reads `std::fs` never.\nfn f() -> &'static str { concat!(\"a\", include_str!(\"x\")) }",
    ];
    for source in pure {
        let reader = read_source(Path::new("snippet.rs"), source)?;
        assert!(reader.breaches.is_empty(), "{:?} in {source}", reader.breaches);
        assert!(reader.modules.is_empty(), "a module of tests is followed in {source}");
    }
    Ok(())
}
