//! The video call between the cabin and a physician's browser: picture, sound and data channels over WebRTC,
//! captured and played with GStreamer. This crate knows nothing of patients or signalling: session
//! descriptions go in and out as text, data as bytes.
//!
//! # The life of a call
//!
//! 1. [`Call::start`] opens camera, microphone and loudspeaker. The patient can see himself at once in
//!    [`Call::own_picture`]. What is missing is said by [`CallEvent::Fault`], and a test picture or a quiet
//!    tone is sent in its place: the call goes on.
//! 2. **The physician's page makes the offer**, and creates the data channels in it (the cabin creates none):
//!    `record` (ordered, reliable), `live` (unordered, `maxPacketLifeTime` 500) and `documents` (ordered,
//!    reliable); any other label is passed on too, [`CHANNELS_MAX`] in all. Codecs are **VP8**, **H.264** and **Opus**
//!    (with NACK, RTX, PLI and transport-wide feedback both ways); the page must keep both in its offer.
//! 3. [`Call::remote_offer`] gives the answer to send back; after it, [`CallEvent::LocalCandidate`]s are to be
//!    sent to the page, and the page's given to [`Call::remote_candidate`] (those that come before the offer
//!    wait for it). As the answerer the cabin is the DTLS client.
//! 4. [`CallEvent::Connected`] within about a second on a good line; the physician's picture appears in
//!    [`Call::remote_picture`], which always holds the newest picture only. [`CallEvent::ChannelOpen`] says
//!    that a channel can be written to.
//! 5. [`CallEvent::Interrupted`] and [`CallEvent::Resumed`] follow the line. On a change of network the page
//!    makes an offer that restarts ICE; it goes to the same [`Call::remote_offer`], and media go on.
//!    [`CallEvent::Stuck`] says that this call will not come (back) by itself: close it, start another, and
//!    ask the page for a fresh offer.
//!    Picture and voice are streams of their own (`cabin` and `voice`), so that a browser gives each as soon as it is there;
//!    reports say when each was made, so that a page can keep lips and words together where the line would part them.
//! 6. What an instrument sees and hears goes on tracks of its own, in a stream called `instrument`, while
//!    [`Call::show_instrument`] or [`Call::hear_instrument`] is fed: to a page whose offer has a second section
//!    of that kind.
//! 7. Where nothing but a TURN server lets through, packets go by it, over UDP, TCP or TLS; what stands in its way is told
//!    by [`Fault::Relay`]. A device that is pulled out is replaced in its stream, and taken up again in the same stream
//!    when it is back ([`CallEvent::Restored`]).
//! 8. [`Call::close`] (or the drop of the call) stops every thread, pipeline and socket and forgets the last
//!    pictures. [`CallEvent::Ended`] comes when the far end closed, or at the latest from `close`.
//!
//! Nothing here grows without limit: events wait in the caller's bounded queue (data channels then exert
//! back-pressure on the page), pictures in slots of one, packets in bounded queues that drop.

use bytes::BytesMut;
use gstreamer as gst;
use gstreamer::prelude::PluginFeatureExtManual as _;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::{RTCIceCandidateInit, RTCSessionDescription};

mod arrivals;
mod capture;
mod capture_times;
mod channel;
mod counts;
#[cfg(test)]
#[allow(clippy::print_stderr, reason = "what happens in the guest, and what was skipped, is printed")]
mod devices_in_call;
mod encoder;
pub mod estimator;
mod event;
mod feedback;
mod in_order;
pub mod instrument;
mod news;
mod peer;
pub mod pieces;
mod playback;
mod player;
pub mod policy;
mod progress;
mod relay;
pub mod route;
mod run;
#[cfg(test)]
#[allow(clippy::print_stdout, reason = "how long it took, and what was skipped, is printed")]
mod second_link;
mod settings;
#[cfg(test)]
#[allow(clippy::print_stdout, reason = "each minute is printed")]
mod soak;
mod studio;
#[cfg(test)]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
mod two_peers;
mod unevenness;
mod watched;

pub use capture::Places;
pub use event::{CallError, CallEvent, Candidate, Fault, Part, Stats};
pub use media::{Frame, SoundBlock};
pub use progress::{ENCRYPTION_MAX, ROUTE_MAX, Stuck};
pub use relay::{RELAYS_MAX, RelayTrouble, Relayed, Transport};
pub use settings::{AudioSink, AudioSource, IceServer, Picture, Settings, Spared, VideoSource};

