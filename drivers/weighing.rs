//! Weighing: when a weight is settled, and the scales that write one weight a line (or a report) and know no height.
//!
//! A protocol of such a scale is its dialect: what to ask, and what a line says. Everything else is here, so that the
//! same body gives a weight by the same rule whichever scale is plugged.
//!
//! These lines have no checksum. A weight is taken only when lines over 0.8 s agree, all marked stable by the scale,
//! and the last two say the very same: a digit that tipped over on the line costs a moment, and is no weight.

use std::time::{Duration, Instant};

use consult::vitals::{Value, Weight};

use crate::decimal::{Decimal, WeightUnit};
use crate::{Absent, Event, Fault, Measured, Now, Outgoing, Protocol, Status, Transmit};

/// Figures must agree over that time: two that come together say the same thing twice, not that it is settled.
pub(crate) const SETTLED_OVER: Duration = Duration::from_millis(800);
/// Weights that agree may differ by that much.
pub(crate) const SETTLED_GRAMS: u32 = 100;
/// Time for a measurement, from its start or from the return of the port.
pub(crate) const MEASUREMENT_MAX: Duration = Duration::from_secs(120);
/// A scale asked again and again that says nothing for so long is a fault.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// Longest line of a [`Dialect`]: theirs have under 32 characters. A longer one is skipped to its end.
const LINE_MAX: usize = 64;
/// The scale is asked, and its silence looked at, that often during a measurement.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Longest serial number that is kept.
const SERIAL_MAX: usize = 32;

/// A figure that lasts.
pub(crate) struct Steady {
    within: u32,
    /// The figure that all since agree with, and when it came.
    since: Option<(u32, Instant)>,
}

/// What a figure is beside those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Steadiness {
    /// The first, or another than those before.
    New,
    /// The same, not for long enough.
    Lasting,
    /// The same over [`SETTLED_OVER`].
    Settled,
}

impl Steady {
    /// Nothing yet; figures agree when they differ from the first by no more than `within`.
    pub(crate) fn within(within: u32) -> Self {
        Self { within, since: None }
    }

    /// What was measured is no longer there.
    pub(crate) fn unload(&mut self) {
        self.since = None;
    }

    /// The next figure.
    pub(crate) fn take(&mut self, figure: u32, now: Instant) -> Steadiness {
        match self.since {
            Some((first, since)) if first.abs_diff(figure) <= self.within => {
                if since + SETTLED_OVER <= now {
                    Steadiness::Settled
                } else {
                    Steadiness::Lasting
                }
            }
            _ => {
                self.since = Some((figure, now));
                Steadiness::New
            }
        }
    }
}

/// Whether a scale that is used says anything that makes sense.
#[derive(Default)]
pub(crate) struct Listening {
    heard_at: Option<Instant>,
    /// Something came since, and was no sense.
    unheard: bool,
    fault: Option<Fault>,
}

impl Listening {
    /// From here on it should speak.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.heard_at = Some(now);
        self.unheard = false;
    }

    /// Bytes came, whatever they are.
    pub(crate) fn arrived(&mut self, bytes: &[u8]) {
        self.unheard |= !bytes.is_empty();
    }

    /// It said something that makes sense.
    pub(crate) fn heard(&mut self, now: Instant, out: &mut Outgoing) {
        self.begin(now);
        if self.fault.take().is_some() {
            out.event(Event::Fault(Fault::Recovered));
        }
    }

    /// Nothing that makes sense for [`SILENCE_MAX`].
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        self.heard_at.is_some_and(|at| at + SILENCE_MAX <= now)
    }

    /// Says so, once.
    pub(crate) fn complain(&mut self, out: &mut Outgoing) {
        if self.fault.is_none() {
            let seconds = u16::try_from(SILENCE_MAX.as_secs()).unwrap_or(u16::MAX);
            let fault = if self.unheard { Fault::Garbled } else { Fault::Silent { seconds } };
            self.fault = Some(fault);
            out.event(Event::Fault(fault));
        }
    }
}

