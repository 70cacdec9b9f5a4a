//! Pictures and sound of this machine by GStreamer: a pipeline that says when it breaks and always stops, a picture
//! ready to be drawn, the devices that are plugged in. What the call and the examination both stand on.

use gstreamer as gst;
use gstreamer::prelude::*;

mod convert;
mod frame;
mod pipeline;
mod sound;

pub use convert::{CONVERTED_BYTES_MAX, convert};
pub use frame::{Frame, FrameSlot, Pixels, Yuv, store};
pub use pipeline::{Beat, Loudness, Running, named, on_sample};
pub use sound::SoundBlock;

/// What GStreamer's device providers (V4L2, ALSA, PulseAudio, PipeWire) find of a class: `Video/Source`,
/// `Audio/Source`, `Audio/Sink`. The loopback of a loudspeaker, which a sound server lists as a microphone, is left
/// out.
pub fn devices(class: &str) -> Vec<gst::Device> {
    let monitor = gst::DeviceMonitor::new();
    if monitor.add_filter(Some(class), None).is_none() {
        return Vec::new();
    }
    let found = monitor.devices().into_iter();
    found.filter(|device| property(device, "device.class").as_deref() != Some("monitor")).collect()
}

/// What a device provider says of a device: a text, or a number (ALSA's of a card).
pub fn property(device: &gst::Device, name: &str) -> Option<String> {
    let properties = device.properties()?;
    let number = || properties.get::<i32>(name).map(|number| number.to_string());
    properties.get::<String>(name).or_else(|_| number()).ok()
}
