use consult::ecg::{Ecg, MISSING};
use consult::vitals::Moment;

use super::*;
use crate::Absent;

const BANNER: &[u8] =
    b"OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\nLIS3DH Device ID: 0x33\nFirmware: v3.1.1\n$$$";

fn packet(number: u8, samples: [i32; 8]) -> Vec<u8> {
    let mut packet = vec![0xA0, number];
    samples.iter().for_each(|sample| packet.extend(&sample.to_be_bytes()[1..]));
    packet.extend([0, 1, 2, 3, 4, 5, 0xC0]);
    packet
}

/// A row that is never still.
fn row(n: i32) -> [i32; 8] {
    std::array::from_fn(|lead| 1_000 * lead as i32 + n % 997 - 498)
}

struct Bench {
    cyton: Cyton,
    now: Now,
    number: u8,
    n: i32,
    /// Between packets.
    period: Duration,
}

impl Bench {
    fn new() -> Self {
        let now = Now { instant: Instant::now(), wall: Moment(0) };
        let mut cyton = Cyton::new();
        cyton.port_opened(now);
        cyton.start(now);
        Self { cyton, now, number: 0, n: 0, period: Duration::from_millis(4) }
    }

    fn streaming(rate: &str) -> Self {
        let mut bench = Self::new();
        bench.sent();
        bench.hear(BANNER);
        for channel in 1..=8 {
            bench.hear(format!("Success: Channel set for {channel}$$$").as_bytes());
        }
        bench.hear(rate.as_bytes());
        bench
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.cyton.handle_input(bytes, self.now);
    }

    fn next(&mut self) -> Vec<u8> {
        self.n += 1;
        self.number = self.number.wrapping_add(1);
        self.now.instant += self.period;
        packet(self.number, row(self.n))
    }

    fn good(&mut self, packets: usize) {
        for _ in 0..packets {
            let packet = self.next();
            self.hear(&packet);
        }
    }

    fn sent(&mut self) -> String {
        let bytes: Vec<u8> =
            std::iter::from_fn(|| self.cyton.poll_transmit()).flat_map(|sent| sent.bytes().to_vec()).collect();
        String::from_utf8(bytes).unwrap()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.cyton.poll_event()).collect()
    }
}

fn taken(events: &[Event]) -> Option<Ecg> {
    events.iter().find_map(|event| if let Event::EcgTaken { ecg, .. } = event { Some(ecg.clone()) } else { None })
}

#[test]
fn it_streams_only_once_every_gain_and_the_rate_are_confirmed() {
    let mut bench = Bench::new();
    assert_eq!(bench.sent(), "sv");
    bench.hear(b"Failure: Communications timeout - Device failed to poll host$$$");
    assert_eq!(bench.sent(), "");
    bench.hear(BANNER);
    assert_eq!(bench.sent(), std::str::from_utf8(SETTINGS).unwrap());
    assert_eq!(bench.cyton.firmware().as_deref(), Some("v3.1.1"));
    for channel in [1, 2, 3, 4, 6, 7, 8] {
        bench.hear(format!("Success: Channel set for {channel}$$$").as_bytes());
    }
    bench.hear(b"Success: Sample rate is 250Hz$$$");
    assert_eq!(bench.sent(), "", "channel 5 is not confirmed");
    bench.now.instant += ANSWERS_WITHIN;
    bench.cyton.handle_timeout(bench.now);
    assert_eq!(bench.sent(), "sv", "asked again");
    assert!(bench.events().contains(&Event::Status(Status::ConnectDevice)));
}

#[test]
fn a_board_that_is_too_fast_is_slowed_down() {
    let mut bench = Bench::streaming("Sample rate is 16000Hz$$$");
    assert!(bench.sent().ends_with("~6"));
    bench.hear(b"Sample rate set to 250Hz$$$");
    assert_eq!(bench.sent(), "b");
}

#[test]
fn a_millivolt_is_what_the_documents_say() {
    // Gain 24 gives 44739 steps a millivolt (00 AE C3, FF 51 3D): half as many at gain 12.
    for (bytes, steps) in [([0x00, 0xAE, 0xC3], 44_739), ([0xFF, 0x51, 0x3D], -44_739)] {
        let mut bench = Bench::streaming("Sample rate is 250Hz$$$");
        for number in 0..8 {
            let mut packet = packet(number, row(number.into()));
            packet[2..5].copy_from_slice(&bytes);
            bench.hear(&packet);
        }
        let events = bench.events();
        let Some(Event::Ecg(ecg)) = events.iter().find(|event| matches!(event, Event::Ecg(_))) else { panic!() };
        assert_eq!(ecg.lead(Lead::I).unwrap().collect::<Vec<_>>(), [steps; 8]);
        let nanovolts = i128::from(steps) * i128::from(ecg.femtovolts_per_step()) / 1_000_000;
        assert!((nanovolts.abs() - 2_000_000).abs() < 50, "{nanovolts}");
    }
}

