//! Pictures of ear and skin, sounds of heart and lungs: live, then taken, and in the outbox before they count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use consult::journey::{Input, Trouble};
use consult::vitals::{BodySite, Measurement, RecordingKind};
use exam::camera::still::{Made, Still};
use exam::sound::clip::Clip;
use media::Frame;

use super::recordings::{Content, Kept, Outcome, Pending};
use super::{Cabin, Event, post, with};
use crate::devices::{Health, News};
use crate::instruments::{self, Advice, InstrumentEvent, Live, Opening, Said};
use crate::physician_link::Order;
use crate::screens;

impl Cabin {
    pub(super) fn start_device(&mut self, measurement: Measurement) {
        self.recordings.turn();
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
        self.share_instrument();
    }

    /// What the instrument in front of the patient gives, to the physician in the call.
    pub(super) fn share_instrument(&self) {
        let (Some(physician), Some(guided)) = (&self.physician, self.guided()) else { return };
        match self.instruments.live(guided.measurement) {
            Some(Live::Pictures(pictures)) => physician.order(Order::ShowInstrument(pictures)),
            Some(Live::Sound(blocks)) => physician.order(Order::HearInstrument(blocks)),
            None => {}
        }
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
            InstrumentEvent::Tried(measurement, tried) => {
                if let Err(why) = &tried {
                    tracing::warn!(?measurement, why, "an instrument gives nothing");
                }
                self.instruments.tried(measurement, tried);
                self.equipment_asked();
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
                if self.instruments.gone(measurement, Health::Unplugged, why) {
                    self.instrument_changed(measurement, false);
                }
            }
            Said::Refused(why) => {
                tracing::warn!(?measurement, why, "an instrument cannot be used");
                if self.instruments.gone(measurement, Health::AtFault, why) {
                    self.instrument_changed(measurement, false);
                }
            }
            Said::Pressed => self.take_recording(),
            Said::Hears(curve, drawn) => {
                self.instruments.hears(measurement, curve);
                drawn.store(false, Ordering::Release);
            }
            Said::Taken(still) => match *still {
                Ok(still) => self.picture_taken(measurement, still),
                Err(error) => self.not_taken(measurement, &error),
            },
            Said::Recorded(clip) => match *clip {
                Ok(clip) => self.sound_taken(measurement, clip),
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

    fn picture_taken(&mut self, measurement: Measurement, still: Still) {
        if !self.is_measuring(measurement) {
            return;
        }
        self.instruments.taken(measurement, Some(still.frozen), still.advice.map(Advice::Picture));
        let content = Content::File {
            kind: RecordingKind::Picture,
            bytes: still.jpeg,
            sha256: still.sha256,
            duration_ms: 0,
            site: self.site_of(measurement),
            packed_here: still.made != Made::ByCamera,
            missing_ms: 0,
        };
        let device = instruments::identity(measurement, &still.device);
        let is_good = Some(still.advice.is_none());
        self.keep_recording(Pending::new(measurement, content, device, (None, still.at), is_good));
    }

    fn sound_taken(&mut self, measurement: Measurement, clip: Clip) {
        if !self.is_measuring(measurement) {
            return;
        }
        self.instruments.taken(measurement, None, clip.advice.map(Advice::Sound));
        let milliseconds = clip.measures.samples as u64 * 1_000 / u64::from(clip.rate.max(1));
        let content = Content::File {
            kind: RecordingKind::Sound,
            bytes: clip.flac,
            sha256: clip.sha256,
            duration_ms: u32::try_from(milliseconds).unwrap_or(u32::MAX),
            site: self.site_of(measurement),
            packed_here: false,
            missing_ms: clip.gaps.iter().fold(0, |ms, gap| ms.saturating_add(gap.milliseconds)),
        };
        let device = instruments::identity(measurement, &clip.device);
        let is_good = Some(clip.advice.is_none());
        self.keep_recording(Pending::new(measurement, content, device, (None, clip.at), is_good));
    }

    /// Where on the body it is taken, when that was chosen.
    pub fn site_of(&self, measurement: Measurement) -> Option<BodySite> {
        self.drafts.site.filter(|(of, _)| *of == measurement).map(|(_, site)| site)
    }

    /// A recording is a reading only once the outbox has it.
    pub(super) fn keep_recording(&mut self, pending: Pending) {
        let measurement = pending.measurement;
        let told = |pending, result| post(Event::Kept(pending, result));
        if self.is_measuring(measurement) && !self.recordings.take(pending, &self.outbox, &self.runtime, told) {
            tracing::error!(?measurement, "too many recordings at once");
            self.input(Input::MeasuringFailed { measurement, trouble: Trouble::TooLarge });
        }
    }

    pub(super) fn recording_kept(&mut self, pending: Pending, result: Result<Kept, outbox::Error>) {
        match self.recordings.kept(pending, result) {
            Outcome::Reading(measurement, reading) => {
                let is_instrument = self.instruments.serving(measurement).is_some();
                let news = if is_instrument {
                    News::Taken(vec![reading])
                } else {
                    self.devices.recorded(measurement, reading)
                };
                let has_finished = matches!(news, News::Taken(_));
                self.device_news(measurement, news, Instant::now());
                if has_finished && self.devices.is_away(measurement) {
                    self.device_news(measurement, News::Lost, Instant::now());
                }
            }
            Outcome::Unwanted(blob) => self.drop_recording(blob),
            Outcome::Nothing => {}
            Outcome::Held => self.outbox_fails(),
            Outcome::TooLarge(measurement) => {
                self.input(Input::MeasuringFailed { measurement, trouble: Trouble::TooLarge });
            }
        }
    }
}
