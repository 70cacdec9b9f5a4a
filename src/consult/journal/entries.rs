//! Bytes of every input and of what it carries. Tags are for ever.

use super::JournalError;
use super::codec::{Coded, Reader, coded_enum, coded_struct, put_text};
use crate::consent::{ConsentAnswer, ConsentAnswers, Decision};
use crate::dossier::{
    ComeBack, ComeBackCode, ConsultationId, Contact, Contrast, Language, Phone, Presentation, Questionnaire,
    Satisfaction, SkipReason, TextSize, UsualDoctor,
};
use crate::guest::{Guest, GuestRole};
use crate::identity::{BirthDate, CogCode, IdentityDocument, Matricule, Place, Sex, TraitText, Traits};
use crate::journey::{CallEnd, Input, Trouble, WaitingNews};
use crate::physician::{
    Authentication, Document, DocumentKind, NextCare, ORDER_CHARS_MAX, Order, OrderKind, Physician, Rpps, Summary,
};
use crate::private::{Private, PrivateText};
use crate::reason::{BodyPart, Reason, ReasonKind};
use crate::second_opinion::{Detail, Field, HalfWritten, Profession, Requester, SecondOpinion, Specialty};
use crate::site::{DeviceClass, Pharmacist};
use crate::triage::WarningSign;
use crate::vitals::{
    BloodPressure, BodySite, DeviceIdentity, Glucose, GlucoseMass, GlucoseMoles, Height, Measurement, PerfusionIndex,
    PulseRate, Reading, Recording, RecordingKind, Spo2, Temperature, Value, Weight,
};

coded_enum!(Decision { 0 => Given, 1 => Refused });
coded_enum!(TextSize { 0 => Normal, 1 => Large, 2 => VeryLarge });
coded_enum!(Contrast { 0 => Normal, 1 => High, 2 => Dark });
coded_enum!(Sex { 0 => Female, 1 => Male, 2 => Unknown });
coded_enum!(IdentityDocument {
    0 => Passport, 1 => IdentityCard, 2 => ResidencePermit, 3 => BirthCertificate, 4 => FamilyBooklet,
});
coded_enum!(SkipReason {
    0 => NotWanted, 1 => CannotPlace, 2 => Hurts, 3 => NoResult, 4 => DeviceOut, 5 => Withdrawn, 6 => BelowRange,
    7 => AboveRange, 8 => OutOfRange,
});
coded_enum!(Trouble {
    0 => NoSignal, 1 => Moved, 2 => Implausible, 3 => TookTooLong, 4 => DeviceFault, 5 => Silent, 6 => Busy,
    7 => NoResult, 8 => Stopped, 9 => Clock, 10 => Unit, 11 => Overload, 12 => OtherSubstance, 13 => BelowRange,
    14 => AboveRange, 15 => OutOfRange, 16 => Unsteady, 17 => TooLarge,
});
coded_enum!(CallEnd {
    0 => Physician, 1 => GivenBack, 2 => Failed, 3 => PhysicianWithoutPicture, 4 => PhysicianBrokenOff,
});
coded_enum!(Authentication { 0 => None, 1 => LocalTotp, 2 => OpenIdConnect });
coded_enum!(DocumentKind { 0 => Prescription, 1 => Certificate, 2 => Other, 3 => Report, 4 => Letter });
coded_enum!(OrderKind { 0 => Medicine, 1 => Laboratory, 2 => Imaging, 3 => Care, 4 => Advice, 5 => Other });
coded_enum!(NextCare {
    0 => Nobody, 1 => UsualDoctor, 2 => Specialist, 3 => Pharmacist, 4 => Examination, 5 => Teleconsultation,
    6 => EmergencyDepartment, 7 => InPerson, 8 => Nurse,
});
coded_enum!(Measurement { 0 => OxygenAndPulse, 1 => BloodPressure, 2 => WeightAndHeight, 3 => Temperature, 4 => Glucose, 5 => Ecg, 6 => EarPicture, 7 => SkinPicture, 8 => Auscultation });
coded_enum!(RecordingKind { 0 => Ecg, 1 => Picture, 2 => Sound });
coded_enum!(DeviceClass { 0 => Stethoscope, 1 => Otoscope, 2 => Oximeter, 3 => BloodPressure });
coded_enum!(ReasonKind {
    0 => FeverFatigue, 1 => Breathing, 2 => EarNoseThroat, 3 => SkinWound, 4 => Urinary, 5 => Renewal,
    6 => BackJoints, 7 => MoodSleep, 8 => Other,
});
coded_enum!(BodyPart {
    0 => Head, 1 => Eyes, 2 => EarNoseThroat, 3 => Chest, 4 => Back, 5 => Belly, 6 => ArmHand, 7 => LegFoot,
    8 => WholeBody,
});
coded_enum!(WarningSign {
    0 => ChestPain, 1 => BreathingDifficulty, 2 => FaintingOrConfusion, 3 => SevereBellyPain, 4 => FaceArmOrSpeech,
    5 => SuddenLossOfSight, 6 => SuddenWorstHeadache, 7 => Seizure, 8 => HeavyBleeding, 9 => SwellingFace,
    10 => SevereBurnOrInjury, 11 => FeverWithSpotsOrStiffNeck, 12 => BabyWithFever, 13 => PregnancyTrouble,
    14 => SuicidalThoughts, 15 => Poisoning, 16 => SuddenTesticularPain, 17 => RedEyeWithLossOfSight,
    18 => ColdPainfulLimb, 19 => Dehydration,
});

