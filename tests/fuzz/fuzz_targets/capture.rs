#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = drivers::capture::Capture::parse(text);
});
