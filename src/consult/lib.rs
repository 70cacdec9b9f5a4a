//! The consultation: a pure core, std only, without IO, clock or randomness.
//!
//! - [`journey`]: where the patient is, what may happen next, what the cabin must do. Start here.
//! - [`dossier`]: everything known of one consultation, what becomes the record.
//! - [`journal`]: inputs as bytes, so that a restart comes back to the same step.
//! - [`identity`], [`communes`]: who the patient is, and where people are born and live.
//! - [`reason`], [`triage`], [`consent`]: what is asked before anything is measured.
//! - [`second_opinion`]: what is asked of a specialist.
//! - [`guest`]: a third person in the call.
//! - [`vitals`], [`ecg`]: units and ranges. [`physician`]: who is met, and what is written.
//! - [`site`]: where the cabin stands and who opens it. [`private`]: what never prints itself.
#![forbid(unsafe_code)]

pub mod communes;
pub mod consent;
mod contact;
pub mod dossier;
pub mod ecg;
pub mod guest;
pub mod identity;
pub mod journal;
pub mod journey;
pub mod physician;
pub mod private;
pub mod reason;
pub mod second_opinion;
pub mod site;
pub mod triage;
pub mod vitals;
