//! Two ends of our own, without a browser. The one that calls is a cabin too, made to offer.

use crate::*;
use bytes::Bytes;
use rtc::peer_connection::configuration::RTCOfferOptions;
use std::time::Duration;
use webrtc::data_channel::RTCDataChannelInit;

/// Nothing here takes longer, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct End {
    pub(crate) call: Call,
    events: mpsc::Receiver<CallEvent>,
    pub(crate) early: Vec<CallEvent>,
}

impl End {
    pub(crate) async fn new() -> End {
        End::with(VideoSource::TestPicture, AudioSource::TestTone).await
    }

    async fn with(video_source: VideoSource, audio_source: AudioSource) -> End {
        End::start(Settings { video_source, audio_source, ..Settings::default() }).await
    }

    /// Heard by nobody.
    pub(crate) async fn start(settings: Settings) -> End {
        let (told, events) = mpsc::channel(64);
        let settings = Settings { audio_sink: AudioSink::Silent, ..settings };
        End { call: Call::start(settings, told).await.expect("a call"), events, early: Vec::new() }
    }

    /// The first event, past or coming, that `wanted` accepts.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&CallEvent) -> bool) -> CallEvent {
        if let Some(found) = self.early.iter().position(&wanted) {
            return self.early.remove(found);
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(event)) if wanted(&event) => return event,
                Ok(Some(event)) => self.early.push(event),
                Ok(None) | Err(_) => panic!("no {what}; told so far: {:?}", self.early),
            }
        }
    }

    /// One event that nobody waits for.
    pub(crate) async fn drain(&mut self) -> Option<CallEvent> {
        self.events.recv().await
    }

    async fn candidate(&mut self) -> Candidate {
        match self.until("candidate", |event| matches!(event, CallEvent::LocalCandidate(_))).await {
            CallEvent::LocalCandidate(candidate) => candidate,
            other => panic!("{other:?}"),
        }
    }
}

/// A page's part, played by a peer of our own: it offers and opens the channels.
pub(crate) async fn offer(end: &End) -> String {
    let connection = &end.call.peer.connection;
    for (label, live) in [("record", false), ("live", true), ("documents", false)] {
        let init =
            RTCDataChannelInit { ordered: !live, max_packet_life_time: live.then_some(500), ..Default::default() };
        let channel = connection.create_data_channel(label, Some(init)).await.expect("a channel");
        end.call.peer.news.try_send(peer::PeerNews::Channel(channel)).expect("room for a channel");
    }
    let offer = connection.create_offer(None).await.expect("an offer");
    let sdp = offer.sdp.clone();
    connection.set_local_description(offer).await.expect("an offer taken");
    sdp
}

pub(crate) async fn answered(end: &End, sdp: String) {
    let answer = RTCSessionDescription::answer(sdp).expect("an answer");
    end.call.peer.connection.set_remote_description(answer).await.expect("an answer taken");
    let early = end.call.early.lock().await.take();
    for candidate in early.into_iter().flatten() {
        end.call.add_candidate(candidate).await.expect("a candidate");
    }
    let agreed = end.call.peer.agreed().await;
    end.call.orders.send(run::Order::Answered(agreed)).await.expect("the call's task");
}

async fn connected() -> (End, End) {
    connected_with(End::new().await).await
}

async fn connected_with(cabin: End) -> (End, End) {
    connect(End::new().await, cabin).await
}

/// The first of the two calls.
pub(crate) async fn connect(mut page: End, mut cabin: End) -> (End, End) {
    let answer = cabin.call.remote_offer(&offer(&page).await).await.expect("an answer");
    answered(&page, answer).await;
    // Loopback is always among the first few addresses; the rest is found on the way.
    let (of_page, of_cabin) = (page.candidate().await, cabin.candidate().await);
    cabin.call.remote_candidate(of_page).await.expect("a candidate");
    page.call.remote_candidate(of_cabin).await.expect("a candidate");
    for end in [&mut page, &mut cabin] {
        end.until("connection", |event| *event == CallEvent::Connected).await;
        for label in ["record", "live", "documents"] {
            end.until(label, |event| matches!(event, CallEvent::ChannelOpen { channel } if channel == label)).await;
        }
    }
    (page, cabin)
}

