//! The manager's side of an IEEE 11073-20601 association: what an agent says, in, and what it is answered, out.
//!
//! Pure: bytes and time are arguments. Any agent that keeps to the standard is to hold an association with it: what it
//! may add (private protocols, unknown attributes, objects, events) is passed over; what it may not do, and what cannot
//! be read, ends the association, and the agent begins another.
//!
//! Source: IEEE 11073-20601 8 (states, Figure 14 and Annex E), 7.4 (events, actions).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Now;
use crate::device_clock::DeviceTime;

use super::apdu::{self, APDU_MAX, Abort, Apdu, Asking, Front, Prst};
use super::configuration::{Configuration, Object};
use super::identity::{Clock, Identity};
use super::mder::{Reader, write_absolute_time};
use super::nomenclature as mdc;
use super::observation::{self, Report};
use super::standard;

mod pm_store;

use pm_store::Reading;

/// An agent sends its configuration within that time of being asked for it (20601, `TO_config`).
const CONFIGURATION_WITHIN: Duration = Duration::from_secs(10);
/// It answers a question within that time (`TO_get`, `TO_cs`, `TO_ca`).
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// A message whose bytes stop coming for that long is not waited for.
const REST_WITHIN: Duration = Duration::from_secs(3);
/// Configurations remembered; the oldest is asked for again.
const REMEMBERED_MAX: usize = 8;
/// Messages waiting to be sent: each answers one of the agent's, which waits for it.
const OUT_MAX: usize = 32;
/// What was heard and nobody took yet.
const HEARD_MAX: usize = 256;

/// Bits of what an agent can do with its clock (`MdsTimeCapState`).
const CAN_BE_SET: u16 = 0x4000;
const WANTS_TO_BE_SET: u16 = 0x0010;
/// Attributes of the agent itself that are looked at.
const ATTRIBUTES_MAX: usize = 128;

/// What an agent said, for whoever takes measurements.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is ready: measurements may come.
    Operating,
    /// It has told who it is and what its clock shows, or does not tell.
    Told,
    /// The association has ended, whoever ended it.
    Ended,
    /// It measures nothing that this model does.
    Unfit,
    /// Bytes came that are no message.
    Noise(usize),
    /// Measurements. The agent's counter when it sent them, if it has one; and whether they come out of its store.
    Report { report: Report, counter: Option<u32>, is_stored: bool },
    /// Its store has been read as far as it goes.
    StoreRead,
}

/// What an agent is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ask {
    Attributes,
    SetTime,
    EnableScanner(u16),
    Segments(u16),
    Transfer { store: u16, segment: u16 },
}

enum State {
    Unassociated,
    Configuring { until: Instant },
    Operating,
}

/// The manager.
pub(crate) struct Manager {
    /// Whether the model measures that.
    wants: fn(&Object) -> bool,
    /// The protocol version that every association is answered with, its configuration asked for each time.
    answering: Option<u32>,
    buffer: Vec<u8>,
    /// When the last byte of what is not whole yet came.
    arrived_at: Option<Instant>,
    state: State,
    system_id: Vec<u8>,
    configuration: Configuration,
    remembered: VecDeque<(Vec<u8>, Configuration)>,
    identity: Identity,
    /// The agent's clock, as far as it told.
    clock: Option<Clock>,
    /// The clock has been set in this association: once is enough.
    is_clock_set: bool,
    /// It was ahead before it was set.
    was_ahead: bool,
    invoke: u16,
    asks: VecDeque<Ask>,
    asked: Option<(Ask, u16, Instant)>,
    reading: Option<Reading>,
    out: VecDeque<Vec<u8>>,
    heard: VecDeque<Heard>,
}

