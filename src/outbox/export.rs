//! The queue for another operator: every submission that waits or is set aside, in one file that only the holder of one
//! X25519 key opens. The outbox keeps everything; an export proves nothing and deletes nothing.
//!
//! ```text
//! magic 4 | ephemeral public key 32 | nonce 19 | chunks of 64 KiB + 16, the last one shorter
//! ```
//!
//! The key is SHA-256 over a label, the shared secret of X25519 (RFC 7748), and both public keys; the chunks are the
//! STREAM construction over XChaCha20-Poly1305, as in `blob.rs`. Inside are, one after the other: consultation 16, number
//! 8, proof, bundle, count of files, and of each its path, media type, SHA-256 and content; then 16 zero bytes and the
//! count of submissions. Lengths are four bytes, numbers little endian.
//!
//! A journal of which no record could be made, and which was kept aside, is there too: its number is 0, proof and bundle
//! are empty, and its files are `journal` (of each frame the position 8, kind 1, length and content) and, under their
//! names, what the cabin kept beside it.

use crate::blob;
use crate::fields::Writer;
use crate::keys;
use crate::log;
use crate::queue::Sealed;
use crate::record::{BlobId, ConsultationId, UPLOAD_BYTES_MAX, UPLOADS_MAX};
use crate::store::{Store, consultations, journal_key};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use curve25519_dalek::MontgomeryPoint;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

const MAGIC: [u8; 4] = *b"TCX1";
/// Of a file that is sealed as it is.
const MAGIC_FILE: [u8; 4] = *b"TCF1";
const CHUNK_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 19;

/// The secret key of an operator.
pub struct OperatorKey(Zeroizing<[u8; 32]>);

/// The public key of an operator, as text: 44 characters of base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorPublic([u8; 32]);

impl Exported {
    /// Whether it is a journal that was kept aside, and no record.
    pub fn is_journal(&self) -> bool {
        self.proof.is_empty()
    }
}

impl OperatorKey {
    /// A new one.
    pub fn random() -> OperatorKey {
        let mut secret = Zeroizing::new([0; 32]);
        keys::random(secret.as_mut_slice());
        OperatorKey(secret)
    }

    /// From its text.
    ///
    /// # Errors
    /// When it is not base64 of 32 bytes.
    pub fn from_text(text: &str) -> Result<OperatorKey> {
        Ok(OperatorKey(Zeroizing::new(key_bytes(text)?)))
    }

    /// Its text, to be kept by nobody else.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.0.as_slice()))
    }

    /// Its public half.
    pub fn public(&self) -> OperatorPublic {
        OperatorPublic(MontgomeryPoint::mul_base_clamped(*self.0).to_bytes())
    }
}

impl OperatorPublic {
    /// From its text.
    ///
    /// # Errors
    /// When it is not base64 of 32 bytes.
    pub fn from_text(text: &str) -> Result<OperatorPublic> {
        Ok(OperatorPublic(key_bytes(text)?))
    }

    /// Its text.
    pub fn to_text(self) -> String {
        BASE64_STANDARD.encode(self.0)
    }
}

fn key_bytes(text: &str) -> Result<[u8; 32]> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.context("a key is 44 characters of base64")
}

fn cipher(
    secret: &[u8; 32],
    other: &[u8; 32],
    ephemeral: &[u8; 32],
    recipient: &[u8; 32],
) -> Result<XChaCha20Poly1305> {
    let shared = Zeroizing::new(MontgomeryPoint(*other).mul_clamped(*secret).to_bytes());
    // RFC 7748, section 6.1: a public key of small order gives zeros, which everybody knows.
    ensure!(shared.iter().any(|byte| *byte != 0), "this public key is nobody's");
    let mut hash = Sha256::new();
    hash.update(b"telecabine outbox export 1\0");
    hash.update(shared.as_slice());
    hash.update(ephemeral);
    hash.update(recipient);
    let key = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
    Ok(XChaCha20Poly1305::new(key.as_slice().into()))
}

/// What an export holds.
#[derive(Debug, Default)]
pub struct Written {
    /// How many submissions that wait or are set aside.
    pub submissions: u32,
    /// How many journals that were kept aside.
    pub aside: u32,
    /// Of these only what this disk still gives is in it.
    pub in_part: Vec<ConsultationId>,
    /// These are left out: this disk does not give them.
    pub unreadable: Vec<ConsultationId>,
}

