//! Scales that speak USB HID by themselves (usage page "Weighing"): Dymo, Fairbanks, Mettler and Stamps.com parcel
//! scales. Weight; they know no height, and are no medical devices.
//!
//! Source: HID Point of Sale Usage Tables 1.02, 4 (scale device class). A report whenever it has weighed: number 3,
//! status, unit, power of ten (signed), weight (16 bits, low byte first). They are never written to. What settles a
//! weight is in [`weighing`](crate::weighing).

use crate::decimal::{Decimal, WeightUnit};
use crate::weighing::{Dialect, Figure, Framing, Said, Weighing};

/// Bytes of the data report, with its number.
pub(crate) const REPORT: u8 = 6;
const DATA: u8 = 3;

/// The protocol, before its port opens.
pub fn protocol() -> Weighing {
    Weighing::new(Dialect { framing: Framing::Reports(REPORT.into()), greeting: None, ask: &[], read })
}

fn read(report: &[u8]) -> Option<Said> {
    let [DATA, status, unit, exponent, low, high] = *report else { return None };
    let unit = match unit {
        2 => Some(WeightUnit::Gram),
        3 => Some(WeightUnit::Kilogram),
        11 => Some(WeightUnit::Ounce),
        12 => Some(WeightUnit::Pound),
        // Milligrams, carats, taels, grains, pennyweights, tons and troy ounces: nobody is weighed in them.
        _ => None,
    };
    let decimal = Decimal::scaled(u16::from_le_bytes([low, high]), i8::from_le_bytes([exponent]))?;
    let load = |stable, negative| Some(Said::Load { stable, figure: Figure { negative, decimal, unit } });
    match status {
        // Zero: nothing on it, whatever the unit says.
        2 | 4 => load(true, false),
        3 => load(false, false),
        5 => load(false, true),
        6 => Some(Said::OutOfRange),
        // A fault, to be calibrated, to be set to zero.
        1 | 7 | 8 => Some(Said::OutOfOrder),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::weighing::bench::{Bench, kept};
    use crate::{Absent, Event, Fault, Protocol as _, Status};

    /// 55.6 kg, stable.
    const STABLE: [u8; 6] = [3, 4, 3, 0xFF, 0x2C, 2];

    fn started() -> Bench {
        let mut bench = Bench::new(protocol());
        bench.scale.port_opened(bench.now());
        bench.scale.start(bench.now());
        assert_eq!(bench.hear_bytes(&[]), [Event::Status(Status::StepOn)]);
        bench
    }

    #[test]
    fn a_stable_weight_is_taken_and_the_height_is_absent_at_once() {
        for (report, grams) in [
            (STABLE, 55_600),
            ([3, 4, 3, 0xFE, 0xC8, 0x15], 55_760),
            ([3, 4, 2, 1, 0xB8, 0x15], 55_600),
            // 122.6 lb, 1961 oz: rounded once.
            ([3, 4, 12, 0xFF, 0xCA, 0x04], 55_610),
            ([3, 4, 11, 0, 0xA9, 0x07], 55_593),
        ] {
            let mut bench = started();
            assert!(kept(&bench.hear_bytes(&report)).is_empty());
            bench.pass(Duration::from_secs(1));
            let seen = bench.hear_bytes(&report);
            assert_eq!(kept(&seen), [grams], "{report:?}");
            assert_eq!(seen[2..], [Event::Invalid(Absent::NoHeight), Event::Finished]);
            assert!(bench.sent().is_empty());
        }
    }

    #[test]
    fn what_the_scale_marks_is_never_a_number() {
        for (report, why) in [
            ([3, 6, 3, 0xFF, 0x2C, 2], Absent::Overload),
            ([3, 1, 3, 0xFF, 0x2C, 2], Absent::OutOfOrder),
            ([3, 7, 3, 0xFF, 0x2C, 2], Absent::OutOfOrder),
            ([3, 8, 3, 0xFF, 0x2C, 2], Absent::OutOfOrder),
            ([3, 4, 10, 0xFF, 0x2C, 2], Absent::UnitUnknown),
        ] {
            assert_eq!(started().hear_bytes(&report), [Event::Invalid(why)], "{report:?}");
        }
        for nobody in [[3, 2, 3, 0xFF, 0, 0], [3, 5, 3, 0xFF, 0x2C, 2]] {
            assert!(started().hear_bytes(&nobody).is_empty(), "the step is already asked for: {nobody:?}");
        }
        let mut bench = started();
        for _ in 0..20 {
            bench.pass(Duration::from_secs(1));
            let seen = bench.hear_bytes(&[3, 3, 3, 0xFF, 0x2C, 2]);
            assert!(matches!(seen[0], Event::Live(_)) && kept(&seen).is_empty(), "in motion");
        }
        assert!(matches!(started().hear_bytes(&[3, 4, 3, 1, 0x2C, 2])[..], [Event::Invalid(Absent::Implausible(_))]));
    }

    #[test]
    fn a_report_of_another_kind_is_noise_and_none_is_read_across_two() {
        let mut bench = started();
        assert!(bench.hear_bytes(&[4, 4, 3, 0xFF, 0x2C, 2]).is_empty());
        assert!(bench.hear_bytes(&[3, 9, 3, 0xFF, 0x2C, 2]).is_empty());
        assert!(bench.hear_bytes(&[3, 4, 3, 99, 0x2C, 2]).is_empty(), "10^99");
        assert!(bench.hear_bytes(&STABLE[..4]).is_empty());
        bench.scale.start(bench.now());
        assert!(bench.hear_bytes(&STABLE[4..]).iter().any(|event| matches!(event, Event::Live(_))));
    }

    #[test]
    fn a_scale_that_says_nothing_that_makes_sense_is_a_fault() {
        let mut bench = started();
        bench.hear_bytes(&[9; 6]);
        let seen: Vec<Event> = (0..14).flat_map(|_| bench.pass(Duration::from_millis(500))).collect();
        assert_eq!(seen, [Event::Fault(Fault::Garbled)]);
    }
}