/// How a scale speaks.
pub(crate) struct Dialect {
    /// What is one thing that it says.
    pub(crate) framing: Framing,
    /// Sent when the port opens.
    pub(crate) greeting: Option<&'static [u8]>,
    /// Ways to ask for the weight; the next is tried when the scale says that it does not know one. Empty: it sends by
    /// itself and is never written to.
    pub(crate) ask: &'static [&'static [u8]],
    /// What a line says, without its end; `None` for a line of nothing that the scale would write.
    pub(crate) read: fn(&[u8]) -> Option<Said>,
}

/// What is one thing that a scale says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A line of text, ended by CR or LF or both.
    Lines,
    /// A report of so many bytes.
    Reports(usize),
}

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The load, as the scale marks it.
    Load {
        /// The scale's own mark: the weight does not move.
        stable: bool,
        /// The weight.
        figure: Figure,
    },
    /// More on it than it can weigh, or less than nothing.
    OutOfRange,
    /// No weight at this moment.
    NotYet,
    /// It does not know what it was asked.
    NotUnderstood,
    /// Its serial number.
    Serial(String),
    /// It cannot weigh until somebody has looked after it.
    OutOfOrder,
    /// Something that has no bearing on a weight.
    Other,
}

/// A weight as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Figure {
    /// Below zero: the platform is lighter than when it was set to zero.
    pub(crate) negative: bool,
    pub(crate) decimal: Decimal,
    /// `None`: no unit that we know.
    pub(crate) unit: Option<WeightUnit>,
}

impl Figure {
    /// `+  70.30kg`, `-0.02 kg`, `70.30 lb`: sign, figure, unit, blanks between.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let text = text.trim_ascii_start();
        let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.')).unwrap_or(text.len());
        let (figure, unit) = text.split_at(end);
        let unit = match unit.trim_ascii().to_ascii_lowercase().as_slice() {
            b"kg" => Some(WeightUnit::Kilogram),
            b"g" => Some(WeightUnit::Gram),
            b"lb" => Some(WeightUnit::Pound),
            _ => None,
        };
        Some(Figure { negative, decimal: Decimal::parse(figure)?, unit })
    }
}

struct Run {
    deadline: Instant,
    ask_at: Instant,
    weight: Steady,
    /// The weight of the line before, if it was marked stable.
    former: Option<Weight>,
}

impl Run {
    fn new(now: Instant) -> Self {
        let (deadline, ask_at) = (now + MEASUREMENT_MAX, now + ASK_EVERY);
        Run { deadline, ask_at, weight: Steady::within(SETTLED_GRAMS), former: None }
    }

    fn unload(&mut self) {
        self.weight.unload();
        self.former = None;
    }
}

/// The protocol of a scale that writes one weight a line. The height is always absent, and said so with the weight.
pub struct Weighing {
    dialect: Dialect,
    /// Place in [`Dialect::ask`].
    asking: usize,
    line: Line,
    run: Option<Run>,
    /// The absence said last, so that one that goes on is said once.
    absent: Option<Absent>,
    serial: Option<String>,
    listening: Listening,
    out: Outgoing,
}

/// A line as far as it has come.
enum Line {
    Coming(Vec<u8>),
    /// Too long, or not text, or begun before the measurement: nothing until it ends.
    Skipped,
}

