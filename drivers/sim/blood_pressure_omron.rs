//! Omron HEM-790IT: two banks, a feature report that chooses what it talks of, a block that clears it.
//!
//! What it answers to the first report of that block is not known: an empty report here.

use crate::memory_cuff::{Arm, Cuff, Record, Speech, counted, meant};
use crate::usb::hid::{Identity, Kind, REPORTS_OF_8};
use crate::{Device, calendar};

pub(crate) static KIND: Kind = Kind {
    identity: Identity {
        vendor: 0x0590,
        product: 0x0028,
        names: ["OMRON HEALTHCARE CO., LTD.", "Omron HEM-790IT"],
        serial: None,
        packet_bytes: 8,
        has_endpoint_out: true,
    },
    report_bytes: 8,
    feature_bytes: 2,
    report_descriptor: REPORTS_OF_8,
};

const READINGS: [u8; 2] = [0x74, 0xBC];

#[derive(Default)]
struct Omron {
    /// It talks of its readings.
    chosen: bool,
    /// Zeros of the clearing block that have come; past them it takes commands.
    zeros: usize,
    command: Vec<u8>,
    left_over: [u8; 7],
}

/// Zeros in the clearing block: four reports of 7 and one of 2.
const BLOCK: usize = 30;

pub(crate) fn device() -> impl Device {
    Cuff::new(Omron::default())
}

impl Omron {
    fn answer(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let mut answer = b"OK\0".to_vec();
        answer.extend(data);
        answer.push(data.iter().fold(0, |sum, byte| sum ^ byte));
        counted(&answer, &mut self.left_over, out);
    }

    fn obey(&mut self, command: &[u8], arm: &mut Arm, out: &mut Vec<u8>) {
        if let [b'E', b'N', b'D', ..] = command {
            counted(b"OK", &mut self.left_over, out);
            counted(b"OFF\r\n", &mut self.left_over, out);
            *self = Omron::default();
            return;
        }
        let [_, _, name, 0, bank, 0, index, sum] = *command else { return };
        if arm.refusals > 0 || sum != bank ^ index {
            arm.refusals = arm.refusals.saturating_sub(1);
            return counted(b"NO", &mut self.left_over, out);
        }
        let records = arm.of_user(bank);
        match name {
            b'C' => self.answer(&[0, 0, 0, records.len() as u8], out),
            _ => match records.get(usize::from(index)) {
                Some(record) => self.answer(&data(record), out),
                None => counted(b"NO", &mut self.left_over, out),
            },
        }
    }
}

fn data(record: &Record) -> [u8; 13] {
    // One whose clock was not set begins at a date of its own.
    let [year, month, day, hour, minute, second] = calendar::date(record.at.unwrap_or(1_167_782_811));
    let date = [year - 2000, month, day, hour, minute, second].map(|part| part as u8);
    let figures = [record.systolic, record.diastolic, record.pulse].map(|figure| figure as u8);
    let mut data = [0; 13];
    data[..6].copy_from_slice(&date);
    data[8..11].copy_from_slice(&figures);
    data
}

impl Speech for Omron {
    fn plugged(&mut self) {
        *self = Omron::default();
    }

    fn hear_feature(&mut self, report: &[u8], _arm: &mut Arm, _out: &mut Vec<u8>) {
        *self = Omron { chosen: report == READINGS, left_over: self.left_over, ..Omron::default() };
    }

    fn hear(&mut self, report: &[u8], arm: &mut Arm, out: &mut Vec<u8>) {
        let meant = meant(report);
        if self.zeros < BLOCK {
            let is_first = self.zeros == 0;
            self.zeros += meant.iter().take_while(|byte| **byte == 0).count();
            if is_first {
                out.extend([0; 8]);
            } else if self.zeros >= BLOCK && (!self.chosen || arm.refusals > 0) {
                arm.refusals = arm.refusals.saturating_sub(1);
                self.zeros = 0;
                out.extend([8, 0x60, 0, 0, 0, 0, 0, 0]);
            } else if self.zeros >= BLOCK {
                counted(b"OK", &mut self.left_over, out);
            }
            return;
        }
        self.command.extend(meant);
        let length = if self.command.starts_with(b"END") { 6 } else { 8 };
        if self.command.len() >= length {
            let command = std::mem::take(&mut self.command);
            self.obey(&command, arm, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_record_is_that_of_the_specification() {
        let at = Some(calendar::seconds([2026, 3, 9, 8, 41, 17]));
        let record = Record { at, systolic: 122, diastolic: 79, mean: 93, pulse: 68, user: 0 };
        let mut out = Vec::new();
        Omron::default().answer(&data(&record), &mut out);
        let said: Vec<u8> = out.chunks(8).flat_map(meant).copied().collect();
        assert_eq!(said, b"OK\0\x1A\x03\x09\x08\x29\x11\0\0\x7A\x4F\x44\0\0\x51");
    }
}
