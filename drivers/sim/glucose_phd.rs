//! A glucose meter of IEEE 11073-10417, in mg/dL; `value unit=4722` makes it one of mmol/L.

use crate::personal_health::{Agent, Numeric, Specialisation};
use crate::usb::phdc;

/// On USB: numbers of pid.codes, which it gives to tests.
pub(crate) static KIND: phdc::Kind = phdc::Kind {
    vendor: 0x1209,
    product: 0x0005,
    names: ["Simulated", "Glucose meter agent"],
    serial: "PHD5",
    class: 0x0F,
    specialisation: 0x1011,
};

pub(crate) fn agent() -> Agent {
    let names = &["glucose"];
    Agent::new(Specialisation {
        profile: 0x1011,
        standard: 0x06A4,
        is_dated: true,
        is_followed: false,
        numerics: vec![Numeric { handle: 1, code: 0x71B8, unit: 0x0852, parts: &[], names, is_long: false }],
        values: vec![("glucose", "104")],
    })
}
