//! From the dossier to what is sent and what is printed.

use anyhow::Context as _;
use consult::dossier::{ComeBackCode, ConsultationId, Dossier, Outcome};
use consult::vitals::{Moment, Value};
use drivers::ports::system_clock;
use outbox::{BlobId, Body, Client, Submission, Upload};
use time::{OffsetDateTime, UtcOffset};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::documents::papers::Paper;
use crate::documents::{Missing, Sheet, Surroundings};
use crate::enrolment::Identity;
use crate::settings::Settings;
use crate::words;

/// Name of a cabin that no desk knows: its records say so.
const NOT_ENROLLED: &str = "cabin-not-enrolled";

/// Local time less UTC, minutes, at `at`. UTC when the system does not tell.
pub fn utc_offset_minutes(at: Moment) -> i16 {
    let utc = OffsetDateTime::from_unix_timestamp(at.0 / 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC).whole_minutes()
}

/// What a record says of a model beside what its device says. An instrument has no model.
fn facts(key: &str) -> fhir::ModelFacts {
    let model = drivers::model(key);
    let maker = model.map(|model| model.maker).filter(|maker| *maker != "any");
    fhir::ModelFacts { maker, is_medical: model.is_none_or(drivers::Model::is_medical) }
}

/// Bundles the dossier and hands it to the outbox. An outbox that did so before and lost its answer has nothing open.
///
/// # Errors
/// As [`hand_over`].
pub fn submit(
    outbox: &Client,
    dossier: &Dossier,
    settings: &Settings,
    identity: Option<&Identity>,
    now: Moment,
) -> anyhow::Result<()> {
    let is_not_open = |error: &anyhow::Error| {
        let refused = error.downcast_ref::<outbox::Error>();
        matches!(refused, Some(outbox::Error::Refused(refused)) if refused.refusal == outbox::Refusal::NotOpen)
    };
    match hand_over(outbox, dossier, settings, identity, now) {
        Err(error) if is_not_open(&error) && matches!(outbox.read_back(), Ok(None)) => Ok(()),
        other => other,
    }
}

/// Bundles the dossier and hands it to the outbox, which parks it where the patient will come back. Returns once it is sealed and durable; nothing was sent yet.
///
/// # Errors
/// What the outbox or the bundle refuses. The dossier is still there: try again.
fn hand_over(
    outbox: &Client,
    dossier: &Dossier,
    settings: &Settings,
    identity: Option<&Identity>,
    now: Moment,
) -> anyhow::Result<()> {
    let files = physician_files(outbox, dossier)?;
    let sheet = sheet(dossier, settings, now);
    let context = fhir::Context {
        cabin: identity.map_or(NOT_ENROLLED, |identity| identity.cabin_id.as_str()),
        site: &settings.record_site,
        software_version: env!("CARGO_PKG_VERSION"),
        now,
        utc_offset_minutes: utc_offset_minutes(now),
        model: facts,
    };
    let physician: Vec<&[u8]> = files.iter().map(|file| file.as_slice()).collect();
    let recorded = recordings(outbox, dossier)?;
    let recordings: Vec<fhir::RecordingFile<'_>> =
        recorded.iter().map(|(blob, bytes)| fhir::RecordingFile { blob: *blob, bytes }).collect();
    let summary = sheet.as_ref().map(|sheet| sheet.as_slice());
    let files = fhir::Files { physician: &physician, summary, recordings: &recordings };
    let bundled = fhir::bundle(dossier, &context, files)?;
    let uploads = bundled.uploads.into_iter().map(|upload| Upload {
        path: upload.path,
        content_type: upload.content_type.to_owned(),
        body: Body::Bytes(Zeroizing::new(upload.bytes)),
    });
    let submission =
        Submission { uploads: uploads.collect(), bundle: Zeroizing::new(bundled.bundle), proof: bundled.proof };
    match (&dossier.ended, &dossier.come_back, &dossier.identity) {
        (Some((Outcome::ToComeBack, _)), Some(come_back), Some(identity)) => {
            let (year, month, day) = identity.traits().birth_date.parts();
            let birth_date = (year, month.unwrap_or(0), day.unwrap_or(0));
            outbox.park(submission, &secret(&come_back.code, birth_date), come_back.until.0.div_euclid(1_000))?;
        }
        _ => outbox.submit(submission)?,
    }
    Ok(())
}

/// What opens a parked consultation: the code, and year, month and day of birth (0 where not known).
pub fn secret(code: &ComeBackCode, (year, month, day): (u16, u8, u8)) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}/{year:04}-{month:02}-{day:02}", code.reveal()).into_bytes())
}

