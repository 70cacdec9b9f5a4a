//! Electrocardiographs that record by themselves and show their files as a USB memory stick.
//!
//! Shared by every such recorder: when a file is this patient's, what the person is asked to do, and the few bytes by
//! which the port ([`crate::ports`], which opens the folder) answers. What the files hold is each recorder's own
//! ([`Format`]).
//!
//! The files are of patients of many days. One is read only if it was not there when the folder was first seen in this
//! measurement, has the size that a whole one has, and has stopped growing; it is taken only if its own time stamp can
//! be of now, by the rule of [`crate::stored`]. So the recorder is connected first, taken off, used, and connected
//! again. Who a file says that it is of is skipped, never kept.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use consult::ecg::Ecg;

use crate::device_clock::{DeviceTime, ZONE_MAX_MINUTES};
use crate::stored::{Record, Stored, Verdict};
use crate::{Absent, Event, Now, Outgoing, Protocol, Status, Transmit};

/// To the port: what is in the folder?
pub(crate) const LIST: &[u8] = b"?";
/// To the port: the file of that name, which follows.
pub(crate) const READ: u8 = b'<';
/// From the port: there is no folder.
pub(crate) const AWAY: u8 = b'A';
/// From the port: so many files (u16, little endian as all here), each a name (its length u8, then bytes), its size
/// (u32) and its date, seconds since 1970 by the clock that wrote it (i64).
pub(crate) const LISTED: u8 = b'L';
/// From the port: a file, its size (u32), its bytes.
pub(crate) const FILE: u8 = b'F';
/// From the port: the file cannot be read.
pub(crate) const NOT_READ: u8 = b'N';

/// Most files looked at: a PC-80B keeps 1200. Others are left out, and never taken.
pub(crate) const FILES_MAX: usize = 2_048;
/// Longest name of a file, with its folder. A longer one is left out.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Largest file read: ten minutes of the fastest recorder (Contec ECG90A, 16 bytes a row at 800 Hz), and a little.
pub(crate) const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The folder is looked at that often.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The port answers within that time; a large file over slow USB takes a while.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Time for a measurement: the recorder is fetched, its electrodes placed, and it records for a while.
const MEASUREMENT_MAX: Duration = Duration::from_secs(900);
/// A recording is at least that long, ms.
const RECORDING_MIN_MS: u32 = 5_000;

/// What one recorder's files are.
pub(crate) trait Format: Send {
    /// Whether a file of that name and size can be a whole recording.
    fn may_be(name: &str, size: usize) -> bool;

    /// The recording in a file, and when it was made by the recorder's clock; `None` for a file cut short, damaged, or
    /// of something else.
    fn read(file: &[u8]) -> Option<(DeviceTime, Ecg)>;
}

/// A file, as the folder shows it.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    size: u32,
    written: i64,
}

impl Entry {
    /// FNV-1a: tells files apart without keeping their names, of which a recorder may make the patient's.
    fn key(&self) -> u64 {
        let numbers = self.size.to_le_bytes().into_iter().chain(self.written.to_le_bytes());
        self.name
            .iter()
            .copied()
            .chain(numbers)
            .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
    }

    fn record(&self, now: Now) -> Kept {
        // A date that is still to come in every zone tells nothing of the order.
        let is_past = self.written <= DeviceTime::of(now.wall).0 + ZONE_MAX_MINUTES * 60;
        Kept { key: self.key(), at: (self.written > 0 && is_past).then_some(DeviceTime(self.written)) }
    }
}