coded_struct!(Pharmacist { id, name });
coded_struct!(Presentation { language, text_size, contrast, lower, voice });
coded_struct!(Reason { kind, body_part, line });
coded_struct!(Place { cog, name });
coded_struct!(Traits { birth_name, given_names, sex, birth_date, birth_place, used_name });
coded_struct!(ComeBack { code, until });
coded_struct!(Contact { usual_doctor, town, phone });
coded_struct!(ConsentAnswer { decision, text_version });
coded_struct!(ConsentAnswers { care, usual_doctor, statistics });
coded_struct!(Questionnaire { satisfaction, would_have_gone_without_care, understood });
coded_struct!(WaitingNews { ahead, wait_minutes });
coded_struct!(DeviceIdentity { model, serial, firmware });
coded_struct!(Reading { value, device, device_at, at, high_quality });
coded_struct!(Recording { kind, blob, sha256, size_bytes, duration_ms, site, packed_here, missing_ms });
coded_struct!(Order { kind, text });
coded_struct!(Summary { text, orders, next, next_note });
coded_enum!(Specialty {
    0 => Dermatology, 1 => Cardiology, 2 => Ent, 3 => Wounds, 4 => General, 5 => Geriatrics, 6 => Neurology,
    7 => Diabetology, 8 => Paediatrics, 9 => Psychiatry, 10 => Ophthalmology, 11 => Nephrology, 12 => Haematology,
    13 => Radiology,
});
coded_enum!(Field {
    0 => Site, 1 => Onset, 2 => Size, 3 => Evolution, 4 => ItchPain, 5 => Symptoms, 6 => Side, 7 => HearingPain,
    8 => Exudate, 9 => AnkleIndex, 10 => History, 11 => Treatments, 12 => Allergies, 13 => Pregnancy,
    14 => FamilyHistory, 15 => Autonomy, 16 => Cognition, 17 => Deficit, 18 => GlucoseLog, 19 => Hba1c, 20 => Modality,
});
coded_enum!(Profession { 0 => Pharmacist, 1 => Nurse });
coded_struct!(Detail { field, text });
coded_struct!(Requester { profession, name, rpps });
coded_struct!(HalfWritten { specialty, question, context, details, profession });
coded_struct!(SecondOpinion { specialty, question, context, urgent, wanted_days, details, requester, consent });
coded_enum!(GuestRole { 0 => Interpreter, 1 => SignInterpreter, 2 => Specialist, 3 => Other });
coded_struct!(Guest { name, role });
coded_struct!(Document { kind, name, blob, sha256, size_bytes });

