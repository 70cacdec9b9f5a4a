//! What a Nonin says when it does not stream a curve: answers to commands, data format 8 (four bytes a second) and
//! data format 13 (one record a spot check).
//!
//! Format 8 has no checksum and no mark of its beginning: what tells it is that four bytes stand alone, with silence
//! before and after.

use std::time::{Duration, Instant};

use crate::device_clock::{Civil, DeviceTime};
use crate::sum8;

/// A silence that ends what was being said: a stream has none that long, format 8 one of nearly a second.
const GAP: Duration = Duration::from_millis(150);
/// Most bytes of a record's data: the document says at least 14, and that more may follow.
const RECORD_DATA_MAX: usize = 64;
/// Most bytes of a serial number's answer. No document at hand says its length.
const SERIAL_DATA_MAX: usize = 32;

const ACCEPTED: u8 = 0x06;
const REFUSED: u8 = 0x15;
const BEGIN: u8 = 0x02;
const END: u8 = 0x03;
const CLOCK_ANSWER: u8 = 0xF2;
const SERIAL_ANSWER: u8 = 0xF4;
/// How a record of format 13 begins.
const RECORD: [u8; 4] = [0x00, 0x02, 0x00, 0x0D];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The choice of a format was accepted, or refused.
    Chosen(bool),
    Clock(DeviceTime),
    Serial(String),
    Figures(Figures),
    Record(Record),
}

/// Data format 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) spo2: u8,
    pub(super) pulse: u16,
    pub(super) out_of_track: bool,
    pub(super) artefact: bool,
    pub(super) sensor_alarm: bool,
    pub(super) low_battery: bool,
    pub(super) high_quality: bool,
}

impl Figures {
    fn read(bytes: [u8; 4]) -> Option<Self> {
        let [status, pulse, spo2, status2] = bytes;
        // Only the first has its top bit set.
        let fits = status & 0x80 != 0 && (pulse | spo2 | status2) & 0x80 == 0;
        fits.then(|| Figures {
            spo2,
            pulse: u16::from(status & 0x03) << 7 | u16::from(pulse),
            out_of_track: status & 0x20 != 0,
            artefact: status & 0x04 != 0,
            sensor_alarm: status2 & 0x08 != 0,
            low_battery: status2 & 0x01 != 0,
            high_quality: status2 & 0x20 != 0,
        })
    }
}

/// Data format 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// `None` when its date is none: it was lost with the battery.
    pub(super) time: Option<DeviceTime>,
    pub(super) spo2: u8,
    pub(super) pulse: u16,
    /// There was a measurement, and it gave no figures.
    pub(super) is_empty: bool,
    /// Stored while nobody listened: may be anybody's.
    pub(super) from_memory: bool,
    pub(super) low_battery: bool,
    pub(super) high_quality: bool,
}

impl Record {
    /// The data section; what follows its first 14 bytes is unknown and skipped.
    fn read(data: &[u8]) -> Option<Self> {
        let [century, year, month, day, hour, minute, second, _, status, status2, high, low, _, spo2] =
            *data.get(..14)?
        else {
            return None;
        };
        let decimal =
            |byte: u8| (byte >> 4 < 10 && byte & 0x0F < 10).then(|| i64::from(byte >> 4) * 10 + i64::from(byte & 0x0F));
        let date = || {
            DeviceTime::from_civil(Civil {
                year: decimal(century)? * 100 + decimal(year)?,
                month: decimal(month)?,
                day: decimal(day)?,
                hour: decimal(hour)?,
                minute: decimal(minute)?,
                second: decimal(second)?,
            })
        };
        Some(Record {
            time: date(),
            spo2,
            // Nine bits: unlike format 2, the low byte has eight of them.
            pulse: u16::from(high & 0x01) << 8 | u16::from(low),
            is_empty: status & 0x01 != 0,
            high_quality: status & 0x02 != 0,
            from_memory: status2 & 0x10 != 0,
            low_battery: status2 & 0x01 != 0,
        })
    }
}

