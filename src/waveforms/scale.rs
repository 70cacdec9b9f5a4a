//! Samples of a lead as the 16 bits that a file has.

/// A sample that is missing, in a file. No sample is ever written so.
pub(crate) const MISSING: i16 = i16::MIN;
/// Largest sample written, either way.
const SAMPLE_MAX: i64 = 32_767;
/// What is taken off is a whole multiple of that many steps, so that it is written in few digits.
const OFFSET_UNIT: i64 = 1_000;

/// The samples of a lead, rounded where they do not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// A sample was `offset + divider * digital`, give or take half a divider; exactly when the divider is 1.
    pub(crate) digital: Vec<i16>,
    /// Steps taken off: the electrode's own voltage, which says nothing of the heart.
    pub(crate) offset: i64,
    /// Steps that one of the file's is worth.
    pub(crate) divider: i64,
}

impl Scaled {
    /// As it is when it fits, else about its middle and in the smallest whole number of steps that does.
    pub(crate) fn of(samples: &[Option<i64>]) -> Self {
        let present = || samples.iter().flatten().copied();
        let (min, max) = (present().min().unwrap_or(0), present().max().unwrap_or(0));
        let fits = -SAMPLE_MAX <= min && max <= SAMPLE_MAX;
        let offset = if fits { 0 } else { (min + max) / 2 / OFFSET_UNIT * OFFSET_UNIT };
        let farthest = (min - offset).abs().max((max - offset).abs());
        let divider = if fits { 1 } else { (farthest + SAMPLE_MAX - 1).div_euclid(SAMPLE_MAX).max(1) };
        let digital = |sample: i64| {
            let half = if sample >= offset { divider / 2 } else { -(divider / 2) };
            // Within the limits by the choice of the divider.
            i16::try_from((sample - offset + half) / divider).unwrap_or(MISSING)
        };
        Self { digital: samples.iter().map(|sample| sample.map_or(MISSING, digital)).collect(), offset, divider }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_written_as_it_is() {
        let samples = [Some(-32_767), None, Some(0), Some(32_767)];
        let scaled = Scaled::of(&samples);
        assert_eq!(scaled, Scaled { digital: vec![-32_767, MISSING, 0, 32_767], offset: 0, divider: 1 });
    }

    #[test]
    fn what_does_not_fit_is_off_by_half_a_declared_step_at_most() {
        for (low, high) in [(402_000, 620_000), (-8_388_607, 8_388_607), (-32_768, 5), (-2_000_000_000, 2_000_000_000)]
        {
            let samples: Vec<Option<i64>> = (0..=997).map(|at| Some(low + (high - low) * at / 997)).collect();
            let scaled = Scaled::of(&samples);
            for (sample, digital) in samples.iter().flatten().zip(&scaled.digital) {
                assert_ne!(*digital, MISSING);
                let read = scaled.offset + scaled.divider * i64::from(*digital);
                assert!(2 * (read - sample).abs() <= scaled.divider, "{sample} is read as {read}");
            }
        }
        // A large offset alone costs nothing.
        let scaled = Scaled::of(&[Some(4_000_000), Some(4_020_000), None]);
        assert_eq!((scaled.divider, scaled.offset, scaled.digital), (1, 4_010_000, vec![-10_000, 10_000, MISSING]));
    }

    #[test]
    fn a_lead_without_a_sample_is_missing_throughout() {
        assert_eq!(Scaled::of(&[None, None]).digital, [MISSING, MISSING]);
    }
}
