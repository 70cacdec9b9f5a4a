//! Every model's cable pulled out at random moments and put back, over and over: nothing that was shown is lost, files
//! and memory stay as they were, and the device is back within two seconds.
//!
//! Each model is alone in a process of its own, for files and memory are a process's: on its simulator's
//! pseudo-terminal or network port, or, where it is a USB device only, in a virtual machine whose kernel has USB. `UNPLUGS` times each
//! (`make soak`: 100), from `SEED`, which is printed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drivers::ports::{Address, Binding, MESSAGES_MAX, Message, Port, PortEvent};
use drivers::{MODELS, Model, Status, model};
use sim::Simulator;

/// Times each cable is pulled out in `make test`; in the virtual machine, where all take longer.
const UNPLUGS: u64 = 4;
const UNPLUGS_IN_GUEST: u64 = 2;
/// A test that waits longer than that for a device has failed: an arm's rest and a measurement.
const PATIENCE: Duration = Duration::from_secs(200);
/// A device is back within that time of its cable.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// In the virtual machine, whose processor is emulated beside other tests. What it took is printed.
const BACK_WITHIN_IN_GUEST: Duration = Duration::from_secs(15);
/// A cable stays in that long at most, one time in eight so long that most devices have measured; and out that long.
const IN_MS_MAX: u64 = 1_500;
const LONG_IN_MS_MAX: u64 = 12_000;
const OUT_MS_MAX: u64 = 300;
/// A patient who was asked to measure, and of whose measurement nothing comes, measures again after that.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// The next measurement begins so long after the one before.
const NEXT_AFTER: Duration = Duration::from_millis(50);
/// Memory may grow by that much over all unpluggings but the first ones, KiB: the allocator's own unevenness.
const GROWTH_MAX_KIB: i64 = 1_024;
/// How `tests/tools/usb_guest` says that this machine can have no guest.
const NO_GUEST: i32 = 77;

fn setting(name: &str, default: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).map_or_else(|_| default(), |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    setting("SEED", || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 & 0xFFFF_FFFF)
}

