//! An FT232BM, of which Linux makes a serial port: its modem lines, which a contact joins, or the bytes of a line.
//!
//! Source: Linux, drivers/usb/serial/ftdi_sio.h: the requests, and the two bytes of status before every packet in.

use std::collections::VecDeque;

use super::hid::Answer;
use super::urb::STALL;
use super::{Function, Heard};

/// Bits of the modem status.
pub(crate) const CTS: u8 = 0x10;
/// Nothing is joined to RTS.
pub(crate) const NO_INPUT: u8 = 0;
/// Always set in the modem status.
const RESERVED: u8 = 0x01;
/// Serial number of the adapter.
pub const SERIAL: &str = "FTDOOR01";
/// Bytes of a packet, and those of status before what came on the line.
const PACKET: usize = 64;
const STATUS: usize = 2;
/// Bytes that its receive buffer holds (FT232BM data sheet): what comes on top is lost.
const RECEIVE_MAX: usize = 384;
/// Line status: the transmitter is empty.
const LINE_STATUS: u8 = 0x60;

/// What is on the adapter's other side.
enum Side {
    /// A wire from RTS to some of its inputs.
    Contact,
    /// A device, and what it has said.
    Line(VecDeque<u8>),
}

/// The adapter.
pub(super) struct Ftdi {
    side: Side,
    is_rts_up: bool,
    joined: u8,
    /// The host has not been told the status since it changed.
    is_news: bool,
}

impl Ftdi {
    pub(super) fn with_contact() -> Ftdi {
        Ftdi::new(Side::Contact)
    }

    /// In front of a device. At which speed the host has set it is not looked at.
    pub(super) fn with_line() -> Ftdi {
        Ftdi::new(Side::Line(VecDeque::new()))
    }

    fn new(side: Side) -> Ftdi {
        Ftdi { side, is_rts_up: false, joined: NO_INPUT, is_news: false }
    }

    fn status(&self) -> [u8; 2] {
        [RESERVED | if self.is_rts_up { self.joined } else { NO_INPUT }, LINE_STATUS]
    }
}

impl Function for Ftdi {
    fn control(&mut self, setup: [u8; 8], _data: &[u8], _heard: &mut Vec<Heard>) -> Answer {
        let most = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
        let mut answer = match (setup[0], setup[1]) {
            (0x80, 0x06) => descriptor(setup[3], setup[2])?,
            // SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE of an endpoint.
            (0x00, 0x09) | (0x01, 0x0B) | (0x02, 0x01) => Vec::new(),
            (0x80..=0x82, 0x00) => vec![0, 0],
            // Modem control: the high byte says which outputs are meant, the low byte their levels.
            (0x40, 0x01) => {
                if setup[3] & 2 != 0 {
                    self.is_rts_up = setup[2] & 2 != 0;
                    self.is_news = true;
                }
                Vec::new()
            }
            // Reset, flow control, speed, format, special characters, latency.
            (0x40, 0x00 | 0x02..=0x04 | 0x06 | 0x07 | 0x09) => Vec::new(),
            (0xC0, 0x05) => self.status().to_vec(),
            (0xC0, 0x0A) => vec![16],
            _ => return Err(STALL),
        };
        answer.truncate(most);
        Ok(answer)
    }

