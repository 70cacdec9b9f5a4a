//! Simulated devices on USB: this machine's own kernel enumerates them on the virtual ports of `vhci_hcd`, binds its
//! drivers and gives them to programs as it does with what is on a cable.
//!
//! What is not simulated is the pace of the bus: a transfer is done as soon as it can be, but for a device that streams,
//! which keeps its own.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd};

mod acm;
mod camera;
mod cp2110;
pub(crate) mod ftdi;
pub(crate) mod hid;
pub(crate) mod phdc;
mod stethoscope;
pub(crate) mod stream;
mod urb;

use cp2110::Cp2110;
use hid::Answer;
use urb::{Ask, Submit};

use crate::Heard;

const VHCI: &str = "/sys/devices/platform/vhci_hcd.0";
/// In the kernel's list of its ports: nothing is plugged in.
const FREE: &str = "004";
/// `USB_SPEED_FULL`: 12 Mbit/s.
const FULL_SPEED: u8 = 2;
/// The kernel lets go of a port within some milliseconds; never more than that.
const FREE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Transfers in that wait for bytes: a host has one or two.
const WAITING_MAX: usize = 64;

/// How a model is plugged into USB.
#[derive(Clone, Copy)]
pub(crate) enum Plug {
    /// By a cable with a CP2110 in it, in front of a serial line of that speed.
    HidUart { baud: u32 },
    /// By a serial adapter (FT232BM) whose modem lines it joins.
    Ftdi,
    /// By a serial adapter (FT232BM) on whose line it is.
    FtdiLine,
    /// It is a serial port itself.
    Acm,
    /// It speaks HID itself.
    Hid(&'static hid::Kind),
    /// It is a personal health device.
    Phdc(&'static phdc::Kind),
}

/// A device's side of its plug, with power.
trait Function: Send {
    /// A request of endpoint 0. What it means to the device goes to `heard`.
    fn control(&mut self, setup: [u8; 8], data: &[u8], heard: &mut Vec<Heard>) -> Answer;
    /// The host has sent that to the endpoint out.
    fn sent(&mut self, data: &[u8], heard: &mut Vec<Heard>);
    /// The device says something.
    fn receive(&mut self, bytes: &[u8]);
    /// The next report for the host, if there is one.
    fn report(&mut self) -> Option<Vec<u8>>;
    /// The endpoint in halts: it stalls until the host clears it. Not every device does.
    fn halt(&mut self) {}
    /// The endpoint in has halted.
    fn is_halted(&self) -> bool {
        false
    }
}

/// A device in a USB port. Unplugged when dropped.
pub(crate) struct Usb {
    port: u8,
    kernel: UnixStream,
    function: Box<dyn Function>,
    /// Bytes of the kernel, until a whole message is there.
    input: Vec<u8>,
    /// Numbers of the transfers in that wait for bytes, and how many bytes each takes.
    waiting: Vec<(u32, usize)>,
    /// The kernel has closed its end.
    is_out: bool,
}

impl Usb {
    /// Plugs it into the virtual port: the kernel begins to ask at once.
    pub(crate) fn plug(port: u8, plug: Plug) -> io::Result<Usb> {
        wait_until_free(port)?;
        let (kernel, theirs) = UnixStream::pair()?;
        kernel.set_nonblocking(true)?;
        // Any number but 0, another for each port: bus 1, device.
        let device = 0x1_0001 + u32::from(port);
        let order = format!("{port} {} {device} {FULL_SPEED}", theirs.as_raw_fd());
        fs::write(format!("{VHCI}/attach"), order)?;
        let function: Box<dyn Function> = match plug {
            Plug::HidUart { baud } => Box::new(Cp2110::new(baud)),
            Plug::Ftdi => Box::new(ftdi::Ftdi::with_contact()),
            Plug::FtdiLine => Box::new(ftdi::Ftdi::with_line()),
            Plug::Acm => Box::new(acm::Acm::new()),
            Plug::Hid(kind) => Box::new(hid::Reports::new(kind)),
            Plug::Phdc(kind) => Box::new(phdc::Phdc::new(kind)),
        };
        Ok(Usb { port, kernel, function, input: Vec::new(), waiting: Vec::new(), is_out: false })
    }

    /// The kernel has let go of it: nothing more can come.
    pub(crate) fn is_out(&self) -> bool {
        self.is_out
    }

    /// Does what the kernel asks; gives what came for the device.
    pub(crate) fn read(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.kernel.read(&mut buffer) {
                Ok(0) => {
                    self.is_out = true;
                    break;
                }
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
            loop {
                match urb::take(&mut self.input) {
                    Ok(Some(ask)) => self.answer(ask, &mut heard),
                    Ok(None) => break,
                    Err(_) => {
                        // Nothing that follows can be understood: the kernel sees it unplugged.
                        self.input.clear();
                        let _ = self.kernel.shutdown(Shutdown::Both);
                        break;
                    }
                }
            }
        }
        heard
    }

    /// What the device says.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.function.receive(bytes);
        self.deliver();
    }

    /// The endpoint in halts: what the host waits for stalls.
    pub(crate) fn halt(&mut self) {
        self.function.halt();
        if self.function.is_halted() {
            for (number, _) in std::mem::take(&mut self.waiting) {
                self.say(&urb::submitted(number, urb::STALL, 0, &[]));
            }
        }
    }

    fn answer(&mut self, ask: Ask, heard: &mut Vec<Heard>) {
        let answer = match ask {
            Ask::Unlink { number, of } => {
                let at = self.waiting.iter().position(|(waiting, _)| *waiting == of);
                urb::unlinked(number, at.map(|at| self.waiting.remove(at)).is_some())
            }
            Ask::Submit(Submit { number, endpoint: 0, is_in, setup, length, data }) => {
                match self.function.control(setup, &data, heard) {
                    Ok(answer) if is_in => urb::submitted(number, 0, answer.len(), &answer),
                    Ok(_) => urb::submitted(number, 0, length, &[]),
                    Err(status) => urb::submitted(number, status, 0, &[]),
                }
            }
            Ask::Submit(Submit { number, endpoint: 1, is_in: false, data, .. }) => {
                self.function.sent(&data, heard);
                urb::submitted(number, 0, data.len(), &[])
            }
            Ask::Submit(Submit { number, endpoint: 1, is_in: true, length, .. })
                if self.waiting.len() < WAITING_MAX && !self.function.is_halted() =>
            {
                // Not answered while there is nothing: the "not now" (NAK) of a USB device.
                self.waiting.push((number, length));
                return self.deliver();
            }
            // An endpoint that has something to say once in a lifetime: the host waits.
            Ask::Submit(Submit { endpoint: 2, is_in: true, .. }) => return,
            Ask::Submit(Submit { number, .. }) => urb::submitted(number, urb::STALL, 0, &[]),
        };
        self.say(&answer);
    }

    fn deliver(&mut self) {
        while !self.waiting.is_empty()
            && let Some(mut report) = self.function.report()
        {
            let (number, most) = self.waiting.remove(0);
            report.truncate(most);
            self.say(&urb::submitted(number, 0, report.len(), &report));
        }
    }

    fn say(&mut self, message: &[u8]) {
        // The kernel takes at once what it is sent; a socket that is full or closed is a cable that is out.
        if self.kernel.write_all(message).is_err() {
            let _ = self.kernel.shutdown(Shutdown::Both);
        }
    }
}

impl AsFd for Usb {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

impl Drop for Usb {
    fn drop(&mut self) {
        let _ = self.kernel.shutdown(Shutdown::Both);
        // Once this has ended the host has been told, as when a hand has pulled the cable.
        let _ = wait_until_free(self.port);
    }
}

/// Waits until nothing is in the virtual port. Nothing tells when: the kernel's list is read.
fn wait_until_free(port: u8) -> io::Result<()> {
    let give_up_at = Instant::now() + FREE_WITHIN;
    loop {
        // "hs  0000 004 000 00000000 000000 0-0": hub, port, state.
        let list = fs::read_to_string(format!("{VHCI}/status"))?;
        let state = list.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            (words.next()?.parse() == Ok(port)).then(|| words.next()).flatten()
        });
        match state {
            Some(FREE) => return Ok(()),
            None => return Err(io::Error::other(format!("vhci_hcd has no port {port}"))),
            Some(_) if Instant::now() >= give_up_at => {
                return Err(io::Error::other(format!("port {port} of vhci_hcd is taken")));
            }
            // The kernel tells nobody when a port is free: its list is read again.
            Some(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
