//! Every model that the cabin knows: its name, its line, its USB identities, and where its protocol is.

use consult::vitals::Measurement;

use crate::{
    Protocol, blood_pressure_contec_08a, blood_pressure_microlife_ascii, blood_pressure_microlife_m,
    blood_pressure_omron, blood_pressure_phd, blood_pressure_suntech, blood_pressure_taidoc, ecg_contec_ecg90a,
    ecg_cyton, ecg_healthypi5, ecg_pc80b, glucose_accu_chek, glucose_phd, glucose_taidoc, oximeter_bci,
    oximeter_contec, oximeter_nonin, oximeter_phd, oximeter_taidoc, scale_health_o_meter, scale_mt_sics, scale_phd,
    scale_st_gs, scale_tanita, scale_usb_hid, thermometer_phd, thermometer_taidoc,
};

/// How the line is set. All devices so far are 8 data bits, 1 stop bit, no flow control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bits a second.
    pub baud: u32,
    /// The bit that follows the eight.
    pub parity: Parity,
}

/// What the bit after the data bits is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    None,
    /// It makes the number of ones odd.
    Odd,
}

impl Line {
    /// That many bits a second, without parity.
    pub const fn at(baud: u32) -> Self {
        Line { baud, parity: Parity::None }
    }
}

/// What carries a device's bytes to the cabin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A serial line: RS-232, or a USB adapter of which Linux makes a tty.
    Serial,
    /// A serial line behind a USB HID chip (CP2110), of which Linux makes no tty.
    HidUart,
    /// A USB HID device that speaks for itself. What it says is its input reports one after the other, each of
    /// `report_bytes` bytes (one of another length is no report of this device, and is skipped); what it is sent are
    /// output reports of as many, and feature reports.
    Hid {
        /// Bytes of a report, without its number where the device numbers none.
        report_bytes: u8,
    },
    /// A USB device of the personal healthcare class (PHDC), or of its maker's own class with the same bytes.
    PersonalHealth,
}

/// A USB identity that suggests a model. It names a cable more often than a device: a person confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsbHint {
    /// Vendor.
    pub vid: u16,
    /// Product.
    pub pid: u16,
    /// What carries the bytes of a device with that identity.
    pub transport: Transport,
}

impl UsbHint {
    /// An adapter of which Linux makes a serial port.
    pub const fn serial(vid: u16, pid: u16) -> Self {
        UsbHint { vid, pid, transport: Transport::Serial }
    }

    /// A personal health device, by its maker's numbers.
    pub const fn personal_health(vid: u16, pid: u16) -> Self {
        UsbHint { vid, pid, transport: Transport::PersonalHealth }
    }

    /// A device that speaks USB HID itself, in reports of that many bytes.
    pub const fn hid(vid: u16, pid: u16, report_bytes: u8) -> Self {
        UsbHint { vid, pid, transport: Transport::Hid { report_bytes } }
    }
}

/// Any device whose interface is of the personal healthcare class: such a model is known by that class, and not by who
/// made it.
pub const ANY_PERSONAL_HEALTH: UsbHint = UsbHint::personal_health(0, 0);

/// Silicon Labs CP2110, as its maker sells it (data sheet).
const CP2110: UsbHint = UsbHint { vid: 0x10C4, pid: 0xEA80, transport: Transport::HidUart };

/// How sure we are of a protocol, as in `devices.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The maker's document, or two implementations that agree.
    A,
    /// One working implementation, no capture checked.
    B,
    /// Partial: confirm on hardware.
    C,
}

/// A device type.
#[derive(Clone, Copy)]
pub struct Model {
    /// Key in configurations and records; the name of its file here and in `drivers/sim`.
    pub key: &'static str,
    /// Name on the box.
    pub name: &'static str,
    /// Who makes it.
    pub maker: &'static str,
    /// What it measures.
    pub measurement: Measurement,
    /// How its line is set; `None` when it has none: it is spoken to as a USB device only.
    pub line: Option<Line>,
    /// USB identities that suggest it; they say over what it speaks besides a bare serial line.
    pub usb: &'static [UsbHint],
    /// How sure we are of the protocol.
    pub confidence: Confidence,
    /// A new protocol, before its port opens.
    pub protocol: fn() -> Box<dyn Protocol>,
}

