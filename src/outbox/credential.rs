//! The root key, and whether it is sealed as it should be.
//!
//! systemd gives it to this program as the credential `outbox-key` (`LoadCredentialEncrypted=`). `systemd-creds encrypt`
//! seals it with the machine's TPM where there is one, and without a word with a file of the same disk where there is
//! none: whoever takes that disk has the key. So the sealed file says how it was sealed, and one without a TPM is refused
//! unless the configuration accepts it.

use crate::disk;
use crate::keys::RootKey;
use crate::settings::Settings;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tracing::warn;
use zeroize::Zeroizing;

/// Name of the credential that holds the key.
pub const CREDENTIAL: &str = "outbox-key";
/// Largest key file, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 1024;
/// Largest sealed file, in bytes: a sealed key has some hundred.
const SEALED_FILE_BYTES_MAX: u64 = 64 * 1024;
/// The first 16 bytes of what was sealed with a TPM (systemd, `src/shared/creds-util.h`, `CRED_AES256_GCM_BY_…`): by it
/// alone, by it and the host's key, and both with a signed policy of the boot.
const SEALED_BY_TPM: [[u8; 16]; 4] = [
    [0x0c, 0x7c, 0xc0, 0x7b, 0x11, 0x76, 0x45, 0x91, 0x9c, 0x4b, 0x0b, 0xea, 0x08, 0xbc, 0x20, 0xfe],
    [0x93, 0xa8, 0x94, 0x09, 0x48, 0x74, 0x44, 0x90, 0x90, 0xca, 0xf2, 0xfc, 0x93, 0xca, 0xb5, 0x53],
    [0xfa, 0xf7, 0xeb, 0x93, 0x41, 0xe3, 0x41, 0x2c, 0xa1, 0xa4, 0x36, 0xf9, 0x5a, 0x29, 0x36, 0x2f],
    [0xaf, 0x49, 0x50, 0xa8, 0x49, 0x13, 0x4e, 0xb1, 0xa7, 0x38, 0x46, 0x30, 0x4f, 0xf3, 0x0c, 0x05],
];

/// The root key: the configured file, or systemd's credential, or, where systemd did not start this program, what
/// `systemd-creds` opens of the sealed file, or with `dev_key` one that is made beside the data.
///
/// # Errors
/// What is missing, and how to make it.
pub fn root_key(settings: &Settings, dev_key: bool) -> Result<RootKey> {
    if let Some(path) = &settings.key {
        if dev_key {
            make(path)?;
        }
        let mode = fs::metadata(path).with_context(|| at(path))?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{}: other accounts can read it; `chmod 600` it", at(path));
        return read(path);
    }
    if let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        if !dev_key {
            sealed_well(settings)?;
        }
        return read(&Path::new(&dir).join(CREDENTIAL));
    }
    if dev_key {
        let path = settings.dir.join("dev.key");
        make(&path)?;
        return read(&path);
    }
    let Some(sealed) = &settings.sealed_key else {
        bail!(
            "there is no key: run under systemd with LoadCredentialEncrypted={CREDENTIAL}:… and `sealed_key` set to the \
             same file, or set `key` to a file of 32 random bytes that only this account can read, or give --dev-key for \
             development"
        );
    };
    sealed_well(settings)?;
    let name = format!("--name={CREDENTIAL}");
    let output = Command::new("systemd-creds").args(["decrypt", &name]).arg(sealed).arg("-").output();
    let output = output.context("systemd-creds, which opens `sealed_key`")?;
    let content = Zeroizing::new(output.stdout);
    ensure!(output.status.success(), "`sealed_key` {}: {}", sealed.display(), String::from_utf8_lossy(&output.stderr));
    RootKey::from_text_or_bytes(&content).with_context(|| format!("{}: {EXPECTED}", at(sealed)))
}

const EXPECTED: &str = "expected 32 bytes, or 64 hexadecimal digits";

fn at(path: &Path) -> String {
    format!("the key {}", path.display())
}

