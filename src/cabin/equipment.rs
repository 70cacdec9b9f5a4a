//! What the place must have, and whether it answers: the check before the cabin opens.

use std::time::{Duration, Instant};

use consult::site::DeviceClass;
use consult::vitals::Measurement;
use ui::{EquipmentRow, EquipmentState};

use crate::devices::Devices;
use crate::instruments::Instruments;
use crate::words;

/// Nobody waits longer for the whole check: every device is asked at the same time, and has 5 s.
const CHECK_MAX: Duration = Duration::from_secs(6);

/// Everything is being asked whether it is there.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    give_up_at: Instant,
    /// The cabin opens by itself when everything answers.
    pub opens: bool,
}

impl Check {
    /// Begins now.
    pub fn begin(opens: bool, now: Instant) -> Self {
        Self { give_up_at: now + CHECK_MAX, opens }
    }

    /// Everything that must be there is known, or has had its time.
    pub fn is_over(&self, compulsory: &[DeviceClass], devices: &Devices, seeing: &Instruments, now: Instant) -> bool {
        self.give_up_at <= now || compulsory.iter().all(|class| is_known(*class, devices, seeing))
    }
}

/// The measurement that a class serves.
fn measurement(class: DeviceClass) -> Measurement {
    match class {
        DeviceClass::Stethoscope => Measurement::Auscultation,
        DeviceClass::Otoscope => Measurement::EarPicture,
        DeviceClass::Oximeter => Measurement::OxygenAndPulse,
        DeviceClass::BloodPressure => Measurement::BloodPressure,
    }
}

fn is_known(class: DeviceClass, devices: &Devices, instruments: &Instruments) -> bool {
    let measurement = measurement(class);
    let device = devices.serving(measurement).map(|device| device.is_probed());
    let instrument = || instruments.serving(measurement).map(|instrument| instrument.is_tried());
    // What is not installed is known to be missing.
    device.or_else(instrument).unwrap_or(true)
}

/// How one is.
fn state(class: DeviceClass, devices: &Devices, instruments: &Instruments) -> EquipmentState {
    let measurement = measurement(class);
    let device = devices.serving(measurement).map(|device| device.answers());
    let instrument = || instruments.serving(measurement).map(|instrument| instrument.answers());
    match device.or_else(instrument) {
        None => EquipmentState::NotBound,
        Some(true) => EquipmentState::Answers,
        Some(false) => EquipmentState::Silent,
    }
}

/// Of what must be there, what does not answer.
pub fn missing(compulsory: &[DeviceClass], devices: &Devices, instruments: &Instruments) -> Vec<DeviceClass> {
    compulsory.iter().copied().filter(|class| state(*class, devices, instruments) != EquipmentState::Answers).collect()
}

/// Everything that must be there, for the screen; `checking`: what is not known yet is being asked.
pub fn rows(
    compulsory: &[DeviceClass],
    devices: &Devices,
    instruments: &Instruments,
    checking: bool,
) -> Vec<EquipmentRow> {
    let row = |class: &DeviceClass| EquipmentRow {
        kind: words::screen_measure(measurement(*class)),
        state: match checking && !is_known(*class, devices, instruments) {
            true => EquipmentState::Checking,
            false => state(*class, devices, instruments),
        },
    };
    compulsory.iter().map(row).collect()
}
