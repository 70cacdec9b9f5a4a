//! SunTech Advantage OEM, Advantage A+: blood pressure by cuff, started and stopped from the cabin.
//!
//! Source: SunTech Advantage protocol (`devices.md` 3.1). Packets to the module begin with `3A`, from it with `3E` and
//! their length; the last byte makes the sum of the packet 0. The cuff presses an arm: the stop is sent at once,
//! repeated until confirmed, and sent by itself when a limit of time or pressure is passed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::vitals::{BloodPressure, PulseRate, Value};

use crate::{
    Absent, CuffError, CuffErrorKind, Event, Fault, Measured, Now, Outgoing, Protocol, Status, Transmit, sum8,
};

const START: [u8; 3] = [0x3A, 0x20, 0xA6];
const GET_RESULT: [u8; 5] = [0x3A, 0x79, 0x03, 0x00, 0x4A];
const GET_PRESSURE: [u8; 5] = [0x3A, 0x79, 0x05, 0x00, 0x48];
const GET_STATUS: [u8; 5] = [0x3A, 0x79, 0x11, 0x00, 0x3C];
const ABORT: [u8; 5] = [0x3A, 0x79, 0x01, 0x00, 0x4C];

/// Longest packet that the module sends.
const PACKET_MAX: usize = 0x19;
/// The module answers a command within that time.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// A stop unanswered is repeated after that time.
const STOP_AGAIN: Duration = Duration::from_millis(300);
/// Times a command is sent before giving up.
const TRIES_MAX: u8 = 4;
/// Cuff pressure is asked for that often (5 Hz).
const PRESSURE_EVERY: Duration = Duration::from_millis(200);
/// One question in that many asks for the status, should the module's "finished" have been lost.
const STATUS_EVERY: u8 = 5;
/// A module that says nothing for that long in the middle of a measurement is stopped.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// A determination lasts 20-60 s; past that limit it is stopped (IEC 80601-2-30).
pub const MEASUREMENT_MAX: Duration = Duration::from_secs(180);
/// A start, a result and a stop together are asked for no longer than that.
const ASKING_MAX: Duration = Duration::from_secs(30);
/// The arm rests that long after a deflation before the cuff may inflate again.
pub const REST: Duration = Duration::from_secs(60);
/// Pressure past which the stop is sent, mmHg (IEC 80601-2-30, adult).
pub const PRESSURE_MAX_MMHG: u16 = 300;
/// A busy module is asked again that often.
const BUSY_AGAIN: Duration = Duration::from_secs(2);
/// A cuff that has pressed that much has truly measured: what it holds when its cable is back is this arm's.
const PRESSED_MMHG: u16 = 100;

/// What the module is doing for us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// The arm rests; the start is sent at the end.
    Resting {
        until: Instant,
        said: u16,
    },
    /// Start sent, not yet accepted.
    Starting {
        next_at: Instant,
        tries: u8,
    },
    /// Inflating or deflating.
    Measuring(Run),
    /// The cable is back in the middle of a measurement: is the module still at it?
    Resuming {
        run: Run,
        next_at: Instant,
        tries: u8,
    },
    /// Finished; the figures are asked for.
    Fetching {
        next_at: Instant,
        tries: u8,
    },
    /// Stop sent, not yet confirmed. What to say when it is.
    Stopping {
        why: Absent,
        next_at: Instant,
        tries: u8,
    },
}

/// A determination.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Run {
    limit: Instant,
    heard_at: Instant,
    next_at: Instant,
    questions: u8,
    pressure_mmhg: u16,
    highest_mmhg: u16,
}

enum Packet {
    Accepted,
    Finished,
    Busy,
    Aborted,
    Asleep,
    Pressure(u16),
    Result { systolic: u16, diastolic: u16, pulse: u8, mean: u16, error: u8 },
}

/// The protocol.
pub struct SunTech {
    buffer: VecDeque<u8>,
    state: State,
    /// When the cuff was last deflated. None: not since the cabin started.
    deflated_at: Option<Instant>,
    /// A start was asked for while the stop of the one before was on its way.
    again: bool,
    out: Outgoing,
}

impl Default for SunTech {
    fn default() -> Self {
        Self::new()
    }
}