/// What the bytes at the front are.
enum Front {
    Message(Message, usize),
    /// The beginning of one, perhaps.
    Begun,
    Noise,
}

/// What was said since the last silence.
pub(super) struct Messages {
    buffer: Vec<u8>,
    /// Bytes since the silence; four that stand alone may be figures.
    said: usize,
    figures: Option<Figures>,
    last_at: Option<Instant>,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::new(), said: 0, figures: None, last_at: None }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// When [`Messages::silence`] wants to be called.
    pub(super) fn silence_at(&self) -> Option<Instant> {
        self.last_at.map(|at| at + GAP)
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// There was a silence, if that long has passed: what was half said is over.
    pub(super) fn silence(&mut self, now: Instant) -> Option<Message> {
        if self.silence_at().is_none_or(|at| at > now) {
            return None;
        }
        let figures = self.figures.filter(|_| self.said == 4);
        self.clear();
        figures.map(Message::Figures)
    }

    pub(super) fn push(&mut self, byte: u8, now: Instant) {
        self.last_at = Some(now);
        self.buffer.push(byte);
        self.said = self.said.saturating_add(1);
        self.figures =
            if self.said == 4 { <[u8; 4]>::try_from(&self.buffer[..]).ok().and_then(Figures::read) } else { None };
    }

    /// The next whole message. `choosing`: a lone byte may be the answer to the choice of a format.
    pub(super) fn next(&mut self, choosing: bool) -> Option<Message> {
        while !self.buffer.is_empty() {
            // A lone byte is an answer only if it is said on its own.
            let choosing = choosing && self.said == 1;
            match front(&self.buffer, choosing) {
                Front::Message(message, length) => {
                    self.buffer.drain(..length);
                    return Some(message);
                }
                Front::Begun => return None,
                // Four bytes that may be figures stay until the silence tells.
                Front::Noise if self.figures.is_some() || self.said < 4 && self.buffer.len() == self.said => {
                    return None;
                }
                Front::Noise => drop(self.buffer.remove(0)),
            }
        }
        None
    }
}

