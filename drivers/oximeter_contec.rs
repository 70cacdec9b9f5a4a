//! Contec CMS50D+ (2012 on), CMS50E, CMS50F: oxygen saturation, pulse, perfusion index and pulse curve, protocol V7.0.
//!
//! Source: "Communication protocol of pulse oximeter V7.0" (`devices.md` 2.2). 115200 8N1; 60 packets a second once
//! asked for. A packet begins with the only byte whose top bit is 0 (its type); the second byte carries the top bits
//! of those that follow. There is no checksum: a figure counts only when two packets in a row say it.
//!
//! The device streams as long as it is told every 5 s that somebody listens. What it has stored is never read: those
//! are other people's nights.

use std::time::{Duration, Instant};

use crate::contec_stream::{ContecStream, FULL_SCALE, Packet, RATE_HZ};
use crate::oximetry::Oximetry;
use crate::{Event, Now, Protocol, Transmit};

/// The longest packet, and every command.
const PACKET_MAX: usize = 9;
/// The device says that it has stopped within that time; then it is asked to stream.
const STOP_MAX: Duration = Duration::from_secs(1);
/// Without that call some models stop after tens of seconds.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// So many bytes without a packet are noise, and not silence.
const NOISE_BYTES: usize = 4 * PACKET_MAX;

const REAL_TIME: u8 = 0x01;
const FREE: u8 = 0x0C;

const START: u8 = 0xA1;
const STOP: u8 = 0xA2;
const STOP_STORED: u8 = 0xA7;
const HELLO: u8 = 0xA0;
const KEEP_ALIVE: u8 = 0xAF;

/// First byte of the data: no finger in the clip.
const FINGER_OUT: u8 = 0x80;
/// First byte: looking for a pulse for too long.
const SEARCHING_LONG: u8 = 0x10;
/// Second byte: looking for a pulse.
const SEARCHING: u8 = 0x80;
/// Third byte: the perfusion index is none.
const PERFUSION_INVALID: u8 = 0x10;
/// The device's mark of an absent perfusion index.
const PERFUSION_ABSENT: u16 = 0xFFFF;

/// Bytes of a packet of this type, type and top bits included; `None` for no type of this protocol.
fn length(kind: u8) -> Option<usize> {
    Some(match kind {
        0x0C => 2,
        0x0D | 0x0E | 0x10 => 3,
        0x0A | 0x0B => 4,
        0x09 => 6,
        0x07 | 0x08 | 0x0F | 0x12 => 8,
        0x01 | 0x04 | 0x05 | 0x11 | 0x15 => 9,
        _ => return None,
    })
}

/// A command without arguments.
fn command(code: u8) -> [u8; PACKET_MAX] {
    let mut bytes = [0x80; PACKET_MAX];
    (bytes[0], bytes[1], bytes[2]) = (0x7D, 0x81, code);
    bytes
}

/// What the device is asked to do.
#[derive(Clone, Copy)]
enum Session {
    /// No port.
    Closed,
    /// Told to stop whatever it did, until it says that it has, or this instant.
    Stopping(Instant),
    /// Asked to stream; called again at this instant.
    Streaming(Instant),
}

/// The protocol.
pub struct Contec {
    /// A packet as far as it has come; begins with its type.
    buffer: Vec<u8>,
    session: Session,
    stream: ContecStream,
    oximetry: Oximetry,
}

impl Default for Contec {
    fn default() -> Self {
        Self::new()
    }
}

