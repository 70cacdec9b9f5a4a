//! Cuffs that measure by their own button and keep what they measured: the cabin reads their memory.
//!
//! A protocol of such a cuff is its dialect: how its memory and its clock are asked for in reports, and what they
//! answer. When it is asked, again and again, and which of its records is this patient's ([`stored`](crate::stored)) is
//! here, so that it is the same whichever cuff is plugged.
//!
//! Nothing is ever erased from a cuff. Its clock is set only when it cannot be any zone's (more than 15 hours off), or
//! when it can be set and not read; and then to UTC.

use std::time::{Duration, Instant};

use consult::vitals::{BloodPressure, Moment, PulseRate, Value};

use crate::device_clock::{Civil, DeviceTime};
use crate::stored::{Record, Stored, Verdict};
use crate::{Absent, Event, Fault, Measured, Now, Outgoing, Protocol, Status, Transmit};

/// A cuff answers, or goes on answering, within that time.
const ANSWER_MAX: Duration = Duration::from_millis(700);
/// A question is repeated so many times before the cuff counts as switched off.
const TRIES_MAX: u8 = 5;
/// One that says that it is not ready is asked again after that.
const NOT_READY_FOR: Duration = Duration::from_millis(100);
/// A clock that was set is read again after that.
const CLOCK_SET_WITHIN: Duration = Duration::from_millis(500);
/// One that does not answer is called again that often.
const CALL_EVERY: Duration = Duration::from_millis(1_500);
/// The memory is looked at that often during a measurement: a cuff works for most of a minute.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Time for a measurement, from its start or from the return of the port: a cuff that measures three times in a row and
/// keeps the mean takes about four minutes.
const MEASUREMENT_MAX: Duration = Duration::from_secs(300);
/// More records than any of these cuffs has. What claims more is noise.
pub(crate) const RECORDS_MAX: usize = 512;

/// One measurement, as a cuff keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kept {
    /// `None`: the date in it is none.
    pub(crate) at: Option<DeviceTime>,
    pub(crate) systolic_mmhg: u16,
    pub(crate) diastolic_mmhg: u16,
    /// Of a cuff that gives it.
    pub(crate) mean_mmhg: Option<u16>,
    pub(crate) pulse_per_minute: u16,
    /// The cuff's own word on whether it sat well, of one that has it.
    pub(crate) well_fitted: Option<bool>,
    /// Which of the cuff's users, or banks. Only tells records apart.
    pub(crate) user: u8,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept([patient])")
    }
}

impl Record for Kept {
    fn at(&self) -> Option<DeviceTime> {
        self.at
    }
}

/// What can be done about a cuff's clock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockAccess {
    /// It is read, and set when it is wrong.
    ReadAndSet,
    /// It can only be set: so it is, at the start of each measurement, and then known.
    SetOnly,
    /// Neither.
    None,
}

/// What the cuff is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Clock,
    SetClock(Civil),
    Memory,
}

/// What a report means.
pub(crate) enum Answer {
    /// Nothing that was asked for.
    Noise,
    /// A part of what was asked for, or a step towards it.
    Progress,
    /// It is not ready: the question is put again.
    NotReady,
    /// What its clock shows; `None`: no date.
    Clock(Option<DeviceTime>),
    /// Its clock is set.
    ClockSet,
    /// Its memory: whole, or as far back as [`Stored::look`] needs.
    Memory(Vec<Kept>),
}

/// How a cuff speaks.
pub(crate) trait Dialect: Send {
    /// Bytes of a report.
    fn report_bytes(&self) -> usize;
    /// What can be done about its clock.
    fn clock_access(&self) -> ClockAccess;
    /// It dates what it keeps to so many seconds.
    fn resolution_seconds(&self) -> i64;
    /// Begins to ask; what was half answered is forgotten. `before` is what was in the memory at the beginning.
    fn ask(&mut self, task: Task, before: Option<&[Kept]>, out: &mut Outgoing);
    /// A whole report came while that is asked for.
    fn report(&mut self, task: Task, report: &[u8], out: &mut Outgoing) -> Answer;
    /// The measurement has ended.
    fn farewell(&mut self, _out: &mut Outgoing) {}
    /// Bytes of the past held.
    fn buffered(&self) -> usize {
        0
    }
}

