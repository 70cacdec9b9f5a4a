//! The call with the physician's page: media by `call`, the data channels by `signal`.
//!
//! A task of its own carries what the run loop says and tells what the page did. Pictures go straight from the call to
//! the screen, newest first; nothing here decides anything about the patient.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use call::{Call, CallEvent, Candidate, Frame, IceServer, Settings, SoundBlock};
use signal::ItemId;
use signal::data::{DOCUMENTS, DocumentBegin, LIVE, RECORD, Record};
use signal::documents::{Chunk, Incoming, Received, WINDOW_BYTES};
use signal::ecg::ECG;
use signal::recordings::RECORDINGS;
use signal::{RefusalCode, Text};
use tokio::sync::{mpsc, watch};

use crate::handing_over::HandingOver;

/// Orders that may wait: live curve frames above it are dropped, they are worthless late.
const ORDERS_MAX: usize = 512;
/// Documents that may be under way at once; more are refused until one is stored.
const INCOMING_MAX: usize = 4;
/// The page must bring picture and sound within this time of the patient's acceptance, or it is asked for a fresh
/// offer: a lost message must not leave the patient before an empty screen.
const OFFER_MAX: Duration = Duration::from_secs(15);

/// What the run loop tells the page, or the call.
pub enum Order {
    /// The page's offer.
    Offer(String),
    /// One of the page's candidates.
    Candidate(Candidate),
    /// A message on the `record` channel.
    Record(Box<Record>),
    /// A frame on the `live` channel.
    Live(Vec<u8>),
    /// A block of an electrocardiogram: none may be lost.
    Ecg(Vec<u8>),
    /// A recording, in place of any that is still under way.
    HandOver(HandingOver),
    /// Microphone off.
    MuteMicrophone(bool),
    /// Camera off.
    MuteCamera(bool),
    /// What an instrument sees, until it is closed.
    ShowInstrument(watch::Receiver<Option<Frame>>),
    /// What an instrument hears, until it is closed.
    HearInstrument(mpsc::Receiver<SoundBlock>),
    /// Servers for the next ICE restart.
    Relays(Vec<IceServer>),
}

/// What the page did.
pub enum PhysicianEvent {
    /// To the page, by the desk.
    Answer(String),
    /// To the page, by the desk.
    Candidate(Candidate),
    /// Picture and sound flow.
    Connected,
    /// They stopped.
    Interrupted,
    /// They are back.
    Resumed,
    /// This call will not come: ask for a fresh offer.
    Stuck,
    /// The `record` channel can be written to.
    RecordOpen,
    /// The page said this on the `record` channel.
    Record(Box<Record>),
    /// A whole document, checked.
    Document {
        /// What was announced.
        begin: DocumentBegin,
        /// The PDF.
        bytes: Vec<u8>,
    },
    /// A camera, microphone or loudspeaker is missing.
    Fault(call::Fault),
    /// One of them works again, or for the first time.
    Restored(call::Part),
    /// How the line is.
    Stats(call::Stats),
}

/// Which picture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// The physician's.
    Remote,
    /// The cabin's own.
    Own,
}

/// The run loop's end of a call. Dropping it ends the call.
pub struct PhysicianLink {
    orders: mpsc::Sender<Order>,
    /// A recording is being read back for the page.
    reading_back: Arc<AtomicBool>,
}

/// Leave to read one recording back: a page that asks faster than the disk answers waits, and fills no memory.
pub struct Turn {
    reading_back: Arc<AtomicBool>,
    orders: mpsc::Sender<Order>,
}

impl Turn {
    /// Gives an order from a thread that may wait, as long as the call lives, and ends the turn.
    pub fn order(self, order: Order) {
        // Fails when the call is over: a page that comes back asks again.
        self.orders.blocking_send(order).ok();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.reading_back.store(false, Ordering::Release);
    }
}

impl PhysicianLink {
    /// Opens camera and microphone and waits for the page's offer.
    pub fn start(
        runtime: &tokio::runtime::Handle,
        settings: Settings,
        events: impl Fn(PhysicianEvent) + Send + Sync + 'static,
        show: impl Fn(Picture, Option<Frame>, Arc<AtomicBool>) + Clone + Send + Sync + 'static,
    ) -> Self {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        runtime.spawn(run(settings, ordered, events, show));
        Self { orders, reading_back: Arc::default() }
    }

    /// Gives an order; drops it when the task cannot keep up.
    pub fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::debug!("the call takes no order now");
        }
    }

    /// Leave to read a recording back, beside this thread; `None` while another is read.
    pub fn turn(&self) -> Option<Turn> {
        let is_taken = self.reading_back.swap(true, Ordering::AcqRel);
        (!is_taken).then(|| Turn { reading_back: Arc::clone(&self.reading_back), orders: self.orders.clone() })
    }

    /// Sends one message on the `record` channel.
    pub fn say(&self, record: Record) {
        self.order(Order::Record(Box::new(record)));
    }

    /// Microphone and camera off (`true`) or on.
    pub fn mute(&self, (microphone, camera): (bool, bool)) {
        self.order(Order::MuteMicrophone(microphone));
        self.order(Order::MuteCamera(camera));
    }
}

