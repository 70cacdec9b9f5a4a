//! `cabinctl outbox accept --config FILE`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use outbox::known;
use wiring::file::{Owner, put};

use crate::arguments::Arguments;
use crate::config_file;

/// What was open in the former one cannot be kept in this one.
const AFTER: &str = "where a patient was in the middle, restart the cabin";

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    arguments.end()?;
    let config = config_file::load(&path)?;
    let socket = &config.outbox_socket;
    let status =
        outbox::Client::new(socket).status().with_context(|| format!("cabin-outbox at {}", socket.display()))?;
    ensure!(!status.name.is_nil(), "its disk is too full for it to have a name: make room, and restart cabin-outbox");
    // What cannot be read names no outbox, and is put in order here.
    if known::read(&config.data_dir).ok().flatten() == Some(status.name) {
        return Ok(writeln!(out, "it is the one that this cabin knows ({}); {AFTER}", status.name)?);
    }
    let file = known::file(&config.data_dir);
    let written =
        Owner::of(&config.data_dir).and_then(|owner| put(&file, status.name.to_string().as_bytes(), 0o600, owner));
    written.with_context(|| file.display().to_string())?;
    Ok(writeln!(out, "from now on this cabin's outbox is {}; {AFTER}", status.name)?)
}
