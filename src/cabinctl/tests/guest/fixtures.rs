//! The lamp and the door's contact, enumerated by a real kernel: feature reports, the modem lines of a real serial driver.

use drivers::fixtures::FixtureEvent;
use drivers::fixtures::door_contact::{Door, ModemLine};
use drivers::fixtures::light_blink1::{CabinState, DEAD_AFTER};
use drivers::ports::fixtures::{DoorSettings, Fixtures, Settings};

use super::*;

/// Looks until the lamp shows that.
fn until_shown(lamp: &Simulator, expected: &str) {
    until(expected, || (lamp.command("values").unwrap() == expected).then_some(()));
}

fn next(messages: &Receiver<drivers::fixtures::Message>) -> FixtureEvent {
    messages.recv_timeout(PATIENCE).expect("the fixture says nothing").event
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn the_lamp_shows_the_cabin_and_by_itself_that_it_died() {
    if !is_here() {
        return;
    }
    let lamp = Simulator::start_on_usb("light_blink1", 0).unwrap();
    let address: drivers::ports::UsbAddress = "27b8:01ed".parse().unwrap();
    let light = Some(address.clone());
    {
        let (fixtures, messages) = Fixtures::open(Settings { light, ..Settings::default() });
        while !matches!(next(&messages), FixtureEvent::Opened { .. }) {}
        until_shown(&lamp, "colour=000000 alive");
        fixtures.show(CabinState::Free);
        until_shown(&lamp, "colour=00c020 alive");
        fixtures.show(CabinState::HelpCalled);
        until_shown(&lamp, "colour=ffffff alive");
        until_shown(&lamp, "colour=000000 alive");
        until_shown(&lamp, "colour=ffffff alive");
        fixtures.show(CabinState::Occupied);
        until_shown(&lamp, "colour=0030ff alive");
        // Alive as long as the cabin is, which is longer than the lamp waits.
        let until_at = Instant::now() + 2 * DEAD_AFTER;
        while Instant::now() < until_at {
            assert_eq!(lamp.command("values").unwrap(), "colour=0030ff alive");
            // That nothing happens for so long is the claim: no event can tell it.
            std::thread::sleep(Duration::from_millis(100));
        }
        lamp.command("unplug").unwrap();
        assert_eq!(next(&messages), FixtureEvent::Lost);
        lamp.command("plug").unwrap();
        assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
        until_shown(&lamp, "colour=0030ff alive");
    }
    // The cabin has died.
    let died_at = Instant::now();
    until_shown(&lamp, "colour=ff0000 dead");
    eprintln!("  dead after {} ms", died_at.elapsed().as_millis());
    until_shown(&lamp, "colour=000000 dead");
    until_shown(&lamp, "colour=ff0000 dead");
    let device = find::resolve(&Address::Usb(address)).unwrap();
    assert_eq!(kernel_driver(&device).as_deref(), Some("usbhid"), "given back");
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn the_door_is_seen_through_a_serial_adapters_modem_lines() {
    if !is_here() {
        return;
    }
    let contact = Simulator::start_on_usb("door_contact", 0).unwrap();
    until("ftdi_sio", || Path::new("/dev/ttyUSB0").exists().then_some(()));
    let address = Address::Path("/dev/ttyUSB0".into());
    let door = |line| Some(DoorSettings { address: address.clone(), line, closed_when_up: true });
    let (fixtures, messages) = Fixtures::open(Settings { door: door(ModemLine::Cts), ..Settings::default() });
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    assert_eq!(next(&messages), FixtureEvent::Door(Door::Closed));
    contact.command("open").unwrap();
    assert_eq!(next(&messages), FixtureEvent::Door(Door::Open));
    contact.command("unplug").unwrap();
    assert_eq!(next(&messages), FixtureEvent::Lost);
    contact.command("close").unwrap();
    contact.command("plug").unwrap();
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    assert_eq!(next(&messages), FixtureEvent::Door(Door::Closed));
    drop(fixtures);
    // Nothing is wired to that input.
    let (_fixtures, messages) = Fixtures::open(Settings { door: door(ModemLine::Dsr), ..Settings::default() });
    assert!(matches!(next(&messages), FixtureEvent::Opened { .. }));
    assert_eq!(next(&messages), FixtureEvent::Door(Door::Open));
}
