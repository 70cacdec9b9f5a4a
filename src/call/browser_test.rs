//! The cabin's end of a call against a real, headless Chromium with its fake camera and microphone. The page
//! (`browser_test.html`) drives itself: it makes the offer, and reports what it saw and heard over a
//! WebSocket of this test.

use call::{AudioSink, AudioSource, Call, CallEvent, Candidate, Frame, Settings, SoundBlock, VideoSource};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

#[path = "browser_relay.rs"]
#[allow(clippy::print_stdout, reason = "what was skipped, and the route taken, are printed")]
mod relay;

/// Nothing here takes longer, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Different pictures that prove that a picture moves.
const PICTURES: usize = 5;

/// A running browser; dropping it ends it and removes its profile.
struct Browser {
    process: Child,
    profile: PathBuf,
}

impl Browser {
    fn start(address: &str) -> Browser {
        let profile = std::env::temp_dir().join(format!("call-browser-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&profile);
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"])
            .arg("--autoplay-policy=no-user-gesture-required")
            // Without it Chromium looks for no path on a machine that has only loopback.
            .arg("--allow-loopback-in-peer-connection")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(address)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true);
        let process = command.spawn().expect("chromium is installed (Debian package chromium)");
        Browser { process, profile }
    }

    async fn stop(mut self) {
        self.process.kill().await.expect("a browser to stop");
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Serves the page to whoever asks. A browser opens spare connections: each is on its own task.
async fn serve_page(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let page = include_str!("browser_test.html");
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close";
                let _ = stream
                    .write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len()).as_bytes())
                    .await;
            }
        });
    }
}

/// One call with the page.
struct Meeting<'a> {
    call: Call,
    events: mpsc::Receiver<CallEvent>,
    page: &'a mut WebSocketStream<TcpStream>,
    told: Vec<CallEvent>,
    report: Value,
    /// Different pictures of the page's camera seen by the cabin.
    pictures: HashSet<u64>,
    loudest_decibels: f32,
    answers: usize,
}

