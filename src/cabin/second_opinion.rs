//! A request for a second opinion while it is written, one thing after the other; and what the desk told of former ones.

use std::time::Instant;

use consult::physician::Rpps;
use consult::private::PrivateText;
use consult::second_opinion::{
    CONTEXT_CHARS_MAX, DETAIL_CHARS_MAX, Detail, Field, HalfWritten, Profession, QUESTION_CHARS_MAX,
    REQUESTER_CHARS_MAX, Requester, SecondOpinion, Specialty,
};
use signal::cabin::FromDesk;
use signal::second_opinion::{CabinLine, Opinion};
use signal::{ItemId, Text};
use zeroize::Zeroizing;

use crate::documents::papers::UnderWay;
use crate::replies::NotKept;

/// Digits and spaces of an RPPS number as typed, most.
const RPPS_CHARS_MAX: usize = 16;
/// Longest answer to a specialist, characters.
pub const REPLY_CHARS_MAX: usize = 900;

/// One screen of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Which specialty.
    Specialty,
    /// One thing that is written.
    Text(Ask),
    /// What else is measured and taken for the specialist.
    Pictures,
    /// Consent, who asks, how soon; then it goes.
    Consent,
}

/// What is written on one screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The question.
    Question,
    /// The context.
    Context,
    /// What the specialty wants to know.
    Field(Field),
    /// Who asks.
    Name,
    /// Their number.
    Rpps,
}

/// How soon an answer is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Before others, tomorrow.
    First,
    /// In four days.
    Usual,
    /// In seven.
    Week,
}

/// What is asked of every specialty beside its own fields.
const COMMON: [Field; 3] = [Field::History, Field::Treatments, Field::Allergies];

/// The request, as far as it is written. It is the patient's: dropped with the other drafts.
#[derive(Clone)]
pub struct OpinionDraft {
    /// In front.
    pub page: Page,
    /// Chosen.
    pub specialty: Option<Specialty>,
    /// The one who asks.
    pub profession: Profession,
    /// Chosen.
    pub delay: Delay,
    /// Answered by the patient.
    pub consent: Option<bool>,
    question: String,
    context: String,
    details: Vec<(Field, String)>,
    name: String,
    rpps: String,
}

impl std::fmt::Debug for OpinionDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpinionDraft([patient])")
    }
}

impl OpinionDraft {
    /// Nothing is written yet but who signed in.
    pub fn new(pharmacist: &str) -> Self {
        Self {
            page: Page::Specialty,
            specialty: None,
            profession: Profession::Pharmacist,
            delay: Delay::Usual,
            consent: None,
            question: String::new(),
            context: String::new(),
            details: Vec::new(),
            name: pharmacist.chars().take(REQUESTER_CHARS_MAX).collect(),
            rpps: String::new(),
        }
    }

    /// With what was written before: of a request that was left, or that a stop of the cabin broke off.
    pub fn begun(pharmacist: &str, written: &HalfWritten) -> Self {
        let detail = |said: &Detail| (said.field, said.text.reveal().to_owned());
        Self {
            specialty: Some(written.specialty),
            profession: written.profession,
            question: written.question.reveal().to_owned(),
            context: written.context.reveal().to_owned(),
            details: written.details.iter().map(detail).collect(),
            ..Self::new(pharmacist)
        }
    }

    /// What is to be kept of it; `None` before a specialty is chosen.
    pub fn half_written(&self) -> Option<HalfWritten> {
        let details = self.details.iter().filter(|(_, text)| !text.trim().is_empty());
        let details = details.map(|(field, text)| Some(Detail { field: *field, text: PrivateText::new(text).ok()? }));
        Some(HalfWritten {
            specialty: self.specialty?,
            question: PrivateText::new(&self.question).ok()?,
            context: PrivateText::new(&self.context).ok()?,
            details: details.collect::<Option<Vec<_>>>()?,
            profession: self.profession,
        })
    }

