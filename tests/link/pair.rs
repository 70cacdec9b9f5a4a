//! Two network namespaces whose only way to each other is a line of ours: a TUN device in each, and one thread that
//! carries packets between them.
//!
//! Needs root (or CAP_NET_ADMIN and CAP_SYS_ADMIN), `/dev/net/tun` and the program `ip`. Nothing of it has a name in
//! the system: it is gone with the last file descriptor, however the test ends.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Conditions, Counts, Line, Trace};

/// The two ends' addresses, of a network of their own (RFC 1918).
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Those of a second line between the same ends.
const SECOND_NEAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const SECOND_FAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
/// The devices, and how they are preferred: the lower the better.
const LINES: [(&str, u32); 2] = [("line0", 100), ("line1", 200)];
/// As on Ethernet.
const PACKET_BYTES_MAX: usize = 1_500;
/// The longest the carrying thread sleeps: a change of conditions and the end are noticed in this time.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the machine lacks for a line of its own. A test then says SKIPPED and this.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// Not root, or a container without the right.
    #[error("a network namespace needs root: {0}")]
    Namespace(io::Error),
    /// No `/dev/net/tun`, or no right to it.
    #[error("a TUN device needs root and /dev/net/tun: {0}")]
    Tun(io::Error),
    /// No program `ip`, or it refused.
    #[error("the Debian package iproute2: {0}")]
    Ip(String),
}

/// One end: a network of its own with a loopback and one device, which leads to the other end.
#[derive(Debug)]
pub struct Namespace {
    file: OwnedFd,
    /// Its address on the line.
    pub address: Ipv4Addr,
}

