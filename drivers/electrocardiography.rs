//! What every live electrocardiograph does with the rows that its protocol reads: blocks as they come, when they are a
//! recording (ten seconds of good signal), what is said of an electrode that is off, of lost samples and of silence.
//!
//! Shared, so that the same heart gives a recording by the same rule whichever board is plugged. Nothing is filtered,
//! scaled or filled in: a sample that was lost, or that its converter could not hold, is [`MISSING`].

use std::time::{Duration, Instant};

use consult::ecg::{Ecg, Lead, MISSING};

use crate::{Absent, Event, Fault, Now, Outgoing, Status};

/// Length of a recording, s: what a physician reads on paper.
pub(crate) const RECORDING_S: u16 = 10;
/// Length of a block, ms: short enough to be drawn as a moving line, long enough to cost nothing.
const BLOCK_MS: usize = 32;
/// Largest block held, bytes: half of what a protocol may keep.
const BLOCK_BYTES_MAX: usize = crate::BUFFER_MAX / 2;
/// A loss on the line longer than that begins the recording anew, ms: no part of a heart beat is shorter.
const LOST_AT_ONCE_MAX_MS: usize = 40;
/// So many rows of a recording may be lost, percent.
const LOST_MAX_PERCENT: usize = 1;
/// Noise moves the last bit of a converter all the time: a lead that stands still for so long has no electrode, ms.
const FLAT_MS: u32 = 500;
/// A line that damages bytes damages samples too, and no protocol here has a checksum: after damage, rows are recorded
/// again once so much of them came without any.
const DISTRUST: Duration = Duration::from_secs(1);
/// Where a board may have one of several rates: how far, percent of a recording, its rows may stray from the moments at
/// which that rate has them, by the cabin's clock.
const STRAY_MAX_PERCENT: u32 = 1;
/// Time for a measurement, from its start or from the return of the port.
pub(crate) const MEASUREMENT_MAX: Duration = Duration::from_secs(120);
/// A board that streams says something many times a second: that long without a good frame is a fault.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What a board's rows are.
#[derive(Clone, Copy)]
pub(crate) struct Montage {
    /// The leads of a row, in order.
    pub(crate) leads: &'static [Lead],
    /// Worth of one step, 10⁻¹⁵ V.
    pub(crate) femtovolts_per_step: u64,
    /// From that value on, either way, the converter is at its end and the true value unknown: the electrode is off.
    pub(crate) rail: i32,
    /// So many rows lost at once would not show in the board's own numbers: only the cabin's clock tells.
    pub(crate) rows_unnumbered: u16,
    /// Rates that the board may have, where nothing that it says tells which: the cabin's clock does. The likeliest
    /// first. Empty: its rate is known.
    pub(crate) rates_hz: &'static [u16],
}

/// A measurement under way.
struct Run {
    deadline: Instant,
    /// Rows of good signal, and the few that were lost among them. At most [`RECORDING_S`] of them.
    samples: Vec<i32>,
    /// When the first of them came.
    began: Instant,
    /// Rows lost among them.
    lost: usize,
    /// A good frame came since it began.
    heard: bool,
    /// When each row came, where the rate is not known.
    came: Vec<Instant>,
    /// Ten seconds came at no rate that the board may have.
    unsteady: bool,
}

impl Run {
    fn new(now: Now) -> Self {
        Self {
            deadline: now.instant + MEASUREMENT_MAX,
            samples: Vec::new(),
            began: now.instant,
            lost: 0,
            heard: false,
            came: Vec::new(),
            unsteady: false,
        }
    }

    /// The signal is not good now: what follows begins anew.
    fn interrupted(&mut self) {
        self.samples.clear();
        self.came.clear();
        self.lost = 0;
    }

    /// The one of these rates at which the rows came, by the cabin's clock.
    ///
    /// A busy cabin reads late and never early: the earliest row of each second tells when that was. They must
    /// all fit the rate, not only the first and the last: a quarter of a second that was lost would pass for a slower
    /// board.
    fn rate(&self, rates_hz: &[u16]) -> Option<u16> {
        let first = *self.came.first()?;
        let stray = |rate_hz: u16| {
            let late = |(row, came): (usize, &Instant)| {
                let due = row as f64 / f64::from(rate_hz);
                came.saturating_duration_since(first).as_secs_f64() - due
            };
            let rows: Vec<f64> = self.came.iter().enumerate().map(late).collect();
            let earliest =
                rows.chunks_exact(rate_hz.max(1).into()).map(|second| second.iter().copied().fold(f64::MAX, f64::min));
            let (least, most) =
                earliest.fold((f64::MAX, f64::MIN), |(least, most), late| (least.min(late), most.max(late)));
            most - least
        };
        let lasted = |rate_hz: u16| self.came.len() as f64 / f64::from(rate_hz.max(1));
        let fits = |rate: &&u16| stray(**rate) <= lasted(**rate) * f64::from(STRAY_MAX_PERCENT) / 100.0;
        rates_hz.iter().filter(fits).min_by(|one, other| stray(**one).total_cmp(&stray(**other))).copied()
    }
}

