//! What a FHIR server's answers mean for the queue: proved, later, never as it is, or not from this server now.

use crate::record::FaultCode;
use crate::transport::Answer;
use reqwest::StatusCode;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;
use zeroize::Zeroizing;

/// Most issues of the server's outcome told to the technician.
const ISSUES_MAX: usize = 5;

/// How an attempt ended without a proof.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server cannot be used now, by any submission.
    Server {
        /// What the technician is told.
        code: FaultCode,
        /// In words, without patient data.
        reason: String,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// There is no such place at the server, or it does not take this there: of all submissions, or of this one alone.
    /// That others were stored since it failed before tells which.
    Place(String),
    /// This submission cannot be stored now; others may.
    Later(String),
    /// The server took all of it, and does not have it, or not yet.
    NotFound(String),
    /// This submission will not be stored as it is.
    Refused(String),
}

/// The answer's body, or what its status means for the queue. `what` names the request for the technician.
pub(crate) fn expect_success(answer: Answer, what: &str) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_success() {
        return Ok(answer.body);
    }
    Err(refused(status, &answer.body, what, answer.retry_after))
}

/// What a status means. 401, 403 and 407 concern the cabin's access and not this record: everything waits.
fn refused(status: StatusCode, body: &[u8], what: &str, retry_after: Option<Duration>) -> Trouble {
    let issues = issues(body);
    let reason = format!("{what} was answered {status}{issues}");
    match status.as_u16() {
        401 | 403 | 407 => Trouble::Server { code: FaultCode::ServerRefusesAccess, reason, retry_after },
        300..=399 => {
            let reason = format!("{reason}: the server has moved; set its new address as `base_url`");
            Trouble::Server { code: FaultCode::ServerUnreachable, reason, retry_after }
        }
        429 | 502..=504 => Trouble::Server { code: FaultCode::ServerUnreachable, reason, retry_after },
        408 | 409 | 425 | 500.. => Trouble::Later(reason),
        code @ (404 | 405 | 410) => Trouble::Place(format!("{reason}: {}", advice(code))),
        code => Trouble::Refused(format!("{reason}: {}", advice(code))),
    }
}

/// What a technician can do about a submission that was set aside with this status. Whatever it is, nothing is lost, and
/// `cabinctl outbox retry` sends it again.
fn advice(status: u16) -> &'static str {
    match status {
        404 | 410 => "there is no such place at the server; check `base_url`",
        405 => {
            "the server does not take this request; it is no FHIR server with transactions, or not at this `base_url`"
        }
        412 => "the server holds more than one match for a stable identifier; its operator removes the double",
        413 => "the server takes nothing so large; its operator raises the limit",
        415 => "the server does not take this format; its operator allows FHIR JSON and the files' own types",
        _ => "the server does not accept this record as it is; show this line to its operator",
    }
}

/// The codes and places of a FHIR OperationOutcome. Its free text is left out: servers put the patient's values in it.
fn issues(body: &[u8]) -> String {
    let Ok(outcome) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let mut text = String::new();
    for issue in outcome["issue"].as_array().into_iter().flatten().take(ISSUES_MAX) {
        let place = issue["expression"][0].as_str().or(issue["location"][0].as_str()).unwrap_or("the whole");
        let code = issue["code"].as_str().unwrap_or("no code");
        let safe = |text: &str| -> String {
            let known = |c: &char| c.is_ascii_alphanumeric() || "._-[] ".contains(*c);
            text.chars().filter(known).take(100).collect()
        };
        let _ = write!(text, "; {} at {}", safe(code), safe(place));
    }
    text
}

/// Location and version of each entry of a transaction's answer. An answer of another shape has none: the search
/// decides. An entry that failed within a 200 means that the server does not do transactions.
pub(crate) fn transaction_entries(answer: &[u8]) -> Result<Vec<(String, String)>, Trouble> {
    let Ok(bundle) = serde_json::from_slice::<Value>(answer) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for (at, entry) in bundle["entry"].as_array().into_iter().flatten().enumerate() {
        let response = &entry["response"];
        if let Some(status) = response["status"].as_str()
            && !status.starts_with('2')
        {
            let code: String = status.chars().filter(char::is_ascii_digit).take(3).collect();
            let reason = format!("entry {at} of the bundle was answered {code}: the server does not do transactions");
            return Err(Trouble::Refused(reason));
        }
        let text = |name: &str| response[name].as_str().unwrap_or_default().to_owned();
        entries.push((text("location"), text("etag")));
    }
    Ok(entries)
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) resource: String,
    pub(crate) version: String,
}

