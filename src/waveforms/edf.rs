//! EDF+ ("European data format 'plus'", Kemp and Olivan, Clinical Neurophysiology 114, 2003; edfplus.info).
//!
//! One record a second, one signal a lead, in microvolts. The header has eight characters for the worth of a step,
//! which are seldom enough: its exact worth stands in the annotations of the first record, with what was taken off. A
//! sample that is missing is the smallest digital value, which no sample is ever written as, and an annotation names
//! its lead, its time and its length; so does the end, when the last second is not full.

use std::fmt::Write as _;

use consult::ecg::Ecg;

use crate::leads::{Channel, recorded};
use crate::scale::{MISSING, Scaled};
use crate::{About, Unfit, local, microvolts};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// Characters of a header's identification of patient or recording.
const IDENTIFICATION: usize = 80;
/// Most characters of what recorded it.
const EQUIPMENT_MAX: usize = 36;
/// A field more of the recording's identification, for what no medical device recorded (EDF+ 2.1.3.3 lets others follow).
const NOT_FOR_DIAGNOSIS: &str = " not_for_diagnosis";
/// The header's digital limits.
const DIGITAL: [i64; 2] = [i16::MIN as i64, i16::MAX as i64];
/// The header's own worth of a step may be off by one part in that many.
const HEADER_EXACT: i128 = 100_000;

/// A lead, as it is written.
struct Signal {
    name: &'static str,
    scaled: Scaled,
    /// Worth of a digital step, 10⁻¹⁵ V.
    femtovolts: i128,
    limits: [String; 2],
}

impl Signal {
    fn of(channel: &Channel) -> Result<Self, Unfit> {
        let scaled = Scaled::of(&channel.samples);
        // Of a lead that was recorded, never half a step.
        let femtovolts = i128::from(channel.half_femtovolts_per_step / 2) * i128::from(scaled.divider);
        let [low, high] = DIGITAL.map(|digital| eight(i128::from(digital) * femtovolts).ok_or(Unfit::Step));
        Ok(Self { name: channel.lead.name(), scaled, femtovolts, limits: [low?, high?] })
    }

    /// Exactly what a digital value is worth, for a person and a program.
    fn worth(&self) -> String {
        let zero = i128::from(self.scaled.offset) * (self.femtovolts / i128::from(self.scaled.divider));
        format!("{}: 1 = {} uV, 0 = {} uV", self.name, microvolts(2 * self.femtovolts), microvolts(2 * zero))
    }
}

/// The recording as an EDF+ file.
///
/// # Errors
/// A date before 1985, or a step that its header cannot hold.
pub fn edf(ecg: &Ecg, about: &About<'_>) -> Result<Vec<u8>, Unfit> {
    let signals = recorded(ecg).iter().map(Signal::of).collect::<Result<Vec<_>, _>>()?;
    let rate = usize::from(ecg.rate_hz());
    let records = ecg.rows().div_ceil(rate);
    let began = local(about.began, about.utc_offset_minutes)?;
    let clock = Clock { began_ms: usize::from(began.millisecond()), rate };
    let annotations: Vec<String> =
        (0..records).map(|record| annotations(&signals, &clock, record, ecg.rows())).collect();
    let bytes = annotations.iter().map(String::len).max().unwrap_or(0).next_multiple_of(2);

    let mut file = header(&signals, about, began, records, rate, bytes);
    for (record, text) in annotations.iter().enumerate() {
        for signal in &signals {
            let second = signal.scaled.digital.iter().skip(record * rate).copied();
            let padded = second.chain(std::iter::repeat(MISSING)).take(rate);
            file.extend(padded.flat_map(i16::to_le_bytes));
        }
        file.extend(text.bytes().chain(std::iter::repeat(0)).take(bytes));
    }
    Ok(file)
}

/// When a row was taken, as annotations say it.
struct Clock {
    /// The header's time has no fraction: that much later the first row was taken.
    began_ms: usize,
    rate: usize,
}

impl Clock {
    /// Seconds after the header's time, to the microsecond.
    fn of_row(&self, row: usize) -> String {
        seconds(self.began_ms * 1_000 + row * 1_000_000 / self.rate)
    }

    fn duration(&self, rows: usize) -> String {
        seconds(rows * 1_000_000 / self.rate)
    }
}

