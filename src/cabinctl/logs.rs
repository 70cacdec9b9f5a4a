//! `cabinctl logs export FILE --to PUBLIC` and `cabinctl logs open FILE --key FILE`: the machine's journal for whoever
//! looks after it, sealed for them alone. Patients are in no line of it (README, invariant 7).

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read as _, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use outbox::export::{OperatorKey, OperatorPublic, seal, unseal};

use crate::arguments::Arguments;
use crate::outbox_export::new_file;

pub(crate) fn export(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the file to write")?);
    let to = OperatorPublic::from_text(&arguments.need_option("to")?)?;
    let journal = arguments.option("journal");
    arguments.end()?;
    let mut command = Command::new("journalctl");
    command.args(["--no-pager", "--quiet", "--utc", "--output=short-iso-precise"]);
    if let Some(folder) = journal {
        command.args(["--directory", &folder]);
    }
    let mut reader = command.stdout(Stdio::piped()).spawn().context("journalctl, which reads the journal")?;
    let file = new_file(&path)?;
    let release = crate::release::this(std::path::Path::new("/")).unwrap_or_else(|| "no release".into());
    let head = format!("{release}, {}\n", time::OffsetDateTime::now_utc());
    let lines = reader.stdout.take().context("journalctl's lines")?;
    let sealed = seal(head.as_bytes().chain(lines), to, BufWriter::new(&file)).and_then(|bytes| {
        file.sync_all()?;
        if !reader.wait()?.success() {
            bail!("journalctl could not read the journal: are you root?");
        }
        Ok(bytes)
    });
    match sealed {
        Ok(bytes) => Ok(writeln!(out, "{bytes} bytes of journal in {}, for {}", path.display(), to.to_text())?),
        Err(error) => {
            let _ = fs::remove_file(&path);
            Err(error.context(path.display().to_string()))
        }
    }
}

pub(crate) fn open(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need("the sealed file")?);
    let key = PathBuf::from(arguments.need_option("key")?);
    arguments.end()?;
    let text = zeroize::Zeroizing::new(fs::read_to_string(&key).with_context(|| key.display().to_string())?);
    let file = BufReader::new(File::open(&path).with_context(|| path.display().to_string())?);
    unseal(file, &OperatorKey::from_text(&text)?, out).with_context(|| path.display().to_string())?;
    Ok(())
}
