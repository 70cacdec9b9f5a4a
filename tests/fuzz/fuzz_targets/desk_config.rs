#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = desk::config::Config::read(text, std::path::Path::new("desk.toml"));
});
