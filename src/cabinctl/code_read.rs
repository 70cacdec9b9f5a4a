//! `cabinctl code read [--config FILE | --camera CAMERA] [--within SECONDS] [--show]`: one code, held before a camera.
//! What is in it may be a patient's: without `--show` only what kind of code it is is printed.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use drivers::fixtures::scanner_codes::{Accept, Scan, picture};
use exam::camera::{Camera, CameraEvent, EVENTS_MAX, Source};

use crate::arguments::Arguments;
use crate::{camera_still, card_read, config_file, fixture_watch};

/// A code is waited for that long, unless `--within` says otherwise.
const WITHIN: Duration = Duration::from_secs(30);
/// Looking at a picture is work for a whole processor: five a second at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let is_shown = arguments.option("show").is_some();
    let within = arguments.option("within").map(|text| text.parse::<u32>().context("--within takes seconds"));
    let within = within.transpose()?.map_or(WITHIN, |seconds| Duration::from_secs(seconds.into()));
    let named = |text: &str| text.parse::<Source>().with_context(|| text.to_owned());
    let (source, accept) = match (arguments.option("config"), arguments.option("camera")) {
        (Some(_), Some(_)) => bail!("--config or --camera, not both"),
        // What a technician holds before the camera is no patient's.
        (None, Some(text)) => (named(&text)?, Accept::TestsToo),
        (None, None) => (Source::Plugged(camera_still::only()?), Accept::TestsToo),
        (Some(path), None) => {
            let config = config_file::load(Path::new(&path))?;
            let scanner = config.fixtures.scanner.context("the configuration has no [scanner]")?;
            let text = scanner.camera.as_deref().context("the configuration's [scanner] has no camera")?;
            (named(text)?, wiring::accept(&scanner))
        }
    };
    arguments.end()?;
    let (events, heard) = mpsc::sync_channel(EVENTS_MAX);
    let camera = Camera::open(source, events)?;
    match heard.recv_timeout(camera_still::OPEN_WITHIN) {
        Ok(CameraEvent::Opened { node, device, mode, .. }) => {
            writeln!(out, "open     {} {}, {mode}", node.display(), device.name)?;
        }
        Ok(CameraEvent::Refused { node, why }) => bail!("{}: {why}", node.display()),
        Ok(CameraEvent::Lost { why }) => bail!("the camera went away: check its cable ({why})"),
        Ok(CameraEvent::Pressed) | Err(_) => bail!("no picture comes: check the cable, and cabinctl camera list"),
    }
    writeln!(out, "show     a code to the camera, flat, a hand's breadth away")?;
    let scan = camera.seek(LOOK_EVERY, within, &AtomicBool::new(true), |luma| {
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        picture::read(side(luma.width()), side(luma.height()), luma.pixels(), accept)
    });
    let scan = scan.context("no code was seen: more light, nearer, flatter, or a larger print")?;
    writeln!(out, "{}", fixture_watch::scanned(&scan))?;
    if let (Scan::Ins(prefill), true) = (&scan, is_shown) {
        writeln!(out, "         {}", card_read::words(prefill))?;
    }
    Ok(())
}
