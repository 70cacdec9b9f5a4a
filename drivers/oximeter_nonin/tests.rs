use consult::vitals::{Moment, Value};

use super::stream::{Format, PACKET};
use super::*;
use crate::oximetry::{SILENCE_MAX, STABLE};
use crate::{Fault, Measured, sum8};

fn now() -> Now {
    Now { instant: Instant::now(), wall: Moment(1_800_000_000_000) }
}

/// One packet as the specification lays it out.
fn packet(format: Format, spo2: u8, pulse: u16, status: u8, stat2: u8) -> Vec<u8> {
    let mut floats = [0u8; PACKET];
    for (msb, at) in [(true, 1), (false, 2), (true, 14), (false, 15), (true, 20), (false, 21), (true, 22), (false, 23)]
    {
        floats[at - 1] = if msb { (pulse >> 7) as u8 & 3 } else { (pulse & 0x7F) as u8 };
    }
    for at in [3, 9, 10, 11, 16, 17] {
        floats[at - 1] = spo2;
    }
    floats[3] = 48;
    floats[7] = stat2;
    let mut bytes = Vec::new();
    for (i, float) in floats.into_iter().enumerate() {
        let status = 0x80 | status | u8::from(i == 0);
        let mut frame = match format {
            Format::Two => vec![1, status, 100 + i as u8, float],
            Format::Seven => vec![status, 100 + i as u8, 7, float],
        };
        frame.push(sum8(&frame));
        bytes.extend(frame);
    }
    bytes
}

fn events(nonin: &mut Nonin, bytes: &[u8]) -> Vec<Event> {
    nonin.handle_input(bytes, now());
    std::iter::from_fn(|| nonin.poll_event()).collect()
}

fn figures(events: &[Event], readings: bool) -> Vec<u16> {
    let number = |m: &Measured| match m.value {
        Value::Spo2(s) => s.percent().into(),
        Value::PulseRate(p) => p.per_minute(),
        _ => panic!("an oximeter gave something else"),
    };
    events
        .iter()
        .filter_map(|e| match e {
            Event::Reading(m) if readings => Some(number(m)),
            Event::Live(m) if !readings => Some(number(m)),
            _ => None,
        })
        .collect()
}

#[test]
fn both_formats_are_recognised_and_give_the_same_figures() {
    for format in [Format::Two, Format::Seven] {
        let mut nonin = Nonin::new();
        let mut bytes = vec![0x01, 0x80, 0xFF];
        for _ in 0..3 {
            bytes.extend(packet(format, 96, 168, 0, 0x20));
        }
        let events = events(&mut nonin, &bytes);
        assert!(figures(&events, false).ends_with(&[96, 168]), "{format:?}");
        assert!(figures(&events, true).is_empty(), "nothing was started");
        let curve = events.iter().find_map(|e| match e {
            Event::Waveform(w) => Some(w),
            _ => None,
        });
        assert_eq!(curve.unwrap().full_scale, format.full_scale());
    }
}

#[test]
fn a_reading_needs_six_settled_seconds() {
    let mut nonin = Nonin::new();
    nonin.start(now());
    let one = packet(Format::Two, 97, 72, 0, 0x20);
    let mut seen = Vec::new();
    for i in 0..STABLE - 1 {
        seen.extend(events(&mut nonin, &one));
        assert!(figures(&seen, true).is_empty(), "too early, packet {i}");
    }
    seen.extend(events(&mut nonin, &one));
    assert_eq!(figures(&seen, true), [97, 72]);
    assert_eq!(seen.last(), Some(&Event::Finished));
    assert!(seen.iter().all(|e| !matches!(e, Event::Reading(m) if m.high_quality != Some(true))));
}

#[test]
fn figures_held_under_a_sensor_alarm_are_not_published() {
    let mut nonin = Nonin::new();
    nonin.start(now());
    let mut bytes = packet(Format::Two, 97, 72, 0, 0x20);
    bytes.extend(packet(Format::Two, 97, 72, 0, 0x20));
    events(&mut nonin, &bytes);
    for _ in 0..40 {
        let events = events(&mut nonin, &packet(Format::Two, 97, 72, SENSOR_ALARM, 0));
        assert!(!events.iter().any(|e| matches!(e, Event::Live(_) | Event::Reading(_))), "{events:?}");
    }
}

