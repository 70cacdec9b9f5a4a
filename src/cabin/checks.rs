//! Reports of the check before the cabin opens, one dated file each: what answered and what did not, for whoever asks
//! since when a device was silent. Nothing of a patient is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;

/// Longer than anybody asks back.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Where they are.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("checks")
}

/// Writes the report of that moment and deletes those older than 90 days. Gives the file.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn keep(data_dir: &Path, at: SystemTime, lines: &[String]) -> io::Result<PathBuf> {
    let folder = folder(data_dir);
    fs::create_dir_all(&folder)?;
    let at_utc = OffsetDateTime::from(at);
    let name = at_utc.format(format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]Z.txt"));
    let title = at_utc.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
    let (name, title) = (name.map_err(io::Error::other)?, title.map_err(io::Error::other)?);
    let file = folder.join(name);
    fs::write(&file, format!("Contrôle avant l’ouverture, {title}\n{}\n", lines.join("\n")))?;
    for path in fs::read_dir(&folder)?.flatten().map(|entry| entry.path()) {
        let written = fs::symlink_metadata(&path).and_then(|about| about.modified());
        let is_old = written.is_ok_and(|written| at.duration_since(written).is_ok_and(|age| age >= KEPT_FOR));
        if is_old && path != file && path.extension().is_some_and(|ending| ending == "txt") {
            fs::remove_file(&path)?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_dated_and_goes_after_ninety_days() {
        let data_dir = std::env::temp_dir().join(format!("cabin-checks-{}", std::process::id()));
        let now = SystemTime::now();
        let first = keep(&data_dir, now, &["prêt     oximeter".to_owned()]).unwrap();
        let text = fs::read_to_string(&first).unwrap();
        let year = OffsetDateTime::from(now).year().to_string();
        assert!(text.starts_with("Contrôle avant l’ouverture, ") && text.contains(&year), "{text}");
        assert!(text.ends_with("prêt     oximeter\n"), "{text}");
        let later = keep(&data_dir, now + KEPT_FOR + Duration::from_secs(60), &[]).unwrap();
        assert!(!first.exists() && later.exists());
        fs::remove_dir_all(&data_dir).unwrap();
    }
}
