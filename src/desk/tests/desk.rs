//! A real desk on a loopback port, spoken to by real clients: cabins and physicians' pages.

mod ends;

use std::time::Duration;

use ed25519_dalek::SigningKey;
use ends::{CabinEnd, PageEnd, TestDesk, waiting};
use signal::cabin::{FromCabin, FromDesk};
use signal::call::{Authentication, Candidate, EndCause, Party, Sdp, SdpKind};
use signal::physician::{FromPage, ToPage};
use signal::{RefusalCode, SIGNAL_BYTES_MAX, Text};

fn sdp(ticket: &signal::Ticket, kind: SdpKind, text: &str) -> Sdp {
    Sdp { ticket: ticket.clone(), kind, sdp: Text::new(text).unwrap() }
}

#[tokio::test]
async fn a_whole_call_goes_from_enrolment_to_its_end_and_two_physicians_never_take_one_patient() {
    let desk = TestDesk::start().await;
    let cabin = desk.enrol().await;
    let mut cabin = CabinEnd::prove(&desk, &cabin).await;
    let mut first = PageEnd::open(&desk, "claire").await;
    let mut second = PageEnd::open(&desk, "david").await;
    let waiting = waiting("c-1");
    cabin.say(&FromCabin::Waiting(waiting.clone())).await;
    for page in [&mut first, &mut second] {
        page.until(|message| matches!(message, ToPage::WaitingChanged { line } if line.waiting == waiting)).await;
    }
    let estimate = cabin.until(|message| matches!(message, FromDesk::WaitEstimate { .. })).await;
    assert!(
        matches!(estimate, FromDesk::WaitEstimate { position: 1, physicians_free: 2, minutes_min: Some(0), .. }),
        "{estimate:?}"
    );

    let take = FromPage::Take { consultation: waiting.consultation.clone() };
    first.say(&take).await;
    second.say(&take).await;
    let decided = |message: &ToPage| matches!(message, ToPage::Taken { .. } | ToPage::TooLate { .. });
    let (one, two) = (first.until(decided).await, second.until(decided).await);
    let (mut winner, mut loser, taken) = match (one, two) {
        (taken @ ToPage::Taken { .. }, ToPage::TooLate { .. }) => (first, second, taken),
        (ToPage::TooLate { .. }, taken @ ToPage::Taken { .. }) => (second, first, taken),
        other => panic!("exactly one wins: {other:?}"),
    };
    let ToPage::Taken { ticket, accepted: false, ice_servers, .. } = taken else { panic!("not accepted yet") };
    assert_eq!(ice_servers.len(), 2);

    let offered = cabin.until(|message| matches!(message, FromDesk::PhysicianOffered { .. })).await;
    let FromDesk::PhysicianOffered { ticket: same, physician, authentication, .. } = offered else { unreachable!() };
    assert_eq!(same, ticket);
    assert_eq!(physician.rpps.as_str(), "10001234565");
    assert_eq!(authentication, Authentication::LocalTotp);

    winner.say(&FromPage::Sdp(sdp(&ticket, SdpKind::Offer, "too early"))).await;
    winner.until(|message| matches!(message, ToPage::Error { code: RefusalCode::UnknownCall, .. })).await;
    cabin.say(&FromCabin::Accept { consultation: waiting.consultation.clone(), ticket: ticket.clone() }).await;
    winner.until(|message| matches!(message, ToPage::PatientAccepted { .. })).await;
    let offer = sdp(&ticket, SdpKind::Offer, "v=0\r\n");
    winner.say(&FromPage::Sdp(offer.clone())).await;
    let relayed = cabin.until(|message| matches!(message, FromDesk::Sdp(_))).await;
    assert_eq!(relayed, FromDesk::Sdp(offer));
    let answer = sdp(&ticket, SdpKind::Answer, "v=0\r\na\r\n");
    cabin.say(&FromCabin::Sdp(answer.clone())).await;
    let candidate = Candidate {
        ticket: ticket.clone(),
        candidate: Text::cut("candidate:1"),
        sdp_mid: Some(Text::cut("0")),
        sdp_m_line_index: Some(0),
        username_fragment: None,
    };
    cabin.say(&FromCabin::Candidate(candidate.clone())).await;
    assert_eq!(winner.until(|message| matches!(message, ToPage::Sdp(_))).await, ToPage::Sdp(answer));
    assert_eq!(winner.until(|message| matches!(message, ToPage::Candidate(_))).await, ToPage::Candidate(candidate));

    // Neither the loser nor a wrong kind of description gets through.
    loser.say(&FromPage::Sdp(sdp(&ticket, SdpKind::Offer, "v=0\r\n"))).await;
    loser.until(|message| matches!(message, ToPage::Error { code: RefusalCode::UnknownCall, .. })).await;
    cabin.say(&FromCabin::Sdp(sdp(&ticket, SdpKind::Offer, "v=0\r\n"))).await;
    cabin.until(|message| matches!(message, FromDesk::Error { code: RefusalCode::Forbidden, .. })).await;

    winner.say(&FromPage::End { ticket: ticket.clone(), cause: EndCause::Completed }).await;
    let ended = FromDesk::CallEnded { ticket, by: Party::Physician, cause: EndCause::Completed };
    assert_eq!(cabin.until(|message| matches!(message, FromDesk::CallEnded { .. })).await, ended);
    winner.until(|message| matches!(message, ToPage::CallEnded { .. })).await;
    desk.running.stop().await;
}

