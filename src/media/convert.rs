//! One thing through GStreamer and back: a picture decoded, a sound packed.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::time::{Duration, Instant};

use crate::pipeline::named;

/// Bytes that come out of a conversion at most: a picture of 4,096 by 4,096 pixels in four colours.
pub const CONVERTED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Pushes `input` of kind `caps` through `elements` (a fixed description of ours) and gives what comes out, with its
/// kind. Waits for it, `within` at most; GStreamer must have been started.
///
/// # Errors
///
/// GStreamer's words: an element is missing, or the input is none of its kind; too long, too late.
pub fn convert(
    elements: &str,
    caps: &gst::Caps,
    input: Vec<u8>,
    within: Duration,
) -> Result<(gst::Caps, Vec<u8>), String> {
    let description = format!("appsrc name=in format=time ! {elements} ! appsink name=out sync=false async=false");
    let pipeline = gst::parse::launch(&description)
        .map_err(|error| error.to_string())?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline".to_owned())?;
    let converted = through(&pipeline, caps, input, Instant::now() + within);
    pipeline.set_state(gst::State::Null).map_err(|_| "the pipeline did not stop".to_owned())?;
    converted
}

fn through(
    pipeline: &gst::Pipeline,
    caps: &gst::Caps,
    input: Vec<u8>,
    give_up_at: Instant,
) -> Result<(gst::Caps, Vec<u8>), String> {
    let entry: gst_app::AppSrc = named(pipeline, "in")?;
    let exit: gst_app::AppSink = named(pipeline, "out")?;
    entry.set_caps(Some(caps));
    pipeline.set_state(gst::State::Playing).map_err(|_| "the pipeline did not start".to_owned())?;
    let mut buffer = gst::Buffer::from_mut_slice(input);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    entry.push_buffer(buffer).map_err(|error| error.to_string())?;
    entry.end_of_stream().map_err(|error| error.to_string())?;
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    let mut output = Vec::new();
    let mut kind = None;
    loop {
        let left = give_up_at.saturating_duration_since(Instant::now());
        let left = gst::ClockTime::try_from(left).unwrap_or(gst::ClockTime::ZERO);
        let Some(sample) = exit.try_pull_sample(left.min(gst::ClockTime::from_mseconds(100))) else {
            if let Some(gst::MessageView::Error(error)) =
                bus.pop_filtered(&[gst::MessageType::Error]).as_ref().map(|message| message.view())
            {
                return Err(error.error().to_string());
            }
            match kind {
                Some(kind) if exit.is_eos() => return Ok((kind, output)),
                None if exit.is_eos() => return Err("nothing came out".to_owned()),
                _ if left.is_zero() => return Err("it took too long".to_owned()),
                _ => continue,
            }
        };
        let map = sample.buffer().ok_or("no bytes")?.map_readable().map_err(|error| error.to_string())?;
        if output.len() + map.len() > CONVERTED_BYTES_MAX {
            return Err("more came out than there is room for".to_owned());
        }
        output.extend_from_slice(&map);
        kind = kind.or_else(|| sample.caps_owned());
    }
}
