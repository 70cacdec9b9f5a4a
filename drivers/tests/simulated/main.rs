//! Each model against its simulator: live ones on a real pseudo-terminal, those of IEEE 11073 over TCP, recorders as
//! folders of files; and what a cable does to it. Here all that are neither of those nor oximeters, and the port itself.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use drivers::ports::{Address, Binding, Port, PortEvent};
use drivers::{Absent, CuffErrorKind, Fault, Status, model};
use sim::Simulator;

mod bench;
mod ecg;
mod oximeters;
mod personal_health;

use bench::{BACK_WITHIN, Bench, PATIENCE, numbers, readings};

#[test]
fn the_cuff_shows_its_pressure_then_gives_its_figures() {
    let bench = Bench::new("blood_pressure_suntech", "cuff");
    bench.order("value systolic=141 diastolic=92 mean=108 pulse=77 speed=20");
    bench.port.start();
    let events = bench.until_finished();
    assert_eq!(numbers(&events), [141, 92, 108, 77]);
    let pressures: Vec<u16> = events
        .iter()
        .filter_map(|e| if let PortEvent::Status(Status::CuffPressure { mmhg, .. }) = e { Some(*mmhg) } else { None })
        .collect();
    assert!(pressures.len() >= 4, "{pressures:?}");
}

#[test]
fn a_cuff_stopped_from_the_cabin_deflates_at_once() {
    let bench = Bench::new("blood_pressure_suntech", "stop");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::CuffPressure { mmhg: 20.., .. })));
    let asked_at = Instant::now();
    bench.port.stop();
    let events = bench.until_finished();
    assert!(asked_at.elapsed() < Duration::from_secs(1));
    assert!(events.iter().any(|e| matches!(e, PortEvent::Invalid(Absent::Stopped))));
    // A new start waits for the arm's rest.
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::Resting { seconds: 55.. })));
}

#[test]
fn a_leaking_cuff_is_an_error_and_no_figure() {
    let bench = Bench::new("blood_pressure_suntech", "leak");
    bench.order("cuff leak");
    bench.order("value speed=20");
    bench.port.start();
    let events = bench.until_finished();
    assert!(events.iter().any(
        |e| matches!(e, PortEvent::Invalid(Absent::Cuff(error)) if error.number == 88 && error.kind == CuffErrorKind::Leak)
    ));
    assert!(numbers(&events).is_empty());
}

#[test]
fn a_busy_cuff_is_said_to_be_busy() {
    let bench = Bench::new("blood_pressure_suntech", "busy");
    bench.order("cuff busy");
    bench.port.start();
    assert!(bench.until_finished().iter().any(|e| matches!(e, PortEvent::Invalid(Absent::Busy))));
}

#[test]
fn the_scale_gives_weight_and_height() {
    let bench = Bench::new("scale_health_o_meter", "scale");
    bench.order("value weight=81.45 height=168.30");
    bench.port.start();
    assert_eq!(numbers(&bench.until_finished()), [81_450, 1_683]);
}

#[test]
fn a_scale_in_pounds_gives_grams() {
    let bench = Bench::new("scale_health_o_meter", "pounds");
    bench.order("value weight=180.0 height=70.5 units=c");
    bench.port.start();
    // 180 lb = 81646.6266 g; 70.5 in = 1790.7 mm.
    assert_eq!(numbers(&bench.until_finished()), [81_647, 1_791]);
}

#[test]
fn the_tanita_scale_gives_weight_and_height_once_somebody_steps_on() {
    for (unit, grams, test) in [("kg", 81_400, "tanita"), ("lb", 36_922, "tanita-pounds")] {
        let bench = Bench::new("scale_tanita", test);
        bench.order(&format!("value weight=81.4 height=168.3 unit={unit}"));
        bench.port.start();
        bench.until(|e| matches!(e, PortEvent::Status(Status::StepOn)));
        bench.order("step on");
        assert_eq!(numbers(&bench.until_finished()), [grams, 1_683]);
    }
}

