//! A personal health device on USB: bytes to it and from it over two bulk endpoints.
//!
//! Source: USB Device Class Definition for Personal Healthcare Devices 1.0: 4 (descriptors), 5 (requests), 6 (data).
//! A message of the device comes in as many packets as it needs; where one ends is for the protocol to see, which reads
//! its length. Metadata before the messages is off unless a host asks for it, and is not asked for.

use std::io::{self, PipeWriter, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusb::{Context, Device, DeviceHandle, Direction, TransferType, UsbContext as _};

use super::find;
use super::tty::NotOpened;
use super::usb::{Incoming, READ_MAX, is_passing, not_opened};

/// Class of interface: personal healthcare.
const PERSONAL_HEALTHCARE: u8 = 0x0F;
/// Class of the maker's own: Accu-Chek meters speak so in it.
const OF_THE_MAKER: u8 = 0xFF;
/// `GET_STATUS` of a personal healthcare interface: which endpoints have data waiting.
const STATUS_OF_INTERFACE: u8 = 0xA1;
/// `GET_STATUS` of the device, which an Accu-Chek meter wants to hear before it speaks.
const STATUS_OF_DEVICE: u8 = 0x80;
const GET_STATUS: u8 = 0;

/// A device answers a control request within that time.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// A device that takes no message for that long has lost it: the protocol breaks the association off.
const WRITE_MAX: Duration = Duration::from_millis(500);
/// An endpoint that halts so often without a byte in between is broken, and the device counts as gone.
const HALTS_MAX: u8 = 8;

/// An open device.
pub(crate) struct Phdc {
    interface: Arc<Interface>,
    incoming: Incoming,
}

struct Interface {
    handle: DeviceHandle<Context>,
    endpoint_in: u8,
    endpoint_out: u8,
    /// Bytes of a packet in, and of one out.
    packets: [usize; 2],
}

impl Phdc {
    /// Opens the device of that file under /dev/bus/usb.
    pub(crate) fn open(path: &Path) -> Result<Phdc, NotOpened> {
        let failed = |error| not_opened(path, error);
        let context = Context::new().map_err(failed)?;
        let devices = context.devices().map_err(failed)?;
        let device = devices.iter().find(|device| find::usb_file(device.bus_number(), device.address()) == path);
        let interface = Arc::new(Interface::claim(&device.ok_or(NotOpened::Missing)?).map_err(failed)?);
        let reading = interface.clone();
        let incoming = Incoming::spawn(move |closing, pipe| reading.read_until(closing, pipe))?;
        Ok(Phdc { interface, incoming })
    }

    /// See [`Incoming::read`].
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }

    /// Sends a whole message.
    pub(crate) fn write(&mut self, message: &[u8]) -> io::Result<()> {
        self.interface.write(message)
    }
}

impl AsRawFd for Phdc {
    fn as_raw_fd(&self) -> RawFd {
        self.incoming.as_raw_fd()
    }
}

impl Interface {
    fn claim(device: &Device<Context>) -> rusb::Result<Interface> {
        let configuration = device.active_config_descriptor()?;
        let settings: Vec<_> = configuration.interfaces().flat_map(|i| i.descriptors().collect::<Vec<_>>()).collect();
        for class in [PERSONAL_HEALTHCARE, OF_THE_MAKER] {
            for setting in settings.iter().filter(|setting| setting.class_code() == class) {
                let endpoint = |direction| {
                    let is_it = |e: &rusb::EndpointDescriptor| {
                        e.transfer_type() == TransferType::Bulk && e.direction() == direction
                    };
                    setting.endpoint_descriptors().find(is_it).map(|e| (e.address(), usize::from(e.max_packet_size())))
                };
                let (Some((endpoint_in, bytes_in)), Some((endpoint_out, bytes_out))) =
                    (endpoint(Direction::In), endpoint(Direction::Out))
                else {
                    continue;
                };
                let handle = device.open()?;
                let number = setting.interface_number();
                // No driver of the kernel binds that class; one of a maker's own class may be bound.
                handle.set_auto_detach_kernel_driver(true)?;
                handle.claim_interface(number)?;
                let kind = if class == PERSONAL_HEALTHCARE { STATUS_OF_INTERFACE } else { STATUS_OF_DEVICE };
                let index = if class == PERSONAL_HEALTHCARE { u16::from(number) } else { 0 };
                match handle.read_control(kind, GET_STATUS, 0, index, &mut [0; 2], ANSWER_MAX) {
                    // What waits is read anyway; a device that does not know the request speaks all the same.
                    Ok(_) | Err(rusb::Error::Pipe | rusb::Error::Timeout) => {}
                    Err(error) => return Err(error),
                }
                return Ok(Interface {
                    handle,
                    endpoint_in,
                    endpoint_out,
                    packets: [bytes_in.max(1), bytes_out.max(1)],
                });
            }
        }
        Err(rusb::Error::NotFound)
    }

    fn write(&self, message: &[u8]) -> io::Result<()> {
        let mut written = self.handle.write_bulk(self.endpoint_out, message, WRITE_MAX);
        if written == Err(rusb::Error::Pipe) {
            self.handle.clear_halt(self.endpoint_out).map_err(io::Error::other)?;
            written = self.handle.write_bulk(self.endpoint_out, message, WRITE_MAX);
        }
        // A message of whole packets only ends with an empty one.
        if written.is_ok() && message.len().is_multiple_of(self.packets[1]) {
            written = self.handle.write_bulk(self.endpoint_out, &[], WRITE_MAX);
        }
        match written {
            Ok(_) => Ok(()),
            Err(error) if is_passing(error) || error == rusb::Error::Pipe => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The reading thread. One packet a transfer: a message of whole packets, after which none may follow, is not
    /// waited behind.
    fn read_until(&self, closing: &AtomicBool, mut pipe: PipeWriter) {
        let mut packet = vec![0; self.packets[0]];
        let mut halts = 0;
        while !closing.load(Ordering::SeqCst) {
            match self.handle.read_bulk(self.endpoint_in, &mut packet, READ_MAX) {
                Ok(count) => {
                    halts = 0;
                    if pipe.write_all(&packet[..count]).is_err() {
                        return;
                    }
                }
                Err(rusb::Error::Pipe) if halts < HALTS_MAX => {
                    halts += 1;
                    if self.handle.clear_halt(self.endpoint_in).is_err() {
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
