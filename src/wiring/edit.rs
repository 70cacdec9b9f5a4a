//! Changing the file in place: comments and order are the technician's and stay.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TomlError};

use config::{Config, ConfigMistakes, DevicePort};

/// Why the file is left as it was.
#[derive(Debug)]
pub enum EditError {
    /// It cannot be read or written: its owner and the folder's tell who may.
    File {
        /// Which file.
        file: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// It is not TOML.
    NotToml {
        /// Which file.
        file: PathBuf,
        /// Where and why.
        error: TomlError,
    },
    /// What stands under that name is no list of tables: write `[[name]]` before each.
    NoTables {
        /// Which file.
        file: PathBuf,
        /// Which name.
        field: &'static str,
    },
    /// It would then have these mistakes.
    Mistakes(ConfigMistakes),
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EditError::File { file, error } => write!(f, "{} cannot be changed: {error}", file.display()),
            EditError::NotToml { file, error } => write!(f, "{} is not TOML: {error}", file.display()),
            EditError::NoTables { file, field } => {
                write!(f, "{}: write [[{field}]] before each {field}", file.display())
            }
            EditError::Mistakes(mistakes) => write!(f, "the file is left as it was: {mistakes}"),
        }
    }
}

impl std::error::Error for EditError {}

/// Binds a device: sets the `[[device]]` of that name, or adds one.
///
/// # Errors
/// Why the file is left as it was.
pub fn set_device(path: &Path, name: &str, model: &str, port: &DevicePort) -> Result<(), EditError> {
    let mut table = Table::new();
    table["name"] = toml_edit::value(name);
    table["model"] = toml_edit::value(model);
    let (field, text) = match port {
        DevicePort::IdPath(id_path) => ("id_path", id_path.clone()),
        DevicePort::Serial(serial) => ("serial", serial.clone()),
        DevicePort::Path(path) => ("path", path.display().to_string()),
        DevicePort::Usb(usb) => ("usb", usb.clone()),
        DevicePort::Tcp(host) => ("tcp", host.clone()),
    };
    table[field] = toml_edit::value(text);
    set_table(path, "device", "name", table)
}

/// Says where an instrument that sees or hears is: `field` of `[instruments]`.
///
/// # Errors
/// Why the file is left as it was.
pub fn set_instrument(path: &Path, field: &str, address: &str) -> Result<(), EditError> {
    let failed = |error| EditError::File { file: path.to_owned(), error };
    let text = fs::read_to_string(path).map_err(failed)?;
    let mut document: DocumentMut =
        text.parse().map_err(|error| EditError::NotToml { file: path.to_owned(), error })?;
    let table = document.entry("instruments").or_insert(Item::Table(Table::new()));
    let Some(table) = table.as_table_like_mut() else {
        return Err(EditError::NoTables { file: path.to_owned(), field: "instruments" });
    };
    match table.get_mut(field).and_then(Item::as_value_mut) {
        Some(there) => {
            // The comment behind a value is the technician's.
            let decor = there.decor().clone();
            *there = address.into();
            *there.decor_mut() = decor;
        }
        None => drop(table.insert(field, toml_edit::value(address))),
    }
    check_and_replace(path, &document.to_string())
}

/// Adds a pharmacist, or changes the name and PIN of the one with that id.
///
/// # Errors
/// Why the file is left as it was.
pub fn set_pharmacist(path: &Path, id: &str, name: &str, pin_hash: &str) -> Result<(), EditError> {
    let mut table = Table::new();
    table["id"] = toml_edit::value(id);
    table["name"] = toml_edit::value(name);
    table["pin_hash"] = toml_edit::value(pin_hash);
    set_table(path, "pharmacist", "id", table)
}

/// Sets the table of `[[field]]` whose `key` has the table's value, or adds one, and writes the file if it is then good.
fn set_table(path: &Path, field: &'static str, key: &str, table: Table) -> Result<(), EditError> {
    let failed = |error| EditError::File { file: path.to_owned(), error };
    let text = fs::read_to_string(path).map_err(failed)?;
    let mut document: DocumentMut =
        text.parse().map_err(|error| EditError::NotToml { file: path.to_owned(), error })?;
    let tables = document.entry(field).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(tables) = tables.as_array_of_tables_mut() else {
        return Err(EditError::NoTables { file: path.to_owned(), field });
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
    check_and_replace(path, &document.to_string())
}

/// Writes the file if it is good.
fn check_and_replace(path: &Path, text: &str) -> Result<(), EditError> {
    let config = Config::parse(text, path).map_err(EditError::Mistakes)?;
    config.check_models(path, &crate::keys()).map_err(EditError::Mistakes)?;
    crate::file::replace(path, text.as_bytes()).map_err(|error| EditError::File { file: path.to_owned(), error })
}