fn front(bytes: &[u8], choosing: bool) -> Front {
    match *bytes {
        [ACCEPTED] if choosing => Front::Message(Message::Chosen(true), 1),
        [REFUSED] if choosing => Front::Message(Message::Chosen(false), 1),
        [BEGIN, CLOCK_ANSWER, 6, year, month, day, hour, minute, second, end, ..] => {
            let [year, month, day, hour, minute, second] = [year, month, day, hour, minute, second].map(i64::from);
            let civil = Civil { year: 2000 + year, month, day, hour, minute, second };
            match DeviceTime::from_civil(civil) {
                Some(time) if end == END => Front::Message(Message::Clock(time), 10),
                _ => Front::Noise,
            }
        }
        [BEGIN, SERIAL_ANSWER, length, ref data @ ..] if usize::from(length) <= SERIAL_DATA_MAX => {
            let length = usize::from(length);
            match data.get(length) {
                None => Front::Begun,
                Some(&END) => {
                    let letters = data[..length].iter().filter(|byte| byte.is_ascii_alphanumeric());
                    Front::Message(Message::Serial(letters.map(|byte| char::from(*byte)).collect()), length + 4)
                }
                Some(_) => Front::Noise,
            }
        }
        [0x00, 0x02, 0x00, 0x0D, high, low, ref rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if !(14..=RECORD_DATA_MAX).contains(&length) {
                return Front::Noise;
            }
            match rest.get(length..length + 2) {
                None => Front::Begun,
                Some(&[check, END]) if sum8(&rest[..length]) == check => match Record::read(&rest[..length]) {
                    Some(record) => Front::Message(Message::Record(record), length + 8),
                    None => Front::Noise,
                },
                Some(_) => Front::Noise,
            }
        }
        [BEGIN] | [BEGIN, CLOCK_ANSWER] | [BEGIN, SERIAL_ANSWER] => Front::Begun,
        [BEGIN, CLOCK_ANSWER, 6, ref data @ ..] if data.len() < 7 => Front::Begun,
        _ if bytes.len() < 6 && RECORD.starts_with(&bytes[..bytes.len().min(4)]) => Front::Begun,
        _ => Front::Noise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> Vec<Message> {
        let at = Instant::now();
        let mut messages = Messages::new();
        let mut all = Vec::new();
        for byte in bytes {
            messages.push(*byte, at);
            all.extend(std::iter::from_fn(|| messages.next(true)));
        }
        all.extend(messages.silence(at + GAP));
        all
    }

    const EXAMPLE: [u8; 22] = [
        0x00, 0x02, 0x00, 0x0D, 0x00, 0x0E, 0x20, 0x26, 0x03, 0x09, 0x08, 0x41, 0x17, 0x00, 0x02, 0x00, 0x00, 0x44,
        0x00, 0x60, 0x58, 0x03,
    ];

    #[test]
    fn the_record_of_the_specification_is_read() {
        let [Message::Record(record)] = said(&EXAMPLE)[..] else { panic!("{:?}", said(&EXAMPLE)) };
        assert_eq!((record.spo2, record.pulse, record.high_quality, record.is_empty), (96, 68, true, false));
        assert!(!record.from_memory && !record.low_battery);
        let civil = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 17 };
        assert_eq!(record.time.unwrap().civil(), civil);
    }

    #[test]
    fn a_longer_record_is_read_and_a_damaged_one_is_not() {
        let mut longer = EXAMPLE.to_vec();
        longer[5] += 3;
        longer.splice(20..20, [1, 2, 3]);
        longer[23] = longer[23].wrapping_add(6);
        assert_eq!(said(&longer), said(&EXAMPLE));
        // In the middle of noise, and twice.
        let noisy = [&[0x00, 0x00, 0x02][..], &EXAMPLE, &[0x55, 0x00], &EXAMPLE].concat();
        assert_eq!(said(&noisy).len(), 2);
        for bit in 0..22 * 8 {
            let mut damaged = EXAMPLE;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(said(&damaged), [], "bit {bit}");
        }
    }

    #[test]
    fn four_bytes_that_stand_alone_are_figures() {
        let [Message::Figures(figures)] = said(&[0x80, 0x44, 0x60, 0x00])[..] else { panic!() };
        assert_eq!((figures.spo2, figures.pulse, figures.sensor_alarm), (96, 68, false));
        let [Message::Figures(figures)] = said(&[0x83, 0x7F, 0x7F, 0x08])[..] else { panic!() };
        assert_eq!((figures.spo2, figures.pulse, figures.sensor_alarm), (127, 511, true));
        // Three, five, and four of which two begin.
        for wrong in [&[0x80, 0x44, 0x60][..], &[0x80, 0x44, 0x60, 0x00, 0x00], &[0x80, 0x84, 0x60, 0x00]] {
            assert_eq!(said(wrong), [], "{wrong:02x?}");
        }
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(said(&[0x06]), [Message::Chosen(true)]);
        assert_eq!(said(&[0x15]), [Message::Chosen(false)]);
        assert_eq!(said(&[0x33, 0x06]), [], "in the middle of something it is no answer");
        let clock = said(&[0x02, 0xF2, 0x06, 26, 3, 9, 8, 41, 17, 0x03]);
        let civil = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 17 };
        assert_eq!(clock, [Message::Clock(DeviceTime::from_civil(civil).unwrap())]);
        assert_eq!(said(&[0x02, 0xF2, 0x06, 26, 13, 9, 8, 41, 17, 0x03]), [], "no month");
        let serial = [&[0x02, 0xF4, 0x0B, 0x02, 0x02][..], b"501234567", &[0x03]].concat();
        assert_eq!(said(&serial), [Message::Serial("501234567".into())]);
    }
}
