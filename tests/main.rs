//! Whole-cabin tests: one program, so that the harness is linked once.

mod dependency_table;
mod fhir_peer;
mod harness_works;
mod memory_is_searched;
mod purity;
mod whole_consultation;
