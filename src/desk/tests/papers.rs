//! The patient's papers at the desk: sealed bytes in by a cabin's proof, out to whoever holds the name.

mod ends;

use ends::{Known, TestDesk};
use reqwest::{Response, StatusCode};
use signal::RefusalCode;
use signal::enrol::Refused;
use signal::papers::{
    CABIN_HEADER, DIGEST_HEADER, KEPT_UNTIL_HEADER, PROOF_HEADER, PapersId, SEALED_BYTES_MAX, digest, put_path, sign,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn put_signed(desk: &TestDesk, known: &Known, id: &PapersId, signed: &[u8], sent: Vec<u8>) -> Response {
    let bytes = digest(signed);
    let proof = sign(&known.key, id, &known.id, &known.origin, &bytes);
    let request = desk.client.put(format!("{}{}", desk.running.origin, put_path(id)));
    let request = request.header(CABIN_HEADER, known.id.as_str()).header(DIGEST_HEADER, hex(&bytes));
    request.header(PROOF_HEADER, proof.as_str()).body(sent).send().await.unwrap()
}

async fn put(desk: &TestDesk, known: &Known, id: &PapersId, sealed: &[u8]) -> StatusCode {
    put_signed(desk, known, id, sealed, sealed.to_vec()).await.status()
}

async fn get(desk: &TestDesk, id: &str) -> Response {
    desk.client.get(format!("{}/api/papers/{id}", desk.running.origin)).send().await.unwrap()
}

async fn code(answer: Response) -> RefusalCode {
    Refused::read(&answer.text().await.unwrap()).unwrap().code
}

fn id() -> PapersId {
    PapersId::of(rand::random())
}

#[tokio::test]
async fn what_a_cabin_puts_a_telephone_fetches_even_after_the_desk_restarted() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let (id, sealed) = (id(), (0..200_000_u32).map(|n| (n * 7 % 251) as u8).collect::<Vec<_>>());
    assert_eq!(put(&desk, &known, &id, &sealed).await, 201);
    assert_eq!(put(&desk, &known, &id, &sealed).await, 200, "the same again is the same");
    assert_eq!(put(&desk, &known, &id, b"forty other bytes that nobody asked for").await, 409);
    let desk = desk.restart().await;
    let answer = get(&desk, id.as_str()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let until: u64 = answer.headers()[KEPT_UNTIL_HEADER].to_str().unwrap().parse().unwrap();
    let week = 7 * 24 * 3600;
    assert!((desk.now_s() + week - 60..=desk.now_s() + week).contains(&(until / 1_000)), "{until}");
    assert!(answer.bytes().await.unwrap() == sealed);
}

#[tokio::test]
async fn only_an_enrolled_cabin_puts_and_only_what_it_signed() {
    let desk = TestDesk::start().await;
    let (known, other) = (desk.enrol().await, desk.enrol().await);
    let sealed = vec![7; 1_000];
    let forged = Known { key: other.key.clone(), ..known.clone() };
    let answer = put_signed(&desk, &forged, &id(), &sealed, sealed.clone()).await;
    assert_eq!((answer.status().as_u16(), code(answer).await), (403, RefusalCode::BadProof));
    let elsewhere = Known { origin: "https://desk.example".into(), ..known.clone() };
    assert_eq!(put(&desk, &elsewhere, &id(), &sealed).await, 403);
    let swapped = put_signed(&desk, &known, &id(), &sealed, vec![8; 1_000]).await;
    assert_eq!((swapped.status().as_u16(), code(swapped).await), (400, RefusalCode::Malformed));
    assert_eq!(put(&desk, &known, &id(), b"short").await, 400);
    let bare = desk.client.put(format!("{}{}", desk.running.origin, put_path(&id()))).body(sealed.clone());
    assert_eq!(bare.send().await.unwrap().status(), 403);
    desk.cabins.revoke(known.id.as_str()).unwrap();
    let answer = put_signed(&desk, &known, &id(), &sealed, sealed.clone()).await;
    assert_eq!((answer.status().as_u16(), code(answer).await), (403, RefusalCode::Revoked));
    assert_eq!(std::fs::read_dir(desk.data().join("papers")).unwrap().count(), 0);
}

#[tokio::test]
async fn papers_longer_than_the_limit_are_refused_and_leave_nothing() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let id = id();
    let long = put_signed(&desk, &known, &id, b"signed", vec![0; SEALED_BYTES_MAX + 1]).await;
    assert_eq!((long.status().as_u16(), code(long).await), (413, RefusalCode::TooLarge));
    assert_eq!(get(&desk, id.as_str()).await.status(), 404);
}

#[tokio::test]
async fn who_guesses_names_is_told_what_to_do_and_then_made_to_wait() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let there = id();
    assert_eq!(put(&desk, &known, &there, &[1; 100]).await, 201);
    let mut misses = 0;
    let waiting = loop {
        let name = if misses % 2 == 0 { id().as_str().to_owned() } else { "not-a-name".to_owned() };
        let answer = get(&desk, &name).await;
        if answer.status() == 429 {
            break answer;
        }
        assert_eq!((answer.status().as_u16(), code(answer).await), (404, RefusalCode::UnknownPapers));
        misses += 1;
        assert!(misses <= 100, "nobody stops who guesses");
        if misses == 10 {
            assert_eq!(get(&desk, there.as_str()).await.status(), 200, "a few misses stop nobody");
        }
    };
    assert_eq!(misses, desk::guesses::MISSES_MAX);
    assert!(waiting.headers().contains_key("retry-after"));
    assert_eq!(code(waiting).await, RefusalCode::TooMany);
}

#[tokio::test]
async fn the_page_comes_from_the_desk_alone_and_may_load_nothing_else() {
    let desk = TestDesk::start().await;
    for path in ["/papers/", "/papers"] {
        let page = desk.client.get(format!("{}{path}", desk.running.origin)).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"));
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        let html = page.text().await.unwrap();
        assert!(!html.contains("https://") && !html.contains("style=") && !html.contains(" on"), "{html}");
    }
    for file in ["/papers.js", "/papers.css"] {
        let text =
            desk.client.get(format!("{}{file}", desk.running.origin)).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("innerHTML"), "{file}");
    }
}
