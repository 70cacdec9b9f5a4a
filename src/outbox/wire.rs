//! The protocol between the cabin and `cabin-outbox` over their Unix socket.
//!
//! Each message is a length (four bytes, little endian) and that many bytes: the version of the protocol, a tag, and the
//! fields of [`Request`] or [`Reply`] in the order they are declared. The cabin asks, the outbox answers, in order.

use crate::fields::{Malformed, Reader, Writer};
use crate::record::*;
use std::io::{self, Read, Write};
use uuid::Uuid;
use zeroize::Zeroizing;

/// First byte of every message.
pub const VERSION: u8 = 4;
/// Largest message, in bytes: the largest file and room for its fields. A longer one closes the connection.
pub const MESSAGE_BYTES_MAX: usize = UPLOAD_BYTES_MAX + 64 * 1024;
/// Records are read back in pages of about this many bytes.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// Most receipts in one answer: the newest ones.
pub const RECEIPTS_MAX: usize = 100;
/// Most records in one page.
pub const PAGE_RECORDS_MAX: usize = 65_536;

/// An upload whose content is already in the open consultation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadOf {
    /// Address under the server's base.
    pub path: String,
    /// Value of `Content-Type`.
    pub content_type: String,
    /// The content.
    pub blob: BlobId,
}

/// What the cabin asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// Open a consultation under this name. Repeating it while the consultation is still empty changes nothing.
    Begin(ConsultationId),
    /// Keep a record. Repeating the last one changes nothing.
    Append {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// The record with the position expected for it.
        record: Record,
    },
    /// The records of the open consultation from this position on.
    ReadBack(u64),
    /// Keep a blob. Repeating it changes nothing.
    PutBlob {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// Its name.
        id: BlobId,
        /// The blob.
        blob: Blob,
    },
    /// Keep a file that will be sent. Repeating it changes nothing; another content under its name takes its place.
    PutUpload {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// Its name, [`BlobId::of_upload`].
        id: BlobId,
        /// The file.
        blob: Blob,
    },
    /// Destroy a blob: it is of no use any more. Repeating it changes nothing.
    DropBlob {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// Which blob.
        id: BlobId,
    },
    /// Close the consultation and keep its journal aside, sealed, for a technician: it cannot be sent.
    SetAside(ConsultationId),
    /// A blob of the open consultation.
    GetBlob {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// Which blob.
        id: BlobId,
    },
    /// Close the consultation and send this. Repeating it changes nothing.
    Submit {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// Sent first.
        uploads: Vec<UploadOf>,
        /// Sent next.
        bundle: Zeroizing<Vec<u8>>,
        /// Searched last.
        proof: String,
    },
    /// Close the consultation until its patient comes back with this secret, and send this if they do not. Repeating it
    /// changes nothing.
    Park {
        /// Which consultation is meant.
        consultation: ConsultationId,
        /// Sent first.
        uploads: Vec<UploadOf>,
        /// Sent next.
        bundle: Zeroizing<Vec<u8>>,
        /// Searched last.
        proof: String,
        /// 1 to [`SECRET_BYTES_MAX`] bytes that only the patient knows.
        secret: Zeroizing<Vec<u8>>,
        /// Until when they may come back, in seconds since 1970.
        until: i64,
    },
    /// Open the parked consultation of this secret. When nothing is open.
    Reopen(Zeroizing<Vec<u8>>),
    /// Who is responsible for the place proved it: wrong secrets count no more.
    ForgiveTries,
    /// Keep a letter, in the place of one of the same name. Repeating it changes nothing.
    KeepLetter(Letter),
    /// Every letter.
    Letters,
    /// Destroy a letter: the desk has it. Repeating it changes nothing.
    DropLetter(LetterId),
    /// Close the consultation and destroy it.
    Discard(ConsultationId),
    /// How the outbox is.
    Status,
    /// The newest receipts.
    Receipts,
    /// Send again what was set aside.
    RetrySetAside,
    /// Keep the token for records that the desk gave, for the server at this address alone.
    DeskToken {
        /// The server's base address.
        base_url: String,
        /// One line of text.
        token: Zeroizing<String>,
    },
}

