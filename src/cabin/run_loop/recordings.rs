//! What was recorded, on its way into the outbox: beside the screen's thread, and held while the outbox is away.

use std::collections::VecDeque;

use consult::ecg::Ecg;
use consult::private::Private;
use consult::vitals::{BodySite, DeviceIdentity, Measurement, Moment, Reading, Recording, RecordingKind, Value};
use outbox::{BlobId, Client};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::submission;

/// Recordings of one act that are on their way at a time, or wait for an outbox that is away: a folder of several that
/// a recorder gives at once. A further one is refused.
const UNDER_WAY_MAX: usize = 4;

/// Type of an electrocardiogram in the outbox: `consult::ecg::Ecg::to_bytes`.
const ECG_TYPE: &str = "application/x-telecabine-ecg";

/// What was recorded.
pub enum Content {
    /// An electrocardiogram.
    Ecg(Ecg),
    /// A file, as it goes into the record.
    File {
        /// What it is.
        kind: RecordingKind,
        /// Its bytes.
        bytes: Private<Vec<u8>>,
        /// Of the bytes, taken where they came.
        sha256: [u8; 32],
        /// Length in time, ms; 0 of a picture.
        duration_ms: u32,
        /// Where on the body it was taken.
        site: Option<BodySite>,
        /// This machine made the file of what the device sent.
        packed_here: bool,
        /// Lost on the way, ms.
        missing_ms: u32,
    },
}

/// A recording that the outbox does not have yet.
pub struct Pending {
    /// The act that gave it.
    act: u64,
    pub(super) measurement: Measurement,
    content: Content,
    device: DeviceIdentity,
    device_at: Option<Moment>,
    at: Moment,
    is_good: Option<bool>,
}

impl Pending {
    /// A recording as it came; [`Recordings::take`] says of which act it is.
    pub(super) fn new(
        measurement: Measurement,
        content: Content,
        device: DeviceIdentity,
        (device_at, at): (Option<Moment>, Moment),
        is_good: Option<bool>,
    ) -> Self {
        Self { act: 0, measurement, content, device, device_at, at, is_good }
    }

    /// The reading that it is once the outbox has it.
    fn reading(&self, kept: &Kept) -> Reading {
        let (kind, duration_ms, site, packed_here, missing_ms) = match &self.content {
            Content::Ecg(ecg) => (RecordingKind::Ecg, ecg.duration_ms(), None, false, 0),
            Content::File { kind, duration_ms, site, packed_here, missing_ms, .. } => {
                (*kind, *duration_ms, *site, *packed_here, *missing_ms)
            }
        };
        let recording = Recording {
            kind,
            blob: *kept.blob.0.as_bytes(),
            sha256: kept.sha256,
            size_bytes: kept.size_bytes,
            duration_ms,
            site,
            packed_here,
            missing_ms,
        };
        Reading {
            value: Value::Recording(recording),
            device: self.device.clone(),
            device_at: self.device_at,
            at: self.at,
            high_quality: self.is_good,
        }
    }

    /// Puts it into the outbox. Waits for the disk: not for the screen's thread.
    fn put(&self, outbox: &Client) -> Result<Kept, outbox::Error> {
        let packed;
        let (name, content_type, bytes, sha256) = match &self.content {
            Content::Ecg(ecg) => {
                packed = Private::new(ecg.to_bytes());
                ("ecg", ECG_TYPE, packed.reveal(), Sha256::digest(packed.reveal()).into())
            }
            Content::File { kind: RecordingKind::Sound, bytes, sha256, .. } => {
                ("sound", "audio/flac", bytes.reveal(), *sha256)
            }
            Content::File { bytes, sha256, .. } => ("picture", "image/jpeg", bytes.reveal(), *sha256),
        };
        let blob = outbox.put_blob(name, content_type, bytes)?;
        Ok(Kept { blob, sha256, size_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) })
    }
}

/// Where the outbox has it.
pub struct Kept {
    blob: BlobId,
    sha256: [u8; 32],
    size_bytes: u32,
}

