//! Microlife BP B3 Comfort PC: frames that begin with `M`.

use crate::memory_cuff::{Arm, Cuff, Record, Speech, counted, meant};
use crate::usb::hid::{Identity, Kind, REPORTS_OF_8};
use crate::{Device, calendar, sum8};

pub(crate) static KIND: Kind = Kind {
    identity: Identity {
        vendor: 0x04D9,
        product: 0xB554,
        names: ["Microlife", "BP B3 Comfort PC"],
        serial: Some("B3-000417"),
        packet_bytes: 8,
        // Not known of the real one; without one, control requests are tried, too.
        has_endpoint_out: false,
    },
    report_bytes: 8,
    feature_bytes: 0,
    report_descriptor: REPORTS_OF_8,
};

#[derive(Default)]
struct Microlife {
    input: Vec<u8>,
    left_over: [u8; 7],
}

pub(crate) fn device() -> impl Device {
    Cuff::new(Microlife::default())
}

fn frame(says: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x4D, 0x3A];
    frame.extend(((says.len() + 1) as u16).to_be_bytes());
    frame.extend(says);
    frame.push(sum8(&frame));
    frame
}

fn records(arm: &Arm) -> Vec<u8> {
    let mut says = vec![0; 38];
    says[3] = arm.records.len() as u8;
    says[4] = 1;
    for Record { at, systolic, diastolic, pulse, user, .. } in &arm.records {
        let [year, month, day, hour, minute, _] = at.map_or([2000, 0, 0, 0, 0, 0], calendar::date);
        says.extend([systolic, diastolic, pulse].map(|figure| *figure as u8));
        says.extend([year - 2000, month, day, hour, minute].map(|part| part as u8));
        // The cuff sat well, but for its second user.
        says.extend([if *user == 0 { 0x80 } else { 0x40 }, 0]);
    }
    says
}

impl Speech for Microlife {
    fn plugged(&mut self) {
        *self = Microlife::default();
    }

    fn hear(&mut self, report: &[u8], arm: &mut Arm, out: &mut Vec<u8>) {
        self.input.extend(meant(report));
        while let Some(at) = self.input.iter().position(|byte| *byte == 0x4D) {
            self.input.drain(..at);
            let [_, _, high, low, ..] = self.input[..] else { return };
            let length = 4 + usize::from(u16::from_be_bytes([high, low]));
            let Some(whole) = self.input.get(..length) else { return };
            let (says, sum) = (whole[4..length - 1].to_vec(), whole[length - 1]);
            let is_right = whole[1] == 0xFF && sum8(&whole[..length - 1]) == sum;
            self.input.drain(..length);
            if !is_right {
                continue;
            }
            let mut answer = match says[..] {
                [0, 0, 0, 0, 0, 0, 0, 0xFD] => frame(&records(arm)),
                [0x0D, year, month, day, hour, minute, second] => {
                    arm.set_clock([
                        2000 + i64::from(year),
                        month.into(),
                        day.into(),
                        hour.into(),
                        minute.into(),
                        second.into(),
                    ]);
                    frame(&[0x81])
                }
                [0x04] => frame(&[0x81]),
                _ => continue,
            };
            if arm.refusals > 0 {
                arm.refusals -= 1;
                answer[5] ^= 1;
            }
            counted(&answer, &mut self.left_over, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_frame_is_that_of_the_specification() {
        let at = Some(calendar::seconds([2026, 3, 9, 8, 41, 0]));
        let record = Record { at, systolic: 122, diastolic: 79, mean: 93, pulse: 68, user: 0 };
        let mut cuff = Cuff::new(Microlife::default());
        cuff.arm().records = vec![record];
        let text = frame(&records(cuff.arm()));
        assert_eq!((text.len(), &text[..9]), (53, &[0x4D, 0x3A, 0, 0x31, 0, 0, 0, 1, 1][..]));
        assert_eq!(text[42..], [0x7A, 0x4F, 0x44, 0x1A, 3, 9, 8, 0x29, 0x80, 0, 0x9E]);
        assert_eq!(frame(&[0x81]), [0x4D, 0x3A, 0, 2, 0x81, 0x0A]);
    }
}
