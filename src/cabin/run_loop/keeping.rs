//! Answers into the journal before they count, and what waits while the outbox is away.

use std::path::Path;

use consult::journey::{Act, Effect, Input, Journey, Step};
use consult::vitals::{Moment, Value};
use outbox::BlobId;
use wiring::file::{Owner, put};

use super::Cabin;
use crate::drafts::Drafts;
use crate::journal;

/// Inputs that may wait for an outbox that is away. Readings and the physician's words come back by themselves; a
/// patient who cannot go on touches again.
const UNSAVED_MAX: usize = 64;
/// The outbox has said so often, one after the other, that it has not this patient's consultation.
const OTHERS_OPEN_MIN: u8 = 2;
/// Touches that are obeyed before they are kept (help, emergency) may wait for an outbox that is away, up to this.
pub(super) const OWED_MAX: usize = 64;

/// The outbox has more of the journal than this program knows.
pub(super) fn is_behind(error: &outbox::Error) -> bool {
    matches!(error, outbox::Error::Refused(refused) if refused.refusal == outbox::Refusal::OutOfOrder)
}

/// The outbox has a consultation open when another one is to begin.
pub(super) fn is_open_already(error: &outbox::Error) -> bool {
    matches!(error, outbox::Error::Refused(refused) if refused.refusal == outbox::Refusal::AlreadyOpen)
}

/// How the outbox is, and whether it is the one that this cabin knows; `None` when it does not answer.
pub(super) fn status(outbox: &outbox::Client, data_dir: &Path) -> Option<outbox::Status> {
    let mut status = outbox.status().ok()?;
    outbox::known::look(data_dir, &mut status);
    if is_replaced(&status) {
        return Some(status);
    }
    let kept = outbox::known::first(data_dir, &status).and_then(|first| match first {
        Some(name) => put(&outbox::known::file(data_dir), name.as_bytes(), 0o600, Owner::of(data_dir)?),
        None => Ok(()),
    });
    if let Err(error) = kept {
        tracing::warn!(%error, "another outbox in place of this one would not be noticed");
    }
    Some(status)
}

/// What the clock says, and will say again.
fn is_of_time(input: &Input) -> bool {
    matches!(
        input,
        Input::InactivityWarned
            | Input::WalkedAway
            | Input::HelpUnanswered
            | Input::ReceiptShown
            | Input::StoringRetried
            | Input::PresentationReset
            | Input::RecordSealed
            | Input::RecordNotSealed
            | Input::RecordKeptAside
    )
}

fn is_replaced(status: &outbox::Status) -> bool {
    status.faults.iter().any(|fault| fault.code == outbox::FaultCode::Replaced)
}

/// The names in the outbox of what was recorded and is kept, or in front of the patient.
fn recordings(journey: &Journey) -> Vec<[u8; 16]> {
    let kept = journey.dossier().into_iter().flat_map(|dossier| &dossier.kept).flat_map(|kept| &kept.readings);
    let shown = match journey.guided().map(|guided| &guided.act) {
        Some(Act::Review { readings }) => readings.as_slice(),
        _ => &[],
    };
    let blob = |value| if let Value::Recording(recording) = value { Some(recording.blob) } else { None };
    kept.chain(shown).filter_map(|reading| blob(reading.value)).collect()
}

/// What must never wait for a disk: reaching a person. It is written as soon as the outbox is back.
pub(super) fn is_obeyed_at_once(input: &Input) -> bool {
    matches!(
        input,
        Input::HelpAsked
            | Input::HelpAnswered
            | Input::HelpDone
            | Input::EmergencyAsked
            | Input::EmergencyClosed
            | Input::SignedIn(_)
            | Input::WarningSignAnswered { present: true, .. }
    )
}

impl Cabin {
    /// Writes what is owed, then this input. Says whether there was anything to write: most touches write nothing, and
    /// what writes nothing never waits for the outbox.
    pub(super) fn keep(
        &mut self,
        effects: &[Effect],
        input: &Input,
        at: Moment,
        next: &Journey,
    ) -> Result<bool, outbox::Error> {
        let opens = effects.iter().any(|effect| matches!(effect, Effect::OpenJournal { .. }));
        let writes = opens || (input.is_journalled() && next.dossier().is_some());
        if !writes {
            return Ok(false);
        }
        if self.sealing {
            // Its journal closes at any moment: what is said now is written if it does not.
            if self.owed.len() < OWED_MAX {
                self.owed.push_back((at, input.clone()));
            }
            return Ok(false);
        }
        self.pay()?;
        journal::write(&self.outbox, effects, input, at, next)?;
        Ok(true)
    }

