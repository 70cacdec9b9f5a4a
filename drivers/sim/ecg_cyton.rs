//! OpenBCI Cyton behind its dongle: asked by letters, answers in text, streams packets of 33 bytes.

use std::time::{Duration, Instant};

use crate::heart::{leads_nv, noise};
use crate::{Device, number};

/// Never more packets in one go than that: a machine that slept loses the rest, and the numbers show it.
const CATCH_UP_MAX: u32 = 128;
/// Full scale of its converter at gain 1: 4.5 V, nanovolts.
const REFERENCE_NV: i64 = 4_500_000_000;
/// Largest count.
const COUNT_MAX: i64 = 8_388_607;
/// Gains by their digit in a channel's settings.
const GAINS: [i64; 7] = [1, 2, 4, 6, 8, 12, 24];
/// Leads by channel, as an electrode is named in a command.
const LEADS: [&str; 8] = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signal {
    Heart,
    /// Each channel counts packets, from 1000 times its number: a test sees every one that is missing.
    Count,
}

pub(crate) struct Board {
    rate_hz: u32,
    pulse: u32,
    signal: Signal,
    /// Digit of each channel's gain.
    gains: [usize; 8],
    off: [bool; 8],
    /// The radio loses so many packets yet.
    drop: u32,
    switched_on: bool,
    streaming: bool,
    next_at: Instant,
    packets: u32,
    phase: f64,
    noise: u64,
    heard: Vec<u8>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            rate_hz: 250,
            pulse: 72,
            signal: Signal::Heart,
            gains: [6; 8],
            off: [false; 8],
            drop: 0,
            switched_on: true,
            streaming: false,
            next_at: Instant::now(),
            packets: 0,
            phase: 0.0,
            noise: 0x9E37_79B9_7F4A_7C15,
            heard: Vec::new(),
        }
    }

    fn samples(&mut self) -> [i64; 8] {
        let heart = leads_nv(self.phase);
        std::array::from_fn(|channel| {
            if self.off[channel] {
                return COUNT_MAX;
            }
            if self.signal == Signal::Count {
                return 1_000 * (channel as i64 + 1) + i64::from(self.packets);
            }
            // An electrode has a voltage of its own, far above the heart's.
            let nanovolts = heart[channel] + 12_000_000 * (channel as i64 - 3) + noise(&mut self.noise, 2_000);
            let gain = GAINS[self.gains[channel]];
            (nanovolts * gain * COUNT_MAX / REFERENCE_NV).clamp(-COUNT_MAX, COUNT_MAX)
        })
    }

    fn push(&mut self, out: &mut Vec<u8>) {
        let samples = self.samples();
        let number = self.packets as u8;
        self.packets = self.packets.wrapping_add(1);
        self.phase = (self.phase + f64::from(self.pulse) / 60.0 / f64::from(self.rate_hz)).fract();
        if self.drop > 0 {
            self.drop -= 1;
            return;
        }
        out.extend([0xA0, number]);
        samples.iter().for_each(|sample| out.extend(&(*sample as i32).to_be_bytes()[1..]));
        out.extend([0x00, 0x10, 0xFF, 0xF0, 0x1F, 0x40, 0xC0]);
    }

    /// One whole command from what was heard; how many bytes it had.
    fn command(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        let heard = std::mem::take(&mut self.heard);
        let taken = match *heard.first()? {
            b'x' if heard.len() < 9 => None,
            b'x' => {
                self.channel(&heard[1..9], out);
                Some(9)
            }
            b'~' if heard.len() < 2 => None,
            b'~' => {
                match heard[1] {
                    b'~' => out.extend(format!("Sample rate is {}Hz$$$", self.rate_hz).bytes()),
                    digit @ b'0'..=b'6' => {
                        self.rate_hz = 16_000 >> (digit - b'0');
                        out.extend(format!("Sample rate set to {}Hz$$$", self.rate_hz).bytes());
                    }
                    _ => out.extend(b"Failure: sample value out of bounds$$$"),
                }
                Some(2)
            }
            b'v' => {
                self.streaming = false;
                self.gains = [6; 8];
                out.extend(b"OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\n");
                out.extend(b"LIS3DH Device ID: 0x33\nFirmware: v3.1.2\n$$$");
                Some(1)
            }
            b'b' => {
                self.streaming = true;
                self.next_at = now;
                self.packets = 0;
                Some(1)
            }
            b's' => {
                self.streaming = false;
                Some(1)
            }
            // No second board is there to be removed; anything else is not known here.
            _ => Some(1),
        };
        self.heard = heard;
        taken
    }

    fn channel(&mut self, settings: &[u8], out: &mut Vec<u8>) {
        if self.streaming {
            return;
        }
        let digit = |at: usize| settings[at].wrapping_sub(b'0');
        match (digit(0), usize::from(digit(2))) {
            (channel @ 1..=8, gain) if gain < GAINS.len() && settings[7] == b'X' => {
                self.gains[usize::from(channel) - 1] = gain;
                out.extend(format!("Success: Channel set for {channel}$$$").bytes());
            }
            _ => out.extend(b"Failure: 9th char not X$$$"),
        }
    }

    fn period(&self) -> Duration {
        Duration::from_micros(1_000_000 / u64::from(self.rate_hz))
    }
}

