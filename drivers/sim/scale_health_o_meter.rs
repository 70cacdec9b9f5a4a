//! Health o meter 600KL: packets of `ESC letter text`, one a second while somebody stands on it.

use std::time::{Duration, Instant};

use crate::{Device, platform};

const ESC: char = '\x1b';
/// While a weight is locked, it is sent that often.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Scale {
    /// Texts as the scale prints them: sent as they are.
    weight: String,
    height: String,
    units: String,
    rod_down: bool,
    overload: bool,
    /// When somebody stepped on, if somebody stands there.
    on_since: Option<Instant>,
    next_at: Instant,
    input: Vec<u8>,
}

impl Scale {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            weight: "70.30".into(),
            height: "172.50".into(),
            units: "m".into(),
            rod_down: true,
            overload: false,
            on_since: Some(now),
            next_at: now,
            input: Vec::new(),
        }
    }

    fn packet(&self, now: Instant, out: &mut Vec<u8>) {
        let Self { weight, height, units, .. } = self;
        let weight = match self.on_since {
            _ if self.overload => "999.99".to_owned(),
            None => "0.00".to_owned(),
            Some(since) => platform::shown(weight, since, now).0,
        };
        let height = if self.rod_down { height.as_str() } else { "0.00" };
        let text = format!("{ESC}R{ESC}I0000000042{ESC}W{weight}{ESC}H{height}{ESC}T0.0{ESC}N{units}{ESC}E");
        out.extend(text.as_bytes());
    }
}

impl Device for Scale {
    fn plugged(&mut self, now: Instant) {
        self.next_at = now + EVERY;
        self.input.clear();
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.input.extend(bytes);
        while let Some(end) = self.input.windows(2).position(|w| w == b"\x1bE") {
            let request: Vec<u8> = self.input.drain(..end + 2).collect();
            if request.windows(2).any(|w| w == b"\x1bJ") {
                out.extend(b"\x1bR\x1bJO\x1bE");
            } else if request.windows(2).any(|w| w == b"\x1bA") {
                out.extend(b"\x1bR\x1bZ000\x1bE");
            } else if request.starts_with(b"\x1bR") {
                self.packet(now, out);
            }
        }
        // A request without end is forgotten.
        if self.input.len() > 64 {
            self.input.clear();
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.next_at = now + EVERY;
        if self.on_since.is_some() {
            self.packet(now, out);
        }
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        let decimal = value.parse::<f64>().is_ok_and(|v| (0.0..1000.0).contains(&v)) && value.len() <= 8;
        match key {
            "weight" if decimal => self.weight = value.into(),
            "height" if decimal => self.height = value.into(),
            "units" if matches!(value, "m" | "c") => self.units = value.into(),
            _ => return Err(format!("no such value: {key}={value}; weight=70.30, height=172.50, units=m|c")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("weight={} height={} units={}", self.weight, self.height, self.units)
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["step", "on"] => {
                self.on_since.get_or_insert(now);
            }
            ["step", "off"] => self.on_since = None,
            ["rod", "down"] => self.rod_down = true,
            ["rod", "up"] => self.rod_down = false,
            ["overload", "on"] => self.overload = true,
            ["overload", "off"] => self.overload = false,
            _ => return Err("step on|off, rod down|up, overload on|off".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::LOCK;

    #[test]
    fn read_now_is_answered_with_the_texts_as_set() {
        let mut scale = Scale::new();
        let later = Instant::now() + LOCK;
        let mut out = Vec::new();
        scale.hear(b"\x1bR", later, &mut out);
        assert!(out.is_empty());
        scale.hear(b"\x1bE", later, &mut out);
        let text = String::from_utf8(out).unwrap().replace(ESC, "~");
        assert_eq!(text, "~R~I0000000042~W70.30~H172.50~T0.0~Nm~E");
    }
}
