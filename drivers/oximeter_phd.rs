//! Any oximeter that speaks IEEE 11073-20601 (specialisation 10404): oxygen saturation, pulse, and the
//! perfusion index where it gives one.
//!
//! Source: ISO/IEEE 11073-10404, 6 (objects) and 7 (what it reports). Figures follow each other about once a second as
//! long as a finger is in, and are read by the rule of every oximeter; a device that measures once (modality "spot")
//! gives its one figure by itself. A saturation of 96.2 % is not taken: the record holds whole percent, and 96 is
//! another figure.

use std::time::{Duration, Instant};

use consult::vitals::{Moment, Quantity};

use crate::oximetry::Oximetry;
use crate::personal_health::condition::Condition;
use crate::personal_health::configuration::Object;
use crate::personal_health::manager::{Heard, Manager};
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::{Observation, Report};
use crate::personal_health::taking::{Measuring, figure, fitting, number, quality, when};
use crate::{Absent, Event, Now, Protocol, Status, Transmit, personal_health};

/// Figures are looked at no more often than that: the rule counts them as one a second.
const FIGURES_EVERY: Duration = Duration::from_millis(800);
/// Saturation and pulse that come apart belong together when they come within that time.
const TOGETHER: Duration = Duration::from_secs(2);
/// A device that sends no figures for that long has no finger in it.
const FIGURES_WITHIN: Duration = Duration::from_secs(5);
/// Without a measurement under way, what was measured that long ago is still shown as it moves.
const SHOWN_FOR_MS: i64 = 10_000;

fn wants(object: &Object) -> bool {
    object.class == mdc::METRIC_NUMERIC
        && [mdc::SPO2, mdc::PULSE_BY_OXIMETER].map(|code| (mdc::SCADA, code)).contains(&object.kind)
}

/// A figure as far as it is one.
#[derive(Clone, Copy)]
struct Figure<T> {
    value: Result<T, Absent>,
    /// What the device says of this figure's worth.
    high_quality: Option<bool>,
    came_at: Instant,
}

/// Of two figures that are given together, what holds for both: one that is questionable makes both so.
fn worse(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one && other),
        (known, None) | (None, known) => known,
    }
}

/// The protocol.
pub struct OximeterPhd {
    manager: Manager,
    oximetry: Oximetry,
    condition: Condition,
    started: Moment,
    spo2: Option<Figure<u8>>,
    pulse: Option<Figure<u16>>,
    /// When figures were given to the rule last.
    figures_at: Option<Instant>,
    /// Reports that came before the device told what its clock shows: the newest only, the next one replaces it.
    held: Option<(Report, Option<u32>)>,
}

impl Default for OximeterPhd {
    fn default() -> Self {
        Self::new()
    }
}

