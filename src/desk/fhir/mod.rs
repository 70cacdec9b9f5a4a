//! `/fhir`: the embedded FHIR R4 store for sites that have no server, or the way to the site's own server.

pub mod call_backs;
pub mod log;
pub mod parts;
pub mod second_opinions;
pub mod store;
pub mod transaction;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::call_backs::Elsewhere;
use self::store::{Refusal, Store};
use crate::app::App;
use crate::config::Config;

/// Content type of every answer.
pub const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
/// Longest body: a consultation with three documents of 10 MiB in base64 is longer than this and must be split.
pub const BODY_BYTES_MAX: usize = 40 * 1024 * 1024;
/// Most resources in one answer; ask more narrowly above.
const ANSWER_ENTRIES_MAX: usize = 1000;

/// Where records are.
pub enum Records {
    /// In the data folder.
    Embedded(Arc<Mutex<Store>>),
    /// At the site's own server.
    Forward {
        /// Client.
        client: reqwest::Client,
        /// Base URL without a final `/`.
        base: String,
        /// Bearer token.
        token: Option<String>,
    },
}

impl Records {
    /// As configured.
    pub fn open(config: &Config) -> io::Result<Self> {
        let Some(base) = &config.fhir.forward else {
            return Ok(Records::Embedded(Arc::new(Mutex::new(Store::open(&config.data.join("fhir"))?))));
        };
        let client = elsewheres_client(base)?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Records::Forward { client, base, token: config.fhir.forward_token.clone() })
    }

    /// Whether a request is being served from the embedded store.
    pub fn in_use(&self) -> bool {
        matches!(self, Records::Embedded(store) if Arc::strong_count(store) > 1)
    }

    /// The site's own server, where it holds the records.
    pub fn elsewhere(&self) -> Option<Elsewhere<'_>> {
        match self {
            Records::Embedded(_) => None,
            Records::Forward { client, base, token } => Some(Elsewhere { client, base, token: token.as_deref() }),
        }
    }

    /// Everything about a consultation, as a searchset Bundle.
    pub async fn of_consultation(&self, consultation: &str) -> Option<Value> {
        match self {
            Records::Embedded(store) => {
                let (store, consultation) = (Arc::clone(store), consultation.to_owned());
                tokio::task::spawn_blocking(move || of_consultation(&mut lock(&store), &consultation)).await.ok()?
            }
            Records::Forward { client, base, token } => {
                // The record writes the consultation as a URN (`fhir::visit`).
                let named = format!("{consultation},urn:uuid:{consultation}");
                let url = format!("{base}/Encounter?identifier={named}&_include=*&_revinclude=*");
                let mut request = client.get(url);
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let bundle: Value = request.send().await.ok()?.error_for_status().ok()?.json().await.ok()?;
                bundle["entry"].as_array().is_some_and(|entries| !entries.is_empty()).then_some(bundle)
            }
        }
    }
}

/// A client of the site's own server. A server closes a connection that rests, and one that is closed in the moment of
/// the next request fails it: connections are given up first (Node's server waits for 5 s, Apache's too), and what only
/// reads is asked again.
fn elsewheres_client(base: &str) -> io::Result<reqwest::Client> {
    let host = reqwest::Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let again = reqwest::retry::for_host(host).max_retries_per_request(2).classify_fn(|asked| {
        let failed = asked.method() == Method::GET && asked.error().is_some();
        if failed { asked.retryable() } else { asked.success() }
    });
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(60))
        .pool_idle_timeout(std::time::Duration::from_secs(4))
        .retry(again)
        .build()
        .map_err(io::Error::other)
}

pub(crate) fn lock(store: &Mutex<Store>) -> std::sync::MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn of_consultation(store: &mut Store, consultation: &str) -> Option<Value> {
    let by_id = store.version("Encounter", consultation).map(|_| consultation.to_owned());
    let id = by_id.or_else(|| {
        let named = [consultation.to_owned(), format!("urn:uuid:{consultation}")].into_iter();
        let mut found = named.flat_map(|value| {
            let search = store::Search { identifier: Some((None, value)), ..Default::default() };
            store.search("Encounter", &search)
        });
        found.next()
    })?;
    let encounter = format!("Encounter/{id}");
    let mut keys = BTreeSet::from([("Encounter".to_owned(), id.clone())]);
    keys.extend(store.referring_to(&encounter));
    for (kind, id) in keys.clone() {
        let targets = store.referred_by(&kind, &id);
        keys.extend(
            targets.iter().filter_map(|target| target.split_once('/')).map(|(k, i)| (k.to_owned(), i.to_owned())),
        );
    }
    let mut entries = Vec::new();
    for (kind, id) in keys.into_iter().take(ANSWER_ENTRIES_MAX) {
        if let Ok(Some((resource, _))) = store.get(&kind, &id) {
            entries.push(json!({"fullUrl": format!("{kind}/{id}"), "resource": resource}));
        }
    }
    Some(json!({"resourceType": "Bundle", "type": "searchset", "total": entries.len(), "entry": entries}))
}

