//! Physicians' accounts: password (argon2id) and authenticator code, and a wait that grows after wrong tries.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use serde::{Deserialize, Serialize};
use signal::call::{FEE_CENTS_MAX, Physician, SHOWN_CHARS_MAX};
use signal::{Text, second_opinion};

use crate::shelf::Shelf;
use crate::totp;

/// Wrong tries before the wait begins.
const FREE_TRIES: u32 = 3;
/// Longest wait after a wrong try.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Addresses and accounts whose wrong tries are remembered; the oldest is forgotten above.
const REMEMBERED_MAX: usize = 10_000;
/// Shortest password accepted at creation, characters.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// One physician's account, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct Account {
    /// Who, as patients see it.
    pub physician: Physician,
    /// argon2id hash; absent when the physician signs in by the OpenID Connect issuer only.
    password: Option<String>,
    /// Authenticator secret, base32.
    totp: Option<String>,
    /// Last time step used: a code is for once.
    #[serde(default)]
    last_step: u64,
    /// Codes of the specialties whose second opinions this physician answers (`signal::second_opinion::SPECIALTIES`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    specialties: Vec<String>,
    /// Where this physician practises, for whoever reads what they ask.
    #[serde(default)]
    practice: Practice,
}

/// Where a physician practises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Practice {
    /// On their own account, as an account is made.
    #[default]
    Liberal,
    /// In a structure.
    Structure {
        /// Its FINESS number, 9 characters.
        finess: String,
        /// Its name.
        name: String,
    },
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Account, password or code is wrong; which one is not said.
    #[error("Compte, mot de passe ou code faux.")]
    Wrong,
    /// Too many wrong tries.
    #[error("Trop d'essais : attendez {0} secondes.")]
    Wait(u32),
    /// The accounts cannot be read or written.
    #[error("Les comptes ne peuvent pas être lus : voyez le journal du bureau.")]
    Storage(#[from] io::Error),
}

