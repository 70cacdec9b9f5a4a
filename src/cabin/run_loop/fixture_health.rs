//! How what stands in the cabin and measures nobody is: for the pharmacist's list and the technician's.

use drivers::fixtures::card_vitale::CardFault;
use drivers::fixtures::{FixtureEvent, Message};
use drivers::ports::fixtures::{self, Settings};

use super::{Cabin, Event, post};
use crate::devices::Health;

/// The card reader, which says nothing until it is used, is looked for that often, ticks: a minute.
const ASK_TICKS: u64 = 240;

/// Each fixture of the configuration, by its key, and how it is.
#[derive(Debug, Default)]
pub struct FixtureHealth(Vec<(&'static str, Health)>);

impl FixtureHealth {
    pub(super) fn new(settings: &Settings) -> Self {
        let all = [
            ("card_vitale", settings.card_reader.is_some()),
            ("light_blink1", settings.light.is_some()),
            ("door_contact", settings.door.is_some()),
            ("presence_ld2410", settings.presence.is_some()),
            ("scanner_codes", settings.scanner.is_some()),
        ];
        Self(all.into_iter().filter(|(_, is_there)| *is_there).map(|(key, _)| (key, Health::Unknown)).collect())
    }

    /// Each, by its key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Health)> {
        self.0.iter().map(|(key, health)| (*key, health))
    }

    /// Of this fixture that is known now.
    pub(super) fn is(&mut self, fixture: &str, health: Health) {
        if let Some((_, known)) = self.0.iter_mut().find(|(key, _)| *key == fixture) {
            *known = health;
        }
    }

    /// A fixture said something.
    pub(super) fn heard(&mut self, message: &Message) {
        match &message.event {
            FixtureEvent::Opened { .. } => self.is(message.fixture, Health::Ready),
            FixtureEvent::Lost => self.is(message.fixture, Health::Unplugged),
            FixtureEvent::Refused { remedy, .. } => self.is(message.fixture, Health::Refused(*remedy)),
            _ => {}
        }
    }
}

impl Cabin {
    /// Looks whether the card reader is there, off the screen's thread; never while it may be in use.
    pub(super) fn tend_fixture_health(&mut self) {
        if self.ticks % ASK_TICKS != 1 || self.journey.dossier().is_some() {
            return;
        }
        if let Some(name) = self.settings.fixtures.card_reader.clone() {
            self.runtime.spawn_blocking(move || post(Event::FixtureIs("card_vitale", card_reader(name.as_deref()))));
        }
    }
}

/// How the reader of that name is, or any.
fn card_reader(name: Option<&str>) -> Health {
    match fixtures::readers() {
        Ok(readers) if readers.iter().any(|reader| name.is_none_or(|name| reader.contains(name))) => Health::Ready,
        Ok(_) | Err(CardFault::NoReader { .. }) => Health::Unplugged,
        Err(error) => {
            tracing::warn!(%error, "the card reader cannot be used");
            Health::AtFault
        }
    }
}

#[cfg(test)]
mod tests {
    use drivers::ports::Remedy;

    use super::*;

    #[test]
    fn each_fixture_of_the_configuration_has_a_line_and_what_was_pulled_out_is_told() {
        let settings = Settings { card_reader: Some(None), light: "27b8:01ed".parse().ok(), ..Settings::default() };
        let mut health = FixtureHealth::new(&settings);
        let keys: Vec<_> = health.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["card_vitale", "light_blink1"]);
        let mut after = |event| {
            health.heard(&Message { fixture: "light_blink1", event });
            health.iter().find(|(key, _)| *key == "light_blink1").map(|(_, health)| health.clone())
        };
        assert_eq!(after(FixtureEvent::Opened { path: "/dev/bus/usb/001/002".into() }), Some(Health::Ready));
        assert_eq!(after(FixtureEvent::Lost), Some(Health::Unplugged));
        let refused = FixtureEvent::Refused { path: "/dev/bus/usb/001/002".into(), remedy: Remedy::Permission };
        assert_eq!(after(refused), Some(Health::Refused(Remedy::Permission)));
        health.heard(&Message { fixture: "door_contact", event: FixtureEvent::Lost });
        assert_eq!(health.iter().count(), 2, "what the configuration does not have has no line");
    }
}
