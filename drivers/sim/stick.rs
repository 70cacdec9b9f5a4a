//! Recorders that show what they recorded as a memory stick: a folder that comes and goes, with files of many days.
//!
//! Shared by the simulated recorders; what a file holds is each one's own.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::{Device, number};

/// What a recording shows, and when.
pub(crate) struct Take {
    /// Number of the file, from 1.
    pub(crate) number: u32,
    /// Seconds since 1970 by the recorder's clock, which knows no zone.
    pub(crate) clock: i64,
    /// How long it is, s.
    pub(crate) seconds: u32,
    /// Beats a minute.
    pub(crate) pulse: u32,
    /// Electrodes are off in the middle third of it.
    pub(crate) electrode_off: bool,
}

/// The file of a recording: its name in the folder, and what it holds.
pub(crate) type Written = (String, Vec<u8>);

/// Files that are left in a memory that is emptied.
const LEFT: usize = 2;

/// A file in the recorder's memory.
#[derive(Clone)]
struct Kept {
    name: String,
    content: Vec<u8>,
    /// When it was written, by the recorder's clock.
    clock: i64,
}

/// A recorder. What it tells its cable is files: the length of a name (u16, little endian), the name, its date (i64), the length
/// of what it holds (u32), that.
pub(crate) struct Recorder {
    write: fn(&Take) -> Written,
    files: Vec<Kept>,
    /// Recordings ever made: a name is not used twice.
    made: u32,
    /// Files that the folder does not show yet.
    fresh: Vec<Kept>,
    /// When it was plugged in.
    plugged: Option<Instant>,
    zone_minutes: i64,
    seconds: u32,
    /// The next recording ended so many seconds ago.
    ago: i64,
    pulse: u32,
    electrode_off: bool,
    cut: bool,
    record_at: Option<Instant>,
}

impl Recorder {
    /// With recordings of two earlier patients, and files that are none.
    pub(crate) fn new(write: fn(&Take) -> Written, others: Vec<Written>) -> Self {
        let mut recorder = Self {
            write,
            files: others.into_iter().map(|(name, content)| Kept { name, content, clock: 1_700_000_000 }).collect(),
            made: 0,
            fresh: Vec::new(),
            plugged: None,
            zone_minutes: 0,
            seconds: 10,
            ago: 0,
            pulse: 72,
            electrode_off: false,
            cut: false,
            record_at: None,
        };
        for days in [30, 1] {
            recorder.ago = days * 86_400;
            let earlier = recorder.take();
            recorder.files.push(earlier);
        }
        recorder.ago = 0;
        recorder
    }

    fn take(&mut self) -> Kept {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let ended = i64::try_from(since).unwrap_or_default() + 60 * self.zone_minutes - self.ago;
        // Its stamp is that of its beginning.
        let clock = ended - i64::from(self.seconds);
        let (seconds, pulse, electrode_off) = (self.seconds, self.pulse, self.electrode_off);
        self.made += 1;
        let number = self.made;
        let (name, content) = (self.write)(&Take { number, clock, seconds, pulse, electrode_off });
        Kept { name, content, clock: ended }
    }

    fn record(&mut self) {
        let mut kept = self.take();
        self.files.push(kept.clone());
        if std::mem::take(&mut self.cut) {
            kept.content.truncate(kept.content.len() / 2);
        }
        self.fresh.push(kept);
    }

    fn tell(&mut self, out: &mut Vec<u8>) {
        for Kept { name, content, clock } in self.fresh.drain(..) {
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(name.bytes());
            out.extend(clock.to_le_bytes());
            out.extend((content.len() as u32).to_le_bytes());
            out.extend(content);
        }
    }
}

impl Device for Recorder {
    fn plugged(&mut self, now: Instant) {
        self.plugged = Some(now);
        self.fresh.clone_from(&self.files);
    }

    fn unplugged(&mut self, _now: Instant) {
        self.plugged = None;
    }

