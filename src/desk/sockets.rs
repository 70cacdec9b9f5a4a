//! The three WebSockets: who may speak, how much, and for how long in silence.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use signal::cabin::{FromCabin, FromDesk};
use signal::guest::{FromGuest, ToGuest};
use signal::physician::{FromPage, ToPage};
use signal::{CabinId, RefusalCode, SIGNAL_RATE_MAX, Text, Ticket, Unreadable, proof};

use crate::app::App;
use crate::cabins::CabinError;
use crate::fhir::call_backs::Step;
use crate::hall::{Joined, Out};
use crate::room::third_seat::NotInvited;
use crate::second_opinions;

/// A peer has so long to say `hello`, and `proof`.
const INTRODUCTION_MAX: Duration = Duration::from_secs(10);
/// One write may take so long before the peer is dropped.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// Messages not understood before a connection is closed.
const UNREADABLE_MAX: u32 = 10;
/// Messages at once above the averaged rate (candidates come in bursts).
const BURST_MAX: f64 = 200.0;

type Refusal = (RefusalCode, String);

/// What differs between a cabin and a page once they are in.
trait End: Send {
    fn ping(n: u32) -> String;
    fn error(code: RefusalCode, reason: &str) -> String;
    fn refused(code: RefusalCode, reason: &str) -> String;
    /// Takes one message.
    fn take(&mut self, text: &str) -> Result<(), Unreadable>;
    /// Asked at each heartbeat.
    fn still_welcome(&self) -> Result<(), Refusal>;
}

struct CabinEnd<'a> {
    app: &'a Arc<App>,
    id: CabinId,
    number: u64,
}

impl End for CabinEnd<'_> {
    fn ping(n: u32) -> String {
        FromDesk::Ping { n }.write()
    }

    fn error(code: RefusalCode, reason: &str) -> String {
        FromDesk::Error { code, reason: Text::cut(reason) }.write()
    }

    fn refused(code: RefusalCode, reason: &str) -> String {
        FromDesk::Refused { code, reason: Text::cut(reason) }.write()
    }

    fn take(&mut self, text: &str) -> Result<(), Unreadable> {
        match FromCabin::read(text)? {
            message @ (FromCabin::SecondOpinionsWanted {}
            | FromCabin::SecondOpinionWanted { .. }
            | FromCabin::SecondOpinionStep { .. }
            | FromCabin::SecondOpinionReportWanted { .. }) => {
                // On a disk, or at another server: the heartbeats do not wait for it.
                drop(tokio::spawn(second_opinions::from_cabin(Arc::clone(self.app), self.id.clone(), message)));
            }
            message => self.app.hall.from_cabin(&self.id, self.number, message),
        }
        Ok(())
    }

    fn still_welcome(&self) -> Result<(), Refusal> {
        match self.app.cabins.get(&self.id) {
            Err(error @ (CabinError::Revoked | CabinError::Unknown)) => {
                self.app.hall.revoke(&self.id, &error.to_string());
                Err((error.code(), error.to_string()))
            }
            // A register that cannot be read for a moment does not end a call.
            _ => Ok(()),
        }
    }
}

struct PageEnd<'a> {
    app: &'a Arc<App>,
    account: String,
    badge: String,
    number: u64,
}

impl End for PageEnd<'_> {
    fn ping(n: u32) -> String {
        ToPage::Ping { n }.write()
    }

    fn error(code: RefusalCode, reason: &str) -> String {
        ToPage::Error { code, reason: Text::cut(reason) }.write()
    }

    fn refused(code: RefusalCode, reason: &str) -> String {
        ToPage::Refused { code, reason: Text::cut(reason) }.write()
    }

    fn take(&mut self, text: &str) -> Result<(), Unreadable> {
        let message = FromPage::read(text)?;
        if !matches!(message, FromPage::Ping { .. } | FromPage::Pong { .. }) {
            let _ = self.app.badges.still(&self.badge, Instant::now(), true);
        }
        let step = match &message {
            FromPage::TakeCallBack { consultation } => Some((consultation, Step::Take)),
            FromPage::ReturnCallBack { consultation } => Some((consultation, Step::Return)),
            FromPage::FinishCallBack { consultation } => Some((consultation, Step::Finish)),
            _ => None,
        };
        if let Some((consultation, step)) = step.filter(|_| self.app.hall.is_page(&self.account, self.number)) {
            let (app, account, consultation) = (Arc::clone(self.app), self.account.clone(), consultation.clone());
            drop(tokio::spawn(app.step_call_back(account, consultation, step)));
            return Ok(());
        }
        if let Some(consultation) = self.app.hall.from_page(&self.account, self.number, message) {
            self.app.remember_taken(&self.account, &consultation);
        }
        Ok(())
    }

    fn still_welcome(&self) -> Result<(), Refusal> {
        // A physician in a call speaks and does not click: the call is activity.
        let active = self.app.hall.in_call(&self.account);
        let signed_in = self.app.badges.still(&self.badge, Instant::now(), active).is_some();
        if signed_in && !matches!(self.app.accounts.physician(&self.account), Ok(None)) {
            return Ok(());
        }
        Err((RefusalCode::NotSignedIn, "Vous n'êtes plus connecté : connectez-vous de nouveau.".into()))
    }
}

