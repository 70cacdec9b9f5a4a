#![no_main]
//! The carte Vitale: what a card answers.

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::fuzz::fixture("card_vitale", data));