/// A file in the recorder's memory: by its own stamp if it was read, else by its folder's date.
#[derive(Clone, Copy)]
struct Kept {
    key: u64,
    at: Option<DeviceTime>,
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Record for Kept {
    fn at(&self) -> Option<DeviceTime> {
        self.at
    }
}

/// What was asked of the port.
enum Asked {
    Nothing { look_at: Instant },
    List { until: Instant },
    File { entry: Entry, until: Instant },
}

struct Run {
    deadline: Instant,
    asked: Asked,
    stored: Stored<Kept>,
    /// As the folder was last seen: a file that is the same twice has stopped growing.
    last: Vec<Entry>,
    /// Files that were read and are none of this measurement.
    others: Vec<u64>,
    /// The folder was seen at all.
    seen: bool,
}

/// Where in an answer of the port.
enum Answer {
    /// Before its first byte.
    None,
    /// Files yet to come.
    Listing { left: usize, entries: Vec<Entry> },
    /// Bytes yet to come.
    File { left: usize, bytes: Vec<u8> },
}

/// A recorder's protocol.
pub(crate) struct Recorder<F> {
    /// Bytes of an answer that are no whole part yet.
    buffer: Vec<u8>,
    answer: Answer,
    run: Option<Run>,
    out: Outgoing,
    format: PhantomData<F>,
}

impl<F: Format> Recorder<F> {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), answer: Answer::None, run: None, out: Outgoing::default(), format: PhantomData }
    }

    fn list(&mut self, now: Now) {
        let Some(run) = &mut self.run else { return };
        run.asked = Asked::List { until: now.instant + ANSWER_MAX };
        self.out.send(LIST);
    }

    fn look_later(&mut self, now: Now) {
        if let Some(run) = &mut self.run {
            run.asked = Asked::Nothing { look_at: now.instant + LOOK_EVERY };
        }
    }

    fn end(&mut self, why: Absent) {
        self.run = None;
        self.out.end(why);
    }

    /// Takes one part of an answer from the buffer. False when it needs more bytes.
    fn part(&mut self, now: Now) -> bool {
        match &mut self.answer {
            Answer::None => match *self.buffer {
                [AWAY, ..] => {
                    self.buffer.drain(..1);
                    self.away(now);
                }
                [NOT_READ, ..] => {
                    self.buffer.drain(..1);
                    self.look_later(now);
                }
                [LISTED, low, high, ..] => {
                    self.buffer.drain(..3);
                    let left = usize::from(u16::from_le_bytes([low, high])).min(FILES_MAX);
                    self.answer = Answer::Listing { left, entries: Vec::new() };
                }
                [FILE, a, b, c, d, ..] => {
                    self.buffer.drain(..5);
                    let left = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                    self.answer = Answer::File { left: left.min(FILE_BYTES_MAX), bytes: Vec::new() };
                }
                [LISTED | FILE, ..] | [] => return false,
                // Noise: no port says it.
                _ => drop(self.buffer.drain(..1)),
            },
            Answer::Listing { left: 0, entries } => {
                let entries = std::mem::take(entries);
                self.answer = Answer::None;
                self.listed(entries, now);
            }
            Answer::Listing { left, entries } => {
                let Some((&length, rest)) = self.buffer.split_first() else { return false };
                let length = usize::from(length);
                let Some((name, rest)) = rest.split_at_checked(length) else { return false };
                let Some((numbers, _)) = rest.split_first_chunk::<12>() else { return false };
                let [s0, s1, s2, s3, written @ ..] = *numbers;
                if length <= NAME_BYTES_MAX {
                    let size = u32::from_le_bytes([s0, s1, s2, s3]);
                    entries.push(Entry { name: name.to_vec(), size, written: i64::from_le_bytes(written) });
                }
                *left -= 1;
                self.buffer.drain(..1 + length + 12);
            }
            Answer::File { left, bytes } => {
                let count = self.buffer.len().min(*left);
                bytes.extend(self.buffer.drain(..count));
                *left -= count;
                if *left > 0 {
                    return false;
                }
                let bytes = std::mem::take(bytes);
                self.answer = Answer::None;
                self.read(&bytes, now);
            }
        }
        true
    }

    fn away(&mut self, now: Now) {
        if let Some(run) = &mut self.run {
            if run.seen {
                run.stored.port_opened();
            }
            run.last.clear();
            self.out.status(Status::ConnectDevice);
            self.look_later(now);
        }
    }

    fn listed(&mut self, mut entries: Vec<Entry>, now: Now) {
        let Some(run) = &mut self.run else { return };
        if !matches!(run.asked, Asked::List { .. }) {
            return;
        }
        let can_be = |entry: &Entry| {
            let name = String::from_utf8_lossy(&entry.name);
            usize::try_from(entry.size).is_ok_and(|size| size <= FILE_BYTES_MAX && F::may_be(&name, size))
        };
        entries.retain(can_be);
        let is_known = |entry: &Entry| {
            let key = entry.key();
            run.stored.before().is_some_and(|before| before.iter().any(|kept| kept.key == key))
        };
        // Those that were there, or all of them when none was: it is first seen now, or another recorder's.
        let mut known: Vec<Kept> = entries.iter().filter(|entry| is_known(entry)).map(|e| e.record(now)).collect();
        if known.is_empty() && run.stored.before().is_none_or(|before| !before.is_empty()) {
            known = entries.iter().map(|entry| entry.record(now)).collect();
        }
        let is_fresh = |entry: &&Entry| {
            let key = entry.key();
            !known.iter().any(|kept| kept.key == key) && !run.others.contains(&key) && run.last.contains(entry)
        };
        let fresh = entries.iter().find(is_fresh).cloned();
        run.stored.look(&known, now);
        run.seen = true;
        run.last = entries;
        match fresh {
            Some(entry) => {
                let command = [&[READ], entry.name.as_slice()].concat();
                run.asked = Asked::File { entry, until: now.instant + ANSWER_MAX };
                self.out.send(&command);
            }
            None => {
                self.out.status(Status::MeasureOnDevice);
                self.look_later(now);
            }
        }
    }

    fn read(&mut self, file: &[u8], now: Now) {
        let Some(run) = &mut self.run else { return };
        let Asked::File { entry, .. } = &run.asked else { return };
        let key = entry.key();
        run.others.push(key);
        if run.others.len() > FILES_MAX {
            run.others.remove(0);
        }
        let is_whole = usize::try_from(entry.size).is_ok_and(|size| size == file.len());
        let Some((at, ecg)) = F::read(file).filter(|_| is_whole) else { return self.look_later(now) };
        let mut records = run.stored.before().unwrap_or_default().to_vec();
        records.push(Kept { key, at: Some(at) });
        match run.stored.look(&records, now) {
            Verdict::Nothing => self.look_later(now),
            Verdict::ClockWrong => self.end(Absent::ClockWrong),
            Verdict::Ours(_, at) => {
                let is_there = ecg.samples().iter().any(|sample| *sample != consult::ecg::MISSING);
                if !is_there {
                    return self.end(Absent::ElectrodeOff);
                }
                if ecg.duration_ms() < RECORDING_MIN_MS {
                    return self.end(Absent::Empty);
                }
                self.run = None;
                self.out.event(Event::EcgTaken { ecg, device_at: Some(at) });
                self.out.event(Event::Finished);
            }
        }
    }
}

