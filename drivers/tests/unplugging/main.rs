//! Every model's cable pulled out at random moments and put back, over and over: nothing that was shown is lost, files
//! and memory stay as they were, and the device is back within two seconds.
//!
//! On its simulator's pseudo-terminal, network port or folder each model is alone in a process of its own, for files and
//! memory are a process's. Every model that is a USB device, and some behind a serial adapter, are unplugged in a virtual
//! machine whose kernel has USB, one after another. `UNPLUGS` times each (`make soak`: 100), from `SEED`, which is
//! printed; `MODELS` (keys, comma between) leaves the others out, and what each does stays the same.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drivers::ports::{Address, find};
use drivers::{MODELS, Model, Transport, model};
use sim::Simulator;
use sim::guest::Guest;

mod bench;
mod timeline;

use bench::{Bench, PATIENCE, Random};
use timeline::Timeline;

/// Times each cable is pulled out in `make test`; in the virtual machine, where all take longer.
const UNPLUGS: u64 = 4;
const UNPLUGS_IN_GUEST: u64 = 2;
/// A device is back within that time of its cable.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// Of that time, what passes after the kernel has the device: what a driver has a hand in.
const OURS_WITHIN: Duration = Duration::from_secs(1);
/// A cable stays in that long at most, one time in eight so long that most devices have measured; and out that long.
const IN_MS_MAX: u64 = 1_500;
const LONG_IN_MS_MAX: u64 = 12_000;
const OUT_MS_MAX: u64 = 300;
/// Memory may grow by that much over all unpluggings but the first ones, KiB: the allocator's own unevenness.
const GROWTH_MAX_KIB: i64 = 1_024;
/// One in so many times may be unknown, because the machine stood still.
const UNKNOWN_MAX_PART: usize = 10;
/// Virtual machines at once.
const GUESTS: usize = 2;
/// Vendor and product of the simulated adapter.
const FTDI: (u16, u16) = (0x0403, 0x6001);

fn setting(name: &str, default: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).map_or_else(|_| default(), |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    setting("SEED", || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 & 0xFFFF_FFFF)
}

fn unplugs(default: u64) -> usize {
    usize::try_from(setting("UNPLUGS", || default)).unwrap()
}

/// Whether it is one of those that `MODELS` names, if it names any.
fn is_wanted(model: &&Model) -> bool {
    let keys = std::env::var("MODELS").unwrap_or_default();
    keys.is_empty() || keys.split(',').any(|key| key == model.key)
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

/// What was seen of one model, at its first unpluggings and at its last.
struct Seen {
    key: &'static str,
    cable: &'static str,
    backs: Vec<Duration>,
    files: [usize; 2],
    memory_kib: [i64; 2],
    shown: usize,
    lost: usize,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seen { key, cable, backs, files, memory_kib, shown, lost } = self;
        let (count, [median, most, worst]) = (backs.len(), spread(backs));
        write!(f, "unplugged {key:<31} {cable:<6} {count:>3} times: back after ms {median:>4} {most:>4} {worst:>4}; ")?;
        write!(f, "memory KiB {:>5} {:>5}; files {} {}; ", memory_kib[0], memory_kib[1], files[0], files[1])?;
        write!(f, "readings {shown:>3}, lost {lost}")
    }
}

/// Median, the 95th of 100, and the longest, ms.
fn spread(times: &[Duration]) -> [u128; 3] {
    let mut times = times.to_vec();
    times.sort();
    [50, 95, 100].map(|part| times.get((times.len() * part / 100).min(times.len() - 1)).map_or(0, Duration::as_millis))
}

