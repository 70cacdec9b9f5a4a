//! The store by itself: what is kept, what is found again, and what is destroyed.

mod shared;

use outbox::keys::RootKey;
use outbox::queue::Sending;
use outbox::store::{Store, StoreError};
use outbox::wire::UploadOf;
use outbox::*;
use shared::*;
use std::fs;
use zeroize::Zeroizing;

const RESERVE: u64 = 1 << 20;
/// What nobody may find in a file.
const MARKERS: [&str; 4] =
    ["MARTIN-Sophie-1954", "mal-de-gorge-depuis-mardi", "radio-pulmonaire", "ordonnance-amoxicilline"];

fn open(folder: &Folder) -> Store {
    Store::open(&folder.data(), root_key(), RESERVE).unwrap()
}

fn record(id: ConsultationId, seq: u64, bytes: &[u8]) -> (ConsultationId, Record) {
    (id, Record { seq, kind: 3, bytes: Zeroizing::new(bytes.to_vec()) })
}

fn blob(bytes: Vec<u8>) -> Blob {
    Blob { name: MARKERS[2].into(), content_type: "application/pdf".into(), bytes: Zeroizing::new(bytes) }
}

/// A consultation with records and a blob, open.
fn consultation(store: &mut Store) -> (ConsultationId, BlobId) {
    let id = ConsultationId::random();
    let file = BlobId::random();
    store.begin(id).unwrap();
    let answers = store.append(&[record(id, 0, MARKERS[0].as_bytes()), record(id, 1, MARKERS[1].as_bytes())]);
    assert_eq!(answers, [Ok(0), Ok(1)]);
    store.put_blob(id, file, &blob(MARKERS[3].repeat(10_000).into_bytes())).unwrap();
    (id, file)
}

fn sending(id: ConsultationId, file: BlobId) -> Sending {
    let upload = UploadOf { path: format!("Binary/{file}"), content_type: "application/pdf".into(), blob: file };
    let name = id.to_string();
    Sending {
        uploads: vec![upload],
        bundle: Zeroizing::new(bundle(&name, MARKERS[0])),
        proof: format!("Encounter?identifier={name}"),
    }
}

fn receipt(consultation: ConsultationId) -> Receipt {
    Receipt {
        consultation,
        received_at: 1_700_000_000,
        resource: "Encounter/1".into(),
        version: "1".into(),
        etag: "W/\"1\"".into(),
        bundle_sha256: [1; 32],
        locations: vec!["Patient/2".into()],
    }
}

fn nothing_readable(folder: &Folder) {
    for (path, bytes) in every_file(&folder.data()) {
        for marker in MARKERS {
            assert!(!holds(&bytes, marker.as_bytes()), "{marker} is in {}", path.display());
            assert!(!path.to_string_lossy().contains(marker), "{marker} is in the name {}", path.display());
        }
    }
}

#[test]
fn an_open_consultation_is_read_back_whole_after_a_restart() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    assert_eq!(store.append(&[record(id, 2, b"after the blob")]), [Ok(2)]);
    drop(store);
    let mut store = open(&folder);
    let (again, records, more) = store.read_back(0).unwrap().unwrap();
    assert_eq!((again, more, records.len()), (id, false, 3));
    assert_eq!(records[0].bytes.as_slice(), MARKERS[0].as_bytes());
    assert_eq!((records[2].seq, records[2].kind, records[2].bytes.as_slice()), (2, 3, b"after the blob".as_slice()));
    let found = store.get_blob(id, file).unwrap();
    assert_eq!(found.bytes.as_slice(), MARKERS[3].repeat(10_000).as_bytes());
    assert_eq!((found.name.as_str(), found.content_type.as_str()), (MARKERS[2], "application/pdf"));
    assert_eq!(store.append(&[record(id, 3, b"x")]), [Ok(3)]);
    nothing_readable(&folder);
}

#[test]
fn a_journal_longer_than_a_page_is_read_back_in_pages() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let id = ConsultationId::random();
    store.begin(id).unwrap();
    let records: Vec<_> = (0..20).map(|seq| record(id, seq, &vec![seq as u8; 200 * 1024])).collect();
    assert!(store.append(&records).iter().all(Result::is_ok));
    let mut all = Vec::new();
    loop {
        let (_, page, more) = store.read_back(all.len() as u64).unwrap().unwrap();
        all.extend(page);
        if !more {
            break;
        }
    }
    assert_eq!(all.len(), 20);
    assert!(all.iter().zip(&records).all(|(found, (_, kept))| found == kept));
}

