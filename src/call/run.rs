//! The one task of a call: it alone owns the pipelines, hears the connection and tells the caller.

use crate::counts::{Counts, Stream, forward};
use crate::news::MediaNews;
use crate::peer::{Agreed, OPUS_PAYLOAD_TYPE, Peer, PeerNews};
use crate::pieces::Encoding;
use crate::player::Player;
use crate::policy::{INSTRUMENT_SOUND_ON_THE_WIRE, Made, Making, Plan, Policy};
use crate::progress::{News, Progress, Sign};
use crate::studio::Studio;
use crate::{CallEvent, Channels, Fault, KEY_FRAME_EVERY, Part, Stats, channel, lock, now};
use media::{Frame, Loudness, SoundBlock};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{RTCStatsReportEntry, StatsSelector};

/// Changes of the connection that wait for the call's task at most.
pub(crate) const NEWS_WAITING_MAX: usize = 256;
/// How often the caller hears how the call goes.
const STATS_EVERY: Duration = Duration::from_secs(2);
/// How often missing devices are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the shares of voice and picture are decided at most.
const DECIDE_EVERY: Duration = Duration::from_millis(250);
/// The far end's tracks that are played at most: one picture, one sound.
const TRACKS_MAX: usize = 2;

/// What the caller asks of the task.
pub(crate) enum Order {
    Answered(Agreed),
    MuteMicrophone(bool),
    CoverCamera(bool),
    ShowInstrument(watch::Receiver<Option<Frame>>),
    HearInstrument(mpsc::Receiver<SoundBlock>),
}

/// The task's own state.
pub(crate) struct Run {
    peer: Arc<Peer>,
    channels: Channels,
    studio: Studio,
    events: mpsc::Sender<CallEvent>,
    progress: Progress,
    counts: Arc<Counts>,
    pub(crate) remote_loudness: Loudness,
    /// Everything that lives with the call: senders, track players, channel readers.
    tasks: JoinSet<()>,
    tracks: usize,
    reported: (Instant, u64, u64),
    policy: Policy,
    began: Instant,
    decided_at: Instant,
    /// Bytes sent beside voice and picture until the last decision, and how many bits a second that was lately.
    beside: (u64, f64),
    /// What the encoder makes of the camera's pictures.
    made: Made,
    /// The encodings of the far end's pictures, by payload type.
    readable: Arc<Mutex<Vec<(Encoding, u8)>>>,
    /// How long received packets are kept.
    kept: watch::Sender<Duration>,
}

