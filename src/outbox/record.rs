//! The words of the outbox: consultations, records, blobs, submissions, receipts and what the cabin is told of them.
//! Nothing here knows what a patient is: records and blobs are opaque bytes.

use std::fmt;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Largest record of a journal, in bytes. A larger one is refused with [`Refusal::TooLarge`]: use a blob.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Largest journal of one consultation, in sealed bytes. Past it, records are refused: a journal this long is a fault.
pub const JOURNAL_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Largest blob, in bytes. A larger one is refused with [`Refusal::TooLarge`].
pub const BLOB_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of blobs in one consultation. Past it, blobs are refused; the journal goes on.
pub const BLOBS_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Most blobs in one consultation.
pub const BLOBS_MAX: usize = 96;
/// Largest file of a submission, in bytes: the largest blob in base64, and the resource around it. What was kept can
/// always be sent.
pub const UPLOAD_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Most bytes of files in one submission: all blobs in base64, and 64 MiB for what is made of them beside. An
/// allowance of their own, so that no number of attempts and nothing that was recorded leaves too little of it.
pub const UPLOADS_BYTES_MAX: u64 = 192 * 1024 * 1024;
/// Most files in one submission: two of each blob, and others beside.
pub const UPLOADS_MAX: usize = 256;
const _: () = assert!(BLOB_BYTES_MAX / 3 * 4 + 64 * 1024 <= UPLOAD_BYTES_MAX);
const _: () = assert!(BLOBS_BYTES_MAX / 3 * 4 + 64 * 1024 * 1024 <= UPLOADS_BYTES_MAX);
const _: () = assert!(2 * BLOBS_MAX < UPLOADS_MAX);
/// Largest bundle, in bytes. Servers refuse or stall on larger transactions; what is large goes as a blob.
pub const BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest name, path, content type or search address, in bytes.
pub const TEXT_BYTES_MAX: usize = 2048;
/// Most consultations whose patients may come back. Past it, the next one is refused.
pub const PARKED_MAX: usize = 100;
/// Longest time for a patient to come back, in seconds: a week, and a day for clocks.
pub const PARKED_SECONDS_MAX: i64 = 8 * 24 * 3600;
/// Longest secret of a patient who will come back, in bytes.
pub const SECRET_BYTES_MAX: usize = 64;
/// Most letters that wait for the desk. Past it, the next one is refused.
pub const LETTERS_MAX: usize = 128;
/// Largest letter, in bytes.
pub const LETTER_BYTES_MAX: usize = 32 * 1024;
/// First kind that the outbox keeps for itself; kinds below it are the cabin's.
pub const KIND_RESERVED: u8 = 200;

/// Names one consultation: a random UUID, opaque, never derived from the patient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsultationId(pub Uuid);

/// Names one blob of a consultation: a random UUID; of a submission's file one that follows from its path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub Uuid);

/// Names one letter: a random UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub Uuid);

macro_rules! id_text {
    ($($name:ident),*) => {$(
        impl $name {
            /// A new random identifier.
            pub fn random() -> $name {
                $name(Uuid::new_v4())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
id_text!(ConsultationId, BlobId, LetterId);

impl BlobId {
    /// The name of a submission's file: always the same, so that an attempt to submit finds what the one before put.
    pub fn of_upload(consultation: ConsultationId, path: &str) -> BlobId {
        BlobId(Uuid::new_v5(&consultation.0, path.as_bytes()))
    }
}

/// One record of the journal of the open consultation, as it was appended.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Position in the journal, from 0, without gaps.
    pub seq: u64,
    /// The cabin's own mark, below [`KIND_RESERVED`].
    pub kind: u8,
    /// What was appended.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record {{ seq: {}, kind: {}, bytes: [patient] }}", self.seq, self.kind)
    }
}

/// What the pharmacist wrote to a specialist, until the desk has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// What was kept; empty where the disk does not give it any more.
    pub content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter {{ id: {}, content: [patient] }}", self.id)
    }
}

/// A large file of the open consultation, read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// The name given to it.
    pub name: String,
    /// Its media type, such as `application/pdf`.
    pub content_type: String,
    /// Its content.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob { [patient] }")
    }
}

/// Where the content of an upload comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// These bytes.
    Bytes(Zeroizing<Vec<u8>>),
    /// A blob already put in the open consultation.
    Blob(BlobId),
}

/// One file sent before the bundle, by `PUT`, so that the bundle may refer to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// Address under the base of the server, such as `Binary/0f3c…`: chosen by the cabin, so that sending twice changes
    /// nothing.
    pub path: String,
    /// Value of `Content-Type`.
    pub content_type: String,
    /// The content.
    pub body: Body,
}

/// What a finished consultation hands over to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// Sent first, in this order.
    pub uploads: Vec<Upload>,
    /// A FHIR transaction Bundle in JSON, posted to the base of the server. It must be safe to send twice
    /// (`ifNoneExist` on stable identifiers): the outbox repeats it until it has an answer.
    pub bundle: Zeroizing<Vec<u8>>,
    /// A search under the base, such as `Encounter?identifier=…`, that finds exactly one resource once the bundle is
    /// stored. That answer is the proof; nothing else deletes the submission.
    pub proof: String,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Submission {{ uploads: {}, [patient] }}", self.uploads.len())
    }
}

