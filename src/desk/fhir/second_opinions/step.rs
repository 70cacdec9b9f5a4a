//! What one side makes of a request: the next state, and the transaction that writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use signal::second_opinion::{MESSAGES_MAX, REPORT_BYTES_MAX, State, Step, What};

use super::{STEP, Who, coded, concept, set_state, state};

const URI: &str = "urn:ietf:rfc:3986";
const LOINC: &str = "http://loinc.org";
/// Acts of the French nomenclature (NGAP), as the CDA of telemedicine names their system.
const NGAP: &str = "urn:oid:1.2.250.1.215.200.3.3";
/// The act of the specialist who answers.
const ACT: &str = "TE2";

/// Why nothing is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another specialist has it.
    #[error("{0} a déjà pris cette demande.")]
    Taken(String),
    /// It is another's part, or another specialty's.
    #[error("Cette demande n’est pas la vôtre.")]
    NotYours,
    /// Not in this state: it was answered, rejected, or taken back meanwhile.
    #[error("Cette demande est déjà close.")]
    Closed,
    /// Nothing was written where words are needed.
    #[error("Écrivez d’abord quelques mots.")]
    NoWords,
    /// The thread is full ([`MESSAGES_MAX`]).
    #[error("Cet échange a trop de messages : demandez un nouvel avis.")]
    TooMany,
    /// The report is no PDF, or too long.
    #[error("Le compte rendu doit être un PDF de {} Mo au plus.", REPORT_BYTES_MAX / (1024 * 1024))]
    Report,
}

/// What comes of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// Said again, after an answer that was lost: nothing is to be written.
    Already,
    /// This transaction is to be stored; it holds only where nobody changed the Task meanwhile.
    Write(Value),
}

/// The step of `who` on a request, with its ServiceRequest and what was said about that. The same step is known by its
/// own name, and only by that: what a second window writes meanwhile is another step, and is told so.
///
/// # Errors
/// See [`Refused`].
pub fn step(
    task: &Value,
    service: &Value,
    resources: &[Value],
    who: &Who,
    step: &Step,
    now: &str,
) -> Result<Made, Refused> {
    let mut next = task.clone();
    let was = state(task);
    let id = step.id.as_str();
    if is_made(task, resources, id) {
        return Ok(Made::Already);
    }
    let mut entries = Vec::new();
    let said = resources.iter().filter(|one| one["resourceType"] == "Communication").count();
    let room = || if said < MESSAGES_MAX { Ok(()) } else { Err(Refused::TooMany) };
    let has_it = || if who.has(task) { Ok(()) } else { Err(Refused::NotYours) };
    let asked_it = || if who.asked(task) { Ok(()) } else { Err(Refused::NotYours) };
    let open = || if was.is_open() { Ok(()) } else { Err(Refused::Closed) };
    match &step.what {
        What::Take => {
            if who.has(task) && was.is_open() {
                return Ok(Made::Already);
            }
            open()?;
            if let Some(owner) = task.get("owner") {
                return Err(Refused::Taken(owner["display"].as_str().unwrap_or("Un autre médecin").to_owned()));
            }
            if who.asked(task) || !super::specialty(task).is_some_and(|specialty| who.answers(specialty)) {
                return Err(Refused::NotYours);
            }
            next["owner"] = who.reference();
            set_state(&mut next, if was == State::Expired { was } else { State::InProgress }, now);
        }
        What::Return => {
            has_it()?;
            open()?;
            next.as_object_mut().map(|task| task.remove("owner"));
            set_state(&mut next, if was == State::Expired { was } else { State::Ready }, now);
        }
        What::AskMore { text } => {
            has_it()?;
            open()?;
            room()?;
            entries.push(communication(task, who, id, words(text.as_str())?, now));
            set_state(&mut next, State::InfoRequested, now);
        }
        What::Say { text } => {
            asked_it()?;
            open()?;
            room()?;
            entries.push(communication(task, who, id, words(text.as_str())?, now));
            set_state(&mut next, if was == State::InfoRequested { State::InProgress } else { was }, now);
        }
        What::Answer { text, report } => {
            has_it()?;
            open()?;
            let full_url = format!("urn:uuid:{}", uuid::Uuid::new_v4());
            let report = report.as_deref().map(pdf).transpose()?;
            let binary = report.as_ref().map(|_| format!("Binary/{id}"));
            if let (Some(report), Some(url)) = (&report, &binary) {
                let data = STANDARD.encode(report);
                let pdf = json!({"resourceType": "Binary", "id": id, "contentType": "application/pdf", "data": data});
                entries.push(json!({"resource": pdf, "request": {"method": "PUT", "url": url}}));
            }
            let document = answer(task, who, id, words(text.as_str())?, report.zip(binary), now);
            entries.push(create(document, id, Some(&full_url)));
            next["output"] = json!([{
                "type": concept("opinion-answer", "Réponse du spécialiste"),
                "valueReference": {"reference": full_url},
            }]);
            set_state(&mut next, State::Answered, now);
        }
        What::Reject { text } => {
            has_it()?;
            open()?;
            next["statusReason"] = json!({"text": words(text.as_str())?});
            set_state(&mut next, State::Rejected, now);
        }
        What::Cancel { text } => {
            asked_it()?;
            open()?;
            if !text.is_empty() {
                next["statusReason"] = json!({"text": text.as_str()});
            }
            set_state(&mut next, State::Cancelled, now);
        }
    }
    mark(&mut next, id);
    entries.extend(closing(service, &next));
    Ok(Made::Write(bundle(next, entries)))
}

