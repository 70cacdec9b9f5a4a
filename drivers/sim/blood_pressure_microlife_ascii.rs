//! Microlife BP A6 PC: `12 16 18` and a command; `06` and text in hexadecimal digits.

use crate::memory_cuff::{Arm, Cuff, Record, Speech, counted, meant};
use crate::usb::hid::{Identity, Kind, REPORTS_OF_8};
use crate::{Device, calendar, sum8};

pub(crate) static KIND: Kind = Kind {
    identity: Identity {
        vendor: 0x04B4,
        product: 0x5500,
        names: ["Cypress Semiconductor", "Microlife BPM"],
        serial: None,
        packet_bytes: 8,
        // The kernel's driver of this chip (cypress_m8) wants one.
        has_endpoint_out: true,
    },
    report_bytes: 8,
    feature_bytes: 2,
    report_descriptor: REPORTS_OF_8,
};

#[derive(Default)]
struct Microlife {
    input: Vec<u8>,
    /// Digits follow that set the clock.
    setting: bool,
    left_over: [u8; 7],
}

pub(crate) fn device() -> impl Device {
    Cuff::new(Microlife::default())
}

fn records(arm: &Arm) -> String {
    let mut text = format!("{:04X}0000{}", arm.records.len(), "0".repeat(24));
    for Record { at, systolic, diastolic, pulse, .. } in &arm.records {
        let [year, month, day, hour, minute, _] = at.map_or([2000, 0, 0, 0, 0, 0], calendar::date);
        let word = u32::from(*systolic) | u32::from(*diastolic) << 10 | u32::from(*pulse) << 20;
        text += &format!("{:02}{month:02}{day:02}{hour:02}{minute:02}000000{word:08X}00000000", year - 2000);
    }
    text
}

fn with_sum(text: &str) -> Vec<u8> {
    format!("\x06{text}{:02X}", sum8(text.as_bytes())).into_bytes()
}

/// The digits that set its clock, and their sum.
fn clock(digits: &[u8]) -> Option<[i64; 6]> {
    let text = std::str::from_utf8(digits).ok()?;
    let (date, sum) = (text.get(..80)?, text.get(80..82)?);
    if u8::from_str_radix(sum, 16) != Ok(sum8(date.as_bytes())) {
        return None;
    }
    let mut pairs = (0..7).map(|at| date[2 * at..2 * at + 2].parse::<i64>().ok());
    let mut next = || pairs.next().flatten();
    let (month, day, century, year) = (next()?, next()?, next()?, next()?);
    Some([century * 100 + year, month, day, next()?, next()?, next()?])
}

impl Speech for Microlife {
    fn plugged(&mut self) {
        *self = Microlife::default();
    }

    fn hear(&mut self, report: &[u8], arm: &mut Arm, out: &mut Vec<u8>) {
        self.input.extend(meant(report));
        if self.setting {
            if self.input.len() >= 82 {
                if let Some(civil) = clock(&self.input) {
                    arm.set_clock(civil);
                }
                (self.input, self.setting) = (Vec::new(), false);
            }
            return;
        }
        let Some(at) = self.input.windows(3).position(|bytes| bytes == [0x12, 0x16, 0x18]) else { return };
        let Some(&command) = self.input.get(at + 3) else { return };
        self.input.clear();
        let answer = match command {
            0x22 => with_sum(&records(arm)),
            0x26 => {
                let [year, month, day, hour, minute, second] = calendar::date(arm.clock());
                with_sum(&format!("{month:02}{day:02}{year:04}{hour:02}{minute:02}{second:02}"))
            }
            0x27 => {
                self.setting = true;
                vec![0x06]
            }
            _ => return,
        };
        let damaged = arm.refusals > 0;
        arm.refusals = arm.refusals.saturating_sub(1);
        let end = answer.len() - usize::from(damaged);
        counted(&answer[..end], &mut self.left_over, out);
        if damaged {
            counted(b"x", &mut self.left_over, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_answer_is_that_of_the_specification() {
        let at = Some(calendar::seconds([2026, 3, 9, 8, 41, 0]));
        let record = Record { at, systolic: 122, diastolic: 79, mean: 93, pulse: 68, user: 0 };
        let mut cuff = Cuff::new(Microlife::default());
        cuff.arm().records = vec![record];
        let text = format!("00010000{}260309084100000004413C7A00000000", "0".repeat(24));
        assert_eq!(records(cuff.arm()), text);
        assert!(with_sum(&text).ends_with(b"59"));
    }
}
