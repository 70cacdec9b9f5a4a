//! TaiDoc / FORA glucose meters (TD-42xx: GlucoRx Nexus, Menarini GlucoMen Nexus, Aktivmed): glucose of capillary blood,
//! from the device's memory ([`crate::taidoc`]).
//!
//! Source: `glucometer-protocols` (TD-4277, TD-4235B), and for what else such a meter stores `advmeds-bluetooth-lib`. The
//! first two bytes of a record, low byte first, are mg/dL always, whatever the meter's screen shows. The last one says
//! what was measured and the meal that the patient has marked. The mark is read, so that it is not taken for something
//! else, and goes no further: no value has a place for it.

use consult::vitals::{Glucose, GlucoseMass, Value};

use crate::taidoc::{Kind, TaiDoc};
use crate::{Absent, Status};

/// What the meters can measure, mg/dL (manual of the TD-4277): outside it they say "Lo" and "Hi".
const METER_MG_PER_DL: std::ops::RangeInclusive<u16> = 20..=600;

/// Marks of a meal in a record of glucose.
const NO_MEAL: u8 = 0x00;
const BEFORE_MEAL: u8 = 0x40;
const AFTER_MEAL: u8 = 0x80;

pub(crate) static KIND: Kind =
    Kind { asleep: Status::ConnectDevice, ready: Status::MeasureOnDevice, is_started: false, values };

/// The protocol, before the port opens.
pub fn protocol() -> TaiDoc {
    TaiDoc::new(&KIND)
}

fn values([low, high, _, mark]: [u8; 4]) -> Result<Vec<Value>, Absent> {
    // Bits 2 to 5: 0 is glucose, 6 haematocrit, 7 ketones, 8 uric acid, 9 cholesterol, 11 haemoglobin, 12 lactate.
    // Any other bit is a mark that nobody has documented: a control solution's, perhaps.
    if !matches!(mark, NO_MEAL | BEFORE_MEAL | AFTER_MEAL) {
        return Err(Absent::OtherSubstance);
    }
    match u16::from_le_bytes([low, high]) {
        0 => Err(Absent::Empty),
        raw if METER_MG_PER_DL.contains(&raw) => {
            Ok(vec![Value::Glucose(Glucose::Mass(GlucoseMass::from_mg_per_dl(raw)?))])
        }
        // Which of its marks is "LO" and which "HI" is documented nowhere.
        _ => Err(Absent::OutOfMeterRange { high: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mg_per_dl(data: [u8; 4]) -> Result<u16, Absent> {
        match values(data)?[..] {
            [Value::Glucose(Glucose::Mass(glucose))] => Ok(glucose.mg_per_dl()),
            _ => panic!("a glucose meter gave something else"),
        }
    }

    #[test]
    fn glucose_is_read_whatever_the_meal() {
        for mark in [NO_MEAL, BEFORE_MEAL, AFTER_MEAL] {
            assert_eq!(mg_per_dl([0x68, 0x00, 0x00, mark]), Ok(104));
            assert_eq!(mg_per_dl([0x58, 0x02, 0x17, mark]), Ok(600));
        }
    }

    #[test]
    fn what_is_no_glucose_is_never_taken_for_it() {
        for kind in 1..=15 {
            for meal in [NO_MEAL, BEFORE_MEAL, AFTER_MEAL] {
                assert_eq!(mg_per_dl([0x68, 0x00, 0x00, kind << 2 | meal]), Err(Absent::OtherSubstance), "{kind}");
            }
        }
        assert_eq!(mg_per_dl([0x68, 0x00, 0x00, 0xC0]), Err(Absent::OtherSubstance));
        assert_eq!(mg_per_dl([0x00, 0x00, 0x00, 0x00]), Err(Absent::Empty));
        for raw in [1u16, 19, 601, 65_535] {
            let [low, high] = raw.to_le_bytes();
            assert_eq!(mg_per_dl([low, high, 0, 0]), Err(Absent::OutOfMeterRange { high: None }), "{raw}");
        }
    }
}
