//! The client against a server of the tests' own, in virtual time, and the library's own client against the gate.

use super::RelayTrouble;
use super::client::{ANSWER_MAX, Access, Client, Event, RELEASE_MAX, SILENCE_MAX};
use super::gate::{Gate, Wish};
use super::message::{Build, Said, channel_data, read_channel_data};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rtc::crypto::{RTCCryptoProvider, default_provider};
use rtc::sansio::Protocol as _;
use rtc::stun::attributes::{ATTR_DATA, ATTR_NONCE, ATTR_REALM};
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, METHOD_ALLOCATE,
    METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_DATA, METHOD_REFRESH, METHOD_SEND, TransactionId,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const REALM: &str = "relay.test";

fn crypto() -> Arc<dyn RTCCryptoProvider> {
    default_provider().unwrap()
}

fn access(password: &str) -> Access {
    Access { username: "1795313600:cabin-1".to_owned(), password: password.to_owned() }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    seed
}

/// A server as RFC 8656 describes it, which forgets whatever is not renewed.
struct Server {
    key: Vec<u8>,
    nonce_lasts: Duration,
    nonce: (u64, Instant),
    ends_at: Option<Instant>,
    permitted: HashMap<IpAddr, Instant>,
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
    /// What came for peers.
    sent: Vec<(SocketAddr, Vec<u8>)>,
    /// What was refused for want of an allocation, a permission or a channel.
    dropped: usize,
    allocations: usize,
    silent: bool,
}

impl Server {
    fn new(nonce_lasts: Duration, now: Instant) -> Server {
        let Access { username, password } = access("north");
        let crypto = crypto();
        let key = MessageIntegrity::long_term_integrity_key(username, REALM.to_owned(), password, crypto.crypto());
        Server {
            key: key.unwrap(),
            nonce_lasts,
            nonce: (1, now),
            ends_at: None,
            permitted: HashMap::new(),
            channels: BTreeMap::new(),
            sent: Vec::new(),
            dropped: 0,
            allocations: 0,
            silent: false,
        }
    }

    fn may(&self, peer: SocketAddr, now: Instant) -> bool {
        self.ends_at.is_some_and(|end| now < end) && self.permitted.get(&peer.ip()).is_some_and(|end| now < *end)
    }

    fn take(&mut self, bytes: &[u8], now: Instant) -> Option<Vec<u8>> {
        if self.silent {
            return None;
        }
        if let Some((number, data)) = read_channel_data(bytes) {
            match self.channels.get(&number) {
                Some((peer, end)) if now < *end && self.may(*peer, now) => self.sent.push((*peer, data.to_vec())),
                _ => self.dropped += 1,
            }
            return None;
        }
        let mut said = Said::read(bytes).expect("a message");
        if said.class() == CLASS_INDICATION {
            let (peer, data) = (said.peer().unwrap(), said.data().unwrap());
            assert_eq!(said.method(), METHOD_SEND);
            if self.may(peer, now) {
                self.sent.push((peer, data))
            } else {
                self.dropped += 1
            }
            return None;
        }
        assert_eq!(said.class(), CLASS_REQUEST);
        if now >= self.nonce.1 + self.nonce_lasts {
            self.nonce = (self.nonce.0 + 1, now);
        }
        let (id, method, nonce) = (said.id(), said.method(), format!("nonce-{}", self.nonce.0));
        let refuse = |code, why| {
            let answer = Build::new(id, method, CLASS_ERROR_RESPONSE).error(code, why);
            Some(answer.text(ATTR_REALM, REALM).text(ATTR_NONCE, &nonce).end())
        };
        match said.nonce() {
            None => return refuse(401, "Unauthorized"),
            Some(told) if told != nonce => return refuse(438, "Stale Nonce"),
            Some(_) if !said.is_signed_with(&self.key, crypto().crypto()) => return refuse(401, "Unauthorized"),
            Some(_) => {}
        }
        let lives = self.ends_at.is_some_and(|end| now < end);
        let lifetime = Duration::from_secs(600);
        let answer = Build::new(id, method, CLASS_SUCCESS_RESPONSE);
        let answer = match method {
            METHOD_ALLOCATE => {
                self.allocations += 1;
                self.ends_at = Some(now + lifetime);
                answer.relayed(address("192.0.2.1:50000")).lifetime(lifetime)
            }
            _ if !lives => return refuse(437, "Allocation Mismatch"),
            METHOD_REFRESH => {
                let lifetime = said.lifetime().unwrap_or(lifetime);
                self.ends_at = (!lifetime.is_zero()).then_some(now + lifetime);
                answer.lifetime(lifetime)
            }
            METHOD_CREATE_PERMISSION => {
                let peer = said.peer().unwrap();
                if peer.ip().is_loopback() {
                    return refuse(403, "Forbidden");
                }
                self.permitted.insert(peer.ip(), now + Duration::from_secs(300));
                answer
            }
            METHOD_CHANNEL_BIND => {
                let (number, peer) = (said.channel().unwrap(), said.peer().unwrap());
                let others =
                    |(known, (bound, _)): (&u16, &(SocketAddr, Instant))| (*known == number) != (*bound == peer);
                if self.channels.iter().any(others) {
                    return refuse(400, "Bad Request");
                }
                self.channels.insert(number, (peer, now + Duration::from_secs(600)));
                answer
            }
            _ => return refuse(400, "Bad Request"),
        };
        Some(answer.signed(&self.key, crypto().crypto()))
    }

