//! `cabinctl device check --config FILE`: the morning check. Every bound device is opened and listened to; none is
//! started, so that no cuff inflates on nobody's arm.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use drivers::Fault;
use drivers::ports::{Binding, Message, PortEvent, Ports, Remedy};

use crate::arguments::Arguments;
use crate::config_file;

/// A device that talks by itself is heard, and one that is silent has said so, within that time.
const LISTEN_MAX: Duration = Duration::from_secs(6);

/// What was found of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was heard of its port.
    Unseen,
    /// Its line is open. Many devices say nothing until they are used.
    Open,
    /// It speaks.
    Speaks,
    /// It must be looked after: what, in words.
    Wrong(String),
}

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let config = config_file::load(&PathBuf::from(arguments.need_option("config")?))?;
    arguments.end()?;
    let now = time::OffsetDateTime::now_utc();
    let (date, (hour, minute, _)) = (now.date(), now.time().as_hms());
    writeln!(out, "check of {date} {hour:02}:{minute:02} UTC, {}", config.site.name)?;
    if config.devices.is_empty() {
        bail!("no device is bound: cabinctl device bind NAME MODEL PORT");
    }
    let names = config.devices.iter().map(|device| config_file::binding(&config, &device.name));
    let bindings = names.collect::<Result<Vec<Binding>>>()?;
    let states = listen(&bindings);
    let mut wrong = 0;
    for (binding, state) in bindings.iter().zip(&states) {
        let (mark, words) = match state {
            State::Speaks => ("good ", "speaks".to_owned()),
            State::Open => ("good ", "plugged; it speaks when it is used".to_owned()),
            State::Unseen => ("WRONG", "its port could not be watched: restart this computer".to_owned()),
            State::Wrong(words) => ("WRONG", words.clone()),
        };
        wrong += usize::from(mark == "WRONG");
        writeln!(out, "{mark}  {:<14} {:<24} {words}", binding.name, binding.model.key)?;
    }
    match wrong {
        0 => Ok(writeln!(out, "all {} devices are good", states.len())?),
        _ => bail!("{wrong} of {} devices must be looked after", states.len()),
    }
}

/// Listens to all of them together, until each has said what it is or the time is over.
fn listen(bindings: &[Binding]) -> Vec<State> {
    let mut states = vec![State::Unseen; bindings.len()];
    let (ports, messages) = Ports::open(bindings.to_vec());
    let give_up_at = Instant::now() + LISTEN_MAX;
    let is_known = |state: &State| matches!(state, State::Speaks | State::Wrong(_));
    while !states.iter().all(is_known) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        let Ok(message) = messages.recv_timeout(left) else { break };
        let Some(place) = bindings.iter().position(|binding| *binding.name == *message.port) else { continue };
        if let Some(state) = state(&message) {
            states[place] = state;
        }
    }
    drop(ports);
    states
}

fn state(message: &Message) -> Option<State> {
    Some(match &message.event {
        PortEvent::Opened { .. } | PortEvent::Fault(Fault::Recovered) => State::Open,
        PortEvent::Live(_)
        | PortEvent::Waveform(_)
        | PortEvent::Ecg(_)
        | PortEvent::EcgTaken { .. }
        | PortEvent::Status(_)
        | PortEvent::Reading(_) => State::Speaks,
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
        PortEvent::Invalid(_) | PortEvent::Finished => return None,
    })
}
