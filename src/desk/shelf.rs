//! A small JSON file shared by the server and the command line: read whole, changed under a lock, written durably.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One file holding a `T`; absent means `T::default()`.
pub struct Shelf<T> {
    path: PathBuf,
    holds: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Default> Shelf<T> {
    /// The file `name` in `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        Shelf { path: folder.join(name), holds: PhantomData }
    }

    /// What the file holds now.
    pub fn read(&self) -> io::Result<T> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", self.path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(error),
        }
    }

    /// Changes the file, alone: other processes wait. Nothing is written when `change` refuses.
    pub fn change<R, E: From<io::Error>>(&self, change: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E> {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.path.with_extension("lock"))?;
        lock.lock()?;
        let mut held = self.read()?;
        let result = change(&mut held)?;
        let fresh = self.path.with_extension("new");
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&held).map_err(io::Error::from)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(result)
    }
}
