//! One measurement by a personal health device that measures by itself and reports when it is done: cuff, thermometer,
//! scale, glucose meter.
//!
//! Such a device keeps what it could not deliver, and delivers it when it next can: what comes is not what was measured
//! now. A value is this patient's when it is dated, by the device's own clock, between the start of the measurement and
//! now; or when it has no date, which the standard allows only for what is delivered as it is measured (20601, 6.3.3.6:
//! what is stored is dated), and it comes after the start. A date that cannot be checked (no clock to compare it with,
//! no date at all in the date's place) is no date in time: the value is not taken.
//!
//! A device that lets its clock be set has it set when no zone explains what it shows. What it had stored by the wrong
//! clock stays dated wrong; where that clock was ahead, nothing dated is taken in the measurement in which it was set.

use std::time::{Duration, Instant};

use consult::vitals::{Moment, Value};

use crate::{Absent, Event, Measured, Now, Outgoing, Protocol, Quality, Status, Transmit};

use super::condition::Condition;
use super::configuration::Object;
use super::identity::Clock;
use super::manager::{Heard, Manager};
use super::mder::{Number, Unfit};
use super::nomenclature as mdc;
use super::observation::{Observation, Report, Stamp};

/// Time for a measurement, from its start or from the return of the port: a cuff takes a minute, and is put on first.
const MEASUREMENT_MAX: Duration = Duration::from_secs(180);
/// What belongs to a value (the pulse to a pressure, the height to a weight) comes within that time of it.
const REST_WITHIN: Duration = Duration::from_secs(2);
/// A store is looked into that often during a measurement.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The device's clock and ours are both read in whole seconds.
const CLOCK_STEP_SECONDS: i64 = 2;
/// Reports held until the device has told what its clock shows; those beyond are not read. It sends one at a time.
const HELD_MAX: usize = 16;
/// Eighths of a millisecond, the unit of a device's counter.
const COUNTS_A_SECOND: u32 = 8_000;

/// What a model measures.
pub(crate) struct Kind {
    /// Whether an object of the device is of that kind.
    pub(crate) wants: fn(&Object) -> bool,
    /// The value of an observation. `None`: none of this model's.
    pub(crate) read: fn(&Observation) -> Option<Found>,
    /// How many values there are at most.
    pub(crate) values: usize,
    /// What is absent when only the main value came.
    pub(crate) without_rest: Option<Absent>,
    /// What the person does while the device is not there.
    pub(crate) wake: Status,
    /// What the person does once it is.
    pub(crate) ready: Status,
}

/// A value in an observation.
pub(crate) enum Found {
    /// What the model is there for: without it there is no measurement.
    Main(Result<Value, Absent>),
    /// What may come with it.
    Rest(Result<Value, Absent>),
}

/// A figure in units of `10^-decimals`, or why there is none.
pub(crate) fn figure(number: Number, decimals: i8, quantity: consult::vitals::Quantity) -> Result<i64, Absent> {
    number.in_units_of(decimals).map_err(|unfit| match unfit {
        Unfit::Special(_) => Absent::Empty,
        Unfit::Inexact => Absent::Inexact(Quality { quantity }),
        Unfit::Enormous => Absent::Implausible(Quality { quantity }),
    })
}

/// A figure that fits in the type of a vital sign.
pub(crate) fn fitting<T: TryFrom<i64>>(figure: i64, quantity: consult::vitals::Quantity) -> Result<T, Absent> {
    T::try_from(figure).map_err(|_| Absent::Implausible(Quality { quantity }))
}

/// The only number of an observation.
pub(crate) fn number(observation: &Observation) -> Result<Number, Absent> {
    match observation.values[..] {
        [(_, number)] => Ok(number),
        _ => Err(Absent::Empty),
    }
}

/// What the device says of a value's worth: a mark of low quality, none, or why there is no value.
pub(crate) fn quality(status: u16) -> Result<Option<bool>, Absent> {
    const NONE: u16 = mdc::STATUS_INVALID
        | mdc::STATUS_NOT_AVAILABLE
        | mdc::STATUS_CALIBRATING
        | mdc::STATUS_TEST
        | mdc::STATUS_DEMONSTRATION;
    match status {
        _ if status & NONE != 0 => Err(Absent::NotTracked),
        _ if status & mdc::STATUS_QUESTIONABLE != 0 => Ok(Some(false)),
        _ => Ok(None),
    }
}

/// When something was measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measuring {
    /// In this measurement; by the device's clock, if it says.
    Now(Option<Moment>),
    /// Before it.
    Earlier,
    /// Nobody can know.
    Unknown,
}

/// A value of this measurement.
struct Taken {
    measured: Measured,
    is_main: bool,
    /// Seconds after the start.
    late: i64,
}