impl Contec {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(PACKET_MAX),
            session: Session::Closed,
            stream: ContecStream::default(),
            oximetry: Oximetry::new(RATE_HZ, NOISE_BYTES),
        }
    }

    fn ask_to_stream(&mut self, now: Now) {
        self.oximetry.out.send(&command(START));
        self.session = Session::Streaming(now.instant + KEEP_ALIVE_EVERY);
    }

    fn byte(&mut self, byte: u8, now: Now) {
        if byte & 0x80 == 0 {
            if !self.buffer.is_empty() {
                // Cut short: what it would have said is lost.
                if self.buffer[0] == REAL_TIME {
                    self.oximetry.lose();
                }
            }
            self.buffer.clear();
            if length(byte).is_some() {
                self.buffer.push(byte);
            }
            return;
        }
        if self.buffer.is_empty() {
            return;
        }
        self.buffer.push(byte);
        if length(self.buffer[0]) == Some(self.buffer.len()) {
            let packet = std::mem::take(&mut self.buffer);
            self.packet(&packet, now);
        }
    }

    fn packet(&mut self, packet: &[u8], now: Now) {
        let (kind, tops) = (packet[0], packet[1]);
        if kind == REAL_TIME {
            // Only these: without a checksum, noise soon makes a packet of two or three bytes.
            self.oximetry.heard(now);
        }
        let data = packet[2..].iter().enumerate().map(|(bit, low)| low & 0x7F | ((tops >> bit) & 1) << 7);
        match (kind, self.session) {
            (FREE, Session::Stopping(_)) => self.ask_to_stream(now),
            (REAL_TIME, Session::Streaming(_)) => {
                let mut bytes = [0; PACKET_MAX - 2];
                bytes.iter_mut().zip(data).for_each(|(byte, value)| *byte = value);
                self.real_time(bytes);
            }
            _ => {}
        }
    }

    fn real_time(&mut self, [signal, wave, bar, pulse, spo2, low, high]: [u8; PACKET_MAX - 2]) {
        let perfusion = u16::from_le_bytes([low, high]);
        let perfusion = (bar & PERFUSION_INVALID == 0 && perfusion != PERFUSION_ABSENT).then_some(perfusion);
        let packet = Packet {
            sample: wave & 0x7F,
            finger_out: signal & FINGER_OUT != 0,
            searching: wave & SEARCHING != 0 || signal & SEARCHING_LONG != 0,
            spo2,
            pulse,
            perfusion,
        };
        self.stream.packet(packet, &mut self.oximetry);
    }

    fn session_at(&self) -> Option<Instant> {
        match self.session {
            Session::Closed => None,
            Session::Stopping(at) | Session::Streaming(at) => Some(at),
        }
    }
}

impl Protocol for Contec {
    fn port_opened(&mut self, now: Now) {
        self.buffer.clear();
        self.stream.clear();
        self.oximetry.port_opened(now);
        self.oximetry.out.forget_commands();
        for code in [STOP_STORED, STOP, HELLO] {
            self.oximetry.out.send(&command(code));
        }
        self.session = Session::Stopping(now.instant + STOP_MAX);
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
        // Once an arrival rather than once a packet: what came together is drawn together.
        self.oximetry.flush(FULL_SCALE);
    }

    fn handle_timeout(&mut self, now: Now) {
        match self.session {
            Session::Stopping(at) if at <= now.instant => self.ask_to_stream(now),
            Session::Streaming(at) if at <= now.instant => {
                let silent = self.oximetry.is_silent(now);
                // One that fell asleep is asked to stream, one that streams only to go on.
                self.oximetry.out.send(&command(if silent { START } else { KEEP_ALIVE }));
                self.session = Session::Streaming(now.instant + KEEP_ALIVE_EVERY);
            }
            _ => {}
        }
        self.oximetry.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.session_at(), self.oximetry.poll_timeout()].into_iter().flatten().min()
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
    use crate::{Absent, Fault, Measured, Status};

    fn now() -> Now {
        Now { instant: Instant::now(), wall: Moment(1_800_000_000_000) }
    }

    /// A protocol whose device streams.
    fn streaming() -> Contec {
        let mut contec = Contec::new();
        contec.port_opened(now());
        contec.handle_input(&[FREE, 0x80], now());
        while contec.poll_transmit().is_some() {}
        contec
    }

    fn events(contec: &mut Contec, bytes: &[u8]) -> Vec<Event> {
        contec.handle_input(bytes, now());
        std::iter::from_fn(|| contec.poll_event()).collect()
    }