/// Writes everything that waits or is set aside for `recipient`, and the journals kept aside; not what is held of patients
/// who may come back, of whom another record would follow, and not the consultation that is open.
///
/// # Errors
/// When it cannot be written: what was written then is of no use.
pub fn export(store: &Store, recipient: OperatorPublic, to: impl Write) -> Result<Written> {
    let mut sealed = Sealing::new(MAGIC, recipient, to)?;
    let mut written = Written::default();
    let queued = store.queued().into_iter().map(|queued| (queued.consultation, store.sealed(queued.consultation)));
    for (id, sealed_here) in queued {
        match sealed_here.and_then(|from| submission(id, &from)) {
            Ok(content) => {
                sealed.write_all(&content)?;
                written.submissions += 1;
            }
            Err(_) => written.unreadable.push(id),
        }
    }
    for (id, dir) in consultations(&store.dir.join("journal-aside")).unwrap_or_default() {
        match kept_aside(store, id, &dir) {
            Some((content, whole)) => {
                sealed.write_all(&content)?;
                written.aside += 1;
                written.in_part.extend(Some(id).filter(|_| !whole));
            }
            None => written.unreadable.push(id),
        }
    }
    let mut end = Writer::with_capacity(32);
    end.uuid(Uuid::nil()).u32(written.submissions + written.aside);
    sealed.write_all(&end.finish())?;
    sealed.finish()?;
    Ok(written)
}

/// A journal kept aside with what lies beside it, as one consultation of the export, and whether all of it could be read.
/// `None` when nothing could.
fn kept_aside(store: &Store, id: ConsultationId, dir: &Path) -> Option<(Zeroizing<Vec<u8>>, bool)> {
    let key = store.keyring.load(&journal_key(dir, id)).ok()?;
    let scan = log::read(&dir.join("log"), &key, id).ok()?;
    let mut whole = !scan.damaged;
    let bytes: usize = scan.frames.iter().map(|frame| frame.content.len() + 13).sum();
    let mut journal = Writer::with_capacity(bytes);
    for frame in &scan.frames {
        journal.u64(frame.seq).u8(frame.kind).bytes(&frame.content);
    }
    let mut files = vec![("journal".to_owned(), journal.finish())];
    for entry in fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        let is_blob = path.extension().is_some_and(|extension| extension == "blob");
        let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| Uuid::try_parse(stem).ok());
        let Some(name) = name.filter(|_| is_blob && files.len() < UPLOADS_MAX) else { continue };
        match blob::read(dir, &key, id, BlobId(name), UPLOAD_BYTES_MAX) {
            Ok(content) => files.push((name.to_string(), content)),
            Err(_) => whole = false,
        }
    }
    let bytes: usize = files.iter().map(|(_, content)| content.len() + 256).sum();
    let mut w = Writer::with_capacity(bytes + 64);
    w.uuid(id.0).u64(0).text("").bytes(b"").u32(files.len() as u32);
    for (name, content) in &files {
        w.text(name).text("application/octet-stream").raw(&blob::sha256(content)).bytes(content);
    }
    Some((w.finish(), whole))
}