impl Manager {
    /// For a model that measures what `wants` picks.
    pub(crate) fn new(wants: fn(&Object) -> bool) -> Self {
        Self {
            wants,
            answering: None,
            buffer: Vec::new(),
            arrived_at: None,
            state: State::Unassociated,
            system_id: Vec::new(),
            configuration: Configuration::default(),
            remembered: VecDeque::new(),
            identity: Identity::default(),
            clock: None,
            is_clock_set: false,
            was_ahead: false,
            invoke: 0,
            asks: VecDeque::new(),
            asked: None,
            reading: None,
            out: VecDeque::new(),
            heard: VecDeque::new(),
        }
    }

    /// For devices that are used to one answer: that protocol version, and to be asked for their configuration.
    pub(crate) fn answering(self, version: u32) -> Self {
        Self { answering: Some(version), ..self }
    }

    /// The cable is new: an agent begins anew.
    pub(crate) fn opened(&mut self) {
        self.buffer.clear();
        self.arrived_at = None;
        self.out.clear();
        self.end();
    }

    pub(crate) fn is_operating(&self) -> bool {
        matches!(self.state, State::Operating)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// The agent's clock was ahead and has been set back in this association: what it dated by then may seem to be of now.
    pub(crate) fn was_set_back(&self) -> bool {
        self.was_ahead
    }

    /// The agent has been asked about its clock and may still be setting it: what it dates now cannot be judged yet.
    pub(crate) fn is_asking_attributes(&self) -> bool {
        let is_clock = |ask: &Ask| matches!(ask, Ask::Attributes | Ask::SetTime);
        self.asks.iter().any(is_clock) || self.asked.as_ref().is_some_and(|(ask, ..)| is_clock(ask))
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    pub(crate) fn poll_heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// Bytes that came, in any division.
    pub(crate) fn input(&mut self, mut bytes: &[u8], now: Now) {
        while !bytes.is_empty() {
            let room = APDU_MAX.saturating_sub(self.buffer.len()).max(1);
            let (some, rest) = bytes.split_at(bytes.len().min(room));
            bytes = rest;
            self.buffer.extend(some);
            self.take_messages(false, now);
        }
        self.arrived_at = (!self.buffer.is_empty()).then_some(now.instant);
    }

    /// Takes every whole message off the front. `give_up`: what is not whole will not become so.
    fn take_messages(&mut self, give_up: bool, now: Now) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut at = 0;
        let mut noise = 0;
        loop {
            let rest = &buffer[at..];
            match apdu::front(rest) {
                Front::Message(length) => {
                    self.noise(std::mem::take(&mut noise));
                    self.message(&rest[..length], now);
                    at += length;
                }
                Front::Wait if !give_up || rest.is_empty() => break,
                Front::Wait | Front::Noise => {
                    at += 1;
                    noise += 1;
                }
            }
        }
        self.noise(noise);
        buffer.drain(..at);
        self.buffer = buffer;
    }

    /// What cannot be understood ends an association.
    fn noise(&mut self, bytes: usize) {
        if bytes > 0 {
            self.abort(Abort::Undefined);
            self.hear(Heard::Noise(bytes));
        }
    }

    /// To be called when [`Manager::poll_timeout`] has passed.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        let is_past = |at: Instant| at <= now.instant;
        if self.arrived_at.is_some_and(|at| is_past(at + REST_WITHIN)) {
            self.arrived_at = None;
            self.take_messages(true, now);
        }
        if let State::Configuring { until } = self.state
            && is_past(until)
        {
            self.abort(Abort::ConfigurationTimeout);
        }
        let answer = self.asked.as_ref().map(|(_, _, until)| *until);
        let part = self.reading.as_ref().and_then(Reading::until);
        if [answer, part].into_iter().flatten().any(is_past) {
            self.abort(Abort::ResponseTimeout);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let configuring = if let State::Configuring { until } = self.state { Some(until) } else { None };
        let rest = self.arrived_at.map(|at| at + REST_WITHIN);
        let answer = self.asked.as_ref().map(|(_, _, until)| *until);
        let part = self.reading.as_ref().and_then(Reading::until);
        [configuring, rest, answer, part].into_iter().flatten().min()
    }

    fn message(&mut self, message: &[u8], now: Now) {
        let is_associated = !matches!(self.state, State::Unassociated);
        match apdu::read(message) {
            Apdu::Aarq(body) if !is_associated => self.associate(body, now),
            Apdu::Prst(prst) if is_associated => {
                if self.within(prst, now).is_none() {
                    self.abort(Abort::Undefined);
                }
            }
            Apdu::Rlrq if is_associated => {
                self.send(apdu::rlre());
                self.end();
            }
            Apdu::Rlre | Apdu::Abrt if is_associated => self.end(),
            Apdu::Rlre | Apdu::Abrt => {}
            // An agent that still believes in an association learns so that there is none.
            Apdu::Aarq(_) | Apdu::Aare | Apdu::Rlrq | Apdu::Prst(_) | Apdu::Unreadable => {
                self.send(apdu::abrt(Abort::Undefined));
                self.end();
            }
        }
    }

    fn associate(&mut self, body: &[u8], now: Now) {
        match apdu::asking(body) {
            None => self.send(apdu::abrt(Abort::Undefined)),
            Some(Err(refusal)) => self.send(apdu::aare(refusal, 0x8000_0000)),
            Some(Ok(Asking { version, system_id, configuration })) => {
                if self.system_id != system_id {
                    self.identity = Identity::default();
                }
                self.system_id = system_id;
                self.clock = None;
                self.is_clock_set = false;
                self.was_ahead = false;
                let known = standard::configuration(configuration).or_else(|| self.recall(configuration));
                let version = self.answering.unwrap_or(version);
                match known.filter(|known| self.answering.is_none() && self.is_fit(known)) {
                    Some(known) => {
                        self.send(apdu::aare(apdu::Result::Accepted, version));
                        self.operate(known, now);
                    }
                    None => {
                        self.send(apdu::aare(apdu::Result::AcceptedUnknownConfiguration, version));
                        self.state = State::Configuring { until: now.instant + CONFIGURATION_WITHIN };
                    }
                }
            }
        }
    }

    fn recall(&self, id: u16) -> Option<Configuration> {
        let is_it = |(system, known): &&(Vec<u8>, Configuration)| *system == self.system_id && known.id == id;
        self.remembered.iter().find(is_it).map(|(_, known)| known.clone())
    }

    fn remember(&mut self, configuration: &Configuration) {
        self.remembered.retain(|(system, known)| *system != self.system_id || known.id != configuration.id);
        if configuration.id >= standard::EXTENDED && !self.system_id.is_empty() {
            if self.remembered.len() >= REMEMBERED_MAX {
                self.remembered.pop_front();
            }
            self.remembered.push_back((self.system_id.clone(), configuration.clone()));
        }
    }

    /// Whether something in it is measured here. What a store holds is known only once it is looked into.
    fn is_fit(&self, configuration: &Configuration) -> bool {
        configuration.objects.iter().any(|object| (self.wants)(object) || object.class == mdc::PM_STORE)
    }

    fn operate(&mut self, configuration: Configuration, now: Now) {
        let scanners = configuration.of_class(&[mdc::SCANNER_EPISODIC, mdc::SCANNER_PERIODIC]);
        let scanners: Vec<u16> = scanners.map(|object| object.handle).collect();
        self.configuration = configuration;
        self.state = State::Operating;
        self.hear(Heard::Operating);
        self.ask(Ask::Attributes, now);
        for scanner in scanners {
            self.ask(Ask::EnableScanner(scanner), now);
        }
    }

    /// `None`: the message cannot be understood.
    fn within(&mut self, prst: Prst<'_>, now: Now) -> Option<()> {
        match prst.choice {
            apdu::EVENT | apdu::CONFIRMED_EVENT => self.event(prst, now),
            apdu::GET_ANSWER | apdu::SET_ANSWER | apdu::ACTION_ANSWER | apdu::ERROR | apdu::REJECT => {
                match self.asked {
                    Some((ask, invoke, _)) if invoke == prst.invoke => {
                        self.asked = None;
                        self.answered(ask, prst, now)?;
                        self.ask_next(now);
                    }
                    // Late, or to nobody's question.
                    _ => {}
                }
                Some(())
            }
            // A manager is asked nothing.
            _ => None,
        }
    }

    fn event(&mut self, prst: Prst<'_>, now: Now) -> Option<()> {
        let mut reader = Reader(prst.body);
        let (handle, counter, event, info) = (reader.u16()?, reader.u32()?, reader.u16()?, reader.octets()?);
        let is_confirmed = prst.choice == apdu::CONFIRMED_EVENT;
        let mut answer = Vec::new();
        // No time of ours: an agent takes its time from no answer.
        let mut our_time = u32::MAX;
        match (event, &self.state) {
            (mdc::CONFIGURATION, _) => {
                answer = self.configured(info, prst.invoke, now)?;
                our_time = 0;
            }
            (_, State::Operating) => match event {
                mdc::SEGMENT_DATA => answer = self.segment_part(handle, info, now)?,
                _ if observation::is_report(event) => {
                    let report = observation::report(event, handle, info, &mut self.configuration)?;
                    let counter = (counter != u32::MAX).then_some(counter);
                    self.hear(Heard::Report { report, counter, is_stored: false });
                }
                // Not one that we know: it is acknowledged, and passed over.
                _ => {}
            },
            // Measurements before the configuration.
            _ => return None,
        }
        if is_confirmed {
            let mut body = handle.to_be_bytes().to_vec();
            body.extend(our_time.to_be_bytes());
            body.extend(event.to_be_bytes());
            body.extend(apdu::octets(&answer));
            self.send(apdu::within(prst.invoke, apdu::EVENT_ANSWER, &body));
        }
        if event == mdc::CONFIGURATION && answer.ends_with(&[0, 0]) {
            // The answer goes out before the first question.
            let configuration = std::mem::take(&mut self.configuration);
            self.operate(configuration, now);
        }
        Some(())
    }

    /// A configuration: the answer that it is given.
    fn configured(&mut self, info: &[u8], invoke: u16, now: Now) -> Option<Vec<u8>> {
        let configuration = Configuration::read(info)?;
        let mut answer = configuration.id.to_be_bytes().to_vec();
        self.reading = None;
        self.asks.clear();
        self.asked = None;
        if self.is_fit(&configuration) {
            self.remember(&configuration);
            self.configuration = configuration;
            // Some agents (Accu-Chek) expect our questions to be counted on from theirs.
            self.invoke = invoke;
            answer.extend([0, 0]);
        } else {
            // Unsupported: it may have another one to offer.
            self.state = State::Configuring { until: now.instant + CONFIGURATION_WITHIN };
            self.hear(Heard::Unfit);
            answer.extend([0, 1]);
        }
        Some(answer)
    }

    fn answered(&mut self, ask: Ask, prst: Prst<'_>, now: Now) -> Option<()> {
        let is_refused = matches!(prst.choice, apdu::ERROR | apdu::REJECT);
        match ask {
            _ if is_refused => match ask {
                Ask::Segments(_) => self.store_read(),
                Ask::Transfer { .. } => self.next_segment(now),
                // It does without.
                Ask::Attributes => self.hear(Heard::Told),
                Ask::SetTime | Ask::EnableScanner(_) => {}
            },
            Ask::Attributes => self.attributes(prst.body, now)?,
            // What it shows now.
            Ask::SetTime => self.asks.push_front(Ask::Attributes),
            Ask::EnableScanner(_) => {}
            Ask::Segments(_) => self.segments(prst.body, now)?,
            Ask::Transfer { segment, .. } => self.transfer(segment, prst.body, now)?,
        }
        Some(())
    }

    fn attributes(&mut self, body: &[u8], now: Now) -> Option<()> {
        let mut reader = Reader(body);
        let _handle = reader.u16()?;
        let attributes: Vec<_> = reader.attributes(ATTRIBUTES_MAX)?.collect();
        self.identity.read(&attributes);
        self.clock = Clock::read(&attributes, now.wall);
        let info = attributes.iter().find(|(attribute, _)| *attribute == mdc::TIME_INFO);
        let can = info.and_then(|(_, value)| Reader(value).u16()).unwrap_or(0);
        let is_wrong = self.clock.is_some_and(|clock| clock.is_wrong());
        if can & CAN_BE_SET != 0 && (can & WANTS_TO_BE_SET != 0 || is_wrong) && !self.is_clock_set {
            self.is_clock_set = true;
            self.was_ahead = self.clock.is_none_or(Clock::is_ahead);
            self.asks.push_front(Ask::SetTime);
        }
        self.hear(Heard::Told);
        Some(())
    }

    fn ask(&mut self, ask: Ask, now: Now) {
        self.asks.push_back(ask);
        self.ask_next(now);
    }

    /// One question at a time.
    fn ask_next(&mut self, now: Now) {
        if self.asked.is_some() {
            return;
        }
        let Some(ask) = self.asks.pop_front() else { return };
        self.invoke = self.invoke.wrapping_add(1);
        let action = |handle: u16, action: u16, argument: &[u8]| {
            [&handle.to_be_bytes(), &action.to_be_bytes(), &apdu::octets(argument)[..]].concat()
        };
        let (choice, body) = match ask {
            Ask::Attributes => (apdu::GET, vec![0; 6]),
            Ask::SetTime => {
                let time = self.clock.map_or_else(|| DeviceTime::of(now.wall), |clock| clock.right(now.wall));
                // Then how exact that is (a FLOAT): nothing is said of it.
                let argument = [&write_absolute_time(time), &[0; 4][..]].concat();
                (apdu::CONFIRMED_ACTION, action(0, mdc::SET_TIME, &argument))
            }
            Ask::EnableScanner(handle) => {
                // One modification: replace the operational state by "enabled".
                let state = [&[0, 0], &mdc::OPERATIONAL_STATE.to_be_bytes()[..], &[0, 2, 0, 1]].concat();
                let list = [&[0, 1], &apdu::octets(&state)[..]].concat();
                (apdu::CONFIRMED_SET, [&handle.to_be_bytes(), &list[..]].concat())
            }
            // All segments.
            Ask::Segments(store) => {
                (apdu::CONFIRMED_ACTION, action(store, mdc::SEGMENT_INFORMATION, &[0, 1, 0, 2, 0, 0]))
            }
            Ask::Transfer { store, segment } => {
                (apdu::CONFIRMED_ACTION, action(store, mdc::TRIGGER_TRANSFER, &segment.to_be_bytes()))
            }
        };
        self.asked = Some((ask, self.invoke, now.instant + ANSWER_WITHIN));
        self.send(apdu::within(self.invoke, choice, &body));
    }

    /// Breaks an association off, if there is one.
    fn abort(&mut self, why: Abort) {
        if !matches!(self.state, State::Unassociated) {
            self.send(apdu::abrt(why));
            self.end();
        }
    }

    fn end(&mut self) {
        let was_associated = !matches!(self.state, State::Unassociated);
        self.state = State::Unassociated;
        self.asks.clear();
        self.asked = None;
        self.reading = None;
        if was_associated {
            self.hear(Heard::Ended);
        }
    }

    fn send(&mut self, message: Vec<u8>) {
        if self.out.len() >= OUT_MAX {
            self.out.pop_front();
        }
        self.out.push_back(message);
    }

    fn hear(&mut self, heard: Heard) {
        if self.heard.len() >= HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(heard);
    }
}
