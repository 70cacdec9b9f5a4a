//! How this cabin joined its desk: the key pair made here, the one-time code, and what the desk gave back.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use signal::{CabinId, ENROL_PATH, Text, VERSION, enrol, proof};

/// Name of the file in the data folder. It holds the secret key: mode 0600.
const FILE: &str = "identity.json";
/// Name of the file with the token for the upload of records, read by `cabin-outbox`: mode 0600.
pub const UPLOAD_TOKEN_FILE: &str = "upload-token";

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
}

#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    cabin_id: CabinId,
    origin: String,
    fhir_url: String,
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
        let bytes: [u8; 32] = STANDARD
            .decode(stored.key)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .with_context(|| format!("{}: the key is damaged, enrol this cabin again", path.display()))?;
        Ok(Some(Self {
            key: SigningKey::from_bytes(&bytes),
            cabin_id: stored.cabin_id,
            origin: stored.origin,
            fhir_url: stored.fhir_url,
        }))
    }

    fn save(&self, data_dir: &Path) -> anyhow::Result<()> {
        let stored = Stored {
            key: STANDARD.encode(self.key.to_bytes()),
            cabin_id: self.cabin_id.clone(),
            origin: self.origin.clone(),
            fhir_url: self.fhir_url.clone(),
        };
        write_secret(&data_dir.join(FILE), serde_json::to_string_pretty(&stored)?.as_bytes())
    }
}

/// Joins the desk at `desk_url` with a one-time `code`; keeps the identity in `data_dir`.
///
/// # Errors
/// The desk's own words when it refuses (code wrong, used or expired), or what is wrong with the line.
pub async fn enrol(
    desk_url: &str,
    tls: Arc<rustls::ClientConfig>,
    site: enrol::Site,
    code: &str,
    data_dir: &Path,
) -> anyhow::Result<Identity> {
    let key = SigningKey::from_bytes(&rand::random());
    let request = enrol::Request {
        version: VERSION,
        code: Text::new(code.trim()).context("the code is too long: type it as the desk printed it")?,
        public_key: proof::public_key_text(&key.verifying_key()),
        site,
    };
    let client = reqwest::Client::builder().tls_backend_preconfigured((*tls).clone()).build()?;
    let url = format!("{}{ENROL_PATH}", desk_url.trim_end_matches('/'));
    let answer = client
        .post(&url)
        .header("content-type", "application/json")
        .body(request.write())
        .send()
        .await
        .with_context(|| format!("the desk at {desk_url} cannot be reached"))?;
    let accepted = answer.status().is_success();
    let text = answer.text().await?;
    if !accepted {
        match enrol::Refused::read(&text) {
            Ok(refused) => bail!("the desk refuses: {}", refused.reason.as_str()),
            Err(_) => bail!("{desk_url} does not answer as a desk: check the address"),
        }
    }
    let accepted = enrol::Accepted::read(&text).with_context(|| format!("{desk_url} does not answer as a desk"))?;
    let identity = Identity {
        key,
        cabin_id: accepted.cabin_id,
        origin: accepted.origin.as_str().to_owned(),
        fhir_url: accepted.fhir_url.as_str().to_owned(),
    };
    fs::create_dir_all(data_dir)?;
    write_secret(&data_dir.join(UPLOAD_TOKEN_FILE), accepted.upload_token.as_str().as_bytes())?;
    identity.save(data_dir)?;
    Ok(identity)
}

fn write_secret(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path).with_context(|| format!("{} cannot be written", path.display()))
}
