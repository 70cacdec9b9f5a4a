//! The physician at the page, and the patient who meets, sees and answers.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;

use super::{Visit, person};

/// A picture moves when more than this share of its bytes is another: one in so many.
const MOVES_SHARE: usize = 1_000;

impl Visit {
    pub fn physician_signs_in(&self) -> Result<()> {
        self.physician.visit(&self.site.desk_address())?;
        let account = self.site.account();
        self.physician.sign_in(&account.name, &account.password, &account.totp_secret)
    }

    pub fn physician_takes_the_patient(&mut self) -> Result<()> {
        self.step("the physician signs in; the cabin is killed in the waiting room and comes back to it");
        self.physician_signs_in()?;
        self.window.find("Vous êtes dans la salle d’attente")?;
        self.physician.shows("Toux, respiration")?;
        self.kill_and_restart()?;
        self.window.find("Vous êtes dans la salle d’attente")?;

        self.step("the physician takes the patient, who reads who it is before any picture");
        for part in ["femme, 40 à 64 ans", "Pharmacie des Halles, Angers", "Tension"] {
            self.physician.shows(part)?;
        }
        self.notes_the_consultation()?;
        self.physician.press("Prendre ce patient")?;
        self.window.find("Un médecin est prêt à vous recevoir")?;
        for fact in ["Dr Claire Morel", "Médecine générale", "10001234565", "Chartres", "30,00 €"] {
            self.window.find(fact)?;
        }
        ensure!(self.physician.look_at_video("#remote-video")?.is_none(), "the physician sees before being accepted");
        ensure!(self.window.look("Image du médecin")?.is_none(), "the patient is shown a picture before accepting");
        self.window.press("Accepter")
    }

    /// Notes the name of the one consultation that waits, as the page has it.
    pub fn notes_the_consultation(&mut self) -> Result<()> {
        const NAME: &str = "return document.querySelector('#waiting-list .grow')?.id.replace('waiting-', '') ?? null";
        self.consultation = until("the patient in the page's waiting room", PATIENCE, || {
            Ok(self.physician.evaluate(NAME, &[])?.as_str().map(str::to_owned))
        })?;
        Ok(())
    }

    /// From the waiting room to a picture that moves, without looking closer.
    pub fn patient_is_taken_and_seen(&self) -> Result<()> {
        self.physician.press("Prendre ce patient")?;
        self.window.press("Accepter")?;
        self.window.find("Image du médecin")?;
        self.physician.sees_moving_picture("#remote-video", 5).map(drop)
    }

    pub fn they_see_each_other(&mut self) -> Result<()> {
        self.step("both see a moving picture");
        let window = &self.window;
        window.find("Image du médecin")?;
        let mut first = None;
        until("the physician's picture to move on the cabin's screen", PATIENCE, || {
            let Some(element) = window.look("Image du médecin")? else { return Ok(None) };
            let now = window.picture_of(&element)?;
            let (darkest, lightest) = (now.rgb.iter().min(), now.rgb.iter().max());
            let has_content = darkest.zip(lightest).is_some_and(|(dark, light)| light - dark > 40);
            let before = first.get_or_insert_with(|| now.clone());
            let changed = before.rgb.iter().zip(&now.rgb).filter(|(a, b)| a.abs_diff(**b) > 8).count();
            let moves = before.rgb.len() == now.rgb.len() && changed * MOVES_SHARE > now.rgb.len();
            Ok((has_content && moves).then_some(()))
        })?;
        self.physician.sees_moving_picture("#remote-video", 5)?;
        for part in [
            person::BIRTH_NAME,
            person::GIVEN_NAMES,
            person::LINE,
            "provisoire",
            "14/07/1984",
            person::DOCTOR,
            person::PHONE,
        ] {
            self.physician.shows(part)?;
        }
        let page = self.physician.text("body")?;
        ensure!(!page.contains(&person::matricule()), "a matricule that nobody has qualified is on the page");
        self.reads("spo2", "93 %")?;
        self.reads("pulse_rate", "88 /min")?;
        self.reads("systolic", "137 / 83 mmHg")?;
        self.reads("pulse_rate_cuff", "77 /min")?;
        self.reads("temperature", "37,46 °C")?;
        self.physician.type_into("Écrire au patient", person::NOTICE)?;
        self.physician.press("Envoyer")?;
        self.window.find(person::NOTICE)?;
        Ok(())
    }

