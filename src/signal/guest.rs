//! The third seat of a call: an interpreter or a specialist, whom the physician invites by a link that is good once.
//!
//! The desk carries what is said before there is a connection; picture and sound go between the guest's browser and the
//! physician's page, which passes them on. The cabin has one connection, as ever: it is told who is there by the page
//! ([`crate::data::Record::Guest`]).

use serde::{Deserialize, Serialize};

use crate::call::{Candidate, IceServer, Sdp};
use crate::{Invitation, ItemId, RefusalCode, SIGNAL_BYTES_MAX, Text, Ticket, Unreadable};

/// Path of the guest's WebSocket on the desk.
pub const GUEST_SOCKET_PATH: &str = "/api/guest/ws";
/// Path to which a guest's page posts an [`Asked`] before anybody types a name.
pub const INVITATION_PATH: &str = "/api/guest/invitation";
/// Label of the data channel, ordered and reliable, between page and guest that carries [`Line`]s.
pub const LINES: &str = "lines";
/// Longest body of an [`Asked`], bytes.
pub const ASKED_BYTES_MAX: usize = 1024;
/// Longest message on [`LINES`], bytes.
pub const LINE_BYTES_MAX: usize = 4096;

/// In what part the guest is there. A part of a later version is `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestRole {
    /// Interprets between two spoken languages.
    Interpreter,
    /// Interprets between a spoken and a sign language.
    SignInterpreter,
    /// A physician or another professional of a specialty.
    Specialist,
    /// Somebody else.
    #[serde(other)]
    Other,
}

/// Who takes the seat, as they say it: nobody but the physician who lets them in has made sure of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Name, on one line.
    pub name: Text<100>,
    /// Part.
    pub role: GuestRole,
}

impl Guest {
    /// Refuses a name that nobody could read.
    pub(crate) fn check(&self) -> Result<(), Unreadable> {
        let name = self.name.as_str();
        if name.trim().is_empty() || name.contains(['\n', '\r', '\t']) {
            return Err(Unreadable::Forbidden("a guest has a name, on one line"));
        }
        Ok(())
    }
}

/// Body of `POST` [`INVITATION_PATH`]: is this invitation still good? Asking does not use it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What stands after `#` in the link.
    pub invitation: Invitation,
}

impl Asked {
    /// Reads a body.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, ASKED_BYTES_MAX)
    }

    /// The body.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// The answer: who invites, and for how long. Nothing of the patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Name of the physician.
    pub physician: Text<128>,
    /// Speciality of the physician.
    pub speciality: Text<128>,
    /// How long the invitation is still good, ms.
    pub valid_ms: u32,
}

impl Invited {
    /// Reads an answer.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, SIGNAL_BYTES_MAX)
    }

    /// The answer.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// Why a guest is no longer in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestEnd {
    /// The call is over.
    CallEnded,
    /// The physician ended the guest's part, or did not let them in.
    Dismissed,
}

/// What the guest's page says to the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromGuest {
    /// First message of who takes the seat. It uses the invitation up.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
        /// What stands after `#` in the link.
        invitation: Invitation,
        /// Who.
        #[serde(flatten)]
        guest: Guest,
    },
    /// First message of who comes back to the seat: the line was cut, or the page loaded again.
    Return {
        /// [`crate::VERSION`].
        version: u16,
        /// As in [`ToGuest::Seated`].
        ticket: Ticket,
    },
    /// An answer, for the physician's page.
    Sdp(Sdp),
    /// A candidate, for the physician's page.
    Candidate(Candidate),
    /// The guest's page has no connection, or one that does not work: asks for a new one.
    RestartIce {
        /// The seat.
        ticket: Ticket,
    },
    /// The guest gives the seat up.
    Leave {},
    /// Heartbeat.
    Ping {
        /// Any number.
        n: u32,
    },
    /// Answer to [`ToGuest::Ping`].
    Pong {
        /// The number received.
        n: u32,
    },
}

/// What the desk says to the guest's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToGuest {
    /// The seat is taken; the physician is asked.
    Seated {
        /// [`crate::VERSION`].
        version: u16,
        /// The seat: with it, and nothing else, the guest may come back.
        ticket: Ticket,
        /// Name of the physician.
        physician: Text<128>,
        /// The desk pings this often, ms.
        heartbeat_ms: u32,
        /// How long the desk waits for an end that lost its connection, ms.
        grace_ms: u32,
    },
    /// The physician lets the guest in: an offer follows. Said again to who comes back.
    Admitted {
        /// The seat.
        ticket: Ticket,
        /// Servers for `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
    },
    /// An offer, from the physician's page.
    Sdp(Sdp),
    /// A candidate, from the physician's page.
    Candidate(Candidate),
    /// The physician's page lost its connection to the desk; the media may go on.
    PhysicianGone {
        /// The seat.
        ticket: Ticket,
        /// How long the desk waits, ms.
        grace_ms: u32,
    },
    /// It is back.
    PhysicianBack {
        /// The seat.
        ticket: Ticket,
    },
    /// The guest is no longer in the call; the connection closes.
    Ended {
        /// Why.
        cause: GuestEnd,
    },
    /// The guest is refused; the connection closes.
    Refused {
        /// For programs.
        code: RefusalCode,
        /// For people: what to do.
        reason: Text<512>,
    },
    /// Heartbeat.
    Ping {
        /// Any number.
        n: u32,
    },
    /// Answer to [`FromGuest::Ping`].
    Pong {
        /// The number received.
        n: u32,
    },
    /// A message of the guest's page was refused; the connection stays.
    Error {
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
}

impl FromGuest {
    /// Reads one message.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let message: Self = crate::read(text, SIGNAL_BYTES_MAX)?;
        match &message {
            FromGuest::Hello { guest, .. } => guest.check().map(|()| message),
            _ => Ok(message),
        }
    }

    /// The message as one WebSocket text frame.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

impl ToGuest {
    /// Reads one message. Refuses lists above their limit.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let message: Self = crate::read(text, SIGNAL_BYTES_MAX)?;
        match &message {
            ToGuest::Admitted { ice_servers, .. } => crate::physician::check_ice(ice_servers).map(|()| message),
            _ => Ok(message),
        }
    }

    /// The message as one WebSocket text frame.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// The patient.
    Patient,
    /// The physician.
    Physician,
    /// The guest.
    Guest,
    /// The cabin itself.
    Cabin,
}

/// A line written in the call, on the channel [`LINES`]: from the page, what anybody wrote since the guest is there;
/// from the guest, only their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The line: said again, it is the same.
    pub id: ItemId,
    /// Who wrote it.
    pub by: Writer,
    /// In words; empty takes the physician's last one off the patient's screen.
    pub text: Text<500>,
}

impl Line {
    /// Reads one message.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, LINE_BYTES_MAX)
    }

    /// The message as one data channel text.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}