/// Why an account cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Name outside `a-z0-9._-`, or taken.
    #[error("account name {0:?}: 1 to 64 of a-z 0-9 . _ - and not used yet")]
    Name(String),
    /// Too short.
    #[error("the password has fewer than {PASSWORD_CHARS_MIN} characters")]
    Password,
    /// What every patient reads before accepting a physician.
    #[error("--{0} is missing: patients read it before they accept the physician")]
    Shown(&'static str),
    /// Longer than a cabin shows.
    #[error("--{0} has more than {SHOWN_CHARS_MAX} characters")]
    Long(&'static str),
    /// Above what a cabin shows.
    #[error("the fee is above {FEE_CENTS_MAX} cents")]
    Fee,
    /// Not 11 digits with the right key.
    #[error("an RPPS number has 11 digits, the last one a key")]
    Rpps,
    /// See the error.
    #[error(transparent)]
    Storage(#[from] io::Error),
    /// Not one of the specialties that may be asked.
    #[error("there is no specialty {0:?}: one of {known}", known = known_specialties())]
    Specialty(String),
    /// Not a FINESS number and a name.
    #[error("a structure has a FINESS number of 9 letters and digits, and a name")]
    Structure,
    /// There is no such account.
    #[error("there is no account {0}")]
    Unknown(String),
    /// Argon2 refused its input.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// What to give to the physician, once.
pub struct Added {
    /// Base32 secret for the authenticator.
    pub secret: String,
    /// The same as a link.
    pub otpauth: String,
}

/// The accounts' file and the wrong tries.
pub struct Accounts {
    shelf: Shelf<BTreeMap<String, Account>>,
    tries: Mutex<HashMap<String, Tries>>,
    /// Verified when there is no such account, so that the answer takes as long.
    decoy: String,
}

struct Tries {
    wrong: u32,
    until: Instant,
}

impl Accounts {
    /// The accounts of a data folder.
    pub fn open(folder: &Path) -> Self {
        let decoy = hash("decoy password, never valid").unwrap_or_default();
        Accounts { shelf: Shelf::new(folder, "accounts.json"), tries: Mutex::default(), decoy }
    }

    /// Adds an account with a fresh authenticator secret, or the one given (for tests and re-installation).
    pub fn add(
        &self,
        name: &str,
        password: &str,
        physician: Physician,
        secret: Option<Vec<u8>>,
    ) -> Result<Added, AddError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(AddError::Name(name.into()));
        }
        if password.chars().count() < PASSWORD_CHARS_MIN {
            return Err(AddError::Password);
        }
        can_be_shown(&physician)?;
        let password = hash(password).map_err(AddError::Hash)?;
        let secret = totp::base32(&secret.unwrap_or_else(|| rand::random::<[u8; totp::SECRET_BYTES]>().to_vec()));
        let account = Account {
            physician,
            password: Some(password),
            totp: Some(secret.clone()),
            last_step: 0,
            specialties: Vec::new(),
            practice: Practice::default(),
        };
        self.shelf.change(|accounts| match accounts.contains_key(name) {
            true => Err(AddError::Name(name.into())),
            false => Ok(accounts.insert(name.to_owned(), account)),
        })?;
        let otpauth = format!("otpauth://totp/telecabine:{name}?secret={secret}&issuer=telecabine");
        Ok(Added { secret, otpauth })
    }

    /// Adds an account that signs in by the OpenID Connect issuer: `name` is the value of its account claim.
    pub fn add_federated(&self, name: &str, physician: Physician) -> Result<(), AddError> {
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AddError::Name(name.into()));
        }
        can_be_shown(&physician)?;
        let account = Account {
            physician,
            password: None,
            totp: None,
            last_step: 0,
            specialties: Vec::new(),
            practice: Practice::default(),
        };
        self.shelf.change(|accounts| match accounts.contains_key(name) {
            true => Err(AddError::Name(name.into())),
            false => Ok(accounts.insert(name.to_owned(), account)),
        })?;
        Ok(())
    }

    /// Changes what patients read of a physician; password, authenticator, specialties and practice stay.
    ///
    /// # Errors
    /// There is no such account, a cabin could not show it, or the disk.
    pub fn change(&self, name: &str, physician: Physician) -> Result<(), AddError> {
        can_be_shown(&physician)?;
        self.shelf.change(|accounts| match accounts.get_mut(name) {
            None => Err(AddError::Unknown(name.into())),
            Some(account) => {
                account.physician = physician;
                Ok(())
            }
        })
    }

    /// Removes an account; false when there was none.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        self.shelf.change(|accounts| Ok(accounts.remove(name).is_some()))
    }

    /// Names and physicians.
    pub fn list(&self) -> io::Result<Vec<(String, Physician)>> {
        Ok(self.shelf.read()?.into_iter().map(|(name, account)| (name, account.physician)).collect())
    }

    /// The physician of an account that exists now.
    pub fn physician(&self, name: &str) -> io::Result<Option<Physician>> {
        Ok(self.shelf.read()?.remove(name).map(|account| account.physician))
    }

    /// The physician of an account that exists now, with the specialties whose second opinions they answer.
    pub fn specialist(&self, name: &str) -> io::Result<Option<(Physician, Vec<String>)>> {
        Ok(self.shelf.read()?.remove(name).map(|account| (account.physician, account.specialties)))
    }

    /// Sets the specialties whose second opinions an account answers; none: it answers none.
    pub fn set_specialties(&self, name: &str, specialties: &[&str]) -> Result<(), AddError> {
        if let Some(unknown) = specialties.iter().find(|code| second_opinion::specialty(code).is_none()) {
            return Err(AddError::Specialty((*unknown).to_owned()));
        }
        self.shelf.change(|accounts| match accounts.get_mut(name) {
            None => Err(AddError::Unknown(name.into())),
            Some(account) => {
                account.specialties = specialties.iter().map(|code| (*code).to_owned()).collect();
                Ok(())
            }
        })
    }

    /// The physician of an account that exists now, with where they practise.
    pub fn practitioner(&self, name: &str) -> io::Result<Option<(Physician, Practice)>> {
        Ok(self.shelf.read()?.remove(name).map(|account| (account.physician, account.practice)))
    }

    /// Sets where the physician of an account practises.
    pub fn set_practice(&self, name: &str, practice: Practice) -> Result<(), AddError> {
        if let Practice::Structure { finess, name } = &practice
            && (finess.len() != 9 || !finess.bytes().all(|b| b.is_ascii_alphanumeric()) || name.trim().is_empty())
        {
            return Err(AddError::Structure);
        }
        self.shelf.change(|accounts| match accounts.get_mut(name) {
            None => Err(AddError::Unknown(name.into())),
            Some(account) => {
                account.practice = practice;
                Ok(())
            }
        })
    }

    /// Checks password and code. Slow by design (argon2): call it where blocking is allowed.
    pub fn sign_in(
        &self,
        name: &str,
        password: &str,
        code: &str,
        from: IpAddr,
        now: Instant,
        now_s: u64,
    ) -> Result<Physician, SignInError> {
        let keys = [format!("account {name}"), format!("address {from}")];
        // The wrong try is counted before the slow check, so that tries sent together do not all pass.
        self.begin_try(&keys, now)?;
        let account = self.shelf.read()?.remove(name);
        let stored = account.as_ref().and_then(|account| account.password.as_deref()).unwrap_or(&self.decoy);
        let right = PasswordHash::new(stored)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        let secret = account.as_ref().and_then(|account| account.totp.as_deref()).and_then(totp::from_base32);
        let step = totp::step_of(&secret.unwrap_or_else(|| vec![0; totp::SECRET_BYTES]), code, now_s);
        let (Some(account), true, Some(step)) = (account, right, step) else { return Err(SignInError::Wrong) };
        self.shelf.change(|accounts| match accounts.get_mut(name) {
            Some(stored) if stored.last_step < step => {
                stored.last_step = step;
                Ok(())
            }
            _ => Err(SignInError::Wrong),
        })?;
        let mut tries = self.tries.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for key in &keys {
            tries.remove(key);
        }
        Ok(account.physician)
    }

    fn begin_try(&self, keys: &[String; 2], now: Instant) -> Result<(), SignInError> {
        let mut tries = self.tries.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for key in keys {
            if let Some(until) = tries.get(key).map(|tries| tries.until)
                && until > now
            {
                return Err(SignInError::Wait((until - now).as_secs() as u32 + 1));
            }
        }
        for key in keys {
            if tries.len() >= REMEMBERED_MAX
                && let Some(oldest) = tries.iter().min_by_key(|(_, tries)| tries.until).map(|(key, _)| key.clone())
            {
                tries.remove(&oldest);
            }
            let entry = tries.entry(key.clone()).or_insert(Tries { wrong: 0, until: now });
            entry.wrong += 1;
            let doublings = entry.wrong.saturating_sub(FREE_TRIES).min(12);
            let wait = if doublings == 0 { Duration::ZERO } else { Duration::from_secs(1 << doublings).min(WAIT_MAX) };
            entry.until = now + wait;
        }
        Ok(())
    }
}

