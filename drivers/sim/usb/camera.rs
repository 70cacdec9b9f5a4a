//! A UVC camera with a button.
//!
//! Source: USB Device Class Definition for Video Devices 1.1 (descriptors 3.7 to 3.9, payload headers 2.4.3.3, probe and
//! commit 4.3.1.1 in its form of 26 bytes, status packets 2.4.2.2) and the payloads of motion JPEG and uncompressed
//! pictures. It sends 1 MB a second at most: a packet of 1,024 bytes every millisecond.

use super::stream::{CameraMode, Streaming, configuration, device_descriptor, string};
use super::urb::STALL;

const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0xCA3E;
const STRINGS: [&str; 3] = ["Bench", "Otoscope", "OTO1"];

const STATUS_ENDPOINT: u8 = 1;
const STREAM_ENDPOINT: u8 = 2;
const PACKET: u16 = 1_024;
/// Bytes of a payload's head: its length and one byte of marks.
const HEAD: usize = 2;
/// Marks of a payload: its head ends here; the picture ends with it; alternates from picture to picture.
const HEAD_ENDS: u8 = 0x80;
const PICTURE_ENDS: u8 = 0x02;
const ODD: u8 = 0x01;
/// Bytes of what is agreed on before a stream.
const AGREED: usize = 26;
/// "YUY2" as a GUID.
const YUY2: [u8; 16] = *b"YUY2\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71";

/// The camera, with power.
pub(super) struct Camera {
    jpeg: Vec<CameraMode>,
    raw: Vec<CameraMode>,
    /// Format (1 is JPEG, where there is any) and size, each counted from 1.
    agreed: (u8, u8),
    streams: bool,
    picture: Vec<u8>,
    at: usize,
    count: usize,
    /// Packets until the next picture begins.
    pause: u32,
    /// Packets since the last picture began.
    since: u32,
}

impl Camera {
    pub(super) fn new(modes: Vec<CameraMode>) -> Camera {
        let (jpeg, raw) = modes.into_iter().partition(|mode| !mode.pictures.is_empty());
        Camera { jpeg, raw, agreed: (1, 1), streams: false, picture: Vec::new(), at: 0, count: 0, pause: 0, since: 0 }
    }

    /// Its formats in order: those that it has.
    fn formats(&self) -> Vec<&[CameraMode]> {
        [&self.jpeg[..], &self.raw[..]].into_iter().filter(|modes| !modes.is_empty()).collect()
    }

    fn mode(&self) -> Option<&CameraMode> {
        let (format, size) = self.agreed;
        self.formats().get(usize::from(format) - 1)?.get(usize::from(size) - 1)
    }

