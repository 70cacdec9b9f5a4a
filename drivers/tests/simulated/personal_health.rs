//! Agents of IEEE 11073 over TCP: every specialisation, with its standard configuration and with one of its own, in
//! every form of report, with a store, and behaving oddly. The agents share no code with the manager.

use std::time::{Duration, Instant};

use drivers::ports::PortEvent;
use drivers::{Absent, Fault, Status};

use super::bench::{Bench, PATIENCE, numbers, readings};

/// A simulator of which nothing is heard is asked again that often.
const LOOK_EVERY: Duration = Duration::from_millis(5);

fn absences(events: &[PortEvent]) -> Vec<Absent> {
    events.iter().filter_map(|e| if let PortEvent::Invalid(why) = e { Some(*why) } else { None }).collect()
}

#[test]
fn every_specialisation_is_read_with_its_standard_configuration() {
    for (key, values, expected) in [
        ("blood_pressure_phd", "systolic=141 diastolic=92 mean=108 pulse=77", vec![141, 92, 108, 77]),
        ("thermometer_phd", "temperature=36.84", vec![3_684]),
        ("scale_phd", "weight=81.45 height=168.3", vec![81_450, 1_683]),
        ("glucose_phd", "glucose=104", vec![104]),
    ] {
        let bench = Bench::on_tcp(key, &[&format!("value {values}")]);
        let events = bench.measure();
        assert_eq!(numbers(&events), expected, "{key}: {events:?}");
        for reading in readings(&events) {
            assert_eq!(reading.device.serial.as_deref(), Some("DE124567"));
            assert_eq!(reading.device.firmware.as_deref(), Some("1.4.2"));
            let off = reading.at.0 - reading.device_at.unwrap().0;
            assert!((-1_000..=3_000).contains(&off), "{key}: {off} ms");
        }
    }
}

#[test]
fn every_specialisation_is_read_as_its_own_configuration_says_in_every_form() {
    for form in ["fixed", "variable", "persons", "grouped"] {
        for (key, expected) in [
            ("blood_pressure_phd", vec![122, 79, 93, 68]),
            ("thermometer_phd", vec![3_680]),
            ("scale_phd", vec![70_300, 1_725]),
            ("glucose_phd", vec![104]),
        ] {
            let bench = Bench::on_tcp(key, &["value configuration=own", &format!("value form={form}")]);
            let events = bench.measure();
            assert_eq!(numbers(&events), expected, "{key}, {form}: {events:?}");
        }
    }
}

#[test]
fn the_oximeter_is_followed_until_it_settles() {
    for orders in [
        &["value spo2=88 pulse=131"][..],
        &["value spo2=88 pulse=131", "value configuration=own", "value form=grouped"],
    ] {
        let bench = Bench::on_tcp("oximeter_phd", orders);
        bench.port.start();
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [88, 131]);
        assert_eq!(readings(&events)[0].device.serial.as_deref(), Some("DE124567"));
    }
}

#[test]
fn an_oximeter_without_a_finger_gives_no_figure_and_one_with_decimals_none_either() {
    let bench = Bench::on_tcp("oximeter_phd", &[]);
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Live(_)));
    bench.order("value spo2=none pulse=none");
    bench.until(|e| matches!(e, PortEvent::Invalid(Absent::NotTracked)));
    bench.order("value spo2=96.2 pulse=72");
    bench.until(|e| matches!(e, PortEvent::Invalid(Absent::Inexact(_))));
    bench.order("finger out");
    let events = bench.until(|e| matches!(e, PortEvent::Invalid(Absent::SensorOff)));
    assert!(numbers(&events).is_empty());
    bench.order("value spo2=97");
    bench.order("finger in");
    assert_eq!(numbers(&bench.until_finished()), [97, 72]);
}

#[test]
fn an_odd_agent_is_held_too() {
    // Two protocols, all encodings, attributes nobody knows, handles nobody announced, in another order.
    for (key, expected) in [("blood_pressure_phd", vec![122, 79, 93, 68]), ("scale_phd", vec![70_300, 1_725])] {
        for configuration in ["standard", "own"] {
            let bench = Bench::on_tcp(key, &["strange", &format!("value configuration={configuration}")]);
            assert_eq!(numbers(&bench.measure()), expected, "{key}, {configuration}");
        }
    }
}

#[test]
fn what_an_earlier_patient_left_in_the_device_is_never_taken() {
    for orders in [&[][..], &["value zone=60"], &["value zone=-210", "value configuration=own"]] {
        let bench = Bench::on_tcp("blood_pressure_phd", orders);
        bench.order("value systolic=180 diastolic=110 mean=130 pulse=99");
        bench.order("earlier 3");
        bench.order("earlier 1");
        bench.port.start();
        bench.order("value systolic=118 diastolic=76 mean=90 pulse=61");
        bench.order("measure");
        assert_eq!(numbers(&bench.until_finished()), [118, 76, 90, 61]);
    }
}

