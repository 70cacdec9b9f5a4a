//! Consultations of patients who will come back: parked under a secret that only they hold.
//!
//! ```text
//! parked/<consultation>/        log, <blob>.blob: the journal, whose key nobody here has
//!     lock                      a key of the outbox
//!     sealed                    the journal's key, under the lock's key and the patient's secret together
//!     set-since                 how much the clock was set since it was parked, where it was
//!     held/                     the submission that is sent if they do not come back in time
//! ```
//!
//! The secret is the patient's code and birth date, stretched by argon2id with a salt that follows from the root key.
//! It is kept nowhere. Who comes back in time has the journal open again, and what was held is destroyed; at the limit
//! it is the other way round. Either is one rename, and what a crash leaves half done is finished by [`Store::open`].

use crate::disk;
use crate::journal::open_as;
use crate::keys::{DataKey, KEY_BYTES, KeyError, KeyFile, Part, RootKey};
use crate::queue::{Queued, Sealed, Sending};
use crate::record::*;
use crate::serve::{take, unix_seconds};
use crate::store::{Store, Trouble, consultations, journal_key, key_to_io, submission_key};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::{info, warn};
use zeroize::Zeroizing;

/// A file `sealed` begins with that.
pub const MAGIC: &[u8; 8] = b"TCPARKD1";
/// What the root key's derivative is for that salts the secrets.
pub(crate) const SALT: &str = "parked";
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Length of a file `sealed`, bytes.
pub const SEALED_BYTES: usize = MAGIC.len() + 8 + NONCE_BYTES + 16 + KEY_BYTES + TAG_BYTES;
/// So many wrong secrets within [`TRIES_SECONDS`], then none is looked at for a while.
const TRIES_MAX: usize = 5;
/// How long a wrong secret counts, in seconds.
const TRIES_SECONDS: u64 = 15 * 60;
/// How often the limits are looked at, by a clock that may jump.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How much the clock was set since, in the folder of what is parked.
const SET_SINCE: &str = "set-since";
/// From how much on the clock was set, and does not merely drift, in seconds.
const CLOCK_SET_SECONDS: u64 = 60;
/// Between two steps of an epoch's end.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);
/// Memory of argon2id, KiB, and its rounds (OWASP Password Storage Cheat Sheet: 19 MiB, 2).
const ARGON2: (u32, u32) = (19 * 1024, 2);

/// A consultation whose patient may come back.
pub(crate) struct Parked {
    id: ConsultationId,
    dir: PathBuf,
    /// Until when, in seconds since 1970, by the clock of when it was parked.
    until: i64,
    /// How much that clock was set forward since, in seconds, kept beside it. Counted as long as the program that parked it
    /// runs; what it found on the disk is counted no further.
    set_since: i64,
    /// Parked by this run of the program.
    is_counted: bool,
}

impl Parked {
    /// Until when by the clock as it is now.
    fn until_now(&self) -> i64 {
        self.until.saturating_add(self.set_since)
    }
}

/// Every parked consultation, and who tried to open one.
#[derive(Default)]
pub(crate) struct Parking {
    parked: Vec<Parked>,
    wrong: VecDeque<i64>,
    /// The last that was opened again, and with what: a cabin that lost the answer asks twice.
    pub(crate) reopened: Option<(ConsultationId, Zeroizing<[u8; KEY_BYTES]>)>,
}

impl Parking {
    pub(crate) fn count(&self) -> u32 {
        self.parked.len() as u32
    }

    pub(crate) fn knows(&self, id: ConsultationId) -> bool {
        self.parked.iter().any(|parked| parked.id == id)
    }

    /// The keys that outlive an epoch.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyFile> {
        self.parked.iter().flat_map(|parked| [lock(&parked.dir, parked.id), held_key(&parked.dir, parked.id)])
    }
}

pub(crate) fn lock(dir: &Path, consultation: ConsultationId) -> KeyFile {
    KeyFile { path: dir.join("lock"), consultation, part: Part::Parked }
}

pub(crate) fn held(dir: &Path) -> PathBuf {
    dir.join("held")
}

pub(crate) fn held_key(dir: &Path, consultation: ConsultationId) -> KeyFile {
    submission_key(&held(dir), consultation)
}

/// Destroys what makes a journal a parked one, but for what is held: a parking that was cut short, or a journal that is
/// open again.
pub(crate) fn clear(dir: &Path) -> io::Result<()> {
    disk::shred(&dir.join("lock"))?;
    disk::shred(&dir.join(SET_SINCE))?;
    disk::shred(&dir.join("sealed"))
}

