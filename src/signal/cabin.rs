//! Cabin and desk: the WebSocket at [`crate::CABIN_SOCKET_PATH`].
//!
//! Order: cabin `hello`, desk `challenge`, cabin `proof`, desk `welcome` or `refused`; after `welcome` anything, in
//! any order. Everything that the cabin says after `welcome` is the present state, said again in full after each
//! reconnection: the desk keeps nothing of it on disk.

use serde::{Deserialize, Serialize};

use crate::call::{Authentication, Candidate, EndCause, IceServer, Party, Physician, Sdp};
use crate::data::{MeasurementKind, Sex};
use crate::second_opinion::{CABIN_LINES_MAX, CabinLine, Opinion, Step};
use crate::{CabinId, Code, ConsultationId, ItemId, RefusalCode, SIGNAL_BYTES_MAX, Text, Ticket, Unreadable};

/// Most devices in a [`SiteState`].
pub const DEVICES_MAX: usize = 32;

/// State of one device of the cabin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    /// Model key, e.g. `oximeter_nonin`.
    pub model: Code,
    /// What it measures.
    pub measurement: MeasurementKind,
    /// Whether it can be used now.
    pub ready: bool,
    /// When not ready: what is wrong, in words for a technician.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Text<256>>,
}

/// Whether the cabin can receive patients, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteState {
    /// A pharmacist opened the cabin.
    pub open: bool,
    /// A pharmacist is signed in.
    pub pharmacist_present: bool,
    /// Devices, at most [`DEVICES_MAX`].
    pub devices: Vec<DeviceState>,
}

/// Years of age, coarse: enough to order a waiting room, too little to name someone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgeBand {
    /// Under 1.
    Infant,
    /// 1 to 5.
    YoungChild,
    /// 6 to 15.
    Child,
    /// 16 to 39.
    Adult,
    /// 40 to 64.
    MiddleAge,
    /// 65 to 79.
    Senior,
    /// 80 and over.
    Elder,
}

impl AgeBand {
    /// The band of an age in whole years.
    pub fn from_years(years: u16) -> Self {
        match years {
            0 => AgeBand::Infant,
            1..=5 => AgeBand::YoungChild,
            6..=15 => AgeBand::Child,
            16..=39 => AgeBand::Adult,
            40..=64 => AgeBand::MiddleAge,
            65..=79 => AgeBand::Senior,
            _ => AgeBand::Elder,
        }
    }
}

/// A patient who waits, as the waiting room may know: no name, no date of birth, no free text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The consultation.
    pub consultation: ConsultationId,
    /// Kind of reason: `fever`, `skin`, `ear`, `throat`, `breathing`, `urinary`, `renewal`, `other`, ...
    pub reason: Code,
    /// Age, coarse.
    pub age_band: AgeBand,
    /// Sex.
    pub sex: Sex,
    /// Measurements already done.
    pub measured: Vec<MeasurementKind>,
    /// When the patient began to wait, ms since 1970, by the cabin's clock.
    pub since_at: i64,
    /// Language of the patient, e.g. `fr`.
    pub language: Code,
    /// A yes to a warning sign, after which the pharmacist let the consultation go on: to be taken first. Left out: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning_sign: bool,
}

