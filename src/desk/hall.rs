//! The one owner of the waiting room: verbs under one lock, messages out through bounded links in the order decided.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use signal::cabin::{FromCabin, FromDesk};
use signal::call::{Authentication, Physician};
use signal::enrol::Site;
use signal::guest::{FromGuest, Guest, Invited, ToGuest};
use signal::physician::{CallBackLine, FromPage, ToPage};
use signal::{CabinId, ConsultationId, Invitation, RefusalCode, Text, Ticket};
use tokio::sync::mpsc;

use crate::room::third_seat::NotInvited;
use crate::room::{Room, Send};

/// Messages waiting for one connection; a peer that does not read is dropped with `too_slow` above.
pub const LINK_MESSAGES_MAX: usize = 256;

/// What goes out on one connection: a message, or the last one before it closes.
#[derive(Debug)]
pub enum Out {
    /// One text frame.
    Text(String),
    /// One text frame, then close.
    Last(String),
}

/// Ms since 1970 by this machine's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// 128 random bits: no end can guess another call's ticket, nor anybody an invitation.
fn fresh_ticket() -> Option<Ticket> {
    Ticket::new(format!("{:032x}", rand::random::<u128>())).ok()
}

struct Link {
    number: u64,
    out: mpsc::Sender<Out>,
}

struct Inside {
    room: Room,
    cabins: HashMap<CabinId, Link>,
    pages: HashMap<String, Link>,
    /// By the ticket of the seat.
    guests: HashMap<Ticket, Link>,
    next: u64,
}

/// See the module.
pub struct Hall {
    inside: Mutex<Inside>,
}

/// One connection of an end: says that the end is gone when the same connection closes.
pub struct Joined {
    /// Of this connection, never used again.
    pub number: u64,
    /// What to write to the peer.
    pub out: mpsc::Receiver<Out>,
}

impl Hall {
    /// With an empty room.
    pub fn new(room: Room) -> Self {
        Hall {
            inside: Mutex::new(Inside {
                room,
                cabins: HashMap::new(),
                pages: HashMap::new(),
                guests: HashMap::new(),
                next: 0,
            }),
        }
    }

    /// Puts an enrolled cabin on the list.
    pub fn seat(&self, id: CabinId, site: Site) {
        self.lock().room.seat(id, site);
    }

    /// A proved cabin connects; its former connection, if any, is told and closed. `welcome` goes first.
    pub fn join_cabin(&self, id: &CabinId, site: Site, welcome: &FromDesk) -> Joined {
        let mut inside = self.lock();
        let (number, sender, out) = inside.link();
        let _ = sender.try_send(Out::Text(welcome.write()));
        if let Some(old) = inside.cabins.insert(id.clone(), Link { number, out: sender }) {
            let reason = Text::cut("La cabine s'est connectée ailleurs.");
            let _ = old.out.try_send(Out::Last(FromDesk::Refused { code: RefusalCode::Replaced, reason }.write()));
        }
        let sends = inside.room.cabin_connected(id, site, Instant::now());
        inside.deliver(sends);
        Joined { number, out }
    }

    /// A physician's page connects; a former one is told and closed.
    pub fn join_page(&self, account: &str, physician: Physician, how: Authentication) -> Joined {
        let mut inside = self.lock();
        let (number, sender, out) = inside.link();
        if let Some(old) = inside.pages.insert(account.into(), Link { number, out: sender }) {
            let reason = Text::cut("Cette page a été ouverte ailleurs.");
            let _ = old.out.try_send(Out::Last(ToPage::Refused { code: RefusalCode::Replaced, reason }.write()));
        }
        let sends = inside.room.page_connected(account, physician, how, Instant::now());
        inside.deliver(sends);
        Joined { number, out }
    }

    /// Whether an invitation is good, and whose it is.
    pub fn invitation(&self, invitation: &Invitation) -> Result<Invited, NotInvited> {
        self.lock().room.invitation(invitation, Instant::now())
    }

    /// Somebody takes the third seat of a call with an invitation. Gives the ticket of the seat, too.
    pub fn join_guest(&self, invitation: &Invitation, guest: Guest) -> Result<(Ticket, Joined), NotInvited> {
        let ticket = fresh_ticket().ok_or(NotInvited::Unknown)?;
        let mut inside = self.lock();
        let sends = inside.room.guest_takes(invitation, guest, ticket.clone(), Instant::now())?;
        let joined = inside.seat_guest(&ticket, sends);
        Ok((ticket, joined))
    }

