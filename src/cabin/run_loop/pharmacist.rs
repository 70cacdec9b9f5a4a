//! The pharmacist at the screen: name, PIN, the wait after wrong ones, and the lock.

use std::time::{Duration, Instant, SystemTime};

use consult::journey::{Help, Input, Step};
use consult::site::{Pharmacist, SignIn};
use drivers::ports::system_clock;
use zeroize::Zeroizing;

use super::{Cabin, Event, Front, Over, post};
use crate::checks;
use crate::devices::Health;
use crate::equipment::{self, Check};
use crate::pharmacists::{self, PIN_DIGITS_MAX};
use crate::settings::Settings;

/// A device that was asked in vain is asked again that often, ticks: every 30 s.
const ASK_AGAIN_TICKS: u64 = 120;

/// The sign-in screen's state, and how long the pharmacist's screens have been left alone.
pub struct SignInDraft {
    /// Who is signing in.
    pub chosen: Option<usize>,
    /// Digits typed.
    pub digits: Zeroizing<String>,
    /// A PIN is being checked.
    pub checking: bool,
    /// The last one was wrong.
    pub wrong: bool,
    /// Of each pharmacist, in the order of the configuration.
    tries: Vec<SignIn>,
    lock: QuietLock,
}

/// The pharmacist's screens are left to the next person in the cabin when nobody touches them.
#[derive(Clone, Copy, Debug)]
struct QuietLock {
    after: Duration,
    touched_at: Instant,
}

impl QuietLock {
    fn touched(&mut self, now: Instant) {
        self.touched_at = now;
    }

    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.touched_at) >= self.after
    }
}

impl SignInDraft {
    /// Wrong tries go on where the last run of the program left them.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            chosen: None,
            digits: Zeroizing::default(),
            checking: false,
            wrong: false,
            tries: pharmacists::read_tries(&settings.data_dir, &settings.pharmacists, system_clock()),
            lock: QuietLock { after: settings.pharmacist_after, touched_at: Instant::now() },
        }
    }

    /// Milliseconds until the chosen pharmacist may try again.
    pub fn wait_ms(&self) -> u64 {
        let now = system_clock();
        self.chosen
            .and_then(|index| self.tries.get(index))
            .and_then(|tries| tries.may_try(now).err())
            .map_or(0, |wait| wait.until.millis_since(now))
    }

    /// A PIN that is being checked goes on being checked: its try is counted.
    fn reset(&mut self) {
        self.chosen = None;
        self.digits = Zeroizing::default();
        self.wrong = false;
    }
}

impl Cabin {
    /// Opens the sign-in screen.
    pub fn open_sign_in(&mut self) {
        self.sign_in.reset();
        if self.settings.pharmacists.len() == 1 {
            self.sign_in.chosen = Some(0);
        }
        self.front = Front::SignIn;
    }

    /// Chooses a name.
    pub fn choose_pharmacist(&mut self, index: usize) {
        if index < self.sign_in.tries.len() && !self.sign_in.checking {
            self.sign_in.reset();
            self.sign_in.chosen = Some(index);
        }
    }

    /// Types a digit.
    pub fn type_digit(&mut self, digit: u8) {
        if digit <= 9 && !self.sign_in.checking && self.sign_in.digits.len() < PIN_DIGITS_MAX {
            self.sign_in.wrong = false;
            self.sign_in.digits.push(char::from(b'0' + digit));
        }
    }

    /// Takes the last digit away.
    pub fn erase_digit(&mut self) {
        if !self.sign_in.checking {
            self.sign_in.digits.pop();
        }
    }

