//! The text of official traits: upper case A-Z, space, apostrophe, hyphen (interop.md 1.5).

use std::fmt;

use crate::private::Private;

/// Most characters of a name: the size of the field on the INS datamatrix (interop.md 1.6).
pub const NAME_CHARS_MAX: usize = 100;

/// A name in official spelling.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraitText(Private<String>);

/// Why a typed name cannot be an official trait. Type it as on the identity document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraitTextRefused {
    /// Nothing was typed.
    Empty,
    /// Longer than [`NAME_CHARS_MAX`].
    TooLong,
    /// A digit or a sign that no official name has; its position, counted from 1.
    Character(usize),
    /// It starts with a hyphen.
    FirstCharacter,
    /// Two apostrophes, three hyphens, or a space beside an apostrophe; position of the second, counted from 1.
    Doubled(usize),
}

impl fmt::Display for TraitTextRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraitTextRefused::Empty => f.write_str("no name was typed"),
            TraitTextRefused::TooLong => write!(f, "name longer than {NAME_CHARS_MAX} characters"),
            TraitTextRefused::Character(at) => write!(f, "character {at} is not a letter, space, apostrophe or hyphen"),
            TraitTextRefused::FirstCharacter => f.write_str("a name does not start with a hyphen"),
            TraitTextRefused::Doubled(at) => write!(f, "doubled sign at character {at}"),
        }
    }
}

impl std::error::Error for TraitTextRefused {}

impl TraitText {
    /// Folds lower case, accents, ligatures and typographic apostrophes; spaces at both ends and doubled by the
    /// finger are dropped. What cannot be folded is refused, never stripped.
    pub fn parse(text: &str) -> Result<Self, TraitTextRefused> {
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(TraitTextRefused::TooLong);
        }
        let mut out = String::with_capacity(text.len() * 2);
        for (i, c) in text.chars().enumerate() {
            let refused = match fold(c) {
                Some(" ") if out.is_empty() || out.ends_with(' ') => None,
                Some(part) => {
                    let refused = match part {
                        "-" if out.is_empty() => Some(TraitTextRefused::FirstCharacter),
                        "-" if out.ends_with("--") => Some(TraitTextRefused::Doubled(i + 1)),
                        "'" if out.ends_with(['\'', ' ']) => Some(TraitTextRefused::Doubled(i + 1)),
                        " " if out.ends_with('\'') => Some(TraitTextRefused::Doubled(i + 1)),
                        _ => None,
                    };
                    out.push_str(part);
                    refused
                }
                None => Some(TraitTextRefused::Character(i + 1)),
            };
            if let Some(refused) = refused {
                drop(Private::new(out));
                return Err(refused);
            }
        }
        out.truncate(out.trim_end().len());
        let folded = Private::new(out);
        match folded.reveal() {
            name if !name.bytes().any(|b| b.is_ascii_uppercase()) => Err(TraitTextRefused::Empty),
            name if name.len() > NAME_CHARS_MAX => Err(TraitTextRefused::TooLong),
            _ => Ok(Self(folded)),
        }
    }

    /// The name, for a screen, a record or a physician; never for a log.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for TraitText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[patient]")
    }
}

/// Official spelling of one typed character; a combining accent folds to nothing.
pub(crate) fn fold(c: char) -> Option<&'static str> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if c.is_ascii_alphabetic() {
        let i = usize::from(c.to_ascii_uppercase() as u8 - b'A');
        return Some(&LETTERS[i..=i]);
    }
    Some(match c {
        ' ' | '\u{a0}' | '\u{202f}' => " ",
        '\'' | '’' | 'ʼ' | '‘' => "'",
        '-' | '‐' | '‑' | '–' => "-",
        '\u{300}'..='\u{36f}' => "",
        'À'..='Å' | 'à'..='å' | 'Ā'..='ą' | 'Ǎ' | 'ǎ' => "A",
        'Æ' | 'æ' => "AE",
        'Ç' | 'ç' | 'Ć'..='č' => "C",
        'Ď'..='đ' | 'Ð' | 'ð' => "D",
        'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => "E",
        'Ĝ'..='ģ' => "G",
        'Ĥ'..='ħ' => "H",
        'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => "I",
        'Ĵ' | 'ĵ' => "J",
        'Ķ' | 'ķ' => "K",
        'Ĺ'..='ł' => "L",
        'Ñ' | 'ñ' | 'Ń'..='ň' => "N",
        'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='ő' | 'Ơ' | 'ơ' => "O",
        'Œ' | 'œ' => "OE",
        'Ŕ'..='ř' => "R",
        'Ś'..='š' | 'Ș' | 'ș' => "S",
        'ß' | 'ẞ' => "SS",
        'Ţ'..='ŧ' | 'Ț' | 'ț' => "T",
        'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' | 'Ư' | 'ư' => "U",
        'Ŵ' | 'ŵ' => "W",
        'Ý' | 'ý' | 'ÿ' | 'Ŷ'..='Ÿ' => "Y",
        'Ź'..='ž' => "Z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_accents_and_ligatures_are_folded() {
        for (typed, official) in [
            ("d'Arc", "D'ARC"),
            ("Éloïse", "ELOISE"),
            ("L’Œuf", "L'OEUF"),
            ("Lætitia  Françoise ", "LAETITIA FRANCOISE"),
            ("  le goff", "LE GOFF"),
            ("Pat--Trois", "PAT--TROIS"),
            ("E\u{301}lise", "ELISE"),
            ("'t Hooft", "'T HOOFT"),
            ("Łukasz Ørsted-Weiß", "LUKASZ ORSTED-WEISS"),
        ] {
            match TraitText::parse(typed) {
                Ok(name) => assert_eq!(name.reveal(), official),
                Err(refused) => panic!("{typed}: {refused}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_folded_is_refused_with_its_place() {
        for (typed, refused) in [
            ("", TraitTextRefused::Empty),
            ("   ", TraitTextRefused::Empty),
            ("'", TraitTextRefused::Empty),
            ("-Jean", TraitTextRefused::FirstCharacter),
            ("Jean2", TraitTextRefused::Character(5)),
            ("Иван", TraitTextRefused::Character(1)),
            ("O''Neil", TraitTextRefused::Doubled(3)),
            ("O' Neil", TraitTextRefused::Doubled(3)),
            ("A---B", TraitTextRefused::Doubled(4)),
            ("M.Durand", TraitTextRefused::Character(2)),
        ] {
            assert_eq!(TraitText::parse(typed).unwrap_err(), refused, "{typed}");
        }
        assert_eq!(TraitText::parse(&"A".repeat(101)).unwrap_err(), TraitTextRefused::TooLong);
        assert_eq!(TraitText::parse(&"Œ".repeat(60)).unwrap_err(), TraitTextRefused::TooLong);
    }
}
