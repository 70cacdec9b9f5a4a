//! Fixtures on real pseudo-terminals, against simulators that share no code with them.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use drivers::fixtures::presence_ld2410::Presence;
use drivers::fixtures::printer_escpos::{Paper, PrinterStatus, Receipt};
use drivers::fixtures::scanner_codes::{Accept, InsRefused, Scan};
use drivers::fixtures::{FixtureEvent, Message};
use drivers::ports::fixtures::{
    DoorSettings, Fixtures, PresenceSettings, Printed, PrinterAddress, PrinterFault, ScannerSettings, Settings, print,
    printer_status,
};
use drivers::ports::{Address, Remedy};
use sim::Simulator;

/// A test that waits longer than that has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Socket(PathBuf);

impl Socket {
    fn new(name: &str) -> Socket {
        Socket(std::env::temp_dir().join(format!("fixture-{name}-{}", std::process::id())))
    }

    fn address(&self) -> Address {
        Address::Path(self.0.clone())
    }
}

fn next(messages: &Receiver<Message>) -> FixtureEvent {
    messages.recv_timeout(PATIENCE).expect("the fixture says nothing").event
}

fn presence(messages: &Receiver<Message>) -> Presence {
    match next(messages) {
        FixtureEvent::Presence(presence) => presence,
        other => panic!("{other:?}"),
    }
}

fn with_radar(socket: &Socket) -> Settings {
    let hold = Duration::from_millis(400);
    let presence = Some(PresenceSettings { address: socket.address(), within_cm: 200, hold });
    Settings { presence, ..Settings::default() }
}

#[test]
fn a_radar_tells_who_comes_and_goes_and_is_back_after_an_unplugging() {
    let socket = Socket::new("radar");
    let radar = Simulator::start("presence_ld2410", &socket.0).unwrap();
    let (fixtures, messages) = Fixtures::open(with_radar(&socket));
    assert_eq!(next(&messages), FixtureEvent::Opened { path: socket.0.clone() });
    assert_eq!(presence(&messages), Presence::Somebody);
    radar.command("nobody").unwrap();
    assert_eq!(presence(&messages), Presence::Nobody);
    radar.command("engineering on").unwrap();
    radar.command("somebody moves").unwrap();
    assert_eq!(presence(&messages), Presence::Somebody);
    // Both are outside the wall.
    radar.command("value moving=420 still=300").unwrap();
    assert_eq!(presence(&messages), Presence::Nobody);
    radar.command("unplug").unwrap();
    assert_eq!(next(&messages), FixtureEvent::Lost);
    radar.command("value moving=42 still=30").unwrap();
    radar.command("plug").unwrap();
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    assert_eq!(presence(&messages), Presence::Somebody);
    drop(fixtures);
    assert!(messages.recv_timeout(PATIENCE).is_err(), "it is closed");
}

#[test]
fn a_radar_that_is_silent_or_garbled_is_said() {
    let socket = Socket::new("silent");
    let radar = Simulator::start("presence_ld2410", &socket.0).unwrap();
    radar.command("silent on").unwrap();
    let (_fixtures, messages) = Fixtures::open(with_radar(&socket));
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    assert_eq!(presence(&messages), Presence::Silent);
    radar.command("silent off").unwrap();
    assert_eq!(presence(&messages), Presence::Somebody);
}

#[test]
fn a_fixture_that_is_not_there_is_said_once_and_opened_when_it_comes() {
    let socket = Socket::new("late");
    let (_fixtures, messages) = Fixtures::open(with_radar(&socket));
    assert_eq!(next(&messages), FixtureEvent::Lost);
    let _radar = Simulator::start("presence_ld2410", &socket.0).unwrap();
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    assert_eq!(presence(&messages), Presence::Somebody);
}

#[test]
fn a_door_on_a_line_without_modem_lines_is_refused_with_what_to_do() {
    let socket = Socket::new("door");
    // A pseudo-terminal has none.
    let _device = Simulator::start("presence_ld2410", &socket.0).unwrap();
    let line = drivers::fixtures::door_contact::ModemLine::Cts;
    let door = Some(DoorSettings { address: socket.address(), line, closed_when_up: true });
    let (_fixtures, messages) = Fixtures::open(Settings { door, ..Settings::default() });
    assert_eq!(next(&messages), FixtureEvent::Refused { path: socket.0.clone(), remedy: Remedy::NotAPort });
}

fn receipt() -> Receipt {
    Receipt {
        place: "Pharmacie des Halles".into(),
        lines: vec!["49000 Angers".into(), "22 novembre 2026, 10 h 30".into()],
        code: Some(("Vos papiers :".into(), "https://desk.example.org/p/1#cl\u{e9}".into())),
        next: vec!["Montrez l’ordonnance au comptoir, où l'on vous aidera. Payé : 0 €".into()],
    }
}

fn on(socket: &Socket) -> PrinterAddress {
    PrinterAddress::Serial { address: socket.address(), baud: 9_600 }
}

/// What is on its paper, once that is there: it reads as it likes.
fn paper(printer: &Simulator, end: &str) -> String {
    let give_up_at = std::time::Instant::now() + PATIENCE;
    loop {
        let paper = printer.command("values").unwrap();
        if paper.ends_with(end) {
            return paper;
        }
        assert!(std::time::Instant::now() < give_up_at, "{paper:?} does not end with {end:?}");
    }
}

