//! The one task of a call: it alone owns the pipelines, hears the connection and tells the caller.

use crate::capture::{Marks, PictureCapture, SoundCapture};
use crate::frame::FrameSlot;
use crate::peer::{OPUS_PAYLOAD_TYPE, Peer, PeerNews, VP8_PAYLOAD_TYPE};
use crate::pipeline::{Beat, Loudness, MediaNews};
use crate::playback::{Loudspeaker, Playback};
use crate::progress::{News, Progress, Sign};
use crate::{
    AudioSource, CHANNELS_MAX, CallError, CallEvent, Channels, Fault, LABEL_BYTES_MAX, MESSAGE_BYTES_MAX, Settings,
    Stats, VideoSource, lock, now,
};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::shared::marshal::Marshal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{RTCStatsReportEntry, StatsSelector};

/// Changes of the connection that wait for the call's task at most.
pub(crate) const NEWS_WAITING_MAX: usize = 256;
/// Captured packets that wait for the network task at most: half a second of picture and sound.
const PACKETS_WAITING_MAX: usize = 128;
/// How often the caller hears how the call goes.
const STATS_EVERY: Duration = Duration::from_secs(2);
/// Two requests for a key frame come at least this far apart: key frames are large.
const KEY_FRAME_EVERY: Duration = Duration::from_millis(400);
/// A pipeline that breaks more often than this in a call stays down.
const REBUILDS_MAX: u32 = 20;
/// The far end's tracks that are played at most: one picture, one sound.
const TRACKS_MAX: usize = 2;
/// The fixed part of an RTP header.
const RTP_HEADER_BYTES: u64 = 12;

/// What the caller asks of the task.
pub(crate) enum Order {
    Answered { picture: Option<u8>, sound: Option<u8> },
    MuteMicrophone(bool),
    CoverCamera(bool),
}

/// What is counted in the tasks and told in the stats.
#[derive(Debug, Default)]
struct Counts {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    /// The next sequence number and the last payload type, to continue a stream with another source.
    picture_sequence: AtomicU32,
    sound_sequence: AtomicU32,
}

