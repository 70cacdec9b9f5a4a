//! The order of a hand-over: what it says, and whose signature it bears (`handover.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use toml_edit::{DocumentMut, Item};

/// Largest order, in bytes.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// Names what is signed, so that a signature made for something else is none here.
const CONTEXT: &[u8] = b"telecabine handover 1\0";
/// The fields of an order; another one is a mistake.
const FIELDS: [&str; 8] =
    ["number", "site", "desk_url", "desk_ca", "enrolment_code", "fhir_url", "fhir_ca", "fhir_token"];

/// What an order says.
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) site: Option<String>,
    pub(crate) desk_url: String,
    pub(crate) desk_ca: Option<String>,
    pub(crate) enrolment_code: Option<String>,
    pub(crate) fhir_url: String,
    pub(crate) fhir_ca: Option<String>,
    pub(crate) fhir_token: Option<String>,
}

impl Order {
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Order> {
        let at = || path.display().to_string();
        let document: DocumentMut = std::str::from_utf8(bytes).with_context(at)?.parse().with_context(at)?;
        for (field, _) in document.iter() {
            ensure!(FIELDS.contains(&field), "{}: no field {field:?} in an order", at());
        }
        let text = |field: &str| match document.get(field) {
            None => Ok(None),
            Some(item) => match item.as_str() {
                Some(text) => Ok(Some(text.to_owned())),
                None => bail!("{}: `{field}` is text", at()),
            },
        };
        let needed = |field: &str| text(field)?.with_context(|| format!("{}: `{field}` is missing", at()));
        let number = document.get("number").and_then(Item::as_integer).and_then(|number| u64::try_from(number).ok());
        let (site, enrolment_code) = (text("site")?, text("enrolment_code")?);
        if let Some(code) = &enrolment_code {
            ensure!(site.is_some(), "{}: a code is for one cabin: `site` says which", at());
            let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(is_code, "{}: `enrolment_code` is the code as the desk printed it", at());
        }
        let authority = |field: &str| -> Result<Option<String>> {
            let pem = text(field)?;
            if let Some(pem) = &pem {
                let good = outbox::transport::check_certificates(pem.as_bytes());
                good.with_context(|| format!("{}: `{field}`", at()))?;
            }
            Ok(pem)
        };
        let fhir_token = text("fhir_token")?.map(|token| token.trim().to_owned());
        if let Some(token) = &fhir_token {
            let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(is_token, "{}: `fhir_token` is one line of text", at());
        }
        Ok(Order {
            number: number.with_context(|| format!("{}: `number` is missing, from 1 on", at()))?,
            site,
            desk_url: needed("desk_url")?,
            desk_ca: authority("desk_ca")?,
            enrolment_code,
            fhir_url: needed("fhir_url")?,
            fhir_ca: authority("fhir_ca")?,
            fhir_token,
        })
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let at = || path.display().to_string();
    ensure!(fs::metadata(path).with_context(at)?.len() <= ORDER_BYTES_MAX, "{}: too long for an order", at());
    fs::read(path).with_context(at)
}

pub(crate) fn signature_path(order: &Path) -> PathBuf {
    let mut path = order.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

pub(crate) fn signed(order: &[u8]) -> Vec<u8> {
    [CONTEXT, order].concat()
}

pub(crate) fn verify(order: &[u8], path: &Path, owner: &str) -> Result<()> {
    let beside = signature_path(path);
    let text = fs::read_to_string(&beside).with_context(|| beside.display().to_string())?;
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = Signature::from_bytes(&bytes.with_context(|| format!("{}: no signature", beside.display()))?);
    let owner =
        VerifyingKey::from_bytes(&thirty_two(owner).context("`owner_key` in the configuration of cabin-outbox")?)
            .context("`owner_key` is no Ed25519 key")?;
    let good = owner.verify_strict(&signed(order), &signature);
    good.with_context(|| format!("{} is not signed by the owner of this cabin; nothing was changed", path.display()))
}

pub(crate) fn thirty_two(text: &str) -> Result<[u8; 32]> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.context("a key is 44 characters of base64")
}