fn submission(id: ConsultationId, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, String> {
    let plan = sealed.plan()?;
    let bundle = sealed.bundle(&plan)?;
    let files: u64 = plan.uploads.iter().map(|upload| upload.bytes + 4200).sum();
    let mut w = Writer::with_capacity(bundle.len() + files as usize + 4096);
    w.uuid(id.0).u64(plan.number).text(&plan.proof).bytes(&bundle).u32(plan.uploads.len() as u32);
    for upload in &plan.uploads {
        w.text(&upload.path).text(&upload.content_type).raw(&upload.sha256).bytes(&sealed.upload(upload)?);
    }
    Ok(w.finish())
}

/// Seals what is written, chunk by chunk.
struct Sealing<W> {
    stream: EncryptorBE32<XChaCha20Poly1305>,
    chunk: Zeroizing<Vec<u8>>,
    to: W,
}

impl<W: Write> Sealing<W> {
    fn new(magic: [u8; 4], recipient: OperatorPublic, mut to: W) -> Result<Sealing<W>> {
        let ephemeral = OperatorKey::random();
        let public = ephemeral.public();
        let mut nonce = [0; NONCE_BYTES];
        keys::random(&mut nonce);
        to.write_all(&magic)?;
        to.write_all(&public.0)?;
        to.write_all(&nonce)?;
        let cipher = cipher(&ephemeral.0, &recipient.0, &public.0, &recipient.0)?;
        let stream = EncryptorBE32::from_aead(cipher, (&nonce).into());
        Ok(Sealing { stream, chunk: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)), to })
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK_BYTES {
                let sealed = self.stream.encrypt_next(self.chunk.as_slice());
                self.to.write_all(&sealed.map_err(|_| io::Error::other("the cipher refused a chunk"))?)?;
                self.chunk.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        let sealed = self.stream.encrypt_last(self.chunk.as_slice());
        self.to.write_all(&sealed.map_err(|_| io::Error::other("the cipher refused a chunk"))?)?;
        self.to.flush()
    }
}

/// Seals all that `from` gives, for `recipient`: as an export, with other bytes before it and one content. Returns how many
/// bytes.
///
/// # Errors
/// When it cannot be read or written: what was written then is of no use.
pub fn seal(mut from: impl Read, recipient: OperatorPublic, to: impl Write) -> Result<u64> {
    let mut sealed = Sealing::new(MAGIC_FILE, recipient, to)?;
    let (mut piece, mut bytes) = (vec![0; CHUNK_BYTES], 0);
    loop {
        match from.read(&mut piece)? {
            0 => break,
            count => {
                sealed.write_all(&piece[..count])?;
                bytes += count as u64;
            }
        }
    }
    sealed.finish()?;
    Ok(bytes)
}

/// Opens what [`seal`] wrote.
///
/// # Errors
/// When the key is not the one it was made for, or a byte of it is missing or changed; what was given to `to` before that is
/// as it was sealed.
pub fn unseal(from: impl Read, key: &OperatorKey, mut to: impl Write) -> Result<u64> {
    let mut from = Opening::new(MAGIC_FILE, from, key)?;
    let mut bytes = 0;
    while from.next()? {
        to.write_all(&from.chunk)?;
        bytes += from.chunk.len() as u64;
    }
    Ok(bytes)
}

/// These bytes as what is inside an export, for the fuzz target: whoever makes exports holds no secret.
pub(crate) fn with_content(content: &[u8], recipient: OperatorPublic) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut sealed = Sealing::new(MAGIC, recipient, &mut bytes)?;
    sealed.write_all(content)?;
    sealed.finish()?;
    Ok(bytes)
}

/// One submission of an export.
pub struct Exported {
    /// Whose.
    pub consultation: ConsultationId,
    /// Its place in the queue.
    pub number: u64,
    /// The search that proves it is stored; empty for a journal that was kept aside.
    pub proof: String,
    /// The transaction.
    pub bundle: Zeroizing<Vec<u8>>,
    /// Path, media type and content of each file.
    pub files: Vec<(String, String, Zeroizing<Vec<u8>>)>,
}

/// Opens an export, and gives each submission and each journal to `each` once all of it is read and its hashes are right. Returns how many.
///
/// # Errors
/// When the key is not the one it was made for, or a byte of it is missing or changed.
pub fn open(from: impl Read, key: &OperatorKey, mut each: impl FnMut(Exported) -> Result<()>) -> Result<u32> {
    let mut from = Opening::new(MAGIC, from, key)?;
    let mut count = 0;
    loop {
        let consultation = Uuid::from_bytes(from.array()?);
        if consultation.is_nil() {
            let promised = from.u32()?;
            ensure!(promised == count, "{count} submissions, where {promised} were written");
            ensure!(from.is_over()?, "bytes follow the end");
            return Ok(count);
        }
        let number = u64::from_le_bytes(from.array()?);
        let proof = from.text()?;
        let bundle = from.bytes(crate::record::BUNDLE_BYTES_MAX)?;
        let mut files = Vec::new();
        let named = from.u32()?;
        ensure!(named as usize <= crate::record::UPLOADS_MAX, "{named} files in one submission");
        for _ in 0..named {
            let (path, content_type) = (from.text()?, from.text()?);
            let sha256: [u8; 32] = from.array()?;
            let content = from.bytes(crate::record::UPLOAD_BYTES_MAX)?;
            ensure!(blob::sha256(&content) == sha256, "a file of {consultation} is not what was handed over");
            files.push((path, content_type, content));
        }
        let consultation = ConsultationId(consultation);
        each(Exported { consultation, number, proof, bundle, files })?;
        count += 1;
    }
}

