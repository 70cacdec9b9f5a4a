//! What was recorded, on its way into the outbox: beside the screen's thread, and held while the outbox is away.

use std::collections::VecDeque;

use consult::ecg::Ecg;
use consult::vitals::{DeviceIdentity, Measurement, Moment, Reading, Recording, RecordingKind, Value};
use outbox::{BlobId, Client};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

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
        bytes: Zeroizing<Vec<u8>>,
        /// Of the bytes, taken where they came.
        sha256: [u8; 32],
        /// Length in time, ms; 0 of a picture.
        duration_ms: u32,
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
        let (kind, duration_ms) = match &self.content {
            Content::Ecg(ecg) => (RecordingKind::Ecg, ecg.duration_ms()),
            Content::File { kind, duration_ms, .. } => (*kind, *duration_ms),
        };
        let recording = Recording {
            kind,
            blob: *kept.blob.0.as_bytes(),
            sha256: kept.sha256,
            size_bytes: kept.size_bytes,
            duration_ms,
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
                packed = Zeroizing::new(ecg.to_bytes());
                ("ecg", ECG_TYPE, &packed, Sha256::digest(&packed).into())
            }
            Content::File { kind: RecordingKind::Sound, bytes, sha256, .. } => ("sound", "audio/flac", bytes, *sha256),
            Content::File { bytes, sha256, .. } => ("picture", "image/jpeg", bytes, *sha256),
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
