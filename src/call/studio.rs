//! The cabin's own camera, microphone and loudspeaker in a call, and what replaces one that breaks.

use crate::capture::{Attempt, Marks, PictureCapture, SoundCapture, may_be_there};
use crate::counts::Counts;
use crate::encoder::Encoder;
use crate::instrument::{PictureFeed, SoundFeed};
use crate::news::MediaNews;
use crate::peer::{OPUS_PAYLOAD_TYPE, Peer, VP8_PAYLOAD_TYPE};
use crate::pieces::Encoding;
use crate::playback::Loudspeaker;
use crate::policy::Video;
use crate::{AudioSink, AudioSource, CallError, Part, Settings, VideoSource};
use media::{Beat, Frame, FrameSlot, Loudness, SoundBlock};
use rtc::rtp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Ticks a second of the time in packets (RFC 7741, RFC 6184, RFC 7587).
/// Ticks a second of the time in packets of pictures (RFC 7741, 4.1; RFC 6184, 8.2.1) and of Opus (RFC 7587, 4.1).
pub(crate) const PICTURE_CLOCK: u32 = 90_000;
pub(crate) const SOUND_CLOCK: u32 = 48_000;
/// Captured packets that wait for the network task at most: half a second of picture and sound.
const PACKETS_WAITING_MAX: usize = 128;
/// Devices that break more often than this in a call stay down: a loose plug would fill the call with its noise.
const BREAKS_MAX: u32 = 20;

/// Of what the line carries for pictures, an instrument's takes so many hundredths: it is why it was asked for.
const INSTRUMENT_SHARE: u32 = 75;

/// What an instrument gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    Picture,
    Sound,
}

/// The ends of the queues in which packets wait for the network.
pub(crate) struct Captured {
    pub(crate) picture: mpsc::Receiver<rtp::Packet>,
    pub(crate) sound: mpsc::Receiver<rtp::Packet>,
    pub(crate) instrument_picture: mpsc::Receiver<rtp::Packet>,
    pub(crate) instrument_sound: mpsc::Receiver<rtp::Packet>,
}

/// An instrument's stream: how it is marked, where its packets go, and what feeds it now.
pub(crate) struct Instrument<F> {
    pub(crate) marks: Marks,
    out: mpsc::Sender<rtp::Packet>,
    pub(crate) feed: Option<F>,
    /// Counts the sources: what an earlier one still says is of no interest.
    number: u64,
}

/// The cabin's own devices in a call.
pub(crate) struct Studio {
    pub(crate) settings: Settings,
    pub(crate) beat: Beat,
    /// What makes the pictures, of the camera and of an instrument.
    encoder: Encoder,
    pub(crate) picture_marks: Marks,
    pub(crate) sound_marks: Marks,
    pub(crate) picture: Option<PictureCapture>,
    pub(crate) sound: Option<SoundCapture>,
    pub(crate) loudspeaker: Loudspeaker,
    pub(crate) loudness: Loudness,
    pub(crate) own_slot: FrameSlot,
    pub(crate) remote_slot: FrameSlot,
    picture_out: mpsc::Sender<rtp::Packet>,
    sound_out: mpsc::Sender<rtp::Packet>,
    pub(crate) instrument_picture: Instrument<PictureFeed>,
    pub(crate) instrument_sound: Instrument<SoundFeed>,
    pub(crate) captured: Option<Captured>,
    pub(crate) news: mpsc::Sender<MediaNews>,
    pub(crate) heard: Option<mpsc::Receiver<MediaNews>>,
    pub(crate) covered: bool,
    pub(crate) muted: bool,
    call_number: u64,
    breaks: u32,
    /// Somebody looks for missing devices.
    looking: Arc<AtomicBool>,
}

