//! `desk.toml`: every setting of the desk. A mistake names the file, the line and what is expected.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The whole file. Unknown settings are refused, so that a misspelt one is noticed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where accounts, cabins and records are kept; relative to the file's folder.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// `https://host[:port]` by which cabins and pages reach the desk, and patients' telephones open their papers
    /// (their browsers must trust its certificate); from `listen` when absent.
    pub public_origin: Option<String>,
    /// Who runs this desk, for patients.
    #[serde(default)]
    pub operator: String,
    /// Certificate files. Without them the desk listens on loopback only.
    pub tls: Option<Tls>,
    /// A proxy on this machine sets `X-Forwarded-For`: its last address is the peer's.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Serves the page from this folder rather than the one inside the program (for those who change it).
    pub page_folder: Option<PathBuf>,
    /// How often each WebSocket is pinged, ms.
    #[serde(default = "default_heartbeat")]
    pub heartbeat_ms: u32,
    /// How long a call waits for an end that lost its connection, ms.
    #[serde(default = "default_grace")]
    pub grace_ms: u32,
    /// A physician who does nothing for so long is signed out, minutes.
    #[serde(default = "default_inactivity")]
    pub sign_out_after_min: u32,
    /// STUN and TURN servers.
    #[serde(default)]
    pub ice: Vec<Ice>,
    /// Sign-in by an OpenID Connect issuer.
    pub oidc: Option<Oidc>,
    /// The records' server.
    #[serde(default)]
    pub fhir: Fhir,
}

/// Certificate and key, PEM files, relative to the file's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// One STUN or TURN server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ice {
    /// `stun:`, `turn:` or `turns:` URLs.
    pub urls: Vec<String>,
    /// Fixed username.
    pub username: Option<String>,
    /// Fixed credential.
    pub credential: Option<String>,
    /// coturn's `static-auth-secret`: the desk makes credentials that end by themselves.
    pub shared_secret: Option<String>,
    /// How long such credentials last, seconds.
    #[serde(default = "default_turn_lifetime")]
    pub lifetime_s: u32,
}

impl std::fmt::Debug for Ice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ice({:?})", self.urls)
    }
}

/// An OpenID Connect issuer. Pro Santé Connect's discovery is not at the standard place, hence the explicit URL.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// On the sign-in button.
    pub label: String,
    /// URL of the discovery document.
    pub discovery_url: String,
    /// Client identifier.
    pub client_id: String,
    /// Client secret (`client_secret_basic`).
    pub client_secret: String,
    /// Scopes.
    #[serde(default = "default_scope")]
    pub scope: String,
    /// `acr_values`, when the issuer wants them (`eidas1`).
    pub acr_values: Option<String>,
    /// Claim that names the physician at the desk (dots go into objects).
    #[serde(default = "default_account_claim")]
    pub account_claim: String,
    /// Claim that must contain `role_value`; sign-in is refused otherwise.
    pub role_claim: Option<String>,
    /// See `role_claim`.
    pub role_value: Option<String>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Oidc({})", self.discovery_url)
    }
}

/// Where records go.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fhir {
    /// Base URL of the site's own FHIR server: `/fhir` then passes everything on to it. Absent: the embedded store.
    pub forward: Option<String>,
    /// Bearer token for that server.
    pub forward_token: Option<String>,
}

impl std::fmt::Debug for Fhir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fhir(forward: {:?})", self.forward)
    }
}

fn default_data() -> PathBuf {
    PathBuf::from("data")
}
fn default_heartbeat() -> u32 {
    10_000
}
fn default_grace() -> u32 {
    60_000
}
fn default_inactivity() -> u32 {
    20
}
fn default_turn_lifetime() -> u32 {
    3600
}
fn default_scope() -> String {
    "openid".into()
}
fn default_account_claim() -> String {
    "preferred_username".into()
}