struct GuestEnd<'a> {
    app: &'a Arc<App>,
    ticket: Ticket,
    number: u64,
}

impl End for GuestEnd<'_> {
    fn ping(n: u32) -> String {
        ToGuest::Ping { n }.write()
    }

    fn error(code: RefusalCode, reason: &str) -> String {
        ToGuest::Error { code, reason: Text::cut(reason) }.write()
    }

    fn refused(code: RefusalCode, reason: &str) -> String {
        ToGuest::Refused { code, reason: Text::cut(reason) }.write()
    }

    fn take(&mut self, text: &str) -> Result<(), Unreadable> {
        self.app.hall.from_guest(&self.ticket, self.number, FromGuest::read(text)?);
        Ok(())
    }

    fn still_welcome(&self) -> Result<(), Refusal> {
        // Who is no longer is told so at once, and not at a heartbeat.
        Ok(())
    }
}

/// A cabin's WebSocket from the first message to the last.
pub async fn cabin(app: &Arc<App>, mut socket: WebSocket) {
    let (id, site, name) = match introduce_cabin(app, &mut socket).await {
        Ok(known) => known,
        Err(Some((code, reason))) => {
            tracing::warn!(?code, "cabin refused");
            return close(&mut socket, CabinEnd::refused(code, &reason)).await;
        }
        Err(None) => return,
    };
    let welcome = FromDesk::Welcome {
        cabin_id: id.clone(),
        name,
        operator: Text::cut(&app.config.operator),
        heartbeat_ms: app.config.heartbeat_ms,
        grace_ms: app.config.grace_ms,
    };
    let joined = app.hall.join_cabin(&id, site, &welcome);
    tracing::info!(cabin = %id, "cabin connected");
    let number = joined.number;
    pump(app, &mut socket, joined, CabinEnd { app, id: id.clone(), number }).await;
    app.hall.leave_cabin(&id, number);
    tracing::info!(cabin = %id, "cabin disconnected");
}

type Known = (CabinId, signal::enrol::Site, Text<128>);

async fn introduce_cabin(app: &App, socket: &mut WebSocket) -> Result<Known, Option<Refusal>> {
    let refuse = |code, reason: &str| Some((code, reason.to_owned()));
    let unreadable = |error: Unreadable| Some((error.code(), error.to_string()));
    let hello = FromCabin::read(&next_text(socket).await?).map_err(unreadable)?;
    let FromCabin::Hello { version, cabin_id: id, software } = hello else {
        return Err(refuse(RefusalCode::OutOfOrder, "hello est attendu d'abord."));
    };
    if version != signal::VERSION {
        let reason = format!("Ce bureau parle la version {} du protocole, la cabine la {version}.", signal::VERSION);
        return Err(refuse(RefusalCode::VersionUnsupported, &reason));
    }
    let known = app.cabins.get(&id).map_err(|error| Some((error.code(), error.to_string())))?;
    let nonce: [u8; proof::NONCE_BYTES] = rand::random();
    let challenge = FromDesk::Challenge { version: signal::VERSION, nonce: proof::nonce_text(&nonce) };
    write(socket, challenge.write()).await.map_err(|()| None)?;
    let FromCabin::Proof { signature } = FromCabin::read(&next_text(socket).await?).map_err(unreadable)? else {
        return Err(refuse(RefusalCode::OutOfOrder, "proof est attendu après challenge."));
    };
    let proved = known
        .key()
        .is_some_and(|key| app.origins.iter().any(|origin| proof::verify(&key, &nonce, &id, origin, &signature)));
    if !proved {
        let reason = format!("La signature n'est pas celle de la clé enrôlée pour {}.", app.origins[0]);
        return Err(refuse(RefusalCode::BadProof, &reason));
    }
    tracing::info!(cabin = %id, software = software.as_str(), "cabin proved its key");
    Ok((id, known.site, known.name))
}

