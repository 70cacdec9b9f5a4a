//! The desk: the line to it, the waiting room, the physician it offers.

use std::time::{Duration, Instant};

use consult::dossier::{ConsultationId, Dossier};
use consult::journey::{CallEnd, CallLine, Input, Step, WaitingNews};
use consult::physician::{Authentication, Physician};
use consult::vitals::Measurement;
use drivers::ports::system_clock;
use signal::cabin::{AgeBand, DEVICES_MAX, DeviceState, FromCabin, FromDesk, SiteState, Waiting};
use signal::call::{EndCause, Sdp, SdpKind};
use signal::{Code, Text, Ticket};

use super::{Cabin, Event, Front, post};
use crate::conversation::Conversation;
use crate::desk_link::{DeskEvent, DeskLink};
use crate::devices::Health;
use crate::enrolment::Identity;
use crate::joining::{self, JoinEvent};
use crate::physician_link::Order;
use crate::{instruments, words};

/// What the desk last said.
#[derive(Default)]
pub struct DeskState {
    /// Proved and welcome.
    pub up: bool,
    /// Who runs it.
    pub operator: String,
    /// Why it is not up, for the technician; empty while it is.
    pub reason: String,
    /// It does not know this cabin, or no longer: only a person changes that. True too before the cabin joined it.
    pub refused: bool,
    /// Since when it is not up; `None` while it is.
    down_since: Option<Instant>,
    /// Since the line is up it has said again all that it knows.
    settled: bool,
    /// Since the line is up it has offered the call that is under way (again).
    known: bool,
    /// The call that it offered.
    pub(super) ticket: Option<Ticket>,
    /// The patient accepted it.
    pub(super) accepted: bool,
    /// Another path is wanted for the call; the page is asked once the line to the desk is back.
    path_wanted: bool,
    /// STUN and TURN servers to use.
    pub(crate) ice_servers: Vec<call::IceServer>,
    /// Physicians free or busy, for the welcome screen.
    pub physicians: u16,
    /// What it says of the price of the physician it offered, and of its reimbursement.
    pub fee_text: String,
}

impl DeskState {
    pub(super) fn forget(&mut self) {
        self.ticket = None;
        self.accepted = false;
        self.path_wanted = false;
        self.ice_servers.clear();
        self.fee_text.clear();
    }
}

/// How long a physician stays offered without a line to the desk.
const OFFER_STAYS: Duration = Duration::from_secs(10);

/// The name of a consultation on the wire.
pub(super) fn wire_id(id: ConsultationId) -> signal::ConsultationId {
    // A UUID is made of the letters, digits and hyphens that the wire allows.
    signal::ConsultationId::new(id.to_string()).unwrap_or_else(|_| unreachable!("a UUID is a consultation's name"))
}

/// How the physician was authenticated; `None` where the desk does not say it in a way that this release knows.
fn authenticated(said: signal::call::Authentication) -> Option<Authentication> {
    match said {
        signal::call::Authentication::LocalTotp => Some(Authentication::LocalTotp),
        signal::call::Authentication::OpenIdConnect => Some(Authentication::OpenIdConnect),
        signal::call::Authentication::Unknown => None,
    }
}

impl Cabin {
    /// Dials the desk of the settings, where this cabin has joined it; joins it, where a hand-over left a code for it.
    pub(super) fn dial_desk(&mut self, known: Option<Identity>) {
        let here = self.settings.desk_url.clone();
        let wanted = joining::wanted(&self.settings, known.as_ref());
        let joins = wanted.is_some();
        if let Some(wanted) = wanted {
            let own = (self.settings.enrol_site.clone(), self.settings.data_dir.clone());
            self.runtime.spawn(joining::run(wanted, self.tls.clone(), own, |event| post(Event::Join(event))));
        }
        match known {
            Some(identity) if identity.is_of(&here) => return self.belong_to(identity),
            Some(former) if joins => {
                self.desk.reason = format!("left {}; joins {here} when that answers", former.desk_url);
            }
            Some(former) => {
                let has = former.desk_url;
                self.desk.reason =
                    format!("joined to {has}, and [desk] says {here}: cabin enrol CODE, with a code of {here}");
            }
            None if joins => self.desk.reason = format!("joins {here} when that answers"),
            None => tracing::warn!("this cabin has not joined a desk: cabin enrol CODE --config FILE"),
        }
        if !self.desk.reason.is_empty() {
            tracing::warn!(reason = self.desk.reason, "this cabin has not joined its desk");
        }
        self.desk.refused = true;
    }