impl Device for Board {
    fn plugged(&mut self, now: Instant) {
        // The dongle has power from USB; the board has its battery and goes on.
        self.next_at = now;
        self.heard.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        if !self.switched_on {
            out.extend(b"Failure: Communications timeout - Device failed to poll host$$$");
            return;
        }
        self.heard.extend(bytes);
        while let Some(taken) = self.command(now, out) {
            self.heard.drain(..taken);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        for _ in 0..CATCH_UP_MAX {
            if !self.streaming || self.next_at > now {
                return;
            }
            self.push(out);
            self.next_at += self.period();
        }
        while self.next_at <= now {
            self.packets = self.packets.wrapping_add(1);
            self.next_at += self.period();
        }
    }

    fn due(&self) -> Option<Instant> {
        self.streaming.then_some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match (key, value) {
            ("rate", "250" | "500" | "1000") => self.rate_hz = number(key, value, 250, 1_000)?,
            ("pulse", _) => self.pulse = number(key, value, 20, 240)?,
            ("signal", "heart") => self.signal = Signal::Heart,
            ("signal", "count") => self.signal = Signal::Count,
            _ => return Err(format!("no such value: {key}={value}; rate=250|500|1000, pulse, signal=heart|count")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        let signal = if self.signal == Signal::Heart { "heart" } else { "count" };
        format!("rate={} pulse={} signal={signal} packets={}", self.rate_hz, self.pulse, self.packets)
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["electrode", lead, state @ ("on" | "off")] if LEADS.contains(lead) => {
                for (off, name) in self.off.iter_mut().zip(LEADS) {
                    if name == *lead {
                        *off = *state == "off";
                    }
                }
            }
            ["drop", count] => self.drop = number("drop", count, 0, 100_000)?,
            ["switch", state @ ("on" | "off")] => {
                self.switched_on = *state == "on";
                self.streaming = false;
            }
            _ => return Err("electrode I|II|V1..V6 on|off, drop PACKETS, switch on|off".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_was_asked_and_streams_a_millivolt_as_its_gain_makes_it() {
        let now = Instant::now();
        let mut board = Board::new();
        let mut out = Vec::new();
        board.hear(b"vx1050100X~~~", now, &mut out);
        assert!(String::from_utf8_lossy(&out).ends_with("$$$Success: Channel set for 1$$$Sample rate is 250Hz$$$"));
        board.hear(b"5", now, &mut out);
        assert!(out.ends_with(b"Sample rate set to 500Hz$$$"));
        out.clear();
        board.hear(b"b", now, &mut out);
        board.tick(now + Duration::from_millis(9), &mut out);
        assert_eq!(out.len(), 5 * 33);
        assert!(out.chunks(33).enumerate().all(|(at, packet)| packet[0] == 0xA0 && packet[1] == at as u8));
        assert_eq!(1_000_000 * GAINS[6] * COUNT_MAX / REFERENCE_NV, 44_739);
    }
}
