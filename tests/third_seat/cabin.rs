//! The cabin's end of a call, for the desk and the page: the real media of `call`, the protocol, and no screen.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use call::{AudioSink, AudioSource, Call, CallEvent, Frame, Settings, VideoSource};
use ed25519_dalek::SigningKey;
use futures_util::{SinkExt, StreamExt};
use signal::cabin::{AgeBand, FromCabin, FromDesk, Waiting};
use signal::call::{Candidate, Sdp, SdpKind};
use signal::data::{RECORD, Record, Sex};
use signal::guest::Guest;
use signal::{CabinId, Code, ConsultationId, ItemId, Text, Ticket, VERSION, proof};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

/// What waits between two tasks.
const MESSAGES_MAX: usize = 256;

/// What the cabin has seen and heard.
#[derive(Default)]
pub struct Seen {
    /// Who was said to come (`Some`) and that nobody is there (`None`), in order.
    pub guests: Vec<Option<Guest>>,
    /// What was written to the patient.
    pub lines: Vec<String>,
    /// The newest picture of the far end.
    pub picture: Option<Frame>,
    /// Where the sound of the present connection goes: 16 bits, 48 kHz, one channel.
    pub heard: PathBuf,
    /// What a coming is acknowledged by, while the screen is said not to show it yet.
    held: Option<ItemId>,
    holds: bool,
    /// Why it ended before its time.
    pub failed: Option<String>,
}

/// A cabin with a patient who waits, accepts, and sends a test picture and a tone of 330 Hz.
pub struct Cabin {
    seen: Arc<Mutex<Seen>>,
    acknowledge: mpsc::Sender<ItemId>,
    // Dropped last: it ends every task.
    _runtime: Runtime,
}

/// What the desk calls this cabin, and the key that it was told.
pub struct Joined {
    pub id: String,
    pub key: SigningKey,
    pub origin: String,
}

