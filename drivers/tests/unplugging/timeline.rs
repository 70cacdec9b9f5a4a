//! What happened between a cable's return and its device's, and when: what the kernel told (its own uevents, which need
//! no udev) and what the port told its log.

use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Group of the kernel's own uevents; udev's are of another.
const OF_THE_KERNEL: u32 = 1;

/// A moment on the way back, in the order in which they come on a cable that is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The kernel has read what the device is.
    Added,
    /// The kernel has configured it, and its own drivers have it.
    Bound,
    /// The port has found it.
    Found,
    /// The port is open.
    Opened,
}

const MOMENTS: [Moment; 4] = [Moment::Added, Moment::Bound, Moment::Found, Moment::Opened];

/// How long after the plug each of [`MOMENTS`] came; `None`: it was not heard.
pub type Times = [Option<Duration>; 4];

type Heard = Arc<Mutex<Vec<(Moment, Instant)>>>;
/// All that the port told its log.
type Log = Arc<Mutex<Vec<(String, Instant)>>>;
/// Lines of a log that are kept until they are asked for.
const LINES_MAX: usize = 10_000;

/// A virtual machine whose own machine is busy stands still now and then, and its clock goes on: whoever sleeps for so
/// long in it wakes up late.
const BEAT: Duration = Duration::from_millis(50);
/// By so much: it stood still, for no thread of a test keeps another from running for so long.
const LATE: Duration = Duration::from_millis(500);

/// Listens for as long as the process lives.
pub struct Timeline {
    heard: Heard,
    log: Log,
    /// When the machine went on after it had stood still.
    went_on: Arc<Mutex<Vec<Instant>>>,
}

impl Timeline {
    pub fn new() -> Self {
        let heard = Heard::default();
        let log = Log::default();
        tracing::subscriber::set_global_default(Listener { heard: heard.clone(), log: log.clone() })
            .expect("one of a process");
        let flags = SocketFlags::CLOEXEC;
        let uevents =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::KOBJECT_UEVENT))
                .unwrap();
        rustix::net::bind(&uevents, &netlink::SocketAddrNetlink::new(0, OF_THE_KERNEL)).unwrap();
        let of_kernel = heard.clone();
        std::thread::spawn(move || listen(&uevents, &of_kernel));
        let went_on = Arc::new(Mutex::new(Vec::new()));
        let of_beats = went_on.clone();
        std::thread::spawn(move || beat(&of_beats));
        Timeline { heard, log, went_on }
    }

    /// Whether the machine stood still since then: how long something took is not known.
    pub fn stood_still_since(&self, from: Instant) -> bool {
        // The beat under way tells when it has ended.
        std::thread::sleep(2 * BEAT);
        std::mem::take(&mut *self.went_on.lock().unwrap()).into_iter().any(|at| at >= from)
    }

    /// How long after `from` each moment came: the device is back. Forgets them. Prints what the port told its log
    /// meanwhile if it was slower than that.
    pub fn since(&self, from: Instant, slow: Duration) -> Times {
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        if from.elapsed() >= slow {
            for (words, at) in log {
                let ms = at.saturating_duration_since(from).as_micros();
                eprintln!("  {ms:>9} us {words}");
            }
        }
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        MOMENTS.map(|wanted| {
            let mut of_it = heard.iter().filter(|(moment, at)| *moment == wanted && *at >= from).map(|(_, at)| *at);
            // Found more than once: the last time is the one that led to the opening.
            let at = if wanted == Moment::Found { of_it.next_back() } else { of_it.next() };
            at.map(|at| at.duration_since(from))
        })
    }
}

/// Prints when each moment came, and gives the longest time that passed after the kernel had the device; `None`: that
/// is not known of every time.
pub fn print(times: &[Times]) -> Option<Duration> {
    for (at, moment) in MOMENTS.iter().enumerate() {
        let heard: Vec<Duration> = times.iter().filter_map(|times| times[at]).collect();
        let [median, most, worst] = super::spread(&heard);
        eprintln!("  {moment:?} after ms {median:>4} {most:>4} {worst:>4}, {} times", heard.len());
    }
    let ours = times.iter().map(|[added, bound, _, opened]| Some((*opened)?.saturating_sub((*bound).max(*added)?)));
    let ours = ours.collect::<Option<Vec<Duration>>>()?;
    let [median, most, worst] = super::spread(&ours);
    eprintln!("  after the kernel had it ms {median:>4} {most:>4} {worst:>4}");
    ours.into_iter().max()
}

fn beat(went_on: &Mutex<Vec<Instant>>) {
    loop {
        let slept_at = Instant::now();
        std::thread::sleep(BEAT);
        if slept_at.elapsed() >= BEAT + LATE {
            went_on.lock().unwrap().push(Instant::now());
        }
    }
}

fn listen(uevents: &OwnedFd, heard: &Heard) {
    let mut buffer = [0; 8192];
    loop {
        // Too many at once are lost; it goes on.
        let Ok((count, _)) = rustix::net::recv(uevents, &mut buffer[..], RecvFlags::empty()) else { continue };
        let at = Instant::now();
        let text = String::from_utf8_lossy(&buffer[..count]);
        let has = |line: &str| text.split('\0').any(|other| other == line);
        if !has("DEVTYPE=usb_device") {
            continue;
        }
        if has("ACTION=add") {
            heard.lock().unwrap().push((Moment::Added, at));
        } else if has("ACTION=bind") {
            heard.lock().unwrap().push((Moment::Bound, at));
        }
    }
}

/// Hears a port's log.
struct Listener {
    heard: Heard,
    log: Log,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("drivers::ports")
    }

    fn event(&self, event: &Event<'_>) {
        let (mut words, at) = (Words::default(), Instant::now());
        event.record(&mut words);
        match words.message.as_str() {
            "found" => self.heard.lock().unwrap().push((Moment::Found, at)),
            "open" => self.heard.lock().unwrap().push((Moment::Opened, at)),
            _ => {}
        }
        let mut log = self.log.lock().unwrap();
        if log.len() < LINES_MAX {
            log.push((format!("{}{}", words.message, words.rest), at));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Words {
    message: String,
    rest: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.rest += &format!(" {name}={value:?}"),
        }
    }
}
