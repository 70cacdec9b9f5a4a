//! Cabin and physician's page, directly: the `record` data channel, and the names of all.
//!
//! The page creates the channels, before its first offer, with exactly these options (in-band negotiation):
//!
//! | label | options | carries |
//! | --- | --- | --- |
//! | [`RECORD`] | ordered, reliable | [`Record`], one JSON text a message |
//! | [`LIVE`] | unordered, `maxPacketLifeTime` [`LIVE_LIFETIME_MS`] | [`crate::live::Frame`], cabin to page |
//! | [`DOCUMENTS`] | ordered, reliable | [`crate::documents::Chunk`], page to cabin |
//! | [`crate::ecg::ECG`] | ordered, reliable | [`crate::ecg::Block`], cabin to page |
//! | [`crate::recordings::RECORDINGS`] | ordered, reliable | [`crate::documents::Chunk`], cabin to page |
//!
//! After each (re)connection both ends say `hello` again; then the cabin sends `patient`, `answers`, every
//! `handed_before`, every `reading` and the present `measurement_state`s, and the page sends again what was not acknowledged. An item seen twice is the
//! same item, by its id.

use serde::{Deserialize, Serialize};

use crate::documents::{DOCUMENT_BYTES_MAX, Sha256Hex};
use crate::guest::Guest;
use crate::link::{Incident, Link};
pub use crate::readings::*;
use crate::{Code, ConsultationId, ItemId, RECORD_BYTES_MAX, RefusalCode, Text, Unreadable};

/// Label of the channel of this module.
pub const RECORD: &str = "record";
/// Label of the waveforms' channel.
pub const LIVE: &str = "live";
/// Label of the documents' channel.
pub const DOCUMENTS: &str = "documents";
/// `maxPacketLifeTime` of [`LIVE`], ms: an older frame is of no use.
pub const LIVE_LIFETIME_MS: u16 = 500;

/// Most warning signs, consents in a message.
pub const LIST_MAX: usize = 64;
/// Most orders in a summary, on the page, on the wire and in the cabin.
pub const ORDERS_MAX: usize = 40;

/// Sex, as in the national identity: no third value exists there.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Not said.
    Unknown,
}

/// How far an identity was proved (RNIV).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityStatus {
    /// Typed, nothing checked.
    Provisional,
    /// The pharmacist saw an identity document.
    Validated,
    /// Validated, and confirmed by the national service.
    Qualified,
}

/// The patient, as the physician may see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Birth name.
    pub birth_name: Text<100>,
    /// First given names, separated by spaces.
    pub first_names: Text<100>,
    /// Sex.
    pub sex: Sex,
    /// Birth date, `YYYY-MM-DD`.
    pub birth_date: Text<10>,
    /// Birth place, INSEE code, 5 characters.
    pub birth_place_code: Text<5>,
    /// Birth place in words.
    pub birth_place: Text<128>,
    /// Whole years of age, by the cabin's clock.
    pub age_years: u16,
    /// How far it was proved.
    pub status: IdentityStatus,
    /// Document that the pharmacist saw, e.g. `passport`, `identity_card`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_seen: Option<Code>,
    /// National number with key, 15 characters: refused unless the status is `qualified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matricule: Option<Text<15>>,
}

/// One question and its answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningSign {
    /// Which question.
    pub sign: Code,
    /// The question as it was put, in the patient's language.
    pub question: Text<512>,
    /// The answer.
    pub present: bool,
}

/// One purpose and what the patient said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentGiven {
    /// `care`, `usual_doctor`, `statistics`.
    pub purpose: Code,
    /// Given or refused.
    pub given: bool,
    /// Version of the text read.
    pub text_version: Text<32>,
    /// When, ms since 1970.
    pub at: i64,
}

/// A yes to a warning sign after which the pharmacist let the consultation go on: shown whatever was answered since.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignCleared {
    /// The question as it was put, in the physician's language.
    pub question: Text<512>,
    /// The pharmacist's name.
    pub by: Text<100>,
    /// When, ms since 1970, by the cabin's clock.
    pub at: i64,
}

