use super::*;

/// 2026-03-09 08:41:20 UTC.
const WALL: Moment = Moment(1_773_045_680_000);
/// Some day of 2020.
const OLD: Minute = Minute(26_500_000);

fn packet(command: u8, data: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0x51, command, data[0], data[1], data[2], data[3], 0xA5];
    bytes.push(sum8(&bytes));
    bytes
}

/// A thermometer that answers, its clock `zone` minutes from ours.
struct Device {
    zone: i64,
    records: Vec<(Minute, u16)>,
    awake: bool,
}

struct Bench {
    host: TaiDoc,
    device: Device,
    now: Now,
}

impl Bench {
    fn new(zone: i64, records: Vec<(Minute, u16)>) -> Self {
        let now = Now { instant: Instant::now(), wall: WALL };
        let device = Device { zone, records, awake: true };
        Self { host: TaiDoc::new(), device, now }
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
                let newest = self.device.records.last();
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
                    RECORD_TIME => newest.unwrap().0.write().unwrap(),
                    RECORD_VALUE => {
                        let value = newest.unwrap().1.to_le_bytes();
                        [value[0], value[1], 0, 0]
                    }
                    other => panic!("the thermometer must never be sent {other:02X}"),
                };
                self.host.handle_input(&packet(question[1], data), self.now);
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
    assert_eq!(packet(RECORD_TIME, [0x69, 0x34, 0x29, 0x08])[7], 0xE9);
    assert_eq!(packet(RECORD_VALUE, [0x70, 0x01, 0, 0])[7], 0x8D);
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
fn the_cable_out_and_back_goes_on() {
    let mut bench = Bench::new(0, vec![]);
    bench.host.start(bench.now);
    bench.run(Duration::from_secs(1));
    bench.host.port_opened(bench.now);
    bench.run(Duration::from_secs(1));
    bench.device.records.push((bench.minute(), 372));
    assert_eq!(reading(&bench.run(Duration::from_secs(2))), Some(3720));
}