/// A setting that must be corrected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}; `desk init` makes one")]
    Unreadable(PathBuf, std::io::Error),
    /// Not TOML, unknown or missing setting, wrong kind of value.
    #[error("{file}, line {line}: {expected}")]
    Wrong {
        /// The file.
        file: PathBuf,
        /// Its line.
        line: usize,
        /// What is expected.
        expected: String,
    },
    /// Plain HTTP where others could listen.
    #[error(
        "{file}, line {line}: listen = \"{listen}\" can be reached from other machines and [tls] is missing: give \
         certificate and key, or listen on 127.0.0.1 behind a proxy"
    )]
    PlainInTheOpen {
        /// The file.
        file: PathBuf,
        /// Line of `listen`.
        line: usize,
        /// The address.
        listen: SocketAddr,
    },
}

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError::Unreadable(file.into(), error))?;
        Self::read(&text, file)
    }

    /// Checks the text of a file; relative paths become relative to its folder.
    pub fn read(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut config: Config = toml::from_str(text).map_err(|error| ConfigError::Wrong {
            file: file.into(),
            line: error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1),
            expected: error.message().trim().replace('\n', " "),
        })?;
        let line_of = |word: &str| {
            text.lines().position(|line| line.trim_start().starts_with(word)).map_or(1, |position| position + 1)
        };
        let wrong =
            |word: &str, expected: String| ConfigError::Wrong { file: file.into(), line: line_of(word), expected };
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            let (line, listen) = (line_of("listen"), config.listen);
            return Err(ConfigError::PlainInTheOpen { file: file.into(), line, listen });
        }
        if let Some(origin) = &config.public_origin
            && !is_origin(origin)
        {
            return Err(wrong("public_origin", "expected https://host[:port] without a path or final /".into()));
        }
        if config.heartbeat_ms < 100 || config.grace_ms < 100 {
            return Err(wrong("heartbeat_ms", "heartbeat_ms and grace_ms are at least 100".into()));
        }
        if config.ice.len() > signal::call::ICE_SERVERS_MAX {
            return Err(wrong("[[ice]]", format!("at most {} ICE servers", signal::call::ICE_SERVERS_MAX)));
        }
        for ice in &config.ice {
            let known = |url: &String| ["stun:", "stuns:", "turn:", "turns:"].iter().any(|kind| url.starts_with(kind));
            if ice.urls.is_empty() || ice.urls.len() > signal::call::ICE_URLS_MAX || !ice.urls.iter().all(known) {
                return Err(wrong("[[ice]]", "urls is 1 to 4 of stun:, stuns:, turn:, turns:".into()));
            }
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        config.data = folder.join(&config.data);
        config.page_folder = config.page_folder.map(|path| folder.join(path));
        if let Some(tls) = &mut config.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        Ok(config)
    }
}

fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::read(text, Path::new("/etc/desk.toml"))
    }

    #[test]
    fn plain_http_that_others_could_reach_is_refused_with_the_reason() {
        let error = read("operator = \"x\"\nlisten = \"0.0.0.0:8080\"").unwrap_err().to_string();
        assert!(error.contains("/etc/desk.toml, line 2") && error.contains("[tls]"), "{error}");
        assert!(read("listen = \"127.0.0.1:8080\"").is_ok());
        assert!(read("listen = \"[::1]:8080\"").is_ok());
        let tls = read("listen = \"0.0.0.0:443\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"").unwrap();
        assert_eq!(tls.tls.unwrap().key, Path::new("/etc/k.pem"));
    }

    #[test]
    fn a_mistake_names_file_line_and_what_is_expected() {
        for (text, line, word) in [
            ("listen = \"127.0.0.1:1\"\nlisen = 1", 2, "lisen"),
            ("listen = \"nowhere\"", 1, "socket address"),
            ("listen = \"127.0.0.1:1\"\npublic_origin = \"https://x/\"", 2, "final /"),
            ("listen = \"127.0.0.1:1\"\n[[ice]]\nurls = [\"http://x\"]", 2, "stun:"),
            ("listen = \"127.0.0.1:1\"\n=", 2, ""),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("/etc/desk.toml, line {line}:")) && error.contains(word), "{error}");
        }
    }
}
