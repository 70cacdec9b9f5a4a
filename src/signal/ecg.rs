//! The `ecg` data channel: an electrocardiogram while it is taken, cabin to page, in order and without a loss.
//!
//! Little endian: version u8 = 1, shift u8, seq u32, rate_hz u16, femtovolts_per_step u64, t0 i64 (ms since 1970 of the
//! first row, cabin's clock), rows u16, leads u8, then the number of each lead u8 (1 I, 2 II, 3 III, 4 aVR, 5 aVL,
//! 6 aVF, 7-12 V1-V6), then `rows * leads` samples i16, row by row. A sample stands for `sample << shift` steps of
//! 10⁻¹⁵ V each; -32768 stands for none. Nothing follows the last sample. What is kept and exported is the recording
//! itself, of which nothing is shifted away.

use crate::Unreadable;

/// First byte of a block.
pub const ECG_VERSION: u8 = 1;
/// Label of the channel.
pub const ECG: &str = "ecg";
/// Bytes before the leads.
pub const HEADER_BYTES: usize = 27;
/// Most rows of one block: half a second at the highest rate.
pub const ROWS_MAX: usize = 1_000;
/// Highest sample rate, Hz.
pub const RATE_HZ_MAX: u16 = 2_000;
/// Most leads.
pub const LEADS_MAX: usize = 12;
/// Bits of an i32 that an i16 has no room for.
pub const SHIFT_MAX: u8 = 16;
/// A sample that is not there.
pub const MISSING: i16 = i16::MIN;

/// Some rows of an electrocardiogram.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// How many low bits every sample lost to fit; 0: none, the samples are the device's own.
    pub shift: u8,
    /// Number of the block since the curve began.
    pub seq: u32,
    /// Rows a second, 1 to [`RATE_HZ_MAX`].
    pub rate_hz: u16,
    /// Worth of one step, 10⁻¹⁵ V, at least 1.
    pub femtovolts_per_step: u64,
    /// Time of the first row, ms since 1970, cabin's clock.
    pub t0_ms: i64,
    /// Numbers of the leads, 1 to 12, each once.
    pub leads: Vec<u8>,
    /// Row by row, 1 to [`ROWS_MAX`] rows.
    pub samples: Vec<i16>,
}

crate::opaque_debug!("patient": Block);

impl Block {
    /// The bytes of one data channel message; refuses what [`Block::read`] would.
    pub fn write(&self) -> Result<Vec<u8>, Unreadable> {
        self.check()?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.leads.len() + 2 * self.samples.len());
        bytes.extend_from_slice(&[ECG_VERSION, self.shift]);
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.rate_hz.to_le_bytes());
        bytes.extend_from_slice(&self.femtovolts_per_step.to_le_bytes());
        bytes.extend_from_slice(&self.t0_ms.to_le_bytes());
        bytes.extend_from_slice(&((self.samples.len() / self.leads.len()) as u16).to_le_bytes());
        bytes.push(self.leads.len() as u8);
        bytes.extend_from_slice(&self.leads);
        for sample in &self.samples {
            bytes.extend_from_slice(&sample.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads one data channel message.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Unreadable::Frame("header cut short"))?;
        let [version, shift, s0, s1, s2, s3, r0, r1, numbers @ .., n0, n1, leads] = *header;
        if version != ECG_VERSION {
            return Err(Unreadable::Frame("unknown version of the ECG block"));
        }
        let [f0, f1, f2, f3, f4, f5, f6, f7, t @ ..] = numbers;
        let rows = usize::from(u16::from_le_bytes([n0, n1]));
        let (leads, samples) = rest.split_at_checked(leads.into()).ok_or(Unreadable::Frame("leads cut short"))?;
        if samples.len() != 2 * rows * leads.len() {
            return Err(Unreadable::Frame("length differs from the number of samples"));
        }
        let block = Block {
            shift,
            seq: u32::from_le_bytes([s0, s1, s2, s3]),
            rate_hz: u16::from_le_bytes([r0, r1]),
            femtovolts_per_step: u64::from_le_bytes([f0, f1, f2, f3, f4, f5, f6, f7]),
            t0_ms: i64::from_le_bytes(t),
            leads: leads.to_vec(),
            samples: samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect(),
        };
        block.check().map(|()| block)
    }

    fn check(&self) -> Result<(), Unreadable> {
        let twice = self.leads.iter().enumerate().any(|(i, lead)| self.leads[..i].contains(lead));
        if self.leads.is_empty() || twice || self.leads.iter().any(|lead| !(1..=12).contains(lead)) {
            return Err(Unreadable::Frame("leads are numbers from 1 to 12, each once"));
        }
        if self.rate_hz == 0 || self.rate_hz > RATE_HZ_MAX {
            return Err(Unreadable::Frame("sample rate outside 1..=2000 Hz"));
        }
        if self.femtovolts_per_step == 0 || self.shift > SHIFT_MAX {
            return Err(Unreadable::Frame("a step of nothing, or shifted too far"));
        }
        let rows = self.samples.len() / self.leads.len();
        if rows == 0 || rows > ROWS_MAX || rows * self.leads.len() != self.samples.len() {
            return Err(Unreadable::Frame("number of rows outside 1..=1000, or a row cut short"));
        }
        Ok(())
    }
}