/// [`submit`] beside the screen's thread; `told` hears of it once nothing of the dossier is left here.
pub fn seal(
    runtime: &Handle,
    outbox: &Client,
    dossier: Dossier,
    (settings, identity): (Settings, Option<Identity>),
    now: Moment,
    told: impl FnOnce(ConsultationId, anyhow::Result<()>) + Send + 'static,
) {
    let outbox = outbox.clone();
    runtime.spawn_blocking(move || {
        let of = dossier.id;
        let sealed = submit(&outbox, &dossier, &settings, identity.as_ref(), now);
        drop(dossier);
        told(of, sealed);
    });
}

/// Whether sealing fails for what the record is itself, so that trying again gives the same: not for an outbox that is
/// away or a disk that is full.
pub fn is_lasting(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(is_lasting_refusal) || error.is::<fhir::Unfit>()
}

/// Whether the outbox refuses for what it is given: not because it is away or its disk is full.
pub fn is_lasting_refusal(error: &outbox::Error) -> bool {
    use outbox::Refusal::{Damaged, Malformed, TooLarge, UnknownBlob};
    matches!(error, outbox::Error::Refused(refused)
        if matches!(refused.refusal, Damaged | Malformed | TooLarge | UnknownBlob))
}

/// What is printed, one job each, or handed to a telephone: the patient's sheet, then the physician's documents
/// unchanged.
///
/// # Errors
/// A document cannot be read back from the outbox.
pub fn papers(outbox: &Client, dossier: &Dossier, settings: &Settings) -> anyhow::Result<Vec<Paper>> {
    let sheet = sheet(dossier, settings, system_clock());
    let mut papers: Vec<_> =
        sheet.into_iter().map(|pdf| Paper { kind: "summary", title: Zeroizing::default(), pdf }).collect();
    let files = physician_files(outbox, dossier)?;
    papers.extend(dossier.documents.iter().zip(files).map(|(received, pdf)| Paper {
        kind: words::wire_document_kind(received.document.kind),
        title: Zeroizing::new(received.document.name.reveal().to_owned()),
        pdf,
    }));
    Ok(papers)
}

/// A recording: its name in the outbox, and its bytes.
type Recorded = ([u8; 16], Zeroizing<Vec<u8>>);

/// What was recorded and kept.
fn recordings(outbox: &Client, dossier: &Dossier) -> anyhow::Result<Vec<Recorded>> {
    let readings = dossier.kept.iter().flat_map(|kept| &kept.readings);
    readings
        .filter_map(|reading| if let Value::Recording(recording) = reading.value { Some(recording.blob) } else { None })
        .map(|blob| {
            let id = uuid::Uuid::from_bytes(blob);
            Ok((blob, outbox.get_blob(BlobId(id)).context("a recording is not in the outbox")?.bytes))
        })
        .collect()
}

fn physician_files(outbox: &Client, dossier: &Dossier) -> anyhow::Result<Vec<Zeroizing<Vec<u8>>>> {
    dossier
        .documents
        .iter()
        .map(|received| {
            let id = received.document.blob.parse().context("a document's name in the journal is not a blob's")?;
            Ok(outbox.get_blob(BlobId(id))?.bytes)
        })
        .collect()
}

/// The patient's sheet as PDF; `None` when there is none to give. A record is never held up by it: the physician's
/// words are in the record themselves.
fn sheet(dossier: &Dossier, settings: &Settings, now: Moment) -> Option<Zeroizing<Vec<u8>>> {
    let sheet = match patient_sheet(dossier, settings, now) {
        Ok(sheet) => sheet,
        Err(missing) => {
            tracing::debug!(%missing, "no sheet for the patient");
            return None;
        }
    };
    match sheet.pdf() {
        Ok(pdf) => Some(Zeroizing::new(pdf)),
        Err(fault) => {
            tracing::error!(%fault, "the patient's sheet could not be made; the record goes without it");
            None
        }
    }
}

