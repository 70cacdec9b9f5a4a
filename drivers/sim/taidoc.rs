//! What TaiDoc's devices have in common: packets of 8 bytes, silence until asked, a memory dated to the minute.

use std::time::{Duration, Instant};

use crate::{Device, calendar, number, sum8};

/// Records that a memory holds; the oldest goes first.
const RECORDS_MAX: usize = 30;

/// What one kind of device measures.
pub(crate) trait Kind: Send {
    /// Model number, binary-coded decimal, low byte first.
    const MODEL: [u8; 2];
    /// Values that can be set, for a person.
    const KEYS: &'static str;
    /// Records of yesterday's patients: a real memory is never empty.
    const YESTERDAY: [[u8; 4]; 2];
    /// What is stored when it measures.
    fn record(&self) -> [u8; 4];
    /// Sets a value; false: it has none of that name.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, String>;
    /// The values, as `key=value` words.
    fn values(&self) -> String;
    /// How long it measures when the host starts it; `None`: it has no such command.
    fn measures_for(&self) -> Option<Duration> {
        None
    }
}

/// A device with a memory.
pub(crate) struct Meter<K> {
    kind: K,
    /// Its clock minus UTC, minutes.
    zone_minutes: i64,
    /// A record appears that long after the host has called, so that a demonstration needs no hand.
    auto: Option<Duration>,
    measure_at: Option<Instant>,
    /// The host has started it and is told when it has done.
    is_started: bool,
    asleep: bool,
    /// Oldest first: minutes since 1970 by its clock, value.
    records: Vec<(i64, [u8; 4])>,
    input: Vec<u8>,
}

impl<K: Kind> Meter<K> {
    pub(crate) fn new(kind: K) -> Self {
        let mut meter = Self {
            kind,
            zone_minutes: 0,
            auto: None,
            measure_at: None,
            is_started: false,
            asleep: false,
            records: Vec::new(),
            input: Vec::new(),
        };
        let now = meter.clock();
        let [first, second] = K::YESTERDAY;
        meter.records = vec![(now - 1_500, first), (now - 1_440, second)];
        meter
    }

    /// Minutes since 1970 by its clock.
    fn clock(&self) -> i64 {
        calendar::utc_seconds() / 60 + self.zone_minutes
    }

    fn store(&mut self) {
        if self.records.len() >= RECORDS_MAX {
            self.records.remove(0);
        }
        self.records.push((self.clock(), self.kind.record()));
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
            0x24 => [K::MODEL[0], K::MODEL[1], 0, 0],
            0x25 => record.map_or([0; 4], |(minutes, _)| date(*minutes)),
            0x26 => record.map_or([0; 4], |(_, value)| *value),
            0x27 | 0x28 => [0x01, 0x02, 0x03, command],
            0x2B => {
                let [low, high] = u16::try_from(self.records.len()).unwrap_or(u16::MAX).to_le_bytes();
                [low, high, 0, 0]
            }
            0x33 => {
                self.zone_minutes += minutes(data) - self.clock();
                data
            }
            0x43 if data == [0, 0, 1, 1] => {
                self.measure_at = Some(now + self.kind.measures_for()?);
                self.is_started = true;
                [0; 4]
            }
            0x50 => {
                self.asleep = true;
                self.measure_at = None;
                self.is_started = false;
                data
            }
            _ => return None,
        })
    }
}

/// The next packet of a host; what is none is skipped.
pub(crate) fn take(input: &mut Vec<u8>) -> Option<(u8, [u8; 4])> {
    while input.len() >= 8 {
        if input[0] == 0x51 && input[6] == 0xA3 && sum8(&input[..7]) == input[7] {
            let packet: Vec<u8> = input.drain(..8).collect();
            return Some((packet[1], [packet[2], packet[3], packet[4], packet[5]]));
        }
        input.remove(0);
    }
    None
}

/// Says a packet.
pub(crate) fn say(command: u8, data: [u8; 4], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0x51, command]);
    out.extend(data);
    out.push(0xA5);
    out.push(sum8(&out[start..]));
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

impl<K: Kind> Device for Meter<K> {
    fn plugged(&mut self, _now: Instant) {
        self.input.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        if self.asleep {
            return;
        }
        self.input.extend(bytes);
        while let Some((command, data)) = take(&mut self.input) {
            if let Some(answer) = self.answer(command, data, now) {
                say(command, answer, out);
            }
        }
    }

    fn tick(&mut self, _now: Instant, out: &mut Vec<u8>) {
        self.measure_at = None;
        self.store();
        if std::mem::take(&mut self.is_started) {
            say(0x43, self.kind.record(), out);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.measure_at
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "zone" => self.zone_minutes = number(key, value, -50_000_000, 50_000_000)?,
            "auto" => {
                let seconds = number::<u64>(key, value, 0, 600)?;
                self.auto = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            _ if self.kind.set(key, value)? => {}
            _ => return Err(format!("no such value: {key}; {}, zone=minutes, auto=seconds (0: never)", K::KEYS)),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("{} zone={}", self.kind.values(), self.zone_minutes)
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
}
