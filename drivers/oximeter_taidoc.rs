//! TaiDoc / FORA oximeters (TD-8201, TD-8255): oxygen saturation and pulse as they are, without a curve.
//!
//! Source: `advmeds-bluetooth-lib` (command 49; packets as in [`crate::taidoc`]): the first byte is the saturation, the
//! last one the pulse; zeros are none. That the figures are those of the moment and not of a memory is what the
//! command is for in that library; its answer has no date to show it, and the rule of every oximeter asks for six
//! settled seconds after the start.

use std::time::{Duration, Instant};

use crate::oximetry::Oximetry;
use crate::taidoc::{Incoming, PACKET, packet};
use crate::{Absent, Event, Now, Protocol, Status, Transmit};

const LIVE: u8 = 0x49;
/// Asked that often, whether or not it has answered.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Figures a second.
const FIGURES_HZ: usize = 1;
/// So many bytes without an answer are noise, and not silence.
const NOISE_BYTES: usize = 4 * PACKET;

/// The protocol.
pub struct TaiDocOximeter {
    incoming: Incoming,
    /// When it is asked next; `None` before the port opens.
    ask_at: Option<Instant>,
    /// It was asked and has not answered yet: one question gives one pair of figures.
    is_asked: bool,
    oximetry: Oximetry,
}

impl Default for TaiDocOximeter {
    fn default() -> Self {
        Self::new()
    }
}

impl TaiDocOximeter {
    /// Before the port opens.
    pub fn new() -> Self {
        Self { incoming: Incoming::default(), ask_at: None, is_asked: false, oximetry: Oximetry::new(1, NOISE_BYTES) }
    }

    fn ask(&mut self, now: Now) {
        self.oximetry.out.send(&packet(LIVE, [0; 4]));
        self.is_asked = true;
        self.ask_at = Some(now.instant + ASK_EVERY);
    }

    fn answer(&mut self, [spo2, _, _, pulse]: [u8; 4], now: Now) {
        self.oximetry.heard(now);
        if spo2 == 0 || pulse == 0 {
            return self.oximetry.no_figures(Status::Searching, Absent::NotTracked);
        }
        self.oximetry.figures(spo2, pulse.into(), None, None, false);
    }
}

impl Protocol for TaiDocOximeter {
    fn port_opened(&mut self, now: Now) {
        self.incoming.clear();
        self.oximetry.out.forget_commands();
        self.oximetry.port_opened(now);
        self.oximetry.speaks(FIGURES_HZ);
        self.ask(now);
    }

    fn start(&mut self, now: Now) {
        self.oximetry.start(now);
    }

    fn stop(&mut self, _now: Now) {
        self.oximetry.stop();
    }

    fn measuring_max(&self) -> Duration {
        crate::oximetry::MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.oximetry.arrived(bytes.len());
        for &byte in bytes {
            if let Some((LIVE, data)) = self.incoming.push(byte)
                && std::mem::take(&mut self.is_asked)
            {
                self.answer(data, now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.ask_at.is_some_and(|at| at <= now.instant) {
            self.ask(now);
        }
        self.oximetry.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.ask_at, self.oximetry.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.oximetry.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.oximetry.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.incoming.buffered() + self.oximetry.buffered()
    }
}

#[cfg(test)]
mod tests {
    use consult::vitals::{Moment, Value};

    use super::*;

    fn answer(spo2: u8, pulse: u8) -> [u8; PACKET] {
        let mut bytes = packet(LIVE, [spo2, 0, 0, pulse]);
        bytes[6] = 0xA5;
        bytes[7] = bytes[7].wrapping_add(2);
        bytes
    }

    /// What is said of one answer a second.
    fn events(answers: &[[u8; PACKET]]) -> Vec<Event> {
        let mut now = Now { instant: Instant::now(), wall: Moment(1_800_000_000_000) };
        let mut oximeter = TaiDocOximeter::new();
        oximeter.port_opened(now);
        oximeter.start(now);
        let mut seen = Vec::new();
        for answer in answers {
            assert_eq!(oximeter.poll_transmit(), Some(Transmit::Bytes(vec![0x51, 0x49, 0, 0, 0, 0, 0xA3, 0x3D])));
            // Said twice: it counts once.
            oximeter.handle_input(&[*answer, *answer].concat(), now);
            now.instant += ASK_EVERY;
            oximeter.handle_timeout(now);
            seen.extend(std::iter::from_fn(|| oximeter.poll_event()));
        }
        seen
    }

    fn readings(events: &[Event]) -> Vec<u16> {
        let number = |event: &Event| match event {
            Event::Reading(measured) => match measured.value {
                Value::Spo2(spo2) => Some(spo2.percent().into()),
                Value::PulseRate(pulse) => Some(pulse.per_minute()),
                _ => panic!("an oximeter gave something else"),
            },
            _ => None,
        };
        events.iter().filter_map(number).collect()
    }

    #[test]
    fn six_settled_seconds_are_a_reading() {
        assert!(readings(&events(&[answer(96, 68); 5])).is_empty());
        let seen = events(&[answer(96, 68); 6]);
        assert_eq!(readings(&seen), [96, 68]);
        assert_eq!(seen.last(), Some(&Event::Finished));
    }

    #[test]
    fn zeros_and_damaged_answers_are_no_figures() {
        let mut damaged = answer(96, 68);
        damaged[2] ^= 0x08;
        for wrong in [answer(0, 0), answer(96, 0), answer(0, 68), answer(101, 68), answer(96, 17), damaged] {
            let seen = events(&[wrong; 8]);
            assert!(!seen.iter().any(|event| matches!(event, Event::Live(_) | Event::Reading(_))), "{wrong:02x?}");
        }
    }
}
