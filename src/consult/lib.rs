//! The consultation: a pure core, std only, without IO, clock or randomness.
#![forbid(unsafe_code)]

pub mod vitals;
