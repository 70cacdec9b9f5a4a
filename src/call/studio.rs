//! The cabin's own camera, microphone and loudspeaker in a call, and what replaces one that breaks.

use crate::capture::{Marks, PictureCapture, SoundCapture};
use crate::counts::Counts;
use crate::news::MediaNews;
use crate::peer::{OPUS_PAYLOAD_TYPE, Peer, VP8_PAYLOAD_TYPE};
use crate::playback::Loudspeaker;
use crate::{AudioSource, CallError, Settings, VideoSource};
use media::{Beat, FrameSlot, Loudness};
use rtc::rtp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;

/// Captured packets that wait for the network task at most: half a second of picture and sound.
const PACKETS_WAITING_MAX: usize = 128;
/// Devices that break more often than this in a call stay down.
const REBUILDS_MAX: u32 = 20;

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
    pub(crate) captured: Option<(mpsc::Receiver<rtp::Packet>, mpsc::Receiver<rtp::Packet>)>,
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
        let open = move || {
            let beat = Beat::new();
            let (news, heard) = mpsc::channel(64);
            let (picture_out, picture_in) = mpsc::channel(PACKETS_WAITING_MAX);
            let (sound_out, sound_in) = mpsc::channel(PACKETS_WAITING_MAX);
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
                captured: Some((picture_in, sound_in)),
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
}
