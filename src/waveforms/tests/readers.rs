//! Programs that read waveform files and share nothing with the cabin. The Python ones are installed once under the
//! build folder; `dcmdump` and `dciodvfy` are Debian's. A machine without them skips, saying why, except in CI where it
//! fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

pub(super) struct Readers {
    python: PathBuf,
    folder: PathBuf,
}

impl Readers {
    /// The readers, or `None` after saying on standard error what is missing.
    pub(super) fn or_skip(test: &str) -> Option<&'static Readers> {
        static READERS: OnceLock<Result<Readers, String>> = OnceLock::new();
        match READERS.get_or_init(install) {
            Ok(readers) => Some(readers),
            Err(why) if std::env::var_os("CI").is_some() => panic!("{test}: {why}"),
            Err(why) => {
                eprintln!("{test}: SKIPPED, {why}");
                None
            }
        }
    }

    /// A file of this test program.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let folder = self.folder.join(std::process::id().to_string());
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// What `pyedflib`, `mne` or `pydicom` reads in a file.
    pub(super) fn read(&self, reader: &str, path: &Path) -> Value {
        let script = scripts().join("read.py");
        let output = Command::new(&self.python).arg(script).arg(reader).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{reader}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{reader}: {error} {said}"))
    }

    /// The samples of each multiplex group as `dcmdump` prints them.
    #[allow(clippy::unused_self)] // only what was found may be asked
    pub(super) fn waveform_data(&self, path: &Path) -> Vec<Vec<i64>> {
        let output = Command::new("dcmdump").args(["-q", "+L", "+P", "5400,1010"]).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let word = |word: &str| i64::from(u16::from_str_radix(word.trim(), 16).unwrap() as i16);
        let words = |line: &str| {
            let (_, values) = line.split_once("OW ").unwrap();
            values.split('#').next().unwrap().split('\\').map(word).collect()
        };
        text.lines().filter(|line| line.trim_start().starts_with("(5400,1010)")).map(words).collect()
    }

    /// Every error that `dciodvfy` names, and every warning but those that are no fault.
    #[allow(clippy::unused_self)]
    pub(super) fn faults(&self, path: &Path) -> Vec<String> {
        let output = Command::new("dciodvfy").arg("-new").arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!said.is_empty(), "it names at least the object");
        said.lines()
            .filter(|line| line.starts_with("Error") || line.starts_with("Warning"))
            .map(str::to_owned)
            .collect()
    }
}

fn install() -> Result<Readers, String> {
    for (program, package) in [("dcmdump", "dcmtk"), ("dciodvfy", "dicom3tools")] {
        let there = Command::new(program).arg("--version").output();
        there.map_err(|error| format!("{program}: {error}; install the package {package}"))?;
    }
    let folder = build_folder().join("waveform_readers");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    // Several test programs may start at once; released when the file closes.
    let lock = fs::File::create(build_folder().join("waveform_readers.lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    let python = folder.join("venv/bin/python");
    let requirements = scripts().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(|e| format!("{}: {e}", requirements.display()))?;
    // The stamp holds what was installed: a changed list installs anew, an unchanged one costs nothing.
    let stamp = folder.join("installed");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
        run(Command::new(&python).args(pip).arg(&requirements))?;
        fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    }
    Ok(Readers { python, folder })
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("failed")))
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/waveform_readers")
}

/// The build folder, found from the test program itself so that any setting of it is followed.
fn build_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let deps = program.ancestors().find(|a| a.file_name().is_some_and(|n| n == "deps"));
    deps.and_then(|d| d.ancestors().nth(2)).unwrap_or(Path::new("target")).to_path_buf()
}
