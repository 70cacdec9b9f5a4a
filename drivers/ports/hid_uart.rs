//! A serial line behind a USB HID chip (Silicon Labs CP2110): no tty, spoken to with `rusb`.
//!
//! Source: `devices.md` 1, and Silicon Labs AN434 "CP2110/4 Interface Specification" as pySerial's `protocol_cp2110`
//! reads it; seen with a simulated chip only (confidence B). The chip is set by feature reports; bytes travel in
//! interrupt reports whose number is how many there are, 1 to 63.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use super::tty::NotOpened;
use super::usb::{self, Incoming, Interface, Report};
use crate::{Line, Parity};

/// Feature reports.
const UART_ENABLE: u8 = 0x41;
const PURGE_FIFOS: u8 = 0x43;
const UART_CONFIG: u8 = 0x50;
/// Both, to the device and from it.
const PURGE_BOTH: u8 = 3;

/// Most bytes in one report.
const REPORT_MAX: usize = 63;

/// An open chip. Dropped, the kernel has its driver back.
pub(crate) struct HidUart {
    interface: Arc<Interface>,
    incoming: Incoming,
}

impl HidUart {
    /// Opens the device of that file under /dev/bus/usb.
    pub(crate) fn open(path: &Path, line: Line) -> Result<HidUart, NotOpened> {
        let interface = Arc::new(Interface::open(path)?);
        let failed = |error| usb::not_opened(path, error);
        if !interface.has_endpoint_out() {
            return Err(failed(rusb::Error::NotFound));
        }
        set(&interface, line).map_err(failed)?;
        let incoming = Incoming::start(interface.clone(), REPORT_MAX + 1, |report, _| bytes_of(report))?;
        Ok(HidUart { interface, incoming })
    }

    /// See [`Incoming::read`].
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }

    /// Writes a command. A chip that does not take it drops it: the protocol asks again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(REPORT_MAX) {
            let number = part.len() as u8; // at most 63
            if !self.interface.write(&[&[number], part].concat())? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl AsRawFd for HidUart {
    fn as_raw_fd(&self) -> RawFd {
        self.incoming.as_raw_fd()
    }
}

/// Sets the line, forgets what waited in the chip (it may be an earlier patient's), switches it on.
fn set(chip: &Interface, line: Line) -> rusb::Result<()> {
    let set = |report: &[u8]| chip.set_report(Report::Feature, report[0], report);
    set(&config(line))?;
    set(&[UART_ENABLE, 1])?;
    set(&[PURGE_FIFOS, PURGE_BOTH])
}

/// The report that sets the line.
fn config(line: Line) -> [u8; 9] {
    let [a, b, c, d] = line.baud.to_be_bytes();
    let parity = match line.parity {
        Parity::None => 0,
        Parity::Odd => 2,
    };
    // No flow control, 8 data bits, 1 stop bit.
    [UART_CONFIG, a, b, c, d, parity, 0, 3, 0]
}

/// The bytes of a data report; none of any other, or of one that is cut.
fn bytes_of(report: &[u8]) -> &[u8] {
    match report {
        [number, bytes @ ..] if (1..=REPORT_MAX).contains(&usize::from(*number)) => {
            bytes.get(..usize::from(*number)).unwrap_or_default()
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_set_as_the_model_says() {
        assert_eq!(config(Line::at(19_200)), [0x50, 0x00, 0x00, 0x4B, 0x00, 0, 0, 3, 0]);
        let odd = Line { baud: 115_200, parity: Parity::Odd };
        assert_eq!(config(odd), [0x50, 0x00, 0x01, 0xC2, 0x00, 2, 0, 3, 0]);
    }

    #[test]
    fn only_whole_data_reports_carry_bytes() {
        assert_eq!(bytes_of(&[2, 0x51, 0x22]), [0x51, 0x22]);
        // The chip pads to the size of its packet.
        assert_eq!(bytes_of(&[2, 0x51, 0x22, 0, 0]), [0x51, 0x22]);
        assert!(bytes_of(&[]).is_empty() && bytes_of(&[0, 1]).is_empty());
        assert!(bytes_of(&[3, 0x51, 0x22]).is_empty(), "cut");
        for number in 64..=255 {
            let mut report = [7; 256];
            report[0] = number;
            assert!(bytes_of(&report).is_empty(), "{number} is no data report");
        }
    }
}
