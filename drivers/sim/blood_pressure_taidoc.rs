//! TaiDoc TD-3140 cuff: stores pressures and pulse with the minute; measures when the host tells it to, or by its button.

use std::time::Duration;

use crate::number;
use crate::taidoc::{Kind, Meter};

pub(crate) struct Cuff {
    systolic: u16,
    diastolic: u8,
    pulse: u8,
    /// It measures for that long; 0: a model that the host cannot start.
    seconds: u64,
}

impl Cuff {
    pub(crate) fn new() -> Meter<Cuff> {
        Meter::new(Cuff { systolic: 122, diastolic: 79, pulse: 68, seconds: 30 })
    }
}

impl Kind for Cuff {
    const MODEL: [u8; 2] = [0x40, 0x31];
    const KEYS: &'static str = "systolic, diastolic, pulse, seconds=0..60 (0: started by its button only)";
    // 168/99, 84; 131/82, 61.
    const YESTERDAY: [[u8; 4]; 2] = [[0xA8, 0, 0x63, 0x54], [0x83, 0, 0x52, 0x3D]];

    fn record(&self) -> [u8; 4] {
        let [low, high] = self.systolic.to_le_bytes();
        [low, high, self.diastolic, self.pulse]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "systolic" => self.systolic = number(key, value, 0, u16::MAX)?,
            "diastolic" => self.diastolic = number(key, value, 0, u8::MAX)?,
            "pulse" => self.pulse = number(key, value, 0, u8::MAX)?,
            "seconds" => self.seconds = number(key, value, 0, 60)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn values(&self) -> String {
        format!("systolic={} diastolic={} pulse={} seconds={}", self.systolic, self.diastolic, self.pulse, self.seconds)
    }

    fn measures_for(&self) -> Option<Duration> {
        (self.seconds > 0).then(|| Duration::from_secs(self.seconds))
    }
}