/// What the outbox answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is done, and durable.
    Done,
    /// The record is durable at this position.
    Appended(u64),
    /// Nothing is open.
    NothingOpen,
    /// A page of the open consultation.
    Page {
        /// Which consultation.
        consultation: ConsultationId,
        /// Its records, in order.
        records: Vec<Record>,
        /// Whether more follow.
        more: bool,
    },
    /// The blob.
    Blob(Blob),
    /// How the outbox is.
    Status(Status),
    /// The newest receipts, oldest first.
    Receipts(Vec<Receipt>),
    /// Every letter, in the order of their names.
    Letters(Vec<Letter>),
    /// How many were put back in the queue.
    Retried(u32),
    /// It was not done.
    Refused(Refused),
}

impl Request {
    /// As one message, without its length.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let room = match self {
            Request::Append { record, .. } => record.bytes.len(),
            Request::PutBlob { blob, .. } | Request::PutUpload { blob, .. } => {
                blob.bytes.len() + blob.name.len() + blob.content_type.len()
            }
            Request::Submit { uploads, bundle, proof, .. } | Request::Park { uploads, bundle, proof, .. } => {
                let uploads: usize = uploads.iter().map(|u| u.path.len() + u.content_type.len() + 24).sum();
                bundle.len() + proof.len() + uploads
            }
            Request::DeskToken { base_url, token } => base_url.len() + token.len(),
            Request::KeepLetter(letter) => letter.content.len(),
            _ => 0,
        };
        let mut w = Writer::with_capacity(room + 128);
        w.u8(VERSION);
        match self {
            Request::Begin(id) => {
                w.u8(1).uuid(id.0);
            }
            Request::Append { consultation, record } => {
                w.u8(2).uuid(consultation.0).u64(record.seq).u8(record.kind).bytes(&record.bytes);
            }
            Request::ReadBack(from) => {
                w.u8(3).u64(*from);
            }
            Request::PutBlob { consultation, id, blob } => {
                w.u8(4).uuid(consultation.0).uuid(id.0);
                w.text(&blob.name).text(&blob.content_type).bytes(&blob.bytes);
            }
            Request::GetBlob { consultation, id } => {
                w.u8(5).uuid(consultation.0).uuid(id.0);
            }
            Request::Submit { consultation, uploads, bundle, proof } => {
                w.u8(6).uuid(consultation.0);
                write_sending(&mut w, uploads, bundle, proof);
            }
            Request::Park { consultation, uploads, bundle, proof, secret, until } => {
                w.u8(14).uuid(consultation.0);
                write_sending(&mut w, uploads, bundle, proof);
                w.bytes(secret).i64(*until);
            }
            Request::Reopen(secret) => {
                w.u8(15).bytes(secret);
            }
            Request::ForgiveTries => {
                w.u8(17);
            }
            Request::KeepLetter(letter) => {
                w.u8(18).uuid(letter.id.0).bytes(&letter.content);
            }
            Request::Letters => {
                w.u8(19);
            }
            Request::DropLetter(letter) => {
                w.u8(20).uuid(letter.0);
            }
            Request::Discard(id) => {
                w.u8(7).uuid(id.0);
            }
            Request::Status => {
                w.u8(8);
            }
            Request::Receipts => {
                w.u8(9);
            }
            Request::RetrySetAside => {
                w.u8(10);
            }
            Request::PutUpload { consultation, id, blob } => {
                w.u8(11).uuid(consultation.0).uuid(id.0);
                w.text(&blob.name).text(&blob.content_type).bytes(&blob.bytes);
            }
            Request::DropBlob { consultation, id } => {
                w.u8(12).uuid(consultation.0).uuid(id.0);
            }
            Request::SetAside(id) => {
                w.u8(13).uuid(id.0);
            }
            Request::DeskToken { base_url, token } => {
                w.u8(16).text(base_url).text(token);
            }
        }
        w.finish()
    }

    /// From one message, without its length. A refusal says why not.
    pub fn decode(message: &[u8]) -> Result<Request, Refused> {
        match message.first() {
            Some(&VERSION) => {}
            Some(other) => {
                let detail = format!("this outbox speaks version {VERSION} of the protocol, the message has {other}");
                return Err(Refused::new(Refusal::Version, detail));
            }
            None => return Err(Refused::new(Refusal::Malformed, "an empty message")),
        }
        Request::decode_fields(message).map_err(|Malformed| {
            Refused::new(Refusal::Malformed, "the message is not a request of the outbox protocol")
        })
    }

    fn decode_fields(message: &[u8]) -> Result<Request, Malformed> {
        let mut r = Reader::new(&message[1..]);
        let request = match r.u8()? {
            1 => Request::Begin(ConsultationId(r.uuid()?)),
            2 => Request::Append { consultation: ConsultationId(r.uuid()?), record: record(&mut r)? },
            3 => Request::ReadBack(r.u64()?),
            4 => {
                let consultation = ConsultationId(r.uuid()?);
                let id = BlobId(r.uuid()?);
                Request::PutBlob { consultation, id, blob: blob(&mut r, BLOB_BYTES_MAX)? }
            }
            5 => Request::GetBlob { consultation: ConsultationId(r.uuid()?), id: BlobId(r.uuid()?) },
            6 => {
                let consultation = ConsultationId(r.uuid()?);
                let (uploads, bundle, proof) = read_sending(&mut r)?;
                Request::Submit { consultation, uploads, bundle, proof }
            }
            7 => Request::Discard(ConsultationId(r.uuid()?)),
            8 => Request::Status,
            9 => Request::Receipts,
            10 => Request::RetrySetAside,
            11 => {
                let consultation = ConsultationId(r.uuid()?);
                let id = BlobId(r.uuid()?);
                Request::PutUpload { consultation, id, blob: blob(&mut r, UPLOAD_BYTES_MAX)? }
            }
            12 => Request::DropBlob { consultation: ConsultationId(r.uuid()?), id: BlobId(r.uuid()?) },
            13 => Request::SetAside(ConsultationId(r.uuid()?)),
            14 => {
                let consultation = ConsultationId(r.uuid()?);
                let (uploads, bundle, proof) = read_sending(&mut r)?;
                let secret = Zeroizing::new(r.bytes(SECRET_BYTES_MAX)?.to_vec());
                Request::Park { consultation, uploads, bundle, proof, secret, until: r.i64()? }
            }
            15 => Request::Reopen(Zeroizing::new(r.bytes(SECRET_BYTES_MAX)?.to_vec())),
            16 => {
                let base_url = r.text(TEXT_BYTES_MAX)?.into();
                Request::DeskToken { base_url, token: Zeroizing::new(r.text(TEXT_BYTES_MAX)?.into()) }
            }
            17 => Request::ForgiveTries,
            18 => Request::KeepLetter(letter(&mut r)?),
            19 => Request::Letters,
            20 => Request::DropLetter(LetterId(r.uuid()?)),
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(request)
    }
}

