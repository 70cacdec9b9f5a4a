//! One consultation as a FHIR R4 record: the only place that knows FHIR.
//!
//! Pure: time, ids and bytes come in as arguments, a [`Submission`] comes out, and the same arguments always give the
//! same bytes. Everything is created conditionally on an identifier of ours, so that sending twice stores once.
#![forbid(unsafe_code)]

mod call_back;
mod document;
mod json;
pub mod observation;
mod people;
mod place;
mod plan;
mod recording;
mod second_opinion;
mod terms;
mod visit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use consult::consent::Purpose;
use consult::dossier::{Dossier, IncidentKind, SkipReason};
use consult::ecg::Ecg;
use consult::physician::{DocumentKind as Kind, Physician, Rpps};
use consult::site::DeviceClass;
use consult::vitals::{DeviceIdentity, Measurement, Moment, Recording, RecordingKind, Value};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::document::{Document, DocumentKind, Format};
use crate::json::{Json, object};
use crate::observation::{Absent, Common, Recorded};
pub use crate::place::{Site, SiteKind};
use crate::terms::{RPPS, id_of, own_search};

/// Largest bundle, bytes. Servers refuse or stall on larger transactions; documents travel beside it.
pub const BUNDLE_BYTES_MAX: usize = 1_000_000;

/// Greatest distance of a civil time from UTC, minutes (there is none beyond UTC+14).
const OFFSET_MINUTES_MAX: i16 = 14 * 60;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// What is known of a model beside what a device says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Who makes it, where that is known.
    pub maker: Option<&'static str>,
    /// False of research boards and parcel scales: what they measured is then marked as not for diagnosis.
    pub is_medical: bool,
}

/// What the dossier does not know: where it happened, and which software wrote it.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Identifier of the cabin at its desk.
    pub cabin: &'a str,
    /// The place.
    pub site: &'a Site,
    /// Version of this software.
    pub software_version: &'a str,
    /// Now, by the cabin's clock: the end of a consultation that has none yet.
    pub now: Moment,
    /// Local time less UTC, minutes, -840 to 840.
    pub utc_offset_minutes: i16,
    /// What is known of the model with that key.
    pub model: fn(&str) -> ModelFacts,
}

/// The bytes of the documents, which the dossier only names.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The physician's documents, in the order of `dossier.documents`.
    pub physician: &'a [&'a [u8]],
    /// The patient's sheet, as PDF; `None` when there is none. The physician's words are in the record either way.
    pub summary: Option<&'a [u8]>,
    /// What was recorded, in any order.
    pub recordings: &'a [RecordingFile<'a>],
}

/// The bytes of a recording that a reading of the dossier names.
#[derive(Clone, Copy)]
pub struct RecordingFile<'a> {
    /// Its name in the outbox (`consult::vitals::Recording::blob`).
    pub blob: [u8; 16],
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A file that is sent before the bundle, by PUT.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// Address under the base of the server: `Binary/<uuid>`.
    pub path: String,
    /// `application/fhir+json`.
    pub content_type: &'static str,
    /// The Binary resource.
    pub bytes: Vec<u8>,
}

/// What is sent for one consultation.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// Sent first, in this order.
    pub uploads: Vec<Upload>,
    /// The transaction Bundle, JSON, posted to the base of the server.
    pub bundle: Vec<u8>,
    /// A search under the base that finds exactly one resource, the Encounter, once the bundle is stored.
    pub proof: String,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Submission {{ uploads: {}, bundle: {} bytes }}", self.uploads.len(), self.bundle.len())
    }
}

