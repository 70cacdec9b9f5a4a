//! The journal of the one open consultation, with its blobs.

use crate::fields::{Malformed, Reader, Writer};
use crate::keys::{DataKey, KeyError};
use crate::log::Log;
use crate::record::*;
use crate::store::{Store, consultations, journal_key, key_to_io};
use crate::wire::PAGE_BYTES;
use crate::{blob, disk, log};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// Room of a journal's log that is reserved at a time, in bytes.
const JOURNAL_STEP: u64 = 1024 * 1024;
/// The outbox's own kind of frame: a blob is complete.
const KIND_BLOB: u8 = KIND_RESERVED;
/// The outbox's own kind of frame: a file that will be sent is complete.
const KIND_UPLOAD: u8 = KIND_RESERVED + 1;
/// The outbox's own kind of frame: a blob or such a file is destroyed.
const KIND_DROPPED: u8 = KIND_RESERVED + 2;

/// The open consultation. No content of it is kept in memory.
pub(crate) struct Open {
    pub(crate) id: ConsultationId,
    pub(crate) dir: PathBuf,
    pub(crate) key: DataKey,
    pub(crate) log: Log,
    pub(crate) next_record: u64,
    pub(crate) last: Option<[u8; 32]>,
    pub(crate) blobs: BTreeMap<BlobId, BlobInfo>,
    pub(crate) reserve: Option<File>,
    pub(crate) reserve_bytes: u64,
    /// What was held of its patient, who came back, is destroyed once the cabin goes on.
    pub(crate) has_held: bool,
    /// Part of it cannot be read, and why: it is kept for a technician when it is closed.
    pub(crate) damaged: Option<String>,
}

#[derive(Clone)]
pub(crate) struct BlobInfo {
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
    /// A file that will be sent, not what the cabin kept.
    pub(crate) is_upload: bool,
}