async fn run(
    settings: Settings,
    mut orders: mpsc::Receiver<Order>,
    events: impl Fn(PhysicianEvent) + Send + Sync + 'static,
    show: impl Fn(Picture, Option<Frame>, Arc<AtomicBool>) + Clone + Send + Sync + 'static,
) {
    let (news, mut heard) = mpsc::channel(256);
    let call = match Call::start(settings, news).await {
        Ok(call) => call,
        Err(error) => {
            tracing::error!(%error, "no call is possible");
            events(PhysicianEvent::Stuck);
            return;
        }
    };
    let pumps = [
        tokio::spawn(pump(Picture::Remote, call.remote_picture(), None, show.clone())),
        tokio::spawn(pump(Picture::Own, call.own_picture(), Some(call.remote_picture()), show)),
    ];
    let mut documents = Arrivals::default();
    let mut handed: Option<HandingOver> = None;
    let mut connected = false;
    let asked_at = Instant::now();
    loop {
        let waits_until = tokio::time::Instant::from_std(asked_at + OFFER_MAX);
        tokio::select! {
            order = orders.recv() => match order {
                None => break,
                Some(Order::HandOver(recording)) => hand_on(&call, handed.insert(recording)).await,
                Some(order) => carry(&call, order, &events).await,
            },
            event = heard.recv() => match event {
                None | Some(CallEvent::Ended) => {
                    // The page closed its end; only the desk's word ends a call, so it may come back.
                    events(PhysicianEvent::Stuck);
                    break;
                }
                Some(CallEvent::Data { channel, bytes, .. }) => match channel.as_str() {
                    RECORD => read_record(&bytes, &call, (&mut documents, &mut handed), &events).await,
                    DOCUMENTS => read_chunk(&bytes, &call, &mut documents, &events).await,
                    _ => {}
                },
                Some(CallEvent::Connected) => { connected = true; events(PhysicianEvent::Connected); }
                Some(CallEvent::Interrupted) => events(PhysicianEvent::Interrupted),
                Some(CallEvent::Resumed) => events(PhysicianEvent::Resumed),
                Some(CallEvent::Stuck(why)) => {
                    tracing::warn!(?why, "the call does not come up");
                    events(PhysicianEvent::Stuck);
                    break;
                }
                Some(CallEvent::LocalCandidate(candidate)) => events(PhysicianEvent::Candidate(candidate)),
                Some(CallEvent::ChannelOpen { channel }) if channel == RECORD => events(PhysicianEvent::RecordOpen),
                Some(CallEvent::ChannelOpen { .. } | CallEvent::ChannelClosed { .. }) => {}
                Some(CallEvent::Stats(stats)) => events(PhysicianEvent::Stats(stats)),
                Some(CallEvent::Fault(fault)) => events(PhysicianEvent::Fault(fault)),
                Some(CallEvent::Restored(part)) => events(PhysicianEvent::Restored(part)),
            },
            () = tokio::time::sleep_until(waits_until), if !connected => {
                tracing::warn!("the physician's page made no usable offer in time");
                events(PhysicianEvent::Stuck);
                break;
            }
        }
    }
    call.close().await;
    for pump in pumps {
        pump.abort();
    }
}

/// A picture that is shown beside another waits no longer for it.
const BESIDE_MAX: Duration = Duration::from_millis(50);

/// Shows each new picture, unless the screen still draws the one before. With the next one `beside` it, if that comes
/// soon: the screen is then drawn once for both.
async fn pump(
    picture: Picture,
    mut slot: watch::Receiver<Option<Frame>>,
    mut beside: Option<watch::Receiver<Option<Frame>>>,
    show: impl Fn(Picture, Option<Frame>, Arc<AtomicBool>),
) {
    let busy = Arc::new(AtomicBool::new(false));
    while slot.changed().await.is_ok() {
        if let Some(beside) = &mut beside {
            beside.mark_unchanged();
            // Neither a picture that does not come nor the call's end is a reason to show nothing.
            let _ = tokio::time::timeout(BESIDE_MAX, beside.changed()).await;
        }
        let frame = slot.borrow_and_update().clone();
        if !busy.swap(true, Ordering::AcqRel) {
            show(picture, frame, Arc::clone(&busy));
        }
    }
}

async fn carry(call: &Call, order: Order, events: &(impl Fn(PhysicianEvent) + Sync)) {
    match order {
        Order::Offer(sdp) => match call.remote_offer(&sdp).await {
            Ok(answer) => events(PhysicianEvent::Answer(answer)),
            Err(error) => {
                tracing::warn!(%error, "the page's offer was refused");
                events(PhysicianEvent::Stuck);
            }
        },
        Order::Candidate(candidate) => {
            if let Err(error) = call.remote_candidate(candidate).await {
                tracing::debug!(%error, "a candidate was left out");
            }
        }
        Order::Record(record) => say(call, &record).await,
        Order::Live(frame) => {
            // A full or closed channel loses the curve, which the next frame draws on.
            call.send_now(LIVE, &frame).await.ok();
        }
        Order::Ecg(block) => {
            // Without the channel (an older page) the physician sees the recording only.
            if let Err(error) = call.send(ECG, &block).await {
                tracing::debug!(%error, "the page shows no electrocardiogram");
            }
        }
        // Taken by `run`, which keeps it.
        Order::HandOver(_) => {}
        Order::MuteMicrophone(muted) => call.mute_microphone(muted),
        Order::MuteCamera(muted) => call.mute_camera(muted),
        Order::ShowInstrument(pictures) => call.show_instrument(pictures),
        Order::HearInstrument(blocks) => call.hear_instrument(blocks),
        Order::Relays(servers) => call.set_relays(&servers),
    }
}

