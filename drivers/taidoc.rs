//! TaiDoc / FORA devices that keep what they measure: one mechanism for thermometers, cuffs and glucose meters.
//!
//! Sources: `glucometer-protocols` (TD-42xx: packets, clock, memory), `advmeds-bluetooth-lib` (the other kinds' values,
//! the start of a cuff). Packets of 8 bytes, `51 command d0 d1 d2 d3 A3|A5 sum8`. The device measures and stores; the
//! cabin asks for its newest record, and for those behind it until one that was there before. Which of them is this
//! patient's is in [`stored`](crate::stored). Nothing is ever erased from the device.
//!
//! The device's clock is local time without a zone. It is set only when it cannot be any zone's (more than 15 hours
//! off), and then to UTC.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::vitals::{Moment, Value};

use crate::device_clock::{Civil, DeviceTime};
use crate::stored::{Record, Stored, Verdict};
use crate::{Absent, Event, Fault, Measured, Now, Outgoing, Protocol, Status, Transmit, sum8};

/// Bytes of every packet.
pub(crate) const PACKET: usize = 8;
const CONNECT: u8 = 0x22;
const GET_CLOCK: u8 = 0x23;
const GET_MODEL: u8 = 0x24;
const RECORD_TIME: u8 = 0x25;
const RECORD_VALUE: u8 = 0x26;
const RECORD_COUNT: u8 = 0x2B;
const SET_CLOCK: u8 = 0x33;
const MEASURE: u8 = 0x43;
const POWER_OFF: u8 = 0x50;
/// Some models acknowledge the connection by their "wake-up" code.
const CONNECTED_ALSO: u8 = 0x54;

/// The device answers within that time.
const ANSWER_MAX: Duration = Duration::from_millis(700);
/// A question is repeated so many times before the device counts as asleep.
const TRIES_MAX: u8 = 2;
/// A sleeping device is called again that often.
const CALL_EVERY: Duration = Duration::from_millis(1_000);
/// The memory is looked at that often during a measurement.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Its dates have no seconds.
const RESOLUTION_SECONDS: i64 = 60;
/// Records looked at for those that are new: nobody measures as often in one measurement.
const NEW_MAX: u16 = 8;
/// Time for a measurement, from its start or from the return of the port.
const MEASUREMENT_MAX: Duration = Duration::from_secs(120);

/// A cuff that the cabin has started is done by then; so long an arm rests before the cabin starts it again.
const CUFF_MAX: Duration = Duration::from_secs(60);
/// A power-off is repeated so many times before a person is told to take the cuff off.
const STOPS_MAX: u8 = 3;

/// What differs from one kind of device to another.
pub(crate) struct Kind {
    /// What the person does when the device does not answer.
    pub(crate) asleep: Status,
    /// What the person does once the memory is known.
    pub(crate) ready: Status,
    /// The cabin tells it to measure, where it has the command: a cuff.
    pub(crate) is_started: bool,
    /// Values of a record, by its four bytes.
    pub(crate) values: fn([u8; 4]) -> Result<Vec<Value>, Absent>,
}

/// Minutes since 1970 by the device's clock, which knows no zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Minute(i64);

impl Minute {
    /// d0-d1: (year - 2000) << 9 | month << 5 | day; d2 minute; d3 hour (its high bits are flags in some models).
    fn read(data: [u8; 4]) -> Option<Self> {
        let date = u16::from_le_bytes([data[0], data[1]]);
        let civil = Civil {
            year: 2000 + i64::from(date >> 9),
            month: i64::from(date >> 5 & 0x0F),
            day: i64::from(date & 0x1F),
            hour: i64::from(data[3] & 0x1F),
            minute: i64::from(data[2] & 0x3F),
            second: 0,
        };
        DeviceTime::from_civil(civil).map(|time| Minute(time.0 / 60))
    }

    fn write(self) -> Option<[u8; 4]> {
        let Civil { year, month, day, hour, minute, .. } = self.time().civil();
        let date = u16::try_from((year - 2000) << 9 | month << 5 | day).ok()?.to_le_bytes();
        Some([date[0], date[1], u8::try_from(minute).ok()?, u8::try_from(hour).ok()?])
    }

    /// Its first second.
    fn time(self) -> DeviceTime {
        DeviceTime(self.0 * 60)
    }

    fn of(moment: Moment) -> Self {
        Minute(moment.0.div_euclid(60_000))
    }
}

/// A record of the memory.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kept {
    /// `None`: the date in it is none.
    at: Option<Minute>,
    data: [u8; 4],
}

