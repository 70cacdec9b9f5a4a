//! Fixtures on real pseudo-terminals, against simulators that share no code with them.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use drivers::fixtures::presence_ld2410::Presence;
use drivers::fixtures::{FixtureEvent, Message};
use drivers::ports::fixtures::{DoorSettings, Fixtures, PresenceSettings, Settings};
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