/// A type with a text form of its own: what its parser refuses is refused here.
macro_rules! coded_text {
    ($type:ident, $of:literal, |$value:ident| $text:expr, |$read:ident| $parse:expr) => {
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let $value = self;
                put_text($text, out);
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
                let $read = reader.text()?;
                $parse.ok_or(JournalError::Value { of: $of })
            }
        }
    };
}
coded_text!(Language, "language", |language| language.code(), |text| Language::from_code(text));
coded_text!(TraitText, "name", |name| name.reveal(), |text| TraitText::parse(text).ok());
coded_text!(Phone, "phone number", |phone| phone.reveal(), |text| Phone::parse(text).ok());
coded_text!(Matricule, "matricule", |number| number.reveal_for_journal(), |text| Matricule::parse(text).ok());
coded_text!(ComeBackCode, "code to come back with", |code| code.reveal(), |text| ComeBackCode::parse(text).ok());
coded_text!(Rpps, "RPPS number", |rpps| &rpps.to_string(), |text| Rpps::parse(text).ok());
coded_text!(CogCode, "place code", |code| code.as_str(), |text| CogCode::parse(text));

impl Coded for Private<String> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.reveal(), out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        reader.text().map(|text| Private::new(text.to_owned()))
    }
}

impl Coded for ConsultationId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        Coded::take(reader).map(ConsultationId)
    }
}

impl Coded for BirthDate {
    fn put(&self, out: &mut Vec<u8>) {
        let (year, month, day) = self.parts();
        year.put(out);
        month.put(out);
        day.put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        let (year, month, day) = (Coded::take(reader)?, Coded::take(reader)?, Coded::take(reader)?);
        BirthDate::new(year, month, day).map_err(|_| JournalError::Value { of: "birth date" })
    }
}

impl Coded for Satisfaction {
    fn put(&self, out: &mut Vec<u8>) {
        self.stars().put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        Satisfaction::from_stars(u8::take(reader)?).ok_or(JournalError::Value { of: "satisfaction" })
    }
}

impl Coded for UsualDoctor {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            UsualDoctor::None => out.push(0),
            UsualDoctor::Unsaid => out.push(1),
            UsualDoctor::Named { name, town } => {
                out.push(2);
                name.put(out);
                town.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        Ok(match u8::take(reader)? {
            0 => UsualDoctor::None,
            1 => UsualDoctor::Unsaid,
            2 => UsualDoctor::Named { name: Coded::take(reader)?, town: Coded::take(reader)? },
            tag => return Err(JournalError::Tag { of: "usual doctor", tag }),
        })
    }
}

impl Coded for Physician {
    fn put(&self, out: &mut Vec<u8>) {
        self.name.put(out);
        self.speciality.put(out);
        self.rpps.to_string().put(out);
        self.town.put(out);
        self.fee_cents.put(out);
        self.authentication.put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        let (name, speciality, rpps, town) = (reader.text()?, reader.text()?, reader.text()?, reader.text()?);
        let (fee_cents, authentication) = (Coded::take(reader)?, Coded::take(reader)?);
        Physician::new(name, speciality, rpps, town, fee_cents, authentication)
            .map_err(|_| JournalError::Value { of: "physician" })
    }
}

