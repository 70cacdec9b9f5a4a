//! The only code that opens a device. One thread a port: it opens the line, carries bytes between it and the model's
//! protocol, says when the cable is out and opens it again when it is back.
//!
//! ```no_run
//! use drivers::ports::{Address, Binding, Ports};
//! let cuff = Binding {
//!     name: "cuff".into(),
//!     model: drivers::model("blood_pressure_suntech").unwrap(),
//!     address: Address::IdPath("pci-0000:00:14.0-usb-0:2:1.0".into()),
//! };
//! let (ports, messages) = Ports::open(vec![cuff]);
//! ports.start("cuff");
//! for message in messages {
//!     println!("{}: {:?}", message.port, message.event);
//! }
//! ```

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use consult::ecg::Ecg;
use consult::vitals::{DeviceIdentity, Measurement, Moment, Reading};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;

use crate::probe::Probed;
use crate::{Absent, Event, Fault, Measured, Model, Status, Waveform};

mod cable;
pub mod find;
pub mod fixtures;
mod folder;
mod hid;
mod hid_uart;
mod news;
mod phdc;
mod tcp;
mod tty;
mod usb;
mod worker;

pub use find::{Address, Found, UsbAddress, Which};

/// Most messages waiting for the cabin. Past it curves and live figures are dropped first (the next ones replace
/// them); what is kept of a patient waits in the port.
pub const MESSAGES_MAX: usize = 1024;

/// A device of this cabin: which model is plugged where.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Name in the configuration, e.g. `oximeter`.
    pub name: String,
    /// Its model.
    pub model: &'static Model,
    /// Where it is plugged.
    pub address: Address,
}

/// What a port says.
#[derive(Clone, Debug)]
pub struct Message {
    /// Name of the binding.
    pub port: Arc<str>,
    /// Its model.
    pub model: &'static Model,
    /// When the last byte that made this arrived (monotonic): where the measure of latency begins.
    pub arrived: Instant,
    /// What.
    pub event: PortEvent,
}

/// What a technician does about a port that is there and does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The cabin's account may not open it.
    Permission,
    /// Another program holds it.
    Held,
    /// The file is no serial port, the USB device is none of the model's, or several are plugged in that are alike.
    NotAPort,
    /// The adapter does not take the model's speed.
    Speed,
}

impl std::fmt::Display for Remedy {
    /// For a command line or a log; a screen has its own words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Remedy::Permission => {
                "install the udev rule 70-cabin-devices.rules (or, for a serial port, join the group dialout)"
            }
            Remedy::Held => "another program holds this port: stop ModemManager, or the other program of the cabin",
            Remedy::NotAPort => {
                "no port of this model, or several that are alike: correct the configuration (cabinctl device list)"
            }
            Remedy::Speed => "this port does not take the model's speed: use another serial adapter",
        })
    }
}

/// What a port has to say.
#[derive(Clone, Debug)]
pub enum PortEvent {
    /// The port is open: the device is there, as far as a cable can tell.
    Opened {
        /// The file opened.
        path: PathBuf,
    },
    /// Not there, or no longer. Check the cable; it is opened again when it is back.
    Lost {
        /// Where it is looked for.
        address: Address,
        /// It was there before, and a measurement may have been under way.
        was_open: bool,
    },
    /// There, but this program may not open it.
    Refused {
        /// The file.
        path: PathBuf,
        /// What a technician does about it.
        remedy: Remedy,
    },
    /// See [`Event::Live`].
    Live(Reading),
    /// See [`Event::Reading`].
    Reading(Reading),
    /// See [`Event::Waveform`].
    Waveform(Waveform),
    /// See [`Event::Ecg`].
    Ecg(Ecg),
    /// See [`Event::EcgTaken`].
    EcgTaken {
        /// The whole recording.
        ecg: Ecg,
        /// The device.
        device: DeviceIdentity,
        /// When it began, by the device's own clock, when it has one.
        device_at: Option<Moment>,
        /// When its last byte arrived.
        at: Moment,
    },
    /// See [`Event::Status`].
    Status(Status),
    /// See [`Event::Invalid`].
    Invalid(Absent),
    /// See [`Event::Finished`].
    Finished,
    /// See [`Event::Fault`].
    Fault(Fault),
    /// What came of a [`Port::probe`].
    Probed(Probed),
}

