//! Every word of the screens exists in every language, with the same numbers in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use ui::{LANGUAGES, SOURCE_LANGUAGE};

/// A text of the screens: its context (mostly none), and its plural where it counts something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Words {
    context: String,
    singular: String,
    plural: String,
}

#[test]
fn every_text_of_the_screens_is_translated_in_every_language() {
    let texts = texts_of_the_screens();
    assert!(texts.len() > 300, "only {} texts found: the reader of .slint files is blind", texts.len());
    for (code, _) in LANGUAGES.iter().filter(|(code, _)| *code != SOURCE_LANGUAGE) {
        let translations = translations(code);
        for text in &texts {
            let Some(forms) = translations.get(text) else { panic!("lang/{code}: no translation of {text:?}") };
            for form in forms {
                assert!(!form.trim().is_empty(), "lang/{code}: empty translation of {text:?}");
                let said = if text.plural.is_empty() { &text.singular } else { &text.plural };
                assert_eq!(placeholders(form), placeholders(said), "lang/{code}: other numbers in {form:?}");
            }
            assert!(!text.plural.is_empty() || forms.len() == 1, "lang/{code}: {text:?} has forms but no plural");
        }
    }
}

#[test]
fn no_language_keeps_a_translation_of_a_text_that_is_gone() {
    let texts = texts_of_the_screens();
    for (code, _) in LANGUAGES.iter().filter(|(code, _)| *code != SOURCE_LANGUAGE) {
        for text in translations(code).keys() {
            assert!(texts.contains(text), "lang/{code}: {text:?} is on no screen");
        }
    }
}

/// A consent names the version of the words that were agreed to: other words under the same version would make it a
/// consent to something else.
#[test]
fn no_word_of_a_consent_changes_without_its_version() {
    const READ_AND_AGREED: [(&str, i32, u64); 3] = [
        ("care", ui::CARE_TEXT, 0x7004_6f6a_706d_9d35),
        ("usual doctor", ui::USUAL_DOCTOR_TEXT, 0x7bd3_3114_f1f9_2eeb),
        ("statistics", ui::STATISTICS_TEXT, 0x422f_8785_e2e5_8d13),
    ];
    let source = std::fs::read_to_string(root().join("screens/patient/consent.slint")).expect("consent.slint");
    let parts: Vec<&str> = source.split("PurposeCard {").collect();
    let [around, cards @ ..] = parts.as_slice() else { panic!("no card in consent.slint") };
    assert_eq!(cards.len(), READ_AND_AGREED.len(), "one card a purpose");
    let mut changed = Vec::new();
    for (card, (purpose, version, known)) in cards.iter().zip(READ_AND_AGREED) {
        // What stands around the cards is read before each answer.
        let texts: Vec<Words> = [*around, *card].into_iter().flat_map(texts_of).collect();
        let mut hash = 0xcbf2_9ce4_8422_2325;
        for (code, _) in LANGUAGES {
            let translations = (*code != SOURCE_LANGUAGE).then(|| translations(code));
            for text in &texts {
                let said = translations.as_ref().map_or(&text.singular, |translations| &translations[text][0]);
                hash = fnv1a(hash, said.as_bytes());
            }
        }
        if hash != known {
            changed.push(format!("{purpose}: {hash:#018x}, version {version} has {known:#018x}"));
        }
    }
    let what_to_do = "give the text today's date as its version in ui/lib.rs, and this hash here";
    assert!(changed.is_empty(), "{what_to_do}:\n{}", changed.join("\n"));
}

/// FNV-1a, 64 bits, each text closed by a zero: it tells words apart and guards against nobody.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().chain([&0]).fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[test]
fn every_language_has_its_folder_and_every_folder_its_language() {
    let mut folders: Vec<String> = std::fs::read_dir(root().join("lang"))
        .expect("lang/")
        .map(|entry| entry.expect("an entry of lang/").file_name().to_string_lossy().into_owned())
        .collect();
    folders.push(SOURCE_LANGUAGE.into());
    folders.sort();
    let mut known: Vec<String> = LANGUAGES.iter().map(|(code, _)| (*code).to_owned()).collect();
    known.sort();
    assert_eq!(folders, known);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn slint_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of screens") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            slint_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slint") {
            found.push(path);
        }
    }
}

fn texts_of_the_screens() -> Vec<Words> {
    let mut files = vec![root().join("app.slint"), root().join("theme.slint")];
    slint_files(&root().join("screens"), &mut files);
    slint_files(&root().join("widgets"), &mut files);
    let mut texts = Vec::new();
    for file in files {
        for words in texts_of(&std::fs::read_to_string(&file).expect("a .slint file")) {
            if !texts.contains(&words) {
                texts.push(words);
            }
        }
    }
    texts
}

/// The texts of a part of a .slint file, in its order.
fn texts_of(source: &str) -> Vec<Words> {
    let text = |after: &str| {
        let (first, rest) = literal(after.trim_start());
        let rest = rest.trim_start();
        let (context, singular, rest) = match rest.strip_prefix("=>") {
            Some(rest) => {
                let (second, rest) = literal(rest.trim_start());
                (first, second, rest.trim_start())
            }
            None => (String::new(), first, rest),
        };
        let plural = rest.strip_prefix('|').map(|rest| literal(rest.trim_start()).0).unwrap_or_default();
        Words { context, singular, plural }
    };
    source.split("@tr(").skip(1).map(text).collect()
}

/// The string literal at the start of `text`, unescaped, and what follows it.
fn literal(text: &str) -> (String, &str) {
    let body = text.strip_prefix('"').unwrap_or_else(|| panic!("@tr without a literal: {text:.60}"));
    let mut said = String::new();
    let mut letters = body.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return (said, &body[index + 1..]),
            '\\' => match letters.next() {
                Some((_, 'n')) => said.push('\n'),
                Some((_, other)) => said.push(other),
                None => break,
            },
            other => said.push(other),
        }
    }
    panic!("unfinished literal: {text:.60}")
}

fn translations(code: &str) -> BTreeMap<Words, Vec<String>> {
    let file = root().join("lang").join(code).join("LC_MESSAGES/ui.po");
    let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut all = BTreeMap::new();
    for entry in source.split("\n\n") {
        let mut words = Words { context: String::new(), singular: String::new(), plural: String::new() };
        let mut forms: Vec<String> = Vec::new();
        let mut last = "";
        for line in entry.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            let (name, value) =
                if line.starts_with('"') { (last, line) } else { line.split_once(' ').expect("a .po line") };
            let continued = line.starts_with('"');
            last = name;
            let value = literal(value.trim()).0;
            match name {
                "msgctxt" => words.context.push_str(&value),
                "msgid" => words.singular.push_str(&value),
                "msgid_plural" => words.plural.push_str(&value),
                _ if continued => forms.last_mut().expect("a msgstr").push_str(&value),
                _ => forms.push(value),
            }
        }
        if !words.singular.is_empty() {
            assert!(!entry.contains("#, fuzzy"), "lang/{code}: fuzzy {words:?}");
            assert_eq!(all.insert(words.clone(), forms), None, "lang/{code}: {words:?} twice");
        }
    }
    all
}

/// `{}`, `{0}`, `{n}`, sorted.
fn placeholders(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text
        .match_indices('{')
        .map(|(start, _)| &text[start..start + text[start..].find('}').expect("a closed placeholder") + 1])
        .collect();
    found.sort_unstable();
    found
}
