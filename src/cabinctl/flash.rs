//! `cabinctl flash DEVICE --image FILE`: writes an image on a disk or a stick, reads it back and compares.
//!
//! A disk that anything of this machine is on is refused, whatever its name: what is mounted from it, swaps on it, or is
//! made of it (LUKS, RAID, LVM). The kernel is asked last, by opening the disk for this program alone (open(2), O_EXCL).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{Advice, OFlags, fadvise, major, minor};
use sha2::{Digest as _, Sha256};

use crate::arguments::Arguments;

/// Written and read in pieces of this many bytes.
const PIECE_BYTES: usize = 4 << 20;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let device = PathBuf::from(arguments.need("the disk, such as /dev/sdb")?);
    let image = PathBuf::from(arguments.need_option("image")?);
    arguments.end()?;
    let file = File::open(&image).with_context(|| image.display().to_string())?;
    let bytes = file.metadata()?.len();
    ensure!(bytes > 0, "{}: the image is empty", image.display());
    let disk = Disk::of(&device)?;
    disk.refuse_if_used(&device)?;
    ensure!(
        disk.bytes >= bytes,
        "{} is too small: it has {} MB, the image {} MB",
        device.display(),
        disk.bytes / 1_000_000,
        bytes / 1_000_000
    );
    writeln!(out, "{}: {} MB, {}", device.display(), disk.bytes / 1_000_000, disk.model)?;
    let open = |write: bool| {
        let mut options = OpenOptions::new();
        options.read(!write).write(write).custom_flags(OFlags::EXCL.bits().cast_signed());
        options.open(&device).with_context(|| format!("{}: is it used, or are you not root?", device.display()))
    };
    let mut target = open(true)?;
    let written = copy(file, bytes, "writing  ", out, |piece| target.write_all(piece))?;
    target.sync_all().with_context(|| device.display().to_string())?;
    drop(target);
    // What is compared comes from the disk, and not from what this machine remembers of it.
    let target = open(false)?;
    fadvise(&target, 0, None, Advice::DontNeed)?;
    let read = copy(target, bytes, "comparing", out, |_| Ok(()))?;
    if read != written {
        bail!("{}: what was read is not what was written: take another disk", device.display());
    }
    Ok(writeln!(out, "good: {} is on {}, SHA-256 {written}", image.display(), device.display())?)
}

/// Reads `bytes` of `from` piece by piece, with a line of progress; the SHA-256 of all of it.
fn copy(
    from: File,
    bytes: u64,
    what: &str,
    out: &mut dyn Write,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<String> {
    let mut from = from.take(bytes);
    let mut piece = vec![0; PIECE_BYTES];
    let (mut done, mut hash, began) = (0, Sha256::new(), Instant::now());
    let mut shown = None;
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match from.read(&mut piece[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            break;
        }
        take(&piece[..filled])?;
        hash.update(&piece[..filled]);
        done += filled as u64;
        let percent = done * 100 / bytes;
        if shown != Some(percent) {
            shown = Some(percent);
            let bar = "#".repeat((percent / 4) as usize);
            let rate = done as f64 / 1e6 / began.elapsed().as_secs_f64().max(0.001);
            write!(out, "\r{what} [{bar:<25}] {percent:3} %  {rate:.0} MB/s   ")?;
            out.flush()?;
        }
    }
    writeln!(out)?;
    ensure!(done == bytes, "only {done} of {bytes} bytes could be read");
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A whole disk, as the kernel describes it (sysfs).
struct Disk {
    /// `/sys/devices/…/block/sdb`
    folder: PathBuf,
    bytes: u64,
    model: String,
}

impl Disk {
    fn of(device: &Path) -> Result<Disk> {
        let place = || device.display().to_string();
        let about = fs::metadata(device).with_context(place)?;
        ensure!(about.file_type().is_block_device(), "{}: no disk; `lsblk` lists them", place());
        let number = about.rdev();
        let folder = fs::canonicalize(format!("/sys/dev/block/{}:{}", major(number), minor(number)))?;
        ensure!(
            !folder.join("partition").exists(),
            "{}: a part of a disk; name the whole disk, {}",
            place(),
            folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy()
        );
        let word = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default().trim().to_owned();
        ensure!(word("ro") != "1", "{}: write-protected; look for its switch", place());
        // Of 512 bytes, whatever the disk's own are (Documentation/block/stat.rst).
        let bytes = word("size").parse::<u64>().with_context(place)? * 512;
        let model = Some(word("device/model")).filter(|model| !model.is_empty()).unwrap_or("no model".into());
        Ok(Disk { bytes, model, folder })
    }

    /// It and its parts: folder and number.
    fn parts(&self) -> Result<Vec<(PathBuf, String)>> {
        let number =
            |folder: &Path| -> Result<String> { Ok(fs::read_to_string(folder.join("dev"))?.trim().to_owned()) };
        let mut parts = vec![(self.folder.clone(), number(&self.folder)?)];
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.join("partition").exists() {
                parts.push((path.clone(), number(&path)?));
            }
        }
        Ok(parts)
    }

    fn refuse_if_used(&self, device: &Path) -> Result<()> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
        for (folder, number) in self.parts()? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let refuse = |how: String| {
                bail!("{}: refused, {name} {how}. Nothing was written. `lsblk` shows what is where", device.display())
            };
            if let Some(place) = mounted_at(&mounts, &number) {
                return refuse(format!("is mounted at {place}"));
            }
            if let Some(holder) = fs::read_dir(folder.join("holders"))?.flatten().next() {
                return refuse(format!("is in use by {}", holder.file_name().to_string_lossy()));
            }
            if swaps.lines().any(|line| line.split_whitespace().next() == Some(&format!("/dev/{name}"))) {
                return refuse("is this machine's swap space".into());
            }
        }
        Ok(())
    }
}

/// Where a device is mounted; proc_pid_mountinfo(5): its number is the third word, the place the fifth.
fn mounted_at<'a>(mounts: &'a str, number: &str) -> Option<&'a str> {
    let mut lines = mounts.lines().map(|line| line.split(' '));
    lines.find_map(|mut words| (words.nth(2)? == number).then(|| words.nth(1)).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_disk_is_known_by_its_number_and_no_other_is() {
        let mounts = "22 1 8:2 / / rw,relatime - ext4 /dev/sda2 rw\n30 22 8:17 / /media/stick rw - vfat /dev/sdb1 rw\n";
        assert_eq!(mounted_at(mounts, "8:17"), Some("/media/stick"));
        assert_eq!(mounted_at(mounts, "8:2"), Some("/"));
        assert_eq!(mounted_at(mounts, "8:1"), None);
    }
}