#[derive(Clone, Copy)]
enum Line {
    Asking {
        task: Task,
        tries: u8,
        until: Instant,
    },
    /// `tries`: of the task that comes next, so far.
    Pausing {
        next: Task,
        tries: u8,
        until: Instant,
    },
}

struct Run {
    stored: Stored<Kept>,
    deadline: Instant,
    line: Line,
    clock_was_set: bool,
    /// It is being called in vain.
    called: bool,
}

/// The protocol of a cuff with a memory.
pub struct MemoryCuff {
    dialect: Box<dyn Dialect>,
    /// A report, until it is whole.
    input: Vec<u8>,
    run: Option<Run>,
    /// Something came since it was last understood.
    unheard: bool,
    fault: Option<Fault>,
    out: Outgoing,
}

impl MemoryCuff {
    /// Before the port opens.
    pub(crate) fn new(dialect: impl Dialect + 'static) -> Self {
        MemoryCuff {
            dialect: Box::new(dialect),
            input: Vec::new(),
            run: None,
            unheard: false,
            fault: None,
            out: Outgoing::default(),
        }
    }

    fn first_task(&self, now: Now) -> Task {
        match self.dialect.clock_access() {
            ClockAccess::ReadAndSet => Task::Clock,
            ClockAccess::SetOnly => Task::SetClock(DeviceTime::of(now.wall).civil()),
            ClockAccess::None => Task::Memory,
        }
    }

    fn ask(&mut self, task: Task, tries: u8, now: Now) {
        let Some(run) = &mut self.run else { return };
        // What was set is the time of that moment, not of a try before.
        let task = match task {
            Task::SetClock(_) => Task::SetClock(DeviceTime::of(now.wall).civil()),
            task => task,
        };
        run.line = Line::Asking { task, tries, until: now.instant + ANSWER_MAX };
        self.dialect.ask(task, run.stored.before(), &mut self.out);
    }

    fn pause(&mut self, next: Task, tries: u8, time: Duration, now: Now) {
        let Some(run) = &mut self.run else { return };
        run.line = Line::Pausing { next, tries, until: now.instant + time };
    }

    fn end(&mut self, why: Absent) {
        self.run = None;
        self.out.end(why);
        self.dialect.farewell(&mut self.out);
    }

    fn report(&mut self, report: &[u8], now: Now) {
        let Some(run) = &mut self.run else { return };
        let Line::Asking { task, tries, .. } = run.line else { return };
        let answer = self.dialect.report(task, report, &mut self.out);
        if matches!(answer, Answer::Noise) {
            self.unheard = true;
            return;
        }
        run.line = Line::Asking { task, tries, until: now.instant + ANSWER_MAX };
        run.called = false;
        if let (Task::SetClock(_), Answer::ClockSet) = (task, &answer) {
            run.clock_was_set = true;
        }
        match (task, answer) {
            (_, Answer::NotReady) if tries < TRIES_MAX => self.pause(task, tries, NOT_READY_FOR, now),
            (_, Answer::NotReady) => self.call_again(now),
            (Task::Clock, Answer::Clock(shown)) => {
                self.understood();
                self.clock(shown, now);
            }
            (Task::SetClock(civil), Answer::ClockSet) => {
                self.understood();
                if self.dialect.clock_access() == ClockAccess::SetOnly {
                    self.clock(DeviceTime::from_civil(civil), now);
                } else {
                    self.pause(Task::Clock, 0, CLOCK_SET_WITHIN, now);
                }
            }
            (Task::Memory, Answer::Memory(records)) => {
                self.understood();
                self.memory(&records, now);
            }
            _ => {}
        }
    }

