//! Where connections come in: TLS by certificate files, or plain HTTP on loopback only.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;

/// A peer that has not finished its TLS handshake by then is dropped.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at once; further peers wait in the system's queue.
const HANDSHAKES_MAX: usize = 128;

/// Why the desk cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address is taken or not of this machine.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// Certificate or key file.
    #[error("[tls] {0}: {1}")]
    Certificate(std::path::PathBuf, String),
    /// Plain HTTP where others could listen: give certificate files, or listen on loopback.
    #[error("plain HTTP is served on loopback only, not on {0}: set [tls] certificate and key")]
    PlainInTheOpen(SocketAddr),
}

/// The address of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Peer(*stream.remote_addr())
    }
}

/// A listening socket whose connections are ready for HTTP.
pub struct Door {
    address: SocketAddr,
    ready: mpsc::Receiver<(Wire, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Door {
    /// Listens. Refuses plain HTTP on an address that other machines can reach, whatever the configuration said.
    pub async fn open(listen: SocketAddr, tls: Option<&Tls>) -> Result<Self, DoorError> {
        if tls.is_none() && !listen.ip().is_loopback() {
            return Err(DoorError::PlainInTheOpen(listen));
        }
        let tls = tls.map(acceptor).transpose()?;
        let listener = TcpListener::bind(listen).await.map_err(|error| DoorError::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| DoorError::Listen(listen, error))?;
        let (sender, ready) = mpsc::channel(16);
        let accepting = tokio::spawn(accept(listener, tls, sender));
        Ok(Door { address, ready, accepting })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, ready: mpsc::Sender<(Wire, SocketAddr)>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: those in use close by themselves, so wait a moment.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls.clone() else {
            if ready.send((Wire::Plain(stream), peer)).await.is_err() {
                return;
            }
            continue;
        };
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let ready = ready.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
                Ok(Ok(stream)) => drop(ready.send((Wire::Tls(Box::new(stream)), peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake refused"),
                Err(_) => tracing::debug!(%peer, "TLS handshake too slow"),
            }
            drop(permit);
        });
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, DoorError> {
    let wrong =
        |path: &std::path::Path, error: &dyn std::fmt::Display| DoorError::Certificate(path.into(), error.to_string());
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong(&tls.certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(&tls.certificate, &"no certificate in this file"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong(&tls.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&tls.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&tls.key, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The accepting task never ends before the door.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection, plain or not.
pub enum Wire {
    /// On loopback.
    Plain(TcpStream),
    /// By certificate.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
