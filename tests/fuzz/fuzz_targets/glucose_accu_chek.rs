#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("glucose_accu_chek").expect("in MODELS"), data);
});
