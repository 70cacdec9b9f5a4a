//! Messages between a cabin, the desk and the physician's page: every type, every limit, every refusal.
//!
//! `PROTOCOL.md` beside this file says the same in words, with byte-exact examples; the examples are frozen in
//! `tests/wire/` and a test holds the three together. Any platform can implement either end from it.
//!
//! * [`cabin`]: cabin and desk, JSON over a WebSocket; [`enrol`] and [`proof`] are how a cabin joins and proves itself.
//! * [`physician`]: physician's page and desk, JSON over a WebSocket.
//! * [`guest`]: the third seat of a call, guest's page and desk.
//! * [`papers`]: what the patient takes away by telephone, cabin to desk over HTTPS.
//! * [`data`], [`readings`], [`link`], [`live`], [`ecg`], [`documents`], [`recordings`]: cabin and page directly, over
//!   WebRTC data channels.
//!
//! The crate is pure: no clock, file, socket or randomness. Reading never panics: see [`fuzz_targets`].

pub mod cabin;
pub mod call;
pub mod data;
pub mod documents;
pub mod ecg;
pub mod enrol;
pub mod fuzz_targets;
pub mod guest;
pub mod link;
pub mod live;
pub mod papers;
pub mod physician;
pub mod proof;
pub mod readings;
pub mod recordings;
pub mod second_opinion;
pub mod text;

pub use text::{CabinId, Code, ConsultationId, Invitation, ItemId, Text, Ticket};

use serde::de::DeserializeOwned;

/// The one version of the protocol that this crate speaks. A peer that says another is refused with
/// [`RefusalCode::VersionUnsupported`].
pub const VERSION: u16 = 1;

/// Longest JSON message on either WebSocket, bytes: an SDP with every codec is about 12 KiB. A longer one is refused
/// and the connection closed.
pub const SIGNAL_BYTES_MAX: usize = 64 * 1024;

/// Longest JSON message on the `record` data channel, bytes: what a browser may safely send in one message.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Messages a second that the desk accepts from one connection, averaged; more is refused with
/// [`RefusalCode::TooMany`] and the connection closed.
pub const SIGNAL_RATE_MAX: u32 = 50;

/// Path of the cabin's WebSocket on the desk.
pub const CABIN_SOCKET_PATH: &str = "/api/cabin/ws";

/// Path to which a cabin posts its [`enrol::Request`].
pub const ENROL_PATH: &str = "/api/cabin/enrol";

/// Path of the physician's WebSocket on the desk.
pub const PHYSICIAN_SOCKET_PATH: &str = "/api/physician/ws";

/// Why a message was not understood. None of them carries the message: it may hold a patient's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Longer than the channel allows. Send less.
    #[error("message of {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Bytes received.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not a message of this channel: not JSON, a type nobody knows, a missing field or a field out of its limits.
    #[error("message not understood near column {column}: {expected}")]
    Malformed {
        /// Column of the JSON text at which reading stopped; 0 when unknown.
        column: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// Understood, but it says what is never allowed (e.g. a national number with an unqualified identity).
    #[error("message refused: {0}")]
    Forbidden(&'static str),
    /// A binary frame that does not follow its layout.
    #[error("binary frame refused: {0}")]
    Frame(&'static str),
}

impl Unreadable {
    /// The code to send back to the peer.
    pub fn code(&self) -> RefusalCode {
        match self {
            Unreadable::TooLarge { .. } => RefusalCode::TooLarge,
            Unreadable::Malformed { .. } | Unreadable::Frame(_) => RefusalCode::Malformed,
            Unreadable::Forbidden(_) => RefusalCode::Forbidden,
        }
    }
}

/// Why one end refuses the other, as sent over the wire beside a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The peer speaks another version: update one end.
    VersionUnsupported,
    /// No such cabin here: enrol it.
    UnknownCabin,
    /// The cabin was revoked by the desk's technician: enrol it again.
    Revoked,
    /// The signature does not match the key enrolled, the nonce of this connection and this desk's origin.
    BadProof,
    /// The enrolment code is wrong, expired or was used: ask for another.
    BadEnrolment,
    /// Not signed in, or signed out by inactivity: sign in again.
    NotSignedIn,
    /// The request comes from another web origin.
    BadOrigin,
    /// A wrong message for the moment (e.g. `waiting` before `proof`).
    OutOfOrder,
    /// Not JSON, unknown type, missing field, field out of limits.
    Malformed,
    /// Above a size limit.
    TooLarge,
    /// Above a rate or a number limit: wait.
    TooMany,
    /// Nothing was heard or read for too long.
    TooSlow,
    /// Another connection of the same cabin or physician replaced this one.
    Replaced,
    /// No such call, or the sender is not one of its two ends.
    UnknownCall,
    /// Understood and never allowed.
    Forbidden,
    /// The desk is stopping: connect again in a moment.
    Stopping,
    /// No such papers, or no longer.
    UnknownPapers,
    /// No such recording, or no longer.
    UnknownRecording,
    /// No such invitation, or its call is over: ask the physician for another.
    UnknownInvitation,
    /// The invitation was good for too short a time, or another took its place: ask the physician for another.
    InvitationExpired,
    /// Somebody took the seat with this invitation already: ask the physician for another.
    InvitationUsed,
}

/// Reads one JSON message of at most `max` bytes.
fn read<T: DeserializeOwned>(text: &str, max: usize) -> Result<T, Unreadable> {
    if text.len() > max {
        return Err(Unreadable::TooLarge { bytes: text.len(), max });
    }
    serde_json::from_str(text).map_err(|error| Unreadable::Malformed {
        column: error.column(),
        // serde's own words may quote the message; only its category is safe to show.
        expected: match error.classify() {
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof => "JSON text",
            serde_json::error::Category::Io => "readable text",
            serde_json::error::Category::Data => "a message type of this channel with its fields within limits",
        },
    })
}

/// Writes one message. Our own types always serialise: no map with keys that are not text, no failing `Serialize`.
fn write<T: serde::Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

/// Gives a type a `Debug` that shows its name and nothing of the patient or the secret inside.
macro_rules! opaque_debug {
    ($word:literal: $($name:ident),+ $(,)?) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([", $word, "])"))
            }
        })+
    };
}
pub(crate) use opaque_debug;

#[cfg(test)]
mod tests;
