//! What the two ends tell each other about packets, between the library and our own decisions: the estimator's
//! plug, which packets the far end spoke of at all, its requests for a key frame, and which lost packets are worth
//! sending again.

use crate::estimator::{Estimate, Estimator, Fate, SILENCE};
use crate::lock;
use crate::pieces::{Encoding, begins_key_frame};
use crate::watched::Watch;
use rtc::interceptor::{Attribute, BandwidthEstimator, Packet, PacketReport, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// IPv4, UDP and the tag of SRTP, around what the library counts.
const BYTES_AROUND: usize = 20 + 8 + 10;
/// Packets sent again are remembered up to this many; beyond, the oldest round trips are forgotten.
const ANSWERED_MAX: usize = 4_096;
/// Packets sent again may take this share of what the line carries: what a line loses beyond that comes as a key frame.
const SHARE_OF_LINE: f64 = 0.3;
/// And so much in any case, in bits a second: on the narrowest line a picture consists of few packets, each of which counts.
const SHARE_MIN: f64 = 40_000.0;
/// A packet is not sent again sooner, however short the way.
const AGAIN_AFTER_MIN: Duration = Duration::from_millis(30);

/// Reports of the far end that are remembered: the library asks of a packet once, with the next report that comes.
const REPORTS_MAX: usize = 64;

/// Which packets the far end's last reports spoke of, by transport-wide number: the first, and how many. A report that is
/// itself lost says nothing of its packets; the library takes them for lost (`rtpfb/history.rs`, "never acknowledged, so a
/// loss"), which on a line that loses one packet in twenty both ways doubles the loss, in bursts that look like a full
/// queue.
#[derive(Clone, Default)]
pub(crate) struct SpokenOf(Arc<Mutex<VecDeque<(u16, u16)>>>);

impl SpokenOf {
    fn add(&self, first: u16, packets: u16) {
        let mut reports = lock(&self.0);
        if reports.len() == REPORTS_MAX {
            reports.pop_front();
        }
        reports.push_back((first, packets));
    }

    fn includes(&self, number: u16) -> bool {
        lock(&self.0).iter().any(|(first, packets)| number.wrapping_sub(*first) < *packets)
    }
}

/// Reads the far end's reports before the library does.
#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) spoken_of: SpokenOf,
}

impl Watch for Reports {
    fn comes(&mut self, message: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(packets) = &message.message.packet {
            for report in packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<TransportLayerCc>()) {
                self.spoken_of.add(report.base_sequence_number, report.packet_status_count);
            }
        }
        true
    }
}

/// The estimator, fed by the library's transport-wide feedback.
pub(crate) struct Plug {
    estimator: Estimator,
    spoken_of: SpokenOf,
    start: Instant,
    /// When the estimator next looks at the time.
    next_at: Instant,
    out: watch::Sender<Estimate>,
}

impl Plug {
    /// With the estimate at its other end, which changes with each report.
    pub(crate) fn new(maximum: u32, start: Instant, spoken_of: SpokenOf) -> (Plug, watch::Receiver<Estimate>) {
        let estimator = Estimator::new(maximum);
        let (out, estimate) = watch::channel(estimator.estimate());
        (Plug { estimator, spoken_of, start, next_at: start, out }, estimate)
    }

    fn publish(&self) {
        let estimate = self.estimator.estimate();
        self.out.send_if_modified(|last| std::mem::replace(last, estimate) != estimate);
    }
}

impl BandwidthEstimator for Plug {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        let fates: Vec<Fate> = reports
            .iter()
            .filter(|report| report.arrived || self.spoken_of.includes(report.twcc_sequence_number))
            .map(|report| Fate {
                size_bytes: report.size + BYTES_AROUND,
                departed_at: report.departure.saturating_duration_since(self.start),
                arrived_at: report.arrival.filter(|_| report.arrived),
            })
            .collect();
        self.estimator.packets_reported(now.saturating_duration_since(self.start), &fates);
        self.publish();
    }

    fn target_bitrate(&self) -> f64 {
        f64::from(self.estimator.estimate().bits_per_second)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.next_at = now + SILENCE / 4;
        self.estimator.time_passed(now.saturating_duration_since(self.start));
        self.publish();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.next_at)
    }
}

