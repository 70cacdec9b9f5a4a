//! Small files that are changed while others may read them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Whose a file is: who runs the command that writes it is somebody else, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Account.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// Of what is there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Owner> {
        fs::metadata(path).map(|about| Owner { uid: about.uid(), gid: about.gid() })
    }
}

/// Writes the file in place of one that is there, with its mode and owner.
///
/// # Errors
/// As [`put`], and when there is none.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    put(path, content, mode, Owner::of(path)?)
}

/// Writes beside, syncs and renames: a power cut leaves the file that was there, or the new one. Nobody but `owner` and
/// those whom `mode` names can read any of it at any moment.
///
/// # Errors
/// The disk's, and that only root can make a file another account's: then the file is left as it was.
pub fn put(path: &Path, content: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let written = write(&beside, content, mode, owner).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn write(path: &Path, content: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let about = file.metadata()?;
    if (Owner { uid: about.uid(), gid: about.gid() }) != owner {
        fchown(&file, Some(owner.uid), Some(owner.gid)).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                io::Error::other("it belongs to another account, which only root can keep: run this as root")
            }
            _ => error,
        })?;
    }
    // After the owner: a change of owner takes some modes away, and the umask takes others.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}
