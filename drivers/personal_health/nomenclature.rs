//! Numbers of IEEE 11073-10101 that the manager knows, by what they mean. An unknown one is passed over.

/// Classes of objects.
pub(crate) const METRIC_NUMERIC: u16 = 0x0006;
pub(crate) const SCANNER_EPISODIC: u16 = 0x0012;
pub(crate) const SCANNER_PERIODIC: u16 = 0x0013;
pub(crate) const PM_STORE: u16 = 0x003D;

/// Attributes.
pub(crate) const MODEL: u16 = 0x0928;
pub(crate) const METRIC_ID: u16 = 0x092B;
pub(crate) const PRODUCTION: u16 = 0x092D;
pub(crate) const TYPE: u16 = 0x092F;
pub(crate) const MEASUREMENT_STATUS: u16 = 0x0947;
pub(crate) const COMPOUND_OBSERVED: u16 = 0x094B;
pub(crate) const NUMERIC_OBSERVED: u16 = 0x0950;
pub(crate) const SEGMENTS: u16 = 0x0951;
pub(crate) const OPERATIONAL_STATE: u16 = 0x0953;
pub(crate) const TIME_ABSOLUTE: u16 = 0x0987;
pub(crate) const STAMP_ABSOLUTE: u16 = 0x0990;
pub(crate) const STAMP_RELATIVE: u16 = 0x0991;
pub(crate) const UNIT: u16 = 0x0996;
pub(crate) const SEGMENT_USAGE: u16 = 0x097B;
pub(crate) const TIME_INFO: u16 = 0x0A45;
pub(crate) const BASIC_OBSERVED: u16 = 0x0A4C;
pub(crate) const SEGMENT_MAP: u16 = 0x0A4E;
pub(crate) const SCANNER_MAP: u16 = 0x0A53;
pub(crate) const VALUE_MAP: u16 = 0x0A55;
pub(crate) const SIMPLE_OBSERVED: u16 = 0x0A56;
pub(crate) const SUPPLEMENTAL_TYPES: u16 = 0x0A61;
pub(crate) const COMPOUND_SIMPLE_OBSERVED: u16 = 0x0A74;
pub(crate) const COMPOUND_BASIC_OBSERVED: u16 = 0x0A75;
pub(crate) const METRIC_ID_LIST: u16 = 0x0A76;
pub(crate) const TIME_BASE_OFFSET: u16 = 0x0A81;
pub(crate) const STAMP_BASE_OFFSET: u16 = 0x0A82;

/// Actions.
pub(crate) const SEGMENT_INFORMATION: u16 = 0x0C0D;
pub(crate) const SET_TIME: u16 = 0x0C17;
pub(crate) const TRIGGER_TRANSFER: u16 = 0x0C1C;

/// Events.
pub(crate) const CONFIGURATION: u16 = 0x0D1C;
pub(crate) const SCAN_FIXED: u16 = 0x0D1D;
pub(crate) const SCAN_VARIABLE: u16 = 0x0D1E;
pub(crate) const SCAN_PERSONS_FIXED: u16 = 0x0D1F;
pub(crate) const SCAN_PERSONS_VARIABLE: u16 = 0x0D20;
pub(crate) const SEGMENT_DATA: u16 = 0x0D21;
/// Of scanners: variable, fixed, grouped, then the same of several persons; unbuffered, then buffered.
pub(crate) const SCANNERS_FIRST: u16 = 0x0D22;
pub(crate) const SCANNERS_LAST: u16 = 0x0D2D;

/// What is measured, in partition 2 (SCADA).
pub(crate) const SPO2: u16 = 0x4BB8;
pub(crate) const PERFUSION: u16 = 0x4BB0;
pub(crate) const PULSE_BY_OXIMETER: u16 = 0x481A;
pub(crate) const PULSE_BY_CUFF: u16 = 0x482A;
pub(crate) const PRESSURE: u16 = 0x4A04;
pub(crate) const SYSTOLIC: u16 = 0x4A05;
pub(crate) const DIASTOLIC: u16 = 0x4A06;
pub(crate) const MEAN: u16 = 0x4A07;
pub(crate) const TEMPERATURE_BODY: u16 = 0x4B5C;
pub(crate) const WEIGHT: u16 = 0xE140;
pub(crate) const HEIGHT: u16 = 0xE144;
pub(crate) const BODY_MASS_INDEX: u16 = 0xE150;
pub(crate) const GLUCOSE_CAPILLARY_BLOOD: u16 = 0x71B8;
/// The partition of what is measured.
pub(crate) const SCADA: u16 = 2;
/// A measurement taken once, not followed.
pub(crate) const MODALITY_SPOT: u16 = 0x4C3C;

/// Units.
pub(crate) const PERCENT: u16 = 0x0220;
pub(crate) const METRE: u16 = 0x0500;
pub(crate) const CENTIMETRE: u16 = 0x0511;
pub(crate) const INCH: u16 = 0x0560;
pub(crate) const GRAM: u16 = 0x06C0;
pub(crate) const KILOGRAM: u16 = 0x06C3;
pub(crate) const POUND: u16 = 0x06E0;
pub(crate) const KILOGRAM_PER_SQUARE_METRE: u16 = 0x07A0;
pub(crate) const MG_PER_DL: u16 = 0x0852;
pub(crate) const MMOL_PER_L: u16 = 0x1272;
pub(crate) const BEATS_PER_MINUTE: u16 = 0x0AA0;
pub(crate) const MMHG: u16 = 0x0F20;
pub(crate) const FAHRENHEIT: u16 = 0x1140;
pub(crate) const CELSIUS: u16 = 0x17A0;

/// Bits of a measurement's status.
pub(crate) const STATUS_INVALID: u16 = 0x8000;
pub(crate) const STATUS_QUESTIONABLE: u16 = 0x4000;
pub(crate) const STATUS_NOT_AVAILABLE: u16 = 0x2000;
pub(crate) const STATUS_CALIBRATING: u16 = 0x1000;
pub(crate) const STATUS_TEST: u16 = 0x0800;
pub(crate) const STATUS_DEMONSTRATION: u16 = 0x0400;
pub(crate) const STATUS_EARLY: u16 = 0x0040;
pub(crate) const STATUS_ONGOING: u16 = 0x0020;
