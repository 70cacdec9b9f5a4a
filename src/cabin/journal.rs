//! The journal of the open consultation: inputs as the outbox keeps them, and back after a restart.

use consult::journal::{decode, encode};
use consult::journey::{Effect, Input, Journey};
use consult::vitals::Moment;
use outbox::{Client, Error};

use crate::settings::Settings;

/// Kind of the outbox's records that are entries of the journal.
pub const ENTRY: u8 = 1;

/// Keeps an accepted input, with what opens its journal before it. Returns once it is durable.
///
/// # Errors
/// The outbox is away or refuses: the input must not be shown as done.
pub fn write(outbox: &Client, effects: &[Effect], input: &Input, at: Moment, next: &Journey) -> Result<(), Error> {
    for effect in effects {
        if let Effect::OpenJournal { preamble } = effect {
            for (at, input) in preamble {
                append(outbox, input, *at)?;
            }
        }
    }
    if input.is_journalled() && next.dossier().is_some() {
        append(outbox, input, at)?;
    }
    Ok(())
}

/// Keeps one entry. Returns once it is durable.
///
/// # Errors
/// The outbox is away or refuses.
pub fn append(outbox: &Client, input: &Input, at: Moment) -> Result<(), Error> {
    outbox.append(ENTRY, &encode(input, at)).map(drop)
}

/// The journey as its journal left it; `None` when no consultation was under way. A journal that this version cannot
/// replay stays in the outbox, unread and whole, until the technician decides; no patient can begin before that.
///
/// # Errors
/// The outbox does not answer: ask again.
pub fn read_back(outbox: &Client, settings: &Settings) -> Result<Option<Journey>, Error> {
    let Some((_, records)) = outbox.read_back()? else { return Ok(None) };
    let mut entries = Vec::with_capacity(records.len());
    let mut is_whole = true;
    for record in records.iter().filter(|record| record.kind == ENTRY) {
        match decode(&record.bytes) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                tracing::error!(%error, seq = record.seq, "the journal cannot be read from here on");
                is_whole = false;
                break;
            }
        }
    }
    // An empty journal: the program stopped between opening it and the first entry. Nothing was answered yet.
    if entries.is_empty() && is_whole {
        discard(outbox);
        return Ok(None);
    }
    match Journey::replay(settings.site.clone(), settings.policy, entries) {
        Ok(journey) if journey.dossier().is_some() => Ok(Some(journey)),
        Ok(_) => {
            // What cannot be read to its end is nobody's to destroy.
            if is_whole {
                discard(outbox);
            }
            Ok(None)
        }
        Err(refused) => {
            tracing::error!(%refused, "the consultation under way cannot be brought back: keep the outbox's folder for its maker");
            Ok(None)
        }
    }
}

fn discard(outbox: &Client) {
    if let Err(error) = outbox.discard() {
        tracing::error!(%error, "an empty journal could not be closed");
    }
}
