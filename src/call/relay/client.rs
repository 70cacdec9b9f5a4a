//! Our end of an allocation (RFC 8656). Pure: messages and time go in, messages and events come out.

use super::RelayTrouble;
use super::message::{Build, CHANNELS, Said, channel_data, read_channel_data};
use rtc::crypto::RTCCryptoProvider;
use rtc::stun::attributes::{ATTR_DATA, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_TRANSPORT, ATTR_USERNAME};
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, METHOD_ALLOCATE,
    METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_DATA, METHOD_REFRESH, METHOD_SEND, Method, TransactionId,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server that has not answered for this long is given up. RFC 8489 (6.2.1) would wait 39.5 s, a patient not.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// One that relayed before is waited for longer: an outage of half a minute must end without anyone's doing.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The first repetition of a request over UDP; each next one comes after twice as long (RFC 8489, 6.2.1).
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// But no longer, so that the end of an outage is noticed soon.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(4);
/// A server that does not say that it took an allocation back is left to find out by itself: the next call must not wait.
pub(crate) const RELEASE_MAX: Duration = Duration::from_secs(4);
/// The server is asked to keep the allocation at least this often. Far more often than it must be (its lifetime is ten
/// minutes), so that a server that died without a word is noticed, and a firewall's memory of an idle path kept.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// A permission lasts 300 s (RFC 8656, 9).
const PERMIT_EVERY: Duration = Duration::from_secs(240);
/// A channel lasts 600 s, and is the peer's own for 300 s more (RFC 8656, 12).
const BIND_EVERY: Duration = Duration::from_secs(300);
/// One request may be answered so often with a stale nonce.
const STALE_MAX: u8 = 3;
/// The addresses of the far end that are relayed to at most; packets to more are dropped.
pub(crate) const PEERS_MAX: usize = 64;
/// REQUESTED-TRANSPORT's number of UDP (RFC 8656, 18.7).
const UDP: [u8; 4] = [17, 0, 0, 0];

/// An account at the server.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// Neither name nor password.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

/// What an allocation tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Whatever is sent to this address now comes here.
    Open(SocketAddr),
    /// The peer may be sent to, and heard.
    Permitted(SocketAddr),
    /// The server does not relay to that peer.
    Forbidden(SocketAddr),
    /// From a peer.
    Data(SocketAddr, Vec<u8>),
    /// The end, whatever it was before.
    Failed(RelayTrouble),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Allocate,
    Refresh,
    /// A refresh with a lifetime of zero: the end (RFC 8656, 8).
    Release,
    Permit(SocketAddr),
    Bind(SocketAddr, u16),
}

struct Waiting {
    ask: Ask,
    message: Vec<u8>,
    /// Repeated then, over UDP.
    again_at: Instant,
    wait: Duration,
    give_up_at: Instant,
    stale: u8,
    signed: bool,
}

enum State {
    Opening,
    Open {
        refresh_at: Instant,
    },
    /// Being given back; nothing is told any more.
    Closing,
    /// Failed, or given back.
    Ended,
}

#[derive(Default)]
struct Peer {
    /// Asked again then; `None` while the server has not answered yet.
    permit_at: Option<Instant>,
    permitted: bool,
    /// The number is this peer's for as long as the allocation lives: the server refuses any other.
    channel: Option<u16>,
    bound: bool,
    bind_at: Option<Instant>,
}

pub(crate) struct Client {
    crypto: Arc<dyn RTCCryptoProvider>,
    access: Access,
    /// The stream repeats by itself.
    stream: bool,
    state: State,
    realm: String,
    nonce: String,
    key: Vec<u8>,
    waiting: HashMap<TransactionId, Waiting>,
    peers: BTreeMap<SocketAddr, Peer>,
    out: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    /// Requests that were asked again with a new nonce.
    pub(crate) stale: u64,
}