    /// A datagram of a peer, as it is handed to the client.
    fn relay_of(&mut self, peer: SocketAddr, data: &[u8], now: Instant) -> Option<Vec<u8>> {
        if !self.may(peer, now) {
            self.dropped += 1;
            return None;
        }
        match self.channels.iter().find(|(_, (bound, end))| *bound == peer && now < *end) {
            Some((number, _)) => Some(channel_data(*number, data)),
            None => {
                let indication = Build::new(TransactionId::new(), METHOD_DATA, CLASS_INDICATION);
                Some(indication.peer(peer).bytes(ATTR_DATA, data).end())
            }
        }
    }
}

/// A client and a server, 40 ms apart.
struct World {
    now: Instant,
    client: Client,
    server: Server,
    under_way: Vec<(Instant, bool, Vec<u8>)>,
    random: StdRng,
    loss: f64,
    events: Vec<Event>,
}

impl World {
    fn new(password: &str, stream: bool, nonce_lasts: Duration, seed: u64, loss: f64) -> World {
        let now = Instant::now();
        World {
            now,
            client: Client::new(access(password), stream, crypto(), now),
            server: Server::new(nonce_lasts, now),
            under_way: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            loss,
            events: Vec::new(),
        }
    }

    fn put(&mut self, to_server: bool, message: Vec<u8>) -> bool {
        let arrives = !self.random.random_bool(self.loss);
        if arrives {
            self.under_way.push((self.now + Duration::from_millis(40), to_server, message));
        }
        arrives
    }