#[test]
fn a_store_is_read_and_only_this_patients_entry_taken() {
    for (orders, expected) in [
        (&["value store=yes glucose=98"][..], 98),
        // mmol/L stays mmol/L.
        (&["value store=yes unit=4722 glucose=5.6"], 56),
    ] {
        let bench = Bench::on_tcp("glucose_phd", orders);
        for minutes in [3_000, 1_500, 90, 7, 2] {
            bench.order("value glucose=211");
            bench.order(&format!("earlier {minutes}"));
        }
        let value = orders[0].split_once("glucose=").unwrap().1;
        bench.order(&format!("value glucose={value}"));
        bench.port.start();
        bench.until(|e| matches!(e, PortEvent::Status(Status::MeasureOnDevice)));
        bench.order("measure");
        assert_eq!(numbers(&bench.until_finished()), [expected]);
    }
}

#[test]
fn a_clock_that_is_wrong_is_set_and_one_that_may_not_be_is_not_believed() {
    let bench = Bench::on_tcp("thermometer_phd", &["value zone=-20000"]);
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::TakeNow)));
    // The next answer comes after the clock was set.
    let deadline = Instant::now() + PATIENCE;
    while !bench.sim.command("values").unwrap().ends_with("zone=0") {
        assert!(Instant::now() < deadline, "{}", bench.sim.command("values").unwrap());
        // The agent tells nobody that its clock was set, and the port says nothing of it: it is asked again.
        std::thread::sleep(LOOK_EVERY);
    }
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [3_680]);

    // Ahead by as long as an earlier patient's record is old: that record is dated as if it were of now.
    let bench = Bench::on_tcp("thermometer_phd", &["off", "value zone=1000"]);
    bench.order("earlier 1000");
    bench.port.start();
    bench.order("on");
    assert_eq!(absences(&bench.until_finished()), [Absent::ClockWrong]);

    let bench = Bench::on_tcp("thermometer_phd", &["value zone=-20000", "value settable=no"]);
    assert_eq!(absences(&bench.measure()), [Absent::ClockWrong]);
}

#[test]
fn units_are_converted_exactly_or_refused() {
    for (key, orders, expected) in [
        // Pounds, degrees Fahrenheit.
        ("scale_phd", "value unit=1760 weight=180.0", Ok(vec![81_647, 1_725])),
        ("thermometer_phd", "value unit=4416 temperature=98.6", Ok(vec![3_700])),
        // Kilopascals, kelvin, more digits than ours.
        ("blood_pressure_phd", "value unit=3843 systolic=16.3 diastolic=10.5", Err(Absent::UnitUnknown)),
        ("thermometer_phd", "value unit=4384 temperature=310", Err(Absent::UnitUnknown)),
    ] {
        let events = Bench::on_tcp(key, &[orders]).measure();
        match expected {
            Ok(expected) => assert_eq!(numbers(&events), expected, "{orders}"),
            Err(why) => assert_eq!((absences(&events), numbers(&events)), (vec![why], vec![]), "{orders}"),
        }
    }
    let events = Bench::on_tcp("thermometer_phd", &["value temperature=36.845"]).measure();
    assert!(matches!(absences(&events)[..], [Absent::Inexact(_)]), "{events:?}");
}

#[test]
fn what_the_device_marks_as_none_is_no_number() {
    for order in
        ["value temperature=none", "value configuration=own status=32768", "value configuration=own status=2048"]
    {
        let events = Bench::on_tcp("thermometer_phd", &[order]).measure();
        assert!(numbers(&events).is_empty() && absences(&events).len() == 1, "{order}: {events:?}");
    }
    let events = Bench::on_tcp("thermometer_phd", &["value configuration=own status=16384"]).measure();
    assert_eq!(readings(&events)[0].high_quality, Some(false), "questionable");
}

#[test]
fn an_agent_that_goes_away_and_comes_back_is_associated_again() {
    let bench = Bench::on_tcp("blood_pressure_phd", &["value configuration=own"]);
    bench.port.start();
    for order in ["again", "unplug"] {
        bench.order(order);
        if order == "unplug" {
            bench.until(|e| matches!(e, PortEvent::Lost { was_open: true, .. }));
            bench.order("plug");
            bench.until(|e| matches!(e, PortEvent::Opened { .. }));
        }
    }
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [122, 79, 93, 68]);
}

#[test]
fn an_agent_that_answers_nothing_is_let_go_and_noise_is_a_fault() {
    let bench = Bench::on_tcp("blood_pressure_phd", &["deaf"]);
    bench.port.start();
    bench.order("measure");
    // Without an answer about its clock, nothing that it dates can be judged.
    assert_eq!(absences(&bench.until_finished()), [Absent::ClockWrong]);
    let bench = Bench::on_tcp("scale_phd", &["garble on"]);
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Fault(Fault::Garbled)));
    bench.order("garble off");
    bench.order("again");
    bench.until(|e| matches!(e, PortEvent::Fault(Fault::Recovered)));
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [70_300, 1_725]);
}
