//! A stethoscope: its sound as it comes, a level for the screen, clips without loss.

pub mod clip;
pub mod flac;
pub mod measures;
