//! Code systems, profiles and small builders shared by all resources. Sources: FR Core 2.2.0, FHIR R4 4.0.1 and the
//! terminologies of the Agence du numérique en santé, as listed in the project's interoperability notes.

use uuid::Uuid;

use crate::json::{Json, list, object};

pub(crate) const LOINC: &str = "http://loinc.org";
pub(crate) const UCUM: &str = "http://unitsofmeasure.org";
/// ISO/IEEE 11073-10101 nomenclature, which devices and their drivers speak.
pub(crate) const MDC: &str = "urn:iso:std:iso:11073:10101";
pub(crate) const CLADIMED: &str = "https://mos.esante.gouv.fr/NOS/TRE_R306-CLADIMED/FHIR/TRE-R306-CLADIMED";
pub(crate) const NCIT: &str = "https://mos.esante.gouv.fr/NOS/TRE_R307-NCIT/FHIR/TRE-R307-NCIT";
pub(crate) const OBSERVATION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
pub(crate) const DATA_ABSENT_REASON: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
pub(crate) const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
pub(crate) const RPPS: &str = "https://rpps.esante.gouv.fr";
pub(crate) const FINESS: &str = "https://finess.esante.gouv.fr";
pub(crate) const FR_CORE_TYPES: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203";
pub(crate) const URI: &str = "urn:ietf:rfc:3986";

/// Codes that exist nowhere else: kinds of technical incident, of order, versions of consent texts. A `urn:uuid` is
/// a code system address that needs no domain name and can never be somebody else's.
pub(crate) const LOCAL: &str = "urn:uuid:6f3c2f0e-6f0e-4b64-9a55-3d1f7b8e2c11";

/// Name space of every id made here (RFC 9562, 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x2b0d_9f63_7c1e_4d52_8f6a_91c4_5be0_7a3d);

/// A canonical of FR Core, by its short name.
pub(crate) fn fr_core(name: &str) -> String {
    format!("https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-{name}")
}

/// The id of the `seq`th resource of a kind within a consultation: the same for ever, so that sending twice stores
/// once.
pub(crate) fn id_of(parts: &[&str]) -> Uuid {
    // A line feed cannot occur in a part that is a kind or a number, so two lists of parts never make one name.
    Uuid::new_v5(&NAMESPACE, parts.join("\n").as_bytes())
}

pub(crate) fn urn(id: Uuid) -> String {
    format!("urn:uuid:{id}")
}

/// The address of a resource within its bundle. It is not the URN of its identifier: a server replaces the address
/// wherever it finds it, some of them in identifiers too, and then would never know the resource again.
pub(crate) fn full_url(id: Uuid) -> String {
    urn(id_of(&[&id.to_string(), "entry"]))
}

pub(crate) fn reference(id: Uuid) -> Json {
    object! { "reference": full_url(id) }
}

pub(crate) fn coding(system: &str, code: &str) -> Json {
    object! { "system": system, "code": code }
}

pub(crate) fn coding_named(system: &str, code: &str, display: &str) -> Json {
    object! { "system": system, "code": code, "display": display }
}

pub(crate) fn concept(codings: Vec<Json>) -> Json {
    object! { "coding": codings }
}

pub(crate) fn meta(profiles: &[&str]) -> Json {
    // What no profile describes claims none.
    let profiles = profiles.iter().filter(|name| !name.is_empty());
    let profiles: Vec<Json> = profiles.map(|name| Json::from(fr_core(name))).collect();
    object! { "profile": profiles }
}

/// The identifier that conditional creation finds a resource by.
pub(crate) fn own_identifier(id: Uuid) -> Json {
    object! { "system": URI, "value": urn(id) }
}

/// The search on [`own_identifier`].
pub(crate) fn own_search(id: Uuid) -> String {
    format!("identifier={URI}|{}", urn(id))
}

/// A list of one identifier.
pub(crate) fn identifiers(id: Uuid) -> Json {
    list![own_identifier(id)]
}
