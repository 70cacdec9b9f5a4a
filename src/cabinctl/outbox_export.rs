//! `cabinctl outbox export EXPORT --to PUBLIC --outbox FILE` and `cabinctl outbox key FILE`

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use outbox::export::{OperatorKey, OperatorPublic};
use outbox::keys::RootKey;
use outbox::settings::Settings;
use outbox::store::Store;
use wiring::file::Owner;

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the file to write")?);
    let to = OperatorPublic::from_text(&arguments.need_option("to")?)
        .context("--to takes the public half that `cabinctl outbox key` printed")?;
    let config = PathBuf::from(arguments.need_option("outbox")?);
    let dev_key = arguments.option("dev-key").is_some();
    arguments.end()?;
    let settings = config_file::load_outbox(&config)?;
    let store = Store::open(&settings.dir, root_key(&settings, dev_key)?, settings.reserve_bytes)?;
    let exported = export_to(&path, to, &store, &settings, out);
    drop(store);
    // Whatever came of it: what was made in its folder is its account's.
    give_back(&settings.dir)?;
    exported
}

fn export_to(path: &Path, to: OperatorPublic, store: &Store, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let file = new_file(path)?;
    let written = outbox::export::export(store, to, BufWriter::new(&file)).and_then(|written| {
        file.sync_all()?;
        Ok(written)
    });
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            // A part of an export is of no use to anybody.
            let _ = fs::remove_file(path);
            return Err(error.context(path.display().to_string()));
        }
    };
    for id in written.unreadable {
        writeln!(out, "left out, for this disk does not give it whole: {id}")?;
    }
    for id in written.in_part {
        writeln!(out, "in it as far as this disk gives it: the journal of {id}")?;
    }
    let status = store.status();
    let replies = outbox::left(&settings.dir)?.letters;
    if status.parked > 0 {
        let parked = status.parked;
        writeln!(out, "not in it: {parked} patients who may still come back; export again when their time is over")?;
    }
    if let Some(open) = status.open {
        writeln!(out, "not in it: the consultation that is open ({open}); end it at the screen, and export again")?;
    }
    if replies > 0 {
        writeln!(out, "not in it: {replies} replies to specialists, which are for the desk they were written for")?;
    }
    if written.aside > 0 {
        writeln!(out, "{} journals of which no record could be made are in it too", written.aside)?;
    }
    let count = written.submissions;
    Ok(writeln!(out, "{count} consultations for {}; the outbox keeps them too", to.to_text())?)
}

/// The outbox's key. With `dev_key` the one that a development outbox made; none is made here.
pub(crate) fn root_key(settings: &Settings, dev_key: bool) -> Result<RootKey> {
    let made = settings.key.clone().unwrap_or_else(|| settings.dir.join("dev.key"));
    ensure!(!dev_key || made.exists(), "{}: this outbox never ran with --dev-key", made.display());
    outbox::credential::root_key(settings, dev_key)
}

/// What was written in the outbox's folder is its account's, whoever looked into it: else it could not start again.
fn give_back(dir: &Path) -> Result<()> {
    let owner = Owner::of(dir)?;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let about = fs::symlink_metadata(&path)?;
            if (about.uid(), about.gid()) != (owner.uid, owner.gid) {
                lchown(&path, Some(owner.uid), Some(owner.gid)).with_context(|| path.display().to_string())?;
            }
            folders.extend(about.is_dir().then_some(path));
        }
    }
    Ok(())
}

pub(crate) fn key(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the file for the key")?);
    arguments.end()?;
    let key = OperatorKey::random();
    let mut file = new_file(&path)?;
    file.write_all(key.to_text().as_bytes())?;
    file.sync_all()?;
    Ok(writeln!(out, "{}", key.public().to_text())?)
}

/// A new file that nobody else can read; never one that is there already.
pub(crate) fn new_file(path: &Path) -> Result<fs::File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| path.display().to_string())
}
