#![no_main]
//! The scanner: what comes on its line, INS and GS1 codes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::fuzz::fixture("scanner_codes", data));
