//! One function a parser, for the fuzzer and for the test with garbage: each takes any bytes and must return.
//!
//! What is understood is written again and read again: the two readings must be equal.

use crate::documents::Chunk;
use crate::ecg::Block;
use crate::live::Frame;
use crate::{cabin, data, enrol, guest, papers as sealed, physician, second_opinion};

/// A fuzz target: takes any bytes and must return.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const ALL: [(&str, Target); 16] = [
    ("from_cabin", from_cabin),
    ("from_desk", from_desk),
    ("from_page", from_page),
    ("to_page", to_page),
    ("enrol", enrol),
    ("record", record),
    ("live", live),
    ("ecg", ecg),
    ("documents", documents),
    ("papers", papers),
    ("second_opinion_ask", second_opinion_ask),
    ("second_opinion_step", second_opinion_step),
    ("from_guest", from_guest),
    ("to_guest", to_guest),
    ("guest_asked", guest_asked),
    ("guest_line", guest_line),
];

macro_rules! json_target {
    ($(#[$doc:meta])* $name:ident, $type:ty) => {
        $(#[$doc])*
        pub fn $name(bytes: &[u8]) {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Ok(message) = <$type>::read(text) {
                assert_eq!(<$type>::read(&message.write()).as_ref(), Ok(&message));
            }
        }
    };
}

json_target!(
    /// What a cabin says to the desk.
    from_cabin, cabin::FromCabin);
json_target!(
    /// What the desk says to a cabin.
    from_desk, cabin::FromDesk);
json_target!(
    /// What the page says to the desk.
    from_page, physician::FromPage);
json_target!(
    /// What the desk says to the page.
    to_page, physician::ToPage);
json_target!(
    /// The body of an enrolment.
    enrol, enrol::Request);

json_target!(
    /// What a guest's page says to the desk.
    from_guest, guest::FromGuest);
json_target!(
    /// What the desk says to a guest's page.
    to_guest, guest::ToGuest);
json_target!(
    /// Whether an invitation is good.
    guest_asked, guest::Asked);
json_target!(
    /// What is written in a call with a guest.
    guest_line, guest::Line);
json_target!(
    /// A request for a second opinion.
    second_opinion_ask, second_opinion::Ask);
json_target!(
    /// What one side makes of a request for a second opinion.
    second_opinion_step, second_opinion::Step);

/// A message of the `record` channel.
pub fn record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(message) = data::Record::read(text)
        // A message at the very limit may grow by escapes when it is written again.
        && let Ok(text) = message.write()
    {
        assert_eq!(data::Record::read(&text).as_ref(), Ok(&message));
    }
}

/// A block of the `ecg` channel.
pub fn ecg(bytes: &[u8]) {
    if let Ok(block) = Block::read(bytes) {
        assert!(block.write().is_ok_and(|written| written == bytes), "a block that was read is written the same");
    }
}

/// A frame of the `live` channel.
pub fn live(bytes: &[u8]) {
    if let Ok(frame) = Frame::read(bytes) {
        assert_eq!(frame.write().as_deref(), Ok(bytes));
    }
}

/// A chunk of the `documents` channel.
pub fn documents(bytes: &[u8]) {
    if let Ok(chunk) = Chunk::read(bytes) {
        assert_eq!(chunk.write().as_deref(), Ok(bytes));
    }
}

/// A pack of papers as it comes out of its seal, its list alone, and an identifier.
pub fn papers(bytes: &[u8]) {
    if let Ok((list, papers)) = sealed::unpack(bytes)
        // A list may have been written with other spaces than ours, or grow by escapes beyond its limit.
        && let Ok(packed) = sealed::pack(&list, &papers)
    {
        assert_eq!(sealed::unpack(&packed), Ok((list, papers)));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(list) = sealed::PaperList::read(text)
        && let Ok(again) = sealed::PaperList::read(&list.write())
    {
        assert_eq!(again, list);
    }
    if let Some(id) = sealed::PapersId::read(text) {
        assert_eq!(id.as_str(), text);
    }
}
