//! The line to the desk: one WebSocket, proved by the cabin's key, kept up for ever.
//!
//! The link dials again with a growing pause after each loss, proves itself, and says the present state again in full
//! (site, patient who waits): the desk remembers nothing of a cabin that it does not hear. What cannot be sent now and
//! is not part of that state (an SDP answer, say) is dropped, since its call is being negotiated anew anyway.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use signal::cabin::{FromCabin, FromDesk, SiteState, Waiting};
use signal::{CABIN_SOCKET_PATH, RefusalCode, SIGNAL_BYTES_MAX, Text, VERSION, proof};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use crate::enrolment::Identity;

/// First pause before dialling again.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause: a cabin is back within this time of its line.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Pause after the desk refused this cabin: only a person can change that.
const PAUSE_REFUSED: Duration = Duration::from_secs(60);
/// The desk must answer the hello within this time.
const HELLO_MAX: Duration = Duration::from_secs(15);
/// Number of the ping that asks whether the desk has said everything after a reconnection.
const SETTLED: u32 = 1;
/// Messages that may wait to be sent; more are dropped, the desk being too slow to matter.
const OUT_MAX: usize = 256;

/// What the line tells the run loop.
#[derive(Clone, Debug)]
pub enum DeskEvent {
    /// Proved and welcome.
    Up {
        /// Who runs the desk.
        operator: String,
    },
    /// The line is lost, or was never there. Dialled again by itself.
    Down {
        /// For the technician: what failed.
        reason: String,
    },
    /// The desk will not speak with this cabin until a person acts.
    Refused {
        /// The desk's code.
        code: RefusalCode,
        /// What to do, in the desk's words.
        reason: String,
    },
    /// The desk has said again all that it still knows of this cabin: a call that it did not offer again is over.
    Settled,
    /// Anything else that the desk says.
    Said(Box<FromDesk>),
}

/// State said again after each reconnection.
#[derive(Default)]
struct Present {
    site: Option<SiteState>,
    waiting: Option<Waiting>,
}

/// The run loop's end of the line. Sending never blocks.
#[derive(Clone)]
pub struct DeskLink {
    present: Arc<Mutex<Present>>,
    out: mpsc::Sender<FromCabin>,
    redial: Arc<Notify>,
}

impl DeskLink {
    /// Starts the line on `runtime`; it ends when the last `DeskLink` is dropped.
    pub fn start(
        runtime: &tokio::runtime::Handle,
        identity: Identity,
        tls: Arc<rustls::ClientConfig>,
        events: impl Fn(DeskEvent) + Send + Sync + 'static,
    ) -> Self {
        let (out, outgoing) = mpsc::channel(OUT_MAX);
        let present = Arc::new(Mutex::new(Present::default()));
        let redial = Arc::new(Notify::new());
        runtime.spawn(run(identity, tls, Arc::clone(&present), outgoing, Arc::clone(&redial), events));
        Self { present, out, redial }
    }

    /// Says that the site changed, now and after each reconnection.
    pub fn site(&self, site: SiteState) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.site.as_ref() != Some(&site) {
            present.site = Some(site.clone());
            drop(present);
            self.send(FromCabin::Site(site));
        }
    }

    /// Says that a patient waits (or no longer does, with `None`), now and after each reconnection. Said again even
    /// when nothing changed: a desk that ended a call has taken the patient off its list.
    pub fn waiting(&self, waiting: Option<Waiting>) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut present.waiting, waiting.clone());
        drop(present);
        match (waiting, before) {
            (Some(waiting), _) => self.send(FromCabin::Waiting(waiting)),
            (None, Some(before)) => self.send(FromCabin::WaitingLeft { consultation: before.consultation }),
            (None, None) => {}
        }
    }

    /// The patient accepted a physician: no reconnection says any more that one waits.
    pub fn taken(&self) {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).waiting = None;
    }

    /// Dials anew at once: the line goes by a network that is no longer used.
    pub fn redial(&self) {
        self.redial.notify_one();
    }

    /// Sends one message if the line is up; see the top of this file for what happens when it is not.
    pub fn send(&self, message: FromCabin) {
        if self.out.try_send(message).is_err() {
            tracing::debug!("the line to the desk is not taking messages");
        }
    }
}

/// Why one connection ended.
enum Ended {
    Lost(String),
    Refused(RefusalCode, String),
    Redialled,
    Dropped,
}

async fn run(
    identity: Identity,
    tls: Arc<rustls::ClientConfig>,
    present: Arc<Mutex<Present>>,
    mut outgoing: mpsc::Receiver<FromCabin>,
    redial: Arc<Notify>,
    events: impl Fn(DeskEvent) + Send + Sync + 'static,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let dialled_at = Instant::now();
        let ended = tokio::select! {
            ended = connection(&identity, Arc::clone(&tls), &present, &mut outgoing, &events) => ended,
            () = redial.notified() => Ended::Redialled,
        };
        let wait = match ended {
            Ended::Redialled => {
                events(DeskEvent::Down { reason: "the network is another".into() });
                pause = PAUSE_MIN;
                continue;
            }
            Ended::Dropped => return,
            Ended::Lost(reason) => {
                // A line that held for a while starts again from the shortest pause.
                pause = if dialled_at.elapsed() > PAUSE_MAX { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                events(DeskEvent::Down { reason });
                pause.mul_f64(rand::random_range(0.5..1.0))
            }
            Ended::Refused(code, reason) => {
                tracing::warn!(?code, "the desk refuses this cabin");
                events(DeskEvent::Refused { code, reason });
                PAUSE_REFUSED
            }
        };
        let until = Instant::now() + wait;
        // What is said while the line is down is part of `present`, or stale when the line is back.
        loop {
            tokio::select! {
                said = outgoing.recv() => if said.is_none() { return },
                () = tokio::time::sleep_until(until) => break,
                () = redial.notified() => break,
            }
        }
    }
}

