//! When an oximeter's moving figures are a reading: after six settled seconds, or after thirty that never settle.
//!
//! Shared by every oximeter, so that the same finger gives a reading by the same rule whichever device is plugged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::vitals::{PulseRate, Spo2};

use crate::Now;

/// Times a second that [`Settling::take`] is to be called.
pub(crate) const RATE_HZ: usize = 3;
/// Figures that must agree before they are a reading: 6 s, longer than the averages of the devices themselves.
pub(crate) const STABLE: usize = 6 * RATE_HZ;
/// Figures of a tracked pulse after which a reading is taken even if it moves: 30 s. A pulse that never settles
/// (arrhythmia) is a finding, not a failure.
const STABLE_MAX: u32 = 30 * RATE_HZ as u32;
/// Saturation may move by that much over a reading, %.
const SPO2_SPREAD_MAX: u8 = 2;
/// Pulse may move by that much over a reading, beats a minute.
const PULSE_SPREAD_MAX: u16 = 8;
/// Time for a measurement, from its start or from the return of the port.
pub(crate) const MEASUREMENT_MAX: Duration = Duration::from_secs(90);

/// A measurement under way.
pub(crate) struct Settling {
    pub(crate) deadline: Instant,
    /// Figures of the last seconds, all tracked, newest last.
    figures: VecDeque<(Spo2, PulseRate)>,
    /// Figures in a row.
    tracked: u32,
}

impl Settling {
    pub(crate) fn new(now: Now) -> Self {
        Self { deadline: now.instant + MEASUREMENT_MAX, figures: VecDeque::new(), tracked: 0 }
    }

    /// The port has come back: all the time of a measurement again, and nothing of before counts.
    pub(crate) fn reopened(&mut self, now: Now) {
        *self = Self::new(now);
    }

    /// There are no figures now: what follows begins anew.
    pub(crate) fn interrupted(&mut self) {
        self.figures.clear();
        self.tracked = 0;
    }

    /// The finger moved: these figures do not count, the pulse is tracked all the same.
    pub(crate) fn moved(&mut self) {
        self.tracked += 1;
        self.figures.clear();
    }

    /// The next figures, [`RATE_HZ`] times a second. Says whether they are the reading.
    pub(crate) fn take(&mut self, spo2: Spo2, pulse: PulseRate) -> bool {
        self.tracked += 1;
        self.figures.push_back((spo2, pulse));
        if self.figures.len() > STABLE {
            self.figures.pop_front();
        }
        self.figures.len() == STABLE && (self.tracked >= STABLE_MAX || self.is_settled())
    }

    fn is_settled(&self) -> bool {
        fn spread(values: impl Iterator<Item = u16> + Clone) -> u16 {
            values.clone().max().unwrap_or(0) - values.min().unwrap_or(0)
        }
        spread(self.figures.iter().map(|(s, _)| s.percent().into())) <= u16::from(SPO2_SPREAD_MAX)
            && spread(self.figures.iter().map(|(_, p)| p.per_minute())) <= PULSE_SPREAD_MAX
    }
}
