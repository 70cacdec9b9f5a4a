//! The token for records that the desk gave when the cabin joined it. The cabin hands it on, and it is shown to no server
//! but the one that it was given for: each has a file of its own, named by the server's address.

use crate::disk;
use crate::record::{Refusal, Refused};
use crate::settings::check_base_url;
use reqwest::Url;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "desk-token-";
/// Largest token, in bytes.
const TOKEN_BYTES_MAX: usize = 1024;

/// The file of that server's token in an outbox's folder, whether it is there or not.
pub fn path(dir: &Path, base_url: &str) -> PathBuf {
    dir.join(name(base_url))
}

/// One name for all ways to write one address.
fn name(base_url: &str) -> String {
    let url = Url::parse(base_url).map_or_else(|_| base_url.to_owned(), |url| url.to_string());
    let hash = Sha256::digest(url.trim_end_matches('/'));
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{name}")
}

/// Keeps a token for the server at `base_url`; durable when this returns.
///
/// # Errors
/// When it is no token or no address, or the disk's.
pub(crate) fn keep(dir: &Path, base_url: &str, token: &str) -> Result<(), Refused> {
    let malformed = |what: String| Refused::new(Refusal::Malformed, what);
    check_base_url(base_url).map_err(|what| malformed(format!("the desk's records: {what}")))?;
    let is_token = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(malformed(format!("a token is 1 to {TOKEN_BYTES_MAX} characters of one line")));
    }
    let path = path(dir, base_url);
    if fs::read(&path).is_ok_and(|kept| kept == token.as_bytes()) {
        return Ok(());
    }
    let failed = |error| Refused::new(Refusal::SyncFailed, format!("the desk's token cannot be kept: {error}"));
    disk::write_whole(&path, token.as_bytes()).map_err(failed)
}

/// Destroys the tokens of other servers than that one: this cabin belongs to their desk no longer.
///
/// # Errors
/// The disk's.
pub fn forget_others(dir: &Path, base_url: &str) -> io::Result<()> {
    let own = name(base_url);
    let names = match fs::read_dir(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in names {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name != own) {
            disk::shred(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_file_of_its_server_and_nothing_else_is_one() {
        let dir = std::env::temp_dir().join(format!("outbox-token-{}", uuid::Uuid::new_v4()));
        disk::create_dir(&dir).unwrap();
        let (first, next) = ("https://desk.first.example/fhir", "https://desk.next.example/fhir");
        keep(&dir, first, "u1.first").unwrap();
        keep(&dir, next, "u1.next").unwrap();
        // However the address is written.
        for same in ["https://desk.next.example/fhir/", "HTTPS://Desk.Next.example:443/fhir"] {
            assert_eq!(fs::read(path(&dir, same)).unwrap(), b"u1.next", "{same}");
        }
        for (url, token) in [(first, ""), (first, "two lines\n"), ("http://10.0.0.1/fhir", "t"), ("nowhere", "t")] {
            assert_eq!(keep(&dir, url, token).unwrap_err().refusal, Refusal::Malformed, "{url} {token:?}");
        }
        forget_others(&dir, next).unwrap();
        assert!(!path(&dir, first).exists() && path(&dir, next).exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
