//! `cabinctl sound clip FILE [--sound SOUND] [--seconds N]`: some seconds of a stethoscope that a finger taps.

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use exam::Address;
use exam::sound::clip::{CLIP, CLIP_MAX};
use exam::sound::measures::Advice;
use exam::sound::{EVENTS_MAX, Source, Stethoscope, StethoscopeEvent, find};

use crate::arguments::Arguments;
use crate::camera_still::{hexadecimal, is_called, write_new};

/// A stethoscope is heard within that time.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// A clip is packed within that time of its end.
const PACKED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let file = PathBuf::from(arguments.need("the clip's file")?);
    let sound = arguments.option("sound");
    let length = match arguments.option("seconds") {
        Some(seconds) => Duration::from_secs(seconds.parse().with_context(|| format!("--seconds {seconds}"))?),
        None => CLIP,
    };
    arguments.end()?;
    ensure!(!length.is_zero() && length <= CLIP_MAX, "--seconds is a number from 1 to {}", CLIP_MAX.as_secs());
    // Before somebody taps for nothing.
    is_called(&file, "clip", &["flac"])?;
    ensure!(!file.exists(), "{} is there already: name another file", file.display());
    let source = match sound.as_deref() {
        Some("test") => Source::Test,
        Some(named) => Source::Plugged(named.parse().with_context(|| named.to_owned())?),
        None => Source::Plugged(only()?),
    };
    let (events, heard) = mpsc::sync_channel(EVENTS_MAX);
    let stethoscope = Stethoscope::open(source, events)?;
    match heard.recv_timeout(OPEN_WITHIN) {
        Ok(StethoscopeEvent::Opened { name, device, rate }) => {
            writeln!(out, "open     {name} {}, {rate} Hz; listening for {} s", device.name, length.as_secs())?;
        }
        Ok(StethoscopeEvent::Refused { why }) => bail!("{why}: does another program hold it?"),
        Ok(StethoscopeEvent::Lost { why }) => bail!("the stethoscope went away: check its cable ({why})"),
        Err(_) => bail!("nothing is heard: check the cable, and cabinctl sound list"),
    }
    let clip = stethoscope.clip(length)?.recv_timeout(length + PACKED_WITHIN).context("no clip came")??;
    write_new(&file, clip.flac.reveal())?;
    let measures = clip.measures;
    writeln!(out, "clip     {} samples at {} Hz, {} gaps", measures.samples, clip.rate, clip.gaps.len())?;
    let decibels = f64::from(measures.rms_centibels) / 100.0;
    writeln!(out, "level    {decibels:.1} dB, peak {}, {} in a million clipped", measures.peak, measures.clipped_ppm)?;
    writeln!(out, "advice   {}", words(clip.advice))?;
    writeln!(out, "sha256   {}", hexadecimal(&clip.sha256))?;
    Ok(writeln!(out, "written  {}", file.display())?)
}

fn only() -> Result<Address> {
    let mut microphones = find::list();
    match (microphones.pop(), microphones.len()) {
        (Some(microphone), 0) => Ok(Address::Named(microphone.name)),
        (None, _) => bail!("no stethoscope on this machine: check the cable"),
        _ => bail!("several inputs of sound: name one with --sound, as cabinctl sound list shows it"),
    }
}

fn words(advice: Option<Advice>) -> &'static str {
    match advice {
        None => "good",
        Some(Advice::Dead) => "no sound at all: is it switched on, is it the right one?",
        Some(Advice::Gaps) => "parts were lost, this machine was too busy: take it again",
        Some(Advice::TooLoud) => "too loud, it crackles: tap more softly, turn it down",
        Some(Advice::TooQuiet) => "almost nothing is heard: turn it up",
    }
}
