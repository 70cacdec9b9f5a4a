//! Contec CMS50D+/E/F, protocol V7.0: 60 packets of 9 bytes a second once asked for, as long as it is called.

use std::time::{Duration, Instant};

use crate::oximeter_nonin::pleth;
use crate::{Device, number};

/// Microseconds between packets.
const PACKET_US: u64 = 1_000_000 / 60;
/// Time to find the pulse of a finger just put in.
const SEARCH: Duration = Duration::from_millis(2_500);
/// Nobody has called for so long: it stops streaming.
const PATIENCE: Duration = Duration::from_secs(20);
/// Never more packets in one go than that: a machine that slept does not burst.
const CATCH_UP_MAX: u32 = 8;
/// Length of a command.
const COMMAND: usize = 9;

pub(crate) struct Oximeter {
    spo2: u8,
    pulse: u8,
    /// Perfusion index, hundredths of a percent.
    perfusion: u16,
    finger_in: bool,
    moved_at: Instant,
    /// Streaming until this instant, unless called again.
    until: Option<Instant>,
    next_at: Instant,
    /// Where in the beat, 0..1.
    phase: f64,
    heard: Vec<u8>,
}

impl Oximeter {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            spo2: 97,
            pulse: 72,
            perfusion: 345,
            finger_in: true,
            moved_at: now,
            until: None,
            next_at: now,
            phase: 0.0,
            heard: Vec::new(),
        }
    }

    fn real_time(&mut self, now: Instant) -> Vec<u8> {
        let before = self.phase;
        self.phase = (self.phase + f64::from(self.pulse) / 60.0 / 60.0).fract();
        let tracked = self.finger_in && now.duration_since(self.moved_at) >= SEARCH;
        if !self.finger_in {
            return packed(0x01, &[0x80, 0x40, 0x10, 0xFF, 0x7F, 0xFF, 0xFF]);
        }
        let wave = (pleth(self.phase) * 127.0) as u8 & 0x7F;
        if !tracked {
            return packed(0x01, &[0x03, 0x80 | wave, 0x10, 0xFF, 0x7F, 0xFF, 0xFF]);
        }
        let beep = if self.phase < before { 0x40 } else { 0 };
        let [low, high] = self.perfusion.to_le_bytes();
        packed(0x01, &[beep | 5, wave, wave / 9, self.pulse, self.spo2, low, high])
    }

    fn command(&mut self, command: &[u8], now: Instant, out: &mut Vec<u8>) {
        match command[2] {
            0xA1 => {
                if self.until.is_none() {
                    self.next_at = now;
                }
                self.until = Some(now + PATIENCE);
            }
            0xAF => self.until = self.until.map(|_| now + PATIENCE),
            0xA2 | 0xA7 => {
                self.until = None;
                out.extend(packed(0x0C, &[]));
            }
            // Hello, and what this simulator does not know: done, or unsupported.
            0xA0 => out.extend(packed(0x0B, &[0xA0, 0x00])),
            other => out.extend(packed(0x0B, &[other, 0x05])),
        }
    }
}

/// A packet: its type, the top bits of its data, the data with the top bit set.
fn packed(kind: u8, data: &[u8]) -> Vec<u8> {
    let tops = data.iter().enumerate().fold(0x80, |tops, (bit, byte)| tops | (byte >> 7) << bit);
    let mut out = vec![kind, tops];
    out.extend(data.iter().map(|byte| byte | 0x80));
    out
}

impl Device for Oximeter {
    fn plugged(&mut self, now: Instant) {
        self.moved_at = now;
        self.until = None;
        self.heard.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        for &byte in bytes {
            if byte & 0x80 == 0 {
                self.heard.clear();
            }
            self.heard.push(byte);
            if self.heard.len() == COMMAND {
                let command = std::mem::take(&mut self.heard);
                if command[0] == 0x7D {
                    self.command(&command, now, out);
                }
            }
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
        for _ in 0..CATCH_UP_MAX {
            if self.until.is_none() || self.next_at > now {
                return;
            }
            out.extend(self.real_time(now));
            self.next_at += Duration::from_micros(PACKET_US);
        }
        self.next_at = now + Duration::from_micros(PACKET_US);
    }

    fn due(&self) -> Option<Instant> {
        self.until.map(|_| self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "spo2" => self.spo2 = number(key, value, 0, 127)?,
            "pulse" => self.pulse = number(key, value, 0, 255)?,
            "perfusion" => self.perfusion = number(key, value, 0, 65_535)?,
            _ => return Err(format!("no such value: {key}={value}; spo2, pulse, perfusion (hundredths of a percent)")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("spo2={} pulse={} perfusion={}", self.spo2, self.pulse, self.perfusion)
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["finger", "in"] | ["finger", "out"] => {
                let inside = words[1] == "in";
                if inside != self.finger_in {
                    self.finger_in = inside;
                    self.moved_at = now;
                }
                Ok(())
            }
            _ => Err("finger in|out".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_the_specification() {
        let packet = packed(0x01, &[0x45, 0x40, 0x07, 72, 97, 0x59, 0x01]);
        assert_eq!(packet, [0x01, 0x80, 0xC5, 0xC0, 0x87, 0xC8, 0xE1, 0xD9, 0x81]);
        let packet = packed(0x01, &[0x05, 0x31, 0x03, 130, 95, 0x2C, 0x01]);
        assert_eq!(packet, [0x01, 0x88, 0x85, 0xB1, 0x83, 0x82, 0xDF, 0xAC, 0x81]);
    }

    #[test]
    fn it_streams_when_asked_and_stops_when_nobody_calls() {
        let start = Instant::now();
        let mut oximeter = Oximeter::new();
        oximeter.plugged(start);
        let mut out = Vec::new();
        oximeter.tick(start, &mut out);
        assert!(out.is_empty());
        oximeter.hear(&[0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], start, &mut out);
        oximeter.tick(start, &mut out);
        assert_eq!(out.len(), 9);
        oximeter.hear(&[0x7D, 0x81, 0xAF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], start + PATIENCE / 2, &mut out);
        oximeter.tick(start + PATIENCE, &mut out);
        assert!(oximeter.due().is_some(), "it was called");
        oximeter.tick(start + PATIENCE * 2, &mut out);
        assert!(oximeter.due().is_none());
    }
}
