//! From a reading's last byte at the port to its text in the physician's page.

use anyhow::{Context, Result};
use serde_json::json;
use whole_cabin::screen::containing;

use crate::Visit;
use crate::table::Row;

/// What is asked for in turn, and the card of the page on which each one's last figure appears.
const ASKED: [(&str, &str); 3] = [
    ("Poids et taille", "#vital-height"),
    ("Oxygène et pouls", "#vital-pulse_rate"),
    ("Température", "#vital-temperature"),
];

/// What the cabin proposes before the call for the reason that the patient gives, in its order.
pub const PROPOSED: [&str; 3] = ["Température", "Oxygène et pouls", "Tension"];

/// `at`: the cabin's clock at the last byte, ms since 1970. `drawn`: the page's clock when the text was there to be
/// painted, ms since 1970. One machine, so one clock.
const CARD: &str = "const card = document.querySelector(arguments[0]);
return card ? { at: Number(card.dataset.at), drawn: Number(card.dataset.drawn) } : null;";

/// Asks for many measurements in the call, each guided and kept as a patient would. Gives the rows of the readings
/// and the memory of the cabin in the call, in MiB, looked at after each.
pub fn rows(visit: &Visit, rounds: usize) -> Result<(Vec<Row>, Vec<f64>)> {
    let (mut ways, mut memory) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for (measurement, card) in ASKED {
            visit.step(&format!("reading, round {} of {rounds}: {measurement}", round + 1));
            ways.push(one(visit, measurement, card)?);
            memory.push(visit.memory()?);
        }
    }
    Ok((vec![Row::new("reading: last byte at the port to text in the page", "ms", Some(150), ways)], memory))
}

/// Milliseconds.
fn one(visit: &Visit, measurement: &str, card: &str) -> Result<f64> {
    let former = look(visit, card)?.map(|(at, _)| at);
    visit.physician.press(measurement)?;
    visit.window.find(containing("Le médecin demande cette mesure"))?;
    visit.measure(measurement)?;
    let (at, drawn) = crate::wait(&format!("a new reading on {card}"), || {
        Ok(look(visit, card)?.filter(|(at, _)| former != Some(*at)))
    })?;
    visit.keep()?;
    visit.window.find("Image du médecin")?;
    Ok(drawn - at)
}

fn look(visit: &Visit, card: &str) -> Result<Option<(f64, f64)>> {
    let look = visit.physician.evaluate(CARD, &[json!(card)])?;
    if look.is_null() {
        return Ok(None);
    }
    let number = |name: &str| look[name].as_f64().with_context(|| format!("{name} of {card}"));
    Ok(Some((number("at")?, number("drawn")?)))
}