/// The patient's sheet, to print or to show as codes.
///
/// # Errors
/// [`Missing`] says what is not there yet.
pub fn patient_sheet(dossier: &Dossier, settings: &Settings, now: Moment) -> Result<Sheet, Missing> {
    let around = Surroundings { site: &settings.record_site, now, utc_offset_minutes: utc_offset_minutes(now) };
    Sheet::of(dossier, around)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use consult::consent::{ConsentAnswer, ConsentAnswers, Consents, Decision};
    use consult::dossier::{Kept, Language};
    use consult::ecg::{Ecg, Lead};
    use consult::vitals::{DeviceIdentity, Measurement, Reading, Recording, RecordingKind};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::served_outbox::ServedOutbox;

    const PATIENCE: Duration = Duration::from_secs(900);

    /// Minutes of eight leads at 800 Hz, as a Contec ECG90A keeps them.
    fn minutes(minutes: i32) -> Ecg {
        use Lead::{I, II, V1, V2, V3, V4, V5, V6};
        let samples = (0..minutes * 48_000 * 8).map(|at: i32| at.wrapping_mul(7_919) % 2_000).collect();
        Ecg::new(vec![I, II, V1, V2, V3, V4, V5, V6], 800, 5_000_000_000, samples).unwrap()
    }

    fn kept(measurement: Measurement, kind: RecordingKind, outbox: &Client, bytes: &[u8], duration_ms: u32) -> Kept {
        let blob = outbox.put_blob("recorded", "a/b", bytes).unwrap();
        let (size_bytes, sha256) = (u32::try_from(bytes.len()).unwrap(), Sha256::digest(bytes).into());
        let recording = Recording {
            kind,
            blob: *blob.0.as_bytes(),
            sha256,
            size_bytes,
            duration_ms,
            site: None,
            packed_here: false,
            missing_ms: 0,
        };
        let device = DeviceIdentity { model: "ecg_contec_ecg90a".into(), serial: None, firmware: None };
        let (value, at) = (Value::Recording(recording), Moment(1_790_000_000_000));
        let reading = Reading { value, device, device_at: None, at, high_quality: None };
        Kept { measurement, readings: vec![reading], at, asked_by_physician: false }
    }

    /// A consultation with consent to care, and what was recorded.
    fn dossier(recorded: Vec<Kept>) -> Dossier {
        let mut dossier = crate::documents::tests::dossier(Language::FRENCH);
        let answer = ConsentAnswer { decision: Decision::Given, text_version: 20_260_101 };
        let answers = ConsentAnswers { care: answer, usual_doctor: answer, statistics: answer };
        dossier.consents.push(Consents { answers, at: dossier.started_at });
        dossier.kept.extend(recorded);
        dossier
    }

    #[test]
    fn a_long_electrocardiogram_and_a_large_picture_are_sealed_without_holding_the_screen() {
        let served = ServedOutbox::away();
        served.come_back();
        let outbox = served.client();
        outbox.begin().unwrap();
        // `SEAL_LARGE=1`: the longest recording, and a picture as large as it may be, in base64 more than a blob and
        // not more than a file to be sent. Unoptimised code needs a minute for these.
        let is_large = std::env::var_os("SEAL_LARGE").is_some();
        let (length, size) = if is_large { (10, exam::jpeg::PICTURE_BYTES_MAX) } else { (1, 1_000_000) };
        let ecg = minutes(length).to_bytes();
        let picture = vec![0xA5; size];
        let dossier = dossier(vec![
            kept(Measurement::Ecg, RecordingKind::Ecg, &outbox, &ecg, length.unsigned_abs() * 60_000),
            kept(Measurement::SkinPicture, RecordingKind::Picture, &outbox, &picture, 0),
        ]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let settings =
            crate::settings::tests::settings("pharmacist_after_seconds = 120", "pharmacist_after_seconds = 120");
        let (told, heard) = mpsc::channel();
        let told = move |of, sealed| told.send((of, sealed)).unwrap();
        // The outbox answers nothing while its store is taken: whoever waited for it would wait for ever.
        let taken = outbox::serve::take(&served.store);
        let began = Instant::now();
        seal(runtime.handle(), &outbox, dossier.clone(), (settings, None), Moment(1_790_000_100_000), told);
        let held = began.elapsed();
        assert!(heard.try_recv().is_err());
        drop(taken);
        let (of, sealed) = heard.recv_timeout(PATIENCE).unwrap();
        eprintln!("the screen's thread: {held:?}; sealed after {:?}", began.elapsed());
        sealed.unwrap();
        assert_eq!(of, dossier.id);
        let status = outbox.status().unwrap();
        assert_eq!((status.open, status.waiting), (None, 1));
    }

    #[test]
    fn what_a_record_is_itself_is_told_from_an_outbox_that_is_away() {
        let away = ServedOutbox::away().client();
        assert!(!is_lasting(&away.begin().unwrap_err().into()));
        let refused = |refusal| outbox::Error::Refused(outbox::Refused::new(refusal, ""));
        for refusal in outbox::Refusal::ALL {
            use outbox::Refusal::{Damaged, Malformed, TooLarge, UnknownBlob};
            let lasts = matches!(refusal, Damaged | Malformed | TooLarge | UnknownBlob);
            assert_eq!(is_lasting(&anyhow::Error::from(refused(refusal)).context("said")), lasts, "{refusal:?}");
        }
        assert!(is_lasting(&fhir::Unfit::NotToBeSent.into()));
    }
}
