//! No physician can be seen: the patient leaves a number, is forgotten, and is called back with the whole dossier once
//! the line is there.

use anyhow::{Context, Result, ensure};
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::{NO_LINE, Visit, person};

/// Where the second patient is today; of the numbers kept free for fiction, as the other.
const AT_A_FRIENDS: &str = "0261913587";

#[test]
fn a_patient_whom_no_physician_can_see_is_forgotten_and_called_back_with_the_dossier_once_the_line_is_there()
-> Result<()> {
    let mut visit = Visit::open_without_a_desk("called back")?;

    visit.step("the patient may wait, or be called back; the cabin is killed before the choice");
    visit.window.find(NO_LINE)?;
    visit.kill_and_restart()?;
    visit.window.find(NO_LINE)?;
    visit.window.press("Être rappelé")?;
    visit.window.find(containing("À quel numéro vous rappeler"))?;
    visit.window.holds("Téléphone", person::PHONE)?;
    visit.window.press("Retour")?;
    visit.window.find(NO_LINE)?;
    visit.window.press("Être rappelé")?;
    visit.window.find(containing("À quel numéro vous rappeler"))?;
    visit.window.press("Être rappelé")?;
    visit.window.find(containing("Un médecin vous rappellera au numéro que vous avez donné"))?;
    visit.window.find(containing("Votre dossier part, scellé"))?;
    visit.screen.keep_picture("called-back-forgotten")?;
    visit.cabin_is_cleaned()?;

    visit.step("nothing of the patient can be read in the cabin, though nothing was sent yet");
    // The outbox, which may read it, tries to send it now and then.
    visit.cabin_holds_nothing_of(&person::traces()?)?;

    visit.step("of the next patient the pharmacist decides");
    visit.patient_waits_for_nobody()?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find("Aucun médecin pour le moment")?;
    // Back from another page of theirs, the patient stands where they stood.
    visit.window.press("Avis demandés")?;
    visit.window.press("Retour")?;
    visit.window.find("Aucun médecin pour le moment")?;
    visit.window.find(containing("Rappels demandés"))?;
    visit.window.press(containing("Demander un rappel"))?;
    visit.window.find(containing("À quel numéro vous rappeler"))?;
    let erased = "\u{8}".repeat(person::PHONE.len());
    visit.window.type_into("Téléphone", &(erased + AT_A_FRIENDS))?;
    visit.window.holds("Téléphone", AT_A_FRIENDS)?;
    visit.window.press("Être rappelé")?;
    visit.window.find(containing("Un médecin vous rappellera au numéro que vous avez donné"))?;
    visit.cabin_is_cleaned()?;

    visit.step("the desk is there: the physician reads where and why, and no name yet");
    visit.site.start_desk()?;
    visit.physician_signs_in()?;
    visit.outbox_is_drained()?;
    visit.called_back_are(2)?;
    let list = visit.physician.text("#call-backs")?;
    ensure!(list.contains("Toux, respiration") && list.contains("Pharmacie des Halles"), "the list says {list:?}");
    ensure!(!list.contains(person::BIRTH_NAME) && !list.contains(person::PHONE), "the list tells who: {list:?}");

    visit.step("who takes it up has number, name, words and figures");
    visit.physician.press("Je rappelle")?;
    let shown = visit.physician.text_that("the dossier", "#call-back-dialog", |text| text.contains("37,46"))?;
    for part in [person::PHONE, person::BIRTH_NAME, person::FIRST_GIVEN_NAME, "14/07/1984", person::LINE, "aucun des 8"]
    {
        ensure!(shown.contains(part), "no {part:?} in {shown:?}");
    }
    visit.physician.keep_picture("called-back-dossier")?;
    visit.physician.press("Rappelé : terminé")?;
    visit.called_back_are(1)?;

    visit.step("one who is not reached is on the list again, after a restart of the desk too");
    visit.physician.press("Je rappelle")?;
    visit.physician.text_that("the other dossier", "#call-back-dialog", |text| text.contains(AT_A_FRIENDS))?;
    visit.physician.press("Pas joint : rendre à la liste")?;
    visit.physician.text_that("nobody who rings", "#call-backs", |text| text.contains("Je rappelle"))?;
    visit.site.kill_desk()?;
    visit.site.start_desk()?;
    visit.physician_signs_in()?;
    visit.called_back_are(1)?;
    visit.close()
}

impl Visit {
    /// So many requests on the physician's page.
    pub fn called_back_are(&self, count: u64) -> Result<()> {
        const COUNT: &str = "return document.querySelectorAll('#call-back-list > li').length";
        until(&format!("{count} patients to be called back"), PATIENCE, || {
            let now = self.physician.evaluate(COUNT, &[])?;
            Ok((now.as_u64().context("a count")? == count).then_some(()))
        })
    }

    /// Of the devices to be cleaned, each that is there.
    pub fn touches_what_was_used(&self) -> Result<()> {
        for device in ["Thermomètre", "Pince du doigt", "Tensiomètre", "Balance et toise", "Dermatoscope"] {
            if self.window.look(device)?.is_some() {
                self.window.press(device)?;
            }
        }
        Ok(())
    }

    /// From the goodbye to the welcome: whatever is on the list is cleaned.
    pub fn cabin_is_cleaned(&self) -> Result<()> {
        let window = &self.window;
        window.press("Terminé")?;
        window.find("La cabine est en nettoyage")?;
        self.touches_what_was_used()?;
        window.press("Nettoyage fait")?;
        window.find("Commencer").map(drop)
    }
}