impl Reply {
    /// As one message, without its length.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let room = match self {
            Reply::Page { records, .. } => records.iter().map(|r| r.bytes.len() + 16).sum(),
            Reply::Blob(blob) => blob.bytes.len() + blob.name.len() + blob.content_type.len(),
            Reply::Letters(letters) => letters.iter().map(|letter| letter.content.len() + 24).sum(),
            _ => 0,
        };
        let mut w = Writer::with_capacity(room + 128);
        w.u8(VERSION);
        match self {
            Reply::Done => {
                w.u8(1);
            }
            Reply::Appended(seq) => {
                w.u8(2).u64(*seq);
            }
            Reply::NothingOpen => {
                w.u8(3);
            }
            Reply::Page { consultation, records, more } => {
                w.u8(4).uuid(consultation.0).u32(records.len() as u32);
                for record in records {
                    w.u64(record.seq).u8(record.kind).bytes(&record.bytes);
                }
                w.u8(u8::from(*more));
            }
            Reply::Blob(blob) => {
                w.u8(5).text(&blob.name).text(&blob.content_type).bytes(&blob.bytes);
            }
            Reply::Status(status) => {
                w.u8(6).uuid(status.open.map_or(Uuid::nil(), |id| id.0)).u32(status.waiting).u32(status.set_aside);
                w.u32(status.parked).u32(status.letters).uuid(status.name);
                w.u8(u8::from(status.last_receipt_at.is_some())).i64(status.last_receipt_at.unwrap_or(0));
                w.u32(status.faults.len() as u32);
                for fault in &status.faults {
                    w.u8(fault.code as u8).text(&fault.detail);
                }
                w.u64(status.disk_free_bytes).u64(status.disk_needed_bytes);
            }
            Reply::Receipts(receipts) => {
                w.u8(7).u32(receipts.len() as u32);
                receipts.iter().for_each(|receipt| write_receipt(&mut w, receipt));
            }
            Reply::Retried(count) => {
                w.u8(8).u32(*count);
            }
            Reply::Letters(letters) => {
                w.u8(10).u32(letters.len() as u32);
                for letter in letters {
                    w.uuid(letter.id.0).bytes(&letter.content);
                }
            }
            Reply::Refused(refused) => {
                w.u8(9).u8(refused.refusal as u8).text(&refused.detail);
            }
        }
        w.finish()
    }

    /// From one message, without its length.
    pub fn decode(message: &[u8]) -> Result<Reply, Malformed> {
        let mut r = Reader::new(message);
        if r.u8()? != VERSION {
            return Err(Malformed);
        }
        let reply = match r.u8()? {
            1 => Reply::Done,
            2 => Reply::Appended(r.u64()?),
            3 => Reply::NothingOpen,
            4 => {
                let consultation = ConsultationId(r.uuid()?);
                let mut records = Vec::new();
                for _ in 0..r.count(PAGE_RECORDS_MAX)? {
                    records.push(record(&mut r)?);
                }
                Reply::Page { consultation, records, more: r.u8()? == 1 }
            }
            5 => Reply::Blob(blob(&mut r, BLOB_BYTES_MAX)?),
            6 => {
                let open = r.uuid()?;
                let waiting = r.u32()?;
                let set_aside = r.u32()?;
                let parked = r.u32()?;
                let letters = r.u32()?;
                let name = r.uuid()?;
                let has_receipt = r.u8()? == 1;
                let last_receipt_at = Some(r.i64()?).filter(|_| has_receipt);
                let mut faults = Vec::new();
                for _ in 0..r.count(FaultCode::ALL.len())? {
                    let code = r.u8()?;
                    let code = FaultCode::ALL.into_iter().find(|c| *c as u8 == code).ok_or(Malformed)?;
                    faults.push(Fault { code, detail: r.text(TEXT_BYTES_MAX)?.into() });
                }
                Reply::Status(Status {
                    name,
                    open: Some(ConsultationId(open)).filter(|id| !id.0.is_nil()),
                    waiting,
                    set_aside,
                    parked,
                    letters,
                    last_receipt_at,
                    faults,
                    disk_free_bytes: r.u64()?,
                    disk_needed_bytes: r.u64()?,
                })
            }
            7 => {
                let mut receipts = Vec::new();
                for _ in 0..r.count(RECEIPTS_MAX)? {
                    receipts.push(read_receipt(&mut r)?);
                }
                Reply::Receipts(receipts)
            }
            8 => Reply::Retried(r.u32()?),
            9 => {
                let refusal = r.u8()?;
                let refusal = Refusal::ALL.into_iter().find(|c| *c as u8 == refusal).ok_or(Malformed)?;
                Reply::Refused(Refused::new(refusal, r.text(TEXT_BYTES_MAX)?))
            }
            10 => {
                let mut letters = Vec::new();
                for _ in 0..r.count(LETTERS_MAX)? {
                    letters.push(letter(&mut r)?);
                }
                Reply::Letters(letters)
            }
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(reply)
    }
}

