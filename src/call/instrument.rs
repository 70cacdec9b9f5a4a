//! What an instrument sees or hears, live, beside camera and microphone: the otoscope's or dermatoscope's picture, and
//! the stethoscope's sound.
//!
//! The sound goes through nothing that changes it: no echo canceller, no noise suppressor, no gain. Opus is told that it
//! is no voice, for as a voice it cuts what lies below 100 Hz, where a heart is heard (RFC 6716 section 2.1.8 leaves
//! that to the encoder; measured with libopus 1.3: -19 dB at 20 Hz, -5 dB at 50 Hz).

use crate::capture::{Marks, Outgoing, mark, send};
use crate::encoder::Encoder;
use crate::news::MediaNews;
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use media::{Beat, Frame, Running, SoundBlock, on_sample};
use tokio::sync::{mpsc, watch};

/// What the stethoscope's sound takes, in bits a second: beyond, its spectrum no longer changes.
pub const SOUND_BITS_PER_SECOND: i32 = 64_000;
/// What the picture takes at first, before the line is known.
const PICTURE_BITS_PER_SECOND_START: u32 = 500_000;

/// The picture of an instrument on its way to the far end. Dropping it stops its threads.
#[derive(Debug)]
pub(crate) struct PictureFeed {
    running: Running,
    entry: gst_app::AppSrc,
    encoder: Encoder,
}

impl PictureFeed {
    pub(crate) fn start(
        beat: &Beat,
        (encoder, marks): (Encoder, Marks),
        outgoing: Outgoing,
        news: &mpsc::Sender<MediaNews>,
    ) -> Result<PictureFeed, String> {
        let description = format!(
            "appsrc name=in is-live=true format=time do-timestamp=true max-buffers=2 leaky-type=downstream ! \
             videoconvert ! video/x-raw,format=I420 ! {} ! appsink name=rtp sync=false async=false max-buffers=64",
            encoder.description(PICTURE_BITS_PER_SECOND_START)
        );
        let lost = MediaNews::sender(news, MediaNews::InstrumentLost);
        let running = Running::build(&description, beat, lost, None, |pipeline| {
            mark(pipeline, marks)?;
            on_sample(pipeline, "rtp", move |sample| send(&sample, &outgoing))
        })?;
        let entry = entry(&running)?;
        Ok(PictureFeed { running, entry, encoder })
    }

