//! What goes wrong in a consultation, and where the patient is then: killed cabins, a physician who gives back, a desk
//! that forgets, an outbox that is away.

use anyhow::Result;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::{Visit, person, start_outbox_to_the_desk};

#[test]
fn a_consultation_survives_a_kill_at_each_step_with_the_physician_a_hand_back_and_a_desk_that_forgets() -> Result<()> {
    let mut visit = Visit::open("interruptions", (1280, 800), start_outbox_to_the_desk)?;
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.step("killed before consent; what was answered can be gone back to");
    visit.window.find("Vos données, vos choix")?;
    visit.kill_and_restart()?;
    visit.window.find("Vos données, vos choix")?;
    visit.window.press("Retour")?;
    visit.window.holds("Téléphone", person::PHONE)?;
    visit.window.press("Continuer")?;
    visit.patient_agrees()?;
    visit.patient_skips("Température")?;
    visit.patient_skips("Oxygène et pouls")?;
    visit.patient_skips("Tension")?;

    visit.step("killed before accepting the physician");
    visit.physician_signs_in()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.physician.press("Prendre ce patient")?;
    visit.window.find("Un médecin est prêt à vous recevoir")?;
    visit.kill_and_restart()?;
    visit.window.find("Un médecin est prêt à vous recevoir")?;
    visit.window.press("Accepter")?;
    visit.window.find("Image du médecin")?;
    visit.physician.sees_moving_picture("#remote-video", 5)?;
    visit.physician.text_that("why nothing was measured", "#request-state", |text| text.contains("ne veut pas"))?;

    visit.step("killed in the call");
    visit.kill_and_restart()?;
    visit.window.find("Image du médecin")?;
    visit.physician.sees_moving_picture("#remote-video", 5)?;

    visit
        .step("given back, the patient waits again and is taken again; what was handed over is on the page, and stays");
    visit.physician.type_into("Conclusion", person::SUMMARY_BEFORE)?;
    visit.physician.press("Remettre au patient")?;
    visit.physician.text_that("the summary to be kept", "#save-state", |text| text.contains("gardé dans la cabine"))?;
    visit.physician.press("Rendre à la salle d’attente")?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.physician.shows("Toux, respiration")?;
    visit.patient_is_taken_and_seen()?;
    let before = |text: &str| text.contains(person::SUMMARY_BEFORE) && text.contains("Dr Claire Morel");
    visit.physician.text_that("what the call before left", "#before", before)?;

    visit.step("desk and cabin lose their power together; the desk no longer knows the call");
    visit.site.kill_cabin()?;
    visit.site.kill_desk()?;
    visit.site.start_desk()?;
    visit.window = visit.site.start_cabin(&visit.screen)?;
    visit.physician_signs_in()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.patient_is_taken_and_seen()?;

    visit.step("the desk alone restarts: the two go on talking over their direct line");
    visit.site.kill_desk()?;
    visit.site.start_desk()?;
    visit.physician.shows("Le bureau a redémarré")?;
    visit.physician.sees_moving_picture("#remote-video", 5)?;
    visit.window.find("Image du médecin")?;

    visit.step("given back where the desk knows the call no more: the page closes it, and the patient waits again");
    visit.physician.press("Rendre à la salle d’attente")?;
    visit.physician.shows("Connectez-vous de nouveau")?;
    visit.physician_signs_in()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.patient_is_taken_and_seen()?;

    visit.step("the physician ends; killed with the papers on the screen");
    visit.physician_concludes()?;
    visit.window.find("Vos papiers")?;
    visit.kill_and_restart()?;
    visit.window.find("Vos papiers")?;
    visit.window.find(containing(person::SUMMARY))?;
    visit.window.find(containing(person::SUMMARY_BEFORE))?;
    visit.patient_takes_words_while_the_desk_is_away()?;
    visit.window.press("J’ai mes papiers")?;
    visit.window.find("Trois questions, si vous voulez")?;
    visit.kill_and_restart()?;
    visit.window.find("Trois questions, si vous voulez")?;
    visit.window.press("Terminer")?;
    visit.window.find("Au revoir")?;
    visit.outbox_is_drained()?;
    visit.close()
}

#[test]
fn without_its_outbox_the_cabin_says_so_still_reaches_help_and_loses_nothing() -> Result<()> {
    let mut visit = Visit::open("outbox away", (1280, 800), |_| Ok(()))?;
    visit.pharmacist_opens()?;

    visit.step("no outbox: no consultation can begin, and the screen says so");
    visit.window.find(containing("ne peut pas commencer"))?;
    start_outbox_to_the_desk(&mut visit.site)?;
    visit.window.gone(containing("ne peut pas commencer"))?;

    visit.step("the outbox dies in the consultation");
    let window = &visit.window;
    window.press("Commencer")?;
    window.press("Toux, respiration")?;
    visit.site.kill_outbox()?;
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    visit.step("emergency is obeyed all the same");
    visit.window.press("Urgence\u{a0}: voir les numéros")?;
    visit.window.find(containing("15"))?;
    visit.window.find(containing("112"))?;
    start_outbox_to_the_desk(&mut visit.site)?;
    visit.window.press("Ce n’est pas urgent, revenir")?;
    visit.window.gone(containing("n’arrive pas à garder vos réponses"))?;
    visit.window.find(containing("Pourquoi voulez-vous voir un médecin"))?;

    visit.step("what was obeyed is written: a killed cabin comes back to the same step");
    let kept = || -> Result<bool> { Ok(visit.site.outbox_status()?.contains("open consultation")) };
    until("the outbox to hold the consultation", PATIENCE, || Ok(kept()?.then_some(())))?;
    visit.kill_and_restart()?;
    visit.window.find(containing("Pourquoi voulez-vous voir un médecin"))?;
    visit.close()
}

impl Visit {
    fn patient_skips(&self, measurement: &str) -> Result<()> {
        let window = &self.window;
        window.find(measurement)?;
        window.find("C’est en place")?;
        window.press("Passer cette mesure")?;
        window.press("Je ne veux pas")?;
        window.press("Continuer")?;
        window.gone(measurement)
    }
}
