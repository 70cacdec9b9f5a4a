//! Camera and microphone: found, encoded, cut into RTP packets.
//!
//! Where there is no camera a moving test picture is sent, and where there is no microphone a quiet tone,
//! and the call says so: a cabin under installation can then be tested up to the physician's screen.

use crate::news::MediaNews;
use crate::policy::{Sound, Video};
use crate::{AudioSink, AudioSource, Fault, Part, Settings, Spared, VideoSource};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use media::{Beat, FrameSlot, Loudness, Running, named, on_sample};
use rtc::rtp;
use rtc::shared::marshal::Unmarshal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// The cabin's own picture is drawn small; this many pixels a row at most.
const SELF_WIDTH_MAX: u32 = 320;
/// Room for an IPv6, UDP, SRTP and RTP header extension around a packet within 1,280 bytes.
const RTP_BYTES_MAX: u32 = 1_180;

/// Where captured packets go. When it is full (the network task is behind) packets are dropped, as a
/// network would: a late picture is worth nothing, and the encoder must never wait.
pub(crate) type Outgoing = mpsc::Sender<rtp::Packet>;

/// How one stream is marked on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    /// Continued when a source is replaced in the call, so that the far end sees one stream.
    pub(crate) next_sequence: u16,
    pub(crate) timestamp_offset: u32,
}

/// For what a source is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The call begins: what is missing is told.
    First,
    /// The device broke, which was told: only what takes its place.
    StandIn,
    /// It may be there again: nothing is told if it is not.
    Again,
}

/// The running capture of the picture.
#[derive(Debug)]
pub(crate) struct PictureCapture {
    running: Running,
    /// The test picture, in place of a camera that should be there.
    pub(crate) stands_in: bool,
    covered: Arc<AtomicBool>,
    gate: Arc<Gate>,
}

/// Lets no more pictures to the encoder than are planned, and none while the former ones still wait to leave.
#[derive(Debug, Default)]
struct Gate {
    /// Nanoseconds between two pictures at least.
    every: AtomicU64,
    /// Each picture is to be complete in itself.
    stills: AtomicBool,
    /// Packets that may wait.
    behind_max: AtomicU32,
    /// When the last one passed, on the pipeline's own clock.
    passed_at: AtomicU64,
}

/// Packets of the picture may wait for a quarter of a second to leave, and then the next picture is left out: the
/// encoder does not always spend as little as it is told.
const BEHIND_PER_SECOND: u32 = 4;
/// Fewer than these are no delay.
const BEHIND_MIN: u32 = 3;

impl Gate {
    fn passes(&self, at: u64, waiting: usize) -> bool {
        let last = self.passed_at.load(Ordering::Relaxed);
        // Timestamps that jump back belong to a new source.
        let due = at < last || at - last >= self.every.load(Ordering::Relaxed);
        let passes = due && waiting <= self.behind_max.load(Ordering::Relaxed).max(BEHIND_MIN) as usize;
        if passes {
            self.passed_at.store(at, Ordering::Relaxed);
        }
        passes
    }
}

