#![no_main]
//! What a person types: every field of the screens that has a form.

use consult::communes::{Scope, search};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = consult::identity::TraitText::parse(text);
    let _ = consult::identity::Matricule::parse(text);
    let _ = consult::dossier::Phone::parse(text);
    let _ = consult::physician::Rpps::parse(text);
    assert!(search(text, Scope::BirthPlaces, 5).len() <= 5);
});
