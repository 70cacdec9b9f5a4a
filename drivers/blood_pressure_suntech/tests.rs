use consult::vitals::Moment;

use super::*;

const GOOD: [u8; 24] = [0x3E, 0x18, 0x7A, 0, 0x4F, 0, 0x1C, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x44, 0, 0x5D, 0, 0, 0, 0, 0x23];
const ACCEPTED: [u8; 4] = [0x3E, 0x04, 0x4F, 0x6F];
const FINISHED: [u8; 4] = [0x3E, 0x04, 0x4B, 0x73];
const ABORTED: [u8; 4] = [0x3E, 0x04, 0x41, 0x7D];

struct Bench {
    cuff: SunTech,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let now = Now { instant: Instant::now(), wall: Moment(0) };
        let mut cuff = SunTech::new();
        cuff.port_opened(now);
        Self { cuff, now }
    }

    fn say(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.cuff.handle_input(bytes, self.now);
        self.events()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.cuff.poll_event()).collect()
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.cuff.poll_transmit()).map(|sent| sent.bytes().to_vec()).collect()
    }

    /// Advances time, timer by timer; gives what was sent and said.
    fn wait(&mut self, time: Duration) -> (Vec<Vec<u8>>, Vec<Event>) {
        let until = self.now.instant + time;
        let (mut sent, mut events) = (self.sent(), self.events());
        while let Some(at) = self.cuff.poll_timeout().filter(|at| *at <= until) {
            self.now.instant = at;
            self.cuff.handle_timeout(self.now);
            sent.extend(self.sent());
            events.extend(self.events());
        }
        self.now.instant = until;
        (sent, events)
    }

    fn measuring() -> Self {
        let mut bench = Self::new();
        bench.cuff.start(bench.now);
        assert_eq!(bench.sent(), [START]);
        bench.say(&ACCEPTED);
        bench
    }
}

#[test]
fn every_command_sums_to_zero() {
    for command in [&START[..], &GET_RESULT, &GET_PRESSURE, &GET_STATUS, &ABORT] {
        assert_eq!(sum8(command), 0, "{command:02X?}");
    }
}

#[test]
fn a_determination_gives_pressures_and_pulse() {
    let mut bench = Bench::measuring();
    assert!(bench.wait(Duration::from_millis(200)).0.contains(&GET_PRESSURE.to_vec()));
    let events = bench.say(&[0x3E, 0x05, 0xB6, 0x00, 0x07]);
    assert_eq!(events, [Event::Status(Status::CuffPressure { mmhg: 182, rising: true })]);
    let events = bench.say(&[0x3E, 0x07, 0x01, 0xB4, 0x00, 0x00, 0x06]);
    assert_eq!(events, [Event::Status(Status::CuffPressure { mmhg: 180, rising: false })]);
    bench.say(&FINISHED);
    assert!(bench.sent().contains(&GET_RESULT.to_vec()));
    let pressure = BloodPressure::from_mmhg(122, 79, Some(93)).unwrap();
    let pulse = PulseRate::from_per_minute(68).unwrap();
    assert_eq!(
        bench.say(&GOOD),
        [
            Event::Reading(Measured::plain(Value::BloodPressure(pressure))),
            Event::Reading(Measured::plain(Value::PulseRate(pulse))),
            Event::Finished
        ]
    );
}

#[test]
fn an_error_is_published_and_never_the_numbers() {
    for error in 0..=255u8 {
        let mut bench = Bench::measuring();
        bench.say(&FINISHED);
        let mut packet = GOOD;
        packet[20] = error;
        if error == 0 {
            packet[18] = 0x10; // mean below diastolic
        }
        packet[23] = 0;
        packet[23] = 0u8.wrapping_sub(sum8(&packet));
        let events = bench.say(&packet);
        assert!(!events.iter().any(|e| matches!(e, Event::Reading(_))), "{error}");
        assert!(matches!(events[..], [Event::Invalid(Absent::Cuff(_)), Event::Finished]), "{error}: {events:?}");
    }
}

