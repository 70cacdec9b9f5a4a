//! Calls over bad lines: the cabin with the physician's browser, and beside it the same browser with itself, through
//! the same emulated line (`tests/link`), with the same camera picture, codec, size and rate.
//!
//! `make bench` runs this after the other figures, `PART=link make bench` alone. Needs root for the network namespaces;
//! says SKIPPED where it is not. Aims are printed and never asserted. `QUICK=1` measures once and shortly; the words
//! `rural`, `narrow`, `speech` and `cut` choose lines, `NEAR=cabin` leaves the baseline out, `EVENTS=1` tells what the cabin hears.
#![allow(clippy::print_stdout, reason = "a command line answers on standard output")]

mod browser;
mod cabin;
mod end;
#[path = "../machine.rs"]
mod machine;
mod meeting;
mod speech;
#[path = "../table.rs"]
#[allow(dead_code, reason = "aims of this bench are no shares of another row")]
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use link::{Conditions, Pair, Trace};

use crate::meeting::{Heard, Meeting};
use crate::speech::Speech;
use crate::table::{Row, Table};

/// Who is at the near end, the cabin's; the physician's browser is always at the far end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    Cabin,
    Browser,
}

/// How long and how often is measured.
struct Times {
    rounds: usize,
    /// A call settles before it is measured.
    settle: Duration,
    measure: Duration,
}

impl Times {
    const FULL: Times = Times { rounds: 3, settle: Duration::from_secs(20), measure: Duration::from_secs(60) };
    const QUICK: Times = Times { rounds: 1, settle: Duration::from_secs(10), measure: Duration::from_secs(20) };
}

/// The cabin, then the baseline.
fn nears() -> impl Iterator<Item = Near> {
    let baseline = std::env::var("NEAR").is_err();
    [Some(Near::Cabin), baseline.then_some(Near::Browser)].into_iter().flatten()
}