/// Unplugs it so many times; `heard` is told when the cable came, once the device is back, and says whether the time
/// that it took is known: if not, the cable is pulled out once more.
fn unplug_again_and_again(
    model: &'static Model,
    (sim, address, cable): (Simulator, Address, &'static str),
    mut heard: impl FnMut(Instant) -> bool,
) -> Result<Seen, String> {
    let unplugs = unplugs(UNPLUGS);
    let mut random = Random(seed() ^ model.key.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)));
    let before = open_files();
    let mut backs = Vec::new();
    let mut memory_from = memory_kib();
    let mut bench = Bench::new(model, sim, address);
    let during = (open_files(), threads());
    let rounds_max = unplugs + unplugs.div_ceil(UNKNOWN_MAX_PART);
    for round in 0..rounds_max {
        if backs.len() == unplugs {
            break;
        }
        let in_ms_max = if random.below(8) == 0 { LONG_IN_MS_MAX } else { IN_MS_MAX };
        bench.pass(Duration::from_millis(random.below(in_ms_max)));
        bench.unplug(&mut random);
        bench.pass(Duration::from_millis(random.below(OUT_MS_MAX)));
        let plugged_at = Instant::now();
        bench.plug();
        let back = plugged_at.elapsed();
        if heard(plugged_at) {
            backs.push(back);
        } else {
            eprintln!("  {}: back after {back:?}, in which the machine stood still: once more", model.key);
        }
        // What has ended is still in the kernel's list for a moment.
        let give_up_at = Instant::now() + PATIENCE;
        while (open_files(), threads()) != during {
            let now = (open_files(), threads());
            if Instant::now() >= give_up_at {
                return Err(format!("round {round}: files and threads were {during:?} and are {now:?}"));
            }
            bench.pass(Duration::from_millis(5));
        }
        if round == unplugs / 5 {
            memory_from = memory_kib();
        }
    }
    if backs.len() < unplugs {
        return Err(format!("of {rounds_max} times only {} are known: this machine is too busy", backs.len()));
    }
    let memory_kib = [memory_from, memory_kib()];
    let files = [during.0, open_files()];
    let (shown, lost) = bench.finish()?;
    drop(bench);
    if open_files() > before {
        return Err(format!("files {before} and then {}", open_files()));
    }
    Ok(Seen { key: model.key, cable, backs, files, memory_kib, shown, lost })
}

/// What is wrong with it, if anything is.
fn fault(seen: &Seen) -> Option<String> {
    let grown = seen.memory_kib[1] - seen.memory_kib[0];
    if seen.backs.iter().any(|back| *back >= BACK_WITHIN) {
        Some(format!("back after more than {BACK_WITHIN:?}"))
    } else if grown > GROWTH_MAX_KIB {
        Some(format!("memory grew by {grown} KiB"))
    } else if seen.lost > 0 {
        Some(format!("{} readings lost", seen.lost))
    } else {
        None
    }
}

/// A USB device and nothing else: no serial line, no files.
fn is_usb_only(model: &Model) -> bool {
    model.line.is_none() && !model.usb.is_empty()
}

/// Of those with a serial line some, each behind an FTDI adapter or a port itself (CDC-ACM): three that stream, one that
/// is asked, one of text.
const ON_A_SERIAL_PORT: [&str; 5] =
    ["oximeter_nonin", "blood_pressure_suntech", "scale_tanita", "ecg_cyton", "ecg_healthypi5"];

