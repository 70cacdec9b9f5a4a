//! Cameras and sound of an examination: otoscope, dermatoscope, room camera; stethoscope.
//!
//! A camera gives a live picture for the screen and, on a button, a still: the camera's own JPEG picture, every byte
//! as it was sent. A stethoscope gives a level for the screen and clips without loss, in which nothing was filtered,
//! amplified or cleaned. Both say how good what they took is, in words for a person; neither judges a patient.

pub mod button;
pub mod camera;
mod device;
mod files;
pub mod jpeg;
pub mod picture;
pub mod sound;
pub mod trial;
mod turn;

pub use device::{Address, Device, NoAddress, Usb};
pub use files::files;
