//! A device at the other end of a network: a personal health device's simulator, or a box of serial ports on a wire of
//! its own. What it says is neither sealed nor signed: never over a network that others are on.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use super::tty::NotOpened;

/// A host that does not answer for that long is not there now; the port's thread waits for it.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// An open connection. Closed when dropped.
pub(crate) struct Tcp(TcpStream);

impl Tcp {
    /// Connects to `host:port`.
    pub(crate) fn open(address: &str) -> Result<Tcp, NotOpened> {
        let addresses = address.to_socket_addrs().map_err(|_| NotOpened::Missing)?;
        let stream = addresses.into_iter().find_map(|address| TcpStream::connect_timeout(&address, CONNECT_MAX).ok());
        let stream = stream.ok_or(NotOpened::Missing)?;
        // A command is a whole message: it does not wait for another.
        let _ = stream.set_nodelay(true);
        stream.set_nonblocking(true).map_err(|_| NotOpened::Missing)?;
        Ok(Tcp(stream))
    }

    /// Reads what is there. `Ok(0)`: nothing now. An error: the device has gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_passing(&error) => Ok(0),
            other => other,
        }
    }

    /// Writes a command. A device that takes none for as long as the system keeps them has gone: half a command would
    /// be read as another.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

impl AsRawFd for Tcp {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
