//! Patients who come back with their secret, and those who do not.

mod shared;

use outbox::queue::Sending;
use outbox::store::Store;
use outbox::wire::UploadOf;
use outbox::*;
use shared::*;
use zeroize::Zeroizing;

const SECRET: &[u8] = b"48219073/1954-03-12";
const OTHER: &[u8] = b"48219073/1954-03-13";
const SAID: &str = "mal-de-gorge-depuis-mardi";
const NOW: i64 = 1_790_000_000;
const HOUR: i64 = 3600;

fn open(folder: &Folder) -> Store {
    Store::open(&folder.data(), root_key(), 1 << 20).unwrap()
}

fn append(store: &mut Store, id: ConsultationId, seq: u64) {
    let record = Record { seq, kind: 1, bytes: Zeroizing::new(format!("{SAID}-{seq}").into_bytes()) };
    assert_eq!(store.append(&[(id, record)]), [Ok(seq)]);
}

/// A consultation with a record and a picture, parked until [`NOW`] and an hour.
fn parked(store: &mut Store, secret: &[u8]) -> (ConsultationId, BlobId, Vec<u8>) {
    let (id, picture) = (ConsultationId::random(), BlobId::random());
    store.begin(id).unwrap();
    append(store, id, 0);
    let blob = Blob {
        name: SAID.into(),
        content_type: "image/jpeg".into(),
        bytes: Zeroizing::new(SAID.repeat(4000).into_bytes()),
    };
    store.put_blob(id, picture, &blob).unwrap();
    let bundle = bundle(&id.to_string(), SAID);
    store.park(id, &sending(id, picture, &bundle), secret, NOW + HOUR).unwrap();
    (id, picture, bundle)
}

fn sending(id: ConsultationId, picture: BlobId, bundle: &[u8]) -> Sending {
    let upload = UploadOf { path: format!("Binary/{picture}"), content_type: "image/jpeg".into(), blob: picture };
    let proof = format!("Encounter?identifier={id}");
    Sending { uploads: vec![upload], bundle: Zeroizing::new(bundle.to_vec()), proof }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Refused>) -> Refusal {
    result.unwrap_err().refusal
}

#[test]
fn who_comes_back_with_the_secret_finds_everything_and_goes_on() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, picture, bundle) = parked(&mut store, SECRET);
    assert_eq!((store.status().open, store.status().parked, store.status().waiting), (None, 1, 0));
    for (path, bytes) in every_file(&folder.data()) {
        assert!(!holds(&bytes, SAID.as_bytes()), "{SAID} is in {}", path.display());
        assert!(!holds(&bytes, SECRET) && !holds(&bytes, b"48219073"), "the secret is in {}", path.display());
    }
    // Another patient in between, and a night without power.
    let other = ConsultationId::random();
    store.begin(other).unwrap();
    assert_eq!(refusal(store.reopen(SECRET, NOW)), Refusal::AlreadyOpen);
    store.discard(other).unwrap();
    assert_eq!(refusal(store.begin(id)), Refusal::OtherConsultation);
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.status().parked, 1);
    assert_eq!(refusal(store.reopen(OTHER, NOW)), Refusal::NotParked);
    assert_eq!(store.reopen(SECRET, NOW), Ok(id));
    assert_eq!(store.reopen(SECRET, NOW), Ok(id), "an answer that was lost is asked for again");
    assert_eq!(refusal(store.reopen(OTHER, NOW)), Refusal::AlreadyOpen);
    assert_eq!((store.status().open, store.status().parked, store.status().waiting), (Some(id), 0, 0));
    let (_, records, _) = store.read_back(0).unwrap().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].bytes.as_slice(), format!("{SAID}-0").as_bytes());
    append(&mut store, id, 1);
    assert_eq!(store.get_blob(id, picture).unwrap().bytes.as_slice(), SAID.repeat(4000).as_bytes());
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.read_back(0).unwrap().unwrap().1.len(), 2);
    store.submit(id, &sending(id, picture, &bundle)).unwrap();
    assert_eq!(store.waiting(), [id]);
    drop(store);
    let report = check(&folder.data(), root_key()).unwrap();
    assert_eq!((report.problems, report.parked, report.submissions), (vec![], 0, 1));
}