fn hash(password: &str) -> Result<String, String> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(|error| error.to_string())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|error| error.to_string())?.to_string())
}

/// Refuses a physician whom every cabin would decline: a patient could not read who it is.
fn can_be_shown(physician: &Physician) -> Result<(), AddError> {
    let read = [("name", &physician.name), ("speciality", &physician.speciality), ("town", &physician.town)];
    if let Some((missing, _)) = read.iter().find(|(_, text)| text.as_str().trim().is_empty()) {
        return Err(AddError::Shown(missing));
    }
    if let Some((long, _)) = read.iter().find(|(_, text)| text.as_str().trim().chars().count() > SHOWN_CHARS_MAX) {
        return Err(AddError::Long(long));
    }
    if physician.fee_cents > FEE_CENTS_MAX {
        return Err(AddError::Fee);
    }
    if !is_rpps(physician.rpps.as_str()) {
        return Err(AddError::Rpps);
    }
    Ok(())
}

fn known_specialties() -> String {
    second_opinion::SPECIALTIES.iter().map(|specialty| specialty.code).collect::<Vec<_>>().join(", ")
}

/// Eleven digits of which the last is a Luhn key.
pub fn is_rpps(number: &str) -> bool {
    let digits = number.bytes().rev().enumerate().map(|(place, digit)| {
        let digit = u32::from(digit.wrapping_sub(b'0'));
        if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
    });
    number.len() == 11 && number.bytes().all(|b| b.is_ascii_digit()) && digits.sum::<u32>() % 10 == 0
}