impl SunTech {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            buffer: VecDeque::with_capacity(PACKET_MAX),
            state: State::Idle,
            deflated_at: None,
            again: false,
            out: Outgoing::default(),
        }
    }

    /// Next whole packet with a right checksum; skips what is none.
    fn packet(&mut self) -> Option<Packet> {
        while let Some(&first) = self.buffer.front() {
            if first != 0x3E {
                self.buffer.pop_front();
                continue;
            }
            let length = usize::from(*self.buffer.get(1)?);
            if !matches!(length, 0x04 | 0x05 | 0x07 | 0x18 | 0x19) {
                self.buffer.pop_front();
                continue;
            }
            if self.buffer.len() < length {
                return None;
            }
            let bytes: Vec<u8> = self.buffer.iter().take(length).copied().collect();
            let Some(packet) = read(&bytes) else {
                self.buffer.pop_front();
                continue;
            };
            self.buffer.drain(..length);
            return Some(packet);
        }
        None
    }

    /// Sends the start, or waits until the arm has rested.
    fn begin(&mut self, now: Instant) {
        match self.deflated_at.map(|at| at + REST) {
            Some(until) if until > now => {
                self.state = State::Resting { until, said: 0 };
                self.resting(now);
            }
            _ => {
                self.out.send(&START);
                self.out.status(Status::Starting);
                self.state = State::Starting { next_at: now + ANSWER_MAX, tries: 1 };
            }
        }
    }

    fn resting(&mut self, now: Instant) {
        let State::Resting { until, said } = &mut self.state else { return };
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            self.deflated_at = None;
            return self.begin(now);
        }
        let seconds = u16::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u16::MAX);
        if *said != seconds {
            *said = seconds;
            self.out.status(Status::Resting { seconds });
        }
    }

    fn measuring(&mut self, now: Instant) {
        let run = Run {
            limit: now + MEASUREMENT_MAX,
            heard_at: now,
            next_at: now + PRESSURE_EVERY,
            questions: 0,
            pressure_mmhg: 0,
            highest_mmhg: 0,
        };
        self.state = State::Measuring(run);
    }

    fn fetch(&mut self, now: Instant) {
        self.deflated_at = Some(now);
        self.out.send(&GET_RESULT);
        self.state = State::Fetching { next_at: now + ANSWER_MAX, tries: 1 };
    }

    fn abort(&mut self, why: Absent, now: Instant) {
        self.out.send(&ABORT);
        self.state = State::Stopping { why, next_at: now + STOP_AGAIN, tries: 1 };
    }

    fn stopped(&mut self, why: Absent, now: Instant) {
        self.deflated_at = Some(now);
        if std::mem::take(&mut self.again) { self.begin(now) } else { self.end(why) }
    }

    fn end(&mut self, why: Absent) {
        self.state = State::Idle;
        self.out.event(Event::Invalid(why));
        self.out.event(Event::Finished);
    }

    fn handle(&mut self, packet: Packet, now: Instant) {
        match (self.state, packet) {
            (State::Starting { .. }, Packet::Accepted) => self.measuring(now),
            // Already at it: a repeated start whose first answer was lost.
            (State::Starting { tries: 2.., .. }, Packet::Pressure(_)) => self.measuring(now),
            (State::Starting { tries: TRIES_MAX.., .. }, Packet::Busy) => self.end(Absent::Busy),
            (State::Starting { tries, .. }, Packet::Busy) => {
                // Asked again by the timer; `tries` bounds it.
                self.state = State::Starting { next_at: now + BUSY_AGAIN, tries };
            }
            (State::Starting { tries, .. }, Packet::Asleep) => {
                // The first byte wakes it; the command itself was lost.
                self.state = State::Starting { next_at: now + STOP_AGAIN, tries };
            }
            (State::Measuring(run), Packet::Pressure(mmhg)) => self.pressure(run, mmhg, now),
            (State::Measuring(_), Packet::Finished) => self.fetch(now),
            (State::Measuring(_), Packet::Aborted) => {
                self.deflated_at = Some(now);
                self.end(Absent::Cuff(CuffError { number: 87, kind: CuffErrorKind::StoppedOnDevice }));
            }
            (State::Measuring(run), Packet::Busy | Packet::Accepted) => {
                self.state = State::Measuring(Run { heard_at: now, ..run });
            }
            // The end of a streamed measurement may be its result.
            (State::Measuring(_), packet @ Packet::Result { .. }) => {
                self.deflated_at = Some(now);
                self.result(&packet);
            }
            (State::Resuming { run, .. }, Packet::Busy | Packet::Accepted) => {
                self.state = State::Measuring(Run { heard_at: now, next_at: now + PRESSURE_EVERY, ..run });
            }
            (State::Resuming { run, .. }, Packet::Pressure(mmhg)) => self.pressure(run, mmhg, now),
            (State::Resuming { run, .. }, Packet::Finished) if run.highest_mmhg >= PRESSED_MMHG => self.fetch(now),
            // It was reset with its cable out: what it holds, if anything, may be another arm's.
            (State::Resuming { .. }, Packet::Finished | Packet::Aborted | Packet::Asleep) => {
                self.deflated_at = Some(now);
                self.begin(now);
            }
            (State::Fetching { .. }, packet @ Packet::Result { .. }) => self.result(&packet),
            (State::Fetching { tries, .. }, Packet::Busy) => {
                self.state = State::Fetching { next_at: now + STOP_AGAIN, tries };
            }
            (State::Stopping { why, .. }, Packet::Aborted | Packet::Finished) => self.stopped(why, now),
            // Anything else answers a question that no longer matters.
            _ => {}
        }
    }

    fn pressure(&mut self, run: Run, mmhg: u16, now: Instant) {
        if mmhg > PRESSURE_MAX_MMHG {
            self.out.event(Event::Fault(Fault::OverPressure));
            let kind = CuffErrorKind::OverPressure;
            return self.abort(Absent::Cuff(CuffError { number: 90, kind }), now);
        }
        if mmhg != run.pressure_mmhg {
            self.out.status(Status::CuffPressure { mmhg, rising: mmhg > run.pressure_mmhg });
        }
        self.state = State::Measuring(Run {
            heard_at: now,
            pressure_mmhg: mmhg,
            highest_mmhg: run.highest_mmhg.max(mmhg),
            ..run
        });
    }

    /// Valid only if the error is 0 and SYS > MAP > DIA > 0; otherwise the error, never the numbers.
    fn result(&mut self, packet: &Packet) {
        let Packet::Result { systolic, diastolic, pulse, mean, error } = *packet else { return };
        if error != 0 {
            return self.end(Absent::Cuff(CuffError { number: error, kind: kind(error) }));
        }
        let bad = || Absent::Cuff(CuffError { number: 0, kind: CuffErrorKind::BadFigures });
        let Ok(pressure) = BloodPressure::from_mmhg(systolic, diastolic, Some(mean)) else {
            return self.end(bad());
        };
        self.state = State::Idle;
        self.out.event(Event::Reading(Measured::plain(Value::BloodPressure(pressure))));
        match PulseRate::from_per_minute(pulse.into()) {
            Ok(pulse) => self.out.event(Event::Reading(Measured::plain(Value::PulseRate(pulse)))),
            Err(refused) => self.out.event(Event::Invalid(refused.into())),
        }
        self.out.event(Event::Finished);
    }
}

