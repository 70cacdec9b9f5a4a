//! That the cabin is still to be cleaned, where a restart finds it: which devices the last patient used, and nothing of the
//! patient.

use std::io;
use std::path::{Path, PathBuf};

use consult::vitals::Measurement;

fn file(folder: &Path) -> PathBuf {
    folder.join("to-be-cleaned")
}

/// Keeps that the cabin is to be cleaned.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(folder: &Path, used: &[Measurement]) -> io::Result<()> {
    let names: Vec<String> = used.iter().map(|measurement| format!("{measurement:?}\n")).collect();
    std::fs::write(file(folder), names.concat())
}

/// It is clean.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn done(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(file(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was used since the cabin was cleaned; nothing when it is clean. A file that cannot be read names no device: then
/// all are cleaned.
pub fn owed(folder: &Path) -> Option<Vec<Measurement>> {
    let file = file(folder);
    if !file.exists() {
        return None;
    }
    let names = std::fs::read_to_string(file).unwrap_or_default();
    let known = |name: &str| Measurement::ALL.into_iter().find(|measurement| format!("{measurement:?}") == name);
    Some(names.lines().filter_map(known).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_cleaned_is_known_after_a_restart_and_until_it_is_clean() {
        let folder = std::env::temp_dir().join(format!("cleaning-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        assert_eq!(owed(&folder), None);
        let used = vec![Measurement::ALL[0], Measurement::ALL[3]];
        keep(&folder, &used).expect("room");
        assert_eq!(owed(&folder), Some(used));
        std::fs::write(file(&folder), b"\xff\xfe damaged").expect("room");
        assert_eq!(owed(&folder), Some(Vec::new()), "all of it is cleaned then");
        done(&folder).expect("gone");
        done(&folder).expect("gone already");
        assert_eq!(owed(&folder), None);
        std::fs::remove_dir_all(&folder).expect("an empty folder");
    }
}