#[test]
fn a_tanita_line_that_is_damaged_is_no_weight_and_the_patient_steps_on_again() {
    let bench = Bench::new("scale_tanita", "tanita-corrupt");
    bench.order("corrupt");
    bench.order("rod up");
    bench.port.start();
    bench.order("step on");
    let events = bench.until(|e| matches!(e, PortEvent::Fault(Fault::Garbled)));
    assert!(numbers(&events).is_empty());
    bench.until(|e| matches!(e, PortEvent::Status(Status::StepOn)));
    bench.order("step on");
    let events = bench.until_finished();
    assert_eq!(numbers(&events), [70_300]);
    assert!(events.iter().any(|e| matches!(e, PortEvent::Invalid(Absent::NoHeight))));
}

#[test]
fn an_mt_sics_scale_gives_its_weight_and_its_serial_number_and_no_height() {
    for (words, values, grams, test) in [
        ("echo off", "weight=81.45", 81_450, "sics"),
        ("echo on", "weight=81450 unit=g", 81_450, "sics-grams"),
        ("echo off", "weight=180.0 unit=lb", 81_647, "sics-pounds"),
    ] {
        let bench = Bench::new("scale_mt_sics", test);
        bench.order(words);
        bench.order(&format!("value {values}"));
        bench.port.start();
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [grams]);
        assert_eq!(readings(&events)[0].device.serial.as_deref(), Some("B021002593"));
        assert!(events.iter().any(|e| matches!(e, PortEvent::Invalid(Absent::NoHeight))));
    }
}

#[test]
fn an_mt_sics_scale_with_too_much_on_it_gives_no_weight() {
    let bench = Bench::new("scale_mt_sics", "sics-overload");
    bench.order("overload on");
    bench.port.start();
    let events = bench.until(|e| matches!(e, PortEvent::Invalid(Absent::Overload)));
    assert!(numbers(&events).is_empty());
    bench.order("overload off");
    assert_eq!(numbers(&bench.until_finished()), [70_300]);
}

#[test]
fn an_st_gs_indicator_gives_its_weight_and_no_height() {
    let bench = Bench::new("scale_st_gs", "st-gs");
    bench.order("value weight=81.45");
    bench.port.start();
    let events = bench.until_finished();
    assert_eq!(numbers(&events), [81_450]);
    assert!(events.iter().any(|e| matches!(e, PortEvent::Invalid(Absent::NoHeight))));
}

#[test]
fn a_weight_in_a_unit_that_we_do_not_know_is_not_taken() {
    for (key, test) in [("scale_mt_sics", "sics-stones"), ("scale_st_gs", "st-gs-stones")] {
        let bench = Bench::new(key, test);
        bench.order("value weight=11.07 unit=st");
        bench.port.start();
        let events = bench.until(|e| matches!(e, PortEvent::Invalid(Absent::UnitUnknown)));
        assert!(!events.iter().any(|e| matches!(e, PortEvent::Live(_) | PortEvent::Reading(_))), "{events:?}");
    }
}

#[test]
fn the_thermometer_gives_the_record_taken_now_and_not_yesterdays() {
    for (shown, hundredths) in [("36.8", 3_680), ("39.14", 3_914)] {
        let bench = Bench::new("thermometer_taidoc", &format!("temperature-{hundredths}"));
        bench.order(&format!("value temperature={shown} zone=60"));
        bench.port.start();
        let events = bench.until(|e| matches!(e, PortEvent::Status(Status::TakeNow)));
        assert!(numbers(&events).is_empty());
        bench.order("measure");
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [hundredths]);
        let reading = &readings(&events)[0];
        let off = reading.at.0 - reading.device_at.unwrap().0;
        assert!((-60_000..=180_000).contains(&off), "the device's date, without its zone: {off} ms off");
    }
}

#[test]
fn a_thermometer_asleep_is_woken_by_the_patient() {
    let bench = Bench::new("thermometer_taidoc", "asleep");
    bench.order("asleep");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::WakeUp)));
    bench.order("awake");
    bench.until(|e| matches!(e, PortEvent::Status(Status::TakeNow)));
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [3_680]);
}

#[test]
fn a_taidoc_cuff_is_started_by_the_cabin_and_its_new_record_read() {
    let bench = Bench::new("blood_pressure_taidoc", "taidoc-cuff");
    bench.order("value systolic=141 diastolic=92 pulse=77 seconds=3 zone=60");
    bench.port.start();
    let events = bench.until_finished();
    assert!(events.iter().any(|e| matches!(e, PortEvent::Status(Status::Starting))), "{events:?}");
    assert_eq!(numbers(&events), [141, 92, 77]);
}

