//! Second opinions (tele-expertise) as FHIR: a ServiceRequest that proposes, a Task whose `businessStatus` is our state,
//! Communications as the thread, a DocumentReference as the answer. Pure: the present instant is an argument.
//!
//! A cabin sends a request with its dossier (`fhir::second_opinion`); a physician's page asks for one here ([`ask`]).
//! Both have the same shape, so what is made of one ([`step`]) and how it is read ([`read`]) does not know who asked.

pub mod ask;
pub mod place;
pub mod read;
pub mod step;

use serde_json::{Value, json};
use signal::physician::TakenBy;
use signal::second_opinion::{Alert, DUE_DAYS, LINES_MAX, Line, Lists, SOON_DAYS, State, Urgency};
use signal::{Code, ConsultationId, ItemId, Text};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::call_backs::SYSTEM;

/// The code of this Task among the cabin's own.
pub const CODE: &str = "second-opinion";
/// Prefix of the codes of our states.
const STATE: &str = "opinion-";
/// Prefix of the codes of specialties.
const SPECIALTY: &str = "specialty-";
/// Type of the Task's input that names the cabin that sent it.
pub(super) const CABIN: &str = "opinion-cabin";
/// Type of the Task's input that names the cabin where a physician's patient was: it reads, and makes no step.
pub(super) const TOLD: &str = "opinion-told";
/// Type of the Task's output that names the last step.
pub(super) const STEP: &str = "opinion-step";
/// What was asked is shown to its requester for so long after its end.
const CLOSED_SHOWN_MS: i64 = 60 * DAY_MS;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Who reads or acts.
#[derive(Clone, Debug)]
pub enum Who {
    /// A physician of this desk.
    Physician {
        /// RPPS number.
        rpps: String,
        /// As patients see it.
        name: String,
        /// Codes of specialties that this account answers.
        specialties: Vec<String>,
    },
    /// Who helps patients in a cabin.
    Cabin {
        /// The cabin.
        id: String,
        /// As written under what they say.
        name: String,
    },
}

impl Who {
    /// Name under what this one says.
    pub fn name(&self) -> &str {
        match self {
            Who::Physician { name, .. } | Who::Cabin { name, .. } => name,
        }
    }

    /// Whether this one asked it.
    pub fn asked(&self, task: &Value) -> bool {
        match self {
            Who::Physician { rpps, .. } => task["requester"]["identifier"]["value"] == rpps.as_str(),
            Who::Cabin { id, .. } => input(task, CABIN)["valueString"] == id.as_str(),
        }
    }

    /// Whether this is the cabin where the patient of a physician who asked was.
    pub fn is_told(&self, task: &Value) -> bool {
        matches!(self, Who::Cabin { id, .. } if input(task, TOLD)["valueString"] == id.as_str())
    }

    /// Whether this one has it.
    pub fn has(&self, task: &Value) -> bool {
        matches!(self, Who::Physician { rpps, .. } if task["owner"]["identifier"]["value"] == rpps.as_str())
    }

    fn answers(&self, specialty: &str) -> bool {
        matches!(self, Who::Physician { specialties, .. } if specialties.iter().any(|one| one == specialty))
    }

    /// As a reference to who this is.
    fn reference(&self) -> Value {
        match self {
            Who::Physician { rpps, name, .. } => physician_reference(rpps, name),
            Who::Cabin { name, .. } => json!({"display": name}),
        }
    }
}

fn physician_reference(rpps: &str, name: &str) -> Value {
    json!({"type": "Practitioner", "identifier": {"system": super::call_backs::RPPS, "value": rpps}, "display": name})
}

/// Whether this resource is a request for a second opinion.
pub fn is_opinion(resource: &Value) -> bool {
    resource["resourceType"] == "Task" && coded(&resource["code"]).is_some_and(|code| code == CODE)
}

