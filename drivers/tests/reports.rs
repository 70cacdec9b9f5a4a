//! Each model that speaks USB HID itself against its simulator, report by report. The port, the kernel and the cable
//! between them are tested in a guest (`src/cabinctl/tests/usb_guest.rs`).

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use consult::vitals::Value;
use drivers::ports::system_clock;
use drivers::{Absent, Event, Fault, Measured, Now, Protocol, Status, Transmit, Transport, model};
use sim::{FEATURE_REPORT, OUTPUT_REPORT, Simulator};

/// A test that waits longer than that for a device has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The cuffs that keep what they measure.
const CUFFS: [&str; 4] = [
    "blood_pressure_omron",
    "blood_pressure_microlife_ascii",
    "blood_pressure_microlife_m",
    "blood_pressure_contec_08a",
];

struct Bench {
    key: &'static str,
    sim: Simulator,
    host: UnixDatagram,
    protocol: Box<dyn Protocol>,
    report_bytes: usize,
}

impl Bench {
    fn new(key: &'static str) -> Self {
        Self::after(key, &[])
    }

    /// A device to which that was done before the cabin looked.
    fn after(key: &'static str, orders: &[&str]) -> Self {
        let (sim, host) = Simulator::start_on_reports(key).unwrap();
        let model = model(key).unwrap();
        let Some(Transport::Hid { report_bytes }) = model.usb.first().map(|usb| usb.transport) else {
            panic!("{key} is no HID device")
        };
        let mut bench = Bench { key, sim, host, protocol: (model.protocol)(), report_bytes: report_bytes.into() };
        orders.iter().for_each(|order| bench.order(order));
        bench.protocol.port_opened(now());
        bench.protocol.start(now());
        bench
    }

    fn order(&self, command: &str) {
        self.sim.command(command).unwrap();
    }

    /// Everything said, up to and with the first event that fits.
    fn until(&mut self, fits: impl Fn(&Event) -> bool) -> Vec<Event> {
        let give_up_at = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            while let Some(transmit) = self.protocol.poll_transmit() {
                self.send(&transmit);
            }
            while let Some(event) = self.protocol.poll_event() {
                seen.push(event);
                if seen.last().is_some_and(&fits) {
                    return seen;
                }
            }
            assert!(Instant::now() < give_up_at, "{}: waited in vain; seen {seen:?}", self.key);
            let due = self.protocol.poll_timeout().unwrap_or(give_up_at).min(give_up_at);
            let left = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.host.set_read_timeout(Some(left)).unwrap();
            let mut report = [0; 256];
            if let Ok(count) = self.host.recv(&mut report) {
                // As the port does: a report of another length is none.
                if count == self.report_bytes {
                    self.protocol.handle_input(&report[..count], now());
                }
            }
            if self.protocol.poll_timeout().is_some_and(|at| at <= Instant::now()) {
                self.protocol.handle_timeout(now());
            }
        }
    }

    fn send(&self, transmit: &Transmit) {
        let mut bytes = transmit.bytes().to_vec();
        let kind = match transmit {
            Transmit::Bytes(_) => {
                bytes.resize(self.report_bytes, 0);
                OUTPUT_REPORT
            }
            Transmit::Feature(_) => FEATURE_REPORT,
        };
        self.host.send(&[&[kind], &bytes[..]].concat()).unwrap();
    }

    fn until_finished(&mut self) -> Vec<Event> {
        self.until(|event| *event == Event::Finished)
    }

    fn until_ready(&mut self) -> Vec<Event> {
        self.until(|event| *event == Event::Status(Status::MeasureOnDevice))
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), wall: system_clock() }
}

fn numbers(events: &[Event]) -> Vec<u32> {
    let number = |event: &Event| match event {
        Event::Reading(Measured { value: Value::BloodPressure(v), .. }) => {
            vec![v.systolic().mmhg().into(), v.diastolic().mmhg().into()]
        }
        Event::Reading(Measured { value: Value::PulseRate(v), .. }) => vec![v.per_minute().into()],
        Event::Reading(Measured { value: Value::Weight(v), .. }) => vec![v.grams()],
        Event::Reading(other) => panic!("{other:?}"),
        _ => vec![],
    };
    events.iter().flat_map(number).collect()
}

