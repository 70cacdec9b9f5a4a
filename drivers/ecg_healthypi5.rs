//! ProtoCentral HealthyPi 5: one lead live, by USB. Not a medical device: not for diagnosis.
//!
//! Source: the board's open firmware (`Protocentral/protocentral_healthypi5_zephyr`). A frame is `0A FA`, the length of
//! its data (u16, little endian as all here), its type, the data, and `00 0B`; older sketches leave out the `00`. There
//! is no check sum and no number. Type 2 of 22 bytes has one sample (i32) first, type 3 of 50 bytes eight of them; what
//! else is in them (respiration, light of a finger, figures that the board computes) is not taken, and no figure of a
//! finger that is out (saturation 25) ever is.
//!
//! Samples are those of a MAX30001 (data sheet): 18 bits, 1 V / 2¹⁷ / gain a step, 128 a second. The gain is 80 since
//! the firmware of 2025; a frame does not say it. Earlier firmware sends the same sample with six more bits, which is
//! told by its size and not taken, for its gain is another. So are the frames of the board's kin (HealthyPi v4, ADS1292R,
//! ADS1293), which have other lengths and gains of their own: no voltage is better than a wrong one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::ecg::Lead;

use crate::electrocardiography::{Electrocardiography, Montage};
use crate::{Event, Now, Protocol, Transmit};

const START: [u8; 2] = [0x0A, 0xFA];
const HEAD: usize = 5;
const END: u8 = 0x0B;
/// Type, bytes of data, samples in them.
const FRAMES: [(u8, usize, usize); 3] = [(2, 22, 1), (3, 50, 8), (4, 19, 0)];
/// The longest, with both bytes of its end.
const FRAME_MAX: usize = HEAD + 50 + 2;
/// By the converter's own registers.
const RATE_HZ: u16 = 128;
/// By the firmware's own words. No frame says it: each recording's rate is measured.
const FIRMWARE_RATE_HZ: u16 = 125;
/// 1 V / 2¹⁷ / 80, 10⁻¹⁵ V.
const FEMTOVOLTS_PER_STEP: u64 = 95_367_432;
/// Largest sample of 18 bits.
const SAMPLE_MAX: i32 = 131_071;
const MONTAGE: Montage = Montage {
    leads: &[Lead::I],
    femtovolts_per_step: FEMTOVOLTS_PER_STEP,
    rail: SAMPLE_MAX - 71,
    // Frames have no number: half a second less than there should be is a loss.
    rows_unnumbered: 64,
    rates_hz: &[RATE_HZ, FIRMWARE_RATE_HZ],
};
/// Bytes without a good frame that are noise, and not silence.
const NOISE_BYTES: usize = 4 * FRAME_MAX;

/// The protocol.
pub struct HealthyPi5 {
    buffer: VecDeque<u8>,
    /// The bytes before were a whole frame.
    aligned: bool,
    board: Electrocardiography,
}

impl Default for HealthyPi5 {
    fn default() -> Self {
        Self::new()
    }
}

/// What the oldest bytes are.
enum Found {
    /// Too few to tell.
    More,
    /// No frame: the first of them is skipped.
    Noise,
    /// A frame of so many bytes, with its samples.
    Frame(usize, Vec<i32>),
}

impl HealthyPi5 {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            buffer: VecDeque::with_capacity(FRAME_MAX),
            aligned: false,
            board: Electrocardiography::new(MONTAGE, RATE_HZ, NOISE_BYTES),
        }
    }

    fn find(&mut self) -> Found {
        let bytes = &*self.buffer.make_contiguous();
        let Some((head, data)) = bytes.split_first_chunk::<HEAD>() else { return Found::More };
        let [s0, s1, low, high, kind] = *head;
        let length = usize::from(u16::from_le_bytes([low, high]));
        let known = FRAMES.iter().find(|frame| (frame.0, frame.1) == (kind, length));
        let Some((_, _, samples)) = known.filter(|_| [s0, s1] == START) else { return Found::Noise };
        let end = match data.get(length..) {
            None | Some([] | [0]) => return Found::More,
            Some([END, ..]) => 1,
            Some([0, END, ..]) => 2,
            Some(_) => return Found::Noise,
        };
        let (words, _) = data[..length].as_chunks::<4>();
        let samples: Vec<i32> = words[..*samples].iter().map(|word| i32::from_le_bytes(*word)).collect();
        if samples.iter().any(|sample| !(-SAMPLE_MAX - 1..=SAMPLE_MAX).contains(sample)) {
            return Found::Noise;
        }
        Found::Frame(HEAD + length + end, samples)
    }

    /// Takes what is at the beginning of the buffer. False when it needs more bytes.
    fn next(&mut self, now: Now) -> bool {
        match self.find() {
            Found::More => return false,
            Found::Noise => {
                self.buffer.pop_front();
                if std::mem::take(&mut self.aligned) {
                    self.board.damaged();
                }
            }
            Found::Frame(length, samples) => {
                self.buffer.drain(..length);
                self.aligned = true;
                self.board.heard(now);
                for sample in samples {
                    // It streams on when the measurement is over, and what comes then is only shown.
                    self.board.row(&[sample], now);
                }
            }
        }
        true
    }
}

