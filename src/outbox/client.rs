//! The cabin's end of the outbox: one connection to `cabin-outbox` over its Unix socket.
//!
//! Calls block until the outbox answers, which for a record means until it is durable; a program with an asynchronous
//! run loop calls them from a blocking task ([`Client`] is cheap to clone, and its clones share the connection). When
//! the connection breaks, a call is repeated once on a new one: every request can be repeated without changing anything.

use crate::record::*;
use crate::wire::{self, Reply, Request, UploadOf};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest wait for an answer. A disk that needs longer than this to sync is a disk to replace.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `cabin-outbox` is not running, or not at this socket.
    #[error("cabin-outbox does not answer at {}: start it, or check `socket` in its configuration ({cause})", socket.display())]
    Absent {
        /// Where it was looked for.
        socket: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The connection broke, twice. Whether the request was done is unknown: repeat it, or read back.
    #[error("the connection to cabin-outbox broke ({0}): it may be restarting")]
    Lost(io::Error),
    /// The outbox answered that it will not.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What answers is not `cabin-outbox` of this release.
    #[error("what answers at the outbox's socket is not cabin-outbox of this release")]
    NotOutbox,
}

/// A connection to the outbox. Clones share it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    socket: PathBuf,
    patience: Duration,
    stream: Option<UnixStream>,
    /// The consultation this client began or read back, and the position of its next record.
    open: Option<(ConsultationId, u64)>,
}

impl Client {
    /// A client for the outbox at `socket`. Nothing is connected until the first call, so that a cabin starts, and says
    /// what is missing, without its outbox.
    pub fn new(socket: impl AsRef<Path>) -> Client {
        Client::with_patience(socket, ANSWER_TIMEOUT)
    }

    /// A client that waits at most twice `patience` for an answer (a broken connection is tried once again), for a
    /// caller that keeps a person waiting. Above zero. For a submission it waits [`ANSWER_TIMEOUT`] at least.
    pub fn with_patience(socket: impl AsRef<Path>, patience: Duration) -> Client {
        let socket = socket.as_ref().to_path_buf();
        Client { shared: Arc::new(Mutex::new(Shared { socket, patience, stream: None, open: None })) }
    }

    /// Opens a consultation and reserves room for it on the disk. Refused with [`Refusal::DiskShort`] when there is no
    /// room and with [`Refusal::AlreadyOpen`] when one is open.
    pub fn begin(&self) -> Result<ConsultationId, Error> {
        let mut shared = self.lock();
        let id = ConsultationId::random();
        shared.expect_done(&Request::Begin(id))?;
        shared.open = Some((id, 0));
        Ok(id)
    }

    /// Adds a record to the open consultation and returns its position once it is durable. `kind` is below
    /// [`KIND_RESERVED`], `bytes` at most [`RECORD_BYTES_MAX`].
    pub fn append(&self, kind: u8, bytes: &[u8]) -> Result<u64, Error> {
        let mut shared = self.lock();
        let (consultation, seq) = shared.open_or_refuse()?;
        let record = Record { seq, kind, bytes: Zeroizing::new(bytes.to_vec()) };
        match shared.call(&Request::Append { consultation, record })? {
            Reply::Appended(at) if at == seq => {
                shared.open = Some((consultation, seq + 1));
                Ok(seq)
            }
            other => Err(unexpected(other)),
        }
    }

    /// The single open consultation with all its records, after a restart of the cabin; `None` when there is none.
    pub fn read_back(&self) -> Result<Option<(ConsultationId, Vec<Record>)>, Error> {
        let mut shared = self.lock();
        let mut all: Vec<Record> = Vec::new();
        let mut expected = None;
        loop {
            match shared.call(&Request::ReadBack(all.len() as u64))? {
                Reply::NothingOpen if expected.is_none() => {
                    shared.open = None;
                    return Ok(None);
                }
                Reply::Page { consultation, records, more } if expected.is_none_or(|id| id == consultation) => {
                    expected = Some(consultation);
                    let progress = !records.is_empty();
                    all.extend(records);
                    if !more {
                        shared.open = Some((consultation, all.len() as u64));
                        return Ok(Some((consultation, all)));
                    }
                    if !progress {
                        return Err(Error::NotOutbox);
                    }
                }
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Keeps a large file with the open consultation, at most [`BLOB_BYTES_MAX`]; returns once it is durable.
    pub fn put_blob(&self, name: &str, content_type: &str, bytes: &[u8]) -> Result<BlobId, Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        within("a blob", bytes.len(), BLOB_BYTES_MAX)?;
        let id = BlobId::random();
        let blob = Blob { name: name.into(), content_type: content_type.into(), bytes: Zeroizing::new(bytes.to_vec()) };
        shared.expect_done(&Request::PutBlob { consultation, id, blob })?;
        Ok(id)
    }

    /// Destroys a blob of the open consultation that is of no use any more; what it took is free for others.
    pub fn drop_blob(&self, id: BlobId) -> Result<(), Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        shared.expect_done(&Request::DropBlob { consultation, id })
    }

    /// A blob of the open consultation.
    pub fn get_blob(&self, id: BlobId) -> Result<Blob, Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        match shared.call(&Request::GetBlob { consultation, id })? {
            Reply::Blob(blob) => Ok(blob),
            other => Err(unexpected(other)),
        }
    }

