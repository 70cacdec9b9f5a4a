//! An electrocardiogram: leads, samples, and what one step of a sample is worth. Nothing is filtered or scaled here.

use std::fmt;

/// A lead, by the name that a physician uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Lead {
    /// Left arm minus right arm.
    I = 1,
    /// Left leg minus right arm.
    II = 2,
    /// Left leg minus left arm.
    III = 3,
    /// Augmented, right arm.
    AVR = 4,
    /// Augmented, left arm.
    AVL = 5,
    /// Augmented, foot.
    AVF = 6,
    /// Chest, fourth intercostal space, right of the sternum.
    V1 = 7,
    /// Chest, fourth intercostal space, left of the sternum.
    V2 = 8,
    /// Chest, between V2 and V4.
    V3 = 9,
    /// Chest, fifth intercostal space, mid-clavicular line.
    V4 = 10,
    /// Chest, level with V4, anterior axillary line.
    V5 = 11,
    /// Chest, level with V4, mid-axillary line.
    V6 = 12,
}

impl Lead {
    /// Every lead, in the order in which they are printed.
    pub const ALL: [Lead; 12] = [
        Lead::I,
        Lead::II,
        Lead::III,
        Lead::AVR,
        Lead::AVL,
        Lead::AVF,
        Lead::V1,
        Lead::V2,
        Lead::V3,
        Lead::V4,
        Lead::V5,
        Lead::V6,
    ];

    /// The lead of that number, 1 to 12.
    pub fn from_number(number: u8) -> Option<Self> {
        Lead::ALL.into_iter().find(|lead| *lead as u8 == number)
    }

    /// As it is written on paper.
    pub fn name(self) -> &'static str {
        match self {
            Lead::I => "I",
            Lead::II => "II",
            Lead::III => "III",
            Lead::AVR => "aVR",
            Lead::AVL => "aVL",
            Lead::AVF => "aVF",
            Lead::V1 => "V1",
            Lead::V2 => "V2",
            Lead::V3 => "V3",
            Lead::V4 => "V4",
            Lead::V5 => "V5",
            Lead::V6 => "V6",
        }
    }
}

/// A sample that is not there: the electrode was off, or the line lost it. Never a number.
pub const MISSING: i32 = i32::MIN;

/// Most rows of one recording: ten minutes of the fastest recorder here (Contec ECG90A, 800 Hz).
pub const ROWS_MAX: usize = 480_000;
/// Highest sample rate, Hz.
pub const RATE_HZ_MAX: u16 = 2_000;
/// Largest step: a millivolt.
pub const FEMTOVOLTS_PER_STEP_MAX: u64 = 1_000_000_000_000;

/// What cannot be an electrocardiogram. Record again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEcg {
    /// No lead, a lead twice, or a number that names none.
    Leads,
    /// A rate outside 1..=[`RATE_HZ_MAX`].
    Rate,
    /// A step of nothing, or over [`FEMTOVOLTS_PER_STEP_MAX`].
    Step,
    /// No row, a row cut short, or more than [`ROWS_MAX`].
    Samples,
    /// Bytes of another format, or cut short.
    Format,
}

impl fmt::Display for NoEcg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoEcg::Leads => "no lead, or one lead twice: record again",
            NoEcg::Rate => "a sample rate that no recorder has: record again",
            NoEcg::Step => "a sample step that no recorder has: record again",
            NoEcg::Samples => "no samples, or too many: record again",
            NoEcg::Format => "these bytes are no electrocardiogram of this program",
        })
    }
}

impl std::error::Error for NoEcg {}

/// Some time of one or several leads.
#[derive(Clone, PartialEq, Eq)]
pub struct Ecg {
    leads: Vec<Lead>,
    rate_hz: u16,
    femtovolts_per_step: u64,
    samples: Vec<i32>,
}

impl fmt::Debug for Ecg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The curve is a patient's: only its size may be logged.
        write!(f, "Ecg({} leads, {} Hz, {} rows)", self.leads.len(), self.rate_hz, self.rows())
    }
}

/// First bytes of the stored form, and its version.
const MAGIC: [u8; 4] = *b"ECG1";
/// Magic, rate u16, step u64, leads u8.
const HEADER_BYTES: usize = 4 + 2 + 8 + 1;

impl Ecg {
    /// Samples row by row: one of each lead, in their order; [`MISSING`] where there is none. One step of a sample is
    /// `femtovolts_per_step` (10⁻¹⁵ V: fine enough for every converter known).
    ///
    /// # Errors
    /// What cannot be an electrocardiogram.
    pub fn new(leads: Vec<Lead>, rate_hz: u16, femtovolts_per_step: u64, samples: Vec<i32>) -> Result<Self, NoEcg> {
        let twice = leads.iter().enumerate().any(|(i, lead)| leads[..i].contains(lead));
        if leads.is_empty() || twice {
            return Err(NoEcg::Leads);
        }
        if !(1..=RATE_HZ_MAX).contains(&rate_hz) {
            return Err(NoEcg::Rate);
        }
        if !(1..=FEMTOVOLTS_PER_STEP_MAX).contains(&femtovolts_per_step) {
            return Err(NoEcg::Step);
        }
        let rows = samples.len() / leads.len();
        if rows == 0 || rows > ROWS_MAX || rows * leads.len() != samples.len() {
            return Err(NoEcg::Samples);
        }
        Ok(Self { leads, rate_hz, femtovolts_per_step, samples })
    }