impl Protocol for HealthyPi5 {
    fn port_opened(&mut self, now: Now) {
        self.buffer.clear();
        self.aligned = false;
        self.board.port_opened(now);
        self.board.expect_frames(now);
    }

    fn start(&mut self, now: Now) {
        self.board.start(now);
    }

    fn stop(&mut self, _now: Now) {
        self.board.stop();
    }

    fn measuring_max(&self) -> Duration {
        crate::electrocardiography::MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.board.arrived(bytes.len());
        for &byte in bytes {
            self.buffer.push_back(byte);
            while self.next(now) {}
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.board.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.board.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.board.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.board.out.poll_event()
    }

    fn buffered(&self) -> usize {
        self.buffer.len() + self.board.buffered()
    }
}

#[cfg(test)]
mod tests {

    use consult::ecg::{Ecg, MISSING};
    use consult::vitals::Moment;

    use super::*;
    use crate::{Absent, Fault, Status};

    fn frame(kind: u8, data: &[u8], end: &[u8]) -> Vec<u8> {
        [&START, (data.len() as u16).to_le_bytes().as_slice(), &[kind], data, end].concat()
    }

    fn one(sample: i32) -> Vec<u8> {
        let mut data = sample.to_le_bytes().to_vec();
        // Respiration, light, 36.8 degrees, a saturation of no finger, and figures.
        data.extend([1, 0, 0, 0, 0xFF, 2, 0, 0, 0, 3, 0, 0, 0, 0x60, 0x0E, 25, 72, 14]);
        frame(2, &data, &[0, END])
    }

    fn eight(samples: [i32; 8]) -> Vec<u8> {
        let mut data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        data.extend([9; 16]);
        data.extend([72, 14]);
        frame(3, &data, &[0, END])
    }

    struct Bench {
        board: HealthyPi5,
        now: Now,
    }

    impl Bench {
        fn new() -> Self {
            let now = Now { instant: Instant::now(), wall: Moment(0) };
            let mut board = HealthyPi5::new();
            board.port_opened(now);
            board.start(now);
            Self { board, now }
        }

        fn hear(&mut self, bytes: &[u8], rows: u32) -> Vec<Event> {
            for piece in bytes.chunks(7) {
                self.board.handle_input(piece, self.now);
                assert!(self.board.buffered() <= crate::BUFFER_MAX);
            }
            self.now.instant += rows * Duration::from_micros(7_812);
            std::iter::from_fn(|| self.board.poll_event()).collect()
        }
    }

    fn taken(events: &[Event]) -> Option<Ecg> {
        events.iter().find_map(|event| if let Event::EcgTaken { ecg, .. } = event { Some(ecg.clone()) } else { None })
    }

    fn signal(n: i32) -> i32 {
        n % 257 - 128
    }

    #[test]
    fn both_frames_with_both_ends_are_read_to_the_last_bit() {
        for kind in 0..3 {
            let mut bench = Bench::new();
            let events: Vec<Event> = (0..160)
                .flat_map(|block| {
                    let eight_samples: [i32; 8] = std::array::from_fn(|at| signal(8 * block + at as i32));
                    let bytes: Vec<u8> = match kind {
                        0 => eight_samples.into_iter().flat_map(one).collect(),
                        1 => eight(eight_samples),
                        _ => {
                            let mut old = eight(eight_samples);
                            old.remove(old.len() - 2);
                            old
                        }
                    };
                    // The light of a finger in between.
                    bench.hear(&[bytes, frame(4, &[25; 19], &[0, END])].concat(), 8)
                })
                .collect();
            let ecg = taken(&events).unwrap();
            assert_eq!((ecg.rate_hz(), ecg.femtovolts_per_step(), ecg.leads()), (128, 95_367_432, &[Lead::I][..]));
            assert!(ecg.samples().iter().copied().eq((0..1_280).map(signal)));
            assert!(
                !events.iter().any(|event| matches!(event, Event::Reading(_) | Event::Live(_))),
                "no figure at all"
            );
        }
    }