    /// The screens of the specialty chosen, in order.
    pub fn pages(&self) -> Vec<Page> {
        let own = self.specialty.map_or(&[][..], Specialty::fields).iter().map(|(field, _)| *field);
        let fields = own.chain(COMMON).map(|field| Page::Text(Ask::Field(field)));
        let mut pages = vec![Page::Specialty, Page::Text(Ask::Question), Page::Text(Ask::Context)];
        pages.extend(fields);
        pages.extend([Page::Pictures, Page::Text(Ask::Name), Page::Text(Ask::Rpps), Page::Consent]);
        pages
    }

    /// Place of the page in front among those that are written, from 1, and how many these are.
    pub fn place(&self) -> (usize, usize) {
        let pages = self.pages();
        let place = pages.iter().position(|page| *page == self.page).unwrap_or(0);
        (place, pages.len().saturating_sub(2))
    }

    /// What is written of this.
    pub fn text(&self, ask: Ask) -> &str {
        match ask {
            Ask::Question => &self.question,
            Ask::Context => &self.context,
            Ask::Name => &self.name,
            Ask::Rpps => &self.rpps,
            Ask::Field(field) => self.details.iter().find(|(said, _)| *said == field).map_or("", |(_, text)| text),
        }
    }

    /// Writes it, cut to what the dossier takes.
    pub fn write(&mut self, ask: Ask, text: &str) {
        let cut = |most: usize| text.chars().take(most).collect::<String>();
        match ask {
            Ask::Question => self.question = cut(QUESTION_CHARS_MAX),
            Ask::Context => self.context = cut(CONTEXT_CHARS_MAX),
            Ask::Name => self.name = cut(REQUESTER_CHARS_MAX),
            Ask::Rpps => self.rpps = cut(RPPS_CHARS_MAX),
            Ask::Field(field) => {
                self.details.retain(|(said, _)| *said != field);
                self.details.push((field, cut(DETAIL_CHARS_MAX)));
            }
        }
    }

    /// Whether it may be left empty.
    pub fn is_optional(&self, ask: Ask) -> bool {
        let must = |field| self.specialty.is_some_and(|of| of.fields().contains(&(field, true)));
        matches!(ask, Ask::Field(field) if !must(field))
    }

    /// Whether the page in front may be left forwards.
    pub fn is_answered(&self) -> bool {
        match self.page {
            Page::Specialty => self.specialty.is_some(),
            Page::Pictures => true,
            Page::Text(Ask::Rpps) => self.number().is_some(),
            Page::Text(ask) => self.is_optional(ask) || !self.text(ask).trim().is_empty(),
            Page::Consent => self.finished().is_some(),
        }
    }

    /// On to the next page; false at the last, and where this one lacks an answer.
    pub fn forward(&mut self) -> bool {
        self.turn(|place| place.checked_add(1)).filter(|_| self.is_answered()).map(|page| self.page = page).is_some()
    }

    /// Back to the page before; false at the first.
    pub fn back(&mut self) -> bool {
        self.turn(|place| place.checked_sub(1)).map(|page| self.page = page).is_some()
    }

    fn turn(&self, to: impl FnOnce(usize) -> Option<usize>) -> Option<Page> {
        let pages = self.pages();
        let place = pages.iter().position(|page| *page == self.page)?;
        pages.get(to(place)?).copied()
    }

    fn number(&self) -> Option<Rpps> {
        let digits: String = self.rpps.chars().filter(|c| !c.is_whitespace()).collect();
        Rpps::parse(&digits).ok()
    }