    fn hear(&mut self, _bytes: &[u8], _now: Instant, _out: &mut Vec<u8>) {}

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.record_at.take_if(|at| *at <= now).is_some() {
            self.record();
        }
        if self.plugged.is_some() {
            self.tell(out);
        }
    }

    fn due(&self) -> Option<Instant> {
        // Due since then: at once.
        self.plugged.filter(|_| !self.fresh.is_empty()).or(self.record_at)
    }

    fn set(&mut self, key: &str, value: &str, now: Instant) -> Result<(), String> {
        match key {
            "zone" => self.zone_minutes = number(key, value, -900, 900)?,
            "ago" => self.ago = number(key, value, 0, 86_400)?,
            "seconds" => self.seconds = number(key, value, 1, 600)?,
            "pulse" => self.pulse = number(key, value, 20, 240)?,
            "auto" => self.record_at = Some(now + Duration::from_secs(number(key, value, 0, 600)?)),
            _ => {
                return Err(format!(
                    "no such value: {key}={value}; zone (minutes), seconds, ago (seconds), pulse, auto (seconds)"
                ));
            }
        }
        Ok(())
    }

    fn values(&self) -> String {
        format!("zone={} seconds={} pulse={} files={}", self.zone_minutes, self.seconds, self.pulse, self.files.len())
    }

    fn act(&mut self, words: &[&str], _now: Instant) -> Result<(), String> {
        match words {
            ["measure"] => self.record(),
            // The next file is half written; it is whole when it is plugged in again.
            ["cut"] => self.cut = true,
            // Somebody erases all but the newest; the folder shows it when it is plugged in again.
            ["empty"] => drop(self.files.drain(..self.files.len().saturating_sub(LEFT))),
            ["electrode", state @ ("on" | "off")] => self.electrode_off = *state == "off",
            _ => return Err("measure, cut, empty, electrode on|off".into()),
        }
        Ok(())
    }
}

/// The folder, which goes with what is in it when it is dropped: the stick is pulled out.
pub(crate) struct Folder {
    path: PathBuf,
    /// Nothing ever comes from a host that only reads.
    never: OwnedFd,
}

impl Folder {
    pub(crate) fn plug(path: &Path) -> io::Result<Folder> {
        // One left by a simulator that was killed.
        let _ = fs::remove_dir_all(path);
        Ok(Folder { path: path.to_owned(), never: eventfd(0, EventfdFlags::CLOEXEC)? })
    }

    /// As a mount does it, what is on the stick is there all at once; later files come one by one, each whole.
    pub(crate) fn write(&mut self, mut told: &[u8]) {
        let is_mounted = self.path.exists();
        let beside = self.path.with_extension("staging");
        let folder = if is_mounted { self.path.clone() } else { beside.clone() };
        while let Some((Kept { name, content, clock }, rest)) = file(told) {
            told = rest;
            let name = Path::new(&name);
            if !name.components().all(|part| matches!(part, Component::Normal(_))) {
                return;
            }
            let path = folder.join(name);
            let unnamed = beside.with_extension("file");
            // As on a stick that is full, what cannot be written is not there.
            let _ = path.parent().map(fs::create_dir_all);
            let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(clock).unwrap_or_default());
            let _ = fs::write(&unnamed, content)
                .and_then(|()| fs::File::open(&unnamed)?.set_modified(date))
                .and_then(|()| fs::rename(&unnamed, &path));
        }
        if !is_mounted {
            let _ = fs::rename(&beside, &self.path);
        }
    }
}

fn file(told: &[u8]) -> Option<(Kept, &[u8])> {
    let (length, rest) = told.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    let (clock, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (content, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some((Kept { name, content: content.to_vec(), clock: i64::from_le_bytes(*clock) }, rest))
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.never.as_fd()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Gone all at once.
        let beside = self.path.with_extension("gone");
        let _ = fs::rename(&self.path, &beside);
        let _ = fs::remove_dir_all(&beside);
    }
}

/// Year, month, day, hour, minute, second of a clock that knows no zone.
pub(crate) fn civil(clock: i64) -> [i64; 6] {
    let (mut day, second) = (clock.div_euclid(86_400), clock.rem_euclid(86_400));
    let mut year = 1970;
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    [year, month, day + 1, second / 3_600, second / 60 % 60, second % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(civil(1_773_045_680), [2026, 3, 9, 8, 41, 20]);
        assert_eq!(civil(951_782_400), [2000, 2, 29, 0, 0, 0]);
        assert_eq!(civil(1_798_761_599), [2026, 12, 31, 23, 59, 59]);
    }

    #[test]
    fn a_file_told_is_in_the_folder_and_goes_with_it() {
        let path = std::env::temp_dir().join(format!("sim-stick-{}", std::process::id()));
        let mut recorder = Recorder::new(|take| (format!("A/{}.X", take.number), vec![7; 9]), Vec::new());
        let mut folder = Folder::plug(&path).unwrap();
        let (now, mut out) = (Instant::now(), Vec::new());
        recorder.plugged(now);
        recorder.tick(now, &mut out);
        folder.write(&out);
        assert_eq!(fs::read(path.join("A/2.X")).unwrap(), [7; 9]);
        drop(folder);
        assert!(!path.exists());
    }
}