/// A longer data channel message is refused in both directions.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// A longer session description is refused unread.
pub const DESCRIPTION_BYTES_MAX: usize = 128 * 1024;
/// A longer candidate line is refused unread.
pub const CANDIDATE_BYTES_MAX: usize = 1_024;
/// Candidates that wait for the offer at most; more are refused.
pub const CANDIDATES_WAITING_MAX: usize = 64;
/// Data channels of one call at most; more are closed.
pub const CHANNELS_MAX: usize = 8;
/// Longer channel labels are closed.
pub const LABEL_BYTES_MAX: usize = 64;

/// Two requests for a key frame come at least this far apart: key frames are large.
const KEY_FRAME_EVERY: Duration = Duration::from_millis(400);

/// The open channels, by label.
type Channels = Arc<std::sync::Mutex<HashMap<String, Arc<dyn DataChannel>>>>;

/// A call. See the crate's first page.
pub struct Call {
    peer: Arc<peer::Peer>,
    channels: Channels,
    remote_picture: watch::Receiver<Option<Frame>>,
    remote_sound: media::Loudness,
    own_picture: watch::Receiver<Option<Frame>>,
    /// Candidates that came before the offer; `None` once an offer was taken.
    early: tokio::sync::Mutex<Option<Vec<Candidate>>>,
    orders: mpsc::Sender<run::Order>,
    /// The time of its pictures and sounds.
    #[cfg(test)]
    pub(crate) beat: media::Beat,
    /// Dropping it closes the call too.
    closing: watch::Sender<bool>,
    task: std::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// What every call takes of GStreamer. What else this machine has, such as hardware encoders, is looked for in the call.
const ELEMENTS: [&str; 15] = [
    "appsink",
    "appsrc",
    "audioconvert",
    "audioresample",
    "opusdec",
    "opusenc",
    "rtpopusdepay",
    "rtpopuspay",
    "rtpvp8depay",
    "rtpvp8pay",
    "videoconvert",
    "videoscale",
    "vp8dec",
    "vp8enc",
    "webrtcdsp",
];

/// Reads the libraries that a call needs before there is one, so that it begins the sooner. Blocks for a tenth of a second
/// or more. What is missing is said by the call.
pub fn prepare() {
    if gst::init().is_ok() {
        for factory in ELEMENTS.into_iter().filter_map(gst::ElementFactory::find) {
            let _ = factory.load();
        }
    }
}

impl Call {
    /// Opens the devices and is ready for an offer. Takes some tens of milliseconds; must be called within a
    /// Tokio runtime. Events arrive at `events`, which should hold some dozens.
    ///
    /// # Errors
    ///
    /// [`CallError::NoMedia`] where GStreamer lacks an element (a missing camera, microphone or loudspeaker
    /// is a [`Fault`]); [`CallError::Refused`] for a wrong server address in the settings.
    pub async fn start(settings: Settings, events: mpsc::Sender<CallEvent>) -> Result<Call, CallError> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let settings = settings.within_limits();
        // Both may block for some milliseconds.
        tokio::task::spawn_blocking(gst::init)
            .await
            .map_err(|_| CallError::Closed)?
            .map_err(|error| CallError::NoMedia { why: error.to_string() })?;
        let (peer_news, peer_heard) = mpsc::channel(run::NEWS_WAITING_MAX);
        let peer = Arc::new(peer::Peer::open(&settings, peer_news).await?);
        let (remote_slot, remote_picture) = watch::channel(None);
        let (own_slot, own_picture) = watch::channel(None);
        let (orders, ordered) = mpsc::channel(16);
        let (closing, close_asked) = watch::channel(false);
        let channels = Channels::default();
        let studio = studio::Studio::open(settings, number, &peer, own_slot, remote_slot).await?;
        #[cfg(test)]
        let beat = studio.beat.clone();
        let run = run::Run::new(Arc::clone(&peer), Arc::clone(&channels), studio, events);
        let remote_sound = run.remote_loudness.clone();
        let task = tokio::spawn(run.run(peer_heard, ordered, close_asked));
        Ok(Call {
            peer,
            channels,
            remote_picture,
            remote_sound,
            own_picture,
            early: tokio::sync::Mutex::new(Some(Vec::new())),
            orders,
            #[cfg(test)]
            beat,
            closing,
            task: std::sync::Mutex::new(Some(task)),
        })
    }

