//! What the pharmacist said to specialists and the desk has not stored yet: kept in the outbox as letters, and said again
//! until the desk has it, whatever stops meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use outbox::{Client, LetterId};
use serde::{Deserialize, Serialize};
use signal::cabin::FromCabin;
use signal::second_opinion::{Step, What};
use signal::{ItemId, RefusalCode, Text};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Most replies that wait; above, what is written stays in its field.
pub const REPLIES_MAX: usize = 32;
/// Most that the desk does not have, for whatever reason; nothing is let go before somebody has read it.
const UNSENT_MAX: usize = 3 * REPLIES_MAX;
// And room for those that are being destroyed.
const _: () = assert!(UNSENT_MAX < outbox::LETTERS_MAX);
/// How soon the outbox is asked again to destroy a letter, where it is away.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What became of the last thing said about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for the desk.
    Waiting,
    /// The desk did not take it.
    Refused,
}

/// Why something is not kept: it stays in its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// [`REPLIES_MAX`] wait for the line.
    TooMany,
    /// The outbox is away or cannot keep it.
    Outbox,
}

/// A letter's content, as JSON.
#[derive(Serialize, Deserialize)]
struct Reply {
    /// The order in which they were written.
    number: u64,
    /// Whose request it is about: another operator's desk is told nothing of it.
    desk: String,
    request: ItemId,
    by: Text<128>,
    step: Step,
    /// The desk did not take it: it waits for whoever wrote it.
    refused: bool,
}

/// A reply that no request of this desk's list leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranded {
    /// Its letter.
    pub letter: LetterId,
    /// Who wrote it; empty where that cannot be read.
    pub by: String,
    /// What they wrote.
    pub words: String,
}

/// See the module.
pub struct Replies {
    outbox: Client,
    /// Destroys letters of no use any more, beside the screen.
    spend: mpsc::UnboundedSender<LetterId>,
    /// The desk that this cabin belongs to now.
    desk: Option<String>,
    /// The outbox has said what it keeps.
    is_known: bool,
    waiting: VecDeque<Reply>,
    refused: Vec<Reply>,
    /// What the disk, or this release, cannot read.
    unreadable: Vec<LetterId>,
}

impl Replies {
    /// What the outbox keeps, or none until [`Replies::tidy`] finds it there. Letters are destroyed by a task of this
    /// runtime, over a line of their own (`beside`): whoever touches the screen does not wait for that.
    pub fn new(outbox: Client, beside: Client, runtime: &Handle) -> Self {
        let (spend, spent) = mpsc::unbounded_channel();
        runtime.spawn(destroy(beside, spent));
        let mut replies = Self {
            outbox,
            spend,
            desk: None,
            is_known: false,
            waiting: VecDeque::new(),
            refused: Vec::new(),
            unreadable: Vec::new(),
        };
        replies.tidy();
        replies
    }

    /// From now on the cabin belongs to that desk: to it alone its own replies are said.
    pub fn belong_to(&mut self, desk: String) {
        self.desk = Some(desk);
    }

