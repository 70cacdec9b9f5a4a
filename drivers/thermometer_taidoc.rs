//! TaiDoc / FORA thermometers: body temperature, from the device's memory ([`crate::taidoc`]).
//!
//! Source: `advmeds-bluetooth-lib` (IR40, IR42, TD-1241, TD-1261, TD-1035): the first two bytes of a record, low byte
//! first, are hundredths of a degree Celsius from 1000 on, and tenths below.

use consult::vitals::{Temperature, Value};

use crate::taidoc::{Kind, TaiDoc};
use crate::{Absent, Status};

pub(crate) static KIND: Kind = Kind { asleep: Status::WakeUp, ready: Status::TakeNow, is_started: false, values };

/// The protocol, before the port opens.
pub fn protocol() -> TaiDoc {
    TaiDoc::new(&KIND)
}

fn values([low, high, ..]: [u8; 4]) -> Result<Vec<Value>, Absent> {
    let raw = match u16::from_le_bytes([low, high]) {
        0 => return Err(Absent::Empty),
        raw @ 1_000.. => raw,
        tenths => tenths * 10,
    };
    Ok(vec![Value::Temperature(Temperature::from_centi_celsius(raw)?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_and_hundredths_of_a_degree_are_told_apart() {
        let celsius = |data| match values(data) {
            Ok(values) => match values[..] {
                [Value::Temperature(temperature)] => temperature.centi_celsius(),
                _ => panic!("a thermometer gave something else"),
            },
            Err(_) => 0,
        };
        assert_eq!(celsius([0x70, 0x01, 0, 0]), 3_680);
        assert_eq!(celsius([0x64, 0x0E, 0, 0]), 3_684);
        assert_eq!(values([0; 4]), Err(Absent::Empty));
        // 99.9 and 655.35 degrees.
        assert!(values([0xE7, 0x03, 0, 0]).is_err() && values([0xFF, 0xFF, 0, 0]).is_err());
    }
}
