//! Every value exactly as measured, and the matricule nowhere.

use consult::dossier::{Kept, SkipReason, Skipped};
use consult::identity::IdentityDocument;
use consult::vitals::{
    BloodPressure, Height, Measurement, PulseRate, Quantity, Spo2, Temperature, Value as Vital, Weight,
};
use serde_json::Value;

use super::sample::{MATRICULE, at, device, dossier, reading, typed_identity, validated_identity};
use super::{all, record};
use crate::observation::term;

/// The table of the interoperability notes, 3.1, written by hand: LOINC (first is mandatory), UCUM, MDC.
const TABLE: [(&str, &[&str], &str, &str, &str); 6] = [
    ("observation-body-temperature", &["8310-5"], "Cel", "150364", "thermometer_taidoc"),
    ("observation-saturation-oxygen", &["2708-6", "59408-5"], "%", "150456", "oximeter_nonin"),
    ("observation-heartrate", &["8867-4"], "/min", "149530", "oximeter_nonin"),
    ("observation-bp", &["85354-9"], "mm[Hg]", "150020", "blood_pressure_suntech"),
    ("observation-body-weight", &["29463-7"], "kg", "188736", "scale_healthometer"),
    ("observation-body-height", &["8302-2"], "cm", "188740", "scale_healthometer"),
];

fn codes(concept: &Value, system: &str) -> Vec<String> {
    let codings = concept["coding"].as_array().unwrap();
    codings.iter().filter(|c| c["system"] == system).map(|c| c["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_measure_has_its_loinc_unit_category_and_device() {
    let (_, json) = record(&dossier());
    let devices = json["entry"].as_array().unwrap().clone();
    let model_of = |reference: &Value| {
        let entry = devices.iter().find(|e| e["fullUrl"] == *reference).unwrap();
        entry["resource"]["modelNumber"].as_str().unwrap().to_owned()
    };
    for (profile, loinc, ucum, mdc, model) in TABLE {
        let canonical = format!("https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-{profile}");
        let measured = all(&json, "Observation").into_iter().find(|o| {
            o["meta"]["profile"][0] == canonical.as_str()
                && o.get("device").is_some()
                && model_of(&o["device"]["reference"]) == model
        });
        let measured = measured.unwrap_or_else(|| panic!("{profile} is missing"));
        assert_eq!(codes(&measured["code"], "http://loinc.org"), loinc);
        assert_eq!(codes(&measured["code"], "urn:iso:std:iso:11073:10101"), [mdc]);
        let category = &measured["category"][0]["coding"][0];
        assert_eq!(category["system"], "http://terminology.hl7.org/CodeSystem/observation-category");
        assert_eq!(category["code"], "vital-signs");
        assert!(measured["effectiveDateTime"].as_str().unwrap().ends_with("+01:00"));
        let quantities: Vec<&Value> = match measured["component"].as_array() {
            Some(components) => components.iter().map(|c| &c["valueQuantity"]).collect(),
            None => vec![&measured["valueQuantity"]],
        };
        for quantity in quantities {
            assert_eq!((&quantity["system"], &quantity["code"]), (&"http://unitsofmeasure.org".into(), &ucum.into()));
        }
    }
    let components = all(&json, "Observation").into_iter().find(|o| o["component"][0].get("valueQuantity").is_some());
    let components = components.unwrap()["component"].as_array().unwrap().clone();
    let loinc: Vec<String> = components.iter().flat_map(|c| codes(&c["code"], "http://loinc.org")).collect();
    assert_eq!(loinc, ["8480-6", "8462-4", "8478-0"]);
}

#[test]
fn the_figures_of_a_visit_are_written_digit_for_digit() {
    let (submission, _) = record(&dossier());
    let text = String::from_utf8(submission.bundle).unwrap();
    for figure in [
        r#""value":36.8,"unit":"Cel""#,
        r#""value":97,"unit":"%""#,
        r#""value":72,"unit":"/min""#,
        r#""value":128,"unit":"mm[Hg]""#,
        r#""value":79,"unit":"mm[Hg]""#,
        r#""value":95,"unit":"mm[Hg]""#,
        r#""value":72.35,"unit":"kg""#,
        r#""value":175.3,"unit":"cm""#,
    ] {
        assert!(text.contains(figure), "{figure}");
    }
}

#[test]
fn a_value_has_the_time_of_the_devices_own_clock_and_the_cabins_when_it_came() {
    let (_, json) = record(&dossier());
    let of = |loinc: &str| {
        let mut found =
            all(&json, "Observation").into_iter().filter(|o| codes(&o["code"], "http://loinc.org")[0] == loinc);
        let one = found.next().unwrap();
        let note = one["note"][0]["text"].as_str().unwrap_or_default().to_owned();
        (one["effectiveDateTime"].as_str().unwrap(), one["issued"].as_str().unwrap(), note)
    };
    let (effective, issued, note) = of("8310-5");
    assert_eq!((effective, issued), ("2026-11-22T14:07:22.000+01:00", "2026-11-22T14:07:30.000+01:00"));
    assert_eq!(note, "L’heure de la mesure est celle de l’horloge de l’appareil.");
    let (effective, issued, note) = of("85354-9");
    assert_eq!(
        (effective, issued, note.as_str()),
        ("2026-11-22T14:10:00.000+01:00", "2026-11-22T14:10:00.000+01:00", "")
    );
    // A recording began so long before its last sample came: as its DICOM and EDF+ files say.
    let (effective, issued, _) = of("11524-6");
    assert_eq!((effective, issued), ("2026-11-22T14:12:29.900+01:00", "2026-11-22T14:12:30.000+01:00"));
}

#[test]
fn a_meter_that_says_lo_or_hi_is_an_absence_with_its_side() {
    for (reason, code, side) in [
        (SkipReason::BelowRange, "negative-infinity", Some("<")),
        (SkipReason::AboveRange, "positive-infinity", Some(">")),
        (SkipReason::OutOfRange, "error", None),
    ] {
        let mut dossier = dossier();
        dossier.skipped =
            vec![Skipped { measurement: Measurement::Glucose, reason, at: at(700), asked_by_physician: true }];
        let (_, json) = record(&dossier);
        let absent = all(&json, "Observation").into_iter().find(|o| o.get("dataAbsentReason").is_some()).unwrap();
        assert_eq!(absent["dataAbsentReason"]["coding"][0]["code"], code);
        assert_eq!(absent["interpretation"][0]["coding"][0]["code"].as_str(), side);
        assert!(absent["note"][0]["text"].as_str().unwrap().contains("l’appareil") || side.is_some());
        assert!(absent.get("valueQuantity").is_none());
    }
}

#[test]
fn what_was_not_measured_says_why_and_has_no_value() {
    let (_, json) = record(&dossier());
    let absent: Vec<&Value> =
        all(&json, "Observation").into_iter().filter(|o| o.to_string().contains("data-absent-reason")).collect();
    assert_eq!(absent.len(), 3, "the pressure, the oxygen and the pulse");
    assert_eq!(absent[0]["component"][1]["dataAbsentReason"]["coding"][0]["code"], "error");
    assert_eq!(absent[1]["dataAbsentReason"]["coding"][0]["code"], "asked-declined");
    assert!(absent.iter().all(|o| !o.to_string().contains("valueQuantity")));
}

#[test]
fn a_weak_signal_is_noted_and_the_value_left_alone() {
    let (_, json) = record(&dossier());
    let weak = |o: &&Value| o["note"][0]["text"] == "Signal de qualité réduite d'après l'appareil.";
    let noted: Vec<&Value> = all(&json, "Observation").into_iter().filter(weak).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0]["valueQuantity"]["value"], 97);
}

