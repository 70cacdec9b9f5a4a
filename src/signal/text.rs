//! Bounded text: identifiers, codes, free lines. Reading refuses what is too long or has control characters.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that cannot be accepted: shorten it or remove its control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text refused: at most {max} bytes and {allowed}")]
pub struct BadText {
    /// Bytes allowed.
    pub max: usize,
    /// Which characters are allowed.
    pub allowed: &'static str,
}

/// Free text of at most `MAX` bytes of UTF-8, without control characters other than tab, line feed and carriage
/// return. Its `Debug` never shows it: it may be a patient's.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Refuses text that is too long or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, BadText> {
        let text = text.into();
        let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        if text.len() <= MAX && text.chars().all(printable) {
            Ok(Self(text))
        } else {
            Err(BadText { max: MAX, allowed: "no control characters" })
        }
    }

    /// Cuts at a character boundary what is too long and drops control characters: for text of our own making (a
    /// fault, a device name), never for what a person wrote.
    pub fn cut(text: &str) -> Self {
        let mut kept = String::new();
        for c in text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')) {
            if kept.len() + c.len_utf8() > MAX {
                break;
            }
            kept.push(c);
        }
        Self(kept)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allowed:literal, $test:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Longest, bytes.
            pub const MAX: usize = $max;

            /// Refuses an empty or too long word, and characters outside the allowed ones.
            pub fn new(word: impl Into<String>) -> Result<Self, BadText> {
                let word = word.into();
                let test: fn(u8) -> bool = $test;
                if (1..=$max).contains(&word.len()) && word.bytes().all(test) {
                    Ok(Self(word))
                } else {
                    Err(BadText { max: $max, allowed: $allowed })
                }
            }

            /// The word.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! shown {
    ($($name:ident),+) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        })+
    };
}

word!(
    /// A cabin, as the desk named it at enrolment.
    CabinId, 64, "letters, digits, '-' and '_'", |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
word!(
    /// A consultation: an opaque random identifier made by the cabin. It says nothing of the patient.
    ConsultationId, 64, "letters, digits, '-' and '_'", |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
word!(
    /// One item on the data channels (a reading, a request, a summary, a document): made by its sender, unique in the
    /// consultation, the same when the item is sent again.
    ItemId, 64, "letters, digits, '-' and '_'", |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
word!(
    /// A word of a vocabulary that grows (reason, warning sign, language). An end that does not know it shows it as
    /// "other" and never refuses it.
    Code, 48, "lower-case letters, digits, '-' and '_'",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
word!(
    /// The right to speak in one call: given by the desk to its two ends only, so it is a secret and never printed.
    Ticket, 64, "letters, digits, '-' and '_'", |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
word!(
    /// The right to take the third seat of one call, once: a secret in a link, never printed.
    Invitation, 64, "letters, digits, '-' and '_'", |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');

shown!(CabinId, ConsultationId, ItemId, Code);
crate::opaque_debug!("secret": Ticket, Invitation);
