//! Any glucose meter that speaks IEEE 11073-20601 (specialisation 10417): glucose of capillary blood.
//!
//! Source: ISO/IEEE 11073-10417, 6 (objects). mg/dL and mmol/L stay what they are: the one is never computed from the
//! other. A meter that keeps its readings in a store (PM-store) has it read; what it reports by itself is taken too.

use consult::vitals::{Glucose, GlucoseMass, GlucoseMoles, Quantity, Value};

use crate::personal_health::configuration::Object;
use crate::personal_health::mder::{Number, Special};
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::Observation;
use crate::personal_health::taking::{Found, Kind, Taking, figure, fitting, number};
use crate::{Absent, Protocol, Status};

pub(crate) const KIND: Kind =
    Kind { wants, read, values: 1, without_rest: None, wake: Status::WakeUp, ready: Status::MeasureOnDevice };

/// Capillary whole blood, capillary plasma (how a meter is calibrated), and both of a sample whose place the meter does
/// not ask: a meter that a patient holds is held to a finger.
const CAPILLARY: [u16; 4] = [mdc::GLUCOSE_CAPILLARY_BLOOD, 0x71BC, 0x726C, 0x7270];
/// Control solutions.
const CONTROL: [u16; 4] = [0x71D0, 0x7274, 0x7278, 0x727C];

static METER: Kind = KIND;

/// A new one, before the port opens.
pub fn protocol() -> Box<dyn Protocol> {
    Box::new(Taking::new(&METER))
}

fn wants(object: &Object) -> bool {
    object.class == mdc::METRIC_NUMERIC && object.kind.0 == mdc::SCADA && CAPILLARY.contains(&object.kind.1)
}

pub(crate) fn read(observation: &Observation) -> Option<Found> {
    match observation.kind {
        (mdc::SCADA, code) if CAPILLARY.contains(&code) => Some(Found::Main(glucose(observation).map(Value::Glucose))),
        (mdc::SCADA, code) if CONTROL.contains(&code) => Some(Found::Main(Err(Absent::OtherSubstance))),
        _ => None,
    }
}

fn glucose(observation: &Observation) -> Result<Glucose, Absent> {
    let number = number(observation)?;
    if let Number::Special(special @ (Special::Over | Special::Under)) = number {
        return Err(Absent::OutOfMeterRange { high: Some(special == Special::Over) });
    }
    Ok(match observation.unit {
        mdc::MG_PER_DL => {
            let quantity = Quantity::GlucoseMass;
            Glucose::Mass(GlucoseMass::from_mg_per_dl(fitting(figure(number, 0, quantity)?, quantity)?)?)
        }
        mdc::MMOL_PER_L => {
            let quantity = Quantity::GlucoseMoles;
            Glucose::Moles(GlucoseMoles::from_tenths_mmol_per_l(fitting(figure(number, 1, quantity)?, quantity)?)?)
        }
        _ => return Err(Absent::UnitUnknown),
    })
}
