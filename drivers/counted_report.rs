//! Reports of 8 bytes that begin with how many of the seven that follow are meant: Omron's and Microlife's.
//!
//! What follows the meant ones is left over from earlier reports, and is really there.

use crate::Outgoing;

/// Bytes of such a report.
pub(crate) const REPORT: usize = 8;

/// The bytes that are meant; `None`: it claims more than it has. The upper half of the first byte is not a number.
pub(crate) fn meant(report: &[u8]) -> Option<&[u8]> {
    report.get(1..=usize::from(report.first()? & 0x0F))
}

/// Sends bytes, in as many reports as they take.
pub(crate) fn send(bytes: &[u8], out: &mut Outgoing) {
    for part in bytes.chunks(REPORT - 1) {
        out.send(&[&[part.len() as u8], part].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_is_read() {
        assert_eq!(meant(&[2, b'O', b'K', b'X', 0, 0, 0, 0]), Some(&b"OK"[..]));
        assert_eq!(meant(&[0xF1, 6, 0, 0, 0, 0, 0, 0]), Some(&[6][..]));
        assert_eq!(meant(&[0; 8]), Some(&[][..]));
        assert_eq!(meant(&[9, 1, 2, 3, 4, 5, 6, 7]), None);
        assert_eq!(meant(&[]), None);
    }
}