impl Weighing {
    /// Before the port opens.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            asking: 0,
            line: Line::Coming(Vec::new()),
            run: None,
            absent: None,
            serial: None,
            listening: Listening::default(),
            out: Outgoing::default(),
        }
    }

    fn byte(&mut self, byte: u8, now: Instant) {
        if let (Framing::Reports(length), Line::Coming(report)) = (self.dialect.framing, &mut self.line) {
            report.push(byte);
            if report.len() == length {
                let report = std::mem::take(report);
                if let Some(said) = (self.dialect.read)(&report) {
                    self.said(said, now);
                }
            }
            return;
        }
        match (&mut self.line, byte) {
            (line, b'\r' | b'\n') => {
                if let Line::Coming(text) = std::mem::replace(line, Line::Coming(Vec::new()))
                    && let Some(said) = (self.dialect.read)(&text)
                {
                    self.said(said, now);
                }
            }
            (Line::Coming(text), 0x20..0x7F) if text.len() < LINE_MAX => text.push(byte),
            (line, _) => *line = Line::Skipped,
        }
    }

    fn said(&mut self, said: Said, now: Instant) {
        self.listening.heard(now, &mut self.out);
        match said {
            Said::Load { stable, figure } => self.figure(stable, figure, now),
            Said::OutOfRange => self.absent(Absent::Overload),
            Said::OutOfOrder => self.absent(Absent::OutOfOrder),
            Said::NotYet => {
                self.unload();
                self.settling();
            }
            // Before it was asked, it is the greeting that it does not know.
            Said::NotUnderstood if self.run.is_some() => {
                self.asking = (self.asking + 1) % self.dialect.ask.len().max(1)
            }
            Said::Serial(serial) => {
                self.serial = (1..=SERIAL_MAX).contains(&serial.len()).then_some(serial);
            }
            Said::NotUnderstood | Said::Other => {}
        }
    }

    fn figure(&mut self, stable: bool, figure: Figure, now: Instant) {
        let Some(unit) = figure.unit else { return self.absent(Absent::UnitUnknown) };
        let grams = figure.decimal.grams(unit).unwrap_or(u32::MAX);
        let weight = match Weight::from_grams(grams) {
            Ok(weight) if !figure.negative => weight,
            Err(refused) if !figure.negative && grams > Weight::MAX => return self.absent(refused.into()),
            // Nobody on it is no absence, it is the beginning.
            _ => {
                self.absent = None;
                self.unload();
                if self.run.is_some() {
                    self.out.status(Status::StepOn);
                }
                return;
            }
        };
        self.absent = None;
        self.out.event(Event::Live(Measured::plain(Value::Weight(weight))));
        if !stable {
            self.unload();
            return self.settling();
        }
        let Some(run) = &mut self.run else { return };
        let said_twice = run.former.replace(weight) == Some(weight);
        if run.weight.take(weight.grams(), now) != Steadiness::Settled || !said_twice {
            return self.settling();
        }
        self.run = None;
        self.out.event(Event::Reading(Measured::plain(Value::Weight(weight))));
        self.out.event(Event::Invalid(Absent::NoHeight));
        self.out.event(Event::Finished);
    }

    fn unload(&mut self) {
        if let Some(run) = &mut self.run {
            run.unload();
        }
    }

    fn settling(&mut self) {
        if self.run.is_some() {
            self.out.status(Status::Settling);
        }
    }

    fn absent(&mut self, why: Absent) {
        self.unload();
        if self.absent != Some(why) {
            self.absent = Some(why);
            self.out.event(Event::Invalid(why));
        }
    }

    fn ask(&mut self) {
        if let Some(way) = self.dialect.ask.get(self.asking) {
            self.out.send(way);
        }
    }

    fn begin(&mut self, now: Now) {
        self.absent = None;
        self.out.forget_status();
        self.listening.begin(now.instant);
        self.run = Some(Run::new(now.instant));
        self.out.status(Status::StepOn);
        self.ask();
    }
}

impl Protocol for Weighing {
    fn port_opened(&mut self, now: Now) {
        self.line = Line::Coming(Vec::new());
        self.asking = 0;
        self.serial = None;
        self.out.forget_commands();
        self.out.forget_status();
        if let Some(greeting) = self.dialect.greeting {
            self.out.send(greeting);
        }
        if self.run.is_some() {
            self.begin(now);
        }
    }

    fn start(&mut self, now: Now) {
        // The rest of a line begun before is no line; the rest of a report is.
        if self.dialect.framing == Framing::Lines && matches!(&self.line, Line::Coming(text) if !text.is_empty()) {
            self.line = Line::Skipped;
        }
        self.begin(now);
    }

    fn stop(&mut self, _now: Now) {
        if self.run.take().is_some() {
            self.out.end(Absent::Stopped);
        }
    }

