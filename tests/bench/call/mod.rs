//! The call beside what a site would use instead: the same machine's Chromium in kiosk mode in the same call, with the
//! same browser at the far end, the same pictures, size, rate and codec. Each runs alone, in turns.

mod exchange;
mod usage;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use whole_cabin::physician::Physician;
use whole_cabin::process::{PATIENCE, Process};
use whole_cabin::screen::Screen;
use whole_cabin::site::Site;

use crate::table::Row;
use crate::{HEIGHT, Visit, WIDTH, say};
use exchange::{CODED, Exchange};

/// How often each thing is measured.
pub struct Times {
    rounds: usize,
    looks: usize,
    look: Duration,
    starts: usize,
    pictures: usize,
}

impl Times {
    pub const FULL: Times = Times { rounds: 2, looks: 3, look: Duration::from_secs(20), starts: 5, pictures: 600 };
    pub const QUICK: Times = Times { rounds: 1, looks: 2, look: Duration::from_secs(10), starts: 1, pictures: 100 };
}

/// Pictures a second, both ways.
const RATE: f64 = 30.0;
/// Of the pictures that a source of 30 a second makes, so many must have been sent and drawn: else the work compared is
/// not the same.
const SAME_WORK: f64 = 0.9;
/// After the first picture, until bit rates and buffers have settled.
const SETTLE: Duration = Duration::from_secs(15);

/// The same pictures from every camera: a size, what they may take in bits a second, and the names of the rows.
struct Kind {
    size: (u32, u32),
    bits: u32,
    names: [&'static str; 6],
}

const KINDS: [Kind; 2] = [
    Kind {
        size: (640, 480),
        bits: 1_000_000,
        names: [
            "call 640x480, 30/s both ways: processor of the cabin",
            "  beside: chromium --kiosk",
            "  cabin / chromium",
            "call 640x480, 30/s both ways: memory of the cabin (PSS)",
            "  beside: chromium --kiosk, all its processes",
            "  cabin / chromium",
        ],
    },
    Kind {
        size: (1_280, 720),
        bits: 3_000_000,
        names: [
            "call 1280x720, 30/s both ways: processor of the cabin",
            "  beside: chromium --kiosk",
            "  cabin / chromium",
            "call 1280x720, 30/s both ways: memory of the cabin (PSS)",
            "  beside: chromium --kiosk, all its processes",
            "  cabin / chromium",
        ],
    },
];

/// What was measured of one end in calls.
#[derive(Default)]
struct Seen {
    /// Processor seconds a minute.
    processor: Vec<f64>,
    /// Of the 30 pictures that came each second, so many were drawn.
    drawn: Vec<f64>,
    /// MiB.
    memory: Vec<f64>,
    /// Program start to the first remote picture, ms.
    starts: Vec<f64>,
    /// Age of each picture when the far end's browser presented it, ms.
    ages: Vec<f64>,
}

/// Everything of the call.
pub fn rows(times: &Times, began: Instant) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let (mut cabin, mut kiosk) = (Seen::default(), Seen::default());
        for round in 1..=times.rounds {
            let (width, height) = kind.size;
            // Starts are measured once, at the smaller size.
            let starts = if number == 0 && round == 1 { times.starts } else { 0 };
            say(began, &format!("call {width}x{height}, round {round} of {}: the cabin", times.rounds));
            in_cabin(kind, times, starts, began, &mut cabin)?;
            say(began, &format!("call {width}x{height}, round {round} of {}: chromium --kiosk", times.rounds));
            in_kiosk(kind, times, starts, &mut kiosk)?;
        }
        let [processor, other, ratio, memory, other_memory, memory_ratio] = kind.names;
        let of_cabin = Row::new(processor, "s/min", None, cabin.processor);
        let of_kiosk = Row::new(other, "s/min", None, kiosk.processor);
        let ratio = Row::ratio(ratio, 0.6, &of_cabin, &of_kiosk);
        let memory_of_cabin = Row::new(memory, "MiB", None, cabin.memory);
        let memory_of_kiosk = Row::new(other_memory, "MiB", None, kiosk.memory);
        let memory_ratio = Row::ratio(memory_ratio, 0.15, &memory_of_cabin, &memory_of_kiosk);
        rows.push(Row::new("  pictures drawn by the cabin", "/s", None, cabin.drawn));
        rows.push(Row::new("  pictures drawn by chromium --kiosk", "/s", None, kiosk.drawn));
        rows.extend([of_cabin, of_kiosk, ratio, memory_of_cabin, memory_of_kiosk, memory_ratio]);
        if !cabin.starts.is_empty() {
            let of_cabin = Row::new("start of the program to the first remote picture", "ms", None, cabin.starts);
            let of_kiosk = Row::new("  beside: chromium --kiosk", "ms", None, kiosk.starts);
            let ratio = Row::ratio("  cabin / chromium", 0.3, &of_cabin, &of_kiosk);
            rows.extend([of_cabin, of_kiosk, ratio]);
        }
        if !cabin.ages.is_empty() {
            let of_cabin = Row::new("camera to physician's screen, 640x480", "ms", None, cabin.ages);
            let of_kiosk = Row::new("  beside: chromium --kiosk", "ms", None, kiosk.ages);
            let ratio = Row::ratio_of_p95("  cabin / chromium, of the p95", 1.0, &of_cabin, &of_kiosk);
            rows.extend([of_cabin, of_kiosk, ratio]);
        }
    }
    Ok(rows)
}

