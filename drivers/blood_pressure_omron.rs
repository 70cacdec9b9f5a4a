//! Omron HEM-790IT, M10-IT and kin over USB HID: blood pressure and pulse, from the cuff's memory.
//!
//! Source: `devices.md` 3.3, checked there against five real USB logs. Reports of 8 bytes: how many are valid, then
//! they; what follows is left over from earlier reports. A feature report chooses what the cuff talks of, a clearing
//! block makes it ready. Commands are three letters, arguments, and the exclusive or of the arguments; answers `OK`,
//! a zero, data, and the exclusive or of the data; or `NO`: once more.
//!
//! The cuff has two banks, for two users; its newest record has index 0. Its clock can be neither read nor set, its
//! serial number is not asked for (how its answer is laid out is not known). After each look at the memory the cuff is
//! told `END`, so that it is free to measure.

use crate::counted_report::{self, REPORT, send};
use crate::cuff_memory::{Answer, ClockAccess, Dialect, Kept, MemoryCuff, RECORDS_MAX, Task, Traits};
use crate::device_clock::{Civil, DeviceTime};
use crate::{Outgoing, Transmit};

/// Feature report: readings, not weekly means nor the device's description.
const READINGS: [u8; 2] = [0x74, 0xBC];
const BANKS: u8 = 2;
const END: &[u8] = b"END\xFF\xFF\x7C";
/// Longest answer that is asked for: a record.
const ANSWER: usize = 17;
/// Data bytes of a record, of a count.
const RECORD_DATA: usize = 13;
const COUNT_DATA: usize = 4;
/// Records of a bank looked at for those that are new: nobody measures as often in one measurement.
const NEW_MAX: u8 = 12;
/// A command refused or damaged is sent again so many times.
const REPEATS_MAX: u8 = 5;

