//! What the place must have, and whether it answers: the check before the cabin opens.

use consult::site::DeviceClass;
use consult::vitals::Measurement;
use ui::{EquipmentRow, EquipmentState};

use crate::devices::{Devices, Health};
use crate::instruments::Instruments;
use crate::words;

/// The measurement that a class serves.
fn measurement(class: DeviceClass) -> Measurement {
    match class {
        DeviceClass::Stethoscope => Measurement::Auscultation,
        DeviceClass::Otoscope => Measurement::EarPicture,
        DeviceClass::Oximeter => Measurement::OxygenAndPulse,
        DeviceClass::BloodPressure => Measurement::BloodPressure,
    }
}

/// How one is.
fn state(class: DeviceClass, devices: &Devices, instruments: &Instruments) -> EquipmentState {
    let measurement = measurement(class);
    let seeing = || instruments.serving(measurement).map(|instrument| &instrument.health);
    match devices.health(measurement).or_else(seeing) {
        None => EquipmentState::NotBound,
        Some(Health::Ready) => EquipmentState::Answers,
        Some(_) => EquipmentState::Silent,
    }
}

/// Of what must be there, what does not answer.
pub fn missing(compulsory: &[DeviceClass], devices: &Devices, instruments: &Instruments) -> Vec<DeviceClass> {
    compulsory.iter().copied().filter(|class| state(*class, devices, instruments) != EquipmentState::Answers).collect()
}

/// Everything that must be there, for the screen.
pub fn rows(compulsory: &[DeviceClass], devices: &Devices, instruments: &Instruments) -> Vec<EquipmentRow> {
    let row = |class: &DeviceClass| EquipmentRow {
        kind: words::screen_measure(measurement(*class)),
        state: state(*class, devices, instruments),
    };
    compulsory.iter().map(row).collect()
}
