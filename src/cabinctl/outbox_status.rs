//! `cabinctl outbox status --config FILE`

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
    let status =
        outbox::Client::new(socket).status().with_context(|| format!("cabin-outbox at {}", socket.display()))?;
    writeln!(out, "open consultation     {}", if status.open.is_some() { "yes" } else { "no" })?;
    writeln!(out, "waiting for proof     {}", status.waiting)?;
    writeln!(out, "set aside             {}", status.set_aside)?;
    writeln!(out, "patients to come back {}", status.parked)?;
    let at = status.last_receipt_at.map(time::OffsetDateTime::from_unix_timestamp).transpose()?;
    writeln!(out, "last proof            {}", at.map_or("never".into(), |at| at.to_string()))?;
    writeln!(out, "free on its disk      {} MiB", status.disk_free_bytes >> 20)?;
    for fault in &status.faults {
        writeln!(out, "fault                 {fault:?}")?;
    }
    Ok(())
}
