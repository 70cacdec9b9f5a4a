//! Clips: each captured sample comes back from the file, by a decoder that is not ours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use consult::vitals::Moment;
use exam::Device;
use exam::sound::clip::{self, ClipError};
use exam::sound::flac;
use exam::sound::measures::{Advice, Gap};

fn device() -> Device {
    Device { name: "test sound".into(), usb: None }
}

/// Debian's `flac`, the reference decoder, which ends with an error where the sum in the head is not that of what it
/// unpacked.
fn unpacked_elsewhere(file: &[u8]) -> Vec<i16> {
    let mut decoder = Command::new("flac")
        .args(["--decode", "--silent", "--stdout", "--force-raw-format", "--endian=little", "--sign=signed", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("flac is there (tests/tools/packages)");
    let mut input = decoder.stdin.take().expect("its input");
    let file = file.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&file));
    let output = decoder.wait_with_output().expect("flac ends");
    writer.join().expect("no panic").expect("all was taken");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Heart sounds: thuds of 40 Hz, twice a beat, in noise; with the extremes of a sample in it.
fn heart(rate: u32, seconds: u32) -> Vec<i16> {
    let mut state = 1u32;
    (0..rate * seconds)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 16) / 65_536.0 * 60.0 - 30.0;
            let seconds = f64::from(at) / f64::from(rate);
            let thud = (-(seconds % 0.4) * 30.0).exp() * (seconds * 40.0 * std::f64::consts::TAU).sin();
            (9_000.0 * thud + noise) as i16
        })
        .chain([i16::MIN, i16::MAX, 0, -1, 1])
        .collect()
}

#[test]
fn fifteen_seconds_come_back_to_the_last_bit_at_both_rates() {
    for rate in [44_100, 48_000] {
        let samples = heart(rate, 15);
        let clip = clip::pack(&samples, rate, Moment(5), device(), Vec::new()).expect("a clip");
        let file = clip.flac.reveal();
        assert_eq!(unpacked_elsewhere(file), samples, "at {rate}");
        let head = flac::head(file).expect("a head");
        assert_eq!((head.rate, head.channels, head.bits), (rate, 1, 16));
        assert_eq!(head.samples, samples.len() as u64);
        assert!(file.len() < samples.len() * 2, "{} bytes of {}", file.len(), samples.len() * 2);
        assert_eq!((clip.advice, clip.measures.samples), (None, samples.len()));
        assert!(!format!("{clip:?}").contains("fLaC"));
    }
}

#[test]
fn noise_and_very_short_clips_come_back_too() {
    let mut state = 7u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16
    };
    for count in [1, 2, 15, 16, 17, 4_095, 4_096, 4_609, 70_000] {
        let samples: Vec<i16> = (0..count).map(|_| random()).collect();
        let clip = clip::pack(&samples, 48_000, Moment(5), device(), Vec::new()).expect("a clip");
        assert_eq!(unpacked_elsewhere(clip.flac.reveal()), samples, "{count} samples");
    }
    assert!(matches!(clip::pack(&[], 48_000, Moment(5), device(), Vec::new()), Err(ClipError::Length(_))));
}

#[test]
fn a_clip_with_a_gap_says_that_it_is_to_be_taken_again() {
    let gap = Gap { at: 100, milliseconds: 40 };
    let clip = clip::pack(&heart(48_000, 1), 48_000, Moment(5), device(), vec![gap]).expect("a clip");
    assert_eq!((clip.advice, &clip.gaps[..]), (Some(Advice::Gaps), &[gap][..]));
}
