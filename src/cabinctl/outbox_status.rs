//! `cabinctl outbox status --config FILE`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use outbox::FaultCode;

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    arguments.end()?;
    let config = config_file::load(&path)?;
    let socket = &config.outbox_socket;
    let mut status =
        outbox::Client::new(socket).status().with_context(|| format!("cabin-outbox at {}", socket.display()))?;
    outbox::known::look(&config.data_dir, &mut status);
    writeln!(out, "open consultation      {}", if status.open.is_some() { "yes" } else { "no" })?;
    writeln!(out, "waiting for proof      {}", status.waiting)?;
    writeln!(out, "set aside              {}", status.set_aside)?;
    writeln!(out, "patients to come back  {}", status.parked)?;
    writeln!(out, "replies to specialists {}", status.letters)?;
    let at = status.last_receipt_at.map(time::OffsetDateTime::from_unix_timestamp).transpose()?;
    writeln!(out, "last proof             {}", at.map_or("never".into(), |at| at.to_string()))?;
    writeln!(out, "free on its disk       {} MiB", status.disk_free_bytes >> 20)?;
    for fault in &status.faults {
        writeln!(out, "fault                  {}: {}", named(fault.code), fault.detail)?;
    }
    Ok(())
}

/// A fault, and what to do about it.
fn named(code: FaultCode) -> &'static str {
    match code {
        FaultCode::DiskShort => "the disk is too full for another patient; make room or wait until what waits is sent",
        FaultCode::SyncFailed => {
            "the disk refused to keep what was written; restart cabin-outbox, and replace the disk"
        }
        FaultCode::ServerUnreachable => "the server does not answer as it should; all of it waits and is tried again",
        FaultCode::ServerRefusesAccess => {
            "the server refuses this cabin's token; all of it waits for a token that it takes"
        }
        FaultCode::SetAside => "the server refused a record; see why, then `cabinctl outbox retry`",
        FaultCode::IndexRebuilt => {
            "the index failed and is made from the logs, which hold everything; look at the disk"
        }
        FaultCode::Damaged => "a part of what is kept could not be read and is kept aside; see `cabinctl outbox check`",
        FaultCode::NoServer => "no server is set; records wait until there is one",
        FaultCode::Replaced => "this is not the outbox that this cabin knew",
        FaultCode::NotTaken => "the server fails at a record again and again and takes others; it is tried on",
    }
}
