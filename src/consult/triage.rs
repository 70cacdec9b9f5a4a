//! Warning signs: plain questions, a yes stops the journey and shows whom to ring. No diagnosis, no disease name.
//!
//! The list is `interop.md` 6.2 (general emergency knowledge; four of them named by emergency physicians). The
//! words of each question are the screen's.

use crate::reason::ReasonKind;
use crate::vitals::Moment;

/// A sign that does not wait for a teleconsultation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WarningSign {
    /// Pain or tightness in the chest.
    ChestPain,
    /// Great difficulty in breathing or speaking.
    BreathingDifficulty,
    /// Fainted, or confused.
    FaintingOrConfusion,
    /// Belly pain, strong and lasting.
    SevereBellyPain,
    /// Face dropping on one side, weak arm or leg, trouble in speaking: all of a sudden.
    FaceArmOrSpeech,
    /// Sight lost all of a sudden.
    SuddenLossOfSight,
    /// The worst headache of one's life, all of a sudden.
    SuddenWorstHeadache,
    /// A fit, shaking that cannot be stopped.
    Seizure,
    /// Heavy bleeding.
    HeavyBleeding,
    /// Face or tongue swelling after a food, a sting or a medicine.
    SwellingFace,
    /// A bad burn, a bad blow or fall.
    SevereBurnOrInjury,
    /// Fever with red or purple spots that do not fade, or a stiff neck.
    FeverWithSpotsOrStiffNeck,
    /// A baby under three months with fever.
    BabyWithFever,
    /// Pregnant, with bleeding, contractions or a strong headache.
    PregnancyTrouble,
    /// Thinking of ending one's life.
    SuicidalThoughts,
    /// Swallowed or breathed something dangerous.
    Poisoning,
    /// Sudden strong pain in a testicle.
    SuddenTesticularPain,
    /// A red, painful eye that sees badly.
    RedEyeWithLossOfSight,
    /// A cold, pale, painful arm or leg.
    ColdPainfulLimb,
    /// A baby or an elderly person who no longer drinks, very sleepy.
    Dehydration,
}

impl WarningSign {
    /// Every sign.
    pub const ALL: [WarningSign; 20] = [
        WarningSign::ChestPain,
        WarningSign::BreathingDifficulty,
        WarningSign::FaintingOrConfusion,
        WarningSign::SevereBellyPain,
        WarningSign::FaceArmOrSpeech,
        WarningSign::SuddenLossOfSight,
        WarningSign::SuddenWorstHeadache,
        WarningSign::Seizure,
        WarningSign::HeavyBleeding,
        WarningSign::SwellingFace,
        WarningSign::SevereBurnOrInjury,
        WarningSign::FeverWithSpotsOrStiffNeck,
        WarningSign::BabyWithFever,
        WarningSign::PregnancyTrouble,
        WarningSign::SuicidalThoughts,
        WarningSign::Poisoning,
        WarningSign::SuddenTesticularPain,
        WarningSign::RedEyeWithLossOfSight,
        WarningSign::ColdPainfulLimb,
        WarningSign::Dehydration,
    ];

