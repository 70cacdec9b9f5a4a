//! The leads that were not recorded but follow from two that were, by exact integers.
//!
//! Einthoven: III = II - I. Goldberger: aVR = -(I + II) / 2, aVL = (I - III) / 2, aVF = (II + III) / 2. A half is kept
//! by counting in half steps, so that nothing is rounded.

use consult::ecg::{Ecg, Lead, MISSING};

/// One lead of a file.
pub(crate) struct Channel {
    pub(crate) lead: Lead,
    /// Worth of one step, 10⁻¹⁵ V, times two: of an augmented lead it may be half a step of the recording.
    pub(crate) half_femtovolts_per_step: u64,
    /// `None` where it is missing.
    pub(crate) samples: Vec<Option<i64>>,
}

/// The leads as they were recorded.
pub(crate) fn recorded(ecg: &Ecg) -> Vec<Channel> {
    let one = |lead: Lead| Channel {
        lead,
        half_femtovolts_per_step: 2 * ecg.femtovolts_per_step(),
        samples: samples(ecg, lead).unwrap_or_default(),
    };
    ecg.leads().iter().map(|lead| one(*lead)).collect()
}

/// The limb leads that were not recorded, when all six chest leads and two of the limb leads were: with them there are
/// twelve. `None` when there are twelve already, or cannot be.
pub(crate) fn derived(ecg: &Ecg) -> Option<Vec<Channel>> {
    let has = |lead: &Lead| ecg.leads().contains(lead);
    let missing: Vec<Lead> = Lead::ALL.into_iter().filter(|lead| !has(lead)).collect();
    let is_limb = |lead: &Lead| (*lead as u8) <= Lead::AVF as u8;
    if missing.is_empty() || !missing.iter().all(is_limb) {
        return None;
    }
    let both = |a: Lead, b: Lead, combine: fn(i64, i64) -> i64| {
        let (a, b) = (samples(ecg, a)?, samples(ecg, b)?);
        Some(a.into_iter().zip(b).map(|(a, b)| Some(combine(a?, b?))).collect::<Vec<Option<i64>>>())
    };
    // Two of the three give the third; all else follows from I and II.
    let first = samples(ecg, Lead::I).or_else(|| both(Lead::II, Lead::III, |ii, iii| ii - iii))?;
    let second = samples(ecg, Lead::II).or_else(|| both(Lead::I, Lead::III, |i, iii| i + iii))?;
    let of = |combine: fn(i64, i64) -> i64| {
        first.iter().zip(&second).map(|(i, ii)| Some(combine((*i)?, (*ii)?))).collect::<Vec<_>>()
    };
    let step = ecg.femtovolts_per_step();
    let channel = |lead| {
        let (half_femtovolts_per_step, samples) = match lead {
            Lead::I => (2 * step, first.clone()),
            Lead::II => (2 * step, second.clone()),
            Lead::III => (2 * step, of(|i, ii| ii - i)),
            Lead::AVR => (step, of(|i, ii| -(i + ii))),
            Lead::AVL => (step, of(|i, ii| 2 * i - ii)),
            Lead::AVF => (step, of(|i, ii| 2 * ii - i)),
            Lead::V1 | Lead::V2 | Lead::V3 | Lead::V4 | Lead::V5 | Lead::V6 => return None,
        };
        Some(Channel { lead, half_femtovolts_per_step, samples })
    };
    missing.into_iter().map(channel).collect()
}

/// How a derived lead was made, for a person.
pub(crate) fn formula(lead: Lead) -> &'static str {
    match lead {
        Lead::I => "I = II - III",
        Lead::II => "II = I + III",
        Lead::III => "III = II - I",
        Lead::AVR => "aVR = -(I + II) / 2",
        Lead::AVL => "aVL = I - II / 2",
        Lead::AVF => "aVF = II - I / 2",
        Lead::V1 | Lead::V2 | Lead::V3 | Lead::V4 | Lead::V5 | Lead::V6 => "",
    }
}

fn samples(ecg: &Ecg, lead: Lead) -> Option<Vec<Option<i64>>> {
    let present = |sample| (sample != MISSING).then_some(i64::from(sample));
    Some(ecg.lead(lead)?.map(present).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEST: [Lead; 6] = [Lead::V1, Lead::V2, Lead::V3, Lead::V4, Lead::V5, Lead::V6];

    fn ecg(limbs: [Lead; 2], values: [i32; 2]) -> Ecg {
        let leads: Vec<Lead> = limbs.into_iter().chain(CHEST).collect();
        let row: Vec<i32> = values.into_iter().chain([7; 6]).collect();
        Ecg::new(leads, 500, 5_000_000_000, row).unwrap()
    }

    /// In half steps.
    fn values(ecg: &Ecg) -> Vec<(Lead, Option<i64>)> {
        let halves = |channel: Channel| {
            let worth = i64::try_from(channel.half_femtovolts_per_step / ecg.femtovolts_per_step()).unwrap();
            (channel.lead, channel.samples[0].map(|sample| sample * worth))
        };
        derived(ecg).unwrap().into_iter().map(halves).collect()
    }

    #[test]
    fn the_other_leads_follow_from_any_two_limb_leads_without_rounding() {
        // I = 31, II = 100, III = 69: aVR = -65.5, aVL = -19, aVF = 84.5.
        let augmented = [(Lead::AVR, Some(-131)), (Lead::AVL, Some(-38)), (Lead::AVF, Some(169))];
        for (limbs, steps, third) in [
            ([Lead::I, Lead::II], [31, 100], (Lead::III, Some(138))),
            ([Lead::II, Lead::III], [100, 69], (Lead::I, Some(62))),
            ([Lead::III, Lead::I], [69, 31], (Lead::II, Some(200))),
        ] {
            let mut expected = vec![third];
            expected.extend(augmented);
            assert_eq!(values(&ecg(limbs, steps)), expected);
        }
    }

    #[test]
    fn what_follows_from_a_missing_sample_is_missing() {
        assert!(values(&ecg([Lead::I, Lead::II], [MISSING, 5])).iter().all(|(_, value)| value.is_none()));
        assert!(values(&ecg([Lead::I, Lead::II], [i32::MAX, i32::MIN + 1])).iter().all(|(_, value)| value.is_some()));
    }

    #[test]
    fn no_chest_lead_is_ever_made_up() {
        let without_v6 = Ecg::new(vec![Lead::I, Lead::II, Lead::V1], 500, 1, vec![1, 2, 3]).unwrap();
        assert!(derived(&without_v6).is_none());
        let one = Ecg::new(vec![Lead::II], 150, 1, vec![1]).unwrap();
        assert!(derived(&one).is_none());
        let all = Ecg::new(Lead::ALL.to_vec(), 500, 1, vec![1; 12]).unwrap();
        assert!(derived(&all).is_none());
    }
}
