//! No physician can be seen: the patient leaves with a code, is forgotten, and comes back to what was said and measured.

use anyhow::{Context, Result, ensure};
use whole_cabin::memory::Trace;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::{NO_LINE, Visit, person, start_outbox_to_the_desk};

const SHOWN: &str = "Code : ";

#[test]
fn a_patient_whom_no_physician_can_see_comes_back_with_a_code_to_all_that_was_said_and_measured() -> Result<()> {
    let mut visit = Visit::open_without_a_desk("comes back")?;

    visit.step("the patient may rather come back; a killed cabin shows the same code");
    visit.window.find(NO_LINE)?;
    visit.screen.keep_picture("comes-back-choice")?;
    visit.window.press("Revenir plus tard")?;
    let code = visit.code_shown()?;
    visit.window.press("Retour")?;
    visit.window.find(NO_LINE)?;
    visit.window.press("Revenir plus tard")?;
    let other = visit.code_shown()?;
    ensure!(code != other, "a code that was given back is shown again");
    visit.kill_and_restart()?;
    ensure!(visit.code_shown()? == other, "the restarted cabin shows another code");
    visit.screen.keep_picture("comes-back-code")?;
    visit.window.press("J’ai noté mon code")?;
    visit.window.find(containing("avec votre code et votre date de naissance"))?;
    visit.screen.keep_picture("comes-back-forgotten")?;
    visit.cabin_is_cleaned()?;

    visit.step("nothing of the patient can be read in the cabin, the code no more than the rest");
    let mut traces = person::traces()?;
    traces.push(Trace::of(&other)?);
    traces.push(Trace::of(&format!("{} {}", &other[..4], &other[4..]))?);
    visit.cabin_holds_nothing_of(&traces)?;

    visit.step("to the next patient the pharmacist gives a code");
    visit.patient_waits_for_nobody()?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find("Le patient peut aussi revenir")?;
    visit.window.press(containing("Donner un code"))?;
    let given = visit.code_shown()?;
    ensure!(given != other, "two patients have one code");
    visit.screen.keep_picture("comes-back-given")?;
    visit.window.press("J’ai noté mon code")?;
    visit.window.find(containing("avec votre code et votre date de naissance"))?;
    visit.cabin_is_cleaned()?;

    visit.step("a power cut later the pharmacist opens again; another birth date opens nothing");
    visit.kill_and_restart()?;
    visit.pharmacist_opens()?;
    visit.window.press("Je reviens avec un code")?;
    visit.types_code(&other, "15071984")?;
    visit.window.press("Retrouver mon dossier")?;
    visit.window.find(containing("Ce code et cette date n’ouvrent rien"))?;
    visit.screen.keep_picture("comes-back-wrong")?;
    visit.window.press("Retour")?;
    visit.window.find("Commencer")?;

    visit.step("the code and the birth date open it: the warning signs are asked again, and nothing else");
    visit.window.press("Je reviens avec un code")?;
    visit.types_code(&other, "14071984")?;
    visit.window.press("Retrouver mon dossier")?;
    visit.patient_has_no_warning_sign()?;
    visit.window.find(NO_LINE)?;

    visit.step("this time the patient is called back, and so is the other one");
    visit.is_called_back()?;
    visit.window.press("Je reviens avec un code")?;
    visit.types_code(&given, "14071984")?;
    visit.window.press("Retrouver mon dossier")?;
    visit.patient_has_no_warning_sign()?;
    visit.window.find(NO_LINE)?;
    visit.is_called_back()?;
    // The cabin asks the outbox now and then.
    until("nobody to come back any more", PATIENCE, || {
        Ok(visit.window.look("Je reviens avec un code")?.is_none().then_some(()))
    })?;

    visit.step("the record holds what was measured before");
    visit.site.start_desk()?;
    visit.physician_signs_in()?;
    visit.outbox_is_drained()?;
    visit.called_back_are(2)?;
    visit.physician.press("Je rappelle")?;
    let shown = visit.physician.text_that("the dossier", "#call-back-dialog", |text| text.contains("37,46"))?;
    for part in [person::PHONE, person::BIRTH_NAME, person::LINE, "14/07/1984"] {
        ensure!(shown.contains(part), "no {part:?} in {shown:?}");
    }
    visit.close()
}

#[test]
fn where_the_desk_refuses_the_cabin_the_patient_leaves_with_a_code_that_quitting_keeps_and_a_specialist_may_be_asked()
-> Result<()> {
    let mut visit = Visit::open("refused", (1280, 800), |site| {
        start_outbox_to_the_desk(site)?;
        site.revoke_cabin()
    })?;
    visit.pharmacist_opens()?;
    visit.patient_is_ready()?;

    visit.step("no physician can be called: the patient may come back, the pharmacist may ask a specialist");
    visit.window.find("Cette cabine n’est pas reconnue")?;
    visit.window.find("Revenir plus tard")?;
    ensure!(visit.window.look("Être rappelé")?.is_none(), "a call is promised by a desk that does not know the cabin");
    visit.screen.keep_picture("refused-choice")?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find("Le patient peut revenir plus tard")?;
    if visit.window.look(containing("une fois la cabine reconnue"))?.is_none() {
        visit.window.press("Descendre")?;
    }
    visit.window.find(containing("une fois la cabine reconnue"))?;
    visit.screen.keep_picture("refused-space")?;
    visit.window.press("Verrouiller")?;

    visit.step("whoever quits with the code in hand comes back with it");
    visit.window.press("Revenir plus tard")?;
    let code = visit.code_shown()?;
    visit.window.press("Quitter")?;
    visit.window.find(containing("avec votre code et votre date de naissance"))?;
    visit.screen.keep_picture("refused-forgotten")?;
    visit.cabin_is_cleaned()?;
    visit.window.press("Je reviens avec un code")?;
    visit.types_code(&code, "14071984")?;
    visit.window.press("Retrouver mon dossier")?;
    visit.patient_has_no_warning_sign()?;
    visit.window.find("Cette cabine n’est pas reconnue")?;
    visit.close()
}

impl Visit {
    /// From the waiting room to the welcome, with the number that is in the dossier.
    fn is_called_back(&mut self) -> Result<()> {
        self.window.press("Être rappelé")?;
        self.window.find(containing("À quel numéro vous rappeler"))?;
        self.window.holds("Téléphone", person::PHONE)?;
        self.window.press("Être rappelé")?;
        self.window.find(containing("Un médecin vous rappellera au numéro que vous avez donné"))?;
        self.cabin_is_cleaned()
    }

    /// The eight digits on the screen.
    fn code_shown(&self) -> Result<String> {
        self.window.find("Votre code pour revenir")?;
        let element = self.window.find(containing(SHOWN))?;
        let code: String = element.name.chars().filter(char::is_ascii_digit).collect();
        ensure!(code.len() == 8, "{:?} is no code", element.name);
        Ok(code)
    }

    fn types_code(&self, code: &str, birth_date: &str) -> Result<()> {
        self.window.find("Vous revenez")?;
        self.window.type_into("Code", code)?;
        self.window.holds("Code", code)?;
        self.window.type_into("Date de naissance", birth_date)?;
        self.window.holds("Date de naissance", birth_date).context("the birth date")
    }
}
