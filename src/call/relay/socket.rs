//! Where the library's packets for a relay leave its sockets: its `Runtime` makes the sockets, and this one puts a detour
//! around them.

use super::gate::Gate;
use super::passage::{self, Inbox};
use super::{DUMMY, Relays};
use crate::lock;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

/// Between a route and its encryption, the connection's task sleeps so long at a time at most.
const HASTE: Duration = Duration::from_millis(5);

/// Whether a route is found and nothing is encrypted yet. The library (rtc 0.21.1, `handler/dtls.rs`, `handle_event`) makes
/// its first word of encryption when a route is found, and sends it with its next timer: up to 200 ms later, measured 197.
#[derive(Debug, Default)]
pub(crate) struct Haste(AtomicU8);

impl Haste {
    const WANTED: u8 = 1;
    const OVER: u8 = 2;

    /// A route is found; an ICE restart finds another for what is encrypted already.
    pub(crate) fn route_found(&self) {
        let _ = self.0.compare_exchange(0, Haste::WANTED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It is encrypted, or will never be.
    pub(crate) fn over(&self) {
        self.0.store(Haste::OVER, Ordering::Relaxed);
    }

    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Haste::WANTED
    }
}

/// Tokio, but for datagrams to [`DUMMY`], and short sleeps while there is [`Haste`].
#[derive(Debug)]
pub(crate) struct Detour(pub(crate) Arc<Relays>, pub(crate) Arc<Haste>);

impl Runtime for Detour {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn spawn_reactor(&self, size: usize, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn_reactor(size, future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let address = socket.local_addr()?;
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        if !address.is_ipv4() {
            return Ok(inner);
        }
        Ok(Arc::new(Socket {
            inner,
            // One allocation at each server is enough; loopback is there whatever becomes of the networks, and nothing of
            // it passes through the socket itself.
            relays: address.ip().is_loopback().then(|| Arc::clone(&self.0)),
            passages: Mutex::default(),
            inbox: Arc::default(),
        }))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        TokioRuntime.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        TokioRuntime.resolve_host(host)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.sleep(if self.1.is_wanted() { duration.min(HASTE) } else { duration })
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio, with relays"
    }
}

/// What is behind one port of [`DUMMY`], for one socket.
enum Behind {
    Passage(mpsc::Sender<Vec<u8>>),
    Nothing(Gate),
}

/// One of the library's sockets, with what leads past it. Dropping it ends its passages.
struct Socket {
    inner: Arc<dyn AsyncUdpSocket>,
    relays: Option<Arc<Relays>>,
    passages: Mutex<HashMap<u16, Behind>>,
    inbox: Arc<Inbox>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({:?})", self.inner)
    }
}

impl Socket {
    fn hand_over(&self, at: SocketAddr, datagram: &[u8]) {
        let mut passages = lock(&self.passages);
        let behind = passages.entry(at.port()).or_insert_with(|| {
            let server = self.relays.as_ref().and_then(|relays| Some((relays, relays.server(at.port())?)));
            match server {
                Some((relays, server)) => {
                    Behind::Passage(passage::begin(Arc::clone(relays), server, at, Arc::clone(&self.inbox)))
                }
                None => Behind::Nothing(Gate::refusing()),
            }
        });
        match behind {
            // A full queue loses packets, as a socket does.
            Behind::Passage(sender) => drop(sender.try_send(datagram.to_vec())),
            Behind::Nothing(gate) => {
                gate.handle_read(datagram);
                while gate.poll_wish().is_some() {}
                while let Some(answer) = gate.poll_write() {
                    self.inbox.put(at, answer);
                }
            }
        }
    }
}

impl AsyncUdpSocket for Socket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if transmit.destination.ip() != DUMMY {
            return self.inner.poll_send(cx, transmit);
        }
        let whole = transmit.contents.len().max(1);
        for datagram in transmit.contents.chunks(transmit.segment_size.filter(|size| *size > 0).unwrap_or(whole)) {
            self.hand_over(transmit.destination, datagram);
        }
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut())
            && let Poll::Ready((from, message)) = self.inbox.poll_take(cx)
        {
            let length = message.len().min(buffer.len());
            buffer[..length].copy_from_slice(&message[..length]);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, length, length.max(1));
            return Poll::Ready(Ok(1));
        }
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}
