//! Every capture, replayed, gives exactly the readings that its `.expected` lists: through a real pseudo-terminal, or,
//! where the model is a USB device only, to its protocol at a clock of its own.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use consult::ecg::{Ecg, MISSING};
use consult::vitals::{Glucose, Moment, Reading, Value};
use drivers::capture::{Burst, Capture, Direction};
use drivers::ports::{Address, Binding, Port, PortEvent};
use drivers::{Event, Measured, Model, Now, Transmit, model};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A test that waits longer than that for a device has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The captures were made at 2026-03-09 08:41:20 UTC.
const START: Moment = Moment(1_773_045_680_000);

/// The clock goes on from there.
fn clock() -> Moment {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    Moment(START.0 + i64::try_from(since.as_millis()).unwrap())
}

/// The device's end of a line.
struct Device {
    master: OwnedFd,
    heard: Vec<u8>,
}

impl Device {
    fn open() -> (Device, PathBuf) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap().into();
        (Device { master, heard: Vec::new() }, path)
    }

    fn play(&mut self, burst: &Burst) {
        match burst.direction {
            Direction::FromDevice => {
                let mut left = &burst.bytes[..];
                while !left.is_empty() {
                    let written = rustix::io::write(&self.master, left).unwrap();
                    left = &left[written..];
                }
            }
            Direction::Feature => panic!("a line has no feature reports"),
            Direction::ToDevice => {
                let until = Instant::now() + PATIENCE;
                while self.heard.len() < burst.bytes.len() {
                    assert!(Instant::now() < until, "expected {:02X?}, heard {:02X?}", burst.bytes, self.heard);
                    let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
                    let _ = poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }));
                    if !fds[0].revents().contains(PollFlags::IN) {
                        continue;
                    }
                    let mut buffer = [0; 64];
                    let count = rustix::io::read(&self.master, &mut buffer).unwrap();
                    self.heard.extend(&buffer[..count]);
                }
                let said: Vec<u8> = self.heard.drain(..burst.bytes.len()).collect();
                assert_eq!(said, burst.bytes, "what the cabin sends");
            }
        }
    }
}

fn words(reading: &Measured) -> String {
    let mut text = match reading.value {
        Value::Spo2(v) => format!("spo2_percent {}", v.percent()),
        Value::PulseRate(v) => format!("pulse_per_minute {}", v.per_minute()),
        Value::BloodPressure(v) => {
            let mean = v.mean().map_or(String::new(), |mean| format!(" mean_mmhg {}", mean.mmhg()));
            format!("systolic_mmhg {} diastolic_mmhg {}{mean}", v.systolic().mmhg(), v.diastolic().mmhg())
        }
        Value::Weight(v) => format!("weight_grams {}", v.grams()),
        Value::Height(v) => format!("height_millimetres {}", v.millimetres()),
        Value::PerfusionIndex(v) => format!("perfusion_hundredths_percent {}", v.hundredths_percent()),
        Value::Glucose(Glucose::Mass(v)) => format!("glucose_mg_per_dl {}", v.mg_per_dl()),
        Value::Glucose(Glucose::Moles(v)) => format!("glucose_tenths_mmol_per_l {}", v.tenths_mmol_per_l()),
        Value::Recording(_) => unreachable!("a port knows no name of a recording"),
        Value::Temperature(v) => format!("temperature_centi_celsius {}", v.centi_celsius()),
    };
    if let Some(quality) = reading.high_quality {
        text += &format!(" quality {quality}");
    }
    if let Some(at) = reading.device_at {
        text += &format!(" device_at {}", at.0);
    }
    text
}

