//! The journey's words in those of the wire and of the screens, and back. No decision is made here.

mod screen;

use consult::dossier::{Contact, Dossier, Incident, IncidentKind, LeftByCall, SkipReason, UsualDoctor};
use consult::guest::{Guest, GuestRole};
use consult::identity::{IdentityDocument, IdentityStatus, Sex};
use consult::physician::{DocumentKind, NextCare, OrderKind};
use consult::private::PrivateText;
use consult::reason::{BodyPart, ReasonKind};
use consult::site::DeviceClass;
use consult::triage::WarningSign;
use consult::vitals::{BodySite, Glucose, Measurement, Moment, Reading, RecordingKind, Value};
use signal::documents::Sha256Hex;
use signal::link;
use signal::{Code, ItemId, Text, data};

pub use screen::*;

/// The wire's measurement.
pub fn wire_measurement(measurement: Measurement) -> data::MeasurementKind {
    match measurement {
        Measurement::OxygenAndPulse => data::MeasurementKind::OxygenAndPulse,
        Measurement::BloodPressure => data::MeasurementKind::BloodPressure,
        Measurement::WeightAndHeight => data::MeasurementKind::WeightAndHeight,
        Measurement::Temperature => data::MeasurementKind::Temperature,
        Measurement::Glucose => data::MeasurementKind::Glucose,
        Measurement::Ecg => data::MeasurementKind::Ecg,
        Measurement::EarPicture => data::MeasurementKind::EarPicture,
        Measurement::SkinPicture => data::MeasurementKind::SkinPicture,
        Measurement::Auscultation => data::MeasurementKind::Auscultation,
    }
}

/// The journey's measurement; `None` for one that this release does not know.
pub fn measurement(kind: data::MeasurementKind) -> Option<Measurement> {
    Measurement::ALL.into_iter().find(|measurement| wire_measurement(*measurement) == kind)
}

/// The wire's sex.
pub fn wire_sex(sex: Sex) -> data::Sex {
    match sex {
        Sex::Female => data::Sex::Female,
        Sex::Male => data::Sex::Male,
        Sex::Unknown => data::Sex::Unknown,
    }
}

/// The wire's code of a reason.
pub fn wire_reason(kind: ReasonKind) -> &'static str {
    match kind {
        ReasonKind::FeverFatigue => "fever",
        ReasonKind::Breathing => "breathing",
        ReasonKind::EarNoseThroat => "ear_nose_throat",
        ReasonKind::SkinWound => "skin",
        ReasonKind::Urinary => "urinary",
        ReasonKind::Renewal => "renewal",
        ReasonKind::BackJoints => "back_joints",
        ReasonKind::MoodSleep => "mood_sleep",
        ReasonKind::Other => "other",
    }
}

fn wire_part(part: BodyPart) -> &'static str {
    match part {
        BodyPart::Head => "head",
        BodyPart::Eyes => "eyes",
        BodyPart::EarNoseThroat => "ear_nose_throat",
        BodyPart::Chest => "chest",
        BodyPart::Back => "back",
        BodyPart::Belly => "belly",
        BodyPart::ArmHand => "arm_hand",
        BodyPart::LegFoot => "leg_foot",
        BodyPart::WholeBody => "whole_body",
    }
}

