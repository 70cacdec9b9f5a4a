//! The far end's picture and sound: packets in, frames and sound out.

use crate::capture::{Attempt, first_loudspeaker};
use crate::encoder::reader;
use crate::news::MediaNews;
use crate::pieces::Encoding;
use crate::{AudioSink, Fault, Settings, lock};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use media::{Beat, FrameSlot, Loudness, Running, named, on_sample};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Larger pictures than this are refused before they are decoded: a hostile key frame of 16383x16383
/// would take a gigabyte.
const PICTURE_SIDE_MAX: u16 = 1_920;
/// Larger pictures than this are made smaller before they are handed to the screen, in pixels a side.
const SCREEN_SIDE_MAX: u32 = 1_280;
/// Packets waiting for a pipeline, in bytes; beyond, the oldest are dropped.
const WAITING_BYTES_MAX: u64 = 2 << 20;

/// `opusdec` asks that everything wait for the longest packet of Opus, 120 ms (RFC 6716, 2.1.4), that might follow a lost
/// one. Packets here are of 20 to 40 ms, and are kept longer than that already: without it the voice comes sooner, and with
/// its picture.
const DECODER_ALLOWANCE: Duration = Duration::from_millis(100);

/// The running playback of one stream of packets.
#[derive(Debug)]
pub(crate) struct Playback {
    running: Running,
    entry: gst_app::AppSrc,
}

impl Playback {
    /// Plays pictures into `slot`. `payload_type` is that of the first packet: a jitter buffer whose caps name
    /// another silently drops everything. A permit in `key_frame_wanted` asks the sender for a key frame.
    pub(crate) fn picture(
        settings: &Settings,
        beat: &Beat,
        (encoding, payload_type): (Encoding, u8),
        slot: FrameSlot,
        key_frame_wanted: mpsc::Sender<()>,
        news: &mpsc::Sender<MediaNews>,
    ) -> Result<Playback, String> {
        let description = format!(
            "{} ! {} ! \
             videoscale ! videoconvert ! video/x-raw,format=I420,width=[16,{SCREEN_SIDE_MAX}],height=[16,{SCREEN_SIDE_MAX}],pixel-aspect-ratio=1/1 ! \
             appsink name=screen sync=true max-buffers=2 drop=true",
            entry_description(settings, "video", encoding.name(), 90_000, payload_type),
            reader(encoding, PICTURE_SIDE_MAX)?
        );
        let running = Running::build(
            &description,
            beat,
            MediaNews::sender(news, MediaNews::Undecodable),
            None,
            move |pipeline| {
                if encoding == Encoding::Vp8 {
                    refuse_giant_pictures(pipeline)?;
                }
                let entry: gst::Element = named(pipeline, "entry")?;
                let pad = entry.static_pad("src").ok_or("no way back for key frame requests")?;
                pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
                    if info.event().is_some_and(|e| gst_video::UpstreamForceKeyUnitEvent::parse(e).is_ok()) {
                        let _ = key_frame_wanted.try_send(());
                    }
                    gst::PadProbeReturn::Ok
                });
                on_sample(pipeline, "screen", move |sample| media::store(&slot, &sample))
            },
        )?;
        Playback::of(running)
    }

    /// Plays Opus to the loudspeaker.
    pub(crate) fn sound(
        settings: &Settings,
        beat: &Beat,
        payload_type: u8,
        loudspeaker: &Entry,
        loudness: Loudness,
        news: &mpsc::Sender<MediaNews>,
    ) -> Result<Playback, String> {
        // The loudspeaker runs all through the call and is fed from here: sound that stops and starts
        // (an interruption, a new track) does not open and close the device.
        let speaker = Arc::clone(&loudspeaker.0);
        let description = format!(
            "{} ! rtpopusdepay ! opusdec use-inband-fec=true plc=true ! audioconvert ! audioresample ! \
             audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=1 ! level interval=20000000 ! \
             appsink name=out sync=true ts-offset={} max-buffers=50 drop=true",
            entry_description(settings, "audio", "OPUS", 48_000, payload_type),
            -DECODER_ALLOWANCE.as_nanos().cast_signed()
        );
        let running = Running::build(
            &description,
            beat,
            MediaNews::sender(news, MediaNews::Undecodable),
            Some(loudness),
            move |pipeline| {
                on_sample(pipeline, "out", move |sample| {
                    let buffer = sample.buffer_owned().ok_or(gst::FlowError::Error)?;
                    // The loudspeaker may be gone; the level is still measured.
                    let _ = lock(&speaker).push_buffer(untimed(buffer));
                    Ok(())
                })
            },
        )?;
        Playback::of(running)
    }

    fn of(running: Running) -> Result<Playback, String> {
        let entry = running
            .element("entry")
            .and_then(|element| element.downcast::<gst_app::AppSrc>().ok())
            .ok_or("the pipeline has no entry")?;
        Ok(Playback { running, entry })
    }

    /// Packets are kept this long from now on.
    pub(crate) fn keep(&self, milliseconds: u32) {
        if let Some(buffer) = self.running.element("buffer") {
            buffer.set_property("latency", milliseconds);
            self.running.delay_anew();
        }
    }

    /// Takes one RTP packet and when it came, on the call's beat; false when the pipeline is broken.
    pub(crate) fn push(&self, packet: bytes::Bytes, came_at: gst::ClockTime) -> bool {
        let mut buffer = gst::Buffer::from_slice(packet);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(came_at);
            buffer.set_dts(came_at);
        }
        self.entry.push_buffer(buffer).is_ok()
    }
}

