//! The submissions that wait for the server's proof, and the receipts of those that were proved.

use crate::fields::{Malformed, Reader, Writer};
use crate::keys::{DataKey, Keyring};
use crate::log::{self, Log};
use crate::record::*;
use crate::store::{Store, consultations, submission_key};
use crate::wire::{RECEIPTS_MAX, UploadOf, read_receipt, write_receipt};
use crate::{blob, disk};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tracing::{info, warn};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Room reserved for a submission's log, in bytes: its plan, and a few changes of state.
const SUBMISSION_STEP: u64 = 8 * 1024;
/// Room reserved at a time for the receipts, in bytes.
const RECEIPTS_STEP: u64 = 64 * 1024;
/// The receipts' log is put away past this size, in bytes; the one put away before is then removed. Receipts matter for
/// months, not for ever: some 10,000 consultations are kept at least.
const RECEIPTS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The index's key for the server that progress was made at. It begins with no letter of [`index_key`].
const SERVER_KEY: &[u8] = b"base_url";
const KIND_PLAN: u8 = KIND_RESERVED + 10;
const KIND_SET_ASIDE: u8 = KIND_RESERVED + 11;
const KIND_TRY_AGAIN: u8 = KIND_RESERVED + 12;
const KIND_RECEIPT: u8 = KIND_RESERVED + 20;
/// Longest reason kept with a submission, in bytes.
const REASON_BYTES_MAX: usize = 1000;
/// The bundle's name among the sealed files of a submission.
const BUNDLE: BlobId = BlobId(Uuid::nil());
pub(crate) const NOT_A_PATIENT: ConsultationId = ConsultationId(Uuid::nil());

/// What a consultation hands over, its contents being blobs of the open consultation.
pub struct Sending {
    /// Sent first.
    pub uploads: Vec<UploadOf>,
    /// Sent next.
    pub bundle: Zeroizing<Vec<u8>>,
    /// Searched last.
    pub proof: String,
}

impl Sending {
    /// Refuses what could not be sent, or could be sent elsewhere than to the configured server.
    pub fn validate(&self) -> Result<(), Refused> {
        if self.bundle.len() > BUNDLE_BYTES_MAX || self.uploads.len() > UPLOADS_MAX {
            let detail =
                format!("a submission has a bundle of {BUNDLE_BYTES_MAX} bytes and {UPLOADS_MAX} uploads at most");
            return Err(Refused::new(Refusal::TooLarge, detail));
        }
        for path in self.uploads.iter().map(|upload| &upload.path).chain([&self.proof]) {
            let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
            let relative = !path.is_empty() && !path.starts_with('/') && !path.contains("://") && !path.contains("..");
            let head = path.split(['/', '?']).next().unwrap_or_default();
            if !visible || !relative || head.contains(':') || path.len() > TEXT_BYTES_MAX {
                let detail = "an upload's path and the proof are addresses under the server's base, percent-encoded";
                return Err(Refused::new(Refusal::Malformed, detail));
            }
        }
        let header_safe = |text: &str| text.bytes().all(|byte| (32..127).contains(&byte));
        if !self.uploads.iter().all(|upload| header_safe(&upload.content_type)) {
            return Err(Refused::new(Refusal::Malformed, "a content type is visible ASCII"));
        }
        Ok(())
    }
}

/// One upload of a submission.
pub struct PlannedUpload {
    /// Address under the server's base.
    pub path: String,
    /// Value of `Content-Type`.
    pub content_type: String,
    /// The sealed file.
    pub blob: BlobId,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// What is to be sent for one consultation.
pub struct Plan {
    /// Its place in the queue.
    pub number: u64,
    /// Sent first.
    pub uploads: Vec<PlannedUpload>,
    /// SHA-256 of the bundle.
    pub bundle_sha256: [u8; 32],
    /// Searched last.
    pub proof: String,
}

/// One submission of the queue, without its content.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its place: lower is older.
    pub number: u64,
    /// Whose.
    pub consultation: ConsultationId,
    /// Why it is set aside; `None` when it waits.
    pub set_aside: Option<String>,
    /// How often sending it failed.
    pub attempts: u32,
    /// How many of its requests, files first and then the bundle, the server has answered with success: an attempt goes
    /// on after these, so that a line that breaks often still gets everything through.
    pub answered: u32,
}