/// Hands each end's candidates to the other, as a desk does, until the cabin is told what `done` accepts.
pub(crate) async fn carry(page: &mut End, cabin: &mut End, done: impl Fn(&CallEvent) -> bool) {
    loop {
        let (from_page, event) = tokio::select! {
            event = page.events.recv() => (true, event.expect("a call")),
            event = cabin.events.recv() => (false, event.expect("a call")),
        };
        match event {
            CallEvent::LocalCandidate(candidate) => {
                let to = if from_page { &cabin.call } else { &page.call };
                to.remote_candidate(candidate).await.expect("a candidate");
            }
            event if !from_page && done(&event) => return,
            event => if from_page { &mut *page } else { &mut *cabin }.early.push(event),
        }
    }
}

/// An offer that restarts ICE.
pub(crate) async fn offer_again(end: &End) -> String {
    let connection = &end.call.peer.connection;
    let offer = connection.create_offer(Some(RTCOfferOptions { ice_restart: true })).await.expect("an offer");
    let sdp = offer.sdp.clone();
    connection.set_local_description(offer).await.expect("an offer taken");
    sdp
}

/// A line between two ends that can be cut: like a NAT, one socket for each address that comes through.
struct Line {
    address: std::net::SocketAddr,
    cut: Arc<std::sync::atomic::AtomicBool>,
    /// Encryption never completes: packets of DTLS are lost (RFC 7983, 7), checks of the way are not.
    without_encryption: Arc<std::sync::atomic::AtomicBool>,
    _tasks: tokio::task::JoinSet<()>,
}

impl Line {
    /// Leads to `far`, an address of the other end.
    async fn to(far: std::net::SocketAddr) -> Line {
        let near = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
        let address = near.local_addr().expect("a port");
        let cut = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut tasks = tokio::task::JoinSet::new();
        let cut_now = Arc::clone(&cut);
        let without_encryption = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let without = Arc::clone(&without_encryption);
        tasks.spawn(async move {
            let mut ways: HashMap<std::net::SocketAddr, Arc<tokio::net::UdpSocket>> = HashMap::new();
            let mut back = tokio::task::JoinSet::new();
            let mut packet = [0; 2_048];
            while let Ok((size, from)) = near.recv_from(&mut packet).await {
                if let std::collections::hash_map::Entry::Vacant(entry) = ways.entry(from) {
                    let way = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
                    entry.insert(Arc::clone(&way));
                    let (near, cut, without) = (Arc::clone(&near), Arc::clone(&cut_now), Arc::clone(&without));
                    back.spawn(async move {
                        let mut packet = [0; 2_048];
                        while let Ok((size, _)) = way.recv_from(&mut packet).await {
                            let is_lost = without.load(Ordering::Relaxed) && (20..64).contains(&packet[0]);
                            if !is_lost && !cut.load(Ordering::Relaxed) {
                                let _ = near.send_to(&packet[..size], from).await;
                            }
                        }
                    });
                }
                let is_lost = without.load(Ordering::Relaxed) && (20..64).contains(&packet[0]);
                if !is_lost && !cut_now.load(Ordering::Relaxed) {
                    let _ = ways[&from].send_to(&packet[..size], far).await;
                }
            }
        });
        Line { address, cut, without_encryption, _tasks: tasks }
    }