/// The cabin's own devices in a call.
pub(crate) struct Studio {
    settings: Settings,
    beat: Beat,
    picture_marks: Marks,
    sound_marks: Marks,
    picture: Option<PictureCapture>,
    sound: Option<SoundCapture>,
    loudspeaker: Arc<Loudspeaker>,
    loudness: Loudness,
    own_slot: FrameSlot,
    remote_slot: FrameSlot,
    picture_out: mpsc::Sender<rtp::Packet>,
    sound_out: mpsc::Sender<rtp::Packet>,
    captured: Option<(mpsc::Receiver<rtp::Packet>, mpsc::Receiver<rtp::Packet>)>,
    news: mpsc::Sender<MediaNews>,
    heard: Option<mpsc::Receiver<MediaNews>>,
    covered: bool,
    muted: bool,
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
    fn replace_broken(&mut self, picture: bool, counts: &Counts) -> Result<(), String> {
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

/// The task's own state.
pub(crate) struct Run {
    peer: Arc<Peer>,
    channels: Channels,
    studio: Studio,
    events: mpsc::Sender<CallEvent>,
    progress: Progress,
    counts: Arc<Counts>,
    remote_loudness: Loudness,
    /// Everything that lives with the call: senders, track players, channel readers.
    tasks: JoinSet<()>,
    tracks: usize,
    reported: (Instant, u64, u64),
}

impl Run {
    pub(crate) fn new(peer: Arc<Peer>, channels: Channels, studio: Studio, events: mpsc::Sender<CallEvent>) -> Run {
        Run {
            peer,
            channels,
            studio,
            events,
            progress: Progress::Waiting,
            counts: Arc::new(Counts::default()),
            remote_loudness: Loudness::new(),
            tasks: JoinSet::new(),
            tracks: 0,
            reported: (now(), 0, 0),
        }
    }

    /// Lives as long as the call: until the far end closes, or the caller does (or drops the call, which
    /// closes the other end of `closing`).
    pub(crate) async fn run(
        mut self,
        peer_heard: mpsc::Receiver<PeerNews>,
        ordered: mpsc::Receiver<Order>,
        mut closing: watch::Receiver<bool>,
    ) {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => {}
            () = self.work(peer_heard, ordered) => {}
        }
        self.end().await;
    }

    async fn work(&mut self, mut peer_heard: mpsc::Receiver<PeerNews>, mut ordered: mpsc::Receiver<Order>) {
        let Some(mut media_heard) = self.studio.heard.take() else { return };
        if let Some((picture, sound)) = self.studio.captured.take() {
            let (picture_track, sound_track) = (Arc::clone(&self.peer.picture), Arc::clone(&self.peer.sound));
            let counts = Arc::clone(&self.counts);
            self.tasks.spawn(forward(picture, picture_track, counts, |counts| &counts.picture_sequence));
            let counts = Arc::clone(&self.counts);
            self.tasks.spawn(forward(sound, sound_track, counts, |counts| &counts.sound_sequence));
        }
        let key_frame_asked = Arc::clone(&self.peer.key_frame_asked);
        let mut picture_bits = self.peer.picture_bits.clone();
        let mut stats = tokio::time::interval(STATS_EVERY);
        stats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut key_frame_sent_at: Option<Instant> = None;
        loop {
            let deadline = self.progress.deadline().map(tokio::time::Instant::from_std);
            tokio::select! {
                Some(order) = ordered.recv() => self.obey(order),
                news = peer_heard.recv() => match news {
                    Some(PeerNews::Sign(sign)) => match self.progress.sign(sign, now()) {
                        Some(News::Ended) => return,
                        Some(news) => self.tell_news(news).await,
                        None => {}
                    },
                    Some(news) => self.hear_peer(news).await,
                    // The connection's own task is gone without a word.
                    None => return,
                },
                Some(news) = media_heard.recv() => self.hear_media(news).await,
                () = sleep_until(deadline), if deadline.is_some() => {
                    if let Some(news) = self.progress.handle_timeout(now()) {
                        self.tell_news(news).await;
                    }
                }
                Ok(()) = picture_bits.changed() => {
                    let bits = *picture_bits.borrow_and_update();
                    if let Some(picture) = &self.studio.picture {
                        picture.set_bits_per_second(bits);
                    }
                }
                () = key_frame_asked.notified() => {
                    if key_frame_sent_at.is_none_or(|at| now() >= at + KEY_FRAME_EVERY) {
                        key_frame_sent_at = Some(now());
                        self.send_key_frame();
                    }
                }
                _ = stats.tick() => self.report().await,
                Some(ended) = self.tasks.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a part of the call ended in a panic");
                    }
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Answered { picture, sound } => {
                if let (Some(payload_type), Some(capture)) = (picture, &self.studio.picture) {
                    self.studio.picture_marks.payload_type = payload_type;
                    capture.set_payload_type(payload_type);
                }
                if let (Some(payload_type), Some(capture)) = (sound, &self.studio.sound) {
                    self.studio.sound_marks.payload_type = payload_type;
                    capture.set_payload_type(payload_type);
                }
                self.progress.sign(Sign::Answered, now());
            }
            Order::MuteMicrophone(muted) => {
                self.studio.muted = muted;
                if let Some(sound) = &self.studio.sound {
                    sound.mute(muted);
                }
            }
            Order::CoverCamera(covered) => {
                self.studio.covered = covered;
                if let Some(picture) = &self.studio.picture {
                    picture.cover(covered);
                }
            }
        }
    }

    async fn hear_peer(&mut self, news: PeerNews) {
        match news {
            PeerNews::Sign(_) => {}
            PeerNews::Candidate(candidate) => self.tell(CallEvent::LocalCandidate(candidate)).await,
            PeerNews::Channel(channel) => {
                self.tasks.spawn(read_channel(channel, Arc::clone(&self.channels), self.events.clone()));
            }
            PeerNews::Track(track) => {
                if self.tracks == TRACKS_MAX {
                    tracing::warn!("the far end sends more tracks than are played");
                    return;
                }
                self.tracks += 1;
                let player = Player {
                    settings: self.studio.settings.clone(),
                    beat: self.studio.beat.clone(),
                    slot: self.studio.remote_slot.clone(),
                    loudspeaker: Arc::clone(&self.studio.loudspeaker),
                    loudness: self.remote_loudness.clone(),
                    news: self.studio.news.clone(),
                    counts: Arc::clone(&self.counts),
                };
                self.tasks.spawn(player.play(track));
            }
        }
    }

    async fn hear_media(&mut self, news: MediaNews) {
        let fault = match news {
            MediaNews::Notice(fault) => fault,
            MediaNews::LoudspeakerLost(why) => Fault::LoudspeakerLost { why },
            MediaNews::Undecodable(why) => Fault::Undecodable { why },
            MediaNews::PictureLost(why) => {
                self.replace_broken(true);
                Fault::CameraLost { why }
            }
            MediaNews::SoundLost(why) => {
                self.replace_broken(false);
                Fault::MicrophoneLost { why }
            }
        };
        self.tell(CallEvent::Fault(fault)).await;
    }

    fn replace_broken(&mut self, picture: bool) {
        if let Err(why) = self.studio.replace_broken(picture, &self.counts) {
            tracing::error!("nothing can be sent in place of a broken device: {why}");
        }
        let bits = *self.peer.picture_bits.borrow();
        if let Some(picture) = &self.studio.picture {
            picture.set_bits_per_second(bits);
        }
    }

    fn send_key_frame(&self) {
        if let Some(picture) = &self.studio.picture {
            picture.force_key_frame();
        }
    }

    async fn tell_news(&mut self, news: News) {
        let event = match news {
            News::Connected => CallEvent::Connected,
            News::Interrupted => CallEvent::Interrupted,
            News::Resumed => CallEvent::Resumed,
            News::Stuck(why) => CallEvent::Stuck(why),
            // Said by `end`, once nothing is left.
            News::Ended => return,
        };
        if matches!(news, News::Connected | News::Resumed) {
            // The far end begins with a whole picture.
            self.send_key_frame();
        }
        self.tell(event).await;
    }

    /// Waits while the caller's queue is full; `close` ends the wait. A caller who dropped his end of the
    /// queue has lost interest in events, not in the call.
    async fn tell(&self, event: CallEvent) {
        let _ = self.events.send(event).await;
    }

    async fn report(&mut self) {
        if self.progress != Progress::Flowing {
            return;
        }
        let sent = self.counts.sent_bytes.load(Ordering::Relaxed);
        let received = self.counts.received_bytes.load(Ordering::Relaxed);
        let (last, sent_before, received_before) = std::mem::replace(&mut self.reported, (now(), sent, received));
        let seconds = (now() - last).as_secs_f64().max(0.001);
        let rate = |bytes: u64, before: u64| (bytes.saturating_sub(before) as f64 * 8.0 / seconds) as u32;
        let stats = Stats {
            round_trip_milliseconds: self.round_trip_milliseconds().await,
            picture_bits_per_second: *self.peer.picture_bits.borrow(),
            sent_bits_per_second: rate(sent, sent_before),
            received_bits_per_second: rate(received, received_before),
            lost_thousandths: *self.peer.loss_thousandths.borrow(),
            remote_pictures: self.studio.remote_slot.borrow().as_ref().map_or(0, |frame| frame.number),
            microphone_decibels: self.studio.loudness.take_decibels(),
            remote_decibels: self.remote_loudness.take_decibels(),
        };
        // The next report says it better: never waited for.
        let _ = self.events.try_send(CallEvent::Stats(stats));
    }

    async fn round_trip_milliseconds(&self) -> Option<u32> {
        let report = self.peer.connection.get_stats(now(), StatsSelector::None).await;
        report.iter().find_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) if pair.nominated && pair.current_round_trip_time > 0.0 => {
                Some((pair.current_round_trip_time * 1_000.0).ceil() as u32)
            }
            _ => None,
        })
    }

    /// Leaves nothing behind: sockets, tasks, pipelines and their threads, pictures.
    async fn end(mut self) {
        if let Err(error) = self.peer.connection.close().await {
            tracing::warn!("the connection did not close well: {error}");
        }
        lock(&self.channels).clear();
        self.tasks.shutdown().await;
        let (own_slot, remote_slot) = (self.studio.own_slot.clone(), self.studio.remote_slot.clone());
        let studio = self.studio;
        // Stopping a pipeline waits for its threads.
        if tokio::task::spawn_blocking(move || drop(studio)).await.is_err() {
            tracing::error!("the media pipelines did not stop well");
        }
        // Nothing writes any more: the last pictures are forgotten.
        own_slot.send_replace(None);
        remote_slot.send_replace(None);
        // Waits for a slow caller no longer than this: the call is over all the same.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.events.send(CallEvent::Ended)).await;
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Takes captured packets to the connection. Before it is up they go nowhere, which is meant.
async fn forward(
    mut captured: mpsc::Receiver<rtp::Packet>,
    track: Arc<TrackLocalStaticRTP>,
    counts: Arc<Counts>,
    sequence: fn(&Counts) -> &AtomicU32,
) {
    while let Some(packet) = captured.recv().await {
        sequence(&counts).store(u32::from(packet.header.sequence_number.wrapping_add(1)), Ordering::Relaxed);
        let bytes = packet.payload.len() as u64 + RTP_HEADER_BYTES;
        if track.write_rtp(packet).await.is_ok() {
            counts.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// What it takes to play one of the far end's tracks.
struct Player {
    settings: Settings,
    beat: Beat,
    slot: FrameSlot,
    loudspeaker: Arc<Loudspeaker>,
    loudness: Loudness,
    news: mpsc::Sender<MediaNews>,
    counts: Arc<Counts>,
}

impl Player {
    /// Plays until the track ends.
    async fn play(self, track: Arc<dyn TrackRemote>) {
        let kind = track.kind().await;
        let (key_frame_wanted, mut wanted) = mpsc::channel(1);
        let mut playback: Option<(u8, Playback)> = None;
        let mut builds = 0;
        let mut asked_at: Option<Instant> = None;
        let mut ssrc = track.ssrcs().await.first().copied().unwrap_or(0);
        loop {
            let event = tokio::select! {
                event = track.poll() => event,
                Some(()) = wanted.recv() => {
                    if asked_at.is_none_or(|at| now() >= at + KEY_FRAME_EVERY) {
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
            let payload_type = packet.header.payload_type;
            if playback.as_ref().is_none_or(|(played, _)| *played != payload_type) {
                if builds == REBUILDS_MAX {
                    continue;
                }
                builds += 1;
                // The old one first, and off this task: stopping waits for threads.
                stop(playback.take()).await;
                match self.build(kind, payload_type, key_frame_wanted.clone()) {
                    Ok(built) => playback = Some((payload_type, built)),
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

/// Reads one channel until it closes. The caller's full queue holds this task, which holds the channel,
/// which holds the page: nothing piles up here.
async fn read_channel(channel: Arc<dyn DataChannel>, channels: Channels, events: mpsc::Sender<CallEvent>) {
    let Ok(label) = channel.label().await else { return };
    if label.len() > LABEL_BYTES_MAX {
        tracing::warn!("a data channel with a label of {} bytes was refused", label.len());
        let _ = channel.close().await;
        return;
    }
    let mut open = false;
    while let Some(event) = channel.poll().await {
        let event = match event {
            DataChannelEvent::OnOpen if !open => {
                if !register(&channels, &label, &channel) {
                    tracing::warn!("a data channel beyond the limit, or a second of one label, was refused");
                    let _ = channel.close().await;
                    return;
                }
                open = true;
                CallEvent::ChannelOpen { channel: label.clone() }
            }
            DataChannelEvent::OnMessage(message) if message.data.len() > MESSAGE_BYTES_MAX => {
                tracing::warn!("a message of {} bytes was refused", message.data.len());
                continue;
            }
            DataChannelEvent::OnMessage(message) => {
                CallEvent::Data { channel: label.clone(), bytes: message.data.freeze(), text: message.is_string }
            }
            DataChannelEvent::OnClose => break,
            _ => continue,
        };
        if events.send(event).await.is_err() {
            break;
        }
    }
    if open {
        lock(&channels).remove(&label);
        let _ = events.send(CallEvent::ChannelClosed { channel: label }).await;
    }
}

fn register(channels: &Channels, label: &str, channel: &Arc<dyn DataChannel>) -> bool {
    let mut channels = lock(channels);
    let fits = channels.len() < CHANNELS_MAX && !channels.contains_key(label);
    if fits {
        channels.insert(label.to_owned(), Arc::clone(channel));
    }
    fits
}
