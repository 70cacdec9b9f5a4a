//! What the simulated cuffs with a memory share: an arm, a clock, records of earlier patients, a button.

use std::time::{Duration, Instant};

use crate::{Device, calendar, number};

/// Records that a memory holds; the oldest goes first.
const RECORDS_MAX: usize = 90;

/// A measurement in the memory.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    /// Seconds since 1970 by its clock; `None`: the clock was not set.
    pub(crate) at: Option<i64>,
    pub(crate) systolic: u16,
    pub(crate) diastolic: u16,
    pub(crate) mean: u16,
    pub(crate) pulse: u16,
    /// 0, 1 (and 2): which of its users.
    pub(crate) user: u8,
}

/// The cuff without its cable.
pub(crate) struct Arm {
    next: Record,
    /// Its clock minus UTC, seconds.
    ahead: i64,
    is_set: bool,
    /// A record appears that long after the host has asked, so that a demonstration needs no hand.
    auto: Option<Duration>,
    measure_at: Option<Instant>,
    pub(crate) asleep: bool,
    /// It says that it is not ready, so many times yet; or whatever its protocol has for that.
    pub(crate) refusals: u32,
    /// Oldest first.
    pub(crate) records: Vec<Record>,
}

impl Arm {
    fn new() -> Arm {
        let next = Record { at: None, systolic: 122, diastolic: 79, mean: 93, pulse: 68, user: 0 };
        let mut arm = Arm {
            next,
            ahead: 0,
            is_set: true,
            auto: None,
            measure_at: None,
            asleep: false,
            refusals: 0,
            records: Vec::new(),
        };
        // Two of yesterday's patients: a real one is never empty.
        let yesterday = arm.clock() - 86_400;
        arm.records = vec![
            Record { at: Some(yesterday), systolic: 164, diastolic: 101, mean: 122, pulse: 88, user: 0 },
            Record { at: Some(yesterday + 3_600), systolic: 118, diastolic: 70, mean: 86, pulse: 61, user: 1 },
        ];
        arm
    }

    /// Seconds since 1970 by its clock.
    pub(crate) fn clock(&self) -> i64 {
        calendar::utc_seconds() + self.ahead
    }

    pub(crate) fn set_clock(&mut self, civil: [i64; 6]) {
        self.ahead = calendar::seconds(civil) - calendar::utc_seconds();
        self.is_set = true;
    }

    /// Newest first, of one user.
    pub(crate) fn of_user(&self, user: u8) -> Vec<Record> {
        self.records.iter().rev().filter(|record| record.user == user).copied().collect()
    }

    /// The host asks for something.
    pub(crate) fn asked(&mut self, now: Instant) {
        if let (Some(auto), None) = (self.auto, self.measure_at) {
            self.measure_at = Some(now + auto);
        }
    }

    fn store(&mut self) {
        if self.records.len() >= RECORDS_MAX {
            self.records.remove(0);
        }
        let at = self.is_set.then(|| self.clock());
        self.records.push(Record { at, ..self.next });
        self.asleep = false;
    }
}

/// How it speaks.
pub(crate) trait Speech: Send {
    fn plugged(&mut self);
    /// An output report; input reports go to `out`.
    fn hear(&mut self, report: &[u8], arm: &mut Arm, out: &mut Vec<u8>);
    fn hear_feature(&mut self, _report: &[u8], _arm: &mut Arm, _out: &mut Vec<u8>) {}
}

/// A cuff that keeps what it measures.
pub(crate) struct Cuff<S> {
    arm: Arm,
    speech: S,
}

impl<S> Cuff<S> {
    pub(crate) fn new(speech: S) -> Cuff<S> {
        Cuff { arm: Arm::new(), speech }
    }

    #[cfg(test)]
    pub(crate) fn arm(&mut self) -> &mut Arm {
        &mut self.arm
    }
}

impl<S: Speech> Device for Cuff<S> {
    fn plugged(&mut self, _now: Instant) {
        self.speech.plugged();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        if !self.arm.asleep {
            self.arm.asked(now);
            self.speech.hear(bytes, &mut self.arm, out);
        }
    }

    fn hear_feature(&mut self, report: &[u8], _now: Instant, out: &mut Vec<u8>) {
        if !self.arm.asleep {
            self.speech.hear_feature(report, &mut self.arm, out);
        }
    }

    fn tick(&mut self, _now: Instant, _out: &mut Vec<u8>) {
        self.arm.measure_at = None;
        self.arm.store();
    }

    fn due(&self) -> Option<Instant> {
        self.arm.measure_at
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        let next = &mut self.arm.next;
        match key {
            "systolic" => next.systolic = number(key, value, 0, 300)?,
            "diastolic" => next.diastolic = number(key, value, 0, 300)?,
            "mean" => next.mean = number(key, value, 0, 300)?,
            "pulse" => next.pulse = number(key, value, 0, 255)?,
            "user" => next.user = number(key, value, 0, 2)?,
            "zone" => self.arm.ahead = 60 * number(key, value, -50_000_000, 50_000_000)?,
            "auto" => {
                let seconds = number::<u64>(key, value, 0, 600)?;
                self.arm.auto = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "refusals" => self.arm.refusals = number(key, value, 0, 1_000)?,
            _ => {
                return Err(format!(
                    "no such value: {key}; systolic diastolic mean pulse user zone=minutes auto=seconds refusals"
                ));
            }
        }
        Ok(())
    }

    fn values(&self) -> String {
        let Record { systolic, diastolic, mean, pulse, user, .. } = self.arm.next;
        let zone = self.arm.ahead / 60;
        format!("systolic={systolic} diastolic={diastolic} mean={mean} pulse={pulse} user={user} zone={zone}")
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["measure"] => self.arm.store(),
            ["asleep"] => self.arm.asleep = true,
            ["awake"] => self.arm.asleep = false,
            ["empty"] => self.arm.records.clear(),
            ["full"] => {
                let oldest = self.arm.clock() - 200 * 86_400;
                let record = |day: usize| Record { at: Some(oldest + day as i64 * 86_400), ..self.arm.next };
                self.arm.records = (0..RECORDS_MAX).map(record).collect();
            }
            ["clock", "lost"] => self.arm.is_set = false,
            _ => return Err("measure, asleep, awake, empty, full, clock lost".into()),
        }
        Ok(())
    }
}

/// Cuts an answer into reports of 8 bytes: how many of seven are meant, then they. Behind the last stands what was left
/// in the cuff's buffer, as of real ones.
pub(crate) fn counted(answer: &[u8], left_over: &mut [u8; 7], out: &mut Vec<u8>) {
    for part in answer.chunks(7) {
        left_over[..part.len()].copy_from_slice(part);
        out.push(part.len() as u8);
        out.extend(&*left_over);
    }
}

/// The meant bytes of such a report.
pub(crate) fn meant(report: &[u8]) -> &[u8] {
    report.first().and_then(|count| report.get(1..=usize::from(count & 0x0F))).unwrap_or_default()
}
