//! `cabinctl camera still FILE [--camera CAMERA]`: one picture of the test card, and how good it is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use exam::Address;
use exam::camera::still::Made;
use exam::camera::{Camera, CameraEvent, EVENTS_MAX, Source, find};
use exam::picture::Advice;

use crate::arguments::Arguments;

/// A camera gives its first picture within that time; the first start of GStreamer on a machine takes some seconds.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(20);

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let file = PathBuf::from(arguments.need("the picture's file")?);
    let camera = arguments.option("camera");
    arguments.end()?;
    // Before a camera is opened for nothing.
    is_called(&file, "picture", &["jpg", "jpeg"])?;
    ensure!(!file.exists(), "{} is there already: name another file", file.display());
    let source = match camera.as_deref() {
        Some(named) => named.parse().with_context(|| named.to_owned())?,
        None => Source::Plugged(only()?),
    };
    if let Source::Plugged(address) = &source {
        ensure!(
            find::is_plugged(address),
            "no camera {address} on this machine: cabinctl camera list names those there are"
        );
    }
    let (events, heard) = mpsc::sync_channel(EVENTS_MAX);
    let camera = Camera::open(source, events)?;
    match heard.recv_timeout(OPEN_WITHIN) {
        Ok(CameraEvent::Opened { node, device, mode, has_button }) => {
            let button = if has_button { ", with a button" } else { "" };
            writeln!(out, "open     {} {}, {mode}{button}", node.display(), device.name)?;
        }
        Ok(CameraEvent::Refused { node, why }) => bail!("{}: {why}", node.display()),
        Ok(CameraEvent::Lost { why }) => bail!("the camera went away: check its cable ({why})"),
        Ok(CameraEvent::Pressed) | Err(_) => bail!("no picture comes: check the cable, and cabinctl camera list"),
    }
    let still = camera.still(OPEN_WITHIN)?;
    write_new(&file, still.jpeg.reveal())?;
    let made = match still.made {
        Made::ByCamera => "as the camera sent it".to_owned(),
        Made::Here { from, quality } => format!("packed here from {from}, quality {quality}"),
    };
    writeln!(out, "picture  {}x{}, {made}", still.width, still.height)?;
    let measures = still.measures;
    writeln!(
        out,
        "light    mean {}, brightest {}, black {} and white {} in a thousand, lit {}; sharpness {}",
        measures.mean,
        measures.brightest,
        measures.black_permille,
        measures.white_permille,
        measures.lit_permille,
        measures.sharpness
    )?;
    writeln!(out, "advice   {}", words(still.advice))?;
    writeln!(out, "sha256   {}", hexadecimal(&still.sha256))?;
    Ok(writeln!(out, "written  {}", file.display())?)
}

pub(crate) fn only() -> Result<Address> {
    let mut cameras = find::list();
    match (cameras.pop(), cameras.len()) {
        (Some(camera), 0) => Ok(Address::Named(camera.node.display().to_string())),
        (None, _) => bail!("no camera on this machine: check the cable"),
        _ => bail!("several cameras: name one with --camera, as cabinctl camera list shows it"),
    }
}

fn words(advice: Option<Advice>) -> &'static str {
    match advice {
        None => "good",
        Some(Advice::TooDark) => "too dark: is its lamp on, its cap off?",
        Some(Advice::TooBright) => "too bright: parts are white",
        Some(Advice::MoveNearer) => "move nearer: only a small part is lit",
        Some(Advice::Blurred) => "blurred: hold still, turn the focus ring",
    }
}

/// A file that is called something else than what it holds is opened by the wrong program.
pub(crate) fn is_called(file: &Path, what: &str, endings: &[&str]) -> Result<()> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    ensure!(
        endings.contains(&ending.as_str()),
        "the {what} is written as it came: name a file that ends in .{}",
        endings.join(" or .")
    );
    Ok(())
}

/// Writes a file that was not there.
pub(crate) fn write_new(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut new = std::fs::File::create_new(file).with_context(|| file.display().to_string())?;
    new.write_all(bytes).with_context(|| file.display().to_string())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
