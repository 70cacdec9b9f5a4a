//! The screens of the cabin: what people see and touch, and nothing that decides.
//!
//! Each screen is one `.slint` file with its adapter, a global of properties that the cabin sets and callbacks
//! that it answers. Rust passes enums, numbers and data (names, towns); words live in `.slint` and `lang/`.

// The generated code documents nothing.
#[allow(missing_docs, clippy::all)]
mod screens {
    slint::include_modules!();
}
pub use screens::*;