impl Record for Kept {
    fn at(&self) -> Option<DeviceTime> {
        self.at.map(Minute::time)
    }
}

/// The question put to the device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Connect,
    Model,
    Clock,
    SetClock(Minute),
    Count,
    /// Record 0 is the newest.
    Time {
        count: u16,
        index: u16,
    },
    Value {
        count: u16,
        index: u16,
        at: Option<Minute>,
    },
    Measure,
}

impl Ask {
    fn command(self) -> u8 {
        match self {
            Ask::Connect => CONNECT,
            Ask::Model => GET_MODEL,
            Ask::Clock => GET_CLOCK,
            Ask::SetClock(_) => SET_CLOCK,
            Ask::Count => RECORD_COUNT,
            Ask::Time { .. } => RECORD_TIME,
            Ask::Value { .. } => RECORD_VALUE,
            Ask::Measure => MEASURE,
        }
    }

    fn packet(self) -> [u8; PACKET] {
        let data = match self {
            Ask::Time { index, .. } | Ask::Value { index, .. } => {
                let [low, high] = index.to_le_bytes();
                [low, high, 0, 0]
            }
            Ask::SetClock(minute) => minute.write().unwrap_or_default(),
            Ask::Measure => [0, 0, 1, 1],
            _ => [0; 4],
        };
        packet(self.command(), data)
    }

    fn is_answered_by(self, command: u8) -> bool {
        command == self.command() || self == Ask::Connect && matches!(command, GET_MODEL | CONNECTED_ALSO)
    }
}

/// A packet to the device.
pub(crate) fn packet(command: u8, [a, b, c, d]: [u8; 4]) -> [u8; PACKET] {
    let mut packet = [0x51, command, a, b, c, d, 0xA3, 0];
    packet[7] = sum8(&packet[..7]);
    packet
}

/// What a device says, as far as it has come.
#[derive(Default)]
pub(crate) struct Incoming(VecDeque<u8>);

