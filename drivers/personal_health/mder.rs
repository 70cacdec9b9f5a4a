//! The medical device encoding rules (MDER): how IEEE 11073-20601 writes numbers, lists and times, all big-endian.
//!
//! Source: IEEE 11073-20601 Annex F (encoding), 6.2 (data types). A number carries its own power of ten and is never
//! turned into binary floating point here: `F3C2` is 962 tenths and nothing else.

use crate::device_clock::{Civil, DeviceTime};

/// Reads from the front of some bytes. `None` when too few are left: the caller's message is then damaged.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// An octet string, or the value of an attribute: its length, then so many bytes.
    pub(crate) fn octets(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A list: how many items, and their bytes. Its length rules; where the count says fewer, what follows is left.
    pub(crate) fn list(&mut self) -> Option<(u16, Reader<'a>)> {
        let count = self.u16()?;
        Some((count, Reader(self.octets()?)))
    }

    /// The attributes of a list, as far as they are whole; never more than `most`.
    pub(crate) fn attributes(&mut self, most: usize) -> Option<impl Iterator<Item = (u16, &'a [u8])> + use<'a>> {
        let (count, mut list) = self.list()?;
        let left = usize::from(count).min(most);
        Some((0..left).map_while(move |_| Some((list.u16()?, list.octets()?))))
    }
}

/// A number as a device writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// `mantissa * 10^exponent`, exactly.
    Decimal { mantissa: i32, exponent: i8 },
    /// One of the values that say why there is none.
    Special(Special),
}

/// Why a device gives no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Special {
    /// Not a number: no measurement, or an invalid one.
    NotANumber,
    /// Not at this resolution.
    NotAtThisResolution,
    /// Over what it can show.
    Over,
    /// Under what it can show.
    Under,
    /// Kept for future use.
    Reserved,
}

/// Why a number is none of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unfit {
    /// The device gives none.
    Special(Special),
    /// It has more digits than the unit of the record holds: it would have to be rounded.
    Inexact,
    /// Larger than anything that is measured.
    Enormous,
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The figure may be a patient's.
            Number::Decimal { .. } => f.write_str("[patient]"),
            Number::Special(special) => write!(f, "{special:?}"),
        }
    }
}

impl Number {
    /// SFLOAT: 4 bits of exponent, 12 of mantissa, both signed.
    pub(crate) fn sfloat(bits: u16) -> Self {
        // The special values have exponent 0; their mantissas with another exponent are numbers.
        match bits {
            0x07FF => Number::Special(Special::NotANumber),
            0x0800 => Number::Special(Special::NotAtThisResolution),
            0x07FE => Number::Special(Special::Over),
            0x0802 => Number::Special(Special::Under),
            0x0801 => Number::Special(Special::Reserved),
            _ => {
                let [high, _] = bits.to_be_bytes();
                let mantissa = i32::from((bits << 4).cast_signed() >> 4);
                Number::Decimal { mantissa, exponent: high.cast_signed() >> 4 }
            }
        }
    }

    /// FLOAT: 8 bits of exponent, 24 of mantissa, both signed.
    pub(crate) fn float(bits: u32) -> Self {
        match bits {
            0x007F_FFFF => Number::Special(Special::NotANumber),
            0x0080_0000 => Number::Special(Special::NotAtThisResolution),
            0x007F_FFFE => Number::Special(Special::Over),
            0x0080_0002 => Number::Special(Special::Under),
            0x0080_0001 => Number::Special(Special::Reserved),
            _ => {
                let [exponent, ..] = bits.to_be_bytes();
                Number::Decimal { mantissa: (bits << 8).cast_signed() >> 8, exponent: exponent.cast_signed() }
            }
        }
    }

    /// How many `10^-decimals` it is, if that is a whole number of them.
    pub(crate) fn in_units_of(self, decimals: i8) -> Result<i64, Unfit> {
        let (mantissa, exponent) = match self {
            Number::Special(special) => return Err(Unfit::Special(special)),
            Number::Decimal { mantissa: 0, .. } => return Ok(0),
            Number::Decimal { mantissa, exponent } => (i64::from(mantissa), i32::from(exponent) + i32::from(decimals)),
        };
        match (u32::try_from(exponent), u32::try_from(-exponent)) {
            (Ok(up), _) => {
                let power = 10i64.checked_pow(up).ok_or(Unfit::Enormous)?;
                mantissa.checked_mul(power).ok_or(Unfit::Enormous)
            }
            (_, Ok(down)) => match 10i64.checked_pow(down) {
                Some(power) if mantissa % power == 0 => Ok(mantissa / power),
                _ => Err(Unfit::Inexact),
            },
            (Err(_), Err(_)) => Err(Unfit::Inexact),
        }
    }
}

/// `AbsoluteTime`: eight bytes of two decimal digits each, century to hundredths of a second. `None`: no date.
pub(crate) fn absolute_time(bytes: &[u8]) -> Option<DeviceTime> {
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    let mut pairs = [0; 8];
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        let (tens, ones) = (byte >> 4, byte & 0x0F);
        if tens > 9 || ones > 9 {
            return None;
        }
        *pair = i64::from(tens) * 10 + i64::from(ones);
    }
    let [century, year, month, day, hour, minute, second, _] = pairs;
    DeviceTime::from_civil(Civil { year: century * 100 + year, month, day, hour, minute, second })
}

