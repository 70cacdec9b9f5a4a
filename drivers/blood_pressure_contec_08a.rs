//! Contec 08A and 08C over USB HID: blood pressure and pulse, from the cuff's memory.
//!
//! Source: `devices.md` 3.2, its record checked there on eight real ones. Reports of 64 bytes. Each of the three users'
//! memory is asked for by itself: a report that says whether the cuff is switched on, one with the number of records,
//! then one report a record, without an end. Numbers travel in 7 bits a byte, their top bits collected in bytes 0 and 8,
//! as those of Contec's oximeters do. The clock can be neither read nor set.

use crate::Outgoing;
use crate::cuff_memory::{Answer, ClockAccess, Dialect, Kept, MemoryCuff, RECORDS_MAX, Task, Traits};
use crate::device_clock::{Civil, DeviceTime};

const REPORT: usize = 64;
const PING: [u8; 6] = [0x40, 0x8F, 0xFF, 0xFE, 0xFD, 0xFC];
/// Users 1, 2 and 3, as the cuff numbers them.
const FIRST_USER: u8 = 4;
const LAST_USER: u8 = 6;
/// Bytes of a record that are numbers.
const RECORD: usize = 14;

/// The protocol, before its port opens.
pub fn protocol() -> MemoryCuff {
    let traits = Traits { report_bytes: REPORT, clock_access: ClockAccess::None, resolution_seconds: 60 };
    MemoryCuff::new(traits, Contec { step: Step::Idle, found: Vec::new() })
}

#[derive(Clone, Copy)]
enum Step {
    Idle,
    Pinged,
    /// That user's memory is asked for.
    Asked {
        user: u8,
    },
    /// It is switched on.
    Opened {
        user: u8,
    },
    Records {
        user: u8,
        left: u8,
    },
}

struct Contec {
    step: Step,
    found: Vec<Kept>,
}

impl Contec {
    fn read(&mut self, user: u8, out: &mut Outgoing) -> Answer {
        if user > LAST_USER {
            self.step = Step::Idle;
            return Answer::Memory(std::mem::take(&mut self.found));
        }
        out.send(&[0x43, 0x41, 0x01, user, 0x02, 0x00]);
        self.step = Step::Asked { user };
        Answer::Progress
    }
}

/// The number of which 7 bits are in `report[at]` and the top one in the byte before its seven.
fn number(report: &[u8], at: usize) -> u16 {
    let tops = at / 8 * 8;
    let top = report[tops] >> (at - tops - 1) & 1;
    u16::from(report[at] & 0x7F | top << 7)
}

fn kept(user: u8, report: &[u8]) -> Option<Kept> {
    let record = report.get(..RECORD)?;
    if record.iter().any(|byte| byte & 0x80 == 0) {
        return None;
    }
    let n = |at| number(record, at);
    let civil = Civil {
        year: 2000 + i64::from(n(6)),
        month: n(7).into(),
        day: n(9).into(),
        hour: n(10).into(),
        minute: n(11).into(),
        second: 0,
    };
    Some(Kept {
        at: DeviceTime::from_civil(civil),
        systolic_mmhg: n(1) << 8 | n(2),
        diastolic_mmhg: n(3),
        pulse_per_minute: n(4),
        mean_mmhg: Some(n(5)),
        user,
        ..Kept::default()
    })
}

impl Dialect for Contec {
    fn ask(&mut self, _task: Task, _before: Option<&[Kept]>, out: &mut Outgoing) {
        self.found.clear();
        out.send(&PING);
        out.send(&PING);
        self.step = Step::Pinged;
    }

    fn report(&mut self, _task: Task, report: &[u8], out: &mut Outgoing) -> Answer {
        match (self.step, report) {
            (Step::Idle, _) => Answer::Noise,
            (Step::Pinged, _) => self.read(FIRST_USER, out),
            (Step::Asked { user }, [0x4A, 0x43, 0x01, ..]) => {
                self.step = Step::Opened { user };
                Answer::Progress
            }
            // Switched off: it answers, and has nothing to say.
            (Step::Asked { .. }, [0x4A, 0x43, ..]) => {
                self.step = Step::Idle;
                Answer::NotReady
            }
            (Step::Opened { user }, [0x46, 0x41, ..]) => match report[4] & 0x7F {
                0 => self.read(user + 1, out),
                left => {
                    self.step = Step::Records { user, left };
                    Answer::Progress
                }
            },
            (Step::Records { user, left }, _) => {
                let Some(kept) = kept(user, report) else { return Answer::Noise };
                if self.found.len() < RECORDS_MAX {
                    self.found.push(kept);
                }
                if left == 1 {
                    return self.read(user + 1, out);
                }
                self.step = Step::Records { user, left: left - 1 };
                Answer::Progress
            }
            // The answer to the second ping, among others.
            (Step::Asked { .. } | Step::Opened { .. }, _) => Answer::Noise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_the_specification_is_read() {
        let report = [0x80, 0x80, 0xF9, 0xCE, 0xC0, 0xDC, 0x98, 0x83, 0x80, 0x89, 0x88, 0xA9, 0x80, 0x91];
        let record = kept(4, &report).unwrap();
        let at = Civil { year: 2024, month: 3, day: 9, hour: 8, minute: 41, second: 0 };
        assert_eq!(record.at.unwrap().civil(), at);
        // Not 249: the top bit of each byte is no part of the number.
        assert_eq!((record.systolic_mmhg, record.diastolic_mmhg), (121, 78));
        assert_eq!((record.pulse_per_minute, record.mean_mmhg), (64, Some(92)));
        let mut above_127 = report;
        above_127[0] |= 2;
        assert_eq!(kept(4, &above_127).unwrap().systolic_mmhg, 249);
        for at in 0..RECORD {
            let mut wrong = report;
            wrong[at] &= 0x7F;
            assert!(kept(4, &wrong).is_none(), "byte {at} is none of a record");
        }
        assert!(kept(4, &report[..13]).is_none());
    }
}
