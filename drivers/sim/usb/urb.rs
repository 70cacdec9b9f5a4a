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

/// One packet of a transfer in step with the bus (isochronous): where its bytes go in the transfer, and how many at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// Bytes of a packet's description.
const PACKET: usize = 16;
/// Packets of one transfer at most: uvcvideo asks for 32, snd-usb-audio for fewer.
const PACKETS_MAX: usize = 128;

/// Takes the first whole message off `input`. An error: these are no messages, the cable is of no use any more.
pub(super) fn take(input: &mut Vec<u8>) -> Result<Option<Ask>, String> {
    match take_with_packets(input)? {
        Some((_, packets)) if !packets.is_empty() => Err("a transfer in step with the bus".to_owned()),
        taken => Ok(taken.map(|(ask, _)| ask)),
    }
}

/// The same of a device that streams: with the packets of a transfer in step with the bus, none of another.
pub(super) fn take_with_packets(input: &mut Vec<u8>) -> Result<Option<(Ask, Vec<Packet>)>, String> {
    let Some(head) = input.get(..HEAD) else { return Ok(None) };
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let number = word(4);
    match word(0) {
        CMD_UNLINK => {
            let of = word(20);
            input.drain(..HEAD);
            Ok(Some((Ask::Unlink { number, of }, Vec::new())))
        }
        CMD_SUBMIT => {
            let is_in = word(12) == 1;
            let length = usize::try_from(word(24)).unwrap_or(usize::MAX);
            if length > DATA_MAX {
                return Err(format!("a transfer of {length} bytes"));
            }
            let end = if is_in { HEAD } else { HEAD + length };
            // All ones where it is no such transfer.
            let count = usize::try_from(word(32)).ok().filter(|_| word(32) != u32::MAX).unwrap_or(0);
            if count > PACKETS_MAX {
                return Err(format!("a transfer of {count} packets"));
            }
            let all = end + count * PACKET;
            if input.len() < all {
                return Ok(None);
            }
            let number_at = |at: usize| u32::from_be_bytes([input[at], input[at + 1], input[at + 2], input[at + 3]]);
            let packets = (end..all).step_by(PACKET);
            let packets = packets.map(|at| Packet { offset: number_at(at), length: number_at(at + 4) }).collect();
            let mut setup = [0; 8];
            setup.copy_from_slice(&head[40..48]);
            let endpoint = (word(16) & 0x0F) as u8;
            let data = input[HEAD..end].to_vec();
            input.drain(..all);
            Ok(Some((Ask::Submit(Submit { number, endpoint, is_in, setup, length, data }), packets)))
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

/// The answer to a transfer in, in step with the bus: what each packet brought, never more than it takes.
pub(super) fn streamed(number: u32, packets: &[(Packet, Vec<u8>)]) -> Vec<u8> {
    let words = |value: usize| u32::try_from(value).unwrap_or(0).to_be_bytes();
    let mut message = head(RET_SUBMIT, number, 0);
    message[24..28].copy_from_slice(&words(packets.iter().map(|(_, data)| data.len()).sum()));
    message[32..36].copy_from_slice(&words(packets.len()));
    // Without gaps, whatever the offsets are.
    message.extend(packets.iter().flat_map(|(_, data)| data));
    for (Packet { offset, length }, data) in packets {
        message.extend(offset.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(words(data.len()));
        message.extend([0; 4]);
    }
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
    fn packets_in_step_with_the_bus_are_told_with_their_places() {
        let mut message = submit(true, 200);
        message[35] = 2;
        for (offset, length) in [(0u32, 100u32), (100, 100)] {
            message.extend([offset.to_be_bytes(), length.to_be_bytes(), [0; 4], [0; 4]].concat());
        }
        assert!(take(&mut message.clone()).is_err());
        assert_eq!(take_with_packets(&mut message[..79].to_vec()), Ok(None));
        let Some((Ask::Submit(_), packets)) = take_with_packets(&mut message).unwrap() else { panic!("not taken") };
        assert_eq!(packets, [Packet { offset: 0, length: 100 }, Packet { offset: 100, length: 100 }]);
        let answer = streamed(9, &[(packets[0], vec![1, 2, 3]), (packets[1], vec![4])]);
        assert_eq!((answer.len(), answer[27], answer[35]), (HEAD + 4 + 2 * PACKET, 4, 2));
        assert_eq!(answer[HEAD..HEAD + 4], [1, 2, 3, 4]);
        assert_eq!((answer[HEAD + 4 + 11], answer[HEAD + 4 + PACKET + 3], answer[HEAD + 4 + PACKET + 11]), (3, 100, 1));
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