    /// Closes the open consultation: the submission is durable under a key of its own, and the journal is destroyed,
    /// when this returns. After [`Error::Lost`] it may be repeated.
    pub fn submit(&self, submission: Submission) -> Result<(), Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        let uploads = shared.put_uploads(consultation, submission.uploads)?;
        let (bundle, proof) = (submission.bundle, submission.proof);
        shared.expect_done(&Request::Submit { consultation, uploads, bundle, proof })?;
        shared.open = None;
        Ok(())
    }

    /// Closes the open consultation until its patient comes back with `secret` (1 to [`SECRET_BYTES_MAX`] bytes), at the
    /// latest at `until` (seconds since 1970); then the submission is sent. It is durable, and nobody can read the
    /// journal without the secret, when this returns. After [`Error::Lost`] it may be repeated.
    pub fn park(&self, submission: Submission, secret: &[u8], until: i64) -> Result<(), Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        let uploads = shared.put_uploads(consultation, submission.uploads)?;
        let (bundle, proof, secret) = (submission.bundle, submission.proof, Zeroizing::new(secret.to_vec()));
        shared.expect_done(&Request::Park { consultation, uploads, bundle, proof, secret, until })?;
        shared.open = None;
        Ok(())
    }

    /// Opens the parked consultation of this secret: [`Client::read_back`] then gives its records. Refused with
    /// [`Refusal::NotParked`] or [`Refusal::TooManyTries`].
    pub fn reopen(&self, secret: &[u8]) -> Result<(), Error> {
        self.lock().expect_done(&Request::Reopen(Zeroizing::new(secret.to_vec())))
    }

    /// Who is responsible for the place proved it, by the PIN: whoever mistyped a secret too often may try again at once.
    pub fn forgive_tries(&self) -> Result<(), Error> {
        self.lock().expect_done(&Request::ForgiveTries)
    }

    /// Keeps what the pharmacist wrote to a specialist, at most [`LETTER_BYTES_MAX`], in the place of one of the same name;
    /// returns once it is durable. Refused with [`Refusal::Busy`] when [`LETTERS_MAX`] others wait.
    pub fn keep_letter(&self, id: LetterId, content: &[u8]) -> Result<(), Error> {
        self.lock().expect_done(&Request::KeepLetter(Letter { id, content: Zeroizing::new(content.to_vec()) }))
    }

    /// Every letter that waits, in the order of their names; one that the disk does not give any more is empty.
    pub fn letters(&self) -> Result<Vec<Letter>, Error> {
        match self.lock().call(&Request::Letters)? {
            Reply::Letters(letters) => Ok(letters),
            other => Err(unexpected(other)),
        }
    }

    /// Destroys a letter, which the desk has.
    pub fn drop_letter(&self, id: LetterId) -> Result<(), Error> {
        self.lock().expect_done(&Request::DropLetter(id))
    }

    /// Closes the open consultation and destroys it: nothing is to be sent.
    pub fn discard(&self) -> Result<(), Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        shared.expect_done(&Request::Discard(consultation))?;
        shared.open = None;
        Ok(())
    }

    /// Closes the open consultation, whose record cannot be sealed and never will be. Its journal is kept aside as it is,
    /// sealed, and the outbox says where ([`FaultCode::Damaged`]): nothing is lost, and the next patient can begin.
    pub fn set_aside(&self) -> Result<(), Error> {
        let mut shared = self.lock();
        let (consultation, _) = shared.open_or_refuse()?;
        shared.expect_done(&Request::SetAside(consultation))?;
        shared.open = None;
        Ok(())
    }

    /// How the outbox is.
    pub fn status(&self) -> Result<Status, Error> {
        match self.lock().call(&Request::Status)? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected(other)),
        }
    }

    /// The newest receipts, oldest first, at most [`wire::RECEIPTS_MAX`].
    pub fn receipts(&self) -> Result<Vec<Receipt>, Error> {
        match self.lock().call(&Request::Receipts)? {
            Reply::Receipts(receipts) => Ok(receipts),
            other => Err(unexpected(other)),
        }
    }

    /// Puts back in the queue everything that was set aside, once a technician has mended the cause. Returns how many.
    pub fn retry_set_aside(&self) -> Result<u32, Error> {
        match self.lock().call(&Request::RetrySetAside)? {
            Reply::Retried(count) => Ok(count),
            other => Err(unexpected(other)),
        }
    }

    /// Hands on the token that the desk gave for the records at `base_url`. It is shown to no other server.
    pub fn desk_token(&self, base_url: &str, token: &str) -> Result<(), Error> {
        let (base_url, token) = (base_url.to_owned(), Zeroizing::new(token.to_owned()));
        self.lock().expect_done(&Request::DeskToken { base_url, token })
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A caller that panicked in mid-call leaves at worst a broken connection, which is replaced.
        self.shared.lock().unwrap_or_else(|poisoned| {
            let mut shared = poisoned.into_inner();
            shared.stream = None;
            shared
        })
    }
}

