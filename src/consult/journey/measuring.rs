//! Place → measuring → review, before the call and during it; devices that go and come back.

use super::{Act, Answer, Effect, Guided, Help, Journey, Refused, Step, Trouble};
use crate::dossier::{
    Dossier, HelpReason, IncidentKind, Kept, MEASUREMENTS_MAX, READINGS_MAX, SkipReason, Skipped, value_belongs_to,
};
use crate::vitals::{Measurement, Moment, Reading};

fn is_done(dossier: &Dossier, measurement: Measurement) -> bool {
    dossier.kept.iter().any(|k| k.measurement == measurement)
        || dossier.skipped.iter().any(|s| s.measurement == measurement)
}

impl Journey {
    /// The measurement in front of the patient, before the call or during it.
    pub fn guided(&self) -> Option<&Guided> {
        match &self.step {
            Step::Measurement(guided) | Step::Call { guided: Some(guided), .. } => Some(guided),
            _ => None,
        }
    }

    pub(super) fn guided_mut(&mut self) -> Option<&mut Guided> {
        match &mut self.step {
            Step::Measurement(guided) | Step::Call { guided: Some(guided), .. } => Some(guided),
            _ => None,
        }
    }

    pub(super) fn is_in_call(&self) -> bool {
        matches!(self.step, Step::Call { .. })
    }

    /// The next measurement that was neither kept nor skipped, else the waiting room.
    pub(super) fn next_measurement(&mut self, now: Moment) -> Vec<Effect> {
        let Some(dossier) = &self.dossier else { return Vec::new() };
        match self.proposed_measurements().into_iter().find(|m| !is_done(dossier, *m)) {
            Some(measurement) => self.guide_before_call(measurement, now),
            None => self.enter_waiting_room(),
        }
    }

    pub(super) fn guide_before_call(&mut self, measurement: Measurement, now: Moment) -> Vec<Effect> {
        let (act, effects) = self.placing(measurement, now);
        self.step = Step::Measurement(Guided { measurement, act });
        effects
    }

    /// Where a measurement starts: the picture of where to place the device, or its cable.
    pub(super) fn placing(&mut self, measurement: Measurement, now: Moment) -> (Act, Vec<Effect>) {
        if self.is_ready(measurement) {
            (Act::Place { trouble: None }, Vec::new())
        } else {
            (Act::CheckCable { was_measuring: false }, self.call_pharmacist(HelpReason::Cable(measurement), now))
        }
    }

    /// Back to the beginning of the measurement in front, stopping the device if it runs.
    pub(super) fn place_again(&mut self, now: Moment) -> Vec<Effect> {
        let Some(measurement) = self.guided().map(|g| g.measurement) else { return Vec::new() };
        let mut effects = self.stop_measuring();
        let (act, more) = self.placing(measurement, now);
        effects.extend(more);
        if let Some(guided) = self.guided_mut() {
            guided.act = act;
        }
        effects
    }

    /// The effect that stops the device in front, if it runs.
    pub(super) fn stop_measuring(&self) -> Vec<Effect> {
        match self.guided() {
            Some(Guided { measurement, act: Act::Measuring { .. } }) => vec![Effect::StopMeasurement(*measurement)],
            _ => Vec::new(),
        }
    }

    pub(super) fn start_measuring(&mut self, now: Moment) -> Answer {
        let Some(guided @ Guided { act: Act::Place { .. }, .. }) = self.guided_mut() else {
            return Err(Refused::NotHere);
        };
        let measurement = guided.measurement;
        guided.act = Act::Measuring { since: now };
        if !self.used.contains(&measurement) {
            self.used.push(measurement);
        }
        Ok(vec![Effect::StartMeasurement(measurement)])
    }

