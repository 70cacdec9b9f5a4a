//! The folder where a recorder's memory stick is mounted, read-only. It answers a protocol's questions
//! ([`crate::recorder`]); that it is not there is an answer too, for a recorder is taken off to be used.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;

use crate::recorder::{AWAY, FILE, FILE_BYTES_MAX, FILES_MAX, LIST, LISTED, NAME_BYTES_MAX, NOT_READ, READ};

/// Folders in folders: a recorder has its files in the first or the second.
const DEPTH_MAX: usize = 2;

/// A folder, there or not.
pub(crate) struct Folder {
    path: PathBuf,
    answers: VecDeque<u8>,
    /// Readable while there are answers.
    ready: OwnedFd,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Folder> {
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Folder { path: path.to_owned(), answers: VecDeque::new(), ready })
    }

    /// The answers so far.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.answers.len().min(buffer.len());
        for (byte, answer) in buffer.iter_mut().zip(self.answers.drain(..count)) {
            *byte = answer;
        }
        if self.answers.is_empty() {
            // Empties the counter; that it was empty is no fault.
            let _ = rustix::io::read(&self.ready, &mut [0; 8]);
        }
        count
    }

    /// A question; its answer can be read at once.
    pub(crate) fn write(&mut self, question: &[u8]) {
        match question {
            LIST => self.list(),
            [READ, name @ ..] => self.file(name),
            _ => return,
        }
        let _ = rustix::io::write(&self.ready, &1u64.to_ne_bytes());
    }

    fn list(&mut self) {
        let mut files = Vec::new();
        if !is_there(&self.path) || collect(&self.path, &self.path, DEPTH_MAX, &mut files).is_err() {
            return self.answers.push_back(AWAY);
        }
        files.sort();
        files.truncate(FILES_MAX);
        self.answers.push_back(LISTED);
        self.answers.extend((files.len() as u16).to_le_bytes()); // at most FILES_MAX
        for (name, size, written) in files {
            self.answers.push_back(name.len() as u8); // at most NAME_BYTES_MAX
            self.answers.extend(name);
            self.answers.extend(size.to_le_bytes());
            self.answers.extend(written.to_le_bytes());
        }
    }

    /// The whole of a file, or that it cannot be read: never a part of one that was pulled out.
    fn file(&mut self, name: &[u8]) {
        match content(&self.path, Path::new(std::ffi::OsStr::from_bytes(name))) {
            Some(content) => {
                self.answers.push_back(FILE);
                self.answers.extend((content.len() as u32).to_le_bytes()); // at most FILE_BYTES_MAX
                self.answers.extend(content);
            }
            None => self.answers.push_back(NOT_READ),
        }
    }
}

impl AsRawFd for Folder {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}

/// Whether a stick is mounted there: a mount point, or a folder that holds something. The folder alone stays when the
/// stick is out.
fn is_there(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().filter(|m| m.is_dir()).map(|m| m.dev());
    let Some(own) = device(path) else { return false };
    let is_mounted = path.parent().and_then(device).is_some_and(|parent| parent != own);
    is_mounted || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

type Listed = (Vec<u8>, u32, i64);

fn collect(root: &Path, folder: &Path, depth: usize, files: &mut Vec<Listed>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Not followed: a stick has no links, and what is not on it is not its.
        let about = fs::symlink_metadata(&path)?;
        if about.is_dir() && depth > 1 {
            collect(root, &path, depth - 1, files)?;
        } else if about.is_file()
            && let Ok(name) = path.strip_prefix(root)
            && let Ok(size) = u32::try_from(about.len())
        {
            let name = name.as_os_str().as_bytes();
            if name.len() <= NAME_BYTES_MAX {
                files.push((name.to_vec(), size, about.mtime()));
            }
        }
        // Sorted and cut afterwards: a little more is read than is told.
        if files.len() > 4 * FILES_MAX {
            return Ok(());
        }
    }
    Ok(())
}

fn content(root: &Path, name: &Path) -> Option<Vec<u8>> {
    // Only what the listing can have named.
    let is_plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    let path = root.join(name);
    if !is_plain || !fs::symlink_metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut content = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    File::open(path).ok()?.take(limit).read_to_end(&mut content).ok()?;
    (content.len() <= FILE_BYTES_MAX).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stick(PathBuf);

    impl Stick {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("drivers-folder-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Stick(path)
        }
    }

    impl Drop for Stick {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn ask(folder: &mut Folder, question: &[u8]) -> Vec<u8> {
        folder.write(question);
        let mut answer = Vec::new();
        let mut buffer = [0; 7];
        loop {
            match folder.read(&mut buffer) {
                0 => return answer,
                count => answer.extend(&buffer[..count]),
            }
        }
    }

    #[test]
    fn a_folder_is_away_until_something_is_in_it_and_its_files_are_told_in_order() {
        let stick = Stick::new("list");
        let mut folder = Folder::open(&stick.0).unwrap();
        assert_eq!(ask(&mut folder, LIST), [AWAY]);
        fs::create_dir_all(&stick.0).unwrap();
        assert_eq!(ask(&mut folder, LIST), [AWAY], "the folder alone is no stick");
        fs::create_dir_all(stick.0.join("ECG_0/deeper")).unwrap();
        fs::write(stick.0.join("ECG_0/2.SCP"), b"two").unwrap();
        fs::write(stick.0.join("ECG_0/deeper/3.SCP"), b"three").unwrap();
        fs::write(stick.0.join("1.ECG"), b"one!").unwrap();
        fs::write(stick.0.join("n".repeat(NAME_BYTES_MAX + 1)), b"").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", stick.0.join("link")).unwrap();
        let answer = ask(&mut folder, LIST);
        assert_eq!(answer[..4], [LISTED, 2, 0, 5]);
        assert_eq!(&answer[4..13], b"1.ECG\x04\0\0\0");
        assert_eq!(&answer[21..37], b"\x0BECG_0/2.SCP\x03\0\0\0");
        assert_eq!(answer.len(), 37 + 8);
    }

    #[test]
    fn a_file_is_read_whole_and_nothing_outside_the_folder_is() {
        let stick = Stick::new("read");
        fs::create_dir_all(&stick.0).unwrap();
        fs::write(stick.0.join("1.ECG"), b"one!").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", stick.0.join("link")).unwrap();
        let mut folder = Folder::open(&stick.0).unwrap();
        assert_eq!(ask(&mut folder, b"<1.ECG"), b"F\x04\0\0\0one!");
        for other in ["2.ECG", "../1.ECG", "/etc/passwd", "link", "", ".", "a\0b"] {
            assert_eq!(ask(&mut folder, format!("<{other}").as_bytes()), [NOT_READ], "{other}");
        }
        let large = File::create(stick.0.join("large")).unwrap();
        large.set_len(FILE_BYTES_MAX as u64 + 1).unwrap();
        assert_eq!(ask(&mut folder, b"<large"), [NOT_READ]);
        assert_eq!(ask(&mut folder, b"nonsense"), []);
    }
}
