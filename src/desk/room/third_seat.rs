//! The third seat of one call: its invitations, and who took it. Pure: secrets and time come from outside.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use signal::guest::Guest;
use signal::{Invitation, RefusalCode, Ticket};
use subtle::ConstantTimeEq as _;

/// How long an invitation is good.
pub const INVITATION_LIFE: Duration = Duration::from_secs(15 * 60);
/// Most invitations of one call; more is refused with `too_many`.
pub const INVITATIONS_MAX: usize = 20;

/// Why an invitation does not open the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInvited {
    /// Nobody made it, or its call is over.
    #[error("Cette invitation n’existe pas, ou l’appel est terminé : demandez-en une autre au médecin.")]
    Unknown,
    /// Its time has passed, or another took its place.
    #[error("Cette invitation n’est plus valable : demandez-en une autre au médecin.")]
    Expired,
    /// Somebody took the seat with it.
    #[error("Cette invitation a déjà servi : demandez-en une autre au médecin.")]
    Used,
}

impl NotInvited {
    /// For programs.
    pub fn code(self) -> RefusalCode {
        match self {
            NotInvited::Unknown => RefusalCode::UnknownInvitation,
            NotInvited::Expired => RefusalCode::InvitationExpired,
            NotInvited::Used => RefusalCode::InvitationUsed,
        }
    }
}

/// What an invitation is known by: the desk keeps no secret that opens anything.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of an invitation.
    pub fn of(invitation: &Invitation) -> Self {
        Digest(Sha256::digest(invitation.as_str()).into())
    }
}

struct Made {
    digest: Digest,
    until: Instant,
    used: bool,
}

/// Who has the seat.
pub struct Seated {
    /// The right to speak from it.
    pub ticket: Ticket,
    /// Who, as they say.
    pub guest: Guest,
    /// The physician let them in.
    pub admitted: bool,
    /// Their connection to the desk is gone since then.
    pub gone_at: Option<Instant>,
}

/// See the module.
#[derive(Default)]
pub struct ThirdSeat {
    made: Vec<Made>,
    /// Who has it.
    pub seated: Option<Seated>,
}

impl ThirdSeat {
    /// Makes an invitation in place of the former one. False when there were too many.
    pub fn invite(&mut self, invitation: &Invitation, now: Instant) -> bool {
        if self.made.len() >= INVITATIONS_MAX {
            return false;
        }
        self.revoke(now);
        self.made.push(Made { digest: Digest::of(invitation), until: now + INVITATION_LIFE, used: false });
        true
    }

    /// From now on no invitation is good.
    pub fn revoke(&mut self, now: Instant) {
        for made in &mut self.made {
            made.until = made.until.min(now);
        }
    }

    /// How long this invitation is still good; `None` when it is none of this call.
    pub fn look(&self, digest: Digest, now: Instant) -> Option<Result<Duration, NotInvited>> {
        self.made.iter().find(|made| bool::from(made.digest.0.ct_eq(&digest.0))).map(|made| {
            let left = made.until.saturating_duration_since(now);
            match (made.used, left.is_zero()) {
                (true, _) => Err(NotInvited::Used),
                (false, true) => Err(NotInvited::Expired),
                (false, false) => Ok(left),
            }
        })
    }

    /// Gives the seat to who holds this invitation, which is then used up.
    pub fn take(&mut self, digest: Digest, guest: Guest, ticket: Ticket, now: Instant) -> Result<(), NotInvited> {
        self.look(digest, now).unwrap_or(Err(NotInvited::Unknown))?;
        // Two invitations are never good at once, so nobody is put off the seat by this.
        if self.seated.is_some() {
            return Err(NotInvited::Used);
        }
        for made in self.made.iter_mut().filter(|made| bool::from(made.digest.0.ct_eq(&digest.0))) {
            made.used = true;
        }
        self.seated = Some(Seated { ticket, guest, admitted: false, gone_at: None });
        Ok(())
    }

    /// Frees the seat, and gives the ticket of who had it.
    pub fn free(&mut self) -> Option<Ticket> {
        self.seated.take().map(|seated| seated.ticket)
    }
}

#[cfg(test)]
mod tests {
    use signal::Text;
    use signal::guest::GuestRole;

    use super::*;

    fn invitation(word: &str) -> Invitation {
        Invitation::new(word).unwrap()
    }

    fn digest(word: &str) -> Digest {
        Digest::of(&invitation(word))
    }

    fn guest() -> Guest {
        Guest { name: Text::cut("Jeanne Lemaire"), role: GuestRole::SignInterpreter }
    }

    fn ticket(word: &str) -> Ticket {
        Ticket::new(word).unwrap()
    }

    #[test]
    fn an_invitation_is_good_once() {
        let (mut seat, now) = (ThirdSeat::default(), Instant::now());
        assert!(seat.invite(&invitation("one"), now));
        assert_eq!(seat.look(digest("one"), now), Some(Ok(INVITATION_LIFE)), "looking uses nothing up");
        assert_eq!(seat.take(digest("two"), guest(), ticket("t"), now), Err(NotInvited::Unknown));
        assert_eq!(seat.take(digest("one"), guest(), ticket("t"), now), Ok(()));
        assert_eq!(seat.take(digest("one"), guest(), ticket("u"), now), Err(NotInvited::Used));
        assert_eq!(seat.look(digest("one"), now), Some(Err(NotInvited::Used)));
        // Not even when the seat is free again.
        assert_eq!(seat.free(), Some(ticket("t")));
        assert_eq!(seat.take(digest("one"), guest(), ticket("u"), now), Err(NotInvited::Used));
        assert!(seat.seated.is_none());
    }

    #[test]
    fn an_invitation_ends_with_its_time_with_the_next_one_and_when_it_is_taken_back() {
        let (mut seat, now) = (ThirdSeat::default(), Instant::now());
        seat.invite(&invitation("one"), now);
        let last = now + INVITATION_LIFE - Duration::from_millis(1);
        assert_eq!(seat.look(digest("one"), last), Some(Ok(Duration::from_millis(1))));
        let late = now + INVITATION_LIFE;
        assert_eq!(seat.take(digest("one"), guest(), ticket("t"), late), Err(NotInvited::Expired));
        seat.invite(&invitation("two"), now);
        assert_eq!(seat.take(digest("one"), guest(), ticket("t"), now), Err(NotInvited::Expired));
        seat.revoke(now);
        assert_eq!(seat.take(digest("two"), guest(), ticket("t"), now), Err(NotInvited::Expired));
        for n in 2..INVITATIONS_MAX {
            assert!(seat.invite(&invitation(&n.to_string()), now));
        }
        assert!(!seat.invite(&invitation("more"), now), "a page cannot fill the desk");
        assert_eq!(seat.look(digest("more"), now), None);
    }
}