fn main() -> ExitCode {
    let table = tokio::runtime::Runtime::new().context("a runtime").and_then(|runtime| runtime.block_on(measure()));
    match table {
        Ok(Some(table)) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<Option<Table>> {
    let began = Instant::now();
    if let Err(missing) = Pair::open(Conditions::GOOD, 0) {
        println!("SKIPPED, calls over bad lines: {missing}");
        return Ok(None);
    }
    let times = if std::env::var("QUICK").is_ok_and(|quick| quick == "1") { Times::QUICK } else { Times::FULL };
    let mut table = Table::new(machine::facts()?);
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |line: &str| asked.is_empty() || asked.iter().any(|asked| asked == line);
    if wanted("rural") {
        table.rows.extend(steady(&times, include_str!("../../link/traces/rural.trace"), &RURAL).await?);
    }
    if wanted("narrow") {
        table.rows.extend(steady(&times, include_str!("../../link/traces/narrow.trace"), &NARROW).await?);
    }
    if wanted("speech") {
        table.rows.extend(words(&times, include_str!("../../link/traces/narrow.trace")).await?);
    }
    if wanted("cut") {
        table.rows.extend(cut(&times).await?);
    }
    table.finish(began.elapsed())?;
    Ok(Some(table))
}

/// The rows of one kind of line, for the cabin and for the baseline.
struct Names {
    /// Longest silence at the physician's, at the patient's; for the cabin and for the browser alone.
    silence: [[&'static str; 2]; 2],
    /// Share of seconds with picture, likewise.
    picture: [[&'static str; 2]; 2],
    /// Pictures a second, likewise.
    rate: [[&'static str; 2]; 2],
    aim_ms: Option<u32>,
}

const RURAL: Names = Names {
    silence: [
        [
            "300 kbit/s, 5 %, 150 ms: silence, cabin to physician",
            "300 kbit/s, 5 %, 150 ms: silence, physician to cabin",
        ],
        ["  the same, Chromium to Chromium", "  the same, Chromium to Chromium, back"],
    ],
    picture: [
        ["  seconds with picture, cabin to physician", "  seconds with picture, physician to cabin"],
        ["  the same, Chromium to Chromium", "  the same, Chromium to Chromium, back"],
    ],
    rate: [
        ["  pictures a second, cabin to physician", "  pictures a second, physician to cabin"],
        ["  the same, Chromium to Chromium", "  the same, Chromium to Chromium, back"],
    ],
    aim_ms: Some(300),
};

const NARROW: Names = Names {
    silence: [
        [
            "100 kbit/s, 10 %, 100 ms: silence, cabin to physician",
            "100 kbit/s, 10 %, 100 ms: silence, physician to cabin",
        ],
        ["  the same, Chromium to Chromium", "  the same, Chromium to Chromium, back"],
    ],
    aim_ms: None,
    ..RURAL
};

/// Calls that live on a line which stays as it is.
async fn steady(times: &Times, trace: &str, names: &Names) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (which, near) in nears().enumerate() {
        let mut heard: [Vec<Heard>; 2] = Default::default();
        for round in 0..times.rounds {
            let mut trace = Trace::read(trace)?;
            trace.seed += round as u64;
            let mut meeting = meet(near, &trace, None).await?;
            meeting.pair.play(trace);
            meeting.watch(times.settle).await?;
            meeting.fresh().await?;
            let looks = meeting.watch(times.measure).await?;
            say(&format!("{} {:?}", meeting.figures().await?, meeting.pair.counts()));
            for (direction, looks) in looks.iter().enumerate() {
                let one = meeting::heard(looks);
                say(&format!("{:?} round {round} direction {direction}: {one:?}", names.silence[which][direction]));
                heard[direction].push(one);
            }
        }
        for (direction, heard) in heard.iter().enumerate() {
            let of = |figure: fn(&Heard) -> f64| heard.iter().map(figure).collect::<Vec<f64>>();
            rows.push(Row::new(names.silence[which][direction], "ms", names.aim_ms, of(|heard| heard.silence_ms)));
            rows.push(Row::new(names.picture[which][direction], "%", None, of(|heard| heard.seconds_with_picture)));
            rows.push(Row::new(names.rate[which][direction], "/s", None, of(|heard| heard.pictures_per_second)));
        }
    }
    Ok(rows)
}

/// How intelligible speech is that went through a line.
async fn words(times: &Times, trace: &str) -> Result<Vec<Row>> {
    const NAMES: [[&str; 2]; 2] = [
        [
            "100 kbit/s, 10 %, 100 ms: intelligible (ESTOI), cabin to physician",
            "100 kbit/s, 10 %, 100 ms: intelligible (ESTOI), physician to cabin",
        ],
        ["  the same, Chromium to Chromium", "  the same, Chromium to Chromium, back"],
    ];
    let speech = Speech::prepare()?;
    let mut rows = Vec::new();
    for (which, near) in nears().enumerate() {
        let mut scores: [Vec<f64>; 2] = Default::default();
        for round in 0..times.rounds {
            let mut trace = Trace::read(trace)?;
            trace.seed += round as u64;
            let mut meeting = meet(near, &trace, Some(&speech.file())).await?;
            meeting.pair.play(trace);
            meeting.watch(times.settle).await?;
            let heard = meeting.record(times.measure).await?;
            for (direction, heard) in heard.iter().enumerate() {
                let score = speech.score(heard)?;
                say(&format!("{:?} round {round}: {score}", NAMES[which][direction]));
                scores[direction].push(score);
            }
        }
        for (direction, scores) in scores.into_iter().enumerate() {
            rows.push(Row::new(NAMES[which][direction], table::RATIO, None, scores));
        }
    }
    Ok(rows)
}

/// A line that is cut for 30 s in the middle of a call.
async fn cut(times: &Times) -> Result<Vec<Row>> {
    const NAMES: [[&str; 2]; 2] = [
        ["line cut for 30 s: sound back, both ends", "  picture back, both ends"],
        ["  the same, Chromium to Chromium: sound", "  the same, Chromium to Chromium: picture"],
    ];
    let mut rows = Vec::new();
    for (which, near) in nears().enumerate() {
        let (mut sound, mut picture) = (Vec::new(), Vec::new());
        for round in 0..times.rounds {
            let mut trace = Trace::read(include_str!("../../link/traces/cut_for_30_seconds.trace"))?;
            trace.seed += round as u64;
            let phases: Vec<_> = trace.phases.iter().map(|phase| phase.conditions).collect();
            let lasts = trace.phases[1].lasts;
            let mut meeting = meet(near, &trace, None).await?;
            meeting.pair.set(phases[0]);
            meeting.watch(times.settle).await?;
            meeting.pair.set(phases[1]);
            meeting.cut = true;
            meeting.watch(lasts).await?;
            meeting.pair.set(phases[2]);
            meeting.cut = false;
            let back = meeting.until_back().await?;
            say(&format!("{} round {round}: {back:?}", NAMES[which][0]));
            sound.push(back.0);
            picture.push(back.1);
        }
        let aim = (near == Near::Cabin).then_some(3);
        rows.push(Row::new(NAMES[which][0], "s", aim, sound));
        rows.push(Row::new(NAMES[which][1], "s", aim, picture));
    }
    Ok(rows)
}

/// A call that is up, on a good line. Both ends say `speech`, or a tone.
async fn meet(near: Near, trace: &Trace, speech: Option<&Path>) -> Result<Meeting> {
    let pair = Pair::open(Conditions::GOOD, trace.seed)?;
    let folder = tempfile::tempdir()?;
    let far = browser::open(&pair.far, &folder.path().join("far"), speech).await?;
    let (near, pair) = match near {
        Near::Browser => (browser::open(&pair.near, &folder.path().join("near"), speech).await?, Arc::new(pair)),
        Near::Cabin => {
            let pair = Arc::new(pair);
            (cabin::open(Arc::clone(&pair), speech, folder.path())?, pair)
        }
    };
    Meeting::begin(pair, near, far, folder).await
}

fn say(what: &str) {
    eprintln!("bench: {what}");
}
