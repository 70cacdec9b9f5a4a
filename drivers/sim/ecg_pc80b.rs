//! PC-80B: files like SCP-ECG in folders of 300, and an index.

use crate::heart::{leads_nv, noise};
use crate::stick::{Recorder, Take, Written, civil};

const RATE_HZ: u32 = 150;
const STEP_NV: u16 = 2_500;
const FILES_A_FOLDER: u32 = 300;

pub(crate) fn device() -> Recorder {
    let index = b"PC-80B                         \nMARTINE                        \n".to_vec();
    Recorder::new(write, vec![("README.TXT".to_owned(), index)])
}

fn section(number: u16, content: &[u8]) -> Vec<u8> {
    let mut section = vec![0x5A, 0xA5];
    section.extend(number.to_le_bytes());
    section.extend((16 + content.len() as u32).to_le_bytes());
    section.extend([20, 20, 0, 0, 0, 0, 0, 0]);
    section.extend(content);
    section
}

fn write(take: &Take) -> Written {
    let [year, month, day, hour, minute, second] = civil(take.clock);
    let mut patient = vec![2, 8, 0];
    patient.extend(b"MARTINE\0");
    patient.extend([25, 4, 0]);
    patient.extend((year as u16).to_le_bytes());
    patient.extend([month as u8, day as u8, 26, 3, 0, hour as u8, minute as u8, second as u8, 255, 0, 0]);

    let mut rhythm = STEP_NV.to_le_bytes().to_vec();
    rhythm.extend(6_667u16.to_le_bytes());
    rhythm.extend([0, 0]);
    let samples = RATE_HZ * take.seconds.min(200);
    rhythm.extend((2 * samples as u16).to_le_bytes());
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ u64::from(take.number);
    let mut before = 0.0;
    for at in 0..samples {
        let phase = (f64::from(at) / f64::from(RATE_HZ) * f64::from(take.pulse) / 60.0).fract();
        let [nanovolts, ..] = leads_nv(phase);
        let is_off = take.electrode_off && (samples / 3..2 * samples / 3).contains(&at);
        let steps = if is_off { 0 } else { (nanovolts + noise(&mut state, 3_000)) / i64::from(STEP_NV) };
        // A beat is marked where its R wave is.
        let mark = if before < 0.37 && phase >= 0.37 { 0x8000 } else { 0 };
        before = phase;
        rhythm.extend((mark | (2_048 + steps).clamp(0, 4_095) as u16).to_le_bytes());
    }
    let pointers = [0; 40];
    let content =
        [section(0, &pointers), section(1, &patient), section(3, &[1, 0]), section(6, &rhythm), section(9, &[0; 64])];
    let content = content.concat();
    let mut file = vec![0xC3, 0x3C];
    file.extend((6 + content.len() as u32).to_le_bytes());
    file.extend(content);
    (format!("ECG_{}/{}.SCP", take.number / FILES_A_FOLDER, take.number), file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_files_say_their_own_size_and_mark_each_beat() {
        let take = Take { number: 300, clock: 1_773_045_680, seconds: 30, pulse: 60, electrode_off: false };
        let (name, file) = write(&take);
        assert_eq!(name, "ECG_1/300.SCP");
        assert_eq!(u32::from_le_bytes([file[2], file[3], file[4], file[5]]) as usize, file.len());
        assert!(file.windows(10).any(|w| w == [25, 4, 0, 0xEA, 0x07, 3, 9, 26, 3, 0]));
        let data = file.len() - 80 - 2 * 4_500;
        let marks = file[data..].chunks(2).take(4_500).filter(|word| word[1] & 0x80 != 0).count();
        assert_eq!(marks, 30);
    }
}
