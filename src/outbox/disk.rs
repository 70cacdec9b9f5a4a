//! Files that are still there after a power cut: written, synced, renamed, and their directory synced. And files that
//! are not: overwritten, synced, removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// Where a test may make the program die.
#[cfg(feature = "crash-points")]
pub(crate) use crate::crash::point as crash_point;
#[cfg(not(feature = "crash-points"))]
pub(crate) fn crash_point() {}

/// A new file that only this program's account can read. It may not exist yet.
pub fn create(path: &Path) -> io::Result<File> {
    crash_point();
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Creates a directory that only this program's account can enter, and its parents; existing ones stay as they are.
pub fn create_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_dir(parent)?;
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    crash_point();
    File::open(path)?.sync_all()
}

/// Writes a small file so that after a power cut there is either all of it or none of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    crash_point();
    fs::rename(&temporary, path)?;
    sync_dir(parent(path)?)
}

/// Overwrites a file with zeros, syncs, and removes it. Absent is fine: a shredding that was cut short goes on.
pub fn shred(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => overwrite(&mut file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    crash_point();
    fs::remove_file(path)?;
    sync_dir(parent(path)?)
}

/// Overwrites what an open file holds with zeros and syncs it, whatever name it has or had.
pub fn overwrite(file: &mut File) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    crash_point();
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::Read::take(io::repeat(0), length), file)?;
    file.sync_all()
}

/// Removes a directory with all it holds. Absent is fine.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    crash_point();
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(parent(path)?),
    }
}

/// Reserves `length` bytes for a file, so that filling them later cannot fail for want of room. Where the file system
/// cannot reserve, the free room is checked instead.
pub fn reserve(file: &File, length: u64) -> io::Result<()> {
    let size = libc::off_t::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and fallocate touches no memory of ours.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, size) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP) => {
                if file.metadata()?.len() < length {
                    file.set_len(length)?;
                }
                return Ok(());
            }
            _ => return Err(error),
        }
    }
}

/// Reserves room up to `length` and fills it with zeros from `from` on, so that a later write into it changes nothing but
/// data: its sync is one write and one flush. Room that was only reserved costs a commit of the file system's journal at
/// each first write (fallocate(2): the blocks are marked unwritten).
pub fn reserve_written(file: &File, from: u64, length: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    reserve(file, length)?;
    let mut at = from;
    while at < length {
        let piece = (length - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..piece as usize], at)?;
        at += piece;
    }
    Ok(())
}

/// Free bytes for this program on the disk that holds `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: an all-zero statvfs is a valid value of this plain C structure.
    let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a C string and `answer` a statvfs, both alive during the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut answer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
}

/// Whether an error says that the disk is full, as opposed to failing.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) || error.kind() == io::ErrorKind::StorageFull
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