impl Store {
    pub(crate) fn load_journal(&mut self) -> io::Result<()> {
        let aside = self.dir.join("journal-aside");
        let kept_aside = consultations(&aside).unwrap_or_default().len();
        if kept_aside > 0 {
            let detail = format!("{kept_aside} journals that could not be sent are kept in {}", aside.display());
            self.faults.insert(FaultCode::Damaged, detail);
        }
        for (id, dir) in consultations(&self.dir.join("journal"))? {
            let file = journal_key(&dir, id);
            // A parking that was cut short, or a patient who came back.
            crate::parked::clear(&dir)?;
            let has_held = crate::parked::has_held(&dir)?;
            if self.queue.knows(id) {
                info!("finishing the destruction of the journal of {id}, which was handed over");
                disk::shred(&file.path)?;
                disk::remove_dir(&dir)?;
                continue;
            }
            let key = match self.keyring.load(&file) {
                Ok(key) => key,
                Err(KeyError::Destroyed) => {
                    info!("finishing the destruction of the journal of {id}");
                    disk::shred(&file.path)?;
                    disk::remove_dir(&dir)?;
                    continue;
                }
                Err(KeyError::Io(error)) => return Err(error),
                Err(error) => {
                    self.set_journal_aside(id, &dir, &error.to_string())?;
                    continue;
                }
            };
            if self.open.is_some() {
                self.set_journal_aside(id, &dir, "a second open journal")?;
                continue;
            }
            let opened = match Log::open(&dir.join("log"), &key, id, JOURNAL_STEP) {
                Ok(opened) => opened,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                    self.set_journal_aside(id, &dir, &error.to_string())?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if opened.cut_bytes > 0 {
                info!("cut {} bytes that had not been acknowledged off the journal of {id}", opened.cut_bytes);
            }
            let damaged = opened.damaged.as_ref().map(|aside| {
                format!("part of the journal of {id} cannot be read; the file is kept as {}", aside.display())
            });
            if let Some(detail) = &damaged {
                if has_held {
                    // What was held of a patient who came back is whole.
                    self.set_journal_aside(id, &dir, detail)?;
                    continue;
                }
                warn!("{detail}");
                self.faults.insert(FaultCode::Damaged, detail.clone());
            }
            let reserve = fs::OpenOptions::new().write(true).open(dir.join("reserve")).ok();
            let reserve_bytes = reserve.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
            let mut open = Open {
                id,
                dir,
                key,
                log: opened.log,
                next_record: 0,
                last: None,
                blobs: BTreeMap::new(),
                reserve,
                reserve_bytes,
                has_held,
                damaged,
            };
            for frame in opened.frames {
                if frame.kind < KIND_RESERVED {
                    open.next_record += 1;
                    open.last = Some(blob::sha256(&frame.content));
                } else if frame.kind == KIND_DROPPED {
                    if let Some(blob) = read_dropped(&frame.content) {
                        open.blobs.remove(&blob);
                    }
                } else if let Ok((blob, info)) = read_manifest(&frame.content, frame.kind == KIND_UPLOAD) {
                    open.blobs.insert(blob, info);
                }
            }
            info!("consultation {id} is open again with {} records", open.next_record);
            self.open = Some(open);
        }
        Ok(())
    }

    /// What cannot be opened or sent gives up its place, so that the cabin can receive the next patient, and is kept.
    pub(crate) fn set_journal_aside(&mut self, id: ConsultationId, dir: &Path, why: &str) -> io::Result<()> {
        if crate::parked::has_held(dir)? && !self.queue.knows(id) {
            // A patient came back and nobody can go on with it: what was held is the record.
            self.send_held(id, dir).map_err(io::Error::other)?;
        }
        let aside = self.dir.join("journal-aside");
        disk::create_dir(&aside)?;
        fs::rename(dir, aside.join(id.to_string()))?;
        disk::sync_dir(&aside)?;
        disk::sync_dir(&self.dir.join("journal"))?;
        let detail = format!("the journal of {id} cannot be used and is kept in {}: {why}", aside.display());
        warn!("{detail}");
        self.faults.insert(FaultCode::Damaged, detail);
        Ok(())
    }

    /// Opens a consultation.
    pub fn begin(&mut self, id: ConsultationId) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        match &self.open {
            Some(open) if open.id == id && open.log.next_seq() == 0 => return Ok(()),
            Some(open) => {
                let detail = format!("consultation {} is open: submit or discard it first", open.id);
                return Err(Refused::new(Refusal::AlreadyOpen, detail));
            }
            None => {}
        }
        if id.0.is_nil() || self.queue.knows(id) || self.parking.knows(id) {
            return Err(Refused::new(Refusal::OtherConsultation, format!("consultation {id} has been closed")));
        }
        let dir = self.dir.join("journal").join(id.to_string());
        let building = dir.with_extension("tmp");
        match self.build_journal(id, &dir, &building) {
            Ok(open) => {
                self.open = Some(open);
                self.faults.remove(&FaultCode::DiskShort);
                Ok(())
            }
            Err(error) => {
                let _ = disk::remove_dir(&building);
                Err(self.refuse(error))
            }
        }
    }

    fn build_journal(&mut self, id: ConsultationId, dir: &Path, building: &Path) -> io::Result<Open> {
        disk::create_dir(building)?;
        let reserve = disk::create(&building.join("reserve"))?;
        // Asked first, because some file systems fill the disk before they say that it is too small.
        if disk::free_bytes(building)? < self.reserve_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk::reserve(&reserve, self.reserve_bytes)?;
        let key = self.keyring.create(&journal_key(building, id)).map_err(key_to_io)?;
        let log = Log::create(&building.join("log"), &key, id, JOURNAL_STEP)?;
        disk::sync_dir(building)?;
        fs::rename(building, dir)?;
        disk::sync_dir(&self.dir.join("journal"))?;
        Ok(Open {
            id,
            dir: dir.to_path_buf(),
            key,
            log,
            next_record: 0,
            last: None,
            blobs: BTreeMap::new(),
            reserve: Some(reserve),
            reserve_bytes: self.reserve_bytes,
            has_held: false,
            damaged: None,
        })
    }