/// A physician from the words of a command line; text too long for the protocol is cut.
pub fn physician(name: &str, speciality: &str, rpps: &str, town: &str, fee_cents: u32, fee_text: &str) -> Physician {
    Physician {
        name: Text::cut(name),
        speciality: Text::cut(speciality),
        rpps: Text::cut(rpps),
        town: Text::cut(town),
        fee_cents,
        fee_text: Text::cut(fee_text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";
    const NOW_S: u64 = 1_795_310_000;

    fn accounts(folder: &Path) -> (Accounts, Vec<u8>) {
        let accounts = Accounts::open(folder);
        let physician = physician("Dr Claire Morel", "Médecine générale", "10001234565", "Chartres", 3000, "30 €");
        let added = accounts.add("claire", PASSWORD, physician, None).expect("added");
        (accounts, totp::from_base32(&added.secret).expect("base32"))
    }

    fn here() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[test]
    fn password_and_code_together_sign_in_and_the_same_code_never_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (accounts, secret) = accounts(folder.path());
        let now = Instant::now();
        let code = totp::code(&secret, NOW_S);
        assert!(accounts.sign_in("claire", PASSWORD, &code, here(), now, NOW_S).is_ok());
        assert!(matches!(accounts.sign_in("claire", PASSWORD, &code, here(), now, NOW_S), Err(SignInError::Wrong)));
        let next = totp::code(&secret, NOW_S + 30);
        assert!(accounts.sign_in("claire", "wrong password", &next, here(), now, NOW_S + 30).is_err());
        assert!(accounts.sign_in("nobody", PASSWORD, &next, here(), now, NOW_S + 30).is_err());
        let stored = std::fs::read_to_string(folder.path().join("accounts.json")).unwrap();
        assert!(stored.contains("$argon2id$") && !stored.contains(PASSWORD));
    }

    #[test]
    fn an_account_that_no_cabin_could_show_to_a_patient_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path());
        let add = |name: &str, speciality: &str, rpps: &str, town: &str, fee_cents: u32| {
            let physician = physician(name, speciality, rpps, town, fee_cents, "");
            let local = accounts.add("a", PASSWORD, physician.clone(), None).err().map(|error| error.to_string());
            let federated = accounts.add_federated("a", physician).err().map(|error| error.to_string());
            assert_eq!(local, federated);
            local.expect("refused")
        };
        let rpps = "10001234565";
        assert!(add(" ", "Médecine générale", rpps, "Chartres", 3000).starts_with("--name is missing"));
        assert!(add("Dr A", "", rpps, "Chartres", 3000).starts_with("--speciality is missing"));
        assert!(add("Dr A", "Médecine générale", rpps, "", 3000).starts_with("--town is missing"));
        assert!(add("Dr A", "Médecine générale", "10001234566", "Chartres", 3000).contains("RPPS"));
        assert!(add("Dr A", "Médecine générale", rpps, "Chartres", FEE_CENTS_MAX + 1).contains("fee"));
        assert!(
            add(&"e".repeat(121), "Médecine générale", rpps, "Chartres", 3000).ends_with("more than 120 characters")
        );
        assert_eq!(accounts.list().unwrap().len(), 0);

        let (accounts, secret) = self::accounts(folder.path());
        let moved = physician("Dr Claire Morel", "Médecine générale", rpps, "Tours", 3000, "30 €");
        accounts.change("claire", moved.clone()).expect("changed");
        assert!(accounts.change("claire", physician("", "", rpps, "", 0, "")).is_err());
        assert!(matches!(accounts.change("nobody", moved.clone()), Err(AddError::Unknown(_))));
        assert_eq!(accounts.physician("claire").unwrap(), Some(moved));
        let code = totp::code(&secret, NOW_S);
        assert!(accounts.sign_in("claire", PASSWORD, &code, here(), Instant::now(), NOW_S).is_ok());
    }

    #[test]
    fn the_wait_grows_after_wrong_tries_by_account_and_by_address_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (accounts, secret) = accounts(folder.path());
        let mut now = Instant::now();
        let mut waits = Vec::new();
        while waits.len() < 3 {
            match accounts.sign_in("claire", "wrong", "000000", here(), now, NOW_S) {
                Err(SignInError::Wait(seconds)) => {
                    waits.push(seconds);
                    now += Duration::from_secs(seconds.into());
                }
                Err(SignInError::Wrong) => {}
                _ => panic!("never signed in"),
            }
        }
        assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
        let elsewhere = IpAddr::from([192, 0, 2, 7]);
        let code = totp::code(&secret, NOW_S);
        let _ = accounts.sign_in("claire", "wrong", "000000", here(), now, NOW_S);
        assert!(matches!(
            accounts.sign_in("claire", PASSWORD, &code, elsewhere, now, NOW_S),
            Err(SignInError::Wait(_))
        ));
        assert!(matches!(accounts.sign_in("other", PASSWORD, &code, here(), now, NOW_S), Err(SignInError::Wait(_))));
        now += WAIT_MAX;
        assert!(accounts.sign_in("claire", PASSWORD, &code, here(), now, NOW_S).is_ok());
    }

    #[test]
    fn an_rpps_number_with_a_wrong_key_is_refused() {
        assert!(is_rpps("10001234565"));
        assert!(!is_rpps("10001234567") && !is_rpps("1000123456") && !is_rpps("1000123456a"));
    }
}