impl Queued {
    pub(crate) fn new(consultation: ConsultationId, number: u64) -> Queued {
        Queued { number, consultation, set_aside: None, attempts: 0, answered: 0 }
    }
}

/// The queue in memory: small, and without patient data.
#[derive(Default)]
pub struct Queue {
    submissions: BTreeMap<ConsultationId, Queued>,
    proved: BTreeSet<ConsultationId>,
    newest: VecDeque<Receipt>,
    last_number: u64,
}

impl Queue {
    /// Whether this consultation has been handed over, now or in the past.
    pub fn knows(&self, id: ConsultationId) -> bool {
        self.submissions.contains_key(&id) || self.proved.contains(&id)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.last_number + 1
    }

    /// What is held has its place already.
    pub(crate) fn reserve_number(&mut self, number: u64) {
        self.last_number = self.last_number.max(number);
    }

    pub(crate) fn insert(&mut self, queued: Queued) {
        self.last_number = self.last_number.max(queued.number);
        self.submissions.insert(queued.consultation, queued);
    }

    /// Every submission.
    pub fn all(&self) -> impl Iterator<Item = &Queued> {
        self.submissions.values()
    }

    /// How many wait, and how many are set aside.
    pub fn counts(&self) -> (u32, u32) {
        let aside = self.submissions.values().filter(|queued| queued.set_aside.is_some()).count();
        ((self.submissions.len() - aside) as u32, aside as u32)
    }

    /// When the last proof came, in seconds since 1970.
    pub fn last_receipt_at(&self) -> Option<i64> {
        self.newest.back().map(|receipt| receipt.received_at)
    }

    fn remember(&mut self, receipt: Receipt) {
        self.proved.insert(receipt.consultation);
        self.newest.push_back(receipt);
        if self.newest.len() > RECEIPTS_MAX {
            self.newest.pop_front();
        }
    }
}

/// Opens the log of receipts and returns every receipt that is kept, oldest first.
pub(crate) fn open_receipts(
    dir: &Path,
    keyring: &Keyring,
    faults: &mut BTreeMap<FaultCode, String>,
) -> io::Result<(Log, Vec<Receipt>)> {
    let key = keyring.receipts_key();
    let path = dir.join("receipts.log");
    let mut receipts = Vec::new();
    let older = dir.join("receipts-older.log");
    if older.exists() {
        match log::read(&older, &key, NOT_A_PATIENT) {
            Ok(scan) => receipts.extend(scan.frames.iter().filter_map(|frame| receipt(&frame.content).ok())),
            Err(error) => warn!("older receipts cannot be read: {error}"),
        }
    }
    if !path.exists() {
        let log = Log::create(&path, &key, NOT_A_PATIENT, RECEIPTS_STEP)?;
        disk::sync_dir(dir)?;
        return Ok((log, receipts));
    }
    let opened = Log::open(&path, &key, NOT_A_PATIENT, RECEIPTS_STEP)?;
    if let Some(aside) = opened.damaged {
        let detail = format!("part of the receipts cannot be read; the file is kept as {}", aside.display());
        warn!("{detail}");
        faults.insert(FaultCode::Damaged, detail);
    }
    receipts.extend(opened.frames.iter().filter_map(|frame| receipt(&frame.content).ok()));
    Ok((opened.log, receipts))
}

fn receipt(content: &[u8]) -> Result<Receipt, Malformed> {
    let mut r = Reader::new(content);
    let receipt = read_receipt(&mut r)?;
    r.end()?;
    Ok(receipt)
}

