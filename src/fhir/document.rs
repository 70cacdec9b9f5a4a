//! Documents: the physician's PDF files, the patient's summary and what was recorded, as PDSm (French MHD) describes them.

use base64::Engine;
use sha1::{Digest, Sha1};
use uuid::Uuid;

use consult::reason::BodyPart;
use consult::vitals::{BodySite, Recording, RecordingKind};

use crate::json::{Json, list, object};
use crate::place::SiteKind;
use crate::terms::{LOCAL, LOINC, URI, coding_named, concept, identifiers, reference, urn};

const PRACTICE: &str = "urn:oid:1.2.250.1.213.1.1.4.9";
const MEDIA_TYPE: &str = "http://terminology.hl7.org/CodeSystem/media-type";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// The patient's sheet that the cabin made: the report of the teleconsultation, LOINC 85208-7.
    Summary,
    /// A prescription of health products, LOINC 57833-6.
    Prescription,
    /// A medical certificate, LOINC 89601-9.
    Certificate,
    /// The physician's own report, LOINC 11488-4.
    Report,
    /// A letter to another professional, LOINC 96349-6.
    Letter,
    /// An electrocardiogram, LOINC 11524-6.
    Ecg,
    /// A picture, LOINC 52040-3: what the French document types know for one that is no DICOM file.
    Picture,
    /// Sounds of heart and lungs: no LOINC code says so, so it carries one of ours.
    Sound,
    /// Anything else the physician gave: no LOINC code says so, so it carries one of ours.
    Other,
}

impl DocumentKind {
    /// Code system, code and words.
    fn code(self) -> (&'static str, &'static str, &'static str) {
        match self {
            DocumentKind::Summary => (LOINC, "85208-7", "Compte rendu de télémédecine"),
            DocumentKind::Prescription => (LOINC, "57833-6", "Prescription de produits de santé"),
            DocumentKind::Certificate => (LOINC, "89601-9", "Certificat médical"),
            DocumentKind::Report => (LOINC, "11488-4", "Compte rendu de consultation"),
            DocumentKind::Letter => (LOINC, "96349-6", "Lettre d'adressage"),
            DocumentKind::Ecg => (LOINC, "11524-6", "Électrocardiogramme"),
            DocumentKind::Picture => (LOINC, "52040-3", "Image d'illustration non DICOM"),
            DocumentKind::Sound => (LOCAL, "document-auscultation", "Auscultation"),
            DocumentKind::Other => (LOCAL, "document-other", "Autre document"),
        }
    }
}

/// How a document's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PDF.
    Pdf,
    /// A DICOM file.
    Dicom,
    /// An EDF+ file, for which no media type is registered.
    Edf,
    /// An electrocardiogram as the cabin keeps it (`consult/ecg.rs` says how): only where no other format holds it.
    Ecg1,
    /// A JPEG file.
    Jpeg,
    /// A FLAC file.
    Flac,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Format::Pdf => "application/pdf",
            Format::Dicom => "application/dicom",
            Format::Edf | Format::Ecg1 => "application/octet-stream",
            Format::Jpeg => "image/jpeg",
            Format::Flac => "audio/flac",
        }
    }

    /// What tells two files of one thing apart.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Format::Dicom => " (DICOM)",
            Format::Edf => " (EDF+)",
            Format::Ecg1 => " (ECG1)",
            Format::Pdf | Format::Jpeg | Format::Flac => "",
        }
    }
}

/// A file that goes with the record.
#[derive(Clone)]
pub struct Document<'a> {
    /// What it is.
    pub kind: DocumentKind,
    /// How its bytes are written.
    pub format: Format,
    /// Its bytes, as the physician sent them.
    pub bytes: &'a [u8],
    /// When it was made or received.
    pub at: consult::vitals::Moment,
}

pub(crate) struct About<'a> {
    pub(crate) patient: Uuid,
    pub(crate) encounter: Uuid,
    /// A practitioner, or the cabin for what it made itself.
    pub(crate) author: Uuid,
    pub(crate) custodian: Uuid,
    pub(crate) site: SiteKind,
    pub(crate) period: Json,
    pub(crate) at: &'a str,
}

/// The Binary that holds the bytes, sent by PUT before the bundle: its id is ours, so sending twice changes nothing.
pub(crate) fn binary(id: Uuid, document: &Document<'_>) -> Json {
    object! {
        "resourceType": "Binary",
        "id": id.to_string(),
        "contentType": document.format.content_type(),
        "data": base64::engine::general_purpose::STANDARD.encode(document.bytes),
    }
}

