//! Tanita WB-3000 (with height rod), SC-240: weight and height.
//!
//! Source: Tanita manuals WB-3000 p. 10 and PW-630MA p. 15 (`devices.md` 5.2). 9600 8N1, never written to: after each
//! measurement the scale sends one line, `{0,16,...,Hm,172.5,Wk,70.3,...,CS,76`, pairs of key and value. The scale has
//! settled the weight itself: one line is one measurement. Only the quantities asked for are kept; number, date, sex,
//! age and body composition of whoever stood there are not.
//!
//! A line belongs to the patient in whose measurement all of it arrived. What does not begin with `{` is skipped (the
//! WB-3000 sends junk after its line).
//!
//! Two deviations, on purpose:
//! * `devices.md` says to flag a wrong checksum and take the line all the same until the rule is confirmed on a device.
//!   Here such a line gives nothing, and one without a checksum neither: the rest of the line has no redundancy, one
//!   bit makes 70.3 kg into 30.3 kg, and a value must be exact or absent. It is said as [`Fault::Garbled`] and the
//!   patient is asked to step on again, so that a device whose rule is another shows itself at once.
//! * A height in feet and inches (`Hf`) is refused as [`Absent::UnitUnknown`]: no manual says how it is written.

use std::time::{Duration, Instant};

use consult::vitals::{Height, Value, Weight};

use crate::decimal::{Decimal, LengthUnit, WeightUnit};
use crate::weighing::MEASUREMENT_MAX;
use crate::{Absent, Event, Fault, Measured, Now, Outgoing, Protocol, Status, Transmit, sum8};

/// Longest line: all the pairs of the manuals make under 300 characters. A longer one gives nothing.
const LINE_MAX: usize = 512;
/// So many bytes in a measurement without a line that begins as it should are noise: a wrong speed, or another device.
const NOISE_BYTES: usize = 64;
/// What stands before the checksum, which covers all up to the first comma of it.
const CHECKSUM: &[u8] = b",CS,";

/// What a line says of what is measured here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Load {
    weight: Option<(Decimal, WeightUnit)>,
    rod: Rod,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rod {
    Absent,
    Centimetres(Decimal),
    /// Written in a way that we do not know.
    FeetAndInches,
}

/// The protocol.
pub struct Tanita {
    /// A line as far as it has come, from its `{`.
    line: Option<Vec<u8>>,
    /// End of the measurement under way.
    deadline: Option<Instant>,
    /// Bytes of this measurement outside of lines.
    noise: usize,
    fault: Option<Fault>,
    out: Outgoing,
}

impl Default for Tanita {
    fn default() -> Self {
        Self::new()
    }
}

impl Tanita {
    /// Before the port opens.
    pub fn new() -> Self {
        Self { line: None, deadline: None, noise: 0, fault: None, out: Outgoing::default() }
    }

    fn byte(&mut self, byte: u8) {
        match (&mut self.line, byte) {
            (line, b'{') => *line = Some(vec![b'{']),
            (Some(_), b'\r' | b'\n') => {
                let line = self.line.take().unwrap_or_default();
                self.ended(&line);
            }
            (Some(line), 0x20..) if line.len() < LINE_MAX => line.push(byte),
            (Some(_), _) => {
                self.line = None;
                self.garbled();
            }
            (None, _) => self.noise = self.noise.saturating_add(1),
        }
    }

    fn ended(&mut self, line: &[u8]) {
        let Some(load) = read(line) else { return self.garbled() };
        self.noise = 0;
        if self.fault.take().is_some() {
            self.out.event(Event::Fault(Fault::Recovered));
        }
        if self.deadline.is_some() {
            self.load(load);
        }
    }

