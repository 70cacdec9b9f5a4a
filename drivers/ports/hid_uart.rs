//! A serial line behind a USB HID chip (Silicon Labs CP2110): no tty, spoken to with `rusb`.
//!
//! Source: `devices.md` 1, and Silicon Labs AN434 "CP2110/4 Interface Specification" as pySerial's `protocol_cp2110`
//! reads it; seen with a simulated chip only (confidence B). The chip is set by feature reports; bytes travel in
//! interrupt reports whose number is how many there are, 1 to 63.
//!
//! A thread reads, for `rusb` gives no descriptor that could be waited for beside the port's wake-up: what it reads
//! goes into a pipe, and the port waits for that. A device that speaks faster than the port takes fills the pipe
//! (64 KiB, pipe(7)); then the thread waits, and the device is not asked for more.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusb::{Context, Device, DeviceHandle, Direction, TransferType, UsbContext as _};

use super::tty::NotOpened;
use super::{Remedy, find};
use crate::Line;

/// Feature reports.
const UART_ENABLE: u8 = 0x41;
const PURGE_FIFOS: u8 = 0x43;
const UART_CONFIG: u8 = 0x50;
/// Both, to the device and from it.
const PURGE_BOTH: u8 = 3;

/// `SET_REPORT` of the interface (USB HID 1.11, 7.2.2), and the kind of a feature report in its value.
const SET_REPORT_TYPE: u8 = 0x21;
const SET_REPORT: u8 = 0x09;
const FEATURE: u16 = 3 << 8;

/// Most bytes in one report.
const REPORT_MAX: usize = 63;
/// A class of interface: HID.
const HID: u8 = 3;

/// The chip answers a setting within that time, or is not there.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// A chip that takes no bytes for that time has lost them: the protocol asks again.
const WRITE_MAX: Duration = Duration::from_millis(200);
/// One reading lasts that long when nothing comes; so long can the closing take.
const READ_MAX: Duration = Duration::from_millis(250);

/// An open chip. Dropped, the kernel has its driver back.
pub(crate) struct HidUart {
    chip: Arc<Chip>,
    /// `None` only while it closes.
    incoming: Option<PipeReader>,
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

struct Chip {
    handle: DeviceHandle<Context>,
    interface: u8,
    endpoint_in: u8,
    endpoint_out: u8,
}

impl HidUart {
    /// Opens the device of that file under /dev/bus/usb.
    pub(crate) fn open(path: &Path, line: Line) -> Result<HidUart, NotOpened> {
        let refused = |remedy| NotOpened::Refused { path: path.to_owned(), remedy };
        let failed = |error: rusb::Error| match error {
            rusb::Error::Access => refused(Remedy::Permission),
            rusb::Error::Busy => refused(Remedy::Held),
            // Stalled: it does not know the chip's reports.
            rusb::Error::Pipe | rusb::Error::NotFound => refused(Remedy::NotAPort),
            _ => NotOpened::Missing,
        };
        let chip = Arc::new(Chip::open(path).map_err(failed)?.ok_or(NotOpened::Missing)?);
        chip.set(line).map_err(failed)?;
        let (incoming, pipe) = io::pipe().map_err(|_| NotOpened::Missing)?;
        let closing = Arc::new(AtomicBool::new(false));
        let (chip_inside, closing_inside) = (chip.clone(), closing.clone());
        let reader = std::thread::Builder::new()
            .name("port usb".into())
            .spawn(move || chip_inside.read_until(&closing_inside, pipe))
            .map_err(|_| NotOpened::Missing)?;
        Ok(HidUart { chip, incoming: Some(incoming), closing, reader: Some(reader) })
    }

    /// Reads what is there, to be called when [`AsRawFd`] is readable. An error: the device has gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(incoming) = &mut self.incoming else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        match incoming.read(buffer) {
            // The reading thread has ended.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        }
    }