impl Namespace {
    /// Makes a namespace and its device, on a thread that ends in it.
    fn open(address: Ipv4Addr) -> Result<(Namespace, File), Missing> {
        let inside = move || {
            // SAFETY: only this thread, which runs nothing but this closure, leaves the former namespace.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(Missing::Namespace(io::Error::last_os_error()));
            }
            // The file that stands for the calling thread's own namespace, not for the process's.
            let file = File::open("/proc/thread-self/ns/net").map_err(Missing::Namespace)?;
            ip("link set lo up")?;
            let tun = device(LINES[0], address)?;
            Ok((Namespace { file: file.into(), address }, tun))
        };
        std::thread::spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Moves the calling thread into this namespace for good: every socket that it opens from now on is there, and so
    /// is every program that it starts. Threads that it has started before stay where they were.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as `self`; the call moves this thread only.
        match unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Runs `work` on a thread that is in this namespace.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| work()));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Makes a program that is about to be started start in this namespace.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub fn place(&self, command: &mut Command) -> io::Result<()> {
        let file = self.file.as_fd().try_clone_to_owned()?;
        // SAFETY: between fork and exec only one system call is made, which takes no lock and no memory.
        unsafe {
            command.pre_exec(move || match libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        Ok(())
    }
}

/// Runs `ip` in the calling thread's namespace.
fn ip(words: &str) -> Result<(), Missing> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| Missing::Ip(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Missing::Ip(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// A device of the calling thread's namespace that leads to the other end.
fn device((name, metric): (&str, u32), address: Ipv4Addr) -> Result<File, Missing> {
    let tun = tun(name).map_err(Missing::Tun)?;
    ip(&format!("addr add {address}/24 dev {name}"))?;
    ip(&format!("link set {name} mtu {PACKET_BYTES_MAX} up"))?;
    // Programs that look for the way to the world find this one.
    ip(&format!("route add default dev {name} metric {metric}"))?;
    Ok(tun)
}

/// A TUN device in the calling thread's namespace: whole IP packets, nothing before them.
fn tun(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which outlives the call.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The two ends and what lies between them. Dropping it ends the carrying thread.
#[derive(Debug)]
pub struct Pair {
    /// The end from which the trace's first direction leads.
    pub near: Namespace,
    /// The other end.
    pub far: Namespace,
    shared: Arc<Shared>,
    carriers: Vec<(Arc<Shared>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Near to far, far to near.
    lines: [Line<Vec<u8>>; 2],
    began: Instant,
    /// Both directions' trace and when it began.
    trace: Option<(Trace, Duration)>,
}

impl State {
    fn set(&mut self, conditions: Conditions, now: Duration) {
        for line in &mut self.lines {
            if line.conditions() != conditions {
                line.set(conditions, now);
            }
        }
    }
}

impl Pair {
    /// Two ends with a line that is alike in both directions.
    ///
    /// # Errors
    ///
    /// What the machine lacks.
    pub fn open(conditions: Conditions, seed: u64) -> Result<Pair, Missing> {
        let (near, near_tun) = Namespace::open(NEAR)?;
        let (far, far_tun) = Namespace::open(FAR)?;
        let (shared, carrier) = carrier(conditions, seed, [near_tun, far_tun]);
        Ok(Pair { near, far, shared: Arc::clone(&shared), carriers: vec![(shared, carrier)] })
    }

    /// A second line between the same ends, which is used where the first is pulled out. It stays as it is.
    ///
    /// # Errors
    ///
    /// What the machine lacks.
    pub fn add_second(&mut self, conditions: Conditions, seed: u64) -> Result<(), Missing> {
        let open = |end: &Namespace, address| end.within(|| device(LINES[1], address)).map_err(Missing::Namespace)?;
        let tuns = [open(&self.near, SECOND_NEAR)?, open(&self.far, SECOND_FAR)?];
        self.carriers.push(carrier(conditions, seed, tuns));
        Ok(())
    }

    /// Pulls the first line out of the near end, as a cable: the system there knows at once.
    ///
    /// # Errors
    ///
    /// What the machine lacks.
    pub fn pull_first(&self) -> Result<(), Missing> {
        self.near.within(|| ip(&format!("link set {} down", LINES[0].0))).map_err(Missing::Namespace)?
    }

    /// Both directions are like this from now on.
    pub fn set(&self, conditions: Conditions) {
        let mut state = self.shared.lock();
        state.trace = None;
        let now = state.began.elapsed();
        state.set(conditions, now);
    }

    /// Both directions follow a trace, which begins now. Its seed was taken at [`Pair::open`].
    pub fn play(&self, trace: Trace) {
        let mut state = self.shared.lock();
        let now = state.began.elapsed();
        let conditions = trace.at(Duration::ZERO);
        state.trace = Some((trace, now));
        state.set(conditions, now);
    }

    /// What became of the packets: near to far, far to near.
    pub fn counts(&self) -> [Counts; 2] {
        let state = self.shared.lock();
        [state.lines[0].counts(), state.lines[1].counts()]
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for (shared, carrier) in self.carriers.drain(..) {
            shared.ended.store(true, Ordering::Relaxed);
            // It panics only where it would have been told by the test already.
            let _ = carrier.join();
        }
    }
}

impl Shared {
    /// A poisoned lock only means that a holder panicked; what it guards is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line, and the thread that carries packets over it.
fn carrier(conditions: Conditions, seed: u64, tuns: [File; 2]) -> (Arc<Shared>, JoinHandle<()>) {
    // Each direction has chance of its own.
    let lines = [Line::new(conditions, seed), Line::new(conditions, seed ^ u64::MAX)];
    let state = State { lines, began: Instant::now(), trace: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), ended: AtomicBool::new(false) });
    let carrying = Arc::clone(&shared);
    (shared, std::thread::spawn(move || carry(&carrying, tuns)))
}

/// Carries packets until the pair is dropped.
fn carry(shared: &Shared, mut tuns: [File; 2]) {
    let mut packet = [0; PACKET_BYTES_MAX];
    while !shared.ended.load(Ordering::Relaxed) {
        let mut next: Option<Duration> = None;
        let mut state = shared.lock();
        let now = state.began.elapsed();
        if let Some(conditions) = state.trace.as_ref().map(|(trace, began)| trace.at(now.saturating_sub(*began))) {
            state.set(conditions, now);
        }
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(bytes) = read(&mut tuns[from], &mut packet) {
                let now = state.began.elapsed();
                state.lines[from].send(now, bytes, packet[..bytes].to_vec());
            }
            let now = state.began.elapsed();
            while let Some((_, packet)) = state.lines[from].receive(now) {
                // A device that is full or down loses packets, as real ones do.
                let _ = tuns[to].write(&packet);
            }
            next = [next, state.lines[from].next_at()].into_iter().flatten().min();
        }
        let wait = next.map_or(LOOK_EVERY, |at| at.saturating_sub(state.began.elapsed()).min(LOOK_EVERY));
        drop(state);
        wait_for(&tuns, wait);
    }
}

/// One packet, if one is there.
fn read(tun: &mut File, packet: &mut [u8]) -> Option<usize> {
    loop {
        match tun.read(packet) {
            Ok(bytes) => return Some(bytes),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn wait_for(tuns: &[File; 2], at_most: Duration) {
    let [near, far] = tuns.each_ref().map(|tun| libc::pollfd { fd: tun.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let mut polled = [near, far];
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: at_most.subsec_nanos().into() };
    // SAFETY: two descriptors that are open, and a time; both outlive the call. Whatever it says, the loop looks.
    unsafe { libc::ppoll(polled.as_mut_ptr(), 2, &raw const timeout, std::ptr::null()) };
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "a test that cannot run says so")]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn pair(conditions: Conditions) -> Option<Pair> {
        match Pair::open(conditions, 3) {
            Ok(pair) => Some(pair),
            Err(missing) => {
                println!("SKIPPED: {missing}");
                None
            }
        }
    }

    #[test]
    fn two_namespaces_reach_each_other_only_through_the_line() {
        let delay = Duration::from_millis(40);
        let Some(pair) = pair(Conditions { delay, ..Conditions::GOOD }) else { return };
        let bind = |end: &Namespace| {
            let address = end.address;
            let socket = end.within(move || UdpSocket::bind((address, 0))).expect("in").expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            socket
        };
        let (near, far) = (bind(&pair.near), bind(&pair.far));
        let to_far = far.local_addr().expect("an address");
        let mut bytes = [0; 64];

        let sent_at = Instant::now();
        near.send_to(b"there", to_far).expect("sent");
        let (size, from) = far.recv_from(&mut bytes).expect("arrived");
        far.send_to(&bytes[..size], from).expect("sent");
        let (size, _) = near.recv_from(&mut bytes).expect("arrived");
        assert_eq!(&bytes[..size], b"there");
        assert!(sent_at.elapsed() >= delay * 2, "{:?}", sent_at.elapsed());

        pair.set(Conditions::CUT);
        near.send_to(b"lost", to_far).expect("sent");
        while pair.counts()[0].cut == 0 {
            std::thread::sleep(LOOK_EVERY);
        }
        pair.set(Conditions::GOOD);
        near.send_to(b"back", to_far).expect("sent");
        let (size, _) = far.recv_from(&mut bytes).expect("arrived");
        assert_eq!(&bytes[..size], b"back", "what was sent into the cut never arrives");
        assert!(UdpSocket::bind((NEAR, 0)).is_err(), "the test's own network knows nothing of it");
    }

    #[test]
    fn a_second_line_is_used_when_the_first_is_pulled_out() {
        let Some(mut pair) = pair(Conditions::GOOD) else { return };
        pair.add_second(Conditions::GOOD, 4).expect("a second line");
        let leaves_from = || {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.connect("192.0.2.1:9").expect("a route");
            socket.local_addr().expect("an address").ip()
        };
        assert_eq!(pair.near.within(leaves_from).expect("in"), NEAR);
        pair.pull_first().expect("pulled");
        assert_eq!(pair.near.within(leaves_from).expect("in"), SECOND_NEAR);
    }

    #[test]
    fn a_program_is_started_at_one_end() {
        let Some(pair) = pair(Conditions::GOOD) else { return };
        let mut command = Command::new("ip");
        pair.far.place(command.args(["-o", "addr"])).expect("placed");
        let output = command.output().expect("ip");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("10.77.0.2") && !text.contains("eth0"), "{text}");
    }
}
