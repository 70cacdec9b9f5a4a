//! A still: one picture of an examination, as the camera sent it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use consult::private::Private;
use consult::vitals::Moment;
use gstreamer as gst;
use gstreamer_video as gst_video;
use media::{Frame, Pixels};
use sha2::{Digest as _, Sha256};

use crate::device::Device;
use crate::jpeg::{self, Broken};
use crate::picture::{self, Advice, Luma, Measures};

/// How little a raw picture is compressed: 100 is least. At 95 no eye sees a difference.
pub const QUALITY: u8 = 95;
/// A picture is packed or unpacked in milliseconds; on a machine that is very busy, in seconds.
const WORKED_WITHIN: Duration = Duration::from_secs(20);

/// How a still came to be a JPEG picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// By the camera: every byte is as it was sent.
    ByCamera,
    /// By this machine, from pixels of that format, at that quality (1 to 100).
    Here {
        /// GStreamer's name of the camera's format, `YUY2`.
        from: String,
        /// JPEG quality.
        quality: u8,
    },
}

/// One picture of an examination.
pub struct Still {
    /// The JPEG picture.
    pub jpeg: Private<Vec<u8>>,
    /// SHA-256 of the picture's bytes.
    pub sha256: [u8; 32],
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Who made it a JPEG picture.
    pub made: Made,
    /// When it came from the camera, by the cabin's clock.
    pub at: Moment,
    /// What it was taken with.
    pub device: Device,
    /// What was measured.
    pub measures: Measures,
    /// What to do for a better one.
    pub advice: Option<Advice>,
    /// The same, ready to be drawn: what the screen holds still.
    pub frozen: Frame,
}

/// The picture is of a person.
impl fmt::Debug for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Still {}x{}, {:?} [patient]", self.width, self.height, self.made)
    }
}

/// Why there is no still.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// The camera is not there, or sends nothing: check its cable.
    #[error("no picture comes from the camera: check its cable")]
    NoPicture,
    /// The camera's pictures arrive damaged: another cable or socket, without a hub.
    #[error("the camera's pictures arrive damaged ({why}): try another cable or socket, without a hub")]
    Damaged {
        /// What the last one lacked.
        why: Broken,
    },
    /// GStreamer lacks its JPEG elements (gstreamer1.0-plugins-good), or cannot read what the camera sends.
    #[error("the picture could not be read: {why}")]
    Unreadable {
        /// GStreamer's words, for the telephone.
        why: String,
    },
}

/// A picture as it came.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) bytes: Bytes,
    pub(crate) caps: gst::Caps,
    pub(crate) at: Moment,
}

/// The picture is of a person.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes [patient]", self.bytes.len())
    }
}

/// Makes the still of a picture that a camera sent. `best` is the sharpest that was seen shortly before.
pub(crate) fn make(sent: &Sent, device: Device, best: Option<u32>) -> Result<Still, StillError> {
    let unreadable = |why: String| StillError::Unreadable { why };
    let (bytes, made) = match gst_video::VideoInfo::from_caps(&sent.caps) {
        Ok(info) if info.format() != gst_video::VideoFormat::Encoded => {
            let from = info.format().to_str().to_string();
            let encode = format!("videoconvert ! jpegenc quality={QUALITY}");
            let (_, bytes) =
                media::convert(&encode, &sent.caps, sent.bytes.to_vec(), WORKED_WITHIN).map_err(unreadable)?;
            (bytes, Made::Here { from, quality: QUALITY })
        }
        _ => (sent.bytes.to_vec(), Made::ByCamera),
    };
    of_jpeg(bytes, made, sent.at, device, best)
}

/// Checks that the picture is whole, looks at it and seals it.
///
/// # Errors
///
/// [`StillError::Damaged`] where a part is missing, [`StillError::Unreadable`] where it cannot be decoded.
pub fn of_jpeg(
    mut bytes: Vec<u8>,
    made: Made,
    at: Moment,
    device: Device,
    best: Option<u32>,
) -> Result<Still, StillError> {
    let whole = jpeg::whole(&bytes).map_err(|why| StillError::Damaged { why })?;
    // What a camera pads its transfer with is no part of the picture.
    bytes.truncate(whole.length);
    let unreadable = |why: String| StillError::Unreadable { why };
    gst::init().map_err(|error| unreadable(error.to_string()))?;
    let (width, height) = (u32::from(whole.width), u32::from(whole.height));
    let caps = gst::Caps::builder("image/jpeg")
        .field("width", i32::from(whole.width))
        .field("height", i32::from(whole.height))
        .field("framerate", gst::Fraction::new(1, 1))
        .build();
    let decode = "jpegdec ! videoconvert ! video/x-raw,format=RGBA";
    let (_, rgba) = media::convert(decode, &caps, bytes.clone(), WORKED_WITHIN).map_err(unreadable)?;
    let luma = (rgba.len() as u64 == u64::from(width) * u64::from(height) * 4)
        .then(|| Luma::of_rgba(whole.width.into(), whole.height.into(), &rgba))
        .flatten()
        .ok_or_else(|| unreadable("it is not of the size that it says".into()))?;
    let measures = picture::measure(&luma);
    Ok(Still {
        sha256: Sha256::digest(&bytes).into(),
        jpeg: Private::new(bytes),
        width,
        height,
        made,
        at,
        device,
        advice: picture::advice(&measures, best),
        measures,
        frozen: Frame { width, height, pixels: Pixels::Rgba(rgba.into()), number: 1 },
    })
}