impl OximeterPhd {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            manager: Manager::new(wants),
            oximetry: Oximetry::new(0, usize::MAX),
            condition: Condition::default(),
            started: Moment::default(),
            spo2: None,
            pulse: None,
            figures_at: None,
            held: None,
        }
    }

    fn take(&mut self, now: Now) {
        while let Some(heard) = self.manager.poll_heard() {
            if let Some(fault) = self.condition.hear(&heard) {
                self.oximetry.out.event(Event::Fault(fault));
            }
            match heard {
                Heard::Operating => self.figures_at = Some(now.instant),
                Heard::Told => {
                    if let Some((report, counter)) = self.held.take() {
                        self.report(&report, counter, now);
                    }
                }
                Heard::Ended => {
                    (self.spo2, self.pulse, self.figures_at, self.held) = (None, None, None, None);
                    if self.oximetry.is_measuring() {
                        self.oximetry.no_figures(Status::WakeUp, Absent::SensorOff);
                    }
                }
                // What is stored was measured before.
                Heard::Report { report, counter, is_stored: false } => {
                    if self.manager.is_asking_attributes() {
                        self.held = Some((report, counter));
                    } else {
                        self.report(&report, counter, now);
                    }
                }
                Heard::Report { .. } | Heard::StoreRead | Heard::Unfit | Heard::Noise(_) => {}
            }
        }
    }

    fn report(&mut self, report: &Report, counter: Option<u32>, now: Now) {
        let since = if self.oximetry.is_measuring() { self.started } else { Moment(now.wall.0 - SHOWN_FOR_MS) };
        let perfusion = report.observations.iter().find(|o| o.kind == (mdc::SCADA, mdc::PERFUSION)).and_then(perfusion);
        for observation in &report.observations {
            let device_at = match when(observation.stamp, counter, self.manager.clock(), since, now).0 {
                Measuring::Now(device_at) => device_at,
                Measuring::Earlier => continue,
                Measuring::Unknown => {
                    self.oximetry.no_figures(Status::Searching, Absent::ClockWrong);
                    continue;
                }
            };
            self.observation(observation, perfusion, device_at, now);
        }
    }

    fn observation(&mut self, observation: &Observation, perfusion: Option<u16>, device_at: Option<Moment>, now: Now) {
        let came_at = now.instant;
        let quality = quality(observation.status);
        let high_quality = quality.unwrap_or(None);
        match observation.kind {
            (mdc::SCADA, mdc::SPO2) => {
                let value = quality.and_then(|_| whole(observation, mdc::PERCENT, Quantity::Spo2));
                self.spo2 = Some(Figure { value, high_quality, came_at });
            }
            (mdc::SCADA, mdc::PULSE_BY_OXIMETER) => {
                let value = quality.and_then(|_| whole(observation, mdc::BEATS_PER_MINUTE, Quantity::PulseRate));
                self.pulse = Some(Figure { value, high_quality, came_at });
            }
            _ => return,
        }
        let (Some(spo2), Some(pulse)) = (self.spo2, self.pulse) else { return };
        let apart = spo2.came_at.max(pulse.came_at) - spo2.came_at.min(pulse.came_at);
        if apart > TOGETHER {
            return;
        }
        (self.spo2, self.pulse) = (None, None);
        let high_quality = worse(spo2.high_quality, pulse.high_quality);
        if observation.is_spot {
            return self.spot(spo2.value, pulse.value, device_at, high_quality);
        }
        if self.figures_at.is_some_and(|at| now.instant < at + FIGURES_EVERY) {
            return;
        }
        self.figures_at = Some(now.instant);
        match (spo2.value, pulse.value) {
            (Ok(spo2), Ok(pulse)) => self.oximetry.figures(spo2, pulse, perfusion, high_quality, false),
            (Err(why), _) | (_, Err(why)) => self.oximetry.no_figures(Status::Searching, why),
        }
    }

    fn spot(
        &mut self,
        spo2: Result<u8, Absent>,
        pulse: Result<u16, Absent>,
        device_at: Option<Moment>,
        high_quality: Option<bool>,
    ) {
        match (spo2, pulse) {
            (Ok(spo2), Ok(pulse)) => self.oximetry.spot_check(spo2, pulse, device_at, high_quality),
            (Err(why), _) | (_, Err(why)) => self.oximetry.no_figures(Status::Searching, why),
        }
    }
}

/// The share of the light that pulses, hundredths of a percent, of the report that brings the figures; none when it has
/// more digits than that, is absent, or is in another unit.
fn perfusion(observation: &Observation) -> Option<u16> {
    let is_good = observation.unit == mdc::PERCENT && quality(observation.status).is_ok();
    let hundredths = figure(number(observation).ok()?, 2, Quantity::PerfusionIndex).ok().filter(|_| is_good)?;
    u16::try_from(hundredths).ok()
}

/// The figure of an observation in a whole number of that unit.
fn whole<T: TryFrom<i64>>(observation: &Observation, unit: u16, quantity: Quantity) -> Result<T, Absent> {
    if observation.unit != unit {
        return Err(Absent::UnitUnknown);
    }
    let figure = figure(number(observation)?, 0, quantity).map_err(|why| match why {
        // A value that is none: no pulse is tracked.
        Absent::Empty => Absent::NotTracked,
        why => why,
    })?;
    fitting(figure, quantity)
}

impl Protocol for OximeterPhd {
    fn port_opened(&mut self, now: Now) {
        self.condition.opened();
        self.manager.opened();
        self.oximetry.out.forget_commands();
        self.oximetry.port_opened(now);
        // Most are switched on by the finger. Their figures then come once a second.
        self.oximetry.is_silent_by_nature();
        self.take(now);
    }

    fn start(&mut self, now: Now) {
        self.started = now.wall;
        self.oximetry.start(now);
        if !self.manager.is_operating() {
            self.oximetry.out.status(Status::WakeUp);
        }
    }

    fn stop(&mut self, _now: Now) {
        self.oximetry.stop();
    }

    fn measuring_max(&self) -> Duration {
        crate::oximetry::MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.manager.input(bytes, now);
        self.take(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.manager.handle_timeout(now);
        self.take(now);
        if self.figures_at.is_some_and(|at| at + FIGURES_WITHIN <= now.instant) {
            self.figures_at = None;
            self.oximetry.no_figures(Status::FingerOut, Absent::SensorOff);
        }
        self.oximetry.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let figures = self.figures_at.map(|at| at + FIGURES_WITHIN);
        [figures, self.manager.poll_timeout(), self.oximetry.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.manager.poll_transmit().map(Transmit::Bytes)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.oximetry.out.poll_event()
    }

    fn serial(&self) -> Option<String> {
        self.manager.identity().serial.clone()
    }

    fn firmware(&self) -> Option<String> {
        self.manager.identity().firmware.clone()
    }

    fn buffered(&self) -> usize {
        self.manager.buffered()
    }

    fn buffer_max(&self) -> usize {
        personal_health::BUFFER_MAX
    }
}
