//! A birth date that may be unknown in part, and its official form.

use std::fmt;

use crate::vitals::Moment;

/// A birth date as the patient knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BirthDate {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
}

/// Why a birth date cannot be one. Ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BirthDateRefused {
    /// Before [`BirthDate::YEAR_MIN`] or after [`BirthDate::YEAR_MAX`].
    Year,
    /// Not 1-12.
    Month,
    /// No such day in that month.
    Day,
}

impl fmt::Display for BirthDateRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BirthDateRefused::Year => "impossible birth year: ask again",
            BirthDateRefused::Month => "impossible birth month: ask again",
            BirthDateRefused::Day => "this month has no such day: ask again",
        })
    }
}

impl std::error::Error for BirthDateRefused {}

impl BirthDate {
    /// Earliest year accepted: the oldest person ever known lived 122 years.
    pub const YEAR_MIN: u16 = 1890;
    /// Latest year accepted; that the date is past is checked against the consultation's own time.
    pub const YEAR_MAX: u16 = 2199;

    /// `None` for a month or day that nobody knows. A year that nobody knows is given as its plausible decade.
    pub fn new(year: u16, month: Option<u8>, day: Option<u8>) -> Result<Self, BirthDateRefused> {
        if !(Self::YEAR_MIN..=Self::YEAR_MAX).contains(&year) {
            return Err(BirthDateRefused::Year);
        }
        if month.is_some_and(|m| !(1..=12).contains(&m)) {
            return Err(BirthDateRefused::Month);
        }
        // With the month unknown the official day belongs to January, which has every day.
        if day.is_some_and(|d| d == 0 || d > days_in_month(year, month.unwrap_or(1))) {
            return Err(BirthDateRefused::Day);
        }
        Ok(Self { year, month, day })
    }

    /// Year, month and day of the official form (RNIV): day unknown → 1st, month unknown → January, both → 31
    /// December.
    pub fn official(self) -> (u16, u8, u8) {
        match (self.month, self.day) {
            (None, None) => (self.year, 12, 31),
            (month, day) => (self.year, month.unwrap_or(1), day.unwrap_or(1)),
        }
    }

    /// Year, month and day as given.
    pub fn parts(self) -> (u16, Option<u8>, Option<u8>) {
        (self.year, self.month, self.day)
    }

    /// Whether the whole date is after the day of `now` (UTC). A date known in part is judged by its known part.
    pub fn is_after(self, now: Moment) -> bool {
        let (year, month, day) = civil_from_moment(now);
        let born = (
            i64::from(self.year),
            self.month.unwrap_or(1),
            if self.month.is_some() { self.day.unwrap_or(1) } else { 1 },
        );
        born > (year, month, day)
    }

    /// Whole years lived at `now` (UTC), by the official form; 0 for a date to come.
    pub fn age_years(self, now: Moment) -> u16 {
        let (year, month, day) = civil_from_moment(now);
        let (born_year, born_month, born_day) = self.official();
        let years = year - i64::from(born_year) - i64::from((month, day) < (born_month, born_day));
        u16::try_from(years).unwrap_or(0)
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate([patient])")
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && !year.is_multiple_of(100) || month == 2 && year.is_multiple_of(400) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month, day of an instant, UTC (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_moment(now: Moment) -> (i64, u8, u8) {
    let z = now.0.div_euclid(86_400_000) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parts_take_their_official_form() {
        let official = |month, day| BirthDate::new(1950, month, day).unwrap().official();
        assert_eq!(official(Some(5), Some(17)), (1950, 5, 17));
        assert_eq!(official(Some(5), None), (1950, 5, 1));
        assert_eq!(official(None, Some(17)), (1950, 1, 17));
        assert_eq!(official(None, None), (1950, 12, 31));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert_eq!(BirthDate::new(2023, Some(2), Some(29)), Err(BirthDateRefused::Day));
        assert_eq!(BirthDate::new(1900, Some(2), Some(29)), Err(BirthDateRefused::Day));
        assert!(BirthDate::new(2000, Some(2), Some(29)).is_ok());
        assert_eq!(BirthDate::new(2000, Some(4), Some(31)), Err(BirthDateRefused::Day));
        assert_eq!(BirthDate::new(2000, Some(13), None), Err(BirthDateRefused::Month));
        assert_eq!(BirthDate::new(2000, Some(1), Some(0)), Err(BirthDateRefused::Day));
        assert_eq!(BirthDate::new(1700, None, None), Err(BirthDateRefused::Year));
    }

    #[test]
    fn a_birth_to_come_is_noticed_and_age_counts_birthdays() {
        // 2026-11-22T00:00:00Z
        let now = Moment(1_795_305_600_000);
        assert_eq!(civil_from_moment(now), (2026, 11, 22));
        assert_eq!(civil_from_moment(Moment(-1)), (1969, 12, 31));
        assert!(BirthDate::new(2026, Some(11), Some(23)).unwrap().is_after(now));
        assert!(!BirthDate::new(2026, Some(11), Some(22)).unwrap().is_after(now));
        assert!(!BirthDate::new(2026, None, None).unwrap().is_after(now));
        assert_eq!(BirthDate::new(2000, Some(11), Some(22)).unwrap().age_years(now), 26);
        assert_eq!(BirthDate::new(2000, Some(11), Some(23)).unwrap().age_years(now), 25);
    }
}
