//! A second opinion (tele-expertise): a professional beside the patient sends the dossier to a specialty, and a
//! specialist answers later. Composed in the cabin, with or without a network.
//!
//! What is asked of the one who asks follows the data set of the French tele-expertise: who asks, which specialty,
//! question, context, urgency and wanted delay, consent, and what that specialty must know.

use std::fmt;

use crate::physician::Rpps;
use crate::private::PrivateText;
use crate::vitals::Moment;

/// Longest question, characters.
pub const QUESTION_CHARS_MAX: usize = 500;
/// Longest clinical context, characters.
pub const CONTEXT_CHARS_MAX: usize = 1000;
/// Longest detail, characters.
pub const DETAIL_CHARS_MAX: usize = 240;
/// Longest name of who asks, characters.
pub const REQUESTER_CHARS_MAX: usize = 80;
/// An answer is due within so many days; none may be wished later.
pub const WANTED_DAYS_MAX: u8 = 7;

/// Which specialty is asked: the desk's list, in its order (`signal::second_opinion::SPECIALTIES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Specialty {
    /// Skin.
    Dermatology,
    /// Heart.
    Cardiology,
    /// Ear, nose, throat.
    Ent,
    /// Wounds and their healing.
    Wounds,
    /// A general practitioner.
    General,
    /// The old.
    Geriatrics,
    /// Nerves and brain.
    Neurology,
    /// Diabetes.
    Diabetology,
    /// Children.
    Paediatrics,
    /// The mind.
    Psychiatry,
    /// Eyes.
    Ophthalmology,
    /// Kidneys.
    Nephrology,
    /// Blood.
    Haematology,
    /// Medical imaging.
    Radiology,
}

impl Specialty {
    /// Every specialty, in the order of the screen.
    pub const ALL: [Specialty; 14] = [
        Specialty::Dermatology,
        Specialty::Cardiology,
        Specialty::Ent,
        Specialty::Wounds,
        Specialty::General,
        Specialty::Geriatrics,
        Specialty::Neurology,
        Specialty::Diabetology,
        Specialty::Paediatrics,
        Specialty::Psychiatry,
        Specialty::Ophthalmology,
        Specialty::Nephrology,
        Specialty::Haematology,
        Specialty::Radiology,
    ];

    /// As the desk names it (`signal::second_opinion::SPECIALTIES`).
    pub fn code(self) -> &'static str {
        match self {
            Specialty::Dermatology => "dermatology",
            Specialty::Cardiology => "cardiology",
            Specialty::Ent => "ent",
            Specialty::Wounds => "wounds",
            Specialty::General => "general",
            Specialty::Geriatrics => "geriatrics",
            Specialty::Neurology => "neurology",
            Specialty::Diabetology => "diabetology",
            Specialty::Paediatrics => "paediatrics",
            Specialty::Psychiatry => "psychiatry",
            Specialty::Ophthalmology => "ophthalmology",
            Specialty::Nephrology => "nephrology",
            Specialty::Haematology => "haematology",
            Specialty::Radiology => "radiology",
        }
    }

    /// What it wants to know, and whether it must.
    pub fn fields(self) -> &'static [(Field, bool)] {
        match self {
            Specialty::Dermatology => &[
                (Field::Site, true),
                (Field::Onset, true),
                (Field::Size, false),
                (Field::Evolution, false),
                (Field::ItchPain, false),
            ],
            Specialty::Cardiology => &[(Field::Symptoms, true)],
            Specialty::Ent => &[(Field::Side, true), (Field::Onset, true), (Field::HearingPain, false)],
            Specialty::Wounds => &[
                (Field::Site, true),
                (Field::Size, true),
                (Field::Onset, true),
                (Field::Exudate, false),
                (Field::AnkleIndex, false),
            ],
            Specialty::Geriatrics => &[(Field::Autonomy, false), (Field::Cognition, false)],
            Specialty::Neurology => &[(Field::Onset, true), (Field::Deficit, false)],
            Specialty::Diabetology => &[(Field::GlucoseLog, false), (Field::Hba1c, false)],
            Specialty::Ophthalmology => &[(Field::Side, true), (Field::Onset, true)],
            Specialty::Radiology => &[(Field::Modality, false)],
            Specialty::General
            | Specialty::Paediatrics
            | Specialty::Psychiatry
            | Specialty::Nephrology
            | Specialty::Haematology => &[],
        }
    }
}