/// How long a lead has stood still.
#[derive(Clone, Copy, Default)]
struct Still {
    value: i32,
    rows: u32,
}

/// All of an electrocardiograph but its bytes.
pub(crate) struct Electrocardiography {
    montage: Montage,
    rate_hz: u16,
    /// So many bytes without a good frame are noise, and not silence.
    noise_bytes: usize,
    run: Option<Run>,
    /// The block being filled.
    block: Vec<i32>,
    still: Vec<Still>,
    /// Rows yet that are shown and not recorded.
    distrusted: usize,
    /// When the last good frame came, or frames began to be expected; `None` while none are.
    heard_at: Option<Instant>,
    /// Bytes that came since then.
    unheard: usize,
    fault: Option<Fault>,
    pub(crate) out: Outgoing,
}

impl Electrocardiography {
    pub(crate) fn new(montage: Montage, rate_hz: u16, noise_bytes: usize) -> Self {
        Self {
            montage,
            rate_hz,
            noise_bytes,
            run: None,
            block: Vec::new(),
            still: vec![Still::default(); montage.leads.len()],
            distrusted: 0,
            heard_at: None,
            unheard: 0,
            fault: None,
            out: Outgoing::default(),
        }
    }

    /// The board says how fast it samples. What was sampled before does not count.
    pub(crate) fn set_rate(&mut self, rate_hz: u16) {
        self.flush();
        self.rate_hz = rate_hz;
        self.discontinuity();
    }

    pub(crate) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// A measurement under way has all its time again, and nothing of before counts.
    pub(crate) fn port_opened(&mut self, now: Now) {
        self.block.clear();
        self.discontinuity();
        self.unheard = 0;
        self.heard_at = None;
        self.out.forget_status();
        if let Some(run) = &mut self.run {
            *run = Run::new(now);
        }
    }

    pub(crate) fn start(&mut self, now: Now) {
        self.out.forget_status();
        self.discontinuity();
        self.distrusted = 0;
        self.run = Some(Run::new(now));
    }

    pub(crate) fn stop(&mut self) {
        if self.run.take().is_some() {
            self.flush();
            self.out.end(Absent::Stopped);
        }
    }

    /// From now on frames are expected, and their absence is a fault.
    pub(crate) fn expect_frames(&mut self, now: Now) {
        self.heard_at = Some(now.instant);
        self.unheard = 0;
    }

    /// No frames are expected any more.
    pub(crate) fn expect_silence(&mut self) {
        self.flush();
        self.heard_at = None;
        self.fault = None;
    }

