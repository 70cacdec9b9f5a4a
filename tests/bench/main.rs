//! The figures that a person feels, measured on real programs: start, touch, a reading's way to the physician, memory.
//!
//! `bench site` measures the first of these, `bench call` the call beside the same call in a browser; without a word, all.
//!
//! `make bench` builds everything for release and runs this. Aims are printed beside the figures and never asserted:
//! a figure belongs to the machine that it was measured on, and the table names it. `QUICK=1` measures a fifth as
//! often, to try the bench itself.
#![allow(clippy::print_stdout, reason = "a command line answers on standard output")]

mod call;
mod devices;
mod ecg;
#[path = "../power/line.rs"]
mod line;
mod machine;
#[path = "../whole_consultation/patient.rs"]
#[allow(dead_code, reason = "the bench walks only as far as the call, the test to the end")]
mod patient;
#[path = "../whole_consultation/person.rs"]
#[allow(dead_code, reason = "the bench needs what the patient says, not what the physician writes")]
mod person;
mod queue;
mod reading;
mod start;
mod table;
mod touch;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use whole_cabin::memory::used_by;
use whole_cabin::physician::Physician;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::{Screen, Window};
use whole_cabin::site::Site;

use crate::table::{Row, Table};

/// The cabin's screen, in pixels.
const WIDTH: u16 = 1280;
const HEIGHT: u16 = 800;

/// What the simulated devices give: quick, so that many readings fit into one call.
const DEVICES: [&str; 6] = [
    "thermometer value temperature=37.46 auto=2",
    "oximeter value spo2=93 pulse=88",
    "cuff value systolic=137 diastolic=83 mean=101 pulse=77 speed=20",
    "scale value weight=68.35 height=171.40",
    "scale step on",
    "scale rod down",
];

/// Looks at the memory of the idle cabin.
const IDLE_LOOKS: usize = 10;

/// What can be measured by itself.
const PARTS: [&str; 2] = ["site", "call"];

const MIB: f64 = 1_048_576.0;

/// How often each thing is measured.
struct Times {
    starts: usize,
    touches: usize,
    /// Three text sizes: a multiple of three ends as it began.
    whole_screens: usize,
    reading_rounds: usize,
    /// Consultations that wait while the screen is touched.
    queued: usize,
    device_looks: usize,
    calls: call::Times,
}

impl Times {
    const FULL: Times = Times {
        starts: 10,
        touches: 40,
        whole_screens: 18,
        reading_rounds: 7,
        queued: 2000,
        device_looks: 8,
        calls: call::Times::FULL,
    };
    const QUICK: Times = Times {
        starts: 2,
        touches: 8,
        whole_screens: 3,
        reading_rounds: 1,
        queued: 100,
        device_looks: 2,
        calls: call::Times::QUICK,
    };
}

/// The parts of the site that is measured; the steps of the whole-consultation test are its own.
struct Visit {
    site: Site,
    screen: Rc<Screen>,
    window: Window,
    physician: Physician,
    began: Instant,
}

impl Visit {
    /// Says on standard error how far the bench is.
    fn step(&self, what: &str) {
        say(self.began, what);
    }

    fn kill_and_restart(&mut self) -> Result<()> {
        self.site.kill_cabin()?;
        self.window = self.site.start_cabin(&self.screen)?;
        Ok(())
    }

    /// What the cabin's process uses now, in MiB.
    fn memory(&self) -> Result<f64> {
        Ok(used_by(self.site.cabin_id().context("the cabin runs")?)? as f64 / MIB)
    }

    /// Memory of the cabin on Welcome, once its drawing has come to rest.
    fn idle_memory(&self) -> Result<Vec<f64>> {
        self.window.find("Commencer")?;
        (0..IDLE_LOOKS)
            .map(|_| {
                touch::until_still(&self.screen, touch::whole(&self.screen)?)?;
                self.memory()
            })
            .collect()
    }