/// Why a dossier cannot become a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The patient is unknown or did not agree to care: nothing is to be sent, destroy the journal.
    NotToBeSent,
    /// The bytes given for a document are not those that the physician sent: read the blob again.
    Document {
        /// Its place in `dossier.documents`.
        index: usize,
    },
    /// The bytes given for a recording are not those that were recorded, or none were: read the blob again.
    Recording {
        /// Its place among the readings that are kept.
        index: usize,
    },
    /// The bundle would exceed [`BUNDLE_BYTES_MAX`].
    TooLong {
        /// Its length, bytes.
        bytes: usize,
    },
    /// The local time is not one of this world: check the time zone of the cabin.
    Offset {
        /// What was given, minutes.
        minutes: i16,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NotToBeSent => write!(f, "the patient is unknown or did not agree to care: nothing is sent"),
            Unfit::Document { index } => write!(f, "document {index} is not the one that the physician sent"),
            Unfit::Recording { index } => write!(f, "recording {index} is not the one that was made"),
            Unfit::TooLong { bytes } => write!(f, "the record has {bytes} bytes, more than {BUNDLE_BYTES_MAX}"),
            Unfit::Offset { minutes } => write!(f, "UTC offset of {minutes} minutes: check the cabin's time zone"),
        }
    }
}

impl std::error::Error for Unfit {}

