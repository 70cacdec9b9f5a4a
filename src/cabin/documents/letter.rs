//! The specialist's answer as a letter to the usual doctor, printed where the patient was.
//!
//! No gateway of secure mail exists here yet: the patient takes it along, as every other paper.

use signal::second_opinion::{Answered, CABIN_MESSAGES_MAX, CabinLine, Opinion, specialty};
use time::OffsetDateTime;

use super::summary_pdf::{self, About, Block, PdfFault};

const TITLE: &str = "Réponse de télé-expertise";

/// The letter as a PDF. It is to the usual doctor, whom the patient lets be told, in the language of professionals.
///
/// # Errors
/// It would be too long, or cannot be drawn.
pub fn letter(
    to: &str,
    patient: &CabinLine,
    opinion: &Opinion,
    answer: &Answered,
    utc_offset_minutes: i16,
) -> Result<Vec<u8>, PdfFault> {
    let about = About {
        title: TITLE.to_owned(),
        language: "fr",
        written_at: parts(answer.at, utc_offset_minutes),
        utc_offset_minutes,
        page: "Page",
    };
    summary_pdf::render(&blocks(to, patient, opinion, answer, utc_offset_minutes), &about)
}

fn blocks(to: &str, patient: &CabinLine, opinion: &Opinion, answer: &Answered, utc_offset_minutes: i16) -> Vec<Block> {
    let row = |name: &str, value: String, detail: String| Block::Row { name: name.to_owned(), value, detail };
    let day = |at: i64| {
        let (year, month, day, ..) = parts(at, utc_offset_minutes);
        format!("{day:02}/{month:02}/{year}")
    };
    let birth: Vec<&str> = patient.birth_date.as_str().split('-').rev().collect();
    let asked = specialty(opinion.line.specialty.as_str()).map_or("Avis spécialisé", |asked| asked.name);
    let mut blocks = vec![
        Block::Title(TITLE.to_owned()),
        row("Au médecin traitant", to.to_owned(), String::new()),
        row("Patient", patient.patient.as_str().to_owned(), format!("né(e) le {}", birth.join("/"))),
        row("Spécialiste", answer.by.as_str().to_owned(), format!("{asked}, le {}", day(answer.at))),
        row(
            "Demandé par",
            opinion.line.requester.as_str().to_owned(),
            format!("{}, le {}", opinion.line.place.as_str(), day(opinion.line.asked_at)),
        ),
        Block::Heading("Réponse du spécialiste".to_owned()),
        Block::Paragraph(answer.text.as_str().to_owned()),
    ];
    if answer.report {
        blocks.push(Block::Paragraph("Un compte rendu PDF accompagne ce courrier.".to_owned()));
    }
    blocks.push(Block::Heading("Ce qui a été demandé".to_owned()));
    for told in &opinion.told {
        blocks.push(Block::Paragraph(format!("{} : {}", told.label.as_str(), told.text.as_str())));
    }
    // The desk sends a cabin the last ones.
    if opinion.thread.len() >= CABIN_MESSAGES_MAX {
        let left = "Les messages plus anciens de l’échange ne sont pas repris ici.";
        blocks.push(Block::Paragraph(left.to_owned()));
    }
    for said in &opinion.thread {
        blocks.push(Block::Paragraph(format!("{}, le {} : {}", said.by.as_str(), day(said.at), said.text.as_str())));
    }
    blocks
}

/// Year, month, day, hour and minute, local time.
fn parts(at: i64, utc_offset_minutes: i16) -> (u16, u8, u8, u8, u8) {
    let local = at.div_euclid(1_000).saturating_add(i64::from(utc_offset_minutes) * 60);
    let at = OffsetDateTime::from_unix_timestamp(local).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (u16::try_from(at.year()).unwrap_or(1970), at.month().into(), at.day(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use signal::cabin::FromDesk;

    use super::*;

    #[test]
    fn the_letter_says_to_whom_of_whom_and_what_the_specialist_answered_and_is_a_pdf() {
        let told = include_str!("../../../tests/wire/from_desk.second_opinion.json").trim();
        let Ok(FromDesk::SecondOpinion { patient, opinion, letter_to: Some(to) }) = FromDesk::read(told) else {
            panic!("the frozen example is an answered request")
        };
        let answer = opinion.answer.as_ref().expect("answered");
        let blocks = blocks(to.as_str(), &patient, &opinion, answer, 60);
        let text: Vec<String> = blocks
            .into_iter()
            .map(|block| match block {
                Block::Title(text) | Block::Heading(text) | Block::Paragraph(text) => text,
                Block::Row { name, value, detail } => format!("{name}: {value} ({detail})"),
            })
            .collect();
        for line in [
            "Au médecin traitant: Dr Paul Vieux, Illiers ()",
            "Patient: TESTE Anne (né(e) le 14/07/1984)",
            "Spécialiste: Dr Anne Petit (Dermatologie, le 24/11/2026)",
            "Demandé par: Dr Claire Morel (Pharmacie du Marché, le 22/11/2026)",
            "Nævus banal, pas de biopsie.",
            "Un compte rendu PDF accompagne ce courrier.",
            "Question posée : Faut-il une biopsie ?",
        ] {
            assert!(text.iter().any(|told| told == line), "no {line:?} in {text:#?}");
        }
        let pdf = letter(to.as_str(), &patient, &opinion, answer, 60).expect("drawn");
        assert!(pdf.starts_with(b"%PDF-") && pdf.ends_with(b"%%EOF"));
    }
}
