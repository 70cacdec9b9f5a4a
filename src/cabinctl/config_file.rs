//! The configuration file, as the verbs use it.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use config::Config;
use drivers::ports::{Address, Binding};

/// Reads a configuration and checks its models.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let config = Config::load(path).map_err(|mistakes| match outbox::settings::read(path) {
        Ok(_) => anyhow!("{}: this configures cabin-outbox; --config takes the cabin's file", path.display()),
        Err(_) => mistakes.into(),
    })?;
    config.check_models(path, &wiring::keys())?;
    Ok(config)
}

/// Reads the configuration of `cabin-outbox`.
pub(crate) fn load_outbox(path: &Path) -> Result<outbox::settings::Settings> {
    outbox::settings::read(path).map_err(|mistake| match Config::load(path) {
        Ok(_) => anyhow!("{}: this configures the cabin; --outbox takes cabin-outbox's file", path.display()),
        Err(_) => mistake.into(),
    })
}

/// The binding of a device of the configuration.
pub(crate) fn binding(config: &Config, name: &str) -> Result<Binding> {
    let names: Vec<&str> = config.devices.iter().map(|device| device.name.as_str()).collect();
    let device = config
        .devices
        .iter()
        .find(|device| device.name == name)
        .with_context(|| format!("no device {name:?}; there are: {}", names.join(", ")))?;
    Ok(wiring::binding(device)?)
}

/// A port as typed: `id_path=…`, `serial=…`, `usb=…`, `tcp=…`, or a file, which is not called like one of those.
pub(crate) fn typed_address(text: &str) -> Result<Address> {
    Ok(if let Some(id_path) = text.strip_prefix("id_path=") {
        Address::IdPath(id_path.into())
    } else if let Some(serial) = text.strip_prefix("serial=") {
        Address::Serial(serial.into())
    } else if let Some(usb) = text.strip_prefix("usb=") {
        Address::Usb(usb.parse().with_context(|| format!("usb={usb}"))?)
    } else if let Some(host) = text.strip_prefix("tcp=") {
        Address::Tcp(host.into())
    } else if let Some((word, _)) = text.split_once('=').filter(|(word, _)| !word.contains('/')) {
        bail!("no port is named by {word:?}: id_path=…, serial=…, usb=…, tcp=HOST:PORT, or a file such as /dev/ttyUSB0")
    } else {
        Address::Path(text.into())
    })
}
