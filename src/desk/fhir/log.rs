//! The store's file: one line a transaction, `<sha256> <json>`, appended and synced before anybody is told.
//!
//! A line is whole or it is not there: a torn last line (power cut) is set aside when the store opens; a spoilt line in
//! the middle is set aside too and the lines behind it are kept.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Where a line is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    offset: u64,
    bytes: u64,
}

/// The open file.
pub struct Log {
    file: File,
    end: u64,
    /// A former append failed and could not be undone: nothing more is written until the desk starts again.
    broken: bool,
}

impl Log {
    /// Opens `folder/store.log`, sets aside what is spoilt, and shows every good line to `each`.
    pub fn open(folder: &Path, mut each: impl FnMut(Place, &str)) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("store.log");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path)?;
        // Two desks on one folder would write over each other.
        file.try_lock().map_err(|_| io::Error::other("the record store is in use by another desk"))?;
        File::open(folder)?.sync_all()?;
        let mut reader = BufReader::new(&file);
        let (mut offset, mut line, mut end) = (0u64, Vec::new(), 0u64);
        let mut spoilt = Vec::new();
        loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line)? as u64;
            if bytes == 0 {
                break;
            }
            match good(&line) {
                Some(json) => {
                    each(Place { offset, bytes }, json);
                    end = offset + bytes;
                }
                None => {
                    spoilt.extend_from_slice(&line);
                    if line.ends_with(b"\n") {
                        end = offset + bytes;
                    }
                }
            }
            offset += bytes;
        }
        drop(reader);
        if !spoilt.is_empty() {
            tracing::error!(bytes = spoilt.len(), "part of the record store is spoilt and was set aside");
            let mut aside =
                OpenOptions::new().create(true).append(true).mode(0o600).open(folder.join("store.spoilt"))?;
            aside.write_all(&spoilt)?;
            aside.sync_all()?;
        }
        if end < offset {
            file.set_len(end)?;
            file.sync_all()?;
        }
        Ok(Log { file, end, broken: false })
    }

    /// Appends one line and syncs it. After an error nothing of it is in the file.
    pub fn append(&mut self, json: &str) -> io::Result<Place> {
        if self.broken {
            return Err(io::Error::other("the record store could not be repaired: restart the desk"));
        }
        let line = format!("{} {json}\n", checksum(json));
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| {
            self.file.write_all(line.as_bytes())?;
            self.file.sync_data()
        });
        if let Err(error) = written {
            self.broken = self.file.set_len(self.end).and_then(|()| self.file.sync_all()).is_err();
            return Err(error);
        }
        let place = Place { offset: self.end, bytes: line.len() as u64 };
        self.end += place.bytes;
        Ok(place)
    }

    /// Reads one line again, checked.
    pub fn read(&mut self, place: Place) -> io::Result<String> {
        self.file.seek(SeekFrom::Start(place.offset))?;
        let mut line = vec![0; usize::try_from(place.bytes).map_err(io::Error::other)?];
        self.file.read_exact(&mut line)?;
        let spoilt = || io::Error::new(io::ErrorKind::InvalidData, "a stored record is spoilt on disk");
        Ok(good(&line).ok_or_else(spoilt)?.to_owned())
    }
}

fn good(line: &[u8]) -> Option<&str> {
    let (sum, json) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    (checksum(json) == sum).then_some(json)
}

fn checksum(json: &str) -> String {
    Sha256::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
