//! The waiting room: which cabins are there, who waits, which physician took whom. Pure: no clock, socket or chance.
//!
//! Every verb takes the present instant and gives the messages to send. One owner calls it (see `hall`), so two
//! physicians can never take one patient.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use signal::cabin::{FromCabin, FromDesk, SiteState, Waiting};
use signal::call::{Authentication, EndCause, IceServer, Party, Physician, SdpKind};
use signal::enrol::Site;
use signal::guest::{GuestEnd, ToGuest};
use signal::physician::{CabinCard, CallBackLine, FromPage, ToPage, WaitingLine};
use signal::{CabinId, ConsultationId, RefusalCode, Text, Ticket};

mod guests;
pub mod third_seat;

use third_seat::ThirdSeat;

/// Patients waiting in one cabin at once; more is refused with `too_many`.
pub const WAITING_PER_CABIN_MAX: usize = 16;
/// Longest wait believed of a cabin that says a patient began to wait before the desk heard of it.
const WAITED_BEFORE_MAX: Duration = Duration::from_secs(6 * 3600);
/// Length of a call when none has been seen yet, for the estimate.
const CALL_LENGTH_DEFAULT: Duration = Duration::from_secs(12 * 60);

/// A physician's account name: one page and one call at a time.
pub type AccountName = String;

/// To whom a message goes.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a few at a time, written out at once")]
pub enum Send {
    /// To a cabin, if it is connected.
    Cabin(CabinId, FromDesk),
    /// To a physician's page, if it is connected.
    Page(AccountName, ToPage),
    /// To who has this third seat, if connected.
    Guest(Ticket, ToGuest),
    /// The same, and the connection closes.
    GuestLast(Ticket, ToGuest),
}

/// Makes the ICE servers for one end, with fresh credentials: servers, and when they end (ms since 1970).
pub type MakeIce = Box<dyn Fn(&str) -> (Vec<IceServer>, Option<i64>) + std::marker::Send>;

struct Seat {
    site: Site,
    online: bool,
    state: Option<SiteState>,
}

struct Wait {
    cabin: CabinId,
    waiting: Waiting,
    since: Instant,
    /// The cabin lost its connection then, and did not say yet that the patient still waits.
    lost_at: Option<Instant>,
    estimate: Option<FromDesk>,
}

struct Call {
    ticket: Ticket,
    cabin: CabinId,
    account: AccountName,
    waiting: Waiting,
    accepted: bool,
    began: Instant,
    cabin_gone_at: Option<Instant>,
    page_gone_at: Option<Instant>,
    third: ThirdSeat,
}

struct Desk {
    physician: Physician,
    authentication: Authentication,
    online: bool,
}

/// See the module.
pub struct Room {
    grace: Duration,
    heartbeat_ms: u32,
    make_ice: MakeIce,
    seats: BTreeMap<CabinId, Seat>,
    waits: HashMap<ConsultationId, Wait>,
    calls: HashMap<ConsultationId, Call>,
    desks: BTreeMap<AccountName, Desk>,
    /// Who is to be called back, as the records say, and how many more.
    call_backs: (Vec<CallBackLine>, u32),
    call_length: Duration,
}

impl Room {
    /// An empty room.
    pub fn new(grace_ms: u32, heartbeat_ms: u32, make_ice: MakeIce) -> Self {
        Room {
            grace: Duration::from_millis(grace_ms.into()),
            heartbeat_ms,
            make_ice,
            seats: BTreeMap::new(),
            waits: HashMap::new(),
            calls: HashMap::new(),
            desks: BTreeMap::new(),
            call_backs: Default::default(),
            call_length: CALL_LENGTH_DEFAULT,
        }
    }

    /// Puts an enrolled cabin on the list, not connected.
    pub fn seat(&mut self, id: CabinId, site: Site) {
        self.seats.entry(id).or_insert(Seat { site, online: false, state: None });
    }