    /// The physician signs in and takes the patient, who accepts; both see a moving picture.
    fn meet(&mut self, size: (u64, u64)) -> Result<()> {
        let account = self.site.account();
        self.physician.sign_in(&account.name, &account.password, &account.totp_secret)?;
        self.window.find("Vous êtes dans la salle d’attente")?;
        self.physician.press("Prendre ce patient")?;
        self.window.press("Accepter")?;
        self.window.find("Image du médecin")?;
        // A call begins at what any line bears, and grows into the one it has.
        until("the picture at its whole size", PATIENCE, || {
            let seen = self.physician.sees_moving_picture("#remote-video", 5)?;
            ensure!((seen.width, seen.height) == size, "the call is at {}x{}", seen.width, seen.height);
            Ok(Some(()))
        })
    }
}

fn say(began: Instant, what: &str) {
    eprintln!("bench {:6.1} s: {what}", began.elapsed().as_secs_f64());
}

fn main() -> ExitCode {
    match measure() {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Table> {
    let began = Instant::now();
    let times = if std::env::var("QUICK").is_ok_and(|quick| quick == "1") { Times::QUICK } else { Times::FULL };
    let mut table = Table::new(machine::facts()?);
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| !PARTS.contains(&wanted.as_str())) {
        bail!("bench measures {}, not {unknown:?}", PARTS.join(", "));
    }
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    if is_wanted("site") {
        measure_site(&mut table, &times, began)?;
    }
    if is_wanted("call") {
        table.rows.extend(call::rows(&times.calls, began)?);
    }
    table.finish(began.elapsed())?;
    Ok(table)
}

fn measure_site(table: &mut Table, times: &Times, began: Instant) -> Result<()> {
    let mut site = Site::open_with(&[("ecg", "ecg_cyton")])?;
    site.device("ecg value rate=500")?;
    DEVICES.iter().try_for_each(|command| site.device(command).map(drop))?;
    site.prepare_cabin(WIDTH, HEIGHT)?;
    let token = site.upload_token();
    site.start_outbox(&format!("{}/fhir", site.desk_address()), Some(&token))?;
    let screen = Screen::open(site.folder(), WIDTH, HEIGHT)?;

    say(began, "starts");
    table.rows.extend(start::rows(&site, &screen, times.starts)?);

    say(began, "idle memory and touches");
    let window = site.start_cabin(&screen)?;
    let physician = Physician::open(site.folder(), "morel")?;
    let mut visit = Visit { site, screen, window, physician, began };
    visit.pharmacist_opens()?;
    let idle = visit.idle_memory()?;
    let whole_screens = touch::whole_screens(&visit, times.whole_screens)?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.step("touches of a choice");
    visit.window.find("Vos données, vos choix")?;
    table.rows.extend(touch::choices(&visit, times.touches)?);
    table.rows.push(whole_screens);
    visit.patient_agrees()?;
    visit.step("measurements before the call");
    for measurement in reading::PROPOSED {
        visit.measure(measurement)?;
        visit.keep()?;
    }
    visit.step("the call");
    visit.physician.visit(&visit.site.desk_address())?;
    visit.meet((640, 480))?;
    let (readings, in_call) = reading::rows(&visit, times.reading_rounds)?;
    table.rows.extend(readings);
    table.rows.push(ecg::row(&visit)?);
    table.rows.push(Row::new("memory of the cabin (PSS), idle on Welcome", "MiB", Some(200), idle));
    table.rows.push(Row::new("memory of the cabin (PSS), in a 640x480 call", "MiB", Some(200), in_call));

    visit.step("the end");
    let Visit { mut site, physician, window, screen, .. } = visit;
    site.check_alive()?;
    // The site looks for what was left running: the display and the browser end before it.
    drop((physician, window, screen));
    site.close()?;
    say(began, "a week of queue");
    table.rows.extend(queue::rows(times.queued, times.touches, began)?);
    say(began, "twelve devices");
    table.rows.extend(devices::rows(WIDTH, HEIGHT, times.device_looks)?);
    Ok(())
}

/// Waits until a condition of the page or the screen gives a value.
fn wait<T>(what: &str, condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until(what, PATIENCE, condition)
}
