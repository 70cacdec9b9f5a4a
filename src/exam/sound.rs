//! A stethoscope: its sound as it comes, a level and a curve for the screen, clips without loss.
//!
//! Straight from the kernel (ALSA, `hw:`), because a sound server filters, amplifies and mixes, and because GStreamer's
//! own ALSA source carries on after an overrun without telling anyone that samples are missing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use consult::vitals::Moment;
use media::SoundBlock;
use tokio::sync::watch;

pub mod clip;
pub mod find;
pub mod flac;
mod inlet;
pub mod measures;

use crate::device::{Address, Device};
use crate::turn::{Refusals, Turn};
use clip::{CLIP_MAX, Clip, ClipError};
use find::Found;
use inlet::{Ended, Heard, Inlet};
use measures::Gap;

/// A stethoscope that is not there is looked for that often: back well within 2 s of its cable.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A stethoscope that gives nothing for so long is taken for gone, and opened again.
const SILENT_MAX: Duration = Duration::from_secs(3);
/// Points of the curve a second, and seconds of it.
const POINTS_PER_SECOND: u32 = 50;
const CURVE_SECONDS: u32 = 4;
/// Events that wait for the caller; when they are not taken, later ones are dropped.
pub const EVENTS_MAX: usize = 64;

/// Which stethoscope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One that is plugged in.
    Plugged(Address),
    /// A test sound: a heart, at 48 kHz.
    Test,
}

/// What a stethoscope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StethoscopeEvent {
    /// It is heard.
    Opened {
        /// Its ALSA name.
        name: String,
        /// What it is.
        device: Device,
        /// Samples a second.
        rate: u32,
    },
    /// Its cable was pulled out, or it stopped; it is looked for.
    Lost {
        /// The kernel's words, for the telephone.
        why: String,
    },
    /// It is there and cannot be used (another program holds it, or it has no 16 bits at 48 or 44.1 kHz), for 2 s
    /// already; it is tried again.
    Refused {
        /// The kernel's words, for the telephone.
        why: String,
    },
}

/// The last seconds for the screen.
#[derive(Clone, Default)]
pub struct Curve {
    /// The lowest and highest sample of each fiftieth of a second, the newest last; four seconds of them.
    pub points: Arc<[(i16, i16)]>,
    /// Loudness of the last fiftieth of a second, hundredths of a decibel below full scale.
    pub rms_centibels: i32,
    /// Counts the points since it was opened.
    pub number: u64,
}

/// The sound is of a person.
impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Curve {} [patient]", self.number)
    }
}

/// Where a clip is sent once it is done.
type Reply = SyncSender<Result<Clip, ClipError>>;

/// Who hears each block as it comes, if anyone does.
type Listener = Arc<Mutex<Option<tokio::sync::mpsc::Sender<SoundBlock>>>>;

enum Order {
    Clip { length: Duration, reply: Reply },
    Close,
}

/// A stethoscope in use. Closed when dropped.
#[derive(Debug)]
pub struct Stethoscope {
    curve: watch::Receiver<Curve>,
    listener: Listener,
    orders: SyncSender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Clip { .. } => "Clip",
            Order::Close => "Close",
        })
    }
}

impl Stethoscope {
    /// Looks for the stethoscope and opens it as soon as it is there; what happens is told to `events`.
    ///
    /// # Errors
    ///
    /// Where no thread is left.
    pub fn open(source: Source, events: SyncSender<StethoscopeEvent>) -> std::io::Result<Stethoscope> {
        let (orders, ordered) = mpsc::sync_channel(4);
        let (slot, curve) = watch::channel(Curve::default());
        let listener = Listener::default();
        let worker = Worker { source, events, ordered, slot, listener: Arc::clone(&listener) };
        let thread = thread::Builder::new().name("stethoscope".into()).spawn(move || worker.run())?;
        Ok(Stethoscope { curve, listener, orders, thread: Some(thread) })
    }

    /// The last seconds, always the newest; without points while it is not there.
    pub fn curve(&self) -> watch::Receiver<Curve> {
        self.curve.clone()
    }

    /// Hands every block on as it comes, unchanged, until the far end of `to` is dropped or another takes its place.
    /// What does not find room there is lost to that listener, never to a clip.
    pub fn listen(&self, to: tokio::sync::mpsc::Sender<SoundBlock>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }

    /// Begins a clip: what is heard from now on, for `length`. It comes in the channel given; dropping that takes the
    /// order back.
    ///
    /// # Errors
    ///
    /// [`ClipError::Length`], [`ClipError::Busy`] where the order cannot be taken.
    pub fn clip(&self, length: Duration) -> Result<Receiver<Result<Clip, ClipError>>, ClipError> {
        if length.is_zero() || length > CLIP_MAX {
            return Err(ClipError::Length(length));
        }
        let (reply, done) = mpsc::sync_channel(1);
        self.orders.try_send(Order::Clip { length, reply }).map_err(|_| ClipError::Busy)?;
        Ok(done)
    }
}

impl Drop for Stethoscope {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Close);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the stethoscope's thread did not end well");
        }
    }
}

/// A clip that is being taken.
struct Recording {
    at: Moment,
    wanted: usize,
    samples: Vec<i16>,
    gaps: Vec<Gap>,
    reply: Reply,
}

struct Worker {
    source: Source,
    events: SyncSender<StethoscopeEvent>,
    ordered: Receiver<Order>,
    slot: watch::Sender<Curve>,
    listener: Listener,
}

impl Worker {
    fn run(self) {
        let mut refused = Refusals::default();
        loop {
            match self.target() {
                Some(found) => {
                    let ended = match self.open(&found) {
                        Ok((turn, inlet)) => {
                            refused.over();
                            let ended = self.listen(inlet, found);
                            drop(turn);
                            ended
                        }
                        Err(Ended::Gone(_)) => Some(None),
                        Err(Ended::Refused(why)) => {
                            if refused.again(&why, Instant::now()) {
                                self.tell(StethoscopeEvent::Refused { why });
                            }
                            Some(None)
                        }
                    };
                    self.slot.send_replace(Curve::default());
                    match ended {
                        Some(Some(why)) => self.tell(StethoscopeEvent::Lost { why }),
                        Some(None) => {}
                        None => return,
                    }
                }
                None => refused.over(),
            }
            if !self.wait() {
                return;
            }
        }
    }

    fn target(&self) -> Option<Found> {
        match &self.source {
            Source::Test => {
                Some(Found { name: "test".into(), device: Device { name: "test sound".into(), usb: None } })
            }
            Source::Plugged(address) => find::resolve(address),
        }
    }

    fn open(&self, found: &Found) -> Result<(Option<Turn>, Inlet), Ended> {
        match self.source {
            Source::Test => Ok((None, Inlet::test())),
            // Closed by a former opener first: until then it is as if it were out.
            Source::Plugged(_) => match Turn::take(&found.name) {
                Some(turn) => Ok((Some(turn), Inlet::open(&found.name)?)),
                None => Err(Ended::Gone("it is being closed".into())),
            },
        }
    }

    /// Until it is looked for again; whether it is to be.
    fn wait(&self) -> bool {
        let until = Instant::now() + LOOK_EVERY;
        loop {
            match self.ordered.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Order::Clip { reply, .. }) => drop(reply.try_send(Err(ClipError::Lost))),
                Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
    }

    /// Until it is gone (why) or the whole is to end (nothing).
    fn listen(&self, mut inlet: Inlet, found: Found) -> Option<Option<String>> {
        let rate = inlet.rate();
        let Found { name, device } = found;
        let mut drawing = Drawing::new(rate);
        let mut recording: Option<Recording> = None;
        let mut opened = false;
        let mut last = Instant::now();
        let mut missing = Duration::ZERO;
        let mut block = Vec::new();
        let lost = loop {
            match self.ordered.try_recv() {
                Ok(Order::Close) | Err(mpsc::TryRecvError::Disconnected) => return None,
                Ok(Order::Clip { reply, .. }) if recording.is_some() => drop(reply.try_send(Err(ClipError::Busy))),
                Ok(Order::Clip { length, reply }) => {
                    let wanted = (length.as_secs_f64() * f64::from(rate)).round() as usize;
                    let samples = Vec::with_capacity(wanted);
                    recording = Some(Recording { at: now(), wanted, samples, gaps: Vec::new(), reply });
                }
                Err(mpsc::TryRecvError::Empty) => {}
            }
            block.clear();
            match inlet.read(&mut block) {
                Ok(Heard::Samples) => last = Instant::now(),
                Ok(Heard::Nothing) if last.elapsed() < SILENT_MAX => continue,
                Ok(Heard::Nothing) => break format!("nothing heard for {SILENT_MAX:?}"),
                Ok(Heard::Gap(gap)) => {
                    if let Some(recording) = &mut recording {
                        let milliseconds = u32::try_from(gap.as_millis()).unwrap_or(u32::MAX);
                        recording.gaps.push(Gap { at: recording.samples.len(), milliseconds });
                    }
                    missing += gap;
                    tracing::warn!("{} ms of sound were lost: this machine is too busy", gap.as_millis());
                    continue;
                }
                Err(Ended::Gone(why) | Ended::Refused(why)) => break why,
            }
            if !std::mem::replace(&mut opened, true) {
                self.tell(StethoscopeEvent::Opened { name: name.clone(), device: device.clone(), rate });
            }
            self.hand_on(&block, rate, &mut missing);
            if let Some(curve) = drawing.draw(&block) {
                self.slot.send_replace(curve);
            }
            if let Some(mut taken) = recording.take() {
                let room = taken.wanted - taken.samples.len();
                taken.samples.extend(block.iter().take(room));
                if taken.samples.len() < taken.wanted {
                    recording = Some(taken);
                } else {
                    finish(taken, rate, device.clone());
                }
            }
        };
        if let Some(recording) = recording {
            let _ = recording.reply.try_send(Err(ClipError::Lost));
        }
        Some(Some(lost))
    }

