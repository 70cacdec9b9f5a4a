//! What leaves the cabin in a call, and how much of it.

use rtc::rtp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// The fixed part of an RTP header.
const RTP_HEADER_BYTES: u64 = 12;

/// What is counted in the tasks and told in the stats.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    /// The next sequence number, to continue a stream with another source.
    pub(crate) picture_sequence: AtomicU32,
    pub(crate) sound_sequence: AtomicU32,
    pub(crate) instrument_picture_sequence: AtomicU32,
    pub(crate) instrument_sound_sequence: AtomicU32,
}

/// Which of the counts is a stream's next sequence number.
pub(crate) type Sequence = fn(&Counts) -> &AtomicU32;

/// Takes captured packets to the connection. Before it is up they go nowhere, which is meant.
pub(crate) async fn forward(
    mut captured: mpsc::Receiver<rtp::Packet>,
    track: Arc<TrackLocalStaticRTP>,
    counts: Arc<Counts>,
    sequence: Sequence,
) {
    while let Some(packet) = captured.recv().await {
        sequence(&counts).store(u32::from(packet.header.sequence_number.wrapping_add(1)), Ordering::Relaxed);
        let bytes = packet.payload.len() as u64 + RTP_HEADER_BYTES;
        if track.write_rtp(packet).await.is_ok() {
            counts.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}
