//! What a technician does with the appliance itself: which release, its logs, and the end of all it kept.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

fn ctl(words: &[&str]) -> Result<String, String> {
    let mut out = Vec::new();
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    cabinctl::run(words, &mut "".as_bytes(), &mut out).map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[test]
fn a_release_says_what_runs_and_why_another_was_left() {
    let root = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let file = root.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let release = || ctl(&["release", "--root", &root.path().display().to_string()]);
    assert!(release().unwrap_err().contains("no release"));
    write("etc/os-release", "ID=debian\nIMAGE_VERSION=20261123\n");
    write("efi/EFI/Linux/telecabine_20261123.efi", "");
    assert_eq!(release().unwrap(), "runs          20261123, good\n");
    write("efi/EFI/Linux/telecabine_20261124+0-2.efi", "");
    write("efi/EFI/Linux/telecabine_20261001.efi", "");
    let said = release().unwrap();
    assert!(said.contains("also there    20261001, good\n"), "{said}");
    assert!(said.contains("left again    20261124: it never came to its health check"), "{said}");
    write("var/lib/telecabine/20261124.why", "cabin.service is not ready: activating\nno touch\n");
    let said = release().unwrap();
    assert!(said.contains("left again    20261124: cabin.service is not ready: activating; no touch\n"), "{said}");
    assert_eq!(said.matches("20261124").count(), 1, "{said}");
}

#[test]
fn the_journal_is_sealed_for_the_operator_alone() {
    if Command::new("journalctl").arg("--version").output().is_err() {
        return eprintln!("SKIPPED, there is no journalctl: tests/tools/install test installs it");
    }
    let folder = TempDir::new().unwrap();
    let (key, other, logs) = (path(&folder, "key"), path(&folder, "other"), path(&folder, "logs"));
    let public = ctl(&["outbox", "key", &key]).unwrap();
    ctl(&["outbox", "key", &other]).unwrap();
    let journal = path(&folder, "journal");
    std::fs::create_dir(&journal).unwrap();
    let said = ctl(&["logs", "export", &logs, "--to", public.trim(), "--journal", &journal]).unwrap();
    assert!(said.contains("bytes of journal"), "{said}");
    // The line that stands before an empty journal.
    assert!(ctl(&["logs", "open", &logs, "--key", &key]).unwrap().contains("release"));
    assert!(!String::from_utf8_lossy(&std::fs::read(&logs).unwrap()).contains("release"));
    assert!(ctl(&["logs", "open", &logs, "--key", &other]).is_err());
}

#[test]
fn after_a_factory_reset_the_right_key_opens_nothing() {
    let folder = TempDir::new().unwrap();
    let (disk, pass) = (path(&folder, "disk"), path(&folder, "pass"));
    std::fs::write(&pass, "right").unwrap();
    std::fs::File::create(&disk).unwrap().set_len(32 << 20).unwrap();
    let opens = || {
        let mut command = Command::new("cryptsetup");
        command.args(["open", "--test-passphrase", "--key-file", &pass]).arg(&disk);
        command.output().is_ok_and(|output| output.status.success())
    };
    let quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    let mut format = Command::new("cryptsetup");
    format.args(["luksFormat", "--type", "luks2", "--batch-mode", "--key-file", &pass]).args(quick).arg(&disk);
    match format.output() {
        Ok(output) if output.status.success() => {}
        other => return eprintln!("SKIPPED, no encrypted disk can be made here: {other:?}"),
    }
    assert!(opens());
    let header = std::fs::read(&disk).unwrap();
    assert!(ctl(&["factory-reset", "--device", &disk]).unwrap_err().contains("--erase everything"));
    assert!(opens(), "nothing is erased without the word");
    let error = ctl(&["factory-reset", "--erase", "everything", "--device", &disk]).unwrap_err();
    assert!(error.contains("cannot be counted") && opens(), "{error}");
    let said = ctl(&["factory-reset", "--erase", "everything", "--device", &disk, "--lose", "unknown"]).unwrap();
    assert!(said.contains("the keys are destroyed"), "{said}");
    assert!(!opens());
    let after = std::fs::read(&disk).unwrap();
    assert!(after[..16 << 20].iter().all(|byte| *byte == 0));
    assert!(header.len() == after.len() && Path::new(&disk).exists());
}

#[test]
fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let root = TempDir::new().unwrap();
    let write = |name: &str, text: &[u8]| {
        let file = root.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("etc/os-release", b"IMAGE_VERSION=7\n");
    write("var/lib/telecabine/8.why", b"the screen hears no touch\n");
    write("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", &[6, 0, 0, 0, 1]);
    write("sys/class/thermal/thermal_zone0/temp", b"95000\n");
    write("sys/class/drm/card0-HDMI-A-1/status", b"connected\n");
    write("sys/class/input/event3/dev", b"13:67\n");
    write("run/udev/data/c13:67", b"E:ID_INPUT=1\nE:ID_INPUT_TOUCHSCREEN=1\n");
    write("sys/class/mmc_host/mmc0/mmc0:0001/life_time", b"0x01 0x0a\n");
    write("proc/meminfo", b"MemTotal: 4000000 kB\nMemAvailable: 100000 kB\n");
    let config = include_str!("../../config/example.toml").replace("/run/cabin/outbox.sock", "no-socket");
    let data = path(&root, "data");
    let config = config.replace("https://desk.example.org", "http://127.0.0.1:9").replace("/var/lib/cabin", &data);
    write("cabin.toml", config.as_bytes());
    write("data/joining", b"http://127.0.0.1:9\nK7QM-2FXD\n");
    let mut out = Vec::new();
    let words = ["doctor", "--root", &path(&root, ""), "--config", &path(&root, "cabin.toml")].map(str::to_owned);
    let error = cabinctl::run(words.to_vec(), &mut "".as_bytes(), &mut out).unwrap_err().to_string();
    let said = String::from_utf8(out).unwrap();
    for line in [
        "WRONG  release      7 runs again, for 8 was left: the screen hears no touch",
        "WRONG  trust        there is no TPM",
        "good   touch        a touch screen is there",
        "good   display      card0-HDMI-A-1",
        "WRONG  heat         95 °C",
        "WRONG  memory       97 of 3906 MiB are left",
        "WRONG  disk wear    100 % of its life",
        "WRONG  clock        not set by the network",
        "good   settings     Pharmacie des Halles",
        "WRONG  outbox       it does not answer",
        "WRONG  desk         127.0.0.1:9: ",
        "WRONG  joined       http://127.0.0.1:9: this cabin has not joined it yet",
    ] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    assert!(error.contains("must be looked after"), "{error}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_fault() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Command::new(env!("CARGO_BIN_EXE_cabinctl")).arg("--version").stdout(writer).output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(128 + 13), ""));
    let said = Command::new(env!("CARGO_BIN_EXE_cabinctl")).arg("--version").output().unwrap();
    assert_eq!(said.stdout, format!("cabinctl {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}
