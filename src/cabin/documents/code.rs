//! Codes to scan, from text: the address that opens every paper ([`super::papers`]), or, when the desk cannot be
//! reached, the words of the sheet themselves. The words work with no network, from the screen alone, and are gone
//! with it; but no PDF fits in a code, so the screen says that the prescription is not in them.

use std::fmt;

use qrcode::{EcLevel, QrCode};

/// Most bytes of text in one code: with its number a symbol of 65 modules at correction level M, which a telephone
/// still reads where the smallest screen leaves 300 px. Longer text goes on in the next code.
pub const TEXT_BYTES_MAX: usize = 280;

/// Most codes for one summary. Nobody scans more; past this the sheet is to be printed.
pub const CODES_MAX: usize = 12;

/// Light modules around a code without which readers do not find it (ISO/IEC 18004, 5.3.8).
const QUIET_MODULES: usize = 4;

/// One code, drawn by the caller with square dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    width: usize,
    dark: Vec<bool>,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code([patient])")
    }
}

/// The text is too long for [`CODES_MAX`] codes: offer the printed sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the summary is too long for codes ({bytes} bytes): print it")]
pub struct TooLong {
    /// Length of the text.
    pub bytes: usize,
}

/// A picture of a code, one byte a pixel: 0 is black, 255 white.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height, pixels.
    pub side: u32,
    /// Rows from the top, `side * side` bytes.
    pub luma: Vec<u8>,
}

/// The codes that hold `text`, in order. Each part of several begins with its number, as `1/3`.
pub fn codes(text: &str) -> Result<Vec<Code>, TooLong> {
    let parts = split(text);
    if parts.len() > CODES_MAX {
        return Err(TooLong { bytes: text.len() });
    }
    let count = parts.len();
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let part = if count > 1 { format!("{}/{count}\n{part}", index + 1) } else { (*part).to_owned() };
            let code = QrCode::with_error_correction_level(part.as_bytes(), EcLevel::M)
                .map_err(|_| TooLong { bytes: text.len() })?;
            let dark = code.to_colors().into_iter().map(|c| c == qrcode::Color::Dark).collect();
            Ok(Code { width: code.width(), dark })
        })
        .collect()
}

impl Code {
    /// The code with its quiet zone, at least `side_min` pixels wide and a whole number of pixels a module.
    pub fn picture(&self, side_min: u32) -> Picture {
        let modules = self.width + 2 * QUIET_MODULES;
        let scale = (side_min as usize).div_ceil(modules).max(1);
        let side = modules * scale;
        let mut luma = vec![255; side * side];
        for (index, _) in self.dark.iter().enumerate().filter(|(_, dark)| **dark) {
            let (x, y) = (index % self.width + QUIET_MODULES, index / self.width + QUIET_MODULES);
            for row in y * scale..(y + 1) * scale {
                luma[row * side + x * scale..row * side + (x + 1) * scale].fill(0);
            }
        }
        Picture { side: u32::try_from(side).unwrap_or(u32::MAX), luma }
    }
}

/// Parts of at most [`TEXT_BYTES_MAX`] bytes, cut at a line's end or a space where there is one.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while rest.len() > TEXT_BYTES_MAX {
        let mut end = TEXT_BYTES_MAX;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let head = &rest[..end];
        let cut = head.rfind('\n').or_else(|| head.rfind(' ')).filter(|at| *at > 0).unwrap_or(end);
        parts.push(rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a picture with `rqrr`, which shares no code with the encoder.
    fn read(code: &Code) -> String {
        let picture = code.picture(400);
        let side = picture.side as usize;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| picture.luma[y * side + x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "a reader finds exactly one code");
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_telephone_reads_the_summary_from_the_screen() {
        let text = "Téléconsultation du 22/11/2026 à 14:05\nOxygène dans le sang : 97 %\nRepos, boire de l'eau.";
        let codes = codes(text).unwrap();
        assert_eq!(codes.len(), 1);
        assert_eq!(read(&codes[0]), text);
    }

    #[test]
    fn a_longer_summary_goes_over_several_codes_and_loses_no_word() {
        let words: Vec<String> = (0..250).map(|n| format!("mot{n}é")).collect();
        let codes = codes(&words.join(" ")).unwrap();
        assert!(codes.len() > 1);
        let mut found = Vec::new();
        for (index, code) in codes.iter().enumerate() {
            let text = read(code);
            let (number, part) = text.split_once('\n').unwrap();
            assert_eq!(number, format!("{}/{}", index + 1, codes.len()));
            found.extend(part.split_whitespace().map(str::to_owned));
        }
        assert_eq!(found, words);
    }

    #[test]
    fn what_nobody_would_scan_is_to_be_printed() {
        let text = "é".repeat(TEXT_BYTES_MAX * CODES_MAX);
        assert_eq!(codes(&text), Err(TooLong { bytes: text.len() }));
    }
}
