//! Vital signs as Observations: R4 vital-signs profiles, as narrowed by FR Core 2.2.0.
//!
//! The ANS guide "Mesures" is followed where it can be (LOINC, UCUM, MDC, method, offset in every time, device), but
//! its profiles are not claimed: they want an IHE PHD Device with an EUI-64, which serial devices do not have.

use consult::vitals::{Glucose, Measurement, Moment, Quantity, Reading, Value};
use uuid::Uuid;

use crate::ModelFacts;
use crate::document::Format;
use crate::json::{Json, list, object};
use crate::terms::{
    CLADIMED, DATA_ABSENT_REASON, INTERPRETATION, LOINC, MDC, NCIT, OBSERVATION_CATEGORY, UCUM, coding, coding_named,
    concept, identifiers, meta, reference,
};

/// Of what no medical device measured.
const NOT_FOR_DIAGNOSIS: &str = "Mesuré par un matériel qui n’est pas un dispositif médical : pas pour un diagnostic.";

/// How one quantity is written in FHIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// FR Core profile, after `fr-core-`; empty for a component.
    pub profile: &'static str,
    /// LOINC codes, the mandatory one first.
    pub loinc: &'static [&'static str],
    /// ISO/IEEE 11073-10101 code.
    pub mdc: &'static str,
    /// UCUM code of the unit.
    pub ucum: &'static str,
    /// Decimals of the integer: the value written is `integer / 10^scale`.
    pub scale: u32,
    /// French name.
    pub name: &'static str,
}

/// The term of each quantity.
pub fn term(quantity: Quantity) -> Term {
    match quantity {
        Quantity::Spo2 => Term {
            profile: "observation-saturation-oxygen",
            loinc: &["2708-6", "59408-5"],
            mdc: "150456",
            ucum: "%",
            scale: 0,
            name: "Saturation en oxygène",
        },
        Quantity::PulseRate => Term {
            profile: "observation-heartrate",
            loinc: &["8867-4"],
            mdc: "149530",
            ucum: "/min",
            scale: 0,
            name: "Fréquence cardiaque",
        },
        Quantity::Systolic => Term {
            profile: "",
            loinc: &["8480-6"],
            mdc: "150021",
            ucum: "mm[Hg]",
            scale: 0,
            name: "Pression artérielle systolique",
        },
        Quantity::Diastolic => Term {
            profile: "",
            loinc: &["8462-4"],
            mdc: "150022",
            ucum: "mm[Hg]",
            scale: 0,
            name: "Pression artérielle diastolique",
        },
        Quantity::MeanPressure => Term {
            profile: "",
            loinc: &["8478-0"],
            mdc: "150023",
            ucum: "mm[Hg]",
            scale: 0,
            name: "Pression artérielle moyenne",
        },
        Quantity::Weight => Term {
            profile: "observation-body-weight",
            loinc: &["29463-7"],
            mdc: "188736",
            ucum: "kg",
            scale: 3,
            name: "Poids",
        },
        Quantity::Height => Term {
            profile: "observation-body-height",
            loinc: &["8302-2"],
            mdc: "188740",
            ucum: "cm",
            scale: 1,
            name: "Taille",
        },
        Quantity::Temperature => Term {
            profile: "observation-body-temperature",
            loinc: &["8310-5"],
            mdc: "150364",
            ucum: "Cel",
            scale: 2,
            name: "Température corporelle",
        },
        Quantity::PerfusionIndex => {
            Term { profile: "", loinc: &["61006-3"], mdc: "150488", ucum: "%", scale: 2, name: "Indice de perfusion" }
        }
        Quantity::GlucoseMass => Term {
            profile: "",
            loinc: &["41653-7"],
            mdc: "160184",
            ucum: "mg/dL",
            scale: 0,
            name: "Glycémie capillaire",
        },
        Quantity::GlucoseMoles => Term {
            profile: "",
            loinc: &["14743-9"],
            mdc: "160184",
            ucum: "mmol/L",
            scale: 1,
            name: "Glycémie capillaire",
        },
        Quantity::Recording => {
            Term { profile: "", loinc: &[ECG_STUDY], mdc: "131328", ucum: "ms", scale: 0, name: "Électrocardiogramme" }
        }
    }
}

