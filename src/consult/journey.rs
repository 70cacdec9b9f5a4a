//! The journey: where the patient is, what may happen next, and what the cabin must then do.
//!
//! A pure state machine. The program hands it an [`Input`] and the time, and gets [`Effect`]s to carry out, or a
//! [`Refused`] that leaves everything as it was. Inputs with [`Input::is_journalled`] are appended to the journal
//! while [`Journey::dossier`] is there; [`Journey::replay`] gives the same journey back.

use std::fmt;

use crate::dossier::{Dossier, HelpReason, Presentation, SkipReason};
use crate::physician::Physician;
use crate::site::{DeviceClass, Pharmacist, Site};
use crate::triage::{EmergencyNumber, WarningSign};
use crate::vitals::{Measurement, Moment, Reading};

mod apply;
mod before_call;
mod call;
mod come_back;
mod ending;
mod input;
mod measuring;
mod overlay;
mod refused;
mod second_opinion;
mod timing;

pub use input::Input;
pub use refused::{CallMissing, Refused, ReplayRefused};
pub use timing::{Policy, WARNING_MS_MIN, WarningTooShort, measuring_ms_max};

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod others;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod random;
#[cfg(test)]
mod transitions;

/// Where the journey is. What is drawn follows from it, from the overlays ([`Journey::emergency`],
/// [`Journey::inactivity`], [`Journey::help`]) and from the dossier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// No pharmacist signed in.
    Closed,
    /// Waiting for the next patient's first touch.
    Welcome,
    /// Why a physician.
    Reason,
    /// Warning signs; those still to be asked are [`Dossier::warning_signs_to_ask`].
    WarningSigns,
    /// Typing the traits.
    Identity,
    /// Usual doctor, town, phone.
    UsualDoctor,
    /// Information and consent.
    InformationConsent {
        /// The patient just refused care: the screen says what it means; the answer can be changed.
        care_refused: bool,
    },
    /// A measurement before the call.
    Measurement(Guided),
    /// Waiting for a physician.
    WaitingRoom {
        /// What the desk last said.
        news: WaitingNews,
    },
    /// The code to come back with is shown: [`Dossier::come_back`].
    ComeBack,
    /// A physician is there: name, speciality, RPPS, town, fee.
    MeetPhysician {
        /// Who.
        physician: Physician,
    },
    /// In the call, with the physician of the last [`crate::dossier::CallRecord`].
    Call {
        /// Picture and sound.
        line: CallLine,
        /// A measurement that the physician asked for, over the picture.
        guided: Option<Guided>,
    },
    /// Summary and documents.
    Documents {
        /// The printer.
        paper: Paper,
    },
    /// Three short questions.
    Questionnaire,
    /// The record is being sealed in the outbox; the patient's data is still here.
    Storing {
        /// When the outbox last refused it or was offered it again; `None` while all is well.
        failed_at: Option<Moment>,
    },
    /// Nothing of the patient is left.
    Forgotten {
        /// When it was forgotten: the patient's receipt.
        at: Moment,
        /// A record went to the outbox.
        recorded: bool,
        /// What the patient was promised with it.
        promise: Promise,
    },
    /// The pharmacist cleans.
    Cleaning,
}

/// What a patient who saw no physician may count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing.
    None,
    /// A physician calls back.
    CallBack,
    /// A specialist answers, and the pharmacy tells the patient.
    SecondOpinion,
    /// The code opens everything again until then.
    ComeBack {
        /// Until when.
        until: Moment,
    },
}

/// One measurement and where its guidance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guided {
    /// What is measured.
    pub measurement: Measurement,
    /// Where the guidance is.
    pub act: Act,
}

