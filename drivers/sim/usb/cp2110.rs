//! The chip between USB and a device's serial line: Silicon Labs CP2110, a HID device.
//!
//! Sources: `devices.md` 1, and AN434 "CP2110/4 Interface Specification" as pySerial's `protocol_cp2110` reads it
//! (reports); USB HID 1.11 (descriptors and requests). The order of items in its report descriptor is ours: only the
//! sizes of its reports matter to a host. No real chip was at hand: its strings, its line before it is set and the size
//! of its buffer are from general knowledge.

use std::collections::VecDeque;

use super::hid::{Answer, Identity};
use super::urb::STALL;
use super::{Function, Heard};

const IDENTITY: Identity = Identity {
    vendor: 0x10C4,
    product: 0xEA80,
    names: ["Silicon Laboratories", "CP2110 HID USB-to-UART Bridge"],
    // Number on the label of the simulated device.
    serial: Some("00A1B2C3"),
    packet_bytes: PACKET,
    has_endpoint_out: true,
};

/// Bytes of an interrupt packet: a report's number and 63 bytes.
const PACKET: u8 = 64;
/// Bytes that its receive buffer holds: what comes on top is lost.
const RECEIVE_MAX: usize = 480;

const UART_ENABLE: u8 = 0x41;
const PURGE: u8 = 0x43;
const VERSION: u8 = 0x46;
const UART_CONFIG: u8 = 0x50;

/// Feature reports: number, bytes after it.
const FEATURES: [(u8, u8); 4] = [(UART_ENABLE, 1), (PURGE, 1), (VERSION, 2), (UART_CONFIG, 8)];

/// The chip, with power.
pub(super) struct Cp2110 {
    /// Of the device behind it: bytes at another speed are lost, as they are noise.
    line: [u8; 8],
    enabled: bool,
    /// As the host has set it.
    set: [u8; 8],
    received: VecDeque<u8>,
    report_descriptor: Vec<u8>,
}

impl Cp2110 {
    /// In front of a device that speaks at `baud`, 8 data bits, no parity, 1 stop bit.
    pub(super) fn new(baud: u32) -> Cp2110 {
        let [a, b, c, d] = baud.to_be_bytes();
        let [e, f, g, h] = 115_200u32.to_be_bytes();
        Cp2110 {
            line: [a, b, c, d, 0, 0, 3, 0],
            enabled: false,
            // As it leaves the factory.
            set: [e, f, g, h, 0, 0, 3, 0],
            received: VecDeque::new(),
            report_descriptor: report_descriptor(),
        }
    }

    /// Whether bytes pass: switched on, and at the device's speed.
    pub(super) fn carries(&self) -> bool {
        self.enabled && self.set == self.line
    }

    fn feature(&self, number: u8) -> Answer {
        Ok(match number {
            UART_ENABLE => vec![number, self.enabled.into()],
            // Part number 0x0A, version 5.
            VERSION => vec![number, 0x0A, 0x05],
            UART_CONFIG => [&[number], &self.set[..]].concat(),
            _ => return Err(STALL),
        })
    }

    fn set_feature(&mut self, number: u8, data: &[u8]) -> Result<(), i32> {
        match (number, data) {
            (UART_ENABLE, [on]) => {
                self.enabled = *on == 1;
                self.received.clear();
            }
            (PURGE, [which]) => {
                if which & 2 != 0 {
                    self.received.clear();
                }
            }
            (UART_CONFIG, set) => self.set = set.try_into().map_err(|_| STALL)?,
            _ => return Err(STALL),
        }
        Ok(())
    }

    /// A report that the host sent for the line: the bytes that go out on it.
    fn for_the_line<'a>(&self, report: &'a [u8]) -> &'a [u8] {
        match report {
            [count, bytes @ ..] if self.carries() && usize::from(*count) <= bytes.len() && *count < PACKET => {
                &bytes[..usize::from(*count)]
            }
            _ => &[],
        }
    }
}