#[test]
fn the_marks_of_absence_are_never_numbers() {
    for (spo2, pulse) in [(127, 511), (127, 70), (97, 511), (97, 0), (120, 70), (97, 400)] {
        let mut nonin = Nonin::new();
        nonin.start(now());
        let mut seen = Vec::new();
        for _ in 0..30 {
            seen.extend(events(&mut nonin, &packet(Format::Seven, spo2, pulse, 0, 0)));
        }
        assert!(!seen.iter().any(|e| matches!(e, Event::Live(_) | Event::Reading(_))));
        assert_eq!(seen.iter().filter(|e| matches!(e, Event::Invalid(_))).count(), 1, "said once");
    }
}

#[test]
fn a_lost_byte_costs_a_second_and_no_wrong_figure() {
    let mut nonin = Nonin::new();
    let one = packet(Format::Two, 97, 72, 0, 0);
    let mut bytes: Vec<u8> = one.repeat(4);
    bytes.remove(140);
    bytes[60] ^= 0x10;
    let seen = events(&mut nonin, &bytes);
    assert!(figures(&seen, false).iter().all(|n| [97, 72].contains(n)));
    let after = events(&mut nonin, &one.repeat(3));
    assert!(figures(&after, false).ends_with(&[97, 72]));
}

#[test]
fn silence_and_noise_are_told_apart() {
    let start = now();
    let later = Now { instant: start.instant + SILENCE_MAX, ..start };
    let mut nonin = Nonin::new();
    nonin.port_opened(start);
    nonin.handle_timeout(later);
    assert_eq!(nonin.poll_event(), Some(Event::Fault(Fault::Silent { seconds: 3 })));
    let mut nonin = Nonin::new();
    nonin.port_opened(start);
    nonin.handle_input(&[0x55; 600], start);
    nonin.handle_timeout(later);
    assert_eq!(nonin.poll_event(), Some(Event::Fault(Fault::Garbled)));
    let recovered = events(&mut nonin, &packet(Format::Two, 97, 72, 0, 0).repeat(3));
    assert!(recovered.contains(&Event::Fault(Fault::Recovered)));
}

/// 2026-03-09 08:41:20 UTC.
const WALL: Moment = Moment(1_773_045_680_000);

/// A device that answers commands, on a line of its own time.
struct Bench {
    nonin: Nonin,
    now: Now,
    /// What it does when a curve is asked for.
    choice: Option<u8>,
    /// Its clock less ours, seconds; `None`: it has none.
    clock: Option<i64>,
    sent: Vec<Vec<u8>>,
}

impl Bench {
    fn new(choice: Option<u8>, clock: Option<i64>) -> Self {
        let now = Now { instant: Instant::now(), wall: WALL };
        let mut bench = Bench { nonin: Nonin::new(), now, choice, clock, sent: Vec::new() };
        bench.nonin.port_opened(now);
        bench
    }

    fn its_time(&self) -> DeviceTime {
        DeviceTime(DeviceTime::of(self.now.wall).0 + self.clock.unwrap_or(0))
    }

    fn answer(&mut self, command: &[u8]) -> Vec<u8> {
        match command[1] {
            0x70 => self.choice.into_iter().collect(),
            0x72 if command[2] == 6 => {
                let [year, month, day, hour, minute, second] = [3, 4, 5, 6, 7, 8].map(|at| i64::from(command[at]));
                let set = Civil { year: 2000 + year, month, day, hour, minute, second };
                self.clock = Some(DeviceTime::from_civil(set).unwrap().0 - DeviceTime::of(self.now.wall).0);
                Vec::new()
            }
            0x72 => match self.clock {
                None => Vec::new(),
                Some(_) => {
                    let mut answer = set_clock(self.its_time()).unwrap();
                    answer[1] = 0xF2;
                    answer.to_vec()
                }
            },
            0x74 => [&[0x02, 0xF4, 0x09][..], b"501234567", &[0x03]].concat(),
            other => panic!("never to be sent: {other:02X}"),
        }
    }

