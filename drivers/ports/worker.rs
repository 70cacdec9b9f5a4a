//! The thread of one port.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use consult::vitals::DeviceIdentity;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustix::fd::OwnedFd;

use super::cable::Cable;
use super::find::Address;
use super::news::News;
use super::tty::NotOpened;
use super::{Binding, Command, Message, PortEvent, WallClock, dress};
use crate::capture::{self, Burst, Direction};
use crate::probe::{Probed, Probing, makes_sense};
use crate::{Event, Now, Protocol, Transmit};

/// A port that is out is looked for that often where nothing tells of it: a device is back within 2 s of its cable. Two
/// openings are at least that far apart: one that is lost as soon as it is open does not keep the machine busy.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A port of which news tells is looked for that often all the same.
const LOOK_UNTOLD_EVERY: Duration = Duration::from_millis(1_000);
/// Bytes read at once: 7 s of the fastest, an oximeter.
const READ_MAX: usize = 4096;
/// Messages kept while the cabin does not take them. Past it the oldest is lost, and the log says so.
const WAITING_MAX: usize = 256;
/// A cabin that takes nothing is offered its messages that often.
const OFFER_EVERY: Duration = Duration::from_millis(20);
/// A recording ends by itself at that size.
const RECORD_MAX_BYTES: u64 = capture::TEXT_MAX as u64;

enum Link {
    /// Not there; when it is looked for next, what was said about it, and what tells that it has come.
    Out {
        look_at: Instant,
        said: Said,
        news: News,
    },
    Open(Cable),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Lost,
    Refused,
}

struct Recording {
    file: File,
    bytes: u64,
    last: Instant,
}

pub(super) struct Worker {
    binding: Binding,
    name: Arc<str>,
    protocol: Box<dyn Protocol>,
    usb_serial: Option<String>,
    messages: SyncSender<Message>,
    waiting: VecDeque<Message>,
    dropped: u64,
    inbox: Receiver<Command>,
    wake: Arc<OwnedFd>,
    clock: WallClock,
    recording: Option<Recording>,
    arrived: Instant,
    /// When it may be opened again.
    open_after: Instant,
    probing: Option<Probing>,
    /// Between a start and its end.
    measuring: bool,
    /// Something came since its line was opened, and it made sense.
    was_heard: bool,
    made_sense: bool,
}

impl Worker {
    pub(super) fn new(
        binding: Binding,
        name: Arc<str>,
        messages: SyncSender<Message>,
        inbox: Receiver<Command>,
        wake: Arc<OwnedFd>,
        clock: WallClock,
    ) -> Self {
        Worker {
            protocol: (binding.model.protocol)(),
            binding,
            name,
            usb_serial: None,
            messages,
            waiting: VecDeque::new(),
            dropped: 0,
            inbox,
            wake,
            clock,
            recording: None,
            arrived: Instant::now(),
            open_after: Instant::now(),
            probing: None,
            measuring: false,
            was_heard: false,
            made_sense: false,
        }
    }

    pub(super) fn run(mut self) {
        let news = News::of(&self.binding.address);
        let mut link = Link::Out { look_at: Instant::now(), said: Said::Nothing, news };
        let mut buffer = vec![0; READ_MAX];
        loop {
            link = match link {
                Link::Out { look_at, said, news } if look_at <= Instant::now() => self.look(said, news),
                link => link,
            };
            let mut gone = self.turn(&mut link);
            self.offer();
            let (readable, woken) = self.wait(&link);
            if let Link::Out { look_at, news, .. } = &mut link
                && readable
                && news.take()
            {
                tracing::debug!(port = %self.name, "told");
                *look_at = self.open_after;
            }
            if woken {
                let mut count = [0; 8];
                // Only empties the counter; the commands are in the inbox.
                let _ = rustix::io::read(&*self.wake, &mut count);
                while let Ok(command) = self.inbox.try_recv() {
                    if !self.obey(command) {
                        // What was queued by the stop (a cuff's) still goes out.
                        self.protocol.stop(self.now());
                        self.turn(&mut link);
                        return;
                    }
                }
            }
            if let Link::Open(cable) = &mut link
                && readable
            {
                match cable.read(&mut buffer) {
                    Ok(count) => self.heard(&buffer[..count]),
                    Err(_) => gone = true,
                }
            }
            if gone {
                link = self.lost();
            }
        }
    }

    fn now(&self) -> Now {
        Now { instant: Instant::now(), wall: (self.clock)() }
    }

