//! The real daemon and its client: killed, bothered, and ended.

mod shared;

use outbox::queue::Sending;
use outbox::store::Store;
use outbox::wire::{self, Reply, Request};
use outbox::*;
use shared::*;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroize::Zeroizing;

/// Kills in one run of the loop; `OUTBOX_KILLS` asks for more.
const KILLS: u64 = 60;

/// What the writer was promised.
#[derive(Default)]
struct Promised {
    /// Of the open consultation.
    records: Vec<Vec<u8>>,
    blobs: Vec<(BlobId, Vec<u8>)>,
    /// Bundles that were handed over, by consultation.
    submitted: BTreeMap<ConsultationId, Vec<u8>>,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_daemon_is_killed_at_any_moment() {
    let kills = asked("OUTBOX_KILLS", KILLS);
    let folder = Arc::new(Folder::new());
    let mut chance = Chance::new();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let ending = Arc::new(AtomicBool::new(false));
    let mut daemon = Daemon::start(&folder, "");
    let writer = {
        let (folder, acknowledged, ending) = (folder.clone(), acknowledged.clone(), ending.clone());
        let chance = Chance::seeded(chance.below(u64::MAX));
        std::thread::spawn(move || write(&folder, chance, &acknowledged, &ending))
    };
    for kill in 0..kills {
        let target = acknowledged.load(Ordering::SeqCst) + 1 + chance.below(25);
        until("acknowledgements", || acknowledged.load(Ordering::SeqCst) >= target || writer.is_finished());
        assert!(!writer.is_finished(), "the writer stopped before kill {kill}");
        // Not a wait for anything: it only makes the kill land at a random point of an operation.
        std::thread::sleep(Duration::from_micros(chance.below(4000)));
        daemon.kill();
        daemon = Daemon::start(&folder, "");
    }
    ending.store(true, Ordering::SeqCst);
    let promised = writer.join().unwrap();
    assert!(daemon.terminate().success());

    let report = check(&folder.data(), root_key()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let store = Store::open(&folder.data(), root_key(), 1 << 20).unwrap();
    let waiting = store.waiting();
    assert_eq!(waiting.len(), promised.submitted.len(), "as many submissions as were acknowledged");
    for (id, bundle) in &promised.submitted {
        let plan = store.plan(*id).unwrap();
        assert_eq!(store.bundle(*id, &plan).unwrap().as_slice(), bundle);
    }
    eprintln!("{kills} kills, {} acknowledged", acknowledged.load(Ordering::SeqCst));
}

/// Goes through consultations as a cabin does, checks after each broken connection that all it was promised is there.
fn write(folder: &Folder, mut chance: Chance, acknowledged: &AtomicU64, ending: &AtomicBool) -> Promised {
    let client = Client::new(socket(folder));
    let mut promised = Promised::default();
    let mut open = None;
    while !ending.load(Ordering::SeqCst) || open.is_some() {
        let Some(id) = open else {
            open = match client.begin() {
                Ok(id) => Some(id),
                Err(_) => recover(&client, &mut promised, None, &mut Vec::new()),
            };
            continue;
        };
        let choice = if ending.load(Ordering::SeqCst) { 0 } else { chance.below(30) };
        let mut pending: Vec<Vec<u8>> = Vec::new();
        let result = match choice {
            0 => {
                let bundle = chance.bytes(50_000);
                // Handed over or not, the answer may be lost: then the outbox says which.
                promised.submitted.insert(id, bundle.clone());
                let uploads = promised
                    .blobs
                    .iter()
                    .map(|(blob, _)| Upload {
                        path: format!("Binary/{blob}"),
                        content_type: "a/b".into(),
                        body: Body::Blob(*blob),
                    })
                    .collect();
                let submission =
                    Submission { uploads, bundle: Zeroizing::new(bundle), proof: "Encounter?identifier=x".into() };
                client.submit(submission).map(|()| open = None)
            }
            1 => client.discard().map(|()| open = None),
            2 | 3 if promised.blobs.len() < 3 => {
                let content = chance.bytes(150_000);
                client.put_blob("name", "a/b", &content).map(|blob| promised.blobs.push((blob, content)))
            }
            _ => {
                let content = chance.bytes(4000);
                pending.push(content.clone());
                client.append(1, &content).map(|seq| {
                    assert_eq!(seq as usize, promised.records.len());
                    promised.records.push(content);
                })
            }
        };
        match result {
            Ok(()) => {
                acknowledged.fetch_add(1, Ordering::SeqCst);
                if open.is_none() {
                    promised.records.clear();
                    promised.blobs.clear();
                }
            }
            Err(Error::Refused(refused)) => panic!("refused: {refused}"),
            Err(_) => {
                let was = Some((id, choice));
                open = recover(&client, &mut promised, was, &mut pending);
            }
        }
    }
    promised
}

/// After a broken connection: reads back, and compares with what was promised.
fn recover(
    client: &Client,
    promised: &mut Promised,
    was: Option<(ConsultationId, u64)>,
    pending: &mut Vec<Vec<u8>>,
) -> Option<ConsultationId> {
    let mut found = None;
    until("the daemon", || match client.read_back() {
        Ok(answer) => {
            found = Some(answer);
            true
        }
        Err(Error::Absent { .. } | Error::Lost(_)) => false,
        Err(other) => panic!("{other}"),
    });
    match (found.unwrap(), was) {
        // A begin whose answer was lost.
        (Some((id, records)), None) => {
            assert!(records.is_empty());
            Some(id)
        }
        (None, None) => None,
        (Some((id, records)), Some((expected, choice))) => {
            assert_eq!(id, expected);
            let records: Vec<_> = records.iter().map(|record| record.bytes.to_vec()).collect();
            if records.len() > promised.records.len() {
                promised.records.append(pending);
            }
            assert!(records == promised.records, "the records are those acknowledged, or one more");
            for (blob, content) in &promised.blobs {
                assert!(client.get_blob(*blob).unwrap().bytes.as_slice() == content.as_slice());
            }
            if choice == 0 {
                promised.submitted.remove(&id);
            }
            Some(id)
        }
        (None, Some((_, choice))) => {
            assert!(choice <= 1, "an open consultation was lost");
            promised.records.clear();
            promised.blobs.clear();
            None
        }
    }
}

#[test]
fn a_cabin_without_its_outbox_is_told_so_and_goes_on_when_it_comes() {
    let folder = Folder::new();
    let client = Client::new(socket(&folder));
    assert!(matches!(client.begin(), Err(Error::Absent { .. })));
    let daemon = Daemon::start(&folder, "");
    let id = client.begin().unwrap();
    assert_eq!(client.append(4, b"kept").unwrap(), 0);
    daemon.kill();
    assert!(matches!(client.append(4, b"not kept"), Err(Error::Absent { .. })));
    let _daemon = Daemon::start(&folder, "");
    assert_eq!(client.append(4, b"kept too").unwrap(), 1);
    // Another program, or the cabin started again.
    let again = Client::new(socket(&folder));
    let (found, records) = again.read_back().unwrap().unwrap();
    assert_eq!((found, records.len(), records[1].bytes.as_slice()), (id, 2, b"kept too".as_slice()));
    assert!(matches!(again.begin(), Err(Error::Refused(r)) if r.refusal == Refusal::AlreadyOpen));
    again.discard().unwrap();
    assert!(again.read_back().unwrap().is_none());
}

#[test]
fn nothing_of_another_consultation_can_be_read_or_written_over_the_socket() {
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "");
    let client = Client::new(socket(&folder));
    let first = client.begin().unwrap();
    client.append(1, b"first patient").unwrap();
    let blob = client.put_blob("photo", "image/jpeg", b"first patient's picture").unwrap();
    let bundle = Zeroizing::new(b"{}".to_vec());
    let submission = Submission { uploads: vec![], bundle, proof: "Encounter?identifier=1".into() };
    client.submit(submission).unwrap();
    let second = client.begin().unwrap();
    assert_ne!(first, second);
    let mut stream = UnixStream::connect(socket(&folder)).unwrap();
    let mut ask = |request: Request| {
        wire::send(&mut stream, &request.encode()).unwrap();
        Reply::decode(&wire::receive(&mut stream).unwrap().unwrap()).unwrap()
    };
    let refusal = |reply: Reply| match reply {
        Reply::Refused(refused) => refused.refusal,
        _ => panic!("it was answered"),
    };
    assert_eq!(refusal(ask(Request::GetBlob { consultation: first, id: blob })), Refusal::OtherConsultation);
    assert_eq!(refusal(ask(Request::GetBlob { consultation: second, id: blob })), Refusal::UnknownBlob);
    let record = Record { seq: 1, kind: 1, bytes: Zeroizing::new(b"x".to_vec()) };
    assert_eq!(refusal(ask(Request::Append { consultation: first, record })), Refusal::OtherConsultation);
    assert_eq!(refusal(ask(Request::Discard(first))), Refusal::OtherConsultation);
    assert_eq!(refusal(ask(Request::Begin(first))), Refusal::AlreadyOpen);
    match ask(Request::ReadBack(0)) {
        Reply::Page { consultation, records, more } => {
            assert_eq!((consultation, records.len(), more), (second, 0, false))
        }
        _ => panic!("the open consultation is read back"),
    }
    assert_eq!(client.status().unwrap().waiting, 1);
}

#[test]
fn garbage_on_the_socket_is_refused_in_words_and_hurts_nobody_else() {
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "");
    let client = Client::new(socket(&folder));
    client.begin().unwrap();
    let with_length = |message: &[u8]| [&(message.len() as u32).to_le_bytes()[..], message].concat();
    let garbage: [(Vec<u8>, Refusal); 6] = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Refusal::Malformed),
        (vec![0xff; 100], Refusal::Malformed),
        (with_length(b""), Refusal::Malformed),
        (with_length(&[wire::VERSION, 99, 3]), Refusal::Malformed),
        (with_length(&[wire::VERSION, 1, 3]), Refusal::Malformed),
        (with_length(&[wire::VERSION - 1, 1]), Refusal::Version),
    ];
    for (bytes, expected) in garbage {
        let mut stream = UnixStream::connect(socket(&folder)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes).unwrap();
        let reply = wire::receive(&mut stream).unwrap().unwrap();
        match Reply::decode(&reply).unwrap() {
            Reply::Refused(refused) => {
                assert_eq!(refused.refusal, expected);
                assert!(!refused.detail.is_empty());
            }
            _ => panic!("garbage was accepted"),
        }
        // Unread bytes may turn the end into a reset; either way it is over.
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    assert_eq!(client.append(1, b"still here").unwrap(), 0);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "");
    let clients: Vec<_> = (0..4).map(|_| Client::new(socket(&folder))).collect();
    for client in &clients {
        client.status().unwrap();
    }
    let one_more = Client::new(socket(&folder));
    assert!(matches!(one_more.status(), Err(Error::Refused(r)) if r.refusal == Refusal::Busy));
    drop(clients);
    until("a free place", || one_more.status().is_ok());
}

