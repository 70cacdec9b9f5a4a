//! How this cabin joined its desk: the key pair made here, the one-time code, and what the desk gave back.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use signal::{CabinId, ENROL_PATH, Text, VERSION, enrol, proof};
use zeroize::Zeroizing;

/// Name of the file in the data folder. It holds the secret key: mode 0600.
const FILE: &str = "identity.json";
/// Name of the file with the token for the upload of records, for a `cabin-outbox` of the same account: mode 0600.
pub const UPLOAD_TOKEN_FILE: &str = "upload-token";

/// Longest wait for the desk to answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Who this cabin is at its desk.
#[derive(Clone)]
pub struct Identity {
    /// Proves the cabin; never leaves it.
    pub key: SigningKey,
    /// Name given by the desk.
    pub cabin_id: CabinId,
    /// Scheme, host and port of the desk, as signed in each proof.
    pub origin: String,
    /// Where the desk says that records are stored.
    pub fhir_url: String,
    /// The address by which it was joined; the origin, before that was kept.
    pub desk_url: String,
    /// Opens `fhir_url` to the outbox; empty before that was kept.
    pub upload_token: Zeroizing<String>,
    /// Digest of the code that it joined with; empty before that was kept.
    pub code_digest: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    cabin_id: CabinId,
    origin: String,
    fhir_url: String,
    #[serde(default)]
    desk_url: Option<String>,
    #[serde(default)]
    upload_token: String,
    #[serde(default)]
    code_digest: String,
}

/// Why a desk was not joined.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// By what the desk says: only a person can change that.
    #[error("the desk refuses: {0}")]
    Refused(String),
    /// By what is between.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Identity {
    /// Reads the identity from the data folder; `None` when the cabin was never enrolled.
    pub fn load(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let stored: Stored =
            serde_json::from_str(&text).with_context(|| format!("{}: enrol this cabin again", path.display()))?;
        let key = secret_key(&stored.key)
            .with_context(|| format!("{}: the key is damaged, enrol this cabin again", path.display()))?;
        Ok(Some(Self {
            key,
            cabin_id: stored.cabin_id,
            desk_url: stored.desk_url.unwrap_or_else(|| stored.origin.clone()),
            origin: stored.origin,
            fhir_url: stored.fhir_url,
            upload_token: Zeroizing::new(stored.upload_token),
            code_digest: stored.code_digest,
        }))
    }

    /// Whether it is the one at the desk of that address. At another desk this cabin is nobody.
    pub fn is_of(&self, desk_url: &str) -> bool {
        let origin = |url: &str| reqwest::Url::parse(url).map(|url| url.origin()).ok();
        let wanted = origin(desk_url);
        wanted.is_some() && [&self.origin, &self.desk_url].into_iter().any(|url| origin(url) == wanted)
    }

    /// Whether the cabin joined with this code.
    pub fn is_by(&self, code: &str) -> bool {
        self.code_digest == digest(code)
    }

    /// Keeps it in the data folder, and destroys the one that was there.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn save(&self, data_dir: &Path) -> anyhow::Result<()> {
        let stored = Stored {
            key: secret_key_text(&self.key),
            cabin_id: self.cabin_id.clone(),
            origin: self.origin.clone(),
            fhir_url: self.fhir_url.clone(),
            desk_url: Some(self.desk_url.clone()),
            upload_token: self.upload_token.to_string(),
            code_digest: self.code_digest.clone(),
        };
        fs::create_dir_all(data_dir)?;
        write_secret(&data_dir.join(FILE), serde_json::to_string_pretty(&stored)?.as_bytes())
    }
}

/// An Ed25519 secret key as text: 44 characters of base64.
pub fn secret_key_text(key: &SigningKey) -> String {
    STANDARD.encode(key.to_bytes())
}

/// The opposite of [`secret_key_text`].
pub fn secret_key(text: &str) -> Option<SigningKey> {
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(SigningKey::from_bytes(&bytes))
}

/// What is kept of a code that was used.
fn digest(code: &str) -> String {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    STANDARD.encode(sha2::Sha256::digest(code.to_ascii_uppercase()))
}

