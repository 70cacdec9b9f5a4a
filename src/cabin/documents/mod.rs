//! What the patient leaves with: the summary as a PDF, printed, or as codes to scan.

pub mod code;
pub mod print;
pub mod summary_pdf;