/// Seals the bundle and the plan of a submission into its directory. The blobs are there already.
pub(crate) fn write_submission(
    dir: &Path,
    key: &DataKey,
    id: ConsultationId,
    number: u64,
    sending: &Sending,
    sizes: &BTreeMap<BlobId, (u64, [u8; 32])>,
) -> io::Result<()> {
    blob::write(dir, key, id, BUNDLE, &sending.bundle)?;
    let room: usize = sending.uploads.iter().map(|u| u.path.len() + u.content_type.len() + 80).sum();
    let mut w = Writer::with_capacity(room + sending.proof.len() + 128);
    w.u64(number).raw(&blob::sha256(&sending.bundle)).text(&sending.proof).u32(sending.uploads.len() as u32);
    for upload in &sending.uploads {
        let (bytes, sha256) = sizes.get(&upload.blob).copied().unwrap_or_default();
        w.uuid(upload.blob.0).u64(bytes).raw(&sha256).text(&upload.path).text(&upload.content_type);
    }
    let mut log = Log::create(&dir.join("log"), key, id, SUBMISSION_STEP)?;
    // 256 uploads with long paths exceed one frame: the limit is the frame's, and it is refused before the rename.
    log.write(KIND_PLAN, &w.finish())?;
    log.commit()
}

fn read_plan(content: &[u8]) -> Result<Plan, Malformed> {
    let mut r = Reader::new(content);
    let mut plan = Plan {
        number: r.u64()?,
        bundle_sha256: r.array()?,
        proof: r.text(TEXT_BYTES_MAX)?.into(),
        uploads: Vec::new(),
    };
    for _ in 0..r.count(UPLOADS_MAX)? {
        plan.uploads.push(PlannedUpload {
            blob: BlobId(r.uuid()?),
            bytes: r.u64()?,
            sha256: r.array()?,
            path: r.text(TEXT_BYTES_MAX)?.into(),
            content_type: r.text(TEXT_BYTES_MAX)?.into(),
        });
    }
    r.end()?;
    Ok(plan)
}

/// One submission's sealed files.
pub struct Sealed {
    id: ConsultationId,
    dir: PathBuf,
    key: DataKey,
}

impl Sealed {
    pub(crate) fn new(id: ConsultationId, dir: PathBuf, key: DataKey) -> Sealed {
        Sealed { id, dir, key }
    }

    /// What is to be sent.
    pub fn plan(&self) -> Result<Plan, String> {
        let scan = log::read(&self.dir.join("log"), &self.key, self.id).map_err(|error| error.to_string())?;
        let first = scan.frames.first().filter(|frame| frame.kind == KIND_PLAN);
        first.and_then(|frame| read_plan(&frame.content).ok()).ok_or_else(|| "its plan is damaged".into())
    }

    /// The bundle, opened.
    pub fn bundle(&self, plan: &Plan) -> Result<Zeroizing<Vec<u8>>, String> {
        self.content(BUNDLE, BUNDLE_BYTES_MAX, &plan.bundle_sha256)
    }

    /// A file, opened.
    pub fn upload(&self, upload: &PlannedUpload) -> Result<Zeroizing<Vec<u8>>, String> {
        self.content(upload.blob, UPLOAD_BYTES_MAX, &upload.sha256)
    }

