//! Consent, one purpose at a time: each with the version of the text that was on the screen.
//!
//! Only the first one decides anything: without consent to care there is no call and nothing is stored. The two
//! others change nothing in the care (GDPR art. 7, ANS ETH.11).

use crate::vitals::Moment;

/// What the patient is asked to agree to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// The teleconsultation itself, with the record that the law asks for.
    Care,
    /// Sending the record to the usual doctor.
    UsualDoctor,
    /// Anonymous figures for the town and the health authority.
    Statistics,
}

impl Purpose {
    /// Every purpose, in the order in which they are asked.
    pub const ALL: [Purpose; 3] = [Purpose::Care, Purpose::UsualDoctor, Purpose::Statistics];
}

/// The patient's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// "Oui".
    Given,
    /// "Non".
    Refused,
}

/// One answer, with the version of the text which the patient read or heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsentAnswer {
    /// The choice.
    pub decision: Decision,
    /// Version of the text of this purpose, as a date `YYYYMMDD`.
    pub text_version: u32,
}

/// The three answers as the screen hands them over.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsentAnswers {
    /// Answer for [`Purpose::Care`].
    pub care: ConsentAnswer,
    /// Answer for [`Purpose::UsualDoctor`].
    pub usual_doctor: ConsentAnswer,
    /// Answer for [`Purpose::Statistics`].
    pub statistics: ConsentAnswer,
}

impl std::fmt::Debug for ConsentAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsentAnswers([patient])")
    }
}

impl ConsentAnswers {
    /// The answer for one purpose.
    pub fn answer(&self, purpose: Purpose) -> ConsentAnswer {
        match purpose {
            Purpose::Care => self.care,
            Purpose::UsualDoctor => self.usual_doctor,
            Purpose::Statistics => self.statistics,
        }
    }
}

/// The answers in force, and when they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Consents {
    /// What was answered.
    pub answers: ConsentAnswers,
    /// When the patient confirmed them.
    pub at: Moment,
}

impl Consents {
    /// Whether the patient agreed to this purpose.
    pub fn is_given(&self, purpose: Purpose) -> bool {
        self.answers.answer(purpose).decision == Decision::Given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_keeps_its_own_answer_and_text_version() {
        let answer = |decision, text_version| ConsentAnswer { decision, text_version };
        let answers = ConsentAnswers {
            care: answer(Decision::Given, 20261101),
            usual_doctor: answer(Decision::Refused, 20261102),
            statistics: answer(Decision::Given, 20261103),
        };
        let consents = Consents { answers, at: Moment(5) };
        assert_eq!(Purpose::ALL.map(|p| consents.is_given(p)), [true, false, true]);
        assert_eq!(Purpose::ALL.map(|p| answers.answer(p).text_version), [20261101, 20261102, 20261103]);
    }
}
