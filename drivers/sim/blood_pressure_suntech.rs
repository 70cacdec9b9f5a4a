//! SunTech Advantage: a cuff that inflates, deflates with the pulse in it, and answers.

use std::time::{Duration, Instant};

use crate::{Device, number, sum8};

/// Bytes of a command, by its second byte.
fn length(opcode: u8) -> Option<usize> {
    match opcode {
        0x20 | 0x56 | 0x8A => Some(3),
        0x79 => Some(5),
        0x0C => Some(6),
        _ => None,
    }
}

/// Highest pressure reached, mmHg.
const TOP_MMHG: f64 = 172.0;
/// Pressure at which the module has seen enough, below the diastolic, mmHg.
const BELOW_DIASTOLIC_MMHG: f64 = 20.0;
/// Seconds to inflate.
const INFLATE_S: f64 = 8.0;
/// Deflation, mmHg a second.
const DEFLATE_MMHG_S: f64 = 4.0;
/// A streamed pressure comes that often.
const STREAM: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Good,
    Busy,
    Leak,
}

struct Run {
    started: Instant,
    stream_at: Option<Instant>,
}

pub(crate) struct Cuff {
    systolic: u16,
    diastolic: u16,
    mean: u16,
    pulse: u8,
    error: u8,
    /// How much faster than life, so that a test need not wait.
    speed: u32,
    /// Powered by its own supply: it goes on while its cable is out.
    own_power: bool,
    mode: Mode,
    run: Option<Run>,
    /// The last result, as sent; nothing since power came.
    result: [u8; 24],
    input: Vec<u8>,
}

impl Cuff {
    pub(crate) fn new() -> Self {
        Self {
            systolic: 122,
            diastolic: 79,
            mean: 93,
            pulse: 68,
            error: 0,
            speed: 1,
            own_power: false,
            mode: Mode::Good,
            run: None,
            result: packet24(0, 0, 0, 0, 0),
            input: Vec::new(),
        }
    }

    fn seconds(&self, now: Instant) -> Option<f64> {
        let run = self.run.as_ref()?;
        Some(now.saturating_duration_since(run.started).as_secs_f64() * f64::from(self.speed))
    }

    fn pressure(&self, now: Instant) -> u16 {
        let Some(t) = self.seconds(now) else { return 0 };
        let mmhg = if self.mode == Mode::Leak {
            (t * 12.0).min(38.0)
        } else if t < INFLATE_S {
            TOP_MMHG * t / INFLATE_S
        } else {
            let falling = TOP_MMHG - (t - INFLATE_S) * DEFLATE_MMHG_S;
            // The artery beats against the cuff, most near the mean pressure.
            let near = 1.0 - ((falling - f64::from(self.mean)).abs() / 60.0).min(1.0);
            falling + 2.5 * near * (t * f64::from(self.pulse) / 60.0 * std::f64::consts::TAU).sin().max(0.0)
        };
        mmhg.max(0.0) as u16
    }

    /// Real seconds that a determination lasts.
    fn lasts(&self) -> Duration {
        let life = if self.mode == Mode::Leak {
            10.0
        } else {
            let bottom = f64::from(self.diastolic) - BELOW_DIASTOLIC_MMHG;
            INFLATE_S + (TOP_MMHG - bottom).max(0.0) / DEFLATE_MMHG_S
        };
        Duration::from_secs_f64(life / f64::from(self.speed))
    }

    fn end(&mut self) {
        let error = if self.mode == Mode::Leak { 88 } else { self.error };
        self.run = None;
        self.result = if error == 0 {
            packet24(self.systolic, self.diastolic, self.mean, self.pulse, 0)
        } else {
            packet24(0, 0, 0, 0, error)
        };
    }

    fn command(&mut self, command: &[u8], now: Instant, out: &mut Vec<u8>) {
        match command[1] {
            0x20 | 0x56 => {
                if self.mode == Mode::Busy || self.run.is_some() {
                    return letter(b'B', out);
                }
                self.result = packet24(0, 0, 0, 0, 0);
                self.run = Some(Run { started: now, stream_at: (command[1] == 0x56).then_some(now + STREAM) });
                letter(b'O', out);
            }
            0x79 => match command[2] {
                0x01 => {
                    if self.run.take().is_some() {
                        self.result = packet24(0, 0, 0, 0, 87);
                    }
                    letter(b'A', out);
                }
                0x03 if self.run.is_some() => letter(b'B', out),
                0x03 => out.extend(self.result),
                0x05 => {
                    let [low, high] = self.pressure(now).to_le_bytes();
                    closed(&[0x3E, 0x05, low, high], out);
                }
                0x11 => letter(if self.run.is_some() { b'B' } else { b'K' }, out),
                _ => {}
            },
            0x8A => {
                self.run = None;
                self.result = packet24(0, 0, 0, 0, 0);
                letter(b'O', out);
            }
            _ => letter(b'O', out),
        }
    }
}