    fn configuration(&self) -> Vec<u8> {
        // Interfaces 0 and 1 belong together; control, with what is inside: a camera that streams.
        let mut text = vec![8, 0x0B, 0, 2, 0x0E, 0x03, 0, 2, 9, 4, 0, 0, 1, 0x0E, 0x01, 0, 2];
        text.extend([13, 0x24, 0x01, 0x00, 0x01, 40, 0, 0x00, 0x6C, 0xDC, 0x02, 1, 1]);
        text.extend([18, 0x24, 0x02, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
        text.extend([9, 0x24, 0x03, 2, 0x01, 0x01, 0, 1, 0]);
        // Its status: 16 bytes, every 16 ms.
        text.extend([7, 5, 0x80 | STATUS_ENDPOINT, 3, 16, 0, 8, 5, 0x25, 0x03, 16, 0]);
        let [packet_low, packet_high] = PACKET.to_le_bytes();
        text.extend([9, 4, 1, 0, 0, 0x0E, 0x02, 0, 0]);
        text.extend(self.stream_descriptors());
        text.extend([9, 4, 1, 1, 1, 0x0E, 0x02, 0, 0]);
        // In step with the bus, by its own clock, every 8 x 125 microseconds.
        text.extend([7, 5, 0x80 | STREAM_ENDPOINT, 5, packet_low, packet_high, 4]);
        configuration(&text)
    }

    fn stream_descriptors(&self) -> Vec<u8> {
        let formats = self.formats();
        let mut text = Vec::new();
        for (number, modes) in (1u8..).zip(&formats) {
            let sizes = u8::try_from(modes.len()).unwrap_or(0);
            let is_jpeg = modes.iter().all(|mode| !mode.pictures.is_empty());
            if is_jpeg {
                text.extend([11, 0x24, 0x06, number, sizes, 1, 1, 0, 0, 0, 0]);
            } else {
                text.extend([27, 0x24, 0x04, number, sizes]);
                text.extend(YUY2);
                text.extend([16, 1, 0, 0, 0, 0]);
            }
            for (size, mode) in (1u8..).zip(*modes) {
                text.extend([30, 0x24, if is_jpeg { 0x07 } else { 0x05 }, size, 0]);
                text.extend(mode.width.to_le_bytes());
                text.extend(mode.height.to_le_bytes());
                let bits = 8 * PACKET as u32 * 1_000;
                text.extend([bits.to_le_bytes(), bits.to_le_bytes(), largest(mode).to_le_bytes()].concat());
                text.extend(interval(mode).to_le_bytes());
                text.push(1);
                text.extend(interval(mode).to_le_bytes());
            }
            text.extend([6, 0x24, 0x0D, 1, 1, 4]);
        }
        let count = u8::try_from(formats.len()).unwrap_or(0);
        let head = 13 + count;
        let [low, high] = u16::try_from(text.len() + usize::from(head)).unwrap_or(0).to_le_bytes();
        // No stills of its own; its button is for the program.
        let mut all = vec![head, 0x24, 0x01, count, low, high, 0x80 | STREAM_ENDPOINT, 0, 2, 0, 1, 1, 1];
        all.extend(vec![0; usize::from(count)]);
        all.extend(text);
        all
    }

    fn agreed(&self) -> Vec<u8> {
        let mut text = vec![1, 0, self.agreed.0, self.agreed.1];
        let (every, most) = self.mode().map_or((0, 0), |mode| (interval(mode), largest(mode)));
        text.extend(every.to_le_bytes());
        text.extend([0; 10]);
        text.extend(most.to_le_bytes());
        text.extend(u32::from(PACKET).to_le_bytes());
        text
    }

    fn next_picture(&mut self) {
        let Some(mode) = self.mode() else { return };
        let lasts = interval(mode) / 10_000;
        let picture = match mode.pictures.len() {
            // Squares of light and dark that move by one pixel.
            0 => {
                let (width, height) = (usize::from(mode.width), usize::from(mode.height));
                let light =
                    |x: usize, y: usize| if ((x + self.count) / 16 + y / 16).is_multiple_of(2) { 190 } else { 70 };
                (0..width * height).flat_map(|at| [light(at % width, at / width), 128]).collect()
            }
            count => mode.pictures[self.count % count].clone(),
        };
        self.picture = picture;
        self.at = 0;
        self.count += 1;
        self.pause = lasts.saturating_sub(self.since);
        self.since = 0;
    }
}

impl Streaming for Camera {
    fn speed(&self) -> u8 {
        3
    }

    fn descriptor(&self, kind: u8, number: u8) -> Option<Vec<u8>> {
        match (kind, number) {
            // Several interfaces belong together.
            (1, _) => Some(device_descriptor([0xEF, 2, 1], VENDOR, PRODUCT)),
            (2, 0) => Some(self.configuration()),
            (3, number) => string(number, STRINGS),
            _ => None,
        }
    }

    fn request(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Vec<u8>, i32> {
        // Interface 1, probe (1) or commit (2).
        if setup[4] != 1 || !matches!(setup[3], 1 | 2) {
            return Err(STALL);
        }
        match (setup[0], setup[1]) {
            (0x21, 0x01) if data.len() >= 4 => {
                let wanted = (data[2].max(1), data[3].max(1));
                let before = std::mem::replace(&mut self.agreed, wanted);
                if self.mode().is_none() {
                    self.agreed = before;
                }
                Ok(Vec::new())
            }
            (0xA1, 0x81..=0x84 | 0x87) => Ok(self.agreed()),
            (0xA1, 0x85) => Ok(vec![AGREED as u8, 0]),
            // It can be read and written.
            (0xA1, 0x86) => Ok(vec![3]),
            _ => Err(STALL),
        }
    }

    fn choose(&mut self, setting: u8) {
        self.streams = setting == 1;
        self.picture.clear();
        (self.at, self.pause, self.since) = (0, 0, 0);
    }

    fn packet(&mut self, most: usize, torn: bool) -> Vec<u8> {
        self.since += 1;
        if !self.streams || most <= HEAD {
            return Vec::new();
        }
        if self.at == self.picture.len() {
            self.next_picture();
        }
        if self.pause > 0 {
            self.pause -= 1;
            return Vec::new();
        }
        let end = self.picture.len().min(self.at + most.min(usize::from(PACKET)) - HEAD);
        let is_last = end == self.picture.len();
        let odd = if self.count % 2 == 1 { ODD } else { 0 };
        let marks = HEAD_ENDS | odd | if is_last { PICTURE_ENDS } else { 0 };
        // What is torn out is in the middle of the picture: its end is there.
        let half = self.picture.len() / 2;
        let part = if torn && (self.at..end).contains(&half) { &[][..] } else { &self.picture[self.at..end] };
        let packet = [&[HEAD as u8, marks], part].concat();
        self.at = end;
        packet
    }

    fn endpoint(&self) -> u8 {
        STREAM_ENDPOINT
    }

    fn pressed(&self, down: bool) -> Option<Vec<u8>> {
        // Of the streaming interface 1: a button.
        Some(vec![2, 1, 0, down.into()])
    }
}

/// Time between two pictures, in 100 ns.
fn interval(mode: &CameraMode) -> u32 {
    10_000_000 / mode.rate.max(1)
}

/// Bytes of the largest picture.
fn largest(mode: &CameraMode) -> u32 {
    let pixels = u32::from(mode.width) * u32::from(mode.height);
    let most = mode.pictures.iter().map(Vec::len).max().unwrap_or(0);
    u32::try_from(most).unwrap_or(u32::MAX).max(pixels * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> Camera {
        let mode = |width, height, pictures| CameraMode { width, height, rate: 10, pictures };
        let pictures = vec![vec![7; 3_000], vec![8; 5]];
        Camera::new(vec![mode(640, 480, Vec::new()), mode(1_280, 960, pictures), mode(640, 480, vec![vec![9; 10]])])
    }

    #[test]
    fn its_configuration_is_as_long_as_it_says_and_made_of_whole_parts() {
        let text = camera().configuration();
        assert_eq!(text.len(), usize::from(u16::from_le_bytes([text[2], text[3]])));
        let mut at = 0;
        while at < text.len() {
            assert!(text[at] >= 2);
            at += usize::from(text[at]);
        }
        assert_eq!(at, text.len());
        assert_eq!(camera().agreed().len(), AGREED);
    }

    #[test]
    fn a_picture_goes_in_packets_of_which_the_last_says_so() {
        let mut camera = camera();
        camera.choose(1);
        let mut packets = Vec::new();
        while packets.len() < 4 {
            packets.extend(Some(camera.packet(1_024, false)).filter(|packet| !packet.is_empty()));
        }
        let marks: Vec<u8> = packets.iter().map(|packet| packet[1]).collect();
        assert_eq!(marks, [0x81, 0x81, 0x83, 0x82]);
        let lengths: Vec<usize> = packets.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1_024, 1_024, 958, 7]);
    }
}