impl Incoming {
    /// The next byte; gives the command and data of the answer that it makes whole. What is none is skipped.
    pub(crate) fn push(&mut self, byte: u8) -> Option<(u8, [u8; 4])> {
        if self.0.len() == PACKET {
            self.0.pop_front();
        }
        self.0.push_back(byte);
        let &[0x51, command, a, b, c, d, 0xA5, sum] = &self.0.make_contiguous()[..] else { return None };
        if sum8(&[0x51, command, a, b, c, d, 0xA5]) != sum {
            return None;
        }
        self.0.clear();
        Some((command, [a, b, c, d]))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn buffered(&self) -> usize {
        self.0.len()
    }
}

/// What happens on the line during a measurement.
#[derive(Clone, Copy)]
enum Line {
    Asking { ask: Ask, tries: u8, until: Instant },
    Pausing { next: Ask, until: Instant },
}

struct Run {
    deadline: Instant,
    line: Line,
    stored: Stored<Kept>,
    clock_was_set: bool,
    /// Records in the memory when it was first read.
    count_before: u16,
    /// What is read of the memory at this look.
    found: Vec<Kept>,
    /// The cabin has told it to measure.
    was_started: bool,
    called: bool,
}

/// A cuff that was told to stop.
#[derive(Clone, Copy)]
struct Stopping {
    tries: u8,
    until: Instant,
}

/// The protocol.
pub struct TaiDoc {
    kind: &'static Kind,
    incoming: Incoming,
    run: Option<Run>,
    /// When the cabin last told the cuff to measure.
    inflated_at: Option<Instant>,
    stopping: Option<Stopping>,
    model: Option<u16>,
    fault: Option<Fault>,
    out: Outgoing,
}

impl TaiDoc {
    /// Before the port opens.
    pub(crate) fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            incoming: Incoming::default(),
            run: None,
            inflated_at: None,
            stopping: None,
            model: None,
            fault: None,
            out: Outgoing::default(),
        }
    }

    /// Number of the model that the device gave, e.g. 1241.
    pub fn model_number(&self) -> Option<u16> {
        self.model
    }

    fn ask(&mut self, ask: Ask, now: Now) {
        if ask == Ask::Measure {
            return self.inflate(now);
        }
        let Some(run) = &mut self.run else { return };
        run.line = Line::Asking { ask, tries: 1, until: now.instant + ANSWER_MAX };
        self.out.send(&ask.packet());
    }

    fn pause(&mut self, next: Ask, time: Duration, now: Now) {
        let Some(run) = &mut self.run else { return };
        run.line = Line::Pausing { next, until: now.instant + time };
    }

    fn end(&mut self, why: Absent) {
        self.run = None;
        self.out.end(why);
    }

    /// The arm has rested, or the cuff was never started.
    fn may_inflate(&self, now: Instant) -> bool {
        self.inflated_at.is_none_or(|at| at + CUFF_MAX <= now)
    }

    /// Tells the cuff to measure, once: a command repeated may stop it. Waits until the arm has rested.
    fn inflate(&mut self, now: Now) {
        if let Some(at) = self.inflated_at.filter(|_| !self.may_inflate(now.instant)) {
            let left = (at + CUFF_MAX).saturating_duration_since(now.instant);
            let seconds = u16::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u16::MAX);
            self.out.status(Status::Resting { seconds });
            return self.pause(Ask::Measure, left.min(Duration::from_secs(1)), now);
        }
        let Some(run) = &mut self.run else { return };
        run.was_started = true;
        self.inflated_at = Some(now.instant);
        self.out.status(Status::Starting);
        run.deadline = now.instant + MEASUREMENT_MAX;
        run.line = Line::Asking { ask: Ask::Measure, tries: TRIES_MAX, until: now.instant + ANSWER_MAX };
        self.out.send(&Ask::Measure.packet());
    }

    /// Switches a cuff off that the cabin has started: without power its valve is open (IEC 80601-2-30).
    fn deflate(&mut self, tries: u8, now: Now) {
        self.out.send(&packet(POWER_OFF, [0; 4]));
        self.stopping = Some(Stopping { tries, until: now.instant + ANSWER_MAX });
    }

    fn over(&mut self, why: Absent, now: Now) {
        let inflated = self.run.as_ref().is_some_and(|run| run.was_started) && !self.may_inflate(now.instant);
        self.end(why);
        if inflated {
            self.out.forget_commands();
            self.deflate(1, now);
        }
    }

    fn answer(&mut self, command: u8, data: [u8; 4], now: Now) {
        if command == POWER_OFF && self.stopping.take().is_some() {
            return;
        }
        let Some(run) = &mut self.run else { return };
        let ask = match run.line {
            Line::Asking { ask, .. } if ask.is_answered_by(command) => ask,
            // A cuff that has done what it was told says so; what it read is in its memory, with its date.
            Line::Pausing { .. } if command == MEASURE && run.was_started => return self.ask(Ask::Count, now),
            _ => return,
        };
        if self.fault.take().is_some() {
            self.out.event(Event::Fault(Fault::Recovered));
        }
        run.called = false;
        match ask {
            Ask::Connect => self.ask(Ask::Model, now),
            Ask::Model => {
                // Binary-coded decimal, low byte first: 77 42 is 4277.
                let bcd = |b: u8| u16::from(b >> 4) * 10 + u16::from(b & 0x0F);
                self.model = Some(bcd(data[1]) * 100 + bcd(data[0]));
                self.ask(Ask::Clock, now);
            }
            Ask::Clock => self.clock(data, now),
            Ask::SetClock(_) => self.ask(Ask::Clock, now),
            Ask::Count => {
                let count = u16::from_le_bytes([data[0], data[1]]);
                run.found.clear();
                if count == 0 {
                    self.memory(count, now);
                } else {
                    self.ask(Ask::Time { count, index: 0 }, now);
                }
            }
            Ask::Time { count, index } => self.ask(Ask::Value { count, index, at: Minute::read(data) }, now),
            Ask::Value { count, index, at } => {
                let kept = Kept { at, data };
                run.found.push(kept);
                // The same figure twice in a minute looks like the record that was there: the count tells.
                let is_new = run.stored.before().is_some_and(|before| !before.contains(&kept))
                    || run.stored.before().is_some() && run.count_before + index < count;
                if is_new && index + 1 < count.min(NEW_MAX) {
                    self.ask(Ask::Time { count, index: index + 1 }, now);
                } else {
                    self.memory(count, now);
                }
            }
            Ask::Measure => self.pause(Ask::Count, LOOK_EVERY, now),
        }
    }

    fn clock(&mut self, data: [u8; 4], now: Now) {
        let Some(run) = &mut self.run else { return };
        let shown = Minute::read(data).map(Minute::time);
        if shown.is_some_and(|shown| run.stored.clock(shown, run.clock_was_set, now)) {
            self.ask(Ask::Count, now);
        } else if run.clock_was_set {
            self.end(Absent::ClockWrong);
        } else {
            run.clock_was_set = true;
            self.ask(Ask::SetClock(Minute::of(now.wall)), now);
        }
    }

    /// The memory has been read, as far as it matters.
    fn memory(&mut self, count: u16, now: Now) {
        let Some(run) = &mut self.run else { return };
        let is_first = run.stored.before().is_none();
        if is_first {
            run.count_before = count;
        }
        match run.stored.look(&run.found, now) {
            Verdict::ClockWrong => self.over(Absent::ClockWrong, now),
            // Once: also after its cable was out while the arm rested.
            Verdict::Nothing if self.kind.is_started && !run.was_started => self.inflate(now),
            Verdict::Nothing => {
                if is_first {
                    self.out.status(self.kind.ready);
                }
                self.pause(Ask::Count, LOOK_EVERY, now);
            }
            Verdict::Ours(kept, at) => match (self.kind.values)(kept.data) {
                Err(why) => self.end(why),
                Ok(values) => {
                    self.run = None;
                    for value in values {
                        let measured = Measured { value, device_at: Some(at), high_quality: None };
                        self.out.event(Event::Reading(measured));
                    }
                    self.out.event(Event::Finished);
                }
            },
        }
    }
}

