//! The matricule (NIR or NIA): 13 characters and a key of two digits (interop.md 1.1).

use std::fmt;

use crate::private::Private;

/// A matricule with a right key. Alphanumeric: never an integer (Corsica).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Matricule(Private<String>);

/// Why a typed matricule cannot be one. Read it again from the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatriculeRefused {
    /// Not 15 characters once spaces are removed; how many there are.
    Length(usize),
    /// The first digit, the month or a letter stands where it cannot; its position, 1-15.
    Form(usize),
    /// The two last digits do not fit the others.
    Key,
}

impl fmt::Display for MatriculeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatriculeRefused::Length(chars) => write!(f, "{chars} characters instead of 15: read the number again"),
            MatriculeRefused::Form(position) => {
                write!(f, "character {position} cannot be there: read the number again")
            }
            MatriculeRefused::Key => f.write_str("the key does not fit: read the number again"),
        }
    }
}

impl std::error::Error for MatriculeRefused {}

impl Matricule {
    /// Accepts spaces as printed on cards, and `a`/`b` of Corsica in lower case.
    pub fn parse(text: &str) -> Result<Self, MatriculeRefused> {
        let mut chars = String::with_capacity(text.len());
        chars.extend(text.chars().filter(|c| !c.is_whitespace() && *c != '\u{a0}').map(|c| c.to_ascii_uppercase()));
        // Taken into custody before anything can refuse it: the copy is wiped either way.
        let chars = Private::new(chars);
        let count = chars.reveal().chars().count();
        if count != 15 {
            return Err(MatriculeRefused::Length(count));
        }
        let Ok(digits) = <&[u8; 15]>::try_from(chars.reveal().as_bytes()) else {
            let position = chars.reveal().chars().position(|c| !c.is_ascii()).unwrap_or(0);
            return Err(MatriculeRefused::Form(position + 1));
        };
        if let Some(position) = wrong_position(digits) {
            return Err(MatriculeRefused::Form(position));
        }
        if key(digits) != u64::from(digits[13] - b'0') * 10 + u64::from(digits[14] - b'0') {
            return Err(MatriculeRefused::Key);
        }
        Ok(Self(chars))
    }

    /// The 15 characters, for the sealed journal. Everybody else asks [`super::Identity::matricule`].
    pub(crate) fn reveal_for_journal(&self) -> &str {
        self.0.reveal()
    }
}

/// First position, counted from 1, that breaks
/// `^[123478]\d{2}(0[1-9]|1[0-2]|[23]\d|4[0-2]|[5-9]\d)(\d{2}|2[AB])\d{6}\d{2}$`.
fn wrong_position(chars: &[u8; 15]) -> Option<usize> {
    if !b"123478".contains(&chars[0]) {
        return Some(1);
    }
    for (i, c) in chars.iter().enumerate().skip(1) {
        let corsica = i == 6 && chars[5] == b'2' && matches!(c, b'A' | b'B');
        if !c.is_ascii_digit() && !corsica {
            return Some(i + 1);
        }
    }
    let month = (chars[3] - b'0') * 10 + (chars[4] - b'0');
    (!matches!(month, 1..=12 | 20..=42 | 50..=99)).then_some(4)
}

fn key(chars: &[u8; 15]) -> u64 {
    let number = chars[..13].iter().enumerate().fold(0u64, |n, (i, c)| {
        // 2A counts as 19 and 2B as 18: the letter gives 9 or 8, the 2 before it gives 1.
        let digit = match c {
            b'A' => 9,
            b'B' => 8,
            _ if i == 5 && !chars[6].is_ascii_digit() => 1,
            digit => u64::from(digit - b'0'),
        };
        n * 10 + digit
    });
    97 - number % 97
}

impl fmt::Debug for Matricule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Matricule([patient])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_are_accepted() {
        for good in [
            "185057800608491",
            "295109912611193",
            "155012A00123483",
            "269062B12345634",
            "163299123001085",
            "288557505612312",
            "385057800608488",
            "781102A12500908",
            "279035121518989",
        ] {
            assert!(Matricule::parse(good).is_ok(), "{good}: {:?}", Matricule::parse(good));
        }
        assert_eq!(Matricule::parse("2 69 06 2b 123 456 34").unwrap(), Matricule::parse("269062B12345634").unwrap());
    }

    #[test]
    fn each_mistake_is_refused_with_its_reason() {
        let refused = |text| Matricule::parse(text).unwrap_err();
        assert_eq!(refused("185057800608492"), MatriculeRefused::Key);
        assert_eq!(refused("585057800608491"), MatriculeRefused::Form(1));
        assert_eq!(refused("185137800608491"), MatriculeRefused::Form(4));
        assert_eq!(refused("18505780060849"), MatriculeRefused::Length(14));
        assert_eq!(refused("155013A00123483"), MatriculeRefused::Form(7));
        assert_eq!(refused("18505780060849é"), MatriculeRefused::Form(15));
        assert_eq!(refused(""), MatriculeRefused::Length(0));
    }

    #[test]
    fn every_single_wrong_digit_is_noticed() {
        let good = "279035121518989";
        for i in 0..15 {
            for d in b'0'..=b'9' {
                let mut bytes = good.as_bytes().to_vec();
                if bytes[i] == d {
                    continue;
                }
                bytes[i] = d;
                let text = String::from_utf8(bytes).unwrap();
                assert!(Matricule::parse(&text).is_err(), "{text}");
            }
        }
    }
}
