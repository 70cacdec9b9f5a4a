//! A radar that reports ten times a second what it sees in front of it.

use std::time::{Duration, Instant};

use crate::{Device, number};

/// Time between frames.
const EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Radar {
    moving_cm: u16,
    still_cm: u16,
    is_moving: bool,
    is_still: bool,
    engineering: bool,
    next_at: Instant,
}

impl Radar {
    pub(crate) fn new() -> Self {
        Self {
            moving_cm: 120,
            still_cm: 110,
            is_moving: false,
            is_still: true,
            engineering: false,
            next_at: Instant::now(),
        }
    }

    fn frame(&self) -> Vec<u8> {
        let state = u8::from(self.is_moving) | u8::from(self.is_still) << 1;
        let [m0, m1] = self.moving_cm.to_le_bytes();
        let [s0, s1] = self.still_cm.to_le_bytes();
        let [d0, d1] = self.moving_cm.min(self.still_cm).to_le_bytes();
        let kind = if self.engineering { 1 } else { 2 };
        let mut content = vec![kind, 0xAA, state, m0, m1, 60, s0, s1, 80, d0, d1];
        if self.engineering {
            // Eight gates each, and the energy of every gate.
            content.extend([8, 8]);
            content.extend((0..18).map(|gate| gate * 5));
            content.extend([0x1F, 0x01]);
        }
        content.extend([0x55, 0x00]);
        let length = u16::try_from(content.len()).unwrap_or(0).to_le_bytes();
        [&[0xF4, 0xF3, 0xF2, 0xF1], &length[..], &content, &[0xF8, 0xF7, 0xF6, 0xF5]].concat()
    }
}

impl Device for Radar {
    fn plugged(&mut self, now: Instant) {
        self.next_at = now + EVERY;
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.next_at = now + EVERY;
        out.extend(self.frame());
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "moving" => self.moving_cm = number(key, value, 0, 600)?,
            "still" => self.still_cm = number(key, value, 0, 600)?,
            _ => return Err(format!("no such value: {key}; moving=120 still=110, centimetres")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("moving={} still={}", self.moving_cm, self.still_cm)
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["somebody", "sits"] => (self.is_moving, self.is_still) = (false, true),
            ["somebody", "moves"] => (self.is_moving, self.is_still) = (true, true),
            ["nobody"] => (self.is_moving, self.is_still) = (false, false),
            ["engineering", "on"] => self.engineering = true,
            ["engineering", "off"] => self.engineering = false,
            _ => return Err("somebody sits|moves | nobody | engineering on|off".into()),
        }
        Ok(())
    }
}
