//! `PART=outbox make bench`: records of 1 KiB made durable a second, by the outbox and by SQLite (WAL, synchronous=FULL),
//! on the same disk, one after the other in each round; medians, and their ratio.

use anyhow::{Context, Result, ensure};
use outbox::keys::RootKey;
use outbox::store::Store;
use outbox::wire::{self, Reply, Request};
use outbox::{Client, ConsultationId, Record};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const RECORD_BYTES: usize = 1024;
const WRITERS: usize = 32;
/// Records after which the next consultation begins: the journal of one is 16 MiB at most.
const RECORDS_A_CONSULTATION: u64 = 12_000;
const RESERVE: u64 = 1 << 20;

fn main() -> Result<()> {
    let quick = std::env::var("QUICK").is_ok_and(|quick| quick == "1");
    let (rounds, time) = if quick { (3, Duration::from_millis(500)) } else { (9, Duration::from_millis(1500)) };
    let program = std::env::current_exe()?;
    let folder = program.parent().context("a folder")?.join(format!("durable-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder, rounds, time);
    std::fs::remove_dir_all(&folder)?;
    let columns = measured?;
    let [flush, ours, sqlite, ours_many, sqlite_many] = columns.map(median);
    let out = &mut std::io::stdout().lock();
    writeln!(out, "Durable records of {RECORD_BYTES} bytes a second, medians of {rounds} rounds of {time:?} each,")?;
    writeln!(out, "interleaved on {}", folder.parent().context("a folder")?.display())?;
    writeln!(out, "  the disk: write and fdatasync in place     {flush:8.0}")?;
    writeln!(out, "  outbox, 1 writer                           {ours:8.0}")?;
    writeln!(out, "  SQLite WAL FULL, 1 writer                  {sqlite:8.0}")?;
    writeln!(out, "  outbox over its socket, {WRITERS} writers         {ours_many:8.0}")?;
    writeln!(out, "  SQLite WAL FULL, {WRITERS} connections            {sqlite_many:8.0}")?;
    let (one, many) = (ours / sqlite, ours_many / sqlite_many.max(sqlite));
    let met = |yes| if yes { "met" } else { "NOT MET" };
    writeln!(out, "ratio with 1 writer: {one:.2} (at least 1.0: {})", met(one >= 1.0))?;
    writeln!(
        out,
        "ratio with {WRITERS} writers, to the better of SQLite's two: {many:.2} (at least 5: {})",
        met(many >= 5.0)
    )?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(folder: &Path, rounds: usize, time: Duration) -> Result<[Vec<f64>; 5]> {
    let mut columns: [Vec<f64>; 5] = Default::default();
    for round in 0..rounds {
        let place = |name: &str| folder.join(format!("{name}-{round}"));
        columns[0].push(flushes(&place("flush"), time)?);
        columns[1].push(outbox_one(&place("one"), time)?);
        columns[2].push(sqlite(&place("sqlite-one"), 1, time)?);
        columns[3].push(outbox_many(&place("many"), time)?);
        columns[4].push(sqlite(&place("sqlite-many"), WRITERS, time)?);
    }
    Ok(columns)
}

/// What the disk itself gives: a block written in place, and a flush.
fn flushes(path: &Path, time: Duration) -> Result<f64> {
    let file = std::fs::File::create(path)?;
    file.write_all_at(&vec![0; 1 << 20], 0)?;
    file.sync_all()?;
    let (start, mut done) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        file.write_all_at(&[done as u8; RECORD_BYTES], done % 1024 * 1024)?;
        file.sync_data()?;
        done += 1;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

fn root() -> Result<RootKey> {
    RootKey::from_text_or_bytes(&[0x5a; 32]).context("a key")
}

fn outbox_one(dir: &PathBuf, time: Duration) -> Result<f64> {
    let mut store = Store::open(dir, root()?, RESERVE)?;
    let (start, mut paused, mut done) = (Instant::now(), Duration::ZERO, 0_u64);
    let mut open = None;
    while start.elapsed() - paused < time {
        let seq = done % RECORDS_A_CONSULTATION;
        if seq == 0 {
            // A new patient is not a record.
            let began = Instant::now();
            if let Some(id) = open.take() {
                store.discard(id)?;
            }
            let id = ConsultationId::random();
            store.begin(id)?;
            open = Some(id);
            paused += began.elapsed();
        }
        let id = open.context("a consultation")?;
        let record = Record { seq, kind: 1, bytes: Zeroizing::new(vec![done as u8; RECORD_BYTES]) };
        let answers = store.append(&[(id, record)]);
        ensure!(answers == [Ok(seq)], "{answers:?}");
        done += 1;
    }
    Ok(done as f64 / (start.elapsed() - paused).as_secs_f64())
}

/// Writers that each wait for their record, over one connection: the outbox makes what came together durable together.
fn outbox_many(dir: &PathBuf, time: Duration) -> Result<f64> {
    let store = Arc::new(Mutex::new(Store::open(dir, root()?, RESERVE)?));
    let socket = dir.with_extension("socket");
    outbox::serve::serve(UnixListener::bind(&socket)?, store, vec![], |_| ())?;
    let id = Client::new(&socket).begin()?;
    let stream = UnixStream::connect(&socket)?;
    let mut answers = stream.try_clone()?;
    let line = Mutex::new(Line { stream, next: 0, waiting: VecDeque::new() });
    let (ending, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<f64> {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(|| write(&line, id, &ending, &done))).collect();
        let line = &line;
        let read = scope.spawn(move || -> Result<()> {
            while let Some(message) = wire::receive(&mut answers)? {
                let Ok(Reply::Appended(_)) = Reply::decode(&message) else { anyhow::bail!("not appended") };
                let waiting = line.lock().map_err(|_| anyhow::anyhow!("a writer failed"))?.waiting.pop_front();
                waiting.context("an answer too many")?.send(())?;
            }
            Ok(())
        });
        while start.elapsed() < time && done.load(Ordering::Relaxed) < RECORDS_A_CONSULTATION {
            std::thread::sleep(Duration::from_millis(5));
        }
        let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        ending.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().map_err(|_| anyhow::anyhow!("a writer failed"))??;
        }
        let line = line.lock().map_err(|_| anyhow::anyhow!("a writer failed"))?;
        line.stream.shutdown(std::net::Shutdown::Both)?;
        drop(line);
        let _ = read.join();
        Ok(rate)
    })
}

struct Line {
    stream: UnixStream,
    next: u64,
    waiting: VecDeque<SyncSender<()>>,
}

fn write(line: &Mutex<Line>, consultation: ConsultationId, ending: &AtomicBool, done: &AtomicU64) -> Result<()> {
    let (kept, is_kept) = sync_channel(1);
    while !ending.load(Ordering::Relaxed) {
        {
            let mut line = line.lock().map_err(|_| anyhow::anyhow!("a writer failed"))?;
            let record = Record { seq: line.next, kind: 1, bytes: Zeroizing::new(vec![7; RECORD_BYTES]) };
            line.next += 1;
            line.waiting.push_back(kept.clone());
            wire::send(&mut line.stream, &Request::Append { consultation, record }.encode())?;
        }
        is_kept.recv()?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn sqlite(path: &Path, connections: usize, time: Duration) -> Result<f64> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open()?.execute("CREATE TABLE record (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)", [])?;
    let opened = (0..connections).map(|_| open()).collect::<rusqlite::Result<Vec<_>>>()?;
    let start = Instant::now();
    let insert = |connection: Connection| -> rusqlite::Result<u64> {
        let mut statement = connection.prepare("INSERT INTO record (bytes) VALUES (?1)")?;
        let mut done = 0;
        while start.elapsed() < time {
            statement.execute([vec![7_u8; RECORD_BYTES]])?;
            done += 1;
        }
        Ok(done)
    };
    let done = std::thread::scope(|scope| -> Result<u64> {
        let threads: Vec<_> = opened.into_iter().map(|connection| scope.spawn(|| insert(connection))).collect();
        let mut all = 0;
        for thread in threads {
            all += thread.join().map_err(|_| anyhow::anyhow!("a writer failed"))??;
        }
        Ok(all)
    })?;
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