/// Opens what is read, chunk by chunk.
struct Opening<R> {
    stream: Option<DecryptorBE32<XChaCha20Poly1305>>,
    from: R,
    ahead: Vec<u8>,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
}

impl<R: Read> Opening<R> {
    fn new(magic: [u8; 4], mut from: R, key: &OperatorKey) -> Result<Opening<R>> {
        let mut head = [0; 4 + 32 + NONCE_BYTES];
        from.read_exact(&mut head).context("too short for an export")?;
        let what = if magic == MAGIC { "export of an outbox" } else { "sealed file" };
        ensure!(head[..4] == magic, "this is no {what}");
        let mut ephemeral = [0; 32];
        ephemeral.copy_from_slice(&head[4..36]);
        let cipher = cipher(&key.0, &ephemeral, &ephemeral, &key.public().0)?;
        let stream = DecryptorBE32::from_aead(cipher, head[36..].into());
        let mut opening = Opening { stream: Some(stream), from, ahead: Vec::new(), chunk: Zeroizing::default(), at: 0 };
        opening.ahead = opening.sealed()?;
        Ok(opening)
    }

    fn sealed(&mut self) -> Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        (&mut self.from).take((CHUNK_BYTES + TAG_BYTES) as u64).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// The next chunk; false at the end.
    fn next(&mut self) -> Result<bool> {
        let Some(mut stream) = self.stream.take() else { return Ok(false) };
        let now = std::mem::take(&mut self.ahead);
        self.ahead = self.sealed()?;
        let changed = "the key is another operator's, or the export was shortened or changed";
        self.chunk = Zeroizing::new(if self.ahead.is_empty() {
            stream.decrypt_last(now.as_slice()).ok().context(changed)?
        } else {
            let chunk = stream.decrypt_next(now.as_slice()).ok().context(changed)?;
            self.stream = Some(stream);
            chunk
        });
        self.at = 0;
        Ok(true)
    }

    fn fill(&mut self, mut to: &mut [u8]) -> Result<()> {
        while !to.is_empty() {
            if self.at == self.chunk.len() {
                ensure!(self.next()?, "the export ends too early");
                continue;
            }
            let length = to.len().min(self.chunk.len() - self.at);
            to[..length].copy_from_slice(&self.chunk[self.at..self.at + length]);
            self.at += length;
            to = &mut to[length..];
        }
        Ok(())
    }

    fn is_over(&mut self) -> Result<bool> {
        Ok(self.at == self.chunk.len() && !self.next()?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>> {
        let length = self.u32()? as usize;
        if length > bytes_max {
            bail!("{length} bytes, where at most {bytes_max} are kept");
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String> {
        let bytes = self.bytes(crate::record::TEXT_BYTES_MAX)?;
        Ok(std::str::from_utf8(&bytes).context("a name is text")?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_by_its_operator_alone_and_only_whole() {
        let key = OperatorKey::random();
        // Whole chunks, a part of one, and nothing.
        for length in [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 7] {
            let content: Vec<u8> = (0..length).map(|at| (at * 31) as u8).collect();
            let mut sealed = Vec::new();
            assert_eq!(seal(&content[..], key.public(), &mut sealed).unwrap(), length as u64);
            let mut opened = Vec::new();
            unseal(&sealed[..], &key, &mut opened).unwrap();
            assert!(opened == content, "{length}");
            assert!(unseal(&sealed[..], &OperatorKey::random(), io::sink()).is_err());
            assert!(unseal(&sealed[..sealed.len() - 1], &key, io::sink()).is_err());
            let middle = sealed.len() / 2;
            sealed[middle] ^= 1;
            assert!(unseal(&sealed[..], &key, io::sink()).is_err());
        }
        assert!(open(&b"TCF1"[..], &key, |_| Ok(())).is_err());
    }
}
