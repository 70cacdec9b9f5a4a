//! An indicator that writes `ST,GS,+  70.30kg` four times a second, whether or not anybody stands there.

use std::time::{Duration, Instant};

use crate::Device;
use crate::platform::{self, Load};

/// Time between lines.
const EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Scale {
    load: Load,
    /// A tare is set.
    net: bool,
    next_at: Instant,
}

impl Scale {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { load: Load::new(), net: false, next_at: now }
    }

    fn line(&self, now: Instant) -> String {
        let (state, weight) = match self.load.on_since {
            _ if self.load.overload => ("OL", "9999999".to_owned()),
            None => ("ST", "0.00".to_owned()),
            Some(since) => {
                let (weight, locked) = platform::shown(&self.load.weight, since, now);
                (if locked { "ST" } else { "US" }, weight)
            }
        };
        format!("{state},{},+{weight:>7}{}\r\n", if self.net { "NT" } else { "GS" }, self.load.unit)
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
        self.load.set(key, value, 7)
    }

    fn values(&self) -> String {
        self.load.values()
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            words if self.load.act(words, now) => {}
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
        let start = scale.load.on_since.unwrap();
        assert_eq!(scale.line(start + LOCK), "ST,GS,+  70.30kg\r\n");
        assert_eq!(scale.line(start + LOCK / 2), "US,GS,+  35.15kg\r\n");
        scale.act(&["step", "off"], start).unwrap();
        assert_eq!(scale.line(start), "ST,GS,+   0.00kg\r\n");
    }
}