#[test]
fn ten_seconds_are_recorded_bit_by_bit_in_any_division() {
    let mut bench = Bench::streaming("Sample rate is 250Hz$$$");
    bench.sent();
    let stream: Vec<u8> = (0..2_500).flat_map(|_| bench.next()).collect();
    for piece in stream.chunks(31) {
        bench.cyton.handle_input(piece, bench.now);
        assert!(bench.cyton.buffered() <= crate::BUFFER_MAX);
    }
    let events = bench.events();
    let ecg = taken(&events).unwrap();
    assert_eq!((ecg.rate_hz(), ecg.rows(), ecg.leads()), (250, 2_500, MONTAGE.leads));
    let expected: Vec<i32> = (1..=2_500).flat_map(row).collect();
    assert_eq!(ecg.samples(), expected);
    assert_eq!(events.last(), Some(&Event::Finished));
    assert_eq!(bench.sent(), "s", "the radio rests");
}

#[test]
fn a_packet_that_the_radio_lost_is_missing_and_nothing_is_made_up() {
    let mut bench = Bench::streaming("Sample rate is 500Hz$$$");
    bench.period = Duration::from_millis(2);
    bench.good(2_000);
    bench.next();
    bench.next();
    bench.good(2_998);
    let ecg = taken(&bench.events()).unwrap();
    assert_eq!(ecg.rate_hz(), 500);
    let expected = |n: i32| if matches!(n, 2_001 | 2_002) { [MISSING; 8] } else { row(n) };
    assert_eq!(ecg.samples(), (1..=5_000).flat_map(expected).collect::<Vec<i32>>());
}

#[test]
fn a_damaged_packet_is_skipped_with_noise_and_the_recording_begins_anew() {
    for damage in [
        |bench: &mut Bench| {
            let mut damaged = bench.next();
            damaged[32] = 0x11;
            damaged
        },
        |_: &mut Bench| vec![0xA0, 0xC0, 0x55, 0xA0, 0x00],
    ] {
        let mut bench = Bench::streaming("Sample rate is 250Hz$$$");
        bench.good(2_000);
        let damage = damage(&mut bench);
        bench.hear(&damage);
        let mut events = bench.events();
        bench.good(2_748);
        events.extend(bench.events());
        assert_eq!(taken(&events), None);
        let live: Vec<i32> = events
            .iter()
            .flat_map(|event| if let Event::Ecg(ecg) = event { ecg.samples().to_vec() } else { vec![] })
            .collect();
        let missing = live.iter().filter(|sample| **sample == MISSING).count() / 8;
        assert!((1..=3).contains(&missing), "{missing}");
        let good = (1..=4_749).flat_map(row);
        let wrong = live.iter().zip(good).position(|(sample, good)| *sample != MISSING && *sample != good);
        assert_eq!(wrong, None);
        bench.good(4);
        let ecg = taken(&bench.events()).unwrap();
        assert!(!ecg.samples().contains(&MISSING));
    }
}

#[test]
fn a_time_stamped_packet_and_raw_auxiliary_bytes_are_read_as_any_other() {
    let mut bench = Bench::streaming("Sample rate is 250Hz$$$");
    for at in 0..2_500u16 {
        let mut packet = bench.next();
        packet[32] = 0xC0 + (at % 7) as u8;
        bench.hear(&packet);
    }
    assert!(taken(&bench.events()).is_some());
}

#[test]
fn stopped_it_says_so_and_the_board_is_told() {
    let mut bench = Bench::streaming("Sample rate is 250Hz$$$");
    bench.good(10);
    bench.sent();
    bench.cyton.stop(bench.now);
    assert_eq!(bench.sent(), "s");
    assert!(bench.events().ends_with(&[Event::Invalid(Absent::Stopped), Event::Finished]));
    bench.good(3_000);
    assert_eq!(bench.events(), []);
}

#[test]
fn back_from_an_unplugging_it_is_reset_and_records_anew() {
    let mut bench = Bench::streaming("Sample rate is 250Hz$$$");
    bench.good(2_400);
    bench.events();
    bench.sent();
    bench.cyton.port_opened(bench.now);
    assert_eq!(bench.sent(), "sv");
    bench.hear(BANNER);
    (1..=8).for_each(|channel| bench.hear(format!("Success: Channel set for {channel}$$$").as_bytes()));
    bench.hear(b"Sample rate is 250Hz$$$");
    bench.good(2_499);
    assert_eq!(taken(&bench.events()), None);
    bench.good(1);
    assert!(taken(&bench.events()).is_some());
}
