//! Nonin OEM III, Xpod 3012LP: oxygen saturation, pulse and pulse curve.
//!
//! Source: "Nonin 9560 Bluetooth Specification", OEM III data formats 2 and 7 (`devices.md` 2.1). 75 frames of five
//! bytes a second; 25 frames make a packet that carries the figures. Format 2 has an 8-bit curve, format 7 a 16-bit
//! one; which it is, is recognised from the bytes. The device streams by itself: nothing is sent to it.
//!
//! Figures taken are the "for display" ones (HR-D, SpO2-D: 4-beat average). The device keeps these for 10 s after the
//! finger left, with the sensor alarm set: they are not published then.

use std::collections::VecDeque;
use std::time::Instant;

use crate::oximetry::Oximetry;
use crate::{Absent, Event, Now, Protocol, Status, Transmit, sum8};

/// Bytes of a frame, in both formats.
const FRAME: usize = 5;
/// Frames of a packet.
const PACKET: usize = 25;
/// Frames a second.
pub const RATE_HZ: u16 = 75;
/// Bytes looked at before giving up the first of them: a packet, and all alignments of it.
const HUNT: usize = FRAME * PACKET + FRAME;
/// Bad frames in a row after which the alignment is looked for again.
const BAD_FRAMES_MAX: u8 = 2;

const SENSOR_DISCONNECTED: u8 = 0x40;
const ARTEFACT: u8 = 0x20;
const OUT_OF_TRACK: u8 = 0x10;
const SENSOR_ALARM: u8 = 0x08;
const SYNC: u8 = 0x01;
/// The device's mark of an absent pulse.
const PULSE_ABSENT: u16 = 511;
/// The device's mark of an absent saturation.
const SPO2_ABSENT: u8 = 127;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `01 STATUS PLETH FLOAT CHK`.
    Two,
    /// `STATUS PLETH-MSB PLETH-LSB FLOAT CHK`.
    Seven,
}

#[derive(Clone, Copy)]
struct Frame {
    status: u8,
    pleth: u16,
    float: u8,
}

impl Format {
    fn frame(self, bytes: &[u8]) -> Option<Frame> {
        let &[a, b, c, float, check] = bytes else { return None };
        if sum8(&bytes[..4]) != check || float & 0x80 != 0 {
            return None;
        }
        match self {
            Format::Two if a == 0x01 && b & 0x80 != 0 => Some(Frame { status: b, pleth: c.into(), float }),
            Format::Seven if a & 0x80 != 0 => Some(Frame { status: a, pleth: u16::from_be_bytes([b, c]), float }),
            _ => None,
        }
    }

    fn full_scale(self) -> u16 {
        match self {
            Format::Two => 255,
            Format::Seven => 65535,
        }
    }
}

/// Where we are in the stream.
enum Alignment {
    /// Looking for 25 good frames in a row with one SYNC among them.
    Hunting,
    /// Frames follow each other.
    Locked { format: Format, bad: u8, packet: Packet },
}

/// The packet being received. Empty until its first frame: a packet with a hole gives no figure.
#[derive(Default)]
struct Packet {
    floats: Vec<u8>,
    /// Status bits seen in any frame.
    status: u8,
}

/// The protocol.
pub struct Nonin {
    buffer: VecDeque<u8>,
    alignment: Alignment,
    firmware: Option<u8>,
    low_battery: bool,
    oximetry: Oximetry,
}

impl Default for Nonin {
    fn default() -> Self {
        Self::new()
    }
}

