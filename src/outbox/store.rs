//! The store: the one open consultation, the submissions that wait, and the receipts, in one directory.
//!
//! ```text
//! lock                          held while the store is open
//! keys/epoch-<n>                the epoch's key, wrapped by the root key
//! journal/<consultation>/       key, log, <blob>.blob, reserve     at most one
//! parked/<consultation>/        see `parked.rs`                   one a patient who will come back
//! submissions/<consultation>/   key, log, <blob>.blob              one a consultation that waits
//! letters/<letter>/             see `letters.rs`                  one a reply that waits for the desk
//! receipts.log                  what the server proved; no patient data
//! index/                        see `index.rs`
//! name                          what this outbox is called, for who must notice that it is another one
//! probe                         how often the disk was asked whether it keeps anything; no patient data
//! ```
//!
//! A directory gets its name, without `.tmp`, when everything in it is durable; that rename is the moment at which a
//! consultation is open, or handed over. Whatever a crash leaves half done is finished by [`Store::open`].

use crate::index::Index;
use crate::journal::{Open, open_as};
use crate::keys::{KeyError, KeyFile, Keyring, Part, RootKey};
use crate::log::Log;
use crate::parked::Parking;
use crate::queue::{Queue, Queued};
use crate::record::*;
use crate::{blob, disk};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::warn;

/// Up to this many keys are wrapped again as soon as one is destroyed; with more, the new epoch waits for the day's.
const ROTATE_AT_ONCE_MAX: usize = 16;
/// An epoch ends after that time at the latest, where keys were destroyed in it.
const ROTATE_EVERY: Duration = Duration::from_secs(24 * 3600);
/// So many keys are wrapped again before the cabin is heard again.
const ROTATE_STEP: usize = 16;
/// Longest detail of a fault, in bytes.
const DETAIL_BYTES_MAX: usize = 500;

/// Why the store does not open.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another program has it open.
    #[error("{} is in use by another cabin-outbox: stop that one first", .0.display())]
    InUse(PathBuf),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The disk.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// The store, open.
pub struct Store {
    pub(crate) dir: PathBuf,
    lock: File,
    pub(crate) keyring: Keyring,
    pub(crate) index: Index,
    pub(crate) receipts: Log,
    pub(crate) queue: Queue,
    pub(crate) faults: BTreeMap<FaultCode, String>,
    pub(crate) open: Option<Open>,
    pub(crate) parking: Parking,
    pub(crate) letters: crate::letters::Letters,
    /// Letters that cannot be read, and why, for the technician.
    pub(crate) damaged_letters: BTreeMap<LetterId, String>,
    name: uuid::Uuid,
    pub(crate) reserve_bytes: u64,
    pub(crate) failed: bool,
    rotation_due: bool,
    probe: Option<File>,
    probes: u64,
}

