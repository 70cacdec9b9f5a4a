//! Whether what comes from a personal health device makes sense: noise, or a device of another kind, is a fault.

use crate::Fault;

use super::manager::Heard;

/// So many bytes that are no message are noise, and not a message cut.
const NOISE_BYTES: usize = 64;

/// The condition of the line and of what is on it.
#[derive(Default)]
pub(crate) struct Condition {
    noise: usize,
    is_garbled: bool,
}

impl Condition {
    /// The cable is new.
    pub(crate) fn opened(&mut self) {
        self.noise = 0;
    }

    /// The fault that begins or ends with what was heard.
    pub(crate) fn hear(&mut self, heard: &Heard) -> Option<Fault> {
        match heard {
            Heard::Operating => {
                self.noise = 0;
                return std::mem::take(&mut self.is_garbled).then_some(Fault::Recovered);
            }
            Heard::Noise(bytes) => self.noise = self.noise.saturating_add(*bytes),
            Heard::Unfit => self.noise = NOISE_BYTES,
            _ => {}
        }
        let begins = self.noise >= NOISE_BYTES && !self.is_garbled;
        self.is_garbled |= begins;
        begins.then_some(Fault::Garbled)
    }
}
