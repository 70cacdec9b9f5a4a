//! Nonin Xpod 3012LP, always talking: data formats 2 and 7, 75 frames of 5 bytes a second, or 8, 4 bytes a second. In
//! format 13 a WristOx2 3150: a record a spot check, a clock, a memory and a serial number.

use std::time::{Duration, Instant};

use crate::calendar::{self, date};
use crate::{Device, number, sum8};

/// Microseconds between frames.
const FRAME_US: u64 = 1_000_000 / 75;
/// Time to find the pulse of a finger just put in.
const SEARCH: Duration = Duration::from_millis(2_500);
/// Display values outlive the finger by that much.
const HOLD: Duration = Duration::from_secs(10);
/// Frames that the perfusion mark lasts at each beat.
const BEAT_FRAMES: u32 = 12;
/// The format may be chosen for that long after connecting.
const CHOICE: Duration = Duration::from_secs(5);
/// A finger put in is measured so long for a spot check.
const SPOT_CHECK: Duration = Duration::from_millis(3_000);
/// Never more frames in one go than that: a machine that slept does not burst.
const CATCH_UP_MAX: u32 = 8;

#[derive(Clone, Copy, PartialEq)]
enum Choice {
    Taken,
    Refused,
    Ignored,
}

pub(crate) struct Oximeter {
    format: u8,
    /// What is done when a format is chosen: taken, refused, or nothing at all.
    choice: Choice,
    plugged_at: Instant,
    /// Its clock minus UTC, seconds.
    clock_seconds: i64,
    /// Spot checks that nobody heard: seconds since 1970 by its clock, saturation, pulse. Oldest first.
    memory: Vec<(i64, u8, u16)>,
    /// When the finger that is in has been measured.
    spot_at: Option<Instant>,
    /// What was sent, until it is a command.
    input: Vec<u8>,
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
            choice: Choice::Taken,
            plugged_at: now,
            clock_seconds: 0,
            memory: Vec::new(),
            spot_at: None,
            input: Vec::new(),
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

    /// Seconds since 1970 by its clock.
    fn clock(&self) -> i64 {
        calendar::utc_seconds() + self.clock_seconds
    }

    /// A packet of format 8.
    fn second(&mut self, now: Instant) -> [u8; 4] {
        let tracked = self.tracked(now);
        let (spo2, pulse) = self.shown(tracked, now);
        let status = 0x80 | u8::from(!tracked) << 5 | u8::from(self.artefact) << 2 | (pulse >> 7) as u8;
        let alarm = self.disconnected || !self.finger_in;
        let quality = self.high_quality && tracked;
        let status2 = u8::from(quality) << 5 | u8::from(alarm) << 3 | u8::from(self.low_battery);
        [status, (pulse & 0x7F) as u8, spo2, status2]
    }

    /// A record of format 13. `stored`: of its memory.
    fn record(&mut self, (seconds, spo2, pulse): (i64, u8, u16), stored: bool, out: &mut Vec<u8>) {
        let [year, month, day, hour, minute, second] = date(seconds);
        let decimal = |number: i64| (number / 10 * 16 + number % 10) as u8;
        let mut data = [year / 100, year % 100, month, day, hour, minute, second].map(decimal).to_vec();
        let missing = spo2 == 127 || pulse == 511;
        data.extend([0, u8::from(self.high_quality) << 1 | u8::from(missing)]);
        data.extend([u8::from(stored) << 4 | u8::from(self.low_battery), (pulse >> 8) as u8, pulse as u8, 0, spo2]);
        let mut check = sum8(&data);
        if self.bad_checksums > 0 {
            self.bad_checksums -= 1;
            check = check.wrapping_add(1);
        }
        out.extend([0x00, 0x02, 0x00, 0x0D, 0x00, 14]);
        out.extend(data);
        out.extend([check, 0x03]);
    }

