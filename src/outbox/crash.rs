//! A crash between two operations of the disk, asked for by a test: the program dies there as `kill -9` would have it.
//! Without the feature `crash-points` none of this is built.

use std::cell::Cell;

/// What unwinds a program that a test made die.
pub struct Killed;

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Dies at the `operations`th operation of the disk from now, on this thread. `None`: lives.
pub fn after(operations: Option<u64>) {
    LEFT.set(operations);
}

/// One operation of the disk is about to be done.
pub(crate) fn point() {
    match LEFT.get() {
        Some(0) => {
            LEFT.set(None);
            std::panic::resume_unwind(Box::new(Killed));
        }
        left => LEFT.set(left.map(|left| left - 1)),
    }
}
