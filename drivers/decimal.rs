//! Decimals as scales write them, exactly; and the legal definitions of the units that they come in.
//!
//! Grams and millimetres are integers: what a scale shows in metric units is exact, pounds and inches are converted
//! and rounded once.

/// At most 9 digits, so that every product below fits in 64 bits.
const DIGITS_MAX: usize = 9;

/// A decimal as text gives it: `digits / 10^decimals`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decimal {
    digits: u64,
    decimals: u32,
}

/// What a weight is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WeightUnit {
    Kilogram,
    Gram,
    /// 0.45359237 kg.
    Pound,
    /// A sixteenth of a pound.
    Ounce,
}

/// What a height is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LengthUnit {
    Centimetre,
    /// 25.4 mm.
    Inch,
}

impl Decimal {
    /// Digits with at most one point, blanks around; no sign.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let mut decimal = Decimal { digits: 0, decimals: 0 };
        let (mut digits, mut point) = (0, false);
        for &byte in text {
            match byte {
                b'0'..=b'9' if digits < DIGITS_MAX => {
                    digits += 1;
                    decimal.digits = decimal.digits * 10 + u64::from(byte - b'0');
                    decimal.decimals += u32::from(point);
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        (digits > 0).then_some(decimal)
    }

    /// `digits * 10^exponent`; `None` when that is more than a scale's digits.
    pub(crate) fn scaled(digits: u16, exponent: i8) -> Option<Self> {
        let (more, decimals) = match exponent {
            -9..=-1 => (0, u32::from(exponent.unsigned_abs())),
            0..=4 => (u32::from(exponent.unsigned_abs()), 0),
            _ => return None,
        };
        Some(Decimal { digits: u64::from(digits) * 10u64.pow(more), decimals })
    }

    pub(crate) fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// `self * numerator / denominator`, rounded to the nearest, halves up.
    pub(crate) fn times(self, numerator: u64, denominator: u64) -> Option<u64> {
        let top = u128::from(self.digits) * u128::from(numerator);
        let bottom = u128::from(denominator) * 10u128.pow(self.decimals);
        u64::try_from((top + bottom / 2) / bottom).ok()
    }

    /// Grams; `None` when there are more than 32 bits of them.
    pub(crate) fn grams(self, unit: WeightUnit) -> Option<u32> {
        let grams = match unit {
            WeightUnit::Kilogram => self.times(1000, 1),
            WeightUnit::Gram => self.times(1, 1),
            WeightUnit::Pound => self.times(45_359_237, 100_000),
            WeightUnit::Ounce => self.times(45_359_237, 1_600_000),
        };
        grams.and_then(|grams| u32::try_from(grams).ok())
    }

    /// Millimetres; `None` when there are more than 16 bits of them.
    pub(crate) fn millimetres(self, unit: LengthUnit) -> Option<u16> {
        let millimetres = match unit {
            LengthUnit::Centimetre => self.times(10, 1),
            LengthUnit::Inch => self.times(254, 10),
        };
        millimetres.and_then(|millimetres| u16::try_from(millimetres).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grams(text: &str, unit: WeightUnit) -> u32 {
        Decimal::parse(text.as_bytes()).unwrap().grams(unit).unwrap()
    }

    #[test]
    fn a_weight_is_exact_whatever_its_unit_and_its_decimals() {
        for (text, unit, expected) in [
            ("70.3", WeightUnit::Kilogram, 70_300),
            (" 070.300 ", WeightUnit::Kilogram, 70_300),
            ("70300", WeightUnit::Gram, 70_300),
            ("155.0", WeightUnit::Pound, 70_307),
            ("0.0005", WeightUnit::Kilogram, 1),
        ] {
            assert_eq!(grams(text, unit), expected, "{text} {unit:?}");
        }
    }

    #[test]
    fn a_power_of_ten_moves_the_point() {
        for (digits, exponent, expected) in [(556, -1, 55_600), (55_600, -3, 55_600), (5, 1, 50_000), (70, 0, 70_000)] {
            let decimal = Decimal::scaled(digits, exponent).unwrap();
            assert_eq!(decimal.grams(WeightUnit::Kilogram), Some(expected), "{digits} * 10^{exponent}");
        }
        assert_eq!(Decimal::scaled(16, 0).unwrap().grams(WeightUnit::Ounce), Some(454));
        assert!(
            Decimal::scaled(1, 5).is_none() && Decimal::scaled(1, -10).is_none() && Decimal::scaled(1, -128).is_none()
        );
    }

    #[test]
    fn what_is_no_decimal_is_none() {
        for text in ["", " ", ".", "7..3", "7.3.1", "-7", "+7", "7,3", "7 3", "1e3", "1234567890", "7\u{e9}"] {
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Decimal::parse(b"999999999").unwrap().grams(WeightUnit::Kilogram), None);
        assert_eq!(Decimal::parse(b"9999").unwrap().millimetres(LengthUnit::Centimetre), None);
    }
}