/// Stands between the line and the library's answers to requests for lost packets. The library sends a packet again at
/// every request; a far end that asks every tenth of a second over a long line would fill it with copies (measured: three
/// times the picture), and a line that is overfull would be filled by the answers to its own losses.
///
/// What a picture needs that was sent before its last key frame is not worth an answer: the far end goes on with that key
/// frame, as soon as all of it has come. Measured: after a line had narrowed, some hundred requests for packets of former
/// pictures left no room for the two that the key frame lacked, and so it went with each that followed.
pub(crate) struct Retransmissions {
    line: watch::Receiver<Estimate>,
    /// The streams that are pictures, and how they are sent.
    pictures: [u32; 2],
    is_h264: Arc<AtomicBool>,
    /// The packet with which each stream's last key frame began.
    key_frames: HashMap<u32, u16>,
    /// Bytes sent again since the start.
    resent: Arc<AtomicU64>,
    answered: HashMap<(u32, u16), Instant>,
    /// What may be sent again, in bits, and when it was last counted.
    allowed: f64,
    counted_at: Option<Instant>,
}

impl Retransmissions {
    pub(crate) fn new(
        line: watch::Receiver<Estimate>,
        resent: Arc<AtomicU64>,
        pictures: [u32; 2],
        is_h264: Arc<AtomicBool>,
    ) -> Retransmissions {
        Retransmissions {
            line,
            pictures,
            is_h264,
            key_frames: HashMap::new(),
            resent,
            answered: HashMap::new(),
            allowed: 0.0,
            counted_at: None,
        }
    }

    /// Leaves of a request what is worth an answer.
    fn worth(&mut self, now: Instant, request: &TransportLayerNack) -> Vec<NackPair> {
        let Estimate { bits_per_second, round_trip, .. } = *self.line.borrow();
        let share = (f64::from(bits_per_second) * SHARE_OF_LINE).max(SHARE_MIN);
        let elapsed = self.counted_at.replace(now).map_or(1.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.allowed = (self.allowed + share * elapsed).min(share);
        if self.allowed <= 0.0 {
            return Vec::new();
        }
        // The far end asks again after its own round trip, which is shorter than ours with its reports.
        let again_after = round_trip.mul_f64(0.7).max(AGAIN_AFTER_MIN);
        if self.answered.len() > ANSWERED_MAX {
            self.answered.retain(|_, at| now.saturating_duration_since(*at) < again_after);
        }
        let asked = request.nacks.iter().flat_map(|pair| {
            let further = (0..16).filter(|bit| pair.lost_packets & (1 << bit) != 0);
            std::iter::once(pair.packet_id).chain(further.map(|bit| pair.packet_id.wrapping_add(bit + 1)))
        });
        let answered = &mut self.answered;
        let key_frame = self.key_frames.get(&request.media_ssrc).copied();
        asked
            .filter(|number| key_frame.is_none_or(|first| number.wrapping_sub(first) < u16::MAX / 2))
            .filter(|number| {
                let key = (request.media_ssrc, *number);
                let due = answered.get(&key).is_none_or(|at| now.saturating_duration_since(*at) >= again_after);
                if due {
                    answered.insert(key, now);
                }
                due
            })
            .map(|packet_id| NackPair { packet_id, lost_packets: 0 })
            .collect()
    }
}

impl Watch for Retransmissions {
    fn comes(&mut self, message: &mut TaggedPacket) -> bool {
        let now = message.now;
        if let Packet::Rtcp(packets) = &mut message.message.packet {
            let is_request = |packet: &dyn std::any::Any| packet.is::<TransportLayerNack>();
            if packets.iter().any(|packet| is_request(packet.as_any())) {
                let former = std::mem::take(packets);
                for packet in former {
                    match packet.as_any().downcast_ref::<TransportLayerNack>() {
                        None => packets.push(packet),
                        Some(request) => {
                            let nacks = self.worth(now, request);
                            if !nacks.is_empty() {
                                packets.push(Box::new(TransportLayerNack { nacks, ..request.clone() }));
                            }
                        }
                    }
                }
                if packets.is_empty() {
                    return false;
                }
            }
        }
        true
    }

