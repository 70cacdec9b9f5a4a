//! A finger in a simulated oximeter that says no more than its figures.

use std::time::{Duration, Instant};

use crate::number;

pub(crate) struct Finger {
    pub(crate) spo2: u8,
    pub(crate) pulse: u8,
    pub(crate) is_in: bool,
    /// When it last went in or out.
    pub(crate) moved_at: Instant,
}

impl Finger {
    pub(crate) fn new() -> Self {
        Self { spo2: 97, pulse: 72, is_in: true, moved_at: Instant::now() }
    }

    /// Its pulse has been looked for that long.
    pub(crate) fn is_found(&self, now: Instant, search: Duration) -> bool {
        self.is_in && now.duration_since(self.moved_at) >= search
    }

    /// Sets a figure, of which the device can say no saturation above that.
    pub(crate) fn set(&mut self, key: &str, value: &str, spo2_max: u8) -> Result<(), String> {
        match key {
            "spo2" => self.spo2 = number(key, value, 0, spo2_max)?,
            "pulse" => self.pulse = number(key, value, 0, u8::MAX)?,
            _ => return Err(format!("no such value: {key}={value}; spo2, pulse")),
        }
        Ok(())
    }

    pub(crate) fn values(&self) -> String {
        format!("spo2={} pulse={}", self.spo2, self.pulse)
    }

    /// Goes in or out.
    pub(crate) fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        let ["finger", place @ ("in" | "out")] = *words else { return Err("finger in|out".into()) };
        self.is_in = place == "in";
        self.moved_at = now;
        Ok(())
    }
}
