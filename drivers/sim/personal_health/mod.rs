//! An agent of IEEE 11073-20601: a device of any specialisation, with its standard configuration or one of its own,
//! with or without a store, over whatever carries its bytes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Device, number};

mod configuration;
mod wire;

use wire::{Decimal, absolute, attribute, list, message, octets, seconds_now, seconds_of, within, word};

/// It asks for an association again that often (a real one waits 10 s, and tries three times).
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A confirmed report is answered within that time, or the association is broken off.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
/// What is followed is reported that often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Entries of its store in one part.
const PART: usize = 2;

const STORE: u16 = 0x0100;
const SCANNER: u16 = 0x0200;
/// Attributes.
const BASIC: u16 = 0x0A4C;
const SIMPLE: u16 = 0x0A56;
const COMPOUND: u16 = 0x0A75;
const STAMP: u16 = 0x0990;
const STATUS: u16 = 0x0947;

/// Something that it measures.
#[derive(Clone)]
pub(crate) struct Numeric {
    pub(crate) handle: u16,
    pub(crate) code: u16,
    pub(crate) unit: u16,
    /// Codes of the parts of a compound value, and their values' names; one name otherwise.
    pub(crate) parts: &'static [u16],
    pub(crate) names: &'static [&'static str],
    /// Written with 32 bits.
    pub(crate) is_long: bool,
}

/// What a specialisation is made of.
pub(crate) struct Specialisation {
    /// Its number, and that of its standard configuration.
    pub(crate) profile: u16,
    pub(crate) standard: u16,
    /// In the standard configuration values bring their date.
    pub(crate) is_dated: bool,
    /// It reports as long as it measures, unasked.
    pub(crate) is_followed: bool,
    pub(crate) numerics: Vec<Numeric>,
    /// Values at the start, by their names.
    pub(crate) values: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unassociated,
    Configuring,
    Operating,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Fixed,
    Variable,
    /// Of two persons.
    Persons,
    /// By a scanner, values without lengths.
    Grouped,
}

/// What was measured at once.
#[derive(Clone)]
struct Measured {
    /// By its own clock, seconds since 1970.
    at: i64,
    values: Vec<Vec<Option<Decimal>>>,
}

pub(crate) struct Agent {
    special: Specialisation,
    values: Vec<(&'static str, Option<Decimal>)>,
    state: State,
    input: Vec<u8>,
    ask_at: Instant,
    report_at: Instant,
    /// What was measured and not delivered.
    waiting: VecDeque<Measured>,
    /// Of that, what is on its way: it is kept until it is confirmed.
    on_its_way: Option<Measured>,
    /// The confirmed report that is on its way.
    unconfirmed: Option<(u16, Instant)>,
    stored: Vec<Measured>,
    /// Parts of the store to be sent, and the place of the first entry.
    parts: VecDeque<(usize, Vec<Measured>)>,
    is_scanner_on: bool,
    invoke: u16,
    reports: u16,
    /// Its clock minus UTC, seconds.
    zone: i64,
    settable: bool,
    is_extended: bool,
    has_store: bool,
    form: Form,
    status: u16,
    unit: Option<u16>,
    /// It is on, and a finger is in.
    is_on: bool,
    is_deaf: bool,
    is_strange: bool,
    /// It measures that long after an association, so that a demonstration needs no hand.
    auto: Option<Duration>,
    auto_at: Option<Instant>,
}

impl Agent {
    pub(crate) fn new(special: Specialisation) -> Self {
        let values = special.values.iter().map(|(name, text)| (*name, Decimal::parse(text).unwrap_or(None))).collect();
        let now = Instant::now();
        Self {
            special,
            values,
            state: State::Unassociated,
            input: Vec::new(),
            ask_at: now,
            report_at: now,
            waiting: VecDeque::new(),
            on_its_way: None,
            unconfirmed: None,
            stored: Vec::new(),
            parts: VecDeque::new(),
            is_scanner_on: false,
            invoke: 0x1233,
            reports: 0,
            zone: 0,
            settable: true,
            is_extended: false,
            has_store: false,
            form: Form::Fixed,
            status: 0,
            unit: None,
            is_on: true,
            is_deaf: false,
            is_strange: false,
            auto: None,
            auto_at: None,
        }
    }