/// What is unplugged in the virtual machine: all that are USB devices, or can be without a serial port, and those.
fn on_usb() -> impl Iterator<Item = &'static Model> {
    let is_it = |model: &&Model| model.usb.iter().any(|hint| hint.transport != Transport::Serial);
    MODELS.iter().filter(move |model| is_it(model) || ON_A_SERIAL_PORT.contains(&model.key)).filter(is_wanted)
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
    let running: Vec<_> = MODELS.iter().filter(|model| !is_usb_only(model)).filter(is_wanted).map(start).collect();
    let mut wrong = Vec::new();
    for (key, process) in running {
        let output = process.wait_with_output().unwrap();
        let said = said(&output);
        if let Some(at) = said.find("unplugged ") {
            eprintln!("{}", said[at..].lines().next().unwrap_or_default());
        }
        if !output.status.success() {
            wrong.push(format!("{key}: {said}"));
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
    let model = model(&key).unwrap();
    let plugged = if is_on_a_network(&key) {
        // One that the kernel says is free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        (Simulator::start_on_tcp(&key, &address).unwrap(), Address::Tcp(address), "TCP")
    } else {
        let cable = if model.is_read_from_files() { "folder" } else { "tty" };
        (Simulator::start(&key, &link).unwrap(), Address::Path(link), cable)
    };
    let seen = unplug_again_and_again(model, plugged, |_| true);
    std::fs::remove_dir_all(&dir).unwrap();
    let seen = seen.unwrap_or_else(|why| panic!("{key}: {why}"));
    eprintln!("\n{seen}");
    assert_eq!(fault(&seen), None);
}

#[test]
fn every_usb_device_pulled_out_at_random_moments_loses_nothing_and_is_back_within_two_seconds() {
    let (seed, unplugs) = (seed(), unplugs(UNPLUGS_IN_GUEST));
    let keys: Vec<&str> = on_usb().map(|model| model.key).collect();
    // Every second to one guest and the others to the other, so that both have as long.
    let shares = (0..GUESTS).map(|guest| keys.iter().skip(guest).step_by(GUESTS).copied().collect::<Vec<_>>());
    let running: Vec<_> = shares
        .filter(|keys| !keys.is_empty())
        .map(|keys| std::thread::spawn(move || in_a_guest(&keys, seed, unplugs)))
        .collect();
    // Each has said what is wrong; one that says nothing says that this machine can have no guest.
    let failed = running.into_iter().filter_map(|guest| guest.join().err()).count();
    assert_eq!(failed, 0, "SEED={seed}");
}

/// Those models one after another, in a virtual machine.
fn in_a_guest(keys: &[&str], seed: u64, unplugs: usize) {
    let test = "every_usb_device_pulled_out_at_random_moments_loses_nothing_and_is_back_within_two_seconds";
    let inside = vec![("SEED", seed.to_string()), ("UNPLUGS", unplugs.to_string()), ("MODELS", keys.join(","))];
    // A boot; to each its unpluggings and a measurement.
    let seconds_max = 120 + (60 + 15 * unplugs) * keys.len();
    // Its time is that of a processor of its own, whatever else this one does: a second of it is a second.
    let machine = vec![
        ("USB_GUEST_CLOCK", "instructions".to_owned()),
        ("USB_GUEST_UDEV", "yes".to_owned()),
        ("USB_GUEST_SECONDS_MAX", seconds_max.to_string()),
    ];
    Guest { filter: &["--exact", "in_the_guest"], inside, machine }.run(test);
}

// No test by itself: only the guest's kernel has the ports that it plugs into.
#[test]
#[ignore = "in the guest only: the test above starts it there"]
fn in_the_guest() {
    if std::env::var_os("IN_USB_GUEST").is_none() {
        return;
    }
    eprintln!("\nSEED={} UNPLUGS={}", seed(), unplugs(UNPLUGS_IN_GUEST));
    let timeline = Timeline::new();
    let mut wrong = Vec::new();
    for model in on_usb() {
        let plugged = plug_into_usb(model);
        let mut times = Vec::new();
        let seen = unplug_again_and_again(model, plugged, |plugged_at| {
            let moments = timeline.since(plugged_at, BACK_WITHIN);
            let is_known = !timeline.stood_still_since(plugged_at);
            times.extend(is_known.then_some(moments));
            is_known
        });
        match seen {
            Ok(seen) => {
                eprintln!("{seen}");
                let ours = timeline::print(&times);
                let slow = ours.is_none_or(|ours| ours >= OURS_WITHIN);
                let slow = slow.then(|| format!("{ours:?} of it after the kernel had it"));
                wrong.extend(fault(&seen).or(slow).map(|why| format!("{}: {why}", model.key)));
            }
            Err(why) => wrong.push(format!("{}: {why}", model.key)),
        }
    }
    assert!(wrong.is_empty(), "SEED={}: {}", seed(), wrong.join("\n"));
}

/// Plugs it in, and says where a technician would find it.
fn plug_into_usb(model: &'static Model) -> (Simulator, Address, &'static str) {
    let is_serial = ON_A_SERIAL_PORT.contains(&model.key);
    let sim = match Simulator::start_on_usb(model.key, 0) {
        // No USB plug of its own.
        Err(_) if is_serial => Simulator::start_on_usb_adapter(model.key, 0),
        sim => sim,
    }
    .unwrap();
    let give_up_at = Instant::now() + PATIENCE;
    let found = loop {
        let all = if is_serial { find::list() } else { find::list_usb() };
        if let Some(found) = all.into_iter().find(|found| found.usb.is_some() && (found.serial.is_some() || !is_serial))
        {
            break found;
        }
        assert!(Instant::now() < give_up_at, "{}: the kernel does not find it", model.key);
        std::thread::yield_now();
    };
    let (vid, pid) = found.usb.unwrap_or_default();
    if let Some(serial) = found.serial.filter(|_| is_serial) {
        let is_adapter = (vid, pid) == FTDI;
        return (sim, Address::Serial(serial), if is_adapter { "FTDI" } else { "ACM" });
    }
    let cable = match model.transport(vid, pid) {
        Some(Transport::HidUart) => "CP2110",
        Some(Transport::PersonalHealth) => "PHDC",
        _ => "HID",
    };
    (sim, Address::Usb(format!("{vid:04x}:{pid:04x}").parse().unwrap()), cable)
}
