//! What an open device's bytes come through: a tty, a USB chip, a network, or a folder of files.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::Remedy;
use super::find::{self, Address, Found};
use super::folder::Folder;
use super::hid::Hid;
use super::hid_uart::HidUart;
use super::phdc::Phdc;
use super::tcp::Tcp;
use super::tty::{NotOpened, Tty};
use crate::{Model, Transport};

/// Closed when dropped.
pub(crate) enum Cable {
    Tty(Tty),
    HidUart(HidUart),
    Hid(Hid),
    Tcp(Tcp),
    Folder(Folder),
    Phdc(Phdc),
}

impl Cable {
    /// The device is on USB, or at the other end of a connection, itself: not behind an adapter that is there without it.
    pub(crate) fn is_the_device(&self) -> bool {
        matches!(self, Cable::Hid(_) | Cable::Phdc(_) | Cable::Tcp(_))
    }

    /// Opens the model at that address, and says what was opened.
    pub(crate) fn open(address: &Address, model: &Model) -> Result<(Cable, Found), NotOpened> {
        let not_bound_well = |found: &Found| NotOpened::Refused { path: found.path.clone(), remedy: Remedy::NotAPort };
        if model.is_read_from_files() {
            let Address::Path(path) = address else {
                let found = find::resolve(address).ok_or(NotOpened::Missing)?;
                return Err(not_bound_well(&found));
            };
            // Open whether or not a recorder is connected: it is taken off to be used.
            let folder = Folder::open(path).map_err(|_| NotOpened::Missing)?;
            return Ok((Cable::Folder(folder), Found { path: path.clone(), ..Found::default() }));
        }
        let Address::Usb(usb) = address else {
            let found = find::resolve(address).ok_or(NotOpened::Missing)?;
            tracing::debug!(path = %found.path.display(), "found");
            if let Address::Tcp(host) = address {
                return Ok((Cable::Tcp(Tcp::open(host)?), found));
            }
            let line = model.line.ok_or_else(|| not_bound_well(&found))?;
            return Ok((Cable::Tty(Tty::open(&found.path, line)?), found));
        };
        let devices = find::usb_devices(usb);
        let found = match &devices[..] {
            [] => return Err(NotOpened::Missing),
            [found] => found,
            // Which of them is the cabin's is not guessed: another's readings would be the patient's.
            [first, ..] => return Err(not_bound_well(first)),
        };
        tracing::debug!(path = %found.path.display(), "found");
        let cable = match (model.transport(usb.vid, usb.pid), model.line) {
            (Some(Transport::HidUart), Some(line)) => Cable::HidUart(HidUart::open(&found.path, line)?),
            (Some(Transport::PersonalHealth), _) => Cable::Phdc(Phdc::open(&found.path)?),
            (Some(Transport::Hid { report_bytes }), _) => Cable::Hid(Hid::open(&found.path, report_bytes)?),
            _ => return Err(not_bound_well(found)),
        };
        Ok((cable, found.clone()))
    }

    /// Reads what is there. `Ok(0)`: nothing now. An error: the device has gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Cable::Tty(tty) => tty.read(buffer),
            Cable::HidUart(chip) => chip.read(buffer),
            Cable::Hid(device) => device.read(buffer),
            Cable::Tcp(stream) => stream.read(buffer),
            Cable::Folder(folder) => Ok(folder.read(buffer)),
            Cable::Phdc(device) => device.read(buffer),
        }
    }

    /// Writes a command; what the device does not take is dropped. An error: the device has gone.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Cable::Tty(tty) => tty.write(bytes),
            Cable::HidUart(chip) => chip.write(bytes),
            Cable::Hid(device) => device.write(bytes),
            Cable::Tcp(stream) => stream.write(bytes),
            Cable::Folder(folder) => {
                folder.write(bytes);
                Ok(())
            }
            Cable::Phdc(device) => device.write(bytes),
        }
    }

    /// Sets a feature report: of HID devices only. An error: the device has gone.
    pub(crate) fn set_feature(&mut self, report: &[u8]) -> io::Result<()> {
        match self {
            Cable::Hid(device) => device.set_feature(report),
            Cable::Tty(_) | Cable::HidUart(_) | Cable::Tcp(_) | Cable::Folder(_) | Cable::Phdc(_) => Ok(()),
        }
    }
}

impl AsRawFd for Cable {
    /// Readable when [`Cable::read`] has something to say.
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Cable::Tty(tty) => tty.as_raw_fd(),
            Cable::HidUart(chip) => chip.as_raw_fd(),
            Cable::Hid(device) => device.as_raw_fd(),
            Cable::Tcp(stream) => stream.as_raw_fd(),
            Cable::Folder(folder) => folder.as_raw_fd(),
            Cable::Phdc(device) => device.as_raw_fd(),
        }
    }
}