/// A signed-in physician's WebSocket from the first message to the last.
pub async fn page(app: &Arc<App>, mut socket: WebSocket, account: String, badge: String) {
    let refusal = match next_text(&mut socket).await {
        Err(None) => return,
        Err(Some(refusal)) => Some(refusal),
        Ok(text) => match FromPage::read(&text) {
            Ok(FromPage::Hello { version: signal::VERSION }) => None,
            Ok(FromPage::Hello { .. }) => Some((
                RefusalCode::VersionUnsupported,
                "Rechargez la page : elle n'est pas de la version du bureau.".into(),
            )),
            Ok(_) => Some((RefusalCode::OutOfOrder, "hello est attendu d'abord.".into())),
            Err(error) => Some((error.code(), error.to_string())),
        },
    };
    if let Some((code, reason)) = refusal {
        return close(&mut socket, PageEnd::refused(code, &reason)).await;
    }
    let Ok(Some(physician)) = app.accounts.physician(&account) else {
        return close(&mut socket, PageEnd::refused(RefusalCode::NotSignedIn, "Ce compte n'existe plus.")).await;
    };
    let Some(how) = app.badges.how(&badge) else {
        let reason = "Vous n'êtes plus connecté : connectez-vous de nouveau.";
        return close(&mut socket, PageEnd::refused(RefusalCode::NotSignedIn, reason)).await;
    };
    let joined = app.hall.join_page(&account, physician, how);
    let number = joined.number;
    pump(app, &mut socket, joined, PageEnd { app, account: account.clone(), badge, number }).await;
    app.hall.leave_page(&account, number);
}

/// A guest's WebSocket from the first message to the last. `from` is the peer's address: who guesses, waits.
pub async fn guest(app: &Arc<App>, mut socket: WebSocket, from: IpAddr) {
    let known = match next_text(&mut socket).await {
        Err(None) => return,
        Err(Some(refusal)) => Err(refusal),
        Ok(text) => introduce_guest(app, &text, from),
    };
    let (ticket, joined) = match known {
        Ok(known) => known,
        Err((code, reason)) => return close(&mut socket, GuestEnd::refused(code, &reason)).await,
    };
    let number = joined.number;
    pump(app, &mut socket, joined, GuestEnd { app, ticket: ticket.clone(), number }).await;
    app.hall.leave_guest(&ticket, number);
}

fn introduce_guest(app: &App, text: &str, from: IpAddr) -> Result<(Ticket, Joined), Refusal> {
    if app.guest_guesses.wait_s(from, Instant::now()).is_some() {
        return Err((RefusalCode::TooMany, crate::guest::TOO_MANY_GUESSES.into()));
    }
    let spoken = |version| match version {
        signal::VERSION => Ok(()),
        _ => {
            Err((RefusalCode::VersionUnsupported, "Rechargez la page : elle n'est pas de la version du bureau.".into()))
        }
    };
    let known = match FromGuest::read(text).map_err(|error| (error.code(), error.to_string()))? {
        FromGuest::Hello { version, invitation, guest } => {
            spoken(version)?;
            app.hall.join_guest(&invitation, guest)
        }
        FromGuest::Return { version, ticket } => {
            spoken(version)?;
            app.hall.return_guest(&ticket).map(|joined| (ticket, joined))
        }
        _ => return Err((RefusalCode::OutOfOrder, "hello est attendu d'abord.".into())),
    };
    known.map_err(|refused| {
        if refused == NotInvited::Unknown {
            app.guest_guesses.missed(from, Instant::now());
        }
        (refused.code(), refused.to_string())
    })
}

