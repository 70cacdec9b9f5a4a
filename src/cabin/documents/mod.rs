//! What the patient leaves with: the sheet and the physician's documents, printed, or by a code to scan.
//!
//! [`received`] refuses what could not be printed, when it arrives; [`Sheet::of`] gathers it from the dossier, [`Sheet::pdf`] and [`Sheet::codes`] draw it, [`print::Printer`] prints,
//! [`papers`] hands everything to a telephone. [`letter`] is a specialist's answer, for the usual doctor.

pub mod code;
pub mod letter;
pub mod papers;
pub mod print;
pub mod received;
pub mod summary_pdf;
#[cfg(test)]
pub(crate) mod tests;
mod words;

use std::fmt;

use consult::dossier::{Dossier, Kept};
use consult::guest::Guest;
use consult::physician::Summary;
use consult::vitals::{Glucose, Moment, Reading, RecordingKind, Value};
use drivers::fixtures::printer_escpos::Receipt;
use fhir::Site;
use time::{OffsetDateTime, UtcOffset};

use code::{Code, TooLong};
use summary_pdf::{About, Block, PdfFault};
pub use words::Tongue;
use words::{Label, Shown};

/// Most measurements on the sheet, the latest. The record holds all of them.
const MEASURES_MAX: usize = 60;
/// Most third persons on the sheet. The record holds all of them.
const GUESTS_MAX: usize = 5;
/// Most incidents on the sheet, one by one. The record holds all of them.
const INCIDENTS_MAX: usize = 40;

/// What the sheet needs beside the dossier.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where the cabin stands.
    pub site: &'a Site,
    /// Now, by the cabin's clock: the end of a consultation that goes on.
    pub now: Moment,
    /// Local time less UTC, minutes.
    pub utc_offset_minutes: i16,
}

/// A report must hold these (CSP R. 6316-4). What is missing is to be asked of the physician.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No physician was met.
    #[error("no physician was met: there is no report to give")]
    Physician,
    /// The physician wrote no summary, or nothing in it.
    #[error("the physician wrote no summary: ask for one before the end")]
    Summary,
    /// Nobody knows who the patient is.
    #[error("the patient is not identified: there is nobody to give a report to")]
    Patient,
}

/// The patient's sheet, in the patient's language.
#[derive(Clone)]
pub struct Sheet {
    blocks: Vec<Block>,
    about: About,
}

impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sheet([patient])")
    }
}

