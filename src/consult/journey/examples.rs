//! Inputs, patients and dice for tests.

use super::{CallEnd, Input, Trouble, WaitingNews};
use crate::consent::{ConsentAnswer, ConsentAnswers, Decision};
use crate::dossier::{
    ComeBack, ComeBackCode, ConsultationId, Contact, Contrast, Language, Phone, Presentation, Questionnaire,
    Satisfaction, SkipReason, TextSize, UsualDoctor,
};
use crate::guest::{Guest, GuestRole};
use crate::identity::{BirthDate, CogCode, IdentityDocument, Matricule, Place, Sex, TraitText, Traits};
use crate::physician::{Authentication, Document, DocumentKind, NextCare, Order, OrderKind, Physician, Rpps, Summary};
use crate::private::{Private, PrivateText};
use crate::reason::{BodyPart, Reason, ReasonKind};
use crate::second_opinion::{Detail, Field, HalfWritten, Profession, Requester, SecondOpinion, Specialty};
use crate::site::{DeviceClass, Pharmacist, Site};
use crate::triage::WarningSign;
use crate::vitals::{
    BloodPressure, BodySite, DeviceIdentity, Glucose, GlucoseMass, GlucoseMoles, Height, Measurement, Moment,
    PulseRate, Reading, Recording, RecordingKind, Spo2, Temperature, Value, Weight,
};

/// How many kinds of input there are; a test of the journal fails when this is not true any more.
pub const INPUT_KINDS: usize = 75;

/// SplitMix64: the same seed gives the same sequence everywhere.
pub struct Dice(u64);

