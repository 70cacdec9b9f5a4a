//! Puts every file of `page/` into the program, so that the desk is one file.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("page");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&folder).expect("inside").to_str().expect("UTF-8 name").replace('\\', "/");
        table.push_str(&format!("    ({name:?}, include_bytes!({:?})),\n", file.display().to_string()));
    }
    table.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("page_files.rs");
    fs::write(out, table).expect("written");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        println!("cargo::rerun-if-changed={}", path.display());
        match (hidden, path.is_dir()) {
            (true, _) => {}
            (false, true) if entry.file_name() == "node_modules" || entry.file_name() == "tests" => {}
            (false, true) => collect(&path, files),
            (false, false) => files.push(path),
        }
    }
}