/// The loudspeaker or headset, or a sink that plays to nobody in real time.
#[derive(Debug)]
pub(crate) struct Loudspeaker {
    _running: Running,
    /// Where sound goes in: of whatever is the loudspeaker now.
    entry: Arc<Mutex<gst_app::AppSrc>>,
    /// Nobody hears, though a loudspeaker should be there.
    pub(crate) stands_in: bool,
    /// The name of the echo probe, when sound really leaves into the room.
    pub(crate) echo_probe: Option<String>,
}

impl Loudspeaker {
    pub(crate) fn start(
        settings: &Settings,
        beat: &Beat,
        call_number: u64,
        news: &mpsc::Sender<MediaNews>,
        attempt: Attempt,
    ) -> Result<Loudspeaker, String> {
        let probe = gst::ElementFactory::find("webrtcechoprobe").map(|_| format!("echo-probe-{call_number}"));
        let start = |sink: Sink| {
            let probe = match sink {
                Sink::Silent | Sink::File(_) => None,
                _ => probe.clone(),
            };
            let running = Running::build(
                &loudspeaker_description(&sink, probe.as_deref()),
                beat,
                MediaNews::sender(news, MediaNews::LoudspeakerLost),
                None,
                |pipeline| match &sink {
                    Sink::Silent => Ok(()),
                    Sink::File(path) => {
                        let path = path.to_str().ok_or("the name of a recording is no text")?;
                        named::<gst::Element>(pipeline, "sink")?.set_property("location", path);
                        Ok(())
                    }
                    Sink::Named(name) => {
                        named::<gst::Element>(pipeline, "sink")?.set_property("device", name);
                        Ok(())
                    }
                    Sink::Found(device) => {
                        let element = device.create_element(None).map_err(|error| error.to_string())?;
                        pipeline.add(&element).map_err(|error| error.to_string())?;
                        named::<gst::Element>(pipeline, "last")?.link(&element).map_err(|error| error.to_string())
                    }
                },
            )?;
            let Playback { running, entry } = Playback::of(running)?;
            let entry = Arc::new(Mutex::new(entry));
            Ok::<Loudspeaker, String>(Loudspeaker { _running: running, entry, stands_in: false, echo_probe: probe })
        };
        let wanted = match &settings.audio_sink {
            AudioSink::Silent => None,
            _ if attempt == Attempt::StandIn => None,
            AudioSink::Device(name) => Some(Sink::Named(name.clone())),
            AudioSink::Recording(path) => Some(Sink::File(path.clone())),
            AudioSink::Auto => first_loudspeaker().map(Sink::Found),
        };
        match wanted.map(start) {
            Some(Ok(loudspeaker)) => Ok(loudspeaker),
            found => {
                let is_meant = settings.audio_sink != AudioSink::Silent;
                let fault =
                    found.and_then(Result::err).map_or(Fault::NoLoudspeaker, |why| Fault::LoudspeakerLost { why });
                if is_meant && attempt == Attempt::First {
                    let _ = news.try_send(MediaNews::Notice(fault));
                }
                Ok(Loudspeaker { stands_in: is_meant, ..start(Sink::Silent)? })
            }
        }
    }

