//! The store alone: transactions repeated, at once, cut in the middle.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::store::{Search, Store};
use super::*;

const NOW: &str = "2026-11-22T01:00:00.000Z";

/// A patient created once by identifier, and an observation that refers to it by fullUrl.
fn visit(n: u32) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
         "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "p 1"}]},
         "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:x|p%201"}},
        {"fullUrl": format!("urn:uuid:visit-{n}"),
         "resource": {"resourceType": "Encounter", "id": format!("visit-{n}"), "status": "finished",
                      "identifier": [{"system": "urn:y", "value": format!("visit-{n}")}],
                      "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}},
         "request": {"method": "PUT", "url": format!("Encounter/visit-{n}")}},
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002",
         "resource": {"resourceType": "Observation", "status": "final",
                      "identifier": [{"system": "urn:z", "value": format!("o-{n}")}],
                      "valueQuantity": {"value": 36.8},
                      "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
                      "encounter": {"reference": format!("urn:uuid:visit-{n}")}},
         "request": {"method": "POST", "url": "Observation", "ifNoneExist": format!("identifier=urn:z|o-{n}")}},
    ]})
}

fn run(store: &mut Store, bundle: Value) -> Result<Value, Refusal> {
    transaction::run(store, bundle, "cabin:a", NOW, &mut fresh_id)
}

fn statuses(reply: &Value) -> Vec<&str> {
    let entries = reply["entry"].as_array().unwrap();
    entries.iter().map(|entry| entry["response"]["status"].as_str().unwrap()).collect()
}

fn all(store: &Store, kind: &str, system: &str, value: &str) -> Vec<String> {
    store.search(kind, &Search { identifier: Some((Some(system.into()), value.into())), ..Default::default() })
}

#[test]
fn a_transaction_sent_again_creates_nothing_again_and_references_are_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let first = run(&mut store, visit(1)).unwrap();
    assert_eq!(first["type"], "transaction-response");
    assert_eq!(statuses(&first), ["201 Created"; 3]);
    let again = run(&mut store, visit(1)).unwrap();
    assert_eq!(statuses(&again), ["200 OK"; 3]);
    for n in 0..3 {
        assert_eq!(first["entry"][n]["response"]["location"], again["entry"][n]["response"]["location"]);
    }
    assert_eq!(statuses(&run(&mut store, visit(2)).unwrap()), ["200 OK", "201 Created", "201 Created"]);
    let patient = all(&store, "Patient", "urn:x", "p 1");
    assert_eq!(patient.len(), 1);
    let observation = all(&store, "Observation", "urn:z", "o-1");
    let (observation, version) = store.get("Observation", &observation[0]).unwrap().unwrap();
    assert_eq!(version, 1);
    assert_eq!(observation["subject"]["reference"], format!("Patient/{}", patient[0]));
    assert_eq!(observation["encounter"]["reference"], "Encounter/visit-1");
    assert_eq!(observation["valueQuantity"]["value"], 36.8);

    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(statuses(&run(&mut store, visit(2)).unwrap()), ["200 OK"; 3], "after a restart");
    let bundle = of_consultation(&mut store, "visit-1").unwrap();
    let kinds: Vec<_> =
        bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["resourceType"].clone()).collect();
    assert_eq!(kinds, ["Encounter", "Observation", "Patient"]);
    assert!(of_consultation(&mut store, "visit-3").is_none());
}

