//! What makes the picture that is sent, and what reads the one that comes: VP8 or H.264, in software or in the
//! processor's own circuits where GStreamer finds them.

use crate::capture::RTP_BYTES_MAX;
use crate::pieces::Encoding;
use gstreamer as gst;
use gstreamer::prelude::*;

/// Pictures between two key frames at most, where none is asked for.
const KEY_FRAME_AFTER: u32 = 300;

/// An element that makes pictures small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// VP8 of libvpx.
    Vpx,
    /// H.264 in the graphics of Intel and AMD, by VA-API.
    Va,
    /// The same, for those that offer only their low-power encoder.
    VaLowPower,
    /// H.264 in the circuits of a system on a chip, by V4L2 (stateful).
    V4l2,
    /// H.264 of x264.
    X264,
    /// H.264 of Cisco.
    OpenH264,
}

/// In circuits, best first: they leave the processor to the rest of the cabin.
const IN_CIRCUITS: [Encoder; 3] = [Encoder::Va, Encoder::VaLowPower, Encoder::V4l2];
/// On the processor. VP8 first: all browsers have it, nobody holds a patent on it, and it was made for lines that lose.
const ON_PROCESSOR: [Encoder; 3] = [Encoder::Vpx, Encoder::X264, Encoder::OpenH264];

impl Encoder {
    /// The best that is `found` for an encoding that the far end offered to take. Where nothing fits, VP8: the far end's
    /// answer then says that it takes none.
    pub(crate) fn choose(offered: &[Encoding], found: impl Fn(&str) -> bool) -> Encoder {
        let mut all = IN_CIRCUITS.into_iter().chain(ON_PROCESSOR);
        all.find(|encoder| offered.contains(&encoder.encoding()) && found(encoder.element())).unwrap_or(Encoder::Vpx)
    }

    /// The best that GStreamer finds on this machine.
    pub(crate) fn here(offered: &[Encoding]) -> Encoder {
        Encoder::choose(offered, |element| gst::ElementFactory::find(element).is_some())
    }

    /// What it makes.
    pub(crate) fn encoding(self) -> Encoding {
        if self == Encoder::Vpx { Encoding::Vp8 } else { Encoding::H264 }
    }

    fn element(self) -> &'static str {
        match self {
            Encoder::Vpx => "vp8enc",
            Encoder::Va => "vah264enc",
            Encoder::VaLowPower => "vah264lpenc",
            Encoder::V4l2 => "v4l2h264enc",
            Encoder::X264 => "x264enc",
            Encoder::OpenH264 => "openh264enc",
        }
    }

    /// From pictures to packets, for a conversation: nothing waits for a later picture, and a key frame comes only where
    /// one is asked for.
    pub(crate) fn description(self, bits_per_second: u32) -> String {
        let kilobits = bits_per_second / 1_000;
        let encoder = match self {
            Encoder::Vpx => {
                return format!(
                    "vp8enc name=encoder deadline=1 cpu-used=8 threads=1 end-usage=cbr target-bitrate={bits_per_second} \
                     keyframe-max-dist={KEY_FRAME_AFTER} error-resilient=partitions lag-in-frames=0 buffer-size=600 \
                     buffer-initial-size=300 buffer-optimal-size=400 undershoot=95 min-quantizer=4 max-quantizer=56 ! \
                     rtpvp8pay name=payloader picture-id-mode=15-bit mtu={RTP_BYTES_MAX}"
                );
            }
            Encoder::Va | Encoder::VaLowPower => format!(
                "{} name=encoder rate-control=cbr bitrate={kilobits} key-int-max={KEY_FRAME_AFTER} b-frames=0 \
                 ref-frames=1",
                self.element()
            ),
            // Chips understand what their drivers do; this control all of them have.
            Encoder::V4l2 => {
                format!("v4l2h264enc name=encoder extra-controls=\"controls,video_bitrate={bits_per_second}\"")
            }
            Encoder::X264 => format!(
                "x264enc name=encoder tune=zerolatency speed-preset=superfast bitrate={kilobits} \
                 key-int-max={KEY_FRAME_AFTER} vbv-buf-capacity=600 threads=1 byte-stream=true"
            ),
            Encoder::OpenH264 => format!(
                "openh264enc name=encoder usage-type=camera complexity=low rate-control=bitrate \
                 bitrate={bits_per_second} gop-size={KEY_FRAME_AFTER} multi-thread=1"
            ),
        };
        // What the far end agreed to read: no more than its weakest decoder does. The parameters before each key frame.
        format!(
            "{encoder} ! video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1 ! \
             rtph264pay name=payloader aggregate-mode=zero-latency config-interval=-1 mtu={RTP_BYTES_MAX}"
        )
    }

    /// What it may spend from now on, in bits a second.
    pub(crate) fn spend(self, element: &gst::Element, bits_per_second: u32) {
        match self {
            Encoder::Vpx => {
                element.set_property("target-bitrate", i32::try_from(bits_per_second).unwrap_or(i32::MAX));
            }
            Encoder::OpenH264 => element.set_property("bitrate", bits_per_second),
            Encoder::Va | Encoder::VaLowPower | Encoder::X264 => {
                element.set_property("bitrate", (bits_per_second / 1_000).max(1));
            }
            Encoder::V4l2 => {
                let bits = i32::try_from(bits_per_second).unwrap_or(i32::MAX);
                let controls = gst::Structure::builder("controls").field("video_bitrate", bits);
                element.set_property("extra-controls", controls.build());
            }
        }
    }
}

