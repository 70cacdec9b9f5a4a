//! A short run of what `make fuzz` does for long: random and mutated bytes into every driver, seeded.

use std::time::{SystemTime, UNIX_EPOCH};

use drivers::MODELS;
use drivers::capture::{Capture, Direction};

/// Bytes a driver in this run. `make fuzz` takes more (`DRIVERS_GARBAGE_BYTES`).
const BYTES: usize = 2_000_000;

/// SplitMix64: enough for noise, and the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }
}

fn recorded(key: &str) -> Vec<u8> {
    let path = format!("{}/../tests/captures/{key}.capture", env!("CARGO_MANIFEST_DIR"));
    let capture = Capture::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    capture.bursts.into_iter().filter(|b| b.direction == Direction::FromDevice).flat_map(|b| b.bytes).collect()
}

#[test]
fn no_byte_string_crashes_grows_or_fools_a_driver() {
    let bytes = std::env::var("DRIVERS_GARBAGE_BYTES").map_or(BYTES, |n| n.parse().expect("a number of bytes"));
    let seed = std::env::var("SEED").map_or_else(
        |_| u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() & 0xFFFF_FFFF).unwrap(),
        |seed| seed.parse().expect("a number"),
    );
    for model in MODELS {
        eprintln!("{}: SEED={seed}", model.key);
        let recorded = recorded(model.key);
        let mut noise = Noise(seed);
        let mut left = bytes;
        while left > 0 {
            let length = 64 + noise.below(4_000);
            let mut data: Vec<u8> = if noise.next() & 1 == 0 {
                (0..length).map(|_| noise.next() as u8).collect()
            } else {
                // A recording cut anywhere, with a few bytes changed, lost or doubled.
                let mut data: Vec<u8> = (0..8).map(|_| noise.next() as u8).collect();
                let start = noise.below(recorded.len());
                data.extend(recorded.iter().cycle().skip(start).take(length));
                for _ in 0..noise.below(12) {
                    let at = noise.below(data.len());
                    match noise.below(3) {
                        0 => data[at] ^= 1 << noise.below(8),
                        1 => drop(data.remove(at)),
                        _ => data.insert(at, data[at]),
                    }
                }
                data
            };
            data.truncate(left.max(9));
            left = left.saturating_sub(data.len());
            drivers::fuzz::protocol(model, &data);
        }
    }
}
