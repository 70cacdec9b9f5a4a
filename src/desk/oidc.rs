//! Sign-in by an OpenID Connect issuer: authorization code flow with PKCE (S256), state, nonce and a checked id token.
//!
//! The discovery document's URL is a setting, because Pro Santé Connect's is not at the standard place. A physician
//! signs in when an account of the desk has the value of the configured claim as its name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use signal::RefusalCode;
use signal::call::Authentication;

use crate::app::App;
use crate::badges::cookie;
use crate::cabins::{digest, token};
use crate::config::Oidc;
use crate::http::{refusal, signed_in};

/// A physician has so long to sign in at the issuer.
const PENDING_MAX: Duration = Duration::from_secs(600);
/// Sign-ins under way at once; above, the oldest is forgotten.
const PENDINGS_MAX: usize = 1000;
/// Difference of clocks accepted, seconds.
const CLOCK_SKEW_S: i64 = 60;
/// Binds a sign-in under way to the browser that began it. Lax: the issuer's redirect must carry it.
const COOKIE: &str = "telecabine_oidc";

struct Pending {
    browser: String,
    nonce: String,
    verifier: String,
    began: Instant,
}

/// The configured issuer.
pub struct Issuer {
    config: Oidc,
    client: reqwest::Client,
    discovered: tokio::sync::Mutex<Option<Discovery>>,
    pending: Mutex<HashMap<String, Pending>>,
}

#[derive(Clone)]
struct Discovery {
    issuer: String,
    authorization: String,
    token: String,
    userinfo: Option<String>,
    keys: Vec<Value>,
}

/// Why nobody is signed in; the words are for the journal and the physician, and quote no token.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(
        "L'émetteur d'identité ne répond pas comme prévu ({0}) : réessayez, ou connectez-vous avec un compte local."
    )]
    Issuer(String),
    #[error("Cette connexion a expiré ou vient d'un autre navigateur : recommencez.")]
    State,
    #[error("L'identité reçue n'est pas valable ({0}).")]
    Token(&'static str),
    #[error("Ce bureau n'a pas de compte pour vous : demandez-en un à son technicien.")]
    NoAccount,
}

