//! What is being typed or chosen and not yet confirmed: lost with the program, unlike everything confirmed.

use consult::communes;
use consult::dossier::{Dossier, UsualDoctor};
use consult::identity::{
    BirthDate, CogCode, IdentityDocument, Matricule, MatriculeRefused, Place, Prefill, Sex, TraitText, Traits,
};
use consult::reason::{BodyPart, ReasonKind};
use consult::triage::WarningSign;
use consult::vitals::{BodySite, Measurement, Moment};
use drivers::fixtures::CardEvent;
use ui::CodeTrouble;
use zeroize::Zeroize;

use crate::conversation::Conversation;
use crate::documents::papers::{Telephone, UnderWay};
use crate::run_loop::ComingBack;
use crate::second_opinion::OpinionDraft;

/// A place of the official list, as a search found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPlace {
    /// Official code.
    pub code: CogCode,
    /// Official name.
    pub name: String,
    /// Tells homonyms apart: department, or nothing for a country.
    pub detail: String,
}

/// Pages of the reason step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReasonPage {
    /// Nine pictures.
    #[default]
    Kind,
    /// Where on the body.
    Part,
    /// One free line.
    Words,
}

/// Pages of the identity step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdentityPage {
    /// Birth name.
    #[default]
    BirthName,
    /// Given names.
    GivenNames,
    /// Sex.
    Sex,
    /// Birth date.
    BirthDate,
    /// Birth place.
    BirthPlace,
    /// Matricule, which may be left out.
    Matricule,
    /// All of it, to confirm.
    Review,
}

impl IdentityPage {
    /// In the order of the journey.
    pub const ALL: [IdentityPage; 7] = [
        IdentityPage::BirthName,
        IdentityPage::GivenNames,
        IdentityPage::Sex,
        IdentityPage::BirthDate,
        IdentityPage::BirthPlace,
        IdentityPage::Matricule,
        IdentityPage::Review,
    ];

    /// The page after this one.
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|page| *page == self).unwrap_or(0);
        Self::ALL.get(place + 1).copied().unwrap_or(IdentityPage::Review)
    }

    /// The page before this one; `None` at the first.
    pub fn before(self) -> Option<Self> {
        let place = Self::ALL.iter().position(|page| *page == self)?;
        place.checked_sub(1).and_then(|place| Self::ALL.get(place)).copied()
    }
}

/// Pages of the step about the usual doctor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DoctorPage {
    /// Is there one?
    #[default]
    HasOne,
    /// Who.
    Name,
    /// Where the patient lives.
    Town,
    /// A number to call back.
    Phone,
}

/// The reason.
#[derive(Clone, Debug, Default)]
pub struct ReasonDraft {
    /// Page shown.
    pub page: ReasonPage,
    /// Picture chosen.
    pub kind: Option<ReasonKind>,
    /// Part of the body.
    pub part: Option<BodyPart>,
    /// Free line.
    pub words: String,
}

/// What a carte Vitale says, until the patient chose.
#[derive(Clone, Debug, Default)]
pub struct CardDraft {
    /// The patient types, or has chosen: the card is not asked for again.
    pub passed: bool,
    /// What the reader last said.
    pub said: Option<CardEvent>,
}

/// The identity.
#[derive(Clone, Debug, Default)]
pub struct IdentityDraft {
    /// The card.
    pub card: CardDraft,
    /// What a card or a code filled in last.
    pub given: Option<Prefill>,
    /// The camera was shown no code in time.
    pub code_unseen: bool,
    /// What the camera last read that is no document's code.
    pub code_trouble: Option<CodeTrouble>,
    /// What a code says while there are other answers: the patient is asked whether it replaces them.
    pub scanned: Option<Prefill>,
    /// Page shown.
    pub page: IdentityPage,
    /// Changing one answer from the review: back there afterwards.
    pub from_review: bool,
    /// As typed.
    pub birth_name: String,
    /// As typed.
    pub given_names: String,
    /// Chosen.
    pub sex: Option<Sex>,
    /// Day, month, year; 0 for what is not entered.
    pub birth_date: (u8, u8, u16),
    /// As typed.
    pub place_search: String,
    /// What the search found.
    pub places: Vec<FoundPlace>,
    /// Chosen.
    pub place: Option<FoundPlace>,
    /// As typed.
    pub matricule: String,
}

