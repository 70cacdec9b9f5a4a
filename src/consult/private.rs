//! Text about a patient: never printed by accident, wiped when dropped.

use std::fmt;
use std::hint::black_box;

/// What can overwrite its own memory before giving it back.
pub trait Wipe {
    /// Overwrites the content with zeros and leaves it empty.
    fn wipe(&mut self);
}

impl Wipe for String {
    fn wipe(&mut self) {
        std::mem::take(self).into_bytes().wipe();
    }
}

impl Wipe for Vec<u8> {
    fn wipe(&mut self) {
        // The spare capacity may hold an earlier, longer text: it is overwritten too.
        let capacity = self.capacity();
        self.clear();
        self.resize(capacity, 0);
        // Keeps the zeros from being optimised away as writes that nobody reads; the cabin's allocator wipes again.
        black_box(self.as_slice());
        self.clear();
    }
}

/// A value about a patient. `Debug` and `Display` print `[patient]`, always; [`Private::reveal`] is the way to read it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Private<T: Wipe>(T);

impl<T: Wipe> Private<T> {
    /// Takes a value into custody. Text copied from elsewhere stays readable there: hand the original over.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for a screen, a record or a physician; never for a log.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl Private<Vec<u8>> {
    /// Adds a byte. Where there is no room left, what was there is wiped behind it.
    pub fn push(&mut self, byte: u8) {
        if self.0.len() == self.0.capacity() {
            let mut longer = Vec::with_capacity(2 * self.0.len().max(32));
            longer.extend_from_slice(&self.0);
            self.0.wipe();
            self.0 = longer;
        }
        self.0.push(byte);
    }
}

impl<T: Wipe> Drop for Private<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<T: Wipe> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[patient]")
    }
}

impl<T: Wipe> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[patient]")
    }
}

/// A text that is too long for where it goes. Shorten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Most characters accepted.
    pub chars_max: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text longer than {} characters: shorten it", self.chars_max)
    }
}

impl std::error::Error for TooLong {}

/// A patient's text of at most `CHARS_MAX` characters, on as many lines as it likes, trimmed, without control
/// characters (a line feed is kept, other controls become a space).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PrivateText<const CHARS_MAX: usize>(Private<String>);

impl<const CHARS_MAX: usize> PrivateText<CHARS_MAX> {
    /// Most characters accepted.
    pub const CHARS_MAX: usize = CHARS_MAX;

    /// Refuses a text longer than `CHARS_MAX` characters.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        if text.chars().count() > CHARS_MAX {
            return Err(TooLong { chars_max: CHARS_MAX });
        }
        let mut clean = String::with_capacity(text.len());
        clean.extend(text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }));
        Ok(Self(Private::new(clean)))
    }

    /// The text, for a screen, a record or a physician; never for a log.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Nothing was written.
    pub fn is_empty(&self) -> bool {
        self.reveal().is_empty()
    }
}

impl<const CHARS_MAX: usize> fmt::Debug for PrivateText<CHARS_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[patient]")
    }
}

impl<const CHARS_MAX: usize> fmt::Display for PrivateText<CHARS_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[patient]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patients_text_never_prints_itself() {
        let name = Private::new("DURAND".to_owned());
        let line = PrivateText::<40>::new("mal au dos").unwrap();
        assert_eq!(format!("{name} {name:?} {line} {line:?}"), "[patient] [patient] [patient] [patient]");
        assert_eq!(name.reveal(), "DURAND");
    }

    #[test]
    fn wiping_leaves_zeros_to_the_end_of_the_capacity() {
        let mut bytes = b"DURAND Jeanne".to_vec();
        bytes.truncate(6);
        let capacity = bytes.capacity();
        bytes.wipe();
        assert!(bytes.is_empty() && bytes.capacity() == capacity);
        bytes.resize(capacity, 1);
        let mut text = String::from("DURAND");
        text.wipe();
        assert!(text.is_empty());
    }

    #[test]
    fn bytes_added_one_by_one_are_all_there() {
        let mut bytes = Private::new(Vec::new());
        (0..200u8).for_each(|byte| bytes.push(byte));
        assert!(bytes.reveal().iter().copied().eq(0..200));
    }

    #[test]
    fn a_text_too_long_is_refused_and_never_cut() {
        assert_eq!(PrivateText::<3>::new("abcd").unwrap_err(), TooLong { chars_max: 3 });
        assert_eq!(PrivateText::<3>::new(" éàü ").unwrap().reveal(), "éàü");
        assert_eq!(PrivateText::<9>::new("a\tb\nc\u{7}").unwrap().reveal(), "a b\nc");
    }
}
