//! Health o meter Professional scales with height rod (600KL and kin), Rice Lake medical scales: weight and height.
//!
//! Source: Health o meter 1100KL manual pp. 33-35, Rice Lake 160-10-7N manual p. 22 (`devices.md` 5.1). A packet is
//! `ESC R`, then fields `ESC letter text`, then `ESC E`. Fields may be absent and come in any order, so that nothing
//! is taken before the end. Weights become grams and heights millimetres in integers: what the scale shows in metric
//! units is exact; pounds and inches are converted by their legal definitions and rounded once.

use std::time::{Duration, Instant};

use consult::vitals::{Height, Value, Weight};

use crate::decimal::{Decimal, LengthUnit, WeightUnit};
use crate::weighing::{Listening, MEASUREMENT_MAX, SETTLED_GRAMS, Steadiness, Steady};
use crate::{Absent, Event, Measured, Now, Outgoing, Protocol, Status, Transmit};

const ESC: u8 = 0x1B;
/// `ESC R ESC E`: read now.
const READ_NOW: &[u8] = b"\x1bR\x1bE";
/// `ESC R ESC J ESC E`: power state, asked only to know whether anything is there.
const POWER_STATE: &[u8] = b"\x1bR\x1bJ\x1bE";

/// Longest text of a field: the patient number has 10 characters, date and time under 30.
const FIELD_MAX: usize = 32;
/// The scale is asked that often during a measurement.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Heights that agree may differ by that much.
const SETTLED_MM: u32 = 5;
/// Once the weight is settled, the rod is waited for that long; then the height is absent.
const ROD_MAX: Duration = Duration::from_secs(25);
/// The scale's mark of over- and underload, in hundredths of its unit.
const OVERLOAD_HUNDREDTHS: u64 = 99_999;

/// What the letters of field `N` stand for.
type Units = (WeightUnit, LengthUnit);
const METRIC: Units = (WeightUnit::Kilogram, LengthUnit::Centimetre);
const IMPERIAL: Units = (WeightUnit::Pound, LengthUnit::Inch);

fn is_overload(text: Decimal) -> bool {
    text.times(100, 1) == Some(OVERLOAD_HUNDREDTHS)
}

/// Fields of the packet being received. Those that name the patient are not kept.
#[derive(Default, Clone)]
struct Fields {
    weight: Option<Decimal>,
    height: Option<Decimal>,
    units: Option<Units>,
    /// A weight or height was there that is no number: the packet gives nothing.
    damaged: bool,
    low_battery: bool,
}

/// Where in a packet we are.
enum Parser {
    /// Before `ESC R`.
    Outside { escape: bool },
    /// In a packet; `letter` is the field whose text is coming.
    Inside { fields: Fields, letter: Option<u8>, escape: bool, text: Vec<u8> },
}

/// What a packet says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Load {
    weight: Weight,
    height: Option<Height>,
}

struct Run {
    deadline: Instant,
    ask_at: Instant,
    weight: Steady,
    height: Steady,
    /// The last load, once the weight is settled; and when that was.
    settled: Option<(Load, Instant)>,
}

impl Run {
    fn new(now: Instant) -> Self {
        Run {
            deadline: now + MEASUREMENT_MAX,
            ask_at: now + ASK_EVERY,
            weight: Steady::within(SETTLED_GRAMS),
            height: Steady::within(SETTLED_MM),
            settled: None,
        }
    }

    /// What was on it is no longer.
    fn unload(&mut self) {
        self.weight.unload();
        self.height.unload();
        self.settled = None;
    }
}

/// The protocol.
pub struct HealthOMeter {
    parser: Parser,
    run: Option<Run>,
    listening: Listening,
    out: Outgoing,
}