/// Routes under `/fhir`.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/fhir", any(root))
        .route("/fhir/", any(root))
        .route("/fhir/metadata", get(metadata))
        .route("/fhir/{kind}", any(of_kind))
        .route("/fhir/{kind}/{id}", any(of_id))
        .route("/fhir/{kind}/{id}/_history/{version}", get(of_version))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, FHIR_JSON)], body.to_string()).into_response()
}

fn refused(refusal: &Refusal) -> Response {
    if refusal.status >= 500 {
        tracing::error!(reason = refusal.reason, "record store");
    }
    let issue = json!({"severity": "error", "code": refusal.issue, "diagnostics": refusal.reason});
    answer(refusal.status, &json!({"resourceType": "OperationOutcome", "issue": [issue]}))
}

/// The cabin whose upload token this is.
fn owner(app: &App, headers: &HeaderMap) -> Result<String, Refusal> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Refusal::new(401, "login", "Authorization: Bearer <upload token> is expected"))?;
    let found = app.cabins.by_upload_token(token.trim());
    found.map(|id| format!("cabin:{id}")).map_err(|error| Refusal::new(401, "login", error.to_string()))
}

pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    // Milliseconds are what FHIR instants usually have, and what clients are sure to read.
    let now = now.replace_nanosecond(now.millisecond() as u32 * 1_000_000).unwrap_or(now);
    now.format(&Rfc3339).unwrap_or_default()
}

/// Runs `work` on the store where blocking is allowed, or passes the request on.
async fn serve<F>(app: Arc<App>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes, work: F) -> Response
where
    F: FnOnce(&mut Store, &str, Option<Value>) -> Result<Response, Refusal> + Send + 'static,
{
    let owner = match owner(&app, &headers) {
        Ok(owner) => owner,
        Err(refusal) => return refused(&refusal),
    };
    let store = match &app.records {
        Records::Embedded(store) => Arc::clone(store),
        Records::Forward { client, base, token } => {
            let writes = method != Method::GET;
            let reply = forward(client, base, token.as_deref(), method, &uri, &headers, body).await;
            if writes && reply.status().is_success() {
                // What was stored may ask to be called back: the cabin's answer does not wait for that.
                tokio::spawn(async move {
                    app.look_for_call_backs().await;
                    app.look_for_opinions().await;
                });
            }
            return reply;
        }
    };
    let work = tokio::task::spawn_blocking(move || {
        let resource = match body.is_empty() {
            true => None,
            false => match serde_json::from_slice::<Value>(&body) {
                Ok(value) => Some(value),
                Err(error) => {
                    return Err(Refusal::new(
                        400,
                        "structure",
                        format!("not JSON near line {} column {}", error.line(), error.column()),
                    ));
                }
            },
        };
        let mut store = lock(&store);
        let answered = work(&mut store, &owner, resource);
        app.tell_call_backs(&mut store);
        if store.take_opinions_changed() {
            app.hall.opinions_changed();
        }
        answered
    });
    match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => refused(&Refusal::new(500, "exception", "the store failed on this request")),
    }
}