    fn pass(&mut self, time: Duration) -> Vec<Event> {
        let until = self.now.instant + time;
        let mut events = Vec::new();
        loop {
            while let Some(command) = self.nonin.poll_transmit() {
                let Transmit::Bytes(command) = command else { panic!("no report") };
                let answer = self.answer(&command);
                self.sent.push(command);
                self.nonin.handle_input(&answer, self.now);
            }
            events.extend(std::iter::from_fn(|| self.nonin.poll_event()));
            let at = self.nonin.poll_timeout().filter(|at| *at <= until);
            let passed = at.unwrap_or(until).saturating_duration_since(self.now.instant);
            self.now.instant += passed;
            self.now.wall.0 += i64::try_from(passed.as_millis()).unwrap();
            if at.is_none() {
                return events;
            }
            self.nonin.handle_timeout(self.now);
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.nonin.handle_input(bytes, self.now);
        self.pass(Duration::from_millis(200))
    }

    /// A record of format 13 with that date.
    fn record(&self, time: DeviceTime, spo2: u8, pulse: u16, status: [u8; 2]) -> Vec<u8> {
        let Civil { year, month, day, hour, minute, second } = time.civil();
        let decimal = |number: i64| u8::try_from(number / 10 % 10 * 16 + number % 10).unwrap();
        let date = [year / 100, year, month, day, hour, minute, second].map(decimal);
        let [high, low] = pulse.to_be_bytes();
        let data = [&date[..], &[0, status[0], status[1], high, low, 0, spo2]].concat();
        [&[0x00, 0x02, 0x00, 0x0D, 0x00, 14][..], &data, &[sum8(&data), 0x03]].concat()
    }
}

fn opcodes(bench: &Bench) -> Vec<(u8, u8)> {
    bench.sent.iter().map(|command| (command[1], command[2])).collect()
}

#[test]
fn a_device_that_streams_is_sent_nothing() {
    let mut bench = Bench::new(Some(0x06), None);
    bench.hear(&packet(Format::Two, 97, 72, 0, 0).repeat(2));
    bench.pass(Duration::from_secs(10));
    assert!(bench.sent.is_empty(), "{:02x?}", bench.sent);
}

#[test]
fn a_curve_is_asked_for_within_five_seconds_and_then_read() {
    let mut bench = Bench::new(Some(0x06), None);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.sent, [[0x02, 0x70, 0x02, 0x02, 0x02, 0x03]]);
    let seen = bench.hear(&packet(Format::Two, 97, 72, 0, 0).repeat(3));
    assert!(figures(&seen, false).ends_with(&[97, 72]));
    // One that never answers is left alone.
    let mut bench = Bench::new(None, None);
    bench.pass(Duration::from_secs(60));
    assert_eq!(opcodes(&bench), [[(0x70, 2); 3], [(0x72, 0); 3]].concat());
}

#[test]
fn a_device_that_refuses_a_curve_gives_its_reading_once_a_second() {
    let mut bench = Bench::new(Some(0x15), None);
    bench.pass(Duration::from_secs(2));
    bench.nonin.start(bench.now);
    let mut seen = Vec::new();
    for (spo2, pulse) in [(96, 68), (96, 68), (97, 70), (96, 68), (96, 69), (97, 69), (96, 68)] {
        assert!(figures(&seen, true).is_empty());
        seen.extend(bench.hear(&[0x80, pulse, spo2, 0x20]));
        seen.extend(bench.pass(Duration::from_millis(800)));
    }
    assert_eq!(figures(&seen, true), [96, 68]);
    assert!(!seen.iter().any(|event| matches!(event, Event::Fault(_))), "{seen:?}");
    let quality = |event: &Event| if let Event::Reading(measured) = event { measured.high_quality } else { None };
    assert_eq!(seen.iter().find_map(quality), Some(true));
}

#[test]
fn a_bit_that_tips_over_in_a_packet_without_a_checksum_is_no_figure() {
    let mut bench = Bench::new(Some(0x15), None);
    bench.pass(Duration::from_secs(2));
    let good = [0x80, 68, 96, 0x00];
    for bit in [3, 5, 8 + 6, 8 + 5, 16 + 6, 16 + 5, 16 + 3] {
        let mut damaged = good;
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut seen = bench.hear(&good);
        for packet in [good, damaged, good] {
            seen.extend(bench.pass(Duration::from_millis(800)));
            seen.extend(bench.hear(&packet));
        }
        assert!(figures(&seen, false).chunks(2).all(|pair| pair == [96, 68]), "bit {bit}: {seen:?}");
    }
}

#[test]
fn the_marks_of_absence_of_a_second_are_never_numbers() {
    let mut bench = Bench::new(Some(0x15), None);
    bench.pass(Duration::from_secs(2));
    bench.nonin.start(bench.now);
    for packet in [[0x83, 0x7F, 0x7F, 0x08], [0xA0, 68, 96, 0], [0x80, 68, 127, 0], [0x83, 0x7F, 96, 0]] {
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.extend(bench.hear(&packet));
            seen.extend(bench.pass(Duration::from_millis(800)));
        }
        assert!(!seen.iter().any(|event| matches!(event, Event::Live(_) | Event::Reading(_))), "{seen:?}");
    }
}

