//! What of the far end's picture is lost on the way here, and how long its packets are kept for that.

use crate::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Loss is measured over this long.
const WINDOW: Duration = Duration::from_secs(2);
/// Above this share, in thousandths, packets are kept for the ones that are sent again.
const LOSSY_THOUSANDTHS: u32 = 8;
/// Where a shorter time would have done for so long, what is received is shown sooner again.
const GOOD_AFTER: Duration = Duration::from_secs(20);
/// The far end notices a loss, and asks, within this time of it; and the answer waits its turn.
const ASKING: Duration = Duration::from_millis(150);
/// What came unevenly may come a little more so next.
const SPREAD_ALLOWANCE: f64 = 1.2;
/// Nothing is kept longer: a conversation has its limits.
const KEPT_MAX: Duration = Duration::from_millis(900);
/// A step in the numbers beyond this is a new stream, not a loss.
const GAP_MAX: u16 = 500;
/// Entries at most; a picture has some hundred packets a second.
const CAME_MAX: usize = 8_192;

/// The packets of the picture, as they came.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    newest: Option<u16>,
    /// When, and how many were missing just before it.
    came: VecDeque<(Instant, u16)>,
    /// What was said last, and since when less would do.
    kept: Option<Duration>,
    less_since: Option<Instant>,
}

impl Arrivals {
    /// A packet of this number came.
    pub(crate) fn came(&self, now: Instant, number: u16) {
        let mut seen = lock(&self.0);
        let step = seen.newest.map_or(1, |newest| number.wrapping_sub(newest));
        if step == 0 || step > u16::MAX / 2 {
            // Sent again, or overtaken.
            return;
        }
        let missing = if step > GAP_MAX { 0 } else { step - 1 };
        seen.newest = Some(number);
        seen.came.push_back((now, missing));
        while seen.came.len() > CAME_MAX || seen.came.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            seen.came.pop_front();
        }
    }

    /// The share that did not come at its turn in the last two seconds, in thousandths.
    pub(crate) fn lost_thousandths(&self) -> u32 {
        let seen = lock(&self.0);
        let missing: u32 = seen.came.iter().map(|(_, missing)| u32::from(*missing)).sum();
        let all = missing + u32::try_from(seen.came.len()).unwrap_or(u32::MAX);
        (missing * 1_000).checked_div(all).unwrap_or(0)
    }

    /// How long packets are kept: as asked on a line on which they come evenly; longer where some come later than others,
    /// by `spread`; and where some are lost, long enough to ask for one and to get it. Changed in large steps only, since
    /// each is heard.
    pub(crate) fn kept(&self, now: Instant, asked: Duration, spread: Duration, round_trip: Duration) -> Duration {
        let lossy = self.lost_thousandths() > LOSSY_THOUSANDTHS;
        let mut seen = lock(&self.0);
        let again = if lossy { (round_trip + round_trip / 4 + ASKING).as_millis() as u64 } else { 0 };
        let uneven = if spread > asked { spread.mul_f64(SPREAD_ALLOWANCE).as_millis() as u64 } else { 0 };
        let wanted = again.next_multiple_of(150).max(uneven.next_multiple_of(50));
        let wanted = Duration::from_millis(wanted).clamp(asked, KEPT_MAX.max(asked));
        let kept = seen.kept.unwrap_or(asked);
        let less = wanted < kept;
        let due = less && now >= *seen.less_since.get_or_insert(now) + GOOD_AFTER;
        if !less || due {
            seen.less_since = None;
            seen.kept = Some(wanted);
        }
        seen.kept.unwrap_or(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_kept_for_a_round_trip_only_where_some_are_lost() {
        let (asked, round_trip) = (Duration::from_millis(200), Duration::from_millis(320));
        let (arrivals, mut now) = (Arrivals::default(), Instant::now());
        let mut number = 65_000_u16;
        let mut come = |lost: bool, now: &mut Instant| {
            for _ in 0..200 {
                number = number.wrapping_add(if lost && number.is_multiple_of(20) { 2 } else { 1 });
                *now += Duration::from_millis(10);
                arrivals.came(*now, number);
            }
            arrivals.kept(*now, asked, Duration::ZERO, round_trip)
        };
        assert_eq!(come(false, &mut now), asked);
        assert_eq!(come(true, &mut now), Duration::from_millis(600));
        assert_eq!(come(false, &mut now), Duration::from_millis(600), "a line is not good at once");
        for _ in 0..10 {
            come(false, &mut now);
        }
        assert_eq!(come(false, &mut now), asked);
        assert_eq!(arrivals.lost_thousandths(), 0);
    }

    #[test]
    fn packets_are_kept_longer_at_once_where_they_come_unevenly_and_shorter_when_they_long_came_evenly() {
        let (asked, round_trip) = (Duration::from_millis(60), Duration::from_millis(40));
        let (arrivals, start) = (Arrivals::default(), Instant::now());
        let kept = |seconds, spread| {
            let (now, spread) = (start + Duration::from_secs(seconds), Duration::from_millis(spread));
            arrivals.kept(now, asked, spread, round_trip).as_millis()
        };
        assert_eq!(kept(0, 50), 60);
        assert_eq!(kept(1, 110), 150);
        assert_eq!(kept(2, 20), 150, "a line is not good at once");
        assert_eq!(kept(15, 110), 150);
        assert_eq!(kept(16, 20), 150);
        assert_eq!(kept(35, 20), 150);
        assert_eq!(kept(36, 20), 60);
        assert_eq!(kept(37, 5_000), 900, "a conversation has its limits");
    }

    #[test]
    fn a_packet_sent_again_was_lost_all_the_same_and_a_new_stream_is_no_loss() {
        let (arrivals, now) = (Arrivals::default(), Instant::now());
        for number in [10, 11, 13, 12, 14, 15, 16, 17, 18, 19] {
            arrivals.came(now, number);
        }
        assert_eq!(arrivals.lost_thousandths(), 100);
        arrivals.came(now, 30_000);
        assert!(arrivals.lost_thousandths() < 100);
    }
}
