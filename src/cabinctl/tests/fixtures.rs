//! The technician watches the cabin's fixtures with the real program.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const CONFIG: &str = include_str!("../../config/example.toml");

/// The example without the table of that name.
fn without(text: &str, table: &str) -> String {
    let begin = text.find(&format!("[{table}]")).unwrap();
    let end = text[begin + 1..].find("\n[").map_or(text.len(), |at| begin + 1 + at + 1);
    format!("{}{}", &text[..begin], &text[end..])
}

#[test]
fn what_the_radar_says_is_printed_as_it_comes() {
    let dir = tempfile::TempDir::new().unwrap();
    let port = dir.path().join("radar");
    let _radar = sim::Simulator::start("presence_ld2410", &port).unwrap();
    let text = ["light", "door", "scanner"].iter().fold(CONFIG.to_owned(), |text, table| without(&text, table));
    let text = text.replace("id_path = \"pci-0000:00:14.0-usb-0:4:1.0\"", &format!("path = {port:?}"));
    let config = dir.path().join("cabin.toml");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabinctl"));
    command.args(["fixture", "watch", "--config"]).arg(&config).stdout(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let open = lines.next().unwrap().unwrap();
    assert!(open.starts_with("presence_ld2410") && open.contains(port.to_str().unwrap()), "{open}");
    let said = lines.next().unwrap().unwrap();
    assert!(said.ends_with("presence Somebody"), "{said}");
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_cabin_without_fixtures_says_so() {
    let dir = tempfile::TempDir::new().unwrap();
    let config = dir.path().join("cabin.toml");
    std::fs::write(
        &config,
        ["light", "door", "presence", "scanner"].iter().fold(CONFIG.to_owned(), |text, table| without(&text, table)),
    )
    .unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_cabinctl")).args(["fixture", "watch", "--config"]).arg(&config).output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.contains("no [light], [door], [presence] nor [scanner]"), "{said}");
}

#[test]
fn a_receipt_without_a_patient_is_printed_and_a_closed_cover_asked_for() {
    let dir = tempfile::TempDir::new().unwrap();
    let port = dir.path().join("printer");
    let printer = sim::Simulator::start("printer_escpos", &port).unwrap();
    let config = dir.path().join("cabin.toml");
    std::fs::write(&config, CONFIG.replace("host = \"192.168.1.40:9100\"", &format!("path = {port:?}"))).unwrap();
    let test = || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_cabinctl")).args(["printer", "test", "--config"]).arg(&config).output();
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (good, said, why) = test();
    assert!(good && said.contains("status   ready") && said.contains("on paper"), "{said}{why}");
    let paper = printer.command("values").unwrap();
    assert!(paper.contains("Pharmacie des Halles\n") && paper.contains("{code https://example.org/essai}"), "{paper}");
    printer.command("cover open").unwrap();
    let (good, said, why) = test();
    assert!(!good && said.contains("cover is open") && why.contains("close it"), "{said}{why}");
}
