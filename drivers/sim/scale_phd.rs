//! A scale of IEEE 11073-10415, with a height rod.

use crate::personal_health::{Agent, Numeric, Specialisation};
use crate::usb::phdc;

/// On USB: numbers of pid.codes, which it gives to tests.
pub(crate) static KIND: phdc::Kind = phdc::Kind {
    vendor: 0x1209,
    product: 0x0004,
    names: ["Simulated", "Scale agent"],
    serial: "PHD4",
    class: 0x0F,
    specialisation: 0x100F,
};

pub(crate) fn agent() -> Agent {
    let numeric = |handle, code, unit, names| Numeric { handle, code, unit, parts: &[], names, is_long: true };
    Agent::new(Specialisation {
        profile: 0x100F,
        standard: 0x05DC,
        is_dated: true,
        is_followed: false,
        numerics: vec![
            numeric(1, 0xE140, 0x06C3, &["weight"]),
            numeric(2, 0xE144, 0x0511, &["height"]),
            numeric(3, 0xE150, 0x07A0, &["bmi"]),
        ],
        values: vec![("weight", "70.3"), ("height", "172.5"), ("bmi", "23.6")],
    })
}
