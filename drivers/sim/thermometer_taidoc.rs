//! TaiDoc thermometer: silent until asked, stores each temperature with the minute.

use crate::number;
use crate::taidoc::{Kind, Meter};

pub(crate) struct Thermometer {
    /// As the packets carry it: tenths below 1000, hundredths from there on.
    raw: u16,
}

impl Thermometer {
    pub(crate) fn new() -> Meter<Thermometer> {
        Meter::new(Thermometer { raw: 368 })
    }
}

impl Kind for Thermometer {
    const MODEL: [u8; 2] = [0x41, 0x12];
    const KEYS: &'static str = "temperature=36.8";
    // 39.1 and 37.2.
    const YESTERDAY: [[u8; 4]; 2] = [[0x87, 0x01, 0, 0], [0x74, 0x01, 0, 0]];

    fn record(&self) -> [u8; 4] {
        let [low, high] = self.raw.to_le_bytes();
        [low, high, 0, 0]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        if key != "temperature" {
            return Ok(false);
        }
        // 36.8 is stored in tenths, 36.84 in hundredths, as the two families of models do.
        let digits = value.replacen('.', "", 1);
        let decimals = value.split_once('.').map_or(0, |(_, d)| d.len());
        let raw = number::<u16>(key, &digits, 0, 9_999)?;
        self.raw = match decimals {
            0 => raw.saturating_mul(10),
            1 | 2 => raw,
            _ => return Err(format!("one or two decimals: {value}")),
        };
        Ok(true)
    }

    fn values(&self) -> String {
        let hundredths = if self.raw >= 1000 { self.raw } else { self.raw * 10 };
        format!("temperature={}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::Device as _;

    #[test]
    fn a_stored_temperature_is_the_newest_record() {
        let mut device = Thermometer::new();
        device.set("temperature", "36.84", Instant::now()).unwrap();
        device.act(&["measure"], Instant::now()).unwrap();
        let mut out = Vec::new();
        device.hear(&[0x51, 0x26, 0, 0, 0, 0, 0xA3, 0x1A], Instant::now(), &mut out);
        assert_eq!(out[..4], [0x51, 0x26, 0x64, 0x0E]);
    }
}
