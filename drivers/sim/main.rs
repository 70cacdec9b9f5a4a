//! `sim --dir DIR`: four simulated devices, and more by their models. `sim --usb DIR`: one on USB. `sim ctl DIR NAME COMMAND...`: makes them misbehave.
#![allow(clippy::print_stdout)] // a command line program: its output is its purpose

use std::io;
use std::process::ExitCode;

use sim::control::{Bench, ask};

const USAGE: &str = "\
sim --dir DIR [+NAME=MODEL ...] [NAME.key=value ...]   plugs four simulated devices, and more, into DIR until Ctrl-C
    DIR/oximeter DIR/cuff DIR/scale DIR/thermometer are the ports, DIR/control the control socket
sim --usb DIR [NAME.key=value ...]   plugs the thermometer, with its USB HID cable, into this machine's kernel
    (module vhci_hcd; superuser); DIR/control is the control socket
sim ctl DIR NAME COMMAND...          e.g. sim ctl /tmp/site oximeter unplug
    every device   unplug | plug | silent on|off | garble on|off | lose N | value key=value... | values
    oximeter       finger in|out | sensor in|out | artefact on|off | battery low|ok | corrupt   (spo2 pulse format)
    cuff           cuff ok|busy|leak                        (systolic diastolic mean pulse error speed own_power)
    scale          step on|off | rod down|up | overload on|off                           (weight height units)
    thermometer    measure | asleep | awake | empty        (temperature zone auto)";

/// A record appears by itself that long after the cabin asks, so that a demonstration needs no hand.
const THERMOMETER_AUTO: &str = "value auto=5";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ctl", dir, ref command @ ..] if !command.is_empty() => {
            ask(dir.as_ref(), &command.join(" ")).map(|answer| println!("{answer}"))
        }
        ["--dir", dir, ref settings @ ..] => run(settings, |more| Bench::start(dir.as_ref(), more)),
        ["--usb", dir, ref settings @ ..] => run(settings, |_| Bench::start_on_usb(dir.as_ref())),
        ["--help" | "help", ..] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &[&str], start: impl Fn(&[(&str, &str)]) -> io::Result<Bench>) -> Result<(), String> {
    // Before anything that would have to be cleaned up.
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ])
    .map_err(|error| error.to_string())?;
    let (more, settings): (Vec<&str>, Vec<&str>) = settings.iter().partition(|word| word.starts_with('+'));
    let more: Vec<(&str, &str)> = more
        .iter()
        .map(|word| word[1..].split_once('=').ok_or_else(|| format!("expected +NAME=MODEL: {word}")))
        .collect::<Result<_, _>>()?;
    let bench = start(&more).map_err(|error| error.to_string())?;
    let simulator = |name: &str| bench.simulator(name).ok_or_else(|| format!("no device {name:?}"));
    simulator("thermometer")?.command(THERMOMETER_AUTO)?;
    for setting in settings {
        let (name, value) = setting.split_once('.').ok_or_else(|| format!("expected NAME.key=value: {setting}"))?;
        simulator(name)?.command(&format!("value {value}"))?;
    }
    for (name, simulator) in bench.iter() {
        println!("{name:<24} {}", simulator.place());
    }
    signals.forever().next();
    Ok(())
}
