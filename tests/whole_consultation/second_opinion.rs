//! No physician can be seen: the pharmacist asks a dermatologist, with a picture and the patient's consent, and no line.
//! Once the line is back one of the specialty takes it up, asks for more, and answers; the pharmacist reads it, and prints
//! a letter. What both write while the line is cut again goes once it is back, and so does what a page loaded again holds.

use anyhow::{Context, Result, ensure};
use whole_cabin::physician::Physician;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::{Visit, person};

const QUESTION: &str = "faut il retirer cette tache";
const CONTEXT: &str = "apparue cet ete, agrandie depuis";
/// Of whoever asks; it has a right key and belongs to nobody.
const RPPS: &str = "10101010105";
const SPECIALIST: &str = "anne.petit";
const ANSWER: &str = "Naevus banal, a revoir dans six mois.";

/// What the specialist may read of a consultation.
const RECORD: &str = "return fetch(`/api/physician/records/${arguments[0]}`).then((answer) => answer.json());";

#[test]
fn a_question_to_a_dermatologist_asked_without_a_line_is_answered_once_it_is_back_and_the_pharmacist_reads_it()
-> Result<()> {
    let mut visit = Visit::open_without_a_desk("second opinion")?;

    visit.step("the pharmacist asks a dermatologist, with the patient");
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find("Aucun médecin pour le moment")?;
    // Below what else the patient may choose.
    if visit.window.look(containing("Demander un avis"))?.is_none() {
        visit.window.press("Descendre")?;
    }
    visit.window.activate(containing("Demander un avis"))?;
    visit.window.find(containing("À quelle spécialité demander un avis"))?;
    visit.window.press("Dermatologie")?;
    visit.window.press("Continuer")?;
    for (label, said) in [
        ("Question", QUESTION),
        ("Contexte", CONTEXT),
        ("Endroit du corps", "dos"),
        ("Depuis quand", "trois mois"),
        ("Taille de la lésion", ""),
        ("Évolution", ""),
        ("Démangeaison, douleur", ""),
        ("Antécédents", ""),
        ("Traitements", ""),
        ("Allergies", "penicilline"),
    ] {
        visit.window.find(label)?;
        if said.is_empty() {
            visit.window.press("Rien à dire")?;
            continue;
        }
        visit.window.type_into(label, said)?;
        visit.window.holds(label, said)?;
        visit.window.press("Continuer")?;
    }

    visit.step("a picture of the skin goes with it");
    visit.window.find(containing("Que faut-il ajouter au dossier"))?;
    visit.window.press(containing("Image de la peau"))?;
    visit.window.press("Dos ou cou")?;
    visit.measure("Image de la peau")?;
    visit.window.press("Prendre l’image")?;
    visit.keep()?;
    visit.window.find(containing("Que faut-il ajouter au dossier"))?;
    visit.window.find(containing("1 au dossier"))?;
    visit.screen.keep_picture("opinion-pictures")?;
    visit.window.press("Continuer")?;
    visit.window.find("Prénom et nom")?;
    visit.window.press("Continuer")?;
    visit.window.type_into("Numéro RPPS", RPPS)?;
    visit.window.press("Continuer")?;
    visit.window.find(containing("Le patient est-il d’accord"))?;
    visit.window.press("Le patient est d’accord")?;
    visit.screen.keep_picture("opinion-consent")?;
    visit.window.press("Envoyer")?;
    visit.window.find(containing("Un spécialiste lira votre dossier"))?;
    visit.cabin_is_cleaned()?;

    visit.step("nothing of the patient can be read in the cabin, though nothing was sent yet");
    let traces = person::traces()?;
    visit.cabin_holds_nothing_of(&traces)?;

    visit.step("the line is back: a dermatologist reads what and where, and no name yet");
    let secret = visit.site.add_physician(SPECIALIST, "Dr Anne Petit", "10100000016", "dermatology")?;
    visit.site.start_desk()?;
    visit.outbox_is_drained()?;
    let specialist = Physician::open(visit.site.folder(), "petit")?;
    specialist.visit(&visit.site.desk_address())?;
    specialist.sign_in(SPECIALIST, whole_cabin::site::PASSWORD, &secret)?;
    let list = specialist.text_that("the request", "#opinion-list", |text| text.contains("Prendre cette demande"))?;
    ensure!(list.contains("Dermatologie") && list.contains("Pharmacie des Halles"), "the list says {list:?}");
    ensure!(!list.contains(person::BIRTH_NAME) && !list.contains(QUESTION), "the list tells who or what: {list:?}");
    // Another specialty's physician is not asked.
    visit.physician_signs_in()?;
    ensure!(!visit.physician.text("#waiting-room")?.contains("Dermatologie"), "a request reached another specialty");

    visit.step("who takes it up reads question, dossier and picture, and asks for more");
    specialist.press("Prendre cette demande")?;
    let shown = specialist.text_that("the dossier", "#opinion-dialog", |text| text.contains("37,46"))?;
    for part in [QUESTION, CONTEXT, "penicilline", person::BIRTH_NAME, person::LINE, "donné le"] {
        ensure!(shown.contains(part), "no {part:?} in {shown:?}");
    }
    const PICTURE: &str = "const picture = document.querySelector('#opinion-media img');
        return picture ? [picture.complete, picture.naturalWidth, picture.alt] : null;";
    let picture = until("the picture on the specialist's page", PATIENCE, || {
        let seen = specialist.evaluate(PICTURE, &[])?;
        Ok((seen[0] == true && seen[1].as_u64() > Some(0)).then_some(seen))
    })?;
    ensure!(picture[2].as_str().is_some_and(|of| of.contains("Peau du dos")), "not of what it is: {picture}");
    specialist.keep_picture("opinion-dossier")?;
    let lists = specialist.evaluate("return fetch('/api/physician/second-opinions').then((a) => a.json());", &[])?;
    specialist.type_into("Écrire", "A-t-elle saigné ?")?;
    specialist.press("Demander une précision")?;

    visit.step("the pharmacist reads the question in the cabin, and answers it");
    visit.window.find("Commencer")?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.press("Avis demandés")?;
    // Where the line is not back yet, the list comes with it by itself.
    visit.window.press(containing(person::BIRTH_NAME))?;
    visit.window.find("A-t-elle saigné ?")?;
    visit.window.type_into("Votre réponse au spécialiste", "non jamais")?;
    visit.screen.keep_picture("opinion-asked")?;

    visit.step("the desk is away while both write: each is told that it is kept, and it goes when the desk is back");
    visit.site.kill_desk()?;
    visit.window.press("Envoyer au spécialiste")?;
    visit.window.find(containing("n’est pas encore partie"))?;
    visit.screen.keep_picture("opinion-reply-kept")?;
    specialist.type_into("Écrire", ANSWER)?;
    specialist.press("Envoyer la réponse")?;
    specialist.text_that("that it is kept", "#opinion-state", |text| text.contains("gardé dans cet onglet"))?;
    // Cabin and outbox die too, before anything was sent.
    visit.site.kill_outbox()?;
    visit.site.kill_cabin()?;
    visit.site.start_outbox_again()?;
    visit.window = visit.site.start_cabin(&visit.screen)?;
    // A cabin that starts is closed: the first PIN opens it.
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find("Commencer")?;
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    visit.window.find(containing("réponse à un spécialiste n’est pas partie"))?;
    visit.window.press("Avis demandés")?;
    visit.window.find(containing("réponse est gardée"))?;
    visit.screen.keep_picture("opinion-reply-after-restart")?;
    visit.site.start_desk()?;
    visit.window.press(containing(person::BIRTH_NAME))?;
    visit.window.find("non jamais")?;
    visit.window.gone(containing("n’est pas encore partie"))?;
    // The desk that restarted knows nobody; what was written waits for the same physician.
    specialist.shows("Se connecter")?;
    specialist.sign_in(SPECIALIST, whole_cabin::site::PASSWORD, &secret)?;

    visit.step("the answer reaches the pharmacist, and is printed for the usual doctor");
    until("the answer in the list", PATIENCE, || {
        visit.window.press("Retour à la liste")?;
        visit.window.find(containing(person::BIRTH_NAME))?;
        if visit.window.look(containing("réponse arrivée"))?.is_some() {
            return Ok(Some(()));
        }
        visit.window.press(containing(person::BIRTH_NAME))?;
        Ok(None)
    })?;
    specialist.text_that("nothing waits", "#opinions-unsent", str::is_empty)?;
    visit.window.press(containing("réponse arrivée"))?;
    visit.window.find(ANSWER)?;
    visit.window.press("Imprimer le courrier")?;
    visit.window.find(containing("L’impression n’a pas marché"))?;
    visit.printer.switch_on()?;
    visit.window.press("Imprimer le courrier")?;
    visit.window.find(containing("Remettez le courrier au patient"))?;
    visit.screen.keep_picture("opinion-answered")?;
    let printed = visit.printer.printed()?;
    ensure!(printed.len() == 1 && printed[0].starts_with(b"%PDF-"), "{} files were printed", printed.len());

    visit.step("nothing of it stays when the list is closed");
    visit.window.press("Retour à la liste")?;
    visit.window.press("Fermer la liste")?;
    visit.window.find("Avis demandés")?;
    let found = visit.site.search_cabin_side(&traces)?;
    ensure!(found.is_empty(), "the cabin still holds:\n{found:#?}");

    visit.step("what is stored is a request, its thread and its answer, and a letter for the usual doctor");
    let record = specialist.evaluate(RECORD, &[lists["to_answer"][0]["consultation"].clone()])?;
    let one = |kind: &str| {
        let mut all = record["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]);
        all.rfind(|resource| resource["resourceType"] == kind).with_context(|| format!("no {kind}"))
    };
    ensure!(one("Task")?["businessStatus"]["text"] == "Répondue", "not closed: {}", one("Task")?);
    ensure!(one("ServiceRequest")?["status"] == "completed", "not closed: {}", one("ServiceRequest")?);
    let link = specialist
        .evaluate("return fetch(document.getElementById('opinion-letter').href).then((a) => a.text());", &[])?;
    let letter = link.as_str().context("a letter")?;
    for part in [person::DOCTOR, person::BIRTH_NAME, ANSWER] {
        ensure!(letter.contains(part), "no {part:?} in the letter: {letter}");
    }
    drop(specialist);

    visit.step("a physician asks about a dossier that they took: what is written outlives the page, and goes once");
    let taken = format!(
        "1795310000000 {} {}\n",
        visit.site.account().name,
        lists["to_answer"][0]["consultation"].as_str().context("a name")?
    );
    // What a desk writes down when a physician takes a patient.
    std::fs::write(visit.site.folder().join("desk/data/taken.log"), taken)?;
    visit.physician_signs_in()?;
    visit.physician_writes_a_request()?;
    visit.physician.visit("about:blank")?;
    visit.physician.visit(&visit.site.desk_address())?;
    visit.opens_the_form()?;
    let kept = visit.physician.evaluate(WRITTEN, &[])?;
    ensure!(kept == serde_json::json!(["geriatrics", QUESTION, CONTEXT, "GIR 5", true]), "of the form is left {kept}");
    visit.physician.keep_picture("opinion-form")?;
    visit.physician.press("Envoyer la demande")?;
    visit.physician.text_that("the request", "#my-opinion-list", |text| text.contains("Gériatrie"))?;
    visit.opens_the_form()?;
    ensure!(visit.physician.evaluate(WRITTEN, &[])?[1] == "", "what was sent is still in the form");
    visit.close()
}

/// What stands in the form.
const WRITTEN: &str = "const value = (id) => document.getElementById(id).value;
return [value('opinion-specialty'), value('opinion-question'), value('opinion-context'),
  document.querySelector('#opinion-fields input[name=autonomy]')?.value, document.getElementById('opinion-consent').checked];";

impl Visit {
    fn opens_the_form(&self) -> Result<()> {
        self.physician.shows("Mes consultations récentes")?;
        self.physician.evaluate("document.getElementById('recent').open = true;", &[])?;
        self.physician.press("Demander un avis")?;
        self.physician.shows("Question posée")
    }

    fn physician_writes_a_request(&self) -> Result<()> {
        self.opens_the_form()?;
        self.physician.choose("Spécialité", "Gériatrie")?;
        self.physician.type_into("Question posée", QUESTION)?;
        self.physician.type_into("Contexte clinique", CONTEXT)?;
        self.physician.type_into("Autonomie (GIR)", "GIR 5")?;
        self.physician.press("Le patient est informé et d’accord pour que son dossier soit montré à un spécialiste")
    }
}