/// The server's proof of storage. It holds no patient data: it stays when everything else is destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which consultation.
    pub consultation: ConsultationId,
    /// When the proof came, in seconds since 1970, by the cabin's clock.
    pub received_at: i64,
    /// The proving resource at the server, such as `Encounter/123`.
    pub resource: String,
    /// Its `meta.versionId`, empty where the server gives none.
    pub version: String,
    /// The `ETag` of the transaction's entry or of the search, empty where the server gives none.
    pub etag: String,
    /// SHA-256 of the bundle that was sent.
    pub bundle_sha256: [u8; 32],
    /// The `location` of each entry of the transaction's answer, at most [`RECEIPT_LOCATIONS_MAX`].
    pub locations: Vec<String>,
}

/// Most locations kept in one receipt; the others can be found from the proving resource.
pub const RECEIPT_LOCATIONS_MAX: usize = 64;

/// What needs a technician. The detail beside it is text for the technician, without patient data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FaultCode {
    /// The disk is too full to begin a consultation.
    DiskShort = 1,
    /// The disk refused to keep what was written: the outbox has stopped acknowledging and must be restarted.
    SyncFailed = 2,
    /// The server does not answer; everything waits and is tried again.
    ServerUnreachable = 3,
    /// The server refuses the cabin's token; everything waits.
    ServerRefusesAccess = 4,
    /// At least one submission was refused by the server and set aside.
    SetAside = 5,
    /// The index did not open: it was set aside and rebuilt from the logs.
    IndexRebuilt = 6,
    /// Part of what is kept could not be read; it was kept aside.
    Damaged = 7,
    /// No server is configured: submissions wait.
    NoServer = 8,
    /// At least one submission fails again and again while others are stored; it is tried on.
    NotTaken = 9,
    /// This outbox is another one than the cabin knew: what waited in the former one is not here. Found by who asks, who
    /// knows the former one's name ([`Status::name`]).
    Replaced = 10,
}

impl FaultCode {
    /// Every code.
    pub const ALL: [FaultCode; 10] = [
        FaultCode::DiskShort,
        FaultCode::SyncFailed,
        FaultCode::ServerUnreachable,
        FaultCode::ServerRefusesAccess,
        FaultCode::SetAside,
        FaultCode::IndexRebuilt,
        FaultCode::Damaged,
        FaultCode::NoServer,
        FaultCode::NotTaken,
        FaultCode::Replaced,
    ];
}

/// One thing that needs a technician.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub code: FaultCode,
    /// In words, for the technician.
    pub detail: String,
}

/// What the outbox says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The name that this outbox's folder was given when it was made, and keeps; nil where its disk did not take or give
    /// one.
    pub name: Uuid,
    /// The open consultation.
    pub open: Option<ConsultationId>,
    /// Submissions that wait for the server's proof.
    pub waiting: u32,
    /// Submissions that the server refused, or that cannot be read.
    pub set_aside: u32,
    /// Consultations whose patients may come back.
    pub parked: u32,
    /// Replies to specialists that wait for the desk.
    pub letters: u32,
    /// When the last proof came, in seconds since 1970.
    pub last_receipt_at: Option<i64>,
    /// What needs a technician, most pressing first; empty when all is well.
    pub faults: Vec<Fault>,
    /// Free bytes on the outbox's disk.
    pub disk_free_bytes: u64,
    /// Bytes that must be free to begin a consultation.
    pub disk_needed_bytes: u64,
}

/// Why the outbox refused. Each is something the cabin or a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// A consultation is open: read it back, submit it or discard it first.
    AlreadyOpen = 1,
    /// No consultation is open: begin one.
    NotOpen = 2,
    /// The request names another consultation than the open one.
    OtherConsultation = 3,
    /// The sequence number is neither the next one nor the last one repeated: read the journal back.
    OutOfOrder = 4,
    /// Over a limit of this crate.
    TooLarge = 5,
    /// The disk is short: nobody can be received until a technician makes room.
    DiskShort = 6,
    /// The disk failed to keep data: restart the outbox.
    SyncFailed = 7,
    /// The open consultation has no such blob.
    UnknownBlob = 8,
    /// This program may not use the outbox: check `allow_uids`.
    NotAllowed = 9,
    /// The bytes were not a request.
    Malformed = 10,
    /// Another version of the protocol: install the same release of both programs.
    Version = 11,
    /// Too many connections: one cabin, one connection.
    Busy = 12,
    /// What was asked for is on the disk but cannot be read.
    Damaged = 13,
    /// No parked consultation opens with this secret, or its time is over.
    NotParked = 14,
    /// Too many wrong secrets: wait a quarter of an hour.
    TooManyTries = 15,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Refusal; 15] = [
        Refusal::AlreadyOpen,
        Refusal::NotOpen,
        Refusal::OtherConsultation,
        Refusal::OutOfOrder,
        Refusal::TooLarge,
        Refusal::DiskShort,
        Refusal::SyncFailed,
        Refusal::UnknownBlob,
        Refusal::NotAllowed,
        Refusal::Malformed,
        Refusal::Version,
        Refusal::Busy,
        Refusal::Damaged,
        Refusal::NotParked,
        Refusal::TooManyTries,
    ];
}

/// A refusal with its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{refusal:?}: {detail}")]
pub struct Refused {
    /// Which.
    pub refusal: Refusal,
    /// In words, for a technician, without patient data.
    pub detail: String,
}

impl Refused {
    /// A refusal and its words.
    pub fn new(refusal: Refusal, detail: impl Into<String>) -> Refused {
        Refused { refusal, detail: detail.into() }
    }
}
