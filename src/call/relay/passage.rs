//! The only part of a relayed path that opens sockets: one task between a gate and a real server.

use super::address::{Address, Transport};
use super::client::{ANSWER_MAX, Client, Event};
use super::frames::{Frames, pad};
use super::gate::{Gate, Wish};
use super::{RelayTrouble, Relays, Server};
use crate::{lock, now};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

/// Packets of the library that wait to be relayed; more are lost, as on any line.
pub(super) const LIBRARY_WAITING_MAX: usize = 256;
/// Packets that wait for the library; more are lost.
const INBOX_MAX: usize = 512;
/// Messages that wait to be written into a stream. What a slow stream does not take is lost here, where the call's
/// estimator sees it, not late: at 1,200 bytes each these are 77 kB.
const STREAM_WAITING_MAX: usize = 64;
/// The kernel's part of a stream's queue. Left to itself it grows to megabytes, minutes of a narrow line.
const STREAM_BUFFER_BYTES: u32 = 64 * 1024;
/// One address of a server's name is tried for so long when there are others.
const ADDRESS_WAIT: Duration = Duration::from_secs(4);
/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What comes out of a relay, for one of the library's sockets.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: std::sync::Mutex<VecDeque<(SocketAddr, Vec<u8>)>>,
    waker: std::sync::Mutex<Option<Waker>>,
}

impl Inbox {
    pub(super) fn put(&self, from: SocketAddr, message: Vec<u8>) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() < INBOX_MAX {
            waiting.push_back((from, message));
        }
        drop(waiting);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }

    /// The next message; `Pending` wakes `cx` when there is one.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<(SocketAddr, Vec<u8>)> {
        *lock(&self.waker) = Some(cx.waker().clone());
        lock(&self.waiting).pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Begins a passage, which lives until the sender given back is dropped. `at` is the address under which the library
/// knows the server.
pub(super) fn begin(relays: Arc<Relays>, server: Server, at: SocketAddr, inbox: Arc<Inbox>) -> mpsc::Sender<Vec<u8>> {
    let (sender, library) = mpsc::channel(LIBRARY_WAITING_MAX);
    let passage =
        Passage { relays, server, at, inbox, gate: Gate::new(), opening: None, way: None, relayed: None, told: false };
    tokio::spawn(passage.run(library));
    sender
}

type Opening = Pin<Box<dyn Future<Output = Result<Way, RelayTrouble>> + Send>>;

struct Passage {
    relays: Arc<Relays>,
    server: Server,
    at: SocketAddr,
    inbox: Arc<Inbox>,
    gate: Gate,
    opening: Option<Opening>,
    way: Option<(Way, Client)>,
    relayed: Option<SocketAddr>,
    told: bool,
}

impl Passage {
    async fn run(mut self, mut library: mpsc::Receiver<Vec<u8>>) {
        loop {
            let deadline = self.way.as_ref().and_then(|(_, client)| client.poll_timeout());
            tokio::select! {
                message = library.recv() => match message {
                    Some(message) => self.gate.handle_read(&message),
                    None => break,
                },
                opened = async { match &mut self.opening { Some(opening) => opening.await, None => std::future::pending().await } } => {
                    self.opening = None;
                    match opened {
                        Ok(way) => self.opened(way),
                        Err(why) => self.fail(why),
                    }
                }
                read = async { match &mut self.way { Some((way, _)) => way.read().await, None => std::future::pending().await } } => {
                    match (read, &mut self.way) {
                        (Ok(message), Some((_, client))) => client.handle_read(&message, now()),
                        (Ok(_), None) => {}
                        (Err(why), _) => self.lost(why),
                    }
                }
                () = sleep_until(deadline), if deadline.is_some() => {
                    if let Some((_, client)) = &mut self.way {
                        client.handle_timeout(now());
                    }
                }
            }
            self.pump();
        }
        self.forget();
        if let Some((way, client)) = self.way {
            give_back(way, client).await;
        }
    }