/// A measurement under way.
struct Run {
    /// When it began: the wall clock, which the device's is compared with.
    started: Moment,
    deadline: Instant,
    /// Of each kind of value the newest.
    taken: Vec<Taken>,
    /// The main value has come: what belongs to it is awaited until then.
    rest_until: Option<Instant>,
    /// When the store is looked into next.
    look_at: Option<Instant>,
    /// The association began in this measurement: what the device kept is delivered in it.
    is_association_new: bool,
    /// Something came whose date could not be checked.
    is_date_unknown: bool,
}

/// A report that came before the device told what its clock shows.
struct Held {
    report: Report,
    counter: Option<u32>,
    is_stored: bool,
}

/// The protocol of such a device.
pub(crate) struct Taking {
    kind: &'static Kind,
    manager: Manager,
    run: Option<Run>,
    held: Vec<Held>,
    condition: Condition,
    out: Outgoing,
}

impl Taking {
    pub(crate) fn new(kind: &'static Kind) -> Self {
        Self::with(kind, Manager::new(kind.wants))
    }

    /// With a manager that keeps to what its devices are used to.
    pub(crate) fn with(kind: &'static Kind, manager: Manager) -> Self {
        let out = Outgoing::default();
        Self { kind, manager, run: None, held: Vec::new(), condition: Condition::default(), out }
    }

    /// What the manager has heard.
    fn take(&mut self, now: Now) {
        while let Some(heard) = self.manager.poll_heard() {
            if let Some(fault) = self.condition.hear(&heard) {
                self.out.event(Event::Fault(fault));
            }
            match heard {
                Heard::Operating => {
                    if let Some(run) = &mut self.run {
                        run.look_at = Some(now.instant);
                        run.is_association_new = true;
                    }
                }
                Heard::Unfit | Heard::Noise(_) => {}
                // What the device had to tell of its clock it has told.
                Heard::Told | Heard::Ended => {
                    for Held { report, counter, is_stored } in std::mem::take(&mut self.held) {
                        self.report(&report, counter, is_stored, now);
                    }
                }
                Heard::Report { report, counter, is_stored } if self.manager.is_asking_attributes() => {
                    if self.held.len() < HELD_MAX {
                        self.held.push(Held { report, counter, is_stored });
                    }
                }
                Heard::Report { report, counter, is_stored } => self.report(&report, counter, is_stored, now),
                Heard::StoreRead => self.store_read(now),
            }
        }
        self.say_status();
        self.look(now);
    }

    fn say_status(&mut self) {
        if self.run.as_ref().is_some_and(|run| run.rest_until.is_none()) {
            self.out.status(if self.manager.is_operating() { self.kind.ready } else { self.kind.wake });
        }
    }

    fn look(&mut self, now: Now) {
        let Some(run) = &mut self.run else { return };
        // The clock is read, and set, before what it dated is.
        if run.look_at.is_some_and(|at| at <= now.instant) && !self.manager.is_asking_attributes() {
            run.look_at = None;
            self.manager.read_store(now);
        }
    }

    fn store_read(&mut self, now: Now) {
        let Some(run) = &mut self.run else { return };
        run.look_at = Some(now.instant + LOOK_EVERY);
        let is_clock_good = self.manager.clock().is_some_and(|clock| clock.minutes_ahead.is_some());
        if run.rest_until.is_some() {
            // All that it holds has been seen.
            self.finish();
        } else if run.is_date_unknown && !is_clock_good {
            self.end(Absent::ClockWrong);
        }
    }

    fn report(&mut self, report: &Report, counter: Option<u32>, is_stored: bool, now: Now) {
        for observation in &report.observations {
            let Some(run) = &mut self.run else { return };
            let Some(found) = (self.kind.read)(observation) else { continue };
            let (is_main, value) = match found {
                Found::Main(value) => (true, value),
                Found::Rest(value) => (false, value),
            };
            let is_clock_new = run.is_association_new && self.manager.was_set_back();
            let clock = self.manager.clock().filter(|_| !is_clock_new);
            let (device_at, late) = match when(observation.stamp, counter, clock, run.started, now) {
                (Measuring::Now(device_at), late) => (device_at, late),
                (Measuring::Earlier, _) => continue,
                (Measuring::Unknown, _) => {
                    run.is_date_unknown = true;
                    continue;
                }
            };
            let (value, high_quality) = match value.and_then(|value| Ok((value, quality(observation.status)?))) {
                Ok(measured) => measured,
                // A device that cannot measure says so in the value's place.
                Err(why) if is_main && run.rest_until.is_none() => return self.end(why),
                Err(_) => continue,
            };
            let measured = Measured { value, device_at, high_quality };
            if observation.status & (mdc::STATUS_EARLY | mdc::STATUS_ONGOING) != 0 {
                self.out.event(Event::Live(measured));
                continue;
            }
            run.keep(Taken { measured, is_main, late });
            if is_main && (is_stored || run.rest_until.is_none()) {
                // The rest of a store comes too, and may be newer.
                run.rest_until = Some(now.instant + REST_WITHIN);
            }
        }
        let Some(run) = &self.run else { return };
        if is_stored {
            // Until all of it has been seen.
        } else if run.rest_until.is_some() && run.taken.len() >= self.kind.values {
            self.finish();
        } else if run.is_date_unknown && run.taken.is_empty() {
            self.end(Absent::ClockWrong);
        }
    }