impl Cabin {
    /// Joins the desk; sounds are kept in `folder`.
    pub fn start(joined: Joined, folder: PathBuf) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (acknowledge, acknowledged) = mpsc::channel(MESSAGES_MAX);
        let shared = Arc::clone(&seen);
        runtime.spawn(async move {
            if let Err(error) = run(joined, &folder, &shared, acknowledged).await {
                lock(&shared).failed = Some(format!("{error:#}"));
            }
        });
        Ok(Self { seen, acknowledge, _runtime: runtime })
    }

    /// Looks at what was seen and heard so far.
    pub fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> Result<T> {
        let seen = lock(&self.seen);
        match &seen.failed {
            Some(why) => bail!("the cabin's end failed: {why}"),
            None => Ok(at(&seen)),
        }
    }

    /// The next coming of a guest is not acknowledged before [`Cabin::shows_guest`].
    pub fn holds_guest_back(&self) {
        lock(&self.seen).holds = true;
    }

    /// The screen shows who comes, as of now.
    pub fn shows_guest(&self) -> Result<()> {
        let mut seen = lock(&self.seen);
        seen.holds = false;
        let held = seen.held.take().context("nobody was said to come")?;
        Ok(self.acknowledge.try_send(held)?)
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection with the page, and what tells that it is that one.
struct Meeting {
    call: Call,
    fingerprint: String,
    events: mpsc::Receiver<CallEvent>,
    pictures: watch::Receiver<Option<Frame>>,
}

async fn run(
    joined: Joined,
    folder: &std::path::Path,
    seen: &Mutex<Seen>,
    mut acknowledged: mpsc::Receiver<ItemId>,
) -> Result<()> {
    let id = CabinId::new(joined.id)?;
    let url = format!("{}{}", joined.origin.replace("http", "ws"), signal::CABIN_SOCKET_PATH);
    let (socket, _) = tokio_tungstenite::connect_async(url).await?;
    let (mut out, mut from) = socket.split();
    let consultation = ConsultationId::new("third-seat")?;
    let (tell, mut told) = mpsc::channel::<FromCabin>(MESSAGES_MAX);
    tell.send(FromCabin::Hello { version: VERSION, cabin_id: id.clone(), software: Text::cut("test") }).await?;
    let mut ticket: Option<Ticket> = None;
    let mut meeting: Option<Meeting> = None;
    let mut number = 0;
    loop {
        tokio::select! {
            Some(message) = told.recv() => out.send(Message::text(message.write())).await?,
            Some(item) = acknowledged.recv() => {
                if let Some(meeting) = &meeting {
                    meeting.call.send_text(RECORD, &Record::Ack { id: item }.write()?).await?;
                }
            }
            Some(event) = next_event(&mut meeting) => match event {
                Event::Call(CallEvent::LocalCandidate(found)) => {
                    let Some(ticket) = ticket.clone() else { continue };
                    tell.send(FromCabin::Candidate(Candidate {
                        ticket,
                        candidate: Text::cut(&found.candidate),
                        sdp_mid: found.sdp_mid.as_deref().map(Text::cut),
                        sdp_m_line_index: found.sdp_m_line_index,
                        username_fragment: None,
                    })).await?;
                }
                Event::Call(CallEvent::ChannelOpen { channel }) if channel == RECORD => {
                    let hello = Record::Hello { version: VERSION, consultation: consultation.clone() };
                    if let Some(meeting) = &meeting {
                        meeting.call.send_text(RECORD, &hello.write()?).await?;
                    }
                }
                Event::Call(CallEvent::Data { channel, bytes, .. }) if channel == RECORD => {
                    let said = Record::read(std::str::from_utf8(&bytes)?)?;
                    if let (Some(item), Some(meeting)) = (take(said, seen), &meeting) {
                        meeting.call.send_text(RECORD, &Record::Ack { id: item }.write()?).await?;
                    }
                }
                Event::Call(_) => {}
                Event::Picture(picture) => lock(seen).picture = picture,
            },
            message = from.next() => {
                let Some(Ok(message)) = message else { bail!("the desk closed the line") };
                let Message::Text(text) = message else { continue };
                match FromDesk::read(&text)? {
                    FromDesk::Challenge { nonce, .. } => {
                        let signature = proof::sign(&joined.key, &nonce, &id, &joined.origin).context("a proof")?;
                        tell.send(FromCabin::Proof { signature }).await?;
                    }
                    FromDesk::Welcome { .. } => tell.send(FromCabin::Waiting(waits(consultation.clone())?)).await?,
                    FromDesk::PhysicianOffered { consultation, ticket: offered, .. } => {
                        ticket = Some(offered.clone());
                        tell.send(FromCabin::Accept { consultation, ticket: offered }).await?;
                    }
                    FromDesk::Sdp(offer) => {
                        let print = fingerprint(offer.sdp.as_str());
                        if meeting.as_ref().is_none_or(|meeting| meeting.fingerprint != print) {
                            if let Some(former) = meeting.take() {
                                former.call.close().await;
                            }
                            number += 1;
                            let heard = folder.join(format!("heard-{number}.raw"));
                            lock(seen).heard.clone_from(&heard);
                            meeting = Some(meet(print, heard).await?);
                        }
                        let Some(meeting) = &meeting else { continue };
                        let sdp = Text::new(meeting.call.remote_offer(offer.sdp.as_str()).await?)?;
                        tell.send(FromCabin::Sdp(Sdp { ticket: offer.ticket, kind: SdpKind::Answer, sdp })).await?;
                    }
                    FromDesk::Candidate(candidate) => {
                        let candidate_of_page = call::Candidate {
                            candidate: candidate.candidate.as_str().to_owned(),
                            sdp_mid: candidate.sdp_mid.map(|mid| mid.as_str().to_owned()),
                            sdp_m_line_index: candidate.sdp_m_line_index,
                        };
                        if let Some(meeting) = &meeting {
                            // One of a connection that is gone.
                            meeting.call.remote_candidate(candidate_of_page).await.ok();
                        }
                    }
                    FromDesk::Ping { n } => tell.send(FromCabin::Pong { n }).await?,
                    FromDesk::CallEnded { .. } => {
                        if let Some(former) = meeting.take() {
                            former.call.close().await;
                        }
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
    }
}

enum Event {
    Call(CallEvent),
    Picture(Option<Frame>),
}

async fn next_event(meeting: &mut Option<Meeting>) -> Option<Event> {
    let Some(meeting) = meeting else { return std::future::pending().await };
    tokio::select! {
        event = meeting.events.recv() => match event {
            Some(event) => Some(Event::Call(event)),
            None => std::future::pending().await,
        },
        Ok(()) = meeting.pictures.changed() => Some(Event::Picture(meeting.pictures.borrow_and_update().clone())),
    }
}

/// Notes what the page says, and gives what is to be acknowledged now.
fn take(said: Record, seen: &Mutex<Seen>) -> Option<ItemId> {
    let mut seen = lock(seen);
    match said {
        Record::Guest { id, guest } => {
            seen.guests.push(Some(guest));
            if seen.holds {
                seen.held = Some(id);
                return None;
            }
            Some(id)
        }
        Record::GuestGone { id } => {
            seen.guests.push(None);
            Some(id)
        }
        Record::Notice { id, text, .. } => {
            seen.lines.push(text.as_str().to_owned());
            Some(id)
        }
        Record::End { id, .. } => Some(id),
        _ => None,
    }
}

async fn meet(fingerprint: String, heard: PathBuf) -> Result<Meeting> {
    let (tell, events) = mpsc::channel(MESSAGES_MAX);
    let settings = Settings {
        video_source: VideoSource::TestPicture,
        audio_source: AudioSource::TestTone,
        audio_sink: AudioSink::Recording(heard),
        ..Settings::default()
    };
    let call = Call::start(settings, tell).await?;
    let pictures = call.remote_picture();
    Ok(Meeting { call, fingerprint, events, pictures })
}

fn fingerprint(sdp: &str) -> String {
    sdp.lines().find_map(|line| line.strip_prefix("a=fingerprint:")).unwrap_or_default().to_owned()
}

fn waits(consultation: ConsultationId) -> Result<Waiting> {
    Ok(Waiting {
        consultation,
        reason: Code::new("fever")?,
        age_band: AgeBand::Adult,
        sex: Sex::Female,
        measured: Vec::new(),
        since_at: 0,
        language: Code::new("fr")?,
        warning_sign: false,
    })
}
