//! How the line is, and what went wrong: the cabin tells the page, on `record`.

use serde::{Deserialize, Serialize};

use crate::Code;

/// How the line is at the cabin's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// There and back, ms, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    /// Picture and sound sent by the cabin, bits a second.
    pub sent_bits: u32,
    /// Picture and sound received by the cabin, bits a second.
    pub received_bits: u32,
    /// What the cabin's picture may take now, bits a second.
    pub picture_bits: u32,
    /// Lost on the way to the page, thousandths.
    pub lost_thousandths: u32,
}

/// A technical incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// `network_lost call_interrupted device_lost without_device cabin_restarted without_picture broken_off`.
    pub kind: Code,
    /// Which device, by its measurement or class, when it is of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Code>,
    /// When it began, ms since 1970, cabin's clock.
    pub started_at: i64,
    /// When it ended; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
}
