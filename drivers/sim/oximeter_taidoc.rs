//! TaiDoc TD-8255 oximeter: says its figures when asked, zeros while it has none.

use std::time::{Duration, Instant};

use crate::Device;
use crate::finger::Finger;
use crate::taidoc::{say, take};

/// Time to find the pulse of a finger just put in.
const SEARCH: Duration = Duration::from_millis(1_500);

pub(crate) struct Oximeter {
    finger: Finger,
    input: Vec<u8>,
}

impl Oximeter {
    pub(crate) fn new() -> Self {
        Self { finger: Finger::new(), input: Vec::new() }
    }
}

impl Device for Oximeter {
    fn plugged(&mut self, now: Instant) {
        self.finger.moved_at = now;
        self.input.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.input.extend(bytes);
        while let Some((command, _)) = take(&mut self.input) {
            let tracked = self.finger.is_found(now, SEARCH);
            match command {
                0x22 => say(command, [0; 4], out),
                0x24 => say(command, [0x55, 0x82, 0, 0], out),
                0x49 if tracked => say(command, [self.finger.spo2, 0, 0, self.finger.pulse], out),
                0x49 => say(command, [0; 4], out),
                _ => {}
            }
        }
    }

    fn tick(&mut self, _now: Instant, _out: &mut Vec<u8>) {}

    fn due(&self) -> Option<Instant> {
        None
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        self.finger.set(key, value, u8::MAX)
    }

    fn values(&self) -> String {
        self.finger.values()
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        self.finger.act(words, now)
    }
}