    /// To the listener, never waiting for it.
    fn hand_on(&self, block: &[i16], rate: u32, missing: &mut Duration) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(to) = listener.as_ref() else {
            *missing = Duration::ZERO;
            return;
        };
        match to.try_send(SoundBlock { rate, samples: block.into(), missing: *missing }) {
            Ok(()) => *missing = Duration::ZERO,
            // As long as nobody takes it, it is missing there.
            Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => {
                *missing += Duration::from_secs_f64(block.len() as f64 / f64::from(rate.max(1)));
            }
            Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => *listener = None,
        }
    }

    fn tell(&self, event: StethoscopeEvent) {
        if self.events.try_send(event).is_err() {
            tracing::warn!("an event of the stethoscope was not taken");
        }
    }
}

/// Packs it, on a thread of its own: meanwhile the next samples come.
fn finish(taken: Recording, rate: u32, device: Device) {
    let Recording { at, samples, gaps, reply, .. } = taken;
    let packing = thread::Builder::new().name("clip".into());
    let packed = packing.spawn(move || {
        let _ = reply.try_send(clip::pack(&samples, rate, at, device, gaps));
    });
    if let Err(error) = packed {
        tracing::error!("no thread is left to pack a clip: {error}");
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What is drawn of the samples.
struct Drawing {
    /// Samples of one point.
    per_point: usize,
    waiting: Vec<i16>,
    points: VecDeque<(i16, i16)>,
    number: u64,
}

impl Drawing {
    fn new(rate: u32) -> Drawing {
        let per_point = usize::try_from(rate / POINTS_PER_SECOND).unwrap_or(1).max(1);
        Drawing { per_point, waiting: Vec::new(), points: VecDeque::new(), number: 0 }
    }

    /// The curve with these samples, where they make a new point.
    fn draw(&mut self, block: &[i16]) -> Option<Curve> {
        self.waiting.extend(block);
        let mut rms_centibels = None;
        while self.waiting.len() >= self.per_point {
            let samples: Vec<i16> = self.waiting.drain(..self.per_point).collect();
            let lowest = samples.iter().copied().min().unwrap_or(0);
            let highest = samples.iter().copied().max().unwrap_or(0);
            if self.points.len() == (POINTS_PER_SECOND * CURVE_SECONDS) as usize {
                self.points.pop_front();
            }
            self.points.push_back((lowest, highest));
            self.number += 1;
            rms_centibels = Some(measures::measure(&samples).rms_centibels);
        }
        let points = self.points.iter().copied().collect();
        rms_centibels.map(|rms_centibels| Curve { points, rms_centibels, number: self.number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_holds_four_seconds_and_their_extremes() {
        let mut drawing = Drawing::new(48_000);
        assert!(drawing.draw(&[5; 959]).is_none(), "not a fiftieth of a second yet");
        let first = drawing.draw(&[-7]).expect("a point");
        assert_eq!((&first.points[..], first.number), (&[(-7, 5)][..], 1));
        let all = drawing.draw(&vec![100; 48_000 * 5]).expect("points");
        assert_eq!((all.points.len(), all.number), (200, 251));
        assert!(all.points.iter().all(|point| *point == (100, 100)));
        assert_eq!(all.rms_centibels, -5_031, "20 log10(100 / 32768)");
    }
}
