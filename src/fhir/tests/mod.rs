//! Tests of the whole record. The independent server and validators are those of `tests/fhir_peer.rs`.

mod exact;
mod peer;
mod recorded;
mod sample;

use std::path::Path;

use consult::consent::Decision;
use consult::dossier::{CallBack, Phone};
use consult::triage::WarningSign;
use serde_json::Value;

use super::*;
use sample::{context, dossier, site};

/// Files made of what the sample recorded: DICOM and EDF+, a picture, a sound.
const RECORDED: usize = 4;

fn record(dossier: &Dossier) -> (Submission, Value) {
    let site = site();
    let submission = bundle(dossier, &context(&site), sample::files(dossier)).unwrap();
    let json = serde_json::from_slice(&submission.bundle).unwrap();
    (submission, json)
}

/// Every resource of a type, in order.
fn all<'a>(bundle: &'a Value, kind: &str) -> Vec<&'a Value> {
    let entries = bundle["entry"].as_array().unwrap();
    entries.iter().map(|e| &e["resource"]).filter(|r| r["resourceType"] == kind).collect()
}

#[test]
fn the_record_of_a_consultation_is_the_golden_one() {
    let (_, json) = record(&dossier());
    let written = serde_json::to_string_pretty(&json).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/consultation.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(golden == written, "the record changed: look at it, then run again with UPDATE_GOLDEN=1");
}

#[test]
fn the_same_consultation_always_gives_the_same_bytes() {
    let dossier = dossier();
    assert!(record(&dossier).0 == record(&dossier).0);
}

#[test]
fn every_entry_is_created_only_where_it_is_not_known_yet() {
    let (_, json) = record(&dossier());
    let entries = json["entry"].as_array().unwrap();
    let mut searches = std::collections::BTreeSet::new();
    for entry in entries {
        let kind = entry["resource"]["resourceType"].as_str().unwrap();
        assert!(entry["fullUrl"].as_str().unwrap().starts_with("urn:uuid:"));
        assert_eq!(entry["request"]["method"], "POST");
        assert_eq!(entry["request"]["url"], kind);
        let search = entry["request"]["ifNoneExist"].as_str().unwrap();
        let value = search.split('|').nth(1).unwrap();
        assert!(entry["resource"].to_string().contains(value), "{kind} lacks the identifier that it is sought by");
        assert!(
            !search.contains(entry["fullUrl"].as_str().unwrap()),
            "a server would replace the identifier of {kind}"
        );
        assert!(searches.insert((kind, search)), "two entries of one search: a server refuses the bundle");
    }
}

#[test]
fn the_visit_is_found_by_the_consultation_and_no_address_within_the_bundle_is_an_identifier() {
    let dossier = dossier();
    let (_, json) = record(&dossier);
    let own = format!("urn:uuid:{}", dossier.id);
    let identifiers = all(&json, "Encounter")[0]["identifier"].as_array().unwrap();
    let found = identifiers.iter().filter(|i| i["value"] == own && i["system"] == "urn:ietf:rfc:3986").count();
    assert_eq!(found, 1, "{identifiers:?}");
    // A server replaces an entry's address wherever it stands, in an identifier too.
    for entry in json["entry"].as_array().unwrap() {
        let address = &entry["fullUrl"];
        assert_ne!(*address, own);
        for entry in json["entry"].as_array().unwrap() {
            let identifiers = &entry["resource"]["identifier"];
            assert!(!identifiers.to_string().contains(address.as_str().unwrap()), "{identifiers}");
        }
    }
}

#[test]
fn every_reference_leads_to_an_entry_of_the_bundle() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("reference").and_then(Value::as_str));
                members.values().for_each(|v| references(v, found));
            }
            Value::Array(values) => values.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }
    let (_, json) = record(&dossier());
    let known: Vec<&str> = json["entry"].as_array().unwrap().iter().map(|e| e["fullUrl"].as_str().unwrap()).collect();
    let mut found = Vec::new();
    references(&json, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        assert!(known.contains(&reference), "{reference} leads nowhere");
    }
}

