//! `cabinctl camera bind otoscope|dermatoscope CAMERA --config FILE` and `cabinctl sound bind SOUND --config FILE`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use exam::{Address, camera, sound};

use crate::arguments::Arguments;

/// What a camera may be in a cabin; the room camera is the call's.
const CAMERAS: [&str; 2] = ["otoscope", "dermatoscope"];

pub(crate) fn camera(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    let kind = arguments.need("what it is: otoscope or dermatoscope")?;
    let named = arguments.need("the camera")?;
    arguments.end()?;
    ensure!(CAMERAS.contains(&kind.as_str()), "{kind:?} is none of {}", CAMERAS.join(", "));
    let address: Address = named.parse().with_context(|| named.clone())?;
    bind(&path, &kind, &address, camera::find::is_plugged(&address), out)
}

pub(crate) fn sound(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    let named = arguments.need("the sound input")?;
    arguments.end()?;
    let address: Address = named.parse().with_context(|| named.clone())?;
    bind(&path, "stethoscope", &address, sound::find::is_plugged(&address), out)
}

fn bind(path: &std::path::Path, kind: &str, address: &Address, is_plugged: bool, out: &mut dyn Write) -> Result<()> {
    wiring::edit::set_instrument(path, kind, &address.to_string())?;
    writeln!(out, "the {kind} is {address}, from the cabin's next start")?;
    if !is_plugged {
        writeln!(out, "nothing is plugged there now")?;
    }
    Ok(())
}
