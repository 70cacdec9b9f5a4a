#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("blood_pressure_omron").expect("in MODELS"), data);
});
