//! An interpreter in the call: the pharmacist asks for one, the physician invites, and the patient reads who it is before
//! being seen, and when they leave; a cabin that restarts says it again, and the record tells when they were there.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whole_cabin::physician::{Browser, Media, Physician};
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::{Visit, person, start_outbox_to_the_desk};
use crate::third_seat::{MAGENTA, NAME, asks_to_come_in, ground, invite, share_of};

#[test]
fn an_interpreter_comes_in_by_a_link_and_is_named_to_the_patient_and_in_the_record() -> Result<()> {
    let mut visit = Visit::open_with("third seat", (1280, 800), Browser::Firefox, start_outbox_to_the_desk)?;
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    for measurement in ["Température", "Oxygène et pouls", "Tension"] {
        visit.skips(measurement)?;
    }
    visit.physician_signs_in()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.notes_the_consultation()?;
    visit.patient_is_taken_and_seen()?;

    visit.step("the pharmacist asks the physician for an interpreter");
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find("Interprète ou spécialiste dans l’échange")?;
    visit.screen.keep_picture("third-seat-space")?;
    visit.window.activate(containing("Le demander"))?;
    visit.physician.shows("Le pharmacien demande un interprète")?;
    visit.window.find("demandé au médecin, qui l’invite")?;
    visit.window.press("Verrouiller")?;
    visit.window.find("Image du médecin")?;

    visit.step("an interpreter comes in, and is named to the patient; the physician's browser is Firefox");
    let media = Media { pictures: Some(ground(visit.site.folder(), "magenta", MAGENTA.0)?), sound: None };
    let guest = Physician::open_with(visit.site.folder(), "quarmby", &media)?;
    let link = invite(&visit.physician)?;
    asks_to_come_in(&guest, &link, "interprète en langue des signes")?;
    visit.physician.shows(NAME)?;
    ensure!(visit.window.look(containing(NAME))?.is_none(), "the patient reads of somebody who is not let in");
    visit.physician.press("Faire entrer")?;
    visit.window.find(containing(&format!("{NAME}, interprète en langue des signes, vous voit et vous entend")))?;
    guest.sees_moving_picture("#patient", 5)?;
    visit.physician.sees_moving_picture("#guest-video", 5)?;
    visit.window.find(containing(&format!("Avec vous\u{a0}: {NAME}, interprète en langue des signes")))?;
    until("the interpreter's picture on the cabin's screen", PATIENCE, || {
        let Some(element) = visit.window.look("Image du médecin")? else { return Ok(None) };
        let share = share_of(&visit.window.picture_of(&element)?.rgb, 3, MAGENTA);
        ensure!(share > 0.2, "{share} of it");
        Ok(Some(()))
    })?;
    visit.screen.keep_picture("third-seat-cabin")?;
    visit.physician.keep_picture("third-seat-firefox")?;
    let page = guest.text("body")?;
    ensure!(
        !page.contains(person::BIRTH_NAME) && !page.contains(person::LINE),
        "the guest reads of the patient: {page}"
    );
    visit.physician.press("Fermer")?;

    visit.step("what the patient writes, the interpreter reads too");
    visit.window.press("Écrire")?;
    visit.window.press("Je n’entends pas")?;
    guest.shows("Patient : Je n’entends pas")?;
    guest.type_into("Écrire au patient et au médecin", "Je traduis")?;
    guest.press("Envoyer")?;
    visit.window.find(containing(&format!("{NAME} : Je traduis")))?;
    visit.window.press("Fermer l’écrit")?;

    visit.step("a cabin that restarts says again who is there");
    visit.kill_and_restart()?;
    visit.window.find(containing(&format!("Avec vous\u{a0}: {NAME}")))?;
    guest.sees_moving_picture("#patient", 5)?;

    visit.step("the patient reads that they are gone");
    guest.press("Quitter")?;
    guest.shows("Vous avez quitté l’échange")?;
    visit.window.find(containing(&format!("{NAME} n’est plus là")))?;
    ensure!(visit.window.look(containing("Avec vous\u{a0}:"))?.is_none(), "who is gone is still named");
    visit.screen.keep_picture("third-seat-gone")?;
    drop(guest);

    let prescription = visit.physician_concludes()?;
    ensure!(!prescription.is_empty(), "nothing was handed over");
    visit.patient_sees_what_is_handed_over()?;
    visit.window.press("J’ai mes papiers")?;
    visit.window.find("Trois questions, si vous voulez")?;
    visit.window.press("Terminer")?;
    visit.window.find("Au revoir")?;

    visit.step("the record tells who was there, and when");
    visit.outbox_is_drained()?;
    let resources = visit.resources_at_the_desk()?;
    let encounter = resources.iter().find(|resource| resource["resourceType"] == "Encounter");
    let participants = encounter.context("no Encounter")?["participant"].as_array().context("no participants")?;
    let theirs: Vec<&Value> =
        participants.iter().filter(|participant| participant["individual"]["display"] == NAME).collect();
    ensure!(!theirs.is_empty(), "nobody of that name: {participants:#?}");
    for participant in theirs {
        ensure!(participant["type"][0]["coding"][0]["code"] == "translator", "{participant:#}");
        ensure!(
            participant["period"]["start"].is_string() && participant["period"]["end"].is_string(),
            "{participant:#}"
        );
    }

    visit.step("nothing of either is left in the cabin");
    let mut traces = person::traces()?;
    traces.push(whole_cabin::memory::Trace::of(NAME)?);
    until("the cabin to hold nothing", PATIENCE, || {
        let found = visit.site.search_cabin_side(&traces)?;
        ensure!(found.is_empty(), "the cabin holds:\n{found:#?}");
        Ok(Some(()))
    })?;
    visit.close()
}