    /// A proved cabin is connected (again).
    pub fn cabin_connected(&mut self, id: &CabinId, site: Site, now: Instant) -> Vec<Send> {
        let state = self.seats.remove(id).and_then(|seat| seat.state);
        self.seats.insert(id.clone(), Seat { site, online: true, state });
        let mut out = self.tell_cabin(id);
        let (servers, expires_at) = (self.make_ice)(id.as_str());
        out.push(Send::Cabin(id.clone(), FromDesk::IceServers { servers, expires_at }));
        // What waited before is believed again when the cabin says so; until then the grace time runs.
        for wait in self.waits.values_mut().filter(|wait| wait.cabin == *id) {
            wait.lost_at.get_or_insert(now);
        }
        for (consultation, call) in self.calls.iter_mut().filter(|(_, call)| call.cabin == *id) {
            call.cabin_gone_at = None;
            let desk = &self.desks[&call.account];
            let (physician, authentication) = (desk.physician.clone(), desk.authentication);
            let (consultation, ticket) = (consultation.clone(), call.ticket.clone());
            out.push(Send::Page(call.account.clone(), ToPage::CabinBack { ticket: ticket.clone() }));
            let offered = FromDesk::PhysicianOffered { consultation, ticket, physician, authentication };
            out.push(Send::Cabin(id.clone(), offered));
        }
        out
    }

    /// A cabin's connection is gone.
    pub fn cabin_disconnected(&mut self, id: &CabinId, now: Instant) -> Vec<Send> {
        let Some(seat) = self.seats.get_mut(id) else { return Vec::new() };
        seat.online = false;
        let mut out = self.tell_cabin(id);
        let grace_ms = self.grace_ms();
        for call in self.calls.values_mut().filter(|call| call.cabin == *id) {
            call.cabin_gone_at = Some(now);
            out.push(Send::Page(call.account.clone(), ToPage::CabinGone { ticket: call.ticket.clone(), grace_ms }));
        }
        let lost: Vec<_> =
            self.waits.iter().filter(|(_, wait)| wait.cabin == *id).map(|(key, _)| key.clone()).collect();
        for consultation in lost {
            self.waits.get_mut(&consultation).into_iter().for_each(|wait| wait.lost_at = Some(now));
            out.extend(self.tell_waiting(&consultation, now));
        }
        out
    }

