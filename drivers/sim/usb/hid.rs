//! A HID device: what every host asks of one, and the devices that speak in reports of their own.
//!
//! Sources: USB 2.0 chapter 9 (descriptors and requests), USB HID 1.11 (its descriptor, reports).

use std::collections::VecDeque;

use super::urb::STALL;
use super::{Function, Heard};

/// Reports that wait for a host which does not ask: what comes on top is lost.
const WAITING_MAX: usize = 512;

/// What a request of endpoint 0 gives: bytes for the host (none for a request that sends some), or a stall.
pub(super) type Answer = Result<Vec<u8>, i32>;

/// How a device introduces itself.
pub(crate) struct Identity {
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    /// Of the maker, of the product.
    pub(crate) names: [&'static str; 2],
    pub(crate) serial: Option<&'static str>,
    /// Of its endpoints.
    pub(crate) packet_bytes: u8,
    /// Without one, what it is sent comes as a control request.
    pub(crate) has_endpoint_out: bool,
}

impl Identity {
    /// What every HID device answers; a stall to the rest.
    pub(super) fn control(&self, setup: [u8; 8], report_descriptor: &[u8]) -> Answer {
        let [number, kind] = [setup[2], setup[3]];
        let most = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
        let mut answer = match (setup[0], setup[1]) {
            // GET_DESCRIPTOR of the device, of its interface.
            (0x80, 0x06) => self.descriptor(kind, number, report_descriptor.len())?,
            (0x81, 0x06) if kind == 0x22 => report_descriptor.to_vec(),
            (0x81, 0x06) if kind == 0x21 => hid_descriptor(report_descriptor.len()).to_vec(),
            // SET_CONFIGURATION, SET_INTERFACE, SET_IDLE, CLEAR_FEATURE of an endpoint (a halt).
            (0x00, 0x09) | (0x01, 0x0B) | (0x21, 0x0A) | (0x02, 0x01) => Vec::new(),
            // GET_STATUS.
            (0x80..=0x82, 0x00) => vec![0, 0],
            // GET_CONFIGURATION.
            (0x80, 0x08) => vec![1],
            _ => return Err(STALL),
        };
        answer.truncate(most);
        Ok(answer)
    }

    fn descriptor(&self, kind: u8, number: u8, report_descriptor_bytes: usize) -> Answer {
        let [vendor_low, vendor_high] = self.vendor.to_le_bytes();
        let [product_low, product_high] = self.product.to_le_bytes();
        Ok(match (kind, number) {
            // Device: USB 2.0, class in the interface, version 1.00, strings 1 to 3, one configuration.
            (1, _) => {
                let serial = if self.serial.is_some() { 3 } else { 0 };
                let mut text = vec![18, 1, 0x00, 0x02, 0, 0, 0, 64];
                text.extend([vendor_low, vendor_high, product_low, product_high, 0x00, 0x01, 1, 2, serial, 1]);
                text
            }
            (2, 0) => {
                // One interface of class HID, 100 mA from the bus; an endpoint in and perhaps one out, every 1 ms.
                let endpoints = 1 + u8::from(self.has_endpoint_out);
                let mut text = vec![9, 2, 27 + 7 * endpoints, 0, 1, 1, 0, 0x80, 50];
                text.extend([9, 4, 0, 0, endpoints, 3, 0, 0, 0]);
                text.extend(hid_descriptor(report_descriptor_bytes));
                text.extend([7, 5, 0x81, 3, self.packet_bytes, 0, 1]);
                if self.has_endpoint_out {
                    text.extend([7, 5, 0x01, 3, self.packet_bytes, 0, 1]);
                }
                text
            }
            (3, 0) => vec![4, 3, 0x09, 0x04],
            (3, 1 | 2) => string(self.names[usize::from(number) - 1]),
            (3, 3) => string(self.serial.ok_or(STALL)?),
            _ => return Err(STALL),
        })
    }
}

/// HID 1.11, country 0, one report descriptor of that many bytes.
fn hid_descriptor(length: usize) -> [u8; 9] {
    let [low, high] = u16::try_from(length).unwrap_or(0).to_le_bytes();
    [9, 0x21, 0x11, 0x01, 0, 1, 0x22, low, high]
}

pub(super) fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [&[u8::try_from(units.len() + 2).unwrap_or(u8::MAX), 3], &units[..]].concat()
}

/// A device that speaks HID itself.
pub(crate) struct Kind {
    pub(crate) identity: Identity,
    /// Bytes of a report in or out, with its number if it has one.
    pub(crate) report_bytes: u8,
    /// Bytes of its feature report; 0: it has none.
    pub(crate) feature_bytes: u8,
    pub(crate) report_descriptor: &'static [u8],
}

