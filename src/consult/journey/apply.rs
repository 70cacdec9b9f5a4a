//! The one door: which input goes where, who counts as present, and what guards everything.

use super::{Answer, Effect, Emergency, Input, Journey, Refused};
use crate::vitals::Moment;

/// Where an input comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The patient, about the step in front; blocked while an emergency screen hides the step.
    PatientStep,
    /// The patient, from anywhere.
    Patient,
    Pharmacist,
    /// Devices, network, desk, program, time.
    Other,
}

impl Journey {
    /// Accepts the input and says what to do, or says why not and stays as it was. `now` is the cabin's clock; a
    /// clock that jumps delays or hastens timeouts and nothing else.
    pub fn apply(&mut self, input: Input, now: Moment) -> Result<Vec<Effect>, Refused> {
        let source = source(&input);
        // Whoever was told to sit still and say nothing was there all the time.
        let measured = matches!(input, Input::ReadingsTaken { .. } | Input::MeasuringFailed { .. });
        if source == Source::PatientStep {
            match self.emergency {
                Some(Emergency::Asked) => return Err(Refused::EmergencyShown),
                Some(Emergency::Sign(_)) => return Err(Refused::PharmacistNeeded),
                None => {}
            }
        }
        let journalled = input.is_journalled();
        let step_before = std::mem::discriminant(&self.step);
        let effects = self.dispatch(input, now)?;
        if source != Source::Other || measured || std::mem::discriminant(&self.step) != step_before {
            self.last_active_at = now;
            self.warned_at = None;
        }
        if journalled && self.dossier.is_some() {
            self.last_journalled_at = now;
        }
        Ok(effects)
    }

    fn dispatch(&mut self, input: Input, now: Moment) -> Answer {
        match input {
            Input::SignedIn(pharmacist) => self.sign_in(pharmacist, now),
            Input::OpenedDegraded(pharmacist) => self.open_degraded(pharmacist, now),
            Input::EquipmentChecked { missing } => self.check_equipment(&missing, now),
            Input::ClosedByPharmacist => self.close(),
            Input::HelpAnswered => self.answer_help(now),
            Input::HelpDone => self.finish_help(),
            Input::IdentityChecked(document) => self.check_identity(document, now),
            Input::AssistanceStarted => self.start_assistance(now),
            Input::AssistanceEnded => self.end_assistance(now),
            Input::EmergencyCleared => self.clear_emergency(now),
            Input::EmergencyHandedOver => self.hand_over(now),
            Input::Cleaned => self.cleaned(),

            Input::PresentationChosen(presentation) => self.choose_presentation(presentation),
            Input::HelpAsked => self.ask_help(now),
            Input::EmergencyAsked => self.ask_emergency(now),
            Input::EmergencyClosed => self.close_emergency(),
            Input::Left => self.leave(now),
            Input::Back => self.go_back(now),
            Input::Touched | Input::MoreTime => Ok(Vec::new()),
            Input::ListenAsked => Ok(vec![Effect::Speak]),

            Input::Begun(id) => self.begin(id, now),
            Input::ReasonGiven(reason) => self.give_reason(reason),
            Input::WarningSignAnswered { sign, present } => self.answer_warning_sign(sign, present, now),
            Input::NoWarningSign => self.answer_no_warning_sign(now),
            Input::IdentityGiven { traits, matricule } => self.give_identity(traits, matricule, now),
            Input::ContactGiven(contact) => self.give_contact(contact),
            Input::ConsentsAnswered(answers) => self.answer_consents(answers, now),
            Input::MeasuringStarted => self.start_measuring(now),
            Input::ReadingsKept => self.keep_readings(now),
            Input::Retake => self.retake(now),
            Input::Skipped(reason) => self.skip(reason, now),
            Input::PhysicianAccepted => self.accept_physician(now),
            Input::PhysicianDeclined => self.decline_physician(),
            Input::CallBackAsked(phone) => self.ask_call_back(phone, now),
            Input::ComeBackAsked(come_back) => self.ask_come_back(come_back),
            Input::CameBack(pharmacist) => self.come_back(pharmacist, now),
            Input::SecondOpinionAsked(opinion) => self.ask_second_opinion(opinion, now),
            Input::SecondOpinionWritten(written) => self.keep_half_written(written),
            Input::MeasurementAdded(measurement) => self.add_measurement(measurement, now),
            Input::HungUp => self.hang_up(now),
            Input::PrintAsked => self.print(),
            Input::Continued => self.go_on(now),
            Input::QuestionnaireAnswered(answers) => self.answer_questionnaire(answers, now),

            Input::ReadingsTaken { measurement, readings } => self.take_readings(measurement, readings),
            Input::MeasuringFailed { measurement, trouble } => self.fail_measuring(measurement, trouble, now),
            Input::DeviceLost(measurement) => self.lose_device(measurement, now),
            Input::DeviceBack(measurement) => self.regain_device(measurement, now),
            Input::PrintEnded { printed } => self.end_print(printed),

            Input::NetworkLost => self.lose_network(now),
            Input::NetworkBack => self.regain_network(now),
            Input::WaitingRoomNews(news) => self.hear_news(news),
            Input::PhysicianOffered(physician) => self.offer_physician(physician),
            Input::PhysicianWithdrawn => self.withdraw_physician(),
            Input::CallConnected => self.connect_call(now),
            Input::CallInterrupted => self.interrupt_call(now),
            Input::CallResumed => self.resume_call(now),
            Input::MeasurementRequested(measurement) => self.request_measurement(measurement, now),
            Input::MeasurementRequestWithdrawn => self.withdraw_request(now),
            Input::GuestCame(guest) => self.welcome_guest(guest, now),
            Input::GuestLeft => self.see_guest_off(now),
            Input::NoticeReceived(notice) => self.receive_notice(notice),
            Input::SummaryReceived(summary) => self.receive_summary(summary, now),
            Input::DocumentReceived(document) => self.receive_document(document, now),
            Input::CallEnded(end) => self.end_call(end, now),

            Input::RecordSealed => self.record_sealed(now),
            Input::RecordKeptAside => self.record_kept_aside(now),
            Input::RecordNotSealed => self.record_not_sealed(now),
            Input::Restarted => Ok(self.restart(now)),

            Input::InactivityWarned => self.warn_inactive(now),
            Input::WalkedAway => self.walk_away(now),
            Input::HelpUnanswered => self.alarm_help(now),
            Input::ReceiptShown => self.receipt_shown(now),
            Input::PresentationReset => self.reset_presentation(now),
            Input::StoringRetried => self.retry_storing(now),
        }
    }
}

