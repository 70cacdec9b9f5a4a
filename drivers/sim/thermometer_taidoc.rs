//! TaiDoc thermometer: silent until asked, stores each temperature with the minute.

use std::time::{Duration, Instant};

use crate::{Device, calendar, number, sum8};

/// Records that its memory holds; the oldest goes first.
const RECORDS_MAX: usize = 30;
/// Model number, binary-coded decimal, low byte first.
const MODEL: [u8; 2] = [0x41, 0x12];

pub(crate) struct Thermometer {
    /// As the packets carry it: tenths below 1000, hundredths from there on.
    raw: u16,
    /// Its clock minus UTC, minutes.
    zone_minutes: i64,
    /// A record appears that long after the host has called, so that a demonstration needs no hand.
    auto: Option<Duration>,
    measure_at: Option<Instant>,
    asleep: bool,
    /// Oldest first: minutes since 1970 by its clock, value.
    records: Vec<(i64, u16)>,
    input: Vec<u8>,
}

impl Thermometer {
    pub(crate) fn new() -> Self {
        let mut device = Self {
            raw: 368,
            zone_minutes: 0,
            auto: None,
            measure_at: None,
            asleep: false,
            records: Vec::new(),
            input: Vec::new(),
        };
        // Two records of yesterday's patients: a real one is never empty.
        let now = device.clock();
        device.records = vec![(now - 1_500, 391), (now - 1_440, 372)];
        device
    }

    /// Minutes since 1970 by its clock.
    fn clock(&self) -> i64 {
        calendar::utc_seconds() / 60 + self.zone_minutes
    }

    fn store(&mut self) {
        if self.records.len() >= RECORDS_MAX {
            self.records.remove(0);
        }
        self.records.push((self.clock(), self.raw));
        self.asleep = false;
    }

    fn answer(&mut self, command: u8, data: [u8; 4], now: Instant) -> Option<[u8; 4]> {
        let index = usize::from(u16::from_le_bytes([data[0], data[1]]));
        let record = self.records.iter().rev().nth(index);
        Some(match command {
            0x22 => {
                if let (Some(auto), None) = (self.auto, self.measure_at) {
                    self.measure_at = Some(now + auto);
                }
                [0; 4]
            }
            0x23 => date(self.clock()),
            0x24 => [MODEL[0], MODEL[1], 0, 0],
            0x25 => record.map_or([0; 4], |(minutes, _)| date(*minutes)),
            0x26 => record.map_or([0; 4], |(_, raw)| {
                let [low, high] = raw.to_le_bytes();
                [low, high, 0, 0]
            }),
            0x27 | 0x28 => [0x01, 0x02, 0x03, command],
            0x2B => {
                let [low, high] = u16::try_from(self.records.len()).unwrap_or(u16::MAX).to_le_bytes();
                [low, high, 0, 0]
            }
            0x33 => {
                self.zone_minutes += minutes(data) - self.clock();
                data
            }
            0x50 => {
                self.asleep = true;
                data
            }
            _ => return None,
        })
    }
}

/// A date as the packets carry it.
fn date(minutes: i64) -> [u8; 4] {
    let [year, month, day, hour, minute, _] = calendar::date(minutes * 60);
    let [low, high] = (((year - 2000) << 9 | month << 5 | day) as u16).to_le_bytes();
    [low, high, minute as u8, hour as u8]
}

/// The other way.
fn minutes([low, high, minute, hour]: [u8; 4]) -> i64 {
    let packed = i64::from(u16::from_le_bytes([low, high]));
    let (year, month, day) = (2000 + (packed >> 9), packed >> 5 & 15, packed & 31);
    calendar::seconds([year, month, day, hour.into(), minute.into(), 0]) / 60
}

impl Device for Thermometer {
    fn plugged(&mut self, _now: Instant) {
        self.input.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        if self.asleep {
            return;
        }
        self.input.extend(bytes);
        while self.input.len() >= 8 {
            let right = self.input[0] == 0x51 && self.input[6] == 0xA3 && sum8(&self.input[..7]) == self.input[7];
            if !right {
                self.input.remove(0);
                continue;
            }
            let packet: Vec<u8> = self.input.drain(..8).collect();
            let data = [packet[2], packet[3], packet[4], packet[5]];
            if let Some(answer) = self.answer(packet[1], data, now) {
                let start = out.len();
                out.extend([0x51, packet[1]]);
                out.extend(answer);
                out.push(0xA5);
                out.push(sum8(&out[start..]));
            }
        }
    }

    fn tick(&mut self, _now: Instant, _out: &mut Vec<u8>) {
        self.measure_at = None;
        self.store();
    }

    fn due(&self) -> Option<Instant> {
        self.measure_at
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            // 36.8 is stored in tenths, 36.84 in hundredths, as the two families of models do.
            "temperature" => {
                let digits = value.replacen('.', "", 1);
                let decimals = value.split_once('.').map_or(0, |(_, d)| d.len());
                let raw = number::<u16>(key, &digits, 0, 9_999)?;
                self.raw = match decimals {
                    0 => raw.saturating_mul(10),
                    1 | 2 => raw,
                    _ => return Err(format!("one or two decimals: {value}")),
                };
            }
            "zone" => self.zone_minutes = number(key, value, -50_000_000, 50_000_000)?,
            "auto" => {
                let seconds = number::<u64>(key, value, 0, 600)?;
                self.auto = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            _ => return Err(format!("no such value: {key}; temperature=36.8, zone=minutes, auto=seconds (0: never)")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        let hundredths = if self.raw >= 1000 { self.raw } else { self.raw * 10 };
        format!("temperature={}.{:02} zone={}", hundredths / 100, hundredths % 100, self.zone_minutes)
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["measure"] => self.store(),
            ["asleep"] => self.asleep = true,
            ["awake"] => self.asleep = false,
            ["empty"] => self.records.clear(),
            _ => return Err("measure, asleep, awake, empty".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_packed_as_the_specification_says() {
        // 2026-03-09 08:41
        assert_eq!(date(29_550_761), [0x69, 0x34, 0x29, 0x08]);
        assert_eq!(minutes([0x69, 0x34, 0x29, 0x08]), 29_550_761);
    }

    #[test]
    fn a_stored_temperature_is_the_newest_record() {
        let mut device = Thermometer::new();
        device.set("temperature", "36.84", Instant::now()).unwrap();
        device.act(&["measure"], Instant::now()).unwrap();
        let mut out = Vec::new();
        device.hear(&[0x51, 0x26, 0, 0, 0, 0, 0xA3, 0x1A], Instant::now(), &mut out);
        assert_eq!(out[..4], [0x51, 0x26, 0x64, 0x0E]);
    }
}
