//! Playing one of the far end's tracks: each codec it changes to gets its own pipeline.

use crate::counts::Counts;
use crate::estimator::Estimate;
use crate::news::MediaNews;
use crate::playback::{Entry, Playback};
use crate::{KEY_FRAME_EVERY, Settings, now};
use media::{Beat, FrameSlot, Loudness};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::shared::marshal::Marshal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

/// A far end that changes its codec more often than this in a call is no longer played.
const REBUILDS_MAX: u32 = 20;

/// What it takes to play one of the far end's tracks.
pub(crate) struct Player {
    pub(crate) settings: Settings,
    pub(crate) beat: Beat,
    pub(crate) slot: FrameSlot,
    pub(crate) loudspeaker: Entry,
    pub(crate) loudness: Loudness,
    pub(crate) news: mpsc::Sender<MediaNews>,
    pub(crate) counts: Arc<Counts>,
    /// How long packets are kept.
    pub(crate) kept: watch::Receiver<Duration>,
    pub(crate) line: watch::Receiver<Estimate>,
}

impl Player {
    /// Plays until the track ends.
    pub(crate) async fn play(self, track: Arc<dyn TrackRemote>) {
        let kind = track.kind().await;
        let (key_frame_wanted, mut wanted) = mpsc::channel(1);
        let mut playback: Option<(u8, Playback)> = None;
        let mut builds = 0;
        let mut asked_at: Option<Instant> = None;
        let mut kept = self.kept.clone();
        let mut ssrc = track.ssrcs().await.first().copied().unwrap_or(0);
        loop {
            let event = tokio::select! {
                event = track.poll() => event,
                Ok(()) = kept.changed() => {
                    let milliseconds = in_milliseconds(*kept.borrow_and_update());
                    if let Some((_, playing)) = &playback {
                        playing.keep(milliseconds);
                    }
                    continue;
                }
                Some(()) = wanted.recv() => {
                    // The one asked for last takes a round trip, and its own length, to arrive.
                    let every = KEY_FRAME_EVERY.max(self.line.borrow().round_trip.mul_f64(1.5));
                    if asked_at.is_none_or(|at| now() >= at + every) {
                        asked_at = Some(now());
                        ask_key_frame(&track, ssrc).await;
                    }
                    continue;
                }
            };
            let packet = match event {
                Some(TrackRemoteEvent::OnRtpPacket(packet)) => packet,
                None | Some(TrackRemoteEvent::OnEnded) => break,
                Some(_) => continue,
            };
            let Ok(bytes) = packet.marshal() else { continue };
            let bytes = bytes.freeze();
            self.counts.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            ssrc = packet.header.ssrc;
            if kind == RtpCodecKind::Video {
                self.counts.arrivals.came(now(), packet.header.sequence_number);
            }
            let payload_type = packet.header.payload_type;
            if playback.as_ref().is_none_or(|(played, _)| *played != payload_type) {
                if builds == REBUILDS_MAX {
                    continue;
                }
                builds += 1;
                // The old one first, and off this task: stopping waits for threads.
                stop(playback.take()).await;
                match self.build(kind, payload_type, key_frame_wanted.clone()) {
                    Ok(built) => {
                        built.keep(in_milliseconds(*kept.borrow_and_update()));
                        playback = Some((payload_type, built));
                    }
                    Err(why) => {
                        let _ = self.news.try_send(MediaNews::Undecodable(why));
                        continue;
                    }
                }
                if kind == RtpCodecKind::Video {
                    asked_at = Some(now());
                    ask_key_frame(&track, ssrc).await;
                }
            }
            if playback.as_ref().is_some_and(|(_, playing)| !playing.push(bytes)) {
                stop(playback.take()).await;
            }
        }
        stop(playback.take()).await;
        if kind == RtpCodecKind::Video {
            self.slot.send_replace(None);
        }
    }

    fn build(&self, kind: RtpCodecKind, payload_type: u8, wanted: mpsc::Sender<()>) -> Result<Playback, String> {
        if kind == RtpCodecKind::Video {
            Playback::picture(&self.settings, &self.beat, payload_type, self.slot.clone(), wanted, &self.news)
        } else {
            let loudness = self.loudness.clone();
            Playback::sound(&self.settings, &self.beat, payload_type, &self.loudspeaker, loudness, &self.news)
        }
    }
}

fn in_milliseconds(kept: Duration) -> u32 {
    u32::try_from(kept.as_millis()).unwrap_or(u32::MAX)
}

async fn stop(playback: Option<(u8, Playback)>) {
    if let Some(playback) = playback {
        // An error would be a panic in the drop, which the pipeline's own code has reported.
        let _ = tokio::task::spawn_blocking(move || drop(playback)).await;
    }
}

async fn ask_key_frame(track: &Arc<dyn TrackRemote>, media_ssrc: u32) {
    let request = PictureLossIndication { sender_ssrc: 0, media_ssrc };
    if let Err(error) = track.write_rtcp(vec![Box::new(request)]).await {
        tracing::debug!("a key frame was not asked for: {error}");
    }
}