async fn connection(
    identity: &Identity,
    tls: Arc<rustls::ClientConfig>,
    present: &Mutex<Present>,
    outgoing: &mut mpsc::Receiver<FromCabin>,
    events: &(impl Fn(DeskEvent) + Sync),
) -> Ended {
    let lost = |what: &'static str| {
        move |error: tokio_tungstenite::tungstenite::Error| Ended::Lost(format!("{what}: {error}"))
    };
    let url = format!("{}{CABIN_SOCKET_PATH}", identity.origin.replacen("http", "ws", 1));
    let limits =
        WebSocketConfig::default().max_message_size(Some(SIGNAL_BYTES_MAX)).max_frame_size(Some(SIGNAL_BYTES_MAX));
    let connect = connect_async_tls_with_config(&url, Some(limits), true, Some(Connector::Rustls(tls)));
    let mut socket = match tokio::time::timeout(HELLO_MAX, connect).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(error)) => return lost("the desk cannot be reached")(error),
        Err(_) => return Ended::Lost("the desk does not answer".into()),
    };

    macro_rules! say {
        ($message:expr) => {
            if let Err(error) = socket.send(Message::text($message.write())).await {
                return lost("the line broke")(error);
            }
        };
    }
    say!(FromCabin::Hello {
        version: VERSION,
        cabin_id: identity.cabin_id.clone(),
        software: Text::cut(concat!("telecabine ", env!("CARGO_PKG_VERSION"))),
    });

    let mut welcome = false;
    let mut heartbeat = HELLO_MAX;
    let mut heard_at = Instant::now();
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            // Nothing of the run loop goes out before the desk knows who speaks.
            message = outgoing.recv(), if welcome => {
                match message {
                    None => { socket.close(None).await.ok(); return Ended::Dropped; }
                    Some(message) => say!(message),
                }
                continue;
            }
            () = tokio::time::sleep_until(heard_at + heartbeat) => return Ended::Lost("the desk went silent".into()),
        };
        heard_at = Instant::now();
        let text = match message {
            None => return Ended::Lost("the desk closed the line".into()),
            Some(Err(error)) => return lost("the line broke")(error),
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) => return Ended::Lost("the desk closed the line".into()),
            Some(Ok(_)) => continue,
        };
        match FromDesk::read(text.as_str()) {
            Ok(FromDesk::Challenge { nonce, .. }) if !welcome => {
                match proof::sign(&identity.key, &nonce, &identity.cabin_id, &identity.origin) {
                    Ok(signature) => say!(FromCabin::Proof { signature }),
                    Err(refusal) => return Ended::Lost(refusal.to_string()),
                }
            }
            Ok(FromDesk::Welcome { operator, heartbeat_ms, .. }) if !welcome => {
                welcome = true;
                heartbeat = Duration::from_millis(u64::from(heartbeat_ms).clamp(1_000, 120_000)) * 3;
                // What waits to be sent is in the state too, which is read after.
                while outgoing.try_recv().is_ok() {}
                let (site, waiting) = {
                    let present = present.lock().unwrap_or_else(PoisonError::into_inner);
                    (present.site.clone(), present.waiting.clone())
                };
                if let Some(site) = site {
                    say!(FromCabin::Site(site));
                }
                if let Some(waiting) = waiting {
                    say!(FromCabin::Waiting(waiting));
                }
                // The answer comes after all that the desk says again of itself: see `DeskEvent::Settled`.
                say!(FromCabin::Ping { n: SETTLED });
                events(DeskEvent::Up { operator: operator.as_str().to_owned() });
            }
            Ok(FromDesk::Refused { code, reason }) => return Ended::Refused(code, reason.as_str().to_owned()),
            Ok(FromDesk::Ping { n }) => say!(FromCabin::Pong { n }),
            Ok(FromDesk::Pong { n: SETTLED }) => events(DeskEvent::Settled),
            Ok(FromDesk::Error { code, reason }) => {
                tracing::warn!(?code, reason = reason.as_str(), "the desk refused a message");
                events(DeskEvent::Said(Box::new(FromDesk::Error { code, reason })));
            }
            Ok(message) if welcome => events(DeskEvent::Said(Box::new(message))),
            Ok(_) => say!(FromCabin::Error {
                code: RefusalCode::OutOfOrder,
                reason: Text::cut("nothing is expected before the proof"),
            }),
            Err(refusal) => {
                tracing::warn!(%refusal, "the desk said something unreadable");
                say!(FromCabin::Error { code: refusal.code(), reason: Text::cut(&refusal.to_string()) });
            }
        }
    }
}
