//! The upload: for each submission, its files by `PUT`, then its bundle, then a search that proves it is stored. One
//! request is in flight at a time. Only the proof destroys a submission; a server that stored a bundle and cut the
//! answer is sent the same again, which its conditional creates make harmless.

use crate::queue::Plan;
use crate::record::*;
use crate::serve::take;
use crate::settings::Upload;
use crate::store::Store;
use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tracing::{info, warn};
use zeroize::Zeroizing;

const FHIR_JSON: &str = "application/fhir+json";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest silence while an answer comes.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A request may take this long, and longer by its size at [`SLOWEST_BYTES_A_SECOND`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// The slowest line that is still worth using.
const SLOWEST_BYTES_A_SECOND: u64 = 4 * 1024;
/// Largest answer that is read, in bytes; past it the rest is not looked at, and the answer counts as unreadable.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;
/// New epochs begin at least this often when keys were destroyed.
const ROTATE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Most issues of the server's outcome told to the technician.
const ISSUES_MAX: usize = 5;

/// Sends what waits.
pub struct Uploader {
    client: reqwest::Client,
    settings: Upload,
}

/// How an attempt ended without a proof.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// The server cannot be used now, by any submission.
    Server { code: FaultCode, reason: String, retry_after: Option<Duration> },
    /// This submission cannot be stored now; others may.
    Later(String),
    /// This submission will not be stored as it is.
    Refused(String),
}

impl Uploader {
    /// An uploader to the configured server. Fails when the certificates cannot be read.
    pub fn new(settings: Upload) -> anyhow::Result<Uploader> {
        use anyhow::Context;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // A connection kept for later keeps what the server last answered in its buffer: the patient's own words.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("cabin-outbox/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("`ca_file` {}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .with_context(|| format!("`ca_file` {}: expected certificates in PEM", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Uploader { client: builder.build().context("the HTTP client")?, settings })
    }

    /// Sends one submission and returns the server's proof.
    async fn send(&self, store: &Mutex<Store>, id: ConsultationId) -> Result<Receipt, Trouble> {
        let unreadable = |why: String| Trouble::Refused(format!("it cannot be read on this disk: {why}"));
        let plan = take(store).plan(id).map_err(unreadable)?;
        let mut answered = take(store).answered(id);
        for (at, upload) in (1..).zip(&plan.uploads) {
            if at <= answered {
                continue;
            }
            let content = take(store).upload(id, upload).map_err(unreadable)?;
            let request = self.request(Method::PUT, &self.under_base(&upload.path))?;
            let request = request.header(CONTENT_TYPE, &upload.content_type);
            let response = self.exchange(with_body(request, content)).await?;
            expect_success(response, "a file").await?;
            answered = at;
            take(store).note_answered(id, answered);
        }
        let mut entries = Vec::new();
        if answered as usize <= plan.uploads.len() {
            let bundle = take(store).bundle(id, &plan).map_err(unreadable)?;
            let request = self.request(Method::POST, &self.settings.base_url)?.header(CONTENT_TYPE, FHIR_JSON);
            let response = self.exchange(with_body(request, bundle)).await?;
            let answer = expect_success(response, "the bundle").await?;
            entries = transaction_entries(&answer)?;
            take(store).note_answered(id, plan.uploads.len() as u32 + 1);
        }
        self.prove(id, &plan, entries).await
    }

    async fn prove(&self, id: ConsultationId, plan: &Plan, entries: Vec<(String, String)>) -> Result<Receipt, Trouble> {
        let request = self.request(Method::GET, &self.under_base(&plan.proof))?;
        let response = self.exchange(request.header("Cache-Control", "no-cache")).await?;
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let answer = expect_success(response, "the search for the proof").await?;
        let found = proof(&answer)?;
        let etag = entries
            .iter()
            .find(|(location, _)| !found.resource.is_empty() && location.contains(&found.resource))
            .map_or(etag, |(_, etag)| etag.clone());
        let locations = entries.into_iter().map(|(location, _)| location).filter(|location| !location.is_empty());
        let received_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        Ok(Receipt {
            consultation: id,
            received_at,
            resource: short(&found.resource),
            version: short(&found.version),
            etag: short(&etag),
            bundle_sha256: plan.bundle_sha256,
            locations: locations.take(RECEIPT_LOCATIONS_MAX).map(|location| short(&location)).collect(),
        })
    }

