//! The card reader and the lamp outside.

use consult::identity::Prefill;
use consult::journey::{Help, Input, Step};
use drivers::fixtures::card_vitale::Wanted;
use drivers::fixtures::light_blink1::CabinState;
use drivers::fixtures::scanner_codes::{InsRefused, Scan};
use drivers::fixtures::{CardEvent, FixtureEvent, Message};

use ui::CodeTrouble;

use super::{Cabin, Front, Over};
use crate::drafts::{IdentityDraft, IdentityPage};

impl Cabin {
    pub(super) fn fixture(&mut self, message: Message) {
        match message.event {
            FixtureEvent::Card(event) if self.offers_card() => self.card(event),
            FixtureEvent::Scanned(scan) => self.scanned(&scan),
            FixtureEvent::Lost => tracing::warn!(fixture = message.fixture, "not there: check the cable"),
            FixtureEvent::Refused { remedy, .. } => {
                tracing::warn!(fixture = message.fixture, %remedy, "cannot be used")
            }
            FixtureEvent::Opened { .. } => tracing::info!(fixture = message.fixture, "open"),
            // The door and the radar wake the screen of the appliance; the journey needs neither.
            FixtureEvent::Card(_) | FixtureEvent::Door(_) | FixtureEvent::Presence(_) => {}
        }
    }

    fn card(&mut self, event: CardEvent) {
        // What was read stays on the screen when the card is taken out.
        if event != CardEvent::Removed {
            self.drafts.identity.card.said = Some(event);
        }
    }

    /// The patient is asked for a card: nothing is typed yet, and there is a reader.
    pub fn offers_card(&self) -> bool {
        let draft = &self.drafts.identity;
        matches!(self.journey.step(), Step::Identity)
            && draft.page == IdentityPage::BirthName
            && !draft.from_review
            && draft.birth_name.is_empty()
            && !draft.card.passed
            && self.fixtures.card_reader().is_some()
    }

    /// The patient types.
    pub fn type_instead(&mut self) {
        self.drafts.identity.card.passed = true;
        self.drafts.identity.card.said = None;
    }

    /// Fills the form with what the card says of one of those whom it covers. It suggests; the patient confirms.
    pub fn choose_card_holder(&mut self, index: usize) {
        let said = self.drafts.identity.card.said.take();
        let Some(CardEvent::Read(holders)) = said else { return };
        if let Some(holder) = holders.get(index) {
            self.prefill(&holder.prefill);
        }
        self.drafts.identity.card.passed = true;
    }

    /// A code was presented. It fills an empty form at once; what is written is replaced only if the patient says so.
    pub(super) fn scanned(&mut self, scan: &Scan) {
        let asks_who = matches!(self.journey.step(), Step::Identity) && self.journey.emergency().is_none();
        let answers = matches!(self.over, Over::Leave | Over::HangUp | Over::Languages);
        if !asks_who || self.front != Front::Patient || answers {
            return;
        }
        self.over = Over::Nothing;
        self.drafts.identity.scanned = None;
        match scan {
            Scan::Ins(prefill) => {
                self.input(Input::Touched);
                let written = &self.drafts.identity;
                if written.is_blank() {
                    self.prefill(prefill);
                } else if !written.says_the_same(&IdentityDraft::of_prefill(prefill)) {
                    self.drafts.identity.scanned = Some(prefill.clone());
                    self.over = Over::Replace;
                }
            }
            Scan::InsRefused(InsRefused::Block(_)) => self.over = Over::CodeRefused(CodeTrouble::Damaged),
            Scan::InsRefused(InsRefused::Version | InsRefused::Test) => {
                self.over = Over::CodeRefused(CodeTrouble::Elsewhere);
            }
            Scan::Gs1(_) | Scan::Gs1Refused(_) => self.over = Over::CodeRefused(CodeTrouble::Product),
            Scan::Unknown => self.over = Over::CodeRefused(CodeTrouble::Unknown),
        }
    }

    /// The code replaces what was written.
    pub fn take_scanned(&mut self) {
        self.over = Over::Nothing;
        if let Some(prefill) = self.drafts.identity.scanned.take() {
            self.prefill(&prefill);
        }
    }

    /// What was written stays.
    pub fn keep_written(&mut self) {
        self.over = Over::Nothing;
        self.drafts.identity.scanned = None;
    }

    fn prefill(&mut self, prefill: &Prefill) {
        self.drafts.identity = IdentityDraft::of_prefill(prefill);
    }

    /// What the fixtures are to do now: a card is looked for only while the patient is asked for it.
    pub(super) fn tend_fixtures(&mut self) {
        let wanted = self.offers_card();
        if wanted != self.card_wanted {
            self.card_wanted = wanted;
            if let Some(reader) = self.fixtures.card_reader() {
                if wanted {
                    reader.read(Wanted::default());
                } else {
                    reader.stop();
                }
            }
        }
        let shown = match (self.journey.step(), self.journey.help()) {
            (_, Help::Called { .. }) => CabinState::HelpCalled,
            (Step::Closed, _) => CabinState::Closed,
            _ if self.outbox_failed => CabinState::Fault,
            (Step::Welcome, _) => CabinState::Free,
            _ => CabinState::Occupied,
        };
        if self.lamp != Some(shown) {
            self.lamp = Some(shown);
            self.fixtures.show(shown);
        }
    }
}
