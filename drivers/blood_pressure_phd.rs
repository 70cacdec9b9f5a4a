//! Any cuff that speaks IEEE 11073-20601 (specialisation 10407): blood pressure and pulse.
//!
//! Source: ISO/IEEE 11073-10407, 6 (objects). Such a cuff is started by its own button; the cabin cannot start nor stop
//! it. It keeps what it could not deliver, other patients' too: see [`crate::personal_health::taking`].
//!
//! Pressures are taken in mmHg only. A cuff set to kPa shows tenths of it, 0.75 mmHg each: in whole mmHg two of its
//! figures would become one.

use consult::vitals::{BloodPressure, PulseRate, Quantity, Value};

use crate::personal_health::configuration::Object;
use crate::personal_health::mder::Number;
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::Observation;
use crate::personal_health::taking::{Found, Kind, Taking, figure, fitting, number};
use crate::{Absent, Protocol, Status};

static KIND: Kind =
    Kind { wants, read, values: 2, without_rest: None, wake: Status::WakeUp, ready: Status::MeasureOnDevice };

/// A new one, before the port opens.
pub fn protocol() -> Box<dyn Protocol> {
    Box::new(Taking::new(&KIND))
}

fn wants(object: &Object) -> bool {
    object.class == mdc::METRIC_NUMERIC && object.kind == (mdc::SCADA, mdc::PRESSURE)
}

fn read(observation: &Observation) -> Option<Found> {
    match observation.kind {
        (mdc::SCADA, mdc::PRESSURE) => Some(Found::Main(pressure(observation).map(Value::BloodPressure))),
        (mdc::SCADA, mdc::PULSE_BY_CUFF) => Some(Found::Rest(pulse(observation).map(Value::PulseRate))),
        _ => None,
    }
}

fn pressure(observation: &Observation) -> Result<BloodPressure, Absent> {
    if observation.unit != mdc::MMHG {
        return Err(Absent::UnitUnknown);
    }
    let part = |wanted| observation.values.iter().find(|(code, _)| *code == wanted).map(|(_, number)| *number);
    let mmhg = |number: Option<Number>, quantity| -> Result<u16, Absent> {
        fitting(figure(number.ok_or(Absent::Empty)?, 0, quantity)?, quantity)
    };
    let systolic = mmhg(part(mdc::SYSTOLIC), Quantity::Systolic)?;
    let diastolic = mmhg(part(mdc::DIASTOLIC), Quantity::Diastolic)?;
    // Many cuffs give no mean, or one with more digits than ours: the pressure stands without it.
    let mean = mmhg(part(mdc::MEAN), Quantity::MeanPressure).ok();
    Ok(BloodPressure::from_mmhg(systolic, diastolic, mean)?)
}

fn pulse(observation: &Observation) -> Result<PulseRate, Absent> {
    if observation.unit != mdc::BEATS_PER_MINUTE {
        return Err(Absent::UnitUnknown);
    }
    let figure = figure(number(observation)?, 0, Quantity::PulseRate)?;
    Ok(PulseRate::from_per_minute(fitting(figure, Quantity::PulseRate)?)?)
}
