//! A cuff of IEEE 11073-10407: one pressure and one pulse each time somebody presses its button.

use crate::personal_health::{Agent, Numeric, Specialisation};
use crate::usb::phdc;

/// On USB: numbers of pid.codes, which it gives to tests.
pub(crate) static KIND: phdc::Kind = phdc::Kind {
    vendor: 0x1209,
    product: 0x0002,
    names: ["Simulated", "Cuff agent"],
    serial: "PHD2",
    class: 0x0F,
    specialisation: 0x1007,
};

pub(crate) fn agent() -> Agent {
    let pressure = Numeric {
        handle: 1,
        code: 0x4A04,
        unit: 0x0F20,
        parts: &[0x4A05, 0x4A06, 0x4A07],
        names: &["systolic", "diastolic", "mean"],
        is_long: false,
    };
    let pulse = Numeric { handle: 2, code: 0x482A, unit: 0x0AA0, parts: &[], names: &["pulse"], is_long: false };
    Agent::new(Specialisation {
        profile: 0x1007,
        standard: 0x02BC,
        is_dated: true,
        is_followed: false,
        numerics: vec![pressure, pulse],
        values: vec![("systolic", "122"), ("diastolic", "79"), ("mean", "93"), ("pulse", "68")],
    })
}
