//! Scales that speak MT-SICS (Mettler Toledo and others): weight. They know no height.
//!
//! Source: `devices.md` 5.4. 9600 8N1, lines ended by CR LF. During a measurement the scale is asked for the weight of
//! the moment (`SI`), which it marks stable or moving; one that does not know the question is asked for the stable
//! weight (`S`). Its serial number is asked for when the port opens. It is never set to zero nor tared by the cabin.
//! What settles a weight is in [`weighing`](crate::weighing).

use crate::weighing::{Dialect, Figure, Framing, Said, Weighing};

const SERIAL_NUMBER: &[u8] = b"I4\r\n";
const WEIGHT_NOW: &[u8] = b"SI\r\n";
const WEIGHT_WHEN_STABLE: &[u8] = b"S\r\n";

/// The protocol, before its port opens.
pub fn protocol() -> Weighing {
    Weighing::new(Dialect {
        framing: Framing::Lines,
        greeting: Some(SERIAL_NUMBER),
        ask: &[WEIGHT_NOW, WEIGHT_WHEN_STABLE],
        read,
    })
}

/// The first word, and what follows.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii();
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_ascii_start())
}

fn read(line: &[u8]) -> Option<Said> {
    match word(line) {
        (b"S", answer) => weight(answer),
        // Some devices name the question, others repeat it before the answer: `SI S 70.30 kg`, `SI S S 70.30 kg`.
        (b"SI", answer) => weight(answer).or_else(|| match word(answer) {
            (b"S", answer) => weight(answer),
            _ => None,
        }),
        (b"I4", answer) => match word(answer) {
            (b"A", [b'"', serial @ .., b'"']) => Some(Said::Serial(String::from_utf8_lossy(serial).into_owned())),
            _ => Some(Said::Other),
        },
        (b"ES" | b"EL", b"") => Some(Said::NotUnderstood),
        (b"ET", b"") => Some(Said::Other),
        _ => None,
    }
}

