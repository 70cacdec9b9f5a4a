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
//! enrolment_code = "K7QM-2FXD-9TRA-H4WN"   # of `desk cabin invite` at that desk, for this one cabin; then `site` is needed
//! desk_ca = "-----BEGIN CERTIFICATE-----…" # optional, and so are the next two
//! fhir_ca = "-----BEGIN CERTIFICATE-----…"
//! fhir_token = "…"                         # without it, the new desk's own, for that desk's own store
//! fhir_url = "https://fhir.example.net/R4"
//! ```
//!
//! The cabin uses the code by itself once the new desk answers, and is its former desk's no longer; until then it says on
//! the technician's screen that it has not joined. Each order has files of its own: the outbox that still runs with the
//! former settings shows nobody the new server's token. Whoever runs this, each file belongs to the account that reads it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use config::Config;
use ed25519_dalek::{Signer as _, SigningKey};
use rand::RngCore as _;
use sha2::Digest as _;
use toml_edit::{DocumentMut, Item, Table, value};
use wiring::file::{Owner, put, replace};
use wiring::joining::Joining;
use zeroize::Zeroizing;

use crate::arguments::Arguments;
use crate::handover_order::{Order, read, signature_path, signed, thirty_two, verify};
use crate::outbox_export::new_file;

/// What the files of orders are called, before their number.
const PREFIX: &str = "handover-";

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
    let (config_path, outbox_path) = (arguments.need_option("config")?, arguments.need_option("outbox")?);
    arguments.end()?;
    // Whole, for they will be named to programs that run elsewhere.
    let config_path = fs::canonicalize(&config_path).context(config_path)?;
    let outbox_path = fs::canonicalize(&outbox_path).context(outbox_path)?;
    let settings = outbox::settings::read(&outbox_path)?;
    let owner = settings.owner_key.with_context(|| {
        format!("{} has no `owner_key`: nobody may move this cabin by an order", outbox_path.display())
    })?;
    let bytes = read(&path)?;
    verify(&bytes, &path, &owner)?;
    let order = Order::parse(&bytes, &path)?;
    let config = crate::config_file::load(&config_path)?;
    if let Some(site) = &order.site {
        ensure!(*site == config.site.name, "this order is for {site:?}, this cabin is {:?}", config.site.name);
    }
    let applied = outbox_path.with_extension("handover");
    let last: u64 = fs::read_to_string(&applied).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    ensure!(order.number >= last, "this order has number {}, and number {last} was applied already", order.number);

    // Both files are made and read as the programs will, before either takes its place.
    let named = |beside: &Path, name: &str| {
        beside.with_file_name(format!("{PREFIX}{}-{}-{name}", order.number, short_hash(&bytes)))
    };
    let desk_ca = order.desk_ca.as_deref().map(|pem| (named(&config_path, "desk-ca.pem"), pem));
    let fhir_ca = order.fhir_ca.as_deref().map(|pem| (named(&outbox_path, "fhir-ca.pem"), pem));
    let token = order.fhir_token.as_deref().map(|text| (named(&outbox_path, "fhir-token"), text));
    let shown = |file: &Option<(PathBuf, &str)>| file.as_ref().map(|(path, _)| path.display().to_string());
    let desk = [("url", Some(order.desk_url.clone())), ("ca_file", shown(&desk_ca))];
    let cabin_text = edited(&config_path, "desk", &desk)?;
    Config::parse(&cabin_text, &config_path)
        .map_err(|mistakes| anyhow::anyhow!("the cabin is left as it was: {mistakes}"))?;
    let upload =
        [("base_url", Some(order.fhir_url.clone())), ("ca_file", shown(&fhir_ca)), ("token_file", shown(&token))];
    let outbox_text = edited(&outbox_path, "upload", &upload)?;
    outbox::settings::parse(&outbox_text, &outbox_path.display().to_string()).context("the cabin is left as it was")?;

    let data = &config.data_dir;
    let joins = order.enrolment_code.is_some();
    ensure!(!joins || data.is_dir(), "{}: the cabin's data folder is not there: start the cabin once", data.display());
    let (cabin_owner, outbox_owner) = (owner_of(&config_path)?, owner_of(&outbox_path)?);
    let put = |path: &Path, content: &str, mode, owner| {
        put(path, content.as_bytes(), mode, owner).with_context(|| path.display().to_string())
    };
    // Authorities are no secret, and read by an account that does not own the settings beside them.
    desk_ca.iter().try_for_each(|(path, pem)| put(path, pem, 0o644, cabin_owner))?;
    fhir_ca.iter().try_for_each(|(path, pem)| put(path, pem, 0o644, outbox_owner))?;
    token.iter().try_for_each(|(path, text)| put(path, text, 0o600, data_owner(&settings.dir)?))?;
    if let Some(code) = &order.enrolment_code {
        let joining = Joining { desk_url: order.desk_url.clone(), code: code.clone(), key: None };
        joining.leave(data, cabin_owner).with_context(|| data.display().to_string())?;
    }
    replace(&outbox_path, outbox_text.as_bytes()).with_context(|| outbox_path.display().to_string())?;
    replace(&config_path, cabin_text.as_bytes()).with_context(|| config_path.display().to_string())?;
    put(&applied, &format!("{}\n", order.number), 0o600, outbox_owner)?;
    let upload = settings.upload.as_ref();
    let former = [config.desk.ca_file.as_ref(), upload.and_then(|u| u.ca_file.as_ref())];
    let former = former.into_iter().chain([upload.and_then(|u| u.token_file.as_ref())]).flatten();
    let ours = [&desk_ca, &fhir_ca, &token].into_iter().flatten().map(|(path, _)| path);
    remove_older(&[&config_path, &outbox_path], &former.chain(ours).collect::<Vec<_>>())?;

    writeln!(out, "desk          {}", order.desk_url)?;
    writeln!(out, "FHIR server   {}", order.fhir_url)?;
    match &order.enrolment_code {
        Some(_) => writeln!(out, "The cabin joins that desk by itself, with the order's code, when it answers.")?,
        None => {
            writeln!(out, "No code is in the order: unless that desk knows this cabin, `cabin enrol CODE` joins it.")?
        }
    }
    writeln!(
        out,
        "Restart both: systemctl restart cabin-outbox cabin. What waits, and what the old server refused, is sent to the new one."
    )?;
    Ok(())
}

/// Tells an order's files from another's of the same number.
fn short_hash(order: &[u8]) -> String {
    sha2::Sha256::digest(order).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn owner_of(path: &Path) -> Result<Owner> {
    Owner::of(path).with_context(|| path.display().to_string())
}

/// The account of the outbox: its data is its own. Before its first start, that of the folder where it will be.
fn data_owner(dir: &Path) -> Result<Owner> {
    owner_of(dir.ancestors().find(|folder| folder.exists()).unwrap_or(dir))
}

/// Removes the files of earlier orders; those of the one before stay, for programs that were not started again yet.
fn remove_older(beside: &[&Path], keep: &[&PathBuf]) -> Result<()> {
    for folder in beside.iter().filter_map(|path| path.parent()) {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = ["-ca.pem", "fhir-token"].iter().any(|end| name.ends_with(end));
            if name.starts_with(PREFIX) && is_ours && !keep.contains(&&path) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
    }
    Ok(())
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
