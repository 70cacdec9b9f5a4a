//! Contec CMS50D+ before 2012 (v4.6), CMS50E v2 and v3: oxygen saturation, pulse and pulse curve, by the five-byte stream
//! that other makers call BCI.
//!
//! Sources: "BCI protocol v1.2" (`BCI_Protocol`), `cms50e-reader`, `CMS50Dplus`. 19200 8O1, 60 frames a second, always
//! talking; nothing is sent to it. Only the first byte of a frame has its top bit set. There is no checksum: a figure
//! counts only when two frames in a row say it. What the oximeter has stored is never asked for: those are other
//! people's nights.

use std::time::{Duration, Instant};

use crate::contec_stream::{ContecStream, FULL_SCALE, Packet, RATE_HZ};
use crate::oximetry::Oximetry;
use crate::{Event, Now, Protocol, Transmit};

/// Bytes of a frame.
const FRAME: usize = 5;
/// So many bytes without a frame are noise, and not silence.
const NOISE_BYTES: usize = 8 * FRAME;

/// First byte: there is no signal.
const NO_SIGNAL: u8 = 0x10;
/// Third byte: no finger in the clip; looking for a pulse; the top bit of the pulse rate.
const NO_FINGER: u8 = 0x10;
const SEARCHING: u8 = 0x20;
const PULSE_TOP: u8 = 0x40;
/// The protocol.
pub struct Bci {
    /// A frame as far as it has come.
    buffer: Vec<u8>,
    stream: ContecStream,
    oximetry: Oximetry,
}

impl Default for Bci {
    fn default() -> Self {
        Self::new()
    }
}

impl Bci {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(FRAME),
            stream: ContecStream::default(),
            oximetry: Oximetry::new(RATE_HZ, NOISE_BYTES),
        }
    }

    fn byte(&mut self, byte: u8, now: Now) {
        if byte & 0x80 != 0 {
            if !self.buffer.is_empty() {
                // Cut short: what it would have said is lost.
                self.oximetry.lose();
            }
            self.buffer.clear();
        } else if self.buffer.is_empty() {
            return;
        }
        self.buffer.push(byte);
        if let Ok(frame) = <[u8; FRAME]>::try_from(&self.buffer[..]) {
            self.buffer.clear();
            self.oximetry.heard(now);
            self.frame(frame);
        }
    }

    fn frame(&mut self, [signal, wave, bar, pulse, spo2]: [u8; FRAME]) {
        let pulse = pulse | (bar & PULSE_TOP) << 1;
        // Older ones say nought where there is none.
        let nought = pulse == 0 || spo2 == 0;
        let packet = Packet {
            sample: wave,
            finger_out: bar & NO_FINGER != 0,
            searching: bar & SEARCHING != 0 || signal & NO_SIGNAL != 0 || nought,
            spo2,
            pulse,
            perfusion: None,
        };
        self.stream.packet(packet, &mut self.oximetry);
    }
}

impl Protocol for Bci {
    fn port_opened(&mut self, now: Now) {
        self.buffer.clear();
        self.stream.clear();
        self.oximetry.port_opened(now);
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
            self.byte(byte, now);
        }
        // Once an arrival rather than once a frame: what came together is drawn together.
        self.oximetry.flush(FULL_SCALE);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.oximetry.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.oximetry.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.oximetry.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.oximetry.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.buffer.len() + self.oximetry.buffered()
    }
}

#[cfg(test)]
mod tests {
    use consult::vitals::{Moment, Value};

    use super::*;
    use crate::contec_stream::FIGURES_EVERY;
    use crate::oximetry::{SILENCE_MAX, STABLE};
    use crate::{Fault, Status};

    const RATE_72: [u8; FRAME] = [0xC5, 0x3C, 0x07, 0x48, 0x61];
    const RATE_130: [u8; FRAME] = [0x85, 0x3C, 0x47, 0x02, 0x5F];

    fn now() -> Now {
        Now { instant: Instant::now(), wall: Moment(1_800_000_000_000) }
    }

