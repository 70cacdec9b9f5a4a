//! An Accu-Chek Guide in its cable: a class of its maker's own on USB, a configuration without units, a store.

use crate::personal_health::{Agent, Numeric, Specialisation};
use crate::usb::phdc;

pub(crate) static KIND: phdc::Kind = phdc::Kind {
    vendor: 0x173A,
    product: 0x21D5,
    names: ["Roche", "Accu-Chek Guide"],
    serial: "92500000042",
    class: 0xFF,
    specialisation: 0x1011,
};

pub(crate) fn agent() -> Agent {
    let names = &["glucose"];
    // Glucose of plasma, of a sample whose place it does not ask.
    let numeric = Numeric { handle: 1, code: 0x7270, unit: 0, parts: &[], names, is_long: false };
    let mut agent = Agent::new(Specialisation {
        profile: 0x1011,
        standard: 0x06A4,
        is_dated: true,
        is_followed: false,
        numerics: vec![numeric],
        values: vec![("glucose", "104")],
    });
    agent.keeps_a_store();
    agent
}
