//! Which record of a device's memory is this patient's: of all that is in it, one at most.
//!
//! Such a device measures by itself, keeps what it has measured, and is asked for it. Its memory holds earlier patients.
//! A record is this measurement's only when
//! * it was not in the memory when that was first read in this measurement, and what was in it then still is: it is the
//!   same device, and nobody has erased it; and
//! * by the device's own clock it was taken no earlier than the measurement began, and not later than now.
//!
//! A device that is switched on, or plugged in, when it has measured shows its memory with the new record already in it.
//! That record is taken if it is dated strictly after the beginning by a clock that was right all along (it was not set
//! in this measurement). Otherwise the patient is asked to measure once more.
//!
//! The clock of some devices can be neither read nor set. Their record must be dated later than all that were there,
//! and within what a zone can be from now; one already in the memory at the first reading is never taken.

use std::time::{Duration, Instant};

use consult::vitals::Moment;

use crate::Now;
use crate::device_clock::DeviceTime;

/// Nobody can measure and have it stored within that time of the start: what is in the memory then is older.
const MEMORY_KNOWN_WITHIN: Duration = Duration::from_secs(3);
/// By so much a device's clock may run ahead of what was read of it, seconds.
const SLACK_SECONDS: i64 = 60;

/// A record of a memory.
pub(crate) trait Record: Copy + PartialEq {
    /// When it was taken; `None`: the device does not know.
    fn at(&self) -> Option<DeviceTime>;
}

/// What is known of the device's clock.
#[derive(Clone, Copy)]
enum Clock {
    /// It can be neither read nor set.
    Unknown,
    /// It showed that, then.
    Read { shown: DeviceTime, at: Instant, minutes_ahead: i64, was_set: bool },
}

/// What a reading of the memory gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict<R> {
    /// Nothing of this measurement.
    Nothing,
    /// The record of this measurement, and when it was taken, in UTC by the device's clock.
    Ours(R, Moment),
    /// There is a new record whose date cannot be trusted.
    ClockWrong,
}

/// The memory of a device, during one measurement.
pub(crate) struct Stored<R> {
    began: Instant,
    clock: Clock,
    /// Dates are cut to so many seconds.
    resolution_seconds: i64,
    /// As it was first read.
    before: Option<Vec<R>>,
}

impl<R: Record> Stored<R> {
    /// The measurement begins. The device dates its records to so many seconds, cut.
    pub(crate) fn new(now: Now, resolution_seconds: i64) -> Self {
        Stored { began: now.instant, clock: Clock::Unknown, resolution_seconds, before: None }
    }

    /// The device shows that time now. `was_set`: by us, in this measurement. False: no zone can explain it.
    pub(crate) fn clock(&mut self, shown: DeviceTime, was_set: bool, now: Now) -> bool {
        let Some(minutes_ahead) = shown.minutes_ahead(now.wall) else { return false };
        self.clock = Clock::Read { shown, at: now.instant, minutes_ahead, was_set };
        true
    }

    /// The cable was out. It may be another device of the same kind: that it is the same shows in what it had stored;
    /// where it had nothing and has no clock to be asked for, nothing shows.
    pub(crate) fn port_opened(&mut self) {
        if matches!(self.clock, Clock::Unknown) && self.before.as_ref().is_some_and(Vec::is_empty) {
            self.before = None;
        }
    }

    /// What was first read of the memory, if it has been.
    pub(crate) fn before(&self) -> Option<&[R]> {
        self.before.as_deref()
    }

    /// Looks at the memory as it is now. Of a long one, the records that are newer than one of [`Stored::before`], and
    /// that one, are enough.
    pub(crate) fn look(&mut self, records: &[R], now: Now) -> Verdict<R> {
        let before = match self.before.take() {
            Some(before) if before.is_empty() || before.iter().any(|record| records.contains(record)) => before,
            // Read for the first time, or another device's.
            known => {
                self.before = Some(records.to_vec());
                return if known.is_some() { Verdict::Nothing } else { self.first(records, now) };
            }
        };
        // One by one: the same figures in the same minute twice are two records.
        let mut left = before.clone();
        let mut fresh = Vec::new();
        for record in records {
            match left.iter().position(|known| known == record) {
                Some(at) => drop(left.swap_remove(at)),
                None => fresh.push(*record),
            }
        }
        let verdict = self.of_fresh(&fresh, &before, now);
        self.before = Some(before);
        verdict
    }

    /// The memory as it is first read.
    fn first(&self, records: &[R], now: Now) -> Verdict<R> {
        let Clock::Read { was_set: false, .. } = self.clock else { return Verdict::Nothing };
        if now.instant.saturating_duration_since(self.began) < MEMORY_KNOWN_WITHIN {
            return Verdict::Nothing;
        }
        // Its clock is cut, too: it showed that for less than one step.
        let after = self.began_shown().map(|began| began + self.resolution_seconds - 1);
        self.newest_within(records, after, now)
    }

