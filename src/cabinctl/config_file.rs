//! The configuration file, as the verbs use it.

use std::path::Path;

use anyhow::{Context as _, Result};
use config::{Config, DevicePort, DoorLine};
use drivers::MODELS;
use drivers::fixtures::door_contact::ModemLine;
use drivers::fixtures::printer_escpos::{CodePage, Paper};
use drivers::fixtures::scanner_codes::Accept;
use drivers::ports::fixtures::{self, DoorSettings, PresenceSettings, PrinterAddress, ScannerSettings};
use drivers::ports::{Address, Binding};

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
        DevicePort::Tcp(host) => Address::Tcp(host.clone()),
    })
}

/// The fixtures of the configuration.
pub(crate) fn fixtures(config: &Config) -> Result<fixtures::Settings> {
    let all = &config.fixtures;
    let line = |line: DoorLine| match line {
        DoorLine::Cts => ModemLine::Cts,
        DoorLine::Dsr => ModemLine::Dsr,
        DoorLine::Dcd => ModemLine::Dcd,
        DoorLine::Ri => ModemLine::Ri,
    };
    let door = |door: &config::Door| -> Result<DoorSettings> {
        let address = address(&door.port)?;
        Ok(DoorSettings { address, line: line(door.line), closed_when_up: door.closed_when_up })
    };
    let presence = |presence: &config::Presence| -> Result<PresenceSettings> {
        let address = address(&presence.port)?;
        Ok(PresenceSettings { address, within_cm: presence.within_cm, hold: presence.hold })
    };
    let scanner = |scanner: &config::Scanner| -> Result<ScannerSettings> {
        let accept = if scanner.takes_tests { Accept::TestsToo } else { Accept::Real };
        Ok(ScannerSettings { address: address(&scanner.port)?, baud: scanner.baud, accept })
    };
    Ok(fixtures::Settings {
        card_reader: all.card_reader.as_ref().map(|reader| reader.name.clone()),
        light: all.light.as_ref().map(|light| light.usb.parse()).transpose()?,
        door: all.door.as_ref().map(door).transpose()?,
        presence: all.presence.as_ref().map(presence).transpose()?,
        scanner: all.scanner.as_ref().map(scanner).transpose()?,
    })
}

/// Where receipts are printed, and on what paper.
pub(crate) fn receipt_printer(printer: &config::ReceiptPrinter) -> Result<(PrinterAddress, Paper)> {
    let at = match &printer.at {
        config::PrinterPort::Serial { port, baud } => PrinterAddress::Serial { address: address(port)?, baud: *baud },
        config::PrinterPort::File(path) => PrinterAddress::File(path.clone()),
        config::PrinterPort::Network(host) => PrinterAddress::Network(host.clone()),
    };
    let paper = if printer.is_wide { Paper::WIDE } else { Paper::NARROW };
    let code_page = if printer.is_windows { CodePage::Cp1252 } else { CodePage::Cp858 };
    Ok((at, Paper { code_page, cuts: printer.cuts, ..paper }))
}

/// A port as typed: `id_path=…`, `serial=…`, `usb=…`, `tcp=…`, or a file.
pub(crate) fn typed_address(text: &str) -> Result<Address> {
    Ok(if let Some(id_path) = text.strip_prefix("id_path=") {
        Address::IdPath(id_path.into())
    } else if let Some(serial) = text.strip_prefix("serial=") {
        Address::Serial(serial.into())
    } else if let Some(usb) = text.strip_prefix("usb=") {
        Address::Usb(usb.parse().with_context(|| format!("usb={usb}"))?)
    } else if let Some(host) = text.strip_prefix("tcp=") {
        Address::Tcp(host.into())
    } else {
        Address::Path(text.into())
    })
}

/// How the configuration writes where a device is plugged.
pub(crate) fn port(address: &Address) -> DevicePort {
    match address {
        Address::IdPath(id_path) => DevicePort::IdPath(id_path.clone()),
        Address::Serial(serial) => DevicePort::Serial(serial.clone()),
        Address::Path(path) => DevicePort::Path(path.clone()),
        Address::Usb(usb) => DevicePort::Usb(usb.to_string()),
        Address::Tcp(host) => DevicePort::Tcp(host.clone()),
    }
}
