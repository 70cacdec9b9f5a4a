//! Power cuts: a real `cabin-outbox` on a real ext4, on a drive that keeps every write. Hundreds of times the disk is
//! rebuilt as a power cut would have left it, mounted, opened, and compared with what had been acknowledged by then.

use crate::drive::{self, Drive, Event, Kept, Mounted};
use crate::promises::{Handed, Parked, Promise, Promises, Verdict};
use crate::shared::{Chance, Daemon, Folder, Peer, asked, bundle, root_key, socket, until};
use outbox::store::{Store, StoreError};
use outbox::{BlobId, Body, Client, ConsultationId, LetterId, Record, Submission, Upload};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

/// States in one run; `OUTBOX_POWER_CUTS` asks for more.
const STATES: u64 = 300;
/// States with a build from which syncing was taken out.
const STATES_UNSYNCED: u64 = 40;
/// Size of the disk, in MiB.
const DISK_MIB: u64 = 64;

/// What of syncing the program under test really does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syncing {
    AsBuilt,
    /// `fdatasync` says that it is done and does nothing: what the log's own sync becomes where it is forgotten.
    NoDataSync,
    /// Nothing syncs anything.
    None,
}

/// The disk at the beginning, all that reached the drive, and what was promised meanwhile.
struct Recorded {
    before: Vec<u8>,
    events: Vec<Event>,
    promises: Promises,
}

#[test]
fn nothing_acknowledged_is_lost_in_any_state_that_a_power_cut_leaves() {
    let Some(()) = drive::mounts_or_skip("nothing_acknowledged_is_lost_in_any_state_that_a_power_cut_leaves") else {
        return;
    };
    let states = asked("OUTBOX_POWER_CUTS", STATES);
    let mut chance = Chance::new();
    let mut total = Tally::default();
    // A new recording now and then: each sees other orders of writes.
    let recordings = states.div_ceil(300);
    for _ in 0..recordings {
        let recorded = record(Syncing::AsBuilt, &mut chance, 40);
        total.add(crash(&recorded, states / recordings, &mut chance));
    }
    total.print("as built");
    assert_eq!(total.failures, Vec::<String>::new());
    assert!(total.states.values().sum::<usize>() as u64 >= states / recordings * recordings);
    assert!(total.acknowledged > 1000, "the states hold acknowledgements to lose");
}

#[test]
fn the_same_power_cuts_catch_a_program_that_does_not_sync() {
    let Some(()) = drive::mounts_or_skip("the_same_power_cuts_catch_a_program_that_does_not_sync") else { return };
    let mut chance = Chance::new();
    for (syncing, name) in [(Syncing::NoDataSync, "without fdatasync"), (Syncing::None, "without any sync")] {
        let recorded = record(syncing, &mut chance, 15);
        let tally = crash(&recorded, STATES_UNSYNCED, &mut chance);
        tally.print(name);
        assert!(tally.failures.len() as u64 > STATES_UNSYNCED / 4, "{name}: {} states", tally.failures.len());
    }
}

/// A cabin's days in short: consultations with records and pictures, handed over or discarded, sent to a server that cuts
/// every second answer, with a `kill -9` and an orderly end between.
fn record(syncing: Syncing, chance: &mut Chance, operations: u64) -> Recorded {
    let folder = Folder::new();
    let before = drive::formatted(&folder.0, DISK_MIB);
    let drive = Drive::start(&folder.0.join("fuse"), before.clone()).unwrap();
    let disk = Mounted::new(&drive.file(), &folder.0.join("disk")).unwrap();
    let data = disk.dir().join("outbox");
    let mut promises = Promises::default();
    let mut cabin = Cabin::new(&folder);
    let start = |upload: &str| Daemon::start_in(&folder, &data, upload, |command| without(command, syncing));

    // Nobody to send to: the queue grows.
    let daemon = start("");
    cabin.work(operations, &drive, chance, &mut promises);
    daemon.kill();
    // The queue drains while others are received.
    let peer = Peer::start();
    peer.state().cut_every_second = true;
    let daemon = start(&peer.upload());
    cabin.work(operations, &drive, chance, &mut promises);
    assert!(daemon.terminate().success());
    let daemon = start(&peer.upload());
    cabin.work(operations, &drive, chance, &mut promises);
    if syncing == Syncing::AsBuilt {
        until("an empty queue", || cabin.client.status().is_ok_and(|status| status.waiting == 0));
        cabin.look_at_receipts(&drive, &mut promises);
    }
    daemon.kill();
    let events = drive.events();
    drop(disk);
    Recorded { before, events, promises }
}