    /// Asks the outbox what it keeps, where it was away when the cabin started. True: something waits that was not known
    /// before.
    pub fn tidy(&mut self) -> bool {
        let Some(letters) = (!self.is_known).then(|| self.outbox.letters().ok()).flatten() else { return false };
        self.is_known = true;
        let mut replies = Vec::with_capacity(letters.len());
        for letter in letters {
            match serde_json::from_slice::<Reply>(&letter.content) {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    // The error itself may quote what was written.
                    let (kind, column) = (error.classify(), error.column());
                    tracing::error!(letter = %letter.id, ?kind, column, "a reply to a specialist is not understood");
                    self.unreadable.push(letter.id);
                }
            }
        }
        replies.sort_by_key(|reply| reply.number);
        let (refused, waiting): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.refused);
        (self.refused, self.waiting) = (refused, waiting.into());
        !self.waiting.is_empty()
    }

    /// Takes what is said about a request of the desk that the cabin belongs to.
    ///
    /// # Errors
    /// It is not kept, as far as is known. Said again with the same step it is kept once; given up, it is to be
    /// [`Replies::give_up`].
    pub fn push(&mut self, request: ItemId, by: Text<128>, step: Step) -> Result<(), NotKept> {
        self.tidy();
        let desk = self.desk.clone().filter(|_| self.is_known).ok_or(NotKept::Outbox)?;
        if self.waiting() >= REPLIES_MAX || self.unsent() >= UNSENT_MAX {
            return Err(NotKept::TooMany);
        }
        let numbers = self.waiting.iter().chain(&self.refused).map(|reply| reply.number);
        let reply = Reply { number: numbers.max().map_or(0, |last| last + 1), desk, request, by, step, refused: false };
        if !self.keep(&reply) {
            return Err(NotKept::Outbox);
        }
        self.read(&reply.request);
        self.waiting.push_back(reply);
        Ok(())
    }

    /// A step that was not kept is given up: the outbox may have it, where only its answer was lost.
    pub fn give_up(&self, step: &ItemId) {
        if let Some(letter) = named(step) {
            let _ = self.spend.send(letter);
        }
    }

    /// What is to be said now: one at a time, in order.
    pub fn next(&self) -> Option<FromCabin> {
        let Reply { request, by, step, .. } = self.waiting.iter().find(|reply| self.is_of_this_desk(reply))?;
        Some(FromCabin::SecondOpinionStep { request: request.clone(), by: by.clone(), step: step.clone() })
    }

    fn is_of_this_desk(&self, reply: &Reply) -> bool {
        self.desk.as_ref() == Some(&reply.desk)
    }

    /// The desk stored this step; false where it is none of these.
    pub fn stored(&mut self, step: &ItemId) -> bool {
        let taken = self.take(step);
        taken.inspect(|reply| self.spend(reply)).is_some()
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
        true
    }

    fn take(&mut self, step: &ItemId) -> Option<Reply> {
        let place = self.waiting.iter().position(|reply| reply.step.id == *step)?;
        self.waiting.remove(place)
    }

    /// What became of the last thing said about this request; `None`: the desk has it, or nothing was said.
    pub fn fate(&self, request: &ItemId) -> Option<Fate> {
        let of = |reply: &Reply| reply.request == *request && self.is_of_this_desk(reply);
        if self.waiting.iter().any(of) {
            Some(Fate::Waiting)
        } else {
            self.refused.iter().any(of).then_some(Fate::Refused)
        }
    }

    /// The words that the desk did not take, to be written anew.
    pub fn refused_words(&self, request: &ItemId) -> Option<String> {
        let of = self.refused.iter().filter(|reply| reply.request == *request && self.is_of_this_desk(reply));
        let words = of.filter_map(words).collect::<Vec<_>>().join("\n");
        (!words.is_empty()).then_some(words)
    }

    /// Replies to which none of these requests of the present desk leads: of another desk's, refused and no longer in the
    /// list, or unreadable. Whoever has read one lets it go with [`Replies::let_go`].
    /// Without a list none that it might lead to.
    pub fn stranded(&self, listed: Option<&[&ItemId]>) -> Vec<Stranded> {
        let all = self.waiting.iter().chain(&self.refused);
        let lost = all.filter(|reply| {
            let is_missing = listed.is_some_and(|listed| !listed.contains(&&reply.request));
            !self.is_of_this_desk(reply) || (reply.refused && is_missing)
        });
        let told = |reply: &Reply| {
            let (by, words) = (reply.by.as_str().to_owned(), words(reply).unwrap_or_default().to_owned());
            named(&reply.step.id).map(|letter| Stranded { letter, by, words })
        };
        let unreadable = |letter: &LetterId| Stranded { letter: *letter, by: String::new(), words: String::new() };
        lost.filter_map(told).chain(self.unreadable.iter().map(unreadable)).collect()
    }

    /// The pharmacist has read this one.
    pub fn let_go(&mut self, letter: LetterId) {
        let is_it = |reply: &Reply| named(&reply.step.id) == Some(letter);
        self.waiting.retain(|reply| !is_it(reply));
        self.refused.retain(|reply| !is_it(reply));
        self.unreadable.retain(|unreadable| *unreadable != letter);
        let _ = self.spend.send(letter);
    }

    /// How many wait for the present desk.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().filter(|reply| self.is_of_this_desk(reply)).count()
    }

    /// How many the desk does not have, for whatever reason.
    pub fn unsent(&self) -> usize {
        self.waiting.len() + self.refused.len() + self.unreadable.len()
    }

    /// The pharmacist has read the words about this request that were not taken.
    pub fn read(&mut self, request: &ItemId) {
        let (read, rest): (Vec<_>, Vec<_>) = self.refused.drain(..).partition(|reply| reply.request == *request);
        self.refused = rest;
        read.iter().for_each(|reply| self.spend(reply));
    }

    /// In the outbox, durable; false where it is not.
    fn keep(&self, reply: &Reply) -> bool {
        let Some(letter) = named(&reply.step.id) else { return false };
        let kept = serde_json::to_vec(reply).map(Zeroizing::new).map_err(|error| error.to_string());
        let kept =
            kept.and_then(|content| self.outbox.keep_letter(letter, &content).map_err(|error| error.to_string()));
        if let Err(error) = &kept {
            tracing::error!(error, "a reply to a specialist is not kept");
        }
        kept.is_ok()
    }

    fn spend(&self, reply: &Reply) {
        self.give_up(&reply.step.id);
    }
}

