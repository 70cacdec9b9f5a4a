//! A platform under a foot: the weight rises to what it will be, then locks. Shared by the simulated scales.

use std::time::{Duration, Instant};

/// Time for the weight to lock after a step on.
pub(crate) const LOCK: Duration = Duration::from_millis(1_500);

/// What is shown of `weight` to somebody who stepped on at `since`, and whether it is locked.
pub(crate) fn shown(weight: &str, since: Instant, now: Instant) -> (String, bool) {
    let stood = now.saturating_duration_since(since);
    if stood >= LOCK {
        return (weight.to_owned(), true);
    }
    let part = stood.as_secs_f64() / LOCK.as_secs_f64();
    (format!("{:.2}", weight.parse::<f64>().unwrap_or(0.0) * part), false)
}
