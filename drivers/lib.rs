//! Device drivers: bytes in, readings out.
//!
//! One file a model, each a pure [`Protocol`] (no file, no clock, no thread: time is an argument), one line in
//! [`MODELS`]. [`ports`] is the only code that opens a device and the only place that has threads.
//!
//! Rules that every protocol keeps:
//! * a value reaches [`Event::Reading`] bit-exact, in integers, or not at all ([`Event::Invalid`] says why);
//! * any byte string is accepted: garbage is skipped, a frame cut or damaged costs that frame only;
//! * nothing grows: what is held of the past is bounded by [`Protocol::buffer_max`] bytes and [`EVENTS_MAX`] events, and
//!   a recording under way by its own length;
//! * a reading belongs to the measurement that was [`Protocol::start`]ed last, never to an earlier patient's.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::ecg::{Ecg, Lead};
use consult::vitals::{Implausible, Moment, Value};

pub mod blood_pressure_contec_08a;
pub mod blood_pressure_microlife_ascii;
pub mod blood_pressure_microlife_m;
pub mod blood_pressure_omron;
pub mod blood_pressure_phd;
pub mod blood_pressure_suntech;
pub mod blood_pressure_taidoc;
pub mod capture;
mod contec_stream;
mod counted_report;
pub mod cuff_memory;
mod decimal;
mod device_clock;
pub mod ecg_contec_ecg90a;
pub mod ecg_cyton;
pub mod ecg_healthypi5;
pub mod ecg_pc80b;
mod electrocardiography;
pub mod fixtures;
pub mod fuzz;
pub mod glucose_accu_chek;
pub mod glucose_phd;
pub mod glucose_taidoc;
mod hearing;
mod models;
pub mod oximeter_bci;
pub mod oximeter_contec;
pub mod oximeter_nonin;
pub mod oximeter_phd;
pub mod oximeter_taidoc;
mod oximetry;
mod personal_health;
mod plugged;
pub mod ports;
pub mod probe;
mod recorder;
pub mod scale_health_o_meter;
pub mod scale_mt_sics;
pub mod scale_phd;
pub mod scale_st_gs;
pub mod scale_tanita;
pub mod scale_usb_hid;
mod stored;
pub mod taidoc;
pub mod thermometer_phd;
pub mod thermometer_taidoc;
pub mod weighing;

pub use models::{
    ANY_PERSONAL_HEALTH, Confidence, Line, MODELS, Model, Parity, Transport, UsbHint, model,
    models_for_personal_health, models_for_usb,
};
pub use plugged::{lasting, models_for, plugged};

/// Most bytes of a device's past that a protocol keeps, unless its device may send longer messages
/// ([`Protocol::buffer_max`]). Older bytes are skipped as garbage.
pub const BUFFER_MAX: usize = 1024;

/// Most events waiting in a protocol. Past it the oldest curve or live figure is dropped: it can only happen when
/// nobody polls, and the next one replaces it anyway.
pub const EVENTS_MAX: usize = 512;

/// The two clocks that a protocol is given: one to measure durations, one to date readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, for timeouts.
    pub instant: Instant,
    /// The cabin's wall clock, for the dates that a device stores.
    pub wall: Moment,
}

/// What a device says, as bytes in and events out. Pure: the port gives it bytes and time and carries what it sends.
///
/// A protocol runs from the moment its port opens, so that live figures and curves can be shown at any time; only
/// between [`start`](Protocol::start) and [`Event::Finished`] does it produce readings.
pub trait Protocol: Send {
    /// The port has just opened, or has come back after an unplugging. What was half received is forgotten; a
    /// measurement under way goes on.
    fn port_opened(&mut self, now: Now);

    /// Begins a measurement for the patient who is there now. Asked twice, it begins again.
    fn start(&mut self, now: Now);

    /// Ends the measurement without a reading. A device that acts on the body (a cuff) is told to stop at once.
    fn stop(&mut self, now: Now);