/// Destroys one letter after the other, each until it is. What is left when the cabin stops is said to the desk again, which
/// knows it by its name.
async fn destroy(outbox: Client, mut spent: mpsc::UnboundedReceiver<LetterId>) {
    while let Some(letter) = spent.recv().await {
        loop {
            let outbox = outbox.clone();
            let dropped = tokio::task::spawn_blocking(move || outbox.drop_letter(letter)).await;
            match dropped {
                Ok(Err(error)) if !matches!(error, outbox::Error::Refused(_)) => tokio::time::sleep(TRY_AGAIN).await,
                _ => break,
            }
        }
    }
}

/// What the pharmacist wrote.
fn words(reply: &Reply) -> Option<&str> {
    match &reply.step.what {
        What::Say { text } | What::Cancel { text } => Some(text.as_str()),
        _ => None,
    }
}

/// A step's letter has its name.
fn named(step: &ItemId) -> Option<LetterId> {
    Uuid::try_parse(step.as_str()).ok().map(LetterId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served_outbox::ServedOutbox;
    use outbox::Letter;

    const DESK: &str = "https://desk.example cabin-1";

    fn item(n: u8) -> ItemId {
        ItemId::new(format!("00000000-0000-4000-8000-0000000000{n:02}")).expect("a name")
    }

    fn said(n: u8, text: &str) -> Step {
        Step { id: item(n), what: What::Say { text: Text::cut(text) } }
    }

    fn by() -> Text<128> {
        Text::cut("Julie Roux")
    }

    fn started(outbox: &Client, desk: &str) -> Replies {
        let mut replies = Replies::new(outbox.clone(), outbox.clone(), &Handle::current());
        replies.belong_to(desk.to_owned());
        replies
    }

    fn next(replies: &Replies) -> (ItemId, Step) {
        let Some(FromCabin::SecondOpinionStep { request, step, .. }) = replies.next() else { panic!("one") };
        (request, step)
    }

    /// The letters of the outbox, once there are so many.
    async fn letters(outbox: &Client, count: usize) -> Vec<Letter> {
        loop {
            let letters = outbox.letters().expect("letters");
            if letters.len() == count {
                return letters;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_said_without_a_line_goes_once_and_in_order_when_it_is_back_whatever_stopped_meanwhile() {
        let served = ServedOutbox::away();
        let outbox = served.client();
        let mut replies = started(&outbox, DESK);
        let away = replies.push(item(1), by(), said(53, "Non, jamais."));
        assert_eq!(away, Err(NotKept::Outbox), "what cannot be kept stays in its field");
        served.come_back();
        // The names of the steps are in another order than they were said.
        for n in 1..=3 {
            assert_eq!(replies.push(item(n), by(), said(54 - n, "Non, jamais.")), Ok(()));
        }
        for n in 1..=3 {
            // Whatever is lost on the way, and whenever the cabin stops, the same is said again with the same name, until
            // the desk has it.
            for _ in 0..2 {
                assert_eq!(next(&replies), (item(n), said(54 - n, "Non, jamais.")));
                replies = started(&outbox, DESK);
            }
            assert_eq!(replies.waiting(), usize::from(4 - n));
            assert!(!replies.refused(&item(54 - n), RefusalCode::Stopping), "the desk is asked again later");
            assert_eq!((replies.fate(&item(n)), replies.fate(&item(9))), (Some(Fate::Waiting), None));
            assert!(replies.stored(&item(54 - n)) && !replies.stored(&item(54 - n)));
            letters(&outbox, usize::from(3 - n)).await;
            replies = started(&outbox, DESK);
        }
        assert_eq!((replies.unsent(), replies.next()), (0, None));
    }

    #[tokio::test]
    async fn what_the_desk_refuses_holds_up_nothing_and_its_words_can_be_written_anew_after_a_restart_too() {
        let served = ServedOutbox::away();
        let outbox = served.client();
        served.come_back();
        let mut replies = started(&outbox, DESK);
        replies.push(item(1), by(), said(51, "Trop tard.")).expect("kept");
        replies.push(item(2), by(), said(52, "Oui.")).expect("kept");
        assert!(replies.refused(&item(51), RefusalCode::OutOfOrder));
        for _ in 0..2 {
            assert_eq!(
                (replies.fate(&item(1)), replies.refused_words(&item(1))),
                (Some(Fate::Refused), Some("Trop tard.".to_owned()))
            );
            assert_eq!(next(&replies).0, item(2));
            replies = started(&outbox, DESK);
        }
        replies.read(&item(1));
        assert_eq!((replies.fate(&item(1)), replies.unsent()), (None, 1));
        // One that the records never take stands behind the others.
        replies.push(item(3), by(), said(53, "Trois.")).expect("kept");
        assert!(!replies.refused(&item(52), RefusalCode::Stopping));
        assert_eq!(next(&replies).0, item(3));
        assert!(replies.stored(&item(53)) && replies.waiting() == 1);
        for n in 60..60 + REPLIES_MAX as u8 - 1 {
            replies.push(item(3), by(), said(n, "x")).expect("kept");
        }
        let full = replies.push(item(4), by(), said(99, "x"));
        assert_eq!(full, Err(NotKept::TooMany), "what is written stays in its field");
        letters(&outbox, REPLIES_MAX).await;
        assert_eq!(started(&outbox, DESK).unsent(), REPLIES_MAX);
    }

    #[tokio::test]
    async fn another_operators_desk_is_told_nothing_and_the_pharmacist_reads_what_never_went() {
        let served = ServedOutbox::away();
        let outbox = served.client();
        served.come_back();
        let mut replies = started(&outbox, DESK);
        replies.push(item(1), by(), said(51, "Non.")).expect("kept");
        replies.push(item(2), by(), said(52, "Oui.")).expect("kept");
        assert!(replies.refused(&item(52), RefusalCode::OutOfOrder));
        // Of the present desk a refused one can be read in its request, for as long as that is listed.
        assert_eq!(replies.stranded(Some(&[&item(2)])), []);
        assert_eq!((replies.stranded(Some(&[])).len(), replies.stranded(None).len()), (1, 0));
        outbox.keep_letter(LetterId(Uuid::from_u128(7)), b"{\"words\":1}").expect("kept");

        let mut replies = started(&outbox, "https://other.example cabin-9");
        assert_eq!((replies.next(), replies.waiting(), replies.unsent()), (None, 0, 3));
        assert_eq!((replies.fate(&item(1)), replies.refused_words(&item(2))), (None, None));
        let stranded = replies.stranded(None);
        let told: Vec<_> = stranded.iter().map(|one| (one.by.as_str(), one.words.as_str())).collect();
        assert_eq!(told, [("Julie Roux", "Non."), ("Julie Roux", "Oui."), ("", "")]);
        stranded.iter().for_each(|one| replies.let_go(one.letter));
        assert_eq!(replies.unsent(), 0);
        letters(&outbox, 0).await;
    }

    #[tokio::test]
    async fn what_was_given_up_is_not_said_though_the_outbox_has_it() {
        let served = ServedOutbox::away();
        let outbox = served.client();
        served.come_back();
        let replies = started(&outbox, DESK);
        let lost =
            Reply { number: 0, desk: DESK.into(), request: item(1), by: by(), step: said(51, "Non."), refused: false };
        assert!(replies.keep(&lost), "its answer is lost");
        replies.give_up(&item(51));
        letters(&outbox, 0).await;
        assert_eq!(started(&outbox, DESK).next(), None);
    }
}
