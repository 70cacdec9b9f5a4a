//! Bytes of IEEE 11073-20601 as an agent writes them: numbers, times, lists, messages.

use std::time::{SystemTime, UNIX_EPOCH};

/// A decimal: digits, and the power of ten that they are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decimal {
    pub(super) digits: i32,
    pub(super) power: i8,
}

impl Decimal {
    /// `36.84`, `-1`, or `none` for a device that could not measure.
    pub(super) fn parse(text: &str) -> Result<Option<Decimal>, String> {
        if text == "none" {
            return Ok(None);
        }
        let wrong = || format!("a decimal or none, not {text:?}");
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits = text.replacen('.', "", 1).parse().map_err(|_| wrong())?;
        let power = i8::try_from(decimals).ok().and_then(i8::checked_neg).ok_or_else(wrong)?;
        Ok(Some(Decimal { digits, power }))
    }

    pub(super) fn text(value: Option<Decimal>) -> String {
        let Some(Decimal { digits, power }) = value else { return "none".into() };
        let decimals = usize::from(power.unsigned_abs());
        let text = format!("{:0width$}", digits, width = decimals + 1);
        let (whole, rest) = text.split_at(text.len() - decimals);
        if decimals == 0 { whole.to_owned() } else { format!("{whole}.{rest}") }
    }
}

/// SFLOAT, or its "not a number".
pub(super) fn sfloat(value: Option<Decimal>) -> [u8; 2] {
    value.map_or([0x07, 0xFF], |Decimal { digits, power }| {
        ((power as u16 & 0x0F) << 12 | digits as u16 & 0x0FFF).to_be_bytes()
    })
}

/// FLOAT, or its "not a number".
pub(super) fn float(value: Option<Decimal>) -> [u8; 4] {
    value.map_or([0x00, 0x7F, 0xFF, 0xFF], |Decimal { digits, power }| {
        ((power as u8 as u32) << 24 | digits as u32 & 0x00FF_FFFF).to_be_bytes()
    })
}

/// Seconds since 1970.
pub(super) fn seconds_now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(0)
}

/// Days of the months of a year.
fn months(year: i64) -> [i64; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// `AbsoluteTime` of a clock that shows so many seconds since 1970.
pub(super) fn absolute(seconds: i64) -> [u8; 8] {
    let (mut day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    while day >= months(year).iter().sum() {
        day -= months(year).iter().sum::<i64>();
        year += 1;
    }
    let mut month = 0;
    while day >= months(year)[month] {
        day -= months(year)[month];
        month += 1;
    }
    let pairs = [year / 100, year % 100, month as i64 + 1, day + 1, of_day / 3600, of_day / 60 % 60, of_day % 60, 0];
    pairs.map(|pair| (pair / 10 * 16 + pair % 10) as u8)
}

/// The other way.
pub(super) fn seconds_of(absolute: &[u8]) -> Option<i64> {
    let pairs: Vec<i64> = absolute.iter().map(|byte| i64::from(byte >> 4) * 10 + i64::from(byte & 15)).collect();
    let [century, year, month, day, hour, minute, second, _] = pairs[..] else { return None };
    let year = century * 100 + year;
    let days: i64 = (1970..year).map(|year| months(year).iter().sum::<i64>()).sum();
    let month = usize::try_from(month - 1).ok().filter(|month| *month < 12)?;
    let days = days + months(year)[..month].iter().sum::<i64>() + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A list of items that are written already.
pub(super) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [&(items.len() as u16).to_be_bytes()[..], &octets(&items.concat())].concat()
}

pub(super) fn attribute(id: u16, value: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes(), &octets(value)[..]].concat()
}

pub(super) fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &octets(body)[..]].concat()
}

/// A message within an association.
pub(super) fn within(invoke: u16, choice: u16, body: &[u8]) -> Vec<u8> {
    let data = [&invoke.to_be_bytes(), &choice.to_be_bytes(), &octets(body)[..]].concat();
    message(0xE700, &octets(&data))
}

pub(super) fn word(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_those_of_the_standard() {
        assert_eq!(sfloat(Decimal::parse("97.5").unwrap()), [0xF3, 0xCF]);
        assert_eq!(sfloat(Decimal::parse("123").unwrap()), [0x00, 0x7B]);
        assert_eq!(float(Decimal::parse("73.2").unwrap()), [0xFF, 0x00, 0x02, 0xDC]);
        assert_eq!((sfloat(None), float(None)), ([0x07, 0xFF], [0x00, 0x7F, 0xFF, 0xFF]));
        assert_eq!(Decimal::text(Decimal::parse("36.84").unwrap()), "36.84");
        // 2026-03-09 08:41:20
        let bytes = [0x20, 0x26, 0x03, 0x09, 0x08, 0x41, 0x20, 0x00];
        assert_eq!(absolute(1_773_045_680), bytes);
        assert_eq!(seconds_of(&bytes), Some(1_773_045_680));
    }
}
