//! A thermometer of IEEE 11073-10408.

use crate::personal_health::{Agent, Numeric, Specialisation};

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