/// LOINC "EKG study": a recording is no vital sign.
const ECG_STUDY: &str = "11524-6";

const PRESSURE_PANEL: Term = Term {
    profile: "observation-bp",
    loinc: &["85354-9"],
    mdc: "150020",
    ucum: "mm[Hg]",
    scale: 0,
    name: "Pression artérielle",
};

/// What every Observation of a consultation shares.
pub(crate) struct Common<'a> {
    pub(crate) patient: Uuid,
    pub(crate) encounter: Uuid,
    pub(crate) performer: Uuid,
    /// Writes an instant with the site's offset.
    pub(crate) when: &'a dyn Fn(Moment) -> String,
}

/// What there is of a recording beside its name.
pub(crate) struct Recorded {
    /// Its samples; absent when they have no room here.
    pub(crate) components: Json,
    /// The DocumentReferences of its files.
    pub(crate) documents: Vec<Uuid>,
    /// The formats that could not hold it, and why.
    pub(crate) unfit: Vec<(Format, String)>,
}

/// One reading, with the device that gave it, and what was recorded if it is a recording.
pub(crate) fn of_reading(
    id: Uuid,
    reading: &Reading,
    facts: ModelFacts,
    device: Uuid,
    recorded: Option<&Recorded>,
    common: &Common<'_>,
) -> Json {
    let exact = |quantity: Quantity, value: i64| {
        let term = term(quantity);
        object! { "value": Json::decimal(value, term.scale), "unit": term.ucum, "system": UCUM, "code": term.ucum }
    };
    let (term, value, components) = match reading.value {
        Value::Spo2(v) => (term(Quantity::Spo2), exact(Quantity::Spo2, v.percent().into()), Json::Absent),
        Value::PulseRate(v) => {
            (term(Quantity::PulseRate), exact(Quantity::PulseRate, v.per_minute().into()), Json::Absent)
        }
        Value::Weight(v) => (term(Quantity::Weight), exact(Quantity::Weight, v.grams().into()), Json::Absent),
        Value::Height(v) => (term(Quantity::Height), exact(Quantity::Height, v.millimetres().into()), Json::Absent),
        Value::Temperature(v) => {
            (term(Quantity::Temperature), exact(Quantity::Temperature, v.centi_celsius().into()), Json::Absent)
        }
        Value::PerfusionIndex(v) => {
            let value = exact(Quantity::PerfusionIndex, v.hundredths_percent().into());
            (term(Quantity::PerfusionIndex), value, Json::Absent)
        }
        Value::Glucose(Glucose::Mass(v)) => {
            (term(Quantity::GlucoseMass), exact(Quantity::GlucoseMass, v.mg_per_dl().into()), Json::Absent)
        }
        Value::Glucose(Glucose::Moles(v)) => {
            (term(Quantity::GlucoseMoles), exact(Quantity::GlucoseMoles, v.tenths_mmol_per_l().into()), Json::Absent)
        }
        Value::Recording(_) => {
            let components = recorded.map(|recorded| recorded.components.clone());
            (term(Quantity::Recording), Json::Absent, components.unwrap_or(Json::Absent))
        }
        Value::BloodPressure(v) => {
            let component = |quantity, mmhg: u16| {
                object! { "code": code_of(&self::term(quantity), None), "valueQuantity": exact(quantity, mmhg.into()) }
            };
            let components = list![
                component(Quantity::Systolic, v.systolic().mmhg()),
                component(Quantity::Diastolic, v.diastolic().mmhg()),
                v.mean().map(|mean| component(Quantity::MeanPressure, mean.mmhg())),
            ];
            (PRESSURE_PANEL, Json::Absent, components)
        }
    };
    // The device says how sure it is; the value itself is never touched.
    let weak = (reading.high_quality == Some(false)).then_some("Signal de qualité réduite d'après l'appareil.");
    let research = (!facts.is_medical).then_some(NOT_FOR_DIAGNOSIS);
    let elsewhere = recorded.is_some_and(|recorded| matches!(recorded.components, Json::Absent));
    let elsewhere = elsewhere.then_some("Tracé trop long pour être ici : il est dans les documents joints.");
    let clock = reading.device_at.is_some().then_some("L’heure de la mesure est celle de l’horloge de l’appareil.");
    let unfit = recorded.iter().flat_map(|recorded| &recorded.unfit);
    let unfit = unfit.map(|(format, why)| format!("Sans fichier{} : {why}.", format.suffix()));
    let said = [weak, research, elsewhere, clock].into_iter().flatten().map(str::to_owned);
    let notes = said.chain(unfit).map(|text| object! { "text": text });
    let documents = recorded.iter().flat_map(|recorded| &recorded.documents);
    base(
        id,
        &term,
        Some(reading),
        common,
        &Times { effective: &(common.when)(measured_at(reading)), issued: &(common.when)(reading.at) },
        vec![
            ("valueQuantity", value),
            ("note", Json::List(notes.collect())),
            ("method", method(reading)),
            ("device", reference(device)),
            ("derivedFrom", Json::List(documents.map(|document| reference(*document)).collect())),
            ("component", components),
        ],
    )
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The patient did not want it.
    Declined,
    /// The device did not work.
    DeviceFault,
    /// It was not done for another reason.
    NotPerformed,
    /// The device says that the value is below what it can measure ("LO").
    BelowRange,
    /// The device says that the value is above what it can measure ("HI").
    AboveRange,
    /// The device says that the value is outside what it can measure; only its own screen told on which side.
    OutOfRange,
}