#[test]
fn repeating_a_request_whose_answer_was_lost_changes_nothing() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    assert_eq!(store.append(&[record(id, 1, MARKERS[1].as_bytes())]), [Ok(1)]);
    assert_eq!(store.append(&[record(id, 1, b"something else")])[0].as_ref().unwrap_err().refusal, Refusal::OutOfOrder);
    assert_eq!(store.append(&[record(id, 7, b"a gap")])[0].as_ref().unwrap_err().refusal, Refusal::OutOfOrder);
    store.put_blob(id, file, &blob(MARKERS[3].repeat(10_000).into_bytes())).unwrap();
    store.submit(id, &sending(id, file)).unwrap();
    store.submit(id, &sending(id, file)).unwrap();
    assert_eq!(store.status().waiting, 1);
    store.prove(receipt(id)).unwrap();
    store.submit(id, &sending(id, file)).unwrap();
    assert_eq!(store.status().waiting, 0);
    assert_eq!(store.receipts(), [receipt(id)]);
    assert!(store.begin(id).is_err(), "a closed consultation does not open again");
}

#[test]
fn what_is_taken_again_gives_back_its_room_and_is_gone() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, first) = consultation(&mut store);
    let large = || blob(vec![7; BLOB_BYTES_MAX]);
    // Far more than a consultation may keep at a time.
    for _ in 0..7 {
        let taken = BlobId::random();
        store.put_blob(id, taken, &large()).unwrap();
        store.drop_blob(id, taken).unwrap();
        store.drop_blob(id, taken).unwrap();
        assert_eq!(store.get_blob(id, taken).unwrap_err().refusal, Refusal::UnknownBlob);
        assert!(!folder.data().join(format!("journal/{id}/{taken}.blob")).exists());
    }
    let again = BlobId::random();
    store.put_blob(id, again, &blob(b"kept".to_vec())).unwrap();
    store.drop_blob(id, first).unwrap();
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.get_blob(id, first).unwrap_err().refusal, Refusal::UnknownBlob);
    assert_eq!(store.get_blob(id, again).unwrap().bytes.as_slice(), b"kept");
    assert!(check(&folder.data(), root_key()).unwrap_err().to_string().contains("in use"));
    drop(store);
    assert!(check(&folder.data(), root_key()).unwrap().problems.is_empty());
}

#[test]
fn files_to_be_sent_have_room_of_their_own_and_the_last_attempt_is_what_is_sent() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    for _ in 0..5 {
        store.put_blob(id, BlobId::random(), &blob(vec![7; BLOB_BYTES_MAX])).unwrap();
    }
    let refused = store.put_blob(id, BlobId::random(), &blob(vec![7; BLOB_BYTES_MAX])).unwrap_err();
    assert_eq!(refused.refusal, Refusal::TooLarge, "the blobs are at their limit");
    let (sheet, large) = (BlobId::of_upload(id, "Binary/sheet"), BlobId::of_upload(id, "Binary/large"));
    for attempt in 0..9u8 {
        store.put_upload(id, large, &blob(vec![9; UPLOAD_BYTES_MAX])).unwrap();
        store.put_upload(id, sheet, &blob(vec![attempt; 100])).unwrap();
    }
    assert_eq!(store.put_upload(id, file, &blob(vec![1])).unwrap_err().refusal, Refusal::Malformed);
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.get_blob(id, sheet).unwrap().bytes.as_slice(), vec![8; 100]);
    let mut sending = sending(id, sheet);
    sending.uploads.push(UploadOf { path: "Binary/large".into(), content_type: "a/b".into(), blob: large });
    store.submit(id, &sending).unwrap();
    let plan = store.plan(id).unwrap();
    assert_eq!(plan.uploads.iter().map(|upload| upload.bytes).collect::<Vec<_>>(), [100, UPLOAD_BYTES_MAX as u64]);
    assert_eq!(store.upload(id, &plan.uploads[1]).unwrap().len(), UPLOAD_BYTES_MAX);
}

#[test]
fn a_journal_whose_record_cannot_be_sealed_is_kept_aside_and_the_next_patient_begins() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, _) = consultation(&mut store);
    store.set_journal_of_open_aside(id).unwrap();
    store.set_journal_of_open_aside(id).unwrap();
    assert!(store.read_back(0).unwrap().is_none(), "the cabin cannot read it");
    let (next, _) = consultation(&mut store);
    assert!(folder.data().join("journal-aside").join(id.to_string()).join("key").exists());
    drop(store);
    let store = open(&folder);
    let status = store.status();
    assert_eq!(status.open, Some(next));
    let fault = status.faults.iter().find(|fault| fault.code == FaultCode::Damaged).unwrap();
    assert!(fault.detail.contains("journal-aside"), "{}", fault.detail);
    drop(store);
    nothing_readable(&folder);
}

