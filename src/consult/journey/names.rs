//! Names of inputs: all that a log may say of them.

use std::fmt;

use super::Input;

impl Input {
    /// Name of its kind, for a log.
    pub fn name(&self) -> &'static str {
        match self {
            Input::SignedIn(_) => "SignedIn",
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
            Input::SummaryReceived(_) => "SummaryReceived",
            Input::DocumentReceived(_) => "DocumentReceived",
            Input::CallEnded(_) => "CallEnded",
            Input::RecordSealed => "RecordSealed",
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
