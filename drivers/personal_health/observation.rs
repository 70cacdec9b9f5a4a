//! What an agent measured: reports of every form, taken apart into observations.
//!
//! Source: IEEE 11073-20601 7.4.4 (scan reports), Annex A (`ScanReportInfoFixed` and the eleven others). A report whose
//! values are not as long as the configuration says is not read at all: an SFLOAT and a stamp read where a FLOAT and a
//! stamp were written would be another figure.

use crate::device_clock::DeviceTime;

use super::configuration::{Configuration, Map, Object, PARTS_MAX};
use super::mder::{Number, Reader, absolute_time, base_offset_time};
use super::nomenclature as mdc;

/// Most attributes of one observation that are looked at.
const ATTRIBUTES_MAX: usize = 64;
/// Bytes of an absolute time.
const STAMP_BYTES: usize = 8;

/// When something was measured, by the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Stamp {
    /// It does not say: now.
    #[default]
    None,
    /// By its clock.
    Clock(DeviceTime),
    /// By its counter of eighths of a millisecond.
    Relative(u32),
    /// It says something that is no time.
    Unreadable,
}

/// A value with all that was said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Partition and code of what was measured.
    pub(crate) kind: (u16, u16),
    pub(crate) unit: u16,
    /// The value, or each part of a compound value with its code.
    pub(crate) values: Vec<(u16, Number)>,
    pub(crate) stamp: Stamp,
    /// Bits of `mdc::STATUS_…`.
    pub(crate) status: u16,
    /// Taken once, not followed.
    pub(crate) is_spot: bool,
}

impl Observation {
    fn of(object: &Object) -> Self {
        Self { kind: object.kind, unit: object.unit, is_spot: object.is_spot, ..Self::default() }
    }

    /// Takes an attribute. `None`: it is damaged. One that is none of a value is passed over.
    fn set(&mut self, attribute: u16, value: &[u8], parts: &[u16]) -> Option<()> {
        let mut reader = Reader(value);
        match attribute {
            mdc::BASIC_OBSERVED => self.values = vec![(self.kind.1, Number::sfloat(reader.u16()?))],
            mdc::SIMPLE_OBSERVED => self.values = vec![(self.kind.1, Number::float(reader.u32()?))],
            mdc::NUMERIC_OBSERVED => self.values = vec![self.numeric(&mut reader)?],
            mdc::COMPOUND_BASIC_OBSERVED => {
                self.compound(&mut reader, parts, |list| Some(Number::sfloat(list.u16()?)))?;
            }
            mdc::COMPOUND_SIMPLE_OBSERVED => {
                self.compound(&mut reader, parts, |list| Some(Number::float(list.u32()?)))?;
            }
            mdc::COMPOUND_OBSERVED => {
                let (count, mut list) = reader.list()?;
                let mut values = Vec::new();
                for _ in 0..usize::from(count).min(PARTS_MAX) {
                    values.push(self.numeric(&mut list)?);
                }
                self.values = values;
            }
            mdc::STAMP_ABSOLUTE => self.stamp = absolute_time(value).map_or(Stamp::Unreadable, Stamp::Clock),
            mdc::STAMP_BASE_OFFSET => self.stamp = base_offset_time(value).map_or(Stamp::Unreadable, Stamp::Clock),
            mdc::STAMP_RELATIVE => self.stamp = Stamp::Relative(reader.u32()?),
            mdc::MEASUREMENT_STATUS => self.status = reader.u16()?,
            mdc::UNIT => self.unit = reader.u16()?,
            _ => {}
        }
        Some(())
    }

    /// A value that brings its own code, state and unit.
    fn numeric(&mut self, reader: &mut Reader<'_>) -> Option<(u16, Number)> {
        let (code, state, unit) = (reader.u16()?, reader.u16()?, reader.u16()?);
        (self.status, self.unit) = (self.status | state, unit);
        Some((code, Number::float(reader.u32()?)))
    }

