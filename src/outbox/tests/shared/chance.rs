//! Chance with a seed that is printed, and that replays when `OUTBOX_SEED` gives it again.

/// xorshift: enough to choose sizes, moments and what a drive keeps.
#[derive(Clone)]
pub struct Chance(u64);

impl Chance {
    /// The seed of `OUTBOX_SEED`, or a new one; printed.
    pub fn new() -> Chance {
        let seed = std::env::var("OUTBOX_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        eprintln!("OUTBOX_SEED={seed}");
        Chance::seeded(seed)
    }

    pub fn seeded(seed: u64) -> Chance {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        chance.below(2);
        chance
    }

    /// Below `end`, which is above zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % end
    }

    pub fn bytes(&mut self, longest: u64) -> Vec<u8> {
        let length = self.below(longest);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// A number from the environment: what the long form of a test asks for.
pub fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}