/// Reads of so many pictures of a video when they were made, and says how old each was when it was presented: the
/// squares in its corner, and this page's clock. One machine, so one clock.
const AGES: &str = "const [selector, wanted] = arguments;
const video = document.querySelector(selector);
const pen = new OffscreenCanvas(256, 32).getContext('2d', { willReadFrequently: true });
const ages = [];
const look = () => {
  const now = Math.floor(performance.timeOrigin + performance.now()) % 2 ** 32;
  pen.drawImage(video, 0, 0, 256, 32, 0, 0, 256, 32);
  const { data } = pen.getImageData(0, 0, 256, 32);
  let made = 0;
  for (let bit = 0; bit < 32; bit++) {
    const at = ((Math.floor(bit / 16) * 16 + 8) * 256 + (bit % 16) * 16 + 8) * 4;
    made = made * 2 + (data[at] > 128 ? 1 : 0);
  }
  const age = (now - made + 2 ** 32) % 2 ** 32;
  // A picture in which a square was misread is none to measure by.
  if (age < 10000) ages.push(age);
  if (ages.length < wanted) video.requestVideoFrameCallback(look); else window.ages = ages;
};
window.ages = null;
video.requestVideoFrameCallback(look);
return true;";

fn ages(far: &Physician, selector: &str, wanted: usize) -> Result<Vec<f64>> {
    far.evaluate(AGES, &[json!(selector), json!(wanted)])?;
    let ages = crate::wait("the age of pictures", || {
        let ages = far.evaluate("return window.ages;", &[])?;
        Ok(ages.as_array().map(|ages| ages.iter().filter_map(Value::as_f64).collect::<Vec<_>>()))
    })?;
    Ok(ages)
}

/// Asks the browser at the far end for that size and rate and lets it spend what the other may, and counts.
const FAR_END: &str = "const [width, height, bits] = arguments;
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) =>
  ask({ ...wanted, video: wanted.video && { width: { exact: width }, height: { exact: height }, frameRate: 30 } });
