//! The udev rules that a refused port asks a technician to install fit the models.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use drivers::fixtures::{FIXTURES, Plug};
use drivers::{ANY_PERSONAL_HEALTH, MODELS, Transport};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../systemd/70-cabin-devices.rules")
}

fn sight_and_sound() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../systemd/72-cabin-sight-and-sound.rules")
}

/// One rule: key, operator and value, in order (udev(7): several on a line, a comma between).
fn rule(line: &str) -> Vec<(String, String, String)> {
    let mut parts = Vec::new();
    let mut rest = line;
    loop {
        let quote = rest.find('"').unwrap_or_else(|| panic!("no value in {rest}"));
        let end = quote + 1 + rest[quote + 1..].find('"').unwrap_or_else(|| panic!("an open quote in {rest}"));
        let key = rest[..quote].trim_end_matches(['=', '+', '!']);
        parts.push((key.to_owned(), rest[key.len()..quote].to_owned(), rest[quote + 1..end].to_owned()));
        rest = match &rest[end + 1..] {
            "" => return parts,
            more => more.strip_prefix(", ").unwrap_or_else(|| panic!("no comma before {more}")),
        };
    }
}

#[test]
fn every_adapter_of_a_model_has_a_rule_that_lets_the_cabin_open_it_and_nobody_else() {
    let text = std::fs::read_to_string(file()).unwrap();
    let mut known = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts = rule(line);
        let matches: Vec<_> = parts.iter().filter(|(_, op, _)| op == "==").map(|(key, ..)| key.as_str()).collect();
        let given = |key: &str, op: &str, value: &str| {
            assert!(parts.iter().any(|part| *part == (key.into(), op.into(), value.into())), "{key} {op} in {line}");
        };
        if line.contains("ID_USB_INTERFACES") {
            // A class of devices, and not one maker's.
            assert_eq!(matches, ["SUBSYSTEM", "ENV{DEVTYPE}", "ENV{ID_USB_INTERFACES}"], "{line}");
            given("ENV{ID_USB_INTERFACES}", "==", "*:0f0000:*");
            given("GROUP", "=", "cabin");
            given("MODE", "=", "0660");
            assert!(known.insert((ANY_PERSONAL_HEALTH.vid, ANY_PERSONAL_HEALTH.pid, false)), "twice: {line}");
            continue;
        }
        // The adapter is some levels above the tty; without one it is the device itself, and not its interfaces.
        let (is_serial, [vendor, product]) = if parts[0].2 == "tty" {
            assert_eq!(matches, ["SUBSYSTEM", "SUBSYSTEMS", "ATTRS{idVendor}", "ATTRS{idProduct}"], "{line}");
            given("SUBSYSTEMS", "==", "usb");
            given("ENV{ID_MM_PORT_IGNORE}", "=", "1");
            (true, ["ATTRS{idVendor}", "ATTRS{idProduct}"])
        } else {
            assert_eq!(matches, ["SUBSYSTEM", "ENV{DEVTYPE}", "ATTR{idVendor}", "ATTR{idProduct}"], "{line}");
            given("SUBSYSTEM", "==", "usb");
            given("ENV{DEVTYPE}", "==", "usb_device");
            (false, ["ATTR{idVendor}", "ATTR{idProduct}"])
        };
        given("GROUP", "=", "cabin");
        given("MODE", "=", "0660");
        given("TAG", "+=", "systemd");
        assert_eq!(parts.len(), if is_serial { 8 } else { 7 }, "{line}");
        let number = |key: &str| {
            let value = &parts.iter().find(|part| part.0 == key).unwrap().2;
            // The kernel's spelling, which udev compares letter by letter.
            assert!(value.len() == 4 && *value == value.to_lowercase(), "{value} in {line}");
            u16::from_str_radix(value, 16).unwrap()
        };
        assert!(known.insert((number(vendor), number(product), is_serial)), "twice: {line}");
    }
    let adapters = MODELS.iter().flat_map(|model| model.usb);
    let used: BTreeSet<_> = adapters.map(|usb| (usb.vid, usb.pid, usb.transport == Transport::Serial)).collect();
    let fixtures = FIXTURES.iter().filter_map(|fixture| match fixture.plug {
        Plug::Hid(vid, pid) => Some((vid, pid, false)),
        _ => None,
    });
    let used = used.into_iter().chain(fixtures).collect();
    assert_eq!(known, used, "one rule an adapter");
}

#[test]
fn cameras_stethoscope_button_and_receipt_printer_are_the_cabins_and_keyboards_are_not() {
    let text = std::fs::read_to_string(sight_and_sound()).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rules: Vec<_> = lines.map(rule).collect();
    let value = |parts: &[(String, String, String)], key: &str| {
        parts.iter().find(|(known, ..)| known == key).map(|(_, _, value)| value.clone())
    };
    let subsystems: Vec<_> = rules.iter().filter_map(|parts| value(parts, "SUBSYSTEM")).collect();
    assert_eq!(subsystems, ["video4linux", "sound", "input", "usbmisc"]);
    for parts in &rules {
        assert_eq!(value(parts, "GROUP").as_deref(), Some("cabin"), "{parts:?}");
        assert_eq!(value(parts, "MODE").as_deref(), Some("0660"), "{parts:?}");
        let is_input = value(parts, "SUBSYSTEM").as_deref() == Some("input");
        assert_eq!(is_input, value(parts, "DRIVERS").as_deref() == Some("uvcvideo"), "only a camera's own: {parts:?}");
    }
}

#[test]
fn udev_itself_accepts_the_rules() {
    // systemd 254 and later: Debian 13.
    let has_verify = Command::new("udevadm").args(["verify", "--help"]).output().is_ok_and(|out| out.status.success());
    if !has_verify {
        eprintln!("udev_itself_accepts_the_rules: SKIPPED, this udevadm has no verify (systemd 254)");
        return;
    }
    let mut verify = Command::new("udevadm");
    verify.args(["verify", "--resolve-names=never", "--no-summary"]).arg(file()).arg(sight_and_sound());
    let out = verify.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
