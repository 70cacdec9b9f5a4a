//! A scale that speaks MT-SICS: silent until asked, then a line of CR LF.

use std::time::Instant;

use crate::Device;
use crate::platform::{self, LOCK, Load};

/// A question without end is forgotten at that length.
const HEARD_MAX: usize = 64;

pub(crate) struct Scale {
    load: Load,
    underload: bool,
    /// Repeats the question before the answer, as some do.
    echo: bool,
    /// Asked for the stable weight, which is not yet.
    asked: bool,
    heard: Vec<u8>,
}

impl Scale {
    pub(crate) fn new() -> Self {
        Self { load: Load::new(), underload: false, echo: false, asked: false, heard: Vec::new() }
    }

    fn is_settled(&self, now: Instant) -> bool {
        self.load.on_since.is_none_or(|since| now.saturating_duration_since(since) >= LOCK)
    }

    /// `S S      70.30 kg`.
    fn answer(&self, now: Instant) -> String {
        let settled = self.is_settled(now);
        let weight = match self.load.on_since {
            _ if self.load.overload => return "S +\r\n".into(),
            _ if self.underload => return "S -\r\n".into(),
            None => "0.00".to_owned(),
            Some(since) => platform::shown(&self.load.weight, since, now).0,
        };
        format!("S {} {weight:>10} {}\r\n", if settled { 'S' } else { 'D' }, self.load.unit)
    }

    fn question(&mut self, question: &str, now: Instant) -> String {
        let echo = if self.echo { format!("{question} ") } else { String::new() };
        match question {
            "SI" => echo + &self.answer(now),
            "S" if self.is_settled(now) || self.load.overload || self.underload => self.answer(now),
            "S" => {
                self.asked = true;
                String::new()
            }
            "@" | "I4" => "I4 A \"B021002593\"\r\n".into(),
            "" => String::new(),
            _ => "ES\r\n".into(),
        }
    }
}

impl Device for Scale {
    fn plugged(&mut self, _now: Instant) {
        self.heard.clear();
        self.asked = false;
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.heard.extend(bytes);
        while let Some(end) = self.heard.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            let answer = self.question(String::from_utf8_lossy(&line).trim(), now);
            out.extend(answer.into_bytes());
        }
        if self.heard.len() > HEARD_MAX {
            self.heard.clear();
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.asked && self.is_settled(now) {
            self.asked = false;
            out.extend(self.answer(now).into_bytes());
        }
    }

    fn due(&self) -> Option<Instant> {
        self.load.on_since.filter(|_| self.asked).map(|since| since + LOCK)
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        self.load.set(key, value, 8)
    }

    fn values(&self) -> String {
        self.load.values()
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        match words {
            words if self.load.act(words, now) => {}
            ["underload", "on"] => self.underload = true,
            ["underload", "off"] => self.underload = false,
            ["echo", "on"] => self.echo = true,
            ["echo", "off"] => self.echo = false,
            _ => return Err("step on|off, overload on|off, underload on|off, echo on|off".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(scale: &mut Scale, question: &str, now: Instant) -> String {
        let mut out = Vec::new();
        scale.hear(question.as_bytes(), now, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn answers_are_those_of_the_specification() {
        let mut scale = Scale::new();
        let later = Instant::now() + LOCK;
        assert_eq!(ask(&mut scale, "SI\r\n", later), "S S      70.30 kg\r\n");
        assert_eq!(ask(&mut scale, "XX\r\n", later), "ES\r\n");
        assert_eq!(ask(&mut scale, "@\r\n", later), "I4 A \"B021002593\"\r\n");
        scale.act(&["echo", "on"], later).unwrap();
        assert_eq!(ask(&mut scale, "SI\r\n", later), "SI S S      70.30 kg\r\n");
    }

    #[test]
    fn the_stable_weight_is_answered_when_it_is() {
        let mut scale = Scale::new();
        let start = scale.load.on_since.unwrap();
        assert!(ask(&mut scale, "SI\r\n", start).starts_with("S D "));
        assert_eq!(ask(&mut scale, "S\r\n", start), "");
        assert_eq!(scale.due(), Some(start + LOCK));
        let mut out = Vec::new();
        scale.tick(start + LOCK, &mut out);
        assert_eq!(out, b"S S      70.30 kg\r\n");
        assert_eq!(scale.due(), None);
    }
}
