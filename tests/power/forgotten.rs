//! What a whole disk tells of a patient who was forgotten, to somebody who has the disk and the root key: every epoch's
//! key, every data key, every frame and every sealed file that is anywhere on it, in a file or in what files left behind,
//! is tried.

use crate::drive::{self, Drive, Mounted};
use crate::shared::{Folder, bundle, holds, root_key};
use outbox::frame::{Parsed, Seal};
use outbox::keys::{DataKey, KeyFile, Keyring, Part};
use outbox::parked;
use outbox::queue::Sending;
use outbox::store::Store;
use outbox::wire::UploadOf;
use outbox::{Blob, BlobId, ConsultationId, LetterId, Receipt, Record};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Sizes of what the key files hold: see `keys.rs`.
const EPOCH_FILE_BYTES: usize = 80;
const KEY_FILE_BYTES: usize = 104;
/// Sealed size of a picture of [`PICTURE_BYTES`]: its header, and the tag of its one chunk.
const PICTURE_BYTES: usize = 40_000;
const SEALED_PICTURE_BYTES: usize = 55 + PICTURE_BYTES + 16;

/// What a patient who comes back knows, and until when, seconds since 1970.
const SECRET: &[u8] = b"48219073/1961-11-02";
const LIMIT: i64 = 1_000;

struct Patient {
    id: ConsultationId,
    name: &'static str,
    picture: BlobId,
}

fn receive(store: &mut Store, name: &'static str) -> Patient {
    let patient = Patient { id: ConsultationId::random(), name, picture: BlobId::random() };
    store.begin(patient.id).unwrap();
    let record = Record { seq: 0, kind: 1, bytes: Zeroizing::new(name.as_bytes().to_vec()) };
    assert_eq!(store.append(&[(patient.id, record)]), [Ok(0)]);
    let bytes = Zeroizing::new(name.as_bytes().iter().copied().cycle().take(PICTURE_BYTES).collect());
    let blob = Blob { name: "picture".into(), content_type: "image/jpeg".into(), bytes };
    store.put_blob(patient.id, patient.picture, &blob).unwrap();
    patient
}

fn sending(patient: &Patient) -> Sending {
    let name = patient.id.to_string();
    let upload = UploadOf { path: format!("Binary/{name}"), content_type: "image/jpeg".into(), blob: patient.picture };
    let bundle = Zeroizing::new(bundle(&name, patient.name));
    Sending { uploads: vec![upload], bundle, proof: format!("Encounter?identifier={name}") }
}

fn hand_over(store: &mut Store, patient: &Patient) {
    store.submit(patient.id, &sending(patient)).unwrap();
}

/// The patient leaves, and may come back until [`LIMIT`] with [`SECRET`].
fn leave(store: &mut Store, patient: &Patient) {
    store.park(patient.id, &sending(patient), SECRET, LIMIT).unwrap();
}

fn prove(store: &mut Store, patient: &Patient) {
    let receipt = Receipt {
        consultation: patient.id,
        received_at: 1,
        resource: "Encounter/1".into(),
        version: String::new(),
        etag: String::new(),
        bundle_sha256: [0; 32],
        locations: vec![],
    };
    store.prove(receipt).unwrap();
}

fn places<'a>(disk: &'a [u8], magic: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    disk.windows(magic.len()).enumerate().filter(move |(_, window)| *window == magic).map(|(at, _)| at)
}

/// Every data key of a patient that a disk gives away.
fn keys_on(disk: &[u8], folder: &Folder, patient: &Patient, secret: &[u8]) -> Vec<DataKey> {
    let mut found = Vec::new();
    let epochs: BTreeSet<&[u8]> =
        places(disk, b"TCEPOCH1").filter_map(|at| disk.get(at..at + EPOCH_FILE_BYTES)).collect();
    let wrapped: BTreeSet<&[u8]> =
        places(disk, b"TCDATAK1").filter_map(|at| disk.get(at..at + KEY_FILE_BYTES)).collect();
    let sealed: BTreeSet<&[u8]> =
        places(disk, parked::MAGIC).filter_map(|at| disk.get(at..at + parked::SEALED_BYTES)).collect();
    let dir = folder.0.join("carved");
    for epoch in epochs {
        // Its number is authenticated and is not in it.
        for number in 1..40 {
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(format!("epoch-{number}")), epoch).unwrap();
            let Ok(ring) = Keyring::open(&dir, root_key()) else { continue };
            for wrapped in &wrapped {
                let path = dir.join("key");
                std::fs::write(&path, wrapped).unwrap();
                let lock = KeyFile { path: path.clone(), consultation: patient.id, part: Part::Parked };
                if let Ok(lock) = ring.load(&lock) {
                    // The patient's secret in hand too.
                    let open = |sealed: &&[u8]| parked::open_sealed(sealed, &root_key(), &lock, secret, patient.id);
                    found.extend(sealed.iter().filter_map(open));
                }
                for part in [Part::Journal, Part::Submission, Part::Letter] {
                    found.extend(ring.load(&KeyFile { path: path.clone(), consultation: patient.id, part }).ok());
                }
            }
        }
    }
    found
}

/// Whether a disk gives away a patient's record, and picture or bundle.
fn told(disk: &[u8], folder: &Folder, patient: &Patient) -> (bool, bool) {
    told_with(disk, folder, patient, SECRET)
}

fn told_without_secret(disk: &[u8], folder: &Folder, patient: &Patient) -> (bool, bool) {
    told_with(disk, folder, patient, b"another secret")
}

