//! Every sample, read back by programs that are not ours: pyedflib (EDFlib) and MNE for EDF+; pydicom, dcmdump (DCMTK)
//! and dciodvfy (dicom3tools) for DICOM.

mod readers;

use consult::ecg::{Ecg, Lead, MISSING};
use consult::vitals::{DeviceIdentity, Moment};
use serde_json::Value;
use uuid::Uuid;

use readers::Readers;

use super::*;

const CHEST: [Lead; 6] = [Lead::V1, Lead::V2, Lead::V3, Lead::V4, Lead::V5, Lead::V6];

fn device() -> DeviceIdentity {
    DeviceIdentity { model: "ecg_cyton".into(), serial: Some("DM00Q8QL".into()), firmware: Some("v3.1.2".into()) }
}

fn about(device: &DeviceIdentity) -> About<'_> {
    About {
        patient: Patient {
            id: Uuid::from_u128(0x1234_5678),
            family: "PAT-TROIS",
            given: "DOMINIQUE MARIE-LOUISE",
            sex: Some('F'),
            born: (1979, 3, 28),
        },
        // 2026-11-22, 14:05:07.120 in Paris.
        began: Moment(1_795_352_707_120),
        utc_offset_minutes: 60,
        device,
        maker: Some("OpenBCI"),
        is_medical: false,
        institution: "Pharmacie du Port",
        software_version: "0.1.0",
        ids: Ids { study: Uuid::from_u128(1), series: Uuid::from_u128(2), instance: Uuid::from_u128(u128::MAX) },
    }
}

/// xorshift64: noise that is the same in every run.
fn noise(state: &mut u64) -> i32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 40) as i32
}

/// As a Contec ECG90A gives it: 12 bits, 800 Hz, two limb leads, an electrode that was off for a while.
fn of_a_recorder() -> Ecg {
    let leads: Vec<Lead> = [Lead::II, Lead::III].into_iter().chain(CHEST).collect();
    let mut state = 7;
    let sample = |row: usize, lead: usize, state: &mut u64| {
        if lead == 3 && (1_000..1_700).contains(&row) { MISSING } else { noise(state) % 2_048 - (lead as i32) }
    };
    let samples = (0..2_650).flat_map(|row| (0..8).map(move |lead| (row, lead)));
    let samples = samples.map(|(row, lead)| sample(row, lead, &mut state)).collect();
    Ecg::new(leads, 800, 5_000_000_000, samples).unwrap()
}

/// As an OpenBCI Cyton gives it: 24 bits, each electrode far from nought, packets lost.
fn of_a_board() -> Ecg {
    let leads: Vec<Lead> = [Lead::I, Lead::II].into_iter().chain(CHEST).collect();
    let mut state = 99;
    let mut samples = Vec::new();
    for row in 0..2_500 {
        for lead in 0..8 {
            let lost = matches!(row, 0 | 777..=779);
            let value = 268_437 * (lead - 3) + noise(&mut state) % 60_000 + row * 40;
            samples.push(if lost { MISSING } else { value });
        }
    }
    Ecg::new(leads, 250, 44_703_489, samples).unwrap()
}

/// As a PC-80B gives it: one lead, 150 Hz.
fn of_a_hand() -> Ecg {
    let mut state = 3;
    let samples = (0..4_500).map(|_| noise(&mut state) % 2_048).collect();
    Ecg::new(vec![Lead::I], 150, 8_050_000_000, samples).unwrap()
}

fn all() -> [Ecg; 3] {
    [of_a_recorder(), of_a_board(), of_a_hand()]
}

