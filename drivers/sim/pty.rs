//! A pseudo-terminal behind a stable name: the socket into which a simulated device is plugged.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Closed and its name removed when dropped: the host sees what it sees of a cable pulled out.
pub(crate) struct Pty {
    link: PathBuf,
    master: OwnedFd,
}

impl Pty {
    pub(crate) fn open(link: &Path) -> io::Result<Pty> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        fcntl_setfl(&master, OFlags::NONBLOCK)?;
        let name = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        {
            // Opened and closed once: raw before any host, and from then on a hang-up tells that no host is there.
            let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
            let mut settings = tcgetattr(&slave)?;
            settings.make_raw();
            tcsetattr(&slave, OptionalActions::Now, &settings)?;
        }
        // Renamed into place, so that nobody finds a half-made name.
        let mut fresh = link.as_os_str().to_owned();
        fresh.push(".new");
        let _ = fs::remove_file(&fresh);
        std::os::unix::fs::symlink(&path, &fresh)?;
        fs::rename(&fresh, link)?;
        Ok(Pty { link: link.to_owned(), master })
    }

    /// Whether a host holds the other end. A device talks whether or not one does; without one it is lost.
    pub(crate) fn has_host(&self) -> bool {
        let mut fds = [PollFd::new(&self.master, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().contains(PollFlags::HUP)
    }

    /// Bytes from the host; 0 when there are none, or no host.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> usize {
        rustix::io::read(&self.master, buffer).unwrap_or(0)
    }

    /// Bytes to the host; lost when none listens or its buffer is full, as on a real line.
    pub(crate) fn write(&self, bytes: &[u8]) {
        if self.has_host() {
            let _ = rustix::io::write(&self.master, bytes);
        }
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // The name goes first: a host that sees the hang-up must not find it again.
        let _ = fs::remove_file(&self.link);
    }
}