    fn understood(&mut self) {
        self.unheard = false;
        if self.fault.take().is_some() {
            self.out.event(Event::Fault(Fault::Recovered));
        }
    }

    fn clock(&mut self, shown: Option<DeviceTime>, now: Now) {
        let Some(run) = &mut self.run else { return };
        if shown.is_some_and(|shown| run.stored.clock(shown, run.clock_was_set, now)) {
            self.ask(Task::Memory, 1, now);
        } else if run.clock_was_set {
            self.end(Absent::ClockWrong);
        } else {
            self.ask(Task::SetClock(DeviceTime::of(now.wall).civil()), 1, now);
        }
    }

    fn memory(&mut self, records: &[Kept], now: Now) {
        let Some(run) = &mut self.run else { return };
        match run.stored.look(records, now) {
            Verdict::Nothing => {
                self.out.status(Status::MeasureOnDevice);
                self.pause(Task::Memory, 0, LOOK_EVERY, now);
            }
            Verdict::ClockWrong => self.end(Absent::ClockWrong),
            Verdict::Ours(kept, at) => {
                self.run = None;
                say(&kept, at, &mut self.out);
                self.dialect.farewell(&mut self.out);
            }
        }
    }

    /// It does not answer: switched off, or it is no such cuff.
    fn call_again(&mut self, now: Now) {
        let task = self.first_task(now);
        let Some(run) = &mut self.run else { return };
        run.called = true;
        if self.unheard && self.fault.is_none() {
            self.fault = Some(Fault::Garbled);
            self.out.event(Event::Fault(Fault::Garbled));
        }
        self.unheard = false;
        self.out.status(Status::ConnectDevice);
        self.pause(task, 0, CALL_EVERY, now);
    }
}

/// Gives what the cuff kept, or why it is none, and ends the measurement.
fn say(kept: &Kept, at: Moment, out: &mut Outgoing) {
    let Kept { systolic_mmhg, diastolic_mmhg, mean_mmhg, pulse_per_minute, well_fitted, .. } = *kept;
    if (systolic_mmhg, diastolic_mmhg, pulse_per_minute) == (0, 0, 0) {
        return out.end(Absent::Empty);
    }
    let reading = |value| Event::Reading(Measured { value, device_at: Some(at), high_quality: well_fitted });
    match BloodPressure::from_mmhg(systolic_mmhg, diastolic_mmhg, mean_mmhg) {
        // A pulse beside pressures that are none is not one either.
        Err(refused) => return out.end(refused.into()),
        Ok(pressure) => out.event(reading(Value::BloodPressure(pressure))),
    }
    match PulseRate::from_per_minute(pulse_per_minute) {
        Err(refused) => out.event(Event::Invalid(refused.into())),
        Ok(pulse) => out.event(reading(Value::PulseRate(pulse))),
    }
    out.event(Event::Finished);
}

impl Protocol for MemoryCuff {
    fn port_opened(&mut self, now: Now) {
        self.input.clear();
        self.out.forget_commands();
        self.out.forget_status();
        let task = self.first_task(now);
        if let Some(run) = &mut self.run {
            run.deadline = now.instant + MEASUREMENT_MAX;
            run.stored.port_opened();
            self.ask(task, 1, now);
        }
    }

    fn start(&mut self, now: Now) {
        self.out.forget_status();
        let task = self.first_task(now);
        self.run = Some(Run {
            stored: Stored::new(now, self.dialect.resolution_seconds()),
            deadline: now.instant + MEASUREMENT_MAX,
            line: Line::Pausing { next: task, tries: 0, until: now.instant },
            clock_was_set: false,
            called: false,
        });
        self.ask(task, 1, now);
    }

    fn stop(&mut self, _now: Now) {
        if self.run.is_some() {
            self.end(Absent::Stopped);
        }
    }

