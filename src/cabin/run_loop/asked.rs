//! What the page asks for to look at: recordings in full. And what it is told of the line: figures, incidents.

use std::mem;

use consult::journey::{Act, Journey};
use consult::vitals::{Recording, Value};
use drivers::ports::system_clock;
use outbox::BlobId;
use signal::data::{LIST_MAX, Record};
use signal::documents::Sha256Hex;
use signal::link::Link;
use signal::recordings::RECORDING_BYTES_MAX;
use signal::{RefusalCode, Text};

use super::Cabin;
use crate::handing_over::HandingOver;
use crate::physician_link::Order;
use crate::words;

impl Cabin {
    /// Reads a recording back from the outbox, beside the screen's thread, and sends it from `received` on.
    pub(super) fn hand_over(&self, number: u32, sha256: &Sha256Hex, received: u32) {
        let Some(physician) = &self.physician else { return };
        let refused = move |code, reason: &str| {
            Order::Record(Box::new(Record::RecordingRefused { number, code, reason: Text::cut(reason) }))
        };
        let recording = recording(&self.journey, sha256.bytes());
        let Some(recording) = recording.filter(|recording| recording.size_bytes <= RECORDING_BYTES_MAX) else {
            return physician.order(refused(RefusalCode::UnknownRecording, "cet enregistrement n’est plus là"));
        };
        let Some(turn) = physician.turn() else {
            return physician.order(refused(RefusalCode::TooSlow, "un autre enregistrement est en cours de lecture"));
        };
        let outbox = self.outbox.clone();
        self.runtime.spawn_blocking(move || {
            let order = match outbox.get_blob(BlobId(uuid::Uuid::from_bytes(recording.blob))) {
                Ok(mut blob) => Order::HandOver(HandingOver::new(number, mem::take(&mut blob.bytes), received)),
                Err(error) => {
                    tracing::warn!(%error, "a recording cannot be read back for the physician");
                    refused(RefusalCode::TooSlow, "la cabine n’a pas pu relire cet enregistrement : réessayez")
                }
            };
            turn.order(order);
        });
    }

    /// Figures of the line, as the cabin has them.
    pub(super) fn tell_link(&self, stats: &call::Stats) {
        self.tell(Record::Link(Link {
            round_trip_ms: stats.round_trip_milliseconds,
            sent_bits: stats.sent_bits_per_second,
            received_bits: stats.received_bits_per_second,
            picture_bits: stats.picture_bits_per_second,
            lost_thousandths: stats.lost_thousandths,
        }));
    }

    /// Every incident so far.
    pub(super) fn tell_incidents(&self) {
        let Some(dossier) = self.journey.dossier().filter(|_| self.physician.is_some()) else { return };
        // The newest, should there be more than a message holds.
        let newest = dossier.incidents.len().saturating_sub(LIST_MAX);
        let incidents = dossier.incidents.iter().skip(newest).filter_map(words::wire_incident).collect();
        self.tell(Record::Incidents { at: system_clock().0, incidents });
    }
}

/// What was recorded under that hash, kept or looked at.
fn recording(journey: &Journey, sha256: &[u8; 32]) -> Option<Recording> {
    let kept = journey.dossier().into_iter().flat_map(|dossier| &dossier.kept).flat_map(|kept| &kept.readings);
    let shown = match journey.guided().map(|guided| &guided.act) {
        Some(Act::Review { readings }) => readings.as_slice(),
        _ => &[],
    };
    kept.chain(shown).find_map(|reading| match reading.value {
        Value::Recording(recording) if recording.sha256 == *sha256 => Some(recording),
        _ => None,
    })
}
