//! Clients for the tests: a desk in a temporary folder, a cabin's end, a page's end.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use desk::accounts::{self, Accounts};
use desk::app::{self, Running};
use desk::cabins::Cabins;
use desk::config::Config;
use desk::totp;
use ed25519_dalek::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use signal::cabin::{AgeBand, FromCabin, FromDesk, Waiting};
use signal::data::{MeasurementKind, Sex};
use signal::enrol::{Accepted, Refused, Request, Site};
use signal::guest::{FromGuest, GUEST_SOCKET_PATH, GuestEnd as End, ToGuest};
use signal::physician::{FromPage, ToPage};
use signal::{CabinId, Code, ConsultationId, RefusalCode, Text, Ticket, proof};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far more than anything takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "correct horse battery";
const SECRET: &[u8; 20] = b"12345678901234567890";

pub struct TestDesk {
    pub running: Running,
    pub client: reqwest::Client,
    pub cabins: Cabins,
    folder: TempDir,
    extra: String,
}

impl TestDesk {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    pub async fn start_with(extra: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), extra).await
    }

    pub fn config(file: &Path, extra: &str) -> Config {
        // TOML: plain settings come before tables.
        let ice = "[[ice]]\nurls = [\"stun:127.0.0.1:3478\"]\n[[ice]]\nurls = [\"turn:127.0.0.1:3478\"]\nshared_secret = \"north\"\n";
        // Long: the ends of these tests answer pings only while they are listened to.
        let heartbeat = if extra.contains("heartbeat_ms") { "" } else { "heartbeat_ms = 5000" };
        let text = format!("listen = \"127.0.0.1:0\"\n{heartbeat}\n{extra}\n{ice}");
        Config::read(&text, file).unwrap()
    }

    pub async fn start_in(folder: TempDir, extra: &str) -> Self {
        // What a desk could not do is said beside the test that fails for it; a second desk of a test is heard already.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().try_init();
        let config = Self::config(&folder.path().join("desk.toml"), extra);
        let running = app::start(config).await.unwrap();
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let cabins = Cabins::open(&folder.path().join("data"));
        TestDesk { running, client: client.build().unwrap(), cabins, folder, extra: extra.into() }
    }

    pub async fn restart(self) -> Self {
        self.running.stop().await;
        Self::start_in(self.folder, &self.extra).await
    }

    /// Stops without a word, as far as one process can.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn now_s(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    pub fn add_account(&self, name: &str) {
        // Emma alone is another person.
        let rpps = if name == "emma" { "10101010105" } else { "10001234565" };
        self.add_physician(
            name,
            accounts::physician("Dr Claire Morel", "Médecine générale", rpps, "Chartres", 3000, "30 €"),
        );
    }

    pub fn add_physician(&self, name: &str, physician: signal::call::Physician) {
        Accounts::open(&self.data()).add(name, PASSWORD, physician, Some(SECRET.to_vec())).unwrap();
    }

    pub async fn try_sign_in(&self, name: &str, password: &str, code: &str) -> (u16, String) {
        let reply = self.post_sign_in(name, password, code).await;
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    async fn post_sign_in(&self, name: &str, password: &str, code: &str) -> reqwest::Response {
        let body = serde_json::json!({"account": name, "password": password, "code": code}).to_string();
        let request = self.client.post(format!("{}/api/physician/sign-in", self.running.origin));
        request.header("origin", &self.running.origin).body(body).send().await.unwrap()
    }

    pub async fn sign_in_reply(&self, name: &str) -> reqwest::Response {
        self.post_sign_in(name, PASSWORD, &totp::code(SECRET, self.now_s())).await
    }

    /// Makes the account, signs in, gives the cookie.
    pub async fn sign_in(&self, name: &str) -> String {
        self.add_account(name);
        let reply = self.sign_in_reply(name).await;
        assert_eq!(reply.status(), 200);
        reply.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str, cookie: &str) -> (u16, String) {
        let request = self.client.get(format!("{}{path}", self.running.origin)).header("cookie", cookie);
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    pub async fn try_enrol(&self, code: &str) -> Result<Known, RefusalCode> {
        self.try_enrol_as(SigningKey::from_bytes(&rand::random()), code).await
    }

    pub async fn try_enrol_as(&self, key: SigningKey, code: &str) -> Result<Known, RefusalCode> {
        let request = Request {
            version: signal::VERSION,
            code: Text::new(code).unwrap(),
            public_key: proof::public_key_text(&key.verifying_key()),
            site: site(),
        };
        let post = self.client.post(format!("{}{}", self.running.origin, signal::ENROL_PATH)).body(request.write());
        let reply = post.send().await.unwrap();
        let (status, text) = (reply.status(), reply.text().await.unwrap());
        match status.as_u16() {
            201 => {
                let accepted = Accepted::read(&text).unwrap();
                let origin = accepted.origin.as_str().to_owned();
                Ok(Known { id: accepted.cabin_id, key, origin, upload_token: accepted.upload_token.as_str().into() })
            }
            _ => Err(Refused::read(&text).unwrap().code),
        }
    }

    pub async fn enrol(&self) -> Known {
        let code = self.cabins.invite("Le Favril", self.now_s()).unwrap();
        self.try_enrol(&code).await.unwrap()
    }
}

fn site() -> Site {
    Site {
        name: Text::cut("Pharmacie du Marché"),
        kind: Code::new("pharmacy").unwrap(),
        address: Text::cut("3 place du Marché"),
        town: Text::cut("Le Favril"),
        insee: Text::cut("28148"),
        phone: Text::cut("+33200000000"),
        finess: None,
    }
}

pub fn waiting(consultation: &str) -> Waiting {
    Waiting {
        consultation: ConsultationId::new(consultation).unwrap(),
        reason: Code::new("fever").unwrap(),
        age_band: AgeBand::MiddleAge,
        sex: Sex::Female,
        measured: vec![MeasurementKind::Temperature],
        since_at: 1_795_310_000_000,
        language: Code::new("fr").unwrap(),
        warning_sign: false,
    }
}

/// What a cabin keeps of its enrolment.
#[derive(Clone, Debug)]
pub struct Known {
    pub id: CabinId,
    pub key: SigningKey,
    pub origin: String,
    pub upload_token: String,
}

impl Known {
    pub fn hello(&self) -> FromCabin {
        FromCabin::Hello { version: signal::VERSION, cabin_id: self.id.clone(), software: Text::cut("test") }
    }

    pub fn proof(&self, challenge: &FromDesk) -> FromCabin {
        let FromDesk::Challenge { nonce, .. } = challenge else { panic!("not a challenge: {challenge:?}") };
        FromCabin::Proof { signature: proof::sign(&self.key, nonce, &self.id, &self.origin).unwrap() }
    }

    /// The same cabin for a desk that moved.
    pub fn at(mut self, desk: &TestDesk) -> Self {
        self.origin = desk.running.origin.clone();
        self
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn next(socket: &mut Socket, end: Instant) -> Option<String> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, socket.next()).await.expect("the desk says something in time") {
            Some(Ok(Message::Text(text))) => return Some(text.to_string()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            None | Some(_) => return None,
        }
    }
}

pub struct CabinEnd {
    socket: Socket,
}

impl CabinEnd {
    pub async fn connect(desk: &TestDesk) -> Self {
        let url = format!("{}{}", desk.running.origin.replace("http", "ws"), signal::CABIN_SOCKET_PATH);
        CabinEnd { socket: connect_async(url).await.unwrap().0 }
    }

    pub async fn prove(desk: &TestDesk, known: &Known) -> Self {
        let mut cabin = Self::connect(desk).await;
        cabin.say(&known.hello()).await;
        let challenge = cabin.until(|message| matches!(message, FromDesk::Challenge { .. })).await;
        cabin.say(&known.proof(&challenge)).await;
        cabin.until(|message| matches!(message, FromDesk::Welcome { .. })).await;
        cabin
    }

    pub async fn refused(desk: &TestDesk, known: &Known) -> RefusalCode {
        let mut cabin = Self::connect(desk).await;
        cabin.say(&known.hello()).await;
        match FromDesk::read(&next(&mut cabin.socket, Instant::now() + PATIENCE).await.unwrap()).unwrap() {
            FromDesk::Refused { code, reason } => {
                assert!(!reason.is_empty());
                return code;
            }
            challenge => cabin.say(&known.proof(&challenge)).await,
        }
        cabin.last_refusal().await
    }

    pub async fn say(&mut self, message: &FromCabin) {
        self.say_text(message.write()).await;
    }

    pub async fn say_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The desk may have closed already.
    pub async fn try_say(&mut self, message: &FromCabin) {
        let _ = self.socket.send(Message::text(message.write())).await;
    }

    pub async fn until(&mut self, wanted: impl Fn(&FromDesk) -> bool) -> FromDesk {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = next(&mut self.socket, end).await.expect("the desk keeps the connection");
            let message = FromDesk::read(&text).unwrap();
            if let FromDesk::Ping { n } = message {
                self.try_say(&FromCabin::Pong { n }).await;
            }
            if wanted(&message) {
                return message;
            }
        }
    }

    /// The code of the last message before the desk closes.
    pub async fn last_refusal(&mut self) -> RefusalCode {
        let refused = self.until(|message| matches!(message, FromDesk::Refused { .. })).await;
        assert_eq!(next(&mut self.socket, Instant::now() + PATIENCE).await, None, "the connection closes");
        match refused {
            FromDesk::Refused { code, .. } => code,
            _ => unreachable!(),
        }
    }
}

