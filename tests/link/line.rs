//! One direction of a line: a bottleneck with a queue, then a delay; what it does to each packet.
//!
//! Pure: every instant is an argument, counted from the same start; chance comes from a seed.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What a line is like for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// What it carries; 0 is a cut line, which loses what it holds as well.
    pub bits_per_second: u64,
    /// How long a packet may wait for its turn; what would wait longer is dropped (a router's drop-tail queue).
    pub queue: Duration,
    /// How long every packet takes after its turn.
    pub delay: Duration,
    /// Added to the delay, evenly distributed from nothing to this. Packets keep their order, as on one radio link.
    pub jitter: Duration,
    /// Packets lost by chance, each by itself, in thousandths.
    pub loss_thousandths: u32,
}

impl Conditions {
    /// Nothing passes.
    pub const CUT: Conditions = Conditions {
        bits_per_second: 0,
        queue: Duration::ZERO,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_thousandths: 0,
    };

    /// A wide, short line that loses nothing.
    pub const GOOD: Conditions = Conditions {
        bits_per_second: 20_000_000,
        queue: Duration::from_millis(100),
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss_thousandths: 0,
    };
}

/// What became of the packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given to the line.
    pub offered: u64,
    /// Bytes that came out.
    pub bytes: u64,
    /// Came out.
    pub arrived: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped by the full queue.
    pub dropped: u64,
    /// Lost because the line was cut.
    pub cut: u64,
    /// The longest that a packet waited for its turn.
    pub worst_queue: Duration,
}

/// One direction, holding the packets that are under way.
#[derive(Debug)]
pub struct Line<P> {
    conditions: Conditions,
    chance: StdRng,
    /// When the bottleneck will have nothing left to send.
    free_at: Duration,
    /// In the order of their arrival.
    under_way: VecDeque<(Duration, usize, P)>,
    counts: Counts,
}

