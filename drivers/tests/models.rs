//! A device is one driver, one line in `MODELS`, one simulator, one capture with what it must give, one fuzz target.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drivers::MODELS;
use drivers::capture::Capture;

/// Files of `drivers` that are no model.
const SHARED: &[&str] = &[
    "lib",
    "capture",
    "contec_stream",
    "counted_report",
    "cuff_memory",
    "decimal",
    "device_clock",
    "electrocardiography",
    "fuzz",
    "hearing",
    "models",
    "oximetry",
    "plugged",
    "probe",
    "recorder",
    "stored",
    "taidoc",
    "weighing",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn every_model_has_its_driver_simulator_capture_and_fuzz_target() {
    for model in MODELS {
        let key = model.key;
        for file in [
            format!("drivers/{key}.rs"),
            format!("drivers/sim/{key}.rs"),
            format!("tests/captures/{key}.capture"),
            format!("tests/captures/{key}.expected"),
            format!("tests/fuzz/fuzz_targets/{key}.rs"),
        ] {
            assert!(root().join(&file).is_file(), "{key}: {file} is missing");
        }
        assert!(sim::MODELS.contains(&key), "{key} has no simulator");
        let manifest = std::fs::read_to_string(root().join("tests/fuzz/Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("name = \"{key}\"")), "{key} is no target of tests/fuzz/Cargo.toml");
        let text = std::fs::read_to_string(root().join(format!("tests/captures/{key}.capture"))).unwrap();
        let capture = Capture::parse(&text).unwrap();
        assert_eq!(capture.field("model"), Some(key));
        for field in ["firmware", "who", "when"] {
            assert!(capture.field(field).is_some(), "{key}: the capture does not say {field}");
        }
        assert!(capture.field("where").or(capture.field("page")).is_some(), "{key}: where, or which page?");
        assert!(!capture.bursts.is_empty());
    }
}

#[test]
fn every_driver_file_is_in_the_table() {
    let keys: BTreeSet<&str> = MODELS.iter().map(|model| model.key).collect();
    assert_eq!(keys.len(), MODELS.len(), "a key twice");
    for entry in std::fs::read_dir(root().join("drivers")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".rs") else { continue };
        assert!(keys.contains(stem) || SHARED.contains(&stem), "{name} is not in MODELS");
    }
    assert_eq!(sim::MODELS.iter().copied().collect::<BTreeSet<_>>(), keys);
}

#[test]
fn every_model_stands_in_the_readme_with_what_was_never_seen() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    for model in drivers::MODELS {
        let row = readme.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{}`", model.key)));
        let cells = row.unwrap_or_else(|| panic!("{} has no row in the README's table of devices", model.key));
        let without_line = if model.is_read_from_files() { "USB storage" } else { "USB HID" };
        let link = model.line.map_or(without_line.to_owned(), |line| format!("serial {}", line.baud));
        let confidence = format!("({:?})", model.confidence);
        assert!(cells.contains(&link) && cells.contains(&confidence), "{}: {cells}", model.key);
    }
}

#[test]
fn the_physician_reads_a_name_for_every_model_and_sees_which_is_not_for_diagnosis() {
    let words = std::fs::read_to_string(root().join("src/desk/page/words.js")).unwrap();
    let (_, devices) = words.split_once("  device: {").unwrap();
    let (devices, _) = devices.split_once("},").unwrap();
    let said = |key: &str| {
        let (_, text) = devices.split_once(&format!(" {key}: \""))?;
        text.split_once('"').map(|(said, _)| said)
    };
    for model in MODELS {
        let said = said(model.key).unwrap_or_else(|| panic!("{}: the page has no word for it", model.key));
        assert_eq!(said.contains("pas pour un diagnostic"), !model.is_medical(), "{}: {said}", model.key);
    }
    for instrument in ["otoscope_uvc", "dermatoscope_uvc", "stethoscope_uac"] {
        assert!(said(instrument).is_some(), "{instrument}");
    }
    let others: Vec<&str> = MODELS.iter().filter(|model| !model.is_medical()).map(|model| model.key).collect();
    assert_eq!(others, ["ecg_cyton", "ecg_healthypi5", "scale_usb_hid"]);
}
