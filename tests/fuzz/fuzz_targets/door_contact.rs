#![no_main]
//! The door: levels of its contact.

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::fuzz::fixture("door_contact", data));