    /// The request, once nothing is missing.
    pub fn finished(&self) -> Option<SecondOpinion> {
        let specialty = self.specialty?;
        let (urgent, wanted_days) = match self.delay {
            Delay::First => (true, 1),
            Delay::Usual => (false, 4),
            Delay::Week => (false, 7),
        };
        // Of a specialty that was left again nothing goes.
        let asked = self.pages();
        let details = self
            .details
            .iter()
            .filter(|(field, text)| !text.trim().is_empty() && asked.contains(&Page::Text(Ask::Field(*field))));
        let details = details.map(|(field, text)| Some(Detail { field: *field, text: PrivateText::new(text).ok()? }));
        let opinion = SecondOpinion {
            specialty,
            question: PrivateText::new(self.question.trim()).ok()?,
            context: PrivateText::new(self.context.trim()).ok()?,
            urgent,
            wanted_days,
            details: details.collect::<Option<Vec<_>>>()?,
            requester: Requester {
                profession: self.profession,
                name: self.name.trim().to_owned(),
                rpps: self.number()?,
            },
            consent: self.consent == Some(true),
        };
        opinion.missing().is_none().then_some(opinion)
    }
}

/// What the pharmacist reads of former requests: told by the desk, shown, kept no longer than it is in front.
#[derive(Default)]
pub struct Opinions {
    /// The desk has answered; `None`: it is asked.
    pub lines: Option<Vec<CabinLine>>,
    /// The one that is read.
    pub read: Option<(CabinLine, Box<Opinion>)>,
    /// The desk does not answer, or refused.
    pub failed: bool,
    /// Something was told: it went through the line to the desk.
    pub heard: bool,
    /// What is being written to the specialist.
    pub reply: String,
    /// What is written could not be kept: the name of its step, why, and whether it takes the request back.
    pub not_kept: Option<(ItemId, NotKept, bool)>,
    /// When a reply that strands was let go last.
    pub let_go_at: Option<Instant>,
    /// The request whose refused words stand in `reply`.
    pub reread: Option<ItemId>,
    /// The usual doctor to whom the answer may go.
    pub letter_to: Option<Text<256>>,
    /// The answer, on its way to paper.
    pub printing: Printing,
}

/// How far the printing of an answer is.
#[derive(Default)]
pub enum Printing {
    /// Nobody asked.
    #[default]
    Not,
    /// The report is fetched, or all of it prints. Whoever closes the request ends it.
    UnderWay {
        /// What is to be printed, complete.
        papers: Vec<Zeroizing<Vec<u8>>>,
        /// The report, as far as it came.
        report: Zeroizing<Vec<u8>>,
        /// The printer has it.
        job: Option<UnderWay>,
    },
    /// On paper.
    Printed,
    /// Not, or not all of it.
    Failed,
}

