//! A simulated device on its port, and the person who uses it while its cable comes and goes.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use drivers::ports::{Address, Binding, MESSAGES_MAX, Message, Port, PortEvent};
use drivers::{Model, Status};
use sim::Simulator;

/// A test that waits longer than that for a device has failed: an arm's rest and a measurement.
pub const PATIENCE: Duration = Duration::from_secs(200);
/// A patient who was asked to measure, and of whose measurement nothing comes, measures again after that.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// The next measurement begins so long after the one before.
const NEXT_AFTER: Duration = Duration::from_millis(50);
/// A recorder's recordings, s: no shorter one is taken.
const RECORDING_SECONDS: u64 = 6;
/// They follow each other, as they do where nobody can record faster than time passes; their dates are of whole seconds.
const NEXT_RECORDING_AFTER: Duration = Duration::from_millis(1_000 * (RECORDING_SECONDS + 1) + 100);
/// A recorder that is used while it is connected is pulled out within that time of its recording.
const WRITTEN_MS_MAX: u64 = 500;

/// The same numbers from the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A simulated device, its port, and somebody who does what the device asks for.
pub struct Bench {
    pub sim: Simulator,
    pub port: Port,
    messages: Receiver<Message>,
    /// The patient was asked to measure, and has.
    measures: bool,
    /// What the measurement under way has given.
    readings: Vec<String>,
    absent: Vec<String>,
    /// What measurements that have ended gave, and how many gave that.
    pub ended: BTreeMap<(Vec<String>, Vec<String>), usize>,
    /// Of a recorder that shows its files: what it has recorded in these measurements.
    recorder: Option<Recorder>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The measurement has not seen its folder: what is recorded now would be an earlier patient's.
    NotSeen,
    MayRecord,
    Recorded,
}

/// What a person does with a recorder: it is taken off, used, and connected again.
struct Recorder {
    /// Of this measurement.
    use_of_it: Use,
    recorded_at: Instant,
    recorded: usize,
}

impl Bench {
    pub fn new(model: &'static Model, sim: Simulator, address: Address) -> Self {
        let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
        let port = Port::open(Binding { name: "unplugged".into(), model, address }, sender).unwrap();
        let (readings, absent, ended) = (Vec::new(), Vec::new(), BTreeMap::new());
        let recorder = Recorder { use_of_it: Use::NotSeen, recorded_at: Instant::now(), recorded: 0 };
        let recorder = model.is_read_from_files().then_some(recorder);
        let mut bench = Bench { sim, port, messages, measures: false, readings, absent, ended, recorder };
        bench.until(|event| matches!(event, PortEvent::Opened { .. }));
        // A network's first packets may be under way for a while: files are counted when the device has its host.
        while bench.sim.command("host").unwrap() != "yes" {
            bench.pass(Duration::from_millis(5));
        }
        // A cuff has its own supply and is quick; what a simulator does not know it does not need.
        for order in ["value own_power=1", "value speed=20", "value seconds=2"] {
            if bench.recorder.is_none() {
                bench.ask(order);
            }
        }
        if bench.recorder.is_some() {
            bench.ask(&format!("value seconds={RECORDING_SECONDS}"));
        }
        bench.start();
        bench
    }

    /// Somebody does it, where there is something to do. Says whether there was.
    fn ask(&self, order: &str) -> bool {
        self.sim.command(order).is_ok()
    }

    fn start(&mut self) {
        // A memory without room for a new record would hide it.
        self.ask("empty");
        if let Some(recorder) = &mut self.recorder {
            recorder.use_of_it = Use::NotSeen;
        }
        self.port.start();
    }

    /// The cable out; returns when the port has told it.
    pub fn unplug(&mut self, random: &mut Random) {
        if self.recorder.is_none() {
            self.sim.command("unplug").unwrap();
            return self.until(|event| matches!(event, PortEvent::Lost { was_open: true, .. }));
        }
        // Some are used while they are connected, and pulled out in the middle of it.
        if random.below(8) == 0 && self.record() {
            self.pass(Duration::from_millis(random.below(WRITTEN_MS_MAX)));
        }
        self.sim.command("unplug").unwrap();
        self.until(|event| matches!(event, PortEvent::Status(Status::ConnectDevice)));
        if random.below(3) == 0 {
            self.record();
        }
    }

    /// The cable in; returns when the device is back.
    pub fn plug(&mut self) {
        self.sim.command("plug").unwrap();
        let is_recorder = self.recorder.is_some();
        self.until(|event| match event {
            PortEvent::Opened { .. } => true,
            // Its folder is seen, or what was recorded is here already.
            PortEvent::Status(Status::MeasureOnDevice) | PortEvent::EcgTaken { .. } => is_recorder,
            _ => false,
        });
    }

