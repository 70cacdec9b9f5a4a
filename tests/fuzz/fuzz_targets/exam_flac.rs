#![no_main]
//! The head of a clip: read back as it was sealed.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    use exam::sound::flac;
    let mut file = bytes.to_vec();
    if let Ok(before) = flac::head(bytes) {
        flac::seal(&mut file, 12_345, [7; 16]).unwrap();
        assert_eq!(flac::head(&file), Ok(flac::Head { samples: 12_345, md5: [7; 16], ..before }));
    } else {
        assert!(flac::seal(&mut file, 12_345, [7; 16]).is_err() && file == bytes);
    }
});
