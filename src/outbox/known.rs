//! Which outbox a cabin knows, so that another one in its place is noticed: its folder was moved or removed, or its disk
//! was swapped, and what waited in it is not sent by the one that runs now.

use crate::record::{Fault, FaultCode, Status};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The file in a cabin's data folder that holds the name of its outbox.
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("outbox-name")
}

/// The name of the outbox that this cabin knows; `None` before its first.
///
/// # Errors
/// The file is there and cannot be read, or holds no name.
pub fn read(data_dir: &Path) -> io::Result<Option<Uuid>> {
    match fs::read_to_string(file(data_dir)) {
        Ok(text) => {
            Uuid::try_parse(text.trim()).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds [`FaultCode::Replaced`] where another outbox answers than the one that this cabin knows.
pub fn look(data_dir: &Path, status: &mut Status) {
    let known = match read(data_dir) {
        Ok(Some(known)) if known != status.name && !status.name.is_nil() => known,
        Ok(_) => return,
        Err(error) => {
            let detail = format!(
                "which outbox this cabin knew cannot be read ({}: {error}): cabinctl outbox accept takes the one that answers",
                file(data_dir).display()
            );
            return status.faults.insert(0, Fault { code: FaultCode::Replaced, detail });
        }
    };
    let detail = format!(
        "another outbox answers ({}) than this cabin knew ({known}): what waited in that one is not here. Put its folder \
         back and restart cabin-outbox; if it is lost for good, cabinctl outbox accept, and restart the cabin",
        status.name
    );
    status.faults.insert(0, Fault { code: FaultCode::Replaced, detail });
}

/// What is to be kept in [`file`] now: the name of the first outbox that answers this cabin.
///
/// # Errors
/// As [`read`].
pub fn first(data_dir: &Path, status: &Status) -> io::Result<Option<String>> {
    let is_first = read(data_dir)?.is_none() && !status.name.is_nil();
    Ok(is_first.then(|| status.name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_outbox_than_the_first_is_said_until_it_is_accepted_and_a_nameless_one_is_not() {
        let dir = std::env::temp_dir().join(format!("outbox-known-{}", Uuid::new_v4()));
        fs::create_dir_all(&dir).unwrap();
        let named = |name: u128| Status { name: Uuid::from_u128(name), ..Status::default() };
        let faults = |name: u128| {
            let mut status = named(name);
            look(&dir, &mut status);
            status.faults.iter().map(|fault| fault.code).collect::<Vec<_>>()
        };
        assert_eq!(faults(1), [], "none was known");
        assert_eq!(first(&dir, &named(0)).unwrap(), None, "no name to know it by");
        fs::write(file(&dir), first(&dir, &named(1)).unwrap().unwrap()).unwrap();
        assert_eq!(first(&dir, &named(2)).unwrap(), None, "the first stays");
        assert_eq!(read(&dir).unwrap(), Some(Uuid::from_u128(1)));
        assert_eq!(faults(1), []);
        assert_eq!(faults(2), [FaultCode::Replaced]);
        assert_eq!(faults(0), [], "its disk was too full for a name");
        fs::write(file(&dir), "no name").unwrap();
        assert!(read(&dir).is_err());
        assert_eq!(faults(2), [FaultCode::Replaced], "nothing can be said of it");
        assert!(first(&dir, &named(2)).is_err(), "nothing is taken for the first that was not");
        fs::remove_dir_all(&dir).unwrap();
    }
}