impl IdentityDraft {
    /// What a card or a code says, and nothing of whoever was written there before: two people are never mixed.
    pub fn of_prefill(prefill: &Prefill) -> Self {
        let place = prefill.birth_place().and_then(communes::by_code);
        let (year, month, day) = prefill.birth_date().unwrap_or_default();
        Self {
            card: CardDraft { passed: true, said: None },
            given: Some(prefill.clone()),
            code_unseen: false,
            code_trouble: None,
            scanned: None,
            page: IdentityPage::BirthName,
            from_review: false,
            birth_name: prefill.birth_name().unwrap_or_default().to_owned(),
            given_names: prefill.given_names().unwrap_or_default().to_owned(),
            sex: prefill.sex(),
            birth_date: (day.unwrap_or(0), month.unwrap_or(0), year),
            place_search: place.as_ref().map(|place| place.name.to_owned()).unwrap_or_default(),
            places: Vec::new(),
            place: place.as_ref().map(FoundPlace::of_list),
            matricule: prefill.matricule().unwrap_or_default().to_owned(),
        }
    }

    /// Nothing is answered yet.
    pub fn is_blank(&self) -> bool {
        self.says_the_same(&Self::default())
    }

    /// Nothing in it is the patient's own: it is blank, or as a card or a code filled it, with its first page before
    /// the patient.
    pub fn is_nobodys_work(&self) -> bool {
        let as_given = |given: &Prefill| self.says_the_same(&Self::of_prefill(given));
        let at_its_beginning = self.page == IdentityPage::BirthName && !self.from_review;
        self.is_blank() || (at_its_beginning && self.given.as_ref().is_some_and(as_given))
    }

    /// The six answers are those of `other`.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let answers = |draft: &Self| (draft.sex, draft.birth_date, draft.place.as_ref().map(|place| place.code));
        answers(self) == answers(other)
            && self.birth_name == other.birth_name
            && self.given_names == other.given_names
            && self.matricule == other.matricule
            // What is being searched is an answer being given.
            && self.place_search == other.place_search
    }

    /// The birth date, when it is one.
    pub fn date(&self) -> Option<BirthDate> {
        let (day, month, year) = self.birth_date;
        BirthDate::new(year, Some(month), Some(day)).ok()
    }

    /// The matricule as far as it is typed; `Ok(None)` when it is left out.
    pub fn checked_matricule(&self) -> Result<Option<Matricule>, MatriculeRefused> {
        if self.matricule.trim().is_empty() { Ok(None) } else { Matricule::parse(&self.matricule).map(Some) }
    }

    /// The traits, when every page is answered.
    pub fn traits(&self, now: Moment) -> Option<Traits> {
        let place = self.place.as_ref()?;
        Some(Traits {
            birth_name: TraitText::parse(&self.birth_name).ok()?,
            given_names: TraitText::parse(&self.given_names).ok()?,
            sex: self.sex?,
            birth_date: self.date().filter(|date| !date.is_after(now))?,
            birth_place: Place { cog: place.code, name: consult::private::Private::new(place.name.clone()) },
            used_name: None,
        })
    }
}

/// Usual doctor, town, phone.
#[derive(Clone, Debug, Default)]
pub struct DoctorDraft {
    /// Page shown.
    pub page: DoctorPage,
    /// Is there one?
    pub has_one: Option<bool>,
    /// As typed.
    pub name: String,
    /// As typed.
    pub town_search: String,
    /// What the search found.
    pub towns: Vec<FoundPlace>,
    /// Chosen.
    pub town: Option<FoundPlace>,
    /// As typed.
    pub phone: String,
}

