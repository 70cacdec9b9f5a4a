//! Nonin OEM III, Xpod 3012LP, WristOx2 3150, Onyx II 9560: oxygen saturation, pulse and pulse curve.
//!
//! Source: "Nonin 9560 Bluetooth Specification", data formats 2, 7, 8 and 13 (the OEM III's are the same). 2 and 7
//! stream a curve of 8 and 16 bits with the figures in it ([`stream`]); 8 gives figures once a second without a curve;
//! 13 gives one record a spot check ([`messages`]). Which it is, is recognised from the bytes.
//!
//! A device that streams a curve by itself is sent nothing. From one that does not, a curve is asked for within the
//! five seconds that it allows; what refuses is read as it speaks.
//!
//! Figures taken are the "for display" ones (HR-D, SpO2-D: 4-beat average). The device keeps these for 10 s after the
//! finger left, with the sensor alarm set: they are not published then.
//!
//! A spot check has a date by the device's clock, and the device stores what nobody heard. A record is taken only when
//! it is not from its memory and its second is shown to lie between the start of the measurement and now. The clock is
//! set only when no zone can explain it (it is lost with the battery), and then to UTC.

use std::time::{Duration, Instant};

use crate::device_clock::{Civil, DeviceTime};
use crate::oximetry::{FIGURES_HZ, Oximetry};
use crate::{Absent, Event, Now, Protocol, Status, Transmit};

mod messages;
mod stream;

use messages::{Figures, Message, Messages, Record};
use stream::{ARTEFACT, OUT_OF_TRACK, Packet, SENSOR_ALARM, SENSOR_DISCONNECTED, Said, Stream};

/// Frames a second, in the formats with a curve.
pub const RATE_HZ: u16 = 75;
/// A device that has not begun a curve by then is asked for one. It takes a third of a second to recognise.
const LISTEN: Duration = Duration::from_secs(1);
/// The device takes the choice of a format within that time of connecting.
const CHOICE_MAX: Duration = Duration::from_secs(5);
/// It answers within that time.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// A question is repeated so many times.
const TRIES_MAX: u8 = 3;
/// Device and cabin read their clocks in whole seconds, and the answer takes its time: a record that near to the start
/// may be older. Nobody puts a finger in and is measured within it.
const CLOCK_SLACK_MS: i64 = 2_000;
/// Two packets of format 8, which has no checksum, bear each other out when they differ by no more: saturation in %,
/// pulse in beats a minute.
const BORNE_OUT: (u8, u16) = (4, 25);

/// The device's mark of an absent pulse.
const PULSE_ABSENT: u16 = 511;
/// The device's mark of an absent saturation.
const SPO2_ABSENT: u8 = 127;

/// What the device is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Data format 2: the one that an Xpod leaves its factory with.
    Curve,
    Clock,
    Serial,
}

impl Ask {
    fn command(self) -> &'static [u8] {
        match self {
            Ask::Curve => &[0x02, 0x70, 0x02, 0x02, 0x02, 0x03],
            Ask::Clock => &[0x02, 0x72, 0x00, 0x03],
            Ask::Serial => &[0x02, 0x74, 0x02, 0x02, 0x02, 0x03],
        }
    }
}

/// The date and time, in binary (those of a record are decimal).
fn set_clock(to: DeviceTime) -> Option<[u8; 10]> {
    let Civil { year, month, day, hour, minute, second } = to.civil();
    let mut command = [0x02, 0x72, 0x06, 0, 0, 0, 0, 0, 0, 0x03];
    for (byte, number) in command[3..9].iter_mut().zip([year - 2000, month, day, hour, minute, second]) {
        *byte = u8::try_from(number).ok()?;
    }
    Some(command)
}

/// Where the talk with the device is.
#[derive(Clone, Copy)]
enum Talk {
    /// No port.
    Closed,
    /// Whether it streams by itself is seen until then.
    Listening(Instant),
    Asking {
        ask: Ask,
        tries: u8,
        until: Instant,
    },
    /// Nothing is asked.
    Over,
}