#[test]
fn many_writers_share_a_sync_and_each_has_its_own_answer() {
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "");
    let client = Client::new(socket(&folder));
    client.begin().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            let (client, seen) = (client.clone(), seen.clone());
            scope.spawn(move || {
                for n in 0..10_u8 {
                    let seq = client.append(writer, &[n]).unwrap();
                    seen.lock().unwrap().push((seq, writer, n));
                }
            });
        }
    });
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let (_, records) = client.read_back().unwrap().unwrap();
    let kept: Vec<_> = records.iter().map(|record| (record.seq, record.kind, record.bytes[0])).collect();
    assert_eq!(kept, seen);
}

#[test]
fn a_daemon_told_to_end_ends_well_and_leaves_no_socket() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder, "");
    Client::new(socket(&folder)).begin().unwrap();
    assert!(daemon.terminate().success());
    assert!(!socket(&folder).exists());
    assert!(Store::open(&folder.data(), root_key(), 1 << 20).unwrap().status().open.is_some());
}

#[test]
fn without_a_server_submissions_wait_and_the_status_says_why() {
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "");
    let client = Client::new(socket(&folder));
    client.begin().unwrap();
    client.submit(submission("a", "patient", vec![])).unwrap();
    let status = client.status().unwrap();
    assert_eq!((status.open, status.waiting, status.set_aside, status.last_receipt_at), (None, 1, 0, None));
    assert_eq!(status.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [FaultCode::NoServer]);
    assert_eq!(status.disk_needed_bytes, 1 << 20);
}