/// Devices with a memory, besides recorders and personal health devices (whose agents may send what they stored). A
/// Contec oximeter has one that is never read; a Nonin sends its own by itself (data format 13).
const WITH_MEMORY: &[&str] = &[
    "oximeter_nonin",
    "thermometer_taidoc",
    "blood_pressure_taidoc",
    "glucose_taidoc",
    "blood_pressure_omron",
    "blood_pressure_microlife_ascii",
    "blood_pressure_microlife_m",
    "blood_pressure_contec_08a",
];

impl Model {
    /// Whether its maker sells it as a medical device. False of research boards and parcel scales: what they measure is
    /// marked as not for diagnosis wherever it is read.
    pub fn is_medical(&self) -> bool {
        !matches!(self.key, "ecg_cyton" | "ecg_healthypi5" | "scale_usb_hid")
    }

    /// Whether it measures only while its cable is out: a meter that reads no strip while it is connected, a recorder.
    /// Its going away in mid-measurement is what it is asked to do.
    pub fn is_unplugged_to_measure(&self) -> bool {
        self.key == "glucose_accu_chek" || self.is_read_from_files()
    }

    /// Whether it records by itself and is read from the files that it shows as a memory stick: it has neither a line
    /// nor a USB identity that would tell it from any other stick.
    pub fn is_read_from_files(&self) -> bool {
        self.line.is_none() && self.usb.is_empty()
    }

    /// Whether what goes over its line may tell of other people than the one who is measured: it has a memory that the
    /// cabin looks through, or that it sends by itself. What is recorded of such a line is theirs too.
    pub fn tells_of_others(&self) -> bool {
        let is_personal_health = self.usb.iter().any(|hint| hint.transport == Transport::PersonalHealth);
        self.is_read_from_files() || is_personal_health || WITH_MEMORY.contains(&self.key)
    }

