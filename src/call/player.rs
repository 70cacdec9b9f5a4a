//! Playing one of the far end's tracks: each codec it changes to gets its own pipeline.

use crate::counts::{Counts, RTP_HEADER_BYTES};
use crate::estimator::Estimate;
use crate::in_order::{InOrder, Piece};
use crate::news::MediaNews;
use crate::pieces::{Encoding, begins_key_frame};
use crate::playback::{Entry, Playback};
use crate::studio::{PICTURE_CLOCK, SOUND_CLOCK};
use crate::{KEY_FRAME_EVERY, Settings, lock, now};
use gstreamer as gst;
use media::{Beat, FrameSlot, Loudness};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::shared::marshal::Marshal;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

/// A far end that changes its codec more often than this in a call is no longer played.
const REBUILDS_MAX: u32 = 20;

/// How often missing packets of the picture are thought of.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What it takes to play one of the far end's tracks.
pub(crate) struct Player {
    pub(crate) settings: Settings,
    pub(crate) beat: Beat,
    pub(crate) slot: FrameSlot,
    pub(crate) loudspeaker: Entry,
    pub(crate) loudness: Loudness,
    pub(crate) news: mpsc::Sender<MediaNews>,
    pub(crate) counts: Arc<Counts>,
    /// The encodings of pictures, by payload type.
    pub(crate) readable: Arc<Mutex<Vec<(Encoding, u8)>>>,
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
        let mut kept = self.kept.clone();
        let mut asking = Asking { ssrc: track.ssrcs().await.first().copied().unwrap_or(0), asked_at: None };
        let (mut waiting, mut number) = (InOrder::<rtp::Packet>::default(), rand::random::<u16>());
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
                    asking.ask(&track, self.round_trip()).await;
                    continue;
                }
                _ = look.tick(), if kind == RtpCodecKind::Video => {
                    if waiting.wants_key_frame(self.now(), self.round_trip()) {
                        asking.ask(&track, self.round_trip()).await;
                    }
                    continue;
                }
            };
            let packet = match event {
                Some(TrackRemoteEvent::OnRtpPacket(packet)) => packet,
                None | Some(TrackRemoteEvent::OnEnded) => break,
                Some(_) => continue,
            };
            self.counts.received_bytes.fetch_add(packet.payload.len() as u64 + RTP_HEADER_BYTES, Ordering::Relaxed);
            asking.ssrc = packet.header.ssrc;
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
                    waiting = InOrder::default();
                    asking.ask(&track, Duration::ZERO).await;
                }
            }
            let Some((_, playing)) = &playback else { continue };
            let plays = if kind == RtpCodecKind::Video {
                self.counts.arrivals.came(now(), packet.header.sequence_number);
                // A picture is there with its last packet.
                if packet.header.marker {
                    self.counts.pictures_come.came(now(), packet.header.ssrc, packet.header.timestamp, PICTURE_CLOCK);
                }
                let encoding = self.encoding(payload_type);
                let piece = Piece {
                    begins_key_frame: begins_key_frame(encoding, &packet.payload),
                    ends_picture: packet.header.marker,
                };
                waiting.came(self.now(), packet.header.sequence_number, piece, packet);
                let mut due = std::iter::from_fn(|| waiting.next(self.now()));
                due.all(|(came_at, mut packet)| {
                    // Padding has its number, and nothing in it.
                    if packet.payload.is_empty() {
                        return true;
                    }
                    // What was left out is no gap to the pipeline.
                    packet.header.sequence_number = number;
                    number = number.wrapping_add(1);
                    push(playing, &packet, came_at)
                })
            } else {
                self.counts.sounds_come.came(now(), packet.header.ssrc, packet.header.timestamp, SOUND_CLOCK);
                push(playing, &packet, self.now())
            };
            if !plays {
                stop(playback.take()).await;
            }
        }
        stop(playback.take()).await;
        if kind == RtpCodecKind::Video {
            self.slot.send_replace(None);
        }
    }

    /// On the beat of all pipelines.
    fn now(&self) -> Duration {
        self.beat.elapsed().into()
    }

    fn encoding(&self, payload_type: u8) -> Encoding {
        let readable = lock(&self.readable);
        readable.iter().find(|(_, number)| *number == payload_type).map_or(Encoding::Vp8, |(encoding, _)| *encoding)
    }

    fn round_trip(&self) -> Duration {
        self.line.borrow().round_trip
    }

    fn build(&self, kind: RtpCodecKind, payload_type: u8, wanted: mpsc::Sender<()>) -> Result<Playback, String> {
        if kind == RtpCodecKind::Video {
            let kind = (self.encoding(payload_type), payload_type);
            Playback::picture(&self.settings, &self.beat, kind, self.slot.clone(), wanted, &self.news)
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

fn push(playing: &Playback, packet: &rtp::Packet, came_at: Duration) -> bool {
    let came_at = gst::ClockTime::try_from(came_at).unwrap_or(gst::ClockTime::ZERO);
    // What cannot be written cannot have been read.
    packet.marshal().map_or(true, |bytes| playing.push(bytes.freeze(), came_at))
}

/// Asks the far end for key frames, and not too often.
struct Asking {
    ssrc: u32,
    asked_at: Option<Instant>,
}

impl Asking {
    /// The one asked for last takes a round trip, and its own length, to arrive.
    async fn ask(&mut self, track: &Arc<dyn TrackRemote>, round_trip: Duration) {
        let every = KEY_FRAME_EVERY.max(round_trip.mul_f64(1.5));
        if self.asked_at.is_some_and(|at| now() < at + every) {
            return;
        }
        self.asked_at = Some(now());
        let request = PictureLossIndication { sender_ssrc: 0, media_ssrc: self.ssrc };
        if let Err(error) = track.write_rtcp(vec![Box::new(request)]).await {
            tracing::debug!("a key frame was not asked for: {error}");
        }
    }
}