fn write_sending(w: &mut Writer, uploads: &[UploadOf], bundle: &[u8], proof: &str) {
    w.u32(uploads.len() as u32);
    for upload in uploads {
        w.text(&upload.path).text(&upload.content_type).uuid(upload.blob.0);
    }
    w.bytes(bundle).text(proof);
}

type Sending = (Vec<UploadOf>, Zeroizing<Vec<u8>>, String);

fn read_sending(r: &mut Reader<'_>) -> Result<Sending, Malformed> {
    let mut uploads = Vec::new();
    for _ in 0..r.count(UPLOADS_MAX)? {
        uploads.push(UploadOf {
            path: r.text(TEXT_BYTES_MAX)?.into(),
            content_type: r.text(TEXT_BYTES_MAX)?.into(),
            blob: BlobId(r.uuid()?),
        });
    }
    let bundle = Zeroizing::new(r.bytes(BUNDLE_BYTES_MAX)?.to_vec());
    Ok((uploads, bundle, r.text(TEXT_BYTES_MAX)?.into()))
}

fn record(r: &mut Reader<'_>) -> Result<Record, Malformed> {
    Ok(Record { seq: r.u64()?, kind: r.u8()?, bytes: Zeroizing::new(r.bytes(RECORD_BYTES_MAX)?.to_vec()) })
}

