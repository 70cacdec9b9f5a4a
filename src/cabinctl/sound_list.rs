//! `cabinctl sound list`

use std::io::Write;

use anyhow::Result;
use exam::sound::find;

use crate::arguments::Arguments;
use crate::camera_list::write_device;

pub(crate) fn run(arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    arguments.end()?;
    let microphones = find::list();
    if microphones.is_empty() {
        writeln!(out, "no stethoscope and no microphone on this machine")?;
    }
    for microphone in microphones {
        writeln!(out, "{}", microphone.name)?;
        write_device(&microphone.device, out)?;
    }
    Ok(())
}
