//! A hand scanner on a serial line: says what it is held in front of. The people on its codes are made up.

use std::time::Instant;

use crate::Device;

pub(crate) struct Scanner {
    /// Puts the kind of code before it.
    with_kind: bool,
    end: &'static str,
    pending: Vec<u8>,
    scanned_at: Option<Instant>,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { with_kind: true, end: "\r\n", pending: Vec::new(), scanned_at: None }
    }
}

/// An INS code of a made up man, block by block.
fn ins(authority: &str) -> String {
    let mut code = format!("IS01{:022}", 0);
    let given = "JEAN-BAPTISTE LOUIS";
    for (name, value, most) in [
        ("S1", "185057800608491", 15),
        ("S2", authority, 20),
        ("S3", given, 100),
        ("S4", "D'ESSAI", 100),
        ("S5", "M", 1),
        ("S6", "17-05-1985", 10),
        ("S7", "78006", 5),
    ] {
        code += name;
        code += value;
        if value.len() < most {
            code.push('\u{1d}');
        }
    }
    code
}

impl Device for Scanner {
    fn plugged(&mut self, _now: Instant) {}

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, _now: Instant, out: &mut Vec<u8>) {
        self.scanned_at = None;
        out.append(&mut self.pending);
    }

    fn due(&self) -> Option<Instant> {
        self.scanned_at
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match (key, value) {
            ("kind", "on") => self.with_kind = true,
            ("kind", "off") => self.with_kind = false,
            ("end", "cr") => self.end = "\r",
            ("end", "lf") => self.end = "\n",
            ("end", "crlf") => self.end = "\r\n",
            ("end", "none") => self.end = "",
            _ => return Err("kind=on|off end=cr|lf|crlf|none".into()),
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("kind={} end={:?}", self.with_kind, self.end)
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        let (kind, content) = match words {
            ["scan", "ins"] => ("]d1", ins("1.2.250.1.213.1.4.8")),
            ["scan", "test"] => ("]d1", ins("1.2.250.1.213.1.4.10")),
            ["scan", "box"] => ("]d2", "01034531200000111719112510ABCD1234".to_owned()),
            ["scan", "apcv"] => ("]Q1", "https://example.org/token/8f3a".to_owned()),
            ["scan", "damaged"] => ("]d1", ins("1.2.250.1.213.1.4.8").replace("1850578006084", "1850578006085")),
            _ => return Err("scan ins|test|box|apcv|damaged".into()),
        };
        if self.with_kind {
            self.pending.extend(kind.bytes());
        }
        self.pending.extend(content.bytes());
        self.pending.extend(self.end.bytes());
        self.scanned_at = Some(now);
        Ok(())
    }
}