    /// Writes a command. A chip that does not take it drops it: the protocol asks again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(REPORT_MAX) {
            let number = part.len() as u8; // at most 63
            let report = [&[number], part].concat();
            match self.chip.handle.write_interrupt(self.chip.endpoint_out, &report, WRITE_MAX) {
                Ok(_) => {}
                Err(error) if is_passing(error) => return Ok(()),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }
}

impl AsRawFd for HidUart {
    fn as_raw_fd(&self) -> RawFd {
        // poll(2) passes over a negative descriptor.
        self.incoming.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Drop for HidUart {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // The thread may be waiting for room in the pipe: without this end it waits no longer.
        self.incoming = None;
        if let Some(reader) = self.reader.take()
            && reader.join().is_err()
        {
            tracing::error!("the thread that reads a USB device panicked");
        }
        // The last to hold the chip drops it: `rusb` gives the interface up, `libusb` gives the kernel its driver back.
    }
}

impl Chip {
    /// Opens the device of that file and takes its interface from the kernel. `None`: it has just gone.
    fn open(path: &Path) -> rusb::Result<Option<Chip>> {
        let context = Context::new()?;
        let devices = context.devices()?;
        let Some(device) = devices.iter().find(|device| find::usb_file(device.bus_number(), device.address()) == path)
        else {
            return Ok(None);
        };
        let (interface, endpoint_in, endpoint_out) = interface(&device)?;
        let handle = device.open()?;
        // usbhid has it until we close and again from then on, even if a cabin was killed in between.
        handle.set_auto_detach_kernel_driver(true)?;
        handle.claim_interface(interface)?;
        Ok(Some(Chip { handle, interface, endpoint_in, endpoint_out }))
    }

    /// Sets the line, forgets what waited in the chip (it may be an earlier patient's), switches it on.
    fn set(&self, line: Line) -> rusb::Result<()> {
        let [a, b, c, d] = line.baud.to_be_bytes();
        // No parity, no flow control, 8 data bits, 1 stop bit.
        self.set_feature(&[UART_CONFIG, a, b, c, d, 0, 0, 3, 0])?;
        self.set_feature(&[UART_ENABLE, 1])?;
        self.set_feature(&[PURGE_FIFOS, PURGE_BOTH])
    }

    fn set_feature(&self, report: &[u8]) -> rusb::Result<()> {
        let value = FEATURE | u16::from(report[0]);
        self.handle
            .write_control(SET_REPORT_TYPE, SET_REPORT, value, self.interface.into(), report, ANSWER_MAX)
            .map(drop)
    }

    /// The reading thread: ends when the device has gone, or the port closes; then the pipe does.
    fn read_until(&self, closing: &AtomicBool, mut pipe: PipeWriter) {
        let mut report = [0; REPORT_MAX + 1];
        while !closing.load(Ordering::SeqCst) {
            match self.handle.read_interrupt(self.endpoint_in, &mut report, READ_MAX) {
                Ok(count) => {
                    if pipe.write_all(bytes_of(&report[..count])).is_err() {
                        return;
                    }
                }
                Err(error) if is_passing(error) => {}
                // `NoDevice` or `Io`, as the kernel's driver of the USB port has it: unplugged.
                Err(_) => return,
            }
        }
    }
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

/// The HID interface of a device, and its two interrupt endpoints.
fn interface(device: &Device<Context>) -> rusb::Result<(u8, u8, u8)> {
    let configuration = device.active_config_descriptor()?;
    let settings = configuration.interfaces().flat_map(|interface| interface.descriptors().collect::<Vec<_>>());
    for setting in settings.filter(|setting| setting.class_code() == HID) {
        let endpoint = |direction| {
            setting
                .endpoint_descriptors()
                .find(|e| e.transfer_type() == TransferType::Interrupt && e.direction() == direction)
                .map(|e| e.address())
        };
        if let (Some(inward), Some(outward)) = (endpoint(Direction::In), endpoint(Direction::Out)) {
            return Ok((setting.interface_number(), inward, outward));
        }
    }
    Err(rusb::Error::NotFound)
}

fn is_passing(error: rusb::Error) -> bool {
    matches!(error, rusb::Error::Timeout | rusb::Error::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

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