#[test]
fn a_transaction_with_one_bad_entry_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let spoilt = |change: &dyn Fn(&mut Value)| {
        let mut bundle = visit(1);
        change(&mut bundle);
        bundle
    };
    for (status, bundle) in [
        (400, spoilt(&|bundle| bundle["entry"][2]["resource"]["subject"]["reference"] = "urn:uuid:nowhere".into())),
        (400, spoilt(&|bundle| bundle["entry"][2]["request"]["url"] = "Patient".into())),
        (400, spoilt(&|bundle| bundle["entry"][2]["request"]["method"] = "DELETE".into())),
        (400, spoilt(&|bundle| bundle["entry"][2]["request"]["ifNoneExist"] = "code=8310-5".into())),
        (400, spoilt(&|bundle| bundle["entry"][1]["resource"]["id"] = "other".into())),
        (400, spoilt(&|bundle| bundle["entry"][2]["fullUrl"] = "urn:uuid:visit-1".into())),
        (412, spoilt(&|bundle| bundle["entry"][1]["request"]["ifMatch"] = "W/\"4\"".into())),
        (
            412,
            spoilt(&|bundle| bundle["entry"][2]["resource"]["subject"]["reference"] = "Patient?identifier=x|y".into()),
        ),
        (400, spoilt(&|bundle| bundle["type"] = "batch".into())),
        (400, json!([])),
    ] {
        let refusal = run(&mut store, bundle.clone()).unwrap_err();
        assert_eq!(refusal.status, status, "{bundle} {refusal}");
        assert!(all(&store, "Patient", "urn:x", "p 1").is_empty());
        assert!(store.get("Encounter", "visit-1").unwrap().is_none());
    }
    assert_eq!(statuses(&run(&mut store, visit(1)).unwrap()), ["201 Created"; 3]);
}

#[test]
fn an_update_makes_a_version_keeps_the_other_cabins_out_and_a_condition_that_matches_two_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    run(&mut store, visit(1)).unwrap();
    let mut changed = visit(1);
    changed["entry"][1]["resource"]["status"] = "cancelled".into();
    let reply = run(&mut store, changed.clone()).unwrap();
    assert_eq!(reply["entry"][1]["response"]["etag"], "W/\"2\"");
    let other = transaction::run(&mut store, visit(1), "cabin:b", NOW, &mut fresh_id).unwrap_err();
    assert_eq!(other.status, 403);
    assert!(!store.owns("Patient", &all(&store, "Patient", "urn:x", "p 1")[0], "cabin:b"));
    for _ in 0..2 {
        let twin = json!({"resourceType": "Device", "identifier": [{"system": "urn:d", "value": "1"}]});
        transaction::single(&mut store, twin, &json!({"method": "POST", "url": "Device"}), "a", NOW, &mut fresh_id)
            .unwrap();
    }
    let third = json!({"resourceType": "Device"});
    let request = json!({"method": "POST", "url": "Device", "ifNoneExist": "identifier=urn:d|1"});
    assert_eq!(transaction::single(&mut store, third, &request, "a", NOW, &mut fresh_id).unwrap_err().status, 412);
}

#[test]
fn two_equal_conditional_creates_in_one_transaction_make_one_resource() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let mut bundle = visit(1);
    let mut twin = bundle["entry"][0].clone();
    twin["fullUrl"] = "urn:uuid:twin".into();
    bundle["entry"].as_array_mut().unwrap().push(twin);
    let reply = run(&mut store, bundle).unwrap();
    assert_eq!(reply["entry"][0]["response"]["location"], reply["entry"][3]["response"]["location"]);
    assert_eq!(all(&store, "Patient", "urn:x", "p 1").len(), 1);
}

#[test]
fn a_store_cut_at_any_byte_opens_with_whole_transactions_only_and_takes_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    run(&mut store, visit(1)).unwrap();
    let whole = fs::read(folder.path().join("store.log")).unwrap().len();
    run(&mut store, visit(2)).unwrap();
    drop(store);
    let bytes = fs::read(folder.path().join("store.log")).unwrap();
    for cut in (whole..bytes.len()).step_by(7).chain([whole, bytes.len() - 1]) {
        let again = tempfile::tempdir().unwrap();
        fs::write(again.path().join("store.log"), &bytes[..cut]).unwrap();
        let mut store = Store::open(again.path()).unwrap();
        assert!(store.get("Encounter", "visit-1").unwrap().is_some());
        assert!(store.get("Encounter", "visit-2").unwrap().is_none(), "half a transaction at {cut}");
        assert!(all(&store, "Observation", "urn:z", "o-2").is_empty());
        assert_eq!(statuses(&run(&mut store, visit(2)).unwrap()), ["200 OK", "201 Created", "201 Created"]);
        let set_aside = fs::read(again.path().join("store.spoilt")).map_or(0, |bytes| bytes.len());
        assert_eq!(set_aside, cut - whole, "what is cut is set aside, not erased");
    }
}

