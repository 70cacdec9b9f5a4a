//! What a FHIR server must hold after the consultation: exactly that, and once.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha1::{Digest as _, Sha1};

use super::person;

/// How many of each. Of the devices four measure and one is the cabin; the documents are the prescription and the
/// patient's sheet. Incidents are Observations too and counted apart.
const KINDS: [(&str, usize); 12] = [
    ("Binary", 2),
    ("CarePlan", 1),
    ("Consent", 3),
    ("Device", 5),
    ("DocumentReference", 2),
    ("Encounter", 1),
    ("Location", 1),
    ("Observation", VITAL_SIGNS.len() + 1),
    ("Organization", 1),
    ("Patient", 1),
    ("Practitioner", 1),
    ("QuestionnaireResponse", 1),
];

/// LOINC code, value and unit of every vital sign but the pressure, sorted.
const VITAL_SIGNS: [(&str, &str, &str); 8] = [
    ("2708-6", "91", "%"),
    ("2708-6", "93", "%"),
    ("29463-7", "68.35", "kg"),
    ("8302-2", "171.4", "cm"),
    ("8310-5", "37.46", "Cel"),
    ("8867-4", "103", "/min"),
    ("8867-4", "77", "/min"),
    ("8867-4", "88", "/min"),
];

/// Systolic, diastolic and mean, mmHg.
const PRESSURES: [(&str, &str); 3] = [("8480-6", "137"), ("8462-4", "83"), ("8478-0", "101")];

/// Compares what is stored with what was said, measured and handed over.
pub fn is_what_was_said_and_measured(resources: &[Value], prescription: &[u8]) -> Result<()> {
    let all = |kind: &'static str| resources.iter().filter(move |resource| resource["resourceType"] == kind);
    let one = |kind: &'static str| all(kind).next().with_context(|| format!("no {kind} is stored"));
    let is_incident = |observation: &&Value| observation["code"]["text"] == "Incident technique";
    for (kind, expected) in KINDS {
        let count = all(kind).filter(|resource| !is_incident(resource)).count();
        ensure!(count == expected, "{count} {kind} are stored, {expected} expected");
    }
    vital_signs(&all("Observation").filter(|o| !is_incident(o)).collect::<Vec<_>>())?;
    incidents(&all("Observation").filter(is_incident).collect::<Vec<_>>())?;
    patient(one("Patient")?)?;

    let encounter = one("Encounter")?;
    ensure!(encounter["class"]["code"] == "VR" && encounter["status"] == "finished", "{encounter:#}");
    ensure!(encounter["reasonCode"][0]["text"] == person::LINE, "{encounter:#}");
    let practitioner = one("Practitioner")?;
    ensure!(practitioner["identifier"][0]["value"] == "10001234565", "{practitioner:#}");

    let answers: BTreeMap<_, _> = all("Consent")
        .map(|consent| (text(&consent["scope"]["coding"][0]["code"]), text(&consent["provision"]["type"])))
        .collect();
    let expected = [("patient-privacy", "permit"), ("research", "deny"), ("treatment", "permit")];
    ensure!(answers == expected.map(|(scope, answer)| (scope.into(), answer.into())).into(), "{answers:?}");

    let said = one("QuestionnaireResponse")?.to_string();
    for part in ["reason-breathing", "part-ear-nose-throat", person::LINE, "sign-chest-pain"] {
        ensure!(said.contains(part), "the answers hold no {part:?}: {said}");
    }
    ensure!(!said.contains("\"valueBoolean\":true"), "a warning sign was answered yes: {said}");
    documents(&all("DocumentReference").collect::<Vec<_>>(), &all("Binary").collect::<Vec<_>>(), prescription)?;

    let everything = Value::from(resources.to_vec()).to_string();
    ensure!(!everything.contains(&person::matricule()), "a matricule that nobody has qualified was sent");
    Ok(())
}