/// What a picture or a sound is of, and what it was taken with: a document has no place for it.
pub(crate) fn media(
    id: Uuid,
    binary: Uuid,
    document: &Document<'_>,
    recording: &Recording,
    device: Uuid,
    about: &About<'_>,
) -> Json {
    let (system, code, title) = document.kind.code();
    let (kind, words) = match recording.kind {
        RecordingKind::Sound => ("audio", "Audio"),
        _ => ("image", "Image"),
    };
    let mut notes = Vec::new();
    if recording.packed_here {
        notes.push(object! { "text": "Comprimée en JPEG par la cabine : la caméra envoyait des images brutes." });
    }
    if recording.missing_ms > 0 {
        notes.push(object! { "text": format!("Il manque {} ms de son, perdues sur le câble.", recording.missing_ms) });
    }
    object! {
        "resourceType": "Media",
        "identifier": identifiers(id),
        "status": "completed",
        "type": concept(vec![coding_named(MEDIA_TYPE, kind, words)]),
        "modality": concept(vec![coding_named(system, code, title)]),
        "subject": reference(about.patient),
        "encounter": reference(about.encounter),
        "createdDateTime": about.at,
        "operator": reference(about.author),
        "bodySite": recording.site.map(|site| {
            let (key, name) = body_site(site);
            concept(vec![coding_named(LOCAL, key, name)])
        }),
        "device": reference(device),
        "duration": (recording.duration_ms > 0).then(|| Json::decimal(recording.duration_ms.into(), 3)),
        "content": object! {
            "contentType": document.format.content_type(),
            "url": format!("Binary/{binary}"),
            "size": Json::decimal(i64::try_from(document.bytes.len()).unwrap_or(i64::MAX), 0),
            "hash": base64::engine::general_purpose::STANDARD.encode(Sha1::digest(document.bytes)),
            "creation": about.at,
        },
        "note": if notes.is_empty() { Json::Absent } else { Json::List(notes) },
    }
}

/// Code and words of a place on the body.
fn body_site(site: BodySite) -> (&'static str, &'static str) {
    match site {
        BodySite::RightEar => ("site-right-ear", "Oreille droite"),
        BodySite::LeftEar => ("site-left-ear", "Oreille gauche"),
        BodySite::Heart => ("site-heart", "Cœur"),
        BodySite::RightLung => ("site-right-lung", "Poumon droit"),
        BodySite::LeftLung => ("site-left-lung", "Poumon gauche"),
        BodySite::Skin(BodyPart::Head | BodyPart::Eyes | BodyPart::EarNoseThroat) => {
            ("site-skin-head", "Peau de la tête")
        }
        BodySite::Skin(BodyPart::Chest) => ("site-skin-chest", "Peau de la poitrine"),
        BodySite::Skin(BodyPart::Back) => ("site-skin-back", "Peau du dos ou du cou"),
        BodySite::Skin(BodyPart::Belly) => ("site-skin-belly", "Peau du ventre"),
        BodySite::Skin(BodyPart::ArmHand) => ("site-skin-arm", "Peau du bras ou de la main"),
        BodySite::Skin(BodyPart::LegFoot) => ("site-skin-leg", "Peau de la jambe ou du pied"),
        BodySite::Skin(BodyPart::WholeBody) => ("site-skin", "Peau"),
    }
}

pub(crate) fn reference_to(id: Uuid, binary: Uuid, document: &Document<'_>, about: &About<'_>) -> Json {
    let (system, code, title) = document.kind.code();
    let sha1 = base64::engine::general_purpose::STANDARD.encode(Sha1::digest(document.bytes));
    let size = i64::try_from(document.bytes.len()).unwrap_or(i64::MAX);
    object! {
        "resourceType": "DocumentReference",
        "masterIdentifier": object! { "system": URI, "value": urn(binary) },
        "identifier": identifiers(id),
        "status": "current",
        "docStatus": "final",
        "type": concept(vec![coding_named(system, code, title)]),
        "subject": reference(about.patient),
        "date": about.at,
        "author": list![reference(about.author)],
        "custodian": reference(about.custodian),
        "securityLabel": list![concept(vec![coding_named(CONFIDENTIALITY, "N", "normal")])],
        "content": list![object! {
            "attachment": object! {
                "contentType": document.format.content_type(),
                "language": (document.format == Format::Pdf).then_some("fr-FR"),
                "url": format!("Binary/{binary}"),
                "size": Json::decimal(size, 0),
                "hash": sha1,
                "title": format!("{title}{}", document.format.suffix()),
                "creation": about.at,
            },
        }],
        "context": object! {
            "encounter": list![reference(about.encounter)],
            "period": about.period.clone(),
            "facilityType": about.site.facility(),
            "practiceSetting": concept(vec![coding_named(PRACTICE, "AMBULATOIRE", "Ambulatoire")]),
        },
    }
}
