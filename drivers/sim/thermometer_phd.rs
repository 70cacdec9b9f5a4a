//! A thermometer of IEEE 11073-10408.

use crate::personal_health::{Agent, Numeric, Specialisation};
use crate::usb::phdc;

/// On USB: numbers of pid.codes, which it gives to tests.
pub(crate) static KIND: phdc::Kind = phdc::Kind {
    vendor: 0x1209,
    product: 0x0003,
    names: ["Simulated", "Thermometer agent"],
    serial: "PHD3",
    class: 0x0F,
    specialisation: 0x1008,
};

pub(crate) fn agent() -> Agent {
    let names = &["temperature"];
    Agent::new(Specialisation {
        profile: 0x1008,
        standard: 0x0320,
        is_dated: true,
        is_followed: false,
        numerics: vec![Numeric { handle: 1, code: 0x4B5C, unit: 0x17A0, parts: &[], names, is_long: true }],
        values: vec![("temperature", "36.8")],
    })
}