    /// What it measures is kept, and told only when it is asked for.
    pub(crate) fn keeps_a_store(&mut self) {
        self.has_store = true;
    }

    fn measured(&self, at: i64) -> Measured {
        let value = |name: &str| self.values.iter().find(|(n, _)| *n == name).and_then(|(_, value)| *value);
        let values = self.special.numerics.iter().map(|n| n.names.iter().map(|name| value(name)).collect());
        Measured { at, values: values.collect() }
    }

    /// The value of one numeric, attribute by attribute.
    fn laid_out(&self, index: usize, measured: &Measured) -> Vec<(u16, Vec<u8>)> {
        let numeric = &self.special.numerics[index];
        let values = &measured.values[index];
        let bytes = |id: u16| match id {
            STAMP => absolute(measured.at).to_vec(),
            STATUS => self.status.to_be_bytes().to_vec(),
            COMPOUND => list(&values.iter().map(|value| wire::sfloat(*value).to_vec()).collect::<Vec<_>>()),
            SIMPLE => wire::float(values[0]).to_vec(),
            _ => wire::sfloat(values[0]).to_vec(),
        };
        self.map(numeric).into_iter().map(|(id, _)| (id, bytes(id))).collect()
    }

    /// An event report of what was measured.
    fn report(&mut self, measured: &Measured) -> Vec<u8> {
        self.reports = self.reports.wrapping_add(1);
        let mut observations = Vec::new();
        let mut group = Vec::new();
        for index in 0..self.special.numerics.len() {
            let values = self.laid_out(index, measured);
            let handle = self.special.numerics[index].handle.to_be_bytes();
            let bytes: Vec<u8> = values.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            match self.form {
                Form::Variable => {
                    let attributes: Vec<_> = values.iter().map(|(id, bytes)| attribute(*id, bytes)).collect();
                    observations.push([&handle[..], &list(&attributes)].concat());
                }
                Form::Grouped => group.extend(bytes),
                Form::Fixed | Form::Persons => observations.push([&handle[..], &octets(&bytes)].concat()),
            }
        }
        if self.is_strange {
            // In another order, after one of a handle that was never announced.
            observations.push([&[0x03, 0x09], &octets(&[5; 3])[..]].concat());
            observations.reverse();
        }
        let head = [&[0xF0, 0x00], &self.reports.to_be_bytes()[..]].concat();
        let (handle, event, body) = match self.form {
            Form::Fixed => (0, 0x0D1D, list(&observations)),
            Form::Variable => (0, 0x0D1E, list(&observations)),
            Form::Persons => (0, 0x0D1F, list(&[[&[0, 1], &list(&observations)[..]].concat()])),
            Form::Grouped => (SCANNER, 0x0D24, list(&[octets(&group)])),
        };
        event_report(handle, event, &[head, body].concat())
    }

    /// Sends a confirmed event.
    fn confirmed(&mut self, body: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.invoke = self.invoke.wrapping_add(1);
        self.unconfirmed = Some((self.invoke, now + CONFIRMED_WITHIN));
        out.extend(within(self.invoke, 0x0101, body));
    }

    /// It may report, and has something to.
    fn has_news(&self) -> bool {
        let may = self.state == State::Operating && self.unconfirmed.is_none();
        may && (!self.parts.is_empty()
            || !self.waiting.is_empty() && (self.form != Form::Grouped || self.is_scanner_on))
    }

    fn deliver(&mut self, now: Instant, out: &mut Vec<u8>) {
        if !self.has_news() {
            return;
        }
        if let Some((place, entries)) = self.parts.pop_front() {
            let count = (entries.len() as u32).to_be_bytes();
            let status = u16::from(place == 0) << 15 | u16::from(self.parts.is_empty()) << 14;
            let bytes: Vec<u8> = entries.iter().flat_map(|entry| self.entry(entry)).collect();
            let place = (place as u32).to_be_bytes();
            let info = [&[0, 0], &place[..], &count, &status.to_be_bytes(), &octets(&bytes)].concat();
            self.confirmed(&event_report(STORE, 0x0D21, &info), now, out);
        } else if let Some(measured) = self.waiting.pop_front() {
            let report = self.report(&measured);
            self.confirmed(&report, now, out);
            self.on_its_way = Some(measured);
        }
    }

