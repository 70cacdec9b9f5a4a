//! A device's own clock: a date and a time of day of the civil calendar, without a zone.
//!
//! Shared by every device with a memory, so that whether a record can be this patient's is judged by the same rule.

use consult::vitals::Moment;

/// No place on Earth is further from UTC than 14 hours.
pub(crate) const ZONE_MAX_MINUTES: i64 = 15 * 60;
/// Zones are whole quarters of an hour.
const ZONE_STEP_MINUTES: i64 = 15;

/// Seconds since 1970 by a clock that knows no zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DeviceTime(pub(crate) i64);

/// A date and a time of day, as a device's packets carry them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl DeviceTime {
    /// `None` for what is no date or time of day: a clock that was never set, or noise.
    pub(crate) fn from_civil(civil: Civil) -> Option<Self> {
        let Civil { year, month, day, hour, minute, second } = civil;
        let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        if !fits || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let days = days_from_civil(year, month, day);
        // 30 February is no day, and would be read as another.
        (civil_from_days(days) == (year, month, day)).then_some(Self(((days * 24 + hour) * 60 + minute) * 60 + second))
    }

    pub(crate) fn civil(self) -> Civil {
        let (year, month, day) = civil_from_days(self.0.div_euclid(86_400));
        let of_day = self.0.rem_euclid(86_400);
        Civil { year, month, day, hour: of_day / 3_600, minute: of_day / 60 % 60, second: of_day % 60 }
    }

    /// What a device set to UTC would show.
    pub(crate) fn of(moment: Moment) -> Self {
        Self(moment.0.div_euclid(1_000))
    }

    /// Minutes by which this clock is ahead of UTC, when a zone and a clock kept badly can explain it; `None` when it
    /// was never set, or has lost its date.
    pub(crate) fn minutes_ahead(self, wall: Moment) -> Option<i64> {
        let minutes = (self.0 - Self::of(wall).0).div_euclid(60);
        (minutes.abs() <= ZONE_MAX_MINUTES).then_some(minutes)
    }

    /// In UTC by the device's own clock, which is that much ahead: its zone, the whole quarters of an hour, is taken
    /// off; what it is wrong by stays.
    pub(crate) fn moment(self, minutes_ahead: i64) -> Moment {
        let zone = (minutes_ahead + ZONE_STEP_MINUTES / 2).div_euclid(ZONE_STEP_MINUTES) * ZONE_STEP_MINUTES;
        Moment((self.0 - zone * 60) * 1_000)
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a count of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_century_is_read_as_it_is_written() {
        for day in days_from_civil(2000, 1, 1)..days_from_civil(2100, 1, 1) {
            let time = DeviceTime(day * 86_400 + 36_797);
            assert_eq!(DeviceTime::from_civil(time.civil()), Some(time));
        }
        // 2026-03-09 08:41:20 UTC.
        let civil = Civil { year: 2026, month: 3, day: 9, hour: 8, minute: 41, second: 20 };
        assert_eq!(DeviceTime::from_civil(civil), Some(DeviceTime::of(Moment(1_773_045_680_000))));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let good = Civil { year: 2026, month: 2, day: 28, hour: 23, minute: 59, second: 59 };
        assert!(DeviceTime::from_civil(good).is_some());
        for wrong in [
            Civil { day: 29, ..good },
            Civil { day: 0, ..good },
            Civil { month: 13, ..good },
            Civil { hour: 24, ..good },
            Civil { minute: 60, ..good },
            Civil { second: 60, ..good },
        ] {
            assert_eq!(DeviceTime::from_civil(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_zone_is_taken_off_and_an_error_of_minutes_stays() {
        let wall = Moment(1_773_045_680_000);
        for (zone, error) in [(0, 0), (60, 3), (-210, -4), (345, 7), (840, 0)] {
            let shown = DeviceTime(DeviceTime::of(wall).0 + (zone + error) * 60);
            let ahead = shown.minutes_ahead(wall).unwrap();
            assert_eq!(ahead, zone + error);
            assert_eq!(shown.moment(ahead), Moment(wall.0 + error * 60_000));
        }
        assert_eq!(DeviceTime(DeviceTime::of(wall).0 - 16 * 3_600).minutes_ahead(wall), None);
    }
}