impl Client {
    /// Asks for an allocation. `stream` says that the way to the server loses nothing.
    pub(crate) fn new(access: Access, stream: bool, crypto: Arc<dyn RTCCryptoProvider>, now: Instant) -> Client {
        let mut client = Client {
            crypto,
            access,
            stream,
            state: State::Opening,
            realm: String::new(),
            nonce: String::new(),
            key: Vec::new(),
            waiting: HashMap::new(),
            peers: BTreeMap::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            stale: 0,
        };
        client.ask(Ask::Allocate, 0, now);
        client
    }

    /// Lets a peer through; [`Event::Permitted`] or [`Event::Forbidden`] answers, at once where it is known.
    pub(crate) fn permit(&mut self, peer: SocketAddr, now: Instant) {
        if matches!(self.state, State::Closing | State::Ended) {
            return;
        }
        match self.peers.get(&peer) {
            Some(known) if known.permitted => self.events.push_back(Event::Permitted(peer)),
            Some(known) if known.permit_at.is_none() => {}
            None if self.peers.len() == PEERS_MAX => self.events.push_back(Event::Forbidden(peer)),
            Some(_) | None => {
                self.peers.entry(peer).or_default().permit_at = None;
                self.ask(Ask::Permit(peer), 0, now);
            }
        }
    }

