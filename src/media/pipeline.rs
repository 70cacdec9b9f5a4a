//! A GStreamer pipeline that says when it breaks and always stops.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Softer than this is silence: a quiet room through a microphone is louder.
const SILENT_DECIBELS: f64 = -54.0;

/// How loud a sound was since it was last asked, in hundredths of a decibel below full scale, and how long it was
/// silent. Written by its pipeline at each message of its `level` element.
#[derive(Debug, Clone)]
pub struct Loudness(Arc<(AtomicI32, Mutex<Heard>)>);

#[derive(Debug)]
struct Heard {
    loud: Duration,
    loud_at: Instant,
    longest_silence: Duration,
}

impl Default for Loudness {
    fn default() -> Loudness {
        Loudness::new()
    }
}

impl Loudness {
    /// What is reported when nothing was heard: silence.
    const SILENCE: i32 = -12_000;

    /// Silent until a pipeline writes to it.
    pub fn new() -> Loudness {
        let heard = Heard { loud: Duration::ZERO, loud_at: Instant::now(), longest_silence: Duration::ZERO };
        Loudness(Arc::new((AtomicI32::new(Loudness::SILENCE), Mutex::new(heard))))
    }

    /// The time in which it was louder than silence since the start, in milliseconds.
    pub fn loud_milliseconds(&self) -> u64 {
        u64::try_from(self.heard().loud.as_millis()).unwrap_or(u64::MAX)
    }

    /// The longest time in which nothing louder than silence came, since the start or [`Loudness::listen_anew`]:
    /// the pauses of a voice, and what the line lost of it. Of a steady tone it is the line's doing alone.
    pub fn longest_silence(&self) -> Duration {
        let heard = self.heard();
        heard.longest_silence.max(heard.loud_at.elapsed())
    }

    /// Forgets former silences.
    pub fn listen_anew(&self) {
        let mut heard = self.heard();
        heard.longest_silence = Duration::ZERO;
        heard.loud_at = Instant::now();
    }

    /// A poisoned lock only means that a holder panicked; what it guards is whole.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loudest moment since the last call, in decibels, 0 is full scale, -120 is silence.
    pub fn take_decibels(&self) -> f32 {
        self.0.0.swap(Loudness::SILENCE, Ordering::Relaxed) as f32 / 100.0
    }

    /// What was heard in the last `lasted`.
    fn set(&self, decibels: f64, lasted: Duration) {
        if decibels.is_finite() {
            self.0.0.fetch_max((decibels * 100.0) as i32, Ordering::Relaxed);
        }
        if decibels > SILENT_DECIBELS {
            let mut heard = self.heard();
            heard.loud += lasted;
            heard.longest_silence = heard.longest_silence.max(heard.loud_at.elapsed());
            heard.loud_at = Instant::now();
        }
    }
}

/// All pipelines of a process share one clock and one start, so that sound and picture agree, and the echo
/// canceller knows when what it hears was played.
#[derive(Debug, Clone)]
pub struct Beat {
    clock: gst::Clock,
    base: gst::ClockTime,
}

impl Default for Beat {
    fn default() -> Beat {
        Beat::new()
    }
}

impl Beat {
    /// Begins now.
    pub fn new() -> Beat {
        let clock = gst::SystemClock::obtain();
        let base = clock.time();
        Beat { clock, base }
    }

    /// How long ago it began: the time that a buffer made now carries in every pipeline of this beat.
    pub fn elapsed(&self) -> gst::ClockTime {
        self.clock.time().saturating_sub(self.base)
    }
}

/// A running pipeline. Dropping it stops its threads.
#[derive(Debug)]
pub struct Running {
    pipeline: gst::Pipeline,
}

impl Running {
    /// Parses a description whose fixed parts are ours; values from outside are set by `prepare`. `lost` is told
    /// what broke, or that the stream ended, on one of the pipeline's own threads: it only takes notes.
    ///
    /// # Errors
    ///
    /// GStreamer's words: an element is missing, or the pipeline did not start.
    pub fn build(
        description: &str,
        beat: &Beat,
        lost: impl Fn(String) + Send + Sync + 'static,
        loudness: Option<Loudness>,
        prepare: impl FnOnce(&gst::Pipeline) -> Result<(), String>,
    ) -> Result<Running, String> {
        let pipeline = gst::parse::launch(description)
            .map_err(|error| error.to_string())?
            .downcast::<gst::Pipeline>()
            .map_err(|_| "not a pipeline".to_owned())?;
        let running = Running { pipeline };
        let pipeline = &running.pipeline;
        pipeline.use_clock(Some(&beat.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(beat.base);
        let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
        // Called on the pipeline's threads: it only takes notes, and no thread is spent on waiting.
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Error(error) => lost(error.error().to_string()),
                gst::MessageView::Eos(_) => lost("the stream ended".to_owned()),
                gst::MessageView::Element(element) => {
                    if let (Some(loudness), Some((decibels, lasted))) = (&loudness, element.structure().and_then(rms)) {
                        loudness.set(decibels, lasted);
                    }
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        prepare(pipeline)?;
        pipeline.set_state(gst::State::Playing).map_err(|_| "the pipeline did not start".to_owned())?;
        Ok(running)
    }

    /// To be called when an element's delay was changed: the sinks wait for it from now on.
    pub fn delay_anew(&self) {
        // An error is that of a pipeline that stops.
        let _ = self.pipeline.recalculate_latency();
    }

    /// The element of that name.
    pub fn element(&self, name: &str) -> Option<gst::Element> {
        self.pipeline.by_name(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::error!("a media pipeline did not stop");
        }
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// The loudest channel of a `level` element's message, in decibels below full scale, and of how long a time.
fn rms(structure: &gst::StructureRef) -> Option<(f64, Duration)> {
    if structure.name() != "level" {
        return None;
    }
    let lasted = Duration::from_nanos(structure.get::<u64>("duration").ok()?);
    let channels = structure.get::<gst::glib::ValueArray>("rms").ok()?;
    let loudest = channels.iter().filter_map(|value| value.get::<f64>().ok()).reduce(f64::max)?;
    Some((loudest, lasted))
}

/// The named element of a pipeline.
///
/// # Errors
///
/// What to say when the description was wrong.
pub fn named<T: IsA<gst::Element>>(pipeline: &gst::Pipeline, name: &str) -> Result<T, String> {
    pipeline
        .by_name(name)
        .and_then(|element| element.downcast::<T>().ok())
        .ok_or_else(|| format!("the pipeline has no {name}"))
}

/// Hands every sample of the named appsink to `take`.
///
/// # Errors
///
/// What to say when the description was wrong.
pub fn on_sample(
    pipeline: &gst::Pipeline,
    name: &str,
    mut take: impl FnMut(gst::Sample) -> Result<(), gst::FlowError> + Send + 'static,
) -> Result<(), String> {
    let sink: gst_app::AppSink = named(pipeline, name)?;
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                take(sample).map(|()| gst::FlowSuccess::Ok)
            })
            .build(),
    );
    Ok(())
}
