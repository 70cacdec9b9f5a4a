#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("blood_pressure_phd").expect("in MODELS"), data);
});
