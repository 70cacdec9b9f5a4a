//! Guests in the waiting room's calls: who is invited, who took the third seat, what goes between page and guest.

use std::time::{Duration, Instant};

use signal::call::SdpKind;
use signal::guest::{FromGuest, Guest, GuestEnd, Invited, ToGuest};
use signal::physician::ToPage;
use signal::{Invitation, RefusalCode, Text, Ticket};

use super::third_seat::{Digest, INVITATION_LIFE, NotInvited, Seated};
use super::{Call, Room, Send};

/// A seat that nobody may speak from.
const NO_SEAT: &str = "Cet invité n’est pas, ou n’est plus, dans l’appel.";
/// A guest answers, and never offers.
const WRONG_SDP: &str = "Une offre vient du médecin, une réponse de l’invité.";
const TOO_MANY: &str = "Trop d’invitations dans cet appel.";
const OCCUPIED: &str = "Quelqu’un est déjà invité : mettez d’abord fin à sa présence.";

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl Room {
    /// Makes an invitation to a call's third seat; `secret` is fresh and random.
    pub(super) fn invite_guest(&mut self, account: &str, ticket: Ticket, secret: &Ticket, now: Instant) -> Vec<Send> {
        let Ok(invitation) = Invitation::new(secret.as_str()) else { return Vec::new() };
        let Some(call) = self.own_call(account, &ticket) else {
            return refuse(account, RefusalCode::UnknownCall, super::NO_CALL);
        };
        if call.third.seated.is_some() {
            return refuse(account, RefusalCode::TooMany, OCCUPIED);
        }
        if !call.third.invite(&invitation, now) {
            return refuse(account, RefusalCode::TooMany, TOO_MANY);
        }
        let valid_ms = millis(INVITATION_LIFE);
        vec![Send::Page(account.into(), ToPage::GuestInvited { ticket, invitation, valid_ms })]
    }

    /// Whether an invitation is good, and whose it is. Nothing of the patient is said.
    pub fn invitation(&self, invitation: &Invitation, now: Instant) -> Result<Invited, NotInvited> {
        let digest = Digest::of(invitation);
        let found = self.calls.values().find_map(|call| Some((call, call.third.look(digest, now)?)));
        let (call, left) = found.ok_or(NotInvited::Unknown)?;
        let physician = &self.desks[&call.account].physician;
        let valid_ms = millis(left?);
        Ok(Invited { physician: physician.name.clone(), speciality: physician.speciality.clone(), valid_ms })
    }

    /// Somebody takes the seat with an invitation; `ticket` is fresh and random.
    pub fn guest_takes(
        &mut self,
        invitation: &Invitation,
        guest: Guest,
        ticket: Ticket,
        now: Instant,
    ) -> Result<Vec<Send>, NotInvited> {
        let digest = Digest::of(invitation);
        let call = self.calls.values_mut().find(|call| call.third.look(digest, now).is_some());
        let call = call.ok_or(NotInvited::Unknown)?;
        call.third.take(digest, guest, ticket.clone(), now)?;
        Ok(self.seated(&ticket))
    }

    /// Whoever holds the ticket of a seat comes back to it.
    pub fn guest_returns(&mut self, ticket: &Ticket) -> Result<Vec<Send>, NotInvited> {
        let seated = self.seated_mut(ticket).ok_or(NotInvited::Unknown)?;
        seated.gone_at = None;
        Ok(self.seated(ticket))
    }

    /// A guest's connection is gone.
    pub fn guest_disconnected(&mut self, ticket: &Ticket, now: Instant) -> Vec<Send> {
        let Some(seated) = self.seated_mut(ticket) else { return Vec::new() };
        seated.gone_at = Some(now);
        self.call_of_seat(ticket).and_then(tell_page).into_iter().collect()
    }

    /// Something that a guest said from the seat.
    pub fn from_guest(&mut self, ticket: &Ticket, message: FromGuest) -> Vec<Send> {
        let refuse =
            |code, reason: &str| vec![Send::Guest(ticket.clone(), ToGuest::Error { code, reason: Text::cut(reason) })];
        // Only from the own seat, and only once let in.
        let page = |of: &Ticket| {
            let call = self.call_of_seat(ticket).filter(|_| of == ticket)?;
            call.third.seated.as_ref()?.admitted.then(|| call.account.clone())
        };
        match message {
            FromGuest::Hello { .. } | FromGuest::Return { .. } => {
                refuse(RefusalCode::OutOfOrder, "Cette place est déjà prise par vous.")
            }
            FromGuest::Sdp(sdp) if sdp.kind != SdpKind::Answer => refuse(RefusalCode::Forbidden, WRONG_SDP),
            FromGuest::Sdp(sdp) => match page(&sdp.ticket) {
                Some(account) => vec![Send::Page(account, ToPage::Sdp(sdp))],
                None => refuse(RefusalCode::UnknownCall, NO_SEAT),
            },
            FromGuest::Candidate(candidate) => match page(&candidate.ticket) {
                Some(account) => vec![Send::Page(account, ToPage::Candidate(candidate))],
                None => refuse(RefusalCode::UnknownCall, NO_SEAT),
            },
            FromGuest::RestartIce { ticket: of } => match page(&of) {
                Some(account) => vec![Send::Page(account, ToPage::RestartIce { ticket: of, same_connection: false })],
                None => refuse(RefusalCode::UnknownCall, NO_SEAT),
            },
            FromGuest::Leave {} => self.guest_is_gone(ticket),
            FromGuest::Ping { n } => vec![Send::Guest(ticket.clone(), ToGuest::Pong { n })],
            FromGuest::Pong { .. } => Vec::new(),
        }
    }

    /// The physician lets a guest in.
    pub(super) fn admit_guest(&mut self, account: &str, ticket: &Ticket) -> Vec<Send> {
        if self.call_of_seat(ticket).is_none_or(|call| call.account != account) {
            return refuse(account, RefusalCode::UnknownCall, NO_SEAT);
        }
        if let Some(seated) = self.seated_mut(ticket) {
            seated.admitted = true;
        }
        let mut out: Vec<_> = self.call_of_seat(ticket).and_then(tell_page).into_iter().collect();
        out.push(self.admitted(ticket));
        out
    }

    /// The physician ends a guest's part, or takes the invitation back.
    pub(super) fn dismiss_guest(&mut self, account: &str, ticket: Ticket, now: Instant) -> Vec<Send> {
        let Some(call) = self.own_call(account, &ticket) else {
            return refuse(account, RefusalCode::UnknownCall, super::NO_CALL);
        };
        call.third.revoke(now);
        let mut out: Vec<_> = call.third.free().into_iter().map(|seat| ended(seat, GuestEnd::Dismissed)).collect();
        out.push(Send::Page(account.into(), ToPage::GuestLeft { ticket }));
        out
    }

    /// Something for a guest of this page, or `None` when the ticket is of no guest whom it let in.
    pub(super) fn to_guest(&self, account: &str, ticket: &Ticket, message: ToGuest) -> Option<Send> {
        let call = self.call_of_seat(ticket).filter(|call| call.account == account)?;
        call.third.seated.as_ref()?.admitted.then(|| Send::Guest(ticket.clone(), message))
    }

    /// What a guest, and a page that comes back, are told of a page's connection.
    pub(super) fn tell_guest_of_page(&self, account: &str, back: bool) -> Vec<Send> {
        let Some(call) = self.calls.values().find(|call| call.account == account) else { return Vec::new() };
        let Some(seated) = &call.third.seated else {
            // Who left while the page was away.
            let left = ToPage::GuestLeft { ticket: call.ticket.clone() };
            return if back { vec![Send::Page(account.into(), left)] } else { Vec::new() };
        };
        let ticket = seated.ticket.clone();
        let said = match back {
            true => ToGuest::PhysicianBack { ticket: ticket.clone() },
            false => ToGuest::PhysicianGone { ticket: ticket.clone(), grace_ms: self.grace_ms() },
        };
        let page = back.then(|| tell_page(call)).flatten();
        page.into_iter().chain([Send::Guest(ticket, said)]).collect()
    }

    /// Guests who did not come back in time.
    pub(super) fn lost_guests(&mut self, now: Instant) -> Vec<Send> {
        let seated = self.calls.values().filter_map(|call| call.third.seated.as_ref());
        let past = |seated: &&Seated| seated.gone_at.is_some_and(|at| now.saturating_duration_since(at) >= self.grace);
        let lost: Vec<_> = seated.filter(past).map(|seated| seated.ticket.clone()).collect();
        lost.iter().flat_map(|ticket| self.guest_is_gone(ticket)).collect()
    }

    fn guest_is_gone(&mut self, ticket: &Ticket) -> Vec<Send> {
        let Some(call) = self.calls.values_mut().find(|call| has_seat(call, ticket)) else { return Vec::new() };
        call.third.free();
        vec![Send::Page(call.account.clone(), ToPage::GuestLeft { ticket: call.ticket.clone() })]
    }

    /// What is said when somebody sits down, or comes back.
    fn seated(&self, ticket: &Ticket) -> Vec<Send> {
        let Some(call) = self.call_of_seat(ticket) else { return Vec::new() };
        let seated = ToGuest::Seated {
            version: signal::VERSION,
            ticket: ticket.clone(),
            physician: self.desks[&call.account].physician.name.clone(),
            heartbeat_ms: self.heartbeat_ms,
            grace_ms: self.grace_ms(),
        };
        let mut out = vec![Send::Guest(ticket.clone(), seated)];
        if call.third.seated.as_ref().is_some_and(|seated| seated.admitted) {
            out.push(self.admitted(ticket));
        }
        out.extend(tell_page(call));
        out
    }

    fn admitted(&self, ticket: &Ticket) -> Send {
        let (ice_servers, _) = (self.make_ice)("guest");
        Send::Guest(ticket.clone(), ToGuest::Admitted { ticket: ticket.clone(), ice_servers })
    }

    fn own_call(&mut self, account: &str, ticket: &Ticket) -> Option<&mut Call> {
        self.calls.values_mut().find(|call| call.account == account && call.ticket == *ticket && call.accepted)
    }

    fn call_of_seat(&self, ticket: &Ticket) -> Option<&Call> {
        self.calls.values().find(|call| has_seat(call, ticket))
    }

    fn seated_mut(&mut self, ticket: &Ticket) -> Option<&mut Seated> {
        self.calls.values_mut().find(|call| has_seat(call, ticket))?.third.seated.as_mut()
    }
}

fn has_seat(call: &Call, ticket: &Ticket) -> bool {
    call.third.seated.as_ref().is_some_and(|seated| seated.ticket == *ticket)
}

fn refuse(account: &str, code: RefusalCode, reason: &str) -> Vec<Send> {
    vec![Send::Page(account.into(), ToPage::Error { code, reason: Text::cut(reason) })]
}

/// The last word to a guest.
pub(super) fn ended(ticket: Ticket, cause: GuestEnd) -> Send {
    Send::GuestLast(ticket, ToGuest::Ended { cause })
}

/// Who has the seat, for the page.
fn tell_page(call: &Call) -> Option<Send> {
    let seated = call.third.seated.as_ref()?;
    let said = ToPage::Guest {
        ticket: call.ticket.clone(),
        seat: seated.ticket.clone(),
        guest: seated.guest.clone(),
        admitted: seated.admitted,
        online: seated.gone_at.is_none(),
    };
    Some(Send::Page(call.account.clone(), said))
}