    /// Keeps records, all with one sync: each answer holds once this returns. In the order given.
    pub fn append(&mut self, batch: &[(ConsultationId, Record)]) -> Vec<Result<u64, Refused>> {
        let answers: Vec<_> = batch.iter().map(|(id, record)| self.write_record(*id, record)).collect();
        let Some(open) = self.open.as_mut() else { return answers };
        let committed = open.log.commit();
        if committed.is_ok() && open.has_held && answers.iter().any(Result::is_ok) {
            // The cabin goes on with it: another record is made.
            match crate::parked::clear_held(&open.dir) {
                Ok(()) => open.has_held = false,
                Err(error) => warn!("what was held of {} is destroyed later: {error}", open.id),
            }
        }
        match committed {
            Ok(()) => answers,
            Err(error) => {
                self.failed = true;
                let refused = self.refuse(error);
                answers.into_iter().map(|answer| answer.and_then(|_| Err(refused.clone()))).collect()
            }
        }
    }

    fn write_record(&mut self, id: ConsultationId, record: &Record) -> Result<u64, Refused> {
        self.refuse_if_failed()?;
        let open = open_as(&mut self.open, id)?;
        if record.kind >= KIND_RESERVED {
            let detail = format!("kinds from {KIND_RESERVED} are the outbox's own, the record has {}", record.kind);
            return Err(Refused::new(Refusal::Malformed, detail));
        }
        if record.bytes.len() > RECORD_BYTES_MAX {
            let detail = format!("a record of {} bytes, over {RECORD_BYTES_MAX}: put a blob", record.bytes.len());
            return Err(Refused::new(Refusal::TooLarge, detail));
        }
        let sha256 = blob::sha256(&record.bytes);
        if record.seq.checked_add(1) == Some(open.next_record) && open.last == Some(sha256) {
            return Ok(record.seq);
        }
        if record.seq != open.next_record {
            let detail = format!("the next record is number {}, this one is {}", open.next_record, record.seq);
            return Err(Refused::new(Refusal::OutOfOrder, detail));
        }
        if open.log.bytes() + record.bytes.len() as u64 > JOURNAL_BYTES_MAX {
            let detail = format!("the journal is at its limit of {JOURNAL_BYTES_MAX} bytes");
            return Err(Refused::new(Refusal::TooLarge, detail));
        }
        let mut result = open.log.write(record.kind, &record.bytes);
        if result.as_ref().is_err_and(disk::is_full) && open.release(2 * JOURNAL_STEP).is_ok() {
            result = open.log.write(record.kind, &record.bytes);
        }
        match result {
            Ok(_) => {
                open.next_record += 1;
                open.last = Some(sha256);
                Ok(record.seq)
            }
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// A page of the open consultation's records from position `from` on, and whether more follow; `None` when nothing
    /// is open.
    pub fn read_back(&self, from: u64) -> Result<Option<(ConsultationId, Vec<Record>, bool)>, Refused> {
        let Some(open) = &self.open else { return Ok(None) };
        let unreadable =
            |error: io::Error| Refused::new(Refusal::Damaged, format!("the journal cannot be read: {error}"));
        let scan = log::read(&open.dir.join("log"), &open.key, open.id).map_err(unreadable)?;
        let mut page = Vec::new();
        let mut bytes = 0;
        let records = scan.frames.into_iter().filter(|frame| frame.kind < KIND_RESERVED);
        for (seq, frame) in (0_u64..).zip(records).skip_while(|(seq, _)| *seq < from) {
            if bytes >= PAGE_BYTES {
                return Ok(Some((open.id, page, true)));
            }
            bytes += frame.content.len() + 32;
            page.push(Record { seq, kind: frame.kind, bytes: frame.content });
        }
        Ok(Some((open.id, page, false)))
    }

    /// Keeps a blob with the open consultation.
    pub fn put_blob(&mut self, consultation: ConsultationId, id: BlobId, content: &Blob) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let open = open_as(&mut self.open, consultation)?;
        let bytes = content.bytes.len() as u64;
        let sha256 = blob::sha256(&content.bytes);
        if open.blobs.get(&id).is_some_and(|known| known.sha256 == sha256) {
            return Ok(());
        }
        if open.blobs.contains_key(&id) {
            return Err(Refused::new(Refusal::Malformed, "a blob's identifier must be new"));
        }
        let (count, kept) = open.held(false);
        if bytes > BLOB_BYTES_MAX as u64 || count >= BLOBS_MAX || kept + bytes > BLOBS_BYTES_MAX {
            let detail = format!(
                "a consultation keeps {BLOBS_MAX} blobs of {BLOB_BYTES_MAX} bytes each and {BLOBS_BYTES_MAX} in all"
            );
            return Err(Refused::new(Refusal::TooLarge, detail));
        }
        let info = info(id, content, sha256, false)?;
        let result = open.keep_blob(id, &info, &content.bytes);
        result.map_err(|error| self.refuse(error))
    }

    /// Keeps a file that will be sent, in place of what an attempt before this one put under its name.
    pub fn put_upload(&mut self, consultation: ConsultationId, id: BlobId, content: &Blob) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let open = open_as(&mut self.open, consultation)?;
        let bytes = content.bytes.len() as u64;
        let sha256 = blob::sha256(&content.bytes);
        match open.blobs.get(&id) {
            Some(known) if !known.is_upload => {
                return Err(Refused::new(Refusal::Malformed, "a blob has this identifier"));
            }
            Some(known) if known.sha256 == sha256 => return Ok(()),
            Some(_) => {
                if let Err(error) = open.drop_blob(id) {
                    return Err(self.refuse(error));
                }
            }
            None => {}
        }
        let open = open_as(&mut self.open, consultation)?;
        let (count, kept) = open.held(true);
        if bytes > UPLOAD_BYTES_MAX as u64 || count >= UPLOADS_MAX || kept + bytes > UPLOADS_BYTES_MAX {
            let detail = format!(
                "a submission has {UPLOADS_MAX} files of {UPLOAD_BYTES_MAX} bytes each and {UPLOADS_BYTES_MAX} in all"
            );
            return Err(Refused::new(Refusal::TooLarge, detail));
        }
        let info = info(id, content, sha256, true)?;
        let result = open.keep_blob(id, &info, &content.bytes);
        result.map_err(|error| self.refuse(error))
    }

