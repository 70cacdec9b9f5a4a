//! The electrocardiographs against their simulators: live ones on real pseudo-terminals, every sample at the rate of a
//! real one; recorders as folders of files that come and go.

use std::time::Instant;

use consult::ecg::{Ecg, Lead, MISSING};
use drivers::ports::PortEvent;
use drivers::{Absent, Status};

use super::bench::{Bench, PATIENCE};

fn taken(events: &[PortEvent]) -> Option<&Ecg> {
    events.iter().find_map(|event| if let PortEvent::EcgTaken { ecg, .. } = event { Some(ecg) } else { None })
}

fn live(events: &[PortEvent]) -> Vec<i32> {
    let samples = |event: &PortEvent| if let PortEvent::Ecg(ecg) = event { ecg.samples().to_vec() } else { Vec::new() };
    events.iter().flat_map(samples).collect()
}

#[test]
fn the_cyton_gives_every_sample_of_ten_seconds_at_500_hz_and_8_leads() {
    let bench = Bench::new("ecg_cyton", "cyton-500");
    bench.order("value rate=500 signal=count");
    bench.port.start();
    let events = bench.until_finished();
    let ecg = taken(&events).unwrap();
    assert_eq!((ecg.rate_hz(), ecg.rows(), ecg.leads().len()), (500, 5_000, 8));
    let row = |n: i32| (1..=8).map(move |channel| 1_000 * channel + n);
    // What a converter would only do in a test: it counts, so that one sample lost or doubled is seen.
    let first = ecg.samples()[0] - 1_000;
    assert!(ecg.samples().iter().copied().eq((first..first + 5_000).flat_map(row)));
    let live = live(&events);
    assert!(live.iter().copied().eq((0..first + 5_000).flat_map(row)), "live from the first packet, and no other");
    let PortEvent::EcgTaken { device, .. } = events.iter().find(|e| matches!(e, PortEvent::EcgTaken { .. })).unwrap()
    else {
        unreachable!()
    };
    assert_eq!((device.model.as_str(), device.firmware.as_deref()), ("ecg_cyton", Some("v3.1.2")));
}

#[test]
fn the_cyton_shows_a_heart_of_a_millivolt_in_lead_ii() {
    let bench = Bench::new("ecg_cyton", "cyton-heart");
    bench.port.start();
    let events = bench.until_finished();
    let ecg = taken(&events).unwrap();
    assert_eq!((ecg.rate_hz(), ecg.rows()), (250, 2_500));
    let second: Vec<i64> = ecg.lead(Lead::II).unwrap().map(i64::from).collect();
    let height = second.iter().max().unwrap() - second.iter().min().unwrap();
    let microvolts = height * i64::try_from(ecg.femtovolts_per_step()).unwrap() / 1_000_000_000;
    assert!((1_000..1_400).contains(&microvolts), "{microvolts}");
    // Twelve beats at 72 a minute: so many times the curve rises through half its height.
    let half = second.iter().min().unwrap() + height / 2;
    let beats = second.windows(2).filter(|pair| pair[0] < half && pair[1] >= half).count();
    assert!((11..=13).contains(&beats), "{beats}");
}

#[test]
fn an_electrode_that_is_off_is_named_and_the_recording_begins_when_it_is_on() {
    let bench = Bench::new("ecg_cyton", "cyton-electrode");
    bench.order("electrode V3 off");
    bench.port.start();
    let off = Status::ElectrodeOff { lead: Some(Lead::V3) };
    let events = bench.until(|event| matches!(event, PortEvent::Status(status) if *status == off));
    assert!(!events.iter().any(|event| matches!(event, PortEvent::Status(Status::RecordingEcg { .. }))));
    bench.order("electrode V3 on");
    let events = bench.until_finished();
    assert!(!taken(&events).unwrap().samples().contains(&MISSING));
    assert!(live(&events).iter().all(|sample| *sample != 8_388_607), "the end of a converter is no voltage");
}

