//! The configurations that the device specialisations of IEEE 11073 give a number: an agent that names one need not
//! send it.
//!
//! Sources: ISO/IEEE 11073-10404 (oximeter), -10407 (cuff), -10408 (thermometer), -10415 (scale), -10417 (glucose),
//! each "Standard configuration".

use super::configuration::{Configuration, Object};
use super::nomenclature as mdc;

const BASIC: (u16, u16) = (mdc::BASIC_OBSERVED, 2);
const SIMPLE: (u16, u16) = (mdc::SIMPLE_OBSERVED, 4);
const STAMP: (u16, u16) = (mdc::STAMP_ABSOLUTE, 8);

/// Ids from here on are each agent's own.
pub(crate) const EXTENDED: u16 = 0x4000;

fn numeric(handle: u16, kind: u16, unit: u16, value: (u16, u16)) -> Object {
    Object {
        class: mdc::METRIC_NUMERIC,
        handle,
        kind: (mdc::SCADA, kind),
        unit,
        map: vec![value, STAMP],
        ..Object::default()
    }
}

/// The configuration with that number, if it is one of those that this manager knows.
pub(crate) fn configuration(id: u16) -> Option<Configuration> {
    let objects = match id {
        0x0190 | 0x0191 => {
            let spot = |object| Object { is_spot: id == 0x0191, ..object };
            // A spot check is dated; what is followed is not.
            let followed = |object: Object| match id {
                0x0190 => Object { map: vec![BASIC], ..object },
                _ => object,
            };
            let objects = [
                numeric(1, mdc::SPO2, mdc::PERCENT, BASIC),
                numeric(10, mdc::PULSE_BY_OXIMETER, mdc::BEATS_PER_MINUTE, BASIC),
            ];
            objects.map(spot).map(followed).to_vec()
        }
        0x02BC => vec![
            Object {
                parts: vec![mdc::SYSTOLIC, mdc::DIASTOLIC, mdc::MEAN],
                ..numeric(1, mdc::PRESSURE, mdc::MMHG, (mdc::COMPOUND_BASIC_OBSERVED, 10))
            },
            numeric(2, mdc::PULSE_BY_CUFF, mdc::BEATS_PER_MINUTE, BASIC),
        ],
        0x0320 => vec![numeric(1, mdc::TEMPERATURE_BODY, mdc::CELSIUS, SIMPLE)],
        0x05DC => vec![
            numeric(1, mdc::WEIGHT, mdc::KILOGRAM, SIMPLE),
            numeric(2, mdc::HEIGHT, mdc::CENTIMETRE, SIMPLE),
            numeric(3, mdc::BODY_MASS_INDEX, mdc::KILOGRAM_PER_SQUARE_METRE, SIMPLE),
        ],
        0x06A4 => vec![numeric(1, mdc::GLUCOSE_CAPILLARY_BLOOD, mdc::MG_PER_DL, BASIC)],
        _ => return None,
    };
    Some(Configuration { id, objects })
}