    /// Carries everything as far as it goes now.
    fn pump(&mut self) {
        while let Some(wish) = self.gate.poll_wish() {
            match (wish, &mut self.way) {
                (Wish::Open, _) => {
                    let (address, trust) = (self.server.address.clone(), Arc::clone(&self.relays.trust));
                    self.opening = Some(Box::pin(open(address, trust)));
                }
                (Wish::Permit(peer), Some((_, client))) => client.permit(peer, now()),
                (Wish::Send(peer, data), Some((_, client))) => {
                    client.send(peer, &data, now());
                    self.relays.sent.fetch_add(1, Ordering::Relaxed);
                }
                (Wish::Close, Some((_, client))) => client.release(now()),
                (Wish::Permit(_) | Wish::Send(..) | Wish::Close, None) => {}
            }
        }
        while let Some(event) = self.way.as_mut().and_then(|(_, client)| client.poll_event()) {
            match event {
                Event::Open(relayed) => {
                    tracing::info!(url = self.server.address.url, "a relay is ready");
                    self.relayed = Some(relayed);
                    lock(&self.relays.open).push((relayed, self.server.address.transport));
                    self.gate.opened(relayed);
                }
                Event::Permitted(peer) => self.gate.permitted(peer),
                Event::Forbidden(peer) => self.gate.forbidden(peer),
                Event::Data(peer, data) => {
                    self.relays.received.fetch_add(1, Ordering::Relaxed);
                    self.gate.received(peer, &data);
                }
                Event::Failed(why) => self.fail(why),
            }
        }
        if let Some((way, client)) = &mut self.way {
            self.relays.stale.fetch_add(std::mem::take(&mut client.stale), Ordering::Relaxed);
            while let Some(message) = client.poll_write() {
                way.write(message);
            }
        }
        while let Some(message) = self.gate.poll_write() {
            self.inbox.put(self.at, message);
        }
    }

    fn opened(&mut self, way: Way) {
        match rtc::crypto::default_provider() {
            Ok(crypto) => {
                let stream = matches!(way, Way::Stream { .. });
                self.way = Some((way, Client::new(self.server.access.clone(), stream, crypto, now())));
            }
            Err(error) => self.fail(RelayTrouble::Unreachable { why: error.to_string() }),
        }
    }

    fn lost(&mut self, why: String) {
        self.fail(match self.relayed {
            Some(_) => RelayTrouble::Lost { why },
            None => RelayTrouble::Unreachable { why },
        });
    }

    fn fail(&mut self, why: RelayTrouble) {
        self.way = None;
        self.gate.failed();
        self.forget();
        if !std::mem::replace(&mut self.told, true) {
            self.relays.tell(&self.server.address.url, why);
        }
    }

    fn forget(&mut self) {
        if let Some(relayed) = self.relayed.take() {
            lock(&self.relays.open).retain(|(open, _)| *open != relayed);
        }
    }
}

/// Until the server has taken the allocation back, or does not answer. One that is not given back counts against the
/// account's quota for ten minutes more.
async fn give_back(mut way: Way, mut client: Client) {
    client.release(now());
    loop {
        while let Some(message) = client.poll_write() {
            way.write(message);
        }
        let Some(deadline) = client.poll_timeout() else { return };
        tokio::select! {
            read = way.read() => match read {
                Ok(message) => client.handle_read(&message, now()),
                Err(_) => return,
            },
            () = sleep_until(Some(deadline)) => client.handle_timeout(now()),
        }
    }
}

/// The way to a server.
enum Way {
    Datagrams { socket: UdpSocket, buffer: Vec<u8> },
    Stream { read: Box<dyn AsyncRead + Send + Unpin>, frames: Frames, write: mpsc::Sender<Vec<u8>> },
}

