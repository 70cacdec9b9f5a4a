//! What was recorded: every sample as it was, in the bundle or beside it.

use base64::Engine;
use consult::ecg::{Ecg, Lead, MISSING};
use consult::vitals::Value as Vital;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::sample::{self, at, context, dossier, site};
use super::{all, record};
use crate::{BUNDLE_BYTES_MAX, Files, RecordingFile, Submission, Unfit, bundle};

fn electrocardiogram(json: &Value) -> &Value {
    let mut found = all(json, "Observation").into_iter().filter(|o| o["code"]["coding"][0]["code"] == "11524-6");
    let one = found.next().unwrap();
    assert!(found.next().is_none(), "a picture or a sound is no electrocardiogram");
    one
}

/// The bytes of an upload, by its place.
fn uploaded(submission: &Submission, place: usize) -> (String, Vec<u8>) {
    let binary: Value = serde_json::from_slice(&submission.uploads[place].bytes).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(binary["data"].as_str().unwrap()).unwrap();
    (binary["contentType"].as_str().unwrap().to_owned(), bytes)
}

#[test]
fn every_sample_is_in_the_bundle_and_a_missing_one_is_no_number() {
    let (_, json) = record(&dossier());
    let observation = electrocardiogram(&json);
    assert_eq!(observation["category"][0]["coding"][0]["code"], "procedure");
    assert_eq!(observation["meta"].get("profile"), None, "no profile describes it");
    assert!(observation.get("valueQuantity").is_none());
    let notes = observation["note"].as_array().unwrap();
    let research = "Mesuré par un matériel qui n’est pas un dispositif médical : pas pour un diagnostic.";
    assert_eq!(notes.iter().map(|note| &note["text"]).collect::<Vec<_>>(), [research]);
    let components = observation["component"].as_array().unwrap();
    let ecg = sample::ecg();
    assert_eq!(components.len(), ecg.leads().len());
    let codes = ["131329", "131330", "131331", "131332", "131333", "131334", "131335", "131336"];
    for ((component, lead), code) in components.iter().zip(ecg.leads()).zip(codes) {
        assert_eq!(component["code"]["coding"][0]["code"], code);
        assert_eq!(component["code"]["text"], lead.name());
        let data = &component["valueSampledData"];
        assert_eq!((&data["origin"]["value"], &data["origin"]["code"]), (&0.into(), &"mV".into()));
        assert_eq!((&data["period"], &data["dimensions"]), (&2.into(), &1.into()));
        assert_eq!(data["factor"].to_string(), "0.000044703489");
        let samples = data["data"].as_str().unwrap().split(' ');
        let samples = samples.map(|s| if s == "E" { MISSING } else { s.parse().unwrap() });
        assert!(samples.eq(ecg.lead(*lead).unwrap()), "{}", lead.name());
    }
    let missing = components.iter().flat_map(|c| c["valueSampledData"]["data"].as_str().unwrap().split(' '));
    assert_eq!(missing.filter(|sample| *sample == "E").count(), 1);
}

#[test]
fn the_observation_leads_to_its_dicom_and_edf_files() {
    let (submission, json) = record(&dossier());
    let observation = electrocardiogram(&json);
    let entries = json["entry"].as_array().unwrap();
    let documents: Vec<&Value> = observation["derivedFrom"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reference| &entries.iter().find(|e| e["fullUrl"] == reference["reference"]).unwrap()["resource"])
        .collect();
    let types = documents.iter().map(|d| d["content"][0]["attachment"]["contentType"].as_str().unwrap());
    assert_eq!(types.collect::<Vec<_>>(), ["application/dicom", "application/octet-stream"]);
    let titles = documents.iter().map(|d| d["content"][0]["attachment"]["title"].as_str().unwrap());
    assert_eq!(titles.collect::<Vec<_>>(), ["Électrocardiogramme (DICOM)", "Électrocardiogramme (EDF+)"]);
    let place = dossier().documents.len() + 1;
    let (dicom, edf) = (uploaded(&submission, place).1, uploaded(&submission, place + 1).1);
    assert_eq!(&dicom[128..132], b"DICM");
    assert!(edf.starts_with(b"0       ") && edf[192..].starts_with(b"EDF+C"));
    // Of the patient as the record has it, and never the matricule.
    for file in [dicom, edf] {
        let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("PAT-TROIS") && !holds(sample::MATRICULE));
    }
    let (kind, picture) = uploaded(&submission, place + 2);
    assert_eq!((kind.as_str(), picture.as_slice()), ("image/jpeg", sample::recordings()[1].bytes));
    let (kind, sound) = uploaded(&submission, place + 3);
    assert_eq!((kind.as_str(), sound.as_slice()), ("audio/flac", sample::recordings()[2].bytes));
}