/// Everything that is being typed for this patient.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    /// Reason.
    pub reason: ReasonDraft,
    /// The warning sign that the patient went back to.
    pub sign: Option<WarningSign>,
    /// Identity.
    pub identity: IdentityDraft,
    /// Usual doctor.
    pub doctor: DoctorDraft,
    /// The number on which to be called back is in front, instead of the waiting room. It is the one of
    /// [`DoctorDraft::phone`]: known already, or typed now.
    pub calling_back: bool,
    /// Whoever comes back types a code, instead of the welcome screen.
    pub coming_back: Option<ComingBack>,
    /// A question to a specialist is being written, instead of the waiting room.
    pub opinion: Option<OpinionDraft>,
    /// Care, usual doctor, statistics.
    pub consents: [Option<bool>; 3],
    /// Understood, easy, would have seen a physician: 0 no, 1 a little, 2 yes.
    pub questions: [Option<u8>; 3],
    /// The screen of reasons to skip is open, with the reason chosen.
    pub skipping: Option<Option<consult::dossier::SkipReason>>,
    /// Where the picture or sound in front is taken, as just chosen.
    pub site: Option<(Measurement, BodySite)>,
    /// Papers on their way to the printer: they go no further once the patient is forgotten.
    pub printing: Option<std::sync::Arc<UnderWay>>,
    /// What the patient's telephone is given.
    pub telephone: Telephone,
    /// What is written in the call.
    pub conversation: Conversation,
    /// The pharmacist asked the physician for a third person in this call.
    pub guest_asked: bool,
    /// Document seen, not yet confirmed.
    pub document: Option<IdentityDocument>,
    /// Cleaning list, ticked.
    pub cleaned: [bool; Measurement::ALL.len()],
}

impl Drafts {
    /// What a dossier that came back after a restart already answers, so that going back shows it.
    pub fn of(dossier: &Dossier) -> Self {
        let mut drafts = Self::default();
        if let Some(reason) = &dossier.reason {
            drafts.reason = ReasonDraft {
                page: ReasonPage::Words,
                kind: Some(reason.kind),
                part: reason.body_part,
                words: reason.line.reveal().to_owned(),
            };
        }
        if let Some(identity) = &dossier.identity {
            let traits = identity.traits();
            let (year, month, day) = traits.birth_date.parts();
            drafts.identity = IdentityDraft {
                card: CardDraft::default(),
                given: None,
                code_unseen: false,
                code_trouble: None,
                scanned: None,
                page: IdentityPage::Review,
                from_review: false,
                birth_name: traits.birth_name.reveal().to_owned(),
                given_names: traits.given_names.reveal().to_owned(),
                sex: Some(traits.sex),
                birth_date: (day.unwrap_or(0), month.unwrap_or(0), year),
                place_search: traits.birth_place.name.reveal().clone(),
                places: Vec::new(),
                place: Some(FoundPlace::of(&traits.birth_place)),
                matricule: identity.typed_matricule().unwrap_or_default().to_owned(),
            };
        }
        if let Some(contact) = &dossier.contact {
            drafts.doctor = DoctorDraft {
                page: DoctorPage::Phone,
                has_one: match &contact.usual_doctor {
                    UsualDoctor::Named { .. } => Some(true),
                    UsualDoctor::None => Some(false),
                    UsualDoctor::Unsaid => None,
                },
                name: match &contact.usual_doctor {
                    UsualDoctor::Named { name, .. } => name.reveal().to_owned(),
                    UsualDoctor::None | UsualDoctor::Unsaid => String::new(),
                },
                town_search: contact.town.name.reveal().clone(),
                towns: Vec::new(),
                town: Some(FoundPlace::of(&contact.town)),
                phone: contact.phone.as_ref().map(|phone| phone.reveal().to_owned()).unwrap_or_default(),
            };
        }
        drafts
    }
}

impl FoundPlace {
    /// A place of the official list, as the form holds it.
    pub fn of_list(place: &communes::Found) -> Self {
        Self {
            code: place.cog,
            name: place.name.to_owned(),
            // Communes of one name are told apart by their département; a country needs nothing.
            detail: if place.cog.is_country() { String::new() } else { place.departement().to_owned() },
        }
    }