/// Destroys what is held: the journal goes on, and another record is made of it.
pub(crate) fn clear_held(dir: &Path) -> io::Result<()> {
    disk::shred(&held(dir).join("key"))?;
    disk::remove_dir(&held(dir))
}

/// Of a parked journal no key stays that opens it without the patient, and no room that nobody fills.
fn close(dir: &Path) -> io::Result<()> {
    disk::shred(&dir.join("key"))?;
    disk::shred(&dir.join("key.tmp"))?;
    match fs::OpenOptions::new().write(true).open(dir.join("reserve")) {
        Ok(reserve) => reserve.set_len(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether there is something held. A disk that does not answer says neither.
pub(crate) fn has_held(dir: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(held(dir)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Store {
    /// Finds what is parked and finishes what was cut short. After [`Store::load_queue`].
    pub(crate) fn load_parked(&mut self) -> io::Result<()> {
        for (id, dir) in consultations(&self.dir.join("parked"))? {
            // Parking was cut short after the rename, or opening before its own.
            close(&dir)?;
            if self.queue.knows(id) || !has_held(&dir)? {
                info!("finishing the destruction of the parked journal of {id}, whose submission was let go");
                disk::shred(&dir.join("lock"))?;
                disk::remove_dir(&dir)?;
                continue;
            }
            match self.read_state(id, &held(&dir)) {
                Ok(queued) => self.queue.reserve_number(queued.number),
                Err(why) => warn!("what is held of {id} cannot be read: {why}"),
            }
            // What cannot be opened any more waits for nobody.
            let until = read_until(&dir)?.unwrap_or(i64::MIN);
            self.parking.parked.push(Parked { id, set_since: read_set_since(&dir)?, dir, until, is_counted: false });
        }
        Ok(())
    }

    /// Closes the open consultation, whose patient will come back until `until` (seconds since 1970) with `secret`.
    /// What is to be sent otherwise is held until then. Repeating it changes nothing.
    pub fn park(
        &mut self,
        consultation: ConsultationId,
        sending: &Sending,
        secret: &[u8],
        until: i64,
    ) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        if self.open.is_none() && (self.parking.knows(consultation) || self.queue.knows(consultation)) {
            return Ok(());
        }
        if !(1..=SECRET_BYTES_MAX).contains(&secret.len()) {
            let detail = format!("a secret has 1 to {SECRET_BYTES_MAX} bytes");
            return Err(Refused::new(Refusal::Malformed, detail));
        }
        self.check_sending(consultation, sending)?;
        if self.parking.parked.len() >= PARKED_MAX {
            let detail =
                format!("{PARKED_MAX} patients are to come back already: wait until one did, or a limit is over");
            return Err(Refused::new(Refusal::Busy, detail));
        }
        let secret = self.stretch(secret)?;
        let open = open_as(&mut self.open, consultation)?;
        // The room reserved for this moment.
        open.release(u64::MAX).map_err(|error| Refused::new(Refusal::SyncFailed, error.to_string()))?;
        let dir = open.dir.clone();
        let parked = self.dir.join("parked").join(consultation.to_string());
        let built = clear(&dir).and_then(|()| clear_held(&dir)).map_err(Trouble::Io).and_then(|()| {
            let queued = self.build_submission(consultation, &held(&dir), sending)?;
            let lock = self.keyring.create(&lock(&dir, consultation)).map_err(key_to_io)?;
            let open = open_as(&mut self.open, consultation)?;
            let sealed = seal(&open.key, &lock, &secret, consultation, until)?;
            disk::write_whole(&dir.join("sealed"), &sealed)?;
            Ok(queued)
        });
        let queued = match built {
            Ok(queued) => queued,
            Err(trouble) => {
                let _ = clear(&dir).and_then(|()| clear_held(&dir));
                return Err(match trouble {
                    Trouble::Io(error) => self.refuse(error),
                    Trouble::Refused(refused) => refused,
                });
            }
        };
        self.move_dir(&dir, &parked, &["parked", "journal"])?;
        self.open = None;
        self.parking.reopened = None;
        self.queue.reserve_number(queued.number);
        if let Err(error) = close(&parked) {
            self.failed = true;
            return Err(self.refuse(error));
        }
        self.parking.parked.push(Parked { id: consultation, dir: parked, until, set_since: 0, is_counted: true });
        self.rotate_if_few()
    }

    /// Opens the parked consultation of this secret again, and destroys what was held of it. `now` in seconds since
    /// 1970.
    pub fn reopen(&mut self, secret: &[u8], now: i64) -> Result<ConsultationId, Refused> {
        self.refuse_if_failed()?;
        if let Some(open) = &self.open {
            let id = open.id;
            let is_same = match &self.parking.reopened {
                Some((reopened, with)) if *reopened == id => self.stretch(secret)? == *with,
                _ => false,
            };
            let detail = format!("consultation {id} is open: submit or discard it first");
            return if is_same { Ok(id) } else { Err(Refused::new(Refusal::AlreadyOpen, detail)) };
        }
        let counts = |at: &i64| at.abs_diff(now) < TRIES_SECONDS;
        self.parking.wrong.retain(counts);
        if self.parking.wrong.len() >= TRIES_MAX {
            let detail = format!("{TRIES_MAX} wrong secrets within {} minutes: wait", TRIES_SECONDS / 60);
            return Err(Refused::new(Refusal::TooManyTries, detail));
        }
        let secret = self.stretch(secret)?;
        let found = self.parking.parked.iter().enumerate().filter(|(_, parked)| parked.until_now() > now).find_map(
            |(at, parked)| {
                let lock = self.keyring.load(&lock(&parked.dir, parked.id)).ok()?;
                let sealed = fs::read(parked.dir.join("sealed")).ok()?;
                Some((at, unseal(&sealed, &lock, &secret, parked.id)?))
            },
        );
        let Some((at, key)) = found else {
            self.parking.wrong.push_back(now);
            return Err(Refused::new(Refusal::NotParked, "no parked consultation opens with this"));
        };
        let (id, dir) = (self.parking.parked[at].id, self.parking.parked[at].dir.clone());
        let journal = self.dir.join("journal").join(id.to_string());
        let written = self
            .reserve_again(&dir)
            .and_then(|()| self.keyring.write(&key, &journal_key(&dir, id)).map_err(key_to_io))
            .and_then(|()| {
                disk::crash_point();
                fs::rename(&dir, &journal)
            });
        if let Err(error) = written {
            let _ = close(&dir);
            return Err(self.refuse(error));
        }
        self.sync_moved(&["journal", "parked"])?;
        self.parking.parked.remove(at);
        self.parking.wrong.clear();
        // What is held stays until the cabin has shown that it can read the journal: it then adds to it.
        let opened = self.load_journal();
        opened.map_err(|error| {
            self.failed = true;
            self.refuse(error)
        })?;
        match &self.open {
            Some(open) if open.id == id => {}
            _ => return Err(Refused::new(Refusal::Damaged, "the parked journal cannot be read and was kept aside")),
        }
        self.faults.remove(&FaultCode::DiskShort);
        info!("consultation {id} is open again: its patient came back");
        self.parking.reopened = Some((id, secret));
        self.rotate_if_few()?;
        Ok(id)
    }

    /// Wrong secrets count no more: who is responsible for the place stands before it.
    pub fn forgive_tries(&mut self) {
        self.parking.wrong.clear();
    }

    /// Lets go what was held of patients who did not come back in time: it waits for the server from now on. So does what
    /// was parked by a clock that was far ahead. Returns how many. `now` in seconds since 1970.
    ///
    /// # Errors
    /// The disk. What was let go before it failed waits for the server too.
    pub fn release_parked(&mut self, now: i64) -> Result<u32, Refused> {
        let mut released = 0;
        let most = now.saturating_add(PARKED_SECONDS_MAX);
        let is_over = |parked: &Parked| parked.until_now() <= now || parked.until_now() > most;
        while !self.failed
            && let Some(at) = self.parking.parked.iter().position(is_over)
        {
            let (id, dir) = (self.parking.parked[at].id, self.parking.parked[at].dir.clone());
            self.send_held(id, &dir)?;
            self.parking.parked.remove(at);
            let destroyed = disk::shred(&dir.join("lock")).and_then(|()| disk::remove_dir(&dir));
            destroyed.map_err(|error| self.refuse(error))?;
            info!("the patient of consultation {id} did not come back in time: what was measured is sent");
            released += 1;
        }
        if released > 0 {
            self.rotate_if_few()?;
        }
        Ok(released)
    }

    /// The clock was set by so many seconds while this program ran, forward or back: whoever parked by the former clock
    /// keeps as long as was promised. A machine whose battery is empty starts days behind.
    pub fn clock_was_set(&mut self, by: i64) {
        for parked in self.parking.parked.iter_mut().filter(|parked| parked.is_counted) {
            parked.set_since = parked.set_since.saturating_add(by);
            if let Err(error) = disk::write_whole(&parked.dir.join(SET_SINCE), &parked.set_since.to_le_bytes()) {
                warn!("a restart would hold {} by its former limit: {error}", parked.id);
            }
        }
    }

    /// What is held becomes a submission.
    pub(crate) fn send_held(&mut self, id: ConsultationId, dir: &Path) -> Result<(), Refused> {
        let submission = self.dir.join("submissions").join(id.to_string());
        self.move_dir(&held(dir), &submission, &["submissions"])?;
        let queued = self.read_state(id, &submission).unwrap_or_else(|why| {
            let reason = format!("it cannot be read on this disk: {why}");
            Queued { set_aside: Some(reason), ..Queued::new(id, self.queue.next_number()) }
        });
        self.queue.insert(queued);
        self.index_state(id);
        Ok(())
    }

    /// What is held of patients who may come back, and is sent if they do not.
    pub fn held(&self) -> impl Iterator<Item = (ConsultationId, Result<Sealed, KeyError>)> {
        self.parking.parked.iter().map(|Parked { id, dir, .. }| {
            let key = self.keyring.load(&held_key(dir, *id));
            (*id, key.map(|key| Sealed::new(*id, held(dir), key)))
        })
    }

    /// One rename, durable in both folders. Once it is done there is no way back: a failure after it is the disk's.
    fn move_dir(&mut self, from: &Path, to: &Path, folders: &[&str]) -> Result<(), Refused> {
        disk::crash_point();
        fs::rename(from, to).map_err(|error| self.refuse(error))?;
        self.sync_moved(folders)
    }

    fn sync_moved(&mut self, folders: &[&str]) -> Result<(), Refused> {
        for folder in folders {
            disk::sync_dir(&self.dir.join(folder)).map_err(|error| {
                self.failed = true;
                self.refuse(error)
            })?;
        }
        Ok(())
    }

    fn reserve_again(&self, dir: &Path) -> io::Result<()> {
        let path = dir.join("reserve");
        let reserve = match fs::OpenOptions::new().read(true).write(true).open(&path) {
            Ok(reserve) => reserve,
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk::create(&path)?,
            Err(error) => return Err(error),
        };
        if disk::free_bytes(dir)? < self.reserve_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk::reserve(&reserve, self.reserve_bytes)?;
        reserve.sync_all()?;
        disk::sync_dir(dir)
    }

    fn stretch(&self, secret: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, Refused> {
        let broken = |error: argon2::Error| Refused::new(Refusal::Malformed, format!("argon2: {error}"));
        stretch(secret, self.keyring.parking_salt().as_slice()).map_err(broken)
    }
}

/// Some 30 ms on purpose.
fn stretch(secret: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, argon2::Error> {
    let params = argon2::Params::new(ARGON2.0, ARGON2.1, 1, Some(KEY_BYTES))?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut out = Zeroizing::new([0; KEY_BYTES]);
    argon2.hash_password_into(secret, salt, out.as_mut_slice())?;
    Ok(out)
}

/// The journal's key in a file `sealed`, for who has the root key, the lock's and the patient's secret: what a test
/// that searches a disk tries.
pub fn open_sealed(file: &[u8], root: &RootKey, lock: &DataKey, secret: &[u8], id: ConsultationId) -> Option<DataKey> {
    unseal(file, lock, &*stretch(secret, root.derived(SALT).secret()).ok()?, id)
}

/// Lets go what is held of patients who did not come back, and ends epochs, for as long as the program runs. `released`
/// is called when something is to be sent.
pub async fn watch(store: Arc<Mutex<Store>>, released: impl Fn()) {
    let mut offset = clock_offset();
    loop {
        let now = clock_offset();
        if now.abs_diff(offset) >= CLOCK_SET_SECONDS {
            let by = now.saturating_sub(offset);
            warn!("the clock was set by {by} s");
            take(&store).clock_was_set(by);
            offset = now;
        }
        match take(&store).release_parked(unix_seconds()) {
            Ok(0) => {}
            Ok(_) => released(),
            Err(refused) => warn!("what is held could not be let go: {refused}"),
        }
        let rotated = take(&store).rotate_some();
        let pause = match rotated {
            Ok(true) => BETWEEN_STEPS,
            Ok(false) => LOOK_EVERY,
            Err(refused) => {
                warn!("an epoch could not be ended: {refused}");
                LOOK_EVERY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// How far the clock of the day is ahead of the one that nobody sets and that counts sleep too, in seconds.
fn clock_offset() -> i64 {
    let mut since_boot = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one `timespec`, which lives here.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut since_boot) };
    unix_seconds().saturating_sub(since_boot.tv_sec)
}

/// The cipher of the lock's key and the patient's secret together.
fn cipher(lock: &DataKey, secret: &[u8; KEY_BYTES]) -> XChaCha20Poly1305 {
    let mut hash = Sha256::new();
    hash.update(b"telecabine outbox parked key 1\0");
    hash.update(lock.secret());
    hash.update(secret);
    let key = Zeroizing::new(<[u8; KEY_BYTES]>::from(hash.finalize()));
    XChaCha20Poly1305::new(key.as_slice().into())
}

fn read_set_since(dir: &Path) -> io::Result<i64> {
    match fs::read(dir.join(SET_SINCE)) {
        Ok(content) => Ok(content.try_into().map_or(0, i64::from_le_bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn aad(id: ConsultationId, until: i64) -> [u8; 32] {
    let mut aad = [0; 32];
    aad[..8].copy_from_slice(MAGIC);
    aad[8..24].copy_from_slice(id.0.as_bytes());
    aad[24..].copy_from_slice(&until.to_le_bytes());
    aad
}

fn seal(
    journal: &DataKey,
    lock: &DataKey,
    secret: &[u8; KEY_BYTES],
    id: ConsultationId,
    until: i64,
) -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    crate::keys::random(&mut nonce);
    let mut plain = Zeroizing::new([0; 16 + KEY_BYTES]);
    plain[..16].copy_from_slice(&journal.id);
    plain[16..].copy_from_slice(journal.secret());
    let payload = Payload { msg: plain.as_slice(), aad: &aad(id, until) };
    let sealed = cipher(lock, secret).encrypt(&nonce.into(), payload);
    let sealed = sealed.map_err(|_| io::Error::other("the cipher refused to seal a key"))?;
    Ok([MAGIC.as_slice(), &until.to_le_bytes(), &nonce, &sealed].concat())
}

fn unseal(file: &[u8], lock: &DataKey, secret: &[u8; KEY_BYTES], id: ConsultationId) -> Option<DataKey> {
    let (until, rest) = split(file)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: &aad(id, until) };
    let plain = Zeroizing::new(cipher(lock, secret).decrypt(nonce.into(), payload).ok()?);
    let (key_id, secret) = plain.split_first_chunk::<16>()?;
    Some(DataKey::new(*key_id, secret.try_into().ok()?))
}

/// Until when, and what is sealed.
fn split(file: &[u8]) -> Option<(i64, &[u8])> {
    if file.len() != SEALED_BYTES {
        return None;
    }
    let (until, rest) = file.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    Some((i64::from_le_bytes(*until), rest))
}

fn read_until(dir: &Path) -> io::Result<Option<i64>> {
    match fs::read(dir.join("sealed")) {
        Ok(file) => Ok(split(&file).map(|(until, _)| until)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the key of a lock can be had: what a check can know of a journal that only its patient opens.
pub(crate) fn check_lock(keyring: &crate::keys::Keyring, dir: &Path, id: ConsultationId) -> Result<(), KeyError> {
    keyring.load(&lock(dir, id)).map(drop)?;
    match fs::read(dir.join("sealed")).map(|file| split(&file).is_some()) {
        Ok(true) => Ok(()),
        _ => Err(KeyError::Damaged { file: dir.join("sealed") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_only_with_its_lock_its_secret_and_its_consultation() {
        let (journal, lock) = (DataKey::fixed(), DataKey::new([9; 16], [1; KEY_BYTES]));
        let id = ConsultationId::random();
        let file = seal(&journal, &lock, &[2; KEY_BYTES], id, 1_790_000_000).unwrap();
        assert_eq!(split(&file).unwrap().0, 1_790_000_000);
        let opened = unseal(&file, &lock, &[2; KEY_BYTES], id).unwrap();
        assert!(opened.id == journal.id && opened.secret() == journal.secret());
        assert!(unseal(&file, &lock, &[3; KEY_BYTES], id).is_none());
        assert!(unseal(&file, &journal, &[2; KEY_BYTES], id).is_none());
        assert!(unseal(&file, &lock, &[2; KEY_BYTES], ConsultationId::random()).is_none());
        for at in 0..file.len() {
            let mut bent = file.clone();
            bent[at] ^= 1;
            assert!(unseal(&bent, &lock, &[2; KEY_BYTES], id).is_none(), "byte {at}");
            assert!(split(&file[..at]).is_none());
        }
    }
}
