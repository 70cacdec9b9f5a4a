//! Any scale that speaks IEEE 11073-20601 (specialisation 10415): weight, and height where it has a rod.
//!
//! Source: ISO/IEEE 11073-10415, 6 (objects). Pounds and inches are converted by their legal definitions and rounded
//! once, as for every other scale. A body mass index is not taken: it is computed, and computed from what is there.

use consult::vitals::{Height, Quantity, Value, Weight};

use crate::personal_health::configuration::Object;
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::Observation;
use crate::personal_health::taking::{Found, Kind, Taking, figure, fitting, number};
use crate::{Absent, Protocol, Status};

static KIND: Kind =
    Kind { wants, read, values: 2, without_rest: Some(Absent::NoHeight), wake: Status::StepOn, ready: Status::StepOn };

/// A new one, before the port opens.
pub fn protocol() -> Box<dyn Protocol> {
    Box::new(Taking::new(&KIND))
}

fn wants(object: &Object) -> bool {
    object.class == mdc::METRIC_NUMERIC && object.kind == (mdc::SCADA, mdc::WEIGHT)
}

fn read(observation: &Observation) -> Option<Found> {
    match observation.kind {
        (mdc::SCADA, mdc::WEIGHT) => Some(Found::Main(weight(observation).map(Value::Weight))),
        (mdc::SCADA, mdc::HEIGHT) => Some(Found::Rest(height(observation).map(Value::Height))),
        _ => None,
    }
}

fn weight(observation: &Observation) -> Result<Weight, Absent> {
    let (number, quantity) = (number(observation)?, Quantity::Weight);
    let grams = match observation.unit {
        mdc::KILOGRAM => figure(number, 3, quantity)?,
        mdc::GRAM => figure(number, 0, quantity)?,
        // 0.45359237 kg; hundredths of it are 4.5 g, so that the scale's figure can be had back from ours.
        mdc::POUND => rounded(figure(number, 2, quantity)?, 45_359_237, 10_000_000),
        _ => return Err(Absent::UnitUnknown),
    };
    Ok(Weight::from_grams(fitting(grams, quantity)?)?)
}

fn height(observation: &Observation) -> Result<Height, Absent> {
    let (number, quantity) = (number(observation)?, Quantity::Height);
    let millimetres = match observation.unit {
        mdc::CENTIMETRE => figure(number, 1, quantity)?,
        mdc::METRE => figure(number, 3, quantity)?,
        // 25.4 mm; a tenth of it is 2.5 mm.
        mdc::INCH => rounded(figure(number, 1, quantity)?, 254, 100),
        _ => return Err(Absent::UnitUnknown),
    };
    Ok(Height::from_millimetres(fitting(millimetres, quantity)?)?)
}

/// `figure * numerator / denominator`, to the nearest, halves up. Out of any range when it is too large.
fn rounded(figure: i64, numerator: i64, denominator: i64) -> i64 {
    figure.checked_mul(numerator).map_or(i64::MAX, |product| (product + denominator / 2).div_euclid(denominator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal_health::mder::Number;

    fn observed(code: u16, digits: i32, power: i8, unit: u16) -> Observation {
        let values = vec![(code, Number::Decimal { mantissa: digits, exponent: power })];
        Observation { kind: (mdc::SCADA, code), unit, values, ..Observation::default() }
    }

    #[test]
    fn weights_and_heights_are_exact_or_refused() {
        let grams = |digits, power, unit| weight(&observed(mdc::WEIGHT, digits, power, unit)).map(Weight::grams);
        assert_eq!(grams(703, -1, mdc::KILOGRAM), Ok(70_300));
        assert_eq!(grams(70_350, 0, mdc::GRAM), Ok(70_350));
        assert_eq!(grams(1_800, -1, mdc::POUND), Ok(81_647));
        assert_eq!(grams(15_500, -2, mdc::POUND), Ok(70_307));
        assert!(matches!(grams(703_005, -4, mdc::KILOGRAM), Err(Absent::Inexact(_))));
        assert!(matches!(grams(8_000_000, 120, mdc::KILOGRAM), Err(Absent::Implausible(_))));
        assert!(matches!(grams(8_000_000, 9, mdc::POUND), Err(Absent::Implausible(_))));
        assert_eq!(grams(11, 0, 0x0700), Err(Absent::UnitUnknown), "stones");
        let mm = |digits, power, unit| height(&observed(mdc::HEIGHT, digits, power, unit)).map(Height::millimetres);
        assert_eq!(mm(1_725, -1, mdc::CENTIMETRE), Ok(1_725));
        assert_eq!(mm(1_725, -3, mdc::METRE), Ok(1_725));
        assert_eq!(mm(705, -1, mdc::INCH), Ok(1_791));
    }
}
