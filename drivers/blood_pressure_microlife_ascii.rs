//! Microlife BP A6 PC, BP A200, BP 3GX1 over USB HID: blood pressure and pulse, from the cuff's memory.
//!
//! Source: `devices.md` 3.4 a. The cuff's USB chip is a Cypress HID to serial one: reports of 8 bytes carry up to 7. The
//! host sends `12 16 18` and a command; the cuff answers `06`, text in hexadecimal digits, and two more digits, the sum
//! of that text. Its clock is read, and set when it is wrong: the 33 bytes that the cuff wants behind the date are sent
//! as zeros (what they are is not known; never seen on hardware).

use crate::counted_report::{self, REPORT};
use crate::cuff_memory::{Answer, ClockAccess, Dialect, Kept, MemoryCuff, RECORDS_MAX, Task, Traits};
use crate::device_clock::{Civil, DeviceTime};
use crate::{Outgoing, sum8};

const READ_ALL: u8 = 0x22;
const GET_CLOCK: u8 = 0x26;
const SET_CLOCK: u8 = 0x27;
const ACCEPTED: u8 = 0x06;
/// Bytes that set the clock: a date, and what is not known.
const CLOCK_BYTES: usize = 40;
/// Digits of a date in the answer, of what comes before the records, of a record, of the sum.
const CLOCK: usize = 14;
const HEAD: usize = 32;
const RECORD: usize = 32;
const SUM: usize = 2;

/// The protocol, before its port opens.
pub fn protocol() -> MemoryCuff {
    let traits = Traits { report_bytes: REPORT, clock_access: ClockAccess::ReadAndSet, resolution_seconds: 60 };
    MemoryCuff::new(traits, Microlife::default())
}

/// Which part of an answer comes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Before the `06`.
    #[default]
    Nothing,
    Clock,
    Head,
    Records {
        left: usize,
    },
    Sum,
}

#[derive(Default)]
struct Microlife {
    part: Part,
    /// The digits of this part so far.
    digits: Vec<u8>,
    /// Of all digits before the sum.
    sum: u8,
    clock: Option<DeviceTime>,
    found: Vec<Kept>,
}

impl Microlife {
    fn begin(&mut self, part: Part) {
        self.part = part;
        self.digits.clear();
    }

    fn byte(&mut self, task: Task, byte: u8, out: &mut Outgoing) -> Answer {
        if byte == ACCEPTED {
            (self.sum, self.clock) = (0, None);
            self.found.clear();
            self.begin(match task {
                Task::Clock => Part::Clock,
                Task::Memory => Part::Head,
                Task::SetClock(civil) => {
                    let digits: String = clock_bytes(civil).iter().map(|byte| format!("{byte:02X}")).collect();
                    let sum = format!("{:02X}", sum8(digits.as_bytes()));
                    counted_report::send(format!("{digits}{sum}").as_bytes(), out);
                    self.part = Part::Nothing;
                    return Answer::ClockSet;
                }
            });
            return Answer::Progress;
        }
        if self.part == Part::Nothing || !byte.is_ascii_hexdigit() {
            self.part = Part::Nothing;
            return Answer::Noise;
        }
        self.digits.push(byte);
        if self.part != Part::Sum {
            self.sum = self.sum.wrapping_add(byte);
        }
        self.part(task)
    }

    /// A digit has come: the part may be whole.
    fn part(&mut self, task: Task) -> Answer {
        let next = match (self.part, self.digits.len()) {
            (Part::Clock, CLOCK) => {
                self.clock = clock(&self.digits);
                Part::Sum
            }
            (Part::Head, HEAD) => match number(&self.digits[..4]) {
                Some(0) => Part::Sum,
                Some(left) if left <= RECORDS_MAX as u64 => Part::Records { left: left as usize },
                _ => Part::Nothing,
            },
            (Part::Records { left }, RECORD) => {
                self.found.push(kept(&self.digits));
                if left == 1 { Part::Sum } else { Part::Records { left: left - 1 } }
            }
            (Part::Sum, SUM) => {
                let is_right = number(&self.digits) == Some(self.sum.into());
                self.begin(Part::Nothing);
                return match task {
                    _ if !is_right => Answer::NotReady,
                    Task::Clock => Answer::Clock(self.clock),
                    Task::Memory => Answer::Memory(std::mem::take(&mut self.found)),
                    Task::SetClock(_) => Answer::Noise,
                };
            }
            _ => return Answer::Progress,
        };
        self.begin(next);
        Answer::Progress
    }
}

/// A number in hexadecimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// `MMDDYYYYhhmmss`.
fn clock(digits: &[u8]) -> Option<DeviceTime> {
    let n = |from: usize, to: usize| std::str::from_utf8(digits.get(from..to)?).ok()?.parse::<i64>().ok();
    DeviceTime::from_civil(Civil {
        month: n(0, 2)?,
        day: n(2, 4)?,
        year: n(4, 8)?,
        hour: n(8, 10)?,
        minute: n(10, 12)?,
        second: n(12, 14)?,
    })
}

