//! The calendar that the clocks inside simulated devices keep.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, UTC.
pub(crate) fn utc_seconds() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(0)
}

/// Year, month, day, hour, minute, second.
pub(crate) fn date(seconds: i64) -> [i64; 6] {
    let (mut year, mut day) = (1970, seconds.div_euclid(86_400));
    while day < 0 {
        year -= 1;
        day += year_days(year);
    }
    while day >= year_days(year) {
        day -= year_days(year);
        year += 1;
    }
    let mut month = 1;
    while day >= month_days(year, month) {
        day -= month_days(year, month);
        month += 1;
    }
    let of_day = seconds.rem_euclid(86_400);
    [year, month, day + 1, of_day / 3_600, of_day / 60 % 60, of_day % 60]
}

/// The other way; any year from 1970 on.
pub(crate) fn seconds([year, month, day, hour, minute, second]: [i64; 6]) -> i64 {
    let years: i64 = (1970..year).map(year_days).sum();
    let months: i64 = (1..month).map(|month| month_days(year, month)).sum();
    (((years + months + day - 1) * 24 + hour) * 60 + minute) * 60 + second
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn year_days(year: i64) -> i64 {
    365 + i64::from(is_leap(year))
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_is_written() {
        assert_eq!(date(1_773_045_680), [2026, 3, 9, 8, 41, 20]);
        for seconds_since in (0..4_102_444_800).step_by(86_399 * 7) {
            assert_eq!(seconds(date(seconds_since)), seconds_since);
        }
        assert_eq!(date(-1), [1969, 12, 31, 23, 59, 59]);
    }
}
