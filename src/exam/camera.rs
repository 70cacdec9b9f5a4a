//! A camera: a live picture for the screen, a still when it is asked for, its button; gone and back as a cable is.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use consult::vitals::Moment;
use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Beat, Frame, FrameSlot, Running, named, on_sample};
use tokio::sync::watch;

pub mod find;
pub mod format;
mod pool;
mod seek;
pub mod still;

use crate::button::Button;
use crate::device::{self, Address, Device, NoAddress};
use crate::picture::{self, Luma};
use crate::turn::{Refusals, Turn};
use find::Found;
use format::{Coding, Mode};
use still::{Sent, Still, StillError};

/// A camera that is not there is looked for that often: back well within 2 s of its cable.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A camera that sends nothing for so long is taken for gone, and opened again.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// A live picture is drawn no wider than that.
const SCREEN_WIDTH_MAX: u32 = 1_280;
/// Live pictures come at least that far apart: twenty a second are what an eye needs to aim.
const SCREEN_EVERY: Duration = Duration::from_millis(45);
/// How long ago a picture may have been sharper than the still, in looks at sharpness; there are 5 a second.
const BEST_OF: usize = 10;
const SHARPNESS_EVERY: Duration = Duration::from_millis(200);
/// Events that wait for the caller; when they are not taken, later ones are dropped.
pub const EVENTS_MAX: usize = 64;

/// Which camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One that is plugged in.
    Plugged(Address),
    /// A test picture that the camera of a cabin without one would send.
    Test(Mode),
    /// What a camera would see that is held before this PNG file: for tests and demonstrations.
    Picture(PathBuf),
}

impl std::str::FromStr for Source {
    type Err = NoAddress;

    /// `test`, a picture's file (`….png`), or the [`Address`] of a camera.
    fn from_str(text: &str) -> Result<Source, NoAddress> {
        match text {
            "test" => Ok(Source::Test(Mode { coding: Coding::Jpeg, width: 1_280, height: 720, rate: (30, 1) })),
            file if file.ends_with(".png") => Ok(Source::Picture(file.into())),
            address => address.parse().map(Source::Plugged),
        }
    }
}

/// What a camera says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraEvent {
    /// Its first picture has come.
    Opened {
        /// Its file.
        node: PathBuf,
        /// What it is.
        device: Device,
        /// How it sends its pictures.
        mode: Mode,
        /// Whether its button is heard.
        has_button: bool,
    },
    /// Its cable was pulled out, or it stopped; it is looked for.
    Lost {
        /// The kernel's words, for the telephone.
        why: String,
    },
    /// It is there and cannot be used, for 2 s already; it is tried again.
    Refused {
        /// Its file.
        node: PathBuf,
        /// What to do, for the telephone.
        why: String,
    },
    /// Its button was pressed: freeze and keep.
    Pressed,
}

/// A camera in use. Closed when dropped.
#[derive(Debug)]
pub struct Camera {
    shared: Arc<Shared>,
    live: watch::Receiver<Option<Frame>>,
    orders: SyncSender<News>,
    thread: Option<JoinHandle<()>>,
}