    /// Takes the page's offer, the first or one that restarts ICE, and gives the answer to send back.
    ///
    /// # Errors
    ///
    /// [`CallError::TooLong`], [`CallError::Refused`] where it is no usable offer: the call is as before.
    pub async fn remote_offer(&self, sdp: &str) -> Result<String, CallError> {
        limit("a description", sdp.len(), DESCRIPTION_BYTES_MAX)?;
        let peer = Arc::clone(&self.peer);
        let sdp = sdp.to_owned();
        // On a task of its own: should the library panic on a hostile description, that task ends with it.
        let answer = tokio::spawn(async move {
            let offered = ufrag(&sdp).map(str::to_owned);
            peer.follow(&peer::offered(&sdp)).await?;
            let offer = RTCSessionDescription::offer(sdp).map_err(peer::refused)?;
            peer.connection.set_remote_description(offer).await.map_err(peer::refused)?;
            let answer = peer.connection.create_answer(None).await.map_err(peer::refused)?;
            let sdp = answer.sdp.clone();
            peer.connection.set_local_description(answer).await.map_err(peer::refused)?;
            Ok::<String, CallError>(naming(&sdp, offered.as_deref()))
        })
        .await
        .map_err(|_| CallError::Refused { why: "the description is malformed".to_owned() })??;
        let agreed = self.peer.agreed().await;
        self.orders.send(run::Order::Answered(agreed)).await.map_err(|_| CallError::Closed)?;
        let early = self.early.lock().await.take();
        for candidate in early.into_iter().flatten() {
            // One wrong candidate of a set is no reason to refuse the offer.
            if let Err(error) = self.add_candidate(candidate).await {
                tracing::warn!("a candidate was left out: {error}");
            }
        }
        Ok(answer)
    }

    /// Takes one of the page's candidates, at any time.
    ///
    /// # Errors
    ///
    /// [`CallError::TooLong`], [`CallError::Refused`] where it cannot be parsed: the call is as before.
    pub async fn remote_candidate(&self, candidate: Candidate) -> Result<(), CallError> {
        limit("a candidate", candidate.candidate.len(), CANDIDATE_BYTES_MAX)?;
        if let Some(waiting) = self.early.lock().await.as_mut() {
            limit("the list of candidates", waiting.len() + 1, CANDIDATES_WAITING_MAX)?;
            waiting.push(candidate);
            return Ok(());
        }
        self.add_candidate(candidate).await
    }

    async fn add_candidate(&self, candidate: Candidate) -> Result<(), CallError> {
        // The end of candidates needs no answer. Names ending in .local are a browser's way to hide its
        // address from a page without camera; its checks reach us all the same.
        if candidate.candidate.trim().is_empty() || candidate.candidate.contains(".local ") {
            return Ok(());
        }
        let peer = Arc::clone(&self.peer);
        let init = RTCIceCandidateInit {
            candidate: candidate.candidate,
            sdp_mid: candidate.sdp_mid,
            sdp_mline_index: candidate.sdp_m_line_index,
            ..Default::default()
        };
        tokio::spawn(async move { peer.connection.add_ice_candidate(init).await.map_err(peer::refused) })
            .await
            .map_err(|_| CallError::Refused { why: "the candidate is malformed".to_owned() })?
    }

    /// Sends bytes on a channel; waits while more than a mebibyte is under way there.
    ///
    /// # Errors
    ///
    /// [`CallError::TooLong`] beyond [`MESSAGE_BYTES_MAX`], [`CallError::NotOpen`].
    pub async fn send(&self, channel: &str, bytes: &[u8]) -> Result<(), CallError> {
        let open = self.channel(channel, bytes.len())?;
        self.count(bytes.len());
        open.send(BytesMut::from(bytes)).await.map_err(|_| CallError::NotOpen { channel: channel.to_owned() })
    }

    /// Sends text on a channel, which the page receives as a string; waits like [`Call::send`].
    ///
    /// # Errors
    ///
    /// Those of [`Call::send`].
    pub async fn send_text(&self, channel: &str, text: &str) -> Result<(), CallError> {
        let open = self.channel(channel, text.len())?;
        self.count(text.len());
        open.send_text(text).await.map_err(|_| CallError::NotOpen { channel: channel.to_owned() })
    }