#[tokio::test]
async fn among_many_physicians_at_once_exactly_one_takes_the_patient() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    let mut pages = Vec::new();
    for n in 0..8 {
        pages.push(PageEnd::open(&desk, &format!("physician{n}")).await);
    }
    for round in 0..5 {
        let waiting = waiting(&format!("round-{round}"));
        cabin.say(&FromCabin::Waiting(waiting.clone())).await;
        for page in &mut pages {
            page.until(|message| matches!(message, ToPage::WaitingChanged { line } if line.waiting == waiting)).await;
        }
        let takers = pages.into_iter().map(|mut page| {
            let take = FromPage::Take { consultation: waiting.consultation.clone() };
            tokio::spawn(async move {
                page.say(&take).await;
                let decided = |message: &ToPage| matches!(message, ToPage::Taken { .. } | ToPage::TooLate { .. });
                let decided = page.until(decided).await;
                (page, decided)
            })
        });
        let (mut back, mut won) = (Vec::new(), Vec::new());
        for taker in takers.collect::<Vec<_>>() {
            let (mut page, decided) = taker.await.unwrap();
            if let ToPage::Taken { ticket, .. } = decided {
                page.say(&FromPage::End { ticket: ticket.clone(), cause: EndCause::Fault }).await;
                page.until(|message| matches!(message, ToPage::CallEnded { .. })).await;
                won.push(ticket);
            }
            back.push(page);
        }
        assert_eq!(won.len(), 1, "round {round}");
        pages = back;
    }
    desk.running.stop().await;
}

#[tokio::test]
async fn an_unknown_a_revoked_and_a_lying_cabin_are_refused_and_told_why() {
    let desk = TestDesk::start_with("heartbeat_ms = 300").await;
    let known = desk.enrol().await;

    let mut stranger = known.clone();
    stranger.id = signal::CabinId::new("cabin-stranger").unwrap();
    assert_eq!(CabinEnd::refused(&desk, &stranger).await, RefusalCode::UnknownCabin);

    let mut thief = known.clone();
    thief.key = SigningKey::from_bytes(&[7; 32]);
    assert_eq!(CabinEnd::refused(&desk, &thief).await, RefusalCode::BadProof);

    let mut relayed = known.clone();
    relayed.origin = "https://other.example".into();
    assert_eq!(CabinEnd::refused(&desk, &relayed).await, RefusalCode::BadProof);

    // A proof overheard on one connection is worth nothing on the next: its nonce is another.
    let mut honest = CabinEnd::connect(&desk).await;
    honest.say(&known.hello()).await;
    let proof = known.proof(&honest.until(|message| matches!(message, FromDesk::Challenge { .. })).await);
    honest.say(&proof).await;
    honest.until(|message| matches!(message, FromDesk::Welcome { .. })).await;
    let mut replayed = CabinEnd::connect(&desk).await;
    replayed.say(&known.hello()).await;
    replayed.until(|message| matches!(message, FromDesk::Challenge { .. })).await;
    replayed.say(&proof).await;
    assert_eq!(replayed.last_refusal().await, RefusalCode::BadProof);

    assert!(desk.cabins.revoke(known.id.as_str()).unwrap());
    assert_eq!(honest.last_refusal().await, RefusalCode::Revoked, "while connected");
    assert_eq!(CabinEnd::refused(&desk, &known).await, RefusalCode::Revoked);
    desk.running.stop().await;
}

