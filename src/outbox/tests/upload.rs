//! The real daemon and a FHIR server that misbehaves: nothing lost, nothing twice, and nothing deleted without proof.

mod shared;

use outbox::store::Store;
use outbox::*;
use shared::*;
use zeroize::Zeroizing;

const PATIENT: &str = "MARTIN-Sophie-1954";

fn send(client: &Client, name: &str) -> ConsultationId {
    let id = client.begin().unwrap();
    client.append(1, PATIENT.as_bytes()).unwrap();
    let picture =
        client.put_blob("picture", "image/jpeg", format!("{PATIENT} {name}").repeat(3000).as_bytes()).unwrap();
    let uploads = vec![
        Upload { path: format!("Binary/{name}-1"), content_type: "image/jpeg".into(), body: Body::Blob(picture) },
        Upload {
            path: format!("Binary/{name}-2"),
            content_type: "application/pdf".into(),
            body: Body::Bytes(Zeroizing::new(format!("summary of {name}").into_bytes())),
        },
    ];
    client.submit(submission(name, PATIENT, uploads)).unwrap();
    id
}

fn drained(client: &Client) {
    until("an empty queue", || client.status().is_ok_and(|status| status.waiting == 0));
}

fn encounters(peer: &Peer) -> Vec<String> {
    let state = peer.state();
    let found = state.resources.iter().filter(|resource| resource["resourceType"] == "Encounter");
    let mut names: Vec<_> = found.map(|r| r["identifier"][0]["value"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn files_then_the_bundle_then_the_proof_then_the_receipt_and_nothing_is_left() {
    let (folder, peer) = (Folder::new(), Peer::start());
    let daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    let id = send(&client, "one");
    drained(&client);
    assert_eq!(
        peer.state().asked,
        ["PUT /fhir/Binary/one-1", "PUT /fhir/Binary/one-2", "POST /fhir", "GET /fhir/Encounter?identifier=one"]
    );
    assert_eq!(peer.state().files["Binary/one-1"], format!("{PATIENT} one").repeat(3000).as_bytes());
    assert_eq!(peer.state().files["Binary/one-2"], b"summary of one");
    let receipts = client.receipts().unwrap();
    assert_eq!(receipts.len(), 1);
    let receipt = &receipts[0];
    assert_eq!((receipt.consultation, receipt.resource.as_str()), (id, "Encounter/2"));
    assert_eq!((receipt.version.as_str(), receipt.etag.as_str()), ("1", "W/\"1\""));
    assert_eq!(receipt.locations, ["Patient/1/_history/1", "Encounter/2/_history/1"]);
    assert!(client.status().unwrap().last_receipt_at.is_some_and(|at| at > 1_700_000_000));
    assert!(daemon.terminate().success());
    assert!(every_file(&folder.data().join("submissions")).is_empty());
    assert!(every_file(&folder.data().join("journal")).is_empty());
    for (path, bytes) in every_file(&folder.data()) {
        assert!(!holds(&bytes, PATIENT.as_bytes()), "the patient is in {}", path.display());
    }
}

#[test]
fn a_server_that_cuts_every_second_answer_after_storing_ends_with_each_consultation_once() {
    let (folder, peer) = (Folder::new(), Peer::start());
    peer.state().cut_every_second = true;
    let _daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    let names: Vec<_> = (0..12).map(|n| format!("visit-{n:02}")).collect();
    for name in &names {
        send(&client, name);
    }
    drained(&client);
    assert_eq!(encounters(&peer), names, "each once");
    assert_eq!(peer.state().resources.len(), 2 * names.len());
    assert_eq!(client.receipts().unwrap().len(), names.len());
    let posts = peer.state().asked.iter().filter(|asked| asked.starts_with("POST")).count();
    assert!(posts > names.len(), "answers were cut: {posts} bundles were posted for {}", names.len());
}

#[test]
fn a_daemon_killed_while_it_sends_sends_everything_once() {
    let (folder, peer) = (Folder::new(), Peer::start());
    peer.state().cut_every_second = true;
    let mut daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    let names: Vec<_> = (0..8).map(|n| format!("visit-{n}")).collect();
    for name in &names {
        send(&client, name);
        let asked = peer.state().asked.len();
        until("a request", || peer.state().asked.len() > asked || client.status().is_ok_and(|s| s.waiting == 0));
        daemon.kill();
        daemon = Daemon::start(&folder, &peer.upload());
    }
    drained(&client);
    assert_eq!(encounters(&peer), names);
    assert_eq!(client.receipts().unwrap().len(), names.len());
}

#[test]
fn a_refused_consultation_is_set_aside_with_a_reason_and_the_others_go_on() {
    let (folder, peer) = (Folder::new(), Peer::start());
    peer.state().poison = Some("visit-1".into());
    let daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    for n in 0..3 {
        send(&client, &format!("visit-{n}"));
    }
    drained(&client);
    let status = client.status().unwrap();
    assert_eq!((status.waiting, status.set_aside), (0, 1));
    let fault = status.faults.iter().find(|fault| fault.code == FaultCode::SetAside).unwrap();
    assert!(fault.detail.contains("422") && fault.detail.contains("Bundle.entry[0].resource"), "{}", fault.detail);
    assert!(!fault.detail.contains("MARTIN"), "the server's free text holds the patient: {}", fault.detail);
    assert_eq!(encounters(&peer), ["visit-0", "visit-2"]);
    // It stays aside over a restart, and is sent when a technician says so.
    assert!(daemon.terminate().success());
    peer.state().poison = None;
    let _daemon = Daemon::start(&folder, &peer.upload());
    assert_eq!(client.status().unwrap().set_aside, 1);
    assert_eq!(client.retry_set_aside().unwrap(), 1);
    drained(&client);
    assert_eq!(encounters(&peer), ["visit-0", "visit-1", "visit-2"]);
    let status = client.status().unwrap();
    assert_eq!((status.set_aside, status.faults), (0, vec![]));
}

#[test]
fn a_busy_or_failing_server_is_asked_again_until_it_stores() {
    let (folder, peer) = (Folder::new(), Peer::start());
    peer.state().statuses = vec![503, 429, 409, 500, 425, 408, 502, 302, 401, 403];
    let token = folder.0.join("token");
    std::fs::write(&token, "secret-token\n").unwrap();
    let _daemon = Daemon::start(&folder, &format!("{}token_file = {token:?}\n", peer.upload()));
    let client = Client::new(socket(&folder));
    send(&client, "one");
    drained(&client);
    assert!(peer.state().statuses.is_empty());
    assert_eq!(encounters(&peer), ["one"]);
    let state = peer.state();
    assert!(state.tokens.iter().all(|token| token == "Bearer secret-token"));
    assert_eq!(state.tokens.len(), state.asked.len());
    drop(state);
    assert_eq!(client.status().unwrap().faults, vec![]);
}

#[test]
fn without_the_server_everything_waits_and_the_status_says_so() {
    let folder = Folder::new();
    // A port that was free a moment ago: nobody answers there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upload = format!("[upload]\nbase_url = \"http://{address}/\"\nretry_first_ms = 10\nretry_max_s = 1\n");
    let daemon = Daemon::start(&folder, &upload);
    let client = Client::new(socket(&folder));
    send(&client, "one");
    let unreachable = |status: Status| status.faults.iter().any(|fault| fault.code == FaultCode::ServerUnreachable);
    until("the fault", || client.status().is_ok_and(unreachable));
    assert_eq!(client.status().unwrap().waiting, 1);
    daemon.kill();
    let peer = Peer::start();
    let _daemon = Daemon::start(&folder, &peer.upload());
    drained(&client);
    assert_eq!(encounters(&peer), ["one"]);
}

#[test]
fn what_was_half_sent_to_one_server_is_sent_whole_to_the_next() {
    let (folder, first, next) = (Folder::new(), Peer::start(), Peer::start());
    // The first operator takes the files, and never the bundle.
    first.state().statuses = vec![503; 100_000];
    let daemon = Daemon::start(&folder, &first.upload());
    let client = Client::new(socket(&folder));
    send(&client, "one");
    until("the bundle", || first.state().asked.iter().any(|asked| asked == "POST /fhir"));
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&folder, &next.upload());
    drained(&client);
    assert_eq!(next.state().files["Binary/one-2"], b"summary of one");
    assert_eq!(next.state().files.len(), 2);
    assert_eq!(encounters(&next), ["one"]);
    drop(daemon);
}

#[test]
fn an_accepted_bundle_that_the_search_does_not_find_is_not_destroyed() {
    let (folder, peer) = (Folder::new(), Peer::start());
    let daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    client.begin().unwrap();
    let mut unproved = submission("one", PATIENT, vec![]);
    unproved.proof = "Encounter?identifier=another".into();
    client.submit(unproved).unwrap();
    until("three attempts", || peer.state().asked.iter().filter(|asked| asked.starts_with("GET")).count() >= 3);
    assert_eq!(client.status().unwrap().waiting, 1);
    daemon.kill();
    let store = Store::open(&folder.data(), root_key(), 1 << 20).unwrap();
    let id = store.waiting()[0];
    let plan = store.plan(id).unwrap();
    assert_eq!(store.bundle(id, &plan).unwrap().as_slice(), bundle("one", PATIENT));
    assert_eq!(encounters(&peer), ["one"], "sent again and again, stored once");
}

#[test]
fn one_that_the_server_breaks_off_every_time_holds_nothing_up_and_is_told() {
    let (folder, peer) = (Folder::new(), Peer::start());
    peer.state().breaks = Some("first".into());
    let _daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    send(&client, "first");
    let told = || client.status().unwrap().faults.iter().any(|fault| fault.code == FaultCode::NotTaken);
    let attempts = || peer.state().asked.iter().filter(|asked| asked.starts_with("POST")).count();
    let mut names = vec!["first".to_owned()];
    while !told() {
        assert!(names.len() < 50, "it failed beside {} that were stored, and nobody is told", names.len());
        let name = format!("visit-{:02}", names.len());
        send(&client, &name);
        names.push(name);
        until("the others to be stored", || encounters(&peer) == names[1..]);
        let before = attempts();
        until("another attempt", || attempts() > before);
    }
    assert_eq!((client.status().unwrap().waiting, client.status().unwrap().set_aside), (1, 0));
    peer.state().breaks = None;
    drained(&client);
    names.sort();
    assert_eq!(encounters(&peer), names);
    until("no fault", || client.status().unwrap().faults.is_empty());
}

#[test]
fn where_the_place_is_gone_everything_waits_and_nothing_is_set_aside() {
    let (folder, peer) = (Folder::new(), Peer::start());
    let gone = peer.upload().replace("/fhir", "/gone");
    let daemon = Daemon::start(&folder, &gone);
    let client = Client::new(socket(&folder));
    for name in ["one", "two"] {
        send(&client, name);
    }
    let asked = |count| move |state: &State| state.asked.len() >= count;
    until("attempts", || asked(6)(&peer.state()));
    let status = client.status().unwrap();
    assert_eq!((status.waiting, status.set_aside), (2, 0));
    let fault = &status.faults[0];
    assert!(fault.code == FaultCode::ServerUnreachable && fault.detail.contains("check `base_url`"), "{fault:?}");
    assert!(daemon.terminate().success());
    let _daemon = Daemon::start(&folder, &peer.upload());
    drained(&client);
    assert_eq!(encounters(&peer), ["one", "two"]);
}

#[test]
fn what_one_server_refused_is_offered_to_the_next() {
    let (folder, first, next) = (Folder::new(), Peer::start(), Peer::start());
    first.state().poison = Some("one".into());
    let daemon = Daemon::start(&folder, &first.upload());
    let client = Client::new(socket(&folder));
    send(&client, "one");
    until("it to be set aside", || client.status().unwrap().set_aside == 1);
    assert!(daemon.terminate().success());
    // The same server again: it stays aside.
    let daemon = Daemon::start(&folder, &first.upload());
    assert_eq!(client.status().unwrap().set_aside, 1);
    assert!(daemon.terminate().success());
    let _daemon = Daemon::start(&folder, &next.upload());
    until("the next server to have it", || encounters(&next) == ["one"]);
    drained(&client);
    assert_eq!(client.status().unwrap().set_aside, 0);
}

#[test]
fn a_large_file_gets_through_a_line_that_breaks_where_the_server_takes_parts() {
    const LARGE: usize = 3_000_001;
    let (folder, peer) = (Folder::new(), Peer::start());
    peer.state().takes_parts = true;
    peer.state().longest_body = Some(300_000);
    // Each second answer is lost too: what a part added is asked for, and not sent twice.
    peer.state().cut_every_second = true;
    let daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    let content: Vec<u8> = (0..LARGE).map(|at| (at * 7 + at / 1000) as u8).collect();
    client.begin().unwrap();
    let ecg = client.put_blob("ecg", "application/fhir+json", &content).unwrap();
    let upload =
        Upload { path: "Binary/ecg".into(), content_type: "application/fhir+json".into(), body: Body::Blob(ecg) };
    client.submit(submission("one", PATIENT, vec![upload])).unwrap();
    until("a part", || peer.state().asked.iter().any(|asked| asked.starts_with("PATCH")));
    daemon.kill();
    let _daemon = Daemon::start(&folder, &peer.upload());
    drained(&client);
    assert_eq!(encounters(&peer), ["one"]);
    assert!(peer.state().files["Binary/ecg"] == content, "another file arrived");
    assert!(peer.state().asked.iter().all(|asked| !asked.starts_with("PUT")));
}