    /// An entry of the store: its date, then the first numeric's value and status.
    fn entry(&self, measured: &Measured) -> Vec<u8> {
        let mut entry = absolute(measured.at).to_vec();
        let mut values = self.laid_out(0, measured);
        // The date is in the entry's head; its status comes last.
        values.retain(|(id, _)| *id != STAMP);
        values.sort_by_key(|(id, _)| *id == STATUS);
        values.into_iter().for_each(|(_, bytes)| entry.extend(bytes));
        entry
    }

    /// Measures: to be reported, and kept in the store if there is one.
    fn measure(&mut self, at: i64) {
        let measured = self.measured(at);
        if self.has_store {
            self.stored.push(measured);
        } else {
            self.waiting.push_back(measured);
        }
    }

    fn end(&mut self, now: Instant) {
        self.state = State::Unassociated;
        self.unconfirmed = None;
        if let Some(measured) = self.on_its_way.take() {
            self.waiting.push_front(measured);
        }
        self.parts.clear();
        self.is_scanner_on = false;
        self.auto_at = None;
        self.ask_at = now + ASK_EVERY;
    }

    fn message(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        match word(bytes, 0) {
            0xE300 => self.answered(word(bytes, 4), now, out),
            0xE400 => {
                out.extend(message(0xE500, &[0, 0]));
                self.end(now);
            }
            0xE500 | 0xE600 => self.end(now),
            0xE700 if self.state != State::Unassociated => {
                self.within(word(bytes, 6), word(bytes, 8), bytes.get(12..).unwrap_or_default(), now, out);
            }
            _ => out.extend(message(0xE600, &[0, 0])),
        }
    }

    fn answered(&mut self, result: u16, now: Instant, out: &mut Vec<u8>) {
        match result {
            0 => self.operate(now),
            3 => {
                self.state = State::Configuring;
                let body = event_report(0, 0x0D1C, &self.configuration());
                self.confirmed(&body, now, out);
            }
            _ => self.end(now),
        }
    }

    fn operate(&mut self, now: Instant) {
        self.state = State::Operating;
        self.unconfirmed = None;
        self.report_at = now;
        self.auto_at = self.auto.map(|auto| now + auto);
    }

