//! Vital signs: each is a type with a unit and a range, held as an integer.
//!
//! A value out of its range is refused, never clamped: a wrong figure is worse than none. The ranges are those
//! of the devices (they say what can be a reading at all), not of health: nothing here judges a patient.

use std::fmt;

use crate::reason::BodyPart;

/// A wall-clock instant, milliseconds since 1970-01-01T00:00:00 UTC. The core never reads a clock: it is given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub i64);

impl Moment {
    /// Milliseconds from `earlier` to `self`; 0 when the clock went back.
    pub fn millis_since(self, earlier: Moment) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// A value that no device can truly have read. Ask for the measurement again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implausible {
    /// What was measured.
    pub quantity: Quantity,
    /// The value refused, in the quantity's own unit (see [`Quantity`]).
    pub value: i64,
    /// Smallest value accepted, same unit.
    pub min: i64,
    /// Largest value accepted, same unit.
    pub max: i64,
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value itself is a patient's: it stays out of the message.
        write!(f, "{:?} out of range {}..={}: measure again", self.quantity, self.min, self.max)
    }
}

impl std::error::Error for Implausible {}

/// What a [`Value`] is a value of, with the unit of its integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// Oxygen saturation, %.
    Spo2,
    /// Pulse rate, beats a minute.
    PulseRate,
    /// Systolic pressure, mmHg.
    Systolic,
    /// Diastolic pressure, mmHg.
    Diastolic,
    /// Mean arterial pressure, mmHg.
    MeanPressure,
    /// Body weight, g.
    Weight,
    /// Body height, mm.
    Height,
    /// Body temperature, hundredths of a degree Celsius.
    Temperature,
    /// Share of the light through the finger that pulses (perfusion index), hundredths of a percent.
    PerfusionIndex,
    /// Glucose of capillary blood as mass, mg/dL.
    GlucoseMass,
    /// Glucose of capillary blood as amount of substance, tenths of mmol/L.
    GlucoseMoles,
    /// A [`Recording`]; the integer is its length, ms.
    Recording,
}

macro_rules! vital {
    ($(#[$doc:meta])* $name:ident, $quantity:ident, $int:ty, $from:ident, $get:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// Smallest value accepted.
            pub const MIN: $int = $min;
            /// Largest value accepted.
            pub const MAX: $int = $max;

            /// Refuses what is outside `MIN..=MAX`.
            pub fn $from(value: $int) -> Result<Self, Implausible> {
                if (Self::MIN..=Self::MAX).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(Implausible { quantity: Quantity::$quantity, value: value.into(), min: Self::MIN.into(), max: Self::MAX.into() })
                }
            }

            /// The value, in the unit of its name.
            pub fn $get(self) -> $int {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([patient])"))
            }
        }
    };
}

vital!(
    /// Oxygen saturation, whole %. Range of the Nonin 9560 specification.
    Spo2, Spo2, u8, from_percent, percent, 0, 100);
vital!(
    /// Pulse rate, beats a minute. Range of the Nonin 9560 specification (18-321), widened to what cuffs report.
    PulseRate, PulseRate, u16, from_per_minute, per_minute, 18, 321);
vital!(
    /// An arterial pressure, mmHg. Range of automatic cuffs (IEC 80601-2-30: 0-300).
    Pressure, Systolic, u16, from_mmhg, mmhg, 10, 300);
vital!(
    /// Body weight, grams: a newborn to the capacity of a medical column scale.
    Weight, Weight, u32, from_grams, grams, 500, 350_000);
vital!(
    /// Body height, millimetres.
    Height, Height, u16, from_millimetres, millimetres, 300, 2_500);
vital!(
    /// Body temperature, hundredths of a degree Celsius (ISO 80601-2-56 rated range, widened).
    Temperature, Temperature, u16, from_centi_celsius, centi_celsius, 2_500, 4_500);
vital!(
    /// Perfusion index, hundredths of a percent. Range that Contec and Nonin print for their oximeters (0.1-20 %), widened.
    PerfusionIndex, PerfusionIndex, u16, from_hundredths_percent, hundredths_percent, 1, 3_000);
