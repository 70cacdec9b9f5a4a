//! One after the other: an instrument that is opened again waits until it is closed, and a refusal counts once it lasts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A refusal that lasts shorter is of a program that is just closing it, and nobody is called for that.
const REFUSED_AFTER: Duration = Duration::from_secs(2);

/// The devices that this program has open, by their file or ALSA name.
static HELD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A device that is this opener's until this is dropped. Closing takes a while, and the kernel says "busy" meanwhile.
#[derive(Debug)]
pub(crate) struct Turn(String);

impl Turn {
    /// `None` while another opener of this program has it: try again.
    pub(crate) fn take(device: &str) -> Option<Turn> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if held.iter().any(|name| name == device) {
            return None;
        }
        held.push(device.to_owned());
        Some(Turn(device.to_owned()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| *name != self.0);
    }
}

/// What an instrument is refused for, told once each, and not before it has lasted.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    since: Option<Instant>,
    told: Option<String>,
}

impl Refusals {
    /// It is refused at `now`; whether that is to be told.
    pub(crate) fn again(&mut self, why: &str, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < REFUSED_AFTER || self.told.as_deref() == Some(why) {
            return false;
        }
        self.told = Some(why.to_owned());
        true
    }

    /// It opened, or is out: what it is refused for next is news again.
    pub(crate) fn over(&mut self) {
        *self = Refusals::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_opener_at_a_time() {
        let first = Turn::take("test-turn").unwrap();
        assert!(Turn::take("test-turn").is_none() && Turn::take("test-another").is_some());
        drop(first);
        assert!(Turn::take("test-turn").is_some());
    }

    #[test]
    fn a_refusal_is_told_once_and_only_when_it_lasts() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        let at = |tenths: u64| began + Duration::from_millis(tenths * 100);
        assert!(!refusals.again("busy", at(0)) && !refusals.again("busy", at(19)));
        refusals.over();
        assert!(!refusals.again("busy", at(21)), "it opened in between");
        assert!(refusals.again("busy", at(41)) && !refusals.again("busy", at(42)));
        assert!(refusals.again("no format", at(43)), "another reason");
    }
}
