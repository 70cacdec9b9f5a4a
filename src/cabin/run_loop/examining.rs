//! Pictures of ear and skin, sounds of heart and lungs: live, then taken, and in the outbox before they count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consult::journey::{Input, Trouble};
use consult::vitals::{BodySite, Measurement, Moment, Reading, Recording, RecordingKind, Value};
use exam::camera::still::{Made, Still};
use exam::sound::clip::Clip;
use media::Frame;

use super::{Cabin, Event, post, with};
use crate::devices::Health;
use crate::instruments::{self, Advice, InstrumentEvent, Opening, Said};
use crate::screens;

/// A recording on its way into the outbox.
struct Taken<'a> {
    kind: RecordingKind,
    name: &'static str,
    content_type: &'static str,
    bytes: &'a [u8],
    sha256: [u8; 32],
    duration_ms: u32,
    packed_here: bool,
    missing_ms: u32,
    device: &'a exam::Device,
    at: Moment,
    is_good: bool,
}

impl Cabin {
    pub(super) fn start_device(&mut self, measurement: Measurement) {
        self.devices.start(measurement);
        let show = move |opening: Opening, frame: Option<Frame>, busy: Arc<AtomicBool>| {
            let shown = slint::invoke_from_event_loop(move || {
                with(|cabin| {
                    // A picture that was on its way when the camera was closed is nobody's.
                    if cabin.is_measuring(measurement) && cabin.instruments.is_open(opening) {
                        screens::patient::measure::show_picture(&cabin.app, frame.as_ref());
                    }
                });
                busy.store(false, Ordering::Release);
            });
            // The screen has stopped.
            shown.ok();
        };
        self.instruments.start(measurement, &self.runtime, |event| post(Event::Instrument(event)), show);
    }

    pub(super) fn instrument(&mut self, event: InstrumentEvent) {
        match event {
            InstrumentEvent::Seen(seen) => {
                for (measurement, is_there) in self.instruments.seen(seen) {
                    self.instrument_changed(measurement, is_there);
                }
            }
            InstrumentEvent::Said(opening, said) if self.instruments.is_open(opening) => {
                self.instrument_said(opening.measurement, said);
            }
            // Of an act that is over: a late picture or sound may be of the patient before.
            InstrumentEvent::Said(..) => {}
        }
    }

    fn instrument_said(&mut self, measurement: Measurement, said: Said) {
        match said {
            Said::Opened(device) => {
                if self.instruments.opened(measurement, &device) {
                    self.instrument_changed(measurement, true);
                }
            }
            Said::Lost(why) => {
                tracing::warn!(?measurement, why, "an instrument is gone: check its cable");
                if self.instruments.gone(measurement, Health::Unplugged) {
                    self.instrument_changed(measurement, false);
                }
            }
            Said::Refused(why) => {
                tracing::warn!(?measurement, why, "an instrument cannot be used");
                if self.instruments.gone(measurement, Health::AtFault) {
                    self.instrument_changed(measurement, false);
                }
            }
            Said::Pressed => self.take_recording(),
            Said::Hears(curve, drawn) => {
                self.instruments.hears(measurement, curve);
                drawn.store(false, Ordering::Release);
            }
            Said::Taken(still) => match *still {
                Ok(still) => self.picture_taken(measurement, &still),
                Err(error) => self.not_taken(measurement, &error),
            },
            Said::Recorded(clip) => match *clip {
                Ok(clip) => self.sound_taken(measurement, &clip),
                Err(error) => self.not_taken(measurement, &error),
            },
        }
    }

    fn instrument_changed(&mut self, measurement: Measurement, is_there: bool) {
        self.input(if is_there { Input::DeviceBack(measurement) } else { Input::DeviceLost(measurement) });
        self.equipment_changed();
    }

    /// Takes what the camera sees, by the screen's button or its own; or begins to record what the stethoscope hears.
    pub fn take_recording(&mut self) {
        let Some(measurement) = self.guided().map(|guided| guided.measurement) else { return };
        if self.is_measuring(measurement) {
            self.instruments.take(measurement, &self.runtime, |event| post(Event::Instrument(event)));
        }
    }

    fn not_taken(&mut self, measurement: Measurement, error: &dyn std::error::Error) {
        tracing::warn!(?measurement, %error, "nothing was taken");
        self.instruments.taken(measurement, None, None);
        if self.is_measuring(measurement) {
            self.input(Input::MeasuringFailed { measurement, trouble: Trouble::NoSignal });
        }
    }

    fn picture_taken(&mut self, measurement: Measurement, still: &Still) {
        let frozen = Some(still.frozen.clone());
        self.instruments.taken(measurement, frozen, still.advice.map(Advice::Picture));
        self.keep_recording(
            measurement,
            Taken {
                kind: RecordingKind::Picture,
                name: "picture",
                content_type: "image/jpeg",
                bytes: still.jpeg.reveal(),
                sha256: still.sha256,
                duration_ms: 0,
                packed_here: still.made != Made::ByCamera,
                missing_ms: 0,
                device: &still.device,
                at: still.at,
                is_good: still.advice.is_none(),
            },
        );
    }

    fn sound_taken(&mut self, measurement: Measurement, clip: &Clip) {
        self.instruments.taken(measurement, None, clip.advice.map(Advice::Sound));
        let milliseconds = clip.measures.samples as u64 * 1_000 / u64::from(clip.rate.max(1));
        self.keep_recording(
            measurement,
            Taken {
                kind: RecordingKind::Sound,
                name: "sound",
                content_type: "audio/flac",
                bytes: clip.flac.reveal(),
                sha256: clip.sha256,
                duration_ms: u32::try_from(milliseconds).unwrap_or(u32::MAX),
                packed_here: false,
                missing_ms: clip.gaps.iter().fold(0, |ms, gap| ms.saturating_add(gap.milliseconds)),
                device: &clip.device,
                at: clip.at,
                is_good: clip.advice.is_none(),
            },
        );
    }

    /// Where on the body it is taken, when that was chosen.
    pub fn site_of(&self, measurement: Measurement) -> Option<BodySite> {
        self.drafts.site.filter(|(of, _)| *of == measurement).map(|(_, site)| site)
    }

    /// A reading only once the outbox has it.
    fn keep_recording(&mut self, measurement: Measurement, taken: Taken<'_>) {
        if !self.is_measuring(measurement) {
            return;
        }
        let blob = match self.outbox.put_blob(taken.name, taken.content_type, taken.bytes) {
            Ok(blob) => blob,
            Err(error) => {
                tracing::error!(%error, "a recording could not be kept: see the outbox");
                self.input(Input::MeasuringFailed { measurement, trouble: Trouble::DeviceFault });
                return;
            }
        };
        let recording = Recording {
            kind: taken.kind,
            blob: *blob.0.as_bytes(),
            sha256: taken.sha256,
            size_bytes: u32::try_from(taken.bytes.len()).unwrap_or(u32::MAX),
            duration_ms: taken.duration_ms,
            site: self.site_of(measurement),
            packed_here: taken.packed_here,
            missing_ms: taken.missing_ms,
        };
        let reading = Reading {
            value: Value::Recording(recording),
            device: instruments::identity(measurement, taken.device),
            device_at: None,
            at: taken.at,
            high_quality: Some(taken.is_good),
        };
        self.input(Input::ReadingsTaken { measurement, readings: vec![reading] });
    }
}
