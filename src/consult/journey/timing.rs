//! What time does: inactivity, alarms, the receipt. Time itself is an argument.

use std::fmt;

use super::{
    Act, Answer, CallEnd, CallLine, Effect, Emergency, Guided, Help, Inactivity, Input, Journey, Refused, Step, Trouble,
};
use crate::dossier::{IncidentKind, Outcome, Presentation};
use crate::vitals::{Measurement, Moment};

/// Shortest warning before a patient is forgotten, milliseconds (R34: at least 20 s, by image and sound).
pub const WARNING_MS_MIN: u64 = 20_000;

/// Longest try of a measurement, milliseconds: more than the drivers of its devices allow, which end by themselves and
/// say why (a test of `drivers` compares). A recorder is fetched, its electrodes are placed, and it records for minutes;
/// what it records after this time would count as an earlier patient's.
pub const fn measuring_ms_max(measurement: Measurement) -> u64 {
    match measurement {
        Measurement::Ecg => 16 * 60_000,
        // Fingers washed and pricked, a meter taken out of its cable and put back.
        Measurement::Glucose => 8 * 60_000,
        // An arm that rests, three inflations with pauses between them, and a cable put back.
        Measurement::BloodPressure => 6 * 60_000,
        Measurement::OxygenAndPulse
        | Measurement::WeightAndHeight
        | Measurement::Temperature
        | Measurement::EarPicture
        | Measurement::SkinPicture
        | Measurement::Auscultation => 5 * 60_000,
    }
}

/// Durations, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Without a touch before "are you still there?", on a screen that waits for the patient.
    pub quiet_ms: u64,
    /// From that question to forgetting; never less than [`WARNING_MS_MIN`].
    pub warning_ms: u64,
    /// Without a touch before "still here?", while the patient waits for somebody or something.
    pub long_quiet_ms: u64,
    /// From that question to forgetting; never less than [`WARNING_MS_MIN`].
    pub long_warning_ms: u64,
    /// Until an unanswered call for help raises the alarm, again and again (R8: 60 s).
    pub help_alarm_ms: u64,
    /// How long the forgotten screen stays.
    pub receipt_ms: u64,
    /// Without network, picture or sound before a call counts as lost, and its patient may choose again: more than a
    /// desk waits for a cabin that is away (60 s), so that the same call comes back wherever it can.
    pub call_lost_ms: u64,
    /// Until a record that could not be sealed is tried again.
    pub store_retry_ms: u64,
    /// Until a welcome screen that somebody changed goes back to French and normal size.
    pub welcome_reset_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quiet_ms: 90_000,
            warning_ms: 30_000,
            long_quiet_ms: 10 * 60_000,
            long_warning_ms: 60_000,
            help_alarm_ms: 60_000,
            call_lost_ms: 120_000,
            receipt_ms: 20_000,
            store_retry_ms: 10_000,
            welcome_reset_ms: 60_000,
        }
    }
}

/// A setting that would forget a patient without a proper warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarningTooShort {
    /// What was asked for, milliseconds.
    pub asked_ms: u64,
}

impl fmt::Display for WarningTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warning of {} ms: {WARNING_MS_MIN} ms is the least", self.asked_ms)
    }
}

impl std::error::Error for WarningTooShort {}

impl Policy {
    /// Refuses settings that leave less than [`WARNING_MS_MIN`] to answer a warning.
    pub fn checked(self) -> Result<Self, WarningTooShort> {
        match self.warning_ms.min(self.long_warning_ms) {
            asked_ms if asked_ms < WARNING_MS_MIN => Err(WarningTooShort { asked_ms }),
            _ => Ok(self),
        }
    }
}

/// How long a patient may be quiet, and how long the warning lasts.
struct Patience {
    quiet_ms: u64,
    warning_ms: u64,
}

fn after(at: Moment, ms: u64) -> Moment {
    Moment(at.0.saturating_add_unsigned(ms))
}

