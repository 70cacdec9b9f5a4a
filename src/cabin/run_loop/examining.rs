//! Pictures of ear and skin: the live picture, taking it, and keeping it in the outbox before it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consult::journey::{Input, Trouble};
use consult::vitals::{Measurement, Reading, Recording, RecordingKind, Value};
use exam::camera::CameraEvent;
use exam::camera::still::{Still, StillError};
use media::Frame;

use super::{Cabin, Event, post, with};
use crate::{instruments, screens};

impl Cabin {
    pub(super) fn start_device(&mut self, measurement: Measurement) {
        self.devices.start(measurement);
        let show = move |frame: Option<Frame>, busy: Arc<AtomicBool>| {
            let shown = slint::invoke_from_event_loop(move || {
                with(|cabin| {
                    // A picture that was on its way when the camera was closed is nobody's.
                    if cabin.is_measuring(measurement) {
                        screens::patient::measure::picture(&cabin.app, frame.as_ref());
                    }
                });
                busy.store(false, Ordering::Release);
            });
            // The screen has stopped.
            shown.ok();
        };
        self.instruments.start(measurement, &self.runtime, |event| post(Event::Instrument(event)), show);
    }

    pub(super) fn instrument(&mut self, event: instruments::InstrumentEvent) {
        match event {
            instruments::InstrumentEvent::Seen(seen) => {
                let changed = self.instruments.seen(seen);
                for (measurement, is_there) in &changed {
                    self.input(if *is_there {
                        Input::DeviceBack(*measurement)
                    } else {
                        Input::DeviceLost(*measurement)
                    });
                }
                if !changed.is_empty() {
                    self.equipment_changed();
                }
            }
            instruments::InstrumentEvent::Camera(measurement, event) => {
                let changed = self.instruments.camera(measurement, &event);
                if let Some(is_there) = changed {
                    self.input(if is_there { Input::DeviceBack(measurement) } else { Input::DeviceLost(measurement) });
                    self.equipment_changed();
                }
                if event == CameraEvent::Pressed {
                    self.take_picture();
                }
            }
            instruments::InstrumentEvent::Taken(measurement, still) => self.picture_taken(measurement, *still),
        }
    }

    /// Freezes what the camera sees, by the screen's button or the camera's own.
    pub fn take_picture(&mut self) {
        let Some(measurement) = self.guided().map(|guided| guided.measurement) else { return };
        if self.is_measuring(measurement) {
            self.instruments.take(measurement, &self.runtime, |event| post(Event::Instrument(event)));
        }
    }

    fn picture_taken(&mut self, measurement: Measurement, still: Result<Still, StillError>) {
        self.instruments.taken(measurement, still.as_ref().ok());
        if !self.is_measuring(measurement) {
            return;
        }
        let still = match still {
            Ok(still) => still,
            Err(error) => {
                tracing::warn!(%error, "no picture");
                self.input(Input::MeasuringFailed { measurement, trouble: Trouble::NoSignal });
                return;
            }
        };
        let blob = match self.outbox.put_blob("picture", "image/jpeg", still.jpeg.reveal()) {
            Ok(blob) => blob,
            Err(error) => {
                tracing::error!(%error, "a picture could not be kept: see the outbox");
                self.input(Input::MeasuringFailed { measurement, trouble: Trouble::DeviceFault });
                return;
            }
        };
        screens::patient::measure::picture(&self.app, Some(&still.frozen));
        let recording = Recording {
            kind: RecordingKind::Picture,
            blob: *blob.0.as_bytes(),
            sha256: still.sha256,
            size_bytes: u32::try_from(still.jpeg.reveal().len()).unwrap_or(u32::MAX),
            duration_ms: 0,
        };
        let reading = Reading {
            value: Value::Recording(recording),
            device: instruments::identity(measurement, &still.device),
            device_at: None,
            at: still.at,
            high_quality: Some(still.advice.is_none()),
        };
        self.input(Input::ReadingsTaken { measurement, readings: vec![reading] });
    }
}