    /// Tries to open the device.
    fn look(&mut self, said: Said, mut news: News) -> Link {
        // What has been told until now is in what is found now.
        news.take();
        match Cable::open(&self.binding.address, self.binding.model) {
            Ok((cable, found)) => {
                // Closed by the time that it is said to be open.
                drop(news);
                tracing::info!(port = %self.name, path = %found.path.display(), model = self.binding.model.key, "open");
                self.usb_serial = found.serial;
                self.arrived = Instant::now();
                (self.was_heard, self.made_sense) = (false, false);
                self.say(PortEvent::Opened { path: found.path });
                let now = self.now();
                self.open_after = now.instant + LOOK_EVERY;
                self.protocol.port_opened(now);
                Link::Open(cable)
            }
            Err(NotOpened::Missing) => self.missing(said, news),
            Err(NotOpened::Refused { path, remedy }) => {
                tracing::debug!(port = %self.name, %remedy, "refused");
                if said != Said::Refused {
                    tracing::warn!(port = %self.name, path = %path.display(), %remedy, "may not be opened");
                    self.arrived = Instant::now();
                    self.say(PortEvent::Refused { path, remedy });
                }
                self.open_after = Instant::now() + LOOK_EVERY;
                Link::Out { look_at: self.open_after, said: Said::Refused, news }
            }
        }
    }

    fn missing(&mut self, said: Said, news: News) -> Link {
        tracing::debug!(port = %self.name, "missing");
        if said == Said::Nothing {
            tracing::warn!(port = %self.name, address = %self.binding.address, "not there: check the cable");
            self.arrived = Instant::now();
            self.say(PortEvent::Lost { address: self.binding.address.clone(), was_open: false });
        }
        let look_at = Instant::now() + if news.is_heard() { LOOK_UNTOLD_EVERY } else { LOOK_EVERY };
        Link::Out { look_at, said: if said == Said::Nothing { Said::Lost } else { said }, news }
    }

    fn lost(&mut self) -> Link {
        tracing::warn!(port = %self.name, address = %self.binding.address, "lost: check the cable");
        self.arrived = Instant::now();
        self.say(PortEvent::Lost { address: self.binding.address.clone(), was_open: true });
        // Looked for once more in a moment, told of or not: it may be back already. Not at once: the kernel may not be
        // done with its going.
        let news = News::of(&self.binding.address);
        Link::Out { look_at: Instant::now() + LOOK_EVERY, said: Said::Lost, news }
    }

    /// Lets the protocol act: what is due, what it sends, what it says. True when the device has gone.
    fn turn(&mut self, link: &mut Link) -> bool {
        let mut gone = false;
        if let Link::Open(cable) = link {
            let now = self.now();
            if self.protocol.poll_timeout().is_some_and(|at| at <= now.instant) {
                self.protocol.handle_timeout(now);
            }
            while let Some(transmit) = self.protocol.poll_transmit() {
                gone |= self.send(&transmit, cable);
            }
            gone |= self.probe(Some(cable));
        } else {
            self.probe(None);
        }
        while let Some(event) = self.protocol.poll_event() {
            self.made_sense = makes_sense(&event, self.measuring).unwrap_or(self.made_sense);
            self.measuring &= event != Event::Finished;
            let device = DeviceIdentity {
                model: self.binding.model.key.to_owned(),
                serial: self.protocol.serial().or_else(|| self.usb_serial.clone()),
                firmware: self.protocol.firmware(),
            };
            let at = (self.clock)();
            self.say(dress(event, device, at));
        }
        gone
    }

    /// True when the device has gone.
    fn send(&mut self, transmit: &Transmit, cable: &mut Cable) -> bool {
        let sent = match transmit {
            Transmit::Bytes(bytes) => {
                self.record(Direction::ToDevice, bytes);
                cable.write(bytes)
            }
            Transmit::Feature(report) => {
                self.record(Direction::Feature, report);
                cable.set_feature(report)
            }
        };
        sent.is_err()
    }

    /// Goes on asking whether the device is there. True when it has gone.
    fn probe(&mut self, cable: Option<&mut Cable>) -> bool {
        let Some(mut probing) = self.probing.take() else { return false };
        let now = Instant::now();
        let outcome = probing.outcome(cable.as_ref().map(|cable| cable.is_the_device() || self.was_heard), now);
        let mut gone = false;
        if let Some(cable) = cable {
            let said = match outcome {
                None => probing.ask(now),
                Some(Probed::Answered) => probing.thank(),
                Some(_) => Vec::new(),
            };
            for transmit in &said {
                gone |= self.send(transmit, cable);
            }
        }
        match outcome {
            None => self.probing = Some(probing),
            Some(outcome) => self.say(PortEvent::Probed(outcome)),
        }
        gone
    }

    fn heard(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.arrived = Instant::now();
        self.was_heard = true;
        self.record(Direction::FromDevice, bytes);
        let now = self.now();
        self.protocol.handle_input(bytes, now);
        if let Some(probing) = &mut self.probing {
            probing.heard(bytes, self.made_sense);
        }
    }

