//! The operator ends: a cabin with a queue moves to another desk by a signed order, before there is a line to it.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::Visit;

#[test]
fn a_cabin_with_a_queue_joins_another_desk_by_an_order_alone_and_what_waited_arrives_there() -> Result<()> {
    let mut visit = Visit::open_without_a_desk("handed over")?;

    visit.step("a record waits that the first desk never gets");
    visit.window.press("Être rappelé")?;
    visit.window.find(containing("À quel numéro vous rappeler"))?;
    visit.window.press("Être rappelé")?;
    visit.window.find(containing("Votre dossier part, scellé"))?;
    visit.cabin_is_cleaned()?;
    let status = visit.site.outbox_status()?;
    ensure!(status.lines().any(|line| line.starts_with("waiting for proof") && line.ends_with('1')), "{status}");

    visit.step("the order is applied, and nobody is reached; the cabin says whom it waits for, and receives");
    let former = visit.identity()?;
    visit.site.hand_over()?;
    visit.site.kill_outbox()?;
    visit.site.start_outbox_again()?;
    visit.kill_and_restart()?;
    visit.pharmacist_opens()?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.press("Technique")?;
    visit.window.find(containing(&format!("the desk at {} cannot be reached", visit.site.desk_address())))?;
    visit.window.find(containing("reliée à aucun bureau médical"))?;
    visit.screen.keep_picture("handed-over-technician")?;
    ensure!(visit.identity()? == former, "the former identity stays until the new desk has taken the cabin");
    visit.window.press("Retour")?;
    visit.window.press("Verrouiller")?;

    visit.step("the desk answers: the cabin joins it by itself, and what waited is there");
    visit.site.start_desk()?;
    visit.outbox_is_drained()?;
    visit.physician_signs_in()?;
    visit.called_back_are(1)?;
    let identity = visit.identity()?;
    ensure!(identity["origin"] == visit.site.desk_address().as_str(), "joined to {}", identity["origin"]);
    ensure!(identity["key"] != former["key"], "each desk knows the cabin by a key of its own");
    ensure!(!visit.site.upload_token().exists(), "the former desk's token is left");
    ensure!(!visit.site.cabin_folder().join("data/joining").exists(), "the used code is left");

    visit.step("a patient waits, and the physician of the new desk sees where");
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    visit.measure("Température")?;
    visit.keep()?;
    visit.skips("Oxygène et pouls")?;
    visit.skips("Tension")?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.physician.shows("Pharmacie des Halles, Angers")?;
    visit.notes_the_consultation()?;

    visit.step("after a restart it is that desk's cabin still");
    visit.kill_and_restart()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.patient_is_taken_and_seen()?;
    visit.close()
}

impl Visit {
    fn identity(&self) -> Result<Value> {
        let path = self.site.cabin_folder().join("data/identity.json");
        until("the cabin's identity", PATIENCE, || {
            Ok(fs::read(&path).ok().map(|bytes| serde_json::from_slice(&bytes)))
        })?
        .context("identity.json")
    }
}
