//! One whole consultation, with every part real: the pharmacist opens, a patient is guided and measured, a physician
//! in a browser sees and treats, the record is stored by a FHIR server that is not ours, and the cabin has forgotten.
//!
//! What it types and measures is odd on purpose, so that it is found nowhere by chance.

mod another_patient;
mod call;
mod called_back;
mod comes_back;
mod counter;
mod desk_page;
mod examined;
mod handed_over;
mod interruptions;
mod killed;
mod missing;
mod papers;
mod patient;
mod person;
mod record;
mod relay;
mod second_opinion;
mod technician;
mod third_seat;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use whole_cabin::memory::Trace;
use whole_cabin::physician::{Browser, Physician};
use whole_cabin::printer::Printer;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::{Screen, Window};
use whole_cabin::site::Site;

use crate::fhir_peer::{Peer, tools_or_skip};

/// What the simulated devices are set to, and therefore everything that may be read anywhere.
const DEVICES: [&str; 6] = [
    "thermometer value temperature=37.46 auto=2",
    "oximeter value spo2=93 pulse=88",
    // Twenty times faster than life.
    "cuff value systolic=137 diastolic=83 mean=101 pulse=77 speed=20",
    "scale value weight=68.35 height=171.40",
    "scale step on",
    "scale rod down",
];

/// The parts of the consultation, kept together so that each file of this test adds its own steps.
pub struct Visit {
    name: &'static str,
    site: Site,
    screen: std::rc::Rc<Screen>,
    window: Window,
    physician: Physician,
    printer: Printer,
    /// Its name at the desk, once the physician has seen it.
    consultation: String,
    began: Instant,
    /// The screen's. Outside the site, which is closed while its screen is still there.
    _display: TempDir,
}

/// What the waiting room says without a line.
const NO_LINE: &str = "La liaison avec le médecin est coupée";

impl Visit {
    /// A site whose cabin has joined its desk and shows its first screen, and a physician's Chromium. `before` starts
    /// what must be there before the cabin.
    fn open(name: &'static str, size: (u16, u16), before: impl FnOnce(&mut Site) -> Result<()>) -> Result<Self> {
        Self::open_with(name, size, Browser::Chromium, before)
    }

    /// A patient who was measured, in a cabin that has reached no desk since the morning: before them is [`NO_LINE`].
    fn open_without_a_desk(name: &'static str) -> Result<Self> {
        let mut visit = Self::open(name, (1280, 800), |site| {
            start_outbox_to_the_desk(site)?;
            site.kill_desk()
        })?;
        visit.pharmacist_opens()?;
        visit.patient_waits_for_nobody()?;
        Ok(visit)
    }

    /// Waits until these are in no file and in no memory of the cabin's side.
    fn cabin_holds_nothing_of(&self, traces: &[Trace]) -> Result<()> {
        until("the cabin to hold nothing", PATIENCE, || {
            let found = self.site.search_cabin_side(traces)?;
            if !found.is_empty() {
                eprintln!("the cabin holds:\n{found:#?}");
            }
            Ok(found.is_empty().then_some(()))
        })
    }

    /// From the welcome to the waiting room, with a temperature and nothing else.
    fn patient_waits_for_nobody(&mut self) -> Result<()> {
        self.patient_is_ready()?;
        self.window.find(NO_LINE).map(drop)
    }

    fn patient_is_ready(&mut self) -> Result<()> {
        self.patient_says_why()?;
        self.patient_says_who()?;
        self.patient_agrees()?;
        self.measure("Température")?;
        self.keep()?;
        self.skips("Oxygène et pouls")?;
        self.skips("Tension")
    }

    fn open_with(
        name: &'static str,
        (width, height): (u16, u16),
        browser: Browser,
        before: impl FnOnce(&mut Site) -> Result<()>,
    ) -> Result<Self> {
        Self::open_at(name, Site::open()?, (width, height), browser, before)
    }