#[test]
fn the_report_names_its_five_legal_parts() {
    // CSP R. 6316-4: report, acts and prescriptions, professionals, date and time, technical incidents.
    let (_, json) = record(&dossier());
    let types: Vec<&Value> = all(&json, "DocumentReference").iter().map(|d| &d["type"]["coding"][0]["code"]).collect();
    assert_eq!(types[..3], ["57833-6", "89601-9", "85208-7"]);
    assert_eq!(all(&json, "Practitioner")[0]["identifier"][0]["value"], sample::RPPS);
    let encounter = all(&json, "Encounter")[0];
    assert_eq!(encounter["class"]["code"], "VR");
    assert_eq!(encounter["status"], "finished");
    assert_eq!(encounter["period"]["start"], "2026-11-22T14:05:00.000+01:00");
    assert_eq!(encounter["period"]["end"], "2026-11-22T14:25:30.000+01:00");
    let incidents: Vec<&Value> =
        all(&json, "Observation").into_iter().filter(|o| o["code"]["text"] == "Incident technique").collect();
    assert_eq!(incidents.len(), 2);
    assert_eq!(incidents[0]["effectivePeriod"]["start"], "2026-11-22T14:16:40.000+01:00");
    assert_eq!(incidents[0]["effectivePeriod"]["end"], "2026-11-22T14:17:00.000+01:00");
    assert_eq!(incidents[1]["effectivePeriod"]["end"], Value::Null, "what had not ended has no end");
}

#[test]
fn a_yes_to_a_warning_sign_says_who_let_the_consultation_go_on_and_when() {
    let mut dossier = dossier();
    assert!(!record(&dossier).1.to_string().contains("sign-cleared"));
    dossier.sign_cleared = Some((WarningSign::ChestPain, sample::pharmacist(), sample::at(45)));
    let (_, bundle) = record(&dossier);
    let items = all(&bundle, "QuestionnaireResponse")[0]["item"].as_array().unwrap();
    let cleared = items.iter().find(|item| item["linkId"] == "sign-cleared").expect("who let it go on");
    assert_eq!(cleared["item"][1]["answer"][0]["valueString"], sample::pharmacist().name);
    assert!(cleared["item"][2]["answer"][0]["valueDateTime"].as_str().unwrap().starts_with("20"));
}

