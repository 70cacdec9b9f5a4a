//! What holds whatever a device sends. Called by `tests/fuzz` (libFuzzer, `make fuzz`) and, on seeded bytes, by
//! `make test`.

use std::time::{Duration, Instant};

use consult::vitals::{Glucose, Measurement, Moment, Value};

use crate::fixtures::Talker;
use crate::fixtures::card_vitale::{CardFault, Conversation, HOLDERS_MAX, Wanted};
use crate::fixtures::door_contact::Contact;
use crate::fixtures::light_blink1::{CabinState, Light};
use crate::fixtures::presence_ld2410::Radar;
use crate::fixtures::printer_escpos::{CodePage, Paper, PrinterStatus, Ticket};
use crate::fixtures::scanner_codes::{Accept, Gs1, InsCode, Scan, Scanner};
use crate::{BUFFER_MAX, EVENTS_MAX, Event, Model, Now, Protocol};

/// Feeds `data` to a model: its first bytes choose how it is cut, when time passes, when a measurement begins and ends.
/// Says how many readings came of it.
///
/// # Panics
/// If the protocol panics, keeps more than [`Protocol::buffer_max`] bytes or [`EVENTS_MAX`] events, asks for a timeout without
/// end, or gives a reading that its device cannot give.
pub fn protocol(model: &Model, data: &[u8]) -> usize {
    let mut protocol = (model.protocol)();
    let mut now = Now { instant: Instant::now(), wall: Moment(1_773_045_680_000) };
    protocol.port_opened(now);
    protocol.start(now);
    let (control, mut bytes) = data.split_at(data.len().min(8));
    let mut turn = 0usize;
    let mut readings = 0;
    while !bytes.is_empty() {
        let choice =
            control.get(turn % 8).copied().unwrap_or(0).wrapping_add(u8::try_from(turn / 8 % 251).unwrap_or(0));
        turn += 1;
        match choice % 16 {
            0 => protocol.start(now),
            1 => protocol.stop(now),
            2 => protocol.port_opened(now),
            3..=5 => {
                let passed = u64::from(choice) * 37;
                now.instant += Duration::from_millis(passed);
                now.wall.0 += i64::try_from(passed).unwrap_or(0);
                timeouts(protocol.as_mut(), now);
            }
            _ => {}
        }
        let (now_bytes, later) = bytes.split_at(bytes.len().min(1 + usize::from(choice)));
        bytes = later;
        protocol.handle_input(now_bytes, now);
        readings += check(model, protocol.as_mut());
    }
    readings
}

/// Calls what is due, as a port does. A protocol that always wants to be called again at once would hang its port.
fn timeouts(protocol: &mut dyn Protocol, now: Now) {
    for _ in 0..32 {
        match protocol.poll_timeout() {
            Some(at) if at <= now.instant => protocol.handle_timeout(now),
            _ => return,
        }
    }
    panic!("a timeout without end");
}

fn check(model: &Model, protocol: &mut dyn Protocol) -> usize {
    assert!(protocol.buffered() <= protocol.buffer_max(), "{} keeps {} bytes", model.key, protocol.buffered());
    let mut commands = 0;
    while protocol.poll_transmit().is_some() {
        commands += 1;
    }
    assert!(commands <= 64, "{} sends without end", model.key);
    let (mut count, mut readings) = (0, 0);
    while let Some(event) = protocol.poll_event() {
        count += 1;
        readings += usize::from(matches!(event, Event::Reading(_) | Event::EcgTaken { .. }));
        match event {
            Event::Reading(measured) | Event::Live(measured) => value(model.measurement, measured.value),
            Event::Waveform(waveform) => {
                assert!(!waveform.samples.is_empty() && waveform.samples.len() <= usize::from(waveform.rate_hz));
                assert!(waveform.samples.iter().all(|s| *s <= waveform.full_scale));
            }
            Event::Ecg(ecg) | Event::EcgTaken { ecg, .. } => assert_eq!(model.measurement, Measurement::Ecg, "{ecg:?}"),
            Event::Status(_) | Event::Invalid(_) | Event::Finished | Event::Fault(_) => {}
        }
    }
    assert!(count <= EVENTS_MAX, "{} has {count} events waiting", model.key);
    readings
}

