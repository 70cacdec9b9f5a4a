//! `cabinctl fixture watch --config FILE [--light STATE] [--within SECONDS]`: what door, radar and scanner say.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use drivers::fixtures::FixtureEvent;
use drivers::fixtures::light_blink1::CabinState;
use drivers::fixtures::scanner_codes::Scan;
use drivers::ports::fixtures::Fixtures;

use crate::arguments::Arguments;
use crate::config_file;

const STATES: [(&str, CabinState); 5] = [
    ("free", CabinState::Free),
    ("occupied", CabinState::Occupied),
    ("help", CabinState::HelpCalled),
    ("fault", CabinState::Fault),
    ("closed", CabinState::Closed),
];

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let config = config_file::load(Path::new(&arguments.need_option("config")?))?;
    let state = arguments.option("light").map(|word| {
        let words: Vec<&str> = STATES.iter().map(|(word, _)| *word).collect();
        let state = STATES.iter().find(|(known, _)| *known == word).map(|(_, state)| *state);
        state.with_context(|| format!("--light is one of {}; this is {word:?}", words.join(", ")))
    });
    let within = arguments.option("within").map(|text| text.parse::<u32>().context("--within takes seconds"));
    let give_up_at = within.transpose()?.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    arguments.end()?;
    let mut settings = wiring::fixtures(&config)?;
    // A card is read by its own verb, with its own consent.
    settings.card_reader = None;
    let nothing = settings.light.is_none() && settings.door.is_none();
    if nothing && settings.presence.is_none() && settings.scanner.is_none() {
        bail!("the configuration has no [light], [door], [presence] nor [scanner]");
    }
    let (fixtures, messages) = Fixtures::open(settings);
    fixtures.show(state.transpose()?.unwrap_or(CabinState::Free));
    loop {
        let left = give_up_at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        let message = match messages.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => bail!("no fixture could be watched"),
        };
        let words = match message.event {
            FixtureEvent::Opened { path } => format!("open     {}", path.display()),
            FixtureEvent::Lost => "lost     not there: check the cable".into(),
            FixtureEvent::Refused { path, remedy } => format!("refused  {}: {remedy}", path.display()),
            FixtureEvent::Door(door) => format!("door     {door:?}"),
            FixtureEvent::Presence(presence) => format!("presence {presence:?}"),
            FixtureEvent::Scanned(scan) => scanned(&scan),
            FixtureEvent::Card(_) => continue,
        };
        writeln!(out, "{:<16} {words}", message.fixture)?;
    }
}

/// What kind of code was read. What is in it is a patient's.
pub(crate) fn scanned(scan: &Scan) -> String {
    match scan {
        Scan::Ins(_) => "scanned  the INS code of a document".into(),
        Scan::InsRefused(why) => format!("scanned  {why}"),
        Scan::Gs1(product) => format!("scanned  product {}", product.gtin),
        Scan::Gs1Refused(why) => format!("scanned  {why}"),
        Scan::Unknown => "scanned  a code that the cabin does not know".into(),
    }
}
