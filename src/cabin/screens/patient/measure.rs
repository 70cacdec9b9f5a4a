//! The guided measurement: place, live, review, skip.

use std::time::Instant;

use consult::dossier::SkipReason;
use consult::journey::{Act, Guided, Input, Step};
use consult::vitals::{BodySite, Measurement};
use drivers::ports::system_clock;
use drivers::{Model, Status};
use exam::picture;
use exam::sound::measures;
use media::Frame;
use slint::{ComponentHandle as _, ModelRc};
use ui::{App, DeviceFault, MeasureAdapter, SignalHint, TryTrouble};

use super::super::list;
use crate::devices::{Device, Health};
use crate::instruments::{Advice, Instrument, Source};
use crate::run_loop::{Cabin, with};
use crate::words;

/// Below that a stethoscope hears nothing but itself, hundredths of a decibel of full scale.
const QUIET_CENTIBELS: i32 = -6_000;

/// How long a measurement takes when all goes well, ms, for the bar that fills.
fn usual_ms(measurement: Measurement) -> u64 {
    match measurement {
        Measurement::OxygenAndPulse => 10_000,
        Measurement::BloodPressure => 45_000,
        Measurement::WeightAndHeight => 8_000,
        Measurement::Temperature => 15_000,
        Measurement::Glucose => 40_000,
        Measurement::Ecg => 20_000,
        Measurement::EarPicture | Measurement::SkinPicture => 30_000,
        Measurement::Auscultation => 25_000,
    }
}

pub(super) fn connect(app: &App) {
    let measure = app.global::<MeasureAdapter>();
    measure.on_start(|| {
        with(|cabin| {
            cabin.input(Input::MeasuringStarted);
        })
    });
    measure.on_choose_site(|site| {
        with(|cabin| {
            let Some(measurement) = cabin.guided().map(|guided| guided.measurement) else { return };
            let chosen = BodySite::choices(measurement).iter().find(|choice| words::screen_site(**choice) == site);
            cabin.drafts.site = chosen.map(|choice| (measurement, *choice));
        })
    });
    measure.on_stop(|| with(Cabin::back));
    measure.on_take(|| with(Cabin::take_recording));
    measure.on_keep(|| {
        with(|cabin| {
            if cabin.input(Input::ReadingsKept) {
                cabin.end_assistance();
            }
        })
    });
    measure.on_again(|| {
        with(|cabin| {
            cabin.input(Input::Retake);
        })
    });
    measure.on_skip(|| with(|cabin| cabin.drafts.skipping = Some(None)));
    measure.on_choose_skip_reason(|reason| with(|cabin| cabin.drafts.skipping = Some(words::skip_of_screen(reason))));
    measure.on_skip_confirmed(|| {
        with(|cabin| {
            if let Some(Some(reason)) = cabin.drafts.skipping {
                cabin.skip(reason);
            }
        })
    });
}