    /// Waits until what is under way has given what it has to; says how many readings were shown, and how many of them
    /// were lost again, or recorded and never shown.
    pub fn finish(&mut self) -> Result<(usize, usize), String> {
        // Chance may have left a recorder unused.
        while self.recorder.as_ref().is_some_and(|recorder| recorder.recorded == 0) {
            self.sim.command("unplug").unwrap();
            self.until(|event| matches!(event, PortEvent::Status(Status::ConnectDevice)));
            self.record();
            self.plug();
        }
        if let Some(recorded) = self.recorder.as_ref().map(|recorder| recorder.recorded) {
            while self.ended.iter().map(|((readings, _), times)| readings.len() * times).sum::<usize>() < recorded {
                self.until(|event| matches!(event, PortEvent::Finished));
            }
        }
        // One that has ended well says what all of them had to give.
        let whole = loop {
            if let Some((readings, _)) = self.ended.keys().find(|(readings, _)| !readings.is_empty()) {
                break readings.clone();
            }
            self.until(|event| matches!(event, PortEvent::Finished));
        };
        let (mut shown, mut lost) = (0, 0);
        for ((readings, absent), times) in &self.ended {
            shown += readings.len() * times;
            // Whole, or absent and said to be: never a part.
            let is_absent = readings.is_empty() && !absent.is_empty();
            if *readings != whole && !is_absent {
                lost += readings.len().max(1) * times;
                eprintln!("{times} times {readings:?} of {whole:?}, absent {absent:?}");
            }
        }
        match &self.recorder {
            Some(recorder) if recorder.recorded != shown => {
                Err(format!("recorded {}, shown {shown}", recorder.recorded))
            }
            _ => Ok((shown, lost)),
        }
    }

    /// Somebody records with the recorder, if this measurement has seen its folder and has no recording yet.
    fn record(&mut self) -> bool {
        let Some(recorder) = self.recorder.as_mut().filter(|recorder| recorder.use_of_it == Use::MayRecord) else {
            return false;
        };
        recorder.use_of_it = Use::Recorded;
        recorder.recorded += 1;
        let wait = (recorder.recorded_at + NEXT_RECORDING_AFTER).saturating_duration_since(Instant::now());
        self.pass(wait);
        self.ask("measure");
        if let Some(recorder) = &mut self.recorder {
            recorder.recorded_at = Instant::now();
        }
        true
    }

    /// What the patient does.
    fn obey(&mut self, status: Status) {
        if let Some(recorder) = &mut self.recorder {
            if status == Status::MeasureOnDevice && recorder.use_of_it == Use::NotSeen {
                recorder.use_of_it = Use::MayRecord;
            }
            return;
        }
        self.measures = matches!(status, Status::TakeNow | Status::MeasureOnDevice | Status::StepOn);
        match status {
            Status::FingerOut => self.ask("finger in"),
            Status::StepOn => self.ask("step on") || self.ask("measure"),
            Status::LowerRod => self.ask("rod down"),
            Status::WakeUp | Status::ConnectDevice => self.ask("awake"),
            Status::TakeNow | Status::MeasureOnDevice => self.ask("measure"),
            _ => false,
        };
    }

    fn hear(&mut self, event: &PortEvent) {
        match event {
            PortEvent::Status(status) => self.obey(*status),
            PortEvent::Reading(reading) => self.readings.push(figures(reading.value)),
            PortEvent::EcgTaken { ecg, .. } => self.readings.push(format!("recording of {} rows", ecg.rows())),
            PortEvent::Invalid(absent) => self.absent.push(format!("{absent:?}")),
            PortEvent::Finished => {
                let gave = (std::mem::take(&mut self.readings), std::mem::take(&mut self.absent));
                *self.ended.entry(gave).or_default() += 1;
                // Some answer at once: nobody measures a thousand times a second.
                std::thread::sleep(NEXT_AFTER);
                self.start();
            }
            _ => {}
        }
    }

    /// Lives until then.
    pub fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(message) = self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.hear(&message.event);
        }
    }

    pub fn until(&mut self, fits: impl Fn(&PortEvent) -> bool) {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < give_up_at, "waited in vain");
            match self.messages.recv_timeout(AGAIN_AFTER) {
                Ok(message) => {
                    self.hear(&message.event);
                    if fits(&message.event) {
                        return;
                    }
                }
                // What a device without a clock had measured while its cable was out is not taken.
                Err(RecvTimeoutError::Timeout) if self.measures => drop(self.ask("measure")),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the port ended"),
            }
        }
    }
}

fn figures(value: consult::vitals::Value) -> String {
    use consult::vitals::{Glucose, Value};
    match value {
        Value::Spo2(v) => format!("SpO2 {}", v.percent()),
        Value::PulseRate(v) => format!("pulse {}", v.per_minute()),
        Value::BloodPressure(v) => format!("pressure {}/{}", v.systolic().mmhg(), v.diastolic().mmhg()),
        Value::Weight(v) => format!("weight {}", v.grams()),
        Value::Height(v) => format!("height {}", v.millimetres()),
        Value::Temperature(v) => format!("temperature {}", v.centi_celsius()),
        Value::PerfusionIndex(v) => format!("perfusion {}", v.hundredths_percent()),
        Value::Glucose(Glucose::Mass(v)) => format!("glucose {}", v.mg_per_dl()),
        Value::Glucose(Glucose::Moles(v)) => format!("glucose {}", v.tenths_mmol_per_l()),
        Value::Recording(_) => unreachable!("a port knows no name of a recording"),
    }
}
