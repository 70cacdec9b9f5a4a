//! The button of an otoscope or dermatoscope: freeze and keep.
//!
//! Three ways are known. The camera says it over its status pipe, and the kernel makes an input device of it whose key
//! is KEY_CAMERA (linux/drivers/media/usb/uvc/uvc_status.c). Or there is a keyboard in the camera that presses Enter,
//! the space bar or a function key. Or the maker made up a way of its own, which is not supported.

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use evdev::{EventSummary, KeyCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::device;

/// Presses that come closer together are one: a worn contact bounces, a hand trembles.
pub const DEBOUNCE: Duration = Duration::from_millis(300);
/// How soon the end of the camera is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const CLASS: &str = "/sys/class/input";
/// Keys of a keyboard that is in a camera.
const KEYS: [KeyCode; 18] = [
    KeyCode::KEY_CAMERA,
    KeyCode::KEY_ENTER,
    KeyCode::KEY_KPENTER,
    KeyCode::KEY_SPACE,
    KeyCode::KEY_SYSRQ,
    KeyCode::KEY_F1,
    KeyCode::KEY_F2,
    KeyCode::KEY_F3,
    KeyCode::KEY_F4,
    KeyCode::KEY_F5,
    KeyCode::KEY_F6,
    KeyCode::KEY_F7,
    KeyCode::KEY_F8,
    KeyCode::KEY_F9,
    KeyCode::KEY_F10,
    KeyCode::KEY_F11,
    KeyCode::KEY_F12,
    KeyCode::KEY_VOLUMEUP,
];

/// Takes presses that bounce for one.
#[derive(Debug, Default)]
pub struct Presses {
    last: Option<Instant>,
}

impl Presses {
    /// Whether a press counts.
    pub fn press(&mut self, now: Instant) -> bool {
        let counts = self.last.is_none_or(|last| now.saturating_duration_since(last) >= DEBOUNCE);
        // A press that bounces for long stays one.
        self.last = Some(now);
        counts
    }
}

/// Listens to the buttons of a camera. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Button {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Button {
    /// Of the USB device behind a folder of `/sys/class`. `pressed` is called on a thread of its own. `None` where it
    /// has no button that the kernel knows.
    pub(crate) fn listen(class: &Path, pressed: impl Fn() + Send + 'static) -> Option<Button> {
        let keyboards: Vec<evdev::Device> = nodes(&device::usb_folder(class)?).iter().filter_map(|n| open(n)).collect();
        if keyboards.is_empty() {
            return None;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = thread::Builder::new().name("camera button".into());
        let thread = thread.spawn(move || watch(keyboards, &until, &pressed)).ok()?;
        Some(Button { ended, thread: Some(thread) })
    }
}

impl Drop for Button {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The input devices that belong to the same USB device.
fn nodes(usb: &Path) -> Vec<PathBuf> {
    let events = device::numbered(CLASS, "event").into_iter();
    let own = events.filter(|(_, class)| fs::canonicalize(class).is_ok_and(|class| class.starts_with(usb)));
    own.map(|(number, _)| Path::new("/dev/input").join(format!("event{number}"))).collect()
}

fn open(node: &Path) -> Option<evdev::Device> {
    // Read only: nobody but the kernel has to know that somebody listens.
    let mut device = evdev::Device::from_fd(File::open(node).ok()?.into()).ok()?;
    if !device.supported_keys().is_some_and(|keys| KEYS.iter().any(|key| keys.contains(*key))) {
        return None;
    }
    device.set_nonblocking(true).ok()?;
    // Its Enter must not press a button on the screen.
    if let Err(error) = device.grab() {
        tracing::warn!("the camera's button is also heard by another program: {error}");
    }
    Some(device)
}

fn watch(mut keyboards: Vec<evdev::Device>, ended: &AtomicBool, pressed: &dyn Fn()) {
    let mut presses = Presses::default();
    let within = Timespec::try_from(LOOK_EVERY).ok();
    while !ended.load(Ordering::Relaxed) && !keyboards.is_empty() {
        let files: Vec<BorrowedFd<'_>> = keyboards.iter().map(|keyboard| keyboard.as_fd()).collect();
        let mut polled: Vec<PollFd<'_>> = files.iter().map(|file| PollFd::new(file, PollFlags::IN)).collect();
        if poll(&mut polled, within.as_ref()).is_err() {
            continue;
        }
        // An unplugged one gives an error, once and for ever.
        keyboards.retain_mut(|keyboard| match keyboard.fetch_events() {
            Ok(events) => {
                for event in events {
                    // 1 is down; 0 up, 2 still held.
                    if let EventSummary::Key(_, key, 1) = event.destructure()
                        && KEYS.contains(&key)
                        && presses.press(Instant::now())
                    {
                        pressed();
                    }
                }
                true
            }
            Err(error) => matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presses_within_300_milliseconds_are_one() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut presses = Presses::default();
        assert!(presses.press(start));
        assert!(!presses.press(after(1)) && !presses.press(after(299)));
        // 299 ms after the last of them it still bounces.
        assert!(!presses.press(after(598)));
        assert!(presses.press(after(898)));
        assert!(!presses.press(start), "a clock that goes back is no press");
    }
}
