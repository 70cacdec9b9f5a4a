//! The keys, in three layers: the root key comes from outside (systemd credentials); it wraps the key of an epoch, in
//! `keys/epoch-<number>`; that wraps one data key a journal or submission, in a small file beside it.
//!
//! Forgetting is the destruction of a key: the key file is overwritten, synced and removed, and soon after a new epoch
//! begins: what survives is wrapped again and the old epoch's file destroyed in the same way. A copy of a wrapped data
//! key that a flash disk kept somewhere then needs an epoch's key that no file holds any more.

use crate::disk;
use crate::record::ConsultationId;
use chacha20poly1305::aead::rand_core::RngCore;
use chacha20poly1305::aead::{Aead, OsRng, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const EPOCH_MAGIC: &[u8; 8] = b"TCEPOCH1";
const DATA_MAGIC: &[u8; 8] = b"TCDATAK1";

/// The key from outside. Nothing on the disk opens without it.
pub struct RootKey(Zeroizing<[u8; KEY_BYTES]>);

/// The key of one journal or submission.
#[derive(Clone)]
pub struct DataKey {
    /// Names the key in everything it seals.
    pub id: [u8; 16],
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

/// What a data key is for. A key wrapped for one cannot be taken for the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Part {
    /// The journal of the open consultation.
    Journal = 1,
    /// A submission that waits for its proof.
    Submission = 2,
    /// The lock of a journal whose patient will come back.
    Parked = 3,
    /// A letter to a specialist that waits for the desk.
    Letter = 4,
}

/// A data key's file, and what it is authenticated for.
#[derive(Clone)]
pub struct KeyFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub consultation: ConsultationId,
    /// What it is for.
    pub part: Part,
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The root key is not the one this outbox was made with.
    #[error(
        "the key does not open {}: it belongs to another outbox, or the file is damaged. Nothing was changed; give the \
         credential this outbox was made with, or move its directory away to begin an empty one", file.display()
    )]
    WrongKey {
        /// The epoch's file.
        file: PathBuf,
    },
    /// The key was destroyed, and only its removal was cut short.
    #[error("the key was destroyed")]
    Destroyed,
    /// The key file cannot be read.
    #[error("the key file {} is damaged", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RootKey {
    /// From 32 bytes as they are, or 64 hexadecimal digits.
    pub fn from_text_or_bytes(content: &[u8]) -> Option<RootKey> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if let Ok(exact) = <&[u8; KEY_BYTES]>::try_from(content) {
            key.copy_from_slice(exact);
            return Some(RootKey(key));
        }
        let digits = content.trim_ascii();
        if digits.len() != 2 * KEY_BYTES {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let high = (pair[0] as char).to_digit(16)?;
            let low = (pair[1] as char).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(RootKey(key))
    }

    /// A new random key.
    pub fn random() -> RootKey {
        RootKey(random_key())
    }

    /// The key as 64 hexadecimal digits, to be written to a credential file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        text
    }

    /// A key for what is not a patient's and outlives every epoch: the receipts.
    pub fn derived(&self, purpose: &str) -> DataKey {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(b"telecabine outbox derived key 1\0");
        hash.update(purpose.as_bytes());
        hash.update(b"\0");
        hash.update(self.0.as_slice());
        DataKey { id: [0; 16], secret: Zeroizing::new(hash.finalize().into()) }
    }
}

impl DataKey {
    /// The cipher of this key.
    pub fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.secret.as_slice().into())
    }

    pub(crate) fn new(id: [u8; 16], secret: [u8; KEY_BYTES]) -> DataKey {
        DataKey { id, secret: Zeroizing::new(secret) }
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// A key for the parser's fuzz targets, which must decrypt to go deep.
    pub(crate) fn fixed() -> DataKey {
        DataKey { id: [7; 16], secret: Zeroizing::new([42; KEY_BYTES]) }
    }
}

/// Fills with random bytes from the system.
pub fn random(bytes: &mut [u8]) {
    OsRng.fill_bytes(bytes);
}

fn random_key() -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    random(key.as_mut_slice());
    key
}

/// The epochs of an outbox.
pub struct Keyring {
    dir: PathBuf,
    root: RootKey,
    epochs: BTreeMap<u64, Zeroizing<[u8; KEY_BYTES]>>,
}