    fn within(&mut self, invoke: u16, choice: u16, body: &[u8], now: Instant, out: &mut Vec<u8>) {
        match choice {
            0x0201 => {
                if self.unconfirmed.is_none_or(|(awaited, _)| awaited != invoke) {
                    return;
                }
                (self.unconfirmed, self.on_its_way) = (None, None);
                if self.state == State::Configuring {
                    // handle, time, event, length, configuration, result
                    if word(body, 12) == 0 { self.operate(now) } else { self.end(now) }
                }
                self.deliver(now, out);
            }
            _ if self.is_deaf => {}
            0x0103 => out.extend(within(invoke, 0x0203, &[&[0, 0], &self.attributes()[..]].concat())),
            0x0105 => {
                self.is_scanner_on = true;
                out.extend(within(invoke, 0x0205, &body[..2.min(body.len())]));
            }
            0x0107 => {
                let action = word(body, 2);
                let argument = body.get(6..).unwrap_or_default();
                let answer = match action {
                    0x0C17 => {
                        let time = argument.get(..8).and_then(seconds_of).unwrap_or(0);
                        self.zone = time - seconds_now();
                        Vec::new()
                    }
                    0x0C0D => self.segments(),
                    0x0C1C => {
                        let parts = self.stored.chunks(PART).enumerate();
                        self.parts = parts.map(|(part, entries)| (part * PART, entries.to_vec())).collect();
                        vec![0, 0, 0, if self.stored.is_empty() { 3 } else { 0 }]
                    }
                    _ => return out.extend(within(invoke, 0x0300, &[0, 9, 0, 0])),
                };
                out.extend(within(invoke, 0x0207, &[&body[..4], &octets(&answer)].concat()));
                self.deliver(now, out);
            }
            _ => {}
        }
    }
}

fn event_report(handle: u16, event: u16, info: &[u8]) -> Vec<u8> {
    [&handle.to_be_bytes()[..], &[0xFF; 4], &event.to_be_bytes(), &octets(info)].concat()
}

impl Device for Agent {
    fn plugged(&mut self, now: Instant) {
        self.input.clear();
        self.end(now);
        self.ask_at = now;
    }

    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>) {
        self.input.extend(bytes);
        while self.input.len() >= 4 {
            let whole = 4 + usize::from(word(&self.input, 2));
            if self.input.len() < whole {
                return;
            }
            let message: Vec<u8> = self.input.drain(..whole).collect();
            self.message(&message, now, out);
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.auto_at.is_some_and(|at| at <= now) {
            self.auto_at = None;
            self.measure(seconds_now() + self.zone);
        }
        if self.state == State::Unassociated && self.is_on && self.ask_at <= now {
            self.ask_at = now + ASK_EVERY;
            out.extend(self.association());
        }
        if self.unconfirmed.is_some_and(|(_, until)| until <= now) {
            out.extend(message(0xE600, &[0, 2]));
            self.end(now);
        }
        if self.special.is_followed && self.state == State::Operating && self.is_on && self.report_at <= now {
            self.report_at = now + REPORT_EVERY;
            if self.form != Form::Grouped || self.is_scanner_on {
                let measured = self.measured(seconds_now() + self.zone);
                let report = self.report(&measured);
                self.invoke = self.invoke.wrapping_add(1);
                out.extend(within(self.invoke, 0x0100, &report));
            }
        }
        self.deliver(now, out);
    }

    fn due(&self) -> Option<Instant> {
        let ask = (self.state == State::Unassociated && self.is_on).then_some(self.ask_at);
        let is_reporting = self.special.is_followed && self.state == State::Operating && self.is_on;
        let report = is_reporting.then_some(self.report_at);
        let news = self.has_news().then_some(self.report_at);
        [ask, report, news, self.auto_at, self.unconfirmed.map(|(_, until)| until)].into_iter().flatten().min()
    }

    fn set(&mut self, key: &str, value: &str, now: Instant) -> Result<(), String> {
        match (key, value) {
            ("zone", _) => self.zone = 60 * number::<i64>(key, value, -50_000_000, 50_000_000)?,
            ("settable", "yes" | "no") => self.settable = value == "yes",
            ("configuration", "standard" | "own") => self.is_extended = value == "own",
            ("store", "yes" | "no") => self.has_store = value == "yes",
            ("form", "fixed") => self.form = Form::Fixed,
            ("form", "variable") => self.form = Form::Variable,
            ("form", "persons") => self.form = Form::Persons,
            ("form", "grouped") => self.form = Form::Grouped,
            ("status", _) => self.status = number(key, value, 0, u16::MAX)?,
            ("unit", _) => self.unit = Some(number(key, value, 0, u16::MAX)?),
            ("auto", _) => {
                let seconds = number::<u64>(key, value, 0, 600)?;
                self.auto = (seconds > 0).then(|| Duration::from_secs(seconds));
                self.auto_at = self.auto.filter(|_| self.state == State::Operating).map(|auto| now + auto);
            }
            _ => {
                let named = self.values.iter_mut().find(|(name, _)| *name == key);
                let (_, place) = named.ok_or_else(|| format!("no such value: {key}={value}"))?;
                *place = Decimal::parse(value)?;
            }
        }
        Ok(())
    }

    fn values(&self) -> String {
        let value = |(name, value): &(&str, Option<Decimal>)| format!("{name}={}", Decimal::text(*value));
        self.values.iter().map(value).chain([format!("zone={}", self.zone / 60)]).collect::<Vec<_>>().join(" ")
    }

    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String> {
        let clock = seconds_now() + self.zone;
        match words {
            ["measure"] => self.measure(clock),
            // Of another patient, before now.
            ["earlier", minutes] => {
                let minutes: i64 = minutes.parse().map_err(|_| format!("not a number of minutes: {minutes}"))?;
                self.measure(clock - 60 * minutes);
            }
            ["finger", "in"] | ["on"] => (self.is_on, self.ask_at) = (true, now),
            ["finger", "out"] | ["off"] => {
                self.is_on = false;
                self.end(now);
            }
            ["deaf"] => self.is_deaf = true,
            ["strange"] => self.is_strange = true,
            // It begins again, with what it is now.
            ["again"] => {
                self.end(now);
                self.ask_at = now;
            }
            _ => return Err("measure, earlier MINUTES, on, off, deaf, strange, again".into()),
        }
        Ok(())
    }
}
