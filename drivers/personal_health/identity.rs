//! What an agent says of itself: who made it, its serial number, its firmware, its clock.

use consult::vitals::Moment;

use crate::device_clock::DeviceTime;

use super::mder::{Reader, absolute_time, base_offset_time};
use super::nomenclature as mdc;

/// Longest text kept of an agent, characters.
const TEXT_MAX: usize = 64;
/// Kinds of entries of a production specification.
const SERIAL_NUMBER: u16 = 1;
const SOFTWARE: u16 = 4;
const FIRMWARE: u16 = 5;
/// A clock off by more than that, its zone taken off, is wrong.
const ERROR_MAX_SECONDS: i64 = 120;
/// Zones are whole quarters of an hour.
const ZONE_STEP_SECONDS: i64 = 15 * 60;

/// Who an agent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) maker: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) firmware: Option<String>,
}

impl Identity {
    /// Takes what these attributes tell; keeps what they do not.
    pub(crate) fn read(&mut self, attributes: &[(u16, &[u8])]) {
        for (attribute, value) in attributes {
            let mut reader = Reader(value);
            match *attribute {
                mdc::MODEL => {
                    self.maker = reader.octets().and_then(text);
                    self.model = reader.octets().and_then(text);
                }
                mdc::PRODUCTION => {
                    let Some((count, mut list)) = reader.list() else { continue };
                    let entries = (0..count).map_while(|_| Some((list.u16()?, list.u16()?, list.octets()?)));
                    let entries: Vec<_> = entries.collect();
                    let of_kind =
                        |kind| entries.iter().find(|(k, ..)| *k == kind).and_then(|(_, _, value)| text(value));
                    self.serial = of_kind(SERIAL_NUMBER);
                    self.firmware = of_kind(FIRMWARE).or_else(|| of_kind(SOFTWARE));
                }
                _ => {}
            }
        }
    }
}

/// What can be printed of a text, without the zeros and blanks that fill it up, and without the name of the field that
/// some put before it (Accu-Chek: `serial-number: 925…`).
fn text(value: &[u8]) -> Option<String> {
    let text: String =
        value.iter().map(|byte| char::from(*byte)).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    let text = ["serial-number:", "fw-revision:", "sw-revision:"]
        .into_iter()
        .find_map(|name| text.strip_prefix(name))
        .unwrap_or(&text)
        .trim();
    (!text.is_empty()).then(|| text.chars().take(TEXT_MAX).collect())
}

/// An agent's clock against ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Seconds by which it is ahead of UTC.
    pub(crate) seconds_ahead: i64,
    /// Minutes, when a zone can explain them.
    pub(crate) minutes_ahead: Option<i64>,
}

impl Clock {
    /// What it shows at `wall`. `None`: the agent has none, or it shows no time.
    pub(crate) fn read(attributes: &[(u16, &[u8])], wall: Moment) -> Option<Self> {
        let of = |wanted| attributes.iter().find(|(attribute, _)| *attribute == wanted).map(|(_, value)| *value);
        let shown = of(mdc::TIME_ABSOLUTE).and_then(absolute_time);
        let shown = shown.or_else(|| of(mdc::TIME_BASE_OFFSET).and_then(base_offset_time))?;
        Some(Self { seconds_ahead: shown.0 - DeviceTime::of(wall).0, minutes_ahead: shown.minutes_ahead(wall) })
    }

    /// The zone that explains it best, seconds; UTC when none does.
    fn zone_seconds(self) -> i64 {
        let nearest = (self.seconds_ahead + ZONE_STEP_SECONDS / 2).div_euclid(ZONE_STEP_SECONDS) * ZONE_STEP_SECONDS;
        self.minutes_ahead.map_or(0, |_| nearest)
    }

    /// By how much something dated so is later than `moment`, seconds by the agent's clock.
    pub(crate) fn seconds_after(self, stamp: DeviceTime, moment: Moment) -> i64 {
        stamp.0 - (DeviceTime::of(moment).0 + self.seconds_ahead)
    }

    /// It is no zone's time.
    pub(crate) fn is_wrong(self) -> bool {
        (self.seconds_ahead - self.zone_seconds()).abs() > ERROR_MAX_SECONDS
    }

    /// It shows what has not been yet: what it dated earlier may seem to be of now.
    pub(crate) fn is_ahead(self) -> bool {
        self.seconds_ahead > self.zone_seconds()
    }

    /// What it should show at `wall`, in the zone that it is kept in.
    pub(crate) fn right(self, wall: Moment) -> DeviceTime {
        DeviceTime(DeviceTime::of(wall).0 + self.zone_seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal_health::testing::hex;

    #[test]
    fn the_serial_number_is_read_without_what_is_around_it() {
        // As an Accu-Chek writes them: with the name of the field, and zeros.
        let production = hex("0002 [0001 0000 [73657269616C2D6E756D6265723A2039] 0005 0000 [76312E392E3600]]");
        let mut identity = Identity::default();
        identity.read(&[(mdc::PRODUCTION, &production), (mdc::MODEL, &hex("[526F63686500] [39323500]"))]);
        assert_eq!(identity.serial.as_deref(), Some("9"));
        assert_eq!(identity.firmware.as_deref(), Some("v1.9.6"));
        assert_eq!((identity.maker.as_deref(), identity.model.as_deref()), (Some("Roche"), Some("925")));
        identity.read(&[(mdc::PRODUCTION, &[0, 1]), (0x0B0B, &[1])]);
        assert_eq!(identity.serial.as_deref(), Some("9"), "damaged: what was known stays");
    }

    #[test]
    fn a_clock_is_wrong_when_no_zone_explains_it() {
        let wall = Moment(1_773_045_680_000);
        let shown = |seconds: i64| {
            let time = super::super::mder::write_absolute_time(DeviceTime(1_773_045_680 + seconds));
            Clock::read(&[(mdc::TIME_ABSOLUTE, &time)], wall).unwrap()
        };
        for (seconds, is_wrong, right) in
            [(0, false, 0), (3_600, false, 3_600), (3_590, false, 3_600), (3_800, true, 3_600), (-90_000, true, 0)]
        {
            let clock = shown(seconds);
            assert_eq!(clock.is_wrong(), is_wrong, "{seconds}");
            assert_eq!(clock.right(wall), DeviceTime(1_773_045_680 + right), "{seconds}");
        }
        assert_eq!(Clock::read(&[(mdc::TIME_ABSOLUTE, &[0xFF; 8])], wall), None);
    }
}
