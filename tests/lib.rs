//! What drives a whole cabin from outside, as people do: its window by accessible label, the physician's
//! page in a real browser, and every program of a site as a real process. Tests and benches stand on it.

#[path = "harness/card_reader.rs"]
pub mod card_reader;
#[path = "harness/memory.rs"]
pub mod memory;
#[path = "harness/physician.rs"]
pub mod physician;
#[path = "harness/printer.rs"]
pub mod printer;
#[path = "harness/process.rs"]
pub mod process;
#[path = "harness/relay.rs"]
pub mod relay;
#[path = "harness/screen.rs"]
pub mod screen;
#[path = "harness/site.rs"]
pub mod site;
#[path = "harness/x11.rs"]
pub mod x11;