/// Takes syncing out of the program, from outside: the kernel answers those calls with success and does nothing
/// (seccomp(2), `SECCOMP_RET_ERRNO` with 0).
fn without(command: &mut Command, syncing: Syncing) {
    let numbers: &[libc::c_long] = match syncing {
        Syncing::AsBuilt => return,
        Syncing::NoDataSync => &[libc::SYS_fdatasync],
        Syncing::None => &[
            libc::SYS_fdatasync,
            libc::SYS_fsync,
            libc::SYS_sync_file_range,
            libc::SYS_msync,
            libc::SYS_sync,
            libc::SYS_syncfs,
        ],
    };
    let op = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    // The first field of seccomp_data is the number of the call.
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for number in numbers {
        program.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *number as u32, 0, 1));
        program.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO, 0, 0));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0));
    let install = move || {
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        // SAFETY: prctl with these arguments reads the filter, which lives during the calls, and nothing else.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// The cabin's end, which remembers what it was promised.
struct Cabin {
    client: Client,
    open: Option<ConsultationId>,
    blobs: Vec<(BlobId, Vec<u8>)>,
    records: Vec<Vec<u8>>,
    /// Patients who will come back.
    parked: Vec<(ConsultationId, Parked)>,
    letters: Vec<LetterId>,
}

impl Cabin {
    fn new(folder: &Folder) -> Cabin {
        Cabin {
            client: Client::new(socket(folder)),
            open: None,
            blobs: Vec::new(),
            records: Vec::new(),
            parked: Vec::new(),
            letters: Vec::new(),
        }
    }

    fn work(&mut self, operations: u64, drive: &Drive, chance: &mut Chance, promises: &mut Promises) {
        for _ in 0..operations {
            let promise = self.one(chance);
            promises.push(drive.position(), promise);
            if chance.below(8) == 0 {
                self.look_at_receipts(drive, promises);
            }
        }
    }

    fn one(&mut self, chance: &mut Chance) -> Promise {
        match chance.below(12) {
            0 if self.letters.len() < 8 => {
                let (letter, content) = (LetterId::random(), chance.bytes(2000));
                self.client.keep_letter(letter, &content).unwrap();
                self.letters.push(letter);
                return Promise::Wrote(letter, content);
            }
            // The desk has one, or did not take it.
            1 if !self.letters.is_empty() => {
                let at = chance.below(self.letters.len() as u64) as usize;
                if chance.below(2) == 0 {
                    let (letter, content) = (self.letters[at], chance.bytes(2000));
                    self.client.keep_letter(letter, &content).unwrap();
                    return Promise::Wrote(letter, content);
                }
                let letter = self.letters.swap_remove(at);
                self.client.drop_letter(letter).unwrap();
                return Promise::LetterSpent(letter);
            }
            _ => {}
        }
        let Some(id) = self.open else {
            if chance.below(2) == 0
                && let Some((id, parked)) = self.parked.pop()
            {
                self.client.reopen(&parked.secret).unwrap();
                assert_eq!(self.client.read_back().unwrap().unwrap().0, id);
                (self.open, self.blobs, self.records) = (Some(id), parked.blobs, parked.records);
                return Promise::Reopened(id);
            }
            let id = self.client.begin().unwrap();
            self.open = Some(id);
            self.blobs.clear();
            self.records.clear();
            return Promise::Begun(id);
        };
        match chance.below(16) {
            0 | 1 if !self.records.is_empty() => {
                let (submission, handed) = self.submission(id, chance);
                self.client.submit(submission).unwrap();
                self.open = None;
                Promise::Submitted(id, handed)
            }
            5 | 6 if !self.records.is_empty() => {
                let (submission, handed) = self.submission(id, chance);
                let secret = chance.below(u64::MAX >> 8).to_le_bytes().to_vec();
                let is_over = chance.below(3) == 0;
                let tomorrow = outbox::serve::unix_seconds() + 24 * 3600;
                self.client.park(submission, &secret, if is_over { 0 } else { tomorrow }).unwrap();
                self.open = None;
                let (records, blobs) = (self.records.clone(), self.blobs.clone());
                let parked = Parked { secret, handed, is_over, records, blobs };
                if !is_over {
                    self.parked.push((id, parked.clone()));
                }
                Promise::Parked(id, parked)
            }
            2 => {
                self.client.discard().unwrap();
                self.open = None;
                Promise::Discarded(id)
            }
            3 | 4 if self.blobs.len() < 2 => {
                let content = chance.bytes(100_000);
                let blob = self.client.put_blob("picture", "image/jpeg", &content).unwrap();
                self.blobs.push((blob, content.clone()));
                Promise::Blob(blob, content)
            }
            _ => {
                let content = chance.bytes(6000);
                self.client.append(1, &content).unwrap();
                self.records.push(content.clone());
                Promise::Appended(content)
            }
        }
    }

    fn submission(&self, id: ConsultationId, chance: &mut Chance) -> (Submission, Handed) {
        let name = id.to_string();
        let mut files = BTreeMap::new();
        let mut uploads = Vec::new();
        for (blob, content) in &self.blobs {
            let path = format!("Binary/{blob}");
            files.insert(path.clone(), content.clone());
            uploads.push(Upload { path, content_type: "image/jpeg".into(), body: Body::Blob(*blob) });
        }
        let sheet = chance.bytes(20_000);
        let path = format!("Binary/{name}");
        files.insert(path.clone(), sheet.clone());
        let body = Body::Bytes(Zeroizing::new(sheet));
        uploads.push(Upload { path, content_type: "application/pdf".into(), body });
        let bundle = bundle(&name, "Sophie MARTIN");
        let proof = format!("Encounter?identifier={name}");
        let submission = Submission { uploads, bundle: Zeroizing::new(bundle.clone()), proof };
        (submission, Handed { bundle, files })
    }

    fn look_at_receipts(&self, drive: &Drive, promises: &mut Promises) {
        let receipts = self.client.receipts().unwrap();
        let proved: BTreeSet<_> = receipts.iter().map(|receipt| receipt.consultation).collect();
        promises.push(drive.position(), Promise::Proved(proved));
    }
}

/// How all states came out.
#[derive(Default)]
struct Tally {
    states: BTreeMap<Kept, usize>,
    acknowledged: usize,
    lost: usize,
    unreadable: usize,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        for (kept, states) in other.states {
            *self.states.entry(kept).or_default() += states;
        }
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.unreadable += other.unreadable;
        self.failures.extend(other.failures);
    }

    fn print(&self, what: &str) {
        let states: usize = self.states.values().sum();
        eprintln!(
            "{what}: {states} states after a power cut {:?}, {} acknowledgements looked at; states that lost one: {}; \
             outboxes unreadable: {}",
            self.states, self.acknowledged, self.lost, self.unreadable
        );
        for failure in self.failures.iter().take(3) {
            eprintln!("  {failure}");
        }
    }
}

