//! A USB HID device that speaks for itself: one report in is one of the protocol's, bytes out are one report.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use super::tty::NotOpened;
use super::usb::{Incoming, Interface, Report};

/// An open device. Dropped, the kernel has its driver back.
pub(crate) struct Hid {
    interface: Arc<Interface>,
    report_bytes: usize,
    incoming: Incoming,
}

impl Hid {
    /// Opens the device of that file under /dev/bus/usb, which speaks in reports of that many bytes.
    pub(crate) fn open(path: &Path, report_bytes: u8) -> Result<Hid, NotOpened> {
        let (interface, report_bytes) = (Arc::new(Interface::open(path)?), usize::from(report_bytes).max(1));
        let incoming = Incoming::start(interface.clone(), report_bytes, whole)?;
        Ok(Hid { interface, report_bytes, incoming })
    }

    /// See [`Incoming::read`].
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }

    /// Writes a command, filled up with zeros. A device that does not take it drops it: the protocol asks again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(self.report_bytes) {
            let mut report = part.to_vec();
            report.resize(self.report_bytes, 0);
            if !self.interface.write(&report)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sets the device's feature report.
    pub(crate) fn set_feature(&mut self, report: &[u8]) -> io::Result<()> {
        self.interface.request(Report::Feature, report).map(drop)
    }
}

impl AsRawFd for Hid {
    fn as_raw_fd(&self) -> RawFd {
        self.incoming.as_raw_fd()
    }
}

/// A report of another length is not the one that the protocol knows: what it has in common would be read wrong.
fn whole(report: &[u8], report_bytes: usize) -> &[u8] {
    if report.len() == report_bytes { report } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_cut_or_longer_is_none() {
        assert_eq!(whole(&[3, 4, 3, 0xFF, 0x2C, 2], 6), [3, 4, 3, 0xFF, 0x2C, 2]);
        assert!(whole(&[3, 4, 3, 0xFF, 0x2C], 6).is_empty(), "2.2 kg of 55.6");
        assert!(whole(&[4; 8], 6).is_empty());
    }
}
