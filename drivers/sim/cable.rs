//! What joins a simulated device to a host: a pseudo-terminal, a folder, a port of USB, reports on a socket, the network.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::fd::{AsFd, BorrowedFd};

use crate::usb::{self, Plug};
use crate::{pty, stick, tcp};

/// What a device is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Bytes of a line, or an output report.
    Bytes(Vec<u8>),
    /// A feature report.
    Feature(Vec<u8>),
}

/// Where a simulated device is plugged in.
#[derive(Clone)]
pub(crate) enum Socket {
    /// A pseudo-terminal behind that name.
    Link(PathBuf),
    /// A folder of that name: a recorder that shows its files as a memory stick.
    Folder(PathBuf),
    /// A port of vhci_hcd.
    Usb { port: u8, plug: Plug },
    /// The other end of a socket that carries reports; nothing can be plugged in again.
    Reports,
    /// `host:port` that it listens on.
    Tcp(String),
}

impl Socket {
    pub(crate) fn plug(&self) -> std::io::Result<Cable> {
        Ok(match self {
            Socket::Link(link) => Cable::Pty(pty::Pty::open(link)?),
            Socket::Folder(path) => Cable::Folder(stick::Folder::plug(path)?),
            Socket::Usb { port, plug } => Cable::Usb(usb::Usb::plug(*port, *plug)?),
            Socket::Reports => return Err(std::io::Error::other("its host has gone")),
            Socket::Tcp(address) => Cable::Tcp(tcp::Tcp::listen(address)?),
        })
    }
}

/// What joins a device to a host.
pub(crate) enum Cable {
    Pty(pty::Pty),
    Folder(stick::Folder),
    Usb(usb::Usb),
    Reports(Reports),
    Tcp(tcp::Tcp),
}

/// The device's end of [`crate::Simulator::start_on_reports`].
pub(crate) struct Reports {
    socket: UnixDatagram,
    report_bytes: u8,
    /// Not fetched yet: a socket holds a few messages only (net.unix.max_dgram_qlen).
    waiting: VecDeque<Vec<u8>>,
}

impl Reports {
    pub(crate) fn new(socket: UnixDatagram, report_bytes: u8) -> Self {
        Reports { socket, report_bytes, waiting: VecDeque::new() }
    }

    fn say(&mut self) {
        while let Some(report) = self.waiting.front() {
            match self.socket.send(report) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // Said, or its host has gone.
                _ => drop(self.waiting.pop_front()),
            }
        }
    }
}

/// First byte of what a host sends to [`crate::Simulator::start_on_reports`]: the report that follows is an output report.
pub const OUTPUT_REPORT: u8 = 2;
/// The report that follows is a feature report.
pub const FEATURE_REPORT: u8 = 3;

impl Cable {
    /// Nothing can come, and nothing tells when it can again.
    pub(crate) fn hung_up(&self) -> bool {
        match self {
            Cable::Pty(pty) => !pty.has_host(),
            Cable::Usb(usb) => usb.is_out(),
            Cable::Reports(..) | Cable::Tcp(_) | Cable::Folder(_) => false,
        }
    }

    /// A host is at the other end, as far as the cable can tell.
    pub(crate) fn has_host(&self) -> bool {
        match self {
            Cable::Tcp(tcp) => tcp.has_host(),
            _ => !self.hung_up(),
        }
    }

    /// Another host has come than the one before.
    pub(crate) fn is_new(&mut self) -> bool {
        if let Cable::Tcp(tcp) = self { tcp.is_new() } else { false }
    }

    /// Its host has not fetched all that was said, and nothing tells when it has.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Cable::Reports(reports) if !reports.waiting.is_empty())
    }

    /// What came from the host.
    pub(crate) fn read(&mut self) -> Vec<Heard> {
        match self {
            Cable::Pty(pty) => {
                let mut buffer = [0; 512];
                let count = pty.read(&mut buffer);
                if count == 0 { Vec::new() } else { vec![Heard::Bytes(buffer[..count].to_vec())] }
            }
            Cable::Folder(_) => Vec::new(),
            Cable::Usb(usb) => usb.read(),
            Cable::Reports(reports) => {
                reports.say();
                let socket = &reports.socket;
                let mut buffer = [0; 512];
                let reports =
                    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
                let kind = |report: Vec<u8>| match &report[..] {
                    [OUTPUT_REPORT, report @ ..] => Some(Heard::Bytes(report.to_vec())),
                    [FEATURE_REPORT, report @ ..] => Some(Heard::Feature(report.to_vec())),
                    _ => None,
                };
                reports.filter_map(kind).collect()
            }
            Cable::Tcp(tcp) => {
                let bytes = tcp.read();
                if bytes.is_empty() { Vec::new() } else { vec![Heard::Bytes(bytes)] }
            }
        }
    }

    /// Bytes to the host; lost when none listens.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match self {
            Cable::Pty(pty) => pty.write(bytes),
            Cable::Folder(folder) => folder.write(bytes),
            Cable::Usb(usb) => usb.write(bytes),
            Cable::Reports(reports) => {
                let whole = bytes.chunks(usize::from(reports.report_bytes)).map(<[u8]>::to_vec);
                reports.waiting.extend(whole);
                reports.say();
            }
            Cable::Tcp(tcp) => tcp.write(bytes),
        }
    }
}

impl AsFd for Cable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Cable::Pty(pty) => pty.as_fd(),
            Cable::Folder(folder) => folder.as_fd(),
            Cable::Usb(usb) => usb.as_fd(),
            Cable::Reports(reports) => reports.socket.as_fd(),
            Cable::Tcp(tcp) => tcp.as_fd(),
        }
    }
}