/// Opens so many states of a recording.
fn crash(recorded: &Recorded, states: u64, chance: &mut Chance) -> Tally {
    let next = AtomicUsize::new(0);
    let kinds = [Kept::All, Kept::Flushed, Kept::Random];
    let mut cuts: Vec<(usize, Kept, Chance)> = (0..states)
        .map(|n| {
            let cut = chance.below(recorded.events.len() as u64 + 1) as usize;
            (cut, kinds[n as usize % 3], Chance::seeded(chance.below(u64::MAX >> 8)))
        })
        .collect();
    cuts.sort_by_key(|(cut, _, _)| *cut);
    let folder = Folder::new();
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { memory.join(folder.0.file_name().unwrap()) } else { folder.0.join("scratch") };
    std::fs::create_dir_all(&scratch).unwrap();
    let look = |worker: usize| {
        let place = scratch.join(worker.to_string());
        let mut tally = Tally::default();
        while let Some((cut, kept, chance)) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
            *tally.states.entry(*kept).or_default() += 1;
            match state(recorded, *cut, *kept, chance.clone(), &place) {
                Verdict::Kept(acknowledged) => tally.acknowledged += acknowledged,
                Verdict::Lost(what) => {
                    tally.lost += 1;
                    tally.failures.push(format!("cut at {cut}, {kept:?}: {what}"));
                }
                Verdict::Unreadable(what) => {
                    tally.unreadable += 1;
                    tally.failures.push(format!("cut at {cut}, {kept:?}: unreadable: {what}"));
                }
            }
        }
        tally
    };
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|worker| scope.spawn(move || look(worker))).collect();
        workers.into_iter().for_each(|worker| total.add(worker.join().unwrap()));
    });
    std::fs::remove_dir_all(&scratch).unwrap();
    total
}

