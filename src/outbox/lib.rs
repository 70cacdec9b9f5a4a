//! The outbox: what a consultation says is kept is kept, what it says is sent was proved by the server, and what is
//! forgotten cannot be read again.
//!
//! The program `cabin-outbox` owns the store and the upload; the cabin reaches it through a [`Client`] over a Unix
//! socket and can do no more than add to the open consultation, read that one back, and close it; and keep and read back what
//! the pharmacist wrote to specialists, until the desk has it. Records, blobs and letters are opaque here.
//!
//! With the feature `daemon` (on by default) this crate is also the store and the uploader; without it, the client
//! alone.

pub mod client;
pub mod fields;
pub mod forget;
pub mod known;
pub mod record;
pub mod wire;

#[cfg(feature = "daemon")]
pub mod answer;
#[cfg(feature = "daemon")]
pub mod blob;
#[cfg(feature = "daemon")]
mod check;
#[cfg(feature = "crash-points")]
pub mod crash;
#[cfg(feature = "daemon")]
pub mod credential;
#[cfg(feature = "daemon")]
pub mod desk_token;
#[cfg(feature = "daemon")]
pub mod disk;
#[cfg(feature = "daemon")]
pub mod export;
#[cfg(feature = "daemon")]
pub mod frame;
#[cfg(feature = "daemon")]
pub mod fuzz_targets;
#[cfg(feature = "daemon")]
pub mod index;
#[cfg(feature = "daemon")]
mod journal;
#[cfg(feature = "daemon")]
pub mod keys;
#[cfg(feature = "daemon")]
pub mod letters;
#[cfg(feature = "daemon")]
pub mod log;
#[cfg(feature = "daemon")]
pub mod parked;
#[cfg(feature = "daemon")]
pub mod queue;
#[cfg(feature = "daemon")]
pub mod serve;
#[cfg(feature = "daemon")]
pub mod settings;
#[cfg(feature = "daemon")]
pub mod store;
pub mod systemd;
#[cfg(feature = "daemon")]
pub mod transport;
#[cfg(feature = "daemon")]
pub mod upload;

pub use client::{Client, Error};
pub use record::*;

#[cfg(feature = "daemon")]
pub use check::{Left, Report, check, left};