/// The record of a consultation.
pub fn bundle(dossier: &Dossier, context: &Context<'_>, files: Files<'_>) -> Result<Submission, Unfit> {
    let Some(identity) = dossier.identity.as_ref().filter(|_| dossier.is_to_be_recorded()) else {
        return Err(Unfit::NotToBeSent);
    };
    if context.utc_offset_minutes.unsigned_abs() > OFFSET_MINUTES_MAX.unsigned_abs() {
        return Err(Unfit::Offset { minutes: context.utc_offset_minutes });
    }
    check_documents(dossier, files.physician)?;

    let ids = Ids { cabin: context.cabin, consultation: dossier.id.to_string() };
    let when = |at: Moment| date_time(at, context.utc_offset_minutes);
    let ended = dossier.ended.map_or(context.now, |(_, at)| at);
    // A clock may have been set back meanwhile.
    let (began, ended) = (when(dossier.started_at), when(ended.max(dossier.started_at)));
    let period = object! { "start": &began, "end": &ended };
    let mut entries = Entries::default();

    let organization = ids.of_cabin("organization");
    let location = ids.of_cabin("location");
    let cabin = ids.of_cabin("device");
    let patient = ids.of("patient", 0);
    let encounter = ids.of("encounter", 0);
    entries.own(organization, place::organization(organization, context.site));
    entries.own(location, place::location(location, context.site, organization, context.cabin));
    // A version is a Device of its own: which software wrote a record is a fact of that record.
    let cabin = id_of(&[&cabin.to_string(), context.software_version]);
    entries.own(cabin, place::cabin_device(cabin, context.software_version, organization, location));
    entries.own(
        patient,
        people::patient(patient, identity, dossier.contact.as_ref(), &|at| local_date(at, context.utc_offset_minutes)),
    );

    // A physician may call twice, and two may call in turn: one Practitioner each.
    let mut practitioners: Vec<(Rpps, Uuid)> = Vec::new();
    for physician in physicians(dossier) {
        if practitioners.iter().all(|(rpps, _)| *rpps != physician.rpps) {
            let rpps = physician.rpps.to_string();
            let id = id_of(&["practitioner", &rpps]);
            entries.push(id, people::practitioner(physician), format!("identifier={RPPS}|{rpps}"));
            practitioners.push((physician.rpps, id));
        }
    }
    let practitioner = |rpps: Rpps| practitioners.iter().find(|(known, _)| *known == rpps).map(|(_, id)| *id);
    let mut seen: Vec<Uuid> = Vec::new();
    for call in dossier.calls.iter().filter(|call| call.connected_at.is_some()) {
        seen.extend(practitioner(call.physician.rpps).filter(|id| !seen.contains(id)));
    }
    entries.own(
        encounter,
        visit::encounter(&visit::Encounter {
            id: encounter,
            consultation: Uuid::from_bytes(dossier.id.0),
            patient,
            practitioners: &seen,
            guests: dossier
                .guests
                .iter()
                .map(|there| {
                    let left = there.left_at.map(|at| when(at.max(there.came_at)));
                    (&there.guest, object! { "start": &when(there.came_at), "end": left })
                })
                .collect(),
            location,
            organization,
            period: period.clone(),
            reason: dossier.reason.as_ref(),
            is_to_come: dossier.call_back.is_some(),
            pauses: dossier
                .pauses
                .iter()
                .map(|pause| object! { "start": &when(pause.from), "end": &when(pause.to.max(pause.from)) })
                .collect(),
        }),
    );
    if let Some(asked) = &dossier.call_back {
        let (id, at) = (ids.of("call-back", 0), when(asked.asked_at));
        let reason = dossier.reason.as_ref();
        let (place, consultation) = (context.site.name.as_str(), Uuid::from_bytes(dossier.id.0));
        let about = call_back::About { patient, encounter, location, place, consultation, reason, at: &at };
        entries.own(id, call_back::task(id, asked, &about));
    }

    let common = Common { patient, encounter, performer: patient, when: &when };
    let mut devices = BTreeMap::new();
    let mut room = recording::SAMPLES_BYTES_MAX;
    let mut recorded: Vec<(Uuid, Uuid, recording::File, Moment)> = Vec::new();
    // Of each picture and sound: its place in `recorded`, what it is, its device.
    let mut pictured: Vec<(usize, Recording, Uuid)> = Vec::new();
    for (seq, reading) in dossier.kept.iter().flat_map(|kept| &kept.readings).enumerate() {
        let facts = (context.model)(&reading.device.model);
        let device = *devices.entry(device_key(&reading.device)).or_insert_with(|| {
            let id = ids.of_device(&reading.device);
            entries.own(id, place::device(id, &reading.device, facts, organization));
            id
        });
        let mut made = None;
        if let Value::Recording(named) = reading.value {
            let bytes = bytes_of(&named, files.recordings).ok_or(Unfit::Recording { index: seq })?;
            let around = recording::Around {
                identity,
                patient,
                ids: waveforms::Ids {
                    study: ids.of("study", 0),
                    series: id_of(&[&ids.of("series", 0).to_string(), &device.to_string()]),
                    instance: ids.of("instance", seq),
                },
                facts,
                institution: &context.site.name,
                software_version: context.software_version,
                utc_offset_minutes: context.utc_offset_minutes,
            };
            let mut documents = Vec::new();
            // A picture or a sound is a document and no figure.
            let is_ecg = named.kind == RecordingKind::Ecg;
            let ecg = Ecg::from_bytes(bytes).ok().filter(|_| is_ecg);
            let samples = ecg.and_then(|ecg| recording::components(&ecg, &mut room));
            let files = recording::files(named.kind, bytes, reading, samples.is_some(), &around);
            for file in files.made {
                let number = recorded.len();
                let id = ids.of("recording", number);
                documents.push(id);
                recorded.push((id, ids.of("recording-binary", number), file, reading.at));
            }
            if !is_ecg {
                pictured.push((recorded.len() - 1, named, device));
                continue;
            }
            made = Some(Recorded { components: samples.unwrap_or(Json::Absent), documents, unfit: files.unfit });
        }
        let id = ids.of("observation", seq);
        entries.own(id, observation::of_reading(id, reading, facts, device, made.as_ref(), &common));
    }
    let skipped =
        dossier.skipped.iter().flat_map(|s| observation::quantities(s.measurement).iter().map(move |q| (s, *q)));
    for (seq, (skip, quantity)) in skipped.enumerate() {
        let why = match skip.reason {
            SkipReason::NotWanted => Absent::Declined,
            SkipReason::DeviceOut | SkipReason::NoResult => Absent::DeviceFault,
            SkipReason::CannotPlace | SkipReason::Hurts | SkipReason::Withdrawn => Absent::NotPerformed,
            SkipReason::BelowRange => Absent::BelowRange,
            SkipReason::AboveRange => Absent::AboveRange,
            SkipReason::OutOfRange => Absent::OutOfRange,
        };
        let id = ids.of("absent", seq);
        entries.own(id, observation::of_absence(id, quantity, why, &when(skip.at), &common));
    }

    if let Some(consents) = dossier.consents.last() {
        for (seq, purpose) in Purpose::ALL.into_iter().enumerate() {
            let (id, answer) = (ids.of("consent", seq), consents.answers.answer(purpose));
            entries.own(id, visit::consent(id, purpose, answer, &when(consents.at), patient, organization));
        }
    }
    let answers = visit::Answers {
        reason: dossier.reason.as_ref(),
        signs: &dossier.warning_answers,
        cleared: dossier.sign_cleared.as_ref().map(|(sign, by, at)| (*sign, by.name.as_str(), when(*at))),
    };
    if answers.reason.is_some() || !answers.signs.is_empty() {
        let id = ids.of("answers", 0);
        entries.own(id, visit::questionnaire(id, &answers, &began, patient, encounter));
    }
    for (seq, incident) in dossier.incidents.iter().enumerate() {
        let (key, name) = incident_words(incident.kind);
        let (from, to) = (when(incident.started_at), incident.ended_at.map(when));
        let incident = visit::Incident { key, name, from: &from, to: to.as_deref() };
        let id = ids.of("incident", seq);
        entries.own(id, visit::incident(id, &incident, cabin, encounter));
    }
    if dossier.incidents_uncounted > 0 {
        let name = format!("{} autres incidents", dossier.incidents_uncounted);
        let incident = visit::Incident { key: "incident-others", name: &name, from: &began, to: Some(&ended) };
        let id = ids.of("incident", dossier.incidents.len());
        entries.own(id, visit::incident(id, &incident, cabin, encounter));
    }

    let summaries = dossier.summaries_of_calls();
    for (seq, received) in summaries.iter().enumerate() {
        let (id, author) = (ids.of("plan", seq), practitioner(received.physician.rpps));
        entries.own(id, plan::care_plan(id, &received.summary, author, &when(received.at), patient, encounter));
    }

    let mut uploads = Vec::new();
    let given = dossier.documents.iter().zip(files.physician).map(|(received, pdf)| {
        let kind = match received.document.kind {
            Kind::Prescription => DocumentKind::Prescription,
            Kind::Certificate => DocumentKind::Certificate,
            Kind::Other => DocumentKind::Other,
            Kind::Report => DocumentKind::Report,
            Kind::Letter => DocumentKind::Letter,
        };
        (Document { kind, format: Format::Pdf, bytes: pdf, at: received.at }, received.physician.rpps)
    });
    let summary = summaries.last().zip(files.summary).map(|(received, pdf)| {
        let (kind, format) = (DocumentKind::Summary, Format::Pdf);
        (Document { kind, format, bytes: pdf, at: received.at }, received.physician.rpps)
    });
    for (seq, (at, named, device)) in pictured.iter().enumerate() {
        let Some((_, binary, file, moment)) = recorded.get(*at) else { continue };
        let document = Document { kind: file.kind, format: file.format, bytes: &file.bytes, at: *moment };
        let about = document::About {
            patient,
            encounter,
            author: cabin,
            custodian: organization,
            site: context.site.kind,
            period: period.clone(),
            at: &when(*moment),
        };
        let id = ids.of("media", seq);
        entries.own(id, document::media(id, *binary, &document, named, *device, &about));
    }
    let written = given.chain(summary).enumerate().map(|(seq, (document, author))| {
        (ids.of("document", seq), ids.of("binary", seq), document, practitioner(author).unwrap_or(cabin))
    });
    let recorded = recorded.iter().map(|(id, binary, file, at)| {
        (*id, *binary, Document { kind: file.kind, format: file.format, bytes: &file.bytes, at: *at }, cabin)
    });
    let mut documents = Vec::new();
    for (id, binary, document, author) in written.chain(recorded) {
        documents.push(id);
        let about = document::About {
            patient,
            encounter,
            author,
            custodian: organization,
            site: context.site.kind,
            period: period.clone(),
            at: &when(document.at),
        };
        entries.own(id, document::reference_to(id, binary, &document, &about));
        uploads.push(Upload {
            path: format!("Binary/{binary}"),
            content_type: "application/fhir+json",
            bytes: document::binary(binary, &document).to_bytes(),
        });
    }

    if let Some(asked) = &dossier.second_opinion {
        let rpps = asked.opinion.requester.rpps;
        let made = second_opinion::Made {
            service: ids.of("opinion-service", 0),
            task: ids.of("opinion", 0),
            answers: ids.of("opinion-answers", 0),
            consent: ids.of("opinion-consent", 0),
            role: ids.of("opinion-role", 0),
            practitioner: id_of(&["practitioner", &rpps.to_string()]),
        };
        let wanted = Moment(asked.asked_at.0.saturating_add(i64::from(asked.opinion.wanted_days) * DAY_MS));
        let about = second_opinion::About {
            patient,
            encounter,
            location,
            organization,
            place: &context.site.name,
            cabin: context.cabin,
            consultation: Uuid::from_bytes(dossier.id.0),
            reason: dossier.reason.as_ref().map(|reason| visit::reason_of(reason.kind)),
            at: &when(asked.asked_at),
            wanted: &when(wanted),
            documents: &documents,
        };
        if practitioner(rpps).is_none() {
            let once = format!("identifier={RPPS}|{rpps}");
            entries.push(made.practitioner, second_opinion::practitioner(asked), once);
        }
        entries.own(made.role, second_opinion::role(&made, asked, &about));
        entries.own(made.consent, second_opinion::consent(&made, &about));
        entries.own(made.answers, second_opinion::answers(&made, asked, &about));
        entries.own(made.service, second_opinion::service_request(&made, asked, &about));
        entries.own(made.task, second_opinion::task(&made, asked, &about));
    }

    let bundle = object! {
        "resourceType": "Bundle",
        "identifier": terms::own_identifier(ids.of("bundle", 0)),
        "type": "transaction",
        "entry": entries.list,
    }
    .to_bytes();
    if bundle.len() > BUNDLE_BYTES_MAX {
        return Err(Unfit::TooLong { bytes: bundle.len() });
    }
    // In an address the bar is escaped: some servers refuse it bare.
    let proof = format!("Encounter?{}", own_search(encounter).replace('|', "%7C"));
    Ok(Submission { uploads, bundle, proof })
}

