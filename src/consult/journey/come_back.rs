//! No physician can be seen: the patient leaves with a code, and comes back.

use super::{Answer, Effect, Help, Journey, Refused, Step};
use crate::dossier::{ComeBack, Dossier, Outcome, PAUSES_MAX, Pause};
use crate::site::Pharmacist;
use crate::vitals::Moment;

impl Journey {
    /// Whether the patient may leave with a code: in the waiting room, with a record that may be sent without them.
    pub fn may_ask_come_back(&self) -> bool {
        let may = |dossier: &Dossier| dossier.is_to_be_recorded() && dossier.pauses.len() < PAUSES_MAX;
        matches!(self.step, Step::WaitingRoom { .. }) && self.open_dossier().is_some_and(may)
    }

    /// The code is in the journal before it is shown: a cabin that stops now shows the same one.
    pub(super) fn ask_come_back(&mut self, come_back: ComeBack) -> Answer {
        if !self.may_ask_come_back() {
            return Err(Refused::NotHere);
        }
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.come_back = Some(come_back);
        }
        self.step = Step::ComeBack;
        Ok(vec![Effect::LeaveWaitingRoom])
    }

    /// Rather wait after all: the code is nobody's.
    pub(super) fn wait_after_all(&mut self) -> Vec<Effect> {
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.come_back = None;
        }
        self.enter_waiting_room()
    }

    /// Everything is as it was, but for the warning signs: who waited a day may be worse.
    pub(super) fn come_back(&mut self, pharmacist: Pharmacist, now: Moment) -> Answer {
        let Some((Outcome::ToComeBack, from)) = self.dossier.as_ref().and_then(|dossier| dossier.ended) else {
            return Err(Refused::NotHere);
        };
        if let Some(dossier) = &mut self.dossier {
            dossier.ended = None;
            dossier.come_back = None;
            dossier.pauses.push(Pause { from, to: now, answers_before: dossier.warning_answers.len() });
        }
        (self.help, self.emergency) = (Help::NotAsked, None);
        self.step = Step::WarningSigns;
        self.sign_in(pharmacist, now)?;
        Ok(self.after_warning_signs())
    }

    /// Whether the patient came back, and has answered everything but the warning signs.
    pub(super) fn has_come_back(&self) -> bool {
        self.dossier.as_ref().is_some_and(|dossier| !dossier.pauses.is_empty())
    }
}
