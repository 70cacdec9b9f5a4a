//! The cabin program: screens, devices, call, and the run loop that joins them to the journey.
//!
//! * [`run_loop`]: what happens, one event at a time. Start here.
//! * [`screens`]: properties and callbacks of every screen. [`words`]: one vocabulary in the other.
//! * [`desk_link`], [`enrolment`]: the line to the desk; [`joining`]: to another, after a hand-over. [`physician_link`]: the call; [`handing_over`]: a recording beside it.
//! * [`devices`]: what is plugged. [`code_camera`]: a document's code, shown to a camera. [`journal`], [`submission`], [`documents`]: what is kept, sent and handed out.
//! * [`life`]: what systemd is told. [`captures`]: what the technician recorded of a device. [`pharmacists`]: PINs. [`voice`], [`bell`]: what is heard. Freed memory is wiped by `outbox::forget`.
//! * [`second_opinion`]: a question to a specialist, while it is written. [`replies`]: what is said to one, until the desk has it. [`day`]: counts for the pharmacist.

pub mod bell;
pub mod captures;
pub mod checks;
mod cleaning;
pub mod code_camera;
pub mod conversation;
pub mod day;
pub mod desk_link;
pub mod devices;
pub mod documents;
pub mod drafts;
pub mod enrolment;
pub mod equipment;
pub mod handing_over;
pub mod instruments;
pub mod joining;
pub mod journal;
pub mod life;
pub mod pharmacists;
pub mod physician_link;
pub mod replies;
pub mod run_loop;
pub mod screens;
pub mod second_opinion;
#[cfg(test)]
mod served_outbox;
pub mod settings;
pub mod submission;
pub mod voice;
pub mod words;