    pub fn physician_asks_for_measurements(&mut self) -> Result<()> {
        self.step("the physician asks for weight and height");
        self.physician.press("Poids et taille")?;
        self.window.find(containing("Le médecin demande cette mesure"))?;
        self.measure("Poids et taille")?;
        self.keep()?;
        self.reads("weight", "68,35 kg")?;
        self.reads("height", "171,4 cm")?;

        self.step("the physician asks for oxygen again and watches the curve");
        self.window.find("Image du médecin")?;
        self.site.device("oximeter value spo2=91 pulse=103")?;
        let samples = || -> Result<u64> {
            let count =
                self.physician.evaluate("return Number(document.getElementById('curve').dataset.samples ?? 0)", &[])?;
            count.as_u64().context("samples of the curve")
        };
        let before = samples()?;
        self.physician.press("Oxygène et pouls")?;
        self.measure("Oxygène et pouls")?;
        // Two seconds of a curve of 75 samples a second.
        until("the live curve on the page", PATIENCE, || Ok((samples()? >= before + 150).then_some(())))?;
        self.physician.text_that("the curve's state", "#curve-state", |text| text == "signal reçu")?;
        self.keep()?;
        self.reads("spo2", "91 %")?;
        self.reads("pulse_rate", "103 /min")
    }

    /// Waits until the page shows this value on the card of a quantity.
    pub fn reads(&self, quantity: &str, value: &str) -> Result<()> {
        let what = format!("{value:?} on the card of {quantity}");
        self.physician.text_that(&what, &format!("#vital-{quantity} b"), |text| text == value).map(drop)
    }

    /// Gives the bytes of the prescription that the physician attached.
    pub fn physician_concludes(&mut self) -> Result<Vec<u8>> {
        self.step("summary, order, prescription, who next, end");
        let pdf = person::prescription();
        let file = self.site.folder().join("ordonnance.pdf");
        std::fs::write(&file, &pdf)?;
        let physician = &self.physician;
        physician.type_into("Conclusion", person::SUMMARY)?;
        physician.type_into("Prescription ou examen", person::ORDER)?;
        physician.press("Ajouter")?;
        physician.attach("Déposer un PDF", &file)?;
        physician.choose("Ensuite", "Revoir le médecin traitant")?;
        physician.type_into("Précision (délai, lieu)", person::NEXT)?;
        physician
            .text_that("the prescription to be kept", "#documents", |text| text.contains("gardé dans la cabine"))?;
        physician.press("Remettre au patient")?;
        physician.text_that("the summary to be kept", "#save-state", |text| text.contains("gardé dans la cabine"))?;
        physician.press("Terminer la consultation")?;
        physician.press("Terminer maintenant")?;
        physician.shows("La consultation est terminée.")?;
        physician.shows("Personne n’attend")?;
        let page = physician.text("body")?;
        ensure!(!page.contains(person::BIRTH_NAME), "the page still shows the patient");
        Ok(pdf)
    }

    /// What the desk's own store holds: what the physician reads back by the name of the consultation, and what only
    /// refers to the patient or is named by a document.
    pub fn resources_at_the_desk(&self) -> Result<Vec<Value>> {
        const READ: &str = "const [path, token] = arguments; return fetch(path, \
                            { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.json())";
        let token = std::fs::read_to_string(self.site.upload_token())?;
        let read = |path: &str| self.physician.evaluate(READ, &[json!(path), json!(token.trim())]);
        let entries = |mut found: Value| {
            let entries = found["entry"].as_array_mut().map(std::mem::take).unwrap_or_default();
            entries.into_iter().map(|mut entry| entry["resource"].take()).collect::<Vec<_>>()
        };
        let mut resources = entries(read(&format!("/api/physician/records/{}", self.consultation))?);
        let of_kind = |kind: &str| resources.iter().filter(|r| r["resourceType"] == kind).cloned().collect::<Vec<_>>();
        let (patients, documents) = (of_kind("Patient"), of_kind("DocumentReference"));
        for patient in &patients {
            let id = patient["id"].as_str().context("a patient without id")?;
            resources.extend(entries(read(&format!("/fhir/Consent?patient={id}"))?));
        }
        for document in &documents {
            let url = document["content"][0]["attachment"]["url"].as_str().context("a document without address")?;
            resources.push(read(&format!("/fhir/{url}"))?);
        }
        Ok(resources)
    }
}
