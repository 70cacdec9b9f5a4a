//! An electrocardiogram as files that others read: EDF+ (research) and DICOM (hospitals).
//!
//! Pure: ids, times and what is known of the patient come in as arguments, bytes come out, and the same arguments
//! always give the same bytes. Both formats hold 16-bit samples. Where a recording fits, every sample is written as it
//! is; where it does not (a 24-bit converter), it is rounded to a step that the file declares, and by no more than half
//! of it. A sample that is missing is [`scale::MISSING`] in the file and said to be missing; nothing is filled in.
#![forbid(unsafe_code)]

mod dicom;
mod edf;
mod elements;
mod leads;
mod scale;

#[cfg(test)]
mod tests;

use std::fmt;

use consult::vitals::{DeviceIdentity, Moment};
use uuid::Uuid;

pub use dicom::{Kind, dicom};
pub use edf::edf;

/// Who it is of, as the record has it. Never printed.
#[derive(Clone, Copy)]
pub struct Patient<'a> {
    /// Id of the patient in this record.
    pub id: Uuid,
    /// Family name, capital letters without accents.
    pub family: &'a str,
    /// Given names, likewise.
    pub given: &'a str,
    /// `F`, `M`, or `None` where nobody knows.
    pub sex: Option<char>,
    /// Year, month, day of the official birth date.
    pub born: (u16, u8, u8),
}

/// Ids that never change, so that sending twice stores once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Of the consultation.
    pub study: Uuid,
    /// Of what one device recorded in it.
    pub series: Uuid,
    /// Of this recording.
    pub instance: Uuid,
}

/// What the samples do not say.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Who it is of.
    pub patient: Patient<'a>,
    /// When its first sample was taken.
    pub began: Moment,
    /// Local time less UTC, minutes.
    pub utc_offset_minutes: i16,
    /// What recorded it.
    pub device: &'a DeviceIdentity,
    /// Who makes it, where that is known.
    pub maker: Option<&'a str>,
    /// False of a research board: the file then says that it is not for diagnosis.
    pub is_medical: bool,
    /// Where.
    pub institution: &'a str,
    /// Version of this software.
    pub software_version: &'a str,
    /// Its names.
    pub ids: Ids,
}

impl fmt::Debug for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "About([patient], {:?})", self.ids)
    }
}

/// Why a recording is no file of that format. Its samples are in the record all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A moment that no calendar has.
    Time,
    /// No DICOM object takes that rate.
    Rate {
        /// Samples a second.
        rate_hz: u16,
    },
    /// The step cannot be written in the digits that the format has.
    Step,
    /// The file could not be written.
    Format,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Time => write!(f, "the recording has no date"),
            Unfit::Rate { rate_hz } => write!(f, "{rate_hz} samples a second fit no DICOM electrocardiogram"),
            Unfit::Step => write!(f, "the worth of a sample cannot be written in this format"),
            Unfit::Format => write!(f, "the file could not be written"),
        }
    }
}

impl std::error::Error for Unfit {}

/// Local date and time of a moment.
fn local(at: Moment, utc_offset_minutes: i16) -> Result<time::PrimitiveDateTime, Unfit> {
    let nanoseconds = i128::from(at.0) * 1_000_000 + i128::from(utc_offset_minutes) * 60_000_000_000;
    let local = time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(|_| Unfit::Time)?;
    // EDF+ counts years from 1985 to 2084 in two digits.
    if !(1985..=2084).contains(&local.year()) {
        return Err(Unfit::Time);
    }
    Ok(time::PrimitiveDateTime::new(local.date(), local.time()))
}

/// A whole number of halves of 10⁻¹⁵ V as microvolts, digit for digit.
fn microvolts(half_femtovolts: i128) -> String {
    const SCALE: u128 = 10_000_000_000;
    let tenths = half_femtovolts.unsigned_abs() * 5;
    let sign = if half_femtovolts < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:010}", tenths / SCALE, tenths % SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
