//! `cabinctl card read [--config FILE | --reader NAME] [--within SECONDS] [--show]`: one carte Vitale. What is on it is
//! a patient's: without `--show` only that it was read is printed.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use consult::identity::Prefill;
use drivers::fixtures::card_vitale::{CardFault, Wanted};
use drivers::fixtures::{CardEvent, FixtureEvent};
use drivers::ports::fixtures::{self, CardReader, MESSAGES_MAX};

use crate::arguments::Arguments;
use crate::config_file;

/// A card is waited for that long, unless `--within` says otherwise.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let is_shown = arguments.option("show").is_some();
    let within = match arguments.option("within") {
        Some(text) => Duration::from_secs(text.parse::<u32>().context("--within takes a number of seconds")?.into()),
        None => WITHIN,
    };
    let name = match (arguments.option("config"), arguments.option("reader")) {
        (Some(_), Some(_)) => bail!("--config or --reader, not both"),
        (None, name) => name,
        (Some(path), None) => {
            let config = config_file::load(Path::new(&path))?;
            let reader =
                config.fixtures.card_reader.context("the configuration has no [card_reader]: no card is read")?;
            reader.name
        }
    };
    arguments.end()?;
    for reader in fixtures::readers()? {
        writeln!(out, "reader   {reader}")?;
    }
    let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
    let reader = CardReader::open(name, sender).context("no thread left on this machine")?;
    reader.read(Wanted { card_inside: true, ..Wanted::default() });
    let give_up_at = Instant::now() + within;
    loop {
        let event = match messages.recv_timeout(give_up_at.saturating_duration_since(Instant::now())) {
            Ok(message) => message.event,
            Err(RecvTimeoutError::Timeout) => return Err(CardFault::NoCard.into()),
            Err(RecvTimeoutError::Disconnected) => bail!("the card reader's thread ended"),
        };
        match event {
            FixtureEvent::Card(CardEvent::Insert { reader }) => writeln!(out, "insert   a carte Vitale into {reader}")?,
            FixtureEvent::Card(CardEvent::Reading) => writeln!(out, "reading  leave the card in")?,
            FixtureEvent::Card(CardEvent::Read(holders)) => {
                writeln!(out, "read     a carte Vitale with {} on it", people(holders.len()))?;
                for (place, holder) in holders.iter().enumerate().filter(|_| is_shown) {
                    writeln!(out, "{:<8} {}", place + 1, words(&holder.prefill))?;
                }
                if !is_shown {
                    writeln!(out, "         what is on it is the patient's: --show prints it")?;
                }
                return Ok(());
            }
            FixtureEvent::Card(CardEvent::Fault(fault @ CardFault::Pulled)) => writeln!(out, "fault    {fault}")?,
            FixtureEvent::Card(CardEvent::Fault(fault)) => return Err(fault.into()),
            _ => {}
        }
    }
}

fn people(count: usize) -> String {
    if count == 1 { "one person".into() } else { format!("{count} people") }
}

pub(crate) fn words(prefill: &Prefill) -> String {
    let born = prefill.birth_date().map_or("date not readable".to_owned(), |(year, month, day)| {
        let part = |part: Option<u8>| part.map_or("--".to_owned(), |part| format!("{part:02}"));
        format!("{year:04}-{}-{}", part(month), part(day))
    });
    let name = |name: Option<&str>| name.unwrap_or("name not readable").to_owned();
    format!("{}, {}, born {born}", name(prefill.birth_name()), name(prefill.given_names()))
}
