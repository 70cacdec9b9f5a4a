//! The way through a TURN server (RFC 8656), over UDP, TCP and TLS: for networks that let nothing else through.
//!
//! # Why not the library's own
//!
//! `webrtc` 0.21.1 speaks TURN over UDP only, and its client loses a call on a server that changes its nonce, as coturn
//! does after ten minutes: answered 438 (stale nonce) it does not ask again, so that an allocation runs out, and it binds
//! the same peer to a second channel, which the server refuses and whose data it then no longer knows.
//!
//! # How it is done instead
//!
//! The library is given a server of its own, on the IPv4 dummy address 192.0.0.8 (RFC 7600), one port for each real
//! server. What it sends there never leaves the program: [`socket`] (the library's hook is its `Runtime`, which makes the
//! sockets) hands it to a [`gate::Gate`], which answers as a server would that asks for nothing, and has our own
//! [`client::Client`] carry it through the real server. So the library knows that a path is relayed, ranks it and restarts
//! it as its own; it makes a fresh allocation at each ICE restart, and so a fresh connection. Gate, client and the
//! [`frames`] of a stream are pure; [`passage`] alone opens sockets.
//!
//! A loopback UDP socket in place of the hook would do the same, at two system calls a packet more and open to every
//! program of the machine; a patch of the library would have to be carried from release to release.

use crate::peer::PeerNews;
use crate::{CallError, Fault, IceServer, lock};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

mod address;
mod client;
mod frames;
mod gate;
mod message;
mod passage;
mod socket;
#[cfg(test)]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
mod tests;

pub use address::Transport;
pub(crate) use socket::{Detour, Haste};

use address::Address;

/// The address that stands for every relay inside this program: nothing answers there (RFC 7600, 3).
const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// The first relay's port at [`DUMMY`].
const FIRST_PORT: u16 = 3478;
/// More relays than this are left out: each costs a connection at each ICE restart.
pub const RELAYS_MAX: usize = 16;

/// What stands between a call and a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayTrouble {
    /// The address is not one of a TURN server: correct it.
    #[error("expected turn:host:port, turn:host:port?transport=tcp or turns:host:port")]
    BadAddress,
    /// Nobody answers there: check the address, and whether the network lets it through.
    #[error("it does not answer: {why}")]
    Unreachable {
        /// The system's words.
        why: String,
    },
    /// Its certificate is not signed by an authority that this machine trusts, or is of another name or time: correct it,
    /// or name the authority in the configuration.
    #[error("its certificate is refused: {why}")]
    Untrusted {
        /// What is wrong with it.
        why: String,
    },
    /// It does not know the account, or its time is over.
    #[error("it refuses the account")]
    Account,
    /// It answered that it cannot relay: full, or forbidden by its configuration.
    #[error("it refuses: {code} {why}")]
    Refused {
        /// The STUN error code (RFC 8656, 19).
        code: u16,
        /// The server's words.
        why: String,
    },
    /// It relayed, and then stopped or forgot the call. Another path is needed: an ICE restart makes one.
    #[error("it stopped relaying: {why}")]
    Lost {
        /// How that was noticed.
        why: String,
    },
}

/// How many packets of the call went through relays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relayed {
    /// From here to the far end.
    pub sent: u64,
    /// From the far end to here.
    pub received: u64,
    /// Requests that a server answered with a stale nonce, asked again with the new one.
    pub stale: u64,
}

/// The relays of one call.
pub(crate) struct Relays {
    servers: std::sync::Mutex<Vec<Server>>,
    trust: Arc<ClientConfig>,
    news: mpsc::Sender<PeerNews>,
    sent: AtomicU64,
    received: AtomicU64,
    stale: AtomicU64,
    /// Transports of the addresses that servers relay now, so that candidates can be ranked.
    open: std::sync::Mutex<Vec<(SocketAddr, Transport)>>,
}

/// Neither credentials nor addresses.
impl std::fmt::Debug for Relays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relays({})", lock(&self.servers).len())
    }
}