impl PictureCapture {
    /// Starts the chosen camera, or the test picture where there is none.
    pub(crate) fn start(
        settings: &Settings,
        beat: &Beat,
        marks: Marks,
        outgoing: Outgoing,
        own_picture: FrameSlot,
        news: &mpsc::Sender<MediaNews>,
        attempt: Attempt,
    ) -> Result<PictureCapture, String> {
        let covered = Arc::new(AtomicBool::new(false));
        let gate = Arc::new(Gate::default());
        let start = |source: Source| {
            let covered = Arc::clone(&covered);
            let (gate, waiting) = (Arc::clone(&gate), outgoing.clone());
            let (outgoing, own_picture) = (outgoing.clone(), own_picture.clone());
            Running::build(
                &picture_description(settings, source.description()),
                beat,
                MediaNews::sender(news, MediaNews::PictureLost),
                None,
                move |pipeline| {
                    source.place(pipeline, "picture-in")?;
                    mark(pipeline, marks)?;
                    cover_when_asked(pipeline, Arc::clone(&covered))?;
                    if matches!(source, Source::Test) {
                        write_time(pipeline, covered)?;
                    }
                    let entry: gst::Element = named(pipeline, "gate")?;
                    let pad = entry.static_pad("src").ok_or("no pad to gate")?;
                    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                        let at = info.buffer().and_then(|buffer| buffer.pts()).map_or(0, gst::ClockTime::nseconds);
                        let behind = waiting.max_capacity() - waiting.capacity();
                        if !gate.passes(at, behind) {
                            return gst::PadProbeReturn::Drop;
                        }
                        if gate.stills.load(Ordering::Relaxed) {
                            pad.push_event(gst_video::DownstreamForceKeyUnitEvent::builder().all_headers(true).build());
                        }
                        gst::PadProbeReturn::Ok
                    });
                    on_sample(pipeline, "rtp", move |sample| send(&sample, &outgoing))?;
                    on_sample(pipeline, "own", move |sample| media::store(&own_picture, &sample))
                },
            )
        };
        let wanted = match &settings.video_source {
            // Off is answered before a capture is started.
            VideoSource::TestPicture | VideoSource::BusyPicture | VideoSource::Off => None,
            _ if attempt == Attempt::StandIn => None,
            VideoSource::Device(path) => Some(Source::Camera(path.clone())),
            VideoSource::Auto => first_device(CAMERAS, &settings.spared).map(Source::Found),
        };
        let is_meant = matches!(settings.video_source, VideoSource::Auto | VideoSource::Device(_));
        let (running, stands_in) = match wanted.map(start) {
            Some(Ok(running)) => (running, false),
            found => {
                let fault = found.and_then(Result::err).map_or(Fault::NoCamera, |why| Fault::CameraLost { why });
                if is_meant && attempt == Attempt::First {
                    let _ = news.try_send(MediaNews::Notice(fault));
                }
                (start(Source::Test)?, is_meant)
            }
        };
        Ok(PictureCapture { running, stands_in, covered, gate })
    }

    /// Sends black instead of the picture, and shows black to the patient.
    pub(crate) fn cover(&self, covered: bool) {
        self.covered.store(covered, Ordering::Relaxed);
    }

    /// What is sent from now on: bits, size, pictures a second.
    pub(crate) fn set(&self, video: Video) {
        let behind = video.pace_bits_per_second / BEHIND_PER_SECOND / (RTP_BYTES_MAX * 8);
        self.gate.behind_max.store(behind, Ordering::Relaxed);
        self.gate.stills.store(video.stills, Ordering::Relaxed);
        self.gate.every.store(u64::try_from(video.every.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(size) = self.running.element("size") {
            let caps = gst::Caps::builder("video/x-raw")
                .field("width", i32::try_from(video.width).unwrap_or(i32::MAX))
                .field("height", i32::try_from(video.height).unwrap_or(i32::MAX));
            size.set_property("caps", caps.build());
        }
        if let Some(encoder) = self.running.element("encoder") {
            encoder.set_property("target-bitrate", i32::try_from(video.bits_per_second).unwrap_or(i32::MAX));
        }
    }

    /// The next picture will be complete in itself.
    pub(crate) fn force_key_frame(&self) {
        if let Some(encoder) = self.running.element("encoder") {
            encoder.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
        }
    }

    /// The payload type agreed with the far end.
    pub(crate) fn set_payload_type(&self, payload_type: u8) {
        set_payload_type(&self.running, payload_type);
    }
}

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
                Source::Test => None,
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

/// Where a stream comes from.
enum Source {
    /// The test picture or the test tone.
    Test,
    /// A V4L2 device path.
    Camera(String),
    /// An ALSA device name.
    Microphone(String),
    /// What GStreamer's device providers (V4L2, ALSA, PulseAudio, PipeWire) found.
    Found(gst::Device),
}

impl Source {
    /// The head of the pipeline. A device given by name or found is put there by [`Source::place`]: values
    /// from a configuration never become part of a description.
    fn description(&self) -> Head {
        match self {
            Source::Test => Head::Test,
            Source::Camera(_) => Head::Camera,
            Source::Microphone(_) => Head::Microphone,
            Source::Found(_) => Head::Found,
        }
    }

    fn place(&self, pipeline: &gst::Pipeline, entry: &str) -> Result<(), String> {
        match self {
            Source::Test => Ok(()),
            Source::Camera(name) | Source::Microphone(name) => {
                named::<gst::Element>(pipeline, "source")?.set_property("device", name);
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

#[derive(Clone, Copy)]
enum Head {
    Test,
    Camera,
    Microphone,
    Found,
}

fn picture_description(settings: &Settings, head: Head) -> String {
    let (width, height, rate) = (settings.picture.width, settings.picture.height, settings.picture.frames_per_second);
    let own_width = width.min(SELF_WIDTH_MAX) & !1;
    let own_height = ((u64::from(height) * u64::from(own_width) / u64::from(width.max(1))) as u32) & !1;
    // A camera that knows the size and rate is asked for exactly that; any other is scaled. Many send
    // more than 10 pictures a second only as JPEG.
    let asked = format!(
        "capsfilter name=picture-in caps=\"video/x-raw,width={width},height={height},framerate={rate}/1; \
         image/jpeg,width={width},height={height},framerate={rate}/1; video/x-raw; image/jpeg\" ! decodebin"
    );
    let source = match head {
        Head::Camera => format!("v4l2src name=source ! {asked}"),
        Head::Found => asked,
        _ => {
            let pattern = match settings.video_source {
                VideoSource::BusyPicture => "zone-plate kx2=20 ky2=20 kt=16",
                _ => "ball background-color=0xff303848",
            };
            format!(
                "videotestsrc is-live=true pattern={pattern} ! \
                 video/x-raw,width={width},height={height},framerate={rate}/1"
            )
        }
    };
    format!(
        "{source} ! videoconvert ! videoscale add-borders=true ! videorate max-rate={rate} ! \
         video/x-raw,format=I420,width={width},height={height},framerate={rate}/1,pixel-aspect-ratio=1/1 ! \
         identity name=cover ! tee name=split \
         split. ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! \
         identity name=gate ! videoscale ! capsfilter name=size caps=video/x-raw,width={width},height={height} ! \
         {encoder} ! \
         appsink name=rtp sync=false async=false max-buffers=64 \
         split. ! queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 ! \
         videorate drop-only=true max-rate=15 ! videoscale ! videoconvert ! \
         video/x-raw,format=RGBA,width={own_width},height={own_height} ! \
         appsink name=own sync=false async=false max-buffers=1 drop=true",
        encoder = picture_encoder(settings.picture_bits_per_second_max.min(crate::estimator::BITS_PER_SECOND_START)),
    )
}

/// VP8 for a conversation: nothing waits for a later picture, and a key frame only where one is asked for.
pub(crate) fn picture_encoder(bits_per_second: u32) -> String {
    format!(
        "vp8enc name=encoder deadline=1 cpu-used=8 threads=1 end-usage=cbr target-bitrate={bits_per_second} \
         keyframe-max-dist=300 error-resilient=partitions lag-in-frames=0 buffer-size=600 \
         buffer-initial-size=300 buffer-optimal-size=400 undershoot=95 min-quantizer=4 max-quantizer=56 ! \
         rtpvp8pay name=payloader picture-id-mode=15-bit mtu={RTP_BYTES_MAX}"
    )
}

fn sound_description(head: Head, cleaning: Option<&str>) -> String {
    let source = match head {
        Head::Microphone => {
            "alsasrc name=source latency-time=10000 buffer-time=80000 ! queue name=sound-in max-size-time=200000000"
        }
        Head::Found => "queue name=sound-in leaky=downstream max-size-time=200000000",
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

/// What GStreamer calls the kinds of devices.
const CAMERAS: &str = "Video/Source";
const MICROPHONES: &str = "Audio/Source";
const LOUDSPEAKERS: &str = "Audio/Sink";

/// Whether a part that is missing may be there now. May wait for the system's answer.
pub(crate) fn may_be_there(part: Part, settings: &Settings) -> bool {
    match part {
        Part::Camera => match &settings.video_source {
            VideoSource::Device(path) => std::path::Path::new(path).exists(),
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

fn first_device(class: &str, spared: &Spared) -> Option<gst::Device> {
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

pub(crate) fn mark(pipeline: &gst::Pipeline, marks: Marks) -> Result<(), String> {
    let payloader: gst::Element = named(pipeline, "payloader")?;
    payloader.set_property("pt", u32::from(marks.payload_type));
    payloader.set_property("ssrc", marks.ssrc);
    payloader.set_property("seqnum-offset", i32::from(marks.next_sequence));
    payloader.set_property("timestamp-offset", marks.timestamp_offset);
    Ok(())
}

fn set_payload_type(running: &Running, payload_type: u8) {
    if let Some(payloader) = running.element("payloader") {
        payloader.set_property("pt", u32::from(payload_type));
    }
}

pub(crate) fn send(sample: &gst::Sample, outgoing: &Outgoing) -> Result<(), gst::FlowError> {
    let map = sample.buffer().ok_or(gst::FlowError::Error)?.map_readable().map_err(|_| gst::FlowError::Error)?;
    if let Ok(packet) = rtp::Packet::unmarshal(&mut map.as_slice()) {
        let _ = outgoing.try_send(packet);
    }
    Ok(())
}

/// Paints pictures black while the camera is covered, before anything sees them.
fn cover_when_asked(pipeline: &gst::Pipeline, covered: Arc<AtomicBool>) -> Result<(), String> {
    let cover: gst::Element = named(pipeline, "cover")?;
    let pad = cover.static_pad("src").ok_or("no pad to cover")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if !covered.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        let Some(video) = pad.current_caps().and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok()) else {
            return gst::PadProbeReturn::Drop;
        };
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Drop };
        let luma = video.offset().get(1).copied().unwrap_or(0);
        // A copy when someone else still holds the picture.
        match buffer.make_mut().map_writable() {
            Ok(mut pixels) if luma > 0 && luma <= pixels.len() => {
                let (light, colour) = pixels.split_at_mut(luma);
                light.fill(16);
                colour.fill(128);
                gst::PadProbeReturn::Ok
            }
            _ => gst::PadProbeReturn::Drop,
        }
    });
    Ok(())
}

/// Edge of a square of the time code, pixels: large enough to survive a narrow line.
const CODE_SQUARE: usize = 16;
/// Squares a row; two rows of them.
const CODE_ROW: usize = 16;

/// Writes into the test picture when it was made: milliseconds since 1970 modulo 2^32, its highest bit first, as white
/// and black squares in the upper left corner. Whoever sees the picture then knows how late it is.
fn write_time(pipeline: &gst::Pipeline, covered: Arc<AtomicBool>) -> Result<(), String> {
    let cover: gst::Element = named(pipeline, "cover")?;
    let pad = cover.static_pad("src").ok_or("no pad to write on")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let video = pad.current_caps().and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        let (Some(video), Some(buffer), false) = (video, info.buffer_mut(), covered.load(Ordering::Relaxed)) else {
            return gst::PadProbeReturn::Ok;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u32;
        let stride = usize::try_from(video.stride()[0]).unwrap_or(0);
        if (video.width() as usize) < CODE_SQUARE * CODE_ROW || (video.height() as usize) < 2 * CODE_SQUARE {
            return gst::PadProbeReturn::Ok;
        }
        if let Ok(mut pixels) = buffer.make_mut().map_writable() {
            draw_time(&mut pixels, stride, now);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Draws the squares into rows of `stride` bytes of lightness.
fn draw_time(light: &mut [u8], stride: usize, time: u32) {
    for bit in 0..2 * CODE_ROW {
        let value = if time >> (31 - bit) & 1 == 1 { 235 } else { 16 };
        let (left, top) = (bit % CODE_ROW * CODE_SQUARE, bit / CODE_ROW * CODE_SQUARE);
        for row in top..top + CODE_SQUARE {
            if let Some(pixels) = light.get_mut(row * stride + left..row * stride + left + CODE_SQUARE) {
                pixels.fill(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_picture_says_when_it_was_made() {
        let stride = 640;
        let mut light = vec![100; stride * 480];
        let time = 0x8000_00F1;
        draw_time(&mut light, stride, time);
        let read = (0..32).fold(0_u32, |read, bit| {
            let (x, y) = (bit % 16 * 16 + 8, bit / 16 * 16 + 8);
            read << 1 | u32::from(light[y * stride + x] > 128)
        });
        assert_eq!(read, time);
        assert!(light[256..640].iter().chain(&light[32 * stride..]).all(|light| *light == 100), "only the corner");
    }

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

    /// The size and kind of the next whole picture, by its RTP packets (RFC 7741, 4.2; RFC 6386, 9.1).
    fn next_key_frame(packets: &mut mpsc::Receiver<rtp::Packet>) -> (u16, u16) {
        loop {
            let packet = packets.blocking_recv().expect("a packet");
            let bytes = &packet.payload;
            // Picture id of 15 bits: X set, I in the second octet, two octets of number.
            let begins = bytes[0] & 0x90 == 0x90 && bytes[0] & 0x07 == 0 && bytes[1] & 0x80 != 0;
            if let (true, Some(frame)) = (begins, bytes.get(4..14))
                && frame[0] & 1 == 0
            {
                let side = |at: usize| u16::from_le_bytes([frame[at], frame[at + 1]]) & 0x3fff;
                return (side(6), side(8));
            }
        }
    }

    #[test]
    fn the_encoder_follows_the_plan_from_full_size_to_stills_and_back() {
        gst::init().expect("GStreamer");
        let settings = Settings { video_source: VideoSource::BusyPicture, ..Settings::default() };
        let (news, mut heard) = mpsc::channel(8);
        let (outgoing, mut packets) = mpsc::channel(64);
        let marks = Marks { payload_type: 96, ssrc: 7, next_sequence: 1, timestamp_offset: 0 };
        let own = tokio::sync::watch::channel(None).0;
        let capture = PictureCapture::start(&settings, &Beat::new(), marks, outgoing, own, &news, Attempt::First)
            .expect("a test picture");
        assert_eq!(next_key_frame(&mut packets), (640, 480));
        let moving = |bits_per_second, width, height| Video {
            bits_per_second,
            pace_bits_per_second: bits_per_second,
            width,
            height,
            every: std::time::Duration::from_millis(36),
            stills: false,
        };
        let still = Video { every: std::time::Duration::from_millis(100), stills: true, ..moving(8_000, 320, 240) };
        for _ in 0..3 {
            for video in [moving(240_000, 480, 360), moving(100_000, 320, 240), still, moving(1_000_000, 640, 480)] {
                capture.set(video);
                let size = (video.width as u16, video.height as u16);
                while next_key_frame(&mut packets) != size {}
                if video.stills {
                    // One after another: each is complete, though none was asked for.
                    for _ in 0..3 {
                        assert_eq!(next_key_frame(&mut packets), size);
                    }
                }
            }
        }
        drop(capture);
        assert!(heard.try_recv().is_err(), "no pipeline broke");
    }

    #[test]
    fn no_picture_is_encoded_while_the_former_ones_wait_to_leave() {
        let gate = Gate::default();
        gate.every.store(100, Ordering::Relaxed);
        assert!(gate.passes(1_000, 0));
        assert!(!gate.passes(1_050, 0), "sooner than planned");
        gate.behind_max.store(8, Ordering::Relaxed);
        assert!(!gate.passes(1_100, 9), "behind");
        assert!(gate.passes(1_120, 8));
        assert!(gate.passes(500, 0), "a new source begins anew");
    }

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
