//! What an agent has stored (its PM-store): which segments of it are wanted, and each of them part by part.
//!
//! Source: IEEE 11073-20601 6.3 (objects: PM-store, PM-segment), 7.4 (events, actions).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Now;
use crate::personal_health::mder::Reader;
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::stored;

use super::{ATTRIBUTES_MAX, Ask, Heard, Manager};

/// The next part of what it has stored comes within that time.
const STORED_WITHIN: Duration = Duration::from_secs(10);
/// Segments of a store that are read: the first ones with what is wanted.
const SEGMENTS_MAX: usize = 64;

/// Bits of a part of a segment.
const LAST_PART: u16 = 0x4000;
const AGENT_GAVE_UP: u16 = 0x0800;
const CONFIRMED: u16 = 0x0080;

/// A store being read.
pub(super) struct Reading {
    store: u16,
    /// Segments to come.
    left: VecDeque<(u16, stored::Entries)>,
    /// The one whose parts are awaited, and until when.
    now: Option<(u16, stored::Entries, Instant)>,
}

impl Reading {
    /// The next part comes by then.
    pub(super) fn until(&self) -> Option<Instant> {
        self.now.as_ref().map(|(_, _, until)| *until)
    }
}

impl Manager {
    /// Reads what the agent has stored, if it has a store. False: it has none, or is being read.
    pub(crate) fn read_store(&mut self, now: Now) -> bool {
        let store = self.configuration.of_class(&[mdc::PM_STORE]).next().map(|object| object.handle);
        let Some(store) = store.filter(|_| self.is_operating() && self.reading.is_none()) else { return false };
        self.reading = Some(Reading { store, left: VecDeque::new(), now: None });
        self.ask(Ask::Segments(store), now);
        true
    }

    /// The answer to what the store holds.
    pub(super) fn segments(&mut self, body: &[u8], now: Now) -> Option<()> {
        let mut reader = Reader(body);
        let (_handle, _action) = (reader.u16()?, reader.u16()?);
        let mut info = Reader(reader.octets()?);
        let mut left = VecDeque::new();
        // A store without segments answers with nothing.
        if let Some((count, mut list)) = info.list() {
            for _ in 0..count {
                let segment = list.u16()?;
                let (mut entries, mut is_empty) = (None, false);
                for (attribute, value) in list.attributes(ATTRIBUTES_MAX)? {
                    match attribute {
                        mdc::SEGMENT_MAP => entries = stored::Entries::read(value, &self.configuration),
                        mdc::SEGMENT_USAGE => is_empty = Reader(value).u32() == Some(0),
                        _ => {}
                    }
                }
                if let Some(entries) = entries.filter(|entries| !is_empty && entries.has(self.wants))
                    && left.len() < SEGMENTS_MAX
                {
                    left.push_back((segment, entries));
                }
            }
        }
        if let Some(reading) = &mut self.reading {
            reading.left = left;
        }
        self.next_segment(now);
        Some(())
    }

    /// Asks for the next segment, or says that there is none left.
    pub(super) fn next_segment(&mut self, now: Now) {
        let Some(reading) = &mut self.reading else { return };
        reading.now = None;
        match reading.left.pop_front() {
            None => self.store_read(),
            Some((segment, entries)) => {
                reading.now = Some((segment, entries, now.instant + STORED_WITHIN));
                let store = reading.store;
                self.ask(Ask::Transfer { store, segment }, now);
            }
        }
    }

    pub(super) fn store_read(&mut self) {
        self.reading = None;
        self.hear(Heard::StoreRead);
    }

    /// The answer to a transfer asked for: whether its parts will come.
    pub(super) fn transfer(&mut self, segment: u16, body: &[u8], now: Now) -> Option<()> {
        let mut reader = Reader(body);
        let (_handle, _action) = (reader.u16()?, reader.u16()?);
        let mut info = Reader(reader.octets()?);
        let (_segment, result) = (info.u16()?, info.u16()?);
        let is_awaited = self.reading.as_ref().is_some_and(|r| r.now.as_ref().is_some_and(|now| now.0 == segment));
        // No such segment, busy, empty: whoever wants it asks again.
        if result != 0 && is_awaited {
            self.next_segment(now);
        }
        Some(())
    }

    /// A part of a segment: the answer that it is given.
    pub(super) fn segment_part(&mut self, store: u16, info: &[u8], now: Now) -> Option<Vec<u8>> {
        let mut reader = Reader(info);
        let (segment, index, count) = (reader.u16()?, reader.u32()?, reader.u32()?);
        let (status, bytes) = (reader.u16()?, reader.octets()?);
        let mut answer = segment.to_be_bytes().to_vec();
        answer.extend(index.to_be_bytes());
        answer.extend(count.to_be_bytes());
        answer.extend(CONFIRMED.to_be_bytes());
        let Some(reading) = self.reading.as_mut().filter(|reading| reading.store == store) else { return Some(answer) };
        let Some((awaited, entries, until)) = &mut reading.now else { return Some(answer) };
        if *awaited != segment {
            return Some(answer);
        }
        *until = now.instant + STORED_WITHIN;
        let report = entries.observations(count, bytes);
        self.hear(Heard::Report { report, counter: None, is_stored: true });
        if status & (LAST_PART | AGENT_GAVE_UP) != 0 {
            // Some send the last part before they answer the question that began it.
            self.asks.retain(|ask| !matches!(ask, Ask::Transfer { .. }));
            self.asked = self.asked.take().filter(|(ask, ..)| !matches!(ask, Ask::Transfer { .. }));
            self.next_segment(now);
        }
        Some(answer)
    }
}
