#![no_main]
//! The lamp: states and cables.

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::fuzz::fixture("light_blink1", data));
