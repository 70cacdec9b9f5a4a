//! Why the patient wants to see a physician: one picture, a place on the body, one free line.

use crate::private::PrivateText;
use crate::vitals::Measurement;

/// Most characters of the free line: what fits on one line of the physician's page.
pub const REASON_LINE_CHARS_MAX: usize = 200;

/// The nine pictures of the reason screen, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonKind {
    /// Fever, tiredness.
    FeverFatigue,
    /// Cough, breathing.
    Breathing,
    /// Ear, nose, throat.
    EarNoseThroat,
    /// Skin, wound.
    SkinWound,
    /// Burning when passing water.
    Urinary,
    /// Renewing a treatment.
    Renewal,
    /// Back, joints.
    BackJoints,
    /// Mood, sleep.
    MoodSleep,
    /// Something else.
    Other,
}

impl ReasonKind {
    /// Every kind, in the order of the screen (three rows of three).
    pub const ALL: [ReasonKind; 9] = [
        ReasonKind::FeverFatigue,
        ReasonKind::Breathing,
        ReasonKind::EarNoseThroat,
        ReasonKind::SkinWound,
        ReasonKind::Urinary,
        ReasonKind::Renewal,
        ReasonKind::BackJoints,
        ReasonKind::MoodSleep,
        ReasonKind::Other,
    ];

    /// The measurements proposed for this reason, in the order in which they are made. A proposal, never a duty:
    /// each can be skipped, and the physician can ask for others.
    /// A prick of the finger, and electrodes on a bare chest, are for the physician to ask.
    pub fn proposed_measurements(self) -> &'static [Measurement] {
        use Measurement::{BloodPressure, OxygenAndPulse, Temperature, WeightAndHeight};
        match self {
            ReasonKind::FeverFatigue | ReasonKind::Breathing | ReasonKind::Urinary => {
                &[Temperature, OxygenAndPulse, BloodPressure]
            }
            ReasonKind::EarNoseThroat | ReasonKind::SkinWound => &[Temperature, OxygenAndPulse],
            ReasonKind::Renewal => &[OxygenAndPulse, BloodPressure, WeightAndHeight],
            ReasonKind::BackJoints => &[Temperature, BloodPressure, WeightAndHeight],
            ReasonKind::MoodSleep => &[OxygenAndPulse, BloodPressure],
            ReasonKind::Other => &[Temperature, OxygenAndPulse, BloodPressure, WeightAndHeight],
        }
    }
}

/// Where on the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BodyPart {
    /// Head.
    Head,
    /// Eyes.
    Eyes,
    /// Ears, nose or throat.
    EarNoseThroat,
    /// Chest.
    Chest,
    /// Back or neck.
    Back,
    /// Belly.
    Belly,
    /// Arm or hand.
    ArmHand,
    /// Leg or foot.
    LegFoot,
    /// The whole body.
    WholeBody,
}

impl BodyPart {
    /// Every part, from top to bottom.
    pub const ALL: [BodyPart; 9] = [
        BodyPart::Head,
        BodyPart::Eyes,
        BodyPart::EarNoseThroat,
        BodyPart::Chest,
        BodyPart::Back,
        BodyPart::Belly,
        BodyPart::ArmHand,
        BodyPart::LegFoot,
        BodyPart::WholeBody,
    ];
}

/// The reason of a consultation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The picture touched.
    pub kind: ReasonKind,
    /// The part of the body, when the patient chose one.
    pub body_part: Option<BodyPart>,
    /// One free line, possibly empty.
    pub line: PrivateText<REASON_LINE_CHARS_MAX>,
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reason([patient])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_proposes_measurements_each_only_once() {
        for kind in ReasonKind::ALL {
            let proposed = kind.proposed_measurements();
            assert!(!proposed.is_empty());
            let mut sorted = proposed.to_vec();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), proposed.len(), "{kind:?}");
        }
    }
}