    /// The leads, in the order of a row.
    pub fn leads(&self) -> &[Lead] {
        &self.leads
    }

    /// Rows a second.
    pub fn rate_hz(&self) -> u16 {
        self.rate_hz
    }

    /// Worth of one step, 10⁻¹⁵ V.
    pub fn femtovolts_per_step(&self) -> u64 {
        self.femtovolts_per_step
    }

    /// Row by row.
    pub fn samples(&self) -> &[i32] {
        &self.samples
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.samples.len() / self.leads.len()
    }

    /// The samples of one lead, if it was recorded.
    pub fn lead(&self, lead: Lead) -> Option<impl Iterator<Item = i32> + '_> {
        let at = self.leads.iter().position(|l| *l == lead)?;
        Some(self.samples.iter().skip(at).step_by(self.leads.len()).copied())
    }

    /// Length, ms, rounded down.
    pub fn duration_ms(&self) -> u32 {
        // At most 480,000 rows at 1 Hz: 480,000,000 ms.
        u32::try_from(self.rows() as u64 * 1_000 / u64::from(self.rate_hz)).unwrap_or(u32::MAX)
    }

    /// The stored form: `ECG1`, rate u16, step u64, number of leads u8, their numbers u8 each, then every sample i32;
    /// all little endian. Read for ever.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.leads.len() + 4 * self.samples.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.rate_hz.to_le_bytes());
        bytes.extend_from_slice(&self.femtovolts_per_step.to_le_bytes());
        bytes.push(self.leads.len() as u8); // at most 12: none is there twice
        bytes.extend(self.leads.iter().map(|lead| *lead as u8));
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes
    }

    /// Reads [`Ecg::to_bytes`].
    ///
    /// # Errors
    /// Bytes of another format, cut short, or that hold no electrocardiogram.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoEcg> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(NoEcg::Format)?;
        let [m0, m1, m2, m3, r0, r1, step @ .., count] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(NoEcg::Format);
        }
        let (numbers, samples) = rest.split_at_checked(count.into()).ok_or(NoEcg::Format)?;
        let leads = numbers.iter().map(|number| Lead::from_number(*number)).collect::<Option<_>>();
        let (samples, cut) = samples.as_chunks::<4>();
        if !cut.is_empty() {
            return Err(NoEcg::Format);
        }
        Ecg::new(
            leads.ok_or(NoEcg::Leads)?,
            u16::from_le_bytes([r0, r1]),
            u64::from_le_bytes(step),
            samples.iter().map(|sample| i32::from_le_bytes(*sample)).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ecg() -> Ecg {
        Ecg::new(vec![Lead::II, Lead::V1], 800, 5_000_000_000, vec![1, -1, MISSING, 2_047, i32::MAX, -2_048]).unwrap()
    }

    #[test]
    fn what_is_stored_is_read_back_bit_by_bit() {
        let ecg = ecg();
        assert_eq!(Ecg::from_bytes(&ecg.to_bytes()), Ok(ecg.clone()));
        assert_eq!(ecg.rows(), 3);
        assert_eq!(ecg.lead(Lead::V1).unwrap().collect::<Vec<_>>(), [-1, 2_047, -2_048]);
        assert!(ecg.lead(Lead::V6).is_none());
    }

    #[test]
    fn bytes_cut_anywhere_or_changed_in_the_header_never_become_another_recording_silently() {
        let bytes = ecg().to_bytes();
        for length in 0..bytes.len() {
            let cut = Ecg::from_bytes(&bytes[..length]);
            // A whole number of rows is a shorter recording: the hash that names it tells.
            assert!(cut.is_err() || (bytes.len() - length).is_multiple_of(8), "{length}");
        }
        for at in 0..4 {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(Ecg::from_bytes(&other), Err(NoEcg::Format));
        }
    }

    #[test]
    fn what_no_recorder_gives_is_refused() {
        let new = |leads: &[Lead], rate, step, samples: &[i32]| Ecg::new(leads.to_vec(), rate, step, samples.to_vec());
        assert_eq!(new(&[], 1, 1, &[1]), Err(NoEcg::Leads));
        assert_eq!(new(&[Lead::I, Lead::I], 1, 1, &[1, 2]), Err(NoEcg::Leads));
        assert_eq!(new(&[Lead::I], 0, 1, &[1]), Err(NoEcg::Rate));
        assert_eq!(new(&[Lead::I], 1, 0, &[1]), Err(NoEcg::Step));
        assert_eq!(new(&[Lead::I, Lead::II], 1, 1, &[1]), Err(NoEcg::Samples));
        assert_eq!(new(&[Lead::I], 1, 1, &[]), Err(NoEcg::Samples));
    }

    #[test]
    fn an_electrocardiogram_never_prints_itself() {
        assert_eq!(format!("{:?}", ecg()), "Ecg(2 leads, 800 Hz, 3 rows)");
    }
}