    fn content(&self, blob: BlobId, bytes_max: usize, sha256: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, String> {
        let content = blob::read(&self.dir, &self.key, self.id, blob, bytes_max).map_err(|error| error.to_string())?;
        if blob::sha256(&content) == *sha256 { Ok(content) } else { Err("a file is not what was handed over".into()) }
    }
}

impl Store {
    pub(crate) fn load_queue(&mut self, receipts: Vec<Receipt>) -> io::Result<()> {
        for receipt in receipts {
            let key = index_key(b'r', receipt.consultation);
            if !matches!(self.index.get(&key), Ok(Some(_))) {
                self.index_receipt(&receipt);
            }
            self.queue.remember(receipt);
        }
        for (id, dir) in consultations(&self.dir.join("submissions"))? {
            if self.queue.proved.contains(&id) {
                info!("finishing the destruction of the submission of {id}, which was proved");
                disk::shred(&dir.join("key"))?;
                disk::remove_dir(&dir)?;
                continue;
            }
            let queued = match self.read_state(id, &dir) {
                Ok(queued) => queued,
                Err(why) => {
                    warn!("the submission of {id} cannot be read: {why}");
                    let reason = format!("it cannot be read on this disk: {why}");
                    Queued { set_aside: Some(reason), ..Queued::new(id, self.queue.next_number()) }
                }
            };
            self.queue.insert(queued);
        }
        let known: BTreeSet<_> = self.queue.all().map(|queued| index_key(b's', queued.consultation)).collect();
        for stale in self.index.keys(b"s").unwrap_or_default() {
            if !known.contains(&stale) {
                let _ = self.index.remove(&stale);
            }
        }
        let all: Vec<_> = self.queue.all().map(|queued| queued.consultation).collect();
        for id in all {
            self.put_state(id);
        }
        // Once for all: a week of queue would take minutes one by one.
        self.sync_index();
        self.fault_of_set_aside();
        Ok(())
    }

    /// Says where submissions go. What another server has answered to is no progress at this one: everything that waits
    /// then begins anew, and so does what another server refused.
    pub fn set_server(&mut self, base_url: &str) {
        let known = self.index.get(SERVER_KEY).unwrap_or_default();
        let here = blob::sha256(base_url.trim_end_matches('/').as_bytes());
        if known.as_deref() == Some(here.as_slice()) {
            return;
        }
        let all: Vec<_> = self.queue.all().map(|queued| queued.consultation).collect();
        for id in all {
            if let Some(queued) = self.queue.submissions.get_mut(&id) {
                queued.answered = 0;
            }
            self.put_state(id);
        }
        if known.is_some()
            && let Err(refused) = self.retry_set_aside()
        {
            warn!("what another server refused stays set aside: {refused}");
        }
        let put = self.index.put(SERVER_KEY, &here);
        self.index_written(put);
        self.sync_index();
    }

    /// A submission's state from its log, and its attempts from the index.
    pub(crate) fn read_state(&self, id: ConsultationId, dir: &Path) -> Result<Queued, String> {
        let key = self.keyring.load(&submission_key(dir, id)).map_err(|error| error.to_string())?;
        let scan = log::read(&dir.join("log"), &key, id).map_err(|error| error.to_string())?;
        let mut frames = scan.frames.into_iter();
        let first = frames.next().filter(|frame| frame.kind == KIND_PLAN);
        let plan = first.and_then(|frame| read_plan(&frame.content).ok()).ok_or("its plan is damaged")?;
        let mut queued = Queued::new(id, plan.number);
        for frame in frames {
            match frame.kind {
                KIND_SET_ASIDE => queued.set_aside = Some(String::from_utf8_lossy(&frame.content).into_owned()),
                KIND_TRY_AGAIN => queued.set_aside = None,
                _ => {}
            }
        }
        if let Ok(Some(value)) = self.index.get(&index_key(b's', id)) {
            let mut r = Reader::new(&value);
            if let (Ok(_), Ok(attempts), Ok(answered)) = (r.u64(), r.u32(), r.u32()) {
                queued.attempts = attempts;
                queued.answered = answered;
            }
        }
        Ok(queued)
    }

    /// The consultations whose submissions wait, oldest first.
    pub fn waiting(&self) -> Vec<ConsultationId> {
        let mut waiting: Vec<_> = self.queue.all().filter(|queued| queued.set_aside.is_none()).collect();
        waiting.sort_by_key(|queued| (queued.number, queued.consultation));
        waiting.into_iter().map(|queued| queued.consultation).collect()
    }

    /// Everything in the queue, oldest first, for a technician.
    pub fn queued(&self) -> Vec<Queued> {
        let mut all: Vec<_> = self.queue.all().cloned().collect();
        all.sort_by_key(|queued| (queued.number, queued.consultation));
        all
    }