impl Store {
    /// Opens the store in `dir`, creates it where there is none, and finishes what a crash left half done.
    /// `reserve_bytes` is the room that must be free for a consultation to begin.
    pub fn open(dir: &Path, root: RootKey, reserve_bytes: u64) -> Result<Store, StoreError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |cause| StoreError::Io { path, cause }
        };
        disk::create_dir(dir).map_err(at(dir))?;
        let lock = lock(dir)?;
        for part in ["journal", "parked", "submissions", crate::letters::FOLDER] {
            let path = dir.join(part);
            disk::create_dir(&path).map_err(at(&path))?;
            remove_unfinished(&path).map_err(at(&path))?;
        }
        let keyring = Keyring::open(&dir.join("keys"), root)?;
        let mut faults = BTreeMap::new();
        let (receipts, known) = crate::queue::open_receipts(dir, &keyring, &mut faults).map_err(at(dir))?;
        let index_path = dir.join("index");
        let (index, why) = Index::open(&index_path).map_err(at(&index_path))?;
        if let Some(why) = why {
            warn!("the index did not open and was rebuilt from the logs: {why}");
            faults.insert(FaultCode::IndexRebuilt, format!("the index did not open and was rebuilt: {why}"));
        }
        let mut store = Store {
            dir: dir.to_path_buf(),
            lock,
            keyring,
            index,
            receipts,
            queue: Queue::default(),
            faults,
            open: None,
            parking: Parking::default(),
            letters: BTreeSet::new(),
            damaged_letters: BTreeMap::new(),
            name: name(dir).unwrap_or_else(|error| {
                // What it holds is sent all the same.
                warn!("{}: this outbox has no name for now: {error}", dir.display());
                uuid::Uuid::nil()
            }),
            reserve_bytes,
            failed: false,
            rotation_due: true,
            probe: None,
            probes: 0,
        };
        store.load_queue(known).map_err(at(dir))?;
        store.load_parked().map_err(at(dir))?;
        store.load_letters().map_err(at(dir))?;
        store.load_journal().map_err(at(dir))?;
        // What a destroyed key still needs is not known after a start: with few keys it was done at once, with many it is
        // done by the day ([`Store::rotate_some`]).
        let survivors = store.survivors();
        store.rotation_due = survivors.len() > ROTATE_AT_ONCE_MAX;
        if store.keyring.rotation_is_unfinished()
            && !store.rotation_due
            && let Err(error) = store.keyring.go_on(&survivors, usize::MAX)
        {
            // Not worth refusing to start: it is tried again when the next key is destroyed.
            warn!("an epoch could not be finished: {error}");
        }
        Ok(store)
    }

    /// Whether the disk failed: nothing is acknowledged any more, and the program should be restarted.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Writes eight bytes and syncs them, as an append does: what the watchdog is told rests on it. The file holds a count
    /// and nothing else, always in the same place, so that it wears the drive by one block a time.
    ///
    /// # Errors
    /// The disk keeps nothing, or the folder is not where it was: as for an append.
    pub fn probe(&mut self) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let probed = self.is_in_its_place().and_then(|()| self.write_probe());
        match probed {
            Ok(()) => Ok(()),
            // A full disk keeps what it was given, and takes the next consultation when there is room.
            Err(error) if disk::is_full(&error) => Ok(()),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// A folder that was moved or removed keeps what is written through its open files, where nobody looks for it again.
    fn is_in_its_place(&self) -> io::Result<()> {
        let (held, there) = (self.lock.metadata()?, fs::metadata(self.dir.join("lock")));
        match there {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} was moved or removed while it was in use: put it back", self.dir.display()),
            )),
        }
    }

    fn write_probe(&mut self) -> io::Result<()> {
        let file = match self.probe.take() {
            Some(file) => file,
            None => {
                let path = self.dir.join("probe");
                File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?
            }
        };
        self.probes += 1;
        file.write_all_at(&self.probes.to_le_bytes(), 0)?;
        file.sync_data()?;
        self.probe = Some(file);
        Ok(())
    }

    /// Closes the open consultation and hands over what is to be sent, under a key of its own. When this returns the
    /// journal is destroyed.
    pub fn submit(&mut self, consultation: ConsultationId, sending: &crate::queue::Sending) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        if self.queue.knows(consultation) {
            return Ok(());
        }
        self.check_sending(consultation, sending)?;
        let open = open_as(&mut self.open, consultation)?;
        // The room reserved for this moment.
        open.release(u64::MAX).map_err(|error| Refused::new(Refusal::SyncFailed, error.to_string()))?;
        let queued = self.hand_over(consultation, sending)?;
        self.queue.insert(queued);
        self.index_state(consultation);
        self.destroy_journal()
    }

    /// Whether what is to be sent is the open consultation's, and can be sent.
    pub(crate) fn check_sending(
        &mut self,
        consultation: ConsultationId,
        sending: &crate::queue::Sending,
    ) -> Result<(), Refused> {
        sending.validate()?;
        let open = open_as(&mut self.open, consultation)?;
        match sending.uploads.iter().find(|upload| !open.blobs.contains_key(&upload.blob)) {
            None => Ok(()),
            Some(upload) => {
                let detail = format!("the open consultation has no blob {}", upload.blob);
                Err(Refused::new(Refusal::UnknownBlob, detail))
            }
        }
    }

    fn hand_over(&mut self, id: ConsultationId, sending: &crate::queue::Sending) -> Result<Queued, Refused> {
        let dir = self.dir.join("submissions").join(id.to_string());
        let building = dir.with_extension("tmp");
        let result = self.build_submission(id, &building, sending).and_then(|queued| {
            let named = fs::rename(&building, &dir).and_then(|()| disk::sync_dir(&self.dir.join("submissions")));
            named.map_err(Trouble::Io)?;
            Ok(queued)
        });
        result.map_err(|trouble| {
            let _ = disk::shred(&building.join("key"));
            let _ = disk::remove_dir(&building);
            match trouble {
                Trouble::Io(error) => self.refuse(error),
                Trouble::Refused(refused) => refused,
            }
        })
    }

    pub(crate) fn build_submission(
        &mut self,
        id: ConsultationId,
        building: &Path,
        sending: &crate::queue::Sending,
    ) -> Result<Queued, Trouble> {
        disk::create_dir(building)?;
        let key = self.keyring.create(&submission_key(building, id)).map_err(key_to_io)?;
        let open = open_as(&mut self.open, id)?;
        let needed: BTreeSet<BlobId> = sending.uploads.iter().map(|upload| upload.blob).collect();
        let mut sizes = BTreeMap::new();
        for blob in needed {
            let Some(info) = open.blobs.get(&blob) else { continue };
            let content = open.read_blob(blob, info)?;
            blob::write(building, &key, id, blob, &content)?;
            sizes.insert(blob, (info.bytes, info.sha256));
        }
        let number = self.queue.next_number();
        crate::queue::write_submission(building, &key, id, number, sending, &sizes)?;
        disk::sync_dir(building)?;
        Ok(Queued::new(id, number))
    }

    pub(crate) fn destroy_journal(&mut self) -> Result<(), Refused> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.parking.reopened = None;
        let destroyed = crate::parked::clear_held(&open.dir).and_then(|()| match &open.damaged {
            // A technician may still read what the cabin could not.
            Some(why) => self.set_journal_aside(open.id, &open.dir, why),
            None => disk::shred(&open.dir.join("key")).and_then(|()| disk::remove_dir(&open.dir)),
        });
        drop(open);
        if let Err(error) = destroyed {
            self.failed = true;
            return Err(self.refuse(error));
        }
        self.rotate_if_few()
    }

    /// Begins a new epoch at once when few keys survive; otherwise notes that one is due.
    pub(crate) fn rotate_if_few(&mut self) -> Result<(), Refused> {
        if self.survivors().len() > ROTATE_AT_ONCE_MAX {
            self.rotation_due = true;
            return Ok(());
        }
        self.rotate()
    }

    /// Where keys were destroyed and the newest epoch is a day old, begins another, and goes on with one that has begun: a
    /// few keys at a time, for the cabin waits meanwhile. True: there is more to do.
    ///
    /// # Errors
    /// The disk.
    pub fn rotate_some(&mut self) -> Result<bool, Refused> {
        self.refuse_if_failed()?;
        if !self.keyring.rotation_is_unfinished() {
            let age = self.keyring.epoch_age().unwrap_or_default();
            if !self.rotation_due || age < ROTATE_EVERY {
                return Ok(false);
            }
            self.rotation_due = false;
            if let Err(error) = self.keyring.begin() {
                return self.could_not_rotate(error).map(|()| false);
            }
        }
        let survivors = self.survivors();
        match self.keyring.go_on(&survivors, ROTATE_STEP) {
            Ok(is_done) => Ok(!is_done),
            Err(error) => self.could_not_rotate(error).map(|()| false),
        }
    }

    fn could_not_rotate(&mut self, error: KeyError) -> Result<(), Refused> {
        let error = key_to_io(error);
        if disk::is_full(&error) {
            // The keys are destroyed already; the epoch that wrapped them follows when there is room.
            self.rotation_due = true;
            return Ok(());
        }
        Err(self.refuse(error))
    }

    fn rotate(&mut self) -> Result<(), Refused> {
        let survivors = self.survivors();
        match self.keyring.rotate(&survivors) {
            Ok(()) => {
                self.rotation_due = false;
                Ok(())
            }
            Err(error) => self.could_not_rotate(error),
        }
    }

    fn survivors(&self) -> Vec<KeyFile> {
        let mut files: Vec<_> = self.open.iter().map(|open| journal_key(&open.dir, open.id)).collect();
        let held = self.open.iter().filter(|open| open.has_held);
        files.extend(held.map(|open| crate::parked::held_key(&open.dir, open.id)));
        let submissions = self.dir.join("submissions");
        files.extend(self.queue.all().map(|queued| {
            let id = queued.consultation;
            submission_key(&submissions.join(id.to_string()), id)
        }));
        files.extend(self.parking.keys());
        files.extend(self.letter_keys());
        let aside = consultations(&self.dir.join("journal-aside")).unwrap_or_default();
        files.extend(aside.into_iter().map(|(id, dir)| journal_key(&dir, id)));
        files
    }

    /// How the outbox is.
    pub fn status(&self) -> Status {
        let (waiting, set_aside) = self.queue.counts();
        let mut faults: Vec<Fault> =
            self.faults.iter().map(|(code, detail)| Fault { code: *code, detail: detail.clone() }).collect();
        let free = disk::free_bytes(&self.dir).unwrap_or(0);
        // The patient who is there has room of their own, which is free again for the next.
        let for_next = free.saturating_add(self.open.as_ref().map_or(0, |open| open.reserve_bytes));
        if for_next < self.reserve_bytes && !self.faults.contains_key(&FaultCode::DiskShort) {
            let detail = format!("{free} bytes are free, a consultation needs {}", self.reserve_bytes);
            faults.insert(0, Fault { code: FaultCode::DiskShort, detail });
        }
        if !self.damaged_letters.is_empty() && !self.faults.contains_key(&FaultCode::Damaged) {
            let first = self.damaged_letters.values().next().cloned().unwrap_or_default();
            let others = match self.damaged_letters.len() - 1 {
                0 => String::new(),
                count => format!("; and {count} more"),
            };
            faults.push(Fault { code: FaultCode::Damaged, detail: short(format!("{first}{others}")) });
            faults.sort_by_key(|fault| fault.code);
        }
        Status {
            name: self.name,
            open: self.open.as_ref().map(|open| open.id),
            waiting,
            set_aside,
            parked: self.parking.count(),
            letters: self.letters.len() as u32,
            last_receipt_at: self.queue.last_receipt_at(),
            faults,
            disk_free_bytes: free,
            disk_needed_bytes: self.reserve_bytes,
        }
    }

    /// Raises a fault, or clears it with `None`.
    pub fn set_fault(&mut self, code: FaultCode, detail: Option<String>) {
        match detail {
            Some(detail) => drop(self.faults.insert(code, short(detail))),
            None => drop(self.faults.remove(&code)),
        }
    }

    pub(crate) fn refuse_if_failed(&self) -> Result<(), Refused> {
        if !self.failed {
            return Ok(());
        }
        Err(Refused::new(Refusal::SyncFailed, "the disk failed to keep data: cabin-outbox must be restarted"))
    }

    /// A full disk is refused and goes on; any other failure to write stops the acknowledging.
    pub(crate) fn refuse(&mut self, error: io::Error) -> Refused {
        if disk::is_full(&error) && !self.failed {
            let free = disk::free_bytes(&self.dir).unwrap_or(0);
            let detail =
                format!("the disk is full: {free} bytes are free, a consultation needs {}", self.reserve_bytes);
            self.set_fault(FaultCode::DiskShort, Some(detail.clone()));
            return Refused::new(Refusal::DiskShort, detail);
        }
        self.failed = true;
        let detail = format!("the disk failed to keep data ({error}): check the disk, restart cabin-outbox");
        self.set_fault(FaultCode::SyncFailed, Some(detail.clone()));
        Refused::new(Refusal::SyncFailed, detail)
    }

    /// Makes the journal's next sync fail, as a dying disk does.
    #[cfg(test)]
    fn fail_next_sync(&mut self) {
        if let Some(open) = &mut self.open {
            open.log.fail_next_sync = true;
        }
    }
}

