//! Pharmacists' PINs: checked off the screen's thread, because argon2 takes its time on purpose, and wrong ones counted
//! over a restart, so that pulling the plug buys no new tries.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use consult::site::{SignIn, SignInPolicy};
use consult::vitals::Moment;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::settings::PharmacistEntry;

/// Most digits of a PIN: past it the pad takes no more.
pub const PIN_DIGITS_MAX: usize = 12;
/// Name of the file in the data folder: who has tried wrong PINs, how many in a row, and when the last.
const TRIES_FILE: &str = "wrong-pins.json";
/// Longest such file read, bytes: every pharmacist of a configuration with room to spare.
const TRIES_BYTES_MAX: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct WrongTries {
    in_a_row: u32,
    /// Milliseconds since 1970, UTC.
    last_at_ms: i64,
}

/// Whether `pin` is the one whose argon2id hash is `pin_hash` (PHC string). A damaged hash opens to nobody.
pub fn verify(pin: &Zeroizing<String>, pin_hash: &str) -> bool {
    match PasswordHash::new(pin_hash) {
        Ok(hash) => Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok(),
        Err(error) => {
            tracing::error!(%error, "a pharmacist's PIN hash in the configuration is damaged: set the PIN again with cabinctl");
            false
        }
    }
}

/// The wrong tries of each of `pharmacists`, in their order, as the last [`keep_tries`] left them. A file that cannot be
/// read counts from nothing, and the log says so: a cabin that nobody can open helps nobody.
pub fn read_tries(data_dir: &Path, pharmacists: &[PharmacistEntry], now: Moment) -> Vec<SignIn> {
    let path = data_dir.join(TRIES_FILE);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(TRIES_BYTES_MAX).read_to_string(&mut text));
    let kept: BTreeMap<String, WrongTries> = match read {
        Ok(_) => serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::error!(%error, "{} is damaged: wrong PINs are counted anew", path.display());
            BTreeMap::new()
        }),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(%error, "{} cannot be read: wrong PINs are counted anew", path.display());
            }
            BTreeMap::new()
        }
    };
    let policy = SignInPolicy::default();
    pharmacists
        .iter()
        .map(|pharmacist| match kept.get(&pharmacist.id) {
            // A clock that was set back gives the whole wait from now, not from a time that may be years away.
            Some(wrong) => SignIn::restored(policy, wrong.in_a_row, Moment(wrong.last_at_ms).min(now)),
            None => SignIn::new(policy),
        })
        .collect()
}

/// Keeps the wrong tries of `pharmacists`, in their order; when it returns they are on the disk.
///
/// # Errors
/// When the data folder cannot be written; what was kept before is still there.
pub fn keep_tries(data_dir: &Path, pharmacists: &[PharmacistEntry], tries: &[SignIn]) -> io::Result<()> {
    let kept: BTreeMap<&str, WrongTries> = pharmacists
        .iter()
        .zip(tries)
        .map(|(pharmacist, tries)| (pharmacist.id.as_str(), tries.wrong_tries()))
        .filter(|(_, (in_a_row, _))| *in_a_row > 0)
        .map(|(id, (in_a_row, last_at))| (id, WrongTries { in_a_row, last_at_ms: last_at.0 }))
        .collect();
    outbox::disk::create_dir(data_dir)?;
    outbox::disk::write_whole(&data_dir.join(TRIES_FILE), &serde_json::to_vec(&kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("cabin-pins-{}", uuid::Uuid::new_v4().simple())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    fn pharmacists() -> Vec<PharmacistEntry> {
        let entry = |id: &str| PharmacistEntry { id: id.into(), name: id.into(), pin_hash: String::new() };
        vec![entry("claire-durand"), entry("paul-martin")]
    }

    #[test]
    fn a_restart_buys_no_new_tries_and_the_right_pin_ends_the_wait_for_good() {
        let (folder, pharmacists) = (Folder::new(), pharmacists());
        let now = Moment(1_800_000_000_000);
        let mut tries = read_tries(&folder.0, &pharmacists, now);
        for _ in 0..5 {
            tries[0].wrong(now);
        }
        let wait = tries[0].may_try(now).unwrap_err();
        keep_tries(&folder.0, &pharmacists, &tries).unwrap();

        let mut again = read_tries(&folder.0, &pharmacists, Moment(now.0 + 1_000));
        assert_eq!(again[0].may_try(Moment(now.0 + 1_000)), Err(wait));
        assert_eq!(again[1].may_try(now), Ok(()), "the other pharmacist is not punished");
        assert_eq!(again[0].may_try(wait.until), Ok(()));

        again[0].right();
        keep_tries(&folder.0, &pharmacists, &again).unwrap();
        assert_eq!(read_tries(&folder.0, &pharmacists, now)[0].may_try(now), Ok(()));
    }

    #[test]
    fn the_wait_follows_the_pharmacist_when_the_configuration_lists_them_otherwise() {
        let (folder, mut pharmacists) = (Folder::new(), pharmacists());
        let now = Moment(1_800_000_000_000);
        let mut tries = read_tries(&folder.0, &pharmacists, now);
        for _ in 0..5 {
            tries[1].wrong(now);
        }
        keep_tries(&folder.0, &pharmacists, &tries).unwrap();
        pharmacists.remove(0);
        assert!(read_tries(&folder.0, &pharmacists, now)[0].may_try(now).is_err());
    }

    #[test]
    fn a_clock_that_lost_its_time_shuts_nobody_out_for_longer_than_the_wait() {
        let (folder, pharmacists) = (Folder::new(), pharmacists());
        let now = Moment(1_800_000_000_000);
        let mut tries = read_tries(&folder.0, &pharmacists, now);
        for _ in 0..50 {
            tries[0].wrong(now);
        }
        keep_tries(&folder.0, &pharmacists, &tries).unwrap();
        let back = Moment(1_000_000);
        let again = read_tries(&folder.0, &pharmacists, back);
        let wait = again[0].may_try(back).unwrap_err();
        assert_eq!(wait.until.millis_since(back), SignInPolicy::default().wait_ms_max);
        assert_eq!(again[0].may_try(wait.until), Ok(()));
    }

    #[test]
    fn a_damaged_file_shuts_nobody_out() {
        let (folder, pharmacists) = (Folder::new(), pharmacists());
        std::fs::create_dir_all(&folder.0).unwrap();
        for damaged in [&b"{"[..], b"[1]", b"\xff\xfe", b"{\"claire-durand\":{\"in_a_row\":-1,\"last_at_ms\":0}}"] {
            std::fs::write(folder.0.join(TRIES_FILE), damaged).unwrap();
            let tries = read_tries(&folder.0, &pharmacists, Moment(0));
            assert!(tries.iter().all(|tries| tries.may_try(Moment(0)).is_ok()), "{damaged:?}");
        }
    }
}