    /// The signs asked for a reason: the four of emergency physicians and the sudden face, arm or speech trouble
    /// always, then those that go with the reason. At most nine, so that they hold on one screen.
    pub fn asked_for(reason: ReasonKind) -> &'static [WarningSign] {
        use WarningSign::*;
        match reason {
            ReasonKind::FeverFatigue => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                FeverWithSpotsOrStiffNeck,
                Seizure,
                BabyWithFever,
                Dehydration,
            ],
            ReasonKind::Breathing => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                SwellingFace,
                BabyWithFever,
                Poisoning,
            ],
            ReasonKind::EarNoseThroat => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                SwellingFace,
                FeverWithSpotsOrStiffNeck,
                HeavyBleeding,
                BabyWithFever,
            ],
            ReasonKind::SkinWound => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                HeavyBleeding,
                SevereBurnOrInjury,
                SwellingFace,
                FeverWithSpotsOrStiffNeck,
            ],
            ReasonKind::Urinary => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                SuddenTesticularPain,
                PregnancyTrouble,
                HeavyBleeding,
                Dehydration,
            ],
            ReasonKind::Renewal => {
                &[ChestPain, BreathingDifficulty, FaintingOrConfusion, FaceArmOrSpeech, SevereBellyPain]
            }
            ReasonKind::BackJoints => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                ColdPainfulLimb,
                SevereBurnOrInjury,
                FeverWithSpotsOrStiffNeck,
            ],
            ReasonKind::MoodSleep => &[
                SuicidalThoughts,
                Poisoning,
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
            ],
            ReasonKind::Other => &[
                ChestPain,
                BreathingDifficulty,
                FaintingOrConfusion,
                FaceArmOrSpeech,
                SevereBellyPain,
                SuddenWorstHeadache,
                SuddenLossOfSight,
                RedEyeWithLossOfSight,
                PregnancyTrouble,
            ],
        }
    }

    /// Whom to ring when this sign is present: the first is the largest on the screen.
    pub fn numbers(self) -> &'static [EmergencyNumber] {
        match self {
            WarningSign::SuicidalThoughts => &[
                EmergencyNumber::SuicidePrevention3114,
                EmergencyNumber::Samu15,
                EmergencyNumber::Europe112,
                EmergencyNumber::Deaf114,
            ],
            _ => EmergencyNumber::EMERGENCY,
        }
    }
}

/// A number to ring, free, in France.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EmergencyNumber {
    /// 15: medical emergencies.
    Samu15,
    /// 112: every emergency, anywhere in Europe.
    Europe112,
    /// 114: by text message, picture or app, for those who hear or speak badly.
    Deaf114,
    /// 3114: prevention of suicide, day and night.
    SuicidePrevention3114,
}

impl EmergencyNumber {
    /// The numbers of the Emergency button.
    pub const EMERGENCY: &'static [EmergencyNumber] =
        &[EmergencyNumber::Samu15, EmergencyNumber::Europe112, EmergencyNumber::Deaf114];

    /// What to dial.
    pub fn digits(self) -> &'static str {
        match self {
            EmergencyNumber::Samu15 => "15",
            EmergencyNumber::Europe112 => "112",
            EmergencyNumber::Deaf114 => "114",
            EmergencyNumber::SuicidePrevention3114 => "3114",
        }
    }
}

/// One answer to one sign. A sign answered twice has two: the last one counts, both are recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WarningAnswer {
    /// The sign asked.
    pub sign: WarningSign,
    /// Yes.
    pub present: bool,
    /// When it was answered.
    pub at: Moment,
}

impl std::fmt::Debug for WarningAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Which sign was answered how is the patient's.
        f.write_str("WarningAnswer([patient])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_asks_the_signs_of_emergency_physicians_and_holds_on_one_screen() {
        use WarningSign::*;
        for kind in ReasonKind::ALL {
            let asked = WarningSign::asked_for(kind);
            for always in [ChestPain, BreathingDifficulty, FaintingOrConfusion, SevereBellyPain, FaceArmOrSpeech] {
                assert!(asked.contains(&always), "{kind:?} does not ask {always:?}");
            }
            assert!(asked.len() <= 9);
        }
    }

    #[test]
    fn every_sign_is_asked_for_some_reason() {
        for sign in WarningSign::ALL {
            assert!(ReasonKind::ALL.iter().any(|k| WarningSign::asked_for(*k).contains(&sign)), "{sign:?}");
        }
    }

    #[test]
    fn every_sign_shows_15_112_and_114_and_suicidal_thoughts_show_3114_first() {
        for sign in WarningSign::ALL {
            let digits: Vec<_> = sign.numbers().iter().map(|n| n.digits()).collect();
            assert!(["15", "112", "114"].iter().all(|n| digits.contains(n)), "{sign:?}");
        }
        assert_eq!(WarningSign::SuicidalThoughts.numbers()[0].digits(), "3114");
    }
}