/// One thing that a specialty wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Where on the body.
    Site,
    /// Since when.
    Onset,
    /// How large.
    Size,
    /// How it changes.
    Evolution,
    /// Whether it itches or hurts.
    ItchPain,
    /// What is felt.
    Symptoms,
    /// Which side.
    Side,
    /// Pain, hearing.
    HearingPain,
    /// What a wound gives off.
    Exudate,
    /// Pressure at the ankle against that at the arm.
    AnkleIndex,
    /// Former illnesses.
    History,
    /// Treatments under way.
    Treatments,
    /// Allergies.
    Allergies,
    /// Pregnancy.
    Pregnancy,
    /// Illnesses in the family.
    FamilyHistory,
    /// How independent, by the GIR scale.
    Autonomy,
    /// By the MMSE.
    Cognition,
    /// What no longer moves or feels.
    Deficit,
    /// Blood glucose over days.
    GlucoseLog,
    /// Glycated haemoglobin.
    Hba1c,
    /// Which examination, and when.
    Modality,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 21] = [
        Field::Site,
        Field::Onset,
        Field::Size,
        Field::Evolution,
        Field::ItchPain,
        Field::Symptoms,
        Field::Side,
        Field::HearingPain,
        Field::Exudate,
        Field::AnkleIndex,
        Field::History,
        Field::Treatments,
        Field::Allergies,
        Field::Pregnancy,
        Field::FamilyHistory,
        Field::Autonomy,
        Field::Cognition,
        Field::Deficit,
        Field::GlucoseLog,
        Field::Hba1c,
        Field::Modality,
    ];

    /// What any specialty may be told.
    pub const COMMON: [Field; 5] =
        [Field::History, Field::Treatments, Field::Allergies, Field::Pregnancy, Field::FamilyHistory];

    /// As the desk names it (`signal::second_opinion::Field`).
    pub fn code(self) -> &'static str {
        match self {
            Field::Site => "site",
            Field::Onset => "onset",
            Field::Size => "size",
            Field::Evolution => "evolution",
            Field::ItchPain => "itch_pain",
            Field::Symptoms => "symptoms",
            Field::Side => "side",
            Field::HearingPain => "hearing_pain",
            Field::Exudate => "exudate",
            Field::AnkleIndex => "ankle_index",
            Field::History => "history",
            Field::Treatments => "treatments",
            Field::Allergies => "allergies",
            Field::Pregnancy => "pregnancy",
            Field::FamilyHistory => "family_history",
            Field::Autonomy => "autonomy",
            Field::Cognition => "cognition",
            Field::Deficit => "deficit",
            Field::GlucoseLog => "glucose_log",
            Field::Hba1c => "hba1c",
            Field::Modality => "modality",
        }
    }
}

/// What the one who asks practises: professionals who may ask from a cabin (CSP R. 6316-1). Only some of them are paid
/// for it; the cabin bills nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profession {
    /// Pharmacist.
    Pharmacist,
    /// Nurse.
    Nurse,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// What they practise.
    pub profession: Profession,
    /// First name and name.
    pub name: String,
    /// Their number in the national register.
    pub rpps: Rpps,
}

/// What is said of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The field.
    pub field: Field,
    /// What is said.
    pub text: PrivateText<DETAIL_CHARS_MAX>,
}

/// A request, as composed. [`SecondOpinion::missing`] says what it still lacks.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondOpinion {
    /// Whom it asks.
    pub specialty: Specialty,
    /// The question.
    pub question: PrivateText<QUESTION_CHARS_MAX>,
    /// Clinical context.
    pub context: PrivateText<CONTEXT_CHARS_MAX>,
    /// To be answered before others.
    pub urgent: bool,
    /// Wished within so many days, 1 to [`WANTED_DAYS_MAX`].
    pub wanted_days: u8,
    /// What the specialty wants to know.
    pub details: Vec<Detail>,
    /// Who asks.
    pub requester: Requester,
    /// The patient agreed that the dossier be shown to a specialist.
    pub consent: bool,
}

