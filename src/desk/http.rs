//! Every HTTP endpoint of the desk: see the table in the signal crate's `PROTOCOL.md`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State, WebSocketUpgrade};
use axum::http::header::{self, CONTENT_TYPE, HeaderName, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use signal::call::Authentication;
use signal::enrol::{Accepted, ENROL_BYTES_MAX, Refused};
use signal::physician::SignIn;
use signal::{ConsultationId, RefusalCode, SIGNAL_BYTES_MAX, Text};

use crate::accounts::SignInError;
use crate::app::App;
use crate::door::Peer;
use crate::{fhir, guest, oidc, papers, second_opinions, sockets, static_page};

/// Longest body outside `/fhir`, bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The desk as a service.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/api/cabin/enrol", post(enrol))
        .route("/api/cabin/ws", get(cabin_socket))
        .route("/api/sign-in", get(ways_in))
        .route("/api/physician/sign-in", post(sign_in))
        .route("/api/physician/sign-out", post(sign_out))
        .route("/api/physician/me", get(me))
        .route("/api/physician/ws", get(physician_socket))
        .route("/api/physician/records/{consultation}", get(record))
        .route("/api/physician/oidc/start", get(oidc::start))
        .route("/api/physician/oidc/callback", get(oidc::callback))
        .merge(guest::router())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(fhir::router())
        .merge(papers::router())
        .merge(second_opinions::router())
        .fallback(get(page))
        .layer(middleware::from_fn(headers))
        .with_state(app)
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(self), geolocation=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static(static_page::CONTENT_SECURITY_POLICY);
    response.headers_mut().entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn page(State(app): State<Arc<App>>, uri: Uri) -> Response {
    static_page::file(uri.path(), app.config.page_folder.as_deref())
}

/// A refusal in the shape of the protocol.
pub fn refusal(status: StatusCode, code: RefusalCode, reason: &str, retry_after_s: Option<u32>) -> Response {
    let refused = Refused { code, reason: Text::cut(reason), retry_after_s };
    let mut response = (status, [(CONTENT_TYPE, "application/json")], refused.write()).into_response();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A refusal as the error of a handler; boxed, because an answer is large.
pub(crate) struct Denied(Box<Response>);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// A refusal as the error of a handler.
pub(crate) fn denied(response: Response) -> Denied {
    Denied(Box::new(response))
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The peer's address; behind a proxy on this machine, the last one that the proxy wrote.
pub fn address(app: &App, peer: Peer, headers: &HeaderMap) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
    match last {
        Some(address) if app.config.behind_proxy && peer.0.ip().is_loopback() => address,
        _ => peer.0.ip(),
    }
}

/// The page's requests carry the desk's own origin: another site's script cannot speak in a physician's name.
pub(crate) fn own_origin(app: &App, headers: &HeaderMap) -> Result<(), Denied> {
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    if origin.is_some_and(|origin| app.origins.iter().any(|own| own == origin)) {
        return Ok(());
    }
    let reason = format!("La page doit être ouverte à l'adresse {}.", app.origins[0]);
    Err(denied(refusal(StatusCode::FORBIDDEN, RefusalCode::BadOrigin, &reason, None)))
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A body as text.
pub(crate) fn text(body: &Bytes) -> Result<&str, Denied> {
    std::str::from_utf8(body)
        .map_err(|_| denied(refusal(StatusCode::BAD_REQUEST, RefusalCode::Malformed, "UTF-8 attendu.", None)))
}

async fn enrol(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Denied> {
    let bad =
        |error: signal::Unreadable| denied(refusal(StatusCode::BAD_REQUEST, error.code(), &error.to_string(), None));
    const { assert!(ENROL_BYTES_MAX <= BODY_BYTES_MAX) };
    let request = signal::enrol::Request::read(text(&body)?).map_err(bad)?;
    if request.version != signal::VERSION {
        let reason = format!("Ce bureau parle la version {} du protocole.", signal::VERSION);
        return Err(denied(refusal(StatusCode::BAD_REQUEST, RefusalCode::VersionUnsupported, &reason, None)));
    }
    match app.cabins.enrol(&request, now_s()) {
        Ok((cabin_id, upload_token)) => {
            tracing::info!(cabin = %cabin_id, "cabin enrolled");
            app.hall.seat(cabin_id.clone(), request.site.clone());
            let origin = &app.origins[0];
            let accepted = Accepted {
                version: signal::VERSION,
                cabin_id,
                upload_token,
                fhir_url: Text::cut(&format!("{origin}/fhir")),
                origin: Text::cut(origin),
            };
            Ok((StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], accepted.write()).into_response())
        }
        Err(error) => {
            // An 80-bit code cannot be guessed: the refusal needs no growing wait.
            tracing::warn!(%error, "enrolment refused");
            Err(denied(refusal(StatusCode::FORBIDDEN, error.code(), &error.to_string(), None)))
        }
    }
}

async fn cabin_socket(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    limited(upgrade).on_upgrade(async move |socket| sockets::cabin(&app, socket).await)
}

/// A little above the protocol's limit, so that what is just above it is refused in words.
pub(crate) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(2 * SIGNAL_BYTES_MAX).max_frame_size(2 * SIGNAL_BYTES_MAX)
}

async fn ways_in(State(app): State<Arc<App>>) -> Response {
    let oidc = app.issuer.as_ref().map(|issuer| json!({"label": issuer.label(), "url": "/api/physician/oidc/start"}));
    json_answer(StatusCode::OK, &json!({"local": true, "oidc": oidc, "operator": app.config.operator}))
}

async fn sign_in(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let bad =
        |error: signal::Unreadable| denied(refusal(StatusCode::BAD_REQUEST, error.code(), &error.to_string(), None));
    let SignIn { account, password, code } = SignIn::read(text(&body)?).map_err(bad)?;
    let from = address(&app, peer, &headers);
    let name = account.as_str().to_owned();
    let checking = Arc::clone(&app);
    let checked = tokio::task::spawn_blocking(move || {
        checking.accounts.sign_in(account.as_str(), password.as_str(), code.as_str(), from, Instant::now(), now_s())
    });
    match checked.await.unwrap_or(Err(SignInError::Wrong)) {
        Ok(physician) => {
            tracing::info!(account = name, "physician signed in");
            let answer = json_answer(StatusCode::OK, &json!({"physician": physician}));
            Ok(signed_in(&app, &name, Authentication::LocalTotp, answer))
        }
        Err(error) => {
            tracing::warn!(%from, "sign-in refused");
            let (status, code, wait) = match &error {
                SignInError::Wrong => (StatusCode::UNAUTHORIZED, RefusalCode::NotSignedIn, None),
                SignInError::Wait(seconds) => (StatusCode::TOO_MANY_REQUESTS, RefusalCode::TooMany, Some(*seconds)),
                SignInError::Storage(cause) => {
                    tracing::error!(%cause, "accounts");
                    (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Stopping, None)
                }
            };
            Err(denied(refusal(status, code, &error.to_string(), wait)))
        }
    }
}

/// `response`, with the cookie of a new sign-in.
pub fn signed_in(app: &App, account: &str, how: Authentication, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(&app.badges.give(account, how, Instant::now())) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let (account, set_cookie) = app.badges.take_back(&headers);
    if let Some(account) = account {
        app.hall.sign_out(&account);
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, set_cookie)]).into_response())
}

