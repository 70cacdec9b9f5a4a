//! An interface of a USB device, taken from the kernel with `rusb`, and the thread that reads it.
//!
//! `rusb` gives no descriptor that could be waited for beside the port's wake-up: what the thread reads goes into a pipe,
//! and the port waits for that. A device that speaks faster than the port takes fills the pipe (64 KiB, pipe(7)); then
//! the thread waits, and the device is not asked for more.

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

/// A class of interface: HID.
const HID: u8 = 3;
/// `SET_REPORT` of the interface (USB HID 1.11, 7.2.2).
const SET_REPORT_TYPE: u8 = 0x21;
const SET_REPORT: u8 = 0x09;

/// A device answers a control request within that time, or is not there.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// A device that takes no bytes for that time has lost them: the protocol asks again.
const WRITE_MAX: Duration = Duration::from_millis(200);
/// One reading lasts that long when nothing comes; so long can the closing take.
pub(crate) const READ_MAX: Duration = Duration::from_millis(250);

/// Which kind of report is set.
#[derive(Clone, Copy)]
pub(crate) enum Report {
    Output = 2,
    Feature = 3,
}

/// A claimed HID interface. Dropped, the kernel has its driver back.
pub(crate) struct Interface {
    handle: DeviceHandle<Context>,
    number: u8,
    endpoint_in: u8,
    /// Bytes of one packet in.
    packet_bytes: usize,
    /// `None`: what it is sent goes as a control request (USB HID 1.11, 4.4).
    endpoint_out: Option<u8>,
}

/// Why the device of that file did not open.
pub(crate) fn not_opened(path: &Path, error: rusb::Error) -> NotOpened {
    let refused = |remedy| NotOpened::Refused { path: path.to_owned(), remedy };
    match error {
        rusb::Error::Access => refused(Remedy::Permission),
        rusb::Error::Busy => refused(Remedy::Held),
        // Stalled, or without the interface: it is another device.
        rusb::Error::Pipe | rusb::Error::NotFound => refused(Remedy::NotAPort),
        _ => NotOpened::Missing,
    }
}

impl Interface {
    /// Opens the device of that file under /dev/bus/usb and takes its HID interface from the kernel.
    pub(crate) fn open(path: &Path) -> Result<Interface, NotOpened> {
        let failed = |error| not_opened(path, error);
        let context = Context::new().map_err(failed)?;
        let devices = context.devices().map_err(failed)?;
        let device = devices.iter().find(|device| find::usb_file(device.bus_number(), device.address()) == path);
        Self::claim(&device.ok_or(NotOpened::Missing)?).map_err(failed)
    }

    fn claim(device: &Device<Context>) -> rusb::Result<Interface> {
        let configuration = device.active_config_descriptor()?;
        let settings = configuration.interfaces().flat_map(|interface| interface.descriptors().collect::<Vec<_>>());
        for setting in settings.filter(|setting| setting.class_code() == HID) {
            let endpoint = |direction| {
                let interrupt = |e: &rusb::EndpointDescriptor| {
                    e.transfer_type() == TransferType::Interrupt && e.direction() == direction
                };
                setting.endpoint_descriptors().find(interrupt).map(|e| (e.address(), e.max_packet_size()))
            };
            let Some((endpoint_in, packet_bytes)) = endpoint(Direction::In) else { continue };
            let handle = device.open()?;
            let number = setting.interface_number();
            // usbhid has it until we close and again from then on, even if a cabin was killed in between.
            handle.set_auto_detach_kernel_driver(true)?;
            handle.claim_interface(number)?;
            let endpoint_out = endpoint(Direction::Out).map(|(address, _)| address);
            return Ok(Interface { handle, number, endpoint_in, packet_bytes: packet_bytes.into(), endpoint_out });
        }
        Err(rusb::Error::NotFound)
    }

    /// Whether the device has an endpoint to be written to.
    pub(crate) fn has_endpoint_out(&self) -> bool {
        self.endpoint_out.is_some()
    }

