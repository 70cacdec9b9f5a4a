//! The door and the radar: who may be listening, and whether anybody is there.

use consult::journey::{CallLine, Input, Step};
use drivers::fixtures::FixtureEvent;
use drivers::fixtures::door_contact::Door;
use drivers::fixtures::presence_ld2410::Presence;
use signal::call::EndCause;

use super::Cabin;

/// How often the question of a quiet patient is put off because somebody is seen: it may be somebody else, before whom
/// the last one's answers must not stay.
const PUT_OFF_MAX: u8 = 2;

/// What door and radar last said. `None`: nothing, or they are out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The door.
    pub door: Option<Door>,
    /// The radar.
    pub presence: Option<Presence>,
    /// How often the question was put off since a touch.
    put_off: u8,
}

impl Room {
    /// Takes what a fixture says, if it is one of these two. True when it is news.
    fn hears(&mut self, fixture: &str, event: &FixtureEvent) -> bool {
        let before = *self;
        match (fixture, event) {
            (_, FixtureEvent::Door(door)) => self.door = Some(*door),
            (_, FixtureEvent::Presence(presence)) => self.presence = Some(*presence),
            ("door_contact", FixtureEvent::Lost | FixtureEvent::Refused { .. }) => self.door = None,
            ("presence_ld2410", FixtureEvent::Lost | FixtureEvent::Refused { .. }) => self.presence = None,
            _ => {}
        }
        *self != before
    }

    /// The patient is quiet: whether that is put off once more, because somebody is there.
    fn puts_off(&mut self) -> bool {
        let is_seen = self.presence == Some(Presence::Somebody) && self.put_off < PUT_OFF_MAX;
        self.put_off += u8::from(is_seen);
        is_seen
    }

    /// Somebody touched the screen, or the patient is another.
    pub fn touched(&mut self) {
        self.put_off = 0;
    }
}

impl Cabin {
    pub(super) fn room_changes(&mut self, fixture: &str, event: &FixtureEvent) {
        if !self.room.hears(fixture, event) {
            return;
        }
        if let FixtureEvent::Door(door) = event
            && matches!(self.journey.step(), Step::Call { line: CallLine::Connected, .. })
        {
            self.tell_physician(match door {
                Door::Open => "La porte de la cabine est ouverte : on peut vous entendre.",
                Door::Closed => "La porte de la cabine est refermée.",
            });
        }
        if self.room.presence == Some(Presence::Nobody) && self.journey.asks_an_empty_cabin() {
            self.input(Input::InactivityWarned);
        }
    }

    /// The call begins: what the physician cannot see of the cabin.
    pub(super) fn tell_of_door(&mut self) {
        if self.room.door == Some(Door::Open) {
            self.tell_physician("La porte de la cabine est ouverte : on peut vous entendre.");
        }
    }

    /// What time asks for; a quiet patient whom the radar sees is left alone for a while.
    pub(super) fn time_asks(&mut self, input: Input) {
        // With the line to the page that still waited for its other end.
        if matches!(input, Input::CallEnded(_)) {
            return self.call_ended(EndCause::CabinLost);
        }
        let input = if input == Input::InactivityWarned && self.room.puts_off() { Input::Touched } else { input };
        self.input(input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_seen_puts_the_question_off_twice_until_a_touch_and_nobody_never() {
        let mut room = Room::default();
        assert!(!room.puts_off(), "a cabin without a radar asks as before");
        room.hears("presence_ld2410", &FixtureEvent::Presence(Presence::Somebody));
        assert_eq!([room.puts_off(), room.puts_off(), room.puts_off()], [true, true, false]);
        room.touched();
        assert!(room.puts_off());
        for unsure in [Presence::Nobody, Presence::Silent, Presence::Garbled] {
            room.touched();
            room.hears("presence_ld2410", &FixtureEvent::Presence(unsure));
            assert!(!room.puts_off(), "{unsure:?}");
        }
    }

    #[test]
    fn a_fixture_that_is_out_says_nothing_of_the_room_and_another_ones_loss_changes_nothing() {
        let mut room = Room::default();
        assert!(room.hears("door_contact", &FixtureEvent::Door(Door::Open)));
        assert!(
            !room.hears("door_contact", &FixtureEvent::Door(Door::Open)),
            "said again at its return, it is no news"
        );
        assert!(!room.hears("presence_ld2410", &FixtureEvent::Lost));
        assert_eq!(room.door, Some(Door::Open));
        assert!(room.hears("door_contact", &FixtureEvent::Lost));
        assert_eq!((room.door, room.presence), (None, None));
    }
}
