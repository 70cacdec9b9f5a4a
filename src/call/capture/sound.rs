//! The microphone's sound, or the test tone, on its way to the far end.

use super::found::{MICROPHONES, first_device};
use super::source::{Head, Source};
use super::{Attempt, Marks, Outgoing, mark, send, set_payload_type};
use crate::news::MediaNews;
use crate::policy::Sound;
use crate::{AudioSource, Fault, Settings};
use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Beat, Loudness, Running, on_sample};
use tokio::sync::mpsc;

/// The running capture of the sound.
#[derive(Debug)]
pub(crate) struct SoundCapture {
    running: Running,
    /// The test tone, in place of a microphone that should be there.
    pub(crate) stands_in: bool,
}

impl SoundCapture {
    /// Starts the chosen microphone, or a quiet tone where there is none. `echo_probe` names the
    /// playback's `webrtcechoprobe`, where the patient hears the far end from a loudspeaker.
    #[allow(clippy::too_many_arguments, reason = "each is another thing that a microphone needs")]
    pub(crate) fn start(
        settings: &Settings,
        beat: &Beat,
        marks: Marks,
        outgoing: Outgoing,
        echo_probe: Option<&str>,
        loudness: Loudness,
        news: &mpsc::Sender<MediaNews>,
        attempt: Attempt,
    ) -> Result<SoundCapture, String> {
        let start = |source: Source| {
            let outgoing = outgoing.clone();
            let cleaning = match &source {
                Source::Test | Source::Recording(_) => None,
                _ => cleaning(echo_probe),
            };
            Running::build(
                &sound_description(source.description(), cleaning.as_deref()),
                beat,
                MediaNews::sender(news, MediaNews::SoundLost),
                Some(loudness.clone()),
                move |pipeline| {
                    source.place(pipeline, "sound-in")?;
                    mark(pipeline, marks)?;
                    on_sample(pipeline, "rtp", move |sample| send(&sample, &outgoing))
                },
            )
        };
        let wanted = match &settings.audio_source {
            AudioSource::TestTone | AudioSource::Off => None,
            _ if attempt == Attempt::StandIn => None,
            AudioSource::Device(name) => Some(Source::Microphone(name.clone())),
            AudioSource::Recording(path) => Some(Source::Recording(path.clone())),
            AudioSource::Auto => first_device(MICROPHONES, &settings.spared).map(Source::Found),
        };
        let is_meant = matches!(settings.audio_source, AudioSource::Auto | AudioSource::Device(_));
        let (running, stands_in) = match wanted.map(start) {
            Some(Ok(running)) => (running, false),
            found => {
                let fault =
                    found.and_then(Result::err).map_or(Fault::NoMicrophone, |why| Fault::MicrophoneLost { why });
                if is_meant && attempt == Attempt::First {
                    let _ = news.try_send(MediaNews::Notice(fault));
                }
                (start(Source::Test)?, is_meant)
            }
        };
        Ok(SoundCapture { running, stands_in })
    }

    /// How the voice is encoded from now on. A packet may be of another length than the one before (RFC 7587, 4.2).
    pub(crate) fn set(&self, sound: Sound) {
        if let Some(encoder) = self.running.element("encoder") {
            encoder.set_property("bitrate", i32::try_from(sound.bits_per_second).unwrap_or(i32::MAX));
            encoder.set_property("packet-loss-percentage", i32::try_from(sound.loss_percent).unwrap_or(i32::MAX));
            encoder.set_property_from_str("frame-size", &sound.packet_milliseconds.to_string());
        }
    }

    /// Sends silence instead of the microphone.
    pub(crate) fn mute(&self, muted: bool) {
        if let Some(volume) = self.running.element("volume") {
            volume.set_property("mute", muted);
        }
    }

    /// The payload type agreed with the far end.
    pub(crate) fn set_payload_type(&self, payload_type: u8) {
        set_payload_type(&self.running, payload_type);
    }
}

fn sound_description(head: Head, cleaning: Option<&str>) -> String {
    let source = match head {
        Head::Microphone => {
            "alsasrc name=source latency-time=10000 buffer-time=80000 ! queue name=sound-in max-size-time=200000000"
        }
        Head::Found => "queue name=sound-in leaky=downstream max-size-time=200000000",
        Head::Recording => {
            "filesrc name=source ! wavparse ! audioconvert ! audiobuffersplit output-buffer-duration=1/100 ! identity sync=true ! queue max-size-time=200000000"
        }
        // Low and soft: heard when listened for, no nuisance in a pharmacy.
        _ => "audiotestsrc is-live=true wave=sine freq=330 volume=0.03 samplesperbuffer=480",
    };
    let cleaning = cleaning.map(|element| format!("{element} ! ")).unwrap_or_default();
    format!(
        "{source} ! audioconvert ! audioresample ! \
         audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=1 ! {cleaning}\
         volume name=volume ! level interval=100000000 ! \
         opusenc name=encoder audio-type=voice bitrate=32000 frame-size=20 inband-fec=true packet-loss-percentage=10 dtx=false ! \
         rtpopuspay name=payloader ! appsink name=rtp sync=false async=false max-buffers=64"
    )
}

/// Noise suppression, and echo cancellation where the far end is heard in the room.
pub(crate) fn cleaning(echo_probe: Option<&str>) -> Option<String> {
    gst::ElementFactory::find("webrtcdsp")?;
    Some(match echo_probe {
        Some(probe) => format!("webrtcdsp probe={probe} echo-cancel=true noise-suppression-level=moderate"),
        None => "webrtcdsp echo-cancel=false noise-suppression-level=moderate".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cleaned_microphone_path_runs_with_and_without_an_echo_to_cancel() {
        gst::init().expect("GStreamer");
        let beat = Beat::new();
        let (news, mut heard) = mpsc::channel(8);
        let speaker = Running::build(
            "audiotestsrc is-live=true ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! \
             webrtcechoprobe name=probe-test ! fakesink sync=true async=false",
            &beat,
            MediaNews::sender(&news, MediaNews::LoudspeakerLost),
            None,
            |_| Ok(()),
        )
        .expect("loudspeaker");
        for probe in [Some("probe-test"), None] {
            let cleaning = cleaning(probe).expect("webrtcdsp is part of gstreamer1.0-plugins-bad");
            let (outgoing, mut packets) = mpsc::channel(64);
            let running = Running::build(
                &sound_description(Head::Test, Some(&cleaning)),
                &beat,
                MediaNews::sender(&news, MediaNews::SoundLost),
                None,
                |pipeline| {
                    mark(pipeline, Marks { payload_type: 111, ssrc: 7, next_sequence: 65_530, timestamp_offset: 0 })?;
                    on_sample(pipeline, "rtp", move |sample| send(&sample, &outgoing))
                },
            )
            .expect("microphone");
            for expected in [65_530_u16, 65_531, 65_532] {
                let packet = packets.blocking_recv().expect("a packet");
                assert_eq!((packet.header.sequence_number, packet.header.ssrc), (expected, 7));
            }
            drop(running);
        }
        drop(speaker);
        assert!(heard.try_recv().is_err(), "no pipeline broke");
    }
}