    fn under_base(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.base_url.trim_end_matches('/'))
    }

    fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Trouble> {
        let request = self.client.request(method, url).header(ACCEPT, FHIR_JSON);
        let Some(path) = &self.settings.token_file else { return Ok(request) };
        let access = |reason: String| Trouble::Server {
            code: FaultCode::ServerRefusesAccess,
            reason: format!("`token_file` {}: {reason}", path.display()),
            retry_after: None,
        };
        let length = std::fs::metadata(path).map_err(|error| access(error.to_string()))?.len();
        if length > TOKEN_BYTES_MAX {
            return Err(access(format!("a token has at most {TOKEN_BYTES_MAX} bytes")));
        }
        let token = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| access(error.to_string()))?);
        let header = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value = HeaderValue::from_str(&header).map_err(|_| access("expected one line of text".into()))?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        request.send().await.map_err(|error| unreachable_server(&error.without_url()))
    }
}

/// The body is wiped when the request is over.
fn with_body(request: RequestBuilder, content: Zeroizing<Vec<u8>>) -> RequestBuilder {
    let length = content.len() as u64;
    let timeout = REQUEST_TIMEOUT + Duration::from_secs(length / SLOWEST_BYTES_A_SECOND);
    request.timeout(timeout).body(Bytes::from_owner(content))
}

fn unreachable_server(error: &reqwest::Error) -> Trouble {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(reason, ": {cause}");
        source = cause.source();
    }
    Trouble::Server { code: FaultCode::ServerUnreachable, reason, retry_after: None }
}

/// The answer's body, or what its status means for the queue. `what` names the request for the technician.
async fn expect_success(response: Response, what: &str) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = read_body(response).await;
    if status.is_success() {
        return body;
    }
    Err(refused(status, &body.unwrap_or_default(), what, retry_after.map(Duration::from_secs)))
}

async fn read_body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Trouble::Later(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"))),
            Ok(None) => return Ok(body),
            Err(error) => return Err(unreachable_server(&error.without_url())),
        }
    }
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
        412 => Trouble::Refused(format!("{reason}: the server holds more than one match for a stable identifier")),
        _ => Trouble::Refused(reason),
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
fn transaction_entries(answer: &[u8]) -> Result<Vec<(String, String)>, Trouble> {
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
struct Found {
    resource: String,
    version: String,
}

/// The one resource that a search found.
fn proof(answer: &[u8]) -> Result<Found, Trouble> {
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
        0 => return Err(Trouble::Later("the server accepted the bundle, but the search does not find it".into())),
        more => {
            return Err(Trouble::Refused(format!(
                "the server holds {more} matches for the proof, where 1 is expected"
            )));
        }
    }
    let resource = matches.first().map(|entry| &entry["resource"]).unwrap_or(&Value::Null);
    let name = |field: &str| resource[field].as_str().unwrap_or_default();
    let found = match (name("resourceType"), name("id")) {
        ("", _) | (_, "") => String::new(),
        (kind, id) => format!("{kind}/{id}"),
    };
    let version = resource["meta"]["versionId"].as_str().unwrap_or_default().to_owned();
    Ok(Found { resource: found, version })
}

fn short(text: &str) -> String {
    text.chars().take(256).collect()
}