#[test]
fn who_does_not_come_back_in_time_is_sent_and_can_no_longer_be_opened() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, picture, bundle) = parked(&mut store, SECRET);
    // What was handed over after it is younger in the queue.
    let later = ConsultationId::random();
    store.begin(later).unwrap();
    append(&mut store, later, 0);
    let picture_of_later = BlobId::random();
    let blob = Blob { name: "x".into(), content_type: "image/jpeg".into(), bytes: Zeroizing::new(vec![7; 100]) };
    store.put_blob(later, picture_of_later, &blob).unwrap();
    store.submit(later, &sending(later, picture_of_later, &bundle)).unwrap();
    assert_eq!(store.release_parked(NOW + HOUR - 1), Ok(0));
    drop(store);
    let report = check(&folder.data(), root_key()).unwrap();
    assert_eq!((report.problems, report.parked), (vec![], 1));
    let mut store = open(&folder);
    assert_eq!(refusal(store.reopen(SECRET, NOW + HOUR)), Refusal::NotParked, "its time is over");
    assert_eq!(store.release_parked(NOW + HOUR), Ok(1));
    assert_eq!((store.status().parked, store.waiting()), (0, vec![id, later]));
    assert_eq!(refusal(store.reopen(SECRET, NOW)), Refusal::NotParked);
    drop(store);
    let store = open(&folder);
    let plan = store.plan(id).unwrap();
    assert_eq!(store.bundle(id, &plan).unwrap().as_slice(), bundle);
    assert_eq!(plan.uploads[0].path, format!("Binary/{picture}"));
    assert_eq!(store.upload(id, &plan.uploads[0]).unwrap().as_slice(), SAID.repeat(4000).as_bytes());
}

#[test]
fn what_a_clock_far_ahead_parked_is_sent_once_the_clock_is_right() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, ..) = parked(&mut store, SECRET);
    let ten_days = 10 * 24 * HOUR;
    assert_eq!(store.release_parked(NOW - ten_days), Ok(1));
    assert_eq!(store.waiting(), [id]);
}

#[test]
fn whoever_parked_by_a_clock_far_behind_keeps_the_time_that_was_promised_when_it_is_set_right() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, ..) = parked(&mut store, SECRET);
    let ten_days = 10 * 24 * HOUR;
    store.clock_was_set(ten_days);
    let now = NOW + ten_days;
    assert_eq!(store.release_parked(now + HOUR - 1), Ok(0));
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.release_parked(now + HOUR - 1), Ok(0), "a restart knows it too");
    assert_eq!(store.reopen(SECRET, now + HOUR - 1), Ok(id));
    let folder = Folder::new();
    let mut store = open(&folder);
    parked(&mut store, SECRET);
    store.clock_was_set(ten_days);
    assert_eq!(store.release_parked(now + HOUR), Ok(1), "and not a second more");
}

#[test]
fn what_nobody_can_go_on_with_is_sent_as_it_was_held() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, _, bundle) = parked(&mut store, SECRET);
    assert_eq!(store.reopen(SECRET, NOW), Ok(id));
    // A restart in between: nothing was added yet.
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.status().open, Some(id));
    store.set_journal_of_open_aside(id).unwrap();
    assert_eq!((store.status().open, store.waiting()), (None, vec![id]));
    let plan = store.plan(id).unwrap();
    assert_eq!(store.bundle(id, &plan).unwrap().as_slice(), bundle);
    // Who goes on makes another record.
    let (other, ..) = parked(&mut store, OTHER);
    assert_eq!(store.reopen(OTHER, NOW), Ok(other));
    append(&mut store, other, 1);
    store.set_journal_of_open_aside(other).unwrap();
    assert_eq!(store.waiting(), [id]);
}

#[test]
fn wrong_secrets_are_looked_at_a_few_times_only() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, ..) = parked(&mut store, SECRET);
    for _ in 0..5 {
        assert_eq!(refusal(store.reopen(OTHER, NOW)), Refusal::NotParked);
    }
    assert_eq!(refusal(store.reopen(SECRET, NOW)), Refusal::TooManyTries);
    assert_eq!(refusal(store.reopen(SECRET, NOW + 14 * 60)), Refusal::TooManyTries);
    assert_eq!(store.reopen(SECRET, NOW + 15 * 60), Ok(id));

    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, ..) = parked(&mut store, SECRET);
    for _ in 0..5 {
        assert_eq!(refusal(store.reopen(OTHER, NOW)), Refusal::NotParked);
    }
    store.forgive_tries();
    assert_eq!(store.reopen(SECRET, NOW), Ok(id), "the pharmacist came");
}