    /// Something that a proved cabin said. `now_ms` is the wall clock, ms since 1970.
    pub fn from_cabin(&mut self, id: &CabinId, message: FromCabin, now: Instant, now_ms: i64) -> Vec<Send> {
        let refuse =
            |code, reason: &str| vec![Send::Cabin(id.clone(), FromDesk::Error { code, reason: Text::cut(reason) })];
        match message {
            FromCabin::Hello { .. } | FromCabin::Proof { .. } => {
                refuse(RefusalCode::OutOfOrder, "La cabine est déjà reconnue.")
            }
            FromCabin::Site(state) => {
                if let Some(seat) = self.seats.get_mut(id) {
                    seat.state = Some(state);
                }
                self.tell_cabin(id)
            }
            FromCabin::Waiting(waiting) => self.cabin_waiting(id, waiting, now, now_ms),
            FromCabin::WaitingLeft { consultation } => {
                if self.calls.get(&consultation).is_some_and(|call| call.cabin == *id) {
                    return self.end(&consultation, Party::Cabin, EndCause::PatientLeft, now);
                }
                if self.waits.get(&consultation).is_some_and(|wait| wait.cabin == *id) {
                    return self.forget_wait(&consultation);
                }
                Vec::new()
            }
            FromCabin::Accept { consultation, ticket } => match self.calls.get_mut(&consultation) {
                Some(call) if call.cabin == *id && call.ticket == ticket => {
                    call.accepted = true;
                    vec![Send::Page(call.account.clone(), ToPage::PatientAccepted { ticket })]
                }
                _ => refuse(RefusalCode::UnknownCall, NO_CALL),
            },
            FromCabin::Decline { consultation, ticket, not_shown } => match self.calls.get(&consultation) {
                Some(call) if call.cabin == *id && call.ticket == ticket => {
                    let cause = if not_shown { EndCause::NotShown } else { EndCause::Declined };
                    self.end(&consultation, Party::Cabin, cause, now)
                }
                _ => refuse(RefusalCode::UnknownCall, NO_CALL),
            },
            FromCabin::Sdp(sdp) if sdp.kind != SdpKind::Answer => refuse(RefusalCode::Forbidden, WRONG_SDP),
            FromCabin::Sdp(sdp) => match self.call_of_cabin(id, &sdp.ticket) {
                Some(call) => vec![Send::Page(call.account.clone(), ToPage::Sdp(sdp))],
                None => refuse(RefusalCode::UnknownCall, NO_CALL),
            },
            FromCabin::Candidate(candidate) => match self.call_of_cabin(id, &candidate.ticket) {
                Some(call) => vec![Send::Page(call.account.clone(), ToPage::Candidate(candidate))],
                None => refuse(RefusalCode::UnknownCall, NO_CALL),
            },
            FromCabin::RestartIce { ticket, same_connection } => match self.call_of_cabin(id, &ticket) {
                Some(call) => {
                    vec![Send::Page(call.account.clone(), ToPage::RestartIce { ticket, same_connection })]
                }
                None => refuse(RefusalCode::UnknownCall, NO_CALL),
            },
            FromCabin::CallEnded { ticket, cause } => {
                let found = self.calls.iter().find(|(_, call)| call.cabin == *id && call.ticket == ticket);
                match found.map(|(consultation, _)| consultation.clone()) {
                    Some(consultation) => self.end(&consultation, Party::Cabin, cause, now),
                    None => refuse(RefusalCode::UnknownCall, NO_CALL),
                }
            }
            FromCabin::HelpRequested { consultation } => match self.calls.get(&consultation) {
                Some(call) if call.cabin == *id => {
                    vec![Send::Page(call.account.clone(), ToPage::HelpRequested { consultation })]
                }
                // Outside a call the pharmacist is reached in the cabin itself; the desk has nobody to tell.
                _ => Vec::new(),
            },
            FromCabin::HelpAcknowledged { consultation } => match self.calls.get(&consultation) {
                Some(call) if call.cabin == *id => {
                    vec![Send::Page(call.account.clone(), ToPage::HelpAcknowledged { consultation })]
                }
                _ => Vec::new(),
            },
            FromCabin::Ping { n } => vec![Send::Cabin(id.clone(), FromDesk::Pong { n })],
            // Second opinions are where the records are: see `second_opinions::from_cabin`.
            FromCabin::SecondOpinionsWanted {}
            | FromCabin::SecondOpinionWanted { .. }
            | FromCabin::SecondOpinionStep { .. }
            | FromCabin::SecondOpinionReportWanted { .. }
            | FromCabin::Pong { .. }
            | FromCabin::Error { .. } => Vec::new(),
        }
    }

    fn cabin_waiting(&mut self, id: &CabinId, waiting: Waiting, now: Instant, now_ms: i64) -> Vec<Send> {
        let refuse =
            |code, reason: &str| vec![Send::Cabin(id.clone(), FromDesk::Error { code, reason: Text::cut(reason) })];
        let consultation = waiting.consultation.clone();
        if let Some(call) = self.calls.get_mut(&consultation) {
            if call.cabin != *id {
                return refuse(RefusalCode::Forbidden, "Cette consultation est celle d'une autre cabine.");
            }
            call.waiting = waiting;
            return Vec::new();
        }
        match self.waits.get_mut(&consultation) {
            Some(wait) if wait.cabin != *id => {
                return refuse(RefusalCode::Forbidden, "Cette consultation est celle d'une autre cabine.");
            }
            Some(wait) => {
                wait.waiting = waiting;
                wait.lost_at = None;
                // Said again after a reconnection: the cabin may have forgotten its estimate.
                wait.estimate = None;
            }
            None => {
                if self.waits.values().filter(|wait| wait.cabin == *id).count() >= WAITING_PER_CABIN_MAX {
                    return refuse(RefusalCode::TooMany, "Trop de patients attendent dans cette cabine.");
                }
                let before = Duration::from_millis(u64::try_from(now_ms.saturating_sub(waiting.since_at)).unwrap_or(0));
                let since = now.checked_sub(before.min(WAITED_BEFORE_MAX)).unwrap_or(now);
                let wait = Wait { cabin: id.clone(), waiting, since, lost_at: None, estimate: None };
                self.waits.insert(consultation.clone(), wait);
            }
        }
        let mut out = self.tell_waiting(&consultation, now);
        out.extend(self.estimates());
        out
    }

