//! Which cameras, microphones and loudspeakers are plugged in.

use crate::{AudioSink, AudioSource, Part, Settings, Spared, VideoSource};
use gstreamer as gst;
use gstreamer::prelude::*;

/// What GStreamer calls the kinds of devices.
pub(super) const CAMERAS: &str = "Video/Source";
pub(super) const MICROPHONES: &str = "Audio/Source";
const LOUDSPEAKERS: &str = "Audio/Sink";

/// Whether a part that is missing may be there now. May wait for the system's answer.
pub(crate) fn may_be_there(part: Part, settings: &Settings) -> bool {
    match part {
        Part::Camera => match &settings.video_source {
            VideoSource::Device(path) => {
                settings.places.file(path).is_some_and(|file| std::path::Path::new(&file).exists())
            }
            _ => first_device(CAMERAS, &settings.spared).is_some(),
        },
        Part::Microphone => match &settings.audio_source {
            AudioSource::Device(name) => opens("alsasrc", name),
            _ => first_device(MICROPHONES, &settings.spared).is_some(),
        },
        Part::Loudspeaker => match &settings.audio_sink {
            AudioSink::Device(name) => opens("alsasink", name),
            _ => first_device(LOUDSPEAKERS, &Spared::default()).is_some(),
        },
    }
}

/// Whether ALSA has a device of that name, which shows only when it is opened: the elements do so to become ready.
fn opens(element: &str, name: &str) -> bool {
    let Ok(element) = gst::ElementFactory::make(element).property("device", name).build() else { return false };
    let opened = element.set_state(gst::State::Ready).is_ok();
    opened & element.set_state(gst::State::Null).is_ok()
}

pub(super) fn first_device(class: &str, spared: &Spared) -> Option<gst::Device> {
    let spared = spared.files();
    media::devices(class).into_iter().find(|device| !is_spared(|name| media::property(device, name), &spared))
}

/// Whether one of these files is the device's, by what its provider says of it: V4L2, ALSA, PulseAudio and PipeWire
/// each name it in their own way.
fn is_spared(property: impl Fn(&str) -> Option<String>, spared: &[String]) -> bool {
    let file = ["device.path", "api.v4l2.path"].into_iter().filter_map(&property);
    let card = ["alsa.card", "api.alsa.card", "api.alsa.pcm.card"].into_iter().filter_map(&property);
    let card = card.map(|card| format!("hw:{card}"));
    // `hw:1,0`, `front:1`, `alsa_input.hw:1`: the number behind the colon is the card's.
    let path = ["api.alsa.path", "device.string", "object.path"].into_iter().filter_map(&property);
    let path = path.filter_map(|path| {
        let card = path.rsplit(':').next()?.split(',').next()?;
        card.parse::<u32>().ok().map(|card| format!("hw:{card}"))
    });
    file.chain(card).chain(path).any(|file| spared.contains(&file))
}

/// Whether a loudspeaker or headset is there.
pub(crate) fn first_loudspeaker() -> Option<gst::Device> {
    first_device(LOUDSPEAKERS, &Spared::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_otoscope_and_the_stethoscope_are_never_chosen_for_the_call() {
        // What the providers say: V4L2, PipeWire; ALSA, PulseAudio, PipeWire twice.
        let listed: [(&str, &[(&str, &str)]); 8] = [
            ("otoscope", &[("device.api", "v4l2"), ("device.path", "/dev/video0")]),
            ("otoscope by pipewire", &[("api.v4l2.path", "/dev/video0"), ("object.path", "v4l2:/dev/video0")]),
            ("room camera", &[("device.api", "v4l2"), ("device.path", "/dev/video2")]),
            ("stethoscope", &[("device.api", "alsa"), ("alsa.card", "1")]),
            ("stethoscope by pulse", &[("device.string", "front:1"), ("alsa.card", "1")]),
            ("stethoscope by pipewire", &[("api.alsa.path", "hw:1,0"), ("api.alsa.pcm.card", "1")]),
            ("headset", &[("device.api", "alsa"), ("alsa.card", "2")]),
            ("headset by pulse", &[("device.string", "hw:2")]),
        ];
        let chosen = |spared: &[&str]| -> Vec<&str> {
            let spared: Vec<String> = spared.iter().map(|file| (*file).to_owned()).collect();
            let says = |properties: &[(&str, &str)], name: &str| {
                properties.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            let may_be = |listed: &&(&str, &[(&str, &str)])| !is_spared(|name| says(listed.1, name), &spared);
            listed.iter().filter(may_be).map(|(name, _)| *name).collect()
        };
        assert_eq!(chosen(&[]).len(), listed.len());
        assert_eq!(chosen(&["/dev/video0", "hw:1"]), ["room camera", "headset", "headset by pulse"]);
        assert_eq!(chosen(&["/dev/video2", "hw:2"]).len(), 5);
        let settings = Settings { spared: Spared::by(|| vec!["/dev/video0".into()]), ..Settings::default() };
        assert_eq!(settings.spared.files(), ["/dev/video0"], "looked up at each choice");
    }
}