/// A recording, by all that it holds: FNV-1a (64 bits) over its samples, little endian.
fn ecg_words(ecg: &Ecg) -> String {
    let bytes = ecg.samples().iter().flat_map(|sample| sample.to_le_bytes());
    let hash =
        bytes.fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    format!(
        "{}, {} Hz, {} fV, {} rows, {} missing, fnv1a {hash:016x}",
        ecg.leads().iter().map(|lead| lead.name()).collect::<Vec<_>>().join(" "),
        ecg.rate_hz(),
        ecg.femtovolts_per_step(),
        ecg.rows(),
        ecg.samples().iter().filter(|sample| **sample == MISSING).count()
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures")
}

fn said(event: &Event) -> Option<String> {
    Some(match event {
        Event::Reading(measured) => format!("reading {}\n", words(measured)),
        Event::EcgTaken { ecg, device_at } => {
            let at = device_at.map_or(String::new(), |at| format!(", device_at {}", at.0));
            format!("recording {}{at}\n", ecg_words(ecg))
        }
        Event::Status(status) => format!("status {status:?}\n"),
        Event::Invalid(absent) => format!("invalid {absent:?}\n"),
        Event::Fault(fault) => format!("fault {fault:?}\n"),
        Event::Finished => "finished\n".into(),
        _ => return None,
    })
}

/// The bench is the port: time passes only as the protocol waits, or as the recording says.
fn replay_reports(model: &Model, capture: &Capture) -> String {
    let mut protocol = (model.protocol)();
    let mut now = Now { instant: Instant::now(), wall: START };
    let pass = |now: &mut Now, time: Duration| {
        now.instant += time;
        now.wall.0 += i64::try_from(time.as_millis()).unwrap();
    };
    let mut seen = String::new();
    protocol.port_opened(now);
    protocol.start(now);
    for burst in &capture.bursts {
        let sent = match burst.direction {
            Direction::FromDevice => {
                pass(&mut now, Duration::from_millis(burst.after_ms));
                while protocol.poll_timeout().is_some_and(|at| at <= now.instant) {
                    protocol.handle_timeout(now);
                }
                protocol.handle_input(&burst.bytes, now);
                None
            }
            Direction::ToDevice => Some(Transmit::Bytes(burst.bytes.clone())),
            Direction::Feature => Some(Transmit::Feature(burst.bytes.clone())),
        };
        while let Some(expected) = &sent {
            if let Some(sent) = protocol.poll_transmit() {
                assert_eq!(sent, *expected, "what the cabin sends");
                break;
            }
            let due = protocol.poll_timeout().unwrap_or_else(|| panic!("never sent: {expected:?}; {seen}"));
            let left = due.saturating_duration_since(now.instant);
            pass(&mut now, left);
            protocol.handle_timeout(now);
            assert!(now.wall.0 < START.0 + 3_600_000, "never sent: {expected:?}; {seen}");
        }
        seen.extend(std::iter::from_fn(|| protocol.poll_event()).filter_map(|event| said(&event)));
    }
    assert_eq!(protocol.poll_transmit(), None, "{}", model.key);
    seen
}

fn replay(name: &str) -> String {
    let text = std::fs::read_to_string(folder().join(name).with_extension("capture")).unwrap();
    let capture = Capture::parse(&text).unwrap();
    let model = model(capture.field("model").unwrap()).unwrap();
    if model.line.is_none() {
        return replay_reports(model, &capture);
    }
    let (mut device, path) = Device::open();
    let (sender, messages) = mpsc::sync_channel(4096);
    let binding = Binding { name: "test".into(), model, address: Address::Path(path) };
    let port = Port::open_at(binding, sender, clock).unwrap();
    let first = messages.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(first.event, PortEvent::Opened { .. }), "{first:?}");
    port.start();
    // A port obeys before it reads: what is played now is heard after the start.
    let paced = capture.field("pace") == Some("recorded");
    let mut due = Instant::now();
    for burst in &capture.bursts {
        // Only for a device that nobody asks, where time is what tells: what is asked for paces itself. By the clock, so
        // that a burst that is late makes none after it late.
        if paced {
            due += Duration::from_millis(burst.after_ms);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        device.play(burst);
    }
    let mut seen = String::new();
    loop {
        let message = messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{}: only\n{seen}", model.key));
        let event = match message.event {
            PortEvent::Reading(Reading { device, value, device_at, high_quality, .. }) => {
                assert_eq!(device.model, model.key);
                Event::Reading(Measured { value, device_at, high_quality })
            }
            PortEvent::EcgTaken { ecg, device_at, .. } => Event::EcgTaken { ecg, device_at },
            PortEvent::Status(status) => Event::Status(status),
            PortEvent::Invalid(absent) => Event::Invalid(absent),
            PortEvent::Fault(fault) => Event::Fault(fault),
            PortEvent::Finished => Event::Finished,
            _ => continue,
        };
        seen.extend(said(&event));
        if event == Event::Finished {
            return seen;
        }
    }
}

fn gives_what_it_must(name: &str) {
    let expected = folder().join(name).with_extension("expected");
    assert_eq!(replay(name), std::fs::read_to_string(expected).unwrap());
}

#[test]
fn the_oximeters_capture_gives_its_readings() {
    gives_what_it_must("oximeter_nonin");
}

#[test]
fn the_oximeters_capture_of_spot_checks_gives_the_one_made_now() {
    gives_what_it_must("oximeter_nonin_spot_check");
}

#[test]
fn the_oximeters_capture_without_a_curve_gives_its_readings() {
    gives_what_it_must("oximeter_nonin_once_a_second");
}

#[test]
fn the_personal_health_oximeters_capture_gives_its_readings() {
    gives_what_it_must("oximeter_phd");
}

#[test]
fn the_personal_health_cuffs_capture_gives_this_patients_pressure() {
    gives_what_it_must("blood_pressure_phd");
}

#[test]
fn the_personal_health_thermometers_capture_gives_this_patients_temperature() {
    gives_what_it_must("thermometer_phd");
}

#[test]
fn the_personal_health_scales_capture_is_read_by_the_layout_that_it_announced() {
    gives_what_it_must("scale_phd");
}

#[test]
fn the_accu_chek_meters_store_gives_this_patients_glucose() {
    gives_what_it_must("glucose_accu_chek");
}

#[test]
fn the_personal_health_meters_store_gives_this_patients_glucose() {
    gives_what_it_must("glucose_phd");
}

#[test]
fn the_cuffs_capture_gives_its_readings() {
    gives_what_it_must("blood_pressure_suntech");
}

#[test]
fn the_scales_capture_gives_its_readings() {
    gives_what_it_must("scale_health_o_meter");
}

#[test]
fn the_thermometers_capture_gives_its_reading() {
    gives_what_it_must("thermometer_taidoc");
}

#[test]
fn the_taidoc_cuffs_capture_gives_its_readings() {
    gives_what_it_must("blood_pressure_taidoc");
}

#[test]
fn the_taidoc_oximeters_capture_gives_its_readings() {
    gives_what_it_must("oximeter_taidoc");
}

#[test]
fn the_glucose_meters_capture_gives_its_reading() {
    gives_what_it_must("glucose_taidoc");
}

#[test]
fn the_older_contec_oximeters_capture_gives_its_readings() {
    gives_what_it_must("oximeter_bci");
}

#[test]
fn the_contec_oximeters_capture_gives_its_readings() {
    gives_what_it_must("oximeter_contec");
}

#[test]
fn the_tanita_scales_capture_gives_its_readings() {
    gives_what_it_must("scale_tanita");
}

#[test]
fn the_mt_sics_scales_capture_gives_its_weight() {
    gives_what_it_must("scale_mt_sics");
}

#[test]
fn the_st_gs_indicators_capture_gives_its_weight() {
    gives_what_it_must("scale_st_gs");
}

#[test]
fn the_cytons_capture_gives_its_recording() {
    gives_what_it_must("ecg_cyton");
}

#[test]
fn the_omron_cuffs_capture_gives_its_readings() {
    gives_what_it_must("blood_pressure_omron");
}

#[test]
fn the_microlife_cuffs_captures_give_their_readings() {
    gives_what_it_must("blood_pressure_microlife_ascii");
    gives_what_it_must("blood_pressure_microlife_m");
}

#[test]
fn the_contec_cuffs_capture_gives_its_readings() {
    gives_what_it_must("blood_pressure_contec_08a");
}

#[test]
fn the_usb_scales_capture_gives_its_weight() {
    gives_what_it_must("scale_usb_hid");
}

#[test]
fn the_healthypis_capture_gives_its_recording() {
    gives_what_it_must("ecg_healthypi5");
}

#[test]
fn the_recorders_captures_give_what_was_recorded_now() {
    gives_what_it_must("ecg_contec_ecg90a");
    gives_what_it_must("ecg_pc80b");
}

#[test]
fn every_capture_is_replayed() {
    let tests = include_str!("captures.rs");
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(tests.contains(&format!("gives_what_it_must(\"{name}\")")), "{name}");
    }
}
