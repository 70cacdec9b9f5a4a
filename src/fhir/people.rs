//! The patient and the physician.

use consult::dossier::{Contact, UsualDoctor};
use consult::identity::{Identity, IdentityDocument, IdentityStatus, Place, Sex};
use consult::physician::{Physician, Rpps};
use consult::vitals::Moment;
use uuid::Uuid;

use crate::json::{Json, list, object};
use crate::terms::{FR_CORE_TYPES, RPPS, coding, coding_named, concept, fr_core, meta, urn};

/// Official OID of the matricule (INS-NIR), FR Core 2.2.0.
const INS_NIR: &str = "urn:oid:1.2.250.1.213.1.4.8";
const STATUS: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445";
const METHOD: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-method-collection";
const MODE: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-mode-validation-identity";
const COMMUNE: &str = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM";
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
const V2_0203: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// The Patient of this consultation. Its identifier is the cabin's own: a cabin keeps nobody, so it cannot know that
/// two visits are of one person; the server matches by traits.
///
/// Below a qualified identity the profile is `fr-core-patient`, whose `VALI` means only "a trusted document was seen".
pub(crate) fn patient(
    id: Uuid,
    identity: &Identity,
    contact: Option<&Contact>,
    local_date: &dyn Fn(Moment) -> String,
) -> Json {
    let traits = identity.traits();
    let matricule = identity.matricule().ok();
    let profile = if matricule.is_some() { "patient-ins" } else { "patient" };
    // With an INS identifier that one alone may be the official one (invariant fr-core-2).
    let local_use = if matricule.is_some() { "secondary" } else { "usual" };
    let local = object! {
        "use": local_use,
        "type": concept(vec![coding_named(V2_0203, "PI", "Patient internal identifier")]),
        "system": crate::terms::URI,
        "value": urn(id),
    };
    let ins = matricule.map(|matricule| {
        object! {
            "use": "official",
            "type": concept(vec![coding(FR_CORE_TYPES, "INS-NIR")]),
            "system": INS_NIR,
            "value": matricule,
        }
    });
    let (year, month, day) = traits.birth_date.official();
    let given_list = object! {
        "url": fr_core("patient-birth-list-given-name"),
        "valueString": traits.given_names.reveal(),
    };
    let birth_place = object! {
        "url": BIRTH_PLACE,
        "valueAddress": town(&traits.birth_place),
    };
    object! {
        "resourceType": "Patient",
        "meta": meta(&[profile]),
        "extension": list![reliability(identity, local_date), birth_place],
        "identifier": list![ins, local],
        "active": true,
        "name": list![
            object! {
                "extension": list![given_list],
                "use": "official",
                "family": traits.birth_name.reveal(),
                "given": list![traits.first_given_name()],
            },
            traits.used_name.as_ref().map(|used| {
                object! { "use": "usual", "family": used.reveal(), "given": list![traits.first_given_name()] }
            }),
        ],
        "telecom": list![contact.and_then(|c| c.phone.as_ref()).map(|phone| {
            object! { "system": "phone", "value": phone.reveal() }
        })],
        "gender": match traits.sex {
            Sex::Female => "female",
            Sex::Male => "male",
            Sex::Unknown => "unknown",
        },
        "birthDate": format!("{year:04}-{month:02}-{day:02}"),
        "address": list![contact.map(|contact| town(&contact.town))],
        "generalPractitioner": list![contact.and_then(|contact| usual_doctor(&contact.usual_doctor))],
    }
}

/// A name that the patient said: nobody checked it, so it refers to no Practitioner.
fn usual_doctor(doctor: &UsualDoctor) -> Option<Json> {
    match doctor {
        UsualDoctor::None | UsualDoctor::Unsaid => None,
        UsualDoctor::Named { name, town } if town.is_empty() => Some(object! { "display": name.reveal() }),
        UsualDoctor::Named { name, town } => {
            Some(object! { "display": format!("{}, {}", name.reveal(), town.reveal()) })
        }
    }
}

/// A town with its official code (FR Core `fr-core-address`).
fn town(place: &Place) -> Json {
    object! {
        "extension": list![object! {
            "url": fr_core("address-insee-code"),
            "valueCoding": coding_named(COMMUNE, place.cog.as_str(), place.name.reveal()),
        }],
        "city": place.name.reveal(),
    }
}

/// How far the identity was checked, FR Core `identity-reliability`.
fn reliability(identity: &Identity, local_date: &dyn Fn(Moment) -> String) -> Json {
    let (code, method, validation) = match identity.status() {
        IdentityStatus::Provisional => ("PROV", "SM", None),
        IdentityStatus::Validated(validation) => ("VALI", "SM", Some(validation)),
        IdentityStatus::Qualified(qualification) => ("VALI", "INSI", Some(qualification.validation())),
    };
    let mode = validation.map(|validation| match validation.document {
        IdentityDocument::IdentityCard => "CN",
        IdentityDocument::Passport => "PA",
        IdentityDocument::ResidencePermit => "CS",
        IdentityDocument::BirthCertificate => "AN",
        IdentityDocument::FamilyBooklet => "LE",
    });
    let date = validation.map(|validation| local_date(validation.at));
    let part = |url: &'static str, value: Json| object! { "url": url, "valueCoding": value };
    object! {
        "extension": list![
            part("identityStatus", coding(STATUS, code)),
            part("methodCollection", coding(METHOD, method)),
            mode.map(|mode| part("validationMode", coding(MODE, mode))),
            date.map(|date| object! { "url": "validationDate", "valueDate": date }),
        ],
        "url": fr_core("identity-reliability"),
    }
}

/// A physician, known by RPPS: one Practitioner at the server for all consultations.
pub(crate) fn practitioner(physician: &Physician) -> Json {
    professional(&physician.rpps, &physician.name, Some(&physician.speciality))
}

/// Whoever has a national number, physician or not.
pub(crate) fn professional(rpps: &Rpps, name: &str, qualification: Option<&str>) -> Json {
    object! {
        "resourceType": "Practitioner",
        "meta": meta(&["practitioner"]),
        "identifier": list![object! {
            "type": concept(vec![coding(FR_CORE_TYPES, "RPPS")]),
            "system": RPPS,
            "value": rpps.to_string(),
        }],
        "name": list![object! { "text": name }],
        "qualification": list![qualification.map(|text| object! { "code": object! { "text": text } })],
    }
}
