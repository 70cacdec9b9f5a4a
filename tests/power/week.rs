//! A week without a line, and then a poor one: consultations with pictures wait, and drain through a line of so many
//! bits a second while the next patient is in the cabin. `make soak` does all 2,000 of them over a line `WEEK_SPEED`
//! (default 40) times as fast as 1 Mbit/s, and says how long what went through it takes at 1 Mbit/s; nothing else is
//! scaled.

use crate::line::line;
use crate::shared::{Daemon, Folder, Peer, asked, every_file, socket, submission, until_within};
use outbox::{Body, Client, Upload};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Consultations in one run; `WEEK_CONSULTATIONS` asks for more.
const CONSULTATIONS: u64 = 30;
const PICTURES: usize = 2;
const PICTURE_BYTES: usize = 80_000;
const LINE_BITS_A_SECOND: u64 = 1_000_000;
/// The program's memory may differ by so much between the beginning of the draining and any later moment, in KiB.
const MEMORY_GROWTH_MAX_KIB: u64 = 24 * 1024;
/// A record is durable within this while the queue drains, for 99 of 100: the screen waits for it.
const APPEND_MAX: Duration = Duration::from_millis(400);

fn memory_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_week_of_queue_drains_over_a_poor_line_beside_the_next_patient_and_leaves_the_disk_empty() {
    let consultations = asked("WEEK_CONSULTATIONS", CONSULTATIONS);
    let speed = asked("WEEK_SPEED", 40);
    let (folder, peer) = (Folder::new(), Peer::start());
    let daemon = Daemon::start(&folder, "");
    let client = Client::new(socket(&folder));
    for n in 0..consultations {
        client.begin().unwrap();
        client.append(1, b"a reading").unwrap();
        let name = format!("visit-{n}");
        let mut uploads = Vec::new();
        for picture in 0..PICTURES {
            let content: Vec<u8> = (0..PICTURE_BYTES).map(|at| (at as u64 * 31 + n + picture as u64) as u8).collect();
            let blob = client.put_blob("picture", "image/jpeg", &content).unwrap();
            let path = format!("Binary/{name}-{picture}");
            uploads.push(Upload { path, content_type: "image/jpeg".into(), body: Body::Blob(blob) });
        }
        client.submit(submission(&name, "Sophie MARTIN", uploads)).unwrap();
    }
    assert_eq!(u64::from(client.status().unwrap().waiting), consultations);
    assert!(daemon.terminate().success());

    let behind = peer.base_url.trim_start_matches("http://").trim_end_matches("/fhir").to_owned();
    let (port, through) = line(behind, LINE_BITS_A_SECOND * speed);
    let began = Instant::now();
    let upload =
        format!("[upload]\nbase_url = \"http://127.0.0.1:{port}/fhir\"\nretry_first_ms = 10\nretry_max_s = 1\n");
    let daemon = Daemon::start(&folder, &upload);
    let started = began.elapsed();
    // The next patient is in the cabin all the while.
    client.begin().unwrap();
    let (mut appends, mut memory) = (Vec::new(), Vec::new());
    let began = Instant::now();
    until_within(Duration::from_secs(3600), "an empty queue", || {
        if appends.len() < 10_000 {
            let asked_at = Instant::now();
            client.append(1, &[7; 200]).unwrap();
            appends.push(asked_at.elapsed());
        }
        memory.push(memory_kib(daemon.id()));
        // What the server has is not this test's memory.
        peer.state().files.clear();
        std::thread::sleep(Duration::from_millis(20));
        client.status().unwrap().waiting == 0
    });
    let took = began.elapsed();
    appends.sort();
    let (median, late) = (appends[appends.len() / 2], appends[appends.len() * 99 / 100]);
    let first = memory[..memory.len() / 10 + 1].iter().max().unwrap();
    let most = memory.iter().max().unwrap();
    let bytes = through.load(Ordering::Relaxed);
    eprintln!(
        "{consultations} consultations, {PICTURES} pictures each: ready in {started:?} with the queue, {} MB through the \
         line in {took:?} at {speed} Mbit/s, which is {} minutes at 1 Mbit/s; memory {first} KiB at first, {most} KiB at \
         most; a record durable in {median:?} (99 of 100 in {late:?})",
        bytes / 1_000_000,
        bytes * 8 / LINE_BITS_A_SECOND / 60
    );
    let stored = peer.state().resources.iter().filter(|resource| resource["resourceType"] == "Encounter").count();
    assert_eq!(stored as u64, consultations);
    assert!(most - first < MEMORY_GROWTH_MAX_KIB, "memory grew from {first} to {most} KiB");
    assert!(late < APPEND_MAX, "99 of 100 records in {late:?}");
    client.discard().unwrap();
    assert!(daemon.terminate().success());
    for part in ["submissions", "journal"] {
        assert_eq!(every_file(&folder.data().join(part)), vec![]);
    }
    let left: u64 = every_file(&folder.data()).iter().map(|(_, bytes)| bytes.len() as u64).sum();
    // The receipts, and the index.
    let receipts = 64 * 1024 + consultations * 2048;
    assert!(left < receipts + 8 * 1024 * 1024 + consultations * 4096, "{left} bytes are left");
}