/// Place → measuring → review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A picture of where to put the device.
    Place {
        /// What went wrong in the try before.
        trouble: Option<Trouble>,
    },
    /// The device measures; the live curve goes from the device to the screen, not through here.
    Measuring {
        /// Since when.
        since: Moment,
    },
    /// The device is gone: the pharmacist checks the cable.
    CheckCable {
        /// It went away in mid-measurement, which then goes on.
        was_measuring: bool,
    },
    /// The readings, to keep or to take again; never empty.
    Review {
        /// As the device gave them.
        readings: Vec<Reading>,
    },
}

/// Why a try gave no reading. Each has one sentence on the screen that says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// The device feels nothing: place it again.
    NoSignal,
    /// The patient moved or spoke: keep still.
    Moved,
    /// A value that cannot be: measure again.
    Implausible,
    /// It took longer than [`measuring_ms_max`].
    TookTooLong,
    /// The device says that it is out of order.
    DeviceFault,
    /// The device does not answer: is it switched on?
    Silent,
    /// The device is at something else: wait a little.
    Busy,
    /// The device ended without a result.
    NoResult,
    /// It was stopped, on the screen or on the device.
    Stopped,
    /// The device's clock is wrong: what it kept could be an earlier patient's. The pharmacist sets it.
    Clock,
    /// A unit, or more digits, than the cabin reads. The pharmacist sets the device.
    Unit,
    /// Too much on the scale, or it does not stand well.
    Overload,
    /// The meter read something else than what was asked (a control solution).
    OtherSubstance,
    /// The value is below what the device can measure ("LO").
    BelowRange,
    /// The value is above what the device can measure ("HI").
    AboveRange,
    /// The value is outside what the device can measure; its own screen tells on which side.
    OutOfRange,
    /// Its signal came too irregularly to be timed.
    Unsteady,
    /// What was recorded is too large to be kept, or there was too much of it: record less, or go on without.
    TooLarge,
}

impl Trouble {
    /// What the record says of it at once, whatever the patient does then: the device itself cannot measure so much,
    /// or so little.
    pub fn out_of_range(self) -> Option<SkipReason> {
        match self {
            Trouble::BelowRange => Some(SkipReason::BelowRange),
            Trouble::AboveRange => Some(SkipReason::AboveRange),
            Trouble::OutOfRange => Some(SkipReason::OutOfRange),
            _ => None,
        }
    }
}

/// What the desk says of the wait. Unknown values are `None`, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WaitingNews {
    /// Patients before this one.
    pub ahead: Option<u16>,
    /// Expected wait, minutes.
    pub wait_minutes: Option<u16>,
}

/// Picture and sound of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallLine {
    /// Being set up.
    Connecting,
    /// There.
    Connected,
    /// Lost, being set up again.
    Interrupted {
        /// Since when.
        since: Moment,
    },
}

/// The printer, as the patient sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// Nothing asked.
    NotAsked,
    /// Printing.
    Printing,
    /// Printed.
    Printed,
    /// Not printed: show the code to scan, or ask the pharmacist.
    Failed,
}

/// Why the emergency screen is shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emergency {
    /// The patient touched Emergency; the patient may close it.
    Asked,
    /// A yes to a warning sign; only the pharmacist may close it.
    Sign(WarningSign),
}

impl Emergency {
    /// The numbers to show, largest first. They work with the network down: they are the patient's to dial.
    pub fn numbers(self) -> &'static [EmergencyNumber] {
        match self {
            Emergency::Asked => EmergencyNumber::EMERGENCY,
            Emergency::Sign(sign) => sign.numbers(),
        }
    }
}

impl fmt::Debug for Emergency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Emergency::Asked => "Asked",
            // Which sign is the patient's.
            Emergency::Sign(_) => "Sign([patient])",
        })
    }
}