    /// Checks the PIN, in the background.
    pub fn confirm_pin(&mut self) {
        let Some(index) = self.sign_in.chosen else { return };
        let Some(entry) = self.settings.pharmacists.get(index) else { return };
        if self.sign_in.checking || self.sign_in.digits.is_empty() || self.sign_in.wait_ms() > 0 {
            return;
        }
        self.sign_in.checking = true;
        let pin = std::mem::take(&mut self.sign_in.digits);
        let (before, hash) = (self.sign_in.tries.clone(), entry.pin_hash.clone());
        // Counted as wrong, on the disk too, before it is looked at: pulling the plug meanwhile buys no try.
        self.sign_in.tries[index].wrong(system_clock());
        let counted = self.sign_in.tries.clone();
        let (data_dir, entries) = (self.settings.data_dir.clone(), self.settings.pharmacists.clone());
        self.runtime.spawn_blocking(move || {
            let keep = |tries: &[SignIn]| {
                if let Err(error) = pharmacists::keep_tries(&data_dir, &entries, tries) {
                    tracing::error!(%error, "wrong PINs are counted until the cabin is restarted only");
                }
            };
            keep(&counted);
            let right = pharmacists::verify(&pin, &hash);
            if right {
                let mut cleared = before;
                cleared[index].right();
                keep(&cleared);
            }
            post(Event::PinChecked { index, right });
        });
    }

    pub(super) fn pin_checked(&mut self, index: usize, right: bool) {
        self.sign_in.checking = false;
        let Some(tries) = self.sign_in.tries.get_mut(index) else { return };
        if !right {
            self.sign_in.wrong = true;
            tracing::warn!("a wrong PIN");
            return;
        }
        tries.right();
        // An old person who mistyped a code five times needs no quarter of an hour once the pharmacist is there.
        if let Err(error) = self.outbox.forgive_tries() {
            tracing::warn!(%error, "wrong codes of patients who come back still count");
        }
        let Some(entry) = self.settings.pharmacists.get(index) else { return };
        let closed = matches!(self.journey.step(), Step::Closed);
        let pharmacist = Pharmacist { id: entry.id.clone(), name: entry.name.clone() };
        // Another name was chosen meanwhile: this answer opens nothing for whoever stands there now.
        let asked = self.front == Front::SignIn && self.sign_in.chosen == Some(index);
        if asked && closed && !self.settings.compulsory.is_empty() {
            // The list is in front while each device is asked; where one is missing, the pharmacist decides with it.
            self.sign_in.reset();
            self.opening = Some(pharmacist);
            self.front = Front::MorningCheck;
            self.ask_equipment(true);
            return;
        }
        if asked && self.input(Input::SignedIn(pharmacist)) {
            // Opening shows the patient's welcome; later the pharmacist comes to do something.
            self.front = if closed { Front::Patient } else { Front::Space };
            // A place that must have nothing opens at once; what is fitted there is checked all the same.
            if closed {
                self.ask_equipment(false);
            }
        }
        self.sign_in.reset();
        self.tell_site();
    }

    /// Looks at what the place must have. True when nothing is missing.
    pub(super) fn check_equipment(&mut self) -> bool {
        let missing = equipment::missing(&self.settings.compulsory, &self.devices, &self.instruments);
        if self.journey.missing_equipment() != missing {
            if missing.is_empty() {
                tracing::info!("all that this place must have answers");
            } else {
                tracing::warn!(?missing, "what this place must have does not all answer");
            }
            self.input(Input::EquipmentChecked { missing });
        }
        self.journey.missing_equipment().is_empty()
    }

    /// Asks every device whether it is there and opens every instrument for a moment. `opens`: the cabin opens by itself
    /// when everything answers.
    pub fn ask_equipment(&mut self, opens: bool) {
        self.check = Some(Check::begin(opens, Instant::now()));
        self.devices.probe_all();
        self.instruments.try_all(&self.runtime, |event| post(Event::Instrument(event)));
    }

    /// A device or an instrument has answered, or its time is over.
    pub(super) fn equipment_asked(&mut self) {
        let Some(check) = self.check else { return self.equipment_changed() };
        if !check.is_over(&self.devices, &self.instruments, Instant::now()) {
            return;
        }
        self.check = None;
        self.keep_report();
        let is_complete = self.check_equipment();
        if check.opens && is_complete && self.front == Front::MorningCheck {
            self.open_after_check();
        }
    }

