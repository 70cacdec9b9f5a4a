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
    visit.window.press("Ce n’est pas urgent, revenir")?;
    // What was called lies over what is said of the outbox.
    visit.window.press("Revenir à l’écran")?;
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    start_outbox_to_the_desk(&mut visit.site)?;
    visit.window.gone(containing("n’arrive pas à garder vos réponses"))?;
    visit.window.find(containing("Pourquoi voulez-vous voir un médecin"))?;

    visit.step("what was obeyed is written: a killed cabin comes back to the same step");
    visit.kill_and_restart()?;
    visit.window.find(containing("Pourquoi voulez-vous voir un médecin"))?;

    visit.step("the outbox dies again: the pharmacist comes in over it, and is told");
    visit.window.press("Revenir à l’écran")?;
    visit.site.kill_outbox()?;
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    visit.pharmacist_signs_in("Espace pharmacien, par-dessus", "Entrer", "chiffre")?;
    visit.window.find(containing("L’enregistrement ne répond pas"))?;
    visit.window.press("Verrouiller")?;

    visit.step("back, the consultation goes on");
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    visit.site.start_outbox_again()?;
    visit.window.gone(containing("n’arrive pas à garder vos réponses"))?;
    visit.window.press("Quitter")?;
    visit.window.press("Oui, quitter")?;
    visit.window.find("Au revoir")?;
    visit.outbox_is_drained()?;
    visit.close()
}

#[test]
fn another_outbox_in_the_place_of_the_one_that_was_lost_is_said_until_its_folder_is_back_or_it_is_accepted()
-> Result<()> {
    let mut visit = Visit::open("outbox replaced", (1280, 800), start_outbox_to_the_desk)?;
    visit.pharmacist_opens()?;
    visit.window.press("Commencer")?;
    visit.patient_chooses_why()?;
    visit.window.find(containing("Question 1 sur"))?;
    let known = visit.site.cabin_settings().with_file_name("data").join("outbox-name");
    until("the cabin to know its outbox", PATIENCE, || Ok(known.exists().then_some(())))?;
    let replaced = "this is not the outbox that this cabin knew";
    // It may still be starting.
    let status = |visit: &Visit, says: bool| {
        until("the status to say so", PATIENCE, || {
            Ok(visit.site.outbox_status().is_ok_and(|status| status.contains(replaced) == says).then_some(()))
        })
    };

    visit.step("an answer that is given while the outbox is away is taken when it is back");
    visit.site.kill_outbox()?;
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    visit.window.press("Réessayer")?;
    visit.window.press("Non")?;
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    visit.site.start_outbox_again()?;
    visit.window.find(containing("Question 2 sur"))?;

    visit.step("its folder is gone: the screen stops, whatever another outbox says, and the pharmacist is told");
    let (folder, elsewhere) = (visit.site.outbox_folder(), visit.site.outbox_folder().with_extension("elsewhere"));
    visit.site.kill_outbox()?;
    std::fs::rename(&folder, &elsewhere)?;
    visit.site.start_outbox_again()?;
    status(&visit, true)?;
    visit.window.find(containing("n’arrive pas à garder vos réponses"))?;
    visit.pharmacist_signs_in("Espace pharmacien, par-dessus", "Entrer", "chiffre")?;
    visit.window.find(containing("L’enregistrement a été remplacé"))?;
    visit.window.press("Verrouiller")?;

    visit.step("its folder comes back: the same consultation goes on");
    visit.site.kill_outbox()?;
    std::fs::remove_dir_all(&folder)?;
    std::fs::rename(&elsewhere, &folder)?;
    visit.site.start_outbox_again()?;
    visit.window.gone(containing("n’arrive pas à garder vos réponses"))?;
    status(&visit, false)?;
    for question in 2..=8 {
        visit.answers(&format!("Question {question} sur 8."), "Non")?;
    }
    visit.window.find("Votre nom de naissance")?;
    visit.kill_and_restart()?;
    visit.window.find("Votre nom de naissance")?;

    visit.step("gone for good: the technician accepts the new one, and the next patient can begin");
    visit.site.kill_cabin()?;
    visit.site.kill_outbox()?;
    std::fs::remove_dir_all(&folder)?;
    visit.site.start_outbox_again()?;
    visit.window = visit.site.start_cabin(&visit.screen)?;
    visit.pharmacist_opens()?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find(containing("L’enregistrement a été remplacé"))?;
    visit.site.accept_outbox()?;
    visit.window.gone(containing("L’enregistrement a été remplacé"))?;
    status(&visit, false)?;
    visit.window.press("Verrouiller")?;
    visit.patient_says_why()?;
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
