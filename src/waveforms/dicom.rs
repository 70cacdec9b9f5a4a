//! DICOM waveforms (PS3.3, A.34): 12-lead ECG where there are twelve leads, else General or Ambulatory ECG by the rate.
//!
//! Each lead keeps its own worth of a step (Channel Sensitivity) and what was taken off (Channel Baseline), digit for
//! digit. Leads that were not recorded but follow from two that were are a second group, marked DERIVED, each with its
//! formula; they are computed only where they make twelve.

use consult::ecg::{Ecg, Lead};
use uuid::Uuid;

use crate::elements::{Item, Vr, file};
use crate::leads::{Channel, derived, formula, recorded};
use crate::scale::{MISSING, Scaled};
use crate::{About, Unfit, local, microvolts};

/// Channel Baseline and Channel Sensitivity are decimal strings of at most that many characters.
const DECIMAL_MAX: usize = 16;
/// Of the 12-lead object (A.34.3.4).
const TWELVE_LEAD_ROWS_MAX: usize = 16_384;
/// Rates of the 12-lead and the general object (A.34.3.4, A.34.4.4), Hz.
const RATES_HZ: std::ops::RangeInclusive<u16> = 200..=1_000;
/// Rates of the ambulatory object that the others do not take (A.34.5.4), Hz.
const SLOW_RATES_HZ: std::ops::Range<u16> = 50..200;

/// Tags used here, by their keywords (PS3.6).
mod tags {
    pub(super) const SPECIFIC_CHARACTER_SET: u32 = 0x0008_0005;
    pub(super) const SOP_CLASS_UID: u32 = 0x0008_0016;
    pub(super) const SOP_INSTANCE_UID: u32 = 0x0008_0018;
    pub(super) const STUDY_DATE: u32 = 0x0008_0020;
    pub(super) const CONTENT_DATE: u32 = 0x0008_0023;
    pub(super) const ACQUISITION_DATE_TIME: u32 = 0x0008_002A;
    pub(super) const STUDY_TIME: u32 = 0x0008_0030;
    pub(super) const CONTENT_TIME: u32 = 0x0008_0033;
    pub(super) const ACCESSION_NUMBER: u32 = 0x0008_0050;
    pub(super) const MODALITY: u32 = 0x0008_0060;
    pub(super) const MANUFACTURER: u32 = 0x0008_0070;
    pub(super) const INSTITUTION_NAME: u32 = 0x0008_0080;
    pub(super) const REFERRING_PHYSICIAN_NAME: u32 = 0x0008_0090;
    pub(super) const CODE_VALUE: u32 = 0x0008_0100;
    pub(super) const CODING_SCHEME_DESIGNATOR: u32 = 0x0008_0102;
    pub(super) const CODE_MEANING: u32 = 0x0008_0104;
    pub(super) const TIMEZONE_OFFSET_FROM_UTC: u32 = 0x0008_0201;
    pub(super) const SERIES_DESCRIPTION: u32 = 0x0008_103E;
    pub(super) const MANUFACTURER_MODEL_NAME: u32 = 0x0008_1090;
    pub(super) const PATIENT_NAME: u32 = 0x0010_0010;
    pub(super) const PATIENT_ID: u32 = 0x0010_0020;
    pub(super) const PATIENT_BIRTH_DATE: u32 = 0x0010_0030;
    pub(super) const PATIENT_SEX: u32 = 0x0010_0040;
    pub(super) const DEVICE_SERIAL_NUMBER: u32 = 0x0018_1000;
    pub(super) const SOFTWARE_VERSIONS: u32 = 0x0018_1020;
    pub(super) const STUDY_INSTANCE_UID: u32 = 0x0020_000D;
    pub(super) const SERIES_INSTANCE_UID: u32 = 0x0020_000E;
    pub(super) const STUDY_ID: u32 = 0x0020_0010;
    pub(super) const SERIES_NUMBER: u32 = 0x0020_0011;
    pub(super) const INSTANCE_NUMBER: u32 = 0x0020_0013;
    pub(super) const WAVEFORM_ORIGINALITY: u32 = 0x003A_0004;
    pub(super) const NUMBER_OF_WAVEFORM_CHANNELS: u32 = 0x003A_0005;
    pub(super) const NUMBER_OF_WAVEFORM_SAMPLES: u32 = 0x003A_0010;
    pub(super) const SAMPLING_FREQUENCY: u32 = 0x003A_001A;
    pub(super) const MULTIPLEX_GROUP_LABEL: u32 = 0x003A_0020;
    pub(super) const CHANNEL_DEFINITION_SEQUENCE: u32 = 0x003A_0200;
    pub(super) const CHANNEL_LABEL: u32 = 0x003A_0203;
    pub(super) const CHANNEL_SOURCE_SEQUENCE: u32 = 0x003A_0208;
    pub(super) const CHANNEL_DERIVATION_DESCRIPTION: u32 = 0x003A_020C;
    pub(super) const CHANNEL_SENSITIVITY: u32 = 0x003A_0210;
    pub(super) const CHANNEL_SENSITIVITY_UNITS_SEQUENCE: u32 = 0x003A_0211;
    pub(super) const CHANNEL_SENSITIVITY_CORRECTION_FACTOR: u32 = 0x003A_0212;
    pub(super) const CHANNEL_BASELINE: u32 = 0x003A_0213;
    pub(super) const CHANNEL_SAMPLE_SKEW: u32 = 0x003A_0215;
    pub(super) const WAVEFORM_BITS_STORED: u32 = 0x003A_021A;
    pub(super) const ACQUISITION_CONTEXT_SEQUENCE: u32 = 0x0040_0555;
    pub(super) const WAVEFORM_SEQUENCE: u32 = 0x5400_0100;
    pub(super) const WAVEFORM_BITS_ALLOCATED: u32 = 0x5400_1004;
    pub(super) const WAVEFORM_SAMPLE_INTERPRETATION: u32 = 0x5400_1006;
    pub(super) const WAVEFORM_PADDING_VALUE: u32 = 0x5400_100A;
    pub(super) const WAVEFORM_DATA: u32 = 0x5400_1010;
}