    /// Feeds each newest picture until its source is closed or this feed is dropped.
    pub(crate) async fn pump(entry: gst_app::AppSrc, mut pictures: watch::Receiver<Option<Frame>>) {
        let mut size = (0, 0);
        loop {
            let frame = pictures.borrow_and_update().clone();
            if let Some(frame) = frame {
                let (width, height) = (frame.width, frame.height);
                if size != (width, height) {
                    size = (width, height);
                    entry.set_caps(Some(&rgba_caps(width, height)));
                }
                if entry.push_buffer(buffer(frame.rgba())).is_err() {
                    return;
                }
            }
            if pictures.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn entry(&self) -> gst_app::AppSrc {
        self.entry.clone()
    }

    /// What the encoder may spend, in bits a second.
    pub(crate) fn set_bits_per_second(&self, bits: u32) {
        if let Some(element) = self.running.element("encoder") {
            self.encoder.spend(&element, bits);
        }
    }

    /// The next picture will be complete in itself.
    pub(crate) fn force_key_frame(&self) {
        if let Some(encoder) = self.running.element("encoder") {
            encoder.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
        }
    }
}

/// The sound of an instrument on its way to the far end. Dropping it stops its threads.
#[derive(Debug)]
pub(crate) struct SoundFeed {
    _running: Running,
    entry: gst_app::AppSrc,
}

impl SoundFeed {
    pub(crate) fn start(
        beat: &Beat,
        marks: Marks,
        outgoing: Outgoing,
        news: &mpsc::Sender<MediaNews>,
    ) -> Result<SoundFeed, String> {
        let lost = MediaNews::sender(news, MediaNews::InstrumentLost);
        let running = Running::build(&sound_description(), beat, lost, None, |pipeline| {
            mark(pipeline, marks)?;
            on_sample(pipeline, "rtp", move |sample| send(&sample, &outgoing))
        })?;
        let entry = entry(&running)?;
        Ok(SoundFeed { _running: running, entry })
    }

    /// Feeds each block until its source is closed or this feed is dropped.
    pub(crate) async fn pump(entry: gst_app::AppSrc, beat: Beat, mut blocks: mpsc::Receiver<SoundBlock>) {
        let mut clock = SampleClock::default();
        while let Some(block) = blocks.recv().await {
            if clock.rate != block.rate {
                entry.set_caps(Some(&sound_caps(block.rate)));
            }
            let mut buffer = sound_buffer(&block);
            clock.stamp(&block, &mut buffer, beat.elapsed());
            if entry.push_buffer(buffer).is_err() {
                return;
            }
        }
    }

    pub(crate) fn entry(&self) -> gst_app::AppSrc {
        self.entry.clone()
    }
}

/// The time of each sample by counting them: the time at which a block happened to be read would make the encoder
/// stretch the sound.
#[derive(Default)]
struct SampleClock {
    rate: u32,
    begun: gst::ClockTime,
    samples: u64,
}

impl SampleClock {
    fn stamp(&mut self, block: &SoundBlock, buffer: &mut gst::Buffer, now: gst::ClockTime) {
        let at = |clock: &SampleClock| {
            clock.begun
                + gst::ClockTime::SECOND
                    .mul_div_floor(clock.samples, u64::from(clock.rate.max(1)))
                    .unwrap_or(gst::ClockTime::ZERO)
        };
        if self.rate != block.rate {
            // A later stethoscope of the same stream goes on after the former, as the far end's clock did.
            (self.begun, self.samples, self.rate) = (now.max(at(self)), 0, block.rate);
        }
        let gap = !block.missing.is_zero();
        if gap {
            self.samples += (block.missing.as_secs_f64() * f64::from(block.rate)) as u64;
        }
        let pts = at(self);
        self.samples += block.samples.len() as u64;
        let duration = at(self) - pts;
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_duration(duration);
            if gap {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
    }
}

fn sound_description() -> String {
    format!(
        "appsrc name=in is-live=true format=time max-time=400000000 leaky-type=downstream ! \
         {} ! rtpopuspay name=payloader ! appsink name=rtp sync=false async=false max-buffers=64",
        sound_encoder()
    )
}

fn sound_encoder() -> String {
    format!(
        "audioconvert dithering=none ! audioresample quality=10 ! \
         audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=1 ! \
         opusenc audio-type=generic bandwidth=fullband bitrate={SOUND_BITS_PER_SECOND} bitrate-type=cbr \
         frame-size=20 dtx=false"
    )
}

fn entry(running: &Running) -> Result<gst_app::AppSrc, String> {
    running.element("in").and_then(|entry| entry.downcast().ok()).ok_or_else(|| "the pipeline has no entry".to_owned())
}

fn rgba_caps(width: u32, height: u32) -> gst::Caps {
    gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgba, width, height)
        .fps(gst::Fraction::new(0, 1))
        .build()
        .and_then(|info| info.to_caps())
        .unwrap_or_else(|_| gst::Caps::new_empty())
}

fn sound_caps(rate: u32) -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", i32::try_from(rate).unwrap_or(48_000))
        .field("channels", 1)
        .build()
}

/// The pixels are shared, not copied.
fn buffer(pixels: Bytes) -> gst::Buffer {
    gst::Buffer::from_slice(pixels)
}

fn sound_buffer(block: &SoundBlock) -> gst::Buffer {
    let bytes: Vec<u8> = block.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    gst::Buffer::from_mut_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;
    use std::time::Duration;

    const RATE: u32 = 48_000;
    /// From the lowest thud of a heart to the highest crackle of a lung.
    const TONES: [f64; 8] = [20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0];

    /// Through encoder and decoder: how much each tone changed, in decibels.
    fn changes(encoder: &str) -> Vec<f64> {
        gst::init().expect("GStreamer");
        let loud = 32_768.0 * 10_f64.powf(-24.0 / 20.0);
        let sent: Vec<i16> = (0..RATE * 4)
            .map(|at| {
                let seconds = f64::from(at) / f64::from(RATE);
                TONES.iter().map(|tone| loud * (TAU * tone * seconds).sin()).sum::<f64>() as i16
            })
            .collect();
        let bytes = sent.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let elements = format!("{encoder} ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=1");
        let (_, heard) = media::convert(&elements, &sound_caps(RATE), bytes, Duration::from_secs(60)).expect("sound");
        let heard: Vec<i16> = heard.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert!(heard.len() + 4_800 > sent.len(), "{} of {} samples came out", heard.len(), sent.len());
        // Whole periods of every tone, away from both ends.
        let (begin, length) = (RATE as usize, RATE as usize * 2);
        let level = |samples: &[i16], tone: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (at, sample) in samples[begin..begin + length].iter().enumerate() {
                let angle = TAU * tone * at as f64 / f64::from(RATE);
                re += f64::from(*sample) * angle.cos();
                im += f64::from(*sample) * angle.sin();
            }
            10.0 * (re * re + im * im).log10()
        };
        TONES.iter().map(|tone| level(&heard, *tone) - level(&sent, *tone)).collect()
    }

    #[test]
    fn heart_and_lungs_reach_the_physician_as_loud_as_they_are_from_20_to_2000_hertz() {
        let changes = changes(&sound_encoder());
        assert!(changes.iter().all(|change| change.abs() <= 1.0), "{changes:.2?} dB at {TONES:?} Hz");
    }

    #[test]
    fn as_a_voice_a_heart_would_be_lost_so_the_measure_can_fail() {
        let voice = sound_encoder().replace("audio-type=generic", "audio-type=voice");
        let changes = changes(&voice);
        assert!(changes[0] < -10.0 && changes[1] < -5.0, "{changes:.2?} dB at {TONES:?} Hz");
    }

    #[test]
    fn the_time_of_a_sample_is_counted_so_that_late_reading_changes_nothing() {
        let mut clock = SampleClock::default();
        let seconds = |ms: u64| gst::ClockTime::from_mseconds(ms);
        let mut stamped = |samples: usize, rate: u32, missing_ms: u64, now: u64| {
            let block =
                SoundBlock { rate, samples: vec![0; samples].into(), missing: Duration::from_millis(missing_ms) };
            let mut buffer = sound_buffer(&block);
            clock.stamp(&block, &mut buffer, seconds(now));
            (buffer.pts().expect("a time"), buffer.flags().contains(gst::BufferFlags::DISCONT))
        };
        gst::init().expect("GStreamer");
        assert_eq!(stamped(960, 48_000, 0, 500), (seconds(500), false));
        assert_eq!(stamped(960, 48_000, 0, 900), (seconds(520), false), "read late");
        assert_eq!(stamped(960, 48_000, 100, 910), (seconds(640), true), "a tenth of a second is missing");
        assert_eq!(stamped(882, 44_100, 0, 600), (seconds(660), false), "another one goes on after it");
        assert_eq!(stamped(882, 44_100, 0, 5_000), (seconds(680), false));
    }
}
