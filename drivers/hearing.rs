//! Whether a device that ought to speak does: when its silence, or its noise, is a fault, and when that is over.

use std::time::{Duration, Instant};

use crate::{Event, Fault, Outgoing};

/// What has been heard of a device that speaks many times a minute, asked or not.
pub(crate) struct Hearing {
    /// So many bytes without a good frame are noise, and not silence.
    noise_bytes: usize,
    /// When the last good frame came, or frames began to be expected; `None` while none are.
    heard_at: Option<Instant>,
    /// Bytes that came since then.
    unheard: usize,
    fault: Option<Fault>,
}

impl Hearing {
    /// Nothing is expected yet.
    pub(crate) fn new(noise_bytes: usize) -> Self {
        Self { noise_bytes, heard_at: None, unheard: 0, fault: None }
    }

    /// From now on frames are expected.
    pub(crate) fn expect(&mut self, now: Instant) {
        self.heard_at = Some(now);
        self.unheard = 0;
    }

    /// No frames are expected any more; a fault stays one until a frame comes.
    pub(crate) fn expect_nothing(&mut self) {
        self.heard_at = None;
        self.unheard = 0;
    }

    /// What was a fault is none any more, and nothing is said of it.
    pub(crate) fn forget_fault(&mut self) {
        self.fault = None;
    }

    /// So many bytes came, whatever they are.
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.unheard = self.unheard.saturating_add(bytes);
    }

    /// A good frame came.
    pub(crate) fn heard(&mut self, now: Instant, out: &mut Outgoing) {
        self.expect(now);
        if self.fault.take().is_some() {
            out.event(Event::Fault(Fault::Recovered));
        }
    }

    /// More came than a device says that has nothing to say.
    pub(crate) fn is_noisy(&self) -> bool {
        self.unheard >= self.noise_bytes
    }

    /// Nothing good has come for so long, or nothing is expected.
    pub(crate) fn is_silent(&self, silence_max: Duration, now: Instant) -> bool {
        self.heard_at.is_none_or(|at| at + silence_max <= now)
    }

    /// When its silence is a fault, if it is not one already.
    pub(crate) fn silence_at(&self, silence_max: Duration) -> Option<Instant> {
        if self.fault.is_some() { None } else { self.heard_at.map(|at| at + silence_max) }
    }

    /// Its silence is a fault now: which, to be said.
    pub(crate) fn fail(&mut self, now: Instant) -> Event {
        let silent_for = self.heard_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let seconds = u16::try_from(silent_for.as_secs()).unwrap_or(u16::MAX);
        let fault = if self.is_noisy() { Fault::Garbled } else { Fault::Silent { seconds } };
        self.fault = Some(fault);
        Event::Fault(fault)
    }
}
