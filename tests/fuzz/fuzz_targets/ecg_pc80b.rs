#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("ecg_pc80b").expect("in MODELS"), data);
});
