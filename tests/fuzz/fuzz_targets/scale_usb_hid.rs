#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drivers::fuzz::protocol(drivers::model("scale_usb_hid").expect("in MODELS"), data);
});