#[test]
fn a_mistake_in_the_configuration_or_a_missing_key_is_said_before_anything_is_touched() {
    let folder = Folder::new();
    let config = folder.0.join("bad.toml");
    let run = |text: String, dev_key: bool| {
        std::fs::write(&config, text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cabin-outbox"));
        command.arg("--config").arg(&config).env_remove("CREDENTIALS_DIRECTORY");
        if dev_key {
            command.arg("--dev-key");
        }
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let base = format!("dir = {:?}\nsocket = {:?}\n", folder.data(), socket(&folder));
    let said = run(format!("{base}reserve = 1\n"), false);
    assert!(said.contains("bad.toml:3: unknown field `reserve`"), "{said}");
    let said = run(base.clone(), false);
    assert!(said.contains("LoadCredentialEncrypted=outbox-key"), "{said}");
    let key = folder.0.join("open-key");
    std::fs::write(&key, [1; 32]).unwrap();
    std::process::Command::new("chmod").arg("644").arg(&key).status().unwrap();
    let said = run(format!("{base}key = {key:?}\n"), false);
    assert!(said.contains("chmod 600"), "{said}");
    assert!(!folder.data().exists());
    let said = run(format!("{base}[upload]\nbase_url = \"ftp://x/\"\n"), true);
    assert!(said.contains("bad.toml:4: `base_url`"), "{said}");
}

#[test]
fn authorities_that_cannot_be_used_keep_nobody_from_being_received_and_are_taken_up_once_they_can() {
    let (folder, peer) = (Folder::new(), Peer::start());
    let ca = folder.0.join("ca.pem");
    let _daemon = Daemon::start(&folder, &format!("{}ca_file = {ca:?}\n", peer.upload()));
    let client = Client::new(socket(&folder));
    client.begin().unwrap();
    client.append(1, b"kept").unwrap();
    client.submit(submission("a", "patient", vec![])).unwrap();
    let says = |client: &Client, what: &str| {
        let faults = client.status().unwrap().faults;
        faults.iter().any(|fault| fault.code == FaultCode::NoServer && fault.detail.contains(what))
    };
    until("the file that is not there to be named", || says(&client, "ca.pem"));
    std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n").unwrap();
    until("the damage to be said", || says(&client, "damaged"));
    assert!(peer.state().asked.is_empty());
    let good = rcgen::generate_simple_self_signed(vec!["fhir.example".into()]).unwrap();
    std::fs::write(folder.0.join("good"), good.cert.pem()).unwrap();
    std::fs::rename(folder.0.join("good"), &ca).unwrap();
    until("the proof", || client.status().unwrap().waiting == 0);
    assert_eq!(client.status().unwrap().faults, []);
}

#[test]
fn the_desks_token_is_shown_to_the_server_that_it_was_given_for_and_to_no_other() {
    let (folder, first, next) = (Folder::new(), Peer::start(), Peer::start());
    let daemon = Daemon::start(&folder, &first.upload());
    let client = Client::new(socket(&folder));
    let send = |client: &Client, name: &str| {
        client.begin().unwrap();
        client.submit(submission(name, "patient", vec![])).unwrap();
        until("the proof", || client.status().unwrap().waiting == 0);
    };
    // The cabin joins another desk before the outbox is started with that desk's server.
    client.desk_token(&next.base_url, "u1.next").unwrap();
    send(&client, "a");
    assert!(first.state().tokens.is_empty());
    client.desk_token(&format!("{}/", first.base_url), "u1.first").unwrap();
    send(&client, "b");
    let shown = first.state().tokens.clone();
    assert!(!shown.is_empty() && shown.iter().all(|token| token == "Bearer u1.first"), "{shown:?}");
    assert!(matches!(client.desk_token("nowhere", "t"), Err(Error::Refused(r)) if r.refusal == Refusal::Malformed));
    assert!(daemon.terminate().success());

    let _daemon = Daemon::start(&folder, &next.upload());
    send(&client, "c");
    let shown = next.state().tokens.clone();
    assert!(!shown.is_empty() && shown.iter().all(|token| token == "Bearer u1.next"), "{shown:?}");
    assert!(!every_file(&folder.data()).iter().any(|(_, bytes)| holds(bytes, b"u1.first")), "it is destroyed");
}

/// A Contec ECG90A records ten minutes in 15.4 MB, of which DICOM and EDF+ make 10.3 MB each in base64.
#[test]
fn three_of_the_largest_recordings_are_submitted_however_often_it_failed_before() {
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "");
    // Unoptimised, on a machine that builds meanwhile, each answer takes its time.
    let client = Client::with_patience(socket(&folder), Duration::from_secs(600));
    client.begin().unwrap();
    for recording in 0..3u8 {
        client.put_blob("ecg", "application/x-telecabine-ecg", &vec![recording; 15_360_019]).unwrap();
    }
    let attempt = |number: u8, proof: &str| {
        let file = |path: String, bytes| {
            let body = Body::Bytes(Zeroizing::new(bytes));
            Upload { path, content_type: "application/fhir+json".into(), body }
        };
        let mut uploads: Vec<_> = (0..6u8).map(|n| file(format!("Binary/{n}"), vec![n; 10_300_000])).collect();
        // The sheet says when it was made: each attempt makes another.
        uploads.push(file("Binary/sheet".into(), vec![number; 60_000]));
        client.submit(Submission { uploads, bundle: Zeroizing::new(b"{}".to_vec()), proof: proof.into() })
    };
    for number in 0..2 {
        let Err(Error::Refused(refused)) = attempt(number, "//elsewhere/") else { panic!("a proof elsewhere") };
        assert_eq!(refused.refusal, Refusal::Malformed, "{refused}");
    }
    attempt(9, "Encounter?identifier=1").unwrap();
    let status = client.status().unwrap();
    assert_eq!((status.open, status.waiting), (None, 1));
}

/// `Sending` is what the daemon makes of a submission; its limits hold before anything is written.
#[test]
fn a_submission_over_the_limits_is_refused() {
    let bundle = Zeroizing::new(vec![0; BUNDLE_BYTES_MAX + 1]);
    let sending = Sending { uploads: vec![], bundle, proof: "Encounter?identifier=1".into() };
    assert_eq!(sending.validate().unwrap_err().refusal, Refusal::TooLarge);
}

#[test]
fn an_account_that_is_not_allowed_is_refused_by_its_number() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!(
            "SKIPPED an_account_that_is_not_allowed_is_refused_by_its_number: only root can connect as another account"
        );
        return;
    }
    let folder = Folder::new();
    let _daemon = Daemon::start(&folder, "allow_uids = [65533]\n");
    let as_account = |uid: libc::uid_t| {
        let client = Client::new(socket(&folder));
        std::thread::scope(|scope| {
            let connect = move || {
                // SAFETY: the raw call changes this thread alone, which ends with this closure.
                assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) }, 0);
                client.status()
            };
            scope.spawn(connect).join().unwrap()
        })
    };
    match as_account(65534) {
        Err(Error::Refused(refused)) => {
            assert_eq!(refused.refusal, Refusal::NotAllowed);
            assert!(refused.detail.contains("65534"), "{refused}");
        }
        other => panic!("{other:?}"),
    }
    assert!(as_account(65533).is_ok());
}

