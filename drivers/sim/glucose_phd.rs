//! A glucose meter of IEEE 11073-10417, in mg/dL; `value unit=4722` makes it one of mmol/L.

use crate::personal_health::{Agent, Numeric, Specialisation};

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
