//! Random and mutated bytes into every driver, seeded: a short run here, `DRIVERS_GARBAGE_BYTES` (10 million a driver) in
//! `make fuzz`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use drivers::capture::{Capture, Direction};
use drivers::{MODELS, Model};

/// Bytes a driver in `make test`.
const BYTES: usize = 2_000_000;
/// Most bytes fed to one protocol before another one begins.
const INPUT_MAX: usize = 4_096;

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

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// What a model has said in any of its captures, capture by capture.
fn recorded(model: &Model) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // In the same order on every machine, so that a seed means the same.
    paths.sort();
    let captures = paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "capture"));
    let captures = captures.map(|path| Capture::parse(&std::fs::read_to_string(path).unwrap()).unwrap());
    let said = |capture: Capture| {
        let bursts = capture.bursts.into_iter().filter(|burst| burst.direction == Direction::FromDevice);
        bursts.flat_map(|burst| burst.bytes).collect()
    };
    captures.filter(|capture| capture.field("model") == Some(model.key)).map(said).collect()
}

/// A stretch of what was recorded, with bits flipped, bytes dropped, stretches repeated and others spliced in.
fn mutated(recorded: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    let stretch = |noise: &mut Noise, length: usize| {
        let one = &recorded[noise.below(recorded.len())];
        let start = noise.below(one.len());
        one.iter().cycle().skip(start).take(length).copied().collect::<Vec<u8>>()
    };
    // From the beginning as often as from anywhere: a conversation has an order.
    let mut data = if noise.next() & 1 == 0 {
        recorded[noise.below(recorded.len())].clone()
    } else {
        let length = 1 + noise.below(INPUT_MAX);
        stretch(noise, length)
    };
    for _ in 0..noise.below(12) {
        if data.is_empty() {
            break;
        }
        let at = noise.below(data.len());
        let length = 1 + noise.below(16.min(data.len() - at));
        match noise.below(5) {
            0 => data[at] ^= 1 << noise.below(8),
            1 => drop(data.drain(at..at + length)),
            2 => {
                let again = data[at..at + length].repeat(1 + noise.below(3));
                data.splice(at..at, again);
            }
            3 => {
                let other = stretch(noise, length);
                data.splice(at..at, other);
            }
            _ => data[at] = noise.byte(),
        }
    }
    data.truncate(INPUT_MAX);
    data
}

fn feed(model: &'static Model, seed: u64, bytes: usize) {
    let begun_at = Instant::now();
    let recorded = recorded(model);
    assert!(recorded.iter().all(|said| !said.is_empty()) && !recorded.is_empty(), "{} has no capture", model.key);
    let mut noise = Noise(seed);
    let (mut left, mut inputs, mut readings) = (bytes, 0, 0);
    while left > 0 {
        // The first eight say how the rest is cut, and when time passes.
        let mut data = noise.bytes(8);
        let length = 1 + noise.below(INPUT_MAX);
        data.extend(if noise.below(3) == 0 { noise.bytes(length) } else { mutated(&recorded, &mut noise) });
        readings += drivers::fuzz::protocol(model, &data);
        left = left.saturating_sub(data.len() - 8);
        inputs += 1;
    }
    let ms = begun_at.elapsed().as_millis();
    eprintln!("{:<32} {bytes} bytes in {inputs} inputs gave {readings} plausible readings, {ms} ms", model.key);
}

#[test]
fn no_byte_string_crashes_grows_or_fools_a_driver() {
    let bytes = std::env::var("DRIVERS_GARBAGE_BYTES").map_or(BYTES, |n| n.parse().expect("a number of bytes"));
    let seed = std::env::var("SEED").map_or_else(
        |_| u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() & 0xFFFF_FFFF).unwrap(),
        |seed| seed.parse().expect("a number"),
    );
    eprintln!("SEED={seed}");
    let left = Mutex::new(MODELS.iter());
    let next = || left.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(model) = next() {
                    feed(model, seed, bytes);
                }
            });
        }
    });
}
