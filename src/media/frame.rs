//! A picture ready to be drawn, and the slot that holds the newest one.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use std::sync::Arc;
use tokio::sync::watch;
use yuv::{YuvError, YuvPlanarImage, YuvRange, YuvStandardMatrix};

/// One picture. Cheap to clone: the pixels are shared.
#[derive(Clone)]
pub struct Frame {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What is seen.
    pub pixels: Pixels,
    /// Counts from 1 in a stream; a jump means that the screen was slower than the pictures.
    pub number: u64,
}

/// The pixels of a picture, as they came: only who draws them makes of them what a screen needs.
#[derive(Clone)]
pub enum Pixels {
    /// `width * height * 4` bytes: red, green, blue, alpha (255), rows from the top without padding.
    Rgba(Bytes),
    /// As decoders give them.
    Yuv(Yuv),
}

/// Lightness of each pixel, and of every four of them two colours (4:2:0, 8 bits).
#[derive(Clone)]
pub struct Yuv {
    planes: Arc<gst_video::VideoFrame<gst_video::video_frame::Readable>>,
    range: YuvRange,
    matrix: YuvStandardMatrix,
}

/// The pixels are of a person: only the shape is printed.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame {} {}x{} [patient]", self.number, self.width, self.height)
    }
}

impl Frame {
    /// `width * height * 4` bytes: red, green, blue, alpha (255), rows from the top without padding. Costs a conversion
    /// where the pixels are [`Pixels::Yuv`].
    pub fn rgba(&self) -> Bytes {
        match &self.pixels {
            Pixels::Rgba(rgba) => rgba.clone(),
            Pixels::Yuv(yuv) => {
                let mut rgba = vec![0; self.width as usize * self.height as usize * 4];
                yuv.write(self, |image| yuv::yuv420_to_rgba(image, &mut rgba, self.width * 4, yuv.range, yuv.matrix));
                rgba.into()
            }
        }
    }

    /// Writes red, green and blue of each pixel, rows from the top without padding, into `width * height * 3` bytes. Of
    /// other than so many bytes, nothing.
    pub fn write_rgb(&self, rgb: &mut [u8]) {
        if rgb.len() != self.width as usize * self.height as usize * 3 {
            return;
        }
        match &self.pixels {
            Pixels::Rgba(rgba) => {
                for (to, from) in rgb.chunks_exact_mut(3).zip(rgba.chunks_exact(4)) {
                    to.copy_from_slice(&from[..3]);
                }
            }
            Pixels::Yuv(yuv) => {
                yuv.write(self, |image| yuv::yuv420_to_rgb(image, rgb, self.width * 3, yuv.range, yuv.matrix));
            }
        }
    }
}

impl Yuv {
    /// The planes of a sample, held as long as somebody looks at them.
    fn of(buffer: gst::Buffer, info: &gst_video::VideoInfo) -> Option<Yuv> {
        use gst_video::{VideoColorMatrix, VideoColorRange};
        let colours = info.colorimetry();
        let range = if colours.range() == VideoColorRange::Range0_255 { YuvRange::Full } else { YuvRange::Limited };
        let matrix = match colours.matrix() {
            VideoColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
            VideoColorMatrix::Bt2020 => YuvStandardMatrix::Bt2020,
            // Also what VP8 is (RFC 6386, 9.2), which says nothing else.
            _ => YuvStandardMatrix::Bt601,
        };
        let planes = gst_video::VideoFrame::from_buffer_readable(buffer, info).ok()?;
        Some(Yuv { planes: Arc::new(planes), range, matrix })
    }

