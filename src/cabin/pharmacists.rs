//! Checking a pharmacist's PIN, off the screen's thread: argon2 takes its time on purpose.

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use zeroize::Zeroizing;

/// Most digits of a PIN: past it the pad takes no more.
pub const PIN_DIGITS_MAX: usize = 12;

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
