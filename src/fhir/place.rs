//! Where it happened and with what: the site, the cabin, the devices.

use consult::vitals::DeviceIdentity;
use uuid::Uuid;

use crate::ModelFacts;
use crate::json::{Json, list, object};
use crate::terms::{FINESS, FR_CORE_TYPES, MDC, coding, coding_named, concept, identifiers, meta, reference};

/// Identifiers that desks give to cabins.
const CABIN: &str = "urn:uuid:2b1f6f0e-54d3-4a0c-9d0b-0c2a4de6a7f3";
const FACILITY: &str = "urn:oid:1.2.250.1.71.4.2.4";
const LOCATION_TYPE: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-location-type";

/// What kind of place houses the cabin (ANS table TRE_R02).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// Community pharmacy, SA33.
    Pharmacy,
    /// Town hall or another local authority, SA27.
    TownHall,
    /// Health centre, SA05.
    HealthCentre,
    /// Group practice, SA52.
    GroupPractice,
    /// Nursing home, SA17.
    NursingHome,
}

impl SiteKind {
    pub(crate) fn facility(self) -> Json {
        let (code, display) = match self {
            SiteKind::Pharmacy => ("SA33", "Pharmacie d'officine"),
            SiteKind::TownHall => ("SA27", "Collectivité territoriale"),
            SiteKind::HealthCentre => ("SA05", "Centre de santé"),
            SiteKind::GroupPractice => ("SA52", "Maison de santé"),
            SiteKind::NursingHome => ("SA17", "EHPAD"),
        };
        concept(vec![coding_named(FACILITY, code, display)])
    }
}

/// The place that houses the cabin, from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name, as on its door.
    pub name: String,
    /// Its kind.
    pub kind: SiteKind,
    /// FINESS number, when it has one.
    pub finess: Option<String>,
    /// Number and street.
    pub street: String,
    /// Postal code.
    pub postal_code: String,
    /// Town.
    pub city: String,
}

impl Site {
    fn address(&self) -> Json {
        object! {
            "line": list![self.street.as_str()],
            "city": &self.city,
            "postalCode": &self.postal_code,
            "country": "FR",
        }
    }
}

pub(crate) fn organization(id: Uuid, site: &Site) -> Json {
    let finess = site.finess.as_deref().map(|finess| {
        object! { "type": concept(vec![coding(FR_CORE_TYPES, "FINEG")]), "system": FINESS, "value": finess }
    });
    object! {
        "resourceType": "Organization",
        "meta": meta(&["organization"]),
        "identifier": list![crate::terms::own_identifier(id), finess],
        "active": true,
        "type": list![site.kind.facility()],
        "name": &site.name,
        "address": list![site.address()],
    }
}

/// `cabin`: its identifier at its desk, by which the desk finds it again from a dossier.
pub(crate) fn location(id: Uuid, site: &Site, organization: Uuid, cabin: &str) -> Json {
    object! {
        "resourceType": "Location",
        "meta": meta(&["location"]),
        "identifier": list![crate::terms::own_identifier(id), object! { "system": CABIN, "value": cabin }],
        "status": "active",
        "name": format!("Cabine de téléconsultation, {}", site.name),
        "mode": "instance",
        "type": list![concept(vec![coding_named(LOCATION_TYPE, "SL_CONS", "Salle de consultation")])],
        "address": site.address(),
        "managingOrganization": reference(organization),
    }
}

/// Nomenclature of device kinds (ISO/IEEE 11073-10101), by the first word of the model's key.
fn device_type(model: &str) -> Option<(&'static str, &'static str)> {
    [
        ("oximeter", ("528388", "Oxymètre de pouls")),
        ("blood_pressure", ("528391", "Tensiomètre")),
        ("thermometer", ("528392", "Thermomètre")),
        ("scale", ("528399", "Pèse-personne")),
    ]
    .into_iter()
    .find_map(|(kind, code)| model.starts_with(kind).then_some(code))
}

/// A measuring device. With a serial number it is one Device at the server wherever it is plugged.
pub(crate) fn device(id: Uuid, identity: &DeviceIdentity, facts: ModelFacts, organization: Uuid) -> Json {
    let kind = device_type(&identity.model);
    let firmware = identity.firmware.as_deref().map(|firmware| {
        object! { "type": concept(vec![coding_named(MDC, "531976", "MDC_ID_PROD_SPEC_FW")]), "value": firmware }
    });
    object! {
        "resourceType": "Device",
        "identifier": identifiers(id),
        "status": "active",
        "manufacturer": facts.maker,
        "serialNumber": identity.serial.as_deref(),
        "modelNumber": &identity.model,
        "type": kind.map(|(code, name)| concept(vec![coding_named(MDC, code, name)])),
        "version": list![firmware],
        "owner": reference(organization),
    }
}

/// The cabin itself, with the version of what runs in it: the author of what no person wrote.
pub(crate) fn cabin_device(id: Uuid, software_version: &str, organization: Uuid, location: Uuid) -> Json {
    object! {
        "resourceType": "Device",
        "identifier": identifiers(id),
        "status": "active",
        "deviceName": list![object! { "name": "Cabine de téléconsultation", "type": "user-friendly-name" }],
        "version": list![object! {
            "type": concept(vec![coding_named(MDC, "531975", "MDC_ID_PROD_SPEC_SW")]),
            "value": software_version,
        }],
        "owner": reference(organization),
        "location": reference(location),
    }
}
