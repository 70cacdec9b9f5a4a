//! A card reader on USB (class CCID): QEMU's, behind a real controller, driven by the real `pcscd` with its driver. The
//! card in it is the one that `tests/cards.rs` puts into the virtual reader.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use pcsc::{Context, ReaderState, Scope, State};
use sim::card_in_qemu::Slot;
use sim::card_vitale::Kind;

use super::*;
use crate::card_service::Service;

/// What is on the card of `Kind::Vitale`.
const PATIENT: &str = "DUBOIS-ESSAI, ELEONORE, born 1979-03-28";
/// Commands that reading it takes without the number, which `cabinctl` never asks for: folder, file, other folder.
const COMMANDS: usize = 3;
/// Plugged in last, pulled out first: the reader, and what QEMU calls the card's holder in it.
const READER: [&str; 2] = [
    r#""driver":"usb-ccid","id":"reader","bus":"xhci.0","port":"1""#,
    r#""driver":"ccid-card-passthru","id":"slot","bus":"reader.0","chardev":"card""#,
];

/// The port of that name to this machine's own QEMU.
fn port(name: &str) -> PathBuf {
    let ports = std::fs::read_dir("/sys/class/virtio-ports").unwrap().map(|entry| entry.unwrap());
    let is_it = |folder: &PathBuf| std::fs::read_to_string(folder.join("name")).is_ok_and(|said| said.trim() == name);
    let folder = ports.map(|entry| entry.path()).find(is_it).unwrap_or_else(|| panic!("no port {name}"));
    Path::new("/dev").join(folder.file_name().unwrap())
}

/// The hand that plugs the reader in (QEMU Machine Protocol).
struct Hand {
    orders: File,
    said: std::io::Lines<BufReader<File>>,
}

impl Hand {
    fn new() -> Hand {
        let orders = OpenOptions::new().read(true).write(true).open(port("monitor")).unwrap();
        let said = BufReader::new(orders.try_clone().unwrap()).lines();
        let mut hand = Hand { orders, said };
        hand.order("qmp_capabilities", "");
        hand
    }

    fn order(&mut self, what: &str, how: &str) {
        writeln!(self.orders, r#"{{"execute":"{what}","arguments":{{{how}}}}}"#).unwrap();
        self.wait_for(r#"{"return":"#);
    }

    fn wait_for(&mut self, part: &str) {
        for line in self.said.by_ref() {
            let line = line.unwrap();
            assert!(!line.contains(r#""error":"#), "{line}");
            if line.contains(part) {
                return;
            }
        }
        panic!("QEMU hung up");
    }

    fn plugs_the_reader_in(&mut self) {
        for device in READER {
            self.order("device_add", device);
        }
    }

    fn pulls_the_reader_out(&mut self) {
        self.order("device_del", r#""id":"reader""#);
    }
}

/// Waits until the service has looked into its reader and seen a card or none; gives the reader's name, which it has
/// whole only then.
fn reader(is_in: bool) -> String {
    let context = Context::establish(Scope::System).unwrap();
    until("the service to see it", || {
        let name = context.list_readers_owned().unwrap_or_default().into_iter().next()?;
        let mut states = [ReaderState::new(name, State::UNAWARE)];
        context.get_status_change(PATIENCE, &mut states).ok()?;
        let name = states[0].name().to_string_lossy().into_owned();
        states[0].event_state().contains(if is_in { State::PRESENT } else { State::EMPTY }).then_some(name)
    })
}

fn no_reader() {
    let context = Context::establish(Scope::System).unwrap();
    until("the service to see it go", || context.list_readers_owned().unwrap_or_default().is_empty().then_some(()));
}

fn card_read() -> Cabinctl {
    Cabinctl::start(&["card", "read", "--show"], None)
}

/// In their order: every reading of this boot, since QEMU's ports have one program each.
#[test]
#[ignore = "in the guest only, where a test of its own starts it"]
fn a_card_is_read_by_the_real_service_and_over_its_readers_unplugging() {
    if !is_here() {
        return;
    }
    // The service learns of a reader from it.
    let _udev = Udev::start();
    let _service = Service::start("");
    let slot = Slot::open(&port("card")).unwrap();
    let mut hand = Hand::new();
    hand.plugs_the_reader_in();
    let name = reader(false);
    eprintln!("  the service calls it {name}");

    // Read as in the virtual reader, by each way in which a card answers.
    for (kind, people, first) in [
        (Kind::Vitale, "one person", PATIENT),
        (Kind::VitaleByPieces, "one person", PATIENT),
        (Kind::Family, "9 people", "GARNIER-ESSAI, MARGUERITE ANNE, born 1981-07-17"),
    ] {
        slot.insert(kind).unwrap();
        reader(true);
        let cabinctl = card_read();
        assert_eq!(cabinctl.wait_for("reader "), format!("reader   {name}"));
        assert_eq!(cabinctl.wait_for("read  "), format!("read     a carte Vitale with {people} on it"), "{kind:?}");
        assert_eq!(cabinctl.wait_for("1 "), format!("1        {first}"), "{kind:?}");
        assert!(cabinctl.end());
        assert!(kind != Kind::Vitale || slot.commands().len() == COMMANDS, "{:02X?}", slot.commands());
        slot.pull().unwrap();
        reader(false);
    }

    // The reader's own cable, with a command on its way: said, and the reader is back with its cable.
    slot.insert_for(Kind::Vitale, 2).unwrap();
    let cabinctl = card_read();
    until("the card's second command", || (slot.commands().len() == 2).then_some(()));
    hand.pulls_the_reader_out();
    no_reader();
    let said = cabinctl.wait_for_any(&["fault ", "cabinctl: "]);
    assert!(said.contains("pulled out too soon") || said.contains("no card reader: check its USB cable"), "{said}");
    drop(cabinctl);
    let missing = card_read();
    assert!(missing.wait_for("cabinctl: ").contains("no card reader: check its USB cable"));
    assert!(!missing.end());
    let plugged_at = Instant::now();
    hand.plugs_the_reader_in();
    slot.insert(Kind::Vitale).unwrap();
    assert_eq!(reader(true), name);
    eprintln!("  the reader is back {} ms after its plug", plugged_at.elapsed().as_millis());
    let cabinctl = card_read();
    assert!(cabinctl.wait_for("1 ").ends_with(PATIENT));
    assert!(cabinctl.end());
}