impl<'a> Meeting<'a> {
    async fn begin(page: &'a mut WebSocketStream<TcpStream>) -> Meeting<'a> {
        Meeting::begin_with(page, Settings::default(), Value::Null).await
    }

    /// `ice` is the page's `RTCConfiguration`.
    async fn begin_with(page: &'a mut WebSocketStream<TcpStream>, settings: Settings, ice: Value) -> Meeting<'a> {
        Meeting::begin_as(page, settings, json!({ "do": "call", "ice": ice })).await
    }

    /// `said` is what makes the page offer.
    async fn begin_as(page: &'a mut WebSocketStream<TcpStream>, settings: Settings, said: Value) -> Meeting<'a> {
        let (told, events) = mpsc::channel(64);
        let settings = Settings {
            video_source: VideoSource::TestPicture,
            audio_source: AudioSource::TestTone,
            audio_sink: AudioSink::Silent,
            ..settings
        };
        let call = Call::start(settings, told).await.expect("a call");
        page.send(Message::text(said.to_string())).await.expect("the page");
        Meeting {
            call,
            events,
            page,
            told: Vec::new(),
            report: Value::Null,
            pictures: HashSet::new(),
            loudest_decibels: -120.0,
            answers: 0,
        }
    }

    /// Carries messages between the page and the call until `done`, asking the page for reports.
    async fn until(&mut self, what: &str, done: impl Fn(&Meeting) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut ask = tokio::time::interval(Duration::from_millis(200));
        let mut remote = self.call.remote_picture();
        while !done(self) {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {
                    let told = &self.told[self.told.len().saturating_sub(12)..];
                    panic!("no {what}: the page reports {}, the cabin was told at last {told:?}", self.report)
                }
                _ = ask.tick() => self.say(json!({ "do": "report" })).await,
                Some(event) = self.events.recv() => self.hear_call(event).await,
                Some(message) = self.page.next() => self.hear_page(&message.expect("the page")).await,
                Ok(()) = remote.changed() => {
                    if let Some(frame) = remote.borrow_and_update().as_ref() {
                        self.pictures.insert(content(frame));
                    }
                }
            }
        }
    }

    async fn say(&mut self, message: Value) {
        self.page.send(Message::text(message.to_string())).await.expect("the page");
    }

    async fn hear_call(&mut self, event: CallEvent) {
        match event {
            CallEvent::LocalCandidate(candidate) => {
                self.say(json!({ "candidate": {
                    "candidate": candidate.candidate,
                    "sdpMid": candidate.sdp_mid,
                    "sdpMLineIndex": candidate.sdp_m_line_index,
                } }))
                .await;
            }
            CallEvent::Stats(stats) => {
                self.loudest_decibels = self.loudest_decibels.max(stats.remote_decibels);
                self.told.push(CallEvent::Stats(stats));
            }
            CallEvent::Data { channel, bytes, text } => {
                let known = ["record", "live", "documents"].contains(&channel.as_str());
                assert!(known, "{channel}");
                // Everything goes back as it came.
                if text {
                    let text = std::str::from_utf8(&bytes).expect("text");
                    self.call.send_text(&channel, text).await.expect("an open channel");
                } else {
                    self.call.send(&channel, &bytes).await.expect("an open channel");
                }
                self.told.push(CallEvent::Data { channel, bytes, text });
            }
            event => self.told.push(event),
        }
    }

    async fn hear_page(&mut self, message: &Message) {
        let Message::Text(text) = message else { return };
        let message: Value = serde_json::from_str(text).expect("JSON");
        if let Some(sdp) = message["offer"].as_str() {
            let answer = self.call.remote_offer(sdp).await.expect("an answer");
            self.answers += 1;
            self.say(json!({ "answer": answer })).await;
        } else if let Some(candidate) = message["candidate"]["candidate"].as_str() {
            let candidate = Candidate {
                candidate: candidate.to_owned(),
                sdp_mid: message["candidate"]["sdpMid"].as_str().map(str::to_owned),
                sdp_m_line_index: message["candidate"]["sdpMLineIndex"].as_u64().and_then(|n| u16::try_from(n).ok()),
            };
            self.call.remote_candidate(candidate).await.expect("a candidate taken");
        } else if message["report"].is_object() {
            self.report = message["report"].clone();
        } else if let Some(error) = message["error"].as_str() {
            panic!("the page: {error}");
        }
    }

    fn was_told(&self, event: &CallEvent) -> bool {
        self.told.contains(event)
    }

    fn number(&self, what: &str) -> f64 {
        self.report[what].as_f64().unwrap_or(0.0)
    }
}

/// An otoscope and a stethoscope: pictures that change, and a tone, until it is aborted.
fn feed_instrument(call: &Call, width: u32) -> tokio::task::JoinHandle<()> {
    let height = width / 4 * 3;
    let (pictures, shown) = watch::channel(None);
    let (blocks, heard) = mpsc::channel(8);
    call.show_instrument(shown);
    call.hear_instrument(heard);
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(40));
        for number in 1_u64.. {
            every.tick().await;
            let pixel = [(number * 9) as u8, 90, (number * 5) as u8, 255];
            let rgba = pixel.repeat((width * height) as usize).into();
            pictures.send_replace(Some(Frame { width, height, pixels: media::Pixels::Rgba(rgba), number }));
            let samples: Vec<i16> = (0..1_920)
                .map(|at| {
                    let seconds = (number * 1_920 + at) as f64 / 48_000.0;
                    (8_000.0 * (seconds * 100.0 * std::f64::consts::TAU).sin()) as i16
                })
                .collect();
            let block = SoundBlock { rate: 48_000, samples: samples.into(), missing: Duration::ZERO };
            if blocks.send(block).await.is_err() {
                return;
            }
        }
    })
}