/// What the cabin says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromCabin {
    /// First message.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
        /// As given at enrolment.
        cabin_id: CabinId,
        /// Name and version of the program, for the desk's technician.
        software: Text<128>,
    },
    /// Second message: see [`crate::proof`].
    Proof {
        /// Ed25519 signature, 64 bytes in standard base64.
        signature: Text<88>,
    },
    /// Whether patients can come, and the devices; said after `welcome` and at each change.
    Site(SiteState),
    /// A patient waits: enters, changes, or is said again after a reconnection (idempotent).
    Waiting(Waiting),
    /// The patient waits no more.
    WaitingLeft {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The patient wants to meet the physician offered.
    Accept {
        /// The consultation.
        consultation: ConsultationId,
        /// The call.
        ticket: Ticket,
    },
    /// The patient does not want this physician; he or she keeps waiting when `waiting` is said again.
    Decline {
        /// The consultation.
        consultation: ConsultationId,
        /// The call.
        ticket: Ticket,
        /// The patient was not asked: what a patient must read of a physician before meeting one is missing or wrong.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        not_shown: bool,
    },
    /// An answer, for the page.
    Sdp(Sdp),
    /// A candidate, for the page.
    Candidate(Candidate),
    /// The line is bad: asks the page for a new offer (the page makes every offer).
    RestartIce {
        /// The call.
        ticket: Ticket,
        /// The connection lives and only wants another path: ICE is restarted in it. Else the page dials anew.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        same_connection: bool,
    },
    /// The cabin ends the call.
    CallEnded {
        /// The call.
        ticket: Ticket,
        /// Why.
        cause: EndCause,
    },
    /// The patient asked for the pharmacist; the physician in the call is told.
    HelpRequested {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The pharmacist is coming; the physician in the call is told.
    HelpAcknowledged {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The pharmacist asks what became of the requests for a second opinion that this cabin sent; answered by
    /// [`FromDesk::SecondOpinions`].
    SecondOpinionsWanted {},
    /// The pharmacist reads one; answered by [`FromDesk::SecondOpinion`].
    SecondOpinionWanted {
        /// The request.
        request: ItemId,
    },
    /// The pharmacist answers the specialist, or takes the request back (`say`, `cancel`); answered by
    /// [`FromDesk::SecondOpinionKept`] or [`FromDesk::SecondOpinionRefused`]. Said again until one of them comes, with the
    /// same name of the step.
    SecondOpinionStep {
        /// The request.
        request: ItemId,
        /// Who says it.
        by: Text<128>,
        /// What.
        step: Step,
    },
    /// The report that goes with an answer is wanted, to be printed; answered by [`FromDesk::SecondOpinionReport`].
    SecondOpinionReportWanted {
        /// The request.
        request: ItemId,
        /// From this byte on.
        offset: u32,
    },
    /// Heartbeat: answer [`FromDesk::Pong`] with the same number.
    Ping {
        /// Any number.
        n: u32,
    },
    /// Answer to [`FromDesk::Ping`].
    Pong {
        /// The number received.
        n: u32,
    },
    /// A message of the desk was refused; the connection stays.
    Error {
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
}

/// What the desk says to a cabin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromDesk {
    /// Answer to `hello`: sign this.
    Challenge {
        /// [`crate::VERSION`].
        version: u16,
        /// 32 random bytes in standard base64, for this connection only.
        nonce: Text<44>,
    },
    /// The cabin is who it says.
    Welcome {
        /// The cabin.
        cabin_id: CabinId,
        /// Name of the cabin at the desk.
        name: Text<128>,
        /// Who runs the desk, for the patient's "who runs this cabin" screen.
        operator: Text<256>,
        /// The desk pings this often, ms; an end that hears nothing for three times as long may close.
        heartbeat_ms: u32,
        /// How long a call waits for an end that lost its connection, ms.
        grace_ms: u32,
    },
    /// The desk will not speak with this cabin; the connection closes.
    Refused {
        /// For programs.
        code: RefusalCode,
        /// For people: what to do.
        reason: Text<512>,
    },
    /// STUN and TURN servers to use from now on; said after `welcome` and with each `physician_offered`.
    IceServers {
        /// At most [`crate::call::ICE_SERVERS_MAX`].
        servers: Vec<IceServer>,
        /// When the credentials end, ms since 1970; absent when they do not.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<i64>,
    },
    /// How long the patient may still wait.
    WaitEstimate {
        /// The consultation.
        consultation: ConsultationId,
        /// Place in the queue, 1 is next.
        position: u16,
        /// Physicians signed in and free.
        physicians_free: u16,
        /// Physicians in a call.
        physicians_busy: u16,
        /// Least minutes; absent when nothing is known (no physician is present).
        #[serde(skip_serializing_if = "Option::is_none")]
        minutes_min: Option<u16>,
        /// Most minutes; absent when nothing is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        minutes_max: Option<u16>,
    },
    /// A physician took the consultation: show who, ask the patient, answer `accept` or `decline`.
    PhysicianOffered {
        /// The consultation.
        consultation: ConsultationId,
        /// The call, from now on.
        ticket: Ticket,
        /// Who.
        physician: Physician,
        /// How the desk knows that it is this physician.
        #[serde(default)]
        authentication: Authentication,
    },
    /// An offer, from the page.
    Sdp(Sdp),
    /// A candidate, from the page.
    Candidate(Candidate),
    /// The page lost its connection to the desk; the media may go on.
    PhysicianGone {
        /// The call.
        ticket: Ticket,
        /// How long the desk waits, ms.
        grace_ms: u32,
    },
    /// The page is back.
    PhysicianBack {
        /// The call.
        ticket: Ticket,
    },
    /// The call is over.
    CallEnded {
        /// The call.
        ticket: Ticket,
        /// Who ended it.
        by: Party,
        /// Why.
        cause: EndCause,
    },
    /// The physician asks for the pharmacist in the cabin.
    HelpRequested {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The requests for a second opinion that this cabin sent, newest first.
    SecondOpinions {
        /// At most [`crate::second_opinion::CABIN_LINES_MAX`].
        lines: Vec<CabinLine>,
    },
    /// One of them.
    SecondOpinion {
        /// Of whom.
        patient: CabinLine,
        /// All of it; of the thread the last [`crate::second_opinion::CABIN_MESSAGES_MAX`] messages.
        opinion: Box<Opinion>,
        /// The usual doctor to whom a letter with the answer may go: absent before there is one, and where the patient
        /// named nobody or does not agree.
        #[serde(skip_serializing_if = "Option::is_none")]
        letter_to: Option<Text<256>>,
    },
    /// What was said to a specialist is stored.
    SecondOpinionKept {
        /// The request.
        request: ItemId,
        /// The step's own name.
        step: ItemId,
    },
    /// What was said to a specialist is not stored.
    SecondOpinionRefused {
        /// The request.
        request: ItemId,
        /// The step's own name.
        step: ItemId,
        /// For programs: [`RefusalCode::Stopping`] is tried again, anything else is for a person.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
    /// A part of a report.
    SecondOpinionReport {
        /// The request.
        request: ItemId,
        /// Where it begins.
        offset: u32,
        /// Bytes of the whole, at most [`crate::second_opinion::REPORT_BYTES_MAX`].
        bytes: u32,
        /// The part, standard base64: [`crate::second_opinion::REPORT_PART_BYTES`], fewer at the end.
        part: Text<44000>,
    },
    /// Heartbeat.
    Ping {
        /// Any number.
        n: u32,
    },
    /// Answer to [`FromCabin::Ping`].
    Pong {
        /// The number received.
        n: u32,
    },
    /// A message of the cabin was refused; the connection stays.
    Error {
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
}

impl FromCabin {
    /// Reads one message. Refuses lists above their limit.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let message: Self = crate::read(text, SIGNAL_BYTES_MAX)?;
        match &message {
            FromCabin::Site(site) if site.devices.len() > DEVICES_MAX => Err(Unreadable::Forbidden("too many devices")),
            FromCabin::Waiting(waiting) if waiting.measured.len() > MeasurementKind::COUNT_MAX => {
                Err(Unreadable::Forbidden("too many measurements"))
            }
            _ => Ok(message),
        }
    }

    /// The message as one WebSocket text frame.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

impl FromDesk {
    /// Reads one message. Refuses lists above their limit.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let message: Self = crate::read(text, SIGNAL_BYTES_MAX)?;
        match &message {
            FromDesk::IceServers { servers, .. } => crate::physician::check_ice(servers).map(|()| message),
            FromDesk::SecondOpinions { lines } if lines.len() > CABIN_LINES_MAX => {
                Err(Unreadable::Forbidden("too many requests"))
            }
            _ => Ok(message),
        }
    }

    /// The message as one WebSocket text frame.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}
