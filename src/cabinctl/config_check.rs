//! `cabinctl config check FILE`

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the file to check")?);
    arguments.end()?;
    let config = config_file::load(&path)?;
    writeln!(
        out,
        "{}: good. {}, {} devices, {} pharmacists",
        path.display(),
        config.site.name,
        config.devices.len(),
        config.pharmacists.len()
    )?;
    if config.pharmacists.is_empty() {
        writeln!(out, "nobody can open this cabin yet: cabinctl pharmacist add NAME --config {}", path.display())?;
    }
    Ok(())
}
