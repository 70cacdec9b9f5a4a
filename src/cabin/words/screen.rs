//! The journey's words in those of the screens, and back.

use consult::dossier::SkipReason;
use consult::guest::GuestRole;
use consult::identity::{IdentityDocument, Sex};
use consult::journey::Trouble;
use consult::reason::{BodyPart, ReasonKind};
use consult::triage::WarningSign;
use consult::vitals::{BodySite, Glucose, Measurement, Moment, RecordingKind, Value};
use drivers::ports::Remedy;

/// Both ways between the journey's and the screens' enums.
macro_rules! pairs {
    ($(#[$doc:meta])* $to:ident, $from:ident: $core:ty, $screen:ty { $($a:ident = $b:ident),+ $(,)? }) => {
        $(#[$doc])*
        pub fn $to(value: $core) -> $screen {
            match value { $(<$core>::$a => <$screen>::$b),+ }
        }
        /// The way back; `None` for what the screens alone know.
        #[allow(unreachable_patterns)]
        pub fn $from(value: $screen) -> Option<$core> {
            match value { $(<$screen>::$b => Some(<$core>::$a),)+ _ => None }
        }
    };
}

pairs!(
/// The screen's reason.
screen_reason, reason_of_screen: ReasonKind, ui::ReasonKind {
    FeverFatigue = Fever, Breathing = Breathing, EarNoseThroat = EarNoseThroat, SkinWound = Skin,
    Urinary = Urinary, Renewal = Renewal, BackJoints = Joints, MoodSleep = Mood, Other = Other,
});
pairs!(
/// The screen's part of the body.
screen_part, part_of_screen: BodyPart, ui::BodyPart {
    Head = Head, Eyes = Eyes, EarNoseThroat = EarNoseThroat, Chest = Chest, Back = Back, Belly = Belly,
    ArmHand = ArmHand, LegFoot = LegFoot, WholeBody = Whole,
});
/// The screen's place of a picture or a sound.
pub fn screen_site(site: BodySite) -> ui::BodySite {
    match site {
        BodySite::RightEar => ui::BodySite::RightEar,
        BodySite::LeftEar => ui::BodySite::LeftEar,
        BodySite::Heart => ui::BodySite::Heart,
        BodySite::RightLung => ui::BodySite::RightLung,
        BodySite::LeftLung => ui::BodySite::LeftLung,
        BodySite::Skin(BodyPart::Chest) => ui::BodySite::Chest,
        BodySite::Skin(BodyPart::Back) => ui::BodySite::Back,
        BodySite::Skin(BodyPart::Belly) => ui::BodySite::Belly,
        BodySite::Skin(BodyPart::ArmHand) => ui::BodySite::ArmHand,
        BodySite::Skin(BodyPart::LegFoot) => ui::BodySite::LegFoot,
        BodySite::Skin(_) => ui::BodySite::Head,
    }
}

pairs!(
/// The screen's warning sign.
screen_sign, sign_of_screen: WarningSign, ui::WarningSign {
    ChestPain = ChestPain, BreathingDifficulty = BreathingDifficulty, FaintingOrConfusion = Fainting,
    SevereBellyPain = SevereBellyPain, FaceArmOrSpeech = FaceArmSpeech, SuddenLossOfSight = SuddenSightLoss,
    SuddenWorstHeadache = WorstHeadache, Seizure = Seizure, HeavyBleeding = SevereBleeding,
    SwellingFace = SuddenSwelling, SevereBurnOrInjury = SevereInjury, FeverWithSpotsOrStiffNeck = FeverWithSpots,
    BabyWithFever = YoungInfantFever, PregnancyTrouble = PregnancyDanger, SuicidalThoughts = ThoughtsOfDeath,
    Poisoning = Poisoning, SuddenTesticularPain = SuddenTesticlePain, RedEyeWithLossOfSight = PainfulRedEye,
    ColdPainfulLimb = ColdPainfulLimb, Dehydration = Dehydration,
});
/// The screen's part of a third person.
pub fn screen_guest_role(role: GuestRole) -> ui::GuestRole {
    match role {
        GuestRole::Interpreter => ui::GuestRole::Interpreter,
        GuestRole::SignInterpreter => ui::GuestRole::SignInterpreter,
        GuestRole::Specialist => ui::GuestRole::Specialist,
        GuestRole::Other => ui::GuestRole::Other,
    }
}

pairs!(
/// The screen's measurement.
screen_measure, measure_of_screen: Measurement, ui::MeasureKind {
    OxygenAndPulse = Oxygen, BloodPressure = Pressure, WeightAndHeight = WeightHeight, Temperature = Temperature,
    Glucose = Glucose, Ecg = Ecg, EarPicture = Ear, SkinPicture = Skin, Auscultation = Auscultation,
});
pairs!(
/// The screen's identity document.
screen_document, document_of_screen: IdentityDocument, ui::IdentityDocument {
    Passport = Passport, IdentityCard = IdentityCard, ResidencePermit = ResidencePermit,
    BirthCertificate = BirthCertificate, FamilyBooklet = FamilyBook,
});

pairs!(
/// The screen's reason why a try gave nothing.
screen_try_trouble, try_trouble_of_screen: Trouble, ui::TryTrouble {
    NoSignal = NoSignal, Moved = Moved, Implausible = Implausible, TookTooLong = TookTooLong,
    DeviceFault = OutOfOrder, Silent = Silent, Busy = Busy, NoResult = NoResult, Stopped = Stopped, Clock = Clock,
    Unit = Unit, Overload = Overload, OtherSubstance = OtherSubstance, BelowRange = BelowRange,
    AboveRange = AboveRange, OutOfRange = OutOfRange, Unsteady = Unsteady, TooLarge = TooLarge,
});

/// A fixture, by its key.
pub fn screen_fixture(key: &str) -> ui::FixtureKind {
    match key {
        "card_vitale" => ui::FixtureKind::CardReader,
        "light_blink1" => ui::FixtureKind::Lamp,
        "door_contact" => ui::FixtureKind::Door,
        "presence_ld2410" => ui::FixtureKind::Presence,
        "scanner_codes" => ui::FixtureKind::Scanner,
        "printer_escpos" => ui::FixtureKind::ReceiptPrinter,
        _ => ui::FixtureKind::None,
    }
}

/// The screen's word for what is to be done about a port.
pub fn screen_remedy(remedy: Remedy) -> ui::DeviceRemedy {
    match remedy {
        Remedy::Permission => ui::DeviceRemedy::Permission,
        Remedy::Held => ui::DeviceRemedy::Held,
        Remedy::NotAPort => ui::DeviceRemedy::NotAPort,
        Remedy::Speed => ui::DeviceRemedy::Speed,
    }
}

/// The screen's trouble with records.
pub fn screen_trouble(code: outbox::FaultCode) -> ui::RecordTrouble {
    match code {
        outbox::FaultCode::DiskShort => ui::RecordTrouble::DiskShort,
        outbox::FaultCode::SyncFailed => ui::RecordTrouble::DiskFailed,
        outbox::FaultCode::ServerUnreachable => ui::RecordTrouble::ServerUnreachable,
        outbox::FaultCode::ServerRefusesAccess => ui::RecordTrouble::ServerRefuses,
        outbox::FaultCode::SetAside | outbox::FaultCode::NotTaken => ui::RecordTrouble::SetAside,
        outbox::FaultCode::IndexRebuilt => ui::RecordTrouble::IndexRebuilt,
        outbox::FaultCode::Damaged => ui::RecordTrouble::Damaged,
        outbox::FaultCode::NoServer => ui::RecordTrouble::NoServer,
        outbox::FaultCode::Replaced => ui::RecordTrouble::Replaced,
    }
}

/// The screen's sex.
pub fn screen_sex(sex: Option<Sex>) -> ui::SexKind {
    match sex {
        Some(Sex::Female) => ui::SexKind::Female,
        Some(Sex::Male) => ui::SexKind::Male,
        Some(Sex::Unknown) | None => ui::SexKind::None,
    }
}

/// The screen's reason to skip.
pub fn screen_skip(reason: Option<SkipReason>) -> ui::SkipReason {
    match reason {
        None => ui::SkipReason::None,
        Some(SkipReason::Hurts) => ui::SkipReason::Pain,
        Some(SkipReason::CannotPlace | SkipReason::NoResult) => ui::SkipReason::Unable,
        // What a device said is no answer of the patient's.
        Some(SkipReason::BelowRange | SkipReason::AboveRange | SkipReason::OutOfRange) => ui::SkipReason::None,
        Some(SkipReason::NotWanted) => ui::SkipReason::Refuses,
        Some(SkipReason::DeviceOut) => ui::SkipReason::Device,
        Some(SkipReason::Withdrawn) => ui::SkipReason::NoNeed,
    }
}

/// The journey's reason to skip.
pub fn skip_of_screen(reason: ui::SkipReason) -> Option<SkipReason> {
    match reason {
        ui::SkipReason::None => None,
        ui::SkipReason::Pain => Some(SkipReason::Hurts),
        ui::SkipReason::Unable => Some(SkipReason::CannotPlace),
        ui::SkipReason::Refuses | ui::SkipReason::NoNeed => Some(SkipReason::NotWanted),
        ui::SkipReason::Device => Some(SkipReason::DeviceOut),
    }
}

/// The figures of readings, as the screens show them.
pub fn screen_figures<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<ui::FigureValue> {
    let figure = |kind, value: i32, second: i32| ui::FigureValue { kind, known: true, value, second };
    values
        .into_iter()
        // For the physician: it says how far the other two can be trusted.
        .filter(|value| !matches!(value, Value::PerfusionIndex(_)))
        .map(|value| match value {
            Value::PerfusionIndex(_) => unreachable!("filtered"),
            Value::Spo2(spo2) => figure(ui::FigureKind::Oxygen, spo2.percent().into(), 0),
            Value::PulseRate(pulse) => figure(ui::FigureKind::Pulse, pulse.per_minute().into(), 0),
            Value::BloodPressure(pressure) => {
                figure(ui::FigureKind::Pressure, pressure.systolic().mmhg().into(), pressure.diastolic().mmhg().into())
            }
            Value::Weight(weight) => {
                figure(ui::FigureKind::Weight, i32::try_from(weight.grams()).unwrap_or(i32::MAX), 0)
            }
            Value::Height(height) => figure(ui::FigureKind::Height, height.millimetres().into(), 0),
            Value::Temperature(temperature) => {
                figure(ui::FigureKind::Temperature, temperature.centi_celsius().into(), 0)
            }
            Value::Glucose(Glucose::Mass(glucose)) => figure(ui::FigureKind::Glucose, glucose.mg_per_dl().into(), 0),
            Value::Glucose(Glucose::Moles(glucose)) => {
                // In which unit: see `FigureKind` of the screens.
                figure(ui::FigureKind::Glucose, glucose.tenths_mmol_per_l().into(), 1)
            }
            Value::Recording(recording) => {
                let kind = match recording.kind {
                    RecordingKind::Ecg => ui::FigureKind::Ecg,
                    RecordingKind::Picture => ui::FigureKind::Picture,
                    RecordingKind::Sound => ui::FigureKind::Sound,
                };
                figure(kind, i32::try_from(recording.duration_ms).unwrap_or(i32::MAX), 0)
            }
        })
        .collect()
}

/// The figures of a measurement before anything is read: names and units without numbers.
pub fn empty_figures(measurement: Measurement) -> Vec<ui::FigureValue> {
    let kinds: &[ui::FigureKind] = match measurement {
        Measurement::OxygenAndPulse => &[ui::FigureKind::Oxygen, ui::FigureKind::Pulse],
        Measurement::BloodPressure => &[ui::FigureKind::Pressure, ui::FigureKind::Pulse],
        Measurement::WeightAndHeight => &[ui::FigureKind::Weight, ui::FigureKind::Height],
        Measurement::Temperature => &[ui::FigureKind::Temperature],
        Measurement::Glucose => &[ui::FigureKind::Glucose],
        Measurement::Ecg => &[ui::FigureKind::Ecg],
        // The picture itself is shown.
        Measurement::EarPicture | Measurement::SkinPicture => &[],
        Measurement::Auscultation => &[ui::FigureKind::Sound],
    };
    kinds.iter().map(|kind| ui::FigureValue { kind: *kind, known: false, value: 0, second: 0 }).collect()
}

/// `empty` with the numbers of `figures` put in.
pub fn merge_figures(empty: Vec<ui::FigureValue>, figures: &[ui::FigureValue]) -> Vec<ui::FigureValue> {
    empty
        .into_iter()
        .map(|place| figures.iter().find(|figure| figure.kind == place.kind).cloned().unwrap_or(place))
        .collect()
}

/// Hour and minute of an instant, local time.
pub fn screen_date(at: Moment) -> ui::BirthDate {
    let offset = i64::from(crate::submission::utc_offset_minutes(at)) * 60;
    let local = time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1_000) + offset);
    let date = local.map_or(time::Date::MIN, time::OffsetDateTime::date);
    ui::BirthDate { day: date.day().into(), month: u8::from(date.month()).into(), year: date.year() }
}

/// The hour and the minute, where the cabin stands.
pub fn screen_time(at: Moment) -> ui::Time {
    let local = at.0 / 60_000 + i64::from(crate::submission::utc_offset_minutes(at));
    let of_day = local.rem_euclid(24 * 60);
    ui::Time { hour: (of_day / 60) as i32, minute: (of_day % 60) as i32 }
}
