//! Why an input was not accepted, and what a person can do about it.

use std::fmt;

use crate::second_opinion::Missing;

/// Why an input was not accepted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It makes no sense at this step. A late touch or message: drop it.
    NotHere,
    /// The emergency screen is in front: close it first.
    EmergencyShown,
    /// Only the pharmacist can go on after a warning sign.
    PharmacistNeeded,
    /// Equipment that this place must have does not answer: mend it, or open in the degraded mode.
    EquipmentMissing,
    /// Somebody is in the cabin: let them end first.
    ConsultationRunning,
    /// Going back would lose something: use Leave.
    WouldLose,
    /// Not yet due.
    TooEarly,
    /// The birth date is to come: ask again.
    BirthDateToCome,
    /// The sign is not one that is asked for this reason.
    NotAsked,
    /// No device for this measurement in this cabin: tell the physician.
    NotFitted,
    /// The device is unplugged: check the cable.
    DeviceLost,
    /// The readings are none, too many, or not of this measurement: a driver's bug.
    WrongReadings,
    /// A measurement is being made: ask when it is done.
    Measuring,
    /// No network: the call cannot be set up now.
    NoNetwork,
    /// The call is not allowed; which condition is missing.
    NoCall(CallMissing),
    /// The limit of this list is reached (see the constants of [`crate::dossier`]).
    TooMany,
    /// A third person without a name: the physician asks again who it is.
    NoName,
    /// The document is larger than [`crate::physician::DOCUMENT_BYTES_MAX`] or the summary has too many orders.
    TooLarge,
    /// The request for a second opinion lacks something.
    OpinionLacks(Missing),
}

/// What a call needs and does not have (R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMissing {
    /// No physician was offered, or the desk did not authenticate this one.
    AuthenticatedPhysician,
    /// The patient's identity is not known.
    PatientIdentity,
    /// The patient did not consent to care, or took it back.
    CareConsent,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::NotHere => "not possible at this step",
            Refused::EmergencyShown => "the emergency screen is in front",
            Refused::PharmacistNeeded => "only the pharmacist can go on after a warning sign",
            Refused::EquipmentMissing => "equipment that this place must have does not answer",
            Refused::ConsultationRunning => "somebody is in the cabin",
            Refused::WouldLose => "going back would lose answers: use Leave",
            Refused::TooEarly => "not yet due",
            Refused::BirthDateToCome => "the birth date is in the future: ask again",
            Refused::NotAsked => "this warning sign is not asked for this reason",
            Refused::NotFitted => "this cabin has no device for this measurement",
            Refused::DeviceLost => "the device is unplugged: check its cable",
            Refused::WrongReadings => "the readings do not belong to the measurement",
            Refused::Measuring => "a measurement is being made",
            Refused::NoNetwork => "no network",
            Refused::NoCall(CallMissing::AuthenticatedPhysician) => "no call without an authenticated physician",
            Refused::NoCall(CallMissing::PatientIdentity) => "no call without the patient's identity",
            Refused::NoCall(CallMissing::CareConsent) => "no call without consent to care",
            Refused::TooMany => "too many: the limit is reached",
            Refused::NoName => "a third person must have a name",
            Refused::TooLarge => "too large",
            Refused::OpinionLacks(_) => "the request for a second opinion lacks something that must be said",
        })
    }
}

impl std::error::Error for Refused {}

/// A journal that this version cannot replay. Set it aside; do not erase it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayRefused {
    /// Which entry, counted from 0.
    pub entry: usize,
    /// Why.
    pub refused: Refused,
}

impl fmt::Display for ReplayRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal entry {}: {}", self.entry, self.refused)
    }
}

impl std::error::Error for ReplayRefused {}