    /// So many bytes came, whatever they are.
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.unheard = self.unheard.saturating_add(bytes);
    }

    /// A good frame came.
    pub(crate) fn heard(&mut self, now: Now) {
        self.heard_at = Some(now.instant);
        self.unheard = 0;
        if let Some(run) = &mut self.run {
            run.heard = true;
        }
        if self.fault.take().is_some() {
            self.out.event(Event::Fault(Fault::Recovered));
        }
    }

    /// So many rows were lost on the line just before the next one.
    pub(crate) fn lose(&mut self, rows: usize) {
        for _ in 0..rows {
            self.say_row(&vec![MISSING; self.montage.leads.len()]);
        }
        self.still.fill(Still::default());
        let at_once_max = LOST_AT_ONCE_MAX_MS * usize::from(self.rate_hz) / 1_000;
        let lost_max = self.recording_rows() * LOST_MAX_PERCENT / 100;
        let leads = self.montage.leads.len();
        let Some(run) = &mut self.run else { return };
        if rows > at_once_max || run.lost + rows > lost_max {
            return run.interrupted();
        }
        // Nothing is lost of a recording that has not begun.
        if !run.samples.is_empty() {
            run.lost += rows;
            run.samples.resize(run.samples.len() + rows * leads, MISSING);
        }
    }

    /// Bytes came that cannot be: what came just before and comes just after may be damaged where nobody sees it.
    pub(crate) fn damaged(&mut self) {
        self.discontinuity();
        self.distrusted = usize::try_from(DISTRUST.as_secs()).unwrap_or(1) * usize::from(self.rate_hz);
    }

    /// The next row, one sample of each lead. True when it completes the recording and the measurement with it.
    pub(crate) fn row(&mut self, row: &[i32], now: Now) -> bool {
        let rail = self.montage.rail;
        let row: Vec<i32> =
            row.iter().map(|&sample| if sample >= rail || sample <= -rail { MISSING } else { sample }).collect();
        self.say_row(&row);
        let flat_rows = FLAT_MS * u32::from(self.rate_hz) / 1_000;
        let mut off = None;
        for ((still, &sample), &lead) in self.still.iter_mut().zip(&row).zip(self.montage.leads) {
            *still = match still.rows {
                0 => Still { value: sample, rows: 1 },
                rows if still.value == sample => Still { value: sample, rows: rows.saturating_add(1) },
                _ => Still { value: sample, rows: 1 },
            };
            if off.is_none() && (sample == MISSING || still.rows > flat_rows) {
                off = Some(lead);
            }
        }
        let rows_wanted = self.recording_rows();
        let leads = self.montage.leads.len();
        let distrusted = self.distrusted > 0;
        self.distrusted = self.distrusted.saturating_sub(1);
        let Some(run) = &mut self.run else { return false };
        if let Some(lead) = off {
            run.interrupted();
            self.out.status(Status::ElectrodeOff { lead: Some(lead) });
            return false;
        }
        if distrusted {
            return false;
        }
        if run.samples.is_empty() {
            run.began = now.instant;
        }
        run.samples.extend(&row);
        if !self.montage.rates_hz.is_empty() {
            run.came.push(now.instant);
        }
        let rows = run.samples.len() / leads;
        if rows < rows_wanted {
            let left = (rows_wanted - rows).div_ceil(self.rate_hz.into());
            self.out.status(Status::RecordingEcg { seconds_left: u16::try_from(left).unwrap_or(RECORDING_S) });
            return false;
        }
        if !self.montage.rates_hz.is_empty() {
            let Some(rate_hz) = run.rate(self.montage.rates_hz) else {
                run.interrupted();
                run.unsteady = true;
                return false;
            };
            self.rate_hz = rate_hz;
        }
        // A little less than what would not show: a cabin that was busy reads late, and has caught up by then.
        let took = now.instant.saturating_duration_since(run.began).as_millis();
        let late_max = 900 * u128::from(self.montage.rows_unnumbered) / u128::from(self.rate_hz.max(1));
        if took > 1_000 * rows as u128 / u128::from(self.rate_hz.max(1)) + late_max {
            run.interrupted();
            return false;
        }
        let samples = std::mem::take(&mut run.samples);
        self.run = None;
        self.flush();
        // A row of every lead at a rate that a board has: always an electrocardiogram.
        match self.ecg(samples) {
            Some(ecg) => self.out.event(Event::EcgTaken { ecg, device_at: None }),
            None => self.out.event(Event::Invalid(Absent::Empty)),
        }
        self.out.event(Event::Finished);
        true
    }

    /// Rows of a whole recording.
    fn recording_rows(&self) -> usize {
        usize::from(self.rate_hz) * usize::from(RECORDING_S)
    }

    /// What comes next does not follow what came before.
    fn discontinuity(&mut self) {
        self.still.fill(Still::default());
        if let Some(run) = &mut self.run {
            run.interrupted();
        }
    }

    fn say_row(&mut self, row: &[i32]) {
        self.block.extend(row);
        let rows = self.block.len() / row.len().max(1);
        let full = rows * 1_000 >= BLOCK_MS * usize::from(self.rate_hz);
        if full || 4 * (self.block.len() + row.len()) > BLOCK_BYTES_MAX {
            self.flush();
        }
    }

    /// Says what has come of the curve.
    fn flush(&mut self) {
        if !self.block.is_empty() {
            let samples = std::mem::take(&mut self.block);
            if let Some(ecg) = self.ecg(samples) {
                self.out.event(Event::Ecg(ecg));
            }
        }
    }

    fn ecg(&self, samples: Vec<i32>) -> Option<Ecg> {
        Ecg::new(self.montage.leads.to_vec(), self.rate_hz, self.montage.femtovolts_per_step, samples).ok()
    }

    fn silence_at(&self) -> Option<Instant> {
        if self.fault.is_some() { None } else { self.heard_at.map(|at| at + SILENCE_MAX) }
    }

    /// True when the measurement ended by it.
    pub(crate) fn handle_timeout(&mut self, now: Now) -> bool {
        if let Some(heard_at) = self.heard_at
            && self.silence_at().is_some_and(|at| at <= now.instant)
        {
            let seconds = now.instant.saturating_duration_since(heard_at).as_secs();
            let silent = Fault::Silent { seconds: u16::try_from(seconds).unwrap_or(u16::MAX) };
            let fault = if self.unheard >= self.noise_bytes { Fault::Garbled } else { silent };
            self.fault = Some(fault);
            self.flush();
            self.out.event(Event::Fault(fault));
        }
        let ended = self.run.take_if(|run| run.deadline <= now.instant);
        if let Some(run) = &ended {
            self.flush();
            self.out.end(match run {
                Run { unsteady: true, .. } => Absent::RateUnknown,
                Run { heard: true, .. } => Absent::ElectrodeOff,
                _ => Absent::Silent,
            });
        }
        ended.is_some()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.silence_at(), self.run.as_ref().map(|run| run.deadline)].into_iter().flatten().min()
    }

    /// Bytes of the curve that were not said yet. What is recorded of a measurement under way is no past: it is given
    /// whole, or forgotten, when the measurement ends.
    pub(crate) fn buffered(&self) -> usize {
        4 * self.block.len()
    }
}

