//! The physician's desk: cabins join it, patients wait in it, physicians sign in to it, records are stored by it.
//!
//! One program and one folder. Read [`app`] for how it starts, [`http`] for its endpoints, [`room`] for what it decides.
//! Its messages are those of the `signal` crate; its page is in `page/`.

pub mod accounts;
pub mod app;
pub mod badges;
pub mod cabins;
pub mod config;
pub mod door;
pub mod fhir;
pub mod guesses;
pub mod guest;
pub mod hall;
pub mod http;
pub mod oidc;
pub mod papers;
pub mod room;
pub mod second_opinions;
pub mod shelf;
pub mod sockets;
pub mod static_page;
pub mod totp;
pub mod turn;
pub mod usual_doctor;
