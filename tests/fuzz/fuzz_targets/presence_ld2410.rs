#![no_main]
//! The radar: what comes on its line.

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::fuzz::fixture("presence_ld2410", data));