/// The pharmacist was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Help {
    /// Nobody asked.
    NotAsked,
    /// Called, not answered yet.
    Called {
        /// Why.
        reason: HelpReason,
        /// When.
        at: Moment,
        /// When the alarm was last raised because nobody answered.
        alarmed_at: Option<Moment>,
    },
    /// The pharmacist answered: "on my way".
    Answered {
        /// Who.
        by: Pharmacist,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallEnd {
    /// The physician ended it.
    Physician,
    /// The physician gave the patient back to the waiting room.
    GivenBack,
    /// Technique: it could not be set up, or did not come back.
    Failed,
    /// The physician ended it, and says that there was no picture for the essential of it (R1c: it cannot count as a
    /// teleconsultation).
    PhysicianWithoutPicture,
    /// The physician ended it, and says that it did not take place in full.
    PhysicianBrokenOff,
}

/// What the program must do after an accepted input, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A consultation begins: open a journal with these entries, then append the [`Input::Begun`] as usual.
    OpenJournal {
        /// What brings a fresh journey to where it was just before.
        preamble: Vec<(Moment, Input)>,
    },
    /// Call the pharmacist (screen, sound, phone).
    CallPharmacist(HelpReason),
    /// Nobody answered: call louder, and other people.
    AlarmPharmacist(HelpReason),
    /// Sound of the inactivity warning; the picture follows [`Journey::inactivity`].
    WarnInactive,
    /// Read the screen aloud.
    Speak,
    /// Start the device.
    StartMeasurement(Measurement),
    /// Stop the device (a cuff deflates).
    StopMeasurement(Measurement),
    /// Join the desk's waiting room, or tell the desk that the cabin is back in it. Idempotent.
    EnterWaitingRoom,
    /// Leave the desk's waiting room.
    LeaveWaitingRoom,
    /// Tell the desk that the patient accepts this physician, and set up the call.
    AcceptPhysician,
    /// Tell the desk that the patient declines.
    DeclinePhysician,
    /// Set up the running call again.
    Reconnect,
    /// Something that the physician's page shows has changed: send it.
    Share,
    /// End the call.
    EndCall,
    /// Print summary and documents.
    Print,
    /// The dossier is complete: bundle it, put it in the outbox, then [`Input::RecordSealed`]. Of a patient who will come
    /// back ([`crate::dossier::Outcome::ToComeBack`]) it is parked there.
    SubmitRecord,
    /// Destroy the journal and every copy of the patient's data.
    Forget,
}

/// Inactivity as the screen shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactivity {
    /// Somebody is there.
    Active,
    /// "Still here?", with "more time".
    Warned {
        /// When the patient will be forgotten.
        forgets_at: Moment,
    },
}

/// The journey of the cabin, from one patient to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    site: Site,
    policy: Policy,
    step: Step,
    dossier: Option<Dossier>,
    /// Who is responsible; `None` exactly when closed.
    pharmacist: Option<(Pharmacist, Moment)>,
    presentation: Presentation,
    emergency: Option<Emergency>,
    help: Help,
    online: bool,
    lost_devices: Vec<Measurement>,
    /// What the place should have and does not, as last checked.
    missing: Vec<DeviceClass>,
    /// What was started for this patient: to be cleaned, so it outlives the patient's data.
    used: Vec<Measurement>,
    /// A cabin that was restarted before it was clean: it is cleaned before it opens.
    owes_cleaning: bool,
    last_active_at: Moment,
    warned_at: Option<Moment>,
    /// Time of the last input that a journal would hold: where a restart counts its incident from.
    last_journalled_at: Moment,
}

impl Journey {
    /// A closed cabin, with network and devices as fitted until something else is said.
    pub fn new(site: Site, policy: Policy) -> Self {
        Self {
            site,
            policy,
            step: Step::Closed,
            dossier: None,
            pharmacist: None,
            presentation: Presentation::default(),
            emergency: None,
            help: Help::NotAsked,
            online: true,
            lost_devices: Vec::new(),
            missing: Vec::new(),
            used: Vec::new(),
            owes_cleaning: false,
            last_active_at: Moment(0),
            warned_at: None,
            last_journalled_at: Moment(0),
        }
    }