window.peers = [];
const take = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = async function (description) {
  await take.call(this, description);
  if (!window.peers.includes(this)) window.peers.push(this);
  for (const sender of this.getSenders().filter(({ track }) => track?.kind === 'video')) {
    const parameters = sender.getParameters();
    parameters.degradationPreference = 'maintain-resolution';
    for (const encoding of parameters.encodings) Object.assign(encoding, { maxBitrate: bits, maxFramerate: 30 });
    await sender.setParameters(parameters);
  }
};
window.counted = {};
setInterval(async () => {
  const found = {};
  for (const entry of (await window.peers.at(-1)?.getStats() ?? new Map()).values()) {
    if (entry.kind === 'audio' && entry.type === 'inbound-rtp') Object.assign(found, { voiceWaited: entry.jitterBufferDelay, voiceEmitted: entry.jitterBufferEmittedCount, voiceWanted: entry.jitterBufferTargetDelay, voicePlayed: entry.estimatedPlayoutTimestamp });
    if (entry.kind !== 'video') continue;
    if (entry.type === 'inbound-rtp' && entry.framesDecoded) Object.assign(found, { waited: entry.jitterBufferDelay, emitted: entry.jitterBufferEmittedCount, least: entry.jitterBufferMinimumDelay, wanted: entry.jitterBufferTargetDelay, processing: entry.totalProcessingDelay, decoding: entry.totalDecodeTime, jitter: entry.jitter, played: entry.estimatedPlayoutTimestamp, decoded: entry.framesDecoded, width: entry.frameWidth, height: entry.frameHeight });
    if (entry.type === 'outbound-rtp') Object.assign(found, { sent: entry.framesSent, sentWidth: entry.frameWidth, sentHeight: entry.frameHeight });
  }
  window.counted = found;
}, 200);
return true;";

fn in_cabin(kind: &Kind, times: &Times, starts: usize, began: Instant, seen: &mut Seen) -> Result<()> {
    let (width, height) = kind.size;
    let mut site = Site::open()?;
    site.prepare_cabin(WIDTH, HEIGHT)?;
    site.change_settings(|text| text.replace("[media]\n", &format!("[media]\npicture = \"{width}x{height}\"\n")))?;
    let token = site.upload_token();
    site.start_outbox(&format!("{}/fhir", site.desk_address()), Some(&token))?;
    let screen = Screen::open(site.folder(), WIDTH, HEIGHT)?;
    let window = site.start_cabin(&screen)?;
    let pictures = pictures(site.folder(), kind.size)?;
    let physician = Physician::open_with_camera(site.folder(), "morel", &pictures)?;
    let mut visit = Visit { site, screen, window, physician, began };
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    for measurement in ["Température", "Oxygène et pouls", "Tension"] {
        visit.skips(measurement)?;
    }
    visit.physician.visit(&visit.site.desk_address())?;
    visit.physician.evaluate(FAR_END, &[json!(width), json!(height), json!(kind.bits)])?;
    visit.meet((width.into(), height.into()))?;

    let outbox = visit.site.outbox_id().context("the outbox runs")?;
    let cabin = visit.site.cabin_id().context("the cabin runs")?;
    let counted = || visit.physician.evaluate("return window.counted;", &[]);
    sleep(SETTLE);
    let before = counted()?;
    let measured = Instant::now();
    look(&[cabin, outbox], times, seen)?;
    same_work(&before, &counted()?, kind.size, measured.elapsed())?;
    if starts > 0 {
        let before = counted()?;
        seen.ages = ages(&visit.physician, "#remote-video", times.pictures)?;
        say(began, &format!("before {before} after {}", counted()?));
    }
    let sent = counted()?["sent"].as_f64().unwrap_or_default();
    // Back to the waiting room: the cabin closes its media and says how many pictures it drew.
    visit.physician.press("Rendre à la salle d’attente")?;
    let drawn = crate::wait("what the cabin drew", || drawn(&visit.site.cabin_log()))?;
    ensure!(drawn >= sent * SAME_WORK, "the cabin drew {drawn} of {sent} pictures");
    seen.drawn.push(RATE * drawn / sent);

    for _ in 0..starts {
        visit.physician.press("Prendre ce patient")?;
        visit.window.press("Accepter")?;
        visit.window.find("Image du médecin")?;
        visit.physician.sees_moving_picture("#remote-video", 5)?;
        let log_before = visit.site.cabin_log().len();
        let seen_before = firsts(&visit.site.cabin_log()).len();
        visit.site.kill_cabin()?;
        let began = now_ms()?;
        visit.window = visit.site.start_cabin(&visit.screen)?;
        let at = crate::wait("the physician's picture in a cabin that was started anew", || {
            Ok(firsts(&visit.site.cabin_log()).get(seen_before).copied())
        })?;
        seen.starts.push(at - began);
        // Where the time went, for whoever wants less of it.
        let log = visit.site.cabin_log();
        let of_start = log.get(log_before..).unwrap_or_default();
        eprintln!("started at {} ms:\n{of_start}", began);
        visit.physician.press("Rendre à la salle d’attente")?;
    }
    let Visit { mut site, physician, window, screen, .. } = visit;
    site.check_alive()?;
    drop((physician, window, screen));
    site.close()
}