    /// Destroys a blob of the open consultation: what the patient took again, or did not keep.
    pub fn drop_blob(&mut self, consultation: ConsultationId, id: BlobId) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let open = open_as(&mut self.open, consultation)?;
        if !open.blobs.contains_key(&id) {
            return Ok(());
        }
        let result = open.drop_blob(id);
        result.map_err(|error| self.refuse(error))
    }

    /// Closes the open consultation and keeps its journal aside: its record cannot be sealed, and never will be.
    pub fn set_journal_of_open_aside(&mut self, consultation: ConsultationId) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let is_open = self.open.as_ref().is_some_and(|open| open.id == consultation);
        if !is_open && self.dir.join("journal-aside").join(consultation.to_string()).exists() {
            return Ok(());
        }
        let open = open_as(&mut self.open, consultation)?;
        open.release(u64::MAX).map_err(|error| Refused::new(Refusal::SyncFailed, error.to_string()))?;
        let dir = open.dir.clone();
        let result = self.set_journal_aside(consultation, &dir, "its record could not be sealed");
        result.map_err(|error| self.refuse(error))?;
        self.open = None;
        self.parking.reopened = None;
        Ok(())
    }

    /// A blob of the open consultation.
    pub fn get_blob(&mut self, consultation: ConsultationId, id: BlobId) -> Result<Blob, Refused> {
        let open = open_as(&mut self.open, consultation)?;
        let unknown = || Refused::new(Refusal::UnknownBlob, format!("the open consultation has no blob {id}"));
        let info = open.blobs.get(&id).ok_or_else(unknown)?;
        let bytes = open.read_blob(id, info)?;
        Ok(Blob { name: info.name.clone(), content_type: info.content_type.clone(), bytes })
    }

    /// Destroys the open consultation: nothing is to be sent.
    pub fn discard(&mut self, consultation: ConsultationId) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        open_as(&mut self.open, consultation)?;
        self.destroy_journal()
    }
}