fn readings(events: &[Event]) -> Vec<Measured> {
    events.iter().filter_map(|e| if let Event::Reading(measured) = e { Some(*measured) } else { None }).collect()
}

#[test]
fn each_cuff_gives_what_it_measures_now_and_nothing_of_what_was_in_its_memory() {
    for key in CUFFS {
        // An odd zone, and a pressure that needs more than seven bits.
        let mut bench = Bench::after(key, &["value zone=345 systolic=221 diastolic=129 mean=160 pulse=131"]);
        assert!(numbers(&bench.until_ready()).is_empty());
        bench.order("measure");
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [221, 129, 131], "{key}");
        for measured in readings(&events) {
            let off = system_clock().0 - measured.device_at.unwrap().0;
            assert!((-60_000..=90_000).contains(&off), "{key}: by its clock, without its zone, {off} ms ago");
        }
        if let (Value::BloodPressure(pressure), "blood_pressure_contec_08a") = (readings(&events)[0].value, key) {
            assert_eq!(pressure.mean().map(|mean| mean.mmhg()), Some(160));
        }
    }
}

#[test]
fn each_cuffs_second_user_is_read_too() {
    for key in CUFFS {
        let mut bench = Bench::after(key, &["value user=1"]);
        bench.until_ready();
        bench.order("measure");
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [122, 79, 68], "{key}");
        // It did not sit well, says the only cuff that knows.
        let quality = (key == "blood_pressure_microlife_m").then_some(false);
        assert_eq!(readings(&events)[0].high_quality, quality, "{key}");
    }
}

#[test]
fn a_full_and_an_empty_memory_are_read_as_well() {
    for key in CUFFS {
        for state in ["full", "empty"] {
            let mut bench = Bench::after(key, &[state]);
            bench.until_ready();
            bench.order("value systolic=133");
            bench.order("measure");
            assert_eq!(numbers(&bench.until_finished()), [133, 79, 68], "{key}, {state}");
        }
    }
}

#[test]
fn a_cuff_that_was_switched_off_is_waited_for() {
    for key in CUFFS {
        let mut bench = Bench::after(key, &["asleep"]);
        bench.until(|event| *event == Event::Status(Status::ConnectDevice));
        bench.order("awake");
        assert!(numbers(&bench.until_ready()).is_empty(), "{key}");
        bench.order("measure");
        assert_eq!(numbers(&bench.until_finished()), [122, 79, 68], "{key}");
    }
}

#[test]
fn a_cuff_that_refuses_or_damages_some_answers_is_asked_again() {
    for key in CUFFS {
        let mut bench = Bench::after(key, &["value refusals=3"]);
        bench.until_ready();
        bench.order("value refusals=2");
        bench.order("measure");
        assert_eq!(numbers(&bench.until_finished()), [122, 79, 68], "{key}");
    }
}

#[test]
fn a_cuff_whose_clock_is_lost_gives_no_figure_or_is_set_right() {
    for key in CUFFS {
        let mut bench = Bench::after(key, &["value zone=-8000000", "clock lost"]);
        bench.until_ready();
        bench.order("measure");
        let events = bench.until_finished();
        if key.contains("microlife") {
            // It can be set.
            assert_eq!(numbers(&events), [122, 79, 68], "{key}");
        } else {
            assert!(numbers(&events).is_empty(), "{key}");
            assert!(events.contains(&Event::Invalid(Absent::ClockWrong)), "{key}: {events:?}");
        }
    }
}

#[test]
fn a_record_without_a_date_is_never_a_figure() {
    // Its clock is set before the measurement and lost in it: a battery taken out.
    for key in ["blood_pressure_microlife_ascii", "blood_pressure_microlife_m"] {
        let mut bench = Bench::new(key);
        bench.until_ready();
        bench.order("clock lost");
        bench.order("measure");
        let events = bench.until_finished();
        assert!(
            numbers(&events).is_empty() && events.contains(&Event::Invalid(Absent::ClockWrong)),
            "{key}: {events:?}"
        );
    }
}

