//! A second opinion instead of a consultation that cannot take place.

use super::{Answer, Effect, Journey, Refused};
use crate::dossier::Outcome;
use crate::second_opinion::{AskedOpinion, HalfWritten, SecondOpinion};
use crate::vitals::{Measurement, Moment};

impl Journey {
    /// Whether a specialist may be asked: where the patient may be called back, the dossier may be sent too.
    pub fn may_ask_second_opinion(&self) -> bool {
        self.may_ask_call_back()
    }

    /// A picture, a recording or a figure that the specialist needs, made by who helps the patient; then back to the
    /// waiting room. The same may be made again: one picture is rarely enough.
    pub(super) fn add_measurement(&mut self, measurement: Measurement, now: Moment) -> Answer {
        if !self.may_ask_second_opinion() {
            return Err(Refused::NotHere);
        }
        if !self.site.has(measurement) {
            return Err(Refused::NotFitted);
        }
        let mut effects = vec![Effect::LeaveWaitingRoom];
        effects.extend(self.guide_before_call(measurement, now));
        Ok(effects)
    }

    /// The dossier goes with the question: the consultation here is over.
    pub(super) fn ask_second_opinion(&mut self, opinion: SecondOpinion, now: Moment) -> Answer {
        if !self.may_ask_second_opinion() {
            return Err(Refused::NotHere);
        }
        if let Some(missing) = opinion.missing() {
            return Err(Refused::OpinionLacks(missing));
        }
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.second_opinion = Some(AskedOpinion { opinion, asked_at: now });
            dossier.half_written = None;
        }
        Ok(self.end(Outcome::SecondOpinionAsked, now))
    }

    /// The question as far as it is written.
    pub(super) fn keep_half_written(&mut self, written: HalfWritten) -> Answer {
        if !self.may_ask_second_opinion() {
            return Err(Refused::NotHere);
        }
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.half_written = Some(written);
        }
        Ok(Vec::new())
    }
}