impl Function for Cp2110 {
    fn control(&mut self, setup: [u8; 8], data: &[u8], _heard: &mut Vec<Heard>) -> Answer {
        let [number, kind] = [setup[2], setup[3]];
        match (setup[0], setup[1]) {
            // GET_REPORT, SET_REPORT of a feature.
            (0xA1, 0x01) if kind == 3 => self.feature(number),
            (0x21, 0x09) if kind == 3 && data.first() == Some(&number) => {
                self.set_feature(number, &data[1..])?;
                Ok(Vec::new())
            }
            _ => IDENTITY.control(setup, &self.report_descriptor),
        }
    }

    fn sent(&mut self, data: &[u8], heard: &mut Vec<Heard>) {
        heard.push(Heard::Bytes(self.for_the_line(data).to_vec()));
    }

    /// Bytes that came on the line.
    fn receive(&mut self, bytes: &[u8]) {
        if self.carries() {
            let room = RECEIVE_MAX - self.received.len();
            self.received.extend(bytes.iter().take(room));
        }
    }

    fn report(&mut self) -> Option<Vec<u8>> {
        let count = self.received.len().min(usize::from(PACKET) - 1);
        let number = u8::try_from(count).ok().filter(|number| *number > 0)?;
        Some(std::iter::once(number).chain(self.received.drain(..count)).collect())
    }
}

/// Data reports 1 to 63 in and out, as many bytes as their number, and the feature reports.
fn report_descriptor() -> Vec<u8> {
    // Vendor page 0xFF00, usage 1; values of 8 bits.
    let mut text = vec![0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08];
    for number in 1..PACKET {
        text.extend([0x85, number, 0x95, number, 0x09, 0x01, 0x81, 0x02, 0x09, 0x01, 0x91, 0x02]);
    }
    for (number, length) in FEATURES {
        text.extend([0x85, number, 0x95, length, 0x09, 0x01, 0xB1, 0x02]);
    }
    text.push(0xC0);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(chip: &mut Cp2110, report: &[u8]) -> Answer {
        let length = u8::try_from(report.len()).unwrap();
        chip.control([0x21, 0x09, report[0], 3, 0, 0, length, 0], report, &mut Vec::new())
    }

    #[test]
    fn bytes_pass_only_when_it_is_switched_on_at_the_devices_speed() {
        let mut chip = Cp2110::new(19_200);
        let word = [2, 0x51, 0x22];
        assert!(chip.for_the_line(&word).is_empty());
        set(&mut chip, &[UART_ENABLE, 1]).unwrap();
        assert!(chip.for_the_line(&word).is_empty(), "still at its factory's speed");
        set(&mut chip, &[UART_CONFIG, 0x00, 0x00, 0x4B, 0x00, 0, 0, 3, 0]).unwrap();
        assert_eq!(chip.for_the_line(&word), [0x51, 0x22]);
        chip.receive(&[7; 100]);
        assert_eq!(chip.report().unwrap(), [&[63], &[7; 63][..]].concat());
        assert_eq!(chip.report().unwrap(), [&[37], &[7; 37][..]].concat());
        assert_eq!(chip.report(), None);
    }

    #[test]
    fn what_it_does_not_know_is_stalled() {
        let mut chip = Cp2110::new(9_600);
        for setup in [[0x80, 6, 0, 6, 0, 0, 10, 0], [0xC0, 1, 0, 0, 0, 0, 8, 0], [0xA1, 1, 0x99, 3, 0, 0, 8, 0]] {
            assert_eq!(chip.control(setup, &[], &mut Vec::new()), Err(STALL));
        }
        assert_eq!(set(&mut chip, &[UART_CONFIG, 1, 2]), Err(STALL));
        assert!(chip.for_the_line(&[]).is_empty() && chip.for_the_line(&[64, 1]).is_empty());
    }
}
