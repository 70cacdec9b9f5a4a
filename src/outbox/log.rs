//! An append-only log of sealed frames in one file: the truth of the outbox.
//!
//! Room is preallocated and written, so that a frame's sync changes no size and no map of the file, and waits for one
//! flush of the drive; frames written together are synced together. On opening, a torn tail is cut at the last whole
//! frame. Damage before that is kept aside in a file of its own, and the frames before it stay.

use crate::disk;
use crate::frame::{Header, Parsed, Seal};
use crate::keys::DataKey;
use crate::record::ConsultationId;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A log is never larger than this, in bytes; what is longer on opening is not read.
pub const LOG_BYTES_MAX: u64 = 24 * 1024 * 1024;
/// Most damaged copies kept beside one log. Past it the oldest name is reused: damage that often is a dying disk.
const DAMAGED_COPIES_MAX: u32 = 8;

/// One frame, opened.
pub struct Frame {
    /// Position in the log, from 0.
    pub seq: u64,
    /// What it holds.
    pub kind: u8,
    /// The content.
    pub content: Zeroizing<Vec<u8>>,
}

/// What opening a log found.
pub struct Opened {
    /// The log, ready for more.
    pub log: Log,
    /// Its frames in order.
    pub frames: Vec<Frame>,
    /// Bytes of a torn tail that were cut; nobody was promised them.
    pub cut_bytes: u64,
    /// Where the log was kept when part of what had been acknowledged cannot be read.
    pub damaged: Option<PathBuf>,
}

/// What scanning a log's bytes found, without touching the file.
pub struct Scan {
    /// Whole frames in order, up to the first that is not.
    pub frames: Vec<Frame>,
    /// Bytes of those frames.
    pub end: u64,
    /// Whether bytes that are not zero follow.
    pub tail: bool,
    /// Whether a frame that had been acknowledged is among what cannot be read.
    pub damaged: bool,
}

/// A log open for appending.
pub struct Log {
    file: File,
    seal: Seal,
    allocate: u64,
    allocated: u64,
    end: u64,
    written: Vec<u8>,
    next_seq: u64,
    durable: u64,
    failed: bool,
    /// Makes the next sync fail, as a dying disk does.
    #[cfg(test)]
    pub fail_next_sync: bool,
}

impl Log {
    /// A new log. Its name is durable once the caller syncs the directory.
    pub fn create(path: &Path, key: &DataKey, consultation: ConsultationId, allocate: u64) -> io::Result<Log> {
        let file = disk::create(path)?;
        disk::reserve_written(&file, 0, allocate)?;
        file.sync_all()?;
        Ok(Log::at(file, Seal::new(key, consultation), allocate, allocate, 0, 0))
    }

    fn at(file: File, seal: Seal, allocate: u64, allocated: u64, end: u64, next_seq: u64) -> Log {
        Log {
            file,
            seal,
            allocate,
            allocated,
            end,
            written: Vec::new(),
            next_seq,
            durable: next_seq,
            failed: false,
            #[cfg(test)]
            fail_next_sync: false,
        }
    }

    /// Opens an existing log, mending its tail.
    pub fn open(path: &Path, key: &DataKey, consultation: ConsultationId, allocate: u64) -> io::Result<Opened> {
        let seal = Seal::new(key, consultation);
        let bytes = read_bounded(path)?;
        let scan = scan(&seal, &bytes);
        let next_seq = scan.frames.len() as u64;
        let mut damaged = None;
        let file = if scan.damaged {
            let aside = aside_path(path);
            // The readable part goes into a new file before the old one gives up its name.
            let copy = path.with_extension("mended");
            let _ = fs::remove_file(&copy);
            let file = disk::create(&copy)?;
            file.write_all_at(&bytes[..scan.end as usize], 0)?;
            file.sync_all()?;
            let _ = fs::remove_file(&aside);
            fs::hard_link(path, &aside)?;
            fs::rename(&copy, path)?;
            damaged = Some(aside);
            file
        } else {
            OpenOptions::new().read(true).write(true).open(path)?
        };
        let mut allocated = file.metadata()?.len();
        if scan.tail && damaged.is_none() {
            // Cutting and growing again leaves zeros: a frame of the torn tail can never follow a new frame.
            file.set_len(scan.end)?;
            allocated = scan.end;
        }
        if allocated < allocate {
            match disk::reserve_written(&file, allocated, allocate) {
                Ok(()) => allocated = allocate,
                // A full disk does not keep the outbox from opening what it has.
                Err(error) if disk::is_full(&error) => {}
                Err(error) => return Err(error),
            }
        }
        file.sync_all()?;
        if let Some(parent) = path.parent() {
            disk::sync_dir(parent)?;
        }
        let cut_bytes = if scan.tail && damaged.is_none() { bytes.len() as u64 - scan.end } else { 0 };
        let log = Log::at(file, seal, allocate, allocated, scan.end, next_seq);
        Ok(Opened { log, frames: scan.frames, cut_bytes, damaged })
    }