    /// What was handed over for a consultation, to be read without holding the store: a large file takes a while, and
    /// the patient in the cabin must not wait for it.
    pub fn sealed(&self, id: ConsultationId) -> Result<Sealed, String> {
        let dir = self.submission_dir(id);
        let key = self.keyring.load(&submission_key(&dir, id)).map_err(|error| error.to_string())?;
        Ok(Sealed { id, dir, key })
    }

    /// What is to be sent for a consultation.
    pub fn plan(&self, id: ConsultationId) -> Result<Plan, String> {
        self.sealed(id)?.plan()
    }

    /// The bundle of a submission, opened.
    pub fn bundle(&self, id: ConsultationId, plan: &Plan) -> Result<Zeroizing<Vec<u8>>, String> {
        self.sealed(id)?.bundle(plan)
    }

    /// A file of a submission, opened.
    pub fn upload(&self, id: ConsultationId, upload: &PlannedUpload) -> Result<Zeroizing<Vec<u8>>, String> {
        self.sealed(id)?.upload(upload)
    }

    /// Counts a failed attempt.
    pub fn note_failure(&mut self, id: ConsultationId) {
        if let Some(queued) = self.queue.submissions.get_mut(&id) {
            queued.attempts = queued.attempts.saturating_add(1);
            self.index_state(id);
        }
    }

    /// How many requests of a submission the server has answered with success.
    pub fn answered(&self, id: ConsultationId) -> u32 {
        self.queue.submissions.get(&id).map_or(0, |queued| queued.answered)
    }

    /// Notes how many requests the server has answered with success; 0 begins again.
    pub fn note_answered(&mut self, id: ConsultationId, answered: u32) {
        if let Some(queued) = self.queue.submissions.get_mut(&id) {
            queued.answered = answered;
            self.index_state(id);
        }
    }

    /// Sets a submission aside with a reason for the technician; the others go on.
    pub fn set_aside(&mut self, id: ConsultationId, reason: &str) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        let reason = &reason[..end];
        self.change_state(id, KIND_SET_ASIDE, reason.as_bytes());
        if let Some(queued) = self.queue.submissions.get_mut(&id) {
            queued.set_aside = Some(reason.to_owned());
        }
        self.index_state(id);
        self.fault_of_set_aside();
        Ok(())
    }

    /// Puts back in the queue what was set aside, except what cannot be read. Returns how many.
    pub fn retry_set_aside(&mut self) -> Result<u32, Refused> {
        self.refuse_if_failed()?;
        let aside: Vec<_> = self.queue.all().filter(|q| q.set_aside.is_some()).map(|q| q.consultation).collect();
        let mut count = 0;
        for id in aside {
            if self.plan(id).is_err() {
                continue;
            }
            self.change_state(id, KIND_TRY_AGAIN, b"");
            if let Some(queued) = self.queue.submissions.get_mut(&id) {
                queued.set_aside = None;
                queued.answered = 0;
                count += 1;
            }
            self.index_state(id);
        }
        self.fault_of_set_aside();
        Ok(count)
    }