    /// From now on this cabin is that one, at that desk.
    fn belong_to(&mut self, identity: Identity) {
        self.replies.belong_to(format!("{} {}", identity.origin, identity.cabin_id.as_str()));
        self.identity = Some(identity.clone());
        self.runtime.spawn(joining::tell_outbox(self.outbox_watch.clone(), identity.clone()));
        self.link = Some(DeskLink::start(&self.runtime, identity, self.tls.clone(), |event| post(Event::Desk(event))));
        self.tell_site();
    }

    pub(super) fn join_event(&mut self, event: JoinEvent) {
        match event {
            JoinEvent::NotYet(reason) if self.identity.is_none() => self.desk.reason = reason,
            JoinEvent::NotYet(_) => {}
            JoinEvent::Joined(identity) => {
                // The same address may be another operator's now: the former line, if any, is over.
                self.link = None;
                self.desk = DeskState::default();
                self.input(Input::NetworkLost);
                self.belong_to(*identity);
                if matches!(self.journey.step(), Step::WaitingRoom { .. }) {
                    self.tell_waiting();
                }
            }
        }
    }

    pub(super) fn desk_event(&mut self, event: DeskEvent) {
        match event {
            DeskEvent::Up { operator } => {
                tracing::info!("the desk is reached");
                self.desk.up = true;
                self.desk.down_since = None;
                if self.front == Front::Opinions && self.opinions.failed && self.opinions.read.is_none() {
                    self.ask_opinions();
                }
                self.desk.operator = operator;
                self.desk.reason.clear();
                self.desk.refused = false;
                (self.desk.settled, self.desk.known) = (false, false);
                self.input(Input::NetworkBack);
                self.send_reply();
            }
            DeskEvent::Down { reason } => {
                if self.desk.up {
                    tracing::warn!(reason, "the desk is lost");
                }
                self.desk.up = false;
                self.desk.reason = reason;
                self.desk.refused = false;
                self.stop_fetching_report();
                self.desk.down_since.get_or_insert_with(Instant::now);
                self.input(Input::NetworkLost);
            }
            DeskEvent::Refused { code, reason } => {
                self.desk.down_since.get_or_insert_with(Instant::now);
                self.desk.up = false;
                self.desk.reason = format!("{code:?}: {reason}");
                self.desk.refused = true;
                self.input(Input::NetworkLost);
            }
            DeskEvent::Settled => {
                self.desk.settled = true;
                // Away longer than the desk waits, or restarted itself: nobody can be called at the other end. While
                // the direct line to the page still lives, the exchange goes on over it.
                if self.is_call_forgotten() && self.physician.is_none() {
                    self.call_ended(EndCause::CabinLost);
                }
                // The page's offer of another path, made while this line was down, was lost with it.
                let interrupted = matches!(self.journey.step(), Step::Call { line: CallLine::Interrupted { .. }, .. });
                let path_wanted = std::mem::take(&mut self.desk.path_wanted);
                if path_wanted {
                    self.ask_for_another_path();
                } else if let Some(ticket) =
                    self.desk.ticket.clone().filter(|_| interrupted && self.physician.is_some())
                {
                    self.say(FromCabin::RestartIce { ticket, same_connection: false });
                }
            }
            DeskEvent::Said(message) => self.desk_said(*message),
        }
    }

