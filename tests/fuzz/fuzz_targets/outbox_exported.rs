#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    outbox::fuzz_targets::exported(data);
});
