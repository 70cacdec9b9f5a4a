//! A disk is written and compared, and a disk in use is left alone: on loop devices, which are disks to the kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

struct Loop(PathBuf);

impl Loop {
    /// A disk of that file; `None` where this machine or account can have none.
    fn of(file: &Path) -> Option<Loop> {
        let output = Command::new("losetup").args(["--find", "--show", "--partscan"]).arg(file).output().ok()?;
        let device = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !device.is_empty()).then(|| Loop(device.into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

fn flash(device: &Path, image: &Path) -> Result<String, String> {
    let words = ["flash", &device.display().to_string(), "--image", &image.display().to_string()];
    let mut out = Vec::new();
    cabinctl::run(words.map(str::to_owned).to_vec(), &mut "".as_bytes(), &mut out)
        .map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn an_image_is_written_and_compared_and_a_disk_in_use_is_left_as_it_was() {
    let folder = TempDir::new().unwrap();
    let (disk, image) = (folder.path().join("disk"), folder.path().join("image"));
    // Not a whole number of pieces, and no piece like another.
    let content: Vec<u8> = (0..9_500_160_u32).flat_map(|at| [(at >> 9) as u8 ^ at as u8]).collect();
    std::fs::write(&image, &content).unwrap();
    std::fs::write(&disk, vec![0xa5; 12 << 20]).unwrap();

    let refused = flash(&disk, &image).unwrap_err();
    assert!(refused.contains("no disk"), "{refused}");
    let Some(device) = Loop::of(&disk) else {
        return eprintln!("SKIPPED, this account can make no loop device");
    };

    let said = flash(&device.0, &image).unwrap();
    assert!(said.contains("comparing") && said.contains("100 %") && said.contains("good: "), "{said}");
    assert!(std::fs::read(&disk).unwrap()[..content.len()] == content[..], "the disk holds something else");
    assert!(std::fs::read(&disk).unwrap()[content.len()..].iter().all(|byte| *byte == 0xa5), "too much was written");

    std::fs::write(&image, vec![1; 13 << 20]).unwrap();
    let refused = flash(&device.0, &image).unwrap_err();
    assert!(refused.contains("too small"), "{refused}");

    // A file system on it, in use.
    std::fs::write(&image, vec![2; 1 << 20]).unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg("-F").arg(&device.0).status();
    let place = folder.path().join("mounted");
    std::fs::create_dir(&place).unwrap();
    let mounted = Command::new("mount").arg(&device.0).arg(&place).status();
    if !made.is_ok_and(|status| status.success()) || !mounted.is_ok_and(|status| status.success()) {
        return eprintln!("SKIPPED in part, this account can mount nothing");
    }
    let refused = flash(&device.0, &image).unwrap_err();
    Command::new("umount").arg(&place).status().unwrap();
    assert!(refused.contains("is mounted at") && refused.contains("Nothing was written"), "{refused}");
    // Mounting writes too, but not this.
    assert!(std::fs::read(&disk).unwrap()[..1 << 20].iter().any(|byte| *byte != 2), "something was written");
}
