//! The patient's papers by telephone: sealed by the cabin, kept here without being readable here, opened by the page
//! in the patient's telephone. See "Papers by telephone" in the signal crate's `PROTOCOL.md`.

pub mod store;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, str};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path as UrlPath, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use signal::papers::{
    CABIN_HEADER, DIGEST_HEADER, KEPT_UNTIL_HEADER, NONCE_BYTES, PROOF_HEADER, PapersId, SEALED_BYTES_MAX, TAG_BYTES,
    digest, verify,
};
use signal::{CabinId, RefusalCode};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::cabins::CabinError;
use crate::door::Peer;
use crate::guesses::Guesses;
use crate::http::{address, now_s, refusal};
use crate::static_page;
use store::{PutError, Store};

/// Packs on their way in at once: each is in memory whole. On their way out they are read as they are sent.
const UNDER_WAY_MAX: usize = 4;
/// How long a cabin waits for its turn, and may take to send.
const PATIENCE: Duration = Duration::from_secs(100);

/// Only what the page needs. It shows the patient's PDFs from its own memory (`blob:`).
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; \
     connect-src 'self'; object-src blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The packs, who asks for what is not there, and how many are on their way.
pub struct Papers {
    store: Arc<Store>,
    guesses: Guesses,
    under_way: Semaphore,
}

impl Papers {
    /// The packs of a data folder.
    pub fn open(data: &Path) -> io::Result<Self> {
        let store = Arc::new(Store::open(data)?);
        Ok(Papers { store, guesses: Guesses::default(), under_way: Semaphore::new(UNDER_WAY_MAX) })
    }

    /// Deletes what is too old.
    pub fn tidy(&self, now_s: u64) {
        self.store.tidy(now_s);
    }
}

/// Routes of the papers.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/papers/{id}", put(keep).get(fetch))
        .route("/papers", get(page))
        .route("/papers/", get(page))
}

async fn page(State(app): State<Arc<App>>) -> Response {
    let mut response = static_page::file("/papers.html", app.config.page_folder.as_deref());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

fn unknown() -> Response {
    let reason = "Ces papiers n'existent pas ici, ou plus : ils sont gardés 7 jours.";
    refusal(StatusCode::NOT_FOUND, RefusalCode::UnknownPapers, reason, None)
}

fn too_many(reason: &str, wait_s: u32) -> Response {
    refusal(StatusCode::TOO_MANY_REQUESTS, RefusalCode::TooMany, reason, Some(wait_s))
}

/// The proof is checked before the body is read: nobody but an enrolled cabin fills this memory.
async fn keep(State(app): State<Arc<App>>, UrlPath(id): UrlPath<String>, headers: HeaderMap, body: Body) -> Response {
    let Some(id) = PapersId::read(&id) else { return unknown() };
    let (cabin, wanted) = match proved(&app, &id, &headers) {
        Ok(proved) => proved,
        Err(refused) => return *refused,
    };
    let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, app.papers.under_way.acquire()).await else {
        return too_many("Trop de papiers arrivent à la fois : réessayez.", 30);
    };
    let sealed = match tokio::time::timeout(PATIENCE, to_bytes(body, SEALED_BYTES_MAX)).await {
        Ok(Ok(sealed)) => sealed,
        Ok(Err(_)) => {
            let reason = "Ces papiers dépassent 40 Mo, ou l'envoi a été coupé : imprimez-les.";
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, RefusalCode::TooLarge, reason, None);
        }
        Err(_) => {
            let reason = "L'envoi a duré trop longtemps : réessayez.";
            return refusal(StatusCode::REQUEST_TIMEOUT, RefusalCode::TooSlow, reason, None);
        }
    };
    if sealed.len() <= NONCE_BYTES + TAG_BYTES || digest(&sealed) != wanted {
        let reason = "Ces octets ne sont pas ceux que la cabine a signés.";
        return refusal(StatusCode::BAD_REQUEST, RefusalCode::Malformed, reason, None);
    }
    let store = Arc::clone(&app.papers.store);
    let (name, from) = (id, cabin.clone());
    let kept = tokio::task::spawn_blocking(move || store.put(&name, &from, &sealed, now_s())).await;
    match kept.unwrap_or_else(|_| Err(PutError::Storage(io::Error::other("the store failed")))) {
        Ok(true) => {
            tracing::info!(%cabin, "papers kept");
            StatusCode::CREATED.into_response()
        }
        Ok(false) => StatusCode::OK.into_response(),
        Err(error) => {
            let (status, code) = match &error {
                PutError::Full => (StatusCode::INSUFFICIENT_STORAGE, RefusalCode::TooMany),
                PutError::Taken => (StatusCode::CONFLICT, RefusalCode::Forbidden),
                PutError::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Stopping),
            };
            tracing::error!(%cabin, cause = ?error, "papers not kept");
            refusal(status, code, &error.to_string(), None)
        }
    }
}

/// The cabin that signed, and the digest of what it is going to send.
fn proved(app: &App, id: &PapersId, headers: &HeaderMap) -> Result<(CabinId, [u8; 32]), Box<Response>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let deny = |code, reason: &str| Box::new(refusal(StatusCode::FORBIDDEN, code, reason, None));
    let bad = || deny(RefusalCode::BadProof, "La cabine n'a pas prouvé qui elle est : refaites l'enrôlement.");
    let cabin = text(CABIN_HEADER).and_then(|cabin| CabinId::new(cabin).ok()).ok_or_else(bad)?;
    let bytes = text(DIGEST_HEADER).and_then(digest_of).ok_or_else(bad)?;
    let proof = text(PROOF_HEADER).ok_or_else(bad)?;
    let known = app.cabins.get(&cabin).map_err(|error: CabinError| deny(error.code(), &error.to_string()))?;
    let key = known.key().ok_or_else(bad)?;
    // The desk may be dialled by any of its own origins.
    let fits = app.origins.iter().any(|origin| verify(&key, id, &cabin, origin, &bytes, proof));
    if fits { Ok((cabin, bytes)) } else { Err(bad()) }
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 || !text.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

async fn fetch(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
) -> Response {
    let from: IpAddr = address(&app, peer, &headers);
    if let Some(wait_s) = app.papers.guesses.wait_s(from, Instant::now()) {
        return too_many("Trop de demandes : attendez quelques minutes.", wait_s);
    }
    let miss = || {
        app.papers.guesses.missed(from, Instant::now());
        unknown()
    };
    let Some(id) = PapersId::read(&id) else { return miss() };
    let store = Arc::clone(&app.papers.store);
    match tokio::task::spawn_blocking(move || store.get(&id, now_s())).await {
        Ok(Ok(Some((file, until_s)))) => {
            let mut response = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file))).into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            headers.insert(HeaderName::from_static(KEPT_UNTIL_HEADER), HeaderValue::from(until_s * 1_000));
            response
        }
        Ok(Ok(None)) => miss(),
        failed => {
            tracing::error!(?failed, "papers cannot be read");
            let reason = "Le bureau n'a pas pu lire ces papiers : réessayez dans un moment.";
            refusal(StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Stopping, reason, Some(60))
        }
    }
}
