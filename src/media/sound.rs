//! A piece of sound on its way from a microphone to whoever hears it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Consecutive samples of one channel.
#[derive(Clone, PartialEq, Eq)]
pub struct SoundBlock {
    /// Samples a second.
    pub rate: u32,
    /// 16 bits each. Cheap to clone: they are shared.
    pub samples: Arc<[i16]>,
    /// What was lost just before, because this machine was too busy; nothing on a good day.
    pub missing: Duration,
}

/// The sound is of a person: only its length is printed.
impl fmt::Debug for SoundBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoundBlock of {} at {} Hz [patient]", self.samples.len(), self.rate)
    }
}
