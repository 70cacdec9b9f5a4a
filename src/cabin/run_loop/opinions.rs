//! Second opinions: asked with the patient where no physician can be seen, read by the pharmacist where they are kept.

use consult::journey::{Input, Step};
use signal::cabin::{FromCabin, FromDesk};
use signal::second_opinion::{Step as OpinionStep, What};
use signal::{ItemId, Text};
use uuid::Uuid;

use super::{Cabin, Front};
use crate::screens;
use crate::second_opinion::{OpinionDraft, Opinions, Page, REPLY_CHARS_MAX};

impl Cabin {
    /// Whether a specialist may be asked now: as where the patient may be called back.
    pub(crate) fn may_ask_opinion(&self) -> bool {
        self.may_be_called_back() && self.journey.may_ask_second_opinion()
    }

    /// The pharmacist begins a request, with the patient.
    pub(crate) fn begin_opinion(&mut self) {
        if !self.may_ask_opinion() {
            return;
        }
        // Refused only where the pharmacist helps already.
        self.input(Input::AssistanceStarted);
        self.drafts.calling_back = false;
        let name = self.journey.pharmacist().map_or("", |pharmacist| pharmacist.name.as_str()).to_owned();
        self.drafts.opinion = Some(OpinionDraft::new(&name));
        self.front = Front::Patient;
    }

    /// Main button of the request's screens.
    pub(crate) fn opinion_next(&mut self) {
        let Some(draft) = &mut self.drafts.opinion else { return };
        if draft.page != Page::Consent {
            draft.forward();
        } else if let Some(opinion) = draft.finished() {
            self.input(Input::SecondOpinionAsked(opinion));
        }
    }

    /// Back, in the request that is written; from its beginning, to the waiting room.
    pub(crate) fn opinion_back(&mut self) {
        if !self.drafts.opinion.as_mut().is_some_and(OpinionDraft::back) {
            self.drafts.opinion = None;
        }
    }

    /// The pharmacist's list, asked of the desk anew.
    pub(crate) fn ask_opinions(&mut self) {
        self.opinions = Opinions { failed: !self.desk.up, heard: self.opinions.heard, ..Opinions::default() };
        self.front = Front::Opinions;
        self.say(FromCabin::SecondOpinionsWanted {});
    }

    /// One of the list.
    pub(crate) fn read_opinion(&mut self, index: usize) {
        let line = self.opinions.lines.as_ref().and_then(|lines| lines.get(index));
        if let Some(request) = line.map(|line| line.id.clone()) {
            self.say(FromCabin::SecondOpinionWanted { request });
        }
    }

    pub(crate) fn write_opinion_reply(&mut self, text: &str) {
        self.opinions.reply = text.chars().take(REPLY_CHARS_MAX).collect();
        self.opinions.step = None;
    }

    /// What is written goes to the specialist, or the request is taken back.
    pub(crate) fn step_opinion(&mut self, take_back: bool) {
        let Some((line, _)) = &self.opinions.read else { return };
        let text = self.opinions.reply.trim();
        if text.is_empty() && !take_back {
            return;
        }
        let what = match take_back {
            true => What::Cancel { text: Text::cut(text) },
            false => What::Say { text: Text::cut(text) },
        };
        let request = line.id.clone();
        let Ok(fresh) = ItemId::new(Uuid::new_v4().to_string()) else { return };
        let id = self.opinions.step.get_or_insert(fresh).clone();
        let by = self.journey.pharmacist().map_or("", |pharmacist| pharmacist.name.as_str());
        let step = FromCabin::SecondOpinionStep { request, by: Text::cut(by), step: OpinionStep { id, what } };
        self.opinions.failed = !self.desk.up;
        self.say(step);
    }

    /// What the desk tells of them, while they are in front; later it is dropped unread.
    pub(super) fn hear_opinions(&mut self, said: FromDesk) {
        if self.front == Front::Opinions {
            self.opinions.take(said);
        }
    }

    /// Back to the pharmacist's space; nothing of what was read stays.
    pub(crate) fn close_opinions(&mut self) {
        self.forget_opinions();
        self.front = Front::Space;
    }

    pub(super) fn forget_opinions(&mut self) {
        let heard = self.opinions.heard;
        self.opinions = Opinions::default();
        // The buffers of the line held it too. In a call it waits until the patient is forgotten.
        match &self.link {
            Some(link) if heard && !matches!(self.journey.step(), Step::Call { .. }) => link.redial(),
            _ => self.opinions.heard = heard,
        }
        screens::forget_opinions(&self.app);
    }
}