impl Nonin {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            buffer: VecDeque::with_capacity(HUNT),
            alignment: Alignment::Hunting,
            firmware: None,
            low_battery: false,
            oximetry: Oximetry::new(RATE_HZ, HUNT),
        }
    }

    /// Tries every alignment of both formats on the oldest bytes; drops the oldest byte when none fits.
    fn hunt(&mut self) -> bool {
        let bytes = self.buffer.make_contiguous();
        if bytes.len() < HUNT {
            return false;
        }
        for format in [Format::Two, Format::Seven] {
            for offset in 0..FRAME {
                let mut syncs = 0;
                let fits = bytes[offset..offset + FRAME * PACKET].chunks_exact(FRAME).all(|chunk| {
                    let frame = format.frame(chunk);
                    syncs += usize::from(frame.is_some_and(|f| f.status & SYNC != 0));
                    frame.is_some()
                });
                if fits && syncs == 1 {
                    self.buffer.drain(..offset);
                    self.alignment = Alignment::Locked { format, bad: 0, packet: Packet::default() };
                    return true;
                }
            }
        }
        self.buffer.drain(..FRAME);
        true
    }

    /// Takes one frame from the buffer. False when it needs more bytes.
    fn frame(&mut self, now: Now) -> bool {
        let Alignment::Locked { format, bad, packet } = &mut self.alignment else { return false };
        if self.buffer.len() < FRAME {
            return false;
        }
        let bytes: Vec<u8> = self.buffer.iter().take(FRAME).copied().collect();
        let Some(frame) = format.frame(&bytes) else {
            *bad += 1;
            packet.floats.clear();
            self.oximetry.lose();
            if *bad >= BAD_FRAMES_MAX {
                self.alignment = Alignment::Hunting;
            } else {
                self.buffer.drain(..FRAME);
            }
            return true;
        };
        self.buffer.drain(..FRAME);
        *bad = 0;
        let full_scale = format.full_scale();
        if frame.status & SYNC != 0 {
            *packet = Packet::default();
        }
        let complete = if frame.status & SYNC != 0 || !packet.floats.is_empty() {
            packet.floats.push(frame.float);
            packet.status |= frame.status;
            (packet.floats.len() == PACKET).then(|| std::mem::take(packet))
        } else {
            None
        };
        self.oximetry.heard(now);
        if frame.status & (SENSOR_ALARM | SENSOR_DISCONNECTED) == 0 {
            self.oximetry.sample(frame.pleth, full_scale);
        }
        if let Some(packet) = complete {
            // The curve before the figures that were drawn from it.
            self.oximetry.flush(full_scale);
            self.packet(&packet);
        }
        true
    }

    fn packet(&mut self, packet: &Packet) {
        // Frame numbers of the specification count from 1.
        let float = |frame: usize| packet.floats[frame - 1];
        let pulse = u16::from(float(20) & 0x03) << 7 | u16::from(float(21) & 0x7F);
        let spo2 = float(9);
        let stat2 = float(8);
        self.firmware = Some(float(4));
        if stat2 & 0x01 != 0 && !self.low_battery {
            self.oximetry.out.event(Event::Status(Status::LowBattery));
        }
        self.low_battery = stat2 & 0x01 != 0;
        let high_quality = Some(stat2 & 0x20 != 0);

        if packet.status & SENSOR_DISCONNECTED != 0 {
            return self.oximetry.no_figures(Status::SensorDisconnected, Absent::SensorOff);
        }
        if packet.status & SENSOR_ALARM != 0 {
            return self.oximetry.no_figures(Status::FingerOut, Absent::SensorOff);
        }
        if packet.status & OUT_OF_TRACK != 0 || pulse == PULSE_ABSENT || spo2 == SPO2_ABSENT {
            return self.oximetry.no_figures(Status::Searching, Absent::NotTracked);
        }
        self.oximetry.figures(spo2, pulse, high_quality, packet.status & ARTEFACT != 0);
    }
}

impl Protocol for Nonin {
    fn port_opened(&mut self, now: Now) {
        self.buffer.clear();
        self.alignment = Alignment::Hunting;
        self.oximetry.port_opened(now);
    }

    fn start(&mut self, now: Now) {
        self.oximetry.start(now);
    }