    /// An entry was written and its answer lost: the journal is ahead of this program, and is right.
    pub(super) fn take_journal_again(&mut self) -> bool {
        let Ok(Some(journey)) = journal::read_back(&self.outbox, &self.settings) else { return false };
        tracing::warn!("the journal was ahead of the screen, which follows it");
        self.owed.clear();
        self.touched_unkept = None;
        self.journey = journey;
        let up = self.desk.up;
        self.input(Input::Restarted);
        self.input(if up { Input::NetworkBack } else { Input::NetworkLost });
        true
    }

    fn pay(&mut self) -> Result<(), outbox::Error> {
        if self.sealing {
            return Ok(());
        }
        while let Some((at, input)) = self.owed.front() {
            journal::append(&self.outbox, input, *at)?;
            self.owed.pop_front();
        }
        Ok(())
    }

    /// A recording that is taken again or not kept is of no use to anybody: its room in the outbox is for others.
    pub(super) fn drop_unnamed(&self, before: &Journey) {
        // What is sealed or forgotten is destroyed with its key.
        if self.journey.dossier().is_none() || matches!(self.journey.step(), Step::Storing { .. }) {
            return;
        }
        let named = recordings(&self.journey);
        for blob in recordings(before).into_iter().filter(|blob| !named.contains(blob)) {
            self.drop_recording(BlobId(uuid::Uuid::from_bytes(blob)));
        }
    }

    pub(super) fn drop_recording(&self, blob: BlobId) {
        let outbox = self.outbox.clone();
        self.runtime.spawn_blocking(move || {
            if let Err(error) = outbox.drop_blob(blob) {
                tracing::warn!(%error, "a recording that is of no use any more keeps its room until the end");
            }
        });
    }

    pub(super) fn outbox_fails(&mut self) {
        if !self.outbox_failed {
            self.outbox_failed = true;
            if self.journey.dossier().is_some() {
                crate::bell::ring(crate::bell::Loudness::Loud);
            }
        }
    }

    /// Whether a patient is there whose consultation is not the outbox's open one: said twice, for one may begin or end
    /// while it is asked.
    fn has_another_open(&mut self, status: &outbox::Status) -> bool {
        let handed_over = self.sealing || matches!(self.journey.step(), Step::Storing { .. } | Step::ComeBack);
        let id = self.consultation().filter(|_| !handed_over);
        let is_another = id.is_some_and(|id| status.open.is_none_or(|open| *open.0.as_bytes() != id.0));
        self.others_open = if is_another { self.others_open.saturating_add(1) } else { 0 };
        self.others_open >= OTHERS_OPEN_MIN
    }

    /// Whether the outbox answers without this patient's consultation.
    pub(crate) fn is_lost(&self) -> bool {
        self.others_open >= OTHERS_OPEN_MIN
    }

    /// How the outbox is was asked.
    pub(super) fn outbox_is(&mut self, status: Option<outbox::Status>) {
        match &status {
            None => self.outbox_fails(),
            // Nothing of this patient is in that one, nor can be: the former one's folder is to come back.
            Some(status) if self.has_another_open(status) => self.outbox_fails(),
            Some(_) if self.pay().is_ok() => {
                self.outbox_failed = false;
                // Behind what came meanwhile, and refused where the journal has it already.
                if self.unsaved.is_empty()
                    && let Some(touched) = self.touched_unkept.take()
                {
                    self.input(touched);
                }
            }
            Some(_) => {}
        }
        if status.is_some() && self.replies.tidy() {
            self.send_reply();
        }
        self.outbox_status = status;
    }

    /// The outbox is away: what the world says is kept for later, and the one touch that found it away; time comes again.
    pub(super) fn keep_unsaved(&mut self, input: Input) -> bool {
        let comes_back = matches!(
            input,
            Input::ReadingsTaken { .. }
                | Input::MeasuringFailed { .. }
                | Input::DeviceLost(_)
                | Input::DeviceBack(_)
                | Input::NetworkLost
                | Input::NetworkBack
                | Input::CallConnected
                | Input::CallInterrupted
                | Input::CallResumed
                | Input::CallEnded(_)
                | Input::PhysicianWithdrawn
        );
        if comes_back && self.unsaved.len() < UNSAVED_MAX {
            self.unsaved.push_back(input);
        } else if !comes_back && !is_of_time(&input) && self.journey.dossier().is_some() {
            self.touched_unkept = Some(input);
        }
        false
    }

    /// The outbox was away when the program started: a consultation may still be waiting there.
    pub(super) fn ask_for_journal(&mut self) {
        let Ok(found) = journal::read_back(&self.outbox, &self.settings) else { return };
        self.journal_known = true;
        self.outbox_failed = false;
        if let Some(journey) = found.filter(|_| self.journey.dossier().is_none()) {
            let up = self.desk.up;
            self.drafts = journey.dossier().map(Drafts::of).unwrap_or_default();
            self.journey = journey;
            self.input(Input::Restarted);
            self.input(if up { Input::NetworkBack } else { Input::NetworkLost });
        }
    }
}