/// The types refuse what no device can read; here, that a device gives only what it measures, and no absence mark.
fn value(measurement: Measurement, value: Value) {
    match (measurement, value) {
        (Measurement::OxygenAndPulse, Value::Spo2(spo2)) => assert!(spo2.percent() <= 100),
        (Measurement::OxygenAndPulse | Measurement::BloodPressure, Value::PulseRate(pulse)) => {
            assert!((18..=321).contains(&pulse.per_minute()));
        }
        (Measurement::BloodPressure, Value::BloodPressure(pressure)) => {
            // A cuff that only keeps its results may have no mean.
            let mean = pressure.mean().map(|m| m.mmhg());
            assert!(mean.is_none_or(|m| pressure.diastolic().mmhg() < m && m < pressure.systolic().mmhg()));
        }
        (Measurement::WeightAndHeight, Value::Weight(weight)) => assert!(weight.grams() <= 350_000),
        (Measurement::WeightAndHeight, Value::Height(height)) => assert!((300..=2_500).contains(&height.millimetres())),
        (Measurement::Temperature, Value::Temperature(temperature)) => {
            assert!((2_500..=4_500).contains(&temperature.centi_celsius()));
        }
        (Measurement::OxygenAndPulse, Value::PerfusionIndex(index)) => assert!(index.hundredths_percent() <= 3_000),
        (Measurement::Glucose, Value::Glucose(Glucose::Mass(glucose))) => assert!(glucose.mg_per_dl() <= 1_000),
        (Measurement::Glucose, Value::Glucose(Glucose::Moles(glucose))) => assert!(glucose.tenths_mmol_per_l() <= 555),
        (Measurement::Ecg, Value::PulseRate(pulse)) => assert!((18..=321).contains(&pulse.per_minute())),
        (measurement, _) => panic!("{measurement:?} gave a value of another kind"),
    }
}

/// Bytes that a fixture's language is made of, for tests that make noise: noise alone never gets past the first.
pub fn words(key: &str) -> &'static [&'static [u8]] {
    match key {
        "card_vitale" => &[&[0x65, 0x1E, 0x80, 0x06], b"DUBOIS", &[0x81, 0x04], b"ANNE", &[0x82, 0x08], b"19790328"],
        "scanner_codes" => &[
            b"IS010000000000000000000000",
            b"S1279035121518989S21.2.250.1.213.1.4.8\x1d",
            b"S3ANNE\x1d",
            b"S4DUBOIS\x1d",
            b"S5FS628-03-1979S751215",
            b"\r\n",
            b"]d20103453120000011",
            b"17191125",
            b"10",
            b"\x1d",
        ],
        "presence_ld2410" => &[
            &[0xF4, 0xF3, 0xF2, 0xF1, 0x0D, 0x00, 0x02, 0xAA, 0x03],
            &[0x78, 0x00, 0x3C, 0x6E, 0x00, 0x50, 0x73, 0x00],
            &[0x55, 0x00, 0xF8, 0xF7, 0xF6, 0xF5],
        ],
        _ => &[],
    }
}

/// Feeds `data` to a fixture.
///
/// # Panics
/// If its codec panics, talks without end, or keeps more than it may.
pub fn fixture(key: &str, data: &[u8]) {
    match key {
        "card_vitale" => card(data),
        "presence_ld2410" => talker(&mut Radar::new(200, Duration::from_secs(10)), data),
        "door_contact" => door(data),
        "light_blink1" => light(data),
        "printer_escpos" => printer(data),
        "scanner_codes" => {
            talker(&mut Scanner::new(Accept::TestsToo), data);
            // Straight to the codes, as a camera gives them.
            let _ = Scan::of(data, Accept::Real);
            let _ = InsCode::parse(&[b"IS010000000000000000000000", data].concat());
            let _ = Gs1::parse(data);
        }
        _ => panic!("no fixture {key:?}"),
    }
}

