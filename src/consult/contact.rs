//! How the patient is reached again: usual doctor, town and phone, the number to be called back on, the code to come
//! back with.

use std::fmt;

use crate::identity::Place;
use crate::private::{Private, PrivateText};
use crate::vitals::Moment;

/// A phone number to ring back: 5 to 15 digits, with an optional leading `+` (ITU-T E.164).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Phone(Private<String>);

/// Not a phone number: type 5 to 15 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPhone;

impl fmt::Display for NotAPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a phone number has 5 to 15 digits")
    }
}

impl std::error::Error for NotAPhone {}

impl Phone {
    /// Spaces, dots, hyphens and brackets are dropped; anything else than digits and a leading `+` is refused.
    pub fn parse(text: &str) -> Result<Self, NotAPhone> {
        let mut kept = String::with_capacity(text.len());
        kept.extend(text.chars().filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')' | '\u{a0}' | '\u{202f}')));
        let kept = Private::new(kept);
        let digits = kept.reveal().strip_prefix('+').unwrap_or(kept.reveal());
        if !(5..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAPhone);
        }
        Ok(Self(kept))
    }

    /// The digits, with the `+` if it was typed.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// The answer to "do you have a usual doctor?" (care pathway, R3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UsualDoctor {
    /// None.
    None,
    /// The patient does not wish to say, or does not know.
    Unsaid,
    /// This one: name, and town or address as the patient knows it.
    Named {
        /// Name.
        name: PrivateText<120>,
        /// Town.
        town: PrivateText<120>,
    },
}

/// Usual doctor, home town, and where to ring back when the call is cut (R9).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Contact {
    /// Usual doctor.
    pub usual_doctor: UsualDoctor,
    /// Where the patient lives.
    pub town: Place,
    /// Phone to ring back, if any.
    pub phone: Option<Phone>,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contact([patient])")
    }
}

/// The patient asked to be called back, since no physician could be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct CallBack {
    /// On which number.
    pub phone: Phone,
    /// When it was asked.
    pub asked_at: Moment,
}

impl std::fmt::Debug for CallBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallBack([patient])")
    }
}

/// The code with which a patient comes back: eight digits. With the birth date it opens what was said and measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ComeBackCode(Private<String>);

/// Not a code: type its eight digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACode;

impl fmt::Display for NotACode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a code to come back with has 8 digits")
    }
}

impl std::error::Error for NotACode {}

impl ComeBackCode {
    /// How many codes there are.
    pub const COUNT: u32 = 100_000_000;

    /// The code of this number, which the program draws at random; `None` from [`ComeBackCode::COUNT`] on.
    pub fn from_number(number: u32) -> Option<Self> {
        (number < Self::COUNT).then(|| Self(Private::new(format!("{number:08}"))))
    }

    /// As typed: spaces are dropped, anything else than eight digits is refused.
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        let mut kept = String::with_capacity(text.len());
        kept.extend(text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}')));
        let kept = Private::new(kept);
        let is_code = kept.reveal().len() == 8 && kept.reveal().bytes().all(|b| b.is_ascii_digit());
        if is_code { Ok(Self(kept)) } else { Err(NotACode) }
    }

    /// The eight digits.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// The patient will come back, since no physician could be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct ComeBack {
    /// With which code.
    pub code: ComeBackCode,
    /// Until when: then what was said and measured is sent without them.
    pub until: Moment,
}

impl fmt::Debug for ComeBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComeBack([patient])")
    }
}

/// The patient went away with a code and came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When they left.
    pub from: Moment,
    /// When they came back.
    pub to: Moment,
    /// How many warning signs had been answered before: they are asked again.
    pub answers_before: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_digits_only() {
        assert_eq!(Phone::parse("06 12.34-56 78").unwrap().reveal(), "0612345678");
        assert_eq!(Phone::parse("+33 6 12 34 56 78").unwrap().reveal(), "+33612345678");
        for bad in ["", "15", "061234567890123456", "06 12 AB", "0612+34567"] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Phone::parse("0612345678").unwrap()), "Phone([patient])");
    }

    #[test]
    fn a_code_is_eight_digits() {
        assert_eq!(ComeBackCode::from_number(73).unwrap().reveal(), "00000073");
        assert_eq!(ComeBackCode::from_number(ComeBackCode::COUNT), None);
        assert_eq!(ComeBackCode::parse("4821 9073").unwrap().reveal(), "48219073");
        for bad in ["", "4821907", "482190731", "4821907a", "4821-9073"] {
            assert_eq!(ComeBackCode::parse(bad), Err(NotACode), "{bad}");
        }
        assert_eq!(format!("{:?}", ComeBackCode::parse("48219073").unwrap()), "ComeBackCode([patient])");
    }
}