/// What was recorded, in halves of 10⁻¹⁵ V.
fn exact(ecg: &Ecg, lead: Lead) -> Vec<Option<i128>> {
    let of = |lead| {
        let samples = ecg.lead(lead)?.map(|s| (s != MISSING).then_some(2 * i128::from(s)));
        Some(samples.collect::<Vec<_>>())
    };
    let step = i128::from(ecg.femtovolts_per_step());
    let combined = |a: Lead, b: Lead, combine: fn(i128, i128) -> i128| -> Vec<Option<i128>> {
        let (a, b) = (of(a).unwrap(), of(b).unwrap());
        a.into_iter().zip(b).map(|(a, b)| Some(combine(a?, b?))).collect()
    };
    let samples = of(lead).unwrap_or_else(|| match (lead, ecg.leads()[0]) {
        (Lead::I, _) => combined(Lead::II, Lead::III, |ii, iii| ii - iii),
        (Lead::III, _) => combined(Lead::II, Lead::I, |ii, i| ii - i),
        (Lead::AVR, Lead::I) => combined(Lead::I, Lead::II, |i, ii| -(i + ii) / 2),
        (Lead::AVL, Lead::I) => combined(Lead::I, Lead::II, |i, ii| i - ii / 2),
        (Lead::AVF, Lead::I) => combined(Lead::I, Lead::II, |i, ii| ii - i / 2),
        // As the Contec's own description has it.
        (Lead::AVR, _) => combined(Lead::II, Lead::III, |ii, iii| iii / 2 - ii),
        (Lead::AVL, _) => combined(Lead::II, Lead::III, |ii, iii| ii / 2 - iii),
        (Lead::AVF, _) => combined(Lead::II, Lead::III, |ii, iii| (ii + iii) / 2),
        (lead, _) => panic!("{lead:?}"),
    });
    samples.into_iter().map(|sample| Some(sample? * step)).collect()
}

/// `-12.5` microvolts as halves of 10⁻¹⁵ V.
fn halves(microvolts: &str) -> i128 {
    let (sign, text) = microvolts.strip_prefix('-').map_or((1, microvolts), |text| (-1, text));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let tenths: i128 = format!("{whole}{part:0<10}").parse().unwrap();
    assert_eq!(tenths % 5, 0, "{microvolts}");
    sign * tenths / 5
}

