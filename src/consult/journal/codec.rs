//! Bytes of plain types.

use super::JournalError;
use crate::private::PrivateText;
use crate::vitals::Moment;

/// Longest text, bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Longest list.
const LIST_MAX: usize = 256;

/// What is left to read.
pub(super) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], JournalError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(JournalError::Truncated)?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, JournalError> {
        let count = usize::try_from(u32::take(self)?).map_err(|_| JournalError::Truncated)?;
        if count > TEXT_BYTES_MAX {
            return Err(JournalError::Value { of: "text length" });
        }
        std::str::from_utf8(self.bytes(count)?).map_err(|_| JournalError::Value { of: "text" })
    }
}

pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    // Every text that reaches a journal is bounded far below 4 GiB by its type.
    u32::try_from(text.len()).unwrap_or(u32::MAX).put(out);
    out.extend_from_slice(text.as_bytes());
}

/// A type with a byte form.
pub(super) trait Coded: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError>;
}

macro_rules! coded_integer {
    ($($int:ty),*) => {$(
        impl Coded for $int {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
                let bytes = reader.bytes(size_of::<$int>())?;
                bytes.try_into().map(<$int>::from_le_bytes).map_err(|_| JournalError::Truncated)
            }
        }
    )*};
}
coded_integer!(u8, u16, u32, u64, i64);

impl<const N: usize> Coded for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        reader.bytes(N)?.try_into().map_err(|_| JournalError::Truncated)
    }
}

impl Coded for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        match u8::take(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(JournalError::Tag { of: "yes or no", tag }),
        }
    }
}

impl Coded for Moment {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        i64::take(reader).map(Moment)
    }
}

impl Coded for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        reader.text().map(str::to_owned)
    }
}

impl<const CHARS_MAX: usize> Coded for PrivateText<CHARS_MAX> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.reveal(), out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        PrivateText::new(reader.text()?).map_err(|_| JournalError::Value { of: "free text" })
    }
}

impl<T: Coded> Coded for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        bool::take(reader)?.then(|| T::take(reader)).transpose()
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        u16::try_from(self.len()).unwrap_or(u16::MAX).put(out);
        for value in self {
            value.put(out);
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
        let count = usize::from(u16::take(reader)?);
        if count > LIST_MAX {
            return Err(JournalError::Value { of: "list length" });
        }
        (0..count).map(|_| T::take(reader)).collect()
    }
}

/// An enum without fields: one byte each. The match on writing makes the compiler ask for a tag for each new variant.
macro_rules! coded_enum {
    ($type:ident { $($tag:literal => $variant:ident),* $(,)? }) => {
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $($type::$variant => $tag,)* });
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
                match u8::take(reader)? {
                    $($tag => Ok($type::$variant),)*
                    tag => Err(JournalError::Tag { of: stringify!($type), tag }),
                }
            }
        }
    };
}

/// A struct of public fields: one after the other.
macro_rules! coded_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let $type { $($field),* } = self;
                $($field.put(out);)*
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, JournalError> {
                // Fields of a struct expression are evaluated in the order written.
                Ok($type { $($field: Coded::take(reader)?),* })
            }
        }
    };
}

pub(super) use {coded_enum, coded_struct};