/// The quantities that a skipped measurement leaves without a value: blood pressure is one panel.
pub(crate) fn quantities(measurement: Measurement) -> &'static [Quantity] {
    match measurement {
        Measurement::OxygenAndPulse => &[Quantity::Spo2, Quantity::PulseRate],
        Measurement::BloodPressure => &[Quantity::Systolic],
        Measurement::WeightAndHeight => &[Quantity::Weight, Quantity::Height],
        Measurement::Temperature => &[Quantity::Temperature],
        Measurement::Glucose => &[Quantity::GlucoseMass],
        Measurement::Ecg => &[Quantity::Recording],
        // A picture or a sound that was not made is no absent figure.
        Measurement::EarPicture | Measurement::SkinPicture | Measurement::Auscultation => &[],
    }
}

/// A measurement that was proposed and not made: an Observation with a reason in place of the value, as the
/// vital-signs profiles ask (constraints vs-2 and vs-3), so that "not measured" is told apart from "lost".
pub(crate) fn of_absence(id: Uuid, quantity: Quantity, why: Absent, at: &str, common: &Common<'_>) -> Json {
    let (code, display) = match why {
        Absent::Declined => ("asked-declined", "Asked But Declined"),
        Absent::DeviceFault => ("error", "Error"),
        Absent::NotPerformed => ("not-performed", "Not Performed"),
        // As the HL7 guide "Personal Health Device" writes the infinities of IEEE 11073.
        Absent::BelowRange => ("negative-infinity", "Negative Infinity (NINF)"),
        Absent::AboveRange => ("positive-infinity", "Positive Infinity (PINF)"),
        Absent::OutOfRange => ("error", "Error"),
    };
    let (off_scale, note) = match why {
        Absent::BelowRange => {
            (Some(("<", "Off scale low")), Some("L’appareil affiche « LO » : sous ce qu’il peut mesurer."))
        }
        Absent::AboveRange => {
            (Some((">", "Off scale high")), Some("L’appareil affiche « HI » : au-dessus de ce qu’il peut mesurer."))
        }
        Absent::OutOfRange => (None, Some("Hors de ce que l’appareil peut mesurer : son écran dit de quel côté.")),
        Absent::Declined | Absent::DeviceFault | Absent::NotPerformed => (None, None),
    };
    let interpretation = off_scale.map(|(code, display)| concept(vec![coding_named(INTERPRETATION, code, display)]));
    let reason = concept(vec![coding_named(DATA_ABSENT_REASON, code, display)]);
    let pressure = quantity == Quantity::Systolic;
    let components = if pressure {
        // The profile wants both components even when both are empty.
        let empty = |q| object! { "code": code_of(&term(q), None), "dataAbsentReason": reason.clone() };
        list![empty(Quantity::Systolic), empty(Quantity::Diastolic)]
    } else {
        Json::Absent
    };
    let own = if pressure { Json::Absent } else { reason };
    let term = if pressure { PRESSURE_PANEL } else { term(quantity) };
    base(
        id,
        &term,
        None,
        common,
        &Times { effective: at, issued: at },
        vec![
            ("dataAbsentReason", own),
            ("interpretation", Json::List(interpretation.into_iter().collect())),
            ("note", Json::List(note.map(|text| object! { "text": text }).into_iter().collect())),
            ("component", components),
        ],
    )
}