vital!(
    /// Glucose of capillary blood, mg/dL. Wider than any meter's own range (ISO 15197: meters say "LO" and "HI" outside
    /// some 20-600), so that it only refuses what is no reading at all.
    GlucoseMass, GlucoseMass, u16, from_mg_per_dl, mg_per_dl, 10, 1_000);
vital!(
    /// Glucose of capillary blood, tenths of mmol/L. As [`GlucoseMass`], in the meter's other unit: the one is never
    /// computed from the other, for the meter's figure is the patient's.
    GlucoseMoles, GlucoseMoles, u16, from_tenths_mmol_per_l, tenths_mmol_per_l, 5, 555);

/// Glucose of capillary blood, in the unit in which the meter gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Glucose {
    /// mg/dL.
    Mass(GlucoseMass),
    /// mmol/L.
    Moles(GlucoseMoles),
}

/// What a [`Recording`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordingKind {
    /// An electrocardiogram: the bytes are [`crate::ecg::Ecg::to_bytes`].
    Ecg,
    /// A picture: a JPEG file, as the camera made it.
    Picture,
    /// A sound: a FLAC file, every sample as the stethoscope gave it.
    Sound,
}

/// Where on the body a picture or a sound was taken. Without it a picture of an ear is of little use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodySite {
    /// Right ear.
    RightEar,
    /// Left ear.
    LeftEar,
    /// Heart, from the front.
    Heart,
    /// Right lung.
    RightLung,
    /// Left lung.
    LeftLung,
    /// Skin of that part.
    Skin(BodyPart),
}

impl BodySite {
    /// What may be chosen for a measurement, in the order of the screen; nothing where the device says where it goes.
    pub fn choices(measurement: Measurement) -> &'static [BodySite] {
        match measurement {
            Measurement::EarPicture => &[BodySite::RightEar, BodySite::LeftEar],
            Measurement::Auscultation => &[BodySite::Heart, BodySite::RightLung, BodySite::LeftLung],
            Measurement::SkinPicture => &[
                BodySite::Skin(BodyPart::Head),
                BodySite::Skin(BodyPart::Chest),
                BodySite::Skin(BodyPart::Back),
                BodySite::Skin(BodyPart::Belly),
                BodySite::Skin(BodyPart::ArmHand),
                BodySite::Skin(BodyPart::LegFoot),
            ],
            _ => &[],
        }
    }
}

/// Something measured that is too large for a figure: a reading holds its name, the outbox its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recording {
    /// What it is.
    pub kind: RecordingKind,
    /// Name of its bytes in the outbox.
    pub blob: [u8; 16],
    /// SHA-256 of its bytes: a bit less is another recording.
    pub sha256: [u8; 32],
    /// How many bytes.
    pub size_bytes: u32,
    /// How long it lasted, ms; 0 for a picture.
    pub duration_ms: u32,
    /// Where it was taken, when that was said.
    pub site: Option<BodySite>,
    /// The cabin packed a raw picture (JPEG, of the least loss); else every byte is as the device sent it, or without
    /// loss.
    pub packed_here: bool,
    /// How much of a sound did not arrive, ms.
    pub missing_ms: u32,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording({:?}, {} bytes)", self.kind, self.size_bytes)
    }
}

/// One blood-pressure determination. Valid only when systolic > mean > diastolic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BloodPressure {
    systolic: Pressure,
    diastolic: Pressure,
    mean: Option<Pressure>,
}

impl BloodPressure {
    /// Refuses pressures that are not ordered as an artery's are.
    pub fn from_mmhg(systolic_mmhg: u16, diastolic_mmhg: u16, mean_mmhg: Option<u16>) -> Result<Self, Implausible> {
        let (systolic, diastolic) = (Pressure::from_mmhg(systolic_mmhg)?, Pressure::from_mmhg(diastolic_mmhg)?);
        let out = |quantity, value: u16, min: u16, max: u16| Implausible {
            quantity,
            value: value.into(),
            min: min.into(),
            max: max.into(),
        };
        if systolic <= diastolic {
            return Err(out(Quantity::Diastolic, diastolic_mmhg, Pressure::MIN, systolic_mmhg));
        }
        let mean = match mean_mmhg {
            None => None,
            Some(m) if diastolic_mmhg < m && m < systolic_mmhg => Some(Pressure::from_mmhg(m)?),
            Some(m) => return Err(out(Quantity::MeanPressure, m, diastolic_mmhg, systolic_mmhg)),
        };
        Ok(Self { systolic, diastolic, mean })
    }

