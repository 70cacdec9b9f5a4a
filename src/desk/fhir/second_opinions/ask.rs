//! A request that a physician's page makes: the same resources that a cabin sends with its dossier.

use serde_json::{Value, json};
use signal::call::Physician;
use signal::second_opinion::{Ask, COMMON_FIELDS, State, Urgency, specialty};

use super::step::{create, identifiers};
use super::{CODE, SPECIALTY, TOLD, concept, physician_reference, set_state, written};
use crate::accounts::Practice;
use crate::fhir::call_backs::RPPS;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Identifiers that desks give to cabins, on a dossier's Location (`fhir::place`).
const CABIN_IDS: &str = "urn:uuid:2b1f6f0e-54d3-4a0c-9d0b-0c2a4de6a7f3";
const FINESS: &str = "https://finess.esante.gouv.fr";
const FR_CORE_TYPES: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203";
/// How a professional practises (ANS table TRE_R23).
const PRACTICE: &str = "https://mos.esante.gouv.fr/NOS/TRE_R23-ModeExercice/FHIR/TRE-R23-ModeExercice";
const CONSENT_SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
/// The patient's consent to a second opinion, on its ServiceRequest: `given` and `at`.
pub const CONSENT: &str = "urn:uuid:0f0c1d8a-54b9-4d8c-9f57-7c8f0f5b1a60";

/// What the records say already of the consultation that a request is about.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// `Patient/…`.
    patient: Option<String>,
    /// `Encounter/…`.
    encounter: Option<String>,
    /// Every document of the dossier: pictures, electrocardiograms, sounds, papers.
    documents: Vec<String>,
    place: String,
    reason: String,
    /// The cabin where the patient was: its pharmacist reads the answer too.
    cabin: Option<String>,
}

impl Known {
    /// From the searchset of a consultation; nothing, while its dossier has not come.
    pub fn of(record: Option<&Value>) -> Self {
        let entries = record.and_then(|bundle| bundle["entry"].as_array()).map_or(&[][..], Vec::as_slice);
        let all = |kind: &'static str| {
            entries.iter().map(|entry| &entry["resource"]).filter(move |one| one["resourceType"] == kind)
        };
        let named =
            |resource: &Value| Some(format!("{}/{}", resource["resourceType"].as_str()?, resource["id"].as_str()?));
        let encounter = all("Encounter").next();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        // The kind of reason alone: the patient's own words are in the dossier.
        let reason = encounter.map(|encounter| &encounter["reasonCode"][0]["coding"][0]["display"]);
        Known {
            patient: all("Patient").next().and_then(named),
            encounter: encounter.and_then(named),
            documents: all("DocumentReference").filter_map(named).collect(),
            place: text(all("Location").next().map(|location| &location["name"])),
            reason: text(reason),
            cabin: all("Location").find_map(|location| {
                let mut names = location["identifier"].as_array()?.iter();
                names.find(|name| name["system"] == CABIN_IDS)?["value"].as_str().map(str::to_owned)
            }),
        }
    }

    /// The same, of a patient who is in this cabin now.
    pub fn in_cabin(mut self, cabin: Option<&str>) -> Self {
        self.cabin = cabin.map(str::to_owned).or(self.cabin);
        self
    }
}

