//! One end of a call as the bench sees it: it takes and gives the messages of signalling, and reports.

use serde_json::Value;
use tokio::sync::mpsc;

/// Messages that wait at most; an end that takes none any more has stopped.
pub const MESSAGES_MAX: usize = 256;

/// The line to one end. Dropping it ends the browser or the call.
pub struct End {
    /// `{"do": "offer"}`, `{"do": "report"}`, `{"do": "fresh"}`, or what the other end said.
    pub to: mpsc::Sender<Value>,
    /// `{"offer"}`, `{"answer"}`, `{"candidate"}`, `{"dial"}`: for the other end; `{"report"}`, `{"error"}`.
    pub from: mpsc::Receiver<Value>,
}

/// What is seen and heard at one end, when it was looked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Pictures shown since the start.
    pub frames: u64,
    /// Time in which the other end's tone was heard since the start, in milliseconds.
    pub loud_ms: u64,
    /// The longest time without that tone since `fresh`, in milliseconds.
    pub silence_ms: u64,
}

impl Look {
    /// What a report says.
    pub fn of(report: &Value) -> Look {
        let number = |what: &str| report[what].as_u64().unwrap_or_default();
        Look { frames: number("frames"), loud_ms: number("loud_ms"), silence_ms: number("silence_ms") }
    }
}
