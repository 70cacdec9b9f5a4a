//! `cabinctl handover key|sign|apply`: a cabin moves to another operator by a signed order on a USB stick.
//!
//! The owner of cabins (a municipality, a pharmacy) holds an Ed25519 key, whose public half is in each cabin as
//! `owner_key`. An operator that ends, or must be left, is not needed for the move, nor is any network. The order is a
//! TOML file beside its signature (`ORDER.sig`, base64):
//!
//! ```toml
//! number = 1                               # above the number of any order applied before
//! site = "Pharmacie des Halles"            # optional; only this cabin
//! desk_url = "https://desk.example.net"
//! desk_ca = "-----BEGIN CERTIFICATE-----…" # optional, and so are the next two
//! fhir_ca = "-----BEGIN CERTIFICATE-----…"
//! fhir_token = "…"
//! fhir_url = "https://fhir.example.net/R4"
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use config::Config;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand::RngCore as _;
use toml_edit::{DocumentMut, Item, Table, value};
use zeroize::Zeroizing;

use crate::arguments::Arguments;
use crate::outbox_export::new_file;

/// Largest order, in bytes.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// Names what is signed, so that a signature made for something else is none here.
const CONTEXT: &[u8] = b"telecabine handover 1\0";
/// The fields of an order; another one is a mistake.
const FIELDS: [&str; 7] = ["number", "site", "desk_url", "desk_ca", "fhir_url", "fhir_ca", "fhir_token"];

pub(crate) fn key(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the file for the key")?);
    arguments.end()?;
    let mut seed = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(seed.as_mut_slice());
    let key = SigningKey::from_bytes(&seed);
    let mut file = new_file(&path)?;
    file.write_all(Zeroizing::new(BASE64_STANDARD.encode(seed.as_slice())).as_bytes())?;
    file.sync_all()?;
    Ok(writeln!(out, "{}", BASE64_STANDARD.encode(key.verifying_key().as_bytes()))?)
}

pub(crate) fn sign(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the order to sign")?);
    let key = PathBuf::from(arguments.need_option("key")?);
    arguments.end()?;
    let order = read(&path)?;
    Order::parse(&order, &path)?;
    let text = Zeroizing::new(fs::read_to_string(&key).with_context(|| key.display().to_string())?);
    let key = SigningKey::from_bytes(&Zeroizing::new(thirty_two(&text)?));
    let signature = BASE64_STANDARD.encode(key.sign(&signed(&order)).to_bytes());
    let beside = signature_path(&path);
    fs::write(&beside, signature).with_context(|| beside.display().to_string())?;
    Ok(writeln!(out, "{} signed; both files go on the stick", path.display())?)
}

pub(crate) fn apply(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the order")?);
    let config_path = PathBuf::from(arguments.need_option("config")?);
    let outbox_path = PathBuf::from(arguments.need_option("outbox")?);
    arguments.end()?;
    let settings = outbox::settings::read(&outbox_path)?;
    let owner = settings.owner_key.with_context(|| {
        format!("{} has no `owner_key`: nobody may move this cabin by an order", outbox_path.display())
    })?;
    let order = read(&path)?;
    verify(&order, &path, &owner)?;
    let order = Order::parse(&order, &path)?;
    let config = crate::config_file::load(&config_path)?;
    if let Some(site) = &order.site {
        ensure!(*site == config.site.name, "this order is for {site:?}, this cabin is {:?}", config.site.name);
    }
    let applied = outbox_path.with_extension("handover");
    let last: u64 = fs::read_to_string(&applied).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    ensure!(order.number >= last, "this order has number {}, and number {last} was applied already", order.number);

    // Both files are made and read as the programs will, before either takes its place.
    let (desk_ca, fhir_ca, token) =
        (beside(&config_path, "desk-ca.pem"), beside(&outbox_path, "fhir-ca.pem"), beside(&outbox_path, "fhir-token"));
    let desk_ca = order.desk_ca.as_deref().map(|pem| (desk_ca, pem));
    let fhir_ca = order.fhir_ca.as_deref().map(|pem| (fhir_ca, pem));
    let token = order.fhir_token.as_deref().map(|text| (token, text));
    let cabin_text = edited(
        &config_path,
        "desk",
        &[
            ("url", Some(order.desk_url.clone())),
            ("ca_file", desk_ca.as_ref().map(|(path, _)| path.display().to_string())),
        ],
    )?;
    Config::parse(&cabin_text, &config_path)
        .map_err(|mistakes| anyhow::anyhow!("the cabin is left as it was: {mistakes}"))?;
    let outbox_text = edited(
        &outbox_path,
        "upload",
        &[
            ("base_url", Some(order.fhir_url.clone())),
            ("ca_file", fhir_ca.as_ref().map(|(path, _)| path.display().to_string())),
            ("token_file", token.as_ref().map(|(path, _)| path.display().to_string())),
        ],
    )?;
    outbox::settings::parse(&outbox_text, &outbox_path.display().to_string()).context("the cabin is left as it was")?;
    for (path, content) in [desk_ca, fhir_ca, token].into_iter().flatten() {
        write(&path, content, 0o600)?;
    }
    write(&outbox_path, &outbox_text, mode(&outbox_path)?)?;
    write(&config_path, &cabin_text, mode(&config_path)?)?;
    write(&applied, &format!("{}\n", order.number), 0o600)?;
    writeln!(out, "desk          {}", order.desk_url)?;
    writeln!(out, "FHIR server   {}", order.fhir_url)?;
    writeln!(out, "Restart both: systemctl restart cabin-outbox cabin. What waits is sent to the new server.")?;
    Ok(())
}