impl PortEvent {
    /// May be dropped when nobody keeps up: the next one replaces it.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, PortEvent::Live(_) | PortEvent::Waveform(_) | PortEvent::Ecg(_) | PortEvent::Status(_))
    }
}

/// The cabin's wall clock, a setting only so that a capture can be replayed at its own date.
pub type WallClock = fn() -> Moment;

/// The system's clock, milliseconds since 1970.
pub fn system_clock() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) enum Command {
    Start,
    Stop,
    Probe,
    Record(Option<PathBuf>),
    Close,
}

/// One open port. Dropping it closes it and waits for its thread.
pub struct Port {
    name: Arc<str>,
    measurement: Measurement,
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    /// Opens a port; what it says goes to `messages`.
    ///
    /// # Errors
    /// Only when the system has no thread or file descriptor left. A device that is not there is no error: it is
    /// said by [`PortEvent::Lost`] and waited for.
    pub fn open(binding: Binding, messages: SyncSender<Message>) -> std::io::Result<Port> {
        Self::open_at(binding, messages, system_clock)
    }

    /// [`Port::open`] with a wall clock of its own, to replay a capture at its date.
    ///
    /// # Errors
    /// As [`Port::open`].
    pub fn open_at(binding: Binding, messages: SyncSender<Message>, clock: WallClock) -> std::io::Result<Port> {
        Self::open_after(&[], binding, messages, clock)
    }

    fn open_after(
        closed: &[Closed],
        binding: Binding,
        messages: SyncSender<Message>,
        clock: WallClock,
    ) -> std::io::Result<Port> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let closed = closed.to_vec();
        let (commands, inbox) = mpsc::channel();
        let name: Arc<str> = binding.name.as_str().into();
        let measurement = binding.model.measurement;
        let worker = worker::Worker::new(binding, name.clone(), messages, inbox, wake.clone(), clock);
        let thread = std::thread::Builder::new().name(format!("port {name}")).spawn(move || {
            closed.iter().for_each(Closed::wait);
            worker.run();
        })?;
        Ok(Port { name, measurement, commands, wake, thread: Some(thread) })
    }

    /// Name of the binding.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its model measures.
    pub fn measurement(&self) -> Measurement {
        self.measurement
    }

    /// Begins a measurement.
    pub fn start(&self) {
        self.command(Command::Start);
    }

    /// Ends it without a reading; frees the arm.
    pub fn stop(&self) {
        self.command(Command::Stop);
    }

    /// Asks whether the device is there, and not its cable only. It says [`PortEvent::Probed`] within
    /// [`PROBE_MAX`](crate::probe::PROBE_MAX); starts and keeps nothing.
    pub fn probe(&self) {
        self.command(Command::Probe);
    }

    /// Writes what goes over the line to a file ([`crate::capture`]), until [`Port::end_record`]. The file is created
    /// readable by its owner only. Never during a patient's consultation: it would be a copy of their readings.
    pub fn record(&self, path: PathBuf) {
        self.command(Command::Record(Some(path)));
    }

    /// Ends the recording.
    pub fn end_record(&self) {
        self.command(Command::Record(None));
    }

    fn command(&self, command: Command) {
        // The worker is gone only after a close.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // A second one, from `Ports`, is not read any more.
        self.command(Command::Close);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(port = %self.name, "the port's thread panicked");
        }
    }
}

/// Whether ports that are being closed have let go of their lines ([`Ports::close`]).
#[derive(Clone, Debug, Default)]
pub struct Closed(Arc<OnceLock<()>>);

