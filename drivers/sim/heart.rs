//! A heart as electrodes see it: each beat a P wave, Q, R, S and a T wave, as bells in time. Computed, of nobody.
//!
//! Shared by the simulated electrocardiographs.

/// A wave: where in the beat (0..1 from the start of the P wave's beat), how wide, and its height in each lead, µV.
struct Bell {
    at: f64,
    width: f64,
    /// I, II, V1 to V6.
    microvolts: [f64; 8],
}

/// P, Q, R, S, T. R grows from V1 to V4 and S shrinks, as on a healthy chest.
const BELLS: [Bell; 5] = [
    Bell { at: 0.18, width: 0.022, microvolts: [60.0, 110.0, 45.0, 55.0, 60.0, 65.0, 65.0, 60.0] },
    Bell { at: 0.345, width: 0.008, microvolts: [-45.0, -70.0, 0.0, 0.0, -20.0, -60.0, -80.0, -80.0] },
    Bell { at: 0.37, width: 0.010, microvolts: [620.0, 1_050.0, 190.0, 420.0, 760.0, 1_320.0, 1_260.0, 980.0] },
    Bell { at: 0.395, width: 0.010, microvolts: [-90.0, -160.0, -820.0, -1_150.0, -720.0, -380.0, -170.0, -90.0] },
    Bell { at: 0.62, width: 0.045, microvolts: [170.0, 290.0, -60.0, 320.0, 360.0, 330.0, 290.0, 230.0] },
];

/// A beat: `phase` 0..1. Leads I, II, V1 to V6, nanovolts.
pub(crate) fn leads_nv(phase: f64) -> [i64; 8] {
    std::array::from_fn(|lead| {
        let sum: f64 = BELLS
            .iter()
            .map(|bell| bell.microvolts[lead] * (-((phase - bell.at) / bell.width).powi(2) / 2.0).exp())
            .sum();
        (sum * 1_000.0).round() as i64
    })
}

/// What a converter's last bits do all the time, ±`width`: xorshift64, the same in every run.
pub(crate) fn noise(state: &mut u64, width: i64) -> i64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 33) as i64 % (2 * width + 1) - width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_highest_at_its_r_wave_and_begins_where_it_ends() {
        let beat: Vec<[i64; 8]> = (0..1_000).map(|at| leads_nv(f64::from(at) / 1_000.0)).collect();
        let highest = (0..1_000).max_by_key(|at| beat[*at][1]).unwrap();
        assert!((365..375).contains(&highest), "{highest}");
        assert!((900_000..1_100_000).contains(&beat[highest][1]));
        assert!(beat[0].iter().zip(beat[999]).all(|(first, last)| (first - last).abs() < 1_000));
        // V1 goes down at S, V5 up at R.
        assert!(beat.iter().map(|leads| leads[2]).min().unwrap() < -700_000);
        assert!(beat.iter().map(|leads| leads[6]).max().unwrap() > 1_000_000);
    }
}
