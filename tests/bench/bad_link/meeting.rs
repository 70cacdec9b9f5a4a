//! A call between two ends: carries their signalling beside the line, and looks at both ten times a second.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use link::Pair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::end::{End, Look};

/// How often both ends are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A call that does not come up, or back, in this time is told as a failure.
const PATIENCE: Duration = Duration::from_secs(90);

/// What one end saw and heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// The longest silence, in milliseconds.
    pub silence_ms: f64,
    /// Seconds in which at least one new picture was shown, in percent.
    pub seconds_with_picture: f64,
    /// New pictures a second.
    pub pictures_per_second: f64,
}

/// What an end showed, and when it was looked at.
pub type Looks = Vec<(Duration, Look)>;

/// A running call.
pub struct Meeting {
    pub pair: Arc<Pair>,
    /// The line is cut: so is signalling, which takes the same line to the desk.
    pub cut: bool,
    held: Vec<(usize, Value)>,
    /// Near, far.
    ends: [End; 2],
    last: [Look; 2],
    began: Instant,
    _folder: TempDir,
}

impl Meeting {
    /// Waits until both ends are there, lets the far one offer, and waits until both see and hear.
    pub async fn begin(pair: Arc<Pair>, near: End, far: End, folder: TempDir) -> Result<Meeting> {
        let began = Instant::now();
        let mut meeting = Meeting {
            began,
            pair,
            cut: false,
            held: Vec::new(),
            ends: [near, far],
            last: Default::default(),
            _folder: folder,
        };
        for end in &mut meeting.ends {
            let said = tokio::time::timeout(PATIENCE, end.from.recv()).await?.context("an end did not start")?;
            if said["ready"] != true {
                bail!("an end began with {said}");
            }
        }
        meeting.ends[1].to.send(json!({ "do": "offer" })).await?;
        let began = Instant::now();
        while meeting.last.iter().any(|look| look.frames < 10 || look.loud_ms < 500) {
            if began.elapsed() > PATIENCE {
                bail!("the call does not come up: {:?}", meeting.last);
            }
            meeting.watch(LOOK_EVERY).await?;
        }
        Ok(meeting)
    }

    /// The silences of both ends are measured from now on.
    pub async fn fresh(&mut self) -> Result<()> {
        for end in &self.ends {
            end.to.send(json!({ "do": "fresh" })).await?;
        }
        Ok(())
    }

    /// What a browser says of itself.
    pub async fn figures(&mut self) -> Result<Value> {
        self.ends[1].to.send(json!({ "do": "figures" })).await?;
        loop {
            let (from, message) = self.hear().await?;
            if from == 1 && message["figures"].is_object() {
                return Ok(message["figures"].clone());
            }
            self.take(from, message).await?;
        }
    }

    /// What the far and the near end hear in so long, as bare samples of 16 bits at 48 kHz: the directions near to far and
    /// far to near.
    pub async fn record(&mut self, lasts: Duration) -> Result<[Vec<u8>; 2]> {
        for end in &self.ends {
            end.to.send(json!({ "do": "record" })).await?;
        }
        self.watch(lasts).await?;
        let mut heard = [None, None];
        for end in &self.ends {
            end.to.send(json!({ "do": "recorded" })).await?;
        }
        while heard.iter().any(Option::is_none) {
            let (from, message) = self.hear().await?;
            match message["recorded"].as_str() {
                Some(text) => heard[1 - from] = Some(BASE64.decode(text)?),
                None => {
                    self.take(from, message).await?;
                }
            }
        }
        Ok(heard.map(Option::unwrap_or_default))
    }