/// The wire's code of a warning sign, and the question in French, for the physician.
fn wire_sign(sign: WarningSign) -> (&'static str, &'static str) {
    match sign {
        WarningSign::ChestPain => ("chest_pain", "Douleur dans la poitrine"),
        WarningSign::BreathingDifficulty => ("breathing_difficulty", "Grande gêne pour respirer"),
        WarningSign::FaintingOrConfusion => ("fainting_or_confusion", "Perte de connaissance ou confusion"),
        WarningSign::SevereBellyPain => ("severe_belly_pain", "Forte douleur au ventre qui ne cesse pas"),
        WarningSign::FaceArmOrSpeech => ("face_arm_or_speech", "Visage, bras ou parole, d’un coup"),
        WarningSign::SuddenLossOfSight => ("sudden_loss_of_sight", "Perte soudaine de la vue"),
        WarningSign::SuddenWorstHeadache => ("sudden_worst_headache", "Mal de tête très fort et soudain"),
        WarningSign::Seizure => ("seizure", "Secousses de tout le corps"),
        WarningSign::HeavyBleeding => ("heavy_bleeding", "Perte de beaucoup de sang"),
        WarningSign::SwellingFace => ("swelling_face", "Gonflement du visage ou de la gorge"),
        WarningSign::SevereBurnOrInjury => ("severe_burn_or_injury", "Brûlure grave ou choc violent"),
        WarningSign::FeverWithSpotsOrStiffNeck => ("fever_with_spots", "Fièvre avec taches ou nuque raide"),
        WarningSign::BabyWithFever => ("baby_with_fever", "Bébé de moins de 3 mois avec fièvre"),
        WarningSign::PregnancyTrouble => ("pregnancy_trouble", "Grossesse : sang, contractions, mal de tête"),
        WarningSign::SuicidalThoughts => ("suicidal_thoughts", "Pensées de mort"),
        WarningSign::Poisoning => ("poisoning", "Produit dangereux avalé ou respiré"),
        WarningSign::SuddenTesticularPain => ("sudden_testicular_pain", "Douleur soudaine aux testicules"),
        WarningSign::RedEyeWithLossOfSight => ("red_eye", "Œil rouge douloureux qui voit moins"),
        WarningSign::ColdPainfulLimb => ("cold_painful_limb", "Membre froid, pâle et douloureux"),
        WarningSign::Dehydration => ("dehydration", "Ne boit plus, dort sans cesse"),
    }
}

/// The identity as the physician may see it; `None` before it is known. The matricule only when qualified.
pub fn wire_identity(dossier: &Dossier, now: Moment) -> Option<data::Identity> {
    let identity = dossier.identity.as_ref()?;
    let traits = identity.traits();
    let (year, month, day) = traits.birth_date.official();
    let (status, document_seen) = match identity.status() {
        IdentityStatus::Provisional => (data::IdentityStatus::Provisional, None),
        IdentityStatus::Validated(validation) => {
            (data::IdentityStatus::Validated, Code::new(wire_document(validation.document)).ok())
        }
        IdentityStatus::Qualified(_) => (data::IdentityStatus::Qualified, None),
    };
    Some(data::Identity {
        birth_name: Text::cut(traits.birth_name.reveal()),
        first_names: Text::cut(traits.given_names.reveal()),
        sex: wire_sex(traits.sex),
        birth_date: Text::cut(&format!("{year:04}-{month:02}-{day:02}")),
        birth_place_code: Text::cut(traits.birth_place.cog.as_str()),
        birth_place: Text::cut(traits.birth_place.name.reveal()),
        age_years: traits.birth_date.age_years(now),
        status,
        document_seen,
        matricule: identity.matricule().ok().map(Text::cut),
    })
}

fn wire_document(document: IdentityDocument) -> &'static str {
    match document {
        IdentityDocument::Passport => "passport",
        IdentityDocument::IdentityCard => "identity_card",
        IdentityDocument::ResidencePermit => "residence_permit",
        IdentityDocument::BirthCertificate => "birth_certificate",
        IdentityDocument::FamilyBooklet => "family_booklet",
    }
}

/// What the patient answered; `None` before there is a reason.
pub fn wire_answers(dossier: &Dossier, site_kind: &Code) -> Option<data::Answers> {
    let reason = dossier.reason.as_ref()?;
    let contact = dossier.contact.as_ref();
    let consents = dossier.consents.last().map(|consents| {
        consult::consent::Purpose::ALL
            .into_iter()
            .filter_map(|purpose| {
                let answer = consents.answers.answer(purpose);
                Some(data::ConsentGiven {
                    purpose: Code::new(match purpose {
                        consult::consent::Purpose::Care => "care",
                        consult::consent::Purpose::UsualDoctor => "usual_doctor",
                        consult::consent::Purpose::Statistics => "statistics",
                    })
                    .ok()?,
                    given: consents.is_given(purpose),
                    text_version: Text::cut(&answer.text_version.to_string()),
                    at: consents.at.0,
                })
            })
            .collect()
    });
    let signs = WarningSign::asked_for(reason.kind).iter().filter_map(|sign| {
        let present = dossier.warning_answer(*sign)?;
        let (code, question) = wire_sign(*sign);
        Some(data::WarningSign { sign: Code::new(code).ok()?, question: Text::cut(question), present })
    });
    Some(data::Answers {
        reason: Code::new(wire_reason(reason.kind)).ok()?,
        body_part: reason.body_part.and_then(|part| Code::new(wire_part(part)).ok()),
        free_line: Text::cut(reason.line.reveal()),
        warning_signs: signs.collect(),
        sign_cleared: dossier.sign_cleared.as_ref().map(|(sign, by, at)| data::SignCleared {
            question: Text::cut(wire_sign(*sign).1),
            by: Text::cut(&by.name),
            at: at.0,
        }),
        usual_doctor: Text::cut(&contact.map(usual_doctor).unwrap_or_default()),
        town: Text::cut(contact.map_or("", |contact| contact.town.name.reveal())),
        callback_phone: contact.and_then(|contact| contact.phone.as_ref()).map(|phone| Text::cut(phone.reveal())),
        consents: consents.unwrap_or_default(),
        site_kind: site_kind.clone(),
        language: Code::new(dossier.presentation.language.code()).ok()?,
    })
}

