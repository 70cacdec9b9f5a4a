//! A stethoscope's head, or the USB adapter behind one with a line output: a microphone of USB audio class 1.0.
//!
//! Source: USB Device Class Definition for Audio Devices 1.0 (descriptors 4.3 to 4.6, sampling frequency control
//! 5.2.3.2.3.1) and Audio Data Formats 1.0 (2.2.5). It sends by its own clock, a packet every millisecond.

use super::stream::{Streaming, configuration, device_descriptor, string};
use super::urb::STALL;

const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x57E7;
const STRINGS: [&str; 3] = ["Bench", "Stethoscope", "STE1"];
const ENDPOINT: u8 = 1;
const RATES: [u32; 2] = [44_100, 48_000];
/// 49 samples of 2 bytes: one more than at 48,000 Hz.
const PACKET: u8 = 98;

/// The microphone, with power.
pub(super) struct Stethoscope {
    samples: Vec<i16>,
    at: usize,
    rate: u32,
    streams: bool,
    /// Thousandths of a sample that the packets so far have fallen behind.
    owed: u32,
}

impl Stethoscope {
    pub(super) fn new(samples: Vec<i16>) -> Stethoscope {
        Stethoscope { samples, at: 0, rate: RATES[1], streams: false, owed: 0 }
    }

    fn configuration() -> Vec<u8> {
        // Control: a microphone of one channel that streams.
        let mut text = vec![9, 4, 0, 0, 0, 1, 1, 0, 0, 9, 0x24, 0x01, 0x00, 0x01, 30, 0, 1, 1];
        text.extend([12, 0x24, 0x02, 1, 0x01, 0x02, 0, 1, 0, 0, 0, 0, 9, 0x24, 0x03, 2, 0x01, 0x01, 0, 1, 0]);
        // The stream: off, or PCM of 16 bits.
        text.extend([9, 4, 1, 0, 0, 1, 2, 0, 0, 9, 4, 1, 1, 1, 1, 2, 0, 0]);
        text.extend([7, 0x24, 0x01, 2, 1, 0x01, 0x00, 14, 0x24, 0x02, 1, 1, 2, 16, 2]);
        text.extend(RATES.iter().flat_map(|rate| rate.to_le_bytes()[..3].to_vec()));
        text.extend([9, 5, 0x80 | ENDPOINT, 5, PACKET, 0, 1, 0, 0, 7, 0x25, 0x01, 1, 0, 0, 0]);
        configuration(&text)
    }
}

impl Streaming for Stethoscope {
    fn speed(&self) -> u8 {
        2
    }

    fn descriptor(&self, kind: u8, number: u8) -> Option<Vec<u8>> {
        match (kind, number) {
            (1, _) => Some(device_descriptor([0; 3], VENDOR, PRODUCT)),
            (2, 0) => Some(Self::configuration()),
            (3, number) => string(number, STRINGS),
            _ => None,
        }
    }

    fn request(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Vec<u8>, i32> {
        // The sampling frequency of its endpoint.
        if setup[3] != 1 || setup[4] != 0x80 | ENDPOINT {
            return Err(STALL);
        }
        match (setup[0], setup[1], data) {
            (0x22, 0x01, [low, middle, high]) => {
                let wanted = u32::from_le_bytes([*low, *middle, *high, 0]);
                self.rate = RATES.into_iter().find(|rate| *rate == wanted).ok_or(STALL)?;
                Ok(Vec::new())
            }
            (0xA2, 0x81, _) => Ok(self.rate.to_le_bytes()[..3].to_vec()),
            _ => Err(STALL),
        }
    }

    fn choose(&mut self, setting: u8) {
        self.streams = setting == 1;
        self.owed = 0;
    }

    fn packet(&mut self, most: usize, _torn: bool) -> Vec<u8> {
        if !self.streams || self.samples.is_empty() {
            return Vec::new();
        }
        self.owed += self.rate;
        let count = usize::try_from(self.owed / 1_000).unwrap_or(0).min(most / 2);
        self.owed %= 1_000;
        let mut packet = Vec::with_capacity(count * 2);
        for _ in 0..count {
            packet.extend(self.samples[self.at].to_le_bytes());
            self.at = (self.at + 1) % self.samples.len();
        }
        packet
    }

    fn endpoint(&self) -> u8 {
        ENDPOINT
    }

    fn pressed(&self, _down: bool) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_as_many_samples_as_its_rate_and_none_is_left_out() {
        let mut stethoscope = Stethoscope::new((0..1_000).collect());
        stethoscope.choose(1);
        for rate in RATES {
            let bytes = rate.to_le_bytes();
            stethoscope.request([0x22, 1, 0, 1, 0x81, 0, 3, 0], &bytes[..3]).unwrap();
            stethoscope.choose(1);
            let start = stethoscope.at;
            let sent: Vec<u8> = (0..1_000).flat_map(|_| stethoscope.packet(98, false)).collect();
            assert_eq!(sent.len(), rate as usize * 2);
            let samples = sent.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
            assert!(samples.enumerate().all(|(at, sample)| usize::from(sample.unsigned_abs()) == (start + at) % 1_000));
        }
        assert_eq!(stethoscope.request([0x22, 1, 0, 1, 0x81, 0, 3, 0], &[1, 2, 3]), Err(STALL));
    }

    #[test]
    fn its_configuration_is_as_long_as_it_says_and_made_of_whole_parts() {
        let text = Stethoscope::configuration();
        assert_eq!(text.len(), usize::from(u16::from_le_bytes([text[2], text[3]])));
        let mut at = 0;
        while at < text.len() {
            at += usize::from(text[at]);
        }
        assert_eq!(at, text.len());
    }
}
