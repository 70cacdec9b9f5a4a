//! The cabin's own camera, microphone and loudspeaker in a call, and what replaces one that breaks.

use crate::capture::{Marks, PictureCapture, SoundCapture};
use crate::counts::Counts;
use crate::instrument::{PictureFeed, SoundFeed};
use crate::news::MediaNews;
use crate::peer::{OPUS_PAYLOAD_TYPE, Peer, VP8_PAYLOAD_TYPE};
use crate::playback::Loudspeaker;
use crate::policy::Video;
use crate::{AudioSource, CallError, Settings, VideoSource};
use media::{Beat, Frame, FrameSlot, Loudness, SoundBlock};
use rtc::rtp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Captured packets that wait for the network task at most: half a second of picture and sound.
const PACKETS_WAITING_MAX: usize = 128;
/// Devices that break more often than this in a call stay down.
const REBUILDS_MAX: u32 = 20;

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
    pub(crate) picture_marks: Marks,
    pub(crate) sound_marks: Marks,
    pub(crate) picture: Option<PictureCapture>,
    pub(crate) sound: Option<SoundCapture>,
    pub(crate) loudspeaker: Arc<Loudspeaker>,
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
    rebuilds: u32,
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
        let (picture_ssrc, sound_ssrc) = (peer.picture_ssrc, peer.sound_ssrc);
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
            let loudspeaker = Arc::new(Loudspeaker::start(&settings, &beat, call_number, &news)?);
            let mut studio = Studio {
                settings,
                beat,
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
                rebuilds: 0,
            };
            studio.start_picture()?;
            studio.start_sound()?;
            Ok(studio)
        };
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|_| CallError::Closed)?
            .map_err(|why: String| CallError::NoMedia { why })
    }

    fn start_picture(&mut self) -> Result<(), String> {
        if self.settings.video_source == VideoSource::Off {
            return Ok(());
        }
        let (out, slot) = (self.picture_out.clone(), self.own_slot.clone());
        let capture = PictureCapture::start(&self.settings, &self.beat, self.picture_marks, out, slot, &self.news)?;
        capture.cover(self.covered);
        self.picture = Some(capture);
        Ok(())
    }

    fn start_sound(&mut self) -> Result<(), String> {
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
        )?;
        capture.mute(self.muted);
        self.sound = Some(capture);
        Ok(())
    }

    /// A device broke in the call: the test picture or tone takes its place, in the same stream.
    pub(crate) fn replace_broken(&mut self, picture: bool, counts: &Counts) -> Result<(), String> {
        self.rebuilds += 1;
        if self.rebuilds > REBUILDS_MAX {
            return Err("it broke too often".to_owned());
        }
        if picture {
            self.picture = None;
            self.settings.video_source = VideoSource::TestPicture;
            self.picture_marks.next_sequence = counts.picture_sequence.load(Ordering::Relaxed) as u16;
            self.start_picture()
        } else {
            self.sound = None;
            self.settings.audio_source = AudioSource::TestTone;
            self.sound_marks.next_sequence = counts.sound_sequence.load(Ordering::Relaxed) as u16;
            self.start_sound()
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
        let feed = PictureFeed::start(&self.beat, stream.marks, stream.out.clone(), &self.news)?;
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