#[test]
fn no_two_consultations_are_open_and_no_other_one_is_written_or_read() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    let other = ConsultationId::random();
    assert_eq!(store.begin(other).unwrap_err().refusal, Refusal::AlreadyOpen);
    assert_eq!(store.append(&[record(other, 2, b"x")])[0].as_ref().unwrap_err().refusal, Refusal::OtherConsultation);
    assert_eq!(store.get_blob(other, file).unwrap_err().refusal, Refusal::OtherConsultation);
    assert_eq!(store.discard(other).unwrap_err().refusal, Refusal::OtherConsultation);
    store.submit(id, &sending(id, file)).unwrap();
    store.begin(other).unwrap();
    assert_eq!(store.get_blob(other, file).unwrap_err().refusal, Refusal::UnknownBlob);
    assert_eq!(store.get_blob(id, file).unwrap_err().refusal, Refusal::OtherConsultation);
    assert_eq!(store.read_back(0).unwrap().unwrap().1.len(), 0);
}

#[test]
fn a_submission_survives_a_restart_and_is_sent_as_it_was_handed_over() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (id, file) = consultation(&mut store);
        store.submit(id, &sending(id, file)).unwrap();
        ids.push((id, file));
    }
    drop(store);
    let store = open(&folder);
    assert_eq!(store.waiting(), ids.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "oldest first");
    for (id, file) in ids {
        let plan = store.plan(id).unwrap();
        let expected = sending(id, file);
        assert_eq!(store.bundle(id, &plan).unwrap().as_slice(), expected.bundle.as_slice());
        assert_eq!(store.upload(id, &plan.uploads[0]).unwrap().as_slice(), MARKERS[3].repeat(10_000).as_bytes());
        assert_eq!((plan.proof, plan.uploads[0].path.clone()), (expected.proof, expected.uploads[0].path.clone()));
    }
    nothing_readable(&folder);
}