/// The date in binary-coded decimal: month, day, century, year, hour, minute, second.
fn clock_bytes(civil: Civil) -> [u8; CLOCK_BYTES] {
    let Civil { year, month, day, hour, minute, second } = civil;
    let mut bytes = [0; CLOCK_BYTES];
    for (byte, value) in bytes.iter_mut().zip([month, day, year / 100, year % 100, hour, minute, second]) {
        *byte = (value / 10 % 10 * 16 + value % 10) as u8; // two decimal digits
    }
    bytes
}

/// `yymmddHHMM`, six digits, then pulse, diastolic and systolic, ten bits each of a word of 32.
fn kept(digits: &[u8]) -> Kept {
    let n = |from: usize, to: usize| std::str::from_utf8(digits.get(from..to)?).ok()?.parse::<i64>().ok();
    let date = || {
        let (year, month, day) = (2000 + n(0, 2)?, n(2, 4)?, n(4, 6)?);
        DeviceTime::from_civil(Civil { year, month, day, hour: n(6, 8)?, minute: n(8, 10)?, second: 0 })
    };
    let word = digits.get(16..24).and_then(number).unwrap_or(0);
    let ten_bits = |from: u32| (word >> from & 0x3FF) as u16;
    Kept {
        at: date(),
        systolic_mmhg: ten_bits(0),
        diastolic_mmhg: ten_bits(10),
        pulse_per_minute: ten_bits(20),
        ..Kept::default()
    }
}

impl Dialect for Microlife {
    fn ask(&mut self, task: Task, _before: Option<&[Kept]>, out: &mut Outgoing) {
        self.begin(Part::Nothing);
        let command = match task {
            Task::Clock => GET_CLOCK,
            Task::SetClock(_) => SET_CLOCK,
            Task::Memory => READ_ALL,
        };
        counted_report::send(&[0x12, 0x16, 0x18, command], out);
    }

    fn report(&mut self, task: Task, report: &[u8], out: &mut Outgoing) -> Answer {
        let Some(meant) = counted_report::meant(report) else { return Answer::Noise };
        let mut answer = Answer::Noise;
        for &byte in meant {
            answer = self.byte(task, byte, out);
            if !matches!(answer, Answer::Noise | Answer::Progress) {
                break;
            }
        }
        answer
    }

    fn buffered(&self) -> usize {
        self.digits.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(cuff: &mut Microlife, task: Task, text: &[u8]) -> Answer {
        let mut answer = Answer::Noise;
        for part in text.chunks(7) {
            let mut report = vec![part.len() as u8];
            report.extend(part);
            report.resize(REPORT, b'F');
            answer = cuff.report(task, &report, &mut Outgoing::default());
        }
        answer
    }

    #[test]
    fn the_answer_of_the_specification_is_read_and_a_damaged_one_is_asked_for_again() {
        let text = format!("\x0600010000{}260309084100000004413C7A0000000059", "0".repeat(24));
        let mut cuff = Microlife::default();
        let Answer::Memory(records) = hear(&mut cuff, Task::Memory, text.as_bytes()) else { panic!("no memory") };
        let at = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 0 };
        assert_eq!(records[0].at.unwrap().civil(), at);
        let Kept { systolic_mmhg, diastolic_mmhg, pulse_per_minute, .. } = records[0];
        assert_eq!((systolic_mmhg, diastolic_mmhg, pulse_per_minute), (122, 79, 68));
        for at in [1, 4, 40, 60, 65] {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            let answer = hear(&mut cuff, Task::Memory, &damaged);
            assert!(!matches!(answer, Answer::Memory(_)), "a digit changed at {at}");
        }
    }

    #[test]
    fn a_record_without_a_date_keeps_its_figures_and_has_no_date() {
        let record = kept(b"00000000000000000x413C7A00000000");
        assert_eq!(record.at, None);
        assert_eq!(kept(b"26133008410000000441 3C7A0000000").at, None);
    }

    #[test]
    fn its_clock_is_read_and_set_as_the_specification_says() {
        let mut cuff = Microlife::default();
        let digits = "03092026084117";
        let text = format!("\x06{digits}{:02X}", sum8(digits.as_bytes()));
        let at = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 17 };
        assert!(
            matches!(hear(&mut cuff, Task::Clock, text.as_bytes()), Answer::Clock(Some(time)) if time.civil() == at)
        );
        assert_eq!(clock_bytes(at)[..8], [0x03, 0x09, 0x20, 0x26, 0x08, 0x41, 0x17, 0]);
        let mut out = Outgoing::default();
        cuff.ask(Task::SetClock(at), None, &mut out);
        assert_eq!(out.poll_transmit().unwrap().bytes(), [4, 0x12, 0x16, 0x18, SET_CLOCK]);
        let accepted = [1, ACCEPTED, 0, 0, 0, 0, 0, 0];
        assert!(matches!(cuff.report(Task::SetClock(at), &accepted, &mut out), Answer::ClockSet));
        let sent: Vec<u8> =
            std::iter::from_fn(|| out.poll_transmit()).flat_map(|report| report.bytes()[1..].to_vec()).collect();
        assert_eq!(sent.len(), 2 * CLOCK_BYTES + SUM);
        assert!(sent.starts_with(b"0309202608411700"));
    }
}
