//! From the dossier to what is sent and what is printed.

use anyhow::Context as _;
use consult::dossier::Dossier;
use consult::vitals::{Moment, Value};
use drivers::ports::system_clock;
use outbox::{BlobId, Body, Client, Submission, Upload};
use time::{OffsetDateTime, UtcOffset};
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

/// Bundles the dossier and hands it to the outbox. Returns once it is sealed and durable; nothing was sent yet.
///
/// # Errors
/// What the outbox or the bundle refuses. The dossier is still there: try again.
pub fn submit(
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
    outbox.submit(Submission {
        uploads: uploads.collect(),
        bundle: Zeroizing::new(bundled.bundle),
        proof: bundled.proof,
    })?;
    Ok(())
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
