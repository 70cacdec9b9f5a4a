//! Contec 08A: three users' records in reports of 64 bytes, numbers in 7 bits.

use crate::memory_cuff::{Arm, Cuff, Record, Speech};
use crate::usb::hid::{Identity, Kind, REPORTS_OF_64};
use crate::{Device, calendar};

pub(crate) static KIND: Kind = Kind {
    identity: Identity {
        vendor: 0x0483,
        product: 0x5750,
        names: ["CONTEC MEDICAL SYSTEMS", "CONTEC08A"],
        serial: None,
        packet_bytes: 64,
        has_endpoint_out: true,
    },
    report_bytes: 64,
    feature_bytes: 0,
    report_descriptor: REPORTS_OF_64,
};

struct Contec;

pub(crate) fn device() -> impl Device {
    Cuff::new(Contec)
}

fn say(start: &[u8], out: &mut Vec<u8>) {
    let end = out.len() + 64;
    out.extend(start);
    out.resize(end, 0);
}

/// Fourteen bytes of which 0 and 8 collect the top bits of the seven behind them.
fn record(record: &Record) -> [u8; 14] {
    let [year, month, day, hour, minute, _] = calendar::date(record.at.unwrap_or(946_684_800));
    let [high, low] = record.systolic.to_be_bytes();
    let [diastolic, pulse, mean] = [record.diastolic, record.pulse, record.mean].map(|figure| figure as u8);
    let [year, month, day, hour, minute] = [year - 2000, month, day, hour, minute].map(|part| part as u8);
    let numbers = [high, low, diastolic, pulse, mean, year, month, 0, day, hour, minute, 0, 0x11];
    let mut bytes = [0x80; 14];
    for (at, number) in numbers.into_iter().enumerate().filter(|(at, _)| *at != 7) {
        bytes[at + 1] |= number;
        bytes[(at + 1) / 8 * 8] |= number >> 7 << ((at + 1) % 8 - 1);
    }
    bytes
}

impl Speech for Contec {
    fn plugged(&mut self) {}

    fn hear(&mut self, report: &[u8], arm: &mut Arm, out: &mut Vec<u8>) {
        match report {
            [0x40, 0x8F, 0xFF, 0xFE, 0xFD, 0xFC, ..] => say(&[0x30, 0x81], out),
            [0x43, 0x41, 0x01, user @ 4..=6, 0x02, 0x00, ..] => {
                if arm.refusals > 0 {
                    arm.refusals -= 1;
                    return say(&[0x4A, 0x43, 0x00], out);
                }
                say(&[0x4A, 0x43, 0x01], out);
                let records = arm.of_user(user - 4);
                let mut head = [0; 14];
                head[..6].copy_from_slice(&[0x46, 0x41, 0x80, 0x80, 0x80 | records.len() as u8, 0x82]);
                head[13] = user - 3;
                say(&head, out);
                // Oldest first.
                records.iter().rev().for_each(|kept| say(&record(kept), out));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_record_is_that_of_the_specification() {
        let at = Some(calendar::seconds([2024, 3, 9, 8, 41, 0]));
        let kept = Record { at, systolic: 121, diastolic: 78, mean: 92, pulse: 64, user: 0 };
        let bytes = [0x80, 0x80, 0xF9, 0xCE, 0xC0, 0xDC, 0x98, 0x83, 0x80, 0x89, 0x88, 0xA9, 0x80, 0x91];
        assert_eq!(record(&kept), bytes);
        assert_eq!(record(&Record { systolic: 205, ..kept })[..3], [0x82, 0x80, 0xCD]);
    }
}
