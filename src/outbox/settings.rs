//! The configuration of `cabin-outbox`: one TOML file. A mistake names the file, the line and what is expected.
//!
//! ```toml
//! dir = "/var/lib/cabin-outbox"        # what is kept; only this program's account may enter
//! socket = "/run/cabin/outbox.sock"    # where the cabin connects
//! key = "/etc/cabin/outbox-key"        # optional; by default $CREDENTIALS_DIRECTORY/outbox-key
//! sealed_key = "/etc/credstore.encrypted/outbox-key" # the file that LoadCredentialEncrypted= names; it must be sealed
//!                                      # by a TPM
//! key_without_tpm = false              # optional; true accepts a machine without one: who takes the disk has the key
//! owner_key = "…"                      # optional; the public key whose signature moves this cabin to another operator
//! allow_uids = [1001]                  # optional; accounts that may connect, besides this one and root
//! reserve_mib = 384                    # optional; room that must be free to receive a patient
//!
//! [upload]                             # optional; without it, submissions wait
//! base_url = "https://fhir.example.org/R4"
//! token_file = "/etc/cabin/fhir-token" # optional; a bearer token, read again at each attempt
//! ca_file = "/etc/cabin/fhir-ca.pem"   # optional; trusted besides the system's authorities
//! retry_first_ms = 1000                # optional; the wait after the first failure, doubled at each
//! retry_max_s = 300                    # optional; the longest wait
//! ```

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// Room for one consultation, unless the configuration says otherwise: everything recorded that may be kept, and twice
/// what is made of it to be sent, which has two keys while it changes hands.
const RESERVE_MIB: u64 = 384;

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What `cabin-outbox` is told.
#[derive(Debug)]
pub struct Settings {
    /// What is kept.
    pub dir: PathBuf,
    /// Where the cabin connects.
    pub socket: PathBuf,
    /// The root key's file, unless systemd gives it.
    pub key: Option<PathBuf>,
    /// The sealed file that systemd opens for this program.
    pub sealed_key: Option<PathBuf>,
    /// Accepts a root key that no TPM seals.
    pub key_without_tpm: bool,
    /// Whose signature moves this cabin to another operator: an Ed25519 public key, 44 characters of base64.
    pub owner_key: Option<String>,
    /// Accounts that may connect, besides this program's own and root.
    pub allow_uids: Vec<u32>,
    /// Room that must be free to begin a consultation, in bytes.
    pub reserve_bytes: u64,
    /// The server, where there is one.
    pub upload: Option<Upload>,
}

/// Where submissions go.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The FHIR server's base address.
    pub base_url: String,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// A file with certificates (PEM) to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The wait after the first failure.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_max: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dir: PathBuf,
    socket: Spanned<PathBuf>,
    key: Option<PathBuf>,
    sealed_key: Option<PathBuf>,
    #[serde(default)]
    key_without_tpm: bool,
    owner_key: Option<String>,
    #[serde(default)]
    allow_uids: Vec<u32>,
    reserve_mib: Option<Spanned<u64>>,
    upload: Option<FileUpload>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileUpload {
    base_url: Spanned<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    retry_first_ms: Option<Spanned<u64>>,
    retry_max_s: Option<Spanned<u64>>,
}

/// A mistake in the configuration, or a file that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Mistake(pub String);

/// Reads a configuration file.
pub fn read(path: &Path) -> Result<Settings, Mistake> {
    let at = |error: std::io::Error| Mistake(format!("{}: {error}", path.display()));
    if std::fs::metadata(path).map_err(at)?.len() > FILE_BYTES_MAX {
        return Err(Mistake(format!("{}: a configuration has at most {FILE_BYTES_MAX} bytes", path.display())));
    }
    parse(&std::fs::read_to_string(path).map_err(at)?, &path.display().to_string())
}

