//! Tells the far end when each picture and each sound was made, so that it shows and plays together what belongs together.
//!
//! The library's reports take a packet for made when it was sent. A picture is sent when it is encoded, a sound when its
//! packet is full, and both when the network's task comes to it: the far end then waits with one for the other (measured:
//! pictures 10 to 60 ms later, another way in each call).

use crate::capture::Marks;
use crate::lock;
use crate::watched::Watch;
use media::Beat;
use rtc::interceptor::{Packet, TaggedPacket};
use rtc::rtcp::sender_report::SenderReport;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The clocks of a call's streams. Knows nothing, and changes nothing, before [`CaptureTimes::begin`].
#[derive(Clone, Default)]
pub(crate) struct CaptureTimes(Arc<Mutex<Option<Streams>>>);

struct Streams {
    beat: Beat,
    /// By source: the time in a packet that was made when the beat began, and ticks a second.
    clocks: HashMap<u32, (u32, u32)>,
}

impl CaptureTimes {
    /// These streams are of that beat, each with its clock in ticks a second.
    pub(crate) fn begin<'a>(&self, beat: &Beat, streams: impl IntoIterator<Item = (&'a Marks, u32)>) {
        let clocks = streams.into_iter().map(|(marks, rate)| (marks.ssrc, (marks.timestamp_offset, rate)));
        *lock(&self.0) = Some(Streams { beat: beat.clone(), clocks: clocks.collect() });
    }
}

/// The time in a packet of what is made so long after the beat began.
fn ticks(after: Duration, (offset, rate): (u32, u32)) -> u32 {
    let ticks = after.as_nanos() * u128::from(rate) / 1_000_000_000;
    offset.wrapping_add(ticks as u32)
}

impl Watch for CaptureTimes {
    fn leaves(&mut self, message: &mut TaggedPacket) {
        let Packet::Rtcp(packets) = &mut message.message.packet else { return };
        let streams = lock(&self.0);
        let Some(streams) = streams.as_ref() else { return };
        for packet in packets {
            let Some(report) = packet.as_any().downcast_ref::<SenderReport>() else { continue };
            // It says what time it is now: in both ways.
            if let Some(clock) = streams.clocks.get(&report.ssrc) {
                let rtp_time = ticks(streams.beat.elapsed().into(), *clock);
                *packet = Box::new(SenderReport { rtp_time, ..report.clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::interceptor::AttributedPacket;
    use rtc::shared::TransportContext;
    use std::time::Instant;

    fn report(ssrc: u32) -> TaggedPacket {
        let report = SenderReport { ssrc, rtp_time: 1, packet_count: 9, ..Default::default() };
        TaggedPacket {
            now: Instant::now(),
            transport: TransportContext::default(),
            message: AttributedPacket::new(Packet::Rtcp(vec![Box::new(report)])),
        }
    }

    fn rtp_time(packet: &TaggedPacket) -> (u32, u32) {
        let Packet::Rtcp(packets) = &packet.message.packet else { panic!("a report") };
        let report = packets[0].as_any().downcast_ref::<SenderReport>().expect("a report");
        (report.rtp_time, report.packet_count)
    }

    #[test]
    fn a_report_says_what_would_be_in_a_packet_made_now() {
        gstreamer::init().expect("GStreamer");
        let marks = |ssrc, timestamp_offset| Marks { payload_type: 96, ssrc, next_sequence: 1, timestamp_offset };
        let (picture, sound) = (marks(7, u32::MAX - 5), marks(8, 1_000));
        let mut times = CaptureTimes::default();
        let mut early = report(7);
        times.leaves(&mut early);
        assert_eq!(rtp_time(&early), (1, 9), "nothing is known yet");

        let beat = Beat::new();
        times.begin(&beat, [(&picture, 90_000), (&sound, 48_000)]);
        for (ssrc, clock) in [(7, (u32::MAX - 5, 90_000)), (8, (1_000, 48_000))] {
            let mut leaving = report(ssrc);
            let before = beat.elapsed();
            times.leaves(&mut leaving);
            let (time, packets) = rtp_time(&leaving);
            let first = ticks(before.into(), clock);
            let last = ticks(beat.elapsed().into(), clock);
            assert!(time.wrapping_sub(first) <= last.wrapping_sub(first), "{time} between {first} and {last}");
            assert_eq!(packets, 9, "the rest is as it was");
        }
        let mut foreign = report(9);
        times.leaves(&mut foreign);
        assert_eq!(rtp_time(&foreign), (1, 9));
    }

    #[test]
    fn ticks_go_on_beyond_the_end_of_their_numbers() {
        assert_eq!(ticks(Duration::from_secs(2), (10, 48_000)), 96_010);
        assert_eq!(ticks(Duration::from_millis(1), (u32::MAX, 90_000)), 89);
        // Half a day of pictures wraps.
        assert_eq!(ticks(Duration::from_secs(50_000), (0, 90_000)), (50_000_u64 * 90_000 % (1 << 32)) as u32);
    }
}
