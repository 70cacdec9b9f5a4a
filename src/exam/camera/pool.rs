//! Closes a camera's file for certain.
//!
//! GStreamer 1.22.0 (Debian 12) forgets one reference to the buffers of a `v4l2src` each time that it stops, as its own
//! `leaks` tracer shows: source, buffers and an open file of the camera then stay for ever. A test on a real kernel counts
//! the files that are open.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

/// What the pool of a `v4l2src` is called.
const FORGETFUL: &str = "GstV4l2BufferPool";

/// The buffers of a running source, known from the first of them.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Option<glib::WeakRef<gst::BufferPool>>>>);

impl Pool {
    /// Remembers whose buffer it is.
    pub(super) fn of(&self, buffer: &gst::BufferRef) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            // SAFETY: the buffer is borrowed, so its pool, which it holds a reference to, is there.
            let pool: Option<gst::BufferPool> = unsafe { glib::translate::from_glib_none((*buffer.as_ptr()).pool) };
            // Other sources (a test picture's) keep count.
            *known = pool.filter(|pool| pool.type_().name() == FORGETFUL).map(|pool| pool.downgrade());
        }
    }

    /// Gives back what was forgotten. To be called when the pipeline is gone and none of its buffers can be held.
    pub(super) fn give_back(&self) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(pool) = known.and_then(|pool| pool.upgrade()) else { return };
        // The one reference beside ours is nobody's: the source has stopped, and each buffer was copied where it came.
        if !pool.is_active() && pool.ref_count() == 2 {
            // SAFETY: that reference was taken by the source and is counted; nobody will give it back any more.
            unsafe { glib::gobject_ffi::g_object_unref(pool.as_ptr().cast()) };
        }
    }
}