#[tokio::test]
async fn an_enrolment_code_is_for_once_and_a_wrong_one_is_refused() {
    let desk = TestDesk::start().await;
    let code = desk.cabins.invite("Le Favril", desk.now_s()).unwrap();
    let known = desk.try_enrol(&code).await.unwrap();
    // The answer was lost on the line: the same cabin asks again, and is the same to the desk.
    let again = desk.try_enrol_as(known.key.clone(), &code).await.unwrap();
    assert_eq!(again.id, known.id);
    assert!(desk.cabins.by_upload_token(&known.upload_token).is_err(), "one token at a time");
    assert_eq!(desk.cabins.by_upload_token(&again.upload_token).unwrap(), known.id);
    assert_eq!(desk.try_enrol(&code).await.unwrap_err(), RefusalCode::BadEnrolment);
    assert_eq!(desk.try_enrol("2222-2222-2222-2222").await.unwrap_err(), RefusalCode::BadEnrolment);
    assert!(desk.cabins.revoke(known.id.as_str()).unwrap());
    assert_eq!(desk.try_enrol_as(known.key, &code).await.unwrap_err(), RefusalCode::BadEnrolment);
    let expired = desk.cabins.invite("Tard", desk.now_s() - 8 * 24 * 3600).unwrap();
    assert_eq!(desk.try_enrol(&expired).await.unwrap_err(), RefusalCode::BadEnrolment);
    let stored = std::fs::read_to_string(desk.data().join("cabins.json")).unwrap();
    assert!(!stored.contains(&expired.replace('-', "")), "codes are kept as digests");
    desk.running.stop().await;
}

#[tokio::test]
async fn wrong_messages_get_a_clear_refusal_and_the_desk_goes_on() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let refusal = async |text: String| {
        let mut cabin = CabinEnd::connect(&desk).await;
        cabin.say_text(text).await;
        cabin.last_refusal().await
    };
    assert_eq!(refusal("{".into()).await, RefusalCode::Malformed);
    assert_eq!(refusal(r#"{"type":"ping","n":1}"#.into()).await, RefusalCode::OutOfOrder);
    let old = known.hello().write().replace("\"version\":1", "\"version\":2");
    assert_eq!(refusal(old).await, RefusalCode::VersionUnsupported);
    assert_eq!(refusal("x".repeat(SIGNAL_BYTES_MAX + 1)).await, RefusalCode::TooLarge);
    assert_eq!(refusal("x".repeat(2 * SIGNAL_BYTES_MAX + 1)).await, RefusalCode::TooLarge);

    let mut cabin = CabinEnd::prove(&desk, &known).await;
    cabin.say_text("nonsense".into()).await;
    cabin.until(|message| matches!(message, FromDesk::Error { code: RefusalCode::Malformed, .. })).await;
    cabin.say(&FromCabin::Ping { n: 5 }).await;
    assert_eq!(cabin.until(|message| matches!(message, FromDesk::Pong { .. })).await, FromDesk::Pong { n: 5 });
    for n in 0..400 {
        cabin.try_say(&FromCabin::Ping { n }).await;
    }
    assert_eq!(cabin.last_refusal().await, RefusalCode::TooMany);
    CabinEnd::prove(&desk, &known).await;
    desk.running.stop().await;
}

#[tokio::test]
async fn a_cabin_or_a_page_that_comes_back_finds_its_call_and_one_that_does_not_ends_it() {
    let desk = TestDesk::start_with("grace_ms = 1500").await;
    let known = desk.enrol().await;
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    let badge = desk.sign_in("claire").await;
    let mut page = PageEnd::with_badge(&desk, &badge).await;
    let waiting = waiting("c-1");
    cabin.say(&FromCabin::Waiting(waiting.clone())).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { .. })).await;
    page.say(&FromPage::Take { consultation: waiting.consultation.clone() }).await;
    let ToPage::Taken { ticket, .. } = page.until(|message| matches!(message, ToPage::Taken { .. })).await else {
        unreachable!()
    };
    let accept = FromCabin::Accept { consultation: waiting.consultation.clone(), ticket: ticket.clone() };
    cabin.say(&accept).await;
    page.until(|message| matches!(message, ToPage::PatientAccepted { .. })).await;

    drop(page);
    cabin.until(|message| matches!(message, FromDesk::PhysicianGone { .. })).await;
    let mut page = PageEnd::with_badge(&desk, &badge).await;
    cabin.until(|message| matches!(message, FromDesk::PhysicianBack { .. })).await;
    let again = page.until(|message| matches!(message, ToPage::Taken { .. })).await;
    assert!(matches!(again, ToPage::Taken { ticket: same, accepted: true, .. } if same == ticket));

    drop(cabin);
    page.until(|message| matches!(message, ToPage::CabinGone { .. })).await;
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    page.until(|message| matches!(message, ToPage::CabinBack { .. })).await;
    cabin.until(|message| matches!(message, FromDesk::PhysicianOffered { ticket: same, .. } if *same == ticket)).await;
    cabin.say(&accept).await;
    page.until(|message| matches!(message, ToPage::PatientAccepted { .. })).await;

    drop(cabin);
    let ended = page.until(|message| matches!(message, ToPage::CallEnded { .. })).await;
    assert_eq!(ended, ToPage::CallEnded { ticket, by: Party::Desk, cause: EndCause::CabinLost });
    desk.running.stop().await;
}

