//! Documents, questionnaire, storing, forgetting, cleaning; and coming back after a crash.

use super::{Act, Answer, CallLine, Effect, Emergency, Help, Journey, Paper, Promise, Refused, Step, WaitingNews};
use crate::dossier::{
    Dossier, HelpReason, INCIDENTS_MAX, Incident, IncidentKind, Outcome, Presentation, Questionnaire,
};
use crate::vitals::Moment;

impl Journey {
    /// The dossier while it may still grow. Once ended it is frozen: the outbox may be given it twice, and must then
    /// see twice the same.
    pub(super) fn open_dossier(&self) -> Option<&Dossier> {
        self.dossier.as_ref().filter(|d| d.ended.is_none())
    }

    pub(super) fn open_dossier_mut(&mut self) -> Option<&mut Dossier> {
        self.dossier.as_mut().filter(|d| d.ended.is_none())
    }

    pub(super) fn print(&mut self) -> Answer {
        match &mut self.step {
            Step::Documents { paper } if *paper != Paper::Printing => {
                *paper = Paper::Printing;
                Ok(vec![Effect::Print])
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn end_print(&mut self, printed: bool) -> Answer {
        match &mut self.step {
            Step::Documents { paper: paper @ Paper::Printing } => {
                *paper = if printed { Paper::Printed } else { Paper::Failed };
                Ok(Vec::new())
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn go_on(&mut self, now: Moment) -> Answer {
        match self.step {
            Step::Documents { .. } => {
                self.step = Step::Questionnaire;
                Ok(Vec::new())
            }
            Step::ComeBack => Ok(self.end(Outcome::ToComeBack, now)),
            Step::Forgotten { .. } => Ok(self.start_cleaning()),
            _ => self.pass_done_measurement(now),
        }
    }

    pub(super) fn answer_questionnaire(&mut self, answers: Questionnaire, now: Moment) -> Answer {
        if self.step != Step::Questionnaire {
            return Err(Refused::NotHere);
        }
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.questionnaire = Some(answers);
        }
        Ok(self.end(Outcome::Completed, now))
    }

    pub(super) fn leave(&mut self, now: Moment) -> Answer {
        self.open_dossier().ok_or(Refused::NotHere)?;
        let outcome = match (&self.step, self.emergency) {
            (_, Some(Emergency::Sign(_))) => Outcome::Emergency,
            // The consultation itself is over: nothing is missing but a touch.
            (Step::Documents { .. } | Step::Questionnaire, _) => Outcome::Completed,
            _ => Outcome::Left,
        };
        Ok(self.end(outcome, now))
    }

    /// The end of the consultation, from any step.
    pub(super) fn end(&mut self, outcome: Outcome, now: Moment) -> Vec<Effect> {
        let mut effects = match self.step {
            Step::Call { .. } => {
                let mut effects = self.close_call(now);
                effects.push(Effect::EndCall);
                effects
            }
            Step::WaitingRoom { .. } => vec![Effect::LeaveWaitingRoom],
            Step::MeetPhysician { .. } => vec![Effect::DeclinePhysician, Effect::LeaveWaitingRoom],
            _ => self.stop_measuring(),
        };
        self.emergency = None;
        let Some(dossier) = &mut self.dossier else { return effects };
        if let Some((_, to @ None)) = dossier.assisted.last_mut() {
            *to = Some(now);
        }
        // Whoever leaves otherwise, in an ambulance from before the code, comes back to nothing.
        dossier.come_back.take_if(|_| outcome != Outcome::ToComeBack);
        dossier.ended = Some((outcome, now));
        if dossier.is_to_be_recorded() {
            self.step = Step::Storing { failed_at: None };
            effects.push(Effect::SubmitRecord);
        } else {
            effects.extend(self.forget(false, now));
        }
        effects
    }

    pub(super) fn record_sealed(&mut self, now: Moment) -> Answer {
        match self.step {
            Step::Storing { .. } => Ok(self.forget(true, now)),
            _ => Err(Refused::NotHere),
        }
    }

    /// What is kept aside asks nobody to call back, and opens with no code: nothing is promised, and the pharmacist is
    /// called.
    pub(super) fn record_kept_aside(&mut self, now: Moment) -> Answer {
        let Step::Storing { .. } = self.step else { return Err(Refused::NotHere) };
        let promise = self.promise();
        if let Some(dossier) = &mut self.dossier {
            (dossier.call_back, dossier.come_back, dossier.second_opinion) = (None, None, None);
        }
        let mut effects = match promise {
            Promise::None => Vec::new(),
            Promise::CallBack | Promise::SecondOpinion | Promise::ComeBack { .. } => {
                self.call_pharmacist(HelpReason::Record, now)
            }
        };
        effects.extend(self.forget(true, now));
        Ok(effects)
    }

    /// Not a call for help with an answer: a journal in the same outbox could not remember it. The pharmacist is told
    /// once, and time offers the record again until it is taken.
    pub(super) fn record_not_sealed(&mut self, now: Moment) -> Answer {
        let Step::Storing { failed_at } = &mut self.step else { return Err(Refused::NotHere) };
        match failed_at.replace(now) {
            None => Ok(vec![Effect::CallPharmacist(HelpReason::Record)]),
            Some(_) => Ok(Vec::new()),
        }
    }

    pub(super) fn retry_storing(&mut self, now: Moment) -> Answer {
        match &mut self.step {
            Step::Storing { failed_at: Some(failed_at) } => {
                *failed_at = now;
                Ok(vec![Effect::SubmitRecord])
            }
            Step::Storing { failed_at: None } => Err(Refused::TooEarly),
            _ => Err(Refused::NotHere),
        }
    }

    /// Drops everything of the patient. Who still waits for help still gets it, without a reason that tells anything.
    fn forget(&mut self, recorded: bool, now: Moment) -> Vec<Effect> {
        let promise = if recorded { self.promise() } else { Promise::None };
        self.dossier = None;
        self.emergency = None;
        self.help = match &self.help {
            Help::Called { reason: HelpReason::Cable(_), .. } | Help::Answered { .. } | Help::NotAsked => {
                Help::NotAsked
            }
            Help::Called { at, alarmed_at, .. } => {
                Help::Called { reason: HelpReason::Asked, at: *at, alarmed_at: *alarmed_at }
            }
        };
        self.step = Step::Forgotten { at: now, recorded, promise };
        vec![Effect::Forget]
    }

    fn promise(&self) -> Promise {
        match &self.dossier {
            Some(Dossier { call_back: Some(_), .. }) => Promise::CallBack,
            Some(Dossier { second_opinion: Some(_), .. }) => Promise::SecondOpinion,
            Some(Dossier { come_back: Some(come_back), .. }) => Promise::ComeBack { until: come_back.until },
            _ => Promise::None,
        }
    }

    pub(super) fn start_cleaning(&mut self) -> Vec<Effect> {
        self.presentation = Presentation::default();
        self.step = Step::Cleaning;
        Vec::new()
    }

    pub(super) fn cleaned(&mut self) -> Answer {
        if self.step != Step::Cleaning {
            return Err(Refused::NotHere);
        }
        self.used.clear();
        self.step = Step::Welcome;
        Ok(Vec::new())
    }

    pub(super) fn open_incident(&mut self, kind: IncidentKind, now: Moment) {
        let Some(dossier) = self.open_dossier_mut() else { return };
        if dossier.incidents.len() >= INCIDENTS_MAX {
            dossier.incidents_uncounted = dossier.incidents_uncounted.saturating_add(1);
            return;
        }
        dossier.incidents.push(Incident { kind, started_at: now, ended_at: None });
    }

    pub(super) fn close_incident(&mut self, kind: IncidentKind, now: Moment) {
        let Some(dossier) = self.open_dossier_mut() else { return };
        let open = dossier.incidents.iter_mut().rev().find(|i| i.kind == kind && i.ended_at.is_none());
        if let Some(incident) = open {
            incident.ended_at = Some(now);
        }
    }

    /// Same step, same readings; what a crash broke is set up again.
    pub(super) fn restart(&mut self, now: Moment) -> Vec<Effect> {
        let stopped_at = self.last_journalled_at;
        self.last_active_at = now;
        self.warned_at = None;
        if self.dossier.is_none() {
            return Vec::new();
        }
        self.open_incident(IncidentKind::CabinRestarted, stopped_at);
        self.close_incident(IncidentKind::CabinRestarted, now);
        let mut effects = Vec::new();
        if let Help::Called { reason, alarmed_at, .. } = &mut self.help {
            *alarmed_at = None;
            effects.push(Effect::CallPharmacist(*reason));
        }
        // A cuff may be inflated on an arm: it is stopped before anything else is asked.
        effects.extend(self.stop_measuring());
        if let Some(guided) = self.guided_mut() {
            match &mut guided.act {
                act @ Act::Measuring { .. } => *act = Act::Place { trouble: None },
                Act::CheckCable { was_measuring } => *was_measuring = false,
                Act::Place { .. } | Act::Review { .. } => {}
            }
        }
        let online = self.online;
        match &mut self.step {
            Step::WaitingRoom { news } => {
                *news = WaitingNews::default();
                effects.extend(online.then_some(Effect::EnterWaitingRoom));
            }
            Step::MeetPhysician { .. } => effects.extend(online.then_some(Effect::EnterWaitingRoom)),
            Step::Call { line, .. } => {
                effects.push(Effect::Reconnect);
                if *line == CallLine::Connected {
                    *line = CallLine::Interrupted { since: stopped_at };
                    self.open_incident(IncidentKind::CallInterrupted, stopped_at);
                }
            }
            Step::Documents { paper } => *paper = Paper::NotAsked,
            Step::Storing { failed_at } => {
                *failed_at = None;
                effects.push(Effect::SubmitRecord);
            }
            _ => {}
        }
        effects
    }
}
