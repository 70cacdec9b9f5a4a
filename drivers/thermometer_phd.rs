//! Any thermometer that speaks IEEE 11073-20601 (specialisation 10408): body temperature.
//!
//! Source: ISO/IEEE 11073-10408, 6 (objects). Degrees Fahrenheit are converted, once, to hundredths of a degree Celsius:
//! a tenth of the one is 5.6 of the other, so that the device's figure can be had back from ours.

use consult::vitals::{Quantity, Temperature, Value};

use crate::personal_health::configuration::Object;
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::Observation;
use crate::personal_health::taking::{Found, Kind, Taking, figure, fitting, number};
use crate::{Absent, Protocol, Status};

static KIND: Kind = Kind { wants, read, values: 1, without_rest: None, wake: Status::WakeUp, ready: Status::TakeNow };

/// Where a temperature of the body is taken: anywhere, eardrum, rectum, mouth, ear, armpit, gut. A finger's or a toe's
/// is another quantity.
const BODY: [u16; 7] = [mdc::TEMPERATURE_BODY, 0x4B78, 0xE004, 0xE008, 0xE00C, 0xE024, 0xE028];

/// A new one, before the port opens.
pub fn protocol() -> Box<dyn Protocol> {
    Box::new(Taking::new(&KIND))
}

fn is_body(kind: (u16, u16)) -> bool {
    kind.0 == mdc::SCADA && BODY.contains(&kind.1)
}

fn wants(object: &Object) -> bool {
    object.class == mdc::METRIC_NUMERIC && is_body(object.kind)
}

fn read(observation: &Observation) -> Option<Found> {
    is_body(observation.kind).then(|| Found::Main(temperature(observation).map(Value::Temperature)))
}

fn temperature(observation: &Observation) -> Result<Temperature, Absent> {
    let number = number(observation)?;
    let hundredths = match observation.unit {
        mdc::CELSIUS => figure(number, 2, Quantity::Temperature)?,
        mdc::FAHRENHEIT => {
            // Tenths of a degree Fahrenheit: finer ones could not be had back.
            let above_freezing = figure(number, 1, Quantity::Temperature)?.saturating_sub(320);
            // Tenths to hundredths, by 5/9; the nearest, halves up.
            (above_freezing.saturating_mul(100) + 9).div_euclid(18)
        }
        _ => return Err(Absent::UnitUnknown),
    };
    Ok(Temperature::from_centi_celsius(fitting(hundredths, Quantity::Temperature)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal_health::mder::Number;

    fn of(digits: i32, power: i8, unit: u16) -> Result<u16, Absent> {
        let values = vec![(mdc::TEMPERATURE_BODY, Number::Decimal { mantissa: digits, exponent: power })];
        let kind = (mdc::SCADA, mdc::TEMPERATURE_BODY);
        temperature(&Observation { kind, unit, values, ..Observation::default() }).map(Temperature::centi_celsius)
    }

    #[test]
    fn degrees_are_exact_and_fahrenheit_can_be_had_back() {
        assert_eq!(of(3_684, -2, mdc::CELSIUS), Ok(3_684));
        assert_eq!(of(37, 0, mdc::CELSIUS), Ok(3_700));
        assert!(matches!(of(36_845, -3, mdc::CELSIUS), Err(Absent::Inexact(_))));
        assert_eq!(of(986, -1, mdc::FAHRENHEIT), Ok(3_700));
        assert_eq!(of(1_001, -1, mdc::FAHRENHEIT), Ok(3_783));
        assert!(matches!(of(98_600, -3, mdc::FAHRENHEIT), Ok(3_700)));
        assert!(matches!(of(9_861, -2, mdc::FAHRENHEIT), Err(Absent::Inexact(_))));
        assert_eq!(of(310, 0, 0x1120), Err(Absent::UnitUnknown), "kelvin");
        let back = |hundredths: u16| (i64::from(hundredths) * 18 + 50).div_euclid(100) + 320;
        for tenths in 900..=1_080 {
            let hundredths = of(tenths, -1, mdc::FAHRENHEIT).unwrap();
            assert_eq!(back(hundredths), i64::from(tenths), "{tenths} tenths of a degree Fahrenheit");
        }
    }
}
