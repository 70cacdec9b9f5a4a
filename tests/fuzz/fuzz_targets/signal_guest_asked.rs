#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    signal::fuzz_targets::guest_asked(data);
});
