//! Another patient, another screen, another browser: in English, on a screen that stands upright, seen by a physician
//! in Firefox; the pharmacist sees the identity document.

use anyhow::Result;
use whole_cabin::physician::Browser;
use whole_cabin::screen::containing;

use super::{Visit, person, start_outbox_to_the_desk};

#[test]
fn a_patient_who_reads_english_on_an_upright_screen_is_seen_from_firefox_with_an_identity_that_was_checked()
-> Result<()> {
    let mut visit = Visit::open_with("in English", (1080, 1920), Browser::Firefox, start_outbox_to_the_desk)?;
    visit.pharmacist_opens()?;

    visit.step("English");
    let window = &visit.window;
    window.press("English")?;
    window.press("Start")?;
    window.press("Cough, breathing")?;
    window.press("Continue")?;
    window.press("Ears, nose or throat")?;
    window.press("Continue")?;
    window.type_into("Your sentence", person::LINE)?;
    window.press("Continue")?;

    visit.step("a yes to a warning sign: the pharmacist comes, sees the patient, and lets the consultation go on");
    visit.answers("Question 1 of 8", "Yes")?;
    visit.pharmacist_signs_in("Pharmacist’s space", "Entrer", "chiffre")?;
    visit.window.press(containing("reprendre"))?;
    for question in 2..=8 {
        visit.answers(&format!("Question {question} of 8"), "No")?;
    }

    visit.step("identity, without the optional number");
    let window = &visit.window;
    window.type_into("Birth name", person::BIRTH_NAME)?;
    window.press("Continue")?;
    window.type_into("Given names", person::GIVEN_NAMES)?;
    window.press("Continue")?;
    window.press("Female")?;
    window.press("Continue")?;
    visit.types_birth_date(["Day", "Month", "Year"])?;
    window.press("Continue")?;
    window.find(containing("Where were you born"))?;
    visit.screen.display().type_text("portugal")?;
    window.press(containing("Portugal"))?;
    window.press("Continue")?;
    window.press("Continue without a number")?;
    window.press("Yes, it is me")?;
    window.find(containing("Do you have a usual doctor"))?;
    window.press("No")?;
    window.press("Continue")?;
    window.find(containing("In which town do you live"))?;
    visit.screen.display().type_text("saumur")?;
    window.press(containing("Saumur, 49"))?;
    window.press("Continue")?;
    window.type_into("Telephone", person::PHONE)?;
    window.press("Continue")?;

    visit.step("the pharmacist sees the passport");
    window.find("Your data, your choices")?;
    visit.pharmacist_signs_in("Pharmacist’s space", "Entrer", "chiffre")?;
    let window = &visit.window;
    window.press("Vérifier")?;
    window.press("Passeport")?;
    window.press("Tout correspond")?;
    window.press("Verrouiller")?;

    visit.step("consent, and nothing measured");
    for answer in ["To care for me: yes", "Statistics: no"] {
        window.press(answer)?;
    }
    window.press("Continue")?;
    for measurement in ["Temperature", "Oxygen and pulse", "Blood pressure"] {
        window.find(measurement)?;
        window.find("It is in place")?;
        window.press("Skip this measurement")?;
        window.press("I do not want to")?;
        window.press("Continue")?;
        window.gone(measurement)?;
    }

    visit.step("the physician, in Firefox");
    visit.physician_signs_in()?;
    visit.physician.shows("signe d’alerte : oui, vu par le pharmacien")?;
    visit.physician.press("Prendre ce patient")?;
    visit.window.find("A doctor is ready to see you")?;
    visit.window.press("Accept")?;
    visit.window.find("The doctor’s picture")?;
    visit.physician.sees_moving_picture("#remote-video", 5)?;
    for part in
        [person::BIRTH_NAME, "validée", "Portugal", "anglais", "Signe d’alerte, réponse oui", "a laissé continuer"]
    {
        visit.physician.shows(part)?;
    }

    visit.step("who cannot hear writes, and reads the answer beside the physician's picture");
    visit.window.press("Write")?;
    visit.window.press("I cannot hear")?;
    visit
        .physician
        .text_that("the words that are at hand", "#written", |text| text.contains("Patient : I cannot hear"))?;
    visit.physician.type_into("Écrire au patient", "Depuis quand ?")?;
    visit.physician.press("Envoyer")?;
    visit.window.find("The physician: Depuis quand ?")?;
    visit.window.type_into("Write to the physician", "since yesterday")?;
    visit.window.press("Send")?;
    visit.physician.text_that("what was typed", "#written", |text| text.contains("Patient : since yesterday"))?;
    visit.window.find("You: since yesterday")?;
    visit.window.press("Stop writing")?;
    visit.physician.press("Oxygène et pouls")?;
    visit.window.press("It is in place")?;
    visit.window.press("Keep")?;
    visit.physician.text_that("the oximeter's value", "#vital-spo2 b", |text| text == "93 %")?;
    visit.physician_concludes()?;

    visit.step("papers, goodbye");
    visit.window.find("Your papers")?;
    visit.window.press("I have my papers")?;
    visit.window.press("Finish")?;
    visit.window.find("Goodbye")?;
    visit.outbox_is_drained()?;
    visit.close()
}