    fn stop(&mut self, _now: Now) {
        self.oximetry.stop();
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.oximetry.arrived(bytes.len());
        for &byte in bytes {
            self.buffer.push_back(byte);
            loop {
                let went_on = match self.alignment {
                    Alignment::Hunting => self.hunt(),
                    Alignment::Locked { .. } => self.frame(now),
                };
                if !went_on {
                    break;
                }
            }
        }
        // Once an arrival rather than once a frame: what came together is drawn together.
        if let Alignment::Locked { format, .. } = self.alignment {
            self.oximetry.flush(format.full_scale());
        }
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

    fn firmware(&self) -> Option<String> {
        self.firmware.map(|revision| revision.to_string())
    }

    fn buffered(&self) -> usize {
        self.buffer.len() + self.oximetry.buffered()
    }
}

#[cfg(test)]
mod tests {
    use consult::vitals::{Moment, Value};

    use super::*;
    use crate::oximetry::{SILENCE_MAX, STABLE};
    use crate::{Fault, Measured};

    fn now() -> Now {
        Now { instant: Instant::now(), wall: Moment(1_800_000_000_000) }
    }

    /// One packet as the specification lays it out.
    fn packet(format: Format, spo2: u8, pulse: u16, status: u8, stat2: u8) -> Vec<u8> {
        let mut floats = [0u8; PACKET];
        for (msb, at) in
            [(true, 1), (false, 2), (true, 14), (false, 15), (true, 20), (false, 21), (true, 22), (false, 23)]
        {
            floats[at - 1] = if msb { (pulse >> 7) as u8 & 3 } else { (pulse & 0x7F) as u8 };
        }
        for at in [3, 9, 10, 11, 16, 17] {
            floats[at - 1] = spo2;
        }
        floats[3] = 48;
        floats[7] = stat2;
        let mut bytes = Vec::new();
        for (i, float) in floats.into_iter().enumerate() {
            let status = 0x80 | status | u8::from(i == 0);
            let mut frame = match format {
                Format::Two => vec![1, status, 100 + i as u8, float],
                Format::Seven => vec![status, 100 + i as u8, 7, float],
            };
            frame.push(sum8(&frame));
            bytes.extend(frame);
        }
        bytes
    }

    fn events(nonin: &mut Nonin, bytes: &[u8]) -> Vec<Event> {
        nonin.handle_input(bytes, now());
        std::iter::from_fn(|| nonin.poll_event()).collect()
    }