    /// Sends to a peer that is permitted; to any other, nothing.
    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8], now: Instant) {
        let Some(known) = self.peers.get(&peer).filter(|known| known.permitted) else { return };
        if let (Some(number), true) = (known.channel, known.bound) {
            self.out.push_back(channel_data(number, data));
            return;
        }
        let indication = Build::new(TransactionId::new(), METHOD_SEND, CLASS_INDICATION);
        self.out.push_back(indication.peer(peer).bytes(ATTR_DATA, data).end());
        self.bind(peer, now);
    }

    /// Gives the allocation back. Over once [`Client::poll_timeout`] has nothing more to wait for, after
    /// [`RELEASE_MAX`] at most.
    pub(crate) fn release(&mut self, now: Instant) {
        let give_up_at = now + RELEASE_MAX;
        match self.state {
            State::Open { .. } => {
                self.state = State::Closing;
                self.waiting.clear();
                self.peers.clear();
                self.ask(Ask::Release, 0, now);
            }
            // What is granted yet is given back then.
            State::Opening => self.state = State::Closing,
            State::Closing | State::Ended => return,
        }
        for waiting in self.waiting.values_mut() {
            waiting.give_up_at = waiting.give_up_at.min(give_up_at);
        }
    }

    pub(crate) fn poll_write(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes one whole message of the server.
    pub(crate) fn handle_read(&mut self, message: &[u8], now: Instant) {
        if matches!(self.state, State::Ended) {
            return;
        }
        let closing = matches!(self.state, State::Closing);
        if let Some((number, data)) = read_channel_data(message) {
            if let Some((peer, _)) = self.peers.iter().find(|(_, known)| known.channel == Some(number)) {
                self.events.push_back(Event::Data(*peer, data.to_vec()));
            }
            return;
        }
        let Some(mut said) = Said::read(message) else { return };
        if said.class() == CLASS_INDICATION {
            if said.method() == METHOD_DATA
                && !closing
                && let (Some(peer), Some(data)) = (said.peer(), said.data())
            {
                self.events.push_back(Event::Data(peer, data));
            }
            return;
        }
        let Some(waiting) = self.waiting.get(&said.id()) else { return };
        let is_error = match said.class() {
            CLASS_SUCCESS_RESPONSE => false,
            CLASS_ERROR_RESPONSE => true,
            _ => return,
        };
        // A forged answer is none at all (RFC 8489, 9.2.5); errors 401 and 438 cannot be signed.
        let must_be_signed = !is_error && waiting.signed;
        if (must_be_signed || said.is_signed()) && !said.is_signed_with(&self.key, self.crypto.crypto()) {
            return;
        }
        let Some(waiting) = self.waiting.remove(&said.id()) else { return };
        if is_error { self.refused(&waiting, &said, now) } else { self.granted(waiting.ask, &said, now) }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let requests = self.waiting.values().map(|waiting| match self.stream {
            true => waiting.give_up_at,
            false => waiting.again_at.min(waiting.give_up_at),
        });
        let peers = self.peers.values().flat_map(|peer| [peer.permit_at, peer.bind_at]).flatten();
        let refresh = match self.state {
            State::Open { refresh_at } => Some(refresh_at),
            State::Opening | State::Closing => None,
            State::Ended => return None,
        };
        requests.chain(peers).chain(refresh).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(waiting) = self.waiting.values().find(|waiting| waiting.give_up_at <= now) {
            let why = |wait: Duration| format!("no answer within {} s", wait.as_secs());
            if matches!(self.state, State::Closing) {
                return self.end();
            }
            return self.fail(match waiting.ask {
                Ask::Allocate => RelayTrouble::Unreachable { why: why(ANSWER_MAX) },
                _ => RelayTrouble::Lost { why: why(SILENCE_MAX) },
            });
        }
        if !self.stream {
            for waiting in self.waiting.values_mut().filter(|waiting| waiting.again_at <= now) {
                waiting.wait = (waiting.wait * 2).min(AGAIN_AFTER_MAX);
                waiting.again_at = now + waiting.wait;
                self.out.push_back(waiting.message.clone());
            }
        }
        if let State::Open { refresh_at } = &mut self.state
            && *refresh_at <= now
        {
            *refresh_at = now + REFRESH_EVERY;
            if !self.waiting.values().any(|waiting| waiting.ask == Ask::Refresh) {
                self.ask(Ask::Refresh, 0, now);
            }
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let permit: Vec<_> =
            self.peers.iter().filter(|(_, peer)| is_due(peer.permit_at)).map(|(peer, _)| *peer).collect();
        for peer in permit {
            if let Some(known) = self.peers.get_mut(&peer) {
                known.permit_at = None;
            }
            self.ask(Ask::Permit(peer), 0, now);
        }
        let bind: Vec<_> = self.peers.iter().filter(|(_, peer)| is_due(peer.bind_at)).map(|(peer, _)| *peer).collect();
        for peer in bind {
            if let Some(Peer { channel: Some(number), bind_at, .. }) = self.peers.get_mut(&peer) {
                let number = *number;
                *bind_at = None;
                self.ask(Ask::Bind(peer, number), 0, now);
            }
        }
    }

    /// Asks for a channel, once: four bytes a packet instead of 36.
    fn bind(&mut self, peer: SocketAddr, now: Instant) {
        let taken = self.peers.values().filter(|peer| peer.channel.is_some()).count();
        let Some(number) = CHANNELS.clone().nth(taken) else { return };
        if let Some(known) = self.peers.get_mut(&peer)
            && known.channel.is_none()
        {
            known.channel = Some(number);
            self.ask(Ask::Bind(peer, number), 0, now);
        }
    }

    fn ask(&mut self, ask: Ask, stale: u8, now: Instant) {
        let id = TransactionId::new();
        let request = |method: Method| Build::new(id, method, CLASS_REQUEST);
        let request = match ask {
            Ask::Allocate => request(METHOD_ALLOCATE).bytes(ATTR_REQUESTED_TRANSPORT, &UDP),
            Ask::Refresh => request(METHOD_REFRESH),
            Ask::Release => request(METHOD_REFRESH).lifetime(Duration::ZERO),
            Ask::Permit(peer) => request(METHOD_CREATE_PERMISSION).peer(peer),
            Ask::Bind(peer, number) => request(METHOD_CHANNEL_BIND).channel(number).peer(peer),
        };
        // The first request of all cannot be signed: the server says for what (RFC 8489, 9.2.3).
        let signed = !self.nonce.is_empty();
        let message = if signed { self.sign(request) } else { request.end() };
        self.out.push_back(message.clone());
        let patience = match (&self.state, ask) {
            (State::Closing, _) => RELEASE_MAX,
            (_, Ask::Allocate) => ANSWER_MAX,
            (..) => SILENCE_MAX,
        };
        let (wait, give_up_at) = (AGAIN_AFTER, now + patience);
        self.waiting.insert(id, Waiting { ask, message, again_at: now + wait, wait, give_up_at, stale, signed });
    }

    fn sign(&self, request: Build) -> Vec<u8> {
        request
            .text(ATTR_USERNAME, &self.access.username)
            .text(ATTR_REALM, &self.realm)
            .text(ATTR_NONCE, &self.nonce)
            .signed(&self.key, self.crypto.crypto())
    }

    fn make_key(&self) -> Vec<u8> {
        let Access { username, password } = self.access.clone();
        // Fails only where the library has no MD5; then no server takes what is signed.
        MessageIntegrity::long_term_integrity_key(username, self.realm.clone(), password, self.crypto.crypto())
            .unwrap_or_default()
    }

    fn granted(&mut self, ask: Ask, said: &Said, now: Instant) {
        let refresh = |lifetime: Duration| now + REFRESH_EVERY.min(lifetime / 2).max(Duration::from_secs(1));
        match ask {
            Ask::Allocate if matches!(self.state, State::Closing) => self.ask(Ask::Release, 0, now),
            Ask::Release => self.end(),
            Ask::Allocate => match (said.relayed(), said.lifetime()) {
                (Some(relayed), Some(lifetime)) if !lifetime.is_zero() => {
                    self.state = State::Open { refresh_at: refresh(lifetime) };
                    self.events.push_back(Event::Open(relayed));
                }
                _ => self.fail(RelayTrouble::Refused { code: 0, why: "it allots no address".to_owned() }),
            },
            Ask::Refresh => match said.lifetime() {
                Some(lifetime) if !lifetime.is_zero() => self.state = State::Open { refresh_at: refresh(lifetime) },
                _ => self.fail(RelayTrouble::Lost { why: "it ended the allocation".to_owned() }),
            },
            Ask::Permit(peer) => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.permit_at = Some(now + PERMIT_EVERY);
                    if !std::mem::replace(&mut known.permitted, true) {
                        self.events.push_back(Event::Permitted(peer));
                    }
                }
            }
            Ask::Bind(peer, _) => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.bound = true;
                    known.bind_at = Some(now + BIND_EVERY);
                }
            }
        }
    }

    fn refused(&mut self, waiting: &Waiting, said: &Said, now: Instant) {
        let (code, why) = said.error();
        let closing = matches!(self.state, State::Closing);
        // 401 to what was not signed, 438 to what was: the server names realm and nonce, and is asked again.
        if let Some(nonce) = said.nonce()
            && (!closing || waiting.ask == Ask::Release)
            && ((code == 401 && !waiting.signed) || (code == 438 && waiting.stale < STALE_MAX))
        {
            if let Some(realm) = said.realm() {
                self.realm = realm;
            }
            self.nonce = nonce;
            self.key = self.make_key();
            self.stale += u64::from(code == 438);
            return self.ask(waiting.ask, waiting.stale + u8::from(code == 438), now);
        }
        match waiting.ask {
            // 437: it is given back already, and only the answer was lost.
            _ if closing => self.end(),
            Ask::Release => {}
            Ask::Allocate if matches!(code, 401 | 441) => self.fail(RelayTrouble::Account),
            Ask::Allocate => self.fail(RelayTrouble::Refused { code, why }),
            Ask::Refresh => self.fail(RelayTrouble::Lost { why: format!("{code} {why}") }),
            // To an address of the far end's own network, which servers refuse to relay to (RFC 8656, 21.3).
            Ask::Permit(peer) => {
                self.peers.remove(&peer);
                self.events.push_back(Event::Forbidden(peer));
            }
            // Indications do as well, as long as there is a permission.
            Ask::Bind(peer, _) => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.bound = false;
                }
            }
        }
    }

    fn fail(&mut self, why: RelayTrouble) {
        self.end();
        self.events.push_back(Event::Failed(why));
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.waiting.clear();
    }
}
