//! Counts of the day, for the pharmacist: kept over a restart, begun anew with each date of the place. No patient in them.

use std::path::{Path, PathBuf};

use consult::vitals::Moment;
use serde::{Deserialize, Serialize};
use wiring::file::{Owner, put};

use crate::submission::utc_offset_minutes;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Consultations that reached their end.
    pub consultations: u32,
    /// Their minutes, added.
    pub minutes: u32,
    /// Calls for help.
    pub helps: u32,
    /// Patients who asked to be called back.
    pub call_backs: u32,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Kept {
    /// Days since 1970, by the clock on the wall.
    date: i64,
    counts: Counts,
}

/// See the module.
pub struct Day {
    folder: PathBuf,
    kept: Kept,
}

fn date(now: Moment) -> i64 {
    (now.0 + i64::from(utc_offset_minutes(now)) * 60_000).div_euclid(24 * 3_600_000)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("day.json")
}

impl Day {
    /// What was counted before a restart; nothing where the file is not there, or is damaged.
    pub fn open(folder: &Path) -> Self {
        let text = std::fs::read(file(folder)).unwrap_or_default();
        Self { folder: folder.to_owned(), kept: serde_json::from_slice(&text).unwrap_or_default() }
    }

    /// The counts of `now`'s date.
    pub fn counts(&self, now: Moment) -> Counts {
        if self.kept.date == date(now) { self.kept.counts } else { Counts::default() }
    }

    /// Counts something.
    pub fn count(&mut self, now: Moment, what: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts(now);
        what(&mut counts);
        self.kept = Kept { date: date(now), counts };
        let kept = serde_json::to_vec(&self.kept).map_err(std::io::Error::other).and_then(|text| {
            let owner = Owner::of(&self.folder)?;
            put(&file(&self.folder), &text, 0o600, owner)
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "a restart would not know the counts of the day: is the disk full?");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Moment = Moment(1_795_000_000_000 / 86_400_000 * 86_400_000 + 12 * 3_600_000);

    #[test]
    fn a_restart_goes_on_counting_and_another_day_begins_anew() {
        let folder = std::env::temp_dir().join(format!("day-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut day = Day::open(&folder);
        day.count(NOON, |counts| counts.helps += 1);
        let mut day = Day::open(&folder);
        day.count(Moment(NOON.0 + 3_600_000), |counts| (counts.consultations, counts.minutes) = (1, 12));
        let expected = Counts { consultations: 1, minutes: 12, helps: 1, call_backs: 0 };
        assert_eq!(Day::open(&folder).counts(NOON), expected);
        let tomorrow = Moment(NOON.0 + 24 * 3_600_000);
        assert_eq!(day.counts(tomorrow), Counts::default());
        day.count(tomorrow, |counts| counts.helps += 1);
        assert_eq!(day.counts(tomorrow), Counts { helps: 1, ..Counts::default() });
        std::fs::write(file(&folder), b"{").expect("room");
        assert_eq!(Day::open(&folder).counts(tomorrow), Counts::default());
        std::fs::remove_dir_all(&folder).expect("gone");
    }
}