fn unplugs(default: u64) -> usize {
    usize::try_from(setting("UNPLUGS", || default)).unwrap()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Memory of this process that is no file's, KiB.
fn memory_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A simulated device, its port, and somebody who does what the device asks for.
struct Bench {
    sim: Simulator,
    port: Port,
    messages: Receiver<Message>,
    /// The patient was asked to measure, and has.
    measures: bool,
    /// What the measurement under way has given.
    readings: Vec<String>,
    absent: Vec<String>,
    /// What measurements that have ended gave, and how many gave that.
    ended: BTreeMap<(Vec<String>, Vec<String>), usize>,
}

impl Bench {
    fn new(model: &'static Model, sim: Simulator, address: Address) -> Self {
        let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
        let port = Port::open(Binding { name: "unplugged".into(), model, address }, sender).unwrap();
        let (readings, absent, ended) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut bench = Bench { sim, port, messages, measures: false, readings, absent, ended };
        bench.until(|event| matches!(event, PortEvent::Opened { .. }));
        // A cuff has its own supply and is quick; what a simulator does not know it does not need.
        for order in ["value own_power=1", "value speed=20", "value seconds=2"] {
            bench.ask(order);
        }
        bench.start();
        bench
    }

    /// Somebody does it, where there is something to do. Says whether there was.
    fn ask(&self, order: &str) -> bool {
        self.sim.command(order).is_ok()
    }

    fn start(&self) {
        // A memory without room for a new record would hide it.
        self.ask("empty");
        self.port.start();
    }

    /// What the patient does.
    fn obey(&mut self, status: Status) {
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
            PortEvent::EcgTaken { .. } => self.readings.push("recording".into()),
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
    fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(message) = self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.hear(&message.event);
        }
    }

    fn until(&mut self, fits: impl Fn(&PortEvent) -> bool) {
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

/// What was seen of one model.
fn unplug_again_and_again(model: &'static Model, sim: Simulator, address: Address, back_within: Duration) {
    let (seed, unplugs) = (seed(), unplugs(UNPLUGS));
    let mut random = Random(seed ^ model.key.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)));
    let before = (open_files(), threads());
    let mut backs = Vec::new();
    let mut grown_from = memory_kib();
    let mut bench = Bench::new(model, sim, address);
    let during = (open_files(), threads());
    for round in 0..unplugs {
        let in_ms_max = if random.below(8) == 0 { LONG_IN_MS_MAX } else { IN_MS_MAX };
        bench.pass(Duration::from_millis(random.below(in_ms_max)));
        bench.sim.command("unplug").unwrap();
        bench.until(|event| matches!(event, PortEvent::Lost { was_open: true, .. }));
        bench.pass(Duration::from_millis(random.below(OUT_MS_MAX)));
        let plugged_at = Instant::now();
        bench.sim.command("plug").unwrap();
        bench.until(|event| matches!(event, PortEvent::Opened { .. }));
        let back = plugged_at.elapsed();
        assert!(back < back_within, "{}: SEED={seed}: back after {back:?}", model.key);
        backs.push(back);
        // What has ended is still in the kernel's list for a moment.
        let give_up_at = Instant::now() + PATIENCE;
        while (open_files(), threads()) != during {
            let now = (open_files(), threads());
            assert!(Instant::now() < give_up_at, "{}: SEED={seed}: files, threads {during:?}, now {now:?}", model.key);
            bench.pass(Duration::from_millis(5));
        }
        if round == unplugs / 5 {
            grown_from = memory_kib();
        }
    }
    let grown = memory_kib() - grown_from;
    assert!(grown <= GROWTH_MAX_KIB, "{}: SEED={seed}: memory grew by {grown} KiB", model.key);
    // One that has ended well says what all of them had to give.
    let whole = loop {
        if let Some((readings, _)) = bench.ended.keys().find(|(readings, _)| !readings.is_empty()) {
            break readings.clone();
        }
        bench.until(|event| matches!(event, PortEvent::Finished));
    };
    let mut kept = 0;
    for ((readings, absent), times) in &bench.ended {
        // Whole, or absent and said to be: never a part.
        let is_whole = *readings == whole;
        kept += if is_whole { *times } else { 0 };
        assert!(
            is_whole || readings.is_empty() && !absent.is_empty(),
            "{}: SEED={seed}: {readings:?} of {whole:?}, {absent:?}",
            model.key
        );
    }
    let Bench { sim, port, ended, .. } = bench;
    drop((sim, port));
    assert!(open_files() <= before.0, "{}: SEED={seed}: files {} and then {}", model.key, before.0, open_files());
    backs.sort();
    let at = |part: usize| backs.get((backs.len() * part / 100).min(backs.len() - 1)).map_or(0, Duration::as_millis);
    eprintln!(
        "unplugged {:<32} {unplugs:>3} times: back after ms median {:>4}, 95 % {:>4}, at most {:>4}; files {}, threads {}; \
         memory {grown:+} KiB; measurements {kept} whole of {}",
        model.key,
        at(50),
        at(95),
        at(100),
        during.0,
        during.1,
        ended.values().sum::<usize>(),
    );
}

/// A USB device and nothing else: no serial line, no files.
fn is_usb_only(model: &Model) -> bool {
    model.line.is_none() && !model.usb.is_empty()
}

/// What is unplugged in the virtual machine: those, one behind a chip that gives it a serial line, one of a class that
/// the kernel has no driver for.
fn on_usb() -> impl Iterator<Item = &'static Model> {
    let others = ["thermometer_taidoc", "glucose_accu_chek"];
    MODELS.iter().filter(move |model| is_usb_only(model) || others.contains(&model.key))
}

/// Devices of IEEE 11073, which a test reaches over TCP.
fn is_on_a_network(key: &str) -> bool {
    key.ends_with("_phd")
}