    /// Longest time from [`start`](Protocol::start) to [`Event::Finished`] with its port open, whatever the device says
    /// or does not: the journey waits longer than that, or a device would be stopped before it has ended by itself.
    fn measuring_max(&self) -> Duration;

    /// Bytes that arrived, in any division.
    fn handle_input(&mut self, bytes: &[u8], now: Now);

    /// Called when [`poll_timeout`](Protocol::poll_timeout) has passed.
    fn handle_timeout(&mut self, now: Now);

    /// When [`handle_timeout`](Protocol::handle_timeout) wants to be called, if nothing arrives before.
    fn poll_timeout(&self) -> Option<Instant>;

    /// What to send to the device next.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// Next event, in order.
    fn poll_event(&mut self) -> Option<Event>;

    /// Serial number that the device itself gave.
    fn serial(&self) -> Option<String> {
        None
    }

    /// Firmware revision that the device itself gave.
    fn firmware(&self) -> Option<String> {
        None
    }

    /// Bytes of the past held now: never more than [`Protocol::buffer_max`].
    fn buffered(&self) -> usize;

    /// Most bytes of the past that are ever held: the longest message of the device that is a message.
    fn buffer_max(&self) -> usize {
        BUFFER_MAX
    }
}

/// What a protocol sends.
#[derive(Clone, PartialEq, Eq)]
pub enum Transmit {
    /// Bytes, as they are; over [`Transport::Hid`], one output report: the port fills it up with zeros.
    Bytes(Vec<u8>),
    /// A feature report without a number, whole. Only over [`Transport::Hid`]; any other port drops it.
    Feature(Vec<u8>),
}

impl Transmit {
    /// What is sent, whichever way.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Transmit::Bytes(bytes) | Transmit::Feature(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Transmit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Transmit::Bytes(bytes) => write!(f, "Bytes({bytes:02X?})"),
            Transmit::Feature(report) => write!(f, "Feature({report:02X?})"),
        }
    }
}

/// One value with what the device says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The value, bit-exact.
    pub value: Value,
    /// Time by the device's own clock, when it has one.
    pub device_at: Option<Moment>,
    /// The device's own mark of quality, where it has one.
    pub high_quality: Option<bool>,
}

impl Measured {
    /// A value without device time nor quality mark.
    pub fn plain(value: Value) -> Self {
        Self { value, device_at: None, high_quality: None }
    }
}

/// What a protocol has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A figure as it moves: to be shown, never kept.
    Live(Measured),
    /// A reading of this measurement: to be reviewed, then kept or taken again.
    Reading(Measured),
    /// Samples of a curve.
    Waveform(Waveform),
    /// Samples of an electrocardiogram as they come: to be shown, never kept.
    Ecg(Ecg),
    /// The electrocardiogram of this measurement, whole: to be reviewed, then kept or taken again.
    EcgTaken {
        /// All of it.
        ecg: Ecg,
        /// When it began, by the device's own clock, when it has one.
        device_at: Option<Moment>,
    },
    /// What the device is doing, or what the person should do. Sent when it changes.
    Status(Status),
    /// A value of this measurement is absent, and why. Never accompanied by a number.
    Invalid(Absent),
    /// The measurement has ended: all its readings and absences have been sent.
    Finished,
    /// The device needs attention (technical, not clinical).
    Fault(Fault),
}

/// Samples of a curve, in order of time.
#[derive(Clone, PartialEq, Eq)]
pub struct Waveform {
    /// What the curve is.
    pub kind: WaveformKind,
    /// Samples a second.
    pub rate_hz: u16,
    /// Largest value that a sample can take (255 or 65535: how many bits the device sends).
    pub full_scale: u16,
    /// Samples lost on the line just before these, as far as known.
    pub lost: u16,
    /// The samples, in the device's own scale.
    pub samples: Vec<u16>,
}

impl std::fmt::Debug for Waveform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The curve is a patient's: only its size may be logged.
        write!(f, "Waveform({:?}, {} Hz, {} samples)", self.kind, self.rate_hz, self.samples.len())
    }
}

/// What a [`Waveform`] shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaveformKind {
    /// Light through the finger (plethysmogram), no unit.
    Pleth,
}