fn letter(r: &mut Reader<'_>) -> Result<Letter, Malformed> {
    Ok(Letter { id: LetterId(r.uuid()?), content: Zeroizing::new(r.bytes(LETTER_BYTES_MAX)?.to_vec()) })
}

fn blob(r: &mut Reader<'_>, bytes_max: usize) -> Result<Blob, Malformed> {
    Ok(Blob {
        name: r.text(TEXT_BYTES_MAX)?.into(),
        content_type: r.text(TEXT_BYTES_MAX)?.into(),
        bytes: Zeroizing::new(r.bytes(bytes_max)?.to_vec()),
    })
}

/// The fields of a receipt, on the socket and in the log of receipts.
pub(crate) fn write_receipt(w: &mut Writer, receipt: &Receipt) {
    w.uuid(receipt.consultation.0).i64(receipt.received_at).text(&receipt.resource).text(&receipt.version);
    w.text(&receipt.etag).raw(&receipt.bundle_sha256).u32(receipt.locations.len() as u32);
    receipt.locations.iter().for_each(|location| {
        w.text(location);
    });
}

/// The opposite of [`write_receipt`].
pub(crate) fn read_receipt(r: &mut Reader<'_>) -> Result<Receipt, Malformed> {
    let mut receipt = Receipt {
        consultation: ConsultationId(r.uuid()?),
        received_at: r.i64()?,
        resource: r.text(TEXT_BYTES_MAX)?.into(),
        version: r.text(TEXT_BYTES_MAX)?.into(),
        etag: r.text(TEXT_BYTES_MAX)?.into(),
        bundle_sha256: r.array()?,
        locations: Vec::new(),
    };
    for _ in 0..r.count(RECEIPT_LOCATIONS_MAX)? {
        receipt.locations.push(r.text(TEXT_BYTES_MAX)?.into());
    }
    Ok(receipt)
}

/// Writes one message with its length.
pub fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).ok().filter(|length| *length as usize <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a message over the limit"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(message)?;
    to.flush()
}

