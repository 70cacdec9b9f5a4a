//! `cabinctl outbox retry --config FILE`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    arguments.end()?;
    let config = config_file::load(&path)?;
    let socket = &config.outbox_socket;
    let count = outbox::Client::new(socket)
        .retry_set_aside()
        .with_context(|| format!("cabin-outbox at {}", socket.display()))?;
    Ok(writeln!(out, "{count} sent again; cabinctl outbox status tells what comes of it")?)
}