/// Our code in a concept.
fn coded(concept: &Value) -> Option<&str> {
    concept["coding"].as_array()?.iter().find(|coding| coding["system"] == SYSTEM)?["code"].as_str()
}

/// The input of a type of ours.
fn input<'a>(task: &'a Value, code: &str) -> &'a Value {
    let inputs = task["input"].as_array().map_or(&[][..], Vec::as_slice);
    inputs.iter().find(|input| coded(&input["type"]) == Some(code)).unwrap_or(&Value::Null)
}

/// Where a request is; what a stranger wrote is read by the Task's own status.
pub fn state(task: &Value) -> State {
    let ours = coded(&task["businessStatus"]).and_then(|code| code.strip_prefix(STATE));
    if let Some(state) = State::ALL.into_iter().find(|state| Some(state_code(*state)) == ours) {
        return state;
    }
    match task["status"].as_str() {
        Some("requested" | "received" | "ready") => State::Ready,
        Some("completed") => State::Answered,
        Some("rejected") => State::Rejected,
        Some("on-hold") => State::InfoRequested,
        Some("failed") => State::Expired,
        Some("cancelled" | "entered-in-error") => State::Cancelled,
        _ => State::InProgress,
    }
}

fn state_code(state: State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::InProgress => "in-progress",
        State::InfoRequested => "info-requested",
        State::Answered => "answered",
        State::Rejected => "rejected",
        State::Cancelled => "cancelled",
        State::Expired => "expired",
    }
}

fn state_words(state: State) -> (&'static str, &'static str) {
    match state {
        State::Ready => ("requested", "Publiée"),
        State::InProgress => ("in-progress", "Prise en charge"),
        State::InfoRequested => ("on-hold", "Précision demandée"),
        State::Answered => ("completed", "Répondue"),
        State::Rejected => ("rejected", "Refusée"),
        State::Cancelled => ("cancelled", "Annulée"),
        State::Expired => ("failed", "Sans réponse dans le délai"),
    }
}

/// Writes a state into a Task.
fn set_state(task: &mut Value, state: State, now: &str) {
    let (status, words) = state_words(state);
    task["status"] = status.into();
    task["businessStatus"] = concept(&format!("{STATE}{}", state_code(state)), words);
    task["lastModified"] = now.into();
}

fn concept(code: &str, words: &str) -> Value {
    json!({"coding": [{"system": SYSTEM, "code": code, "display": words}], "text": words})
}

/// Whether `rpps` may read the dossier of `consultation` by this request: who has it, or answered it.
pub fn opens_dossier(task: &Value, rpps: &str, consultation: &ConsultationId) -> bool {
    let is_read = state(task).is_open() || state(task) == State::Answered;
    is_read && task["owner"]["identifier"]["value"] == rpps && self::consultation(task).as_ref() == Some(consultation)
}

/// The identifier of a request, as pages and cabins name it.
pub fn id(task: &Value) -> Option<ItemId> {
    let identifiers = task["identifier"].as_array()?;
    let urn = identifiers.iter().find_map(|identifier| identifier["value"].as_str()?.strip_prefix("urn:uuid:"))?;
    ItemId::new(urn).ok()
}

/// The consultation it is about.
pub fn consultation(task: &Value) -> Option<ConsultationId> {
    let named = task["groupIdentifier"]["value"].as_str()?;
    ConsultationId::new(named.strip_prefix("urn:uuid:").unwrap_or(named)).ok()
}

/// Code of the specialty that is asked.
pub fn specialty(task: &Value) -> Option<&str> {
    let types = task["performerType"].as_array()?;
    types.iter().find_map(|concept| coded(concept)?.strip_prefix(SPECIALTY))
}