/// One URL of one server.
#[derive(Clone)]
struct Server {
    address: Address,
    access: client::Access,
}

impl Relays {
    /// The TURN servers among `servers`; the others are the library's. An address that cannot be used is told.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] for an authority's file that holds no certificate.
    pub(crate) fn new(
        servers: &[IceServer],
        authority: Option<&Path>,
        news: mpsc::Sender<PeerNews>,
    ) -> Result<Relays, CallError> {
        let relays = Relays {
            servers: std::sync::Mutex::default(),
            trust: trust(servers, authority)?,
            news,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            open: std::sync::Mutex::default(),
        };
        relays.set(servers);
        Ok(relays)
    }

    /// Takes other servers or credentials, for the next allocations; a server refuses those of another name for one that
    /// it has made (RFC 8656, 5: 441). The library learned at the start how many addresses there are: more are not asked.
    pub(crate) fn set(&self, servers: &[IceServer]) {
        let mut found = Vec::new();
        for server in servers {
            for url in server.urls.iter().filter(|url| is_relay(url)) {
                let access = client::Access { username: server.username.clone(), password: server.credential.clone() };
                match Address::parse(url) {
                    Some(address) if found.len() < RELAYS_MAX => found.push(Server { address, access }),
                    Some(_) => tracing::warn!("more than {RELAYS_MAX} relays: {url} is left out"),
                    None => self.tell(url, RelayTrouble::BadAddress),
                }
            }
        }
        *lock(&self.servers) = found;
    }

    /// What the library is told of them.
    pub(crate) fn urls(&self) -> Vec<String> {
        (0..lock(&self.servers).len()).map(|number| format!("turn:{DUMMY}:{}?transport=udp", port(number))).collect()
    }

    pub(crate) fn relayed(&self) -> Relayed {
        Relayed {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
        }
    }

    /// How a server that relays `address` is reached.
    pub(crate) fn transport(&self, address: SocketAddr) -> Option<Transport> {
        lock(&self.open).iter().find(|(open, _)| *open == address).map(|(_, transport)| *transport)
    }

    fn server(&self, port: u16) -> Option<Server> {
        lock(&self.servers).get(usize::from(port.checked_sub(FIRST_PORT)?)).cloned()
    }

    fn tell(&self, url: &str, why: RelayTrouble) {
        tracing::warn!("the relay {url}: {why}");
        // A full queue holds enough troubles already.
        let _ = self.news.try_send(PeerNews::Trouble(Fault::Relay { url: url.to_owned(), why }));
    }
}

/// The port at [`DUMMY`] of the relay of that number, which is below [`RELAYS_MAX`].
fn port(number: usize) -> u16 {
    FIRST_PORT + number as u16
}

/// Whether it is one of ours, not the library's.
pub(crate) fn is_relay(url: &str) -> bool {
    url.starts_with("turn:") || url.starts_with("turns:")
}

/// The system's authorities, and one of the configuration. Read only where a server is reached over TLS.
fn trust(servers: &[IceServer], authority: Option<&Path>) -> Result<Arc<ClientConfig>, CallError> {
    let mut roots = RootCertStore::empty();
    if servers.iter().flat_map(|server| &server.urls).any(|url| url.starts_with("turns:")) {
        let system = rustls_native_certs::load_native_certs();
        for why in &system.errors {
            tracing::warn!("an authority of the system cannot be read: {why}");
        }
        roots.add_parsable_certificates(system.certs);
        if let Some(path) = authority {
            let refused =
                || CallError::Refused { why: format!("{}: expected a PEM file of certificates", path.display()) };
            let mut found = 0;
            for certificate in CertificateDer::pem_file_iter(path).map_err(|_| refused())? {
                roots.add(certificate.map_err(|_| refused())?).map_err(|_| refused())?;
                found += 1;
            }
            if found == 0 {
                return Err(refused());
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| CallError::Refused { why: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
