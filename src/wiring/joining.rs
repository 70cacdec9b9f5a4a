//! The one-time code with which a cabin joins a desk by itself: left for it by a hand-over, which happens without a
//! network, and used when that desk answers.
//!
//! A file of three lines in the cabin's data folder: the desk's address, the code, and once the cabin has tried it the
//! secret key that it joins with, in base64. The same key with the same code is the same cabin to a desk, however often
//! an answer is lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::file::{Owner, put};

const FILE: &str = "joining";

/// A desk to be joined.
#[derive(Clone, PartialEq, Eq)]
pub struct Joining {
    /// Its address.
    pub desk_url: String,
    /// The code that it gave.
    pub code: String,
    /// The cabin's secret key, once it has one for this desk.
    pub key: Option<String>,
}

impl std::fmt::Debug for Joining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Joining {{ {}, [secret] }}", self.desk_url)
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

impl Joining {
    /// The desk that is to be joined; `None` when there is none.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(data_dir: &Path) -> io::Result<Option<Joining>> {
        let text = match fs::read_to_string(path(data_dir)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        let (Some(desk_url), Some(code)) = (lines.next(), lines.next()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an address and a code were expected"));
        };
        Ok(Some(Joining { desk_url, code, key: lines.next() }))
    }

    /// Leaves it for the cabin whose account `owner` is. What the cabin made of the same code already stays.
    ///
    /// # Errors
    /// The disk's, or that only root can.
    pub fn leave(&self, data_dir: &Path, owner: Owner) -> io::Result<()> {
        let there = Joining::read(data_dir).ok().flatten();
        if there.is_some_and(|there| (&there.desk_url, &there.code) == (&self.desk_url, &self.code)) {
            return Ok(());
        }
        let text = format!("{}\n{}\n", self.desk_url, self.code);
        put(&path(data_dir), text.as_bytes(), 0o600, owner)
    }

    /// Keeps the key that the cabin will join with.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&self, data_dir: &Path) -> io::Result<()> {
        let key = self.key.as_deref().unwrap_or_default();
        let text = format!("{}\n{}\n{key}\n", self.desk_url, self.code);
        put(&path(data_dir), text.as_bytes(), 0o600, Owner::of(&path(data_dir))?)
    }

    /// The desk was joined, or is not wanted any more: the code is forgotten.
    ///
    /// # Errors
    /// The disk's.
    pub fn forget(data_dir: &Path) -> io::Result<()> {
        match fs::remove_file(path(data_dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