/// When it was measured: by the device's own clock where it has one; else when it came, less what a recording lasted.
pub(crate) fn measured_at(reading: &Reading) -> Moment {
    let lasted_ms = match reading.value {
        Value::Recording(recording) => recording.duration_ms,
        _ => 0,
    };
    reading.device_at.unwrap_or(Moment(reading.at.0.saturating_sub(lasted_ms.into())))
}

/// The two times of an Observation.
struct Times<'a> {
    /// When it was true of the patient.
    effective: &'a str,
    /// When the cabin had it, by the cabin's clock.
    issued: &'a str,
}

fn base(
    id: Uuid,
    term: &Term,
    reading: Option<&Reading>,
    common: &Common<'_>,
    times: &Times<'_>,
    rest: Vec<(&'static str, Json)>,
) -> Json {
    let (category, name) = match term.loinc {
        [ECG_STUDY] => ("procedure", "Procedure"),
        _ => ("vital-signs", "Vital Signs"),
    };
    let category = coding_named(OBSERVATION_CATEGORY, category, name);
    let mut members = vec![
        ("resourceType", Json::from("Observation")),
        ("meta", meta(&[term.profile])),
        ("identifier", identifiers(id)),
        ("status", Json::from("final")),
        ("category", list![concept(vec![category])]),
        ("code", code_of(term, reading)),
        ("subject", reference(common.patient)),
        ("encounter", reference(common.encounter)),
        ("effectiveDateTime", Json::from(times.effective)),
        ("issued", Json::from(times.issued)),
        ("performer", list![reference(common.performer)]),
    ];
    members.extend(rest);
    Json::Object(members)
}

fn code_of(term: &Term, reading: Option<&Reading>) -> Json {
    let mut codings: Vec<Json> = term.loinc.iter().map(|code| coding(LOINC, code)).collect();
    // MDC tells a pulse felt by a cuff from one seen by an oximeter.
    let by_cuff = reading.is_some_and(|r| matches!(r.value, Value::PulseRate(_)) && is_cuff(r));
    codings.push(coding(MDC, if by_cuff { "149546" } else { term.mdc }));
    object! { "coding": codings, "text": term.name }
}

/// ANS "Mesures": how the value was obtained, where its value sets have a code.
fn method(reading: &Reading) -> Json {
    let method = match reading.value {
        Value::BloodPressure(_) => Some((NCIT, "C69319")),
        Value::PulseRate(_) if is_cuff(reading) => Some((CLADIMED, "K51FC01")),
        Value::PulseRate(_) => Some((CLADIMED, "K50BF")),
        Value::Spo2(_)
        | Value::Weight(_)
        | Value::Height(_)
        | Value::Temperature(_)
        | Value::PerfusionIndex(_)
        | Value::Glucose(_)
        | Value::Recording(_) => None,
    };
    method.map(|(system, code)| concept(vec![coding(system, code)])).into()
}

/// Keys of models begin with their kind (`drivers::MODELS`).
fn is_cuff(reading: &Reading) -> bool {
    reading.device.model.starts_with("blood_pressure")
}
