//! An indicator that writes `ST,GS,+  70.30kg` four times a second, whether or not anybody stands there.

use std::time::{Duration, Instant};

use crate::Device;
use crate::platform;

/// Time between lines.
const EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Scale {
    /// As the indicator shows it: sent as it is.
    weight: String,
    unit: String,
    overload: bool,
    /// A tare is set.
    net: bool,
    /// When somebody stepped on, if somebody stands there.
    on_since: Option<Instant>,
    next_at: Instant,
}

impl Scale {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            weight: "70.30".into(),
            unit: "kg".into(),
            overload: false,
            net: false,
            on_since: Some(now),
            next_at: now,
        }
    }

    fn line(&self, now: Instant) -> String {
        let (state, weight) = match self.on_since {
            _ if self.overload => ("OL", "9999999".to_owned()),
            None => ("ST", "0.00".to_owned()),
            Some(since) => {
                let (weight, locked) = platform::shown(&self.weight, since, now);
                (if locked { "ST" } else { "US" }, weight)
            }
        };
        format!("{state},{},+{weight:>7}{}\r\n", if self.net { "NT" } else { "GS" }, self.unit)
    }
}

impl Device for Scale {
    fn plugged(&mut self, now: Instant) {
        self.next_at = now + EVERY;
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.next_at = now + EVERY;
        out.extend(self.line(now).into_bytes());
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        let decimal = value.parse::<f64>().is_ok_and(|v| (0.0..1_000_000.0).contains(&v)) && value.len() <= 7;
        match key {
            "weight" if decimal => self.weight = value.into(),
            "unit" if matches!(value, "kg" | "g" | "lb" | "st") => self.unit = value.into(),
            _ => return Err(format!("no such value: {key}={value}; weight=70.30, unit=kg|g|lb|st")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("weight={} unit={}", self.weight, self.unit)
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["step", "on"] => {
                self.on_since.get_or_insert(now);
            }
            ["step", "off"] => self.on_since = None,
            ["overload", "on"] => self.overload = true,
            ["overload", "off"] => self.overload = false,
            ["tare", "on"] => self.net = true,
            ["tare", "off"] => self.net = false,
            _ => return Err("step on|off, overload on|off, tare on|off".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::LOCK;

    #[test]
    fn lines_are_those_of_the_specification() {
        let mut scale = Scale::new();
        let start = scale.on_since.unwrap();
        assert_eq!(scale.line(start + LOCK), "ST,GS,+  70.30kg\r\n");
        assert_eq!(scale.line(start + LOCK / 2), "US,GS,+  35.15kg\r\n");
        scale.act(&["step", "off"], start).unwrap();
        assert_eq!(scale.line(start), "ST,GS,+   0.00kg\r\n");
    }
}
