//! Cabins enrolled at this desk: one-time codes, keys, upload tokens, revocation. Secrets are kept as digests.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use signal::enrol::Site;
use signal::{CabinId, RefusalCode, Text, proof};
use subtle::ConstantTimeEq as _;

use crate::shelf::Shelf;

/// Characters of a one-time code, of an alphabet without look-alikes (5 bits each: 80 bits).
const CODE_CHARS: usize = 16;
const CODE_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// How long a one-time code can be used, seconds.
pub const INVITE_LIFETIME_S: u64 = 7 * 24 * 3600;
/// Most invitations open at once; above, the oldest is dropped.
const INVITES_MAX: usize = 1000;

#[derive(Default, Serialize, Deserialize)]
struct Register {
    invites: BTreeMap<String, Invite>,
    cabins: BTreeMap<CabinId, Cabin>,
}

#[derive(Serialize, Deserialize)]
struct Invite {
    name: Text<128>,
    expires_s: u64,
}

/// One enrolled cabin.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cabin {
    /// Name given by the desk's technician.
    pub name: Text<128>,
    /// Where it stands.
    pub site: Site,
    /// Its Ed25519 public key, base64.
    public_key: Text<44>,
    /// SHA-256 of its upload token, hexadecimal.
    upload_token: String,
    /// Digest of the code that it joined with.
    #[serde(default)]
    code: String,
    /// Revoked: refused from then on.
    pub revoked: bool,
    /// When it joined, seconds since 1970.
    pub enrolled_s: u64,
}

impl Cabin {
    /// The key to check proofs with.
    pub fn key(&self) -> Option<VerifyingKey> {
        proof::public_key(&self.public_key).ok()
    }
}

/// Why a cabin is refused.
#[derive(Debug, thiserror::Error)]
pub enum CabinError {
    /// One-time code.
    #[error("Ce code est faux, expiré ou déjà utilisé : demandez-en un autre au bureau.")]
    Code,
    /// Public key.
    #[error("La clé publique de la cabine n'est pas valable : refaites l'enrôlement.")]
    Key,
    /// Never enrolled.
    #[error("Ce bureau ne connaît pas cette cabine : enrôlez-la avec un code.")]
    Unknown,
    /// Revoked.
    #[error("Cette cabine a été révoquée : enrôlez-la de nouveau avec un code.")]
    Revoked,
    /// The register cannot be read or written.
    #[error("Le registre des cabines ne peut pas être lu : voyez le journal du bureau.")]
    Storage(#[from] io::Error),
}

impl CabinError {
    /// Its code on the wire.
    pub fn code(&self) -> RefusalCode {
        match self {
            CabinError::Code => RefusalCode::BadEnrolment,
            CabinError::Key => RefusalCode::Malformed,
            CabinError::Unknown => RefusalCode::UnknownCabin,
            CabinError::Revoked => RefusalCode::Revoked,
            CabinError::Storage(_) => RefusalCode::Stopping,
        }
    }
}

/// The register's file.
pub struct Cabins {
    shelf: Shelf<Register>,
}

impl Cabins {
    /// The register of a data folder.
    pub fn open(folder: &Path) -> Self {
        Cabins { shelf: Shelf::new(folder, "cabins.json") }
    }

    /// A fresh one-time code for a cabin to be called `name`.
    pub fn invite(&self, name: &str, now_s: u64) -> io::Result<String> {
        let random: [u8; CODE_CHARS] = rand::random();
        let code: String = random.iter().map(|byte| char::from(CODE_ALPHABET[usize::from(byte & 31)])).collect();
        let invite = Invite { name: Text::cut(name), expires_s: now_s + INVITE_LIFETIME_S };
        self.shelf.change(|register| {
            register.invites.retain(|_, invite| invite.expires_s > now_s);
            while register.invites.len() >= INVITES_MAX {
                register.invites.pop_first();
            }
            register.invites.insert(digest(&code), invite);
            Ok::<_, io::Error>(())
        })?;
        Ok(code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-"))
    }

    /// Uses up a code and enrols; gives the cabin's name at the desk and its upload token. The same cabin (by its key) is
    /// answered again while the code could have been used: the line may have cut the first answer. Its token is a new one.
    pub fn enrol(&self, request: &signal::enrol::Request, now_s: u64) -> Result<(CabinId, Text<128>), CabinError> {
        proof::public_key(&request.public_key).map_err(|_| CabinError::Key)?;
        let code: String = request.code.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
        let token = format!("u1.{}", token());
        // 40 random bits beside the name would do; 64 make a clash impossible in practice.
        let id = CabinId::new(format!("cabin-{:016x}", rand::random::<u64>())).map_err(|_| CabinError::Unknown)?;
        let id = self.shelf.change(|register| {
            // The digest is looked up, not compared byte by byte: its timing tells nothing about the code.
            let code = digest(&code.to_ascii_uppercase());
            let Some(invite) = register.invites.remove(&code) else {
                let again = register.cabins.iter_mut().find(|(_, cabin)| {
                    let is_same = cabin.code == code && cabin.public_key == request.public_key && !cabin.revoked;
                    is_same && now_s.saturating_sub(cabin.enrolled_s) < INVITE_LIFETIME_S
                });
                let (id, cabin) = again.ok_or(CabinError::Code)?;
                cabin.upload_token = digest(&token);
                return Ok(id.clone());
            };
            if invite.expires_s <= now_s {
                return Err(CabinError::Code);
            }
            let cabin = Cabin {
                name: invite.name,
                site: request.site.clone(),
                public_key: request.public_key.clone(),
                upload_token: digest(&token),
                code,
                revoked: false,
                enrolled_s: now_s,
            };
            register.cabins.insert(id.clone(), cabin);
            Ok(id)
        })?;
        Ok((id, Text::cut(&token)))
    }

    /// The cabin, unless unknown or revoked.
    pub fn get(&self, id: &CabinId) -> Result<Cabin, CabinError> {
        match self.shelf.read()?.cabins.remove(id) {
            None => Err(CabinError::Unknown),
            Some(cabin) if cabin.revoked => Err(CabinError::Revoked),
            Some(cabin) => Ok(cabin),
        }
    }

    /// The cabin to which an upload token belongs.
    pub fn by_upload_token(&self, token: &str) -> Result<CabinId, CabinError> {
        let wanted = digest(token);
        let mut found = Err(CabinError::Unknown);
        for (id, cabin) in self.shelf.read()?.cabins {
            if bool::from(cabin.upload_token.as_bytes().ct_eq(wanted.as_bytes())) {
                found = if cabin.revoked { Err(CabinError::Revoked) } else { Ok(id) };
            }
        }
        found
    }

    /// Revokes; false when there is no such cabin.
    pub fn revoke(&self, id: &str) -> io::Result<bool> {
        self.shelf.change(|register| {
            let found = register.cabins.iter_mut().find(|(cabin, _)| cabin.as_str() == id);
            Ok(found.map(|(_, cabin)| cabin.revoked = true).is_some())
        })
    }

    /// Every cabin, revoked ones too.
    pub fn list(&self) -> io::Result<Vec<(CabinId, Cabin)>> {
        Ok(self.shelf.read()?.cabins.into_iter().collect())
    }
}

/// 256 random bits as hexadecimal digits.
pub fn token() -> String {
    rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in hexadecimal: enough for secrets of 80 random bits and more, which cannot be guessed through it.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