    fn desk_said(&mut self, message: FromDesk) {
        let here = self.consultation().map(wire_id);
        match message {
            FromDesk::IceServers { servers, .. } => {
                self.desk.ice_servers = servers
                    .into_iter()
                    .map(|server| call::IceServer {
                        urls: server.urls.iter().map(|url| url.as_str().to_owned()).collect(),
                        username: server.username.map(|name| name.as_str().to_owned()).unwrap_or_default(),
                        credential: server.credential.map(|secret| secret.as_str().to_owned()).unwrap_or_default(),
                    })
                    .collect();
                // The credentials of the call that is under way end by themselves.
                if let Some(physician) = &self.physician {
                    physician.order(Order::Relays(self.ice_servers()));
                }
            }
            FromDesk::WaitEstimate {
                consultation, position, physicians_free, physicians_busy, minutes_max, ..
            } => {
                self.desk.physicians = physicians_free.saturating_add(physicians_busy);
                if Some(consultation) == here {
                    let news = WaitingNews { ahead: Some(position.saturating_sub(1)), wait_minutes: minutes_max };
                    self.input(Input::WaitingRoomNews(news));
                }
            }
            FromDesk::PhysicianOffered { consultation, ticket, physician, authentication }
                if Some(&consultation) == here.as_ref() =>
            {
                self.physician_offered(consultation, ticket, &physician, authentication);
            }
            FromDesk::PhysicianOffered { consultation, ticket, .. } => {
                // A consultation that is over, or of before a factory reset.
                self.say(FromCabin::Decline { consultation, ticket, not_shown: false });
            }
            FromDesk::Sdp(sdp) if Some(&sdp.ticket) == self.desk.ticket.as_ref() && sdp.kind == SdpKind::Offer => {
                if self.desk.accepted {
                    self.take_offer(sdp);
                }
            }
            FromDesk::Candidate(candidate) if Some(&candidate.ticket) == self.desk.ticket.as_ref() => {
                if let Some(physician) = &self.physician {
                    physician.order(Order::Candidate(call::Candidate {
                        candidate: candidate.candidate.as_str().to_owned(),
                        sdp_mid: candidate.sdp_mid.map(|mid| mid.as_str().to_owned()),
                        sdp_m_line_index: candidate.sdp_m_line_index,
                    }));
                }
            }
            FromDesk::CallEnded { ticket, cause, .. } if Some(&ticket) == self.desk.ticket.as_ref() => {
                self.call_ended(cause);
            }
            // The physician has ended it already, on the data channel.
            FromDesk::CallEnded { .. } if !matches!(self.journey.step(), Step::Call { .. }) => {
                self.close_call();
                // Declined for the patient, by this program: the desk has taken the patient off its list.
                if matches!(self.journey.step(), Step::WaitingRoom { .. }) {
                    self.tell_waiting();
                }
            }
            FromDesk::HelpRequested { consultation } if Some(&consultation) == here.as_ref() => {
                self.input(Input::HelpAsked);
            }
            said @ (FromDesk::SecondOpinions { .. }
            | FromDesk::SecondOpinion { .. }
            | FromDesk::SecondOpinionKept { .. }
            | FromDesk::SecondOpinionRefused { .. }
            | FromDesk::SecondOpinionReport { .. }
            | FromDesk::Error { .. }) => self.hear_opinions(said),
            // Of a call that is over, or only worth a line for the technician.
            other => tracing::debug!(?other, "nothing to do"),
        }
    }

    fn physician_offered(
        &mut self,
        consultation: signal::ConsultationId,
        ticket: Ticket,
        offered: &signal::call::Physician,
        authentication: signal::call::Authentication,
    ) {
        // The desk proved itself by its certificate; it must also say how it knows that this is the physician.
        let Some(authentication) = authenticated(authentication) else {
            tracing::warn!("a physician whom the desk did not authenticate in a known way is declined");
            self.say(FromCabin::Decline { consultation, ticket, not_shown: true });
            return;
        };
        let physician = Physician::new(
            offered.name.as_str(),
            offered.speciality.as_str(),
            offered.rpps.as_str(),
            offered.town.as_str(),
            offered.fee_cents,
            authentication,
        );
        let again = self.desk.ticket.as_ref() == Some(&ticket);
        let physician = match physician {
            Ok(physician) => physician,
            Err(refused) => {
                tracing::warn!(%refused, "a physician cannot be shown to the patient");
                self.say(FromCabin::Decline { consultation, ticket, not_shown: true });
                return;
            }
        };
        offered.fee_text.as_str().clone_into(&mut self.desk.fee_text);
        // The desk repeats an offer after the line or this program was away: the patient has answered already.
        let in_call_with = match self.journey.step() {
            Step::Call { .. } => self.journey.dossier().and_then(Dossier::physician) == Some(&physician),
            _ => false,
        };
        if in_call_with {
            self.desk.known = true;
            let fresh = !again || self.physician.is_none() || !self.in_call();
            self.desk.ticket = Some(ticket.clone());
            self.desk.accepted = true;
            self.say(FromCabin::Accept { consultation, ticket: ticket.clone() });
            if fresh {
                self.open_call();
                self.say(FromCabin::RestartIce { ticket, same_connection: false });
            }
            return;
        }
        // A page of a request to a specialist gives way; what is on it is kept.
        self.keep_opinion();
        if self.input(Input::PhysicianOffered(physician)) {
            self.desk.ticket = Some(ticket);
            self.desk.accepted = false;
            self.desk.known = true;
            crate::bell::ring(crate::bell::Loudness::Soft);
        } else if !again {
            self.say(FromCabin::Decline { consultation, ticket, not_shown: false });
        }
    }

