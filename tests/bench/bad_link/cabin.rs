//! The cabin as one end of a call: `call` itself, in the network of that end.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use call::{AudioSink, AudioSource, Call, CallEvent, Candidate, Settings, VideoSource};
use link::Pair;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

use crate::end::{End, MESSAGES_MAX};

/// Starts a cabin's end at the near end. It answers, as a cabin does. Where there is `speech`, it says that, and keeps
/// what it hears in a file of `folder`.
pub fn open(pair: Arc<Pair>, speech: Option<&Path>, folder: &Path) -> Result<End> {
    let voice = speech.map(|speech| Voice { speech: speech.to_owned(), heard: folder.join("heard.raw") });
    let (to, told) = mpsc::channel::<Value>(MESSAGES_MAX);
    let (says, from) = mpsc::channel(MESSAGES_MAX);
    std::thread::Builder::new().name("cabin".to_owned()).spawn(move || {
        if let Err(error) = run(&pair, voice, told, &says) {
            let _ = says.blocking_send(json!({ "error": format!("{error:#}") }));
        }
    })?;
    Ok(End { to, from })
}

/// What is said, and where what is heard is kept.
#[derive(Clone)]
struct Voice {
    speech: PathBuf,
    heard: PathBuf,
}

fn run(pair: &Arc<Pair>, voice: Option<Voice>, told: mpsc::Receiver<Value>, says: &mpsc::Sender<Value>) -> Result<()> {
    pair.near.enter()?;
    let inside = Arc::clone(pair);
    // Every thread that may open a socket is in that network.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            if let Err(error) = inside.near.enter() {
                tracing::error!(%error, "a thread outside the line");
            }
        })
        .build()?;
    runtime.block_on(answer(voice, told, says))
}

/// One call after another: a page with another certificate has dialled anew (as in the cabin's `take_offer`).
async fn answer(voice: Option<Voice>, mut told: mpsc::Receiver<Value>, says: &mpsc::Sender<Value>) -> Result<()> {
    let heard_bytes = || voice.as_ref().map_or(0, |voice| std::fs::metadata(&voice.heard).map_or(0, |file| file.len()));
    let mut recorded_from = 0;
    let mut calls: Option<(String, Taken)> = None;
    let (mut frames_before, mut loud_before) = (0, 0);
    says.send(json!({ "ready": true })).await?;
    while let Some(message) = told.recv().await {
        if let Some(sdp) = message["offer"].as_str() {
            let fingerprint =
                sdp.lines().find_map(|line| line.strip_prefix("a=fingerprint:")).context("a fingerprint")?.to_owned();
            if calls.as_ref().is_none_or(|(former, _)| *former != fingerprint) {
                if let Some((_, former)) = calls.take() {
                    frames_before += former.frames.load(Ordering::Relaxed);
                    loud_before += former.call.remote_sound().loud_milliseconds();
                    former.call.close().await;
                }
                calls = Some((fingerprint, Taken::start(voice.as_ref(), says.clone()).await?));
            }
            let (_, taken) = calls.as_ref().context("a call")?;
            says.send(json!({ "answer": taken.call.remote_offer(sdp).await? })).await?;
        } else if let Some(candidate) = message["candidate"]["candidate"].as_str() {
            let candidate = Candidate {
                candidate: candidate.to_owned(),
                sdp_mid: message["candidate"]["sdp_mid"].as_str().map(str::to_owned),
                sdp_m_line_index: message["candidate"]["sdp_m_line_index"].as_u64().and_then(|n| n.try_into().ok()),
            };
            if let Some((_, taken)) = &calls {
                // One of a connection that is gone.
                taken.call.remote_candidate(candidate).await.ok();
            }
        } else if message["do"] == "fresh" {
            if let Some((_, taken)) = &calls {
                taken.call.remote_sound().listen_anew();
            }
        } else if message["do"] == "record" {
            recorded_from = heard_bytes();
        } else if message["do"] == "recorded" {
            let voice = voice.as_ref().context("nothing is recorded")?;
            let bytes = std::fs::read(&voice.heard)?;
            let bytes = bytes.get(usize::try_from(recorded_from)?..).context("a recording that grows")?;
            says.send(json!({ "recorded": BASE64.encode(bytes) })).await?;
        } else if message["do"] == "report" {
            let report = match &calls {
                None => json!({}),
                Some((_, taken)) => json!({
                    "frames": frames_before + taken.frames.load(Ordering::Relaxed),
                    "loud_ms": loud_before + taken.call.remote_sound().loud_milliseconds(),
                    "silence_ms": taken.call.remote_sound().longest_silence().as_millis() as u64,
                    "height": taken.call.remote_picture().borrow().as_ref().map_or(0, |frame| frame.height),
                }),
            };
            says.send(json!({ "report": report })).await?;
        }
    }
    if let Some((_, taken)) = calls {
        taken.call.close().await;
    }
    Ok(())
}

struct Taken {
    call: Call,
    frames: Arc<AtomicU64>,
}

impl Taken {
    async fn start(voice: Option<&Voice>, says: mpsc::Sender<Value>) -> Result<Taken> {
        let (tell, mut events) = mpsc::channel(MESSAGES_MAX);
        let settings = Settings {
            video_source: VideoSource::BusyPicture,
            audio_source: voice.map_or(AudioSource::TestTone, |voice| AudioSource::Recording(voice.speech.clone())),
            audio_sink: voice.map_or(AudioSink::Silent, |voice| AudioSink::Recording(voice.heard.clone())),
            ..Settings::default()
        };
        let call = Call::start(settings, tell).await?;
        let frames = Arc::new(AtomicU64::new(0));
        let (counted, mut picture) = (Arc::clone(&frames), call.remote_picture());
        tokio::spawn(async move {
            while picture.changed().await.is_ok() {
                if picture.borrow_and_update().is_some() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let message = match event {
                    CallEvent::LocalCandidate(candidate) => json!({ "candidate": {
                        "candidate": candidate.candidate,
                        "sdp_mid": candidate.sdp_mid,
                        "sdp_m_line_index": candidate.sdp_m_line_index,
                    } }),
                    // The cabin asks the desk, and the desk the page, to dial anew.
                    CallEvent::Stuck(_) => json!({ "dial": true }),
                    event => json!({ "event": format!("{event:?}") }),
                };
                if says.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Taken { call, frames })
    }
}