impl Closed {
    /// They have.
    pub fn is_closed(&self) -> bool {
        self.0.get().is_some()
    }

    /// Waits until they have: as long as a line takes to open, or a cuff to be stopped.
    pub fn wait(&self) {
        self.0.wait();
    }
}

/// All ports of a cabin. Dropping them closes all at the same time and waits for them.
pub struct Ports {
    ports: Vec<Port>,
}

impl Ports {
    /// Opens every binding. A port that cannot even have a thread is left out and said in the log.
    pub fn open(bindings: Vec<Binding>) -> (Ports, Receiver<Message>) {
        Self::open_after(&[], bindings)
    }

    /// [`Ports::open`] once others have let go of their lines: each line has one reader. Does not wait here.
    pub fn open_after(closed: &[Closed], bindings: Vec<Binding>) -> (Ports, Receiver<Message>) {
        let (sender, receiver) = mpsc::sync_channel(MESSAGES_MAX);
        let mut ports = Vec::new();
        for binding in bindings {
            let name = binding.name.clone();
            match Port::open_after(closed, binding, sender.clone(), system_clock) {
                Ok(port) => ports.push(port),
                Err(error) => tracing::warn!(port = %name, %error, "cannot watch this port: restart the cabin"),
            }
        }
        (Ports { ports }, receiver)
    }

    /// Closes every port on a thread of its own: nobody waits, and what opens the same lines next is told when it may.
    pub fn close(self) -> Closed {
        let closed = Closed::default();
        let told = closed.clone();
        // Where no thread is left they were dropped, and so closed, by this call.
        let closing = std::thread::Builder::new().name("ports close".into()).spawn(move || {
            drop(self);
            // Set once, by whoever closed them.
            let _ = told.0.set(());
        });
        if closing.is_err() {
            let _ = closed.0.set(());
        }
        closed
    }

    /// Begins a measurement on a port. False when no port has that name.
    pub fn start(&self, name: &str) -> bool {
        self.port(name).map(Port::start).is_some()
    }

    /// Ends it. False when no port has that name.
    pub fn stop(&self, name: &str) -> bool {
        self.port(name).map(Port::stop).is_some()
    }

    /// Asks every device at the same time whether it is there.
    pub fn probe_all(&self) {
        self.ports.iter().for_each(Port::probe);
    }

    /// Ends whatever any device is doing: the patient left.
    pub fn stop_all(&self) {
        self.ports.iter().for_each(Port::stop);
    }

    /// The port of that name.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.name() == name)
    }

    /// The first port whose model serves a measurement.
    pub fn serving(&self, measurement: Measurement) -> Option<&Port> {
        self.ports.iter().find(|port| port.measurement == measurement)
    }

    /// Every port, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter()
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        // All are told before one is waited for.
        self.ports.iter().for_each(|port| port.command(Command::Close));
    }
}

/// A protocol's event, as the port says it: readings get their device and the time of arrival.
pub(crate) fn dress(event: Event, device: DeviceIdentity, at: Moment) -> PortEvent {
    let reading = |measured: Measured| Reading {
        value: measured.value,
        device: device.clone(),
        device_at: measured.device_at,
        at,
        high_quality: measured.high_quality,
    };
    match event {
        Event::Live(measured) => PortEvent::Live(reading(measured)),
        Event::Reading(measured) => PortEvent::Reading(reading(measured)),
        Event::Waveform(waveform) => PortEvent::Waveform(waveform),
        Event::Ecg(ecg) => PortEvent::Ecg(ecg),
        Event::EcgTaken { ecg, device_at } => PortEvent::EcgTaken { ecg, device, device_at, at },
        Event::Status(status) => PortEvent::Status(status),
        Event::Invalid(absent) => PortEvent::Invalid(absent),
        Event::Finished => PortEvent::Finished,
        Event::Fault(fault) => PortEvent::Fault(fault),
    }
}