#[test]
fn the_wrong_key_opens_nothing_and_destroys_nothing() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, _) = consultation(&mut store);
    drop(store);
    let before = every_file(&folder.data().join("journal"));
    let wrong = RootKey::from_text_or_bytes(&[1; 32]).unwrap();
    let error = Store::open(&folder.data(), wrong, RESERVE).err().unwrap();
    assert!(matches!(error, StoreError::Key(_)), "{error}");
    assert!(error.to_string().contains("credential"), "{error}");
    assert_eq!(every_file(&folder.data().join("journal")), before);
    assert_eq!(open(&folder).status().open, Some(id));
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused() {
    let folder = Folder::new();
    let _store = open(&folder);
    assert!(matches!(Store::open(&folder.data(), root_key(), RESERVE), Err(StoreError::InUse(_))));
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt_from_the_logs() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (proved, file) = consultation(&mut store);
    store.submit(proved, &sending(proved, file)).unwrap();
    store.prove(receipt(proved)).unwrap();
    let (aside, file) = consultation(&mut store);
    store.submit(aside, &sending(aside, file)).unwrap();
    store.set_aside(aside, "the bundle was answered 422").unwrap();
    let (waiting, file) = consultation(&mut store);
    store.submit(waiting, &sending(waiting, file)).unwrap();
    drop(store);
    let index = folder.data().join("index");
    for damage in ["removed", "not a directory", "garbage in the file"] {
        match damage {
            "garbage in the file" => {
                let db = index.join("db");
                let length = fs::metadata(&db).unwrap().len() as usize;
                fs::write(&db, vec![0xa7; length]).unwrap();
                fs::write(index.join("conf"), [0xa7; 50]).unwrap();
            }
            _ => {
                fs::remove_dir_all(&index).unwrap();
                if damage == "not a directory" {
                    fs::write(&index, b"?").unwrap();
                }
            }
        }
        let store = open(&folder);
        assert_eq!(store.waiting(), [waiting], "{damage}");
        assert_eq!(store.receipts(), [receipt(proved)], "{damage}");
        let status = store.status();
        assert_eq!((status.waiting, status.set_aside, status.last_receipt_at), (1, 1, Some(1_700_000_000)), "{damage}");
        if damage != "removed" {
            assert!(status.faults.iter().any(|fault| fault.code == FaultCode::IndexRebuilt), "{damage}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_set_aside_and_the_rest_goes_on() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (id, file) = consultation(&mut store);
        store.submit(id, &sending(id, file)).unwrap();
        ids.push(id);
    }
    let (unreadable_journal, _) = consultation(&mut store);
    drop(store);
    let submissions = folder.data().join("submissions");
    fs::write(submissions.join(ids[0].to_string()).join("log"), vec![0x33; 5000]).unwrap();
    fs::write(submissions.join(ids[1].to_string()).join("key"), b"rot").unwrap();
    let journal = folder.data().join("journal").join(unreadable_journal.to_string());
    fs::write(journal.join("key"), b"rot").unwrap();
    let mut store = open(&folder);
    assert_eq!(store.waiting(), [ids[2]]);
    let status = store.status();
    assert_eq!((status.open, status.waiting, status.set_aside), (None, 1, 2));
    assert!(status.faults.iter().any(|fault| fault.code == FaultCode::Damaged));
    assert!(folder.data().join("journal-aside").join(unreadable_journal.to_string()).join("log").exists());
    assert_eq!(store.retry_set_aside().unwrap(), 0, "what cannot be read is not sent");
    consultation(&mut store);
    drop(store);
    let report = check(&folder.data(), root_key()).unwrap();
    assert_eq!((report.journals, report.submissions), (1, 3));
    // The rotten key, and the log of which nothing is whole; the plan is missing, so its bundle and file are orphans.
    assert!(!report.problems.is_empty());
}

#[test]
fn an_outbox_in_order_checks_without_a_problem() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    store.submit(id, &sending(id, file)).unwrap();
    consultation(&mut store);
    drop(store);
    let report = check(&folder.data(), root_key()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    // Two records, a manifest and a blob; a plan, a bundle and a blob.
    assert_eq!((report.journals, report.submissions, report.whole), (1, 1, 7));
    let sealed = folder.data().join("submissions").join(id.to_string()).join(format!("{file}.blob"));
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[100] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    assert_eq!(check(&folder.data(), root_key()).unwrap().problems.len(), 1);
}

#[test]
fn after_submission_and_proof_no_key_and_no_byte_of_the_patient_is_left() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    let journal = folder.data().join("journal").join(id.to_string());
    let old_key = fs::read(journal.join("key")).unwrap();
    let old_epochs = every_file(&folder.data().join("keys"));
    // Someone copies the whole disk while the patient is in the cabin: with the keys it opens, which shows that the
    // rest of this test would see it.
    let copy = Folder::new();
    copy_dir(&folder.data(), &copy.data());
    assert_eq!(open(&copy).read_back(0).unwrap().unwrap().1.len(), 2);

    store.submit(id, &sending(id, file)).unwrap();
    assert!(!journal.exists());
    nothing_readable(&folder);
    for (path, bytes) in every_file(&folder.data()) {
        assert!(!holds(&bytes, &old_key[32..]), "the journal's wrapped key is in {}", path.display());
        for (_, epoch) in &old_epochs {
            assert!(!holds(&bytes, &epoch[8..]), "the old epoch's wrapped key is in {}", path.display());
        }
    }
    // The journal's own files from before, put back beside today's keys, do not open.
    let restored = Folder::new();
    copy_dir(&folder.data(), &restored.data());
    copy_dir(&copy.data().join("journal"), &restored.data().join("journal"));
    fs::remove_dir_all(restored.data().join("submissions")).unwrap();
    assert!(open(&restored).read_back(0).unwrap().is_none());

    let waiting = folder.data().join("submissions").join(id.to_string());
    let submission_key = fs::read(waiting.join("key")).unwrap();
    store.prove(receipt(id)).unwrap();
    assert!(!waiting.exists());
    nothing_readable(&folder);
    for (path, bytes) in every_file(&folder.data()) {
        assert!(!holds(&bytes, &submission_key[32..]), "the submission's wrapped key is in {}", path.display());
    }
    let keys = every_file(&folder.data().join("keys"));
    assert_eq!(keys.len(), 1, "one epoch is left");
    assert!(old_epochs.iter().all(|(path, _)| *path != keys[0].0));
    drop(store);
    assert_eq!(open(&folder).receipts(), [receipt(id)]);
}

#[test]
fn a_discarded_consultation_leaves_nothing() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, _) = consultation(&mut store);
    let key = fs::read(folder.data().join("journal").join(id.to_string()).join("key")).unwrap();
    store.discard(id).unwrap();
    assert_eq!(store.status().open, None);
    nothing_readable(&folder);
    assert!(every_file(&folder.data()).iter().all(|(_, bytes)| !holds(bytes, &key[32..])));
    assert!(every_file(&folder.data().join("journal")).is_empty());
}

