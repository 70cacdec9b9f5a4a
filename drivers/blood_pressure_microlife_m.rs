//! Microlife BP B3 Comfort PC over USB HID: blood pressure and pulse, from the cuff's memory.
//!
//! Source: `devices.md` 3.4 b. Reports of 8 bytes carry up to 7 bytes of frames: `4D`, `FF` from the host or `3A` from
//! the cuff, how many bytes follow, they, and the sum of all before it. The cuff's clock can be set and not read: it is
//! set at the start of each measurement. The mark that the cuff sat well becomes the reading's quality; the mark of an
//! irregular beat is not taken.

use crate::counted_report::{self, REPORT};
use crate::cuff_memory::{Answer, ClockAccess, Dialect, Kept, MemoryCuff, Task, Traits};
use crate::device_clock::{Civil, DeviceTime};
use crate::{Outgoing, sum8};

const START: u8 = 0x4D;
const FROM_HOST: u8 = 0xFF;
const FROM_CUFF: u8 = 0x3A;
const READ_ALL: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0xFD];
const SET_CLOCK: u8 = 0x0D;
const DISCONNECT: u8 = 0x04;
const SUCCESS: u8 = 0x81;

/// Bytes of a frame before what it says.
const HEAD: usize = 4;
/// Place of the number of records in what the frame says, and of the first record; bytes of one.
const COUNT: usize = 3;
const RECORDS: usize = 38;
const RECORD: usize = 10;
/// Of a frame with as many records as its number can be.
const SAID_MAX: usize = RECORDS + RECORD * 255;

/// The protocol, before its port opens.
pub fn protocol() -> MemoryCuff {
    let traits = Traits { report_bytes: REPORT, clock_access: ClockAccess::SetOnly, resolution_seconds: 60 };
    MemoryCuff::new(traits, Microlife::default())
}

/// A frame as it comes. Its records are read on the way: it may be longer than what a protocol may hold.
#[derive(Default)]
struct Frame {
    /// Its head, then the first bytes that it says.
    start: Vec<u8>,
    /// Bytes that have come, with its head.
    come: usize,
    sum: u8,
    record: Vec<u8>,
    found: Vec<Kept>,
}

/// What a byte completes.
enum Whole {
    /// A good frame: the first bytes that it says, and the records.
    Good(Vec<u8>, Vec<Kept>),
    /// One with a wrong sum, or none at all.
    Bad,
    NotYet,
}

impl Frame {
    /// Bytes that it says, without its sum.
    fn said(&self) -> Option<usize> {
        let length = usize::from(u16::from_be_bytes([*self.start.get(2)?, *self.start.get(3)?]));
        length.checked_sub(1)
    }

    fn byte(&mut self, byte: u8) -> Whole {
        let at = self.come;
        let is_right = match at {
            0 => byte == START,
            1 => byte == FROM_CUFF,
            _ => true,
        };
        if !is_right {
            *self = Frame::default();
            // What is no second byte may be the first of the next frame.
            if byte == START {
                return self.byte(byte);
            }
            return Whole::Bad;
        }
        self.come += 1;
        if at < HEAD + RECORDS {
            self.start.push(byte);
        }
        let Some(said) = self.said().filter(|_| self.come >= HEAD) else {
            self.sum = self.sum.wrapping_add(byte);
            if self.come >= HEAD {
                *self = Frame::default();
                return Whole::Bad;
            }
            return Whole::NotYet;
        };
        if !(1..=SAID_MAX).contains(&said) {
            *self = Frame::default();
            return Whole::Bad;
        }
        if at == HEAD + said {
            let Frame { start, sum, found, .. } = std::mem::take(self);
            let first = &start[HEAD..HEAD + said.min(RECORDS)];
            return if sum == byte { Whole::Good(first.to_vec(), found) } else { Whole::Bad };
        }
        self.sum = self.sum.wrapping_add(byte);
        if at >= HEAD + RECORDS {
            self.record.push(byte);
            if self.record.len() == RECORD {
                self.found.push(kept(&self.record));
                self.record.clear();
            }
        }
        Whole::NotYet
    }
}

#[derive(Default)]
struct Microlife {
    frame: Frame,
}

fn frame(says: &[u8]) -> Vec<u8> {
    let [high, low] = (says.len() as u16 + 1).to_be_bytes();
    let mut frame = [&[START, FROM_HOST, high, low], says].concat();
    frame.push(sum8(&frame));
    frame
}

/// Pressures, pulse, date, marks. Month 0: its clock was never set.
fn kept(record: &[u8]) -> Kept {
    let at = |index: usize| record.get(index).copied().unwrap_or(0);
    let civil = Civil {
        year: 2000 + i64::from(at(3)),
        month: at(4).into(),
        day: at(5).into(),
        hour: at(6).into(),
        minute: at(7).into(),
        second: 0,
    };
    Kept {
        at: DeviceTime::from_civil(civil),
        systolic_mmhg: at(0).into(),
        diastolic_mmhg: at(1).into(),
        pulse_per_minute: at(2).into(),
        well_fitted: Some(at(8) & 0x80 != 0),
        ..Kept::default()
    }
}