/// The account signed in, and the key of its badge.
pub(crate) fn who(app: &App, headers: &HeaderMap) -> Result<(String, String), Denied> {
    app.badges
        .account(headers, Instant::now(), true)
        .ok_or_else(|| denied(refusal(StatusCode::UNAUTHORIZED, RefusalCode::NotSignedIn, "Connectez-vous.", None)))
}

async fn me(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Denied> {
    let (account, _) = who(&app, &headers)?;
    match app.accounts.physician(&account) {
        Ok(Some(physician)) => Ok(json_answer(StatusCode::OK, &json!({"physician": physician}))),
        _ => Err(denied(refusal(StatusCode::UNAUTHORIZED, RefusalCode::NotSignedIn, "Ce compte n'existe plus.", None))),
    }
}

async fn physician_socket(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let (account, badge) = who(&app, &headers)?;
    Ok(limited(upgrade).on_upgrade(async move |socket| sockets::page(&app, socket, account, badge).await))
}

async fn record(
    State(app): State<Arc<App>>,
    Path(consultation): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let (account, _) = who(&app, &headers)?;
    let not_found = || denied(refusal(StatusCode::NOT_FOUND, RefusalCode::UnknownCall, "Aucun dossier.", None));
    let consultation = ConsultationId::new(consultation).map_err(|_| not_found())?;
    // Where the requests cannot be read, nor can the dossier.
    if !app.may_read(&account, &consultation).await.unwrap_or(false) {
        return Err(not_found());
    }
    match app.records.of_consultation(consultation.as_str()).await {
        Some(bundle) => Ok((StatusCode::OK, [(CONTENT_TYPE, fhir::FHIR_JSON)], bundle.to_string()).into_response()),
        None => Err(not_found()),
    }
}
