//! Indicators that write `ST,GS,+  70.30kg` (A&D and many others): weight. They know no height.
//!
//! Source: `devices.md` 5.7. 9600 8N1, lines ended by CR LF, sent by the indicator itself several times a second; it is
//! never written to. First the state (`ST` stable, `US` moving, `OL` overload), then `GS` gross or `NT` net of a tare
//! set on the indicator: the weight that it shows is the one taken. A&D's own setting, 2400 7E1, must be changed on
//! the indicator. What settles a weight is in [`weighing`](crate::weighing).

use crate::weighing::{Dialect, Figure, Framing, Said, Weighing};

/// The protocol, before its port opens.
pub fn protocol() -> Weighing {
    Weighing::new(Dialect { framing: Framing::Lines, greeting: None, ask: &[], read })
}

fn read(line: &[u8]) -> Option<Said> {
    let mut parts = line.splitn(3, |byte| *byte == b',').map(<[u8]>::trim_ascii);
    let stable = match parts.next()? {
        b"ST" => true,
        b"US" => false,
        b"OL" => return Some(Said::OutOfRange),
        _ => return None,
    };
    match parts.next()? {
        b"GS" | b"NT" => Some(Said::Load { stable, figure: Figure::parse(parts.next()?)? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::weighing::bench::{Bench, kept};
    use crate::{Absent, Event, Fault, Protocol as _, Status};

    const STABLE: &str = "ST,GS,+  70.30kg\r\n";

    fn started() -> Bench {
        let mut bench = Bench::new(protocol());
        bench.scale.port_opened(bench.now());
        bench.scale.start(bench.now());
        assert_eq!(bench.hear(""), [Event::Status(Status::StepOn)]);
        bench
    }

    #[test]
    fn a_stable_weight_is_taken_and_the_height_is_absent_at_once() {
        for line in [STABLE, "ST,NT,+  70.30kg\r\n", "ST,GS,+0070.300 kg\r\n", "ST,GS,  70300 g\r\n"] {
            let mut bench = started();
            assert!(kept(&bench.hear(&line.repeat(5))).is_empty(), "{line:?}");
            bench.pass(Duration::from_secs(1));
            let seen = bench.hear(line);
            assert_eq!(kept(&seen), [70_300], "{line:?}");
            assert_eq!(seen[2..], [Event::Invalid(Absent::NoHeight), Event::Finished]);
            assert!(bench.sent().is_empty(), "never written to");
        }
    }

    #[test]
    fn a_moving_weight_is_shown_and_not_taken() {
        let mut bench = started();
        for _ in 0..20 {
            let seen = bench.hear("US,GS,+  70.30kg\r\n");
            assert!(matches!(seen[0], Event::Live(_)) && kept(&seen).is_empty(), "{seen:?}");
            bench.pass(Duration::from_secs(1));
        }
    }

    #[test]
    fn what_the_indicator_marks_is_never_a_number() {
        for (line, why) in [
            ("OL,GS,+  70.30kg\r\n", Absent::Overload),
            ("OL\r\n", Absent::Overload),
            ("ST,GS,+  11.07st\r\n", Absent::UnitUnknown),
            ("ST,GS,+  70.30\r\n", Absent::UnitUnknown),
        ] {
            let mut bench = started();
            assert_eq!(bench.hear(&line.repeat(5)), [Event::Invalid(why)], "said once: {line:?}");
        }
        for nobody in ["ST,GS,+   0.00kg\r\n", "ST,GS,-  70.30kg\r\n"] {
            assert!(started().hear(nobody).is_empty(), "the step is already asked for: {nobody:?}");
        }
    }

    #[test]
    fn a_damaged_line_costs_itself_only() {
        let mut bench = started();
        for noise in [
            "GS,+  70.30kg\r\n",
            "ST,+  70.30kg\r\n",
            "ST,GX,+  70.30kg\r\n",
            "ST,GS,+ \u{7}70.30kg\r\n",
            "ST,GS,+  70.30kgST,GS,+  70.30kgST,GS,+  70.30kgST,GS,+  70.30kgST,GS,+  70.30kg\r\n",
            "ST,GS,+  7,0.30kg\r\n",
        ] {
            assert!(!bench.hear(noise).iter().any(|event| matches!(event, Event::Live(_))), "{noise:?}");
        }
        bench.hear(STABLE);
        bench.hear(STABLE);
        bench.pass(Duration::from_secs(1));
        assert_eq!(kept(&bench.hear(STABLE)), [70_300]);
    }

    #[test]
    fn one_that_waits_for_somebody_is_not_at_fault_and_noise_is() {
        let mut bench = started();
        let seen: Vec<Event> = (0..14).flat_map(|_| bench.pass(Duration::from_millis(500))).collect();
        assert!(seen.is_empty(), "{seen:?}");
        bench.hear("\u{1}Q\u{2}\r\n");
        assert_eq!(bench.pass(Duration::from_secs(1)), [Event::Fault(Fault::Garbled)]);
    }

    #[test]
    fn a_measurement_without_a_weight_ends() {
        let mut bench = started();
        let seen = bench.pass(Duration::from_secs(120));
        assert_eq!(seen, [Event::Invalid(Absent::TimedOut { after_seconds: 120 }), Event::Finished]);
    }
}