    /// Carries signalling for so long; gives what the far and the near end showed: the directions near to far and far
    /// to near.
    pub async fn watch(&mut self, lasts: Duration) -> Result<[Looks; 2]> {
        let began = Instant::now();
        let mut looks: [Looks; 2] = Default::default();
        let mut ask = tokio::time::interval(LOOK_EVERY);
        if !self.cut {
            for (to, message) in std::mem::take(&mut self.held) {
                self.ends[to].to.send(message).await?;
            }
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(began + lasts) => return Ok(looks),
                _ = ask.tick() => for end in &self.ends {
                    end.to.send(json!({ "do": "report" })).await?;
                },
                heard = hear(&mut self.ends) => {
                    let (from, message) = heard?;
                    if self.take(from, message).await? {
                        looks[1 - from].push((began.elapsed(), self.last[from]));
                    }
                }
            }
        }
    }

    /// Seconds until sound and picture are back at both ends.
    pub async fn until_back(&mut self) -> Result<(f64, f64)> {
        let before = self.last;
        let began = Instant::now();
        let (mut sound, mut picture) = ([None; 2], [None; 2]);
        while sound.iter().chain(&picture).any(Option::is_none) {
            if began.elapsed() > PATIENCE {
                bail!("the call does not come back: {:?}", self.last);
            }
            self.watch(LOOK_EVERY / 2).await?;
            let seconds = began.elapsed().as_secs_f64();
            for end in 0..2 {
                // A tenth of a second of tone, five pictures: not what was left in a buffer.
                if self.last[end].loud_ms >= before[end].loud_ms + 100 {
                    sound[end].get_or_insert(seconds);
                }
                if self.last[end].frames >= before[end].frames + 5 {
                    picture[end].get_or_insert(seconds);
                }
            }
        }
        let both = |ends: [Option<f64>; 2]| ends.into_iter().flatten().fold(0.0, f64::max);
        Ok((both(sound), both(picture)))
    }

    async fn hear(&mut self) -> Result<(usize, Value)> {
        hear(&mut self.ends).await
    }

    /// Takes a message in; whether it was a report.
    async fn take(&mut self, from: usize, message: Value) -> Result<bool> {
        if message["report"].is_object() {
            let look = Look::of(&message["report"]);
            self.last[from] = look;
            return Ok(true);
        }
        if let Some(error) = message["error"].as_str() {
            bail!("{}: {error}", ["the near end", "the far end"][from]);
        }
        if let Some(event) = message["event"].as_str() {
            if std::env::var("EVENTS").is_ok() {
                eprintln!("bench {:6.1} s: the cabin: {event}", self.began.elapsed().as_secs_f64());
            }
            return Ok(false);
        }
        if std::env::var("EVENTS").is_ok() {
            let what = ["offer", "answer", "candidate", "dial"].iter().find(|what| !message[**what].is_null());
            eprintln!("bench {:6.1} s: {what:?} from {from}", self.began.elapsed().as_secs_f64());
        }
        if self.cut {
            self.held.push((1 - from, message));
        } else {
            self.ends[1 - from].to.send(message).await?;
        }
        Ok(false)
    }
}

async fn hear(ends: &mut [End; 2]) -> Result<(usize, Value)> {
    let [near, far] = ends;
    let (from, message) = tokio::select! {
        message = near.from.recv() => (0, message),
        message = far.from.recv() => (1, message),
    };
    Ok((from, message.context("an end stopped")?))
}

/// What these looks come to. Seconds are counted from the first look.
pub fn heard(looks: &Looks) -> Heard {
    let (mut with, mut whole, mut before) = (0_u32, 0_u32, looks.first().map_or(0, |(_, look)| look.frames));
    let first = before;
    let mut ends = Duration::from_secs(1);
    for (at, look) in looks {
        if *at >= ends {
            whole += 1;
            with += u32::from(look.frames > before);
            before = look.frames;
            ends += Duration::from_secs(1);
        }
    }
    let (last_at, last) = looks.last().copied().unwrap_or_default();
    Heard {
        silence_ms: last.silence_ms as f64,
        seconds_with_picture: 100.0 * f64::from(with) / f64::from(whole.max(1)),
        pictures_per_second: (last.frames - first) as f64 / last_at.as_secs_f64().max(1.0),
    }
}