fn instant(value: &Value) -> Option<i64> {
    let at = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// An instant of FHIR, from ms since 1970.
pub fn written(at: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default()
}

/// How long a request without an answer has waited at `now` (ms since 1970); a cabin's clock in the future is now.
fn waited_ms(task: &Value, now: i64) -> i64 {
    instant(&task["authoredOn"]).map_or(0, |asked| now.saturating_sub(asked).max(0))
}

fn alert(task: &Value, now: i64) -> Option<Alert> {
    let waited = waited_ms(task, now);
    match state(task).is_open() {
        true if waited >= DUE_DAYS * DAY_MS => Some(Alert::Late),
        true if waited >= SOON_DAYS * DAY_MS => Some(Alert::Soon),
        _ => None,
    }
}

/// Whether the time for an answer has passed while the specialists' side was awaited.
pub fn is_overdue(task: &Value, now: i64) -> bool {
    matches!(state(task), State::Ready | State::InProgress) && waited_ms(task, now) >= DUE_DAYS * DAY_MS
}

/// One request as lists show it; `None` of a Task that is none of ours.
pub fn line(task: &Value, now: i64) -> Option<Line> {
    let words = |value: &Value| Text::cut(value.as_str().unwrap_or_default());
    let asked_at = instant(&task["authoredOn"])?;
    Some(Line {
        id: id(task)?,
        consultation: consultation(task)?,
        specialty: Code::new(specialty(task)?).ok()?,
        state: state(task),
        urgency: if task["priority"] == "urgent" { Urgency::Urgent } else { Urgency::Routine },
        place: words(&task["location"]["display"]),
        reason: words(&task["reasonCode"]["text"]),
        requester: words(&task["requester"]["display"]),
        asked_at,
        wanted_at: instant(&task["restriction"]["period"]["end"]).unwrap_or(asked_at + DUE_DAYS * DAY_MS),
        alert: alert(task, now),
        taken_by: task.get("owner").map(|owner| TakenBy {
            rpps: Text::cut(owner["identifier"]["value"].as_str().unwrap_or_default()),
            name: Text::cut(owner["display"].as_str().unwrap_or_default()),
        }),
    })
}

/// What concerns this physician, or this cabin, at `now`.
pub fn lists<'a>(tasks: impl IntoIterator<Item = &'a Value>, who: &Who, now: i64) -> Lists {
    let (mut to_answer, mut asked) = (Vec::new(), Vec::new());
    for task in tasks {
        let Some(line) = line(task, now) else { continue };
        let is_free = line.taken_by.is_none() && matches!(line.state, State::Ready | State::Expired);
        if who.asked(task) || who.is_told(task) {
            let ended = instant(&task["lastModified"]).unwrap_or(line.asked_at);
            if line.state.is_open() || now.saturating_sub(ended) < CLOSED_SHOWN_MS {
                asked.push(line);
            }
        } else if line.state.is_open() && (who.has(task) || is_free && who.answers(line.specialty.as_str())) {
            to_answer.push(line);
        }
    }
    // Urgent ones first, then the longest waiting.
    to_answer.sort_by_key(|line| (line.urgency == Urgency::Routine, line.asked_at));
    asked.sort_by_key(|line| std::cmp::Reverse(line.asked_at));
    let more = to_answer.len().saturating_sub(LINES_MAX) + asked.len().saturating_sub(LINES_MAX);
    to_answer.truncate(LINES_MAX);
    asked.truncate(LINES_MAX);
    let specialties = match who {
        Who::Physician { specialties, .. } => specialties.iter().filter_map(|code| Code::new(code).ok()).collect(),
        Who::Cabin { .. } => Vec::new(),
    };
    Lists { specialties, to_answer, asked, more: u32::try_from(more).unwrap_or(u32::MAX) }
}

/// What changes in any list when this changes: who has which request, where it is, and what is said of it at `now`.
pub fn mark(tasks: &[Value], now: i64) -> Vec<(String, Option<Alert>)> {
    let version = |task: &Value| task["meta"]["versionId"].as_str().unwrap_or_default().to_owned();
    tasks
        .iter()
        .map(|task| (format!("{}/{}", task["id"].as_str().unwrap_or_default(), version(task)), alert(task, now)))
        .collect()
}
