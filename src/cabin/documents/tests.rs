//! The sheet of a whole consultation, read back from its PDF by poppler and from its codes by another reader.

use std::process::Command;

use consult::dossier::{
    CallRecord, ConsultationId, Incident, IncidentKind, Language, Outcome, Presentation, ReceivedSummary, SkipReason,
    Skipped,
};
use consult::guest::{Attendance, Guest, GuestRole};
use consult::identity::{BirthDate, CogCode, Identity, Place, Sex, TraitText, Traits};
use consult::physician::{Authentication, NextCare, Order, OrderKind, Physician, Summary};
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

/// One who interprets, and comes back after a cut.
fn attendance(came: i64, left: i64) -> Attendance {
    let guest = Guest { name: PrivateText::new("Jeanne Lemaire").unwrap(), role: GuestRole::SignInterpreter };
    Attendance { guest, came_at: at(came), left_at: Some(at(left)) }
}

pub(crate) fn dossier(language: Language) -> Dossier {
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
        sign_cleared: None,
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
        guests: [(610, 700), (720, 800)].map(|(came, left)| attendance(came, left)).to_vec(),
        incidents: vec![Incident { kind: IncidentKind::CallInterrupted, started_at: at(700), ended_at: Some(at(720)) }],
        incidents_uncounted: 0,
        notice: PrivateText::default(),
        summaries: vec![ReceivedSummary {
            summary: Summary {
                text: PrivateText::new("Mal de gorge sans gravité.\nRepos, boire beaucoup.").unwrap(),
                orders: vec![Order {
                    kind: OrderKind::Medicine,
                    text: PrivateText::new("Paracétamol 1 g, au plus 3 fois par jour").unwrap(),
                }],
                next: NextCare::UsualDoctor,
                next_note: PrivateText::new("Sous 3 jours si la fièvre dure.").unwrap(),
            },
            physician,
            at: at(1_150),
        }],
        documents: Vec::new(),
        questionnaire: None,
        help_calls: Vec::new(),
        call_back: None,
        come_back: None,
        pauses: Vec::new(),
        second_opinion: None,
        half_written: None,
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
        "Jeanne Lemaire",
        "interprète en langue des signes",
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
    assert_eq!(text.matches("Jeanne Lemaire").count(), 1, "one person, however often the line was cut");
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
fn what_each_physician_handed_over_stays_on_the_sheet_with_its_author() {
    let mut dossier = dossier(Language::FRENCH);
    let once = sheet(&dossier).unwrap().text();
    // The first corrects, in the same call: only the correction counts.
    let mut corrected = dossier.summaries[0].clone();
    corrected.summary.text = PrivateText::new("Angine probable.").unwrap();
    corrected.at = at(1_160);
    dossier.summaries.push(corrected);
    // Another takes the patient, before whom the page is empty.
    let mut call = dossier.calls[0].clone();
    call.physician.name = "Dr Paul PETIT".to_owned();
    (call.accepted_at, call.connected_at, call.ended_at) = (at(1_165), Some(at(1_166)), Some(at(1_220)));
    let physician = call.physician.clone();
    dossier.calls.push(call);
    let mut second = dossier.summaries[0].clone();
    second.summary.text = PrivateText::new("Arrêt de travail de deux jours.").unwrap();
    (second.physician, second.at) = (physician, at(1_200));
    dossier.summaries.push(second);
    let text = sheet(&dossier).unwrap().text();
    for words in ["Angine probable.", "Arrêt de travail de deux jours.", "Dr Paul PETIT"] {
        assert!(text.contains(words), "{words} is missing in {text}");
    }
    assert!(once.contains("Mal de gorge") && !text.contains("Mal de gorge"), "what was corrected is gone: {text}");
    let position = |words| text.find(words).unwrap();
    assert!(position("Angine probable.") < position("Arrêt de travail"), "in the order of the calls");
}

#[test]
fn a_report_without_one_of_its_legal_parts_is_refused() {
    let mut no_summary = dossier(Language::FRENCH);
    no_summary.summaries.clear();
    assert_eq!(sheet(&no_summary).unwrap_err(), Missing::Summary);
    let mut blank = dossier(Language::FRENCH);
    blank.summaries[0].summary = Summary {
        text: PrivateText::new(" ").unwrap(),
        orders: Vec::new(),
        next: NextCare::Nobody,
        next_note: PrivateText::default(),
    };
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

mod as_received {
    use consult::dossier::{INCIDENTS_MAX, MEASUREMENTS_MAX, READINGS_MAX, ReceivedDocument};
    use consult::physician::{Document, DocumentKind};
    use signal::{ItemId, Text, data};

    use super::super::received::{self, SUMMARY_PAGES_MAX, SummaryRefused};
    use super::*;
    use crate::words;

    fn wire(text: &str, orders: &[data::Order], next: data::NextStep) -> data::Summary {
        let id = ItemId::new("s1").unwrap();
        let (text, next_text) = (Text::new(text).unwrap(), Text::default());
        data::Summary { id, revision: 1, text, orders: orders.to_vec(), next, next_text }
    }

    fn order(words: &str) -> data::Order {
        data::Order { kind: data::OrderKind::Medicine, text: Text::new(words).unwrap() }
    }

    /// As many words as fit in `bytes`.
    fn words_of(bytes: usize) -> String {
        "mot ".repeat(bytes / 4).trim_end().to_owned()
    }

    /// What was received, and the dossier with it.
    fn taken(summary: &data::Summary) -> Result<Dossier, SummaryRefused> {
        let mut dossier = dossier(Language::FRENCH);
        dossier.summaries[0].summary = received::summary(summary, &dossier)?;
        Ok(dossier)
    }

    #[test]
    fn an_order_alone_or_somebody_to_see_alone_is_a_summary_that_can_be_printed() {
        let only_order = taken(&wire("", &[order("Ibuprofène 200 mg")], data::NextStep::None)).unwrap();
        let text = sheet(&only_order).unwrap().text();
        assert!(text.contains("• Médicament : Ibuprofène 200 mg") && text.contains("Personne, sauf"), "{text}");
        assert!(!text.contains("CE QUE LE MÉDECIN A ÉCRIT"), "a heading over nothing");
        sheet(&only_order).unwrap().pdf().unwrap();
        let only_next = taken(&wire("", &[], data::NextStep::Nurse)).unwrap();
        assert!(sheet(&only_next).unwrap().text().contains("Une infirmière ou un infirmier."));
        sheet(&only_next).unwrap().pdf().unwrap();
    }

    #[test]
    fn what_cannot_be_printed_is_refused_with_what_to_do() {
        let refused = |summary: &data::Summary| taken(summary).expect_err("it is refused");
        let empty = refused(&wire(" \n ", &[], data::NextStep::None));
        assert_eq!(empty, SummaryRefused::Empty);
        let feeds = refused(&wire(&"a\n".repeat(6_000), &[], data::NextStep::None));
        let SummaryRefused::Pages { pages } = feeds else { panic!("{feeds}") };
        assert!(pages > 150, "{pages}");
        assert!(feeds.to_string().contains("Raccourcissez le texte") && feeds.to_string().contains("15 au plus"));
        let orders = vec![order(&words_of(1_000)); data::ORDERS_MAX];
        assert!(matches!(refused(&wire("Vu.", &orders, data::NextStep::None)), SummaryRefused::Pages { .. }));
        let long = refused(&wire(&words_of(12_010), &[], data::NextStep::None));
        assert_eq!(long, SummaryRefused::Text { chars_max: 12_000 });
        // Line feeds with nothing between them take no room, and alone they are nothing at all.
        let hollow = taken(&wire(&format!("a{}b", "\n".repeat(11_998)), &[], data::NextStep::None)).unwrap();
        sheet(&hollow).unwrap().pdf().unwrap();
        assert_eq!(refused(&wire(&"\n".repeat(12_000), &[], data::NextStep::None)), SummaryRefused::Empty);
    }

    #[test]
    fn the_longest_summary_taken_fits_on_the_sheet_of_the_longest_consultation() {
        // The most long orders that are taken.
        let mut orders = Vec::new();
        let mut dossier = loop {
            orders.push(order(&words_of(1_000)));
            if taken(&wire("Vu.", &orders, data::NextStep::Emergency)).is_err() {
                orders.pop();
                break taken(&wire("Vu.", &orders, data::NextStep::Emergency)).unwrap();
            }
        };
        assert!(orders.len() > data::ORDERS_MAX / 2, "{}", orders.len());
        let spo2 = reading(Value::Temperature(Temperature::from_centi_celsius(3_680).unwrap()));
        dossier.kept[0].readings = vec![spo2; READINGS_MAX];
        dossier.kept = vec![dossier.kept[0].clone(); MEASUREMENTS_MAX];
        dossier.skipped = vec![dossier.skipped[0]; MEASUREMENTS_MAX];
        dossier.incidents = vec![dossier.incidents[0]; INCIDENTS_MAX];
        dossier.incidents_uncounted = u32::MAX;
        dossier.documents = vec![document(DocumentKind::Other); consult::dossier::DOCUMENTS_MAX];
        let sheet = sheet(&dossier).unwrap();
        let pages = summary_pdf::pages(&sheet.blocks);
        assert!(pages > SUMMARY_PAGES_MAX && pages <= summary_pdf::PAGES_MAX, "{pages}");
        sheet.pdf().unwrap();
        let measures = MEASUREMENTS_MAX * READINGS_MAX + MEASUREMENTS_MAX - MEASURES_MAX;
        assert!(sheet.text().contains(&measures.to_string()), "what is left out is counted");
    }

    fn document(kind: DocumentKind) -> ReceivedDocument {
        let document = Document {
            kind,
            name: PrivateText::new("a.pdf").unwrap(),
            blob: "0".to_owned(),
            sha256: [0; 32],
            size_bytes: 1,
        };
        ReceivedDocument { document, physician: dossier(Language::FRENCH).calls[0].physician.clone(), at: at(1_000) }
    }

    /// From the page's own file to the patient's sheet: each value is another one, and none falls into another.
    #[test]
    fn every_choice_of_the_page_has_words_of_its_own_on_the_sheet() {
        let page = include_str!("../../desk/page/index.html");
        let offered = |list: &str| -> Vec<String> {
            let from = page.split(&format!("id=\"{list}\"")).nth(1).unwrap();
            let options = from.split("</select>").next().unwrap();
            options.split("value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        fn read<T: serde::de::DeserializeOwned>(value: &str) -> T {
            serde_json::from_value(serde_json::Value::from(value)).unwrap()
        }
        for tongue in [Tongue::French, Tongue::English] {
            let of_next: Vec<_> =
                offered("next").iter().map(|value| tongue.next(words::next_care(read(value)))).collect();
            distinct(&of_next, data::NextStep::ALL.len());
            let of_orders: Vec<_> =
                offered("order-kind").iter().map(|value| tongue.order(words::order_kind(read(value)), "x")).collect();
            distinct(&of_orders, data::OrderKind::ALL.len());
            let of_documents: Vec<_> = offered("document-kind")
                .iter()
                .map(|value| tongue.document(words::document_kind(read(value))))
                .collect();
            distinct(&of_documents, data::DocumentKind::ALL.len());
        }
        assert_eq!(consult::physician::NextCare::ALL.len(), data::NextStep::ALL.len());
        assert_eq!(OrderKind::ALL.len(), data::OrderKind::ALL.len());
        assert_eq!(DocumentKind::ALL.len(), data::DocumentKind::ALL.len());
    }

    #[test]
    fn each_value_of_the_wire_is_the_one_of_the_same_name_in_the_record() {
        use consult::physician::NextCare as Care;
        use data::NextStep as Next;
        for (wire, record) in [
            (Next::None, Care::Nobody),
            (Next::UsualDoctor, Care::UsualDoctor),
            (Next::InPerson, Care::InPerson),
            (Next::Specialist, Care::Specialist),
            (Next::Emergency, Care::EmergencyDepartment),
            (Next::Teleconsultation, Care::Teleconsultation),
            (Next::Nurse, Care::Nurse),
            (Next::Pharmacist, Care::Pharmacist),
            (Next::Examination, Care::Examination),
        ] {
            assert_eq!(words::next_care(wire), record);
        }
        for (wire, record) in data::OrderKind::ALL.into_iter().zip(OrderKind::ALL) {
            assert_eq!(format!("{wire:?}"), format!("{:?}", words::order_kind(wire)));
            assert_eq!(words::order_kind(wire), record);
        }
        for wire in data::DocumentKind::ALL {
            assert_eq!(format!("{wire:?}"), format!("{:?}", words::document_kind(wire)));
        }
    }

    fn distinct<T: Ord + std::fmt::Debug>(values: &[T], count: usize) {
        let set: std::collections::BTreeSet<_> = values.iter().collect();
        assert!(set.len() == count && values.len() == count, "{values:?}");
    }
}

#[test]
fn a_receipt_has_place_date_code_and_what_to_do_next_and_names_nobody() {
    let place = consult::site::Site {
        name: "Pharmacie du Port".to_owned(),
        address: "3 quai Malbert, 29200 Brest".to_owned(),
        fitted: Vec::new(),
    };
    let link = "https://desk.example.org/p/abc#key";
    for (language, date, steps) in [
        (
            Language::FRENCH,
            "Votre téléconsultation, 22/11/2026, 14:05",
            ["appareil photo d'un téléphone", "Qui voir ensuite : "],
        ),
        (Language::ENGLISH, "Your teleconsultation, 22/11/2026, 14:05", ["a telephone's camera", "Who to see next: "]),
    ] {
        let dossier = dossier(language);
        let receipt = receipt(&place, &dossier, link, 60);
        assert_eq!(receipt.place, "Pharmacie du Port");
        assert_eq!(receipt.lines, ["3 quai Malbert, 29200 Brest", date]);
        assert!(receipt.code.as_ref().is_some_and(|(words, address)| !words.is_empty() && address == link));
        let next = receipt.next.join("\n");
        let who = Tongue::of(language).next(dossier.summary().unwrap().next);
        assert!(steps.iter().all(|step| next.contains(step)) && next.ends_with(who), "{next}");
        let all = format!("{:?}{next}", receipt.lines);
        for secret in ["Durand", "DURAND", "Odette", "72", "36", "128"] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
        let papers = [drivers::fixtures::printer_escpos::Paper::WIDE, drivers::fixtures::printer_escpos::Paper::NARROW];
        assert!(papers.into_iter().all(|paper| receipt.print(paper).is_ok()));
    }
}
