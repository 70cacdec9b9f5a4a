#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("ecg_healthypi5").expect("in MODELS"), data);
});
