//! The devices as the run loop sees them: what each is doing, what it shows live, and the readings it gave.

use std::collections::VecDeque;

use consult::ecg::{Ecg, Lead, MISSING};
use consult::journey::Trouble;
use consult::vitals::{DeviceIdentity, Measurement, Moment, Reading, Value};
use drivers::ports::{Binding, Message, Port, PortEvent, Ports, Remedy};
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
        }
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
        self.measuring = false;
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
        let devices = bindings.iter().map(Device::new).collect();
        let (ports, inbox) = Ports::open(bindings);
        std::thread::Builder::new().name("devices".into()).spawn(move || inbox.into_iter().for_each(messages))?;
        Ok(Self { ports, devices })
    }

    /// The port of a name.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.port(name)
    }

    /// Every device.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// The device of a measurement.
    pub fn serving(&self, measurement: Measurement) -> Option<&Device> {
        self.devices.iter().find(|device| device.model.measurement == measurement)
    }

    /// How the device of a measurement is; `None` when there is none.
    pub fn health(&self, measurement: Measurement) -> Option<&Health> {
        self.serving(measurement).map(|device| &device.health)
    }

    fn serving_mut(&mut self, measurement: Measurement) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.model.measurement == measurement)
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
            device.measuring = false;
            let port = device.port.clone();
            self.ports.stop(&port);
        }
    }

    /// A recording that is safe in the outbox now.
    pub fn recorded(&mut self, measurement: Measurement, reading: Reading) {
        if let Some(device) = self.serving_mut(measurement)
            && device.measuring
            && device.readings.len() < READINGS_MAX
        {
            device.readings.push(reading);
        }
    }

    /// Frames of the live curve that were sent.
    pub fn count_frames(&mut self, measurement: Measurement, frames: u32) {
        if let Some(device) = self.serving_mut(measurement) {
            device.seq = device.seq.wrapping_add(frames);
        }
    }

    /// Stops and empties every device.
    pub fn forget(&mut self) {
        self.ports.stop_all();
        self.devices.iter_mut().for_each(Device::forget);
    }

    /// Takes one message of a port.
    pub fn take(&mut self, message: Message) -> Option<(Measurement, News)> {
        let device = self.devices.iter_mut().find(|device| *device.port == *message.port)?;
        let measurement = device.model.measurement;
        let news = match message.event {
            PortEvent::Opened { .. } => {
                let away = device.health != Health::Ready;
                device.health = Health::Ready;
                if away { News::Back } else { News::Picture }
            }
            // It was asked to be: it measures without its cable, and is read when it is back.
            PortEvent::Lost { .. } if device.measuring && device.model.is_unplugged_to_measure() => {
                device.status = Some(Status::ConnectDevice);
                News::Picture
            }
            PortEvent::Lost { .. } => {
                device.health = Health::Unplugged;
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
                device.measuring = false;
                let readings = std::mem::take(&mut device.readings);
                if readings.is_empty() {
                    News::Failed(device.absent.take().map_or(Trouble::NoSignal, trouble))
                } else {
                    News::Taken(readings)
                }
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
        };
        Some((measurement, news))
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
    use consult::vitals::Quantity;
    use drivers::{CuffError, Quality};

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
}
