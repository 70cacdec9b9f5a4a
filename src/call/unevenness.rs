//! How unevenly the far end's packets come: what they must be kept for, so that picture and voice go on smoothly.

use crate::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Unevenness is measured over this long.
const WINDOW: Duration = Duration::from_secs(10);
/// Before so many pictures or packets of sound nothing is said.
const ENOUGH: usize = 100;
/// One in so many may come later than is said: a hole that is hardly heard.
const LEFT_OUT: usize = 100;
/// A step in the lateness beyond this is another clock: a new source, or one that stood still.
const STEP_MAX: f64 = 3.0;
/// Entries at most; sound has a hundred packets a second.
const CAME_MAX: usize = 2_048;

/// When the packets of one stream came, beside when they were made.
#[derive(Debug, Default)]
pub(crate) struct Unevenness(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Of the packet that was made last: whose, the time in it, and when it came.
    newest: Option<(u32, u32, Instant)>,
    /// When packets came, and how much later than the first of them, in seconds, did they come than they were made.
    came: VecDeque<(Instant, f64)>,
}

impl Unevenness {
    /// A packet of source `ssrc` came; its time is in ticks of a clock with `rate` ticks a second.
    pub(crate) fn came(&self, now: Instant, ssrc: u32, time: u32, rate: u32) {
        let mut seen = lock(&self.0);
        let Seen { newest, came } = &mut *seen;
        let former = newest.filter(|(of, ..)| *of == ssrc);
        let ticks = former.map_or(0, |(_, before, _)| time.wrapping_sub(before).cast_signed());
        if ticks < 0 {
            // Sent again, or overtaken.
            return;
        }
        *newest = Some((ssrc, time, now));
        let later = former.map_or(f64::INFINITY, |(_, _, at)| {
            now.saturating_duration_since(at).as_secs_f64() - f64::from(ticks) / f64::from(rate.max(1))
        });
        if later.abs() > STEP_MAX {
            came.clear();
        }
        let late = came.back().map_or(0.0, |(_, before)| before + later);
        came.push_back((now, late));
        while came.len() > CAME_MAX || came.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            came.pop_front();
        }
    }

    /// How much later than the fastest did the packets of the last ten seconds come, all but one in a hundred.
    pub(crate) fn spread(&self) -> Duration {
        let mut late: Vec<f64> = lock(&self.0).came.iter().map(|(_, late)| *late).collect();
        if late.len() < ENOUGH {
            return Duration::ZERO;
        }
        late.sort_by(f64::total_cmp);
        let slow = late.len() - 1 - late.len() / LEFT_OUT;
        Duration::try_from_secs_f64(late[slow] - late[0]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    /// So many packets of 10 ms each, each that many milliseconds late.
    fn hears(line: &Unevenness, from: (Instant, u32), packets: u32, late: impl Fn(u32) -> u64) -> (Instant, u32) {
        for number in 0..packets {
            let at = from.0 + Duration::from_millis(u64::from(number) * 10 + late(number));
            line.came(at, 7, from.1.wrapping_add(number * RATE / 100), RATE);
        }
        (from.0 + Duration::from_millis(u64::from(packets) * 10), from.1.wrapping_add(packets * RATE / 100))
    }

    #[test]
    fn what_comes_evenly_is_not_kept_and_what_comes_in_bursts_for_as_long_as_they_are_apart() {
        let line = Unevenness::default();
        // The time in the packets begins anew on the way.
        let start = (Instant::now(), u32::MAX - 20_000);
        let next = hears(&line, start, 50, |_| 40);
        assert_eq!(line.spread(), Duration::ZERO, "too few to say");
        let next = hears(&line, next, 200, |_| 40);
        assert!(line.spread() < Duration::from_micros(10), "{:?}", line.spread());
        // Eight come together.
        let next = hears(&line, next, 400, |number| 40 + u64::from(7 - number % 8) * 10);
        let spread = line.spread().as_millis();
        assert!((69..=71).contains(&spread), "{spread}");
        // Ten seconds later that is forgotten.
        hears(&line, next, 1_010, |_| 40);
        assert!(line.spread() < Duration::from_micros(10), "{:?}", line.spread());
    }

    #[test]
    fn one_late_packet_and_another_clock_are_no_unevenness() {
        let line = Unevenness::default();
        let (at, time) = hears(&line, (Instant::now(), 0), 500, |number| if number == 300 { 9 } else { 0 });
        assert!(line.spread() < Duration::from_micros(10), "{:?}", line.spread());
        // One that comes again, and one that is overtaken, count for nothing.
        line.came(at + Duration::from_secs(2), 7, time - RATE, RATE);
        assert!(line.spread() < Duration::from_micros(10), "{:?}", line.spread());
        // The source stood still for a minute, but its clock went on less; then it is another source.
        let next = hears(&line, (at + Duration::from_secs(60), time), 200, |_| 0);
        assert!(line.spread() < Duration::from_micros(10), "{:?}", line.spread());
        for number in 0..200 {
            line.came(next.0 + Duration::from_millis(number * 10), 8, number as u32 * RATE / 100, RATE);
        }
        assert!(line.spread() < Duration::from_micros(10), "{:?}", line.spread());
    }
}
