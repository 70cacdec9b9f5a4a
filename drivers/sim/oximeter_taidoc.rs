//! TaiDoc TD-8255 oximeter: says its figures when asked, zeros while it has none.

use std::time::{Duration, Instant};

use crate::taidoc::{say, take};
use crate::{Device, number};

/// Time to find the pulse of a finger just put in.
const SEARCH: Duration = Duration::from_millis(1_500);

pub(crate) struct Oximeter {
    spo2: u8,
    pulse: u8,
    finger_in: bool,
    moved_at: Instant,
    input: Vec<u8>,
}

impl Oximeter {
    pub(crate) fn new() -> Self {
        Self { spo2: 97, pulse: 72, finger_in: true, moved_at: Instant::now(), input: Vec::new() }
    }
}

impl Device for Oximeter {
    fn plugged(&mut self, now: Instant) {
        self.moved_at = now;
        self.input.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.input.extend(bytes);
        while let Some((command, _)) = take(&mut self.input) {
            let tracked = self.finger_in && now.duration_since(self.moved_at) >= SEARCH;
            match command {
                0x22 => say(command, [0; 4], out),
                0x24 => say(command, [0x55, 0x82, 0, 0], out),
                0x49 if tracked => say(command, [self.spo2, 0, 0, self.pulse], out),
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
        match key {
            "spo2" => self.spo2 = number(key, value, 0, u8::MAX)?,
            "pulse" => self.pulse = number(key, value, 0, u8::MAX)?,
            _ => return Err(format!("no such value: {key}; spo2, pulse")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("spo2={} pulse={}", self.spo2, self.pulse)
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        let ["finger", place @ ("in" | "out")] = *words else { return Err("finger in|out".into()) };
        self.finger_in = place == "in";
        self.moved_at = now;
        Ok(())
    }
}