pub struct PageEnd {
    socket: Socket,
}

impl PageEnd {
    pub async fn open(desk: &TestDesk, account: &str) -> Self {
        let badge = desk.sign_in(account).await;
        Self::with_badge(desk, &badge).await
    }

    async fn connect(desk: &TestDesk, badge: &str, origin: &str) -> Result<Self, u16> {
        let url = format!("{}{}", desk.running.origin.replace("http", "ws"), signal::PHYSICIAN_SOCKET_PATH);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("cookie", badge.parse().unwrap());
        match connect_async(request).await {
            Ok((socket, _)) => Ok(PageEnd { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn refused(desk: &TestDesk, badge: &str, origin: &str) -> u16 {
        Self::connect(desk, badge, origin).await.err().expect("refused")
    }

    /// Nothing of what the desk says first is heard yet.
    pub async fn with_badge_as_it_begins(desk: &TestDesk, badge: &str) -> Self {
        let mut page =
            Self::connect(desk, badge, &desk.running.origin).await.unwrap_or_else(|status| panic!("{status}"));
        page.say(&FromPage::Hello { version: signal::VERSION }).await;
        page
    }

    pub async fn with_badge(desk: &TestDesk, badge: &str) -> Self {
        let mut page = Self::with_badge_as_it_begins(desk, badge).await;
        page.until(|message| matches!(message, ToPage::WaitingList { .. })).await;
        page
    }

    pub async fn say(&mut self, message: &FromPage) {
        self.socket.send(Message::text(message.write())).await.unwrap();
    }

    pub async fn until(&mut self, wanted: impl Fn(&ToPage) -> bool) -> ToPage {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = next(&mut self.socket, end).await.expect("the desk keeps the connection");
            let message = ToPage::read(&text).unwrap();
            if let ToPage::Ping { n } = message {
                let _ = self.socket.send(Message::text(FromPage::Pong { n }.write())).await;
            }
            if wanted(&message) {
                return message;
            }
        }
    }

    pub async fn last_refusal(&mut self) -> RefusalCode {
        match self.until(|message| matches!(message, ToPage::Refused { .. })).await {
            ToPage::Refused { code, .. } => code,
            _ => unreachable!(),
        }
    }
}

/// Who has the third seat of a call, or tries to.
pub struct GuestEnd {
    socket: Socket,
}

impl GuestEnd {
    /// Connects and says this first.
    pub async fn open(desk: &TestDesk, first: &FromGuest) -> Self {
        let socket = Self::connect(desk, &desk.running.origin).await.unwrap_or_else(|status| panic!("{status}"));
        let mut guest = GuestEnd { socket };
        guest.say(first).await;
        guest
    }

    pub async fn refused_from(desk: &TestDesk, origin: &str) -> u16 {
        Self::connect(desk, origin).await.expect_err("refused")
    }

    async fn connect(desk: &TestDesk, origin: &str) -> Result<Socket, u16> {
        let url = format!("{}{}", desk.running.origin.replace("http", "ws"), GUEST_SOCKET_PATH);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn say(&mut self, message: &FromGuest) {
        self.socket.send(Message::text(message.write())).await.unwrap();
    }

    pub async fn until(&mut self, wanted: impl Fn(&ToGuest) -> bool) -> ToGuest {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = next(&mut self.socket, end).await.expect("the desk keeps the connection");
            let message = ToGuest::read(&text).unwrap();
            if let ToGuest::Ping { n } = message {
                let _ = self.socket.send(Message::text(FromGuest::Pong { n }.write())).await;
            }
            if wanted(&message) {
                return message;
            }
        }
    }

    /// The ticket of the seat, once it is taken.
    pub async fn seat(&mut self) -> Ticket {
        match self.until(|message| matches!(message, ToGuest::Seated { .. })).await {
            ToGuest::Seated { ticket, .. } => ticket,
            _ => unreachable!(),
        }
    }

    /// Why it is over, before the desk closes.
    pub async fn ended(&mut self) -> End {
        let ended = self.until(|message| matches!(message, ToGuest::Ended { .. })).await;
        assert_eq!(next(&mut self.socket, Instant::now() + PATIENCE).await, None, "the connection closes");
        match ended {
            ToGuest::Ended { cause } => cause,
            _ => unreachable!(),
        }
    }

    pub async fn last_refusal(&mut self) -> RefusalCode {
        let refused = self.until(|message| matches!(message, ToGuest::Refused { .. })).await;
        assert_eq!(next(&mut self.socket, Instant::now() + PATIENCE).await, None, "the connection closes");
        match refused {
            ToGuest::Refused { code, .. } => code,
            _ => unreachable!(),
        }
    }
}