    /// Until `end`, or nothing more would happen.
    fn run(&mut self, end: Instant) {
        loop {
            while let Some(message) = self.client.poll_write() {
                self.put(true, message);
            }
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            let arrival = self.under_way.iter().map(|(at, ..)| *at).min();
            let Some(next) = arrival.into_iter().chain(self.client.poll_timeout()).min().filter(|next| *next <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let now = self.now;
            let (arrived, later) = std::mem::take(&mut self.under_way).into_iter().partition(|(at, ..)| *at <= now);
            self.under_way = later;
            for (_, to_server, message) in arrived {
                match to_server {
                    true => {
                        if let Some(answer) = self.server.take(&message, now) {
                            self.put(false, answer);
                        }
                    }
                    false => self.client.handle_read(&message, now),
                }
            }
            self.client.handle_timeout(now);
        }
    }

    fn for_seconds(&mut self, seconds: u64) {
        self.run(self.now + Duration::from_secs(seconds));
    }

    /// An allocation and one permitted peer.
    fn open(&mut self, peer: SocketAddr) {
        self.for_seconds(5);
        assert_eq!(self.events, [Event::Open(address("192.0.2.1:50000"))]);
        self.client.permit(peer, self.now);
        self.for_seconds(5);
        assert_eq!(self.events.last(), Some(&Event::Permitted(peer)));
        self.events.clear();
    }
}

#[test]
fn two_hours_of_call_outlive_every_nonce_permission_channel_and_lifetime_of_a_server_over_a_line_that_loses() {
    let seed = seed();
    for (stream, loss) in [(false, 0.02), (true, 0.0)] {
        let mut world = World::new("north", stream, Duration::from_secs(600), seed, loss);
        let peer = address("198.51.100.7:40000");
        world.open(peer);
        let (mut sent, mut told) = (0, 0);
        for number in 0..36_000_u32 {
            let data = number.to_be_bytes();
            world.client.send(peer, &data, world.now);
            while let Some(message) = world.client.poll_write() {
                // Only what carries data counts: requests are repeated.
                let is_data = read_channel_data(&message).is_some()
                    || Said::read(&message).is_some_and(|said| said.method() == METHOD_SEND);
                sent += usize::from(world.put(true, message) && is_data);
            }
            if let Some(message) = world.server.relay_of(peer, &data, world.now) {
                told += usize::from(world.put(false, message));
            }
            let next = world.now + Duration::from_millis(200);
            world.run(next);
        }
        world.for_seconds(1);
        assert_eq!(world.server.dropped, 0, "the server forgot something");
        assert_eq!(world.server.sent.len(), sent);
        let heard = world.events.iter().filter(|event| matches!(event, Event::Data(from, _) if *from == peer)).count();
        assert_eq!((heard, world.events.len()), (told, told), "nothing but the peer's packets was told");
        assert!(sent > 35_000 && told > 35_000, "{sent} {told}");
        assert!(world.client.stale >= 11, "{} nonces of ten minutes ended", world.client.stale);
        assert_eq!(world.server.channels.len(), 1, "one channel, bound again and again");
        world.client.release(world.now);
        world.for_seconds(5);
        assert_eq!(world.server.ends_at, None, "given back");
        // Where the first answer is lost, the same is asked once more.
        assert!(world.server.allocations == 1 || loss > 0.0, "{} allocations", world.server.allocations);
    }
}

#[test]
fn an_outage_of_fifty_seconds_leaves_the_allocation_as_it_was_and_a_dead_server_is_told_within_ninety() {
    let peer = address("198.51.100.7:40000");
    let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
    world.open(peer);
    world.server.silent = true;
    world.for_seconds(50);
    world.server.silent = false;
    world.for_seconds(5);
    assert_eq!(world.events, []);
    world.client.send(peer, b"after", world.now);
    world.for_seconds(1);
    assert_eq!(world.server.sent, [(peer, b"after".to_vec())]);
    world.server.silent = true;
    world.for_seconds(30 + SILENCE_MAX.as_secs());
    assert!(matches!(world.events[..], [Event::Failed(RelayTrouble::Lost { .. })]), "{:?}", world.events);
    assert_eq!(world.client.poll_timeout(), None, "nothing is tried any more");
}

#[test]
fn an_allocation_is_given_back_with_a_stale_nonce_over_a_line_that_loses_and_before_it_is_known() {
    // The nonce has ended by then.
    let mut world = World::new("north", false, Duration::from_secs(20), 1, 0.0);
    world.for_seconds(29);
    world.client.release(world.now);
    world.for_seconds(1);
    assert_eq!((world.client.stale, world.server.ends_at, world.client.poll_timeout()), (1, None, None));
    for request_is_lost in [true, false] {
        let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
        world.for_seconds(5);
        world.loss = f64::from(u8::from(request_is_lost));
        world.client.release(world.now);
        world.run(world.now + Duration::from_millis(10));
        world.loss = f64::from(u8::from(!request_is_lost));
        world.run(world.now + Duration::from_millis(100));
        world.loss = 0.0;
        assert_eq!(world.server.ends_at.is_some(), request_is_lost);
        assert!(world.client.poll_timeout().is_some(), "it is asked again");
        world.for_seconds(1);
        assert_eq!((world.server.ends_at, world.client.poll_timeout()), (None, None));
    }
    // It is on its way: asked for, and not yet granted.
    let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
    world.run(world.now + Duration::from_millis(130));
    assert!(world.server.ends_at.is_some() && !world.events.contains(&Event::Open(address("192.0.2.1:50000"))));
    world.client.release(world.now);
    world.for_seconds(1);
    assert_eq!((&world.events[..], world.server.ends_at, world.client.poll_timeout()), (&[][..], None, None));
    // A server that is gone is not waited for.
    let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
    world.for_seconds(5);
    world.events.clear();
    world.server.silent = true;
    world.client.release(world.now);
    world.for_seconds(RELEASE_MAX.as_secs());
    assert_eq!((&world.events[..], world.client.poll_timeout()), (&[][..], None), "nothing is told of it");
}

#[test]
fn a_server_that_never_answers_is_given_up_after_ten_seconds() {
    for stream in [false, true] {
        let mut world = World::new("north", stream, Duration::from_secs(600), 1, 0.0);
        world.server.silent = true;
        world.run(world.now + ANSWER_MAX - Duration::from_millis(1));
        assert_eq!(world.events, []);
        world.for_seconds(1);
        assert!(matches!(world.events[..], [Event::Failed(RelayTrouble::Unreachable { .. })]));
    }
}

#[test]
fn a_wrong_password_and_a_nonce_that_is_always_stale_are_told_and_not_asked_for_ever() {
    let mut world = World::new("south", false, Duration::from_secs(600), 1, 0.0);
    world.for_seconds(10);
    assert_eq!(world.events, [Event::Failed(RelayTrouble::Account)]);
    let mut world = World::new("north", false, Duration::ZERO, 1, 0.0);
    world.for_seconds(10);
    assert!(matches!(world.events[..], [Event::Failed(RelayTrouble::Refused { code: 438, .. })]), "{:?}", world.events);
}

#[test]
fn a_forged_answer_is_none_and_a_forbidden_peer_is_told() {
    let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
    let right = world.server.key.clone();
    world.for_seconds(1);
    assert_eq!(world.events.len(), 1);
    let within = address("127.0.0.1:9");
    world.client.permit(within, world.now);
    world.for_seconds(1);
    assert_eq!(world.events.last(), Some(&Event::Forbidden(within)));

    // Signed with another key: the client goes on asking, until the right one answers.
    let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
    let first = world.client.poll_write().unwrap();
    let challenge = world.server.take(&first, world.now).unwrap();
    world.client.handle_read(&challenge, world.now);
    let asked = world.client.poll_write().unwrap();
    let answer = Build::new(Said::read(&asked).unwrap().id(), METHOD_ALLOCATE, CLASS_SUCCESS_RESPONSE)
        .relayed(address("203.0.113.66:1"))
        .lifetime(Duration::from_secs(600));
    let forged = answer.signed(b"another key here", crypto().crypto());
    world.client.handle_read(&forged, world.now);
    assert_eq!(world.client.poll_event(), None);
    let genuine = world.server.take(&asked, world.now).unwrap();
    world.client.handle_read(&genuine, world.now);
    assert_eq!(world.client.poll_event(), Some(Event::Open(address("192.0.2.1:50000"))));
    assert_eq!(right, world.server.key);
}

#[test]
fn random_and_damaged_bytes_stop_neither_client_nor_gate() {
    let mut random = StdRng::seed_from_u64(seed());
    let peer = address("198.51.100.7:40000");
    let mut world = World::new("north", false, Duration::from_secs(600), 1, 0.0);
    world.open(peer);
    let mut gate = Gate::new();
    let whole = Build::new(TransactionId::new(), METHOD_CREATE_PERMISSION, CLASS_REQUEST).peer(peer).end();
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..random.random_range(0..6) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        bytes.truncate(random.random_range(0..=bytes.len()));
        if random.random_bool(0.3) {
            random.fill(&mut bytes[..]);
        }
        world.client.handle_read(&bytes, world.now);
        gate.handle_read(&bytes);
        while world.client.poll_event().is_some() || world.client.poll_write().is_some() {}
        while gate.poll_wish().is_some() || gate.poll_write().is_some() {}
    }
    world.client.send(peer, b"still", world.now);
    world.for_seconds(1);
    assert_eq!(world.server.sent, [(peer, b"still".to_vec())]);
}

