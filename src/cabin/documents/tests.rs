//! The sheet of a whole consultation, read back from its PDF by poppler and from its codes by another reader.

use std::process::Command;

use consult::dossier::{
    CallRecord, ConsultationId, Incident, IncidentKind, Language, Outcome, Presentation, ReceivedSummary, SkipReason,
    Skipped,
};
use consult::identity::{BirthDate, CogCode, Identity, Place, Sex, TraitText, Traits};
use consult::physician::{Authentication, NextCare, Physician, Summary};
use consult::private::{Private, PrivateText};
use consult::site::Pharmacist;
use consult::vitals::{BloodPressure, DeviceIdentity, Measurement, Temperature, Weight};
use fhir::SiteKind;

use super::*;

/// 2026-11-22, 14:05:00 in Paris.
const BEGAN: i64 = 1_795_352_700_000;

fn at(seconds: i64) -> Moment {
    Moment(BEGAN + seconds * 1_000)
}

fn site() -> Site {
    Site {
        name: "Pharmacie du Port".to_owned(),
        kind: SiteKind::Pharmacy,
        finess: None,
        street: "3 quai Malbert".to_owned(),
        postal_code: "29200".to_owned(),
        city: "Brest".to_owned(),
    }
}

fn reading(value: Value) -> Reading {
    let device = DeviceIdentity { model: "x".to_owned(), serial: None, firmware: None };
    Reading { value, device, device_at: None, at: at(300), high_quality: None }
}

fn dossier(language: Language) -> Dossier {
    let authentication = Authentication::LocalTotp;
    let physician =
        Physician::new("Dr Claire Morel", "Médecine générale", "10001234565", "Rennes", 2_500, authentication).unwrap();
    let traits = Traits {
        birth_name: TraitText::parse("Durand").unwrap(),
        given_names: TraitText::parse("Odette Marie").unwrap(),
        sex: Sex::Female,
        birth_date: BirthDate::new(1955, Some(2), Some(28)).unwrap(),
        birth_place: Place { cog: CogCode::parse("29019").unwrap(), name: Private::new("Brest".to_owned()) },
        used_name: None,
    };
    let kept = |measurement, values: &[Value]| Kept {
        measurement,
        readings: values.iter().map(|v| reading(*v)).collect(),
        at: at(310),
        asked_by_physician: false,
    };
    Dossier {
        id: ConsultationId([1; 16]),
        started_at: at(0),
        presentation: Presentation { language, ..Presentation::default() },
        pharmacists: vec![Pharmacist { id: "l".to_owned(), name: "Anne Lefèvre".to_owned() }],
        assisted: Vec::new(),
        reason: None,
        warning_answers: Vec::new(),
        identity: Some(Identity::typed(traits, None)),
        contact: None,
        consents: Vec::new(),
        kept: vec![
            kept(Measurement::Temperature, &[Value::Temperature(Temperature::from_centi_celsius(3_680).unwrap())]),
            kept(
                Measurement::BloodPressure,
                &[Value::BloodPressure(BloodPressure::from_mmhg(128, 79, Some(95)).unwrap())],
            ),
            kept(Measurement::WeightAndHeight, &[Value::Weight(Weight::from_grams(72_350).unwrap())]),
        ],
        skipped: vec![Skipped {
            measurement: Measurement::OxygenAndPulse,
            reason: SkipReason::DeviceOut,
            at: at(290),
            asked_by_physician: false,
        }],
        calls: vec![CallRecord {
            physician: physician.clone(),
            accepted_at: at(590),
            connected_at: Some(at(600)),
            ended_at: Some(at(1_200)),
        }],
        incidents: vec![Incident { kind: IncidentKind::CallInterrupted, started_at: at(700), ended_at: Some(at(720)) }],
        incidents_uncounted: 0,
        summaries: vec![ReceivedSummary {
            summary: Summary {
                text: PrivateText::new("Mal de gorge sans gravité.\nRepos, boire beaucoup.").unwrap(),
                orders: vec![PrivateText::new("Paracétamol 1 g, au plus 3 fois par jour").unwrap()],
                next: NextCare::UsualDoctor,
                next_note: PrivateText::new("Sous 3 jours si la fièvre dure.").unwrap(),
            },
            physician,
            at: at(1_150),
        }],
        documents: Vec::new(),
        questionnaire: None,
        help_calls: Vec::new(),
        ended: Some((Outcome::Completed, at(1_230))),
    }
}

