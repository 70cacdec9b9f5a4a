//! How good a sound is to listen to: loudness, clipping, gaps, and what a person should do about it.

/// A sample as large as that cannot be told from a larger one: the converter's end.
const FULL: u16 = 32_767;
/// More clipped samples than that, in millionths, are heard as a crackle.
const CLIPPED_PPM_MAX: u32 = 100;
/// Quieter than that, there is nothing on the skin: hundredths of a decibel below full scale.
const SILENT: i32 = -6_000;
/// Nothing at all: a muted or dead microphone.
pub const SILENCE: i32 = -12_000;

/// Something was not captured, because this machine was too busy: the sound before and after it touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Samples that were captured before it.
    pub at: usize,
    /// How long it was by this machine's clock, in milliseconds, within some.
    pub milliseconds: u32,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measures {
    /// Samples.
    pub samples: usize,
    /// The largest sample, without its sign; 32,768 is full scale.
    pub peak: u16,
    /// Mean loudness, hundredths of a decibel below full scale (a square wave of full scale is 0).
    pub rms_centibels: i32,
    /// Samples at full scale, in millionths.
    pub clipped_ppm: u32,
    /// All samples are the same number: nothing is connected.
    pub alike: bool,
}

/// What a person should do for a better sound, the first thing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// No sound at all arrives: is it switched on, is the right one plugged in?
    Dead,
    /// The machine lost parts: take it again.
    Gaps,
    /// Too loud, it crackles: hold still, press less, turn it down.
    TooLoud,
    /// Almost nothing is heard: press it on the skin, turn it up.
    TooQuiet,
}

/// Measures a sound.
pub fn measure(samples: &[i16]) -> Measures {
    let mut squares = 0u64;
    let (mut peak, mut clipped) = (0, 0u64);
    for sample in samples {
        let size = sample.unsigned_abs();
        squares += u64::from(size) * u64::from(size);
        peak = peak.max(size);
        clipped += u64::from(size >= FULL);
    }
    let count = samples.len().max(1) as u64;
    Measures {
        samples: samples.len(),
        peak,
        rms_centibels: centibels(squares as f64 / count as f64),
        clipped_ppm: u32::try_from(clipped * 1_000_000 / count).unwrap_or(u32::MAX),
        alike: samples.windows(2).all(|pair| pair[0] == pair[1]),
    }
}

/// Hundredths of a decibel of a mean square, of full scale.
fn centibels(mean_square: f64) -> i32 {
    let full = f64::from(1 << 15);
    let level = 1_000.0 * (mean_square / (full * full)).log10();
    if level.is_finite() { (level.round() as i32).max(SILENCE) } else { SILENCE }
}

/// What to do about it; nothing where it is good.
pub fn advice(measures: &Measures, gaps: &[Gap]) -> Option<Advice> {
    if measures.alike {
        Some(Advice::Dead)
    } else if !gaps.is_empty() {
        Some(Advice::Gaps)
    } else if measures.clipped_ppm > CLIPPED_PPM_MAX {
        Some(Advice::TooLoud)
    } else if measures.rms_centibels < SILENT {
        Some(Advice::TooQuiet)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn tone(amplitude: f64) -> Vec<i16> {
        // 100 whole waves in 4,800 samples.
        (0..4_800).map(|at| (amplitude * (TAU * f64::from(at) / 48.0).sin()).round() as i16).collect()
    }

    #[test]
    fn a_tone_of_half_scale_is_nine_decibels_below_full() {
        // 20 log10(1/2) - 10 log10(2) = -9.03 dB.
        let measures = measure(&tone(16_384.0));
        assert_eq!((measures.rms_centibels, measures.peak, measures.clipped_ppm), (-903, 16_384, 0));
        assert_eq!(advice(&measures, &[]), None);
        let square: Vec<i16> = (0..100).map(|at| if at % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert_eq!((measure(&square).rms_centibels, measure(&square).clipped_ppm), (0, 1_000_000));
    }

    #[test]
    fn loud_quiet_dead_and_broken_sounds_are_told_apart() {
        let clipped: Vec<i16> =
            tone(30_000.0).iter().map(|x| (i32::from(*x) * 2).clamp(-32_768, 32_767) as i16).collect();
        assert_eq!(advice(&measure(&clipped), &[]), Some(Advice::TooLoud));
        assert_eq!(advice(&measure(&tone(20.0)), &[]), Some(Advice::TooQuiet));
        assert_eq!(advice(&measure(&[0; 4_800]), &[]), Some(Advice::Dead));
        assert_eq!(advice(&measure(&[-3; 4_800]), &[]), Some(Advice::Dead));
        assert_eq!(measure(&[0; 9]).rms_centibels, SILENCE);
        assert_eq!(measure(&[]).rms_centibels, SILENCE);
        let gap = Gap { at: 10, milliseconds: 30 };
        assert_eq!(advice(&measure(&tone(8_000.0)), &[gap]), Some(Advice::Gaps));
    }
}
