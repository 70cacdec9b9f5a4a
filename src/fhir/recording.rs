//! What was recorded: the samples of an electrocardiogram as SampledData, and files that go beside the bundle.

use std::fmt::Write as _;

use consult::ecg::{Ecg, Lead, MISSING};
use consult::identity::{Identity, Sex};
use consult::vitals::{Reading, RecordingKind};
use uuid::Uuid;
use waveforms::{About, Patient};

use crate::ModelFacts;
use crate::document::{DocumentKind, Format};
use crate::json::{Json, list, object};
use crate::observation::measured_at;
use crate::terms::{MDC, UCUM, coding};

/// Most bytes of samples in one bundle, of all recordings together: half of what a bundle may have. What does not fit
/// travels as documents only.
pub(crate) const SAMPLES_BYTES_MAX: usize = 500_000;
/// Digits after the point of a period in milliseconds. 150 Hz has no end of them.
const PERIOD_SCALE_MAX: u32 = 12;

/// A file made of a recording, to be sent as a document.
pub(crate) struct File {
    pub(crate) kind: DocumentKind,
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

/// The files of a recording.
pub(crate) struct Files {
    pub(crate) made: Vec<File>,
    /// The formats that cannot hold it, and why, in words.
    pub(crate) unfit: Vec<(Format, String)>,
}

/// What the files of a recording say beside its samples.
pub(crate) struct Around<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) patient: Uuid,
    pub(crate) ids: waveforms::Ids,
    pub(crate) facts: ModelFacts,
    pub(crate) institution: &'a str,
    pub(crate) software_version: &'a str,
    pub(crate) utc_offset_minutes: i16,
}

/// The files of a recording. Of an electrocardiogram DICOM for hospitals and EDF+ for everybody else; a format that
/// cannot hold it is named. When none can and its samples are not in the bundle either, its bytes go as they are: no
/// recording is left out.
pub(crate) fn files(
    kind: RecordingKind,
    bytes: &[u8],
    reading: &Reading,
    is_in_bundle: bool,
    around: &Around<'_>,
) -> Files {
    let as_it_is = |kind, format| Files { made: vec![File { kind, format, bytes: bytes.to_vec() }], unfit: Vec::new() };
    match kind {
        RecordingKind::Picture => as_it_is(DocumentKind::Picture, Format::Jpeg),
        RecordingKind::Sound => as_it_is(DocumentKind::Sound, Format::Flac),
        RecordingKind::Ecg => {
            let Ok(ecg) = Ecg::from_bytes(bytes) else { return as_it_is(DocumentKind::Ecg, Format::Ecg1) };
            let traits = around.identity.traits();
            let about = About {
                patient: Patient {
                    id: around.patient,
                    family: traits.birth_name.reveal(),
                    given: traits.given_names.reveal(),
                    sex: match traits.sex {
                        Sex::Female => Some('F'),
                        Sex::Male => Some('M'),
                        Sex::Unknown => None,
                    },
                    born: traits.birth_date.official(),
                },
                began: measured_at(reading),
                utc_offset_minutes: around.utc_offset_minutes,
                device: &reading.device,
                maker: around.facts.maker,
                is_medical: around.facts.is_medical,
                institution: around.institution,
                software_version: around.software_version,
                ids: around.ids,
            };
            let made = [(Format::Dicom, waveforms::dicom(&ecg, &about)), (Format::Edf, waveforms::edf(&ecg, &about))];
            let mut files = Files { made: Vec::new(), unfit: Vec::new() };
            for (format, bytes) in made {
                match bytes {
                    Ok(bytes) => files.made.push(File { kind: DocumentKind::Ecg, format, bytes }),
                    Err(why) => files.unfit.push((format, why.to_string())),
                }
            }
            if files.made.is_empty() && !is_in_bundle {
                files.made = as_it_is(DocumentKind::Ecg, Format::Ecg1).made;
            }
            files
        }
    }
}

/// A component for each lead, its samples as they were recorded; `None` when they have more than `room` bytes.
pub(crate) fn components(ecg: &Ecg, room: &mut usize) -> Option<Json> {
    let mut left = *room;
    let mut components = Vec::new();
    for lead in ecg.leads() {
        let mut data = String::new();
        for sample in ecg.lead(*lead)? {
            if !data.is_empty() {
                data.push(' ');
            }
            // Writing to a String cannot fail.
            let _ = if sample == MISSING { data.write_char('E') } else { write!(data, "{sample}") };
            if data.len() > left {
                return None;
            }
        }
        left -= data.len();
        components.push(object! {
            "code": object! { "coding": list![coding(MDC, mdc(*lead))], "text": lead.name() },
            "valueSampledData": object! {
                "origin": object! { "value": Json::decimal(0, 0), "unit": "mV", "system": UCUM, "code": "mV" },
                "period": period(ecg.rate_hz()),
                "factor": Json::decimal(i64::try_from(ecg.femtovolts_per_step()).ok()?, 12),
                "dimensions": Json::decimal(1, 0),
                "data": data,
            },
        });
    }
    *room = left;
    Some(Json::List(components))
}

/// Milliseconds between samples, exactly where that has an end.
fn period(rate_hz: u16) -> Json {
    let rate = i64::from(rate_hz);
    let ends = (0..PERIOD_SCALE_MAX).find(|scale| 1_000 * 10i64.pow(*scale) % rate == 0);
    let scale = ends.unwrap_or(PERIOD_SCALE_MAX);
    Json::decimal((1_000 * 10i64.pow(scale) + rate / 2) / rate, scale)
}

/// ISO/IEEE 11073-10101, electric potential of a lead (MDC_ECG_ELEC_POTL_*).
fn mdc(lead: Lead) -> &'static str {
    match lead {
        Lead::I => "131329",
        Lead::II => "131330",
        Lead::V1 => "131331",
        Lead::V2 => "131332",
        Lead::V3 => "131333",
        Lead::V4 => "131334",
        Lead::V5 => "131335",
        Lead::V6 => "131336",
        Lead::III => "131389",
        Lead::AVR => "131390",
        Lead::AVL => "131391",
        Lead::AVF => "131392",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &Json) -> String {
        String::from_utf8(json.to_bytes()).unwrap()
    }

    #[test]
    fn a_period_is_exact_wherever_it_has_an_end() {
        for (rate, ms) in [
            (250, "4"),
            (500, "2"),
            (800, "1.25"),
            (128, "7.8125"),
            (125, "8"),
            (2_000, "0.5"),
            (1, "1000"),
            (150, "6.666666666667"),
        ] {
            assert_eq!(text(&period(rate)), ms, "{rate}");
        }
    }

    #[test]
    fn samples_that_have_no_room_are_left_to_the_documents_and_take_none() {
        let ecg = Ecg::new(vec![Lead::I, Lead::V2], 500, 44_703_489, vec![-8_388_607, MISSING, 5, 6]).unwrap();
        let mut room = "-8388607 5".len() + "E 6".len();
        let exactly = components(&ecg, &mut room).unwrap();
        assert_eq!(room, 0);
        let text = text(&exactly);
        assert!(text.contains(r#""data":"-8388607 5""#) && text.contains(r#""data":"E 6""#), "{text}");
        assert!(text.contains(r#""period":2,"factor":0.000044703489,"dimensions":1"#), "{text}");
        let mut room = 12;
        assert!(components(&ecg, &mut room).is_none());
        assert_eq!(room, 12);
    }
}