async fn pump<E: End>(app: &App, socket: &mut WebSocket, mut joined: Joined, mut end: E) {
    let heartbeat = Duration::from_millis(app.config.heartbeat_ms.into());
    let mut beat = tokio::time::interval(heartbeat);
    beat.reset();
    let (mut pings, mut unreadable, mut tokens) = (0u32, 0u32, BURST_MAX);
    let (mut heard, mut refilled) = (Instant::now(), Instant::now());
    let mut stop = app.stopping.subscribe();
    loop {
        let last = tokio::select! {
            out = joined.out.recv() => match out {
                Some(Out::Text(text)) => match write(socket, text).await {
                    Ok(()) => continue,
                    Err(()) => return,
                },
                Some(Out::Last(text)) => text,
                None => E::refused(RefusalCode::TooSlow, "Trop de messages n'ont pas été lus."),
            },
            _ = beat.tick() => {
                if heard.elapsed() > 3 * heartbeat {
                    E::refused(RefusalCode::TooSlow, "Rien n'a été entendu depuis trop longtemps.")
                } else if let Err((code, reason)) = end.still_welcome() {
                    E::refused(code, &reason)
                } else {
                    pings = pings.wrapping_add(1);
                    match write(socket, E::ping(pings)).await {
                        Ok(()) => continue,
                        Err(()) => return,
                    }
                }
            },
            _ = stop.changed() => {
                E::refused(RefusalCode::Stopping, "Le bureau s'arrête : reconnectez-vous dans un instant.")
            },
            message = socket.recv() => {
                heard = Instant::now();
                tokens = (tokens + refilled.elapsed().as_secs_f64() * f64::from(SIGNAL_RATE_MAX)).min(BURST_MAX) - 1.0;
                refilled = heard;
                if tokens < 0.0 {
                    E::refused(RefusalCode::TooMany, "Trop de messages à la fois.")
                } else {
                    match message {
                        None | Some(Ok(Message::Close(_))) => return,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                        Some(Err(error)) => match too_large(&error) {
                            true => E::refused(RefusalCode::TooLarge, "Message trop long."),
                            false => return,
                        },
                        Some(Ok(Message::Binary(_))) => E::refused(RefusalCode::Malformed, "Du texte est attendu."),
                        Some(Ok(Message::Text(text))) => match end.take(&text) {
                            Ok(()) => continue,
                            Err(error) if error.code() == RefusalCode::TooLarge => {
                                E::refused(error.code(), &error.to_string())
                            }
                            Err(error) => {
                                unreadable += 1;
                                if unreadable >= UNREADABLE_MAX {
                                    E::refused(error.code(), &error.to_string())
                                } else {
                                    match write(socket, E::error(error.code(), &error.to_string())).await {
                                        Ok(()) => continue,
                                        Err(()) => return,
                                    }
                                }
                            }
                        },
                    }
                }
            },
        };
        return close(socket, last).await;
    }
}

async fn next_text(socket: &mut WebSocket) -> Result<String, Option<Refusal>> {
    let wait = tokio::time::timeout(INTRODUCTION_MAX, async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    return Err(Some((RefusalCode::Malformed, "Du texte est attendu.".into())));
                }
                Some(Err(error)) if too_large(&error) => {
                    return Err(Some((RefusalCode::TooLarge, "Message trop long.".into())));
                }
                None | Some(Err(_)) | Some(Ok(Message::Close(_))) => return Err(None),
            }
        }
    });
    wait.await.unwrap_or_else(|_| Err(Some((RefusalCode::TooSlow, "Rien n'a été entendu.".into()))))
}

/// The WebSocket library says by words only that a frame is above the limit given to it.
fn too_large(error: &axum::Error) -> bool {
    error.to_string().contains("too long") || error.to_string().contains("too large")
}

async fn write(socket: &mut WebSocket, text: String) -> Result<(), ()> {
    match tokio::time::timeout(WRITE_MAX, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

async fn close(socket: &mut WebSocket, last: String) {
    if write(socket, last).await.is_ok() {
        let frame = CloseFrame { code: close_code::POLICY, reason: "refused".into() };
        let _ = tokio::time::timeout(WRITE_MAX, socket.send(Message::Close(Some(frame)))).await;
        // The peer's own close is awaited, so that the last message is not lost to a reset.
        let drain = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
    }
}