#[test]
fn what_the_radio_lost_is_missing_and_a_board_switched_off_is_said() {
    let bench = Bench::new("ecg_cyton", "cyton-radio");
    bench.order("switch off");
    bench.order("value signal=count");
    bench.port.start();
    bench.until(|event| matches!(event, PortEvent::Status(Status::ConnectDevice)));
    bench.order("switch on");
    bench.until(|event| matches!(event, PortEvent::Status(Status::RecordingEcg { seconds_left: 8 })));
    bench.order("drop 5");
    let events = bench.until_finished();
    let ecg = taken(&events).unwrap();
    let lead: Vec<i32> = ecg.lead(Lead::I).unwrap().collect();
    assert_eq!(lead.iter().filter(|sample| **sample == MISSING).count(), 5);
    assert!(lead.iter().enumerate().all(|(at, s)| *s == MISSING || *s == lead[0] + i32::try_from(at).unwrap()));
}

#[test]
fn noise_on_the_cytons_line_is_never_a_recording() {
    let bench = Bench::new("ecg_cyton", "cyton-noise");
    bench.port.start();
    bench.until(|event| matches!(event, PortEvent::Status(Status::RecordingEcg { seconds_left: 9 })));
    bench.order("garble on");
    // Longer than what was left: 12 s of packets, of which few are where they should be.
    let packets = || {
        let values = bench.sim.command("values").unwrap();
        values.rsplit('=').next().unwrap().parse::<u32>().unwrap()
    };
    let events = bench.until(|_| packets() > 3_500);
    assert!(taken(&events).is_none());
    bench.order("garble off");
    let events = bench.until_finished();
    let ecg = taken(&events).unwrap();
    // Its heart goes on as it was: no step from one sample to the next is larger than an R wave's.
    let second: Vec<i32> = ecg.lead(Lead::II).unwrap().filter(|sample| *sample != MISSING).collect();
    let steepest = second.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
    assert!(steepest < 12_000, "{steepest}");
}

#[test]
fn a_recording_stopped_by_a_person_is_none() {
    let bench = Bench::new("ecg_cyton", "cyton-stop");
    bench.port.start();
    bench.until(|event| matches!(event, PortEvent::Ecg(_)));
    bench.port.stop();
    let events = bench.until_finished();
    assert!(events.iter().any(|event| matches!(event, PortEvent::Invalid(Absent::Stopped))));
    assert!(taken(&events).is_none());
}

#[test]
fn the_healthypi_gives_ten_seconds_of_lead_i_in_both_formats_and_no_figure() {
    for (format, rate_hz) in [(2, 128), (3, 128), (2, 125)] {
        let bench = Bench::new("ecg_healthypi5", &format!("healthypi-{format}-{rate_hz}"));
        bench.order(&format!("value format={format} rate={rate_hz}"));
        bench.order("electrode off");
        bench.port.start();
        let off = Status::ElectrodeOff { lead: Some(Lead::I) };
        bench.until(|event| matches!(event, PortEvent::Status(status) if *status == off));
        bench.order("electrode on");
        let events = bench.until_finished();
        let ecg = taken(&events).unwrap();
        assert_eq!((ecg.rate_hz(), ecg.rows()), (rate_hz, 1_280));
        let first: Vec<i64> = ecg.lead(Lead::I).unwrap().map(i64::from).collect();
        let height = first.iter().max().unwrap() - first.iter().min().unwrap();
        let microvolts = height * i64::try_from(ecg.femtovolts_per_step()).unwrap() / 1_000_000_000;
        assert!((600..850).contains(&microvolts), "{microvolts}");
        assert!(!events.iter().any(|event| matches!(event, PortEvent::Reading(_) | PortEvent::Live(_))));
    }
}

