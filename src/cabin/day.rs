//! Counts of the day, for the pharmacist: kept over a restart, begun anew with each date of the place. No patient in them.

use std::path::{Path, PathBuf};

use consult::vitals::Moment;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
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

/// See the module. Whoever counts never waits for the disk.
pub struct Day {
    kept: Kept,
    /// What is written next; the last value wins.
    to_write: watch::Sender<Kept>,
}

fn date(now: Moment) -> i64 {
    (now.0 + i64::from(utc_offset_minutes(now)) * 60_000).div_euclid(24 * 3_600_000)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("day.json")
}

impl Day {
    /// What was counted before a restart; nothing where the file is not there, or is damaged. What is counted from now on
    /// is written by a task of this runtime.
    pub fn open(folder: &Path, runtime: &Handle) -> Self {
        let text = std::fs::read(file(folder)).unwrap_or_default();
        let kept = serde_json::from_slice(&text).unwrap_or_default();
        let (to_write, heard) = watch::channel(kept);
        runtime.spawn(write(folder.to_owned(), heard));
        Self { kept, to_write }
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
        self.to_write.send_replace(self.kept);
    }
}

/// Until nobody counts any more.
async fn write(folder: PathBuf, mut heard: watch::Receiver<Kept>) {
    while heard.changed().await.is_ok() {
        let (folder, kept) = (folder.clone(), *heard.borrow_and_update());
        let written = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_vec(&kept)?;
            put(&file(&folder), &text, 0o600, Owner::of(&folder)?)
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "a restart would not know the counts of the day: is the disk full?");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Moment = Moment(1_795_000_000_000 / 86_400_000 * 86_400_000 + 12 * 3_600_000);

    /// Ends the runtime of a day, with all that it was given to write.
    async fn written(folder: &Path, what: impl FnOnce(&mut Day)) {
        let (to_write, heard) = watch::channel(Day::open(folder, &Handle::current()).kept);
        let mut day = Day { kept: *heard.borrow(), to_write };
        let writing = tokio::spawn(write(folder.to_owned(), heard));
        what(&mut day);
        drop(day);
        writing.await.expect("written");
    }

    #[tokio::test]
    async fn a_restart_goes_on_counting_and_another_day_begins_anew() {
        let folder = std::env::temp_dir().join(format!("day-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let again = || Day::open(&folder, &Handle::current());
        written(&folder, |day| day.count(NOON, |counts| counts.helps += 1)).await;
        let later = Moment(NOON.0 + 3_600_000);
        written(&folder, |day| day.count(later, |counts| (counts.consultations, counts.minutes) = (1, 12))).await;
        assert_eq!(again().counts(NOON), Counts { consultations: 1, minutes: 12, helps: 1, call_backs: 0 });
        let tomorrow = Moment(NOON.0 + 24 * 3_600_000);
        assert_eq!(again().counts(tomorrow), Counts::default());
        written(&folder, |day| (0..3).for_each(|_| day.count(tomorrow, |counts| counts.helps += 1))).await;
        assert_eq!(again().counts(tomorrow), Counts { helps: 3, ..Counts::default() });
        std::fs::write(file(&folder), b"{").expect("room");
        assert_eq!(again().counts(tomorrow), Counts::default());
        std::fs::remove_dir_all(&folder).expect("gone");
    }
}
