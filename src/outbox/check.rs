//! Looks through an outbox that is not running: every log and every sealed file is opened.

use crate::keys::{KeyError, Keyring};
use crate::parked::{check_lock, held, held_key};
use crate::queue::NOT_A_PATIENT;
use crate::record::{BlobId, ConsultationId, LETTER_BYTES_MAX, LetterId, UPLOAD_BYTES_MAX};
use crate::store::{consultations, submission_key};
use crate::{blob, log};
use std::fs;
use std::io;
use std::path::Path;
use uuid::Uuid;

/// What [`check`] found.
#[derive(Debug, Default)]
pub struct Report {
    /// Journals that are open; one at most.
    pub journals: u32,
    /// Submissions that wait or are set aside.
    pub submissions: u32,
    /// Consultations whose patients may come back.
    pub parked: u32,
    /// Journals of which no record could be made, kept aside.
    pub aside: u32,
    /// Replies to specialists that wait for the desk.
    pub letters: u32,
    /// Receipts kept.
    pub receipts: u32,
    /// Frames and sealed files that were opened and are whole.
    pub whole: u32,
    /// What is not as it should be, for a technician, without patient data.
    pub problems: Vec<String>,
}

/// What of patients is in an outbox, counted by its folders: no key is needed for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Consultations that are open; one at most.
    pub open: u32,
    /// Submissions that wait or are set aside.
    pub waiting: u32,
    /// Consultations whose patients may come back.
    pub parked: u32,
    /// Journals kept aside.
    pub aside: u32,
    /// Replies to specialists that wait for the desk.
    pub letters: u32,
}

impl Left {
    /// All of them.
    pub fn count(&self) -> u32 {
        self.open + self.waiting + self.parked + self.aside + self.letters
    }
}

/// Counts what of patients is in the outbox in `dir`, which may be running; none where there is no outbox.
///
/// # Errors
/// When the folders cannot be read.
pub fn left(dir: &Path) -> io::Result<Left> {
    let count = |part: &str| match consultations(&dir.join(part)) {
        Ok(found) => Ok(found.len() as u32),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    };
    let (open, waiting) = (count("journal")?, count("submissions")?);
    let letters = count(crate::letters::FOLDER)?;
    Ok(Left { open, waiting, parked: count("parked")?, aside: count("journal-aside")?, letters })
}

/// Opens every log and every sealed file of an outbox that is not running, and changes nothing that it holds.
pub fn check(dir: &Path, root: crate::keys::RootKey) -> Result<Report, crate::store::StoreError> {
    let at = |cause| crate::store::StoreError::Io { path: dir.to_path_buf(), cause };
    if !dir.join("keys").is_dir() {
        return Err(at(io::Error::new(io::ErrorKind::NotFound, "there is no outbox here")));
    }
    let _lock = crate::store::lock(dir)?;
    let keyring = Keyring::open(&dir.join("keys"), root)?;
    let mut report = Report::default();
    for (id, path) in consultations(&dir.join("journal")).map_err(at)? {
        report.journals += 1;
        check_part(&keyring, &crate::store::journal_key(&path, id), &path, &mut report);
    }
    for (id, path) in consultations(&dir.join("submissions")).map_err(at)? {
        report.submissions += 1;
        check_part(&keyring, &submission_key(&path, id), &path, &mut report);
    }
    // An outbox of an earlier release has no such folder.
    for (id, path) in consultations(&dir.join("parked")).unwrap_or_default() {
        report.parked += 1;
        check_part(&keyring, &held_key(&path, id), &held(&path), &mut report);
        if let Err(error) = check_lock(&keyring, &path, id) {
            report.problems.push(format!("parked {id}: {error}"));
        }
    }
    // Neither has one in which nothing went wrong.
    for (id, path) in consultations(&dir.join("journal-aside")).unwrap_or_default() {
        report.aside += 1;
        check_part(&keyring, &crate::store::journal_key(&path, id), &path, &mut report);
    }
    // Nor an earlier release's.
    for (id, path) in consultations(&dir.join(crate::letters::FOLDER)).unwrap_or_default() {
        report.letters += 1;
        check_letter(&keyring, LetterId(id.0), &path, &mut report);
    }
    for name in ["receipts-older.log", "receipts.log"] {
        let path = dir.join(name);
        if !path.exists() {
            continue;
        }
        match log::read(&path, &keyring.receipts_key(), NOT_A_PATIENT) {
            Ok(scan) => {
                report.receipts += scan.frames.len() as u32;
                if scan.damaged {
                    report.problems.push(format!("{name}: damaged after {} receipts", scan.frames.len()));
                }
            }
            Err(error) => report.problems.push(format!("{name}: {error}")),
        }
    }
    Ok(report)
}

fn check_letter(keyring: &Keyring, letter: LetterId, dir: &Path, report: &mut Report) {
    let key = match keyring.load(&crate::letters::letter_key(dir, letter)) {
        Ok(key) => key,
        Err(error) => return report.problems.push(format!("reply {letter} to a specialist: {error}")),
    };
    match blob::read(dir, &key, ConsultationId(letter.0), BlobId(letter.0), LETTER_BYTES_MAX) {
        Ok(_) => report.whole += 1,
        Err(error) => report.problems.push(format!("reply {letter} to a specialist: {error}")),
    }
}

fn check_part(keyring: &Keyring, file: &crate::keys::KeyFile, dir: &Path, report: &mut Report) {
    let id = file.consultation;
    let part = file.part;
    let key = match keyring.load(file) {
        Ok(key) => key,
        Err(KeyError::Destroyed) => {
            report.problems.push(format!("{part:?} of {id}: its key was destroyed, its removal is not finished"));
            return;
        }
        Err(error) => {
            report.problems.push(format!("{part:?} of {id}: {error}"));
            return;
        }
    };
    match log::read(&dir.join("log"), &key, id) {
        Ok(scan) => {
            report.whole += scan.frames.len() as u32;
            if scan.damaged {
                report.problems.push(format!("{part:?} of {id}: damaged after {} frames", scan.frames.len()));
            }
        }
        Err(error) => report.problems.push(format!("{part:?} of {id}: its log: {error}")),
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_blob = path.extension().is_some_and(|extension| extension == "blob");
        let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| Uuid::try_parse(stem).ok());
        let Some(name) = name.filter(|_| is_blob) else { continue };
        match blob::read(dir, &key, id, BlobId(name), UPLOAD_BYTES_MAX) {
            Ok(_) => report.whole += 1,
            Err(error) => report.problems.push(format!("{part:?} of {id}, file {name}: {error}")),
        }
    }
}