impl Dice {
    /// The seed of `TELECABINE_SEED`, else one from the hasher's keys; printed, so that a failure can be run again.
    pub fn seeded() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let given = std::env::var("TELECABINE_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0u8));
        eprintln!("TELECABINE_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A whole cabin but for the scale, so that "not fitted" happens too.
pub fn site() -> Site {
    Site {
        name: "Pharmacie de la Place".into(),
        address: "1 place de la Mairie, 77170 Brie-Comte-Robert, au fond à gauche".into(),
        fitted: Measurement::ALL
            .into_iter()
            .filter(|measurement| *measurement != Measurement::WeightAndHeight)
            .collect(),
    }
}

pub fn pharmacist(n: usize) -> Pharmacist {
    Pharmacist { id: format!("ph{n}"), name: format!("Pharmacien {n}") }
}

/// A word in letters only, different for each number: what marks everything that belongs to one patient.
pub fn word(mut number: usize) -> String {
    let mut out = String::from("P");
    loop {
        out.push(char::from(b'A' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return out;
        }
    }
}

pub fn reason(word: &str, kind: ReasonKind) -> Reason {
    Reason { kind, body_part: Some(BodyPart::Head), line: PrivateText::new(word).unwrap() }
}

pub fn traits(word: &str) -> Traits {
    Traits {
        birth_name: TraitText::parse(word).unwrap(),
        given_names: TraitText::parse("Jeanne Marie").unwrap(),
        sex: Sex::Female,
        birth_date: BirthDate::new(1950, Some(5), None).unwrap(),
        birth_place: Place { cog: CogCode::parse("2A004").unwrap(), name: Private::new("Ajaccio".into()) },
        used_name: None,
    }
}

pub fn contact(word: &str) -> Contact {
    Contact {
        usual_doctor: UsualDoctor::Named {
            name: PrivateText::new(word).unwrap(),
            town: PrivateText::new("Melun").unwrap(),
        },
        town: Place { cog: CogCode::parse("77053").unwrap(), name: Private::new("Brie-Comte-Robert".into()) },
        phone: Some(Phone::parse("06 12 34 56 78").unwrap()),
    }
}

pub fn come_back(number: usize, now: Moment) -> ComeBack {
    let code = ComeBackCode::from_number(number as u32).unwrap();
    ComeBack { code, until: Moment(now.0 + 48 * 3_600_000) }
}

pub fn consents(care: Decision, others: Decision) -> ConsentAnswers {
    let answer = |decision| ConsentAnswer { decision, text_version: 20261101 };
    ConsentAnswers { care: answer(care), usual_doctor: answer(others), statistics: answer(others) }
}

pub fn physician(authentication: Authentication) -> Physician {
    // The key is the one digit that fits (Luhn).
    let rpps = (0..10).map(|key| format!("1010000001{key}")).find(|text| crate::physician::Rpps::parse(text).is_ok());
    Physician::new("Anne Roy", "Médecine générale", &rpps.unwrap(), "Melun", 2500, authentication).unwrap()
}

pub fn summary(word: &str) -> Summary {
    Summary {
        text: PrivateText::new(word).unwrap(),
        orders: vec![
            Order { kind: OrderKind::Medicine, text: PrivateText::new("Boire").unwrap() },
            Order { kind: OrderKind::Advice, text: PrivateText::new("Dormir").unwrap() },
        ],
        next: NextCare::UsualDoctor,
        next_note: PrivateText::new("sous huit jours").unwrap(),
    }
}

pub fn document(word: &str, n: u8) -> Document {
    Document {
        kind: DocumentKind::Prescription,
        name: PrivateText::new(word).unwrap(),
        blob: format!("blob-{n}"),
        sha256: [n; 32],
        size_bytes: 1000 + u64::from(n),
    }
}

/// Readings as a device of this measurement gives them.
pub fn readings(dice: &mut Dice, measurement: Measurement, at: Moment) -> Vec<Reading> {
    let mut number = |min: usize, max: usize| min + dice.below(max - min + 1);
    let values = match measurement {
        Measurement::OxygenAndPulse => vec![
            Value::Spo2(Spo2::from_percent(number(80, 100) as u8).unwrap()),
            Value::PulseRate(PulseRate::from_per_minute(number(40, 180) as u16).unwrap()),
        ],
        Measurement::BloodPressure => {
            let diastolic = number(40, 100) as u16;
            let systolic = diastolic + number(10, 90) as u16;
            vec![Value::BloodPressure(BloodPressure::from_mmhg(systolic, diastolic, Some(diastolic + 5)).unwrap())]
        }
        Measurement::WeightAndHeight => vec![
            Value::Weight(Weight::from_grams(number(3_000, 150_000) as u32).unwrap()),
            Value::Height(Height::from_millimetres(number(500, 2_000) as u16).unwrap()),
        ],
        Measurement::Temperature => {
            vec![Value::Temperature(Temperature::from_centi_celsius(number(3_500, 4_100) as u16).unwrap())]
        }
        Measurement::Glucose => vec![Value::Glucose(if number(0, 1) == 0 {
            Glucose::Mass(GlucoseMass::from_mg_per_dl(number(40, 400) as u16).unwrap())
        } else {
            Glucose::Moles(GlucoseMoles::from_tenths_mmol_per_l(number(22, 222) as u16).unwrap())
        })],
        Measurement::Ecg | Measurement::EarPicture | Measurement::SkinPicture | Measurement::Auscultation => {
            vec![Value::Recording(Recording {
                kind: match measurement {
                    Measurement::Ecg => RecordingKind::Ecg,
                    Measurement::Auscultation => RecordingKind::Sound,
                    _ => RecordingKind::Picture,
                },
                blob: [number(0, 255) as u8; 16],
                sha256: [number(0, 255) as u8; 32],
                size_bytes: number(100, 1_000_000) as u32,
                duration_ms: 10_000,
                site: BodySite::choices(measurement).first().copied(),
                packed_here: number(0, 1) == 0,
                missing_ms: number(0, 1_000) as u32,
            })]
        }
    };
    let device = DeviceIdentity { model: "sim".into(), serial: Some("42".into()), firmware: None };
    let reading = |value| Reading { value, device: device.clone(), device_at: None, at, high_quality: Some(true) };
    values.into_iter().map(reading).collect()
}

pub fn presentation(dice: &mut Dice) -> Presentation {
    Presentation {
        language: dice.pick(&[Language::FRENCH, Language::ENGLISH]),
        text_size: dice.pick(&[TextSize::Normal, TextSize::Large, TextSize::VeryLarge]),
        contrast: dice.pick(&[Contrast::Normal, Contrast::High, Contrast::Dark]),
        lower: dice.chance(20),
        voice: dice.chance(20),
    }
}

/// Any input with any content, all marked with one word.
pub fn random_input(dice: &mut Dice) -> Input {
    let number = dice.below(1_000_000);
    random_input_of(dice, &word(number), ConsultationId([number as u8; 16]), Moment(number as i64))
}

/// Any input, marked with the word of the present patient.
pub fn random_input_of(dice: &mut Dice, word: &str, id: ConsultationId, now: Moment) -> Input {
    let measurement = dice.pick(&Measurement::ALL);
    match dice.below(INPUT_KINDS) {
        0 => Input::SignedIn(pharmacist(dice.below(3))),
        1 => Input::ClosedByPharmacist,
        2 => Input::HelpAnswered,
        3 => Input::HelpDone,
        4 => Input::IdentityChecked(dice.pick(&[
            IdentityDocument::Passport,
            IdentityDocument::IdentityCard,
            IdentityDocument::ResidencePermit,
            IdentityDocument::BirthCertificate,
            IdentityDocument::FamilyBooklet,
        ])),
        5 => Input::AssistanceStarted,
        6 => Input::AssistanceEnded,
        7 => Input::EmergencyCleared,
        8 => Input::EmergencyHandedOver,
        9 => Input::Cleaned,
        10 => Input::PresentationChosen(presentation(dice)),
        11 => Input::HelpAsked,
        12 => Input::EmergencyAsked,
        13 => Input::EmergencyClosed,
        14 => Input::Left,
        15 => Input::Back,
        16 => Input::Touched,
        17 => Input::MoreTime,
        18 => Input::ListenAsked,
        19 => Input::Begun(id),
        20 => Input::ReasonGiven(reason(word, dice.pick(&ReasonKind::ALL))),
        21 => Input::WarningSignAnswered { sign: dice.pick(&WarningSign::ALL), present: dice.chance(5) },
        22 => Input::NoWarningSign,
        23 => {
            let matricule = dice.chance(30).then(|| Matricule::parse("269062B12345634").unwrap());
            Input::IdentityGiven { traits: traits(word), matricule }
        }
        24 => Input::ContactGiven(contact(word)),
        25 => {
            let decisions = [Decision::Given, Decision::Given, Decision::Refused];
            Input::ConsentsAnswered(consents(dice.pick(&decisions), dice.pick(&decisions)))
        }
        26 => Input::MeasuringStarted,
        27 => Input::ReadingsKept,
        28 => Input::Retake,
        29 => Input::Skipped(dice.pick(&[
            SkipReason::NotWanted,
            SkipReason::CannotPlace,
            SkipReason::Hurts,
            SkipReason::NoResult,
            SkipReason::DeviceOut,
        ])),
        30 => Input::PhysicianAccepted,
        31 => Input::PhysicianDeclined,
        32 => Input::HungUp,
        33 => Input::PrintAsked,
        34 => Input::Continued,
        35 => Input::QuestionnaireAnswered(Questionnaire {
            satisfaction: Satisfaction::from_stars(dice.below(7) as u8),
            would_have_gone_without_care: dice.chance(50).then(|| dice.chance(50)),
            understood: dice.chance(50).then(|| dice.chance(50)),
        }),
        36 => Input::ReadingsTaken { measurement, readings: readings(dice, measurement, now) },
        37 => {
            let troubles = [
                Trouble::NoSignal,
                Trouble::Moved,
                Trouble::Implausible,
                Trouble::DeviceFault,
                Trouble::Clock,
                Trouble::BelowRange,
                Trouble::OutOfRange,
            ];
            Input::MeasuringFailed { measurement, trouble: dice.pick(&troubles) }
        }
        38 => Input::DeviceLost(measurement),
        39 => Input::DeviceBack(measurement),
        40 => Input::PrintEnded { printed: dice.chance(70) },
        41 => Input::NetworkLost,
        42 => Input::NetworkBack,
        43 => Input::WaitingRoomNews(WaitingNews { ahead: Some(dice.below(9) as u16), wait_minutes: None }),
        44 => {
            let known = [Authentication::None, Authentication::LocalTotp, Authentication::OpenIdConnect];
            Input::PhysicianOffered(physician(dice.pick(&known)))
        }
        45 => Input::PhysicianWithdrawn,
        46 => Input::CallConnected,
        47 => Input::CallInterrupted,
        48 => Input::CallResumed,
        49 => Input::MeasurementRequested(measurement),
        50 => Input::MeasurementRequestWithdrawn,
        51 => Input::SummaryReceived(summary(word)),
        52 => Input::DocumentReceived(document(word, dice.below(4) as u8)),
        53 => Input::CallEnded(dice.pick(&[
            CallEnd::Physician,
            CallEnd::GivenBack,
            CallEnd::Failed,
            CallEnd::PhysicianWithoutPicture,
            CallEnd::PhysicianBrokenOff,
        ])),
        54 => Input::RecordSealed,
        55 => Input::RecordNotSealed,
        56 => Input::Restarted,
        57 => Input::InactivityWarned,
        58 => Input::WalkedAway,
        59 => Input::HelpUnanswered,
        60 => Input::ReceiptShown,
        61 => Input::PresentationReset,
        62 => Input::NoticeReceived(PrivateText::new(word).unwrap()),
        63 => Input::OpenedDegraded(pharmacist(dice.below(3))),
        64 => {
            let is_missing = |_: &DeviceClass| dice.chance(30);
            Input::EquipmentChecked { missing: DeviceClass::OF_A_PHARMACY.into_iter().filter(is_missing).collect() }
        }
        65 => Input::CallBackAsked(contact(word).phone.unwrap()),
        66 => Input::RecordKeptAside,
        67 => Input::ComeBackAsked(come_back(dice.below(100), now)),
        68 => Input::CameBack(pharmacist(dice.below(3))),
        69 => Input::SecondOpinionAsked(second_opinion(word)),
        70 => Input::MeasurementAdded(dice.pick(&Measurement::ALL)),
        71 => Input::SecondOpinionWritten(half_written(word)),
        72 => Input::GuestCame(guest(word, dice.pick(&GuestRole::ALL))),
        73 => Input::GuestLeft,
        _ => Input::StoringRetried,
    }
}

/// Somebody who interprets for this patient.
pub fn guest(word: &str, role: GuestRole) -> Guest {
    Guest { name: PrivateText::new(word).unwrap(), role }
}

/// A whole request to a dermatologist.
pub fn second_opinion(word: &str) -> SecondOpinion {
    let detail = |field, text: &str| Detail { field, text: PrivateText::new(text).unwrap() };
    SecondOpinion {
        specialty: Specialty::Dermatology,
        question: PrivateText::new(&format!("question {word}")).unwrap(),
        context: PrivateText::new(&format!("contexte {word}")).unwrap(),
        urgent: false,
        wanted_days: 4,
        details: vec![detail(Field::Site, word), detail(Field::Onset, "trois mois")],
        requester: Requester {
            profession: Profession::Nurse,
            name: "Julie Roux".into(),
            rpps: Rpps::parse("10001234565").unwrap(),
        },
        consent: true,
    }
}

/// As far as it is written.
pub fn half_written(word: &str) -> HalfWritten {
    let SecondOpinion { specialty, question, context, details, requester, .. } = second_opinion(word);
    HalfWritten { specialty, question, context, details, profession: requester.profession }
}

/// One input of every kind, with contents that the right step accepts.
pub fn one_of_each() -> Vec<Input> {
    let mut dice = Dice(1);
    let measurement = Measurement::Temperature;
    let mut out = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let good = [
        Input::WarningSignAnswered { sign: WarningSign::ChestPain, present: false },
        Input::ReasonGiven(reason("PA", ReasonKind::FeverFatigue)),
        Input::ConsentsAnswered(consents(Decision::Given, Decision::Refused)),
        Input::ReadingsTaken { measurement, readings: readings(&mut dice, measurement, Moment(1)) },
        Input::MeasuringFailed { measurement, trouble: Trouble::Moved },
        Input::DeviceLost(Measurement::OxygenAndPulse),
        Input::DeviceBack(Measurement::OxygenAndPulse),
        Input::PhysicianOffered(physician(Authentication::LocalTotp)),
        Input::MeasurementRequested(Measurement::BloodPressure),
        Input::MeasurementAdded(Measurement::BloodPressure),
        Input::CallEnded(CallEnd::Physician),
    ];
    for input in good {
        seen.insert(std::mem::discriminant(&input));
        out.push(input);
    }
    while out.len() < INPUT_KINDS {
        let input = random_input_of(&mut dice, "PA", ConsultationId([1; 16]), Moment(1));
        if seen.insert(std::mem::discriminant(&input)) {
            out.push(input);
        }
    }
    out
}