/// Makes the ids of one consultation: UUIDv5 of cabin, consultation, kind and number.
struct Ids<'a> {
    cabin: &'a str,
    consultation: String,
}

impl Ids<'_> {
    fn of(&self, kind: &str, seq: usize) -> Uuid {
        id_of(&[self.cabin, &self.consultation, kind, &seq.to_string()])
    }

    /// Of what stays from one consultation to the next.
    fn of_cabin(&self, kind: &str) -> Uuid {
        id_of(&[self.cabin, "cabin", kind])
    }

    fn of_device(&self, device: &DeviceIdentity) -> Uuid {
        match &device.serial {
            Some(serial) => id_of(&["device", &device.model, serial, device.firmware.as_deref().unwrap_or("")]),
            None => id_of(&[self.cabin, "cabin", &device.model, device.firmware.as_deref().unwrap_or("")]),
        }
    }
}

/// The entries of a transaction, each created only where its identifier is not known yet.
#[derive(Default)]
struct Entries {
    list: Vec<Json>,
}

impl Entries {
    /// Adds a resource known by the identifier that we gave it.
    fn own(&mut self, id: Uuid, resource: Json) {
        self.push(id, resource, own_search(id));
    }

    fn push(&mut self, id: Uuid, resource: Json, if_none_exist: String) {
        let Json::Object(members) = &resource else { return };
        let url = members.iter().find(|(name, _)| *name == "resourceType").map(|(_, kind)| kind.clone());
        self.list.push(object! {
            "fullUrl": terms::full_url(id),
            "resource": resource,
            "request": object! { "method": "POST", "url": url, "ifNoneExist": if_none_exist },
        });
    }
}