/// Which of DICOM's objects it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 12-lead ECG Waveform Storage: twelve leads, 200 to 1000 Hz, up to 16384 samples each.
    TwelveLead,
    /// General ECG Waveform Storage: 200 to 1000 Hz.
    General,
    /// Ambulatory ECG Waveform Storage: slower than that.
    Ambulatory,
}

impl Kind {
    /// The object that holds the recording.
    ///
    /// # Errors
    /// A rate that none takes.
    pub fn of(ecg: &Ecg) -> Result<Self, Unfit> {
        let twelve = ecg.leads().len() == Lead::ALL.len() || derived(ecg).is_some();
        match ecg.rate_hz() {
            rate if RATES_HZ.contains(&rate) && twelve && ecg.rows() <= TWELVE_LEAD_ROWS_MAX => Ok(Kind::TwelveLead),
            rate if RATES_HZ.contains(&rate) => Ok(Kind::General),
            rate if SLOW_RATES_HZ.contains(&rate) => Ok(Kind::Ambulatory),
            rate_hz => Err(Unfit::Rate { rate_hz }),
        }
    }

    fn class(self) -> &'static str {
        match self {
            Kind::TwelveLead => "1.2.840.10008.5.1.4.1.1.9.1.1",
            Kind::General => "1.2.840.10008.5.1.4.1.1.9.1.2",
            Kind::Ambulatory => "1.2.840.10008.5.1.4.1.1.9.1.3",
        }
    }
}

/// The description of a series that no medical device recorded.
const NOT_FOR_DIAGNOSIS: &str = "NOT FOR DIAGNOSIS: recorded by a research device";

