//! An electrocardiogram of eight leads at 500 Hz, from the port to the page on which it is drawn.

use anyhow::{Result, ensure};
use whole_cabin::screen::containing;

use crate::Visit;
use crate::table::Row;

/// Age of every block when it was drawn, ms: the page's clock less the cabin's when its bytes came; one machine, so one
/// clock. And what was lost.
const SEEN: &str = "const { rows, lost, ages } = document.querySelector('#ecg').dataset;
return { rows: Number(rows ?? 0), lost: Number(lost ?? 0), ages: (ages ?? '').trim().split(' ').map(Number) };";

/// Ten seconds of it, some 300 blocks.
pub fn row(visit: &Visit) -> Result<Row> {
    visit.step("an electrocardiogram");
    visit.physician.press("Électrocardiogramme")?;
    visit.window.find(containing("Le médecin demande cette mesure"))?;
    visit.measure("Électrocardiogramme")?;
    visit.keep()?;
    let seen = visit.physician.evaluate(SEEN, &[])?;
    ensure!(seen["lost"] == 0, "blocks were lost on a reliable channel: {seen}");
    let ages = seen["ages"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    Ok(Row::new("electrocardiogram, 500 Hz x 8 leads: port to page", "ms", Some(150), ages))
}
