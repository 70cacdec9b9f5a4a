//! Where a stream comes from, as the head of its pipeline.

use gstreamer as gst;
use gstreamer::prelude::*;
use media::named;
use std::path::PathBuf;

/// Where a stream comes from.
pub(super) enum Source {
    /// The test picture or the test tone.
    Test,
    /// A V4L2 device path.
    Camera(String),
    /// An ALSA device name.
    Microphone(String),
    /// A WAV file.
    Recording(PathBuf),
    /// What GStreamer's device providers (V4L2, ALSA, PulseAudio, PipeWire) found.
    Found(gst::Device),
}

impl Source {
    /// The head of the pipeline. A device given by name or found is put there by [`Source::place`]: values
    /// from a configuration never become part of a description.
    pub(super) fn description(&self) -> Head {
        match self {
            Source::Test => Head::Test,
            Source::Camera(_) => Head::Camera,
            Source::Microphone(_) => Head::Microphone,
            Source::Recording(_) => Head::Recording,
            Source::Found(_) => Head::Found,
        }
    }

    pub(super) fn place(&self, pipeline: &gst::Pipeline, entry: &str) -> Result<(), String> {
        match self {
            Source::Test => Ok(()),
            Source::Camera(name) | Source::Microphone(name) => {
                named::<gst::Element>(pipeline, "source")?.set_property("device", name);
                Ok(())
            }
            Source::Recording(path) => {
                let path = path.to_str().ok_or("the name of a recording is no text")?;
                named::<gst::Element>(pipeline, "source")?.set_property("location", path);
                Ok(())
            }
            Source::Found(device) => {
                let source = device.create_element(None).map_err(|error| error.to_string())?;
                // Sound devices otherwise hand over 200 ms at a time, which the far end hears as delay.
                if source.find_property("latency-time").is_some() {
                    source.set_property("latency-time", 10_000_i64);
                    source.set_property("buffer-time", 80_000_i64);
                }
                pipeline.add(&source).map_err(|error| error.to_string())?;
                let entry: gst::Element = named(pipeline, entry)?;
                source.link(&entry).map_err(|error| error.to_string())
            }
        }
    }
}

/// What the description of a pipeline begins with.
#[derive(Clone, Copy)]
pub(super) enum Head {
    Test,
    Camera,
    Microphone,
    Recording,
    Found,
}
