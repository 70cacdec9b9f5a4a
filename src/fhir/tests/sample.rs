//! A consultation with one of everything.

use consult::consent::{ConsentAnswer, ConsentAnswers, Consents, Decision};
use consult::dossier::{
    CallRecord, ConsultationId, Contact, Dossier, Incident, IncidentKind, Kept, Outcome, Phone, Presentation,
    Questionnaire, ReceivedDocument, ReceivedSummary, Satisfaction, SkipReason, Skipped, UsualDoctor,
};
use consult::ecg::{Ecg, Lead, MISSING};
use consult::guest::{Attendance, Guest, GuestRole};
use consult::identity::{
    BirthDate, CogCode, Identity, IdentityDocument, Matricule, Place, Sex, TraitText, Traits, Validation,
};
use consult::physician::{Authentication, Document, DocumentKind, NextCare, Order, OrderKind, Physician, Summary};
use consult::private::{Private, PrivateText};
use consult::reason::{BodyPart, Reason, ReasonKind};
use consult::site::Pharmacist;
use consult::triage::{WarningAnswer, WarningSign};
use consult::vitals::{
    BloodPressure, BodySite, DeviceIdentity, Height, Measurement, Moment, PulseRate, Reading, Recording, RecordingKind,
    Spo2, Temperature, Value, Weight,
};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

use crate::{Context, Files, ModelFacts, RecordingFile, Site, SiteKind};

/// 2026-11-22, 14:05:00 in Paris.
pub(super) const BEGAN: i64 = 1_795_352_700_000;

/// Of the patient of the samples; it must never be sent.
pub(super) const MATRICULE: &str = "279035121518989";

/// Of the physician of the samples.
pub(super) const RPPS: &str = "10001234565";

/// Prescription, certificate, the patient's sheet.
pub(super) const PDFS: [&[u8]; 3] = [b"%PDF-1.4 prescription", b"%PDF-1.4 certificate", b"%PDF-1.4 sheet"];

pub(super) fn at(seconds: i64) -> Moment {
    Moment(BEGAN + seconds * 1_000)
}

pub(super) fn site() -> Site {
    Site {
        name: "Pharmacie du Port".to_owned(),
        kind: SiteKind::Pharmacy,
        finess: Some("290000017".to_owned()),
        street: "3 quai Malbert".to_owned(),
        postal_code: "29200".to_owned(),
        city: "Brest".to_owned(),
    }
}

pub(super) fn context(site: &Site) -> Context<'_> {
    Context {
        cabin: "cabin-brest-1",
        site,
        software_version: "0.1.0",
        now: at(1_500),
        utc_offset_minutes: 60,
        model: facts,
    }
}

fn facts(model: &str) -> ModelFacts {
    match model {
        "ecg_cyton" => ModelFacts { maker: Some("OpenBCI"), is_medical: false },
        "oximeter_nonin" => ModelFacts { maker: Some("Nonin"), is_medical: true },
        _ => ModelFacts { maker: None, is_medical: true },
    }
}

pub(super) fn files(dossier: &Dossier) -> Files<'static> {
    Files {
        physician: &PDFS[..dossier.documents.len()],
        summary: dossier.summaries.last().map(|_| PDFS[2]),
        recordings: recordings(),
    }
}

/// An electrocardiogram, a picture, a sound.
pub(super) fn recordings() -> &'static [RecordingFile<'static>] {
    static FILES: OnceLock<Vec<RecordingFile<'static>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let ecg: &'static [u8] = ecg().to_bytes().leak();
        [ecg, b"\xFF\xD8\xFF\xE0 a picture \xFF\xD9", b"fLaC a sound"]
            .into_iter()
            .zip(0u8..)
            .map(|(bytes, number)| RecordingFile { blob: [number; 16], bytes })
            .collect()
    })
}

/// A tenth of a second of eight leads; a sample of V1 is missing.
pub(super) fn ecg() -> Ecg {
    let leads = [Lead::I, Lead::II, Lead::V1, Lead::V2, Lead::V3, Lead::V4, Lead::V5, Lead::V6];
    let sample = |at: i32| if at == 42 { MISSING } else { (at - 200) * 11 };
    Ecg::new(leads.to_vec(), 500, 44_703_489, (0..400).map(sample).collect()).unwrap()
}

fn recording(kind: RecordingKind, number: u8, duration_ms: u32) -> Value {
    let bytes = recordings()[usize::from(number)].bytes;
    Value::Recording(Recording {
        kind,
        blob: [number; 16],
        sha256: Sha256::digest(bytes).into(),
        size_bytes: bytes.len() as u32,
        duration_ms,
        site: match kind {
            RecordingKind::Ecg => None,
            RecordingKind::Picture => Some(BodySite::RightEar),
            RecordingKind::Sound => Some(BodySite::Heart),
        },
        packed_here: kind == RecordingKind::Picture,
        missing_ms: if kind == RecordingKind::Sound { 40 } else { 0 },
    })
}

