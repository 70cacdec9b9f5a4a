//! The third seat at the desk: invited by the physician, taken once, let in, and gone with the call.

mod ends;

use ends::{CabinEnd, GuestEnd, PageEnd, TestDesk, waiting};
use reqwest::StatusCode;
use signal::cabin::{FromCabin, FromDesk};
use signal::call::{Candidate, EndCause, Sdp, SdpKind};
use signal::enrol::Refused;
use signal::guest::{Asked, FromGuest, Guest, GuestEnd as End, GuestRole, INVITATION_PATH, Invited, ToGuest};
use signal::physician::{FromPage, ToPage};
use signal::{Invitation, RefusalCode, Text, Ticket};

/// A call that the patient has accepted.
struct Meeting {
    desk: TestDesk,
    badge: String,
    cabin: CabinEnd,
    page: PageEnd,
    ticket: Ticket,
}

async fn meeting(extra: &str) -> Meeting {
    let desk = TestDesk::start_with(extra).await;
    let known = desk.enrol().await;
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    let badge = desk.sign_in("claire").await;
    let mut page = PageEnd::with_badge(&desk, &badge).await;
    let waiting = waiting("c-1");
    cabin.say(&FromCabin::Waiting(waiting.clone())).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { .. })).await;
    page.say(&FromPage::Take { consultation: waiting.consultation.clone() }).await;
    let ToPage::Taken { ticket, .. } = page.until(|message| matches!(message, ToPage::Taken { .. })).await else {
        unreachable!()
    };
    page.say(&FromPage::InviteGuest { ticket: ticket.clone() }).await;
    page.until(|message| matches!(message, ToPage::Error { code: RefusalCode::UnknownCall, .. })).await;
    cabin.until(|message| matches!(message, FromDesk::PhysicianOffered { .. })).await;
    cabin.say(&FromCabin::Accept { consultation: waiting.consultation, ticket: ticket.clone() }).await;
    page.until(|message| matches!(message, ToPage::PatientAccepted { .. })).await;
    Meeting { desk, badge, cabin, page, ticket }
}

impl Meeting {
    async fn invite(&mut self) -> Invitation {
        self.page.say(&FromPage::InviteGuest { ticket: self.ticket.clone() }).await;
        match self.page.until(|message| matches!(message, ToPage::GuestInvited { .. })).await {
            ToPage::GuestInvited { ticket, invitation, valid_ms } => {
                assert_eq!((&ticket, valid_ms), (&self.ticket, 15 * 60 * 1000));
                assert!(invitation.as_str().len() >= 32, "128 bits and more");
                invitation
            }
            _ => unreachable!(),
        }
    }

    /// Somebody who has taken the seat, and the ticket of it.
    async fn seated(&mut self) -> (GuestEnd, Ticket) {
        let invitation = self.invite().await;
        let mut guest = GuestEnd::open(&self.desk, &hello(&invitation)).await;
        let ticket = guest.seat().await;
        let expected = self.told(&ticket, false, true);
        assert_eq!(self.page.until(|message| matches!(message, ToPage::Guest { .. })).await, expected);
        (guest, ticket)
    }

    fn told(&self, seat: &Ticket, admitted: bool, online: bool) -> ToPage {
        ToPage::Guest { ticket: self.ticket.clone(), seat: seat.clone(), guest: jeanne(), admitted, online }
    }

