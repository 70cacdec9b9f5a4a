//! Messages in a stream (RFC 8656, 2.1 and 12.5): STUN messages say their length, ChannelData too and is padded to
//! four bytes.

use bytes::{Buf, BytesMut};

/// What arrived of a stream and was not yet taken. A message has 65,555 bytes at most: a header and what two bytes can
/// count.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) waiting: BytesMut,
}

/// The stream is not TURN: there is no way to find the next message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotTurn;

impl Frames {
    /// The next whole message, without padding.
    pub(crate) fn next(&mut self) -> Result<Option<BytesMut>, NotTurn> {
        let Some(head) = self.waiting.first_chunk::<4>() else { return Ok(None) };
        let counted = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (length, padded) = match head[0] >> 6 {
            0b00 if counted % 4 == 0 => (20 + counted, 20 + counted),
            0b01 => (4 + counted, (4 + counted).next_multiple_of(4)),
            _ => return Err(NotTurn),
        };
        if self.waiting.len() < padded {
            self.waiting.reserve(padded - self.waiting.len());
            return Ok(None);
        }
        let message = self.waiting.split_to(length);
        self.waiting.advance(padded - length);
        Ok(Some(message))
    }
}

/// Pads a message for a stream.
pub(crate) fn pad(message: &mut Vec<u8>) {
    message.resize(message.len().next_multiple_of(4), 0);
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn messages_come_out_of_a_stream_as_they_went_in_however_it_is_cut() {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
        println!("SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..50 {
            let mut sent = Vec::new();
            let mut stream = Vec::new();
            for _ in 0..20 {
                let mut message = if random.random() {
                    let length = random.random_range(0..80_u16) * 4;
                    let mut message = vec![0, 1, (length >> 8) as u8, length as u8];
                    message.resize(20 + usize::from(length), 7);
                    message
                } else {
                    let length = random.random_range(0..1_300_u16);
                    let mut message = vec![0x40, 0, (length >> 8) as u8, length as u8];
                    message.resize(4 + usize::from(length), 9);
                    message
                };
                sent.push(message.clone());
                pad(&mut message);
                stream.extend(message);
            }
            let mut frames = Frames::default();
            let mut found = Vec::new();
            while !stream.is_empty() {
                let cut = random.random_range(1..=stream.len().min(700));
                frames.waiting.extend_from_slice(&stream[..cut]);
                stream.drain(..cut);
                while let Some(message) = frames.next().unwrap() {
                    found.push(message.to_vec());
                }
            }
            assert_eq!(found, sent);
        }
    }

    #[test]
    fn a_stream_that_is_not_turn_ends_and_random_bytes_never_take_room_without_limit() {
        let mut frames = Frames::default();
        frames.waiting.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n");
        // "HT" would be ChannelData of a channel that nobody bound, as long as the next two letters say: it waits.
        assert_eq!(frames.next(), Ok(None));
        frames.waiting.clear();
        frames.waiting.extend_from_slice(&[0x80, 0, 0, 0]);
        assert_eq!(frames.next(), Err(NotTurn));
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..2_000 {
            let mut frames = Frames::default();
            let mut bytes = vec![0; random.random_range(0..200)];
            random.fill(&mut bytes[..]);
            frames.waiting.extend_from_slice(&bytes);
            while let Ok(Some(message)) = frames.next() {
                assert!(message.len() <= 20 + 65_535);
            }
        }
    }
}
