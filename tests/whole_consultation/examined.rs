//! The physician examines from afar: an electrocardiogram live and without a loss, the ear, heart and lungs. All of it
//! is in the record, bit by bit.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use whole_cabin::physician::Browser;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;
use whole_cabin::site::Site;

use super::desk_page::{LISTEN, SMALL_LAPTOP};
use super::{Visit, start_outbox_to_the_desk};

/// Leads of the simulated board.
const LEADS: u64 = 8;
/// Rows that a recording of ten seconds has at least.
const ROWS: u64 = 5_000;

/// The simulated board counts on every channel: a sample that is not one more than the one before was lost. Gives what
/// the page received and what it drew.
const CHECK: &str = "let rows = 0, wrong = 0, last = null, rate = 0, leads = 0;
for (const data of window.ecgBlocks) {
  const view = new DataView(data);
  const count = view.getUint16(24, true);
  [rate, leads] = [view.getUint16(6, true), view.getUint8(26)];
  for (let row = 0; row < count; row++) {
    const sample = (lead) => view.getInt16(27 + leads + 2 * (row * leads + lead), true) * 2 ** view.getUint8(1);
    const now = sample(0);
    if (last !== null && now !== last + 1) wrong++;
    for (let lead = 1; lead < leads; lead++) if (sample(lead) !== now + 1000 * lead) wrong++;
    last = now;
    rows++;
  }
}
const { rows: drawn, lost, ages } = document.querySelector('#ecg').dataset;
return { rows, wrong, rate, leads, drawn: Number(drawn), lost: Number(lost), ages: (ages ?? '').trim().split(' ').map(Number) };";

