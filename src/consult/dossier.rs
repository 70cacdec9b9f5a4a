//! Everything known of one consultation: what becomes the record. Only grows while the consultation lasts, dropped
//! whole when the patient is forgotten.
//!
//! An `Option` here is something that may truly be missing at the end: a patient may leave at any step.

mod handed_over;

use std::fmt;

pub use crate::contact::{CallBack, ComeBack, ComeBackCode, Contact, NotACode, NotAPhone, Pause, Phone, UsualDoctor};
pub use handed_over::{LeftByCall, ReceivedDocument, ReceivedSummary};

use crate::consent::{ConsentAnswers, Consents, Purpose};
use crate::guest::{Attendance, Guest};
use crate::identity::Identity;
use crate::physician::Physician;
use crate::private::PrivateText;
use crate::reason::Reason;
use crate::second_opinion::{AskedOpinion, HalfWritten};
use crate::site::{DeviceClass, Pharmacist};
use crate::triage::{WarningAnswer, WarningSign};
use crate::vitals::{Measurement, Moment, Reading, Recording, RecordingKind, Value};

/// Most warning answers kept; a patient who goes back and forth more is asked to ring for help.
pub const WARNING_ANSWERS_MAX: usize = 200;
/// Most measurements kept or skipped, each.
pub const MEASUREMENTS_MAX: usize = 100;
/// Most readings of one measurement.
pub const READINGS_MAX: usize = 16;
/// Most incidents kept; the later ones are counted in [`Dossier::incidents_uncounted`].
pub const INCIDENTS_MAX: usize = 200;
/// Most calls for help kept; later ones still reach the pharmacist.
pub const HELP_CALLS_MAX: usize = 100;
/// Most physicians' calls in one consultation.
pub const CALLS_MAX: usize = 20;
/// Most summaries: each save of the physician's page is one.
pub const SUMMARIES_MAX: usize = 50;
/// Longest line that a physician writes to the patient, characters.
pub const NOTICE_CHARS_MAX: usize = 500;
/// Most documents.
pub const DOCUMENTS_MAX: usize = 20;
/// Most times that a patient goes away with a code and comes back.
pub const PAUSES_MAX: usize = 5;
/// Most consent answers kept: the last one counts.
pub const CONSENTS_MAX: usize = 50;

/// Random 128 bits that name a consultation everywhere, made by the program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsultationId(pub [u8; 16]);

impl fmt::Display for ConsultationId {
    /// As a UUID.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConsultationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Language of screen and voice: a lower-case ISO 639 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language([u8; 2]);

impl Language {
    /// French.
    pub const FRENCH: Language = Language(*b"fr");
    /// English.
    pub const ENGLISH: Language = Language(*b"en");

    /// Two lower-case letters, else `None`.
    pub fn from_code(code: &str) -> Option<Self> {
        let bytes: [u8; 2] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_lowercase).then_some(Self(bytes))
    }

    /// The two letters.
    pub fn code(&self) -> &str {
        // Only ASCII letters pass `from_code`.
        std::str::from_utf8(&self.0).unwrap_or("fr")
    }
}

/// Size of the text on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextSize {
    /// Body of 28 px at 1920x1080.
    Normal,
    /// Capital letters of 27 px.
    Large,
    /// Twice the normal size.
    VeryLarge,
}

/// Colours of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Contrast {
    /// The usual light theme.
    Normal,
    /// Highest contrast.
    High,
    /// Dark, for the night.
    Dark,
}

/// How the screen speaks to this patient. Back to [`Presentation::default`] for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Presentation {
    /// Language.
    pub language: Language,
    /// Size of the text.
    pub text_size: TextSize,
    /// Colours.
    pub contrast: Contrast,
    /// Everything below the middle of the screen, for a wheelchair.
    pub lower: bool,
    /// Every screen is read aloud.
    pub voice: bool,
}

impl Default for Presentation {
    fn default() -> Self {
        Self {
            language: Language::FRENCH,
            text_size: TextSize::Normal,
            contrast: Contrast::Normal,
            lower: false,
            voice: false,
        }
    }
}