    /// Position of the next frame.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Bytes of whole frames, written or about to be.
    pub fn bytes(&self) -> u64 {
        self.end + self.written.len() as u64
    }

    /// Adds a frame to those that the next [`Log::commit`] makes durable. Fails when the content is over the limit of a
    /// frame, or when room cannot be had; then nothing has changed.
    pub fn write(&mut self, kind: u8, content: &[u8]) -> io::Result<u64> {
        if self.failed {
            return Err(io::Error::other("this log has failed before"));
        }
        let before = self.written.len();
        let header = Header { seq: self.next_seq, durable: self.durable, kind };
        let over = || io::Error::new(io::ErrorKind::InvalidInput, "over the largest frame");
        self.seal.seal(header, content, &mut self.written).ok_or_else(over)?;
        let needed = self.end + self.written.len() as u64;
        if needed > self.allocated {
            let grown = self.allocated.max(needed) + self.allocate;
            let reserved = disk::reserve_written(&self.file, self.allocated, grown);
            if let Err(error) = reserved {
                self.written.truncate(before);
                return Err(error);
            }
            self.allocated = grown;
        }
        self.next_seq += 1;
        Ok(self.next_seq - 1)
    }

    /// Makes every frame written so far durable. After a failure nothing more is accepted, for what the disk then holds
    /// is not known: a sync that failed must not be repeated on the same descriptor (Rebello et al., ATC 2020).
    pub fn commit(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("this log has failed before"));
        }
        if self.written.is_empty() {
            return Ok(());
        }
        disk::crash_point();
        let mut result = self.file.write_all_at(&self.written, self.end);
        disk::crash_point();
        result = result.and_then(|()| self.file.sync_data());
        #[cfg(test)]
        if self.fail_next_sync {
            result = Err(io::Error::from_raw_os_error(libc::EIO));
        }
        if let Err(error) = std::mem::replace(&mut result, Ok(())) {
            self.failed = true;
            return Err(error);
        }
        self.end += self.written.len() as u64;
        self.durable = self.next_seq;
        self.written.clear();
        Ok(())
    }
}

/// Reads a log's frames without changing anything: what a check does.
pub fn read(path: &Path, key: &DataKey, consultation: ConsultationId) -> io::Result<Scan> {
    Ok(scan(&Seal::new(key, consultation), &read_bounded(path)?))
}

/// The frames in a log's bytes.
pub fn scan(seal: &Seal, bytes: &[u8]) -> Scan {
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    let ended = loop {
        match seal.parse(&bytes[at..]) {
            Parsed::Whole { header, content, length } if header.seq == frames.len() as u64 => {
                frames.push(Frame { seq: header.seq, kind: header.kind, content });
                at += length;
            }
            Parsed::End => break true,
            Parsed::Whole { .. } | Parsed::Broken => break false,
        }
    };
    let rest = &bytes[at..];
    let tail = !ended || rest.iter().any(|byte| *byte != 0);
    let damaged = tail && acknowledged_frame_follows(seal, rest, frames.len() as u64);
    Scan { frames, end: at as u64, tail, damaged }
}

/// Whether a readable frame further on says that frame `missing` was durable when it was written.
fn acknowledged_frame_follows(seal: &Seal, rest: &[u8], missing: u64) -> bool {
    let magic = crate::frame::MAGIC;
    let mut at = 0;
    while let Some(found) = rest[at..].windows(magic.len()).position(|window| window == magic) {
        at += found;
        match seal.parse(&rest[at..]) {
            Parsed::Whole { header, .. } if header.durable > missing => return true,
            Parsed::Whole { length, .. } => at += length,
            _ => at += 1,
        }
    }
    false
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > LOG_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a log of {length} bytes, over {LOG_BYTES_MAX}"),
        ));
    }
    fs::read(path)
}

