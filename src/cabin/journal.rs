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
                outbox.append(ENTRY, &encode(input, *at))?;
            }
        }
    }
    if input.is_journalled() && next.dossier().is_some() {
        outbox.append(ENTRY, &encode(input, at))?;
    }
    Ok(())
}

/// The journey as its journal left it, and whether there was one. A journal that this version cannot read is handed
/// back to the outbox unread, with a fault: the cabin starts closed and the technician is told.
pub fn read_back(outbox: &Client, settings: &Settings) -> (Journey, bool) {
    let fresh = || Journey::new(settings.site.clone(), settings.policy);
    let records = match outbox.read_back() {
        Ok(Some((_, records))) => records,
        Ok(None) => return (fresh(), false),
        Err(error) => {
            tracing::error!(%error, "the outbox does not say whether a consultation was under way");
            return (fresh(), false);
        }
    };
    let mut entries = Vec::with_capacity(records.len());
    for record in records.iter().filter(|record| record.kind == ENTRY) {
        match decode(&record.bytes) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                tracing::error!(%error, seq = record.seq, "the journal cannot be read from here on");
                break;
            }
        }
    }
    // An empty journal: the program stopped between opening it and the first entry. Nothing was answered yet.
    if entries.is_empty() {
        discard(outbox);
        return (fresh(), false);
    }
    match Journey::replay(settings.site.clone(), settings.policy, entries) {
        Ok(journey) if journey.dossier().is_some() => (journey, true),
        Ok(journey) => {
            discard(outbox);
            (journey, false)
        }
        Err(refused) => {
            // Kept by the outbox until the technician decides; no patient can begin before that.
            tracing::error!(%refused, "the consultation under way cannot be brought back: see cabinctl outbox");
            (fresh(), false)
        }
    }
}

fn discard(outbox: &Client) {
    if let Err(error) = outbox.discard() {
        tracing::error!(%error, "an empty journal could not be closed");
    }
}