/// A bench whose device takes spot checks, its clock so many seconds ahead, ten seconds after a start.
fn spot(clock: i64) -> Bench {
    let mut bench = Bench::new(Some(0x15), Some(clock));
    bench.pass(Duration::from_secs(4));
    bench.nonin.start(bench.now);
    let seen = bench.pass(Duration::from_secs(10));
    assert!(seen.contains(&Event::Status(Status::FingerOut)), "{seen:?}");
    assert!(!seen.iter().any(|event| matches!(event, Event::Fault(_))), "silent by nature");
    bench
}

#[test]
fn a_spot_check_made_now_is_read_with_its_date_and_serial_number() {
    // An hour of zone, and 40 s of its own error.
    for clock in [0, 3_640] {
        let mut bench = spot(clock);
        let record = bench.record(bench.its_time(), 95, 301, [0x02, 0]);
        let seen = bench.hear(&record);
        assert_eq!(figures(&seen, true), [95, 301]);
        let reading =
            seen.iter().find_map(|event| if let Event::Reading(m) = event { Some(*m) } else { None }).unwrap();
        assert_eq!(reading.high_quality, Some(true));
        let error = clock % 900 * 1_000;
        let at = reading.device_at.unwrap().0 - error;
        assert!((WALL.0 + 13_000..=WALL.0 + 15_000).contains(&at), "{} ms", at - WALL.0);
        assert_eq!(seen.last(), Some(&Event::Finished));
        assert_eq!(bench.nonin.serial().as_deref(), Some("501234567"));
    }
}

#[test]
fn an_earlier_patients_spot_check_is_never_taken() {
    let mut bench = spot(0);
    let now = bench.its_time();
    for (time, status) in [
        // Of its memory; of before the start; of a moment ago; of the future; of another year.
        (now, [0x02, 0x10]),
        (DeviceTime(now.0 - 30), [0x02, 0]),
        (DeviceTime(now.0 - 10), [0x02, 0]),
        (DeviceTime(now.0 + 30), [0x02, 0]),
        (DeviceTime(now.0 - 366 * 86_400), [0x02, 0]),
    ] {
        let seen = bench.hear(&bench.record(time, 91, 110, status));
        assert!(!seen.iter().any(|event| matches!(event, Event::Reading(_) | Event::Finished)), "{seen:?}");
    }
    let seen = bench.hear(&bench.record(bench.its_time(), 96, 68, [0, 0]));
    assert_eq!(figures(&seen, true), [96, 68], "and this patient's is");
}

#[test]
fn a_spot_check_without_figures_is_absent_and_may_be_taken_again() {
    let mut bench = spot(0);
    for (spo2, pulse, status) in [(127, 511, 0x01), (127, 70, 0), (96, 511, 0), (96, 68, 0x01)] {
        let seen = bench.hear(&bench.record(bench.its_time(), spo2, pulse, [status, 0]));
        assert!(!seen.iter().any(|event| matches!(event, Event::Reading(_) | Event::Finished)), "{seen:?}");
    }
    assert_eq!(figures(&bench.hear(&bench.record(bench.its_time(), 96, 68, [0, 0])), true), [96, 68]);
}

#[test]
fn a_clock_that_lost_its_date_is_set_and_read_again() {
    let mut bench = spot(-20 * 365 * 86_400);
    assert_eq!(bench.clock, Some(0));
    assert!(opcodes(&bench).contains(&(0x72, 6)));
    let seen = bench.hear(&bench.record(bench.its_time(), 96, 68, [0, 0]));
    assert_eq!(figures(&seen, true), [96, 68]);
}

#[test]
fn without_a_clock_no_record_is_taken() {
    let mut bench = Bench::new(Some(0x15), None);
    bench.pass(Duration::from_secs(10));
    bench.nonin.start(bench.now);
    let seen = bench.hear(&bench.record(DeviceTime::of(bench.now.wall), 96, 68, [0, 0]));
    assert!(figures(&seen, true).is_empty());
    assert!(seen.ends_with(&[Event::Invalid(Absent::ClockWrong), Event::Finished]), "{seen:?}");
}
