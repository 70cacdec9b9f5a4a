//! Letters: what the pharmacist wrote to a specialist and the desk has not stored yet.
//!
//! ```text
//! letters/<letter>/    key, <letter>.blob
//! ```
//!
//! Each is sealed under a key of its own, which is destroyed when the cabin says that the desk has it. The cabin reads them
//! back, for it is the cabin that says them to the desk: it could ask the desk for the same requests at any time. They are
//! about requests at one desk, so a queue that is exported to another operator leaves them out.

use crate::keys::{DataKey, KeyError, KeyFile, Part};
use crate::record::*;
use crate::store::{Store, consultations, key_to_io};
use crate::{blob, disk};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tracing::{info, warn};
use zeroize::Zeroizing;

/// Folder of the letters in the store's.
pub(crate) const FOLDER: &str = "letters";

pub(crate) fn letter_key(dir: &Path, letter: LetterId) -> KeyFile {
    KeyFile { path: dir.join("key"), consultation: named(letter), part: Part::Letter }
}

/// What a letter's key and file are authenticated for: its own name stands where that of a consultation does.
fn named(letter: LetterId) -> ConsultationId {
    ConsultationId(letter.0)
}

fn write(dir: &Path, key: &DataKey, letter: LetterId, content: &[u8]) -> io::Result<()> {
    blob::write(dir, key, named(letter), BlobId(letter.0), content)
}

impl Store {
    fn letter_dir(&self, letter: LetterId) -> PathBuf {
        self.dir.join(FOLDER).join(letter.0.to_string())
    }

    /// Finds the letters, and finishes the destruction of one that was cut short. Each is read once: a damaged one is said
    /// when the outbox starts, not when the cabin comes to need it.
    pub(crate) fn load_letters(&mut self) -> io::Result<()> {
        for (id, dir) in consultations(&self.dir.join(FOLDER))? {
            let letter = LetterId(id.0);
            match self.keyring.load(&letter_key(&dir, letter)) {
                Err(KeyError::Destroyed) => {
                    info!("finishing the destruction of a letter to a specialist, which was let go");
                    disk::shred(&dir.join("key"))?;
                    disk::remove_dir(&dir)?;
                }
                _ => drop(self.letters.insert(letter)),
            }
        }
        for letter in self.letters.clone() {
            // A disk that does not answer says nothing of the letter; the cabin is told when it asks.
            if let Err(error) = self.read_letter(letter)
                && !self.damaged_letters.contains_key(&letter)
            {
                warn!("a reply to a specialist cannot be read for now: {error}");
            }
        }
        Ok(())
    }

    fn read_letter(&mut self, letter: LetterId) -> io::Result<Zeroizing<Vec<u8>>> {
        let dir = self.letter_dir(letter);
        let key = self.keyring.load(&letter_key(&dir, letter)).map_err(key_to_io);
        let read = key.and_then(|key| blob::read(&dir, &key, named(letter), BlobId(letter.0), LETTER_BYTES_MAX));
        match &read {
            Ok(_) => drop(self.damaged_letters.remove(&letter)),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) => {
                let detail = format!("a reply to a specialist cannot be read ({error}): {}", dir.display());
                if self.damaged_letters.insert(letter, detail.clone()).is_none() {
                    warn!("{detail}");
                }
            }
            // The disk may be mended: nothing is said to be lost.
            Err(_) => {}
        }
        read
    }

    /// Keeps a letter, in the place of one of the same name.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Busy`] with [`LETTERS_MAX`] others, or the disk.
    pub fn keep_letter(&mut self, letter: LetterId, content: &[u8]) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        if content.len() > LETTER_BYTES_MAX {
            let detail = format!("a letter of {} bytes, where at most {LETTER_BYTES_MAX} are kept", content.len());
            return Err(Refused::new(Refusal::TooLarge, detail));
        }
        let dir = self.letter_dir(letter);
        if self.letters.contains(&letter) {
            match self.keyring.load(&letter_key(&dir, letter)) {
                Ok(key) => {
                    let written = write(&dir, &key, letter, content);
                    if written.is_ok() {
                        self.damaged_letters.remove(&letter);
                    }
                    return written.map_err(|error| self.refuse(error));
                }
                Err(KeyError::Io(error)) => return Err(self.refuse(error)),
                // What its key sealed cannot be read any more: the letter is made anew.
                Err(_) => self.drop_letter(letter)?,
            }
        }
        if self.letters.len() >= LETTERS_MAX {
            let detail = format!("{LETTERS_MAX} letters wait for the desk already");
            return Err(Refused::new(Refusal::Busy, detail));
        }
        let building = dir.with_extension("tmp");
        let built = disk::remove_dir(&building).and_then(|()| disk::create_dir(&building)).and_then(|()| {
            let key = self.keyring.create(&letter_key(&building, letter)).map_err(key_to_io)?;
            write(&building, &key, letter, content)?;
            fs::rename(&building, &dir)?;
            disk::sync_dir(&self.dir.join(FOLDER))
        });
        if let Err(error) = built {
            let _ = disk::shred(&building.join("key"));
            let _ = disk::remove_dir(&building);
            return Err(self.refuse(error));
        }
        self.letters.insert(letter);
        Ok(())
    }

    /// Every letter, in the order of their names. One that is damaged is said ([`FaultCode::Damaged`]), and is empty.
    ///
    /// # Errors
    /// The disk failed before, or does not answer.
    pub fn letters(&mut self) -> Result<Vec<Letter>, Refused> {
        self.refuse_if_failed()?;
        let mut letters = Vec::new();
        for id in self.letters.clone() {
            match self.read_letter(id) {
                Ok(content) => letters.push(Letter { id, content }),
                Err(_) if self.damaged_letters.contains_key(&id) => {
                    letters.push(Letter { id, content: Zeroizing::default() });
                }
                Err(error) => {
                    let detail = format!("{}: {error}", self.letter_dir(id).display());
                    return Err(Refused::new(Refusal::SyncFailed, detail));
                }
            }
        }
        Ok(letters)
    }

    /// Destroys a letter: the desk has it, or the pharmacist wrote it anew. Repeating it changes nothing.
    ///
    /// # Errors
    /// The disk.
    pub fn drop_letter(&mut self, letter: LetterId) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        if !self.letters.remove(&letter) {
            return Ok(());
        }
        self.damaged_letters.remove(&letter);
        let dir = self.letter_dir(letter);
        if let Err(error) = disk::shred(&dir.join("key")).and_then(|()| disk::remove_dir(&dir)) {
            self.failed = true;
            return Err(self.refuse(error));
        }
        self.rotate_if_few()
    }

    pub(crate) fn letter_keys(&self) -> impl Iterator<Item = KeyFile> {
        self.letters.iter().map(|letter| letter_key(&self.letter_dir(*letter), *letter))
    }
}

/// The letters of a store.
pub(crate) type Letters = BTreeSet<LetterId>;