fn kind(error: u8) -> CuffErrorKind {
    match error {
        1 => CuffErrorKind::WeakSignal,
        2 => CuffErrorKind::Artefact,
        3 => CuffErrorKind::Retries,
        4 => CuffErrorKind::TimeExceeded,
        85 => CuffErrorKind::Blocked,
        87 => CuffErrorKind::StoppedOnDevice,
        88 => CuffErrorKind::Leak,
        89 => CuffErrorKind::SafetyTimeout,
        90 => CuffErrorKind::OverPressure,
        91..=99 => CuffErrorKind::Hardware,
        _ => CuffErrorKind::SeeManual,
    }
}

fn read(bytes: &[u8]) -> Option<Packet> {
    if sum8(bytes) != 0 {
        return None;
    }
    let word = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    match bytes.len() {
        4 => match bytes[2] {
            b'O' => Some(Packet::Accepted),
            b'K' => Some(Packet::Finished),
            b'B' => Some(Packet::Busy),
            b'A' => Some(Packet::Aborted),
            b'S' => Some(Packet::Asleep),
            _ => None,
        },
        5 => Some(Packet::Pressure(word(2)?)),
        7 if bytes[2] == 0x01 => Some(Packet::Pressure(word(3)?)),
        // After a streamed measurement the same fields come one byte later.
        0x18 | 0x19 => {
            let shift = bytes.len() - 0x18;
            Some(Packet::Result {
                systolic: word(2 + shift)?,
                diastolic: word(4 + shift)?,
                pulse: *bytes.get(16 + shift)?,
                mean: word(18 + shift)?,
                error: *bytes.get(20 + shift)?,
            })
        }
        _ => None,
    }
}

impl Protocol for SunTech {
    fn port_opened(&mut self, now: Now) {
        let now = now.instant;
        self.buffer.clear();
        self.out.forget_commands();
        self.out.forget_status();
        match self.state {
            State::Idle | State::Resting { .. } => {}
            State::Starting { .. } => self.begin(now),
            State::Measuring(run) | State::Resuming { run, .. } => {
                self.out.send(&GET_STATUS);
                self.state = State::Resuming { run, next_at: now + ANSWER_MAX, tries: 1 };
            }
            State::Fetching { .. } => self.fetch(now),
            State::Stopping { why, .. } => self.abort(why, now),
        }
    }