    fn leaves(&mut self, message: &mut TaggedPacket) {
        if let Packet::Rtp(packet) = &message.message.packet {
            if message.message.has(&Attribute::Retransmission) {
                let bytes = packet.payload.len() + 14 + BYTES_AROUND;
                self.allowed -= bytes as f64 * 8.0;
                self.resent.fetch_add(bytes as u64, Ordering::Relaxed);
            } else if self.pictures.contains(&packet.header.ssrc) {
                let is_h264 = self.is_h264.load(Ordering::Relaxed);
                let encoding = if is_h264 { Encoding::H264 } else { Encoding::Vp8 };
                if begins_key_frame(encoding, &packet.payload) {
                    self.key_frames.insert(packet.header.ssrc, packet.header.sequence_number);
                }
            }
        }
    }
}

/// Notices the far end's requests for a key frame. Incoming RTCP otherwise ends inside the library.
#[derive(Default)]
pub(crate) struct KeyFrameRequests {
    /// The stream of the instrument's picture; every other is the camera's.
    instrument: u32,
    pub(crate) asked: Arc<tokio::sync::Notify>,
    pub(crate) asked_of_instrument: Arc<tokio::sync::Notify>,
}

impl KeyFrameRequests {
    /// `instrument` is the stream of the instrument's picture.
    pub(crate) fn new(instrument: u32) -> KeyFrameRequests {
        KeyFrameRequests { instrument, ..KeyFrameRequests::default() }
    }
}

impl Watch for KeyFrameRequests {
    fn comes(&mut self, message: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(packets) = &message.message.packet {
            for packet in packets {
                let packet = packet.as_any();
                let of =
                    match (packet.downcast_ref::<PictureLossIndication>(), packet.downcast_ref::<FullIntraRequest>()) {
                        (Some(request), _) => request.media_ssrc,
                        // RFC 5104 section 4.3.1.1: the stream is named in each entry.
                        (_, Some(request)) => request.fir.first().map_or(0, |entry| entry.ssrc),
                        _ => continue,
                    };
                if of == self.instrument { self.asked_of_instrument.notify_one() } else { self.asked.notify_one() }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(packets: &[u16]) -> TransportLayerNack {
        let nacks = packets.iter().map(|packet_id| NackPair { packet_id: *packet_id, lost_packets: 0b1 }).collect();
        TransportLayerNack { sender_ssrc: 1, media_ssrc: 2, nacks }
    }

    fn answered(asked: &mut Retransmissions, now: Instant, packets: &[u16]) -> Vec<u16> {
        asked.worth(now, &request(packets)).iter().map(|pair| pair.packet_id).collect()
    }

    fn report(number: u16, arrived: bool, now: Instant) -> PacketReport {
        PacketReport {
            ssrc: 1,
            id: u64::from(number),
            rtp_sequence_number: number,
            is_twcc: true,
            twcc_sequence_number: number,
            size: 1_000,
            arrived,
            departure: now,
            arrival: arrived.then_some(Duration::from_millis(u64::from(number) * 10)),
            ecn: rtc::rtcp::transport_feedbacks::cc_feedback_report::Ecn::NotEct,
        }
    }

    #[test]
    fn a_packet_of_which_the_far_end_did_not_speak_is_not_lost() {
        let lost = |spoken: &[(u16, u16)]| {
            let (start, reports) = (Instant::now(), SpokenOf::default());
            let (mut plug, line) = Plug::new(1_000_000, start, reports.clone());
            spoken.iter().for_each(|(first, packets)| reports.add(*first, *packets));
            // 65,530 to 65,533 came, then four of a report that never arrived, across the end of numbers, then four.
            let all = (0..12_u16).map(|step| (65_530_u16.wrapping_add(step), !(4..8).contains(&step)));
            let all: Vec<PacketReport> = all.map(|(number, arrived)| report(number, arrived, start)).collect();
            plug.on_reports(start + Duration::from_secs(1), &all);
            line.borrow().lost_thousandths
        };
        assert_eq!(lost(&[(65_530, 4), (2, 4)]), 0, "nothing was said of them");
        assert_eq!(lost(&[(65_530, 4), (65_534, 8)]), 333, "they were said to be missing");
        let many = SpokenOf::default();
        (0..1_000).for_each(|first| many.add(first, 1));
        assert!(many.includes(999) && !many.includes(0), "memory is bounded");
    }

    #[test]
    fn a_lost_packet_is_sent_again_once_a_round_trip() {
        let round_trip = Duration::from_millis(300);
        let estimate = Estimate { bits_per_second: 300_000, lost_thousandths: 50, round_trip, silent: false };
        let (_line, estimates) = watch::channel(estimate);
        let mut asked = Retransmissions::new(estimates, Arc::default(), [2, 3], Arc::default());
        let start = Instant::now();
        assert_eq!(answered(&mut asked, start, &[10, 65_535]), [10, 11, 65_535, 0]);
        assert_eq!(answered(&mut asked, start + Duration::from_millis(100), &[10, 20]), [20, 21]);
        assert_eq!(answered(&mut asked, start + round_trip, &[10]), [10, 11]);
    }

    #[test]
    fn what_was_sent_before_the_last_key_frame_is_not_sent_again() {
        let estimate = Estimate {
            bits_per_second: 1_000_000,
            lost_thousandths: 50,
            round_trip: Duration::from_millis(100),
            silent: false,
        };
        let (_line, estimates) = watch::channel(estimate);
        let mut asked = Retransmissions::new(estimates, Arc::default(), [2, 3], Arc::default());
        let start = Instant::now();
        // Without extension; the lowest bit of the frame tag is clear in a key frame.
        for (ssrc, number, payload) in [(2, 65_530, [0x10, 0x10]), (2, 65_531, [0x10, 0x11]), (7, 65_535, [0x10, 0x10])]
        {
            let mut packet = rtc::rtp::Packet { payload: payload.to_vec().into(), ..Default::default() };
            (packet.header.ssrc, packet.header.sequence_number) = (ssrc, number);
            let message = rtc::interceptor::AttributedPacket::new(Packet::Rtp(packet));
            let transport = rtc::shared::TransportContext::default();
            asked.leaves(&mut TaggedPacket { now: start, transport, message });
        }
        assert_eq!(answered(&mut asked, start, &[65_500, 65_529, 65_533, 4]), [65_530, 65_533, 65_534, 4, 5]);
    }

    #[test]
    fn what_is_sent_again_takes_a_part_of_the_line_at_most() {
        let estimate = Estimate {
            bits_per_second: 300_000,
            lost_thousandths: 500,
            round_trip: Duration::from_millis(100),
            silent: false,
        };
        let (_line, estimates) = watch::channel(estimate);
        let resent = Arc::new(AtomicU64::new(0));
        let mut asked = Retransmissions::new(estimates, Arc::clone(&resent), [2, 3], Arc::default());
        let start = Instant::now();
        // A far end that asks for a hundred packets a second, a thousand bytes each.
        for hundredth in 0..1_000 {
            let now = start + Duration::from_millis(10) * hundredth;
            for _ in asked.worth(now, &request(&[hundredth as u16 * 2])) {
                let packet = rtc::rtp::Packet { payload: vec![0; 948].into(), ..Default::default() };
                let message =
                    rtc::interceptor::AttributedPacket::new(Packet::Rtp(packet)).with(Attribute::Retransmission);
                let transport = rtc::shared::TransportContext::default();
                asked.leaves(&mut TaggedPacket { now, transport, message });
            }
        }
        let bits_per_second = resent.load(Ordering::Relaxed) as f64 * 8.0 / 10.0;
        assert!((70_000.0..110_000.0).contains(&bits_per_second), "{bits_per_second}");
    }
}
