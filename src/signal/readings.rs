//! What was measured: readings with their exact figures, and how far a measurement is.

use serde::{Deserialize, Serialize};

use crate::documents::Sha256Hex;
use crate::{Code, ItemId, Text, Unreadable};

/// A guided act of measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasurementKind {
    /// Oxygen saturation and pulse.
    OxygenAndPulse,
    /// Blood pressure and pulse.
    BloodPressure,
    /// Weight and height.
    WeightAndHeight,
    /// Body temperature.
    Temperature,
    /// Capillary glucose.
    Glucose,
    /// Electrocardiogram.
    Ecg,
    /// Picture of the ear.
    EarPicture,
    /// Picture of the skin.
    SkinPicture,
    /// Sounds of heart and lungs.
    Auscultation,
}

impl MeasurementKind {
    /// Most measurements in one list.
    pub const COUNT_MAX: usize = 16;
}

/// What a value is a value of; it fixes the unit of the integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Oxygen saturation, `%`.
    Spo2,
    /// Pulse rate, `/min`.
    PulseRate,
    /// Systolic pressure, `mm[Hg]`.
    Systolic,
    /// Diastolic pressure, `mm[Hg]`.
    Diastolic,
    /// Mean arterial pressure, `mm[Hg]`.
    MeanPressure,
    /// Weight, `g`.
    Weight,
    /// Height, `mm`.
    Height,
    /// Temperature, hundredths of `Cel`: `decimals` is 2.
    Temperature,
    /// Perfusion index, hundredths of `%`: `decimals` is 2.
    PerfusionIndex,
    /// Capillary glucose, `mg/dL`.
    GlucoseMass,
    /// Capillary glucose, tenths of `mmol/L`: `decimals` is 1.
    GlucoseMoles,
    /// Length of a recording, ms, 0 of a picture; what it holds goes by itself.
    Recording,
}

impl Quantity {
    /// UCUM unit, and how many of the integer's last digits are decimals.
    pub fn unit(self) -> (&'static str, u8) {
        match self {
            Quantity::Spo2 => ("%", 0),
            Quantity::PulseRate => ("/min", 0),
            Quantity::Systolic | Quantity::Diastolic | Quantity::MeanPressure => ("mm[Hg]", 0),
            Quantity::Weight => ("g", 0),
            Quantity::Height => ("mm", 0),
            Quantity::Temperature => ("Cel", 2),
            Quantity::PerfusionIndex => ("%", 2),
            Quantity::GlucoseMass => ("mg/dL", 0),
            Quantity::GlucoseMoles => ("mmol/L", 1),
            Quantity::Recording => ("ms", 0),
        }
    }
}

/// One exact value: `value` / 10^`decimals`, in `unit`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Of what.
    pub quantity: Quantity,
    /// The integer, bit-exact from the device.
    pub value: i32,
    /// See [`Quantity::unit`]: refused when it differs.
    pub decimals: u8,
    /// See [`Quantity::unit`]: refused when it differs.
    pub unit: Text<8>,
    /// As the cabin's screen writes it, e.g. `37,2 °C`.
    pub text: Text<32>,
}

impl Figure {
    /// A figure with the unit of its quantity.
    pub fn new(quantity: Quantity, value: i32, text: Text<32>) -> Self {
        let (unit, decimals) = quantity.unit();
        Figure { quantity, value, decimals, unit: Text::cut(unit), text }
    }
}

/// One reading: what one device gave at one moment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Unique in the consultation; the same when sent again.
    pub id: ItemId,
    /// Of which guided act.
    pub measurement: MeasurementKind,
    /// Where on the body a picture or a sound was taken: `right_ear`, `left_ear`, `heart`, `right_lung`, `left_lung`,
    /// `head`, `chest`, `back`, `belly`, `arm_hand`, `leg_foot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_site: Option<Code>,
    /// One to four figures.
    pub figures: Vec<Figure>,
    /// Model key of the device.
    pub device_model: Code,
    /// Serial number of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_serial: Option<Text<64>>,
    /// When the last byte arrived, ms since 1970, by the cabin's clock.
    pub at: i64,
    /// How old it was when this message was sent, ms: clocks of the two ends may differ.
    pub age_ms: u64,
    /// The device's own mark of quality, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_quality: Option<bool>,
    /// The patient asked for another and this one no longer counts.
    pub retaken: bool,
    /// What was recorded, when it is a recording: its bytes come by [`crate::data::Record::RecordingWanted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

impl Reading {
    pub(crate) fn check(&self) -> Result<(), Unreadable> {
        if self.figures.is_empty() || self.figures.len() > 4 {
            return Err(Unreadable::Forbidden("a reading has one to four figures"));
        }
        for figure in &self.figures {
            if (figure.unit.as_str(), figure.decimals) != figure.quantity.unit() {
                return Err(Unreadable::Forbidden("a figure in another unit than its quantity's"));
            }
        }
        Ok(())
    }
}

/// The bytes of a recording, as they are in the record too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// `image/jpeg`, `audio/flac`, or `application/x-telecabine-ecg` (see `PROTOCOL.md`).
    pub content_type: Text<64>,
    /// How many.
    pub bytes: u32,
    /// Their hash, which also names them.
    pub sha256: Sha256Hex,
    /// The cabin packed a raw picture; else the bytes are as the device sent them, or without loss.
    pub packed_here: bool,
    /// How much of a sound did not arrive, ms.
    pub missing_ms: u32,
}

/// How far a guided measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasurementProgress {
    /// Asked by the physician, the patient is being told.
    Requested,
    /// The patient is shown where to place the device.
    Placing,
    /// Signal is coming.
    Measuring,
    /// Done, kept.
    Kept,
    /// Skipped, with a reason.
    Skipped,
    /// The device has a fault.
    Fault,
}

crate::opaque_debug!("patient": Figure, File, Reading);
