//! The code with which a patient comes back: drawn, shown, typed, and what it opens.

use std::time::{Duration, Instant};

use consult::dossier::{ComeBack, ComeBackCode};
use consult::identity::BirthDate;
use consult::journey::{Help, Input, Journey, Step};
use consult::vitals::{Measurement, Moment};
use drivers::ports::system_clock;
use outbox::{PARKED_MAX, Refusal};
use ui::ComeBackTrouble;

use super::Cabin;
use crate::drafts::Drafts;
use crate::journal;
use crate::submission::secret;

/// What is typed of a code and a birth date stays on the screen so long after the last touch.
const TYPED_STAYS: Duration = Duration::from_secs(120);

/// What whoever comes back types.
#[derive(Clone)]
pub struct ComingBack {
    /// As typed.
    pub code: String,
    /// As typed: day, month, year.
    pub birth_date: String,
    /// Why it opened nothing.
    pub trouble: ComeBackTrouble,
    touched: Instant,
}

impl std::fmt::Debug for ComingBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ComingBack([patient])")
    }
}

impl ComingBack {
    /// Nothing typed yet.
    fn new() -> Self {
        Self { code: String::new(), birth_date: String::new(), trouble: ComeBackTrouble::None, touched: Instant::now() }
    }

    /// What is typed is another: what was wrong is no more.
    pub fn edited(&mut self) {
        self.trouble = ComeBackTrouble::None;
        self.touched = Instant::now();
    }

    /// The code, and year, month and day; `None` while digits are missing.
    pub fn complete(&self) -> Option<(ComeBackCode, (u16, u8, u8))> {
        Some((ComeBackCode::parse(&self.code).ok()?, self.date()?))
    }

    /// What is wrong with what is typed: what the outbox said of it, or that there is no such date.
    pub fn shown_trouble(&self) -> ComeBackTrouble {
        let is_typed = self.birth_date.bytes().filter(u8::is_ascii_digit).count() >= 8;
        match self.trouble {
            ComeBackTrouble::None if is_typed && self.date().is_none() => ComeBackTrouble::NoDate,
            trouble => trouble,
        }
    }

    fn date(&self) -> Option<(u16, u8, u8)> {
        let digits: String = self.birth_date.chars().filter(|c| !matches!(c, ' ' | '/' | '.' | '-')).collect();
        if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (day, rest) = digits.split_at(2);
        let (month, year) = rest.split_at(2);
        let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        BirthDate::new(year, Some(month), Some(day)).ok()?;
        Some((year, month, day))
    }
}

impl Cabin {
    /// No physician can be reached now: whoever waits may leave with a code instead.
    pub(crate) fn may_come_back(&self) -> bool {
        let has_room = self.outbox_status.as_ref().is_some_and(|status| (status.parked as usize) < PARKED_MAX);
        has_room && self.instead().come_back && self.settings.come_back_hours > 0 && self.journey.may_ask_come_back()
    }

    /// Draws a code and shows it.
    pub(crate) fn ask_come_back(&mut self) {
        if !self.may_come_back() {
            return;
        }
        let Some(code) = ComeBackCode::from_number(rand::random_range(0..ComeBackCode::COUNT)) else { return };
        let hours = i64::from(self.settings.come_back_hours);
        let until = Moment(system_clock().0 + hours * 3_600_000);
        self.input(Input::ComeBackAsked(ComeBack { code, until }));
    }

    /// Somebody left with a code and may be the one who is there.
    pub(crate) fn awaits_somebody(&self) -> bool {
        self.outbox_status.as_ref().is_some_and(|status| status.parked > 0)
    }

    /// To where the code is typed.
    pub(crate) fn type_code(&mut self) {
        if *self.journey.step() == Step::Welcome {
            self.drafts.coming_back = Some(ComingBack::new());
        }
    }