    /// Whoever holds the ticket of a seat connects again; a former connection is told and closed.
    pub fn return_guest(&self, ticket: &Ticket) -> Result<Joined, NotInvited> {
        let mut inside = self.lock();
        let sends = inside.room.guest_returns(ticket)?;
        Ok(inside.seat_guest(ticket, sends))
    }

    /// A guest's connection closed.
    pub fn leave_guest(&self, ticket: &Ticket, number: u64) {
        let mut inside = self.lock();
        if inside.guests.get(ticket).is_some_and(|link| link.number == number) {
            inside.guests.remove(ticket);
            let sends = inside.room.guest_disconnected(ticket, Instant::now());
            inside.deliver(sends);
        }
    }

    /// A guest said something. Ignored when the connection was replaced meanwhile.
    pub fn from_guest(&self, ticket: &Ticket, number: u64, message: FromGuest) {
        let mut inside = self.lock();
        if inside.guests.get(ticket).is_some_and(|link| link.number == number) {
            let sends = inside.room.from_guest(ticket, message);
            inside.deliver(sends);
        }
    }

    /// A cabin's connection closed.
    pub fn leave_cabin(&self, id: &CabinId, number: u64) {
        let mut inside = self.lock();
        if inside.cabins.get(id).is_some_and(|link| link.number == number) {
            inside.cabins.remove(id);
            let sends = inside.room.cabin_disconnected(id, Instant::now());
            inside.deliver(sends);
        }
    }

    /// A page's connection closed.
    pub fn leave_page(&self, account: &str, number: u64) {
        let mut inside = self.lock();
        if inside.pages.get(account).is_some_and(|link| link.number == number) {
            inside.pages.remove(account);
            let sends = inside.room.page_disconnected(account, Instant::now());
            inside.deliver(sends);
        }
    }

    /// A cabin said something. Ignored when its connection was replaced meanwhile.
    pub fn from_cabin(&self, id: &CabinId, number: u64, message: FromCabin) {
        let mut inside = self.lock();
        if inside.cabins.get(id).is_some_and(|link| link.number == number) {
            let sends = inside.room.from_cabin(id, message, Instant::now(), now_ms());
            inside.deliver(sends);
        }
    }

    /// A page said something. Gives the consultation that it won, when it won one.
    pub fn from_page(&self, account: &str, number: u64, message: FromPage) -> Option<signal::ConsultationId> {
        let mut inside = self.lock();
        if inside.pages.get(account).is_none_or(|link| link.number != number) {
            return None;
        }
        let ticket = fresh_ticket()?;
        let sends = inside.room.from_page(account, message, ticket, Instant::now());
        let won = sends.iter().find_map(|send| match send {
            Send::Page(_, ToPage::Taken { consultation, .. }) => Some(consultation.clone()),
            _ => None,
        });
        inside.deliver(sends);
        won
    }

    /// The cabin whose call about this consultation goes on.
    pub fn cabin_of(&self, consultation: &signal::ConsultationId) -> Option<CabinId> {
        self.lock().room.cabin_of(consultation).cloned()
    }

    /// Whether this is the page's present connection.
    pub fn is_page(&self, account: &str, number: u64) -> bool {
        self.lock().pages.get(account).is_some_and(|link| link.number == number)
    }

    /// Who is to be called back, and how many more: every page is told.
    pub fn call_backs_are(&self, lines: Vec<CallBackLine>, more: u32) {
        let mut inside = self.lock();
        let sends = inside.room.call_backs_are(lines, more);
        inside.deliver(sends);
    }

    /// The request is this physician's.
    pub fn call_back_taken(&self, account: &str, consultation: &ConsultationId) {
        self.tell_page(account, ToPage::CallBackTaken { consultation: consultation.clone() });
    }

    /// Another physician was first, or it is done.
    pub fn call_back_too_late(&self, account: &str, consultation: &ConsultationId) {
        self.tell_page(account, ToPage::TooLate { consultation: consultation.clone() });
    }

    /// A request for a second opinion came or changed: every page asks what concerns it.
    pub fn opinions_changed(&self) {
        let mut inside = self.lock();
        let sends = inside.room.opinions_changed();
        inside.deliver(sends);
    }