    fn write(&self, frame: &Frame, convert: impl FnOnce(&YuvPlanarImage<'_, u8>) -> Result<(), YuvError>) {
        let plane = |number: u32| self.planes.plane_data(number).unwrap_or_default();
        let stride = |number: usize| self.planes.plane_stride().get(number).map_or(0, |stride| stride.unsigned_abs());
        let image = YuvPlanarImage {
            y_plane: plane(0),
            y_stride: stride(0),
            u_plane: plane(1),
            u_stride: stride(1),
            v_plane: plane(2),
            v_stride: stride(2),
            width: frame.width,
            height: frame.height,
        };
        if let Err(error) = convert(&image) {
            tracing::error!(%error, "a picture could not be drawn");
        }
    }
}

/// Where pictures are put. It holds one: a slow screen skips pictures and never grows memory.
pub type FrameSlot = watch::Sender<Option<Frame>>;

/// Puts the sample of an appsink of RGBA or I420 into the slot, without copying its pixels when rows of RGBA are unpadded.
///
/// # Errors
///
/// Where the sample is no whole picture of these kinds: the pipeline stops and says so.
pub fn store(slot: &FrameSlot, sample: &gst::Sample) -> Result<(), gst::FlowError> {
    let info = sample
        .caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
        .ok_or(gst::FlowError::NotNegotiated)?;
    let buffer = sample.buffer_owned().ok_or(gst::FlowError::Error)?;
    let pixels = match info.format() {
        gst_video::VideoFormat::Rgba => Pixels::Rgba(rgba(buffer, &info)?),
        gst_video::VideoFormat::I420 => Pixels::Yuv(Yuv::of(buffer, &info).ok_or(gst::FlowError::Error)?),
        _ => return Err(gst::FlowError::NotNegotiated),
    };
    slot.send_modify(|newest| {
        let number = newest.as_ref().map_or(1, |frame| frame.number + 1);
        *newest = Some(Frame { width: info.width(), height: info.height(), pixels, number });
    });
    Ok(())
}

fn rgba(buffer: gst::Buffer, info: &gst_video::VideoInfo) -> Result<Bytes, gst::FlowError> {
    let row = info.width() as usize * 4;
    let stride = usize::try_from(info.stride()[0]).map_err(|_| gst::FlowError::NotSupported)?;
    let pixels = buffer.into_mapped_buffer_readable().map_err(|_| gst::FlowError::Error)?;
    let size = row * info.height() as usize;
    if stride == row && pixels.len() >= size {
        return Ok(Bytes::from_owner(pixels).slice(..size));
    }
    let rows: Vec<u8> =
        pixels.chunks(stride).take(info.height() as usize).flat_map(|r| &r[..row.min(r.len())]).copied().collect();
    if rows.len() == size { Ok(rows.into()) } else { Err(gst::FlowError::Error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same picture as GStreamer converts it, whatever its size, its padding and its colours.
    #[test]
    fn planes_are_drawn_as_gstreamer_draws_them() {
        gst::init().expect("GStreamer");
        for (width, height, colours) in [(320, 240, "bt601"), (318, 178, "bt709"), (65, 33, "1:4:0:0")] {
            let caps = gst::Caps::builder("video/x-raw")
                .field("format", "I420")
                .field("width", width)
                .field("height", height)
                .field("framerate", gst::Fraction::new(30, 1))
                .field("colorimetry", colours)
                .build();
            let info = gst_video::VideoInfo::from_caps(&caps).expect("a kind of picture");
            // A gentle ground: neighbours are alike, so that the ways in which colours are spread over four pixels agree.
            let mut bytes = vec![0; info.size()];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = match at {
                    _ if at < info.offset()[1] => 40 + (at / info.stride()[0] as usize) as u8 / 2,
                    _ if at < info.offset()[2] => 70 + (at % info.stride()[1] as usize) as u8 / 4,
                    _ => 190 - (at % info.stride()[2] as usize) as u8 / 4,
                };
            }
            let (_, wanted) = crate::convert(
                "videoconvert ! video/x-raw,format=RGBA",
                &caps,
                bytes.clone(),
                std::time::Duration::from_secs(20),
            )
            .expect("a conversion");
            let slot = watch::channel(None).0;
            let buffer = gst::Buffer::from_slice(bytes);
            store(&slot, &gst::Sample::builder().buffer(&buffer).caps(&caps).build()).expect("a picture");
            let frame = slot.borrow().clone().expect("a picture");
            assert_eq!((frame.width, frame.height), (width as u32, height as u32));
            let (rgba, mut rgb) = (frame.rgba(), vec![0; (width * height * 3) as usize]);
            frame.write_rgb(&mut rgb);
            assert_eq!(rgba.len(), wanted.len());
            for (at, (ours, theirs)) in rgba.chunks(4).zip(wanted.chunks(4)).enumerate() {
                assert_eq!(ours[..3], rgb[at * 3..at * 3 + 3], "the two ways are one");
                for (our, their) in ours.iter().zip(theirs) {
                    // GStreamer counts in 8 bits; another matrix would be 12 away.
                    assert!(our.abs_diff(*their) <= 6, "{width}x{height} {colours}: pixel {at} {ours:?} {theirs:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_and_a_wrong_room_stays_untouched() {
        gst::init().expect("GStreamer");
        let slot = watch::channel(None).0;
        let caps = |format: &str| {
            let caps = gst::Caps::builder("video/x-raw").field("format", format);
            caps.field("width", 64).field("height", 32).field("framerate", gst::Fraction::new(1, 1)).build()
        };
        let sample = |format: &str, bytes: usize| {
            let buffer = gst::Buffer::from_slice(vec![7; bytes]);
            gst::Sample::builder().buffer(&buffer).caps(&caps(format)).build()
        };
        for (format, bytes) in [("NV12", 64 * 32 * 3 / 2), ("I420", 64 * 32), ("RGBA", 64 * 32)] {
            assert!(store(&slot, &sample(format, bytes)).is_err(), "{format} of {bytes} bytes");
        }
        assert!(slot.borrow().is_none());
        store(&slot, &sample("RGBA", 64 * 32 * 4)).expect("a picture");
        let mut room = vec![9; 5];
        slot.borrow().as_ref().expect("a picture").write_rgb(&mut room);
        assert_eq!(room, [9; 5]);
    }
}