fn vital_signs(observations: &[&Value]) -> Result<()> {
    let code = |of: &Value| text(&of["code"]["coding"][0]["code"]);
    let (pressure, others): (Vec<_>, Vec<_>) = observations.iter().copied().partition(|o| code(o) == "85354-9");
    let mut read: Vec<_> = others
        .iter()
        .map(|o| (code(o), o["valueQuantity"]["value"].to_string(), text(&o["valueQuantity"]["code"])))
        .collect();
    read.sort();
    let expected = VITAL_SIGNS.map(|(code, value, unit)| (code.to_owned(), value.to_owned(), unit.to_owned()));
    ensure!(read == expected, "stored {read:?}, measured {expected:?}");
    let components = pressure[0]["component"].as_array().context("components of the pressure")?;
    let read: Vec<_> = components.iter().map(|c| (code(c), c["valueQuantity"]["value"].to_string())).collect();
    let expected = PRESSURES.map(|(code, value)| (code.to_owned(), value.to_owned()));
    ensure!(read == expected, "stored {read:?}, measured {expected:?}");
    for observation in observations {
        ensure!(text(&observation["device"]["reference"]).starts_with("Device/"), "of no device: {observation:#}");
        ensure!(text(&observation["subject"]["reference"]).starts_with("Patient/"), "of nobody: {observation:#}");
    }
    Ok(())
}

fn incidents(observations: &[&Value]) -> Result<()> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for observation in observations {
        *count.entry(text(&observation["valueCodeableConcept"]["coding"][0]["code"])).or_default() += 1;
    }
    let of = |kind: &str| count.get(kind).copied().unwrap_or_default();
    ensure!(of("incident-oximeter-lost") == 1, "the cable was pulled out once: {count:?}");
    ensure!(of("incident-cabin-restarted") == 2, "the cabin was killed twice: {count:?}");
    Ok(())
}

fn patient(patient: &Value) -> Result<()> {
    let (day, month, year) = person::BIRTH_DATE;
    let name = &patient["name"][0];
    ensure!(name["family"] == person::BIRTH_NAME && name["given"][0] == person::FIRST_GIVEN_NAME, "{name:#}");
    ensure!(name.to_string().contains(person::GIVEN_NAMES), "not all given names: {name:#}");
    ensure!(patient["gender"] == "female", "{:#}", patient["gender"]);
    ensure!(patient["birthDate"] == format!("{year}-{month}-{day}"), "{:#}", patient["birthDate"]);
    ensure!(patient["telecom"][0]["value"] == person::PHONE, "{:#}", patient["telecom"]);
    ensure!(patient["address"][0]["city"] == person::TOWN, "{:#}", patient["address"]);
    ensure!(patient["generalPractitioner"][0]["display"] == person::DOCTOR, "{:#}", patient["generalPractitioner"]);
    let extensions = patient["extension"].to_string();
    ensure!(extensions.contains("\"PROV\"") && extensions.contains("49007"), "{extensions}");
    Ok(())
}

fn documents(references: &[&Value], binaries: &[&Value], prescription: &[u8]) -> Result<()> {
    let sha1 = STANDARD.encode(Sha1::digest(prescription));
    let of_type = |code: &str| references.iter().find(|r| r["type"]["coding"][0]["code"] == code);
    let given = of_type("57833-6").context("no prescription is stored")?;
    let attachment = &given["content"][0]["attachment"];
    ensure!(attachment["hash"] == sha1 && attachment["size"] == prescription.len(), "{attachment:#}");
    let bytes_of = |binary: &Value| STANDARD.decode(text(&binary["data"])).unwrap_or_default();
    let stored = binaries.iter().find(|binary| bytes_of(binary) == prescription);
    let stored = stored.context("no stored document has the bytes that the physician attached")?;
    ensure!(text(&attachment["url"]).ends_with(&text(&stored["id"])), "{attachment:#} is not {:#}", stored["id"]);
    let sheet = of_type("85208-7").context("no report is stored")?;
    ensure!(text(&sheet["content"][0]["attachment"]["contentType"]) == "application/pdf", "{sheet:#}");
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