fn usual_doctor(contact: &Contact) -> String {
    match &contact.usual_doctor {
        UsualDoctor::None => "aucun".to_owned(),
        UsualDoctor::Unsaid => String::new(),
        UsualDoctor::Named { name, town } if town.is_empty() => name.reveal().to_owned(),
        UsualDoctor::Named { name, town } => format!("{}, {}", name.reveal(), town.reveal()),
    }
}

/// The readings of one act as the wire groups them: the figures of a cuff together, the others one by one.
pub fn wire_readings(
    measurement: Measurement,
    readings: &[Reading],
    id: &str,
    retaken: bool,
    now: Moment,
) -> Vec<data::Reading> {
    let mut grouped: Vec<data::Reading> = Vec::new();
    for (place, reading) in readings.iter().enumerate() {
        let figures = wire_figures(&reading.value);
        let file = wire_file(&reading.value);
        // A cuff gives pressures and pulse at one moment: one reading of up to four figures. A recording stands alone.
        let fits = |last: &&mut data::Reading| {
            last.at == reading.at.0 && last.figures.len() + figures.len() <= 4 && last.file.is_none() && file.is_none()
        };
        if let Some(last) = grouped.last_mut().filter(fits) {
            last.figures.extend(figures);
            continue;
        }
        let (Ok(id), Ok(model)) = (ItemId::new(format!("{id}-{place}")), Code::new(reading.device.model.as_str()))
        else {
            tracing::error!("a device's model key cannot travel");
            continue;
        };
        grouped.push(data::Reading {
            id,
            measurement: wire_measurement(measurement),
            body_site: wire_site(&reading.value),
            figures,
            device_model: model,
            device_serial: reading.device.serial.as_deref().map(Text::cut),
            at: reading.at.0,
            age_ms: now.millis_since(reading.at),
            high_quality: reading.high_quality,
            retaken,
            file,
        });
    }
    grouped
}

fn wire_file(value: &Value) -> Option<data::File> {
    let Value::Recording(recording) = value else { return None };
    let content_type = match recording.kind {
        RecordingKind::Ecg => "application/x-telecabine-ecg",
        RecordingKind::Picture => "image/jpeg",
        RecordingKind::Sound => "audio/flac",
    };
    Some(data::File {
        content_type: Text::cut(content_type),
        bytes: recording.size_bytes,
        sha256: Sha256Hex::from(recording.sha256),
        packed_here: recording.packed_here,
        missing_ms: recording.missing_ms,
    })
}

fn wire_site(value: &Value) -> Option<Code> {
    let Value::Recording(recording) = value else { return None };
    let word = match recording.site? {
        BodySite::RightEar => "right_ear",
        BodySite::LeftEar => "left_ear",
        BodySite::Heart => "heart",
        BodySite::RightLung => "right_lung",
        BodySite::LeftLung => "left_lung",
        BodySite::Skin(part) => wire_part(part),
    };
    Code::new(word).ok()
}

