//! The patient and the pharmacist before the cabin's screen, by what is written on it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::containing;
use whole_cabin::site::{PHARMACIST, PIN};

use super::{Visit, person};

/// A touch that was not taken by then fell into the moment in which a new question takes none.
const TOUCHED_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// Of the reason that is chosen: as many questions, as many measurements.
const WARNING_SIGNS: usize = 8;

impl Visit {
    pub fn pharmacist_opens(&mut self) -> Result<()> {
        self.pharmacist_signs_in("Ouvrir la cabine", "Entrer", "chiffre")?;
        self.window.find("Commencer")?;
        Ok(())
    }

    /// From any screen of a patient to the pharmacist's space.
    pub fn pharmacist_signs_in(&self, space: &str, enter: &str, digits: &str) -> Result<()> {
        let window = &self.window;
        window.press(space)?;
        window.press(PHARMACIST)?;
        for (typed, digit) in PIN.chars().enumerate() {
            window.press(&digit.to_string())?;
            window.find(containing(&format!("{} {digits}", typed + 1)))?;
        }
        window.press(enter)
    }

    pub fn patient_says_why(&mut self) -> Result<()> {
        self.step("reason, and the warning signs: all no");
        let window = &self.window;
        window.press("Commencer")?;
        self.patient_chooses_why()?;
        self.patient_has_no_warning_sign()
    }

    pub fn patient_chooses_why(&self) -> Result<()> {
        let window = &self.window;
        window.find(containing("Pourquoi voulez-vous voir un médecin"))?;
        window.press("Toux, respiration")?;
        window.press("Continuer")?;
        window.find(containing("Touchez l’endroit du corps"))?;
        window.press("Oreilles, nez ou gorge")?;
        window.press("Continuer")?;
        window.find("Expliquez en une phrase")?;
        window.type_into("Votre phrase", person::LINE)?;
        window.holds("Votre phrase", person::LINE)?;
        window.press("Continuer")
    }

    pub fn patient_has_no_warning_sign(&self) -> Result<()> {
        for question in 1..=WARNING_SIGNS {
            self.answers(&format!("Question {question} sur {WARNING_SIGNS}."), "Non")?;
        }
        Ok(())
    }

    /// Goes back to a question that is answered, from the next one and from the step after: both take an answer anew.
    pub fn patient_looks_back_at_the_signs(&mut self) -> Result<()> {
        self.step("back at the warning signs");
        for question in [WARNING_SIGNS, WARNING_SIGNS - 1] {
            self.window.press("Retour")?;
            self.window.find(containing(&format!("Question {question} sur {WARNING_SIGNS}.")))?;
        }
        self.answers(&format!("Question {} sur {WARNING_SIGNS}.", WARNING_SIGNS - 1), "Non")?;
        self.window.find("Votre nom de naissance")?;
        Ok(())
    }

    /// Touches the answer until the question is another. One that has just been put takes no answer for a moment, so
    /// that a hand that trembles does not answer the next question unread.
    pub fn answers(&self, question: &str, answer: &str) -> Result<()> {
        self.window.find(containing(question))?;
        // A second touch on what has just gone would fall on the screen that follows.
        let mut touched = None;
        until(&format!("{question:?} to be answered"), PATIENCE, || {
            if self.window.look(containing(question))?.is_none() {
                return Ok(Some(()));
            }
            let waits = touched.is_some_and(|at: Instant| at.elapsed() < TOUCHED_AGAIN_AFTER);
            if let Some(button) = self.window.look(answer)?.filter(|button| button.enabled && !waits) {
                let (x, y, width, height) = self.window.place(&button)?;
                self.screen.display().touch(i16::try_from(x + width / 2)?, i16::try_from(y + height / 2)?)?;
                touched = Some(Instant::now());
            }
            Ok(None)
        })
    }

    pub fn patient_says_who(&mut self) -> Result<()> {
        self.step("identity");
        let window = &self.window;
        window.find("Votre nom de naissance")?;
        // On the cabin's own keyboard, as most patients will.
        for letter in person::BIRTH_NAME.chars() {
            window.press(&letter.to_string())?;
        }
        window.holds("Nom de naissance", person::BIRTH_NAME)?;
        window.press("Continuer")?;
        window.find("Vos prénoms")?;
        window.type_into("Prénoms", person::GIVEN_NAMES)?;
        window.holds("Prénoms", person::GIVEN_NAMES)?;
        window.press("Continuer")?;
        window.find("Votre sexe")?;
        window.press("Féminin")?;
        window.press("Continuer")?;
        window.find("Votre date de naissance")?;
        self.types_birth_date(["Jour", "Mois", "Année"])?;
        window.press("Continuer")?;
        window.find("Votre lieu de naissance")?;
        self.screen.display().type_text("angers")?;
        window.press(containing("Angers, 49"))?;
        window.press("Continuer")?;
        window.find("Votre numéro de sécurité sociale")?;
        self.screen.display().type_text(&person::matricule())?;
        window.press("Continuer")?;
        window.find(containing("Est-ce bien vous"))?;
        for said in [person::BIRTH_NAME, person::GIVEN_NAMES, "Féminin", "14 juillet 1984"] {
            window.find(said)?;
        }
        window.press("C’est bien moi")?;
        self.patient_says_who_treats()
    }

