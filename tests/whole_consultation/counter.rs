//! What stands at the counter's side of the cabin: a carte Vitale and a scanned code help to type, and prove nothing; a
//! receipt leads to the papers.

use anyhow::{Context, Result, ensure};
use sim::card_vitale::Kind;
use whole_cabin::card_reader::{self, CardReader};
use whole_cabin::physician::Browser;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;
use whole_cabin::site::Site;

use super::{Visit, papers, start_outbox_to_the_desk};

/// Of the card and of the code that the simulators show; of no person.
const ON_THE_CARD: (&str, &str) = ("DUBOIS-ESSAI", "ELEONORE");
const ON_THE_CODE: (&str, &str, &str) = ("D'ESSAI", "JEAN-BAPTISTE LOUIS", "185057800608491");

#[test]
fn a_card_and_a_code_fill_the_form_and_prove_nothing_and_a_receipt_opens_the_papers() -> Result<()> {
    if let Some(file) = card_reader::missing() {
        ensure!(std::env::var_os("CI").is_none(), "there is no {file}: tests/tools/install test installs it");
        eprintln!(
            "a_card_and_a_code_fill_the_form_and_prove_nothing_and_a_receipt_opens_the_papers: SKIPPED, no {file}"
        );
        return Ok(());
    }
    let mut site = Site::open_with(&[("scanner", "scanner_codes"), ("receipts", "printer_escpos")])?;
    let reader = CardReader::start(site.folder())?;
    site.set_variable("PCSCLITE_CSOCK_NAME", reader.socket());
    let mut visit = Visit::open_at("at the counter", site, (1280, 800), Browser::Chromium, |site| {
        // The papers of this cabin come out as a receipt.
        site.take_out_of_settings("[printer]")?;
        site.change_settings(|settings| settings + "\n[card_reader]\nname = \"any\"\n")?;
        start_outbox_to_the_desk(site)
    })?;
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;

    visit.step("a bank card is none, a carte Vitale fills the form");
    let window = &visit.window;
    window.find(containing("Avez-vous votre carte Vitale"))?;
    window.find(containing("Mettez votre carte dans le lecteur"))?;
    let mut bank = reader.insert(Kind::Bank)?;
    // One that is in before the reader was looked at could be the last patient's: it is asked to come out first.
    while window.find_any(&[containing("Ce n’est pas une carte Vitale"), containing("Une carte est restée")])?.0 == 1
    {
        drop(bank);
        window.find(containing("Mettez votre carte dans le lecteur"))?;
        bank = reader.insert(Kind::Bank)?;
    }
    drop(bank);
    let card = reader.insert(Kind::Vitale)?;
    window.press(containing(ON_THE_CARD.0))?;
    window.find("Votre nom de naissance")?;
    window.holds("Nom de naissance", ON_THE_CARD.0)?;
    drop(card);

    visit.step("a code is scanned instead: nothing of the card is left in the form");
    visit.site.device("scanner scan ins")?;
    let window = &visit.window;
    window.holds("Nom de naissance", ON_THE_CODE.0)?;
    window.press("Continuer")?;
    window.holds("Prénoms", ON_THE_CODE.1)?;
    window.press("Continuer")?;
    window.find("Votre sexe")?;
    window.press("Continuer")?;
    window.find("Votre date de naissance")?;
    window.press("Continuer")?;
    window.find("Votre lieu de naissance")?;
    window.press("Continuer")?;
    window.find("Votre numéro de sécurité sociale")?;
    window.press("Continuer")?;
    window.find(containing("Est-ce bien vous"))?;
    for said in [ON_THE_CODE.0, ON_THE_CODE.1, "Masculin", "17 mai 1985"] {
        window.find(said)?;
    }
    window.press("C’est bien moi")?;
    visit.patient_says_who_treats()?;
    visit.patient_agrees()?;
    for measurement in ["Température", "Oxygène et pouls", "Tension"] {
        visit.skips(measurement)?;
    }
    visit.physician_signs_in()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.notes_the_consultation()?;
    visit.patient_is_taken_and_seen()?;
    visit.physician_concludes()?;

    visit.step("the receipt: its code is the one on the screen");
    let window = &visit.window;
    window.find("Vos papiers")?;
    window.press("Imprimer le code")?;
    window.find(containing("Le code est imprimé"))?;
    window.press("Sur mon téléphone")?;
    let address = papers::scan(window)?;
    let receipt = until("the receipt on its paper", PATIENCE, || {
        let paper = visit.site.device("receipts values")?;
        Ok(paper.contains("{cut}").then_some(paper))
    })?;
    ensure!(receipt.contains(&format!("{{code {address}}}")), "the receipt leads elsewhere: {receipt}");
    ensure!(!receipt.contains(ON_THE_CODE.0) && !receipt.contains(ON_THE_CARD.0), "the receipt names the patient");
    window.press("Cacher le code")?;
    visit.patient_takes_leave()?;
    visit.outbox_is_drained()?;

    visit.step("the identity is the patient's own word: neither validated nor qualified");
    let resources = visit.resources_at_the_desk()?;
    let patient = resources.iter().find(|r| r["resourceType"] == "Patient").context("a patient")?;
    let said = patient.to_string();
    ensure!(said.contains("PROV") && !said.contains("VALI") && !said.contains("QUAL"), "more than provisional: {said}");
    ensure!(said.contains(ON_THE_CODE.0), "not who was scanned: {said}");
    let found = visit.site.search_cabin_side(&[
        whole_cabin::memory::Trace::of(ON_THE_CARD.0)?,
        whole_cabin::memory::Trace::of(ON_THE_CARD.1)?,
        whole_cabin::memory::Trace::of(ON_THE_CODE.1)?,
        whole_cabin::memory::Trace::of(ON_THE_CODE.2)?,
    ])?;
    ensure!(found.is_empty(), "the cabin still holds:\n{found:#?}");
    drop(reader);
    visit.close()
}