    fn compound(
        &mut self,
        reader: &mut Reader<'_>,
        parts: &[u16],
        number: impl Fn(&mut Reader<'_>) -> Option<Number>,
    ) -> Option<()> {
        let (count, mut list) = reader.list()?;
        // More values than parts were announced: which is which cannot be told.
        if usize::from(count) > parts.len() {
            return None;
        }
        let mut values = Vec::new();
        for part in parts.iter().take(count.into()) {
            values.push((*part, number(&mut list)?));
        }
        self.values = values;
        Some(())
    }
}

/// Values laid out one after the other, as a map says. `None`: they are not.
fn laid_out(object: &Object, map: &Map, bytes: &mut Reader<'_>) -> Option<Observation> {
    let mut observation = Observation::of(object);
    for (attribute, length) in map {
        observation.set(*attribute, bytes.take((*length).into())?, &object.parts)?;
    }
    Some(observation)
}

/// The value of one object in a fixed report.
fn fixed(object: &Object, bytes: &[u8]) -> Option<Observation> {
    let mut reader = Reader(bytes);
    let mut observation = laid_out(object, &object.map, &mut reader)?;
    match reader.0.len() {
        0 => {}
        // Some agents date what their standard configuration does not date (Signove's oximeter 0190).
        STAMP_BYTES if observation.stamp == Stamp::None => {
            observation.stamp = Stamp::Clock(absolute_time(reader.0)?);
        }
        _ => return None,
    }
    Some(observation)
}

/// The form of a report's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Variable,
    Fixed,
    Grouped,
}

/// A kind of report: the form of its values, and whether they are of several persons.
fn form(event: u16) -> Option<(Form, bool)> {
    Some(match event {
        mdc::SCAN_FIXED => (Form::Fixed, false),
        mdc::SCAN_VARIABLE => (Form::Variable, false),
        mdc::SCAN_PERSONS_FIXED => (Form::Fixed, true),
        mdc::SCAN_PERSONS_VARIABLE => (Form::Variable, true),
        mdc::SCANNERS_FIRST..=mdc::SCANNERS_LAST => {
            let place = (event - mdc::SCANNERS_FIRST) % 6;
            let forms = [Form::Variable, Form::Fixed, Form::Grouped];
            (forms[usize::from(place % 3)], place >= 3)
        }
        _ => return None,
    })
}

/// A report, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) observations: Vec<Observation>,
    /// Values that could not be read: not as long as announced, or damaged.
    pub(crate) unreadable: usize,
}

/// Whether an event is a report of observations.
pub(crate) fn is_report(event: u16) -> bool {
    form(event).is_some()
}

/// Reads the information of a scan report that `handle` sent. What it says of an object itself (another unit, another
/// layout) is kept in the configuration. `None`: the report is damaged.
pub(crate) fn report(event: u16, handle: u16, info: &[u8], configuration: &mut Configuration) -> Option<Report> {
    let (form, persons) = form(event)?;
    let mut reader = Reader(info);
    let (_request, _number) = (reader.u16()?, reader.u16()?);
    let mut report = Report::default();
    if persons {
        let (count, mut list) = reader.list()?;
        for _ in 0..count {
            let _person = list.u16()?;
            values(form, handle, &mut list, configuration, &mut report)?;
        }
    } else {
        values(form, handle, &mut reader, configuration, &mut report)?;
    }
    Some(report)
}

fn values(
    form: Form,
    scanner: u16,
    reader: &mut Reader<'_>,
    configuration: &mut Configuration,
    report: &mut Report,
) -> Option<()> {
    let (count, mut list) = reader.list()?;
    for _ in 0..count {
        match form {
            Form::Fixed => {
                let (handle, bytes) = (list.u16()?, list.octets()?);
                // An object that was not announced is passed over: nobody can know how to read it.
                if let Some(object) = configuration.object(handle).filter(|object| !object.map.is_empty()) {
                    report.take(fixed(object, bytes));
                }
            }
            Form::Variable => {
                let handle = list.u16()?;
                let attributes = list.attributes(ATTRIBUTES_MAX)?;
                if let Some(object) = configuration.object_mut(handle) {
                    report.take(variable(object, attributes));
                }
            }
            Form::Grouped => {
                let bytes = list.octets()?;
                grouped(scanner, bytes, configuration, report);
            }
        }
    }
    Some(())
}

fn variable<'a>(object: &mut Object, attributes: impl Iterator<Item = (u16, &'a [u8])>) -> Option<Observation> {
    let attributes: Vec<_> = attributes.collect();
    for (attribute, value) in &attributes {
        object.set(*attribute, value)?;
    }
    let mut observation = Observation::of(object);
    for (attribute, value) in attributes {
        observation.set(attribute, value, &object.parts)?;
    }
    Some(observation)
}

