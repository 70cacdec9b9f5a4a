//! Lets no more pictures to the encoder than are planned.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Lets no more pictures to the encoder than are planned, and none while the former ones still wait to leave.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Nanoseconds between two pictures at least.
    pub(super) every: AtomicU64,
    /// Each picture is to be complete in itself.
    pub(super) stills: AtomicBool,
    /// Packets that may wait.
    pub(super) behind_max: AtomicU32,
    /// When the last one passed, on the pipeline's own clock.
    passed_at: AtomicU64,
}

/// Packets of the picture may wait for a quarter of a second to leave, and then the next picture is left out: the
/// encoder does not always spend as little as it is told.
pub(super) const BEHIND_PER_SECOND: u32 = 4;
/// Fewer than these are no delay.
const BEHIND_MIN: u32 = 3;

impl Gate {
    pub(super) fn passes(&self, at: u64, waiting: usize) -> bool {
        let last = self.passed_at.load(Ordering::Relaxed);
        // Timestamps that jump back belong to a new source.
        let due = at < last || at - last >= self.every.load(Ordering::Relaxed);
        let passes = due && waiting <= self.behind_max.load(Ordering::Relaxed).max(BEHIND_MIN) as usize;
        if passes {
            self.passed_at.store(at, Ordering::Relaxed);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_picture_is_encoded_while_the_former_ones_wait_to_leave() {
        let gate = Gate::default();
        gate.every.store(100, Ordering::Relaxed);
        assert!(gate.passes(1_000, 0));
        assert!(!gate.passes(1_050, 0), "sooner than planned");
        gate.behind_max.store(8, Ordering::Relaxed);
        assert!(!gate.passes(1_100, 9), "behind");
        assert!(gate.passes(1_120, 8));
        assert!(gate.passes(500, 0), "a new source begins anew");
    }
}