    /// Waits for bytes, a command, or the next timeout. Returns whether the line (or, while it is out, news
    /// of it) and the wake-up are ready.
    fn wait(&self, link: &Link) -> (bool, bool) {
        let offer = (!self.waiting.is_empty()).then(|| Instant::now() + OFFER_EVERY);
        let due = match link {
            Link::Out { look_at, .. } => Some(*look_at),
            Link::Open(_) => self.protocol.poll_timeout(),
        };
        let probe = self.probing.as_ref().map(|probing| probing.due(Instant::now()));
        let timeout = [offer, due, probe]
            .into_iter()
            .flatten()
            .min()
            .map(|at| TimeSpec::from(at.saturating_duration_since(Instant::now()) + Duration::from_micros(200)));
        let mut fds = vec![PollFd::new(self.wake.as_raw_fd(), PollFlags::POLLIN)];
        match link {
            Link::Open(cable) => fds.push(PollFd::new(cable.as_raw_fd(), PollFlags::POLLIN)),
            Link::Out { news, .. } => {
                fds.extend(news.descriptors().map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)));
            }
        }
        // A hang-up counts as readable: the read tells.
        let is_ready = |fd: &PollFd| fd.any().unwrap_or(true);
        match ppoll(&mut fds, timeout, None) {
            Ok(_) => (fds[1..].iter().any(is_ready), is_ready(&fds[0])),
            Err(_) => (false, true),
        }
    }

    /// False: the port closes.
    fn obey(&mut self, command: Command) -> bool {
        let now = self.now();
        match command {
            Command::Start => {
                self.measuring = true;
                self.protocol.start(now);
                if self.probing.take().is_some() {
                    self.say(PortEvent::Probed(Probed::InUse));
                }
            }
            Command::Probe if self.measuring => self.say(PortEvent::Probed(Probed::InUse)),
            Command::Probe => self.probing = Some(Probing::new(self.binding.model, now.instant)),
            Command::Stop => self.protocol.stop(now),
            Command::Record(None) => self.recording = None,
            Command::Record(Some(path)) => match self.open_record(&path) {
                Ok(recording) => self.recording = Some(recording),
                Err(error) => tracing::warn!(port = %self.name, path = %path.display(), %error, "cannot record"),
            },
            Command::Close => return false,
        }
        true
    }

    fn open_record(&self, path: &Path) -> std::io::Result<Recording> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(PathBuf::from(path))?;
        writeln!(file, "# model: {}", self.binding.model.key)?;
        writeln!(file, "# firmware: {}", self.protocol.firmware().unwrap_or_else(|| "unknown".into()))?;
        writeln!(file, "# serial: {}", self.protocol.serial().or_else(|| self.usb_serial.clone()).unwrap_or_default())?;
        writeln!(file, "# when: {} ms since 1970", (self.clock)().0)?;
        writeln!(file, "# who: (to be filled in)\n# where: (to be filled in)")?;
        Ok(Recording { file, bytes: 0, last: Instant::now() })
    }

    fn record(&mut self, direction: Direction, bytes: &[u8]) {
        let Some(recording) = &mut self.recording else { return };
        let now = Instant::now();
        let after_ms = u64::try_from(now.duration_since(recording.last).as_millis()).unwrap_or(u64::MAX);
        recording.last = now;
        let line = capture::line(&Burst { after_ms, direction, bytes: bytes.to_vec() });
        recording.bytes += line.len() as u64;
        if recording.bytes > RECORD_MAX_BYTES || recording.file.write_all(line.as_bytes()).is_err() {
            tracing::warn!(port = %self.name, "the recording ends here: it is full, or the disk is");
            self.recording = None;
        }
    }

    fn say(&mut self, event: PortEvent) {
        let message = Message { port: self.name.clone(), model: self.binding.model, arrived: self.arrived, event };
        if self.waiting.is_empty() {
            match self.messages.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => self.keep(message),
                // Nobody listens any more: the port is about to be closed.
                Err(TrySendError::Disconnected(_)) => {}
            }
        } else {
            self.keep(message);
        }
    }

    fn keep(&mut self, message: Message) {
        if message.event.is_passing() {
            self.dropped += 1;
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            tracing::warn!(port = %self.name, "the cabin does not take what this port says: the oldest is lost");
            self.waiting.pop_front();
        }
        self.waiting.push_back(message);
    }

    fn offer(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            match self.messages.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => return self.waiting.push_front(message),
                Err(TrySendError::Disconnected(_)) => return self.waiting.clear(),
            }
        }
        if std::mem::take(&mut self.dropped) > 0 {
            tracing::warn!(port = %self.name, "curves were dropped: the cabin was too slow");
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::IdPath(id_path) => write!(f, "id_path {id_path}"),
            Address::Serial(serial) => write!(f, "serial {serial}"),
            Address::Path(path) => write!(f, "path {}", path.display()),
            Address::Usb(usb) => write!(f, "usb {usb}"),
            Address::Tcp(host) => write!(f, "tcp {host}"),
        }
    }
}
