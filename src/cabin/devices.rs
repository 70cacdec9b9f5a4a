//! The devices as the run loop sees them: what each is doing, what it shows live, and the readings it gave.

use std::collections::VecDeque;

use consult::ecg::{Ecg, Lead, MISSING};
use consult::journey::Trouble;
use consult::vitals::{DeviceIdentity, Measurement, Moment, Reading, Value};
use drivers::ports::{Binding, Closed, Message, Port, PortEvent, Ports, Remedy};
use drivers::probe::Probed;
use drivers::{Absent, CuffErrorKind, Fault, Status};

/// Seconds of curve kept for the screen.
const CURVE_SECONDS: usize = 6;
/// Seconds of an electrocardiogram: a few beats, wide enough to be seen.
const ECG_SECONDS: usize = 4;
/// Most points of a curve on the screen; of a fast recorder it shows a shorter time.
const CURVE_POINTS_MAX: usize = 2_000;
/// Most readings of one act that are kept; a device that sends more is at fault.
const READINGS_MAX: usize = 16;

/// How one device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not seen yet since the start.
    Unknown,
    /// Plugged, line open.
    Ready,
    /// Away: check its cable.
    Unplugged,
    /// The system refuses the line; what to do.
    Refused(Remedy),
    /// Plugged, but it says nothing.
    Silent,
    /// Plugged, but what it says makes no sense.
    Garbled,
    /// It says itself that it is at fault.
    AtFault,
}

/// One device, live.
pub struct Device {
    /// Name of its binding.
    pub port: String,
    /// Model.
    pub model: &'static drivers::Model,
    /// How it is.
    pub health: Health,
    /// What it last said of itself.
    pub status: Option<Status>,
    /// Figures as they move.
    pub live: Vec<Value>,
    /// Last seconds of the curve, in the device's scale.
    pub curve: VecDeque<i32>,
    /// Samples a second of the curve.
    pub rate_hz: u16,
    /// Largest sample possible of a pulse curve.
    pub full_scale: u16,
    /// What is drawn over the whole height at least, in the device's scale: less is noise.
    pub smallest_span: i32,
    /// Sequence number of the live frames.
    pub seq: u32,
    /// Readings of the act under way.
    readings: Vec<Reading>,
    /// Why a value is absent in the act under way.
    absent: Option<Absent>,
    /// Between start and finish.
    measuring: bool,
    /// Recordings of the act under way that are not in the outbox yet: it is finished once they are.
    recorded: usize,
    /// The device says that it has finished.
    finished: bool,
    /// What came of asking it whether it is there; `None` until it was asked, and again once it was out.
    probed: Option<Probed>,
}

impl Device {
    fn new(binding: &Binding) -> Self {
        Self {
            port: binding.name.clone(),
            model: binding.model,
            health: Health::Unknown,
            status: None,
            live: Vec::new(),
            curve: VecDeque::new(),
            rate_hz: 0,
            full_scale: 255,
            smallest_span: 8,
            seq: 0,
            readings: Vec::new(),
            absent: None,
            measuring: false,
            recorded: 0,
            finished: false,
            probed: None,
        }
    }

    /// What the act gave, once the device has finished and everything recorded is in the outbox.
    fn conclude(&mut self) -> News {
        if !self.finished || self.recorded > 0 {
            return News::Picture;
        }
        (self.measuring, self.finished) = (false, false);
        let readings = std::mem::take(&mut self.readings);
        if readings.is_empty() {
            News::Failed(self.absent.take().map_or(Trouble::NoSignal, trouble))
        } else {
            News::Taken(readings)
        }
    }

    /// It is there as far as it was asked: its cable is, and it has not been asked in vain.
    pub fn answers(&self) -> bool {
        self.health == Health::Ready && self.probed != Some(Probed::NoAnswer)
    }

    /// It was asked, and the answer or its absence is known.
    pub fn is_probed(&self) -> bool {
        self.probed.is_some()
    }

    /// Samples that came, for the screen.
    fn draw(&mut self, samples: impl Iterator<Item = i32>, seconds: usize) {
        self.curve.extend(samples);
        let kept = (seconds * usize::from(self.rate_hz)).min(CURVE_POINTS_MAX);
        let excess = self.curve.len().saturating_sub(kept);
        self.curve.drain(..excess);
    }