/// Numbers that look random and are the same at every run of one seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    fn within(&mut self, min: u32, max: u32) -> u32 {
        min + self.below(u64::from(max - min) + 1) as u32
    }
}

/// `units / 10^scale`, written by division: a second way to the same digits.
fn digits(units: u32, scale: u32) -> String {
    let power = 10u32.pow(scale);
    let (whole, mut fraction, mut places) = (units / power, units % power, scale);
    while places > 0 && fraction % 10 == 0 {
        fraction /= 10;
        places -= 1;
    }
    if places == 0 { whole.to_string() } else { format!("{whole}.{fraction:0width$}", width = places as usize) }
}

#[test]
fn any_reading_is_exact_and_no_matricule_leaves_below_a_qualified_identity() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_122);
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..500 {
        let mut dossier = dossier();
        dossier.identity = Some(match random.below(3) {
            0 => typed_identity(),
            1 => validated_identity(IdentityDocument::Passport),
            _ => validated_identity(IdentityDocument::ResidencePermit),
        });
        let device = device("scale_healthometer", Some("1"));
        let mut expected = Vec::new();
        let mut readings = Vec::new();
        for seconds in 0..i64::from(random.within(1, 12)) {
            let mut pick = |quantity: Quantity, min: u32, max: u32| {
                let value = random.within(min, max);
                expected.push(digits(value, term(quantity).scale));
                value
            };
            let value = match seconds % 6 {
                0 => Vital::Spo2(Spo2::from_percent(pick(Quantity::Spo2, 0, 100) as u8).unwrap()),
                1 => Vital::PulseRate(PulseRate::from_per_minute(pick(Quantity::PulseRate, 18, 321) as u16).unwrap()),
                2 => Vital::Weight(Weight::from_grams(pick(Quantity::Weight, 500, 350_000)).unwrap()),
                3 => Vital::Height(Height::from_millimetres(pick(Quantity::Height, 300, 2_500) as u16).unwrap()),
                4 => {
                    let value = pick(Quantity::Temperature, 2_500, 4_500) as u16;
                    Vital::Temperature(Temperature::from_centi_celsius(value).unwrap())
                }
                _ => {
                    let systolic = pick(Quantity::Systolic, 120, 300) as u16;
                    let diastolic = pick(Quantity::Diastolic, 10, 119) as u16;
                    Vital::BloodPressure(BloodPressure::from_mmhg(systolic, diastolic, None).unwrap())
                }
            };
            readings.push(reading(value, &device, seconds));
        }
        dossier.kept =
            vec![Kept { measurement: Measurement::WeightAndHeight, readings, asked_by_physician: true, at: at(9) }];
        let (submission, json) = record(&dossier);

        let written: Vec<String> = all(&json, "Observation")
            .into_iter()
            .flat_map(|o| match o["component"].as_array() {
                Some(components) => components.iter().map(|c| c["valueQuantity"]["value"].clone()).collect(),
                None => vec![o["valueQuantity"]["value"].clone()],
            })
            .filter(|v| !v.is_null())
            .map(|v| v.to_string())
            .collect();
        // A reader that keeps numbers as floats prints 36 as 36 and 36.8 as 36.8: the same digits.
        assert_eq!(written, expected);

        let mut sent = String::from_utf8(submission.bundle).unwrap();
        sent.extend(submission.uploads.iter().map(|u| String::from_utf8(u.bytes.clone()).unwrap()));
        for part in [MATRICULE, &MATRICULE[..13], &MATRICULE[1..13], "patient-ins", "1.2.250.1.213.1.4."] {
            assert!(!sent.contains(part), "the matricule or its OID left the cabin");
        }
    }
}