#[test]
fn figures_that_no_artery_has_are_refused() {
    for key in CUFFS {
        for (values, why) in [("systolic=70 diastolic=79", "Implausible"), ("systolic=0 diastolic=0 pulse=0", "Empty")]
        {
            let mut bench = Bench::after(key, &[&format!("value {values}")]);
            bench.until_ready();
            bench.order("measure");
            let events = bench.until_finished();
            assert!(readings(&events).is_empty(), "{key}");
            assert!(format!("{events:?}").contains(why), "{key}: {events:?}");
        }
    }
}

#[test]
fn a_measurement_that_is_stopped_ends_at_once_and_the_next_begins_anew() {
    for key in CUFFS {
        let mut bench = Bench::new(key);
        bench.protocol.stop(now());
        assert_eq!(bench.until_finished(), [Event::Invalid(Absent::Stopped), Event::Finished], "{key}");
        bench.protocol.start(now());
        bench.until_ready();
        bench.order("measure");
        assert_eq!(numbers(&bench.until_finished()), [122, 79, 68], "{key}");
    }
}

#[test]
fn a_cuff_whose_cable_is_out_while_it_measures_goes_on_when_it_is_back() {
    for key in CUFFS {
        let mut bench = Bench::new(key);
        bench.until_ready();
        // In the midst of an answer.
        let part = vec![0x4D; bench.report_bytes - 1];
        bench.protocol.handle_input(&part, now());
        bench.order("measure");
        bench.protocol.port_opened(now());
        assert_eq!(numbers(&bench.until_finished()), [122, 79, 68], "{key}");
    }
}

#[test]
fn a_garbled_cuff_gives_no_reading_and_is_read_when_it_is_clear() {
    for key in CUFFS {
        let mut bench = Bench::new(key);
        bench.until_ready();
        bench.order("garble on");
        bench.until(|event| matches!(event, Event::Status(Status::ConnectDevice) | Event::Fault(Fault::Garbled)));
        bench.order("garble off");
        bench.order("measure");
        assert_eq!(numbers(&bench.until_finished()), [122, 79, 68], "{key}");
    }
}

#[test]
fn a_usb_scale_gives_its_weight_in_any_unit_and_no_height() {
    for (values, grams) in [("weight=81.4", 81_400), ("weight=180.0 unit=12", 81_647), ("weight=8140 unit=2", 8_140)] {
        let mut bench = Bench::new("scale_usb_hid");
        bench.order(&format!("value {values}"));
        let events = bench.until_finished();
        assert_eq!(numbers(&events), [grams], "{values}");
        assert!(events.contains(&Event::Invalid(Absent::NoHeight)));
    }
}

#[test]
fn what_a_usb_scale_marks_is_no_weight() {
    for (status, why) in [(6, Absent::Overload), (1, Absent::OutOfOrder), (8, Absent::OutOfOrder)] {
        let mut bench = Bench::new("scale_usb_hid");
        bench.order(&format!("value status={status}"));
        let events = bench.until(|event| *event == Event::Invalid(why));
        assert!(readings(&events).is_empty());
        bench.order("value status=0");
        assert_eq!(numbers(&bench.until_finished()), [70_300]);
    }
}

#[test]
fn a_usb_scale_whose_reports_are_cut_gives_no_wrong_weight() {
    let mut bench = Bench::new("scale_usb_hid");
    for lost in 1..6 {
        bench.order(&format!("lose {lost}"));
        let events = bench.until(|event| matches!(event, Event::Live(_)));
        assert!(readings(&events).is_empty());
    }
    assert_eq!(numbers(&bench.until_finished()), [70_300]);
}

#[test]
fn every_hid_model_is_on_this_bench() {
    let tests = include_str!("reports.rs");
    for model in drivers::MODELS.iter().filter(|model| model.line.is_none()) {
        if model.usb.iter().any(|usb| matches!(usb.transport, Transport::Hid { .. })) {
            assert!(tests.contains(&format!("\"{}\"", model.key)), "{}", model.key);
        }
    }
}
