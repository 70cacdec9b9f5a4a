//! Data formats 2 and 7: 75 frames of five bytes a second, 25 frames to a packet.

use std::collections::VecDeque;

use crate::sum8;

/// Bytes of a frame, in both formats.
const FRAME: usize = 5;
/// Frames of a packet.
pub(super) const PACKET: usize = 25;
/// Bytes looked at before giving up the first of them: a packet, and all alignments of it.
pub(super) const HUNT: usize = FRAME * PACKET + FRAME;
/// Bad frames in a row after which the alignment is looked for again.
const BAD_FRAMES_MAX: u8 = 2;

pub(super) const SENSOR_DISCONNECTED: u8 = 0x40;
pub(super) const ARTEFACT: u8 = 0x20;
pub(super) const OUT_OF_TRACK: u8 = 0x10;
pub(super) const SENSOR_ALARM: u8 = 0x08;
const SYNC: u8 = 0x01;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `01 STATUS PLETH FLOAT CHK`.
    Two,
    /// `STATUS PLETH-MSB PLETH-LSB FLOAT CHK`.
    Seven,
}

#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) status: u8,
    pub(super) pleth: u16,
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

    pub(super) fn full_scale(self) -> u16 {
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
pub(super) struct Packet {
    floats: Vec<u8>,
    /// Status bits seen in any frame.
    pub(super) status: u8,
}

impl Packet {
    /// The float byte of a frame; frame numbers of the specification count from 1.
    pub(super) fn float(&self, frame: usize) -> u8 {
        self.floats[frame - 1]
    }
}

/// What the stream says.
pub(super) enum Said {
    Frame(Frame),
    /// The packet that its last frame has made whole, after that frame.
    Packet(Packet),
    /// A frame was damaged on the line.
    Lost,
}

/// The stream as far as it has come.
pub(super) struct Stream {
    buffer: VecDeque<u8>,
    alignment: Alignment,
    /// A whole packet, to be said after its last frame.
    whole: Option<Packet>,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self { buffer: VecDeque::with_capacity(HUNT), alignment: Alignment::Hunting, whole: None }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The format, once frames follow each other.
    pub(super) fn format(&self) -> Option<Format> {
        match self.alignment {
            Alignment::Hunting => None,
            Alignment::Locked { format, .. } => Some(format),
        }
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.buffer.push_back(byte);
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Next of what the bytes pushed say; `None` when it needs more of them.
    pub(super) fn next(&mut self) -> Option<Said> {
        if let Some(packet) = self.whole.take() {
            return Some(Said::Packet(packet));
        }
        while matches!(self.alignment, Alignment::Hunting) {
            if !self.hunt() {
                return None;
            }
        }
        self.frame()
    }

    /// Tries every alignment of both formats on the oldest bytes; drops these when none fits. False: too few bytes.
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

    fn frame(&mut self) -> Option<Said> {
        let Alignment::Locked { format, bad, packet } = &mut self.alignment else { return None };
        if self.buffer.len() < FRAME {
            return None;
        }
        let bytes: Vec<u8> = self.buffer.iter().take(FRAME).copied().collect();
        let Some(frame) = format.frame(&bytes) else {
            *bad += 1;
            packet.floats.clear();
            if *bad >= BAD_FRAMES_MAX {
                self.alignment = Alignment::Hunting;
            } else {
                self.buffer.drain(..FRAME);
            }
            return Some(Said::Lost);
        };
        self.buffer.drain(..FRAME);
        *bad = 0;
        let is_first = frame.status & SYNC != 0;
        if is_first {
            *packet = Packet::default();
        }
        if is_first || !packet.floats.is_empty() {
            packet.floats.push(frame.float);
            packet.status |= frame.status;
            if packet.floats.len() == PACKET {
                self.whole = Some(std::mem::take(packet));
            }
        }
        Some(Said::Frame(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_the_specification_are_read() {
        let frame = Format::Two.frame(&[0x01, 0x81, 0x52, 0x00, 0xD4]).unwrap();
        assert_eq!((frame.status, frame.pleth, frame.float), (0x81, 0x52, 0));
        assert!(Format::Two.frame(&[0x01, 0x80, 0x53, 0x44, 0x18]).is_some());
        assert!(Format::Two.frame(&[0x01, 0x82, 0x55, 0x60, 0x38]).is_some());
        assert_eq!(Format::Seven.frame(&[0x81, 0x80, 0x2C, 0x00, 0x2D]).unwrap().pleth, 0x802C);
        assert!(Format::Two.frame(&[0x01, 0x81, 0x52, 0x00, 0xD5]).is_none());
    }
}