/// What the device is doing, or what the person should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Oximeter: no finger in the sensor. Put the finger in.
    FingerOut,
    /// Oximeter: the sensor's cable is out of the box.
    SensorDisconnected,
    /// Oximeter: finger in, looking for the pulse. Wait, keep still.
    Searching,
    /// Oximeter: the finger moves. Keep still.
    Artefact,
    /// Oximeter: a good pulse is tracked.
    Tracking,
    /// Battery of the device nearly empty.
    LowBattery,
    /// Cuff: the arm must rest before the cuff may inflate again, seconds left.
    Resting {
        /// Seconds until the cuff starts by itself.
        seconds: u16,
    },
    /// Cuff: the start has been sent, the module has not answered yet; or it is busy.
    Starting,
    /// Cuff: pressure in the cuff, mmHg.
    CuffPressure {
        /// Pressure, mmHg.
        mmhg: u16,
        /// Going up (inflating) or down (measuring).
        rising: bool,
    },
    /// Scale: nobody stands on it. Step on.
    StepOn,
    /// Scale: somebody stands on it, the weight is not settled. Keep still.
    Settling,
    /// Scale: weight settled, height missing. Lower the rod onto the head.
    LowerRod,
    /// Thermometer: not switched on, or not within reach. Press its button.
    WakeUp,
    /// Thermometer: ready. Take the temperature now.
    TakeNow,
    /// A device that measures by itself and keeps its results (cuff, glucose meter, recorder): ready. Measure with it
    /// now, as its own screen says; what it keeps is read afterwards.
    MeasureOnDevice,
    /// Such a device: connect its cable, or switch it on, so that what it measured can be read.
    ConnectDevice,
    /// Electrocardiograph: this electrode is off, the first of those that are; `None` when it does not say which.
    ElectrodeOff {
        /// The lead that has no signal.
        lead: Option<Lead>,
    },
    /// Electrocardiograph: recording, keep still.
    RecordingEcg {
        /// Seconds of good signal still wanted.
        seconds_left: u16,
    },
}

/// Why a value is absent. For the physician's record (`dataAbsentReason`) and for the patient's screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absent {
    /// The finger left the sensor, or the sensor is unplugged or unusable.
    SensorOff,
    /// No pulse is tracked: cold finger, movement, varnish.
    NotTracked,
    /// The device's figure is outside what can be read at all.
    Implausible(Quality),
    /// The scale says over- or underload.
    Overload,
    /// The device's figure has more digits than our unit holds: it is not rounded. Set the device to show fewer.
    Inexact(Quality),
    /// The scale's packet has no unit that we know: a figure without its unit is not taken.
    UnitUnknown,
    /// The rod was not lowered.
    NoHeight,
    /// No reading within the time allowed, seconds.
    TimedOut {
        /// Time allowed, seconds.
        after_seconds: u16,
    },
    /// The patient or the pharmacist stopped it.
    Stopped,
    /// The device is busy with something else.
    Busy,
    /// The device does not answer.
    Silent,
    /// The cuff module's own error.
    Cuff(CuffError),
    /// The thermometer's record has no value.
    Empty,
    /// The device's clock cannot be trusted: its record could be an earlier patient's.
    ClockWrong,
    /// The device says that it cannot measure until somebody has looked after it: broken, to be calibrated, or to be
    /// set to zero.
    OutOfOrder,
    /// Electrocardiograph: an electrode was off, or the signal was lost, until the time was over.
    ElectrodeOff,
    /// The meter's record is of something else than what was asked (a control solution, ketones).
    OtherSubstance,
    /// The meter says that the value is below or above what it can measure ("LO", "HI"). It may be an emergency, and
    /// is no number.
    OutOfMeterRange {
        /// Above ("HI") or below ("LO"); `None` when only its own screen tells.
        high: Option<bool>,
    },
    /// Electrocardiograph: its samples came at no rate that it can have, again and again: their time would be wrong.
    RateUnknown,
}