/// What became of a recording.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The outbox has it: it is a reading of the act in front of the patient.
    Reading(Measurement, Reading),
    /// The outbox has it, and its act is over: it is nobody's.
    Unwanted(BlobId),
    /// Its act is over.
    Nothing,
    /// The outbox is away: it is held, and tried again.
    Held,
    /// The outbox will never take it.
    TooLarge(Measurement),
}

/// The recordings of the act in front of the patient that the outbox does not have yet.
#[derive(Default)]
pub(super) struct Recordings {
    /// Counts the acts.
    act: u64,
    under_way: usize,
    held: VecDeque<Pending>,
}

impl Recordings {
    /// Another act begins, or this one ends: what comes late is of none.
    pub(super) fn turn(&mut self) {
        self.act += 1;
        self.under_way = 0;
        self.held.clear();
    }

    /// Whether the act gave something that the outbox does not have yet: it is not over before that.
    pub(super) fn are_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Puts a recording of the act in front into the outbox, beside the screen's thread; `told` hears of it. False when
    /// too many are on their way.
    pub(super) fn take(
        &mut self,
        mut pending: Pending,
        outbox: &Client,
        runtime: &Handle,
        told: impl FnOnce(Box<Pending>, Result<Kept, outbox::Error>) + Send + 'static,
    ) -> bool {
        if self.under_way >= UNDER_WAY_MAX {
            return false;
        }
        pending.act = self.act;
        self.under_way += 1;
        put(pending, outbox, runtime, told);
        true
    }

    /// Tries again what is held.
    pub(super) fn try_again(
        &mut self,
        outbox: &Client,
        runtime: &Handle,
        told: impl FnOnce(Box<Pending>, Result<Kept, outbox::Error>) + Clone + Send + 'static,
    ) {
        for pending in std::mem::take(&mut self.held) {
            put(pending, outbox, runtime, told.clone());
        }
    }

    /// What became of one.
    pub(super) fn kept(&mut self, pending: Pending, result: Result<Kept, outbox::Error>) -> Outcome {
        match result {
            Ok(kept) if pending.act != self.act => Outcome::Unwanted(kept.blob),
            Err(_) if pending.act != self.act => Outcome::Nothing,
            Ok(kept) => {
                self.under_way -= 1;
                Outcome::Reading(pending.measurement, pending.reading(&kept))
            }
            Err(error) if submission::is_lasting_refusal(&error) => {
                tracing::error!(%error, "a recording will never be kept");
                self.under_way -= 1;
                Outcome::TooLarge(pending.measurement)
            }
            Err(error) => {
                tracing::error!(%error, "a recording could not be kept; it is held and tried again");
                self.held.push_back(pending);
                Outcome::Held
            }
        }
    }
}

