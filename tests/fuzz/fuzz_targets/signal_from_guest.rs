#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    signal::fuzz_targets::from_guest(data);
});
