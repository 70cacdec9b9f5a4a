//! What the usual doctor is told of a second opinion: a letter.
//!
//! No gateway of secure mail (MSSanté) exists here yet: the letter is printed or saved by the physician's page and handed
//! over. A gateway takes the same [`Letter`] and nothing else, so this is where it would be plugged in.

use serde_json::Value;
use signal::Text;
use signal::second_opinion::{Opinion, specialty};

use crate::fhir::second_opinions::written;

/// What the cabin writes of each consent (`fhir::visit::consent`).
const AGREED: &str = "consent-usual-doctor";

/// Why there is no letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLetter {
    /// Nothing is to be told yet.
    #[error("Le spécialiste n’a pas encore répondu.")]
    NoAnswer,
    /// The dossier is not here yet: neither the doctor's name nor the patient's consent is known.
    #[error("Le dossier n’est pas encore arrivé de la cabine : le médecin traitant n’est pas connu.")]
    NoDossier,
    /// The patient has none, or gave no name.
    #[error("Le patient n’a nommé aucun médecin traitant.")]
    NoDoctor,
    /// The patient refused.
    #[error("Le patient n’est pas d’accord pour que son médecin traitant soit informé.")]
    NotAgreed,
}

/// One letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The usual doctor, as the patient named them.
    pub to: String,
    /// The patient's names and birth date.
    pub about: String,
    /// The specialist.
    pub from: String,
    /// Day of the answer, `2026-11-22`.
    pub day: String,
    /// What is told: label and words.
    pub parts: Vec<(String, String)>,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter([patient])")
    }
}

/// The letter to the usual doctor about an answered request.
///
/// # Errors
/// See [`NoLetter`].
pub fn letter(opinion: &Opinion, patient: Option<&Value>, consents: &[Value]) -> Result<Letter, NoLetter> {
    let answer = opinion.answer.as_ref().ok_or(NoLetter::NoAnswer)?;
    let patient = patient.ok_or(NoLetter::NoDossier)?;
    let to = patient["generalPractitioner"][0]["display"].as_str().ok_or(NoLetter::NoDoctor)?.to_owned();
    let agrees = |consent: &Value| {
        let code = consent["policyRule"]["coding"][0]["code"].as_str().unwrap_or_default();
        code.starts_with(AGREED) && consent["provision"]["type"] == "permit"
    };
    if !consents.iter().any(agrees) {
        return Err(NoLetter::NotAgreed);
    }
    let name = &patient["name"][0];
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let birth: Vec<&str> = patient["birthDate"].as_str().unwrap_or_default().split('-').rev().collect();
    let about = format!("{} {}, {}", part(&name["family"]), part(&name["given"][0]), birth.join("/"));
    let mut parts: Vec<(String, String)> =
        opinion.told.iter().map(|told| (told.label.as_str().to_owned(), told.text.as_str().to_owned())).collect();
    let said = |text: &Text<8000>| text.as_str().to_owned();
    let asked = specialty(opinion.line.specialty.as_str()).map_or("Avis spécialisé", |asked| asked.name);
    parts.push((format!("Réponse ({asked})"), said(&answer.text)));
    if answer.report {
        parts.push(("Compte rendu".into(), "Un compte rendu PDF accompagne cette réponse.".into()));
    }
    let day = written(answer.at).split('T').next().unwrap_or_default().to_owned();
    Ok(Letter { to, about, from: answer.by.as_str().to_owned(), day, parts })
}

impl Letter {
    /// The letter as a page to print or to save; it needs nothing else, and runs nothing.
    pub fn html(&self) -> String {
        let day: Vec<&str> = self.day.split('-').rev().collect();
        let parts: String = self
            .parts
            .iter()
            .map(|(label, words)| {
                format!("<h2>{}</h2>\n<p>{}</p>\n", escaped(label), escaped(words).replace('\n', "<br>"))
            })
            .collect();
        format!(
            "<!doctype html>\n<html lang=\"fr\">\n<head><meta charset=\"utf-8\"><title>Courrier au médecin traitant</title></head>\n\
             <body>\n<p>Au médecin traitant : <strong>{}</strong></p>\n<p>Le {}</p>\n<h1>Réponse de télé-expertise</h1>\n\
             <p>Patient : <strong>{}</strong></p>\n{parts}<p>{}</p>\n</body>\n</html>\n",
            escaped(&self.to),
            day.join("/"),
            escaped(&self.about),
            escaped(&self.from),
        )
    }
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
        out
    })
}