/// Reads one message; `None` when the other end closed between two messages. A length over [`MESSAGE_BYTES_MAX`] is an
/// error of kind `InvalidData`, before anything is allocated for it.
pub fn receive(from: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < length.len() {
        match from.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        let detail = format!("a message of {length} bytes, where at most {MESSAGE_BYTES_MAX} are accepted");
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
    }
    let mut message = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut message)?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        let consultation = ConsultationId(Uuid::from_u128(7));
        let blob = Blob { name: "n".into(), content_type: "a/b".into(), bytes: Zeroizing::new(vec![1, 2, 3]) };
        vec![
            Request::Begin(consultation),
            Request::Append { consultation, record: Record { seq: 3, kind: 4, bytes: Zeroizing::new(vec![5; 9]) } },
            Request::ReadBack(9),
            Request::PutBlob { consultation, id: BlobId(Uuid::from_u128(8)), blob: blob.clone() },
            Request::PutUpload { consultation, id: BlobId::of_upload(consultation, "Binary/1"), blob },
            Request::DropBlob { consultation, id: BlobId(Uuid::from_u128(8)) },
            Request::SetAside(consultation),
            Request::GetBlob { consultation, id: BlobId(Uuid::from_u128(8)) },
            Request::Submit {
                consultation,
                uploads: vec![UploadOf {
                    path: "Binary/1".into(),
                    content_type: "x/y".into(),
                    blob: BlobId(Uuid::nil()),
                }],
                bundle: Zeroizing::new(b"{}".to_vec()),
                proof: "Encounter?identifier=1".into(),
            },
            Request::Park {
                consultation,
                uploads: Vec::new(),
                bundle: Zeroizing::new(b"{}".to_vec()),
                proof: "Encounter?identifier=1".into(),
                secret: Zeroizing::new(vec![6; SECRET_BYTES_MAX]),
                until: -7,
            },
            Request::Reopen(Zeroizing::new(vec![6; 3])),
            Request::ForgiveTries,
            Request::KeepLetter(written(1)),
            Request::Letters,
            Request::DropLetter(LetterId(Uuid::from_u128(5))),
            Request::Discard(consultation),
            Request::Status,
            Request::Receipts,
            Request::RetrySetAside,
            Request::DeskToken { base_url: "https://x/".into(), token: Zeroizing::new("u1.x".into()) },
        ]
    }

    #[test]
    fn every_request_reads_back_as_it_was_and_no_shortened_one_is_accepted() {
        for request in requests() {
            let message = request.encode();
            assert!(Request::decode(&message).is_ok_and(|again| again == request));
            for end in 0..message.len() {
                assert!(Request::decode(&message[..end]).is_err());
            }
            let mut longer = message.to_vec();
            longer.push(0);
            assert!(Request::decode(&longer).is_err());
        }
    }

    fn written(n: u8) -> Letter {
        Letter { id: LetterId(Uuid::from_u128(n.into())), content: Zeroizing::new(vec![n; 40]) }
    }

    #[test]
    fn letters_read_back_as_they_were_and_no_shortened_answer_does() {
        let reply = Reply::Letters(vec![written(1), written(2)]);
        let message = reply.encode();
        assert!(Reply::decode(&message).is_ok_and(|again| again == reply));
        assert!((0..message.len()).all(|end| Reply::decode(&message[..end]).is_err()));
    }

    #[test]
    fn a_status_with_every_fault_reads_back_as_it_was() {
        let faults = FaultCode::ALL.map(|code| Fault { code, detail: format!("{code:?}") }).to_vec();
        let status = Status {
            name: Uuid::from_u128(9),
            open: Some(ConsultationId(Uuid::from_u128(1))),
            waiting: 2,
            set_aside: 3,
            parked: 7,
            letters: 8,
            last_receipt_at: Some(-4),
            faults,
            disk_free_bytes: 5,
            disk_needed_bytes: 6,
        };
        let reply = Reply::Status(status);
        assert!(Reply::decode(&reply.encode()).is_ok_and(|again| again == reply));
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let mut message = Request::Status.encode();
        message[0] = 9;
        let refused = Request::decode(&message).err().unwrap();
        assert_eq!(refused.refusal, Refusal::Version);
        assert!(refused.detail.contains('9'));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_it_is_read() {
        let mut endless = io::repeat(0xff);
        assert_eq!(receive(&mut endless).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