/// Bytes on a serial line, cut and at times that the first of them choose.
fn talker(talker: &mut dyn Talker, data: &[u8]) {
    let (control, mut bytes) = data.split_at(data.len().min(8));
    let mut now = Instant::now();
    talker.port_opened(now);
    let mut turn = 0usize;
    while !bytes.is_empty() {
        let choice = control.get(turn % 8).copied().unwrap_or(0).wrapping_add((turn / 8 % 251) as u8);
        turn += 1;
        if choice % 4 == 0 {
            now += Duration::from_millis(u64::from(choice) * 37);
            if talker.poll_timeout().is_some_and(|at| at <= now) {
                talker.handle_timeout(now);
            }
            assert!(talker.poll_timeout().is_none_or(|at| at > now), "a timeout without end");
        }
        let (heard, later) = bytes.split_at(bytes.len().min(1 + usize::from(choice)));
        bytes = later;
        talker.handle_input(heard, now);
        assert!(talker.buffered() <= BUFFER_MAX, "it keeps {} bytes", talker.buffered());
        let events = std::iter::from_fn(|| talker.poll_event()).count();
        assert!(events <= EVENTS_MAX, "{events} events of {} bytes", heard.len());
    }
}

/// Levels of a contact: it is said to move only after it did, and never twice to the same side.
fn door(data: &[u8]) {
    let mut contact = Contact::new(true);
    let (mut now, mut before) = (Instant::now(), None);
    for byte in data {
        now += Duration::from_millis(u64::from(byte >> 1));
        let said = contact.look(byte & 1 == 1, now);
        if let Some(door) = said {
            assert_ne!(before, Some(door));
            before = Some(door);
        }
    }
}

/// What a printer answers; and text, of which nothing may become a command.
fn printer(data: &[u8]) {
    for answers in data.chunks_exact(4) {
        if let Some(status) = PrinterStatus::parse([answers[0], answers[1], answers[2], answers[3]]) {
            assert!(!status.to_string().is_empty());
        }
    }
    let text = String::from_utf8_lossy(data);
    for paper in [Paper::WIDE, Paper { code_page: CodePage::Cp1252, ..Paper::NARROW }] {
        let empty = Ticket::new(paper).finish().len();
        let bytes = Ticket::new(paper).line(&text).finish();
        let end = bytes.len() - (empty - 5);
        assert!(bytes[5..end].iter().all(|byte| *byte >= 0x20 || *byte == b'\n'), "a command in a text");
        let longest = bytes[5..end].split(|byte| *byte == b'\n').map(<[u8]>::len).max();
        assert!(longest.is_some_and(|longest| longest <= usize::from(paper.columns)), "a line too long");
    }
}

/// States of the cabin, and a lamp that goes and is back.
fn light(data: &[u8]) {
    const STATES: [CabinState; 5] =
        [CabinState::Free, CabinState::Occupied, CabinState::HelpCalled, CabinState::Fault, CabinState::Closed];
    let (mut light, mut now) = (Light::new(), Instant::now());
    for byte in data {
        now += Duration::from_millis(u64::from(byte >> 3) * 50);
        match byte & 7 {
            5 => light.port_opened(now),
            6 => light.port_lost(),
            7 => {}
            state => light.show(STATES[usize::from(state)], now),
        }
        if light.poll_timeout().is_some_and(|at| at <= now) {
            light.handle_timeout(now);
        }
        assert!(light.poll_timeout().is_none_or(|at| at > now), "a timeout without end");
        assert!(std::iter::from_fn(|| light.poll_transmit()).count() <= 32, "it sends without end");
    }
}

/// Answers of a card: each a length and as many bytes.
fn card(mut data: &[u8]) {
    const VITALE: [u8; 10] = [0x3B, 0x75, 0x13, 0x00, 0x00, 0x43, 0x09, 0xEA, 0x90, 0x00];
    let Ok(mut conversation) = Conversation::new(&VITALE, Wanted { number: true, ..Wanted::default() }) else {
        panic!("refused")
    };
    let mut commands = 0;
    while let Some(command) = conversation.command() {
        assert!(command.len() <= 16 && commands <= 64, "it talks without end");
        commands += 1;
        let Some((&length, rest)) = data.split_first() else { return };
        let (answer, rest) = rest.split_at(rest.len().min(usize::from(length)));
        data = rest;
        // Most answers are good ones, so that the files are reached.
        let answer = [answer, &[0x90, 0x00][..if length % 8 == 0 { 0 } else { 2 }]].concat();
        if conversation.answer(&answer).is_err() {
            return;
        }
    }
    match conversation.holders() {
        Ok(holders) => assert!((1..=HOLDERS_MAX).contains(&holders.len())),
        Err(fault) => assert_eq!(fault, CardFault::Garbled),
    }
}