fn grouped(scanner: u16, bytes: &[u8], configuration: &Configuration, report: &mut Report) {
    let Some(scanner) = configuration.object(scanner) else { return };
    let mut reader = Reader(bytes);
    let mut read = Vec::new();
    for (handle, map) in &scanner.grouped {
        let Some(object) = configuration.object(*handle) else { break };
        read.push(laid_out(object, map, &mut reader));
    }
    // Too long or too short: one wrong length moves all that follows it.
    if read.len() == scanner.grouped.len() && reader.0.is_empty() {
        read.into_iter().for_each(|observation| report.take(observation));
    } else {
        report.unreadable += 1;
    }
}

impl Report {
    fn take(&mut self, observation: Option<Observation>) {
        match observation {
            // Attributes without a value: an object that told of itself.
            Some(observation) if observation.values.is_empty() => {}
            Some(observation) => self.observations.push(observation),
            None => self.unreadable += 1,
        }
    }
}

/// Entries of a segment of a store, one after the other, each laid out as the segment's own map says.
pub(crate) mod stored {
    use super::*;
    use crate::personal_health::configuration::map;

    /// Most objects in one entry.
    const ELEMENTS_MAX: usize = 16;

    /// How the entries of a segment are laid out (`PmSegmentEntryMap`).
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Entries {
        header: u16,
        elements: Vec<(Object, Map)>,
    }

    /// Bits of the header: an absolute time, a counter, a finer counter; in that order in the entry.
    const ABSOLUTE: u16 = 0x8000;
    const RELATIVE: u16 = 0x4000;
    const HIGH_RESOLUTION: u16 = 0x2000;
    const BASE_OFFSET: u16 = 0x1000;

    impl Entries {
        /// Reads the map of a segment; units come from the objects of the configuration.
        pub(crate) fn read(value: &[u8], configuration: &Configuration) -> Option<Self> {
            let mut reader = Reader(value);
            let header = reader.u16()?;
            // A header with something that is not known cannot be stepped over.
            if header & !(ABSOLUTE | RELATIVE | HIGH_RESOLUTION | BASE_OFFSET) != 0 {
                return None;
            }
            let (count, mut list) = reader.list()?;
            let mut elements = Vec::new();
            if usize::from(count) > ELEMENTS_MAX {
                return None;
            }
            for _ in 0..count {
                let (class, partition, code, handle) = (list.u16()?, list.u16()?, list.u16()?, list.u16()?);
                let map = map(&mut list)?;
                let object = configuration.object(handle).cloned().unwrap_or_default();
                elements.push((Object { class, kind: (partition, code), ..object }, map));
            }
            Some(Self { header, elements })
        }

        /// Whether anything in an entry is of a kind that is wanted.
        pub(crate) fn has(&self, wanted: impl Fn(&Object) -> bool) -> bool {
            self.elements.iter().any(|(object, _)| wanted(object))
        }

        /// Reads so many entries.
        pub(crate) fn observations(&self, count: u32, bytes: &[u8]) -> Report {
            let mut report = Report::default();
            let mut reader = Reader(bytes);
            for _ in 0..count {
                // An entry of no bytes would be there without end.
                if reader.0.is_empty() {
                    break;
                }
                let Some(entry) = self.entry(&mut reader) else {
                    report.unreadable += 1;
                    break;
                };
                entry.into_iter().for_each(|observation| report.take(Some(observation)));
            }
            report
        }

        fn entry(&self, reader: &mut Reader<'_>) -> Option<Vec<Observation>> {
            let mut stamp = Stamp::Unreadable;
            for (bit, length) in [(ABSOLUTE, 8), (RELATIVE, 4), (HIGH_RESOLUTION, 8), (BASE_OFFSET, 8)] {
                if self.header & bit == 0 {
                    continue;
                }
                let bytes = reader.take(length)?;
                let time = match bit {
                    ABSOLUTE => absolute_time(bytes),
                    BASE_OFFSET => base_offset_time(bytes),
                    // Nothing tells how that counter stood to the clock when it was stored.
                    _ => None,
                };
                stamp = time.map_or(stamp, Stamp::Clock);
            }
            let mut observations = Vec::new();
            for (object, map) in &self.elements {
                let mut observation = laid_out(object, map, reader)?;
                if observation.stamp == Stamp::None {
                    observation.stamp = stamp;
                }
                observations.push(observation);
            }
            Some(observations)
        }
    }
}
