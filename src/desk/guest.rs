//! The guest's way in: the page, whether an invitation is good, the WebSocket. See "The third seat" in the signal crate's
//! `PROTOCOL.md`.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use signal::RefusalCode;
use signal::guest::{Asked, GUEST_SOCKET_PATH, INVITATION_PATH};

use crate::app::App;
use crate::door::Peer;
use crate::http::{Denied, address, denied, limited, own_origin, refusal, text};
use crate::room::third_seat::NotInvited;
use crate::{sockets, static_page};

/// What who tried too many wrong invitations reads.
pub(crate) const TOO_MANY_GUESSES: &str = "Trop d’essais viennent de votre réseau : attendez dix minutes.";

/// Routes of the third seat.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route(INVITATION_PATH, post(invitation))
        .route(GUEST_SOCKET_PATH, get(socket))
        .route("/guest", get(page))
        .route("/guest/", get(page))
}

async fn page(State(app): State<Arc<App>>) -> Response {
    static_page::file("/guest.html", app.config.page_folder.as_deref())
}

/// Whether an invitation is good: who holds it learns whose it is before typing a name. It is not used up.
async fn invitation(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let from = address(&app, peer, &headers);
    if let Some(wait_s) = app.guest_guesses.wait_s(from, Instant::now()) {
        let code = RefusalCode::TooMany;
        return Err(denied(refusal(StatusCode::TOO_MANY_REQUESTS, code, TOO_MANY_GUESSES, Some(wait_s))));
    }
    let asked = Asked::read(text(&body)?)
        .map_err(|error| denied(refusal(StatusCode::BAD_REQUEST, error.code(), &error.to_string(), None)))?;
    let invited = app.hall.invitation(&asked.invitation).map_err(|refused| {
        let status = match refused {
            NotInvited::Unknown => {
                app.guest_guesses.missed(from, Instant::now());
                StatusCode::NOT_FOUND
            }
            NotInvited::Expired | NotInvited::Used => StatusCode::GONE,
        };
        denied(refusal(status, refused.code(), &refused.to_string(), None))
    })?;
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json")], invited.write()).into_response())
}

async fn socket(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let from = address(&app, peer, &headers);
    Ok(limited(upgrade).on_upgrade(async move |socket| sockets::guest(&app, socket, from).await))
}