    fn load(&mut self, load: Load) {
        let grams = load.weight.map(|(weight, unit)| weight.grams(unit).unwrap_or(u32::MAX));
        let weight = match grams.map(Weight::from_grams) {
            Some(Ok(weight)) => weight,
            Some(Err(refused)) if grams > Some(Weight::MAX) => return self.out.event(Event::Invalid(refused.into())),
            // Nobody was on it.
            None | Some(Err(_)) => return self.again(),
        };
        self.deadline = None;
        self.out.event(Event::Reading(Measured::plain(Value::Weight(weight))));
        self.out.event(match load.rod {
            Rod::Centimetres(height) if !height.is_zero() => {
                let millimetres = height.millimetres(LengthUnit::Centimetre).unwrap_or(u16::MAX);
                match Height::from_millimetres(millimetres) {
                    Ok(height) => Event::Reading(Measured::plain(Value::Height(height))),
                    Err(refused) => Event::Invalid(refused.into()),
                }
            }
            Rod::Centimetres(_) | Rod::Absent => Event::Invalid(Absent::NoHeight),
            Rod::FeetAndInches => Event::Invalid(Absent::UnitUnknown),
        });
        self.out.event(Event::Finished);
    }

    /// A line is lost, and with it a measurement.
    fn garbled(&mut self) {
        if self.deadline.is_some() {
            if self.fault.is_none() {
                self.fault = Some(Fault::Garbled);
                self.out.event(Event::Fault(Fault::Garbled));
            }
            self.again();
        }
    }

    /// The scale sends nothing more of itself: the patient steps on once more.
    fn again(&mut self) {
        self.out.forget_status();
        self.out.status(Status::StepOn);
    }

    fn begin(&mut self, now: Now) {
        self.deadline = Some(now.instant + MEASUREMENT_MAX);
        self.noise = 0;
        self.again();
    }
}

/// A whole line; `None` when a byte of it is not as the scale sent it.
fn read(line: &[u8]) -> Option<Load> {
    let end = line.windows(CHECKSUM.len()).rposition(|window| window == CHECKSUM)?;
    let (covered, sum) = (line.get(..=end)?, line.get(end + CHECKSUM.len()..)?.trim_ascii_end());
    let sum = match *sum {
        [high, low] => hexadecimal(high)? << 4 | hexadecimal(low)?,
        _ => return None,
    };
    if sum8(covered) != sum {
        return None;
    }
    let mut load = Load { weight: None, rod: Rod::Absent };
    let mut pairs = Fields(line.get(1..end)?);
    while let Some(key) = pairs.next() {
        let value = pairs.next()?;
        let unit = match key {
            b"Wk" => WeightUnit::Kilogram,
            b"Wp" => WeightUnit::Pound,
            b"Hm" | b"Hf" if load.rod != Rod::Absent => return None,
            b"Hm" => {
                load.rod = Decimal::parse(value).map_or(Rod::Absent, Rod::Centimetres);
                continue;
            }
            b"Hf" => {
                load.rod = Rod::FeetAndInches;
                continue;
            }
            _ => continue,
        };
        // Two weights contradict each other, or repeat: which is meant is not for us to say.
        if load.weight.is_some() {
            return None;
        }
        load.weight = Decimal::parse(value).map(|weight| (weight, unit));
    }
    Some(load)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Fields between commas; a comma between quotes is text.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = self.0.iter().position(|byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        });
        let field = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        Some(field)
    }
}

impl Protocol for Tanita {
    fn port_opened(&mut self, now: Now) {
        self.line = None;
        if self.deadline.is_some() {
            self.begin(now);
        }
    }

    fn start(&mut self, now: Now) {
        // A line of which a part has already come is of whoever stood there before.
        self.line = None;
        self.begin(now);
    }

    fn stop(&mut self, _now: Now) {
        if self.deadline.take().is_some() {
            self.out.end(Absent::Stopped);
        }
    }