impl Coded for Value {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Spo2(spo2) => {
                out.push(0);
                spo2.percent().put(out);
            }
            Value::PulseRate(rate) => {
                out.push(1);
                rate.per_minute().put(out);
            }
            Value::BloodPressure(pressure) => {
                out.push(2);
                pressure.systolic().mmhg().put(out);
                pressure.diastolic().mmhg().put(out);
                pressure.mean().map(|mean| mean.mmhg()).put(out);
            }
            Value::Weight(weight) => {
                out.push(3);
                weight.grams().put(out);
            }
            Value::Height(height) => {
                out.push(4);
                height.millimetres().put(out);
            }
            Value::Temperature(temperature) => {
                out.push(5);
                temperature.centi_celsius().put(out);
            }
            Value::PerfusionIndex(index) => {
                out.push(6);
                index.hundredths_percent().put(out);
            }
            Value::Glucose(Glucose::Mass(glucose)) => {
                out.push(7);
                glucose.mg_per_dl().put(out);
            }
            Value::Glucose(Glucose::Moles(glucose)) => {
                out.push(8);
                glucose.tenths_mmol_per_l().put(out);
            }
            Value::Recording(recording) => {
                out.push(12);
                recording.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        let value = match u8::take(reader)? {
            0 => Spo2::from_percent(Coded::take(reader)?).map(Value::Spo2),
            1 => PulseRate::from_per_minute(Coded::take(reader)?).map(Value::PulseRate),
            2 => {
                let (systolic, diastolic, mean) = (Coded::take(reader)?, Coded::take(reader)?, Coded::take(reader)?);
                BloodPressure::from_mmhg(systolic, diastolic, mean).map(Value::BloodPressure)
            }
            3 => Weight::from_grams(Coded::take(reader)?).map(Value::Weight),
            4 => Height::from_millimetres(Coded::take(reader)?).map(Value::Height),
            5 => Temperature::from_centi_celsius(Coded::take(reader)?).map(Value::Temperature),
            6 => PerfusionIndex::from_hundredths_percent(Coded::take(reader)?).map(Value::PerfusionIndex),
            7 => GlucoseMass::from_mg_per_dl(Coded::take(reader)?).map(|g| Value::Glucose(Glucose::Mass(g))),
            8 => GlucoseMoles::from_tenths_mmol_per_l(Coded::take(reader)?).map(|g| Value::Glucose(Glucose::Moles(g))),
            9 => RecordingWithoutSite::take(reader).map(|old| Ok(Value::Recording(old.0)))?,
            12 => Coded::take(reader).map(Value::Recording).map(Ok)?,
            tag => return Err(JournalError::Tag { of: "vital sign", tag }),
        };
        value.map_err(|_| JournalError::Value { of: "vital sign" })
    }
}

impl Coded for BodySite {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            BodySite::RightEar => out.push(0),
            BodySite::LeftEar => out.push(1),
            BodySite::Heart => out.push(2),
            BodySite::RightLung => out.push(3),
            BodySite::LeftLung => out.push(4),
            BodySite::Skin(part) => {
                out.push(5);
                part.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        Ok(match u8::take(reader)? {
            0 => BodySite::RightEar,
            1 => BodySite::LeftEar,
            2 => BodySite::Heart,
            3 => BodySite::RightLung,
            4 => BodySite::LeftLung,
            5 => BodySite::Skin(Coded::take(reader)?),
            tag => return Err(JournalError::Tag { of: "site on the body", tag }),
        })
    }
}

/// A recording as the first programs wrote it: nobody was asked where. Read for ever, never written.
struct RecordingWithoutSite(Recording);

impl RecordingWithoutSite {
    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        Ok(Self(Recording {
            kind: Coded::take(reader)?,
            blob: Coded::take(reader)?,
            sha256: Coded::take(reader)?,
            size_bytes: Coded::take(reader)?,
            duration_ms: Coded::take(reader)?,
            site: None,
            packed_here: false,
            missing_ms: 0,
        }))
    }
}

/// A summary as the first programs wrote it: orders without their kind. Read for ever, never written.
struct SummaryWithoutKinds(Summary);

