//! The record against programs that are not ours: a FHIR server and three validators.

#[path = "../../../tests/fhir_peer.rs"]
mod fhir_peer;

use std::collections::BTreeMap;

use fhir_peer::{Peer, Tools, fr_core_profiles, tools_or_skip, validate};

use super::sample::dossier;
use super::{Submission, all, record};
use crate::Upload;

/// Sends the uploads, then the bundle, repeating each request until it is answered. Says how often a reply was cut.
fn upload(peer: &Peer, submission: &Submission) -> u32 {
    let uploads = submission.uploads.iter().map(|Upload { path, bytes, .. }| ("PUT", format!("/{path}"), bytes));
    let mut cuts = 0;
    for (method, path, bytes) in uploads.chain([("POST", String::new(), &submission.bundle)]) {
        let (status, answer) = loop {
            match peer.fhir(method, &path, Some(bytes)) {
                Ok(answered) => break answered,
                Err(error) => {
                    cuts += 1;
                    assert!(cuts < 20, "every reply is cut: {error}");
                }
            }
        };
        assert!(matches!(status, 200 | 201), "{method} {path} {status}: {answer:#}");
    }
    cuts
}

fn expected() -> BTreeMap<String, u64> {
    // Of the devices seven measure and one is the cabin; of the observations ten have a value or a panel, three
    // say why there is none, two are incidents.
    [
        ("Binary", 7),
        ("CarePlan", 1),
        ("Consent", 3),
        ("Device", 8),
        ("DocumentReference", 7),
        ("Encounter", 1),
        ("Location", 1),
        ("Media", 2),
        ("Observation", 14),
        ("Organization", 1),
        ("Patient", 1),
        ("Practitioner", 1),
        ("QuestionnaireResponse", 1),
    ]
    .map(|(kind, count)| (kind.to_owned(), count))
    .into()
}

