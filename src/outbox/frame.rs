//! One sealed frame of a log, as bytes.
//!
//! ```text
//! magic 4 | length of the sealed bytes 4 | sequence 8 | durable 8 | kind 1 | nonce 24 | sealed bytes
//! ```
//!
//! Numbers are little endian. Everything before the nonce, the key's name and the consultation are authenticated with
//! the sealed bytes (XChaCha20-Poly1305), so that no frame can be moved, repeated or taken for another. `durable` is how
//! many frames were synced when this one was written: it tells a tail torn by a power cut, which nobody was promised,
//! from damage to a frame that had been acknowledged.

use crate::keys::{self, DataKey};
use crate::record::{ConsultationId, RECORD_BYTES_MAX};
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{Tag, XChaCha20Poly1305};
use zeroize::Zeroizing;

/// First bytes of every frame.
pub const MAGIC: [u8; 4] = *b"TCF1";
const TAG_BYTES: usize = 16;
/// Bytes before the sealed ones.
pub const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 1 + 24;
/// Largest sealed content: a record, with room for the fields of the outbox's own kinds.
pub const CONTENT_BYTES_MAX: usize = RECORD_BYTES_MAX + 4096;

/// What a log authenticates in each of its frames.
pub struct Seal {
    key_id: [u8; 16],
    cipher: XChaCha20Poly1305,
    consultation: ConsultationId,
}

/// The open fields of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Position in the log.
    pub seq: u64,
    /// How many frames were durable when this was written.
    pub durable: u64,
    /// What it holds.
    pub kind: u8,
}

/// What the bytes at a position are.
pub enum Parsed {
    /// The end: room that was reserved and never written.
    End,
    /// Not a frame, or one that does not authenticate.
    Broken,
    /// A frame.
    Whole {
        /// Its open fields.
        header: Header,
        /// What was sealed.
        content: Zeroizing<Vec<u8>>,
        /// How many bytes it takes in the log.
        length: usize,
    },
}

impl Seal {
    /// For the log of this consultation, under this key.
    pub fn new(key: &DataKey, consultation: ConsultationId) -> Seal {
        Seal { key_id: key.id, cipher: key.cipher(), consultation }
    }

    fn aad(&self, header: Header, sealed_length: u32) -> Vec<u8> {
        let mut aad = Vec::with_capacity(96);
        aad.extend_from_slice(b"telecabine outbox frame 1\0");
        aad.extend_from_slice(&self.key_id);
        aad.extend_from_slice(self.consultation.0.as_bytes());
        aad.extend_from_slice(&header.seq.to_le_bytes());
        aad.extend_from_slice(&header.durable.to_le_bytes());
        aad.push(header.kind);
        aad.extend_from_slice(&sealed_length.to_le_bytes());
        aad
    }

    /// Appends the frame of `content` to `to`. `None`, and `to` unchanged, when it is over [`CONTENT_BYTES_MAX`].
    pub fn seal(&self, header: Header, content: &[u8], to: &mut Vec<u8>) -> Option<()> {
        if content.len() > CONTENT_BYTES_MAX {
            return None;
        }
        let start = to.len();
        let sealed_length = (content.len() + TAG_BYTES) as u32;
        let mut nonce = [0; 24];
        keys::random(&mut nonce);
        // Reserved at once: the plaintext written below must not be copied about by a growing buffer.
        to.reserve(HEADER_BYTES + content.len() + TAG_BYTES);
        to.extend_from_slice(&MAGIC);
        to.extend_from_slice(&sealed_length.to_le_bytes());
        to.extend_from_slice(&header.seq.to_le_bytes());
        to.extend_from_slice(&header.durable.to_le_bytes());
        to.push(header.kind);
        to.extend_from_slice(&nonce);
        to.extend_from_slice(content);
        let aad = self.aad(header, sealed_length);
        let body = &mut to[start + HEADER_BYTES..];
        match self.cipher.encrypt_in_place_detached(&nonce.into(), &aad, body) {
            Ok(tag) => {
                to.extend_from_slice(&tag);
                Some(())
            }
            Err(_) => {
                zeroize::Zeroize::zeroize(&mut to[start..]);
                to.truncate(start);
                None
            }
        }
    }

    /// Reads the frame at the start of `bytes`.
    pub fn parse(&self, bytes: &[u8]) -> Parsed {
        let Some((head, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
            return if bytes.iter().all(|byte| *byte == 0) { Parsed::End } else { Parsed::Broken };
        };
        if head[..4] != MAGIC {
            return if head.iter().all(|byte| *byte == 0) { Parsed::End } else { Parsed::Broken };
        }
        let number = |at: usize| head[at..at + 8].iter().rev().fold(0_u64, |n, byte| (n << 8) | u64::from(*byte));
        let sealed_length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let sealed = sealed_length as usize;
        if !(TAG_BYTES..=CONTENT_BYTES_MAX + TAG_BYTES).contains(&sealed) || rest.len() < sealed {
            return Parsed::Broken;
        }
        let header = Header { seq: number(8), durable: number(16), kind: head[24] };
        let (body, tag) = rest[..sealed].split_at(sealed - TAG_BYTES);
        let mut content = Zeroizing::new(body.to_vec());
        let nonce = chacha20poly1305::XNonce::from_slice(&head[25..HEADER_BYTES]);
        let aad = self.aad(header, sealed_length);
        match self.cipher.decrypt_in_place_detached(nonce, &aad, &mut content, Tag::from_slice(tag)) {
            Ok(()) => Parsed::Whole { header, content, length: HEADER_BYTES + sealed },
            Err(_) => Parsed::Broken,
        }
    }
}