fn in_kiosk(kind: &Kind, times: &Times, starts: usize, seen: &mut Seen) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("bench-kiosk-").tempdir()?;
    let screen = Screen::open(folder.path(), WIDTH, HEIGHT)?;
    let pictures = pictures(folder.path(), kind.size)?;
    let far = Physician::open_with_camera(folder.path(), "far", &pictures)?;
    let exchange = Exchange::open()?;
    far.visit(&exchange.page("peer", 0, kind.size, kind.bits))?;

    let mut kiosk = kiosk(&screen, folder.path(), &pictures, &exchange.page("kiosk", 0, kind.size, kind.bits))?;
    for end in ["first-kiosk", "first-peer"] {
        exchange.hear(end, PATIENCE)?;
    }
    sleep(SETTLE);
    let figures = |end: &str| {
        exchange.say(end, 0, &json!({ "figures": true }));
        exchange.hear(&format!("figures-{end}"), PATIENCE)
    };
    let (before, drawn) = (figures("peer")?, figures("kiosk")?["drawn"].as_f64().unwrap_or_default());
    let measured = Instant::now();
    look(&[kiosk.id()], times, seen)?;
    let took = measured.elapsed();
    same_work(&before, &figures("peer")?, kind.size, took)?;
    let drawn = figures("kiosk")?["drawn"].as_f64().unwrap_or_default() - drawn;
    // What it does not draw it saves itself: the comparison then flatters it, and the row says by how much.
    ensure!(drawn >= RATE * took.as_secs_f64() * 0.5, "chromium drew {drawn} pictures in {took:?}");
    seen.drawn.push(drawn / took.as_secs_f64());
    kiosk.check_alive()?;
    kiosk.end()?;

    for call in 1..=starts {
        far.visit(&exchange.page("peer", call, kind.size, kind.bits))?;
        let began = now_ms()?;
        let kiosk =
            self::kiosk(&screen, folder.path(), &pictures, &exchange.page("kiosk", call, kind.size, kind.bits))?;
        let at = exchange.hear("first-kiosk", PATIENCE)?.as_f64().context("a time")?;
        seen.starts.push(at - began);
        kiosk.end()?;
    }
    if starts > 0 {
        far.visit(&exchange.page("peer", CODED, kind.size, kind.bits))?;
        let page = exchange.page("kiosk", CODED, kind.size, kind.bits);
        let kiosk = self::kiosk(&screen, folder.path(), &pictures, &page)?;
        exchange.hear("first-kiosk", PATIENCE)?;
        sleep(SETTLE);
        seen.ages = ages(&far, "#far", times.pictures)?;
        kiosk.end()?;
    }
    drop((far, screen));
    Ok(())
}