/// This program again, to do one thing.
fn this_program(test: &str) -> Vec<PathBuf> {
    let arguments = ["--ignored", "--exact", "--nocapture", test].map(PathBuf::from);
    std::iter::once(std::env::current_exe().unwrap()).chain(arguments).collect()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_cable_pulled_out_at_random_moments_loses_nothing_and_is_back_within_two_seconds() {
    let seed = seed();
    eprintln!("SEED={seed} UNPLUGS={}", unplugs(UNPLUGS));
    let words = this_program("one_model");
    let start = |model: &'static Model| {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("MODEL", model.key).env("SEED", seed.to_string());
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (model.key, process)
    };
    // A recorder that shows its files is no cable: it is taken off to be used, which `simulated/ecg.rs` does.
    let is_on_a_cable = |model: &&Model| !is_usb_only(model) && !model.is_read_from_files();
    let running: BTreeMap<_, _> = MODELS.iter().filter(is_on_a_cable).map(start).collect();
    let mut wrong = Vec::new();
    for (key, process) in running {
        let output = process.wait_with_output().unwrap();
        let said = said(&output);
        let line = said.lines().find_map(|line| line.find("unplugged ").map(|at| &line[at..]));
        match line.filter(|_| output.status.success()) {
            Some(line) => eprintln!("{line}"),
            None => wrong.push(format!("{key}: {said}")),
        }
    }
    assert!(wrong.is_empty(), "SEED={seed}: {}", wrong.join("\n"));
}

// No test by itself: files and memory are a process's, and each model has one of its own.
#[test]
#[ignore = "one model of the test above, which starts it"]
fn one_model() {
    let Ok(key) = std::env::var("MODEL") else { return };
    let dir = std::env::temp_dir().join(format!("drivers-unplugging-{key}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let link = dir.join("port");
    let (sim, address) = if is_on_a_network(&key) {
        // One that the kernel says is free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        (Simulator::start_on_tcp(&key, &address).unwrap(), Address::Tcp(address))
    } else {
        (Simulator::start(&key, &link).unwrap(), Address::Path(link))
    };
    unplug_again_and_again(model(&key).unwrap(), sim, address, BACK_WITHIN);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn every_usb_device_pulled_out_at_random_moments_loses_nothing() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tools/usb_guest");
    let target: Option<PathBuf> = std::env::current_exe().unwrap().ancestors().nth(3).map(Path::to_owned);
    let (seed, unplugs) = (seed(), unplugs(UNPLUGS_IN_GUEST));
    let mut command = Command::new(script);
    command.arg("/usr/bin/env").arg(format!("SEED={seed}")).arg(format!("UNPLUGS={unplugs}"));
    command.args(this_program("in_the_guest")).env("CARGO_TARGET_DIR", target.unwrap());
    // A boot; to each its unpluggings and a measurement, which a minute may have to pass for.
    let seconds_max = 60 + (75 + 4 * unplugs) * on_usb().count();
    let output = command.env("USB_GUEST_SECONDS_MAX", seconds_max.to_string()).output().unwrap();
    let said = said(&output);
    if output.status.code() == Some(NO_GUEST) {
        assert!(std::env::var_os("CI").is_none(), "{said}");
        eprintln!("every_usb_device_pulled_out_at_random_moments_loses_nothing: SKIPPED, {}", said.trim());
        return;
    }
    eprintln!("{said}");
    assert!(output.status.success() && said.contains("test result: ok. 1 passed"), "SEED={seed}: {}", output.status);
}

// No test by itself: only the guest's kernel has the ports that it plugs into.
#[test]
#[ignore = "in the guest only: the test above starts it there"]
fn in_the_guest() {
    if std::env::var_os("IN_USB_GUEST").is_none() {
        return;
    }
    for model in on_usb() {
        let hint = model.usb.iter().find(|hint| hint.transport != drivers::Transport::Serial).unwrap();
        let sim = Simulator::start_on_usb(model.key, 0).unwrap();
        let address = Address::Usb(format!("{:04x}:{:04x}", hint.vid, hint.pid).parse().unwrap());
        unplug_again_and_again(model, sim, address, BACK_WITHIN_IN_GUEST);
    }
}
