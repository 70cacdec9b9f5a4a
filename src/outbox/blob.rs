//! A large file, sealed in chunks of 64 KiB (the STREAM construction over XChaCha20-Poly1305): no chunk can be moved,
//! left out, or be the last one when it is not.
//!
//! ```text
//! magic 4 | key's name 16 | blob's name 16 | nonce 19 | chunks of 64 KiB + 16, the last one shorter
//! ```

use crate::disk;
use crate::keys::{self, DataKey};
use crate::record::{BlobId, ConsultationId};
use chacha20poly1305::aead::Payload;
use chacha20poly1305::aead::stream::{DecryptorBE32, EncryptorBE32};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const MAGIC: [u8; 4] = *b"TCB1";
const CHUNK_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 19;
const HEADER_BYTES: usize = 4 + 16 + 16 + NONCE_BYTES;

/// Where a blob is kept in a consultation's directory.
pub fn path(dir: &Path, id: BlobId) -> PathBuf {
    dir.join(format!("{id}.blob"))
}

/// SHA-256 of a content.
pub fn sha256(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// Seals `content` into its file, so that after a power cut there is either all of it or nothing under its name.
pub fn write(dir: &Path, key: &DataKey, consultation: ConsultationId, id: BlobId, content: &[u8]) -> io::Result<()> {
    let path = path(dir, id);
    let temporary = path.with_extension("tmp");
    let _ = fs::remove_file(&temporary);
    let mut file = disk::create(&temporary)?;
    let result = write_sealed(&mut file, key, consultation, id, content).and_then(|()| file.sync_all());
    if let Err(error) = result {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    fs::rename(&temporary, &path)?;
    disk::sync_dir(dir)
}

fn write_sealed(
    file: &mut fs::File,
    key: &DataKey,
    consultation: ConsultationId,
    id: BlobId,
    content: &[u8],
) -> io::Result<()> {
    let mut nonce = [0; NONCE_BYTES];
    keys::random(&mut nonce);
    file.write_all(&MAGIC)?;
    file.write_all(&key.id)?;
    file.write_all(id.0.as_bytes())?;
    file.write_all(&nonce)?;
    let aad = aad(key, consultation, id);
    let mut stream = EncryptorBE32::from_aead(key.cipher(), (&nonce).into());
    let mut chunks = content.chunks(CHUNK_BYTES).peekable();
    let refused = |_| io::Error::other("the cipher refused a chunk");
    while let Some(chunk) = chunks.next() {
        if chunks.peek().is_none() {
            return file.write_all(&stream.encrypt_last(Payload { msg: chunk, aad: &aad }).map_err(refused)?);
        }
        file.write_all(&stream.encrypt_next(Payload { msg: chunk, aad: &aad }).map_err(refused)?)?;
    }
    file.write_all(&stream.encrypt_last(Payload { msg: b"".as_slice(), aad: &aad }).map_err(refused)?)
}

/// Opens a sealed file whose content is at most `bytes_max` long. Damage is an error of kind `InvalidData`.
pub fn read(
    dir: &Path,
    key: &DataKey,
    consultation: ConsultationId,
    id: BlobId,
    bytes_max: usize,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let path = path(dir, id);
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a sealed file is damaged");
    let length = fs::metadata(&path)?.len();
    let chunks = (bytes_max / CHUNK_BYTES + 1) as u64;
    if length > HEADER_BYTES as u64 + bytes_max as u64 + chunks * TAG_BYTES as u64 {
        return Err(damaged());
    }
    let sealed = fs::read(&path)?;
    open(&sealed, key, consultation, id).ok_or_else(damaged)
}

/// Opens a sealed file's bytes.
pub fn open(sealed: &[u8], key: &DataKey, consultation: ConsultationId, id: BlobId) -> Option<Zeroizing<Vec<u8>>> {
    let (head, body) = sealed.split_at_checked(HEADER_BYTES)?;
    if head[..4] != MAGIC || head[4..20] != key.id || head[20..36] != *id.0.as_bytes() {
        return None;
    }
    let aad = aad(key, consultation, id);
    let mut stream = DecryptorBE32::from_aead(key.cipher(), head[36..].into());
    let mut content = Zeroizing::new(Vec::with_capacity(body.len()));
    let mut chunks = body.chunks(CHUNK_BYTES + TAG_BYTES).peekable();
    while let Some(chunk) = chunks.next() {
        let payload = Payload { msg: chunk, aad: &aad };
        if chunks.peek().is_none() {
            content.extend_from_slice(&Zeroizing::new(stream.decrypt_last(payload).ok()?));
            return Some(content);
        }
        content.extend_from_slice(&Zeroizing::new(stream.decrypt_next(payload).ok()?));
    }
    None
}

fn aad(key: &DataKey, consultation: ConsultationId, id: BlobId) -> Vec<u8> {
    let mut aad = b"telecabine outbox blob 1\0".to_vec();
    aad.extend_from_slice(&key.id);
    aad.extend_from_slice(consultation.0.as_bytes());
    aad.extend_from_slice(id.0.as_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_blob_of_any_size_around_a_chunk_reads_back_and_no_changed_or_shortened_one_does() {
        let dir = std::env::temp_dir().join(format!("outbox-blob-{}", Uuid::new_v4()));
        fs::create_dir_all(&dir).unwrap();
        let (key, whose, id) = (DataKey::fixed(), ConsultationId(Uuid::from_u128(1)), BlobId(Uuid::from_u128(2)));
        for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5] {
            let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            write(&dir, &key, whose, id, &content).unwrap();
            assert_eq!(read(&dir, &key, whose, id, size).unwrap().as_slice(), content);
            let sealed = fs::read(path(&dir, id)).unwrap();
            for end in [0, 10, HEADER_BYTES, sealed.len() - 1, HEADER_BYTES + CHUNK_BYTES + TAG_BYTES] {
                if end < sealed.len() {
                    assert!(open(&sealed[..end], &key, whose, id).is_none(), "{size} shortened to {end}");
                }
            }
            for at in [0, 5, 30, 50, HEADER_BYTES, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(open(&changed, &key, whose, id).is_none(), "{size} changed at {at}");
            }
            assert!(open(&sealed, &key, ConsultationId(Uuid::from_u128(9)), id).is_none());
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