    /// A dated report of the check that is over, beside the screen.
    fn keep_report(&self) {
        let lines = equipment::report(&self.settings.compulsory, &self.devices, &self.instruments);
        let data_dir = self.settings.data_dir.clone();
        self.runtime.spawn_blocking(move || match checks::keep(&data_dir, SystemTime::now(), &lines) {
            Ok(file) => tracing::info!(file = %file.display(), "the check before opening is over"),
            Err(error) => tracing::warn!(%error, "the report of the check before opening could not be written"),
        });
    }

    /// What is fitted beside what must be there, and does not answer; none while it is being asked.
    pub fn others_silent(&self) -> usize {
        if self.check.is_some() {
            return 0;
        }
        equipment::others_silent(&self.settings.compulsory, &self.devices, &self.instruments)
    }

    /// The check goes on, and what was asked in vain is asked again while nobody is in the cabin.
    pub(super) fn tend_equipment(&mut self) {
        if self.check.is_some() {
            self.equipment_asked();
        } else if self.ticks.is_multiple_of(ASK_AGAIN_TICKS) && matches!(self.journey.step(), Step::Welcome) {
            self.devices.probe_silent();
        }
    }

    /// A device came or went. Until each has been looked for once, nothing is said to be missing.
    pub(super) fn equipment_changed(&mut self) {
        let devices = self.devices.iter().map(|device| &device.health);
        let instruments = self.instruments.iter().map(|instrument| &instrument.health);
        if devices.chain(instruments).all(|health| *health != Health::Unknown) {
            self.check_equipment();
        }
        self.tell_site();
    }

    /// The list is looked at while devices are being asked.
    pub fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    /// Opens the cabin after the check, in the degraded mode where something is missing.
    pub fn open_after_check(&mut self) {
        let Some(pharmacist) = self.opening.take() else { return };
        let opened = match self.check_equipment() {
            true => Input::SignedIn(pharmacist),
            false => Input::OpenedDegraded(pharmacist),
        };
        self.input(opened);
        self.front = Front::Patient;
        self.tell_site();
    }

    /// Leaves the cabin closed after the check.
    pub fn stay_closed(&mut self) {
        self.opening = None;
        self.front = Front::Patient;
    }

    /// Somebody touched the screen, whichever is in front.
    pub fn pharmacist_touched(&mut self) {
        self.sign_in.lock.touched(Instant::now());
    }

    /// Gives the screen back to the patient when the pharmacist's was left alone.
    pub(super) fn lock_when_quiet(&mut self) {
        if self.front != Front::Patient && self.sign_in.lock.is_due(Instant::now()) {
            tracing::info!("the pharmacist's screen was left alone: it is locked");
            self.sign_in.reset();
            self.opening = None;
            self.over = Over::Nothing;
            self.close_binding();
            self.forget_opinions();
            self.front = Front::Patient;
        }
    }

    /// The pharmacist is there: the call for help is answered, then over.
    pub fn help_arrived(&mut self) {
        if matches!(self.journey.help(), Help::Called { .. }) {
            self.input(Input::HelpAnswered);
            self.tell_help_comes();
        }
        self.input(Input::HelpDone);
    }

    /// Closes the cabin for the day.
    pub fn close_cabin(&mut self) {
        if self.input(Input::ClosedByPharmacist) {
            self.front = Front::Patient;
            self.tell_site();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pharmacists_screens_lock_when_left_alone_and_a_touch_begins_the_wait_anew() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut lock = QuietLock { after: Duration::from_secs(120), touched_at: begun };
        assert!(!lock.is_due(at(119)) && lock.is_due(at(120)));
        lock.touched(at(119));
        assert!(!lock.is_due(at(238)) && lock.is_due(at(239)));
    }
}
