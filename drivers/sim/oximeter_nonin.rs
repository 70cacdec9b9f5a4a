//! Nonin Xpod 3012LP, data formats 2 and 7: 75 frames of 5 bytes a second, always talking.

use std::time::{Duration, Instant};

use crate::{Device, number, sum8};

/// Microseconds between frames.
const FRAME_US: u64 = 1_000_000 / 75;
/// Time to find the pulse of a finger just put in.
const SEARCH: Duration = Duration::from_millis(2_500);
/// Display values outlive the finger by that much.
const HOLD: Duration = Duration::from_secs(10);
/// Frames that the perfusion mark lasts at each beat.
const BEAT_FRAMES: u32 = 12;
/// Never more frames in one go than that: a machine that slept does not burst.
const CATCH_UP_MAX: u32 = 8;

pub(crate) struct Oximeter {
    format: u8,
    spo2: u8,
    pulse: u16,
    finger_in: bool,
    /// When the finger last went in or out.
    moved_at: Instant,
    artefact: bool,
    disconnected: bool,
    low_battery: bool,
    high_quality: bool,
    bad_checksums: u32,
    next_at: Instant,
    frame: usize,
    packets: u16,
    /// Where in the beat, 0..1.
    phase: f64,
    since_beat: u32,
    /// Figures shown, held for [`HOLD`] after the finger went.
    shown: (u8, u16),
}

impl Oximeter {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            format: 2,
            spo2: 97,
            pulse: 72,
            finger_in: true,
            moved_at: now,
            artefact: false,
            disconnected: false,
            low_battery: false,
            high_quality: true,
            bad_checksums: 0,
            next_at: now,
            frame: 0,
            packets: 0,
            phase: 0.0,
            since_beat: 0,
            shown: (127, 511),
        }
    }

    fn tracked(&self, now: Instant) -> bool {
        self.finger_in && !self.disconnected && now.duration_since(self.moved_at) >= SEARCH
    }

    /// One frame.
    fn push(&mut self, now: Instant, out: &mut Vec<u8>) {
        let tracked = self.tracked(now);
        self.phase += f64::from(self.pulse) / 60.0 / 75.0;
        self.since_beat += 1;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.since_beat = 0;
        }
        let mut status = 0x80;
        status |= u8::from(self.frame == 0);
        if self.disconnected {
            status |= 0x48;
        } else if !self.finger_in {
            status |= 0x08;
        }
        if !tracked {
            status |= 0x10;
        }
        if self.artefact {
            status |= 0x20;
        }
        if tracked && self.since_beat < BEAT_FRAMES {
            status |= 0x02;
        }
        let pleth = if self.finger_in && !self.disconnected { pleth(self.phase) } else { 0.0 };
        let float = self.float(tracked, now);
        let start = out.len();
        if self.format == 2 {
            out.extend([0x01, status, (pleth * 255.0) as u8, float]);
        } else {
            let [high, low] = ((pleth * 65_535.0) as u16).to_be_bytes();
            out.extend([status, high, low, float]);
        }
        let mut check = sum8(&out[start..]);
        if self.bad_checksums > 0 {
            self.bad_checksums -= 1;
            check = check.wrapping_add(1);
        }
        out.push(check);
        self.frame = (self.frame + 1) % 25;
        if self.frame == 0 {
            self.packets = self.packets.wrapping_add(1);
        }
    }

    fn float(&mut self, tracked: bool, now: Instant) -> u8 {
        let plain = if tracked { (self.spo2, self.pulse) } else { (127, 511) };
        if tracked {
            self.shown = plain;
        } else if now.duration_since(self.moved_at) >= HOLD {
            self.shown = (127, 511);
        }
        let msb = |pulse: u16| (pulse >> 7) as u8 & 0x03;
        let lsb = |pulse: u16| (pulse & 0x7F) as u8;
        // Frame numbers of the specification count from 1.
        match self.frame + 1 {
            1 | 14 => msb(plain.1),
            2 | 15 => lsb(plain.1),
            3 | 10 | 11 | 16 => plain.0,
            4 => 48,
            6 => (self.packets >> 7) as u8 & 0x7F,
            7 => self.packets as u8 & 0x7F,
            8 => u8::from(self.high_quality && tracked) << 5 | u8::from(self.low_battery),
            9 | 17 => self.shown.0,
            20 | 22 => msb(self.shown.1),
            21 | 23 => lsb(self.shown.1),
            _ => 0,
        }
    }
}