/// The other way.
pub(crate) fn write_absolute_time(time: DeviceTime) -> [u8; 8] {
    let Civil { year, month, day, hour, minute, second } = time.civil();
    [year / 100, year % 100, month, day, hour, minute, second, 0].map(|pair| {
        let pair = u8::try_from(pair.rem_euclid(100)).unwrap_or(0);
        ((pair / 10) << 4) | (pair % 10)
    })
}

/// Seconds from 1900 to 1970, both of UTC.
const SECONDS_1900_TO_1970: i64 = 2_208_988_800;

/// `BaseOffsetTime`: seconds since 1900, fractions, minutes by which local time is ahead of it. What it shows is the
/// sum: local time without a zone, as [`absolute_time`] gives it.
pub(crate) fn base_offset_time(bytes: &[u8]) -> Option<DeviceTime> {
    let mut reader = Reader(bytes);
    let (seconds, _fraction, offset) = (reader.u32()?, reader.u16()?, reader.u16()?.cast_signed());
    Some(DeviceTime(i64::from(seconds) - SECONDS_1900_TO_1970 + i64::from(offset) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenths(bits: u16) -> Result<i64, Unfit> {
        Number::sfloat(bits).in_units_of(1)
    }

    #[test]
    fn a_number_keeps_its_digits() {
        assert_eq!(tenths(0xF3CF), Ok(975));
        assert_eq!(tenths(0xF27B), Ok(635));
        assert_eq!(tenths(0x007B), Ok(1_230));
        assert_eq!(tenths(0xF3C2), Ok(962));
        assert_eq!(tenths(0x0FFF), Ok(-10));
        assert_eq!(Number::float(0xFF00_02DC).in_units_of(3), Ok(73_200));
        assert_eq!(Number::float(0xFFFF_FFFF).in_units_of(1), Ok(-1));
        // As some agents write 37.00: with all the digits that they have.
        assert_eq!(Number::float(0xFB38_7520).in_units_of(2), Ok(3_700));
        assert_eq!(Number::float(0xFA1E_8480).in_units_of(0), Ok(2));
    }

    #[test]
    fn a_number_with_too_many_digits_is_not_rounded() {
        assert_eq!(Number::sfloat(0xF3C2).in_units_of(0), Err(Unfit::Inexact));
        assert_eq!(Number::float(0x8000_0001).in_units_of(2), Err(Unfit::Inexact));
        assert_eq!(Number::float(0x7F00_0001).in_units_of(2), Err(Unfit::Enormous));
        assert_eq!(Number::float(0x8000_0000).in_units_of(2), Ok(0));
    }

    #[test]
    fn no_special_value_is_a_number() {
        use Special::*;
        let specials = [NotANumber, NotAtThisResolution, Over, Under, Reserved];
        for (bits, special) in [0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801].into_iter().zip(specials) {
            assert_eq!(Number::sfloat(bits), Number::Special(special));
            assert_eq!(tenths(bits), Err(Unfit::Special(special)));
        }
        for (bits, special) in
            [0x007F_FFFF, 0x0080_0000, 0x007F_FFFE, 0x0080_0002, 0x0080_0001].into_iter().zip(specials)
        {
            assert_eq!(Number::float(bits), Number::Special(special));
        }
        // Only of these is -2048 and 2047 a number: with an exponent.
        assert_eq!(tenths(0xF7FF), Ok(2_047));
    }

    #[test]
    fn dates_are_digits() {
        let bytes = [0x20, 0x26, 0x03, 0x09, 0x08, 0x41, 0x20, 0x00];
        let time = absolute_time(&bytes).unwrap();
        assert_eq!(time, DeviceTime(1_773_045_680));
        assert_eq!(write_absolute_time(time), bytes);
        for (place, wrong) in [(3, 0x0A), (2, 0x13), (4, 0x24), (6, 0x60), (0, 0xA0)] {
            let mut bytes = bytes;
            bytes[place] = wrong;
            assert_eq!(absolute_time(&bytes), None, "{wrong:02x}");
        }
        assert_eq!(absolute_time(&bytes[..7]), None);
        // 1900 + 3 982 034 480 s, an hour ahead.
        let bytes = [0xED, 0x58, 0xB6, 0x30, 0x80, 0x00, 0x00, 0x3C];
        assert_eq!(base_offset_time(&bytes), Some(DeviceTime(0xED58_B630 - SECONDS_1900_TO_1970 + 3_600)));
    }

    #[test]
    fn a_list_that_is_cut_ends_where_it_is_cut() {
        let bytes = [0, 3, 0, 9, 0x09, 0x96, 0, 2, 0x02, 0x20, 0x09, 0x2F, 0];
        let seen: Vec<_> = Reader(&bytes).attributes(64).unwrap().collect();
        assert_eq!(seen, [(0x0996, &[0x02, 0x20][..])]);
        assert!(Reader(&bytes[..12]).attributes(64).is_none());
    }
}
