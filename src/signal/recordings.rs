//! The `recordings` data channel: the bytes of a picture, a sound or an electrocardiogram that was taken, cabin to page.
//!
//! The layout of the chunks is that of [`crate::documents`]. The page asks on `record` with `recording_wanted` and says
//! after each chunk what it has (`recording_received`); the cabin sends no faster than the line bears beside the voice.

/// Label of the channel.
pub const RECORDINGS: &str = "recordings";
/// Longest recording that is sent, bytes.
pub const RECORDING_BYTES_MAX: u32 = 64 * 1024 * 1024;