fn wire_figures(value: &Value) -> Vec<data::Figure> {
    let figure = |quantity, value: i32, text: String| data::Figure::new(quantity, value, Text::cut(&text));
    match value {
        Value::Spo2(spo2) => vec![figure(data::Quantity::Spo2, spo2.percent().into(), format!("{} %", spo2.percent()))],
        Value::PulseRate(pulse) => {
            let pulse = pulse.per_minute();
            vec![figure(data::Quantity::PulseRate, pulse.into(), format!("{pulse} /min"))]
        }
        Value::BloodPressure(pressure) => {
            let mmhg = |quantity, value: u16| figure(quantity, value.into(), format!("{value} mmHg"));
            let mut figures = vec![
                mmhg(data::Quantity::Systolic, pressure.systolic().mmhg()),
                mmhg(data::Quantity::Diastolic, pressure.diastolic().mmhg()),
            ];
            figures.extend(pressure.mean().map(|mean| mmhg(data::Quantity::MeanPressure, mean.mmhg())));
            figures
        }
        Value::Weight(weight) => {
            let grams = weight.grams();
            // At most 350,000 g.
            let text = format!("{},{:03} kg", grams / 1_000, grams % 1_000);
            vec![figure(data::Quantity::Weight, i32::try_from(grams).unwrap_or(i32::MAX), text)]
        }
        Value::Height(height) => {
            let mm = height.millimetres();
            vec![figure(data::Quantity::Height, mm.into(), format!("{},{} cm", mm / 10, mm % 10))]
        }
        Value::Temperature(temperature) => {
            let c = temperature.centi_celsius();
            vec![figure(data::Quantity::Temperature, c.into(), format!("{},{:02} °C", c / 100, c % 100))]
        }
        Value::PerfusionIndex(index) => {
            let p = index.hundredths_percent();
            vec![figure(data::Quantity::PerfusionIndex, p.into(), format!("{},{:02} %", p / 100, p % 100))]
        }
        Value::Glucose(Glucose::Mass(glucose)) => {
            let mass = glucose.mg_per_dl();
            vec![figure(data::Quantity::GlucoseMass, mass.into(), format!("{mass} mg/dL"))]
        }
        Value::Glucose(Glucose::Moles(glucose)) => {
            let moles = glucose.tenths_mmol_per_l();
            vec![figure(data::Quantity::GlucoseMoles, moles.into(), format!("{},{} mmol/L", moles / 10, moles % 10))]
        }
        Value::Recording(recording) => {
            let ms = i32::try_from(recording.duration_ms).unwrap_or(i32::MAX);
            let text =
                if recording.kind == RecordingKind::Picture { "image".into() } else { format!("{} s", ms / 1_000) };
            vec![figure(data::Quantity::Recording, ms, text)]
        }
    }
}

/// A third person, as the page says who it is.
pub fn guest(guest: &signal::guest::Guest) -> Option<Guest> {
    let role = match guest.role {
        signal::guest::GuestRole::Interpreter => GuestRole::Interpreter,
        signal::guest::GuestRole::SignInterpreter => GuestRole::SignInterpreter,
        signal::guest::GuestRole::Specialist => GuestRole::Specialist,
        signal::guest::GuestRole::Other => GuestRole::Other,
    };
    Some(Guest { name: PrivateText::new(guest.name.as_str()).ok()?, role })
}

/// The wire's incident.
pub fn wire_incident(incident: &Incident) -> Option<link::Incident> {
    let (kind, device) = match incident.kind {
        IncidentKind::NetworkLost => ("network_lost", None),
        IncidentKind::CallInterrupted => ("call_interrupted", None),
        IncidentKind::DeviceLost(measurement) => ("device_lost", Some(measurement_code(measurement))),
        IncidentKind::WithoutDevice(class) => ("without_device", Some(class_code(class))),
        IncidentKind::CabinRestarted => ("cabin_restarted", None),
        IncidentKind::WithoutPicture => ("without_picture", None),
        IncidentKind::BrokenOff => ("broken_off", None),
    };
    Some(link::Incident {
        kind: Code::new(kind).ok()?,
        device: device.and_then(|device| Code::new(device).ok()),
        started_at: incident.started_at.0,
        ended_at: incident.ended_at.map(|at| at.0),
    })
}

fn measurement_code(measurement: Measurement) -> &'static str {
    match measurement {
        Measurement::OxygenAndPulse => "oxygen_and_pulse",
        Measurement::BloodPressure => "blood_pressure",
        Measurement::WeightAndHeight => "weight_and_height",
        Measurement::Temperature => "temperature",
        Measurement::Glucose => "glucose",
        Measurement::Ecg => "ecg",
        Measurement::EarPicture => "ear_picture",
        Measurement::SkinPicture => "skin_picture",
        Measurement::Auscultation => "auscultation",
    }
}