impl Dialect for Microlife {
    fn ask(&mut self, task: Task, _before: Option<&[Kept]>, out: &mut Outgoing) {
        self.frame = Frame::default();
        let says = match task {
            Task::SetClock(civil) => {
                let Civil { year, month, day, hour, minute, second } = civil;
                // Each fits: two digits at most.
                let date = [year - 2000, month, day, hour, minute, second].map(|part| part as u8);
                [&[SET_CLOCK], &date[..]].concat()
            }
            Task::Memory | Task::Clock => READ_ALL.to_vec(),
        };
        counted_report::send(&frame(&says), out);
    }

    fn report(&mut self, task: Task, report: &[u8], _out: &mut Outgoing) -> Answer {
        let Some(meant) = counted_report::meant(report).filter(|meant| !meant.is_empty()) else { return Answer::Noise };
        for &byte in meant {
            match (self.frame.byte(byte), task) {
                (Whole::NotYet, _) => {}
                (Whole::Bad, _) => return Answer::Noise,
                (Whole::Good(said, _), Task::SetClock(_)) if said == [SUCCESS] => return Answer::ClockSet,
                (Whole::Good(said, found), Task::Memory)
                    if said.len() == RECORDS && usize::from(said[COUNT]) <= found.len() =>
                {
                    let count = usize::from(said[COUNT]);
                    return Answer::Memory(found.into_iter().take(count).collect());
                }
                (Whole::Good(..), _) => return Answer::Noise,
            }
        }
        Answer::Progress
    }

    fn farewell(&mut self, out: &mut Outgoing) {
        counted_report::send(&frame(&[DISCONNECT]), out);
    }

    fn buffered(&self) -> usize {
        self.frame.start.len() + self.frame.record.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(cuff: &mut Microlife, task: Task, frame: &[u8]) -> Answer {
        let mut answer = Answer::Noise;
        for part in frame.chunks(7) {
            let mut report = vec![part.len() as u8];
            report.extend(part);
            report.resize(REPORT, START);
            answer = cuff.report(task, &report, &mut Outgoing::default());
        }
        answer
    }

    fn example() -> Vec<u8> {
        let mut frame = vec![0x4D, 0x3A, 0x00, 0x31, 0, 0, 0, 1, 1];
        frame.resize(42, 0);
        frame.extend([0x7A, 0x4F, 0x44, 0x1A, 3, 9, 8, 0x29, 0x80, 0, 0x9E]);
        frame
    }

    #[test]
    fn the_frames_of_the_specification_are_ours() {
        assert_eq!(frame(&READ_ALL), [0x4D, 0xFF, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0xFD, 0x52]);
        assert_eq!(frame(&[DISCONNECT]), [0x4D, 0xFF, 0, 2, 4, 0x52]);
        assert_eq!(
            frame(&[SET_CLOCK, 0x1A, 3, 9, 8, 0x29, 0x11]),
            [0x4D, 0xFF, 0, 8, 0x0D, 0x1A, 3, 9, 8, 0x29, 0x11, 0xC9]
        );
    }

    #[test]
    fn the_answer_of_the_specification_is_read_and_a_damaged_one_is_not() {
        let mut cuff = Microlife::default();
        let Answer::Memory(records) = hear(&mut cuff, Task::Memory, &example()) else { panic!("no memory") };
        let at = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 0 };
        assert_eq!(records[0].at.unwrap().civil(), at);
        let Kept { systolic_mmhg, diastolic_mmhg, pulse_per_minute, well_fitted, .. } = records[0];
        assert_eq!((systolic_mmhg, diastolic_mmhg, pulse_per_minute), (122, 79, 68));
        assert_eq!(well_fitted, Some(true));
        for at in 0..example().len() {
            let mut damaged = example();
            damaged[at] ^= 4;
            let mut cuff = Microlife::default();
            assert!(!matches!(hear(&mut cuff, Task::Memory, &damaged), Answer::Memory(_)), "a bit changed at {at}");
        }
    }

    #[test]
    fn noise_before_a_frame_costs_nothing_and_a_month_of_zero_is_no_date() {
        let mut cuff = Microlife::default();
        assert!(matches!(
            hear(&mut cuff, Task::Memory, &[0x4D, 0x4D, 7, 0x3A, 0x4D]),
            Answer::Noise | Answer::Progress
        ));
        let mut undated = example();
        undated[46] = 0;
        let last = undated.len() - 1;
        undated[last] -= 3;
        let Answer::Memory(records) = hear(&mut cuff, Task::Memory, &undated) else { panic!("no memory") };
        assert_eq!(records[0].at, None);
    }
}