/// Why a measurement was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// The patient does not want it.
    NotWanted,
    /// The patient cannot place the device (injury, plaster, child).
    CannotPlace,
    /// It hurts.
    Hurts,
    /// It gave no result after tries.
    NoResult,
    /// The device is missing or out of order.
    DeviceOut,
    /// The physician no longer asks for it.
    Withdrawn,
    /// The device says that the value is below what it can measure ("LO"). Whoever hears it looks at the patient.
    BelowRange,
    /// The device says that the value is above what it can measure ("HI").
    AboveRange,
    /// The device says that the value is outside what it can measure; only its own screen tells on which side.
    OutOfRange,
}

impl SkipReason {
    /// Whether the device itself said that the patient is outside what it can measure.
    pub fn is_out_of_range(self) -> bool {
        matches!(self, SkipReason::BelowRange | SkipReason::AboveRange | SkipReason::OutOfRange)
    }
}

/// A measurement that the patient kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What was measured.
    pub measurement: Measurement,
    /// The readings, in the order in which the device gave them; never empty.
    pub readings: Vec<Reading>,
    /// When the patient kept them.
    pub at: Moment,
    /// Asked for by the physician during the call.
    pub asked_by_physician: bool,
}

/// A measurement that was not made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// What was to be measured.
    pub measurement: Measurement,
    /// Why not.
    pub reason: SkipReason,
    /// When it was given up.
    pub at: Moment,
    /// Asked for by the physician during the call.
    pub asked_by_physician: bool,
}

impl std::fmt::Debug for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Skipped([patient])")
    }
}

/// What happened to the technique (art. R. 6316-4 asks for it in the report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IncidentKind {
    /// No network at the cabin.
    NetworkLost,
    /// Picture and sound of the call stopped.
    CallInterrupted,
    /// The device for this measurement went away.
    DeviceLost(Measurement),
    /// The place is open without a device that it should have, in a declared degraded mode.
    WithoutDevice(DeviceClass),
    /// The cabin's program or the cabin itself stopped and came back.
    CabinRestarted,
    /// The physician says that the call was without picture for its essential part.
    WithoutPicture,
    /// The physician says that the teleconsultation did not take place in full.
    BrokenOff,
}

/// A technical incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What happened.
    pub kind: IncidentKind,
    /// When it began.
    pub started_at: Moment,
    /// When it ended; `None` while it lasts, and for good when it outlasts the consultation.
    pub ended_at: Option<Moment>,
}

/// One call with one physician.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The physician whom the patient accepted.
    pub physician: Physician,
    /// When the patient accepted.
    pub accepted_at: Moment,
    /// When picture and sound first were there; `None` when they never were.
    pub connected_at: Option<Moment>,
    /// When the call ended; `None` while it lasts.
    pub ended_at: Option<Moment>,
}

/// Why the pharmacist is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum HelpReason {
    /// The patient touched Help.
    Asked,
    /// The patient touched Emergency.
    Emergency,
    /// The patient said yes to this warning sign.
    WarningSign(WarningSign),
    /// The cable of this measurement's device must be checked.
    Cable(Measurement),
    /// A device says that the patient is outside what it can measure: it may be an emergency.
    OutOfRange(Measurement),
    /// The record could not be sealed in the outbox.
    Record,
}

impl fmt::Debug for HelpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HelpReason::Asked => f.write_str("Asked"),
            HelpReason::Emergency => f.write_str("Emergency"),
            // Which sign is the patient's.
            HelpReason::WarningSign(_) => f.write_str("WarningSign([patient])"),
            HelpReason::Cable(measurement) => write!(f, "Cable({measurement:?})"),
            // So is what a meter cannot measure.
            HelpReason::OutOfRange(_) => f.write_str("OutOfRange([patient])"),
            HelpReason::Record => f.write_str("Record"),
        }
    }
}

/// One call for the pharmacist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpCall {
    /// Why.
    pub reason: HelpReason,
    /// When.
    pub at: Moment,
    /// Who answered and when.
    pub answered: Option<(Pharmacist, Moment)>,
}

/// Short questions at the end; every answer is optional, and there is no free text (small numbers identify people).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Questionnaire {
    /// Satisfaction, 1 (not at all) to 5 (very).
    pub satisfaction: Option<Satisfaction>,
    /// Without the cabin, would have gone without care.
    pub would_have_gone_without_care: Option<bool>,
    /// Understood what to do next.
    pub understood: Option<bool>,
}

impl std::fmt::Debug for Questionnaire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Questionnaire([patient])")
    }
}

/// Satisfaction, 1 (not at all) to 5 (very).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Satisfaction(u8);

