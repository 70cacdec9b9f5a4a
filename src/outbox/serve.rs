//! The outbox's end of the socket. Each connection is read by a thread of its own; one writer does what they ask, in
//! order, and makes the records that came together durable together.

use crate::queue::Sending;
use crate::record::*;
use crate::store::Store;
use crate::wire::{self, Reply, Request};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{info, warn};

/// Most connections at a time: the cabin's, one that replaces it, and a technician's. Others are told so.
const CONNECTIONS_MAX: usize = 4;
/// Most records made durable by one sync.
const BATCH_MAX: usize = 64;
/// Longest wait for a cabin to take an answer; then its connection is closed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What the rest of the program is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something is to be sent.
    Queued,
    /// The desk's token is there, or another.
    Token,
    /// The disk failed: the program should end, and be started again.
    Failed,
}

struct Asked {
    request: Request,
    answer_to: UnixStream,
    done: Option<SyncSender<()>>,
}

/// The store, taken. A thread that panicked while it held the store may have left it half changed, so it is not used
/// again: the program ends and opens it anew.
pub fn take(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(|_| std::process::abort())
}

/// Serves the cabin until the program ends.
pub fn serve(
    listener: UnixListener,
    store: Arc<Mutex<Store>>,
    allow_uids: Vec<u32>,
    told: impl Fn(Change) + Send + 'static,
) -> io::Result<()> {
    let (ask, asked) = sync_channel(BATCH_MAX);
    thread::Builder::new().name("writer".into()).spawn(move || write(&store, &asked, told))?;
    let accept = move || {
        let open = Arc::new(AtomicUsize::new(0));
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => admit(stream, &ask, &allow_uids, &open),
                Err(error) => {
                    warn!("a connection could not be taken: {error}");
                    // Out of file descriptors, most likely, and the system sends no word when one is free.
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    };
    thread::Builder::new().name("listener".into()).spawn(accept)?;
    Ok(())
}

fn admit(stream: UnixStream, ask: &SyncSender<Asked>, allow_uids: &[u32], open: &Arc<AtomicUsize>) {
    if stream.set_write_timeout(Some(ANSWER_TIMEOUT)).is_err() {
        return;
    }
    // SAFETY: geteuid has no preconditions.
    let own = unsafe { libc::geteuid() };
    let uid = match peer_uid(&stream) {
        Ok(uid) if uid == own || uid == 0 || allow_uids.contains(&uid) => uid,
        Ok(uid) => {
            warn!("account {uid} is not in `allow_uids` and was refused");
            let detail = format!("account {uid} may not use this outbox: add it to `allow_uids`");
            return refuse_and_close(stream, Refused::new(Refusal::NotAllowed, detail));
        }
        Err(error) => return warn!("who connects cannot be known: {error}"),
    };
    if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
        open.fetch_sub(1, Ordering::SeqCst);
        let detail = format!("{CONNECTIONS_MAX} connections are open already: close one");
        return refuse_and_close(stream, Refused::new(Refusal::Busy, detail));
    }
    let (ask, counted) = (ask.clone(), open.clone());
    let read = move || {
        info!("account {uid} connected");
        let refused = listen(&stream, &ask);
        // The place is free before the other end can know that the connection is over.
        counted.fetch_sub(1, Ordering::SeqCst);
        if let Some(refused) = refused {
            warn!("a message was refused: {refused}");
            refuse_and_close(stream, refused);
        }
    };
    if let Err(error) = thread::Builder::new().name("connection".into()).spawn(read) {
        warn!("no thread for a connection: {error}");
        open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn refuse_and_close(mut stream: UnixStream, refused: Refused) {
    let _ = wire::send(&mut stream, &Reply::Refused(refused).encode());
    let _ = stream.shutdown(Shutdown::Write);
}

/// Reads a connection to its end; what it says last, if it was not ended by the other side.
fn listen(mut stream: &UnixStream, ask: &SyncSender<Asked>) -> Option<Refused> {
    let (done, is_done) = sync_channel(1);
    loop {
        let message = match wire::receive(&mut stream) {
            Ok(Some(message)) => message,
            Ok(None) => return None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Some(Refused::new(Refusal::Malformed, error.to_string()));
            }
            Err(_) => return None,
        };
        let request = match Request::decode(&message) {
            Ok(request) => request,
            Err(refused) => return Some(refused),
        };
        drop(message);
        let Ok(answer_to) = stream.try_clone() else { return None };
        // Records may follow each other and share a sync; anything larger waits its turn, so that memory stays bounded.
        let waits = !matches!(request, Request::Append { .. });
        let asked = Asked { request, answer_to, done: waits.then(|| done.clone()) };
        if ask.send(asked).is_err() || (waits && is_done.recv().is_err()) {
            return None;
        }
    }
}

fn write(store: &Mutex<Store>, asked: &Receiver<Asked>, told: impl Fn(Change)) {
    while let Ok(first) = asked.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = asked.try_recv()
        {
            batch.push(next);
        }
        let mut replies = Vec::with_capacity(batch.len());
        let (mut queued, mut token) = (false, false);
        let failed = {
            let mut store = take(store);
            let mut records = Vec::new();
            let mut waiting_for = Vec::new();
            for Asked { request, answer_to, done } in batch {
                if let Request::Append { consultation, record } = request {
                    records.push((consultation, record));
                    waiting_for.push(answer_to);
                    continue;
                }
                commit(&mut store, &mut records, &mut waiting_for, &mut replies);
                queued |= matches!(request, Request::Submit { .. } | Request::Park { .. } | Request::RetrySetAside);
                token |= matches!(request, Request::DeskToken { .. });
                replies.push((answer(&mut store, request), answer_to, done));
            }
            commit(&mut store, &mut records, &mut waiting_for, &mut replies);
            store.has_failed()
        };
        for (reply, mut answer_to, done) in replies {
            if wire::send(&mut answer_to, &reply.encode()).is_err() {
                let _ = answer_to.shutdown(Shutdown::Both);
            }
            if let Some(done) = done {
                let _ = done.send(());
            }
        }
        if failed {
            told(Change::Failed);
            continue;
        }
        if queued {
            told(Change::Queued);
        }
        if token {
            told(Change::Token);
        }
    }
}