/// The protocol, before its port opens.
pub fn protocol() -> MemoryCuff {
    let traits = Traits { report_bytes: REPORT, clock_access: ClockAccess::None, resolution_seconds: 1 };
    MemoryCuff::new(traits, Omron::default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The first empty report of the clearing block is out.
    Clearing,
    /// The whole block is out.
    Cleared,
    Count {
        bank: u8,
    },
    Record {
        bank: u8,
        index: u8,
        count: u8,
    },
}

impl Step {
    fn command(self) -> Option<Vec<u8>> {
        let (name, arguments) = match self {
            Step::Clearing | Step::Cleared => return None,
            Step::Count { bank } => (b"GDC", [0, bank, 0, 0]),
            Step::Record { bank, index, .. } => (b"GME", [0, bank, 0, index]),
        };
        Some([name, &arguments[..], &[xor(&arguments)]].concat())
    }
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[derive(Default)]
struct Omron {
    step: Option<Step>,
    repeats: u8,
    /// An answer as far as it has come.
    answer: Vec<u8>,
    /// What was in the memory when the measurement began.
    before: Option<Vec<Kept>>,
    found: Vec<Kept>,
}

impl Omron {
    fn go(&mut self, step: Step, out: &mut Outgoing) {
        self.step = Some(step);
        self.repeats = 0;
        self.send(out);
    }

    fn send(&mut self, out: &mut Outgoing) {
        self.answer.clear();
        let Some(command) = self.step.and_then(Step::command) else { return };
        send(&command, out);
    }

    /// The command once more, or all over again.
    fn repeat(&mut self, out: &mut Outgoing) -> Answer {
        self.repeats += 1;
        if self.repeats > REPEATS_MAX {
            self.step = None;
            return Answer::NotReady;
        }
        self.send(out);
        Answer::Progress
    }

    /// A bank is read: the next, or the end.
    fn next_bank(&mut self, bank: u8, out: &mut Outgoing) -> Answer {
        if bank + 1 < BANKS {
            self.go(Step::Count { bank: bank + 1 }, out);
            return Answer::Progress;
        }
        self.step = None;
        send(END, out);
        Answer::Memory(std::mem::take(&mut self.found))
    }

    /// The data of a whole answer; an error: damaged.
    fn data(&self, length: usize) -> Option<Result<&[u8], ()>> {
        let whole = self.answer.get(..length + 4)?;
        let (data, sum) = (&whole[3..length + 3], whole[length + 3]);
        Some(if whole[..3] == [b'O', b'K', 0] && xor(data) == sum { Ok(data) } else { Err(()) })
    }

    fn counted(&mut self, bank: u8, out: &mut Outgoing) -> Answer {
        match self.data(COUNT_DATA) {
            None => Answer::Progress,
            Some(Err(())) => self.repeat(out),
            Some(Ok(data)) => match data[3] {
                0 => self.next_bank(bank, out),
                count => {
                    self.go(Step::Record { bank, index: 0, count }, out);
                    Answer::Progress
                }
            },
        }
    }

    fn recorded(&mut self, bank: u8, index: u8, count: u8, out: &mut Outgoing) -> Answer {
        let kept = match self.data(RECORD_DATA) {
            None => return Answer::Progress,
            Some(Err(())) => return self.repeat(out),
            Some(Ok(data)) => kept(bank, data),
        };
        if self.found.len() < RECORDS_MAX {
            self.found.push(kept);
        }
        // The newest tells the memory at the beginning; later, all that are newer than one that was there.
        let is_known = self.before.as_ref().is_none_or(|before| before.contains(&kept));
        if is_known || index + 1 >= count.min(NEW_MAX) {
            return self.next_bank(bank, out);
        }
        self.go(Step::Record { bank, index: index + 1, count }, out);
        Answer::Progress
    }
}

fn kept(bank: u8, data: &[u8]) -> Kept {
    let at = |index: usize| data.get(index).copied().unwrap_or(0);
    let civil = Civil {
        year: 2000 + i64::from(at(0)),
        month: at(1).into(),
        day: at(2).into(),
        hour: at(3).into(),
        minute: at(4).into(),
        second: at(5).into(),
    };
    Kept {
        at: DeviceTime::from_civil(civil),
        systolic_mmhg: at(8).into(),
        diastolic_mmhg: at(9).into(),
        pulse_per_minute: at(10).into(),
        user: bank,
        ..Kept::default()
    }
}

impl Dialect for Omron {
    fn ask(&mut self, _task: Task, before: Option<&[Kept]>, out: &mut Outgoing) {
        *self = Omron { before: before.map(<[Kept]>::to_vec), ..Omron::default() };
        out.transmit(Transmit::Feature(READINGS.to_vec()));
        out.send(&[7, 0, 0, 0, 0, 0, 0, 0]);
        self.step = Some(Step::Clearing);
    }

    fn report(&mut self, _task: Task, report: &[u8], out: &mut Outgoing) -> Answer {
        let Some(step) = self.step else { return Answer::Noise };
        if let [0, ..] | [8, 0x60, ..] = report
            && step != Step::Clearing
        {
            self.step = None;
            return Answer::NotReady;
        }
        let meant = counted_report::meant(report);
        match step {
            Step::Clearing => {
                for _ in 0..3 {
                    out.send(&[7, 0, 0, 0, 0, 0, 0, 0]);
                }
                out.send(&[2, 0, 0]);
                self.step = Some(Step::Cleared);
                Answer::Progress
            }
            Step::Cleared if meant == Some(b"OK") => {
                self.go(Step::Count { bank: 0 }, out);
                Answer::Progress
            }
            Step::Cleared => Answer::Noise,
            Step::Count { .. } | Step::Record { .. } => {
                let Some(meant) = meant else { return Answer::Noise };
                let room = ANSWER.saturating_sub(self.answer.len());
                self.answer.extend(meant.iter().take(room));
                if self.answer.starts_with(b"NO") {
                    return self.repeat(out);
                }
                match step {
                    Step::Count { bank } => self.counted(bank, out),
                    Step::Record { bank, index, count } => self.recorded(bank, index, count, out),
                    Step::Clearing | Step::Cleared => Answer::Noise,
                }
            }
        }
    }

    fn farewell(&mut self, out: &mut Outgoing) {
        // In the midst of a look.
        if self.step.take().is_some() {
            send(END, out);
        }
    }

    fn buffered(&self) -> usize {
        self.answer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_the_specification_are_read() {
        let mut omron =
            Omron { answer: b"OK\0\x1A\x03\x09\x08\x29\x11\0\0\x7A\x4F\x44\0\0\x51".to_vec(), ..Omron::default() };
        let data = omron.data(RECORD_DATA).unwrap().unwrap();
        let record = kept(0, data);
        let at = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 17 };
        assert_eq!(record.at.unwrap().civil(), at);
        assert_eq!((record.systolic_mmhg, record.diastolic_mmhg, record.pulse_per_minute), (122, 79, 68));
        omron.answer = b"OK\0\x07\x01\x03\0\x06\x33\0\0\x70\x4B\x47\0\0\x4C".to_vec();
        let record = kept(1, omron.data(RECORD_DATA).unwrap().unwrap());
        let at = Civil { year: 2007, month: 1, day: 3, hour: 0, minute: 6, second: 51 };
        assert_eq!(record.at.unwrap().civil(), at);
        assert_eq!((record.systolic_mmhg, record.diastolic_mmhg, record.pulse_per_minute), (112, 75, 71));
        omron.answer[9] ^= 1;
        assert_eq!(omron.data(RECORD_DATA), Some(Err(())), "damaged");
        omron.answer.pop();
        assert_eq!(omron.data(RECORD_DATA), None, "not whole");
    }

    #[test]
    fn a_command_is_cut_into_reports_of_seven() {
        let (mut omron, mut out) = (Omron::default(), Outgoing::default());
        omron.go(Step::Record { bank: 1, index: 2, count: 9 }, &mut out);
        let sent: Vec<_> = std::iter::from_fn(|| out.poll_transmit()).collect();
        let expected = [&[7, b'G', b'M', b'E', 0, 1, 0, 2][..], &[1, 3]].map(|report| Transmit::Bytes(report.to_vec()));
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_cuff_that_only_refuses_is_given_up_for_now() {
        let (mut omron, mut out) = (Omron::default(), Outgoing::default());
        omron.go(Step::Count { bank: 0 }, &mut out);
        let no = [2, b'N', b'O', 0, 0, 0, 0, 0];
        for _ in 0..REPEATS_MAX {
            assert!(matches!(omron.report(Task::Memory, &no, &mut out), Answer::Progress));
        }
        assert!(matches!(omron.report(Task::Memory, &no, &mut out), Answer::NotReady));
        assert!(matches!(omron.report(Task::Memory, &no, &mut out), Answer::Noise), "nothing is asked any more");
    }
}
