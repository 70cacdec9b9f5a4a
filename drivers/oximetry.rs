//! What every oximeter does with the figures and the curve that its protocol reads: when moving figures are a reading
//! (six settled seconds, or thirty that never settle), what is said of a finger that is out, of silence and of noise.
//!
//! Shared, so that the same finger gives a reading by the same rule whichever device is plugged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::vitals::{Moment, PerfusionIndex, PulseRate, Spo2, Value};

use crate::{Absent, Event, Fault, Measured, Now, Outgoing, Status, Waveform, WaveformKind};

/// Times a second that [`Oximetry::figures`] is called, of a device that does not say so rarely.
pub(crate) const FIGURES_HZ: usize = 3;
/// Figures must agree for that many seconds before they are a reading: longer than the averages of the devices.
const STABLE_SECONDS: usize = 6;
/// Figures of that rate that must agree.
#[cfg(test)]
pub(crate) const STABLE: usize = STABLE_SECONDS * FIGURES_HZ;
/// Seconds of a tracked pulse after which a reading is taken even if it moves. A pulse that never settles
/// (arrhythmia) is a finding, not a failure.
const STABLE_MAX_SECONDS: usize = 30;
/// Saturation may move by that much over a reading, %.
const SPO2_SPREAD_MAX: u8 = 2;
/// Pulse may move by that much over a reading, beats a minute.
const PULSE_SPREAD_MAX: u16 = 8;
/// Time for a measurement, from its start or from the return of the port.
pub(crate) const MEASUREMENT_MAX: Duration = Duration::from_secs(90);
/// An oximeter talks many times a second: that long without a good frame is a fault.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(3);
/// One that talks once a second may lose more of what it says.
const RARE_SILENCE_MAX: Duration = Duration::from_secs(5);

/// A measurement under way.
struct Run {
    deadline: Instant,
    /// Figures of the last seconds, all tracked, newest last.
    figures: VecDeque<(Spo2, PulseRate, Option<PerfusionIndex>)>,
    /// Figures in a row.
    tracked: usize,
}

impl Run {
    fn new(now: Now) -> Self {
        Self { deadline: now.instant + MEASUREMENT_MAX, figures: VecDeque::new(), tracked: 0 }
    }

    /// There are no figures now: what follows begins anew.
    fn interrupted(&mut self) {
        self.figures.clear();
        self.tracked = 0;
    }

    /// The finger moved: these figures do not count, the pulse is tracked all the same.
    fn moved(&mut self) {
        self.tracked += 1;
        self.figures.clear();
    }

    /// The next figures, of so many a second. Says whether they are the reading.
    fn take(&mut self, spo2: Spo2, pulse: PulseRate, perfusion: Option<PerfusionIndex>, hz: usize) -> bool {
        self.tracked += 1;
        self.figures.push_back((spo2, pulse, perfusion));
        while self.figures.len() > STABLE_SECONDS * hz {
            self.figures.pop_front();
        }
        self.figures.len() == STABLE_SECONDS * hz && (self.tracked >= STABLE_MAX_SECONDS * hz || self.is_settled())
    }

    /// The newest of the figures taken together.
    fn perfusion(&self) -> Option<PerfusionIndex> {
        self.figures.iter().rev().find_map(|(_, _, perfusion)| *perfusion)
    }

    fn is_settled(&self) -> bool {
        fn spread(values: impl Iterator<Item = u16> + Clone) -> u16 {
            values.clone().max().unwrap_or(0) - values.min().unwrap_or(0)
        }
        spread(self.figures.iter().map(|(s, ..)| s.percent().into())) <= u16::from(SPO2_SPREAD_MAX)
            && spread(self.figures.iter().map(|(_, p, _)| p.per_minute())) <= PULSE_SPREAD_MAX
    }
}