#[test]
fn the_error_of_the_specification_is_a_stop_on_the_device() {
    let mut bench = Bench::measuring();
    bench.say(&FINISHED);
    let mut packet = [0u8; 24];
    packet[..8].copy_from_slice(&[0x3E, 0x18, 0, 0, 0, 0, 0, 2]);
    packet[20] = 0x57;
    packet[23] = 0x51;
    let error = CuffError { number: 87, kind: CuffErrorKind::StoppedOnDevice };
    assert_eq!(bench.say(&packet), [Event::Invalid(Absent::Cuff(error)), Event::Finished]);
}

#[test]
fn the_stop_is_sent_at_once_and_until_confirmed() {
    let mut bench = Bench::measuring();
    bench.cuff.stop(bench.now);
    assert_eq!(bench.sent(), [ABORT], "before anything else");
    assert_eq!(bench.wait(Duration::from_millis(700)).0, [ABORT, ABORT]);
    assert_eq!(bench.say(&ABORTED), [Event::Invalid(Absent::Stopped), Event::Finished]);
}

#[test]
fn a_stop_without_answer_asks_to_take_the_cuff_off() {
    let mut bench = Bench::measuring();
    bench.cuff.stop(bench.now);
    let (sent, events) = bench.wait(Duration::from_secs(5));
    assert_eq!(sent.len(), usize::from(TRIES_MAX));
    assert_eq!(events[0], Event::Fault(Fault::StopNotConfirmed));
    assert_eq!(events.last(), Some(&Event::Finished));
}

#[test]
fn the_arm_rests_a_minute_between_two_inflations() {
    let mut bench = Bench::measuring();
    bench.say(&FINISHED);
    bench.say(&GOOD);
    bench.sent();
    bench.cuff.start(bench.now);
    let (sent, events) = bench.wait(Duration::from_secs(59));
    assert!(sent.is_empty());
    assert_eq!(events[0], Event::Status(Status::Resting { seconds: 60 }));
    assert!(events.contains(&Event::Status(Status::Resting { seconds: 2 })));
    assert_eq!(bench.wait(Duration::from_millis(1100)).0, [START]);
}

#[test]
fn a_determination_past_its_limit_is_stopped() {
    let mut bench = Bench::measuring();
    let mut sent = Vec::new();
    for _ in 0..181 {
        sent.extend(bench.wait(Duration::from_secs(1)).0);
        if !sent.contains(&ABORT.to_vec()) {
            bench.say(&[0x3E, 0x05, 0x50, 0x00, 0x6D]);
        }
    }
    assert!(sent.contains(&ABORT.to_vec()));
}

#[test]
fn too_much_pressure_is_stopped_at_once() {
    let mut bench = Bench::measuring();
    let events = bench.say(&[0x3E, 0x05, 0x2D, 0x01, 0x8F]);
    assert_eq!(events, [Event::Fault(Fault::OverPressure)]);
    assert_eq!(bench.sent(), [ABORT]);
}

#[test]
fn a_silent_module_is_stopped() {
    let mut bench = Bench::measuring();
    let (sent, events) = bench.wait(Duration::from_millis(3100));
    assert_eq!(sent.last(), Some(&ABORT.to_vec()));
    assert_eq!(events, [Event::Fault(Fault::Silent { seconds: 3 })]);
}

#[test]
fn after_an_unplugging_figures_that_may_be_another_arms_are_not_taken() {
    let mut bench = Bench::measuring();
    bench.cuff.port_opened(bench.now);
    assert_eq!(bench.sent(), [GET_STATUS]);
    // The module was reset: idle, and it never pressed this arm.
    bench.say(&FINISHED);
    assert!(!bench.sent().contains(&GET_RESULT.to_vec()));
    assert!(!bench.say(&GOOD).iter().any(|e| matches!(e, Event::Reading(_))));
    // It starts again after the rest.
    assert!(bench.wait(Duration::from_secs(61)).0.contains(&START.to_vec()));
}

#[test]
fn after_an_unplugging_a_module_still_measuring_goes_on() {
    let mut bench = Bench::measuring();
    bench.say(&[0x3E, 0x05, 0xB6, 0x00, 0x07]);
    bench.cuff.port_opened(bench.now);
    bench.say(&[0x3E, 0x04, 0x42, 0x7C]);
    bench.say(&FINISHED);
    assert!(bench.say(&GOOD).iter().any(|e| matches!(e, Event::Reading(_))));
}
