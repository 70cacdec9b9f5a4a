#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("scale_health_o_meter").expect("in MODELS"), data);
});