/// Joins the desk at `desk_url` with a one-time `code`. Nothing is kept: see [`Identity::save`]. With the same key it may be
/// repeated after an answer was lost.
///
/// # Errors
/// The desk's own words when it refuses (code wrong, used or expired), or what is wrong with the line.
pub async fn enrol(
    desk_url: &str,
    tls: Arc<rustls::ClientConfig>,
    site: enrol::Site,
    code: &str,
    key: SigningKey,
) -> Result<Identity, EnrolError> {
    let request = enrol::Request {
        version: VERSION,
        code: Text::new(code.trim()).context("the code is too long: type it as the desk printed it")?,
        public_key: proof::public_key_text(&key.verifying_key()),
        site,
    };
    let client = reqwest::Client::builder().tls_backend_preconfigured((*tls).clone()).timeout(ANSWER_MAX);
    let client = client.build().context("the HTTP client")?;
    let url = format!("{}{ENROL_PATH}", desk_url.trim_end_matches('/'));
    let answer = client
        .post(&url)
        .header("content-type", "application/json")
        .body(request.write())
        .send()
        .await
        .with_context(|| format!("the desk at {desk_url} cannot be reached"))?;
    let accepted = answer.status().is_success();
    let text = answer.text().await.context("the line broke")?;
    if !accepted {
        let refused = enrol::Refused::read(&text);
        let refused = refused.with_context(|| format!("{desk_url} does not answer as a desk: check the address"))?;
        return Err(EnrolError::Refused(refused.reason.as_str().to_owned()));
    }
    let accepted = enrol::Accepted::read(&text).with_context(|| format!("{desk_url} does not answer as a desk"))?;
    Ok(Identity {
        key,
        cabin_id: accepted.cabin_id,
        origin: accepted.origin.as_str().to_owned(),
        fhir_url: accepted.fhir_url.as_str().to_owned(),
        desk_url: desk_url.to_owned(),
        upload_token: Zeroizing::new(accepted.upload_token.as_str().to_owned()),
        code_digest: digest(code),
    })
}

/// Writes the upload token where an outbox of the same account may be told to read it.
///
/// # Errors
/// The file cannot be written.
pub fn keep_upload_token(identity: &Identity, data_dir: &Path) -> anyhow::Result<()> {
    write_secret(&data_dir.join(UPLOAD_TOKEN_FILE), identity.upload_token.as_bytes())
}

/// Destroys the token file of a former desk: the outbox that still has that desk's settings must not be given another's.
///
/// # Errors
/// The file is there and cannot be overwritten.
pub fn destroy_upload_token(data_dir: &Path) -> std::io::Result<()> {
    let path = data_dir.join(UPLOAD_TOKEN_FILE);
    match fs::OpenOptions::new().write(true).open(&path) {
        Ok(file) => overwrite(file)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::remove_file(path)
}

fn overwrite(mut file: fs::File) -> std::io::Result<()> {
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut std::io::repeat(0).take(bytes), &mut file)?;
    file.sync_all()
}

/// Writes beside and renames; what was there before is overwritten on the disk once the new file stands in its place.
fn write_secret(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let former = fs::OpenOptions::new().write(true).open(path).ok();
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path).with_context(|| format!("{} cannot be written", path.display()))?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(former.map_or(Ok(()), overwrite)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(origin: &str, desk_url: &str) -> Identity {
        Identity {
            key: SigningKey::from_bytes(&[7; 32]),
            cabin_id: CabinId::new("cabin-1").unwrap(),
            origin: origin.into(),
            fhir_url: format!("{origin}/fhir"),
            desk_url: desk_url.into(),
            upload_token: Zeroizing::new("u1.token".into()),
            code_digest: digest("K7QM-2FXD"),
        }
    }

    #[test]
    fn an_identity_is_of_the_desk_that_gave_it_however_its_address_is_written_and_of_no_other() {
        let known = identity("https://desk.example", "https://10.0.0.2:8443/");
        for same in ["https://desk.example/", "HTTPS://Desk.example:443", "https://10.0.0.2:8443"] {
            assert!(known.is_of(same), "{same}");
        }
        for other in ["https://desk.next.example", "http://desk.example", "https://desk.example:8443", "", "desk"] {
            assert!(!known.is_of(other), "{other}");
        }
        assert!(known.is_by("k7qm 2fxd") && !known.is_by("K7QM-2FXE"));
    }

    #[test]
    fn the_former_identity_is_overwritten_and_one_of_an_earlier_release_is_read() {
        let folder = std::env::temp_dir().join(format!("cabin-identity-{}", uuid::Uuid::new_v4()));
        identity("https://first.example", "https://first.example").save(&folder).unwrap();
        // Another name of the same bytes on the disk.
        let seen = folder.join("seen");
        fs::hard_link(folder.join(FILE), &seen).unwrap();
        identity("https://next.example", "https://next.example").save(&folder).unwrap();
        assert!(fs::read(&seen).unwrap().iter().all(|byte| *byte == 0));
        assert_eq!(Identity::load(&folder).unwrap().unwrap().origin, "https://next.example");
        let key = secret_key_text(&SigningKey::from_bytes(&[7; 32]));
        let text = format!(
            "{{\"key\": \"{key}\", \"cabin_id\": \"cabin-1\", \"origin\": \"https://d.example\", \
             \"fhir_url\": \"https://d.example/fhir\"}}"
        );
        fs::write(folder.join(FILE), text).unwrap();
        let known = Identity::load(&folder).unwrap().unwrap();
        assert!(known.is_of("https://d.example") && known.upload_token.is_empty() && !known.is_by(""));
        fs::remove_dir_all(&folder).unwrap();
    }
}