    /// What is said of these bytes after a start, and the figures read.
    fn said(bytes: &[u8]) -> (Vec<Event>, Vec<u16>) {
        let mut bci = Bci::new();
        bci.port_opened(now());
        bci.start(now());
        bci.handle_input(bytes, now());
        let events: Vec<Event> = std::iter::from_fn(|| bci.poll_event()).collect();
        assert_eq!(bci.poll_transmit(), None, "nothing is sent to it");
        let number = |event: &Event| match event {
            Event::Reading(measured) => match measured.value {
                Value::Spo2(spo2) => Some(spo2.percent().into()),
                Value::PulseRate(pulse) => Some(pulse.per_minute()),
                _ => panic!("an oximeter gave something else"),
            },
            _ => None,
        };
        let readings = events.iter().filter_map(number).collect();
        (events, readings)
    }

    #[test]
    fn the_frames_of_the_specification_are_a_reading_after_six_settled_seconds() {
        let seconds = STABLE * FIGURES_EVERY as usize;
        for (frame, expected) in [(RATE_72, [97, 72]), (RATE_130, [95, 130])] {
            assert_eq!(said(&frame.repeat(seconds)).1, expected);
            assert!(said(&frame.repeat(seconds - 1)).1.is_empty());
        }
        let (events, _) = said(&RATE_72);
        assert!(matches!(&events[..], [Event::Waveform(curve)] if curve.samples == [0x3C] && curve.full_scale == 127));
    }

    #[test]
    fn the_marks_of_absence_are_never_numbers() {
        for (frame, status) in [
            ([0x85, 0x3C, 0x47, 0x7F, 0x61], Status::Searching),
            ([0x85, 0x3C, 0x07, 0x48, 0x7F], Status::Searching),
            ([0x85, 0x3C, 0x27, 0x48, 0x61], Status::Searching),
            ([0x95, 0x3C, 0x07, 0x48, 0x61], Status::Searching),
            ([0x80, 0x00, 0x00, 0x00, 0x00], Status::Searching),
            ([0x80, 0x00, 0x10, 0x48, 0x61], Status::FingerOut),
        ] {
            let (events, _) = said(&frame.repeat(600));
            assert!(!events.iter().any(|event| matches!(event, Event::Live(_) | Event::Reading(_))), "{frame:02x?}");
            assert!(events.contains(&Event::Status(status)), "{frame:02x?}");
            assert_eq!(events.iter().filter(|event| matches!(event, Event::Invalid(_))).count(), 1, "said once");
        }
    }

    #[test]
    fn a_bit_that_tips_over_or_a_byte_that_is_lost_is_no_figure() {
        let mut bytes = Vec::new();
        for place in 0..40 * FIGURES_EVERY {
            let mut frame = RATE_72;
            if (place + 1).is_multiple_of(FIGURES_EVERY) {
                frame[4] ^= 1 << (place % 7);
            }
            bytes.extend(frame);
        }
        let (events, _) = said(&bytes);
        assert!(!events.iter().any(|event| matches!(event, Event::Live(_) | Event::Reading(_))));
        let mut bytes = RATE_72.repeat(3 * FIGURES_EVERY as usize);
        bytes.remove(52);
        let (events, _) = said(&bytes);
        let lost: u16 =
            events.iter().map(|event| if let Event::Waveform(curve) = event { curve.lost } else { 0 }).sum();
        assert_eq!(lost, 1);
    }

    #[test]
    fn silence_and_noise_are_told_apart() {
        for (bytes, expected) in [(&[][..], Fault::Silent { seconds: 3 }), (&[0x55; 300], Fault::Garbled)] {
            let start = now();
            let mut bci = Bci::new();
            bci.port_opened(start);
            bci.handle_input(bytes, start);
            bci.handle_timeout(Now { instant: start.instant + SILENCE_MAX, ..start });
            assert_eq!(bci.poll_event(), Some(Event::Fault(expected)));
        }
    }
}