impl Sheet {
    /// Gathers the sheet: report, orders, who wrote it, when, technical incidents; none of the five may be empty.
    pub fn of(dossier: &Dossier, around: Surroundings<'_>) -> Result<Sheet, Missing> {
        let tongue = Tongue::of(dossier.presentation.language);
        let identity = dossier.identity.as_ref().ok_or(Missing::Patient)?;
        if dossier.calls.is_empty() {
            return Err(Missing::Physician);
        }
        let summaries = dossier.summaries_of_calls();
        let received = summaries.last().ok_or(Missing::Summary)?;
        let physician = &received.physician;
        let clock = Clock { offset_minutes: around.utc_offset_minutes };
        let label = |label| tongue.label(label).to_owned();
        let row = |name: String, value: String, detail: String| Block::Row { name, value, detail };

        let ended_at = dossier.ended.map_or(around.now, |(_, at)| at);
        let dates = format!(
            "{}, {} – {}",
            clock.date(dossier.started_at),
            clock.time(dossier.started_at),
            clock.time(ended_at)
        );
        let traits = identity.traits();
        let (year, month, day) = traits.birth_date.official();
        let born = format!("{} {day:02}/{month:02}/{year:04}", tongue.label(Label::BornOn));
        let name = format!("{} {}", traits.first_given_name(), traits.birth_name.reveal());
        let place = format!("{} ({})", around.site.name, tongue.site(around.site.kind));
        let address = format!("{}, {} {}", around.site.street, around.site.postal_code, around.site.city);
        let who = format!("{}, {}. RPPS {}", physician.speciality, physician.town, physician.rpps);
        let mut blocks = vec![
            Block::Title(label(Label::Title)),
            row(label(Label::Date), dates, String::new()),
            row(label(Label::Patient), name, born),
            row(label(Label::Where), place, address),
            row(label(Label::Physician), physician.name.clone(), who),
        ];
        // Who came back after a cut is one person.
        let mut guests: Vec<&Guest> = Vec::new();
        for guest in dossier.guests.iter().map(|there| &there.guest) {
            if !guests.contains(&guest) && guests.len() < GUESTS_MAX {
                guests.push(guest);
            }
        }
        blocks.extend(guests.into_iter().map(|guest| {
            row(label(Label::AlsoThere), guest.name.reveal().to_owned(), tongue.guest_role(guest.role).to_owned())
        }));
        for received in &summaries {
            // Of several calls: whose words these are.
            if summaries.len() > 1 {
                blocks.push(row(label(Label::Physician), received.physician.name.clone(), clock.time(received.at)));
            }
            blocks.extend(said(&received.summary, tongue));
        }
        if !dossier.documents.is_empty() {
            blocks.push(Block::Heading(label(Label::Given)));
            let documents = dossier.documents.iter();
            blocks.extend(documents.map(|d| Block::Paragraph(format!("• {}", tongue.document(d.document.kind)))));
        }
        if !dossier.kept.is_empty() || !dossier.skipped.is_empty() {
            blocks.push(Block::Heading(label(Label::Measures)));
            let mut measures: Vec<Block> = dossier.kept.iter().flat_map(|kept| readings(kept, tongue, clock)).collect();
            measures.extend(dossier.skipped.iter().map(|skipped| {
                let name = tongue.measurement(skipped.measurement).to_owned();
                row(name, label(Label::NotMeasured), tongue.skipped(skipped.reason).to_owned())
            }));
            let earlier = measures.len().saturating_sub(MEASURES_MAX);
            blocks.extend(measures.into_iter().skip(earlier));
            if earlier > 0 {
                blocks.push(row(label(Label::EarlierMeasures), earlier.to_string(), String::new()));
            }
        }
        blocks.push(Block::Heading(label(Label::Incidents)));
        if dossier.incidents.is_empty() {
            blocks.push(Block::Paragraph(label(Label::NoIncident)));
        }
        blocks.extend(dossier.incidents.iter().take(INCIDENTS_MAX).map(|incident| {
            let until = incident.ended_at.map_or_else(|| label(Label::ToTheEnd), |at| clock.time_exact(at));
            let when = format!("{} – {until}", clock.time_exact(incident.started_at));
            row(tongue.incident(incident.kind).to_owned(), when, String::new())
        }));
        let untold =
            dossier.incidents.len().saturating_sub(INCIDENTS_MAX) as u64 + u64::from(dossier.incidents_uncounted);
        if untold > 0 {
            blocks.push(row(label(Label::OtherIncidents), untold.to_string(), String::new()));
        }
        blocks.push(Block::Paragraph(label(Label::NotAPrescription)));

        let about = About {
            title: label(Label::Title),
            language: tongue.code(),
            written_at: clock.parts(received.at),
            utc_offset_minutes: around.utc_offset_minutes,
            page: tongue.label(Label::Page),
        };
        Ok(Sheet { blocks, about })
    }

    /// The sheet as a PDF: the same sheet always gives the same bytes.
    pub fn pdf(&self) -> Result<Vec<u8>, PdfFault> {
        summary_pdf::render(&self.blocks, &self.about)
    }

    /// The sheet as codes to scan, which hold its words.
    pub fn codes(&self) -> Result<Vec<Code>, TooLong> {
        code::codes(&self.text())
    }