    fn measuring_max(&self) -> Duration {
        MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.listening.arrived(bytes);
        for &byte in bytes {
            self.byte(byte, now.instant);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let now = now.instant;
        let Some(run) = &mut self.run else { return };
        if run.deadline <= now {
            self.run = None;
            self.out.end(Absent::timed_out(MEASUREMENT_MAX));
            return;
        }
        if run.ask_at <= now {
            run.ask_at = now + ASK_EVERY;
            self.ask();
            // One that sends by itself may well wait until somebody steps on.
            if self.listening.is_silent(now) && (self.listening.unheard || !self.dialect.ask.is_empty()) {
                self.listening.complain(&mut self.out);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let run = self.run.as_ref()?;
        Some(run.ask_at.min(run.deadline))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    fn serial(&self) -> Option<String> {
        self.serial.clone()
    }

    fn buffered(&self) -> usize {
        match &self.line {
            Line::Coming(text) => text.len(),
            Line::Skipped => 1,
        }
    }
}

/// A scale at a clock that the test moves.
#[cfg(test)]
pub(crate) mod bench {
    use consult::vitals::Moment;

    use super::*;

    pub(crate) struct Bench {
        pub(crate) scale: Weighing,
        now: Now,
    }

    impl Bench {
        pub(crate) fn new(scale: Weighing) -> Self {
            Bench { scale, now: Now { instant: Instant::now(), wall: Moment(0) } }
        }

        pub(crate) fn now(&self) -> Now {
            self.now
        }

        /// What is said of a text from the scale.
        pub(crate) fn hear(&mut self, text: &str) -> Vec<Event> {
            self.hear_bytes(text.as_bytes())
        }

        /// What is said of bytes from the scale.
        pub(crate) fn hear_bytes(&mut self, bytes: &[u8]) -> Vec<Event> {
            self.scale.handle_input(bytes, self.now);
            std::iter::from_fn(|| self.scale.poll_event()).collect()
        }

        /// What is said when time passes.
        pub(crate) fn pass(&mut self, time: Duration) -> Vec<Event> {
            self.now.instant += time;
            self.scale.handle_timeout(self.now);
            std::iter::from_fn(|| self.scale.poll_event()).collect()
        }

        /// What the scale has been sent since.
        pub(crate) fn sent(&mut self) -> Vec<String> {
            let sent = std::iter::from_fn(|| self.scale.poll_transmit());
            sent.map(|sent| String::from_utf8(sent.bytes().to_vec()).unwrap()).collect()
        }
    }

    /// Weights that are readings, grams.
    pub(crate) fn kept(events: &[Event]) -> Vec<u32> {
        let weight = |event: &Event| match event {
            Event::Reading(Measured { value: Value::Weight(weight), .. }) => Some(weight.grams()),
            _ => None,
        };
        events.iter().filter_map(weight).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_settled_when_it_lasts_and_new_when_it_moves() {
        let start = Instant::now();
        let mut steady = Steady::within(100);
        assert_eq!(steady.take(70_000, start), Steadiness::New);
        assert_eq!(steady.take(70_100, start), Steadiness::Lasting, "two at once");
        assert_eq!(steady.take(69_900, start + SETTLED_OVER), Steadiness::Settled);
        assert_eq!(steady.take(70_101, start + SETTLED_OVER), Steadiness::New, "from the first, not from the last");
        steady.unload();
        assert_eq!(steady.take(70_101, start + SETTLED_OVER * 2), Steadiness::New);
    }

    #[test]
    fn a_figure_is_its_sign_its_decimal_and_its_unit() {
        let kilograms = |negative, text: &[u8]| {
            Some(Figure { negative, decimal: Decimal::parse(text).unwrap(), unit: Some(WeightUnit::Kilogram) })
        };
        assert_eq!(Figure::parse(b"+  70.30kg"), kilograms(false, b"70.30"));
        assert_eq!(Figure::parse(b"     70.30 kg"), kilograms(false, b"70.30"));
        assert_eq!(Figure::parse(b"-   0.02 kg "), kilograms(true, b"0.02"));
        for (text, unit) in [("155.0 lb", Some(WeightUnit::Pound)), ("70300g", Some(WeightUnit::Gram))] {
            assert_eq!(Figure::parse(text.as_bytes()).unwrap().unit, unit);
        }
        for text in ["70.30", "70.30 k", "70.30 kgS", "70.30 kg70.30 kg", "11.07 st", "70.30 k g"] {
            assert_eq!(Figure::parse(text.as_bytes()).unwrap().unit, None, "{text}");
        }
        for text in ["", "kg", "+-70 kg", "7.0.3 kg", "+", "- kg"] {
            assert_eq!(Figure::parse(text.as_bytes()), None, "{text}");
        }
    }
}