/// The library's own client, as its connection drives it.
struct Library {
    client: rtc::turn::client::Client,
    gate: Gate,
    now: Instant,
}

impl Library {
    fn new(gate: Gate) -> Library {
        let config = rtc::turn::client::ClientConfig {
            turn_serv_addr: "192.0.0.8:3478".to_owned(),
            local_addr: address("127.0.0.1:5000"),
            username: "cabin".to_owned(),
            password: "cabin".to_owned(),
            ..Default::default()
        };
        let client = rtc::turn::client::Client::new(config, crypto()).unwrap();
        Library { client, gate, now: Instant::now() }
    }

    fn exchange(&mut self) -> Vec<rtc::turn::client::Event> {
        let mut events = Vec::new();
        loop {
            let mut quiet = true;
            while let Some(message) = self.client.poll_write() {
                quiet = false;
                self.gate.handle_read(&message.message);
            }
            while let Some(answer) = self.gate.poll_write() {
                quiet = false;
                let transport = rtc::shared::TransportContext {
                    local_addr: address("127.0.0.1:5000"),
                    peer_addr: address("192.0.0.8:3478"),
                    transport_protocol: rtc::shared::TransportProtocol::UDP,
                    ecn: None,
                };
                let message = rtc::shared::TransportMessage { now: self.now, transport, message: answer[..].into() };
                self.client.handle_read(message).unwrap();
            }
            while let Some(event) = self.client.poll_event() {
                events.push(event);
            }
            if quiet {
                return events;
            }
        }
    }
}