    /// Rows every so many nanoseconds until the measurement is over; `busy`: the cabin reads nothing for 400 ms of each
    /// three seconds. So many rows are lost before the 600th.
    fn streamed(period_ns: u64, busy: bool, lost: u64) -> Vec<Event> {
        let mut bench = Bench::new();
        let began = bench.now.instant;
        let mut events = Vec::new();
        for row in 0.. {
            if (600..600 + lost).contains(&row) {
                continue;
            }
            let at = Duration::from_nanos(row * period_ns);
            let into = Duration::from_nanos(at.as_nanos() as u64 % 3_000_000_000);
            let late = Duration::from_millis(400).saturating_sub(into);
            bench.now.instant = began + at + if busy { late } else { Duration::ZERO };
            bench.board.handle_timeout(bench.now);
            events.extend(bench.hear(&one(signal(row as i32)), 0));
            if events.last() == Some(&Event::Finished) {
                return events;
            }
        }
        unreachable!()
    }

    #[test]
    fn the_rate_is_measured_and_ten_seconds_at_another_are_no_recording() {
        for busy in [false, true] {
            // 128 and 125 a second, and crystals that are half a percent off.
            for (period_ns, rate_hz) in [
                (7_812_500, 128),
                (7_851_000, 128),
                (7_774_000, 128),
                (8_000_000, 125),
                (8_040_000, 125),
                (7_960_000, 125),
            ] {
                let ecg = taken(&streamed(period_ns, busy, 0)).unwrap_or_else(|| panic!("{period_ns} ns"));
                assert_eq!((ecg.rate_hz(), ecg.rows()), (rate_hz, 1_280), "{period_ns} ns, busy: {busy}");
            }
            for period_ns in [4_000_000, 7_600_000, 10_000_000] {
                let events = streamed(period_ns, busy, 0);
                assert_eq!(taken(&events), None);
                assert!(events.ends_with(&[Event::Invalid(Absent::RateUnknown), Event::Finished]), "{period_ns} ns");
            }
        }
        // As many lost as would make the last of 1280 rows come when a slower board has it.
        let ecg = taken(&streamed(7_812_500, false, 30)).unwrap();
        assert_eq!((ecg.rate_hz(), ecg.samples()[0]), (128, signal(1_310)), "begun anew");
    }

    #[test]
    fn the_boards_kin_and_older_firmware_give_nothing() {
        // The example of the ADS1292R; HealthyPi v4 with the blood pressure of nobody; six more bits.
        let shield = [0x0A, 0xFA, 8, 0, 2, 0x88, 0xFF, 0x2D, 0, 0x48, 0, 0x2A, 3, 0, 0x0B];
        let v4 = frame(2, &[9, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x60, 0x0E, 14, 97, 72, 80, 120, 0], &[0, END]);
        let three_leads = frame(2, &[1; 12], &[0, END]);
        for bytes in [shield.to_vec(), v4, three_leads, one(131_072), one(-10_000_000)] {
            let mut bench = Bench::new();
            for _ in 0..1_500 {
                assert_eq!(bench.hear(&bytes, 0), []);
            }
            bench.now.instant += Duration::from_secs(4);
            bench.board.handle_timeout(bench.now);
            assert_eq!(bench.hear(&[], 0), [Event::Fault(Fault::Garbled)]);
        }
    }

    #[test]
    fn a_damaged_frame_begins_the_recording_anew_and_an_electrode_off_is_said() {
        let mut bench = Bench::new();
        let good = |bench: &mut Bench, from: i32, count: i32| {
            (from..from + count).flat_map(|n| bench.hear(&one(signal(n)), 1)).collect::<Vec<Event>>()
        };
        good(&mut bench, 0, 1_270);
        let mut damaged = one(5);
        damaged[27] = 0x77;
        bench.hear(&damaged, 1);
        assert_eq!(taken(&good(&mut bench, 0, 1_280)), None, "a second of distrust, then ten");
        assert!(taken(&good(&mut bench, 1_280, 128)).is_some());
        bench.board.start(bench.now);
        let events = bench.hear(&one(SAMPLE_MAX), 1);
        assert!(events.contains(&Event::Status(Status::ElectrodeOff { lead: Some(Lead::I) })));
        let live = (0..4).flat_map(|n| bench.hear(&one(n), 1)).collect::<Vec<_>>();
        assert!(live.iter().any(|event| matches!(event, Event::Ecg(ecg) if ecg.samples()[0] == MISSING)));
        bench.board.stop(bench.now);
        assert!(bench.hear(&[], 0).ends_with(&[Event::Invalid(Absent::Stopped), Event::Finished]));
    }
}