#[test]
fn a_crash_between_handing_over_and_destroying_is_finished_at_the_next_start() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    let journal = folder.data().join("journal").join(id.to_string());
    let kept = Folder::new();
    copy_dir(&journal, &kept.data());
    store.submit(id, &sending(id, file)).unwrap();
    drop(store);
    copy_dir(&kept.data(), &journal);
    let mut store = open(&folder);
    assert_eq!((store.status().open, store.status().waiting), (None, 1));
    assert!(!journal.exists());
    let submission = folder.data().join("submissions").join(id.to_string());
    copy_dir(&submission, &kept.0.join("submission"));
    store.prove(receipt(id)).unwrap();
    drop(store);
    copy_dir(&kept.0.join("submission"), &submission);
    assert_eq!(open(&folder).status().waiting, 0);
    assert!(!submission.exists());
}

#[test]
fn a_disk_too_small_for_a_consultation_refuses_the_next_patient() {
    let folder = Folder::new();
    let mut store = Store::open(&folder.data(), root_key(), 1 << 60).unwrap();
    let refused = store.begin(ConsultationId::random()).unwrap_err();
    assert_eq!(refused.refusal, Refusal::DiskShort);
    let status = store.status();
    assert_eq!((status.open, status.faults[0].code), (None, FaultCode::DiskShort));
    assert!(status.disk_free_bytes < status.disk_needed_bytes);
    assert!(!store.has_failed());
    assert!(every_file(&folder.data().join("journal")).is_empty());
}

#[test]
fn addresses_that_would_leave_the_server_are_refused() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (id, file) = consultation(&mut store);
    for path in ["https://elsewhere/", "//elsewhere/x", "/x", "../x", "a b", "", "x#y", "javascript:x", "Binary/é"] {
        let mut bad = sending(id, file);
        bad.uploads[0].path = path.into();
        assert_eq!(store.submit(id, &bad).unwrap_err().refusal, Refusal::Malformed, "{path}");
        let mut bad = sending(id, file);
        bad.proof = path.into();
        assert_eq!(store.submit(id, &bad).unwrap_err().refusal, Refusal::Malformed, "{path}");
    }
    assert_eq!(store.status().open, Some(id), "the consultation is still there");
    let mut with_system = sending(id, file);
    with_system.proof = "Encounter?identifier=urn:ietf:rfc:3986|urn:uuid:1".into();
    store.submit(id, &with_system).unwrap();
}

#[test]
fn with_many_waiting_an_epoch_ends_in_a_day_a_few_keys_at_a_time_over_restarts_too() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let ids: Vec<_> = (0..40)
        .map(|_| {
            let (id, file) = consultation(&mut store);
            store.submit(id, &sending(id, file)).unwrap();
            id
        })
        .collect();
    store.prove(receipt(ids[0])).unwrap();
    let epochs = || {
        let names = std::fs::read_dir(folder.data().join("keys")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = epochs();
    assert_eq!(store.rotate_some(), Ok(false), "its day is not over");
    assert_eq!((epochs(), before.len()), (before.clone(), 1));
    // A night and a day later, the cabin having been off.
    drop(store);
    let path = folder.data().join("keys").join(&before[0]);
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    std::fs::File::open(&path).unwrap().set_modified(yesterday).unwrap();
    let mut store = open(&folder);
    assert_eq!(store.rotate_some(), Ok(true));
    assert_eq!(epochs().len(), 2, "some keys are the old one's still");
    // The power goes in the middle of it.
    drop(store);
    let mut store = open(&folder);
    let mut steps = 1;
    while store.rotate_some().unwrap() {
        steps += 1;
    }
    assert!(steps >= 2, "39 keys at once");
    let after = epochs();
    assert!(after.len() == 1 && after != before, "{before:?} and then {after:?}");
    assert_eq!(store.rotate_some(), Ok(false));
    drop(store);
    let store = open(&folder);
    for id in &ids[1..] {
        assert!(store.plan(*id).is_ok(), "{id}");
    }
    assert!(store.plan(ids[0]).is_err());
}