    fn figures(events: &[Event], readings: bool) -> Vec<u16> {
        let wanted = |event: &Event| match event {
            Event::Reading(measured) if readings => Some(*measured),
            Event::Live(measured) if !readings => Some(*measured),
            _ => None,
        };
        let number = |measured: Measured| match measured.value {
            Value::Spo2(spo2) => spo2.percent().into(),
            Value::PulseRate(pulse) => pulse.per_minute(),
            Value::PerfusionIndex(index) => index.hundredths_percent(),
            _ => panic!("an oximeter gave something else"),
        };
        events.iter().filter_map(wanted).map(number).collect()
    }

    const RATE_72: [u8; 9] = [0x01, 0x80, 0xC5, 0xC0, 0x87, 0xC8, 0xE1, 0xD9, 0x81];
    const RATE_130: [u8; 9] = [0x01, 0x88, 0x85, 0xB1, 0x83, 0x82, 0xDF, 0xAC, 0x81];
    const NO_FINGER: [u8; 9] = [0x01, 0xE9, 0x80, 0xC0, 0x90, 0xFF, 0xFF, 0xFF, 0xFF];

    #[test]
    fn the_packets_of_the_specification_are_read() {
        for (packet, expected) in [(RATE_72, [97, 72, 345]), (RATE_130, [95, 130, 300])] {
            let seen = events(&mut streaming(), &packet.repeat(2 * FIGURES_EVERY as usize));
            assert!(figures(&seen, false).ends_with(&expected), "{seen:?}");
            assert!(figures(&seen, true).is_empty(), "nothing was started");
        }
        let seen = events(&mut streaming(), &RATE_72.repeat(60));
        let curve = seen.iter().find_map(|event| if let Event::Waveform(curve) = event { Some(curve) } else { None });
        assert_eq!((curve.unwrap().full_scale, curve.unwrap().samples[0]), (127, 64));
        let seen = events(&mut streaming(), &NO_FINGER.repeat(60));
        assert_eq!(seen, [Event::Status(Status::FingerOut), Event::Invalid(Absent::SensorOff)]);
    }

