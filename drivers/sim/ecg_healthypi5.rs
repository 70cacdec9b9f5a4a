//! ProtoCentral HealthyPi 5: streams from the moment it has power, asked or not.

use std::time::{Duration, Instant};

use crate::heart::{leads_nv, noise};
use crate::{Device, number};

/// By the converter's registers; the firmware's words say 125.
const RATE_HZ: u32 = 128;
/// Never more samples in one go than that: a machine that slept loses the rest.
const CATCH_UP_MAX: u32 = 128;
/// 1 V over 17 bits at gain 80, in 10⁻¹⁸ V.
const STEP_AV: i64 = 95_367_431_641;

pub(crate) struct Board {
    pulse: u32,
    rate_hz: u32,
    /// 2: a sample a frame. 3: eight. 4: the older board's, of which nothing may be taken.
    format: u8,
    electrode_off: bool,
    drop: u32,
    next_at: Instant,
    phase: f64,
    noise: u64,
    block: Vec<i32>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            pulse: 72,
            rate_hz: RATE_HZ,
            format: 2,
            electrode_off: false,
            drop: 0,
            next_at: Instant::now(),
            phase: 0.0,
            noise: 0x9E37_79B9_7F4A_7C15,
            block: Vec::new(),
        }
    }

    fn sample(&mut self) -> i32 {
        let [nanovolts, ..] = leads_nv(self.phase);
        self.phase = (self.phase + f64::from(self.pulse) / 60.0 / f64::from(self.rate_hz)).fract();
        let steps = (nanovolts + noise(&mut self.noise, 2_000)) * 1_000_000_000 / STEP_AV;
        if self.electrode_off { 0 } else { steps.clamp(-131_072, 131_071) as i32 }
    }

    fn push(&mut self, out: &mut Vec<u8>) {
        let sample = self.sample();
        if self.drop > 0 {
            self.drop -= 1;
            return;
        }
        match self.format {
            2 => {
                let mut data = sample.to_le_bytes().to_vec();
                // Respiration, light, 36.80 degrees, no finger, 72 and 14 a minute.
                data.extend([5, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x60, 0x0E, 25, 72, 14]);
                frame(2, &data, out);
            }
            3 => {
                self.block.push(sample);
                if self.block.len() == 8 {
                    let mut data: Vec<u8> = self.block.drain(..).flat_map(i32::to_le_bytes).collect();
                    data.extend([7; 16]);
                    data.extend([72, 14]);
                    frame(3, &data, out);
                    let mut light = vec![3; 16];
                    light.extend([0x60, 0x0E, 25]);
                    frame(4, &light, out);
                }
            }
            _ => {
                let mut data = (sample as i16).to_le_bytes().to_vec();
                data.extend([1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x60, 0x0E, 14, 97, 72, 80, 120, 0]);
                frame(2, &data, out);
            }
        }
    }
}

fn frame(kind: u8, data: &[u8], out: &mut Vec<u8>) {
    out.extend([0x0A, 0xFA]);
    out.extend((data.len() as u16).to_le_bytes());
    out.push(kind);
    out.extend(data);
    out.extend([0x00, 0x0B]);
}

impl Device for Board {
    fn plugged(&mut self, now: Instant) {
        self.next_at = now;
        self.block.clear();
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        let period = Duration::from_nanos(1_000_000_000 / u64::from(self.rate_hz));
        for _ in 0..CATCH_UP_MAX {
            if self.next_at > now {
                return;
            }
            self.push(out);
            self.next_at += period;
        }
        self.next_at = now + period;
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "pulse" => self.pulse = number(key, value, 20, 240)?,
            "rate" => self.rate_hz = number(key, value, 1, 1_000)?,
            "format" => self.format = number(key, value, 2, 4)?,
            _ => return Err(format!("no such value: {key}={value}; pulse, rate=HZ, format=2|3|4")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("pulse={} rate={} format={}", self.pulse, self.rate_hz, self.format)
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["electrode", state @ ("on" | "off")] => self.electrode_off = *state == "off",
            ["drop", count] => self.drop = number("drop", count, 0, 100_000)?,
            _ => return Err("electrode on|off, drop SAMPLES".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_frames_have_the_lengths_of_the_firmware() {
        for (format, length) in [(2, 29), (3, 57 + 26), (4, 27)] {
            let (now, mut out) = (Instant::now(), Vec::new());
            let mut board = Board::new();
            board.set("format", &format.to_string(), now).unwrap();
            board.plugged(now);
            board.tick(now + Duration::from_millis(56), &mut out);
            let frames = if format == 3 { 1 } else { 8 };
            assert_eq!(out.len(), frames * length, "{format}");
        }
    }
}
