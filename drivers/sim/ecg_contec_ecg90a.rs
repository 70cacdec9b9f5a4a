//! Contec ECG90A: a file a recording, `nnnnnnn.ECG`.

use crate::heart::{leads_nv, noise};
use crate::stick::{Recorder, Take, Written, civil};

const RATE_HZ: u32 = 800;
const ELECTRODE_OFF: u16 = 0x6800;

pub(crate) fn device() -> Recorder {
    Recorder::new(write, Vec::new())
}

fn write(take: &Take) -> Written {
    let mut file = format!("{:07}\0", take.number).into_bytes();
    file.extend([0x01, 0x00]);
    let [year, month, day, hour, minute, second] = civil(take.clock);
    file.extend(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}\0").bytes());
    file.extend([0x02, 0x00]);
    // Whose it is must reach nobody.
    file.extend(b"MARTINE\0");
    file.extend([0, 47, 71]);
    let rows = RATE_HZ * take.seconds;
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ u64::from(take.number);
    for row in 0..rows {
        let beats = f64::from(row) / f64::from(RATE_HZ) * f64::from(take.pulse) / 60.0;
        let [first, second, chest @ ..] = leads_nv(beats.fract());
        let leads = [second, second - first].into_iter().chain(chest);
        for (lead, nanovolts) in leads.enumerate() {
            let is_off = take.electrode_off && lead == 3 && (rows / 3..2 * rows / 3).contains(&row);
            let steps = (nanovolts + noise(&mut state, 4_000)) / 5_000;
            let value = if is_off { ELECTRODE_OFF } else { (2_048 + steps).clamp(0, 4_095) as u16 };
            file.extend(value.to_le_bytes());
        }
    }
    file.extend([0; 16]);
    file.extend((0..21).map(|n| n + 1));
    (format!("{:07}.ECG", take.number), file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_files_have_the_size_that_the_description_gives() {
        let take = Take { number: 123, clock: 1_773_045_680, seconds: 2, pulse: 60, electrode_off: true };
        let (name, file) = write(&take);
        assert_eq!((name.as_str(), file.len()), ("0000123.ECG", 80 + 16 * 1_600));
        assert_eq!(&file[10..30], b"2026-03-09 08:41:20\0");
        assert_eq!(file[43 + 16 * 800 + 6..][..2], [0x00, 0x68]);
        // II, one millivolt and a little at the R wave of the first beat: 210 steps of 5 µV.
        let peak = (0..800).map(|row| u16::from_le_bytes([file[43 + 16 * row], file[44 + 16 * row]])).max().unwrap();
        assert!((2_240..2_265).contains(&peak), "{peak}");
    }
}
