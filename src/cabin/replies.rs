//! What the pharmacist said to specialists and the desk has not stored yet: kept in the outbox as letters, and said again
//! until the desk has it, whatever stops meanwhile.

use std::collections::VecDeque;

use outbox::{Client, LetterId};
use serde::{Deserialize, Serialize};
use signal::cabin::FromCabin;
use signal::second_opinion::{Step, What};
use signal::{ItemId, RefusalCode, Text};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Most replies that wait; above, what is written stays in its field.
pub const REPLIES_MAX: usize = 32;
const _: () = assert!(2 * REPLIES_MAX <= outbox::LETTERS_MAX);

/// What became of the last thing said about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for the desk.
    Waiting,
    /// The desk did not take it.
    Refused,
}

/// A letter's content, as JSON.
#[derive(Serialize, Deserialize)]
struct Reply {
    /// The order in which they were written.
    number: u64,
    request: ItemId,
    by: Text<128>,
    step: Step,
    /// The desk did not take it: it waits for whoever wrote it.
    refused: bool,
}

/// See the module.
pub struct Replies {
    outbox: Client,
    /// The outbox has said what it keeps.
    is_known: bool,
    waiting: VecDeque<Reply>,
    refused: Vec<Reply>,
    /// Letters of no use any more that the outbox has not destroyed yet.
    spent: Vec<LetterId>,
}

impl Replies {
    /// What the outbox keeps, or none until [`Replies::tidy`] finds it there.
    pub fn new(outbox: Client) -> Self {
        let mut replies =
            Self { outbox, is_known: false, waiting: VecDeque::new(), refused: Vec::new(), spent: Vec::new() };
        replies.tidy();
        replies
    }

    /// Does what the outbox did not do while it was away. True: something waits that was not known before.
    pub fn tidy(&mut self) -> bool {
        let outbox = &self.outbox;
        self.spent.retain(|letter| outbox.drop_letter(*letter).is_err());
        let Some(letters) = (!self.is_known).then(|| outbox.letters().ok()).flatten() else { return false };
        self.is_known = true;
        let mut replies = Vec::with_capacity(letters.len());
        for letter in letters {
            match serde_json::from_slice::<Reply>(&letter.content) {
                Ok(reply) => replies.push(reply),
                Err(error) => tracing::error!(letter = %letter.id, %error, "a reply to a specialist is not understood"),
            }
        }
        replies.sort_by_key(|reply| reply.number);
        let (refused, waiting): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.refused);
        (self.refused, self.waiting) = (refused, waiting.into());
        !self.waiting.is_empty()
    }

    /// Takes what is said about a request; false where it is not kept, for the outbox is away or full, or too many wait.
    pub fn push(&mut self, request: ItemId, by: Text<128>, step: Step) -> bool {
        self.tidy();
        if !self.is_known || self.waiting.len() >= REPLIES_MAX {
            return false;
        }
        let numbers = self.waiting.iter().chain(&self.refused).map(|reply| reply.number);
        let reply = Reply { number: numbers.max().map_or(0, |last| last + 1), request, by, step, refused: false };
        if !self.keep(&reply) {
            return false;
        }
        self.read(&reply.request);
        self.waiting.push_back(reply);
        true
    }

    /// What is to be said now: one at a time, in order.
    pub fn next(&self) -> Option<FromCabin> {
        let Reply { request, by, step, .. } = self.waiting.front()?;
        Some(FromCabin::SecondOpinionStep { request: request.clone(), by: by.clone(), step: step.clone() })
    }

    /// The desk stored this step; false where it is none of these.
    pub fn stored(&mut self, step: &ItemId) -> bool {
        let taken = self.take(step);
        taken.as_ref().is_some_and(|reply| {
            self.spend(reply);
            true
        })
    }

    /// The desk did not store this step. True where another is to be said now; false where the same is said again later.
    pub fn refused(&mut self, step: &ItemId, code: RefusalCode) -> bool {
        if code == RefusalCode::Stopping {
            // What is said about other requests goes before it: one that the records never take holds up nobody.
            let is_late = |reply: &Reply| reply.step.id == *step;
            if let Some(request) = self.waiting.iter().find(|reply| is_late(reply)).map(|reply| reply.request.clone()) {
                let (late, first): (Vec<_>, Vec<_>) =
                    self.waiting.drain(..).partition(|reply| reply.request == request);
                self.waiting.extend(first.into_iter().chain(late));
            }
            return false;
        }
        if let Some(reply) = self.take(step) {
            let reply = Reply { refused: true, ..reply };
            // Not kept as refused, it is said again after a restart, and refused again.
            self.keep(&reply);
            self.refused.push(reply);
        }
        while self.refused.len() > REPLIES_MAX {
            let oldest = self.refused.remove(0);
            self.spend(&oldest);
        }
        true
    }

    fn take(&mut self, step: &ItemId) -> Option<Reply> {
        let place = self.waiting.iter().position(|reply| reply.step.id == *step)?;
        self.waiting.remove(place)
    }

    /// What became of the last thing said about this request; `None`: the desk has it, or nothing was said.
    pub fn fate(&self, request: &ItemId) -> Option<Fate> {
        let of = |reply: &Reply| reply.request == *request;
        if self.waiting.iter().any(of) {
            Some(Fate::Waiting)
        } else {
            self.refused.iter().any(of).then_some(Fate::Refused)
        }
    }

    /// The words that the desk did not take, to be written anew.
    pub fn refused_words(&self, request: &ItemId) -> Option<String> {
        let words =
            self.refused.iter().filter(|reply| reply.request == *request).filter_map(|reply| match &reply.step.what {
                What::Say { text } | What::Cancel { text } => Some(text.as_str()),
                _ => None,
            });
        let words = words.collect::<Vec<_>>().join("\n");
        (!words.is_empty()).then_some(words)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many the desk does not have, for whatever reason.
    pub fn unsent(&self) -> usize {
        self.waiting.len() + self.refused.len()
    }

    /// The pharmacist has read the words about this request that were not taken.
    pub fn read(&mut self, request: &ItemId) {
        let (read, rest): (Vec<_>, Vec<_>) = self.refused.drain(..).partition(|reply| reply.request == *request);
        self.refused = rest;
        read.iter().for_each(|reply| self.spend(reply));
    }

    /// In the outbox, durable; false where it is not.
    fn keep(&self, reply: &Reply) -> bool {
        let Some(letter) = letter(reply) else { return false };
        let kept = serde_json::to_vec(reply).map(Zeroizing::new).map_err(|error| error.to_string());
        let kept =
            kept.and_then(|content| self.outbox.keep_letter(letter, &content).map_err(|error| error.to_string()));
        if let Err(error) = &kept {
            tracing::error!(error, "a reply to a specialist is not kept");
        }
        kept.is_ok()
    }

    fn spend(&mut self, reply: &Reply) {
        self.spent.extend(letter(reply));
        let outbox = &self.outbox;
        self.spent.retain(|letter| outbox.drop_letter(*letter).is_err());
    }
}

