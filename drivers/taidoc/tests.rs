use super::*;
use crate::{blood_pressure_taidoc, thermometer_taidoc};

/// 2026-03-09 08:41:20 UTC.
const WALL: Moment = Moment(1_773_045_680_000);
/// 122/79 mmHg, 68 a minute.
const PRESSURE: u32 = u32::from_le_bytes([0x7A, 0x00, 0x4F, 0x44]);
/// Some day of 2020.
const OLD: Minute = Minute(26_500_000);

fn answer(command: u8, data: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0x51, command, data[0], data[1], data[2], data[3], 0xA5];
    bytes.push(sum8(&bytes));
    bytes
}

/// A thermometer that answers, its clock `zone` minutes from ours.
struct Device {
    zone: i64,
    records: Vec<(Minute, u32)>,
    awake: bool,
    /// A cuff that knows the command.
    is_started: bool,
    starts: usize,
    is_off: bool,
}

struct Bench {
    host: TaiDoc,
    device: Device,
    now: Now,
}

impl Bench {
    fn new(zone: i64, records: Vec<(Minute, u32)>) -> Self {
        Self::of(thermometer_taidoc::protocol(), zone, records)
    }

    fn of(host: TaiDoc, zone: i64, records: Vec<(Minute, u32)>) -> Self {
        let now = Now { instant: Instant::now(), wall: WALL };
        let device = Device { zone, records, awake: true, is_started: false, starts: 0, is_off: false };
        Self { host, device, now }
    }

    /// A cuff; it `is_started` by the command, or by its button alone.
    fn cuff(is_started: bool) -> Self {
        let mut bench = Self::of(blood_pressure_taidoc::protocol(), 60, vec![(OLD, PRESSURE)]);
        bench.device.is_started = is_started;
        bench
    }

    fn minute(&self) -> Minute {
        Minute(Minute::of(self.now.wall).0 + self.device.zone)
    }

    fn run(&mut self, time: Duration) -> Vec<Event> {
        let until = self.now.instant + time;
        let mut events = Vec::new();
        loop {
            while let Some(question) = self.host.poll_transmit() {
                let question = question.bytes();
                if !self.device.awake {
                    continue;
                }
                let index = usize::from(u16::from_le_bytes([question[2], question[3]]));
                let record = self.device.records.iter().rev().nth(index);
                let data = match question[1] {
                    CONNECT => [0; 4],
                    GET_MODEL => [0x41, 0x12, 0, 0],
                    GET_CLOCK => self.minute().write().unwrap(),
                    SET_CLOCK => {
                        let set = Minute::read(question[2..6].try_into().unwrap()).unwrap();
                        self.device.zone = set.0 - Minute::of(self.now.wall).0;
                        [0; 4]
                    }
                    RECORD_COUNT => [u8::try_from(self.device.records.len()).unwrap(), 0, 0, 0],
                    RECORD_TIME => record.unwrap().0.write().unwrap(),
                    RECORD_VALUE => record.unwrap().1.to_le_bytes(),
                    MEASURE if self.device.is_started => {
                        self.device.starts += 1;
                        [0; 4]
                    }
                    MEASURE => continue,
                    POWER_OFF if self.device.is_started => {
                        self.device.is_off = true;
                        [0; 4]
                    }
                    POWER_OFF => continue,
                    other => panic!("the thermometer must never be sent {other:02X}"),
                };
                self.host.handle_input(&answer(question[1], data), self.now);
            }
            events.extend(std::iter::from_fn(|| self.host.poll_event()));
            let Some(at) = self.host.poll_timeout().filter(|at| *at <= until) else { break };
            let passed = at.saturating_duration_since(self.now.instant);
            self.now.instant += passed;
            self.now.wall.0 += i64::try_from(passed.as_millis()).unwrap();
            self.host.handle_timeout(self.now);
        }
        let passed = until.saturating_duration_since(self.now.instant);
        self.now.instant = until;
        self.now.wall.0 += i64::try_from(passed.as_millis()).unwrap();
        events
    }
}

fn reading(events: &[Event]) -> Option<u16> {
    events.iter().find_map(|e| match e {
        Event::Reading(Measured { value: Value::Temperature(t), .. }) => Some(t.centi_celsius()),
        _ => None,
    })
}

#[test]
fn the_packets_of_the_specification_are_ours() {
    assert_eq!(Ask::Connect.packet(), [0x51, 0x22, 0, 0, 0, 0, 0xA3, 0x16]);
    let minute = Minute::read([0x69, 0x34, 0x29, 0x08]).unwrap();
    assert_eq!(minute, Minute::of(WALL));
    assert_eq!(minute.write().unwrap(), [0x69, 0x34, 0x29, 0x08]);
    assert_eq!(answer(RECORD_TIME, [0x69, 0x34, 0x29, 0x08])[7], 0xE9);
    assert_eq!(answer(RECORD_VALUE, [0x70, 0x01, 0, 0])[7], 0x8D);
}

