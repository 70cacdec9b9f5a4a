//! From the first touch to consent, and the way back.

use super::{Act, Answer, Effect, Emergency, Help, Input, Journey, Paper, Refused, Step};
use crate::consent::{ConsentAnswers, Consents, Decision};
use crate::dossier::{
    CONSENTS_MAX, ConsultationId, Contact, Dossier, HelpReason, IncidentKind, Presentation, WARNING_ANSWERS_MAX,
};
use crate::identity::{Identity, Matricule, Traits};
use crate::reason::Reason;
use crate::triage::{WarningAnswer, WarningSign};
use crate::vitals::Moment;

impl Journey {
    pub(super) fn begin(&mut self, id: ConsultationId, now: Moment) -> Answer {
        let (Step::Welcome, Some((pharmacist, _))) = (&self.step, &self.pharmacist) else {
            return Err(Refused::NotHere);
        };
        let dossier = Dossier::new(id, now, self.presentation, pharmacist.clone());
        let preamble = self.preamble(now);
        // What the preamble can say of a call for help is that it was asked for: the live journey says the same.
        self.help = match &self.help {
            Help::Called { at, .. } => Help::Called { reason: HelpReason::Asked, at: *at, alarmed_at: None },
            Help::Answered { .. } | Help::NotAsked => Help::NotAsked,
        };
        self.dossier = Some(dossier);
        for class in self.missing.clone() {
            self.open_incident(IncidentKind::WithoutDevice(class), now);
        }
        self.step = Step::Reason;
        Ok(vec![Effect::OpenJournal { preamble }])
    }

    fn preamble(&self, now: Moment) -> Vec<(Moment, Input)> {
        let mut out = Vec::new();
        if let Some((pharmacist, at)) = &self.pharmacist {
            out.push((*at, Input::SignedIn(pharmacist.clone())));
        }
        if self.presentation != Presentation::default() {
            out.push((now, Input::PresentationChosen(self.presentation)));
        }
        if !self.online {
            out.push((now, Input::NetworkLost));
        }
        out.extend(self.lost_devices.iter().map(|m| (now, Input::DeviceLost(*m))));
        if !self.missing.is_empty() {
            out.push((now, Input::EquipmentChecked { missing: self.missing.clone() }));
        }
        if let Help::Called { at, .. } = &self.help {
            out.push((*at, Input::HelpAsked));
        }
        out
    }

    pub(super) fn give_reason(&mut self, reason: Reason) -> Answer {
        let (Step::Reason, Some(dossier)) = (&self.step, self.dossier.as_mut()) else { return Err(Refused::NotHere) };
        dossier.reason = Some(reason);
        self.step = Step::WarningSigns;
        Ok(self.after_warning_signs())
    }

    /// Goes on once nothing is left to ask. Coming back to the signs, "none of these" is the way on.
    pub(super) fn after_warning_signs(&mut self) -> Vec<Effect> {
        let all_asked = self.dossier.as_ref().is_some_and(|d| d.warning_signs_to_ask().is_empty());
        if self.step == Step::WarningSigns && self.emergency.is_none() && all_asked {
            if self.has_come_back() {
                return self.enter_waiting_room();
            }
            self.step = Step::Identity;
        }
        Vec::new()
    }