    /// A message of this page was refused.
    pub fn refuse_page(&self, account: &str, code: RefusalCode, reason: &str) {
        self.tell_page(account, ToPage::Error { code, reason: Text::cut(reason) });
    }

    /// A message to a cabin, if it is connected.
    pub fn tell_cabin(&self, id: &CabinId, message: FromDesk) {
        self.lock().deliver(vec![Send::Cabin(id.clone(), message)]);
    }

    fn tell_page(&self, account: &str, message: ToPage) {
        self.lock().deliver(vec![Send::Page(account.to_owned(), message)]);
    }

    /// Whether a physician has a call now.
    pub fn in_call(&self, account: &str) -> bool {
        self.lock().room.in_call(account)
    }

    /// Lets time pass.
    pub fn tick(&self) {
        let mut inside = self.lock();
        let sends = inside.room.tick(Instant::now());
        inside.deliver(sends);
    }

    /// A cabin was revoked: it is told and its place given up.
    pub fn revoke(&self, id: &CabinId, reason: &str) {
        let mut inside = self.lock();
        if let Some(link) = inside.cabins.remove(id) {
            let reason = Text::cut(reason);
            let _ = link.out.try_send(Out::Last(FromDesk::Refused { code: RefusalCode::Revoked, reason }.write()));
        }
        let sends = inside.room.unseat(id, Instant::now());
        inside.deliver(sends);
    }

    /// A physician signed out or was signed out: the page is told and closed.
    pub fn sign_out(&self, account: &str) {
        let inside = self.lock();
        if let Some(link) = inside.pages.get(account) {
            let reason = Text::cut("Vous n'êtes plus connecté : connectez-vous de nouveau.");
            let _ = link.out.try_send(Out::Last(ToPage::Refused { code: RefusalCode::NotSignedIn, reason }.write()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Inside {
    fn link(&mut self) -> (u64, mpsc::Sender<Out>, mpsc::Receiver<Out>) {
        self.next += 1;
        let (sender, out) = mpsc::channel(LINK_MESSAGES_MAX);
        (self.next, sender, out)
    }

    /// Puts a new connection in the place of a guest's former one, and says what there is to say.
    fn seat_guest(&mut self, ticket: &Ticket, sends: Vec<Send>) -> Joined {
        let (number, sender, out) = self.link();
        if let Some(old) = self.guests.insert(ticket.clone(), Link { number, out: sender }) {
            let reason = Text::cut("Cette page a été ouverte ailleurs.");
            let _ = old.out.try_send(Out::Last(ToGuest::Refused { code: RefusalCode::Replaced, reason }.write()));
        }
        self.deliver(sends);
        Joined { number, out }
    }

    /// A link whose queue is full is let go: its task sees the channel closed, says `too_slow` and closes.
    fn deliver(&mut self, sends: Vec<Send>) {
        for send in sends {
            match send {
                Send::Cabin(id, message) => {
                    let full = |link: &Link| link.out.try_send(Out::Text(message.write())).is_err();
                    if self.cabins.get(&id).is_some_and(full) {
                        tracing::warn!(cabin = %id, "cabin does not read, dropped");
                        self.cabins.remove(&id);
                        let more = self.room.cabin_disconnected(&id, Instant::now());
                        self.deliver(more);
                    }
                }
                Send::Page(account, message) => {
                    let full = |link: &Link| link.out.try_send(Out::Text(message.write())).is_err();
                    if self.pages.get(&account).is_some_and(full) {
                        tracing::warn!(account, "page does not read, dropped");
                        self.pages.remove(&account);
                        let more = self.room.page_disconnected(&account, Instant::now());
                        self.deliver(more);
                    }
                }
                Send::Guest(ticket, message) => {
                    let full = |link: &Link| link.out.try_send(Out::Text(message.write())).is_err();
                    if self.guests.get(&ticket).is_some_and(full) {
                        tracing::warn!("a guest does not read, dropped");
                        self.guests.remove(&ticket);
                        let more = self.room.guest_disconnected(&ticket, Instant::now());
                        self.deliver(more);
                    }
                }
                Send::GuestLast(ticket, message) => {
                    if let Some(link) = self.guests.remove(&ticket) {
                        let _ = link.out.try_send(Out::Last(message.write()));
                    }
                }
            }
        }
    }
}