impl Default for HealthOMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl HealthOMeter {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            parser: Parser::Outside { escape: false },
            run: None,
            listening: Listening::default(),
            out: Outgoing::default(),
        }
    }

    fn byte(&mut self, byte: u8, now: Instant) {
        match &mut self.parser {
            Parser::Outside { escape } => {
                if *escape && byte == b'R' {
                    self.open();
                } else {
                    *escape = byte == ESC;
                }
            }
            Parser::Inside { fields, letter, escape, text } => {
                if byte == ESC {
                    field(fields, *letter, text);
                    text.clear();
                    *letter = None;
                    *escape = true;
                } else if *escape {
                    *escape = false;
                    match byte {
                        b'R' => self.open(),
                        b'E' => {
                            let fields = std::mem::take(fields);
                            self.parser = Parser::Outside { escape: false };
                            self.packet(&fields, now);
                        }
                        _ => *letter = Some(byte),
                    }
                } else if text.len() < FIELD_MAX && (0x20..0x7F).contains(&byte) {
                    text.push(byte);
                } else {
                    // Not text, or without end: the packet is lost, the next `ESC R` opens another.
                    self.parser = Parser::Outside { escape: false };
                }
            }
        }
    }

    fn open(&mut self) {
        self.parser = Parser::Inside { fields: Fields::default(), letter: None, escape: false, text: Vec::new() };
    }

    fn packet(&mut self, fields: &Fields, now: Instant) {
        self.listening.heard(now, &mut self.out);
        if fields.low_battery {
            self.out.status(Status::LowBattery);
        }
        if fields.damaged {
            return;
        }
        let Some(weight) = fields.weight else { return };
        if is_overload(weight) {
            if let Some(run) = &mut self.run {
                run.unload();
            }
            self.out.event(Event::Invalid(Absent::Overload));
            return;
        }
        let Some((weight_unit, length_unit)) = fields.units else {
            self.out.event(Event::Invalid(Absent::UnitUnknown));
            return;
        };
        let Some(grams) = weight.grams(weight_unit) else { return };
        let weight = match Weight::from_grams(grams) {
            Ok(weight) => weight,
            Err(refused) => {
                if let Some(run) = &mut self.run {
                    run.unload();
                }
                // Nobody on it is no absence, it is the beginning.
                if grams < Weight::MIN {
                    self.out.status(Status::StepOn);
                } else {
                    self.out.event(Event::Invalid(refused.into()));
                }
                return;
            }
        };
        let height = match fields.height.filter(|height| !height.is_zero() && !is_overload(*height)) {
            None => None,
            Some(height) => match height.millimetres(length_unit).map(Height::from_millimetres) {
                Some(Ok(height)) => Some(height),
                Some(Err(refused)) => {
                    self.out.event(Event::Invalid(refused.into()));
                    None
                }
                None => None,
            },
        };
        self.load(Load { weight, height }, now);
    }

    fn load(&mut self, load: Load, now: Instant) {
        self.out.event(Event::Live(Measured::plain(Value::Weight(load.weight))));
        if let Some(height) = load.height {
            self.out.event(Event::Live(Measured::plain(Value::Height(height))));
        }
        let Some(run) = &mut self.run else { return };
        let weight = run.weight.take(load.weight.grams(), now);
        if weight == Steadiness::New {
            run.height.unload();
            run.settled = None;
        }
        let height_settled = match load.height {
            None => {
                run.height.unload();
                false
            }
            Some(height) => run.height.take(height.millimetres().into(), now) == Steadiness::Settled,
        };
        if weight != Steadiness::Settled {
            return self.out.status(Status::Settling);
        }
        if height_settled {
            return self.finish(load);
        }
        run.settled = Some((load, run.settled.map_or(now, |(_, at)| at)));
        if load.height.is_none() {
            self.out.status(Status::LowerRod);
        }
    }

    fn finish(&mut self, load: Load) {
        self.run = None;
        self.out.event(Event::Reading(Measured::plain(Value::Weight(load.weight))));
        match load.height {
            Some(height) => self.out.event(Event::Reading(Measured::plain(Value::Height(height)))),
            None => self.out.event(Event::Invalid(Absent::NoHeight)),
        }
        self.out.event(Event::Finished);
    }
}

