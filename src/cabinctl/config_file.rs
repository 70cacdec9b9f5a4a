//! The configuration file, read, and changed in place: comments and order are the technician's and stay.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use config::{Config, DevicePort};
use drivers::MODELS;
use drivers::ports::{Address, Binding};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

/// Reads a configuration and checks its models.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let config = Config::load(path)?;
    config.check_models(path, &keys())?;
    Ok(config)
}

pub(crate) fn keys() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.key).collect()
}

/// The binding of a device of the configuration.
pub(crate) fn binding(config: &Config, name: &str) -> Result<Binding> {
    let names: Vec<&str> = config.devices.iter().map(|device| device.name.as_str()).collect();
    let device = config
        .devices
        .iter()
        .find(|device| device.name == name)
        .with_context(|| format!("no device {name:?}; there are: {}", names.join(", ")))?;
    let model = drivers::model(&device.model).with_context(|| format!("no model {:?}", device.model))?;
    Ok(Binding { name: device.name.clone(), model, address: address(&device.port)? })
}

pub(crate) fn address(port: &DevicePort) -> Result<Address> {
    Ok(match port {
        DevicePort::IdPath(id_path) => Address::IdPath(id_path.clone()),
        DevicePort::Serial(serial) => Address::Serial(serial.clone()),
        DevicePort::Path(path) => Address::Path(path.clone()),
        DevicePort::Usb(usb) => Address::Usb(usb.parse()?),
    })
}

/// A port as typed: `id_path=…`, `serial=…`, `usb=…`, or a file.
pub(crate) fn typed_address(text: &str) -> Result<Address> {
    Ok(if let Some(id_path) = text.strip_prefix("id_path=") {
        Address::IdPath(id_path.into())
    } else if let Some(serial) = text.strip_prefix("serial=") {
        Address::Serial(serial.into())
    } else if let Some(usb) = text.strip_prefix("usb=") {
        Address::Usb(usb.parse().with_context(|| format!("usb={usb}"))?)
    } else {
        Address::Path(text.into())
    })
}

/// Sets the table of `[[field]]` whose `key` has that value, or adds one, and writes the file if it is then good.
pub(crate) fn set_table(path: &Path, field: &str, key: &str, table: Table) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut document: DocumentMut = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let tables = document.entry(field).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(tables) = tables.as_array_of_tables_mut() else {
        bail!("{}: write [[{field}]] before each {field}", path.display());
    };
    let value = table.get(key).and_then(Item::as_str).unwrap_or_default().to_owned();
    let at = tables.iter().position(|table| table.get(key).and_then(Item::as_str) == Some(value.as_str()));
    match at.and_then(|at| tables.get_mut(at)) {
        Some(there) => {
            // The comment above a table belongs to its place.
            let decor = there.decor().clone();
            let position = there.position();
            *there = table;
            *there.decor_mut() = decor;
            there.set_position(position);
        }
        None => tables.push(table),
    }
    let text = document.to_string();
    let config = Config::parse(&text, path).context("the file is left as it was")?;
    config.check_models(path, &keys()).context("the file is left as it was")?;
    replace(path, &text)
}

/// Writes beside and renames, so that a power cut leaves the old file or the new one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .with_context(|| format!("{} cannot be written", beside.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path).with_context(|| format!("{} cannot be replaced", path.display()))
}