    pub(super) fn answer_warning_sign(&mut self, sign: WarningSign, present: bool, now: Moment) -> Answer {
        let (Step::WarningSigns, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        let asked = dossier.reason.as_ref().is_some_and(|r| WarningSign::asked_for(r.kind).contains(&sign));
        if !asked {
            return Err(Refused::NotAsked);
        }
        // A yes is never refused for want of room: it is the one answer that must stop the journey.
        if dossier.warning_answers.len() >= WARNING_ANSWERS_MAX && !present {
            return Err(Refused::TooMany);
        }
        if dossier.warning_answers.len() < WARNING_ANSWERS_MAX + WarningSign::ALL.len() {
            dossier.warning_answers.push(WarningAnswer { sign, present, at: now });
        }
        if present {
            self.emergency = Some(Emergency::Sign(sign));
            return Ok(self.call_pharmacist(HelpReason::WarningSign(sign), now));
        }
        Ok(self.after_warning_signs())
    }

    pub(super) fn answer_no_warning_sign(&mut self, now: Moment) -> Answer {
        let (Step::WarningSigns, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        let to_ask = dossier.warning_signs_to_ask();
        if dossier.warning_answers.len() + to_ask.len() > WARNING_ANSWERS_MAX + WarningSign::ALL.len() {
            return Err(Refused::TooMany);
        }
        dossier.warning_answers.extend(to_ask.into_iter().map(|sign| WarningAnswer { sign, present: false, at: now }));
        Ok(self.after_warning_signs())
    }

    pub(super) fn give_identity(&mut self, traits: Traits, matricule: Option<Matricule>, now: Moment) -> Answer {
        let (Step::Identity, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        if traits.birth_date.is_after(now) {
            return Err(Refused::BirthDateToCome);
        }
        let typed = Identity::typed(traits, matricule);
        // Confirming the same traits again keeps what the pharmacist saw; changing one drops it (R18).
        if !dossier.identity.as_ref().is_some_and(|known| known.is_same_person_as(&typed)) {
            dossier.identity = Some(typed);
        }
        self.step = Step::UsualDoctor;
        Ok(Vec::new())
    }

    pub(super) fn give_contact(&mut self, contact: Contact) -> Answer {
        let (Step::UsualDoctor, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        dossier.contact = Some(contact);
        self.step = Step::InformationConsent { care_refused: false };
        Ok(Vec::new())
    }

    pub(super) fn answer_consents(&mut self, answers: ConsentAnswers, now: Moment) -> Answer {
        let (Step::InformationConsent { .. }, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        if dossier.consents.len() >= CONSENTS_MAX {
            return Err(Refused::TooMany);
        }
        dossier.consents.push(Consents { answers, at: now });
        if answers.care.decision == Decision::Refused {
            self.step = Step::InformationConsent { care_refused: true };
            return Ok(Vec::new());
        }
        Ok(self.next_measurement(now))
    }

    pub(super) fn go_back(&mut self, now: Moment) -> Answer {
        let before = match &self.step {
            Step::Reason => {
                if self.dossier.as_ref().is_some_and(|d| d.identity.is_some()) {
                    return Err(Refused::WouldLose);
                }
                self.dossier = None;
                self.step = Step::Welcome;
                return Ok(vec![Effect::Forget]);
            }
            Step::WarningSigns => Step::Reason,
            Step::Identity => Step::WarningSigns,
            Step::UsualDoctor => Step::Identity,
            Step::InformationConsent { .. } => Step::UsualDoctor,
            Step::ComeBack => return Ok(self.wait_after_all()),
            Step::Questionnaire => Step::Documents { paper: Paper::NotAsked },
            Step::Measurement(guided) => match guided.act {
                Act::Measuring { .. } | Act::Review { .. } => return Ok(self.place_again(now)),
                Act::Place { .. } | Act::CheckCable { .. } => {
                    let measurement = guided.measurement;
                    let proposed = self.proposed_measurements();
                    let here = proposed.iter().position(|m| *m == measurement).unwrap_or(0);
                    self.cable_no_longer_matters(measurement);
                    if !proposed.contains(&measurement) {
                        // Added for a specialist: back to where it was asked.
                        return Ok(self.next_measurement(now));
                    }
                    match here.checked_sub(1).and_then(|i| proposed.get(i)).copied() {
                        Some(before) => return Ok(self.guide_before_call(before, now)),
                        None => Step::InformationConsent { care_refused: false },
                    }
                }
            },
            Step::Call { guided: Some(guided), .. }
                if matches!(guided.act, Act::Measuring { .. } | Act::Review { .. }) =>
            {
                return Ok(self.place_again(now));
            }
            Step::Closed
            | Step::Welcome
            | Step::WaitingRoom { .. }
            | Step::MeetPhysician { .. }
            | Step::Call { .. }
            | Step::Documents { .. }
            | Step::Storing { .. }
            | Step::Forgotten { .. }
            | Step::Cleaning => return Err(Refused::NotHere),
        };
        self.step = before;
        Ok(Vec::new())
    }
}
