//! What the kernel's virtual USB ports (`vhci_hcd`) and a device say to each other: one 48-byte head a message, then
//! its data. Big-endian, but for the setup packet, which is as on a USB cable.
//!
//! Source: Linux, Documentation/usb/usbip_protocol.rst, "USBIP_CMD_SUBMIT" and the three others.

/// Bytes of each head.
pub(super) const HEAD: usize = 48;
/// Most data with one request: usbhid asks for 4 KiB at most, usbfs cuts at 16 KiB.
pub(super) const DATA_MAX: usize = 64 * 1024;

/// A pipe's end does not take that: the stall of a USB device (`EPIPE`).
pub(super) const STALL: i32 = -32;
/// The request was taken back before it was done (`ECONNRESET`).
const TAKEN_BACK: i32 = -104;

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

/// What the kernel asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A transfer.
    Submit(Submit),
    /// Takes an earlier transfer back.
    Unlink { number: u32, of: u32 },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Submit {
    pub(super) number: u32,
    /// 0 to 15, without the direction.
    pub(super) endpoint: u8,
    /// Towards the host.
    pub(super) is_in: bool,
    /// Of endpoint 0; zeros elsewhere.
    pub(super) setup: [u8; 8],
    /// Most bytes that the host takes (in), or has sent (out).
    pub(super) length: usize,
    /// Sent by the host.
    pub(super) data: Vec<u8>,
}

/// Takes the first whole message off `input`. An error: these are no messages, the cable is of no use any more.
pub(super) fn take(input: &mut Vec<u8>) -> Result<Option<Ask>, String> {
    let Some(head) = input.get(..HEAD) else { return Ok(None) };
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let number = word(4);
    match word(0) {
        CMD_UNLINK => {
            let of = word(20);
            input.drain(..HEAD);
            Ok(Some(Ask::Unlink { number, of }))
        }
        CMD_SUBMIT => {
            let is_in = word(12) == 1;
            let length = usize::try_from(word(24)).unwrap_or(usize::MAX);
            if length > DATA_MAX {
                return Err(format!("a transfer of {length} bytes"));
            }
            let end = if is_in { HEAD } else { HEAD + length };
            if input.len() < end {
                return Ok(None);
            }
            let mut setup = [0; 8];
            setup.copy_from_slice(&head[40..48]);
            let endpoint = (word(16) & 0x0F) as u8;
            let data = input[HEAD..end].to_vec();
            input.drain(..end);
            Ok(Some(Ask::Submit(Submit { number, endpoint, is_in, setup, length, data })))
        }
        other => Err(format!("a message of kind {other}")),
    }
}

/// The answer to a transfer: `status` 0 or a negative error; `actual` bytes moved; `data` of a transfer in.
pub(super) fn submitted(number: u32, status: i32, actual: usize, data: &[u8]) -> Vec<u8> {
    let mut message = head(RET_SUBMIT, number, status);
    message[24..28].copy_from_slice(&u32::try_from(actual).unwrap_or(0).to_be_bytes());
    message.extend(data);
    message
}

/// The answer to a taking back: whether the transfer was still waiting.
pub(super) fn unlinked(number: u32, was_waiting: bool) -> Vec<u8> {
    head(RET_UNLINK, number, if was_waiting { TAKEN_BACK } else { 0 })
}

fn head(kind: u32, number: u32, status: i32) -> Vec<u8> {
    let mut message = vec![0; HEAD];
    message[0..4].copy_from_slice(&kind.to_be_bytes());
    message[4..8].copy_from_slice(&number.to_be_bytes());
    message[20..24].copy_from_slice(&status.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(is_in: bool, length: u32) -> Vec<u8> {
        let mut message = vec![0; HEAD];
        message[3] = 1;
        message[7] = 9;
        message[15] = is_in.into();
        message[19] = 1;
        message[24..28].copy_from_slice(&length.to_be_bytes());
        message
    }

    #[test]
    fn a_message_is_taken_only_when_it_is_whole() {
        let mut whole = submit(false, 3);
        whole.extend([7, 8, 9]);
        let mut input = Vec::new();
        for byte in whole {
            assert_eq!(take(&mut input).unwrap(), None);
            input.push(byte);
        }
        let Some(Ask::Submit(asked)) = take(&mut input).unwrap() else { panic!("not taken") };
        assert_eq!((asked.number, asked.endpoint, asked.is_in, &asked.data[..]), (9, 1, false, &[7, 8, 9][..]));
        assert!(input.is_empty());
    }

    #[test]
    fn what_is_no_message_ends_the_cable_and_not_the_program() {
        assert!(take(&mut vec![0xFF; HEAD]).is_err());
        assert!(take(&mut submit(true, u32::MAX)).is_err());
    }

    #[test]
    fn a_transfer_that_was_done_is_not_taken_back() {
        assert_eq!(unlinked(1, false)[20..24], [0; 4]);
        assert_eq!(unlinked(1, true)[20..24], (-104i32).to_be_bytes());
    }
}
