//! `cabinctl device bind NAME MODEL PORT --config FILE`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use drivers::ports::{Address, find};

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    let name = arguments.need("the device's name")?;
    let model = arguments.need("the model")?;
    let port = arguments.need("the port")?;
    arguments.end()?;
    drivers::model(&model).with_context(|| format!("no model {model:?}; there are: {}", wiring::keys().join(", ")))?;
    let address = lasting(config_file::typed_address(&port)?);
    wiring::edit::set_device(&path, &name, &model, &wiring::port(&address))?;
    writeln!(out, "{name} is the {model} at {address}")?;
    if find::resolve(&address).is_none() {
        writeln!(out, "nothing is plugged there now")?;
    }
    Ok(())
}

/// A file like /dev/ttyUSB0 is another device's after the next start: what udev knows of its socket lasts.
fn lasting(typed: Address) -> Address {
    let Address::Path(path) = &typed else { return typed };
    find::list().iter().find(|found| &found.path == path).map(drivers::lasting).unwrap_or(typed)
}