    /// Nothing of the last patient stays.
    pub fn forget(&mut self) {
        self.live.clear();
        self.curve.clear();
        self.curve.shrink_to_fit();
        self.readings.clear();
        self.absent = None;
        (self.measuring, self.recorded, self.finished) = (false, 0, false);
        self.status = None;
    }
}

/// What a message of a port means for the journey.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Only the picture changes.
    Picture,
    /// A curve to pass on: samples that just arrived.
    Curve(Vec<u16>),
    /// An electrocardiogram to pass on: samples that just arrived.
    Ecg(Ecg),
    /// A whole recording, to be kept in the outbox before it counts as a reading.
    Recorded {
        /// The recording.
        ecg: Ecg,
        /// The device.
        device: DeviceIdentity,
        /// When it began, by the device's own clock, when it has one.
        device_at: Option<Moment>,
        /// When its last byte arrived.
        at: Moment,
    },
    /// It was asked whether it is there, and that is known now.
    Probed,
    /// The device is away.
    Lost,
    /// The device is back.
    Back,
    /// The act gave these readings; never empty.
    Taken(Vec<Reading>),
    /// The act gave nothing.
    Failed(Trouble),
}

/// All devices of the cabin.
pub struct Devices {
    ports: Ports,
    devices: Vec<Device>,
}

impl Devices {
    /// Opens every binding; messages go to `messages` from a thread that ends with the ports.
    pub fn open(bindings: Vec<Binding>, messages: impl Fn(Message) + Send + 'static) -> std::io::Result<Self> {
        Self::open_after(&[], bindings, messages)
    }

    /// [`Devices::open`] once others have let go of their lines; nobody waits for that here.
    pub fn open_after(
        closed: &[Closed],
        bindings: Vec<Binding>,
        messages: impl Fn(Message) + Send + 'static,
    ) -> std::io::Result<Self> {
        let devices = bindings.iter().map(Device::new).collect();
        let (ports, inbox) = Ports::open_after(closed, bindings);
        std::thread::Builder::new().name("devices".into()).spawn(move || inbox.into_iter().for_each(messages))?;
        Ok(Self { ports, devices })
    }

    /// Closes every port, elsewhere: a line that is being opened, or a device that is being stopped, takes its time.
    pub fn close(self) -> Closed {
        self.ports.close()
    }