    pub fn patient_says_who_treats(&mut self) -> Result<()> {
        let window = &self.window;
        self.step("usual doctor, town, telephone");
        window.find(containing("Avez-vous un médecin traitant"))?;
        window.press("Oui")?;
        window.press("Continuer")?;
        window.find(containing("Comment s’appelle votre médecin"))?;
        window.type_into("Nom du médecin", person::DOCTOR)?;
        window.press("Continuer")?;
        window.find(containing("Dans quelle ville habitez-vous"))?;
        self.screen.display().type_text(&person::TOWN.to_lowercase())?;
        window.press(containing(&format!("{}, 49", person::TOWN)))?;
        window.press("Continuer")?;
        window.find("Votre numéro de téléphone")?;
        window.type_into("Téléphone", person::PHONE)?;
        window.press("Continuer")
    }

    /// Into the three fields of these names.
    pub fn types_birth_date(&self, [day, month, year]: [&str; 3]) -> Result<()> {
        let typed = person::BIRTH_DATE;
        for (field, typed) in [(day, typed.0), (month, typed.1), (year, typed.2)] {
            self.window.type_into(field, typed)?;
            self.window.holds(field, typed)?;
        }
        Ok(())
    }

    pub fn patient_agrees(&mut self) -> Result<()> {
        self.step("consent: care and usual doctor, not statistics");
        let window = &self.window;
        window.find("Vos données, vos choix")?;
        for answer in ["Me soigner : oui", "Prévenir mon médecin traitant : oui", "Statistiques : non"] {
            window.press(answer)?;
        }
        window.press("Continuer")
    }

    pub fn patient_is_measured(&mut self) -> Result<()> {
        self.step("temperature");
        self.measure("Température")?;
        self.keep()?;

        self.step("oxygen and pulse; the cable is pulled out and put back");
        self.measure("Oxygène et pouls")?;
        self.window.find("Votre pouls, en direct")?;
        self.site.device("oximeter unplug")?;
        self.window.find(containing("L’appareil est débranché"))?;
        self.site.device("oximeter plug")?;
        // By itself: nobody touches the screen.
        self.window.gone(containing("L’appareil est débranché"))?;
        self.window.find(containing("La mesure est faite"))?;

        self.step("the cabin is killed with a reading not yet kept, and comes back to it");
        let shown = self.figures()?;
        ensure!(shown == ["93", "88"], "the review shows {shown:?}");
        self.kill_and_restart()?;
        self.window.find(containing("La mesure est faite"))?;
        ensure!(self.figures()? == shown, "after the restart the review shows {:?}, before {shown:?}", self.figures()?);
        self.keep()?;

        self.step("blood pressure");
        self.measure("Tension")?;
        self.keep()
    }

    /// Places the device of a measurement and starts it.
    pub fn measure(&self, measurement: &str) -> Result<()> {
        self.window.find("C’est en place")?;
        self.window.find(measurement)?;
        self.window.press("C’est en place")
    }

    /// Passes a measurement.
    pub fn skips(&self, measurement: &str) -> Result<()> {
        self.window.find(measurement)?;
        self.window.press("Passer cette mesure")?;
        self.window.press("Je ne veux pas")?;
        self.window.press("Continuer")?;
        self.window.gone(measurement)
    }

    /// Keeps what was read.
    pub fn keep(&self) -> Result<()> {
        self.window.find(containing("La mesure est faite"))?;
        self.window.press("Garder")?;
        self.window.gone(containing("La mesure est faite"))
    }

    /// The figures on the screen, in its order.
    fn figures(&self) -> Result<Vec<String>> {
        let is_figure = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_digit());
        let names = self.window.elements()?.into_iter().filter(|element| element.showing).map(|element| element.name);
        Ok(names.filter(|name| is_figure(name)).collect())
    }

    pub fn patient_sees_what_is_handed_over(&mut self) -> Result<()> {
        self.step("papers");
        let window = &self.window;
        window.find("Vos papiers")?;
        for written in [person::SUMMARY, person::ORDER, person::NEXT] {
            window.find(containing(written))?;
        }
        window.find("Votre ordonnance")?;
        Ok(())
    }

    pub fn patient_takes_leave(&mut self) -> Result<()> {
        self.step("questionnaire, forgotten");
        let window = &self.window;
        window.press("J’ai mes papiers")?;
        window.find("Trois questions, si vous voulez")?;
        window.press("La cabine était-elle facile\u{a0}? Oui")?;
        window.press("Terminer")?;
        window.find("Au revoir")?;
        window.press("Terminé")
    }

    pub fn pharmacist_cleans(&mut self) -> Result<()> {
        self.step("cleaning, and welcome again");
        let window = &self.window;
        window.find("La cabine est en nettoyage")?;
        for device in ["Thermomètre", "Pince du doigt", "Tensiomètre", "Balance et toise"] {
            window.press(device)?;
        }
        window.press("Nettoyage fait")?;
        window.find("Commencer")?;
        Ok(())
    }
}