impl Journey {
    /// When to ask [`Journey::timeout_input`] next; `None` when time does nothing. Ask again after each input.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.timeouts().into_iter().map(|(at, _)| at).min()
    }

    /// What time does now: apply it like any other input (and journal it when it says so), then ask again.
    pub fn timeout_input(&self, now: Moment) -> Option<Input> {
        self.timeouts().into_iter().filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at).map(|(_, input)| input)
    }

    /// Inactivity as the screen shows it.
    pub fn inactivity(&self) -> Inactivity {
        match (self.warned_at, self.patience()) {
            (Some(warned_at), Some(patience)) => {
                Inactivity::Warned { forgets_at: after(warned_at, patience.warning_ms) }
            }
            _ => Inactivity::Active,
        }
    }

    fn timeouts(&self) -> Vec<(Moment, Input)> {
        let policy = &self.policy;
        let mut out = Vec::new();
        if let Some(patience) = self.patience() {
            out.push(match self.warned_at {
                None => (after(self.last_active_at, patience.quiet_ms), Input::InactivityWarned),
                Some(warned_at) => (after(warned_at, patience.warning_ms), Input::WalkedAway),
            });
        }
        if let Some(guided) = self.guided()
            && let Act::Measuring { since } = guided.act
        {
            let failed = Input::MeasuringFailed { measurement: guided.measurement, trouble: Trouble::TookTooLong };
            out.push((after(since, measuring_ms_max(guided.measurement)), failed));
        }
        if let Help::Called { at, alarmed_at, .. } = &self.help {
            out.push((after(alarmed_at.unwrap_or(*at), policy.help_alarm_ms), Input::HelpUnanswered));
        }
        if let Some(lost_at) = self.call_lost_at() {
            out.push((lost_at, Input::CallEnded(CallEnd::Failed)));
        }
        match &self.step {
            Step::Forgotten { at, .. } => out.push((after(*at, policy.receipt_ms), Input::ReceiptShown)),
            Step::Storing { failed_at: Some(at) } => {
                out.push((after(*at, policy.store_retry_ms), Input::StoringRetried))
            }
            Step::Welcome if self.presentation != Presentation::default() => {
                out.push((after(self.last_active_at, policy.welcome_reset_ms), Input::PresentationReset));
            }
            _ => {}
        }
        out
    }

    /// When the call that neither network nor picture and sound carry any more counts as lost; a desk that is reached
    /// decides itself.
    fn call_lost_at(&self) -> Option<Moment> {
        let Step::Call { line, .. } = &self.step else { return None };
        let dossier = self.open_dossier().filter(|_| !self.online)?;
        let since = match line {
            CallLine::Connected => return None,
            CallLine::Interrupted { since } => *since,
            CallLine::Connecting => dossier.calls.last()?.accepted_at,
        };
        let away = dossier.incidents.iter().rev().find(|i| i.kind == IncidentKind::NetworkLost)?.started_at;
        Some(after(since.max(away), self.policy.call_lost_ms))
    }

    /// `None` where nobody is forgotten by time: no patient, a physician who sees the patient, a record being sealed.
    fn patience(&self) -> Option<Patience> {
        self.open_dossier()?;
        let waits = self.emergency.is_some()
            || self.help != Help::NotAsked
            || self.guided().is_some_and(|g| matches!(g.act, Act::Measuring { .. } | Act::CheckCable { .. }));
        let long = match &self.step {
            Step::Call { line: CallLine::Connected, .. } => return None,
            Step::Call { .. } | Step::WaitingRoom { .. } | Step::MeetPhysician { .. } => true,
            _ => waits,
        };
        let (quiet_ms, warning_ms) = if long {
            (self.policy.long_quiet_ms, self.policy.long_warning_ms)
        } else {
            (self.policy.quiet_ms, self.policy.warning_ms)
        };
        // Nobody is asked "still here?" in mid-measurement: its own end comes first.
        let quiet_ms = match self.guided() {
            Some(Guided { measurement, act: Act::Measuring { .. } }) => {
                quiet_ms.max(measuring_ms_max(*measurement) + self.policy.quiet_ms)
            }
            _ => quiet_ms,
        };
        Some(Patience { quiet_ms, warning_ms: warning_ms.max(WARNING_MS_MIN) })
    }

    /// Whether a cabin that sees nobody may ask at once whether the patient is there. Not while help or the rescue is
    /// awaited: a radar may not see who lies on the floor. Not in a call, where a physician looks.
    pub fn asks_an_empty_cabin(&self) -> bool {
        self.warned_at.is_none()
            && self.patience().is_some()
            && self.emergency.is_none()
            && self.help == Help::NotAsked
            && !matches!(self.step, Step::Call { .. })
    }

    /// A warning harms nobody and is accepted at any time: a replay knows fewer touches than the cabin did.
    pub(super) fn warn_inactive(&mut self, now: Moment) -> Answer {
        self.patience().ok_or(Refused::NotHere)?;
        self.warned_at = Some(now);
        Ok(vec![Effect::WarnInactive])
    }

    pub(super) fn walk_away(&mut self, now: Moment) -> Answer {
        let patience = self.patience().ok_or(Refused::NotHere)?;
        if self.warned_at.is_none_or(|warned_at| after(warned_at, patience.warning_ms) > now) {
            return Err(Refused::TooEarly);
        }
        let outcome = match self.emergency {
            Some(Emergency::Sign(_)) => Outcome::Emergency,
            // Who walks off with the code on the screen may have noted it.
            Some(Emergency::Asked) | None if self.step == Step::ComeBack => Outcome::ToComeBack,
            Some(Emergency::Asked) | None => Outcome::WalkedAway,
        };
        Ok(self.end(outcome, now))
    }

    pub(super) fn reset_presentation(&mut self, now: Moment) -> Answer {
        if self.step != Step::Welcome {
            return Err(Refused::NotHere);
        }
        if after(self.last_active_at, self.policy.welcome_reset_ms) > now {
            return Err(Refused::TooEarly);
        }
        self.presentation = Presentation::default();
        Ok(Vec::new())
    }

    pub(super) fn receipt_shown(&mut self, now: Moment) -> Answer {
        match self.step {
            Step::Forgotten { at, .. } if after(at, self.policy.receipt_ms) <= now => Ok(self.start_cleaning()),
            Step::Forgotten { .. } => Err(Refused::TooEarly),
            _ => Err(Refused::NotHere),
        }
    }
}
