//! The index: states, attempts and receipts, for speed. It is never the truth: what it holds is written again from the
//! logs when it will not open, and its failures are faults, not losses.
//!
//! This file is the only one that may use `sled`, because the obvious use of it loses data: `flush()` of 0.34.7 calls
//! `sync_file_range` and no fsync, and values over 128 KiB go to files that are never synced. So every flush here is
//! followed by an fsync of `<path>/db` on a descriptor of our own, and values are small. A test forbids it elsewhere.

use crate::disk;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Largest value, in bytes. Larger ones are refused: they belong in a log.
pub const VALUE_BYTES_MAX: usize = 32 * 1024;
/// Memory for the index's pages, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Sled gives its lock back late after a close in the same process; it is waited for so long.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Most indexes kept aside; past it, no new one is kept, since each was rebuilt from the logs anyway.
const ASIDE_MAX: u32 = 4;

/// The index, open.
pub struct Index(Backing);

enum Backing {
    Disk {
        db: sled::Db,
        file: File,
    },
    /// On a disk too full to open it: what is asked meanwhile is kept for as long as the program runs.
    Memory(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>),
}

impl Index {
    /// Opens the index at `path`. One that will not open is renamed aside and replaced by an empty one; then the second
    /// value says why, and the caller fills it from the logs. A full disk does not keep the outbox from opening: the
    /// index is then in memory, and the second value says so.
    pub fn open(path: &Path) -> io::Result<(Index, Option<String>)> {
        let in_memory = || {
            let why = "the disk is too full to open it; it is kept in memory until the next start".to_owned();
            (Index(Backing::Memory(Mutex::default())), Some(why))
        };
        match Index::try_open(path) {
            Ok(index) => Ok((index, None)),
            Err(error) if disk::is_full(&error) => Ok(in_memory()),
            Err(error) => {
                if path.exists() {
                    let aside = (0..ASIDE_MAX).map(|n| aside_path(path, n)).find(|aside| !aside.exists());
                    match aside {
                        Some(aside) => std::fs::rename(path, aside)?,
                        None if path.is_dir() => std::fs::remove_dir_all(path)?,
                        None => std::fs::remove_file(path)?,
                    }
                }
                match Index::try_open(path) {
                    Ok(index) => Ok((index, Some(error.to_string()))),
                    Err(error) if disk::is_full(&error) => Ok(in_memory()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn try_open(path: &Path) -> io::Result<Index> {
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            // Sled panics on some damaged files.
            let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
            let error = match opened {
                Ok(Ok(db)) => {
                    let file = File::open(path.join("db"))?;
                    file.sync_all()?;
                    disk::sync_dir(path)?;
                    if let Some(parent) = path.parent() {
                        disk::sync_dir(parent)?;
                    }
                    return Ok(Index(Backing::Disk { db, file }));
                }
                Ok(Err(sled::Error::Io(error))) if disk::is_full(&error) => return Err(error),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "sled stopped on a damaged file".to_owned(),
            };
            if !error.contains("lock") || Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            // Sled tries the lock once and tells nobody when it is free.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match &self.0 {
            Backing::Disk { db, .. } => Ok(db.get(key)?.map(|value| value.to_vec())),
            Backing::Memory(map) => Ok(held(map).get(key).cloned()),
        }
    }

    /// Sets a value. It is durable after the next [`Index::sync`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a value over the index's limit"));
        }
        match &self.0 {
            Backing::Disk { db, .. } => drop(db.insert(key, value)?),
            Backing::Memory(map) => drop(held(map).insert(key.to_vec(), value.to_vec())),
        }
        Ok(())
    }

    /// Removes a key.
    pub fn remove(&self, key: &[u8]) -> io::Result<()> {
        match &self.0 {
            Backing::Disk { db, .. } => drop(db.remove(key)?),
            Backing::Memory(map) => drop(held(map).remove(key)),
        }
        Ok(())
    }

    /// Every key under a prefix.
    pub fn keys(&self, prefix: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        match &self.0 {
            Backing::Disk { db, .. } => db.scan_prefix(prefix).keys().map(|key| Ok(key?.to_vec())).collect(),
            Backing::Memory(map) => Ok(held(map).keys().filter(|key| key.starts_with(prefix)).cloned().collect()),
        }
    }

    /// Makes everything set so far durable.
    pub fn sync(&self) -> io::Result<()> {
        let Backing::Disk { db, file } = &self.0 else { return Ok(()) };
        db.flush()?;
        file.sync_all()
    }
}

fn held(map: &Mutex<BTreeMap<Vec<u8>, Vec<u8>>>) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
    // Nothing between taking and giving back can leave it half changed.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

fn aside_path(path: &Path, n: u32) -> PathBuf {
    path.with_extension(format!("aside-{n}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_closing_and_a_damaged_index_is_kept_aside() {
        let dir = std::env::temp_dir().join(format!("outbox-index-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("index");
        let (index, rebuilt) = Index::open(&path).unwrap();
        assert_eq!(rebuilt, None);
        index.put(b"a", b"1").unwrap();
        assert!(index.put(b"b", &vec![0; VALUE_BYTES_MAX + 1]).is_err());
        index.sync().unwrap();
        drop(index);
        let (index, rebuilt) = Index::open(&path).unwrap();
        assert_eq!((index.get(b"a").unwrap(), rebuilt), (Some(b"1".to_vec()), None));
        drop(index);
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::write(&path, b"not an index at all").unwrap();
        let (index, rebuilt) = Index::open(&path).unwrap();
        assert_eq!(index.get(b"a").unwrap(), None);
        assert!(rebuilt.is_some());
        assert!(aside_path(&path, 0).exists());
        drop(index);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn only_this_file_uses_sled() {
        let word = concat!("sled", "::");
        for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("index.rs") {
                assert!(!std::fs::read_to_string(&path).unwrap().contains(word), "{}", path.display());
            }
        }
    }
}
