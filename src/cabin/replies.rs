//! What the pharmacist said to specialists and the desk has not stored yet: kept, and said again until it has.
//!
//! It is kept in this program's memory alone: it is about a patient, and a key with which this program could read it again
//! after a restart would lie beside it. What a stop of the cabin loses is known afterwards by the names of the requests,
//! and the pharmacist is told to write it anew.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use signal::cabin::FromCabin;
use signal::second_opinion::{Step, What};
use signal::{ItemId, RefusalCode, Text};
use wiring::file::{Owner, put};

/// Most replies that wait; above, what is written stays in its field.
pub const REPLIES_MAX: usize = 32;

/// What became of the last thing said about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for the desk.
    Waiting,
    /// The desk did not take it.
    Refused,
    /// It waited when the cabin stopped.
    Lost,
}

struct Reply {
    request: ItemId,
    by: Text<128>,
    step: Step,
}

/// See the module.
pub struct Replies {
    folder: PathBuf,
    file: PathBuf,
    waiting: VecDeque<Reply>,
    refused: Vec<Reply>,
    lost: Vec<ItemId>,
}

impl Replies {
    /// None yet, but for those that a stop lost.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join("replies-not-sent");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lost = text.lines().take(REPLIES_MAX).filter_map(|line| ItemId::new(line).ok()).collect();
        Self { folder: folder.to_owned(), file, waiting: VecDeque::new(), refused: Vec::new(), lost }
    }

    /// Takes what is said about a request; false when too many wait.
    pub fn push(&mut self, request: ItemId, by: Text<128>, step: Step) -> bool {
        if self.waiting.len() >= REPLIES_MAX {
            return false;
        }
        self.refused.retain(|reply| reply.request != request);
        self.lost.retain(|lost| *lost != request);
        self.waiting.push_back(Reply { request, by, step });
        self.keep();
        true
    }

    /// What is to be said now: one at a time, in order.
    pub fn next(&self) -> Option<FromCabin> {
        let Reply { request, by, step } = self.waiting.front()?;
        Some(FromCabin::SecondOpinionStep { request: request.clone(), by: by.clone(), step: step.clone() })
    }

    /// The desk stored this step; false where it is none of these.
    pub fn stored(&mut self, step: &ItemId) -> bool {
        self.take(step).is_some()
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
        let taken = self.take(step);
        self.refused.extend(taken);
        let oldest = self.refused.len().saturating_sub(REPLIES_MAX);
        self.refused.drain(..oldest);
        self.keep();
        true
    }

    fn take(&mut self, step: &ItemId) -> Option<Reply> {
        let place = self.waiting.iter().position(|reply| reply.step.id == *step)?;
        let taken = self.waiting.remove(place);
        self.keep();
        taken
    }

    /// What became of the last thing said about this request; `None`: the desk has it, or nothing was said.
    pub fn fate(&self, request: &ItemId) -> Option<Fate> {
        let of = |reply: &Reply| reply.request == *request;
        if self.waiting.iter().any(of) {
            Some(Fate::Waiting)
        } else if self.refused.iter().any(of) {
            Some(Fate::Refused)
        } else {
            self.lost.contains(request).then_some(Fate::Lost)
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

    /// How many a stop of the cabin lost.
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// How many the desk does not have, for whatever reason.
    pub fn unsent(&self) -> usize {
        self.waiting.len() + self.refused.len() + self.lost.len()
    }

    /// The pharmacist has read the words about this request that were not taken.
    pub fn read(&mut self, request: &ItemId) {
        self.refused.retain(|reply| reply.request != *request);
        self.keep();
    }

    /// The pharmacist has read which ones a stop lost.
    pub fn lost_are_read(&mut self) {
        self.lost.clear();
        self.keep();
    }

    /// Keeps the names of the requests, and nothing that was said.
    fn keep(&self) {
        let replies = self.waiting.iter().chain(&self.refused).map(|reply| &reply.request);
        let names: String = replies.chain(&self.lost).map(|request| format!("{request}\n")).collect();
        let kept = match names.is_empty() {
            true => std::fs::remove_file(&self.file),
            // Whole or as before, whenever the power goes.
            false => Owner::of(&self.folder).and_then(|owner| put(&self.file, names.as_bytes(), 0o600, owner)),
        };
        if let Err(error) = kept
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "a restart would not know which replies were not sent: is the disk full?");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test's own.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("replies-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn named(n: u8) -> ItemId {
        ItemId::new(format!("00000000-0000-4000-8000-0000000000{n:02}")).expect("a name")
    }

    fn said(n: u8, text: &str) -> Step {
        Step { id: named(50 + n), what: What::Say { text: Text::cut(text) } }
    }

    #[test]
    fn what_is_said_without_a_line_goes_once_and_in_order_when_it_is_back_and_a_restart_says_what_it_lost() {
        let folder = folder("order");
        let mut replies = Replies::open(&folder);
        let by = || Text::cut("Julie Roux");
        for n in 1..=3 {
            assert!(replies.push(named(n), by(), said(n, "Non, jamais.")));
        }
        // Whatever is lost on the way, the same is said again with the same name, until the desk has it.
        for n in 1..=3 {
            for _ in 0..2 {
                let Some(FromCabin::SecondOpinionStep { request, step, .. }) = replies.next() else { panic!("one") };
                assert_eq!((request, step.id), (named(n), named(50 + n)));
            }
            if n < 3 {
                assert!(replies.stored(&named(50 + n)) && !replies.stored(&named(50 + n)));
            }
        }
        assert!(!replies.refused(&named(53), RefusalCode::Stopping), "the desk is asked again later");
        assert_eq!((replies.fate(&named(1)), replies.fate(&named(3))), (None, Some(Fate::Waiting)));

        // Nothing that was said is on the disk; after a stop the pharmacist is told of what it was about.
        let kept = std::fs::read_to_string(folder.join("replies-not-sent")).expect("kept");
        assert_eq!(kept, format!("{}\n", named(3)));
        let mut again = Replies::open(&folder);
        assert_eq!((again.fate(&named(3)), again.lost(), again.waiting()), (Some(Fate::Lost), 1, 0));
        assert_eq!(again.next(), None);
        assert!(again.push(named(3), by(), said(4, "Non.")) && again.lost() == 0);
        assert!(again.stored(&named(54)));
        assert_eq!(Replies::open(&folder).unsent(), 0);
        std::fs::remove_dir_all(&folder).expect("gone");
    }

    #[test]
    fn what_the_desk_refuses_holds_up_nothing_and_its_words_can_be_written_anew() {
        let folder = folder("refused");
        let mut replies = Replies::open(&folder);
        replies.push(named(1), Text::cut("Julie Roux"), said(1, "Trop tard."));
        replies.push(named(2), Text::cut("Julie Roux"), said(2, "Oui."));
        assert!(replies.refused(&named(51), RefusalCode::OutOfOrder));
        assert_eq!(
            (replies.fate(&named(1)), replies.refused_words(&named(1))),
            (Some(Fate::Refused), Some("Trop tard.".to_owned()))
        );
        assert!(matches!(replies.next(), Some(FromCabin::SecondOpinionStep { request, .. }) if request == named(2)));
        replies.read(&named(1));
        assert_eq!((replies.fate(&named(1)), replies.unsent()), (None, 1));
        // One that the records never take stands behind the others.
        replies.push(named(3), Text::cut("Julie Roux"), said(3, "Trois."));
        assert!(!replies.refused(&named(52), RefusalCode::Stopping));
        assert!(matches!(replies.next(), Some(FromCabin::SecondOpinionStep { request, .. }) if request == named(3)));
        assert!(replies.stored(&named(53)) && replies.waiting() == 1);
        for n in 1..REPLIES_MAX {
            replies.push(named(3), Text::cut("x"), said(3, &n.to_string()));
        }
        assert!(!replies.push(named(4), Text::cut("x"), said(4, "x")), "what is written stays in its field");
        std::fs::remove_dir_all(&folder).expect("gone");
    }
}