#[test]
fn a_line_spoilt_in_the_middle_is_set_aside_and_those_behind_it_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    run(&mut store, visit(1)).unwrap();
    assert!(Store::open(folder.path()).is_err(), "one desk a store");
    drop(store);
    let path = folder.path().join("store.log");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"00 {\"changes\":[]}\n").unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    run(&mut store, visit(2)).unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert!(store.get("Encounter", "visit-1").unwrap().is_some());
    assert!(store.get("Encounter", "visit-2").unwrap().is_some());
    assert!(fs::read_to_string(folder.path().join("store.spoilt")).unwrap().starts_with("00 {"));
}

#[test]
fn the_cabins_own_bundle_is_stored_whole_and_only_once() {
    let golden = include_str!("../fhir/golden/consultation.json");
    let bundle: Value = serde_json::from_str(golden).unwrap();
    let entries = bundle["entry"].as_array().unwrap().len();
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let first = run(&mut store, bundle.clone()).unwrap();
    assert_eq!(statuses(&first), vec!["201 Created"; entries]);
    assert_eq!(statuses(&run(&mut store, bundle).unwrap()), vec!["200 OK"; entries]);
    for entry in first["entry"].as_array().unwrap() {
        let (kind, rest) = entry["response"]["location"].as_str().unwrap().split_once('/').unwrap();
        let (resource, _) = store.get(kind, rest.split('/').next().unwrap()).unwrap().unwrap();
        assert!(!resource.to_string().contains("\"reference\":\"urn:"), "{kind} keeps an address of the bundle");
    }
}

/// A piece of a Bundle becomes something else: another type, another text, nothing.
fn bend(value: &mut Value, rng: &mut rand::rngs::StdRng) {
    use rand::Rng as _;
    let inside = match value {
        Value::Object(object) if !object.is_empty() => {
            let nth = rng.random_range(0..object.len());
            object.values_mut().nth(nth)
        }
        Value::Array(array) if !array.is_empty() => {
            let nth = rng.random_range(0..array.len());
            array.get_mut(nth)
        }
        _ => None,
    };
    match inside {
        Some(inside) if rng.random_range(0..5) > 0 => bend(inside, rng),
        _ => {
            let others = [
                Value::Null,
                json!(-1),
                json!(true),
                json!(""),
                json!("Patient?identifier=%"),
                json!("Encounter/../x?_id=%+5"),
                json!("\u{0}\u{202e}é"),
                json!([[], {}]),
                json!({"resourceType": "Patient", "identifier": {"value": 3}}),
                json!({"reference": "Patient?identifier=urn:x|p%201"}),
            ];
            *value = others[rng.random_range(0..others.len())].clone();
        }
    }
}

#[test]
fn a_bent_bundle_is_refused_or_stored_and_the_store_still_answers() {
    use rand::{Rng as _, SeedableRng as _};
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    eprintln!("SEED={seed} replays this");
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let mut refused = 0;
    for n in 0..400 {
        let mut bundle = visit(n);
        for _ in 0..rng.random_range(1..4) {
            bend(&mut bundle, &mut rng);
        }
        refused += usize::from(run(&mut store, bundle).is_err());
    }
    assert!(refused > 50, "only {refused} were refused: nothing was bent");
    assert_eq!(
        run(&mut store, json!({"resourceType": "Bundle", "type": "transaction", "entry": [5]})).unwrap_err().status,
        400
    );
    // Without its Patient: a condition that was bent away has stored that one twice, which is refused as it should be.
    let mut whole = visit(1000);
    whole["entry"].as_array_mut().unwrap().retain(|entry| entry["resource"]["resourceType"] == "Encounter");
    whole["entry"][0]["resource"]["subject"] = json!({"display": "[patient]"});
    run(&mut store, whole).unwrap();
    assert_eq!(all(&store, "Encounter", "urn:y", "visit-1000").len(), 1);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(all(&store, "Encounter", "urn:y", "visit-1000").len(), 1, "the log reads back");
}