    fn measuring_max(&self) -> Duration {
        MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        for &byte in bytes {
            self.input.push(byte);
            if self.input.len() == self.dialect.report_bytes() {
                let report = std::mem::take(&mut self.input);
                self.report(&report, now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let Some(run) = &mut self.run else { return };
        if run.deadline <= now.instant {
            let why = if run.called { Absent::Silent } else { Absent::timed_out(MEASUREMENT_MAX) };
            return self.end(why);
        }
        match run.line {
            Line::Pausing { next, tries, until } if until <= now.instant => self.ask(next, tries + 1, now),
            Line::Asking { task, tries, until } if until <= now.instant => {
                if tries < TRIES_MAX {
                    self.ask(task, tries + 1, now);
                } else {
                    self.call_again(now);
                }
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let run = self.run.as_ref()?;
        let (Line::Asking { until, .. } | Line::Pausing { until, .. }) = run.line;
        Some(until.min(run.deadline))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.input.len() + self.dialect.buffered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{blood_pressure_contec_08a, blood_pressure_microlife_ascii};

    /// What is said, and how many commands are sent, until the measurement ends or `time` has passed.
    fn run(cuff: &mut MemoryCuff, time: Duration, answer: impl Fn(&[u8]) -> Vec<u8>) -> (Vec<Event>, usize) {
        let mut now = Now { instant: Instant::now(), wall: Moment(1_773_045_680_000) };
        let until = now.instant + time;
        let (mut events, mut sent) = (Vec::new(), 0);
        cuff.port_opened(now);
        cuff.start(now);
        loop {
            while let Some(transmit) = cuff.poll_transmit() {
                sent += 1;
                cuff.handle_input(&answer(transmit.bytes()), now);
            }
            events.extend(std::iter::from_fn(|| cuff.poll_event()));
            let Some(at) = cuff.poll_timeout().filter(|at| *at <= until) else { return (events, sent) };
            let passed = at.saturating_duration_since(now.instant);
            now.instant += passed;
            now.wall.0 += i64::try_from(passed.as_millis()).unwrap();
            cuff.handle_timeout(now);
        }
    }

    #[test]
    fn a_cuff_that_never_answers_is_called_until_the_time_is_over() {
        let mut cuff = blood_pressure_contec_08a::protocol();
        let (events, sent) = run(&mut cuff, 2 * MEASUREMENT_MAX, |_| Vec::new());
        let expected = [Event::Status(Status::ConnectDevice), Event::Invalid(Absent::Silent), Event::Finished];
        assert_eq!(events, expected);
        assert!((300..=1_000).contains(&sent), "{sent} commands in five minutes");
        assert_eq!(cuff.poll_timeout(), None, "and then left alone");
    }

    #[test]
    fn a_cuff_that_answers_nonsense_is_another_device() {
        let mut cuff = blood_pressure_microlife_ascii::protocol();
        let (events, _) = run(&mut cuff, Duration::from_secs(30), |_| vec![7; 8]);
        assert_eq!(events, [Event::Fault(Fault::Garbled), Event::Status(Status::ConnectDevice)]);
    }

    #[test]
    fn a_clock_that_stays_wrong_when_it_is_set_ends_the_measurement() {
        let digits = b"01012010000000";
        let text = [&[6], &digits[..], format!("{:02X}", crate::sum8(digits)).as_bytes()].concat();
        let report = |part: &[u8]| {
            let mut report = [&[part.len() as u8], part].concat();
            report.resize(8, 0);
            report
        };
        // 1 January 2010, whatever it is told.
        let answer = |asked: &[u8]| match asked {
            [4, 0x12, 0x16, 0x18, 0x26] => text.chunks(7).flat_map(report).collect(),
            [4, 0x12, 0x16, 0x18, 0x27] => report(&[6]),
            _ => Vec::new(),
        };
        let mut cuff = blood_pressure_microlife_ascii::protocol();
        let (events, _) = run(&mut cuff, MEASUREMENT_MAX, answer);
        assert_eq!(events, [Event::Invalid(Absent::ClockWrong), Event::Finished]);
    }
}