#[test]
fn a_new_record_is_this_patients() {
    for (raw, hundredths) in [(368, 3680), (3684, 3684), (405, 4050)] {
        let mut bench = Bench::new(120, vec![(OLD, 370)]);
        bench.host.start(bench.now);
        let events = bench.run(Duration::from_secs(1));
        assert!(events.contains(&Event::Status(Status::TakeNow)));
        bench.device.records.push((bench.minute(), raw));
        let events = bench.run(Duration::from_secs(2));
        assert_eq!(reading(&events), Some(hundredths));
        let Some(Event::Reading(measured)) = events.iter().find(|e| matches!(e, Event::Reading(_))) else { panic!() };
        assert_eq!(measured.device_at, Some(Moment(1_773_045_660_000)), "the zone is taken off");
        assert_eq!(bench.host.model_number(), Some(1241));
    }
}

#[test]
fn an_earlier_patients_record_is_never_taken() {
    let here = Minute::of(WALL);
    // Of the same minute, of the minute before, of the future, and of a clock that was reset.
    for time in [here, Minute(here.0 - 1), Minute(here.0 + 30), Minute(15_778_080)] {
        let mut bench = Bench::new(0, vec![(time, 391)]);
        bench.host.start(bench.now);
        let events = bench.run(MEASUREMENT_MAX);
        assert_eq!(reading(&events), None);
        assert_eq!(events.last(), Some(&Event::Finished));
    }
}

#[test]
fn a_record_older_than_the_start_is_not_taken_even_if_it_appears_late() {
    let mut bench = Bench::new(0, vec![]);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    bench.device.records.push((Minute(bench.minute().0 - 2), 391));
    assert_eq!(reading(&bench.run(Duration::from_secs(20))), None);
}

#[test]
fn a_thermometer_woken_late_is_asked_again_when_its_record_may_be_older() {
    let mut bench = Bench::new(0, vec![(Minute::of(WALL), 391)]);
    bench.device.awake = false;
    bench.host.start(bench.now);
    assert!(bench.run(Duration::from_secs(10)).contains(&Event::Status(Status::WakeUp)));
    bench.device.awake = true;
    let events = bench.run(Duration::from_secs(5));
    assert_eq!(reading(&events), None, "may be the patient's before");
    assert!(events.contains(&Event::Status(Status::TakeNow)));
    bench.device.records.push((bench.minute(), 368));
    assert_eq!(reading(&bench.run(Duration::from_secs(5))), Some(3680));
}

#[test]
fn a_thermometer_woken_by_measuring_is_read_once_a_minute_has_passed() {
    let mut bench = Bench::new(60, vec![]);
    bench.device.awake = false;
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(65));
    bench.device.awake = true;
    bench.device.records.push((bench.minute(), 368));
    assert_eq!(reading(&bench.run(Duration::from_secs(5))), Some(3680));
}

#[test]
fn a_clock_that_no_zone_explains_is_set_and_read_again() {
    let mut bench = Bench::new(-8_000_000, vec![(OLD, 370)]);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.device.zone, 0);
    bench.device.records.push((bench.minute(), 368));
    assert_eq!(reading(&bench.run(Duration::from_secs(2))), Some(3680));
}

#[test]
fn a_full_memory_still_shows_its_newest() {
    let old = Minute(Minute::of(WALL).0 - 500);
    let mut bench = Bench::new(0, vec![(old, 370), (old, 371)]);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    bench.device.records.remove(0);
    bench.device.records.push((bench.minute(), 372));
    assert_eq!(reading(&bench.run(Duration::from_secs(2))), Some(3720));
}

#[test]
fn the_same_figure_twice_in_a_minute_is_read_twice() {
    let mut bench = Bench::new(0, vec![(OLD, 370)]);
    for _ in 0..2 {
        bench.host.start(bench.now);
        bench.run(Duration::from_secs(1));
        bench.device.records.push((bench.minute(), 368));
        assert_eq!(reading(&bench.run(Duration::from_secs(2))), Some(3680));
    }
}

#[test]
fn what_another_device_on_the_same_cable_has_stored_is_not_taken() {
    let mut bench = Bench::new(0, vec![(OLD, 370)]);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    bench.device.records = vec![(OLD, 391), (bench.minute(), 395)];
    bench.host.port_opened(bench.now);
    assert_eq!(reading(&bench.run(Duration::from_secs(5))), None);
    bench.device.records.push((bench.minute(), 368));
    assert_eq!(reading(&bench.run(Duration::from_secs(2))), Some(3680));
}

#[test]
fn the_cable_out_and_back_goes_on() {
    let mut bench = Bench::new(0, vec![]);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    bench.host.port_opened(bench.now);
    bench.run(Duration::from_secs(1));
    bench.device.records.push((bench.minute(), 372));
    assert_eq!(reading(&bench.run(Duration::from_secs(2))), Some(3720));
}

