//! TaiDoc TD-42xx glucose meter: stores mg/dL with the minute, the meal, and what the strip was for.

use crate::number;
use crate::taidoc::{Kind, Meter};

pub(crate) struct GlucoseMeter {
    mg_per_dl: u16,
    /// As it is stored: 00, 40 before, 80 after.
    meal: u8,
    /// 0 glucose, 7 ketones...
    substance: u8,
}

impl GlucoseMeter {
    pub(crate) fn new() -> Meter<GlucoseMeter> {
        Meter::new(GlucoseMeter { mg_per_dl: 104, meal: 0x40, substance: 0 })
    }
}

impl Kind for GlucoseMeter {
    const MODEL: [u8; 2] = [0x77, 0x42];
    const KEYS: &'static str = "glucose=mg/dL, meal=none|before|after, substance=0..15";
    // 287 after a meal, 92 before.
    const YESTERDAY: [[u8; 4]; 2] = [[0x1F, 0x01, 0, 0x80], [0x5C, 0x00, 0, 0x40]];

    fn record(&self) -> [u8; 4] {
        let [low, high] = self.mg_per_dl.to_le_bytes();
        [low, high, 0, self.meal | self.substance << 2]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "glucose" => self.mg_per_dl = number(key, value, 0, u16::MAX)?,
            "substance" => self.substance = number(key, value, 0, 15)?,
            "meal" => {
                self.meal = match value {
                    "none" => 0x00,
                    "before" => 0x40,
                    "after" => 0x80,
                    _ => return Err("meal=none|before|after".into()),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn values(&self) -> String {
        format!("glucose={} meal={:02x} substance={}", self.mg_per_dl, self.meal, self.substance)
    }
}