fn short(mut detail: String) -> String {
    let mut end = detail.len().min(DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.truncate(end);
    detail
}

/// The name of the outbox in `dir`, which is given one where it has none that can be read: it is another one then.
fn name(dir: &Path) -> io::Result<uuid::Uuid> {
    let path = dir.join("name");
    match fs::read(&path) {
        Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(|text| uuid::Uuid::try_parse(text.trim()).ok()) {
            Some(name) => return Ok(name),
            None => warn!("{}: no name is in it; this outbox is called anew", path.display()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = uuid::Uuid::new_v4();
    disk::write_whole(&path, name.to_string().as_bytes()).map(|()| name)
}

pub(crate) enum Trouble {
    Io(io::Error),
    Refused(Refused),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Trouble {
        Trouble::Refused(refused)
    }
}

pub(crate) fn journal_key(dir: &Path, consultation: ConsultationId) -> KeyFile {
    KeyFile { path: dir.join("key"), consultation, part: Part::Journal }
}

pub(crate) fn submission_key(dir: &Path, consultation: ConsultationId) -> KeyFile {
    KeyFile { path: dir.join("key"), consultation, part: Part::Submission }
}

pub(crate) fn key_to_io(error: KeyError) -> io::Error {
    match error {
        KeyError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

/// The consultations that have a directory here, in order of their names.
pub(crate) fn consultations(dir: &Path) -> io::Result<Vec<(ConsultationId, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| uuid::Uuid::try_parse(name).ok()) {
            found.push((ConsultationId(id), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Directories that never got their name hold nothing that was acknowledged.
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            disk::shred(&path.join("key"))?;
            disk::remove_dir(&path)?;
        }
    }
    Ok(())
}

pub(crate) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let at = |cause| StoreError::Io { path: path.clone(), cause };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at)?;
    // SAFETY: the descriptor is open for as long as `file` lives, and flock touches no memory of ours.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(file);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Err(StoreError::InUse(dir.to_path_buf())),
        error => Err(at(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn after_a_failed_sync_nothing_more_is_acknowledged_until_the_store_is_opened_anew() {
        let dir = std::env::temp_dir().join(format!("outbox-store-{}", uuid::Uuid::new_v4()));
        let root = || RootKey::from_text_or_bytes(&[9; 32]).unwrap();
        let id = ConsultationId::random();
        let record = |seq: u64| (id, Record { seq, kind: 1, bytes: Zeroizing::new(vec![seq as u8; 10]) });
        let mut store = Store::open(&dir, root(), 1 << 20).unwrap();
        store.begin(id).unwrap();
        assert_eq!(store.append(&[record(0), record(1)]), [Ok(0), Ok(1)]);
        store.probe().unwrap();
        store.fail_next_sync();
        let answers = store.append(&[record(2), record(3)]);
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|r| r.refusal == Refusal::SyncFailed)));
        assert!(store.append(&[record(2)])[0].is_err());
        assert!(store.discard(id).is_err());
        assert!(store.has_failed());
        assert!(store.probe().is_err(), "the watchdog is told nothing more");
        assert_eq!(store.status().faults[0].code, FaultCode::SyncFailed);
        drop(store);
        let mut store = Store::open(&dir, root(), 1 << 20).unwrap();
        let (_, records, _) = store.read_back(0).unwrap().unwrap();
        assert!(records.len() >= 2, "what was acknowledged is there");
        // The cabin repeats what was not acknowledged; whether it was kept or not, it is kept once.
        assert_eq!(store.append(&[record(records.len() as u64)]), [Ok(records.len() as u64)]);
        drop(store);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