    fn sent(&mut self, data: &[u8], heard: &mut Vec<Heard>) {
        if matches!(self.side, Side::Line(_)) && !data.is_empty() {
            heard.push(Heard::Bytes(data.to_vec()));
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        match (&mut self.side, bytes.last()) {
            (Side::Line(said), _) => {
                said.extend(bytes);
                said.truncate(RECEIVE_MAX);
            }
            (Side::Contact, Some(joined)) => {
                self.joined = *joined;
                self.is_news = true;
            }
            (Side::Contact, None) => {}
        }
    }

    fn report(&mut self) -> Option<Vec<u8>> {
        let status = self.status();
        if let Side::Line(said) = &mut self.side
            && !said.is_empty()
        {
            let count = said.len().min(PACKET - STATUS);
            return Some(status.into_iter().chain(said.drain(..count)).collect());
        }
        std::mem::take(&mut self.is_news).then(|| self.status().to_vec())
    }
}

fn descriptor(kind: u8, number: u8) -> Answer {
    Ok(match (kind, number) {
        // USB 2.0, FTDI FT232BM (version 4.00), strings 1 to 3.
        (1, _) => vec![18, 1, 0x00, 0x02, 0, 0, 0, 8, 0x03, 0x04, 0x01, 0x60, 0x00, 0x04, 1, 2, 3, 1],
        (2, 0) => vec![
            9, 2, 32, 0, 1, 1, 0, 0x80, 45, // one interface, 90 mA
            9, 4, 0, 0, 2, 0xFF, 0xFF, 0xFF, 2, // of the maker's own class
            7, 5, 0x81, 2, 64, 0, 0, // bulk in
            7, 5, 0x01, 2, 64, 0, 0, // bulk out (the chip's is 2: a host looks it up)
        ],
        (3, 0) => vec![4, 3, 0x09, 0x04],
        (3, 1) => super::hid::string("FTDI"),
        (3, 2) => super::hid::string("USB <-> Serial Cable"),
        (3, 3) => super::hid::string(SERIAL),
        _ => return Err(STALL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_line_come_behind_the_status_and_what_is_too_much_is_lost() {
        let mut chip = Ftdi::with_line();
        chip.receive(&[7; RECEIVE_MAX + 2]);
        let first = chip.report().unwrap();
        assert_eq!((first.len(), &first[..3]), (PACKET, &[RESERVED, LINE_STATUS, 7][..]));
        let mut came = first.len() - STATUS;
        while let Some(report) = chip.report() {
            came += report.len() - STATUS;
        }
        assert_eq!(came, RECEIVE_MAX);
    }

    #[test]
    fn an_input_is_up_only_when_rts_is_and_the_wire_joins_them() {
        let mut chip = Ftdi::with_contact();
        let rts = |chip: &mut Ftdi, low| chip.control([0x40, 1, low, 2, 0, 0, 0, 0], &[], &mut Vec::new()).unwrap();
        let level = |chip: &mut Ftdi| chip.control([0xC0, 5, 0, 0, 0, 0, 2, 0], &[], &mut Vec::new()).unwrap()[0] & CTS;
        assert_eq!(level(&mut chip), 0);
        chip.receive(&[CTS]);
        assert_eq!(level(&mut chip), 0);
        rts(&mut chip, 2);
        assert_eq!(level(&mut chip), CTS);
        assert_eq!(chip.report().unwrap(), [RESERVED | CTS, LINE_STATUS]);
        assert_eq!(chip.report(), None);
        chip.receive(&[NO_INPUT]);
        assert_eq!(level(&mut chip), 0);
        let text = chip.control([0x80, 6, 0, 2, 0, 0, 0xFF, 0], &[], &mut Vec::new()).unwrap();
        assert_eq!(text.len(), usize::from(text[2]));
    }

    #[test]
    fn what_a_device_says_comes_in_packets_after_the_status_and_what_it_is_told_reaches_it() {
        let mut chip = Ftdi::with_line();
        chip.receive(&[7; 100]);
        let first = chip.report().unwrap();
        assert_eq!((&first[..2], first.len()), (&[RESERVED, LINE_STATUS][..], 64));
        assert_eq!(chip.report().unwrap().len(), 2 + 38);
        assert_eq!(chip.report(), None);
        let mut heard = Vec::new();
        chip.sent(b"?", &mut heard);
        assert_eq!(heard, [Heard::Bytes(b"?".to_vec())]);
        chip.receive(&[7; 1_000]);
        assert_eq!(std::iter::from_fn(|| chip.report()).map(|packet| packet.len() - 2).sum::<usize>(), RECEIVE_MAX);
    }
}