/// All of an oximeter but its bytes.
pub(crate) struct Oximetry {
    /// Samples of the curve a second.
    rate_hz: u16,
    /// So many bytes without a good frame are noise, and not silence.
    noise_bytes: usize,
    /// Figures a second; `None`: it is silent until it has measured.
    figures_hz: Option<usize>,
    run: Option<Run>,
    /// What was absent last, so that an absence is said once.
    absent: Option<Absent>,
    /// When the last good frame came, or the port opened. None before the port opens.
    heard_at: Option<Instant>,
    /// Bytes that came since then.
    unheard: usize,
    fault: Option<Fault>,
    samples: Vec<u16>,
    lost: u16,
    pub(crate) out: Outgoing,
}

impl Oximetry {
    pub(crate) fn new(rate_hz: u16, noise_bytes: usize) -> Self {
        Self {
            rate_hz,
            noise_bytes,
            figures_hz: Some(FIGURES_HZ),
            run: None,
            absent: None,
            heard_at: None,
            unheard: 0,
            fault: None,
            samples: Vec::new(),
            lost: 0,
            out: Outgoing::default(),
        }
    }

    /// A measurement under way has all its time again, and nothing of before counts.
    pub(crate) fn port_opened(&mut self, now: Now) {
        self.samples.clear();
        self.lost = 0;
        self.unheard = 0;
        self.heard_at = Some(now.instant);
        self.absent = None;
        self.figures_hz = Some(FIGURES_HZ);
        self.out.forget_status();
        if let Some(run) = &mut self.run {
            *run = Run::new(now);
        }
    }

    pub(crate) fn start(&mut self, now: Now) {
        self.out.forget_status();
        self.absent = None;
        self.run = Some(Run::new(now));
    }

    pub(crate) fn stop(&mut self) {
        self.end(Absent::Stopped);
    }

    /// It says figures that often.
    pub(crate) fn speaks(&mut self, figures_hz: usize) {
        if self.figures_hz != Some(figures_hz) {
            self.figures_hz = Some(figures_hz);
            if let Some(run) = &mut self.run {
                run.interrupted();
            }
        }
    }

    /// It says nothing until it has measured: its silence is no fault.
    pub(crate) fn is_silent_by_nature(&mut self) {
        self.figures_hz = None;
    }

    /// A measurement is under way.
    pub(crate) fn is_measuring(&self) -> bool {
        self.run.is_some()
    }

