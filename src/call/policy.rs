//! How many bits a second the picture may take, decided from what the far end says of each packet.
//!
//! Pure: no clock, no socket. Every instant is an argument, counted from the start of the call.
//!
//! The library's own estimator lets an application-limited source climb to its maximum and then puts
//! the sound behind key frames in one queue; measured, it silences a rural line. This one grows only in
//! proportion to what was proven to arrive, gives way to queueing before packets are lost, and keeps the
//! share of the sound apart. There is no pacer: a voice packet leaves when it is made.

use std::collections::VecDeque;
use std::time::Duration;

/// What the sound takes on the wire, headers included: Opus at 32 kbit/s, 50 packets a second.
pub const SOUND_BITS_PER_SECOND: u32 = 52_000;
/// Below this VP8 at 640x480 is a slide show; the policy never asks for less.
pub const PICTURE_BITS_PER_SECOND_MIN: u32 = 80_000;
/// Where a call begins: a rural ADSL uplink carries it.
pub const PICTURE_BITS_PER_SECOND_START: u32 = 500_000;

/// The rate proven to arrive is measured over this long.
const WINDOW: Duration = Duration::from_millis(1_000);
/// Decisions are taken this often at most, so that one burst is not punished twice.
const DECIDE_EVERY: Duration = Duration::from_millis(200);
/// The smallest delay seen in this long stands for the empty line. Long enough to outlive a full queue,
/// short enough to follow a change of route.
const EMPTY_LINE_MEMORY: Duration = Duration::from_secs(30);
/// With no word from the far end for this long, the line is taken for cut and the rate is halved.
pub const SILENCE: Duration = Duration::from_millis(1_000);
/// Queueing above this means that more is sent than the line carries.
const QUEUE_FULL: Duration = Duration::from_millis(120);
/// Queueing below this leaves room to grow.
const QUEUE_EMPTY: Duration = Duration::from_millis(50);
/// Packets remembered at most; at 1,200 bytes this is far above `WINDOW` at the highest rate.
const PACKETS_MAX: usize = 4_096;

/// The fate of one sent packet, as the far end reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Bytes on the wire.
    pub size_bytes: usize,
    /// When it left, from the start of the call.
    pub departed_at: Duration,
    /// When it arrived, on the far end's clock; `None` when it was lost.
    pub arrived_at: Option<Duration>,
}

/// The estimate of what the line carries, and the picture's share of it.
#[derive(Debug, Clone)]
pub struct Rate {
    target: f64,
    minimum: f64,
    maximum: f64,
    recent: VecDeque<Fate>,
    /// (when it was seen, one-way delay in microseconds on two unrelated clocks): increasing delays.
    empty_line: VecDeque<(Duration, i64)>,
    decided_at: Duration,
    heard_at: Duration,
    /// Growth waits until then after the line was found full.
    grow_after: Duration,
    loss: f64,
}

impl Rate {
    /// A rate that starts at [`PICTURE_BITS_PER_SECOND_START`] and never asks more than `picture_max`
    /// (bits a second) for the picture.
    pub fn new(picture_max: u32) -> Rate {
        let sound = f64::from(SOUND_BITS_PER_SECOND);
        let minimum = f64::from(PICTURE_BITS_PER_SECOND_MIN) + sound;
        let maximum = (f64::from(picture_max) + sound).max(minimum);
        Rate {
            target: (f64::from(PICTURE_BITS_PER_SECOND_START) + sound).clamp(minimum, maximum),
            minimum,
            maximum,
            recent: VecDeque::new(),
            empty_line: VecDeque::new(),
            decided_at: Duration::ZERO,
            heard_at: Duration::ZERO,
            grow_after: Duration::ZERO,
            loss: 0.0,
        }
    }

    /// What the picture may take now, in bits a second: the line's estimate without the sound's share.
    pub fn picture_bits_per_second(&self) -> u32 {
        (self.target - f64::from(SOUND_BITS_PER_SECOND)) as u32
    }

    /// What picture and sound may take together, in bits a second.
    pub fn total_bits_per_second(&self) -> f64 {
        self.target
    }