    #[test]
    fn the_stream_is_asked_for_once_the_device_is_free_and_then_kept_alive() {
        let start = now();
        let mut contec = Contec::new();
        contec.port_opened(start);
        let sent = |contec: &mut Contec| {
            std::iter::from_fn(|| contec.poll_transmit()).map(|c| c.bytes()[2]).collect::<Vec<_>>()
        };
        assert_eq!(sent(&mut contec), [STOP_STORED, STOP, HELLO]);
        contec.handle_input(&[FREE, 0x80], start);
        assert_eq!(contec.poll_transmit().unwrap().bytes(), [0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
        let later = Now { instant: start.instant + KEEP_ALIVE_EVERY, ..start };
        contec.handle_input(&RATE_72, later);
        contec.handle_timeout(later);
        assert_eq!(sent(&mut contec), [KEEP_ALIVE]);
        let silent = Now { instant: later.instant + KEEP_ALIVE_EVERY, ..start };
        contec.handle_timeout(silent);
        assert_eq!(sent(&mut contec), [START], "one that fell asleep is asked again");

        // One that does not say that it is free is asked all the same.
        let mut mute = Contec::new();
        mute.port_opened(start);
        sent(&mut mute);
        mute.handle_timeout(Now { instant: start.instant + STOP_MAX, ..start });
        assert_eq!(sent(&mut mute), [START]);
    }

    #[test]
    fn a_reading_needs_six_settled_seconds() {
        let mut contec = streaming();
        contec.start(now());
        let third = RATE_130.repeat(FIGURES_EVERY as usize);
        let mut seen = Vec::new();
        for _ in 1..STABLE {
            seen.extend(events(&mut contec, &third));
        }
        assert!(figures(&seen, true).is_empty());
        seen.extend(events(&mut contec, &third));
        assert_eq!(figures(&seen, true), [95, 130, 300]);
        assert_eq!(seen.last(), Some(&Event::Finished));
    }

    #[test]
    fn the_marks_of_absence_are_never_numbers() {
        // Pulse 255, saturation 127, each alone and together; a device that only searches.
        for data in [[0x88, 0xFF, 0xE1], [0x80, 0xC8, 0xFF], [0x88, 0xFF, 0xFF]] {
            let [tops, pulse, spo2] = data;
            let packet = [0x01, tops, 0x85, 0xC0, 0x87, pulse, spo2, 0x80, 0x80];
            let mut contec = streaming();
            contec.start(now());
            let seen = events(&mut contec, &packet.repeat(600));
            assert!(!seen.iter().any(|event| matches!(event, Event::Live(_) | Event::Reading(_))), "{data:02x?}");
            assert_eq!(seen.iter().filter(|event| matches!(event, Event::Invalid(_))).count(), 1, "said once");
        }
    }

    #[test]
    fn the_perfusion_index_is_exact_or_absent() {
        // FFFF; the bit that says it is none; nought; 30.01 %. Bits 2, 5 and 6 of the second byte are their top bits.
        for data in
            [[0xE0, 0x87, 0xFF, 0xFF], [0x80, 0x97, 0xD9, 0x81], [0x80, 0x87, 0x80, 0x80], [0xA0, 0x87, 0xB9, 0x8B]]
        {
            let [tops, bar, low, high] = data;
            let packet = [0x01, tops, 0xC5, 0xC0, bar, 0xC8, 0xE1, low, high];
            let mut contec = streaming();
            contec.start(now());
            let seen = events(&mut contec, &packet.repeat(STABLE * FIGURES_EVERY as usize));
            assert_eq!(figures(&seen, true), [97, 72], "{data:02x?}");
        }
        // One that no two packets agree on is none; the other figures are.
        let mut contec = streaming();
        contec.start(now());
        let mut seen = Vec::new();
        for place in 0..STABLE * FIGURES_EVERY as usize {
            let mut packet = RATE_72;
            packet[7] ^= place as u8 & 1;
            seen.extend(events(&mut contec, &packet));
        }
        assert_eq!(figures(&seen, true), [97, 72]);
    }

    #[test]
    fn a_bit_that_tips_over_on_the_line_is_no_figure() {
        let mut contec = streaming();
        contec.start(now());
        let mut seen = Vec::new();
        for place in 0..40 * FIGURES_EVERY {
            let mut packet = RATE_72;
            if (place + 1).is_multiple_of(FIGURES_EVERY) {
                packet[6] ^= 1 << (place % 7);
            }
            seen.extend(events(&mut contec, &packet));
        }
        assert!(figures(&seen, false).is_empty() && figures(&seen, true).is_empty(), "{seen:?}");
    }

    #[test]
    fn a_lost_byte_costs_its_packet() {
        let mut bytes = RATE_72.repeat(3 * FIGURES_EVERY as usize);
        bytes.remove(50);
        bytes.insert(100, 0x33);
        let seen = events(&mut streaming(), &bytes);
        assert!(figures(&seen, false).chunks(3).all(|all| all == [97, 72, 345]));
        let lost: u16 = seen.iter().map(|event| if let Event::Waveform(curve) = event { curve.lost } else { 0 }).sum();
        assert_eq!(lost, 2);
    }

    #[test]
    fn silence_and_noise_are_told_apart() {
        let start = now();
        let later = Now { instant: start.instant + SILENCE_MAX, ..start };
        let mut contec = Contec::new();
        contec.port_opened(start);
        contec.handle_timeout(later);
        assert_eq!(contec.poll_event(), Some(Event::Fault(Fault::Silent { seconds: 3 })));
        // The second makes packets, if none of figures.
        for noise in [[0x55, 0x55], [FREE, 0x80]] {
            let mut contec = Contec::new();
            contec.port_opened(start);
            contec.handle_input(&noise.repeat(300), start);
            contec.handle_timeout(later);
            assert_eq!(contec.poll_event(), Some(Event::Fault(Fault::Garbled)));
            assert!(!events(&mut contec, &noise.repeat(300)).contains(&Event::Fault(Fault::Recovered)));
            assert!(events(&mut contec, &RATE_72).contains(&Event::Fault(Fault::Recovered)));
        }
    }
}