fn pressures(events: &[Event]) -> Vec<u16> {
    let numbers = |event: &Event| match event {
        Event::Reading(Measured { value: Value::BloodPressure(p), device_at: Some(_), .. }) => {
            vec![p.systolic().mmhg(), p.diastolic().mmhg()]
        }
        Event::Reading(Measured { value: Value::PulseRate(p), device_at: Some(_), .. }) => vec![p.per_minute()],
        _ => Vec::new(),
    };
    events.iter().flat_map(numbers).collect()
}

#[test]
fn a_cuff_is_started_once_and_its_new_record_is_the_reading() {
    assert_eq!(Ask::Measure.packet(), [0x51, 0x43, 0, 0, 1, 1, 0xA3, 0x39]);
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    let events = bench.run(Duration::from_secs(30));
    assert!(events.contains(&Event::Status(Status::Starting)) && pressures(&events).is_empty());
    bench.device.records.push((bench.minute(), PRESSURE));
    let events = bench.run(Duration::from_secs(2));
    assert_eq!(pressures(&events), [122, 79, 68]);
    assert_eq!((bench.device.starts, bench.device.is_off), (1, false));
    // What it says at its end makes the cabin look at once.
    bench.run(CUFF_MAX);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(25));
    bench.device.records.push((bench.minute(), PRESSURE + 1));
    bench.host.handle_input(&answer(MEASURE, (PRESSURE + 1).to_le_bytes()), bench.now);
    assert_eq!(pressures(&bench.run(Duration::from_millis(100))), [123, 79, 68]);
}

#[test]
fn what_a_cuff_says_of_itself_is_no_reading_without_its_record() {
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(5));
    for _ in 0..20 {
        bench.host.handle_input(&answer(MEASURE, PRESSURE.to_le_bytes()), bench.now);
        assert!(pressures(&bench.run(Duration::from_secs(1))).is_empty());
    }
}

#[test]
fn a_cuff_without_the_command_is_started_by_its_button() {
    let mut bench = Bench::cuff(false);
    bench.host.start(bench.now);
    let events = bench.run(Duration::from_secs(5));
    assert!(events.contains(&Event::Status(Status::MeasureOnDevice)), "{events:?}");
    bench.device.records.push((bench.minute(), PRESSURE));
    assert_eq!(pressures(&bench.run(Duration::from_secs(2))), [122, 79, 68]);
}

#[test]
fn a_cuff_that_says_nothing_while_it_measures_is_not_taken_for_asleep() {
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    bench.device.awake = false;
    let events = bench.run(Duration::from_secs(40));
    assert!(!events.contains(&Event::Status(Status::ConnectDevice)), "{events:?}");
    bench.device.awake = true;
    bench.device.records.push((bench.minute(), PRESSURE));
    assert_eq!(pressures(&bench.run(Duration::from_secs(4))), [122, 79, 68]);
    assert_eq!(bench.device.starts, 1);
}

#[test]
fn a_cuff_stopped_from_the_cabin_is_switched_off_and_rests_before_it_is_started_again() {
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(10));
    bench.host.stop(bench.now);
    let events = bench.run(Duration::from_secs(1));
    assert!(bench.device.is_off);
    assert!(events.ends_with(&[Event::Invalid(Absent::Stopped), Event::Finished]), "{events:?}");
    bench.host.start(bench.now);
    let events = bench.run(Duration::from_secs(48));
    assert!(events.contains(&Event::Status(Status::Resting { seconds: 49 })), "{events:?}");
    assert_eq!(bench.device.starts, 1);
    bench.run(Duration::from_secs(5));
    assert_eq!(bench.device.starts, 2);
}

#[test]
fn a_cuff_that_does_not_confirm_its_stop_is_taken_off_by_hand() {
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(10));
    bench.device.awake = false;
    bench.host.stop(bench.now);
    assert!(bench.run(Duration::from_secs(5)).contains(&Event::Fault(Fault::StopNotConfirmed)));
    // One that was never started is not switched off.
    let mut bench = Bench::cuff(false);
    bench.host.start(bench.now);
    bench.host.stop(bench.now);
    assert!(!bench.run(Duration::from_secs(5)).iter().any(|event| matches!(event, Event::Fault(_))));
}

#[test]
fn a_cuff_whose_cable_was_out_is_not_started_again() {
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(10));
    bench.host.port_opened(bench.now);
    bench.run(Duration::from_secs(10));
    bench.device.records.push((bench.minute(), PRESSURE));
    assert_eq!(pressures(&bench.run(Duration::from_secs(2))), [122, 79, 68]);
    assert_eq!(bench.device.starts, 1);
}

#[test]
fn a_cuff_whose_cable_was_out_while_the_arm_rested_is_started_when_it_has() {
    let mut bench = Bench::cuff(true);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(10));
    bench.host.stop(bench.now);
    bench.run(Duration::from_secs(1));
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(10));
    bench.host.port_opened(bench.now);
    bench.run(Duration::from_secs(20));
    assert_eq!(bench.device.starts, 1, "it rests");
    bench.run(Duration::from_secs(30));
    assert_eq!(bench.device.starts, 2);
}
