//! The far end's picture packets, in order: each that is missing is waited for as long as it may still come.
//!
//! A picture that is shown late is better than none, and a key frame costs a narrow line more than a packet that is sent
//! again: nothing is given up while the line may still bring it. A key frame is asked for when a packet has been missing
//! for long, and whichever is whole first, the gap or the key frame, goes on.
//!
//! Pure: instants are arguments, on one clock, and come out with each packet.

use std::collections::BTreeMap;
use std::time::Duration;

/// Packets that wait at most; beyond, the oldest are forgotten. Some seconds of the widest picture.
const HELD_MAX: usize = 2_048;
/// A step in the numbers beyond this is a new stream.
const JUMP_MAX: u64 = 4_096;
/// A key frame is asked for when packets have waited so long, or three round trips if that is longer: a packet sent again
/// is then lost for the third time.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// Nobody waits longer before he asks, however long the way.
const PATIENCE_MAX: Duration = Duration::from_millis(2_500);

/// What a packet is to the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// A key frame begins with it.
    pub(crate) begins_key_frame: bool,
    /// A picture ends with it.
    pub(crate) ends_picture: bool,
}

#[derive(Debug)]
struct Held<P> {
    came_at: Duration,
    piece: Piece,
    packet: P,
}

/// The packets that wait, and which is next.
#[derive(Debug)]
pub(crate) struct InOrder<P> {
    /// The highest number so far, counted on beyond 65,535.
    highest: Option<u64>,
    /// The next one to go on; `None` while only a key frame can be shown.
    next: Option<u64>,
    held: BTreeMap<u64, Held<P>>,
    /// Since when packets wait for the next one.
    waiting_since: Option<Duration>,
}

impl<P> Default for InOrder<P> {
    fn default() -> InOrder<P> {
        InOrder { highest: None, next: None, held: BTreeMap::new(), waiting_since: None }
    }
}

impl<P> InOrder<P> {
    /// Takes a packet of this number in.
    pub(crate) fn came(&mut self, now: Duration, number: u16, piece: Piece, packet: P) {
        let at = self.unwrapped(number);
        if self.highest.is_some_and(|highest| at.abs_diff(highest) > JUMP_MAX) {
            *self = InOrder::default();
        }
        self.highest = Some(self.highest.map_or(at, |highest| highest.max(at)));
        if self.next.is_some_and(|next| at < next) {
            return;
        }
        self.held.entry(at).or_insert(Held { came_at: now, piece, packet });
        while self.held.len() > HELD_MAX {
            self.held.pop_first();
            // What came before is gone: only a key frame goes on.
            self.next = None;
        }
    }