impl<F: Format> Protocol for Recorder<F> {
    fn port_opened(&mut self, now: Now) {
        self.buffer.clear();
        self.answer = Answer::None;
        self.out.forget_commands();
        self.out.forget_status();
        if self.run.is_some() {
            self.list(now);
        }
    }

    fn start(&mut self, now: Now) {
        // An answer under way is not to be taken for the one to come.
        self.buffer.clear();
        self.answer = Answer::None;
        self.out.forget_commands();
        self.out.forget_status();
        self.run = Some(Run {
            deadline: now.instant + MEASUREMENT_MAX,
            asked: Asked::Nothing { look_at: now.instant },
            stored: Stored::new(now, 1),
            last: Vec::new(),
            others: Vec::new(),
            seen: false,
        });
        self.list(now);
    }

    fn stop(&mut self, _now: Now) {
        if self.run.is_some() {
            self.end(Absent::Stopped);
        }
    }

    fn measuring_max(&self) -> Duration {
        MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        for piece in bytes.chunks(NAME_BYTES_MAX) {
            self.buffer.extend(piece);
            while self.part(now) {}
        }
        if self.run.is_none() {
            self.buffer.clear();
            self.answer = Answer::None;
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let Some(run) = &self.run else { return };
        if run.deadline <= now.instant {
            return self.end(Absent::timed_out(MEASUREMENT_MAX));
        }
        match run.asked {
            Asked::Nothing { look_at } if look_at <= now.instant => self.list(now),
            Asked::List { until } | Asked::File { until, .. } if until <= now.instant => {
                self.buffer.clear();
                self.answer = Answer::None;
                self.list(now);
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let run = self.run.as_ref()?;
        let next = match run.asked {
            Asked::Nothing { look_at } => look_at,
            Asked::List { until } | Asked::File { until, .. } => until,
        };
        Some(next.min(run.deadline))
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.out.poll_event()
    }

    /// A file or a listing under way is no past: it is bounded by its own limit, and given or forgotten when it ends.
    fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests;
