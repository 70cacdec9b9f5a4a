//! A platform under a foot: the weight rises to what it will be, then locks. Shared by the simulated scales.

use std::time::{Duration, Instant};

/// Time for the weight to lock after a step on.
pub(crate) const LOCK: Duration = Duration::from_millis(1_500);

/// What is shown of `weight` to somebody who stepped on at `since`, and whether it is locked.
pub(crate) fn shown(weight: &str, since: Instant, now: Instant) -> (String, bool) {
    let stood = now.saturating_duration_since(since);
    if stood >= LOCK {
        return (weight.to_owned(), true);
    }
    let part = stood.as_secs_f64() / LOCK.as_secs_f64();
    (format!("{:.2}", weight.parse::<f64>().unwrap_or(0.0) * part), false)
}

/// What such a scale shows, and what a hand can do with it.
pub(crate) struct Load {
    /// As the scale prints it: sent as it is.
    pub(crate) weight: String,
    pub(crate) unit: String,
    pub(crate) overload: bool,
    /// When somebody stepped on, if somebody stands there.
    pub(crate) on_since: Option<Instant>,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self { weight: "70.30".into(), unit: "kg".into(), overload: false, on_since: Some(Instant::now()) }
    }

    /// Sets the weight, of so many characters at most, or its unit.
    pub(crate) fn set(&mut self, key: &str, value: &str, weight_max: usize) -> Result<(), String> {
        let decimal = value.parse::<f64>().is_ok_and(|v| (0.0..1_000_000.0).contains(&v)) && value.len() <= weight_max;
        match key {
            "weight" if decimal => self.weight = value.into(),
            "unit" if matches!(value, "kg" | "g" | "lb" | "st") => self.unit = value.into(),
            _ => return Err(format!("no such value: {key}={value}; weight=70.30, unit=kg|g|lb|st")),
        }
        Ok(())
    }

    pub(crate) fn values(&self) -> String {
        format!("weight={} unit={}", self.weight, self.unit)
    }

    /// Somebody steps on or off, or too much is on it. False: it is told something else.
    pub(crate) fn act(&mut self, words: &[&str], now: Instant) -> bool {
        match words {
            ["step", "on"] => {
                self.on_since.get_or_insert(now);
            }
            ["step", "off"] => self.on_since = None,
            ["overload", "on"] => self.overload = true,
            ["overload", "off"] => self.overload = false,
            _ => return false,
        }
        true
    }
}