/// A browser that fills the screen with one page, as kiosks are made.
fn kiosk(screen: &Rc<Screen>, folder: &Path, pictures: &Path, page: &str) -> Result<Process> {
    let mut command = Command::new("chromium");
    command.args(["--kiosk", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    command.args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,800"]);
    command.args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
    command.args(["--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection"]);
    command.arg(format!("--use-file-for-fake-video-capture={}", pictures.display()));
    command.arg(format!("--user-data-dir={}", folder.join("kiosk").display())).arg(format!("--app={page}"));
    command.env("HOME", folder);
    screen.show_on(&mut command);
    Process::start("kiosk", command, folder)
}

/// Three seconds that a browser takes for a camera, over and over: like the cabin's own test picture, a white ball of 20
/// pixels that goes about on a ground of one colour (YUV4MPEG2, 4:2:0).
fn pictures(folder: &Path, (width, height): (u32, u32)) -> Result<PathBuf> {
    const FRAMES: u32 = 90;
    const RADIUS: f64 = 20.0;
    let file = folder.join(format!("ball-{width}x{height}.y4m"));
    if file.exists() {
        return Ok(file);
    }
    let mut to = BufWriter::new(File::create(&file)?);
    writeln!(to, "YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg")?;
    let (across, down) = (f64::from(width) / 2.0 - RADIUS, f64::from(height) / 2.0 - RADIUS);
    for frame in 0..FRAMES {
        let turn = f64::from(frame) / f64::from(FRAMES) * std::f64::consts::TAU;
        let (x, y) =
            (f64::from(width) / 2.0 + across * turn.cos(), f64::from(height) / 2.0 + down * (2.0 * turn).sin());
        writeln!(to, "FRAME")?;
        for row in 0..height {
            let of_row = |column: u32| {
                let (dx, dy) = (f64::from(column) - x, f64::from(row) - y);
                if dx * dx + dy * dy < RADIUS * RADIUS { 235 } else { 62 }
            };
            to.write_all(&(0..width).map(of_row).collect::<Vec<u8>>())?;
        }
        // Both colours of the ground.
        to.write_all(&vec![136; (width * height / 4) as usize])?;
        to.write_all(&vec![124; (width * height / 4) as usize])?;
    }
    to.flush()?;
    Ok(file)
}

/// A bench measures time: it waits for it.
fn look(roots: &[u32], times: &Times, seen: &mut Seen) -> Result<()> {
    for _ in 0..times.looks {
        let (before, began) = (usage::spent(roots)?, Instant::now());
        sleep(times.look);
        seen.processor.push((usage::spent(roots)? - before) * 60.0 / began.elapsed().as_secs_f64());
        seen.memory.push(usage::memory(roots)?);
    }
    Ok(())
}

/// What the far end received and sent in that time is what a camera of 30 a second gives, at that size.
fn same_work(before: &Value, after: &Value, (width, height): (u32, u32), took: Duration) -> Result<()> {
    for (count, across, down) in [("decoded", "width", "height"), ("sent", "sentWidth", "sentHeight")] {
        ensure!(after[across] == width && after[down] == height, "{count} at another size: {after}");
        let (Some(first), Some(last)) = (before[count].as_f64(), after[count].as_f64()) else {
            bail!("nothing was {count}: {after}")
        };
        let wanted = RATE * took.as_secs_f64() * SAME_WORK;
        ensure!(last - first >= wanted, "{} pictures {count} of {wanted:.0} in {took:?}: {after}", last - first);
    }
    Ok(())
}

/// The last word of the cabin on how many pictures it drew.
fn drawn(log: &str) -> Result<Option<f64>> {
    let line = log.lines().rfind(|line| line.contains("the call's media are closed"));
    line.map(|line| number(line, "pictures=")).transpose()
}

/// When each first picture of a call was on the screen, ms since 1970.
fn firsts(log: &str) -> Vec<f64> {
    let lines = log.lines().filter(|line| line.contains("the first picture of the physician is on the screen"));
    lines.filter_map(|line| number(line, "at_ms=").ok()).collect()
}

fn number(line: &str, key: &str) -> Result<f64> {
    let digits = line.rsplit_once(key).with_context(|| format!("no {key} in {line}"))?.1;
    Ok(digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse()?)
}

fn now_ms() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cabin_says_of_its_pictures_is_read() {
        let log = "INFO cabin: the first picture of the physician is on the screen at_ms=1700000000123\n\
                   INFO cabin: the call's media are closed; pictures of the physician that were drawn pictures=812\n";
        assert_eq!(firsts(log), [1_700_000_000_123.0]);
        assert_eq!(drawn(log).expect("a line"), Some(812.0));
    }
}
