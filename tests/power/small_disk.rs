//! A disk that fills up: the next patient is refused, and nothing of this one is lost.

use crate::drive::{self, Mounted};
use crate::shared::{Folder, bundle, root_key};
use outbox::queue::Sending;
use outbox::store::Store;
use outbox::wire::UploadOf;
use outbox::{Blob, BlobId, ConsultationId, FaultCode, Receipt, Record, Refusal};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// Room for one consultation on this disk.
const RESERVE: u64 = 8 << 20;
const PICTURE_BYTES: usize = 1 << 20;

fn picture(n: u8) -> Blob {
    Blob { name: "picture".into(), content_type: "image/jpeg".into(), bytes: Zeroizing::new(vec![n; PICTURE_BYTES]) }
}

/// Takes every free byte of a disk.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for piece in [1 << 20, 4096, 1] {
        let bytes = vec![0xee_u8; piece];
        while file.write_all(&bytes).is_ok() {}
    }
    let _ = file.sync_all();
}

/// 1.5 MiB of records and two pictures.
fn work(store: &mut Store, id: ConsultationId) -> Vec<BlobId> {
    for seq in 0..15_u64 {
        let record = Record { seq, kind: 1, bytes: Zeroizing::new(vec![seq as u8; 100_000]) };
        assert_eq!(store.append(&[(id, record)]), [Ok(seq)]);
    }
    let pictures = [BlobId::random(), BlobId::random()];
    for (n, blob) in pictures.iter().enumerate() {
        store.put_blob(id, *blob, &picture(n as u8)).unwrap();
    }
    pictures.to_vec()
}

fn hand_over(store: &mut Store, id: ConsultationId, pictures: &[BlobId]) {
    let uploads = pictures.iter().map(|blob| UploadOf {
        path: format!("Binary/{blob}"),
        content_type: "image/jpeg".into(),
        blob: *blob,
    });
    let name = id.to_string();
    let bundle = Zeroizing::new(bundle(&name, "patient"));
    let sending = Sending { uploads: uploads.collect(), bundle, proof: format!("Encounter?identifier={name}") };
    store.submit(id, &sending).unwrap();
}

fn whole(store: &Store, id: ConsultationId) {
    let plan = store.plan(id).unwrap();
    assert_eq!(store.bundle(id, &plan).unwrap().as_slice(), bundle(&id.to_string(), "patient"));
    for (n, upload) in plan.uploads.iter().enumerate() {
        assert_eq!(store.upload(id, upload).unwrap().as_slice(), vec![n as u8; PICTURE_BYTES]);
    }
}

fn receipt(consultation: ConsultationId) -> Receipt {
    Receipt {
        consultation,
        received_at: 1_700_000_000,
        resource: "Encounter/1".into(),
        version: "1".into(),
        etag: String::new(),
        bundle_sha256: [0; 32],
        locations: vec![],
    }
}

#[test]
fn a_full_disk_refuses_the_next_patient_and_loses_nothing_of_this_one() {
    let Some(()) = drive::mounts_or_skip("a_full_disk_refuses_the_next_patient_and_loses_nothing_of_this_one") else {
        return;
    };
    let folder = Folder::new();
    let image = folder.0.join("image");
    drive::write_image(&image, &drive::formatted(&folder.0, 48));
    let disk = Mounted::new(&image, &folder.0.join("disk")).unwrap();
    let data = disk.dir().join("outbox");
    let mut store = Store::open(&data, root_key(), RESERVE).unwrap();
    let id = ConsultationId::random();
    store.begin(id).unwrap();
    // While the patient is in the cabin something else takes all the room.
    let filler = disk.dir().join("filler");
    fill(&filler);
    let pictures = work(&mut store, id);
    hand_over(&mut store, id, &pictures);
    whole(&store, id);
    assert!(!store.has_failed());
    fill(&disk.dir().join("filler-2"));
    let refused = store.begin(ConsultationId::random()).unwrap_err();
    assert_eq!(refused.refusal, Refusal::DiskShort, "{refused}");
    let status = store.status();
    assert!(status.faults.iter().any(|fault| fault.code == FaultCode::DiskShort), "{status:?}");
    assert_eq!((status.open, status.waiting), (None, 1));
    // Opened again on the full disk, it is all there.
    drop(store);
    let mut store = Store::open(&data, root_key(), RESERVE).unwrap();
    whole(&store, id);
    store.prove(receipt(id)).unwrap();
    assert_eq!(store.receipts(), [receipt(id)]);
    assert!(!store.has_failed());
    std::fs::remove_file(&filler).unwrap();
    std::fs::remove_file(disk.dir().join("filler-2")).unwrap();
    store.begin(ConsultationId::random()).unwrap();
    assert!(!store.status().faults.iter().any(|fault| fault.code == FaultCode::DiskShort));
    drop(store);
    assert_eq!(outbox::check(&data, root_key()).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_disk_filled_by_its_queue_refuses_the_next_patient_and_keeps_each_one_that_waits() {
    let test = "a_disk_filled_by_its_queue_refuses_the_next_patient_and_keeps_each_one_that_waits";
    let Some(()) = drive::mounts_or_skip(test) else { return };
    let folder = Folder::new();
    let image = folder.0.join("image");
    drive::write_image(&image, &drive::formatted(&folder.0, 48));
    let disk = Mounted::new(&image, &folder.0.join("disk")).unwrap();
    let data = disk.dir().join("outbox");
    let mut store = Store::open(&data, root_key(), RESERVE).unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        let id = ConsultationId::random();
        match store.begin(id) {
            Ok(()) => {
                let pictures = work(&mut store, id);
                hand_over(&mut store, id, &pictures);
                waiting.push(id);
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.refusal, Refusal::DiskShort, "{refused}");
    assert!(waiting.len() > 5, "{} consultations", waiting.len());
    drop(store);
    let mut store = Store::open(&data, root_key(), RESERVE).unwrap();
    assert_eq!(store.waiting(), waiting);
    waiting.iter().for_each(|id| whole(&store, *id));
    // The first proofs make room for the next patient.
    waiting.iter().take(5).for_each(|id| store.prove(receipt(*id)).unwrap());
    store.begin(ConsultationId::random()).unwrap();
}
