//! Journal entries as bytes: one accepted input with its time, versioned, std only.
//!
//! An entry is `version, moment, tag, fields`. Integers are little-endian, texts and lists carry their length first,
//! an option is a byte 0 or 1. Tags are written down below and never reused: a journal of yesterday's program is
//! read by today's, or set aside with a clear error. The bytes are the patient's: only the outbox, which seals them,
//! may hold them.

use std::fmt;

use crate::journey::Input;
use crate::vitals::Moment;

mod codec;
mod entries;

use codec::{Coded, Reader};

/// Version of the entries written here.
pub const VERSION: u8 = 1;
/// Longest entry, bytes: a summary with every order at its longest, four bytes a character.
pub const ENTRY_BYTES_MAX: usize = 512 * 1024;

/// An entry that cannot be read. Set the journal aside; do not erase it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// Written by another version of the program; which.
    Version(u8),
    /// It ends too early: cut off while it was written.
    Truncated,
    /// Bytes are left over after the entry; how many.
    Trailing(usize),
    /// An unknown tag.
    Tag {
        /// Of what.
        of: &'static str,
        /// The tag read.
        tag: u8,
    },
    /// A value that the type refuses.
    Value {
        /// Which type.
        of: &'static str,
    },
    /// The entry is longer than [`ENTRY_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Version(version) => {
                write!(f, "journal of version {version}, this program reads {VERSION}: set the journal aside")
            }
            JournalError::Truncated => f.write_str("journal entry cut off"),
            JournalError::Trailing(bytes) => write!(f, "journal entry with {bytes} bytes too many"),
            JournalError::Tag { of, tag } => write!(f, "journal entry with unknown {of} {tag}"),
            JournalError::Value { of } => write!(f, "journal entry with an impossible {of}"),
            JournalError::TooLong => write!(f, "journal entry longer than {ENTRY_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for JournalError {}

/// One input with its time, as bytes.
pub fn encode(input: &Input, at: Moment) -> Vec<u8> {
    let mut out = vec![VERSION];
    at.put(&mut out);
    input.put(&mut out);
    out
}

/// The input and its time. Never panics, whatever the bytes.
pub fn decode(bytes: &[u8]) -> Result<(Moment, Input), JournalError> {
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(JournalError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let version = u8::take(&mut reader)?;
    if version != VERSION {
        return Err(JournalError::Version(version));
    }
    let at = Moment::take(&mut reader)?;
    let input = Input::take(&mut reader)?;
    match reader.left() {
        0 => Ok((at, input)),
        left => Err(JournalError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::examples::{Dice, random_input};

    #[test]
    fn every_input_comes_back_as_it_was_written() {
        let mut dice = Dice::seeded();
        let mut kinds = std::collections::HashSet::new();
        for i in 0..20_000 {
            let input = random_input(&mut dice);
            kinds.insert(std::mem::discriminant(&input));
            let at = Moment(i * 7919 - 5);
            let bytes = encode(&input, at);
            assert!(bytes.len() <= ENTRY_BYTES_MAX);
            assert_eq!(decode(&bytes), Ok((at, input)));
        }
        assert_eq!(kinds.len(), crate::journey::examples::INPUT_KINDS, "every kind of input was tried");
    }

    #[test]
    fn a_cut_entry_is_refused_at_every_length() {
        let mut dice = Dice::seeded();
        for _ in 0..300 {
            let bytes = encode(&random_input(&mut dice), Moment(1));
            for length in 0..bytes.len().min(400) {
                assert!(decode(&bytes[..length]).is_err());
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert_eq!(decode(&longer), Err(JournalError::Trailing(1)));
        }
    }

    #[test]
    fn garbage_never_panics_and_never_reads_as_another_version() {
        let mut dice = Dice::seeded();
        for _ in 0..50_000 {
            let mut bytes = if dice.chance(50) {
                encode(&random_input(&mut dice), Moment(1))
            } else {
                (0..dice.below(80)).map(|_| dice.below(256) as u8).collect()
            };
            for _ in 0..1 + dice.below(4) {
                if !bytes.is_empty() {
                    let at = dice.below(bytes.len().min(300));
                    bytes[at] = dice.below(256) as u8;
                }
            }
            if let Ok((at, input)) = decode(&bytes) {
                assert_eq!(decode(&encode(&input, at)), Ok((at, input)), "what is read can be written again");
            }
        }
        assert_eq!(decode(&[9, 0, 0]), Err(JournalError::Version(9)));
        assert_eq!(decode(&[]), Err(JournalError::Truncated));
        assert_eq!(decode(&vec![1; ENTRY_BYTES_MAX + 1]), Err(JournalError::TooLong));
    }

    #[test]
    fn the_bytes_of_version_1_are_frozen() {
        // A change here is a change of VERSION, with a reader for the old one.
        assert_eq!(encode(&Input::HelpAsked, Moment(1)), [1, 1, 0, 0, 0, 0, 0, 0, 0, 22]);
        assert_eq!(encode(&Input::NetworkLost, Moment(-2)), [1, 254, 255, 255, 255, 255, 255, 255, 255, 90]);
        let phone = Input::CallBackAsked(crate::dossier::Phone::parse("15 15 1").unwrap());
        assert_eq!(
            encode(&phone, Moment(0)),
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 57, 5, 0, 0, 0, b'1', b'5', b'1', b'5', b'1']
        );
        let code = crate::dossier::ComeBackCode::parse("48219073").unwrap();
        let come_back = Input::ComeBackAsked(crate::dossier::ComeBack { code, until: Moment(2) });
        let bytes = [&[1, 0, 0, 0, 0, 0, 0, 0, 0, 58, 8, 0, 0, 0][..], b"48219073", &[2, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(encode(&come_back, Moment(0)), bytes);
        let guest = crate::guest::Guest {
            name: crate::private::PrivateText::new("Ana").unwrap(),
            role: crate::guest::GuestRole::SignInterpreter,
        };
        assert_eq!(
            encode(&Input::GuestCame(guest), Moment(0)),
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 105, 3, 0, 0, 0, b'A', b'n', b'a', 1]
        );
        assert_eq!(encode(&Input::GuestLeft, Moment(0)), [1, 0, 0, 0, 0, 0, 0, 0, 0, 106]);
        let sign = crate::triage::WarningSign::SuicidalThoughts;
        let yes = Input::WarningSignAnswered { sign, present: true };
        assert_eq!(encode(&yes, Moment(0)), [1, 0, 0, 0, 0, 0, 0, 0, 0, 42, 14, 1]);
    }

    #[test]
    fn a_summary_written_before_orders_had_a_kind_is_still_read() {
        use crate::physician::{NextCare, Order, OrderKind, Summary};
        use crate::private::PrivateText;
        let former = [
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 100][..], // version, time, tag
            &[2, 0, 0, 0, b'a', b'b', 1, 0, 1, 0, 0, 0, b'c', 6, 0, 0, 0, 0],
        ]
        .concat();
        let order = Order { kind: OrderKind::Other, text: PrivateText::new("c").unwrap() };
        let summary = Summary {
            text: PrivateText::new("ab").unwrap(),
            orders: vec![order],
            next: NextCare::EmergencyDepartment,
            next_note: PrivateText::default(),
        };
        assert_eq!(decode(&former), Ok((Moment(0), Input::SummaryReceived(summary))));
        for cut in 10..former.len() {
            assert!(decode(&former[..cut]).is_err());
        }
    }

    #[test]
    fn every_order_next_care_and_document_kind_comes_back() {
        use crate::physician::{DocumentKind, NextCare, Order, OrderKind};
        use crate::private::PrivateText;
        let same = |input: Input| assert_eq!(decode(&encode(&input, Moment(1))), Ok((Moment(1), input)));
        for next in NextCare::ALL {
            let orders = OrderKind::ALL.map(|kind| Order { kind, text: PrivateText::new("x").unwrap() }).to_vec();
            same(Input::SummaryReceived(crate::physician::Summary {
                text: PrivateText::new("x").unwrap(),
                orders,
                next,
                next_note: PrivateText::default(),
            }));
        }
        for kind in DocumentKind::ALL {
            let document = crate::journey::examples::document("x", 1);
            same(Input::DocumentReceived(crate::physician::Document { kind, ..document }));
        }
    }
}
