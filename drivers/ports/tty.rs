//! A serial line or pseudo-terminal, raw, never waiting.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::termios::{ControlModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

use crate::Line;

/// Why a line did not open.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// Not there.
    Missing,
    /// There, but not for us; what a technician does about it.
    Refused { path: PathBuf, remedy: String },
}

/// An open line. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Tty {
    fd: OwnedFd,
}

impl Tty {
    pub(crate) fn open(path: &Path, line: Line) -> Result<Tty, NotOpened> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let refused = |remedy: &str| NotOpened::Refused { path: path.to_owned(), remedy: remedy.to_owned() };
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::ACCESS | Errno::PERM => {
                refused("install the udev rule 70-cabin-devices.rules, or add the cabin's account to the group dialout")
            }
            Errno::BUSY => refused("another program holds this port: stop ModemManager or the other program"),
            _ => NotOpened::Missing,
        })?;
        // A lock rather than TIOCEXCL: it dies with its holder, so that a cabin killed and started again gets the port.
        if let Err(Errno::WOULDBLOCK) = flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            return Err(refused("another program of the cabin holds this port: stop it"));
        }
        let mut settings = match tcgetattr(&fd) {
            Ok(settings) => settings,
            Err(Errno::NOTTY) => return Err(refused("this file is no serial port: correct the configuration")),
            Err(_) => return Err(NotOpened::Missing),
        };
        settings.make_raw();
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        settings.control_modes -= ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB;
        if settings.set_speed(line.baud).is_err() || tcsetattr(&fd, OptionalActions::Now, &settings).is_err() {
            return Err(refused("this port does not take the model's speed: use another serial adapter"));
        }
        // What waited on the line before us may be an earlier patient's.
        let _ = tcflush(&fd, QueueSelector::IFlush);
        Ok(Tty { fd })
    }

    /// Reads what is there. `Ok(0)`: nothing now. An error: the device has gone.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match rustix::io::read(&self.fd, buffer) {
            Ok(0) => Err(Errno::NODEV),
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes a command. A line that takes nothing for its whole buffer drops it: the protocol asks again.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        match rustix::io::write(&self.fd, bytes) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