fn put(
    pending: Pending,
    outbox: &Client,
    runtime: &Handle,
    told: impl FnOnce(Box<Pending>, Result<Kept, outbox::Error>) + Send + 'static,
) {
    let outbox = outbox.clone();
    runtime.spawn_blocking(move || {
        let result = pending.put(&outbox);
        told(Box::new(pending), result);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use consult::ecg::Lead;

    use super::*;
    use crate::served_outbox::ServedOutbox;

    const PATIENCE: Duration = Duration::from_secs(60);

    type Told = (Box<Pending>, Result<Kept, outbox::Error>);
    type Heard = mpsc::Receiver<Told>;

    fn ecg() -> Ecg {
        Ecg::new(vec![Lead::I], 250, 1_000_000, (0..2_500).collect()).unwrap()
    }

    fn recorded() -> Pending {
        let device = DeviceIdentity { model: "ecg_pc80b".into(), serial: None, firmware: None };
        let times = (Some(Moment(5)), Moment(9));
        Pending::new(Measurement::Ecg, Content::Ecg(ecg()), device, times, None)
    }

    fn file(bytes: usize) -> Pending {
        let device = DeviceIdentity { model: "otoscope_uvc".into(), serial: None, firmware: None };
        let bytes = Private::new(vec![1; bytes]);
        let content = Content::File {
            kind: RecordingKind::Picture,
            bytes,
            sha256: [0; 32],
            duration_ms: 0,
            site: None,
            packed_here: false,
            missing_ms: 0,
        };
        Pending::new(Measurement::EarPicture, content, device, (None, Moment(9)), Some(true))
    }

    fn channel() -> (impl Fn(Box<Pending>, Result<Kept, outbox::Error>) + Clone + Send + 'static, Heard) {
        let (told, heard) = mpsc::channel();
        (move |pending, result| told.send((pending, result)).unwrap(), heard)
    }

    #[test]
    fn a_recording_made_while_the_outbox_is_away_is_kept_when_it_is_back() {
        let served = ServedOutbox::away();
        served.come_back();
        let outbox = served.client();
        outbox.begin().unwrap();
        let away = ServedOutbox::away().client();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (told, heard) = channel();
        let mut recordings = Recordings::default();
        recordings.turn();
        // The screen's thread asks an outbox that is not there, and is not held.
        assert!(recordings.take(recorded(), &away, runtime.handle(), told.clone()));
        for _ in 0..3 {
            let (pending, result) = heard.recv_timeout(PATIENCE).unwrap();
            assert_eq!(recordings.kept(*pending, result), Outcome::Held);
            assert!(recordings.are_under_way(), "its act is not over");
            recordings.try_again(&away, runtime.handle(), told.clone());
        }
        let (pending, result) = heard.recv_timeout(PATIENCE).unwrap();
        recordings.kept(*pending, result);
        recordings.try_again(&outbox, runtime.handle(), told.clone());
        let (pending, result) = heard.recv_timeout(PATIENCE).unwrap();
        let Outcome::Reading(Measurement::Ecg, reading) = recordings.kept(*pending, result) else {
            panic!("it is kept now");
        };
        let Value::Recording(recording) = reading.value else { panic!("a recording") };
        assert_eq!((reading.device_at, reading.at, recording.duration_ms), (Some(Moment(5)), Moment(9), 10_000));
        let kept = outbox.get_blob(BlobId(uuid::Uuid::from_bytes(recording.blob))).unwrap();
        assert_eq!(kept.bytes.as_slice(), ecg().to_bytes());
        assert_eq!(recording.sha256, <[u8; 32]>::from(Sha256::digest(&kept.bytes)));
        assert!(!recordings.are_under_way());
    }

    #[test]
    fn what_comes_after_its_act_is_nobodys_and_nothing_waits_without_a_limit() {
        let served = ServedOutbox::away();
        served.come_back();
        let outbox = served.client();
        outbox.begin().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (told, heard) = channel();
        let mut recordings = Recordings::default();
        let taken = outbox::serve::take(&served.store);
        for _ in 0..UNDER_WAY_MAX {
            assert!(recordings.take(recorded(), &outbox, runtime.handle(), told.clone()));
        }
        assert!(!recordings.take(recorded(), &outbox, runtime.handle(), told.clone()));
        // The patient begins again while the outbox still writes.
        recordings.turn();
        assert!(!recordings.are_under_way());
        drop(taken);
        for _ in 0..UNDER_WAY_MAX {
            let (pending, result) = heard.recv_timeout(PATIENCE).unwrap();
            let Outcome::Unwanted(blob) = recordings.kept(*pending, result) else { panic!("of an act that is over") };
            outbox.drop_blob(blob).unwrap();
            assert!(outbox.get_blob(blob).is_err());
        }
    }

    #[test]
    fn what_can_never_be_kept_is_said_and_not_tried_again() {
        let served = ServedOutbox::away();
        served.come_back();
        let outbox = served.client();
        outbox.begin().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (told, heard) = channel();
        let mut recordings = Recordings::default();
        assert!(recordings.take(file(outbox::BLOB_BYTES_MAX + 1), &outbox, runtime.handle(), told));
        let (pending, result) = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(recordings.kept(*pending, result), Outcome::TooLarge(Measurement::EarPicture));
        assert!(!recordings.are_under_way());
    }
}