#[test]
fn each_purpose_has_its_own_consent_and_the_last_answer_counts() {
    let (_, json) = record(&dossier());
    let consents: Vec<(String, String)> = all(&json, "Consent")
        .iter()
        .map(|c| {
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            (text(&c["policyRule"]["coding"][0]["code"]), text(&c["provision"]["type"]))
        })
        .collect();
    let expected = [
        ("consent-care-20261101", "permit"),
        ("consent-usual-doctor-20261101", "permit"),
        ("consent-statistics-20261101", "deny"),
    ];
    assert_eq!(consents, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn a_document_travels_unmodified_with_its_length_and_sha1() {
    use base64::Engine;
    let (submission, json) = record(&dossier());
    let base64 = &base64::engine::general_purpose::STANDARD;
    let documents = all(&json, "DocumentReference");
    assert_eq!(documents.len(), submission.uploads.len());
    for ((document, upload), pdf) in documents.iter().zip(&submission.uploads).zip(sample::PDFS) {
        let attachment = &document["content"][0]["attachment"];
        assert_eq!(attachment["url"], upload.path);
        let binary: Value = serde_json::from_slice(&upload.bytes).unwrap();
        assert_eq!(format!("Binary/{}", binary["id"].as_str().unwrap()), upload.path);
        let bytes = base64.decode(binary["data"].as_str().unwrap()).unwrap();
        assert_eq!(bytes, pdf);
        assert_eq!(attachment["size"], bytes.len());
        let sha1: [u8; 20] = sha1::Sha1::digest(pdf).into();
        assert_eq!(attachment["hash"], base64.encode(sha1));
    }
}

#[test]
fn bytes_that_are_not_the_physicians_are_refused() {
    let dossier = dossier();
    let site = site();
    let files = Files { physician: &[sample::PDFS[0], b"%PDF-1.4 other"], ..sample::files(&dossier) };
    assert_eq!(bundle(&dossier, &context(&site), files).unwrap_err(), Unfit::Document { index: 1 });
    let files = Files { physician: &sample::PDFS[..1], ..files };
    assert_eq!(bundle(&dossier, &context(&site), files).unwrap_err(), Unfit::Document { index: 1 });
}

#[test]
fn a_summary_that_has_no_sheet_is_in_the_record_all_the_same() {
    let dossier = dossier();
    let site = site();
    let files = Files { summary: None, ..sample::files(&dossier) };
    let submission = bundle(&dossier, &context(&site), files).unwrap();
    let json: Value = serde_json::from_slice(&submission.bundle).unwrap();
    assert_eq!(all(&json, "CarePlan")[0]["description"], "Angine. Repos.");
    assert_eq!(submission.uploads.len(), dossier.documents.len() + RECORDED);
}

#[test]
fn what_was_handed_over_in_each_call_is_in_the_record() {
    use consult::private::PrivateText;
    let mut dossier = dossier();
    let (mut call, mut second) = (dossier.calls[0].clone(), dossier.summaries[0].clone());
    (call.accepted_at, call.connected_at, call.ended_at) = (second.at, Some(second.at), None);
    second.summary.text = PrivateText::new("Arrêt de travail.").unwrap();
    dossier.calls.push(call);
    dossier.summaries.push(second);
    let site = site();
    let submission = bundle(&dossier, &context(&site), sample::files(&dossier)).unwrap();
    let json: Value = serde_json::from_slice(&submission.bundle).unwrap();
    let plans = all(&json, "CarePlan");
    let said: Vec<_> = plans.iter().map(|plan| plan["description"].as_str().unwrap_or_default()).collect();
    // The same words at the moment of the second call's beginning are the second call's.
    assert_eq!(said, ["Arrêt de travail."]);
    dossier.summaries[0].at = dossier.calls[0].accepted_at;
    let submission = bundle(&dossier, &context(&site), sample::files(&dossier)).unwrap();
    let json: Value = serde_json::from_slice(&submission.bundle).unwrap();
    let plans = all(&json, "CarePlan");
    let said: Vec<_> = plans.iter().map(|plan| plan["description"].as_str().unwrap_or_default()).collect();
    assert_eq!(said, ["Angine. Repos.", "Arrêt de travail."]);
}

#[test]
fn every_order_and_next_care_has_its_own_code_in_the_plan() {
    use consult::physician::{NextCare, Order, OrderKind};
    use consult::private::PrivateText;
    let mut codes = std::collections::BTreeSet::new();
    for next in NextCare::ALL {
        let mut dossier = dossier();
        let summary = &mut dossier.summaries[0].summary;
        let order = |kind| Order { kind, text: PrivateText::new(&format!("{kind:?}")).unwrap() };
        summary.orders = OrderKind::ALL.map(order).to_vec();
        summary.next = next;
        let (_, json) = record(&dossier);
        let plan = all(&json, "CarePlan")[0];
        let activities = plan["activity"].as_array().unwrap();
        assert_eq!(activities.len(), OrderKind::ALL.len() + 1);
        for (activity, kind) in activities.iter().zip(OrderKind::ALL) {
            assert_eq!(activity["detail"]["description"], format!("{kind:?}"));
        }
        for activity in activities {
            let coding = &activity["detail"]["code"]["coding"][0];
            codes.insert((coding["code"].to_string(), coding["display"].to_string()));
        }
        assert_eq!(activities.last().unwrap()["detail"]["description"], "sous 3 jours");
    }
    assert_eq!(codes.len(), OrderKind::ALL.len() + NextCare::ALL.len(), "{codes:?}");
}

#[test]
fn every_kind_of_document_has_the_code_that_the_french_guide_gives_it() {
    use consult::physician::DocumentKind as Kind;
    for (kind, code) in Kind::ALL.into_iter().zip(["57833-6", "89601-9", "document-other", "11488-4", "96349-6"]) {
        let mut dossier = dossier();
        dossier.documents[0].document.kind = kind;
        let (_, json) = record(&dossier);
        let coding = &all(&json, "DocumentReference")[0]["type"]["coding"][0];
        assert_eq!(coding["code"], code, "{kind:?}");
        assert_eq!(coding["system"] == "http://loinc.org", kind != Kind::Other);
    }
}

#[test]
fn nothing_is_sent_of_a_patient_who_did_not_agree_or_is_unknown() {
    let site = site();
    let mut refused = dossier();
    refused.consents = vec![sample::consents([Decision::Refused, Decision::Given, Decision::Given], 100)];
    let mut unknown = dossier();
    unknown.identity = None;
    for dossier in [refused, unknown] {
        let files = sample::files(&dossier);
        assert_eq!(bundle(&dossier, &context(&site), files).unwrap_err(), Unfit::NotToBeSent);
    }
}

#[test]
fn a_visit_without_a_physician_is_cancelled_and_keeps_its_readings() {
    let mut left = dossier();
    left.calls.clear();
    left.summaries.clear();
    left.documents.clear();
    left.ended = None;
    let (submission, json) = record(&left);
    let encounter = all(&json, "Encounter")[0];
    assert_eq!(encounter["status"], "cancelled");
    assert_eq!(encounter["period"]["end"], "2026-11-22T14:30:00.000+01:00", "now is the end of what has none");
    assert!(all(&json, "Practitioner").is_empty());
    assert_eq!(submission.uploads.len(), RECORDED);
    assert_eq!(all(&json, "Observation").len(), all(&record(&dossier()).1, "Observation").len());
}

#[test]
fn a_request_to_be_called_back_is_a_task_in_the_same_transaction_and_the_visit_is_to_come() {
    let mut asked = dossier();
    asked.calls.clear();
    asked.summaries.clear();
    asked.documents.clear();
    assert!(all(&record(&asked).1, "Task").is_empty());
    let phone = Phone::parse("06 98 76 54 32").unwrap();
    asked.call_back = Some(CallBack { phone, asked_at: asked.ended.unwrap().1 });
    let (_, json) = record(&asked);
    assert_eq!(all(&json, "Encounter")[0]["status"], "planned");
    let [task] = all(&json, "Task")[..] else { panic!("one task") };
    assert_eq!((&task["status"], &task["code"]["coding"][0]["code"]), (&"requested".into(), &"call-back".into()));
    assert_eq!(task["input"][0]["valueContactPoint"]["value"], "0698765432");
    assert_eq!(task["groupIdentifier"]["value"], format!("urn:uuid:{}", asked.id));
    let address = |kind: &str| {
        let entries = json["entry"].as_array().unwrap();
        entries.iter().find(|entry| entry["resource"]["resourceType"] == kind).unwrap()["fullUrl"].clone()
    };
    for (name, kind) in
        [("encounter", "Encounter"), ("focus", "Encounter"), ("for", "Patient"), ("location", "Location")]
    {
        assert_eq!(task[name]["reference"], address(kind), "{name}");
    }
    // Nothing that tells who it is, but the number: the reason in its kind alone.
    let words = asked.reason.as_ref().unwrap().line.reveal().to_owned();
    assert!(!words.is_empty() && !task.to_string().contains(&words));
}

#[test]
fn a_patient_who_went_away_and_came_back_was_on_leave_even_by_a_clock_set_back() {
    use consult::dossier::Pause;
    let mut dossier = dossier();
    let (from, to) = (Moment(dossier.started_at.0 + 60_000), Moment(dossier.started_at.0 + 120_000));
    dossier.pauses = vec![Pause { from, to, answers_before: 1 }, Pause { from: to, to: from, answers_before: 2 }];
    let (_, json) = record(&dossier);
    let history = all(&json, "Encounter")[0]["statusHistory"].as_array().unwrap().clone();
    assert_eq!(history.len(), 2);
    for period in history {
        assert_eq!(period["status"], "onleave");
        let moment = |end: &str| period["period"][end].as_str().unwrap().to_owned();
        assert!(moment("start") <= moment("end"), "{period}");
    }
}

#[test]
fn a_request_for_a_second_opinion_travels_in_the_same_transaction_with_consent_requester_and_every_document() {
    let mut asked = dossier();
    asked.calls.clear();
    asked.summaries.clear();
    asked.documents.clear();
    asked.second_opinion = Some(sample::second_opinion(asked.ended.unwrap().1));
    let (submission, json) = record(&asked);
    let entries = json["entry"].as_array().unwrap();
    let address = |kind: &str| {
        let found = entries.iter().filter(|entry| entry["resource"]["resourceType"] == kind).collect::<Vec<_>>();
        (found.len(), found.last().unwrap()["fullUrl"].clone())
    };
    let [task] = all(&json, "Task")[..] else { panic!("one task") };
    let [service] = all(&json, "ServiceRequest")[..] else { panic!("one service request") };
    assert_eq!((&task["status"], &task["priority"]), (&"requested".into(), &"urgent".into()));
    assert_eq!(task["businessStatus"]["coding"][0]["code"], "opinion-ready");
    assert_eq!(task["performerType"][0]["coding"][0]["code"], "specialty-dermatology");
    assert_eq!(task["input"][0]["valueString"], "cabin-brest-1");
    // By which the desk finds the cabin of any dossier.
    assert_eq!(all(&json, "Location")[0]["identifier"][1]["value"], "cabin-brest-1");
    assert_eq!(task["groupIdentifier"]["value"], format!("urn:uuid:{}", asked.id));
    for (value, kind) in [
        (&task["focus"], "ServiceRequest"),
        (&task["for"], "Patient"),
        (&task["encounter"], "Encounter"),
        (&service["subject"], "Patient"),
        (&service["requester"], "PractitionerRole"),
        (&service["supportingInfo"][1], "Consent"),
        (&service["supportingInfo"][0], "QuestionnaireResponse"),
    ] {
        assert_eq!(value["reference"], address(kind).1, "{kind}");
    }
    // Before it is taken up, nothing of it tells who the patient is or what is written.
    for secret in ["Faut-il", "Pénicilline", "Tache"] {
        assert!(!task.to_string().contains(secret), "{secret}");
    }
    assert_eq!((&service["intent"], &service["status"]), (&"proposal".into(), &"active".into()));
    let consent = &service["extension"][0]["extension"];
    assert_eq!((&consent[0]["valueBoolean"], &consent[1]["valueDateTime"]), (&true.into(), &task["authoredOn"]));
    let days = |value: &Value| value.as_str().unwrap()[8..10].parse::<u32>().unwrap();
    assert_eq!(days(&task["restriction"]["period"]["end"]), days(&task["authoredOn"]) + 4);
    assert_eq!(service["supportingInfo"].as_array().unwrap().len(), 2 + submission.uploads.len());
    let told = all(&json, "QuestionnaireResponse").last().unwrap()["item"].as_array().unwrap().clone();
    let said: Vec<_> = told.iter().map(|item| item["linkId"].as_str().unwrap()).collect();
    assert_eq!(said, ["question", "context", "site", "onset", "allergies"], "nothing empty is sent");
    assert_eq!(address("Practitioner").0, 1);
    assert!(record(&asked).0 == submission, "the same bytes again");
    assert!(all(&record(&dossier()).1, "ServiceRequest").is_empty());
}

#[test]
fn two_physicians_in_turn_are_two_and_one_twice_is_one() {
    use consult::physician::Physician;
    let mut turns = dossier();
    turns.guests.clear();
    let other = Physician { rpps: consult::physician::Rpps::parse("10100000016").unwrap(), ..sample::physician() };
    let mut second = turns.calls[0].clone();
    second.physician = other;
    turns.calls.push(second);
    turns.calls.push(turns.calls[0].clone());
    let (_, json) = record(&turns);
    assert_eq!(all(&json, "Practitioner").len(), 2);
    assert_eq!(all(&json, "Encounter")[0]["participant"].as_array().unwrap().len(), 2);
}

#[test]
fn satisfaction_stays_out_of_the_patients_record() {
    let (submission, _) = record(&dossier());
    let mut silent = dossier();
    silent.questionnaire = None;
    assert!(record(&silent).0 == submission, "the answers of the end leave a trace in the record");
}

#[test]
fn times_carry_the_offset_of_the_site() {
    let at = Moment(1_795_305_903_120);
    assert_eq!(date_time(at, 60), "2026-11-22T01:05:03.120+01:00");
    assert_eq!(date_time(at, 0), "2026-11-22T00:05:03.120+00:00");
    assert_eq!(date_time(at, -240), "2026-11-21T20:05:03.120-04:00");
    assert_eq!(date_time(Moment(i64::MAX), 0), "1970-01-01T00:00:00.000+00:00");
    let site = site();
    let wrong = Context { utc_offset_minutes: 900, ..context(&site) };
    let dossier = dossier();
    assert_eq!(bundle(&dossier, &wrong, sample::files(&dossier)).unwrap_err(), Unfit::Offset { minutes: 900 });
}

#[test]
fn a_text_without_end_is_refused_before_it_is_sent() {
    let mut long = dossier();
    let incident = long.incidents[0];
    long.incidents = vec![incident; 2_000];
    let site = site();
    assert!(matches!(bundle(&long, &context(&site), sample::files(&long)), Err(Unfit::TooLong { .. })));
}
