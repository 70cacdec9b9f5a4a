//! Random sequences of everything that cabins, pages and time can do to a waiting room.

use signal::call::{Candidate, Sdp};
use signal::data::Sex;
use signal::guest::{FromGuest, Guest, GuestRole};
use signal::{Code, Invitation, Text};

use super::*;

struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }
}

fn site() -> Site {
    Site {
        name: Text::cut("Pharmacie"),
        kind: Code::new("pharmacy").unwrap(),
        address: Text::default(),
        town: Text::default(),
        insee: Text::default(),
        phone: Text::default(),
        finess: None,
    }
}

fn physician() -> Physician {
    crate::accounts::physician("Dr Claire Morel", "", "10001234565", "", 3000, "")
}

fn waiting(consultation: ConsultationId) -> Waiting {
    Waiting {
        consultation,
        reason: Code::new("fever").unwrap(),
        age_band: signal::cabin::AgeBand::Adult,
        sex: Sex::Female,
        measured: Vec::new(),
        since_at: 0,
        language: Code::new("fr").unwrap(),
        warning_sign: false,
    }
}

fn room() -> Room {
    Room::new(60_000, 10_000, Box::new(|_| (Vec::new(), None)))
}

#[test]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
fn whatever_happens_a_patient_has_one_physician_and_messages_stay_between_the_two_ends() {
    let seed = 0x5eed_0000_0000_0002;
    println!("seed {seed:#x}");
    let mut noise = Noise(seed);
    let mut room = room();
    let mut now = Instant::now();
    let cabins: Vec<_> = (0..4).map(|n| CabinId::new(format!("cabin-{n}")).unwrap()).collect();
    let accounts: Vec<_> = (0..3).map(|n| format!("physician-{n}")).collect();
    let consultations: Vec<_> = (0..8).map(|n| ConsultationId::new(format!("c-{n}")).unwrap()).collect();
    // What the ends were told: consultation by ticket, and whose it is.
    let mut told: HashMap<Ticket, (ConsultationId, AccountName, CabinId)> = HashMap::new();
    let mut open: HashMap<ConsultationId, Ticket> = HashMap::new();
    let mut taken = 0;
    // Invitations by the call they are of, and seats: whose, and whether they were let in.
    let mut invitations: Vec<(Invitation, Ticket)> = Vec::new();
    let mut seats: HashMap<Ticket, (Ticket, bool)> = HashMap::new();
    let (mut seated, mut carried) = (0, 0);
    for step in 0..60_000 {
        let cabin = cabins[noise.next(cabins.len())].clone();
        let account = accounts[noise.next(accounts.len())].clone();
        let consultation = consultations[noise.next(consultations.len())].clone();
        let ticket = open.get(&consultation).cloned().unwrap_or_else(|| Ticket::new("nobodys").unwrap());
        let sdp = |kind| Sdp { ticket: ticket.clone(), kind, sdp: Text::cut("v=0") };
        let candidate = || Candidate {
            ticket: ticket.clone(),
            candidate: Text::default(),
            sdp_mid: None,
            sdp_m_line_index: None,
            username_fragment: None,
        };
        let fresh = Ticket::new(format!("t{step}")).unwrap();
        let known = room.seats.get(&cabin).is_some_and(|seat| seat.online);
        let page = room.desks.get(&account).is_some_and(|desk| desk.online);
        let seat = seats.keys().nth(noise.next(seats.len().max(1))).cloned().unwrap_or_else(|| ticket.clone());
        let said = match noise.next(4) {
            0 => FromGuest::Sdp(Sdp { ticket: seat.clone(), ..sdp(SdpKind::Answer) }),
            1 => FromGuest::Sdp(sdp(SdpKind::Answer)),
            2 => FromGuest::RestartIce { ticket: seat.clone() },
            _ if noise.next(20) == 0 => FromGuest::Leave {},
            _ => FromGuest::Pong { n: 1 },
        };
        // Often it is the physician and the cabin of the call who speak: else hardly any call gets as far as a guest.
        let own = told.get(&ticket).filter(|_| noise.next(4) > 0).map(|(_, account, _)| account.clone());
        let host = own.filter(|own| room.desks.get(own).is_some_and(|desk| desk.online));
        let theirs = told.get(&ticket).map(|(_, _, cabin)| cabin.clone());
        let sends = match noise.next(30) {
            0 => room.cabin_connected(&cabin, site(), now),
            1 => room.cabin_disconnected(&cabin, now),
            2 => room.page_connected(&account, physician(), Authentication::LocalTotp, now),
            3 => room.page_disconnected(&account, now),
            4 | 5 if known => room.from_cabin(&cabin, FromCabin::Waiting(waiting(consultation)), now, 0),
            6 if known => room.from_cabin(&cabin, FromCabin::WaitingLeft { consultation }, now, 0),
            7 if known => room.from_cabin(&cabin, FromCabin::Accept { consultation, ticket }, now, 0),
            8 if known => {
                room.from_cabin(&cabin, FromCabin::Decline { consultation, ticket, not_shown: false }, now, 0)
            }
            9 if known => room.from_cabin(&cabin, FromCabin::Sdp(sdp(SdpKind::Answer)), now, 0),
            10 if known => {
                let cause = EndCause::PatientLeft;
                room.from_cabin(&cabin, FromCabin::CallEnded { ticket, cause }, now, 0)
            }
            11 | 12 if page => room.from_page(&account, FromPage::Take { consultation }, fresh, now),
            13 if page => room.from_page(&account, FromPage::Sdp(sdp(SdpKind::Offer)), fresh, now),
            14 if page => room.from_page(&account, FromPage::Candidate(candidate()), fresh, now),
            15 if page => room.from_page(&account, FromPage::End { ticket, cause: EndCause::GivenBack }, fresh, now),
            16 | 28 if host.is_some() => {
                room.from_page(&host.unwrap_or_default(), FromPage::InviteGuest { ticket }, fresh, now)
            }
            25..=27 if theirs.is_some() => {
                let cabin = theirs.unwrap_or(cabin);
                room.from_cabin(&cabin, FromCabin::Accept { consultation, ticket }, now, 0)
            }
            17 | 18 if !invitations.is_empty() => {
                let newest = invitations.len() - 1 - noise.next(invitations.len().min(3));
                let (invitation, of) = invitations[newest].clone();
                let guest = Guest { name: Text::cut("Ana"), role: GuestRole::Specialist };
                match room.guest_takes(&invitation, guest, fresh.clone(), now) {
                    Ok(sends) => {
                        seated += 1;
                        seats.insert(fresh, (of, false));
                        invitations.retain(|(used, _)| *used != invitation);
                        sends
                    }
                    Err(_) => Vec::new(),
                }
            }
            19 => {
                let of = seats.get(&seat).and_then(|(of, _)| told.get(of)).map(|(_, account, _)| account.clone());
                let account = of.filter(|_| noise.next(4) > 0).unwrap_or(account);
                room.from_page(&account, FromPage::AdmitGuest { ticket: seat }, fresh, now)
            }
            20 if page && noise.next(4) == 0 => room.from_page(&account, FromPage::DismissGuest { ticket }, fresh, now),
            21 => room.from_guest(&seat, said),
            22 => room.guest_disconnected(&seat, now),
            23 => room.guest_returns(&seat).unwrap_or_default(),
            24 => {
                let of = seats.get(&seat).and_then(|(of, _)| told.get(of)).map(|(_, account, _)| account.clone());
                let account = of.filter(|_| noise.next(4) > 0).unwrap_or(account);
                let offer = Sdp { ticket: seat, ..sdp(SdpKind::Offer) };
                room.from_page(&account, FromPage::Sdp(offer), fresh, now)
            }
            // Nobody to do it: time stands still, or every call would end before a guest is there.
            16..=29 => Vec::new(),
            _ => {
                now += Duration::from_secs(noise.next(50) as u64);
                room.tick(now)
            }
        };
        room.verify_invariants();
        for send in sends {
            match send {
                Send::Page(account, ToPage::Taken { consultation, ticket, cabin, .. }) => {
                    let mine = (consultation.clone(), account, cabin.cabin_id);
                    match told.get(&ticket) {
                        Some(before) => assert_eq!(*before, mine, "said again, the same"),
                        None => {
                            taken += 1;
                            assert!(open.insert(consultation, ticket.clone()).is_none(), "taken twice");
                            told.insert(ticket, mine);
                        }
                    }
                }
                Send::Page(account, ToPage::GuestInvited { ticket, invitation, .. }) => {
                    assert_eq!(told[&ticket].1, account);
                    invitations.push((invitation, ticket));
                }
                Send::Page(account, ToPage::Guest { ticket, seat, admitted, .. }) => {
                    assert_eq!((&told[&ticket].1, &seats[&seat].0), (&account, &ticket));
                    seats.insert(seat, (ticket, admitted));
                }
                Send::Page(_, ToPage::GuestLeft { ticket }) => seats.retain(|_, (of, _)| *of != ticket),
                Send::GuestLast(seat, _) => {
                    assert!(seats.contains_key(&seat), "a last word to somebody");
                    seats.remove(&seat);
                }
                Send::Guest(seat, ToGuest::Sdp(sdp)) => {
                    assert!(sdp.ticket == seat && seats[&seat].1, "only who was let in is offered anything");
                    carried += 1;
                }
                Send::Page(account, ToPage::Sdp(sdp)) if seats.contains_key(&sdp.ticket) => {
                    let (of, admitted) = &seats[&sdp.ticket];
                    assert!(told[of].1 == account && *admitted);
                }
                Send::Page(account, ToPage::Sdp(sdp)) => assert_eq!(told[&sdp.ticket].1, account),
                Send::Page(account, ToPage::CallEnded { ticket, .. }) => {
                    assert_eq!(told[&ticket].1, account);
                    let ended = open.remove(&told[&ticket].0);
                    assert_eq!(ended.as_ref(), Some(&ticket));
                }
                Send::Cabin(cabin, FromDesk::Sdp(sdp)) => assert_eq!(told[&sdp.ticket].2, cabin),
                Send::Cabin(cabin, FromDesk::Candidate(candidate)) => assert_eq!(told[&candidate.ticket].2, cabin),
                Send::Cabin(cabin, FromDesk::PhysicianOffered { ticket, consultation, .. }) => {
                    assert_eq!((&told[&ticket].0, &told[&ticket].2), (&consultation, &cabin));
                }
                _ => {}
            }
        }
    }
    assert!(taken > 100, "{taken} calls: the sequence reaches calls");
    assert!(seated > 10 && carried > 3, "{seated} guests, {carried} offers to them: the sequence reaches them");
}