fn sheet(dossier: &Dossier) -> Result<Sheet, Missing> {
    let site = site();
    Sheet::of(dossier, Surroundings { site: &site, now: at(2_000), utc_offset_minutes: 60 })
}

/// The PDF's text by poppler, and its picture beside it when `SHOW` names a folder.
fn printed(sheet: &Sheet, name: &str) -> Option<String> {
    let folder = std::env::temp_dir().join(format!("telecabine-sheet-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let pdf = folder.join("sheet.pdf");
    std::fs::write(&pdf, sheet.pdf().unwrap()).unwrap();
    if let Some(show) = std::env::var_os("SHOW") {
        let picture = std::path::Path::new(&show).join(name);
        Command::new("pdftoppm").args(["-r", "70", "-png"]).arg(&pdf).arg(picture).status().unwrap();
    }
    let output = Command::new("pdftotext").arg("-layout").arg(&pdf).arg("-").output();
    std::fs::remove_dir_all(&folder).unwrap();
    match output {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(_) => {
            eprintln!("SKIPPED: pdftotext (package poppler-utils) is not installed");
            None
        }
    }
}

#[test]
fn the_sheet_holds_everything_that_the_patient_needs() {
    let Some(text) = printed(&sheet(&dossier(Language::FRENCH)).unwrap(), "fr") else { return };
    for words in [
        "Votre téléconsultation",
        "22/11/2026, 14:05 – 14:25",
        "ODETTE DURAND",
        "28/02/1955",
        "Pharmacie du Port (pharmacie)",
        "Dr Claire Morel",
        "RPPS 10001234565",
        "Repos, boire beaucoup.",
        "Paracétamol 1 g, au plus 3 fois par jour",
        "Votre médecin traitant.",
        "Sous 3 jours si la fièvre dure.",
        "36,8 °C",
        "128 / 79 mmHg (moyenne 95)",
        "72,35 kg",
        "appareil indisponible",
        "Image et son interrompus",
        "14:16:40 – 14:17:00",
    ] {
        assert!(text.contains(words), "{words} is missing");
    }
}

#[test]
fn the_sheet_speaks_english_to_who_reads_english() {
    let Some(text) = printed(&sheet(&dossier(Language::ENGLISH)).unwrap(), "en") else { return };
    for words in ["Your teleconsultation", "36.8 °C", "72.35 kg", "Your usual doctor.", "not measured"] {
        assert!(text.contains(words), "{words} is missing");
    }
    assert!(!text.contains("médecin traitant"));
}

#[test]
fn a_report_without_one_of_its_legal_parts_is_refused() {
    let mut no_summary = dossier(Language::FRENCH);
    no_summary.summaries.clear();
    assert_eq!(sheet(&no_summary).unwrap_err(), Missing::Summary);
    let mut blank = dossier(Language::FRENCH);
    blank.summaries[0].summary.text = PrivateText::new(" ").unwrap();
    assert_eq!(sheet(&blank).unwrap_err(), Missing::Summary);
    let mut nobody = dossier(Language::FRENCH);
    nobody.calls.clear();
    assert_eq!(sheet(&nobody).unwrap_err(), Missing::Physician);
    let mut unknown = dossier(Language::FRENCH);
    unknown.identity = None;
    assert_eq!(sheet(&unknown).unwrap_err(), Missing::Patient);
    let mut calm = dossier(Language::FRENCH);
    calm.incidents.clear();
    assert!(sheet(&calm).unwrap().text().contains("Aucun incident."), "no incident is said, not left out");
}

#[test]
fn the_codes_hold_the_words_of_the_sheet() {
    let sheet = sheet(&dossier(Language::FRENCH)).unwrap();
    let mut found = String::new();
    for code in sheet.codes().unwrap() {
        let picture = code.picture(500);
        let side = picture.side as usize;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| picture.luma[y * side + x]);
        found += &image.detect_grids()[0].decode().unwrap().1;
        found.push('\n');
    }
    for words in ["VOTRE TÉLÉCONSULTATION", "Dr Claire Morel", "Paracétamol 1 g", "36,8 °C", "128 / 79 mmHg"] {
        assert!(found.contains(words), "{words} is missing");
    }
}

#[test]
fn a_sheet_never_prints_itself_to_a_log() {
    let sheet = sheet(&dossier(Language::FRENCH)).unwrap();
    assert_eq!(format!("{sheet:?}"), "Sheet([patient])");
}
