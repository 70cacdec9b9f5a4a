//! Camera and microphone: found, encoded, cut into RTP packets.
//!
//! Where there is no camera a moving test picture is sent, and where there is no microphone a quiet tone,
//! and the call says so: a cabin under installation can then be tested up to the physician's screen.

use gstreamer as gst;
use gstreamer::prelude::*;
use media::{Running, named};
use rtc::rtp;
use rtc::shared::marshal::Unmarshal;
use tokio::sync::mpsc;

mod cover;
mod found;
mod gate;
mod picture;
mod place;
mod sound;
mod source;

pub(crate) use found::{first_loudspeaker, may_be_there};
pub(crate) use picture::PictureCapture;
pub use place::Places;
pub(crate) use sound::SoundCapture;

/// Room for an IPv6, UDP, SRTP and RTP header extension around a packet within 1,280 bytes.
pub(crate) const RTP_BYTES_MAX: u32 = 1_180;

/// Where captured packets go. When it is full (the network task is behind) packets are dropped, as a
/// network would: a late picture is worth nothing, and the encoder must never wait.
pub(crate) type Outgoing = mpsc::Sender<rtp::Packet>;

/// How one stream is marked on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    /// Continued when a source is replaced in the call, so that the far end sees one stream.
    pub(crate) next_sequence: u16,
    pub(crate) timestamp_offset: u32,
}

/// For what a source is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The call begins: what is missing is told.
    First,
    /// The device broke, which was told: only what takes its place.
    StandIn,
    /// It may be there again: nothing is told if it is not.
    Again,
}

pub(crate) fn mark(pipeline: &gst::Pipeline, marks: Marks) -> Result<(), String> {
    let payloader: gst::Element = named(pipeline, "payloader")?;
    payloader.set_property("pt", u32::from(marks.payload_type));
    payloader.set_property("ssrc", marks.ssrc);
    payloader.set_property("seqnum-offset", i32::from(marks.next_sequence));
    payloader.set_property("timestamp-offset", marks.timestamp_offset);
    Ok(())
}

fn set_payload_type(running: &Running, payload_type: u8) {
    if let Some(payloader) = running.element("payloader") {
        payloader.set_property("pt", u32::from(payload_type));
    }
}

pub(crate) fn send(sample: &gst::Sample, outgoing: &Outgoing) -> Result<(), gst::FlowError> {
    let map = sample.buffer().ok_or(gst::FlowError::Error)?.map_readable().map_err(|_| gst::FlowError::Error)?;
    if let Ok(packet) = rtp::Packet::unmarshal(&mut map.as_slice()) {
        let _ = outgoing.try_send(packet);
    }
    Ok(())
}
