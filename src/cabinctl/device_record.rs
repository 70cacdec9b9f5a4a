//! `cabinctl device record NAME --config FILE --out CAPTURE`: a measurement whose bytes are kept, to become a test.
//!
//! A device with a memory tells of everybody who was measured with it: it is recorded only with `--with-others`, for a
//! device whose memory was emptied, or that never measured a patient.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::arguments::Arguments;
use crate::device_read;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("out")?);
    let with_others = arguments.option("with-others").is_some();
    let binding = device_read::binding(&mut arguments)?;
    arguments.end()?;
    ensure!(
        with_others || !binding.model.tells_of_others(),
        "a device of the model {} keeps what it measured of others, and the file would hold it in clear: empty its memory, then add \
         --with-others",
        binding.model.key
    );
    ensure!(!path.exists(), "{} is there already: name another file", path.display());
    // Before somebody measures for nothing.
    std::fs::File::create_new(&path)
        .and_then(|_| std::fs::remove_file(&path))
        .with_context(|| format!("{} cannot be written: name a file in a folder that you may write", path.display()))?;
    let measured = device_read::measure(binding, Some(path.clone()), out);
    ensure!(
        path.exists() || measured.is_err(),
        "{} could not be written: name a file in a folder that you may write",
        path.display()
    );
    if path.exists() {
        writeln!(
            out,
            "recorded {}: fill in who and where in its first lines; it holds what was measured",
            path.display()
        )?;
    }
    // What went wrong is what somebody may want to look at.
    measured
}