fn check_documents(dossier: &Dossier, bytes: &[&[u8]]) -> Result<(), Unfit> {
    if bytes.len() != dossier.documents.len() {
        return Err(Unfit::Document { index: bytes.len().min(dossier.documents.len()) });
    }
    for (index, (document, bytes)) in dossier.documents.iter().zip(bytes).enumerate() {
        if Sha256::digest(bytes).as_slice() != document.document.sha256 {
            return Err(Unfit::Document { index });
        }
    }
    Ok(())
}

/// The bytes of a recording, if they are those that were recorded.
fn bytes_of<'a>(named: &Recording, given: &[RecordingFile<'a>]) -> Option<&'a [u8]> {
    let file = given.iter().find(|file| file.blob == named.blob)?;
    (Sha256::digest(file.bytes).as_slice() == named.sha256).then_some(file.bytes)
}

fn device_key(device: &DeviceIdentity) -> (&str, Option<&str>, Option<&str>) {
    (&device.model, device.serial.as_deref(), device.firmware.as_deref())
}

/// Every physician of the consultation, callers first.
fn physicians(dossier: &Dossier) -> impl Iterator<Item = &Physician> {
    let callers = dossier.calls.iter().map(|call| &call.physician);
    let authors = dossier.summaries.iter().map(|summary| &summary.physician);
    callers.chain(authors).chain(dossier.documents.iter().map(|document| &document.physician))
}