/// What the pipeline's threads and the caller share.
#[derive(Debug, Default)]
struct Shared {
    newest: Mutex<Newest>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Newest {
    sent: Option<Sent>,
    /// Counts the pictures of this camera.
    number: u64,
    device: Option<Device>,
    /// Sharpness of the last pictures, the newest last.
    sharpness: Vec<u32>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What reaches the camera's thread.
#[derive(Debug)]
enum News {
    Came,
    Broke(String),
    Close,
}

impl Camera {
    /// Looks for the camera and opens it as soon as it is there; what happens is told to `events`.
    ///
    /// # Errors
    ///
    /// Where GStreamer does not start, or no thread is left.
    pub fn open(source: Source, events: SyncSender<CameraEvent>) -> std::io::Result<Camera> {
        gst::init().map_err(std::io::Error::other)?;
        let shared = Arc::new(Shared::default());
        let (slot, live) = watch::channel(None);
        let (orders, news) = mpsc::sync_channel(EVENTS_MAX);
        let worker = Worker { source, events, shared: Arc::clone(&shared), slot, orders: orders.clone(), news };
        let thread = thread::Builder::new().name("camera".into()).spawn(move || worker.run())?;
        Ok(Camera { shared, live, orders, thread: Some(thread) })
    }

    /// The live picture, small enough to be drawn: always the newest, `None` while the camera is not there.
    pub fn live(&self) -> watch::Receiver<Option<Frame>> {
        self.live.clone()
    }

    /// The newest picture at full resolution, and what is frozen on the screen meanwhile. Where it arrived damaged the
    /// next one is taken. Waits for it, `within` at most, and some milliseconds for looking at it: not for the screen's
    /// thread.
    ///
    /// # Errors
    ///
    /// Why there is none, and what to do.
    pub fn still(&self, within: Duration) -> Result<Still, StillError> {
        let give_up_at = Instant::now() + within;
        let mut seen = 0;
        let mut damaged = None;
        loop {
            let (sent, device, best) = {
                let newest = self.shared.lock();
                let left = give_up_at.saturating_duration_since(Instant::now());
                let none_yet = |newest: &mut Newest| newest.sent.is_none() || newest.number <= seen;
                let (newest, _) =
                    self.shared.came.wait_timeout_while(newest, left, none_yet).unwrap_or_else(PoisonError::into_inner);
                match (&newest.sent, &newest.device) {
                    (Some(sent), Some(device)) if newest.number > seen => {
                        seen = newest.number;
                        (sent.clone(), device.clone(), newest.sharpness.iter().copied().max())
                    }
                    _ => return Err(damaged.unwrap_or(StillError::NoPicture)),
                }
            };
            match still::make(&sent, device, best) {
                Err(error @ StillError::Damaged { .. }) => damaged = Some(error),
                made => return made,
            }
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        // A full queue is emptied by the thread that it is for.
        let _ = self.orders.send(News::Close);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the camera's thread did not end well");
        }
    }
}

/// The thread that opens the camera and sees it go.
struct Worker {
    source: Source,
    events: SyncSender<CameraEvent>,
    shared: Arc<Shared>,
    slot: FrameSlot,
    orders: SyncSender<News>,
    news: mpsc::Receiver<News>,
}

/// What is to be opened now.
struct Target {
    node: PathBuf,
    device: Device,
    mode: Mode,
}

impl Worker {
    fn run(self) {
        let mut refused = Refusals::default();
        loop {
            if let Some(target) = self.target(&mut refused)
                && self.use_it(&target, &mut refused)
            {
                return;
            }
            let until = Instant::now() + LOOK_EVERY;
            loop {
                match self.news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(News::Close) | Err(RecvTimeoutError::Disconnected) => return,
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
        }
    }

    fn target(&self, refused: &mut Refusals) -> Option<Target> {
        let address = match &self.source {
            Source::Test(mode) => {
                let device = Device { name: "test picture".into(), usb: None };
                return Some(Target { node: PathBuf::new(), device, mode: mode.clone() });
            }
            Source::Picture(file) => {
                let device = Device { name: "picture".into(), usb: None };
                let mode = Mode { coding: Coding::Raw("I420".into()), width: 1_280, height: 720, rate: (10, 1) };
                return Some(Target { node: file.clone(), device, mode });
            }
            Source::Plugged(address) => address,
        };
        let Some(Found { node, device, modes, .. }) = find::resolve(address) else {
            match find::forbidden(address) {
                Some(node) => self.refuse(&node, device::NOT_ALLOWED.to_owned(), refused),
                // Out: what it is refused for when it comes back is news again.
                None => refused.over(),
            }
            return None;
        };
        match format::choose(&modes) {
            Some(mode) => Some(Target { node, device, mode: mode.clone() }),
            None => {
                self.refuse(&node, "no format that this machine can use, or another program holds it".into(), refused);
                None
            }
        }
    }

    /// Said once, however often it is tried.
    fn refuse(&self, node: &Path, why: String, refused: &mut Refusals) {
        if refused.again(&why, Instant::now()) {
            self.tell(CameraEvent::Refused { node: node.to_owned(), why });
        }
    }

    /// Gives pictures until the camera is gone; whether the whole is to end.
    fn use_it(&self, target: &Target, refused: &mut Refusals) -> bool {
        // Closed by a former opener first: until then it is as if it were out.
        let turn = match &self.source {
            Source::Plugged(_) => Turn::take(&target.node.to_string_lossy()).map(Some),
            Source::Test(_) | Source::Picture(_) => Some(None),
        };
        let Some(turn) = turn else { return false };
        let pool = pool::Pool::default();
        let running = match self.start(target, &pool) {
            Ok(running) => running,
            Err(why) => {
                self.forget();
                self.refuse(&target.node, why, refused);
                return false;
            }
        };
        self.shared.lock().device = Some(target.device.clone());
        let mut button = None;
        let mut opened = false;
        let mut last = Instant::now();
        let lost = loop {
            let left = (last + SILENT_MAX).saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok(News::Came) => {
                    last = Instant::now();
                    if !std::mem::replace(&mut opened, true) {
                        refused.over();
                        button = self.listen(target);
                        self.tell(CameraEvent::Opened {
                            node: target.node.clone(),
                            device: target.device.clone(),
                            mode: target.mode.clone(),
                            has_button: button.is_some(),
                        });
                    }
                }
                Ok(News::Broke(why)) => break Some(why),
                Ok(News::Close) | Err(RecvTimeoutError::Disconnected) => break None,
                Err(RecvTimeoutError::Timeout) => break Some(format!("no picture for {SILENT_MAX:?}")),
            }
        };
        drop((running, button));
        drop(turn);
        // A picture that is drawn without being converted may still be held by the screen.
        if target.mode.coding != Coding::Raw("RGBA".to_owned()) {
            pool.give_back();
        }
        // Before it is told: whoever hears of the loss finds no picture any more.
        self.forget();
        match lost {
            None => true,
            Some(why) if opened => {
                self.tell(CameraEvent::Lost { why });
                false
            }
            Some(why) => {
                self.refuse(&target.node, why, refused);
                false
            }
        }
    }

    /// What is left of a camera that is gone: nothing that could be taken for a picture of now.
    fn forget(&self) {
        let mut newest = self.shared.lock();
        *newest = Newest { number: newest.number, ..Newest::default() };
        drop(newest);
        self.slot.send_replace(None);
        // What the pipeline said while it was being stopped is of no interest any more.
        while let Ok(news) = self.news.try_recv() {
            if matches!(news, News::Close) {
                let _ = self.orders.try_send(News::Close);
                break;
            }
        }
    }

    fn listen(&self, target: &Target) -> Option<Button> {
        let class = Path::new("/sys/class/video4linux").join(target.node.file_name()?);
        let events = self.events.clone();
        Button::listen(&class, move || {
            let _ = events.try_send(CameraEvent::Pressed);
        })
    }

    fn tell(&self, event: CameraEvent) {
        if self.events.try_send(event).is_err() {
            tracing::warn!("an event of the camera was not taken");
        }
    }

    fn start(&self, target: &Target, pool: &pool::Pool) -> Result<Running, String> {
        let broke = self.orders.clone();
        let lost = move |why| {
            let _ = broke.try_send(News::Broke(why));
        };
        let description = description(&self.source, &target.mode);
        Running::build(&description, &Beat::new(), lost, None, |pipeline| {
            named::<gst::Element>(pipeline, "asked")?.set_property("caps", target.mode.caps());
            let property = match self.source {
                Source::Plugged(_) => Some("device"),
                Source::Picture(_) => Some("location"),
                Source::Test(_) => None,
            };
            if let Some(property) = property {
                let node = target.node.to_str().ok_or("a file name that is no text")?;
                named::<gst::Element>(pipeline, "source")?.set_property(property, node);
            }
            let (shared, came) = (Arc::clone(&self.shared), self.orders.clone());
            keep_each(pipeline, pool.clone(), move |sent| {
                let mut newest = shared.lock();
                newest.number += 1;
                newest.sent = Some(sent);
                shared.came.notify_all();
                drop(newest);
                let _ = came.try_send(News::Came);
            })?;
            thin_out(pipeline)?;
            let (shared, slot) = (Arc::clone(&self.shared), self.slot.clone());
            let mut next_look = Instant::now();
            on_sample(pipeline, "screen", move |sample| {
                media::store(&slot, &sample)?;
                if Instant::now() >= next_look {
                    next_look = Instant::now() + SHARPNESS_EVERY;
                    look(&shared, &slot);
                }
                Ok(())
            })
        })
    }
}

/// Lets pass what the screen can draw. Not by `videorate`, which keeps one of the driver's few buffers.
fn thin_out(pipeline: &gst::Pipeline) -> Result<(), String> {
    let queue: gst::Element = named(pipeline, "thinned")?;
    let pad = queue.static_pad("sink").ok_or("a queue without an entry")?;
    let next = Mutex::new(Instant::now());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now < *next {
            return gst::PadProbeReturn::Drop;
        }
        *next = now + SCREEN_EVERY;
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Hands each full picture on, copied: the driver has few buffers, and one that is kept is one less for it to fill. Not
/// by an `appsink`, which keeps the last of them for longer than the camera is open.
fn keep_each(
    pipeline: &gst::Pipeline,
    pool: pool::Pool,
    take: impl Fn(Sent) + Send + Sync + 'static,
) -> Result<(), String> {
    let asked: gst::Element = named(pipeline, "asked")?;
    let pad = asked.static_pad("src").ok_or("a filter without an exit")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps())
            && let Ok(map) = buffer.map_readable()
        {
            pool.of(buffer);
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let at = Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
            take(Sent { bytes: Bytes::copy_from_slice(&map), caps, at });
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Looks at the sharpness of the live picture.
fn look(shared: &Shared, slot: &FrameSlot) {
    let frame = slot.borrow().clone();
    let luma = frame.and_then(|frame| Luma::of_rgba(frame.width as usize, frame.height as usize, &frame.rgba()));
    if let Some(luma) = luma {
        let sharpness = picture::measure(&luma).sharpness;
        let mut newest = shared.lock();
        if newest.sharpness.len() == BEST_OF {
            newest.sharpness.remove(0);
        }
        newest.sharpness.push(sharpness);
    }
}

/// Each picture goes two ways: as it is, where it is asked for; and decoded, smaller and less often, to the screen.
fn description(source: &Source, mode: &Mode) -> String {
    let head = match (source, &mode.coding) {
        (Source::Plugged(_), _) => "v4l2src name=source",
        // Whole and undistorted, with black beside it.
        (Source::Picture(_), _) => {
            "filesrc name=source ! pngdec ! imagefreeze is-live=true ! videoconvert ! videoscale add-borders=true ! \
             video/x-raw,width=1280,height=720,pixel-aspect-ratio=1/1 ! videoconvert"
        }
        (Source::Test(_), Coding::Raw(_)) => "videotestsrc is-live=true pattern=smpte100 ! videoconvert",
        (Source::Test(_), Coding::Jpeg) => {
            let (width, height, rate) = (mode.width, mode.height, mode.rate);
            return format!(
                "videotestsrc is-live=true pattern=smpte100 ! \
                 video/x-raw,format=I420,width={width},height={height},framerate={}/{} ! jpegenc ! {}",
                rate.0,
                rate.1,
                body(mode)
            );
        }
    };
    format!("{head} ! {}", body(mode))
}

fn body(mode: &Mode) -> String {
    let width = mode.width.min(SCREEN_WIDTH_MAX) & !1;
    let height = ((u64::from(mode.height) * u64::from(width) / u64::from(mode.width.max(1))) as u32).max(2) & !1;
    let decode = if mode.coding == Coding::Jpeg { "jpegdec ! " } else { "" };
    format!(
        "capsfilter name=asked ! queue name=thinned leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 ! \
         {decode}videoscale ! videoconvert ! \
         video/x-raw,format=RGBA,width={width},height={height} ! \
         appsink name=screen sync=false async=false max-buffers=1 drop=true"
    )
}
