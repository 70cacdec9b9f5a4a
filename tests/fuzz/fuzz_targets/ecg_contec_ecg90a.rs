#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("ecg_contec_ecg90a").expect("in MODELS"), data);
});
