//! What many devices cost: the processor time of the cabin while twelve stream at once, beside the same cabin without.

use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use whole_cabin::screen::Screen;
use whole_cabin::site::Site;

use crate::table::Row;

/// Beside the oximeter that every site has: twelve stream, six at 75 and six at 60 samples a second.
const MORE: [(&str, &str); 11] = [
    ("nonin-2", "oximeter_nonin"),
    ("nonin-3", "oximeter_nonin"),
    ("nonin-4", "oximeter_nonin"),
    ("nonin-5", "oximeter_nonin"),
    ("nonin-6", "oximeter_nonin"),
    ("contec-1", "oximeter_contec"),
    ("contec-2", "oximeter_contec"),
    ("contec-3", "oximeter_contec"),
    ("contec-4", "oximeter_contec"),
    ("contec-5", "oximeter_contec"),
    ("contec-6", "oximeter_contec"),
];
/// One look lasts that long.
const LOOK: Duration = Duration::from_secs(5);
/// What is drawn and opened at the start is over.
const SETTLE: Duration = Duration::from_secs(5);

/// Processor time of the cabin, in hundredths of one core.
pub fn rows(width: u16, height: u16, looks: usize) -> Result<Vec<Row>> {
    let mut site = Site::open_with(&MORE)?;
    site.prepare_cabin(width, height)?;
    let token = site.upload_token();
    site.start_outbox(&format!("{}/fhir", site.desk_address()), Some(&token))?;
    let screen = Screen::open(site.folder(), width, height)?;
    let window = site.start_cabin(&screen)?;
    window.find("Ouvrir la cabine")?;
    let streaming = look(&site, looks)?;
    site.end_simulators()?;
    let without = look(&site, looks)?;
    drop((window, Rc::clone(&screen)));
    drop(screen);
    site.close()?;
    Ok(vec![
        Row::new("processor of the cabin, twelve devices streaming", "% of a core", Some(5), streaming),
        Row::new("processor of the cabin, none plugged in", "% of a core", None, without),
    ])
}

/// A bench measures time: this is the one place that waits for it.
fn look(site: &Site, looks: usize) -> Result<Vec<f64>> {
    let cabin = site.cabin_id().context("the cabin runs")?;
    sleep(SETTLE);
    (0..looks)
        .map(|_| {
            let (before, began) = (spent(cabin)?, Instant::now());
            sleep(LOOK);
            Ok((spent(cabin)? - before) / began.elapsed().as_secs_f64() * 100.0)
        })
        .collect()
}

/// Processor seconds of a process, all its threads, user and system (proc(5): fields 14 and 15 of `stat`).
fn spent(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may hold blanks; it ends at the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("stat is cut short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / rustix::param::clock_ticks_per_second() as f64)
}
