//! What an RTP packet of a picture is to it, by its first bytes.

/// A picture's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 7741.
    Vp8,
    /// RFC 6184.
    H264,
}

impl Encoding {
    /// As session descriptions and GStreamer spell it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Vp8 => "VP8",
            Encoding::H264 => "H264",
        }
    }
}

/// Whether a key frame begins with this payload. Takes any bytes.
pub fn begins_key_frame(encoding: Encoding, payload: &[u8]) -> bool {
    match encoding {
        Encoding::Vp8 => vp8_begins_key_frame(payload).unwrap_or(false),
        Encoding::H264 => h264_begins_key_frame(payload).unwrap_or(false),
    }
}

/// RFC 7741, 4.2: the descriptor, of one octet and what its bits announce; then, where a picture begins, the frame tag of
/// RFC 6386, 9.1, whose lowest bit is clear in a key frame.
fn vp8_begins_key_frame(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let mut header = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(1)?;
        header += 1;
        if extension & 0x80 != 0 {
            header += if payload.get(header)? & 0x80 != 0 { 2 } else { 1 };
        }
        header += usize::from(extension & 0x40 != 0);
        header += usize::from(extension & 0x30 != 0);
    }
    let begins = first & 0x10 != 0 && first & 0x07 == 0;
    Some(begins && payload.get(header)? & 1 == 0)
}

/// The unit types of H.264, table 7-1, and of RFC 6184, table 1.
const SEQUENCE_PARAMETERS: u8 = 7;
const SEVERAL_UNITS: u8 = 24;

/// Browsers and our own encoders send the sequence's parameters before every key frame, alone or with others in one
/// packet.
fn h264_begins_key_frame(payload: &[u8]) -> Option<bool> {
    let kind = |octet: &u8| octet & 0x1f;
    if kind(payload.first()?) != SEVERAL_UNITS {
        return Some(kind(payload.first()?) == SEQUENCE_PARAMETERS);
    }
    let mut rest = payload.get(1..)?;
    while let [high, low, unit @ ..] = rest {
        if unit.first().is_some_and(|first| kind(first) == SEQUENCE_PARAMETERS) {
            return Some(true);
        }
        rest = unit.get(usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vp8_key_frame_is_known_whatever_its_descriptor_announces() {
        let begins = |payload: &[u8]| begins_key_frame(Encoding::Vp8, payload);
        // No extension; a picture's number of 7 and of 15 bits; the temporal layer's octets.
        for descriptor in [&[0x10][..], &[0x90, 0x80, 0x11], &[0x90, 0x80, 0x91, 0x22], &[0x90, 0xe0, 0x91, 0x22, 1, 2]]
        {
            assert!(begins(&[descriptor, &[0x10, 0x02]].concat()), "{descriptor:x?}");
            assert!(!begins(&[descriptor, &[0x11, 0x02]].concat()), "{descriptor:x?}: no key frame");
            assert!(!begins(descriptor), "{descriptor:x?}: nothing behind");
        }
        assert!(!begins(&[0x00, 0x10]), "the middle of a picture");
        assert!(!begins(&[0x11, 0x10]), "the second partition");
        assert!(!begins(&[]));
    }

    #[test]
    fn an_h264_key_frame_is_known_by_the_parameters_before_it() {
        let begins = |payload: &[u8]| begins_key_frame(Encoding::H264, payload);
        assert!(begins(&[0x67, 0x42, 0xe0, 0x1f]));
        assert!(begins(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]), "with the picture's");
        assert!(begins(&[0x78, 0, 1, 0x09, 0, 2, 0x67, 0x42]), "behind a delimiter");
        assert!(!begins(&[0x78, 0, 1, 0x68, 0, 9, 0x65]), "cut off");
        assert!(!begins(&[0x65, 1]) && !begins(&[0x7c, 0x85, 1]) && !begins(&[0x41, 1]) && !begins(&[]));
    }
}
