//! The `documents` data channel: the bytes of a PDF, page to cabin, in order, from where the cabin says.
//!
//! Little endian: version u8 = 1, flags u8 = 0, length u16, document number u32, offset u32, then `length` bytes.
//! The document was announced by `document_begin` on `record`; the cabin answers there with `document_ack`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::Unreadable;
use crate::data::DocumentBegin;

/// First byte of a chunk.
pub const CHUNK_VERSION: u8 = 1;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = 12;
/// Longest chunk with its header, bytes: every browser sends such a message whole.
pub const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// Longest payload of a chunk, bytes.
pub const PAYLOAD_BYTES_MAX: usize = CHUNK_BYTES_MAX - HEADER_BYTES;
/// Longest document, bytes: a longer one is refused at `document_begin`.
pub const DOCUMENT_BYTES_MAX: u32 = 10 * 1024 * 1024;
/// The cabin acknowledges at least every so many bytes, and the page keeps at most this much unacknowledged.
pub const WINDOW_BYTES: u32 = 256 * 1024;

/// A SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sha256Hex([u8; 32]);

impl Sha256Hex {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Sha256Hex {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Hex({self})")
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("expected 64 lower-case hexadecimal digits");
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if text.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0]).ok_or_else(wrong)? << 4 | digit(pair[1]).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

/// Some bytes of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// [`DocumentBegin::number`].
    pub number: u32,
    /// Where in the document these bytes go.
    pub offset: u32,
    /// 1 to [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: &'a [u8],
}

impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk(number {}, offset {}, {} bytes)", self.number, self.offset, self.payload.len())
    }
}

impl<'a> Chunk<'a> {
    /// Reads one data channel message.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        if bytes.len() > CHUNK_BYTES_MAX {
            return Err(Unreadable::TooLarge { bytes: bytes.len(), max: CHUNK_BYTES_MAX });
        }
        let (header, payload) =
            bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Unreadable::Frame("header cut short"))?;
        let [version, flags, l0, l1, n0, n1, n2, n3, o0, o1, o2, o3] = *header;
        if version != CHUNK_VERSION || flags != 0 {
            return Err(Unreadable::Frame("unknown version of the chunk"));
        }
        if payload.is_empty() || usize::from(u16::from_le_bytes([l0, l1])) != payload.len() {
            return Err(Unreadable::Frame("length differs from the payload"));
        }
        Ok(Chunk {
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            offset: u32::from_le_bytes([o0, o1, o2, o3]),
            payload,
        })
    }

    /// The bytes of one data channel message; refuses a payload that is empty or too long.
    pub fn write(&self) -> Result<Vec<u8>, Unreadable> {
        if self.payload.is_empty() || self.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Unreadable::Frame("payload outside 1..=16372 bytes"));
        }
        let mut bytes = vec![CHUNK_VERSION, 0];
        bytes.extend_from_slice(&(self.payload.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(self.payload);
        Ok(bytes)
    }
}

/// What to do after a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Go on; say `document_ack` when [`WINDOW_BYTES`] arrived since the last.
    More,
    /// The chunk does not follow what was received: say `document_ack` with the offset wanted.
    OutOfPlace,
    /// Whole and its digest is right: make it durable, then say `document_ack` with `stored`.
    Whole,
    /// Whole, but wrong: say `document_refused`; begin again from nothing.
    Refused(&'static str),
}

/// A document while it arrives, in memory. A page that comes back announces it again and goes on from
/// [`Incoming::received`].
pub struct Incoming {
    begin: DocumentBegin,
    bytes: Vec<u8>,
}

crate::opaque_debug!("patient": Incoming);

impl Incoming {
    /// Begins. `begin` was checked by [`crate::data::Record::read`].
    pub fn new(begin: DocumentBegin) -> Self {
        Incoming { begin, bytes: Vec::new() }
    }

    /// What was announced.
    pub fn begin(&self) -> &DocumentBegin {
        &self.begin
    }

    /// Whether `begin` announces this same document again, so that its bytes can be kept.
    pub fn continues(&self, begin: &DocumentBegin) -> bool {
        self.begin.id == begin.id && self.begin.sha256 == begin.sha256 && self.begin.bytes == begin.bytes
    }

    /// Bytes in place so far.
    pub fn received(&self) -> u32 {
        // Never more than `begin.bytes`, a u32.
        self.bytes.len() as u32
    }

    /// Takes a chunk of this document.
    pub fn take(&mut self, chunk: &Chunk<'_>) -> Received {
        let end = u64::from(chunk.offset) + chunk.payload.len() as u64;
        if chunk.number != self.begin.number || chunk.offset != self.received() || end > u64::from(self.begin.bytes) {
            return Received::OutOfPlace;
        }
        self.bytes.extend_from_slice(chunk.payload);
        if end < u64::from(self.begin.bytes) {
            return Received::More;
        }
        let refused = if Sha256Hex::of(&self.bytes) != self.begin.sha256 {
            "the document's SHA-256 is not the one announced: send it again"
        } else if !self.bytes.starts_with(b"%PDF-") {
            "the document is not a PDF"
        } else {
            return Received::Whole;
        };
        self.bytes.clear();
        Received::Refused(refused)
    }

    /// The bytes, whole after [`Received::Whole`].
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes in place.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
