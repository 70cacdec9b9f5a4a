//! An oximeter of IEEE 11073-10404: figures once a second as long as a finger is in.

use crate::personal_health::{Agent, Numeric, Specialisation};
use crate::usb::phdc;

/// On USB: numbers of pid.codes, which it gives to tests.
pub(crate) static KIND: phdc::Kind = phdc::Kind {
    vendor: 0x1209,
    product: 0x0001,
    names: ["Simulated", "Oximeter agent"],
    serial: "PHD1",
    class: 0x0F,
    specialisation: 0x1004,
};

pub(crate) fn agent() -> Agent {
    let numeric = |handle, code, unit, names| Numeric { handle, code, unit, parts: &[], names, is_long: false };
    Agent::new(Specialisation {
        profile: 0x1004,
        standard: 0x0190,
        is_dated: false,
        is_followed: true,
        numerics: vec![numeric(1, 0x4BB8, 0x0220, &["spo2"]), numeric(10, 0x481A, 0x0AA0, &["pulse"])],
        values: vec![("spo2", "97"), ("pulse", "72")],
    })
}