impl Issuer {
    /// Prepares; the issuer itself is asked at the first sign-in.
    pub fn new(config: Oidc) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| format!("[oidc]: {error}"))?;
        Ok(Issuer { config, client, discovered: Default::default(), pending: Mutex::default() })
    }

    /// For the sign-in button.
    pub fn label(&self) -> &str {
        &self.config.label
    }

    async fn discovery(&self, refresh: bool) -> Result<Discovery, Failed> {
        let mut discovered = self.discovered.lock().await;
        if let Some(found) = &*discovered
            && !refresh
        {
            return Ok(found.clone());
        }
        let document = self.json(self.client.get(&self.config.discovery_url)).await?;
        let field = |name: &str| document[name].as_str().map(str::to_owned);
        let need = |name: &'static str| field(name).ok_or_else(|| Failed::Issuer(format!("{name} missing")));
        let jwks = need("jwks_uri")?;
        let keys = self.json(self.client.get(&jwks)).await?["keys"].as_array().cloned().unwrap_or_default();
        let found = Discovery {
            issuer: need("issuer")?,
            authorization: need("authorization_endpoint")?,
            token: need("token_endpoint")?,
            userinfo: field("userinfo_endpoint"),
            keys,
        };
        *discovered = Some(found.clone());
        Ok(found)
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> Result<Value, Failed> {
        let failed = |error: reqwest::Error| Failed::Issuer(error.without_url().to_string());
        let reply = request.send().await.map_err(failed)?.error_for_status().map_err(failed)?;
        reply.json().await.map_err(failed)
    }

    fn begin(&self, discovery: &Discovery, redirect_uri: &str, now: Instant) -> (String, String) {
        let (state, browser, nonce, verifier) = (token(), token(), token(), token());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &self.config.scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if let Some(acr) = &self.config.acr_values {
            pairs.push(("acr_values", acr));
        }
        let separator = if discovery.authorization.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}{}", discovery.authorization, form(&pairs));
        let mut pending = self.pending.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        pending.retain(|_, pending| now.saturating_duration_since(pending.began) < PENDING_MAX);
        if pending.len() >= PENDINGS_MAX
            && let Some(oldest) = pending.iter().min_by_key(|(_, pending)| pending.began).map(|(key, _)| key.clone())
        {
            pending.remove(&oldest);
        }
        pending.insert(digest(&state), Pending { browser: digest(&browser), nonce, verifier, began: now });
        (url, browser)
    }

    /// The claims of the physician who comes back with `code`.
    async fn finish(&self, code: &str, pending: &Pending, redirect_uri: &str, now_s: i64) -> Result<Value, Failed> {
        let discovery = self.discovery(false).await?;
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", &pending.verifier),
        ]);
        let request = self.client.post(&discovery.token).body(body);
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").header("accept", "application/json");
        // RFC 6749 2.3.1: both parts are form-encoded before they are joined.
        let request = request.basic_auth(encoded(&self.config.client_id), Some(encoded(&self.config.client_secret)));
        let tokens = self.json(request).await?;
        let id_token = tokens["id_token"].as_str().ok_or(Failed::Token("id_token missing"))?;
        let mut claims = self.verified(id_token).await?;
        check(&claims, &discovery.issuer, &self.config.client_id, &pending.nonce, now_s).map_err(Failed::Token)?;
        if let (Some(url), Some(access)) = (&discovery.userinfo, tokens["access_token"].as_str()) {
            let failed = |error: reqwest::Error| Failed::Issuer(error.without_url().to_string());
            let reply = self.client.get(url).bearer_auth(access).send().await.map_err(failed)?;
            let text = reply.error_for_status().map_err(failed)?.text().await.map_err(failed)?;
            // Pro Santé Connect may answer a signed token here.
            let more = match serde_json::from_str::<Value>(&text) {
                Ok(more) => more,
                Err(_) => self.verified(text.trim()).await?,
            };
            if more["sub"] != claims["sub"] {
                return Err(Failed::Token("userinfo of another subject"));
            }
            if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
                claims.extend(more);
            }
        }
        Ok(claims)
    }

    /// The payload of a token signed by one of the issuer's keys; the keys are asked again once when none fits.
    async fn verified(&self, token: &str) -> Result<Value, Failed> {
        let keys = self.discovery(false).await?.keys;
        match verify(token, &keys) {
            Ok(claims) => Ok(claims),
            Err(_) => verify(token, &self.discovery(true).await?.keys).map_err(Failed::Token),
        }
    }
}

/// Checks signature and form of a compact JWS. RS256, PS256 and ES256; never `none`, never a shared secret.
fn verify(token: &str, keys: &[Value]) -> Result<Value, &'static str> {
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(sig), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("not a signed token");
    };
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "not base64");
    let header: Value = serde_json::from_slice(&bytes(head)?).map_err(|_| "header is not JSON")?;
    let (signed, sig) = (&token.as_bytes()[..head.len() + 1 + body.len()], bytes(sig)?);
    let fits = |key: &&Value| header["kid"].is_null() || key["kid"].is_null() || key["kid"] == header["kid"];
    let part = |key: &Value, name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap_or("")).unwrap_or_default();
    let good = keys.iter().filter(fits).any(|key| match (header["alg"].as_str(), key["kty"].as_str()) {
        (Some(alg @ ("RS256" | "PS256")), Some("RSA")) => {
            let scheme = match alg {
                "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                _ => &signature::RSA_PSS_2048_8192_SHA256,
            };
            RsaPublicKeyComponents { n: part(key, "n"), e: part(key, "e") }.verify(scheme, signed, &sig).is_ok()
        }
        (Some("ES256"), Some("EC")) if key["crv"] == "P-256" => {
            let point = [vec![4], part(key, "x"), part(key, "y")].concat();
            UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, &sig).is_ok()
        }
        _ => false,
    });
    if !good {
        return Err("no key of the issuer made this signature");
    }
    serde_json::from_slice(&bytes(body)?).map_err(|_| "claims are not JSON")
}