/// The transaction of a request that [`Ask::missing`] finds complete.
pub fn bundle(ask: &Ask, physician: &Physician, practice: &Practice, known: &Known, now_ms: i64) -> Value {
    let fresh = || format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let (service, now) = (fresh(), written(now_ms));
    let id = ask.id.as_str();
    let (rpps, name) = (physician.rpps.as_str(), physician.name.as_str());
    let requester = physician_reference(rpps, name);
    let consultation = json!({"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{}", ask.consultation)});
    // Before the dossier has come, the consultation's own name says of whom it is.
    let to = |kind: &str, known: &Option<String>| match known {
        Some(reference) => json!({"reference": reference}),
        None => json!({"type": kind, "identifier": consultation}),
    };
    let (patient, encounter) = (to("Patient", &known.patient), to("Encounter", &known.encounter));
    let asked = specialty(ask.specialty.as_str());
    let specialty = concept(&format!("{SPECIALTY}{}", ask.specialty), asked.map_or("", |asked| asked.name));
    let priority = match ask.urgency {
        Urgency::Routine => "routine",
        Urgency::Urgent => "urgent",
    };
    let wanted = written(now_ms + i64::from(ask.wanted_days) * DAY_MS);

    let answers_url = fresh();
    let item =
        |link: &str, label: &str, text: &str| json!({"linkId": link, "text": label, "answer": [{"valueString": text}]});
    let mut items = vec![
        item("question", "Question posée", ask.question.as_str()),
        item("context", "Contexte clinique", ask.context.as_str()),
    ];
    for field in asked.map_or(&[][..], |asked| asked.fields).iter().chain(COMMON_FIELDS) {
        let said = ask.details.iter().find(|detail| detail.field.as_str() == field.code);
        items.extend(
            said.filter(|detail| !detail.text.as_str().trim().is_empty())
                .map(|detail| item(field.code, field.label, detail.text.as_str())),
        );
    }
    let answers = json!({
        "resourceType": "QuestionnaireResponse", "identifier": identifiers(id)[0], "basedOn": [{"reference": service}],
        "status": "completed", "subject": patient, "encounter": encounter, "authored": now, "author": requester, "item": items,
    });
    let words = "Télé-expertise : le dossier est montré à un spécialiste";
    let (consent_url, consent_at) = (fresh(), written(ask.consent_at));
    let consent = json!({
        "resourceType": "Consent", "identifier": identifiers(id), "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "treatment"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0", "display": "Patient Consent"}]}],
        "patient": patient, "dateTime": consent_at, "policyRule": concept("consent-second-opinion", words),
        "provision": {"type": "permit"},
    });
    let role_url = fresh();
    let practitioner_url = fresh();
    let practitioner = json!({
        "resourceType": "Practitioner", "identifier": [{"system": RPPS, "value": rpps}], "name": [{"text": name}],
        "qualification": [{"code": {"text": physician.speciality.as_str()}}],
    });
    let mut role = json!({
        "resourceType": "PractitionerRole", "identifier": identifiers(id), "active": true,
        "practitioner": {"reference": practitioner_url, "display": name},
        "specialty": [{"text": physician.speciality.as_str()}],
    });
    let structure = match practice {
        Practice::Liberal => {
            role["code"] = json!([{"coding": [{"system": PRACTICE, "code": "L"}], "text": "Exercice libéral"}]);
            None
        }
        Practice::Structure { finess, name } => {
            let url = fresh();
            role["organization"] = json!({"reference": url, "display": name});
            let kind = json!({"coding": [{"system": FR_CORE_TYPES, "code": "FINEG"}]});
            let organization = json!({
                "resourceType": "Organization", "active": true, "name": name,
                "identifier": [{"type": kind, "system": FINESS, "value": finess}],
            });
            let known = format!("identifier={FINESS}|{finess}");
            let request = json!({"method": "POST", "url": "Organization", "ifNoneExist": known});
            Some(json!({"fullUrl": url, "resource": organization, "request": request}))
        }
    };
    let mut supporting = vec![json!({"reference": answers_url}), json!({"reference": consent_url})];
    supporting.extend(known.documents.iter().map(|document| json!({"reference": document})));
    let service_request = json!({
        "resourceType": "ServiceRequest",
        "extension": [{"url": CONSENT, "extension": [
            {"url": "given", "valueBoolean": ask.consent}, {"url": "at", "valueDateTime": consent_at},
        ]}],
        "identifier": identifiers(id), "status": "active", "intent": "proposal", "priority": priority,
        "code": concept(CODE, "Avis spécialisé"), "subject": patient, "encounter": encounter,
        "occurrencePeriod": {"end": wanted}, "authoredOn": now,
        "requester": {"reference": role_url, "display": name}, "performerType": specialty,
        "reasonCode": [{"text": ask.question.as_str()}], "supportingInfo": supporting,
    });
    let mut task = json!({
        "resourceType": "Task", "identifier": identifiers(id), "groupIdentifier": consultation, "intent": "proposal",
        "priority": priority, "code": concept(CODE, "Avis spécialisé"), "focus": {"reference": service},
        "for": patient, "encounter": encounter, "authoredOn": now, "requester": requester,
        "performerType": [specialty], "restriction": {"period": {"end": wanted}},
    });
    for (name, text) in [("location", ("display", &known.place)), ("reasonCode", ("text", &known.reason))] {
        if !text.1.is_empty() {
            task[name] = json!({text.0: text.1});
        }
    }
    if let Some(cabin) = &known.cabin {
        task["input"] = json!([{"type": concept(TOLD, "Cabine où était le patient"), "valueString": cabin}]);
    }
    set_state(&mut task, State::Ready, &now);
    let known_practitioner =
        json!({"method": "POST", "url": "Practitioner", "ifNoneExist": format!("identifier={RPPS}|{rpps}")});
    let mut entries = vec![json!({
        "fullUrl": practitioner_url, "resource": practitioner, "request": known_practitioner,
    })];
    entries.extend(structure);
    entries.extend([
        create(role, id, Some(&role_url)),
        create(consent, id, Some(&consent_url)),
        create(answers, id, Some(&answers_url)),
        create(service_request, id, Some(&service)),
        create(task, id, None),
    ]);
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}