#[cfg(test)]
mod tests {
    use consult::vitals::Moment;

    use super::*;

    const MONTAGE: Montage = Montage {
        leads: &[Lead::I, Lead::II],
        femtovolts_per_step: 5_000_000_000,
        rail: 30_000,
        rows_unnumbered: 50,
        rates_hz: &[],
    };
    const RATE: u16 = 100;

    struct Bench {
        board: Electrocardiography,
        now: Now,
        rows: i32,
    }

    impl Bench {
        fn new() -> Self {
            let now = Now { instant: Instant::now(), wall: Moment(0) };
            let mut board = Electrocardiography::new(MONTAGE, RATE, 64);
            board.port_opened(now);
            board.start(now);
            board.expect_frames(now);
            Self { board, now, rows: 0 }
        }

        /// So many good rows, each in its time.
        fn good(&mut self, rows: usize) {
            for _ in 0..rows {
                self.rows += 1;
                self.now.instant += Duration::from_millis(10);
                self.board.heard(self.now);
                self.board.row(&[self.rows, -self.rows], self.now);
            }
        }

        fn row(&mut self, row: [i32; 2]) {
            self.now.instant += Duration::from_millis(10);
            self.board.heard(self.now);
            self.board.row(&row, self.now);
        }

        fn events(&mut self) -> Vec<Event> {
            std::iter::from_fn(|| self.board.out.poll_event()).collect()
        }
    }

    fn taken(events: &[Event]) -> Option<&Ecg> {
        events.iter().find_map(|event| if let Event::EcgTaken { ecg, .. } = event { Some(ecg) } else { None })
    }

    fn live(events: &[Event]) -> Vec<i32> {
        let samples = |event: &Event| if let Event::Ecg(ecg) = event { ecg.samples().to_vec() } else { Vec::new() };
        events.iter().flat_map(samples).collect()
    }