impl Run {
    pub(crate) fn new(peer: Arc<Peer>, channels: Channels, studio: Studio, events: mpsc::Sender<CallEvent>) -> Run {
        let settings = &studio.settings;
        let policy = Policy::new(settings.picture, settings.picture_bits_per_second_max);
        let kept = Duration::from_millis(settings.jitter_milliseconds.into());
        Run {
            policy,
            began: now(),
            decided_at: now(),
            beside: (0, 0.0),
            made: Made::default(),
            readable: Arc::default(),
            kept: watch::channel(kept).0,
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
        if let Some(captured) = self.studio.captured.take() {
            let peer = &self.peer;
            // Pictures leave at their pace; sounds at once.
            let pace: fn(&Counts) -> u32 = |counts| counts.picture_pace.load(Ordering::Relaxed);
            let at_once: fn(&Counts) -> u32 = |_| 0;
            let stream = |sequence, pace, is_picture| Stream { sequence, pace, is_picture };
            let streams: [(_, &Arc<TrackLocalStaticRTP>, Stream); 4] = [
                (captured.picture, &peer.picture, stream(|counts| &counts.picture_sequence, pace, true)),
                (captured.sound, &peer.sound, stream(|counts| &counts.sound_sequence, at_once, false)),
                (
                    captured.instrument_picture,
                    &peer.instrument_picture,
                    stream(|counts| &counts.instrument_picture_sequence, pace, false),
                ),
                (
                    captured.instrument_sound,
                    &peer.instrument_sound,
                    stream(|counts| &counts.instrument_sound_sequence, at_once, false),
                ),
            ];
            for (packets, track, stream) in streams {
                self.tasks.spawn(forward(packets, Arc::clone(track), Arc::clone(&self.counts), stream));
            }
        }
        let key_frame_asked = Arc::clone(&self.peer.key_frame_asked);
        let instrument_key_frame_asked = Arc::clone(&self.peer.instrument_key_frame_asked);
        let mut line = self.peer.line.clone();
        let mut decide = tokio::time::interval(DECIDE_EVERY);
        decide.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.apply(None);
        let mut stats = tokio::time::interval(STATS_EVERY);
        stats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut key_frame_sent_at: Option<Instant> = None;
        let mut instrument_key_frame_sent_at: Option<Instant> = None;
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
                Ok(()) = line.changed() => {
                    line.mark_unchanged();
                    self.decide();
                }
                () = instrument_key_frame_asked.notified() => {
                    if instrument_key_frame_sent_at.is_none_or(|at| now() >= at + KEY_FRAME_EVERY) {
                        instrument_key_frame_sent_at = Some(now());
                        self.studio.force_instrument_key_frame();
                    }
                }
                _ = decide.tick() => self.decide(),
                () = key_frame_asked.notified() => {
                    if key_frame_sent_at.is_none_or(|at| now() >= at + self.key_frame_every()) {
                        key_frame_sent_at = Some(now());
                        self.send_key_frame();
                    }
                }
                _ = stats.tick() => self.report().await,
                _ = look.tick() => self.studio.look_for_missing(),
                Some(ended) = self.tasks.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a part of the call ended in a panic");
                    }
                }
            }
        }
    }

    /// Gives voice and picture their shares of the line, and what is received its time.
    fn decide(&mut self) {
        let (now, line) = (now(), *self.peer.line.borrow());
        let elapsed = now - self.decided_at;
        if elapsed < DECIDE_EVERY {
            return;
        }
        self.decided_at = now;
        let beside = self.peer.resent_bytes.load(Ordering::Relaxed) + self.peer.message_bytes.load(Ordering::Relaxed);
        let bits = beside.saturating_sub(self.beside.0) as f64 * 8.0 / elapsed.as_secs_f64();
        // Messages come in bursts that the picture should not follow.
        self.beside = (beside, self.beside.1 * 0.8 + bits * 0.2);
        let before = self.policy.plan();
        let heard = if self.studio.instrument_sound.feed.is_some() { INSTRUMENT_SOUND_ON_THE_WIRE } else { 0 };
        // Beside an instrument's picture the encoder may take less than the plan says.
        let bytes = self.counts.picture_bytes.load(Ordering::Relaxed);
        let alone = self.studio.instrument_picture.feed.is_none();
        let made = self.made.bits_per_second(now - self.began, elapsed, bytes, before.video);
        let making = if alone { made.map_or(Making::Unknown, Making::Bits) } else { Making::Beside };
        self.policy.decide(now - self.began, line, self.beside.1 as u32 + heard, making);
        self.apply(Some(before));
        let asked = Duration::from_millis(self.studio.settings.jitter_milliseconds.into());
        let spread = self.counts.pictures_come.spread().max(self.counts.sounds_come.spread());
        let kept = self.counts.arrivals.kept(now, asked, spread, line.round_trip);
        self.kept.send_if_modified(|former| std::mem::replace(former, kept) != kept);
    }

    /// Sets the encoders to the plan, where it differs.
    fn apply(&self, before: Option<Plan>) {
        let plan = self.policy.plan();
        if before.is_none_or(|before| before.video != plan.video) {
            self.counts.picture_pace.store(plan.video.pace_bits_per_second, Ordering::Relaxed);
            self.studio.set_video(plan.video);
        }
        if before.is_none_or(|before| before.sound != plan.sound)
            && let Some(sound) = &self.studio.sound
        {
            sound.set(plan.sound);
        }
        if before
            .is_some_and(|before| (before.video.height, before.video.stills) != (plan.video.height, plan.video.stills))
        {
            tracing::info!(rows = plan.video.height, stills = plan.video.stills, "the picture follows the line");
        }
    }

    /// A key frame is many times as large as other pictures: the next one waits until this one has had the time to
    /// arrive and to be seen.
    fn key_frame_every(&self) -> Duration {
        let narrow = match self.policy.plan().video.bits_per_second {
            bits if bits < 200_000 => Duration::from_millis(1_500),
            bits if bits < 500_000 => Duration::from_millis(800),
            _ => KEY_FRAME_EVERY,
        };
        narrow.max(self.peer.line.borrow().round_trip.mul_f64(1.5))
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Answered(Agreed { picture, readable, sound }) => {
                *lock(&self.readable) = readable;
                if let Some((encoding, payload_type)) = picture {
                    if let Err(why) = self.studio.agreed(encoding, payload_type, &self.counts) {
                        tracing::error!("no picture can be sent: {why}");
                    }
                    self.apply(None);
                }
                if let (Some(payload_type), Some(capture)) = (sound, &self.studio.sound) {
                    self.studio.sound_marks.payload_type = payload_type;
                    capture.set_payload_type(payload_type);
                }
                self.studio.instrument_sound.marks.payload_type = sound.unwrap_or(OPUS_PAYLOAD_TYPE);
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
            Order::ShowInstrument(pictures) => {
                if let Err(why) = self.studio.show_instrument(pictures, &self.counts, &mut self.tasks) {
                    tracing::error!("an instrument's picture cannot be sent: {why}");
                }
                self.apply(None);
            }
            Order::HearInstrument(blocks) => {
                if let Err(why) = self.studio.hear_instrument(blocks, &self.counts, &mut self.tasks) {
                    tracing::error!("an instrument's sound cannot be sent: {why}");
                }
            }
        }
    }

    async fn hear_peer(&mut self, news: PeerNews) {
        match news {
            PeerNews::Sign(_) => {}
            PeerNews::Candidate(candidate) => self.tell(CallEvent::LocalCandidate(candidate)).await,
            PeerNews::Trouble(fault) => self.tell(CallEvent::Fault(fault)).await,
            PeerNews::Channel(opened) => {
                self.tasks.spawn(channel::read(opened, Arc::clone(&self.channels), self.events.clone()));
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
                    loudspeaker: self.studio.loudspeaker.entry(),
                    loudness: self.remote_loudness.clone(),
                    news: self.studio.news.clone(),
                    counts: Arc::clone(&self.counts),
                    readable: Arc::clone(&self.readable),
                    kept: self.kept.subscribe(),
                    line: self.peer.line.clone(),
                };
                self.tasks.spawn(player.play(track));
            }
        }
    }

    async fn hear_media(&mut self, news: MediaNews) {
        // A device that goes is told more than once, by each element that misses it; and one that could not be taken up
        // again was told when it went.
        let of = match &news {
            MediaNews::PictureLost(_) => Some(Part::Camera),
            MediaNews::SoundLost(_) => Some(Part::Microphone),
            MediaNews::LoudspeakerLost(_) => Some(Part::Loudspeaker),
            _ => None,
        };
        if of.is_some_and(|part| self.studio.is_missing(part)) {
            tracing::debug!(?news, "of a part that is replaced already");
            return;
        }
        let fault = match news {
            MediaNews::Notice(fault) => fault,
            MediaNews::LoudspeakerLost(why) => {
                self.replace_broken(Part::Loudspeaker);
                Fault::LoudspeakerLost { why }
            }
            MediaNews::Plugged(part) => {
                match self.studio.take_up(part, &self.counts) {
                    Ok(true) => {
                        self.apply(None);
                        self.tell(CallEvent::Restored(part)).await;
                    }
                    Ok(false) => {}
                    Err(why) => tracing::error!("nothing can be sent in place of a broken device: {why}"),
                }
                return;
            }
            MediaNews::Undecodable(why) => Fault::Undecodable { why },
            MediaNews::InstrumentLost(why) => Fault::Undecodable { why },
            MediaNews::InstrumentClosed(feed, number) => {
                self.studio.instrument_closed(feed, number);
                self.apply(None);
                return;
            }
            MediaNews::PictureLost(why) => {
                self.replace_broken(Part::Camera);
                Fault::CameraLost { why }
            }
            MediaNews::SoundLost(why) => {
                self.replace_broken(Part::Microphone);
                Fault::MicrophoneLost { why }
            }
        };
        self.tell(CallEvent::Fault(fault)).await;
    }

    fn replace_broken(&mut self, part: Part) {
        if let Err(why) = self.studio.replace_broken(part, &self.counts) {
            tracing::error!("nothing can be sent in place of a broken device: {why}");
        }
        self.apply(None);
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
            self.studio.force_instrument_key_frame();
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
        let (line, plan) = (*self.peer.line.borrow(), self.policy.plan());
        let stats = Stats {
            round_trip_milliseconds: self.round_trip_milliseconds().await,
            line_bits_per_second: line.bits_per_second,
            picture_bits_per_second: plan.video.bits_per_second,
            picture_height: plan.video.height,
            stills: plan.video.stills,
            received_lost_thousandths: self.counts.arrivals.lost_thousandths(),
            kept_milliseconds: u32::try_from(self.kept.borrow().as_millis()).unwrap_or(u32::MAX),
            sent_bits_per_second: rate(sent, sent_before),
            received_bits_per_second: rate(received, received_before),
            lost_thousandths: line.lost_thousandths,
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
