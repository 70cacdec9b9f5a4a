//! A document's code, held before a camera: open only while the patient shows it, closed once it is read, when the patient
//! leaves it, and after a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use drivers::fixtures::scanner_codes::{Accept, Scan, picture};
use exam::camera::{Camera, CameraEvent, EVENTS_MAX, Source};
use media::Frame;
use tokio::runtime::Handle;

use crate::instruments;

/// A camera that nobody shows a code to is closed after that time.
const SHOWN_MAX: Duration = Duration::from_secs(30);
/// Looking at a picture is work for a whole processor: five a second at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Which camera, and whose identities are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The camera.
    pub source: Source,
    /// Identities for tests too, or not.
    pub accept: Accept,
}

/// What the camera says while a code is shown to it.
pub enum CodeEvent {
    /// It gives its picture.
    Opened,
    /// It is not there, or cannot be used; what to do, for the log.
    Gone(String),
    /// A code was read.
    Scanned(Box<Scan>),
    /// None was seen in time.
    Unseen,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looking {
    /// The camera is being opened.
    Opening,
    /// For a code.
    Open,
    /// It cannot be used.
    Gone,
}

/// A camera that looks for a code. Dropping it closes the camera, beside the screen's thread.
pub struct CodeCamera {
    /// How far it is.
    pub looking: Looking,
    wanted: Arc<AtomicBool>,
    camera: Option<Arc<Camera>>,
    runtime: Handle,
}

impl CodeCamera {
    /// Opens the camera; `events` is told what happens, `show` the live picture.
    ///
    /// # Errors
    /// Where GStreamer does not start, or no thread is left.
    pub fn open(
        setting: Setting,
        runtime: &Handle,
        events: impl Fn(CodeEvent) + Clone + Send + 'static,
        show: impl Fn(Option<Frame>, Arc<AtomicBool>) + Send + 'static,
    ) -> std::io::Result<CodeCamera> {
        let (sender, receiver) = sync_channel(EVENTS_MAX);
        let camera = Arc::new(Camera::open(setting.source, sender)?);
        instruments::draw_live(camera.live(), runtime, show);
        let wanted = Arc::new(AtomicBool::new(true));
        let (seeking, still_wanted, scanned) = (camera.clone(), wanted.clone(), events.clone());
        runtime.spawn_blocking(move || {
            seeking.seek::<()>(LOOK_EVERY, SHOWN_MAX, &still_wanted, |luma| {
                let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
                let scan = picture::read(side(luma.width()), side(luma.height()), luma.pixels(), setting.accept)?;
                // Another code may lie on the same sheet: it is said, and looked further.
                let is_found = matches!(scan, Scan::Ins(_));
                scanned(CodeEvent::Scanned(Box::new(scan)));
                is_found.then(|| still_wanted.store(false, Ordering::Release))
            });
            if still_wanted.load(Ordering::Acquire) {
                scanned(CodeEvent::Unseen);
            }
        });
        // Ends with the camera, whose end of the channel it is.
        runtime.spawn_blocking(move || {
            for event in receiver {
                match event {
                    CameraEvent::Opened { .. } => events(CodeEvent::Opened),
                    CameraEvent::Lost { why } | CameraEvent::Refused { why, .. } => events(CodeEvent::Gone(why)),
                    CameraEvent::Pressed => {}
                }
            }
        });
        Ok(CodeCamera { looking: Looking::Opening, wanted, camera: Some(camera), runtime: runtime.clone() })
    }
}

impl Drop for CodeCamera {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
        let camera = self.camera.take();
        self.runtime.spawn_blocking(move || drop(camera));
    }
}
