//! Sign-in by an OpenID Connect issuer: a small one in this test, whose tokens are signed by a real key.

mod ends;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use desk::accounts::{self, Accounts};
use ends::{CabinEnd, PageEnd, TestDesk, waiting};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signal::cabin::{FromCabin, FromDesk};
use signal::call::Authentication;
use signal::physician::{FromPage, ToPage};

struct Issuer {
    origin: String,
    key: EcdsaKeyPair,
    /// What the browser was sent with; the test plays the browser.
    asked: Mutex<HashMap<String, String>>,
    claims: Mutex<Value>,
    seen: Mutex<Vec<String>>,
}

impl Issuer {
    async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let issuer = Arc::new(Issuer {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap(),
            asked: Mutex::default(),
            claims: Mutex::new(json!({})),
            seen: Mutex::default(),
        });
        let router = Router::new()
            .route("/odd/wallet-openid-configuration", get(discovery))
            .route("/certs", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(async || Json(json!({"sub": "s1", "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"]}))))
            .with_state(Arc::clone(&issuer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    fn signed(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "ES256", "kid": "k1"})), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", issuer.origin);
    Json(json!({
        "issuer": "https://issuer.example", "authorization_endpoint": "https://other-host.example/auth",
        "token_endpoint": at("/token"), "userinfo_endpoint": at("/userinfo"), "jwks_uri": at("/certs"),
    }))
}

async fn keys(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let point = issuer.key.public_key().as_ref();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Json(
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": part(&point[1..33]), "y": part(&point[33..])}]}),
    )
}

async fn token(
    State(issuer): State<Arc<Issuer>>,
    headers: axum::http::HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Json<Value> {
    let asked = issuer.asked.lock().unwrap().clone();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    assert_eq!(challenge, asked["code_challenge"], "PKCE");
    assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
    let basic = format!("Basic {}", STANDARD.encode("desk:s%3Acret"));
    assert_eq!(headers["authorization"].to_str().unwrap(), basic);
    issuer.seen.lock().unwrap().push(form["code"].clone());
    let mut claims = json!({
        "iss": "https://issuer.example", "aud": "desk", "sub": "s1", "exp": 4_000_000_000u64,
        "nonce": asked["nonce"], "preferred_username": "899700366240",
    });
    for (name, value) in issuer.claims.lock().unwrap().as_object().unwrap() {
        claims[name] = value.clone();
    }
    let mut id_token = issuer.signed(&claims);
    if claims["forged"] == "signature" {
        let other = issuer.signed(&json!({}));
        id_token = format!("{}.{}", id_token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    } else if claims["forged"] == "none" {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        id_token = format!("{head}.{}.", id_token.split('.').nth(1).unwrap());
    }
    Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token}))
}

async fn desk(issuer: &Issuer, role: &str) -> TestDesk {
    let extra = format!(
        "[oidc]\nlabel = \"Pro Santé Connect\"\ndiscovery_url = \"{}/odd/wallet-openid-configuration\"\nclient_id = \
         \"desk\"\nclient_secret = \"s:cret\"\nacr_values = \"eidas1\"\nrole_claim = \"SubjectRole\"\nrole_value = \"{role}\"\n",
        issuer.origin
    );
    TestDesk::start_with(&extra).await
}

/// Begins as a browser does: the parameters for the issuer, and the cookie.
async fn begin(desk: &TestDesk, issuer: &Issuer) -> (HashMap<String, String>, String) {
    let start = format!("{}/api/physician/oidc/start", desk.running.origin);
    let reply = desk.client.get(start).send().await.unwrap();
    assert_eq!(reply.status(), 303);
    let url = reply.headers()["location"].to_str().unwrap();
    let query = url.strip_prefix("https://other-host.example/auth?").expect("the discovery's own host");
    let decoded = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    let asked: HashMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    assert_eq!((asked["code_challenge_method"].as_str(), asked["acr_values"].as_str()), ("S256", "eidas1"));
    *issuer.asked.lock().unwrap() = asked.clone();
    let cookie = reply.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("SameSite=Lax"));
    (asked, cookie.split(';').next().unwrap().to_owned())
}