#[test]
fn a_taidoc_cuff_that_the_cabin_cannot_start_is_started_by_its_button() {
    let bench = Bench::new("blood_pressure_taidoc", "taidoc-button");
    bench.order("value seconds=0");
    bench.port.start();
    let events = bench.until(|e| matches!(e, PortEvent::Status(Status::MeasureOnDevice)));
    assert!(numbers(&events).is_empty(), "yesterday's is not taken");
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [122, 79, 68]);
}

#[test]
fn a_taidoc_cuff_stopped_from_the_cabin_is_switched_off() {
    let bench = Bench::new("blood_pressure_taidoc", "taidoc-stop");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::Starting)));
    bench.port.stop();
    assert!(bench.until_finished().iter().any(|e| matches!(e, PortEvent::Invalid(Absent::Stopped))));
    bench.port.start();
    // It sleeps: it was switched off.
    bench.until(|e| matches!(e, PortEvent::Status(Status::ConnectDevice)));
}

#[test]
fn the_glucose_meter_gives_the_record_taken_now_and_no_other_substance() {
    let bench = Bench::new("glucose_taidoc", "glucose");
    bench.order("value glucose=213 meal=after zone=120");
    bench.port.start();
    let events = bench.until(|e| matches!(e, PortEvent::Status(Status::MeasureOnDevice)));
    assert!(numbers(&events).is_empty(), "yesterday's is not taken");
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [213]);
    // Ketones, in the same minute.
    bench.order("value substance=7");
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(Status::MeasureOnDevice)));
    bench.order("measure");
    let events = bench.until_finished();
    assert!(numbers(&events).is_empty());
    assert!(events.iter().any(|e| matches!(e, PortEvent::Invalid(Absent::OtherSubstance))), "{events:?}");
}

#[test]
fn a_cuff_unplugged_in_mid_measurement_goes_on_when_it_is_back() {
    let bench = Bench::new("blood_pressure_suntech", "cuff-cable");
    // Powered by its own supply: it measures on while its cable is out.
    bench.order("value own_power=1 speed=6");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::CuffPressure { mmhg: 110.., .. })));
    assert_eq!(numbers(&bench.until_finished()), [122, 79, 93, 68]);
}

#[test]
fn a_cuff_that_lost_its_power_starts_again_after_the_rest() {
    let bench = Bench::new("blood_pressure_suntech", "cuff-power");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::CuffPressure { mmhg: 20.., .. })));
    let events = bench.until(|e| matches!(e, PortEvent::Status(Status::Resting { .. })));
    assert!(numbers(&events).is_empty());
}

#[test]
fn a_scale_unplugged_in_mid_measurement_goes_on_when_it_is_back() {
    let bench = Bench::new("scale_health_o_meter", "scale-cable");
    bench.order("rod up");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::LowerRod)));
    bench.order("rod down");
    assert_eq!(numbers(&bench.until_finished()), [70_300, 1_725]);
}

#[test]
fn a_tanita_scale_unplugged_in_mid_measurement_goes_on_when_it_is_back() {
    let bench = Bench::new("scale_tanita", "tanita-cable");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::StepOn)));
    bench.until(|e| matches!(e, PortEvent::Status(Status::StepOn)));
    bench.order("step on");
    assert_eq!(numbers(&bench.until_finished()), [70_300, 1_725]);
}

#[test]
fn a_scale_of_lines_unplugged_in_mid_measurement_goes_on_when_it_is_back() {
    for (key, test) in [("scale_mt_sics", "sics-cable"), ("scale_st_gs", "st-gs-cable")] {
        let bench = Bench::new(key, test);
        bench.order("step off");
        bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::StepOn)));
        bench.order("step on");
        assert_eq!(numbers(&bench.until_finished()), [70_300]);
    }
}

#[test]
fn a_thermometer_unplugged_in_mid_measurement_goes_on_when_it_is_back() {
    let bench = Bench::new("thermometer_taidoc", "thermometer-cable");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::TakeNow)));
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [3_680]);
}

