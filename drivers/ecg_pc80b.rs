//! PC-80B, "Easy ECG": one lead, held in both hands, recorded by the device, read from its files.
//!
//! Source: the files as two open readers know them (`Belval/PC80B`, MIT; a description made from another). They are
//! like SCP-ECG and not it: a check of two bytes, which is not verified, the file's size (u32), then sections, each with
//! a header of 16 bytes (check, number, length with the header, versions). Section 1 has the date (tag 25) and the time
//! (tag 26), and the patient's number, which is skipped; section 6 the samples: step in nV, interval in µs, two flags,
//! bytes that follow, then 16-bit words of which the lower twelve bits less 2048 are a sample. The upper four mark beats
//! and contact; which is contact is not known, so that a hand that let go is not told.

use consult::ecg::{Ecg, Lead};

use crate::device_clock::{Civil, DeviceTime};
use crate::recorder::{Format, Recorder};

const FILE_HEADER: usize = 6;
const SECTION_HEADER: usize = 16;
const PATIENT: u16 = 1;
const RHYTHM: u16 = 6;
const DATE: u8 = 25;
const TIME: u8 = 26;
const END: u8 = 255;
/// Its only rate, and the interval that it writes for it, µs.
const RATE_HZ: u16 = 150;
const INTERVALS_US: std::ops::RangeInclusive<u16> = 6_660..=6_670;
const ZERO: u16 = 2_048;

/// The files.
pub(crate) struct EasyEcg;

/// The protocol.
pub(crate) fn protocol() -> Recorder<EasyEcg> {
    Recorder::new()
}

impl Format for EasyEcg {
    fn may_be(name: &str, size: usize) -> bool {
        let is_scp = name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("scp"));
        is_scp && size > FILE_HEADER + 2 * SECTION_HEADER
    }

    fn read(file: &[u8]) -> Option<(DeviceTime, Ecg)> {
        let (head, mut rest) = file.split_first_chunk::<FILE_HEADER>()?;
        let [_, _, size @ ..] = *head;
        if usize::try_from(u32::from_le_bytes(size)).ok()? != file.len() {
            return None;
        }
        let (mut at, mut ecg) = (None, None);
        while !rest.is_empty() {
            let header = rest.first_chunk::<SECTION_HEADER>()?;
            let number = u16::from_le_bytes([header[2], header[3]]);
            let length = usize::try_from(u32::from_le_bytes([header[4], header[5], header[6], header[7]])).ok()?;
            let (section, later) = rest.split_at_checked(length)?;
            let content = section.get(SECTION_HEADER..)?;
            match number {
                PATIENT => at = stamp(content),
                RHYTHM => ecg = rhythm(content),
                _ => {}
            }
            rest = later;
        }
        Some((at?, ecg?))
    }
}

fn stamp(mut content: &[u8]) -> Option<DeviceTime> {
    let (mut date, mut time) = (None, None);
    while let Some((&[tag, low, high], rest)) = content.split_first_chunk::<3>() {
        if tag == END {
            break;
        }
        let (value, later) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        match (tag, value) {
            (DATE, &[low, high, month, day]) => date = Some((u16::from_le_bytes([low, high]), month, day)),
            (TIME, &[hour, minute, second]) => time = Some((hour, minute, second)),
            _ => {}
        }
        content = later;
    }
    let ((year, month, day), (hour, minute, second)) = (date?, time?);
    DeviceTime::from_civil(Civil {
        year: year.into(),
        month: month.into(),
        day: day.into(),
        hour: hour.into(),
        minute: minute.into(),
        second: second.into(),
    })
}

fn rhythm(content: &[u8]) -> Option<Ecg> {
    let (&[step0, step1, interval0, interval1, _, _, bytes0, bytes1], words) = content.split_first_chunk::<8>()?;
    let step_nv = u16::from_le_bytes([step0, step1]);
    let bytes = usize::from(u16::from_le_bytes([bytes0, bytes1]));
    if !INTERVALS_US.contains(&u16::from_le_bytes([interval0, interval1])) || bytes != words.len() {
        return None;
    }
    let (words, cut) = words.as_chunks::<2>();
    let sample = |word: &[u8; 2]| i32::from(u16::from_le_bytes(*word) & 0x0FFF) - i32::from(ZERO);
    let samples = words.iter().map(sample).collect();
    let femtovolts = u64::from(step_nv) * 1_000_000;
    cut.is_empty().then(|| Ecg::new(vec![Lead::I], RATE_HZ, femtovolts, samples).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(number: u16, content: &[u8]) -> Vec<u8> {
        let mut section = vec![0x12, 0x34];
        section.extend(number.to_le_bytes());
        section.extend((16 + content.len() as u32).to_le_bytes());
        section.extend([13, 13, 0, 0, 0, 0, 0, 0]);
        section.extend(content);
        section
    }

    fn file_of(sections: &[Vec<u8>]) -> Vec<u8> {
        let content = sections.concat();
        let mut file = vec![0xAB, 0xCD];
        file.extend((6 + content.len() as u32).to_le_bytes());
        file.extend(content);
        file
    }

    fn patient() -> Vec<u8> {
        let mut content = vec![2, 7, 0];
        content.extend(b"DUBOIS\0");
        content.extend([25, 4, 0, 0xEA, 0x07, 3, 9]);
        content.extend([26, 3, 0, 8, 41, 20]);
        content.extend([255, 0, 0]);
        section(1, &content)
    }

    fn rhythm_of(words: &[u16]) -> Vec<u8> {
        let mut content = 2_500u16.to_le_bytes().to_vec();
        content.extend(6_667u16.to_le_bytes());
        content.extend([0, 0]);
        content.extend((2 * words.len() as u16).to_le_bytes());
        words.iter().for_each(|word| content.extend(word.to_le_bytes()));
        section(6, &content)
    }

    fn file() -> Vec<u8> {
        let words = [2_048, 0x8000 | 2_049, 0xF000, 0x0FFF];
        file_of(&[section(0, &[0; 40]), patient(), section(3, &[1, 0]), rhythm_of(&words), section(9, &[0; 70])])
    }

    #[test]
    fn the_samples_are_the_lower_twelve_bits_and_the_stamp_is_the_devices() {
        let (at, ecg) = EasyEcg::read(&file()).unwrap();
        assert_eq!(at, DeviceTime(1_773_045_680));
        assert_eq!((ecg.rate_hz(), ecg.femtovolts_per_step(), ecg.leads()), (150, 2_500_000_000, &[Lead::I][..]));
        assert_eq!(ecg.samples(), [0, 1, -2_048, 2_047]);
    }

    #[test]
    fn a_file_cut_short_or_damaged_is_none() {
        let whole = file();
        for length in 0..whole.len() {
            assert!(EasyEcg::read(&whole[..length]).is_none(), "{length}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert!(EasyEcg::read(&longer).is_none());
        assert!(EasyEcg::read(&file_of(&[patient()])).is_none(), "no samples");
        assert!(EasyEcg::read(&file_of(&[rhythm_of(&[2_048])])).is_none(), "no date");
        let mut other_rate = rhythm_of(&[2_048]);
        other_rate[18..20].copy_from_slice(&4_000u16.to_le_bytes());
        assert!(EasyEcg::read(&file_of(&[patient(), other_rate])).is_none());
    }
}