    /// Over what it is read when it is a USB device of that identity without a serial port. An identity that is not
    /// known is taken as the model's first: a maker may sell the same device under another.
    pub fn transport(&self, vid: u16, pid: u16) -> Option<Transport> {
        let over_usb = || self.usb.iter().filter(|hint| hint.transport != Transport::Serial);
        let known = over_usb().find(|hint| (hint.vid, hint.pid) == (vid, pid));
        known.or_else(|| over_usb().next()).map(|hint| hint.transport)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({})", self.key)
    }
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Model {}

/// Personal health devices are on USB or TCP; on a serial line, nothing says at which speed.
const PERSONAL_HEALTH_LINE: Line = Line::at(115_200);

/// Every model that the cabin knows. A test fails until each has its driver, simulator, capture and fuzz target.
pub const MODELS: &[Model] = &[
    Model {
        key: "oximeter_nonin",
        name: "Xpod 3012LP, OEM III, WristOx2 3150, Onyx II 9560",
        maker: "Nonin",
        measurement: Measurement::OxygenAndPulse,
        line: Some(Line::at(9600)),
        usb: &[UsbHint::serial(0x0403, 0x6001)],
        confidence: Confidence::A,
        protocol: || Box::new(oximeter_nonin::Nonin::new()),
    },
    Model {
        key: "oximeter_contec",
        name: "CMS50D+, CMS50E, CMS50F",
        maker: "Contec",
        measurement: Measurement::OxygenAndPulse,
        line: Some(Line::at(115_200)),
        usb: &[UsbHint::serial(0x10C4, 0xEA60)],
        confidence: Confidence::A,
        protocol: || Box::new(oximeter_contec::protocol()),
    },
    Model {
        key: "oximeter_bci",
        name: "CMS50D+ before 2012, CMS50E v2 and v3",
        maker: "Contec",
        measurement: Measurement::OxygenAndPulse,
        line: Some(Line { baud: 19_200, parity: Parity::Odd }),
        usb: &[UsbHint::serial(0x10C4, 0xEA60)],
        confidence: Confidence::A,
        protocol: || Box::new(oximeter_bci::protocol()),
    },
    Model {
        key: "blood_pressure_suntech",
        name: "Advantage OEM, Advantage A+",
        maker: "SunTech",
        measurement: Measurement::BloodPressure,
        line: Some(Line::at(9600)),
        usb: &[UsbHint::serial(0x0403, 0x6001), UsbHint::serial(0x067B, 0x2303)],
        confidence: Confidence::A,
        protocol: || Box::new(blood_pressure_suntech::SunTech::new()),
    },
    Model {
        key: "oximeter_phd",
        name: "IEEE 11073 oximeters (Continua)",
        maker: "any",
        measurement: Measurement::OxygenAndPulse,
        line: Some(PERSONAL_HEALTH_LINE),
        usb: &[ANY_PERSONAL_HEALTH],
        confidence: Confidence::A,
        protocol: || Box::new(oximeter_phd::OximeterPhd::new()),
    },
    Model {
        key: "blood_pressure_phd",
        name: "IEEE 11073 cuffs (Continua)",
        maker: "any",
        measurement: Measurement::BloodPressure,
        line: Some(PERSONAL_HEALTH_LINE),
        usb: &[ANY_PERSONAL_HEALTH],
        confidence: Confidence::A,
        protocol: blood_pressure_phd::protocol,
    },
    Model {
        key: "scale_health_o_meter",
        name: "600KL and other KL scales",
        maker: "Health o meter Professional",
        measurement: Measurement::WeightAndHeight,
        line: Some(Line::at(9600)),
        usb: &[UsbHint::serial(0x10C4, 0xEA60)],
        confidence: Confidence::A,
        protocol: || Box::new(scale_health_o_meter::HealthOMeter::new()),
    },
    Model {
        key: "scale_tanita",
        name: "WB-3000, SC-240",
        maker: "Tanita",
        measurement: Measurement::WeightAndHeight,
        line: Some(Line::at(9600)),
        usb: &[],
        // The line is the maker's; its speed and its checksum are known from one device each.
        confidence: Confidence::B,
        protocol: || Box::new(scale_tanita::Tanita::new()),
    },
    Model {
        key: "scale_mt_sics",
        name: "MT-SICS scales",
        maker: "Mettler Toledo",
        measurement: Measurement::WeightAndHeight,
        line: Some(Line::at(9600)),
        usb: &[],
        confidence: Confidence::A,
        protocol: || Box::new(scale_mt_sics::protocol()),
    },
    Model {
        key: "scale_st_gs",
        name: "ST,GS indicators",
        maker: "A&D and others",
        measurement: Measurement::WeightAndHeight,
        line: Some(Line::at(9600)),
        usb: &[],
        confidence: Confidence::B,
        protocol: || Box::new(scale_st_gs::protocol()),
    },
    Model {
        key: "scale_phd",
        name: "IEEE 11073 scales (Continua)",
        maker: "any",
        measurement: Measurement::WeightAndHeight,
        line: Some(PERSONAL_HEALTH_LINE),
        usb: &[ANY_PERSONAL_HEALTH],
        confidence: Confidence::A,
        protocol: scale_phd::protocol,
    },
    Model {
        key: "thermometer_phd",
        name: "IEEE 11073 thermometers (Continua)",
        maker: "any",
        measurement: Measurement::Temperature,
        line: Some(PERSONAL_HEALTH_LINE),
        usb: &[ANY_PERSONAL_HEALTH],
        confidence: Confidence::A,
        protocol: thermometer_phd::protocol,
    },
    Model {
        key: "glucose_accu_chek",
        name: "Accu-Chek Guide, Guide Me, Instant, Aviva Connect",
        maker: "Roche",
        measurement: Measurement::Glucose,
        line: Some(PERSONAL_HEALTH_LINE),
        usb: &[
            UsbHint::personal_health(0x173A, 0x21D5),
            UsbHint::personal_health(0x173A, 0x21CF),
            UsbHint::personal_health(0x173A, 0x21D6),
            UsbHint::personal_health(0x173A, 0x21D7),
            UsbHint::personal_health(0x173A, 0x21D8),
        ],
        confidence: Confidence::B,
        protocol: glucose_accu_chek::protocol,
    },
    Model {
        key: "glucose_phd",
        name: "IEEE 11073 glucose meters (Continua)",
        maker: "any",
        measurement: Measurement::Glucose,
        line: Some(PERSONAL_HEALTH_LINE),
        usb: &[ANY_PERSONAL_HEALTH],
        confidence: Confidence::A,
        protocol: glucose_phd::protocol,
    },
    Model {
        key: "thermometer_taidoc",
        name: "TD-1241, TD-1261, IR42 (serial or USB cable)",
        maker: "TaiDoc / FORA",
        measurement: Measurement::Temperature,
        line: Some(Line::at(19200)),
        usb: &[UsbHint::serial(0x10C4, 0xEA60), UsbHint::serial(0x1A86, 0x7523), CP2110],
        confidence: Confidence::B,
        protocol: || Box::new(thermometer_taidoc::protocol()),
    },
    Model {
        key: "blood_pressure_taidoc",
        name: "TD-3128, TD-3140, P30 Plus (serial or USB cable)",
        maker: "TaiDoc / FORA",
        measurement: Measurement::BloodPressure,
        line: Some(Line::at(19200)),
        usb: &[UsbHint::serial(0x10C4, 0xEA60), UsbHint::serial(0x1A86, 0x7523), CP2110],
        confidence: Confidence::B,
        protocol: || Box::new(blood_pressure_taidoc::protocol()),
    },
    Model {
        key: "oximeter_taidoc",
        name: "TD-8201, TD-8255 (serial or USB cable)",
        maker: "TaiDoc / FORA",
        measurement: Measurement::OxygenAndPulse,
        line: Some(Line::at(19200)),
        usb: &[UsbHint::serial(0x10C4, 0xEA60), UsbHint::serial(0x1A86, 0x7523), CP2110],
        confidence: Confidence::B,
        protocol: || Box::new(oximeter_taidoc::protocol()),
    },
    Model {
        key: "glucose_taidoc",
        name: "TD-4277, TD-4235: GlucoRx Nexus, GlucoMen Nexus (USB or serial)",
        maker: "TaiDoc / FORA",
        measurement: Measurement::Glucose,
        line: Some(Line::at(19200)),
        usb: &[UsbHint::serial(0x10C4, 0xEA60), UsbHint::serial(0x1A86, 0x7523), CP2110],
        confidence: Confidence::A,
        protocol: || Box::new(glucose_taidoc::protocol()),
    },
    Model {
        key: "ecg_cyton",
        name: "Cyton biosensing board",
        maker: "OpenBCI",
        measurement: Measurement::Ecg,
        line: Some(Line::at(115_200)),
        usb: &[UsbHint::serial(0x0403, 0x6015)],
        confidence: Confidence::A,
        protocol: || Box::new(ecg_cyton::Cyton::new()),
    },
    Model {
        key: "ecg_healthypi5",
        name: "HealthyPi 5",
        maker: "ProtoCentral",
        measurement: Measurement::Ecg,
        line: Some(Line::at(115_200)),
        usb: &[],
        confidence: Confidence::B,
        protocol: || Box::new(ecg_healthypi5::HealthyPi5::new()),
    },
    Model {
        key: "ecg_contec_ecg90a",
        name: "ECG90A",
        maker: "Contec",
        measurement: Measurement::Ecg,
        line: None,
        usb: &[],
        confidence: Confidence::A,
        protocol: || Box::new(ecg_contec_ecg90a::protocol()),
    },
    Model {
        key: "ecg_pc80b",
        name: "PC-80B, Easy ECG",
        maker: "Heal Force / Creative",
        measurement: Measurement::Ecg,
        line: None,
        usb: &[],
        confidence: Confidence::B,
        protocol: || Box::new(ecg_pc80b::protocol()),
    },
    Model {
        key: "blood_pressure_omron",
        name: "HEM-790IT, M10-IT, BP791IT",
        maker: "Omron",
        measurement: Measurement::BloodPressure,
        line: None,
        usb: &[UsbHint::hid(0x0590, 0x0028, 8)],
        confidence: Confidence::A,
        protocol: || Box::new(blood_pressure_omron::protocol()),
    },
    Model {
        key: "blood_pressure_microlife_ascii",
        name: "BP A6 PC, BP A200, BP 3GX1",
        maker: "Microlife",
        measurement: Measurement::BloodPressure,
        line: None,
        usb: &[UsbHint::hid(0x04B4, 0x5500, 8)],
        confidence: Confidence::A,
        protocol: || Box::new(blood_pressure_microlife_ascii::protocol()),
    },
    Model {
        key: "blood_pressure_microlife_m",
        name: "BP B3 Comfort PC",
        maker: "Microlife",
        measurement: Measurement::BloodPressure,
        line: None,
        usb: &[UsbHint::hid(0x04D9, 0xB554, 8)],
        confidence: Confidence::A,
        protocol: || Box::new(blood_pressure_microlife_m::protocol()),
    },
    Model {
        key: "blood_pressure_contec_08a",
        name: "08A, 08C",
        maker: "Contec",
        measurement: Measurement::BloodPressure,
        line: None,
        usb: &[UsbHint::hid(0x0483, 0x5750, 64)],
        confidence: Confidence::A,
        protocol: || Box::new(blood_pressure_contec_08a::protocol()),
    },
    Model {
        key: "scale_usb_hid",
        name: "S180, SCB-R9000 and other HID parcel scales",
        maker: "Dymo, Fairbanks, Mettler Toledo, Stamps.com",
        measurement: Measurement::WeightAndHeight,
        line: None,
        usb: &[
            UsbHint::hid(0x0922, 0x8009, scale_usb_hid::REPORT),
            UsbHint::hid(0x0922, 0x8003, scale_usb_hid::REPORT),
            UsbHint::hid(0x0922, 0x8004, scale_usb_hid::REPORT),
            UsbHint::hid(0x0B67, 0x555E, scale_usb_hid::REPORT),
            UsbHint::hid(0x0EB8, 0xF000, scale_usb_hid::REPORT),
            UsbHint::hid(0x0EB8, 0xF001, scale_usb_hid::REPORT),
            UsbHint::hid(0x1446, 0x6A73, scale_usb_hid::REPORT),
            UsbHint::hid(0x2474, 0x0550, scale_usb_hid::REPORT),
            UsbHint::hid(0x2474, 0x3550, scale_usb_hid::REPORT),
        ],
        confidence: Confidence::A,
        protocol: || Box::new(scale_usb_hid::protocol()),
    },
];

/// The model with that key.
pub fn model(key: &str) -> Option<&'static Model> {
    MODELS.iter().find(|m| m.key == key)
}

/// Models that a USB identity suggests, most likely first.
pub fn models_for_usb(vid: u16, pid: u16) -> impl Iterator<Item = &'static Model> {
    MODELS.iter().filter(move |m| m.usb.iter().any(|hint| hint.vid == vid && hint.pid == pid))
}

/// Models that read any device of the personal healthcare class, each what it measures.
pub fn models_for_personal_health() -> impl Iterator<Item = &'static Model> {
    MODELS.iter().filter(|model| model.usb.contains(&ANY_PERSONAL_HEALTH))
}
