//! What stands in the cabin and measures nobody: card reader, lamp, door, radar. Each table may be absent.

use std::path::Path;
use std::time::Duration;

use crate::reader::{Notes, Table};
use crate::sections::{A_CAMERA, PORT_KEYS, a_usb, any, camera, host, port};
use crate::{
    CardReader, Device, DevicePort, Door, DoorLine, Fixtures, Light, Presence, PrinterPort, ReceiptPrinter, Scanner,
};

/// A blink(1), as its maker sells it.
const BLINK1: &str = "27b8:01ed";
/// A radar's reach, centimetres: a cabin is smaller, and the LD2410 sees no farther than 6 m.
const WITHIN_CM: std::ops::Range<u32> = 30..601;

pub(crate) fn read(root: &mut Table<'_, '_>, folder: &Path, devices: &[Device], notes: &mut Notes<'_>) -> Fixtures {
    let mut taken: Vec<(String, DevicePort)> =
        devices.iter().map(|device| (device.name.clone(), device.port.clone())).collect();
    let mut bound = |t: &mut Table<'_, '_>, name: &'static str, notes: &mut Notes<'_>| {
        let port = port(t, name, folder, &taken, notes)?;
        taken.push((name.into(), port.clone()));
        Some(port)
    };

    let card_reader = table(root, "card_reader", notes, |t, notes| {
        let name = t.optional("name", "\"any\", or part of a name that cabinctl card read shows", notes, any);
        Some(CardReader { name: name.filter(|name| name != "any") })
    });
    let light = table(root, "light", notes, |t, notes| {
        let usb = t.optional("usb", "VENDOR:PRODUCT of a blink(1), 27b8:01ed, then /SERIAL if several", notes, a_usb);
        Some(Light { usb: usb.unwrap_or_else(|| BLINK1.into()) })
    });
    let door = table(root, "door", notes, |t, notes| {
        let port = bound(t, "door", notes);
        let lines = [("cts", DoorLine::Cts), ("dsr", DoorLine::Dsr), ("dcd", DoorLine::Dcd), ("ri", DoorLine::Ri)];
        let line = t.one_of("line", &lines, Some(DoorLine::Cts), notes);
        let closed_when_up = t.one_of("closed_when", &[("up", true), ("down", false)], Some(true), notes);
        Some(Door { port: port?, line: line?, closed_when_up: closed_when_up? })
    });
    let presence = table(root, "presence", notes, |t, notes| {
        let port = bound(t, "presence", notes);
        let within_cm = u16::try_from(t.number("within_cm", WITHIN_CM, 200, notes)).unwrap_or(u16::MAX);
        let hold = Duration::from_secs(t.number("hold_seconds", 2..601, 15, notes).into());
        Some(Presence { port: port?, within_cm, hold })
    });
    let scanner = table(root, "scanner", notes, |t, notes| {
        let camera = t.optional("camera", A_CAMERA, notes, camera);
        let has_line = PORT_KEYS.into_iter().any(|key| t.has(key));
        // A camera alone is a scanner too.
        let port = if t.has("camera") && !has_line { None } else { Some(bound(t, "scanner", notes)?) };
        let baud = t.number("baud", 1_200..230_401, 9_600, notes);
        let takes_tests = t.flag("takes_tests", false, notes);
        Some(Scanner { port, camera, baud, takes_tests })
    });
    let receipt_printer = table(root, "receipt_printer", notes, |t, notes| {
        let expected = "host or host:port of a network printer";
        let network = t.optional("host", expected, notes, |text| host(text).map(|_| text.to_owned()));
        let file = t.optional("file", "a USB printer's file, e.g. /dev/usb/lp0", notes, |text| Some(folder.join(text)));
        let at = match (t.has("host"), t.has("file")) {
            (true, false) => network.map(PrinterPort::Network),
            (false, true) => file.map(PrinterPort::File),
            (true, true) => {
                notes.note(t.at(), "receipt_printer.port", "host or file, not both");
                None
            }
            (false, false) => {
                let baud = t.number("baud", 1_200..230_401, 9_600, notes);
                bound(t, "receipt_printer", notes).map(|port| PrinterPort::Serial { port, baud })
            }
        };
        let is_wide = t.one_of("paper", &[("80mm", true), ("58mm", false)], Some(true), notes);
        let is_windows = t.one_of("letters", &[("cp858", false), ("cp1252", true)], Some(false), notes);
        let cuts = t.flag("cuts", true, notes);
        Some(ReceiptPrinter { at: at?, is_wide: is_wide?, is_windows: is_windows?, cuts })
    });
    Fixtures { card_reader, light, door, presence, scanner, receipt_printer }
}

/// A table that may be absent: without it the cabin has no such thing.
fn table<T>(
    root: &mut Table<'_, '_>,
    name: &'static str,
    notes: &mut Notes<'_>,
    read: impl FnOnce(&mut Table<'_, '_>, &mut Notes<'_>) -> Option<T>,
) -> Option<T> {
    if !root.has(name) {
        return None;
    }
    let mut t = root.table(name, notes);
    let fixture = read(&mut t, notes);
    t.end(notes);
    fixture
}