/// What the patient answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Kind of reason.
    pub reason: Code,
    /// Part of the body, when one was touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_part: Option<Code>,
    /// The free line.
    pub free_line: Text<500>,
    /// Questions asked, at most [`LIST_MAX`].
    pub warning_signs: Vec<WarningSign>,
    /// Said where there was a yes and the consultation went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_cleared: Option<SignCleared>,
    /// Usual doctor, free text; empty when there is none or it was not said.
    pub usual_doctor: Text<200>,
    /// Town where the patient lives.
    pub town: Text<128>,
    /// Number to ring when the line is cut, as the patient gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_phone: Option<Text<32>>,
    /// Consents, at most [`LIST_MAX`].
    pub consents: Vec<ConsentGiven>,
    /// Kind of place, see [`crate::enrol::Site::kind`].
    pub site_kind: Code,
    /// Language of the patient.
    pub language: Code,
}

/// Who should see the patient next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// Nobody in particular.
    None,
    /// The usual doctor.
    UsualDoctor,
    /// A physician in person.
    InPerson,
    /// A specialist.
    Specialist,
    /// Emergency, now.
    Emergency,
    /// Another teleconsultation.
    Teleconsultation,
    /// A nurse.
    Nurse,
    /// The pharmacist.
    Pharmacist,
    /// A laboratory or an imaging centre.
    Examination,
}

impl NextStep {
    /// Every value.
    pub const ALL: [NextStep; 9] = [
        NextStep::None,
        NextStep::UsualDoctor,
        NextStep::InPerson,
        NextStep::Specialist,
        NextStep::Emergency,
        NextStep::Teleconsultation,
        NextStep::Nurse,
        NextStep::Pharmacist,
        NextStep::Examination,
    ];
}

/// Kind of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// A medicine.
    Medicine,
    /// A laboratory test.
    Laboratory,
    /// Imaging.
    Imaging,
    /// Care by another professional.
    Care,
    /// Advice.
    Advice,
    /// Anything else.
    Other,
}

impl OrderKind {
    /// Every value.
    pub const ALL: [OrderKind; 6] = [
        OrderKind::Medicine,
        OrderKind::Laboratory,
        OrderKind::Imaging,
        OrderKind::Care,
        OrderKind::Advice,
        OrderKind::Other,
    ];
}

/// One order in words. The prescription itself is a document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Kind.
    pub kind: OrderKind,
    /// In words.
    pub text: Text<1000>,
}

/// The physician's summary for the patient and the record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The same for every revision of the summary of one consultation.
    pub id: ItemId,
    /// 1, 2, 3...: the highest counts.
    pub revision: u32,
    /// The summary.
    pub text: Text<16384>,
    /// Orders, at most [`ORDERS_MAX`].
    pub orders: Vec<Order>,
    /// Who next.
    pub next: NextStep,
    /// Who next, in words (name, delay).
    pub next_text: Text<512>,
}

/// What a call before this one handed over: it stays, and nothing of this call replaces it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedBefore {
    /// When the cabin had it, ms since 1970, cabin's clock.
    pub at: i64,
    /// The physician who wrote it.
    pub by: Text<128>,
    /// As in [`Summary`].
    pub text: Text<16384>,
    /// Orders, at most [`ORDERS_MAX`].
    pub orders: Vec<Order>,
    /// Who next.
    pub next: NextStep,
    /// Who next, in words (name, delay).
    pub next_text: Text<512>,
    /// Documents handed over in that call, at most [`ORDERS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentKind>,
}

/// Kind of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A prescription.
    Prescription,
    /// A report of the consultation.
    Report,
    /// A letter to another professional.
    Letter,
    /// A certificate.
    Certificate,
    /// Anything else.
    Other,
}

impl DocumentKind {
    /// Every value.
    pub const ALL: [DocumentKind; 5] = [
        DocumentKind::Prescription,
        DocumentKind::Report,
        DocumentKind::Letter,
        DocumentKind::Certificate,
        DocumentKind::Other,
    ];
}

