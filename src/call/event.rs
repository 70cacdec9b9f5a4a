//! What a call tells: its events, its figures, its faults.

use crate::progress::Stuck;
use crate::relay::RelayTrouble;
use bytes::Bytes;
use std::fmt;

/// A candidate as browsers exchange them (`RTCIceCandidateInit`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `candidate:...`; empty says that no more will come.
    pub candidate: String,
    /// The section of the description, by its identifier.
    pub sdp_mid: Option<String>,
    /// The section of the description, by its number.
    pub sdp_m_line_index: Option<u16>,
}

/// What a call tells.
#[derive(Clone, PartialEq)]
pub enum CallEvent {
    /// To be sent to the page, after the answer.
    LocalCandidate(Candidate),
    /// Picture, sound and data flow.
    Connected,
    /// Nothing has been heard for three seconds; it may come back.
    Interrupted,
    /// It came back.
    Resumed,
    /// It will not come by itself: close this call and start another.
    Stuck(Stuck),
    /// The channel can be written to.
    ChannelOpen {
        /// Its label.
        channel: String,
    },
    /// The page closed the channel.
    ChannelClosed {
        /// Its label.
        channel: String,
    },
    /// A message, at most [`crate::MESSAGE_BYTES_MAX`].
    Data {
        /// The label of its channel.
        channel: String,
        /// What was sent.
        bytes: Bytes,
        /// Whether it was sent as text (then `bytes` is UTF-8, if the page is honest).
        text: bool,
    },
    /// Every two seconds while connected.
    Stats(Stats),
    /// A part of the cabin needs attention. The call goes on without it.
    Fault(Fault),
    /// A part works that was missing or had broken: plugged in (again), it was taken up in the same streams.
    Restored(Part),
    /// The call is over.
    Ended,
}

/// Data is of a patient: only its length is printed.
impl fmt::Debug for CallEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallEvent::LocalCandidate(_) => write!(f, "LocalCandidate"),
            CallEvent::Connected => write!(f, "Connected"),
            CallEvent::Interrupted => write!(f, "Interrupted"),
            CallEvent::Resumed => write!(f, "Resumed"),
            CallEvent::Stuck(why) => write!(f, "Stuck({why:?})"),
            CallEvent::ChannelOpen { channel } => write!(f, "ChannelOpen({channel:?})"),
            CallEvent::ChannelClosed { channel } => write!(f, "ChannelClosed({channel:?})"),
            CallEvent::Data { channel, bytes, .. } => write!(f, "Data({channel:?}, {} bytes)", bytes.len()),
            CallEvent::Stats(stats) => write!(f, "{stats:?}"),
            CallEvent::Fault(fault) => write!(f, "Fault({fault:?})"),
            CallEvent::Restored(part) => write!(f, "Restored({part:?})"),
            CallEvent::Ended => write!(f, "Ended"),
        }
    }
}

/// How the call goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// There and back, in milliseconds, where the far end has reported it.
    pub round_trip_milliseconds: Option<u32>,
    /// What the line to the far end carries, as estimated, in bits a second.
    pub line_bits_per_second: u32,
    /// What the picture may take of it now, in bits a second.
    pub picture_bits_per_second: u32,
    /// Rows of the picture that is sent.
    pub picture_height: u32,
    /// The picture is single stills: the line is too narrow for one that moves.
    pub stills: bool,
    /// Packets that were lost on the way here in the last two seconds, sent again or not, in thousandths.
    pub received_lost_thousandths: u32,
    /// How long what is received is kept before it is shown and heard, in milliseconds.
    pub kept_milliseconds: u32,
    /// Sent since the last report, in bits a second, picture and sound.
    pub sent_bits_per_second: u32,
    /// Received since the last report, in bits a second, picture and sound.
    pub received_bits_per_second: u32,
    /// Lost on the way to the far end in the last second, in thousandths.
    pub lost_thousandths: u32,
    /// Pictures of the far end handed to the screen since the start.
    pub remote_pictures: u64,
    /// The microphone's loudest tenth of a second since the last report, in decibels below full scale
    /// (0 is full, -120 silence).
    pub microphone_decibels: f32,
    /// The far end's voice, likewise.
    pub remote_decibels: f32,
}

/// What of the cabin a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The room camera.
    Camera,
    /// The microphone, of a headset or not.
    Microphone,
    /// The loudspeaker, or a headset's.
    Loudspeaker,
}

/// What a technician or pharmacist can mend. The call goes on, and looks every two seconds whether a missing part is
/// plugged in (again).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No camera is plugged in: the test picture is sent.
    NoCamera,
    /// The camera stopped or did not start: check its cable. The test picture is sent.
    CameraLost {
        /// GStreamer's words, for the telephone.
        why: String,
    },
    /// No microphone is plugged in: the test tone is sent.
    NoMicrophone,
    /// The microphone stopped or did not start: check its cable. The test tone is sent.
    MicrophoneLost {
        /// GStreamer's words, for the telephone.
        why: String,
    },
    /// No loudspeaker or headset is plugged in: the far end is not heard.
    NoLoudspeaker,
    /// The loudspeaker stopped or did not start: check its cable. The far end is not heard.
    LoudspeakerLost {
        /// GStreamer's words, for the telephone.
        why: String,
    },
    /// The far end's picture or sound could not be decoded; it is tried again.
    Undecodable {
        /// GStreamer's words, for the telephone.
        why: String,
    },
    /// A TURN server does not relay, or no longer: of no weight as long as another path is found. After
    /// [`RelayTrouble::Lost`] the page should be asked for an offer that restarts ICE, which finds one.
    Relay {
        /// As it was given in the settings.
        url: String,
        /// What stands in the way.
        why: RelayTrouble,
    },
}

/// Why a call refused what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A part of GStreamer is missing or broken: install the packages that the README names.
    #[error("the media engine does not work: {why}")]
    NoMedia {
        /// GStreamer's words.
        why: String,
    },
    /// The far end's description or candidate cannot be used.
    #[error("the far end's proposal was refused: {why}")]
    Refused {
        /// What is wrong with it.
        why: String,
    },
    /// Longer than its limit.
    #[error("{what} of {bytes} bytes exceeds {max} bytes")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The page has not opened that channel, or has closed it.
    #[error("the channel {channel} is not open")]
    NotOpen {
        /// Its label.
        channel: String,
    },
    /// Too much waits to be sent on that channel; the line is slow or cut.
    #[error("the channel {channel} is full")]
    Full {
        /// Its label.
        channel: String,
    },
    /// The call is closed.
    #[error("the call is over")]
    Closed,
}