    /// The port of a name.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.port(name)
    }

    /// Every device.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// The device of a measurement; of several the one that measures, else the first that is ready. Only this one is
    /// heard: what a spare says goes nowhere.
    pub fn serving(&self, measurement: Measurement) -> Option<&Device> {
        self.serving_at(measurement).map(|at| &self.devices[at])
    }

    fn serving_at(&self, measurement: Measurement) -> Option<usize> {
        let find = |fits: fn(&Device) -> bool| {
            self.devices.iter().position(|device| device.model.measurement == measurement && fits(device))
        };
        find(|device| device.measuring)
            .or_else(|| find(|device| device.health == Health::Ready))
            .or_else(|| find(|_| true))
    }

    /// How the device of a measurement is; `None` when there is none.
    pub fn health(&self, measurement: Measurement) -> Option<&Health> {
        self.serving(measurement).map(|device| &device.health)
    }

    fn serving_mut(&mut self, measurement: Measurement) -> Option<&mut Device> {
        self.serving_at(measurement).map(|at| &mut self.devices[at])
    }

    /// Starts the device of a measurement.
    pub fn start(&mut self, measurement: Measurement) {
        if let Some(device) = self.serving_mut(measurement) {
            device.forget();
            device.measuring = true;
            let port = device.port.clone();
            self.ports.start(&port);
        }
    }

    /// Stops it.
    pub fn stop(&mut self, measurement: Measurement) {
        if let Some(device) = self.serving_mut(measurement) {
            (device.measuring, device.recorded, device.finished) = (false, 0, false);
            let port = device.port.clone();
            self.ports.stop(&port);
        }
    }

    /// A recording that is safe in the outbox now: the device may have finished before.
    pub fn recorded(&mut self, measurement: Measurement, reading: Reading) -> News {
        let Some(device) = self.serving_mut(measurement).filter(|device| device.measuring) else {
            return News::Picture;
        };
        device.recorded = device.recorded.saturating_sub(1);
        if device.readings.len() < READINGS_MAX {
            device.readings.push(reading);
        }
        device.conclude()
    }

    /// Whether the device of a measurement is away.
    pub fn is_away(&self, measurement: Measurement) -> bool {
        matches!(self.health(measurement), Some(Health::Unplugged | Health::Refused(_)))
    }

    /// Frames of the live curve that were sent.
    pub fn count_frames(&mut self, measurement: Measurement, frames: u32) {
        if let Some(device) = self.serving_mut(measurement) {
            device.seq = device.seq.wrapping_add(frames);
        }
    }

    /// Asks every device whether it is there; it starts none.
    pub fn probe_all(&mut self) {
        self.devices.iter_mut().for_each(|device| device.probed = None);
        self.ports.probe_all();
    }

    /// Asks those again that were asked in vain: somebody may have switched them on.
    pub fn probe_silent(&self) {
        let silent = self.devices.iter().filter(|device| device.probed == Some(Probed::NoAnswer));
        for port in silent.filter_map(|device| self.ports.port(&device.port)) {
            port.probe();
        }
    }

    /// Stops and empties every device.
    pub fn forget(&mut self) {
        self.ports.stop_all();
        self.devices.iter_mut().for_each(Device::forget);
    }

    /// Takes one message of a port. Of the devices of one measurement only the one that serves it makes news: what a
    /// spare says changes the list of devices alone.
    pub fn take(&mut self, message: Message) -> Option<(Measurement, News)> {
        let at = self.devices.iter().position(|device| *device.port == *message.port)?;
        let measurement = self.devices[at].model.measurement;
        let served = self.serving_at(measurement) == Some(at);
        let (was_measuring, had_finished) = (self.devices[at].measuring, self.devices[at].finished);
        let news = self.devices[at].hear(message);
        // One that comes back, or answers again, may be the one that serves from now on.
        let serves = self.serving_at(measurement) == Some(at);
        let is_replaced = !serves && self.health(measurement) == Some(&Health::Ready);
        let news = match news {
            // What it recorded is on its way to the outbox, and is not lost with its cable.
            News::Lost if served && (is_replaced || had_finished) => News::Picture,
            News::Lost if served && was_measuring => self.give_to_spare(at).unwrap_or(News::Lost),
            News::Back if serves => News::Back,
            News::Lost | News::Curve(_) | News::Ecg(_) | News::Back if !served => News::Picture,
            other => other,
        };
        Some((measurement, news))
    }

    /// A device went away in mid measurement: the spare goes on, where there is one that is ready. A cuff inflates only
    /// when the patient asks for it.
    fn give_to_spare(&mut self, lost: usize) -> Option<News> {
        let measurement = self.devices[lost].model.measurement;
        let is_spare = |device: &Device| device.model.measurement == measurement && device.health == Health::Ready;
        self.devices.iter().any(is_spare).then_some(())?;
        let port = self.devices[lost].port.clone();
        self.devices[lost].forget();
        self.ports.stop(&port);
        if measurement == Measurement::BloodPressure {
            return Some(News::Failed(Trouble::DeviceFault));
        }
        self.start(measurement);
        Some(News::Picture)
    }
}

