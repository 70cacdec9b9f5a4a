//! The proof that a cabin holds the key it enrolled.
//!
//! What is signed names the protocol, the nonce of this connection, the cabin and the desk's origin as the cabin
//! dialled it. So a proof cannot be replayed on another connection, shown by another cabin, or relayed by a desk that
//! pretends to be another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::{CabinId, Text, Unreadable};

/// Bytes of the desk's nonce.
pub const NONCE_BYTES: usize = 32;

/// First bytes of what is signed: no other protocol signs anything that begins so.
const DOMAIN: &[u8] = b"telecabine cabin proof v1\0";

/// The bytes that are signed: the domain, then nonce, cabin and origin, each after its length as u16 little endian.
/// `origin` is `scheme://host[:port]` of the desk, e.g. `https://desk.example`, and at most 256 bytes are used.
pub fn signed_bytes(nonce: &[u8; NONCE_BYTES], cabin: &CabinId, origin: &str) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    let origin = &origin.as_bytes()[..origin.len().min(256)];
    for part in [nonce.as_slice(), cabin.as_str().as_bytes(), origin] {
        // Each part is at most 256 bytes by its type, so the length always fits.
        bytes.extend_from_slice(&(part.len() as u16).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Signs for the `proof` message. `nonce` is the text of the `challenge`.
pub fn sign(key: &SigningKey, nonce: &Text<44>, cabin: &CabinId, origin: &str) -> Result<Text<88>, Unreadable> {
    let signature = key.sign(&signed_bytes(&nonce_bytes(nonce)?, cabin, origin));
    Ok(Text::cut(&STANDARD.encode(signature.to_bytes())))
}

/// Whether `signature` (base64) was made by the cabin that enrolled `key`, for this nonce and this origin.
pub fn verify(
    key: &VerifyingKey,
    nonce: &[u8; NONCE_BYTES],
    cabin: &CabinId,
    origin: &str,
    signature: &Text<88>,
) -> bool {
    let Ok(bytes) = STANDARD.decode(signature.as_str()) else { return false };
    let Ok(bytes) = <[u8; 64]>::try_from(bytes) else { return false };
    key.verify_strict(&signed_bytes(nonce, cabin, origin), &Signature::from_bytes(&bytes)).is_ok()
}

/// The nonce as the text of a `challenge`.
pub fn nonce_text(nonce: &[u8; NONCE_BYTES]) -> Text<44> {
    Text::cut(&STANDARD.encode(nonce))
}

/// The bytes of a nonce's text.
pub fn nonce_bytes(nonce: &Text<44>) -> Result<[u8; NONCE_BYTES], Unreadable> {
    let bytes = STANDARD.decode(nonce.as_str()).map_err(|_| Unreadable::Forbidden("nonce is not base64"))?;
    bytes.try_into().map_err(|_| Unreadable::Forbidden("nonce is not 32 bytes"))
}

/// A public key as the text of an enrolment.
pub fn public_key_text(key: &VerifyingKey) -> Text<44> {
    Text::cut(&STANDARD.encode(key.to_bytes()))
}

/// The key of an enrolment's text; weak keys are refused.
pub fn public_key(text: &Text<44>) -> Result<VerifyingKey, Unreadable> {
    let refused = Unreadable::Forbidden("public key is not a strong Ed25519 key of 32 bytes in base64");
    let bytes = STANDARD.decode(text.as_str()).map_err(|_| refused.clone())?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| refused.clone())?;
    match VerifyingKey::from_bytes(&bytes) {
        Ok(key) if !key.is_weak() => Ok(key),
        _ => Err(refused),
    }
}
