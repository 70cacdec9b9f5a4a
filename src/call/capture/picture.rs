//! The camera's picture, or the test picture, on its way to the far end.

use super::cover::{cover_when_asked, enliven};
use super::found::{CAMERAS, first_device};
use super::gate::{BEHIND_PER_SECOND, Gate};
use super::source::{Head, Source};
use super::{Attempt, Marks, Outgoing, RTP_BYTES_MAX, mark, send, set_payload_type};
use crate::encoder::Encoder;
use crate::news::MediaNews;
use crate::policy::Video;
use crate::{Fault, Settings, VideoSource};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use media::{Beat, FrameSlot, Running, named, on_sample};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// The cabin's own picture is drawn small; this many pixels a row at most.
const SELF_WIDTH_MAX: u32 = 320;

/// The running capture of the picture.
#[derive(Debug)]
pub(crate) struct PictureCapture {
    running: Running,
    /// The test picture, in place of a camera that should be there.
    pub(crate) stands_in: bool,
    covered: Arc<AtomicBool>,
    gate: Arc<Gate>,
    encoder: Encoder,
}

impl PictureCapture {
    /// Starts the chosen camera, or the test picture where there is none.
    pub(crate) fn start(
        settings: &Settings,
        beat: &Beat,
        (encoder, marks): (Encoder, Marks),
        outgoing: Outgoing,
        own_picture: FrameSlot,
        news: &mpsc::Sender<MediaNews>,
        attempt: Attempt,
    ) -> Result<PictureCapture, String> {
        let covered = Arc::new(AtomicBool::new(false));
        let gate = Arc::new(Gate::default());
        let start = |source: Source| {
            let covered = Arc::clone(&covered);
            let ball = settings.video_source != VideoSource::BusyPicture;
            let (gate, waiting) = (Arc::clone(&gate), outgoing.clone());
            let (outgoing, own_picture) = (outgoing.clone(), own_picture.clone());
            Running::build(
                &picture_description(settings, source.description(), encoder),
                beat,
                MediaNews::sender(news, MediaNews::PictureLost),
                None,
                move |pipeline| {
                    source.place(pipeline, "picture-in")?;
                    mark(pipeline, marks)?;
                    cover_when_asked(pipeline, Arc::clone(&covered))?;
                    if matches!(source, Source::Test) {
                        enliven(pipeline, covered, ball)?;
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
            VideoSource::Device(path) => settings.places.file(path).map(Source::Camera),
            VideoSource::Auto => first_device(CAMERAS, &settings.spared).map(Source::Found),
        };
        let is_meant = matches!(settings.video_source, VideoSource::Auto | VideoSource::Device(_));
        let file = match &wanted {
            Some(Source::Camera(file)) => file.clone(),
            _ => String::new(),
        };
        let (running, stands_in) = match wanted.map(start) {
            Some(Ok(running)) => {
                if let VideoSource::Device(name) = &settings.video_source {
                    settings.places.seen(name, &file);
                }
                (running, false)
            }
            found => {
                let fault = found.and_then(Result::err).map_or(Fault::NoCamera, |why| Fault::CameraLost { why });
                if is_meant && attempt == Attempt::First {
                    let _ = news.try_send(MediaNews::Notice(fault));
                }
                (start(Source::Test)?, is_meant)
            }
        };
        Ok(PictureCapture { running, stands_in, covered, gate, encoder })
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
        if let Some(element) = self.running.element("encoder") {
            self.encoder.spend(&element, video.bits_per_second);
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

fn picture_description(settings: &Settings, head: Head, encoder: Encoder) -> String {
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
            let kind = format!("video/x-raw,format=I420,width={width},height={height},framerate={rate}/1");
            match settings.video_source {
                VideoSource::BusyPicture => {
                    format!("videotestsrc is-live=true pattern=zone-plate kx2=20 ky2=20 kt=16 ! {kind}")
                }
                // What moves is drawn on it. The ground drawn anew for each picture took a fifth of a call's processor.
                _ => format!(
                    "videotestsrc num-buffers=1 pattern=solid-color foreground-color=0xff303848 ! {kind} ! \
                     imagefreeze is-live=true ! {kind}"
                ),
            }
        }
    };
    // Pictures that come too often are left out at the gate. A `videorate` would keep each until the next one is there.
    format!(
        "{source} ! videoconvert ! videoscale add-borders=true ! \
         video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1 ! \
         identity name=cover ! tee name=split \
         split. ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! \
         identity name=gate ! videoscale ! capsfilter name=size caps=video/x-raw,width={width},height={height} ! \
         {encoder} ! \
         appsink name=rtp sync=false async=false max-buffers=64 \
         split. ! queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 ! \
         videorate drop-only=true max-rate=15 ! videoscale ! videoconvert ! \
         video/x-raw,format=I420,width={own_width},height={own_height} ! \
         appsink name=own sync=false async=false max-buffers=1 drop=true",
        encoder =
            encoder.description(settings.picture_bits_per_second_max.min(crate::estimator::BITS_PER_SECOND_START)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::rtp;

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
        let capture =
            PictureCapture::start(&settings, &Beat::new(), (Encoder::Vpx, marks), outgoing, own, &news, Attempt::First)
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
}