/// The device's clock, as it was read.
#[derive(Clone, Copy)]
struct Clock {
    time: DeviceTime,
    at: Instant,
    minutes_ahead: i64,
}

impl Clock {
    /// What it may show at most then, ms since 1970 by its own count.
    fn latest_ms(self, then: Instant) -> i64 {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        let since = ms(then.saturating_duration_since(self.at)) - ms(self.at.saturating_duration_since(then));
        self.time.0 * 1_000 + since + CLOCK_SLACK_MS
    }
}

/// The protocol.
pub struct Nonin {
    stream: Stream,
    messages: Messages,
    talk: Talk,
    opened_at: Option<Instant>,
    started_at: Option<Instant>,
    /// Known of a device that takes spot checks.
    clock: Option<Clock>,
    clock_was_set: bool,
    /// It takes spot checks, and is silent between two.
    is_spot: bool,
    /// Figures of the packet of format 8 before.
    former: Option<(u8, u16)>,
    firmware: Option<u8>,
    serial: Option<String>,
    low_battery: bool,
    oximetry: Oximetry,
}

impl Default for Nonin {
    fn default() -> Self {
        Self::new()
    }
}

impl Nonin {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            stream: Stream::new(),
            messages: Messages::new(),
            talk: Talk::Closed,
            opened_at: None,
            started_at: None,
            clock: None,
            clock_was_set: false,
            is_spot: false,
            former: None,
            firmware: None,
            serial: None,
            low_battery: false,
            oximetry: Oximetry::new(RATE_HZ, stream::HUNT),
        }
    }

    fn ask(&mut self, ask: Ask, tries: u8, now: Now) {
        self.oximetry.out.send(ask.command());
        self.talk = Talk::Asking { ask, tries, until: now.instant + ANSWER_MAX };
    }

    fn may_choose(&self, now: Now) -> bool {
        self.opened_at.is_some_and(|at| now.instant < at + CHOICE_MAX)
    }

    fn unanswered(&mut self, ask: Ask, tries: u8, now: Now) {
        match ask {
            Ask::Curve if tries < TRIES_MAX && self.may_choose(now) => self.ask(ask, tries + 1, now),
            Ask::Curve => self.ask(Ask::Clock, 1, now),
            _ if tries < TRIES_MAX => self.ask(ask, tries + 1, now),
            // An OEM III knows no other command.
            _ => self.talk = Talk::Over,
        }
    }

    fn stream_byte(&mut self, byte: u8, now: Now) {
        self.stream.push(byte);
        while let Some(said) = self.stream.next() {
            let full_scale = self.stream.format().map_or(0, stream::Format::full_scale);
            match said {
                Said::Lost => self.oximetry.lose(),
                Said::Frame(frame) => {
                    self.oximetry.heard(now);
                    if frame.status & (SENSOR_ALARM | SENSOR_DISCONNECTED) == 0 {
                        self.oximetry.sample(frame.pleth, full_scale);
                    }
                }
                Said::Packet(packet) => {
                    // The curve before the figures that were drawn from it.
                    self.oximetry.flush(full_scale);
                    self.packet(&packet);
                }
            }
        }
        if self.stream.format().is_some() {
            // Nothing else can be told apart in a stream.
            self.messages.clear();
            self.talk = Talk::Over;
            self.is_spot = false;
            self.oximetry.speaks(FIGURES_HZ);
        }
    }

    fn packet(&mut self, packet: &Packet) {
        let pulse = u16::from(packet.float(20) & 0x03) << 7 | u16::from(packet.float(21) & 0x7F);
        let spo2 = packet.float(9);
        let stat2 = packet.float(8);
        self.firmware = Some(packet.float(4));
        self.battery(stat2 & 0x01 != 0);
        let high_quality = Some(stat2 & 0x20 != 0);

        if packet.status & SENSOR_DISCONNECTED != 0 {
            return self.oximetry.no_figures(Status::SensorDisconnected, Absent::SensorOff);
        }
        if packet.status & SENSOR_ALARM != 0 {
            return self.oximetry.no_figures(Status::FingerOut, Absent::SensorOff);
        }
        if packet.status & OUT_OF_TRACK != 0 || pulse == PULSE_ABSENT || spo2 == SPO2_ABSENT {
            return self.oximetry.no_figures(Status::Searching, Absent::NotTracked);
        }
        self.oximetry.figures(spo2, pulse, None, high_quality, packet.status & ARTEFACT != 0);
    }

    fn battery(&mut self, is_low: bool) {
        if is_low && !self.low_battery {
            self.oximetry.out.event(Event::Status(Status::LowBattery));
        }
        self.low_battery = is_low;
    }

    fn message(&mut self, message: Message, now: Now) {
        let asked = if let Talk::Asking { ask, .. } = self.talk { Some(ask) } else { None };
        match (message, asked) {
            (Message::Chosen(accepted), Some(Ask::Curve)) => {
                self.oximetry.heard(now);
                match accepted {
                    // It streams now.
                    true => self.talk = Talk::Over,
                    false => self.ask(Ask::Clock, 1, now),
                }
            }
            (Message::Clock(time), Some(Ask::Clock)) => self.clock(time, now),
            (Message::Serial(serial), Some(Ask::Serial)) => {
                self.oximetry.heard(now);
                self.serial = Some(serial);
                self.talk = Talk::Over;
            }
            (Message::Figures(figures), _) => self.second(figures, now),
            (Message::Record(record), _) => self.record(record, now),
            // Answers to what is no longer asked.
            _ => {}
        }
    }

    fn clock(&mut self, time: DeviceTime, now: Now) {
        self.spot(now);
        match time.minutes_ahead(now.wall) {
            Some(minutes_ahead) => self.clock = Some(Clock { time, at: now.instant, minutes_ahead }),
            None => {
                self.clock = None;
                if let Some(command) = set_clock(DeviceTime::of(now.wall)).filter(|_| !self.clock_was_set) {
                    self.clock_was_set = true;
                    // It is not answered: the clock is read again.
                    self.oximetry.out.send(&command);
                    return self.ask(Ask::Clock, 1, now);
                }
            }
        }
        match self.serial {
            Some(_) => self.talk = Talk::Over,
            None => self.ask(Ask::Serial, 1, now),
        }
    }

    /// It takes spot checks: between two it has nothing to say.
    fn spot(&mut self, now: Now) {
        self.oximetry.heard(now);
        if !std::mem::replace(&mut self.is_spot, true) {
            self.oximetry.is_silent_by_nature();
            if self.oximetry.is_measuring() {
                self.oximetry.out.status(Status::FingerOut);
            }
        }
    }

    /// Data format 8.
    fn second(&mut self, figures: Figures, now: Now) {
        let Figures { spo2, pulse, .. } = figures;
        let former = self.former.replace((spo2, pulse));
        let near =
            |former: (u8, u16)| former.0.abs_diff(spo2) <= BORNE_OUT.0 && former.1.abs_diff(pulse) <= BORNE_OUT.1;
        self.oximetry.heard(now);
        if !former.is_some_and(near) {
            return;
        }
        self.is_spot = false;
        self.oximetry.speaks(1);
        self.battery(figures.low_battery);
        if figures.sensor_alarm {
            self.oximetry.no_figures(Status::FingerOut, Absent::SensorOff);
        } else if figures.out_of_track || pulse == PULSE_ABSENT || spo2 == SPO2_ABSENT {
            self.oximetry.no_figures(Status::Searching, Absent::NotTracked);
        } else {
            self.oximetry.figures(spo2, pulse, None, Some(figures.high_quality), figures.artefact);
        }
    }

    /// Data format 13.
    fn record(&mut self, record: Record, now: Now) {
        self.spot(now);
        self.battery(record.low_battery);
        let Some(started_at) = self.started_at.filter(|_| self.oximetry.is_measuring()) else { return };
        if record.from_memory {
            return;
        }
        let dated = self.clock.zip(record.time);
        let Some((clock, time)) = dated else {
            // Without a clock nothing tells whose it is. It may yet answer; if it does not, no record can be taken.
            if !matches!(self.talk, Talk::Asking { .. } | Talk::Listening(_)) {
                self.oximetry.end(Absent::ClockWrong);
            }
            return;
        };
        let since_start = time.0 * 1_000 >= clock.latest_ms(started_at);
        if !since_start || time.0 * 1_000 > clock.latest_ms(now.instant) {
            return;
        }
        if record.is_empty || record.pulse == PULSE_ABSENT || record.spo2 == SPO2_ABSENT {
            return self.oximetry.no_figures(Status::Searching, Absent::NotTracked);
        }
        let device_at = time.moment(clock.minutes_ahead);
        self.oximetry.spot_check(record.spo2, record.pulse, Some(device_at), Some(record.high_quality));
    }
}