    /// Sets a report by a control request. `number` 0: the device numbers none.
    pub(crate) fn set_report(&self, kind: Report, number: u8, report: &[u8]) -> rusb::Result<()> {
        let value = (kind as u16) << 8 | u16::from(number);
        self.handle.write_control(SET_REPORT_TYPE, SET_REPORT, value, self.number.into(), report, ANSWER_MAX).map(drop)
    }

    /// Sends an output report. False: the device did not take it. An error: it has gone.
    pub(crate) fn write(&self, report: &[u8]) -> io::Result<bool> {
        let written = match self.endpoint_out {
            Some(endpoint) => self.handle.write_interrupt(endpoint, report, WRITE_MAX).map(drop),
            None => return self.request(Report::Output, report),
        };
        taken(written)
    }

    /// [`Interface::set_report`] of a device that numbers none. False: the device refused it. An error: it has gone.
    pub(crate) fn request(&self, kind: Report, report: &[u8]) -> io::Result<bool> {
        match self.set_report(kind, 0, report) {
            // A refused control request is over with its refusal (USB 2.0, 8.5.3.4): the device is still there.
            Err(rusb::Error::Pipe) => Ok(false),
            other => taken(other),
        }
    }

    /// Room for one report in: a transfer of whole packets ends with the report, since a shorter packet ends it.
    fn room(&self, report_bytes: usize) -> usize {
        let packet = self.packet_bytes.max(1);
        report_bytes.div_ceil(packet) * packet
    }

    fn read_until(&self, closing: &AtomicBool, report_bytes: usize, bytes_of: BytesOf, mut pipe: PipeWriter) {
        let mut report = vec![0; self.room(report_bytes)];
        while !closing.load(Ordering::SeqCst) {
            match self.handle.read_interrupt(self.endpoint_in, &mut report, READ_MAX) {
                Ok(count) => {
                    if pipe.write_all(bytes_of(&report[..count], report_bytes)).is_err() {
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

/// What of a report in is the protocol's, given how long one is.
type BytesOf = fn(&[u8], usize) -> &[u8];

/// The reading thread of an interface. Ends when the device has gone, or when dropped.
pub(crate) struct Incoming {
    /// `None` only while it closes.
    pipe: Option<PipeReader>,
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Incoming {
    /// Reads reports of at most `report_bytes`.
    pub(crate) fn start(
        interface: Arc<Interface>,
        report_bytes: usize,
        bytes_of: BytesOf,
    ) -> Result<Incoming, NotOpened> {
        Self::spawn(move |closing, pipe| interface.read_until(closing, report_bytes, bytes_of, pipe))
    }

    /// `read` is the thread: it writes what it reads into the pipe until it is told to close.
    pub(crate) fn spawn(read: impl FnOnce(&AtomicBool, PipeWriter) + Send + 'static) -> Result<Incoming, NotOpened> {
        let (reader, writer) = io::pipe().map_err(|_| NotOpened::Missing)?;
        let closing = Arc::new(AtomicBool::new(false));
        let closing_inside = closing.clone();
        let thread = std::thread::Builder::new()
            .name("port usb".into())
            .spawn(move || read(&closing_inside, writer))
            .map_err(|_| NotOpened::Missing)?;
        Ok(Incoming { pipe: Some(reader), closing, reader: Some(thread) })
    }

    /// Reads what is there, to be called when [`AsRawFd`] is readable. An error: the device has gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        match pipe.read(buffer) {
            // The reading thread has ended.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        }
    }
}

impl AsRawFd for Incoming {
    fn as_raw_fd(&self) -> RawFd {
        // poll(2) passes over a negative descriptor.
        self.pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // The thread may be waiting for room in the pipe: without this end it waits no longer.
        self.pipe = None;
        if let Some(reader) = self.reader.take()
            && reader.join().is_err()
        {
            tracing::error!("the thread that reads a USB device panicked");
        }
        // The last to hold the interface drops it: `rusb` gives it up, `libusb` gives the kernel its driver back.
    }
}

fn taken(written: rusb::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if is_passing(error) => Ok(false),
        Err(error) => Err(io::Error::other(error)),
    }
}

pub(crate) fn is_passing(error: rusb::Error) -> bool {
    matches!(error, rusb::Error::Timeout | rusb::Error::Interrupted)
}