#[test]
fn taidocs_devices_unplugged_in_mid_measurement_go_on_when_they_are_back() {
    let bench = Bench::new("glucose_taidoc", "glucose-cable");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::MeasureOnDevice)));
    bench.order("measure");
    assert_eq!(numbers(&bench.until_finished()), [104]);
    let bench = Bench::new("oximeter_taidoc", "taidoc-oximeter-cable");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Live(_)));
    assert_eq!(numbers(&bench.until_finished()), [97, 72]);
    // It measures on while its cable is out.
    let bench = Bench::new("blood_pressure_taidoc", "taidoc-cuff-cable");
    bench.order("value seconds=3");
    bench.unplug_and_go_on(|e| matches!(e, PortEvent::Status(Status::Starting)));
    assert_eq!(numbers(&bench.until_finished()), [122, 79, 68]);
}

#[test]
fn a_silent_device_is_a_fault_until_it_speaks_again() {
    let bench = Bench::new("oximeter_nonin", "silent");
    bench.until(|e| matches!(e, PortEvent::Live(_)));
    bench.order("silent on");
    bench.until(|e| matches!(e, PortEvent::Fault(Fault::Silent { .. })));
    bench.order("silent off");
    bench.until(|e| matches!(e, PortEvent::Fault(Fault::Recovered)));
}

#[test]
fn noise_is_a_fault_and_never_a_reading() {
    for (key, name, figures) in
        [("oximeter_nonin", "noise-1", 2), ("scale_health_o_meter", "noise-2", 2), ("scale_mt_sics", "noise-3", 1)]
    {
        let bench = Bench::new(key, name);
        bench.order("garble on");
        bench.port.start();
        let events = bench.until(|e| matches!(e, PortEvent::Fault(Fault::Garbled)));
        assert!(numbers(&events).is_empty());
        bench.order("garble off");
        assert_eq!(numbers(&bench.until_finished()).len(), figures);
    }
}

#[test]
fn a_device_that_was_never_there_is_said_once_and_opened_when_it_comes() {
    let dir = std::env::temp_dir().join(format!("drivers-never-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (sender, messages) = mpsc::sync_channel(64);
    let address = Address::Path(dir.join("port"));
    let model = model("scale_health_o_meter").unwrap();
    let port = Port::open(Binding { name: "scale".into(), model, address }, sender).unwrap();
    let first = messages.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(first.event, PortEvent::Lost { was_open: false, .. }), "{first:?}");
    let sim = Simulator::start("scale_health_o_meter", &dir.join("port")).unwrap();
    let next = messages.recv_timeout(BACK_WITHIN).unwrap();
    assert!(matches!(next.event, PortEvent::Opened { .. }), "{next:?}");
    drop((port, sim));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_port_held_by_another_says_what_to_do() {
    let bench = Bench::new("scale_health_o_meter", "held");
    let (sender, messages) = mpsc::sync_channel(64);
    let address = Address::Path(bench.sim.place().into());
    let second = Binding { name: "second".into(), model: model("scale_health_o_meter").unwrap(), address };
    let _port = Port::open(second, sender).unwrap();
    let message = messages.recv_timeout(PATIENCE).unwrap();
    let PortEvent::Refused { remedy, .. } = message.event else { panic!("{message:?}") };
    assert_eq!(remedy, drivers::ports::Remedy::Held);
}

#[test]
fn a_recording_is_a_capture_of_both_directions() {
    let bench = Bench::new("scale_health_o_meter", "record");
    let file = bench.dir().join("recorded.capture");
    bench.port.record(file.clone());
    bench.port.start();
    bench.until_finished();
    bench.port.end_record();
    // The next answer of the port comes after it has closed the file.
    bench.port.start();
    bench.until(|e| matches!(e, PortEvent::Status(_)));
    let capture = drivers::capture::Capture::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(capture.field("model"), Some("scale_health_o_meter"));
    let directions: Vec<_> = capture.bursts.iter().map(|b| b.direction).collect();
    assert!(directions.contains(&drivers::capture::Direction::FromDevice));
    assert!(directions.contains(&drivers::capture::Direction::ToDevice));
}