    /// The sheet as plain lines.
    fn text(&self) -> String {
        let lines = self.blocks.iter().map(|block| match block {
            Block::Title(text) => text.to_uppercase(),
            Block::Heading(text) => format!("\n{}", text.to_uppercase()),
            Block::Paragraph(text) => text.clone(),
            Block::Row { name, value, detail } if detail.is_empty() => format!("{name} : {value}"),
            Block::Row { name, value, detail } => format!("{name} : {value} ({detail})"),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What the physician said: words, orders, whom to see next.
fn said(summary: &Summary, tongue: Tongue) -> Vec<Block> {
    let heading = |label| Block::Heading(tongue.label(label).to_owned());
    let mut blocks = Vec::new();
    if !summary.text.is_empty() {
        blocks.push(heading(Label::Said));
        blocks.push(Block::Paragraph(summary.text.reveal().to_owned()));
    }
    if !summary.orders.is_empty() {
        blocks.push(heading(Label::ToDo));
        let orders = summary.orders.iter().map(|order| tongue.order(order.kind, order.text.reveal()));
        blocks.extend(orders.map(|order| Block::Paragraph(format!("• {order}"))));
    }
    blocks.push(heading(Label::Next));
    blocks.push(Block::Paragraph(tongue.next(summary.next).to_owned()));
    if !summary.next_note.is_empty() {
        blocks.push(Block::Paragraph(summary.next_note.reveal().to_owned()));
    }
    blocks
}

/// The readings of one measurement, figures as the devices gave them.
fn readings(kept: &Kept, tongue: Tongue, clock: Clock) -> impl Iterator<Item = Block> + '_ {
    kept.readings.iter().map(move |reading| {
        let (shown, value) = figure(reading, tongue);
        Block::Row {
            name: tongue.quantity(shown).to_owned(),
            value,
            detail: match drivers::model(&reading.device.model) {
                Some(model) if !model.is_medical() => {
                    let research = tongue
                        .pick("matériel non médical, pas pour un diagnostic", "no medical device, not for diagnosis");
                    format!("{} {}, {research}", tongue.label(Label::At), clock.time(reading.at))
                }
                _ => format!("{} {}", tongue.label(Label::At), clock.time(reading.at)),
            },
        }
    })
}

fn figure(reading: &Reading, tongue: Tongue) -> (Shown, String) {
    match reading.value {
        Value::Spo2(v) => (Shown::Oxygen, format!("{} %", v.percent())),
        Value::PulseRate(v) => (Shown::Pulse, format!("{} {}", v.per_minute(), tongue.beats_a_minute())),
        Value::Weight(v) => (Shown::Weight, format!("{} kg", tongue.decimal(v.grams(), 3))),
        Value::Height(v) => (Shown::Height, format!("{} cm", tongue.decimal(v.millimetres().into(), 1))),
        Value::Temperature(v) => (Shown::Temperature, format!("{} °C", tongue.decimal(v.centi_celsius().into(), 2))),
        Value::PerfusionIndex(v) => {
            (Shown::Perfusion, format!("{} %", tongue.decimal(v.hundredths_percent().into(), 2)))
        }
        Value::Glucose(Glucose::Mass(v)) => (Shown::Glucose, format!("{} mg/dL", v.mg_per_dl())),
        Value::Glucose(Glucose::Moles(v)) => {
            (Shown::Glucose, format!("{} mmol/L", tongue.decimal(v.tenths_mmol_per_l().into(), 1)))
        }
        Value::Recording(v) => match v.kind {
            RecordingKind::Ecg => (Shown::Ecg, format!("{} s", v.duration_ms / 1_000)),
            RecordingKind::Picture => {
                let taken = v.site.map_or(tongue.pick("transmise", "sent"), |site| tongue.body_site(site));
                (Shown::Picture, taken.to_owned())
            }
            RecordingKind::Sound => {
                let site = v.site.map(|site| format!(", {}", tongue.body_site(site))).unwrap_or_default();
                (Shown::Sound, format!("{} s{site}", v.duration_ms / 1_000))
            }
        },
        Value::BloodPressure(v) => {
            let pressures = format!("{} / {} mmHg", v.systolic().mmhg(), v.diastolic().mmhg());
            let mean = v.mean().map(|mean| format!(" ({} {})", tongue.label(Label::Mean), mean.mmhg()));
            (Shown::Pressure, pressures + &mean.unwrap_or_default())
        }
    }
}

/// What a patient takes along where no whole page is printed: place, date, the code of the papers, what to do next.
/// `link` opens the papers.
pub fn receipt(site: &consult::site::Site, dossier: &Dossier, link: &str, utc_offset_minutes: i16) -> Receipt {
    let tongue = Tongue::of(dossier.presentation.language);
    let clock = Clock { offset_minutes: utc_offset_minutes };
    let (date, time) = (clock.date(dossier.started_at), clock.time(dossier.started_at));
    Receipt {
        place: site.name.clone(),
        lines: vec![site.address.clone(), format!("{}, {date}, {time}", tongue.label(Label::Title))],
        code: Some((tongue.scan_for_papers().to_owned(), link.to_owned())),
        next: tongue.after_receipt(dossier.summary().map(|summary| summary.next)),
    }
}

/// Civil time at the site.
#[derive(Clone, Copy)]
struct Clock {
    offset_minutes: i16,
}

impl Clock {
    fn local(self, at: Moment) -> OffsetDateTime {
        let offset = UtcOffset::from_whole_seconds(i32::from(self.offset_minutes) * 60).unwrap_or(UtcOffset::UTC);
        let utc = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000);
        utc.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(offset)
    }

    /// Day, month, year: the order in which both languages write a date here.
    fn date(self, at: Moment) -> String {
        let local = self.local(at);
        format!("{:02}/{:02}/{:04}", local.day(), u8::from(local.month()), local.year())
    }

    fn time(self, at: Moment) -> String {
        let local = self.local(at);
        format!("{:02}:{:02}", local.hour(), local.minute())
    }

    fn time_exact(self, at: Moment) -> String {
        format!("{}:{:02}", self.time(at), self.local(at).second())
    }

    fn parts(self, at: Moment) -> (u16, u8, u8, u8, u8) {
        let local = self.local(at);
        let year = u16::try_from(local.year()).unwrap_or(1970);
        (year, local.month().into(), local.day(), local.hour(), local.minute())
    }
}