async fn say(call: &Call, record: &Record) {
    match record.write() {
        // Said again in full when the channel opens anew: what is lost with it is not lost.
        Ok(text) => {
            if let Err(error) = call.send_text(RECORD, &text).await {
                tracing::debug!(%error, "the page is not listening");
            }
        }
        Err(refusal) => tracing::error!(%refusal, "a message to the page breaks the protocol"),
    }
}

/// Documents under way, and those already whole, by announced id.
#[derive(Default)]
struct Arrivals {
    incoming: HashMap<u32, Incoming>,
    acknowledged: HashMap<u32, u32>,
}

/// Sends what may be sent of a recording now.
async fn hand_on(call: &Call, recording: &mut HandingOver) {
    while let Some(chunk) = recording.chunk(Instant::now()) {
        // The page asks again when it is back, and says what it has.
        if let Err(error) = call.send(RECORDINGS, &chunk).await {
            tracing::debug!(%error, "the page takes no recording");
            break;
        }
    }
}

async fn read_record(
    bytes: &[u8],
    call: &Call,
    (documents, handed): (&mut Arrivals, &mut Option<HandingOver>),
    events: &(impl Fn(PhysicianEvent) + Sync),
) {
    let text = String::from_utf8_lossy(bytes);
    match Record::read(&text) {
        Ok(record) if record.from_cabin() == Some(true) => {
            refuse(call, RefusalCode::OutOfOrder, "only the cabin says this").await;
        }
        Ok(Record::DocumentBegin(begin)) => {
            let (id, number) = (begin.id.clone(), begin.number);
            let held = documents.incoming.get(&number).is_some_and(|held| held.continues(&begin));
            if !held {
                if documents.incoming.len() >= INCOMING_MAX {
                    let reason = Text::cut("quatre documents sont déjà en cours : attendez que l’un soit arrivé");
                    say(call, &Record::DocumentRefused { id, code: RefusalCode::TooMany, reason }).await;
                    return;
                }
                documents.incoming.insert(number, Incoming::new(begin));
            }
            let received = documents.incoming.get(&number).map_or(0, Incoming::received);
            documents.acknowledged.insert(number, received);
            say(call, &Record::DocumentAck { id, received, stored: false }).await;
        }
        Ok(Record::RecordingReceived { number, received }) => {
            // Of one that another took the place of, there is nothing to do.
            if let Some(recording) = handed.as_mut().filter(|recording| recording.number() == number) {
                recording.received(received, Instant::now());
                hand_on(call, recording).await;
                handed.take_if(|recording| recording.is_done());
            }
        }
        Ok(record) => events(PhysicianEvent::Record(Box::new(record))),
        Err(refusal) => refuse(call, refusal.code(), &refusal.to_string()).await,
    }
}

async fn read_chunk(bytes: &[u8], call: &Call, documents: &mut Arrivals, events: &(impl Fn(PhysicianEvent) + Sync)) {
    let chunk = match Chunk::read(bytes) {
        Ok(chunk) => chunk,
        Err(refusal) => return refuse(call, refusal.code(), &refusal.to_string()).await,
    };
    let Some(incoming) = documents.incoming.get_mut(&chunk.number) else {
        return refuse(call, RefusalCode::OutOfOrder, "no such document was announced").await;
    };
    let id: ItemId = incoming.begin().id.clone();
    match incoming.take(&chunk) {
        Received::More => {
            let received = incoming.received();
            let last = documents.acknowledged.entry(chunk.number).or_default();
            if received - *last >= WINDOW_BYTES / 4 {
                *last = received;
                say(call, &Record::DocumentAck { id, received, stored: false }).await;
            }
        }
        Received::OutOfPlace => {
            let received = incoming.received();
            say(call, &Record::DocumentAck { id, received, stored: false }).await;
        }
        Received::Whole => {
            if let Some(incoming) = documents.incoming.remove(&chunk.number) {
                let begin = incoming.begin().clone();
                events(PhysicianEvent::Document { begin, bytes: incoming.into_bytes() });
            }
        }
        Received::Refused(reason) => {
            documents.incoming.remove(&chunk.number);
            say(call, &Record::DocumentRefused { id, code: RefusalCode::Forbidden, reason: Text::cut(reason) }).await;
        }
    }
}

async fn refuse(call: &Call, code: RefusalCode, reason: &str) {
    tracing::warn!(?code, reason, "a message of the physician's page was refused");
    say(call, &Record::Error { code, reason: Text::cut(reason) }).await;
}
