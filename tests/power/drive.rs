//! A drive that keeps every write: one file served over FUSE, on which a real ext4 is mounted through a loop device.
//! Its log has each block write and each flush in the order in which they reached the drive, so that afterwards the disk
//! can be rebuilt as a power cut would have left it at any moment (the method of dm-log-writes, without a module of the
//! kernel). It can also begin to fail, as a dying drive does.

use crate::shared::Chance;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A sector group that a drive writes whole or not at all.
const PIECE_BYTES: usize = 4096;
const ZEROS: [u8; PIECE_BYTES] = [0; PIECE_BYTES];
const TTL: Duration = Duration::from_secs(3600);

/// What reached the drive.
#[derive(Clone)]
pub enum Event {
    Write { at: usize, bytes: Box<[u8]> },
    Flush,
}

struct State {
    bytes: Vec<u8>,
    events: Vec<Event>,
    failing: bool,
}

pub struct Drive {
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
    dir: PathBuf,
}

impl Drive {
    /// A drive that holds `content`, as a file in the new directory `dir`.
    pub fn start(dir: &Path, content: Vec<u8>) -> io::Result<Drive> {
        fs::create_dir_all(dir)?;
        let state = Arc::new(Mutex::new(State { bytes: content, events: Vec::new(), failing: false }));
        let session = fuser::spawn_mount(Served(state.clone()), dir, &Config::default())?;
        Ok(Drive { state, session: Some(session), dir: dir.to_path_buf() })
    }

    pub fn file(&self) -> PathBuf {
        self.dir.join("drive")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many events there were.
    pub fn position(&self) -> usize {
        self.state().events.len()
    }

    /// Every write and every flush from now on is answered with an input/output error, or again with success.
    pub fn fail(&self, failing: bool) {
        self.state().failing = failing;
    }

    /// What was written and flushed since the start.
    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// What is on it now.
    pub fn content(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

struct Served(Arc<Mutex<State>>);

impl Served {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let is_dir = ino == INodeNo::ROOT;
        let size = if is_dir { 0 } else { self.state().bytes.len() as u64 };
        let then = std::time::UNIX_EPOCH;
        FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: then,
            mtime: then,
            ctime: then,
            crtime: then,
            kind: if is_dir { FileType::Directory } else { FileType::RegularFile },
            perm: if is_dir { 0o700 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: PIECE_BYTES as u32,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "drive" {
            reply.entry(&TTL, &self.attributes(INodeNo(2)), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.state();
        let from = (offset as usize).min(state.bytes.len());
        let to = (from + size as usize).min(state.bytes.len());
        reply.data(&state.bytes[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let at = offset as usize;
        if state.failing || at + data.len() > state.bytes.len() {
            return reply.error(Errno::EIO);
        }
        state.bytes[at..at + data.len()].copy_from_slice(data);
        state.events.push(Event::Write { at, bytes: data.into() });
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        if state.failing {
            return reply.error(Errno::EIO);
        }
        state.events.push(Event::Flush);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}

/// What a drive still holds when the power comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Every write that it was given: a drive with capacitors.
    All,
    /// The writes before its last completed flush.
    Flushed,
    /// Those, and any 4 KiB pieces of the others.
    Random,
}

/// The disk as it is after a power cut before event `cut`.
pub fn after_power_cut(before: &[u8], events: &[Event], cut: usize, kept: Kept, chance: &mut Chance) -> Vec<u8> {
    let mut disk = before.to_vec();
    let flushed = events[..cut].iter().rposition(|event| matches!(event, Event::Flush)).unwrap_or(0);
    let certain = if kept == Kept::All { cut } else { flushed };
    for event in &events[..certain] {
        if let Event::Write { at, bytes } = event {
            disk[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
    if kept == Kept::Random {
        let of_ten = chance.below(11);
        for event in &events[certain..cut] {
            let Event::Write { at, bytes } = event else { continue };
            for (n, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
                if chance.below(10) < of_ten {
                    let at = at + n * PIECE_BYTES;
                    disk[at..at + piece.len()].copy_from_slice(piece);
                }
            }
        }
    }
    disk
}

/// An empty ext4 of so many MiB, as mkfs makes it.
pub fn formatted(folder: &Path, mib: u64) -> Vec<u8> {
    let image = folder.join(format!("empty-{mib}"));
    File::create(&image).and_then(|file| file.set_len(mib << 20)).unwrap();
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-m", "0", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"])
        .arg(&image)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "mkfs.ext4 failed");
    let content = fs::read(&image).unwrap();
    fs::remove_file(&image).unwrap();
    content
}

/// Writes a disk into a file, with holes where it is empty.
pub fn write_image(path: &Path, disk: &[u8]) {
    let file = File::create(path).unwrap();
    file.set_len(disk.len() as u64).unwrap();
    for (n, piece) in disk.chunks(PIECE_BYTES).enumerate() {
        if piece != &ZEROS[..piece.len()] {
            file.write_all_at(piece, (n * PIECE_BYTES) as u64).unwrap();
        }
    }
}

/// An ext4 that is mounted until this is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts the ext4 in a file (its own loop device goes away with the mount), after a power cut as well: the journal is
    /// replayed.
    pub fn new(file: &Path, dir: &Path) -> io::Result<Mounted> {
        fs::create_dir_all(dir)?;
        let said = Command::new("mount").args(["-t", "ext4", "-o", "loop,noatime"]).arg(file).arg(dir).output()?;
        if !said.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&said.stderr).into_owned()));
        }
        Ok(Mounted(dir.to_path_buf()))
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let dir = CString::new(self.0.as_os_str().as_bytes()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            // SAFETY: a C string that lives during the call.
            if unsafe { libc::umount2(dir.as_ptr(), 0) } == 0 {
                return;
            }
            if Instant::now() > deadline {
                eprintln!("{} stays busy: {}", self.0.display(), io::Error::last_os_error());
                // SAFETY: as above.
                unsafe { libc::umount2(dir.as_ptr(), libc::MNT_DETACH) };
                return;
            }
            // A program that was killed gives its files back a moment later, and the kernel tells nobody.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether this machine can do it: `None` after saying SKIPPED and why. From here on this thread, and what it starts, has
/// mounts of its own: whatever happens to the test, none is left behind.
pub fn mounts_or_skip(test: &str) -> Option<()> {
    let missing = || {
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            return Some("only root can mount".to_owned());
        }
        for device in ["/dev/fuse", "/dev/loop-control"] {
            if let Err(error) = File::options().read(true).write(true).open(device) {
                return Some(format!("{device}: {error}"));
            }
        }
        if Command::new("mkfs.ext4").arg("-V").output().is_err() {
            return Some("there is no mkfs.ext4".into());
        }
        // SAFETY: changes this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Some(format!("no mounts of its own: {}", io::Error::last_os_error()));
        }
        let root = c"/".as_ptr();
        // SAFETY: C strings that live during the call, and null where mount(2) ignores the argument.
        let private = unsafe {
            libc::mount(std::ptr::null(), root, std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
        };
        (private != 0).then(|| format!("no mounts of its own: {}", io::Error::last_os_error()))
    };
    match missing() {
        None => Some(()),
        Some(why) => {
            eprintln!("{test}: SKIPPED, {why}");
            None
        }
    }
}
