//! Contec CMS50D+ v4.6: 60 frames of five bytes a second, always talking.

use std::time::{Duration, Instant};

use crate::Device;
use crate::finger::Finger;
use crate::oximeter_nonin::pleth;

/// Microseconds between frames.
const FRAME_US: u64 = 1_000_000 / 60;
/// Time to find the pulse of a finger just put in.
const SEARCH: Duration = Duration::from_millis(2_500);
/// Never more frames in one go than that: a machine that slept does not burst.
const CATCH_UP_MAX: u32 = 8;

pub(crate) struct Oximeter {
    finger: Finger,
    next_at: Instant,
    /// Where in the beat, 0..1.
    phase: f64,
}

impl Oximeter {
    pub(crate) fn new() -> Self {
        Self { finger: Finger::new(), next_at: Instant::now(), phase: 0.0 }
    }

    fn frame(&mut self, now: Instant) -> [u8; 5] {
        let before = self.phase;
        self.phase = (self.phase + f64::from(self.finger.pulse) / 60.0 / 60.0).fract();
        if !self.finger.is_in {
            return [0x80, 0x00, 0x50, 0x7F, 0x7F];
        }
        let wave = (pleth(self.phase) * 127.0) as u8 & 0x7F;
        if !self.finger.is_found(now, SEARCH) {
            return [0x83, wave, 0x60 | (wave / 9), 0x7F, 0x7F];
        }
        let beep = if self.phase < before { 0x40 } else { 0 };
        [
            0x80 | beep | 5,
            wave,
            ((self.finger.pulse >> 7) << 6) | (wave / 9),
            self.finger.pulse & 0x7F,
            self.finger.spo2,
        ]
    }
}

impl Device for Oximeter {
    fn plugged(&mut self, now: Instant) {
        self.finger.moved_at = now;
        self.next_at = now;
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        for _ in 0..CATCH_UP_MAX {
            if self.next_at > now {
                return;
            }
            out.extend(self.frame(now));
            self.next_at += Duration::from_micros(FRAME_US);
        }
        self.next_at = now + Duration::from_micros(FRAME_US);
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        self.finger.set(key, value, 127)
    }

    fn values(&self) -> String {
        self.finger.values()
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        self.finger.act(words, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_specification() {
        let mut oximeter = Oximeter::new();
        let now = oximeter.finger.moved_at + SEARCH;
        let [_, wave, bar, pulse, spo2] = oximeter.frame(now);
        assert_eq!((wave < 0x80, bar & 0x70, pulse, spo2), (true, 0, 0x48, 0x61));
        oximeter.finger.pulse = 130;
        assert_eq!((oximeter.frame(now)[2] & 0x70, oximeter.frame(now)[3]), (0x40, 0x02));
    }
}
