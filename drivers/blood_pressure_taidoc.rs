//! TaiDoc / FORA cuffs (TD-3128, TD-3140, P30 Plus): blood pressure and pulse, from the device's memory
//! ([`crate::taidoc`]).
//!
//! Source: `advmeds-bluetooth-lib`. A record is systolic (two bytes, low byte first in the FORA D40; the second is 0 in
//! the others), diastolic, pulse. The TD-3140 is started by command 43; a model that does not answer it is started by
//! its button. What a started cuff answers at its end is not taken: the record of it is in its memory, with a date.
//! The mean pressure is not given.

use consult::vitals::{BloodPressure, PulseRate, Value};

use crate::taidoc::{Kind, TaiDoc};
use crate::{Absent, Status};

pub(crate) static KIND: Kind =
    Kind { asleep: Status::ConnectDevice, ready: Status::MeasureOnDevice, is_started: true, values };

/// The protocol, before the port opens.
pub fn protocol() -> TaiDoc {
    TaiDoc::new(&KIND)
}

fn values(data: [u8; 4]) -> Result<Vec<Value>, Absent> {
    if data == [0; 4] {
        return Err(Absent::Empty);
    }
    let [low, high, diastolic, pulse] = data;
    let pressure = BloodPressure::from_mmhg(u16::from_le_bytes([low, high]), diastolic.into(), None)?;
    Ok(vec![Value::BloodPressure(pressure), Value::PulseRate(PulseRate::from_per_minute(pulse.into())?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_the_specification_is_read() {
        let figures = |data| match values(data).unwrap()[..] {
            [Value::BloodPressure(pressure), Value::PulseRate(pulse)] => {
                (pressure.systolic().mmhg(), pressure.diastolic().mmhg(), pressure.mean(), pulse.per_minute())
            }
            _ => panic!("a cuff gave something else"),
        };
        assert_eq!(figures([0x7A, 0x00, 0x4F, 0x44]), (122, 79, None, 68));
        assert_eq!(figures([0x04, 0x01, 0x8C, 0x44]), (260, 140, None, 68));
    }

    #[test]
    fn what_no_artery_has_is_refused() {
        assert_eq!(values([0; 4]), Err(Absent::Empty));
        for wrong in [[0x4F, 0, 0x7A, 0x44], [0x7A, 0x02, 0x4F, 0x44], [0x7A, 0, 0x4F, 0], [0x7A, 0, 0, 0x44]] {
            assert!(values(wrong).is_err(), "{wrong:02x?}");
        }
    }
}
