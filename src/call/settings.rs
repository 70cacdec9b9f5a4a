//! What a call is made with: devices, servers, the picture.

use crate::capture::Places;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a call is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// STUN and TURN servers; none are needed on one machine or one local network.
    pub ice_servers: Vec<IceServer>,
    /// A PEM file of authorities for the certificates of `turns:` servers, trusted besides the system's.
    pub authority_file: Option<PathBuf>,
    /// Nothing but relays: the far end learns no address of this network, and no direct way is tried.
    pub relays_only: bool,
    /// The camera.
    pub video_source: VideoSource,
    /// The microphone.
    pub audio_source: AudioSource,
    /// The loudspeaker or headset.
    pub audio_sink: AudioSink,
    /// What is never chosen by itself.
    pub spared: Spared,
    /// Where cameras that are named by number were plugged in. One of all the calls of a program.
    pub places: Places,
    /// The picture sent.
    pub picture: Picture,
    /// What the picture may take at most, in bits a second. The policy stays below on a narrow line.
    pub picture_bits_per_second_max: u32,
    /// How long packets are kept at least to put them in order, in milliseconds, 2,000 at most. Longer by itself where
    /// they come unevenly, and where some are lost and the round trip is long, so that one sent again comes in time.
    pub jitter_milliseconds: u32,
}

/// The files of cameras (`/dev/video2`) and sound cards (`hw:1`) that [`VideoSource::Auto`] and [`AudioSource::Auto`]
/// never choose: those of an examination. Asked at each choice, since a file's number is another after each plugging.
#[derive(Clone, Default)]
pub struct Spared(Option<Arc<dyn Fn() -> Vec<String> + Send + Sync>>);

impl Spared {
    /// Those that `files` names, which may look into the kernel's tree.
    pub fn by(files: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Spared {
        Spared(Some(Arc::new(files)))
    }

    pub(crate) fn files(&self) -> Vec<String> {
        self.0.as_ref().map(|files| files()).unwrap_or_default()
    }
}

impl fmt::Debug for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Spared(some)" } else { "Spared(none)" })
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            ice_servers: Vec::new(),
            authority_file: None,
            relays_only: false,
            video_source: VideoSource::Auto,
            audio_source: AudioSource::Auto,
            audio_sink: AudioSink::Auto,
            spared: Spared::default(),
            places: Places::default(),
            picture: Picture { width: 640, height: 480, frames_per_second: 30 },
            picture_bits_per_second_max: 1_000_000,
            jitter_milliseconds: 60,
        }
    }
}

/// One STUN or TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// For example `stun:stun.example.org:3478`, `turn:turn.example.org:3478?transport=udp`, the same with
    /// `?transport=tcp`, or `turns:turn.example.org:443`. [`crate::RELAYS_MAX`] of TURN in a call.
    pub urls: Vec<String>,
    /// Empty for STUN.
    pub username: String,
    /// Empty for STUN.
    pub credential: String,
}

/// The credential is never printed.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceServer {:?}", self.urls)
    }
}

/// Where the picture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoSource {
    /// The first camera found; the test picture where there is none.
    Auto,
    /// A V4L2 device, for example `/dev/v4l/by-id/…` or `/dev/video0`. A camera that was used under a number is found again
    /// by the socket it is plugged into, or by its serial number, whichever number it has then.
    Device(String),
    /// A moving ball, and in its upper left corner, as white and black squares, when it was made.
    TestPicture,
    /// Rings that run: every pixel changes, so that the encoder needs all that it may spend. For measurements.
    BusyPicture,
    /// None: no picture is offered to the far end, nor sent.
    Off,
}

/// Where the sound comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioSource {
    /// The first microphone found; the test tone where there is none.
    Auto,
    /// An ALSA device, for example `hw:1,0`.
    Device(String),
    /// A quiet tone.
    TestTone,
    /// A WAV file, once, untouched; then the tone. For measurements.
    Recording(PathBuf),
    /// None: no sound is offered to the far end, nor sent.
    Off,
}

/// Where the far end is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioSink {
    /// The first loudspeaker found; nowhere, with a [`crate::Fault`], where there is none.
    Auto,
    /// An ALSA device, for example `hw:1,0`.
    Device(String),
    /// Into this file, as bare samples (16 bits, 48 kHz, one channel). For measurements.
    Recording(PathBuf),
    /// Nowhere.
    Silent,
}

/// The size of the picture sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row, 160 to 1920, even.
    pub width: u32,
    /// Rows, 120 to 1080, even.
    pub height: u32,
    /// 5 to 30.
    pub frames_per_second: u32,
}

impl Settings {
    /// The same, with a picture as large and as frequent as pictures may be.
    pub(crate) fn within_limits(mut self) -> Settings {
        let picture = &mut self.picture;
        picture.width = picture.width.clamp(160, 1_920) & !1;
        picture.height = picture.height.clamp(120, 1_080) & !1;
        picture.frames_per_second = picture.frames_per_second.clamp(5, 30);
        self
    }
}