pub(super) fn show(app: &App, cabin: &Cabin) {
    let Some(guided) = cabin.guided() else { return };
    let measure = app.global::<MeasureAdapter>();
    measure.set_kind(words::screen_measure(guided.measurement));
    let sites = BodySite::choices(guided.measurement).iter().map(|site| words::screen_site(*site)).collect();
    list(&measure.get_sites(), sites, |rows| measure.set_sites(rows));
    measure.set_site(cabin.site_of(guided.measurement).map_or(ui::BodySite::None, words::screen_site));
    let proposed = cabin.journey.proposed_measurements();
    let number = proposed.iter().position(|measurement| *measurement == guided.measurement);
    measure.set_count(i32::try_from(proposed.len().max(1)).unwrap_or(1));
    measure.set_number(number.map_or(1, |number| i32::try_from(number + 1).unwrap_or(1)));
    measure.set_asked_by_physician(matches!(cabin.journey.step(), Step::Call { .. }));
    measure.set_skip_reason(words::screen_skip(cabin.drafts.skipping.flatten()));
    let device = cabin.devices.serving(guided.measurement);
    measure.set_test_source(false);
    measure.set_fault(fault(guided, device));
    measure.set_trouble(match guided.act {
        Act::Place { trouble: Some(trouble) } => words::screen_try_trouble(trouble),
        _ => TryTrouble::None,
    });

    let live = device.map(|device| words::screen_figures(&device.live)).unwrap_or_default();
    let figures = match &guided.act {
        Act::Review { readings } => words::screen_figures(readings.iter().map(|reading| &reading.value)),
        _ => live,
    };
    let figures = words::merge_figures(words::empty_figures(guided.measurement), &figures);
    list(&measure.get_figures(), figures, |rows| measure.set_figures(rows));
    measure.set_complete(matches!(guided.act, Act::Review { .. }));
    measure.set_taken(matches!(guided.act, Act::Review { .. }));

    let (progress, left) = progress(guided);
    measure.set_progress(progress);
    measure.set_seconds_left(left);
    measure.set_hint(
        device
            .and_then(|device| Some((device.model, device.status?)))
            .map_or(SignalHint::Waiting, |(model, status)| hint(model, status)),
    );
    measure.set_resting_seconds(match device.and_then(|device| device.status) {
        Some(Status::Resting { seconds } | Status::RecordingEcg { seconds_left: seconds }) => seconds.into(),
        _ => 0,
    });
    measure.set_cuff_mmhg(match device.and_then(|device| device.status) {
        Some(Status::CuffPressure { mmhg, .. }) => mmhg.into(),
        _ => 0,
    });
    if let Some(instrument) = cabin.instruments.serving(guided.measurement) {
        measure.set_test_source(instrument.setting.is_test());
        measure.set_fault(match guided.act {
            Act::CheckCable { .. } => DeviceFault::Unplugged,
            Act::Review { .. } => DeviceFault::None,
            _ => device_fault(&instrument.health),
        });
        measure.set_complete(match guided.act {
            Act::Review { .. } => true,
            _ => instrument.ready && instrument.taking.is_none(),
        });
        measure.set_hint(instrument_hint(instrument));
        let until = instrument.taking.map_or(0, |until| until.saturating_duration_since(Instant::now()).as_secs() + 1);
        measure.set_resting_seconds(i32::try_from(until).unwrap_or(0));
        // Brought back after a restart, the picture itself is in the outbox only.
        if !matches!(guided.act, Act::Measuring { .. }) {
            show_picture(app, instrument.frozen.as_ref().filter(|_| matches!(guided.act, Act::Review { .. })));
        }
    }
    let heard = cabin.instruments.serving(guided.measurement).map(sound_curve).unwrap_or_default();
    let curve = device.map_or(heard, curve);
    measure.set_curve_present(curve.len() > 1);
    list(&measure.get_curve(), curve, |samples| measure.set_curve(samples));
}

fn instrument_hint(instrument: &Instrument) -> SignalHint {
    let hears = matches!(instrument.setting.source, Source::Stethoscope(_));
    match instrument.advice {
        _ if !instrument.ready => SignalHint::Waiting,
        _ if hears && instrument.taking.is_some() => SignalHint::Listening,
        _ if hears && instrument.curve.rms_centibels < QUIET_CENTIBELS => SignalHint::TooQuiet,
        None => SignalHint::Good,
        Some(Advice::Picture(picture::Advice::TooDark)) => SignalHint::TooDark,
        Some(Advice::Picture(picture::Advice::TooBright)) => SignalHint::TooBright,
        Some(Advice::Picture(picture::Advice::MoveNearer)) => SignalHint::Nearer,
        Some(Advice::Picture(picture::Advice::Blurred)) => SignalHint::Blurred,
        Some(Advice::Sound(measures::Advice::TooLoud)) => SignalHint::TooLoud,
        Some(Advice::Sound(measures::Advice::TooQuiet)) => SignalHint::TooQuiet,
        Some(Advice::Sound(measures::Advice::Gaps)) => SignalHint::Gap,
        Some(Advice::Sound(measures::Advice::Dead)) => SignalHint::Dead,
    }
}

/// What the stethoscope hears between 0 and 1: the lowest and the highest of each moment in turn.
fn sound_curve(instrument: &Instrument) -> Vec<f32> {
    let points = instrument.curve.points.iter().flat_map(|(low, high)| [*low, *high]);
    points.map(|sample| (f32::from(sample) - f32::from(i16::MIN)) / f32::from(u16::MAX)).collect()
}

/// What a camera sees, or took.
pub fn show_picture(app: &App, frame: Option<&Frame>) {
    let measure = app.global::<MeasureAdapter>();
    measure.set_picture_present(frame.is_some());
    measure.set_picture(super::image(frame, slint::Image::default()));
}

pub(super) fn forget(app: &App) {
    show_picture(app, None);
    let measure = app.global::<MeasureAdapter>();
    measure.set_figures(ModelRc::default());
    measure.set_curve(ModelRc::default());
    measure.set_curve_present(false);
}

/// The last seconds of a device's curve between 0 and 1, stretched over what it spans.
pub(in crate::screens) fn curve(device: &Device) -> Vec<f32> {
    let (low, high) =
        device.curve.iter().fold((i32::MAX, i32::MIN), |(low, high), sample| (low.min(*sample), high.max(*sample)));
    // A flat line is drawn flat: noise of a few steps is not stretched into waves.
    let span = high.saturating_sub(low).max(device.smallest_span).max(1) as f32;
    device.curve.iter().map(|sample| sample.saturating_sub(low) as f32 / span).collect()
}