fn class_code(class: DeviceClass) -> &'static str {
    match class {
        DeviceClass::Stethoscope => "stethoscope",
        DeviceClass::Otoscope => "otoscope",
        DeviceClass::Oximeter => "oximeter",
        DeviceClass::BloodPressure => "cuff",
    }
}

/// The journey's next care.
pub fn next_care(next: data::NextStep) -> NextCare {
    match next {
        data::NextStep::None => NextCare::Nobody,
        data::NextStep::UsualDoctor => NextCare::UsualDoctor,
        data::NextStep::InPerson => NextCare::InPerson,
        data::NextStep::Specialist => NextCare::Specialist,
        data::NextStep::Emergency => NextCare::EmergencyDepartment,
        data::NextStep::Teleconsultation => NextCare::Teleconsultation,
        data::NextStep::Nurse => NextCare::Nurse,
        data::NextStep::Pharmacist => NextCare::Pharmacist,
        data::NextStep::Examination => NextCare::Examination,
    }
}

/// The journey's kind of order.
pub fn order_kind(kind: data::OrderKind) -> OrderKind {
    match kind {
        data::OrderKind::Medicine => OrderKind::Medicine,
        data::OrderKind::Laboratory => OrderKind::Laboratory,
        data::OrderKind::Imaging => OrderKind::Imaging,
        data::OrderKind::Care => OrderKind::Care,
        data::OrderKind::Advice => OrderKind::Advice,
        data::OrderKind::Other => OrderKind::Other,
    }
}

/// What a call before left, for the page of who takes the patient again.
pub fn wire_handed_before(left: &LeftByCall<'_>) -> data::HandedBefore {
    let kind = |kind| data::OrderKind::ALL.into_iter().find(|wire| order_kind(*wire) == kind);
    let orders = left.summary.into_iter().flat_map(|summary| &summary.orders);
    let orders =
        orders.filter_map(|order| Some(data::Order { kind: kind(order.kind)?, text: Text::cut(order.text.reveal()) }));
    let next = |wire: &data::NextStep| left.summary.is_some_and(|summary| next_care(*wire) == summary.next);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    data::HandedBefore {
        at: left.at.0,
        by: Text::cut(&left.physician.name),
        text: Text::cut(&text(left.summary.map(|summary| summary.text.reveal()))),
        orders: orders.collect(),
        next: data::NextStep::ALL.into_iter().find(next).unwrap_or(data::NextStep::None),
        next_text: Text::cut(&text(left.summary.map(|summary| summary.next_note.reveal()))),
        documents: left
            .documents
            .iter()
            .take(data::ORDERS_MAX)
            .filter_map(|received| {
                data::DocumentKind::ALL.into_iter().find(|wire| document_kind(*wire) == received.document.kind)
            })
            .collect(),
    }
}

/// The journey's document.
pub fn document_kind(kind: data::DocumentKind) -> DocumentKind {
    match kind {
        data::DocumentKind::Prescription => DocumentKind::Prescription,
        data::DocumentKind::Report => DocumentKind::Report,
        data::DocumentKind::Letter => DocumentKind::Letter,
        data::DocumentKind::Certificate => DocumentKind::Certificate,
        data::DocumentKind::Other => DocumentKind::Other,
    }
}

/// The wire's name of a document's kind.
pub fn wire_document_kind(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Prescription => "prescription",
        DocumentKind::Certificate => "certificate",
        DocumentKind::Other => "other",
        DocumentKind::Report => "report",
        DocumentKind::Letter => "letter",
    }
}

/// Why a measurement was skipped, for the physician; nothing to say when the physician withdrew it.
pub fn wire_skip(reason: SkipReason) -> Option<&'static str> {
    match reason {
        SkipReason::NotWanted => Some("le patient ne veut pas"),
        SkipReason::CannotPlace => Some("l’appareil ne peut pas être placé"),
        SkipReason::Hurts => Some("cela fait mal"),
        SkipReason::NoResult => Some("pas de résultat après plusieurs essais"),
        SkipReason::DeviceOut => Some("appareil absent ou en panne"),
        SkipReason::Withdrawn => None,
        SkipReason::BelowRange => Some("l’appareil affiche « LO » : sous ce qu’il peut mesurer"),
        SkipReason::AboveRange => Some("l’appareil affiche « HI » : au-dessus de ce qu’il peut mesurer"),
        SkipReason::OutOfRange => Some("hors de ce que l’appareil peut mesurer : voir son écran"),
    }
}