impl Keyring {
    /// Opens the epochs in `dir`, and begins the first one in an empty directory.
    pub fn open(dir: &Path, root: RootKey) -> Result<Keyring, KeyError> {
        disk::create_dir(dir)?;
        let mut ring = Keyring { dir: dir.to_path_buf(), root, epochs: BTreeMap::new() };
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("epoch-")).and_then(|n| n.parse().ok());
            let Some(number) = number else { continue };
            let file = ring.epoch_path(number);
            let content = fs::read(&file)?;
            if content.iter().all(|byte| *byte == 0) {
                disk::shred(&file)?;
                continue;
            }
            let wrapped = content.strip_prefix(EPOCH_MAGIC);
            let key = wrapped.and_then(|wrapped| unwrap(&ring.root.0, wrapped, &epoch_aad(number)));
            ring.epochs.insert(number, key.ok_or(KeyError::WrongKey { file })?);
        }
        if ring.epochs.is_empty() {
            ring.begin_epoch(1)?;
        }
        Ok(ring)
    }

    /// The newest epoch's number.
    pub fn epoch(&self) -> u64 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }

    /// Whether a rotation was cut short.
    pub fn rotation_is_unfinished(&self) -> bool {
        self.epochs.len() > 1
    }

    /// The file of an epoch.
    pub fn epoch_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("epoch-{number}"))
    }

    /// A new data key, durable in its file.
    pub fn create(&self, file: &KeyFile) -> Result<DataKey, KeyError> {
        let mut id = [0; 16];
        random(&mut id);
        let key = DataKey { id, secret: random_key() };
        self.write(&key, file)?;
        Ok(key)
    }

    /// A data key that is known, durable in its file.
    pub(crate) fn write(&self, key: &DataKey, file: &KeyFile) -> Result<(), KeyError> {
        Ok(disk::write_whole(&file.path, &self.wrap_data_key(key, file)?)?)
    }

    /// The data key in a file.
    pub fn load(&self, file: &KeyFile) -> Result<DataKey, KeyError> {
        let content = match fs::read(&file.path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyError::Destroyed),
            Err(error) => return Err(error.into()),
        };
        // A destroyed key is as long as it was, or gone; an empty file is a disk that lost it.
        if !content.is_empty() && content.iter().all(|byte| *byte == 0) {
            return Err(KeyError::Destroyed);
        }
        self.unwrap_data_key(&content, file).ok_or_else(|| KeyError::Damaged { file: file.path.clone() })
    }

    fn wrap_data_key(&self, key: &DataKey, file: &KeyFile) -> Result<Vec<u8>, KeyError> {
        let epoch = self.epoch();
        let Some(epoch_key) = self.epochs.get(&epoch) else {
            return Err(KeyError::Damaged { file: self.epoch_path(epoch) });
        };
        let mut content = Vec::with_capacity(128);
        content.extend_from_slice(DATA_MAGIC);
        content.extend_from_slice(&epoch.to_le_bytes());
        content.extend_from_slice(&key.id);
        content.extend_from_slice(&wrap(epoch_key, &key.secret, &data_aad(epoch, &key.id, file))?);
        Ok(content)
    }

    fn unwrap_data_key(&self, content: &[u8], file: &KeyFile) -> Option<DataKey> {
        let rest = content.strip_prefix(DATA_MAGIC)?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (id, wrapped) = rest.split_first_chunk::<16>()?;
        let epoch = u64::from_le_bytes(*epoch);
        let secret = unwrap(self.epochs.get(&epoch)?, wrapped, &data_aad(epoch, id, file))?;
        Some(DataKey { id: *id, secret })
    }

    /// Begins a new epoch: wraps the keys of `survivors` again, then destroys every older epoch. When the disk
    /// does not give a survivor's file, older epochs are kept, for it may be mended. Cut short, it is finished by
    /// [`Keyring::go_on`].
    pub fn rotate(&mut self, survivors: &[KeyFile]) -> Result<(), KeyError> {
        self.begin_epoch(self.epoch() + 1)?;
        self.go_on(survivors, usize::MAX).map(drop)
    }

    /// Begins a new epoch and wraps nothing again: [`Keyring::go_on`] does, a few keys at a time.
    pub fn begin(&mut self) -> Result<(), KeyError> {
        self.begin_epoch(self.epoch() + 1)
    }

    /// Wraps at most `most` of the keys again that an older epoch wraps. True: none is left, and no older epoch either.
    pub fn go_on(&mut self, survivors: &[KeyFile], most: usize) -> Result<bool, KeyError> {
        let (mut wrapped, mut kept) = (0, false);
        for file in survivors {
            match self.load(file) {
                Ok(_) if self.is_newest(file)? => {}
                Ok(_) if wrapped == most => return Ok(false),
                Ok(key) => {
                    let content = self.wrap_data_key(&key, file)?;
                    // The old file is reached through its descriptor after the new one has taken its name: at no moment
                    // is there no key, and the old bytes do not stay behind.
                    let mut old = OpenOptions::new().write(true).open(&file.path)?;
                    disk::write_whole(&file.path, &content)?;
                    disk::overwrite(&mut old)?;
                    wrapped += 1;
                }
                // Nothing opens what a damaged key sealed, so it must not keep older epochs alive.
                Err(KeyError::Destroyed | KeyError::Damaged { .. } | KeyError::WrongKey { .. }) => {}
                Err(KeyError::Io(_)) => kept = true,
            }
        }
        if kept {
            return Ok(false);
        }
        let newest = self.epoch();
        let older: Vec<u64> = self.epochs.keys().copied().filter(|number| *number != newest).collect();
        for number in older {
            disk::shred(&self.epoch_path(number))?;
            self.epochs.remove(&number);
        }
        Ok(true)
    }

    /// Whether the newest epoch wraps the key in a file.
    fn is_newest(&self, file: &KeyFile) -> Result<bool, KeyError> {
        let content = fs::read(&file.path)?;
        let epoch = content.strip_prefix(DATA_MAGIC).and_then(|rest| rest.first_chunk::<8>());
        Ok(epoch.is_some_and(|epoch| u64::from_le_bytes(*epoch) == self.epoch()))
    }

    /// How long ago the newest epoch began, by the clock of its file: a clock that jumped back makes it old too.
    pub fn epoch_age(&self) -> io::Result<Duration> {
        let began = fs::metadata(self.epoch_path(self.epoch()))?.modified()?;
        Ok(SystemTime::now().duration_since(began).unwrap_or_else(|ahead| ahead.duration()))
    }

    fn begin_epoch(&mut self, number: u64) -> Result<(), KeyError> {
        let key = random_key();
        let mut content = EPOCH_MAGIC.to_vec();
        content.extend_from_slice(&wrap(&self.root.0, &key, &epoch_aad(number))?);
        disk::write_whole(&self.epoch_path(number), &content)?;
        self.epochs.insert(number, key);
        Ok(())
    }

    /// The root key's derivative that salts the secrets of patients who will come back.
    pub(crate) fn parking_salt(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.root.derived(crate::parked::SALT).secret
    }

    /// The root key's derivative for the receipts.
    pub fn receipts_key(&self) -> DataKey {
        self.root.derived("receipts")
    }
}

