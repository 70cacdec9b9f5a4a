//! From what the configuration says to what the drivers open, and back: the one place that knows both.
#![forbid(unsafe_code)]

use config::{Config, DevicePort, DoorLine};
use drivers::MODELS;
use drivers::fixtures::door_contact::ModemLine;
use drivers::fixtures::printer_escpos::{CodePage, Paper};
use drivers::fixtures::scanner_codes::Accept;
use drivers::ports::find::NoUsbAddress;
use drivers::ports::fixtures::{self, DoorSettings, PresenceSettings, PrinterAddress, ScannerSettings};
use drivers::ports::{Address, Binding};

pub mod edit;
pub mod file;
pub mod joining;

/// What the configuration and the drivers do not both know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwired {
    /// No such model: those that are known are in the message.
    Model {
        /// Line of the file.
        line: usize,
        /// What stands there.
        key: String,
    },
    /// No USB address.
    Usb(NoUsbAddress),
}

impl std::fmt::Display for Unwired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unwired::Model { line, key } => {
                write!(f, "line {line}: model: {key:?} is none of {}", keys().join(", "))
            }
            Unwired::Usb(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unwired {}

impl From<NoUsbAddress> for Unwired {
    fn from(error: NoUsbAddress) -> Self {
        Unwired::Usb(error)
    }
}

/// Keys of every model.
pub fn keys() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.key).collect()
}

/// A device of the configuration, as a port opens it.
///
/// # Errors
/// A model or an address that the drivers do not know.
pub fn binding(device: &config::Device) -> Result<Binding, Unwired> {
    let unknown = || Unwired::Model { line: device.line, key: device.model.clone() };
    let model = drivers::model(&device.model).ok_or_else(unknown)?;
    Ok(Binding { name: device.name.clone(), model, address: address(&device.port)? })
}

/// Where a device is plugged.
///
/// # Errors
/// A USB address that is none.
pub fn address(port: &DevicePort) -> Result<Address, NoUsbAddress> {
    Ok(match port {
        DevicePort::IdPath(id_path) => Address::IdPath(id_path.clone()),
        DevicePort::Serial(serial) => Address::Serial(serial.clone()),
        DevicePort::Path(path) => Address::Path(path.clone()),
        DevicePort::Usb(usb) => Address::Usb(usb.parse()?),
        DevicePort::Tcp(host) => Address::Tcp(host.clone()),
    })
}

/// How the configuration writes where a device is plugged.
pub fn port(address: &Address) -> DevicePort {
    match address {
        Address::IdPath(id_path) => DevicePort::IdPath(id_path.clone()),
        Address::Serial(serial) => DevicePort::Serial(serial.clone()),
        Address::Path(path) => DevicePort::Path(path.clone()),
        Address::Usb(usb) => DevicePort::Usb(usb.to_string()),
        Address::Tcp(host) => DevicePort::Tcp(host.clone()),
    }
}

/// The fixtures of the configuration.
///
/// # Errors
/// A USB address that is none.
pub fn fixtures(config: &Config) -> Result<fixtures::Settings, NoUsbAddress> {
    let all = &config.fixtures;
    let line = |line: DoorLine| match line {
        DoorLine::Cts => ModemLine::Cts,
        DoorLine::Dsr => ModemLine::Dsr,
        DoorLine::Dcd => ModemLine::Dcd,
        DoorLine::Ri => ModemLine::Ri,
    };
    let door = |door: &config::Door| -> Result<DoorSettings, NoUsbAddress> {
        let address = address(&door.port)?;
        Ok(DoorSettings { address, line: line(door.line), closed_when_up: door.closed_when_up })
    };
    let presence = |presence: &config::Presence| -> Result<PresenceSettings, NoUsbAddress> {
        let address = address(&presence.port)?;
        Ok(PresenceSettings { address, within_cm: presence.within_cm, hold: presence.hold })
    };
    let scanner = |scanner: &config::Scanner| -> Result<Option<ScannerSettings>, NoUsbAddress> {
        let Some(port) = &scanner.port else { return Ok(None) };
        Ok(Some(ScannerSettings { address: address(port)?, baud: scanner.baud, accept: accept(scanner) }))
    };
    Ok(fixtures::Settings {
        card_reader: all.card_reader.as_ref().map(|reader| reader.name.clone()),
        light: all.light.as_ref().map(|light| light.usb.parse()).transpose()?,
        door: all.door.as_ref().map(door).transpose()?,
        presence: all.presence.as_ref().map(presence).transpose()?,
        scanner: all.scanner.as_ref().map(scanner).transpose()?.flatten(),
    })
}

/// Which identities are taken from codes.
pub fn accept(scanner: &config::Scanner) -> Accept {
    if scanner.takes_tests { Accept::TestsToo } else { Accept::Real }
}

/// Where receipts are printed, and on what paper.
///
/// # Errors
/// A USB address that is none.
pub fn receipt_printer(printer: &config::ReceiptPrinter) -> Result<(PrinterAddress, Paper), NoUsbAddress> {
    let at = match &printer.at {
        config::PrinterPort::Serial { port, baud } => PrinterAddress::Serial { address: address(port)?, baud: *baud },
        config::PrinterPort::File(path) => PrinterAddress::File(path.clone()),
        config::PrinterPort::Network(host) => PrinterAddress::Network(host.clone()),
    };
    let paper = if printer.is_wide { Paper::WIDE } else { Paper::NARROW };
    let code_page = if printer.is_windows { CodePage::Cp1252 } else { CodePage::Cp858 };
    Ok((at, Paper { code_page, cuts: printer.cuts, ..paper }))
}