fn aside_path(path: &Path) -> PathBuf {
    let candidate = |n: u32| path.with_extension(format!("damaged-{n}"));
    (0..DAMAGED_COPIES_MAX).map(candidate).find(|path| !path.exists()).unwrap_or_else(|| candidate(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSULTATION: ConsultationId = ConsultationId(uuid::Uuid::from_u128(11));

    struct Folder(PathBuf);
    impl Folder {
        fn new() -> Folder {
            let path = std::env::temp_dir().join(format!("outbox-log-{}", uuid::Uuid::new_v4()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
        fn log(&self) -> PathBuf {
            self.0.join("log")
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn content(n: u64) -> Vec<u8> {
        (0..20 + n * 7).map(|i| (i * 31 + n) as u8).collect()
    }

    /// A log of `frames` frames, each committed alone, and where each begins and the last ends.
    fn sample(folder: &Folder, frames: u64) -> Vec<u64> {
        let mut log = Log::create(&folder.log(), &DataKey::fixed(), CONSULTATION, 4096).unwrap();
        let mut ends = vec![0];
        for n in 0..frames {
            assert_eq!(log.write(n as u8, &content(n)).unwrap(), n);
            log.commit().unwrap();
            ends.push(log.bytes());
        }
        ends
    }

    fn reopen(folder: &Folder) -> Opened {
        Log::open(&folder.log(), &DataKey::fixed(), CONSULTATION, 4096).unwrap()
    }

    #[test]
    fn what_was_committed_is_read_back_in_order_past_the_preallocated_room() {
        let folder = Folder::new();
        sample(&folder, 60);
        let opened = reopen(&folder);
        assert_eq!(opened.frames.len(), 60);
        assert!(opened.frames.iter().all(|f| f.content.to_vec() == content(f.seq) && u64::from(f.kind) == f.seq));
        assert_eq!((opened.cut_bytes, opened.damaged.is_none()), (0, true));
    }

    #[test]
    fn a_tail_torn_at_any_byte_of_the_last_two_frames_leaves_the_frames_before_it_and_takes_new_ones() {
        let folder = Folder::new();
        let ends = sample(&folder, 5);
        let whole = fs::read(folder.log()).unwrap();
        for cut in ends[3]..ends[5] {
            let mut torn = whole.clone();
            torn[cut as usize..].fill(0);
            fs::write(folder.log(), &torn).unwrap();
            let mut opened = reopen(&folder);
            // A frame may end in zeros of its own; then the cut changed nothing.
            let expected = ends.iter().filter(|end| torn[..**end as usize] == whole[..**end as usize]).count() - 1;
            assert_eq!(opened.frames.len(), expected, "cut at {cut}");
            assert!(opened.damaged.is_none(), "cut at {cut}");
            assert_eq!(opened.log.write(9, b"after").unwrap(), expected as u64);
            opened.log.commit().unwrap();
            drop(opened);
            let again = reopen(&folder);
            assert_eq!(again.frames.len(), expected + 1, "cut at {cut}");
            assert_eq!(again.frames[expected].content.as_slice(), b"after");
        }
    }

    #[test]
    fn a_shortened_file_is_mended_at_any_length() {
        let folder = Folder::new();
        let ends = sample(&folder, 3);
        let whole = fs::read(folder.log()).unwrap();
        for length in 0..=ends[3] {
            fs::write(folder.log(), &whole[..length as usize]).unwrap();
            let expected = ends.iter().filter(|end| **end <= length).count() - 1;
            assert_eq!(reopen(&folder).frames.len(), expected, "shortened to {length}");
        }
    }

    #[test]
    fn garbage_within_an_acknowledged_frame_is_kept_aside_and_the_frames_before_it_stay() {
        let folder = Folder::new();
        let ends = sample(&folder, 6);
        let whole = fs::read(folder.log()).unwrap();
        for at in ends[2]..ends[3] {
            let mut damaged = whole.clone();
            damaged[at as usize] ^= 0x55;
            fs::write(folder.log(), &damaged).unwrap();
            let opened = reopen(&folder);
            assert_eq!(opened.frames.len(), 2, "garbage at {at}");
            let aside = opened.damaged.expect("kept aside");
            assert_eq!(fs::read(&aside).unwrap(), damaged, "garbage at {at}");
            fs::remove_file(aside).unwrap();
        }
    }

    #[test]
    fn a_batch_whose_first_frame_the_disk_lost_is_a_torn_tail_and_not_damage() {
        let folder = Folder::new();
        let mut log = Log::create(&folder.log(), &DataKey::fixed(), CONSULTATION, 4096).unwrap();
        log.write(1, b"promised").unwrap();
        log.commit().unwrap();
        let start = log.bytes() as usize;
        log.write(2, b"first of a batch").unwrap();
        log.write(3, b"second of a batch").unwrap();
        log.commit().unwrap();
        drop(log);
        let mut bytes = fs::read(folder.log()).unwrap();
        bytes[start..start + 60].fill(0xa5);
        fs::write(folder.log(), &bytes).unwrap();
        let opened = reopen(&folder);
        assert_eq!(opened.frames.len(), 1);
        assert!(opened.damaged.is_none());
        assert!(opened.cut_bytes > 0);
    }

    #[test]
    fn frames_of_another_consultation_or_key_are_not_read() {
        let folder = Folder::new();
        sample(&folder, 2);
        let other =
            Log::open(&folder.log(), &DataKey::fixed(), ConsultationId(uuid::Uuid::from_u128(12)), 4096).unwrap();
        assert!(other.frames.is_empty());
    }

    #[test]
    fn a_failed_sync_stops_the_log() {
        let folder = Folder::new();
        let mut log = Log::create(&folder.log(), &DataKey::fixed(), CONSULTATION, 4096).unwrap();
        log.fail_next_sync = true;
        log.write(1, b"x").unwrap();
        assert!(log.commit().is_err());
        log.fail_next_sync = false;
        assert!(log.commit().is_err());
        assert!(log.write(1, b"y").is_err());
    }
}
