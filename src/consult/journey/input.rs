//! Everything that can happen to the journey.

use std::fmt;

use super::{CallEnd, Trouble, WaitingNews};
use crate::consent::ConsentAnswers;
use crate::dossier::{
    ComeBack, ConsultationId, Contact, NOTICE_CHARS_MAX, Phone, Presentation, Questionnaire, SkipReason,
};
use crate::guest::Guest;
use crate::identity::{IdentityDocument, Matricule, Traits};
use crate::physician::{Document, Physician, Summary};
use crate::private::PrivateText;
use crate::reason::Reason;
use crate::second_opinion::{HalfWritten, SecondOpinion};
use crate::site::{DeviceClass, Pharmacist};
use crate::triage::WarningSign;
use crate::vitals::{Measurement, Reading};

/// Everything that a person, a device, the network or time can do to the journey. Its `Debug` is its name alone: what
/// it carries is the patient's.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    // --- the pharmacist
    /// A pharmacist's PIN was right. Opens the cabin; in an open cabin, this pharmacist is now the responsible one.
    SignedIn(Pharmacist),
    /// A pharmacist's PIN was right, and the pharmacist opens the closed cabin although equipment is missing: the
    /// degraded mode, which every consultation's record then says.
    OpenedDegraded(Pharmacist),
    /// The pharmacist closes the cabin; refused while somebody is in it.
    ClosedByPharmacist,
    /// The pharmacist answers the call for help.
    HelpAnswered,
    /// The pharmacist was there and help is no longer needed.
    HelpDone,
    /// The pharmacist compared the identity with this document.
    IdentityChecked(IdentityDocument),
    /// The pharmacist now enters things for the patient.
    AssistanceStarted,
    /// The patient goes on alone.
    AssistanceEnded,
    /// After a warning sign and with the advice of the emergency services, the journey goes on.
    EmergencyCleared,
    /// The patient is handed over to the emergency services: the consultation ends.
    EmergencyHandedOver,
    /// The cabin is clean.
    Cleaned,

    // --- the patient, from anywhere
    /// Language, text size, contrast, lower mode, voice.
    PresentationChosen(Presentation),
    /// Help.
    HelpAsked,
    /// Emergency.
    EmergencyAsked,
    /// Closes an emergency screen opened by [`Input::EmergencyAsked`].
    EmergencyClosed,
    /// Leave, confirmed.
    Left,
    /// Back, where it is harmless.
    Back,
    /// Any touch that is nothing else: the patient is there.
    Touched,
    /// "More time" or "still here".
    MoreTime,
    /// "Read this screen to me".
    ListenAsked,

    // --- the patient, step by step
    /// First touch: a consultation begins.
    Begun(ConsultationId),
    /// The reason.
    ReasonGiven(Reason),
    /// One sign answered.
    WarningSignAnswered {
        /// Which.
        sign: WarningSign,
        /// Yes.
        present: bool,
    },
    /// "None of these": no to every sign still to be asked.
    NoWarningSign,
    /// The traits, confirmed on the screen, and the matricule if typed.
    IdentityGiven {
        /// The traits.
        traits: Traits,
        /// The matricule.
        matricule: Option<Matricule>,
    },
    /// Usual doctor, town, phone.
    ContactGiven(Contact),
    /// The three consent answers, confirmed.
    ConsentsAnswered(ConsentAnswers),
    /// The device is placed: measure.
    MeasuringStarted,
    /// Keep these readings.
    ReadingsKept,
    /// Take them again; in mid-measurement, begin it anew.
    Retake,
    /// Not this measurement.
    Skipped(SkipReason),
    /// The patient accepts the physician.
    PhysicianAccepted,
    /// The patient declines the physician, and waits for another.
    PhysicianDeclined,
    /// No physician can be seen: the patient asks to be called back on this number, and the consultation here ends.
    CallBackAsked(Phone),
    /// No physician can be seen: the patient will come back with this code, and sees it.
    ComeBackAsked(ComeBack),
    /// The patient came back with the code, this pharmacist being responsible: the first input after a replay of what
    /// was parked.
    CameBack(Pharmacist),
    /// No physician can be seen: who helps the patient asks a specialist, and the consultation here ends.
    SecondOpinionAsked(SecondOpinion),
    /// That request, as far as it is written: a stop of the cabin does not lose it.
    SecondOpinionWritten(HalfWritten),
    /// For the specialist who is to be asked, this measurement is made too.
    MeasurementAdded(Measurement),
    /// The patient ends the call, and sees the documents.
    HungUp,
    /// Print summary and documents.
    PrintAsked,
    /// On to the next screen (from the documents, the code to come back with, the forgotten screen, or a measurement
    /// already made).
    Continued,
    /// The questionnaire, possibly empty: the end.
    QuestionnaireAnswered(Questionnaire),

    // --- devices
    /// The device gave a whole result.
    ReadingsTaken {
        /// Of which measurement.
        measurement: Measurement,
        /// At least one, at most [`crate::dossier::READINGS_MAX`].
        readings: Vec<Reading>,
    },
    /// The try gave nothing.
    MeasuringFailed {
        /// Of which measurement.
        measurement: Measurement,
        /// Why.
        trouble: Trouble,
    },
    /// The port of this measurement's device is gone.
    DeviceLost(Measurement),
    /// It is back.
    DeviceBack(Measurement),
    /// What this place must have was looked at.
    EquipmentChecked {
        /// What does not answer; empty when all is well.
        missing: Vec<DeviceClass>,
    },
    /// The printer finished, well or not.
    PrintEnded {
        /// On paper.
        printed: bool,
    },

    // --- network, desk and physician
    /// The cabin lost its network.
    NetworkLost,
    /// It is back.
    NetworkBack,
    /// News of the wait.
    WaitingRoomNews(WaitingNews),
    /// A physician took the patient.
    PhysicianOffered(Physician),
    /// The physician stepped back before the patient answered.
    PhysicianWithdrawn,
    /// Picture and sound are there.
    CallConnected,
    /// Picture and sound stopped.
    CallInterrupted,
    /// They are back.
    CallResumed,
    /// The physician asks for a measurement.
    MeasurementRequested(Measurement),
    /// The physician no longer asks for it.
    MeasurementRequestWithdrawn,
    /// A third person comes into the call, in place of any other; the patient reads who before they see or hear anything.
    GuestCame(Guest),
    /// The third person is gone.
    GuestLeft,
    /// A line to the patient, to be read on the screen; empty takes the last one away.
    NoticeReceived(PrivateText<NOTICE_CHARS_MAX>),
    /// Summary, orders, who next.
    SummaryReceived(Summary),
    /// A document, whole and verified.
    DocumentReceived(Document),
    /// The call is over.
    CallEnded(CallEnd),

    // --- the program
    /// The record is durable in the outbox.
    RecordSealed,
    /// No record of it can be made: its journal is kept aside for a technician.
    RecordKeptAside,
    /// The outbox could not take the record.
    RecordNotSealed,
    /// The program was replayed from its journal; the first input after a replay.
    Restarted,

    // --- time (made by [`Journey::timeout_input`])
    /// Nobody touched anything: warn.
    InactivityWarned,
    /// Nobody answered the warning: the patient went away.
    WalkedAway,
    /// Nobody answered the call for help: raise the alarm.
    HelpUnanswered,
    /// The forgotten screen was shown long enough.
    ReceiptShown,
    /// A welcome screen with somebody's choices goes back to the usual ones.
    PresentationReset,
    /// The outbox is offered the record again.
    StoringRetried,
}

