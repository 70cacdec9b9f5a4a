//! What the morning check looks at besides the devices: cameras, stethoscope, and what measures nobody.

use std::time::Instant;

use drivers::fixtures::{FIXTURES, FixtureEvent, Message};
use drivers::ports::fixtures::{self, Fixtures, PrinterAddress, Settings};
use exam::{camera, sound, trial};

use crate::device_check::{LISTEN_MAX, Line, State};

/// Opens each camera and the stethoscope for a picture or some sound, which nobody sees.
pub(crate) fn instruments(instruments: &config::Instruments) -> Vec<Line> {
    let all = [
        ("otoscope", &instruments.otoscope),
        ("dermatoscope", &instruments.dermatoscope),
        ("stethoscope", &instruments.stethoscope),
    ];
    let line = |(name, text): (&str, String), result: Result<(), String>| Line {
        name: name.to_owned(),
        what: text,
        state: match result {
            Ok(()) if name == "stethoscope" => State::Good("gives sound".to_owned()),
            Ok(()) => State::Good("gives its picture".to_owned()),
            Err(why) => State::Wrong(why),
        },
    };
    std::thread::scope(|scope| {
        let configured = all.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let tried: Vec<_> = configured
            .map(|(name, text)| {
                let source = text.clone();
                ((name, text), scope.spawn(move || open(name, &source)))
            })
            .collect();
        let failed = || Err("the check itself failed: run it again".to_owned());
        tried.into_iter().map(|(which, thread)| line(which, thread.join().unwrap_or_else(|_| failed()))).collect()
    })
}

fn open(name: &str, text: &str) -> Result<(), String> {
    let no_address = |error: exam::NoAddress| error.to_string();
    match (name, text) {
        ("stethoscope", "test") => trial::sound(sound::Source::Test),
        ("stethoscope", _) => trial::sound(sound::Source::Plugged(text.parse::<exam::Address>().map_err(no_address)?)),
        (_, _) => trial::picture(text.parse::<camera::Source>().map_err(no_address)?),
    }
}

/// Looks whether card reader, lamp, door, radar and scanner are there; the radar must speak.
pub(crate) fn fixtures(settings: Settings) -> Vec<Line> {
    let reader = settings.card_reader.clone();
    let settings = Settings { card_reader: None, ..settings };
    let wanted = [
        ("light_blink1", settings.light.is_some()),
        ("door_contact", settings.door.is_some()),
        ("presence_ld2410", settings.presence.is_some()),
        ("scanner_codes", settings.scanner.is_some()),
    ];
    let mut lines: Vec<Line> =
        reader.into_iter().map(|name| line("card_vitale", card_reader(name.as_deref()))).collect();
    let first = lines.len();
    lines.extend(wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(key, _)| line(key, State::Unseen)));
    if lines.len() == first {
        return lines;
    }
    let (fixtures, messages) = Fixtures::open(settings);
    let give_up_at = Instant::now() + LISTEN_MAX;
    let is_known = |line: &Line| matches!(line.state, State::Good(_) | State::Wrong(_));
    while !lines.iter().all(is_known) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        let Ok(message) = messages.recv_timeout(left) else { break };
        if let Some(line) = lines[first..].iter_mut().find(|line| line.name == short(message.fixture)) {
            line.state = state(&message).unwrap_or(line.state.clone());
        }
    }
    drop(fixtures);
    for line in &mut lines {
        if line.state == State::Open {
            line.state = State::Wrong("its line is open and it says nothing: check its power".to_owned());
        }
    }
    lines
}

/// `light` of `light_blink1`: as the configuration calls it.
fn short(key: &str) -> &str {
    match key {
        "card_vitale" => "card_reader",
        "printer_escpos" => "receipt_printer",
        _ => key.split('_').next().unwrap_or(key),
    }
}

fn line(key: &str, state: State) -> Line {
    let what = FIXTURES.iter().find(|fixture| fixture.key == key).map_or(key, |fixture| fixture.name);
    Line { name: short(key).to_owned(), what: what.to_owned(), state }
}

fn state(message: &Message) -> Option<State> {
    Some(match &message.event {
        // A radar speaks ten times a second; until it has, its cable is all that is known.
        FixtureEvent::Opened { .. } if message.fixture == "presence_ld2410" => State::Open,
        FixtureEvent::Opened { .. } if message.fixture == "scanner_codes" => {
            State::Good("its cable is in; it says nothing until it reads a code".to_owned())
        }
        FixtureEvent::Opened { .. } => State::Good("there".to_owned()),
        FixtureEvent::Presence(presence) => State::Good(format!("speaks: {presence:?}")),
        FixtureEvent::Door(door) => State::Good(format!("{door:?}")),
        FixtureEvent::Lost => State::Wrong("not there: check the cable".to_owned()),
        FixtureEvent::Refused { remedy, .. } => State::Wrong(remedy.to_string()),
        FixtureEvent::Card(_) | FixtureEvent::Scanned(_) => return None,
    })
}

fn card_reader(name: Option<&str>) -> State {
    match fixtures::readers() {
        Ok(readers) => match readers.iter().find(|reader| name.is_none_or(|name| reader.contains(name))) {
            Some(reader) => State::Good(format!("there: {reader}")),
            None => State::Wrong("no such reader is plugged: check its cable".to_owned()),
        },
        Err(error) => State::Wrong(error.to_string()),
    }
}

/// Asks the receipt printer how it is; prints nothing.
pub(crate) fn receipt_printer(at: &PrinterAddress) -> Line {
    let state = match fixtures::printer_status(at) {
        Ok(Some(status)) if !status.is_good() => State::Wrong(status.to_string()),
        Ok(Some(_)) => State::Good("ready".to_owned()),
        Ok(None) => State::Good("there; it tells nothing of itself: cabinctl printer test prints".to_owned()),
        Err(error) => State::Wrong(error.to_string()),
    };
    line("printer_escpos", state)
}