    /// The share of packets lost in the last second, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Takes in the fate of packets, in the order of their departure.
    pub fn packets_reported(&mut self, now: Duration, fates: &[Fate]) {
        if fates.is_empty() {
            return;
        }
        self.heard_at = now;
        for fate in fates {
            self.recent.push_back(*fate);
            if let Some(delay) = delay_micros(fate) {
                while self.empty_line.back().is_some_and(|(_, larger)| *larger >= delay) {
                    self.empty_line.pop_back();
                }
                self.empty_line.push_back((now, delay));
            }
        }
        let newest = self.recent.iter().map(|fate| fate.departed_at).max().unwrap_or_default();
        while self.recent.len() > PACKETS_MAX
            || self.recent.front().is_some_and(|oldest| oldest.departed_at + WINDOW < newest)
        {
            self.recent.pop_front();
        }
        while self.empty_line.len() > 1
            && self.empty_line.front().is_some_and(|(seen, _)| *seen + EMPTY_LINE_MEMORY < now)
        {
            self.empty_line.pop_front();
        }
        if now >= self.decided_at + DECIDE_EVERY {
            let elapsed = (now - self.decided_at).min(Duration::from_secs(1));
            self.decided_at = now;
            self.decide(now, elapsed, queueing(fates, self.empty_line.front()));
        }
    }

    /// To be called now and then: halves the rate when nothing is heard any more.
    pub fn time_passed(&mut self, now: Duration) {
        if self.heard_at > Duration::ZERO && now >= self.heard_at + SILENCE {
            self.heard_at = now;
            self.grow_after = now + WINDOW;
            self.set(self.target * 0.5);
        }
    }

    fn decide(&mut self, now: Duration, elapsed: Duration, queueing: Option<Duration>) {
        let lost = self.recent.iter().filter(|fate| fate.arrived_at.is_none()).count();
        self.loss = lost as f64 / self.recent.len().max(1) as f64;
        let arrived = self.arrived_bits_per_second();
        let queueing = queueing.unwrap_or_default();
        if queueing > QUEUE_FULL {
            // Below what arrives, so that the queue drains; how far below grows with the queue.
            let drain = if queueing > QUEUE_FULL * 3 { 0.6 } else { 0.85 };
            self.set(self.target.min(arrived * drain));
            self.grow_after = now + WINDOW;
        } else if self.loss > 0.10 {
            // The line loses by itself up to a tenth (radio, old copper); beyond, it is overfull.
            self.set(self.target * (1.0 - 0.5 * self.loss * elapsed.as_secs_f64()));
        } else if self.loss < 0.06 && queueing < QUEUE_EMPTY && now >= self.grow_after {
            let grown = self.target * (1.0 + 0.15 * elapsed.as_secs_f64());
            // A source that sends less than it may proves nothing about the line: never beyond one
            // and a half times what arrived.
            self.set(grown.min(arrived * 1.5 + 20_000.0).max(self.target));
        }
    }

    fn arrived_bits_per_second(&self) -> f64 {
        let mut arrivals = self.recent.iter().filter_map(|fate| fate.arrived_at);
        let Some(first) = arrivals.next() else { return 0.0 };
        let (oldest, newest) = arrivals.fold((first, first), |(low, high), at| (low.min(at), high.max(at)));
        let span = (newest - oldest).as_secs_f64().max(0.3);
        let bytes: usize = self.recent.iter().filter(|fate| fate.arrived_at.is_some()).map(|f| f.size_bytes).sum();
        bytes as f64 * 8.0 / span
    }

    fn set(&mut self, target: f64) {
        self.target = target.clamp(self.minimum, self.maximum);
    }
}

fn delay_micros(fate: &Fate) -> Option<i64> {
    let arrived = i64::try_from(fate.arrived_at?.as_micros()).ok()?;
    let departed = i64::try_from(fate.departed_at.as_micros()).ok()?;
    arrived.checked_sub(departed)
}