impl Way {
    /// The next message. May be dropped at any time without losing one.
    async fn read(&mut self) -> Result<Vec<u8>, String> {
        match self {
            Way::Datagrams { socket, buffer } => {
                let length = socket.recv(buffer).await.map_err(|error| error.to_string())?;
                Ok(buffer[..length].to_vec())
            }
            Way::Stream { read, frames, .. } => loop {
                match frames.next() {
                    Ok(Some(message)) => return Ok(message.to_vec()),
                    Ok(None) => {}
                    Err(_) => return Err("it does not speak TURN".to_owned()),
                }
                if read.read_buf(&mut frames.waiting).await.map_err(|error| error.to_string())? == 0 {
                    return Err("it closed the connection".to_owned());
                }
            },
        }
    }

    /// Writes now or not at all.
    fn write(&self, mut message: Vec<u8>) {
        match self {
            Way::Datagrams { socket, .. } => {
                // An error is of an earlier datagram; reading tells it too.
                let _ = socket.try_send(&message);
            }
            Way::Stream { write, .. } => {
                pad(&mut message);
                let _ = write.try_send(message);
            }
        }
    }

    fn stream(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Way {
        let (read, mut into) = tokio::io::split(stream);
        let (write, mut waiting) = mpsc::channel::<Vec<u8>>(STREAM_WAITING_MAX);
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                let written = async {
                    into.write_all(&message).await?;
                    if waiting.is_empty() { into.flush().await } else { Ok(()) }
                };
                match tokio::time::timeout(ANSWER_MAX, written).await {
                    Ok(Ok(())) => {}
                    // The reading half tells it.
                    Ok(Err(_)) | Err(_) => break,
                }
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), into.shutdown()).await;
        });
        Way::Stream { read: Box::new(read), frames: Frames::default(), write }
    }
}

/// Connects to a server, to the first of its addresses that answers.
async fn open(address: Address, trust: Arc<ClientConfig>) -> Result<Way, RelayTrouble> {
    let unreachable = |error: io::Error| RelayTrouble::Unreachable { why: error.to_string() };
    let opening = async {
        let found: Vec<_> =
            tokio::net::lookup_host((address.host.as_str(), address.port)).await.map_err(unreachable)?.collect();
        let mut failed = RelayTrouble::Unreachable { why: "its name has no address".to_owned() };
        for (number, server) in found.iter().enumerate() {
            let wait = if number + 1 == found.len() { ANSWER_MAX } else { ADDRESS_WAIT };
            match tokio::time::timeout(wait, open_at(*server, &address, &trust)).await {
                Ok(Ok(way)) => return Ok(way),
                Ok(Err(why)) => failed = why,
                Err(_) => failed = unreachable(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(failed)
    };
    match tokio::time::timeout(ANSWER_MAX, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(unreachable(io::ErrorKind::TimedOut.into())),
    }
}

async fn open_at(server: SocketAddr, address: &Address, trust: &Arc<ClientConfig>) -> Result<Way, RelayTrouble> {
    let unreachable = |error: io::Error| RelayTrouble::Unreachable { why: error.to_string() };
    if address.transport == Transport::Udp {
        let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await.map_err(unreachable)?;
        socket.connect(server).await.map_err(unreachable)?;
        return Ok(Way::Datagrams { socket, buffer: vec![0; DATAGRAM_BYTES_MAX] });
    }
    let stream = connect(server).await.map_err(unreachable)?;
    if address.transport == Transport::Tcp {
        return Ok(Way::stream(stream));
    }
    let name = ServerName::try_from(address.host.clone()).map_err(|_| RelayTrouble::BadAddress)?;
    match TlsConnector::from(Arc::clone(trust)).connect(name, stream).await {
        Ok(stream) => Ok(Way::stream(stream)),
        Err(error) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => RelayTrouble::Untrusted { why: format!("{why:?}") },
            _ => unreachable(error),
        }),
    }
}

async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(STREAM_BUFFER_BYTES)?;
    let stream = socket.connect(server).await?;
    // Voice must not wait until a segment is full.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
