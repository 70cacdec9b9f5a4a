//! How a request reaches the FHIR server. The uploader does not know: a test simulates the network in its place.

use crate::answer::Trouble;
use crate::record::FaultCode;
use crate::settings::Upload;
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER};
use rustls::CertificateError;
use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;
use zeroize::Zeroizing;

/// The media type of FHIR in JSON.
pub(crate) const FHIR_JSON: &str = "application/fhir+json";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest silence while an answer comes.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A request may take this long, and longer by its size at [`SLOWEST_BYTES_A_SECOND`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// The slowest line that is still worth using.
const SLOWEST_BYTES_A_SECOND: u64 = 4 * 1024;
/// Largest answer that is read, in bytes; past it the rest is not looked at, and the answer counts as unreadable.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Get,
    /// Sends a bundle.
    Post,
    /// Stores a file under its address.
    Put,
    /// Asks how much of a file is there.
    Head,
    /// Stores the next part of a file.
    Patch,
}

/// A part of a file (draft-ietf-httpbis-resumable-upload: `Upload-Offset`, `Upload-Complete`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Of the last part, and of a question, the SHA-256 of the whole file (`Repr-Digest`, RFC 9530).
    pub last: Option<[u8; 32]>,
}

/// The media type of a part.
pub(crate) const PARTIAL: &str = "application/partial-upload";

/// One request.
pub struct Outgoing {
    /// What is done there.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The body and its media type. It is wiped when the request is over.
    pub body: Option<(String, Zeroizing<Vec<u8>>)>,
    /// Which part of a file the body is, where it is one.
    pub part: Option<Part>,
    /// The value of `Authorization`.
    pub authorization: Option<Zeroizing<String>>,
}

/// What a server answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `ETag`, empty where there is none.
    pub etag: String,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// How much of a file is there, in bytes; `None` where the server knows nothing of parts.
    pub upload_offset: Option<u64>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

/// Carries one request to the server and its answer back.
pub trait Transport {
    /// Sends and waits. An error means that it is not known whether the server did anything.
    fn exchange(&self, request: Outgoing) -> impl Future<Output = Result<Answer, Trouble>>;
}

/// HTTP over TLS.
pub struct Http {
    client: reqwest::Client,
}

impl Http {
    /// With the authorities of the system, and those of `settings`. Fails when the certificates cannot be read.
    pub fn new(settings: &Upload) -> anyhow::Result<Http> {
        use anyhow::Context;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // A connection kept for later keeps what the server last answered in its buffer: the patient's own words.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("cabin-outbox/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).with_context(|| format!("`ca_file` {}", path.display()))?;
            let certificates = certificates(&pem).with_context(|| format!("`ca_file` {}", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Http { client: builder.build().context("the HTTP client")? })
    }
}

/// Whether a PEM file names authorities, each of them whole.
///
/// # Errors
/// What is wrong with it.
pub fn check_certificates(pem: &[u8]) -> anyhow::Result<()> {
    certificates(pem).map(drop)
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<reqwest::Certificate>> {
    use anyhow::Context;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let expected = "expected certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE";
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok().context(expected)?;
    anyhow::ensure!(!found.is_empty(), expected);
    let mut roots = rustls::RootCertStore::empty();
    for certificate in &found {
        roots.add(certificate.clone()).context("a certificate in it is no authority's, or damaged")?;
    }
    found.iter().map(|certificate| Ok(reqwest::Certificate::from_der(certificate)?)).collect()
}

impl Transport for Http {
    async fn exchange(&self, outgoing: Outgoing) -> Result<Answer, Trouble> {
        let method = match outgoing.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Head => reqwest::Method::HEAD,
            Method::Patch => reqwest::Method::PATCH,
        };
        let mut request = self.client.request(method, &outgoing.url).header(ACCEPT, FHIR_JSON);
        if outgoing.method == Method::Get {
            request = request.header("Cache-Control", "no-cache");
        }
        if let Some(authorization) = outgoing.authorization {
            let mut value = HeaderValue::from_str(&authorization).map_err(|_| Trouble::Server {
                code: FaultCode::ServerRefusesAccess,
                reason: "the token is not one line of text".into(),
                retry_after: None,
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(Part { offset, last }) = outgoing.part {
            if outgoing.method == Method::Patch {
                request = request.header("Upload-Offset", offset);
                request = request.header("Upload-Complete", if last.is_some() { "?1" } else { "?0" });
            }
            if let Some(sha256) = last {
                let digest = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, sha256);
                request = request.header("Repr-Digest", format!("sha-256=:{digest}:"));
            }
        }
        if let Some((content_type, body)) = outgoing.body {
            let timeout = REQUEST_TIMEOUT + Duration::from_secs(body.len() as u64 / SLOWEST_BYTES_A_SECOND);
            request = request.header(CONTENT_TYPE, content_type).timeout(timeout).body(Bytes::from_owner(body));
        }
        let response = request.send().await.map_err(|error| unreachable_server(&error.without_url()))?;
        let status = response.status();
        let etag = text_of(&response, ETAG.as_str()).unwrap_or_default().to_owned();
        let retry_after =
            text_of(&response, RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let upload_offset = text_of(&response, "upload-offset").and_then(|text| text.parse().ok());
        let body = match read_body(response).await {
            Ok(body) => body,
            // Of an answer that says no, the status is enough.
            Err(_) if !status.is_success() => Zeroizing::default(),
            Err(trouble) => return Err(trouble),
        };
        Ok(Answer { status: status.as_u16(), etag, retry_after, upload_offset, body })
    }
}

fn text_of<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

async fn read_body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Trouble::Later(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"))),
            Ok(None) => return Ok(body),
            Err(error) => return Err(unreachable_server(&error.without_url())),
        }
    }
}

fn unreachable_server(error: &reqwest::Error) -> Trouble {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(reason, ": {cause}");
        if let Some(advice) = certificate_advice(cause) {
            let _ = write!(reason, ": {advice}");
        }
        source = cause.source();
    }
    Trouble::Server { code: FaultCode::ServerUnreachable, reason, retry_after: None }
}

/// What a technician can do about a certificate that does not prove who the server is. Nothing is sent meanwhile.
fn certificate_advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut inner = cause;
    // An `io::Error` tells the source of what it carries, not what it carries, and may carry another.
    while let Some(carried) = inner.downcast_ref::<std::io::Error>() {
        inner = carried.get_ref()?;
    }
    let inner = inner.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(why) = inner else { return None };
    Some(match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; its operator renews it, unless this machine's clock runs ahead"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; this machine's clock is behind, set it"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no authority that this cabin trusts signed it; set `ca_file`"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is another server's; check `base_url`"
        }
        _ => return None,
    })
}
