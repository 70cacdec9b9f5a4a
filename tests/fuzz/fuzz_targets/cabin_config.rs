#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = config::Config::parse(text, std::path::Path::new("cabin.toml"));
});
