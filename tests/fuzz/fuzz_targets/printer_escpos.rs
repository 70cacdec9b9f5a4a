#![no_main]
//! The receipt printer: its answers, and text that is printed.

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::fuzz::fixture("printer_escpos", data));
