//! The `live` data channel: waveform frames, cabin to page. A lost frame is not repeated.
//!
//! Little endian: version u8 = 1, kind u8, seq u32, rate_hz u16, t0 i64 (ms since 1970 of the first sample, cabin's
//! clock), n u16, then n samples i16. Nothing follows the last sample.

use crate::Unreadable;

/// First byte of a frame.
pub const LIVE_VERSION: u8 = 1;
/// Bytes before the samples.
pub const HEADER_BYTES: usize = 18;
/// Most samples of one frame: a second of ECG at 500 Hz.
pub const SAMPLES_MAX: usize = 512;
/// Highest sample rate, Hz.
pub const RATE_HZ_MAX: u16 = 1000;

/// Which curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WaveformKind {
    /// Pulse curve of an oximeter; samples without unit.
    Pleth = 1,
    /// Pressure in the cuff, mmHg.
    CuffPressure = 2,
}

/// Some samples of a curve.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which curve.
    pub kind: WaveformKind,
    /// Frame number since the curve began; the page sees gaps by it.
    pub seq: u32,
    /// Samples a second, 1 to [`RATE_HZ_MAX`].
    pub rate_hz: u16,
    /// Time of the first sample, ms since 1970, cabin's clock.
    pub t0_ms: i64,
    /// 1 to [`SAMPLES_MAX`] samples.
    pub samples: Vec<i16>,
}

crate::opaque_debug!("patient": Frame);

impl Frame {
    /// The bytes of one data channel message; refuses what [`Frame::read`] would.
    pub fn write(&self) -> Result<Vec<u8>, Unreadable> {
        check(self.rate_hz, self.samples.len())?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 2 * self.samples.len());
        bytes.extend_from_slice(&[LIVE_VERSION, self.kind as u8]);
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.rate_hz.to_le_bytes());
        bytes.extend_from_slice(&self.t0_ms.to_le_bytes());
        bytes.extend_from_slice(&(self.samples.len() as u16).to_le_bytes());
        for sample in &self.samples {
            bytes.extend_from_slice(&sample.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads one data channel message.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Unreadable::Frame("header cut short"))?;
        let [version, kind, s0, s1, s2, s3, r0, r1, t @ .., n0, n1] = *header;
        if version != LIVE_VERSION {
            return Err(Unreadable::Frame("unknown version of the live frame"));
        }
        let kind = match kind {
            1 => WaveformKind::Pleth,
            2 => WaveformKind::CuffPressure,
            _ => return Err(Unreadable::Frame("unknown curve")),
        };
        let count = usize::from(u16::from_le_bytes([n0, n1]));
        let rate_hz = u16::from_le_bytes([r0, r1]);
        check(rate_hz, count)?;
        if body.len() != 2 * count {
            return Err(Unreadable::Frame("length differs from the number of samples"));
        }
        let samples = body.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        Ok(Frame { kind, seq: u32::from_le_bytes([s0, s1, s2, s3]), rate_hz, t0_ms: i64::from_le_bytes(t), samples })
    }
}

fn check(rate_hz: u16, count: usize) -> Result<(), Unreadable> {
    if rate_hz == 0 || rate_hz > RATE_HZ_MAX {
        return Err(Unreadable::Frame("sample rate outside 1..=1000 Hz"));
    }
    if count == 0 || count > SAMPLES_MAX {
        return Err(Unreadable::Frame("number of samples outside 1..=512"));
    }
    Ok(())
}
