//! Contec ECG90A: twelve leads at rest, recorded by the device, read from its files.
//!
//! Source: "Contec ECG file format" (rigacci.org/wiki, tecnica:misc:contec_ecg_file_format), whose sizes were checked
//! on three real files. A file is a header of 43 bytes, rows of eight samples at 800 Hz (II, III, V1 to V6; 16 bits
//! little endian, 2048 is 0 V, 5 µV a step, 0x6800 an electrode that is off), and a footer of 37 bytes that begins with
//! sixteen zeros. The header names the patient: only its time stamp is read.

use consult::ecg::{Ecg, Lead, MISSING, ROWS_MAX};

use crate::device_clock::{Civil, DeviceTime};
use crate::recorder::{Format, Recorder};

const HEADER: usize = 43;
const ROW: usize = 16;
const FOOTER: usize = 37;
/// `YYYY-MM-DD HH:MM:SS`, in the header.
const STAMP: std::ops::Range<usize> = 10..29;
const RATE_HZ: u16 = 800;
const FEMTOVOLTS_PER_STEP: u64 = 5_000_000_000;
const ZERO: u16 = 2_048;
const ELECTRODE_OFF: u16 = 0x6800;
const SAMPLE_MAX: u16 = 4_095;
const LEADS: [Lead; 8] = [Lead::II, Lead::III, Lead::V1, Lead::V2, Lead::V3, Lead::V4, Lead::V5, Lead::V6];

/// The files.
pub(crate) struct Ecg90A;

/// The protocol.
pub(crate) fn protocol() -> Recorder<Ecg90A> {
    Recorder::new()
}

impl Format for Ecg90A {
    fn may_be(name: &str, size: usize) -> bool {
        let is_ecg = name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("ecg"));
        let rows = size.checked_sub(HEADER + FOOTER);
        is_ecg && rows.is_some_and(|bytes| bytes % ROW == 0 && (1..=ROWS_MAX).contains(&(bytes / ROW)))
    }

    fn read(file: &[u8]) -> Option<(DeviceTime, Ecg)> {
        let rows = file.get(HEADER..file.len().checked_sub(FOOTER)?)?;
        let footer = &file[file.len() - FOOTER..];
        let (rows, cut) = rows.as_chunks::<ROW>();
        // A row of zeros is the end, and ours is where the footer is: a file still being written has one before.
        let ended = |row: &[u8]| row.iter().all(|byte| *byte == 0);
        if !cut.is_empty() || !ended(&footer[..ROW]) || rows.iter().any(|row| ended(row)) {
            return None;
        }
        let at = stamp(file.get(STAMP)?)?;
        let (words, _) = rows.as_flattened().as_chunks::<2>();
        let samples = words.iter().map(|word| match u16::from_le_bytes(*word) {
            ELECTRODE_OFF => Some(MISSING),
            value @ 0..=SAMPLE_MAX => Some(i32::from(value) - i32::from(ZERO)),
            _ => None,
        });
        let samples = samples.collect::<Option<Vec<i32>>>()?;
        Some((at, Ecg::new(LEADS.to_vec(), RATE_HZ, FEMTOVOLTS_PER_STEP, samples).ok()?))
    }
}

fn stamp(text: &[u8]) -> Option<DeviceTime> {
    let text = std::str::from_utf8(text).ok()?;
    let (date, time) = text.split_once(' ')?;
    let numbers = |text: &str, mark| text.split(mark).map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>();
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let ([year, month, day], [hour, minute, second]) = (date[..].try_into().ok()?, time[..].try_into().ok()?);
    DeviceTime::from_civil(Civil { year, month, day, hour, minute, second })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: &[[u16; 8]]) -> Vec<u8> {
        let mut file = b"0000123\0".to_vec();
        file.extend([0xAA, 0xBB]);
        file.extend(b"2026-03-09 08:41:20\0");
        file.extend([0, 0]);
        file.extend(b"DUBOIS\0\0");
        file.extend([0, 47, 71]);
        assert_eq!(file.len(), HEADER);
        rows.iter().flatten().for_each(|value| file.extend(value.to_le_bytes()));
        file.extend([0; 16]);
        file.extend([7; 21]);
        file
    }

    #[test]
    fn every_sample_is_read_and_an_electrode_that_is_off_is_no_number() {
        let rows = [[2_048, 2_049, 2_047, 0, 4_095, 0x6800, 2_248, 1_848], [2_050; 8]];
        let (at, ecg) = Ecg90A::read(&file(&rows)).unwrap();
        assert_eq!(at, DeviceTime(1_773_045_680));
        assert_eq!((ecg.rate_hz(), ecg.leads(), ecg.femtovolts_per_step()), (800, &LEADS[..], 5_000_000_000));
        assert_eq!(ecg.samples()[..8], [0, 1, -1, -2_048, 2_047, MISSING, 200, -200]);
        assert_eq!(ecg.samples()[8..], [2; 8]);
    }

    #[test]
    fn a_file_cut_short_damaged_or_still_being_written_is_none() {
        let rows = vec![[2_100; 8]; 100];
        let whole = file(&rows);
        assert!(Ecg90A::read(&whole).is_some());
        for length in 0..whole.len() {
            assert!(Ecg90A::read(&whole[..length]).is_none(), "{length}");
        }
        let mut written = rows.clone();
        written[60..].fill([0; 8]);
        assert!(Ecg90A::read(&file(&written)).is_none());
        for value in [4_096, 0x6801, u16::MAX] {
            let mut damaged = rows.clone();
            damaged[50][3] = value;
            assert!(Ecg90A::read(&file(&damaged)).is_none(), "{value}");
        }
        for stamp in ["2026-02-30 08:41:20", "2026-03-09 24:00:00", "0000-00-00 00:00:00", "2026-03-09T08:41:20"] {
            let mut undated = whole.clone();
            undated[STAMP].copy_from_slice(stamp.as_bytes());
            assert!(Ecg90A::read(&undated).is_none(), "{stamp}");
        }
    }

    #[test]
    fn only_a_size_that_a_whole_file_has_is_looked_at() {
        assert!(Ecg90A::may_be("0000123.ECG", 80 + 16) && Ecg90A::may_be("x/y.ecg", 80 + 16 * ROWS_MAX));
        for (name, size) in [("1.ECG", 80), ("1.ECG", 97), ("1.ECG", 79), ("1.TXT", 96), ("ECG", 96)] {
            assert!(!Ecg90A::may_be(name, size), "{name} {size}");
        }
        assert!(!Ecg90A::may_be("1.ECG", 80 + 16 * (ROWS_MAX + 1)));
    }
}