fn field(fields: &mut Fields, letter: Option<u8>, text: &[u8]) {
    match letter {
        Some(b'W') => {
            fields.weight = Decimal::parse(text);
            fields.damaged |= fields.weight.is_none();
        }
        Some(b'H') => {
            fields.height = Decimal::parse(text);
            fields.damaged |= fields.height.is_none();
        }
        Some(b'N') => {
            fields.units = match text.trim_ascii() {
                b"m" => Some(METRIC),
                b"c" => Some(IMPERIAL),
                _ => None,
            }
        }
        Some(b'J') => fields.low_battery = text.trim_ascii() == b"L",
        // Patient number, tare, index, date: not ours to keep.
        _ => {}
    }
}

impl Protocol for HealthOMeter {
    fn port_opened(&mut self, now: Now) {
        self.parser = Parser::Outside { escape: false };
        self.out.forget_commands();
        self.out.forget_status();
        self.listening.begin(now.instant);
        if let Some(run) = &mut self.run {
            *run = Run::new(now.instant);
            self.out.status(Status::StepOn);
            self.out.send(READ_NOW);
        }
    }

    fn start(&mut self, now: Now) {
        self.out.forget_status();
        self.listening.begin(now.instant);
        self.run = Some(Run::new(now.instant));
        self.out.status(Status::StepOn);
        self.out.send(READ_NOW);
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
        if let Some((load, at)) = run.settled
            && at + ROD_MAX <= now
        {
            return self.finish(load);
        }
        if run.ask_at <= now {
            run.ask_at = now + ASK_EVERY;
            let silent = self.listening.is_silent(now);
            self.out.send(if silent { POWER_STATE } else { READ_NOW });
            if silent {
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

    fn buffered(&self) -> usize {
        match &self.parser {
            Parser::Outside { .. } => 1,
            Parser::Inside { text, .. } => text.len() + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use consult::vitals::Moment;

    use super::*;
    use crate::weighing::SETTLED_OVER;

    /// A second later each time it is asked.
    fn now() -> Now {
        static SECONDS: AtomicU64 = AtomicU64::new(0);
        static START: OnceLock<Instant> = OnceLock::new();
        let passed = Duration::from_secs(SECONDS.fetch_add(1, Ordering::SeqCst));
        Now { instant: *START.get_or_init(Instant::now) + passed, wall: Moment(0) }
    }

    /// A packet written with `~` for ESC.
    fn packet(text: &str) -> Vec<u8> {
        text.replace('~', "\x1b").into_bytes()
    }

    fn hear(scale: &mut HealthOMeter, text: &str) -> Vec<Event> {
        scale.handle_input(&packet(text), now());
        std::iter::from_fn(|| scale.poll_event()).collect()
    }

    fn started() -> HealthOMeter {
        let mut scale = HealthOMeter::new();
        scale.start(now());
        while scale.poll_event().is_some() {}
        scale
    }

    fn kept(events: &[Event]) -> Vec<u32> {
        events
            .iter()
            .filter_map(|e| match e {
                Event::Reading(Measured { value: Value::Weight(w), .. }) => Some(w.grams()),
                Event::Reading(Measured { value: Value::Height(h), .. }) => Some(h.millimetres().into()),
                _ => None,
            })
            .collect()
    }

    const MANUAL: &str = "~R~I0000000042~W70.30~H172.50~T0.0~B23.6~Nm~E";

    #[test]
    fn the_packet_of_the_manual_gives_weight_and_height() {
        let mut scale = started();
        assert!(kept(&hear(&mut scale, MANUAL)).is_empty(), "one packet may be the last patient's");
        assert_eq!(kept(&hear(&mut scale, MANUAL)), [70_300, 1_725]);
    }

    #[test]
    fn pounds_and_inches_are_converted_and_rounded_once() {
        let mut scale = started();
        hear(&mut scale, "~R~Nc~H67.9~W155.0~E");
        assert_eq!(kept(&hear(&mut scale, "~R~Nc~H67.9~W155.0~E")), [70_307, 1_725]);
    }

    #[test]
    fn a_weight_is_exact_at_every_hundred_grams() {
        for hectograms in 5..=3_500u32 {
            let mut scale = started();
            let text = format!("~R~W{}.{}0~H150.0~Nm~E", hectograms / 10, hectograms % 10);
            hear(&mut scale, &text);
            assert_eq!(kept(&hear(&mut scale, &text))[0], hectograms * 100);
        }
    }

    #[test]
    fn overload_is_never_a_weight() {
        let mut scale = started();
        for text in ["~R~W999.99~H172.5~Nm~E", "~R~W999.990~Nc~E", "~R~W999.99~E"] {
            for _ in 0..3 {
                assert_eq!(hear(&mut scale, text), [Event::Invalid(Absent::Overload)]);
            }
        }
    }

    #[test]
    fn a_figure_without_its_unit_is_not_taken() {
        let mut scale = started();
        assert_eq!(hear(&mut scale, "~R~W70.3~H172~E"), [Event::Invalid(Absent::UnitUnknown)]);
        assert_eq!(hear(&mut scale, "~R~W70.3~Nx~E"), [Event::Invalid(Absent::UnitUnknown)]);
    }

    #[test]
    fn a_height_of_zero_is_no_height() {
        let start = now();
        let mut scale = HealthOMeter::new();
        scale.start(start);
        let second = Now { instant: start.instant + SETTLED_OVER, ..start };
        for at in [start, second] {
            scale.handle_input(&packet("~R~W70.3~H0.0~Nm~E"), at);
        }
        let events: Vec<_> = std::iter::from_fn(|| scale.poll_event()).collect();
        assert_eq!(events.last(), Some(&Event::Status(Status::LowerRod)));
        scale.handle_timeout(Now { instant: second.instant + ROD_MAX, ..start });
        let events: Vec<_> = std::iter::from_fn(|| scale.poll_event()).collect();
        assert_eq!(kept(&events), [70_300]);
        assert!(events.contains(&Event::Invalid(Absent::NoHeight)));
    }

    #[test]
    fn a_damaged_packet_costs_itself_only() {
        let mut scale = started();
        for noise in [
            "~R~W7\u{7}0.3",
            "~R~W70..3~Nm~E",
            "~R~W~Nm~E",
            "\x1b\x1b~Q~R~R~W70",
            "~R~I000000000000000000000000000000000000000000",
        ] {
            assert!(!hear(&mut scale, noise).iter().any(|e| matches!(e, Event::Live(_))), "{noise:?}");
        }
        hear(&mut scale, MANUAL);
        assert_eq!(kept(&hear(&mut scale, MANUAL)), [70_300, 1_725]);
    }

    #[test]
    fn a_weight_that_moves_is_waited_for() {
        let mut scale = started();
        for kilograms in [40, 55, 66, 69, 70] {
            let events = hear(&mut scale, &format!("~R~W{kilograms}.0~H170~Nm~E"));
            assert!(kept(&events).is_empty());
        }
    }

    #[test]
    fn two_packets_at_once_do_not_settle_a_weight() {
        let mut scale = started();
        let events = hear(&mut scale, &MANUAL.repeat(5));
        assert!(kept(&events).is_empty());
        assert_eq!(kept(&hear(&mut scale, MANUAL)), [70_300, 1_725]);
    }

    #[test]
    fn nobody_on_the_scale_is_no_absence() {
        let mut scale = started();
        assert!(!hear(&mut scale, "~R~W0.0~H0~Nm~E").iter().any(|e| matches!(e, Event::Invalid(_) | Event::Live(_))));
    }
}