    /// A line between two fresh ends, and the ends, each of which learns nothing of the other but the line's address.
    async fn between(without_encryption: bool) -> (Line, End, End) {
        let (page, mut cabin) = (End::new().await, End::new().await);
        let answer = cabin.call.remote_offer(&offer(&page).await).await.expect("an answer");
        answered(&page, answer).await;
        loop {
            let candidate = cabin.candidate().await;
            let words: Vec<&str> = candidate.candidate.split(' ').collect();
            if words[4] == "127.0.0.1" {
                let line = Line::to(format!("127.0.0.1:{}", words[5]).parse().expect("an address")).await;
                line.without_encryption.store(without_encryption, Ordering::Relaxed);
                let through = format!("candidate:1 1 udp 2130706431 127.0.0.1 {} typ host", line.address.port());
                page.call.remote_candidate(Candidate { candidate: through, ..candidate }).await.expect("a candidate");
                return (line, page, cabin);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_encryption_does_not_complete_is_given_up_within_seconds_and_the_next_one_comes() {
    let (_line, page, mut cabin) = Line::between(true).await;
    let begun_at = Instant::now();
    let told = cabin.until("end of waiting", |event| matches!(event, CallEvent::Stuck(_) | CallEvent::Connected)).await;
    assert_eq!(told, CallEvent::Stuck(Stuck::NoEncryption));
    let waited = begun_at.elapsed();
    assert!(waited < ENCRYPTION_MAX + Duration::from_secs(3), "{waited:?}");
    // What the cabin does then (`run_loop`): a fresh call on both sides.
    cabin.call.close().await;
    page.call.close().await;
    let (_line, page, mut cabin) = Line::between(false).await;
    cabin.until("connection", |event| *event == CallEvent::Connected).await;
    moving_picture(cabin.call.remote_picture()).await;
    cabin.call.close().await;
    page.call.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_line_is_reported_and_the_same_call_resumes_when_it_is_back() {
    let (line, mut page, mut cabin) = Line::between(false).await;
    cabin.until("connection", |event| *event == CallEvent::Connected).await;
    cabin.until("channel", |event| matches!(event, CallEvent::ChannelOpen { channel } if channel == "record")).await;
    moving_picture(cabin.call.remote_picture()).await;

    line.cut.store(true, Ordering::Relaxed);
    cabin.until("interruption", |event| *event == CallEvent::Interrupted).await;
    page.until("interruption", |event| *event == CallEvent::Interrupted).await;
    cabin.call.send_text("record", "written in the dark").await.expect("room on the channel");
    line.cut.store(false, Ordering::Relaxed);
    cabin.until("return", |event| *event == CallEvent::Resumed).await;
    let written = page.until("what was written", |event| matches!(event, CallEvent::Data { .. })).await;
    assert!(matches!(written, CallEvent::Data { bytes, .. } if &bytes[..] == b"written in the dark"));
    moving_picture(cabin.call.remote_picture()).await;
    moving_picture(page.call.remote_picture()).await;
    cabin.call.close().await;
    page.call.close().await;
}

async fn moving_picture(mut slot: watch::Receiver<Option<Frame>>) {
    let mut seen: Vec<Frame> = Vec::new();
    while seen.len() < 5 {
        tokio::time::timeout(PATIENCE, slot.changed()).await.expect("a picture in time").expect("a running call");
        if let Some(frame) = slot.borrow_and_update().clone()
            && seen.last().is_none_or(|last| last.rgba() != frame.rgba())
        {
            assert_eq!(frame.rgba().len(), (frame.width * frame.height * 4) as usize);
            seen.push(frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_or_microphone_that_is_off_sends_nothing_and_the_far_end_is_still_seen_and_heard() {
    for (video, audio) in [(VideoSource::Off, AudioSource::TestTone), (VideoSource::TestPicture, AudioSource::Off)] {
        let camera_off = video == VideoSource::Off;
        let (mut page, mut cabin) = connected_with(End::with(video, audio).await).await;
        moving_picture(cabin.call.remote_picture()).await;
        // Two reports: the first may be from before the connection.
        let mut heard = f32::MIN;
        for _ in 0..2 {
            let told = page.until("report", |event| matches!(event, CallEvent::Stats(_))).await;
            let CallEvent::Stats(stats) = told else { panic!("{told:?}") };
            heard = heard.max(stats.remote_decibels);
            let told = cabin.until("report", |event| matches!(event, CallEvent::Stats(_))).await;
            assert!(matches!(told, CallEvent::Stats(stats) if stats.remote_pictures > 0), "{told:?}");
        }
        if camera_off {
            assert!(page.call.remote_picture().borrow().is_none(), "a picture came from a camera that is off");
            assert!(cabin.call.own_picture().borrow().is_none());
            assert!(heard > -60.0, "the microphone is on, and {heard} dB were heard");
        } else {
            moving_picture(page.call.remote_picture()).await;
            assert!(heard < -100.0, "{heard} dB came from a microphone that is off");
        }
        let faults: Vec<_> = cabin.early.iter().filter(|event| matches!(event, CallEvent::Fault(_))).collect();
        assert!(faults.is_empty(), "off is no fault: {faults:?}");
        cabin.call.close().await;
        page.call.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ends_see_hear_and_write_to_each_other_and_forget_the_last_picture() {
    let (mut page, mut cabin) = connected().await;
    moving_picture(cabin.call.own_picture()).await;
    moving_picture(cabin.call.remote_picture()).await;
    moving_picture(page.call.remote_picture()).await;
    let frame = cabin.call.remote_picture().borrow().clone().expect("a picture");
    assert_eq!(frame.width * 3, frame.height * 4, "640x480, or less of it on a busy machine");

    cabin.call.send_text("record", "{\"spo2_percent\":97}").await.expect("text");
    cabin.call.send_now("live", &[1, 2, 3]).await.expect("a piece of curve");
    page.call.send("documents", &vec![7; MESSAGE_BYTES_MAX]).await.expect("a piece of document");
    let text = page.until("text", |event| matches!(event, CallEvent::Data { text: true, .. })).await;
    assert_eq!(
        text,
        CallEvent::Data { channel: "record".into(), bytes: Bytes::from("{\"spo2_percent\":97}"), text: true }
    );
    let curve = page.until("curve", |event| matches!(event, CallEvent::Data { text: false, .. })).await;
    assert_eq!(curve, CallEvent::Data { channel: "live".into(), bytes: Bytes::from_static(&[1, 2, 3]), text: false });
    let piece = cabin.until("document", |event| matches!(event, CallEvent::Data { .. })).await;
    assert!(matches!(piece, CallEvent::Data { bytes, .. } if bytes.len() == MESSAGE_BYTES_MAX));
    assert!(matches!(cabin.call.send("record", &vec![0; MESSAGE_BYTES_MAX + 1]).await, Err(CallError::TooLong { .. })));
    assert_eq!(cabin.call.send("other", b"x").await, Err(CallError::NotOpen { channel: "other".to_owned() }));

    // A tone of -33 dB full scale is sent; after Opus it is heard as loud at the other end.
    let heard = |event: &CallEvent| matches!(event, CallEvent::Stats(stats) if stats.remote_decibels > -45.0 && stats.remote_pictures > 5);
    cabin.until("voice", heard).await;

    cabin.call.mute_microphone(true);
    page.until("silence", |event| matches!(event, CallEvent::Stats(stats) if stats.remote_decibels < -70.0)).await;
    cabin.call.mute_camera(true);
    let mut seen = page.call.remote_picture();
    let black = |frame: &Option<Frame>| {
        frame.as_ref().is_some_and(|f| f.rgba().chunks(4).all(|p| p[0] < 30 && p[1] < 30 && p[2] < 30))
    };
    tokio::time::timeout(PATIENCE, seen.wait_for(black)).await.expect("black in time").expect("a running call");
    drop(seen);

    cabin.call.close().await;
    cabin.until("end", |event| *event == CallEvent::Ended).await;
    assert!(cabin.call.remote_picture().borrow().is_none(), "the last picture is forgotten");
    assert!(cabin.call.own_picture().borrow().is_none());
    assert!(cabin.call.send("record", b"x").await.is_err());
    page.until("end", |event| {
        matches!(event, CallEvent::Ended | CallEvent::Interrupted | CallEvent::ChannelClosed { .. })
    })
    .await;
    page.call.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_camera_microphone_or_loudspeaker_the_call_says_so_and_goes_on() {
    let (told, mut events) = mpsc::channel(64);
    let settings = Settings {
        video_source: VideoSource::Device("/dev/no-camera".to_owned()),
        audio_source: AudioSource::Device("hw:NoMicrophone".to_owned()),
        audio_sink: AudioSink::Device("hw:NoLoudspeaker".to_owned()),
        ..Settings::default()
    };
    let call = Call::start(settings, told).await.expect("a call");
    let mut missing = (false, false, false);
    while missing != (true, true, true) {
        match tokio::time::timeout(PATIENCE, events.recv()).await.expect("faults in time") {
            Some(CallEvent::Fault(Fault::CameraLost { .. })) => missing.0 = true,
            Some(CallEvent::Fault(Fault::MicrophoneLost { .. })) => missing.1 = true,
            Some(CallEvent::Fault(Fault::LoudspeakerLost { .. })) => missing.2 = true,
            other => panic!("{other:?}"),
        }
    }
    moving_picture(call.own_picture()).await;
    call.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_ends_by_itself() {
    let End { call, mut events, .. } = End::new().await;
    let own = call.own_picture();
    drop(call);
    let end = async { while events.recv().await.is_some_and(|event| event != CallEvent::Ended) {} };
    tokio::time::timeout(PATIENCE, end).await.expect("the end in time");
    assert!(own.borrow().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_descriptions_candidates_and_sizes_are_refused_and_the_call_goes_on() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let seed = rand::random();
    println!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let page = End::new().await;
    let good = offer(&page).await;
    let end = End::new().await;
    assert!(matches!(end.call.remote_offer("hello").await, Err(CallError::Refused { .. })));
    assert!(matches!(
        end.call.remote_offer(&"v=0\r\n".repeat(DESCRIPTION_BYTES_MAX)).await,
        Err(CallError::TooLong { .. })
    ));
    let lines: Vec<&str> = good.split("\r\n").collect();
    let mut refused = 0;
    for _ in 0..60 {
        let mut bad: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..chance.random_range(1..5) {
            let at = chance.random_range(0..bad.len());
            match chance.random_range(0..4) {
                0 => drop(bad.remove(at)),
                1 => bad.insert(at, lines[chance.random_range(0..lines.len())].to_owned()),
                2 => bad[at].push_str(&"9".repeat(chance.random_range(1..60))),
                _ => {
                    let line: String = bad[at]
                        .chars()
                        .map(|letter| if chance.random_bool(0.2) { chance.random_range(' '..'~') } else { letter })
                        .collect();
                    bad[at] = line;
                }
            }
        }
        // A fresh call each, as an accepted half of an offer would hide the next.
        if chance.random_bool(0.1) {
            let other = End::new().await;
            let _ = other.call.remote_offer(&bad.join("\r\n")).await;
            other.call.close().await;
        } else if end.call.remote_offer(&bad.join("\r\n")).await.is_err() {
            refused += 1;
        }
    }
    assert!(refused > 0, "no mutation was noticed");
    let candidate = |text: String| Candidate { candidate: text, sdp_mid: None, sdp_m_line_index: Some(0) };
    assert!(end.call.remote_candidate(candidate("x".repeat(CANDIDATE_BYTES_MAX + 1))).await.is_err());
    for _ in 0..200 {
        let text: String = (0..chance.random_range(0..80)).map(|_| chance.random_range(' '..'~')).collect();
        let _ = end.call.remote_candidate(candidate(format!("candidate:{text}"))).await;
    }
    // The call still answers and closes.
    end.call.close().await;
    page.call.close().await;

    let calm = End::new().await;
    for number in 0..CANDIDATES_WAITING_MAX {
        let line = format!("candidate:1 1 udp 1 127.0.0.1 {} typ host", 1_000 + number);
        calm.call.remote_candidate(candidate(line)).await.expect("room");
    }
    assert!(calm.call.remote_candidate(candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host".into())).await.is_err());
    calm.call.close().await;
}