    fn start(&mut self, now: Now) {
        self.out.forget_status();
        match self.state {
            State::Idle | State::Resting { .. } | State::Starting { .. } => self.begin(now.instant),
            // One determination at a time: the one under way is this patient's too.
            State::Measuring(_) | State::Resuming { .. } | State::Fetching { .. } => {}
            State::Stopping { .. } => {
                // The arm is being freed first; the new start follows, after its rest.
                self.again = true;
            }
        }
    }

    fn stop(&mut self, now: Now) {
        match self.state {
            State::Idle => {}
            State::Stopping { .. } => self.again = false,
            State::Resting { .. } => self.end(Absent::Stopped),
            // Nothing may press yet, but a start may be on the line: the stop goes out all the same.
            State::Starting { .. } | State::Measuring(_) | State::Resuming { .. } | State::Fetching { .. } => {
                self.abort(Absent::Stopped, now.instant);
            }
        }
    }

    fn measuring_max(&self) -> Duration {
        // The arm rests first; a start and a stop are tried for seconds.
        REST + MEASUREMENT_MAX + ASKING_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        for &byte in bytes {
            self.buffer.push_back(byte);
            while let Some(packet) = self.packet() {
                self.handle(packet, now.instant);
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let now = now.instant;
        match self.state {
            State::Idle => {}
            State::Resting { .. } => self.resting(now),
            State::Starting { next_at, tries } if next_at <= now => {
                if tries >= TRIES_MAX {
                    // Not known to be running, but an arm may be in it.
                    self.out.event(Event::Fault(Fault::Silent { seconds: u16::from(TRIES_MAX) }));
                    self.abort(Absent::Silent, now);
                } else {
                    self.out.send(&START);
                    self.state = State::Starting { next_at: now + ANSWER_MAX, tries: tries + 1 };
                }
            }
            State::Measuring(run) => {
                if run.limit <= now {
                    let after_seconds = u16::try_from(MEASUREMENT_MAX.as_secs()).unwrap_or(u16::MAX);
                    self.abort(Absent::TimedOut { after_seconds }, now);
                } else if run.heard_at + SILENCE_MAX <= now {
                    self.out.event(Event::Fault(Fault::Silent { seconds: 3 }));
                    self.abort(Absent::Silent, now);
                } else if run.next_at <= now {
                    let questions = (run.questions + 1) % STATUS_EVERY;
                    self.out.send(if questions == 0 { &GET_STATUS } else { &GET_PRESSURE });
                    self.state = State::Measuring(Run { next_at: now + PRESSURE_EVERY, questions, ..run });
                }
            }
            State::Resuming { run, next_at, tries } if next_at <= now => {
                if tries >= TRIES_MAX {
                    self.out.event(Event::Fault(Fault::Silent { seconds: u16::from(TRIES_MAX) }));
                    self.abort(Absent::Silent, now);
                } else {
                    self.out.send(&GET_STATUS);
                    self.state = State::Resuming { run, next_at: now + ANSWER_MAX, tries: tries + 1 };
                }
            }
            State::Fetching { next_at, tries } if next_at <= now => {
                if tries >= TRIES_MAX {
                    self.out.event(Event::Fault(Fault::Silent { seconds: u16::from(TRIES_MAX) }));
                    self.end(Absent::Silent);
                } else {
                    self.out.send(&GET_RESULT);
                    self.state = State::Fetching { next_at: now + ANSWER_MAX, tries: tries + 1 };
                }
            }
            State::Stopping { why, next_at, tries } if next_at <= now => {
                if tries >= TRIES_MAX {
                    self.out.event(Event::Fault(Fault::StopNotConfirmed));
                    self.stopped(why, now);
                } else {
                    self.out.send(&ABORT);
                    self.state = State::Stopping { why, next_at: now + STOP_AGAIN, tries: tries + 1 };
                }
            }
            State::Starting { .. } | State::Resuming { .. } | State::Fetching { .. } | State::Stopping { .. } => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            // Counted down once a second.
            State::Resting { until, said } => {
                let left = Duration::from_secs(u64::from(said.saturating_sub(1)));
                Some(until.checked_sub(left).unwrap_or(until))
            }
            State::Measuring(run) => Some(run.next_at.min(run.limit).min(run.heard_at + SILENCE_MAX)),
            State::Starting { next_at, .. }
            | State::Resuming { next_at, .. }
            | State::Fetching { next_at, .. }
            | State::Stopping { next_at, .. } => Some(next_at),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests;