    fn measuring_max(&self) -> Duration {
        MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], _now: Now) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.deadline.is_some_and(|at| at <= now.instant) {
            self.deadline = None;
            if self.noise >= NOISE_BYTES && self.fault.is_none() {
                self.fault = Some(Fault::Garbled);
                self.out.event(Event::Fault(Fault::Garbled));
            }
            self.out.end(Absent::timed_out(MEASUREMENT_MAX));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.line.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use consult::vitals::Moment;

    use super::*;

    const MANUAL: &str = "{0,16,~0,1,~1,1,~2,1,MO,\"WB-3000\",Hm,172.5,Wk,70.3,MI,23.6,CS,76\r\n";

    fn now() -> Now {
        Now { instant: Instant::now(), wall: Moment(0) }
    }

    /// A line of those pairs, with its checksum.
    fn line(pairs: &str) -> String {
        let covered = format!("{{{pairs},");
        format!("{covered}CS,{:02X}\r\n", sum8(covered.as_bytes()))
    }

    fn hear(scale: &mut Tanita, text: &str) -> Vec<Event> {
        scale.handle_input(text.as_bytes(), now());
        std::iter::from_fn(|| scale.poll_event()).collect()
    }

    fn started() -> Tanita {
        let mut scale = Tanita::new();
        scale.start(now());
        assert_eq!(scale.poll_event(), Some(Event::Status(Status::StepOn)));
        scale
    }

    fn kept(events: &[Event]) -> Vec<u32> {
        let number = |event: &Event| match event {
            Event::Reading(Measured { value: Value::Weight(weight), .. }) => Some(weight.grams()),
            Event::Reading(Measured { value: Value::Height(height), .. }) => Some(height.millimetres().into()),
            _ => None,
        };
        events.iter().filter_map(number).collect()
    }

    #[test]
    fn the_line_of_the_specification_gives_weight_and_height() {
        let seen = hear(&mut started(), MANUAL);
        assert_eq!(kept(&seen), [70_300, 1_725]);
        assert_eq!(seen.last(), Some(&Event::Finished));
        assert_eq!(line("0,16,~0,1,~1,1,~2,1,MO,\"WB-3000\",Hm,172.5,Wk,70.3,MI,23.6"), MANUAL);
    }

    #[test]
    fn a_weight_is_exact_at_every_hundred_grams() {
        for hectograms in 5..=3_500u32 {
            let text = line(&format!("Wk,{}.{}", hectograms / 10, hectograms % 10));
            assert_eq!(kept(&hear(&mut started(), &text)), [hectograms * 100]);
        }
    }

    #[test]
    fn pounds_are_converted_and_rounded_once() {
        assert_eq!(kept(&hear(&mut started(), &line("Hm,172.5,Wp,155.0"))), [70_307, 1_725]);
    }

    #[test]
    fn no_bit_of_a_line_can_tip_over_without_costing_the_line() {
        let bytes = MANUAL.as_bytes();
        for at in 0..bytes.len() - 2 {
            for bit in 0..8 {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= 1 << bit;
                let mut scale = started();
                scale.handle_input(&bytes, now());
                let seen: Vec<Event> = std::iter::from_fn(|| scale.poll_event()).collect();
                assert!(kept(&seen).is_empty(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_lost_line_is_said_and_asked_for_again() {
        for lost in [
            MANUAL.replace("70.3", "30.3"),
            MANUAL.replace(",CS,76", ""),
            MANUAL.replace("CS,76", "CS,7"),
            MANUAL.replace("CS,76", "CS,760"),
            MANUAL.replace("70.3", "70\u{7}.3"),
            format!("{{{}\r\n", "0,16,".repeat(200)),
            line("Wk,70.3,Wk,70.3"),
            line("Wk,70.3,Wp,155.0"),
            line("Wk,70.3,Hm,172.5,Hm,172.5"),
            line("Wk,70.3,Hm"),
        ] {
            let mut scale = started();
            let seen = hear(&mut scale, &lost);
            assert_eq!(seen, [Event::Fault(Fault::Garbled), Event::Status(Status::StepOn)], "{lost:?}");
            let seen = hear(&mut scale, MANUAL);
            assert_eq!(seen[0], Event::Fault(Fault::Recovered));
            assert_eq!(kept(&seen), [70_300, 1_725]);
        }
    }

    #[test]
    fn what_is_no_line_is_skipped() {
        let mut scale = started();
        assert!(hear(&mut scale, "\u{0}\u{7f}~~CS,76\r\n0,16,Wk,99.9,CS,00\r\n").is_empty());
        // A line cut short, and at once another.
        assert_eq!(kept(&hear(&mut scale, &format!("{{0,16,Wk,99.9{MANUAL}"))), [70_300, 1_725]);
        assert!(hear(&mut scale, "\u{0}\u{1}junk\r\n").is_empty());
    }

    #[test]
    fn a_comma_between_quotes_is_text() {
        let seen = hear(&mut started(), &line("ID,\"a,Wk,99.9\",Wk,70.3"));
        assert_eq!(kept(&seen), [70_300]);
        assert_eq!(kept(&hear(&mut started(), &line("ID,\"Wk,99.9"))), []);
    }

    #[test]
    fn a_height_that_is_absent_or_cannot_be_read_is_said_and_never_a_number() {
        for (pairs, why) in [
            ("Wk,70.3", Absent::NoHeight),
            ("Hm,0.0,Wk,70.3", Absent::NoHeight),
            ("Hm,---.-,Wk,70.3", Absent::NoHeight),
            ("Hf,5'07.9,Wk,70.3", Absent::UnitUnknown),
        ] {
            let seen = hear(&mut started(), &line(pairs));
            assert_eq!(kept(&seen), [70_300], "{pairs}");
            assert_eq!(seen[1..], [Event::Invalid(why), Event::Finished], "{pairs}");
        }
        for height in ["17.25", "1725.0", "99999"] {
            let seen = hear(&mut started(), &line(&format!("Hm,{height},Wk,70.3")));
            assert!(matches!(seen[1..], [Event::Invalid(Absent::Implausible(_)), Event::Finished]), "{height}");
        }
    }

    #[test]
    fn a_line_without_a_weight_ends_nothing() {
        for pairs in ["Hm,172.5", "Hm,172.5,Wk,0.0", "Hm,172.5,Wk,---.-"] {
            let mut scale = started();
            assert_eq!(hear(&mut scale, &line(pairs)), [Event::Status(Status::StepOn)], "{pairs}");
            assert_eq!(kept(&hear(&mut scale, MANUAL)), [70_300, 1_725]);
        }
        let mut scale = started();
        assert!(matches!(hear(&mut scale, &line("Wk,703"))[..], [Event::Invalid(Absent::Implausible(_))]));
        assert_eq!(kept(&hear(&mut scale, MANUAL)), [70_300, 1_725]);
    }

    #[test]
    fn a_line_that_came_or_began_before_the_measurement_is_another_patients() {
        let mut scale = Tanita::new();
        assert!(hear(&mut scale, MANUAL).is_empty());
        let (before, after) = MANUAL.split_at(MANUAL.len() - 4);
        assert!(hear(&mut scale, before).is_empty());
        scale.start(now());
        assert_eq!(hear(&mut scale, after), [Event::Status(Status::StepOn)]);
        assert_eq!(kept(&hear(&mut scale, MANUAL)), [70_300, 1_725]);
        assert!(hear(&mut scale, MANUAL).is_empty(), "it has ended");
    }

    #[test]
    fn a_measurement_without_a_line_ends_and_noise_is_told_from_silence() {
        for (heard, fault) in [("", false), (&*"~x".repeat(NOISE_BYTES), true)] {
            let start = now();
            let mut scale = Tanita::new();
            scale.start(start);
            scale.handle_input(heard.as_bytes(), start);
            assert_eq!(scale.poll_timeout(), Some(start.instant + MEASUREMENT_MAX));
            scale.handle_timeout(Now { instant: start.instant + MEASUREMENT_MAX, ..start });
            let seen: Vec<Event> = std::iter::from_fn(|| scale.poll_event()).collect();
            assert_eq!(seen.contains(&Event::Fault(Fault::Garbled)), fault);
            let ended = [Event::Invalid(Absent::TimedOut { after_seconds: 120 }), Event::Finished];
            assert!(seen.ends_with(&ended), "{seen:?}");
        }
    }
}