impl Satisfaction {
    /// `None` outside 1-5.
    pub fn from_stars(stars: u8) -> Option<Self> {
        (1..=5).contains(&stars).then_some(Self(stars))
    }

    /// 1-5.
    pub fn stars(self) -> u8 {
        self.0
    }
}

/// How a consultation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The patient saw a physician and reached the end.
    Completed,
    /// The patient left.
    Left,
    /// Handed over to the emergency services.
    Emergency,
    /// The patient went away without a word.
    WalkedAway,
    /// No physician could be seen: the patient asked to be called back.
    CallBackAsked,
    /// No physician could be seen: the patient left with a code to come back with. It is how the consultation ended when
    /// nobody came back in time.
    ToComeBack,
    /// No physician could be seen: a specialist was asked for an opinion.
    SecondOpinionAsked,
}

/// One consultation.
#[derive(Clone, PartialEq, Eq)]
pub struct Dossier {
    /// Its name.
    pub id: ConsultationId,
    /// First touch.
    pub started_at: Moment,
    /// Language and form in which the patient was spoken to.
    pub presentation: Presentation,
    /// Responsible persons while it lasted, in order; never empty.
    pub pharmacists: Vec<Pharmacist>,
    /// When the pharmacist entered things for the patient: from, to.
    pub assisted: Vec<(Moment, Option<Moment>)>,
    /// Reason.
    pub reason: Option<Reason>,
    /// Every answer to a warning sign, in order; the last one to a sign counts.
    pub warning_answers: Vec<WarningAnswer>,
    /// The last yes after which the pharmacist let the consultation go on: to what, who, when.
    pub sign_cleared: Option<(WarningSign, Pharmacist, Moment)>,
    /// Identity.
    pub identity: Option<Identity>,
    /// Usual doctor, home town, phone.
    pub contact: Option<Contact>,
    /// Every time that consent was answered, in order; the last one counts.
    pub consents: Vec<Consents>,
    /// Readings kept, in order.
    pub kept: Vec<Kept>,
    /// Measurements not made, in order.
    pub skipped: Vec<Skipped>,
    /// Calls with physicians, in order.
    pub calls: Vec<CallRecord>,
    /// Third persons in those calls, in order of their coming; one at a time.
    pub guests: Vec<Attendance>,
    /// Technical incidents, in order of their beginning.
    pub incidents: Vec<Incident>,
    /// Incidents that came after [`INCIDENTS_MAX`].
    pub incidents_uncounted: u32,
    /// What the physician wrote to the patient last, on the screen while the call lasts; empty: nothing. The record
    /// holds the summary, not the conversation.
    pub notice: PrivateText<NOTICE_CHARS_MAX>,
    /// Summaries, in order; the last one is the physician's last word.
    pub summaries: Vec<ReceivedSummary>,
    /// Documents, in order.
    pub documents: Vec<ReceivedDocument>,
    /// Answers at the end.
    pub questionnaire: Option<Questionnaire>,
    /// Calls for help, in order.
    pub help_calls: Vec<HelpCall>,
    /// The request to be called back, with which it ended.
    pub call_back: Option<CallBack>,
    /// The code with which the patient may come back, shown or taken along.
    pub come_back: Option<ComeBack>,
    /// When the patient was away between, in order.
    pub pauses: Vec<Pause>,
    /// The request for a second opinion, with which it ended.
    pub second_opinion: Option<AskedOpinion>,
    /// A request to a specialist as far as it is written; it is in no record.
    pub half_written: Option<HalfWritten>,
    /// How and when it ended; `None` while it lasts.
    pub ended: Option<(Outcome, Moment)>,
}

impl fmt::Debug for Dossier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dossier({}, [patient])", self.id)
    }
}

impl Dossier {
    pub(crate) fn new(
        id: ConsultationId,
        started_at: Moment,
        presentation: Presentation,
        pharmacist: Pharmacist,
    ) -> Self {
        Self {
            id,
            started_at,
            presentation,
            pharmacists: vec![pharmacist],
            assisted: Vec::new(),
            reason: None,
            warning_answers: Vec::new(),
            sign_cleared: None,
            identity: None,
            contact: None,
            consents: Vec::new(),
            kept: Vec::new(),
            skipped: Vec::new(),
            calls: Vec::new(),
            guests: Vec::new(),
            incidents: Vec::new(),
            incidents_uncounted: 0,
            notice: PrivateText::default(),
            summaries: Vec::new(),
            documents: Vec::new(),
            questionnaire: None,
            help_calls: Vec::new(),
            call_back: None,
            come_back: None,
            pauses: Vec::new(),
            second_opinion: None,
            half_written: None,
            ended: None,
        }
    }

