//! What is there at every step: the pharmacist, help, emergency, how the screen speaks.

use super::{Answer, Effect, Emergency, Help, Journey, Refused, Step};
use crate::dossier::{HELP_CALLS_MAX, HelpCall, HelpReason, IncidentKind, Outcome, Presentation};
use crate::identity::{IdentityDocument, Validation};
use crate::site::{DeviceClass, Pharmacist};
use crate::vitals::Moment;

/// Most pharmacists noted in one consultation: more than any staff.
const PHARMACISTS_MAX: usize = 50;
/// Most times that the pharmacist takes over in one consultation.
const ASSISTED_MAX: usize = 100;

impl Journey {
    pub(super) fn sign_in(&mut self, pharmacist: Pharmacist, now: Moment) -> Answer {
        if self.step == Step::Closed {
            if !self.missing.is_empty() {
                return Err(Refused::EquipmentMissing);
            }
            self.step = self.opened();
        }
        if let Some(dossier) = self.open_dossier_mut()
            && dossier.pharmacists.last() != Some(&pharmacist)
            && dossier.pharmacists.len() < PHARMACISTS_MAX
        {
            dossier.pharmacists.push(pharmacist.clone());
        }
        self.pharmacist = Some((pharmacist, now));
        Ok(Vec::new())
    }

    /// Opens without what is missing.
    pub(super) fn open_degraded(&mut self, pharmacist: Pharmacist, now: Moment) -> Answer {
        if self.step != Step::Closed || self.missing.is_empty() {
            return Err(Refused::NotHere);
        }
        self.step = self.opened();
        self.pharmacist = Some((pharmacist, now));
        Ok(Vec::new())
    }

    /// What the place should have and does not: an open cabin stays open, and the record says since when.
    pub(super) fn check_equipment(&mut self, missing: &[DeviceClass], now: Moment) -> Answer {
        let is_missing = |class: &DeviceClass| missing.contains(class);
        let now_missing: Vec<_> = DeviceClass::OF_A_PHARMACY.into_iter().filter(is_missing).collect();
        let former = std::mem::replace(&mut self.missing, now_missing.clone());
        for class in former.iter().filter(|class| !now_missing.contains(class)) {
            self.close_incident(IncidentKind::WithoutDevice(*class), now);
        }
        for class in now_missing.iter().filter(|class| !former.contains(class)) {
            self.open_incident(IncidentKind::WithoutDevice(*class), now);
        }
        Ok(Vec::new())
    }