impl fmt::Debug for SecondOpinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecondOpinion([patient])")
    }
}

/// A request that is being written, as far as a stop of the cabin must not lose it: what remains (number, consent,
/// delay) is asked at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct HalfWritten {
    /// Whom it asks.
    pub specialty: Specialty,
    /// The question, may be empty.
    pub question: PrivateText<QUESTION_CHARS_MAX>,
    /// Clinical context, may be empty.
    pub context: PrivateText<CONTEXT_CHARS_MAX>,
    /// What is said of fields.
    pub details: Vec<Detail>,
    /// What the one who asks practises.
    pub profession: Profession,
}

impl fmt::Debug for HalfWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HalfWritten([patient])")
    }
}

/// What a request lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The question.
    Question,
    /// The clinical context.
    Context,
    /// Something that the specialty must know.
    Field(Field),
    /// A wished delay of 1 to [`WANTED_DAYS_MAX`] days.
    Delay,
    /// The name of who asks.
    Requester,
    /// The patient's consent.
    Consent,
}

impl SecondOpinion {
    /// The first thing that it lacks; `None`: it may be sent.
    pub fn missing(&self) -> Option<Missing> {
        let blank = |text: &str| text.trim().is_empty();
        let said = |field: Field| self.details.iter().any(|said| said.field == field && !blank(said.text.reveal()));
        if blank(self.question.reveal()) {
            return Some(Missing::Question);
        }
        if blank(self.context.reveal()) {
            return Some(Missing::Context);
        }
        let unsaid = self.specialty.fields().iter().find(|(field, must)| *must && !said(*field));
        if let Some((field, _)) = unsaid {
            return Some(Missing::Field(*field));
        }
        if !(1..=WANTED_DAYS_MAX).contains(&self.wanted_days) {
            return Some(Missing::Delay);
        }
        if blank(&self.requester.name) || self.requester.name.chars().count() > REQUESTER_CHARS_MAX {
            return Some(Missing::Requester);
        }
        (!self.consent).then_some(Missing::Consent)
    }
}

/// A request that went into the dossier.
#[derive(Clone, PartialEq, Eq)]
pub struct AskedOpinion {
    /// The request.
    pub opinion: SecondOpinion,
    /// When it was asked, and the patient agreed.
    pub asked_at: Moment,
}

impl fmt::Debug for AskedOpinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskedOpinion([patient])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::examples::second_opinion;

    #[test]
    fn a_request_lacks_what_its_specialty_must_know_and_says_what_first() {
        let whole = second_opinion("x");
        assert_eq!(whole.missing(), None);
        type Spoil = fn(&mut SecondOpinion);
        let spoilt: [(Spoil, Missing); 7] = [
            (|opinion| opinion.question = PrivateText::new(" ").unwrap(), Missing::Question),
            (|opinion| opinion.context = PrivateText::default(), Missing::Context),
            (|opinion| opinion.details.clear(), Missing::Field(Field::Site)),
            (|opinion| opinion.wanted_days = 0, Missing::Delay),
            (|opinion| opinion.wanted_days = 8, Missing::Delay),
            (|opinion| opinion.requester.name = "x".repeat(REQUESTER_CHARS_MAX + 1), Missing::Requester),
            (|opinion| opinion.consent = false, Missing::Consent),
        ];
        for (spoil, missing) in spoilt {
            let mut opinion = whole.clone();
            spoil(&mut opinion);
            assert_eq!(opinion.missing(), Some(missing));
        }
        assert_eq!(format!("{whole:?}"), "SecondOpinion([patient])");
        let mut general = whole;
        (general.specialty, general.details) = (Specialty::General, Vec::new());
        assert_eq!(general.missing(), None, "a general practitioner needs no more than question and context");
    }

    #[test]
    fn every_code_is_one_fields_or_one_specialtys() {
        let mut codes: Vec<_> = Field::ALL.iter().map(|field| field.code()).collect();
        codes.extend(Specialty::ALL.iter().map(|specialty| specialty.code()));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Field::ALL.len() + Specialty::ALL.len());
        for specialty in Specialty::ALL {
            assert!(specialty.fields().iter().all(|(field, _)| !Field::COMMON.contains(field)));
        }
    }
}
