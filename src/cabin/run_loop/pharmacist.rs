//! The pharmacist at the screen: name, PIN, and the wait after wrong ones.

use consult::journey::{Help, Input, Step};
use consult::site::{Pharmacist, SignIn, SignInPolicy};
use drivers::ports::system_clock;
use zeroize::Zeroizing;

use super::{Cabin, Event, Front, post};
use crate::pharmacists::{self, PIN_DIGITS_MAX};

/// The sign-in screen's state. Wrong tries are counted for each pharmacist as long as the program runs.
pub struct SignInDraft {
    /// Who is signing in.
    pub chosen: Option<usize>,
    /// Digits typed.
    pub digits: Zeroizing<String>,
    /// A PIN is being checked.
    pub checking: bool,
    /// The last one was wrong.
    pub wrong: bool,
    tries: Vec<SignIn>,
}

impl SignInDraft {
    pub(super) fn new(pharmacists: usize) -> Self {
        Self {
            chosen: None,
            digits: Zeroizing::default(),
            checking: false,
            wrong: false,
            tries: vec![SignIn::new(SignInPolicy::default()); pharmacists],
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

    fn reset(&mut self) {
        self.chosen = None;
        self.digits = Zeroizing::default();
        self.checking = false;
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
        if index < self.settings.pharmacists.len() && !self.sign_in.checking {
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
        let (pin, hash) = (std::mem::take(&mut self.sign_in.digits), entry.pin_hash.clone());
        self.runtime.spawn_blocking(move || {
            let right = pharmacists::verify(&pin, &hash);
            post(Event::PinChecked { index, right });
        });
    }

    pub(super) fn pin_checked(&mut self, index: usize, right: bool) {
        self.sign_in.checking = false;
        let Some(tries) = self.sign_in.tries.get_mut(index) else { return };
        if !right {
            tries.wrong(system_clock());
            self.sign_in.wrong = true;
            tracing::warn!("a wrong PIN");
            return;
        }
        tries.right();
        let Some(entry) = self.settings.pharmacists.get(index) else { return };
        let closed = matches!(self.journey.step(), Step::Closed);
        let pharmacist = Pharmacist { id: entry.id.clone(), name: entry.name.clone() };
        if self.input(Input::SignedIn(pharmacist)) && self.front == Front::SignIn {
            // Opening shows the patient's welcome; later the pharmacist comes to do something.
            self.front = if closed { Front::Patient } else { Front::Space };
        }
        self.sign_in.reset();
        self.tell_site();
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
