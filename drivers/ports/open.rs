//! An open device, whatever carries its bytes.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::find::{self, Address, Found};
use super::hid_uart::HidUart;
use super::tty::{NotOpened, Tty};
use crate::{Model, Transport};

const NOT_OVER_USB: &str = "this model is not read over USB HID: correct the configuration";
const SEVERAL: &str =
    "several such devices are plugged in: name one in the configuration, as cabinctl device list shows it";

/// Closed when dropped.
pub(crate) enum Open {
    Tty(Tty),
    HidUart(HidUart),
}

impl Open {
    /// Opens the model at that address, and says what was opened.
    pub(crate) fn open(address: &Address, model: &Model) -> Result<(Open, Found), NotOpened> {
        let Address::Usb(usb) = address else {
            let found = find::resolve(address).ok_or(NotOpened::Missing)?;
            return Ok((Open::Tty(Tty::open(&found.path, model.line)?), found));
        };
        let devices = find::usb_devices(usb);
        let refused =
            |found: &Found, remedy: &str| NotOpened::Refused { path: found.path.clone(), remedy: remedy.to_owned() };
        match &devices[..] {
            [] => Err(NotOpened::Missing),
            [found] if !model.speaks_over(Transport::HidUart) => Err(refused(found, NOT_OVER_USB)),
            [found] => Ok((Open::HidUart(HidUart::open(&found.path, model.line)?), found.clone())),
            [first, ..] => Err(refused(first, SEVERAL)),
        }
    }

    /// Reads what is there. `Ok(0)`: nothing now. An error: the device has gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Open::Tty(tty) => tty.read(buffer),
            Open::HidUart(chip) => chip.read(buffer),
        }
    }

    /// Writes a command; what the device does not take is dropped. An error: the device has gone.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Open::Tty(tty) => tty.write(bytes),
            Open::HidUart(chip) => chip.write(bytes),
        }
    }
}

impl AsRawFd for Open {
    /// Readable when [`Open::read`] has something to say.
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Open::Tty(tty) => tty.as_raw_fd(),
            Open::HidUart(chip) => chip.as_raw_fd(),
        }
    }
}