/// Reads a configuration; `file` is what mistakes call it.
pub fn parse(text: &str, file: &str) -> Result<Settings, Mistake> {
    let mistake = |at: usize, what: &str| {
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        Mistake(format!("{file}:{line}: {what}"))
    };
    let parsed: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        mistake(at, error.message())
    })?;
    // The kernel's sockaddr_un holds 108 bytes, the last one zero.
    if parsed.socket.get_ref().as_os_str().len() > 107 {
        return Err(mistake(parsed.socket.span().start, "`socket` is a path of 107 bytes at most"));
    }
    let ranged = |value: &Option<Spanned<u64>>, default: u64, range: std::ops::RangeInclusive<u64>, name: &str| {
        let Some(value) = value else { return Ok(default) };
        if range.contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        let what = format!("`{name}` is from {} to {}, not {}", range.start(), range.end(), value.get_ref());
        Err(mistake(value.span().start, &what))
    };
    let reserve_mib = ranged(&parsed.reserve_mib, RESERVE_MIB, 1..=65_536, "reserve_mib")?;
    let upload = match parsed.upload {
        None => None,
        Some(upload) => {
            check_base_url(upload.base_url.get_ref())
                .map_err(|what| mistake(upload.base_url.span().start, &format!("`base_url`: {what}")))?;
            let first = ranged(&upload.retry_first_ms, 1000, 10..=60_000, "retry_first_ms")?;
            let max = ranged(&upload.retry_max_s, 300, 1..=86_400, "retry_max_s")?;
            Some(Upload {
                base_url: upload.base_url.into_inner(),
                token_file: upload.token_file,
                ca_file: upload.ca_file,
                retry_first: Duration::from_millis(first),
                retry_max: Duration::from_secs(max),
            })
        }
    };
    Ok(Settings {
        dir: parsed.dir,
        socket: parsed.socket.into_inner(),
        key: parsed.key,
        sealed_key: parsed.sealed_key,
        key_without_tpm: parsed.key_without_tpm,
        owner_key: parsed.owner_key,
        allow_uids: parsed.allow_uids,
        reserve_bytes: reserve_mib * 1024 * 1024,
        upload,
    })
}

/// Patients' records leave over TLS, or not further than this machine.
pub(crate) fn check_base_url(text: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("expected an address such as https://…: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("a password does not belong in an address: use `token_file`".into())
        }
        _ if url.query().is_some() || url.fragment().is_some() => Err("a base has no `?` and no `#`".into()),
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err("plain http is for this machine's own addresses only: expected https://…".into()),
        other => Err(format!("expected https://…, not {other}:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_the_file_the_line_and_what_is_expected() {
        let cases = [
            ("dir = \"/a\"\nsocket = \"/b\"\nsokcet = 1\n", "x.toml:3: unknown field `sokcet`"),
            ("dir = \"/a\"\n\nsocket = 4\n", "x.toml:3: "),
            ("dir = \"/a\"\nsocket = \"/b\"\nreserve_mib = 0\n", "x.toml:3: `reserve_mib` is from 1 to 65536, not 0"),
            (
                "dir = \"/a\"\nsocket = \"/b\"\n[upload]\nbase_url = \"http://10.0.0.1/\"\n",
                "x.toml:4: `base_url`: plain http",
            ),
            ("dir = \"/a\"\nsocket = \"/b\"\n[upload]\nbase_url = \"nowhere\"\n", "x.toml:4: `base_url`: expected"),
            (
                "dir = \"/a\"\nsocket = \"/b\"\n[upload]\nbase_url = \"https://u:p@h/\"\n",
                "x.toml:4: `base_url`: a password",
            ),
            ("dir = \"/a\"\nsocket", "x.toml:2: "),
            ("socket = \"/b\"\n", "x.toml:1: missing field `dir`"),
        ];
        for (text, expected) in cases {
            let mistake = parse(text, "x.toml").unwrap_err().0;
            assert!(mistake.starts_with(expected), "{mistake:?} does not begin with {expected:?}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let settings =
            parse("dir = \"/a\"\nsocket = \"/b\"\n[upload]\nbase_url = \"http://[::1]:8/r4\"\n", "x").unwrap();
        assert_eq!(settings.reserve_bytes, 384 * 1024 * 1024);
        let upload = settings.upload.unwrap();
        assert_eq!((upload.retry_first, upload.retry_max), (Duration::from_secs(1), Duration::from_secs(300)));
    }
}