    /// Whether the patient's last word allows this purpose.
    pub fn consents_to(&self, purpose: Purpose) -> bool {
        self.consents.last().is_some_and(|c| c.is_given(purpose))
    }

    /// The consent answers in force.
    pub fn consent_answers(&self) -> Option<&ConsentAnswers> {
        self.consents.last().map(|c| &c.answers)
    }

    /// The last answer to a sign. Who went away and came back may be worse: what was said before does not count.
    pub fn warning_answer(&self, sign: WarningSign) -> Option<bool> {
        let asked_before = self.pauses.last().map_or(0, |pause| pause.answers_before);
        let since = self.warning_answers.get(asked_before..).unwrap_or_default();
        since.iter().rev().find(|a| a.sign == sign).map(|a| a.present)
    }

    /// The signs to ask for the reason that have no answer yet, in order.
    pub fn warning_signs_to_ask(&self) -> Vec<WarningSign> {
        let asked = self.reason.as_ref().map_or(&[][..], |r| WarningSign::asked_for(r.kind));
        asked.iter().copied().filter(|s| self.warning_answer(*s).is_none()).collect()
    }

    /// The last readings kept of a measurement.
    pub fn last_kept(&self, measurement: Measurement) -> Option<&Kept> {
        self.kept.iter().rev().find(|k| k.measurement == measurement)
    }

    /// The physician of the last call.
    pub fn physician(&self) -> Option<&Physician> {
        self.calls.last().map(|c| &c.physician)
    }

    /// The third person who is in the call now.
    pub fn guest(&self) -> Option<&Guest> {
        self.guests.last().filter(|attendance| attendance.left_at.is_none()).map(|attendance| &attendance.guest)
    }

    /// Since when the patient asks for a physician: consent, or the last time that they came back.
    pub fn waits_since(&self) -> Option<Moment> {
        self.pauses.last().map(|pause| pause.to).or_else(|| self.consents.last().map(|consents| consents.at))
    }

    /// Milliseconds of it that the patient was there, up to `now`.
    pub fn present_ms(&self, now: Moment) -> u64 {
        let away: u64 = self.pauses.iter().map(|pause| pause.to.millis_since(pause.from)).sum();
        now.millis_since(self.started_at).saturating_sub(away)
    }

    /// Whether there is something that must be stored, and the right to store it: a consultation with an identified
    /// patient who consented to care at least once. What was done stays recorded even when consent is withdrawn.
    pub fn is_to_be_recorded(&self) -> bool {
        self.identity.is_some() && self.consents.iter().any(|c| c.is_given(Purpose::Care))
    }
}

/// Whether a device for this measurement can have given this value.
pub fn value_belongs_to(value: &Value, measurement: Measurement) -> bool {
    match measurement {
        Measurement::OxygenAndPulse => {
            matches!(value, Value::Spo2(_) | Value::PulseRate(_) | Value::PerfusionIndex(_))
        }
        Measurement::BloodPressure => matches!(value, Value::BloodPressure(_) | Value::PulseRate(_)),
        Measurement::WeightAndHeight => matches!(value, Value::Weight(_) | Value::Height(_)),
        Measurement::Temperature => matches!(value, Value::Temperature(_)),
        Measurement::Glucose => matches!(value, Value::Glucose(_)),
        // A recorder that counts the heart gives its figure beside the curve.
        Measurement::Ecg => {
            matches!(value, Value::Recording(Recording { kind: RecordingKind::Ecg, .. }) | Value::PulseRate(_))
        }
        Measurement::EarPicture | Measurement::SkinPicture => {
            matches!(value, Value::Recording(Recording { kind: RecordingKind::Picture, .. }))
        }
        Measurement::Auscultation => matches!(value, Value::Recording(Recording { kind: RecordingKind::Sound, .. })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consultation_is_named_as_a_uuid() {
        let id = ConsultationId([
            0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x42, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0,
        ]);
        assert_eq!(id.to_string(), "123e4567-e89b-42d3-a456-426614174000");
    }
}
