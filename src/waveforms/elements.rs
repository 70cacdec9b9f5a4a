//! DICOM's bytes: data elements with an explicit type, little endian (PS3.5, 7.1.2), and the header of a file (PS3.10).
//!
//! Ours, since all that is needed is to write a few elements, and what the registry has brings the character sets of
//! half the world with it, in a crate that nobody keeps any more.

use std::collections::BTreeMap;

/// Types of text that are written here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vr {
    /// Code.
    CS,
    /// Date.
    DA,
    /// Decimal number as text.
    DS,
    /// Date and time.
    DT,
    /// Whole number as text.
    IS,
    /// Long text of one line.
    LO,
    /// Name of a person.
    PN,
    /// Short text.
    SH,
    /// Time of day.
    TM,
    /// Unique identifier.
    UI,
}

impl Vr {
    fn code(self) -> [u8; 2] {
        *match self {
            Vr::CS => b"CS",
            Vr::DA => b"DA",
            Vr::DS => b"DS",
            Vr::DT => b"DT",
            Vr::IS => b"IS",
            Vr::LO => b"LO",
            Vr::PN => b"PN",
            Vr::SH => b"SH",
            Vr::TM => b"TM",
            Vr::UI => b"UI",
        }
    }
}

/// Explicit VR Little Endian.
const TRANSFER_SYNTAX: &str = "1.2.840.10008.1.2.1";
/// Which program wrote the file: a UUID made once for this one.
const IMPLEMENTATION: &str = "2.25.214793163437853408117893301374093517013";
/// Begins an item of a sequence.
const ITEM: u32 = 0xFFFE_E000;

/// Elements in the order of their tags, which are group and element in one number.
#[derive(Default)]
pub(crate) struct Item(BTreeMap<u32, Vec<u8>>);

impl Item {
    pub(crate) fn text(&mut self, tag: u32, vr: Vr, text: &str) {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == Vr::UI { 0 } else { b' ' });
        }
        self.short_form(tag, vr.code(), &value);
    }

    pub(crate) fn short(&mut self, tag: u32, value: u16) {
        self.short_form(tag, *b"US", &value.to_le_bytes());
    }

    pub(crate) fn long(&mut self, tag: u32, value: u32) {
        self.short_form(tag, *b"UL", &value.to_le_bytes());
    }

    pub(crate) fn words(&mut self, tag: u32, words: impl IntoIterator<Item = i16>) {
        self.long_form(tag, *b"OW", &words.into_iter().flat_map(i16::to_le_bytes).collect::<Vec<u8>>());
    }

    pub(crate) fn items(&mut self, tag: u32, items: Vec<Item>) {
        let mut value = Vec::new();
        for item in items {
            let bytes = item.bytes();
            value.extend(tag_bytes(ITEM));
            value.extend(length(bytes.len()));
            value.extend(bytes);
        }
        self.long_form(tag, *b"SQ", &value);
    }

    /// Types whose length has two bytes.
    fn short_form(&mut self, tag: u32, vr: [u8; 2], value: &[u8]) {
        // Text is cut far below by who gives it; a longer one would not be what its length says.
        let value = &value[..value.len().min(usize::from(u16::MAX) - 1)];
        let mut bytes = [tag_bytes(tag).as_slice(), &vr].concat();
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(value);
        self.0.insert(tag, bytes);
    }

    /// Types whose length has four bytes.
    fn long_form(&mut self, tag: u32, vr: [u8; 2], value: &[u8]) {
        let mut bytes = [tag_bytes(tag).as_slice(), &vr, &[0, 0], &length(value.len())].concat();
        bytes.extend(value);
        self.0.insert(tag, bytes);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.values().flatten().copied().collect()
    }
}

/// A whole file: preamble, what it is, its elements.
pub(crate) fn file(class: &str, instance: &str, object: Item) -> Vec<u8> {
    let mut meta = Item::default();
    meta.long_form(0x0002_0001, *b"OB", &[0, 1]);
    meta.text(0x0002_0002, Vr::UI, class);
    meta.text(0x0002_0003, Vr::UI, instance);
    meta.text(0x0002_0010, Vr::UI, TRANSFER_SYNTAX);
    meta.text(0x0002_0012, Vr::UI, IMPLEMENTATION);
    meta.text(0x0002_0013, Vr::SH, "TELECABINE");
    let meta = meta.bytes();
    let mut head = Item::default();
    head.long(0x0002_0000, meta.len() as u32);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(head.bytes());
    bytes.extend(meta);
    bytes.extend(object.bytes());
    bytes
}

fn tag_bytes(tag: u32) -> [u8; 4] {
    let [g0, g1] = ((tag >> 16) as u16).to_le_bytes();
    let [e0, e1] = (tag as u16).to_le_bytes();
    [g0, g1, e0, e1]
}

/// At most 480,000 rows of 12 leads in two bytes: far below the limit of four bytes.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_in_order_and_of_even_length() {
        let mut item = Item::default();
        item.text(0x0010_0020, Vr::LO, "abc");
        item.text(0x0008_0018, Vr::UI, "1.2");
        let mut inner = Item::default();
        inner.short(0x003A_0005, 2);
        item.items(0x5400_0100, vec![inner]);
        let expected = [
            b"\x08\x00\x18\x00UI\x04\x001.2\0".as_slice(),
            b"\x10\x00\x20\x00LO\x04\x00abc ",
            b"\x00\x54\x00\x01SQ\0\0\x12\0\0\0\xFE\xFF\x00\xE0\x0A\0\0\0\x3A\x00\x05\x00US\x02\x00\x02\x00",
        ];
        assert_eq!(item.bytes(), expected.concat());
    }
}
