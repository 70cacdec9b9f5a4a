//! What a device says, in words that tell what to do. Each begins with the driver's own name of it, which stays the same
//! when the words change: a script looks for that.

use drivers::{Absent, CuffErrorKind, Fault, Status};

/// What a device says of itself while it is measuring.
pub(crate) fn status(status: Status) -> String {
    let words = match status {
        Status::FingerOut => "put a finger in".into(),
        Status::SensorDisconnected => "plug the sensor's cable into the box".into(),
        Status::Searching => "looks for the pulse: keep still".into(),
        Status::Artefact => "the finger moves: keep still".into(),
        Status::Tracking => "a good pulse".into(),
        Status::LowBattery => "its battery is nearly empty: replace it".into(),
        Status::Resting { seconds } => format!("the arm rests, {seconds} s left"),
        Status::Starting => "it begins".into(),
        Status::CuffPressure { mmhg, rising } => {
            format!("{mmhg} mmHg in the cuff, {}", if rising { "rising" } else { "falling" })
        }
        Status::StepOn => "step on".into(),
        Status::Settling => "keep still on the scale".into(),
        Status::LowerRod => "lower the rod onto the head".into(),
        Status::WakeUp => "press its button".into(),
        Status::TakeNow => "take the temperature now".into(),
        Status::MeasureOnDevice => "measure with it now, as its own screen says".into(),
        Status::ConnectDevice => "connect its cable, or switch it on".into(),
        Status::ElectrodeOff { lead: Some(lead) } => format!("the electrode of lead {} is off", lead.name()),
        Status::ElectrodeOff { lead: None } => "an electrode is off".into(),
        Status::RecordingEcg { seconds_left } => format!("records, keep still: {seconds_left} s left"),
    };
    named(&format!("{status:?}"), &words)
}

/// Why there is no value.
pub(crate) fn absent(absent: Absent) -> String {
    let words = match absent {
        Absent::SensorOff => "the finger left the sensor, or the sensor cannot be used".into(),
        Absent::NotTracked => "no pulse: a cold finger, movement, varnish".into(),
        Absent::Implausible(_) => "its figure is no living person's: is the right model bound?".into(),
        Absent::Overload => "the scale says too much or too little".into(),
        Absent::Inexact(_) => "its figure has more digits than can be kept: set it to show fewer".into(),
        Absent::UnitUnknown => "its figure has no unit that is known here: set it to kg or lb".into(),
        Absent::NoHeight => "the rod was not lowered".into(),
        Absent::TimedOut { after_seconds } => format!("nothing was measured within {after_seconds} s"),
        Absent::Stopped => "it was stopped".into(),
        Absent::Busy => "it is busy with something else: wait, then again".into(),
        Absent::Silent => "it does not answer: is it switched on? is the right model bound to this port?".into(),
        Absent::Cuff(error) => cuff(error.kind).into(),
        Absent::Empty => "its record holds no value".into(),
        Absent::ClockWrong => "its clock cannot be trusted, so the record may be somebody else's: set its clock".into(),
        Absent::OutOfOrder => "it wants to be looked after: broken, to be calibrated, or to be set to zero".into(),
        Absent::ElectrodeOff => "an electrode was off until the time was over".into(),
        Absent::OtherSubstance => "its record is of something else, such as a control solution".into(),
        Absent::OutOfMeterRange { high: Some(true) } => "above what it can measure (HI): maybe an emergency".into(),
        Absent::OutOfMeterRange { high: Some(false) } => "below what it can measure (LO): maybe an emergency".into(),
        Absent::OutOfMeterRange { high: None } => "outside what it can measure: its own screen says more".into(),
        Absent::RateUnknown => "its samples come at a rate that it cannot have: check the cable".into(),
    };
    named(&format!("{absent:?}"), &words)
}

/// What is wrong with it.
pub(crate) fn fault(fault: Fault) -> String {
    let words = match fault {
        Fault::Silent { seconds } => format!("nothing came for {seconds} s: is it switched on? is this its port?"),
        Fault::Garbled => "what it says makes no sense: is the right model bound to this port?".into(),
        Fault::StopNotConfirmed => "it did not confirm the stop: take the cuff off by hand".into(),
        Fault::OverPressure => "too much pressure: it was stopped".into(),
        Fault::Recovered => "it speaks again".into(),
    };
    named(&format!("{fault:?}"), &words)
}

fn cuff(kind: CuffErrorKind) -> &'static str {
    match kind {
        CuffErrorKind::WeakSignal => "a weak signal: place the cuff again, tighter, on the bare arm",
        CuffErrorKind::Artefact => "movement: keep still, do not talk",
        CuffErrorKind::Retries | CuffErrorKind::TimeExceeded => "it tried too long: rest, then again",
        CuffErrorKind::Blocked => "the air hose is blocked or kinked",
        CuffErrorKind::StoppedOnDevice => "it was stopped on the device",
        CuffErrorKind::Leak => "a leak, or the cuff is too loose",
        CuffErrorKind::SafetyTimeout => "its safety time was over",
        CuffErrorKind::OverPressure => "too much pressure",
        CuffErrorKind::Hardware => "the module itself is broken: use another cuff",
        CuffErrorKind::BadFigures => "its figures are no artery's",
        CuffErrorKind::SeeManual => "see the module's manual for this number",
    }
}

/// The driver's name of it without its figures, and the words.
fn named(debug: &str, words: &str) -> String {
    let name = debug.split([' ', '(', '{']).next().unwrap_or(debug);
    format!("{name}: {words}")
}