    pub(super) fn close(&mut self) -> Answer {
        match self.step {
            Step::Welcome => {
                self.step = Step::Closed;
                self.pharmacist = None;
                self.presentation = Presentation::default();
                Ok(Vec::new())
            }
            _ if self.dossier.is_some() => Err(Refused::ConsultationRunning),
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn check_identity(&mut self, document: IdentityDocument, now: Moment) -> Answer {
        let Some((by, _)) = self.pharmacist.clone() else { return Err(Refused::NotHere) };
        let identity = self.open_dossier_mut().and_then(|d| d.identity.as_mut()).ok_or(Refused::NotHere)?;
        identity.validate(Validation { document, by, at: now });
        Ok(if self.is_in_call() { vec![Effect::Share] } else { Vec::new() })
    }

    pub(super) fn start_assistance(&mut self, now: Moment) -> Answer {
        if self.is_assisted() {
            return Err(Refused::NotHere);
        }
        let dossier = self.open_dossier_mut().ok_or(Refused::NotHere)?;
        if dossier.assisted.len() >= ASSISTED_MAX {
            return Err(Refused::TooMany);
        }
        dossier.assisted.push((now, None));
        Ok(Vec::new())
    }

    pub(super) fn end_assistance(&mut self, now: Moment) -> Answer {
        match self.open_dossier_mut().and_then(|d| d.assisted.last_mut()) {
            Some((_, to @ None)) => {
                *to = Some(now);
                Ok(Vec::new())
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn choose_presentation(&mut self, presentation: Presentation) -> Answer {
        if matches!(self.step, Step::Closed | Step::Cleaning) {
            return Err(Refused::NotHere);
        }
        self.presentation = presentation;
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.presentation = presentation;
        }
        Ok(Vec::new())
    }

    pub(super) fn ask_help(&mut self, now: Moment) -> Answer {
        Ok(self.call_pharmacist(HelpReason::Asked, now))
    }

    /// Calls the pharmacist and notes it. A call already made keeps its time, so that touching again and again never
    /// puts off the alarm.
    pub(super) fn call_pharmacist(&mut self, reason: HelpReason, now: Moment) -> Vec<Effect> {
        self.help = match self.help {
            Help::Called { at, alarmed_at, .. } => Help::Called { reason, at, alarmed_at },
            Help::NotAsked | Help::Answered { .. } => Help::Called { reason, at: now, alarmed_at: None },
        };
        if let Some(dossier) = self.open_dossier_mut()
            && dossier.help_calls.len() < HELP_CALLS_MAX
        {
            dossier.help_calls.push(HelpCall { reason, at: now, answered: None });
        }
        vec![Effect::CallPharmacist(reason)]
    }

    pub(super) fn answer_help(&mut self, now: Moment) -> Answer {
        let (Help::Called { .. }, Some((by, _))) = (&self.help, &self.pharmacist) else {
            return Err(Refused::NotHere);
        };
        let by = by.clone();
        if let Some(dossier) = self.open_dossier_mut() {
            for call in dossier.help_calls.iter_mut().filter(|c| c.answered.is_none()) {
                call.answered = Some((by.clone(), now));
            }
        }
        self.help = Help::Answered { by };
        Ok(Vec::new())
    }

    pub(super) fn finish_help(&mut self) -> Answer {
        if self.help == Help::NotAsked {
            return Err(Refused::NotHere);
        }
        self.help = Help::NotAsked;
        Ok(Vec::new())
    }

    pub(super) fn alarm_help(&mut self, now: Moment) -> Answer {
        let alarm_ms = self.policy.help_alarm_ms;
        let Help::Called { reason, at, alarmed_at } = &mut self.help else { return Err(Refused::NotHere) };
        if now.millis_since(alarmed_at.unwrap_or(*at)) < alarm_ms {
            return Err(Refused::TooEarly);
        }
        *alarmed_at = Some(now);
        Ok(vec![Effect::AlarmPharmacist(*reason)])
    }

    pub(super) fn ask_emergency(&mut self, now: Moment) -> Answer {
        if self.emergency.is_some() {
            return Err(Refused::EmergencyShown);
        }
        self.emergency = Some(Emergency::Asked);
        Ok(self.call_pharmacist(HelpReason::Emergency, now))
    }

    pub(super) fn close_emergency(&mut self) -> Answer {
        match self.emergency {
            Some(Emergency::Asked) => {
                self.emergency = None;
                Ok(Vec::new())
            }
            Some(Emergency::Sign(_)) => Err(Refused::PharmacistNeeded),
            None => Err(Refused::NotHere),
        }
    }

    pub(super) fn clear_emergency(&mut self, now: Moment) -> Answer {
        let (Some((by, _)), Some(emergency)) = (self.pharmacist.clone(), self.emergency) else {
            return Err(Refused::NotHere);
        };
        self.emergency = None;
        if let Emergency::Sign(sign) = emergency
            && let Some(dossier) = self.open_dossier_mut()
        {
            dossier.sign_cleared = Some((sign, by, now));
        }
        Ok(self.after_warning_signs())
    }

    pub(super) fn hand_over(&mut self, now: Moment) -> Answer {
        if self.pharmacist.is_none() || self.emergency.is_none() {
            return Err(Refused::NotHere);
        }
        if self.open_dossier().is_none() {
            self.emergency = None;
            return Ok(Vec::new());
        }
        Ok(self.end(Outcome::Emergency, now))
    }
}