    /// So many bytes came, whatever they are.
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.unheard = self.unheard.saturating_add(bytes);
    }

    /// A good frame came.
    pub(crate) fn heard(&mut self, now: Now) {
        self.heard_at = Some(now.instant);
        self.unheard = 0;
        if self.fault.take().is_some() {
            self.out.event(Event::Fault(Fault::Recovered));
        }
    }

    /// Nothing good has come for too long.
    pub(crate) fn is_silent(&self, now: Now) -> bool {
        self.heard_at.is_none_or(|at| at + self.silence_max() <= now.instant)
    }

    /// A frame with a sample in it was lost on the line.
    pub(crate) fn lose(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }

    /// The next sample of the curve.
    pub(crate) fn sample(&mut self, sample: u16, full_scale: u16) {
        self.samples.push(sample);
        if self.samples.len() >= usize::from(self.rate_hz) {
            self.flush(full_scale);
        }
    }

    /// Says what has come of the curve.
    pub(crate) fn flush(&mut self, full_scale: u16) {
        if !self.samples.is_empty() {
            let (samples, lost) = (std::mem::take(&mut self.samples), std::mem::take(&mut self.lost));
            let (kind, rate_hz) = (WaveformKind::Pleth, self.rate_hz);
            self.out.event(Event::Waveform(Waveform { kind, rate_hz, full_scale, lost, samples }));
        }
    }

    /// There are no figures, and why: said once as it begins. The window of the reading starts again.
    pub(crate) fn no_figures(&mut self, status: Status, why: Absent) {
        self.out.status(status);
        if let Some(run) = &mut self.run {
            run.interrupted();
        }
        if self.absent != Some(why) {
            self.absent = Some(why);
            self.out.event(Event::Invalid(why));
        }
    }

    /// The next figures of a tracked pulse, as often as [`Oximetry::speaks`] says. `perfusion_hundredths`: hundredths of
    /// a percent, where the device gives it. `moving`: of a finger that moves.
    pub(crate) fn figures(
        &mut self,
        spo2_percent: u8,
        per_minute: u16,
        perfusion_hundredths: Option<u16>,
        high_quality: Option<bool>,
        moving: bool,
    ) {
        let (spo2, pulse) = match (Spo2::from_percent(spo2_percent), PulseRate::from_per_minute(per_minute)) {
            (Ok(spo2), Ok(pulse)) => (spo2, pulse),
            (Err(refused), _) | (_, Err(refused)) => return self.no_figures(Status::Searching, refused.into()),
        };
        let perfusion = perfusion_hundredths.and_then(|index| PerfusionIndex::from_hundredths_percent(index).ok());
        self.absent = None;
        self.out.status(if moving { Status::Artefact } else { Status::Tracking });
        let measured = |value| Measured { value, device_at: None, high_quality };
        let values = |perfusion: Option<PerfusionIndex>| {
            let values = [Some(Value::Spo2(spo2)), Some(Value::PulseRate(pulse)), perfusion.map(Value::PerfusionIndex)];
            values.into_iter().flatten().map(measured)
        };
        values(perfusion).for_each(|value| self.out.event(Event::Live(value)));
        let Some(run) = &mut self.run else { return };
        if moving {
            return run.moved();
        }
        if run.take(spo2, pulse, perfusion, self.figures_hz.unwrap_or(1)) {
            let perfusion = run.perfusion();
            self.read(values(perfusion));
        }
    }

    /// The figures that the device itself has settled on, at the end of a spot check.
    pub(crate) fn spot_check(
        &mut self,
        spo2_percent: u8,
        per_minute: u16,
        device_at: Option<Moment>,
        high_quality: Option<bool>,
    ) {
        match (Spo2::from_percent(spo2_percent), PulseRate::from_per_minute(per_minute)) {
            (Ok(spo2), Ok(pulse)) => {
                let measured = |value| Measured { value, device_at, high_quality };
                self.read([Value::Spo2(spo2), Value::PulseRate(pulse)].into_iter().map(measured));
            }
            (Err(refused), _) | (_, Err(refused)) => self.no_figures(Status::Searching, refused.into()),
        }
    }

    fn read(&mut self, values: impl Iterator<Item = Measured>) {
        if self.run.take().is_some() {
            values.for_each(|value| self.out.event(Event::Reading(value)));
            self.out.event(Event::Finished);
        }
    }

    /// Ends a measurement under way without a reading.
    pub(crate) fn end(&mut self, why: Absent) {
        if self.run.take().is_some() {
            self.out.end(why);
        }
    }

    fn silence_max(&self) -> Duration {
        if self.figures_hz == Some(1) { RARE_SILENCE_MAX } else { SILENCE_MAX }
    }

    fn silence_at(&self) -> Option<Instant> {
        let may_be_silent = self.figures_hz.is_none() && self.unheard < self.noise_bytes;
        if self.fault.is_some() || may_be_silent { None } else { self.heard_at.map(|at| at + self.silence_max()) }
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if let Some(heard_at) = self.heard_at
            && self.silence_at().is_some_and(|at| at <= now.instant)
        {
            let seconds = now.instant.saturating_duration_since(heard_at).as_secs();
            let silent = Fault::Silent { seconds: u16::try_from(seconds).unwrap_or(u16::MAX) };
            let fault = if self.unheard >= self.noise_bytes { Fault::Garbled } else { silent };
            self.fault = Some(fault);
            self.out.event(Event::Fault(fault));
        }
        if self.run.as_ref().is_some_and(|run| run.deadline <= now.instant) {
            self.end(Absent::timed_out(MEASUREMENT_MAX));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.silence_at(), self.run.as_ref().map(|run| run.deadline)].into_iter().flatten().min()
    }

    /// Bytes of the curve held.
    pub(crate) fn buffered(&self) -> usize {
        2 * self.samples.len()
    }
}