async fn forward(
    client: &reqwest::Client,
    base: &str,
    token: Option<&str>,
    method: Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let rest = uri.path_and_query().map_or("", |path| path.as_str()).strip_prefix("/fhir").unwrap_or("");
    let mut request = client.request(method, format!("{base}{rest}")).body(body);
    for name in ["content-type", "accept", "if-none-exist", "if-match", "prefer"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let unreachable = |error: reqwest::Error| {
        tracing::warn!(error = %error.without_url(), "the site's FHIR server");
        refused(&Refusal::new(502, "transient", "the site's FHIR server does not answer: send again later"))
    };
    let reply = match request.send().await {
        Ok(reply) => reply,
        Err(error) => return unreachable(error),
    };
    let (status, headers) = (reply.status(), reply.headers().clone());
    let mut response = match reply.bytes().await {
        Ok(bytes) => (status, bytes).into_response(),
        Err(error) => return unreachable(error),
    };
    for name in [CONTENT_TYPE, ETAG, LOCATION] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn fresh_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn not_supported() -> Refusal {
    Refusal::new(405, "not-supported", "this interaction is not offered here: see /fhir/metadata")
}

/// `POST /fhir`: a transaction.
pub async fn root(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let post = method == Method::POST;
    serve(app, method, uri, headers, body, move |store, owner, bundle| match (post, bundle) {
        (true, Some(bundle)) => {
            transaction::run(store, bundle, owner, &now(), &mut fresh_id).map(|reply| answer(200, &reply))
        }
        (true, None) => Err(Refusal::new(400, "structure", "a Bundle is expected")),
        (false, _) => Err(not_supported()),
    })
    .await
}

async fn of_kind(
    State(app): State<Arc<App>>,
    Path(kind): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = uri.query().unwrap_or("").to_owned();
    let if_none_exist = headers.get("if-none-exist").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let asked = method.clone();
    serve(app, method, uri, headers, body, move |store, owner, resource| {
        if !transaction::is_kind(&kind) {
            return Err(Refusal::new(404, "not-found", "no such type of resource"));
        }
        match (asked, resource) {
            (Method::GET, _) => search(store, owner, &kind, &query),
            (Method::POST, Some(resource)) => {
                let request = json!({"method": "POST", "url": kind, "ifNoneExist": if_none_exist});
                stored(store, resource, &request, owner)
            }
            (Method::PUT, Some(resource)) => {
                let request = json!({"method": "PUT", "url": format!("{kind}?{query}")});
                stored(store, resource, &request, owner)
            }
            _ => Err(not_supported()),
        }
    })
    .await
}

async fn of_id(
    State(app): State<Arc<App>>,
    Path((kind, id)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if kind == "Binary" && (method == Method::HEAD || method == Method::PATCH) {
        return parts::answer(app, id, method, uri, headers, body).await;
    }
    let if_match = headers.get(IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let asked = method.clone();
    serve(app, method, uri, headers, body, move |store, owner, resource| match (asked, resource) {
        (Method::GET, _) => one(store, owner, &kind, &id, None),
        (Method::PUT, Some(resource)) => {
            let request = json!({"method": "PUT", "url": format!("{kind}/{id}"), "ifMatch": if_match});
            stored(store, resource, &request, owner)
        }
        _ => Err(not_supported()),
    })
    .await
}

async fn of_version(
    State(app): State<Arc<App>>,
    Path((kind, id, version)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    serve(app, Method::GET, uri, headers, Bytes::new(), move |store, owner, _| {
        one(store, owner, &kind, &id, Some(&version))
    })
    .await
}

fn one(store: &mut Store, owner: &str, kind: &str, id: &str, version: Option<&str>) -> Result<Response, Refusal> {
    // What another cabin stored is not found either: whether it exists is already too much to say.
    let none = || Refusal::new(404, "not-found", "no such resource");
    if !store.owns(kind, id, owner) {
        return Err(none());
    }
    let (resource, current) = store.get(kind, id)?.ok_or_else(none)?;
    if version.is_some_and(|version| version != current.to_string()) {
        return Err(Refusal::new(404, "not-found", "only the present version is kept"));
    }
    let mut response = answer(200, &resource);
    if let Ok(etag) = HeaderValue::from_str(&format!("W/\"{current}\"")) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

fn search(store: &mut Store, owner: &str, kind: &str, query: &str) -> Result<Response, Refusal> {
    let mut ids = store.search(kind, &transaction::search_of(query)?);
    ids.retain(|id| store.owns(kind, id, owner));
    let total = ids.len();
    let mut entries = Vec::new();
    for id in ids.into_iter().take(ANSWER_ENTRIES_MAX) {
        if let Some((resource, _)) = store.get(kind, &id)? {
            entries.push(json!({"fullUrl": format!("{kind}/{id}"), "resource": resource, "search": {"mode": "match"}}));
        }
    }
    Ok(answer(200, &json!({"resourceType": "Bundle", "type": "searchset", "total": total, "entry": entries})))
}

fn stored(store: &mut Store, resource: Value, request: &Value, owner: &str) -> Result<Response, Refusal> {
    let reply = transaction::single(store, resource, request, owner, &now(), &mut fresh_id)?;
    let location = reply["location"].as_str().unwrap_or_default();
    let mut parts = location.split('/');
    let (kind, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (resource, _) = store.get(kind, id)?.unwrap_or_default();
    let status = if reply["status"] == "201 Created" { 201 } else { 200 };
    let mut response = answer(status, &resource);
    for (name, value) in
        [(LOCATION, format!("/fhir/{location}")), (ETAG, reply["etag"].as_str().unwrap_or("").to_owned())]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

async fn metadata() -> Response {
    let kinds = [
        "Binary",
        "CarePlan",
        "Communication",
        "Consent",
        "Device",
        "DocumentReference",
        "Encounter",
        "Location",
        "Media",
        "Observation",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Provenance",
        "QuestionnaireResponse",
        "ServiceRequest",
        "Task",
    ];
    let resources = kinds.map(|kind| {
        json!({
            "type": kind, "versioning": "versioned", "updateCreate": true, "conditionalCreate": true, "conditionalUpdate": true,
            "interaction": [{"code": "read"}, {"code": "create"}, {"code": "update"}, {"code": "search-type"}],
            "searchParam": [{"name": "_id", "type": "token"}, {"name": "identifier", "type": "token"}],
        })
    });
    let statement = json!({
        "resourceType": "CapabilityStatement", "status": "active", "date": "2026-11-22", "kind": "instance",
        "fhirVersion": "4.0.1", "format": ["json"],
        "software": {"name": "telecabine desk", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Embedded record store of a physician's desk"},
        "rest": [{"mode": "server", "resource": resources, "interaction": [{"code": "transaction"}]}],
    });
    answer(200, &statement)
}

#[cfg(test)]
#[path = "../fhir_tests.rs"]
mod tests;