    /// The journey as a journal left it. Then apply [`Input::Restarted`], and say how network and devices are now.
    pub fn replay(
        site: Site,
        policy: Policy,
        entries: impl IntoIterator<Item = (Moment, Input)>,
    ) -> Result<Self, ReplayRefused> {
        let mut journey = Self::new(site, policy);
        for (entry, (at, input)) in entries.into_iter().enumerate() {
            journey.apply(input, at).map_err(|refused| ReplayRefused { entry, refused })?;
        }
        Ok(journey)
    }

    /// Where the journey is.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Everything known of the present consultation; `None` outside of one, and once the patient is forgotten.
    pub fn dossier(&self) -> Option<&Dossier> {
        self.dossier.as_ref()
    }

    /// Other devices are fitted from now on: the technician bound one.
    ///
    /// # Errors
    /// [`Refused::ConsultationRunning`]: what a patient was shown does not change under their hands.
    pub fn refit(&mut self, fitted: Vec<Measurement>) -> Result<(), Refused> {
        if self.dossier.is_some() {
            return Err(Refused::ConsultationRunning);
        }
        self.lost_devices.retain(|measurement| fitted.contains(measurement));
        self.site.fitted = fitted;
        Ok(())
    }

    /// Where the cabin stands.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Durations in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How the screen speaks.
    pub fn presentation(&self) -> Presentation {
        self.presentation
    }

    /// The emergency screen, in front of the step.
    pub fn emergency(&self) -> Option<Emergency> {
        self.emergency
    }

    /// The call for the pharmacist.
    pub fn help(&self) -> &Help {
        &self.help
    }

    /// The responsible pharmacist.
    pub fn pharmacist(&self) -> Option<&Pharmacist> {
        self.pharmacist.as_ref().map(|(p, _)| p)
    }

    /// Whether the pharmacist enters things for the patient.
    pub fn is_assisted(&self) -> bool {
        self.dossier.as_ref().is_some_and(|d| d.assisted.last().is_some_and(|(_, to)| to.is_none()))
    }

    /// Whether the cabin has a network.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// What this place should have and does not, as last checked: open, it is in its degraded mode.
    pub fn missing_equipment(&self) -> &[DeviceClass] {
        &self.missing
    }

    /// What was started for the present patient, or for the last one until the cabin is cleaned.
    pub fn used(&self) -> &[Measurement] {
        &self.used
    }

    /// Whether the cabin is to be cleaned before the next patient.
    pub fn is_to_be_cleaned(&self) -> bool {
        self.owes_cleaning || matches!(self.step, Step::Forgotten { .. } | Step::Cleaning)
    }

    /// A closed cabin that was stopped before it was clean after its last patient, who used these: whoever opens it cleans
    /// it first. Without effect on a cabin that is open.
    pub fn owe_cleaning(&mut self, used: Vec<Measurement>) {
        if self.step == Step::Closed {
            (self.used, self.owes_cleaning) = (used, true);
        }
    }

    /// What a cabin shows when it is opened.
    fn opened(&mut self) -> Step {
        if std::mem::take(&mut self.owes_cleaning) { Step::Cleaning } else { Step::Welcome }
    }

    /// Whether the device of this measurement is fitted and plugged.
    pub fn is_ready(&self, measurement: Measurement) -> bool {
        self.site.has(measurement) && !self.lost_devices.contains(&measurement)
    }

    /// The measurements proposed for the reason, of those fitted in this cabin, in order.
    pub fn proposed_measurements(&self) -> Vec<Measurement> {
        let reason = self.dossier.as_ref().and_then(|d| d.reason.as_ref());
        let proposed = reason.map_or(&[][..], |r| r.kind.proposed_measurements());
        proposed.iter().copied().filter(|m| self.site.has(*m)).collect()
    }
}

/// What the program must do, or why not.
pub(crate) type Answer = Result<Vec<Effect>, Refused>;
