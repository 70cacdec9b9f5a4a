//! The card reader and the lamp outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consult::identity::Prefill;
use consult::journey::{Help, Input, Step};
use drivers::fixtures::card_vitale::Wanted;
use drivers::fixtures::light_blink1::CabinState;
use drivers::fixtures::scanner_codes::{InsRefused, Scan};
use drivers::fixtures::{CardEvent, FixtureEvent, Message};

use media::Frame;
use ui::CodeTrouble;

use super::{Cabin, Event, Front, Over, post, with};
use crate::code_camera::{CodeCamera, CodeEvent, Looking};
use crate::drafts::{IdentityDraft, IdentityPage};
use crate::screens;

impl Cabin {
    pub(super) fn fixture(&mut self, message: Message) {
        self.room_changes(message.fixture, &message.event);
        self.fixture_health.heard(&message);
        match message.event {
            FixtureEvent::Card(event) if self.offers_card() => self.card(event),
            FixtureEvent::Scanned(scan) => self.scanned(&scan),
            FixtureEvent::Lost => tracing::warn!(fixture = message.fixture, "not there: check the cable"),
            FixtureEvent::Refused { remedy, .. } => {
                tracing::warn!(fixture = message.fixture, %remedy, "cannot be used")
            }
            FixtureEvent::Opened { .. } => tracing::info!(fixture = message.fixture, "open"),
            FixtureEvent::Card(_) | FixtureEvent::Door(_) | FixtureEvent::Presence(_) => {}
        }
    }

    fn card(&mut self, event: CardEvent) {
        // Whoever holds a code before the camera meanwhile is asked who it is for.
        if matches!(event, CardEvent::Read(_)) {
            self.close_code_camera();
        }
        // What was read stays on the screen when the card is taken out.
        if event != CardEvent::Removed {
            self.drafts.identity.card.said = Some(event);
        }
    }

    /// The patient is asked for a card: nothing is typed yet, and there is a reader.
    pub fn offers_card(&self) -> bool {
        self.offers_not_to_type() && self.fixtures.card_reader().is_some()
    }

    /// Nothing is typed yet, and something may spare it: a card, or a code shown to a camera.
    pub fn offers_not_to_type(&self) -> bool {
        let draft = &self.drafts.identity;
        matches!(self.journey.step(), Step::Identity)
            && draft.page == IdentityPage::BirthName
            && !draft.from_review
            && draft.birth_name.is_empty()
            && !draft.card.passed
            && (self.fixtures.card_reader().is_some() || self.settings.code_camera.is_some())
    }

    /// Opens the camera: the patient wants to show a code to it.
    pub fn show_code_to_camera(&mut self) {
        let Some(setting) = self.settings.code_camera.clone().filter(|_| self.offers_not_to_type()) else { return };
        self.close_code_camera();
        self.codes_shown += 1;
        let number = self.codes_shown;
        let show = move |frame: Option<Frame>, busy: Arc<AtomicBool>| {
            let shown = slint::invoke_from_event_loop(move || {
                with(|cabin| {
                    // A picture that was on its way when the camera was closed is nobody's.
                    if cabin.code_camera.is_some() {
                        screens::patient::identity::show_picture(&cabin.app, frame.as_ref());
                    }
                });
                busy.store(false, Ordering::Release);
            });
            // The screen has stopped.
            shown.ok();
        };
        let events = move |event| post(Event::Code(number, event));
        (self.drafts.identity.code_unseen, self.drafts.identity.code_trouble) = (false, None);
        match CodeCamera::open(setting, &self.runtime, events, show) {
            Ok(camera) => self.code_camera = Some(camera),
            Err(error) => tracing::error!(%error, "the camera for codes cannot be opened"),
        }
    }

    /// Closes it, and takes its picture off the screen. True if it was open.
    pub fn close_code_camera(&mut self) -> bool {
        let was_open = self.code_camera.take().is_some();
        if was_open {
            screens::patient::identity::show_picture(&self.app, None);
        }
        was_open
    }

    pub(super) fn code_event(&mut self, event: CodeEvent) {
        let Some(camera) = &mut self.code_camera else { return };
        match event {
            CodeEvent::Opened => camera.looking = Looking::Open,
            CodeEvent::Gone(why) => {
                tracing::warn!(why, "the camera for codes cannot be used");
                camera.looking = Looking::Gone;
            }
            CodeEvent::Scanned(scan) => match trouble(&scan) {
                None => {
                    self.close_code_camera();
                    self.scanned(&scan);
                }
                trouble => self.drafts.identity.code_trouble = trouble,
            },
            CodeEvent::Unseen => {
                self.close_code_camera();
                self.drafts.identity.code_unseen = true;
            }
        }
    }

    /// The patient types.
    pub fn type_instead(&mut self) {
        self.close_code_camera();
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

    /// A code was presented. It fills an empty form at once, or another card's; what the patient wrote is replaced only if the patient says so.
    pub(super) fn scanned(&mut self, scan: &Scan) {
        let asks_who = matches!(self.journey.step(), Step::Identity) && self.journey.emergency().is_none();
        let answers = matches!(self.over, Over::Leave | Over::HangUp | Over::Languages);
        if !asks_who || self.front != Front::Patient || answers {
            return;
        }
        self.over = Over::Nothing;
        self.drafts.identity.scanned = None;
        self.close_code_camera();
        match scan {
            Scan::Ins(prefill) => {
                self.input(Input::Touched);
                let written = &self.drafts.identity;
                if written.is_nobodys_work() {
                    self.prefill(prefill);
                } else if !written.says_the_same(&IdentityDraft::of_prefill(prefill)) {
                    self.drafts.identity.scanned = Some(prefill.clone());
                    self.over = Over::Replace;
                }
            }
            other => self.over = trouble(other).map_or(Over::Nothing, Over::CodeRefused),
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
        let is_shown = self.front == Front::Patient && self.journey.emergency().is_none();
        if !(is_shown && self.offers_not_to_type()) {
            self.close_code_camera();
        }
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

/// Why a code fills in nothing; `None`: it names somebody.
fn trouble(scan: &Scan) -> Option<CodeTrouble> {
    match scan {
        Scan::Ins(_) => None,
        Scan::InsRefused(InsRefused::Block(_)) => Some(CodeTrouble::Damaged),
        Scan::InsRefused(InsRefused::Version | InsRefused::Test) => Some(CodeTrouble::Elsewhere),
        Scan::Gs1(_) | Scan::Gs1Refused(_) => Some(CodeTrouble::Product),
        Scan::Unknown => Some(CodeTrouble::Unknown),
    }
}
