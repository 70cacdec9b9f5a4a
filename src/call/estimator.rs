//! What the line carries, learned from what the far end says of each packet (transport-wide feedback).
//!
//! Pure: no clock, no socket. Every instant is an argument, counted from the start of the call.
//!
//! The library's own estimator lets an application-limited source climb to its maximum and then puts
//! the sound behind key frames in one queue; measured, it silences a rural line. This one grows only in
//! proportion to what was proven to arrive, gives way to queueing before packets are lost, and takes a loss
//! that does not depend on the rate (radio, old copper) for the line's own. There is no pacer: a voice packet
//! leaves when it is made.

use std::collections::VecDeque;
use std::time::Duration;

/// Where a call begins: enough for a whole picture of 640x480, and a rural ADSL uplink carries it.
pub const BITS_PER_SECOND_START: u32 = 560_000;
/// The estimate never falls below: a narrow sound and a little more.
pub const BITS_PER_SECOND_MIN: u32 = 45_000;

/// The rate proven to arrive is measured over this long.
const WINDOW: Duration = Duration::from_millis(1_000);
/// Loss is a share of few packets on a narrow line: measured over longer.
const LOSS_WINDOW: Duration = Duration::from_millis(2_000);
/// Decisions are taken this often at most, so that one burst is not punished twice.
const DECIDE_EVERY: Duration = Duration::from_millis(200);
/// The smallest delay seen in this long stands for the empty line. Long enough to outlive a full queue,
/// short enough to follow a change of route.
const EMPTY_LINE_MEMORY: Duration = Duration::from_secs(30);
/// With no word from the far end for this long, the line is taken for cut and the rate is halved.
pub const SILENCE: Duration = Duration::from_millis(1_000);
/// Queueing that outlives several decreases is no queue: the way itself has become longer.
const NEW_ROUTE_AFTER: Duration = Duration::from_secs(4);
/// One decrease leaves this part at least; the next follows a round trip later.
const SLOWED_MAX: f64 = 0.6;
/// The line is approached slowly where it was found full within this time,
const KNEE_MEMORY: Duration = Duration::from_secs(30);
/// and most slowly within this.
const KNEE_FRESH: Duration = Duration::from_secs(8);
/// Queueing above this means that more is sent than the line carries.
const QUEUE_FULL: Duration = Duration::from_millis(120);
/// Queueing below this leaves room to grow.
const QUEUE_EMPTY: Duration = Duration::from_millis(50);
/// Loss below this never slows the call down.
const LOSS_BORNE: f64 = 0.10;
/// A line's own loss is believed up to this share; more is a line that is overfull with a short queue.
const USUAL_LOSS_MAX: f64 = 0.12;
/// The time in which a loss becomes usual.
const USUAL_AFTER: Duration = Duration::from_secs(10);
/// Packets remembered at most; at 1,200 bytes this is far above the windows at the highest rate.
const PACKETS_MAX: usize = 4_096;
/// A round trip is taken for no longer than this.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(3);

/// The fate of one sent packet, as the far end reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Bytes on the wire, every header included.
    pub size_bytes: usize,
    /// When it left, from the start of the call.
    pub departed_at: Duration,
    /// When it arrived, on the far end's clock; `None` when it was lost.
    pub arrived_at: Option<Duration>,
}

/// What is known of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What it carries, in bits a second, every header included.
    pub bits_per_second: u32,
    /// The share of packets lost lately, in thousandths.
    pub lost_thousandths: u32,
    /// There and back, with the far end's time to report; zero before the first report.
    pub round_trip: Duration,
    /// Nothing is heard from the far end.
    pub silent: bool,
}

/// The estimator.
#[derive(Debug, Clone)]
pub struct Estimator {
    target: f64,
    maximum: f64,
    recent: VecDeque<Fate>,
    /// (when it was seen, one-way delay in microseconds on two unrelated clocks): increasing delays.
    empty_line: VecDeque<(Duration, i64)>,
    /// Since when the queue seems to be full, and the target of then.
    full_since: Option<(Duration, f64)>,
    decided_at: Duration,
    heard_at: Duration,
    /// Growth waits until then after the line was found full, and so does the next decrease.
    grow_after: Duration,
    slow_after: Duration,
    /// What arrived when the line was last found full, and when that was.
    knee: Option<(f64, Duration)>,
    /// The target before the far end went silent.
    before_silence: Option<f64>,
    /// What left before then and was lost, was lost to the silence.
    silent_until: Duration,
    loss: f64,
    usual_loss: f64,
    round_trip: Duration,
}