/// The one resource that a search found; `sought` is what was searched, and names one of its identifiers.
pub(crate) fn proof(answer: &[u8], sought: &str) -> Result<Found, Trouble> {
    let bundle: Value = serde_json::from_slice(answer)
        .map_err(|_| Trouble::Later("the search for the proof was answered with something else than JSON".into()))?;
    let matches: Vec<&Value> = bundle["entry"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["search"]["mode"].as_str().is_none_or(|mode| mode == "match"))
        .collect();
    if bundle["resourceType"] != "Bundle" {
        return Err(Trouble::Later("the search for the proof was not answered with a Bundle".into()));
    }
    match bundle["total"].as_u64().unwrap_or(matches.len() as u64) {
        1 => {}
        0 => return Err(Trouble::NotFound("the server accepted the bundle, but the search does not find it".into())),
        more => {
            return Err(Trouble::Refused(format!(
                "the server holds {more} matches for the proof, where 1 is expected"
            )));
        }
    }
    let [entry] = matches[..] else {
        return Err(Trouble::Later("the search for the proof counts one match and shows another number".into()));
    };
    let resource = &entry["resource"];
    let name = |field: &str| resource[field].as_str().unwrap_or_default();
    let (kind, id) = (name("resourceType"), name("id"));
    // What follows the last colon is not escaped in an address: a UUID.
    let names = |identifier: &Value| {
        let value = identifier["value"].as_str().and_then(|value| value.rsplit(':').next());
        value.is_some_and(|value| !value.is_empty() && sought.contains(value))
    };
    let is_it = resource["identifier"].as_array().is_some_and(|all| all.iter().any(names));
    if kind.is_empty() || id.is_empty() || !is_it {
        return Err(Trouble::Later("the search for the proof shows another resource than was sought".into()));
    }
    let version = resource["meta"]["versionId"].as_str().unwrap_or_default().to_owned();
    Ok(Found { resource: format!("{kind}/{id}"), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_between_waiting_trying_again_and_setting_aside() {
        let server =
            |code: u16| matches!(refused(StatusCode::from_u16(code).unwrap(), b"", "x", None), Trouble::Server { .. });
        let later =
            |code: u16| matches!(refused(StatusCode::from_u16(code).unwrap(), b"", "x", None), Trouble::Later(_));
        let aside =
            |code: u16| matches!(refused(StatusCode::from_u16(code).unwrap(), b"", "x", None), Trouble::Refused(_));
        assert!([301, 308, 401, 403, 407, 429, 502, 503, 504].into_iter().all(server));
        assert!([408, 409, 425, 500, 501, 507].into_iter().all(later));
        assert!([400, 412, 413, 415, 422].into_iter().all(aside));
        let place =
            |code: u16| matches!(refused(StatusCode::from_u16(code).unwrap(), b"", "x", None), Trouble::Place(_));
        assert!([404, 405, 410].into_iter().all(place));
    }

    #[test]
    fn a_reason_names_the_place_and_never_the_patients_values() {
        let outcome =
            br#"{"resourceType":"OperationOutcome","issue":[{"code":"invalid","diagnostics":"bad name DUPONT",
            "details":{"text":"DUPONT"},"expression":["Bundle.entry[0].resource.name"]}]}"#;
        let Trouble::Refused(reason) = refused(StatusCode::UNPROCESSABLE_ENTITY, outcome, "the bundle", None) else {
            panic!("422 sets aside");
        };
        assert_eq!(
            reason,
            "the bundle was answered 422 Unprocessable Entity; invalid at Bundle.entry[0].resource.name: the server \
             does not accept this record as it is; show this line to its operator"
        );
    }

    #[test]
    fn only_exactly_one_match_is_a_proof() {
        const SOUGHT: &str = "Encounter?identifier=urn:ietf:rfc:3986%7Curn%3Auuid%3Ae-77";
        let proof = |answer: &[u8]| super::proof(answer, SOUGHT);
        let encounter = r#"{"resourceType":"Encounter","id":"e1","meta":{"versionId":"3"},
            "identifier":[{"value":"12"},{"value":"urn:uuid:e-77"}]}"#;
        let of = |total: &str, entries: &str| format!(r#"{{"resourceType":"Bundle"{total},"entry":[{entries}]}}"#);
        let one = of(r#","total":1"#, &format!(r#"{{"resource":{encounter}}}"#));
        assert_eq!(proof(one.as_bytes()).unwrap(), Found { resource: "Encounter/e1".into(), version: "3".into() });
        let included = r#"{"search":{"mode":"include"},"resource":{"resourceType":"Patient","id":"p"}}"#;
        let untold = of("", &format!(r#"{{"resource":{encounter}}},{included}"#));
        assert_eq!(proof(untold.as_bytes()).unwrap().resource, "Encounter/e1");
        assert!(matches!(proof(br#"{"resourceType":"Bundle","total":0}"#), Err(Trouble::NotFound(_))));
        assert!(matches!(proof(br#"{"resourceType":"Bundle","total":2}"#), Err(Trouble::Refused(_))));
        // A count without what is counted, and another's visit.
        assert!(matches!(proof(br#"{"resourceType":"Bundle","total":1}"#), Err(Trouble::Later(_))));
        assert!(matches!(proof(one.replace("e-77", "e-78").as_bytes()), Err(Trouble::Later(_))));
        assert!(matches!(proof(br#"{"resourceType":"OperationOutcome","total":1}"#), Err(Trouble::Later(_))));
        assert!(matches!(proof(b"<html>"), Err(Trouble::Later(_))));
    }

    #[test]
    fn a_failed_entry_within_a_success_sets_aside() {
        let answer = br#"{"entry":[{"response":{"status":"201","location":"Patient/1","etag":"W/\"1\""}},
            {"response":{"status":"400 Bad Request"}}]}"#;
        assert!(matches!(transaction_entries(answer), Err(Trouble::Refused(_))));
        assert!(transaction_entries(b"not json").unwrap().is_empty());
    }
}