#[test]
fn the_library_takes_the_gate_for_a_server_and_is_refused_at_once_where_there_is_none() {
    use rtc::turn::client::Event as Told;
    let (relayed, peer) = (address("192.0.2.1:50000"), address("198.51.100.7:40000"));
    let mut library = Library::new(Gate::new());
    let asked = library.client.allocate(library.now).unwrap();
    assert!(library.exchange().is_empty());
    assert_eq!(library.gate.poll_wish(), Some(Wish::Open));
    library.gate.opened(relayed);
    assert!(matches!(library.exchange()[..], [Told::AllocateResponse(id, at)] if id == asked && at == relayed));

    library.client.relay(relayed).unwrap().create_permission(library.now, peer).unwrap();
    assert!(library.exchange().is_empty());
    assert_eq!(library.gate.poll_wish(), Some(Wish::Permit(peer)));
    library.gate.permitted(peer);
    assert!(matches!(library.exchange()[..], [Told::CreatePermissionResponse(_, at)] if at == peer));
    // First as an indication, then on a channel, both ways.
    for word in [b"first".as_slice(), b"second", b"third"] {
        library.client.relay(relayed).unwrap().send_to(library.now, word, peer).unwrap();
        library.gate.received(peer, word);
        let told = library.exchange();
        assert!(
            matches!(&told[..], [Told::DataIndicationOrChannelData(_, from, data)] if *from == peer && data == word)
        );
        assert_eq!(library.gate.poll_wish(), Some(Wish::Send(peer, word.to_vec())));
    }
    library.client.relay(relayed).unwrap().close(library.now).unwrap();
    library.exchange();
    assert_eq!(library.gate.poll_wish(), Some(Wish::Close));

    let mut library = Library::new(Gate::refusing());
    let asked = library.client.allocate(library.now).unwrap();
    assert!(matches!(&library.exchange()[..], [Told::AllocateError(id, _)] if *id == asked));
}