struct Order {
    number: u64,
    site: Option<String>,
    desk_url: String,
    desk_ca: Option<String>,
    fhir_url: String,
    fhir_ca: Option<String>,
    fhir_token: Option<String>,
}

impl Order {
    fn parse(bytes: &[u8], path: &Path) -> Result<Order> {
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
        Ok(Order {
            number: number.with_context(|| format!("{}: `number` is missing, from 1 on", at()))?,
            site: text("site")?,
            desk_url: needed("desk_url")?,
            desk_ca: text("desk_ca")?,
            fhir_url: needed("fhir_url")?,
            fhir_ca: text("fhir_ca")?,
            fhir_token: text("fhir_token")?,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let at = || path.display().to_string();
    ensure!(fs::metadata(path).with_context(at)?.len() <= ORDER_BYTES_MAX, "{}: too long for an order", at());
    fs::read(path).with_context(at)
}

fn signature_path(order: &Path) -> PathBuf {
    let mut path = order.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

fn signed(order: &[u8]) -> Vec<u8> {
    [CONTEXT, order].concat()
}

fn verify(order: &[u8], path: &Path, owner: &str) -> Result<()> {
    let beside = signature_path(path);
    let text = fs::read_to_string(&beside).with_context(|| beside.display().to_string())?;
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = Signature::from_bytes(&bytes.with_context(|| format!("{}: no signature", beside.display()))?);
    let owner = VerifyingKey::from_bytes(&thirty_two(owner)?).context("`owner_key` is no Ed25519 key")?;
    let good = owner.verify_strict(&signed(order), &signature);
    good.with_context(|| format!("{} is not signed by the owner of this cabin; nothing was changed", path.display()))
}

fn thirty_two(text: &str) -> Result<[u8; 32]> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.context("a key is 44 characters of base64")
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(format!("handover-{name}"))
}

/// A configuration with these fields of one table set, or left out; comments and the rest stay.
fn edited(path: &Path, table: &str, fields: &[(&str, Option<String>)]) -> Result<String> {
    let at = || path.display().to_string();
    let mut document: DocumentMut = fs::read_to_string(path).with_context(at)?.parse().with_context(at)?;
    let found = document.entry(table).or_insert(Item::Table(Table::new()));
    let found = found.as_table_mut().with_context(|| format!("{}: `{table}` is a table", at()))?;
    for (field, text) in fields {
        match text {
            Some(text) => found[field] = value(text),
            None => drop(found.remove(field)),
        }
    }
    Ok(document.to_string())
}

fn mode(path: &Path) -> Result<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path).with_context(|| path.display().to_string())?.permissions().mode())
}

/// Writes beside, syncs and renames: a power cut leaves the old file or the new one.
fn write(path: &Path, content: &str, mode: u32) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let at = || path.display().to_string();
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).with_context(at)?;
    file.write_all(content.as_bytes()).with_context(at)?;
    file.sync_all().with_context(at)?;
    fs::rename(&new, path).with_context(at)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(at)
}
