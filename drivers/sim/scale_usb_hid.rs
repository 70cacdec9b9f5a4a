//! A parcel scale that speaks the HID usage page "Weighing": a report whenever it has weighed.

use std::time::{Duration, Instant};

use crate::platform::shown;
use crate::usb::hid::{Identity, Kind};
use crate::{Device, number};

/// It weighs that often.
const EVERY: Duration = Duration::from_millis(250);

pub(crate) static KIND: Kind = Kind {
    identity: Identity {
        vendor: 0x0922,
        product: 0x8009,
        names: ["DYMO", "S180 180kg USB Postal Scale"],
        serial: Some("0071700031234"),
        packet_bytes: 8,
        has_endpoint_out: false,
    },
    report_bytes: 6,
    feature_bytes: 0,
    // HID Point of Sale Usage Tables 1.02, 4: data report 3 of status, unit, exponent (signed) and weight.
    report_descriptor: &[
        0x05, 0x8D, 0x09, 0x20, 0xA1, 0x01, // page Weighing, a weighing device
        0x85, 0x03, 0x09, 0x32, 0xA1, 0x02, // report 3, its data
        0x15, 0x01, 0x25, 0x08, 0x75, 0x08, 0x95, 0x01, 0x09, 0x70, 0x81, 0x02, // status 1 to 8
        0x15, 0x01, 0x25, 0x0C, 0x09, 0x50, 0x81, 0x02, // unit 1 to 12
        0x15, 0x81, 0x25, 0x7F, 0x09, 0x41, 0x81, 0x02, // exponent
        0x15, 0x00, 0x27, 0xFF, 0xFF, 0x00, 0x00, 0x75, 0x10, 0x09, 0x40, 0x81, 0x02, // weight
        0xC0, 0xC0,
    ],
};

pub(crate) struct Scale {
    weight: String,
    unit: u8,
    stood_since: Option<Instant>,
    /// Said whatever stands on it.
    status: Option<u8>,
    due: Option<Instant>,
}

impl Scale {
    pub(crate) fn new() -> Scale {
        Scale { weight: "70.3".into(), unit: 3, stood_since: Some(Instant::now()), status: None, due: None }
    }

    fn report(&self, now: Instant) -> [u8; 6] {
        let (weight, locked) = self.stood_since.map_or(("0.0".into(), true), |since| shown(&self.weight, since, now));
        let decimals = weight.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits: u16 = weight.replacen('.', "", 1).parse().unwrap_or(u16::MAX);
        let status = self.status.unwrap_or(match (digits, locked) {
            (0, _) => 2,
            (_, true) => 4,
            (_, false) => 3,
        });
        let [low, high] = digits.to_le_bytes();
        [3, status, self.unit, (decimals as u8).wrapping_neg(), low, high]
    }
}

impl Device for Scale {
    fn plugged(&mut self, now: Instant) {
        self.due = Some(now);
    }

    fn unplugged(&mut self, _now: Instant) {
        self.due = None;
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        out.extend(self.report(now));
        self.due = Some(now + EVERY);
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn set(&mut self, key: &str, value: &str, now: Instant) -> Result<(), String> {
        match key {
            "weight" => {
                value.parse::<f64>().map_err(|_| format!("weight is a decimal, not {value:?}"))?;
                self.weight = value.to_owned();
                self.stood_since = Some(now);
            }
            "unit" => self.unit = number(key, value, 0, 255)?,
            "status" => self.status = Some(number(key, value, 0, 255)?).filter(|status| *status != 0),
            _ => return Err(format!("no such value: {key}; weight=70.3, unit=1..12 (2 g, 3 kg, 12 lb), status=0..8")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("weight={} unit={} status={}", self.weight, self.unit, self.status.unwrap_or(0))
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["step", "on"] => self.stood_since = Some(now),
            ["step", "off"] => self.stood_since = None,
            ["overload", "on"] => self.status = Some(6),
            ["overload", "off"] => self.status = None,
            _ => return Err("step on|off, overload on|off".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_report_is_that_of_the_specification() {
        let mut scale = Scale::new();
        let now = Instant::now();
        scale.set("weight", "55.6", now).unwrap();
        assert_eq!(scale.report(now + Duration::from_secs(5)), [3, 4, 3, 0xFF, 0x2C, 2]);
        scale.act(&["step", "off"], now).unwrap();
        assert_eq!(scale.report(now), [3, 2, 3, 0xFF, 0, 0]);
    }
}