/// A reply's letter has the name of its step.
fn letter(reply: &Reply) -> Option<LetterId> {
    Uuid::try_parse(reply.step.id.as_str()).ok().map(LetterId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served_outbox::ServedOutbox;

    fn named(n: u8) -> ItemId {
        ItemId::new(format!("00000000-0000-4000-8000-0000000000{n:02}")).expect("a name")
    }

    fn said(n: u8, text: &str) -> Step {
        Step { id: named(n), what: What::Say { text: Text::cut(text) } }
    }

    fn by() -> Text<128> {
        Text::cut("Julie Roux")
    }

    fn next(replies: &Replies) -> (ItemId, Step) {
        let Some(FromCabin::SecondOpinionStep { request, step, .. }) = replies.next() else { panic!("one") };
        (request, step)
    }

    #[test]
    fn what_is_said_without_a_line_goes_once_and_in_order_when_it_is_back_whatever_stopped_meanwhile() {
        let served = ServedOutbox::away();
        let mut replies = Replies::new(served.client());
        assert!(!replies.push(named(1), by(), said(53, "Non, jamais.")), "what cannot be kept stays in its field");
        served.come_back();
        // The names of the steps are in another order than they were said.
        for n in 1..=3 {
            assert!(replies.push(named(n), by(), said(54 - n, "Non, jamais.")));
        }
        for n in 1..=3 {
            // Whatever is lost on the way, and whenever the cabin stops, the same is said again with the same name, until
            // the desk has it.
            for _ in 0..2 {
                assert_eq!(next(&replies), (named(n), said(54 - n, "Non, jamais.")));
                replies = Replies::new(served.client());
            }
            assert_eq!(replies.waiting(), usize::from(4 - n));
            assert!(!replies.refused(&named(54 - n), RefusalCode::Stopping) || n == 3, "the desk is asked again later");
            assert_eq!((replies.fate(&named(n)), replies.fate(&named(9))), (Some(Fate::Waiting), None));
            assert!(replies.stored(&named(54 - n)) && !replies.stored(&named(54 - n)));
            replies = Replies::new(served.client());
        }
        assert_eq!((replies.unsent(), replies.next()), (0, None));
    }

    #[test]
    fn what_the_desk_refuses_holds_up_nothing_and_its_words_can_be_written_anew_after_a_restart_too() {
        let served = ServedOutbox::away();
        served.come_back();
        let mut replies = Replies::new(served.client());
        replies.push(named(1), by(), said(51, "Trop tard."));
        replies.push(named(2), by(), said(52, "Oui."));
        assert!(replies.refused(&named(51), RefusalCode::OutOfOrder));
        for _ in 0..2 {
            assert_eq!(
                (replies.fate(&named(1)), replies.refused_words(&named(1))),
                (Some(Fate::Refused), Some("Trop tard.".to_owned()))
            );
            assert_eq!(next(&replies).0, named(2));
            replies = Replies::new(served.client());
        }
        replies.read(&named(1));
        assert_eq!((replies.fate(&named(1)), replies.unsent()), (None, 1));
        // One that the records never take stands behind the others.
        replies.push(named(3), by(), said(53, "Trois."));
        assert!(!replies.refused(&named(52), RefusalCode::Stopping));
        assert_eq!(next(&replies).0, named(3));
        assert!(replies.stored(&named(53)) && replies.waiting() == 1);
        for n in 60..60 + REPLIES_MAX as u8 - 1 {
            assert!(replies.push(named(3), by(), said(n, "x")));
        }
        assert!(!replies.push(named(4), by(), said(99, "x")), "what is written stays in its field");
        assert_eq!(Replies::new(served.client()).unsent(), REPLIES_MAX);
    }

    #[test]
    fn what_the_outbox_could_not_destroy_is_destroyed_when_it_is_back() {
        let served = ServedOutbox::away();
        let mut replies = Replies::new(served.client());
        replies.spent.push(LetterId(Uuid::from_u128(1)));
        assert!(!replies.tidy() && replies.spent.len() == 1);
        served.come_back();
        assert!(!replies.tidy() && replies.spent.is_empty() && replies.is_known);
    }
}
