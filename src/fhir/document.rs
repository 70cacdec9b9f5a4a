//! Documents: the physician's PDF files, the patient's summary and what was recorded, as PDSm (French MHD) describes them.

use base64::Engine;
use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::json::{Json, list, object};
use crate::place::SiteKind;
use crate::terms::{LOCAL, LOINC, URI, coding_named, concept, identifiers, reference, urn};

const PRACTICE: &str = "urn:oid:1.2.250.1.213.1.1.4.9";
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
    /// A photograph, LOINC 72170-4.
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
            DocumentKind::Picture => (LOINC, "72170-4", "Photographie"),
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
            Format::Edf => "application/octet-stream",
            Format::Jpeg => "image/jpeg",
            Format::Flac => "audio/flac",
        }
    }

    /// What tells two files of one thing apart.
    fn suffix(self) -> &'static str {
        match self {
            Format::Dicom => " (DICOM)",
            Format::Edf => " (EDF+)",
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
