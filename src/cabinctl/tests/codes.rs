//! A document's code, drawn by another program (zint), held before what stands for a camera, read by the real
//! `cabinctl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example of ANS, of the test realm.
const INS: &str = "IS010000000000000000000000S1279035121518989S21.2.250.1.213.1.4.10S3DOMINIQUE MARIE-LOUISE\\x1dS4PAT-TROIS\\x1dS5FS628-03-1979S751215";

/// A picture of the code. `None`: there is no zint.
fn drawn(folder: &Path, content: &str) -> Option<PathBuf> {
    let file = folder.join("code.png");
    let output = Command::new("zint")
        .args(["--barcode=71", "--square", "--esc", "--binary", "--scale=3", "--whitesp=4", "--vwhitesp=4"])
        .args(["-d", content, "-o"])
        .arg(&file)
        .output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "there is no zint: tests/tools/install test installs it");
        eprintln!("SKIPPED, there is no zint: tests/tools/install test installs it");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(file)
}

fn cabinctl(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cabinctl")).args(["code", "read"]).args(words).output().unwrap()
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_code_held_before_the_camera_is_read_and_names_a_patient_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = drawn(folder.path(), INS) else { return };
    let camera = file.to_str().unwrap();
    let (good, text, why) = said(&cabinctl(&["--camera", camera]));
    assert!(good && text.contains("scanned  the INS code of a document"), "{text}{why}");
    assert!(!text.contains("PAT-TROIS") && !text.contains("1979"), "{text}");
    let (good, text, why) = said(&cabinctl(&["--camera", camera, "--show"]));
    assert!(good && text.contains("PAT-TROIS, DOMINIQUE MARIE-LOUISE, born 1979-03-28"), "{text}{why}");
}

#[test]
fn another_code_is_said_to_be_another_and_none_at_all_is_waited_for_no_longer_than_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = drawn(folder.path(), "https://example.org/ticket") else { return };
    let (good, text, why) = said(&cabinctl(&["--camera", file.to_str().unwrap()]));
    assert!(good && text.contains("a code that the cabin does not know"), "{text}{why}");
    let (good, _, why) = said(&cabinctl(&["--camera", "test", "--within", "1"]));
    assert!(!good && why.contains("no code was seen"), "{why}");
    let (good, _, why) = said(&cabinctl(&["--camera", "/nowhere/code.png", "--within", "1"]));
    assert!(!good, "{why}");
}