    fn end(&mut self, why: Absent) {
        self.run = None;
        self.out.end(why);
    }

    /// The main value has come, and what came with it.
    fn finish(&mut self) {
        let Some(run) = self.run.take() else { return };
        let main_late = run.taken.iter().find(|taken| taken.is_main).map_or(0, |taken| taken.late);
        // What was measured with an earlier main value does not belong to this one.
        let is_of_it = |taken: &&Taken| (taken.late - main_late).abs() <= CLOCK_STEP_SECONDS;
        let mut taken: Vec<&Taken> = run.taken.iter().filter(is_of_it).collect();
        taken.sort_by_key(|taken| !taken.is_main);
        for taken in &taken {
            self.out.event(Event::Reading(taken.measured));
        }
        if let Some(why) = self.kind.without_rest.filter(|_| taken.len() < self.kind.values) {
            self.out.event(Event::Invalid(why));
        }
        self.out.event(Event::Finished);
    }
}

impl Run {
    fn new(now: Now) -> Self {
        Self {
            started: now.wall,
            deadline: now.instant + MEASUREMENT_MAX,
            taken: Vec::new(),
            rest_until: None,
            look_at: Some(now.instant),
            is_association_new: false,
            is_date_unknown: false,
        }
    }

    /// Of several values of one kind, the newest.
    fn keep(&mut self, new: Taken) {
        let kind = std::mem::discriminant(&new.measured.value);
        match self.taken.iter_mut().find(|taken| std::mem::discriminant(&taken.measured.value) == kind) {
            Some(former) if new.late < former.late => {}
            Some(former) => *former = new,
            None => self.taken.push(new),
        }
    }
}

/// When something was measured, and how many seconds after the start.
pub(crate) fn when(
    stamp: Stamp,
    counter: Option<u32>,
    clock: Option<Clock>,
    started: Moment,
    now: Now,
) -> (Measuring, i64) {
    let lasted = (now.wall.0 - started.0).div_euclid(1_000);
    let judged = |late: i64, device_at| {
        if late < -CLOCK_STEP_SECONDS {
            (Measuring::Earlier, late)
        } else if late > lasted + CLOCK_STEP_SECONDS {
            // In the future: that clock is wrong.
            (Measuring::Unknown, late)
        } else {
            (Measuring::Now(device_at), late)
        }
    };
    match (stamp, clock, counter) {
        (Stamp::None, ..) => (Measuring::Now(None), lasted),
        (Stamp::Clock(stamp), Some(clock @ Clock { minutes_ahead: Some(ahead), .. }), _) => {
            judged(clock.seconds_after(stamp, started), Some(stamp.moment(ahead)))
        }
        (Stamp::Relative(then), _, Some(counter)) => {
            let age = i64::from(counter.wrapping_sub(then) / COUNTS_A_SECOND);
            judged(lasted - age, None)
        }
        _ => (Measuring::Unknown, 0),
    }
}

impl Protocol for Taking {
    fn port_opened(&mut self, now: Now) {
        self.out.forget_commands();
        self.out.forget_status();
        self.condition.opened();
        self.held.clear();
        self.manager.opened();
        if let Some(run) = &mut self.run {
            run.deadline = now.instant + MEASUREMENT_MAX;
        }
        self.take(now);
    }

    fn start(&mut self, now: Now) {
        self.out.forget_status();
        self.run = Some(Run::new(now));
        self.take(now);
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
        self.manager.input(bytes, now);
        self.take(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.manager.handle_timeout(now);
        self.take(now);
        let Some(run) = &self.run else { return };
        if run.rest_until.is_some_and(|at| at <= now.instant) {
            self.finish();
        } else if run.deadline <= now.instant {
            self.end(Absent::timed_out(MEASUREMENT_MAX));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let run = self.run.as_ref();
        // While the clock is asked for, the answer is what is waited for.
        let look_at = run.and_then(|run| run.look_at).filter(|_| !self.manager.is_asking_attributes());
        let of_run = run.map(|run| run.rest_until.map_or(run.deadline, |at| at.min(run.deadline)));
        [of_run, look_at, self.manager.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.manager.poll_transmit().map(Transmit::Bytes)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    fn serial(&self) -> Option<String> {
        self.manager.identity().serial.clone()
    }

    fn firmware(&self) -> Option<String> {
        self.manager.identity().firmware.clone()
    }

    fn buffered(&self) -> usize {
        self.manager.buffered()
    }

    fn buffer_max(&self) -> usize {
        super::BUFFER_MAX
    }
}