/// Whether the step of this name was made: the last one is named in the Task, what was said in what was stored of it.
fn is_made(task: &Value, resources: &[Value], id: &str) -> bool {
    let outputs = task["output"].as_array().into_iter().flatten();
    let mut last = outputs.filter(|output| coded(&output["type"]) == Some(STEP));
    let urn = format!("urn:uuid:{id}");
    let named = |one: &Value| one["identifier"].as_array().is_some_and(|all| all.iter().any(|of| of["value"] == urn));
    let is_said = |one: &&Value| one["resourceType"] == "Communication" || one["resourceType"] == "DocumentReference";
    last.any(|output| output["valueString"] == id) || resources.iter().filter(is_said).any(named)
}

/// Names the last step in the Task.
fn mark(task: &mut Value, id: &str) {
    let before = task["output"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut outputs: Vec<Value> = before.into_iter().filter(|output| coded(&output["type"]) != Some(STEP)).collect();
    outputs.push(json!({"type": concept(STEP, "Dernier pas"), "valueString": id}));
    task["output"] = outputs.into();
}

/// The transaction that tells of a request without an answer.
pub fn expire(task: &Value, now: &str) -> Value {
    let mut next = task.clone();
    set_state(&mut next, State::Expired, now);
    bundle(next, Vec::new())
}

/// The Task of this version only, and what goes with it.
fn bundle(task: Value, entries: Vec<Value>) -> Value {
    let id = task["id"].as_str().unwrap_or_default();
    let version = task["meta"]["versionId"].as_str().unwrap_or_default();
    let request = json!({"method": "PUT", "url": format!("Task/{id}"), "ifMatch": format!("W/\"{version}\"")});
    let mut all = vec![json!({"resource": task, "request": request})];
    all.extend(entries);
    json!({"resourceType": "Bundle", "type": "transaction", "entry": all})
}

/// The ServiceRequest with its performer, and its end; `None` where it stays as it is.
fn closing(service: &Value, task: &Value) -> Option<Value> {
    let mut next = service.clone();
    next["status"] = match state(task) {
        State::Answered => "completed",
        State::Rejected | State::Cancelled => "revoked",
        _ => "active",
    }
    .into();
    match task.get("owner") {
        Some(owner) => next["performer"] = json!([owner]),
        None => drop(next.as_object_mut()?.remove("performer")),
    }
    if next == *service {
        return None;
    }
    let url = format!("ServiceRequest/{}", service["id"].as_str()?);
    Some(json!({"resource": next, "request": {"method": "PUT", "url": url}}))
}

fn words(text: &str) -> Result<&str, Refused> {
    if text.trim().is_empty() { Err(Refused::NoWords) } else { Ok(text) }
}

fn pdf(base64: &str) -> Result<Vec<u8>, Refused> {
    let bytes = STANDARD.decode(base64).map_err(|_| Refused::Report)?;
    if bytes.len() > REPORT_BYTES_MAX || !bytes.starts_with(b"%PDF-") { Err(Refused::Report) } else { Ok(bytes) }
}

/// Created once, whatever is sent again.
pub(super) fn create(resource: Value, id: &str, full_url: Option<&str>) -> Value {
    let kind = resource["resourceType"].as_str().unwrap_or_default().to_owned();
    let once = format!("identifier={URI}|urn:uuid:{id}");
    let request = json!({"method": "POST", "url": kind, "ifNoneExist": once});
    match full_url {
        Some(full_url) => json!({"fullUrl": full_url, "resource": resource, "request": request}),
        None => json!({"resource": resource, "request": request}),
    }
}

/// The identifier by which a resource is created once.
pub(super) fn identifiers(id: &str) -> Value {
    json!([{"system": URI, "value": format!("urn:uuid:{id}")}])
}

/// Copies from the Task what says of whom it is.
fn about(resource: &mut Value, task: &Value, subject: &str) {
    if let Some(patient) = task.get("for") {
        resource[subject] = patient.clone();
    }
}

fn communication(task: &Value, who: &Who, id: &str, text: &str, now: &str) -> Value {
    let other = if who.asked(task) { &task["owner"] } else { &task["requester"] };
    let mut said = json!({
        "resourceType": "Communication",
        "identifier": identifiers(id),
        "basedOn": [task["focus"]],
        "partOf": [{"reference": format!("Task/{}", task["id"].as_str().unwrap_or_default())}],
        "status": "completed",
        "sent": now,
        "sender": who.reference(),
        "payload": [{"contentString": text}],
    });
    if !other.is_null() {
        said["recipient"] = json!([other]);
    }
    if let Some(encounter) = task.get("encounter") {
        said["encounter"] = encounter.clone();
    }
    about(&mut said, task, "subject");
    create(said, id, None)
}

/// The answer: the report of an act of telemedicine, in words and, where there is one, as PDF.
fn answer(task: &Value, who: &Who, id: &str, text: &str, report: Option<(Vec<u8>, String)>, now: &str) -> Value {
    let attachment = |kind: &str, bytes: &[u8], title: &str| {
        json!({
            "contentType": kind, "language": "fr-FR", "size": bytes.len(),
            "hash": STANDARD.encode(Sha1::digest(bytes)), "title": title, "creation": now,
        })
    };
    let title = "Réponse de télé-expertise";
    let mut plain = attachment("text/plain; charset=utf-8", text.as_bytes(), title);
    plain["data"] = STANDARD.encode(text).into();
    let mut contents = vec![json!({"attachment": plain})];
    if let Some((bytes, url)) = report {
        let mut pdf = attachment("application/pdf", &bytes, "Compte rendu de télé-expertise");
        pdf["url"] = url.into();
        contents.push(json!({"attachment": pdf}));
    }
    let kind = "Compte rendu de télémédecine";
    let mut context = json!({
        "event": [{"coding": [{"system": NGAP, "code": ACT}], "text": "Télé-expertise, médecin requis"}],
        "related": [task["focus"]],
    });
    if let Some(encounter) = task.get("encounter") {
        context["encounter"] = json!([encounter]);
    }
    let mut document = json!({
        "resourceType": "DocumentReference",
        "identifier": identifiers(id),
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": LOINC, "code": "85208-7", "display": kind}], "text": kind},
        "date": now,
        "author": [who.reference()],
        "content": contents,
        "context": context,
    });
    about(&mut document, task, "subject");
    document
}