impl Device {
    fn hear(&mut self, message: Message) -> News {
        let device = self;
        match message.event {
            PortEvent::Opened { .. } => {
                let away = device.health != Health::Ready;
                (device.health, device.probed) = (Health::Ready, None);
                if away { News::Back } else { News::Picture }
            }
            // It was asked to be: it measures without its cable, and is read when it is back.
            PortEvent::Lost { .. }
                if device.measuring && !device.finished && device.model.is_unplugged_to_measure() =>
            {
                device.status = Some(Status::ConnectDevice);
                News::Picture
            }
            PortEvent::Lost { .. } => {
                (device.health, device.probed) = (Health::Unplugged, None);
                device.live.clear();
                device.curve.clear();
                device.status = None;
                News::Lost
            }
            PortEvent::Refused { remedy, .. } => {
                tracing::warn!(port = %device.port, %remedy, "the device cannot be opened");
                device.health = Health::Refused(remedy);
                News::Lost
            }
            PortEvent::Live(reading) => {
                let kind = std::mem::discriminant(&reading.value);
                device.live.retain(|value| std::mem::discriminant(value) != kind);
                device.live.push(reading.value);
                News::Picture
            }
            PortEvent::Waveform(waveform) => {
                device.rate_hz = waveform.rate_hz;
                device.full_scale = waveform.full_scale.max(1);
                device.smallest_span = i32::from(waveform.full_scale / 32);
                device.draw(waveform.samples.iter().map(|sample| i32::from(*sample)), CURVE_SECONDS);
                News::Curve(waveform.samples)
            }
            PortEvent::Ecg(ecg) => {
                device.rate_hz = ecg.rate_hz();
                // A tenth of a millivolt: what an electrode picks up of the room.
                device.smallest_span = i32::try_from(100_000_000_000 / ecg.femtovolts_per_step()).unwrap_or(i32::MAX);
                let lead = if ecg.leads().contains(&Lead::II) { Lead::II } else { ecg.leads()[0] };
                let samples = ecg.lead(lead).into_iter().flatten().filter(|sample| *sample != MISSING);
                device.draw(samples, ECG_SECONDS);
                News::Ecg(ecg)
            }
            PortEvent::EcgTaken { ecg, device: identity, device_at, at } if device.measuring => {
                device.recorded += 1;
                News::Recorded { ecg, device: identity, device_at, at }
            }
            PortEvent::EcgTaken { .. } => News::Picture,
            PortEvent::Status(status) => {
                device.status = Some(status);
                News::Picture
            }
            PortEvent::Reading(reading) => {
                if device.measuring && device.readings.len() < READINGS_MAX {
                    device.readings.push(reading);
                }
                News::Picture
            }
            PortEvent::Invalid(absent) => {
                device.absent = Some(absent);
                News::Picture
            }
            PortEvent::Finished if !device.measuring => News::Picture,
            PortEvent::Finished => {
                device.finished = true;
                device.conclude()
            }
            // Asked while it measures: whatever it says then is its answer.
            PortEvent::Probed(Probed::InUse) => News::Picture,
            PortEvent::Probed(probed) => {
                if probed == Probed::NoAnswer {
                    tracing::warn!(port = %device.port, "a device does not answer");
                }
                device.probed = Some(probed);
                News::Probed
            }
            PortEvent::Fault(fault) => {
                tracing::warn!(port = %device.port, ?fault, "a device needs attention");
                device.health = match fault {
                    Fault::Silent { .. } => Health::Silent,
                    Fault::Garbled => Health::Garbled,
                    Fault::StopNotConfirmed | Fault::OverPressure => Health::AtFault,
                    Fault::Recovered => Health::Ready,
                };
                News::Picture
            }
        }
    }
}

