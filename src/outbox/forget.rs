//! Freed memory is wiped, so that forgetting a patient leaves nothing to read in the program's memory.
//!
//! Every heap block of the cabin program (texts on the screen, the journey's state, messages to the physician) and of
//! the outbox (what a server answers) goes through this allocator. A block is overwritten before it returns to the C
//! library: once the journey drops a consultation, its bytes are gone, not merely unreachable. The whole-consultation
//! test searches `/proc/PID/mem` of both for the patient's words after the forgotten screen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::{fs, io, ptr};

/// Switches off core files of this program: a crash must not write a patient's memory to the disk.
///
/// # Errors
/// When the system refuses; the program can go on, and says so.
pub fn no_core_file() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is an rlimit that lives during the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // A system that pipes cores to a program does so whatever the limit (core(5)): no mapping goes into the pipe.
    fs::write("/proc/self/coredump_filter", "0")
}

/// The system's allocator, wiping what it frees.
pub struct WipeOnFree;

fn wipe(block: *mut u8, bytes: usize) {
    // SAFETY: the caller owns `bytes` bytes at `block`. `explicit_bzero` is never optimised away (glibc manual,
    // "Erasing Sensitive Data"), unlike a `memset` before a `free`.
    unsafe { libc::explicit_bzero(block.cast(), bytes) };
}

// SAFETY: every block comes from and returns to `System` with its own layout; only its content is changed, at the
// moment when it no longer belongs to anybody.
unsafe impl GlobalAlloc for WipeOnFree {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: forwarded with the caller's guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: forwarded with the caller's guarantees.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        wipe(block, layout.size());
        // SAFETY: forwarded with the caller's guarantees.
        unsafe { System.dealloc(block, layout) }
    }

    // The C library's realloc may move a block and leave the old copy behind: a new block, a copy, a wipe.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that `new_size` with this alignment does not overflow and is not zero.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: `new_layout` has a size above zero.
        let new_block = unsafe { System.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: two distinct live blocks, each at least as long as the copy.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
            // SAFETY: `block` came from this allocator with `layout`.
            unsafe { self.dealloc(block, layout) };
        }
        new_block
    }
}
