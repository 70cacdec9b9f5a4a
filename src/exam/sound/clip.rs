//! A clip: some seconds of sound, kept without loss.

use std::fmt;
use std::time::Duration;

use consult::private::Private;
use consult::vitals::Moment;
use gstreamer as gst;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::flac;
use super::measures::{self, Advice, Gap, Measures};
use crate::device::Device;

/// What a clip lasts unless it is asked for otherwise: five breaths.
pub const CLIP: Duration = Duration::from_secs(15);
/// A longer clip is not taken.
pub const CLIP_MAX: Duration = Duration::from_secs(60);
/// Packing takes some milliseconds; on a machine that is very busy, seconds.
const PACKED_WITHIN: Duration = Duration::from_secs(30);

/// Some seconds of sound as FLAC, one channel of 16 bits.
pub struct Clip {
    /// The file.
    pub flac: Private<Vec<u8>>,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Samples a second.
    pub rate: u32,
    /// When its first sample came, by the cabin's clock.
    pub at: Moment,
    /// What it was taken with.
    pub device: Device,
    /// What was measured.
    pub measures: Measures,
    /// Where something is missing.
    pub gaps: Vec<Gap>,
    /// What to do for a better one.
    pub advice: Option<Advice>,
}

/// The sound is of a person.
impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip of {} samples at {} Hz [patient]", self.measures.samples, self.rate)
    }
}

/// Why there is no clip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    /// The stethoscope went away: check its cable.
    #[error("the stethoscope is not there: check its cable")]
    Lost,
    /// Longer than [`CLIP_MAX`], or nothing.
    #[error("a clip of {0:?} is not taken: at most {CLIP_MAX:?}")]
    Length(Duration),
    /// Another clip is being taken.
    #[error("another clip is being taken")]
    Busy,
    /// GStreamer lacks its FLAC elements (gstreamer1.0-plugins-good), or packed what was not captured.
    #[error("the clip could not be packed without loss: {why}")]
    NotPacked {
        /// GStreamer's words, for the telephone.
        why: String,
    },
}

/// Packs samples and proves that unpacking gives them back: each one, and no other.
///
/// # Errors
///
/// [`ClipError::NotPacked`]; [`ClipError::Length`] without any sample.
pub fn pack(samples: &[i16], rate: u32, at: Moment, device: Device, gaps: Vec<Gap>) -> Result<Clip, ClipError> {
    if samples.is_empty() {
        return Err(ClipError::Length(Duration::ZERO));
    }
    let not_packed = |why: String| ClipError::NotPacked { why };
    gst::init().map_err(|error| not_packed(error.to_string()))?;
    let captured: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let raw = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", i32::try_from(rate).unwrap_or(0))
        .field("channels", 1i32)
        .build();
    let pack = "flacenc quality=5 padding=0 seekpoints=0";
    let (kind, mut file) = media::convert(pack, &raw, captured.clone(), PACKED_WITHIN).map_err(not_packed)?;
    flac::seal(&mut file, samples.len() as u64, Md5::digest(&captured).into())
        .map_err(|error| not_packed(error.to_string()))?;
    let unpack = "flacparse ! flacdec ! audio/x-raw,format=S16LE";
    let plain = gst::Caps::new_empty_simple(kind.structure(0).map_or("audio/x-flac", |kind| kind.name().as_str()));
    let (_, unpacked) = media::convert(unpack, &plain, file.clone(), PACKED_WITHIN).map_err(not_packed)?;
    if unpacked != captured {
        return Err(not_packed(format!("{} bytes of sound became {}", captured.len(), unpacked.len())));
    }
    let measures = measures::measure(samples);
    Ok(Clip {
        sha256: Sha256::digest(&file).into(),
        flac: Private::new(file),
        rate,
        at,
        device,
        advice: measures::advice(&measures, &gaps),
        measures,
        gaps,
    })
}