impl Open {
    fn keep_blob(&mut self, id: BlobId, info: &BlobInfo, content: &[u8]) -> io::Result<()> {
        self.release(info.bytes + info.bytes / 1024 + 4096)?;
        blob::write(&self.dir, &self.key, self.id, id, content)?;
        let kind = if info.is_upload { KIND_UPLOAD } else { KIND_BLOB };
        self.log.write(kind, &write_manifest(id, info))?;
        self.log.commit()?;
        self.blobs.insert(id, info.clone());
        Ok(())
    }

    /// Whatever a crash leaves of the file without a manifest goes with the journal.
    fn drop_blob(&mut self, id: BlobId) -> io::Result<()> {
        self.log.write(KIND_DROPPED, id.0.as_bytes())?;
        self.log.commit()?;
        self.blobs.remove(&id);
        match fs::remove_file(blob::path(&self.dir, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => disk::sync_dir(&self.dir),
        }
    }

    /// How many blobs, or files that will be sent, and their bytes.
    fn held(&self, uploads: bool) -> (usize, u64) {
        let sizes = self.blobs.values().filter(|info| info.is_upload == uploads).map(|info| info.bytes);
        (sizes.clone().count(), sizes.sum())
    }

    pub(crate) fn read_blob(&self, id: BlobId, info: &BlobInfo) -> Result<zeroize::Zeroizing<Vec<u8>>, Refused> {
        let read = blob::read(&self.dir, &self.key, self.id, id, UPLOAD_BYTES_MAX);
        match read {
            Ok(content) if blob::sha256(&content) == info.sha256 => Ok(content),
            Ok(_) => Err(Refused::new(Refusal::Damaged, format!("blob {id} is not what was put"))),
            Err(error) => Err(Refused::new(Refusal::Damaged, format!("blob {id} cannot be read: {error}"))),
        }
    }

    /// Gives back so much of the room that was reserved when the consultation began.
    pub(crate) fn release(&mut self, bytes: u64) -> io::Result<()> {
        self.reserve_bytes = self.reserve_bytes.saturating_sub(bytes);
        self.reserve.as_ref().map_or(Ok(()), |file| file.set_len(self.reserve_bytes))
    }
}

pub(crate) fn open_as(open: &mut Option<Open>, id: ConsultationId) -> Result<&mut Open, Refused> {
    match open {
        Some(open) if open.id == id => Ok(open),
        Some(_) => Err(Refused::new(Refusal::OtherConsultation, format!("consultation {id} is not the open one"))),
        None => Err(Refused::new(Refusal::NotOpen, "no consultation is open")),
    }
}

fn info(id: BlobId, content: &Blob, sha256: [u8; 32], is_upload: bool) -> Result<BlobInfo, Refused> {
    if id.0.is_nil() || content.name.len() > TEXT_BYTES_MAX || content.content_type.len() > TEXT_BYTES_MAX {
        return Err(Refused::new(Refusal::Malformed, "a blob has an identifier, a short name and a short type"));
    }
    let (name, content_type) = (content.name.clone(), content.content_type.clone());
    Ok(BlobInfo { name, content_type, bytes: content.bytes.len() as u64, sha256, is_upload })
}

fn read_dropped(content: &[u8]) -> Option<BlobId> {
    Some(BlobId(uuid::Uuid::from_bytes(content.try_into().ok()?)))
}

fn write_manifest(id: BlobId, info: &BlobInfo) -> zeroize::Zeroizing<Vec<u8>> {
    let mut w = Writer::with_capacity(info.name.len() + info.content_type.len() + 128);
    w.uuid(id.0).u64(info.bytes).raw(&info.sha256).text(&info.name).text(&info.content_type);
    w.finish()
}

fn read_manifest(content: &[u8], is_upload: bool) -> Result<(BlobId, BlobInfo), Malformed> {
    let mut r = Reader::new(content);
    let id = BlobId(r.uuid()?);
    let bytes = r.u64()?;
    let sha256 = r.array()?;
    let name = r.text(TEXT_BYTES_MAX)?.into();
    let content_type = r.text(TEXT_BYTES_MAX)?.into();
    r.end()?;
    Ok((id, BlobInfo { name, content_type, bytes, sha256, is_upload }))
}
