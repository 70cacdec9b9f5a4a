//! How a cabin joins a desk: one HTTPS POST with a one-time code, its public key and the facts of its site.

use serde::{Deserialize, Serialize};

use crate::{CabinId, RefusalCode, Text, Unreadable};

/// Longest body of [`Request`], bytes.
pub const ENROL_BYTES_MAX: usize = 8 * 1024;

/// Where a cabin stands: shown to the physician before and in the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Name of the place, e.g. `Pharmacie du Marché`.
    pub name: Text<128>,
    /// Kind of place: `pharmacy`, `town_hall`, `care_home`, `health_centre`, `other`.
    pub kind: crate::Code,
    /// Street address.
    pub address: Text<256>,
    /// Town.
    pub town: Text<128>,
    /// INSEE code of the commune, 5 characters.
    pub insee: Text<5>,
    /// Telephone of the pharmacist on duty, to call back when the line is cut.
    pub phone: Text<32>,
    /// FINESS number of the site, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finess: Option<Text<9>>,
}

/// `POST /api/cabin/enrol`, sent once by the cabin.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`crate::VERSION`].
    pub version: u16,
    /// The one-time code that the desk's technician gave.
    pub code: Text<64>,
    /// Ed25519 public key of the cabin, 32 bytes in standard base64.
    pub public_key: Text<44>,
    /// Facts of the site.
    pub site: Site,
}

crate::opaque_debug!("secret": Request, Accepted);

/// Answer 201: the cabin is enrolled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// [`crate::VERSION`].
    pub version: u16,
    /// Name to say in `hello` from now on.
    pub cabin_id: CabinId,
    /// Bearer token with which the outbox uploads to the desk's `/fhir`; revoked with the cabin.
    pub upload_token: Text<128>,
    /// Base URL of the FHIR server to which records go.
    pub fhir_url: Text<256>,
    /// Origin that the desk expects in proofs.
    pub origin: Text<256>,
}

/// Answer 4xx of every HTTP endpoint under `/api/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For programs.
    pub code: RefusalCode,
    /// For people, says what to do.
    pub reason: Text<512>,
    /// Seconds to wait before trying again, when waiting helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

impl Request {
    /// Reads a body of at most [`ENROL_BYTES_MAX`].
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, ENROL_BYTES_MAX)
    }

    /// The body to post.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

impl Accepted {
    /// Reads the desk's answer.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, ENROL_BYTES_MAX)
    }

    /// The answer to send.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

impl Refused {
    /// Reads the desk's answer.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, ENROL_BYTES_MAX)
    }

    /// The answer to send.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}
