//! `cabinctl device check --config FILE`: the morning check. Every device is asked whether it is there, by a question
//! that starts nothing, so that no cuff inflates on nobody's arm; each camera and stethoscope is opened for a moment;
//! card reader, lamp, door, radar, scanner and receipt printer are looked at. All at the same time.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use config::Config;
use drivers::Fault;
use drivers::ports::{Binding, Message, PortEvent, Ports, Remedy};
use drivers::probe::Probed;

use crate::arguments::Arguments;
use crate::config_file;
use crate::equipment_check;

/// Longest wait: a device answers within 5 s.
pub(crate) const LISTEN_MAX: Duration = Duration::from_secs(6);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was heard of its port.
    Unseen,
    /// Its line is open.
    Open,
    /// It is there: how that is known, in words.
    Good(String),
    /// It must be looked after: what, in words.
    Wrong(String),
}

/// One line of the report.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) state: State,
}

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let config = config_file::load(&PathBuf::from(arguments.need_option("config")?))?;
    arguments.end()?;
    let now = time::OffsetDateTime::now_utc();
    let (date, (hour, minute, _)) = (now.date(), now.time().as_hms());
    writeln!(out, "check of {date} {hour:02}:{minute:02} UTC, {}", config.site.name)?;
    let lines = everything(&config)?;
    if lines.is_empty() {
        bail!("no device is bound: cabinctl device bind NAME MODEL PORT");
    }
    let mut wrong = 0;
    for Line { name, what, state } in &lines {
        let (mark, words) = match state {
            State::Good(words) => ("good ", words.as_str()),
            State::Unseen | State::Open => ("WRONG", "its port could not be watched: restart this computer"),
            State::Wrong(words) => ("WRONG", words.as_str()),
        };
        wrong += usize::from(mark == "WRONG");
        writeln!(out, "{mark}  {name:<14} {what:<24} {words}")?;
    }
    match wrong {
        0 => Ok(writeln!(out, "all {} devices are good", lines.len())?),
        _ => bail!("{wrong} of {} devices must be looked after", lines.len()),
    }
}

/// Devices, instruments and fixtures, at the same time.
fn everything(config: &Config) -> Result<Vec<Line>> {
    let names = config.devices.iter().map(|device| config_file::binding(config, &device.name));
    let bindings = names.collect::<Result<Vec<Binding>>>()?;
    let fixtures = wiring::fixtures(config)?;
    let printer = config.fixtures.receipt_printer.as_ref().map(wiring::receipt_printer).transpose()?;
    std::thread::scope(|scope| {
        let instruments = scope.spawn(|| equipment_check::instruments(&config.instruments));
        let fixtures = scope.spawn(|| equipment_check::fixtures(fixtures));
        let printer = scope.spawn(|| printer.map(|(at, _)| equipment_check::receipt_printer(&at)));
        let states = listen(&bindings);
        let mut lines: Vec<Line> = bindings
            .iter()
            .zip(states)
            .map(|(binding, state)| Line { name: binding.name.clone(), what: binding.model.key.into(), state })
            .collect();
        let broken = |_| anyhow::anyhow!("the check itself failed: run it again, and tell who writes this program");
        lines.extend(instruments.join().map_err(broken)?);
        lines.extend(fixtures.join().map_err(broken)?);
        lines.extend(printer.join().map_err(broken)?);
        Ok(lines)
    })
}

/// Asks all of them together, until each has said what it is or the time is over.
fn listen(bindings: &[Binding]) -> Vec<State> {
    let mut states = vec![State::Unseen; bindings.len()];
    let (ports, messages) = Ports::open(bindings.to_vec());
    ports.probe_all();
    let give_up_at = Instant::now() + LISTEN_MAX;
    let is_known = |state: &State| matches!(state, State::Good(_) | State::Wrong(_));
    while !states.iter().all(is_known) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        let Ok(message) = messages.recv_timeout(left) else { break };
        let Some(place) = bindings.iter().position(|binding| *binding.name == *message.port) else { continue };
        if let Some(state) = state(&message) {
            // Why it does not answer is known better by what was wrong before.
            let keeps = matches!((&states[place], &message.event), (State::Wrong(_), PortEvent::Probed(_)));
            if !keeps {
                states[place] = state;
            }
        }
    }
    drop(ports);
    states
}

fn state(message: &Message) -> Option<State> {
    Some(match &message.event {
        PortEvent::Opened { .. } | PortEvent::Fault(Fault::Recovered) => State::Open,
        PortEvent::Probed(Probed::Answered) => State::Good("answers".to_owned()),
        PortEvent::Probed(Probed::InUse) => State::Good("measures".to_owned()),
        PortEvent::Probed(Probed::CableOnly) => {
            State::Good("its cable is in; it says nothing until it is used".to_owned())
        }
        PortEvent::Probed(Probed::NoAnswer) => {
            State::Wrong("does not answer: is it switched on? is the right model bound to this port?".to_owned())
        }
        PortEvent::Lost { address, .. } => State::Wrong(format!("not plugged ({address}): check the cable")),
        PortEvent::Refused { remedy: Remedy::Held, .. } => {
            State::Wrong("its port is taken: where the cabin runs, its technician's screen shows the device".to_owned())
        }
        PortEvent::Refused { remedy, .. } => State::Wrong(remedy.to_string()),
        PortEvent::Fault(Fault::Silent { .. }) => State::Wrong("says nothing: is it switched on?".to_owned()),
        PortEvent::Fault(Fault::Garbled) => {
            State::Wrong("what it says makes no sense: is the right model bound to this port?".to_owned())
        }
        PortEvent::Fault(fault) => State::Wrong(format!("{fault:?}")),
        PortEvent::Live(_)
        | PortEvent::Waveform(_)
        | PortEvent::Ecg(_)
        | PortEvent::EcgTaken { .. }
        | PortEvent::Status(_)
        | PortEvent::Reading(_)
        | PortEvent::Invalid(_)
        | PortEvent::Finished => return None,
    })
}