/// The state of the load, and the load.
fn weight(answer: &[u8]) -> Option<Said> {
    match word(answer) {
        (b"S", figure) => Some(Said::Load { stable: true, figure: Figure::parse(figure)? }),
        (b"D", figure) => Some(Said::Load { stable: false, figure: Figure::parse(figure)? }),
        (b"+" | b"-", b"") => Some(Said::OutOfRange),
        (b"I", b"") => Some(Said::NotYet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::weighing::bench::{Bench, kept};
    use crate::{Absent, Event, Fault, Protocol as _, Status};

    const STABLE: &str = "S S      70.30 kg\r\n";

    fn started() -> Bench {
        let mut bench = Bench::new(protocol());
        bench.scale.port_opened(bench.now());
        assert_eq!(bench.sent(), ["I4\r\n"]);
        bench.scale.start(bench.now());
        assert_eq!(bench.hear(""), [Event::Status(Status::StepOn)]);
        assert_eq!(bench.sent(), ["SI\r\n"]);
        bench
    }

    #[test]
    fn a_stable_weight_is_taken_and_the_height_is_absent_at_once() {
        for line in [STABLE, "SI S      70.30 kg\r\n", "SI S S      70.30 kg\r\n", "S S     70300 g\r\n"] {
            let mut bench = started();
            assert!(kept(&bench.hear(line)).is_empty());
            bench.pass(Duration::from_secs(1));
            let seen = bench.hear(line);
            assert_eq!(kept(&seen), [70_300], "{line:?}");
            assert_eq!(seen[2..], [Event::Invalid(Absent::NoHeight), Event::Finished]);
        }
    }

    #[test]
    fn pounds_are_converted_and_rounded_once() {
        let mut bench = started();
        bench.hear("S S     155.00 lb\r\n");
        bench.pass(Duration::from_secs(1));
        assert_eq!(kept(&bench.hear("S S     155.00 lb\r\n")), [70_307]);
    }

    #[test]
    fn a_moving_weight_is_shown_and_not_taken() {
        let mut bench = started();
        for _ in 0..20 {
            let seen = bench.hear("S D      70.30 kg\r\n");
            assert!(matches!(seen[0], Event::Live(_)) && kept(&seen).is_empty(), "{seen:?}");
            bench.pass(Duration::from_secs(1));
        }
        // A step off in between begins anew.
        bench.hear(STABLE);
        bench.pass(Duration::from_secs(1));
        bench.hear("S D      41.00 kg\r\n");
        assert!(kept(&bench.hear(STABLE)).is_empty());
    }

    #[test]
    fn a_digit_that_tips_over_on_the_line_is_no_weight() {
        let mut bench = started();
        bench.hear(STABLE);
        bench.pass(Duration::from_secs(1));
        assert!(kept(&bench.hear("S S      70.20 kg\r\n")).is_empty(), "within what settles, and said once");
        assert!(kept(&bench.hear(STABLE)).is_empty());
        assert_eq!(kept(&bench.hear(STABLE)), [70_300]);
    }

    #[test]
    fn two_answers_at_once_do_not_settle_a_weight() {
        assert!(kept(&started().hear(&STABLE.repeat(5))).is_empty());
    }

    #[test]
    fn what_the_scale_marks_is_never_a_number() {
        for (line, why) in [
            ("S +\r\n", Absent::Overload),
            ("S -\r\n", Absent::Overload),
            ("SI S +\r\n", Absent::Overload),
            ("S S      70.30 st\r\n", Absent::UnitUnknown),
            ("S S      70.30\r\n", Absent::UnitUnknown),
        ] {
            let mut bench = started();
            assert_eq!(bench.hear(line), [Event::Invalid(why)], "{line:?}");
            bench.pass(Duration::from_secs(1));
            assert!(bench.hear(line).is_empty(), "said once: {line:?}");
        }
        assert_eq!(started().hear("S I\r\n"), [Event::Status(Status::Settling)]);
        assert!(matches!(started().hear("S S  9999999 kg\r\n")[..], [Event::Invalid(Absent::Implausible(_))]));
        for nobody in ["S S       0.00 kg\r\n", "S S     -70.30 kg\r\n", "S D      -0.02 kg\r\n"] {
            assert!(started().hear(nobody).is_empty(), "the step is already asked for: {nobody:?}");
        }
    }

    #[test]
    fn a_damaged_line_costs_itself_only() {
        let mut bench = started();
        for noise in [
            "S S      7\u{7}0.30 kg\r\n",
            "S S      70..30 kg\r\n",
            " S      70.30 kg\r\n",
            "S S\r\nS\r\n\r\n70.30 kg\r\n",
            "S S      70.30 kgS S      70.30 kgS S      70.30 kgS S      70.30 kg\r\n",
            "S X      70.30 kg\r\n",
        ] {
            assert!(!bench.hear(noise).iter().any(|event| matches!(event, Event::Live(_))), "{noise:?}");
        }
        bench.hear(STABLE);
        bench.pass(Duration::from_secs(1));
        assert_eq!(kept(&bench.hear(STABLE)), [70_300]);
    }

    #[test]
    fn the_rest_of_a_line_begun_before_the_measurement_is_not_heard() {
        let mut bench = started();
        bench.hear("S S      7");
        bench.scale.start(bench.now());
        bench.hear("");
        assert!(bench.hear("S S      70.30 kg\r\n").is_empty());
        assert!(!bench.hear(STABLE).is_empty());
    }

    #[test]
    fn a_scale_that_does_not_know_the_question_is_asked_otherwise() {
        let mut bench = started();
        bench.hear("ES\r\n");
        bench.pass(Duration::from_millis(500));
        assert_eq!(bench.sent(), ["S\r\n"]);
        bench.hear("ET\r\n");
        bench.pass(Duration::from_millis(500));
        assert_eq!(bench.sent(), ["S\r\n"]);
        // Not to know the serial number is no reason.
        let mut bench = Bench::new(protocol());
        bench.scale.port_opened(bench.now());
        bench.hear("ES\r\n");
        bench.scale.start(bench.now());
        assert_eq!(bench.sent(), ["I4\r\n", "SI\r\n"]);
    }

    #[test]
    fn the_serial_number_is_the_scales_own() {
        let mut bench = started();
        bench.hear("I4 A \"B021002593\"\r\n");
        assert_eq!(bench.scale.serial().as_deref(), Some("B021002593"));
        bench.hear("I4 A \"\"\r\n");
        assert_eq!(bench.scale.serial(), None);
    }

    #[test]
    fn silence_and_noise_are_told_apart() {
        for (line, fault) in [("", Fault::Silent { seconds: 6 }), ("\u{1}Q\u{2}\r\n", Fault::Garbled)] {
            let mut bench = started();
            bench.hear(line);
            let seen: Vec<Event> = (0..14).flat_map(|_| bench.pass(Duration::from_millis(500))).collect();
            assert_eq!(seen, [Event::Fault(fault)]);
            assert_eq!(bench.hear("S I\r\n")[0], Event::Fault(Fault::Recovered));
        }
    }

    #[test]
    fn nothing_is_asked_of_the_scale_but_in_a_measurement() {
        let mut bench = Bench::new(protocol());
        bench.scale.port_opened(bench.now());
        assert_eq!(bench.sent(), ["I4\r\n"]);
        assert_eq!(bench.scale.poll_timeout(), None::<Instant>);
        bench.scale.start(bench.now());
        bench.scale.stop(bench.now());
        assert_eq!(bench.hear("")[1..], [Event::Invalid(Absent::Stopped), Event::Finished]);
        assert_eq!(bench.scale.poll_timeout(), None);
    }
}