/// A packet with the byte that makes its sum 0.
fn closed(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes);
    out.push(0u8.wrapping_sub(sum8(bytes)));
}

fn letter(letter: u8, out: &mut Vec<u8>) {
    closed(&[0x3E, 0x04, letter], out);
}

fn packet24(systolic: u16, diastolic: u16, mean: u16, pulse: u8, error: u8) -> [u8; 24] {
    let mut packet = [0; 24];
    packet[0] = 0x3E;
    packet[1] = 0x18;
    packet[2..4].copy_from_slice(&systolic.to_le_bytes());
    packet[4..6].copy_from_slice(&diastolic.to_le_bytes());
    packet[6] = if error == 0 && systolic > 0 { 28 } else { 0 };
    packet[7] = if error == 0 { 1 } else { 2 };
    packet[16] = pulse;
    packet[18..20].copy_from_slice(&mean.to_le_bytes());
    packet[20] = error;
    packet[23] = 0u8.wrapping_sub(sum8(&packet));
    packet
}

impl Device for Cuff {
    fn plugged(&mut self, _now: Instant) {
        self.input.clear();
    }

    fn unplugged(&mut self, _now: Instant) {
        if !self.own_power {
            // Without power its valves open and it forgets.
            self.run = None;
            self.result = packet24(0, 0, 0, 0, 0);
        }
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.input.extend(bytes);
        while let Some(at) = self.input.iter().position(|b| *b == 0x3A) {
            self.input.drain(..at);
            let Some(&opcode) = self.input.get(1) else { return };
            let Some(length) = length(opcode) else {
                self.input.remove(0);
                continue;
            };
            if self.input.len() < length {
                return;
            }
            let command: Vec<u8> = self.input.drain(..length).collect();
            if sum8(&command) == 0 {
                self.command(&command, now, out);
            }
        }
        self.input.clear();
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        let lasts = self.lasts();
        let [low, high] = self.pressure(now).to_le_bytes();
        let Some(run) = &mut self.run else { return };
        if run.started + lasts <= now {
            self.end();
            letter(b'K', out);
        } else if run.stream_at.is_some_and(|at| at <= now) {
            run.stream_at = Some(now + STREAM);
            closed(&[0x3E, 0x07, 0x01, low, high, 0x00], out);
        }
    }

    fn due(&self) -> Option<Instant> {
        let run = self.run.as_ref()?;
        let end = run.started + self.lasts();
        Some(run.stream_at.map_or(end, |at| at.min(end)))
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "systolic" | "sys" => self.systolic = number(key, value, 0, 400)?,
            "diastolic" | "dia" => self.diastolic = number(key, value, 0, 400)?,
            "mean" | "map" => self.mean = number(key, value, 0, 400)?,
            "pulse" => self.pulse = number(key, value, 0, 255)?,
            "error" => self.error = number(key, value, 0, 255)?,
            "speed" => self.speed = number(key, value, 1, 1000)?,
            "own_power" => self.own_power = number::<u8>(key, value, 0, 1)? == 1,
            _ => {
                return Err(format!("no such value: {key}; systolic, diastolic, mean, pulse, error, speed, own_power"));
            }
        }
        Ok(())
    }

    fn values(&self) -> String {
        let Self { systolic, diastolic, mean, pulse, error, speed, .. } = self;
        format!("systolic={systolic} diastolic={diastolic} mean={mean} pulse={pulse} error={error} speed={speed}")
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        self.mode = match words {
            ["cuff", "ok"] => Mode::Good,
            ["cuff", "busy"] => Mode::Busy,
            ["cuff", "leak"] => Mode::Leak,
            _ => return Err("cuff ok|busy|leak".into()),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_packets_are_those_of_the_specification() {
        let mut out = Vec::new();
        letter(b'O', &mut out);
        assert_eq!(out, [0x3E, 0x04, 0x4F, 0x6F]);
        assert_eq!(packet24(122, 79, 93, 68, 0)[23], 0x23);
        assert_eq!(packet24(0, 0, 0, 0, 0x57)[23], 0x51);
    }

    #[test]
    fn pressure_rises_then_falls_to_below_the_diastolic() {
        let start = Instant::now();
        let mut cuff = Cuff::new();
        let mut out = Vec::new();
        cuff.hear(&[0x3A, 0x20, 0xA6], start, &mut out);
        let at = |s: u64| cuff.pressure(start + Duration::from_secs(s));
        assert!(at(4) > 80 && at(8) >= 170 && at(20) < at(12));
        assert!((20..60).contains(&cuff.lasts().as_secs()));
    }
}