fn incident_words(kind: IncidentKind) -> (&'static str, &'static str) {
    match kind {
        IncidentKind::CallInterrupted => ("incident-call-interrupted", "Image et son interrompus"),
        IncidentKind::NetworkLost => ("incident-network-lost", "Réseau perdu"),
        IncidentKind::WithoutPicture => ("incident-without-picture", "Sans image pour l’essentiel de l’échange"),
        IncidentKind::BrokenOff => ("incident-broken-off", "La téléconsultation n’a pas eu lieu en entier"),
        IncidentKind::CabinRestarted => ("incident-cabin-restarted", "Redémarrage de la cabine"),
        IncidentKind::WithoutDevice(DeviceClass::Stethoscope) => ("incident-no-stethoscope", "Sans stéthoscope"),
        IncidentKind::WithoutDevice(DeviceClass::Otoscope) => ("incident-no-otoscope", "Sans otoscope"),
        IncidentKind::WithoutDevice(DeviceClass::Oximeter) => ("incident-no-oximeter", "Sans oxymètre"),
        IncidentKind::WithoutDevice(DeviceClass::BloodPressure) => ("incident-no-cuff", "Sans tensiomètre"),
        IncidentKind::DeviceLost(Measurement::OxygenAndPulse) => ("incident-oximeter-lost", "Oxymètre débranché"),
        IncidentKind::DeviceLost(Measurement::BloodPressure) => ("incident-cuff-lost", "Tensiomètre débranché"),
        IncidentKind::DeviceLost(Measurement::WeightAndHeight) => ("incident-scale-lost", "Balance débranchée"),
        IncidentKind::DeviceLost(Measurement::Temperature) => ("incident-thermometer-lost", "Thermomètre débranché"),
        IncidentKind::DeviceLost(Measurement::Glucose) => ("incident-glucometer-lost", "Glucomètre débranché"),
        IncidentKind::DeviceLost(Measurement::EarPicture) => ("incident-otoscope-lost", "Otoscope débranché"),
        IncidentKind::DeviceLost(Measurement::SkinPicture) => ("incident-dermatoscope-lost", "Dermatoscope débranché"),
        IncidentKind::DeviceLost(Measurement::Auscultation) => ("incident-stethoscope-lost", "Stéthoscope débranché"),
        IncidentKind::DeviceLost(Measurement::Ecg) => ("incident-ecg-lost", "Électrocardiographe débranché"),
    }
}

/// The civil time at the site. Beyond the year 9999 there is no such date in FHIR either; a cabin's clock never is.
fn local(at: Moment, offset_minutes: i16) -> OffsetDateTime {
    let offset = UtcOffset::from_whole_seconds(i32::from(offset_minutes) * 60).unwrap_or(UtcOffset::UTC);
    let utc = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000);
    utc.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(offset)
}

/// The day at the site: `2026-11-22`.
fn local_date(at: Moment, offset_minutes: i16) -> String {
    let local = local(at, offset_minutes);
    format!("{:04}-{:02}-{:02}", local.year(), u8::from(local.month()), local.day())
}

/// An instant with milliseconds and the site's offset: `2026-11-22T14:05:03.120+01:00`.
fn date_time(at: Moment, offset_minutes: i16) -> String {
    let time = local(at, offset_minutes);
    let (hours, minutes) = (offset_minutes.unsigned_abs() / 60, offset_minutes.unsigned_abs() % 60);
    format!(
        "{}T{:02}:{:02}:{:02}.{:03}{}{hours:02}:{minutes:02}",
        local_date(at, offset_minutes),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond(),
        if offset_minutes < 0 { '-' } else { '+' },
    )
}
