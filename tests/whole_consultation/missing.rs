//! A cabin to which nearly everything is missing: it runs, says what is missing and to whom it matters, and goes on by
//! itself when it is there.

use anyhow::{Result, ensure};
use whole_cabin::process::free_port;
use whole_cabin::screen::containing;

use super::{Visit, start_outbox_to_the_desk};

#[test]
fn without_devices_camera_printer_desk_and_fhir_server_the_cabin_runs_says_so_and_loses_nothing() -> Result<()> {
    let nobody = free_port()?;
    let mut visit = Visit::open("nothing there", (1280, 800), |site| {
        site.set_camera("/dev/no-camera-here")?;
        site.end_simulators()?;
        site.start_outbox(&format!("http://127.0.0.1:{nobody}/fhir"), None)?;
        site.kill_desk()
    })?;
    visit.step("a pharmacy without its devices opens in the degraded mode only, and every record says so");
    visit.pharmacist_signs_in("Ouvrir la cabine", "Entrer", "chiffre")?;
    visit.window.find("Contrôle avant l’ouverture")?;
    visit.window.find(containing("Pince du doigt : ne répond pas"))?;
    visit.window.press("Laisser fermé")?;
    visit.pharmacist_signs_in("Ouvrir la cabine", "Entrer", "chiffre")?;
    visit.window.press("Ouvrir en mode dégradé")?;
    visit.window.find("Commencer")?;

    visit.step("the pharmacist and the technician read what is missing");
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    let window = &visit.window;
    for missing in ["La liaison avec les médecins est coupée", "débranché"] {
        window.find(containing(missing))?;
    }
    window.press("Technique")?;
    for missing in ["débranché", "/dev/no-camera-here", "Liaison coupée"] {
        window.find(containing(missing))?;
    }
    window.press("Retour")?;
    window.press("Verrouiller")?;

    visit.step("no device: every measurement says so, and can be passed");
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    for measurement in ["Température", "Oxygène et pouls", "Tension"] {
        let window = &visit.window;
        window.find(measurement)?;
        window.find(containing("L’appareil est débranché. Le pharmacien est prévenu"))?;
        // Over the screen once; put aside, it is not said over the next ones.
        if measurement == "Température" {
            window.find("Le pharmacien est appelé")?;
            window.press("Revenir à l’écran")?;
        }
        window.press("Passer cette mesure")?;
        window.press("L’appareil ne marche pas")?;
        window.press("Continuer")?;
        window.gone(measurement)?;
    }

    visit.step("no desk: the patient waits and reads why; it comes back by itself");
    visit.window.find("La liaison avec le médecin est coupée")?;
    visit.site.start_desk()?;
    visit.window.find("Aucun médecin ne répond pour le moment")?;
    visit.physician_signs_in()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;

    visit.step("no camera: the patient is told, a test picture is sent");
    visit.notes_the_consultation()?;
    visit.patient_is_taken_and_seen()?;
    visit.window.find(containing("La caméra ne marche pas"))?;
    visit.physician_concludes()?;

    visit.step("no printer");
    visit.window.find("Vos papiers")?;
    visit.window.press("Imprimer")?;
    visit.window.find(containing("L’impression n’a pas marché"))?;
    visit.patient_takes_leave()?;

    visit.step("no FHIR server: the record waits, and arrives once there is one");
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find(containing("Le serveur des dossiers ne répond pas"))?;
    visit.window.find(containing("1 dossier attend le réseau"))?;
    visit.site.kill_outbox()?;
    start_outbox_to_the_desk(&mut visit.site)?;
    visit.window.find(containing("Tous les dossiers sont arrivés"))?;
    visit.outbox_is_drained()?;
    let record = serde_json::to_string(&visit.resources_at_the_desk()?)?;
    for said in ["Sans oxymètre", "Sans tensiomètre"] {
        ensure!(record.contains(said), "the record does not say {said:?}");
    }
    visit.close()
}
