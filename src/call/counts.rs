//! What leaves the cabin in a call, and how much of it.

use crate::arrivals::Arrivals;
use crate::now;
use crate::unevenness::Unevenness;
use rtc::rtp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// The fixed part of an RTP header.
pub(crate) const RTP_HEADER_BYTES: u64 = 12;

/// What is counted in the tasks and told in the stats.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent_bytes: AtomicU64,
    /// Of them, the camera's pictures'.
    pub(crate) picture_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    /// The next sequence number, to continue a stream with another source.
    pub(crate) picture_sequence: AtomicU32,
    pub(crate) sound_sequence: AtomicU32,
    pub(crate) instrument_picture_sequence: AtomicU32,
    pub(crate) instrument_sound_sequence: AtomicU32,
    /// How fast the picture's packets may leave, in bits a second; 0 is at once.
    pub(crate) picture_pace: AtomicU32,
    pub(crate) arrivals: Arrivals,
    /// How unevenly the far end's pictures and its voice come.
    pub(crate) pictures_come: Unevenness,
    pub(crate) sounds_come: Unevenness,
}

/// Packets that leave together: a timer is not finer than a millisecond or two.
const BURST: Duration = Duration::from_millis(10);
/// A picture's packets never wait longer than this for each other, whatever the rate.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// From this rate on a usual picture leaves at once, and only what is larger is spread: one and a half pictures' time of
/// it. On a narrower line even a usual picture would stand before the voice.
const WIDE_FROM: u32 = 500_000;
const AT_ONCE: Duration = Duration::from_millis(50);

/// When the next packet of the picture may leave.
#[derive(Debug, Default)]
struct Pace {
    free_at: Option<Instant>,
}

impl Pace {
    /// How long a packet of these bytes waits, at this rate.
    fn pause(&mut self, now: Instant, bytes: u64, bits_per_second: u32) -> Duration {
        if bits_per_second == 0 {
            return Duration::ZERO;
        }
        let at_once = if bits_per_second >= WIDE_FROM { AT_ONCE } else { Duration::ZERO };
        let earliest = now.checked_sub(at_once).unwrap_or(now);
        let free_at = self.free_at.map_or(earliest, |at| at.max(earliest));
        let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / f64::from(bits_per_second)).min(PAUSE_MAX);
        self.free_at = Some(free_at + takes);
        let wait = free_at.saturating_duration_since(now);
        if wait < BURST { Duration::ZERO } else { wait }
    }
}

/// One of the cabin's streams.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    /// Which of the counts is its next sequence number.
    pub(crate) sequence: fn(&Counts) -> &AtomicU32,
    /// How fast it leaves, in bits a second; 0 is at once.
    pub(crate) pace: fn(&Counts) -> u32,
    /// It is the camera's pictures.
    pub(crate) is_picture: bool,
}

/// Takes captured packets to the connection. Before it is up they go nowhere, which is meant.
pub(crate) async fn forward(
    mut captured: mpsc::Receiver<rtp::Packet>,
    track: Arc<TrackLocalStaticRTP>,
    counts: Arc<Counts>,
    stream: Stream,
) {
    let Stream { sequence, pace, is_picture } = stream;
    let mut paced = Pace::default();
    while let Some(packet) = captured.recv().await {
        sequence(&counts).store(u32::from(packet.header.sequence_number.wrapping_add(1)), Ordering::Relaxed);
        let bytes = packet.payload.len() as u64 + RTP_HEADER_BYTES;
        let pause = paced.pause(now(), bytes, pace(&counts));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if track.write_rtp(packet).await.is_ok() {
            counts.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
            if is_picture {
                counts.picture_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_leaves_at_its_pace_and_a_small_picture_at_once() {
        let start = now();
        let mut pace = Pace::default();
        let mut at = start;
        for _ in 0..30 {
            at += pace.pause(at, 1_000, 400_000);
        }
        let took = at - start;
        assert!((Duration::from_millis(570)..Duration::from_millis(600)).contains(&took), "{took:?}");
        assert_eq!(pace.pause(at + Duration::from_secs(1), 1_000, 400_000), Duration::ZERO);
        assert_eq!(Pace::default().pause(at, 1_000, 0), Duration::ZERO);

        // On a wide line usual pictures leave at once, and of a key frame all but the first part at its pace.
        let mut pace = Pace::default();
        for picture in 0..30 {
            let at = start + Duration::from_millis(33) * picture;
            assert!((0..4).all(|_| pace.pause(at, 1_000, 1_200_000).is_zero()), "picture {picture}");
        }
        let mut at = start + Duration::from_secs(1);
        for _ in 0..30 {
            at += pace.pause(at, 1_000, 1_200_000);
        }
        let took = at - start - Duration::from_secs(1);
        assert!((Duration::from_millis(120)..Duration::from_millis(160)).contains(&took), "{took:?}");
    }
}
