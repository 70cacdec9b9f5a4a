//! `cabinctl factory-reset --erase everything [--lose COUNT]`: makes all that this machine ever kept unreadable, for good.
//!
//! The data disk is encrypted, so it is enough to destroy its keys: every key slot of its LUKS header, then the header
//! itself and its copy. The firmware is told to make a new data disk at the next start (systemd-repart(8),
//! "FactoryReset"). What is not on that disk (the release, the signing certificates) holds nothing of anybody.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::arguments::Arguments;

/// The configuration of the image's outbox.
const OUTBOX: &str = "/var/lib/telecabine/outbox.toml";
/// The data disk of the image.
const DATA: &str = "/dev/disk/by-partlabel/cabin-data";
/// Both copies of a LUKS2 header with its key slots, bytes: what comes after holds nothing without them.
const HEADER_BYTES: usize = 16 << 20;
/// Read by systemd-repart; the number is systemd's vendor UUID.
const REQUEST: &str = "/sys/firmware/efi/efivars/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67";

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let word = arguments.option("erase");
    let lose = arguments.option("lose");
    let device = arguments.option("device");
    let outbox = arguments.option("outbox");
    arguments.end()?;
    ensure!(
        word.as_deref() == Some("everything"),
        "this destroys every record that still waits, every setting and every log of this machine: \
         cabinctl outbox export first, then cabinctl factory-reset --erase everything"
    );
    let outbox = outbox.or_else(|| device.is_none().then(|| OUTBOX.into())).map(PathBuf::from);
    agree(outbox.as_deref(), lose.as_deref())?;
    let device = PathBuf::from(device.unwrap_or(DATA.into()));
    erase(&device)?;
    writeln!(out, "{}: the keys are destroyed; nothing on it can be read again", device.display())?;
    if device == Path::new(DATA) {
        request().context("the firmware could not be told: flash the machine anew")?;
        writeln!(out, "restart this machine: it makes a new data disk, and is a new cabin")?;
    }
    Ok(())
}

/// What of patients is still there is named, and destroyed only for who says how much it is.
fn agree(outbox: Option<&Path>, lose: Option<&str>) -> Result<()> {
    let left = match outbox {
        None => Err("it is not known whose disk this is".to_owned()),
        Some(path) => outbox::settings::read(path)
            .map_err(|mistake| mistake.to_string())
            .and_then(|settings| outbox::left(&settings.dir).map_err(|error| error.to_string())),
    };
    match left {
        Ok(left) if left.count() == 0 => Ok(()),
        Ok(left) => ensure_said(
            lose,
            &left.count().to_string(),
            &format!(
                "{} records are in the outbox: {} consultations wait or are set aside, {} open, {} of patients who may come back, \
                 {} journals kept aside, {} replies to specialists. `cabinctl outbox export` takes out the consultations and \
                 journals; the open one ends at the screen, who may come back is sent when the time is over, and replies \
                 go when the desk is reached, or are put away in the list of opinions",
                left.count(),
                left.waiting,
                left.open,
                left.parked,
                left.aside,
                left.letters
            ),
        ),
        Err(why) => ensure_said(
            lose,
            "unknown",
            &format!("what is in the outbox cannot be counted ({why}; --outbox FILE says where)"),
        ),
    }
}

fn ensure_said(said: Option<&str>, expected: &str, what: &str) -> Result<()> {
    ensure!(said == Some(expected), "{what}. To destroy it all the same: --lose {expected}");
    Ok(())
}

fn erase(device: &Path) -> Result<()> {
    let place = || device.display().to_string();
    // Of a disk that is open too: what is in use goes on until the restart, with the key that is in memory.
    let erased = Command::new("cryptsetup").args(["erase", "--batch-mode"]).arg(device).output();
    let erased = erased.context("cryptsetup, which destroys the keys")?;
    ensure!(erased.status.success(), "{}: {}", place(), String::from_utf8_lossy(&erased.stderr).trim());
    let mut file = OpenOptions::new().read(true).write(true).open(device).with_context(place)?;
    file.write_all(&vec![0; HEADER_BYTES]).with_context(place)?;
    file.sync_all().with_context(place)?;
    file.seek(SeekFrom::Start(0))?;
    let mut read = vec![1; HEADER_BYTES];
    file.read_exact(&mut read).with_context(place)?;
    ensure!(read.iter().all(|byte| *byte == 0), "{}: the header is still there: destroy this disk", place());
    Ok(())
}

/// A variable of the firmware: four bytes of attributes (kept, for the running system too), then text in UTF-16.
fn request() -> Result<()> {
    let mut bytes = 7_u32.to_le_bytes().to_vec();
    bytes.extend("yes\0".encode_utf16().flat_map(u16::to_le_bytes));
    fs::write(REQUEST, bytes).with_context(|| REQUEST.to_owned())
}