impl<P> Line<P> {
    /// An empty line. The same seed loses the same packets of the same sequence.
    pub fn new(conditions: Conditions, seed: u64) -> Line<P> {
        Line {
            conditions,
            chance: StdRng::seed_from_u64(seed),
            free_at: Duration::ZERO,
            under_way: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// The line is like this from `now` on. What is under way arrives as foreseen, unless the line is cut.
    pub fn set(&mut self, conditions: Conditions, now: Duration) {
        self.conditions = conditions;
        if conditions.bits_per_second == 0 {
            self.counts.cut += self.under_way.len() as u64;
            self.under_way.clear();
            self.free_at = now;
        }
    }

    /// What the line is like.
    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// What became of the packets so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes a packet of `bytes` at the entry.
    pub fn send(&mut self, now: Duration, bytes: usize, packet: P) {
        self.counts.offered += 1;
        let Conditions { bits_per_second, queue, delay, jitter, loss_thousandths } = self.conditions;
        if bits_per_second == 0 {
            self.counts.cut += 1;
            return;
        }
        let wait = self.free_at.saturating_sub(now);
        if wait > queue {
            self.counts.dropped += 1;
            return;
        }
        self.counts.worst_queue = self.counts.worst_queue.max(wait);
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 * 8.0 / bits_per_second as f64);
        // Lost behind the bottleneck: on a radio link what is lost has taken its time too. Both numbers are drawn for
        // each packet, so that a changed loss does not change the jitter of the others.
        let (lost, late) = (self.chance.random_range(0..1_000) < loss_thousandths, self.chance.random::<f64>());
        if lost {
            self.counts.lost += 1;
            return;
        }
        let at = self.free_at + delay + jitter.mul_f64(late);
        let at = self.under_way.back().map_or(at, |(last, ..)| at.max(*last));
        self.under_way.push_back((at, bytes, packet));
    }

    /// When the next packet comes out, if any is under way.
    pub fn next_at(&self) -> Option<Duration> {
        self.under_way.front().map(|(at, ..)| *at)
    }

    /// The next packet that has come out by `now`, and when it did.
    pub fn receive(&mut self, now: Duration) -> Option<(Duration, P)> {
        if self.next_at()? > now {
            return None;
        }
        let (at, bytes, packet) = self.under_way.pop_front()?;
        self.counts.arrived += 1;
        self.counts.bytes += bytes as u64;
        Some((at, packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RURAL: Conditions = Conditions {
        bits_per_second: 300_000,
        queue: Duration::from_millis(400),
        delay: Duration::from_millis(150),
        jitter: Duration::from_millis(20),
        loss_thousandths: 50,
    };

    /// Sends a packet of 1,000 bytes every `every`; gives the number and the delay of those that arrive.
    fn arrivals(line: &mut Line<u32>, packets: u32, every: Duration) -> Vec<(u32, Duration)> {
        let mut arrived = Vec::new();
        for number in 0..packets {
            let now = every * number;
            line.send(now, 1_000, number);
            while let Some((at, number)) = line.receive(now) {
                arrived.push((number, at - every * number));
            }
        }
        while let Some(at) = line.next_at() {
            let (at, number) = line.receive(at).expect("due");
            arrived.push((number, at - every * number));
        }
        arrived
    }

    #[test]
    fn a_packet_takes_its_turn_its_delay_and_its_jitter() {
        let mut line = Line::new(Conditions { loss_thousandths: 0, ..RURAL }, 1);
        let arrived = arrivals(&mut line, 500, Duration::from_millis(100));
        assert_eq!(arrived.len(), 500);
        let turn = Duration::from_secs_f64(8_000.0 / 300_000.0);
        for (number, delay) in &arrived {
            let least = turn + RURAL.delay;
            assert!((least..=least + RURAL.jitter).contains(delay), "packet {number} took {delay:?}");
        }
        let late = arrived.iter().filter(|(_, delay)| *delay > turn + RURAL.delay + RURAL.jitter / 2).count();
        assert!((200..300).contains(&late), "{late} of 500 in the later half");
    }

    #[test]
    fn what_is_more_than_the_line_carries_waits_and_then_is_dropped() {
        let mut line = Line::new(Conditions { loss_thousandths: 0, ..RURAL }, 1);
        // 800 kbit/s for 8 s into 300 kbit/s.
        let arrived = arrivals(&mut line, 800, Duration::from_millis(10));
        let counts = line.counts();
        assert_eq!(counts.arrived + counts.dropped, 800);
        assert_eq!(counts.worst_queue.as_millis() / 10, 39, "just under the queue's length");
        assert!((arrived.len() as f64 - 8.4 * 37.5).abs() < 5.0, "{} arrived", arrived.len());
        assert!(arrived.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
    }

    #[test]
    fn the_same_seed_loses_the_same_packets_and_another_loses_as_many_others() {
        let lost = |seed| {
            let mut line = Line::new(RURAL, seed);
            let came: Vec<u32> =
                arrivals(&mut line, 10_000, Duration::from_millis(40)).iter().map(|(number, _)| *number).collect();
            assert_eq!(line.counts().lost, 10_000 - came.len() as u64);
            came
        };
        let (one, again, other) = (lost(7), lost(7), lost(8));
        assert_eq!(one, again);
        assert_ne!(one, other);
        for came in [one, other] {
            assert!((9_430..9_570).contains(&came.len()), "{}", came.len());
        }
    }

    #[test]
    fn a_cut_loses_what_is_under_way_and_the_line_is_empty_when_it_is_back() {
        let mut line = Line::new(Conditions { loss_thousandths: 0, ..RURAL }, 1);
        for number in 0..10 {
            line.send(Duration::ZERO, 1_000, number);
        }
        line.set(Conditions::CUT, Duration::from_millis(10));
        line.send(Duration::from_millis(20), 1_000, 10);
        assert_eq!((line.next_at(), line.counts().cut), (None, 11));
        let back = Duration::from_secs(30);
        line.set(Conditions { loss_thousandths: 0, jitter: Duration::ZERO, ..RURAL }, back);
        line.send(back, 1_000, 11);
        assert_eq!(line.next_at(), Some(back + RURAL.delay + Duration::from_secs_f64(8_000.0 / 300_000.0)));
    }
}