    fn of_fresh(&self, fresh: &[R], before: &[R], now: Now) -> Verdict<R> {
        // A date is cut: what was taken in the step of the beginning may be dated before it.
        let from = match self.clock {
            Clock::Read { .. } => self.began_shown().map(|began| began - self.resolution_seconds),
            Clock::Unknown => before.iter().filter_map(|record| Some(record.at()?.0)).max(),
        };
        match self.newest_within(fresh, from, now) {
            Verdict::Nothing if fresh.iter().any(|record| !self.is_dated(record, now)) => Verdict::ClockWrong,
            verdict => verdict,
        }
    }

    /// Whether the device knew about when it took that.
    fn is_dated(&self, record: &R, now: Now) -> bool {
        record.at().is_some_and(|at| match self.clock {
            Clock::Read { .. } => true,
            Clock::Unknown => at.minutes_ahead(now.wall).is_some(),
        })
    }

    /// What the device showed when the measurement began.
    fn began_shown(&self) -> Option<i64> {
        match self.clock {
            Clock::Read { shown, at, .. } => Some(shown.0 - seconds(self.began, at)),
            Clock::Unknown => None,
        }
    }

    fn newest_within(&self, records: &[R], after: Option<i64>, now: Now) -> Verdict<R> {
        let within = |record: &R| {
            let at = record.at()?;
            let minutes_ahead = match self.clock {
                Clock::Read { shown, at: read, minutes_ahead, .. } => {
                    (at.0 <= shown.0 + seconds(read, now.instant) + SLACK_SECONDS).then_some(minutes_ahead)?
                }
                Clock::Unknown => at.minutes_ahead(now.wall)?,
            };
            after.is_none_or(|after| after < at.0).then_some((at, minutes_ahead))
        };
        let ours = records.iter().filter_map(|record| Some((within(record)?, *record))).max_by_key(|((at, _), _)| *at);
        ours.map_or(Verdict::Nothing, |((at, minutes_ahead), record)| Verdict::Ours(record, at.moment(minutes_ahead)))
    }
}

