//! A recording on its way to the physician's page, beside a voice that must not wait for it.
//!
//! A still of a good camera is a megabyte, the narrow line of a village carries it in half a minute, and whatever is
//! under way stands in the queue of a modem before the next word. So no more is under way than makes that queue
//! [`DELAY_MAX`] long: the window follows the delay as LEDBAT's does (RFC 6817), which yields to all other traffic.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use signal::documents::{Chunk, HEADER_BYTES};
use zeroize::Zeroizing;

/// Bytes of a chunk that are the recording's: a tenth of a second of a line of 300 kbit/s.
const PAYLOAD_BYTES: usize = 4 * 1024 - HEADER_BYTES;
/// What is under way at first and at least: one chunk, and one that keeps the line busy meanwhile.
const WINDOW_BYTES_MIN: f64 = 2.0 * PAYLOAD_BYTES as f64;
/// What is under way at most, on a line without a queue.
const WINDOW_BYTES_MAX: f64 = 512.0 * 1024.0;
/// Delay that the recording itself may add. RFC 6817 allows 100 ms; a voice has 150 ms in all (ITU-T G.114).
const DELAY_MAX: Duration = Duration::from_millis(60);

/// One recording, being sent.
pub struct HandingOver {
    number: u32,
    bytes: Zeroizing<Vec<u8>>,
    /// Where the next chunk begins.
    next: usize,
    acknowledged: usize,
    /// Bytes that may be under way.
    window: f64,
    /// Ends of the chunks under way, and when they were sent.
    under_way: VecDeque<(usize, Instant)>,
    /// The shortest time from a chunk to its acknowledgement: the line without a queue.
    shortest: Option<Duration>,
}

impl HandingOver {
    /// From `received` bytes on, under the page's number.
    pub fn new(number: u32, bytes: Zeroizing<Vec<u8>>, received: u32) -> Self {
        let next = (received as usize).min(bytes.len());
        let under_way = VecDeque::new();
        Self { number, bytes, next, acknowledged: next, window: WINDOW_BYTES_MIN, under_way, shortest: None }
    }

    /// The page's number of it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The page has all of it.
    pub fn is_done(&self) -> bool {
        self.acknowledged == self.bytes.len()
    }

    /// The next chunk that may be sent now.
    pub fn chunk(&mut self, now: Instant) -> Option<Vec<u8>> {
        let under_way = self.next - self.acknowledged;
        let payload = &self.bytes[self.next..self.bytes.len().min(self.next + PAYLOAD_BYTES)];
        if payload.is_empty() || (under_way + payload.len()) as f64 > self.window {
            return None;
        }
        // A recording is shorter than 4 GiB: its length on the wire is a u32.
        let offset = u32::try_from(self.next).ok()?;
        let chunk = Chunk { number: self.number, offset, payload }.write().ok()?;
        self.next += payload.len();
        self.under_way.push_back((self.next, now));
        Some(chunk)
    }

    /// The page has so many bytes.
    pub fn received(&mut self, received: u32, now: Instant) {
        let received = received as usize;
        if received <= self.acknowledged || received > self.next {
            return;
        }
        let mut sent_at = None;
        while let Some((_, at)) = self.under_way.pop_front_if(|(end, _)| *end <= received) {
            sent_at = Some(at);
        }
        let bytes = (received - self.acknowledged) as f64;
        self.acknowledged = received;
        let Some(sent_at) = sent_at else { return };
        let took = now.saturating_duration_since(sent_at);
        let shortest = self.shortest.map_or(took, |shortest| shortest.min(took));
        self.shortest = Some(shortest);
        let delay = took - shortest;
        // RFC 6817, 2.4.2: by the part of the allowed delay that is left, a payload each round; twice too late is half.
        let left = 1.0 - delay.as_secs_f64() / DELAY_MAX.as_secs_f64();
        let grown = self.window + (left * bytes * PAYLOAD_BYTES as f64 / self.window).max(-self.window / 8.0);
        self.window = grown.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of that many bytes a second with a queue, and that much time there and back; gives how long the recording
    /// took and the longest queue that it made, after the first second.
    fn over(bytes_per_second: f64, round_trip: Duration, size: usize) -> (Duration, Duration) {
        let start = Instant::now();
        let bytes: Vec<u8> = (0..size).map(|byte| (byte * 31 % 251) as u8).collect();
        let mut sending = HandingOver::new(7, Zeroizing::new(bytes.clone()), 0);
        let mut arrived = Vec::new();
        // When each chunk under way is acknowledged, and what is received then.
        let mut line: VecDeque<(Duration, u32)> = VecDeque::new();
        let (mut now, mut free_at, mut longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        while !sending.is_done() {
            while let Some(chunk) = sending.chunk(start + now) {
                let read = Chunk::read(&chunk).unwrap();
                assert_eq!((read.number, read.offset as usize), (7, arrived.len()));
                arrived.extend_from_slice(read.payload);
                if now > Duration::from_secs(1) {
                    longest = longest.max(free_at.saturating_sub(now));
                }
                free_at = free_at.max(now) + Duration::from_secs_f64(chunk.len() as f64 / bytes_per_second);
                line.push_back((free_at + round_trip, arrived.len() as u32));
            }
            let (at, received) = line.pop_front().expect("something is always under way");
            now = at;
            sending.received(received, start + now);
        }
        assert!(arrived == bytes);
        (now, longest)
    }

    #[test]
    fn on_a_narrow_line_a_picture_makes_voice_wait_no_longer_than_a_word_bears() {
        let (took, longest) = over(300_000.0 / 8.0, Duration::from_millis(100), 300_000);
        assert!(longest < Duration::from_millis(250), "{longest:?}");
        // 8 s is what the line needs for it.
        assert!(took < Duration::from_secs(12), "{took:?}");
    }

    #[test]
    fn on_a_wide_line_a_picture_is_there_within_a_second() {
        let (took, _) = over(20_000_000.0 / 8.0, Duration::from_millis(40), 600_000);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    #[test]
    fn it_goes_on_from_what_the_page_has_and_believes_no_number_that_cannot_be() {
        let now = Instant::now();
        let bytes: Vec<u8> = (0..10_000).map(|byte| byte as u8).collect();
        let mut sending = HandingOver::new(1, Zeroizing::new(bytes.clone()), 9_990);
        let chunk = sending.chunk(now).unwrap();
        assert_eq!(Chunk::read(&chunk).unwrap(), Chunk { number: 1, offset: 9_990, payload: &bytes[9_990..] });
        assert!(sending.chunk(now).is_none());
        sending.received(11_000, now);
        sending.received(3, now);
        assert!(!sending.is_done());
        sending.received(10_000, now);
        assert!(sending.is_done());
        let mut beyond = HandingOver::new(1, Zeroizing::new(bytes), 99_999);
        assert!(beyond.chunk(now).is_none() && beyond.is_done());
    }
}