#[test]
fn a_patient_whose_cabin_does_not_come_back_leaves_the_list_and_one_who_waited_elsewhere_keeps_the_place() {
    let mut room = room();
    let start = Instant::now() + Duration::from_secs(7 * 3600);
    let (one, two) = (CabinId::new("one").unwrap(), CabinId::new("two").unwrap());
    let (first, second) = (ConsultationId::new("first").unwrap(), ConsultationId::new("second").unwrap());
    room.page_connected("claire", physician(), Authentication::LocalTotp, start);
    room.cabin_connected(&one, site(), start);
    room.cabin_connected(&two, site(), start);
    room.from_cabin(&one, FromCabin::Waiting(waiting(second.clone())), start, 0);
    // Announced later, but this patient began to wait an hour before by the cabin's clock: a desk restarted since.
    room.from_cabin(&two, FromCabin::Waiting(waiting(first.clone())), start, 3_600_000);
    let list = |room: &mut Room, now| {
        let sends = room.page_connected("claire", physician(), Authentication::LocalTotp, now);
        let lines = sends.into_iter().find_map(|send| match send {
            Send::Page(_, ToPage::WaitingList { waiting, .. }) => Some(waiting),
            _ => None,
        });
        let lines = lines.expect("a list");
        lines.into_iter().map(|line| (line.waiting.consultation, line.cabin_lost)).collect::<Vec<_>>()
    };
    assert_eq!(list(&mut room, start), [(first.clone(), false), (second.clone(), false)]);
    room.cabin_disconnected(&two, start);
    assert_eq!(list(&mut room, start), [(first.clone(), true), (second.clone(), false)]);
    let take = FromPage::Take { consultation: first.clone() };
    let late = room.from_page("claire", take, Ticket::new("t").unwrap(), start);
    assert_eq!(late, [Send::Page("claire".into(), ToPage::TooLate { consultation: first.clone() })]);
    room.tick(start + Duration::from_secs(59));
    assert_eq!(list(&mut room, start).len(), 2);
    let gone = room.tick(start + Duration::from_secs(60));
    assert!(gone.contains(&Send::Page("claire".into(), ToPage::WaitingGone { consultation: first })));
    assert_eq!(list(&mut room, start), [(second, false)]);
}
