//! A call that can go only through a TURN server: a real coturn, over UDP, TCP and TLS.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use call::{Fault, IceServer, RelayTrouble};
use rtc::crypto::HmacAlgorithm;
use std::process::Stdio;

const SECRET: &str = "north";

/// A running coturn.
struct Coturn {
    process: Child,
    folder: PathBuf,
    ports: (u16, u16),
}

impl Coturn {
    async fn start(folder: &std::path::Path, ports: (u16, u16)) -> Option<Coturn> {
        let file = |name: &str| folder.join(name).display().to_string();
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--no-dtls", "--no-cli", "--simple-log", "--log-file=stdout", "--allow-loopback-peers"])
            .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=relay.test", "--use-auth-secret"])
            .args(["--stale-nonce=2"])
            .arg(format!("--listening-port={}", ports.0))
            .arg(format!("--tls-listening-port={}", ports.1))
            .arg(format!("--static-auth-secret={SECRET}"))
            .arg(format!("--cert={}", file("relay.pem")))
            .arg(format!("--pkey={}", file("relay.key")))
            .arg(format!("--userdb={}", file("users")))
            .arg(format!("--pidfile={}", file("pid")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => panic!("coturn: {error}"),
        };
        let mut coturn = Coturn { process, folder: folder.to_owned(), ports };
        let deadline = Instant::now() + PATIENCE;
        for port in [ports.0, ports.1] {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                let ended = coturn.process.try_wait().expect("a process");
                assert!(ended.is_none() && Instant::now() < deadline, "coturn does not listen: {ended:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Some(coturn)
    }

    /// As the desk makes them (draft-uberti-behave-turn-rest-00): they end in an hour.
    fn server(&self, url: &str) -> IceServer {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
        let username = format!("{}:cabin-1", now + 3_600);
        let crypto = rtc::crypto::default_provider().expect("a library of ciphers");
        let mut sum = [0; 20];
        let mut hmac = crypto.crypto().new_hmac(HmacAlgorithm::Sha1, SECRET.as_bytes()).expect("HMAC");
        hmac.sign(&[username.as_bytes()], &mut sum).expect("HMAC");
        IceServer { urls: vec![url.to_owned()], username, credential: STANDARD.encode(sum) }
    }

    fn settings(&self, server: IceServer) -> Settings {
        Settings {
            ice_servers: vec![server],
            authority_file: Some(self.folder.join("authority.pem")),
            relays_only: true,
            ..Settings::default()
        }
    }

    async fn kill(mut self) -> (PathBuf, (u16, u16)) {
        self.process.kill().await.expect("coturn to end");
        (self.folder.clone(), self.ports)
    }
}

/// An authority and a certificate of 127.0.0.1 signed by it.
fn certificates(folder: &std::path::Path) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("a certificate");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signed = authority.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("authority.pem"), signed.pem()).expect("a file");
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("relay.pem"), leaf.signed_by(&own, &issuer).expect("a certificate").pem())
        .expect("a file");
    std::fs::write(folder.join("relay.key"), own.serialize_pem()).expect("a file");
}

/// A port that nobody uses now, for UDP and TCP, and that the kernel gives to nobody by itself: what is bound to port 0
/// meanwhile, here or in another test, must not take it while the relay is dead.
async fn free_port() -> u16 {
    let given = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("the kernel's own ports");
    let first: u16 = given.split_whitespace().next().and_then(|port| port.parse().ok()).expect("a port");
    loop {
        let port = rand::random_range(10_240..first);
        let free =
            (TcpListener::bind(("127.0.0.1", port)).await, tokio::net::UdpSocket::bind(("127.0.0.1", port)).await);
        if let (Ok(_), Ok(_)) = free {
            return port;
        }
    }
}

