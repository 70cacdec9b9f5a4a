//! Simulated devices on USB: this machine's own kernel enumerates them on the virtual ports of `vhci_hcd`, binds its
//! drivers and gives them to programs as it does with what is on a cable.
//!
//! What is not simulated is the pace of the bus: a transfer is done as soon as it can be.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd};

mod cp2110;
mod urb;

use cp2110::Cp2110;
use urb::{Ask, Submit};

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

/// A cable between a device's serial line and a USB port, with a CP2110 in it. Unplugged when dropped.
pub(crate) struct HidUart {
    port: u8,
    kernel: UnixStream,
    chip: Cp2110,
    /// Bytes of the kernel, until a whole message is there.
    input: Vec<u8>,
    /// Numbers of the transfers in that wait for bytes, and how many bytes each takes.
    waiting: Vec<(u32, usize)>,
    /// The kernel has closed its end.
    is_out: bool,
}

impl HidUart {
    /// Plugs it into the virtual port: the kernel begins to ask at once.
    pub(crate) fn plug(port: u8, baud: u32) -> io::Result<HidUart> {
        wait_until_free(port)?;
        let (kernel, theirs) = UnixStream::pair()?;
        kernel.set_nonblocking(true)?;
        // Any number but 0, another for each port: bus 1, device.
        let device = 0x1_0001 + u32::from(port);
        let order = format!("{port} {} {device} {FULL_SPEED}", theirs.as_raw_fd());
        fs::write(format!("{VHCI}/attach"), order)?;
        Ok(HidUart { port, kernel, chip: Cp2110::new(baud), input: Vec::new(), waiting: Vec::new(), is_out: false })
    }

    /// The kernel has let go of it: nothing more can come.
    pub(crate) fn is_out(&self) -> bool {
        self.is_out
    }

    /// Does what the kernel asks; gives what came for the device.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
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
                    Ok(Some(ask)) => self.answer(ask, &mut bytes),
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
        bytes
    }

    /// What the device says.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.chip.receive(bytes);
        self.deliver();
    }

    fn answer(&mut self, ask: Ask, bytes: &mut Vec<u8>) {
        let answer = match ask {
            Ask::Unlink { number, of } => {
                let at = self.waiting.iter().position(|(waiting, _)| *waiting == of);
                urb::unlinked(number, at.map(|at| self.waiting.remove(at)).is_some())
            }
            Ask::Submit(Submit { number, endpoint: 0, is_in, setup, length, data }) => {
                match self.chip.control(setup, &data) {
                    Ok(answer) if is_in => urb::submitted(number, 0, answer.len(), &answer),
                    Ok(_) => urb::submitted(number, 0, length, &[]),
                    Err(status) => urb::submitted(number, status, 0, &[]),
                }
            }
            Ask::Submit(Submit { number, endpoint: 1, is_in: false, data, .. }) => {
                bytes.extend(self.chip.sent(&data));
                urb::submitted(number, 0, data.len(), &[])
            }
            Ask::Submit(Submit { number, endpoint: 1, is_in: true, length, .. })
                if self.waiting.len() < WAITING_MAX =>
            {
                // Not answered while there is nothing: the "not now" (NAK) of a USB device.
                self.waiting.push((number, length));
                return self.deliver();
            }
            Ask::Submit(Submit { number, .. }) => urb::submitted(number, urb::STALL, 0, &[]),
        };
        self.say(&answer);
    }

    fn deliver(&mut self) {
        while !self.waiting.is_empty()
            && let Some(mut report) = self.chip.report()
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

impl AsFd for HidUart {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

impl Drop for HidUart {
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