impl Studio {
    /// Opens loudspeaker, camera and microphone, in that order: the echo canceller looks for the loudspeaker.
    pub(crate) async fn open(
        settings: Settings,
        call_number: u64,
        peer: &Peer,
        own_slot: FrameSlot,
        remote_slot: FrameSlot,
    ) -> Result<Studio, CallError> {
        let encoder = Encoder::here(&[peer.encoding().await]);
        let (picture_ssrc, sound_ssrc) = (peer.picture_ssrc, peer.sound_ssrc);
        let capture_times = peer.capture_times.clone();
        let instrument_ssrcs = (peer.instrument_picture_ssrc, peer.instrument_sound_ssrc);
        let open = move || {
            let beat = Beat::new();
            let (news, heard) = mpsc::channel(64);
            let (picture_out, picture_in) = mpsc::channel(PACKETS_WAITING_MAX);
            let (sound_out, sound_in) = mpsc::channel(PACKETS_WAITING_MAX);
            let (instrument_picture_out, instrument_picture_in) = mpsc::channel(PACKETS_WAITING_MAX);
            let (instrument_sound_out, instrument_sound_in) = mpsc::channel(PACKETS_WAITING_MAX);
            let marks = |payload_type, ssrc| Marks {
                payload_type,
                ssrc,
                // Below the middle, so that the first wrap does not meet a packet lost before encryption.
                next_sequence: rand::random::<u16>() >> 1,
                timestamp_offset: rand::random(),
            };
            let loudspeaker = Loudspeaker::start(&settings, &beat, call_number, &news, Attempt::First)?;
            let mut studio = Studio {
                settings,
                beat,
                encoder,
                picture_marks: marks(VP8_PAYLOAD_TYPE, picture_ssrc),
                sound_marks: marks(OPUS_PAYLOAD_TYPE, sound_ssrc),
                picture: None,
                sound: None,
                loudspeaker,
                loudness: Loudness::new(),
                own_slot,
                remote_slot,
                picture_out,
                sound_out,
                instrument_picture: Instrument {
                    marks: marks(VP8_PAYLOAD_TYPE, instrument_ssrcs.0),
                    out: instrument_picture_out,
                    feed: None,
                    number: 0,
                },
                instrument_sound: Instrument {
                    marks: marks(OPUS_PAYLOAD_TYPE, instrument_ssrcs.1),
                    out: instrument_sound_out,
                    feed: None,
                    number: 0,
                },
                captured: Some(Captured {
                    picture: picture_in,
                    sound: sound_in,
                    instrument_picture: instrument_picture_in,
                    instrument_sound: instrument_sound_in,
                }),
                news,
                heard: Some(heard),
                covered: false,
                muted: false,
                call_number,
                breaks: 0,
                looking: Arc::default(),
            };
            let (pictures, sounds) = (&studio.instrument_picture.marks, &studio.instrument_sound.marks);
            capture_times.begin(
                &studio.beat,
                [
                    (&studio.picture_marks, PICTURE_CLOCK),
                    (&studio.sound_marks, SOUND_CLOCK),
                    (pictures, PICTURE_CLOCK),
                    (sounds, SOUND_CLOCK),
                ],
            );
            studio.start_picture(Attempt::First)?;
            studio.start_sound(Attempt::First)?;
            Ok(studio)
        };
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|_| CallError::Closed)?
            .map_err(|why: String| CallError::NoMedia { why })
    }

    fn start_picture(&mut self, attempt: Attempt) -> Result<(), String> {
        if self.settings.video_source == VideoSource::Off {
            return Ok(());
        }
        let (out, slot) = (self.picture_out.clone(), self.own_slot.clone());
        let capture = PictureCapture::start(
            &self.settings,
            &self.beat,
            (self.encoder, self.picture_marks),
            out,
            slot,
            &self.news,
            attempt,
        )?;
        capture.cover(self.covered);
        self.picture = Some(capture);
        Ok(())
    }

    fn start_sound(&mut self, attempt: Attempt) -> Result<(), String> {
        if self.settings.audio_source == AudioSource::Off {
            return Ok(());
        }
        let capture = SoundCapture::start(
            &self.settings,
            &self.beat,
            self.sound_marks,
            self.sound_out.clone(),
            self.loudspeaker.echo_probe.as_deref(),
            self.loudness.clone(),
            &self.news,
            attempt,
        )?;
        capture.mute(self.muted);
        self.sound = Some(capture);
        Ok(())
    }

    /// The two ends agreed on the picture's encoding and its number.
    pub(crate) fn agreed(&mut self, encoding: Encoding, payload_type: u8, counts: &Counts) -> Result<(), String> {
        self.picture_marks.payload_type = payload_type;
        self.instrument_picture.marks.payload_type = payload_type;
        let encoder = Encoder::here(&[encoding]);
        if encoder != self.encoder {
            tracing::info!(?encoder, "the far end reads another kind of picture");
            self.encoder = encoder;
            if self.picture.is_some() {
                self.restart(Part::Camera, Attempt::Again, counts)?;
            }
        }
        if let Some(capture) = &self.picture {
            capture.set_payload_type(payload_type);
        }
        Ok(())
    }

    /// A device broke in the call: the test picture, the test tone or silence takes its place, in the same stream.
    pub(crate) fn replace_broken(&mut self, part: Part, counts: &Counts) -> Result<(), String> {
        self.breaks += 1;
        self.restart(part, Attempt::StandIn, counts)
    }

    /// What should be there and is not.
    fn missing(&self) -> Vec<Part> {
        let stands_in = [
            (Part::Camera, self.picture.as_ref().is_none_or(|picture| picture.stands_in)),
            (Part::Microphone, self.sound.as_ref().is_none_or(|sound| sound.stands_in)),
            (Part::Loudspeaker, self.loudspeaker.stands_in),
        ];
        stands_in.into_iter().filter(|(part, missing)| *missing && self.is_meant(*part)).map(|(part, _)| part).collect()
    }

    /// Something stands in for it.
    pub(crate) fn is_missing(&self, part: Part) -> bool {
        self.missing().contains(&part)
    }

    fn is_meant(&self, part: Part) -> bool {
        match part {
            Part::Camera => matches!(self.settings.video_source, VideoSource::Auto | VideoSource::Device(_)),
            Part::Microphone => matches!(self.settings.audio_source, AudioSource::Auto | AudioSource::Device(_)),
            Part::Loudspeaker => self.settings.audio_sink != AudioSink::Silent,
        }
    }

    /// Looks for what is missing, on a thread that may wait, and tells by [`MediaNews::Plugged`].
    pub(crate) fn look_for_missing(&self) {
        let missing = self.missing();
        if missing.is_empty() || self.breaks > BREAKS_MAX || self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let (settings, news, looking) = (self.settings.clone(), self.news.clone(), Arc::clone(&self.looking));
        tokio::task::spawn_blocking(move || {
            for part in missing.into_iter().filter(|part| may_be_there(*part, &settings)) {
                let _ = news.try_send(MediaNews::Plugged(part));
            }
            looking.store(false, Ordering::Release);
        });
    }

    /// Takes up a part that may be there again; says whether it is.
    pub(crate) fn take_up(&mut self, part: Part, counts: &Counts) -> Result<bool, String> {
        if !self.is_missing(part) {
            return Ok(false);
        }
        self.restart(part, Attempt::Again, counts)?;
        Ok(!self.is_missing(part))
    }

    fn restart(&mut self, part: Part, attempt: Attempt, counts: &Counts) -> Result<(), String> {
        match part {
            Part::Camera => {
                // The device must be closed before it is opened again.
                self.picture = None;
                self.picture_marks.next_sequence = next(&counts.picture_sequence, self.picture_marks);
                self.start_picture(attempt)
            }
            Part::Microphone => {
                self.sound = None;
                self.sound_marks.next_sequence = next(&counts.sound_sequence, self.sound_marks);
                self.start_sound(attempt)
            }
            Part::Loudspeaker => {
                let another = Loudspeaker::start(&self.settings, &self.beat, self.call_number, &self.news, attempt)?;
                let heard_by = self.loudspeaker.echo_probe != another.echo_probe;
                self.loudspeaker.become_another(another);
                // The echo canceller found its probe when it was made.
                if heard_by && self.sound.as_ref().is_some_and(|sound| !sound.stands_in) {
                    self.restart(Part::Microphone, Attempt::Again, counts)?;
                }
                Ok(())
            }
        }
    }

    /// Sends what an instrument sees, in place of any former one.
    pub(crate) fn show_instrument(
        &mut self,
        pictures: watch::Receiver<Option<Frame>>,
        counts: &Counts,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), String> {
        let stream = &mut self.instrument_picture;
        stream.feed = None;
        stream.number += 1;
        stream.marks.next_sequence = next(&counts.instrument_picture_sequence, stream.marks);
        let feed = PictureFeed::start(&self.beat, (self.encoder, stream.marks), stream.out.clone(), &self.news)?;
        let pump = PictureFeed::pump(feed.entry(), pictures);
        stream.feed = Some(feed);
        let (news, closed) = (self.news.clone(), MediaNews::InstrumentClosed(Feed::Picture, stream.number));
        tasks.spawn(async move {
            pump.await;
            let _ = news.send(closed).await;
        });
        Ok(())
    }

    /// Sends what an instrument hears, in place of any former one.
    pub(crate) fn hear_instrument(
        &mut self,
        blocks: mpsc::Receiver<SoundBlock>,
        counts: &Counts,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), String> {
        let stream = &mut self.instrument_sound;
        stream.feed = None;
        stream.number += 1;
        stream.marks.next_sequence = next(&counts.instrument_sound_sequence, stream.marks);
        let feed = SoundFeed::start(&self.beat, stream.marks, stream.out.clone(), &self.news)?;
        let pump = SoundFeed::pump(feed.entry(), self.beat.clone(), blocks);
        stream.feed = Some(feed);
        let (news, closed) = (self.news.clone(), MediaNews::InstrumentClosed(Feed::Sound, stream.number));
        tasks.spawn(async move {
            pump.await;
            let _ = news.send(closed).await;
        });
        Ok(())
    }

    /// The source of that number is closed: unless another took its place, nothing is sent any more.
    pub(crate) fn instrument_closed(&mut self, what: Feed, number: u64) {
        match what {
            Feed::Picture if self.instrument_picture.number == number => self.instrument_picture.feed = None,
            Feed::Sound if self.instrument_sound.number == number => self.instrument_sound.feed = None,
            _ => {}
        }
    }

    /// How pictures are sent from now on: most of what they may take is an instrument's, while there is one.
    pub(crate) fn set_video(&self, video: Video) {
        let instrument = &self.instrument_picture.feed;
        let share = video.share();
        let for_instrument = if instrument.is_some() { share / 100 * INSTRUMENT_SHARE } else { 0 };
        if let Some(instrument) = instrument {
            instrument.set_bits_per_second(for_instrument);
        }
        if let Some(picture) = &self.picture {
            let bits_per_second = video.bits_per_second.min(share - for_instrument);
            picture.set(Video { bits_per_second, ..video });
        }
    }

    /// The next picture of the instrument will be complete in itself.
    pub(crate) fn force_instrument_key_frame(&self) {
        if let Some(instrument) = &self.instrument_picture.feed {
            instrument.force_key_frame();
        }
    }
}

/// Where a stream goes on: after its last packet, or where it was to begin.
fn next(counted: &std::sync::atomic::AtomicU32, marks: Marks) -> u16 {
    match counted.load(Ordering::Relaxed) {
        0 => marks.next_sequence,
        sequence => sequence as u16,
    }
}