/// The kernel gives the files of `/proc/PID` to root where a program refuses to be looked into (proc(5)).
#[test]
fn its_account_can_read_the_memory_of_an_outbox_in_development_and_not_of_a_real_one() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    // SAFETY: geteuid has no preconditions.
    let own = unsafe { libc::geteuid() };
    // Root may read everything, so root runs it as somebody else: then the owner of the files tells.
    let account = if own == 0 { 65534 } else { own };
    for dev_key in [true, false] {
        let folder = Folder::new();
        // The build folder may be closed to that account.
        let program = folder.0.join("cabin-outbox");
        std::fs::copy(env!("CARGO_BIN_EXE_cabin-outbox"), &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, key) = (folder.0.join("outbox.toml"), folder.0.join("key"));
        let dir =
            format!("dir = {:?}\nsocket = {:?}\nkey = {key:?}\nreserve_mib = 1\n", folder.data(), socket(&folder));
        std::fs::write(&config, dir).unwrap();
        if !dev_key {
            std::fs::write(&key, [0x5a; 32]).unwrap();
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
            chown(&key, Some(account), None).unwrap();
        }
        chown(&folder.0, Some(account), None).unwrap();
        let mut command = std::process::Command::new(&program);
        command.arg("--config").arg(&config).args(dev_key.then_some("--dev-key"));
        if own == 0 {
            command.uid(account).gid(account);
        }
        let daemon = Daemon::start_command(&folder, command);
        let of = |file: &str| format!("/proc/{}/{file}", daemon.id());
        let owner = std::fs::metadata(of("mem")).unwrap().uid();
        assert_eq!(owner, if dev_key { account } else { 0 }, "dev_key: {dev_key}");
        if own == 0 || dev_key {
            let limits = std::fs::read_to_string(of("limits")).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
            let filter = std::fs::read_to_string(of("coredump_filter")).unwrap();
            assert_eq!(filter.trim(), "00000000");
        }
    }
}