/// The recording as a DICOM file (explicit VR, little endian).
///
/// # Errors
/// A rate that no object takes, a date before 1985, or a step that has no sixteen characters.
pub fn dicom(ecg: &Ecg, about: &About<'_>) -> Result<Vec<u8>, Unfit> {
    let kind = Kind::of(ecg)?;
    let mut groups = vec![group(ecg, &recorded(ecg), "ORIGINAL")?];
    if kind == Kind::TwelveLead
        && let Some(derived) = derived(ecg)
    {
        groups.push(group(ecg, &derived, "DERIVED")?);
    }
    let began = local(about.began, about.utc_offset_minutes)?;
    let (year, month, day) = (began.year(), began.month() as u8, began.day());
    let date = format!("{year:04}{month:02}{day:02}");
    let time = format!("{:02}{:02}{:02}.{:03}", began.hour(), began.minute(), began.second(), began.millisecond());
    let offset = about.utc_offset_minutes;
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = format!("{sign}{:02}{:02}", offset.unsigned_abs() / 60, offset.unsigned_abs() % 60);
    let (birth_year, birth_month, birth_day) = about.patient.born;

    let mut object = Item::default();
    object.text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    object.text(tags::SOP_CLASS_UID, Vr::UI, kind.class());
    object.text(tags::SOP_INSTANCE_UID, Vr::UI, &uid(about.ids.instance));
    object.text(tags::STUDY_DATE, Vr::DA, &date);
    object.text(tags::CONTENT_DATE, Vr::DA, &date);
    object.text(tags::ACQUISITION_DATE_TIME, Vr::DT, &format!("{date}{time}{offset}"));
    object.text(tags::STUDY_TIME, Vr::TM, &time);
    object.text(tags::CONTENT_TIME, Vr::TM, &time);
    object.text(tags::TIMEZONE_OFFSET_FROM_UTC, Vr::SH, &offset);
    object.text(tags::ACCESSION_NUMBER, Vr::SH, "");
    object.text(tags::MODALITY, Vr::CS, "ECG");
    // Type 2: empty where nobody knows.
    object.text(tags::MANUFACTURER, Vr::LO, &words(about.maker.unwrap_or_default(), 64));
    if !about.is_medical {
        object.text(tags::SERIES_DESCRIPTION, Vr::LO, NOT_FOR_DIAGNOSIS);
    }
    object.text(tags::INSTITUTION_NAME, Vr::LO, &words(about.institution, 64));
    object.text(tags::REFERRING_PHYSICIAN_NAME, Vr::PN, "");
    object.text(tags::MANUFACTURER_MODEL_NAME, Vr::LO, &words(&about.device.model, 64));
    if let Some(serial) = &about.device.serial {
        object.text(tags::DEVICE_SERIAL_NUMBER, Vr::LO, &words(serial, 64));
    }
    object.text(tags::SOFTWARE_VERSIONS, Vr::LO, &words(about.software_version, 64));
    let name = |part: &str| words(part, 64).replace(['^', '='], " ");
    object.text(tags::PATIENT_NAME, Vr::PN, &format!("{}^{}", name(about.patient.family), name(about.patient.given)));
    object.text(tags::PATIENT_ID, Vr::LO, &about.patient.id.to_string());
    object.text(tags::PATIENT_BIRTH_DATE, Vr::DA, &format!("{birth_year:04}{birth_month:02}{birth_day:02}"));
    // Type 2: empty where nobody knows; "O" would say "other".
    object.text(tags::PATIENT_SEX, Vr::CS, &about.patient.sex.map_or(String::new(), String::from));
    object.text(tags::STUDY_INSTANCE_UID, Vr::UI, &uid(about.ids.study));
    object.text(tags::SERIES_INSTANCE_UID, Vr::UI, &uid(about.ids.series));
    object.text(tags::STUDY_ID, Vr::SH, &words(&about.ids.study.simple().to_string(), 16));
    object.text(tags::SERIES_NUMBER, Vr::IS, "1");
    object.text(tags::INSTANCE_NUMBER, Vr::IS, "1");
    object.items(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
    object.items(tags::WAVEFORM_SEQUENCE, groups);

    Ok(file(kind.class(), &uid(about.ids.instance), object))
}

/// One multiplex group: leads that were sampled together.
fn group(ecg: &Ecg, channels: &[Channel], originality: &str) -> Result<Item, Unfit> {
    let scaled: Vec<Scaled> = channels.iter().map(|channel| Scaled::of(&channel.samples)).collect();
    let definitions = channels
        .iter()
        .zip(&scaled)
        .map(|(channel, scaled)| definition(channel, scaled, originality))
        .collect::<Result<Vec<_>, _>>()?;
    // Row by row: one sample of each lead.
    let rows = (0..ecg.rows()).flat_map(|row| scaled.iter().map(move |lead| lead.digital[row]));
    let mut item = Item::default();
    item.text(tags::WAVEFORM_ORIGINALITY, Vr::CS, originality);
    item.short(tags::NUMBER_OF_WAVEFORM_CHANNELS, channels.len() as u16);
    item.long(tags::NUMBER_OF_WAVEFORM_SAMPLES, ecg.rows() as u32);
    item.text(tags::SAMPLING_FREQUENCY, Vr::DS, &ecg.rate_hz().to_string());
    item.text(tags::MULTIPLEX_GROUP_LABEL, Vr::SH, if originality == "ORIGINAL" { "recorded" } else { "computed" });
    item.items(tags::CHANNEL_DEFINITION_SEQUENCE, definitions);
    item.short(tags::WAVEFORM_BITS_ALLOCATED, 16u16);
    item.text(tags::WAVEFORM_SAMPLE_INTERPRETATION, Vr::CS, "SS");
    item.words(tags::WAVEFORM_PADDING_VALUE, [MISSING]);
    item.words(tags::WAVEFORM_DATA, rows);
    Ok(item)
}

fn definition(channel: &Channel, scaled: &Scaled, originality: &str) -> Result<Item, Unfit> {
    let step = i128::from(channel.half_femtovolts_per_step);
    let exact = |half_femtovolts: i128| {
        let text = microvolts(half_femtovolts);
        (text.len() <= DECIMAL_MAX).then_some(text).ok_or(Unfit::Step)
    };
    let mut item = Item::default();
    item.text(tags::CHANNEL_LABEL, Vr::SH, channel.lead.name());
    item.items(tags::CHANNEL_SOURCE_SEQUENCE, vec![code(lead_code(channel.lead), "MDC", lead_meaning(channel.lead))]);
    if originality == "DERIVED" {
        item.text(tags::CHANNEL_DERIVATION_DESCRIPTION, Vr::LO, formula(channel.lead));
    }
    item.text(tags::CHANNEL_SENSITIVITY, Vr::DS, &exact(step * i128::from(scaled.divider))?);
    item.items(tags::CHANNEL_SENSITIVITY_UNITS_SEQUENCE, vec![code("uV", "UCUM", "microvolt")]);
    item.text(tags::CHANNEL_SENSITIVITY_CORRECTION_FACTOR, Vr::DS, "1");
    item.text(tags::CHANNEL_BASELINE, Vr::DS, &exact(step * i128::from(scaled.offset))?);
    item.text(tags::CHANNEL_SAMPLE_SKEW, Vr::DS, "0");
    item.short(tags::WAVEFORM_BITS_STORED, 16u16);
    Ok(item)
}

fn code(value: &str, scheme: &str, meaning: &str) -> Item {
    let mut item = Item::default();
    item.text(tags::CODE_VALUE, Vr::SH, value);
    item.text(tags::CODING_SCHEME_DESIGNATOR, Vr::SH, scheme);
    item.text(tags::CODE_MEANING, Vr::LO, meaning);
    item
}

/// Context group 3001, "ECG Lead".
fn lead_code(lead: Lead) -> &'static str {
    match lead {
        Lead::I => "2:1",
        Lead::II => "2:2",
        Lead::III => "2:61",
        Lead::AVR => "2:62",
        Lead::AVL => "2:63",
        Lead::AVF => "2:64",
        Lead::V1 => "2:3",
        Lead::V2 => "2:4",
        Lead::V3 => "2:5",
        Lead::V4 => "2:6",
        Lead::V5 => "2:7",
        Lead::V6 => "2:8",
    }
}

fn lead_meaning(lead: Lead) -> &'static str {
    match lead {
        Lead::I => "Lead I",
        Lead::II => "Lead II",
        Lead::III => "Lead III",
        Lead::AVR => "aVR, augmented voltage, right",
        Lead::AVL => "aVL, augmented voltage, left",
        Lead::AVF => "aVF, augmented voltage, foot",
        Lead::V1 => "Lead V1",
        Lead::V2 => "Lead V2",
        Lead::V3 => "Lead V3",
        Lead::V4 => "Lead V4",
        Lead::V5 => "Lead V5",
        Lead::V6 => "Lead V6",
    }
}

/// PS3.5, B.2: a UUID as a unique identifier.
fn uid(id: Uuid) -> String {
    format!("2.25.{}", id.as_u128())
}

/// Text without what separates values, cut to the length that DICOM allows.
fn words(text: &str, characters_max: usize) -> String {
    text.chars().map(|c| if c == '\\' || c.is_control() { ' ' } else { c }).take(characters_max).collect()
}