impl Protocol for TaiDoc {
    fn port_opened(&mut self, now: Now) {
        self.incoming.clear();
        self.out.forget_commands();
        self.out.forget_status();
        if self.stopping.take().is_some() {
            self.deflate(1, now);
        }
        if let Some(run) = &mut self.run {
            run.deadline = now.instant + MEASUREMENT_MAX;
            run.stored.port_opened();
            self.ask(Ask::Connect, now);
        }
    }

    fn start(&mut self, now: Now) {
        self.incoming.clear();
        self.out.forget_commands();
        self.out.forget_status();
        self.run = Some(Run {
            deadline: now.instant + MEASUREMENT_MAX,
            line: Line::Pausing { next: Ask::Connect, until: now.instant },
            stored: Stored::new(now, RESOLUTION_SECONDS),
            clock_was_set: false,
            count_before: 0,
            found: Vec::new(),
            was_started: false,
            called: false,
        });
        self.ask(Ask::Connect, now);
    }

    fn stop(&mut self, now: Now) {
        if self.run.is_some() {
            self.over(Absent::Stopped, now);
        }
    }

    fn measuring_max(&self) -> Duration {
        // A cuff waits until the arm has rested, and then has its time.
        if self.kind.is_started { CUFF_MAX + 2 * MEASUREMENT_MAX } else { MEASUREMENT_MAX }
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        for &byte in bytes {
            if let Some((command, data)) = self.incoming.push(byte) {
                self.answer(command, data, now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        match self.stopping {
            Some(Stopping { tries, until }) if until <= now.instant && tries < STOPS_MAX => {
                self.deflate(tries + 1, now);
            }
            Some(Stopping { until, .. }) if until <= now.instant => {
                self.stopping = None;
                self.out.event(Event::Fault(Fault::StopNotConfirmed));
            }
            _ => {}
        }
        let Some(run) = &mut self.run else { return };
        if run.deadline <= now.instant {
            let silent = run.called;
            return self.over(if silent { Absent::Silent } else { Absent::timed_out(MEASUREMENT_MAX) }, now);
        }
        match run.line {
            Line::Pausing { next, until } if until <= now.instant => self.ask(next, now),
            Line::Asking { ask, tries, until } if until <= now.instant => {
                let may_be_busy = run.was_started && self.inflated_at.is_some_and(|at| now.instant < at + CUFF_MAX);
                if tries < TRIES_MAX {
                    run.line = Line::Asking { ask, tries: tries + 1, until: now.instant + ANSWER_MAX };
                    self.out.send(&ask.packet());
                } else if ask == Ask::Measure {
                    // It has no such command, or says nothing until it has measured.
                    self.out.status(self.kind.ready);
                    self.pause(Ask::Count, LOOK_EVERY, now);
                } else if may_be_busy {
                    self.pause(Ask::Count, CALL_EVERY, now);
                } else {
                    // Asleep: it wakes when its button is pressed.
                    run.called = true;
                    self.out.status(self.kind.asleep);
                    self.pause(Ask::Connect, CALL_EVERY, now);
                }
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let run = self.run.as_ref().map(|run| {
            let (Line::Asking { until, .. } | Line::Pausing { until, .. }) = run.line;
            until.min(run.deadline)
        });
        [run, self.stopping.map(|stopping| stopping.until)].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.incoming.buffered()
    }
}

#[cfg(test)]
mod tests;