async fn come_back(desk: &TestDesk, state: &str, cookie: &str) -> reqwest::Response {
    let url = format!("{}/api/physician/oidc/callback?code=c1&state={state}", desk.running.origin);
    desk.client.get(url).header("cookie", cookie).send().await.unwrap()
}

fn add(desk: &TestDesk) {
    let physician = accounts::physician("Dr Claire Morel", "Médecine générale", "10001234565", "Chartres", 3000, "");
    Accounts::open(&desk.data()).add_federated("899700366240", physician).unwrap();
}

const PHYSICIAN: &str = "10^1.2.250.1.213.1.1.5.5";

#[tokio::test]
async fn a_physician_of_the_issuer_with_an_account_signs_in_once() {
    let issuer = Issuer::start().await;
    let desk = desk(&issuer, PHYSICIAN).await;
    assert!(desk.get("/api/sign-in", "").await.1.contains("Pro Santé Connect"));
    let (asked, cookie) = begin(&desk, &issuer).await;
    assert_eq!(come_back(&desk, &asked["state"], &cookie).await.status(), 401, "no account yet");
    add(&desk);
    let (asked, cookie) = begin(&desk, &issuer).await;
    let reply = come_back(&desk, &asked["state"], &cookie).await;
    assert_eq!((reply.status().as_u16(), reply.headers()["location"].to_str().unwrap()), (303, "/"));
    let badge = reply.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (status, me) = desk.get("/api/physician/me", &badge).await;
    assert!(status == 200 && me.contains("Dr Claire Morel"));

    // The cabin is told by whom this physician was authenticated.
    let mut cabin = CabinEnd::prove(&desk, &desk.enrol().await).await;
    let mut page = PageEnd::with_badge(&desk, &badge).await;
    let waiting = waiting("c-1");
    cabin.say(&FromCabin::Waiting(waiting.clone())).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { .. })).await;
    page.say(&FromPage::Take { consultation: waiting.consultation }).await;
    let offered = cabin.until(|message| matches!(message, FromDesk::PhysicianOffered { .. })).await;
    let FromDesk::PhysicianOffered { authentication, .. } = offered else { unreachable!() };
    assert_eq!(authentication, Authentication::OpenIdConnect);

    assert_eq!(come_back(&desk, &asked["state"], &cookie).await.status(), 401, "a state is for once");
    assert_eq!(desk.try_sign_in("899700366240", "", "000000").await.0, 401, "no password to guess");
    desk.running.stop().await;
}

#[tokio::test]
async fn another_browser_a_forged_or_foreign_token_and_another_role_are_refused() {
    let issuer = Issuer::start().await;
    let nurse = desk(&issuer, "60^1.2.250.1.213.1.1.5.5").await;
    add(&nurse);
    let (asked, cookie) = begin(&nurse, &issuer).await;
    assert_eq!(come_back(&nurse, &asked["state"], &cookie).await.status(), 401, "another role");
    nurse.running.stop().await;

    let desk = desk(&issuer, PHYSICIAN).await;
    add(&desk);
    let (asked, _) = begin(&desk, &issuer).await;
    let before = issuer.seen.lock().unwrap().len();
    assert_eq!(come_back(&desk, &asked["state"], "telecabine_oidc=other").await.status(), 401, "another browser");
    assert_eq!(issuer.seen.lock().unwrap().len(), before, "its code is not even used");
    for wrong in [
        json!({"iss": "https://evil.example"}),
        json!({"aud": ["other"]}),
        json!({"exp": 1_000_000_000}),
        json!({"nonce": "of another sign-in"}),
        json!({"sub": "somebody else"}),
        json!({"preferred_username": 7}),
        json!({"forged": "signature"}),
        json!({"forged": "none"}),
    ] {
        *issuer.claims.lock().unwrap() = wrong.clone();
        let (asked, cookie) = begin(&desk, &issuer).await;
        assert_eq!(come_back(&desk, &asked["state"], &cookie).await.status(), 401, "{wrong}");
    }
    desk.running.stop().await;
}