    /// Whoever began to type went away: nobody else reads it.
    pub(super) fn tend_typed_code(&mut self) {
        let is_left = *self.journey.step() != Step::Welcome;
        if self.drafts.coming_back.as_ref().is_some_and(|typed| is_left || typed.touched.elapsed() > TYPED_STAYS) {
            self.leave_typed_code();
        }
    }

    /// Back to the welcome screen; the toolkit forgets what was typed too.
    pub(crate) fn leave_typed_code(&mut self) {
        self.drafts.coming_back = None;
        self.app.invoke_forget_typed();
    }

    /// Opens what was parked under the code and the birth date that are typed.
    pub(crate) fn open_parked(&mut self) {
        let Some((code, birth_date)) = self.drafts.coming_back.as_ref().and_then(ComingBack::complete) else { return };
        let trouble = match self.outbox.reopen(&secret(&code, birth_date)) {
            Ok(()) => match journal::read_back(&self.outbox, &self.settings) {
                Ok(Some(journey)) => return self.receive_again(journey),
                Ok(None) => {
                    tracing::error!("what was parked cannot be brought back and is kept aside");
                    self.outbox.set_aside().ok();
                    ComeBackTrouble::Cabin
                }
                Err(error) => {
                    tracing::error!(%error, "what was parked is open and cannot be read: it is asked for again");
                    self.journal_known = false;
                    ComeBackTrouble::Cabin
                }
            },
            Err(outbox::Error::Refused(refused)) if refused.refusal == Refusal::NotParked => ComeBackTrouble::Unknown,
            Err(outbox::Error::Refused(refused)) if refused.refusal == Refusal::TooManyTries => {
                ComeBackTrouble::TooManyTries
            }
            Err(error) => {
                tracing::error!(%error, "nothing that is parked can be opened now");
                // It may be open, and the answer lost: it is then parked again.
                self.journal_known = false;
                ComeBackTrouble::Cabin
            }
        };
        if let Some(typed) = &mut self.drafts.coming_back {
            typed.edited();
            typed.trouble = trouble;
        }
    }

    /// The consultation goes on, under who is responsible now, with network and devices as they are now.
    fn receive_again(&mut self, parked: Journey) {
        tracing::info!("a patient came back");
        let Some(by) = self.journey.pharmacist().cloned() else { return };
        self.drafts = parked.dossier().map(Drafts::of).unwrap_or_default();
        self.help_hidden = false;
        let former = std::mem::replace(&mut self.journey, parked);
        if !self.input(Input::CameBack(by)) {
            tracing::error!("a patient who came back cannot be received: parked again, under the same code");
            (self.journey, self.drafts, self.journal_known) = (former, Drafts::default(), false);
            return;
        }
        self.app.invoke_forget_typed();
        if !matches!(former.help(), Help::NotAsked) {
            self.input(Input::HelpAsked);
        }
        self.input(if self.desk.up { Input::NetworkBack } else { Input::NetworkLost });
        for measurement in Measurement::ALL {
            let is_ready = former.is_ready(measurement);
            self.input(if is_ready { Input::DeviceBack(measurement) } else { Input::DeviceLost(measurement) });
        }
        self.input(Input::EquipmentChecked { missing: former.missing_equipment().to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_does_not_exist_is_said_once_it_is_typed_and_does_not_hide_what_the_outbox_said() {
        let typed = |birth_date: &str, trouble| {
            let mut typed = ComingBack::new();
            (typed.birth_date, typed.trouble) = (birth_date.into(), trouble);
            typed.shown_trouble()
        };
        assert_eq!(typed("3213", ComeBackTrouble::None), ComeBackTrouble::None, "not typed to its end");
        assert_eq!(typed("32/13/1984", ComeBackTrouble::None), ComeBackTrouble::NoDate);
        assert_eq!(typed("12031984", ComeBackTrouble::None), ComeBackTrouble::None);
        assert_eq!(typed("32131984", ComeBackTrouble::TooManyTries), ComeBackTrouble::TooManyTries);
    }
}
