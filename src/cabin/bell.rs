//! The bell: three short tones that call the pharmacist or warn a patient, by the system's sound (`aplay`).

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Samples a second.
const RATE_HZ: u32 = 22_050;
/// One tone, and the silence after it, ms.
const TONE_MS: u32 = 180;
/// Tones of one ring.
const TONES: u32 = 3;

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// For the patient beside the loudspeaker.
    Soft,
    /// For the pharmacist in the next room.
    Loud,
}

/// The last ring was not heard: no sound card, or no player.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// Whether the last ring made no sound, as far as the system knows. The screen then asks people to call aloud.
pub fn is_broken() -> bool {
    BROKEN.load(Ordering::Relaxed)
}

fn heard(heard: bool) {
    let was_broken = BROKEN.swap(!heard, Ordering::Relaxed);
    if !heard && !was_broken {
        tracing::warn!("the bell makes no sound: check the loudspeaker and its volume");
    }
}

/// Rings once, in the background. A cabin without sound goes on without it, and says so.
pub fn ring(loudness: Loudness) {
    let player = Command::new("aplay")
        .args(["-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", &RATE_HZ.to_string(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut player = match player {
        Ok(player) => player,
        Err(error) => {
            heard(false);
            return tracing::warn!(%error, "the bell cannot ring: install the package alsa-utils");
        }
    };
    let rung = thread::Builder::new().name("bell".into()).spawn(move || {
        if let Some(mut pipe) = player.stdin.take() {
            // No sound card: the player is gone already.
            pipe.write_all(&samples(loudness)).ok();
        }
        heard(player.wait().is_ok_and(|status| status.success()));
    });
    if let Err(error) = rung {
        tracing::warn!(%error, "the bell cannot ring");
    }
}

/// The ring as 16-bit samples, little endian.
fn samples(loudness: Loudness) -> Vec<u8> {
    let peak = match loudness {
        Loudness::Soft => 6_000.0,
        Loudness::Loud => 26_000.0,
    };
    let tone = RATE_HZ * TONE_MS / 1_000;
    let mut bytes = Vec::with_capacity((tone * 2 * TONES * 2) as usize);
    for n in 0..TONES {
        let pitch_hz = [660.0, 880.0, 1_047.0][(n as usize) % 3];
        for i in 0..tone * 2 {
            let t = f64::from(i) / f64::from(RATE_HZ);
            // Rises and falls over 10 ms: no click.
            let edge = f64::from(i.min(tone.saturating_sub(i))) / (f64::from(RATE_HZ) / 100.0);
            let level =
                if i < tone { peak * edge.min(1.0) * (t * pitch_hz * std::f64::consts::TAU).sin() } else { 0.0 };
            bytes.extend_from_slice(&(level as i16).to_le_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loud_ring_is_louder_and_neither_clips() {
        let peak = |loudness| {
            samples(loudness).chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs()).max().unwrap()
        };
        assert!(peak(Loudness::Loud) > 3 * peak(Loudness::Soft));
        assert!(peak(Loudness::Loud) < 27_000);
        assert_eq!(samples(Loudness::Soft).len() as u32, RATE_HZ * TONE_MS / 1_000 * 2 * TONES * 2);
    }
}