    /// A physician was offered, and the desk is away for longer than a line that merely blinks: the waiting room tells what
    /// may be done instead.
    pub(super) fn tend_offer(&mut self) {
        let is_away = self.desk.down_since.is_some_and(|since| since.elapsed() > OFFER_STAYS);
        if is_away && matches!(self.journey.step(), Step::MeetPhysician { .. }) {
            self.input(Input::PhysicianWithdrawn);
        }
    }

    pub(super) fn call_ended(&mut self, cause: EndCause) {
        self.desk.ticket = None;
        self.desk.accepted = false;
        match self.journey.step() {
            Step::MeetPhysician { .. } => {
                self.input(Input::PhysicianWithdrawn);
            }
            Step::Call { .. } => {
                let end = match cause {
                    EndCause::Completed | EndCause::Emergency => CallEnd::Physician,
                    EndCause::GivenBack => CallEnd::GivenBack,
                    EndCause::PatientLeft
                    | EndCause::Declined
                    | EndCause::NotShown
                    | EndCause::CabinLost
                    | EndCause::PhysicianLost
                    | EndCause::Fault => CallEnd::Failed,
                };
                self.close_call();
                self.input(Input::CallEnded(end));
            }
            _ => self.close_call(),
        }
    }

    /// Sends a message to the desk, if there is a line at all.
    pub(super) fn say(&self, message: FromCabin) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }

    /// Tells the desk whether patients can come, and with which devices.
    pub(super) fn tell_site(&self) {
        let Some(link) = &self.link else { return };
        let state = |model: &str, measurement, health: &Health| {
            let fault = match health {
                Health::Ready => None,
                Health::Unknown | Health::Unplugged => Some("débranché"),
                Health::Refused(_) => Some("refusé par le système de la cabine"),
                Health::Silent => Some("ne répond pas"),
                Health::Garbled => Some("signal brouillé"),
                Health::AtFault => Some("en panne"),
            };
            Some(DeviceState {
                model: Code::new(model).ok()?,
                measurement: words::wire_measurement(measurement),
                ready: fault.is_none(),
                fault: fault.map(Text::cut),
            })
        };
        let devices = self.devices.iter();
        let devices = devices.filter_map(|device| state(device.model.key, device.model.measurement, &device.health));
        // Opened only while it is used: until it was tried in vain, it is there.
        let seeing = self.instruments.iter().filter_map(|instrument| {
            let measurement = instrument.setting.measurement;
            let health = if instrument.health == Health::Unknown { &Health::Ready } else { &instrument.health };
            state(instruments::kind(measurement), measurement, health)
        });
        let devices = devices.chain(seeing).take(DEVICES_MAX).collect();
        let open = !matches!(self.journey.step(), Step::Closed);
        link.site(SiteState { open, pharmacist_present: self.journey.pharmacist().is_some(), devices });
    }

    pub(super) fn tell_waiting(&self) {
        let (Some(link), Some(dossier)) = (&self.link, self.journey.dossier()) else { return };
        let now = system_clock();
        let (Some(identity), Some(reason)) = (&dossier.identity, &dossier.reason) else { return };
        let (Ok(reason), Ok(language)) =
            (Code::new(words::wire_reason(reason.kind)), Code::new(dossier.presentation.language.code()))
        else {
            return;
        };
        let measured: Vec<_> = Measurement::ALL
            .into_iter()
            .filter(|measurement| dossier.last_kept(*measurement).is_some())
            .map(words::wire_measurement)
            .collect();
        link.waiting(Some(Waiting {
            consultation: wire_id(dossier.id),
            reason,
            age_band: AgeBand::from_years(identity.traits().birth_date.age_years(now)),
            sex: words::wire_sex(identity.traits().sex),
            measured,
            since_at: dossier.waits_since().unwrap_or(now).0,
            language,
            warning_sign: dossier.sign_cleared.is_some(),
        }));
    }

    pub(super) fn leave_waiting_room(&mut self) {
        if let Some(link) = &self.link {
            link.waiting(None);
        }
    }

    pub(super) fn accept_physician(&mut self) {
        let (Some(id), Some(ticket)) = (self.consultation(), self.desk.ticket.clone()) else { return };
        self.desk.accepted = true;
        if let Some(link) = &self.link {
            link.taken();
        }
        self.muted = (false, false);
        // What was written to another physician is not for this one.
        self.drafts.conversation = Conversation::default();
        self.drafts.guest_asked = false;
        self.open_call();
        self.say(FromCabin::Accept { consultation: wire_id(id), ticket });
    }

    pub(super) fn decline_physician(&mut self) {
        let (Some(id), Some(ticket)) = (self.consultation(), self.desk.ticket.take()) else { return };
        self.desk.accepted = false;
        self.say(FromCabin::Decline { consultation: wire_id(id), ticket, not_shown: false });
    }

    /// The desk has said everything, and nothing of the call that is under way here.
    pub(super) fn is_call_forgotten(&self) -> bool {
        let meets = matches!(self.journey.step(), Step::MeetPhysician { .. } | Step::Call { .. });
        meets && self.desk.up && self.desk.settled && !self.desk.known
    }

    /// The running call does not work: a fresh one on both sides. Without a desk that knows the call there is nobody to
    /// make it with; its next offer of the same call makes it.
    pub(super) fn reconnect(&mut self) {
        let Some(ticket) = self.desk.ticket.clone().filter(|_| self.desk.up && self.desk.known) else { return };
        self.open_call();
        self.say(FromCabin::RestartIce { ticket, same_connection: false });
    }

    /// Packets leave by another network than before: the line to the desk and the call's path were of the former.
    pub(super) fn route_changed(&mut self) {
        tracing::info!("another network is used: the desk is dialled anew, and a call gets another path");
        self.desk.path_wanted = true;
        if let Some(link) = &self.link {
            link.redial();
        }
    }

    /// The call's connection lives, and its path is lost or will be: the page is asked to look for another at once.
    pub(super) fn ask_for_another_path(&mut self) {
        let called = self.physician.is_some() && matches!(self.journey.step(), Step::Call { .. });
        match self.desk.ticket.clone().filter(|_| called) {
            Some(ticket) if self.desk.up => self.say(FromCabin::RestartIce { ticket, same_connection: true }),
            Some(_) => self.desk.path_wanted = true,
            None => {}
        }
    }

    pub(super) fn end_call(&mut self) {
        self.close_call();
        if let Some(ticket) = self.desk.ticket.take() {
            self.desk.accepted = false;
            let cause = match self.journey.emergency() {
                Some(_) => EndCause::Emergency,
                None => EndCause::PatientLeft,
            };
            self.say(FromCabin::CallEnded { ticket, cause });
        }
    }

    pub(super) fn tell_desk_of_help(&self, id: ConsultationId) {
        if self.physician.is_some() {
            self.say(FromCabin::HelpRequested { consultation: wire_id(id) });
        }
    }

    pub(super) fn send_answer(&self, sdp: String) {
        let (Some(ticket), Ok(sdp)) = (self.desk.ticket.clone(), Text::new(sdp)) else { return };
        self.say(FromCabin::Sdp(Sdp { ticket, kind: SdpKind::Answer, sdp }));
    }

    pub(super) fn send_candidate(&self, candidate: &call::Candidate) {
        let Some(ticket) = self.desk.ticket.clone() else { return };
        self.say(FromCabin::Candidate(signal::call::Candidate {
            ticket,
            candidate: Text::cut(&candidate.candidate),
            sdp_mid: candidate.sdp_mid.as_deref().map(Text::cut),
            sdp_m_line_index: candidate.sdp_m_line_index,
            username_fragment: None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_physician_is_taken_as_authenticated_only_in_a_way_that_the_desk_named() {
        use signal::call::Authentication as Said;
        assert_eq!(authenticated(Said::LocalTotp), Some(Authentication::LocalTotp));
        assert_eq!(authenticated(Said::OpenIdConnect), Some(Authentication::OpenIdConnect));
        assert_eq!(authenticated(Said::default()), None, "absent or unknown");
    }
}