fn seconds(from: Instant, to: Instant) -> i64 {
    i64::try_from(to.saturating_duration_since(from).as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-09 08:41:20 UTC.
    const WALL: Moment = Moment(1_773_045_680_000);
    const HERE: i64 = 1_773_045_680;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Kept(Option<i64>, u16);

    impl Record for Kept {
        fn at(&self) -> Option<DeviceTime> {
            self.0.map(DeviceTime)
        }
    }

    fn now() -> Now {
        Now { instant: Instant::now(), wall: WALL }
    }

    fn later(now: Now, seconds: u64) -> Now {
        Now { instant: now.instant + Duration::from_secs(seconds), wall: Moment(now.wall.0 + seconds as i64 * 1000) }
    }

    /// The start of the minute, as a device that knows no seconds writes it.
    fn minute(at: i64) -> i64 {
        at - at.rem_euclid(60)
    }

    /// A device whose clock is `zone` seconds ahead, read as the measurement begins.
    fn with_clock(start: Now, zone: i64) -> Stored<Kept> {
        let mut stored = Stored::new(start, 60);
        assert!(stored.clock(DeviceTime(HERE + zone), false, start));
        stored
    }

    const OLD: Kept = Kept(Some(HERE - 86_400), 1);

    #[test]
    fn a_record_that_comes_into_the_memory_now_is_this_patients_in_every_zone() {
        for zone in [0, 3_600, -9_000, 20_700] {
            let start = now();
            let mut stored = with_clock(start, zone);
            assert_eq!(stored.look(&[OLD], start), Verdict::Nothing);
            let ours = Kept(Some(minute(HERE + 50 + zone)), 2);
            assert_eq!(
                stored.look(&[ours, OLD], later(start, 60)),
                Verdict::Ours(ours, Moment(minute(HERE + 50) * 1_000))
            );
            // Wherever the device puts it.
            let mut stored = with_clock(start, zone);
            stored.look(&[OLD], start);
            assert!(matches!(stored.look(&[OLD, ours], later(start, 60)), Verdict::Ours(..)));
        }
    }

    #[test]
    fn what_was_in_the_memory_is_never_taken_even_when_it_is_dated_now() {
        let start = now();
        for kept in [Kept(Some(minute(HERE)), 3), Kept(Some(minute(HERE) + 60), 3), OLD, Kept(None, 3)] {
            let mut stored = with_clock(start, 0);
            for seconds in [0, 10, 100] {
                assert_eq!(stored.look(&[kept], later(start, seconds)), Verdict::Nothing);
            }
        }
    }

    #[test]
    fn the_same_figures_twice_in_a_minute_are_two_records() {
        let start = now();
        let mut stored = with_clock(start, 0);
        let kept = Kept(Some(minute(HERE)), 3);
        stored.look(&[kept], start);
        assert!(matches!(stored.look(&[kept, kept], later(start, 30)), Verdict::Ours(..)));
    }

    #[test]
    fn a_new_record_dated_outside_of_the_measurement_is_not_taken() {
        let start = now();
        for at in [HERE - 120, HERE - 86_000, HERE + 600, HERE + 86_400] {
            let mut stored = with_clock(start, 0);
            stored.look(&[OLD], start);
            assert_eq!(stored.look(&[Kept(Some(at), 4), OLD], later(start, 60)), Verdict::Nothing, "{at}");
        }
    }

    #[test]
    fn a_new_record_without_a_date_is_the_clocks_fault_and_no_figure() {
        let start = now();
        let mut stored = with_clock(start, 0);
        stored.look(&[OLD, Kept(None, 1)], start);
        assert_eq!(stored.look(&[OLD, Kept(None, 1)], start), Verdict::Nothing, "an earlier patient's");
        assert_eq!(stored.look(&[OLD, Kept(None, 1), Kept(None, 2)], start), Verdict::ClockWrong);
    }

    #[test]
    fn another_devices_memory_is_none_of_this_patients() {
        let start = now();
        let mut stored = with_clock(start, 0);
        stored.look(&[OLD], start);
        let others = [Kept(Some(HERE + 20), 9), Kept(Some(HERE - 5_000), 8)];
        assert_eq!(stored.look(&others, later(start, 30)), Verdict::Nothing);
        let ours = Kept(Some(HERE + 40), 5);
        assert!(
            matches!(stored.look(&[ours, others[0], others[1]], later(start, 60)), Verdict::Ours(record, _) if record == ours)
        );
    }

    #[test]
    fn a_device_that_comes_late_is_believed_only_by_a_clock_that_was_right_all_along() {
        let start = now();
        let ours = Kept(Some(minute(HERE + 120)), 6);
        let look = |was_set, kept: Kept, seconds| {
            let mut stored = Stored::new(start, 60);
            let then = later(start, seconds);
            assert!(stored.clock(DeviceTime(HERE + seconds as i64), was_set, then));
            stored.look(&[kept, OLD], then)
        };
        assert!(matches!(look(false, ours, 150), Verdict::Ours(..)));
        assert_eq!(look(true, ours, 150), Verdict::Nothing, "dated by the clock as it was before it was set");
        assert_eq!(look(false, Kept(Some(minute(HERE)), 6), 150), Verdict::Nothing, "of the minute of the beginning");
        assert_eq!(look(false, Kept(Some(HERE + 1), 6), 2), Verdict::Nothing, "nobody is so quick");
    }

    #[test]
    fn without_a_clock_to_be_read_a_record_must_follow_all_that_were_there() {
        let start = now();
        let before = Kept(Some(HERE - 3_000), 1);
        let look = |at: Option<i64>| {
            let mut stored = Stored::new(start, 1);
            stored.look(&[before], start);
            stored.look(&[Kept(at, 7), before], later(start, 60))
        };
        // An hour ahead: France in winter.
        assert_eq!(look(Some(HERE + 3_640)), Verdict::Ours(Kept(Some(HERE + 3_640), 7), Moment((HERE + 40) * 1_000)));
        assert_eq!(look(Some(HERE - 3_001)), Verdict::Nothing);
        for wrong in [None, Some(HERE - 300 * 86_400), Some(HERE + 20 * 3_600)] {
            assert_eq!(look(wrong), Verdict::ClockWrong, "{wrong:?}");
        }
        let mut late = Stored::new(start, 1);
        assert_eq!(late.look(&[Kept(Some(HERE + 100), 7)], later(start, 110)), Verdict::Nothing);
    }

    #[test]
    fn an_empty_device_without_a_clock_that_was_unplugged_may_be_another() {
        let start = now();
        let mut stored = Stored::new(start, 1);
        assert_eq!(stored.look(&[], start), Verdict::Nothing);
        stored.port_opened();
        assert_eq!(stored.look(&[Kept(Some(HERE + 30), 7)], later(start, 60)), Verdict::Nothing);
        let mut clock = with_clock(start, 0);
        assert_eq!(clock.look(&[], start), Verdict::Nothing);
        clock.port_opened();
        assert!(matches!(clock.look(&[Kept(Some(HERE + 30), 7)], later(start, 60)), Verdict::Ours(..)));
    }

    #[test]
    fn a_clock_that_no_zone_explains_is_refused() {
        assert!(!Stored::<Kept>::new(now(), 60).clock(DeviceTime(HERE - 86_400), false, now()));
    }
}