impl Shared {
    fn open_or_refuse(&self) -> Result<(ConsultationId, u64), Error> {
        let refused = || Refused::new(Refusal::NotOpen, "begin a consultation, or read the open one back, first");
        Ok(self.open.ok_or_else(refused)?)
    }

    /// What the submission carries itself becomes files of the open consultation.
    fn put_uploads(&mut self, consultation: ConsultationId, given: Vec<Upload>) -> Result<Vec<UploadOf>, Error> {
        let mut uploads = Vec::with_capacity(given.len());
        for upload in given {
            let blob = match upload.body {
                Body::Blob(id) => id,
                Body::Bytes(bytes) => {
                    within("a file of a submission", bytes.len(), UPLOAD_BYTES_MAX)?;
                    let id = BlobId::of_upload(consultation, &upload.path);
                    let (name, content_type) = (upload.path.clone(), upload.content_type.clone());
                    let blob = Blob { name, content_type, bytes };
                    self.expect_done(&Request::PutUpload { consultation, id, blob })?;
                    id
                }
            };
            uploads.push(UploadOf { path: upload.path, content_type: upload.content_type, blob });
        }
        Ok(uploads)
    }

    fn expect_done(&mut self, request: &Request) -> Result<(), Error> {
        match self.call(request)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Asks, and asks once more on a new connection when the old one turned out to be broken.
    fn call(&mut self, request: &Request) -> Result<Reply, Error> {
        let message = request.encode();
        if message.len() > wire::MESSAGE_BYTES_MAX {
            return Err(Refused::new(Refusal::TooLarge, "over the largest message of the outbox protocol").into());
        }
        // A whole submission changes hands at once, and nobody waits for it in front of a screen.
        let patience = match request {
            Request::PutUpload { .. } | Request::Submit { .. } | Request::Park { .. } => {
                self.patience.max(ANSWER_TIMEOUT)
            }
            _ => self.patience,
        };
        let mut last = None;
        for _ in 0..2 {
            match self.exchange(&message, patience) {
                Ok(reply) => return Reply::decode(&reply).map_err(|_| Error::NotOutbox),
                Err(Error::Lost(cause)) => last = Some(Error::Lost(cause)),
                Err(other) => return Err(other),
            }
        }
        Err(last.unwrap_or(Error::NotOutbox))
    }

    fn exchange(&mut self, message: &[u8], patience: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let absent = |cause| Error::Absent { socket: self.socket.clone(), cause };
                UnixStream::connect(&self.socket).map_err(absent)?
            }
        };
        stream.set_read_timeout(Some(patience)).map_err(Error::Lost)?;
        stream.set_write_timeout(Some(patience)).map_err(Error::Lost)?;
        let sent = wire::send(&mut stream, message);
        // An outbox that refuses the connection itself says why before it closes, even if it read nothing.
        match (wire::receive(&mut stream), sent) {
            (Ok(Some(reply)), Ok(())) => {
                self.stream = Some(stream);
                Ok(reply)
            }
            (Ok(Some(reply)), Err(_)) => Ok(reply),
            (Ok(None), _) => Err(Error::Lost(io::ErrorKind::UnexpectedEof.into())),
            (Err(cause), _) => Err(Error::Lost(cause)),
        }
    }
}

fn within(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Refused> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Refused::new(Refusal::TooLarge, format!("{what} of {bytes} bytes, where at most {bytes_max} are kept")))
}

fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Refused(refused) => Error::Refused(refused),
        _ => Error::NotOutbox,
    }
}
