//! Whether a device is there, asked of each model's simulator: it answers by its own knowledge of the device's manual.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use drivers::ports::{Address, Binding, MESSAGES_MAX, Message, Port, PortEvent};
use drivers::probe::{PROBE_MAX, Probed, Probing};
use drivers::{MODELS, Model, Status, Transmit, Transport, model};
use sim::{FEATURE_REPORT, OUTPUT_REPORT, Simulator};

/// A test that waits longer than that has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    sim: Simulator,
    port: Port,
    messages: mpsc::Receiver<Message>,
    dir: PathBuf,
}

impl Bench {
    fn new(model: &'static Model, test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("drivers-{test}-{}-{}", model.key, std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let link = dir.join("port");
        let sim = Simulator::start(model.key, &link).unwrap();
        let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
        let port = Port::open(Binding { name: "it".into(), model, address: Address::Path(link) }, sender).unwrap();
        Bench { sim, port, messages, dir }
    }

    /// What came of asking, with all that was said until then.
    fn probe(&self) -> (Probed, Vec<PortEvent>) {
        self.port.probe();
        let give_up_at = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = give_up_at.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left).expect("no answer").event {
                PortEvent::Probed(probed) => return (probed, seen),
                event => seen.push(event),
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn is_of_a_measurement(event: &PortEvent) -> bool {
    matches!(
        event,
        PortEvent::Reading(_)
            | PortEvent::EcgTaken { .. }
            | PortEvent::Finished
            | PortEvent::Status(Status::CuffPressure { .. } | Status::Starting | Status::RecordingEcg { .. })
    )
}

/// Those whose cable is all that can be known while nobody uses them.
const SILENT: [&str; 3] = ["scale_tanita", "ecg_contec_ecg90a", "ecg_pc80b"];

#[test]
fn each_device_on_a_line_answers_and_nothing_is_started_or_read() {
    let asked = MODELS.iter().filter(|model| model.line.is_some() || model.is_read_from_files());
    std::thread::scope(|scope| {
        for model in asked {
            scope.spawn(move || {
                let bench = Bench::new(model, "probed");
                let (probed, seen) = bench.probe();
                let is_silent = SILENT.contains(&model.key);
                let expected = if is_silent { Probed::CableOnly } else { Probed::Answered };
                // A scale that only may speak by itself says something or not.
                let may_be = model.key == "scale_st_gs" && probed == Probed::CableOnly;
                assert!(probed == expected || may_be, "{}: {probed:?} after {seen:?}", model.key);
                assert!(!seen.iter().any(is_of_a_measurement), "{}: {seen:?}", model.key);
            });
        }
    });
}

#[test]
fn a_cable_whose_device_says_nothing_is_no_device() {
    let asked = MODELS.iter().filter(|model| model.line.is_some() && !SILENT.contains(&model.key));
    // Personal health devices are on USB or a network themselves.
    let is_itself = |model: &Model| model.usb.iter().any(|hint| hint.transport == Transport::PersonalHealth);
    std::thread::scope(|scope| {
        for model in asked.filter(|model| model.key != "scale_st_gs" && !is_itself(model)) {
            scope.spawn(move || {
                let bench = Bench::new(model, "silent");
                bench.sim.command("silent on").unwrap();
                // What was on its way before is over.
                while bench.messages.recv_timeout(Duration::from_millis(300)).is_ok() {}
                let begun = Instant::now();
                let (probed, seen) = bench.probe();
                assert_eq!(probed, Probed::NoAnswer, "{}: {seen:?}", model.key);
                assert!(begun.elapsed() >= PROBE_MAX, "{}: it had its time", model.key);
                bench.sim.command("silent off").unwrap();
                let again = [bench.probe().0, bench.probe().0];
                assert!(again.contains(&Probed::Answered), "{}: {again:?}", model.key);
            });
        }
    });
}

#[test]
fn a_device_that_is_unplugged_is_not_waited_for_and_one_that_measures_is_not_disturbed() {
    let bench = Bench::new(model("blood_pressure_suntech").unwrap(), "inuse");
    assert_eq!(bench.probe().0, Probed::Answered);
    bench.port.start();
    assert_eq!(bench.probe().0, Probed::InUse);
    bench.port.stop();
    let stopped = |message: Message| matches!(message.event, PortEvent::Finished);
    assert!(bench.messages.iter().any(stopped));
    assert_eq!(bench.probe().0, Probed::Answered);
    bench.sim.command("unplug").unwrap();
    let lost = |message: Message| matches!(message.event, PortEvent::Lost { .. });
    assert!(bench.messages.iter().any(lost));
    let begun = Instant::now();
    assert_eq!(bench.probe().0, Probed::NoAnswer);
    assert!(begun.elapsed() < PROBE_MAX, "it is known to be out: {:?}", begun.elapsed());
}

/// What a cuff without a serial line answers, report by report.
fn probe_reports(model: &'static Model, host: &UnixDatagram) -> Probed {
    let Some(Transport::Hid { report_bytes }) = model.usb.first().map(|usb| usb.transport) else {
        panic!("{} is no HID device", model.key)
    };
    let send = |transmit: &Transmit| {
        let mut bytes = transmit.bytes().to_vec();
        let kind = match transmit {
            Transmit::Bytes(_) => {
                bytes.resize(report_bytes.into(), 0);
                OUTPUT_REPORT
            }
            Transmit::Feature(_) => FEATURE_REPORT,
        };
        host.send(&[&[kind], &bytes[..]].concat()).unwrap();
    };
    let mut probing = Probing::new(model, Instant::now());
    loop {
        let now = Instant::now();
        // Not on USB itself, so that only an answer counts.
        if let Some(outcome) = probing.outcome(Some(false), now) {
            probing.thank().iter().for_each(send);
            return outcome;
        }
        probing.ask(now).iter().for_each(send);
        let left = probing.due(now).saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        host.set_read_timeout(Some(left)).unwrap();
        let mut report = [0; 256];
        if let Ok(count) = host.recv(&mut report)
            && count == usize::from(report_bytes)
        {
            probing.heard(&report[..count], false);
        }
    }
}

#[test]
fn each_cuff_on_usb_answers_a_question_that_reads_nothing_of_its_memory_and_measures_afterwards() {
    for key in ["blood_pressure_omron", "blood_pressure_microlife_ascii", "blood_pressure_contec_08a", "scale_usb_hid"]
    {
        let (sim, host) = Simulator::start_on_reports(key).unwrap();
        assert_eq!(probe_reports(model(key).unwrap(), &host), Probed::Answered, "{key}");
        if key != "scale_usb_hid" {
            sim.command("asleep").unwrap();
            // What it said before is read away.
            host.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            while host.recv(&mut [0; 256]).is_ok() {}
            assert_eq!(probe_reports(model(key).unwrap(), &host), Probed::NoAnswer, "{key}");
            sim.command("awake").unwrap();
            assert_eq!(probe_reports(model(key).unwrap(), &host), Probed::Answered, "{key}");
        }
    }
}