/// Why an act gave nothing, as the journey knows it: each cause has a sentence of its own.
fn trouble(absent: Absent) -> Trouble {
    match absent {
        Absent::SensorOff | Absent::NotTracked | Absent::NoHeight | Absent::ElectrodeOff => Trouble::NoSignal,
        Absent::Implausible(_) => Trouble::Implausible,
        Absent::Overload => Trouble::Overload,
        Absent::TimedOut { .. } => Trouble::TookTooLong,
        Absent::UnitUnknown | Absent::Inexact(_) => Trouble::Unit,
        Absent::ClockWrong => Trouble::Clock,
        Absent::Busy => Trouble::Busy,
        Absent::Silent => Trouble::Silent,
        Absent::Empty => Trouble::NoResult,
        Absent::OutOfOrder => Trouble::DeviceFault,
        Absent::OtherSubstance => Trouble::OtherSubstance,
        Absent::OutOfMeterRange { high: Some(false) } => Trouble::BelowRange,
        Absent::OutOfMeterRange { high: Some(true) } => Trouble::AboveRange,
        Absent::OutOfMeterRange { high: None } => Trouble::OutOfRange,
        Absent::RateUnknown => Trouble::Unsteady,
        Absent::Stopped => Trouble::Stopped,
        Absent::Cuff(error) => match error.kind {
            CuffErrorKind::WeakSignal | CuffErrorKind::Leak => Trouble::NoSignal,
            CuffErrorKind::Artefact | CuffErrorKind::Retries => Trouble::Moved,
            CuffErrorKind::TimeExceeded | CuffErrorKind::SafetyTimeout => Trouble::TookTooLong,
            CuffErrorKind::BadFigures => Trouble::Implausible,
            CuffErrorKind::StoppedOnDevice => Trouble::Stopped,
            CuffErrorKind::Blocked
            | CuffErrorKind::OverPressure
            | CuffErrorKind::Hardware
            | CuffErrorKind::SeeManual => Trouble::DeviceFault,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use consult::vitals::{Quantity, Spo2};
    use drivers::ports::Address;
    use drivers::{CuffError, Quality, Waveform, WaveformKind, model};

    use super::*;

    #[test]
    fn no_reason_of_a_device_becomes_a_sentence_of_another_cause() {
        let quality = Quality { quantity: Quantity::Weight };
        let cuff = |kind| Absent::Cuff(CuffError { number: 1, kind });
        // What the patient can mend by placing the device, by waiting, by keeping still; what only others can mend.
        for (absent, expected) in [
            (Absent::SensorOff, Trouble::NoSignal),
            (Absent::ElectrodeOff, Trouble::NoSignal),
            (cuff(CuffErrorKind::Leak), Trouble::NoSignal),
            (cuff(CuffErrorKind::Artefact), Trouble::Moved),
            (Absent::Implausible(quality), Trouble::Implausible),
            (Absent::Overload, Trouble::Overload),
            (Absent::TimedOut { after_seconds: 90 }, Trouble::TookTooLong),
            (Absent::UnitUnknown, Trouble::Unit),
            (Absent::Inexact(quality), Trouble::Unit),
            (Absent::ClockWrong, Trouble::Clock),
            (Absent::Busy, Trouble::Busy),
            (Absent::Silent, Trouble::Silent),
            (Absent::Empty, Trouble::NoResult),
            (Absent::OutOfOrder, Trouble::DeviceFault),
            (cuff(CuffErrorKind::Hardware), Trouble::DeviceFault),
            (Absent::OtherSubstance, Trouble::OtherSubstance),
            (Absent::OutOfMeterRange { high: Some(false) }, Trouble::BelowRange),
            (Absent::OutOfMeterRange { high: Some(true) }, Trouble::AboveRange),
            (Absent::OutOfMeterRange { high: None }, Trouble::OutOfRange),
            (Absent::RateUnknown, Trouble::Unsteady),
            (Absent::Stopped, Trouble::Stopped),
            (cuff(CuffErrorKind::StoppedOnDevice), Trouble::Stopped),
        ] {
            assert_eq!(trouble(absent), expected, "{absent:?}");
        }
    }

    /// Two devices of one measurement, at addresses where nothing is: what they say comes from the test.
    fn two(model_key: &str) -> Devices {
        let binding = |name: &str| Binding {
            name: name.to_owned(),
            model: model(model_key).unwrap(),
            address: Address::Path(format!("/nowhere/{name}").into()),
        };
        Devices::open(vec![binding("first"), binding("spare")], |_| {}).unwrap()
    }

    fn say(devices: &mut Devices, port: &str, event: PortEvent) -> News {
        let model = devices.iter().find(|device| device.port == port).unwrap().model;
        let message = Message { port: port.into(), model, arrived: Instant::now(), event };
        devices.take(message).unwrap().1
    }

    fn opened() -> PortEvent {
        PortEvent::Opened { path: "/dev/nothing".into() }
    }

    fn lost() -> PortEvent {
        PortEvent::Lost { address: Address::Path("/dev/nothing".into()), was_open: true }
    }

    fn curve(samples: &[u16]) -> PortEvent {
        PortEvent::Waveform(Waveform {
            kind: WaveformKind::Pleth,
            rate_hz: 60,
            full_scale: 255,
            lost: 0,
            samples: samples.to_vec(),
        })
    }

    fn reading(percent: u8) -> Reading {
        let device = DeviceIdentity { model: "oximeter_nonin".into(), serial: None, firmware: None };
        let value = Value::Spo2(Spo2::from_percent(percent).unwrap());
        Reading { value, device, device_at: None, at: Moment(0), high_quality: None }
    }

    #[test]
    fn of_two_oximeters_only_the_one_that_serves_is_heard() {
        let mut devices = two("oximeter_nonin");
        assert_eq!(say(&mut devices, "spare", opened()), News::Back);
        assert_eq!(devices.serving(Measurement::OxygenAndPulse).unwrap().port, "spare", "the only one that is ready");
        assert_eq!(say(&mut devices, "first", opened()), News::Back);
        devices.start(Measurement::OxygenAndPulse);
        assert_eq!(say(&mut devices, "first", curve(&[1, 2])), News::Curve(vec![1, 2]));
        assert_eq!(say(&mut devices, "spare", curve(&[9, 9])), News::Picture);
        assert_eq!(say(&mut devices, "spare", PortEvent::Reading(reading(70))), News::Picture);
        assert_eq!(say(&mut devices, "spare", lost()), News::Picture, "no bell for a spare");
        assert_eq!(say(&mut devices, "spare", opened()), News::Picture);
        assert_eq!(say(&mut devices, "first", PortEvent::Reading(reading(97))), News::Picture);
        assert_eq!(say(&mut devices, "spare", PortEvent::Finished), News::Picture);
        assert_eq!(say(&mut devices, "first", PortEvent::Finished), News::Taken(vec![reading(97)]));
        // Outside a measurement the spare takes over without a word.
        assert_eq!(say(&mut devices, "first", lost()), News::Picture);
        assert_eq!(devices.serving(Measurement::OxygenAndPulse).unwrap().port, "spare");
        assert_eq!(say(&mut devices, "spare", lost()), News::Lost, "now there is none");
    }

    #[test]
    fn a_spare_goes_on_when_a_device_goes_away_and_a_cuff_waits_for_the_patient() {
        let mut devices = two("oximeter_nonin");
        say(&mut devices, "first", opened());
        say(&mut devices, "spare", opened());
        devices.start(Measurement::OxygenAndPulse);
        say(&mut devices, "first", PortEvent::Reading(reading(80)));
        assert_eq!(say(&mut devices, "first", lost()), News::Picture);
        assert_eq!(say(&mut devices, "spare", curve(&[5])), News::Curve(vec![5]));
        say(&mut devices, "spare", PortEvent::Reading(reading(98)));
        assert_eq!(say(&mut devices, "spare", PortEvent::Finished), News::Taken(vec![reading(98)]), "of one device");
        let mut cuffs = two("blood_pressure_suntech");
        say(&mut cuffs, "first", opened());
        say(&mut cuffs, "spare", opened());
        cuffs.start(Measurement::BloodPressure);
        assert_eq!(say(&mut cuffs, "first", lost()), News::Failed(Trouble::DeviceFault));
        assert_eq!(say(&mut cuffs, "spare", PortEvent::Finished), News::Picture, "it does not inflate by itself");
    }

    fn recording(number: u8) -> Reading {
        let kind = consult::vitals::RecordingKind::Ecg;
        let recording = consult::vitals::Recording {
            kind,
            blob: [number; 16],
            sha256: [0; 32],
            size_bytes: 1,
            duration_ms: 30_000,
            site: None,
            packed_here: false,
            missing_ms: 0,
        };
        Reading { value: Value::Recording(recording), ..reading(90) }
    }

    #[test]
    fn a_recorder_has_finished_once_the_outbox_has_all_that_it_gave_even_if_it_is_pulled_out_before() {
        let mut devices = two("ecg_pc80b");
        say(&mut devices, "first", opened());
        devices.start(Measurement::Ecg);
        let ecg = Ecg::new(vec![Lead::I], 150, 1_000_000, vec![1; 150]).unwrap();
        for _ in 0..2 {
            let device = reading(90).device;
            let taken = PortEvent::EcgTaken { ecg: ecg.clone(), device, device_at: None, at: Moment(1) };
            assert!(matches!(say(&mut devices, "first", taken), News::Recorded { .. }));
        }
        assert_eq!(say(&mut devices, "first", PortEvent::Finished), News::Picture, "the outbox has nothing yet");
        assert_eq!(say(&mut devices, "first", lost()), News::Picture);
        assert_eq!(devices.recorded(Measurement::Ecg, recording(1)), News::Picture);
        assert_eq!(devices.recorded(Measurement::Ecg, recording(2)), News::Taken(vec![recording(1), recording(2)]));
        assert!(devices.is_away(Measurement::Ecg), "which is said once the recordings are safe");
    }
}