    /// Systolic pressure.
    pub fn systolic(self) -> Pressure {
        self.systolic
    }

    /// Diastolic pressure.
    pub fn diastolic(self) -> Pressure {
        self.diastolic
    }

    /// Mean arterial pressure, when the cuff gave it.
    pub fn mean(self) -> Option<Pressure> {
        self.mean
    }
}

/// One value as a device gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Oxygen saturation.
    Spo2(Spo2),
    /// Pulse rate, by oximeter or cuff.
    PulseRate(PulseRate),
    /// Blood pressure.
    BloodPressure(BloodPressure),
    /// Body weight.
    Weight(Weight),
    /// Body height.
    Height(Height),
    /// Body temperature.
    Temperature(Temperature),
    /// Perfusion index, by oximeter.
    PerfusionIndex(PerfusionIndex),
    /// Glucose of capillary blood.
    Glucose(Glucose),
    /// A recording, by its name.
    Recording(Recording),
}

/// Which physical device gave a reading: what a repairer and a physician need to trace it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceIdentity {
    /// Key of the model in `drivers::MODELS`, e.g. `oximeter_nonin`.
    pub model: String,
    /// Serial number, when the device or its USB descriptor gives one.
    pub serial: Option<String>,
    /// Firmware revision, when the device gives it.
    pub firmware: Option<String>,
}

/// One value with where and when it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value, bit-exact.
    pub value: Value,
    /// The device.
    pub device: DeviceIdentity,
    /// Time by the device's own clock, when it has one.
    pub device_at: Option<Moment>,
    /// Time by the cabin's clock, when the last byte arrived.
    pub at: Moment,
    /// The device's own mark of quality (Nonin SmartPoint), where it has one.
    pub high_quality: Option<bool>,
}

/// A guided act of measuring: one device placed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measurement {
    /// Oxygen saturation and pulse, by oximeter.
    OxygenAndPulse,
    /// Blood pressure and pulse, by cuff.
    BloodPressure,
    /// Weight and height, by scale with a height rod.
    WeightAndHeight,
    /// Body temperature.
    Temperature,
    /// Glucose of capillary blood, by a meter with its strip.
    Glucose,
    /// An electrocardiogram at rest.
    Ecg,
    /// A picture of the ear, by otoscope.
    EarPicture,
    /// A picture of the skin, by dermatoscope.
    SkinPicture,
    /// Sounds of heart and lungs, by stethoscope.
    Auscultation,
}

impl Measurement {
    /// Every measurement, in the order in which they are proposed.
    pub const ALL: [Measurement; 9] = [
        Measurement::Temperature,
        Measurement::OxygenAndPulse,
        Measurement::BloodPressure,
        Measurement::WeightAndHeight,
        Measurement::Glucose,
        Measurement::Ecg,
        Measurement::EarPicture,
        Measurement::SkinPicture,
        Measurement::Auscultation,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_refused_and_never_clamped() {
        assert_eq!(Spo2::from_percent(127).unwrap_err().quantity, Quantity::Spo2);
        assert_eq!(Spo2::from_percent(100).unwrap().percent(), 100);
        assert!(PulseRate::from_per_minute(511).is_err());
        assert!(Weight::from_grams(999_990).is_err());
    }

    #[test]
    fn pressures_that_no_artery_has_are_refused() {
        assert!(BloodPressure::from_mmhg(79, 122, None).is_err());
        assert!(BloodPressure::from_mmhg(122, 79, Some(60)).is_err());
        assert_eq!(BloodPressure::from_mmhg(122, 79, Some(93)).unwrap().mean().unwrap().mmhg(), 93);
    }

    #[test]
    fn a_vital_sign_never_prints_itself() {
        assert!(!format!("{:?}", Value::Spo2(Spo2::from_percent(97).unwrap())).contains("97"));
    }
}