/// Samples as they fit: shifted no further than the largest needs; `missing` becomes [`MISSING`].
pub fn fit(samples: &[i32], missing: i32) -> (u8, Vec<i16>) {
    let fits = |shift: u8| {
        // -32768 is taken.
        samples.iter().all(|s| *s == missing || (-32_767..=32_767).contains(&(*s >> shift)))
    };
    let shift = (0..SHIFT_MAX).find(|shift| fits(*shift)).unwrap_or(SHIFT_MAX);
    let fitted = samples.iter().map(|sample| {
        if *sample == missing { MISSING } else { i16::try_from(*sample >> shift).unwrap_or(i16::MAX).max(-32_767) }
    });
    (shift, fitted.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        Block {
            shift: 0,
            seq: 7,
            rate_hz: 500,
            femtovolts_per_step: 5_000_000_000,
            t0_ms: 1_795_310_060_000,
            leads: vec![2, 7],
            samples: vec![1, -1, MISSING, 2_047],
        }
    }

    #[test]
    fn a_block_is_read_as_it_was_written_and_as_the_protocol_prints_it() {
        let bytes = block().write().unwrap();
        assert!(Block::read(&bytes).unwrap() == block());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../tests/wire/ecg.block.hex").trim());
        for length in 0..bytes.len() {
            assert!(Block::read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_no_cabin_sends_is_refused() {
        let refused = |change: fn(&mut Block)| {
            let mut block = block();
            change(&mut block);
            block.write().is_err()
        };
        assert!(refused(|b| b.leads = vec![2, 2]));
        assert!(refused(|b| b.leads = vec![0, 13]));
        assert!(refused(|b| b.rate_hz = 0));
        assert!(refused(|b| b.femtovolts_per_step = 0));
        assert!(refused(|b| b.shift = 17));
        assert!(refused(|b| b.samples.truncate(3)));
        assert!(refused(|b| b.samples.clear()));
    }

    #[test]
    fn samples_of_16_bits_lose_nothing_and_larger_ones_their_low_bits_only() {
        assert_eq!(fit(&[0, 32_767, -32_767, i32::MIN], i32::MIN), (0, vec![0, 32_767, -32_767, MISSING]));
        let (shift, fitted) = fit(&[44_739, -44_739, 1], i32::MIN);
        assert_eq!((shift, fitted), (1, vec![22_369, -22_370, 0]));
        let (shift, fitted) = fit(&[i32::MAX, i32::MIN + 1], i32::MIN);
        assert_eq!((shift, fitted), (16, vec![32_767, -32_767]));
    }
}
