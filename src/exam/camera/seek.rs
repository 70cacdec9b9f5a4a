//! Looking for something in the live picture: a code that is held before the camera.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Camera;
use crate::picture::Luma;

impl Camera {
    /// Looks at the newest live picture, once in `every` at most, until `find` finds something in one, `within` is over
    /// or it is no longer `wanted`. No picture is kept. Waits: not for the screen's thread.
    pub fn seek<T>(
        &self,
        every: Duration,
        within: Duration,
        wanted: &AtomicBool,
        mut find: impl FnMut(&Luma) -> Option<T>,
    ) -> Option<T> {
        let mut live = self.live();
        let give_up_at = Instant::now() + within;
        while wanted.load(Ordering::Acquire) && Instant::now() < give_up_at {
            let next = Instant::now() + every;
            // The camera's thread has ended where there is no answer.
            let is_new = live.has_changed().unwrap_or(false);
            let frame = if is_new { live.borrow_and_update().clone() } else { None };
            let luma =
                frame.and_then(|frame| Luma::of_rgba(frame.width as usize, frame.height as usize, &frame.rgba()));
            let found = luma.and_then(|luma| find(&luma));
            if found.is_some() {
                return found;
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        None
    }
}