#[test]
fn systemd_is_told_that_the_outbox_is_alive_each_time_its_disk_kept_something() {
    let folder = Folder::new();
    let daemon = Daemon::start_in(&folder, &folder.data(), "", |command| {
        command.env("WATCHDOG_USEC", "30000").env_remove("WATCHDOG_PID");
    });
    let count = || u64::from_le_bytes(std::fs::read(folder.data().join("probe")).unwrap()[..].try_into().unwrap());
    for times in 1..=3 {
        assert_eq!(daemon.told().as_deref(), Some("WATCHDOG=1"));
        assert!(count() >= times, "nothing was written before it was said the time number {times}");
    }
    assert!(daemon.terminate().success());
}

#[test]
fn an_outbox_whose_folder_was_moved_away_ends_and_in_its_place_another_is_known_by_its_name() {
    let folder = Folder::new();
    let often = |command: &mut Command| {
        command.env("WATCHDOG_USEC", "30000").env_remove("WATCHDOG_PID");
    };
    let daemon = Daemon::start_in(&folder, &folder.data(), "", often);
    let client = Client::new(socket(&folder));
    let name = client.status().unwrap().name;
    assert!(!name.is_nil());
    std::fs::rename(folder.data(), folder.0.join("elsewhere")).unwrap();
    assert!(!daemon.ended().success(), "it went on where nobody would look for what it keeps");

    let another = Daemon::start_in(&folder, &folder.data(), "", often);
    assert_ne!(client.status().unwrap().name, name);
    assert!(another.terminate().success());

    std::fs::remove_dir_all(folder.data()).unwrap();
    std::fs::rename(folder.0.join("elsewhere"), folder.data()).unwrap();
    let unwatched = |command: &mut Command| {
        command.env_remove("WATCHDOG_USEC");
    };
    let back = Daemon::start_in(&folder, &folder.data(), "", unwatched);
    assert_eq!(client.status().unwrap().name, name);
    std::fs::rename(folder.data(), folder.0.join("elsewhere")).unwrap();
    assert!(!back.ended().success(), "it went on where systemd waits for no word");
}