/// The report descriptor of a device whose reports have no number and no meaning to a host but to its own program: 8
/// bytes in, 8 out, a feature of 2.
pub(crate) const REPORTS_OF_8: &[u8] = &[
    // Vendor page 0xFF00, usage 1, values of 8 bits.
    0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, //
    0x95, 0x08, 0x09, 0x01, 0x81, 0x02, // 8 in
    0x95, 0x08, 0x09, 0x01, 0x91, 0x02, // 8 out
    0x95, 0x02, 0x09, 0x01, 0xB1, 0x02, // 2 of a feature
    0xC0,
];

/// As [`REPORTS_OF_8`], 64 bytes in and 64 out, no feature.
pub(crate) const REPORTS_OF_64: &[u8] = &[
    0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, //
    0x95, 0x40, 0x09, 0x01, 0x81, 0x02, // 64 in
    0x95, 0x40, 0x09, 0x01, 0x91, 0x02, // 64 out
    0xC0,
];

/// Such a device, with power.
pub(super) struct Reports {
    kind: &'static Kind,
    waiting: VecDeque<Vec<u8>>,
}

impl Reports {
    pub(super) fn new(kind: &'static Kind) -> Reports {
        Reports { kind, waiting: VecDeque::new() }
    }
}

impl Function for Reports {
    fn control(&mut self, setup: [u8; 8], data: &[u8], heard: &mut Vec<Heard>) -> Answer {
        match (setup[0], setup[1], setup[3]) {
            // SET_REPORT of a feature, of an output report.
            (0x21, 0x09, 3) if data.len() == usize::from(self.kind.feature_bytes) && !data.is_empty() => {
                heard.push(Heard::Feature(data.to_vec()));
                Ok(Vec::new())
            }
            (0x21, 0x09, 2) if data.len() == usize::from(self.kind.report_bytes) => {
                self.sent(data, heard);
                Ok(Vec::new())
            }
            _ => self.kind.identity.control(setup, self.kind.report_descriptor),
        }
    }

    fn sent(&mut self, data: &[u8], heard: &mut Vec<Heard>) {
        // Another length is no report of this device.
        if data.len() == usize::from(self.kind.report_bytes) {
            heard.push(Heard::Bytes(data.to_vec()));
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        for report in bytes.chunks(usize::from(self.kind.report_bytes)) {
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push_back(report.to_vec());
            }
        }
    }

    fn report(&mut self) -> Option<Vec<u8>> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        identity: Identity {
            vendor: 0x1209,
            product: 8,
            names: ["Bench", "hid8"],
            serial: None,
            packet_bytes: 8,
            has_endpoint_out: false,
        },
        report_bytes: 8,
        feature_bytes: 2,
        report_descriptor: REPORTS_OF_8,
    };

    #[test]
    fn its_configuration_is_as_long_as_it_says() {
        for has_endpoint_out in [false, true] {
            let identity = Identity { has_endpoint_out, ..KIND.identity };
            let text = identity.control([0x80, 6, 0, 2, 0, 0, 0xFF, 0], &[]).unwrap();
            assert_eq!(text.len(), usize::from(text[2]));
            assert_eq!(identity.control([0x80, 6, 0, 1, 0, 0, 0xFF, 0], &[]).unwrap().len(), 18);
            assert_eq!(identity.control([0x80, 6, 0, 1, 0, 0, 8, 0], &[]).unwrap().len(), 8, "no more than asked for");
            assert_eq!(identity.control([0x80, 6, 3, 3, 0, 0, 8, 0], &[]), Err(STALL), "it has no serial number");
        }
    }

    #[test]
    fn only_reports_of_its_length_reach_the_device() {
        static BENCH: Kind = KIND;
        let (mut device, mut heard) = (Reports::new(&BENCH), Vec::new());
        let mut set = |kind, data: &[u8]| device.control([0x21, 9, 0, kind, 0, 0, 8, 0], data, &mut heard);
        assert_eq!(set(3, &[0x74, 0xBC]), Ok(vec![]));
        assert_eq!(set(3, &[0x74]), Err(STALL));
        assert_eq!(set(2, &[7; 8]), Ok(vec![]));
        assert_eq!(set(2, &[7; 9]), Err(STALL));
        assert_eq!(heard, [Heard::Feature(vec![0x74, 0xBC]), Heard::Bytes(vec![7; 8])]);
        device.receive(&[1; 20]);
        let lengths: Vec<usize> = std::iter::from_fn(|| device.report()).map(|report| report.len()).collect();
        assert_eq!(lengths, [8, 8, 4]);
    }
}
