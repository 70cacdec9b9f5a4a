//! A personal health device's side of its USB plug: one interface of class 0F, messages in packets of 64 bytes.
//!
//! Source: USB Device Class Definition for Personal Healthcare Devices 1.0: 4.2 (function descriptors), 5 (requests).

use std::collections::VecDeque;

use super::hid::{Answer, string};
use super::urb::STALL;
use super::{Function, Heard};

/// Bytes of a packet.
const PACKET: u8 = 64;
/// Packets that wait for a host which does not ask: a message of 63 KiB and another.
const WAITING_MAX: usize = 2048;

/// How such a device introduces itself.
pub(crate) struct Kind {
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    /// Of the maker, of the product.
    pub(crate) names: [&'static str; 2],
    pub(crate) serial: &'static str,
    /// Class of its interface: 0F, or FF of a maker who keeps it to himself.
    pub(crate) class: u8,
    /// Its device specialisation.
    pub(crate) specialisation: u16,
}

pub(super) struct Phdc {
    kind: &'static Kind,
    packets: VecDeque<Vec<u8>>,
    /// Its endpoint in stalls until the host clears it.
    is_halted: bool,
}

impl Phdc {
    pub(super) fn new(kind: &'static Kind) -> Phdc {
        Phdc { kind, packets: VecDeque::new(), is_halted: false }
    }

    fn descriptor(&self, kind: u8, number: u8) -> Answer {
        let [vendor_low, vendor_high] = self.kind.vendor.to_le_bytes();
        let [product_low, product_high] = self.kind.product.to_le_bytes();
        Ok(match (kind, number) {
            (1, _) => {
                let mut text = vec![18, 1, 0x00, 0x02, 0, 0, 0, PACKET];
                text.extend([vendor_low, vendor_high, product_low, product_high, 0x00, 0x01, 1, 2, 3, 1]);
                text
            }
            (2, 0) => {
                let mut rest = vec![9, 4, 0, 0, 2, self.kind.class, 0, 0, 0];
                if self.kind.class == 0x0F {
                    // The function speaks 11073-20601, and is one specialisation.
                    let [low, high] = self.kind.specialisation.to_le_bytes();
                    rest.extend([4, 0x20, 0x02, 0x00, 6, 0x30, 0x00, 1, low, high]);
                }
                for (address, quality) in [(0x81, 0x08), (0x01, 0x08)] {
                    rest.extend([7, 5, address, 2, PACKET, 0, 0]);
                    if self.kind.class == 0x0F {
                        // Medium latency, best reliability.
                        rest.extend([4, 0x21, 0x01, quality]);
                    }
                }
                let length = u8::try_from(9 + rest.len()).unwrap_or(u8::MAX);
                [&[9, 2, length, 0, 1, 1, 0, 0x80, 50], &rest[..]].concat()
            }
            (3, 0) => vec![4, 3, 0x09, 0x04],
            (3, 1 | 2) => string(self.kind.names[usize::from(number) - 1]),
            (3, 3) => string(self.kind.serial),
            _ => return Err(STALL),
        })
    }
}

impl Function for Phdc {
    fn control(&mut self, setup: [u8; 8], _data: &[u8], _heard: &mut Vec<Heard>) -> Answer {
        let most = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
        let mut answer = match (setup[0], setup[1]) {
            (0x80, 0x06) => self.descriptor(setup[3], setup[2])?,
            // CLEAR_FEATURE of an endpoint: its halt.
            (0x02, 0x01) => {
                self.is_halted = false;
                Vec::new()
            }
            (0x00, 0x09) | (0x01, 0x0B) => Vec::new(),
            (0x80..=0x82, 0x00) => vec![0, 0],
            // Endpoint 1 in has data, or not.
            (0xA1, 0x00) if self.kind.class == 0x0F => vec![u8::from(!self.packets.is_empty()) << 1, 0],
            (0x80, 0x08) => vec![1],
            _ => return Err(STALL),
        };
        answer.truncate(most);
        Ok(answer)
    }

    fn sent(&mut self, data: &[u8], heard: &mut Vec<Heard>) {
        if !data.is_empty() {
            heard.push(Heard::Bytes(data.to_vec()));
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        // A request for an association that no host has taken yet is not made twice: it waits in the endpoint.
        if bytes.starts_with(&[0xE2, 0x00]) && !self.packets.is_empty() {
            return;
        }
        for packet in bytes.chunks(PACKET.into()) {
            self.packets.push_back(packet.to_vec());
        }
        // What ends with a whole packet ends with an empty one.
        if bytes.len().is_multiple_of(PACKET.into()) {
            self.packets.push_back(Vec::new());
        }
        while self.packets.len() > WAITING_MAX {
            self.packets.pop_front();
        }
    }

    fn report(&mut self) -> Option<Vec<u8>> {
        if self.is_halted { None } else { self.packets.pop_front() }
    }

    fn halt(&mut self) {
        self.is_halted = true;
    }

    fn is_halted(&self) -> bool {
        self.is_halted
    }
}