#[test]
fn an_electrocardiogram_reaches_the_page_without_a_lost_sample_and_ear_and_heart_are_in_the_record() -> Result<()> {
    let site = Site::open_with(&[("ecg", "ecg_cyton")])?;
    site.device("ecg value rate=500 signal=count")?;
    let mut visit = Visit::open_at("examined", site, (1280, 800), Browser::Chromium, start_outbox_to_the_desk)?;
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    for measurement in ["Température", "Oxygène et pouls", "Tension"] {
        visit.skips(measurement)?;
    }
    visit.physician_signs_in()?;
    visit.physician.page_is(SMALL_LAPTOP.0, SMALL_LAPTOP.1)?;
    visit.physician.evaluate(LISTEN, &[])?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.notes_the_consultation()?;
    visit.patient_is_taken_and_seen()?;

    visit.step("an electrocardiogram, live");
    visit.physician_asks("Électrocardiogramme", None)?;
    visit.keep()?;
    visit.reads("ecg", "10,0 s")?;
    // What is still on its way when the recording is whole arrives too.
    let seen = until("every row of the recording on the page", PATIENCE, || {
        let seen = visit.physician.evaluate(CHECK, &[])?;
        Ok((seen["rows"].as_u64() >= Some(ROWS) && seen["rows"] == seen["drawn"]).then_some(seen))
    })?;
    ensure!(seen["wrong"] == 0 && seen["lost"] == 0, "samples were lost or changed: {seen}");
    ensure!(seen["leads"] == LEADS && seen["rate"] == 500, "not the leads of the board: {seen}");
    let mut ages: Vec<f64> = seen["ages"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    ages.sort_by(f64::total_cmp);
    eprintln!(
        "from the port to the page, ms: median {:?}, p95 {:?}",
        ages.get(ages.len() / 2),
        ages.get(ages.len() * 95 / 100)
    );

    visit.physician.keep_picture("look-ecg")?;
    visit.step("the ear");
    visit.physician_asks("Image de l’oreille", Some("Oreille gauche"))?;
    visit.physician_perceives("Number(document.querySelector('#instrument-video').dataset.pictures ?? 0) > 5")?;
    visit.window.press("Prendre l’image")?;
    visit.keep()?;

    visit.step("the physician has the picture before the call ends, as it was taken");
    visit.physician.press("Images (1)")?;
    let picture = visit.arrived("#pictures")?;
    visit.physician.text_that("the picture's size", "#panes .pane figcaption", |text| text.contains(" × "))?;
    visit.physician.keep_picture("look-picture")?;
    visit.looks_closely()?;

    visit.step("heart and lungs");
    visit.physician_asks("Écoute du cœur et des poumons", Some("Poumon droit"))?;
    visit.physician_perceives("Number(document.querySelector('#instrument-wave').dataset.loudest ?? 0) > 0.02")?;
    visit.window.press("Enregistrer")?;
    visit.keep()?;

    let sound = visit.arrived("#sounds")?;
    visit.listens(&sound)?;
    visit.physician.keep_picture("look-sound")?;
    visit.physician.press("Liaison")?;
    visit.physician.text_that("the cabin's own figures", "#line-figures", |text| text.contains("kbit/s envoyés"))?;
    visit.physician.keep_picture("look-line")?;
    visit.physician.press("Patient")?;
    visit.lacks_nothing()?;
    visit.physician.keep_picture("look-all")?;
    visit.physician_concludes()?;
    visit.window.find("Vos papiers")?;
    visit.patient_takes_leave()?;
    visit.outbox_is_drained()?;
    ensure!(visit.site.files_in_parts()? > 0, "no file was large enough to go in parts");

    visit.step("all of it is in the record");
    let resources = visit.resources_at_the_desk()?;
    let record = serde_json::to_string(&resources)?;
    for (what, shown) in [("picture", picture), ("sound", sound)] {
        let kept = resources.iter().filter(|resource| resource["resourceType"] == "Binary").any(|binary| {
            let data = binary["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
            data.is_some_and(|data| shown.bytes == data)
        });
        ensure!(kept, "the {what} that the physician saw is not the one in the record");
    }
    // Where each was taken, and with what.
    for (kind, site) in [("image", "Oreille gauche"), ("audio", "Poumon droit")] {
        let media = resources.iter().find(|r| r["resourceType"] == "Media" && r["type"].to_string().contains(kind));
        let media = media.with_context(|| format!("a Media of {kind}"))?;
        ensure!(media["bodySite"].to_string().contains(site), "not where it was taken: {media}");
        ensure!(media["device"]["reference"].is_string(), "not with what: {media}");
    }
    for part in ["11524-6", "SampledData", "application/dicom", "(EDF+)", "image/jpeg", "audio/flac"] {
        // A member of that type is written valueSampledData.
        ensure!(record.contains(part), "the record has no {part}");
    }
    let first = resources
        .iter()
        .filter(|resource| resource["resourceType"] == "Observation")
        .flat_map(|resource| resource["component"].as_array().cloned().unwrap_or_default())
        .find(|component| component["valueSampledData"].is_object())
        .context("the samples of the first lead")?;
    let data = first["valueSampledData"]["data"].as_str().context("samples")?;
    let counts: Vec<i64> = data.split(' ').map(str::parse).collect::<Result<_, _>>().context("a sample is missing")?;
    ensure!(counts.len() as u64 >= ROWS, "{} samples", counts.len());
    ensure!(counts.windows(2).all(|pair| pair[1] == pair[0] + 1), "the record's samples are not those of the board");
    visit.close()
}

impl Visit {
    /// What the instrument sees or hears is on the page, live.
    pub fn physician_perceives(&self, condition: &str) -> Result<()> {
        until("the instrument, live on the page", PATIENCE, || {
            let seen = self.physician.evaluate(&format!("return {condition};"), &[])?;
            Ok((seen == true).then_some(()))
        })
    }

    /// The physician asks, and the patient places the device.
    pub fn physician_asks(&self, measurement: &str, site: Option<&str>) -> Result<()> {
        self.physician.press(measurement)?;
        self.window.find(containing("Le médecin demande cette mesure"))?;
        if let Some(site) = site {
            self.window.press(site)?;
        }
        self.measure(measurement)
    }
}
