//! A summary as it arrives from the physician's page: taken, or refused with what the physician can do about it.
//!
//! Nothing that could not be given to the patient is ever kept: the record is not held up by a sheet that cannot be
//! printed after everybody has left.

use consult::dossier::{Dossier, SUMMARIES_MAX};
use consult::physician::{ORDERS_MAX, Order, SUMMARY_CHARS_MAX, Summary};
use consult::private::PrivateText;
use signal::RefusalCode;
use signal::data;

use super::{Tongue, said, summary_pdf};
use crate::words;

/// Most pages of what the physician wrote. The sheet's other parts are bounded by themselves and fit in what is left
/// of [`summary_pdf::PAGES_MAX`].
pub const SUMMARY_PAGES_MAX: usize = 15;

// The page, the wire and the journey agree, so that no summary is refused for a number that another end allowed.
const _: () = assert!(data::ORDERS_MAX == ORDERS_MAX);

/// Why a summary was not taken, in French for the physician's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryRefused {
    /// Nothing is in it.
    #[error("elle est vide. Écrivez une ligne, une prescription ou la suite à donner.")]
    Empty,
    /// Too many characters.
    #[error("un texte y dépasse {chars_max} caractères. Raccourcissez-le.")]
    Text {
        /// Most characters of that text.
        chars_max: usize,
    },
    /// Too many pages.
    #[error(
        "elle remplirait {pages} pages imprimées, {SUMMARY_PAGES_MAX} au plus. Raccourcissez le texte ou retirez des \
         prescriptions."
    )]
    Pages {
        /// Pages needed.
        pages: usize,
    },
    /// Handed over too often.
    #[error("elle a déjà été remise {SUMMARIES_MAX} fois. La dernière remise reste valable.")]
    Often,
}

impl SummaryRefused {
    /// Its code on the wire.
    pub fn code(self) -> RefusalCode {
        match self {
            SummaryRefused::Empty => RefusalCode::Forbidden,
            SummaryRefused::Text { .. } | SummaryRefused::Pages { .. } => RefusalCode::TooLarge,
            SummaryRefused::Often => RefusalCode::TooMany,
        }
    }
}

/// The journey's summary, when the patient can be given it.
pub fn summary(said_now: &data::Summary, dossier: &Dossier) -> Result<Summary, SummaryRefused> {
    let orders = said_now
        .orders
        .iter()
        .map(|order| Ok(Order { kind: words::order_kind(order.kind), text: text(order.text.as_str())? }));
    let summary = Summary {
        text: text::<SUMMARY_CHARS_MAX>(said_now.text.as_str())?,
        orders: orders.collect::<Result<_, SummaryRefused>>()?,
        next: words::next_care(said_now.next),
        next_note: text(said_now.next_text.as_str())?,
    };
    if summary.is_empty() {
        return Err(SummaryRefused::Empty);
    }
    let pages = summary_pdf::pages(&said(&summary, Tongue::of(dossier.presentation.language)));
    if pages > SUMMARY_PAGES_MAX {
        return Err(SummaryRefused::Pages { pages });
    }
    // The same again after a reconnection is no further one.
    if dossier.summaries.len() >= SUMMARIES_MAX && dossier.summary() != Some(&summary) {
        return Err(SummaryRefused::Often);
    }
    Ok(summary)
}

fn text<const CHARS_MAX: usize>(words: &str) -> Result<PrivateText<CHARS_MAX>, SummaryRefused> {
    PrivateText::new(words).map_err(|too_long| SummaryRefused::Text { chars_max: too_long.chars_max })
}