fn told_with(disk: &[u8], folder: &Folder, patient: &Patient, secret: &[u8]) -> (bool, bool) {
    assert!(!holds(disk, patient.name.as_bytes()), "{} is on the disk unsealed", patient.name);
    let (mut record, mut picture) = (false, false);
    for key in keys_on(disk, folder, patient, secret) {
        let seal = Seal::new(&key, patient.id);
        for at in places(disk, &outbox::frame::MAGIC) {
            let length = disk.len().min(at + 64 * 1024);
            if let Parsed::Whole { content, .. } = seal.parse(&disk[at..length]) {
                record |= content.as_slice() == patient.name.as_bytes();
            }
        }
        for at in places(disk, b"TCB1") {
            let Some(sealed) = disk.get(at..at + SEALED_PICTURE_BYTES) else { continue };
            picture |= outbox::blob::open(sealed, &key, patient.id, patient.picture).is_some();
        }
    }
    (record, picture)
}

/// Somebody about whom a letter is written: it is sealed as a blob of its own name.
fn write_of(name: &'static str) -> Patient {
    let id = ConsultationId::random();
    Patient { id, name, picture: BlobId(id.0) }
}

/// Whether a disk gives away a letter.
fn letter_told(disk: &[u8], folder: &Folder, patient: &Patient) -> bool {
    assert!(!holds(disk, patient.name.as_bytes()), "{} is on the disk unsealed", patient.name);
    keys_on(disk, folder, patient, SECRET).iter().any(|key| {
        let mut sealed = places(disk, b"TCB1").filter_map(|at| disk.get(at..at + 55 + patient.name.len() + 16));
        sealed.any(|sealed| outbox::blob::open(sealed, key, patient.id, patient.picture).is_some())
    })
}

#[test]
fn no_byte_of_a_forgotten_patient_can_be_read_from_the_disk_with_the_root_key_in_hand() {
    let test = "no_byte_of_a_forgotten_patient_can_be_read_from_the_disk_with_the_root_key_in_hand";
    let Some(()) = drive::mounts_or_skip(test) else { return };
    let folder = Folder::new();
    let drive = Drive::start(&folder.0.join("fuse"), drive::formatted(&folder.0, 32)).unwrap();
    let disk = Mounted::new(&drive.file(), &folder.0.join("disk")).unwrap();
    let mut store = Store::open(&disk.dir().join("outbox"), root_key(), 1 << 20).unwrap();
    let on_drive = || {
        // SAFETY: no preconditions. Everything that any file system still holds back goes to its drive.
        unsafe { libc::sync() };
        drive.content()
    };

    let sent = receive(&mut store, "MARTIN-Sophie-1954");
    // The method sees a patient who is there.
    assert_eq!(told(&on_drive(), &folder, &sent), (true, true), "in the cabin");
    hand_over(&mut store, &sent);
    let (record, picture) = told(&on_drive(), &folder, &sent);
    assert!(!record && picture, "handed over: the journal is gone, the files wait");
    let waiting = receive(&mut store, "BERNARD-Luc-1987");
    hand_over(&mut store, &waiting);
    prove(&mut store, &sent);
    let discarded = receive(&mut store, "PETIT-Anne-2001");
    store.discard(discarded.id).unwrap();
    let back = receive(&mut store, "MOREAU-Jean-1961");
    leave(&mut store, &back);
    assert_eq!(told(&on_drive(), &folder, &back), (true, true), "parked, with the secret and the key in hand");
    let (record, picture) = told_without_secret(&on_drive(), &folder, &back);
    assert!(!record && picture, "parked: without the secret there is only what is held");
    assert_eq!(store.reopen(SECRET, LIMIT - 1), Ok(back.id));
    assert_eq!(told(&on_drive(), &folder, &back), (true, true), "in the cabin again");
    hand_over(&mut store, &back);
    prove(&mut store, &back);
    let away = receive(&mut store, "GIRARD-Lea-1979");
    leave(&mut store, &away);
    assert_eq!(store.release_parked(LIMIT), Ok(1));
    let (record, picture) = told(&on_drive(), &folder, &away);
    assert!(!record && picture, "whoever stays away: what was held waits");
    prove(&mut store, &away);
    let present = receive(&mut store, "DURAND-Paul-1940");
    // What was written to specialists: one has it, the other not yet.
    let (read, unread) = (write_of("ROUX-Marc-1933"), write_of("FAURE-Ines-1999"));
    for patient in [&read, &unread] {
        store.keep_letter(LetterId(patient.id.0), patient.name.as_bytes()).unwrap();
        assert!(letter_told(&on_drive(), &folder, patient), "the method sees a letter that waits");
    }
    store.drop_letter(LetterId(read.id.0)).unwrap();

    let now = on_drive();
    assert!(!letter_told(&now, &folder, &read), "the desk has it");
    assert!(letter_told(&now, &folder, &unread), "another letter waits");
    assert_eq!(told(&now, &folder, &sent), (false, false), "proved");
    assert_eq!(told(&now, &folder, &discarded), (false, false), "discarded");
    assert_eq!(told(&now, &folder, &back), (false, false), "came back, proved");
    assert_eq!(told(&now, &folder, &away), (false, false), "stayed away, proved");
    assert!(told(&now, &folder, &waiting).1, "another one who waits is not touched");
    assert_eq!(told(&now, &folder, &present), (true, true), "nor is the one in the cabin");
    drop(store);
    drop(disk);
    let after = drive.content();
    assert_eq!(told(&after, &folder, &sent), (false, false));
    assert_eq!(told(&after, &folder, &discarded), (false, false));
    assert_eq!(told(&after, &folder, &back), (false, false));
    assert_eq!(told(&after, &folder, &away), (false, false));
}
