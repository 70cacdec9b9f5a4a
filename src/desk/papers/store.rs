//! The sealed packs in the data folder: how many, how large, how long.
//!
//! One file a pack, named `ID.CABIN.SECONDS`, so that the folder says all there is to know after a restart or a
//! restored backup. What is in a file nobody here can read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use signal::CabinId;
use signal::papers::PapersId;

/// How long a pack is kept, seconds: time for the patient to save it and for the pharmacy to be open.
pub const KEPT_S: u64 = 7 * 24 * 3600;
/// Most packs of one cabin at once: a week of a busy one, several times over.
pub const CABIN_PACKS_MAX: usize = 500;
/// Most packs at once.
pub const PACKS_MAX: usize = 5_000;
/// Most bytes of all packs.
pub const BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Ending of a file that is being written.
const UNFINISHED: &str = "new";

/// Why a pack is not kept.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// One of the limits above is reached.
    #[error("Le bureau garde déjà trop de papiers : imprimez-les.")]
    Full,
    /// Other bytes, or another cabin's, are kept under this name.
    #[error("D'autres papiers portent déjà ce nom : préparez un autre code.")]
    Taken,
    /// The disk.
    #[error("Le bureau n'a pas pu garder ces papiers : imprimez-les.")]
    Storage(#[from] io::Error),
}

#[derive(Clone)]
struct Kept {
    cabin: String,
    stored_s: u64,
    bytes: u64,
}

/// The packs of one desk.
pub struct Store {
    folder: PathBuf,
    kept: Mutex<HashMap<PapersId, Kept>>,
}

