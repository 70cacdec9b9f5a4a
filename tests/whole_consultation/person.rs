//! The patient: nobody, with a name that no list, dictionary or program holds.

use anyhow::Result;
use whole_cabin::memory::Trace;

pub const BIRTH_NAME: &str = "QUINTERVAL";
pub const GIVEN_NAMES: &str = "OZYMANDRE PHILIBERTINE";
pub const FIRST_GIVEN_NAME: &str = "OZYMANDRE";
pub const LINE: &str = "zigzag rauque derriere le palais depuis lundi";
pub const DOCTOR: &str = "LEFEBVRILLE";
/// Where the patient lives.
pub const TOWN: &str = "Saumur";
/// Of the numbers kept free for fiction (ARCEP 2018-0881).
pub const PHONE: &str = "0639981427";
pub const BIRTH_DATE: (&str, &str, &str) = ("14", "07", "1984");

/// What a call before left.
pub const SUMMARY_BEFORE: &str = "Gorge rouge sans plaque, revue avec un confrere.";
/// What the physician writes.
pub const SUMMARY: &str = "Pharyngite banale, revoir si fievre au-dela de mercredi.";
pub const ORDER: &str = "Paracetamol 1 g trois fois par jour, quatre jours";
pub const NEXT: &str = "sous huitaine chez votre medecin";
pub const NOTICE: &str = "Ouvrez grand la bouche, merci";

/// A matricule with a right key, of a woman born in July 1984 in Angers.
pub fn matricule() -> String {
    let body = 2_840_749_007_123_u64;
    format!("{body}{:02}", 97 - body % 97)
}

/// What must not be found after the patient is forgotten.
pub fn traces() -> Result<Vec<Trace>> {
    let matricule = matricule();
    let letters = |text: &'static str| text.split(' ');
    let words = [BIRTH_NAME, DOCTOR, &PHONE[1..], &matricule[..13], "zigzag rauque", "palais depuis lundi"];
    let written = [&SUMMARY[..17], &SUMMARY_BEFORE[..17], &ORDER[..15], NEXT, NOTICE];
    words.into_iter().chain(letters(GIVEN_NAMES)).chain(written).map(Trace::of).collect()
}

/// A small PDF that bears the patient's name, as a prescription does.
pub fn prescription() -> Vec<u8> {
    let text = format!("BT /F1 12 Tf 72 720 Td ({BIRTH_NAME} {FIRST_GIVEN_NAME} - {ORDER}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(pdf.len());
        pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
    }
    let start = pdf.len();
    pdf.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    places.iter().for_each(|place| pdf.push_str(&format!("{place:010} 00000 n \n")));
    pdf.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1));
    pdf.into_bytes()
}
