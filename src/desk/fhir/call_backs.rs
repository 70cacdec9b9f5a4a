//! Patients to be called back: the Tasks of the store that still wait for a physician, and what a physician makes of one.

use axum::http::header::{ACCEPT, CONTENT_TYPE, IF_MATCH};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use signal::call::Physician;
use signal::physician::{CALL_BACKS_MAX, CallBackLine, TakenBy};
use signal::{ConsultationId, Text};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::FHIR_JSON;
use super::store::{Change, Refusal, Store};
use super::transaction::stamp;

/// The cabin's own code system, and its code of this Task (`fhir::call_back`).
pub(super) const SYSTEM: &str = "urn:uuid:6f3c2f0e-6f0e-4b64-9a55-3d1f7b8e2c11";
const CODE: &str = "call-back";
pub(super) const RPPS: &str = "https://rpps.esante.gouv.fr";
/// Most requests asked of another server at once.
const ELSEWHERE_MAX: usize = 500;
/// In whose name the desk changes what a cabin stored.
pub(super) const DESK: &str = "desk";

/// What a physician makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Takes it up.
    Take,
    /// Gives it back to the list.
    Return,
    /// The patient was called back.
    Finish,
}

/// Whether this resource is a request that still waits for a physician, or for the end of what one took up.
pub(super) fn is_open(resource: &Value) -> bool {
    let is_ours = |coding: &Value| coding["system"] == SYSTEM && coding["code"] == CODE;
    resource["resourceType"] == "Task"
        && matches!(resource["status"].as_str(), Some("requested" | "accepted"))
        && resource["code"]["coding"].as_array().is_some_and(|codings| codings.iter().any(is_ours))
}

/// The list of the page, longest first, and how many more there are.
pub fn lines<'a>(tasks: impl IntoIterator<Item = &'a Value>) -> (Vec<CallBackLine>, u32) {
    let mut lines: Vec<_> = tasks.into_iter().filter_map(line).collect();
    lines.sort_by_key(|line| line.asked_at);
    let more = lines.len().saturating_sub(CALL_BACKS_MAX);
    lines.truncate(CALL_BACKS_MAX);
    (lines, u32::try_from(more).unwrap_or(u32::MAX))
}

fn line(task: &Value) -> Option<CallBackLine> {
    let words = |value: &Value| Text::cut(value.as_str().unwrap_or_default());
    let asked_at = OffsetDateTime::parse(task["authoredOn"].as_str()?, &Rfc3339).ok()?;
    let taken_by = task.get("owner").map(|owner| TakenBy {
        rpps: Text::cut(owner["identifier"]["value"].as_str().unwrap_or_default()),
        name: words(&owner["display"]),
    });
    Some(CallBackLine {
        consultation: consultation(task)?,
        place: words(&task["location"]["display"]),
        reason: words(&task["reasonCode"]["text"]),
        asked_at: i64::try_from(asked_at.unix_timestamp_nanos() / 1_000_000).ok()?,
        taken_by,
    })
}

fn consultation(task: &Value) -> Option<ConsultationId> {
    let named = task["groupIdentifier"]["value"].as_str()?;
    ConsultationId::new(named.strip_prefix("urn:uuid:").unwrap_or(named)).ok()
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// The request is another one now.
    Changed,
    /// Said again, after an answer that was lost.
    Already,
    /// Another physician holds it.
    Refused,
}

fn make(task: &mut Value, physician: &Physician, step: Step, now: &str) -> Made {
    let owner = task["owner"]["identifier"]["value"].as_str();
    let is_mine = owner == Some(physician.rpps.as_str());
    match step {
        Step::Take if is_mine => return Made::Already,
        Step::Take if owner.is_some() => return Made::Refused,
        Step::Take => {
            task["status"] = "accepted".into();
            task["owner"] = json!({
                "identifier": {"system": RPPS, "value": physician.rpps.as_str()},
                "display": physician.name.as_str(),
            });
        }
        Step::Return | Step::Finish if !is_mine => return Made::Refused,
        Step::Return => {
            task["status"] = "requested".into();
            task.as_object_mut().map(|task| task.remove("owner"));
        }
        Step::Finish => task["status"] = "completed".into(),
    }
    task["lastModified"] = now.into();
    Made::Changed
}

/// Makes the step, durably. False when another physician holds the request, or nobody waits for it any more.
///
/// # Errors
/// The store cannot be read or written: nothing was changed.
pub fn step(
    store: &mut Store,
    of: &ConsultationId,
    physician: &Physician,
    step: Step,
    now: &str,
) -> Result<bool, Refusal> {
    let Some(mut task) = store.open_tasks().find(|task| consultation(task).as_ref() == Some(of)).cloned() else {
        return Ok(false);
    };
    match make(&mut task, physician, step, now) {
        Made::Already => return Ok(true),
        Made::Refused => return Ok(false),
        Made::Changed => {}
    }
    let id = task["id"].as_str().unwrap_or_default().to_owned();
    let version = store.version("Task", &id).unwrap_or(0) + 1;
    stamp(&mut task, &id, version, now);
    store.commit(vec![Change { version, resource: task }], &[], DESK)?;
    Ok(true)
}