#[tokio::test]
async fn after_a_restart_cabins_announce_again_and_a_second_connection_replaces_the_first() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let mut old = CabinEnd::prove(&desk, &known).await;
    let desk = desk.restart().await;
    assert_eq!(old.last_refusal().await, RefusalCode::Stopping);
    let mut page = PageEnd::open(&desk, "claire").await;
    let known = known.at(&desk);
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    cabin.say(&FromCabin::Waiting(waiting("c-9"))).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { .. })).await;
    let mut newer = CabinEnd::prove(&desk, &known).await;
    assert_eq!(cabin.last_refusal().await, RefusalCode::Replaced);
    newer.say(&FromCabin::Waiting(waiting("c-9"))).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { line } if !line.cabin_lost)).await;
    desk.running.stop().await;
}

#[tokio::test]
async fn a_page_needs_its_badge_and_its_own_origin() {
    let desk = TestDesk::start().await;
    let badge = desk.sign_in("claire").await;
    assert_eq!(PageEnd::refused(&desk, "", &desk.running.origin).await, 401);
    assert_eq!(PageEnd::refused(&desk, "telecabine_badge=00", &desk.running.origin).await, 401);
    assert_eq!(PageEnd::refused(&desk, &badge, "https://evil.example").await, 403);
    let mut page = PageEnd::with_badge(&desk, &badge).await;
    assert_eq!(desk.get("/api/physician/me", &badge).await.0, 200);
    let out = desk.client.post(format!("{}/api/physician/sign-out", desk.running.origin)).header("cookie", &badge);
    assert_eq!(out.try_clone().unwrap().send().await.unwrap().status(), 403, "without an origin");
    assert_eq!(out.header("origin", &desk.running.origin).send().await.unwrap().status(), 204);
    assert_eq!(page.last_refusal().await, RefusalCode::NotSignedIn);
    assert_eq!(desk.get("/api/physician/me", &badge).await.0, 401);
    desk.running.stop().await;
}

#[tokio::test]
async fn wrong_sign_ins_wait_longer_and_longer() {
    let desk = TestDesk::start().await;
    desk.add_account("claire");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(desk.try_sign_in("claire", "wrong password", "000000").await.0);
    }
    assert_eq!(statuses[..4], [401, 401, 401, 401]);
    assert_eq!(statuses[4..], [429, 429]);
    let (_, body) = desk.try_sign_in("claire", "wrong password", "000000").await;
    assert_eq!(signal::enrol::Refused::read(&body).unwrap().code, RefusalCode::TooMany);
    desk.running.stop().await;
}

#[tokio::test]
async fn every_answer_carries_the_strict_policy_and_paths_do_not_climb() {
    let desk = TestDesk::start().await;
    let reply = desk.client.get(format!("{}/", desk.running.origin)).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let policy = reply.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/.hidden", "/a//b"] {
        assert_eq!(desk.get(path, "").await.0, 404, "{path}");
    }
    desk.running.stop().await;
}

#[tokio::test]
async fn the_desk_speaks_tls_by_certificate_files_and_its_cookie_is_for_tls_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = "[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"";
    let mut desk = TestDesk::start_in(folder, tls).await;
    assert!(desk.running.origin.starts_with("https://127.0.0.1:"));
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    desk.client = reqwest::Client::builder().tls_certs_only([root]).timeout(Duration::from_secs(20)).build().unwrap();
    assert_eq!(desk.get("/healthz", "").await, (200, "ok".into()));
    desk.add_account("claire");
    let reply = desk.sign_in_reply("claire").await;
    assert!(reply.headers()["set-cookie"].to_str().unwrap().ends_with("; HttpOnly; SameSite=Strict; Secure"));
    // Somebody who connects and says nothing holds up nobody.
    let _mute = tokio::net::TcpStream::connect(desk.running.address).await.unwrap();
    assert_eq!(desk.get("/healthz", "").await.0, 200);
    desk.running.stop().await;
}

#[tokio::test]
async fn plain_http_is_refused_on_an_address_that_others_can_reach() {
    let config = TestDesk::config(std::path::Path::new("/nowhere/desk.toml"), "");
    let error = desk::door::Door::open("0.0.0.0:0".parse().unwrap(), None).await.err().expect("refused");
    assert!(error.to_string().contains("[tls]"), "{error}");
    assert!(config.listen.ip().is_loopback());
}