impl Protocol for Nonin {
    fn port_opened(&mut self, now: Now) {
        self.stream.clear();
        self.messages.clear();
        self.former = None;
        // Another device may be plugged in now.
        self.clock = None;
        self.clock_was_set = false;
        self.is_spot = false;
        self.serial = None;
        self.opened_at = Some(now.instant);
        self.talk = Talk::Listening(now.instant + LISTEN);
        self.oximetry.out.forget_commands();
        self.oximetry.port_opened(now);
    }

    fn start(&mut self, now: Now) {
        self.started_at = Some(now.instant);
        self.oximetry.start(now);
        if self.is_spot {
            self.oximetry.out.status(Status::FingerOut);
            // Read now, its own error since it was last read does not count.
            self.ask(Ask::Clock, 1, now);
        }
    }

    fn stop(&mut self, _now: Now) {
        self.oximetry.stop();
    }

    fn measuring_max(&self) -> Duration {
        crate::oximetry::MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.oximetry.arrived(bytes.len());
        self.silence(now);
        for &byte in bytes {
            self.stream_byte(byte, now);
            if self.stream.format().is_none() {
                self.messages.push(byte, now.instant);
                while let Some(message) = self.messages.next(matches!(self.talk, Talk::Asking { ask: Ask::Curve, .. }))
                {
                    self.message(message, now);
                }
            }
        }
        // Once an arrival rather than once a frame: what came together is drawn together.
        if let Some(format) = self.stream.format() {
            self.oximetry.flush(format.full_scale());
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.silence(now);
        match self.talk {
            Talk::Listening(until) if until <= now.instant => {
                self.ask(if self.may_choose(now) { Ask::Curve } else { Ask::Clock }, 1, now);
            }
            Talk::Asking { ask, tries, until } if until <= now.instant => self.unanswered(ask, tries, now),
            _ => {}
        }
        self.oximetry.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let talk = match self.talk {
            Talk::Closed | Talk::Over => None,
            Talk::Listening(until) | Talk::Asking { until, .. } => Some(until),
        };
        [talk, self.messages.silence_at(), self.oximetry.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.oximetry.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.oximetry.out.poll_event()
    }

    fn serial(&self) -> Option<String> {
        self.serial.clone()
    }

    fn firmware(&self) -> Option<String> {
        self.firmware.map(|revision| revision.to_string())
    }

    fn buffered(&self) -> usize {
        self.stream.buffered() + self.messages.buffered() + self.oximetry.buffered()
    }
}

impl Nonin {
    /// What stood alone in the silence that has passed.
    fn silence(&mut self, now: Now) {
        if let Some(message) = self.messages.silence(now.instant) {
            self.message(message, now);
        }
    }
}

#[cfg(test)]
mod tests;