#[test]
fn bytes_that_were_not_recorded_are_refused_and_so_are_none() {
    let (dossier, site) = (dossier(), site());
    let all = sample::recordings();
    let other = RecordingFile { blob: all[1].blob, bytes: b"another picture" };
    let index = |files: &[RecordingFile<'_>]| {
        let files = Files { recordings: files, ..sample::files(&dossier) };
        bundle(&dossier, &context(&site), files).unwrap_err()
    };
    // Seven figures are kept before them, and the pulse between.
    assert_eq!(index(&[]), Unfit::Recording { index: 7 });
    assert_eq!(index(&[all[0], other, all[2]]), Unfit::Recording { index: 9 });
    assert_eq!(index(&all[..2]), Unfit::Recording { index: 10 });
}

#[test]
fn a_recording_too_long_for_the_bundle_travels_beside_it_and_the_observation_says_so() {
    let site = site();
    let mut dossier = dossier();
    // Ten minutes of eight leads, as a recorder keeps them.
    let leads = [Lead::II, Lead::III, Lead::V1, Lead::V2, Lead::V3, Lead::V4, Lead::V5, Lead::V6];
    let samples = (0..480_000 * 8).map(|n| n % 2_000).collect();
    let bytes = Ecg::new(leads.to_vec(), 800, 5_000_000_000, samples).unwrap().to_bytes();
    for kept in &mut dossier.kept {
        for reading in &mut kept.readings {
            if let Vital::Recording(recording) = &mut reading.value
                && recording.blob == [0; 16]
            {
                recording.sha256 = Sha256::digest(&bytes).into();
                recording.duration_ms = 600_000;
                reading.device_at = Some(at(1));
            }
        }
    }
    let mut recordings = sample::recordings().to_vec();
    recordings[0].bytes = &bytes;
    let files = Files { recordings: &recordings, ..sample::files(&dossier) };
    let submission = bundle(&dossier, &context(&site), files).unwrap();
    assert!(submission.bundle.len() < BUNDLE_BYTES_MAX / 2);
    let json: Value = serde_json::from_slice(&submission.bundle).unwrap();
    let observation = electrocardiogram(&json);
    assert!(observation.get("component").is_none());
    assert_eq!(observation["note"][1]["text"], "Tracé trop long pour être ici : il est dans les documents joints.");
    let (kind, dicom) = uploaded(&submission, dossier.documents.len() + 1);
    assert_eq!(kind, "application/dicom");
    assert!(dicom.len() > 480_000 * 8 * 2);
    // By the recorder's own clock.
    let began = b"20261122140501.000+0100";
    assert!(dicom.windows(began.len()).any(|window| window == began));
}

#[test]
fn a_recording_that_no_format_holds_is_named_so_and_its_bytes_go_as_they_are() {
    let site = site();
    // A rate that no DICOM object takes; a worth of a sample that EDF+ cannot write in eight characters.
    for (rate_hz, rows, kinds, in_bundle) in
        [(1_700, 1_700, vec![], true), (1_700, 1_700 * 280, vec!["Électrocardiogramme (ECG1)"], false)]
    {
        let mut dossier = dossier();
        let samples = (0..rows).map(|n| n % 2_000 - 1_000).collect();
        let bytes = Ecg::new(vec![Lead::I], rate_hz, 1, samples).unwrap().to_bytes();
        for reading in dossier.kept.iter_mut().flat_map(|kept| &mut kept.readings) {
            if let Vital::Recording(recording) = &mut reading.value
                && recording.blob == [0; 16]
            {
                recording.sha256 = Sha256::digest(&bytes).into();
            }
        }
        let mut recordings = sample::recordings().to_vec();
        recordings[0].bytes = &bytes;
        let files = Files { recordings: &recordings, ..sample::files(&dossier) };
        let submission = bundle(&dossier, &context(&site), files).unwrap();
        let json: Value = serde_json::from_slice(&submission.bundle).unwrap();
        let observation = electrocardiogram(&json);
        assert_eq!(observation.get("component").is_some(), in_bundle);
        let notes: Vec<&str> =
            observation["note"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap()).collect();
        assert!(notes.iter().any(|note| note.starts_with("Sans fichier (DICOM) : ")), "{notes:?}");
        assert!(notes.iter().any(|note| note.starts_with("Sans fichier (EDF+) : ")), "{notes:?}");
        let elsewhere = "Tracé trop long pour être ici : il est dans les documents joints.";
        assert_eq!(notes.contains(&elsewhere), !in_bundle);
        let titles: Vec<&str> = all(&json, "DocumentReference")
            .into_iter()
            .filter_map(|d| d["content"][0]["attachment"]["title"].as_str())
            .filter(|title| title.starts_with("Électrocardiogramme"))
            .collect();
        assert_eq!(titles, kinds);
        if !in_bundle {
            let (kind, sent) = uploaded(&submission, dossier.documents.len() + 1);
            assert_eq!(kind, "application/octet-stream");
            assert!(sent == bytes, "every bit");
        }
    }
}