    /// Writes a change of state to a submission's own log. When that fails the state lasts until the next start, when
    /// the server is simply asked again: nothing is lost.
    fn change_state(&mut self, id: ConsultationId, kind: u8, content: &[u8]) {
        let dir = self.submission_dir(id);
        let written = self.keyring.load(&submission_key(&dir, id)).map_err(|error| error.to_string()).and_then(|key| {
            let opened = Log::open(&dir.join("log"), &key, id, SUBMISSION_STEP);
            let mut log = opened.map_err(|error| error.to_string())?.log;
            log.write(kind, content).and_then(|_| log.commit()).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            warn!("the state of the submission of {id} could not be written: {error}");
        }
    }

    /// The server has proved that it stores a consultation: the receipt becomes durable, then the submission's key and
    /// files are destroyed.
    pub fn prove(&mut self, receipt: Receipt) -> Result<(), Refused> {
        self.refuse_if_failed()?;
        let id = receipt.consultation;
        if !self.queue.submissions.contains_key(&id) {
            return Ok(());
        }
        let mut w = Writer::with_capacity(4096);
        write_receipt(&mut w, &receipt);
        let written = self.receipts.write(KIND_RECEIPT, &w.finish()).and_then(|_| self.receipts.commit());
        written.map_err(|error| self.refuse(error))?;
        self.index_receipt(&receipt);
        let dir = self.submission_dir(id);
        let destroyed = disk::shred(&dir.join("key")).and_then(|()| disk::remove_dir(&dir));
        destroyed.map_err(|error| self.refuse(error))?;
        self.queue.submissions.remove(&id);
        self.queue.remember(receipt);
        let _ = self.index.remove(&index_key(b's', id));
        self.sync_index();
        self.fault_of_set_aside();
        self.put_receipts_away().map_err(|error| self.refuse(error))?;
        self.rotate_if_few()
    }

    /// The newest receipts, oldest first.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.queue.newest.iter().cloned().collect()
    }

    fn put_receipts_away(&mut self) -> io::Result<()> {
        if self.receipts.bytes() < RECEIPTS_BYTES_MAX {
            return Ok(());
        }
        let key = self.keyring.receipts_key();
        let (path, older) = (self.dir.join("receipts.log"), self.dir.join("receipts-older.log"));
        if older.exists()
            && let Ok(scan) = log::read(&older, &key, NOT_A_PATIENT)
        {
            for receipt in scan.frames.iter().filter_map(|frame| receipt(&frame.content).ok()) {
                self.queue.proved.remove(&receipt.consultation);
                let _ = self.index.remove(&index_key(b'r', receipt.consultation));
            }
        }
        fs::rename(&path, &older)?;
        self.receipts = Log::create(&path, &key, NOT_A_PATIENT, RECEIPTS_STEP)?;
        disk::sync_dir(&self.dir)
    }

    pub(crate) fn index_state(&mut self, id: ConsultationId) {
        self.put_state(id);
        self.sync_index();
    }

    fn put_state(&mut self, id: ConsultationId) {
        let Some(queued) = self.queue.submissions.get(&id) else { return };
        let mut w = Writer::with_capacity(64);
        w.u64(queued.number).u32(queued.attempts).u32(queued.answered).u8(u8::from(queued.set_aside.is_some()));
        let put = self.index.put(&index_key(b's', id), &w.finish());
        self.index_written(put);
    }

    fn index_receipt(&mut self, receipt: &Receipt) {
        let mut w = Writer::with_capacity(4096);
        write_receipt(&mut w, receipt);
        let value = w.finish();
        let short = &value[..value.len().min(crate::index::VALUE_BYTES_MAX)];
        let put = self.index.put(&index_key(b'r', receipt.consultation), short);
        self.index_written(put);
    }

    fn sync_index(&mut self) {
        let synced = self.index.sync();
        self.index_written(synced);
    }

    fn index_written(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            warn!("the index could not be written: {error}");
            self.set_fault(FaultCode::IndexRebuilt, Some(format!("the index could not be written: {error}")));
        }
    }

    fn fault_of_set_aside(&mut self) {
        let mut aside = self.queue.all().filter_map(|queued| queued.set_aside.as_ref().map(|why| (queued, why)));
        let detail = aside.next().map(|(queued, why)| {
            let others = aside.count();
            format!("consultation {} was set aside ({others} others): {why}", queued.consultation)
        });
        self.set_fault(FaultCode::SetAside, detail);
    }

    fn submission_dir(&self, id: ConsultationId) -> std::path::PathBuf {
        self.dir.join("submissions").join(id.to_string())
    }
}

fn index_key(prefix: u8, id: ConsultationId) -> Vec<u8> {
    let mut key = vec![prefix];
    key.extend_from_slice(id.0.as_bytes());
    key
}