/// One state: the disk as it was left, mounted, opened, compared, used once more and checked.
fn state(recorded: &Recorded, cut: usize, kept: Kept, mut chance: Chance, place: &Path) -> Verdict {
    let (image, dir) = (place.with_extension("image"), place.with_extension("mount"));
    drive::write_image(&image, &drive::after_power_cut(&recorded.before, &recorded.events, cut, kept, &mut chance));
    let disk = match Mounted::new(&image, &dir) {
        Ok(disk) => disk,
        Err(error) => return Verdict::Unreadable(format!("the disk does not mount: {error}")),
    };
    let data = disk.dir().join("outbox");
    let mut store = match Store::open(&data, root_key(), 1 << 20) {
        Ok(store) => store,
        Err(error) => return Verdict::Unreadable(error.to_string()),
    };
    let verdict = recorded.promises.verify(cut, &mut store);
    if !matches!(verdict, Verdict::Kept(_)) {
        return verdict;
    }
    // It goes on from there.
    if let Some((id, records, _)) = store.read_back(u64::MAX).unwrap() {
        assert!(records.is_empty());
        let mut seq = 0;
        while let Some((_, page, more)) = store.read_back(seq).unwrap() {
            seq += page.len() as u64;
            if !more {
                break;
            }
        }
        let record = Record { seq, kind: 1, bytes: Zeroizing::new(b"after the power cut".to_vec()) };
        if let Err(refused) = &store.append(&[(id, record)])[0] {
            return Verdict::Unreadable(format!("the open consultation takes no record: {refused}"));
        }
    } else if let Err(refused) = store.begin(ConsultationId::random()) {
        return Verdict::Unreadable(format!("no consultation begins: {refused}"));
    }
    drop(store);
    // The other worker's `mount`, between fork and exec, holds a copy of every open file, and so of the lock.
    let mut checked = outbox::check(&data, root_key());
    until("the lock", || {
        if matches!(checked, Err(StoreError::InUse(_))) {
            checked = outbox::check(&data, root_key());
        }
        !matches!(checked, Err(StoreError::InUse(_)))
    });
    match checked {
        Ok(report) if report.problems.is_empty() => verdict,
        Ok(report) => Verdict::Lost(report.problems.join("; ")),
        Err(error) => Verdict::Unreadable(error.to_string()),
    }
}