    #[test]
    fn ten_good_seconds_are_a_recording_and_every_row_was_live_before() {
        let mut bench = Bench::new();
        bench.good(999);
        assert!(taken(&bench.events()).is_none());
        let mut bench = Bench::new();
        bench.good(1_000);
        let events = bench.events();
        let ecg = taken(&events).unwrap();
        assert_eq!(ecg.duration_ms(), 10_000);
        assert_eq!(ecg.samples(), live(&events), "nothing added, nothing dropped");
        assert_eq!(events.last(), Some(&Event::Finished));
        let lefts: Vec<u16> = events
            .iter()
            .filter_map(|e| {
                if let Event::Status(Status::RecordingEcg { seconds_left }) = e { Some(*seconds_left) } else { None }
            })
            .collect();
        assert_eq!(lefts, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
        // Blocks of 32 ms at least, 40 at most at this rate.
        let blocks = events.iter().filter(|e| matches!(e, Event::Ecg(_))).count();
        assert_eq!(blocks, 250);
    }

    #[test]
    fn a_short_loss_is_missing_in_the_recording_and_a_long_one_begins_it_anew() {
        let mut bench = Bench::new();
        bench.good(500);
        bench.board.lose(3);
        bench.good(497);
        let events = bench.events();
        let ecg = taken(&events).unwrap();
        assert_eq!(ecg.rows(), 1_000);
        assert_eq!(ecg.samples().iter().filter(|sample| **sample == MISSING).count(), 6);
        assert_eq!(ecg.samples()[998..1_006], [500, -500, MISSING, MISSING, MISSING, MISSING, MISSING, MISSING]);
        assert_eq!(ecg.samples(), live(&events));

        let mut bench = Bench::new();
        bench.good(500);
        bench.board.lose(5);
        bench.good(999);
        assert!(taken(&bench.events()).is_none());
        bench.good(1);
        let events = bench.events();
        assert!(!taken(&events).unwrap().samples().contains(&MISSING));
    }

    #[test]
    fn many_short_losses_are_no_good_signal() {
        let mut bench = Bench::new();
        for _ in 0..40 {
            bench.good(30);
            bench.board.lose(1);
        }
        assert!(taken(&bench.events()).is_none());
    }

    #[test]
    fn a_converter_at_its_end_is_an_electrode_off_and_no_voltage() {
        for end in [30_000, -30_000, i32::MAX, i32::MIN] {
            let mut bench = Bench::new();
            bench.good(500);
            bench.row([7, end]);
            bench.good(999);
            let events = bench.events();
            assert!(events.contains(&Event::Status(Status::ElectrodeOff { lead: Some(Lead::II) })), "{end}");
            assert!(taken(&events).is_none());
            assert_eq!(live(&events).iter().filter(|sample| **sample == MISSING).count(), 1);
            assert!(!live(&events).contains(&end) || end == MISSING);
        }
    }

    #[test]
    fn a_lead_that_stands_still_has_no_electrode() {
        let mut bench = Bench::new();
        for at in 0..2_000 {
            bench.row([12, at]);
        }
        let events = bench.events();
        assert!(events.contains(&Event::Status(Status::ElectrodeOff { lead: Some(Lead::I) })));
        assert!(taken(&events).is_none());
        bench.now.instant += MEASUREMENT_MAX;
        assert!(bench.board.handle_timeout(bench.now));
        let events = bench.events();
        assert!(events.ends_with(&[Event::Invalid(Absent::ElectrodeOff), Event::Finished]));
    }

    #[test]
    fn a_line_that_damages_bytes_is_trusted_again_after_a_second() {
        let mut bench = Bench::new();
        bench.good(999);
        bench.board.damaged();
        bench.good(1_099);
        assert!(taken(&bench.events()).is_none());
        bench.good(1);
        let events = bench.events();
        assert_eq!(taken(&events).unwrap().samples()[0], 1_100);
    }

    #[test]
    fn a_loss_that_no_number_shows_is_seen_by_the_clock_and_a_busy_cabin_is_none() {
        let mut bench = Bench::new();
        bench.good(600);
        bench.now.instant += Duration::from_millis(600);
        bench.good(400);
        assert!(taken(&bench.events()).is_none());
        bench.good(1_000);
        assert!(taken(&bench.events()).is_some());
        // What the cabin was late for comes all at once.
        let mut bench = Bench::new();
        bench.good(600);
        bench.now.instant += Duration::from_millis(600);
        for _ in 0..60 {
            bench.now.instant -= Duration::from_millis(10);
            bench.good(1);
        }
        bench.good(340);
        assert!(taken(&bench.events()).is_some());
    }

    #[test]
    fn silence_and_noise_are_told_apart_and_a_board_never_heard_is_silent() {
        let mut bench = Bench::new();
        bench.now.instant += SILENCE_MAX;
        assert!(!bench.board.handle_timeout(bench.now));
        assert!(bench.events().contains(&Event::Fault(Fault::Silent { seconds: 3 })));
        bench.now.instant += MEASUREMENT_MAX;
        assert!(bench.board.handle_timeout(bench.now));
        assert!(bench.events().ends_with(&[Event::Invalid(Absent::Silent), Event::Finished]));
        let mut bench = Bench::new();
        bench.board.arrived(64);
        bench.now.instant += SILENCE_MAX;
        bench.board.handle_timeout(bench.now);
        assert!(bench.events().contains(&Event::Fault(Fault::Garbled)));
        bench.good(1);
        assert!(bench.events().contains(&Event::Fault(Fault::Recovered)));
    }
}
