//! Recordings of what a device sent and was sent: text, one arrival a line, so that a person can read and mend them.
//!
//! ```text
//! # model: oximeter_nonin
//! # who: A. Martin, pharmacy of the Halles        (or the page of the manual, for a synthetic one)
//! +0 < 01 81 52 00 D4
//! +13 > 3A 79 05 00 48
//! ```
//! A header `# pace: recorded` asks for the milliseconds to be kept when it is replayed: for a device that speaks
//! unasked and is judged by how long it says the same.
//!
//! `+` milliseconds since the line before, `<` from the device, `>` to the device, `=` a feature report to it (HID),
//! bytes in hexadecimal.

use std::fmt::Write as _;

/// Longest capture read, bytes of text: an hour of an oximeter. A longer one is refused.
pub const TEXT_MAX: usize = 16 * 1024 * 1024;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device to the cabin.
    FromDevice,
    /// From the cabin to the device.
    ToDevice,
    /// From the cabin to the device, as a HID feature report.
    Feature,
}

/// Bytes that went together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Milliseconds since the burst before.
    pub after_ms: u64,
    /// Which way.
    pub direction: Direction,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// `# key: value` lines, in order.
    pub header: Vec<(String, String)>,
    /// The recording.
    pub bursts: Vec<Burst>,
}

/// A line that is none of a capture. Mend it, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected `# key: value`, or `+milliseconds < hexadecimal bytes`, or `>` or `=` for bytes sent")]
pub struct NotACapture {
    /// Number of the line, from 1.
    pub line: usize,
}

impl Capture {
    /// Value of a header line.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Reads the text of a capture.
    pub fn parse(text: &str) -> Result<Self, NotACapture> {
        let mut capture = Capture::default();
        if text.len() > TEXT_MAX {
            return Err(NotACapture { line: 0 });
        }
        for (number, line) in text.lines().enumerate() {
            let wrong = NotACapture { line: number + 1 };
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                if let Some((key, value)) = comment.split_once(':') {
                    capture.header.push((key.trim().to_owned(), value.trim().to_owned()));
                }
            } else if !line.is_empty() {
                capture.bursts.push(burst(line).ok_or(wrong)?);
            }
        }
        Ok(capture)
    }
}

fn burst(line: &str) -> Option<Burst> {
    let mut words = line.split_ascii_whitespace();
    let after_ms = words.next()?.strip_prefix('+')?.parse().ok()?;
    let direction = match words.next()? {
        "<" => Direction::FromDevice,
        ">" => Direction::ToDevice,
        "=" => Direction::Feature,
        _ => return None,
    };
    let hex = |word: &str| {
        (word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit())).then(|| u8::from_str_radix(word, 16).ok())?
    };
    let bytes = words.map(hex).collect::<Option<Vec<u8>>>()?;
    Some(Burst { after_ms, direction, bytes })
}

/// One line of a capture.
pub fn line(burst: &Burst) -> String {
    let arrow = match burst.direction {
        Direction::FromDevice => '<',
        Direction::ToDevice => '>',
        Direction::Feature => '=',
    };
    let mut text = format!("+{} {arrow}", burst.after_ms);
    for byte in &burst.bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, " {byte:02X}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_read_as_it_is_written() {
        let bursts = [
            Burst { after_ms: 0, direction: Direction::FromDevice, bytes: vec![1, 0x81, 0xFF] },
            Burst { after_ms: 130, direction: Direction::ToDevice, bytes: vec![0x3A] },
            Burst { after_ms: 7, direction: Direction::Feature, bytes: vec![0x74, 0xBC] },
        ];
        let text = format!("# model: x\n# where: here: there\n\n{}", bursts.iter().map(line).collect::<String>());
        let capture = Capture::parse(&text).unwrap();
        assert_eq!(capture.bursts, bursts);
        assert_eq!(capture.field("where"), Some("here: there"));
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        for wrong in ["0 < 01", "+x < 01", "+1 ? 01", "+1 < 1", "+1 < +1", "+1 < éa"] {
            assert_eq!(Capture::parse(&format!("# a: b\n{wrong}\n")), Err(NotACapture { line: 2 }), "{wrong}");
        }
    }
}