impl Store {
    /// The packs of a data folder. A file that was being written when the desk ended is deleted.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("papers");
        fs::create_dir_all(&folder)?;
        let mut kept = HashMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let parts: Vec<&str> = name.split('.').collect();
            match parts[..] {
                [id, cabin, stored_s] => {
                    let (Some(id), Ok(stored_s)) = (PapersId::read(id), stored_s.parse()) else { continue };
                    let bytes = entry.metadata()?.len();
                    kept.insert(id, Kept { cabin: cabin.to_owned(), stored_s, bytes });
                }
                [.., UNFINISHED] => fs::remove_file(entry.path())?,
                _ => {}
            }
        }
        Ok(Store { folder, kept: Mutex::new(kept) })
    }

    /// Keeps a pack. False when the very same is kept already.
    pub fn put(&self, id: &PapersId, cabin: &CabinId, sealed: &[u8], now_s: u64) -> Result<bool, PutError> {
        let mut kept = self.lock();
        self.forget_old(&mut kept, now_s);
        if let Some(there) = kept.get(id) {
            let same = there.cabin == cabin.as_str() && fs::read(self.path(id, there))? == sealed;
            return if same { Ok(false) } else { Err(PutError::Taken) };
        }
        let of_cabin = kept.values().filter(|pack| pack.cabin == cabin.as_str()).count();
        let bytes: u64 = kept.values().map(|pack| pack.bytes).sum();
        if kept.len() >= PACKS_MAX || of_cabin >= CABIN_PACKS_MAX || bytes + sealed.len() as u64 > BYTES_MAX {
            return Err(PutError::Full);
        }
        let pack = Kept { cabin: cabin.as_str().to_owned(), stored_s: now_s, bytes: sealed.len() as u64 };
        let path = self.path(id, &pack);
        let unfinished = self.folder.join(format!("{}.{UNFINISHED}", id.as_str()));
        let written = File::options().create(true).truncate(true).write(true).mode(0o600).open(&unfinished).and_then(
            |mut file| {
                file.write_all(sealed)?;
                file.sync_all()?;
                fs::rename(&unfinished, &path)?;
                File::open(&self.folder)?.sync_all()
            },
        );
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error.into());
        }
        kept.insert(id.clone(), pack);
        Ok(true)
    }

    /// A pack, to be read, and the second at which it is deleted; `None` when there is none, or no longer.
    pub fn get(&self, id: &PapersId, now_s: u64) -> io::Result<Option<(File, u64)>> {
        let (path, until_s) = {
            let kept = self.lock();
            let Some(pack) = kept.get(id).filter(|pack| now_s < pack.stored_s + KEPT_S) else { return Ok(None) };
            (self.path(id, pack), pack.stored_s + KEPT_S)
        };
        match File::open(path) {
            Ok(file) => Ok(Some((file, until_s))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes what is too old.
    pub fn tidy(&self, now_s: u64) {
        self.forget_old(&mut self.lock(), now_s);
    }

    fn forget_old(&self, kept: &mut HashMap<PapersId, Kept>, now_s: u64) {
        kept.retain(|id, pack| {
            if now_s < pack.stored_s + KEPT_S {
                return true;
            }
            match fs::remove_file(self.path(id, pack)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::error!(%error, "old papers could not be deleted; it is tried again");
                    true
                }
                _ => false,
            }
        });
    }

    fn path(&self, id: &PapersId, pack: &Kept) -> PathBuf {
        self.folder.join(format!("{}.{}.{}", id.as_str(), pack.cabin, pack.stored_s))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PapersId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> PapersId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&n.to_le_bytes());
        PapersId::of(bytes)
    }

    fn read(store: &Store, id: &PapersId, now_s: u64) -> Option<(Vec<u8>, u64)> {
        let (mut file, until_s) = store.get(id, now_s).unwrap()?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        Some((bytes, until_s))
    }

    fn cabin(name: &str) -> CabinId {
        CabinId::new(name).unwrap()
    }

    #[test]
    fn papers_are_kept_for_a_week_and_then_deleted_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.put(&id(1), &cabin("c-1"), b"one", 1_000).unwrap());
        assert!(store.put(&id(2), &cabin("c-1"), b"two", 2_000).unwrap());
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(read(&store, &id(1), 1_000 + KEPT_S - 1), Some((b"one".to_vec(), 1_000 + KEPT_S)));
        assert_eq!(read(&store, &id(1), 1_000 + KEPT_S), None, "on the second");
        store.tidy(1_000 + KEPT_S);
        let left: Vec<_> =
            fs::read_dir(folder.path().join("papers")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [format!("{}.c-1.2000", id(2).as_str()).as_str()], "the file is gone, not only its name");
        assert_eq!(read(&store, &id(3), 2_000), None);
    }

    #[test]
    fn the_same_again_is_kept_once_and_other_bytes_never_take_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.put(&id(1), &cabin("c-1"), b"one", 1_000).unwrap());
        assert!(!store.put(&id(1), &cabin("c-1"), b"one", 1_001).unwrap());
        assert!(matches!(store.put(&id(1), &cabin("c-1"), b"other", 1_001), Err(PutError::Taken)));
        assert!(matches!(store.put(&id(1), &cabin("c-2"), b"one", 1_001), Err(PutError::Taken)));
        assert_eq!(read(&store, &id(1), 1_001).unwrap().0, b"one");
    }

    #[test]
    fn a_cabin_that_keeps_too_much_stops_itself_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        // As a week of use leaves them: written one by one they would take a minute of disk.
        for n in 0..CABIN_PACKS_MAX as u16 {
            let pack = Kept { cabin: "c-1".to_owned(), stored_s: 1_000, bytes: 1 };
            store.lock().insert(id(n), pack);
        }
        let next = id(CABIN_PACKS_MAX as u16);
        assert!(matches!(store.put(&next, &cabin("c-1"), b"x", 1_001), Err(PutError::Full)));
        assert!(store.put(&next, &cabin("c-2"), b"x", 1_001).unwrap());
        assert!(store.put(&id(9_999), &cabin("c-1"), b"x", 1_000 + KEPT_S).unwrap(), "there is room again");
        store.lock().insert(id(9_000), Kept { cabin: "c-3".to_owned(), stored_s: 2_000_000, bytes: BYTES_MAX });
        assert!(matches!(store.put(&id(9_001), &cabin("c-4"), b"x", 2_000_000), Err(PutError::Full)));
    }

    #[test]
    fn what_was_being_written_when_the_desk_ended_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let papers = folder.path().join("papers");
        fs::create_dir_all(&papers).unwrap();
        fs::write(papers.join(format!("{}.new", id(1).as_str())), b"half").unwrap();
        fs::write(papers.join("README"), b"a person's own").unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(read(&store, &id(1), 0), None);
        assert_eq!(fs::read_dir(papers).unwrap().count(), 1, "the person's own file stays");
    }
}
