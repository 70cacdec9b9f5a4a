//! Clips: each captured sample comes back from the file, by a decoder that is not ours.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use consult::vitals::Moment;
use exam::sound::clip::{self, ClipError};
use exam::sound::flac;
use exam::sound::measures::{Advice, Gap};
use exam::sound::{EVENTS_MAX, Source, Stethoscope, StethoscopeEvent};
use exam::{Address, Device};

/// A test that waits longer than that has failed.
const PATIENCE: Duration = Duration::from_secs(30);

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

#[test]
fn a_clip_of_the_test_sound_is_as_long_as_it_was_asked_for() {
    let (events, heard) = mpsc::sync_channel(EVENTS_MAX);
    let stethoscope = Stethoscope::open(Source::Test, events).expect("a stethoscope");
    let opened = heard.recv_timeout(PATIENCE).expect("an event");
    assert!(matches!(opened, StethoscopeEvent::Opened { rate: 48_000, .. }), "{opened:?}");
    let first = stethoscope.clip(Duration::from_millis(1_500)).expect("an order");
    let second = stethoscope.clip(Duration::from_millis(500)).expect("an order");
    assert_eq!(second.recv_timeout(PATIENCE).expect("an answer").err(), Some(ClipError::Busy));
    let clip = first.recv_timeout(PATIENCE).expect("an answer").expect("a clip");
    assert_eq!((clip.measures.samples, clip.rate, clip.gaps.len()), (72_000, 48_000, 0));
    assert_eq!(clip.advice, None, "{:?}", clip.measures);
    assert_eq!(unpacked_elsewhere(clip.flac.reveal()).len(), 72_000);
    let curve = stethoscope.curve();
    assert!(curve.borrow().number > 50 && curve.borrow().points.iter().any(|(low, high)| high > low));
    drop(stethoscope);
    assert!(curve.borrow().points.is_empty() || curve.has_changed().is_err());
}

#[test]
fn a_stethoscope_that_is_not_there_gives_no_clip_and_says_so() {
    let (events, _heard) = mpsc::sync_channel(EVENTS_MAX);
    let nowhere = Address::Named("hw:nowhere,0".into());
    let stethoscope = Stethoscope::open(Source::Plugged(nowhere), events).expect("a stethoscope");
    let answer = stethoscope.clip(clip::CLIP).expect("an order").recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(answer.err(), Some(ClipError::Lost));
    let too_long = clip::CLIP_MAX + Duration::from_millis(1);
    assert_eq!(stethoscope.clip(too_long).err(), Some(ClipError::Length(too_long)));
}