/// The wait after `failures` failures: doubled each time up to `max`, and between half and all of that by chance, so
/// that a region of cabins does not come back at the same moment.
fn delay(first: Duration, max: Duration, failures: u32, chance: u32) -> Duration {
    let full = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(max);
    full / 2 + (full / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

fn chance() -> u32 {
    let mut bytes = [0; 4];
    crate::keys::random(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// Waits: of the server for everything, and of single submissions. By the monotonic clock, so that a cabin whose date
/// jumps neither hurries nor stops; a restart begins anew.
#[derive(Default)]
struct Waits {
    server: Option<(Instant, u32)>,
    single: HashMap<ConsultationId, (Instant, u32)>,
}

/// Sends what waits, for as long as the program runs. `wake` is notified when something was queued; `failed` is called
/// when the store's disk failed.
pub async fn run(uploader: Uploader, store: Arc<Mutex<Store>>, wake: Arc<Notify>, failed: impl Fn()) {
    let mut waits = Waits::default();
    let mut rotated_at = Instant::now();
    loop {
        if rotated_at.elapsed() >= ROTATE_EVERY {
            rotated_at = Instant::now();
            let _ = take(&store).rotate_if_due();
        }
        if take(&store).has_failed() {
            failed();
        }
        let now = Instant::now();
        let waiting = take(&store).waiting();
        waits.single.retain(|id, _| waiting.contains(id));
        let server_at = waits.server.map_or(now, |(at, _)| at);
        let at = |id: &ConsultationId| waits.single.get(id).map_or(now, |(at, _)| *at).max(server_at);
        let next = waiting.into_iter().map(|id| (at(&id), id)).min_by_key(|(at, _)| *at);
        match next {
            Some((at, id)) if at <= now => attempt(&uploader, &store, id, &mut waits).await,
            Some((at, _)) => wait(&wake, at.duration_since(now).min(ROTATE_EVERY)).await,
            None => wait(&wake, ROTATE_EVERY).await,
        }
    }
}

async fn wait(wake: &Notify, longest: Duration) {
    let _ = tokio::time::timeout(longest, wake.notified()).await;
}

async fn attempt(uploader: &Uploader, store: &Mutex<Store>, id: ConsultationId, waits: &mut Waits) {
    let Upload { retry_first, retry_max, .. } = uploader.settings;
    let before = take(store).answered(id);
    let sent = uploader.send(store, id).await;
    let mut store = take(store);
    let advanced = store.answered(id) > before;
    if !matches!(sent, Err(Trouble::Server { .. })) {
        waits.server = None;
        store.set_fault(FaultCode::ServerUnreachable, None);
        store.set_fault(FaultCode::ServerRefusesAccess, None);
    }
    let outcome = match sent {
        Ok(receipt) => {
            info!("consultation {id} is stored at the server as {}", receipt.resource);
            store.prove(receipt)
        }
        Err(Trouble::Server { code, reason, retry_after }) => {
            // A line that breaks but gets something through is used again soon.
            let failures = waits.server.filter(|_| !advanced).map_or(1, |(_, failures)| failures.saturating_add(1));
            let pause =
                delay(retry_first, retry_max, failures, chance()).max(retry_after.unwrap_or_default().min(retry_max));
            waits.server = Some((Instant::now() + pause, failures));
            warn!("the server cannot be used, next attempt in {} ms: {reason}", pause.as_millis());
            store.set_fault(code, Some(reason));
            store.note_failure(id);
            Ok(())
        }
        Err(Trouble::Later(reason)) => {
            let failures = waits.single.get(&id).map_or(1, |(_, failures)| failures.saturating_add(1));
            let pause = delay(retry_first, retry_max, failures, chance());
            waits.single.insert(id, (Instant::now() + pause, failures));
            warn!("consultation {id} is tried again in {} ms: {reason}", pause.as_millis());
            // From the first file on: the server may have lost what it had answered.
            store.note_answered(id, 0);
            store.note_failure(id);
            Ok(())
        }
        Err(Trouble::Refused(reason)) => {
            warn!("consultation {id} is set aside: {reason}");
            store.note_failure(id);
            store.set_aside(id, &reason)
        }
    };
    if let Err(refused) = outcome {
        warn!("{refused}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_never_fall_under_half() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(5));
        for failures in 1..80 {
            let full = first.saturating_mul(2_u32.saturating_pow(failures - 1)).min(max);
            assert_eq!(delay(first, max, failures, 0), full / 2);
            let most = delay(first, max, failures, u32::MAX);
            assert!(most <= full && most > full - Duration::from_millis(1), "{failures}: {most:?}");
        }
    }

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
        assert!([400, 404, 405, 410, 412, 413, 415, 422].into_iter().all(aside));
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
            "the bundle was answered 422 Unprocessable Entity; invalid at Bundle.entry[0].resource.name"
        );
    }

    #[test]
    fn only_exactly_one_match_is_a_proof() {
        let one = br#"{"resourceType":"Bundle","total":1,"entry":[{"resource":{"resourceType":"Encounter","id":"e1",
            "meta":{"versionId":"3"}}}]}"#;
        assert_eq!(proof(one).unwrap(), Found { resource: "Encounter/e1".into(), version: "3".into() });
        let untold = br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Encounter","id":"e1"}},
            {"search":{"mode":"include"},"resource":{"resourceType":"Patient","id":"p"}}]}"#;
        assert_eq!(proof(untold).unwrap().resource, "Encounter/e1");
        assert!(matches!(proof(br#"{"resourceType":"Bundle","total":0}"#), Err(Trouble::Later(_))));
        assert!(matches!(proof(br#"{"resourceType":"Bundle","total":2}"#), Err(Trouble::Refused(_))));
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
