//! A measurement ends by its device, never by the journey's patience: what a recorder or a cuff still makes after the
//! journey has given up would count as an earlier patient's and be lost.

use std::time::{Duration, Instant};

use consult::journey::measuring_ms_max;
use consult::vitals::{Measurement, Moment};
use drivers::{Event, MODELS, Now, Protocol, model};

/// 2026-03-09 08:41:20 UTC.
const WALL_MS: i64 = 1_773_045_680_000;

fn patience(measurement: Measurement) -> Duration {
    Duration::from_millis(measuring_ms_max(measurement))
}

#[test]
fn the_journey_waits_longer_than_any_device_may_take() {
    for model in MODELS {
        let (device, journey) = ((model.protocol)().measuring_max(), patience(model.measurement));
        assert!(device < journey, "{}: the device has {device:?}, the journey waits {journey:?}", model.key);
    }
}

/// A protocol and its two clocks, which only the test moves.
struct Bench {
    protocol: Box<dyn Protocol>,
    began: Now,
    now: Now,
}

impl Bench {
    fn started(key: &str) -> Self {
        let now = Now { instant: Instant::now(), wall: Moment(WALL_MS) };
        let mut protocol = (model(key).unwrap().protocol)();
        protocol.port_opened(now);
        protocol.start(now);
        Self { protocol, began: now, now }
    }

    fn pass(&mut self, ms: u64) {
        self.now.instant += Duration::from_millis(ms);
        self.now.wall.0 += i64::try_from(ms).unwrap();
        while self.protocol.poll_timeout().is_some_and(|at| at <= self.now.instant) {
            let before = self.protocol.poll_timeout();
            self.protocol.handle_timeout(self.now);
            if self.protocol.poll_timeout() == before {
                break;
            }
        }
    }

    fn passed(&self) -> Duration {
        self.now.instant - self.began.instant
    }

    fn has_finished(&mut self) -> bool {
        std::iter::from_fn(|| self.protocol.poll_event()).any(|event| event == Event::Finished)
    }
}

#[test]
fn whatever_a_device_says_its_measurement_ends_in_the_time_that_its_driver_tells() {
    let seed = std::process::id();
    eprintln!("seed {seed}");
    for model in MODELS {
        for talks in [false, true] {
            let mut bench = Bench::started(model.key);
            let mut random = seed | 1;
            while !bench.has_finished() {
                let max = bench.protocol.measuring_max();
                assert!(bench.passed() <= max, "{}, talks: {talks}, seed {seed}: not over after {max:?}", model.key);
                bench.pass(200);
                while bench.protocol.poll_transmit().is_some() {}
                if talks {
                    // xorshift32 (Marsaglia).
                    random ^= random << 13;
                    random ^= random >> 17;
                    random ^= random << 5;
                    bench.protocol.handle_input(&random.to_le_bytes(), bench.now);
                }
            }
        }
    }
}

/// A PC-80B's file of so many seconds, dated by its own clock: 2026-03-09, that hour, minute and second.
fn easy_ecg(hour: u8, minute: u8, second: u8, seconds: usize) -> Vec<u8> {
    let section = |number: u16, content: Vec<u8>| {
        let mut section = vec![0, 0];
        section.extend(number.to_le_bytes());
        section.extend(u32::try_from(16 + content.len()).unwrap().to_le_bytes());
        section.extend([0; 8]);
        section.extend(content);
        section
    };
    let patient = vec![25, 4, 0, 0xEA, 0x07, 3, 9, 26, 3, 0, hour, minute, second, 255, 0, 0];
    let mut rhythm = 2_500u16.to_le_bytes().to_vec();
    rhythm.extend(6_667u16.to_le_bytes());
    rhythm.extend([0, 0]);
    rhythm.extend(u16::try_from(2 * 150 * seconds).unwrap().to_le_bytes());
    rhythm.extend((0..150 * seconds).flat_map(|n| (2_000 + u16::try_from(n % 90).unwrap()).to_le_bytes()));
    let content = [section(1, patient), section(6, rhythm)].concat();
    let mut file = vec![0, 0];
    file.extend(u32::try_from(6 + content.len()).unwrap().to_le_bytes());
    file.extend(content);
    file
}

/// What the folder answers: one old file, and the new one when it is there.
fn answer(question: &[u8], new: Option<(&[u8], i64)>) -> Vec<u8> {
    match (question, new) {
        (b"?", None) => b"A".to_vec(),
        (b"?", Some((file, written))) => {
            let mut listed = b"L\x02\x00".to_vec();
            for (name, size, written) in [(b"1.SCP", 4_000, written - 86_400), (b"2.SCP", file.len(), written)] {
                listed.push(5);
                listed.extend(name);
                listed.extend(u32::try_from(size).unwrap().to_le_bytes());
                listed.extend(written.to_le_bytes());
            }
            listed
        }
        (_, Some((file, _))) => [b"F", u32::try_from(file.len()).unwrap().to_le_bytes().as_slice(), file].concat(),
        (_, None) => b"N".to_vec(),
    }
}

#[test]
fn a_pc80b_fetched_placed_and_plugged_back_after_four_or_fourteen_minutes_is_taken() {
    for minutes in [4, 14] {
        let mut bench = Bench::started("ecg_pc80b");
        let listed = |bench: &mut Bench, files: &[u8]| {
            while bench.protocol.poll_transmit().is_some() {}
            bench.protocol.handle_input(files, bench.now);
            bench.pass(200);
        };
        // Its memory is seen first, with one old file.
        let mut before = b"L\x01\x00\x05".to_vec();
        before.extend(b"1.SCP");
        before.extend(4_000u32.to_le_bytes());
        before.extend((WALL_MS / 1_000 - 86_400 + minutes * 60).to_le_bytes());
        listed(&mut bench, &before);
        while bench.now.wall.0 < WALL_MS + minutes * 60_000 {
            bench.pass(200);
            while let Some(question) = bench.protocol.poll_transmit() {
                let away = answer(question.bytes(), None);
                bench.protocol.handle_input(&away, bench.now);
            }
        }
        let at = 41 + minutes - 1;
        let file = easy_ecg(8, u8::try_from(at).unwrap(), 20, 30);
        let mut taken = None;
        for _ in 0..20 {
            bench.pass(200);
            while let Some(question) = bench.protocol.poll_transmit() {
                let said = answer(question.bytes(), Some((&file, WALL_MS / 1_000 + minutes * 60)));
                bench.protocol.handle_input(&said, bench.now);
            }
            while let Some(event) = bench.protocol.poll_event() {
                if let Event::EcgTaken { ecg, device_at } = event {
                    taken = Some((ecg.duration_ms(), device_at, bench.passed()));
                }
            }
        }
        let (duration_ms, device_at, passed) = taken.expect("the recording");
        assert_eq!((duration_ms, device_at), (30_000, Some(Moment(WALL_MS + (minutes - 1) * 60_000))));
        assert!(passed > Duration::from_secs(180) && passed < patience(Measurement::Ecg), "{passed:?}");
    }
}
