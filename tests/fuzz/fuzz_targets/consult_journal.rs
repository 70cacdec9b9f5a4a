#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok((at, input)) = consult::journal::decode(data) {
        let again = consult::journal::encode(&input, at);
        assert_eq!(consult::journal::decode(&again), Ok((at, input)));
    }
});