/// A PDF is about to be sent on [`DOCUMENTS`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentBegin {
    /// The document.
    pub id: ItemId,
    /// Short number of the document in the chunks' header; unique in the consultation.
    pub number: u32,
    /// Kind.
    pub kind: DocumentKind,
    /// Title for people.
    pub title: Text<200>,
    /// Length, bytes: 1 to [`DOCUMENT_BYTES_MAX`].
    pub bytes: u32,
    /// SHA-256 of the whole file, 64 lower-case hexadecimal digits.
    pub sha256: Sha256Hex,
}

/// What a consultation became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A teleconsultation took place.
    Completed,
    /// It was broken off and did not take place in full.
    Interrupted,
    /// The patient must be seen at once: emergency.
    Emergency,
}

crate::opaque_debug!("patient":
    Sex, Identity, WarningSign, ConsentGiven, Answers, Order, Summary, HandedBefore, DocumentBegin);

/// One message of the `record` channel. Which end sends it is in its description; the other refuses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// Both, first.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
        /// The consultation: an end that knows another closes.
        consultation: ConsultationId,
    },
    /// Cabin: who the patient is; again when the pharmacist validates the identity.
    Patient(Identity),
    /// Cabin: what the patient answered.
    Answers(Answers),
    /// Cabin: a reading, as soon as its last byte arrived.
    Reading(Reading),
    /// Cabin: where a guided measurement is.
    MeasurementState {
        /// Which.
        measurement: MeasurementKind,
        /// How far.
        state: MeasurementProgress,
        /// The request it answers, when it answers one.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<ItemId>,
        /// Why, when skipped or at fault, in words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Text<256>>,
    },
    /// Page: asks for a measurement; acknowledged.
    RequestMeasurement {
        /// The request.
        id: ItemId,
        /// Which.
        measurement: MeasurementKind,
    },
    /// Both: a line to show to the person at the other end; acknowledged.
    Notice {
        /// The notice.
        id: ItemId,
        /// In words.
        text: Text<500>,
        /// Cabin: the patient wrote it, who cannot hear or speak perhaps; else the cabin says it itself. Left out: no.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_patient: bool,
    },
    /// Page: a third person comes into the call, or is there; said again whenever the channel opens. Acknowledged when it
    /// is on the patient's screen and durable: before, nothing of the patient goes to a guest.
    Guest {
        /// This coming.
        id: ItemId,
        /// Who.
        #[serde(flatten)]
        guest: Guest,
    },
    /// Page: no third person is there any more; acknowledged alike.
    GuestGone {
        /// This going.
        id: ItemId,
    },
    /// Page: the summary, each time it is saved; acknowledged when durable in the cabin.
    Summary(Summary),
    /// Cabin: what a call before this one handed over, oldest first, one message each.
    HandedBefore(HandedBefore),
    /// Page: a document is coming.
    DocumentBegin(DocumentBegin),
    /// Cabin: bytes of the document that it has; the page (re)sends from there. `received == bytes` and `stored`
    /// mean that its SHA-256 was right and it is durable.
    DocumentAck {
        /// The document.
        id: ItemId,
        /// Offset from which to send.
        received: u32,
        /// Checked and durable.
        stored: bool,
    },
    /// Cabin: a document cannot be taken.
    DocumentRefused {
        /// The document.
        id: ItemId,
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
    /// Page: asks for the bytes of a recording, by their hash, as chunks on [`crate::recordings::RECORDINGS`]. Asked
    /// again with what is there already after a reconnection. One is under way at a time: the newest asked.
    RecordingWanted {
        /// The page's number of it, in the chunks' header.
        number: u32,
        /// Which: [`File::sha256`] of a reading.
        sha256: Sha256Hex,
        /// Bytes that the page has: send from there.
        received: u32,
    },
    /// Page: the bytes of the recording that it has now, after each chunk. By it the cabin finds how much the line
    /// bears beside the voice.
    RecordingReceived {
        /// As in `recording_wanted`.
        number: u32,
        /// Bytes.
        received: u32,
    },
    /// Cabin: the recording cannot be sent.
    RecordingRefused {
        /// As in `recording_wanted`.
        number: u32,
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
    /// Cabin: how the line is at its end, every two seconds while picture and sound flow.
    Link(Link),
    /// Cabin: every technical incident of the consultation so far, again when one begins or ends. They are in the
    /// record too.
    Incidents {
        /// When this was said, ms since 1970, cabin's clock: the clocks of the two ends may differ.
        at: i64,
        /// Oldest first, at most [`LIST_MAX`].
        incidents: Vec<Incident>,
    },
    /// Page: the consultation is over; acknowledged when durable, then both ends end the call.
    End {
        /// The end.
        id: ItemId,
        /// What it became.
        outcome: Outcome,
        /// Picture was there for the essential of the call (R1c): without it the physician says so here.
        with_video: bool,
    },
    /// Page: the patient goes back to the waiting room, said so where the desk knows the call no more; acknowledged when
    /// durable, then both ends end the call.
    GivenBack {
        /// The giving back.
        id: ItemId,
    },
    /// Both: the item with this id is durable (cabin) or shown (page).
    Ack {
        /// The item.
        id: ItemId,
    },
    /// Both: a message was refused; the channel stays.
    Error {
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
}

impl Record {
    /// Reads one message; also refuses what no end may ever say (see [`Unreadable::Forbidden`]).
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let message: Self = crate::read(text, RECORD_BYTES_MAX)?;
        message.check()?;
        Ok(message)
    }

    /// The message as one data channel text. Refused when it breaks the rules that [`Record::read`] holds.
    pub fn write(&self) -> Result<String, Unreadable> {
        self.check()?;
        let text = crate::write(self);
        if text.len() > RECORD_BYTES_MAX {
            return Err(Unreadable::TooLarge { bytes: text.len(), max: RECORD_BYTES_MAX });
        }
        Ok(text)
    }

    /// Whether only the cabin sends it (`Some(true)`), only the page (`Some(false)`), or both (`None`).
    pub fn from_cabin(&self) -> Option<bool> {
        match self {
            Record::Hello { .. } | Record::Notice { .. } | Record::Ack { .. } | Record::Error { .. } => None,
            Record::Patient(_)
            | Record::Answers(_)
            | Record::HandedBefore(_)
            | Record::Reading(_)
            | Record::MeasurementState { .. }
            | Record::DocumentAck { .. }
            | Record::DocumentRefused { .. }
            | Record::RecordingRefused { .. }
            | Record::Link(_)
            | Record::Incidents { .. } => Some(true),
            Record::RequestMeasurement { .. }
            | Record::Guest { .. }
            | Record::GuestGone { .. }
            | Record::Summary(_)
            | Record::DocumentBegin(_)
            | Record::RecordingWanted { .. }
            | Record::RecordingReceived { .. }
            | Record::End { .. }
            | Record::GivenBack { .. } => Some(false),
        }
    }

    fn check(&self) -> Result<(), Unreadable> {
        let long = |length: usize| length > LIST_MAX;
        match self {
            Record::Patient(identity)
                if identity.matricule.is_some() && identity.status != IdentityStatus::Qualified =>
            {
                Err(Unreadable::Forbidden("a matricule travels only with a qualified identity"))
            }
            Record::Answers(answers) if long(answers.warning_signs.len()) || long(answers.consents.len()) => {
                Err(Unreadable::Forbidden("too many answers"))
            }
            Record::Summary(summary) if summary.orders.len() > ORDERS_MAX => {
                Err(Unreadable::Forbidden("too many orders"))
            }
            Record::HandedBefore(before) if before.orders.len().max(before.documents.len()) > ORDERS_MAX => {
                Err(Unreadable::Forbidden("too many orders or documents"))
            }
            Record::Guest { guest, .. } => guest.check(),
            Record::Reading(reading) => reading.check(),
            Record::Incidents { incidents, .. } if long(incidents.len()) => {
                Err(Unreadable::Forbidden("too many incidents"))
            }
            Record::DocumentBegin(begin) if begin.bytes == 0 || begin.bytes > DOCUMENT_BYTES_MAX => {
                Err(Unreadable::Forbidden("a document has 1 byte to 10 MiB"))
            }
            _ => Ok(()),
        }
    }
}