/// The mean time these packets stood in queues: their delay less the delay of the empty line.
fn queueing(fates: &[Fate], empty_line: Option<&(Duration, i64)>) -> Option<Duration> {
    let (_, empty) = empty_line?;
    let delays: Vec<i64> = fates.iter().filter_map(delay_micros).collect();
    if delays.is_empty() {
        return None;
    }
    // Wide enough for any sum of two unrelated clocks.
    let mean = delays.iter().map(|delay| i128::from(*delay) - i128::from(*empty)).sum::<i128>() / delays.len() as i128;
    Some(Duration::from_micros(u64::try_from(mean).unwrap_or(0)))
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A line of a given rate with a queue and loss, in virtual time. Its source sends what it may.
    struct Line {
        rate: Rate,
        now: Duration,
        /// When the queue will have drained.
        free_at: Duration,
        unreported: Vec<Fate>,
        chance: StdRng,
        worst_queueing: Duration,
    }

    impl Line {
        fn new(seed: u64) -> Line {
            println!("seed {seed}");
            Line {
                rate: Rate::new(1_000_000),
                now: Duration::ZERO,
                free_at: Duration::ZERO,
                unreported: Vec::new(),
                chance: StdRng::seed_from_u64(seed),
                worst_queueing: Duration::ZERO,
            }
        }

        /// Runs `seconds` at `bits_per_second` (0 is a cut) with `loss`, reporting 16 times a second.
        fn run(&mut self, seconds: u64, bits_per_second: f64, loss: f64) {
            let end = self.now + Duration::from_secs(seconds);
            let mut reported_at = self.now;
            while self.now < end {
                let size_bytes = 1_000;
                self.now += Duration::from_secs_f64(size_bytes as f64 * 8.0 / self.rate.total_bits_per_second());
                let lost = bits_per_second == 0.0 || self.chance.random_bool(loss);
                let arrived_at = (!lost).then(|| {
                    self.free_at =
                        self.free_at.max(self.now) + Duration::from_secs_f64(size_bytes as f64 * 8.0 / bits_per_second);
                    self.free_at + Duration::from_millis(40)
                });
                let queueing = self.free_at.saturating_sub(self.now);
                self.worst_queueing = self.worst_queueing.max(queueing);
                self.unreported.push(Fate { size_bytes, departed_at: self.now, arrived_at });
                self.rate.time_passed(self.now);
                if self.now > reported_at + Duration::from_millis(62) && bits_per_second > 0.0 {
                    reported_at = self.now;
                    let now = self.now;
                    // The far end speaks only of what has reached it by now.
                    let (known, later): (Vec<Fate>, Vec<Fate>) =
                        self.unreported.drain(..).partition(|fate| fate.arrived_at.is_none_or(|at| at <= now));
                    self.unreported = later;
                    self.rate.packets_reported(self.now, &known);
                }
            }
        }
    }

    #[test]
    fn a_good_line_is_used_to_the_limit_of_the_picture() {
        let mut line = Line::new(1);
        line.run(15, 5_000_000.0, 0.0);
        assert_eq!(line.rate.picture_bits_per_second(), 1_000_000);
    }

    #[test]
    fn a_narrow_line_is_found_and_its_queue_stays_short() {
        let mut line = Line::new(2);
        line.run(20, 300_000.0, 0.01);
        line.worst_queueing = Duration::ZERO;
        line.run(30, 300_000.0, 0.01);
        let total = line.rate.total_bits_per_second();
        assert!((150_000.0..=330_000.0).contains(&total), "{total}");
        assert!(line.worst_queueing < Duration::from_millis(500), "{:?}", line.worst_queueing);
    }

    #[test]
    fn after_a_cut_the_picture_comes_back_by_itself() {
        let mut line = Line::new(3);
        line.run(20, 2_000_000.0, 0.0);
        line.run(8, 0.0, 0.0);
        assert_eq!(line.rate.picture_bits_per_second(), PICTURE_BITS_PER_SECOND_MIN);
        line.run(30, 2_000_000.0, 0.0);
        assert!(line.rate.picture_bits_per_second() > 700_000, "{}", line.rate.picture_bits_per_second());
    }

    #[test]
    fn five_percent_of_loss_alone_does_not_take_the_picture_away() {
        let mut line = Line::new(4);
        line.run(30, 2_000_000.0, 0.05);
        assert!(line.rate.picture_bits_per_second() > 400_000, "{}", line.rate.picture_bits_per_second());
    }

    #[test]
    fn whatever_is_reported_the_rate_stays_within_its_limits() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        let mut rate = Rate::new(1_000_000);
        for _ in 0..20_000 {
            let fates: Vec<Fate> = (0..chance.random_range(0..40))
                .map(|_| Fate {
                    size_bytes: chance.random_range(0..100_000),
                    departed_at: Duration::from_micros(chance.random_range(0..u64::MAX >> 12)),
                    arrived_at: chance.random_bool(0.5).then(|| Duration::from_micros(chance.random())),
                })
                .collect();
            let now = Duration::from_micros(chance.random_range(0..u64::MAX >> 12));
            if chance.random_bool(0.5) {
                rate.packets_reported(now, &fates);
            } else {
                rate.time_passed(now);
            }
            let picture = rate.picture_bits_per_second();
            assert!((PICTURE_BITS_PER_SECOND_MIN..=1_000_000).contains(&picture), "{picture}");
            assert!(rate.recent.len() <= PACKETS_MAX);
        }
    }
}