type Answered = (Reply, UnixStream, Option<SyncSender<()>>);

fn commit(
    store: &mut Store,
    records: &mut Vec<(ConsultationId, Record)>,
    waiting_for: &mut Vec<UnixStream>,
    replies: &mut Vec<Answered>,
) {
    if records.is_empty() {
        return;
    }
    let answers = store.append(records);
    for (answer, answer_to) in answers.into_iter().zip(waiting_for.drain(..)) {
        replies.push((answer.map_or_else(Reply::Refused, Reply::Appended), answer_to, None));
    }
    records.clear();
}

/// Does what one request asks.
pub fn answer(store: &mut Store, request: Request) -> Reply {
    let done = |result: Result<(), Refused>| result.map_or_else(Reply::Refused, |()| Reply::Done);
    match request {
        Request::Begin(id) => done(store.begin(id)),
        Request::Append { consultation, record } => {
            let mut answers = store.append(&[(consultation, record)]);
            answers.remove(0).map_or_else(Reply::Refused, Reply::Appended)
        }
        Request::ReadBack(from) => match store.read_back(from) {
            Ok(None) => Reply::NothingOpen,
            Ok(Some((consultation, records, more))) => Reply::Page { consultation, records, more },
            Err(refused) => Reply::Refused(refused),
        },
        Request::PutBlob { consultation, id, blob } => done(store.put_blob(consultation, id, &blob)),
        Request::PutUpload { consultation, id, blob } => done(store.put_upload(consultation, id, &blob)),
        Request::DropBlob { consultation, id } => done(store.drop_blob(consultation, id)),
        Request::SetAside(id) => done(store.set_journal_of_open_aside(id)),
        Request::GetBlob { consultation, id } => {
            store.get_blob(consultation, id).map_or_else(Reply::Refused, Reply::Blob)
        }
        Request::Submit { consultation, uploads, bundle, proof } => {
            done(store.submit(consultation, &Sending { uploads, bundle, proof }))
        }
        Request::Park { consultation, uploads, bundle, proof, secret, until } => {
            done(store.park(consultation, &Sending { uploads, bundle, proof }, &secret, until))
        }
        Request::ForgiveTries => {
            store.forgive_tries();
            done(Ok(()))
        }
        Request::KeepLetter(letter) => done(store.keep_letter(letter.id, &letter.content)),
        Request::Letters => store.letters().map_or_else(Reply::Refused, Reply::Letters),
        Request::DropLetter(letter) => done(store.drop_letter(letter)),
        Request::Reopen(secret) => done(store.reopen(&secret, unix_seconds()).map(drop)),
        Request::Discard(id) => done(store.discard(id)),
        Request::Status => Reply::Status(store.status()),
        Request::Receipts => Reply::Receipts(store.receipts()),
        Request::DeskToken { base_url, token } => done(crate::desk_token::keep(&store.dir, &base_url, &token)),
        Request::RetrySetAside => store.retry_set_aside().map_or_else(Reply::Refused, Reply::Retried),
    }
}

/// The cabin's clock, in seconds since 1970.
pub fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `stream` is borrowed; the buffer is a ucred of the length given.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(credentials.uid) } else { Err(io::Error::last_os_error()) }
}