impl SummaryWithoutKinds {
    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        let text = Coded::take(reader)?;
        let orders = Vec::<PrivateText<ORDER_CHARS_MAX>>::take(reader)?;
        let orders = orders.into_iter().map(|text| Order { kind: OrderKind::Other, text }).collect();
        Ok(Self(Summary { text, orders, next: Coded::take(reader)?, next_note: Coded::take(reader)? }))
    }
}

macro_rules! coded_inputs {
    (
        plain { $($plain_tag:literal => $plain:ident),* $(,)? }
        one { $($one_tag:literal => $one:ident),* $(,)? }
        fields { $($fields_tag:literal => $fields:ident { $($field:ident),* }),* $(,)? }
        only_read { $($read_tag:literal => $read:ident($former:ident)),* $(,)? }
    ) => {
        impl Coded for Input {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Input::$plain => out.push($plain_tag),)*
                    $(Input::$one(value) => {
                        out.push($one_tag);
                        value.put(out);
                    })*
                    $(Input::$fields { $($field),* } => {
                        out.push($fields_tag);
                        $($field.put(out);)*
                    })*
                }
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
                Ok(match u8::take(reader)? {
                    $($plain_tag => Input::$plain,)*
                    $($one_tag => Input::$one(Coded::take(reader)?),)*
                    $($fields_tag => Input::$fields { $($field: Coded::take(reader)?),* },)*
                    $($read_tag => Input::$read($former::take(reader)?.0),)*
                    tag => return Err(JournalError::Tag { of: "input", tag }),
                })
            }
        }
    };
}

coded_inputs! {
    plain {
        2 => ClosedByPharmacist, 3 => HelpAnswered, 4 => HelpDone, 6 => AssistanceStarted, 7 => AssistanceEnded,
        8 => EmergencyCleared, 9 => EmergencyHandedOver, 10 => Cleaned,
        22 => HelpAsked, 23 => EmergencyAsked, 24 => EmergencyClosed, 25 => Left, 26 => Back, 27 => Touched,
        28 => MoreTime, 29 => ListenAsked,
        43 => NoWarningSign, 47 => MeasuringStarted, 48 => ReadingsKept, 49 => Retake, 51 => PhysicianAccepted,
        52 => PhysicianDeclined, 53 => HungUp, 54 => PrintAsked, 55 => Continued,
        90 => NetworkLost, 91 => NetworkBack, 94 => PhysicianWithdrawn, 95 => CallConnected, 96 => CallInterrupted,
        97 => CallResumed, 99 => MeasurementRequestWithdrawn,
        110 => RecordSealed, 111 => RecordNotSealed, 112 => Restarted, 113 => RecordKeptAside,
        120 => InactivityWarned, 121 => WalkedAway, 122 => HelpUnanswered, 123 => ReceiptShown,
        124 => PresentationReset, 125 => StoringRetried,
        106 => GuestLeft,
    }
    one {
        1 => SignedIn, 11 => OpenedDegraded, 5 => IdentityChecked, 21 => PresentationChosen, 40 => Begun, 41 => ReasonGiven,
        45 => ContactGiven, 46 => ConsentsAnswered, 50 => Skipped, 56 => QuestionnaireAnswered,
        72 => DeviceLost, 73 => DeviceBack,
        57 => CallBackAsked, 58 => ComeBackAsked, 59 => CameBack, 64 => SecondOpinionAsked,
        65 => MeasurementAdded, 66 => SecondOpinionWritten, 92 => WaitingRoomNews, 93 => PhysicianOffered,
        98 => MeasurementRequested,
        101 => DocumentReceived, 102 => CallEnded, 103 => SummaryReceived,
        104 => NoticeReceived, 105 => GuestCame,
    }
    fields {
        42 => WarningSignAnswered { sign, present },
        44 => IdentityGiven { traits, matricule },
        70 => ReadingsTaken { measurement, readings },
        71 => MeasuringFailed { measurement, trouble },
        74 => PrintEnded { printed },
        75 => EquipmentChecked { missing },
    }
    only_read {
        100 => SummaryReceived(SummaryWithoutKinds),
    }
}
