//! A door's contact between RTS and CTS of a serial adapter.

use std::time::Instant;

use crate::Device;
use crate::usb::ftdi::{CTS, NO_INPUT};

pub(crate) struct Door {
    is_closed: bool,
    /// Since when the adapter does not know where the door is.
    moved_at: Option<Instant>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self { is_closed: true, moved_at: None }
    }
}

impl Device for Door {
    fn plugged(&mut self, now: Instant) {
        self.moved_at = Some(now);
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, _now: Instant, out: &mut Vec<u8>) {
        self.moved_at = None;
        // What the contact joins to RTS: the adapter takes it as one byte.
        out.push(if self.is_closed { CTS } else { NO_INPUT });
    }

    fn due(&self) -> Option<Instant> {
        self.moved_at
    }

    fn set(&mut self, key: &str, _value: &str, _now: Instant) -> Result<(), String> {
        Err(format!("no such value: {key}"))
    }

    fn values(&self) -> String {
        if self.is_closed { "closed".into() } else { "open".into() }
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["open"] => self.is_closed = false,
            ["close"] => self.is_closed = true,
            _ => return Err("open | close".into()),
        }
        self.moved_at = Some(now);
        Ok(())
    }
}