    fn command(&mut self, command: &[u8], now: Instant, out: &mut Vec<u8>) {
        match *command {
            [0x70, format] => {
                let known = matches!(format, 2 | 7 | 8 | 13) && now.duration_since(self.plugged_at) < CHOICE;
                let taken = known && self.choice == Choice::Taken;
                match self.choice {
                    Choice::Ignored => return,
                    _ => out.push(if taken { 0x06 } else { 0x15 }),
                }
                if taken {
                    self.format = format;
                    self.next_at = now;
                    self.frame = 0;
                }
            }
            // Only a spot-check oximeter has a clock.
            [0x72] if self.format == 13 => {
                let [year, rest @ ..] = date(self.clock());
                out.extend([0x02, 0xF2, 6, (year - 2000) as u8]);
                out.extend(rest.map(|number| number as u8));
                out.push(0x03);
            }
            [0x72, year, month, day, hour, minute, second] if self.format == 13 => {
                let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(i64::from);
                let set = calendar::seconds([2000 + i64::from(year), month, day, hour, minute, second]);
                self.clock_seconds += set - self.clock();
            }
            [0x74, 2] if self.format == 13 => {
                out.extend([0x02, 0xF4, 11, 0x02, 0x02]);
                out.extend(b"501234567");
                out.push(0x03);
            }
            _ => {}
        }
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

    /// The figures for display.
    fn shown(&mut self, tracked: bool, now: Instant) -> (u8, u16) {
        if tracked {
            self.shown = (self.spo2, self.pulse);
        } else if now.duration_since(self.moved_at) >= HOLD {
            self.shown = (127, 511);
        }
        self.shown
    }

    fn float(&mut self, tracked: bool, now: Instant) -> u8 {
        let plain = if tracked { (self.spo2, self.pulse) } else { (127, 511) };
        self.shown(tracked, now);
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
        self.plugged_at = now;
        self.frame = 0;
        self.shown = (127, 511);
        self.input.clear();
    }

    fn unplugged(&mut self, now: Instant) {
        // A spot check that nobody hears goes to its memory.
        if self.spot_at.take().is_some_and(|at| at <= now + SPOT_CHECK) && self.format == 13 {
            self.memory.push((self.clock(), self.spo2, self.pulse));
        }
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.input.extend(bytes);
        // 02, opcode, length, data, 03. The data of two commands begin with a 02 of their own.
        while let Some(begin) = self.input.iter().position(|byte| *byte == 0x02) {
            self.input.drain(..begin);
            let &[_, opcode, length, ..] = &self.input[..] else { return };
            let end = 3 + usize::from(length);
            match self.input.get(end) {
                None if end < 16 => return,
                Some(0x03) => {
                    let command: Vec<u8> = self.input.drain(..=end).collect();
                    let data = if matches!(opcode, 0x70 | 0x74) { &command[4..end] } else { &command[3..end] };
                    self.command(&[&[opcode], data].concat(), now, out);
                }
                _ => drop(self.input.remove(0)),
            }
        }
        self.input.clear();
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.format == 13 {
            if self.spot_at.take_if(|at| *at <= now).is_some() {
                // What was stored meanwhile comes first, the oldest before.
                for record in std::mem::take(&mut self.memory) {
                    self.record(record, true, out);
                }
                self.record((self.clock(), self.spo2, self.pulse), false, out);
            }
            return;
        }
        if self.format == 8 {
            out.extend(self.second(now));
            self.next_at = now + Duration::from_secs(1);
            return;
        }
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
        if self.format == 13 { self.spot_at } else { Some(self.next_at) }
    }

    fn set(&mut self, key: &str, value: &str, now: Instant) -> Result<(), String> {
        match key {
            "spo2" => self.spo2 = number(key, value, 0, 127)?,
            "pulse" => self.pulse = number(key, value, 0, 511)?,
            "quality" => self.high_quality = number::<u8>(key, value, 0, 1)? == 1,
            "format" if matches!(value, "2" | "7" | "8" | "13") => {
                self.format = number(key, value, 2, 13)?;
                self.next_at = now;
                // In a spot-check oximeter no finger stays.
                self.finger_in = self.format != 13;
            }
            "clock" => self.clock_seconds = number(key, value, -2_000_000_000, 2_000_000_000)?,
            "choice" => {
                self.choice = match value {
                    "taken" => Choice::Taken,
                    "refused" => Choice::Refused,
                    "ignored" => Choice::Ignored,
                    _ => return Err("choice=taken|refused|ignored".into()),
                }
            }
            _ => {
                let keys = "spo2, pulse, quality=0|1, format=2|7|8|13, choice=taken|refused|ignored, clock=seconds";
                return Err(format!("no such value: {key}={value}; {keys}"));
            }
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
                    self.spot_at = inside.then(|| now + SPOT_CHECK);
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
            // A spot check of this patient or another, while nobody listened.
            ["stored"] => self.memory.push((self.clock(), self.spo2, self.pulse)),
            _ => return Err("finger in|out, sensor in|out, artefact on|off, battery low|ok, corrupt, stored".into()),
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