fn numbers(values: &Value) -> Vec<i64> {
    values.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

fn floats(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Each digital sample is the one that was recorded, exactly where a step is a step of the recorder, else as near as
/// the declared one goes.
fn agrees(digital: &[i64], exact: &[Option<i128>], step: i128, zero: i128, recorder_step: i128) {
    for (at, (digital, exact)) in digital.iter().zip(exact).enumerate() {
        match exact {
            None => assert_eq!(*digital, -32_768, "sample {at} is missing"),
            Some(exact) => {
                assert_ne!(*digital, -32_768, "sample {at} is there");
                let off = (zero + i128::from(*digital) * step - exact).abs();
                assert!(if step == recorder_step { off == 0 } else { 2 * off <= step }, "sample {at}: {off} of {step}");
            }
        }
    }
}

#[test]
fn every_sample_of_an_edf_file_is_read_back_by_edflib_and_by_mne() {
    let Some(readers) = Readers::or_skip("every_sample_of_an_edf_file_is_read_back_by_edflib_and_by_mne") else {
        return;
    };
    for (at, ecg) in all().into_iter().enumerate() {
        let device = device();
        let file = edf(&ecg, &about(&device)).unwrap();
        let path = readers.write(&format!("edf-{at}.edf"), &file);
        let (edflib, mne) = (readers.read("pyedflib", &path), readers.read("mne", &path));
        assert_eq!(edflib["filetype"], 1, "EDF+");
        assert!(edflib["start"].as_str().unwrap().starts_with("2026-11-22T14:05:07"));
        assert_eq!(edflib["hundreds_of_nanoseconds"], 1_200_000);
        // EDF+ writes a blank as an underscore, and EDFlib reads every underscore as one.
        assert_eq!(edflib["equipment"], "ecg cyton");
        assert_eq!(edflib["patient"]["patientcode"], about(&device).patient.id.simple().to_string());
        assert_eq!(edflib["patient"]["birthdate"], "28 mar 1979");
        assert!(edflib["patient"]["patientname"].as_str().unwrap().starts_with("PAT-TROIS"), "{}", edflib["patient"]);
        assert_eq!(mne["rate"], f64::from(ecg.rate_hz()));

        let notes = |from: &Value| {
            let notes = from["annotations"].as_array().unwrap().iter();
            notes
                .map(|note| {
                    (note[0].as_f64().unwrap(), note[1].as_f64().unwrap(), note[2].as_str().unwrap().to_owned())
                })
                .collect::<Vec<_>>()
        };
        let edflib_notes = notes(&edflib);
        assert_eq!(edflib_notes.len(), notes(&mne).len());
        for (at, lead) in ecg.leads().iter().enumerate() {
            let name = lead.name();
            let worth = edflib_notes.iter().find_map(|(.., text)| text.strip_prefix(&format!("{name}: 1 = "))).unwrap();
            let (step, zero) = worth.strip_suffix(" uV").unwrap().split_once(" uV, 0 = ").unwrap();
            let (step, zero) = (halves(step), halves(zero));
            let exact = exact(&ecg, *lead);
            let read = &edflib["leads"][at];
            assert_eq!((read["label"].as_str(), read["unit"].as_str()), (Some(&*format!("ECG {name}")), Some("uV")));
            let digital = numbers(&read["digital"]);
            assert_eq!(digital.len(), ecg.rows().next_multiple_of(ecg.rate_hz().into()), "whole seconds");
            agrees(&digital, &exact, step, zero, 2 * i128::from(ecg.femtovolts_per_step()));
            assert!(digital[ecg.rows()..].iter().all(|sample| *sample == -32_768), "nothing after the end");
            // The header's own worth is within 1 part in 100,000, in both readers.
            let microvolts = step as f64 / 2e9;
            let mne = floats(&mne["leads"][at]["microvolts"]);
            for (digital, (edflib, mne)) in digital.iter().zip(floats(&read["physical"]).iter().zip(&mne)) {
                let true_value = *digital as f64 * microvolts;
                let near = |value: f64| (value - true_value).abs() <= 32_768.0 * microvolts * 1e-5;
                assert!(near(*edflib) && near(*mne), "{true_value} read as {edflib} and {mne}");
            }
            // What is missing is said once a second.
            let said: usize = edflib_notes
                .iter()
                .filter_map(|(.., text)| {
                    text.strip_prefix(&format!("{name} missing: "))?.strip_suffix(" samples")?.parse::<usize>().ok()
                })
                .sum();
            assert_eq!(said, exact.iter().filter(|sample| sample.is_none()).count(), "{name}");
        }
    }
}

#[test]
fn an_annotation_stands_where_the_samples_are_missing() {
    let Some(readers) = Readers::or_skip("an_annotation_stands_where_the_samples_are_missing") else { return };
    let device = device();
    let file = edf(&of_a_recorder(), &about(&device)).unwrap();
    let read = readers.read("pyedflib", &readers.write("annotated.edf", &file));
    let notes: Vec<(f64, f64, &str)> = read["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| (note[0].as_f64().unwrap(), note[1].as_f64().unwrap(), note[2].as_str().unwrap()))
        .filter(|(.., text)| !text.contains(" uV"))
        .collect();
    // V2 was off from 1.25 s to 2.125 s; the recording ends at 3.3125 s.
    let expected = [
        (1.25, 0.75, "V2 missing: 600 samples"),
        (2.0, 0.125, "V2 missing: 100 samples"),
        (3.3125, 0.6875, "end of the recording"),
    ];
    assert_eq!(notes.len(), expected.len(), "{notes:?}");
    for (note, expected) in notes.iter().zip(expected) {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
        assert!(near(note.0, expected.0) && near(note.1, expected.1) && note.2 == expected.2, "{note:?}");
    }
}

#[test]
fn every_sample_of_a_dicom_file_is_read_back_by_pydicom_and_by_dcmtk() {
    let Some(readers) = Readers::or_skip("every_sample_of_a_dicom_file_is_read_back_by_pydicom_and_by_dcmtk") else {
        return;
    };
    let classes = ["1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.9.1.3"];
    for (at, (ecg, class)) in all().into_iter().zip(classes).enumerate() {
        let device = device();
        let file = dicom(&ecg, &about(&device)).unwrap();
        let path = readers.write(&format!("dicom-{at}.dcm"), &file);
        let read = readers.read("pydicom", &path);
        assert_eq!(read["class"], class);
        assert_eq!(read["instance"], "2.25.340282366920938463463374607431768211455");
        assert_eq!(read["patient"]["family"], "PAT-TROIS");
        assert_eq!(read["patient"]["born"], "19790328");
        assert_eq!(read["acquired"], "20261122140507.120+0100");
        let groups = read["groups"].as_array().unwrap();
        let leads: Vec<Vec<Lead>> = match at {
            0 => vec![ecg.leads().to_vec(), vec![Lead::I, Lead::AVR, Lead::AVL, Lead::AVF]],
            1 => vec![ecg.leads().to_vec(), vec![Lead::III, Lead::AVR, Lead::AVL, Lead::AVF]],
            _ => vec![ecg.leads().to_vec()],
        };
        assert_eq!(groups.len(), leads.len());
        for (group, leads) in groups.iter().zip(&leads) {
            let is_derived = leads != ecg.leads();
            assert_eq!(group["originality"], if is_derived { "DERIVED" } else { "ORIGINAL" });
            assert_eq!(
                (group["rate"].as_f64(), group["padding"].as_i64()),
                (Some(ecg.rate_hz().into()), Some(-32_768))
            );
            for (lead, read) in leads.iter().zip(group["leads"].as_array().unwrap()) {
                let step = halves(read["sensitivity"].as_str().unwrap());
                let zero = halves(read["baseline"].as_str().unwrap());
                assert_eq!(read["derivation"].as_str().is_some(), is_derived);
                let exact = exact(&ecg, *lead);
                // Of an augmented lead half a step of the recorder is the smallest there is.
                let augmented = matches!(lead, Lead::AVR | Lead::AVL | Lead::AVF);
                let smallest = i128::from(ecg.femtovolts_per_step()) * if augmented { 1 } else { 2 };
                let raw = numbers(&read["raw"]);
                assert_eq!(raw.len(), ecg.rows());
                agrees(&raw, &exact, step, zero, smallest);
                for ((raw, microvolts), exact) in raw.iter().zip(floats(&read["microvolts"])).zip(exact) {
                    let expected = (*raw as f64) * step as f64 / 2e9 + zero as f64 / 2e9;
                    assert!(exact.is_none() || (microvolts - expected).abs() < 1e-3, "{microvolts} {expected}");
                }
            }
        }
        // DCMTK has its own reader: the same words, group by group.
        for (group, words) in groups.iter().zip(readers.waveform_data(&path)) {
            let leads = group["leads"].as_array().unwrap();
            let columns: Vec<Vec<i64>> = leads.iter().map(|lead| numbers(&lead["raw"])).collect();
            let rows = (0..ecg.rows()).flat_map(|row| columns.iter().map(move |column| column[row]));
            assert!(words.iter().copied().eq(rows));
        }
    }
}

#[test]
fn dciodvfy_finds_no_fault_in_any_of_the_objects() {
    let Some(readers) = Readers::or_skip("dciodvfy_finds_no_fault_in_any_of_the_objects") else { return };
    let long = Ecg::new(vec![Lead::I, Lead::II], 1_000, 1_000_000_000, vec![3; 40_000]).unwrap();
    for (at, ecg) in all().into_iter().chain([long]).enumerate() {
        let device = device();
        let mut about = about(&device);
        if at == 2 {
            about.patient.sex = None;
            about.utc_offset_minutes = -210;
        }
        let path = readers.write(&format!("verified-{at}.dcm"), &dicom(&ecg, &about).unwrap());
        assert_eq!(readers.faults(&path), Vec::<String>::new());
    }
}

#[test]
fn the_object_is_the_one_whose_limits_the_recording_keeps() {
    let of = |leads: &[Lead], rate, rows| {
        let samples = vec![0; leads.len() * rows];
        Kind::of(&Ecg::new(leads.to_vec(), rate, 1_000_000_000, samples).unwrap())
    };
    let eight: Vec<Lead> = [Lead::I, Lead::II].into_iter().chain(CHEST).collect();
    assert_eq!(of(&eight, 500, 5_000), Ok(Kind::TwelveLead));
    assert_eq!(of(&Lead::ALL, 1_000, 16_384), Ok(Kind::TwelveLead));
    assert_eq!(of(&Lead::ALL, 1_000, 16_385), Ok(Kind::General), "20 s at 800 Hz is the most");
    assert_eq!(of(&eight[1..], 500, 5_000), Ok(Kind::General), "one limb lead gives no other");
    assert_eq!(of(&eight, 128, 1_280), Ok(Kind::Ambulatory));
    assert_eq!(of(&eight, 1_001, 10), Err(Unfit::Rate { rate_hz: 1_001 }));
    assert_eq!(of(&eight, 49, 10), Err(Unfit::Rate { rate_hz: 49 }));
}

#[test]
fn the_same_recording_always_gives_the_same_bytes() {
    let device = device();
    assert!(edf(&of_a_board(), &about(&device)) == edf(&of_a_board(), &about(&device)));
    assert!(dicom(&of_a_board(), &about(&device)) == dicom(&of_a_board(), &about(&device)));
}

#[test]
fn the_files_name_the_maker_say_what_is_not_for_diagnosis_and_never_guess_a_sex() {
    let device = device();
    let mut about = about(&device);
    about.patient.sex = None;
    let holds = |file: &[u8], part: &[u8]| file.windows(part.len()).any(|window| window == part);
    let research = b"NOT FOR DIAGNOSIS";
    let (object, edf_file) = (dicom(&of_a_board(), &about).unwrap(), edf(&of_a_board(), &about).unwrap());
    assert!(holds(&object, b"\x10\x00\x40\x00CS\x00\x00"), "Patient's Sex has no value, not O: other");
    assert!(holds(&object, b"\x08\x00\x70\x00LO\x08\x00OpenBCI "));
    assert!(holds(&object, b"\x08\x00\x90\x10LO\x0A\x00ecg_cyton "));
    assert!(holds(&object, research));
    let recording = String::from_utf8(edf_file[88..168].to_vec()).unwrap();
    assert_eq!(recording.trim_end(), "Startdate 22-NOV-2026 X X ecg_cyton not_for_diagnosis");
    (about.maker, about.is_medical) = (None, true);
    let (object, edf_file) = (dicom(&of_a_board(), &about).unwrap(), edf(&of_a_board(), &about).unwrap());
    assert!(!holds(&object, research) && !holds(&edf_file, b"not_for_diagnosis"));
    assert!(holds(&object, b"\x08\x00\x70\x00LO\x00\x00"), "type 2: empty where nobody knows");
}

#[test]
fn a_name_is_never_cut_and_no_patient_is_ever_printed() {
    let device = device();
    let mut about = about(&device);
    let given = "MARIE-ANTOINETTE JOSEPHE JEANNE DE LORRAINE";
    about.patient.given = given;
    let file = edf(&of_a_hand(), &about).unwrap();
    let patient = String::from_utf8(file[8..88].to_vec()).unwrap();
    assert!(patient.starts_with("X F 28-MAR-1979 PAT-TROIS_MARIE-ANTOINETTE_JOSEPHE_JEANNE_DE_LORRAINE "), "{patient}");
    let endless = given.repeat(4);
    about.patient.given = &endless;
    let file = edf(&of_a_hand(), &about).unwrap();
    let patient = String::from_utf8(file[8..88].to_vec()).unwrap();
    assert_eq!(patient.trim_end(), format!("{} F 28-MAR-1979 X", about.patient.id.simple()));
    assert!(!format!("{about:?}").contains("PAT"));
}

#[test]
fn a_recording_without_a_date_or_with_a_step_that_has_no_digits_is_no_file() {
    let device = device();
    let mut about = about(&device);
    let coarse = Ecg::new(vec![Lead::I], 500, 1_000_000_000_000, vec![1]).unwrap();
    assert_eq!(edf(&coarse, &about), Err(Unfit::Step));
    about.began = Moment(0);
    assert_eq!(edf(&of_a_hand(), &about), Err(Unfit::Time));
    assert_eq!(dicom(&of_a_hand(), &about), Err(Unfit::Time));
}
