//! A blink(1) of the second generation: a lamp with 16 lines of memory, which plays them when its host goes silent.

use std::time::{Duration, Instant};

use crate::Device;
use crate::usb::hid::{Identity, Kind};

/// Its report descriptor: a feature report of its own, number 1, seven bytes behind the number; one byte in, never sent.
pub(crate) static KIND: Kind = Kind {
    identity: Identity {
        vendor: 0x27B8,
        product: 0x01ED,
        names: ["ThingM", "blink(1) mk2"],
        serial: Some("2000ABCD"),
        packet_bytes: 8,
        has_endpoint_out: false,
    },
    report_bytes: 8,
    feature_bytes: 8,
    report_descriptor: &[
        0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, //
        0x85, 0x01, 0x95, 0x07, 0x09, 0x00, 0xB1, 0x02, // feature 1 of 7 bytes
        0xC0,
    ],
};

const LINES: usize = 16;

pub(crate) struct Lamp {
    colour: [u8; 3],
    pattern: [([u8; 3], u16); LINES],
    /// How long the host may be silent.
    patience: Option<Duration>,
    dead_at: Option<Instant>,
    /// The line of the pattern that is being played, and when the next is.
    playing: Option<(usize, Instant)>,
    reports: u32,
}

impl Lamp {
    pub(crate) fn new() -> Self {
        Self {
            colour: [0; 3],
            pattern: [([0xFF, 0xFF, 0xFF], 10); LINES],
            patience: None,
            dead_at: None,
            playing: None,
            reports: 0,
        }
    }

    fn play(&mut self, line: usize, now: Instant) {
        let (colour, hundredths) = self.pattern[line];
        self.colour = colour;
        self.playing = Some(((line + 1) % LINES, now + Duration::from_millis(u64::from(hundredths.max(1)) * 10)));
    }
}

impl Device for Lamp {
    fn plugged(&mut self, _now: Instant) {
        *self = Lamp::new();
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn hear_feature(&mut self, report: &[u8], now: Instant, _out: &mut Vec<u8>) {
        let &[1, command, a, b, c, d, e, f] = report else { return };
        self.reports += 1;
        match command {
            b'c' | b'n' => {
                self.playing = None;
                self.colour = [a, b, c];
            }
            b'P' if usize::from(f) < LINES => {
                self.pattern[usize::from(f)] = ([a, b, c], u16::from_be_bytes([d, e]));
            }
            b'D' => {
                let time = Duration::from_millis(u64::from(u16::from_be_bytes([b, c])) * 10);
                self.patience = (a == 1).then_some(time);
                self.dead_at = self.patience.map(|patience| now + patience);
            }
            _ => {}
        }
    }

    fn tick(&mut self, now: Instant, _out: &mut Vec<u8>) {
        if self.dead_at.is_some_and(|at| at <= now) {
            self.dead_at = None;
            self.play(0, now);
        }
        if let Some((line, at)) = self.playing
            && at <= now
        {
            self.play(line, now);
        }
    }

    fn due(&self) -> Option<Instant> {
        [self.dead_at, self.playing.map(|(_, at)| at)].into_iter().flatten().min()
    }

    fn set(&mut self, key: &str, _value: &str, _now: Instant) -> Result<(), String> {
        Err(format!("no such value: {key}"))
    }

    fn values(&self) -> String {
        let [red, green, blue] = self.colour;
        let state = match (self.playing, self.patience) {
            (Some(_), _) => "dead",
            (None, Some(_)) => "alive",
            (None, None) => "unwatched",
        };
        format!("colour={red:02x}{green:02x}{blue:02x} {state}")
    }

    fn act(&mut self, _words: &[&str], _now: Instant) -> Result<(), String> {
        Err("a lamp does nothing of itself; values shows it".into())
    }
}