    async fn ask(&self, invitation: &str, origin: &str) -> (StatusCode, String) {
        let asked = Asked { invitation: Invitation::new(invitation).unwrap() };
        let post = self.desk.client.post(format!("{}{INVITATION_PATH}", self.desk.running.origin));
        let answer = post.header("origin", origin).body(asked.write()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn refusal(&self, invitation: &str) -> (u16, RefusalCode) {
        let (status, text) = self.ask(invitation, &self.desk.running.origin).await;
        (status.as_u16(), Refused::read(&text).unwrap().code)
    }
}

fn jeanne() -> Guest {
    Guest { name: Text::cut("Jeanne Lemaire"), role: GuestRole::SignInterpreter }
}

fn hello(invitation: &Invitation) -> FromGuest {
    FromGuest::Hello { version: signal::VERSION, invitation: invitation.clone(), guest: jeanne() }
}

fn back(ticket: &Ticket) -> FromGuest {
    FromGuest::Return { version: signal::VERSION, ticket: ticket.clone() }
}

fn sdp(ticket: &Ticket, kind: SdpKind) -> Sdp {
    Sdp { ticket: ticket.clone(), kind, sdp: Text::cut("v=0\r\n") }
}

fn candidate(ticket: &Ticket) -> Candidate {
    let text = Text::cut("candidate:1");
    Candidate {
        ticket: ticket.clone(),
        candidate: text,
        sdp_mid: None,
        sdp_m_line_index: None,
        username_fragment: None,
    }
}

#[tokio::test]
async fn a_guest_is_invited_let_in_spoken_with_and_leaves() {
    let mut meeting = meeting("").await;
    let invitation = meeting.invite().await;
    for _ in 0..2 {
        // A messenger that looks at links ahead uses nothing up.
        let (status, text) = meeting.ask(invitation.as_str(), &meeting.desk.running.origin).await;
        assert_eq!(status, 200);
        let invited = Invited::read(&text).unwrap();
        assert_eq!(invited.physician.as_str(), "Dr Claire Morel");
        assert!(invited.valid_ms <= 15 * 60 * 1000);
    }
    let (mut guest, seat) = meeting.seated().await;
    assert_eq!(
        meeting.refusal(invitation.as_str()).await,
        (410, RefusalCode::InvitationExpired),
        "another took its place"
    );

    // Before the physician lets them in nothing passes, either way.
    meeting.page.say(&FromPage::Sdp(sdp(&seat, SdpKind::Offer))).await;
    meeting.page.until(|message| matches!(message, ToPage::Error { code: RefusalCode::UnknownCall, .. })).await;
    guest.say(&FromGuest::Candidate(candidate(&seat))).await;
    guest.until(|message| matches!(message, ToGuest::Error { code: RefusalCode::UnknownCall, .. })).await;

    meeting.page.say(&FromPage::AdmitGuest { ticket: seat.clone() }).await;
    let admitted = guest.until(|message| matches!(message, ToGuest::Admitted { .. })).await;
    let ToGuest::Admitted { ice_servers, .. } = admitted else { unreachable!() };
    assert_eq!(ice_servers.len(), 2, "the desk's own servers");
    let expected = meeting.told(&seat, true, true);
    assert_eq!(meeting.page.until(|message| matches!(message, ToPage::Guest { .. })).await, expected);
    meeting.page.say(&FromPage::Sdp(sdp(&seat, SdpKind::Offer))).await;
    let offer = guest.until(|message| matches!(message, ToGuest::Sdp(_))).await;
    assert_eq!(offer, ToGuest::Sdp(sdp(&seat, SdpKind::Offer)));
    guest.say(&FromGuest::Sdp(sdp(&seat, SdpKind::Offer))).await;
    guest.until(|message| matches!(message, ToGuest::Error { code: RefusalCode::Forbidden, .. })).await;
    guest.say(&FromGuest::Sdp(sdp(&seat, SdpKind::Answer))).await;
    let answer = meeting.page.until(|message| matches!(message, ToPage::Sdp(_))).await;
    assert_eq!(answer, ToPage::Sdp(sdp(&seat, SdpKind::Answer)));
    guest.say(&FromGuest::Candidate(candidate(&seat))).await;
    meeting.page.until(|message| *message == ToPage::Candidate(candidate(&seat))).await;
    meeting.page.say(&FromPage::Candidate(candidate(&seat))).await;
    guest.until(|message| *message == ToGuest::Candidate(candidate(&seat))).await;
    // The ticket of the call, which a guest never learns, is no seat; nor is the seat a call of the cabin.
    guest.say(&FromGuest::Sdp(sdp(&meeting.ticket, SdpKind::Answer))).await;
    guest.until(|message| matches!(message, ToGuest::Error { code: RefusalCode::UnknownCall, .. })).await;
    meeting.cabin.say(&FromCabin::Sdp(sdp(&seat, SdpKind::Answer))).await;
    meeting.cabin.until(|message| matches!(message, FromDesk::Error { code: RefusalCode::UnknownCall, .. })).await;
    guest.say(&FromGuest::RestartIce { ticket: seat.clone() }).await;
    meeting.page.until(|message| matches!(message, ToPage::RestartIce { ticket, .. } if *ticket == seat)).await;

    guest.say(&FromGuest::Leave {}).await;
    let left = meeting.page.until(|message| matches!(message, ToPage::GuestLeft { .. })).await;
    assert_eq!(left, ToPage::GuestLeft { ticket: meeting.ticket.clone() });
    let mut late = GuestEnd::open(&meeting.desk, &back(&seat)).await;
    assert_eq!(
        late.last_refusal().await,
        RefusalCode::UnknownInvitation,
        "who left does not come back without an invitation"
    );
    meeting.desk.running.stop().await;
}

#[tokio::test]
async fn an_invitation_that_is_wrong_used_taken_back_or_of_a_call_that_is_over_opens_nothing() {
    let mut meeting = meeting("").await;
    let first = meeting.invite().await;
    meeting.page.say(&FromPage::DismissGuest { ticket: meeting.ticket.clone() }).await;
    meeting.page.until(|message| matches!(message, ToPage::GuestLeft { .. })).await;
    assert_eq!(meeting.refusal(first.as_str()).await, (410, RefusalCode::InvitationExpired));
    let mut guest = GuestEnd::open(&meeting.desk, &hello(&first)).await;
    assert_eq!(guest.last_refusal().await, RefusalCode::InvitationExpired);

    let second = meeting.invite().await;
    let mut guest = GuestEnd::open(&meeting.desk, &hello(&second)).await;
    let seat = guest.seat().await;
    assert_eq!(meeting.refusal(second.as_str()).await, (410, RefusalCode::InvitationUsed));
    let mut another = GuestEnd::open(&meeting.desk, &hello(&second)).await;
    assert_eq!(another.last_refusal().await, RefusalCode::InvitationUsed);
    // One at a time.
    meeting.page.say(&FromPage::InviteGuest { ticket: meeting.ticket.clone() }).await;
    meeting.page.until(|message| matches!(message, ToPage::Error { code: RefusalCode::TooMany, .. })).await;
    // Another physician has no say.
    let mut other = PageEnd::open(&meeting.desk, "david").await;
    let theirs = [
        FromPage::AdmitGuest { ticket: seat.clone() },
        FromPage::DismissGuest { ticket: meeting.ticket.clone() },
        FromPage::InviteGuest { ticket: meeting.ticket.clone() },
        FromPage::Sdp(sdp(&seat, SdpKind::Offer)),
    ];
    for message in theirs {
        other.say(&message).await;
        other.until(|message| matches!(message, ToPage::Error { code: RefusalCode::UnknownCall, .. })).await;
    }
    meeting.page.say(&FromPage::DismissGuest { ticket: meeting.ticket.clone() }).await;
    assert_eq!(guest.ended().await, End::Dismissed);

    let third = meeting.invite().await;
    meeting.page.say(&FromPage::End { ticket: meeting.ticket.clone(), cause: EndCause::Completed }).await;
    meeting.page.until(|message| matches!(message, ToPage::CallEnded { .. })).await;
    assert_eq!(meeting.refusal(third.as_str()).await, (404, RefusalCode::UnknownInvitation));
    assert_eq!(meeting.refusal("nobodys-invitation").await, (404, RefusalCode::UnknownInvitation));
    let (status, _) = meeting.ask("nobodys-invitation", "https://elsewhere.example").await;
    assert_eq!(status, 403);
    assert_eq!(GuestEnd::refused_from(&meeting.desk, "https://elsewhere.example").await, 403);
    meeting.desk.running.stop().await;
}

#[tokio::test]
async fn who_guesses_invitations_waits_at_the_page_and_at_the_socket() {
    let mut meeting = meeting("").await;
    let good = meeting.invite().await;
    for n in 0..15 {
        assert_eq!(meeting.refusal(&format!("guess-{n}")).await, (404, RefusalCode::UnknownInvitation));
        let wrong = Invitation::new(format!("guess-{n}")).unwrap();
        let mut guest = GuestEnd::open(&meeting.desk, &hello(&wrong)).await;
        assert_eq!(guest.last_refusal().await, RefusalCode::UnknownInvitation);
    }
    assert_eq!(meeting.refusal(good.as_str()).await, (429, RefusalCode::TooMany));
    let mut guest = GuestEnd::open(&meeting.desk, &hello(&good)).await;
    assert_eq!(guest.last_refusal().await, RefusalCode::TooMany);
    meeting.desk.running.stop().await;
}

#[tokio::test]
async fn a_guest_and_a_page_that_come_back_find_the_seat_as_it_was_and_the_calls_end_ends_it() {
    let mut meeting = meeting("grace_ms = 60000").await;
    let (guest, seat) = meeting.seated().await;
    meeting.page.say(&FromPage::AdmitGuest { ticket: seat.clone() }).await;
    drop(guest);
    let expected = meeting.told(&seat, true, false);
    meeting.page.until(|message| *message == expected).await;
    let mut guest = GuestEnd::open(&meeting.desk, &back(&seat)).await;
    assert_eq!(guest.seat().await, seat);
    guest.until(|message| matches!(message, ToGuest::Admitted { .. })).await;
    let expected = meeting.told(&seat, true, true);
    meeting.page.until(|message| *message == expected).await;
    // A second window with the same seat takes the place of the first.
    let mut again = GuestEnd::open(&meeting.desk, &back(&seat)).await;
    again.seat().await;
    assert_eq!(guest.last_refusal().await, RefusalCode::Replaced);

    let page = PageEnd::with_badge_as_it_begins(&meeting.desk, &meeting.badge).await;
    meeting.page = page;
    meeting.page.until(|message| matches!(message, ToPage::Taken { accepted: true, .. })).await;
    meeting.page.until(|message| *message == expected).await;
    again.until(|message| matches!(message, ToGuest::PhysicianBack { .. })).await;

    meeting.page.say(&FromPage::End { ticket: meeting.ticket.clone(), cause: EndCause::Completed }).await;
    assert_eq!(again.ended().await, End::CallEnded);
    let mut late = GuestEnd::open(&meeting.desk, &back(&seat)).await;
    assert_eq!(late.last_refusal().await, RefusalCode::UnknownInvitation);
    meeting.desk.running.stop().await;
}

#[tokio::test]
async fn a_guest_who_does_not_come_back_in_time_is_gone() {
    let mut meeting = meeting("grace_ms = 300").await;
    let (guest, _) = meeting.seated().await;
    drop(guest);
    meeting.page.until(|message| matches!(message, ToPage::Guest { online: false, .. })).await;
    meeting.page.until(|message| matches!(message, ToPage::GuestLeft { .. })).await;
    let (_guest, _) = meeting.seated().await;
    meeting.desk.running.stop().await;
}
