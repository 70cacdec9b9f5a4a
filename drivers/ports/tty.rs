//! A serial line or pseudo-terminal, raw, never waiting.

use std::io::{self, ErrorKind as Io, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FlockArg, OFlag, fcntl, flock};
use rustix::fs::{Mode, OFlags};
use serialport::{ClearBuffer, DataBits, ErrorKind, FlowControl, Parity, SerialPort as _, StopBits, TTYPort};

use super::Remedy;
use crate::Line;
use crate::fixtures::door_contact::ModemLine;

/// Why a line did not open.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// Not there.
    Missing,
    /// There, but not for us; what a technician does about it.
    Refused { path: PathBuf, remedy: Remedy },
}

/// An open line. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Tty {
    port: TTYPort,
}

impl Tty {
    pub(crate) fn open(path: &Path, line: Line) -> Result<Tty, NotOpened> {
        let refused = |remedy| NotOpened::Refused { path: path.to_owned(), remedy };
        let name = path.to_str().ok_or_else(|| refused(Remedy::NotAPort))?;
        let port = serialport::new(name, line.baud)
            .data_bits(DataBits::Eight)
            .parity(match line.parity {
                crate::Parity::None => Parity::None,
                crate::Parity::Odd => Parity::Odd,
            })
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None)
            .timeout(Duration::ZERO)
            // Not TIOCEXCL, which stays on the line of a cabin that was killed as long as anything else has it open.
            // The shared lock taken here is made our own below, and dies with us.
            .exclusive(false)
            .open_native()
            .map_err(|error| match error.kind() {
                ErrorKind::NoDevice => refused(Remedy::Held),
                ErrorKind::Io(Io::PermissionDenied) => refused(Remedy::Permission),
                ErrorKind::Io(Io::NotFound) => NotOpened::Missing,
                _ => cause(path).map_or(NotOpened::Missing, refused),
            })?;
        let fd = port.as_raw_fd();
        if let Err(Errno::EWOULDBLOCK) = flock(fd, FlockArg::LockExclusiveNonblock) {
            return Err(refused(Remedy::Held));
        }
        // Opened to wait for room when written to: a device that takes nothing would stop this port's thread.
        if fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_err() {
            return Err(NotOpened::Missing);
        }
        // What waited on the line before us may be an earlier patient's.
        let _ = port.clear(ClearBuffer::Input);
        Ok(Tty { port })
    }

    /// Reads what is there. `Ok(0)`: nothing now. An error: the device has gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.port.read(buffer) {
            Ok(0) => Err(Io::UnexpectedEof.into()),
            Ok(count) => Ok(count),
            Err(error) if is_passing(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes a command. A line that takes nothing for its whole buffer drops it: the protocol asks again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.port.write(bytes) {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Tty {
    /// Writes what the line takes now.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.port.write(bytes)
    }

    /// Holds both outputs up: they feed a contact between an output and an input.
    pub(crate) fn feed(&mut self) -> io::Result<()> {
        self.port.write_request_to_send(true)?;
        Ok(self.port.write_data_terminal_ready(true)?)
    }

    /// Whether an input is up. An error: the adapter has gone, or has no modem lines.
    pub(crate) fn is_up(&mut self, line: ModemLine) -> io::Result<bool> {
        Ok(match line {
            ModemLine::Cts => self.port.read_clear_to_send(),
            ModemLine::Dsr => self.port.read_data_set_ready(),
            ModemLine::Dcd => self.port.read_carrier_detect(),
            ModemLine::Ri => self.port.read_ring_indicator(),
        }?)
    }
}

impl AsRawFd for Tty {
    fn as_raw_fd(&self) -> RawFd {
        self.port.as_raw_fd()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), Io::WouldBlock | Io::TimedOut | Io::Interrupted)
}

/// What a technician does about a file that `serialport` did not open and said no more about: `EPERM` of a service's
/// device list, `ENOTTY`, `ENXIO` and `EIO` are one to it. `None`: the device has gone.
fn cause(path: &Path) -> Option<Remedy> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => match rustix::termios::tcgetattr(&file) {
            Ok(_) => Some(Remedy::Speed),
            Err(rustix::io::Errno::NOTTY) => Some(Remedy::NotAPort),
            Err(_) => None,
        },
        Err(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => Some(Remedy::Permission),
        Err(rustix::io::Errno::ISDIR) => Some(Remedy::NotAPort),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn a_device_that_takes_nothing_does_not_stop_its_port() {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&device).unwrap();
        unlockpt(&device).unwrap();
        let path = PathBuf::from(ptsname(&device, Vec::new()).unwrap().into_string().unwrap());
        let mut tty = Tty::open(&path, Line::at(9600)).unwrap();
        // Far more than a line holds.
        for _ in 0..4096 {
            tty.write(&[0x55; 64]).unwrap();
        }
        assert_eq!(tty.read(&mut [0; 16]).unwrap(), 0, "and it says nothing");
        drop(device);
        assert!(tty.read(&mut [0; 16]).is_err(), "gone");
    }

    #[test]
    fn the_line_is_set_as_the_model_says() {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&device).unwrap();
        unlockpt(&device).unwrap();
        let path = PathBuf::from(ptsname(&device, Vec::new()).unwrap().into_string().unwrap());
        let tty = Tty::open(&path, Line::at(19_200)).unwrap();
        assert_eq!(tty.port.baud_rate().unwrap(), 19_200);
        assert_eq!(tty.port.data_bits().unwrap(), DataBits::Eight);
        assert_eq!(tty.port.flow_control().unwrap(), FlowControl::None);
        assert!(!tty.port.exclusive());
        // Raw: a value of a device is not a line of text.
        rustix::io::write(&device, b"\x03\r\n\x11").unwrap();
        let mut heard = [0; 16];
        let mut tty = tty;
        assert_eq!(tty.read(&mut heard).unwrap(), 4);
        assert_eq!(&heard[..4], b"\x03\r\n\x11");
    }
}
