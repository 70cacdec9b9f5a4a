//! A call of an hour between two ends of our own: memory, threads and files do not grow, and lips and words stay
//! together. `make soak`; CALL_MINUTES for another length.

use crate::two_peers::{End, connect};
use crate::*;
use std::time::SystemTime;

/// A short tone begins with each second of the sending end's beat.
const SECOND: Duration = Duration::from_secs(1);
const TONE: Duration = Duration::from_millis(100);
/// Samples a second of the recording.
const RATE: u32 = 48_000;
/// The first minutes fill caches and pools.
const WARM_UP_MINUTES: u64 = 2;
/// Both ends together may have so much more at the end than after the first minutes, in KiB.
const GROWTH_KIB_MAX: u64 = 8 * 1_024;
/// Between a picture and its sound, in milliseconds (ITU-R BT.1359: seen by nobody).
const APART_MILLISECONDS_MAX: i64 = 100;

/// A WAV file (RIFF, 16 bits, one channel) with the tones of so many minutes.
fn tones(path: &std::path::Path, minutes: u64) {
    use std::io::Write;
    let second: Vec<u8> = (0..RATE)
        .flat_map(|at| {
            let time = f64::from(at) / f64::from(RATE);
            let loud = if time < TONE.as_secs_f64() { 8_000.0 } else { 0.0 };
            ((loud * (time * 330.0 * std::f64::consts::TAU).sin()) as i16).to_le_bytes()
        })
        .collect();
    let seconds = u32::try_from(minutes * 60).unwrap();
    let bytes = seconds * RATE * 2;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut head = Vec::from(*b"RIFF");
    head.extend((bytes + 36).to_le_bytes());
    head.extend(b"WAVEfmt ");
    head.extend(16_u32.to_le_bytes());
    // Uncompressed, one channel; two bytes a sample.
    head.extend([1, 0, 1, 0]);
    head.extend(RATE.to_le_bytes());
    head.extend((RATE * 2).to_le_bytes());
    head.extend([2, 0, 16, 0]);
    head.extend(b"data");
    head.extend(bytes.to_le_bytes());
    file.write_all(&head).unwrap();
    for _ in 0..seconds {
        file.write_all(&second).unwrap();
    }
    file.flush().unwrap();
}

/// The time written into a test picture, in milliseconds modulo 2^32 (`capture/cover.rs`).
fn written(frame: &Frame) -> Option<u32> {
    let scale = frame.width as usize / 640;
    let squares = (0..32).map(|bit| {
        let (x, y) = ((bit % 16 * 16 + 8) * scale, (bit / 16 * 16 + 8) * scale);
        frame.rgba().get((y * frame.width as usize + x) * 4 + 1).map(|green| u32::from(*green > 128))
    });
    squares.into_iter().try_fold(0, |read, bit| Some(read << 1 | bit?))
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[derive(Debug, Clone, Copy)]
struct Minute {
    memory_kib: u64,
    threads: usize,
    files: usize,
    /// How much later the picture is than its sound.
    apart_milliseconds: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "an hour: make soak"]
async fn a_call_of_an_hour_grows_nothing_and_lips_and_words_stay_together() {
    let minutes: u64 = std::env::var("CALL_MINUTES").map_or(60, |minutes| minutes.parse().expect("CALL_MINUTES"));
    assert!(minutes > WARM_UP_MINUTES, "CALL_MINUTES is {minutes}: more than {WARM_UP_MINUTES}");
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("tones.wav");
    // Connecting takes its time too.
    tones(&recording, minutes + 2);
    let page = End::start(Settings { audio_source: AudioSource::Recording(recording), ..test_picture() }).await;
    let cabin = End::start(test_picture()).await;
    let (mut page, mut cabin) = connect(page, cabin).await;
    let (sound, mut picture) = (cabin.call.remote_sound(), cabin.call.remote_picture());
    let mut told = Vec::new();
    for minute in 1..=minutes {
        let (mut seen, mut heard) = (Vec::new(), Vec::new());
        let (mut loud, mut quiet_since) = (sound.loud_milliseconds(), tokio::time::Instant::now());
        let mut look = tokio::time::interval(Duration::from_millis(4));
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        while tokio::time::Instant::now() < end {
            tokio::select! {
                Ok(()) = picture.changed() => {
                    let frame = picture.borrow_and_update().clone();
                    if let Some(written) = frame.filter(|frame| frame.width == 640).as_ref().and_then(written) {
                        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u32;
                        seen.push(i64::from(now.wrapping_sub(written) as i32));
                    }
                }
                _ = look.tick() => {
                    let so_far = sound.loud_milliseconds();
                    if so_far > loud {
                        if quiet_since.elapsed() > SECOND / 2 {
                            let since = Duration::from(page.call.beat.elapsed()).as_millis() as i64;
                            heard.push(since % SECOND.as_millis() as i64);
                        }
                        (loud, quiet_since) = (so_far, tokio::time::Instant::now());
                    }
                }
                _ = page.drain() => {}
                _ = cabin.drain() => {}
            }
        }
        assert!(
            heard.len() > 40 && seen.len() > 200,
            "minute {minute}: {} tones, {} pictures",
            heard.len(),
            seen.len()
        );
        let (seen, heard) = (median(seen).unwrap(), median(heard).unwrap());
        let now = Minute {
            memory_kib: memory_kib(),
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
            apart_milliseconds: seen - heard,
        };
        println!("minute {minute}: {now:?} (picture after {seen} ms, sound after {heard} ms)");
        assert!(now.apart_milliseconds.abs() <= APART_MILLISECONDS_MAX, "minute {minute}: {now:?}");
        told.push(now);
    }
    let (first, last) = (told[WARM_UP_MINUTES as usize - 1], told[told.len() - 1]);
    assert!(last.memory_kib <= first.memory_kib + GROWTH_KIB_MAX, "memory: {first:?}, {last:?}");
    assert!(last.threads <= first.threads && last.files <= first.files, "threads and files: {first:?}, {last:?}");
    page.call.close().await;
    cabin.call.close().await;
}

fn test_picture() -> Settings {
    Settings { video_source: VideoSource::TestPicture, audio_source: AudioSource::TestTone, ..Settings::default() }
}
