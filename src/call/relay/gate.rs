//! The server that the library speaks to: it asks for nothing, forgets nothing, and has a real one behind it. Pure.

use super::message::{Build, Said, channel_data, read_channel_data};
use rtc::stun::attributes::{ATTR_DATA, ATTR_NONCE, ATTR_REALM};
use rtc::stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, METHOD_ALLOCATE, METHOD_BINDING,
    METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_DATA, METHOD_REFRESH, METHOD_SEND, Method, TransactionId,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// The library refreshes at half of it; the real allocation has its own pace.
const LIFETIME: Duration = Duration::from_secs(3_600);
/// Permissions that wait for the real server at most.
const PERMITS_MAX: usize = super::client::PEERS_MAX;

/// What the library wants of the real server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Open,
    Permit(SocketAddr),
    Send(SocketAddr, Vec<u8>),
    /// It gave its allocation back.
    Close,
}

/// The real server's side, as the library may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Opening,
    Open(SocketAddr),
    /// Nothing will come of it.
    Refused,
}

pub(crate) struct Gate {
    state: State,
    /// The request that waits for the real server.
    asked: Option<TransactionId>,
    permits: BTreeMap<SocketAddr, TransactionId>,
    channels: BTreeMap<u16, SocketAddr>,
    numbers: BTreeMap<SocketAddr, u16>,
    out: VecDeque<Vec<u8>>,
    wishes: VecDeque<Wish>,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate {
            state: State::Closed,
            asked: None,
            permits: BTreeMap::new(),
            channels: BTreeMap::new(),
            numbers: BTreeMap::new(),
            out: VecDeque::new(),
            wishes: VecDeque::new(),
        }
    }

    /// One that refuses: for the sockets beside the first, since one allocation is enough.
    pub(crate) fn refusing() -> Gate {
        Gate { state: State::Refused, ..Gate::new() }
    }

    pub(crate) fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// For the library.
    pub(crate) fn poll_write(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// Takes a datagram of the library.
    pub(crate) fn handle_read(&mut self, message: &[u8]) {
        if let Some((number, data)) = read_channel_data(message) {
            if let Some(peer) = self.channels.get(&number) {
                self.wishes.push_back(Wish::Send(*peer, data.to_vec()));
            }
            return;
        }
        let Some(said) = Said::read(message) else { return };
        if said.class() == CLASS_INDICATION {
            if said.method() == METHOD_SEND
                && let (Some(peer), Some(data)) = (said.peer(), said.data())
            {
                self.wishes.push_back(Wish::Send(peer, data));
            }
            return;
        }
        if said.class() != CLASS_REQUEST {
            return;
        }
        let id = said.id();
        match said.method() {
            // The library's client knows the account only from such an answer.
            METHOD_ALLOCATE if said.nonce().is_none() => {
                let answer = Build::new(id, METHOD_ALLOCATE, CLASS_ERROR_RESPONSE).error(401, "Unauthorized");
                self.out.push_back(answer.text(ATTR_REALM, "cabin").text(ATTR_NONCE, "cabin").end());
            }
            METHOD_ALLOCATE => match self.state {
                State::Closed => {
                    (self.state, self.asked) = (State::Opening, Some(id));
                    self.wishes.push_back(Wish::Open);
                }
                // Repeated until it is answered.
                State::Opening => self.asked = Some(id),
                State::Open(relayed) => self.allot(id, relayed),
                State::Refused => self.refuse(id, METHOD_ALLOCATE),
            },
            METHOD_REFRESH if said.lifetime() == Some(Duration::ZERO) => {
                self.state = State::Refused;
                self.wishes.push_back(Wish::Close);
                self.out.push_back(success(id, METHOD_REFRESH).lifetime(Duration::ZERO).end());
            }
            METHOD_REFRESH if matches!(self.state, State::Open(_)) => {
                self.out.push_back(success(id, METHOD_REFRESH).lifetime(LIFETIME).end());
            }
            METHOD_CREATE_PERMISSION if matches!(self.state, State::Open(_)) => match said.peer() {
                Some(peer) if self.permits.len() < PERMITS_MAX || self.permits.contains_key(&peer) => {
                    self.permits.insert(peer, id);
                    self.wishes.push_back(Wish::Permit(peer));
                }
                _ => self.refuse(id, METHOD_CREATE_PERMISSION),
            },
            METHOD_CHANNEL_BIND if matches!(self.state, State::Open(_)) => match (said.channel(), said.peer()) {
                (Some(number), Some(peer)) => {
                    self.channels.insert(number, peer);
                    self.numbers.insert(peer, number);
                    self.out.push_back(success(id, METHOD_CHANNEL_BIND).end());
                }
                _ => self.refuse(id, METHOD_CHANNEL_BIND),
            },
            METHOD_BINDING => {}
            method => self.refuse(id, method),
        }
    }

    /// The real server relays this address.
    pub(crate) fn opened(&mut self, relayed: SocketAddr) {
        self.state = State::Open(relayed);
        if let Some(id) = self.asked.take() {
            self.allot(id, relayed);
        }
    }

    /// The real server does not relay, or no longer.
    pub(crate) fn failed(&mut self) {
        self.state = State::Refused;
        if let Some(id) = self.asked.take() {
            self.refuse(id, METHOD_ALLOCATE);
        }
        for (_, id) in std::mem::take(&mut self.permits) {
            self.refuse(id, METHOD_CREATE_PERMISSION);
        }
    }

    pub(crate) fn permitted(&mut self, peer: SocketAddr) {
        if let Some(id) = self.permits.remove(&peer) {
            self.out.push_back(success(id, METHOD_CREATE_PERMISSION).end());
        }
    }

    pub(crate) fn forbidden(&mut self, peer: SocketAddr) {
        if let Some(id) = self.permits.remove(&peer) {
            self.refuse(id, METHOD_CREATE_PERMISSION);
        }
    }

    pub(crate) fn received(&mut self, peer: SocketAddr, data: &[u8]) {
        self.out.push_back(match self.numbers.get(&peer) {
            Some(number) => channel_data(*number, data),
            None => {
                let indication = Build::new(TransactionId::new(), METHOD_DATA, CLASS_INDICATION);
                indication.peer(peer).bytes(ATTR_DATA, data).end()
            }
        });
    }

    fn allot(&mut self, id: TransactionId, relayed: SocketAddr) {
        let answer = success(id, METHOD_ALLOCATE).relayed(relayed).mapped(relayed).lifetime(LIFETIME);
        self.out.push_back(answer.end());
    }

    fn refuse(&mut self, id: TransactionId, method: Method) {
        self.out.push_back(Build::new(id, method, CLASS_ERROR_RESPONSE).error(508, "Insufficient Capacity").end());
    }
}

fn success(id: TransactionId, method: Method) -> Build {
    Build::new(id, method, CLASS_SUCCESS_RESPONSE)
}
