//! What the outbox promises, tried on real disks and on simulated ones. `tests/tools/power` runs this.

mod drive;
mod failing_disk;
mod forgotten;
mod line;
mod power_cut;
mod promises;
#[path = "../../src/outbox/tests/shared/mod.rs"]
mod shared;
mod simulation;
mod small_disk;
mod week;