    /// Sends bytes now or not at all: for what is worthless when late, a live curve.
    ///
    /// # Errors
    ///
    /// [`CallError::Full`] where the line is behind, else those of [`Call::send`].
    pub async fn send_now(&self, channel: &str, bytes: &[u8]) -> Result<(), CallError> {
        let open = self.channel(channel, bytes.len())?;
        self.count(bytes.len());
        open.try_send(BytesMut::from(bytes)).await.map_err(|error| match error {
            webrtc::error::Error::ErrSendBufferFull => CallError::Full { channel: channel.to_owned() },
            _ => CallError::NotOpen { channel: channel.to_owned() },
        })
    }

    /// What messages take of the line is not the picture's.
    fn count(&self, bytes: usize) {
        self.peer.message_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn channel(&self, label: &str, bytes: usize) -> Result<Arc<dyn DataChannel>, CallError> {
        limit("a message", bytes, MESSAGE_BYTES_MAX)?;
        let open = lock(&self.channels).get(label).cloned();
        open.ok_or_else(|| CallError::NotOpen { channel: label.to_owned() })
    }

    /// The far end's picture: always the newest, `None` before the first and after the end.
    pub fn remote_picture(&self) -> watch::Receiver<Option<Frame>> {
        self.remote_picture.clone()
    }

    /// How the far end is heard: for how long, and with which gaps. Its decibels are those of [`Stats`], which takes
    /// them.
    pub fn remote_sound(&self) -> media::Loudness {
        self.remote_sound.clone()
    }

    /// The cabin's own picture, small, 15 times a second at most.
    pub fn own_picture(&self) -> watch::Receiver<Option<Frame>> {
        self.own_picture.clone()
    }

    /// Other TURN servers, or other credentials of the same, for the next ICE restart: those of a desk end by themselves.
    /// Their number of addresses must be as at the start; more are not asked.
    pub fn set_relays(&self, servers: &[IceServer]) {
        self.peer.relays.set(servers);
    }

    /// What went through relays since the start.
    pub fn relayed(&self) -> Relayed {
        self.peer.relays.relayed()
    }

    /// Sends silence (true) or the microphone (false).
    pub fn mute_microphone(&self, muted: bool) {
        self.order(run::Order::MuteMicrophone(muted));
    }

    /// Sends black (true) or the camera (false); the own picture is black too.
    pub fn mute_camera(&self, muted: bool) {
        self.order(run::Order::CoverCamera(muted));
    }

    /// Sends what an instrument sees as a second picture (stream `instrument`), until `pictures` is closed or another
    /// takes its place. It is offered to pages that ask to receive a second picture; others never see it.
    pub fn show_instrument(&self, pictures: watch::Receiver<Option<Frame>>) {
        self.order(run::Order::ShowInstrument(pictures));
    }

    /// Sends what an instrument hears as a second sound (stream `instrument`), never processed, until `blocks` is
    /// closed or another takes its place.
    pub fn hear_instrument(&self, blocks: mpsc::Receiver<SoundBlock>) {
        self.order(run::Order::HearInstrument(blocks));
    }

    fn order(&self, order: run::Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("the call did not take an order");
        }
    }

    /// Ends the call and returns when its threads, pipelines and sockets are gone.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let task = lock(&self.task).take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("the call's task did not end well");
        }
    }
}

/// Only who it is, no state that could name a patient.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// The user name fragment of a description, which differs in every offer and every restart of ICE (RFC 8839, 5.4).
fn ufrag(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).map(str::trim)
}

/// The answer, naming the offer that it answers: of two offers that a page made while the line was cut, it must not take
/// the answer to the first for that to the second. Browsers pass over attributes that they do not know (RFC 8866, 5.13).
fn naming(answer: &str, ufrag: Option<&str>) -> String {
    match (ufrag, answer.find("m=")) {
        (Some(ufrag), Some(media)) if answer[..media].ends_with('\n') => {
            format!("{}a=x-offer:{ufrag}\r\n{}", &answer[..media], &answer[media..])
        }
        _ => answer.to_owned(),
    }
}

fn limit(what: &'static str, bytes: usize, max: usize) -> Result<(), CallError> {
    if bytes > max { Err(CallError::TooLong { what, bytes, max }) } else { Ok(()) }
}

/// A poisoned lock only means that a holder panicked; what it guards is a plain map or option.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Now, for the parts of the crate that take time as an argument.
fn now() -> Instant {
    Instant::now()
}