    /// A signed-in physician's page is connected (again).
    pub fn page_connected(
        &mut self,
        account: &str,
        physician: Physician,
        authentication: Authentication,
        now: Instant,
    ) -> Vec<Send> {
        self.desks.insert(account.into(), Desk { physician: physician.clone(), authentication, online: true });
        let (grace_ms, heartbeat_ms) = (self.grace_ms(), self.heartbeat_ms);
        let welcome = ToPage::Welcome { version: signal::VERSION, physician, heartbeat_ms, grace_ms };
        let mut lines: Vec<_> = self.waits.values().map(|wait| line(wait, now)).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.waited_ms));
        let cabins = self.seats.iter().map(|(id, seat)| card(id, seat)).collect();
        let mut out = vec![
            Send::Page(account.into(), welcome),
            Send::Page(account.into(), ToPage::WaitingList { cabins, waiting: lines }),
            Send::Page(account.into(), self.call_backs()),
        ];
        if let Some(call) = self.calls.values_mut().find(|call| call.account == account) {
            call.page_gone_at = None;
            out.push(Send::Cabin(call.cabin.clone(), FromDesk::PhysicianBack { ticket: call.ticket.clone() }));
        }
        if let Some(call) = self.calls.values().find(|call| call.account == account) {
            out.push(Send::Page(account.into(), self.taken(call)));
        }
        out.extend(self.tell_guest_of_page(account, true));
        out.extend(self.estimates());
        out
    }

    /// A page's connection is gone.
    pub fn page_disconnected(&mut self, account: &str, now: Instant) -> Vec<Send> {
        let grace_ms = self.grace_ms();
        let Some(desk) = self.desks.get_mut(account) else { return Vec::new() };
        desk.online = false;
        let mut out = Vec::new();
        for call in self.calls.values_mut().filter(|call| call.account == account) {
            call.page_gone_at = Some(now);
            out.push(Send::Cabin(
                call.cabin.clone(),
                FromDesk::PhysicianGone { ticket: call.ticket.clone(), grace_ms },
            ));
        }
        out.extend(self.tell_guest_of_page(account, false));
        out.extend(self.estimates());
        out
    }

    /// Something that a physician's page said. `ticket` is fresh and random: it becomes a call's when one begins, or an
    /// invitation.
    pub fn from_page(&mut self, account: &str, message: FromPage, ticket: Ticket, now: Instant) -> Vec<Send> {
        let refuse =
            |code, reason: &str| vec![Send::Page(account.into(), ToPage::Error { code, reason: Text::cut(reason) })];
        match message {
            FromPage::Hello { .. } => refuse(RefusalCode::OutOfOrder, "La page est déjà connectée."),
            FromPage::Take { consultation } => self.take(account, consultation, ticket, now),
            FromPage::Sdp(sdp) if sdp.kind != SdpKind::Offer => refuse(RefusalCode::Forbidden, WRONG_SDP),
            FromPage::Sdp(sdp) => match self.call_of_page(account, &sdp.ticket) {
                Some(call) => vec![Send::Cabin(call.cabin.clone(), FromDesk::Sdp(sdp))],
                None => match self.to_guest(account, &sdp.ticket.clone(), ToGuest::Sdp(sdp)) {
                    Some(send) => vec![send],
                    None => refuse(RefusalCode::UnknownCall, NO_CALL),
                },
            },
            FromPage::Candidate(candidate) => match self.call_of_page(account, &candidate.ticket) {
                Some(call) => vec![Send::Cabin(call.cabin.clone(), FromDesk::Candidate(candidate))],
                None => match self.to_guest(account, &candidate.ticket.clone(), ToGuest::Candidate(candidate)) {
                    Some(send) => vec![send],
                    None => refuse(RefusalCode::UnknownCall, NO_CALL),
                },
            },
            FromPage::InviteGuest { ticket: of } => self.invite_guest(account, of, &ticket, now),
            FromPage::AdmitGuest { ticket: seat } => self.admit_guest(account, &seat),
            FromPage::DismissGuest { ticket: of } => self.dismiss_guest(account, of, now),
            FromPage::HelpRequested { consultation } => match self.calls.get(&consultation) {
                Some(call) if call.account == account => {
                    vec![Send::Cabin(call.cabin.clone(), FromDesk::HelpRequested { consultation })]
                }
                _ => refuse(RefusalCode::UnknownCall, NO_CALL),
            },
            FromPage::End { ticket, cause } => {
                let found = self.calls.iter().find(|(_, call)| call.account == account && call.ticket == ticket);
                match found.map(|(consultation, _)| consultation.clone()) {
                    Some(consultation) => self.end(&consultation, Party::Physician, cause, now),
                    None => refuse(RefusalCode::UnknownCall, NO_CALL),
                }
            }
            FromPage::Ping { n } => vec![Send::Page(account.into(), ToPage::Pong { n })],
            // Requests to call back are decided where the records are: see `App::step_call_back`.
            FromPage::TakeCallBack { .. } | FromPage::ReturnCallBack { .. } | FromPage::FinishCallBack { .. } => {
                Vec::new()
            }
            FromPage::Pong { .. } => Vec::new(),
        }
    }

    /// Who is to be called back, as the records now say, and how many more.
    pub fn call_backs_are(&mut self, lines: Vec<CallBackLine>, more: u32) -> Vec<Send> {
        self.call_backs = (lines, more);
        self.to_pages(self.call_backs())
    }

    /// Something about second opinions changed: which of them concern a page is decided where the records are.
    pub fn opinions_changed(&mut self) -> Vec<Send> {
        self.to_pages(ToPage::SecondOpinionsChanged {})
    }

    fn call_backs(&self) -> ToPage {
        let (lines, more) = self.call_backs.clone();
        ToPage::CallBacks { lines, more }
    }

    /// The cabin whose call about this consultation goes on.
    pub fn cabin_of(&self, consultation: &ConsultationId) -> Option<&CabinId> {
        self.calls.get(consultation).map(|call| &call.cabin)
    }

    /// Whether a physician has a call now.
    pub fn in_call(&self, account: &str) -> bool {
        self.calls.values().any(|call| call.account == account)
    }

    fn take(&mut self, account: &str, consultation: ConsultationId, ticket: Ticket, now: Instant) -> Vec<Send> {
        if self.in_call(account) {
            let reason = Text::cut("Terminez d'abord la consultation en cours.");
            return vec![Send::Page(account.into(), ToPage::Error { code: RefusalCode::TooMany, reason })];
        }
        let free = self.desks.contains_key(account)
            && self
                .waits
                .get(&consultation)
                .is_some_and(|wait| wait.lost_at.is_none() && self.seats[&wait.cabin].online);
        let Some(wait) = free.then(|| self.waits.remove(&consultation)).flatten() else {
            return vec![Send::Page(account.into(), ToPage::TooLate { consultation })];
        };
        let call = Call {
            ticket: ticket.clone(),
            cabin: wait.cabin.clone(),
            account: account.into(),
            waiting: wait.waiting,
            accepted: false,
            began: now,
            cabin_gone_at: None,
            page_gone_at: None,
            third: ThirdSeat::default(),
        };
        let mut out = vec![Send::Page(account.into(), self.taken(&call))];
        out.extend(self.to_pages(ToPage::WaitingGone { consultation: consultation.clone() }));
        let (servers, expires_at) = (self.make_ice)(wait.cabin.as_str());
        out.push(Send::Cabin(wait.cabin.clone(), FromDesk::IceServers { servers, expires_at }));
        let Desk { physician, authentication, .. } = &self.desks[account];
        let offered = FromDesk::PhysicianOffered {
            consultation: consultation.clone(),
            ticket,
            physician: physician.clone(),
            authentication: *authentication,
        };
        out.push(Send::Cabin(wait.cabin, offered));
        self.calls.insert(consultation, call);
        out.extend(self.estimates());
        out
    }

    /// Ends what waited longer than the grace time for an end that was lost. Call it about once a heartbeat.
    pub fn tick(&mut self, now: Instant) -> Vec<Send> {
        let past = |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) >= self.grace);
        let calls = self.calls.iter().filter_map(|(consultation, call)| {
            let cause = match (past(call.cabin_gone_at), past(call.page_gone_at)) {
                (true, _) => EndCause::CabinLost,
                (false, true) => EndCause::PhysicianLost,
                (false, false) => return None,
            };
            Some((consultation.clone(), cause))
        });
        let calls: Vec<_> = calls.collect();
        let waits = self.waits.iter().filter(|(_, wait)| past(wait.lost_at)).map(|(key, _)| key.clone());
        let waits: Vec<_> = waits.collect();
        let mut out = self.lost_guests(now);
        for (consultation, cause) in calls {
            out.extend(self.end(&consultation, Party::Desk, cause, now));
        }
        for consultation in waits {
            out.extend(self.forget_wait(&consultation));
        }
        out
    }

    /// Takes a revoked cabin off the list; its calls and waits end.
    pub fn unseat(&mut self, id: &CabinId, now: Instant) -> Vec<Send> {
        let of_cabin = |cabin: &CabinId| cabin == id;
        let calls: Vec<_> =
            self.calls.iter().filter(|(_, call)| of_cabin(&call.cabin)).map(|(key, _)| key.clone()).collect();
        let waits: Vec<_> =
            self.waits.iter().filter(|(_, wait)| of_cabin(&wait.cabin)).map(|(key, _)| key.clone()).collect();
        let mut out = Vec::new();
        for consultation in calls {
            out.extend(self.end(&consultation, Party::Desk, EndCause::CabinLost, now));
        }
        for consultation in waits {
            out.extend(self.forget_wait(&consultation));
        }
        out.extend(self.tell_cabin(id));
        self.seats.remove(id);
        out
    }

    fn end(&mut self, consultation: &ConsultationId, by: Party, cause: EndCause, now: Instant) -> Vec<Send> {
        let Some(mut call) = self.calls.remove(consultation) else { return Vec::new() };
        if cause == EndCause::Completed {
            // A moving average over about four calls: quick to follow the day, slow to follow one odd call.
            let length = now.saturating_duration_since(call.began);
            self.call_length = (self.call_length * 3 + length) / 4;
        }
        let guest = call.third.free();
        let ticket = call.ticket;
        let mut out = vec![
            Send::Cabin(call.cabin, FromDesk::CallEnded { ticket: ticket.clone(), by, cause }),
            Send::Page(call.account, ToPage::CallEnded { ticket, by, cause }),
        ];
        out.extend(guest.map(|seat| guests::ended(seat, GuestEnd::CallEnded)));
        out.extend(self.estimates());
        out
    }

    fn forget_wait(&mut self, consultation: &ConsultationId) -> Vec<Send> {
        if self.waits.remove(consultation).is_none() {
            return Vec::new();
        }
        let mut out = self.to_pages(ToPage::WaitingGone { consultation: consultation.clone() });
        out.extend(self.estimates());
        out
    }

    fn call_of_cabin(&self, id: &CabinId, ticket: &Ticket) -> Option<&Call> {
        self.calls.values().find(|call| call.cabin == *id && call.ticket == *ticket && call.accepted)
    }

    fn call_of_page(&self, account: &str, ticket: &Ticket) -> Option<&Call> {
        self.calls.values().find(|call| call.account == account && call.ticket == *ticket && call.accepted)
    }

    fn taken(&self, call: &Call) -> ToPage {
        ToPage::Taken {
            consultation: call.waiting.consultation.clone(),
            ticket: call.ticket.clone(),
            cabin: card(&call.cabin, &self.seats[&call.cabin]),
            waiting: call.waiting.clone(),
            ice_servers: (self.make_ice)(&call.account).0,
            accepted: call.accepted,
        }
    }

    fn grace_ms(&self) -> u32 {
        u32::try_from(self.grace.as_millis()).unwrap_or(u32::MAX)
    }

    fn to_pages(&self, message: ToPage) -> Vec<Send> {
        let online = self.desks.iter().filter(|(_, desk)| desk.online);
        online.map(|(account, _)| Send::Page(account.clone(), message.clone())).collect()
    }

    fn tell_cabin(&self, id: &CabinId) -> Vec<Send> {
        self.seats.get(id).map_or(Vec::new(), |seat| self.to_pages(ToPage::CabinChanged { cabin: card(id, seat) }))
    }

    fn tell_waiting(&self, consultation: &ConsultationId, now: Instant) -> Vec<Send> {
        let wait = self.waits.get(consultation);
        wait.map_or(Vec::new(), |wait| self.to_pages(ToPage::WaitingChanged { line: line(wait, now) }))
    }

    /// New estimates, only where they changed.
    fn estimates(&mut self) -> Vec<Send> {
        let busy = |account: &String| self.calls.values().any(|call| call.account == *account);
        let online = self.desks.iter().filter(|(_, desk)| desk.online);
        let (busy, free): (Vec<_>, Vec<_>) = online.map(|(account, _)| account).partition(|account| busy(account));
        let (free, busy) = (free.len(), busy.len());
        let average_min = self.call_length.as_secs().div_ceil(60).max(1);
        let mut order: Vec<_> = self.waits.iter().map(|(key, wait)| (wait.since, key.clone())).collect();
        order.sort();
        let mut out = Vec::new();
        for (place, (_, consultation)) in order.into_iter().enumerate() {
            // How many calls must end before this patient's turn, shared among all physicians.
            let rounds = |physicians: usize| ((place + 1).saturating_sub(free)).div_ceil(physicians) as u64;
            let minutes = (free + busy > 0).then(|| {
                let rounds = rounds(free + busy);
                (rounds.saturating_sub(1) * average_min, (rounds * average_min * 2).max(2))
            });
            let small = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
            let estimate = FromDesk::WaitEstimate {
                consultation: consultation.clone(),
                position: small(place as u64 + 1),
                physicians_free: small(free as u64),
                physicians_busy: small(busy as u64),
                minutes_min: minutes.map(|(min, _)| small(min)),
                minutes_max: minutes.map(|(_, max)| small(max)),
            };
            if let Some(wait) = self.waits.get_mut(&consultation)
                && wait.estimate.as_ref() != Some(&estimate)
            {
                wait.estimate = Some(estimate.clone());
                out.push(Send::Cabin(wait.cabin.clone(), estimate));
            }
        }
        out
    }

    /// Checks what must hold after any verb; for tests with random sequences.
    pub fn verify_invariants(&self) {
        let mut tickets = Vec::new();
        for (consultation, call) in &self.calls {
            assert!(!self.waits.contains_key(consultation), "in a call and waiting");
            assert!(self.desks.contains_key(&call.account) && self.seats.contains_key(&call.cabin));
            assert_eq!(self.calls.values().filter(|other| other.account == call.account).count(), 1, "two calls");
            assert!(!tickets.contains(&&call.ticket), "a ticket of two calls");
            tickets.push(&call.ticket);
            if let Some(seated) = &call.third.seated {
                assert!(call.accepted && !tickets.contains(&&seated.ticket), "a seat of two calls, or before one");
                tickets.push(&seated.ticket);
            }
        }
        assert!(self.waits.values().all(|wait| self.seats.contains_key(&wait.cabin)));
    }
}

const NO_CALL: &str = "Cet appel n'existe pas ou plus, ou n'est pas encore accepté.";
const WRONG_SDP: &str = "Une offre vient de la page, une réponse de la cabine.";

fn card(id: &CabinId, seat: &Seat) -> CabinCard {
    CabinCard { cabin_id: id.clone(), site: seat.site.clone(), online: seat.online, state: seat.state.clone() }
}

fn line(wait: &Wait, now: Instant) -> WaitingLine {
    WaitingLine {
        cabin_id: wait.cabin.clone(),
        waiting: wait.waiting.clone(),
        waited_ms: now.saturating_duration_since(wait.since).as_millis() as u64,
        cabin_lost: wait.lost_at.is_some(),
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