fn proved(peer: &Peer, submission: &Submission) -> usize {
    let (status, found) = peer.fhir("GET", &format!("/{}", submission.proof), None).unwrap();
    assert_eq!(status, 200);
    found["entry"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_record_sent_twice_is_stored_once_by_a_server_that_is_not_ours() {
    let Some(tools) = tools_or_skip("a_record_sent_twice_is_stored_once_by_a_server_that_is_not_ours") else { return };
    let peer = Peer::start(tools).unwrap();
    let (submission, _) = record(&dossier());
    assert_eq!(proved(&peer, &submission), 0);
    for _ in 0..2 {
        assert_eq!(upload(&peer, &submission), 0);
        assert_eq!(peer.count().unwrap(), expected());
        assert_eq!(proved(&peer, &submission), 1);
    }
    // As the desk asks when a physician reads a record again.
    let id = dossier().id;
    let (status, found) = peer.fhir("GET", &format!("/Encounter?identifier={id},urn:uuid:{id}"), None).unwrap();
    assert_eq!((status, found["entry"].as_array().map_or(0, Vec::len)), (200, 1), "{found:#}");
    let stored = peer.resources().unwrap();
    let weight = stored.iter().find(|r| r["valueQuantity"]["code"] == "kg").unwrap();
    assert_eq!(weight["valueQuantity"]["value"].to_string(), "72.35");
    let ours = record(&dossier()).1;
    let ours =
        all(&ours, "Observation").into_iter().find(|o| o["component"][0].get("valueSampledData").is_some()).unwrap();
    let theirs = stored.iter().find(|r| r["component"][0].get("valueSampledData").is_some()).unwrap();
    assert_eq!(ours["component"], theirs["component"], "every sample is kept as it was sent");
    assert!(
        weight["subject"]["reference"].as_str().unwrap().starts_with("Patient/"),
        "the server resolved the references"
    );
    peer.stop().unwrap();
}

#[test]
fn a_request_for_a_second_opinion_is_stored_once_by_a_server_that_is_not_ours_and_found_as_the_desk_asks() {
    let name = "a_request_for_a_second_opinion_is_stored_once_by_a_server_that_is_not_ours_and_found_as_the_desk_asks";
    let Some(tools) = tools_or_skip(name) else { return };
    let peer = Peer::start(tools).unwrap();
    let mut asked = dossier();
    asked.second_opinion = Some(super::sample::second_opinion(asked.started_at));
    let (submission, _) = record(&asked);
    for _ in 0..2 {
        assert_eq!(upload(&peer, &submission), 0);
        let mut expected = expected();
        for (kind, more) in [("Consent", 1), ("Practitioner", 1), ("PractitionerRole", 1), ("QuestionnaireResponse", 1)]
        {
            *expected.entry(kind.into()).or_default() += more;
        }
        expected.extend([("ServiceRequest".to_owned(), 1), ("Task".to_owned(), 1)]);
        assert_eq!(peer.count().unwrap(), expected);
    }
    let (status, found) = peer
        .fhir("GET", &format!("/Task?code={}%7Csecond-opinion&_sort=-_lastUpdated", crate::terms::LOCAL), None)
        .unwrap();
    assert_eq!((status, found["entry"].as_array().map_or(0, Vec::len)), (200, 1), "{found:#}");
    let focus = found["entry"][0]["resource"]["focus"]["reference"].as_str().unwrap().to_owned();
    assert!(focus.starts_with("ServiceRequest/"), "{focus}");
    for query in [format!("QuestionnaireResponse?based-on={focus}"), focus] {
        assert_eq!(peer.fhir("GET", &format!("/{query}"), None).unwrap().0, 200, "{query}");
    }
    peer.stop().unwrap();
}

#[test]
fn a_reply_cut_after_the_commit_loses_and_duplicates_nothing() {
    let Some(tools) = tools_or_skip("a_reply_cut_after_the_commit_loses_and_duplicates_nothing") else { return };
    let peer = Peer::start_cutting(tools, 2).unwrap();
    let (submission, _) = record(&dossier());
    let cuts = upload(&peer, &submission) + upload(&peer, &submission);
    assert!(cuts > 2, "only {cuts} replies were cut: the test proves nothing");
    assert!(peer.requests().unwrap().iter().any(|r| r.method == "POST" && r.cut), "no bundle's reply was cut");
    assert_eq!(peer.count().unwrap(), expected());
    assert_eq!(proved(&peer, &submission), 1);
    peer.stop().unwrap();
}

#[test]
fn two_independent_validators_and_the_french_invariants_accept_the_record() {
    let name = "two_independent_validators_and_the_french_invariants_accept_the_record";
    let Some(tools) = tools_or_skip(name) else { return };
    let profiles = fr_core_profiles();
    if profiles.is_none() {
        eprintln!(
            "SKIPPED in part, {name}: the FR Core package is not beside the repository, its invariants are not evaluated"
        );
    }
    let mut left = dossier();
    left.calls.clear();
    left.summaries.clear();
    left.documents.clear();
    let mut asked = left.clone();
    let phone = consult::dossier::Phone::parse("06 98 76 54 32").unwrap();
    asked.call_back = Some(consult::dossier::CallBack { phone, asked_at: asked.started_at });
    let mut opinion = left.clone();
    opinion.second_opinion = Some(super::sample::second_opinion(opinion.started_at));
    for dossier in [dossier(), left, asked, opinion] {
        let (submission, _) = record(&dossier);
        let report = validate(tools, &submission.bundle, profiles.as_deref()).unwrap();
        assert!(report.errors.is_empty(), "{:#?}", report.errors);
        assert!(profiles.is_none() || report.invariants > 0, "no invariant was evaluated");
        for upload in &submission.uploads {
            let report = validate(tools, &upload.bytes, None).unwrap();
            assert!(report.errors.is_empty(), "{:#?}", report.errors);
        }
    }
    the_validators_have_teeth(tools);
}

/// Each of the two programs refuses what it is there to refuse.
fn the_validators_have_teeth(tools: &Tools) {
    let (submission, _) = record(&dossier());
    let text = String::from_utf8(submission.bundle).unwrap();
    for (good, bad, tool) in [
        (r#""gender":"female""#, r#""gender":"femme""#, "fhir "),
        (r#""birthDate":"1979-03-28""#, r#""birthDate":"1979-13-28""#, "fhirkit-rs "),
        (r#""birthDate":"#, r#""birthdate":"#, "fhirkit-rs "),
        (r#""birthDate":"#, r#""birthdate":"#, "fhir "),
    ] {
        let damaged = text.replacen(good, bad, 1);
        assert_ne!(damaged, text);
        let report = validate(tools, damaged.as_bytes(), None).unwrap();
        assert!(report.errors.iter().any(|e| e.starts_with(tool)), "{tool}did not see {bad}: {:?}", report.errors);
    }
}