/// The site's own FHIR server, where it holds the records.
pub struct Elsewhere<'a> {
    /// Client.
    pub client: &'a reqwest::Client,
    /// Base URL without a final `/`.
    pub base: &'a str,
    /// Bearer token.
    pub token: Option<&'a str>,
}

impl Elsewhere<'_> {
    /// A request to a path under the base.
    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        // Said, for a server gives what a Binary holds where nobody asks for the resource.
        let request =
            self.client.request(method, format!("{}/{path}", self.base)).header(ACCEPT, "application/fhir+json");
        match self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The requests that wait there.
    ///
    /// # Errors
    /// The server does not answer, or not with a Bundle.
    pub async fn open_tasks(&self) -> reqwest::Result<Vec<Value>> {
        let query = format!("Task?code={SYSTEM}%7C{CODE}&status=requested,accepted&_count={ELSEWHERE_MAX}");
        let mut bundle: Value = self.request(Method::GET, &query).send().await?.error_for_status()?.json().await?;
        let entries = bundle["entry"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(entries.into_iter().map(|mut entry| entry["resource"].take()).filter(is_open).collect())
    }

    /// As [`step`], there: only the version that was read is replaced, so that one of two physicians wins.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn step(
        &self,
        of: &ConsultationId,
        physician: &Physician,
        step: Step,
        now: &str,
    ) -> reqwest::Result<bool> {
        let tasks = self.open_tasks().await?;
        let Some(mut task) = tasks.into_iter().find(|task| consultation(task).as_ref() == Some(of)) else {
            return Ok(false);
        };
        match make(&mut task, physician, step, now) {
            Made::Already => return Ok(true),
            Made::Refused => return Ok(false),
            Made::Changed => {}
        }
        let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (id, version) = (words(&task["id"]), words(&task["meta"]["versionId"]));
        let put = self.request(Method::PUT, &format!("Task/{id}")).header(IF_MATCH, format!("W/\"{version}\""));
        let reply = put.header(CONTENT_TYPE, FHIR_JSON).body(task.to_string()).send().await?;
        if matches!(reply.status(), StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) {
            return Ok(false);
        }
        reply.error_for_status().map(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::physician;
    use crate::fhir::{fresh_id, transaction};

    const NOW: &str = "2026-11-22T21:00:00.000Z";

    fn asked(consultation: &str, at: &str) -> Value {
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [{
            "fullUrl": format!("urn:uuid:task-{consultation}"),
            "resource": {
                "resourceType": "Task", "status": "requested", "intent": "order", "authoredOn": at,
                "identifier": [{"system": "urn:x", "value": consultation}],
                "groupIdentifier": {"value": format!("urn:uuid:{consultation}")},
                "code": {"coding": [{"system": SYSTEM, "code": CODE}]},
                "location": {"display": "Pharmacie"}, "reasonCode": {"text": "Fièvre, fatigue"},
            },
            "request": {"method": "POST", "url": "Task", "ifNoneExist": format!("identifier=urn:x|{consultation}")},
        }]})
    }

    #[test]
    fn a_request_is_one_physicians_at_a_time_and_the_list_outlives_a_restart_and_a_second_upload() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let upload = |store: &mut Store, of: &str, at: &str| {
            transaction::run(store, asked(of, at), "cabin:a", NOW, &mut fresh_id).unwrap();
        };
        upload(&mut store, "late", "2026-11-22T20:05:00.000+01:00");
        upload(&mut store, "early", "2026-11-22T18:59:00.000Z");
        assert!(store.take_tasks_changed() && !store.take_tasks_changed());
        let names = |store: &Store| {
            lines(store.open_tasks()).0.iter().map(|line| line.consultation.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&store), ["early", "late"], "longest first");
        assert_eq!(lines(store.open_tasks()).0[1].asked_at, 1_795_374_300_000);

        let (claire, david) = (
            physician("Dr Claire Morel", "", "10001234565", "", 0, ""),
            physician("Dr David Petit", "", "10101010101", "", 0, ""),
        );
        let late = ConsultationId::new("late").unwrap();
        let says = |store: &mut Store, who: &Physician, what| step(store, &late, who, what, NOW).unwrap();
        assert!(!says(&mut store, &claire, Step::Finish), "not taken up yet");
        assert!(says(&mut store, &claire, Step::Take) && says(&mut store, &claire, Step::Take));
        assert!(!says(&mut store, &david, Step::Take) && !says(&mut store, &david, Step::Return));
        let held = lines(store.open_tasks()).0[1].taken_by.clone().unwrap();
        assert_eq!((held.name.as_str(), held.rpps.as_str()), ("Dr Claire Morel", "10001234565"));

        // The cabin never heard the answer, and sends again: what a physician took up stays so.
        upload(&mut store, "late", "2026-11-22T20:05:00.000+01:00");
        drop(store);
        let mut store = Store::open(folder.path()).unwrap();
        assert_eq!(names(&store), ["early", "late"]);
        assert!(!says(&mut store, &david, Step::Take), "a restart gives nothing away");
        assert!(says(&mut store, &claire, Step::Return) && says(&mut store, &david, Step::Take));
        assert!(says(&mut store, &david, Step::Finish));
        assert_eq!(names(&store), ["early"]);
        assert!(!says(&mut store, &claire, Step::Take), "done is done");
        drop(store);
        assert_eq!(names(&Store::open(folder.path()).unwrap()), ["early"]);
    }
}
