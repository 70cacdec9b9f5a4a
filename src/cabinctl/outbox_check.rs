//! `cabinctl outbox check --outbox FILE` and `cabinctl outbox check EXPORT --key FILE [--unpack FOLDER]`

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use outbox::export::{Exported, OperatorKey};

use crate::arguments::Arguments;
use crate::config_file;
use crate::outbox_export::{new_file, root_key};

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    match arguments.word() {
        Some(export) => check_export(&PathBuf::from(export), arguments, out),
        None => check_outbox(arguments, out),
    }
}

fn check_outbox(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("outbox")?);
    let dev_key = arguments.option("dev-key").is_some();
    arguments.end()?;
    let settings = config_file::load_outbox(&path)?;
    let report = outbox::check(&settings.dir, root_key(&settings, dev_key)?)?;
    writeln!(out, "open consultations        {}", report.journals)?;
    writeln!(out, "waiting or set aside      {}", report.submissions)?;
    writeln!(out, "patients to come back     {}", report.parked)?;
    writeln!(out, "journals kept aside       {}", report.aside)?;
    writeln!(out, "replies to specialists    {}", report.letters)?;
    writeln!(out, "receipts                  {}", report.receipts)?;
    writeln!(out, "frames and files whole    {}", report.whole)?;
    for problem in &report.problems {
        writeln!(out, "problem                   {problem}")?;
    }
    if !report.problems.is_empty() {
        bail!("{} problems; nothing was changed", report.problems.len());
    }
    Ok(())
}

fn check_export(path: &Path, mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let key = PathBuf::from(arguments.need_option("key")?);
    let unpack = arguments.option("unpack").map(PathBuf::from);
    arguments.end()?;
    let text = zeroize::Zeroizing::new(fs::read_to_string(&key).with_context(|| key.display().to_string())?);
    let key = OperatorKey::from_text(&text)?;
    let file = BufReader::new(File::open(path).with_context(|| path.display().to_string())?);
    let (mut files, mut journals) = (0, 0);
    let count = outbox::export::open(file, &key, |exported| {
        if exported.is_journal() {
            journals += 1;
        } else {
            files += exported.files.len();
        }
        unpack.as_deref().map_or(Ok(()), |folder| write_out(folder, &exported))
    })?;
    writeln!(out, "{} consultations and {files} files, all whole", count - journals)?;
    if journals > 0 {
        writeln!(out, "{journals} journals of which no record could be made, as they are")?;
    }
    Ok(())
}

/// One folder a consultation: `bundle.json`, `proof`, and the files under the names that the bundle refers to; of a journal
/// its files alone. For the account that unpacks and nobody else.
fn write_out(folder: &Path, exported: &Exported) -> Result<()> {
    let name = match exported.is_journal() {
        true => format!("aside-{}", exported.consultation),
        false => format!("{:06}-{}", exported.number, exported.consultation),
    };
    let folder = folder.join(name);
    let write = |name: &Path, content: &[u8]| -> Result<()> {
        let path = folder.join(name);
        let parent = path.parent().context("a folder")?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .with_context(|| parent.display().to_string())?;
        let mut file = new_file(&path)?;
        file.write_all(content).with_context(|| path.display().to_string())
    };
    if !exported.is_journal() {
        write(Path::new("bundle.json"), &exported.bundle)?;
        write(Path::new("proof"), exported.proof.as_bytes())?;
    }
    for (name, _, content) in &exported.files {
        let name = Path::new(name);
        // Whoever made the export chose the names.
        if name.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            bail!("a file of {} would be written elsewhere", exported.consultation);
        }
        write(name, content)?;
    }
    Ok(())
}