fn epoch_aad(number: u64) -> Vec<u8> {
    let mut aad = b"telecabine outbox epoch 1\0".to_vec();
    aad.extend_from_slice(&number.to_le_bytes());
    aad
}

fn data_aad(epoch: u64, id: &[u8; 16], file: &KeyFile) -> Vec<u8> {
    let mut aad = b"telecabine outbox data key 1\0".to_vec();
    aad.extend_from_slice(&epoch.to_le_bytes());
    aad.extend_from_slice(id);
    aad.extend_from_slice(file.consultation.0.as_bytes());
    aad.push(file.part as u8);
    aad
}

fn wrap(with: &[u8; KEY_BYTES], key: &[u8; KEY_BYTES], aad: &[u8]) -> Result<Vec<u8>, io::Error> {
    let mut nonce = [0; NONCE_BYTES];
    random(&mut nonce);
    let sealed = XChaCha20Poly1305::new(with.into()).encrypt(&nonce.into(), Payload { msg: key, aad });
    let mut wrapped = nonce.to_vec();
    wrapped.extend_from_slice(&sealed.map_err(|_| io::Error::other("the cipher refused to wrap a key"))?);
    Ok(wrapped)
}

fn unwrap(with: &[u8; KEY_BYTES], wrapped: &[u8], aad: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    if wrapped.len() != WRAPPED_BYTES {
        return None;
    }
    let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new(with.into());
    let plain = Zeroizing::new(cipher.decrypt(nonce.into(), Payload { msg: sealed, aad }).ok()?);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(plain.get(..KEY_BYTES)?);
    Some(key)
}
