//! What the technician recorded of devices: kept for some weeks, for whoever mends a driver, then deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A recording is sent to whoever asked for it within that time, or was not wanted.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Where they are.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("captures")
}

/// Deletes those that are older than 30 days, and those of a time to come: their age is not known.
pub fn purge(data_dir: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(folder(data_dir)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|ending| ending != "capture") {
            continue;
        }
        let written = fs::symlink_metadata(&path).and_then(|about| about.modified());
        let is_young = written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age < KEPT_FOR));
        if !is_young {
            match fs::remove_file(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "a recording of a device was kept for 30 days: deleted")
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "an old recording stays: delete it"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_of_a_device_is_deleted_after_thirty_days() {
        let data_dir = std::env::temp_dir().join(format!("cabin-captures-{}", std::process::id()));
        fs::create_dir_all(folder(&data_dir)).unwrap();
        let file = |name: &str| folder(&data_dir).join(name);
        fs::write(file("scale_tanita-1.capture"), "> 00").unwrap();
        fs::write(file("note.txt"), "the technician's own").unwrap();
        let written = fs::metadata(file("scale_tanita-1.capture")).unwrap().modified().unwrap();
        purge(&data_dir, written + KEPT_FOR - Duration::from_secs(1));
        assert!(file("scale_tanita-1.capture").exists());
        purge(&data_dir, written + KEPT_FOR);
        assert!(!file("scale_tanita-1.capture").exists());
        assert!(file("note.txt").exists(), "no recording of ours");
        purge(&data_dir.join("nowhere"), written);
        fs::remove_dir_all(&data_dir).unwrap();
    }
}
