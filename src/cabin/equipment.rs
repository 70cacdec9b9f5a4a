//! What the place must have, and whether it answers: the check before the cabin opens.

use std::time::{Duration, Instant};

use consult::site::DeviceClass;
use consult::vitals::Measurement;
use ui::{EquipmentRow, EquipmentState};

use crate::devices::{Devices, Health};
use crate::instruments::Instruments;
use crate::run_loop::FixtureHealth;
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

    /// All that is fitted is known, or has had its time.
    pub fn is_over(&self, devices: &Devices, seeing: &Instruments, now: Instant) -> bool {
        let is_known = devices.iter().all(|device| device.is_probed()) && seeing.iter().all(|one| one.is_tried());
        self.give_up_at <= now || is_known
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

/// What is fitted beside that and does not answer.
pub fn others_silent(compulsory: &[DeviceClass], devices: &Devices, instruments: &Instruments) -> usize {
    let is_other = |at: Measurement| !compulsory.iter().any(|class| measurement(*class) == at);
    let devices = devices.iter().filter(|device| is_other(device.model.measurement) && !device.answers());
    let instruments = instruments.iter().filter(|one| is_other(one.setting.measurement) && !one.answers());
    devices.count() + instruments.count()
}

/// All that is fitted, a line each, and what must be there and is not fitted: for the report that is kept.
pub fn report(compulsory: &[DeviceClass], devices: &Devices, instruments: &Instruments) -> Vec<String> {
    let line = |answers: bool, name: &str, what: &str| {
        format!("{} {name} {what}", if answers { "répond       " } else { "NE RÉPOND PAS" })
    };
    let bound = devices.iter().map(|device| line(device.answers(), &device.port, device.model.name));
    let seeing = instruments.iter().map(|one| {
        let kind = crate::instruments::kind(one.setting.measurement);
        line(one.answers(), kind, &one.setting.address())
    });
    let absent = compulsory.iter().filter(|class| state(**class, devices, instruments) == EquipmentState::NotBound);
    bound.chain(seeing).chain(absent.map(|class| format!("ABSENT        {class:?}"))).collect()
}

/// What answers, in one line: the health check of a new release compares it with what answered before (image/health).
pub fn answering(desk: bool, devices: &Devices, instruments: &Instruments, fixtures: &FixtureHealth) -> String {
    let devices = devices.iter().map(|device| (device.port.as_str(), device.answers()));
    let seeing = instruments.iter().map(|one| (crate::instruments::kind(one.setting.measurement), one.answers()));
    let fixtures = fixtures.iter().map(|(key, health)| (key, *health == Health::Ready));
    let all = std::iter::once(("desk", desk)).chain(devices).chain(seeing).chain(fixtures);
    let names: Vec<&str> = all.filter(|(_, answers)| *answers).map(|(name, _)| name).collect();
    format!("answers: {}", names.join(", "))
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