#[test]
fn an_older_healthypi_gives_nothing_and_says_that_it_is_another() {
    let bench = Bench::new("ecg_healthypi5", "healthypi-v4");
    bench.order("value format=4");
    bench.port.start();
    bench.until(|event| matches!(event, PortEvent::Fault(drivers::Fault::Garbled)));
}

#[test]
fn a_recorder_is_connected_used_and_connected_again() {
    for (key, rate, rows, leads) in [("ecg_contec_ecg90a", 800, 8_000, 8), ("ecg_pc80b", 150, 1_500, 1)] {
        let bench = Bench::new(key, key);
        bench.order("value zone=60");
        bench.port.start();
        bench.until(|event| matches!(event, PortEvent::Status(Status::MeasureOnDevice)));
        bench.order("unplug");
        bench.until(|event| matches!(event, PortEvent::Status(Status::ConnectDevice)));
        bench.order("measure");
        bench.order("plug");
        let events = bench.until_finished();
        let ecg = taken(&events).unwrap();
        assert_eq!((ecg.rate_hz(), ecg.rows(), ecg.leads().len()), (rate, rows, leads));
        let begun = events.iter().find_map(|event| match event {
            PortEvent::EcgTaken { device_at, at, device, .. } => {
                assert_eq!((device.model.as_str(), &device.serial), (key, &None));
                Some(at.0 - device_at.unwrap().0)
            }
            _ => None,
        });
        // It began ten seconds before it was read, by a clock an hour ahead.
        assert!((10_000..14_000).contains(&begun.unwrap()), "{begun:?}");
        assert!(!format!("{events:?}").contains("MARTINE"));
    }
}

#[test]
fn what_is_on_a_recorder_already_is_an_earlier_patients() {
    let bench = Bench::new("ecg_contec_ecg90a", "recorder-before");
    bench.order("value ago=60");
    bench.order("measure");
    bench.order("value ago=0");
    // It is on the stick before the measurement begins.
    let until = Instant::now() + PATIENCE;
    while !bench.dir().join("port/0000003.ECG").exists() {
        assert!(Instant::now() < until, "never written");
        std::thread::yield_now();
    }
    bench.port.start();
    bench.until(|event| matches!(event, PortEvent::Status(Status::MeasureOnDevice)));
    bench.order("value seconds=6");
    bench.order("electrode off");
    bench.order("measure");
    let events = bench.until_finished();
    let ecg = taken(&events).unwrap();
    assert_eq!(ecg.rows(), 4_800, "the one made now, of six seconds");
    assert_eq!(ecg.lead(Lead::V2).unwrap().filter(|sample| *sample == MISSING).count(), 1_600);
}

#[test]
fn a_file_that_is_half_written_when_the_stick_is_pulled_out_is_taken_when_it_is_whole() {
    for key in ["ecg_contec_ecg90a", "ecg_pc80b"] {
        let bench = Bench::new(key, &format!("cut-{key}"));
        bench.port.start();
        bench.until(|event| matches!(event, PortEvent::Status(Status::MeasureOnDevice)));
        bench.order("cut");
        bench.order("measure");
        bench.order("unplug");
        let events = bench.until(|event| matches!(event, PortEvent::Status(Status::ConnectDevice)));
        assert!(taken(&events).is_none());
        bench.order("plug");
        assert!(taken(&bench.until_finished()).is_some());
    }
}

#[test]
fn a_cyton_unplugged_in_mid_recording_records_when_it_is_back() {
    let bench = Bench::new("ecg_cyton", "cyton-cable");
    bench.port.start();
    bench.until(|event| matches!(event, PortEvent::Status(Status::RecordingEcg { seconds_left: 9 })));
    bench.order("unplug");
    bench.until(|event| matches!(event, PortEvent::Lost { was_open: true, .. }));
    bench.order("plug");
    bench.until(|event| matches!(event, PortEvent::Opened { .. }));
    let events = bench.until_finished();
    assert_eq!(taken(&events).unwrap().rows(), 2_500);
}