impl Estimator {
    /// Starts at [`BITS_PER_SECOND_START`] and never says more than `maximum`, in bits a second.
    pub fn new(maximum: u32) -> Estimator {
        let maximum = f64::from(maximum.max(BITS_PER_SECOND_MIN));
        Estimator {
            target: f64::from(BITS_PER_SECOND_START).min(maximum),
            maximum,
            recent: VecDeque::new(),
            empty_line: VecDeque::new(),
            full_since: None,
            decided_at: Duration::ZERO,
            heard_at: Duration::ZERO,
            grow_after: Duration::ZERO,
            slow_after: Duration::ZERO,
            knee: None,
            before_silence: None,
            silent_until: Duration::ZERO,
            loss: 0.0,
            usual_loss: 0.0,
            round_trip: Duration::ZERO,
        }
    }

    /// What is known now.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            bits_per_second: self.target as u32,
            lost_thousandths: (self.loss * 1_000.0) as u32,
            round_trip: self.round_trip,
            silent: self.before_silence.is_some(),
        }
    }

    /// Takes in the fate of packets, in the order of their departure.
    pub fn packets_reported(&mut self, now: Duration, fates: &[Fate]) {
        if fates.is_empty() {
            return;
        }
        self.heard_at = now;
        if let Some(before) = self.before_silence.take() {
            // The line is back: half of what it carried is a guess that one second corrects.
            self.silent_until = now;
            self.recent.clear();
            self.set((before * 0.5).max(self.target));
            self.grow_after = now;
        }
        let fates = fates.iter().filter(|fate| fate.arrived_at.is_some() || fate.departed_at >= self.silent_until);
        let fates: Vec<Fate> = fates.copied().collect();
        for fate in &fates {
            self.recent.push_back(*fate);
            if let Some(delay) = delay_micros(fate) {
                while self.empty_line.back().is_some_and(|(_, larger)| *larger >= delay) {
                    self.empty_line.pop_back();
                }
                self.empty_line.push_back((now, delay));
            }
        }
        if let Some(last) = fates.iter().rev().find(|fate| fate.arrived_at.is_some()) {
            let measured = now.saturating_sub(last.departed_at).min(ROUND_TRIP_MAX);
            self.round_trip =
                if self.round_trip.is_zero() { measured } else { self.round_trip.mul_f64(0.9) + measured.mul_f64(0.1) };
        }
        let newest = self.recent.iter().map(|fate| fate.departed_at).max().unwrap_or_default();
        while self.recent.len() > PACKETS_MAX
            || self.recent.front().is_some_and(|oldest| oldest.departed_at.saturating_add(LOSS_WINDOW) < newest)
        {
            self.recent.pop_front();
        }
        while self.empty_line.len() > 1
            && self.empty_line.front().is_some_and(|(seen, _)| seen.saturating_add(EMPTY_LINE_MEMORY) < now)
        {
            self.empty_line.pop_front();
        }
        if now >= self.decided_at.saturating_add(DECIDE_EVERY) {
            let elapsed = (now - self.decided_at).min(Duration::from_secs(1));
            self.decided_at = now;
            self.decide(now, elapsed, queueing(&fates, self.empty_line.front()), newest);
        }
    }

    /// To be called now and then: halves the rate when nothing is heard any more.
    pub fn time_passed(&mut self, now: Duration) {
        if self.heard_at > Duration::ZERO && now >= self.heard_at.saturating_add(SILENCE) {
            self.heard_at = now;
            self.before_silence.get_or_insert(self.target);
            self.set(self.target * 0.5);
        }
    }

    fn decide(&mut self, now: Duration, elapsed: Duration, queueing: Option<Duration>, newest: Duration) {
        let lost = self.recent.iter().filter(|fate| fate.arrived_at.is_none()).count();
        self.loss = lost as f64 / self.recent.len().max(1) as f64;
        let part = elapsed.as_secs_f64() / USUAL_AFTER.as_secs_f64();
        self.usual_loss += (self.loss.min(USUAL_LOSS_MAX) - self.usual_loss) * part;
        let borne = LOSS_BORNE.max(self.usual_loss * 1.5 + 0.04);
        let arrived = self.arrived_bits_per_second(newest);
        let queueing = queueing.unwrap_or_default();
        if queueing <= QUEUE_FULL {
            self.full_since = None;
        }
        let (full_since, before) = match self.full_since {
            _ if queueing <= QUEUE_FULL => (now, self.target),
            since => *self.full_since.insert(since.unwrap_or((now, self.target))),
        };
        if queueing > QUEUE_FULL && now >= full_since.saturating_add(NEW_ROUTE_AFTER) {
            self.full_since = None;
            self.knee = None;
            let since = newest.saturating_sub(WINDOW);
            let lately = self.recent.iter().filter(|fate| fate.departed_at >= since).filter_map(delay_micros).min();
            self.empty_line.clear();
            self.empty_line.extend(lately.map(|delay| (now, delay)));
            self.set((before * 0.4).max(self.target));
        } else if queueing > QUEUE_FULL {
            // A source that sent less than it might has not found where the line is full.
            if arrived > 0.7 * self.target {
                self.knee = Some((self.knee.map_or(arrived, |(knee, _)| knee * 0.7 + arrived * 0.3), now));
            }
            if now >= self.slow_after || queueing > QUEUE_FULL * 3 {
                // Below what arrives, so that the queue drains; how far below grows with the queue.
                let drain = if queueing > QUEUE_FULL * 3 { 0.7 } else { 0.85 };
                // A source that sends less than it may says little about the line by what arrives: not below this part.
                self.set(self.target.min((arrived * drain).max(self.target * SLOWED_MAX)));
                self.wait(now);
            }
        } else if self.loss > borne {
            if now >= self.slow_after {
                self.set(self.target * (1.0 - 0.5 * self.loss));
                self.wait(now);
            }
        } else if queueing < QUEUE_EMPTY && now >= self.grow_after {
            self.knee = self.knee.filter(|(knee, at)| self.target < 1.2 * knee && now < at.saturating_add(KNEE_MEMORY));
            let growth = match self.knee {
                Some((knee, _)) if self.target < 0.8 * knee => 0.25,
                Some((_, at)) if now < at.saturating_add(KNEE_FRESH) => 0.05,
                Some(_) => 0.10,
                None => 0.25,
            };
            let grown = self.target * (1.0 + growth * elapsed.as_secs_f64());
            // A source that sends less than it may proves nothing about the line: never beyond one
            // and a half times what arrived.
            self.set(grown.min(arrived * 1.5 + 20_000.0).max(self.target));
        }
    }

    /// What a decision does is seen after a round trip.
    fn wait(&mut self, now: Duration) {
        self.slow_after = now.saturating_add(self.round_trip);
        self.grow_after = now.saturating_add(WINDOW.max(self.round_trip * 2));
    }

    fn arrived_bits_per_second(&self, newest: Duration) -> f64 {
        let recent = self.recent.iter().filter(|fate| fate.departed_at.saturating_add(WINDOW) >= newest);
        let arrived: Vec<(Duration, usize)> =
            recent.filter_map(|fate| Some((fate.arrived_at?, fate.size_bytes))).collect();
        let Some((first, _)) = arrived.first() else { return 0.0 };
        let (oldest, newest) =
            arrived.iter().fold((*first, *first), |(low, high), (at, _)| (low.min(*at), high.max(*at)));
        let span = (newest - oldest).as_secs_f64().max(0.3);
        arrived.iter().map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>() / span
    }

    fn set(&mut self, target: f64) {
        self.target = target.clamp(f64::from(BITS_PER_SECOND_MIN), self.maximum);
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
    use link::{Conditions, Line};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const GOOD: Conditions = Conditions { bits_per_second: 2_000_000, ..RURAL };
    const RURAL: Conditions = Conditions {
        bits_per_second: 300_000,
        queue: Duration::from_millis(400),
        delay: Duration::from_millis(150),
        jitter: Duration::from_millis(10),
        loss_thousandths: 50,
    };

    /// A sender that uses all it may, half of it in small packets at their own pace as a voice is, over an emulated
    /// line, in virtual time. The far end reports every tenth of a second, and its reports take the way back.
    struct Bench {
        estimator: Estimator,
        line: Line<usize>,
        sent: Vec<(Duration, usize, Option<Duration>)>,
        reported: usize,
        reports: VecDeque<(Duration, Vec<Fate>)>,
        now: Duration,
        voice_at: Duration,
        picture_at: Duration,
        report_at: Duration,
        /// One report in so many is lost on its way back.
        reports_lost: Option<u32>,
        chance: StdRng,
        /// How long voice packets took, since it was last cleared.
        voice: Vec<Duration>,
    }

    impl Bench {
        fn new(conditions: Conditions, seed: u64) -> Bench {
            println!("seed {seed}");
            Bench {
                estimator: Estimator::new(1_100_000),
                line: Line::new(conditions, seed),
                sent: Vec::new(),
                reported: 0,
                reports: VecDeque::new(),
                now: Duration::ZERO,
                voice_at: Duration::ZERO,
                picture_at: Duration::ZERO,
                report_at: Duration::ZERO,
                reports_lost: None,
                chance: StdRng::seed_from_u64(!seed),
                voice: Vec::new(),
            }
        }

        fn send(&mut self, bytes: usize) {
            self.line.send(self.now, bytes, self.sent.len());
            self.sent.push((self.now, bytes, None));
        }

        /// Runs so many seconds, a millisecond at a time.
        fn run(&mut self, conditions: Conditions, seconds: u64) {
            self.line.set(conditions, self.now);
            let end = self.now + Duration::from_secs(seconds);
            while self.now < end {
                self.now += Duration::from_millis(1);
                if self.now >= self.voice_at {
                    self.voice_at = self.now + Duration::from_millis(20);
                    self.send(140);
                }
                if self.now >= self.picture_at {
                    let picture = f64::from(self.estimator.estimate().bits_per_second) - 56_000.0;
                    self.picture_at = self.now + Duration::from_secs_f64(8_000.0 / picture.max(8_000.0));
                    self.send(1_000);
                }
                while let Some((at, number)) = self.line.receive(self.now) {
                    self.sent[number].2 = Some(at);
                    if self.sent[number].1 == 140 {
                        self.voice.push(at - self.sent[number].0);
                    }
                }
                if self.now >= self.report_at {
                    self.report_at = self.now + Duration::from_millis(100);
                    // The far end knows what is missing only when something later came.
                    let last = self.sent.iter().rposition(|(_, _, arrived)| arrived.is_some());
                    if let Some(last) = last.filter(|last| *last >= self.reported) {
                        let fates =
                            self.sent[self.reported..=last].iter().map(|(departed_at, size_bytes, arrived_at)| Fate {
                                size_bytes: *size_bytes,
                                departed_at: *departed_at,
                                arrived_at: *arrived_at,
                            });
                        let fates = fates.collect();
                        self.reported = last + 1;
                        let lost = self.reports_lost.is_some_and(|one_in| self.chance.random_ratio(1, one_in));
                        if self.line.conditions().bits_per_second > 0 && !lost {
                            self.reports.push_back((self.now + self.line.conditions().delay, fates));
                        }
                    }
                }
                while self.reports.front().is_some_and(|(at, _)| *at <= self.now) {
                    if let Some((_, fates)) = self.reports.pop_front() {
                        self.estimator.packets_reported(self.now, &fates);
                    }
                }
                self.estimator.time_passed(self.now);
            }
        }

        fn bits(&self) -> u32 {
            self.estimator.estimate().bits_per_second
        }

        /// The 95th percentile of the voice's delay beyond the line's own, since it was last asked.
        fn voice_queued(&mut self) -> Duration {
            let mut voice = std::mem::take(&mut self.voice);
            voice.sort();
            let worst = voice.get(voice.len() * 95 / 100).copied().unwrap_or_default();
            worst.saturating_sub(self.line.conditions().delay)
        }
    }

    #[test]
    fn a_good_line_is_used_to_the_limit_within_ten_seconds() {
        let mut bench = Bench::new(GOOD, 1);
        bench.run(Conditions { loss_thousandths: 0, ..GOOD }, 10);
        assert_eq!(bench.bits(), 1_100_000);
    }

    #[test]
    fn a_rural_line_is_found_and_the_voice_does_not_wait_behind_the_picture() {
        for seed in 1..=5 {
            let mut bench = Bench::new(RURAL, seed);
            bench.run(RURAL, 20);
            bench.voice.clear();
            for _ in 0..6 {
                bench.run(RURAL, 5);
                assert!((180_000..=330_000).contains(&bench.bits()), "{}", bench.bits());
            }
            let queued = bench.voice_queued();
            assert!(queued < Duration::from_millis(250), "{queued:?}");
        }
    }

    #[test]
    fn reports_that_are_lost_take_nothing_away() {
        for seed in 1..=5 {
            let mut bench = Bench::new(RURAL, seed);
            bench.reports_lost = Some(20);
            bench.run(RURAL, 20);
            for _ in 0..6 {
                bench.run(RURAL, 5);
                assert!((180_000..=400_000).contains(&bench.bits()), "{}", bench.bits());
            }
        }
    }

    #[test]
    fn a_line_that_narrows_is_given_way_to_within_three_seconds() {
        for seed in 1..=5 {
            let mut bench = Bench::new(GOOD, seed);
            bench.run(GOOD, 20);
            bench.run(RURAL, 3);
            bench.voice.clear();
            bench.run(RURAL, 3);
            let queued = bench.voice_queued();
            assert!(queued < Duration::from_millis(300), "{queued:?} at {}", bench.bits());
        }
    }

    #[test]
    fn after_a_cut_of_thirty_seconds_half_is_back_in_two_seconds_and_all_in_fifteen() {
        for seed in 1..=5 {
            let mut bench = Bench::new(GOOD, seed);
            bench.run(GOOD, 20);
            bench.run(Conditions::CUT, 30);
            assert_eq!(bench.bits(), BITS_PER_SECOND_MIN);
            assert!(bench.estimator.estimate().silent);
            bench.run(GOOD, 2);
            assert!(bench.bits() >= 500_000, "{}", bench.bits());
            bench.run(GOOD, 13);
            assert!(bench.bits() >= 1_000_000, "{}", bench.bits());
        }
    }

    #[test]
    fn a_longer_way_is_not_taken_for_a_queue_for_ever() {
        let mut bench = Bench::new(GOOD, 6);
        bench.run(Conditions { delay: Duration::from_millis(10), ..GOOD }, 10);
        bench.run(GOOD, 12);
        assert!(bench.bits() > 500_000, "{}", bench.bits());
    }

    #[test]
    fn a_line_that_comes_back_narrower_is_found_too() {
        let mut bench = Bench::new(GOOD, 3);
        bench.run(GOOD, 20);
        bench.run(Conditions::CUT, 10);
        bench.run(RURAL, 10);
        bench.voice.clear();
        bench.run(RURAL, 10);
        assert!(bench.bits() <= 330_000, "{}", bench.bits());
        assert!(bench.voice_queued() < Duration::from_millis(300));
    }

    #[test]
    fn a_loss_that_does_not_depend_on_the_rate_does_not_take_the_picture_away() {
        for (loss_thousandths, least) in [(50, 900_000), (100, 500_000)] {
            let mut bench = Bench::new(GOOD, 4);
            bench.run(Conditions { loss_thousandths, ..GOOD }, 60);
            assert!(bench.bits() > least, "{} at {loss_thousandths}", bench.bits());
        }
    }

    #[test]
    fn a_line_with_no_queue_that_drops_what_is_too_much_is_not_overrun() {
        let policed = Conditions { queue: Duration::from_millis(30), loss_thousandths: 0, ..RURAL };
        let mut bench = Bench::new(policed, 5);
        bench.run(policed, 60);
        assert!(bench.bits() < 420_000, "{}", bench.bits());
    }

    #[test]
    fn whatever_is_reported_the_estimate_stays_within_its_limits() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        let mut estimator = Estimator::new(1_000_000);
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
                estimator.packets_reported(now, &fates);
            } else {
                estimator.time_passed(now);
            }
            let estimate = estimator.estimate();
            assert!((BITS_PER_SECOND_MIN..=1_000_000).contains(&estimate.bits_per_second), "{estimate:?}");
            assert!(estimate.round_trip <= ROUND_TRIP_MAX && estimate.lost_thousandths <= 1_000, "{estimate:?}");
            assert!(estimator.recent.len() <= PACKETS_MAX);
        }
    }
}