#[test]
fn a_receipt_is_on_paper_as_it_was_written_and_the_printer_confirms_it() {
    let socket = Socket::new("printer");
    let printer = Simulator::start("printer_escpos", &socket.0).unwrap();
    assert_eq!(printer_status(&on(&socket)), Ok(Some(PrinterStatus::default())));
    let ticket = receipt().print(Paper::WIDE).unwrap();
    assert_eq!(print(&on(&socket), &ticket), Ok(Printed::Confirmed));
    let expected = "{centre}{size 2x2}{bold}Pharmacie des Halles\n{size 1x1}{/bold}49000 Angers\n\
                    22 novembre 2026, 10 h 30\n\nVos papiers :\n{centre}{code https://desk.example.org/p/1#cl\u{e9}}\n\
                    {left}Montrez l'ordonnance au comptoir, où l'on vous\naidera. Payé : 0 €\n{cut}";
    assert_eq!(paper(&printer, "{cut}"), expected);
}

#[test]
fn a_printer_that_cannot_print_says_why_and_prints_nothing() {
    let socket = Socket::new("empty");
    let printer = Simulator::start("printer_escpos", &socket.0).unwrap();
    let ticket = receipt().print(Paper::WIDE).unwrap();
    for (wrong, right, words) in [("paper out", "paper in", "put a roll in"), ("cover open", "cover close", "close it")]
    {
        printer.command(wrong).unwrap();
        let fault = print(&on(&socket), &ticket).unwrap_err();
        assert!(matches!(fault, PrinterFault::NotReady(_)) && fault.to_string().contains(words), "{fault}");
        printer.command(right).unwrap();
    }
    assert_eq!(printer.command("values").unwrap(), "");
    // The roll ends within the receipt.
    printer.command("value left=60").unwrap();
    let fault = print(&on(&socket), &ticket).unwrap_err();
    assert!(fault.to_string().contains("put a roll in"), "{fault}");
    printer.command("paper in").unwrap();
    printer.command("paper low").unwrap();
    assert_eq!(print(&on(&socket), &ticket), Ok(Printed::Confirmed));
}

#[test]
fn a_printer_that_tells_nothing_is_printed_on_and_never_confirmed() {
    let socket = Socket::new("mute");
    let printer = Simulator::start("printer_escpos", &socket.0).unwrap();
    printer.command("mute").unwrap();
    assert_eq!(printer_status(&on(&socket)), Ok(None));
    assert_eq!(print(&on(&socket), &receipt().print(Paper::NARROW).unwrap()), Ok(Printed::Sent));
    paper(&printer, "\n\n\n\n\n");
    printer.command("unplug").unwrap();
    let fault = print(&on(&socket), b"x").unwrap_err();
    assert!(matches!(fault, PrinterFault::Missing(_)), "{fault}");
}

#[test]
fn a_printer_is_reached_by_its_file_and_over_the_network() {
    let socket = Socket::new("lp");
    let printer = Simulator::start("printer_escpos", &socket.0).unwrap();
    let ticket = receipt().print(Paper::WIDE).unwrap();
    assert_eq!(print(&PrinterAddress::File(socket.0.clone()), &ticket), Ok(Printed::Confirmed));
    printer.command("tear").unwrap();

    // A print server: what comes from the network goes to the printer, and back.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let line = socket.0.clone();
    let server = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let port = std::fs::OpenOptions::new().read(true).write(true).open(line).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), port.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut &port, &mut &client);
    });
    assert_eq!(print(&PrinterAddress::Network(host), &ticket), Ok(Printed::Confirmed));
    paper(&printer, "{cut}");
    printer.command("unplug").unwrap();
    server.join().unwrap();
    let nobody = PrinterAddress::Network("127.0.0.1:1".into());
    assert!(matches!(print(&nobody, &ticket), Err(PrinterFault::Missing(_))));
}

#[test]
fn a_scanned_ins_code_fills_the_form_however_the_scanner_is_set() {
    let socket = Socket::new("scanner");
    let scanner = Simulator::start("scanner_codes", &socket.0).unwrap();
    let settings = ScannerSettings { address: socket.address(), baud: 9_600, accept: Accept::Real };
    let (_fixtures, messages) = Fixtures::open(Settings { scanner: Some(settings), ..Settings::default() });
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    let scan = |what: &str| {
        scanner.command(&format!("scan {what}")).unwrap();
        match next(&messages) {
            FixtureEvent::Scanned(scan) => scan,
            other => panic!("{other:?}"),
        }
    };
    for setting in ["kind=on end=crlf", "kind=off end=cr", "kind=on end=lf", "kind=off end=none"] {
        scanner.command(&format!("value {setting}")).unwrap();
        let Scan::Ins(prefill) = scan("ins") else { panic!("not read with {setting}") };
        assert_eq!(prefill.birth_name(), Some("D'ESSAI"));
        assert_eq!(prefill.given_names(), Some("JEAN-BAPTISTE LOUIS"));
        assert_eq!(prefill.birth_date(), Some((1985, Some(5), Some(17))));
        assert_eq!(prefill.matricule(), Some("185057800608491"));
    }
    scanner.command("value kind=on end=crlf").unwrap();
    assert_eq!(scan("test"), Scan::InsRefused(InsRefused::Test));
    assert_eq!(scan("damaged"), Scan::InsRefused(InsRefused::Block(1)));
    assert_eq!(scan("apcv"), Scan::Unknown);
    let Scan::Gs1(product) = scan("box") else { panic!("no product") };
    assert_eq!((product.gtin.as_str(), product.lot.as_deref()), ("03453120000011", Some("ABCD1234")));
}
