//! A device at the other end of a network: it waits for a host, one at a time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::fd::{AsFd, BorrowedFd};

/// Listens as long as it is plugged in.
pub(crate) struct Tcp {
    listener: TcpListener,
    host: Option<TcpStream>,
    is_new: bool,
}

impl Tcp {
    pub(crate) fn listen(address: &str) -> std::io::Result<Tcp> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Tcp { listener, host: None, is_new: false })
    }

    /// A host has come since this was asked last.
    pub(crate) fn is_new(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// A host is connected.
    pub(crate) fn has_host(&self) -> bool {
        self.host.is_some()
    }

    pub(crate) fn read(&mut self) -> Vec<u8> {
        let Some(host) = &mut self.host else {
            if let Ok((host, _)) = self.listener.accept()
                && host.set_nonblocking(true).is_ok()
            {
                let _ = host.set_nodelay(true);
                (self.host, self.is_new) = (Some(host), true);
            }
            return Vec::new();
        };
        let mut buffer = [0; 4096];
        match host.read(&mut buffer) {
            Ok(count) if count > 0 => buffer[..count].to_vec(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Vec::new(),
            _ => {
                self.host = None;
                Vec::new()
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.host.as_mut().is_some_and(|host| host.write_all(bytes).is_err()) {
            self.host = None;
        }
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.host {
            Some(host) => host.as_fd(),
            None => self.listener.as_fd(),
        }
    }
}