    fn figures(events: &[Event], readings: bool) -> Vec<u16> {
        let number = |m: &Measured| match m.value {
            Value::Spo2(s) => s.percent().into(),
            Value::PulseRate(p) => p.per_minute(),
            _ => panic!("an oximeter gave something else"),
        };
        events
            .iter()
            .filter_map(|e| match e {
                Event::Reading(m) if readings => Some(number(m)),
                Event::Live(m) if !readings => Some(number(m)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_frames_of_the_specification_are_read() {
        let frame = Format::Two.frame(&[0x01, 0x81, 0x52, 0x00, 0xD4]).unwrap();
        assert_eq!((frame.status, frame.pleth, frame.float), (0x81, 0x52, 0));
        assert!(Format::Two.frame(&[0x01, 0x80, 0x53, 0x44, 0x18]).is_some());
        assert!(Format::Two.frame(&[0x01, 0x82, 0x55, 0x60, 0x38]).is_some());
        assert_eq!(Format::Seven.frame(&[0x81, 0x80, 0x2C, 0x00, 0x2D]).unwrap().pleth, 0x802C);
        assert!(Format::Two.frame(&[0x01, 0x81, 0x52, 0x00, 0xD5]).is_none());
    }

    #[test]
    fn both_formats_are_recognised_and_give_the_same_figures() {
        for format in [Format::Two, Format::Seven] {
            let mut nonin = Nonin::new();
            let mut bytes = vec![0x01, 0x80, 0xFF];
            for _ in 0..3 {
                bytes.extend(packet(format, 96, 168, 0, 0x20));
            }
            let events = events(&mut nonin, &bytes);
            assert!(figures(&events, false).ends_with(&[96, 168]), "{format:?}");
            assert!(figures(&events, true).is_empty(), "nothing was started");
            let curve = events.iter().find_map(|e| match e {
                Event::Waveform(w) => Some(w),
                _ => None,
            });
            assert_eq!(curve.unwrap().full_scale, format.full_scale());
        }
    }

    #[test]
    fn a_reading_needs_six_settled_seconds() {
        let mut nonin = Nonin::new();
        nonin.start(now());
        let one = packet(Format::Two, 97, 72, 0, 0x20);
        let mut seen = Vec::new();
        for i in 0..STABLE - 1 {
            seen.extend(events(&mut nonin, &one));
            assert!(figures(&seen, true).is_empty(), "too early, packet {i}");
        }
        seen.extend(events(&mut nonin, &one));
        assert_eq!(figures(&seen, true), [97, 72]);
        assert_eq!(seen.last(), Some(&Event::Finished));
        assert!(seen.iter().all(|e| !matches!(e, Event::Reading(m) if m.high_quality != Some(true))));
    }

    #[test]
    fn figures_held_under_a_sensor_alarm_are_not_published() {
        let mut nonin = Nonin::new();
        nonin.start(now());
        let mut bytes = packet(Format::Two, 97, 72, 0, 0x20);
        bytes.extend(packet(Format::Two, 97, 72, 0, 0x20));
        events(&mut nonin, &bytes);
        for _ in 0..40 {
            let events = events(&mut nonin, &packet(Format::Two, 97, 72, SENSOR_ALARM, 0));
            assert!(!events.iter().any(|e| matches!(e, Event::Live(_) | Event::Reading(_))), "{events:?}");
        }
    }

    #[test]
    fn the_marks_of_absence_are_never_numbers() {
        for (spo2, pulse) in [(127, 511), (127, 70), (97, 511), (97, 0), (120, 70), (97, 400)] {
            let mut nonin = Nonin::new();
            nonin.start(now());
            let mut seen = Vec::new();
            for _ in 0..30 {
                seen.extend(events(&mut nonin, &packet(Format::Seven, spo2, pulse, 0, 0)));
            }
            assert!(!seen.iter().any(|e| matches!(e, Event::Live(_) | Event::Reading(_))));
            assert_eq!(seen.iter().filter(|e| matches!(e, Event::Invalid(_))).count(), 1, "said once");
        }
    }

    #[test]
    fn a_lost_byte_costs_a_second_and_no_wrong_figure() {
        let mut nonin = Nonin::new();
        let one = packet(Format::Two, 97, 72, 0, 0);
        let mut bytes: Vec<u8> = one.repeat(4);
        bytes.remove(140);
        bytes[60] ^= 0x10;
        let seen = events(&mut nonin, &bytes);
        assert!(figures(&seen, false).iter().all(|n| [97, 72].contains(n)));
        let after = events(&mut nonin, &one.repeat(3));
        assert!(figures(&after, false).ends_with(&[97, 72]));
    }

    #[test]
    fn silence_and_noise_are_told_apart() {
        let start = now();
        let later = Now { instant: start.instant + SILENCE_MAX, ..start };
        let mut nonin = Nonin::new();
        nonin.port_opened(start);
        nonin.handle_timeout(later);
        assert_eq!(nonin.poll_event(), Some(Event::Fault(Fault::Silent { seconds: 3 })));
        let mut nonin = Nonin::new();
        nonin.port_opened(start);
        nonin.handle_input(&[0x55; 600], start);
        nonin.handle_timeout(later);
        assert_eq!(nonin.poll_event(), Some(Event::Fault(Fault::Garbled)));
        let recovered = events(&mut nonin, &packet(Format::Two, 97, 72, 0, 0).repeat(3));
        assert!(recovered.contains(&Event::Fault(Fault::Recovered)));
    }
}
