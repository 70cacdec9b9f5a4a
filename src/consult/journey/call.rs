//! Waiting room, meeting the physician, the call.

use super::{Answer, CallEnd, CallLine, CallMissing, Effect, Guided, Journey, Paper, Refused, Step, WaitingNews};
use crate::consent::Purpose;
use crate::dossier::{
    CALLS_MAX, CallBack, CallRecord, DOCUMENTS_MAX, Dossier, IncidentKind, MEASUREMENTS_MAX, NOTICE_CHARS_MAX, Outcome,
    Phone, ReceivedDocument, ReceivedSummary, SUMMARIES_MAX, SkipReason, Skipped,
};
use crate::guest::{Attendance, GUESTS_MAX, Guest};
use crate::physician::{Authentication, DOCUMENT_BYTES_MAX, Document, ORDERS_MAX, Physician, Summary};
use crate::private::PrivateText;
use crate::vitals::{Measurement, Moment};

impl Journey {
    /// The one place that says whether a call is allowed (R1): an authenticated physician, an identified patient,
    /// consent to care.
    pub fn may_call(&self, physician: Option<&Physician>) -> Result<(), CallMissing> {
        if physician.is_none_or(|p| p.authentication == Authentication::None) {
            return Err(CallMissing::AuthenticatedPhysician);
        }
        let dossier = self.open_dossier().ok_or(CallMissing::PatientIdentity)?;
        if dossier.identity.is_none() {
            return Err(CallMissing::PatientIdentity);
        }
        if !dossier.consents_to(Purpose::Care) {
            return Err(CallMissing::CareConsent);
        }
        Ok(())
    }

    pub(super) fn enter_waiting_room(&mut self) -> Vec<Effect> {
        self.step = Step::WaitingRoom { news: WaitingNews::default() };
        // Without a network it is entered as soon as there is one.
        if self.online { vec![Effect::EnterWaitingRoom] } else { Vec::new() }
    }

    /// Whether the patient may ask to be called back: in the waiting room, with a record that may be sent.
    pub fn may_ask_call_back(&self) -> bool {
        matches!(self.step, Step::WaitingRoom { .. }) && self.open_dossier().is_some_and(Dossier::is_to_be_recorded)
    }

    /// What was said and measured goes with the request: the consultation here is over.
    pub(super) fn ask_call_back(&mut self, phone: Phone, now: Moment) -> Answer {
        if !self.may_ask_call_back() {
            return Err(Refused::NotHere);
        }
        if let Some(dossier) = self.open_dossier_mut() {
            dossier.call_back = Some(CallBack { phone, asked_at: now });
        }
        Ok(self.end(Outcome::CallBackAsked, now))
    }

