//! A bad line, for tests and benches: two network namespaces of their own that reach each other only through this
//! program, which delays, queues, loses and cuts what they send, as a seeded [`Trace`] says.
//!
//! The kernel's own emulator (`tc netem`) is not in every kernel; TUN devices and namespaces are. What the line does is
//! pure ([`Line`], no clock, no device) and so tested in virtual time, where the estimator of the call is tested too;
//! [`Pair`] carries real packets of real programs through the same line.

mod line;
mod pair;
mod trace;

pub use line::{Conditions, Counts, Line};
pub use pair::{Missing, Namespace, Pair};
pub use trace::{Mistake, Phase, Trace};
