//! The head of a FLAC file: what it says of the sound in it.
//!
//! Source: RFC 9639, 8.1 (metadata block header) and 8.2 (STREAMINFO).

/// A file begins with 4 bytes of its own, 4 of its first block's head and 34 of that block, which is always STREAMINFO.
const HEAD: usize = 42;
const BEGIN: usize = 8;

/// What a file says of the sound in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Samples a second.
    pub rate: u32,
    /// Channels, 1 to 8.
    pub channels: u8,
    /// Bits of a sample, 4 to 32.
    pub bits: u8,
    /// Samples of each channel; 0 where it does not say.
    pub samples: u64,
    /// MD5 of the samples as they were before they were packed (little-endian, channels interleaved).
    pub md5: [u8; 16],
}

/// It is no FLAC file, or not its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no FLAC file")]
pub struct NotFlac;

/// Reads the head of a file.
///
/// # Errors
///
/// [`NotFlac`].
pub fn head(file: &[u8]) -> Result<Head, NotFlac> {
    let head = file.get(..HEAD).ok_or(NotFlac)?;
    // The highest bit of the block's kind says whether it is the last.
    if !head.starts_with(b"fLaC") || head[4] & 0x7F != 0 || head[5..8] != [0, 0, 34] {
        return Err(NotFlac);
    }
    let packed = head[BEGIN + 10..BEGIN + 18].iter().fold(0u64, |packed, byte| packed << 8 | u64::from(*byte));
    let mut md5 = [0; 16];
    md5.copy_from_slice(&head[BEGIN + 18..]);
    Ok(Head {
        rate: (packed >> 44) as u32,
        channels: (packed >> 41 & 7) as u8 + 1,
        bits: (packed >> 36 & 31) as u8 + 1,
        samples: packed & 0xF_FFFF_FFFF,
        md5,
    })
}

/// Writes into the head how many samples there are and their MD5: an encoder that cannot go back to the beginning of
/// its file leaves both at 0. What was captured is sealed in, so that any decoder finds out if the encoder changed it.
///
/// # Errors
///
/// [`NotFlac`]: the file is as it was. A number of samples of more than 36 bits is refused likewise.
pub fn seal(file: &mut [u8], samples: u64, md5: [u8; 16]) -> Result<(), NotFlac> {
    head(file)?;
    if samples > 0xF_FFFF_FFFF {
        return Err(NotFlac);
    }
    let bytes = samples.to_be_bytes();
    // Its four highest bits share a byte with the bits of a sample.
    file[BEGIN + 13] = file[BEGIN + 13] & 0xF0 | bytes[3];
    file[BEGIN + 14..BEGIN + 18].copy_from_slice(&bytes[4..]);
    file[BEGIN + 18..HEAD].copy_from_slice(&md5);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9639, appendix D.1 "Decoding Example 1": 44,100 samples a second, 2 channels of 16 bits, 1 sample.
    const EXAMPLE: [u8; HEAD] = [
        0x66, 0x4c, 0x61, 0x43, 0x80, 0x00, 0x00, 0x22, 0x10, 0x00, 0x10, 0x00, 0x00, 0x00, 0x0f, 0x00, 0x00, 0x0f,
        0x0a, 0xc4, 0x42, 0xf0, 0x00, 0x00, 0x00, 0x01, 0x3e, 0x84, 0xb4, 0x18, 0x07, 0xdc, 0x69, 0x03, 0x07, 0x58,
        0x6a, 0x3d, 0xad, 0x1a, 0x2e, 0x0f,
    ];

    #[test]
    fn the_standards_example_is_read() {
        let read = head(&EXAMPLE).expect("a head");
        assert_eq!((read.rate, read.channels, read.bits, read.samples), (44_100, 2, 16, 1));
        assert_eq!(read.md5[..2], [0x3e, 0x84]);
        for length in 0..HEAD {
            assert_eq!(head(&EXAMPLE[..length]), Err(NotFlac));
        }
    }

    #[test]
    fn sealing_changes_the_number_of_samples_and_their_sum_and_nothing_else() {
        let mut file = EXAMPLE;
        seal(&mut file, 0xA_1234_5678, [7; 16]).expect("sealed");
        let (before, after) = (head(&EXAMPLE).expect("a head"), head(&file).expect("a head"));
        assert_eq!(after, Head { samples: 0xA_1234_5678, md5: [7; 16], ..before });
        assert_eq!(file[..21], EXAMPLE[..21]);
        assert_eq!(seal(&mut file, 1 << 36, [0; 16]), Err(NotFlac));
        assert_eq!(seal(&mut [0; 60], 1, [0; 16]), Err(NotFlac));
    }
}