pub(super) fn device(model: &str, serial: Option<&str>) -> DeviceIdentity {
    DeviceIdentity { model: model.to_owned(), serial: serial.map(str::to_owned), firmware: Some("113".to_owned()) }
}

pub(super) fn reading(value: Value, device: &DeviceIdentity, seconds: i64) -> Reading {
    Reading { value, device: device.clone(), device_at: None, at: at(seconds), high_quality: None }
}

fn place(code: &str, name: &str) -> Place {
    Place { cog: CogCode::parse(code).unwrap(), name: Private::new(name.to_owned()) }
}

fn text<const MAX: usize>(text: &str) -> PrivateText<MAX> {
    PrivateText::new(text).unwrap()
}

pub(super) fn pharmacist() -> Pharmacist {
    Pharmacist { id: "lefevre".to_owned(), name: "Anne Lefèvre".to_owned() }
}

pub(super) fn physician() -> Physician {
    let authentication = Authentication::LocalTotp;
    Physician::new("Dr Claire Morel", "Médecine générale", RPPS, "Rennes", 2_500, authentication).unwrap()
}

pub(super) fn typed_identity() -> Identity {
    let traits = Traits {
        birth_name: TraitText::parse("Pat-Trois").unwrap(),
        given_names: TraitText::parse("Dominique Marie-Louise").unwrap(),
        sex: Sex::Female,
        birth_date: BirthDate::new(1979, Some(3), Some(28)).unwrap(),
        birth_place: place("51215", "Dommartin-Varimont"),
        used_name: Some(TraitText::parse("Durand").unwrap()),
    };
    Identity::typed(traits, Some(Matricule::parse(MATRICULE).unwrap()))
}

pub(super) fn validated_identity(document: IdentityDocument) -> Identity {
    let mut identity = typed_identity();
    identity.validate(Validation { document, by: pharmacist(), at: at(60) });
    identity
}

fn document(kind: DocumentKind, pdf: &[u8], seconds: i64) -> ReceivedDocument {
    ReceivedDocument {
        document: Document {
            kind,
            name: text("ordonnance.pdf"),
            blob: "blob".to_owned(),
            sha256: Sha256::digest(pdf).into(),
            size_bytes: pdf.len() as u64,
        },
        physician: physician(),
        at: at(seconds),
    }
}

pub(super) fn consents(decisions: [Decision; 3], seconds: i64) -> Consents {
    let answer = |decision| ConsentAnswer { decision, text_version: 20_261_101 };
    let [care, usual_doctor, statistics] = decisions.map(answer);
    Consents { answers: ConsentAnswers { care, usual_doctor, statistics }, at: at(seconds) }
}

fn attendance(name: &str, role: GuestRole, came: i64, left: i64) -> Attendance {
    Attendance { guest: Guest { name: text(name), role }, came_at: at(came), left_at: Some(at(left)) }
}

