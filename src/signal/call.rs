//! What both WebSockets share about a call: SDP, candidates, ICE servers, who the physician is, how a call ends.

use serde::{Deserialize, Serialize};

use crate::{Text, Ticket};

/// Longest SDP, bytes.
pub const SDP_BYTES_MAX: usize = 48 * 1024;
/// Most ICE servers in one list.
pub const ICE_SERVERS_MAX: usize = 8;
/// Most URLs of one ICE server.
pub const ICE_URLS_MAX: usize = 4;

/// Whether an SDP proposes or answers. The physician's page always makes the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SdpKind {
    /// From the page, first or to restart ICE.
    Offer,
    /// From the cabin.
    Answer,
}

/// A session description, relayed unread by the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sdp {
    /// The call.
    pub ticket: Ticket,
    /// Offer or answer.
    pub kind: SdpKind,
    /// RFC 8866 text, lines ended by CR LF.
    pub sdp: Text<SDP_BYTES_MAX>,
}

/// An ICE candidate (RFC 8840), relayed unread by the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The call.
    pub ticket: Ticket,
    /// `candidate:...`; empty text means that there will be no more.
    pub candidate: Text<1024>,
    /// Media section by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<Text<64>>,
    /// Media section by order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp_m_line_index: Option<u16>,
    /// Username fragment of the description to which it belongs, so that one of a former round is not mixed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<Text<256>>,
}

/// A STUN or TURN server, in the shape of the browser's `RTCIceServer`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` URLs, at most [`ICE_URLS_MAX`].
    pub urls: Vec<Text<256>>,
    /// For TURN; with coturn's shared secret it is `expiry:label`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Text<256>>,
    /// For TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Text<256>>,
}

crate::opaque_debug!("secret": IceServer);

/// Most characters of a physician's name, speciality and town that a cabin shows.
pub const SHOWN_CHARS_MAX: usize = 120;
/// Most bytes of each on the wire.
pub const SHOWN_BYTES_MAX: usize = 128;
/// Highest fee a cabin shows, euro cents; above it is a slip.
pub const FEE_CENTS_MAX: u32 = 100_000;

/// Who the patient is about to meet: shown before any picture (R. 6316-3, HAS referential).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Physician {
    /// Title and name, e.g. `Dr Claire Morel`.
    pub name: Text<SHOWN_BYTES_MAX>,
    /// Speciality in words.
    pub speciality: Text<SHOWN_BYTES_MAX>,
    /// RPPS number, 11 digits.
    pub rpps: Text<11>,
    /// Town of practice.
    pub town: Text<SHOWN_BYTES_MAX>,
    /// Fee of the consultation, euro cents, at most [`FEE_CENTS_MAX`].
    pub fee_cents: u32,
    /// Fee and its coverage, in words.
    pub fee_text: Text<512>,
}

/// How the desk made sure of who the physician is. What a cabin does not know is [`Authentication::Unknown`], and no
/// patient is put through to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// An account of the desk: password and one-time code (RFC 6238).
    LocalTotp,
    /// An OpenID Connect issuer.
    #[serde(rename = "openid_connect")]
    OpenIdConnect,
    /// Not said, or in a way of a later version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Which end did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The patient or the pharmacist, in the cabin.
    Cabin,
    /// The physician.
    Physician,
    /// The desk itself (an end did not come back in time).
    Desk,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The physician finished the consultation.
    Completed,
    /// The patient left or asked to stop.
    PatientLeft,
    /// The physician gave the patient back to the waiting room.
    GivenBack,
    /// The patient did not want this physician.
    Declined,
    /// The patient was not asked: name, speciality, town, RPPS number, fee or sign-in of this physician are missing or wrong.
    NotShown,
    /// The cabin did not come back within the grace time.
    CabinLost,
    /// The page did not come back within the grace time.
    PhysicianLost,
    /// Emergency: the patient was sent to 15 / 112.
    Emergency,
    /// Something broke; the reason is in the technical incidents.
    Fault,
}

impl EndCause {
    /// Whether the patient may be waiting again after such an end (the cabin says so with `waiting`).
    pub fn may_wait_again(self) -> bool {
        use EndCause::{Declined, Fault, GivenBack, NotShown, PhysicianLost};
        matches!(self, GivenBack | Declined | NotShown | PhysicianLost | Fault)
    }
}