impl Meeting<'_> {
    async fn until_seen_and_heard(&mut self, how: &str) {
        self.pictures.clear();
        self.loudest_decibels = -120.0;
        let (pictures, energy) = (self.number("pictures") + PICTURES as f64, self.number("energy"));
        self.until(&format!("picture and sound {how}"), |m| {
            m.pictures.len() >= PICTURES
                && m.number("pictures") >= pictures
                && m.loudest_decibels > -60.0
                && m.number("energy") > energy
        })
        .await;
    }

    async fn until_fault(&mut self, what: &str, is: impl Fn(&RelayTrouble) -> bool) {
        self.until(what, |m| {
            m.told.iter().any(|event| matches!(event, CallEvent::Fault(Fault::Relay { why, .. }) if is(why)))
        })
        .await;
    }

    async fn end(self) {
        self.call.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_through_a_relay_over_udp_tcp_and_tls_and_comes_back_after_the_relay_died() {
    let folder = std::env::temp_dir().join(format!("call-relay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    certificates(&folder);
    let ports = (free_port().await, free_port().await);
    let Some(mut coturn) = Coturn::start(&folder, ports).await else {
        println!("SKIPPED: coturn is not installed (Debian package coturn)");
        return;
    };
    let pages = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sockets = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let numbers = (pages.local_addr().expect("a port").port(), sockets.local_addr().expect("a port").port());
    let serving = tokio::spawn(serve_page(pages));
    let browser = Browser::start(&format!("http://127.0.0.1:{}/?socket={}", numbers.0, numbers.1));
    let (stream, _) = timeout(PATIENCE, sockets.accept()).await.expect("the page in time").expect("a connection");
    let mut page = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");

    let udp = format!("turn:127.0.0.1:{}?transport=udp", ports.0);
    let tcp = format!("turn:127.0.0.1:{}?transport=tcp", ports.0);
    let tls = format!("turns:127.0.0.1:{}?transport=tcp", ports.1);
    // Of every nonce coturn wants no more after two seconds: `make soak` waits for that, half a minute each time.
    let renewals = std::env::var("RELAY_RENEWALS").map_or(0, |count| count.parse().expect("a number"));
    for url in [&udp, &tcp, &tls] {
        let mut meeting = Meeting::begin_with(&mut page, coturn.settings(coturn.server(url)), Value::Null).await;
        meeting.until("connection", |m| m.was_told(&CallEvent::Connected)).await;
        meeting.until_seen_and_heard(url).await;
        meeting.until("known route", |m| m.report["route"][1] == json!("relay")).await;
        for wanted in 1..=renewals {
            meeting.until("renewal with another nonce", |m| m.call.relayed().stale >= wanted).await;
            meeting.until_seen_and_heard("after a renewal").await;
        }
        let relayed = meeting.call.relayed();
        assert!(relayed.sent > 100 && relayed.received > 100, "{url}: {relayed:?}");
        let is_trouble = |event: &&CallEvent| matches!(event, CallEvent::Stuck(_) | CallEvent::Fault(_));
        let trouble: Vec<_> = meeting.told.iter().filter(is_trouble).collect();
        assert!(trouble.is_empty(), "{url}: {trouble:?}");
        println!("{url}: {relayed:?}, page and cabin on {}", meeting.report["route"]);
        meeting.end().await;
    }

    // Both ends have nothing but relays, as behind two hospitals' firewalls.
    let server = coturn.server(&udp);
    let ice = json!({
        "iceTransportPolicy": "relay",
        "iceServers": [{ "urls": udp, "username": server.username, "credential": server.credential }],
    });
    let mut meeting = Meeting::begin_with(&mut page, coturn.settings(coturn.server(&tls)), ice).await;
    meeting.until_seen_and_heard("between two relays").await;
    meeting.until("known route", |m| m.report["route"] == json!(["relay", "relay"])).await;
    meeting.end().await;

    // What stands in the way is told, each with what can be done.
    let wrong = IceServer { credential: "south".to_owned(), ..coturn.server(&tcp) };
    let mut meeting = Meeting::begin_with(&mut page, coturn.settings(wrong), Value::Null).await;
    meeting.until_fault("refused account", |why| *why == RelayTrouble::Account).await;
    meeting.end().await;
    let stranger = Settings { authority_file: None, ..coturn.settings(coturn.server(&tls)) };
    let mut meeting = Meeting::begin_with(&mut page, stranger, Value::Null).await;
    meeting.until_fault("unknown authority", |why| matches!(why, RelayTrouble::Untrusted { .. })).await;
    meeting.end().await;
    let nobody = free_port().await;
    for url in [format!("turn:127.0.0.1:{nobody}"), format!("turns:127.0.0.1:{nobody}")] {
        let mut meeting = Meeting::begin_with(&mut page, coturn.settings(coturn.server(&url)), Value::Null).await;
        meeting.until_fault("absent server", |why| matches!(why, RelayTrouble::Unreachable { .. })).await;
        meeting.end().await;
    }

    // A relay that dies in the call: the call says so, and goes on through it once ICE is restarted.
    for url in [&udp, &tls] {
        let mut meeting = Meeting::begin_with(&mut page, coturn.settings(coturn.server(url)), Value::Null).await;
        meeting.until_seen_and_heard("before the relay died").await;
        let (folder, ports) = coturn.kill().await;
        meeting.until_fault("lost relay", |why| matches!(why, RelayTrouble::Lost { .. })).await;
        coturn = Coturn::start(&folder, ports).await.expect("coturn, as before");
        meeting.say(json!({ "do": "restart" })).await;
        meeting.until("second answer", |m| m.answers == 2).await;
        meeting.until("new path", |m| m.report["restarted"] == json!(true)).await;
        meeting.until_seen_and_heard("after the relay came back").await;
        assert_eq!(meeting.report["route"][1], json!("relay"));
        meeting.end().await;
    }
    serving.abort();
    browser.stop().await;
    let (folder, _) = coturn.kill().await;
    std::fs::remove_dir_all(folder).expect("a folder to remove");
}
