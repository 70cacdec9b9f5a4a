//! The card reader and the lamp outside.

use consult::communes;
use consult::identity::Prefill;
use consult::journey::{Help, Step};
use drivers::fixtures::card_vitale::Wanted;
use drivers::fixtures::light_blink1::CabinState;
use drivers::fixtures::scanner_codes::Scan;
use drivers::fixtures::{CardEvent, FixtureEvent, Message};

use super::Cabin;
use crate::drafts::IdentityPage;
use crate::screens;

impl Cabin {
    pub(super) fn fixture(&mut self, message: Message) {
        match message.event {
            FixtureEvent::Card(event) if self.offers_card() => self.card(event),
            FixtureEvent::Scanned(Scan::Ins(prefill)) if matches!(self.journey.step(), Step::Identity) => {
                self.prefill(&prefill);
                self.drafts.identity.card.passed = true;
                self.drafts.identity.page = IdentityPage::BirthName;
            }
            FixtureEvent::Lost => tracing::warn!(fixture = message.fixture, "not there: check the cable"),
            FixtureEvent::Refused { remedy, .. } => {
                tracing::warn!(fixture = message.fixture, %remedy, "cannot be used")
            }
            FixtureEvent::Opened { .. } => tracing::info!(fixture = message.fixture, "open"),
            // The door and the radar wake the screen of the appliance; the journey needs neither.
            FixtureEvent::Card(_) | FixtureEvent::Scanned(_) | FixtureEvent::Door(_) | FixtureEvent::Presence(_) => {}
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

    fn prefill(&mut self, prefill: &Prefill) {
        let draft = &mut self.drafts.identity;
        draft.birth_name = prefill.birth_name().unwrap_or_default().to_owned();
        draft.given_names = prefill.given_names().unwrap_or_default().to_owned();
        if let Some((year, month, day)) = prefill.birth_date() {
            draft.birth_date = (day.unwrap_or(0), month.unwrap_or(0), year);
        }
        draft.sex = prefill.sex().or(draft.sex);
        if let Some(place) = prefill.birth_place().and_then(communes::by_code) {
            draft.place_search = place.name.to_owned();
            draft.place = Some(screens::patient::identity::found_place(&place));
        }
        if let Some(matricule) = prefill.matricule() {
            draft.matricule = matricule.to_owned();
        }
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