fn source(input: &Input) -> Source {
    match input {
        Input::SignedIn(_)
        | Input::OpenedDegraded(_)
        | Input::ClosedByPharmacist
        | Input::HelpAnswered
        | Input::HelpDone
        | Input::IdentityChecked(_)
        | Input::AssistanceStarted
        | Input::AssistanceEnded
        | Input::EmergencyCleared
        | Input::EmergencyHandedOver
        | Input::Cleaned => Source::Pharmacist,
        Input::PresentationChosen(_)
        | Input::HelpAsked
        | Input::EmergencyAsked
        | Input::EmergencyClosed
        | Input::CameBack(_)
        | Input::Left
        | Input::Touched
        | Input::MoreTime
        | Input::ListenAsked => Source::Patient,
        Input::Back
        | Input::Begun(_)
        | Input::ReasonGiven(_)
        | Input::WarningSignAnswered { .. }
        | Input::NoWarningSign
        | Input::IdentityGiven { .. }
        | Input::ContactGiven(_)
        | Input::ConsentsAnswered(_)
        | Input::MeasuringStarted
        | Input::ReadingsKept
        | Input::Retake
        | Input::Skipped(_)
        | Input::PhysicianAccepted
        | Input::PhysicianDeclined
        | Input::CallBackAsked(_)
        | Input::ComeBackAsked(_)
        | Input::SecondOpinionAsked(_)
        | Input::SecondOpinionWritten(_)
        | Input::MeasurementAdded(_)
        | Input::HungUp
        | Input::PrintAsked
        | Input::Continued
        | Input::QuestionnaireAnswered(_) => Source::PatientStep,
        Input::ReadingsTaken { .. }
        | Input::MeasuringFailed { .. }
        | Input::DeviceLost(_)
        | Input::DeviceBack(_)
        | Input::EquipmentChecked { .. }
        | Input::PrintEnded { .. }
        | Input::NetworkLost
        | Input::NetworkBack
        | Input::WaitingRoomNews(_)
        | Input::PhysicianOffered(_)
        | Input::PhysicianWithdrawn
        | Input::CallConnected
        | Input::CallInterrupted
        | Input::CallResumed
        | Input::MeasurementRequested(_)
        | Input::MeasurementRequestWithdrawn
        | Input::GuestCame(_)
        | Input::GuestLeft
        | Input::NoticeReceived(_)
        | Input::SummaryReceived(_)
        | Input::DocumentReceived(_)
        | Input::CallEnded(_)
        | Input::RecordSealed
        | Input::RecordKeptAside
        | Input::RecordNotSealed
        | Input::Restarted
        | Input::InactivityWarned
        | Input::WalkedAway
        | Input::HelpUnanswered
        | Input::ReceiptShown
        | Input::PresentationReset
        | Input::StoringRetried => Source::Other,
    }
}