impl Input {
    /// Whether an accepted input of this kind belongs to the journal of the running consultation. The others change
    /// only what a restart makes anew.
    pub fn is_journalled(&self) -> bool {
        !matches!(
            self,
            Input::Touched
                | Input::MoreTime
                | Input::ListenAsked
                | Input::PrintAsked
                | Input::PrintEnded { .. }
                | Input::WaitingRoomNews(_)
                | Input::RecordSealed
                | Input::RecordKeptAside
                | Input::RecordNotSealed
                | Input::HelpUnanswered
                | Input::ReceiptShown
                | Input::PresentationReset
                | Input::StoringRetried
                | Input::ClosedByPharmacist
                | Input::OpenedDegraded(_)
                | Input::Cleaned
        )
    }
}

impl Input {
    /// Name of its kind, for a log.
    pub fn name(&self) -> &'static str {
        match self {
            Input::SignedIn(_) => "SignedIn",
            Input::OpenedDegraded(_) => "OpenedDegraded",
            Input::EquipmentChecked { .. } => "EquipmentChecked",
            Input::ClosedByPharmacist => "ClosedByPharmacist",
            Input::HelpAnswered => "HelpAnswered",
            Input::HelpDone => "HelpDone",
            Input::IdentityChecked(_) => "IdentityChecked",
            Input::AssistanceStarted => "AssistanceStarted",
            Input::AssistanceEnded => "AssistanceEnded",
            Input::EmergencyCleared => "EmergencyCleared",
            Input::EmergencyHandedOver => "EmergencyHandedOver",
            Input::Cleaned => "Cleaned",
            Input::PresentationChosen(_) => "PresentationChosen",
            Input::HelpAsked => "HelpAsked",
            Input::EmergencyAsked => "EmergencyAsked",
            Input::EmergencyClosed => "EmergencyClosed",
            Input::Left => "Left",
            Input::Back => "Back",
            Input::Touched => "Touched",
            Input::MoreTime => "MoreTime",
            Input::ListenAsked => "ListenAsked",
            Input::Begun(_) => "Begun",
            Input::ReasonGiven(_) => "ReasonGiven",
            Input::WarningSignAnswered { .. } => "WarningSignAnswered",
            Input::NoWarningSign => "NoWarningSign",
            Input::IdentityGiven { .. } => "IdentityGiven",
            Input::ContactGiven(_) => "ContactGiven",
            Input::ConsentsAnswered(_) => "ConsentsAnswered",
            Input::MeasuringStarted => "MeasuringStarted",
            Input::ReadingsKept => "ReadingsKept",
            Input::Retake => "Retake",
            Input::Skipped(_) => "Skipped",
            Input::PhysicianAccepted => "PhysicianAccepted",
            Input::PhysicianDeclined => "PhysicianDeclined",
            Input::CallBackAsked(_) => "CallBackAsked",
            Input::ComeBackAsked(_) => "ComeBackAsked",
            Input::CameBack(_) => "CameBack",
            Input::SecondOpinionAsked(_) => "SecondOpinionAsked",
            Input::SecondOpinionWritten(_) => "SecondOpinionWritten",
            Input::MeasurementAdded(_) => "MeasurementAdded",
            Input::HungUp => "HungUp",
            Input::PrintAsked => "PrintAsked",
            Input::Continued => "Continued",
            Input::QuestionnaireAnswered(_) => "QuestionnaireAnswered",
            Input::ReadingsTaken { .. } => "ReadingsTaken",
            Input::MeasuringFailed { .. } => "MeasuringFailed",
            Input::DeviceLost(_) => "DeviceLost",
            Input::DeviceBack(_) => "DeviceBack",
            Input::PrintEnded { .. } => "PrintEnded",
            Input::NetworkLost => "NetworkLost",
            Input::NetworkBack => "NetworkBack",
            Input::WaitingRoomNews(_) => "WaitingRoomNews",
            Input::PhysicianOffered(_) => "PhysicianOffered",
            Input::PhysicianWithdrawn => "PhysicianWithdrawn",
            Input::CallConnected => "CallConnected",
            Input::CallInterrupted => "CallInterrupted",
            Input::CallResumed => "CallResumed",
            Input::MeasurementRequested(_) => "MeasurementRequested",
            Input::MeasurementRequestWithdrawn => "MeasurementRequestWithdrawn",
            Input::GuestCame(_) => "GuestCame",
            Input::GuestLeft => "GuestLeft",
            Input::NoticeReceived(_) => "NoticeReceived",
            Input::SummaryReceived(_) => "SummaryReceived",
            Input::DocumentReceived(_) => "DocumentReceived",
            Input::CallEnded(_) => "CallEnded",
            Input::RecordSealed => "RecordSealed",
            Input::RecordKeptAside => "RecordKeptAside",
            Input::RecordNotSealed => "RecordNotSealed",
            Input::Restarted => "Restarted",
            Input::InactivityWarned => "InactivityWarned",
            Input::WalkedAway => "WalkedAway",
            Input::HelpUnanswered => "HelpUnanswered",
            Input::ReceiptShown => "ReceiptShown",
            Input::PresentationReset => "PresentationReset",
            Input::StoringRetried => "StoringRetried",
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
