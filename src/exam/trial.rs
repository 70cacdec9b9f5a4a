//! Whether a camera or a stethoscope gives anything: opened for one picture, or for half a second of sound, which is
//! looked at by nobody and kept nowhere.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::camera::{self, Camera, CameraEvent};
use crate::sound::{self, Stethoscope, StethoscopeEvent};

/// Either gives something within that time, or does not work.
pub const TRIAL_MAX: Duration = Duration::from_secs(5);
/// So much sound shows that sound comes, fiftieths of a second.
const POINTS: u64 = 25;
/// How often the sound is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is said where nothing was.
const NOTHING: &str = "it is not there, or gives nothing: check its cable";

/// Makes GStreamer ready, which takes some seconds the first time on a machine: before somebody waits for a trial.
pub fn prepare() {
    // What is wrong with it is said by whoever opens a camera.
    let _ = gstreamer::init();
}

/// Opens a camera until its first picture has come. Waits: not for the screen's thread.
///
/// # Errors
/// What is wrong, for the telephone.
pub fn picture(source: camera::Source) -> Result<(), String> {
    let (sender, events) = sync_channel(camera::EVENTS_MAX);
    // Closed when this returns.
    let _camera = Camera::open(source, sender).map_err(|error| error.to_string())?;
    let give_up_at = Instant::now() + TRIAL_MAX;
    let mut why = NOTHING.to_owned();
    loop {
        match events.recv_timeout(give_up_at.saturating_duration_since(Instant::now())) {
            Ok(CameraEvent::Opened { .. }) => return Ok(()),
            // It is tried again: another program may just let it go.
            Ok(CameraEvent::Refused { why: said, .. } | CameraEvent::Lost { why: said }) => why = said,
            Ok(CameraEvent::Pressed) => {}
            Err(_) => return Err(why),
        }
    }
}

/// Opens a stethoscope until half a second of sound has come. Waits: not for the screen's thread.
///
/// # Errors
/// What is wrong, for the telephone.
pub fn sound(source: sound::Source) -> Result<(), String> {
    let (sender, events) = sync_channel(sound::EVENTS_MAX);
    let stethoscope = Stethoscope::open(source, sender).map_err(|error| error.to_string())?;
    let curve = stethoscope.curve();
    let give_up_at = Instant::now() + TRIAL_MAX;
    let mut why = NOTHING.to_owned();
    while Instant::now() < give_up_at {
        match events.recv_timeout(LOOK_EVERY) {
            Ok(StethoscopeEvent::Refused { why: said } | StethoscopeEvent::Lost { why: said }) => why = said,
            Ok(StethoscopeEvent::Opened { .. }) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if curve.borrow().number >= POINTS {
            return Ok(());
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;
    use crate::camera::format::{Coding, Mode};

    #[test]
    fn what_gives_a_picture_or_sound_works_and_what_is_not_there_does_not() {
        let mode = Mode { coding: Coding::Jpeg, width: 640, height: 480, rate: (30, 1) };
        let begun = Instant::now();
        picture(camera::Source::Test(mode)).expect("a picture");
        sound(sound::Source::Test).expect("sound");
        let nowhere = Address::Usb { vendor: 0xFFFF, product: 0xFFFE, serial: None, socket: None };
        let nobody = std::thread::scope(|scope| {
            let camera = scope.spawn(|| picture(camera::Source::Plugged(nowhere.clone())));
            let stethoscope = scope.spawn(|| sound(sound::Source::Plugged(nowhere.clone())));
            [camera.join().unwrap(), stethoscope.join().unwrap()]
        });
        assert_eq!(nobody, [Err(NOTHING.to_owned()), Err(NOTHING.to_owned())]);
        assert!(begun.elapsed() < 3 * TRIAL_MAX, "{:?}", begun.elapsed());
    }
}