fn check(claims: &Value, issuer: &str, client: &str, nonce: &str, now_s: i64) -> Result<(), &'static str> {
    let audience = match &claims["aud"] {
        Value::Array(many) => many.iter().any(|one| one == client),
        one => one == client,
    };
    if claims["iss"] != issuer {
        Err("another issuer")
    } else if !audience {
        Err("for another client")
    } else if claims["exp"].as_i64().is_none_or(|exp| exp + CLOCK_SKEW_S < now_s) {
        Err("expired")
    } else if claims["nonce"] != nonce {
        Err("not of this sign-in")
    } else {
        Ok(())
    }
}

/// The value of a claim; dots go into objects.
fn claim<'a>(claims: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(claims, |value, name| &value[name])
}

/// Whether the role claim, one text or many, contains the value wanted.
fn has_role(claims: &Value, config: &Oidc) -> bool {
    let (Some(path), Some(wanted)) = (&config.role_claim, &config.role_value) else { return true };
    match claim(claims, path) {
        Value::Array(many) => many.iter().any(|one| one == wanted),
        one => one == wanted,
    }
}

fn redirect_uri(app: &App) -> String {
    format!("{}/api/physician/oidc/callback", app.origins[0])
}

fn failed(error: &Failed) -> Response {
    tracing::warn!(%error, "sign-in by the issuer refused");
    let status = match error {
        Failed::Issuer(_) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::UNAUTHORIZED,
    };
    refusal(status, RefusalCode::NotSignedIn, &error.to_string(), None)
}

/// `GET /api/physician/oidc/start`: sends the browser to the issuer.
pub async fn start(State(app): State<Arc<App>>) -> Response {
    let Some(issuer) = &app.issuer else {
        return refusal(
            StatusCode::NOT_FOUND,
            RefusalCode::Forbidden,
            "Ce bureau n'a pas d'émetteur d'identité.",
            None,
        );
    };
    match issuer.discovery(false).await {
        Err(error) => failed(&error),
        Ok(discovery) => {
            let (url, browser) = issuer.begin(&discovery, &redirect_uri(&app), Instant::now());
            let secure = if app.origins[0].starts_with("https://") { "; Secure" } else { "" };
            let path = "/api/physician/oidc";
            let set = format!("{COOKIE}={browser}; Path={path}; HttpOnly; SameSite=Lax; Max-Age=600{secure}");
            (StatusCode::SEE_OTHER, [(LOCATION, url), (SET_COOKIE, set)]).into_response()
        }
    }
}

/// `GET /api/physician/oidc/callback`: the browser comes back from the issuer.
pub async fn callback(
    State(app): State<Arc<App>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    match come_back(&app, &query, &headers).await {
        Err(error) => failed(&error),
        Ok(account) => {
            tracing::info!(account, "physician signed in by the issuer");
            signed_in(
                &app,
                &account,
                Authentication::OpenIdConnect,
                (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response(),
            )
        }
    }
}

async fn come_back(app: &App, query: &HashMap<String, String>, headers: &HeaderMap) -> Result<String, Failed> {
    let issuer = app.issuer.as_ref().ok_or(Failed::State)?;
    let (state, browser) = (query.get("state").ok_or(Failed::State)?, cookie(headers, COOKIE).ok_or(Failed::State)?);
    let pending = issuer.pending.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&digest(state));
    let pending = pending.filter(|pending| pending.browser == digest(&browser)).ok_or(Failed::State)?;
    if pending.began.elapsed() >= PENDING_MAX {
        return Err(Failed::State);
    }
    let code = query.get("code").ok_or(Failed::Token("refused at the issuer"))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let claims = issuer.finish(code, &pending, &redirect_uri(app), now_s).await?;
    if !has_role(&claims, &issuer.config) {
        return Err(Failed::Token("not the role that this desk asks for"));
    }
    let account =
        claim(&claims, &issuer.config.account_claim).as_str().ok_or(Failed::Token("account claim missing"))?;
    match app.accounts.physician(account) {
        Ok(Some(_)) => Ok(account.to_owned()),
        _ => Err(Failed::NoAccount),
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