    /// The next packet that can go on, and when it came or would have come: one that was sent again has the time of the
    /// packet behind it, so that nothing later is held up for its sake.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(Duration, P)> {
        let whole = || self.held.range(self.next?..).map(|(at, _)| *at).find(|at| self.is_whole_key_frame(*at));
        let next = match self.next {
            Some(next) if self.held.contains_key(&next) => next,
            Some(_) => match whole() {
                Some(whole) => whole,
                None => {
                    if self.held.is_empty() {
                        self.waiting_since = None;
                    } else {
                        self.waiting_since.get_or_insert(now);
                    }
                    return None;
                }
            },
            None => {
                let first = self.held.iter().find(|(_, held)| held.piece.begins_key_frame).map(|(at, _)| *at);
                if first.is_none() {
                    self.waiting_since.get_or_insert(now);
                }
                first?
            }
        };
        self.held = self.held.split_off(&next);
        self.waiting_since = None;
        self.next = Some(next + 1);
        let Held { came_at, packet, .. } = self.held.remove(&next)?;
        let behind = self.held.first_key_value().map_or(came_at, |(_, held)| held.came_at);
        Some((came_at.min(behind), packet))
    }

    /// Whether the far end should be asked for a key frame.
    pub(crate) fn wants_key_frame(&self, now: Duration, round_trip: Duration) -> bool {
        let patience =
            if self.next.is_none() { Duration::ZERO } else { (round_trip * 3).clamp(PATIENCE, PATIENCE_MAX) };
        self.waiting_since.is_some_and(|since| now >= since + patience)
    }

    /// A key frame begins there, and all of it has come.
    fn is_whole_key_frame(&self, at: u64) -> bool {
        if !self.held.get(&at).is_some_and(|held| held.piece.begins_key_frame) {
            return false;
        }
        let mut pieces = self.held.range(at..).zip(at..).take_while(|((number, _), due)| *number == due);
        pieces.any(|((_, held), _)| held.piece.ends_picture)
    }

    /// The number counted on: nearest to the highest so far.
    fn unwrapped(&self, number: u16) -> u64 {
        // Begins far from zero, so that what was overtaken has a place below.
        let Some(highest) = self.highest else { return (1 << 32) + u64::from(number) };
        let step = i64::from(number.wrapping_sub(highest as u16) as i16);
        highest.saturating_add_signed(step)
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const MIDDLE: Piece = Piece { begins_key_frame: false, ends_picture: false };
    const KEY: Piece = Piece { begins_key_frame: true, ends_picture: false };
    const END: Piece = Piece { begins_key_frame: false, ends_picture: true };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn all(waiting: &mut InOrder<u16>, now: Duration) -> Vec<(u64, u16)> {
        std::iter::from_fn(|| waiting.next(now)).map(|(at, packet)| (at.as_millis() as u64, packet)).collect()
    }

    #[test]
    fn a_packet_sent_again_takes_its_place_and_the_time_of_the_one_behind_it() {
        let mut waiting = InOrder::default();
        for (at, number, piece) in [(0, 65_534, KEY), (10, 65_535, END), (30, 1, END)] {
            waiting.came(ms(at), number, piece, number);
        }
        assert_eq!(all(&mut waiting, ms(30)), [(0, 65_534), (10, 65_535)]);
        assert!(!waiting.wants_key_frame(ms(900), ms(100)), "it may still come");
        waiting.came(ms(700), 0, MIDDLE, 0);
        assert_eq!(all(&mut waiting, ms(700)), [(30, 0), (30, 1)]);
        waiting.came(ms(800), 0, MIDDLE, 0);
        assert_eq!(all(&mut waiting, ms(800)), [], "twice is once");
    }

    #[test]
    fn a_key_frame_is_asked_for_after_three_round_trips_and_the_gap_or_the_key_frame_goes_on() {
        let round_trip = ms(500);
        for key_frame_first in [true, false] {
            let mut waiting = InOrder::default();
            for (number, piece) in [(10, KEY), (11, END), (13, END), (14, END)] {
                waiting.came(ms(0), number, piece, number);
            }
            assert_eq!(all(&mut waiting, ms(0)).len(), 2);
            assert!(!waiting.wants_key_frame(ms(1_499), round_trip));
            assert!(waiting.wants_key_frame(ms(1_500), round_trip));
            // Half a key frame is no reason to leave anything out.
            waiting.came(ms(1_900), 15, KEY, 15);
            assert_eq!(all(&mut waiting, ms(1_900)), []);
            if key_frame_first {
                waiting.came(ms(2_000), 16, END, 16);
                assert_eq!(all(&mut waiting, ms(2_000)), [(1_900, 15), (2_000, 16)]);
            } else {
                waiting.came(ms(2_000), 12, END, 12);
                assert_eq!(all(&mut waiting, ms(2_000)), [(0, 12), (0, 13), (0, 14), (1_900, 15)]);
            }
            assert!(!waiting.wants_key_frame(ms(9_000), round_trip));
        }
    }

    #[test]
    fn nothing_is_shown_before_a_key_frame_which_is_asked_for_at_once() {
        let mut waiting = InOrder::default();
        waiting.came(ms(0), 7, END, 7);
        assert_eq!(all(&mut waiting, ms(0)), []);
        assert!(waiting.wants_key_frame(ms(0), ms(100)));
        waiting.came(ms(100), 8, KEY, 8);
        assert_eq!(all(&mut waiting, ms(100)), [(100, 8)]);
        assert!(!waiting.wants_key_frame(ms(100), ms(100)));
    }

    #[test]
    fn another_stream_of_the_same_far_end_begins_anew() {
        let mut waiting = InOrder::default();
        waiting.came(ms(0), 100, KEY, 100);
        assert_eq!(all(&mut waiting, ms(0)), [(0, 100)]);
        waiting.came(ms(10), 30_000, KEY, 30_000);
        assert_eq!(all(&mut waiting, ms(10)), [(10, 30_000)]);
    }

    #[test]
    fn whatever_a_line_loses_repeats_and_overtakes_packets_leave_in_order_and_memory_is_bounded() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        for _ in 0..50 {
            let mut waiting = InOrder::default();
            let (mut number, mut last) = (chance.random::<u16>(), None::<u16>);
            for at in 0..4_000_u64 {
                number = match chance.random_range(0..1_000) {
                    0 => chance.random(),
                    1..50 => number.wrapping_add(2),
                    50..100 => number.wrapping_sub(chance.random_range(0..40)),
                    _ => number.wrapping_add(1),
                };
                let piece = Piece { begins_key_frame: chance.random_bool(0.02), ends_picture: chance.random_bool(0.3) };
                waiting.came(ms(at), number, piece, number);
                assert!(waiting.held.len() <= HELD_MAX);
                while let Some((came, packet)) = waiting.next(ms(at)) {
                    assert!(came <= ms(at));
                    let step = last.map_or(1, |last| packet.wrapping_sub(last));
                    assert!(step != 0, "{packet} twice");
                    last = Some(packet);
                }
            }
        }
    }

    /// A line that loses one packet in twenty, and what is sent again as well: no key frame is needed, and every second
    /// has its pictures.
    #[test]
    fn on_a_rural_line_the_picture_lives_without_key_frames() {
        let (mut chance, round_trip) = (StdRng::seed_from_u64(7), ms(400));
        // When each of the packets of a minute comes, 25 in a second: each try takes a round trip.
        let mut comes: Vec<(Duration, u16)> = (0..1_500_u16)
            .map(|number| {
                let tries = (0..).find(|_| number == 0 || !chance.random_bool(0.05)).unwrap_or(0);
                (ms(u64::from(number) * 40) + ms(200) + round_trip.mul_f64(1.2) * tries, number)
            })
            .collect();
        comes.sort();
        let mut waiting = InOrder::default();
        let (mut seconds, mut asked) = (std::collections::HashSet::new(), 0);
        for (now, number) in comes {
            let piece = Piece { begins_key_frame: number == 0, ends_picture: true };
            waiting.came(now, number, piece, number);
            while waiting.next(now).is_some() {
                seconds.insert(now.as_secs());
            }
            asked += u32::from(waiting.wants_key_frame(now, round_trip));
        }
        assert_eq!(asked, 0);
        assert!(seconds.len() >= 60, "{} of 60 seconds", seconds.len());
    }
}