    /// What plays goes on into the new one.
    pub(crate) fn become_another(&mut self, another: Loudspeaker) {
        let entry = lock(&another.entry).clone();
        *lock(&self.entry) = entry;
        *self = Loudspeaker { entry: Arc::clone(&self.entry), ..another };
    }

    /// A way in that stays the same when the loudspeaker is another.
    pub(crate) fn entry(&self) -> Entry {
        Entry(Arc::clone(&self.entry))
    }
}

/// Where sound is given to the loudspeaker, whichever it is at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Entry(Arc<Mutex<gst_app::AppSrc>>);

enum Sink {
    Silent,
    File(PathBuf),
    Named(String),
    Found(gst::Device),
}

fn loudspeaker_description(sink: &Sink, probe: Option<&str>) -> String {
    let probe = probe.map(|name| format!("webrtcechoprobe name={name} ! ")).unwrap_or_default();
    let end = match sink {
        Sink::File(_) => "filesink name=sink buffer-mode=unbuffered sync=false async=false",
        Sink::Silent => "fakesink name=sink sync=true async=false",
        Sink::Named(_) => "audioconvert ! audioresample ! alsasink name=sink async=false buffer-time=80000",
        Sink::Found(_) => "audioconvert ! audioresample name=last",
    };
    format!(
        "appsrc name=entry is-live=true format=time do-timestamp=true leaky-type=downstream max-bytes=48000 block=false \
         caps=\"audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=1\" ! {probe}{end}"
    )
}

fn entry_description(settings: &Settings, media: &str, encoding: &str, clock_rate: u32, payload_type: u8) -> String {
    format!(
        "appsrc name=entry is-live=true format=time leaky-type=downstream block=false \
         max-bytes={WAITING_BYTES_MAX} caps=\"application/x-rtp,media={media},encoding-name={encoding},\
         clock-rate={clock_rate},payload={payload_type}\" ! \
         rtpjitterbuffer name=buffer latency={} do-lost=true max-dropout-time=10000 max-misorder-time=2000",
        settings.jitter_milliseconds.min(2_000)
    )
}

/// The loudspeaker's own clock stamps what it is given: sound left the jitter buffer at its due time.
fn untimed(mut buffer: gst::Buffer) -> gst::Buffer {
    let timeless = buffer.make_mut();
    timeless.set_pts(gst::ClockTime::NONE);
    timeless.set_dts(gst::ClockTime::NONE);
    buffer
}

/// Drops key frames that announce a picture beyond [`PICTURE_SIDE_MAX`] (RFC 6386, 9.1: three bytes of
/// frame tag, the start code 9d 01 2a, then 14 bits each of width and height).
fn refuse_giant_pictures(pipeline: &gst::Pipeline) -> Result<(), String> {
    let depay: gst::Element = named(pipeline, "depay")?;
    let pad = depay.static_pad("src").ok_or("no pad to watch")?;
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let mut start = [0_u8; 10];
        let copied = info.buffer().map_or(0, |buffer| buffer.copy_to_slice(0, &mut start).map_or_else(|n| n, |()| 10));
        if copied == 10 && is_giant(&start) { gst::PadProbeReturn::Drop } else { gst::PadProbeReturn::Ok }
    });
    Ok(())
}

fn is_giant(start: &[u8; 10]) -> bool {
    let key_frame = start[0] & 1 == 0;
    let side = |low: u8, high: u8| u16::from_le_bytes([low, high]) & 0x3fff;
    key_frame && (side(start[6], start[7]) > PICTURE_SIDE_MAX || side(start[8], start[9]) > PICTURE_SIDE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_a_gigabyte_is_refused_before_it_is_decoded() {
        let mut start = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];
        assert!(!is_giant(&start), "640x480");
        (start[6], start[7]) = (0xff, 0x3f);
        assert!(is_giant(&start), "16383x480");
        start[0] |= 1;
        assert!(!is_giant(&start), "not a key frame: no size in it");
    }
}
