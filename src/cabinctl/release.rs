//! `cabinctl release`: which release runs, which others are installed, and why one was left again.
//!
//! A release is a kernel file on the boot partition, `telecabine_RELEASE.efi`, and while it is new `+LEFT-DONE` before the
//! ending: the tries that it has left and those that it has had (systemd.io, "Automatic Boot Assessment"). What its own
//! health check found is in `/var/lib/telecabine/RELEASE.why`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::arguments::Arguments;

/// Where the boot partition may be.
const BOOT: &[&str] = &["efi", "boot", "boot/efi"];

/// A release that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Its name.
    pub(crate) release: String,
    /// Tries left and had, of one that was not called good yet.
    pub(crate) tries: Option<(u32, u32)>,
}

/// One that was tried and left.
pub(crate) struct Left {
    /// Its name.
    pub(crate) release: String,
    /// What is known of the reason.
    pub(crate) why: String,
}

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let root = PathBuf::from(arguments.option("root").unwrap_or("/".into()));
    arguments.end()?;
    let this = this(&root);
    ensure!(this.is_some(), "this machine runs no release: it was not installed from an image");
    let this = this.unwrap_or_default();
    let installed = installed(&root);
    let state = |release: &str| match installed.iter().find(|found| found.release == release).map(|found| found.tries) {
        Some(None) => "good".to_owned(),
        Some(Some((left, _))) => format!("on trial, {left} tries left"),
        None => "its kernel is not on the boot partition, or you are not root".to_owned(),
    };
    writeln!(out, "runs          {this}, {}", state(&this))?;
    let left = left(&root, &this);
    for other in installed.iter().filter(|other| other.release != this) {
        if !left.iter().any(|left| left.release == other.release) {
            writeln!(out, "also there    {}, {}", other.release, state(&other.release))?;
        }
    }
    for Left { release, why } in left {
        writeln!(out, "left again    {release}: {why}")?;
    }
    Ok(())
}

/// The release that runs.
pub(crate) fn this(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("etc/os-release")).ok()?;
    let version = text.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="))?;
    Some(version.trim_matches('"').to_owned())
}

/// Those whose kernel is on the boot partition, oldest first.
pub(crate) fn installed(root: &Path) -> Vec<Installed> {
    let mut found: Vec<Installed> = BOOT
        .iter()
        .filter_map(|place| fs::read_dir(root.join(place).join("EFI/Linux")).ok())
        .flat_map(|entries| entries.flatten().filter_map(|entry| named(&entry.file_name().to_string_lossy())))
        .collect();
    found.sort_by(|a, b| a.release.cmp(&b.release));
    found.dedup();
    found
}

/// Those that were tried here and left: with no tries left, or with a reason of their own.
pub(crate) fn left(root: &Path, this: &str) -> Vec<Left> {
    let folder = root.join("var/lib/telecabine");
    let reason = |release: &str| fs::read_to_string(folder.join(format!("{release}.why"))).ok();
    let mut left: Vec<Left> = fs::read_dir(&folder)
        .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>())
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.strip_suffix(".why"))
        .filter(|release| *release != this)
        .map(|release| Left {
            release: release.to_owned(),
            why: reason(release).unwrap_or_default().trim().replace('\n', "; "),
        })
        .collect();
    for found in installed(root) {
        let spent = found.tries.is_some_and(|(tries, _)| tries == 0);
        if spent && found.release != this && !left.iter().any(|left| left.release == found.release) {
            let why = "it never came to its health check: it hung, crashed or lost its power each time".to_owned();
            left.push(Left { release: found.release, why });
        }
    }
    left.sort_by(|a, b| a.release.cmp(&b.release));
    left
}

/// `telecabine_20261123+1-1.efi`
fn named(file: &str) -> Option<Installed> {
    let name = file.strip_prefix("telecabine_")?.strip_suffix(".efi")?;
    let (release, tries) = match name.split_once('+') {
        None => (name, None),
        Some((release, count)) => {
            let (left, done) = count.split_once('-').unwrap_or((count, "0"));
            (release, Some((left.parse().ok()?, done.parse().ok()?)))
        }
    };
    Some(Installed { release: release.to_owned(), tries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernels_name_says_what_became_of_its_release() {
        let is = |release: &str, tries| Some(Installed { release: release.into(), tries });
        assert_eq!(named("telecabine_20261123.efi"), is("20261123", None));
        assert_eq!(named("telecabine_20261123+2.efi"), is("20261123", Some((2, 0))));
        assert_eq!(named("telecabine_20261123+0-2.efi"), is("20261123", Some((0, 2))));
        for other in ["linux.efi", "telecabine_1+x.efi", "telecabine_1", "telecabine_1+1-.efi"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