    /// A place that was chosen.
    fn of(place: &Place) -> Self {
        let listed = communes::by_code(place.cog);
        Self {
            code: place.cog,
            name: place.name.reveal().clone(),
            // Communes of one name are told apart by their département; a country needs nothing.
            detail: listed
                .filter(|_| !place.cog.is_country())
                .map(|place| place.departement().to_owned())
                .unwrap_or_default(),
        }
    }
}

impl Drop for IdentityDraft {
    fn drop(&mut self) {
        for text in [&mut self.birth_name, &mut self.given_names, &mut self.place_search, &mut self.matricule] {
            text.zeroize();
        }
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        for text in
            [&mut self.reason.words, &mut self.doctor.name, &mut self.doctor.town_search, &mut self.doctor.phone]
        {
            text.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREST: &str = "29019";

    /// Somebody who answered every page.
    fn written() -> IdentityDraft {
        let place = communes::by_code(CogCode::parse("49007").unwrap()).unwrap();
        let mut draft = IdentityDraft::default();
        draft.birth_name = "DURAND".into();
        draft.given_names = "CAMILLE".into();
        draft.sex = Some(Sex::Female);
        draft.birth_date = (1, 2, 1990);
        draft.place_search = place.name.to_owned();
        draft.place = Some(FoundPlace::of_list(&place));
        draft.matricule = "290024900700117".into();
        draft
    }

    #[test]
    fn a_code_that_says_only_a_name_leaves_nothing_of_whoever_was_written_before() {
        let text = |text: &str| TraitText::parse(text).ok();
        let card = Prefill::of_card(text("DUBOIS-ESSAI"), text("ELEONORE"), None);
        let filled = IdentityDraft::of_prefill(&card);
        assert_eq!((filled.birth_name.as_str(), filled.given_names.as_str()), ("DUBOIS-ESSAI", "ELEONORE"));
        assert_eq!((filled.sex, filled.birth_date, &filled.place), (None, (0, 0, 0), &None));
        assert_eq!((filled.place_search.as_str(), filled.matricule.as_str()), ("", ""));
        assert!(!filled.says_the_same(&written()) && !filled.is_blank());
        assert!(filled.card.passed, "the card is not asked for again");
    }

    #[test]
    fn what_a_card_filled_in_is_the_patients_once_it_is_looked_through_or_changed() {
        let text = |text: &str| TraitText::parse(text).ok();
        let filled = IdentityDraft::of_prefill(&Prefill::of_card(text("DUBOIS-ESSAI"), text("ELEONORE"), None));
        assert!(filled.is_nobodys_work() && IdentityDraft::default().is_nobodys_work());
        let touched: [fn(&mut IdentityDraft); 4] = [
            |draft| draft.page = IdentityPage::GivenNames,
            |draft| draft.from_review = true,
            |draft| draft.birth_name.push('T'),
            |draft| draft.sex = Some(Sex::Female),
        ];
        for touch in touched {
            let mut draft = filled.clone();
            touch(&mut draft);
            assert!(!draft.is_nobodys_work());
        }
        assert!(!written().is_nobodys_work(), "typed from the first letter on");
    }

    #[test]
    fn the_same_code_read_twice_is_no_other_answer_and_any_answer_is_no_blank() {
        assert!(written().says_the_same(&written()) && !written().is_blank());
        assert!(IdentityDraft::default().is_blank());
        let differ: [fn(&mut IdentityDraft); 6] = [
            |draft| draft.birth_name.push('D'),
            |draft| draft.given_names.push('A'),
            |draft| draft.sex = Some(Sex::Male),
            |draft| draft.birth_date.0 = 3,
            |draft| {
                draft.place = Some(FoundPlace::of_list(&communes::by_code(CogCode::parse(BREST).unwrap()).unwrap()))
            },
            |draft| draft.matricule.push('1'),
        ];
        for change in differ {
            let (mut one, mut blank) = (written(), IdentityDraft::default());
            change(&mut one);
            change(&mut blank);
            assert!(!one.says_the_same(&written()) && !blank.is_blank());
        }
    }
}