    /// With a site of its own.
    fn open_at(
        name: &'static str,
        mut site: Site,
        (width, height): (u16, u16),
        browser: Browser,
        before: impl FnOnce(&mut Site) -> Result<()>,
    ) -> Result<Self> {
        let began = Instant::now();
        DEVICES.iter().try_for_each(|command| site.device(command).map(drop))?;
        let printer = Printer::off(site.folder())?;
        site.set_printer(&printer.address());
        site.prepare_cabin(width, height)?;
        before(&mut site)?;
        let display = tempfile::tempdir()?;
        let screen = Screen::open(display.path(), width, height)?;
        let window = site.start_cabin(&screen)?;
        let physician = Physician::open_in(browser, site.folder(), "morel")?;
        let consultation = String::new();
        Ok(Self { name, site, screen, window, physician, printer, consultation, began, _display: display })
    }

    /// Ends every part, and fails when one is left running.
    fn close(self) -> Result<()> {
        let Self { site, physician, printer, .. } = self;
        drop((physician, printer));
        site.close()
    }

    /// Says where the test is: what a person reads when it fails or is slow.
    fn step(&self, what: &str) {
        eprintln!("{} {:6.1} s: {what}", self.name, self.began.elapsed().as_secs_f64());
    }

    /// Takes the cabin away as a power cut would, and starts it again.
    fn kill_and_restart(&mut self) -> Result<()> {
        self.site.kill_cabin()?;
        self.window = self.site.start_cabin(&self.screen)?;
        Ok(())
    }

    /// Waits until the outbox holds nothing that still has to be proved stored.
    fn outbox_is_drained(&self) -> Result<()> {
        until("the outbox to have every proof", PATIENCE, || {
            let status = self.site.outbox_status()?;
            let says = |name: &str, value: &str| {
                status.lines().any(|line| line.starts_with(name) && line.trim_end().ends_with(value))
            };
            ensure!(says("set aside", " 0"), "a record was refused: {status}");
            Ok((says("open consultation", " no") && says("waiting for proof", " 0")).then_some(()))
        })
    }
}

#[test]
fn a_whole_consultation_from_the_first_touch_to_the_stored_record_leaves_nothing_in_the_cabin() -> Result<()> {
    let name = "a_whole_consultation_from_the_first_touch_to_the_stored_record_leaves_nothing_in_the_cabin";
    let peer = match tools_or_skip(name) {
        Some(tools) => Some(Peer::start(tools)?),
        None => {
            eprintln!("{name}: the desk's own store takes the place of the independent FHIR server");
            None
        }
    };
    let mut visit = Visit::open("whole consultation", (1280, 800), |site| match &peer {
        Some(peer) => site.start_outbox(peer.base(), None),
        None => start_outbox_to_the_desk(site),
    })?;

    visit.step("the pharmacist opens");
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_looks_back_at_the_signs()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    visit.patient_is_measured()?;
    visit.physician_takes_the_patient()?;
    visit.they_see_each_other()?;
    visit.physician_asks_for_measurements()?;
    let prescription = visit.physician_concludes()?;
    visit.patient_sees_what_is_handed_over()?;
    visit.patient_prints(&prescription)?;
    let keys = visit.patient_takes_papers_by_telephone(&prescription)?;
    visit.patient_takes_leave()?;
    visit.pharmacist_cleans()?;

    visit.step("the record is at the server");
    visit.outbox_is_drained()?;
    let resources = match &peer {
        Some(peer) => peer.resources()?,
        None => visit.resources_at_the_desk().context("the desk's own store")?,
    };
    record::is_what_was_said_and_measured(&resources, &prescription)?;

    visit.step("nothing of the patient is left in the cabin");
    let found = visit.site.search_cabin_side(&person::traces()?.into_iter().chain(keys).collect::<Vec<_>>())?;
    ensure!(found.is_empty(), "the cabin still holds:\n{found:#?}");

    visit.close()
}

/// Records go to the desk's own store.
fn start_outbox_to_the_desk(site: &mut Site) -> Result<()> {
    site.start_outbox(&format!("{}/fhir", site.desk_address()), Some(&site.upload_token()))
}