    pub(super) fn hear_news(&mut self, said: WaitingNews) -> Answer {
        match &mut self.step {
            Step::WaitingRoom { news } => {
                *news = said;
                Ok(Vec::new())
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn offer_physician(&mut self, physician: Physician) -> Answer {
        match &self.step {
            Step::WaitingRoom { .. } => {}
            // The desk says it again after a reconnection.
            Step::MeetPhysician { physician: met } if met.rpps == physician.rpps => {}
            _ => return Err(Refused::NotHere),
        }
        self.may_call(Some(&physician)).map_err(Refused::NoCall)?;
        if self.dossier.as_ref().is_some_and(|d| d.calls.len() >= CALLS_MAX) {
            return Err(Refused::TooMany);
        }
        self.step = Step::MeetPhysician { physician };
        Ok(Vec::new())
    }

    pub(super) fn withdraw_physician(&mut self) -> Answer {
        match self.step {
            Step::MeetPhysician { .. } => Ok(self.enter_waiting_room()),
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn accept_physician(&mut self, now: Moment) -> Answer {
        let Step::MeetPhysician { physician } = &self.step else { return Err(Refused::NotHere) };
        if !self.online {
            return Err(Refused::NoNetwork);
        }
        self.may_call(Some(physician)).map_err(Refused::NoCall)?;
        let physician = physician.clone();
        if let Some(dossier) = &mut self.dossier {
            dossier.calls.push(CallRecord { physician, accepted_at: now, connected_at: None, ended_at: None });
        }
        self.step = Step::Call { line: CallLine::Connecting, guided: None };
        Ok(vec![Effect::AcceptPhysician])
    }

    pub(super) fn decline_physician(&mut self) -> Answer {
        let Step::MeetPhysician { .. } = self.step else { return Err(Refused::NotHere) };
        let mut effects = vec![Effect::DeclinePhysician];
        effects.extend(self.enter_waiting_room());
        Ok(effects)
    }

    pub(super) fn connect_call(&mut self, now: Moment) -> Answer {
        match &mut self.step {
            Step::Call { line: line @ CallLine::Connecting, .. } => *line = CallLine::Connected,
            Step::Call { line: CallLine::Interrupted { .. }, .. } => return self.resume_call(now),
            _ => return Err(Refused::NotHere),
        }
        if let Some(call) = self.dossier.as_mut().and_then(|d| d.calls.last_mut()) {
            call.connected_at.get_or_insert(now);
        }
        Ok(vec![Effect::Share])
    }

    pub(super) fn interrupt_call(&mut self, now: Moment) -> Answer {
        let Step::Call { line: line @ CallLine::Connected, .. } = &mut self.step else {
            return Err(Refused::NotHere);
        };
        *line = CallLine::Interrupted { since: now };
        self.open_incident(IncidentKind::CallInterrupted, now);
        Ok(vec![Effect::Reconnect])
    }

    pub(super) fn resume_call(&mut self, now: Moment) -> Answer {
        let Step::Call { line: line @ CallLine::Interrupted { .. }, .. } = &mut self.step else {
            return Err(Refused::NotHere);
        };
        *line = CallLine::Connected;
        self.close_incident(IncidentKind::CallInterrupted, now);
        // What was measured while the line was down.
        Ok(vec![Effect::Share])
    }

    pub(super) fn lose_network(&mut self, now: Moment) -> Answer {
        if self.online {
            self.online = false;
            self.open_incident(IncidentKind::NetworkLost, now);
        }
        Ok(Vec::new())
    }

    pub(super) fn regain_network(&mut self, now: Moment) -> Answer {
        if self.online {
            return Ok(Vec::new());
        }
        self.online = true;
        self.close_incident(IncidentKind::NetworkLost, now);
        Ok(match self.step {
            Step::WaitingRoom { .. } | Step::MeetPhysician { .. } => vec![Effect::EnterWaitingRoom],
            Step::Call { line: CallLine::Interrupted { .. } | CallLine::Connecting, .. } => vec![Effect::Reconnect],
            _ => Vec::new(),
        })
    }

    pub(super) fn request_measurement(&mut self, measurement: Measurement, now: Moment) -> Answer {
        match &self.step {
            Step::Call { line: CallLine::Connected | CallLine::Interrupted { .. }, guided: None } => {}
            Step::Call { guided: Some(_), .. } => return Err(Refused::Measuring),
            _ => return Err(Refused::NotHere),
        }
        if !self.site.has(measurement) {
            return Err(Refused::NotFitted);
        }
        let (act, effects) = self.placing(measurement, now);
        if let Step::Call { guided, .. } = &mut self.step {
            *guided = Some(Guided { measurement, act });
        }
        Ok(effects)
    }

    pub(super) fn withdraw_request(&mut self, now: Moment) -> Answer {
        let Step::Call { guided: Some(guided), .. } = &self.step else { return Err(Refused::NotHere) };
        let measurement = guided.measurement;
        let mut effects = self.stop_measuring();
        self.cable_no_longer_matters(measurement);
        // Only a note: at the limit the physician's word still counts.
        if let Some(dossier) = self.dossier.as_mut().filter(|d| d.skipped.len() < MEASUREMENTS_MAX) {
            let reason = SkipReason::Withdrawn;
            dossier.skipped.push(Skipped { measurement, reason, at: now, asked_by_physician: true });
        }
        if let Step::Call { guided, .. } = &mut self.step {
            *guided = None;
        }
        effects.push(Effect::Share);
        Ok(effects)
    }

    pub(super) fn welcome_guest(&mut self, guest: Guest, now: Moment) -> Answer {
        let (Step::Call { .. }, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        // The page says it again after each reconnection.
        if dossier.guest() == Some(&guest) {
            return Ok(Vec::new());
        }
        if guest.name.is_empty() {
            return Err(Refused::NoName);
        }
        if dossier.guests.len() >= GUESTS_MAX {
            return Err(Refused::TooMany);
        }
        self.end_attendance(now);
        if let Some(dossier) = self.dossier.as_mut() {
            dossier.guests.push(Attendance { guest, came_at: now, left_at: None });
        }
        Ok(Vec::new())
    }

    pub(super) fn see_guest_off(&mut self, now: Moment) -> Answer {
        if self.dossier.as_ref().is_none_or(|dossier| dossier.guest().is_none()) {
            return Err(Refused::NotHere);
        }
        self.end_attendance(now);
        Ok(Vec::new())
    }

    fn end_attendance(&mut self, now: Moment) {
        if let Some(attendance) = self.dossier.as_mut().and_then(|dossier| dossier.guests.last_mut()) {
            attendance.left_at.get_or_insert(now);
        }
    }

    pub(super) fn receive_notice(&mut self, notice: PrivateText<NOTICE_CHARS_MAX>) -> Answer {
        let (Step::Call { .. }, Some(dossier)) = (&self.step, self.dossier.as_mut()) else {
            return Err(Refused::NotHere);
        };
        dossier.notice = notice;
        Ok(Vec::new())
    }

    pub(super) fn receive_summary(&mut self, summary: Summary, now: Moment) -> Answer {
        let dossier = self.written_to()?;
        if summary.orders.len() > ORDERS_MAX {
            return Err(Refused::TooLarge);
        }
        // The data channel may say the same thing twice after a reconnection.
        if dossier.summary() == Some(&summary) {
            return Ok(Vec::new());
        }
        if dossier.summaries.len() >= SUMMARIES_MAX {
            return Err(Refused::TooMany);
        }
        let physician = dossier.physician().cloned().ok_or(Refused::NotHere)?;
        dossier.summaries.push(ReceivedSummary { summary, physician, at: now });
        Ok(Vec::new())
    }

    pub(super) fn receive_document(&mut self, document: Document, now: Moment) -> Answer {
        let dossier = self.written_to()?;
        if document.size_bytes > DOCUMENT_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        if dossier.documents.iter().any(|d| d.document == document) {
            return Ok(Vec::new());
        }
        if dossier.documents.len() >= DOCUMENTS_MAX {
            return Err(Refused::TooMany);
        }
        let physician = dossier.physician().cloned().ok_or(Refused::NotHere)?;
        dossier.documents.push(ReceivedDocument { document, physician, at: now });
        Ok(Vec::new())
    }

    /// The dossier that a physician may write to: as long as the patient can still read it.
    fn written_to(&mut self) -> Result<&mut Dossier, Refused> {
        match self.step {
            Step::Call { .. } | Step::Documents { .. } | Step::Questionnaire => {
                self.dossier.as_mut().ok_or(Refused::NotHere)
            }
            _ => Err(Refused::NotHere),
        }
    }

    pub(super) fn end_call(&mut self, end: CallEnd, now: Moment) -> Answer {
        match self.step {
            Step::MeetPhysician { .. } => return self.withdraw_physician(),
            Step::Call { .. } => {}
            _ => return Err(Refused::NotHere),
        }
        let said = match end {
            CallEnd::PhysicianWithoutPicture => Some(IncidentKind::WithoutPicture),
            CallEnd::PhysicianBrokenOff => Some(IncidentKind::BrokenOff),
            CallEnd::Physician | CallEnd::GivenBack | CallEnd::Failed => None,
        };
        if let Some(kind) = said {
            let call = self.dossier.as_ref().and_then(|dossier| dossier.calls.last());
            self.open_incident(kind, call.map_or(now, |call| call.connected_at.unwrap_or(call.accepted_at)));
            self.close_incident(kind, now);
        }
        let mut effects = self.close_call(now);
        match end {
            CallEnd::Physician | CallEnd::PhysicianWithoutPicture | CallEnd::PhysicianBrokenOff => {
                self.step = Step::Documents { paper: Paper::NotAsked };
            }
            CallEnd::GivenBack | CallEnd::Failed => effects.extend(self.enter_waiting_room()),
        }
        Ok(effects)
    }

    pub(super) fn hang_up(&mut self, now: Moment) -> Answer {
        let Step::Call { .. } = self.step else { return Err(Refused::NotHere) };
        let mut effects = self.close_call(now);
        effects.push(Effect::EndCall);
        self.step = Step::Documents { paper: Paper::NotAsked };
        Ok(effects)
    }

    /// Writes the end of the call and stops what it was measuring.
    pub(super) fn close_call(&mut self, now: Moment) -> Vec<Effect> {
        let effects = self.stop_measuring();
        if let Some(measurement) = self.guided().map(|g| g.measurement) {
            self.cable_no_longer_matters(measurement);
        }
        if let Some(dossier) = self.dossier.as_mut() {
            dossier.notice = PrivateText::default();
            if let Some(call) = dossier.calls.last_mut() {
                call.ended_at.get_or_insert(now);
            }
        }
        self.end_attendance(now);
        self.close_incident(IncidentKind::CallInterrupted, now);
        effects
    }
}