    pub(super) fn take_readings(&mut self, measurement: Measurement, readings: Vec<Reading>) -> Answer {
        let in_call = self.is_in_call();
        match self.guided_mut() {
            Some(guided) if guided.measurement == measurement && matches!(guided.act, Act::Measuring { .. }) => {
                let belong = readings.iter().all(|r| value_belongs_to(&r.value, measurement));
                if readings.is_empty() || readings.len() > READINGS_MAX || !belong {
                    return Err(Refused::WrongReadings);
                }
                guided.act = Act::Review { readings };
                let mut effects = vec![Effect::StopMeasurement(measurement)];
                effects.extend(in_call.then_some(Effect::Share));
                Ok(effects)
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn fail_measuring(&mut self, measurement: Measurement, trouble: Trouble, now: Moment) -> Answer {
        match self.guided_mut() {
            Some(guided) if guided.measurement == measurement && matches!(guided.act, Act::Measuring { .. }) => {
                guided.act = Act::Place { trouble: Some(trouble) };
            }
            _ => return Err(Refused::NotHere),
        }
        let mut effects = vec![Effect::StopMeasurement(measurement)];
        if let Some(reason) = trouble.out_of_range() {
            effects.extend(self.out_of_range(measurement, reason, now));
        }
        Ok(effects)
    }

    /// "LO" and "HI" are no number and may be an emergency: the record has them at once, whether the patient tries
    /// again or not, the physician sees them, and the pharmacist is called.
    fn out_of_range(&mut self, measurement: Measurement, reason: SkipReason, now: Moment) -> Vec<Effect> {
        let asked_by_physician = self.is_in_call();
        if let Some(dossier) = &mut self.dossier
            && dossier.skipped.len() < MEASUREMENTS_MAX
        {
            dossier.skipped.push(Skipped { measurement, reason, at: now, asked_by_physician });
        }
        let mut effects = self.call_pharmacist(HelpReason::OutOfRange(measurement), now);
        effects.extend(asked_by_physician.then_some(Effect::Share));
        effects
    }

    pub(super) fn keep_readings(&mut self, now: Moment) -> Answer {
        let asked_by_physician = self.is_in_call();
        if self.dossier.as_ref().is_some_and(|d| d.kept.len() >= MEASUREMENTS_MAX) {
            return Err(Refused::TooMany);
        }
        let (measurement, readings) = match self.guided_mut() {
            Some(Guided { measurement, act: Act::Review { readings } }) => (*measurement, std::mem::take(readings)),
            _ => return Err(Refused::NotHere),
        };
        if let Some(dossier) = &mut self.dossier {
            dossier.kept.push(Kept { measurement, readings, at: now, asked_by_physician });
        }
        Ok(self.measurement_done(now))
    }

    pub(super) fn retake(&mut self, now: Moment) -> Answer {
        match self.guided_mut() {
            Some(Guided { act: Act::Review { .. }, .. }) => Ok(self.place_again(now)),
            // An arm rests before a cuff inflates again: the patient says when.
            Some(Guided { measurement: Measurement::BloodPressure, act: Act::Measuring { .. } }) => {
                Ok(self.place_again(now))
            }
            Some(Guided { measurement, act: Act::Measuring { since } }) => {
                *since = now;
                Ok(vec![Effect::StopMeasurement(*measurement), Effect::StartMeasurement(*measurement)])
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn skip(&mut self, reason: SkipReason, now: Moment) -> Answer {
        let measurement = self.guided().ok_or(Refused::NotHere)?.measurement;
        let asked_by_physician = self.is_in_call();
        let Some(dossier) = &mut self.dossier else { return Err(Refused::NotHere) };
        if dossier.skipped.len() >= MEASUREMENTS_MAX {
            return Err(Refused::TooMany);
        }
        dossier.skipped.push(Skipped { measurement, reason, at: now, asked_by_physician });
        let mut effects = self.stop_measuring();
        self.cable_no_longer_matters(measurement);
        effects.extend(self.measurement_done(now));
        Ok(effects)
    }

    /// On to the next measurement before the call; back to the picture during it.
    fn measurement_done(&mut self, now: Moment) -> Vec<Effect> {
        if let Step::Call { guided, .. } = &mut self.step {
            *guided = None;
            return vec![Effect::Share];
        }
        self.next_measurement(now)
    }

    /// The patient came back to a measurement that is already kept or skipped, and goes on.
    pub(super) fn pass_done_measurement(&mut self, now: Moment) -> Answer {
        let (Step::Measurement(guided), Some(dossier)) = (&self.step, &self.dossier) else {
            return Err(Refused::NotHere);
        };
        match guided.act {
            Act::Place { .. } | Act::CheckCable { .. } if is_done(dossier, guided.measurement) => {
                let measurement = guided.measurement;
                self.cable_no_longer_matters(measurement);
                Ok(self.next_measurement(now))
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn lose_device(&mut self, measurement: Measurement, now: Moment) -> Answer {
        if !self.site.has(measurement) {
            return Err(Refused::NotFitted);
        }
        if self.lost_devices.contains(&measurement) {
            return Ok(Vec::new());
        }
        self.lost_devices.push(measurement);
        self.open_incident(IncidentKind::DeviceLost(measurement), now);
        let was_measuring = match self.guided() {
            Some(guided) if guided.measurement == measurement => match guided.act {
                Act::Measuring { .. } => true,
                Act::Place { .. } => false,
                // What was read stays read.
                Act::Review { .. } | Act::CheckCable { .. } => return Ok(Vec::new()),
            },
            _ => return Ok(Vec::new()),
        };
        let mut effects = self.stop_measuring();
        effects.extend(self.call_pharmacist(HelpReason::Cable(measurement), now));
        if let Some(guided) = self.guided_mut() {
            guided.act = Act::CheckCable { was_measuring };
        }
        Ok(effects)
    }

    pub(super) fn regain_device(&mut self, measurement: Measurement, now: Moment) -> Answer {
        if !self.site.has(measurement) {
            return Err(Refused::NotFitted);
        }
        self.lost_devices.retain(|m| *m != measurement);
        self.close_incident(IncidentKind::DeviceLost(measurement), now);
        self.cable_no_longer_matters(measurement);
        match self.guided_mut() {
            Some(guided) if guided.measurement == measurement => match guided.act {
                // A cuff inflates only when the patient asks for it; everything else goes on by itself.
                Act::CheckCable { was_measuring: true } if measurement != Measurement::BloodPressure => {
                    guided.act = Act::Measuring { since: now };
                    Ok(vec![Effect::StartMeasurement(measurement)])
                }
                Act::CheckCable { .. } => {
                    guided.act = Act::Place { trouble: None };
                    Ok(Vec::new())
                }
                Act::Place { .. } | Act::Measuring { .. } | Act::Review { .. } => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn cable_no_longer_matters(&mut self, measurement: Measurement) {
        if matches!(self.help, Help::Called { reason: HelpReason::Cable(m), .. } if m == measurement) {
            self.help = Help::NotAsked;
        }
    }
}