/// One beat as light through a finger shows it: a fast rise to the systolic peak, the dicrotic notch, a slow fall.
pub(crate) fn pleth(phase: f64) -> f64 {
    let bump = |at: f64, width: f64| (-((phase - at) / width).powi(2) / 2.0).exp();
    let next = (-((phase - 1.22) / 0.085).powi(2) / 2.0).exp();
    (0.12 + 0.78 * (bump(0.22, 0.085) + next) + 0.30 * bump(0.52, 0.11) - 0.05 * bump(0.40, 0.03)).clamp(0.0, 1.0)
}

impl Device for Oximeter {
    fn plugged(&mut self, now: Instant) {
        self.moved_at = now;
        self.next_at = now;
        self.frame = 0;
        self.shown = (127, 511);
    }

    fn hear(&mut self, bytes: &[u8], _now: Instant, out: &mut Vec<u8>) {
        // Choice of the format: 02 70 02 02 ff 03, answered 06 or 15.
        if let [0x02, 0x70, 0x02, 0x02, format, 0x03] = *bytes {
            let known = matches!(format, 2 | 7);
            if known {
                self.format = format;
            }
            out.push(if known { 0x06 } else { 0x15 });
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        for _ in 0..CATCH_UP_MAX {
            if self.next_at > now {
                return;
            }
            self.push(now, out);
            self.next_at += Duration::from_micros(FRAME_US);
        }
        self.next_at = now + Duration::from_micros(FRAME_US);
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "spo2" => self.spo2 = number(key, value, 0, 127)?,
            "pulse" => self.pulse = number(key, value, 0, 511)?,
            "quality" => self.high_quality = number::<u8>(key, value, 0, 1)? == 1,
            "format" if matches!(value, "2" | "7") => self.format = number(key, value, 2, 7)?,
            _ => return Err(format!("no such value: {key}={value}; spo2, pulse, quality=0|1, format=2|7")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!(
            "spo2={} pulse={} quality={} format={}",
            self.spo2,
            self.pulse,
            u8::from(self.high_quality),
            self.format
        )
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["finger", "in"] | ["finger", "out"] => {
                let inside = words[1] == "in";
                if inside != self.finger_in {
                    self.finger_in = inside;
                    self.moved_at = now;
                }
            }
            ["sensor", "in"] | ["sensor", "out"] => {
                self.disconnected = words[1] == "out";
                self.moved_at = now;
            }
            ["artefact", "on"] => self.artefact = true,
            ["artefact", "off"] => self.artefact = false,
            ["battery", "low"] => self.low_battery = true,
            ["battery", "ok"] => self.low_battery = false,
            ["corrupt"] => self.bad_checksums += 1,
            _ => return Err("finger in|out, sensor in|out, artefact on|off, battery low|ok, corrupt".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_has_one_peak_then_a_notch_then_a_smaller_wave() {
        let samples: Vec<f64> = (0..100).map(|i| pleth(f64::from(i) / 100.0)).collect();
        let peaks: Vec<usize> =
            (1..99).filter(|&i| samples[i] > samples[i - 1] && samples[i] >= samples[i + 1]).collect();
        assert_eq!(peaks.len(), 2, "{peaks:?}");
        assert!(samples[peaks[0]] > 1.8 * samples[peaks[1]]);
        assert!((samples[0] - samples[99]).abs() < 0.05, "beats join");
    }

    #[test]
    fn display_values_outlive_the_finger_by_ten_seconds() {
        let start = Instant::now();
        let mut oximeter = Oximeter::new();
        oximeter.plugged(start);
        let spo2_shown = |oximeter: &mut Oximeter, now: Instant| {
            let mut out = Vec::new();
            for _ in 0..25 {
                oximeter.push(now, &mut out);
            }
            (out[8 * 5 + 1], out[8 * 5 + 3])
        };
        assert_eq!(spo2_shown(&mut oximeter, start).1, 127);
        let later = start + SEARCH;
        assert_eq!(spo2_shown(&mut oximeter, later), (0x80, 97));
        oximeter.act(&["finger", "out"], later).unwrap();
        assert_eq!(spo2_shown(&mut oximeter, later + HOLD / 2), (0x98, 97));
        assert_eq!(spo2_shown(&mut oximeter, later + HOLD), (0x98, 127));
    }
}
