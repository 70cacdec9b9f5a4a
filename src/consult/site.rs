//! Where the cabin stands, who opens it, and how often a wrong PIN may be tried.

use crate::vitals::{Measurement, Moment};

/// Most characters of a name or address of the site or its staff.
pub const SITE_TEXT_CHARS_MAX: usize = 200;

/// The place of the cabin: what an ambulance needs, and what is fitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Name of the pharmacy or town hall.
    pub name: String,
    /// Address for the emergency services: street, postal code, town, where the cabin is inside.
    pub address: String,
    /// The measurements whose device is bound to a port in the configuration.
    pub fitted: Vec<Measurement>,
}

impl Site {
    /// Whether the cabin has the device for this measurement at all (it may be unplugged).
    pub fn has(&self, measurement: Measurement) -> bool {
        self.fitted.contains(&measurement)
    }
}

/// What a place may be bound to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceClass {
    /// Heart and lungs are heard.
    Stethoscope,
    /// The ear is seen.
    Otoscope,
    /// Oxygen and pulse.
    Oximeter,
    /// Blood pressure.
    BloodPressure,
}

impl DeviceClass {
    /// What a pharmacy must have connected (national convention of the pharmacists, 9 March 2022, art. V.I).
    pub const OF_A_PHARMACY: [DeviceClass; 4] =
        [DeviceClass::Stethoscope, DeviceClass::Otoscope, DeviceClass::Oximeter, DeviceClass::BloodPressure];
}

/// The person responsible on site, who opens the cabin, helps, and cleans (R8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pharmacist {
    /// Stable key from the configuration.
    pub id: String,
    /// Name as patients know it.
    pub name: String,
}

/// How the wait grows after wrong PINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignInPolicy {
    /// Wrong tries that cost nothing: fingers slip.
    pub free_tries: u32,
    /// Wait after the first wrong try that costs, milliseconds; doubled by each further one.
    pub first_wait_ms: u64,
    /// Longest wait, milliseconds: a pharmacist who forgot is not shut out for the day.
    pub wait_ms_max: u64,
}

impl Default for SignInPolicy {
    fn default() -> Self {
        // 10,000 four-digit PINs at one try in 15 minutes take 104 days.
        Self { free_tries: 3, first_wait_ms: 10_000, wait_ms_max: 15 * 60_000 }
    }
}

impl SignInPolicy {
    /// Wait after `wrong_tries` wrong tries in a row, milliseconds.
    pub fn wait_ms(&self, wrong_tries: u32) -> u64 {
        match wrong_tries.checked_sub(self.free_tries) {
            None | Some(0) => 0,
            Some(costly) => {
                let factor = 1u64.checked_shl(costly - 1).unwrap_or(u64::MAX);
                self.first_wait_ms.saturating_mul(factor).min(self.wait_ms_max)
            }
        }
    }
}

/// Too early to try a PIN again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitBeforePin {
    /// When the next try is accepted.
    pub until: Moment,
}

impl std::fmt::Display for WaitBeforePin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too many wrong codes: wait before the next try")
    }
}

impl std::error::Error for WaitBeforePin {}

/// Counts the wrong PINs of the cabin. Verifying a PIN is the program's work; this says when one may be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    policy: SignInPolicy,
    wrong_tries: u32,
    last_wrong_at: Moment,
}

impl SignIn {
    /// Nobody tried yet.
    pub fn new(policy: SignInPolicy) -> Self {
        Self { policy, wrong_tries: 0, last_wrong_at: Moment(0) }
    }

    /// Takes up a count kept over a restart, so that pulling the plug does not buy new tries.
    pub fn restored(policy: SignInPolicy, wrong_tries: u32, last_wrong_at: Moment) -> Self {
        Self { policy, wrong_tries, last_wrong_at }
    }

    /// Ask before each try; a refusal says until when to wait.
    pub fn may_try(&self, now: Moment) -> Result<(), WaitBeforePin> {
        let wait_ms = self.policy.wait_ms(self.wrong_tries);
        // A clock set back gives the whole wait again, never less.
        if wait_ms > 0 && now.millis_since(self.last_wrong_at) < wait_ms {
            let from = self.last_wrong_at.min(now).0;
            return Err(WaitBeforePin { until: Moment(from.saturating_add_unsigned(wait_ms)) });
        }
        Ok(())
    }

    /// A wrong PIN was given.
    pub fn wrong(&mut self, now: Moment) {
        self.wrong_tries = self.wrong_tries.saturating_add(1);
        self.last_wrong_at = now;
    }

    /// The right PIN was given: the count starts again.
    pub fn right(&mut self) {
        self.wrong_tries = 0;
    }

    /// Wrong tries in a row, and when the last was: what to keep over a restart.
    pub fn wrong_tries(&self) -> (u32, Moment) {
        (self.wrong_tries, self.last_wrong_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_after_wrong_pins_and_ends() {
        let mut sign_in = SignIn::new(SignInPolicy::default());
        let mut now = Moment(1_000_000);
        let mut waits = Vec::new();
        for _ in 0..14 {
            let wait = match sign_in.may_try(now) {
                Ok(()) => 0,
                Err(WaitBeforePin { until }) => until.0 - now.0,
            };
            waits.push(wait);
            now = Moment(now.0 + wait);
            assert_eq!(sign_in.may_try(now), Ok(()));
            sign_in.wrong(now);
        }
        assert_eq!(&waits[..6], &[0, 0, 0, 0, 10_000, 20_000]);
        assert!(waits.is_sorted() && *waits.last().unwrap() == 15 * 60_000);
        sign_in.right();
        assert_eq!(sign_in.may_try(now), Ok(()));
    }

    #[test]
    fn setting_the_clock_back_buys_no_try() {
        let mut sign_in = SignIn::new(SignInPolicy::default());
        for _ in 0..5 {
            sign_in.wrong(Moment(1_000_000));
        }
        assert!(sign_in.may_try(Moment(0)).is_err());
        assert!(sign_in.may_try(Moment(1_000_000 + 20_000)).is_ok());
    }

    #[test]
    fn a_hundred_wrong_pins_overflow_nothing() {
        assert_eq!(SignInPolicy::default().wait_ms(u32::MAX), 15 * 60_000);
    }
}