/// Readers of H.264, best first.
const READERS: [&str; 2] = ["avdec_h264", "openh264dec"];

/// From packets to pictures. `side_max` is the longest side of a picture that is taken, in pixels.
pub(crate) fn reader(encoding: Encoding, side_max: u16) -> Result<String, String> {
    match encoding {
        Encoding::Vp8 => {
            Ok("rtpvp8depay name=depay request-keyframe=true wait-for-keyframe=true ! vp8dec threads=1".into())
        }
        Encoding::H264 => {
            let reader = READERS.into_iter().find(|reader| gst::ElementFactory::find(reader).is_some());
            let reader = reader.ok_or("nothing here reads H.264: install gstreamer1.0-plugins-bad")?;
            Ok(format!(
                "rtph264depay name=depay request-keyframe=true wait-for-keyframe=true ! h264parse ! \
                 video/x-h264,width=[16,{side_max}],height=[16,{side_max}] ! {reader}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::begins_key_frame;
    use gstreamer_video as gst_video;
    use rtc::shared::marshal::Unmarshal;
    use std::time::Duration;

    const BOTH: [Encoding; 2] = [Encoding::Vp8, Encoding::H264];

    fn chosen(offered: &[Encoding], found: &[&str]) -> Encoder {
        Encoder::choose(offered, |element| found.contains(&element))
    }

    #[test]
    fn circuits_are_used_where_there_are_any_and_else_vp8() {
        let software = ["vp8enc", "x264enc", "openh264enc"];
        assert_eq!(chosen(&BOTH, &software), Encoder::Vpx);
        assert_eq!(chosen(&BOTH, &[&software[..], &["vah264enc", "v4l2h264enc"]].concat()), Encoder::Va);
        assert_eq!(chosen(&BOTH, &["vp8enc", "vah264lpenc"]), Encoder::VaLowPower);
        assert_eq!(chosen(&BOTH, &["vp8enc", "v4l2h264enc"]), Encoder::V4l2);
    }

    #[test]
    fn what_the_far_end_does_not_read_is_not_sent() {
        let all = ["vp8enc", "vah264enc", "x264enc", "openh264enc"];
        assert_eq!(chosen(&[Encoding::Vp8], &all), Encoder::Vpx);
        assert_eq!(chosen(&[Encoding::H264], &all), Encoder::Va);
        assert_eq!(chosen(&[Encoding::H264], &["vp8enc", "x264enc", "openh264enc"]), Encoder::X264);
        assert_eq!(chosen(&[Encoding::H264], &["vp8enc", "openh264enc"]), Encoder::OpenH264);
        assert_eq!(chosen(&[], &all), Encoder::Vpx);
    }

    /// Whatever this machine has, each of its encoders makes what its reader reads, and spends what it may.
    #[test]
    fn each_encoder_here_begins_with_a_key_frame_gives_another_when_asked_and_follows_its_rate() {
        gst::init().expect("GStreamer");
        for encoder in IN_CIRCUITS.into_iter().chain(ON_PROCESSOR) {
            if gst::ElementFactory::find(encoder.element()).is_none() {
                continue;
            }
            let (news, packets) = std::sync::mpsc::channel();
            let description = format!(
                "videotestsrc is-live=true pattern=zone-plate kx2=20 ky2=20 kt=16 ! \
                 video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! {} ! \
                 appsink name=rtp sync=false async=false max-buffers=64",
                encoder.description(400_000)
            );
            let running = media::Running::build(
                &description,
                &media::Beat::new(),
                |_| {},
                None,
                |pipeline| {
                    media::on_sample(pipeline, "rtp", move |sample| {
                        let map = sample.buffer().ok_or(gst::FlowError::Error)?;
                        let map = map.map_readable().map_err(|_| gst::FlowError::Error)?;
                        let packet =
                            rtc::rtp::Packet::unmarshal(&mut map.as_slice()).map_err(|_| gst::FlowError::Error)?;
                        // The test ended.
                        news.send(packet).map_err(|_| gst::FlowError::Eos)
                    })
                },
            )
            .unwrap_or_else(|why| panic!("{encoder:?}: {why}"));
            let begins = |packet: &rtc::rtp::Packet| begins_key_frame(encoder.encoding(), &packet.payload);
            let next =
                || packets.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{encoder:?}: nothing"));
            assert!(begins(&next()), "{encoder:?}");
            let element = running.element("encoder").expect("an encoder");
            element.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
            while !begins(&next()) {}
            // Pictures of three seconds, after one in which the rate settles.
            let bits = |rate| {
                encoder.spend(&element, rate);
                let pictures = |mut left: u32| {
                    let mut bytes = 0;
                    while left > 0 {
                        let packet = next();
                        bytes += packet.payload.len();
                        left -= u32::from(packet.header.marker);
                    }
                    bytes as f64 * 8.0
                };
                pictures(30);
                pictures(90) / 3.0
            };
            let (wide, narrow) = (bits(800_000), bits(200_000));
            assert!(narrow < wide * 0.6, "{encoder:?}: {narrow} after {wide}");
        }
    }
}