/// What is wrong with a device, as the screens name it.
pub(in crate::screens) fn device_fault(health: &Health) -> DeviceFault {
    match health {
        Health::Ready => DeviceFault::None,
        Health::Unknown | Health::Unplugged | Health::Refused(_) => DeviceFault::Unplugged,
        Health::Silent | Health::AtFault => DeviceFault::Silent,
        Health::Garbled => DeviceFault::Garbled,
    }
}

fn fault(guided: &Guided, device: Option<&Device>) -> DeviceFault {
    match (&guided.act, device) {
        (Act::CheckCable { .. }, _) | (_, None) => DeviceFault::Unplugged,
        (Act::Review { .. }, _) => DeviceFault::None,
        (_, Some(device)) => device_fault(&device.health),
    }
}

/// Share done (negative when unknown) and seconds left (0 when unknown).
fn progress(guided: &Guided) -> (f32, i32) {
    let Act::Measuring { since } = guided.act else { return (-1.0, 0) };
    let usual = usual_ms(guided.measurement);
    let spent = system_clock().millis_since(since);
    if spent >= usual {
        return (-1.0, 0);
    }
    let left = (usual - spent).div_ceil(1_000);
    (spent as f32 / usual as f32, i32::try_from(left).unwrap_or(0))
}

fn hint(model: &Model, status: Status) -> SignalHint {
    match status {
        Status::FingerOut => SignalHint::NoFinger,
        Status::SensorDisconnected => SignalHint::SensorOut,
        Status::Searching => SignalHint::Searching,
        Status::LowBattery => SignalHint::LowBattery,
        Status::WakeUp => SignalHint::WakeUp,
        Status::Starting => SignalHint::Waiting,
        Status::Resting { .. } => SignalHint::Resting,
        Status::Artefact => SignalHint::Moving,
        Status::Tracking => SignalHint::Good,
        Status::CuffPressure { rising: true, .. } => SignalHint::Inflating,
        Status::CuffPressure { rising: false, .. } => SignalHint::Deflating,
        Status::StepOn => SignalHint::StepOn,
        Status::Settling => SignalHint::StandStill,
        Status::LowerRod => SignalHint::LowerRod,
        Status::TakeNow => SignalHint::Aim,
        Status::MeasureOnDevice if model.is_read_from_files() => SignalHint::RecordThenPlug,
        Status::MeasureOnDevice if model.is_unplugged_to_measure() => SignalHint::MeasureThenPlug,
        Status::MeasureOnDevice if model.measurement == Measurement::Glucose => SignalHint::Prick,
        Status::MeasureOnDevice => SignalHint::OnDevice,
        Status::ConnectDevice => SignalHint::ConnectDevice,
        Status::ElectrodeOff { .. } => SignalHint::Electrodes,
        Status::RecordingEcg { .. } => SignalHint::Recording,
    }
}

impl Cabin {
    fn skip(&mut self, reason: SkipReason) {
        if self.input(Input::Skipped(reason)) {
            self.drafts.skipping = None;
            self.end_assistance();
        }
    }

    /// The pharmacist helped with this measurement; the patient goes on alone.
    fn end_assistance(&mut self) {
        if self.journey.is_assisted() {
            self.input(Input::AssistanceEnded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_device_has_the_hint_of_its_own_cause() {
        let of = |key, status| hint(drivers::model(key).unwrap(), status);
        for (status, expected) in [
            (Status::FingerOut, SignalHint::NoFinger),
            (Status::SensorDisconnected, SignalHint::SensorOut),
            (Status::Searching, SignalHint::Searching),
            (Status::LowBattery, SignalHint::LowBattery),
            (Status::WakeUp, SignalHint::WakeUp),
            (Status::Settling, SignalHint::StandStill),
            (Status::LowerRod, SignalHint::LowerRod),
            (Status::MeasureOnDevice, SignalHint::OnDevice),
        ] {
            assert_eq!(of("oximeter_nonin", status), expected, "{status:?}");
        }
        // A meter with its strip in while its cable is in; one that reads no strip then; a recorder.
        assert_eq!(of("glucose_taidoc", Status::MeasureOnDevice), SignalHint::Prick);
        assert_eq!(of("glucose_accu_chek", Status::MeasureOnDevice), SignalHint::MeasureThenPlug);
        for key in ["ecg_pc80b", "ecg_contec_ecg90a"] {
            assert_eq!(of(key, Status::MeasureOnDevice), SignalHint::RecordThenPlug);
        }
    }
}