impl Opinions {
    /// Takes what the desk said; false of anything else.
    pub fn take(&mut self, said: FromDesk) -> bool {
        match said {
            FromDesk::SecondOpinions { lines } => (self.lines, self.failed) = (Some(lines), false),
            FromDesk::SecondOpinion { patient, opinion, letter_to } => {
                if self.read.as_ref().is_none_or(|(line, _)| line.id != patient.id) {
                    self.printing = Printing::Not;
                }
                self.failed = false;
                self.letter_to = letter_to;
                self.read = Some((patient, opinion));
            }
            // It asked for nothing else while these were in front.
            FromDesk::Error { .. } => {
                self.failed = true;
                if matches!(self.printing, Printing::UnderWay { job: None, .. }) {
                    self.printing = Printing::Failed;
                }
            }
            _ => return false,
        }
        self.heard = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(specialty: Specialty) -> OpinionDraft {
        let mut draft = OpinionDraft::new("Mme Lefèvre");
        assert!(!draft.forward(), "no specialty yet");
        draft.specialty = Some(specialty);
        draft.consent = Some(true);
        while draft.forward() {
            if let Page::Text(ask) = draft.page {
                let optional = draft.is_optional(ask);
                assert_eq!(draft.is_answered(), optional || ask == Ask::Name, "{ask:?}");
                if !optional && ask != Ask::Name {
                    draft.write(ask, if ask == Ask::Rpps { "1000123 4565" } else { "dit" });
                }
            }
        }
        draft
    }

    #[test]
    fn a_request_is_written_page_by_page_for_every_specialty_and_lacks_nothing_at_its_end() {
        for specialty in Specialty::ALL {
            let draft = written(specialty);
            assert_eq!(draft.page, Page::Consent);
            let opinion = draft.finished().expect("nothing is missing");
            let must = specialty.fields().iter().filter(|(_, must)| *must).count();
            assert_eq!((opinion.specialty, opinion.details.len(), opinion.wanted_days), (specialty, must, 4));
            assert_eq!((opinion.requester.name.as_str(), opinion.consent), ("Mme Lefèvre", true));
        }
    }

    #[test]
    fn without_consent_or_with_a_wrong_number_nothing_goes_and_of_another_specialty_nothing_stays() {
        let mut draft = written(Specialty::Dermatology);
        draft.consent = Some(false);
        assert!(draft.finished().is_none() && !draft.is_answered());
        draft.consent = Some(true);
        draft.write(Ask::Rpps, "10001234567");
        assert!(draft.finished().is_none());
        draft.write(Ask::Rpps, "10001234565");
        draft.write(Ask::Field(Field::Size), "12");
        draft.write(Ask::Field(Field::Allergies), "Pénicilline");
        draft.specialty = Some(Specialty::General);
        let kept: Vec<_> = draft.finished().expect("whole").details.iter().map(|said| said.field).collect();
        assert_eq!(kept, [Field::Allergies]);
        draft.write(Ask::Question, &"x".repeat(QUESTION_CHARS_MAX + 9));
        assert_eq!(draft.text(Ask::Question).len(), QUESTION_CHARS_MAX);
        while draft.back() {}
        assert_eq!(draft.page, Page::Specialty);
        assert_eq!(format!("{draft:?}"), "OpinionDraft([patient])");
    }

    #[test]
    fn what_is_half_written_is_begun_again_with_every_word_and_asks_the_rest_anew() {
        assert_eq!(OpinionDraft::new("Mme Lefèvre").half_written(), None, "nothing is to be kept yet");
        for specialty in Specialty::ALL {
            let mut draft = written(specialty);
            draft.profession = Profession::Nurse;
            let kept = draft.half_written().expect("kept");
            let mut again = OpinionDraft::begun("M. Petit", &kept);
            assert_eq!((again.page, again.half_written()), (Page::Specialty, Some(kept)));
            assert_eq!((again.consent, again.text(Ask::Name), again.text(Ask::Rpps)), (None, "M. Petit", ""));
            assert!(again.finished().is_none(), "number and consent are asked anew");
            again.write(Ask::Rpps, "10001234565");
            again.consent = Some(true);
            let (was, is) = (draft.finished().expect("whole"), again.finished().expect("whole again"));
            assert_eq!((was.question, was.context, was.details), (is.question, is.context, is.details));
        }
    }

    #[test]
    fn cabin_and_desk_offer_one_list_of_specialties_and_must_know_the_same() {
        let ours: Vec<_> = Specialty::ALL.iter().map(|specialty| specialty.code()).collect();
        let theirs: Vec<_> = signal::second_opinion::SPECIALTIES.iter().map(|specialty| specialty.code).collect();
        assert_eq!(ours, theirs);
        for specialty in Specialty::ALL {
            let desk = signal::second_opinion::specialty(specialty.code()).expect("the desk knows it");
            let ours: Vec<_> = specialty.fields().iter().map(|(field, must)| (field.code(), *must)).collect();
            let theirs: Vec<_> = desk.fields.iter().map(|field| (field.code, field.required)).collect();
            assert_eq!(ours, theirs, "{specialty:?}");
        }
        let ours: Vec<_> = Field::COMMON.iter().map(|field| field.code()).collect();
        let theirs: Vec<_> = signal::second_opinion::COMMON_FIELDS.iter().map(|field| field.code).collect();
        assert_eq!(ours, theirs);
    }
}
