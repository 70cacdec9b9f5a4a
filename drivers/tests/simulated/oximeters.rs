//! Oximeters with a protocol of their own, on a pseudo-terminal: figures, curve, finger, clock, cable.

use drivers::Status;
use drivers::ports::PortEvent;

use super::bench::{Bench, numbers, readings};

#[test]
fn the_oximeter_gives_what_it_shows_in_both_formats() {
    for (format, spo2, pulse) in [(2, 94, 131), (7, 88, 57)] {
        let bench = Bench::new("oximeter_nonin", &format!("oximeter-{format}"));
        bench.order(&format!("value spo2={spo2} pulse={pulse} format={format}"));
        bench.port.start();
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [spo2, pulse]);
        assert_eq!(readings(&events)[0].device.firmware.as_deref(), Some("48"));
        let samples: usize =
            events.iter().map(|e| if let PortEvent::Waveform(w) = e { w.samples.len() } else { 0 }).sum();
        // Six seconds at 75 a second, and those before the pulse was found.
        assert!(samples >= 450, "{samples}");
    }
}

#[test]
fn the_oximeter_says_that_the_finger_is_out_and_gives_no_figure() {
    let bench = Bench::new("oximeter_nonin", "finger");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Live(_)));
    bench.order("finger out");
    bench.until(|e| matches!(e, PortEvent::Status(Status::FingerOut)));
    bench.order("finger in");
    let events = bench.until(|e| matches!(e, PortEvent::Status(Status::Tracking)));
    assert!(!events.iter().any(|e| matches!(e, PortEvent::Live(_) | PortEvent::Reading(_))), "{events:?}");
    assert_eq!(numbers(&bench.until_finished()), [97, 72]);
}

#[test]
fn an_oximeter_without_a_curve_gives_what_it_shows_once_a_second() {
    let bench = Bench::new("oximeter_nonin", "oximeter-8");
    bench.order("value spo2=93 pulse=141 format=8 choice=refused");
    bench.port.start();
    let events = bench.until_finished();
    assert_eq!(numbers(&events), [93, 141]);
    assert!(!events.iter().any(|e| matches!(e, PortEvent::Waveform(_) | PortEvent::Fault(_))), "{events:?}");
    bench.order("finger out");
    bench.until(|e| matches!(e, PortEvent::Status(Status::FingerOut)));
}

#[test]
fn an_oximeter_that_streams_no_curve_by_itself_is_asked_for_one() {
    for format in [8, 13] {
        let bench = Bench::new("oximeter_nonin", &format!("oximeter-asked-{format}"));
        bench.order(&format!("value spo2=93 pulse=141 format={format}"));
        bench.order("finger in");
        bench.port.start();
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [93, 141]);
        assert!(events.iter().any(|e| matches!(e, PortEvent::Waveform(_))), "{events:?}");
    }
}

#[test]
fn a_spot_check_made_now_is_taken_and_what_the_oximeter_stored_is_not() {
    for choice in ["refused", "ignored"] {
        let bench = Bench::new("oximeter_nonin", &format!("oximeter-13-{choice}"));
        // Its clock is at its zone's summer time and two minutes fast.
        bench.order(&format!("value spo2=87 pulse=120 format=13 choice={choice} clock=7320"));
        bench.order("stored");
        bench.order("value spo2=96 pulse=301");
        bench.port.start();
        bench.until(|e| matches!(e, PortEvent::Status(Status::FingerOut)));
        // The start reads the clock again; what is measured within its second could be older.
        bench.order("finger in");
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [96, 301]);
        let reading = &readings(&events)[0];
        assert_eq!(reading.device.serial.as_deref(), Some("501234567"));
        let off = reading.device_at.unwrap().0 - reading.at.0;
        assert!((117_000..=121_000).contains(&off), "the zone is taken off, its own error stays: {off} ms");
    }
}

#[test]
fn an_oximeter_whose_battery_was_changed_has_its_clock_set_before_a_spot_check_is_taken() {
    let bench = Bench::new("oximeter_nonin", "oximeter-13-clock");
    bench.order("value format=13 choice=refused clock=-800000000");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::FingerOut)));
    bench.order("finger in");
    assert_eq!(numbers(&bench.until_finished()), [97, 72]);
    assert!(bench.sim.command("values").unwrap().contains("format=13"));
}

#[test]
fn the_contec_oximeter_gives_what_it_shows() {
    let bench = Bench::new("oximeter_contec", "contec");
    // A pulse above 127 needs the byte of the top bits.
    bench.order("value spo2=88 pulse=131 perfusion=1207");
    bench.port.start();
    let events = bench.until_finished();
    assert_eq!(numbers(&events), [88, 131, 1_207]);
    let samples: usize = events.iter().map(|e| if let PortEvent::Waveform(w) = e { w.samples.len() } else { 0 }).sum();
    // Six seconds at 60 a second, less the first third of a second.
    assert!(samples >= 340, "{samples}");
}

#[test]
fn the_older_contec_oximeter_gives_what_it_shows_and_goes_on_when_its_cable_is_back() {
    let bench = Bench::new("oximeter_bci", "bci");
    // A pulse above 127 needs the bit in another byte.
    bench.order("value spo2=88 pulse=131");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Live(_)));
    assert_eq!(numbers(&bench.until_finished()), [88, 131]);
    bench.order("finger out");
    bench.until(|e| matches!(e, PortEvent::Status(Status::FingerOut)));
}

#[test]
fn the_contec_oximeter_says_that_the_finger_is_out_and_gives_no_figure() {
    let bench = Bench::new("oximeter_contec", "contec-finger");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Live(_)));
    bench.order("finger out");
    bench.until(|e| matches!(e, PortEvent::Status(Status::FingerOut)));
    bench.order("finger in");
    let events = bench.until(|e| matches!(e, PortEvent::Status(Status::Tracking)));
    assert!(!events.iter().any(|e| matches!(e, PortEvent::Live(_) | PortEvent::Reading(_))), "{events:?}");
    assert_eq!(numbers(&bench.until_finished()), [97, 72, 345]);
}

#[test]
fn the_taidoc_oximeter_gives_what_it_shows() {
    let bench = Bench::new("oximeter_taidoc", "taidoc-oximeter");
    bench.order("value spo2=93 pulse=131");
    bench.order("finger out");
    bench.port.start();
    let events = bench.until(|e| matches!(e, PortEvent::Status(Status::Searching)));
    assert!(!events.iter().any(|e| matches!(e, PortEvent::Live(_))), "{events:?}");
    bench.order("finger in");
    assert_eq!(numbers(&bench.until_finished()), [93, 131]);
}

#[test]
fn an_oximeter_unplugged_in_mid_measurement_goes_on_when_it_is_back() {
    let bench = Bench::new("oximeter_nonin", "oximeter-cable");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Live(_)));
    assert_eq!(numbers(&bench.until_finished()), [97, 72]);
}

#[test]
fn a_contec_oximeter_unplugged_in_mid_measurement_is_asked_to_stream_again() {
    let bench = Bench::new("oximeter_contec", "contec-cable");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Live(_)));
    assert_eq!(numbers(&bench.until_finished()), [97, 72, 345]);
}