fn seconds(microseconds: usize) -> String {
    let text = format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The lists of a record: its own time, what a step is worth (in the first), what is missing in it.
fn annotations(signals: &[Signal], clock: &Clock, record: usize, rows: usize) -> String {
    let first = record * clock.rate;
    let mut text = format!("+{}\x14\x14\0", clock.of_row(first));
    let mut note = |at: usize, rows: Option<usize>, words: &str| {
        let duration = rows.map_or(String::new(), |rows| format!("\x15{}", clock.duration(rows)));
        // Writing to a String cannot fail.
        let _ = write!(text, "+{}{duration}\x14{words}\x14\0", clock.of_row(at));
    };
    for signal in signals {
        if record == 0 {
            note(0, None, &signal.worth());
        }
        let second = signal.scaled.digital.iter().skip(first).take(clock.rate);
        let missing: Vec<usize> = second.enumerate().filter(|(_, s)| **s == MISSING).map(|(at, _)| at).collect();
        if let [from, .., to] | [from @ to] = missing[..] {
            note(first + from, Some(to + 1 - from), &format!("{} missing: {} samples", signal.name, missing.len()));
        }
    }
    if (first..first + clock.rate).contains(&rows) {
        note(rows, Some(first + clock.rate - rows), "end of the recording");
    }
    text
}

fn header(
    signals: &[Signal],
    about: &About<'_>,
    began: time::PrimitiveDateTime,
    records: usize,
    rate: usize,
    annotation_bytes: usize,
) -> Vec<u8> {
    let count = signals.len() + 1;
    let mut header = String::new();
    let mut field = |text: &str, width: usize| {
        let text: String = text.chars().take(width).collect();
        let _ = write!(header, "{text:<width$}");
    };
    let (year, month, day) = (began.year(), began.month() as usize, began.day());
    let mut equipment: String = identifier(&about.device.model).chars().take(EQUIPMENT_MAX).collect();
    if !about.is_medical {
        equipment.push_str(NOT_FOR_DIAGNOSIS);
    }
    field("0", 8);
    field(&patient(about), IDENTIFICATION);
    field(&format!("Startdate {day:02}-{}-{year:04} X X {equipment}", MONTHS[month - 1]), IDENTIFICATION);
    field(&format!("{day:02}.{month:02}.{:02}", year % 100), 8);
    field(&format!("{:02}.{:02}.{:02}", began.hour(), began.minute(), began.second()), 8);
    field(&(256 * (count + 1)).to_string(), 8);
    field("EDF+C", 44);
    field(&records.to_string(), 8);
    field("1", 8);
    field(&count.to_string(), 4);
    let mut of_each = |of_signal: &dyn Fn(&Signal) -> String, of_annotations: &str, width: usize| {
        signals.iter().for_each(|signal| field(&of_signal(signal), width));
        field(of_annotations, width);
    };
    of_each(&|signal| format!("ECG {}", signal.name), "EDF Annotations", 16);
    of_each(&|_| "electrodes".to_owned(), "", 80);
    of_each(&|_| "uV".to_owned(), "", 8);
    of_each(&|signal| signal.limits[0].clone(), "-1", 8);
    of_each(&|signal| signal.limits[1].clone(), "1", 8);
    of_each(&|_| DIGITAL[0].to_string(), "-32768", 8);
    of_each(&|_| DIGITAL[1].to_string(), "32767", 8);
    of_each(&|_| String::new(), "", 80);
    of_each(&|_| rate.to_string(), &(annotation_bytes / 2).to_string(), 8);
    of_each(&|_| String::new(), "", 32);
    header.into_bytes()
}

/// Code, sex, birth date and name. A name is never cut: one that has no room leaves the code its place, or is not
/// written.
fn patient(about: &About<'_>) -> String {
    let patient = &about.patient;
    let sex = patient.sex.unwrap_or('X');
    let (year, month, day) = patient.born;
    let month = MONTHS.get(usize::from(month).saturating_sub(1)).copied();
    let born = month.map_or("X".to_owned(), |month| format!("{day:02}-{month}-{year:04}"));
    let (code, name) = (patient.id.simple().to_string(), identifier(&format!("{} {}", patient.family, patient.given)));
    let fields = |code: &str, name: &str| format!("{code} {sex} {born} {name}");
    [fields(&code, &name), fields("X", &name), fields(&code, "X")]
        .into_iter()
        .find(|text| text.len() <= IDENTIFICATION)
        .unwrap_or_else(|| fields("X", "X"))
}

/// A part of an identification: printable ASCII without blanks, or `X`.
fn identifier(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let text: String = text.trim().chars().map(allowed).collect();
    if text.is_empty() { "X".to_owned() } else { text }
}

/// Microvolts in eight characters, as exactly as they hold; `None` when that is not exactly enough.
fn eight(femtovolts: i128) -> Option<String> {
    (0..=6u32).rev().find_map(|decimals| {
        let unit = 10i128.pow(9 - decimals);
        let rounded = (femtovolts.abs() + unit / 2) / unit * unit;
        let text = microvolts(2 * rounded * femtovolts.signum());
        let exact = (rounded - femtovolts.abs()).abs() * HEADER_EXACT <= femtovolts.abs();
        (text.len() <= 8 && exact).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_characters_are_filled_as_far_as_they_help() {
        for (femtovolts, text) in [
            (-163_840_000_000_000, Some("-163840")),
            (44_703_489 * 32_767, Some("1464.799")),
            (-44_703_489 * 4 * 32_768, Some("-5859.38")),
            (-10_000_000_000_000_000, None),
            (40, None),
        ] {
            assert_eq!(eight(femtovolts).as_deref(), text, "{femtovolts}");
        }
    }
}