pub(super) fn dossier() -> Dossier {
    let oximeter = device("oximeter_nonin", Some("501234567"));
    let cuff = device("blood_pressure_suntech", None);
    let thermometer = device("thermometer_taidoc", Some("T-77"));
    let scale = device("scale_healthometer", Some("H/1"));
    let electrodes = device("ecg_cyton", None);
    let otoscope = device("camera_uvc", Some("OTO-1"));
    let stethoscope = device("stethoscope_usb", Some("STE-1"));
    let kept =
        |measurement, readings, seconds| Kept { measurement, readings, asked_by_physician: false, at: at(seconds) };
    let skipped =
        |measurement, reason, seconds| Skipped { measurement, reason, at: at(seconds), asked_by_physician: true };
    let mut weak = reading(Value::Spo2(Spo2::from_percent(97).unwrap()), &oximeter, 200);
    weak.high_quality = Some(false);
    weak.at = Moment(weak.at.0 + 120);
    // Taken by the thermometer's own clock, and fetched from its memory eight seconds later.
    let mut stored = reading(Value::Temperature(Temperature::from_centi_celsius(3_680).unwrap()), &thermometer, 150);
    stored.device_at = Some(at(142));
    let pulse = |per_minute| Value::PulseRate(PulseRate::from_per_minute(per_minute).unwrap());
    let answer = |sign| WarningAnswer { sign, present: false, at: at(30) };
    Dossier {
        id: ConsultationId([0x12; 16]),
        started_at: at(0),
        presentation: Presentation::default(),
        pharmacists: vec![pharmacist()],
        assisted: Vec::new(),
        reason: Some(Reason {
            kind: ReasonKind::EarNoseThroat,
            body_part: Some(BodyPart::EarNoseThroat),
            line: text("Mal de gorge depuis \"mardi\" & fièvre"),
        }),
        warning_answers: vec![answer(WarningSign::ChestPain), answer(WarningSign::BreathingDifficulty)],
        sign_cleared: None,
        identity: Some(validated_identity(IdentityDocument::IdentityCard)),
        contact: Some(Contact {
            usual_doctor: UsualDoctor::Named { name: text("Dr Le Goff"), town: text("Brest") },
            town: place("29019", "Brest"),
            phone: Some(Phone::parse("06 00 00 00 00").unwrap()),
        }),
        consents: vec![
            consents([Decision::Given, Decision::Refused, Decision::Refused], 100),
            consents([Decision::Given, Decision::Given, Decision::Refused], 103),
        ],
        kept: vec![
            kept(Measurement::Temperature, vec![stored], 155),
            kept(Measurement::OxygenAndPulse, vec![weak, reading(pulse(72), &oximeter, 200)], 210),
            kept(
                Measurement::BloodPressure,
                vec![
                    reading(Value::BloodPressure(BloodPressure::from_mmhg(128, 79, Some(95)).unwrap()), &cuff, 300),
                    reading(pulse(74), &cuff, 300),
                ],
                310,
            ),
            kept(
                Measurement::WeightAndHeight,
                vec![
                    reading(Value::Weight(Weight::from_grams(72_350).unwrap()), &scale, 400),
                    reading(Value::Height(Height::from_millimetres(1_753).unwrap()), &scale, 400),
                ],
                410,
            ),
            kept(
                Measurement::Ecg,
                vec![
                    reading(recording(RecordingKind::Ecg, 0, 100), &electrodes, 450),
                    reading(pulse(71), &electrodes, 450),
                ],
                455,
            ),
            kept(Measurement::EarPicture, vec![reading(recording(RecordingKind::Picture, 1, 0), &otoscope, 500)], 505),
            kept(
                Measurement::Auscultation,
                vec![reading(recording(RecordingKind::Sound, 2, 15_000), &stethoscope, 520)],
                525,
            ),
        ],
        skipped: vec![
            skipped(Measurement::BloodPressure, SkipReason::DeviceOut, 290),
            skipped(Measurement::OxygenAndPulse, SkipReason::NotWanted, 291),
        ],
        calls: vec![CallRecord {
            physician: physician(),
            accepted_at: at(590),
            connected_at: Some(at(600)),
            ended_at: Some(at(1_200)),
        }],
        guests: vec![
            attendance("Jeanne Lemaire", GuestRole::SignInterpreter, 630, 900),
            attendance("Dr Paul Aubry", GuestRole::Specialist, 910, 1_200),
        ],
        incidents: vec![
            Incident { kind: IncidentKind::CallInterrupted, started_at: at(700), ended_at: Some(at(720)) },
            Incident {
                kind: IncidentKind::DeviceLost(Measurement::BloodPressure),
                started_at: at(290),
                ended_at: None,
            },
        ],
        incidents_uncounted: 0,
        notice: PrivateText::default(),
        summaries: vec![ReceivedSummary {
            summary: Summary {
                text: text("Angine. Repos."),
                orders: vec![Order { kind: OrderKind::Medicine, text: text("Paracétamol 1 g") }],
                next: NextCare::UsualDoctor,
                next_note: text("sous 3 jours"),
            },
            physician: physician(),
            at: at(1_150),
        }],
        documents: vec![
            document(DocumentKind::Prescription, PDFS[0], 1_100),
            document(DocumentKind::Certificate, PDFS[1], 1_110),
        ],
        questionnaire: Some(Questionnaire { satisfaction: Satisfaction::from_stars(5), ..Questionnaire::default() }),
        help_calls: Vec::new(),
        call_back: None,
        come_back: None,
        pauses: Vec::new(),
        second_opinion: None,
        half_written: None,
        ended: Some((Outcome::Completed, Moment(BEGAN + 1_230_000))),
    }
}

/// A whole request to a dermatologist, by a nurse.
pub(super) fn second_opinion(at: Moment) -> consult::second_opinion::AskedOpinion {
    use consult::private::PrivateText;
    use consult::second_opinion::{AskedOpinion, Detail, Field, Profession, Requester, SecondOpinion, Specialty};
    let detail = |field, text: &str| Detail { field, text: PrivateText::new(text).unwrap() };
    let opinion = SecondOpinion {
        specialty: Specialty::Dermatology,
        question: PrivateText::new("Faut-il une biopsie ?").unwrap(),
        context: PrivateText::new("Tache pigmentée.").unwrap(),
        urgent: true,
        wanted_days: 4,
        details: vec![
            detail(Field::Site, "Dos"),
            detail(Field::Onset, "Trois mois"),
            detail(Field::Size, " "),
            detail(Field::Allergies, "Pénicilline"),
        ],
        requester: Requester {
            profession: Profession::Nurse,
            name: "Julie Roux".into(),
            rpps: consult::physician::Rpps::parse("10100000016").unwrap(),
        },
        consent: true,
    };
    assert_eq!(opinion.missing(), None);
    AskedOpinion { opinion, asked_at: at }
}