/// What was out of range, without the number (which is a patient's and not a number that may be shown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quality {
    /// The quantity refused.
    pub quantity: consult::vitals::Quantity,
}

impl Absent {
    /// No reading within that time.
    pub(crate) fn timed_out(after: Duration) -> Self {
        Absent::TimedOut { after_seconds: u16::try_from(after.as_secs()).unwrap_or(u16::MAX) }
    }
}

impl From<Implausible> for Absent {
    fn from(refused: Implausible) -> Self {
        Absent::Implausible(Quality { quantity: refused.quantity })
    }
}

/// The cuff module's error, by number. Texts are from general knowledge until confirmed on the module's manual:
/// show the number with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CuffError {
    /// Number as the module sent it.
    pub number: u8,
    /// What it most likely means.
    pub kind: CuffErrorKind,
}

/// What a cuff error asks a person to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CuffErrorKind {
    /// 1: weak signal. Place the cuff again, tighter, on the bare arm.
    WeakSignal,
    /// 2: movement. Keep still, do not talk.
    Artefact,
    /// 3: too many retries. Rest, then again.
    Retries,
    /// 4: took too long. Rest, then again.
    TimeExceeded,
    /// 85: the air hose is blocked or kinked.
    Blocked,
    /// 87: stopped on the device.
    StoppedOnDevice,
    /// 88: leak, or cuff too loose.
    Leak,
    /// 89: the module's safety time-out.
    SafetyTimeout,
    /// 90: too much pressure.
    OverPressure,
    /// 91-99: the module itself is broken. Use another cuff.
    Hardware,
    /// 0 with figures that no artery has.
    BadFigures,
    /// Any other number: see the module's manual.
    SeeManual,
}

/// The device needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing has come for that many seconds: switched off, wrong port, or cable out on the device's side.
    Silent {
        /// Seconds of silence.
        seconds: u16,
    },
    /// Bytes come but none make sense: wrong model on this port, wrong baud rate, or a bad cable.
    Garbled,
    /// It did not confirm the stop: take the cuff off by hand.
    StopNotConfirmed,
    /// Pressure above the limit was seen; the stop was sent.
    OverPressure,
    /// The device speaks again after a fault.
    Recovered,
}

/// Sum of bytes modulo 256: the checksum of Nonin, SunTech, TaiDoc and Tanita.
pub(crate) fn sum8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b))
}

/// What every protocol holds of what it has to say: events and bytes to send, both bounded.
#[derive(Default)]
pub(crate) struct Outgoing {
    events: VecDeque<Event>,
    transmits: VecDeque<Transmit>,
    status: Option<Status>,
}

/// Most commands waiting to be sent: past it the oldest is dropped, since a port that takes none is gone.
const COMMANDS_MAX: usize = 16;

impl Outgoing {
    pub(crate) fn event(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            let passing = self
                .events
                .iter()
                .position(|e| matches!(e, Event::Live(_) | Event::Waveform(_) | Event::Ecg(_) | Event::Status(_)));
            self.events.remove(passing.unwrap_or(0));
        }
        self.events.push_back(event);
    }

    /// The measurement ends without what it was to give.
    pub(crate) fn end(&mut self, why: Absent) {
        self.event(Event::Invalid(why));
        self.event(Event::Finished);
    }

    /// Says a status when it differs from the one said last.
    pub(crate) fn status(&mut self, status: Status) {
        if self.status != Some(status) {
            self.status = Some(status);
            self.event(Event::Status(status));
        }
    }

    /// Next status is said even if equal to the last: a new measurement begins.
    pub(crate) fn forget_status(&mut self) {
        self.status = None;
    }

    pub(crate) fn send(&mut self, command: &[u8]) {
        self.transmit(Transmit::Bytes(command.to_vec()));
    }

    pub(crate) fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() >= COMMANDS_MAX {
            self.transmits.pop_front();
        }
        self.transmits.push_back(transmit);
    }

    /// Commands queued for a port that has gone must not reach it when it returns.
    pub(crate) fn forget_commands(&mut self) {
        self.transmits.clear();
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
}