#[test]
fn each_secret_opens_its_own_and_what_is_damaged_is_sent() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (first, ..) = parked(&mut store, SECRET);
    let (second, ..) = parked(&mut store, OTHER);
    assert_eq!(store.reopen(OTHER, NOW), Ok(second));
    store.discard(second).unwrap();
    drop(store);
    let sealed = folder.data().join("parked").join(first.to_string()).join("sealed");
    std::fs::write(&sealed, b"rust").unwrap();
    assert_eq!(check(&folder.data(), root_key()).unwrap().problems.len(), 1);
    let mut store = open(&folder);
    assert_eq!(refusal(store.reopen(SECRET, NOW)), Refusal::NotParked);
    assert_eq!(store.release_parked(NOW), Ok(1), "nobody can come back to it: it is sent at once");
    assert_eq!(store.waiting(), [first]);
}

#[test]
fn the_cabin_parks_and_opens_again_through_the_program_and_the_limit_sends() {
    let folder = Folder::new();
    let peer = Peer::start();
    let daemon = Daemon::start(&folder, &peer.upload());
    let client = Client::new(socket(&folder));
    let far = outbox::serve::unix_seconds() + 24 * HOUR;
    let id = client.begin().unwrap();
    client.append(1, b"said").unwrap();
    client.park(submission(&id.to_string(), SAID, Vec::new()), SECRET, far).unwrap();
    assert!(matches!(client.append(1, b"x"), Err(Error::Refused(refused)) if refused.refusal == Refusal::NotOpen));
    let refused = client.reopen(OTHER);
    assert!(matches!(refused, Err(Error::Refused(refused)) if refused.refusal == Refusal::NotParked));
    client.reopen(SECRET).unwrap();
    let (again, records) = client.read_back().unwrap().unwrap();
    assert_eq!((again, records.len(), records[0].bytes.as_slice()), (id, 1, b"said".as_slice()));
    // Again, and this time they stay away.
    client.append(1, b"more").unwrap();
    client.park(submission(&id.to_string(), SAID, Vec::new()), SECRET, 1).unwrap();
    until("what was held is sent, once", || client.receipts().unwrap().iter().any(|r| r.consultation == id));
    assert_eq!(client.status().unwrap().parked, 0);
    assert!(daemon.terminate().success());
}

/// Bends a byte of the first record of an open journal.
fn damage_the_first_record(folder: &Folder, id: ConsultationId) {
    let log = folder.data().join("journal").join(id.to_string()).join("log");
    let mut bytes = std::fs::read(&log).unwrap();
    let first = bytes.windows(outbox::frame::MAGIC.len()).position(|window| window == outbox::frame::MAGIC).unwrap();
    bytes[first + 60] ^= 1;
    std::fs::write(&log, bytes).unwrap();
}

#[test]
fn who_comes_back_to_a_journal_that_is_damaged_meanwhile_loses_nothing_of_what_was_held() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, _, bundle) = parked(&mut store, SECRET);
    assert_eq!(store.reopen(SECRET, NOW), Ok(id));
    drop(store);
    damage_the_first_record(&folder, id);
    let store = open(&folder);
    assert_eq!((store.status().open, store.waiting()), (None, vec![id]), "what was held is sent");
    assert_eq!(store.bundle(id, &store.plan(id).unwrap()).unwrap().as_slice(), bundle);
    assert!(folder.data().join("journal-aside").join(id.to_string()).join("key").exists());
    assert!(store.status().faults.iter().any(|fault| fault.code == FaultCode::Damaged));
}

#[test]
fn a_damaged_journal_is_kept_for_a_technician_whatever_the_cabin_does_with_it() {
    for submits in [false, true] {
        let folder = Folder::new();
        let mut store = open(&folder);
        let id = ConsultationId::random();
        store.begin(id).unwrap();
        for seq in 0..3 {
            append(&mut store, id, seq);
        }
        drop(store);
        damage_the_first_record(&folder, id);
        let mut store = open(&folder);
        assert_eq!(store.status().open, Some(id));
        if submits {
            let bundle = bundle(&id.to_string(), SAID);
            let sending = Sending { uploads: vec![], bundle: Zeroizing::new(bundle), proof: "Encounter?x".into() };
            store.submit(id, &sending).unwrap();
        } else {
            store.discard(id).unwrap();
        }
        assert_eq!((store.status().open, store.waiting().len()), (None, usize::from(submits)));
        let aside = folder.data().join("journal-aside").join(id.to_string());
        assert!(aside.join("key").exists() && aside.join("log.damaged-0").exists(), "submits: {submits}");
        store.begin(ConsultationId::random()).unwrap();
    }
}
