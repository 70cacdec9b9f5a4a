//! What the tests of the outbox share: a folder that goes away, the real daemon, and a small FHIR server that cuts
//! answers on command.
#![allow(dead_code, reason = "each test program uses a part of this")]

mod chance;

#[allow(unused_imports, reason = "each test program uses a part of this")]
pub use chance::{Chance, asked};
use outbox::keys::RootKey;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Nothing in these tests takes longer than this, by far.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own for each test, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("outbox-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn root_key() -> RootKey {
    RootKey::from_text_or_bytes(&[0x5a; 32]).unwrap()
}

/// Every file under `dir`, with its bytes.
pub fn every_file(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(every_file(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

pub fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Copies a directory.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Asks again until the answer is yes: what other programs have done (a socket, a file, a server's state) sends this
/// test no event.
pub fn until(what: &str, yes: impl FnMut() -> bool) {
    until_within(PATIENCE, what, yes);
}

/// The same with a patience of its own.
pub fn until_within(patience: Duration, what: &str, mut yes: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !yes() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The real `cabin-outbox`.
pub struct Daemon {
    child: Child,
    told: UnixDatagram,
}

impl Daemon {
    /// Writes the configuration and starts; returns once systemd would have been told that it is ready.
    pub fn start(folder: &Folder, upload: &str) -> Daemon {
        Daemon::start_in(folder, &folder.data(), upload, |_| ())
    }

    /// The same with its data in `dir`, and with what `prepare` does to the command.
    pub fn start_in(folder: &Folder, dir: &Path, upload: &str, prepare: impl FnOnce(&mut Command)) -> Daemon {
        let key = folder.0.join("key");
        if !key.exists() {
            std::fs::write(&key, [0x5a; 32]).unwrap();
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let config = folder.0.join("outbox.toml");
        let text = format!("dir = {dir:?}\nsocket = {:?}\nkey = {key:?}\nreserve_mib = 1\n{upload}", socket(folder));
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cabin-outbox"));
        command.arg("--config").arg(&config);
        prepare(&mut command);
        Daemon::start_command(folder, command)
    }

    /// Starts it as `command` says; returns once systemd would have been told that it is ready.
    pub fn start_command(folder: &Folder, mut command: Command) -> Daemon {
        let notify = folder.0.join("notify");
        let _ = std::fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).unwrap();
        // Another account may be the one that says so.
        std::fs::set_permissions(&notify, std::fs::Permissions::from_mode(0o777)).unwrap();
        ready.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = command
            .env("NOTIFY_SOCKET", &notify)
            .env("RUST_LOG", std::env::var("OUTBOX_LOG").unwrap_or("error".into()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Daemon { child, told: ready };
        assert_eq!(daemon.told().expect("cabin-outbox did not become ready"), "READY=1");
        daemon
    }

    /// What it tells systemd next; `None` when that is nothing in `PATIENCE`.
    pub fn told(&self) -> Option<String> {
        let mut message = [0; 64];
        let length = self.told.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end that it comes to by itself.
    pub fn ended(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) }, 0);
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn socket(folder: &Folder) -> PathBuf {
    folder.0.join("socket")
}

/// What the FHIR server has stored and been asked, and how it misbehaves.
#[derive(Default)]
pub struct State {
    /// Created by transactions, with their type.
    pub resources: Vec<Value>,
    /// Put, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Requests, such as `POST /fhir`.
    pub asked: Vec<String>,
    /// The tokens that were shown.
    pub tokens: Vec<String>,
    /// Every second answer is cut after the server did what was asked.
    pub cut_every_second: bool,
    /// Answers for the next bundles, instead of storing them.
    pub statuses: Vec<u16>,
    /// A bundle that contains this is refused.
    pub poison: Option<String>,
    /// A bundle that contains this breaks the connection, and is not stored.
    pub breaks: Option<String>,
    /// A longer body breaks the connection, bytes.
    pub longest_body: Option<usize>,
    /// It takes files in parts.
    pub takes_parts: bool,
    answers: u64,
}

/// A FHIR server just large enough for the outbox: conditional creates in transactions, `PUT`, and search by identifier.
pub struct Peer {
    pub base_url: String,
    state: Arc<Mutex<State>>,
}

impl Peer {
    pub fn start() -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/fhir", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &shared);
            }
        });
        Peer { base_url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The `[upload]` table for this server.
    pub fn upload(&self) -> String {
        format!("[upload]\nbase_url = {:?}\nretry_first_ms = 10\nretry_max_s = 1\n", self.base_url)
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut length = 0;
    let (mut token, mut offset, mut is_last) = (None, None, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => token = Some(value.trim().to_owned()),
            "upload-offset" => offset = value.trim().parse::<usize>().ok(),
            "upload-complete" => is_last = value.trim() == "?1",
            _ => {}
        }
    }
    let longest = state.lock().unwrap().longest_body.unwrap_or(usize::MAX);
    let mut body = vec![0; length];
    if length > longest {
        reader.read_exact(&mut body[..longest])?;
        state.lock().unwrap().asked.push(format!("{method} {path} broken"));
        return Ok(());
    }
    reader.read_exact(&mut body)?;
    let mut state = state.lock().unwrap();
    state.asked.push(format!("{method} {path}"));
    state.tokens.extend(token);
    if method == "POST" && state.breaks.as_ref().is_some_and(|breaks| holds(&body, breaks.as_bytes())) {
        return Ok(());
    }
    let mut known = String::new();
    let (status, reply) = match (method, offset) {
        ("HEAD", _) | ("PATCH", Some(_)) if state.takes_parts => {
            let (status, there) = state.part(path, offset, is_last, &body);
            known = format!("Upload-Offset: {there}\r\n");
            (status, json!({}))
        }
        _ => state.handle(method, path, body),
    };
    if state.cut() {
        return Ok(());
    }
    drop(state);
    let reply = reply.to_string();
    let reply = if method == "HEAD" { "" } else { &reply };
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status} X\r\nContent-Type: application/fhir+json\r\n{known}Content-Length: {}\r\nConnection: close\r\n\r\n{reply}",
        reply.len()
    )
}

impl State {
    /// Whether this answer is cut, after all was stored.
    pub fn cut(&mut self) -> bool {
        self.answers += 1;
        self.cut_every_second && self.answers.is_multiple_of(2)
    }

    /// What there is of a file, and the next part of it.
    fn part(&mut self, path: &str, offset: Option<usize>, is_last: bool, body: &[u8]) -> (u16, usize) {
        let name = path.trim_start_matches("/fhir/").to_owned();
        let partial = format!("{name} in parts");
        let there = self.files.get(&partial).or(self.files.get(&name)).map_or(0, Vec::len);
        match offset {
            None => (204, there),
            Some(offset) if offset != there => (409, there),
            Some(_) => {
                let mut file = self.files.remove(&partial).unwrap_or_default();
                file.extend_from_slice(body);
                let there = file.len();
                self.files.insert(if is_last { name } else { partial }, file);
                (if is_last { 201 } else { 204 }, there)
            }
        }
    }

    pub fn handle(&mut self, method: &str, path: &str, body: Vec<u8>) -> (u16, Value) {
        let Some(path) = path.strip_prefix("/fhir") else { return (404, json!({})) };
        match method {
            "PUT" => {
                self.files.insert(path.trim_start_matches('/').into(), body);
                (200, json!({}))
            }
            "POST" if path.is_empty() => self.transaction(&body),
            "GET" => {
                let (kind, query) = path.trim_start_matches('/').split_once('?').unwrap_or((path, ""));
                let found: Vec<Value> = self.matching(kind, query).map(|r| json!({ "resource": r })).collect();
                (200, json!({ "resourceType": "Bundle", "type": "searchset", "total": found.len(), "entry": found }))
            }
            _ => (405, json!({})),
        }
    }

    fn matching<'a>(&'a self, kind: &'a str, query: &'a str) -> impl Iterator<Item = &'a Value> {
        let value = query.strip_prefix("identifier=").unwrap_or("?");
        self.resources.iter().filter(move |r| r["resourceType"] == kind && r["identifier"][0]["value"] == value)
    }

    fn transaction(&mut self, body: &[u8]) -> (u16, Value) {
        if !self.statuses.is_empty() {
            return (self.statuses.remove(0), json!({ "resourceType": "OperationOutcome" }));
        }
        if self.poison.as_ref().is_some_and(|poison| holds(body, poison.as_bytes())) {
            let issue =
                json!([{ "code": "value", "expression": ["Bundle.entry[0].resource"], "diagnostics": "MARTIN" }]);
            return (422, json!({ "resourceType": "OperationOutcome", "issue": issue }));
        }
        let Ok(bundle) = serde_json::from_slice::<Value>(body) else { return (400, json!({})) };
        let mut entries = Vec::new();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let resource = &entry["resource"];
            let kind = resource["resourceType"].as_str().unwrap_or_default().to_owned();
            let condition = entry["request"]["ifNoneExist"].as_str().unwrap_or_default();
            let status = if self.matching(&kind, condition).next().is_some() {
                "200"
            } else {
                let mut created = resource.clone();
                created["id"] = json!(format!("{}", self.resources.len() + 1));
                created["meta"] = json!({ "versionId": "1" });
                self.resources.push(created);
                "201"
            };
            let id = self.matching(&kind, condition).next().map(|r| r["id"].clone()).unwrap_or_default();
            let location = format!("{kind}/{}/_history/1", id.as_str().unwrap_or_default());
            entries.push(json!({ "response": { "status": status, "location": location, "etag": "W/\"1\"" } }));
        }
        (200, json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": entries }))
    }
}

/// A bundle with one encounter and one patient, safe to send twice.
pub fn bundle(name: &str, patient: &str) -> Vec<u8> {
    let entry = |kind: &str| {
        json!({
            "resource": { "resourceType": kind, "identifier": [{ "value": name }], "text": patient },
            "request": { "method": "POST", "url": kind, "ifNoneExist": format!("identifier={name}") },
        })
    };
    let bundle =
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry("Patient"), entry("Encounter")] });
    bundle.to_string().into_bytes()
}

pub fn submission(name: &str, patient: &str, uploads: Vec<outbox::Upload>) -> outbox::Submission {
    outbox::Submission {
        uploads,
        bundle: zeroize::Zeroizing::new(bundle(name, patient)),
        proof: format!("Encounter?identifier={name}"),
    }
}
