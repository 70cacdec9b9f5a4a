#![no_main]
//! What the far end's packets are to a picture, whatever their bytes.
use call::pieces::{Encoding, begins_key_frame};
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for encoding in [Encoding::Vp8, Encoding::H264] {
        // Nothing begins with a header alone.
        assert!(!begins_key_frame(encoding, bytes) || !bytes.is_empty());
    }
});
