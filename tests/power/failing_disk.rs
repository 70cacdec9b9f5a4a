//! A drive that begins to fail: what the outbox cannot keep it does not acknowledge, and it ends by itself.

use crate::drive::{self, Drive, Mounted};
use crate::shared::{Daemon, Folder, root_key, socket};
use outbox::{Client, Error, Refusal};

#[test]
fn a_drive_that_fails_gets_no_further_acknowledgement_and_what_was_acknowledged_is_there_when_it_is_mended() {
    let test =
        "a_drive_that_fails_gets_no_further_acknowledgement_and_what_was_acknowledged_is_there_when_it_is_mended";
    let Some(()) = drive::mounts_or_skip(test) else { return };
    let folder = Folder::new();
    let drive = Drive::start(&folder.0.join("fuse"), drive::formatted(&folder.0, 32)).unwrap();
    let disk = Mounted::new(&drive.file(), &folder.0.join("disk")).unwrap();
    let data = disk.dir().join("outbox");
    let daemon = Daemon::start_in(&folder, &data, "", |_| ());
    let client = Client::new(socket(&folder));
    let id = client.begin().unwrap();
    for n in 0..20_u64 {
        assert_eq!(client.append(1, &n.to_le_bytes()).unwrap(), n);
    }
    drive.fail(true);
    // The connection may end before its answer can be read: what counts is that none says "kept".
    match client.append(1, b"never kept") {
        Err(Error::Refused(refused)) => assert_eq!(refused.refusal, Refusal::SyncFailed),
        Err(Error::Lost(_) | Error::Absent { .. }) => {}
        Ok(seq) => panic!("record {seq} was acknowledged by a drive that failed"),
        Err(other) => panic!("{other}"),
    }
    assert!(!daemon.ended().success(), "systemd starts it again, and it opens the disk anew");
    drop(disk);
    drive.fail(false);
    let disk = Mounted::new(&drive.file(), &folder.0.join("disk")).unwrap();
    let daemon = Daemon::start_in(&folder, &data, "", |_| ());
    let client = Client::new(socket(&folder));
    let (found, records) = client.read_back().unwrap().unwrap();
    assert_eq!(found, id);
    assert!(records.len() == 20 || records.len() == 21, "{} records", records.len());
    assert!((0..20_u64).zip(&records).all(|(n, record)| record.bytes.as_slice() == n.to_le_bytes()));
    assert_eq!(client.append(1, b"kept").unwrap(), records.len() as u64);
    assert!(daemon.terminate().success());
    assert_eq!(outbox::check(&data, root_key()).unwrap().problems, Vec::<String>::new());
    drop(disk);
}
