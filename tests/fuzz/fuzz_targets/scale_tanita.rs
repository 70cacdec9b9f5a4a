#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("scale_tanita").expect("in MODELS"), data);
});
