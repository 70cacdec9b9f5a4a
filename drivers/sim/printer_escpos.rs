//! A receipt printer on a serial line: writes down what would be on its paper, and answers how it is.
//!
//! Reads ESC/POS as a printer does, from Epson's guide: every command by its own length.

use std::time::Instant;

use crate::Device;

/// Most bytes of a command that is not whole yet: a picture as long as a receipt.
const PENDING_MAX: usize = 200_000;

pub(crate) struct Printer {
    /// What is on the paper, with marks in braces.
    paper: String,
    pending: Vec<u8>,
    code: String,
    has_paper: bool,
    is_low: bool,
    is_open: bool,
    /// One that never answers.
    is_mute: bool,
    page: u8,
    /// Takes that many bytes yet before its paper ends.
    left: usize,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self {
            paper: String::new(),
            pending: Vec::new(),
            code: String::new(),
            has_paper: true,
            is_low: false,
            is_open: false,
            is_mute: false,
            page: 0,
            left: usize::MAX,
        }
    }

    fn status(&self, of: u8) -> u8 {
        let stopped = self.is_open || !self.has_paper;
        0x12 | match of {
            1 if stopped => 0x08,
            2 => (if self.is_open { 0x04 } else { 0 }) | if self.has_paper { 0 } else { 0x20 },
            4 => (if self.is_low { 0x0C } else { 0 }) | if self.has_paper { 0 } else { 0x60 },
            _ => 0,
        }
    }

    /// Takes one command or letter off what is pending. False: more is needed.
    fn take(&mut self, out: &mut Vec<u8>) -> bool {
        let bytes = &self.pending;
        let number = |at: usize| Some(usize::from(*bytes.get(at)?) + 256 * usize::from(*bytes.get(at + 1)?));
        let length = match bytes[..] {
            [] => return false,
            [0x1B] | [0x1D] | [0x10] => return false,
            [0x1B, b'@', ..] => 2,
            [0x1B, b't' | b'a' | b'E' | b'd' | b'!', ..] => 3,
            [0x1D, b'!' | b'r', ..] => 3,
            [0x1D, b'V', 0x41 | 0x42, ..] => 4,
            [0x1D, b'V', ..] => 3,
            [0x1D, b'(', b'k', ..] => match number(3) {
                Some(count) => 5 + count,
                None => return false,
            },
            [0x1D, b'v', b'0', _, ..] => match number(4).zip(number(6)) {
                Some((across, down)) => 8 + across * down,
                None => return false,
            },
            [0x1D, b'(' | b'v', ..] if bytes.len() < 4 => return false,
            [0x10, 0x04, ..] => 3,
            _ => 1,
        };
        if bytes.len() < length {
            return false;
        }
        let command: Vec<u8> = self.pending.drain(..length).collect();
        self.obey(&command, out);
        true
    }

    fn obey(&mut self, command: &[u8], out: &mut Vec<u8>) {
        let marked = match *command {
            [0x1B, b'@'] => {
                self.page = 0;
                String::new()
            }
            [0x1B, b't', page] => {
                self.page = page;
                String::new()
            }
            [0x1B, b'a', at] => format!("{{{}}}", ["left", "centre", "right"].get(usize::from(at)).unwrap_or(&"?")),
            [0x1B, b'E', on] => format!("{{{}bold}}", if on & 1 == 1 { "" } else { "/" }),
            [0x1B, b'd', lines] => "\n".repeat(lines.into()),
            [0x1D, b'!', size] => format!("{{size {}x{}}}", (size >> 4) + 1, (size & 7) + 1),
            [0x1D, b'V', ..] => "{cut}".into(),
            [0x1D, b'v', b'0', _, xl, xh, yl, yh, ..] => {
                let number = |low: u8, high: u8| u16::from_le_bytes([low, high]);
                format!("{{picture {}x{}}}", number(xl, xh) * 8, number(yl, yh))
            }
            [0x1D, b'(', b'k', _, _, 0x31, 0x50, 0x30, ref text @ ..] => {
                self.code = String::from_utf8_lossy(text).into_owned();
                String::new()
            }
            [0x1D, b'(', b'k', _, _, 0x31, 0x51, ..] => format!("{{code {}}}", self.code),
            [0x1D, b'(', ..] => String::new(),
            [0x10, 0x04, of] => {
                if !self.is_mute {
                    out.push(self.status(of));
                }
                String::new()
            }
            [0x1D, b'r', _] => {
                if !self.is_mute && self.has_paper && !self.is_open {
                    out.push(if self.is_low { 0x03 } else { 0x00 });
                }
                String::new()
            }
            [b'\n'] => "\n".into(),
            [letter @ 0x20..=0x7E] => char::from(letter).to_string(),
            [letter @ 0x80..=0xFF] => letter_of(self.page, letter).to_string(),
            _ => "?".into(),
        };
        if !marked.is_empty() {
            self.left = self.left.saturating_sub(command.len());
            if self.left == 0 {
                self.has_paper = false;
            }
            if self.has_paper && !self.is_open {
                self.paper.push_str(&marked);
            }
        }
    }
}

/// Those letters that a French receipt has, in code pages 858 (19) and 1252 (16).
fn letter_of(page: u8, letter: u8) -> char {
    match (page, letter) {
        (16, 0x80) | (19, 0xD5) => '€',
        (16, 0x9C) => 'œ',
        (16, 0xA0..) => char::from(letter),
        (19, 0x82) => 'é',
        (19, 0x83) => 'â',
        (19, 0x85) => 'à',
        (19, 0x87) => 'ç',
        (19, 0x88) => 'ê',
        (19, 0x8A) => 'è',
        (19, 0x93) => 'ô',
        (19, 0x96) => 'û',
        (19, 0x97) => 'ù',
        (19, 0x90) => 'É',
        (19, 0xB7) => 'À',
        (19, 0xF8) => '°',
        (19, 0xFF) => ' ',
        _ => '?',
    }
}

impl Device for Printer {
    fn plugged(&mut self, _now: Instant) {
        self.pending.clear();
    }

    fn hear(&mut self, bytes: &[u8], _now: Instant, out: &mut Vec<u8>) {
        self.pending.extend(bytes);
        if self.pending.len() > PENDING_MAX {
            self.pending.clear();
        }
        while self.take(out) {}
    }

    fn tick(&mut self, _now: Instant, _out: &mut Vec<u8>) {}

    fn due(&self) -> Option<Instant> {
        None
    }

    fn set(&mut self, key: &str, value: &str, _now: Instant) -> Result<(), String> {
        match key {
            "left" => self.left = crate::number(key, value, 0, 1_000_000)?,
            _ => return Err(format!("no such value: {key}; left=BYTES until the paper ends")),
        }
        Ok(())
    }

    fn values(&self) -> String {
        self.paper.clone()
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["paper", "out"] => self.has_paper = false,
            ["paper", "low"] => self.is_low = true,
            ["paper", "in"] => (self.has_paper, self.is_low, self.left) = (true, false, usize::MAX),
            ["cover", "open"] => self.is_open = true,
            ["cover", "close"] => self.is_open = false,
            ["mute"] => self.is_mute = true,
            ["tear"] => self.paper.clear(),
            _ => return Err("paper out|low|in | cover open|close | mute | tear".into()),
        }
        Ok(())
    }
}
