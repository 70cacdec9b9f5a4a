#![no_main]
//! A still: a whole picture or why it is none, whatever a camera sends.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(whole) = exam::jpeg::whole(bytes) {
        assert!(whole.length <= bytes.len());
        // What follows the picture is none of its business.
        assert_eq!(exam::jpeg::whole(&bytes[..whole.length]), Ok(whole));
    }
});
