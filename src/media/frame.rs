//! A picture ready to be drawn, and the slot that holds the newest one.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video as gst_video;
use tokio::sync::watch;

/// One picture. Cheap to clone: the pixels are shared.
#[derive(Clone)]
pub struct Frame {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height * 4` bytes: red, green, blue, alpha (255), rows from the top without padding.
    pub rgba: Bytes,
    /// Counts from 1 in a stream; a jump means that the screen was slower than the pictures.
    pub number: u64,
}

/// The pixels are of a person: only the shape is printed.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame {} {}x{} [patient]", self.number, self.width, self.height)
    }
}

/// Where pictures are put. It holds one: a slow screen skips pictures and never grows memory.
pub type FrameSlot = watch::Sender<Option<Frame>>;

/// Puts the sample of an RGBA appsink into the slot, without copying its pixels when rows are unpadded.
///
/// # Errors
///
/// Where the sample is no whole RGBA picture: the pipeline stops and says so.
pub fn store(slot: &FrameSlot, sample: &gst::Sample) -> Result<(), gst::FlowError> {
    let info = sample
        .caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
        .filter(|info| info.format() == gst_video::VideoFormat::Rgba)
        .ok_or(gst::FlowError::NotNegotiated)?;
    let row = info.width() as usize * 4;
    let stride = usize::try_from(info.stride()[0]).map_err(|_| gst::FlowError::NotSupported)?;
    let pixels = sample
        .buffer_owned()
        .ok_or(gst::FlowError::Error)?
        .into_mapped_buffer_readable()
        .map_err(|_| gst::FlowError::Error)?;
    let size = row * info.height() as usize;
    let rgba = if stride == row && pixels.len() >= size {
        Bytes::from_owner(pixels).slice(..size)
    } else {
        let rows: Vec<u8> =
            pixels.chunks(stride).take(info.height() as usize).flat_map(|r| &r[..row.min(r.len())]).copied().collect();
        if rows.len() != size {
            return Err(gst::FlowError::Error);
        }
        rows.into()
    };
    slot.send_modify(|newest| {
        let number = newest.as_ref().map_or(1, |frame| frame.number + 1);
        *newest = Some(Frame { width: info.width(), height: info.height(), rgba, number });
    });
    Ok(())
}