fn content(frame: &Frame) -> u64 {
    let mut hasher = DefaultHasher::new();
    frame.rgba().hash(&mut hasher);
    hasher.finish()
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

/// Threads of GLib's and Tokio's pools linger for some seconds before they end by themselves.
async fn settled(directory: &str, limit: usize) -> usize {
    let deadline = Instant::now() + PATIENCE;
    while count(directory) > limit && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    count(directory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_and_the_cabin_see_hear_and_write_to_each_other_twice() {
    let pages = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sockets = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ports = (pages.local_addr().expect("a port").port(), sockets.local_addr().expect("a port").port());
    let serving = tokio::spawn(serve_page(pages));
    let browser = Browser::start(&format!("http://127.0.0.1:{}/?socket={}", ports.0, ports.1));
    let (stream, _) = timeout(PATIENCE, sockets.accept()).await.expect("the page in time").expect("a connection");
    let mut page = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");

    let threads_before = count("/proc/self/task");
    let mut files = Vec::new();
    for _ in 0..2 {
        let mut meeting = Meeting::begin(&mut page).await;
        meeting.until("connection", |m| m.was_told(&CallEvent::Connected)).await;
        meeting.until("moving picture in the cabin", |m| m.pictures.len() >= PICTURES).await;
        meeting.until("moving picture on the page", |m| m.number("pictures") >= PICTURES as f64).await;
        // 640x480, or less of it on a busy machine, which looks like a slow line.
        assert_eq!(meeting.number("width") * 3.0, meeting.number("height") * 4.0);
        meeting.until("sound on the page", |m| m.number("energy") > 0.0).await;
        // Chromium's fake microphone beeps.
        meeting.until("sound in the cabin", |m| m.loudest_decibels > -50.0).await;
        // What an instrument sees and hears comes beside them, twice: a later one takes the place of the former.
        let before = (meeting.number("frames"), meeting.number("energy"));
        for width in [320, 240] {
            let seen = (meeting.number("instrumentFrames"), meeting.number("instrumentEnergy"));
            let feeding = feed_instrument(&meeting.call, width);
            meeting
                .until("instrument on the page", |m| {
                    m.number("instrumentFrames") >= seen.0 + PICTURES as f64
                        && m.number("instrumentWidth") == f64::from(width)
                        && m.number("instrumentEnergy") > seen.1
                })
                .await;
            feeding.abort();
        }
        meeting
            .until("room beside the instrument", |m| m.number("frames") > before.0 && m.number("energy") > before.1)
            .await;
        meeting
            .until("echo on all three channels", |m| {
                ["record", "live", "documents"].iter().all(|channel| m.report["echoed"][*channel] == json!(true))
            })
            .await;
        for channel in ["record", "live", "documents"] {
            let channel = channel.to_owned();
            assert!(meeting.was_told(&CallEvent::ChannelOpen { channel }), "{:?}", meeting.told);
        }
        meeting
            .until("a figure of the line", |m| {
                m.told.iter().any(|event| matches!(event, CallEvent::Stats(s) if s.round_trip_milliseconds.is_some()))
            })
            .await;

        meeting.say(json!({ "do": "restart" })).await;
        meeting.until("second answer", |m| m.answers == 2).await;
        meeting.until("new path", |m| m.report["restarted"] == json!(true)).await;
        meeting.pictures.clear();
        let seen = meeting.number("pictures") + PICTURES as f64;
        let frames = meeting.number("frames");
        meeting
            .until("picture after an ICE restart", |m| {
                m.pictures.len() >= PICTURES && m.number("pictures") >= seen && m.number("frames") > frames
            })
            .await;
        assert!(!meeting.told.iter().any(|event| matches!(event, CallEvent::Stuck(_) | CallEvent::Fault(_))));

        meeting.call.close().await;
        let mut rest = Vec::new();
        while let Ok(event) = meeting.events.try_recv() {
            rest.push(event);
        }
        assert!(rest.contains(&CallEvent::Ended), "{rest:?}");
        assert!(meeting.call.remote_picture().borrow().is_none());
        meeting.until("end on the page", |m| m.report["ended"] == json!(true)).await;
        drop(meeting);
        let threads = settled("/proc/self/task", threads_before).await;
        assert!(threads <= threads_before, "{threads} threads, {threads_before} before the first call");
        files.push(count("/proc/self/fd"));
    }
    assert!(files[1] <= files[0], "a second call leaves more files open than the first: {files:?}");
    serving.abort();
    browser.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_takes_only_h264_sees_the_cabin_and_is_seen() {
    let pages = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sockets = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ports = (pages.local_addr().expect("a port").port(), sockets.local_addr().expect("a port").port());
    let serving = tokio::spawn(serve_page(pages));
    let browser = Browser::start(&format!("http://127.0.0.1:{}/?socket={}", ports.0, ports.1));
    let (stream, _) = timeout(PATIENCE, sockets.accept()).await.expect("the page in time").expect("a connection");
    let mut page = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");
    // VP8 alone after it: the same program serves one physician after another.
    for only in ["video/H264", "video/VP8"] {
        let said = json!({ "do": "call", "only": only });
        let mut meeting = Meeting::begin_as(&mut page, Settings::default(), said).await;
        meeting.until("connection", |m| m.was_told(&CallEvent::Connected)).await;
        meeting.until("moving picture in the cabin", |m| m.pictures.len() >= PICTURES).await;
        meeting.until("moving picture on the page", |m| m.number("pictures") >= PICTURES as f64).await;
        let feeding = feed_instrument(&meeting.call, 320);
        meeting
            .until("instrument on the page", |m| {
                m.number("instrumentFrames") >= PICTURES as f64 && m.number("instrumentWidth") == 320.0
            })
            .await;
        feeding.abort();
        meeting.until("the encodings", |m| m.report["encodings"] == json!([only, only])).await;
        assert!(!meeting.told.iter().any(|event| matches!(event, CallEvent::Fault(_))), "{:?}", meeting.told);
        meeting.call.close().await;
        meeting.until("end on the page", |m| m.report["ended"] == json!(true)).await;
    }
    serving.abort();
    browser.stop().await;
}
