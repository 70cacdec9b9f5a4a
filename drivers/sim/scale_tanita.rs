//! Tanita WB-3000: says nothing until somebody has stood still on it, then one line, and junk a moment later.

use std::time::{Duration, Instant};

use crate::{Device, number, sum8};

/// Time from the step on to the line.
const LOCK: Duration = Duration::from_millis(1_500);
/// Time from the line to the junk that follows it.
const JUNK: Duration = Duration::from_millis(100);

pub(crate) struct Scale {
    /// Texts as the scale prints them: sent as they are.
    weight: String,
    height: String,
    pounds: bool,
    rod_down: bool,
    /// Lines to send yet with a wrong checksum.
    corrupt: u32,
    /// Somebody steps on by himself that often, so that a demonstration needs no hand.
    auto: Option<Duration>,
    step_at: Option<Instant>,
    line_at: Option<Instant>,
    junk_at: Option<Instant>,
}

impl Scale {
    pub(crate) fn new() -> Self {
        Self {
            weight: "70.3".into(),
            height: "172.5".into(),
            pounds: false,
            rod_down: true,
            corrupt: 0,
            auto: None,
            step_at: None,
            line_at: None,
            junk_at: None,
        }
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = String::from("{0,16,~0,1,~1,1,~2,1,MO,\"WB-3000\",ID,\"0000000042\",");
        if self.rod_down {
            line += &format!("Hm,{},", self.height);
        }
        line += &format!("{},{},MI,23.6,", if self.pounds { "Wp" } else { "Wk" }, self.weight);
        let mut sum = sum8(line.as_bytes());
        if self.corrupt > 0 {
            self.corrupt -= 1;
            sum = sum.wrapping_add(1);
        }
        line += &format!("CS,{sum:02X}\r\n");
        line.into_bytes()
    }
}

impl Device for Scale {
    fn plugged(&mut self, now: Instant) {
        self.line_at = None;
        self.junk_at = None;
        self.step_at = self.auto.map(|auto| now + auto);
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.step_at) {
            self.step_at = self.auto.map(|auto| now + auto);
            self.line_at.get_or_insert(now + LOCK);
        }
        if is_due(self.line_at) {
            self.line_at = None;
            self.junk_at = Some(now + JUNK);
            out.extend(self.line());
        }
        if is_due(self.junk_at) {
            self.junk_at = None;
            out.extend([0x00, 0xFE, b',', b'0', 0x80]);
        }
    }

    fn due(&self) -> Option<Instant> {
        [self.step_at, self.line_at, self.junk_at].into_iter().flatten().min()
    }

    fn set(&mut self, key: &str, value: &str, now: Instant) -> Result<(), String> {
        let decimal = value.parse::<f64>().is_ok_and(|v| (0.0..1000.0).contains(&v)) && value.len() <= 8;
        match key {
            "weight" if decimal => self.weight = value.into(),
            "height" if decimal => self.height = value.into(),
            "unit" if matches!(value, "kg" | "lb") => self.pounds = value == "lb",
            "auto" => {
                let seconds = number::<u64>(key, value, 0, 600)?;
                self.auto = (seconds > 0).then(|| Duration::from_secs(seconds));
                self.step_at = self.auto.map(|auto| now + auto);
            }
            _ => {
                let known = "weight=70.3, height=172.5, unit=kg|lb, auto=seconds (0: never)";
                return Err(format!("no such value: {key}={value}; {known}"));
            }
        }
        Ok(())
    }

    fn values(&self) -> String {
        let unit = if self.pounds { "lb" } else { "kg" };
        format!("weight={} height={} unit={unit}", self.weight, self.height)
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            ["step", "on"] => {
                self.line_at.get_or_insert(now + LOCK);
            }
            ["step", "off"] => self.line_at = None,
            ["rod", "down"] => self.rod_down = true,
            ["rod", "up"] => self.rod_down = false,
            ["corrupt"] => self.corrupt += 1,
            _ => return Err("step on|off, rod down|up, corrupt".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_follows_a_step_on_then_junk() {
        let start = Instant::now();
        let mut scale = Scale::new();
        scale.plugged(start);
        assert_eq!(scale.due(), None);
        scale.act(&["step", "on"], start).unwrap();
        let mut out = Vec::new();
        scale.tick(start + LOCK, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(",Hm,172.5,Wk,70.3,MI,23.6,CS,") && text.ends_with("\r\n"), "{text}");
        let (covered, sum) = text.split_once("CS,").unwrap();
        assert_eq!(sum.trim_end(), format!("{:02X}", sum8(covered.as_bytes())));
        let mut out = Vec::new();
        scale.tick(start + LOCK + JUNK, &mut out);
        assert_eq!(out.len(), 5);
        assert_eq!(scale.due(), None);
    }
}