fn read(path: &Path) -> Result<RootKey> {
    let length = fs::metadata(path).with_context(|| at(path))?.len();
    ensure!(length <= KEY_FILE_BYTES_MAX, "{}: {EXPECTED}", at(path));
    let content = Zeroizing::new(fs::read(path).with_context(|| at(path))?);
    RootKey::from_text_or_bytes(&content).with_context(|| format!("{}: {EXPECTED}", at(path)))
}

/// A key for development, where there is none yet.
fn make(path: &Path) -> Result<()> {
    warn!("NOT FOR PRODUCTION: --dev-key keeps the key in {}, beside what it protects", path.display());
    if !path.exists() {
        let parent = path.parent().context("`key` has no directory")?;
        disk::create_dir(parent).with_context(|| parent.display().to_string())?;
        disk::write_whole(path, RootKey::random().to_text().as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether the key that systemd gives is sealed by a TPM, or the configuration accepts that it is not.
fn sealed_well(settings: &Settings) -> Result<()> {
    let Some(sealed) = &settings.sealed_key else {
        bail!(
            "set `sealed_key` to the file that LoadCredentialEncrypted={CREDENTIAL}:… names: it says whether the key is \
             sealed by a TPM"
        );
    };
    let place = || format!("`sealed_key` {}", sealed.display());
    ensure!(fs::metadata(sealed).with_context(place)?.len() <= SEALED_FILE_BYTES_MAX, "{}: too long", place());
    let text = fs::read_to_string(sealed).with_context(place)?;
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = BASE64_STANDARD.decode(text).with_context(|| format!("{}: no sealed credential", place()))?;
    if bytes.get(..16).is_some_and(|kind| SEALED_BY_TPM.iter().any(|known| known == kind)) {
        return Ok(());
    }
    if settings.key_without_tpm {
        warn!(
            "{} is not sealed by a TPM, and `key_without_tpm` accepts that: whoever takes the disk has the key",
            place()
        );
        return Ok(());
    }
    bail!(
        "{} is not sealed by a TPM: whoever takes this disk has the key. Seal it with `systemd-creds encrypt \
         --with-key=host+tpm2 --name={CREDENTIAL}`, or, on a machine without a TPM, accept that with \
         `key_without_tpm = true`",
        place()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(sealed: &Path, more: &str) -> Settings {
        let text = format!("dir = \"/nowhere\"\nsocket = \"/nowhere\"\nsealed_key = {sealed:?}\n{more}");
        crate::settings::parse(&text, "x").unwrap()
    }

    #[test]
    fn a_key_that_no_tpm_sealed_is_refused_unless_that_was_accepted() {
        let path = std::env::temp_dir().join(format!("outbox-sealed-{}", uuid::Uuid::new_v4()));
        let write = |kind: &[u8]| {
            let bytes = [kind, &[7; 200]].concat();
            // systemd-creds breaks its lines.
            let text = BASE64_STANDARD.encode(bytes);
            let lines: Vec<&str> = text.as_bytes().chunks(69).map(|line| std::str::from_utf8(line).unwrap()).collect();
            fs::write(&path, lines.join("\n")).unwrap();
        };
        for kind in SEALED_BY_TPM {
            write(&kind);
            sealed_well(&settings(&path, "")).unwrap();
        }
        // By the host's key alone, as `systemd-creds encrypt --with-key=host` of systemd 252 writes it.
        write(&[0x5a, 0x1c, 0x6a, 0x86, 0xdf, 0x9d, 0x40, 0x96, 0xb1, 0xd5, 0xa6, 0x5e, 0x08, 0x62, 0xf1, 0x9a]);
        let refused = sealed_well(&settings(&path, "")).unwrap_err().to_string();
        assert!(refused.contains("--with-key=host+tpm2"), "{refused}");
        sealed_well(&settings(&path, "key_without_tpm = true\n")).unwrap();
        fs::write(&path, "not base64!").unwrap();
        assert!(sealed_well(&settings(&path, "key_without_tpm = true\n")).is_err());
        fs::remove_file(&path).unwrap();
        assert!(sealed_well(&settings(&path, "")).is_err());
    }
}
