//! Whole-cabin tests: one program, so that the harness is linked once.

mod dependency_table;
mod emergency;
mod fhir_peer;
mod harness_works;
mod memory_is_searched;
mod purity;
mod third_seat;
mod units;
mod whole_consultation;
